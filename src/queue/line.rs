//! One queue: the calls in it, each in exactly one place, and the pairing of callers with agents.
//! Who comes in is decided in `entering`, what becomes of an offer in `offering`, who goes
//! elsewhere in `overflow`; a router's requests come in through `routing`; events are worded in
//! `events`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use offhook_shards::wheel::TimerKey;

use compact_str::CompactString;

use crate::agent::{self, EndCause, Offer, OfferSource};
use crate::call;
use crate::config::{Config, DnIndex, EntryKind, QueueIndex, RoutingPointIndex};
use crate::cti::{CallInfo, ClientId, ConnId, ErrorCode, Event, EventName, Notice, RequestedBy};
use crate::wall::Wall;

use super::Input;
use super::entering::Entering;
use super::events::{call_event, queued_event};
use super::offering::Failure;
use super::pace::{Pace, Standing};
use super::place::{Call, Leaving, Place, Routed, Stage, left_state};
use super::ready::Ready;
use super::step::{Step, Timer};
use super::waiting::{Turn, Waiting};

/// One queue.
#[derive(Debug)]
pub(super) struct Line {
    /// When it began; its callers' turns count from there.
    pub(super) start: Instant,
    pub(super) calls: BTreeMap<ConnId, Call>,
    /// How many of them are in: not only on their way from another queue in which they wait.
    pub(super) callers: usize,
    pub(super) waiting: Waiting,
    pub(super) ready: Ready,
    /// Who routes, at the routing points at which somebody does.
    pub(super) routers: BTreeMap<RoutingPointIndex, ClientId>,
    /// The calls that a router is asked about.
    pub(super) asked: BTreeSet<(RoutingPointIndex, ConnId)>,
    /// The number of the last EventRouteRequest.
    pub(super) route_reference: u32,
    pub(super) pace: Pace,
    /// The beginning of the next day, where calls are counted by the day.
    day: Option<TimerKey>,
    /// What was last published.
    depth: (u32, u32),
}

/// One queue, as checkers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Calls in the queue, those being offered included.
    pub calls: usize,
    /// Agents that may be picked.
    pub available: usize,
}

impl Line {
    /// An empty queue.
    pub(super) fn new(now: Instant, config: &Config, queue: QueueIndex) -> Self {
        Self {
            start: now,
            calls: BTreeMap::new(),
            callers: 0,
            waiting: Waiting::new(config.queue_at(queue).requirements.len()),
            ready: Ready::new(now, config, queue),
            routers: BTreeMap::new(),
            asked: BTreeSet::new(),
            route_reference: 0,
            pace: Pace::default(),
            day: None,
            depth: (0, 0),
        }
    }

    pub(super) fn status(&self) -> Status {
        Status {
            calls: self.calls.len(),
            available: self.ready.len(),
        }
    }

    pub(super) fn place(&self, conn_id: ConnId) -> Option<Place> {
        self.calls.get(&conn_id).map(|call| match call.stage {
            Stage::Delayed(_) => Place::Delayed,
            Stage::Asked(_) => Place::Asked,
            Stage::Waiting => Place::Waiting,
            Stage::Offered(dn, _) => Place::Offered(dn),
            Stage::Ringing(dn, _) => Place::Ringing(dn),
            Stage::Elsewhere(dn, _) => Place::Elsewhere(dn),
            Stage::Leaving(_) => Place::Leaving,
        })
    }

    /// How many wait before a call that waits.
    pub(super) fn before(&self, conn_id: ConnId) -> Option<usize> {
        let call = self.calls.get(&conn_id)?;
        matches!(call.stage, Stage::Waiting).then(|| self.waiting.before(call.turn))
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = ConnId> {
        let waits = move |conn_id: &ConnId| matches!(self.call(*conn_id).stage, Stage::Waiting);
        self.waiting.iter().filter(waits)
    }

    pub(super) fn handle(&mut self, step: &mut Step<'_>, input: Input) {
        match input {
            Input::Enter {
                call,
                info,
                beside,
                routing_point,
                entry,
                since,
                returns,
                visited,
            } => {
                let entering = Entering {
                    call,
                    info,
                    beside,
                    routing_point,
                    entry,
                    since,
                    returns,
                    visited,
                };
                self.enter(step, entering);
            }
            Input::Promised { conn_id, dn } => self.promised(step, conn_id, dn),
            Input::Ringing { conn_id, dn } => self.rings(step, conn_id, dn),
            Input::Answered { conn_id, dn } => self.answered(step, conn_id, dn),
            Input::OfferFailed { conn_id, dn, cause } => {
                self.offer_failed(step, conn_id, dn, Failure::of(cause));
            }
            Input::Redirected { conn_id, dn } => self.redirected(step, conn_id, dn),
            Input::ForwardRings {
                conn_id,
                destination,
            } => self.forward_rings(step, conn_id, destination),
            Input::Forwarded {
                conn_id,
                destination,
            } => self.forwarded(step, conn_id, destination),
            Input::ForwardFailed { conn_id, code } => self.forward_failed(step, conn_id, code),
            Input::Where { call } => {
                if self.calls.contains_key(&call.conn_id) {
                    self.say_where(step, call.conn_id);
                } else {
                    // It has just left, and may yet hear something else.
                    step.tell_call(call, call::Input::Standing(None));
                }
            }
            Input::Left { conn_id, cause } => self.left(step, conn_id, cause),
            Input::UserDataChanged {
                conn_id,
                info,
                requested_by,
                changed_by,
            } => {
                self.user_data_changed(step, conn_id, info, (requested_by, changed_by));
            }
            Input::AgentAvailable { dn, idle_since } => self.ready.say(dn, Some(idle_since)),
            Input::AgentUnavailable { dn } => self.ready.say(dn, None),
            Input::AgentPresent { dn, present } => self.agent_present(step, dn, present),
            Input::Refused { conn_id, dn, .. } => self.refused(step, conn_id, dn),
            Input::Router {
                routing_point,
                requested_by,
                request,
            } => {
                self.hear_router(step, routing_point, requested_by, request);
            }
        }
    }

    /// A timer has fired.
    pub(super) fn fired(&mut self, step: &mut Step<'_>, timer: Timer) {
        match timer {
            Timer::Router(conn_id) => self.router_timed_out(step, conn_id),
            Timer::Delay(conn_id) => self.delay_ends(step, conn_id),
            Timer::Relax(conn_id) => self.relax(step, conn_id),
            Timer::Limit(conn_id) => self.limit_reached(step, conn_id),
            Timer::Day => {
                self.ready.begin_day();
                self.await_day(step);
            }
        }
    }

    /// Calls are counted by the day here.
    pub(super) fn await_day(&mut self, step: &mut Step<'_>) {
        let next = step.next_day();
        self.day = Some(step.arm(next, Timer::Day));
    }

    /// The wall clock was set; it stood as `before`.
    pub(super) fn clock_set(&mut self, step: &mut Step<'_>, before: Wall) {
        let Some(day) = self.day.take() else {
            return;
        };
        step.wheel.cancel(day);
        if step.day_ends(step.wall) > step.day_ends(before) {
            self.ready.begin_day();
        }
        self.await_day(step);
    }

    /// What follows from everything that has just happened.
    pub(super) fn settle(&mut self, step: &mut Step<'_>) {
        self.match_up(step);
        self.pace.note(step.now, self.callers == 0);
        self.publish_depth(step);
    }

    /// Where a call stands, or would stand if it waited.
    pub(super) fn standing(&self, now: Instant, turn: Turn) -> Standing {
        self.pace.standing(now, self.waiting.before(turn))
    }

    /// Tells a call where it stands, and the control plane too.
    pub(super) fn say_where(&self, step: &mut Step<'_>, conn_id: ConnId) {
        let Some(call) = self.calls.get(&conn_id) else {
            return;
        };
        let standing = self.standing(step.now, call.turn);
        step.tell_call(call.call, call::Input::Standing(Some(standing)));
        let address = call.address(step).to_owned();
        let Standing {
            position,
            estimated_wait,
        } = standing;
        let notice = Notice::QueuePlace {
            address,
            conn_id,
            position,
            estimated_wait,
        };
        step.outputs.push_back(super::Output::Notice(notice));
    }

    /// Offers the next caller whom an idle agent can serve to the next agent who can, until there
    /// is no such pair. Each turn of the loop takes one of each, so it ends.
    fn match_up(&mut self, step: &mut Step<'_>) {
        while let Some((class, turn)) = self.waiting.first_of(self.ready.served()) {
            let conn_id = turn.conn_id();
            let passed_over = &self.calls[&conn_id].unanswered_by;
            let dn = self
                .ready
                .first_for(class, passed_over)
                .expect("a class counts as served only while an agent is there");
            self.offer(step, conn_id, dn, None);
        }
    }

    /// Offers a call that is not offered yet to an agent who is not being offered one.
    pub(super) fn offer(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        dn: DnIndex,
        routed: Option<Routed>,
    ) {
        let router = routed.as_ref().map(|routed| routed.requested_by.client);
        self.set_stage(step, conn_id, Stage::Offered(dn, routed));
        self.ready.pick(dn, conn_id);
        if let Some(call) = self.calls.get_mut(&conn_id) {
            call.is_promised = false;
        }
        let source = match router {
            Some(client) => OfferSource::Router(step.queue, client),
            None => OfferSource::Queue(step.queue),
        };
        let offer = Offer {
            call: self.call(conn_id).call,
            source,
        };
        step.tell_agent(dn, agent::Input::Reserve(offer));
    }

    /// Tells the control plane, on change only.
    fn publish_depth(&mut self, step: &mut Step<'_>) {
        let bounded = |length| u32::try_from(length).expect("a queue's limits fit in 32 bits");
        let depth = (bounded(self.calls.len()), bounded(self.ready.len()));
        if depth != self.depth {
            self.depth = depth;
            let (waiting, available) = depth;
            // For a caller who comes now, behind all others.
            let last = self.pace.standing(step.now, self.waiting.len());
            let notice = Notice::QueueDepth {
                queue: step.queue,
                waiting,
                available,
                estimated_wait: last.estimated_wait.filter(|_| available == 0),
            };
            step.outputs.push_back(super::Output::Notice(notice));
        }
    }

    fn left(&mut self, step: &mut Step<'_>, conn_id: ConnId, cause: EndCause) {
        let Some(call) = self.calls.get(&conn_id) else {
            return;
        };
        let routing_point = call.routing_point;
        match &call.stage {
            // The agent's shard reports the end of a call that rings there.
            Stage::Ringing(..) | Stage::Elsewhere(_, true) | Stage::Leaving(Leaving::Rings(_)) => {
                return self.remove(step, conn_id);
            }
            Stage::Offered(_, Some(routed)) | Stage::Leaving(Leaving::Routed(routed)) => {
                let (whom, why) = (routed.requested_by, "the caller has gone");
                step.refuse(routing_point, whom, ErrorCode::InvalidConnID, why);
            }
            Stage::Offered(_, None)
            | Stage::Elsewhere(_, false)
            | Stage::Leaving(Leaving::Overflow)
            | Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting => {}
        }
        if self.call(conn_id).is_home(step) {
            let mut event = call_event(step, EventName::Abandoned, self.call(conn_id));
            event.call_state = Some(left_state(cause));
            step.emit(event);
        }
        self.remove(step, conn_id);
    }

    fn user_data_changed(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        info: Arc<CallInfo>,
        (requested_by, changed_by): (Option<RequestedBy>, CompactString),
    ) {
        let Some(call) = self.calls.get_mut(&conn_id) else {
            // The call has just left; whoever asked gets an answer all the same.
            if requested_by.is_some() {
                let name = &step.config.queue_at(step.queue).name;
                let mut event = Event::new(step.now, EventName::ACK, &**name);
                event.requested_by = requested_by;
                step.emit(event);
            }
            return;
        };
        call.info = info;
        let diverted = match call.stage {
            Stage::Ringing(..) | Stage::Elsewhere(_, true) | Stage::Leaving(Leaving::Rings(_)) => {
                true
            }
            Stage::Elsewhere(_, false)
            | Stage::Offered(..)
            | Stage::Leaving(Leaving::Overflow | Leaving::Routed(_))
            | Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting => false,
        };
        let call = self.call(conn_id);
        if call.is_home(step) && !diverted || requested_by.is_some() {
            let mut event = call_event(step, EventName::AttachedDataChanged, call);
            event.requested_by = requested_by;
            event.third_party_dn = Some(changed_by);
            step.emit(event);
        }
    }

    /// Takes a call out, wherever it is.
    pub(super) fn remove(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        if let Some(dn) = self.offered_to(conn_id) {
            self.ready.settle(dn, conn_id);
        }
        // From the line it goes like one that was offered; then nothing but the call is left.
        self.leave_stage(step, conn_id);
        let call = self
            .calls
            .remove(&conn_id)
            .expect("only a call in the queue is taken out");
        self.callers -= usize::from(call.is_in);
        for timer in [call.relax, call.limit].into_iter().flatten() {
            step.wheel.cancel(timer);
        }
    }

    /// Moves a call, and keeps the line and the list of those asked about true to it.
    pub(super) fn set_stage(&mut self, step: &mut Step<'_>, conn_id: ConnId, stage: Stage) {
        self.leave_stage(step, conn_id);
        let call = self
            .calls
            .get_mut(&conn_id)
            .expect("only a call in the queue is moved");
        match stage {
            Stage::Waiting => {
                self.callers += usize::from(!std::mem::replace(&mut call.is_in, true));
                self.waiting.add(call.class, call.turn);
            }
            Stage::Asked(_) => {
                self.waiting.rank(call.turn);
                self.asked.insert((call.routing_point, conn_id));
            }
            Stage::Delayed(_)
            | Stage::Offered(..)
            | Stage::Ringing(..)
            | Stage::Elsewhere(..)
            | Stage::Leaving(_) => {}
        }
        call.stage = stage;
    }

    fn leave_stage(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        let call = &self.calls[&conn_id];
        match call.stage {
            Stage::Waiting => self.waiting.remove(call.class, call.turn),
            Stage::Delayed(timer) => {
                step.wheel.cancel(timer);
            }
            Stage::Asked(timer) => {
                step.wheel.cancel(timer);
                self.waiting.leave_rank(call.turn);
                self.asked.remove(&(call.routing_point, conn_id));
            }
            Stage::Offered(..) | Stage::Ringing(..) | Stage::Elsewhere(..) | Stage::Leaving(_) => {}
        }
    }

    /// The agent to whom this queue has offered the call.
    pub(super) fn offered_to(&self, conn_id: ConnId) -> Option<DnIndex> {
        match self.calls.get(&conn_id)?.stage {
            Stage::Offered(dn, _) | Stage::Ringing(dn, _) => Some(dn),
            Stage::Delayed(_)
            | Stage::Asked(_)
            | Stage::Waiting
            | Stage::Elsewhere(..)
            | Stage::Leaving(_) => None,
        }
    }

    pub(super) fn call(&self, conn_id: ConnId) -> &Call {
        self.calls
            .get(&conn_id)
            .expect("the caller has made sure that the call is in the queue")
    }

    /// EventQueued, with where the call stands.
    pub(super) fn emit_queued(&self, step: &mut Step<'_>, conn_id: ConnId) {
        let call = self.call(conn_id);
        if call.is_home(step) {
            let standing = self.standing(step.now, call.turn);
            let event = queued_event(step, call, standing);
            step.emit(event);
        }
    }
}

impl Call {
    /// The address where it waits: the routing point that the caller dialled, or the queue that it
    /// overflowed into.
    pub(super) fn address<'a>(&self, step: &'a Step<'_>) -> &'a str {
        match step.config.entry_at(self.entry).kind {
            EntryKind::Home | EntryKind::Also => step.number(self.routing_point),
            EntryKind::Overflow => &step.config.queue_at(step.queue).name,
        }
    }

    /// Whether this queue is the one that asks the router and writes the events.
    pub(super) fn is_home(&self, step: &Step<'_>) -> bool {
        match step.config.entry_at(self.entry).kind {
            EntryKind::Home | EntryKind::Overflow => true,
            EntryKind::Also => false,
        }
    }
}
