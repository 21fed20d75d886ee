//! What goes from one side of a call to the other: names, diversions, early media, what a phone
//! does by itself. And from one call to another: a phone joins its two calls, somebody takes the
//! place of a party; the two calls may be on one shard or on two.

use std::time::Duration;

use offhook::config::RoutingPointIndex;
use offhook::cti::{
    CallAction, CallState, ConnId, DesktopRequest, DnRole, EventName, ForwardMode, KeyValueList,
    RequestBody, RouteRequest, RouteType,
};
use offhook_loadgen::population::{
    Behaviour, CallPlan, Change, Fact, Outcome, Party, Replaces, Token,
};

use super::control::{
    act, conn_of, connected, consult, end, held, last, moment, talking, told, told_since, world_on,
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

fn has(world: &World, dn: &str, name: &str) -> Vec<String> {
    let text = world
        .network
        .invite_to(dn)
        .expect("an INVITE to the number");
    let values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    values.map(str::to_owned).collect()
}

fn forward(world: &mut World, mode: ForwardMode, destination: &str) {
    let destination = destination.to_owned();
    let reasons = KeyValueList::new();
    let request = DesktopRequest::SetForward {
        mode,
        destination,
        reasons,
    };
    world.ask(AGENT, request);
    world.run_for(Duration::from_secs(1));
}

#[test]
fn who_gets_a_diverted_call_sees_by_whom() {
    let busy = Behaviour::refuses(offhook::sip::Status::BUSY_HERE);
    for (mode, behaviour, reason) in [
        (ForwardMode::Unconditional, None, "unconditional"),
        (
            ForwardMode::OnNoAnswer,
            Some(Behaviour::rings()),
            "no-answer",
        ),
        (ForwardMode::OnBusy, Some(busy), "user-busy"),
    ] {
        for destination in [OTHER, "4000"] {
            let mut world = world_on(2, 1, TRUNK, "");
            forward(&mut world, mode, destination);
            world.phone(AGENT).set_behaviour(behaviour);
            let token = world.call(CallPlan::to(AGENT));
            world.run_for(Duration::from_secs(40));
            assert!(connected(&world, token, destination), "{mode:?}");
            let found = has(&world, destination, "Diversion");
            let expected = format!(";reason={reason};counter=1;privacy=off");
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("<sip:2000@") && found[0].ends_with(&expected));
            end(&mut world, token);
        }
    }
}

#[test]
fn who_gets_a_redirected_call_sees_by_whom_and_the_next_call_is_none() {
    let mut world = world_on(1, 1, TRUNK, "");
    world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
    let token = world.call(CallPlan::to(AGENT));
    world.run_for(Duration::from_secs(3));
    let conn_id = conn_of(&world, AGENT, EventName::Ringing);
    let destination = OTHER.to_owned();
    act(
        &mut world,
        AGENT,
        conn_id,
        CallAction::Redirect { destination },
    );
    assert!(has(&world, OTHER, "Diversion")[0].contains(";reason=deflection;"));
    end(&mut world, token);
    let mut world = world_on(1, 1, TRUNK, "");
    let token = world.call(CallPlan::to(OTHER));
    world.run_for(Duration::from_secs(3));
    assert_eq!(has(&world, OTHER, "Diversion"), [""; 0]);
    end(&mut world, token);
}

/// A router sends callers of the first routing point there.
fn route_to(world: &mut World, destination: &str) -> Token {
    let present = RouteRequest::Router(Some(offhook::cti::ClientId(1)));
    world.request(RequestBody::Route(RoutingPointIndex(0), present));
    let token = world.call(CallPlan::to("7000"));
    world.run_for(Duration::from_secs(1));
    let conn_id = conn_of(world, "7000", EventName::RouteRequest);
    let call = RouteRequest::Call {
        conn_id,
        other_dn: Some(destination.to_owned()),
        route_type: RouteType::Direct,
        reasons: KeyValueList::new(),
    };
    world.request(RequestBody::Route(RoutingPointIndex(0), call));
    world.run_for(Duration::from_secs(8));
    token
}

#[test]
fn router_sends_callers_to_agents_queues_and_numbers() {
    for destination in [OTHER, "7001", "4000"] {
        let mut world = world_on(3, 1, TRUNK, "");
        let token = route_to(&mut world, destination);
        let diverted = match destination {
            "7001" => {
                let established =
                    |event: &&offhook::cti::Event| event.name == EventName::Established;
                assert_eq!(world.journal.events.iter().filter(established).count(), 1);
                Vec::new()
            }
            _ => {
                assert!(connected(&world, token, destination), "{destination}");
                has(&world, destination, "Diversion")
            }
        };
        let outside = usize::from(destination == "4000");
        assert_eq!(diverted.len(), outside, "{destination} {diverted:?}");
        let present = RouteRequest::Router(None);
        world.request(RequestBody::Route(RoutingPointIndex(0), present));
        end(&mut world, token);
    }
}

#[test]
fn queue_sends_callers_elsewhere_when_they_have_waited_enough() {
    for (overflow, destination) in [
        ("number:2001", OTHER),
        ("queue:service", ""),
        ("number:4000", "4000"),
    ] {
        let more = format!(
            "[[queue]]\nname = \"night\"\nwait_max = 5\noverflow_wait = \"{overflow}\"\n\
             [[routing_point]]\nnumber = \"7009\"\nqueue = \"night\"\n\
             [[agents]]\nrange = \"2009-2009\"\nqueues = [\"night\"]\n"
        );
        let mut world = world_on(3, 1, TRUNK, &more);
        assert!(world.phone("2009").begin_private_call());
        world.run_for(Duration::from_secs(2));
        let token = world.call(CallPlan::to("7009"));
        world.run_for(Duration::from_secs(15));
        match destination {
            "" => assert!(last_established(&world).is_some(), "{:?}", told(&world)),
            number => assert!(connected(&world, token, number), "{:?}", told(&world)),
        }
        if destination == "4000" {
            let diversion = &has(&world, destination, "Diversion")[0];
            assert!(diversion.starts_with("<sip:7009@"), "{diversion}");
            assert!(diversion.contains(";reason=unavailable;"), "{diversion}");
        }
        assert!(world.phone("2009").end_private_call());
        end(&mut world, token);
    }
}

fn last_established(world: &World) -> Option<&str> {
    let mut events = world.journal.events.iter().rev();
    let found = events.find(|event| event.name == EventName::Established);
    found.map(|event| event.this_dn.as_str())
}

#[test]
fn caller_hears_what_comes_before_the_answer_of_the_only_one() {
    let no_early = "outbound = true\nearly_media = false\n";
    for (trunk, number, mode, heard) in [
        (TRUNK, AGENT, None, 1),
        (TRUNK, AGENT, Some((ForwardMode::Unconditional, "4000")), 1),
        (TRUNK, AGENT, Some((ForwardMode::OnBusy, OTHER)), 0),
        (TRUNK, "7000", None, 0),
        (no_early, AGENT, None, 0),
    ] {
        let mut world = world_on(2, 1, trunk, "");
        if let Some((mode, destination)) = mode {
            forward(&mut world, mode, destination);
        }
        let early = Behaviour {
            early_media: true,
            ..Behaviour::answers_after(Duration::from_secs(3))
        };
        for dn in [AGENT, OTHER, THIRD, "4000"] {
            world.phone(dn).set_behaviour(Some(early));
        }
        let token = world.call(CallPlan::to(number).with_offer());
        world.run_for(Duration::from_secs(5));
        let early = world.count(|fact| matches!(fact, Fact::EarlyMedia { .. }));
        assert_eq!(early, heard, "{number} {mode:?}");
        let up = world.population.callers.dialog(token).is_some();
        assert!(up && world.population.one_way().is_empty());
        end(&mut world, token);
    }
}

#[test]
fn phone_that_holds_and_resumes_by_itself_is_as_if_its_desktop_had_asked() {
    for (hold, resume) in [
        (Change::Hold, Change::Resume),
        (Change::HoldWithMusic, Change::ResumeWithOffer),
        (Change::HoldByUpdate, Change::ResumeByUpdate),
    ] {
        let mut world = world_on(1, 1, TRUNK, "");
        let (token, main) = talking(&mut world);
        assert!(world.phone(AGENT).change(hold));
        world.run_for(Duration::from_secs(3));
        assert!(held(&world, token));
        assert_eq!(told(&world), ["2000 Held"], "{hold:?}");
        let event = last(&world, AGENT, EventName::Held);
        assert_eq!(event.requested_by, None);
        assert_eq!(event.other_dn_role, Some(DnRole::Origination));
        assert!(world.phone(AGENT).change(resume));
        world.run_for(Duration::from_secs(3));
        assert!(connected(&world, token, AGENT));
        assert_eq!(told(&world), ["2000 Held", "2000 Retrieved"], "{resume:?}");
        // The caller's hold is not the agent's.
        let since = moment(&world);
        let now = world.now;
        assert!(world.population.callers.change(now, token, hold));
        world.run_for(Duration::from_secs(3));
        assert_eq!(told_since(&world, since), [""; 0]);
        let now = world.now;
        world.population.callers.change(now, token, resume);
        world.run_for(Duration::from_secs(3));
        // What the phone has held, its desktop takes back.
        assert!(world.phone(AGENT).change(hold));
        world.run_for(Duration::from_secs(3));
        act(&mut world, AGENT, main, CallAction::Hold);
        assert_eq!(
            last_error(&world),
            Some(offhook::cti::ErrorCode::AlreadyInState)
        );
        assert!(world.phone(AGENT).change(resume));
        world.run_for(Duration::from_secs(3));
        end(&mut world, token);
    }
}

fn last_error(world: &World) -> Option<offhook::cti::ErrorCode> {
    world
        .journal
        .events
        .last()
        .and_then(|event| event.error_code)
}

/// Whom a party is shown.
fn shown(world: &World, party: &Party) -> Option<String> {
    let ends = world.population.ends();
    let end = ends.iter().rev().find(|end| end.party == *party);
    end.and_then(|end| end.identity.clone())
}

#[test]
fn both_sides_are_shown_whom_they_talk_to() {
    let mut world = world_on(1, 1, TRUNK, "");
    let (token, main) = talking(&mut world);
    let caller = Party::Caller(token);
    let number = shown(&world, &Party::phone(AGENT)).expect("the phone sees who calls");
    assert_eq!(shown(&world, &caller).as_deref(), Some(AGENT));
    act(&mut world, AGENT, main, consult(OTHER));
    world.run_for(Duration::from_secs(5));
    let beside = conn_of(&world, AGENT, EventName::Dialing);
    assert_eq!(shown(&world, &Party::phone(AGENT)).as_deref(), Some(OTHER));
    assert_eq!(shown(&world, &Party::phone(OTHER)).as_deref(), Some(AGENT));
    act(
        &mut world,
        AGENT,
        beside,
        CallAction::Alternate { held: main },
    );
    assert_eq!(shown(&world, &Party::phone(AGENT)), Some(number.clone()));
    act(
        &mut world,
        AGENT,
        main,
        CallAction::CompleteTransfer { consult: beside },
    );
    assert!(connected(&world, token, OTHER));
    assert_eq!(shown(&world, &caller).as_deref(), Some(OTHER));
    assert_eq!(shown(&world, &Party::phone(OTHER)), Some(number.clone()));
    let destination = THIRD.to_owned();
    let user_data = KeyValueList::new();
    let action = CallAction::SingleStepTransfer {
        destination,
        user_data,
    };
    act(&mut world, OTHER, main, action);
    world.run_for(Duration::from_secs(5));
    assert_eq!(shown(&world, &caller).as_deref(), Some(THIRD));
    assert_eq!(shown(&world, &Party::phone(THIRD)), Some(number));
    end(&mut world, token);
}

#[test]
fn phone_transfers_to_whom_it_has_reached_through_its_pbx() {
    for number in [OTHER, "4000"] {
        for mut world in worlds() {
            let (token, main) = talking(&mut world);
            let replaces = Replaces {
                call_id: format!("{number}@10.0.1.1"),
                to_tag: "theirs".to_owned(),
                from_tag: "its".to_owned(),
            };
            let since = moment(&world);
            assert!(world.phone(AGENT).refer_outside(number, &replaces));
            world.run_for(Duration::from_secs(8));
            assert!(connected(&world, token, number), "{:?}", told(&world));
            assert_eq!(has(&world, number, "Replaces"), [replaces.header()]);
            assert!(has(&world, number, "Referred-By")[0].contains("2000"));
            let mut told = told_since(&world, since);
            told.sort();
            let expected: &[&str] = if number == OTHER {
                &[
                    "2000 Released Transferred",
                    "2001 Established Transferred",
                    "2001 Ringing Transferred",
                ]
            } else {
                &["2000 Released Transferred"]
            };
            assert_eq!(told, expected);
            assert_eq!(conn_of(&world, AGENT, EventName::Released), main);
            end(&mut world, token);
        }
    }
}

#[test]
fn number_that_a_phone_transfers_to_is_told_in_whose_name() {
    let mut world = world_on(1, 1, TRUNK, "");
    let (token, _) = talking(&mut world);
    assert!(world.phone(AGENT).refer(OTHER));
    world.run_for(Duration::from_secs(8));
    assert!(connected(&world, token, OTHER));
    assert!(has(&world, OTHER, "Referred-By")[0].contains("2000"));
    end(&mut world, token);
}

/// A9: a caller may not have the server dial outside, whatever dialog it says that it has there.
#[test]
fn a9_a_caller_transfers_nobody_to_a_number_outside() {
    for mut world in worlds() {
        let (token, _) = talking(&mut world);
        let replaces = Replaces {
            call_id: "made-up@10.0.1.1".to_owned(),
            to_tag: "theirs".to_owned(),
            from_tag: "its".to_owned(),
        };
        for replaces in [Some(&replaces), None] {
            let now = world.now;
            assert!(world.population.callers.refer(now, token, "4000", replaces));
            world.run_for(Duration::from_secs(8));
            assert_eq!(world.network.invite_to("4000"), None);
            assert!(connected(&world, token, AGENT));
        }
        end(&mut world, token);
    }
}
