//! What is sent without a step: answers to requests that no scenario wants to spell out, and the
//! messages that leave the peer in peace when a call is given up.

use std::time::Instant;

use super::super::floor::Floor;
use super::super::heads::is_named;
use super::super::message::{Kind, Received, first_line};
use super::super::model::{Scenario, StepKind};
use super::super::statistics::Failure;
use super::receive::surprise;
use super::{Call, Flow, Part};

impl Call {
    /// Answers a request that needs no step; `None` if it does.
    pub(super) fn answer_automatically(
        &mut self,
        now: Instant,
        message: &Received<'_>,
        floor: &mut Floor,
    ) -> Option<Flow> {
        let Kind::Request { method } = message.kind else {
            return None;
        };
        let behaviours = floor.settings.behaviours;
        let is_ending = matches!(method, b"BYE" | b"CANCEL");
        let is_answered = match method {
            b"BYE" | b"CANCEL" => behaviours.bye,
            b"PING" => behaviours.ping,
            b"INFO" | b"NOTIFY" | b"OPTIONS" | b"UPDATE" => behaviours.auto_answer,
            _ => false,
        };
        if !is_answered {
            return None;
        }
        // The scenario goes on with the message that it has seen itself.
        let seen = self.texts.text(Part::Received).to_vec();
        self.texts.set(Part::Received, message.bytes);
        let scenario = std::sync::Arc::clone(&floor.scenario);
        self.send_default(now, self.step, &scenario.defaults.ok, floor);
        self.texts.set(Part::Received, &seen);
        if !is_ending {
            floor.statistics.auto_answered += 1;
            return Some(Flow::Wait);
        }
        if let Some(counts) = floor.statistics.steps.get_mut(self.step) {
            counts.unexpected += 1;
        }
        let words = surprise(message, &scenario, self.next_that_must(&scenario, floor));
        floor.statistics.tell(Failure::Unexpected, words, 1);
        let (number, method) = (self.number, String::from_utf8_lossy(method).into_owned());
        floor.warn(now, || {
            format!("call {number}: {method} came before its time")
        });
        Some(Flow::End(Some(Failure::Unexpected)))
    }

    /// Ends the call at the peer as well as its state allows.
    pub(super) fn give_up(&mut self, now: Instant, floor: &mut Floor) {
        if !floor.settings.behaviours.bye || !self.is_ours || self.texts.is_empty(Part::Received) {
            return;
        }
        let scenario = std::sync::Arc::clone(&floor.scenario);
        let defaults = &scenario.defaults;
        let last = Kind::of(self.texts.text(Part::Received));
        // RFC 3261 §17.1.1.3: every final response but a 2xx is acknowledged, a redirection too.
        let is_refused = matches!(last, Some(Kind::Response { status }) if status >= 300);
        let is_asked = matches!(last, Some(Kind::Request { .. }));
        let step = self.step;
        if self.has_sent_invite && !self.is_established {
            if is_asked {
                self.recall_invite(now, &scenario, floor);
            }
            if is_refused {
                self.send_default(now, step, &defaults.ack, floor);
            } else if self.awaits_ack {
                self.send_default(now, step, &defaults.ack, floor);
                self.hang_up(now, &scenario, floor);
            } else {
                self.send_default(now, step, &defaults.cancel, floor);
            }
        } else if self.is_established {
            self.hang_up(now, &scenario, floor);
        }
    }

    /// Puts the INVITE in the place of the request that came last: what goes with an INVITE has
    /// its headers (RFC 3261 §9.1, §17.1.1.3), not those of a request of the peer.
    fn recall_invite(&mut self, now: Instant, scenario: &Scenario, floor: &mut Floor) {
        let mut passed = scenario.steps.iter().enumerate().take(self.step).rev();
        let invite = passed.find_map(|(place, step)| match &step.kind {
            StepKind::Send(send) if send.message.method == b"INVITE" => Some((place, send)),
            StepKind::Send(_)
            | StepKind::Receive(_)
            | StepKind::Pause(_)
            | StepKind::Nop
            | StepKind::TimeWait(_)
            | StepKind::SendCommand(_)
            | StepKind::ReceiveCommand { .. } => None,
        });
        let Some((place, send)) = invite else {
            return;
        };
        let mut bytes = std::mem::take(&mut floor.scratch);
        if self
            .render(now, place, &send.message.text, floor, &mut bytes)
            .is_none()
        {
            self.texts.set(Part::Received, &bytes);
        }
        floor.scratch = bytes;
    }

    /// Sends the BYE of a call that is given up: from us to the peer, whoever asked last, and with
    /// a number above those of our own requests (RFC 3261 §12.2.1.1).
    fn hang_up(&mut self, now: Instant, scenario: &Scenario, floor: &mut Floor) {
        let last = self.texts.text(Part::Received).to_vec();
        if let Some(last) = Received::new(&last) {
            self.texts.set(Part::Received, &as_ours(&last, self.cseq));
        }
        self.send_default(now, self.step, &scenario.defaults.bye, floor);
    }
}

/// A message as an answer to a request of ours would have it: our own side in From, and a number
/// at least that high.
fn as_ours(message: &Received<'_>, number: u64) -> Vec<u8> {
    let is_theirs = matches!(message.kind, Kind::Request { .. });
    let answered = message.cseq().map(|(answered, _)| answered);
    let number = number.max(answered.filter(|_| !is_theirs).unwrap_or(0));
    let mut text = [first_line(message.bytes), b"\r\n"].concat();
    for (line, name) in message.heads.lines() {
        let value = line.get(name.len()..).unwrap_or_default();
        if is_named(name, b"CSeq") {
            text.extend_from_slice(format!("CSeq: {number} BYE").as_bytes());
        } else if is_theirs && is_named(name, b"From") {
            text.extend_from_slice(b"To");
            text.extend_from_slice(value.trim_ascii_end());
        } else if is_theirs && is_named(name, b"To") {
            text.extend_from_slice(b"From");
            text.extend_from_slice(value.trim_ascii_end());
        } else {
            text.extend_from_slice(line.trim_ascii_end());
        }
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}
