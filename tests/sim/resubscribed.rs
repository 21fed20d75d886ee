//! The process is killed and started again: its subscriptions go on in their dialogs, and no PBX is
//! asked for all of them at once.

use std::time::Duration;

use offhook::counters::Counter;
use offhook::cti::EventName;
use offhook::journal::Key;
use offhook_loadgen::population::Fault;

use super::crash::{crash, told};
use super::world::{Setup, World};

const AGENT: &str = "2000";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Forty phones behind a PBX that wants to be asked five times a second.
const WATCHED: u64 = 40;
const RATE: u64 = 5;

fn watching(presence: &str) -> World {
    let mut world = World::new(Setup {
        shards: 1,
        trunk: format!("subscribe_rate = {RATE}"),
        ..Setup::calm(40).with(presence)
    });
    world.run_until_ready();
    world.run_for(seconds(5));
    world
}

/// SUBSCRIBEs so far that made a dialog, and those within one.
fn subscribes(world: &World) -> [u64; 2] {
    [Counter::SubscriptionStarted, Counter::SubscriptionRefreshed]
        .map(|counter| world.cluster.count(counter))
}

/// How many of both there are in this time; never more in a second than there may be.
fn subscribes_within(world: &mut World, time: u64) -> [u64; 2] {
    let [started, refreshed] = subscribes(world);
    for _ in 0..time {
        let before: u64 = subscribes(world).iter().sum();
        world.run_for(seconds(1));
        let after: u64 = subscribes(world).iter().sum();
        assert!(after - before <= RATE, "{} in a second", after - before);
    }
    let now = subscribes(world);
    [now[0] - started, now[1] - refreshed]
}

#[test]
fn subscriptions_go_on_in_their_dialogs_after_a_crash_without_a_storm() {
    let mut world = watching("");
    let events = world.journal.events.len();
    crash(&mut world);
    let [_, before] = subscribes(&world);
    // Whose turn has not come is heard all the same.
    world.phone("2020").begin_private_call();
    world.run_for(Duration::from_millis(50));
    assert!(!world.journal.is_ready("2020"));
    let asked = subscribes(&world)[1] - before;
    assert!(asked <= 1, "nobody else was asked");
    world.phone("2020").end_private_call();
    world.run_for(Duration::from_millis(50));
    assert!(world.journal.is_ready("2020"));
    let asked = subscribes(&world)[1] - before;
    let [started, refreshed] = subscribes_within(&mut world, 20);
    assert_eq!((started, refreshed), (0, WATCHED - asked));
    assert_eq!(world.cluster.count(Counter::NotifyUnknown), 0);
    assert_eq!(world.journal.events.len(), events + 2, "only of 2020");
    // And they last: the next refreshes are in the same dialogs.
    world.run_for(seconds(7_200));
    assert_eq!(subscribes(&world)[0], WATCHED);
    world.finish();
}

#[test]
fn phones_whose_pbx_has_restarted_meanwhile_get_one_new_subscription_each() {
    let mut world = watching("");
    world.cluster.kill(world.now);
    let now = world.now;
    world.population.pbx.restart(now, 0);
    world.phone("2020").begin_private_call();
    world.cluster.start_again(world.now);
    let [started, refreshed] = subscribes_within(&mut world, 30);
    assert_eq!(started, WATCHED, "each at 481, and no more");
    assert_eq!(refreshed, WATCHED);
    assert_eq!(world.journal.ready(), 39);
    world.phone("2020").end_private_call();
    world.run_for(seconds(1));
    world.finish();
}

#[test]
fn subscription_that_has_run_out_while_nobody_was_there_is_begun_anew() {
    let mut world = watching("[presence]\nexpires = \"2m\"");
    world.cluster.kill(world.now);
    world.excused.push(Fault::NotifyUnanswered);
    world.run_for(seconds(200));
    world.cluster.start_again(world.now);
    let [started, refreshed] = subscribes_within(&mut world, 20);
    assert_eq!((started, refreshed), (WATCHED, 0));
    world.finish();
}

#[test]
fn subscription_through_a_name_waits_until_the_name_is_known_again() {
    let mut world = World::new(Setup {
        named: true,
        ..Setup::calm(3)
    });
    world.resolve(&[0], None);
    world.run_until_ready();
    world.run_for(seconds(5));
    crash(&mut world);
    world.run_for(seconds(5));
    world.resolve(&[0], None);
    world.run_for(seconds(5));
    let [started, refreshed] = subscribes(&world);
    assert_eq!((started, refreshed), (3, 3));
    world.finish();
}

#[test]
fn what_presence_said_before_a_crash_counts_no_longer_than_it_would_have() {
    for is_written in [true, false] {
        let mut world = watching("[presence]\nexpires = \"2m\"\nlost = \"logout\"");
        world.run_for(Duration::ZERO);
        world.cluster.kill(world.now);
        world.cluster.image.retain(|key, _| match key {
            Key::Subscription(_) => is_written,
            Key::Call(_) | Key::Agent(_) | Key::Leaving(_) => true,
        });
        world.connect_node(0, false);
        world.cluster.start_again(world.now);
        world.run_for(seconds(60));
        assert_eq!(told(&world, EventName::AgentLogout, AGENT), 0);
        world.run_for(seconds(65));
        assert_eq!(told(&world, EventName::AgentLogout, AGENT), 1);
        world.connect_node(0, true);
        world.run_until(seconds(300), |world| world.journal.ready() == 40);
    }
}

/// A process that is killed soon has said nothing twice.
#[test]
fn numbers_of_subscriptions_rise_from_crash_to_crash() {
    let mut world = watching("");
    for pause in [1, 1, 9, 30, 1] {
        crash(&mut world);
        // The wire holds that no CSeq is used twice (I-3).
        world.run_for(seconds(pause));
    }
    world.run_for(seconds(20));
    assert_eq!(subscribes(&world)[0], WATCHED);
    world.finish();
}
