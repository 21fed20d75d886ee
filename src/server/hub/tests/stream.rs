//! The event stream: who sees what, in which order, and what it folds to.

use super::*;
use crate::cti::{Notice, SubscriptionStatus};
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
    event.agent_id = Some("2001".to_owned());
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
fn route_requests_go_to_routers_only() {
    let mut stage = Stage::new();
    let mut router = stage.client_in(Role::Router);
    let mut supervisor = stage.client_in(Role::Supervisor);
    stage.register(&mut router, "7000");
    stage.register(&mut supervisor, "*");
    assert_eq!(
        stage.asked_once().1.body,
        RequestBody::Route(
            config::RoutingPointIndex(0),
            RouteRequest::Router(Some(router.id))
        )
    );
    stage.emit(call_event(&stage, EventName::Queued, "7000"));
    let mut route_request = call_event(&stage, EventName::RouteRequest, "7000");
    route_request.route_reference = Some(900);
    stage.emit(route_request);
    assert_eq!(supervisor.hear_sequences(), [1]);
    let heard = router.hear_all();
    let names: Vec<_> = heard.iter().map(|frame| frame["Message"].clone()).collect();
    assert_eq!(names, ["EventQueued", "EventRouteRequest"]);
    assert_eq!(heard[1]["ReferenceID"], 900);

    // The routing point may be left out: it is where the call waits.
    let route = json!({"Message": "RequestRouteCall", "ReferenceID": 900, "OtherDN": "2002",
                       "ConnID": call().conn_id.to_string(), "RouteType": "Direct"});
    stage.say(&router, &route);
    let (shard, asked) = stage.asked_once();
    assert_eq!(shard, ShardId(1));
    let RequestBody::Route(_, RouteRequest::Call { other_dn, .. }) = &asked.body else {
        panic!("{asked:?}");
    };
    assert_eq!(other_dn.as_deref(), Some("2002"));
    let mut used = call_event(&stage, EventName::RouteUsed, "7000");
    used.requested_by = Some(asked.requested_by);
    stage.emit(used);
    assert_eq!(router.hear().unwrap()["ReferenceID"], 900);

    stage.hub.handle_disconnect(router.id);
    assert_eq!(
        stage.asked_once().1.body,
        RequestBody::Route(config::RoutingPointIndex(0), RouteRequest::Router(None))
    );
}

#[test]
fn a_wallboard_is_no_router_unless_it_asks_to_be() {
    let body = |router| {
        let point = config::RoutingPointIndex(0);
        RequestBody::Route(point, RouteRequest::Router(router))
    };
    let register = |switch: i64| {
        json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "7000",
               "Extensions": {"Router": switch}})
    };
    let mut stage = Stage::new();
    let mut wallboard = stage.client();
    stage.register(&mut wallboard, "*");
    stage.register(&mut wallboard, "7000");
    stage.ask(&mut wallboard, &register(0));
    assert_eq!(stage.asked(), []);

    stage.ask(&mut wallboard, &register(1));
    assert_eq!(stage.asked_once().1.body, body(Some(wallboard.id)));
    stage.register(&mut wallboard, "7000");
    assert_eq!(stage.asked(), [], "registering again changes nothing");
    stage.ask(&mut wallboard, &register(0));
    assert_eq!(stage.asked_once().1.body, body(None));

    // A router is one without saying so, and may say that it is none.
    let mut router = stage.client_in(Role::Router);
    stage.ask(&mut router, &register(0));
    assert_eq!(stage.asked(), []);
    stage.register(&mut router, "7000");
    assert_eq!(stage.asked_once().1.body, body(Some(router.id)));
}

#[test]
fn only_who_may_route_becomes_the_router_of_a_routing_point() {
    let router = |this_dn: &str| {
        json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": this_dn,
               "Extensions": {"Router": 1}})
    };
    let mut stage = Stage::new();
    let mut supervisor = stage.client_in(Role::Supervisor);
    let answer = stage.ask(&mut supervisor, &router("7000"));
    assert_eq!(answer["ErrorCode"], "Forbidden");
    let mut admin = stage.client();
    for elsewhere in ["*", "2001", "sales", "ucm"] {
        let answer = stage.ask(&mut admin, &router(elsewhere));
        assert_eq!(answer["ErrorCode"], "InvalidAttribute", "{elsewhere}");
    }
    let odd = json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "7000",
                     "Extensions": {"Router": 2}});
    stage.say_anything(&admin, &odd.to_string());
    assert_eq!(admin.hear().unwrap()["ErrorCode"], "InvalidAttribute");
    assert_eq!(stage.asked(), []);
    assert_eq!(
        stage.heard_of_desktops(),
        [],
        "what is refused has no effect"
    );
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
    stage.hub.handle_disconnect(desk.id);
    assert_eq!(stage.heard_of_desktops(), []);
    stage.shards.full.set(false);
    stage.pass(Duration::from_millis(20));
    let words = stage.heard_of_desktops();
    assert_eq!(words, [word(DesktopRequest::Gone)]);
    stage.pass(Duration::from_millis(20));
    assert_eq!(stage.heard_of_desktops(), []);
}

#[test]
fn shards_hear_that_a_router_is_gone_for_which_they_may_keep_agents() {
    let mut stage = Stage::new();
    let router = stage.client_in(Role::Router);
    let reserve = json!({"Message": "RequestReserveAgent", "ReferenceID": 5, "ThisDN": "2002",
                         "Duration": 60_000});
    stage.say(&router, &reserve);
    stage.asked_once();
    let id = router.id;
    stage.hub.handle_disconnect(id);
    stage.pass(Duration::from_millis(20));
    let gone = RequestBody::Desktop(DnIndex(1), DesktopRequest::RouterGone(id));
    assert_eq!(stage.asked_once().1.body, gone);
    // What is over is forgotten.
    let router = stage.client_in(Role::Router);
    stage.say(&router, &reserve);
    stage.asked_once();
    stage.pass(Duration::from_mins(2));
    let other = json!({"Message": "RequestReserveAgent", "ReferenceID": 6, "ThisDN": "2003"});
    stage.say(&router, &other);
    stage.asked_once();
    let id = router.id;
    stage.hub.handle_disconnect(id);
    stage.pass(Duration::from_millis(20));
    let gone = RequestBody::Desktop(DnIndex(2), DesktopRequest::RouterGone(id));
    assert_eq!(stage.asked_once().1.body, gone);
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

#[test]
fn the_snapshot_says_what_the_events_said() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    let fresh = stage.register(&mut desk, "2001");
    assert_eq!(
        fresh["Extensions"],
        json!({"AddressType": "DN", "AddressStatus": "Idle", "AgentStatus": "LoggedOut",
               "SubscriptionStatus": "Off", "EventSequenceNumber": 0})
    );
    let mut login = stage.event(EventName::AgentLogin, "2001");
    login.agent_id = Some("carol".to_owned());
    stage.emit(login);
    let mut not_ready = stage.event(EventName::AgentNotReady, "2001");
    not_ready.agent_work_mode = Some(AgentWorkMode::Unknown);
    not_ready.extensions = KeyValueList::new()
        .with_text("ReasonCode", "on-the-phone")
        .with_text("Source", "presence");
    stage.emit(not_ready);
    stage.emit(call_event(&stage, EventName::Ringing, "2001"));
    let notice = Notice::Subscription {
        dn: DnIndex(0),
        status: SubscriptionStatus::Active,
    };
    stage.hub.handle_output(Output::Notice(notice));
    desk.hear_all();
    let query = json!({"Message": "RequestQueryAddress", "ReferenceID": 4, "ThisDN": "2001"});
    let now = stage.hub.clock.date(stage.now);
    assert_eq!(
        stage.ask(&mut desk, &query)["Extensions"],
        json!({
            "AddressType": "DN", "AddressStatus": "Ringing", "AgentStatus": "NotReady",
            "AgentID": "carol", "AgentWorkMode": "Unknown", "ReasonCode": "on-the-phone",
            "Source": "presence", "Since": now, "SubscriptionStatus": "Active",
            "Calls": [{
                "ConnID": "00010000000000ab", "CallID": 17,
                "CallUUID": call().call_uuid.to_string(), "CallType": "Inbound",
                "ANI": "+441632960123", "DNIS": "7000", "UserData": {"Language": "en"},
                "PartyStatus": "Ringing", "CallState": "Ok", "ThisDNRole": "Destination",
                "OtherDN": "+441632960123", "ThisQueue": "7000", "Since": now,
            }],
            "EventSequenceNumber": 3,
        })
    );
    stage.emit(call_event(&stage, EventName::Established, "2001"));
    let calls = stage
        .hub
        .query(&Identity::everyone(), &Query::Calls)
        .unwrap();
    assert_eq!(calls["Calls"][0]["Parties"][0]["PartyStatus"], "Talking");
    stage.emit(call_event(&stage, EventName::Released, "2001"));
    let calls = stage
        .hub
        .query(&Identity::everyone(), &Query::Calls)
        .unwrap();
    assert_eq!(calls["Calls"], json!([]));
}

#[test]
fn queues_routing_points_and_trunks_are_shown() {
    let mut stage = Stage::new();
    stage.emit(call_event(&stage, EventName::Queued, "7000"));
    stage.emit(stage.event(EventName::DNOutOfService, "ucm"));
    let depth = Notice::QueueDepth {
        estimated_wait: None,
        queue: QueueIndex(0),
        waiting: 1,
        available: 2,
    };
    stage.hub.handle_output(Output::Notice(depth));
    let mut desk = stage.client();
    let point = stage.register(&mut desk, "7000");
    assert_eq!(point["Extensions"]["Waiting"], 1);
    assert_eq!(point["Extensions"]["Calls"][0]["PartyStatus"], "Queued");
    let queue = stage.register(&mut desk, "sales")["Extensions"].clone();
    assert_eq!(
        (&queue["Waiting"], &queue["Available"]),
        (&json!(1), &json!(2))
    );
    let trunk = stage.register(&mut desk, "ucm")["Extensions"].clone();
    assert_eq!(trunk["InService"], false);
    assert_eq!(trunk["AddressStatus"], "OutOfService");
    stage.emit(stage.event(EventName::DNBackInService, "ucm"));
    let trunks = stage
        .hub
        .query(&Identity::everyone(), &Query::Trunks)
        .unwrap();
    assert_eq!(trunks["Trunks"][0]["InService"], true);
    let queues = stage
        .hub
        .query(&Identity::everyone(), &Query::Queues)
        .unwrap();
    assert_eq!(queues["Queues"][0]["RoutingPoints"][0]["ThisDN"], "7000");
    stage.emit(call_event(&stage, EventName::Diverted, "7000"));
    let point = stage
        .hub
        .view()
        .address(stage.hub.book.find("7000").unwrap());
    assert_eq!(point["Waiting"], 0);
}

#[test]
fn http_shows_an_agent_its_own_only_and_pages_the_rest() {
    let stage = Stage::new();
    let agent = Identity {
        role: Role::Agent,
        dns: vec![DnIndex(1)],
        desktop: true,
    };
    let all = Query::Agents {
        after: None,
        limit: 100,
    };
    let own = stage.hub.query(&agent, &all).unwrap();
    assert_eq!(own["Agents"].as_array().unwrap().len(), 1);
    assert_eq!(own["Agents"][0]["ThisDN"], "2002");
    let refused = |query: &Query| stage.hub.query(&agent, query).unwrap_err().0;
    assert_eq!(refused(&Query::Queues), ErrorCode::Forbidden);
    assert_eq!(refused(&Query::Trunks), ErrorCode::Forbidden);
    assert_eq!(
        refused(&Query::Agent("2001".to_owned())),
        ErrorCode::Forbidden
    );
    assert_eq!(refused(&Query::Agent("x".to_owned())), ErrorCode::UnknownDN);
    let first = Query::Agents {
        after: None,
        limit: 2,
    };
    let page = stage.hub.query(&Identity::everyone(), &first).unwrap();
    assert_eq!(
        (page["Agents"].as_array().unwrap().len(), &page["Next"]),
        (2, &json!("2002"))
    );
    let second = Query::Agents {
        after: Some("2002".to_owned()),
        limit: 2,
    };
    let page = stage.hub.query(&Identity::everyone(), &second).unwrap();
    assert_eq!(page["Agents"][0]["ThisDN"], "2003");
    assert!(page.get("Next").is_none());
}

#[test]
fn where_a_caller_stands_is_shown() {
    let mut stage = Stage::new();
    stage.emit(call_event(&stage, EventName::Queued, "7000"));
    let conn_id = call_event(&stage, EventName::Queued, "7000")
        .call
        .unwrap()
        .conn_id;
    let place = |address: &str| Notice::QueuePlace {
        address: address.to_owned(),
        conn_id,
        position: 3,
        estimated_wait: Some(Duration::from_secs(95)),
    };
    // A word about a call that is not there any more is too late.
    for address in ["7000", "2001", "nowhere"] {
        stage.hub.handle_output(Output::Notice(place(address)));
    }
    let depth = Notice::QueueDepth {
        queue: QueueIndex(0),
        waiting: 3,
        available: 0,
        estimated_wait: Some(Duration::from_secs(120)),
    };
    stage.hub.handle_output(Output::Notice(depth));
    let mut desk = stage.client();
    let point = stage.register(&mut desk, "7000")["Extensions"].clone();
    let call = &point["Calls"][0];
    assert_eq!(
        (&call["Position"], &call["EstimatedWait"]),
        (&json!(3), &json!(95))
    );
    let everyone = Identity::everyone();
    let calls = stage.hub.query(&everyone, &Query::Calls).unwrap();
    assert_eq!(calls["Calls"][0]["Parties"][0]["Position"], 3);
    let queues = stage.hub.query(&everyone, &Query::Queues).unwrap();
    assert_eq!(queues["Queues"][0]["EstimatedWait"], 120);
    stage.emit(call_event(&stage, EventName::Ringing, "7000"));
    let calls = stage.hub.query(&everyone, &Query::Calls).unwrap();
    assert!(calls["Calls"][0]["Parties"][0].get("Position").is_none());
}

#[test]
fn one_router_routes_and_the_next_takes_over() {
    let mut stage = Stage::new();
    let mut first = stage.client_in(Role::Router);
    let mut second = stage.client_in(Role::Router);
    stage.register(&mut first, "7000");
    stage.register(&mut second, "7000");
    let point = config::RoutingPointIndex(0);
    let routes = |router| RequestBody::Route(point, RouteRequest::Router(router));
    assert_eq!(stage.asked_once().1.body, routes(Some(first.id)));
    let ask = |stage: &mut Stage| {
        let mut request = call_event(stage, EventName::RouteRequest, "7000");
        request.route_reference = Some(900);
        stage.emit(request);
    };
    ask(&mut stage);
    assert_eq!(first.hear().unwrap()["Message"], "EventRouteRequest");
    assert!(second.hear_all().is_empty(), "it stands by");
    stage.hub.handle_disconnect(first.id);
    assert_eq!(stage.asked_once().1.body, routes(Some(second.id)));
    ask(&mut stage);
    assert_eq!(second.hear().unwrap()["Message"], "EventRouteRequest");
}

/// Whoever stands by, watches or posts a request does not route where somebody else does; where
/// nobody does, it may.
#[test]
fn where_a_router_routes_nobody_else_does() {
    let mut stage = Stage::new();
    let mut router = stage.client_in(Role::Router);
    let mut standby = stage.client_in(Role::Router);
    let mut watcher = stage.client();
    for client in [&mut router, &mut standby, &mut watcher] {
        stage.register(client, "7000");
    }
    stage.emit(call_event(&stage, EventName::Queued, "7000"));
    let route = json!({"Message": "RequestRouteCall", "ReferenceID": 900, "OtherDN": "2002",
                       "ConnID": call().conn_id.to_string()});
    stage.asked();
    for client in [&mut standby, &mut watcher] {
        client.hear_all();
        let refused = stage.ask(client, &route);
        assert_eq!(refused["ErrorCode"], "WrongState", "{refused}");
    }
    assert_eq!(stage.asked(), [], "nothing went to a shard");
    stage.say(&router, &route);
    assert!(matches!(
        stage.asked_once().1.body,
        RequestBody::Route(_, RouteRequest::Call { .. })
    ));
    stage.hub.handle_disconnect(router.id);
    stage.asked();
    stage.say(&standby, &route);
    assert_eq!(stage.asked().len(), 1, "it is its turn");
    stage.hub.handle_disconnect(standby.id);
    stage.asked();
    stage.say(&watcher, &route);
    assert_eq!(stage.asked().len(), 1, "nobody else routes");
}
