//! The reservation: an agent is offered one call at a time, and this is where the promise is kept.
//! It is granted, extended while the call's shard reports progress, and returned by every end of
//! the call, or by its lease if no report comes. Who is to be offered is the queue's business.

use std::time::Instant;

use crate::agent::{EndCause, OfferSource, RefusedOffer};
use crate::call::{self, CallRef};
use crate::config::QueueIndex;
use crate::counters::Counter;
use crate::cti::{ClientId, EventName, KeyValueList};
use crate::limits::RESERVATION_SLACK;
use crate::queue;

use super::Party;
use super::events::end_state;
use super::features;
use super::state::Agent;
use super::step::{Step, Timer};
use super::visits::{Class, Source, Stage, Visit, Withdrawn};
use super::votes::Standing;

impl Agent {
    /// A queue wants the agent, or a router for a call of the queue: it must be free in every
    /// respect.
    pub(super) fn reserve_for_queue(
        &mut self,
        step: &mut Step<'_>,
        call: CallRef,
        queue: QueueIndex,
        router: Option<ClientId>,
    ) {
        let is_claimed = self.is_claimed(router);
        if self.is_free() && step.phone_has_a_way() && !is_claimed {
            self.end_claim(step);
            return self.grant(step, call, OfferSource::Queue(queue));
        }
        let why = if self.is_engaged() || self.dnd || is_claimed {
            RefusedOffer::Busy
        } else if self.votes.last() == Standing::LoggedOut {
            RefusedOffer::LoggedOut
        } else if self.is_free() {
            RefusedOffer::Unreachable
        } else {
            RefusedOffer::NotReady
        };
        let (dn, conn_id) = (step.dn, call.conn_id);
        step.tell_queue(queue, queue::Input::Refused { conn_id, dn, why });
    }

    /// Somebody called the DN: NotReady is no reason to refuse, another call of ours is. A call
    /// that the DN does not take goes where calls are forwarded to.
    pub(super) fn reserve_for_caller(&mut self, step: &mut Step<'_>, call: CallRef) {
        let refused = if self.is_engaged() || self.dnd {
            Some(RefusedOffer::Busy)
        } else if self.votes.last() == Standing::LoggedOut {
            Some(RefusedOffer::LoggedOut)
        } else if !step.phone_has_a_way() {
            Some(RefusedOffer::Unreachable)
        } else {
            None
        };
        let forward = self.forward.as_deref();
        let elsewhere = forward.and_then(|forward| features::of_call(step.dn, forward, refused));
        match (elsewhere, refused) {
            (Some(forward), _) => step.tell_call(call, forward),
            (None, Some(why)) => {
                step.tell_call(call, call::Input::DirectRefused { dn: step.dn, why });
            }
            (None, None) => self.grant(step, call, OfferSource::Direct),
        }
    }

    fn grant(&mut self, step: &mut Step<'_>, call: CallRef, source: OfferSource) {
        self.occupy(step, call, source.into());
        let elsewhere = match source {
            OfferSource::Direct => self.forward.clone(),
            OfferSource::Queue(_) | OfferSource::Router(..) => None,
        };
        let dn = step.dn;
        step.tell_call(call, call::Input::Offer { dn, elsewhere });
    }

    /// Gives the agent to a call. What presence said in the tail of the call before stays put off.
    pub(super) fn occupy(&mut self, step: &mut Step<'_>, call: CallRef, source: Source) -> usize {
        self.timers.disarm(step, Timer::Tail);
        let index = self.visits.push(Visit {
            call,
            source,
            class: Class::Private,
            stage: Stage::Reserved,
            was_up: false,
            lease: None,
            ringing: None,
            free_since: self.free_since,
            withdrawn: Withdrawn::No,
            agent_id: self.desktop_login.clone(),
        });
        self.extend_lease(step, index);
        index
    }

    /// Whether the agent is in a call of ours, or promised to one.
    pub(super) fn is_engaged(&self) -> bool {
        !self.visits.is_empty() || self.placing.is_some()
    }

    /// Whether the agent has answered or made a call that is not over.
    pub(super) fn is_talking(&self) -> bool {
        self.visits.are_off_hook() || self.placing.is_some()
    }

    /// Takes back what is offered and not answered, once. A caller who waits in a queue keeps its
    /// place there; one who called the DN hears that nobody can be reached.
    pub(super) fn withdraw(&mut self, step: &mut Step<'_>, why: Withdrawn) {
        for visit in self.visits.iter_mut().filter(|visit| visit.is_offer()) {
            take_back(step, visit, why);
        }
    }

    /// Takes back the call of a queue that is offered and not answered.
    pub(super) fn withdraw_queue_call(&mut self, step: &mut Step<'_>) {
        let of_queue = |visit: &&mut Visit| match visit.source {
            Source::Queue(_) => visit.is_offer(),
            Source::Direct | Source::Own => false,
        };
        for visit in self.visits.iter_mut().filter(of_queue) {
            take_back(step, visit, Withdrawn::ByDesktop);
        }
    }

    /// From here the phone may ring its full time, on a trunk that needs its full time to fail.
    pub(super) fn extend_lease(&mut self, step: &mut Step<'_>, index: usize) {
        let queue = match self.visits[index].source {
            Source::Queue(queue) => Some(queue),
            Source::Direct | Source::Own => None,
        };
        self.visits[index].lease = Some(lease(step, queue));
        self.watch_leases(step);
    }

    /// Notes what rings, so that clients hear of its end even from a call that says nothing more.
    pub(super) fn note_ringing(&mut self, index: usize, party: &Party) {
        self.visits[index].ringing = Some(Box::new(Party {
            requested_by: None,
            reasons: KeyValueList::new(),
            ..party.clone()
        }));
    }

    /// The call will be reported on for as long as it lasts.
    pub(super) fn end_lease(&mut self, step: &mut Step<'_>, index: usize) {
        self.visits[index].lease = None;
        self.visits[index].ringing = None;
        self.watch_leases(step);
    }

    /// One timer serves all leases: it fires when the first ends.
    pub(super) fn watch_leases(&mut self, step: &mut Step<'_>) {
        match self.leases().min() {
            Some(first) => {
                let after = first.saturating_duration_since(step.awake);
                self.timers.arm(step, Timer::Lease, after);
            }
            None => self.timers.disarm(step, Timer::Lease),
        }
    }

    fn leases(&self) -> impl Iterator<Item = Instant> {
        let placing = self.placing.as_ref().map(|placing| placing.lease);
        let leases = self.visits.iter().filter_map(|visit| visit.lease);
        leases.chain(placing)
    }

    /// A call's shard has gone silent: a defect, which must not cost the agent's day.
    pub(super) fn lease_expired(&mut self, step: &mut Step<'_>) {
        // A host that slept has kept the call's shard from saying anything, too.
        let now = step.awake;
        while let Some(index) = self.visits.position_of_over(now) {
            step.count(Counter::ReservationExpired);
            if self.visits[index].is_offer() {
                take_back(step, &mut self.visits[index], Withdrawn::ByPhone);
            }
            if let Some(party) = self.visits[index].ringing.take() {
                let mut event = self.call_event(step, index, EventName::Released, &party);
                event.call_state = Some(end_state(EndCause::Failed));
                step.emit(event);
            }
            self.free(step, index, EndCause::Failed);
        }
        if self
            .placing
            .as_ref()
            .is_some_and(|placing| placing.lease <= now)
        {
            step.count(Counter::ReservationExpired);
            self.placing = None;
            self.calls_changed(step);
        }
        self.watch_leases(step);
    }

    /// Returns the reservation. What follows from the failure of an offer is in `party`.
    pub(super) fn free(&mut self, step: &mut Step<'_>, index: usize, cause: EndCause) {
        let visit = self.visits.remove(index);
        self.watch_leases(step);
        if !visit.was_up && visit.source != Source::Own {
            self.offer_failed(step, cause, (visit.withdrawn, visit.source));
        }
        self.calls_changed(step);
    }

    /// What waits for the end of all calls happens when none is left.
    pub(super) fn calls_changed(&mut self, step: &mut Step<'_>) {
        if !self.is_engaged() {
            self.log_out_if_missed(step);
            self.own_call_ended(step);
        }
    }
}

/// Until when a call's shard may say nothing, by [`Step::awake`].
pub(super) fn lease(step: &Step<'_>, queue: Option<QueueIndex>) -> Instant {
    let ringing = step.config.no_answer(step.dn, queue);
    // RFC 3261 §17.1.1.2: a client transaction gives up after 64*T1.
    let silence = step.config.server.t1 * 64;
    step.awake + ringing + silence + RESERVATION_SLACK
}

fn take_back(step: &mut Step<'_>, visit: &mut Visit, why: Withdrawn) {
    visit.withdrawn = why;
    let cause = match (why, visit.source) {
        (Withdrawn::ByDesktop, Source::Queue(_)) => EndCause::Declined,
        (Withdrawn::ByDesktop, Source::Direct | Source::Own)
        | (Withdrawn::ByPhone | Withdrawn::No, _) => EndCause::Unreachable,
    };
    let dn = step.dn;
    step.tell_call(visit.call, call::Input::OfferWithdrawn { dn, cause });
}
