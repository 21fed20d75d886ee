//! Recall: a customer whose transfer nobody takes comes back to the queue in which it was answered,
//! and without one to the agent who has transferred it.

use std::time::Duration;

use offhook::cti::{AgentWorkMode, CallAction, DesktopRequest, EventName, KeyValueList};
use offhook::sip::Status;
use offhook_loadgen::population::{Behaviour, CallPlan};

use super::control::{
    AGENT, OTHER, act, conn_of, connected, consult, end, last, single_step, talking, told_since,
    world, world_with,
};
use super::hands::hang_up_all;

const NO_ANSWER: &str = "[agent_defaults]\nno_answer = 5\nno_answer_action = \"none\"\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn transfer_of_a_direct_call_that_nobody_takes_comes_back_to_its_agent() {
    let busy = Behaviour::refuses(Status::BUSY_HERE);
    for behaviour in [Behaviour::rings(), busy] {
        for completes in [false, true] {
            let is_busy = behaviour != Behaviour::rings();
            if completes && is_busy {
                continue;
            }
            let mut world = world_with("outbound = true\n", NO_ANSWER);
            let (token, main) = talking(&mut world);
            world.phone(OTHER).set_behaviour(Some(behaviour));
            let since = world.journal.events.len();
            if completes {
                act(&mut world, AGENT, main, consult(OTHER));
                let consult = conn_of(&world, AGENT, EventName::Dialing);
                let complete = CallAction::CompleteTransfer { consult };
                act(&mut world, AGENT, main, complete);
            } else {
                act(&mut world, AGENT, main, single_step(OTHER));
            }
            world.run_for(seconds(15));
            assert!(connected(&world, token, AGENT), "{completes} {is_busy}");
            let told = told_since(&world, since);
            let expected = ["2000 Ringing", "2000 Established"];
            assert_eq!(told[told.len() - 2..], expected, "{told:?}");
            let ringing = last(&world, AGENT, EventName::Ringing);
            assert_eq!(ringing.call.as_ref().unwrap().conn_id, main);
            end(&mut world, token);
        }
    }
}

/// It is tried once: an agent who does not take it either ends the call.
#[test]
fn transfer_that_its_agent_does_not_take_back_ends() {
    let mut world = world_with("outbound = true\n", NO_ANSWER);
    let (token, main) = talking(&mut world);
    for dn in [AGENT, OTHER] {
        world.phone(dn).set_behaviour(Some(Behaviour::rings()));
    }
    act(&mut world, AGENT, main, single_step(OTHER));
    world.run_for(seconds(30));
    assert!(!world.tokens().contains(&token));
    assert_eq!(world.rang(AGENT), 1);
    world.finish();
}

/// One that came through a queue goes there, and not to the agent in particular.
#[test]
fn transfer_of_a_queues_call_that_nobody_takes_comes_back_to_the_queue() {
    let mut world = world();
    let not_ready = DesktopRequest::NotReady {
        work_mode: AgentWorkMode::AuxWork,
        wrap_up: None,
        reasons: KeyValueList::new(),
    };
    for dn in [OTHER, "2002"] {
        world.ask(dn, not_ready.clone());
    }
    world.run_for(seconds(1));
    let token = world.call(CallPlan {
        final_within: seconds(3_600),
        ..CallPlan::to("7000")
    });
    world.run_for(seconds(5));
    let main = conn_of(&world, AGENT, EventName::Established);
    let since = world.journal.events.len();
    world.phone(OTHER).set_behaviour(Some(Behaviour::rings()));
    world.ask(AGENT, not_ready);
    act(&mut world, AGENT, main, single_step(OTHER));
    world.run_for(seconds(30));
    let events = &world.journal.events[since..];
    let queued = events.iter().find(|event| event.name == EventName::Queued);
    assert_eq!(queued.map(|event| &*event.this_dn), Some("7000"));
    let rang = events
        .iter()
        .filter(|event| event.name == EventName::Ringing);
    let rang: Vec<&str> = rang.map(|event| &*event.this_dn).collect();
    assert_eq!(rang, [OTHER]);
    assert!(world.tokens().contains(&token));
    let ready = DesktopRequest::Ready {
        work_mode: AgentWorkMode::ManualIn,
        reasons: KeyValueList::new(),
    };
    world.ask("2002", ready);
    world.run_for(seconds(10));
    assert!(connected(&world, token, "2002"));
    hang_up_all(&mut world);
    world.finish();
}
