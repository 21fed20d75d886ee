//! Routers that are late, silent, twice as eager as they should be, or wrong: the caller is served
//! once, keeps its age, and whoever asked has exactly one answer (`finish` counts them).

use std::time::Duration;

use offhook::config::RoutingPointIndex;
use offhook::counters::Counter;
use offhook::cti::{
    ClientId, ConnId, DesktopRequest, ErrorCode, Event, EventName, KeyValueList, RequestBody,
    RouteRequest, RouteType,
};
use offhook_loadgen::population::{Behaviour, CallPlan, Token};

use super::control::connected;
use super::world::{Setup, World};

/// 7000 waits two seconds for a router. Routing point 7005 leads to the same queue.
const POINTS: &str = r#"
    [[routing_point]]
    number = "7005"
    queue = "sales"
    router_timeout = 2
    [agent_defaults]
    no_answer = 8
    no_answer_action = "none"
"#;

const POINT: RoutingPointIndex = RoutingPointIndex(2);
const NUMBER: &str = "7005";

/// As many agents, and a router.
fn world(agents: u32) -> World {
    world_on(agents, "")
}

/// With more of the section of the trunk.
fn world_on(agents: u32, trunk: &str) -> World {
    let mut world = World::new(Setup {
        shards: 2,
        trunk: trunk.to_owned(),
        ..Setup::calm(agents).with(POINTS)
    });
    world.run_until_ready();
    router(&mut world, 1);
    world.journal.events.clear();
    world
}

fn router(world: &mut World, client: u64) {
    let request = RouteRequest::Router(Some(ClientId(client)));
    world.request(RequestBody::Route(POINT, request));
    world.run_for(Duration::from_millis(500));
}

fn call(world: &mut World) -> Token {
    let token = world.call(CallPlan::to(NUMBER));
    world.run_for(Duration::from_millis(500));
    token
}

fn to(conn_id: ConnId, number: &str) -> RouteRequest {
    RouteRequest::Call {
        conn_id,
        other_dn: Some(number.to_owned()),
        route_type: RouteType::Direct,
        reasons: KeyValueList::new(),
    }
}

fn route(world: &mut World, conn_id: ConnId, number: &str) {
    world.request(RequestBody::Route(POINT, to(conn_id, number)));
}

/// The calls that a router was asked about, in order.
fn asked(world: &World) -> Vec<ConnId> {
    let events = world.journal.events.iter();
    let asked = events.filter(|event| event.name == EventName::RouteRequest);
    asked
        .map(|event| event.call.as_ref().unwrap().conn_id)
        .collect()
}

fn errors(world: &World) -> Vec<ErrorCode> {
    let events = world.journal.events.iter();
    events
        .filter_map(|event: &Event| event.error_code)
        .collect()
}

fn end(mut world: World, tokens: &[Token]) {
    let now = world.now;
    for token in tokens {
        world.population.callers.hang_up(now, *token);
    }
    world.finish();
}

#[test]
fn a_router_that_never_answers_costs_its_time_and_nothing_else() {
    let mut world = world(1);
    let token = call(&mut world);
    assert_eq!((asked(&world).len(), world.rang("2000")), (1, 0));
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, "2000"));
    assert_eq!(world.cluster.count(Counter::RouterTimeout), 1);
    end(world, &[token]);
}

#[test]
fn an_answer_that_comes_late_holds_while_nobody_has_the_call() {
    let mut world = world(2);
    for dn in ["2000", "2001"] {
        world.phone(dn).begin_private_call();
    }
    world.run_for(Duration::from_secs(1));
    let token = call(&mut world);
    world.run_for(Duration::from_secs(10));
    let conn_id = asked(&world)[0];
    // The agent is busy still: the caller waits on.
    route(&mut world, conn_id, "2001");
    world.run_for(Duration::from_secs(1));
    assert_eq!(errors(&world), [ErrorCode::DestinationState]);
    // And the router, which has another moment, is right now.
    world.phone("2001").end_private_call();
    route(&mut world, conn_id, "2001");
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, "2001"));
    world.phone("2000").end_private_call();
    end(world, &[token]);
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing() {
    let mut world = world(2);
    let token = call(&mut world);
    let conn_id = asked(&world)[0];
    world.run_until(Duration::from_secs(10), |world| {
        world.rang("2000") + world.rang("2001") == 1
    });
    let (has, other) = match world.rang("2000") {
        1 => ("2000", "2001"),
        _ => ("2001", "2000"),
    };
    route(&mut world, conn_id, other);
    world.run_for(Duration::from_secs(10));
    route(&mut world, conn_id, other);
    world.run_for(Duration::from_secs(1));
    assert!(connected(&world, token, has));
    assert_eq!(world.rang(other), 0);
    let expected = [ErrorCode::WrongState, ErrorCode::InvalidConnID];
    assert_eq!(errors(&world), expected);
    end(world, &[token]);
}

#[test]
fn of_two_answers_the_first_holds() {
    let mut world = world(2);
    let token = call(&mut world);
    let conn_id = asked(&world)[0];
    route(&mut world, conn_id, "2001");
    route(&mut world, conn_id, "2000");
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, "2001"));
    assert_eq!(world.rang("2000"), 0);
    assert_eq!(errors(&world), [ErrorCode::WrongState]);
    end(world, &[token]);
}

#[test]
fn nonsense_is_refused_and_the_caller_is_served() {
    let mut world = world(1);
    let token = call(&mut world);
    let conn_id = asked(&world)[0];
    for number in [NUMBER, "sales", "ucm", "no number", "", "+44163296"] {
        route(&mut world, conn_id, number);
        world.run_for(Duration::from_millis(100));
    }
    assert_eq!(errors(&world), [ErrorCode::InvalidCalledDN; 6]);
    // Of calls that there are not, and in the name of a routing point at which this one is not.
    for unknown in [ConnId(0), ConnId(conn_id.0 + 1)] {
        world.request(RequestBody::Route(POINT, to(unknown, "2000")));
    }
    let elsewhere = RoutingPointIndex(0);
    world.request(RequestBody::Route(elsewhere, to(conn_id, "2000")));
    world.run_for(Duration::from_secs(10));
    assert_eq!(errors(&world)[6..], [ErrorCode::InvalidConnID; 3]);
    assert!(connected(&world, token, "2000"));
    end(world, &[token]);
}

#[test]
fn the_next_router_takes_over_and_is_asked_about_all_who_wait() {
    let mut world = world(2);
    let tokens = [call(&mut world), call(&mut world)];
    let before = asked(&world);
    assert_eq!(before.len(), 2);
    router(&mut world, 2);
    assert_eq!(asked(&world)[2..], before);
    // What the one that has gone had sent, and what the new one says.
    route(&mut world, before[0], "2001");
    route(&mut world, before[1], "2000");
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, tokens[0], "2001"));
    assert!(connected(&world, tokens[1], "2000"));
    end(world, &tokens);
}

#[test]
fn a_caller_whose_agent_did_not_answer_is_routed_anew_with_its_age() {
    let mut world = world(2);
    world.phone("2000").set_behaviour(Some(Behaviour::rings()));
    world.phone("2001").begin_private_call();
    world.run_for(Duration::from_secs(1));
    let first = call(&mut world);
    let conn_id = asked(&world)[0];
    route(&mut world, conn_id, "2000");
    world.run_for(Duration::from_secs(4));
    assert_eq!(world.rang("2000"), 1);
    let second = call(&mut world);
    world.run_for(Duration::from_secs(6));
    assert_eq!(asked(&world).last(), Some(&conn_id), "once more");
    // The router leaves the choice to the queue, which takes the older caller first.
    for conn_id in [asked(&world)[1], conn_id] {
        let request = RouteRequest::Call {
            conn_id,
            other_dn: None,
            route_type: RouteType::Default,
            reasons: KeyValueList::new(),
        };
        world.request(RequestBody::Route(POINT, request));
    }
    world.phone("2001").end_private_call();
    world.run_for(Duration::from_secs(12));
    assert!(connected(&world, first, "2001"));
    world.phone("2000").set_behaviour(None);
    let now = world.now;
    world.population.callers.hang_up(now, first);
    world.run_for(Duration::from_secs(30));
    assert!(!connected(&world, second, "nobody"));
    end(world, &[second]);
}

#[test]
fn an_agent_who_is_kept_is_the_routers_alone() {
    let mut world = world(1);
    world.ask(
        "2000",
        DesktopRequest::Reserve {
            duration: Duration::from_secs(20),
            priority: 0,
            reasons: KeyValueList::new(),
        },
    );
    world.run_for(Duration::from_secs(1));
    // Somebody who came before, at a routing point without it.
    let other = world.call(CallPlan::to("7000"));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.rang("2000"), 0);
    let token = call(&mut world);
    let conn_id = *asked(&world).last().unwrap();
    route(&mut world, conn_id, "2000");
    world.run_for(Duration::from_secs(5));
    assert!(connected(&world, token, "2000"));
    let now = world.now;
    world.population.callers.give_up(now, other);
    end(world, &[token]);
}

#[test]
fn a_call_that_is_sent_around_by_its_router_ends_somewhere() {
    let mut world = world(1);
    let token = call(&mut world);
    let conn_id = asked(&world)[0];
    // 7000 leads to the same queue: the call comes in again, as old as it was.
    route(&mut world, conn_id, "7000");
    world.run_for(Duration::from_secs(10));
    let names = world.journal.names(NUMBER);
    let sent = [
        EventName::Queued,
        EventName::RouteRequest,
        EventName::RouteUsed,
        EventName::Diverted,
    ];
    assert_eq!(names, sent);
    assert!(connected(&world, token, "2000"));
    end(world, &[token]);
}

#[test]
fn a_router_may_try_as_often_as_it_likes() {
    let mut world = world_on(1, "outbound = true\n");
    for dn in ["2000", "4000"] {
        world.phone(dn).begin_private_call();
    }
    world.run_for(Duration::from_secs(1));
    let token = call(&mut world);
    let conn_id = asked(&world)[0];
    for _ in 0..10 {
        route(&mut world, conn_id, "4000");
        world.run_for(Duration::from_secs(1));
    }
    assert_eq!(errors(&world), [ErrorCode::Busy; 10]);
    route(&mut world, conn_id, "4001");
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, "4001"));
    for dn in ["2000", "4000"] {
        world.phone(dn).end_private_call();
    }
    end(world, &[token]);
}

#[test]
fn a_label_leads_outside_even_where_an_agent_has_the_number() {
    let mut world = world_on(2, "outbound = true\n");
    let token = call(&mut world);
    let request = RouteRequest::Call {
        conn_id: asked(&world)[0],
        other_dn: Some("2001".to_owned()),
        route_type: RouteType::Label,
        reasons: KeyValueList::new(),
    };
    world.request(RequestBody::Route(POINT, request));
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, "2001"));
    assert_eq!(world.rang("2001"), 0, "as a phone, not as an agent");
    end(world, &[token]);
}

#[test]
fn a_caller_whom_a_number_outside_did_not_answer_is_routed_anew() {
    let mut world = world_on(1, "outbound = true\n");
    world.phone("2000").begin_private_call();
    world.phone("4000").set_behaviour(Some(Behaviour::rings()));
    world.run_for(Duration::from_secs(1));
    let token = call(&mut world);
    let conn_id = asked(&world)[0];
    route(&mut world, conn_id, "4000");
    world.run_for(Duration::from_secs(70));
    assert_eq!(asked(&world), [conn_id; 2]);
    world.phone("2000").end_private_call();
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, "2000"));
    end(world, &[token]);
}
