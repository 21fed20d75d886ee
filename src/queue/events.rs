//! The public form of what happens to calls in a queue. It decides attributes only.

use compact_str::CompactString;

use crate::config::DnIndex;
use crate::cti::{CallState, DnRole, Event, EventName, Value};

use super::pace::Standing;
use super::place::Call;
use super::step::Step;

/// An event about a call at the address where it waits, which is where it was distributed from
/// too: the routing point that the caller dialled, or the queue that it overflowed into.
pub(super) fn call_event(step: &Step<'_>, name: EventName, call: &Call) -> Event {
    let address = call.address(step);
    let info = &call.info;
    let mut event = Event::new(step.now, name, address);
    event.call = Some(info.clone());
    event.this_dn_role = Some(DnRole::Destination);
    event.this_queue = Some(address.into());
    event.other_dn = info.ani.clone();
    event.other_dn_role = info.ani.as_ref().map(|_| DnRole::Origination);
    event.call_state = Some(CallState::Ok);
    event.previous_conn_id = call.beside;
    event
}

/// EventQueued: where the call stands is among its extensions.
pub(super) fn queued_event(step: &Step<'_>, call: &Call, standing: Standing) -> Event {
    let mut event = call_event(step, EventName::Queued, call);
    let position = Value::Integer(i64::from(standing.position));
    event.extensions.set("Position", position);
    if let Some(wait) = standing.estimated_wait {
        let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        event
            .extensions
            .set("EstimatedWait", Value::Integer(seconds));
    }
    event
}

/// Names the agent that the call went to.
pub(super) fn name_agent(step: &Step<'_>, event: &mut Event, dn: DnIndex) {
    name_destination(event, &*step.config.agent_at(dn).dn);
}

/// Names where the call went.
pub(super) fn name_destination(event: &mut Event, number: impl Into<CompactString>) {
    event.third_party_dn = Some(number.into());
    event.third_party_dn_role = Some(DnRole::Destination);
}
