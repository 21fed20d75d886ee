//! The event stream: who sees what, and in which order.

use super::*;
use crate::server::clients::Close;

#[test]
fn only_the_requester_sees_the_reference() {
    let mut stage = Stage::new();
    let (mut asking, mut watching, mut elsewhere) =
        (stage.client(), stage.client(), stage.client());
    stage.register(&mut asking, "2001");
    stage.register(&mut watching, "2001");
    stage.register(&mut elsewhere, "2002");
    let request = json!({"Message": "RequestAgentNotReady", "ReferenceID": 7, "ThisDN": "2001",
                         "AgentWorkMode": "AuxWork", "Reasons": {"Break": "lunch"}});
    stage.say(&asking, &request);
    let (shard, asked) = stage.asked_once();
    assert_eq!(shard, ShardId(0));
    let reasons = KeyValueList::new().with_text("Break", "lunch");
    let work_mode = AgentWorkMode::AuxWork;
    let wanted = DesktopRequest::NotReady {
        work_mode,
        wrap_up: None,
        reasons: reasons.clone(),
    };
    assert_eq!(asked.body, RequestBody::Desktop(DnIndex(0), wanted));

    let mut event = stage.event(EventName::AgentNotReady, "2001");
    event.agent_id = Some("2001".into());
    event.agent_work_mode = Some(work_mode);
    event.reasons = reasons;
    event.requested_by = Some(asked.requested_by);
    stage.emit(event.clone());
    let mut expected = json!({
        "Message": "EventAgentNotReady", "ThisDN": "2001", "AgentID": "2001",
        "AgentWorkMode": "AuxWork", "Reasons": {"Break": "lunch"}, "EventSequenceNumber": 1,
        "Time": stage.hub.clock.date(stage.now),
    });
    assert_eq!(watching.hear_all(), [expected.clone()]);
    expected["ReferenceID"] = 7.into();
    assert_eq!(asking.hear_all(), [expected]);
    assert_eq!(elsewhere.hear(), None);

    // What the same request leads to later is no second answer.
    stage.emit(event);
    assert!(asking.hear().unwrap().get("ReferenceID").is_none());
}

/// A16: what a caller writes is data in a frame, whatever it looks like elsewhere.
#[test]
fn a16_what_strangers_write_is_a_value_of_its_frame_and_nothing_else() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    let nasty = [
        "\",\"Message\":\"EventAgentLogout\",\"x\":\"",
        "<script>alert(1)</script>",
        "a\r\nInjected: line\u{0}\u{1b}[2J",
        "'; DROP TABLE agents; --",
        "=cmd|' /C calc'!A0",
        "\u{2028}\u{202e}\\u0000",
    ];
    for text in nasty {
        let mut event = stage.event(EventName::AgentNotReady, "2001");
        event.agent_work_mode = Some(AgentWorkMode::AuxWork);
        event.reasons = KeyValueList::new().with_text(text, text);
        stage.emit(event);
        let frame = desk.hear().unwrap();
        assert_eq!(frame["Message"], "EventAgentNotReady");
        assert_eq!(frame["Reasons"], json!({ text: text }));
    }
}

#[test]
fn a_success_of_another_name_is_not_the_answer() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    let login = json!({"Message": "RequestAgentLogin", "ReferenceID": 3, "ThisDN": "2001"});
    stage.say(&desk, &login);
    let (_, asked) = stage.asked_once();
    for name in [
        EventName::AgentLogout,
        EventName::AgentLogin,
        EventName::AgentReady,
    ] {
        let mut event = stage.event(name, "2001");
        event.agent_work_mode = Some(AgentWorkMode::ManualIn);
        event.requested_by = Some(asked.requested_by);
        stage.emit(event);
    }
    let references: Vec<_> = desk
        .hear_all()
        .iter()
        .map(|frame| frame["ReferenceID"].clone())
        .collect();
    assert_eq!(references, [Json::Null, json!(3), Json::Null]);
}

#[test]
fn two_requests_with_one_number_get_two_answers() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    stage.register(&mut desk, "2002");
    stage.say(&desk, &ready(5, "2001"));
    stage.say(&desk, &ready(5, "2002"));
    for (_, asked) in stage.asked() {
        stage.emit(Event::error(
            stage.now,
            "x",
            asked.requested_by,
            ErrorCode::WrongState,
            "no",
        ));
    }
    let answers = desk.hear_all();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer["ReferenceID"] == 5));
}

#[test]
fn numbers_rise_by_one_and_answers_have_none() {
    let mut stage = Stage::new();
    let mut all = stage.client();
    stage.register(&mut all, "*");
    let mut some = stage.client();
    stage.register(&mut some, "2001");
    for dn in ["2001", "2002", "2003", "2001"] {
        stage.emit_ready(dn);
        stage.say_anything(&all, "garbage");
    }
    let frames = all.hear_all();
    let events = frames
        .iter()
        .filter(|frame| frame["Message"] == "EventAgentReady");
    let numbers: Vec<_> = events
        .map(|frame| frame["EventSequenceNumber"].clone())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(some.hear_sequences(), [1, 4]);
    let info = stage.ask(
        &mut some,
        &json!({"Message": "RequestQueryServer", "ReferenceID": 1}),
    );
    assert_eq!(info["EventSequenceNumber"], 4);
}

#[test]
fn who_registered_twice_hears_once() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "*");
    stage.register(&mut desk, "2001");
    stage.register(&mut desk, "2001");
    stage.emit_ready("2001");
    assert_eq!(desk.hear_sequences(), [1]);
    let leave = json!({"Message": "RequestUnregisterAddress", "ReferenceID": 2, "ThisDN": "*"});
    assert_eq!(stage.ask(&mut desk, &leave)["Message"], "EventUnregistered");
    stage.emit_ready("2002");
    stage.emit_ready("2001");
    assert_eq!(desk.hear_sequences(), [3]);
}

#[test]
fn the_first_desktop_and_the_last_are_told_to_the_shard() {
    let word = |word| (ShardId(1), DnIndex(1), word);
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2002");
    let words = stage.heard_of_desktops();
    assert_eq!(words, [word(DesktopRequest::Present)]);
    stage.register(&mut desk, "2002");
    assert_eq!(stage.heard_of_desktops(), [], "it is there already");
    // News wait while the shard is busy.
    stage.shards.full.set(true);
    assert!(!stage.hub.waits_for_time());
    stage.hub.handle_disconnect(desk.id);
    assert!(stage.hub.waits_for_time());
    assert_eq!(stage.heard_of_desktops(), []);
    stage.shards.full.set(false);
    stage.pass(Duration::from_millis(20));
    let words = stage.heard_of_desktops();
    assert_eq!(words, [word(DesktopRequest::Gone)]);
    assert!(!stage.hub.waits_for_time());
}

#[test]
fn a_desktop_that_connects_again_is_back_before_it_asks_anything() {
    let word = |word| (ShardId(1), DnIndex(1), word);
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2002");
    stage.hub.handle_disconnect(desk.id);
    let mut back = stage.client();
    let hold = json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "2002",
                      "Extensions": {"Hold": 1}});
    stage.ask(&mut back, &hold);
    let words = [
        word(DesktopRequest::Present),
        word(DesktopRequest::Gone),
        word(DesktopRequest::Present),
    ];
    assert_eq!(stage.heard_of_desktops(), words);
    let leave = json!({"Message": "RequestUnregisterAddress", "ReferenceID": 2, "ThisDN": "2002"});
    stage.ask(&mut back, &leave);
    let words = stage.heard_of_desktops();
    assert_eq!(words, [word(DesktopRequest::Gone)]);
}

#[test]
fn watching_everything_supervising_or_posting_is_not_being_the_desktop() {
    let mut stage = Stage::new();
    let mut wallboard = stage.client();
    stage.register(&mut wallboard, "*");
    stage.say(&wallboard, &ready(5, "2002"));
    let mut supervisor = stage.client_in(Role::Supervisor);
    stage.register(&mut supervisor, "2002");
    stage.say(&supervisor, &ready(5, "2002"));
    let (outbox, _inbox) = clients::queue(1);
    let identity = Identity::everyone();
    let posting = stage
        .hub
        .connect(stage.now, identity, Kind::Post, outbox)
        .unwrap();
    let text = ready(5, "2002").to_string();
    stage
        .hub
        .handle_frame(stage.now, posting, Received::Text(text.as_bytes()));
    assert_eq!(stage.asked().len(), 3);
    for id in [wallboard.id, supervisor.id, posting] {
        stage.hub.handle_disconnect(id);
    }
    assert_eq!(stage.heard_of_desktops(), []);
}

#[test]
fn a_client_that_does_not_read_is_cut_off_alone() {
    let mut stage = Stage::new();
    let (mut slow, mut quick) = (stage.client(), stage.client());
    stage.register(&mut slow, "2001");
    stage.register(&mut quick, "2001");
    let mut heard = Vec::new();
    for _ in 0..100 {
        stage.emit_ready("2001");
        heard.extend(quick.hear_sequences());
    }
    assert_eq!(heard, (1..=100).collect::<Vec<_>>());
    assert_eq!(slow.inbox.close.try_recv(), Ok(Close::Slow));
    assert_eq!(slow.hear_sequences(), (1..=64).collect::<Vec<_>>());
    assert_eq!(stage.hub.numbers().tally.slow_clients, 1);
    assert_eq!(stage.hub.numbers().clients, 1);
    assert!(quick.inbox.close.try_recv().is_err());
}

#[test]
fn a_hundred_clients_hear_the_same_in_the_same_order() {
    let mut stage = Stage::new();
    let mut desks: Vec<Desk> = (0..100).map(|_| stage.client()).collect();
    for desk in &mut desks {
        stage.register(desk, "*");
    }
    for dn in ["2001", "2002", "2003"].iter().cycle().take(50) {
        stage.emit_ready(dn);
    }
    let first = desks[0].hear_all();
    assert_eq!(first.len(), 50);
    assert!(desks[1..].iter_mut().all(|desk| desk.hear_all() == first));
    for desk in &desks {
        stage.hub.handle_disconnect(desk.id);
    }
    assert_eq!(stage.hub.numbers().clients, 0);
}
