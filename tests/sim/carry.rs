//! What comes to a call from another one: a phone joins its two calls, somebody takes the place of
//! a party. The two calls may be on one shard or on two.

use std::time::Duration;

use offhook::cti::{CallAction, CallState, ConnId, DnRole, EventName};
use offhook_loadgen::population::{CallPlan, Fact, Outcome, Party, Replaces, Token};

use super::control::{
    act, conn_of, connected, end, held, last, moment, talking, told_since, world_on,
};
use super::world::World;

const AGENT: &str = "2000";
const OTHER: &str = "2001";
const THIRD: &str = "2002";

const TRUNK: &str = "outbound = true\nrefer = true\n";

/// Worlds whose calls fall on one shard, and on several.
fn worlds() -> impl Iterator<Item = World> {
    (1..=6).map(|seed| {
        let shards = if seed == 1 { 1 } else { 3 };
        let mut world = world_on(shards, seed, TRUNK, "");
        world.phone(AGENT).set_calls_max(2);
        world
    })
}

fn together(world: &World, one: &str, other: &str) -> bool {
    let (one, other) = (Party::phone(one), Party::phone(other));
    world.population.are_connected(&one, &other)
}

/// The agent's phone talks to a caller, whom it holds, and to whom it has dialled by itself.
fn with_two_calls(world: &mut World) -> (Token, ConnId) {
    let (token, main) = talking(world);
    assert!(world.phone(AGENT).dial(OTHER).is_some());
    world.run_for(Duration::from_secs(10));
    assert!(held(world, token) && together(world, AGENT, OTHER));
    (token, main)
}

fn dialog(world: &mut World, dn: &str) -> Replaces {
    world.phone(dn).dialog().expect("the phone has a call")
}

/// Somebody calls to take a place.
fn takes(world: &mut World, replaces: Replaces, early_offer: bool) -> Token {
    let plan = CallPlan {
        early_offer,
        replaces: Some(replaces),
        ..CallPlan::to("7000")
    };
    let token = world.call(plan);
    world.run_for(Duration::from_secs(5));
    token
}

fn refused(world: &World, token: Token) -> Option<u16> {
    world.records.iter().find_map(|record| match &record.fact {
        Fact::Ended {
            token: of,
            outcome: Outcome::Refused(status),
        } if *of == token => Some(*status),
        _ => None,
    })
}

#[test]
fn phone_joins_its_two_calls() {
    let mut across = 0;
    for mut world in worlds() {
        let (token, main) = with_two_calls(&mut world);
        let consult = conn_of(&world, OTHER, EventName::Established);
        across += usize::from(main.shard() != consult.shard());
        let since = moment(&world);
        assert!(world.phone(AGENT).refer_attended(OTHER));
        world.run_for(Duration::from_secs(3));
        assert!(connected(&world, token, OTHER));
        let mut told = told_since(&world, since);
        told.sort();
        let expected = ["2000 Released Transferred", "2001 PartyChanged Transferred"];
        assert_eq!(told, expected);
        let released = last(&world, AGENT, EventName::Released);
        assert_eq!(released.third_party_dn.as_deref(), Some(OTHER));
        let changed = last(&world, OTHER, EventName::PartyChanged);
        assert_eq!(changed.call.as_ref().unwrap().conn_id, consult);
        assert_eq!(changed.third_party_dn.as_deref(), Some(AGENT));
        assert_eq!(changed.third_party_dn_role, Some(DnRole::TransferredBy));
        assert_eq!(changed.other_dn_role, Some(DnRole::NewParty));
        // What is done to the call afterwards goes across.
        act(&mut world, OTHER, consult, CallAction::Hold);
        assert!(held(&world, token));
        act(&mut world, OTHER, consult, CallAction::Retrieve);
        assert!(connected(&world, token, OTHER));
        end(&mut world, token);
    }
    assert!(across > 0, "no two calls were on two shards");
}

#[test]
fn call_that_was_joined_ends_from_either_side() {
    for mut world in worlds() {
        let (token, _) = with_two_calls(&mut world);
        assert!(world.phone(AGENT).refer_attended(OTHER));
        world.run_for(Duration::from_secs(3));
        assert!(connected(&world, token, OTHER));
        assert!(world.phone(OTHER).hang_up());
        world.run_for(Duration::from_secs(2));
        let released = last(&world, OTHER, EventName::Released);
        assert_eq!(released.call_state, Some(CallState::Ok));
        world.finish();
    }
}

#[test]
fn phone_that_joins_with_a_call_that_is_gone_keeps_its_caller() {
    for mut world in worlds() {
        let (token, _) = with_two_calls(&mut world);
        // Its answer to the BYE is still on its way when the phone asks.
        assert!(world.phone(OTHER).hang_up());
        world.phone(AGENT).refer_attended(OTHER);
        world.run_for(Duration::from_secs(5));
        assert!(!connected(&world, token, OTHER));
        end(&mut world, token);
    }
}

#[test]
fn somebody_takes_the_place_of_the_phone() {
    for early_offer in [false, true] {
        for mut world in worlds() {
            let (first, main) = talking(&mut world);
            let replaces = dialog(&mut world, AGENT);
            let since = moment(&world);
            let second = takes(&mut world, replaces, early_offer);
            let (one, other) = (Party::Caller(first), Party::Caller(second));
            assert!(world.population.are_connected(&one, &other));
            assert_eq!(told_since(&world, since), ["2000 Released Transferred"]);
            assert_eq!(conn_of(&world, AGENT, EventName::Released), main);
            let now = world.now;
            world.population.callers.hang_up(now, second);
            end(&mut world, first);
        }
    }
}

#[test]
fn somebody_takes_the_place_of_the_caller() {
    for mut world in worlds() {
        let (first, main) = talking(&mut world);
        let replaces = world.population.callers.dialog(first).unwrap();
        let since = moment(&world);
        let second = takes(&mut world, replaces, true);
        assert!(connected(&world, second, AGENT));
        assert_eq!(told_since(&world, since), ["2000 PartyChanged Transferred"]);
        let changed = last(&world, AGENT, EventName::PartyChanged);
        assert_eq!(changed.call.as_ref().unwrap().conn_id, main);
        end(&mut world, second);
    }
}

#[test]
fn agent_takes_the_place_of_another_one() {
    for mut world in worlds() {
        let (token, main) = talking(&mut world);
        let replaces = dialog(&mut world, AGENT);
        let since = moment(&world);
        assert!(world.phone(THIRD).take_over("7000", &replaces).is_some());
        world.run_for(Duration::from_secs(5));
        assert!(connected(&world, token, THIRD));
        let mut told = told_since(&world, since);
        told.sort();
        let expected = [
            "2000 Released Transferred",
            "2002 Established Transferred",
            "2002 Ringing Transferred",
        ];
        assert_eq!(told, expected);
        let established = last(&world, THIRD, EventName::Established);
        assert_eq!(established.call.as_ref().unwrap().conn_id, main);
        assert_eq!(established.third_party_dn.as_deref(), Some(AGENT));
        act(&mut world, THIRD, main, CallAction::Hold);
        assert!(held(&world, token));
        act(&mut world, THIRD, main, CallAction::Retrieve);
        assert!(connected(&world, token, THIRD));
        act(&mut world, THIRD, main, CallAction::Release);
        world.finish();
    }
}

#[test]
fn place_that_is_gone_or_not_to_be_had_is_refused() {
    for mut world in worlds() {
        let (token, main) = talking(&mut world);
        let replaces = dialog(&mut world, AGENT);
        let unknown = Replaces {
            from_tag: "nobody".to_owned(),
            ..replaces.clone()
        };
        let second = takes(&mut world, unknown, true);
        assert_eq!(refused(&world, second), Some(481));
        act(&mut world, AGENT, main, CallAction::Hold);
        let of_caller = world.population.callers.dialog(token).unwrap();
        let second = takes(&mut world, of_caller, true);
        assert_eq!(refused(&world, second), Some(486));
        act(&mut world, AGENT, main, CallAction::Retrieve);
        assert!(connected(&world, token, AGENT));
        act(&mut world, AGENT, main, CallAction::Release);
        // RFC 3891 §3: as long as the dialog that has ended is known.
        let second = takes(&mut world, replaces.clone(), true);
        assert_eq!(refused(&world, second), Some(603));
        world.run_for(Duration::from_secs(60));
        let second = takes(&mut world, replaces, true);
        assert_eq!(refused(&world, second), Some(481));
        world.finish();
    }
}

#[test]
fn trunk_that_may_not_transfer_takes_no_place() {
    let mut world = world_on(3, 1, "", "");
    let (token, _) = talking(&mut world);
    let replaces = dialog(&mut world, AGENT);
    let second = takes(&mut world, replaces, true);
    assert_eq!(refused(&world, second), Some(403));
    assert!(connected(&world, token, AGENT));
    end(&mut world, token);
}
