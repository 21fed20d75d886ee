//! Routers: who routes, who is asked, and who takes over.

use super::*;

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
