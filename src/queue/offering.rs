//! What becomes of an offer, and of calls that are on their way to an agent of another queue in
//! which the caller waits as well. Such a call keeps its place here, and nobody here gets it.

use crate::agent::EndCause;
use crate::config::DnIndex;
use crate::counters::Counter;
use crate::cti::{ConnId, ErrorCode, EventName};
use crate::limits::UNANSWERED_REMEMBERED_MAX;

use super::events::{call_event, name_agent};
use super::line::Line;
use super::overflow::Limit;
use super::place::{ChosenBy, Leaving, Routed, RoutersTurn, Stage, offer_error};
use super::step::{Step, Timer};

/// Why an agent did not take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    /// What a router is told.
    code: ErrorCode,
    /// Whether the phone rang for as long as it may.
    is_no_answer: bool,
}

impl Failure {
    /// The offer came to an end.
    pub(super) fn of(cause: EndCause) -> Self {
        Self {
            code: offer_error(cause),
            is_no_answer: cause == EndCause::NoAnswer,
        }
    }

    /// The agent was not to be had.
    pub(super) fn refused() -> Self {
        Self {
            code: ErrorCode::DestinationState,
            is_no_answer: false,
        }
    }
}

impl Line {
    /// The call has been promised to an agent: ours, or one of another queue.
    pub(super) fn promised(&mut self, step: &mut Step<'_>, conn_id: ConnId, dn: DnIndex) {
        let Some(call) = self.calls.get_mut(&conn_id) else {
            return;
        };
        match &call.stage {
            Stage::Offered(to, _) if *to == dn => {
                call.is_promised = true;
                return;
            }
            Stage::Offered(to, routed) => {
                let (to, routed) = (*to, routed.clone());
                // The call has returned it, or will.
                self.ready.settle(to, conn_id);
                self.another_has_it(step, conn_id, routed);
            }
            Stage::Leaving(Leaving::Routed(routed)) => {
                let routed = Some(routed.clone());
                self.another_has_it(step, conn_id, routed);
            }
            Stage::Leaving(Leaving::Overflow)
            | Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting => {}
            Stage::Ringing(..) | Stage::Elsewhere(..) | Stage::Leaving(Leaving::Rings(_)) => return,
        }
        self.set_stage(step, conn_id, Stage::Elsewhere(dn, false));
    }

    /// The agent's shard did not reserve the agent for us. If the call has it all the same, then by
    /// way of another queue that has picked it too.
    pub(super) fn refused(&mut self, step: &mut Step<'_>, conn_id: ConnId, dn: DnIndex) {
        step.count(Counter::OfferRefused);
        let Some(call) = self.calls.get(&conn_id) else {
            return self.ready.settle(dn, conn_id);
        };
        let rings = match &call.stage {
            Stage::Offered(to, routed) if *to == dn && call.is_promised => {
                let routed = routed.clone();
                self.another_has_it(step, conn_id, routed);
                false
            }
            Stage::Ringing(to, _) if *to == dn => true,
            Stage::Offered(..)
            | Stage::Ringing(..)
            | Stage::Leaving(_)
            | Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting => return self.offer_failed(step, conn_id, dn, Failure::refused()),
            // It is with that agent by another queue's offer; ours is over.
            Stage::Elsewhere(..) => return self.ready.settle(dn, conn_id),
        };
        self.ready.settle(dn, conn_id);
        self.set_stage(step, conn_id, Stage::Elsewhere(dn, rings));
    }

    /// The agent whose phone rings has sent the call elsewhere.
    pub(super) fn redirected(&mut self, step: &mut Step<'_>, conn_id: ConnId, dn: DnIndex) {
        let Some(call) = self.calls.get_mut(&conn_id) else {
            return;
        };
        let chosen_by = match call.stage {
            Stage::Ringing(to, chosen_by) if to == dn => chosen_by,
            Stage::Ringing(..)
            | Stage::Offered(..)
            | Stage::Elsewhere(..)
            | Stage::Leaving(_)
            | Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting => return,
        };
        if chosen_by == ChosenBy::Router {
            // It chooses again if the call comes back.
            call.router_was_asked = false;
        }
        self.ready.settle(dn, conn_id);
        self.set_stage(step, conn_id, Stage::Elsewhere(dn, true));
    }

    /// The agent is not the one that a router has chosen, if one has.
    pub(super) fn another_has_it(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        routed: Option<Routed>,
    ) {
        if let Some(routed) = routed {
            let why = "the call has gone to another agent";
            self.refuse_routed(step, conn_id, routed, (ErrorCode::WrongState, why));
        }
    }

    /// The phone rings: for clients the call has left the queue, though it may come back.
    pub(super) fn rings(&mut self, step: &mut Step<'_>, conn_id: ConnId, dn: DnIndex) {
        let Some(call) = self.calls.get(&conn_id) else {
            return;
        };
        match &call.stage {
            Stage::Offered(to, routed) if *to == dn => {
                let routed = routed.clone();
                let chosen_by = if routed.is_some() {
                    ChosenBy::Router
                } else {
                    ChosenBy::Queue
                };
                self.set_stage(step, conn_id, Stage::Ringing(dn, chosen_by));
                self.divert(step, conn_id, dn, routed);
            }
            Stage::Elsewhere(to, false) if *to == dn => {
                self.set_stage(step, conn_id, Stage::Elsewhere(dn, true));
                self.divert(step, conn_id, dn, None);
            }
            Stage::Offered(..)
            | Stage::Ringing(..)
            | Stage::Elsewhere(..)
            | Stage::Leaving(_)
            | Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting => {}
        }
    }

    fn divert(&self, step: &mut Step<'_>, conn_id: ConnId, dn: DnIndex, routed: Option<Routed>) {
        let call = self.call(conn_id);
        if !call.is_home(step) {
            return;
        }
        if let Some(routed) = routed {
            let mut event = call_event(step, EventName::RouteUsed, call);
            name_agent(step, &mut event, dn);
            event.route_type = Some(routed.route_type);
            event.requested_by = Some(routed.requested_by);
            event.reasons = routed.reasons;
            step.emit(event);
        }
        let mut event = call_event(step, EventName::Diverted, call);
        name_agent(step, &mut event, dn);
        step.emit(event);
    }

    /// The call is the queue's no more. A phone may answer without having rung.
    pub(super) fn answered(&mut self, step: &mut Step<'_>, conn_id: ConnId, dn: DnIndex) {
        self.rings(step, conn_id, dn);
        if self.offered_to(conn_id) == Some(dn) {
            self.ready.answered(dn);
            self.pace.answered(step.now);
            self.remove(step, conn_id);
        } else if self.is_elsewhere(conn_id, dn) {
            self.remove(step, conn_id);
        }
    }

    fn is_elsewhere(&self, conn_id: ConnId, dn: DnIndex) -> bool {
        let call = self.calls.get(&conn_id);
        call.is_some_and(|call| matches!(call.stage, Stage::Elsewhere(to, _) if to == dn))
    }

    /// The caller waits again. Clients who saw it diverted see it queued again. A router that was
    /// not answered yet is told why, and may choose again; one that was is asked again.
    pub(super) fn offer_failed(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        dn: DnIndex,
        failure: Failure,
    ) {
        self.ready.settle(dn, conn_id);
        if self.offered_to(conn_id) != Some(dn) && !self.is_elsewhere(conn_id, dn) {
            return;
        }
        let call = self.call(conn_id);
        let is_news = !call.router_was_asked;
        let mut routers_turn = if is_news {
            RoutersTurn::Begins
        } else {
            RoutersTurn::Over
        };
        match &call.stage {
            Stage::Offered(_, Some(routed)) => {
                let routed = routed.clone();
                let agent = &step.config.agent_at(dn).dn;
                let why = format!("{agent} did not take the call; it waits");
                self.refuse_routed(step, conn_id, routed, (failure.code, why));
                routers_turn = RoutersTurn::GoesOn;
            }
            Stage::Ringing(_, chosen_by) => {
                if *chosen_by == ChosenBy::Router {
                    routers_turn = RoutersTurn::Begins;
                }
                self.emit_queued(step, conn_id);
            }
            Stage::Elsewhere(_, true) => self.emit_queued(step, conn_id),
            Stage::Elsewhere(_, false)
            | Stage::Offered(_, None)
            | Stage::Leaving(_)
            | Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting => {}
        }
        if failure.is_no_answer {
            self.note_unanswered(conn_id, dn);
        }
        self.wait_again(step, conn_id, routers_turn);
    }

    /// Remembers who left a caller unanswered, the latest of them.
    fn note_unanswered(&mut self, conn_id: ConnId, dn: DnIndex) {
        let Some(call) = self.calls.get_mut(&conn_id) else {
            return;
        };
        call.unanswered = call.unanswered.saturating_add(1);
        call.unanswered_by.retain(|known| *known != dn);
        if call.unanswered_by.len() >= UNANSWERED_REMEMBERED_MAX {
            call.unanswered_by.remove(0);
        }
        call.unanswered_by.push(dn);
    }

    /// Back to where the caller was before the offer, unless it may wait no longer. A limit that it
    /// met on the way, and that could do nothing to it there, does it now.
    pub(super) fn wait_again(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        routers_turn: RoutersTurn,
    ) {
        let call = self.call(conn_id);
        let from = call.since + step.config.entry_at(call.entry).after;
        if from > step.now {
            let stage = Stage::Delayed(step.arm(from, Timer::Delay(conn_id)));
            return self.set_stage(step, conn_id, stage);
        }
        if call.sent_for.is_some() {
            // Its shard has yet to say whether it could go.
            return self.set_stage(step, conn_id, Stage::Leaving(Leaving::Overflow));
        }
        if let Some(limit) = call.kept_out {
            return self.send_on(step, conn_id, limit);
        }
        let limits = self.limits_met(step, conn_id);
        self.set_stage(step, conn_id, Stage::Waiting);
        let mut limits = limits.into_iter().flatten();
        if limits.any(|limit| self.overflow(step, conn_id, limit)) {
            return;
        }
        match routers_turn {
            RoutersTurn::Over => {}
            RoutersTurn::GoesOn => self.wait_for_router(step, conn_id),
            RoutersTurn::Begins => self.ask_router(step, conn_id),
        }
    }

    /// The limits that a caller has met and of which nothing came yet.
    fn limits_met(&self, step: &Step<'_>, conn_id: ConnId) -> [Option<Limit>; 3] {
        let call = self.call(conn_id);
        let may_ring = step.config.queue_at(step.queue).no_answer_max;
        let rang_in_vain = may_ring.is_some_and(|most| call.unanswered >= most);
        let is_alone = call.is_deserted && !self.ready.is_anybody_present();
        [
            rang_in_vain.then_some(Limit::NoAnswer),
            call.is_overdue.then_some(Limit::Wait),
            is_alone.then_some(Limit::NoAgents),
        ]
    }
}
