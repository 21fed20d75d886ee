//! Whether a far end still has its call is asked by an OPTIONS within the dialog, where its BYE may
//! have found nobody: after a crash of ours, and after an outage of its peer. An OPTIONS changes
//! nothing, and one who has hung up answers 481 (RFC 3261 §12.2.2).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits::{PROBE_AGAIN, PROBE_WITHIN, PROBES_A_SECOND};
use crate::sip::{Method, Status};

use super::asides::{self, Aside};
use super::compose::Fields;
use super::core::{Core, Timer};
use super::dialog::Dialog;
use super::leg::{Leg, Stage};
use super::turn::Turn;
use super::{LegKey, UserAgent};

impl UserAgent {
    /// Peers are back that were away: the far ends of all calls that go by them are asked soon, but
    /// not all at once. `is_back` says it of an address.
    pub fn probe(&mut self, now: Instant, is_back: impl Fn(IpAddr) -> bool) {
        let stands = |leg: &Leg| {
            let dialog: &Dialog = leg.dialog();
            let address = dialog.peer().address.ip().to_canonical();
            leg.stage() == Stage::Confirmed && is_back(address)
        };
        let legs = self.legs.iter();
        let legs = legs.filter(|(_, leg)| leg.as_ref().is_some_and(stands));
        let legs: Vec<LegKey> = legs.map(|(key, _)| key).collect();
        let paced = Duration::from_secs(legs.len() as u64 / PROBES_A_SECOND);
        for leg in legs {
            self.core.probe_within(now, leg, PROBE_WITHIN.max(paced));
        }
    }
}

impl Core {
    /// The far end of a leg is asked once within this time, if it is not to be asked anyway.
    pub(super) fn probe_within(&mut self, now: Instant, leg: LegKey, most: Duration) {
        if self.probes.contains_key(&leg) {
            return;
        }
        let most = u32::try_from(most.as_millis()).unwrap_or(u32::MAX);
        let after = Duration::from_millis(u64::from(self.below(most)));
        let timer = self.arm(now + after, Timer::Probe(leg));
        self.probes.insert(leg, timer);
    }

    /// The leg is over.
    pub(super) fn forget_probe(&mut self, leg: LegKey) {
        if let Some(timer) = self.probes.remove(&leg) {
            self.disarm(timer);
        }
    }
}

impl Leg {
    /// It is time to ask the far end.
    pub(super) fn probe(mut self, turn: &mut Turn<'_>) -> Self {
        turn.core.probes.remove(&turn.leg);
        if self.stage() == Stage::Confirmed {
            let dialog = self.dialog_mut();
            let (method, fields) = (Method::Options, Fields::default());
            if !asides::send(turn, dialog, method, fields, None, Aside::Probe) {
                turn.core.probe_within(turn.now, turn.leg, PROBE_AGAIN);
            }
        }
        self
    }

    /// What has become of it. Who has hung up says 481, and a proxy that cannot find who has gone
    /// says 408; anything else is a sign of life. After silence, which may be the network's, it is
    /// asked again.
    pub(super) fn probed(self, turn: &mut Turn<'_>, status: Status, is_said: bool) -> Self {
        match (self, status) {
            (Self::Confirmed(state), Status::CALL_DOES_NOT_EXIST) => state.lost(turn),
            (Self::Confirmed(state), Status::REQUEST_TIMEOUT) if is_said => state.lost(turn),
            (leg, Status::REQUEST_TIMEOUT | Status::SERVICE_UNAVAILABLE) => {
                turn.core.probe_within(turn.now, turn.leg, PROBE_AGAIN);
                leg
            }
            (leg, _) => leg,
        }
    }
}
