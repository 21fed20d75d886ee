//! A floor whose PBX is a name: the test is DNS.

use std::time::Duration;

use offhook::cti::EventName::{DNBackInService, DNOutOfService, Released};
use offhook::dns::Problem;
use offhook::limits::PROBE_WITHIN;
use offhook_loadgen::population::{CallPlan, EndedBy, Fault, Outcome, Token};

use super::calls::outcome;
use super::world::{Setup, World};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn named(agents: u32) -> World {
    World::new(Setup {
        nodes: 2,
        named: true,
        ..Setup::calm(agents)
    })
}

fn call(world: &mut World, talk: u64) -> Token {
    world.call(CallPlan::to("7000").talks_for(seconds(talk)))
}

#[track_caller]
fn assert_answered(world: &World, token: Token) {
    assert_eq!(outcome(world, token), Some(Outcome::Answered(EndedBy::Us)));
}

#[test]
fn a_floor_behind_a_name_waits_for_dns_and_then_works() {
    let mut world = named(5);
    world.run_for(seconds(60));
    assert_eq!(world.journal.ready(), 0, "nobody can be watched yet");
    assert!(
        world.journal.names("ucm").is_empty(),
        "and nobody was told so"
    );
    world.resolve(&[0, 1], None);
    world.run_until_ready();
    let token = call(&mut world, 5);
    world.run_for(seconds(20));
    assert_answered(&world, token);
    world.finish();
}

#[test]
fn a_name_that_does_not_exist_takes_the_floor_out_until_it_does() {
    let mut world = named(2);
    world.resolve(&[], Some(Problem::NoSuchName));
    world.run_for(seconds(10));
    assert_eq!(world.journal.names("ucm"), [DNOutOfService]);
    world.resolve(&[0], None);
    world.run_until_ready();
    assert_eq!(
        world.journal.names("ucm"),
        [DNOutOfService, DNBackInService]
    );
    let token = call(&mut world, 5);
    world.run_for(seconds(20));
    assert_answered(&world, token);
    world.finish();
}

#[test]
fn calls_pass_over_a_dead_server_of_the_name() {
    let mut world = named(3);
    world.resolve(&[1, 0], None);
    world.run_until_ready();
    // The callers come from the first node's address, so the second one may die.
    world.excused = vec![Fault::NotifyUnanswered];
    world.population.pbx.go_silent(1);
    let early = call(&mut world, 5);
    world.run_for(seconds(40));
    assert_answered(&world, early);
    assert!(
        !world.journal.names("ucm").contains(&DNOutOfService),
        "the other server is there"
    );
    let late = call(&mut world, 5);
    world.run_for(seconds(20));
    assert_answered(&world, late);
    world.population.pbx.come_back(1);
    world.finish();
}

#[test]
fn a_change_of_address_moves_new_calls_and_leaves_those_that_are_up() {
    let mut world = named(3);
    world.resolve(&[0], None);
    world.run_until_ready();
    let old = call(&mut world, 120);
    world.run_for(seconds(10));
    world.resolve(&[1], None);
    let new = call(&mut world, 5);
    world.run_for(seconds(30));
    assert_answered(&world, new);
    assert_eq!(outcome(&world, old), None, "it is still up");
    // The callers' own address is that of the node which is gone: it is known for a while.
    world.resolve(&[1], Some(Problem::NoAnswer));
    world.run_for(seconds(120));
    assert_answered(&world, old);
    let last = call(&mut world, 5);
    world.run_for(seconds(20));
    assert_answered(&world, last);
    world.finish();
}

/// DNS has left a node out while it could not be reached, and a phone behind it has hung up: its
/// call ends when the name leads there again, and not with its session.
#[test]
fn phone_that_has_left_behind_a_node_without_a_name_is_asked_when_it_has_one_again() {
    let mut world = named(1);
    world.resolve(&[0], None);
    world.run_until_ready();
    let token = call(&mut world, 600);
    world.run_for(seconds(5));
    world.excused = vec![Fault::NotifyUnanswered];
    world.resolve(&[1], None);
    world.connect_node(0, false);
    assert!(world.phone("2000").hang_up());
    world.run_for(seconds(70));
    world.connect_node(0, true);
    world.run_for(PROBE_WITHIN);
    let released = |world: &World| {
        let names = world.journal.names("2000");
        names.iter().filter(|name| **name == Released).count()
    };
    assert_eq!(released(&world), 0, "nobody has asked");
    world.resolve(&[0, 1], None);
    world.run_for(PROBE_WITHIN);
    assert_eq!(released(&world), 1);
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.finish();
}
