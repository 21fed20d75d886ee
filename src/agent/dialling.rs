//! Calls that the agent makes, or has in hand again: by its desktop, which asks here whether the
//! phone is free for it, or by the phone itself, which is simply noted. Where the call goes is the
//! call's business.

use std::time::Instant;

use crate::call::{self, CallRef};
use crate::counters::Counter;
use crate::cti::{CallRequest, ErrorCode, EventName, KeyValueList, RequestedBy};
use crate::limits::TAKING_MAX;

use super::reservation::lease;
use super::state::Agent;
use super::step::Step;
use super::visits::{Source, Stage};
use super::votes::{Gone, PresenceVote};
use super::{Output, Party, PartyState, Place};

/// A call that was asked for and is not there yet.
#[derive(Debug)]
pub(super) struct Placing {
    /// Whom the call will answer.
    pub(super) requested_by: RequestedBy,
    /// Until when there must be a call.
    pub(super) lease: Instant,
}

/// A call that was asked to be in hand and is not yet.
#[derive(Debug)]
pub(super) struct Taking {
    call: CallRef,
    requested_by: RequestedBy,
    /// Until when that is in the way of other calls.
    until: Instant,
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
        } else if self.placing.is_some() || self.is_in_hand(step, None) {
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
        self.placing = Some(Box::new(Placing {
            requested_by: whom,
            lease: lease(step, None),
        }));
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

    /// A desktop wants a call in hand. One that is on hold, or that we do not know, is in hand
    /// only if no other one is; whether it may be is the call's to say.
    pub(super) fn take(
        &mut self,
        step: &mut Step<'_>,
        call: CallRef,
        (requested_by, request): (RequestedBy, CallRequest),
    ) {
        let index = self.visits.position(call);
        let is_held = index.is_none_or(|index| self.visits[index].stage == Stage::Held);
        if is_held {
            if self.placing.is_some() || self.is_in_hand(step, Some(call)) {
                let number = step.number();
                let why = format!("{number} has another call in hand: hold it first");
                return step.refuse(requested_by, ErrorCode::WrongState, why);
            }
            let is_taking = |taking: &Taking| taking.call == call && taking.until > step.now;
            // Of two requests that come at once the first is carried out.
            if !self.taking.as_deref().is_some_and(is_taking) {
                self.taking = Some(Box::new(Taking {
                    call,
                    requested_by,
                    until: step.now + TAKING_MAX,
                }));
            }
        }
        let input = call::Input::Request {
            requested_by,
            request,
        };
        step.tell_call(call, input);
    }

    /// Something has become of a call: it is in hand where that answers the request.
    pub(super) fn is_taken(&mut self, party: &Party) {
        let is_over = matches!(party.state, PartyState::Ended(_));
        self.taking.take_if(|taking| {
            let is_answered = party.requested_by == Some(taking.requested_by);
            is_answered || (is_over && taking.call == party.call)
        });
    }

    /// The call has refused the request.
    pub(super) fn not_taken(&mut self, requested_by: RequestedBy) {
        self.taking
            .take_if(|taking| taking.requested_by == requested_by);
    }

    /// Whether a call is in hand, or about to be, beside this one.
    fn is_in_hand(&self, step: &Step<'_>, beside: Option<CallRef>) -> bool {
        let is_other = |call: CallRef| beside != Some(call);
        let mut all = self.visits.iter();
        let taking = self.taking.as_ref();
        all.any(|visit| is_other(visit.call) && visit.stage != Stage::Held)
            || taking.is_some_and(|taking| is_other(taking.call) && taking.until > step.now)
    }
}
