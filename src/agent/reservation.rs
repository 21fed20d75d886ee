//! The reservation: an agent is promised to one call at a time, and this is where the promise is
//! kept. It is granted, extended while the call's shard reports progress, and returned by every end
//! of the call, or by its lease if no report comes. Who is to be offered is the queue's business.

use std::time::Instant;

use crate::agent::{EndCause, OfferSource, RefusedOffer};
use crate::call::{self, CallRef};
use crate::config::QueueIndex;
use crate::counters::Counter;
use crate::limits::RESERVATION_SLACK;
use crate::queue;

use super::state::Agent;
use super::step::{Step, Timer};
use super::votes::Standing;

/// How far the call at a DN is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Promised to the call; the phone does not ring yet.
    Reserved,
    /// The phone rings.
    Ringing,
    /// Answered.
    Established,
}

/// The call that holds the reservation.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) call: CallRef,
    pub(super) source: OfferSource,
    pub(super) stage: Stage,
    /// Since when the agent was free before: what it has back if its phone is never dialled.
    pub(super) free_since: Option<Instant>,
    /// Whether the call's shard was told that nobody will answer.
    pub(super) withdrawn: Withdrawn,
    /// Who was logged in by a desktop when the call came: its events name this agent, whoever is
    /// at the DN by then. `None` is the default agent.
    pub(super) agent_id: Option<Box<str>>,
}

/// Whether an offer was taken back, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Withdrawn {
    /// It stands.
    No,
    /// The phone is gone or silent.
    ByPhone,
    /// The agent does not want it any more.
    ByDesktop,
}

impl Agent {
    /// A queue wants the agent: it must be free in every respect.
    pub(super) fn reserve_for_queue(
        &mut self,
        step: &mut Step<'_>,
        call: CallRef,
        queue: QueueIndex,
    ) {
        if self.is_available(step) {
            return self.grant(step, call, OfferSource::Queue(queue));
        }
        let why = if self.visit.is_some() {
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

    /// A caller dialled the DN: NotReady is no reason to refuse, another call of ours is.
    pub(super) fn reserve_for_caller(&mut self, step: &mut Step<'_>, call: CallRef) {
        let why = if self.visit.is_some() {
            RefusedOffer::Busy
        } else if self.votes.last() == Standing::LoggedOut {
            RefusedOffer::LoggedOut
        } else if !step.phone_has_a_way() {
            RefusedOffer::Unreachable
        } else {
            return self.grant(step, call, OfferSource::Direct);
        };
        step.tell_call(call, call::Input::DirectRefused { dn: step.dn, why });
    }

    fn grant(&mut self, step: &mut Step<'_>, call: CallRef, source: OfferSource) {
        self.occupy(step, call, source, Stage::Reserved);
        step.tell_call(call, call::Input::Offer { dn: step.dn });
    }

    /// Gives the agent to a call. What presence said in the tail of the call before stays put off.
    pub(super) fn occupy(
        &mut self,
        step: &mut Step<'_>,
        call: CallRef,
        source: OfferSource,
        stage: Stage,
    ) {
        assert!(
            self.visit.is_none(),
            "an agent is promised to one call at a time"
        );
        self.timers.disarm(step, Timer::Tail);
        self.visit = Some(Visit {
            call,
            source,
            stage,
            free_since: self.free_since,
            withdrawn: Withdrawn::No,
            agent_id: self.desktop_login.clone(),
        });
        self.extend_lease(step, source);
    }

    /// Whether the agent has answered a call that is not over.
    pub(super) fn is_talking(&self) -> bool {
        let stage = self.visit.as_ref().map(|visit| visit.stage);
        stage == Some(Stage::Established)
    }

    /// Takes back an offer that was not answered, once. A caller who waits in a queue keeps its
    /// place there; one who dialled the DN hears that nobody can be reached.
    pub(super) fn withdraw(&mut self, step: &mut Step<'_>, why: Withdrawn) {
        let Some(visit) = &mut self.visit else { return };
        if visit.stage == Stage::Established || visit.withdrawn != Withdrawn::No {
            return;
        }
        visit.withdrawn = why;
        let cause = match (why, visit.source) {
            (Withdrawn::ByDesktop, OfferSource::Queue(_)) => EndCause::Declined,
            (Withdrawn::ByDesktop, OfferSource::Direct)
            | (Withdrawn::ByPhone | Withdrawn::No, _) => EndCause::Unreachable,
        };
        let dn = step.dn;
        step.tell_call(visit.call, call::Input::OfferWithdrawn { dn, cause });
    }

    /// From here the phone may ring its full time, on a trunk that needs its full time to fail.
    pub(super) fn extend_lease(&mut self, step: &mut Step<'_>, source: OfferSource) {
        let queue = match source {
            OfferSource::Queue(queue) => Some(queue),
            OfferSource::Direct => None,
        };
        let ringing = step.config.no_answer(step.dn, queue);
        // RFC 3261 §17.1.1.2: a client transaction gives up after 64*T1.
        let silence = step.config.server.t1 * 64;
        self.timers
            .arm(step, Timer::Lease, ringing + silence + RESERVATION_SLACK);
    }

    /// The call's shard has gone silent: a defect, which must not cost the agent's day.
    pub(super) fn lease_expired(&mut self, step: &mut Step<'_>) {
        step.count(Counter::ReservationExpired);
        self.withdraw(step, Withdrawn::ByPhone);
        self.free(step, EndCause::Failed);
    }

    /// Returns the reservation. What follows from the failure of an offer is in `party`.
    pub(super) fn free(&mut self, step: &mut Step<'_>, cause: EndCause) {
        let visit = self
            .visit
            .take()
            .expect("only a reservation that stands is returned");
        self.timers.disarm(step, Timer::Lease);
        if visit.stage != Stage::Established {
            self.offer_failed(step, cause, (visit.withdrawn, visit.source));
        }
        self.log_out_if_missed(step);
        self.own_call_ended(step);
    }
}
