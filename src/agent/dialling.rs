//! Calls that the agent makes: by its desktop, which asks here whether the phone is free for it, or
//! by the phone itself, which is simply noted. Where the call goes is the call's business.

use std::time::Instant;

use crate::call::CallRef;
use crate::counters::Counter;
use crate::cti::{ErrorCode, EventName, KeyValueList, RequestedBy};

use super::reservation::lease;
use super::state::Agent;
use super::step::Step;
use super::visits::{Source, Stage};
use super::votes::{Gone, PresenceVote};
use super::{Output, Party, Place};

/// A call that was asked for and is not there yet.
#[derive(Debug)]
pub(super) struct Placing {
    /// Whom the call will answer.
    pub(super) requested_by: RequestedBy,
    /// Until when there must be a call.
    pub(super) lease: Instant,
}

impl Agent {
    /// A desktop wants a call made. It needs no agent who is logged in, only a phone.
    pub(super) fn make_call(
        &mut self,
        step: &mut Step<'_>,
        whom: RequestedBy,
        (destination, user_data, reasons): (String, KeyValueList, KeyValueList),
    ) {
        let number = step.number();
        let refusal = if *destination == *number {
            Some((
                ErrorCode::InvalidCalledDN,
                format!("{number} cannot call itself"),
            ))
        } else if self.votes.presence == PresenceVote::Out(Gone::Known) {
            let why = format!("the phone of {number} is not registered");
            Some((ErrorCode::OutOfService, why))
        } else if !step.phone_has_a_way() {
            let why = format!("no trunk to {number} is in service");
            Some((ErrorCode::OutOfService, why))
        } else if !self.may_call() {
            let why = format!("{number} is in a call; hold it first");
            Some((ErrorCode::WrongState, why))
        } else if self.visits.is_full() {
            let why = format!("{number} has as many calls as it may");
            Some((ErrorCode::TooBusy, why))
        } else {
            None
        };
        if let Some((code, why)) = refusal {
            return step.refuse(whom, code, why);
        }
        self.placing = Some(Placing {
            requested_by: whom,
            lease: step.now + lease(step, None),
        });
        self.watch_leases(step);
        step.outputs.push_back(Output::Place(Box::new(Place {
            dn: step.dn,
            destination,
            user_data,
            requested_by: whom,
            reasons,
        })));
    }

    /// The engine has made the call, or could not.
    pub(super) fn placed(&mut self, step: &mut Step<'_>, call: Option<CallRef>) {
        if self.placing.take().is_none() {
            return;
        }
        match call {
            Some(call) if self.visits.position(call).is_none() => {
                self.occupy(step, call, Source::Own);
            }
            Some(_) => self.watch_leases(step),
            None => {
                self.watch_leases(step);
                self.calls_changed(step);
            }
        }
    }

    /// The DN calls somebody: as its desktop asked, or by the phone itself, which needs no leave.
    pub(super) fn dials(&mut self, step: &mut Step<'_>, known: Option<usize>, party: &Party) {
        let index = match known {
            Some(index) if self.visits[index].is_shown() => {
                return Self::acknowledge(step, party.requested_by);
            }
            Some(index) => index,
            None if self.visits.is_full() => {
                step.count(Counter::CallNotShown);
                return Self::acknowledge(step, party.requested_by);
            }
            None => self.occupy(step, party.call, Source::Own),
        };
        let asked = self.placing.as_ref().map(|placing| placing.requested_by);
        if asked.is_some() && asked == party.requested_by {
            self.placing = None;
        }
        self.visits[index].stage = Stage::Dialing;
        self.visits[index].class = self.class_of(step, index, party);
        // Whoever is called may wait in a queue for hours.
        self.end_lease(step, index);
        self.lift_handset(step, index);
        self.show(step, index, EventName::Dialing, party);
    }

    /// Whether the phone has nothing in its way: every call at it is on hold.
    fn may_call(&self) -> bool {
        let held = self.visits.iter().all(|visit| visit.stage == Stage::Held);
        held && self.placing.is_none()
    }
}
