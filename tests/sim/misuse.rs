//! Requests that come too late, twice, or lead in a circle (docs/TESTING.md, "What goes wrong in
//! call control"): each has its one answer, a caller who is to go on goes on, and nothing is left.

use std::time::Duration;

use offhook::cti::{
    AgentWorkMode, CallAction, CallRequest, ConnId, ConsultKind, DesktopRequest, ErrorCode, Event,
    EventName, ForwardMode, KeyValueList, RequestBody, UserDataChange,
};
use offhook::sip::Status;
use offhook_loadgen::population::{Behaviour, CallPlan, Reception, Token};

use super::breaks::{FLOWS, Flow, begin, finish, world};
use super::control::{
    self, AGENT, OTHER, act, conn_of, connected, consult, make_call, single_step, talking,
};
use super::hands::hang_up_all;
use super::world::World;

/// Every request about a call; those that name a second call name `beside`.
fn requests(world: &World, beside: ConnId) -> Vec<CallRequest> {
    let this_dn = world.cluster.config.dn(AGENT).expect("an agent");
    let (destination, user_data) = (|| OTHER.to_owned(), KeyValueList::new);
    let actions = [
        CallAction::Answer,
        CallAction::Release,
        CallAction::Clear,
        CallAction::Hold,
        CallAction::Retrieve,
        CallAction::Alternate { held: beside },
        CallAction::Reconnect { held: beside },
        CallAction::Consult {
            kind: ConsultKind::Conference,
            destination: destination(),
            user_data: user_data(),
        },
        CallAction::CompleteTransfer { consult: beside },
        CallAction::CompleteConference { consult: beside },
        CallAction::MuteTransfer {
            destination: destination(),
            user_data: user_data(),
        },
        CallAction::SingleStepTransfer {
            destination: destination(),
            user_data: user_data(),
        },
        CallAction::SingleStepConference {
            destination: destination(),
            user_data: user_data(),
        },
        CallAction::Redirect {
            destination: destination(),
        },
        CallAction::DeleteParty {
            other_dn: destination(),
        },
        CallAction::SendDtmf {
            digits: "1".to_owned(),
        },
    ];
    let party = |action| CallRequest::Party {
        this_dn,
        action,
        reasons: KeyValueList::new(),
    };
    let data = CallRequest::UserData {
        this_dn: AGENT.to_owned(),
        change: UserDataChange::Update(user_data()),
    };
    actions.into_iter().map(party).chain([data]).collect()
}

/// What was answered to one request.
fn answers(world: &World, asked: u32) -> Vec<&Event> {
    let events = world.journal.events.iter();
    let is_its = |event: &&Event| {
        let by = event.requested_by;
        by.is_some_and(|by| by.reference_id == asked)
    };
    events.filter(is_its).collect()
}

fn code(world: &World, asked: u32) -> Option<ErrorCode> {
    let all = answers(world, asked);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].error_code
}

fn ready(world: &mut World, dn: &str) {
    let ready = DesktopRequest::Ready {
        work_mode: AgentWorkMode::ManualIn,
        reasons: KeyValueList::new(),
    };
    world.ask(dn, ready);
    world.run_for(Duration::from_secs(15));
}

/// By whom a call ends.
#[derive(Debug, Clone, Copy)]
enum By {
    Caller,
    Phone,
    Desktop,
}

const ENDS: [By; 3] = [By::Caller, By::Phone, By::Desktop];

fn ends(world: &mut World, (token, main): (Token, ConnId), how: By) {
    let now = world.now;
    match how {
        By::Caller => world.population.callers.hang_up(now, token),
        By::Phone => {
            world.phone(AGENT).hang_up();
        }
        By::Desktop => {
            let dn = world.cluster.config.dn(AGENT).expect("an agent");
            let release = CallRequest::release(dn, KeyValueList::new());
            world.request(RequestBody::Call(main, release));
        }
    }
}

#[test]
fn request_for_a_call_that_has_just_ended_is_refused() {
    for how in ENDS {
        let mut world = control::world();
        let (token, main) = talking(&mut world);
        ends(&mut world, (token, main), how);
        // The BYE has just come; the call's own legs are not done with it yet.
        world.run_for(Duration::from_millis(2));
        for request in requests(&world, main) {
            world.request(RequestBody::Call(main, request.clone()));
            let asked = world.asked;
            world.run_for(Duration::from_micros(10));
            let refused = Some(ErrorCode::InvalidConnID);
            assert_eq!(code(&world, asked), refused, "{how:?} {request:?}");
        }
        world.finish();
    }
}

/// The BYE and the request cross, on the way between the call's shard and the DN's too: whichever
/// comes first, the request has its answer.
#[test]
fn request_that_crosses_the_end_of_its_call_has_one_answer() {
    for how in [By::Caller, By::Phone] {
        for index in 0..requests(&control::world(), ConnId(0)).len() {
            for later in [0, 200, 400, 600] {
                let (mut world, (token, main)) = on_two_shards();
                let request = requests(&world, main).swap_remove(index);
                ends(&mut world, (token, main), how);
                world.run_for(Duration::from_micros(later));
                world.request(RequestBody::Call(main, request.clone()));
                world.run_for(Duration::from_secs(60));
                let asked = world.asked;
                let case = format!("{how:?} {later} {request:?}");
                assert_eq!(answers(&world, asked).len(), 1, "{case}");
                for dn in [AGENT, OTHER] {
                    world.phone(dn).hang_up();
                }
                let now = world.now;
                world.population.callers.hang_up(now, token);
                world.finish();
            }
        }
    }
}

/// A caller who talks to the agent, in a call of another shard than the DN's.
fn on_two_shards() -> (World, (Token, ConnId)) {
    let apart = |seed| {
        let mut world = control::world_on(2, seed, "outbound = true\n", "");
        let (token, main) = talking(&mut world);
        let config = &world.cluster.config;
        let dn = config.dn(AGENT).expect("an agent");
        let owner = world.cluster.owners.dn(config, dn);
        (owner != main.shard()).then_some((world, (token, main)))
    };
    (1..100).find_map(apart).expect("a call of the other shard")
}

/// A double click, or two desktops of one agent: the first is carried out.
#[test]
fn request_that_comes_twice_at_once_is_carried_out_once() {
    for flow in FLOWS {
        let (mut world, token, main) = world("", flow);
        let body = begin(&mut world, main, flow);
        world.request(body.clone());
        world.request(body);
        let asked = world.asked;
        world.run_for(Duration::from_secs(12));
        assert_eq!(code(&world, asked - 1), None, "{flow:?}");
        let second = code(&world, asked);
        let refused = [
            ErrorCode::WrongState,
            ErrorCode::AlreadyInState,
            ErrorCode::InvalidConnID,
            ErrorCode::Busy,
        ];
        let is_refused = second.is_some_and(|code| refused.contains(&code));
        assert!(is_refused, "{flow:?}: {second:?}");
        let mut live = world.population.callers.live();
        assert!(live.any(|call| call.token == token), "{flow:?}");
        drop(live);
        finish(&mut world);
    }
}

#[test]
fn request_in_the_name_of_another_dn_is_refused_and_changes_nothing() {
    for flow in FLOWS {
        let (mut world, token, main) = world("", flow);
        let body = begin(&mut world, main, flow);
        let RequestBody::Call(conn_id, CallRequest::Party { action, .. }) = body else {
            assert_eq!(flow, Flow::MakeCall);
            finish(&mut world);
            continue;
        };
        let heard = world.population.ends().len();
        // Its phone is in no call, or in the agent's consultation and not in what is named.
        world.phone(OTHER).hang_up();
        world.run_for(Duration::from_secs(1));
        act(&mut world, OTHER, conn_id, action);
        let asked = world.asked;
        assert_eq!(
            code(&world, asked),
            Some(ErrorCode::InvalidConnID),
            "{flow:?}"
        );
        let mut live = world.population.callers.live();
        assert!(live.any(|call| call.token == token), "{flow:?}");
        drop(live);
        assert!(world.population.ends().len() <= heard, "{flow:?}");
        finish(&mut world);
    }
}

/// A customer whom its agent sends to the queue that it came from, by every request that can.
#[test]
fn customer_who_is_sent_to_its_own_queue_is_served() {
    for action in [
        single_step("7000"),
        CallAction::MuteTransfer {
            destination: "7000".to_owned(),
            user_data: KeyValueList::new(),
        },
        consult("7000"),
    ] {
        let (mut world, token, main) = world("", Flow::Hold);
        let completes = matches!(action, CallAction::Consult { .. });
        act(&mut world, AGENT, main, action.clone());
        if completes {
            // It is the agent's own place in the queue now, which waits for somebody else.
            let consult = conn_of(&world, AGENT, EventName::Dialing);
            let complete = CallAction::CompleteTransfer { consult };
            act(&mut world, AGENT, main, complete);
        }
        world.run_for(Duration::from_secs(15));
        assert!(connected(&world, token, AGENT), "{action:?}");
        finish(&mut world);
    }
}

/// An agent who sends every call that rings back to the queue: the caller keeps its place however
/// often, and somebody else serves it.
#[test]
fn ringing_call_that_is_redirected_to_its_own_queue_again_and_again_is_served() {
    let (mut world, token, main) = world("", Flow::Redirect);
    for _ in 0..20 {
        let rings = world.journal.ringing().any(|rings| rings == (AGENT, main));
        if rings {
            let destination = "7000".to_owned();
            act(
                &mut world,
                AGENT,
                main,
                CallAction::Redirect { destination },
            );
        }
        world.run_for(Duration::from_secs(1));
        let mut live = world.population.callers.live();
        assert!(live.any(|call| call.token == token));
    }
    world.phone(AGENT).set_behaviour(None);
    // The phone that rings now is not picked up any more.
    world.run_for(Duration::from_secs(20));
    ready(&mut world, AGENT);
    assert!(connected(&world, token, AGENT));
    finish(&mut world);
}

/// The agent's own number leads to a queue that has this agent only.
#[test]
fn number_that_is_forwarded_to_the_queue_of_its_own_agent_is_answered_there() {
    for mode in [
        ForwardMode::Unconditional,
        ForwardMode::OnBusy,
        ForwardMode::OnNoAnswer,
    ] {
        let (mut world, first, _) = world("", Flow::Hold);
        let forward = DesktopRequest::SetForward {
            mode,
            destination: "7000".to_owned(),
            reasons: KeyValueList::new(),
        };
        world.ask(AGENT, forward);
        let now = world.now;
        if mode != ForwardMode::OnBusy {
            world.population.callers.hang_up(now, first);
            world.run_for(Duration::from_secs(2));
        }
        if mode == ForwardMode::OnNoAnswer {
            world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
        }
        let token = world.call(CallPlan {
            expires: None,
            final_within: Duration::from_secs(3_600),
            ..CallPlan::to(AGENT)
        });
        world.run_for(Duration::from_secs(12));
        world.phone(AGENT).set_behaviour(None);
        let now = world.now;
        world.population.callers.hang_up(now, first);
        world.run_for(Duration::from_secs(120));
        ready(&mut world, AGENT);
        assert!(connected(&world, token, AGENT), "{mode:?}");
        finish(&mut world);
    }
}

/// A call of the agent's own to a queue that has nobody but this agent.
#[test]
fn agent_who_calls_its_own_queue_waits_for_somebody_else() {
    let (mut world, token, _) = world("", Flow::MakeCall);
    make_call(&mut world, AGENT, "7000");
    world.run_for(Duration::from_secs(30));
    let conn_id = conn_of(&world, AGENT, EventName::Dialing);
    act(&mut world, AGENT, conn_id, CallAction::Release);
    assert_eq!(code(&world, world.asked), None);
    let mut live = world.population.callers.live();
    assert!(live.any(|call| call.token == token));
    drop(live);
    finish(&mut world);
}

/// While a held call is being taken back no other one may be had in hand; as soon as the phone has
/// refused, another one may.
#[test]
fn dn_is_busy_with_a_retrieve_for_as_long_as_that_goes_on() {
    for reception in [
        Reception::Refuse(Status::NOT_ACCEPTABLE_HERE),
        Reception::ByHand,
    ] {
        let mut world = control::world();
        let (token, main) = talking(&mut world);
        world.phone(AGENT).set_calls_max(2);
        act(&mut world, AGENT, main, CallAction::Hold);
        world.phone(AGENT).set_reception(reception);
        act(&mut world, AGENT, main, CallAction::Retrieve);
        let is_refused = reception != Reception::ByHand;
        if is_refused {
            let asked = world.asked;
            assert_eq!(code(&world, asked), Some(ErrorCode::Rejected));
        } else {
            world.run_for(Duration::from_secs(5));
        }
        control::make_call(&mut world, AGENT, OTHER);
        let asked = world.asked;
        let refusal = (!is_refused).then_some(ErrorCode::WrongState);
        assert_eq!(code(&world, asked), refusal, "{reception:?}");
        let now = world.now;
        world.population.callers.hang_up(now, token);
        hang_up_all(&mut world);
        world.finish();
    }
}
