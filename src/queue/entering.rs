//! A caller comes in: what keeps it out, from when on it waits here, and what is enough for it as
//! time passes.

use std::sync::Arc;
use std::time::Instant;

use crate::call::CallRef;
use crate::config::{EntryIndex, EntryKind, QueueIndex, RoutingPointIndex};
use crate::cti::{CallInfo, ConnId};

use super::line::Line;
use super::overflow::Limit;
use super::place::{Call, Stage};
use super::step::{Step, Timer};
use super::waiting::Turn;

/// A caller at the door.
#[derive(Debug)]
pub(super) struct Entering {
    pub(super) call: CallRef,
    pub(super) info: Arc<CallInfo>,
    pub(super) beside: Option<ConnId>,
    pub(super) routing_point: RoutingPointIndex,
    pub(super) entry: EntryIndex,
    pub(super) since: Instant,
    pub(super) returns: bool,
    pub(super) visited: Box<[QueueIndex]>,
}

impl Line {
    pub(super) fn enter(&mut self, step: &mut Step<'_>, entering: Entering) {
        let conn_id = entering.call.conn_id;
        assert!(
            !self.calls.contains_key(&conn_id),
            "a call enters a queue once"
        );
        let entry = step.config.entry_at(entering.entry);
        let from = entering.since + entry.after;
        if entry.kind == EntryKind::Also && from > step.now {
            let stage = Stage::Delayed(step.arm(from, Timer::Delay(conn_id)));
            return self.take_in(step, entering, stage);
        }
        if entering.returns && entry.kind != EntryKind::Also {
            return self.come_back(step, entering);
        }
        match (self.limit(step), entry.kind) {
            (None, EntryKind::Also) => self.take_in(step, entering, Stage::Waiting),
            // It waits at home.
            (Some(_), EntryKind::Also) => {}
            (None, EntryKind::Home | EntryKind::Overflow) => {
                self.come_in(step, entering);
            }
            (Some(limit), EntryKind::Home | EntryKind::Overflow) => {
                self.turn_away(step, entering, limit);
            }
        }
    }

    fn come_in(&mut self, step: &mut Step<'_>, entering: Entering) {
        let conn_id = entering.call.conn_id;
        self.take_in(step, entering, Stage::Waiting);
        self.emit_queued(step, conn_id);
        self.say_where(step, conn_id);
        self.start_limit(step, conn_id);
        self.ask_router(step, conn_id);
    }

    /// Somebody who was answered here, and whose agent failed, came in time: the queue may be full
    /// or closed by now. If nobody is left to serve it, it goes where those go who wait.
    fn come_back(&mut self, step: &mut Step<'_>, entering: Entering) {
        let conn_id = entering.call.conn_id;
        self.come_in(step, entering);
        if !self.ready.is_anybody_present() {
            self.overflow(step, conn_id, Limit::NoAgents);
        }
    }

    /// What keeps callers out who come now.
    fn limit(&self, step: &Step<'_>) -> Option<Limit> {
        let queue = step.config.queue_at(step.queue);
        let calendar = queue
            .calendar
            .map(|calendar| step.config.calendar_at(calendar));
        if calendar.is_some_and(|calendar| !calendar.is_open(step.wall.time_at(step.now))) {
            return Some(Limit::Closed);
        }
        if queue.overflow.no_agents.is_some() && !self.ready.is_anybody_present() {
            return Some(Limit::NoAgents);
        }
        (self.callers >= queue.capacity as usize).then_some(Limit::Full)
    }

    pub(super) fn take_in(&mut self, step: &mut Step<'_>, entering: Entering, stage: Stage) {
        let Entering {
            call,
            info,
            beside,
            routing_point,
            entry,
            since,
            returns: _,
            visited,
        } = entering;
        let conn_id = call.conn_id;
        let configured = step.config.entry_at(entry);
        let priority = match configured.kind {
            EntryKind::Home | EntryKind::Also => configured.priority,
            // Whoever overflows keeps age and priority.
            EntryKind::Overflow => {
                let (ani, data) = (info.ani.as_deref(), &info.user_data);
                let home = step.config.route(routing_point, ani, data)[0];
                step.config.entry_at(home).priority
            }
        };
        let ageing = step.config.queue_at(step.queue).priority_ageing;
        let turn = Turn::new(self.start, ageing, (priority, since), conn_id);
        let (class, relaxes) = step.rung(entry, since);
        let relax = relaxes.map(|at| step.arm(at, Timer::Relax(conn_id)));
        let waits = matches!(stage, Stage::Waiting);
        let is_in = !matches!(stage, Stage::Delayed(_));
        let call = Call {
            call,
            info,
            beside,
            routing_point,
            entry,
            since,
            visited,
            turn,
            class,
            relax,
            limit: None,
            is_overdue: false,
            is_deserted: false,
            kept_out: None,
            sent_for: None,
            unanswered: 0,
            unanswered_by: Vec::new(),
            is_promised: false,
            router_was_asked: false,
            is_in,
            stage,
        };
        self.callers += usize::from(is_in);
        self.calls.insert(conn_id, call);
        if waits {
            self.waiting.add(class, turn);
        }
    }

    /// The caller has waited so long at home that it waits here too.
    pub(super) fn delay_ends(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        if self.limit(step).is_some() {
            return self.remove(step, conn_id);
        }
        self.set_stage(step, conn_id, Stage::Waiting);
    }

    /// The caller has waited so long that less is enough.
    pub(super) fn relax(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        let call = self.call(conn_id);
        let waits = matches!(call.stage, Stage::Waiting);
        let (class, relaxes) = step.rung(call.entry, call.since);
        let (turn, before) = (call.turn, call.class);
        if waits {
            self.waiting.remove(before, turn);
            self.waiting.add(class, turn);
        }
        let relax = relaxes.map(|at| step.arm(at, Timer::Relax(conn_id)));
        if let Some(call) = self.calls.get_mut(&conn_id) {
            (call.class, call.relax) = (class, relax);
        }
    }
}
