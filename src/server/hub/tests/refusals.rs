//! What the hub refuses: each error code that is its own to give, and each role's bounds.

use super::*;
use crate::limits::{
    CTI_CLIENTS_MAX, CTI_FRAME_BYTES_MAX, CTI_PENDING_PER_CLIENT_MAX, CTI_REQUEST_DEADLINE,
    CTI_REQUESTS_AT_ONCE_MAX, CTI_ROUTE_DEADLINE,
};

const CALL: &str = "00010000000000ab";

fn code_of(answer: &Json) -> &str {
    assert_eq!(answer["Message"], "EventError", "{answer}");
    assert!(
        answer.get("EventSequenceNumber").is_none(),
        "an error is no event of the stream"
    );
    answer["ErrorCode"].as_str().unwrap()
}

#[test]
fn garbage_is_answered_and_the_client_stays() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    let long = format!("{{\"Message\":\"{}\"}}", "x".repeat(CTI_FRAME_BYTES_MAX));
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for garbage in [
        "", "{", "null", "[]", "7", "\"text\"", "{}", "\u{0}", &long, &deep,
    ] {
        stage.say_anything(&desk, garbage);
        let answer = desk.hear().unwrap();
        assert_eq!(code_of(&answer), "InvalidAttribute", "{answer}");
        assert!(answer.get("ReferenceID").is_none());
    }
    stage
        .hub
        .handle_frame(stage.now, desk.id, Received::Text(b"\xff\xfe{"));
    assert_eq!(code_of(&desk.hear().unwrap()), "InvalidAttribute");
    stage.hub.handle_frame(stage.now, desk.id, Received::Binary);
    assert_eq!(code_of(&desk.hear().unwrap()), "InvalidAttribute");
    let query = json!({"Message": "RequestQueryServer", "ReferenceID": 9});
    assert_eq!(stage.ask(&mut desk, &query)["Message"], "EventServerInfo");
}

/// Whether each request is refused with words that name what is wrong.
fn are_refused(requests: &[(&str, &str)]) {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    for (request, word) in requests {
        stage.say_anything(&desk, request);
        let answer = desk.hear().unwrap();
        assert_eq!(code_of(&answer), "InvalidAttribute", "{request}");
        let words = answer["ErrorMessage"].as_str().unwrap();
        assert!(words.contains(word), "{request}: {words}");
        let has_reference = request.contains("\"ReferenceID\":7");
        assert_eq!(answer.get("ReferenceID").is_some(), has_reference);
    }
    assert_eq!(stage.asked(), []);
}

#[test]
fn what_every_request_needs_is_named() {
    are_refused(&[
        (r#"{"Message":"RequestQueryServer"}"#, "ReferenceID"),
        (
            r#"{"Message":"RequestQueryServer","ReferenceID":-1}"#,
            "ReferenceID",
        ),
        (
            r#"{"Message":"RequestQueryServer","ReferenceID":4294967296}"#,
            "ReferenceID",
        ),
        (
            r#"{"Message":"RequestQueryServer","ReferenceID":"7"}"#,
            "ReferenceID",
        ),
        (r#"{"ReferenceID":7}"#, "Message"),
        (r#"{"Message":7,"ReferenceID":7}"#, "Message"),
        (
            r#"{"Message":"RequestNoSuchThing","ReferenceID":7}"#,
            "unknown",
        ),
        (
            r#"{"Message":"EventRinging","ReferenceID":7}"#,
            "no request",
        ),
    ]);
}

#[test]
fn attributes_of_the_wrong_form_are_named() {
    let request = |name: &str, attributes: &str| {
        format!(r#"{{"Message":"Request{name}","ReferenceID":7,{attributes}}}"#)
    };
    let at_2001 = |name: &str, attributes: &str| {
        request(
            name,
            &format!(r#""ThisDN":"2001","ConnID":"{CALL}"{attributes}"#),
        )
    };
    let long = format!(r#","Reasons":{{"a":"{}"}}"#, "x".repeat(20_000));
    let deep = format!(r#","Reasons":{}1{}"#, r#"{"a":"#.repeat(20), "}".repeat(20));
    let keys: Vec<_> = (0..300).map(|key| format!(r#""{key}":1"#)).collect();
    let many = format!(r#","Reasons":{{{}}}"#, keys.join(","));
    let requests = [
        (request("AgentReady", r#""AgentID":"x""#), "ThisDN"),
        (request("AgentReady", r#""ThisDN":2001"#), "ThisDN"),
        (request("AgentReady", r#""ThisDN":"""#), "ThisDN"),
        (
            at_2001("AgentReady", r#","AgentWorkMode":"AuxWork""#),
            "AgentWorkMode",
        ),
        (
            at_2001("AgentNotReady", r#","Reasons":{"a":null}"#),
            "Reasons.a",
        ),
        (
            at_2001("AgentNotReady", r#","Reasons":{"a":1.5}"#),
            "Reasons.a",
        ),
        (
            at_2001("AgentNotReady", r#","Reasons":["lunch"]"#),
            "Reasons",
        ),
        (at_2001("AgentNotReady", &long), "longer than"),
        (at_2001("AgentNotReady", &deep), "lists inside lists"),
        (at_2001("AgentNotReady", &many), "keys"),
        (at_2001("AttachUserData", ""), "UserData"),
        (at_2001("DeletePair", ""), "Key"),
        (at_2001("RouteCall", ""), "OtherDN"),
        (
            at_2001("RouteCall", r#","OtherDN":"2","RouteType":"Detour""#),
            "RouteType",
        ),
        (
            at_2001("RegisterAddress", r#","Extensions":{"Hold":2}"#),
            "Hold",
        ),
        (
            request("Resume", r#""ServerStartTime":"x""#),
            "EventSequenceNumber",
        ),
    ];
    let requests: Vec<_> = requests
        .iter()
        .map(|(request, word)| (request.as_str(), *word))
        .collect();
    are_refused(&requests);
}

#[test]
fn each_reason_has_its_code() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    stage.register(&mut desk, "7000");
    let release = |this_dn: &str, conn_id: &str| {
        json!({"Message": "RequestReleaseCall", "ReferenceID": 5, "ThisDN": this_dn,
               "ConnID": conn_id})
    };
    for (request, code) in [
        (ready(5, "2002"), "ClientNotRegistered"),
        (release("2002", CALL), "ClientNotRegistered"),
        (ready(5, "9999"), "UnknownDN"),
        (register("9999"), "UnknownDN"),
        (
            json!({"Message": "RequestQueryAddress", "ReferenceID": 5, "ThisDN": "x"}),
            "UnknownDN",
        ),
        (ready(5, "7000"), "InvalidAttribute"),
        (ready(5, "ucm"), "InvalidAttribute"),
        (release("2001", "00090000000000ab"), "InvalidConnID"),
        (
            json!({"Message": "RequestRouteCall", "ReferenceID": 5, "ConnID": CALL,
                "OtherDN": "2001"}),
            "InvalidConnID",
        ),
        (
            json!({"Message": "RequestRouteCall", "ReferenceID": 5, "ConnID": CALL,
                "OtherDN": "2001", "ThisDN": "2001"}),
            "InvalidAttribute",
        ),
        (
            json!({"Message": "RequestUnregisterAddress", "ReferenceID": 5, "ThisDN": "2002"}),
            "ClientNotRegistered",
        ),
    ] {
        assert_eq!(code_of(&stage.ask(&mut desk, &request)), code, "{request}");
    }
    let odd = json!({"Message": "RequestReleaseCall", "ReferenceID": 5, "ThisDN": "2001",
                     "ConnID": "12"});
    stage.say_anything(&desk, &odd.to_string());
    assert_eq!(code_of(&desk.hear().unwrap()), "InvalidConnID");
    let merge = json!({"Message": "RequestMergeCalls", "ReferenceID": 5, "ThisDN": "2001"});
    stage.say_anything(&desk, &merge.to_string());
    assert_eq!(code_of(&desk.hear().unwrap()), "UnsupportedOperation");
    assert_eq!(stage.asked(), [], "nothing went to a shard");
}

#[test]
fn each_role_keeps_to_its_bounds() {
    let mut stage = Stage::new();
    let forbidden = |stage: &mut Stage, role: Role, request: Json| {
        let mut desk = stage.client_in(role);
        stage.say(&desk, &request);
        let answer = desk.hear();
        answer.is_some_and(|answer| answer["ErrorCode"] == "Forbidden")
    };
    let route = json!({"Message": "RequestRouteCall", "ReferenceID": 5, "ConnID": CALL,
                       "OtherDN": "2001"});
    let release = json!({"Message": "RequestReleaseCall", "ReferenceID": 5, "ThisDN": "2002",
                         "ConnID": CALL});
    let query = json!({"Message": "RequestQueryAddress", "ReferenceID": 5, "ThisDN": "2002"});
    let attach = json!({"Message": "RequestAttachUserData", "ReferenceID": 5, "ThisDN": "2002",
                        "ConnID": CALL, "UserData": {"a": 1}});
    let reserve = json!({"Message": "RequestReserveAgent", "ReferenceID": 5, "ThisDN": "2001"});
    let hold = json!({"Message": "RequestHoldCall", "ReferenceID": 5, "ThisDN": "2002",
                      "ConnID": CALL});
    let user_event = json!({"Message": "RequestDistributeUserEvent", "ReferenceID": 5,
                            "ThisDN": "2002"});
    // In the order agent, supervisor, router, admin.
    for (request, expected) in [
        (register("2001"), [false, false, false, false]),
        (register("2002"), [true, false, false, false]),
        (register("7000"), [true, false, false, false]),
        (register("sales"), [true, false, false, false]),
        (register("ucm"), [true, false, false, false]),
        (register("*"), [true, false, true, false]),
        (ready(5, "2001"), [false, false, true, false]),
        (ready(5, "2002"), [true, false, true, false]),
        (release, [true, false, true, false]),
        (query, [true, false, false, false]),
        (attach, [true, false, false, false]),
        (route, [true, true, false, false]),
        (reserve, [true, true, false, false]),
        (hold, [true, false, true, false]),
        (user_event, [true, false, false, false]),
    ] {
        let roles = [Role::Agent, Role::Supervisor, Role::Router, Role::Admin];
        let found = roles.map(|role| forbidden(&mut stage, role, request.clone()));
        assert_eq!(found, expected, "{request}");
    }
}

#[test]
fn a_shard_that_does_not_answer_is_answered_for_once() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    stage.say(&desk, &ready(5, "2001"));
    let (_, asked) = stage.asked_once();
    assert!(stage.hub.waits_for_time());
    stage.pass(CTI_REQUEST_DEADLINE - Duration::from_millis(1));
    assert_eq!(desk.hear(), None);
    stage.pass(Duration::from_millis(1));
    assert!(!stage.hub.waits_for_time());
    let answer = desk.hear().unwrap();
    assert_eq!(
        (code_of(&answer), &answer["ReferenceID"]),
        ("Timeout", &json!(5))
    );
    assert_eq!(answer["ThisDN"], "2001");
    // The answer that comes too late is an event like any other.
    let mut late = stage.event(EventName::AgentReady, "2001");
    late.agent_work_mode = Some(AgentWorkMode::ManualIn);
    late.requested_by = Some(asked.requested_by);
    stage.emit(late);
    assert!(desk.hear().unwrap().get("ReferenceID").is_none());
    let error = Event::error(
        stage.now,
        "2001",
        asked.requested_by,
        ErrorCode::WrongState,
        "too late",
    );
    stage.emit(error);
    assert_eq!(desk.hear(), None);
    assert_eq!(stage.hub.numbers().tally.timeouts, 1);
}

#[test]
fn a_routed_phone_may_take_its_time() {
    let mut stage = Stage::new();
    let mut router = stage.client_in(Role::Router);
    stage.register(&mut router, "7000");
    stage.emit(call_event(&stage, EventName::Queued, "7000"));
    router.hear_all();
    let route = json!({"Message": "RequestRouteCall", "ReferenceID": 5, "ConnID": CALL,
                       "OtherDN": "2001"});
    stage.say(&router, &route);
    stage.pass(CTI_ROUTE_DEADLINE - Duration::from_millis(1));
    assert_eq!(router.hear(), None);
    stage.pass(Duration::from_millis(1));
    assert_eq!(code_of(&router.hear().unwrap()), "Timeout");
}

#[test]
fn a_busy_shard_and_a_busy_client_get_too_busy() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    stage.shards.full.set(true);
    assert_eq!(code_of(&stage.ask(&mut desk, &ready(5, "2001"))), "TooBusy");
    stage.shards.full.set(false);
    for reference_id in 0..u32::try_from(CTI_PENDING_PER_CLIENT_MAX).unwrap() {
        stage.say(&desk, &ready(reference_id, "2001"));
    }
    assert_eq!(desk.hear(), None);
    assert_eq!(code_of(&stage.ask(&mut desk, &ready(5, "2001"))), "TooBusy");
    assert_eq!(stage.asked().len(), CTI_PENDING_PER_CLIENT_MAX);
}

#[test]
fn a_desktop_that_floods_gets_too_busy_and_nobody_else_does() {
    let mut stage = Stage::new();
    let mut desk = stage.client_in(Role::Agent);
    let mut router = stage.client_in(Role::Router);
    let query = json!({"Message": "RequestQueryAddress", "ReferenceID": 5, "ThisDN": "2001"});
    let mut refused = 0;
    for _ in 0..CTI_REQUESTS_AT_ONCE_MAX + 10 {
        let answer = stage.ask(&mut desk, &query);
        refused += u32::from(answer["ErrorCode"] == "TooBusy");
        assert_eq!(answer["ReferenceID"], 5);
        assert!(stage.ask(&mut router, &query)["ErrorCode"] != "TooBusy");
    }
    assert_eq!(refused, 10);
}

#[test]
fn one_http_request_need_not_register_and_cannot_listen() {
    let mut stage = Stage::new();
    let mut post = |text: &str| {
        let (outbox, inbox) = clients::queue(1);
        let identity = Identity::everyone();
        let id = stage
            .hub
            .connect(stage.now, identity, Kind::Post, outbox)
            .unwrap();
        stage
            .hub
            .handle_frame(stage.now, id, Received::Text(text.as_bytes()));
        Desk { id, inbox }
    };
    let mut listening = post(&register("2001").to_string());
    assert_eq!(code_of(&listening.hear().unwrap()), "UnsupportedOperation");
    let mut without_reference = post(r#"{"Message":"RequestQueryServer"}"#);
    assert_eq!(
        without_reference.hear().unwrap()["Message"],
        "EventServerInfo"
    );
    let mut asking = post(r#"{"Message":"RequestAgentReady","ThisDN":"2001"}"#);
    assert_eq!(asking.hear(), None);
    let (_, asked) = stage.asked_once();
    let mut answer = stage.event(EventName::AgentReady, "2001");
    answer.agent_work_mode = Some(AgentWorkMode::ManualIn);
    answer.requested_by = Some(asked.requested_by);
    stage.emit(answer);
    assert_eq!(asking.hear().unwrap()["Message"], "EventAgentReady");
    stage.hub.handle_disconnect(asking.id);
    assert_eq!(
        stage.asked(),
        [],
        "an HTTP request is no desktop that could go away"
    );
}

#[test]
fn as_many_clients_as_may_come_are_let_in_and_no_more() {
    let mut stage = Stage::new();
    let connect = |stage: &mut Stage| {
        let (outbox, inbox) = clients::queue(1);
        let identity = Identity::everyone();
        let connected = stage.hub.connect(stage.now, identity, Kind::Post, outbox);
        connected.map(|id| (id, inbox))
    };
    let guests: Vec<_> = (0..CTI_CLIENTS_MAX).map(|_| connect(&mut stage)).collect();
    assert!(guests.iter().all(Result::is_ok));
    assert!(connect(&mut stage).is_err());
    let (first, _) = guests[0].as_ref().ok().unwrap();
    stage.hub.handle_disconnect(*first);
    assert!(connect(&mut stage).is_ok());
}
