//! Third-party call control: a desktop asks, and the phones, the callers and every client see what
//! it asked for. Who hears whom is what the parties say, not what the server believes.

use std::time::Duration;

use offhook::cti::{
    CallAction, CallRequest, CallState, CallType, ConnId, ConsultKind, DesktopRequest, DnRole,
    ErrorCode, Event, EventName, KeyValueList, RequestBody,
};
use offhook::sip::Status;
use offhook_loadgen::population::{Behaviour, CallPlan, Fact, Party, Reception, Token};

use super::network::Fate;
use super::world::{Setup, World, node_address};

pub const AGENT: &str = "2000";
pub const OTHER: &str = "2001";
pub const OUTSIDE: &str = "4000";

/// Options of the trunk in every world, as if they stood in its section.
pub fn world_with(trunk: &str, more: &str) -> World {
    world_on(1, 1, trunk, more)
}

/// The same on so many shards, from this seed.
pub fn world_on(shards: u16, seed: u64, trunk: &str, more: &str) -> World {
    let setup = Setup {
        seed,
        shards,
        trunk: trunk.to_owned(),
        ..Setup::calm(3)
    };
    let mut world = World::new(setup.with(more));
    world.run_until_ready();
    world.journal.events.clear();
    world
}

pub fn world() -> World {
    world_with("outbound = true\n", "")
}

/// A caller who talks to the agent; the call and its name.
pub fn talking(world: &mut World) -> (Token, ConnId) {
    let token = world.call(CallPlan::to(AGENT));
    world.run_for(Duration::from_secs(10));
    let conn_id = conn_of(world, AGENT, EventName::Established);
    assert!(connected(world, token, AGENT));
    world.journal.events.clear();
    (token, conn_id)
}

pub fn connected(world: &World, token: Token, dn: &str) -> bool {
    world
        .population
        .are_connected(&Party::Caller(token), &Party::phone(dn))
}

pub fn held(world: &World, token: Token) -> bool {
    world.population.is_on_hold(&Party::Caller(token))
}

pub fn last<'a>(world: &'a World, dn: &str, name: EventName) -> &'a Event {
    let mut events = world.journal.events.iter().rev();
    let found = events.find(|event| event.this_dn == dn && event.name == name);
    found.unwrap_or_else(|| panic!("no {name:?} at {dn}: {:?}", told(world)))
}

pub fn conn_of(world: &World, dn: &str, name: EventName) -> ConnId {
    last(world, dn, name).call.as_ref().unwrap().conn_id
}

/// The call events so far: address, event, and how the party stands.
pub fn told(world: &World) -> Vec<String> {
    told_since(world, 0)
}

/// The same, from one moment on.
pub fn told_since(world: &World, moment: usize) -> Vec<String> {
    let of_calls = |event: &&Event| event.call.is_some() || event.error_code.is_some();
    let events = world.journal.events[moment..].iter();
    events.filter(of_calls).map(in_short).collect()
}

/// This moment, among the events.
pub fn moment(world: &World) -> usize {
    world.journal.events.len()
}

fn in_short(event: &Event) -> String {
    let mut words = vec![event.this_dn.to_string(), event.name.name().to_owned()];
    let state = event.call_state.filter(|state| *state != CallState::Ok);
    words.extend(state.map(|state| state.name().to_owned()));
    words.extend(event.error_code.map(|code| code.name().to_owned()));
    words.join(" ")
}

pub fn act(world: &mut World, dn: &str, conn_id: ConnId, action: CallAction) {
    let this_dn = world.cluster.config.dn(dn).expect("an agent");
    let request = CallRequest::Party {
        this_dn,
        action,
        reasons: KeyValueList::new(),
    };
    world.request(RequestBody::Call(conn_id, request));
    world.run_for(Duration::from_secs(3));
}

pub fn consult(number: &str) -> CallAction {
    CallAction::Consult {
        kind: ConsultKind::Transfer,
        destination: number.to_owned(),
        user_data: KeyValueList::new(),
    }
}

pub fn single_step(number: &str) -> CallAction {
    CallAction::SingleStepTransfer {
        destination: number.to_owned(),
        user_data: KeyValueList::new(),
    }
}

/// The agent consults somebody who has answered; the consultation's name.
pub fn consulting(world: &mut World, main: ConnId, number: &str) -> ConnId {
    act(world, AGENT, main, consult(number));
    world.run_for(Duration::from_secs(7));
    let consult = conn_of(world, AGENT, EventName::Dialing);
    let (agent, other) = (Party::phone(AGENT), Party::phone(number));
    assert!(
        world.population.are_connected(&agent, &other),
        "{:?}",
        told(world)
    );
    consult
}

pub fn make_call(world: &mut World, dn: &str, number: &str) {
    world.ask(
        dn,
        DesktopRequest::MakeCall {
            destination: number.to_owned(),
            user_data: KeyValueList::new(),
            reasons: KeyValueList::new(),
        },
    );
    world.run_for(Duration::from_secs(15));
}

/// Whoever but the agent was established last.
pub fn last_established(world: &World) -> String {
    let mut events = world.journal.events.iter().rev();
    let found = events.find(|event| event.name == EventName::Established && event.this_dn != AGENT);
    found.expect("somebody has answered").this_dn.to_string()
}

pub fn end(world: &mut World, token: Token) {
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.population.one_way(), []);
    world.finish();
}

#[test]
fn held_caller_hears_nobody_until_it_is_retrieved() {
    let mut world = world();
    let (token, conn_id) = talking(&mut world);
    act(&mut world, AGENT, conn_id, CallAction::Hold);
    assert!(held(&world, token));
    assert_eq!(world.population.one_way(), []);
    act(&mut world, AGENT, conn_id, CallAction::Hold);
    act(&mut world, AGENT, conn_id, CallAction::Retrieve);
    assert!(connected(&world, token, AGENT));
    let expected = ["2000 Held", "2000 Error AlreadyInState", "2000 Retrieved"];
    assert_eq!(told(&world), expected);
    let event = last(&world, AGENT, EventName::Held);
    assert_eq!(event.this_dn_role, Some(DnRole::Destination));
    assert_eq!(event.other_dn_role, Some(DnRole::Origination));
    assert!(event.requested_by.is_some());
    end(&mut world, token);
}

#[test]
fn desktop_makes_calls() {
    for (trunk, number) in [
        ("outbound = true\n", OTHER),
        ("outbound = true\n", OUTSIDE),
        ("outbound = true\n", "7000"),
        ("outbound = true\nmake_call_flow = \"4\"\n", OTHER),
        ("outbound = true\nmake_call_flow = \"4\"\n", OUTSIDE),
    ] {
        let mut world = world_with(trunk, "");
        make_call(&mut world, AGENT, number);
        let dialing = last(&world, AGENT, EventName::Dialing);
        assert!(dialing.requested_by.is_some());
        assert_eq!(dialing.this_dn_role, Some(DnRole::Origination));
        assert_eq!(dialing.other_dn.as_deref(), Some(number));
        let expected = if number == OUTSIDE {
            CallType::Outbound
        } else {
            CallType::Internal
        };
        let conn_id = conn_of(&world, AGENT, EventName::Established);
        let call = last(&world, AGENT, EventName::Established)
            .call
            .clone()
            .unwrap();
        assert_eq!(call.call_type, expected);
        let taker = match number {
            "7000" => last_established(&world),
            _ => number.to_owned(),
        };
        let (agent, taker) = (Party::phone(AGENT), Party::phone(&taker));
        assert!(
            world.population.are_connected(&agent, &taker),
            "{trunk}{number}"
        );
        act(&mut world, AGENT, conn_id, CallAction::Release);
        assert_eq!(world.population.one_way(), []);
        world.finish();
    }
}

#[test]
fn call_that_nobody_takes_ends_at_the_one_who_makes_it() {
    let mut world = world();
    world
        .phone(OTHER)
        .set_behaviour(Some(Behaviour::refuses(Status(486))));
    make_call(&mut world, AGENT, OTHER);
    assert_eq!(
        told(&world),
        [
            "2000 Dialing",
            "2000 DestinationBusy Busy",
            "2000 Released Busy",
        ]
    );
    let since = moment(&world);
    world
        .phone(AGENT)
        .set_behaviour(Some(Behaviour::refuses(Status(480))));
    make_call(&mut world, AGENT, OTHER);
    assert_eq!(
        told_since(&world, since),
        ["2000 Dialing", "2000 Released GeneralError"]
    );
    world.phone(AGENT).set_behaviour(None);
    let since = moment(&world);
    make_call(&mut world, AGENT, "nobody at all");
    assert_eq!(told_since(&world, since), ["2000 Error InvalidCalledDN"]);
    world.finish();
}

#[test]
fn phone_that_breaks_the_change_keeps_its_caller() {
    for reception in [
        Reception::Refuse(Status(488)),
        Reception::Undescribed,
        Reception::ByHand,
    ] {
        let mut world = world();
        let (token, main) = talking(&mut world);
        world.phone(AGENT).set_reception(reception);
        act(&mut world, AGENT, main, CallAction::Hold);
        world.run_for(Duration::from_secs(60));
        assert_eq!(told(&world), ["2000 Error Rejected"], "{reception:?}");
        assert!(!world.population.callers.is_waiting(token));
        assert!(connected(&world, token, AGENT), "{reception:?}");
        end(&mut world, token);
    }
}

#[test]
fn phone_that_hangs_up_in_the_middle_of_a_change_ends_the_call() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    world.phone(AGENT).set_reception(Reception::HangUp);
    act(&mut world, AGENT, main, CallAction::Hold);
    world.phone(AGENT).set_reception(Reception::Answer);
    last(&world, AGENT, EventName::Released);
    let _ = token;
    world.finish();
}

#[test]
fn requests_that_make_no_sense_are_errors_and_change_nothing() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    let gone = ConnId(main.0 + 77);
    for (conn_id, action, code) in [
        (main, CallAction::Retrieve, ErrorCode::AlreadyInState),
        (main, CallAction::Answer, ErrorCode::WrongState),
        (
            main,
            CallAction::Alternate { held: main },
            ErrorCode::InvalidConnID,
        ),
        (
            main,
            CallAction::CompleteTransfer { consult: gone },
            ErrorCode::InvalidConnID,
        ),
        (gone, CallAction::Hold, ErrorCode::InvalidConnID),
        (main, consult(AGENT), ErrorCode::InvalidCalledDN),
        (main, consult("no number"), ErrorCode::InvalidCalledDN),
        (main, single_step(AGENT), ErrorCode::InvalidCalledDN),
        (
            main,
            CallAction::Redirect {
                destination: OTHER.to_owned(),
            },
            ErrorCode::WrongState,
        ),
        (
            main,
            CallAction::SingleStepConference {
                destination: OTHER.to_owned(),
                user_data: KeyValueList::new(),
            },
            ErrorCode::UnsupportedOperation,
        ),
        (
            main,
            CallAction::DeleteParty {
                other_dn: OTHER.to_owned(),
            },
            ErrorCode::WrongState,
        ),
        (
            main,
            CallAction::SendDtmf {
                digits: "12".to_owned(),
            },
            ErrorCode::UnsupportedOperation,
        ),
    ] {
        act(&mut world, AGENT, conn_id, action.clone());
        let event = world.journal.events.last().expect("an answer");
        assert_eq!(event.error_code, Some(code), "{action:?}");
        assert!(connected(&world, token, AGENT), "{action:?}");
    }
    let since = moment(&world);
    act(&mut world, OTHER, main, CallAction::Hold);
    assert_eq!(told_since(&world, since), ["2001 Error InvalidConnID"]);
    end(&mut world, token);
}

#[test]
fn digits_reach_the_caller() {
    for (dtmf, first) in [
        ("dtmf-relay", "Signal=1\r\nDuration=160\r\n"),
        ("dtmf", "1"),
    ] {
        let trunk = format!("dtmf = \"{dtmf}\"\n");
        let mut world = world_with(&trunk, "");
        let (token, main) = talking(&mut world);
        let digits = "1*".to_owned();
        act(&mut world, AGENT, main, CallAction::SendDtmf { digits });
        assert_eq!(told(&world), ["2000 DTMFSent"]);
        let infos = |world: &World| {
            world.count(|fact| matches!(fact, Fact::Info { body, .. } if body.contains(first)))
        };
        assert_eq!(infos(&world), 1, "{dtmf}");
        act(
            &mut world,
            AGENT,
            main,
            CallAction::SendDtmf {
                digits: "nonsense".to_owned(),
            },
        );
        let refused = world
            .journal
            .events
            .last()
            .and_then(|event| event.error_code);
        assert_eq!(refused, Some(ErrorCode::InvalidAttribute));
        end(&mut world, token);
    }
}

#[test]
fn desktop_picks_the_phone_up() {
    for answer in ["talk", "call-info", "alert-info"] {
        let trunk = format!("answer = \"{answer}\"\n");
        let mut world = world_with(&trunk, "");
        let alone = Behaviour {
            answers_alone: Some(Duration::from_millis(300)),
            ..Behaviour::rings()
        };
        world.phone(AGENT).set_behaviour(Some(alone));
        let token = world.call(CallPlan::to(AGENT));
        world.run_for(Duration::from_secs(3));
        let conn_id = conn_of(&world, AGENT, EventName::Ringing);
        act(&mut world, AGENT, conn_id, CallAction::Answer);
        assert!(
            connected(&world, token, AGENT),
            "{answer}: {:?}",
            told(&world)
        );
        assert_eq!(
            told(&world),
            ["2000 Ringing", "2000 Established"],
            "{answer}"
        );
        let established = last(&world, AGENT, EventName::Established);
        assert!(established.requested_by.is_some());
        end(&mut world, token);
    }
}

/// The CANCEL of the call that rings is late, and every copy of it: the phone is called again when
/// it is free, and not while it would say that it is busy.
#[test]
fn phone_that_is_picked_up_is_called_again_when_it_is_free() {
    for shards in [1, 3] {
        let mut world = world_on(shards, 1, "answer = \"call-info\"\n", "");
        let alone = Behaviour {
            answers_alone: Some(Duration::from_millis(300)),
            ..Behaviour::rings()
        };
        world.phone(AGENT).set_behaviour(Some(alone));
        let token = world.call(CallPlan::to(AGENT));
        world.run_for(Duration::from_secs(3));
        world.network.rule = Some(Box::new(|flight| {
            let is_cancel = flight.bytes.starts_with(b"CANCEL ");
            match is_cancel {
                true => Fate::Late(Duration::from_millis(400)),
                false => Fate::Usual,
            }
        }));
        let conn_id = conn_of(&world, AGENT, EventName::Ringing);
        act(&mut world, AGENT, conn_id, CallAction::Answer);
        assert!(connected(&world, token, AGENT), "{:?}", told(&world));
        assert_eq!(told(&world), ["2000 Ringing", "2000 Established"]);
        world.network.rule = None;
        end(&mut world, token);
    }
}

/// The agent's desktop picks the phone up, and the caller gives up before the phone could be called
/// again.
#[test]
fn phone_is_not_called_again_for_a_caller_who_has_left() {
    let mut world = world_with("answer = \"call-info\"\n", "");
    world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
    let token = world.call(CallPlan {
        expires: None,
        ..CallPlan::to(AGENT)
    });
    world.run_for(Duration::from_secs(3));
    world.network.rule = Some(Box::new(|flight| {
        let is_ours = flight.bytes.starts_with(b"CANCEL ") && flight.to == node_address(0);
        match is_ours {
            true => Fate::Late(Duration::from_millis(1_000)),
            false => Fate::Usual,
        }
    }));
    let conn_id = conn_of(&world, AGENT, EventName::Ringing);
    let answer = CallRequest::Party {
        this_dn: world.cluster.config.dn(AGENT).expect("an agent"),
        action: CallAction::Answer,
        reasons: KeyValueList::new(),
    };
    world.request(RequestBody::Call(conn_id, answer));
    world.run_for(Duration::from_millis(100));
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.run_for(Duration::from_secs(5));
    world.network.rule = None;
    let rang = |fact: &Fact| matches!(fact, Fact::Rang { .. });
    assert_eq!(world.count(rang), 1);
    world.finish();
}

/// UCM's phones cannot be picked up from outside: without `answer` of the trunk the call rings on.
#[test]
fn phone_that_cannot_be_picked_up_rings_on() {
    let mut world = world();
    world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
    let token = world.call(CallPlan::to(AGENT));
    world.run_for(Duration::from_secs(3));
    let conn_id = conn_of(&world, AGENT, EventName::Ringing);
    act(&mut world, AGENT, conn_id, CallAction::Answer);
    let error = last(&world, AGENT, EventName::Error);
    assert_eq!(error.error_code, Some(ErrorCode::UnsupportedOperation));
    assert!(world.phone(AGENT).answer());
    world.run_for(Duration::from_secs(3));
    assert!(connected(&world, token, AGENT), "{:?}", told(&world));
    end(&mut world, token);
}
