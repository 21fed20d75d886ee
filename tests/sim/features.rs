//! What a DN does with calls in general: its agent is left alone, or its calls go elsewhere, as the
//! desktop said and as the phone takes them.

use std::time::Duration;

use offhook::cti::{
    AgentWorkMode, CallAction, DesktopRequest, EventName, ForwardMode, KeyValueList,
};
use offhook::sip::Status;
use offhook_loadgen::population::{Behaviour, CallPlan, Party, Token};

use super::control::{act, conn_of, connected, consult, make_call, moment, talking, told_since};
use super::hands::hang_up_all;
use super::world::{Setup, World};

const AGENT: &str = "2000";
const OTHER: &str = "2001";
const OUTSIDE: &str = "4000";

fn world() -> World {
    let setup = Setup {
        shards: 2,
        trunk: "outbound = true\n".to_owned(),
        ..Setup::calm(3)
    };
    let mut world = World::new(setup);
    world.run_until_ready();
    world.journal.events.clear();
    world
}

fn forward(world: &mut World, dn: &str, mode: ForwardMode, destination: &str) {
    world.ask(
        dn,
        DesktopRequest::SetForward {
            mode,
            destination: destination.to_owned(),
            reasons: KeyValueList::new(),
        },
    );
    world.run_for(Duration::from_secs(1));
}

fn dnd(world: &mut World, on: bool) {
    let reasons = KeyValueList::new();
    world.ask(AGENT, DesktopRequest::SetDnd { on, reasons });
    world.run_for(Duration::from_secs(1));
}

/// Somebody calls the agent's own number and talks to whom it reaches.
fn call(world: &mut World) -> Token {
    let token = world.call(CallPlan::to(AGENT));
    world.run_for(Duration::from_secs(45));
    token
}

fn end(world: &mut World, token: Token) {
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(40));
    world.finish();
}

#[test]
fn every_call_goes_elsewhere() {
    for destination in [OTHER, OUTSIDE] {
        let mut world = world();
        forward(&mut world, AGENT, ForwardMode::Unconditional, destination);
        let token = call(&mut world);
        assert!(connected(&world, token, destination), "{destination}");
        assert_eq!(world.rang(AGENT), 0);
        end(&mut world, token);
    }
    let mut world = world();
    forward(&mut world, AGENT, ForwardMode::Unconditional, "7000");
    let token = call(&mut world);
    let queued = |name| world.journal.events.iter().any(|event| event.name == name);
    assert!(queued(EventName::Queued) && queued(EventName::Established));
    end(&mut world, token);
}

/// The phone of who calls has answered with an offer, and the DN that is called sends its calls to
/// a queue, in which nobody is Ready: no 200 waits so long for its ACK.
#[test]
fn call_of_a_desktop_that_goes_to_a_queue_keeps_its_phone() {
    let mut world = world();
    forward(&mut world, OTHER, ForwardMode::Unconditional, "7000");
    for dn in [OTHER, "2002"] {
        let not_ready = DesktopRequest::NotReady {
            work_mode: AgentWorkMode::AuxWork,
            wrap_up: None,
            reasons: KeyValueList::new(),
        };
        world.ask(dn, not_ready);
    }
    make_call(&mut world, AGENT, OTHER);
    world.run_for(Duration::from_secs(45));
    let ready = DesktopRequest::Ready {
        work_mode: AgentWorkMode::AutoIn,
        reasons: KeyValueList::new(),
    };
    world.ask("2002", ready);
    world.run_for(Duration::from_secs(15));
    let (agent, taker) = (Party::phone(AGENT), Party::phone("2002"));
    assert!(world.population.are_connected(&agent, &taker));
    assert_eq!(world.population.one_way(), []);
    hang_up_all(&mut world);
    world.finish();
}

/// The call of a desktop beside a held one is another conversation: of the two one is in hand.
#[test]
fn held_call_is_taken_back_when_the_other_one_is_not_in_hand() {
    let mut world = world();
    world.phone(AGENT).set_calls_max(2);
    let (token, main) = talking(&mut world);
    act(&mut world, AGENT, main, CallAction::Hold);
    make_call(&mut world, AGENT, OUTSIDE);
    let other = conn_of(&world, AGENT, EventName::Dialing);
    let since = moment(&world);
    act(&mut world, AGENT, main, CallAction::Retrieve);
    act(&mut world, AGENT, main, consult("2002"));
    assert_eq!(told_since(&world, since), ["2000 Error WrongState"; 2]);
    assert!(connected_phones(&world, AGENT, OUTSIDE));
    act(&mut world, AGENT, other, CallAction::Hold);
    act(&mut world, AGENT, main, CallAction::Retrieve);
    assert!(connected(&world, token, AGENT));
    act(&mut world, AGENT, other, CallAction::Release);
    end(&mut world, token);
}

fn connected_phones(world: &World, one: &str, other: &str) -> bool {
    let (one, other) = (Party::phone(one), Party::phone(other));
    world.population.are_connected(&one, &other)
}

#[test]
fn call_that_nobody_answers_goes_elsewhere() {
    for mode in [ForwardMode::OnNoAnswer, ForwardMode::OnBusyAndNoAnswer] {
        let mut world = world();
        forward(&mut world, AGENT, mode, OTHER);
        world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
        let token = call(&mut world);
        assert_eq!((world.rang(AGENT), world.rang(OTHER)), (1, 1), "{mode:?}");
        assert!(connected(&world, token, OTHER), "{mode:?}");
        end(&mut world, token);
    }
}

#[test]
fn call_that_finds_the_phone_busy_goes_elsewhere() {
    for (mode, status, goes) in [
        (ForwardMode::OnBusy, Status(486), true),
        (ForwardMode::OnNoAnswer, Status(486), false),
        (ForwardMode::OnBusy, Status(480), false),
        (ForwardMode::OnNoAnswer, Status(480), true),
        (ForwardMode::OnBusyAndNoAnswer, Status(603), false),
    ] {
        let mut world = world();
        forward(&mut world, AGENT, mode, OTHER);
        world
            .phone(AGENT)
            .set_behaviour(Some(Behaviour::refuses(status)));
        let token = call(&mut world);
        assert_eq!(connected(&world, token, OTHER), goes, "{mode:?} {status:?}");
        end(&mut world, token);
    }
}

#[test]
fn call_for_a_dn_that_is_not_to_be_disturbed_finds_it_busy() {
    let mut world = world();
    dnd(&mut world, true);
    let token = call(&mut world);
    assert!(!connected(&world, token, AGENT) && world.rang(AGENT) == 0);
    forward(&mut world, AGENT, ForwardMode::OnBusy, OTHER);
    let token = call(&mut world);
    assert!(connected(&world, token, OTHER));
    dnd(&mut world, false);
    end(&mut world, token);
}

#[test]
fn calls_that_are_forwarded_in_a_circle_end() {
    let mut world = world();
    forward(&mut world, AGENT, ForwardMode::Unconditional, OTHER);
    forward(&mut world, OTHER, ForwardMode::Unconditional, AGENT);
    call(&mut world);
    assert_eq!((world.rang(AGENT), world.rang(OTHER)), (0, 0));
    // The same with phones that ring in vain.
    forward(&mut world, AGENT, ForwardMode::OnNoAnswer, OTHER);
    forward(&mut world, OTHER, ForwardMode::OnNoAnswer, AGENT);
    for dn in [AGENT, OTHER] {
        world.phone(dn).set_behaviour(Some(Behaviour::rings()));
    }
    let token = world.call(CallPlan::to(AGENT));
    world.run_for(Duration::from_mins(10));
    assert!(world.rang(AGENT) >= 1 && world.rang(OTHER) >= 1);
    end(&mut world, token);
}
