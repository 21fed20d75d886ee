//! Events in their public form: one JSON object with the attribute names of `docs/cti.md`, no
//! nulls and no empty objects. It writes what it is given and leaves nothing out; who may see what
//! is decided in `hub`.

use std::fmt::Display;

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value as Json};

use crate::cti::{
    AgentWorkMode, CallInfo, CallState, CallUuid, ConnId, DnRole, ErrorCode, Event, EventName,
    ForwardMode, KeyValueList, RouteType, Value,
};

/// One frame for clients. Cheap to clone: all clients share the bytes.
pub type Frame = Utf8Bytes;

/// The attributes of an event, in the order in which they are written.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes<'a> {
    message: Title,
    #[serde(rename = "ReferenceID", skip_serializing_if = "Option::is_none")]
    reference_id: Option<u32>,
    #[serde(rename = "ThisDN")]
    this_dn: &'a str,
    #[serde(rename = "ThisDNRole", skip_serializing_if = "Option::is_none")]
    this_dn_role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    this_queue: Option<&'a str>,
    #[serde(rename = "OtherDN", skip_serializing_if = "Option::is_none")]
    other_dn: Option<&'a str>,
    #[serde(rename = "OtherDNRole", skip_serializing_if = "Option::is_none")]
    other_dn_role: Option<&'static str>,
    #[serde(rename = "ThirdPartyDN", skip_serializing_if = "Option::is_none")]
    third_party_dn: Option<&'a str>,
    #[serde(rename = "ThirdPartyDNRole", skip_serializing_if = "Option::is_none")]
    third_party_dn_role: Option<&'static str>,
    #[serde(flatten)]
    call: Option<CallAttributes<'a>>,
    #[serde(rename = "PreviousConnID", skip_serializing_if = "Option::is_none")]
    previous_conn_id: Option<Shown<ConnId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_state: Option<&'static str>,
    #[serde(rename = "AgentID", skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_work_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Pairs::are_none")]
    reasons: Pairs<'a>,
    #[serde(skip_serializing_if = "Pairs::are_none")]
    extensions: Pairs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_sequence_number: Option<u64>,
    time: &'a str,
}

/// An event's name with what stands before it.
struct Title(EventName);

impl Serialize for Title {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("Event{}", self.0.name()))
    }
}

/// What is written as it is displayed.
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What every event about a call repeats.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CallAttributes<'a> {
    #[serde(rename = "ConnID")]
    conn_id: Shown<ConnId>,
    #[serde(rename = "CallID")]
    call_id: u32,
    #[serde(rename = "CallUUID")]
    call_uuid: Shown<CallUuid>,
    call_type: &'static str,
    #[serde(rename = "ANI", skip_serializing_if = "Option::is_none")]
    ani: Option<&'a str>,
    #[serde(rename = "DNIS", skip_serializing_if = "Option::is_none")]
    dnis: Option<&'a str>,
    #[serde(skip_serializing_if = "Pairs::are_none")]
    user_data: Pairs<'a>,
}

impl<'a> CallAttributes<'a> {
    fn of(call: &'a CallInfo) -> Self {
        Self {
            conn_id: Shown(call.conn_id),
            call_id: call.call_id,
            call_uuid: Shown(call.call_uuid),
            call_type: call.call_type.name(),
            ani: call.ani.as_deref(),
            dnis: call.dnis.as_deref(),
            user_data: Pairs(&call.user_data),
        }
    }
}

/// A key-value list as a JSON object, in its own order.
struct Pairs<'a>(&'a KeyValueList);

impl Pairs<'_> {
    fn are_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0.iter() {
            match value {
                Value::Text(text) => map.serialize_entry(key, text)?,
                Value::Integer(integer) => map.serialize_entry(key, integer)?,
                Value::List(list) => map.serialize_entry(key, &Pairs(list))?,
            }
        }
        map.end()
    }
}

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
    room: Vec<u8>,
}

impl Encoder {
    /// The event as a frame.
    #[must_use]
    pub fn event(&mut self, event: &Event, envelope: Envelope<'_>) -> Frame {
        self.room.clear();
        serde_json::to_writer(&mut self.room, &attributes(event, envelope))
            .expect("strings and numbers always become JSON");
        std::str::from_utf8(&self.room)
            .expect("JSON is text")
            .into()
    }
}

fn attributes<'a>(event: &'a Event, envelope: Envelope<'a>) -> Attributes<'a> {
    Attributes {
        message: Title(event.name),
        reference_id: envelope.reference_id,
        this_dn: &event.this_dn,
        this_dn_role: event.this_dn_role.map(DnRole::name),
        this_queue: event.this_queue.as_deref(),
        other_dn: event.other_dn.as_deref(),
        other_dn_role: event.other_dn_role.map(DnRole::name),
        third_party_dn: event.third_party_dn.as_deref(),
        third_party_dn_role: event.third_party_dn_role.map(DnRole::name),
        call: event.call.as_deref().map(CallAttributes::of),
        previous_conn_id: event.previous_conn_id.map(Shown),
        call_state: event.call_state.map(CallState::name),
        agent_id: event.agent_id.as_deref(),
        agent_work_mode: event.agent_work_mode.map(AgentWorkMode::name),
        forward_mode: event.forward_mode.map(ForwardMode::name),
        route_type: event.route_type.map(RouteType::name),
        reasons: Pairs(&event.reasons),
        extensions: Pairs(&event.extensions),
        error_code: event.error_code.map(ErrorCode::name),
        error_message: event.error_message.as_deref(),
        event_sequence_number: envelope.sequence,
        time: envelope.time,
    }
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
    match serde_json::to_value(CallAttributes::of(call)) {
        Ok(Json::Object(map)) => map,
        Ok(_) | Err(_) => unreachable!("a structure of strings and numbers becomes an object"),
    }
}

/// A key-value list as JSON, for snapshots; `None` when there is nothing in it.
#[must_use]
pub fn pairs(list: &KeyValueList) -> Option<Json> {
    let pairs = Pairs(list);
    if pairs.are_none() {
        return None;
    }
    Some(serde_json::to_value(pairs).expect("strings and numbers always become JSON"))
}
