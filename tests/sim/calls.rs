//! Directed cases: one rule each, on a calm network.

use std::time::Duration;

use offhook::cti::{AgentWorkMode, DesktopRequest, EventName, KeyValueList};
use offhook_loadgen::population::{Behaviour, CallPlan, EndedBy, Fact, Fault, Outcome};

use super::world::{Setup, World};

const AGENT: &str = "2000";

#[test]
fn agents_become_ready_when_their_phones_are_seen() {
    let mut world = World::new(Setup::calm(20));
    world.run_until_ready();
    let expected = [EventName::AgentLogin, EventName::AgentReady];
    assert_eq!(world.journal.names(AGENT), expected);
    world.finish();
}

#[test]
fn caller_reaches_a_ready_agent_and_events_come_in_order() {
    for early in [false, true] {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        let plan = CallPlan::to("7000").talks_for(Duration::from_secs(5));
        let plan = if early { plan.with_offer() } else { plan };
        let token = world.call(plan);
        world.run_for(Duration::from_secs(20));
        assert_eq!(outcome(&world, token), Some(Outcome::Answered(EndedBy::Us)));
        let agent = [
            EventName::Ringing,
            EventName::OffHook,
            EventName::Established,
            EventName::Released,
            EventName::OnHook,
        ];
        assert_eq!(world.journal.names(AGENT)[2..], agent);
        assert_eq!(
            world.journal.names("7000"),
            [EventName::Queued, EventName::Diverted]
        );
        world.finish();
    }
}

#[test]
fn private_call_shows_as_not_ready_and_back() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    world.phone(AGENT).begin_private_call();
    world.run_for(Duration::from_secs(1));
    assert!(!world.journal.is_ready(AGENT));
    let event = world.journal.events.last().unwrap();
    assert_eq!(event.name, EventName::AgentNotReady);
    let reason = event.extensions.value("ReasonCode").cloned();
    assert_eq!(
        reason,
        Some(offhook::cti::Value::Text("on-the-phone".into()))
    );
    world.phone(AGENT).end_private_call();
    world.run_for(Duration::from_secs(1));
    assert!(world.journal.is_ready(AGENT));
    let calls = world
        .journal
        .events
        .iter()
        .filter(|event| event.call.is_some())
        .count();
    assert_eq!(calls, 0, "a private call has no call events");
    world.finish();
}

#[test]
fn our_own_call_does_not_make_the_agent_not_ready() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    world.call(CallPlan::to("7000").talks_for(Duration::from_secs(30)));
    world.run_for(Duration::from_secs(60));
    let names = world.journal.names(AGENT);
    assert!(!names.contains(&EventName::AgentNotReady), "{names:?}");
    world.finish();
}

#[test]
fn busy_declined_and_unanswered_phones_pass_the_caller_on() {
    use offhook::sip::Status;
    for behaviour in [
        Behaviour::refuses(Status(486)),
        Behaviour::refuses(Status(603)),
        Behaviour::refuses(Status(480)),
        Behaviour::rings(),
    ] {
        let mut world = World::new(Setup::calm(2));
        world.run_until_ready();
        world.phone(AGENT).set_behaviour(Some(behaviour));
        // The agent idle longest is first in line; both became Ready in some order.
        let tokens: Vec<_> = (0..2)
            .map(|_| world.call(CallPlan::to("7000").talks_for(Duration::from_secs(2))))
            .collect();
        world.run_for(Duration::from_secs(60));
        for token in tokens {
            let outcome = outcome(&world, token);
            assert!(matches!(outcome, Some(Outcome::Answered(_))), "{outcome:?}");
        }
        world.finish();
    }
}

#[test]
fn caller_waits_for_the_first_agent_who_becomes_ready() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    world.phone(AGENT).begin_private_call();
    world.run_for(Duration::from_secs(1));
    let token = world.call(CallPlan::to("7000").talks_for(Duration::from_secs(2)));
    world.run_for(Duration::from_secs(100));
    let queued = world.count(|fact| matches!(fact, Fact::Progress { status: 182, .. }));
    assert!(queued >= 2, "182 Queued came {queued} times in 100 s");
    assert_eq!(outcome(&world, token), None);
    world.phone(AGENT).end_private_call();
    world.run_for(Duration::from_secs(10));
    assert!(matches!(outcome(&world, token), Some(Outcome::Answered(_))));
    world.finish();
}

#[test]
fn caller_may_give_up_at_any_moment() {
    for milliseconds in (0..400).step_by(7) {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        let patience = Duration::from_millis(milliseconds);
        world.call(
            CallPlan::to("7000")
                .waits_for(patience)
                .talks_for(Duration::from_secs(1)),
        );
        world.run_for(Duration::from_secs(10));
        world.finish();
        assert!(world.journal.is_ready(AGENT), "after {milliseconds} ms");
    }
}

#[test]
fn expires_of_the_invite_ends_the_wait() {
    let mut world = World::new(Setup::calm(1));
    world.phone(AGENT).unregister();
    let plan = CallPlan {
        expires: Some(30),
        ..CallPlan::to("7000")
    };
    let token = world.call(plan);
    world.run_for(Duration::from_secs(40));
    assert_eq!(outcome(&world, token), Some(Outcome::Abandoned));
    world.phone(AGENT).register();
    world.finish();
}

#[test]
fn direct_number_reaches_its_agent_and_unknown_numbers_get_404() {
    let mut world = World::new(Setup::calm(2));
    world.run_until_ready();
    let direct = world.call(CallPlan::to("2001").talks_for(Duration::from_secs(2)));
    let unknown = world.call(CallPlan::to("9999"));
    world.run_for(Duration::from_secs(10));
    assert!(matches!(
        outcome(&world, direct),
        Some(Outcome::Answered(_))
    ));
    assert_eq!(outcome(&world, unknown), Some(Outcome::Refused(404)));
    let ringing = world
        .journal
        .events
        .iter()
        .find(|event| event.name == EventName::Ringing);
    assert_eq!(ringing.map(|event| event.this_dn.as_str()), Some("2001"));
    assert_eq!(ringing.and_then(|event| event.this_queue.clone()), None);
    world.finish();
}

#[test]
fn wrap_up_comes_before_released_and_ends_in_ready() {
    let more = "[agent_defaults]\nwrap_up = \"10s\"\n";
    let mut world = World::new(Setup::calm(1).with(more));
    world.run_until_ready();
    world.call(CallPlan::to("7000").talks_for(Duration::from_secs(2)));
    world.run_for(Duration::from_secs(5));
    let names = world.journal.names(AGENT);
    let end = &names[names.len() - 3..];
    let expected = [
        EventName::AgentNotReady,
        EventName::Released,
        EventName::OnHook,
    ];
    assert_eq!(end, expected);
    world.run_for(Duration::from_secs(15));
    assert!(world.journal.is_ready(AGENT));
    world.finish();
}

#[test]
fn phone_that_goes_away_logs_its_agent_out() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    world.phone(AGENT).unregister();
    world.run_for(Duration::from_secs(1));
    assert!(!world.journal.is_logged_in(AGENT));
    world.phone(AGENT).register();
    world.run_for(Duration::from_secs(1));
    assert!(world.journal.is_ready(AGENT));
    world.finish();
}

#[test]
fn pbx_that_forgets_everything_is_watched_again() {
    let mut world = World::new(Setup::calm(20));
    world.run_until_ready();
    world.population.pbx.restart(world.now, 0);
    world.run_for(Duration::from_secs(7_200));
    world.finish();
}

#[test]
fn break_of_the_desktop_outlasts_a_private_call() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    let (work_mode, reasons) = (AgentWorkMode::AuxWork, KeyValueList::new());
    world.ask(
        AGENT,
        DesktopRequest::NotReady {
            work_mode,
            wrap_up: None,
            reasons: reasons.clone(),
        },
    );
    world.run_for(Duration::from_secs(1));
    world.phone(AGENT).begin_private_call();
    world.run_for(Duration::from_secs(1));
    world.phone(AGENT).end_private_call();
    world.run_for(Duration::from_secs(5));
    assert!(
        !world.journal.is_ready(AGENT),
        "presence must not end a break"
    );
    let token = world.call(CallPlan::to("7000").talks_for(Duration::from_secs(1)));
    world.run_for(Duration::from_secs(30));
    assert_eq!(outcome(&world, token), None, "nobody is Ready");
    world.ask(
        AGENT,
        DesktopRequest::Ready {
            work_mode: AgentWorkMode::ManualIn,
            reasons,
        },
    );
    world.run_for(Duration::from_secs(10));
    assert!(matches!(outcome(&world, token), Some(Outcome::Answered(_))));
    world.finish();
}

#[test]
fn trunk_that_falls_silent_is_out_of_service_until_it_is_back() {
    let mut world = World::new(Setup::calm(2));
    world.run_until_ready();
    world.run_for(Duration::from_secs(1));
    world.excused = vec![Fault::NotifyUnanswered];
    world.population.pbx.go_silent(0);
    // A ping that is due within 33 s, 4 s until it is missed, and 10 s of silence after that.
    world.run_until(Duration::from_secs(48), |world| {
        world.journal.names("ucm") == [EventName::DNOutOfService]
    });
    world.run_for(Duration::from_secs(30));
    world.population.pbx.come_back(0);
    world.run_for(Duration::from_secs(90));
    assert_eq!(
        world.journal.names("ucm").last(),
        Some(&EventName::DNBackInService)
    );
    let token = world.call(CallPlan::to("7000").talks_for(Duration::from_secs(1)));
    world.run_for(Duration::from_secs(30));
    assert!(matches!(outcome(&world, token), Some(Outcome::Answered(_))));
    world.finish();
}

#[test]
fn call_finds_the_next_peer_when_the_first_is_silent() {
    let mut world = World::new(Setup {
        nodes: 2,
        ..Setup::calm(1)
    });
    world.run_until_ready();
    world.run_for(Duration::from_secs(1));
    world.excused = vec![Fault::NotifyUnanswered];
    world.population.pbx.go_silent(0);
    let tokens: Vec<_> = (0..2)
        .map(|_| {
            let token = world.call(CallPlan::to("7000").talks_for(Duration::from_secs(1)));
            world.run_for(Duration::from_secs(30));
            token
        })
        .collect();
    for token in tokens {
        assert!(matches!(outcome(&world, token), Some(Outcome::Answered(_))));
    }
    world.population.pbx.come_back(0);
    world.finish();
}

pub(super) fn outcome(world: &World, token: offhook_loadgen::population::Token) -> Option<Outcome> {
    world.records.iter().find_map(|record| match &record.fact {
        Fact::Ended {
            token: ended,
            outcome,
        } if *ended == token => Some(*outcome),
        _ => None,
    })
}

/// The caller leaves after the server's 2xx with the phone's offer, and before its ACK is there:
/// the phone's offer is declined in the ACK, never left without an answer.
#[test]
fn offer_of_a_phone_is_answered_even_when_the_caller_is_gone() {
    for seed in 0..40 {
        let faults = super::network::Faults {
            loss: 250,
            ..super::network::Faults::CALM
        };
        let mut world = World::new(Setup {
            seed,
            faults,
            ..Setup::calm(1)
        });
        world.run_until(Duration::from_secs(120), |world| {
            world.journal.is_ready(AGENT)
        });
        world.call(CallPlan::to("7000").talks_for(Duration::from_millis(1)));
        world.run_for(Duration::from_secs(60));
        world.finish();
    }
}
