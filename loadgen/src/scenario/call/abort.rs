//! What is sent without a step: answers to requests that no scenario wants to spell out, and the
//! messages that leave the peer in peace when a call is given up.

use std::time::Instant;

use super::super::floor::Floor;
use super::super::message::{Kind, Received};
use super::super::statistics::Failure;
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
        let step = self.step;
        if self.has_sent_invite && !self.is_established {
            if is_refused {
                self.send_default(now, step, &defaults.ack, floor);
            } else if self.awaits_ack {
                self.send_default(now, step, &defaults.ack, floor);
                self.send_default(now, step, &defaults.bye, floor);
            } else {
                self.send_default(now, step, &defaults.cancel, floor);
            }
        } else if self.is_established {
            self.send_default(now, step, &defaults.bye, floor);
        }
    }
}
