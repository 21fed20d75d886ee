//! Every message of the interface: each event as it is sent, and each request as it is understood,
//! against the schema.

use super::*;
use crate::cti::{CallRequest, ForwardMode, RouteType, UserDataChange};

/// The messages that the schema names on one side of the connection.
fn named(side: &str) -> Vec<String> {
    let text = include_str!("../../../../docs/cti.schema.json");
    let schema: Json = serde_json::from_str(text).unwrap();
    let listed = schema["$defs"][side]["oneOf"].as_array().unwrap();
    let name = |one: &Json| one["$ref"].as_str().unwrap().replace("#/$defs/", "");
    listed.iter().map(name).collect()
}

/// What the server says about itself or to one client; all others are events of shards.
const OF_THE_HUB: [&str; 7] = [
    "EventServerInfo",
    "EventRegistered",
    "EventUnregistered",
    "EventAddressInfo",
    "EventPartyInfo",
    "EventUserEvent",
    "EventGap",
];

#[test]
fn every_event_of_the_shards_is_in_the_schema_and_no_other() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    let mut sent = Vec::new();
    for name in EventName::ALL {
        let event = match name {
            EventName::AgentReady | EventName::AgentNotReady => {
                let mut event = stage.event(*name, "2001");
                event.agent_work_mode = Some(AgentWorkMode::Unknown);
                event
            }
            EventName::AgentLogin
            | EventName::AgentLogout
            | EventName::AgentReserved
            | EventName::OffHook
            | EventName::OnHook
            | EventName::DNDOn
            | EventName::DNDOff
            | EventName::DNOutOfService
            | EventName::DNBackInService => stage.event(*name, "2001"),
            EventName::ForwardSet | EventName::ForwardCancel => forward_event(&stage, *name),
            EventName::Error | EventName::ACK => {
                stage.say(&desk, &ready(5, "2001"));
                let whom = stage.asked_once().1.requested_by;
                let mut event = Event::error(stage.now, "2001", whom, ErrorCode::Busy, "it is");
                event.name = *name;
                if *name == EventName::ACK {
                    (event.error_code, event.error_message) = (None, None);
                }
                event
            }
            EventName::RouteRequest => {
                let mut event = call_event(&stage, *name, "2001");
                event.route_reference = Some(900);
                event
            }
            EventName::PartyAdded | EventName::PartyDeleted | EventName::PartyChanged => {
                let mut event = call_event(&stage, *name, "2001");
                event.third_party_dn = Some("2002".into());
                event.third_party_dn_role = Some(DnRole::AddedBy);
                event.previous_conn_id = Some(ConnId(7));
                event
            }
            EventName::Queued
            | EventName::Diverted
            | EventName::Abandoned
            | EventName::Ringing
            | EventName::Dialing
            | EventName::NetworkReached
            | EventName::DestinationBusy
            | EventName::Established
            | EventName::Released
            | EventName::Held
            | EventName::Retrieved
            | EventName::RouteUsed
            | EventName::DTMFSent
            | EventName::AttachedDataChanged => call_event(&stage, *name, "2001"),
        };
        stage.emit(event);
        let frame = desk.hear().unwrap();
        assert_eq!(desk.hear(), None);
        sent.push(frame["Message"].as_str().unwrap().to_owned());
    }
    sent.extend(OF_THE_HUB.map(str::to_owned));
    let mut named = named("ServerToClient");
    named.sort();
    sent.sort();
    assert_eq!(sent, named);
}

fn forward_event(stage: &Stage, name: EventName) -> Event {
    let mut event = stage.event(name, "2001");
    event.forward_mode = Some(ForwardMode::OnBusy);
    event.other_dn = Some("2002".into());
    event
}

#[test]
fn every_request_of_the_schema_is_understood() {
    let mut stage = Stage::new();
    let desk = stage.client();
    for message in named("ClientToServer") {
        // More than any of them needs: what a request does not know is ignored.
        let request = json!({
            "Message": message, "ReferenceID": 5, "ThisDN": "2001", "OtherDN": "2002",
            "ConnID": "00010000000000ab", "UserData": {"a": 1}, "Key": "a",
            "ServerStartTime": "2026-11-22T10:15:30.123456Z", "EventSequenceNumber": 0,
            "Reasons": {"Because": "so"}, "TransferConnID": "00010000000000ac",
            "PreviousConnID": "00010000000000ac", "DTMFDigits": "1#",
        });
        let asked = decode::request(request.to_string().as_bytes(), true);
        assert!(asked.is_ok(), "{message}: {asked:?}");
    }
    assert!(stage.asked().is_empty());
    stage.hub.handle_disconnect(desk.id);
}

#[test]
fn requests_about_calls_reach_the_shard_as_they_were_meant() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    let conn_id = call().conn_id;
    let pairs = KeyValueList::new().with_text("Segment", "gold");
    let change = |change| CallRequest::UserData {
        this_dn: "2001".to_owned(),
        change,
    };
    let reasons = KeyValueList::new().with_text("Because", "so");
    let release = CallRequest::release(DnIndex(0), reasons);
    for (message, meant) in [
        ("RequestReleaseCall", release),
        (
            "RequestAttachUserData",
            change(UserDataChange::Attach(pairs.clone())),
        ),
        (
            "RequestUpdateUserData",
            change(UserDataChange::Update(pairs.clone())),
        ),
        (
            "RequestDeletePair",
            change(UserDataChange::DeletePair("Segment".to_owned())),
        ),
        ("RequestDeleteUserData", change(UserDataChange::DeleteAll)),
    ] {
        let request = json!({"Message": message, "ReferenceID": 5, "ThisDN": "2001",
            "ConnID": conn_id.to_string(), "UserData": {"Segment": "gold"}, "Key": "Segment",
            "Reasons": {"Because": "so"}});
        stage.say_anything(&desk, &request.to_string());
        let (shard, asked) = stage.asked_once();
        assert_eq!(shard, ShardId(1), "the call's own");
        assert_eq!(asked.body, RequestBody::Call(conn_id, meant), "{message}");
    }
}

#[test]
fn an_agent_is_found_by_its_id_wherever_it_is_logged_in() {
    let mut stage = Stage::new();
    let mut router = stage.client();
    stage.register(&mut router, "7000");
    stage.emit(call_event(&stage, EventName::Queued, "7000"));
    let mut login = stage.event(EventName::AgentLogin, "2003");
    login.agent_id = Some("carol".into());
    stage.emit(login.clone());
    router.hear_all();
    stage.asked();
    let route = json!({"Message": "RequestRouteCall", "ReferenceID": 5, "OtherDN": "carol",
                       "ConnID": call().conn_id.to_string(), "RouteType": "AgentID"});
    stage.say(&router, &route);
    let RequestBody::Route(_, RouteRequest::Call { other_dn, .. }) = stage.asked_once().1.body
    else {
        panic!("a route request goes to the queue's shard");
    };
    assert_eq!(other_dn.as_deref(), Some("2003"));
    // She takes another phone, then leaves.
    let mut elsewhere = stage.event(EventName::AgentLogin, "2001");
    elsewhere.agent_id = Some("carol".into());
    stage.emit(stage.event(EventName::AgentLogout, "2003"));
    stage.emit(elsewhere);
    stage.say(&router, &route);
    let asked = stage.asked_once().1.body;
    let wanted = RouteRequest::Call {
        conn_id: call().conn_id,
        other_dn: Some("2001".to_owned()),
        route_type: RouteType::AgentID,
        reasons: KeyValueList::new(),
    };
    let point = config::RoutingPointIndex(0);
    assert_eq!(asked, RequestBody::Route(point, wanted));
    stage.emit(stage.event(EventName::AgentLogout, "2001"));
    router.hear_all();
    let refused = stage.ask(&mut router, &route);
    assert_eq!(refused["ErrorCode"], "InvalidCalledDN");
}

#[test]
fn a_router_keeps_an_agent_wherever_it_is_logged_in() {
    let mut stage = Stage::new();
    let mut router = stage.client_in(Role::Router);
    let mut login = stage.event(EventName::AgentLogin, "2003");
    login.agent_id = Some("carol".into());
    stage.emit(login);
    let reserve = |attributes: Json| {
        let mut request = json!({"Message": "RequestReserveAgent", "ReferenceID": 5});
        let request_attributes = request.as_object_mut().unwrap();
        request_attributes.extend(attributes.as_object().unwrap().clone());
        request
    };
    let wanted = |milliseconds, priority| {
        let body = DesktopRequest::Reserve {
            duration: Duration::from_millis(milliseconds),
            priority,
            reasons: KeyValueList::new(),
        };
        RequestBody::Desktop(DnIndex(2), body)
    };
    // It need not have registered the DN.
    for (attributes, meant) in [
        (json!({"ThisDN": "2003"}), wanted(10_000, 0)),
        (json!({"AgentID": "carol", "Duration": 500}), wanted(500, 0)),
        (
            json!({"AgentID": "carol", "ThisDN": "2003", "Priority": 7}),
            wanted(10_000, 7),
        ),
    ] {
        stage.say(&router, &reserve(attributes));
        assert_eq!(stage.asked_once().1.body, meant);
    }
    for (attributes, code) in [
        (json!({}), "InvalidAttribute"),
        (json!({"ThisDN": "7000"}), "InvalidAttribute"),
        (json!({"ThisDN": "9999"}), "UnknownDN"),
        (json!({"AgentID": "dave"}), "InvalidAgentID"),
        (
            json!({"AgentID": "carol", "ThisDN": "2001"}),
            "InvalidAgentID",
        ),
        (json!({"ThisDN": "2003", "Duration": 0}), "InvalidAttribute"),
        (
            json!({"ThisDN": "2003", "Duration": 300_001}),
            "InvalidAttribute",
        ),
        (
            json!({"ThisDN": "2003", "Priority": "high"}),
            "InvalidAttribute",
        ),
    ] {
        let request = reserve(attributes);
        stage.say_anything(&router, &request.to_string());
        let answer = router.hear().unwrap();
        assert_eq!(answer["ErrorCode"], code, "{request}");
    }
    assert_eq!(stage.asked(), [], "nothing went to a shard");
}
