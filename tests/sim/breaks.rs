//! Every flow of call control is broken off at every step by one of the phones: it hangs up, or
//! refuses what it is asked, answers without a description, or says nothing. The customer is never
//! dropped because of that, every request has its one answer, and nothing is left behind.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use offhook::cti::{
    AgentWorkMode, CallAction, CallRequest, ConnId, DesktopRequest, EventName, KeyValueList,
    RequestBody,
};
use offhook::sip::Status;
use offhook_loadgen::population::{Answering, Behaviour, CallPlan, Reception, Token};

use super::control::{AGENT, OTHER, act, conn_of, connected, consult, told};
use super::hands::hang_up_all;
use super::network::Fate;
use super::world::{Setup, World};

/// What a desktop does with the customer's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
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
    DeleteParty,
    /// The call rings at the agent's phone, and the desktop has it answered.
    Answer,
    /// The call rings at the agent's phone, and is sent to the other one.
    Redirect,
    /// The agent calls the other one, while the customer waits in the queue.
    MakeCall,
}

pub const FLOWS: [Flow; 14] = [
    Flow::Hold,
    Flow::Retrieve,
    Flow::Consult,
    Flow::CompleteTransfer,
    Flow::Alternate,
    Flow::Reconnect,
    Flow::MuteTransfer,
    Flow::SingleStepTransfer,
    Flow::CompleteConference,
    Flow::SingleStepConference,
    Flow::DeleteParty,
    Flow::Answer,
    Flow::Redirect,
    Flow::MakeCall,
];

/// Who begins the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The desktop, by its request, which has one answer.
    Desktop,
    /// The phone, by a REFER, with Replaces where it joins its two calls.
    Phone,
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

/// Who breaks off, where it is no phone of an agent.
const CUSTOMER: &str = "customer";

/// More steps than any flow has.
const STEPS_MAX: usize = 40;

/// A customer in a queue, of whose agents one is Ready, if any.
pub fn world(trunk: &str, flow: Flow) -> (World, Token, ConnId) {
    let answer = match flow {
        Flow::Answer if !trunk.contains("answer") => "answer = \"call-info\"\n",
        _ => "",
    };
    let setup = Setup {
        shards: 1,
        server: "mixer = \"sip:10.0.2.1:5060\"\nmusic = \"sip:music@10.0.2.1:5060\"".to_owned(),
        trunk: format!("outbound = true\n{answer}{trunk}"),
        ..Setup::calm(2)
    };
    let mut world = World::new(setup.with("[agent_defaults]\nno_answer = 8\n"));
    world.run_until_ready();
    let busy: &[&str] = match flow {
        Flow::MakeCall => &[AGENT, OTHER],
        _ => &[OTHER],
    };
    for dn in busy {
        let not_ready = DesktopRequest::NotReady {
            work_mode: AgentWorkMode::AuxWork,
            wrap_up: None,
            reasons: KeyValueList::new(),
        };
        world.ask(dn, not_ready);
    }
    world.phone(AGENT).set_calls_max(2);
    world.phone(OTHER).set_calls_max(2);
    if matches!(flow, Flow::Answer | Flow::Redirect) {
        let answers_alone = (flow == Flow::Answer).then_some(Duration::from_millis(300));
        let rings = Behaviour {
            answers_alone,
            ..Behaviour::rings()
        };
        world.phone(AGENT).set_behaviour(Some(rings));
    }
    world.run_for(Duration::from_secs(1));
    let token = world.call(CallPlan {
        expires: None,
        final_within: Duration::from_secs(3_600),
        ..CallPlan::to("7000")
    });
    world.run_for(Duration::from_secs(3));
    let is_answered = !matches!(flow, Flow::MakeCall | Flow::Answer | Flow::Redirect);
    assert_eq!(connected(&world, token, AGENT), is_answered);
    let main = conn_of(&world, "7000", EventName::Queued);
    (world, token, main)
}

/// What comes before the flow, and the request that begins it.
pub fn begin(world: &mut World, main: ConnId, flow: Flow) -> RequestBody {
    let this_dn = world.cluster.config.dn(AGENT).expect("an agent");
    let (reasons, destination) = (KeyValueList::new(), OTHER.to_owned());
    if flow == Flow::MakeCall {
        let make_call = DesktopRequest::MakeCall {
            destination,
            user_data: KeyValueList::new(),
            reasons,
        };
        return RequestBody::Desktop(this_dn, make_call);
    }
    let (conn_id, action) = begin_in_call(world, main, flow, destination);
    let request = CallRequest::Party {
        this_dn,
        action,
        reasons,
    };
    RequestBody::Call(conn_id, request)
}

/// What comes before the flow, and what begins it: the call that is named, and what is asked.
fn begin_in_call(
    world: &mut World,
    main: ConnId,
    flow: Flow,
    destination: String,
) -> (ConnId, CallAction) {
    let user_data = KeyValueList::new();
    let consulted = |world: &mut World| {
        act(world, AGENT, main, consult(OTHER));
        conn_of(world, AGENT, EventName::Dialing)
    };
    let single_step = CallAction::SingleStepConference {
        destination: destination.clone(),
        user_data: user_data.clone(),
    };
    let action = match flow {
        Flow::Hold => CallAction::Hold,
        Flow::Retrieve => {
            act(world, AGENT, main, CallAction::Hold);
            CallAction::Retrieve
        }
        Flow::Consult => consult(OTHER),
        Flow::CompleteTransfer => CallAction::CompleteTransfer {
            consult: consulted(world),
        },
        Flow::Alternate => return (consulted(world), CallAction::Alternate { held: main }),
        Flow::Reconnect => return (consulted(world), CallAction::Reconnect { held: main }),
        Flow::MuteTransfer => CallAction::MuteTransfer {
            destination,
            user_data,
        },
        Flow::SingleStepTransfer => CallAction::SingleStepTransfer {
            destination,
            user_data,
        },
        Flow::CompleteConference => CallAction::CompleteConference {
            consult: consulted(world),
        },
        Flow::SingleStepConference => single_step,
        Flow::DeleteParty => {
            act(world, AGENT, main, single_step);
            CallAction::DeleteParty {
                other_dn: destination,
            }
        }
        Flow::Answer => CallAction::Answer,
        Flow::Redirect | Flow::MakeCall => CallAction::Redirect { destination },
    };
    (main, action)
}

/// Plays the flow and has the phone break it off at one step, which is one message of the server
/// to any phone; `false` if there are not so many.
fn broken_off(
    (trunk, flow, by): (&str, Flow, By),
    (phone, how, step): (&str, Break, usize),
) -> bool {
    let (mut world, token, main) = world(trunk, flow);
    let body = begin(&mut world, main, flow);
    let seen = Rc::new(Cell::new(0));
    count_steps(&mut world, &seen);
    let since = world.asked;
    match by {
        By::Desktop => world.request(body),
        By::Phone => refers(&mut world, flow),
    }
    let end = world.now + Duration::from_secs(4);
    let (mut done, mut talks) = (false, false);
    loop {
        if !done && seen.get() >= step {
            done = true;
            talks = world.journal.calls_at(phone).contains(&main)
                && !world.journal.ringing().any(|rings| rings == (phone, main));
            world
                .network
                .remark(world.now, format!("{flow:?}: {phone} {how:?}"));
            match phone {
                CUSTOMER => leaves(&mut world, token),
                _ => break_off(&mut world, phone, how),
            }
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
        "{trunk}{flow:?} by {by:?}: {phone} {how:?} at step {step}: {:?}",
        told(&world)
    );
    let live = world
        .population
        .callers
        .live()
        .any(|call| call.token == token);
    // Who is in the customer's call may hang up, as agents do.
    let may_end = how == Break::HangsUp && (talks || phone == CUSTOMER);
    assert!(live || may_end, "the customer is dropped. {case}");
    let answers = world
        .journal
        .events
        .iter()
        .filter(|event| event.requested_by.is_some_and(|by| by.reference_id > since));
    let requests = usize::from(by == By::Desktop);
    assert_eq!(answers.count(), requests, "who asked hears once. {case}");
    finish(&mut world);
    true
}

/// The phone does by itself what the desktop would ask for.
fn refers(world: &mut World, flow: Flow) {
    let phone = world.phone(AGENT);
    let is_sent = match flow {
        Flow::CompleteTransfer => phone.refer_attended(OTHER),
        _ => phone.refer(OTHER),
    };
    assert!(is_sent, "{flow:?}");
}

/// Counts what the server says to phones about calls.
fn count_steps(world: &mut World, seen: &Rc<Cell<usize>>) {
    let count = Rc::clone(seen);
    world.network.rule = Some(Box::new(move |flight| {
        let is_call = [&b"INVITE"[..], b"ACK", b"UPDATE", b"BYE", b"CANCEL"]
            .iter()
            .any(|method| flight.bytes.starts_with(method));
        if is_call && flight.to.to_string() == "10.0.1.1:5060" {
            count.set(count.get() + 1);
        }
        Fate::Usual
    }));
}

fn leaves(world: &mut World, token: Token) {
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.population.callers.hang_up(now, token);
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

/// Everybody hangs up, and nothing is left.
pub fn finish(world: &mut World) {
    for dn in [AGENT, OTHER] {
        world.phone(dn).set_behaviour(None);
    }
    for token in world.tokens() {
        leaves(world, token);
    }
    hang_up_all(world);
    world.finish();
}

/// Every step, every phone, every way.
fn in_every_way(trunk: &str, flow: Flow) {
    in_every_way_by((trunk, flow, By::Desktop));
}

fn in_every_way_by((trunk, flow, by): (&str, Flow, By)) {
    for phone in [AGENT, OTHER] {
        for how in BREAKS {
            let mut steps = 0..STEPS_MAX;
            let last = steps.find(|step| !broken_off((trunk, flow, by), (phone, how, *step)));
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

/// With a dialog for each call the phone joins them; a blind transfer is the same with one.
#[test]
fn transfer_by_the_phone_that_a_phone_breaks_off() {
    let trunk = "dual_dialog = true\nrefer = true\n";
    in_every_way_by((trunk, Flow::CompleteTransfer, By::Phone));
    in_every_way_by((trunk, Flow::SingleStepTransfer, By::Phone));
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

#[test]
fn party_that_is_removed_from_a_conference_breaks_off() {
    in_every_way("", Flow::DeleteParty);
    in_every_way("dual_dialog = true\n", Flow::DeleteParty);
}

#[test]
fn answer_by_the_desktop_that_a_phone_breaks_off() {
    for answer in ["talk", "call-info", "alert-info"] {
        in_every_way(&format!("answer = \"{answer}\"\n"), Flow::Answer);
    }
}

#[test]
fn redirection_that_a_phone_breaks_off() {
    in_every_way("", Flow::Redirect);
}

#[test]
fn call_of_a_desktop_that_a_phone_breaks_off() {
    in_every_way("", Flow::MakeCall);
    in_every_way("make_call_flow = \"4\"\n", Flow::MakeCall);
}

#[test]
fn customer_who_hangs_up_at_any_step_leaves_no_request_unanswered() {
    for flow in FLOWS {
        let mut steps = 0..STEPS_MAX;
        let at = |step| (CUSTOMER, Break::HangsUp, step);
        let last = steps.find(|step| !broken_off(("", flow, By::Desktop), at(*step)));
        assert!(last.is_some_and(|last| last > 1), "{flow:?}: {last:?}");
    }
}
