//! Every flow of call control is broken off at every step by one of the phones: it hangs up, or
//! refuses what it is asked, answers without a description, or says nothing. The customer is never
//! dropped because of that, every request has its one answer, and nothing is left behind.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use offhook::cti::{
    AgentWorkMode, CallAction, ConnId, ConsultKind, DesktopRequest, EventName, KeyValueList,
};
use offhook::sip::Status;
use offhook_loadgen::population::{Answering, Behaviour, CallPlan, Reception, Token};

use super::control::{AGENT, OTHER, act, conn_of, connected, told};
use super::hands::hang_up_all;
use super::network::Fate;
use super::world::{Setup, World};

/// What a desktop does with the customer's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Hold,
    Retrieve,
    Consult,
    CompleteTransfer,
    Alternate,
    Reconnect,
    MuteTransfer,
    SingleStepTransfer,
    CompleteConference,
    SingleStepConference,
}

/// What a phone does at one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Break {
    HangsUp,
    Refuses,
    DescribesNothing,
    SaysNothing,
}

const BREAKS: [Break; 4] = [
    Break::HangsUp,
    Break::Refuses,
    Break::DescribesNothing,
    Break::SaysNothing,
];

/// More steps than any flow has.
const STEPS_MAX: usize = 40;

/// A customer out of a queue who talks to the agent; nobody else is Ready.
fn world(trunk: &str) -> (World, Token, ConnId) {
    let setup = Setup {
        shards: 1,
        server: "mixer = \"sip:10.0.2.1:5060\"\nmusic = \"sip:music@10.0.2.1:5060\"".to_owned(),
        trunk: format!("outbound = true\n{trunk}"),
        ..Setup::calm(2)
    };
    let mut world = World::new(setup.with("[agent_defaults]\nno_answer = 8\n"));
    world.run_until_ready();
    let not_ready = DesktopRequest::NotReady {
        work_mode: AgentWorkMode::AuxWork,
        wrap_up: None,
        reasons: KeyValueList::new(),
    };
    world.ask(OTHER, not_ready);
    world.phone(AGENT).set_calls_max(2);
    world.phone(OTHER).set_calls_max(2);
    world.run_for(Duration::from_secs(1));
    let token = world.call(CallPlan {
        expires: None,
        final_within: Duration::from_secs(3_600),
        ..CallPlan::to("7000")
    });
    world.run_for(Duration::from_secs(3));
    assert!(connected(&world, token, AGENT));
    let main = conn_of(&world, AGENT, EventName::Established);
    (world, token, main)
}

/// What comes before the flow, and the request that begins it: the call that it names and what.
fn begin(world: &mut World, main: ConnId, flow: Flow) -> (ConnId, CallAction) {
    let user_data = KeyValueList::new;
    let destination = || OTHER.to_owned();
    let consult = CallAction::Consult {
        kind: ConsultKind::Transfer,
        destination: destination(),
        user_data: user_data(),
    };
    let consulted = |world: &mut World| {
        act(world, AGENT, main, consult.clone());
        conn_of(world, AGENT, EventName::Dialing)
    };
    match flow {
        Flow::Hold => (main, CallAction::Hold),
        Flow::Retrieve => {
            act(world, AGENT, main, CallAction::Hold);
            (main, CallAction::Retrieve)
        }
        Flow::Consult => (main, consult),
        Flow::CompleteTransfer => {
            let consult = consulted(world);
            (main, CallAction::CompleteTransfer { consult })
        }
        Flow::Alternate => (consulted(world), CallAction::Alternate { held: main }),
        Flow::Reconnect => (consulted(world), CallAction::Reconnect { held: main }),
        Flow::MuteTransfer => {
            let (destination, user_data) = (destination(), user_data());
            let muted = CallAction::MuteTransfer {
                destination,
                user_data,
            };
            (main, muted)
        }
        Flow::SingleStepTransfer => {
            let (destination, user_data) = (destination(), user_data());
            let single = CallAction::SingleStepTransfer {
                destination,
                user_data,
            };
            (main, single)
        }
        Flow::CompleteConference => {
            let consult = consulted(world);
            (main, CallAction::CompleteConference { consult })
        }
        Flow::SingleStepConference => {
            let (destination, user_data) = (destination(), user_data());
            let single = CallAction::SingleStepConference {
                destination,
                user_data,
            };
            (main, single)
        }
    }
}

/// Plays the flow and has the phone break it off at one step, which is one message of the server
/// to any phone; `false` if there are not so many.
fn broken_off(trunk: &str, flow: Flow, (phone, how, step): (&str, Break, usize)) -> bool {
    let (mut world, token, main) = world(trunk);
    let (conn_id, action) = begin(&mut world, main, flow);
    let seen = Rc::new(Cell::new(0));
    let count = Rc::clone(&seen);
    world.network.rule = Some(Box::new(move |flight| {
        let is_call = [&b"INVITE"[..], b"ACK", b"UPDATE", b"BYE", b"CANCEL"]
            .iter()
            .any(|method| flight.bytes.starts_with(method));
        if is_call && flight.to.to_string() == "10.0.1.1:5060" {
            count.set(count.get() + 1);
        }
        Fate::Usual
    }));
    let since = world.asked;
    let dn = world.cluster.config.dn(AGENT).expect("an agent");
    let request = offhook::cti::CallRequest::Party {
        this_dn: dn,
        action,
        reasons: KeyValueList::new(),
    };
    let body = offhook::cti::RequestBody::Call(conn_id, request);
    world.request(body);
    let end = world.now + Duration::from_secs(4);
    let (mut done, mut talks) = (false, false);
    loop {
        if !done && seen.get() >= step {
            done = true;
            talks = world.journal.calls_at(phone).contains(&main);
            world
                .network
                .remark(world.now, format!("{flow:?}: {phone} {how:?}"));
            break_off(&mut world, phone, how);
        }
        if !world.step(end) {
            break;
        }
    }
    world.network.rule = None;
    if !done {
        finish(&mut world);
        return false;
    }
    // What is not answered is given up within 64·T1, and a search within its own time.
    world.run_for(Duration::from_secs(60));
    let case = format!(
        "{trunk}{flow:?}: {phone} {how:?} at step {step}: {:?}",
        told(&world)
    );
    let live = world
        .population
        .callers
        .live()
        .any(|call| call.token == token);
    // Who is in the customer's call may hang up, as agents do.
    let may_end = how == Break::HangsUp && talks;
    assert!(live || may_end, "the customer is dropped. {case}");
    let answers = world
        .journal
        .events
        .iter()
        .filter(|event| event.requested_by.is_some_and(|by| by.reference_id > since));
    assert_eq!(answers.count(), 1, "the desktop hears of it once. {case}");
    finish(&mut world);
    true
}

fn break_off(world: &mut World, phone: &str, how: Break) {
    let refusal = Status::NOT_ACCEPTABLE_HERE;
    let (reception, behaviour) = match how {
        Break::HangsUp => {
            world.phone(phone).hang_up();
            return;
        }
        Break::Refuses => (Reception::Refuse(refusal), Behaviour::refuses(refusal)),
        Break::DescribesNothing => {
            let silent = Behaviour {
                describes: false,
                then: Answering::After(Duration::from_millis(100)),
                ..Behaviour::default()
            };
            (Reception::Undescribed, silent)
        }
        Break::SaysNothing => (Reception::ByHand, Behaviour::rings()),
    };
    world.phone(phone).set_reception(reception);
    world.phone(phone).set_behaviour(Some(behaviour));
}

fn finish(world: &mut World) {
    for dn in [AGENT, OTHER] {
        world.phone(dn).set_behaviour(None);
    }
    let live = world.tokens();
    for token in live {
        let now = world.now;
        world.population.callers.give_up(now, token);
        world.population.callers.hang_up(now, token);
    }
    hang_up_all(world);
    world.finish();
}

/// Every step, every phone, every way.
fn in_every_way(trunk: &str, flow: Flow) {
    for phone in [AGENT, OTHER] {
        for how in BREAKS {
            let mut steps = 0..STEPS_MAX;
            let last = steps.find(|step| !broken_off(trunk, flow, (phone, how, *step)));
            let last = last.expect("a flow has an end");
            assert!(last > 1, "{flow:?} has {last} steps");
        }
    }
}

#[test]
fn hold_that_a_phone_breaks_off() {
    in_every_way("", Flow::Hold);
    in_every_way("", Flow::Retrieve);
}

#[test]
fn consultation_that_a_phone_breaks_off() {
    in_every_way("", Flow::Consult);
    in_every_way("", Flow::Alternate);
    in_every_way("", Flow::Reconnect);
}

#[test]
fn transfer_that_a_phone_breaks_off() {
    in_every_way("", Flow::CompleteTransfer);
    in_every_way("", Flow::MuteTransfer);
    in_every_way("", Flow::SingleStepTransfer);
}

#[test]
fn transfer_with_two_dialogs_that_a_phone_breaks_off() {
    in_every_way("dual_dialog = true\n", Flow::Consult);
    in_every_way("dual_dialog = true\n", Flow::CompleteTransfer);
    in_every_way("dual_dialog = true\n", Flow::Alternate);
}

#[test]
fn conference_that_a_phone_breaks_off() {
    in_every_way("", Flow::CompleteConference);
    in_every_way("", Flow::SingleStepConference);
}

#[test]
fn conference_with_two_dialogs_that_a_phone_breaks_off() {
    in_every_way("dual_dialog = true\n", Flow::CompleteConference);
    in_every_way("dual_dialog = true\n", Flow::SingleStepConference);
}
