//! Sending: the message of a step, and what is sent again because no answer came or because the
//! peer did not get the first one.

use std::time::Instant;

use offhook_shards::Transport;

use super::super::floor::Floor;
use super::super::limits::{CSEQ_END, MESSAGE_BYTES_MAX};
use super::super::message::Received;
use super::super::model::{Message, Send, Step, StepKind};
use super::super::render::{Fault, View, render};
use super::super::statistics::Failure;
use super::super::template::Template;
use super::{Call, Flow};

impl Call {
    pub(super) fn send_step(
        &mut self,
        now: Instant,
        step: &Step,
        send: &Send,
        floor: &mut Floor,
    ) -> Flow {
        let place = self.step;
        let method = send.message.method.as_slice();
        if !matches!(method, b"" | b"ACK" | b"CANCEL") {
            self.cseq = (self.cseq + 1) % CSEQ_END;
        }
        if let Some(challenge) = &mut self.challenge {
            challenge.uses = challenge.uses.saturating_add(1);
        }
        let mut bytes = std::mem::take(&mut floor.scratch);
        let fault = self.render(now, place, &send.message.text, floor, &mut bytes);
        let sent = self.check(now, fault, &bytes, floor);
        if sent {
            floor.statistics.steps[place].messages += 1;
            if floor.loses(step.lost) || floor.loses(floor.settings.lost) {
                floor.statistics.steps[place].lost += 1;
            } else {
                self.transmit(now, &bytes, floor);
            }
            self.note_sent(now, place, send, &bytes, floor);
        }
        floor.scratch = bytes;
        if !sent {
            return Flow::End(Some(Failure::CannotSend));
        }
        self.complete(now, step, None, floor)
    }

    /// Whether a message may go out.
    pub(super) fn check(
        &self,
        now: Instant,
        fault: Option<Fault>,
        bytes: &[u8],
        floor: &mut Floor,
    ) -> bool {
        let number = self.number;
        if let Some(fault) = fault {
            floor.warn(now, || format!("call {number}: {fault}"));
            return false;
        }
        if bytes.len() > MESSAGE_BYTES_MAX {
            let length = bytes.len();
            floor.warn(now, || {
                format!("call {number}: {length} bytes are too many to send")
            });
            return false;
        }
        true
    }

    fn note_sent(
        &mut self,
        now: Instant,
        place: usize,
        send: &Send,
        bytes: &[u8],
        floor: &mut Floor,
    ) {
        let method = send.message.method.as_slice();
        // Answers to the peer, PRACK and INFO leave an INVITE open.
        self.has_sent_invite |= method == b"INVITE";
        self.has_sent_invite &= !matches!(method, b"ACK" | b"CANCEL");
        if method == b"ACK" {
            self.is_established = true;
            self.awaits_ack = false;
        }
        if let Some(transaction) = send.start_transaction {
            let message = Received::new(bytes);
            let branch = message.and_then(|message| message.branch());
            self.branches[transaction] = branch.unwrap_or_default().to_vec();
        }
        if let Some(hash) = self.received_hash.take() {
            // A scenario has fewer steps than a file may have elements.
            self.answered = u32::try_from(place).ok().map(|place| (hash, place));
        }
        let is_lossy = self.path.transport == Transport::Udp && floor.settings.resends;
        if let Some(delay) = send.resend.filter(|_| is_lossy) {
            let mut resend = self.resend.take().unwrap_or_else(|| floor.spare(now));
            resend.bytes.clear();
            resend.bytes.extend_from_slice(bytes);
            resend.step = place;
            resend.delay = delay;
            resend.at = now + delay;
            resend.count = 0;
            resend.is_invite = method == b"INVITE";
            self.resend = Some(resend);
        }
    }

    /// Sends again what was not answered in time; a failure when that was tried often enough.
    pub(super) fn resend_if_due(&mut self, now: Instant, floor: &mut Floor) -> Option<Failure> {
        let mut resend = self.resend.take_if(|resend| now >= resend.at)?;
        let settings = std::sync::Arc::clone(&floor.settings);
        let times_max = if resend.is_invite {
            settings.invite_resends_max
        } else {
            settings.other_resends_max
        };
        if resend.count >= times_max {
            let place = resend.step;
            floor.give_back(Some(resend));
            return self.exhaust(now, place, floor);
        }
        resend.count += 1;
        resend.delay *= 2;
        if !resend.is_invite {
            resend.delay = resend.delay.min(settings.t2);
        }
        resend.at = now + resend.delay;
        floor.statistics.resent += 1;
        floor.statistics.steps[resend.step].repeats += 1;
        if !floor.loses(settings.lost) {
            self.transmit(now, &resend.bytes, floor);
        }
        self.resend = Some(resend);
        None
    }

    /// The last resend was not answered: the step that waits may say where to go on.
    fn exhaust(&mut self, now: Instant, place: usize, floor: &mut Floor) -> Option<Failure> {
        let scenario = std::sync::Arc::clone(&floor.scenario);
        floor.statistics.steps[place].timeouts += 1;
        if let Some(StepKind::Receive(receive)) = scenario.steps.get(self.step).map(|s| &s.kind)
            && let Some(target) = receive.on_timeout
        {
            self.go_to(target);
            return None;
        }
        let (number, what) = (self.number, &scenario.steps[place].display);
        floor.warn(now, || format!("call {number}: {what} was not answered"));
        floor.statistics.tell(
            Failure::ResendsExhausted,
            format!("{what} was not answered"),
            1,
        );
        self.give_up(now, floor);
        Some(Failure::ResendsExhausted)
    }

    /// Sends the message of a passed step once more.
    pub(super) fn send_again(&mut self, now: Instant, place: usize, floor: &mut Floor) {
        let scenario = std::sync::Arc::clone(&floor.scenario);
        let StepKind::Send(send) = &scenario.steps[place].kind else {
            return;
        };
        if self.send_default(now, place, &send.message, floor) {
            floor.statistics.resent += 1;
            floor.statistics.steps[place].repeats += 1;
        }
    }

    /// Sends a message that is no step's, or not for the first time.
    pub(super) fn send_default(
        &mut self,
        now: Instant,
        place: usize,
        message: &Message,
        floor: &mut Floor,
    ) -> bool {
        let mut bytes = std::mem::take(&mut floor.scratch);
        let fault = self.render(now, place, &message.text, floor, &mut bytes);
        let may_go = self.check(now, fault, &bytes, floor);
        if may_go && !floor.loses(floor.settings.lost) {
            self.transmit(now, &bytes, floor);
        }
        floor.scratch = bytes;
        may_go
    }

    /// Makes a text; the buffer is cleared first.
    pub(super) fn render(
        &self,
        now: Instant,
        place: usize,
        template: &Template,
        floor: &mut Floor,
        output: &mut Vec<u8>,
    ) -> Option<Fault> {
        output.clear();
        let chance = floor.random.number() as u32;
        let view = View {
            call: self,
            floor,
            now,
            step: place,
            chance,
        };
        render(template, &view, output)
    }
}
