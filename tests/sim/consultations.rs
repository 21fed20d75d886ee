//! Consultations, and calls that agents give to others: each of the flows by itself, and what
//! becomes of it when somebody hangs up. Every combination of them is in `transfers.rs`.

use offhook::cti::{CallAction, CallState, CallType, DnRole, EventName, KeyValueList};
use offhook::engine::Engine;
use offhook::sip::Status;
use offhook_loadgen::population::{Behaviour, CallPlan, Party};
use std::time::Duration;

use super::control::*;

#[test]
fn transfer_after_a_consultation() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    let consult = consulting(&mut world, main, OTHER);
    assert!(held(&world, token));
    assert_eq!(
        told(&world),
        [
            "2000 Held",
            "2000 Dialing",
            "2001 Ringing",
            "2000 NetworkReached",
            "2001 Established",
            "2000 Established",
        ]
    );
    let ringing = last(&world, OTHER, EventName::Ringing);
    assert_eq!(ringing.previous_conn_id, Some(main));
    let call = ringing.call.as_ref().unwrap();
    assert_eq!((call.conn_id, call.call_type), (consult, CallType::Consult));
    assert_eq!(ringing.other_dn.as_deref(), Some(AGENT));
    let since = moment(&world);
    act(
        &mut world,
        AGENT,
        main,
        CallAction::CompleteTransfer { consult },
    );
    assert_eq!(
        told_since(&world, since),
        [
            "2000 Released Transferred",
            "2000 Released Transferred",
            "2001 PartyChanged Transferred",
        ]
    );
    let changed = last(&world, OTHER, EventName::PartyChanged);
    assert_eq!(changed.call.as_ref().unwrap().conn_id, main);
    assert_eq!(changed.previous_conn_id, Some(consult));
    assert_eq!(changed.third_party_dn.as_deref(), Some(AGENT));
    assert_eq!(changed.third_party_dn_role, Some(DnRole::TransferredBy));
    assert_eq!(changed.other_dn, changed.call.as_ref().unwrap().ani);
    assert!(connected(&world, token, OTHER));
    end(&mut world, token);
}

#[test]
fn transfer_to_a_number_outside() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    let consult = consulting(&mut world, main, OUTSIDE);
    act(
        &mut world,
        AGENT,
        main,
        CallAction::CompleteTransfer { consult },
    );
    assert!(connected(&world, token, OUTSIDE));
    end(&mut world, token);
}

#[test]
fn consultation_through_a_routing_point() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    act(&mut world, AGENT, main, consult("7000"));
    world.run_for(Duration::from_secs(8));
    let consult = conn_of(&world, AGENT, EventName::Dialing);
    for name in [EventName::Queued, EventName::Diverted] {
        let event = last(&world, "7000", name);
        let call = event.call.as_ref().unwrap();
        assert_eq!((call.conn_id, call.call_type), (consult, CallType::Consult));
        assert_eq!(event.previous_conn_id, Some(main), "{name:?}");
    }
    let taker = last_established(&world);
    act(
        &mut world,
        AGENT,
        main,
        CallAction::CompleteTransfer { consult },
    );
    assert!(connected(&world, token, &taker));
    end(&mut world, token);
}

#[test]
fn agent_alternates_and_reconnects() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    let consult = consulting(&mut world, main, OTHER);
    let since = moment(&world);
    act(
        &mut world,
        AGENT,
        consult,
        CallAction::Alternate { held: main },
    );
    assert!(connected(&world, token, AGENT));
    assert!(world.population.is_on_hold(&Party::phone(OTHER)));
    act(
        &mut world,
        AGENT,
        main,
        CallAction::Alternate { held: consult },
    );
    assert!(held(&world, token));
    act(
        &mut world,
        AGENT,
        consult,
        CallAction::Reconnect { held: main },
    );
    assert!(connected(&world, token, AGENT));
    assert_eq!(
        told_since(&world, since),
        [
            "2000 Held",
            "2000 Retrieved",
            "2000 Held",
            "2000 Retrieved",
            "2000 Released",
            "2001 Released RemoteRelease",
            "2000 Retrieved",
        ]
    );
    end(&mut world, token);
}

#[test]
fn caller_of_a_consultation_that_fails_is_there_to_be_retrieved() {
    for behaviour in [Behaviour::refuses(Status(486)), Behaviour::rings()] {
        let mut world = world_with("outbound = true\n", "[agent_defaults]\nno_answer = 8\n");
        world.phone(OTHER).set_behaviour(Some(behaviour));
        let (token, main) = talking(&mut world);
        act(&mut world, AGENT, main, consult(OTHER));
        world.run_for(Duration::from_secs(15));
        assert!(held(&world, token));
        last(&world, AGENT, EventName::DestinationBusy);
        act(&mut world, AGENT, main, CallAction::Retrieve);
        assert!(connected(&world, token, AGENT), "{:?}", told(&world));
        end(&mut world, token);
    }
}

#[test]
fn caller_keeps_the_agent_when_the_consulted_one_hangs_up() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    consulting(&mut world, main, OTHER);
    assert!(world.phone(OTHER).hang_up());
    world.run_for(Duration::from_secs(3));
    assert!(held(&world, token));
    act(&mut world, AGENT, main, CallAction::Retrieve);
    assert!(connected(&world, token, AGENT));
    end(&mut world, token);
}

#[test]
fn caller_and_consulted_one_have_each_other_when_the_agent_hangs_up() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    consulting(&mut world, main, OTHER);
    assert!(world.phone(AGENT).hang_up());
    world.run_for(Duration::from_secs(3));
    assert!(connected(&world, token, OTHER), "{:?}", told(&world));
    end(&mut world, token);
}

#[test]
fn consultation_goes_on_when_the_caller_hangs_up() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    consulting(&mut world, main, OTHER);
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(3));
    let (agent, other) = (Party::phone(AGENT), Party::phone(OTHER));
    assert!(world.population.are_connected(&agent, &other));
    // The leg of who has hung up stands for nobody any more.
    let engines = world.cluster.engines.iter();
    assert_eq!(engines.map(Engine::linked_legs).sum::<usize>(), 2);
    assert!(world.phone(OTHER).hang_up());
    world.finish();
}

#[test]
fn single_step_transfer_to_agents_queues_and_numbers() {
    for number in [OTHER, "7000", OUTSIDE] {
        let mut world = world();
        let (token, main) = talking(&mut world);
        act(&mut world, AGENT, main, single_step(number));
        let released = last(&world, AGENT, EventName::Released);
        assert_eq!(released.call_state, Some(CallState::Transferred));
        assert_eq!(released.third_party_dn.as_deref(), Some(number));
        world.run_for(Duration::from_secs(10));
        let taker = match number {
            "7000" => last_established(&world),
            _ => number.to_owned(),
        };
        assert!(
            connected(&world, token, &taker),
            "{number}: {:?}",
            told(&world)
        );
        if number == OTHER {
            let ringing = last(&world, OTHER, EventName::Ringing);
            assert_eq!(ringing.call.as_ref().unwrap().conn_id, main);
            assert_eq!(ringing.call_state, Some(CallState::Transferred));
            assert_eq!(ringing.third_party_dn.as_deref(), Some(AGENT));
        }
        end(&mut world, token);
    }
}

#[test]
fn muted_transfer_completes_when_it_rings() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    let action = CallAction::MuteTransfer {
        destination: OTHER.to_owned(),
        user_data: KeyValueList::new(),
    };
    act(&mut world, AGENT, main, action);
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, OTHER), "{:?}", told(&world));
    assert_eq!(
        told(&world),
        [
            "2000 Held",
            "2000 Dialing",
            "2001 Ringing",
            "2000 Released Transferred",
            "2000 Released Transferred",
            "2001 PartyChanged Transferred",
            "2001 Established",
        ]
    );
    end(&mut world, token);
}

/// A phone that answers by itself skips the 180: the transfer is done by its answer, and the caller
/// has it, whether the agent has called by a dialog of its own or not (clock-jumps 1013071).
#[test]
fn muted_transfer_to_a_phone_that_answers_at_once_connects_the_caller() {
    for trunk in ["", "dual_dialog = true\n"] {
        for flow in ["", "make_call_flow = \"4\"\n"] {
            let mut world = world_with(&format!("outbound = true\n{trunk}{flow}"), "");
            world.phone(AGENT).set_calls_max(2);
            let (token, main) = talking(&mut world);
            world.phone(OTHER).set_behaviour(Some(Behaviour {
                ringing_after: None,
                ..Behaviour::answers_after(Duration::from_millis(500))
            }));
            let action = CallAction::MuteTransfer {
                destination: OTHER.to_owned(),
                user_data: KeyValueList::new(),
            };
            act(&mut world, AGENT, main, action);
            world.run_for(Duration::from_secs(10));
            let told = told(&world);
            assert!(connected(&world, token, OTHER), "{trunk}{flow}{told:?}");
            end(&mut world, token);
        }
    }
}

#[test]
fn ringing_call_is_redirected() {
    for number in [OTHER, "7001", OUTSIDE] {
        let mut world = world();
        world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
        let token = world.call(CallPlan::to(AGENT));
        world.run_for(Duration::from_secs(3));
        let conn_id = conn_of(&world, AGENT, EventName::Ringing);
        let destination = number.to_owned();
        act(
            &mut world,
            AGENT,
            conn_id,
            CallAction::Redirect { destination },
        );
        let released = last(&world, AGENT, EventName::Released);
        assert_eq!(released.call_state, Some(CallState::Redirected));
        world.phone(AGENT).set_behaviour(None);
        world.run_for(Duration::from_secs(10));
        let taker = match number {
            "7001" => last_established(&world),
            _ => number.to_owned(),
        };
        assert!(
            connected(&world, token, &taker),
            "{number}: {:?}",
            told(&world)
        );
        end(&mut world, token);
    }
}

#[test]
fn phone_transfers_by_itself() {
    let mut world = world_with("outbound = true\nrefer = true\n", "");
    let (token, _) = talking(&mut world);
    assert!(world.phone(AGENT).refer(OTHER));
    world.run_for(Duration::from_secs(12));
    assert!(connected(&world, token, OTHER), "{:?}", told(&world));
    assert_eq!(
        told(&world),
        [
            "2000 Released Transferred",
            "2001 Ringing Transferred",
            "2001 Established",
        ]
    );
    end(&mut world, token);
}

#[test]
fn phone_that_may_not_transfer_keeps_its_call() {
    let mut world = world();
    let (token, _) = talking(&mut world);
    world.phone(AGENT).refer(OTHER);
    world.run_for(Duration::from_secs(5));
    assert!(connected(&world, token, AGENT));
    assert_eq!(told(&world), [""; 0]);
    end(&mut world, token);
}

#[test]
fn phone_with_a_dialog_for_each_call() {
    for by_phone in [false, true] {
        let trunk = "outbound = true\ndual_dialog = true\nrefer = true\n";
        let mut world = world_with(trunk, "");
        world.phone(AGENT).set_calls_max(2);
        let (token, main) = talking(&mut world);
        act(&mut world, AGENT, main, consult(OTHER));
        world.run_for(Duration::from_secs(15));
        let consult = conn_of(&world, AGENT, EventName::Dialing);
        assert!(held(&world, token), "{:?}", told(&world));
        if by_phone {
            assert!(world.phone(AGENT).refer_attended(OTHER));
            world.run_for(Duration::from_secs(3));
        } else {
            act(
                &mut world,
                AGENT,
                main,
                CallAction::CompleteTransfer { consult },
            );
        }
        assert!(
            connected(&world, token, OTHER),
            "{by_phone} {:?}",
            told(&world)
        );
        end(&mut world, token);
    }
}
