//! More comes than a shard can do, in virtual time: what is done then is what counts, and nothing
//! that is up is lost.

use std::time::Duration;

use offhook::counters::Counter;
use offhook_loadgen::population::{Answering, Arrivals, Behaviour, CallPlan, CallerHabits, Span};

use super::world::{Setup, World};

/// What a shard needs for a message: some forty calls a second, which have a dozen each.
const PACE: Duration = Duration::from_millis(2);
/// Calls a second that it can just do.
const CAPACITY: f64 = 38.0;
const AGENTS: u32 = 90;
/// How long a load lasts.
const STRETCH: Duration = Duration::from_secs(6);
/// Calls that are up all the time.
const HELD: usize = 20;

fn floor() -> World {
    let mut world = World::new(Setup {
        shards: 1,
        ..Setup::calm(AGENTS)
    });
    world.run_until_ready();
    for dn in 2_000..2_000 + AGENTS {
        let behaviour = Behaviour {
            ringing_after: Some(Duration::from_millis(10)),
            then: Answering::After(Duration::from_millis(50)),
            ..Behaviour::default()
        };
        let phone = world.phone(&dn.to_string());
        phone.set_behaviour(Some(behaviour));
    }
    let plan = CallPlan::to("7000").talks_for(Duration::from_secs(300));
    for _ in 0..HELD {
        world.call(plan.clone());
    }
    world.run_for(Duration::from_secs(5));
    world.population.callers.set_habits(CallerHabits {
        talking: Span::milliseconds(300, 300),
        ..CallerHabits::of("7000")
    });
    let now = world.now;
    world.cluster.slow_down(now, PACE);
    world
}

/// Offers so many calls a second for a while; how many ended well a second, once the first have.
fn offer(world: &mut World, rate: f64) -> f64 {
    let (from, until) = (world.now, world.now + STRETCH + Duration::from_secs(1));
    let arrivals = Arrivals::per_second(rate);
    world.population.callers.arrive(from, until, arrivals);
    world.run_for(Duration::from_secs(1));
    let before = world.population.callers.totals().answered;
    world.run_for(STRETCH);
    let answered = world.population.callers.totals().answered - before;
    answered as f64 / STRETCH.as_secs_f64()
}

fn up(world: &World) -> usize {
    let live = world.population.callers.live();
    live.filter(|call| call.up_since.is_some()).count()
}

#[test]
fn many_times_what_a_shard_can_do_costs_neither_what_it_does_nor_what_is_up() {
    let mut world = floor();
    let peak = offer(&mut world, CAPACITY);
    assert_eq!(world.cluster.count(Counter::InviteOverload), 0);
    assert!(peak > CAPACITY * 0.9, "{peak}");
    for (factor, part) in [(2.0, 0.95), (10.0, 0.9)] {
        let carried = offer(&mut world, CAPACITY * factor);
        assert!(carried > peak * part, "{factor}: {carried} of {peak}");
        assert!(up(&world) >= HELD, "a call that was up is lost");
        // Within a second of its end nothing waits any more.
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.cluster.waiting(), 0);
        assert_eq!(up(&world), HELD);
    }
    let totals = world.population.callers.totals();
    assert!(
        world.cluster.count(Counter::InviteOverload) > 1_000,
        "{totals:?}"
    );
    assert_eq!((totals.lost, totals.abandoned), (0, 0), "{totals:?}");
    let overtakings = world.cluster.overtakings;
    assert!(overtakings > 1_000, "{overtakings}");
    // Afterwards it is as if nothing had been: nobody is refused.
    let refused = totals.refused;
    let again = offer(&mut world, CAPACITY / 2.0);
    assert!(again > CAPACITY * 0.45, "{again}");
    assert_eq!(world.population.callers.totals().refused, refused);
    world.finish();
}

/// RFC 7339 the other way round: it is the PBX that cannot keep up.
#[test]
fn a_pbx_that_asks_for_fewer_calls_gets_fewer_and_no_caller_is_lost() {
    const CALLS: u32 = 30;
    let mut spared = Vec::new();
    for loss in [None, Some(0), Some(60)] {
        let mut world = World::new(Setup {
            shards: 1,
            trunk: "overload_control = true".to_owned(),
            ..Setup::calm(40)
        });
        world.run_until_ready();
        world.loss = loss;
        let plan = CallPlan::to("7000").talks_for(Duration::from_secs(2));
        for _ in 0..CALLS {
            world.call(plan.clone());
            world.run_for(Duration::from_millis(200));
        }
        spared.push(world.cluster.count(Counter::CallSpared));
        // What was said counts for two seconds.
        world.loss = None;
        world.run_for(Duration::from_secs(60));
        let totals = world.population.callers.totals();
        assert_eq!(
            (totals.answered, totals.lost),
            (CALLS.into(), 0),
            "{totals:?}"
        );
        assert_eq!(world.cluster.count(Counter::PeerUnavailable), 0);
        world.finish();
    }
    assert_eq!(spared[..2], [0, 0]);
    assert!(spared[2] > 10, "{spared:?}");
}
