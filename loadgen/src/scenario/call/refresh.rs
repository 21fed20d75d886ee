//! Requests inside the dialog that ask for nothing new: the peer looks whether the call is still
//! there (OPTIONS), or refreshes its session (RFC 4028 §7.4). A phone answers them without a word
//! to its user, so a call answers them without a step.

use std::time::Instant;

use super::super::floor::Floor;
use super::super::message::{Kind, Received, body};
use super::super::model::{Scenario, StepKind};
use super::{Call, Flow, Part};

/// Which way media of a description go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Both,
    Send,
    Receive,
    Neither,
}

impl Direction {
    fn of(line: &[u8]) -> Option<Self> {
        match line {
            b"a=sendrecv" => Some(Self::Both),
            b"a=sendonly" => Some(Self::Send),
            b"a=recvonly" => Some(Self::Receive),
            b"a=inactive" => Some(Self::Neither),
            _ => None,
        }
    }

    /// As the other end says it.
    fn mirrored(self) -> Self {
        match self {
            Self::Both => Self::Both,
            Self::Send => Self::Receive,
            Self::Receive => Self::Send,
            Self::Neither => Self::Neither,
        }
    }
}

impl Call {
    /// Whether this is the ACK of an INVITE that was answered without a step.
    pub(super) fn absorbs(&self, message: &Received<'_>) -> bool {
        let is_ack = matches!(message.kind, Kind::Request { method: b"ACK" });
        let number = message.cseq().map(|(number, _)| number);
        is_ack && self.refreshed.is_some() && number == self.refreshed
    }

    /// Answers a request in the dialog that changes nothing; `None` if it is another.
    pub(super) fn answer_in_dialog(
        &mut self,
        now: Instant,
        message: &Received<'_>,
        scenario: &Scenario,
        floor: &mut Floor,
    ) -> Option<Flow> {
        let Kind::Request { method } = message.kind else {
            return None;
        };
        if !floor.settings.behaviours.in_dialog || message.tag(b"To").is_none() {
            return None;
        }
        let offer = body(message.bytes);
        let own = match method {
            b"OPTIONS" => None,
            b"UPDATE" if offer.is_empty() => None,
            // While our own INVITE is open this is a glare, which is for scenarios to play.
            b"UPDATE" | b"INVITE" if !self.has_sent_invite => {
                let own = self.description(now, scenario, floor)?;
                let is_same = offer.is_empty() || agree(offer, &own);
                Some(is_same.then_some(own)?)
            }
            _ => return None,
        };
        let mut bytes = std::mem::take(&mut floor.scratch);
        // The scenario goes on with the message that it has seen itself.
        let seen = self.texts.text(Part::Received).to_vec();
        self.texts.set(Part::Received, message.bytes);
        let answer = &scenario.defaults.refreshed;
        let fault = self.render(now, self.step, &answer.text, floor, &mut bytes);
        self.texts.set(Part::Received, &seen);
        // Behind the headers stands an empty line, which comes later.
        bytes.truncate(bytes.len() - b"\r\n".len());
        add_session(message, &mut bytes);
        add_body(own.as_deref().unwrap_or_default(), &mut bytes);
        if self.check(now, fault, &bytes, floor) && !floor.loses(floor.settings.lost) {
            self.transmit(now, &bytes, floor);
        }
        floor.scratch = bytes;
        if method == b"INVITE" {
            self.refreshed = message.cseq().map(|(number, _)| number);
        }
        floor.statistics.auto_answered += 1;
        Some(Flow::Wait)
    }

    /// The description that the scenario has sent last, made once more.
    fn description(&self, now: Instant, scenario: &Scenario, floor: &mut Floor) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let passed = scenario.steps.iter().enumerate().take(self.step);
        passed.rev().find_map(|(place, step)| {
            let StepKind::Send(send) = &step.kind else {
                return None;
            };
            let fault = self.render(now, place, &send.message.text, floor, &mut bytes);
            let kind = Received::new(&bytes)?.header(b"Content-Type")?;
            let is_ours = kind.eq_ignore_ascii_case(b"application/sdp") && fault.is_none();
            is_ours.then(|| body(&bytes).to_vec())
        })
    }
}

/// Whether an offer leaves the session as we have described it: as many streams, which go the same
/// ways (RFC 3264 §6.1).
fn agree(offer: &[u8], own: &[u8]) -> bool {
    let offered = directions(offer).into_iter().map(Direction::mirrored);
    offered.eq(directions(own))
}

/// Which way each stream of a description goes.
fn directions(description: &[u8]) -> Vec<Direction> {
    let mut whole = Direction::Both;
    let mut found: Vec<Direction> = Vec::new();
    for line in description.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        if line.starts_with(b"m=") {
            found.push(whole);
        } else if let Some(direction) = Direction::of(line) {
            *found.last_mut().unwrap_or(&mut whole) = direction;
        }
    }
    found
}

/// RFC 4028 §9: the answer repeats the interval and says who refreshes, which is whoever does it
/// now, and demands the extension where that is the peer.
fn add_session(message: &Received<'_>, bytes: &mut Vec<u8>) {
    let Some(interval) = message.header(b"Session-Expires") else {
        return;
    };
    let refresher = super::super::message::parameter(interval, b"refresher");
    bytes.extend_from_slice(b"Session-Expires: ");
    bytes.extend_from_slice(interval);
    if refresher.is_none() {
        bytes.extend_from_slice(b";refresher=uac");
    }
    bytes.extend_from_slice(b"\r\n");
    if refresher.is_none_or(|who| who.eq_ignore_ascii_case(b"uac")) {
        bytes.extend_from_slice(b"Require: timer\r\n");
    }
}

fn add_body(description: &[u8], bytes: &mut Vec<u8>) {
    if !description.is_empty() {
        bytes.extend_from_slice(b"Content-Type: application/sdp\r\n");
    }
    let length = format!("Content-Length: {}\r\n\r\n", description.len());
    bytes.extend_from_slice(length.as_bytes());
    bytes.extend_from_slice(description);
}
