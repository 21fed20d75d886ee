//! The public form of what happens at a routing point. It decides attributes only.

use std::sync::Arc;

use crate::config::{DnIndex, RoutingPointIndex};
use crate::cti::{CallInfo, CallState, DnRole, Event, EventName};

use super::step::Step;

/// An event about a call at a routing point, which is where it was distributed from too.
pub(super) fn call_event(
    step: &Step<'_>,
    name: EventName,
    routing_point: RoutingPointIndex,
    info: &Arc<CallInfo>,
) -> Event {
    let number = step.number(routing_point);
    let mut event = Event::new(step.now, name, number);
    event.call = Some(Arc::clone(info));
    event.this_dn_role = Some(DnRole::Destination);
    event.this_queue = Some(number.to_owned());
    event.other_dn = info.ani.clone();
    event.other_dn_role = info.ani.as_ref().map(|_| DnRole::Origination);
    event.call_state = Some(CallState::Ok);
    event
}

/// Names the agent that the call went to.
pub(super) fn name_destination(step: &Step<'_>, event: &mut Event, dn: DnIndex) {
    event.third_party_dn = Some(step.config.agent_at(dn).dn.to_string());
    event.third_party_dn_role = Some(DnRole::Destination);
}
