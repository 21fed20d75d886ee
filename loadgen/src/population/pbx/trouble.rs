//! What goes wrong at a PBX on purpose: nodes that restart, fall silent or refuse, storms of
//! NOTIFYs, answers without a description.

use std::time::{Duration, Instant};

use offhook::sip::Status;

use super::legs::LegId;
use super::{Due, Pbx, SubscribeRefusal, mark};
use crate::population::truth::{EndedBy, Fact};

/// How a node refuses a part of what is new: an overloaded trunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BrownOut {
    chance: f64,
    status: Status,
    retry_after: Option<u32>,
}

impl Pbx {
    /// A node restarts: it forgets its transactions, calls and subscriptions without a word.
    pub fn restart(&mut self, now: Instant, node: usize) {
        let state = &mut self.nodes[node];
        state.restarts += 1;
        state
            .exchange
            .restart(mark(self.seed, node, state.restarts));
        // Before the calls: whom it has forgotten it tells nothing of their end.
        self.drop_subscriptions(now, node);
        let legs: Vec<LegId> = self
            .legs
            .iter()
            .filter(|(_, leg)| leg.node == node)
            .map(|(id, _)| *id)
            .collect();
        for leg in legs {
            if let Some(leg) = self.remove_leg(now, leg) {
                let (token, by) = (leg.token, EndedBy::Outage);
                let dn = self.phones[leg.phone].dn.clone();
                self.log.add(now, Fact::PhoneEnded { token, dn, by });
            }
        }
    }

    /// A node forgets its subscriptions only: their refreshes get 481.
    pub fn forget_subscriptions(&mut self, now: Instant, node: usize) {
        self.drop_subscriptions(now, node);
    }

    /// A node is cut off: nothing reaches it and nothing leaves it; its clock goes on.
    pub fn go_silent(&mut self, node: usize) {
        self.nodes[node].exchange.set_silent(true);
    }

    /// The node is reachable again.
    pub fn come_back(&mut self, node: usize) {
        self.nodes[node].exchange.set_silent(false);
    }

    /// Whether a node is cut off.
    #[must_use]
    pub fn is_silent(&self, node: usize) -> bool {
        self.nodes[node].exchange.is_silent()
    }

    /// A node answers every new request with this status, and Retry-After in seconds; `None` ends
    /// that. Requests in dialogs of calls are served all the same.
    pub fn set_refusal(&mut self, node: usize, refusal: Option<(Status, Option<u32>)>) {
        self.set_brown_out(node, refusal.map(|(status, after)| (1.0, status, after)));
    }

    /// The same for a part of all new requests, as chance has it.
    pub fn set_brown_out(&mut self, node: usize, refusal: Option<(f64, Status, Option<u32>)>) {
        self.nodes[node].brown_out = refusal.map(|(chance, status, retry_after)| BrownOut {
            chance,
            status,
            retry_after,
        });
    }

    /// A node refuses SUBSCRIBEs; `None` ends that.
    pub fn set_subscribe_refusal(&mut self, node: usize, refusal: Option<SubscribeRefusal>) {
        self.nodes[node].subscribe_refusal = refusal;
    }

    /// This part of all phones answers without a session description; `None` ends that.
    pub fn set_mute_answers(&mut self, chance: Option<f64>) {
        self.mute_answers = chance.unwrap_or(0.0);
    }

    /// Every subscription gets this many NOTIFYs that say nothing new, evenly within `length`.
    pub fn storm(&mut self, now: Instant, rounds: u32, length: Duration) {
        for round in 0..rounds {
            let at = now + length * round / rounds.max(1);
            self.agenda.add(at, Due::Storm);
        }
    }

    /// One round of a storm.
    pub(super) fn storm_round(&mut self, now: Instant) {
        for id in self.subscriptions.keys().copied().collect::<Vec<_>>() {
            self.notify(now, id, None);
        }
    }

    /// How this new request is refused, if it is.
    pub(super) fn refuses(&mut self, node: usize) -> Option<(Status, Option<u32>)> {
        let BrownOut {
            chance,
            status,
            retry_after,
        } = self.nodes[node].brown_out?;
        (chance >= 1.0 || self.random.chance(chance)).then_some((status, retry_after))
    }
}
