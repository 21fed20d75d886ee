//! Every end of an offer keeps the caller's place, every moment has its way to hang up, and what
//! the parties change about a call that is up reaches the other side.

use std::time::Duration;

use offhook::cti::{AgentWorkMode, DesktopRequest, KeyValueList};
use offhook::sip::Status;
use offhook_loadgen::population::{
    Behaviour, CallPlan, Change, EndedBy, Fact, Outcome, Party, Token,
};

use super::calls::outcome;
use super::world::{Setup, World};

const AGENT: &str = "2000";

/// When a caller was connected, by its place among those who were.
fn connected(world: &World) -> Vec<Token> {
    let token = |record: &offhook_loadgen::population::Record| match &record.fact {
        Fact::Connected { token } => Some(*token),
        _ => None,
    };
    world.records.iter().filter_map(token).collect()
}

#[test]
fn whoever_came_first_is_served_first_whatever_an_offer_came_to() {
    let behaviours = [
        Some(Behaviour::refuses(Status(486))),
        Some(Behaviour::refuses(Status(603))),
        Some(Behaviour::refuses(Status(480))),
        Some(Behaviour::refuses(Status(404))),
        Some(Behaviour::rings()),
        None,
    ];
    for behaviour in behaviours {
        let more = "[agent_defaults]\nno_answer = 8\nno_answer_action = \"none\"\n";
        let mut world = World::new(Setup::calm(1).with(more));
        world.run_until_ready();
        // Without a behaviour of its own the phone rings, and goes away while it does.
        let rings = behaviour.unwrap_or(Behaviour::rings());
        world.phone(AGENT).set_behaviour(Some(rings));
        let plan = CallPlan::to("7000").talks_for(Duration::from_secs(2));
        let first = world.call(plan.clone());
        world.run_for(Duration::from_secs(2));
        let second = world.call(plan);
        world.run_for(Duration::from_secs(1));
        if behaviour.is_none() {
            world.phone(AGENT).unregister();
            world.run_for(Duration::from_secs(10));
            world.phone(AGENT).register();
        }
        world.phone(AGENT).set_behaviour(None);
        world.run_for(Duration::from_secs(60));
        assert_eq!(connected(&world), [first, second], "{behaviour:?}");
        world.finish();
    }
}

#[test]
fn a_caller_whose_agent_wants_no_call_any_more_keeps_the_place() {
    let reasons = KeyValueList::new;
    let requests = [
        DesktopRequest::Logout { reasons: reasons() },
        DesktopRequest::NotReady {
            work_mode: AgentWorkMode::AuxWork,
            wrap_up: None,
            reasons: reasons(),
        },
    ];
    for request in requests {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
        let plan = CallPlan::to("7000").talks_for(Duration::from_secs(2));
        let first = world.call(plan.clone());
        world.run_for(Duration::from_secs(2));
        let second = world.call(plan);
        world.run_for(Duration::from_secs(1));
        let cancelled = |fact: &Fact| matches!(fact, Fact::PhoneCancelled { .. });
        assert_eq!(world.count(cancelled), 0);
        world.ask(AGENT, request.clone());
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.count(cancelled), 1, "{request:?}");
        world.phone(AGENT).set_behaviour(None);
        world.run_for(Duration::from_secs(10));
        assert_eq!(connected(&world), [], "nobody is Ready");
        let (work_mode, agent_id) = (AgentWorkMode::AutoIn, None);
        let reasons = reasons();
        let back = match request {
            DesktopRequest::Logout { .. } => DesktopRequest::Login {
                agent_id,
                work_mode,
                reasons,
            },
            DesktopRequest::Login { .. }
            | DesktopRequest::Ready { .. }
            | DesktopRequest::NotReady { .. }
            | DesktopRequest::MakeCall { .. }
            | DesktopRequest::SetDnd { .. }
            | DesktopRequest::SetForward { .. }
            | DesktopRequest::CancelForward { .. }
            | DesktopRequest::Present
            | DesktopRequest::Reserve { .. }
            | DesktopRequest::Gone
            | DesktopRequest::RouterGone(_) => DesktopRequest::Ready { work_mode, reasons },
        };
        world.ask(AGENT, back);
        world.run_for(Duration::from_secs(30));
        assert_eq!(connected(&world), [first, second]);
        world.finish();
    }
}

#[test]
fn either_side_may_hang_up_at_any_moment_after_the_answer() {
    for milliseconds in (0..300).step_by(11) {
        for by_phone in [false, true] {
            let mut world = World::new(Setup::calm(1));
            world.run_until_ready();
            let token = world.call(CallPlan::to("7000"));
            world.run_until(Duration::from_secs(30), |world| {
                world.count(|fact| matches!(fact, Fact::PhoneAnswered { .. })) == 1
            });
            world.run_for(Duration::from_millis(milliseconds));
            let now = world.now;
            if by_phone {
                world.phone(AGENT).hang_up();
            } else if world.population.callers.is_waiting(token) {
                world.population.callers.give_up(now, token);
            } else {
                world.population.callers.hang_up(now, token);
            }
            world.run_for(Duration::from_secs(5));
            let ended = match outcome(&world, token) {
                Some(Outcome::Answered(by)) => by,
                // The caller left before it heard of the answer.
                Some(Outcome::Abandoned) if !by_phone => continue,
                other => panic!("{other:?} after {milliseconds} ms"),
            };
            let expected = if by_phone {
                EndedBy::Server
            } else {
                EndedBy::Us
            };
            assert_eq!(ended, expected, "after {milliseconds} ms");
            world.finish();
        }
    }
}

#[test]
fn changes_of_a_call_reach_the_other_side_with_or_without_an_offer() {
    for early_offer in [false, true] {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        let token = world.call(CallPlan {
            early_offer,
            ..CallPlan::to("7000")
        });
        world.run_for(Duration::from_secs(10));
        let mut changed = 0;
        // Hold and refresh bring an offer, resume asks for one.
        for change in [Change::Refresh, Change::Hold, Change::Resume] {
            for by_phone in [false, true] {
                let now = world.now;
                let begun = if by_phone {
                    world.phone(AGENT).change(change)
                } else {
                    world.population.callers.change(now, token, change)
                };
                assert!(begun, "{change:?}, by the phone: {by_phone}");
                world.run_for(Duration::from_secs(1));
                changed += 1;
                let accepted = world.count(|fact| matches!(fact, Fact::Changed { .. }));
                assert_eq!(accepted, changed, "{change:?}, by the phone: {by_phone}");
            }
        }
        assert!(world.phone(AGENT).hang_up());
        world.run_for(Duration::from_secs(1));
        let ended = Some(Outcome::Answered(EndedBy::Server));
        assert_eq!(outcome(&world, token), ended);
        world.finish();
    }
}

#[test]
fn holds_are_heard_by_the_other_side_whatever_it_offers_meanwhile() {
    for early_offer in [false, true] {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        let token = world.call(CallPlan {
            early_offer,
            ..CallPlan::to("7000")
        });
        world.run_for(Duration::from_secs(10));
        let (caller, phone) = (Party::Caller(token), Party::phone(AGENT));
        assert!(world.population.are_connected(&caller, &phone));
        for (hold, resume) in [
            (Change::Hold, Change::Resume),
            (Change::HoldWithMusic, Change::ResumeWithOffer),
        ] {
            assert!(world.phone(AGENT).change(hold));
            world.run_for(Duration::from_secs(1));
            assert!(world.population.is_on_hold(&caller), "{hold:?}");
            let now = world.now;
            let refresh = Change::Refresh;
            assert!(world.population.callers.change(now, token, refresh));
            world.run_for(Duration::from_secs(1));
            assert!(world.population.is_on_hold(&caller), "{hold:?}");
            assert!(world.phone(AGENT).change(resume));
            world.run_for(Duration::from_secs(1));
            assert!(world.population.are_connected(&caller, &phone));
            assert_eq!(world.population.one_way(), []);
        }
        assert!(world.phone(AGENT).hang_up());
        world.finish();
    }
}

#[test]
fn direct_call_to_an_agent_who_cannot_take_it_is_told_so() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    let first = world.call(CallPlan::to(AGENT).talks_for(Duration::from_secs(30)));
    world.run_for(Duration::from_secs(10));
    let second = world.call(CallPlan::to(AGENT));
    world.run_for(Duration::from_secs(30));
    assert_eq!(outcome(&world, second), Some(Outcome::Refused(486)));
    let ended = Some(Outcome::Answered(EndedBy::Us));
    assert_eq!(outcome(&world, first), ended);
    world.phone(AGENT).unregister();
    world.run_for(Duration::from_secs(1));
    let third = world.call(CallPlan::to(AGENT));
    world.run_for(Duration::from_secs(1));
    assert_eq!(outcome(&world, third), Some(Outcome::Refused(480)));
    world.phone(AGENT).register();
    world.finish();
}

#[test]
fn ringing_caller_hears_of_it_once_a_minute() {
    for number in ["7000", AGENT] {
        let more = "[agent_defaults]\nno_answer = \"5m\"\n";
        let mut world = World::new(Setup::calm(1).with(more));
        world.run_until_ready();
        world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
        let token = world.call(CallPlan {
            expires: None,
            ..CallPlan::to(number)
        });
        world.run_for(Duration::from_secs(250));
        let heard = world.count(|fact| matches!(fact, Fact::Progress { status: 180, .. }));
        assert_eq!(heard, 5, "{number}");
        let now = world.now;
        world.population.callers.give_up(now, token);
        world.finish();
    }
}
