//! One queue: the calls in it, each in exactly one place, and the pairing of callers with agents. A
//! router's requests come in through `routing`; events are worded in `events`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::agent::{self, EndCause, Offer, OfferSource};
use crate::call::{self, CallRef, QueueRefusal};
use crate::config::{Config, DnIndex, QueueIndex, RoutingPointIndex};
use crate::counters::Counter;
use crate::cti::{CallInfo, ConnId, ErrorCode, Event, EventName, Notice, RequestedBy};

use super::Input;
use super::events::{call_event, name_destination};
use super::place::{Call, ChosenBy, Place, Routed, Stage, left_state, offer_error};
use super::ready::Ready;
use super::step::{Step, Timer};
use super::waiting::{Turn, Waiting};

/// One queue.
#[derive(Debug)]
pub(super) struct Line {
    /// When it began; its callers' turns count from there.
    start: Instant,
    pub(super) calls: BTreeMap<ConnId, Call>,
    waiting: Waiting,
    pub(super) ready: Ready,
    /// The routing points at which a router is present.
    pub(super) routers: BTreeSet<RoutingPointIndex>,
    /// The calls that a router is asked about.
    pub(super) asked: BTreeSet<(RoutingPointIndex, ConnId)>,
    /// The number of the last EventRouteRequest.
    pub(super) route_reference: u32,
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
            waiting: Waiting::new(config.queue_at(queue).requirements.len()),
            ready: Ready::new(now, config, queue),
            routers: BTreeSet::new(),
            asked: BTreeSet::new(),
            route_reference: 0,
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
            Stage::Asked(_) => Place::Asked,
            Stage::Waiting => Place::Waiting,
            Stage::Offered(dn, _) => Place::Offered(dn),
            Stage::Ringing(dn, _) => Place::Ringing(dn),
        })
    }

    /// How many wait before a call that waits.
    pub(super) fn before(&self, conn_id: ConnId) -> Option<usize> {
        let call = self.calls.get(&conn_id)?;
        matches!(call.stage, Stage::Waiting).then(|| self.waiting.before(call.turn))
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = ConnId> {
        self.waiting.iter()
    }

    pub(super) fn handle(&mut self, step: &mut Step<'_>, input: Input) {
        match input {
            Input::Enter {
                call,
                info,
                routing_point,
                since,
            } => {
                self.enter(step, call, info, routing_point, since);
            }
            Input::Ringing { conn_id, dn } => self.rings(step, conn_id, dn),
            Input::Answered { conn_id, dn } => self.answered(step, conn_id, dn),
            Input::OfferFailed { conn_id, dn, cause } => {
                self.offer_failed(step, conn_id, dn, offer_error(cause));
            }
            Input::Forwarded { conn_id, .. } => {
                if self.calls.contains_key(&conn_id) {
                    self.remove(step, conn_id);
                }
            }
            // It has never left its place.
            Input::ForwardFailed { .. } => {}
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
            Input::Refused {
                conn_id,
                dn,
                why: _,
            } => {
                step.count(Counter::OfferRefused);
                self.offer_failed(step, conn_id, dn, ErrorCode::DestinationState);
            }
            Input::Router {
                routing_point,
                requested_by,
                request,
            } => {
                self.hear_router(step, routing_point, requested_by, request);
            }
        }
    }

    /// What follows from everything that has just happened.
    pub(super) fn settle(&mut self, step: &mut Step<'_>) {
        self.match_up(step);
        self.publish_depth(step);
    }

    /// Offers the next caller whom an idle agent can serve to the next agent who can, until there
    /// is no such pair. Each turn of the loop takes one of each, so it ends.
    fn match_up(&mut self, step: &mut Step<'_>) {
        while let Some((class, turn)) = self.waiting.first_of(self.ready.served()) {
            let dn = self
                .ready
                .first_for(class)
                .expect("a class counts as served only while an agent is there");
            self.offer(step, turn.conn_id(), dn, None);
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
            let notice = Notice::QueueDepth {
                queue: step.queue,
                waiting,
                available,
            };
            step.outputs.push_back(super::Output::Notice(notice));
        }
    }

    fn enter(
        &mut self,
        step: &mut Step<'_>,
        call: CallRef,
        info: Arc<CallInfo>,
        routing_point: RoutingPointIndex,
        since: Instant,
    ) {
        let conn_id = call.conn_id;
        assert!(
            !self.calls.contains_key(&conn_id),
            "a call enters a queue once"
        );
        if self.calls.len() >= step.config.queue_at(step.queue).capacity as usize {
            let refusal = QueueRefusal::Full;
            return step.tell_call(call, call::Input::QueueRefused { refusal });
        }
        let entry = step.config.routing_point_at(routing_point).entry;
        let priority = step.config.entry_at(entry).priority;
        let ageing = step.config.queue_at(step.queue).priority_ageing;
        let turn = Turn::new(self.start, ageing, (priority, since), conn_id);
        let (class, relaxes) = step.rung(entry, since);
        let relax = relaxes.map(|at| step.arm(at, Timer::Relax(conn_id)));
        let stage = Stage::Waiting;
        self.calls.insert(
            conn_id,
            Call {
                call,
                info,
                routing_point,
                entry,
                since,
                turn,
                class,
                relax,
                router_was_asked: false,
                stage,
            },
        );
        self.waiting.add(class, turn);
        self.emit(step, EventName::Queued, conn_id);
        self.ask_router(step, conn_id);
    }

    /// The phone rings: for clients the call has left the queue, though it may come back.
    fn rings(&mut self, step: &mut Step<'_>, conn_id: ConnId, dn: DnIndex) {
        let Some(call) = self.calls.get(&conn_id) else {
            return;
        };
        let routed = match &call.stage {
            Stage::Offered(to, routed) if *to == dn => routed.clone(),
            Stage::Offered(..) | Stage::Ringing(..) | Stage::Asked(_) | Stage::Waiting => return,
        };
        self.divert(step, conn_id, dn, routed);
    }

    /// The call is the queue's no more. A phone may answer without having rung.
    fn answered(&mut self, step: &mut Step<'_>, conn_id: ConnId, dn: DnIndex) {
        self.rings(step, conn_id, dn);
        if self.offered_to(conn_id) == Some(dn) {
            self.remove(step, conn_id);
        }
    }

    /// The caller waits again. Clients who saw it diverted see it queued again. A router that was
    /// not answered yet is told why, and may choose again; one that was is asked again.
    fn offer_failed(&mut self, step: &mut Step<'_>, conn_id: ConnId, dn: DnIndex, code: ErrorCode) {
        self.ready.settle(dn, conn_id);
        if self.offered_to(conn_id) != Some(dn) {
            return;
        }
        let Call {
            routing_point,
            router_was_asked,
            stage,
            ..
        } = self.call(conn_id);
        let (routing_point, is_news) = (*routing_point, !router_was_asked);
        match stage {
            Stage::Offered(_, Some(routed)) => {
                let whom = routed.requested_by;
                let agent = &step.config.agent_at(dn).dn;
                let why = format!("{agent} did not take the call; it waits");
                step.refuse(routing_point, whom, code, why);
                self.wait_for_router(step, conn_id);
            }
            Stage::Ringing(_, chosen_by) => {
                let routers_turn = *chosen_by == ChosenBy::Router || is_news;
                self.emit(step, EventName::Queued, conn_id);
                self.wait_again(step, conn_id, routers_turn);
            }
            Stage::Offered(_, None) | Stage::Asked(_) | Stage::Waiting => {
                self.wait_again(step, conn_id, is_news);
            }
        }
    }

    fn wait_again(&mut self, step: &mut Step<'_>, conn_id: ConnId, routers_turn: bool) {
        self.set_stage(step, conn_id, Stage::Waiting);
        if routers_turn {
            self.ask_router(step, conn_id);
        }
    }

    fn left(&mut self, step: &mut Step<'_>, conn_id: ConnId, cause: EndCause) {
        let Some(call) = self.calls.get(&conn_id) else {
            return;
        };
        let (routing_point, info) = (call.routing_point, Arc::clone(&call.info));
        match &call.stage {
            // The agent's shard reports the end of a call that rings there.
            Stage::Ringing(..) => return self.remove(step, conn_id),
            Stage::Offered(_, Some(routed)) => {
                let (whom, why) = (routed.requested_by, "the caller has gone");
                step.refuse(routing_point, whom, ErrorCode::InvalidConnID, why);
            }
            Stage::Offered(_, None) | Stage::Asked(_) | Stage::Waiting => {}
        }
        let mut event = call_event(step, EventName::Abandoned, routing_point, &info);
        event.call_state = Some(left_state(cause));
        step.emit(event);
        self.remove(step, conn_id);
    }

    fn user_data_changed(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        info: Arc<CallInfo>,
        (requested_by, changed_by): (Option<RequestedBy>, String),
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
        let diverted = matches!(call.stage, Stage::Ringing(..));
        if !diverted || requested_by.is_some() {
            let name = EventName::AttachedDataChanged;
            let mut event = call_event(step, name, call.routing_point, &call.info);
            event.requested_by = requested_by;
            event.third_party_dn = Some(changed_by);
            step.emit(event);
        }
    }

    fn divert(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        dn: DnIndex,
        routed: Option<Routed>,
    ) {
        let chosen_by = if routed.is_some() {
            ChosenBy::Router
        } else {
            ChosenBy::Queue
        };
        self.set_stage(step, conn_id, Stage::Ringing(dn, chosen_by));
        let call = self.call(conn_id);
        if let Some(routed) = routed {
            let name = EventName::RouteUsed;
            let mut event = call_event(step, name, call.routing_point, &call.info);
            name_destination(step, &mut event, dn);
            event.route_type = Some(routed.route_type);
            event.requested_by = Some(routed.requested_by);
            event.reasons = routed.reasons;
            step.emit(event);
        }
        let mut event = call_event(step, EventName::Diverted, call.routing_point, &call.info);
        name_destination(step, &mut event, dn);
        step.emit(event);
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
        if let Some(timer) = call.relax {
            step.wheel.cancel(timer);
        }
    }

    /// A timer of a call has fired.
    pub(super) fn fired(&mut self, step: &mut Step<'_>, timer: Timer) {
        match timer {
            Timer::Router(conn_id) => self.router_timed_out(step, conn_id),
            Timer::Relax(conn_id) => self.relax(step, conn_id),
        }
    }

    /// The caller has waited so long that less is enough.
    fn relax(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
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

    /// Moves a call, and keeps the line and the list of those asked about true to it.
    pub(super) fn set_stage(&mut self, step: &mut Step<'_>, conn_id: ConnId, stage: Stage) {
        self.leave_stage(step, conn_id);
        let call = self
            .calls
            .get_mut(&conn_id)
            .expect("only a call in the queue is moved");
        match stage {
            Stage::Waiting => self.waiting.add(call.class, call.turn),
            Stage::Asked(_) => {
                self.asked.insert((call.routing_point, conn_id));
            }
            Stage::Offered(..) | Stage::Ringing(..) => {}
        }
        call.stage = stage;
    }

    fn leave_stage(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        let call = &self.calls[&conn_id];
        match call.stage {
            Stage::Waiting => self.waiting.remove(call.class, call.turn),
            Stage::Asked(timer) => {
                step.wheel.cancel(timer);
                self.asked.remove(&(call.routing_point, conn_id));
            }
            Stage::Offered(..) | Stage::Ringing(..) => {}
        }
    }

    fn offered_to(&self, conn_id: ConnId) -> Option<DnIndex> {
        match self.calls.get(&conn_id)?.stage {
            Stage::Offered(dn, _) | Stage::Ringing(dn, _) => Some(dn),
            Stage::Asked(_) | Stage::Waiting => None,
        }
    }

    pub(super) fn call(&self, conn_id: ConnId) -> &Call {
        self.calls
            .get(&conn_id)
            .expect("the caller has made sure that the call is in the queue")
    }

    fn emit(&self, step: &mut Step<'_>, name: EventName, conn_id: ConnId) {
        let call = self.call(conn_id);
        let event = call_event(step, name, call.routing_point, &call.info);
        step.emit(event);
    }
}
