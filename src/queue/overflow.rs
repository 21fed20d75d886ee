//! Limits of a queue, and where callers go who meet one. A caller is sent elsewhere by its own
//! shard: until somebody answers there, the queue keeps the place, and a caller who cannot go
//! stays where it may, or is refused where it may not. Nobody comes back to a queue that it has
//! overflowed from.

use crate::call::{self, ForwardReason, QueueRefusal};
use crate::config::{DnIndex, Overflow, Queue, QueueIndex};
use crate::counters::Counter;
use crate::cti::{CallInfo, CallState, ConnId, ErrorCode, EventName};
use crate::sip::Status;

use super::entering::Entering;
use super::events::{call_event, name_destination};
use super::line::Line;
use super::place::{ChosenBy, Leaving, RoutersTurn, Stage};
use super::step::{Step, Timer};

/// What a caller meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// As many wait as may.
    Full,
    /// It has waited as long as it may.
    Wait,
    /// No agent of the queue is logged in.
    NoAgents,
    /// The queue is closed.
    Closed,
    /// As many agents have left it unanswered as may.
    NoAnswer,
}

/// Where a caller goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// Away.
    Refused(Status),
    /// To a queue's name, or a number.
    To(String),
}

impl Limit {
    /// What is configured for it.
    fn overflow(self, queue: &Queue) -> Option<&Overflow> {
        match self {
            Self::Full => Some(&queue.overflow.full),
            Self::Wait => Some(&queue.overflow.wait),
            Self::NoAgents => queue.overflow.no_agents.as_ref(),
            Self::Closed => Some(&queue.overflow.closed),
            Self::NoAnswer => Some(&queue.overflow.no_answer),
        }
    }

    /// What a caller is told who may not stay and cannot go elsewhere.
    fn status(self) -> Status {
        match self {
            // Not 503, which would make the PBX take us for dead.
            Self::Full => Status::BUSY_HERE,
            Self::Wait | Self::NoAgents | Self::Closed | Self::NoAnswer => {
                Status::TEMPORARILY_UNAVAILABLE
            }
        }
    }

    fn refusal(self, status: Status) -> QueueRefusal {
        match self {
            Self::Full => QueueRefusal::Full(status),
            Self::Wait | Self::NoAgents | Self::Closed | Self::NoAnswer => {
                QueueRefusal::Limit(status)
            }
        }
    }
}

/// Where a limit leads from a queue; nowhere if the caller is there or has been there, be it by
/// the number of a routing point.
fn way(step: &Step<'_>, limit: Limit, (visited, info): (&[QueueIndex], &CallInfo)) -> Option<Way> {
    let overflow = limit.overflow(step.config.queue_at(step.queue))?;
    let (leads_to, way) = match overflow {
        Overflow::Refuse(status) => (None, Way::Refused(Status(*status))),
        Overflow::Queue(queue) => {
            let name = step.config.queue_at(*queue).name.to_string();
            (Some(*queue), Way::To(name))
        }
        Overflow::Number(number) => {
            let to = step.home_at(number, info);
            (to, Way::To(number.to_string()))
        }
    };
    let leads_back = |queue| queue == step.queue || visited.contains(&queue);
    (!leads_to.is_some_and(leads_back)).then_some(way)
}

impl Line {
    /// A caller comes who may not come in.
    pub(super) fn turn_away(&mut self, step: &mut Step<'_>, entering: Entering, limit: Limit) {
        let call = entering.call;
        let way = way(step, limit, (&entering.visited, &entering.info));
        match way.unwrap_or(Way::Refused(limit.status())) {
            Way::Refused(status) => {
                let refusal = limit.refusal(status);
                step.tell_call(call, call::Input::QueueRefused { refusal });
            }
            Way::To(destination) => {
                self.take_in(step, entering, Stage::Leaving(Leaving::Overflow));
                if let Some(call) = self.calls.get_mut(&call.conn_id) {
                    (call.kept_out, call.sent_for) = (Some(limit), Some(limit));
                }
                self.emit_queued(step, call.conn_id);
                send(step, call, destination, ForwardReason::Overflow);
            }
        }
    }

    /// Sends a caller who waits elsewhere; `false` if it stays.
    pub(super) fn overflow(&mut self, step: &mut Step<'_>, conn_id: ConnId, limit: Limit) -> bool {
        let call = self.call(conn_id);
        if !call.is_home(step) {
            return false;
        }
        let call_ref = call.call;
        let way = way(step, limit, (&call.visited, &call.info));
        match way {
            None => {
                self.note_effect(conn_id, limit);
                false
            }
            Some(Way::Refused(status)) => {
                self.refuse(step, conn_id, limit.refusal(status));
                true
            }
            Some(Way::To(destination)) => {
                self.set_stage(step, conn_id, Stage::Leaving(Leaving::Overflow));
                if let Some(call) = self.calls.get_mut(&conn_id) {
                    call.sent_for = Some(limit);
                }
                send(step, call_ref, destination, ForwardReason::Overflow);
                true
            }
        }
    }

    /// Sends a caller elsewhere who may not come in, or refuses it.
    pub(super) fn send_on(&mut self, step: &mut Step<'_>, conn_id: ConnId, limit: Limit) {
        if !self.overflow(step, conn_id, limit) {
            self.refuse(step, conn_id, limit.refusal(limit.status()));
        }
    }

    /// A limit has had its effect. It has one only: where a caller cannot go now, it is not sent
    /// again and again.
    fn note_effect(&mut self, conn_id: ConnId, limit: Limit) {
        let Some(call) = self.calls.get_mut(&conn_id) else {
            return;
        };
        match limit {
            Limit::Wait => call.is_overdue = false,
            Limit::NoAnswer => call.unanswered = 0,
            Limit::NoAgents => call.is_deserted = false,
            Limit::Full | Limit::Closed => {}
        }
    }

    /// Ends the wait of a caller for good.
    fn refuse(&mut self, step: &mut Step<'_>, conn_id: ConnId, refusal: QueueRefusal) {
        let call = self.call(conn_id);
        let call_ref = call.call;
        let mut event = call_event(step, EventName::Released, call);
        event.call_state = Some(CallState::Overflowed);
        step.emit(event);
        step.tell_call(call_ref, call::Input::QueueRefused { refusal });
        self.remove(step, conn_id);
    }

    /// From here on the caller may wait so long.
    pub(super) fn start_limit(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        let Some(most) = step.config.queue_at(step.queue).wait_max else {
            return;
        };
        let timer = step.arm(step.now + most, Timer::Limit(conn_id));
        if let Some(call) = self.calls.get_mut(&conn_id) {
            call.limit = Some(timer);
        }
    }

    /// The caller has waited as long as it may. One who is being offered has that chance first.
    pub(super) fn limit_reached(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        let Some(call) = self.calls.get_mut(&conn_id) else {
            return;
        };
        (call.limit, call.is_overdue) = (None, true);
        match call.stage {
            Stage::Waiting | Stage::Asked(_) => {
                self.overflow(step, conn_id, Limit::Wait);
            }
            Stage::Delayed(_)
            | Stage::Offered(..)
            | Stage::Ringing(..)
            | Stage::Elsewhere(..)
            | Stage::Leaving(_) => {}
        }
    }

    /// An agent has logged in or out. When the last one goes, so do those who wait, and whoever is
    /// under way to an agent or elsewhere, if it comes back.
    pub(super) fn agent_present(&mut self, step: &mut Step<'_>, dn: DnIndex, present: bool) {
        let was_anybody = self.ready.is_anybody_present();
        self.ready.set_present(dn, present);
        let configured = &step.config.queue_at(step.queue).overflow.no_agents;
        if configured.is_none() || !was_anybody || self.ready.is_anybody_present() {
            return;
        }
        let all = self.calls.values_mut();
        all.for_each(|call| call.is_deserted = true);
        let asked = self.asked.iter().map(|(_, conn_id)| *conn_id);
        let waiting: Vec<ConnId> = self.waiting().chain(asked).collect();
        for conn_id in waiting {
            self.overflow(step, conn_id, Limit::NoAgents);
        }
    }

    /// Whom the call was sent to rings: for clients it has left the queue, though it may come back.
    pub(super) fn forward_rings(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        destination: String,
    ) {
        let Some(call) = self.calls.get(&conn_id) else {
            return;
        };
        let chosen_by = match &call.stage {
            Stage::Leaving(Leaving::Routed(_)) => ChosenBy::Router,
            Stage::Leaving(Leaving::Rings(_)) | Stage::Ringing(..) | Stage::Elsewhere(..) => return,
            Stage::Offered(dn, routed) => {
                // The call was on its way already, and returns the agent.
                let (dn, routed) = (*dn, routed.clone());
                self.ready.settle(dn, conn_id);
                self.another_has_it(step, conn_id, routed);
                ChosenBy::Queue
            }
            Stage::Leaving(Leaving::Overflow)
            | Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting => ChosenBy::Queue,
        };
        self.emit_gone(step, conn_id, destination);
        self.set_stage(step, conn_id, Stage::Leaving(Leaving::Rings(chosen_by)));
    }

    /// The call has gone where it was sent: by us, or by somebody else.
    pub(super) fn forwarded(&mut self, step: &mut Step<'_>, conn_id: ConnId, destination: String) {
        if self.calls.contains_key(&conn_id) {
            self.emit_gone(step, conn_id, destination);
            self.remove(step, conn_id);
        }
    }

    /// Tells clients where the call has gone, unless they have heard that it was diverted.
    fn emit_gone(&self, step: &mut Step<'_>, conn_id: ConnId, destination: String) {
        let call = self.call(conn_id);
        let (routed, call_state) = match &call.stage {
            Stage::Leaving(Leaving::Routed(routed)) => (Some(routed), CallState::Ok),
            Stage::Leaving(Leaving::Overflow) => (None, CallState::Overflowed),
            Stage::Leaving(Leaving::Rings(_)) | Stage::Ringing(..) | Stage::Elsewhere(_, true) => {
                return;
            }
            Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting
            | Stage::Offered(..)
            | Stage::Elsewhere(_, false) => (None, CallState::Redirected),
        };
        if !call.is_home(step) {
            return;
        }
        if call_state == CallState::Overflowed {
            step.count(Counter::QueueOverflow);
        }
        if let Some(routed) = routed {
            let mut event = call_event(step, EventName::RouteUsed, call);
            name_destination(&mut event, destination.clone());
            event.route_type = Some(routed.route_type);
            event.requested_by = Some(routed.requested_by);
            event.reasons.clone_from(&routed.reasons);
            step.emit(event);
        }
        let mut event = call_event(step, EventName::Diverted, call);
        name_destination(&mut event, destination);
        event.call_state = Some(call_state);
        step.emit(event);
    }

    /// The call could not go where it was sent.
    pub(super) fn forward_failed(&mut self, step: &mut Step<'_>, conn_id: ConnId, code: ErrorCode) {
        let Some(call) = self.calls.get_mut(&conn_id) else {
            return;
        };
        let sent_for = call.sent_for.take();
        match &call.stage {
            Stage::Leaving(Leaving::Routed(routed)) => {
                let (routed, why) = (routed.clone(), "the call cannot go there; it waits");
                self.refuse_routed(step, conn_id, routed, (code, why));
                self.wait_again(step, conn_id, RoutersTurn::GoesOn);
            }
            Stage::Leaving(Leaving::Overflow) => {
                self.stays(step, conn_id, (sent_for, RoutersTurn::Over));
            }
            Stage::Leaving(Leaving::Rings(chosen_by)) => {
                let routers_turn = match chosen_by {
                    ChosenBy::Router => RoutersTurn::Begins,
                    ChosenBy::Queue => RoutersTurn::Over,
                };
                self.emit_queued(step, conn_id);
                self.stays(step, conn_id, (sent_for, routers_turn));
            }
            // Another of its queues sent it, or it was on its way to an agent when it was sent.
            Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting
            | Stage::Offered(..)
            | Stage::Ringing(..)
            | Stage::Elsewhere(..) => {}
        }
    }

    /// A caller who was sent elsewhere has not gone.
    fn stays(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        (sent_for, routers_turn): (Option<Limit>, RoutersTurn),
    ) {
        if let Some(limit) = self.call(conn_id).kept_out {
            return self.refuse(step, conn_id, limit.refusal(limit.status()));
        }
        if let Some(limit) = sent_for {
            self.note_effect(conn_id, limit);
        }
        self.wait_again(step, conn_id, routers_turn);
    }
}

/// Asks the call's shard to send the caller elsewhere.
pub(super) fn send(
    step: &mut Step<'_>,
    call: call::CallRef,
    destination: String,
    why: ForwardReason,
) {
    step.tell_call(call, call::Input::Forward { destination, why });
}
