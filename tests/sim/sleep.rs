//! What it costs that the server's host sleeps, as a virtual machine does that is moved.

use std::time::Duration;

use offhook::config::QueueIndex;
use offhook::counters::Counter;
use offhook::cti::{CallAction, DesktopRequest, EventName, KeyValueList};
use offhook_loadgen::population::{Behaviour, CallPlan, EndedBy, Fact, Outcome};

use super::calls::outcome;
use super::control::{act, conn_of};
use super::order::Order;
use super::world::{Setup, World};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn invite_that_is_given_up_when_its_host_wakes_rings_nowhere() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    world.connect_node(0, false);
    let token = world.call(CallPlan {
        expires: None,
        ..CallPlan::to("2000")
    });
    world.run_for(Duration::from_millis(200));
    world.sleep(seconds(40), false);
    world.run_for(seconds(39));
    world.connect_node(0, true);
    world.run_for(Duration::from_millis(1_100));
    let rang = |fact: &Fact| matches!(fact, Fact::Rang { .. });
    assert_eq!(world.count(rang), 0);
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.finish();
}

#[test]
fn calls_and_agents_outlive_a_sleep() {
    for stands_still in [false, true] {
        let more = "[agent_defaults]\nno_answer_action = \"none\"\n";
        let mut world = World::new(Setup::calm(3).with(more));
        world.run_until_ready();
        let up = world.call(CallPlan::to("7000").talks_for(seconds(300)));
        world.run_for(seconds(10));
        for dn in ["2000", "2001", "2002"] {
            world.phone(dn).set_behaviour(Some(Behaviour::rings()));
        }
        let rings = world.call(CallPlan {
            expires: None,
            ..CallPlan::to("7000").talks_for(seconds(1))
        });
        world.run_for(seconds(2));
        world.sleep(seconds(90), stands_still);
        world.run_for(seconds(100));
        for dn in ["2000", "2001", "2002"] {
            world.phone(dn).set_behaviour(None);
        }
        world.run_for(seconds(60));
        assert_eq!(world.cluster.count(Counter::ReservationExpired), 0);
        let served = Some(Outcome::Answered(EndedBy::Us));
        assert_eq!(
            outcome(&world, rings),
            served,
            "it waited on: {stands_still}"
        );
        world.run_for(seconds(200));
        assert_eq!(outcome(&world, up), served);
        world.finish();
    }
}

#[test]
fn who_calls_before_and_after_the_clock_stood_has_come_at_one_time() {
    for callers in [["2000", "2001"], ["2001", "2000"]] {
        let mut world = World::new(Setup::calm(2));
        world.run_until_ready();
        world.order = Some((Order::default(), false));
        for dn in callers {
            let call = DesktopRequest::MakeCall {
                destination: "7000".to_owned(),
                user_data: KeyValueList::new(),
                reasons: KeyValueList::new(),
            };
            world.ask(dn, call);
            // For the second it does already.
            world.sleep(seconds(4), true);
            world.run_for(seconds(3));
        }
        world.run_for(seconds(10));
        let engines = world.cluster.engines.iter();
        let waiting = engines.flat_map(|engine| engine.queues().waiting(QueueIndex(0)));
        assert_eq!(waiting.count(), 2);
        world.order = None;
        for dn in callers {
            let conn_id = conn_of(&world, dn, EventName::Dialing);
            act(&mut world, dn, conn_id, CallAction::Release);
        }
        world.finish();
    }
}
