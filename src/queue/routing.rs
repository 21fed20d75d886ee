//! The router's say at a routing point. A router that is present is asked about each call and may
//! answer until its timer; a router that is silent, gone, or leaves the choice to us costs the
//! caller nothing but that time: the call then waits in the line as if there were no router.

use std::sync::Arc;

use compact_str::CompactString;

use crate::call::{self, ForwardReason, QueueRefusal};
use crate::config::{Address, EntryKind, RoutingPointIndex};
use crate::counters::Counter;
use crate::cti::{
    CallState, ClientId, ConnId, ErrorCode, EventName, RequestedBy, RouteRequest, RouteType,
};

use super::events::call_event;
use super::line::Line;
use super::overflow::send;
use super::place::{FormerDnis, Leaving, Routed, Stage};
use super::step::{Step, Timer};

/// What a router's request comes to.
enum Choice {
    /// This number: an agent's, a routing point's, or one outside.
    Number(String),
    /// This number, which is outside whatever else has it.
    Outside(String),
    /// Whomever the queue picks.
    OwnStrategy,
    /// Nobody.
    Disconnect,
}

impl Line {
    /// A router speaks.
    pub(super) fn hear_router(
        &mut self,
        step: &mut Step<'_>,
        routing_point: RoutingPointIndex,
        whom: RequestedBy,
        request: RouteRequest,
    ) {
        match request {
            RouteRequest::Router(Some(router)) => self.router_came(step, routing_point, router),
            RouteRequest::Router(None) => self.router_gone(step, routing_point),
            RouteRequest::Call {
                conn_id,
                other_dn,
                route_type,
                reasons,
            } => {
                let routed = Routed {
                    requested_by: whom,
                    route_type,
                    reasons,
                    former: None,
                };
                self.route(step, routing_point, conn_id, other_dn, routed);
            }
        }
    }

    /// Asks the router, if one is present, about a call that waits.
    pub(super) fn ask_router(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        if !self.has_router(step, conn_id) {
            return;
        }
        self.wait_for_router(step, conn_id);
        // 0 would be "no reference".
        self.route_reference = self.route_reference.checked_add(1).unwrap_or(1);
        if let Some(call) = self.calls.get_mut(&conn_id) {
            call.router_was_asked = true;
        }
        let mut event = call_event(step, EventName::RouteRequest, self.call(conn_id));
        event.route_reference = Some(self.route_reference);
        step.emit(event);
    }

    /// Leaves the call to the router, if one is present, for the time that it has.
    pub(super) fn wait_for_router(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        let stage = if self.has_router(step, conn_id) {
            let routing_point = self.call(conn_id).routing_point;
            let after = step.config.routing_point_at(routing_point).router_timeout;
            Stage::Asked(step.arm(step.now + after, Timer::Router(conn_id)))
        } else {
            Stage::Waiting
        };
        self.set_stage(step, conn_id, stage);
    }

    /// Whether a router is there for a call. It is asked where the caller dialled it, once.
    fn has_router(&self, step: &Step<'_>, conn_id: ConnId) -> bool {
        let call = self.call(conn_id);
        let is_home = step.config.entry_at(call.entry).kind == EntryKind::Home;
        is_home && self.routers.contains_key(&call.routing_point)
    }

    /// The router has not answered in time.
    pub(super) fn router_timed_out(&mut self, step: &mut Step<'_>, conn_id: ConnId) {
        step.count(Counter::RouterTimeout);
        self.set_stage(step, conn_id, Stage::Waiting);
    }

    /// Those who wait already are the router's too; it is asked about them in their order. One that
    /// takes over is asked again what the one before has not answered.
    fn router_came(
        &mut self,
        step: &mut Step<'_>,
        routing_point: RoutingPointIndex,
        router: ClientId,
    ) {
        if self.routers.get(&routing_point) == Some(&router) {
            return;
        }
        if self.routers.contains_key(&routing_point) {
            self.router_gone(step, routing_point);
        }
        self.routers.insert(routing_point, router);
        let here = |conn_id: &ConnId| self.call(*conn_id).routing_point == routing_point;
        let waiting: Vec<ConnId> = self.waiting().filter(here).collect();
        for conn_id in waiting {
            self.ask_router(step, conn_id);
        }
    }

    fn router_gone(&mut self, step: &mut Step<'_>, routing_point: RoutingPointIndex) {
        self.routers.remove(&routing_point);
        let all = (routing_point, ConnId(u64::MIN))..=(routing_point, ConnId(u64::MAX));
        let asked: Vec<ConnId> = self.asked.range(all).map(|&(_, conn_id)| conn_id).collect();
        for conn_id in asked {
            self.set_stage(step, conn_id, Stage::Waiting);
        }
        let here = self.calls.values_mut();
        here.filter(|call| call.routing_point == routing_point)
            .for_each(|call| call.router_was_asked = false);
    }

    fn route(
        &mut self,
        step: &mut Step<'_>,
        routing_point: RoutingPointIndex,
        conn_id: ConnId,
        other_dn: Option<String>,
        routed: Routed,
    ) {
        let (whom, route_type) = (routed.requested_by, routed.route_type);
        let here = self
            .calls
            .get(&conn_id)
            .filter(|call| call.routing_point == routing_point && call.is_home(step));
        let refusal = match here.map(|call| &call.stage) {
            None => Some((
                ErrorCode::InvalidConnID,
                "no such call waits at this routing point",
            )),
            Some(Stage::Offered(..) | Stage::Ringing(..) | Stage::Elsewhere(..)) => Some((
                ErrorCode::WrongState,
                "the call is being offered to an agent",
            )),
            Some(Stage::Leaving(_)) => {
                Some((ErrorCode::WrongState, "the call is on its way elsewhere"))
            }
            Some(Stage::Asked(_) | Stage::Waiting | Stage::Delayed(_)) => None,
        };
        if let Some((code, why)) = refusal {
            return step.refuse(routing_point, whom, code, why);
        }
        match choice(route_type, other_dn) {
            Ok(Choice::Number(number)) => {
                self.route_to(step, conn_id, (number, ForwardReason::Routed), routed);
            }
            Ok(Choice::Outside(number)) => {
                self.route_to(step, conn_id, (number, ForwardReason::Labelled), routed);
            }
            Ok(Choice::OwnStrategy) => {
                self.emit_route_used(step, conn_id, &routed);
                self.set_stage(step, conn_id, Stage::Waiting);
            }
            Ok(Choice::Disconnect) => self.disconnect(step, conn_id, &routed),
            Err(code) => {
                let why = format!("cannot route as {} asks", route_type.name());
                step.refuse(routing_point, whom, code, why);
            }
        }
    }

    /// To an agent of the router's choice, be it one of this queue or not, whose phone rings before
    /// EventRouteUsed follows; to any other number the call is sent, and has to get there.
    fn route_to(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        (number, forward): (String, ForwardReason),
        mut routed: Routed,
    ) {
        let dn = step.config.dn(&number);
        let dn = dn.filter(|_| forward == ForwardReason::Routed);
        let impossible = match dn {
            Some(dn) if self.ready.is_offered(dn) => {
                let why = format!("{number} is being offered another call");
                Some((ErrorCode::DestinationState, why))
            }
            Some(_) => None,
            None => self
                .cannot_go(step, conn_id, (&number, forward))
                .map(|why| (ErrorCode::InvalidCalledDN, why.to_owned())),
        };
        let call = self.call(conn_id);
        let (call_ref, routing_point) = (call.call, call.routing_point);
        if let Some((code, why)) = impossible {
            return step.refuse(routing_point, routed.requested_by, code, why);
        }
        if routed.route_type == RouteType::OverwriteDNIS {
            let former = FormerDnis(call.info.dnis.clone());
            self.renumber(step, conn_id, Some(number.as_str().into()));
            routed.former = Some(former);
        }
        match dn {
            Some(dn) => self.offer(step, conn_id, dn, Some(routed)),
            None => {
                self.set_stage(step, conn_id, Stage::Leaving(Leaving::Routed(routed)));
                send(step, call_ref, number, forward);
            }
        }
    }

    /// Why the call cannot be sent to a number that is no agent's.
    fn cannot_go(
        &self,
        step: &Step<'_>,
        conn_id: ConnId,
        (number, forward): (&str, ForwardReason),
    ) -> Option<&'static str> {
        let here = self.call(conn_id).routing_point;
        match step.config.address(number) {
            Some(Address::RoutingPoint(point))
                if point == here && forward == ForwardReason::Routed =>
            {
                Some("the call waits there already")
            }
            Some(Address::Queue(_) | Address::Trunk(_)) => Some("that is a name, and no number"),
            Some(Address::Agent(_) | Address::RoutingPoint(_)) | None => None,
        }
    }

    /// The call did not get where a router sent it: it is as it was, and the router hears why.
    pub(super) fn refuse_routed(
        &mut self,
        step: &mut Step<'_>,
        conn_id: ConnId,
        routed: Routed,
        (code, why): (ErrorCode, impl Into<String>),
    ) {
        let routing_point = self.call(conn_id).routing_point;
        if let Some(FormerDnis(dnis)) = routed.former {
            self.renumber(step, conn_id, dnis);
        }
        step.refuse(routing_point, routed.requested_by, code, why);
    }

    /// Gives the call another DNIS, here and where it is kept.
    fn renumber(&mut self, step: &mut Step<'_>, conn_id: ConnId, dnis: Option<CompactString>) {
        let Some(call) = self.calls.get_mut(&conn_id) else {
            return;
        };
        Arc::make_mut(&mut call.info).dnis.clone_from(&dnis);
        step.tell_call(call.call, call::Input::Dnis(dnis));
    }

    fn disconnect(&mut self, step: &mut Step<'_>, conn_id: ConnId, routed: &Routed) {
        self.emit_route_used(step, conn_id, routed);
        let call = self.call(conn_id);
        let mut event = call_event(step, EventName::Released, call);
        event.call_state = Some(CallState::Dropped);
        step.emit(event);
        let refusal = QueueRefusal::Disconnected;
        step.tell_call(call.call, call::Input::QueueRefused { refusal });
        self.remove(step, conn_id);
    }

    fn emit_route_used(&self, step: &mut Step<'_>, conn_id: ConnId, routed: &Routed) {
        let call = self.call(conn_id);
        let mut event = call_event(step, EventName::RouteUsed, call);
        event.route_type = Some(routed.route_type);
        event.requested_by = Some(routed.requested_by);
        event.reasons.clone_from(&routed.reasons);
        step.emit(event);
    }
}

fn choice(route_type: RouteType, other_dn: Option<String>) -> Result<Choice, ErrorCode> {
    match (route_type, other_dn) {
        (RouteType::Default, _) | (RouteType::Unknown, None) => Ok(Choice::OwnStrategy),
        (RouteType::CallDisconnect, _) => Ok(Choice::Disconnect),
        (
            RouteType::Unknown
            | RouteType::Direct
            | RouteType::DirectAgent
            | RouteType::Priority
            | RouteType::DirectPriority
            | RouteType::AgentID
            | RouteType::OverwriteDNIS,
            Some(number),
        ) => Ok(Choice::Number(number)),
        (
            RouteType::Direct
            | RouteType::DirectAgent
            | RouteType::Priority
            | RouteType::DirectPriority
            | RouteType::AgentID
            | RouteType::OverwriteDNIS,
            None,
        ) => Err(ErrorCode::InvalidAttribute),
        (RouteType::Label, Some(number)) => Ok(Choice::Outside(number)),
        (RouteType::Label, None) => Err(ErrorCode::InvalidAttribute),
        (RouteType::Announcement, _) => Err(ErrorCode::UnsupportedOperation),
    }
}
