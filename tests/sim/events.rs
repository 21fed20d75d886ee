//! What clients see of a call: the events of the T-Library model's cases, in their order and with
//! their attributes.

use std::time::Duration;

use offhook::config::RoutingPointIndex;
use offhook::cti::{
    CallRequest, CallState, CallType, ClientId, ConnId, DnRole, ErrorCode, Event, EventName,
    KeyValueList, RequestBody, RouteRequest, RouteType, UserDataChange, Value,
};
use offhook_loadgen::population::{Behaviour, CallPlan, Token};

use super::world::{Setup, World};

const AGENT: &str = "2000";
const POINT: &str = "7000";

/// One shard, so that the streams of the routing point and the agent have one order.
fn world(agents: u32, more: &str) -> World {
    let setup = Setup {
        shards: 1,
        ..Setup::calm(agents)
    };
    let mut world = World::new(setup.with(more));
    world.run_until_ready();
    world.journal.events.clear();
    world
}

fn call(world: &mut World, number: &str) -> Token {
    world.call(CallPlan::to(number).talks_for(Duration::from_secs(5)))
}

/// The stream so far: address, event, and what the event is about.
fn told(world: &World) -> Vec<String> {
    world.journal.events.iter().map(in_short).collect()
}

fn in_short(event: &Event) -> String {
    let mut words = vec![event.this_dn.to_string(), event.name.name().to_owned()];
    let state = event.call_state.filter(|state| *state != CallState::Ok);
    words.extend(state.map(|state| state.name().to_owned()));
    words.extend(event.third_party_dn.as_ref().map(ToString::to_string));
    words.extend(event.error_code.map(|code| code.name().to_owned()));
    words.join(" ")
}

fn last(world: &World, name: EventName) -> &Event {
    let mut events = world.journal.events.iter().rev();
    events.find(|event| event.name == name).unwrap()
}

fn conn_id(world: &World) -> ConnId {
    last(world, EventName::Queued)
        .call
        .as_ref()
        .unwrap()
        .conn_id
}

/// What every event of one call has, wherever it happens.
fn are_whole(world: &World, dnis: &str, this_queue: Option<&str>) {
    let events = &world.journal.events;
    let calls: Vec<&Event> = events.iter().filter(|event| event.call.is_some()).collect();
    let first = calls[0].call.as_ref().unwrap();
    let ani = first.ani.as_ref().expect("the callers show their number");
    assert_eq!(first.call_type, CallType::Inbound);
    assert_eq!(first.dnis.as_deref(), Some(dnis));
    assert_ne!(first.call_id, 0);
    for event in calls {
        let call = event.call.as_ref().unwrap();
        let same = (call.conn_id, call.call_id, call.call_uuid, call.call_type);
        let expected = (
            first.conn_id,
            first.call_id,
            first.call_uuid,
            first.call_type,
        );
        assert_eq!(same, expected, "{event:?}");
        assert_eq!((&call.ani, &call.dnis), (&first.ani, &first.dnis));
        assert_eq!(event.this_dn_role, Some(DnRole::Destination), "{event:?}");
        assert_eq!(event.this_queue.as_deref(), this_queue, "{event:?}");
        assert_eq!(event.other_dn.as_ref(), Some(ani), "{event:?}");
        assert_eq!(event.other_dn_role, Some(DnRole::Origination), "{event:?}");
        assert!(event.call_state.is_some(), "{event:?}");
        let at_agent = event.this_dn == AGENT;
        let agent_id = at_agent.then_some(AGENT);
        assert_eq!(event.agent_id.as_deref(), agent_id, "{event:?}");
    }
    assert!(
        events.is_sorted_by_key(|event| event.at),
        "time stands or goes on"
    );
}

#[test]
fn call_through_a_routing_point() {
    let mut world = world(1, "[agent_defaults]\nwrap_up = 3\n");
    call(&mut world, POINT);
    world.run_for(Duration::from_secs(30));
    let expected = [
        "7000 Queued",
        "2000 Ringing",
        "7000 Diverted 2000",
        "2000 OffHook",
        "2000 Established",
        "2000 AgentNotReady",
        "2000 Released RemoteRelease",
        "2000 OnHook",
        "2000 AgentReady",
    ];
    assert_eq!(told(&world), expected);
    are_whole(&world, POINT, Some(POINT));
    let diverted = last(&world, EventName::Diverted);
    assert_eq!(diverted.third_party_dn_role, Some(DnRole::Destination));
    for name in [EventName::Established, EventName::AgentNotReady] {
        let wrap_up = last(&world, name).extensions.value("WrapUpTime");
        assert_eq!(wrap_up, Some(&Value::Integer(3)), "{name:?}");
    }
    world.finish();
}

#[test]
fn call_to_the_agents_own_number_is_no_business_of_a_queue() {
    let mut world = world(1, "[agent_defaults]\nwrap_up = 3\n");
    call(&mut world, AGENT);
    world.run_for(Duration::from_secs(30));
    let expected = [
        "2000 Ringing",
        "2000 OffHook",
        "2000 Established",
        "2000 Released RemoteRelease",
        "2000 OnHook",
    ];
    assert_eq!(told(&world), expected);
    are_whole(&world, AGENT, None);
    world.finish();
}

#[test]
fn agent_who_hangs_up_released_the_call() {
    let mut world = world(1, "");
    world.call(CallPlan::to(POINT));
    world.run_for(Duration::from_secs(10));
    assert!(world.phone(AGENT).hang_up());
    world.run_for(Duration::from_secs(1));
    assert_eq!(told(&world)[5..], ["2000 Released", "2000 OnHook"]);
    world.finish();
}

#[test]
fn caller_who_gives_up_abandons_the_queue_or_the_phone() {
    let mut world = world(1, "");
    world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
    let token = world.call(CallPlan::to(POINT));
    world.run_for(Duration::from_secs(2));
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.run_for(Duration::from_secs(2));
    let expected = ["7000 Queued", "2000 Ringing", "7000 Diverted 2000"];
    assert_eq!(told(&world)[..3], expected);
    assert_eq!(told(&world)[3..], ["2000 Abandoned Abandoned"]);
    are_whole(&world, POINT, Some(POINT));

    world.phone(AGENT).unregister();
    world.run_for(Duration::from_secs(2));
    world.journal.events.clear();
    let token = world.call(CallPlan::to(POINT));
    world.run_for(Duration::from_secs(2));
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.run_for(Duration::from_secs(2));
    assert_eq!(told(&world), ["7000 Queued", "7000 Abandoned Abandoned"]);
    are_whole(&world, POINT, Some(POINT));
    world.phone(AGENT).register();
    world.finish();
}

#[test]
fn unanswered_phone_has_the_configured_consequence_and_the_caller_waits_on() {
    for (action, consequence) in [
        ("none", "2000 Ringing"),
        ("notready", "2000 AgentNotReady"),
        ("logout", "2000 AgentLogout"),
    ] {
        let more = format!("[agent_defaults]\nno_answer = 8\nno_answer_action = \"{action}\"\n");
        let mut world = world(1, &more);
        world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
        call(&mut world, POINT);
        world.run_for(Duration::from_secs(10));
        let told = told(&world);
        let at = |text: &str| told.iter().position(|event| event == text);
        let released = at("2000 Released NoAnswer").unwrap();
        assert!(at("7000 Diverted 2000").unwrap() < released, "{told:?}");
        let after: Vec<&str> = told[released + 1..].iter().map(String::as_str).collect();
        assert!(after.contains(&consequence), "{action}: {after:?}");
        assert_eq!(
            after
                .iter()
                .filter(|event| **event == "7000 Queued")
                .count(),
            1
        );
        assert!(!after.contains(&"2000 OnHook"), "it was never off the hook");
        are_whole(&world, POINT, Some(POINT));
        world.finish();
    }
}

#[test]
fn release_by_the_desktop_repeats_its_reasons() {
    for ringing in [true, false] {
        let mut world = world(1, "");
        if ringing {
            world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
        }
        world.call(CallPlan::to(POINT).talks_for(Duration::from_secs(60)));
        world.run_for(Duration::from_secs(10));
        world.phone(AGENT).set_behaviour(None);
        let this_dn = world.cluster.config.dn(AGENT).unwrap();
        let reasons = KeyValueList::new().with_text("Because", "lunch");
        let release = CallRequest::release(this_dn, reasons.clone());
        let body = RequestBody::Call(conn_id(&world), release);
        world.request(body);
        world.run_for(Duration::from_secs(1));
        let released = last(&world, EventName::Released);
        assert!(released.requested_by.is_some());
        assert_eq!(released.reasons, reasons);
        world.finish();
    }
}

#[test]
fn changed_data_names_who_changed_it() {
    let mut world = world(2, "");
    let token = world.call(CallPlan::to(POINT));
    world.run_for(Duration::from_secs(10));
    let agent = last(&world, EventName::Established).this_dn.clone();
    let other = if agent == "2000" { "2001" } else { "2000" };
    let segment = KeyValueList::new().with_text("Segment", "gold");
    let conn_id = conn_id(&world);
    for (this_dn, verdict) in [
        (agent.as_str(), Ok(agent.as_str())),
        (POINT, Ok(POINT)),
        (other, Err(ErrorCode::InvalidConnID)),
    ] {
        let change = CallRequest::UserData {
            this_dn: this_dn.to_owned(),
            change: UserDataChange::Update(segment.clone()),
        };
        world.request(RequestBody::Call(conn_id, change));
        world.run_for(Duration::from_secs(1));
        let event = world.journal.events.last().unwrap();
        match verdict {
            Ok(who) => {
                assert_eq!(event.name, EventName::AttachedDataChanged);
                assert_eq!(event.this_dn, agent);
                assert_eq!(event.third_party_dn.as_deref(), Some(who));
                assert_eq!(event.call.as_ref().unwrap().user_data, segment);
            }
            Err(code) => assert_eq!(event.error_code, Some(code), "{event:?}"),
        }
    }
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(1));
    let released = last(&world, EventName::Released).call.as_ref().unwrap();
    assert_eq!(released.user_data, segment, "a full copy in each event");
    world.finish();
}

#[test]
fn requests_about_a_call_in_the_wrong_state_have_their_code() {
    let mut world = world(1, "");
    world.phone(AGENT).begin_private_call();
    world.run_for(Duration::from_secs(1));
    let token = world.call(CallPlan::to(POINT));
    world.run_for(Duration::from_secs(1));
    let waiting = conn_id(&world);
    let release = |conn_id: ConnId| {
        let this_dn = offhook::config::DnIndex(0);
        let reasons = KeyValueList::new();
        RequestBody::Call(conn_id, CallRequest::release(this_dn, reasons))
    };
    let delete = CallRequest::UserData {
        this_dn: POINT.to_owned(),
        change: UserDataChange::DeletePair("Nothing".to_owned()),
    };
    let elsewhere = RouteRequest::Call {
        conn_id: ConnId(waiting.0 + 1),
        other_dn: Some(AGENT.to_owned()),
        route_type: RouteType::Direct,
        reasons: KeyValueList::new(),
    };
    for (request, code) in [
        (release(waiting), ErrorCode::InvalidConnID),
        (release(ConnId(waiting.0 + 1)), ErrorCode::InvalidConnID),
        (
            RequestBody::Call(waiting, delete),
            ErrorCode::InvalidAttribute,
        ),
        (route(elsewhere), ErrorCode::InvalidConnID),
    ] {
        world.request(request.clone());
        world.run_for(Duration::from_secs(1));
        let answer = world.journal.events.last().unwrap();
        assert_eq!(answer.error_code, Some(code), "{request:?}");
        assert!(answer.requested_by.is_some());
    }
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.phone(AGENT).end_private_call();
    world.finish();
}

#[test]
fn router_is_asked_chooses_and_is_answered() {
    let mut world = world(2, "");
    world.request(route(RouteRequest::Router(Some(ClientId(1)))));
    call(&mut world, POINT);
    world.run_for(Duration::from_secs(1));
    assert_eq!(told(&world), ["7000 Queued", "7000 RouteRequest"]);
    let asked = last(&world, EventName::RouteRequest);
    assert_eq!(asked.route_reference, Some(1));
    let reasons = KeyValueList::new().with_text("Skill", "French");
    world.request(route(RouteRequest::Call {
        conn_id: conn_id(&world),
        other_dn: Some("2001".to_owned()),
        route_type: RouteType::Direct,
        reasons: reasons.clone(),
    }));
    world.run_for(Duration::from_secs(30));
    let expected = ["2001 Ringing", "7000 RouteUsed 2001", "7000 Diverted 2001"];
    assert_eq!(told(&world)[2..5], expected);
    let used = last(&world, EventName::RouteUsed);
    assert!(used.requested_by.is_some());
    assert_eq!(used.route_type, Some(RouteType::Direct));
    assert_eq!(used.reasons, reasons);
    world.finish();
}

#[test]
fn router_that_comes_late_is_asked_about_those_who_wait() {
    let mut world = world(1, "");
    world.phone(AGENT).begin_private_call();
    world.run_for(Duration::from_secs(1));
    world.journal.events.clear();
    for _ in 0..2 {
        call(&mut world, POINT);
        world.run_for(Duration::from_secs(1));
    }
    world.request(route(RouteRequest::Router(Some(ClientId(1)))));
    world.run_for(Duration::from_secs(1));
    let expected = [
        "7000 Queued",
        "7000 Queued",
        "7000 RouteRequest",
        "7000 RouteRequest",
    ];
    assert_eq!(told(&world), expected);
    let call_of = |index: usize| world.journal.events[index].call.as_ref().unwrap().conn_id;
    assert_eq!(
        (call_of(2), call_of(3)),
        (call_of(0), call_of(1)),
        "in their order"
    );
    // The same word again asks nothing again.
    world.request(route(RouteRequest::Router(Some(ClientId(1)))));
    world.run_for(Duration::from_secs(1));
    assert_eq!(told(&world).len(), 4);
    world.phone(AGENT).end_private_call();
    world.finish();
}

fn route(request: RouteRequest) -> RequestBody {
    RequestBody::Route(RoutingPointIndex(0), request)
}
