//! Events in their public form: one JSON object with the attribute names of `docs/cti.md`, no
//! nulls and no empty objects. It writes what it is given and leaves nothing out; who may see what
//! is decided in `hub`.

mod json;

use axum::extract::ws::Utf8Bytes;
use serde_json::{Map, Value as Json};

use crate::cti::{CallInfo, Event, KeyValueList};

use json::{Attribute as _, Plain, key, put};

/// One frame for clients. Cheap to clone: all clients share the bytes.
pub type Frame = Utf8Bytes;

/// What an event's frame holds beside the event.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The number of the request that the reader of this frame made.
    pub reference_id: Option<u32>,
    /// The event's place in the stream; answers that only one client sees have none.
    pub sequence: Option<u64>,
    /// When it happened, as a date.
    pub time: &'a str,
}

/// Writes events. Each is written into room that all of them use in turn, so that a frame, of which
/// the history keeps many, takes no more memory than it has bytes.
#[derive(Debug, Default)]
pub struct Encoder {
    room: String,
}

impl Encoder {
    /// The event as a frame.
    #[must_use]
    pub fn event(&mut self, event: &Event, envelope: Envelope<'_>) -> Frame {
        let json = &mut self.room;
        json.clear();
        json.push_str("{\"Message\":\"Event");
        json.push_str(event.name.name());
        json.push('"');
        put(json, key!("ReferenceID"), envelope.reference_id);
        put(json, key!("ThisDN"), &*event.this_dn);
        put(json, key!("ThisDNRole"), event.this_dn_role);
        put(json, key!("ThisQueue"), event.this_queue.as_deref());
        put(json, key!("OtherDN"), event.other_dn.as_deref());
        put(json, key!("OtherDNRole"), event.other_dn_role);
        put(json, key!("ThirdPartyDN"), event.third_party_dn.as_deref());
        put(json, key!("ThirdPartyDNRole"), event.third_party_dn_role);
        if let Some(call) = &event.call {
            put_call(json, call);
        }
        put(json, key!("PreviousConnID"), event.previous_conn_id);
        put(json, key!("CallState"), event.call_state);
        put(json, key!("AgentID"), event.agent_id.as_deref());
        put(json, key!("AgentWorkMode"), event.agent_work_mode);
        put(json, key!("ForwardMode"), event.forward_mode);
        put(json, key!("RouteType"), event.route_type);
        put(json, key!("Reasons"), &event.reasons);
        put(json, key!("Extensions"), &event.extensions);
        put(json, key!("ErrorCode"), event.error_code);
        put(json, key!("ErrorMessage"), event.error_message.as_deref());
        put(json, key!("EventSequenceNumber"), envelope.sequence);
        put(json, key!("Time"), Plain(envelope.time));
        json.push('}');
        json.as_str().into()
    }
}

/// What every event about a call repeats.
fn put_call(json: &mut String, call: &CallInfo) {
    put(json, key!("ConnID"), call.conn_id);
    put(json, key!("CallID"), call.call_id);
    put(json, key!("CallUUID"), call.call_uuid);
    put(json, key!("CallType"), call.call_type);
    put(json, key!("ANI"), call.ani.as_deref());
    put(json, key!("DNIS"), call.dnis.as_deref());
    put(json, key!("UserData"), &call.user_data);
}

/// Any other message as a frame, with its attributes between its name and its time.
#[must_use]
pub fn message(
    name: &str,
    reference_id: Option<u32>,
    attributes: Map<String, Json>,
    time: &str,
) -> Frame {
    let mut whole = Map::new();
    whole.insert("Message".to_owned(), name.into());
    if let Some(reference_id) = reference_id {
        whole.insert("ReferenceID".to_owned(), reference_id.into());
    }
    whole.extend(attributes);
    whole.insert("Time".to_owned(), time.into());
    Json::Object(whole).to_string().into()
}

/// A call's attributes as JSON, for snapshots.
#[must_use]
pub fn call(call: &CallInfo) -> Map<String, Json> {
    let mut json = String::new();
    put_call(&mut json, call);
    // The comma before the first key.
    json.replace_range(..1, "{");
    json.push('}');
    serde_json::from_str(&json).expect("what was written as an object is one")
}

/// A key-value list as JSON, for snapshots; `None` when there is nothing in it.
#[must_use]
pub fn pairs(list: &KeyValueList) -> Option<Json> {
    if list.is_absent() {
        return None;
    }
    let mut json = String::new();
    list.write(&mut json);
    Some(serde_json::from_str(&json).expect("what was written as JSON is JSON"))
}

#[cfg(test)]
mod tests;
