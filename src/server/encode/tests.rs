//! What is written is what `serde_json` writes of the same attributes.

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use proptest::{collection, option, sample};

use super::*;
use crate::cti::{
    AgentWorkMode, CallState, CallType, CallUuid, ConnId, DnRole, ErrorCode, EventName,
    ForwardMode, RouteType, Value,
};

/// Characters with which writers of JSON deal differently.
const HOSTILE: &[char] = &[
    '"',
    '\\',
    '/',
    '\0',
    '\u{1}',
    '\u{8}',
    '\t',
    '\n',
    '\u{c}',
    '\r',
    '\u{1f}',
    ' ',
    '\u{7f}',
    '\u{80}',
    'é',
    '\u{2028}',
    '\u{2029}',
    '\u{feff}',
    '\u{fffd}',
    '\u{10ffff}',
    '😀',
    '{',
    ',',
];

fn text() -> impl Strategy<Value = String> {
    let hostile = || collection::vec(sample::select(HOSTILE), 0..5).prop_map(String::from_iter);
    let long = (0..3_000usize, hostile(), 0..40usize)
        .prop_map(|(before, hostile, behind)| "a".repeat(before) + &hostile + &"9".repeat(behind));
    prop_oneof![
        Just(String::new()),
        "[0-9+*#a-z]{1,24}",
        hostile(),
        long,
        any::<String>()
    ]
}

fn list() -> impl Strategy<Value = KeyValueList> {
    let value = prop_oneof![
        text().prop_map(|text| Value::Text(text.into())),
        any::<i64>().prop_map(Value::Integer),
        Just(Value::List(KeyValueList::new())),
    ];
    let nested = |value| collection::vec((text(), value), 0..4).prop_map(key_values);
    nested(
        value
            .prop_recursive(8, 16, 3, move |inner| {
                nested(inner).prop_map(Value::List).boxed()
            })
            .boxed(),
    )
}

fn key_values(pairs: Vec<(String, Value)>) -> KeyValueList {
    let mut list = KeyValueList::new();
    for (key, value) in pairs {
        list.set(key, value);
    }
    list
}

/// One of the values, or none.
fn any_of<T: Copy + std::fmt::Debug>(all: &'static [T]) -> impl Strategy<Value = Option<T>> {
    option::of(sample::select(all))
}

fn call_info() -> impl Strategy<Value = CallInfo> {
    let numbers = (any::<u64>(), any::<u32>(), any::<u128>());
    let texts = (option::of(text()), option::of(text()), list());
    (numbers, sample::select(CallType::ALL), texts).prop_map(
        |((conn_id, call_id, call_uuid), call_type, (ani, dnis, user_data))| CallInfo {
            conn_id: ConnId(conn_id),
            call_id,
            call_uuid: CallUuid(call_uuid),
            call_type,
            ani: ani.map(Into::into),
            dnis: dnis.map(Into::into),
            user_data,
        },
    )
}

prop_compose! {
    fn any_event()(
        name in sample::select(EventName::ALL),
        this_dn in text(),
        call in option::of(call_info()),
        roles in collection::vec(any_of(DnRole::ALL), 3),
        texts in collection::vec(option::of(text()), 5),
        previous_conn_id in option::of(any::<u64>()),
        modes in (
            any_of(CallState::ALL),
            any_of(AgentWorkMode::ALL),
            any_of(ForwardMode::ALL),
            any_of(RouteType::ALL),
            any_of(ErrorCode::ALL),
        ),
        lists in (list(), list()),
    ) -> Event {
        let text = |place: usize| texts[place].as_deref().map(Into::into);
        let mut event = Event::new(an_instant(), name, this_dn);
        event.call = call.map(Arc::new);
        event.this_dn_role = roles[0];
        event.this_queue = text(0);
        event.other_dn = text(1);
        event.other_dn_role = roles[1];
        event.third_party_dn = text(2);
        event.third_party_dn_role = roles[2];
        event.previous_conn_id = previous_conn_id.map(ConnId);
        (event.call_state, event.agent_work_mode, event.forward_mode, event.route_type,
            event.error_code) = modes;
        event.agent_id = text(3);
        (event.reasons, event.extensions) = lists;
        event.error_message = texts[4].clone();
        event
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "no event is written by its instant"
)]
fn an_instant() -> Instant {
    Instant::now()
}

/// A key-value list by way of `serde_json`.
fn json_of(list: &KeyValueList) -> Json {
    let pairs = list.iter().map(|(key, value)| {
        let value = match value {
            Value::Text(text) => text.as_ref().into(),
            Value::Integer(integer) => (*integer).into(),
            Value::List(list) => json_of(list),
        };
        (key.to_owned(), value)
    });
    Json::Object(pairs.collect())
}

/// The attributes of `docs/cti.md` that are there, in their order.
fn attributes(pairs: Vec<(&str, Option<Json>)>) -> Map<String, Json> {
    let there = |(key, value): (&str, Option<Json>)| Some((key.to_owned(), value?));
    pairs.into_iter().filter_map(there).collect()
}

fn some_list(list: &KeyValueList) -> Option<Json> {
    (!list.is_empty()).then(|| json_of(list))
}

fn call_attributes(call: &CallInfo) -> Map<String, Json> {
    attributes(vec![
        ("ConnID", Some(format!("{:016x}", call.conn_id.0).into())),
        ("CallID", Some(call.call_id.into())),
        ("CallUUID", Some(call.call_uuid.to_string().into())),
        ("CallType", Some(call.call_type.name().into())),
        ("ANI", call.ani.as_deref().map(Json::from)),
        ("DNIS", call.dnis.as_deref().map(Json::from)),
        ("UserData", some_list(&call.user_data)),
    ])
}

fn event_attributes(event: &Event, envelope: Envelope<'_>) -> Map<String, Json> {
    let role = |role: Option<DnRole>| role.map(|role| role.name().into());
    let mut whole = attributes(vec![
        (
            "Message",
            Some(format!("Event{}", event.name.name()).into()),
        ),
        ("ReferenceID", envelope.reference_id.map(Json::from)),
        ("ThisDN", Some(event.this_dn.as_str().into())),
        ("ThisDNRole", role(event.this_dn_role)),
        ("ThisQueue", event.this_queue.as_deref().map(Json::from)),
        ("OtherDN", event.other_dn.as_deref().map(Json::from)),
        ("OtherDNRole", role(event.other_dn_role)),
        (
            "ThirdPartyDN",
            event.third_party_dn.as_deref().map(Json::from),
        ),
        ("ThirdPartyDNRole", role(event.third_party_dn_role)),
    ]);
    whole.extend(event.call.iter().flat_map(|call| call_attributes(call)));
    let previous = event.previous_conn_id.map(|id| format!("{:016x}", id.0));
    whole.extend(attributes(vec![
        ("PreviousConnID", previous.map(Json::from)),
        ("CallState", event.call_state.map(|it| it.name().into())),
        ("AgentID", event.agent_id.as_deref().map(Json::from)),
        (
            "AgentWorkMode",
            event.agent_work_mode.map(|it| it.name().into()),
        ),
        ("ForwardMode", event.forward_mode.map(|it| it.name().into())),
        ("RouteType", event.route_type.map(|it| it.name().into())),
        ("Reasons", some_list(&event.reasons)),
        ("Extensions", some_list(&event.extensions)),
        ("ErrorCode", event.error_code.map(|it| it.name().into())),
        (
            "ErrorMessage",
            event.error_message.as_deref().map(Json::from),
        ),
        ("EventSequenceNumber", envelope.sequence.map(Json::from)),
        ("Time", Some(envelope.time.into())),
    ]));
    whole
}

proptest! {
    #[test]
    fn an_event_is_written_as_serde_json_writes_it(
        event in any_event(),
        reference_id in option::of(any::<u32>()),
        sequence in option::of(any::<u64>()),
        before in any_event(),
    ) {
        let time = "2026-11-22T10:15:30.123456Z";
        let envelope = Envelope { reference_id, sequence, time };
        let mut encoder = Encoder::default();
        // What was written into the same room before leaves nothing there.
        let _ = encoder.event(&before, envelope);
        let frame = encoder.event(&event, envelope);
        let expected = Json::Object(event_attributes(&event, envelope)).to_string();
        prop_assert_eq!(frame.as_str(), expected);
    }

    #[test]
    fn a_snapshot_holds_the_same(call_info in call_info()) {
        prop_assert_eq!(call(&call_info), call_attributes(&call_info));
        prop_assert_eq!(pairs(&call_info.user_data), some_list(&call_info.user_data));
    }
}

#[test]
fn every_character_is_written_as_serde_json_writes_it() {
    for character in (0..0x300).chain(0x2000..0x2100).filter_map(char::from_u32) {
        // At each place in what is looked at together, and behind it.
        for before in [0, 1, 15, 16, 31, 33] {
            let text = "x".repeat(before) + &String::from(character) + "y";
            let mut written = String::new();
            text.as_str().write(&mut written);
            assert_eq!(written, Json::from(text).to_string());
        }
    }
}
