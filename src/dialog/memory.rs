//! What is left of a leg or a subscription when the process is not: its dialog, written down once
//! it stands, and taken up by the next process. Transactions do not survive; peers repeat what was
//! not answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Credentials;
use crate::journal::field::{Field, fields};
use crate::limits::{
    CSEQ_AFTER_RECALL, LATE_ANSWERS_MAX, LEGS_MAX, PROBE_WITHIN, SUBSCRIPTIONS_MAX,
};

use super::accepted::{Accepted, Unheard};
use super::authorization::Authorization;
use super::call_dialog::CallDialog;
use super::dialog::Dialog;
use super::inbound::Unacknowledged;
use super::leg::{Leg, Stage};
use super::session::Session;
use super::subscription::{Place, Subscription};
use super::turn::Turn;
use super::{Body, LegKey, Party, SubscriptionKey, Target, UserAgent};

/// A leg as it was written down.
#[derive(Debug)]
pub struct LegMemory {
    dialog: Box<CallDialog>,
    /// Who is across.
    party: Option<Arc<Party>>,
    /// Our 2xx, of which the far end may not have heard.
    unheard: Option<Unheard>,
    /// What our ACKs said to 2xx that may come again, by the numbers of their INVITEs.
    answers: Vec<(u32, Body)>,
}

fields!(LegMemory {
    dialog,
    party,
    unheard,
    answers,
});

impl LegMemory {
    /// Its Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.dialog.call_id()
    }
}

/// A subscription as it was written down.
#[derive(Debug)]
pub struct SubscriptionMemory {
    dialog: Box<Dialog>,
}

fields!(SubscriptionMemory { dialog });

impl SubscriptionMemory {
    /// Where its first SUBSCRIBE went.
    #[must_use]
    pub fn peer(&self) -> Target {
        self.dialog.peer()
    }

    /// The number of the last SUBSCRIBE that was written down.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.dialog.local_cseq
    }
}

impl UserAgent {
    /// Writes a subscription down that has a dialog; else `false`, and nothing.
    pub fn remember_subscription(&self, key: SubscriptionKey, out: &mut Vec<u8>) -> bool {
        let subscription = self.subscription(key);
        let dialog = subscription.and_then(Subscription::to_memory);
        if let Some(dialog) = &dialog {
            dialog.write(out);
        }
        dialog.is_some()
    }

    /// The number of the last SUBSCRIBE of a subscription; `None` if it is over.
    #[must_use]
    pub fn subscribed_number(&self, key: SubscriptionKey) -> Option<u32> {
        self.subscription(key).map(Subscription::number)
    }

    /// Takes a subscription up that an earlier process had; `credentials` are its trunk's. `None`
    /// where there is no room, or it is there already.
    pub fn recall_subscription(
        &mut self,
        owner: u32,
        memory: SubscriptionMemory,
        credentials: Option<Arc<Credentials>>,
    ) -> Option<SubscriptionKey> {
        let SubscriptionMemory { mut dialog } = memory;
        let call_id = dialog.call_id().to_owned();
        let is_there = self.core.table.subscription(&call_id).is_some();
        let is_full = self.subscriptions.len() >= SUBSCRIPTIONS_MAX;
        if is_there || dialog.remote_tag().is_none() || is_full {
            return None;
        }
        // As in a leg: a gap does no harm, and a number that comes again does.
        dialog.local_cseq = dialog.local_cseq.saturating_add(CSEQ_AFTER_RECALL);
        dialog.authorization = credentials.map(Authorization::new).map(Box::new);
        let key = self.subscriptions.insert(Place {
            owner,
            subscription: Some(Subscription::recalled(dialog)),
        });
        let table = &mut self.core.table;
        table.insert_subscription(&call_id, key);
        Some(key)
    }

    /// Writes a leg down, if it has its 2xx and nobody has hung up; else `None`.
    pub fn remember(&self, leg: LegKey, out: &mut Vec<u8>) {
        let leg = self.leg(leg);
        let leg = leg.filter(|leg| match leg.stage() {
            Stage::Answered | Stage::Confirmed => true,
            Stage::Early | Stage::Ending => false,
        });
        leg.is_some().write(out);
        if let Some(leg) = leg {
            leg.write(out);
        }
    }

    /// Keeps in mind from now on which legs are over.
    pub fn watch_over(&mut self) {
        self.over = Some(Vec::new());
    }

    /// Those that are over since this was last asked.
    pub fn take_over(&mut self) -> Vec<LegKey> {
        self.over.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Writes down a leg that stood and was hung up, as long as its far end may not know; gives
    /// back its tag.
    pub fn remember_leaving(&self, leg: LegKey, out: &mut Vec<u8>) -> Option<u64> {
        let leg = self.leg(leg)?;
        match leg {
            Leg::HangingUp(_) | Leg::Leaving(_) => {}
            Leg::Ringing(_)
            | Leg::Unacknowledged(_)
            | Leg::Calling(_)
            | Leg::CancelHeld(_)
            | Leg::Cancelling(_)
            | Leg::Answered(_)
            | Leg::Confirmed(_)
            | Leg::Over(_) => return None,
        }
        leg.write(out);
        Some(leg.dialog().local_tag.0)
    }

    /// Takes a leg up that an earlier process had. Whether the far end still has it is asked soon,
    /// but not of all at once. `None` where there is no room, or it is there already.
    pub fn recall(&mut self, now: Instant, memory: LegMemory) -> Option<LegKey> {
        let LegMemory {
            mut dialog,
            party,
            unheard,
            mut answers,
        } = memory;
        answers.sort_unstable_by_key(|(cseq, _)| std::cmp::Reverse(*cseq));
        answers.truncate(LATE_ANSWERS_MAX);
        let (call_id, local_tag) = (dialog.call_id().to_owned(), dialog.local_tag);
        let is_there = self.core.table.find(&call_id, &local_tag.text()).is_some();
        if is_there || self.legs.len() >= LEGS_MAX {
            return None;
        }
        // What was sent after it was written down had numbers, too. A gap does no harm
        // (RFC 3261 §12.2.2).
        let last = dialog.local_cseq.saturating_add(CSEQ_AFTER_RECALL);
        dialog.local_cseq = last;
        if let Some(party) = &party {
            dialog.is_across(party, &self.core);
        }
        let key = self.legs.insert(None);
        self.core.table.insert(&call_id, local_tag, key);
        if let (Some(unheard), Some(tag)) = (&unheard, dialog.remote_tag()) {
            let table = &mut self.core.table;
            table.insert_accepted(&call_id, tag, unheard.cseq());
        }
        let mut turn = Turn {
            now,
            leg: key,
            session_id: dialog.session_id.as_deref().copied(),
            core: &mut self.core,
        };
        let rare = dialog.rare_mut();
        (rare.answers, rare.numbers_before) = (answers, last);
        let leg = match unheard {
            // The ACK says more than any probe.
            Some(unheard) => {
                dialog.timer.begin(&mut turn);
                Unacknowledged::recall(&mut turn, dialog, unheard)
            }
            None => {
                if !dialog.timer.recall(&mut turn) {
                    turn.core.probe_within(now, key, PROBE_WITHIN);
                }
                Leg::Confirmed(Session::called(dialog))
            }
        };
        self.put(key, leg);
        Some(key)
    }
}

impl Turn<'_> {
    /// A time up to `most`, so that what is due for many legs is not due at once.
    pub(super) fn soon(&mut self, most: Duration) -> Duration {
        let most = u32::try_from(most.as_millis()).expect("a limit of ours is short");
        Duration::from_millis(u64::from(self.core.below(most)))
    }
}

impl Leg {
    /// As [`LegMemory`] is read.
    fn write(&self, out: &mut Vec<u8>) {
        let dialog = self.dialog();
        let (accepted, invites) = match self {
            Self::Unacknowledged(state) => (Some(state.accepted()), None),
            Self::HangingUp(state) => (Some(state.accepted()), None),
            Self::Confirmed(state) => (None, Some(&state.invites)),
            Self::Leaving(state) => (None, Some(state.invites())),
            Self::Ringing(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Over(_) => (None, None),
        };
        let mut answers = invites.map_or(Vec::new(), |invites| invites.answers(dialog));
        if let Some(rare) = dialog.rare() {
            answers.extend_from_slice(&rare.answers);
        }
        dialog.write(out);
        dialog.party().cloned().write(out);
        accepted.and_then(Accepted::unheard).write(out);
        answers.write(out);
    }
}
