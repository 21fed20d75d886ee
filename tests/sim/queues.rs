//! Callers in queues from end to end: in several at once, sent on by a limit, told where they
//! stand.

use std::time::Duration;

use offhook::cti::{
    AgentWorkMode, CallAction, CallRequest, DesktopRequest, Event, EventName, KeyValueList,
    RequestBody, Value,
};
use offhook_loadgen::population::{Behaviour, CallPlan, EndedBy, Outcome, Token};

use super::calls::outcome;
use super::control::{act, conn_of, connected, last, single_step};
use super::world::{Setup, World};

/// 7002 leads to `home`, at once to `backup`, and after 20 seconds to `later`; each has one agent.
/// Whoever has waited at `home` for a minute goes to `service`, and from there nowhere.
const FLOOR: &str = r#"
    [[queue]]
    name = "home"
    wait_max = "1m"
    overflow_wait = "queue:last"
    [[queue]]
    name = "backup"
    [[queue]]
    name = "later"
    [[queue]]
    name = "last"
    wait_max = "1m"
    overflow_wait = "number:7002"
    [[routing_point]]
    number = "7002"
    queue = "home"
    also = [{ queue = "backup" }, { queue = "later", after = "20s" }]
    [[agent]]
    dn = "2100"
    queues = "home"
    [[agent]]
    dn = "2101"
    queues = "backup"
    [[agent]]
    dn = "2102"
    queues = "later"
    [[agent]]
    dn = "2103"
    queues = "last"
"#;

const HOME: &str = "2100";
const BACKUP: &str = "2101";
const LATER: &str = "2102";
const LAST: &str = "2103";
const ALL: [&str; 4] = [HOME, BACKUP, LATER, LAST];

/// A floor on which only these agents are free.
fn world(seed: u64, free: &[&str]) -> World {
    let mut world = World::new(Setup {
        seed,
        ..Setup::calm(1).with(FLOOR)
    });
    world.run_until_ready();
    for dn in ALL.iter().filter(|dn| !free.contains(dn)) {
        world.phone(dn).begin_private_call();
    }
    world.run_for(Duration::from_secs(1));
    world.journal.events.clear();
    world
}

fn call(world: &mut World) -> Token {
    world.call(CallPlan::to("7002"))
}

/// Which events an address had, and where to a call went.
fn at(world: &World, address: &str) -> Vec<String> {
    let events = world.journal.events.iter();
    let here = events.filter(|event| event.this_dn == address);
    let in_short = |event: &Event| {
        let third = event.third_party_dn.as_ref();
        let third = third.map_or(String::new(), |third| format!(" {third}"));
        format!("{}{third}", event.name.name())
    };
    here.map(in_short).collect()
}

/// The caller hangs up, everyone is free, and nothing is left in any queue.
fn end(mut world: World, token: Token) {
    let now = world.now;
    world.population.callers.hang_up(now, token);
    for dn in ALL {
        world.phone(dn).end_private_call();
    }
    world.finish();
    let engines = world.cluster.engines.iter();
    let left = engines.flat_map(|engine| {
        let queues = (0..world.cluster.config.queues.len()).map(queue_index);
        queues.filter_map(|queue| engine.queues().status(queue))
    });
    assert!(left.into_iter().all(|status| status.calls == 0));
}

fn queue_index(index: usize) -> offhook::config::QueueIndex {
    offhook::config::QueueIndex(u16::try_from(index).unwrap())
}

#[test]
fn the_first_of_its_queues_that_has_an_agent_serves_the_caller() {
    let mut world = world(1, &[BACKUP]);
    let token = call(&mut world);
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, BACKUP));
    assert_eq!(
        at(&world, "7002"),
        ["Queued", "Diverted 2101"],
        "by its home"
    );
    // Whoever is free in another queue is left alone.
    world.phone(HOME).end_private_call();
    world.run_for(Duration::from_secs(10));
    assert_eq!((world.rang(HOME), world.journal.is_ready(HOME)), (0, true));
    end(world, token);
}

#[test]
fn a_further_queue_may_come_later() {
    let mut world = world(1, &[LATER]);
    let token = call(&mut world);
    world.run_for(Duration::from_secs(19));
    assert_eq!(world.rang(LATER), 0);
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, LATER));
    end(world, token);
}

#[test]
fn two_queues_that_offer_the_caller_at_once_give_it_one_agent() {
    for seed in 0..20 {
        let mut world = world(seed, &[]);
        let first = call(&mut world);
        world.run_for(Duration::from_secs(5));
        for dn in [HOME, BACKUP] {
            world.phone(dn).end_private_call();
        }
        world.run_for(Duration::from_secs(10));
        let with: Vec<_> = [HOME, BACKUP]
            .into_iter()
            .filter(|dn| connected(&world, first, dn))
            .collect();
        assert_eq!(with.len(), 1, "SEED={seed}");
        assert_eq!(world.rang(HOME) + world.rang(BACKUP), 1, "SEED={seed}");
        // The other one came back, and takes the next caller.
        let second = call(&mut world);
        world.run_for(Duration::from_secs(10));
        let other = if with == [HOME] { BACKUP } else { HOME };
        assert!(connected(&world, second, other), "SEED={seed}");
        let now = world.now;
        world.population.callers.hang_up(now, second);
        end(world, first);
    }
}

#[test]
fn an_agent_who_does_not_answer_leaves_the_caller_to_all_its_queues() {
    let mut world = world(1, &[BACKUP]);
    world.phone(BACKUP).set_behaviour(Some(Behaviour::rings()));
    let token = call(&mut world);
    world.run_for(Duration::from_secs(10));
    world.phone(HOME).end_private_call();
    world.run_for(Duration::from_secs(30));
    assert!(connected(&world, token, HOME));
    let story = ["Queued", "Diverted 2101", "Queued", "Diverted 2100"];
    assert_eq!(at(&world, "7002"), story);
    end(world, token);
}

#[test]
fn a_caller_who_gives_up_leaves_all_its_queues() {
    let mut world = world(1, &[]);
    let token = call(&mut world);
    world.run_for(Duration::from_secs(30));
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.run_for(Duration::from_secs(1));
    assert_eq!(at(&world, "7002"), ["Queued", "Abandoned"]);
    for dn in ALL {
        world.phone(dn).end_private_call();
    }
    world.run_for(Duration::from_secs(10));
    assert!(ALL.iter().all(|dn| world.rang(dn) == 0));
    end(world, token);
}

#[test]
fn who_has_waited_long_enough_leaves_all_its_queues_for_another() {
    let mut world = world(1, &[]);
    let token = call(&mut world);
    world.run_for(Duration::from_secs(65));
    assert_eq!(at(&world, "7002"), ["Queued", "Diverted last"]);
    assert_eq!(at(&world, "last"), ["Queued"]);
    for dn in [HOME, BACKUP, LATER] {
        world.phone(dn).end_private_call();
    }
    world.run_for(Duration::from_secs(10));
    assert!(ALL.iter().all(|dn| world.rang(dn) == 0));
    // 7002 leads back to where it came from: it waits on.
    world.run_for(Duration::from_secs(60));
    assert_eq!(at(&world, "last"), ["Queued"]);
    world.phone(LAST).end_private_call();
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, LAST));
    end(world, token);
}

#[test]
fn a_desktop_may_send_a_caller_back_to_where_it_came_from() {
    let mut world = world(1, &[HOME]);
    world.phone(HOME).set_behaviour(Some(Behaviour::rings()));
    let token = call(&mut world);
    world.run_for(Duration::from_secs(5));
    let ringing = world.journal.events.iter();
    let mut ringing = ringing.filter(|event| event.name == EventName::Ringing);
    let conn_id = ringing.next().unwrap().call.as_ref().unwrap().conn_id;
    // It leaves all its queues and comes into each anew, as old as it was.
    let redirect = CallRequest::Party {
        this_dn: world.cluster.config.dn(HOME).unwrap(),
        action: CallAction::Redirect {
            destination: "7002".to_owned(),
        },
        reasons: KeyValueList::new(),
    };
    world.phone(HOME).set_behaviour(None);
    world.request(RequestBody::Call(conn_id, redirect));
    world.run_for(Duration::from_secs(10));
    let story = ["Queued", "Diverted 2100", "Queued", "Diverted 2100"];
    assert_eq!(at(&world, "7002"), story);
    assert!(connected(&world, token, HOME));
    end(world, token);
}

#[test]
fn a_caller_hears_where_it_stands() {
    let mut world = world(1, &[]);
    let tokens = [call(&mut world), call(&mut world)];
    world.run_for(Duration::from_secs(1));
    let queued = world.journal.events.iter();
    let queued = queued.filter(|event| event.name == EventName::Queued);
    let positions: Vec<_> = queued
        .map(|event| event.extensions.value("Position").cloned())
        .collect();
    let expected = [1, 2].map(|place| Some(Value::Integer(place)));
    assert_eq!(positions, expected);
    let now = world.now;
    for token in tokens {
        world.population.callers.give_up(now, token);
    }
    end(world, tokens[0]);
}

#[test]
fn a_caller_sent_to_a_number_that_does_not_answer_waits_on() {
    for number in ["2000", "4000"] {
        let floor = format!(
            "[[queue]]\nname = \"night\"\nwait_max = 5\noverflow_wait = \"number:{number}\"\n\
             [[routing_point]]\nnumber = \"7009\"\nqueue = \"night\"\n\
             [[agent]]\ndn = \"2009\"\nqueues = \"night\"\n"
        );
        let mut world = World::new(Setup {
            trunk: "outbound = true\n".to_owned(),
            ..Setup::calm(1).with(&floor)
        });
        world.run_until_ready();
        world.phone("2009").begin_private_call();
        world.phone(number).set_behaviour(Some(Behaviour::rings()));
        world.run_for(Duration::from_secs(1));
        let token = world.call(CallPlan::to("7009"));
        world.run_for(Duration::from_secs(90));
        let there = format!("Diverted {number}");
        assert_eq!(at(&world, "7009"), ["Queued", &there, "Queued"]);
        world.phone("2009").end_private_call();
        world.run_for(Duration::from_secs(10));
        assert!(connected(&world, token, "2009"), "{number}");
        let now = world.now;
        world.population.callers.hang_up(now, token);
        world.finish();
    }
}

#[test]
fn an_agent_who_sends_a_caller_elsewhere_gets_the_next_one() {
    let mut world = world(1, &[HOME, LAST]);
    for dn in [HOME, LAST] {
        world.phone(dn).set_behaviour(Some(Behaviour::rings()));
    }
    let token = call(&mut world);
    world.run_for(Duration::from_secs(5));
    let ringing = world.journal.events.iter();
    let mut ringing = ringing.filter(|event| event.name == EventName::Ringing);
    let conn_id = ringing.next().unwrap().call.as_ref().unwrap().conn_id;
    let redirect = CallRequest::Party {
        this_dn: world.cluster.config.dn(HOME).unwrap(),
        action: CallAction::Redirect {
            destination: LAST.to_owned(),
        },
        reasons: KeyValueList::new(),
    };
    world.phone(HOME).set_behaviour(None);
    world.request(RequestBody::Call(conn_id, redirect));
    world.run_for(Duration::from_secs(3));
    let next = call(&mut world);
    world.run_for(Duration::from_secs(7));
    assert_eq!(world.rang(LAST), 1);
    assert!(connected(&world, next, HOME));
    let now = world.now;
    world.population.callers.give_up(now, token);
    end(world, next);
}

/// Somebody else has taken the last place by the time the transfer of a caller comes to nothing.
#[test]
fn a_caller_whose_transfer_fails_finds_its_place_in_a_full_queue() {
    let full = FLOOR.replace(
        "name = \"home\"",
        "name = \"home\"\nwrap_up = 50\ncapacity = 1",
    );
    let mut world = World::new(Setup::calm(1).with(&full));
    world.run_until_ready();
    for dn in [BACKUP, LATER] {
        world.phone(dn).begin_private_call();
    }
    world.run_for(Duration::from_secs(1));
    let served = call(&mut world);
    world.run_for(Duration::from_secs(5));
    assert!(connected(&world, served, HOME));
    let waits = call(&mut world);
    world.run_for(Duration::from_secs(1));
    let busy = Behaviour::refuses(offhook::sip::Status::BUSY_HERE);
    world.phone(LAST).set_behaviour(Some(busy));
    let main = super::control::conn_of(&world, HOME, EventName::Established);
    super::control::act(&mut world, HOME, main, super::control::single_step(LAST));
    world.run_for(Duration::from_secs(5));
    assert!(world.tokens().contains(&served), "the customer is dropped");
    world.phone(LAST).set_behaviour(None);
    let now = world.now;
    world.population.callers.give_up(now, waits);
    world.run_for(Duration::from_secs(60));
    assert!(connected(&world, served, HOME));
    end(world, served);
}

/// Somebody who is to be added to a call is sought on its own account: the call stays with the
/// queue that it came through, whatever comes of that.
#[test]
fn call_to_which_nobody_could_be_added_is_still_that_of_its_queue() {
    let setup = Setup {
        server: "mixer = \"sip:10.0.2.1:5060\"".to_owned(),
        ..Setup::calm(2)
    };
    let more = "[[queue]]\nname = \"brief\"\nwait_max = \"1s\"\n\
                [[routing_point]]\nnumber = \"7002\"\nqueue = \"brief\"\n\
                [[agent]]\ndn = \"4001\"\nqueues = [\"brief\"]\n";
    let mut world = World::new(setup.with(more));
    world.run_until_ready();
    let not_ready = DesktopRequest::NotReady {
        work_mode: AgentWorkMode::AuxWork,
        wrap_up: None,
        reasons: KeyValueList::new(),
    };
    world.ask("4001", not_ready);
    let token = world.call(CallPlan::to("7000"));
    world.run_for(Duration::from_secs(5));
    let agent = |world: &World, name: EventName| {
        let mut events = world.journal.events.iter().rev();
        let found = events.find(|event| event.name == name);
        found.map(|event| event.this_dn.clone()).expect("an agent")
    };
    let first = agent(&world, EventName::Established);
    let main = conn_of(&world, &first, EventName::Established);
    let add = CallAction::SingleStepConference {
        destination: "7002".to_owned(),
        user_data: KeyValueList::new(),
    };
    act(&mut world, &first, main, add);
    assert_eq!(agent(&world, EventName::Error), first);
    let other = if first == "2000" { "2001" } else { "2000" };
    act(&mut world, &first, main, single_step(other));
    let ringing = last(&world, other, EventName::Ringing);
    assert_eq!(ringing.this_queue.as_deref(), Some("7000"));
    super::control::end(&mut world, token);
}

#[test]
fn calendar_and_day_follow_a_wall_clock_that_is_set() {
    let more = r#"
        [[calendar]]
        name = "late"
        time_zone = "UTC"
        open = "daily 22:00-23:00"
        [[queue]]
        name = "night"
        calendar = "late"
        overflow_closed = "status:404"
        strategy = "least_calls_today"
        [[routing_point]]
        number = "7009"
        queue = "night"
        [[agents]]
        range = "2100-2101"
        queues = "night"
    "#;
    let mut world = World::new(Setup::calm(1).with(more));
    world.run_until_ready();
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let call = |world: &mut World| {
        let token = world.call(CallPlan::to("7009").talks_for(Duration::from_secs(1)));
        world.run_for(Duration::from_secs(20));
        outcome(world, token)
    };
    let served = Some(Outcome::Answered(EndedBy::Us));
    assert_eq!(call(&mut world), Some(Outcome::Refused(404)), "it is night");
    world.set_wall(hours(22), true);
    assert_eq!(call(&mut world), served);
    world.set_wall(hours(3), false);
    assert_eq!(call(&mut world), Some(Outcome::Refused(404)), "not yet");
    // A day has gone by, as the clock has it: both have had no call.
    world.set_wall(hours(27), true);
    assert_eq!(call(&mut world), served);
    assert_eq!(world.rang("2100") + world.rang("2101"), 2);
    world.finish();
}
