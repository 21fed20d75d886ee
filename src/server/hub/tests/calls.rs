//! What desktops ask of calls, as far as the hub can tell: what reaches the call's shard, what is
//! refused before, and what several calls at a DN look like.

use super::*;
use crate::cti::{CallAction, CallRequest, ConsultKind, ForwardMode};
use crate::limits::{CTI_CALL_DEADLINE, DTMF_DIGITS_MAX};

/// The call that [`call`] is, and a consultation beside it on the same shard.
const CALL: &str = "00010000000000ab";
const CONSULTATION: &str = "00010000000000ac";

fn consultation() -> Arc<CallInfo> {
    Arc::new(CallInfo {
        conn_id: ConnId::new(ShardId(1), 0x00ac),
        call_type: CallType::Consult,
        ani: Some("2001".into()),
        dnis: Some("2002".into()),
        ..CallInfo::clone(&call())
    })
}

fn consultation_event(stage: &Stage, name: EventName, this_dn: &str) -> Event {
    let mut event = call_event(stage, name, this_dn);
    event.call = Some(consultation());
    event.this_queue = None;
    event.previous_conn_id = Some(call().conn_id);
    event
}

/// 2001 holds a call and consults 2002.
fn consulting() -> (Stage, Desk) {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    stage.emit(call_event(&stage, EventName::Established, "2001"));
    stage.emit(call_event(&stage, EventName::Held, "2001"));
    let mut dialing = consultation_event(&stage, EventName::Dialing, "2001");
    dialing.this_dn_role = Some(DnRole::Origination);
    dialing.other_dn = Some("2002".into());
    dialing.other_dn_role = Some(DnRole::Destination);
    stage.emit(dialing);
    stage.emit(consultation_event(&stage, EventName::Ringing, "2002"));
    desk.hear_all();
    (stage, desk)
}

fn party(message: &str) -> Json {
    json!({"Message": message, "ReferenceID": 5, "ThisDN": "2001", "ConnID": CALL,
           "OtherDN": "7001", "UserData": {"Segment": "gold"}, "DTMFDigits": "12#",
           "PreviousConnID": CONSULTATION, "TransferConnID": CONSULTATION,
           "Reasons": {"Because": "so"}})
}

fn user_data() -> KeyValueList {
    KeyValueList::new().with_text("Segment", "gold")
}

/// Every request of a party, and what it means.
fn actions() -> Vec<(&'static str, CallAction)> {
    let other = consultation().conn_id;
    let digits = "12#".to_owned();
    let mut all = vec![
        ("RequestAnswerCall", CallAction::Answer),
        ("RequestReleaseCall", CallAction::Release),
        ("RequestClearCall", CallAction::Clear),
        ("RequestHoldCall", CallAction::Hold),
        ("RequestRetrieveCall", CallAction::Retrieve),
        (
            "RequestAlternateCall",
            CallAction::Alternate { held: other },
        ),
        (
            "RequestReconnectCall",
            CallAction::Reconnect { held: other },
        ),
        (
            "RequestCompleteTransfer",
            CallAction::CompleteTransfer { consult: other },
        ),
        (
            "RequestCompleteConference",
            CallAction::CompleteConference { consult: other },
        ),
        ("RequestSendDTMF", CallAction::SendDtmf { digits }),
    ];
    all.extend(actions_with_a_destination());
    all
}

fn actions_with_a_destination() -> [(&'static str, CallAction); 7] {
    let (destination, user_data) = ("7001".to_owned(), user_data());
    let consult = |kind| CallAction::Consult {
        kind,
        destination: "7001".to_owned(),
        user_data: user_data.clone(),
    };
    let (initiate_transfer, initiate_conference) = (
        consult(ConsultKind::Transfer),
        consult(ConsultKind::Conference),
    );
    let other_dn = destination.clone();
    let redirect = CallAction::Redirect {
        destination: destination.clone(),
    };
    let mute = CallAction::MuteTransfer {
        destination: destination.clone(),
        user_data: user_data.clone(),
    };
    let transfer = CallAction::SingleStepTransfer {
        destination: destination.clone(),
        user_data: user_data.clone(),
    };
    let conference = CallAction::SingleStepConference {
        destination,
        user_data,
    };
    [
        ("RequestInitiateTransfer", initiate_transfer),
        ("RequestInitiateConference", initiate_conference),
        ("RequestMuteTransfer", mute),
        ("RequestSingleStepTransfer", transfer),
        ("RequestSingleStepConference", conference),
        ("RequestRedirectCall", redirect),
        (
            "RequestDeleteFromConference",
            CallAction::DeleteParty { other_dn },
        ),
    ]
}

fn code_of(answer: &Json) -> &str {
    assert_eq!(answer["Message"], "EventError", "{answer}");
    answer["ErrorCode"].as_str().unwrap()
}

#[test]
fn what_a_party_does_reaches_its_call() {
    let (mut stage, desk) = consulting();
    for (message, action) in actions() {
        stage.say_anything(&desk, &party(message).to_string());
        let (shard, asked) = stage.asked_once();
        assert_eq!(shard, ShardId(1), "the call's own");
        let meant = CallRequest::Party {
            this_dn: DnIndex(0),
            action,
            reasons: KeyValueList::new().with_text("Because", "so"),
        };
        assert_eq!(
            asked.body,
            RequestBody::Call(call().conn_id, meant),
            "{message}"
        );
    }
}

#[test]
fn a_party_acts_on_its_own_calls_only() {
    let (mut stage, mut desk) = consulting();
    let mut agent = stage.client_in(Role::Agent);
    for (message, _) in actions() {
        let ask = |stage: &mut Stage, desk: &mut Desk, attribute: &str, value: &str| {
            let mut request = party(message);
            request[attribute] = value.into();
            stage.say_anything(desk, &request.to_string());
            let heard = desk.hear();
            heard.map(|answer| code_of(&answer).to_owned())
        };
        // An agent's token knows its own DN, which it has not registered.
        for (this_dn, code) in [("2002", "Forbidden"), ("2001", "ClientNotRegistered")] {
            let found = ask(&mut stage, &mut agent, "ThisDN", this_dn);
            assert_eq!(found.as_deref(), Some(code), "{message} for {this_dn}");
        }
        for (this_dn, code) in [
            ("2002", "ClientNotRegistered"),
            ("9999", "UnknownDN"),
            ("7000", "InvalidAttribute"),
        ] {
            let found = ask(&mut stage, &mut desk, "ThisDN", this_dn);
            assert_eq!(found.as_deref(), Some(code), "{message} for {this_dn}");
        }
        // A shard that is not there.
        let found = ask(&mut stage, &mut desk, "ConnID", "00090000000000ab");
        assert_eq!(found.as_deref(), Some("InvalidConnID"), "{message}");
        // A call that is not at the DN. The end of a call is known best where the call is.
        let found = ask(&mut stage, &mut desk, "ConnID", "00010000000000ff");
        if matches!(message, "RequestReleaseCall" | "RequestClearCall") {
            assert_eq!((found, stage.asked().len()), (None, 1), "{message}");
        } else {
            assert_eq!(found.as_deref(), Some("InvalidConnID"), "{message}");
        }
    }
    assert_eq!(stage.asked(), [], "nothing went to a shard");
}

#[test]
fn two_calls_must_be_two_and_both_at_the_dn() {
    let (mut stage, mut desk) = consulting();
    for (message, attribute) in [
        ("RequestAlternateCall", "PreviousConnID"),
        ("RequestReconnectCall", "PreviousConnID"),
        ("RequestCompleteTransfer", "TransferConnID"),
        ("RequestCompleteConference", "TransferConnID"),
    ] {
        for (other, word) in [
            (CALL, "the same call"),
            ("00010000000000ff", "no party"),
            ("12", "16 hex digits"),
        ] {
            let mut request = party(message);
            request[attribute] = other.into();
            stage.say_anything(&desk, &request.to_string());
            let answer = desk.hear().unwrap();
            assert_eq!(code_of(&answer), "InvalidConnID", "{message} {other}");
            let words = answer["ErrorMessage"].as_str().unwrap();
            assert!(words.contains(word), "{message} {other}: {words}");
        }
    }
    assert_eq!(stage.asked(), [], "nothing went to a shard");
}

#[test]
fn attributes_of_call_control_are_checked() {
    const INVALID: &str = "InvalidAttribute";
    const NO_NUMBER: &str = "InvalidCalledDN";
    let (mut stage, mut desk) = consulting();
    let long = "1".repeat(DTMF_DIGITS_MAX + 1);
    for (message, attribute, value, code) in [
        ("RequestSendDTMF", "DTMFDigits", json!("12x"), INVALID),
        ("RequestSendDTMF", "DTMFDigits", json!(""), INVALID),
        ("RequestSendDTMF", "DTMFDigits", json!(long), INVALID),
        ("RequestMakeCall", "OtherDN", json!("sip:a@b"), NO_NUMBER),
        ("RequestMakeCall", "OtherDN", json!("1 2"), NO_NUMBER),
        (
            "RequestMakeCall",
            "OtherDN",
            json!("9".repeat(65)),
            NO_NUMBER,
        ),
        ("RequestMakeCall", "OtherDN", json!(7001), INVALID),
        (
            "RequestSingleStepTransfer",
            "OtherDN",
            json!("<7>"),
            NO_NUMBER,
        ),
        (
            "RequestCallForwardSet",
            "ForwardMode",
            json!("None"),
            INVALID,
        ),
        (
            "RequestCallForwardSet",
            "ForwardMode",
            json!("Often"),
            INVALID,
        ),
        ("RequestInitiateTransfer", "UserData", json!([1]), INVALID),
        ("RequestHoldCall", "ConnID", json!("ab"), "InvalidConnID"),
        ("RequestHoldCall", "ConnID", json!(7), INVALID),
    ] {
        let mut request = party(message);
        request[attribute] = value;
        stage.say_anything(&desk, &request.to_string());
        assert_eq!(code_of(&desk.hear().unwrap()), code, "{request}");
    }
    assert_eq!(stage.asked(), [], "nothing went to a shard");
}

#[test]
fn the_length_of_a_wrap_up_is_checked() {
    let (mut stage, mut desk) = consulting();
    for (work_mode, wrap_up) in [
        ("AfterCallWork", json!(0)),
        ("AfterCallWork", json!(-1)),
        ("AfterCallWork", json!(86_401)),
        ("AfterCallWork", json!("long")),
        ("AfterCallWork", json!({"a": 1})),
        ("AuxWork", json!(10)),
    ] {
        let request = json!({"Message": "RequestAgentNotReady", "ReferenceID": 5,
            "ThisDN": "2001", "AgentWorkMode": work_mode, "Extensions": {"WrapUpTime": wrap_up}});
        stage.say(&desk, &request);
        assert_eq!(
            code_of(&desk.hear().unwrap()),
            "InvalidAttribute",
            "{request}"
        );
    }
    assert_eq!(stage.asked(), [], "nothing went to a shard");
}

#[test]
fn a_request_about_a_call_is_answered_once_by_what_ends_it_first() {
    // The event that the request waits for, an event that is none, an error and an answer of its
    // own: whichever answers first is the only one that shows the reference.
    let (mut stage, mut desk) = consulting();
    for (answers, expected) in [
        (&[EventName::Held, EventName::Held][..], 0),
        (&[EventName::AttachedDataChanged, EventName::Held], 1),
        (&[EventName::Error, EventName::Held], 0),
        (&[EventName::ACK, EventName::Error], 0),
        (&[EventName::Released, EventName::Error], 1),
    ] {
        stage.say_anything(&desk, &party("RequestHoldCall").to_string());
        let whom = stage.asked_once().1.requested_by;
        let mut answered = Vec::new();
        for (place, name) in answers.iter().enumerate() {
            let mut event = match name {
                EventName::Error => {
                    Event::error(stage.now, "2001", whom, ErrorCode::WrongState, "no")
                }
                EventName::ACK => stage.event(*name, "2001"),
                _ => call_event(&stage, *name, "2001"),
            };
            event.requested_by = Some(whom);
            stage.emit(event);
            let heard = desk.hear_all();
            if heard.iter().any(|frame| frame["ReferenceID"] == 5) {
                answered.push(place);
            }
        }
        assert_eq!(answered, [expected], "{answers:?}");
        stage.emit(call_event(&stage, EventName::Established, "2001"));
        desk.hear_all();
    }
}

#[test]
fn a_phone_has_its_time_to_answer() {
    let (mut stage, mut desk) = consulting();
    let make = json!({"Message": "RequestMakeCall", "ReferenceID": 6, "ThisDN": "2001",
                      "OtherDN": "7001"});
    stage.say_anything(&desk, &party("RequestHoldCall").to_string());
    stage.say(&desk, &make);
    stage.pass(CTI_CALL_DEADLINE - Duration::from_millis(1));
    assert_eq!(desk.hear(), None);
    stage.pass(Duration::from_millis(1));
    let answers = desk.hear_all();
    let codes: Vec<_> = answers.iter().map(code_of).collect();
    assert_eq!(codes, ["Timeout", "Timeout"]);
}

#[test]
fn a_dn_shows_all_its_calls() {
    let (mut stage, mut desk) = consulting();
    let snapshot = &stage.register(&mut desk, "2001")["Extensions"];
    assert_eq!(snapshot["AddressStatus"], "Dialing");
    let calls = snapshot["Calls"].as_array().unwrap();
    let shown = |call: &Json| {
        [
            "ConnID",
            "PartyStatus",
            "CallType",
            "PreviousConnID",
            "OtherDN",
        ]
        .map(|name| call[name].as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(calls.len(), 2);
    assert_eq!(
        shown(&calls[0]),
        [CALL, "Held", "Inbound", "-", "+441632960123"]
    );
    assert_eq!(
        shown(&calls[1]),
        [CONSULTATION, "Dialing", "Consult", CALL, "2002"]
    );
    let all = stage.hub.query(&Identity::everyone(), &ALL_CALLS).unwrap();
    let parties = |index: usize| all["Calls"][index]["Parties"].as_array().unwrap().len();
    assert_eq!((parties(0), parties(1)), (1, 2));
}

#[test]
fn a_party_asks_how_its_call_stands() {
    let (mut stage, mut desk) = consulting();
    let query = |this_dn: &str, conn_id: &str| {
        json!({"Message": "RequestQueryCall", "ReferenceID": 5, "ThisDN": this_dn,
               "ConnID": conn_id})
    };
    let answer = stage.ask(&mut desk, &query("2001", CONSULTATION));
    assert_eq!(answer["Message"], "EventPartyInfo");
    assert_eq!(answer["PartyStatus"], "Dialing");
    assert_eq!(answer["PreviousConnID"], CALL);
    let parties = answer["Extensions"]["Parties"].as_array().unwrap();
    let names: Vec<_> = parties.iter().map(|party| &party["ThisDN"]).collect();
    assert_eq!(names, ["2001", "2002"]);
    // An agent sees its own part only.
    let mut agent = stage.client_in(Role::Agent);
    stage.register(&mut agent, "2001");
    let answer = stage.ask(&mut agent, &query("2001", CONSULTATION));
    assert_eq!(answer["Extensions"]["Parties"].as_array().unwrap().len(), 1);
    for (this_dn, conn_id, code) in [
        ("2002", CONSULTATION, "Forbidden"),
        ("2001", "00010000000000ff", "InvalidConnID"),
        ("9999", CALL, "UnknownDN"),
    ] {
        let answer = stage.ask(&mut agent, &query(this_dn, conn_id));
        assert_eq!(code_of(&answer), code);
    }
    let answer = stage.ask(&mut desk, &query("2002", CONSULTATION));
    assert_eq!(code_of(&answer), "ClientNotRegistered");
}

#[test]
fn a_transferred_call_goes_on_under_its_first_number() {
    let (mut stage, mut desk) = consulting();
    stage.register(&mut desk, "2002");
    stage.emit(consultation_event(&stage, EventName::Established, "2002"));
    stage.emit(call_event(&stage, EventName::Released, "2001"));
    stage.emit(consultation_event(&stage, EventName::Released, "2001"));
    let mut changed = call_event(&stage, EventName::PartyChanged, "2002");
    changed.previous_conn_id = Some(consultation().conn_id);
    changed.call_state = Some(CallState::Transferred);
    stage.emit(changed);
    desk.hear_all();
    let calls = stage.register(&mut desk, "2002")["Extensions"]["Calls"].clone();
    assert_eq!(calls.as_array().unwrap().len(), 1);
    assert_eq!(calls[0]["ConnID"], CALL);
    assert_eq!(calls[0]["OtherDN"], "+441632960123");
    assert_eq!(calls[0]["ThisQueue"], "7000");
    assert_eq!(calls[0]["CallState"], "Transferred");
    assert!(calls[0].get("PreviousConnID").is_none());
    let mine = stage.register(&mut desk, "2001")["Extensions"].clone();
    assert!(mine.get("Calls").is_none(), "{mine}");
}

#[test]
fn a_conference_names_its_members_while_it_is_one() {
    let (mut stage, mut desk) = consulting();
    let with = |stage: &Stage, name, other: &str| {
        let mut event = call_event(stage, name, "2001");
        event.other_dn = Some(other.into());
        event
    };
    let members = |stage: &mut Stage, desk: &mut Desk| {
        let snapshot = stage.register(desk, "2001");
        let call = &snapshot["Extensions"]["Calls"][0];
        (
            call["OtherDN"].clone(),
            call.get("ConferenceMembers").cloned(),
        )
    };
    stage.emit(call_event(&stage, EventName::Retrieved, "2001"));
    stage.emit(with(&stage, EventName::PartyAdded, "2002"));
    stage.emit(with(&stage, EventName::PartyAdded, "2003"));
    desk.hear_all();
    let all = json!(["+441632960123", "2002", "2003"]);
    assert_eq!(members(&mut stage, &mut desk).1, Some(all));
    stage.emit(with(&stage, EventName::PartyDeleted, "+441632960123"));
    stage.emit(with(&stage, EventName::PartyDeleted, "2003"));
    desk.hear_all();
    assert_eq!(members(&mut stage, &mut desk), (json!("2002"), None));
}

#[test]
fn what_a_dn_does_with_calls_is_in_its_snapshot() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    let of = |stage: &mut Stage, desk: &mut Desk| {
        let snapshot = stage.register(desk, "2001")["Extensions"].clone();
        ["DND", "ForwardMode", "ForwardDN"].map(|name| snapshot.get(name).cloned())
    };
    stage.emit(stage.event(EventName::DNDOn, "2001"));
    let mut forward = stage.event(EventName::ForwardSet, "2001");
    forward.forward_mode = Some(ForwardMode::OnBusyAndNoAnswer);
    forward.other_dn = Some("2002".into());
    stage.emit(forward);
    // Neither an agent nor its calls change it.
    stage.emit_ready("2001");
    stage.emit(stage.event(EventName::AgentLogout, "2001"));
    let set = [json!(1), json!("OnBusyAndNoAnswer"), json!("2002")].map(Some);
    assert_eq!(of(&mut stage, &mut desk), set);
    stage.emit(stage.event(EventName::DNDOff, "2001"));
    stage.emit(stage.event(EventName::ForwardCancel, "2001"));
    desk.hear_all();
    assert_eq!(of(&mut stage, &mut desk), [None, None, None]);
}

#[test]
fn a_user_event_is_an_event_of_the_stream() {
    let mut stage = Stage::new();
    let (mut desk, mut listener, mut other) = (stage.client(), stage.client(), stage.client());
    stage.register(&mut desk, "2001");
    stage.register(&mut listener, "2001");
    stage.register(&mut other, "2002");
    let request = json!({"Message": "RequestDistributeUserEvent", "ReferenceID": 5,
        "ThisDN": "2001", "ConnID": CALL, "UserData": {"Screen": "pop"},
        "Reasons": {"Because": "so"}, "Extensions": {"Deep": {"er": 1}}});
    let answer = stage.ask(&mut desk, &request);
    assert_eq!(answer["Message"], "EventUserEvent");
    assert_eq!(answer["UserData"], json!({"Screen": "pop"}));
    let mut expected = answer.clone();
    expected.as_object_mut().unwrap().remove("ReferenceID");
    assert_eq!(listener.hear(), Some(expected.clone()));
    assert_eq!(other.hear(), None);
    // Whoever was away hears it when it comes back.
    let mut away = stage.client();
    let hold = json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "2001",
                      "Extensions": {"Hold": 1}});
    stage.say(&away, &hold);
    away.hear_all();
    let resume = json!({"Message": "RequestResume", "ReferenceID": 2,
        "ServerStartTime": stage.hub.start_time, "EventSequenceNumber": 0});
    stage.say(&away, &resume);
    let heard = away.hear_all();
    assert_eq!(
        (&heard[0]["Message"], &heard[1]),
        (&json!("EventACK"), &expected)
    );
    // An agent tells its own DN only, and only what it has registered.
    let mut agent = stage.client_in(Role::Agent);
    for (this_dn, code) in [("2002", "Forbidden"), ("2001", "ClientNotRegistered")] {
        let request = json!({"Message": "RequestDistributeUserEvent", "ReferenceID": 5,
                             "ThisDN": this_dn});
        assert_eq!(code_of(&stage.ask(&mut agent, &request)), code);
    }
}
