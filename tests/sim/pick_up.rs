//! Directed pick-up: somebody takes a call that rings at a phone, by an INVITE with Replaces that
//! names the phone's dialog (RFC 3891 §3). The two calls may be on one shard or on two.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use offhook::cti::{CallAction, CallState, EventName};
use offhook_loadgen::population::{Behaviour, CallPlan, Fact, Outcome, Party, Token};

use super::control::{
    AGENT, OTHER, act, conn_of, connected, consult, last, moment, told_since, world_on,
};
use super::descriptions::{Descriptions, Offers};
use super::hands::hang_up_all;
use super::network::Fate;
use super::world::World;

const THIRD: &str = "2002";
const TRUNK: &str = "outbound = true\nrefer = true\n";

/// Worlds whose calls fall on one shard, and on several.
fn worlds() -> impl Iterator<Item = World> {
    worlds_where(Behaviour::rings())
}

/// The same, where phones do this.
fn worlds_where(behaviour: Behaviour) -> impl Iterator<Item = World> {
    (1..=4).map(move |seed| {
        let shards = if seed == 1 { 1 } else { 3 };
        let mut world = world_on(shards, seed, TRUNK, "");
        for dn in [AGENT, OTHER, THIRD] {
            world.phone(dn).set_behaviour(Some(behaviour));
        }
        world
    })
}

/// A call that rings at somebody's phone.
fn rings(world: &mut World, number: &str, early_offer: bool) -> (Token, String) {
    let token = world.call(CallPlan {
        early_offer,
        expires: None,
        ..CallPlan::to(number)
    });
    world.run_for(Duration::from_secs(2));
    let mut events = world.journal.events.iter().rev();
    let ringing = events.find(|event| event.name == EventName::Ringing);
    (token, ringing.expect("a phone rings").this_dn.to_string())
}

/// What CANCELs say of why.
fn reasons(world: &mut World) -> Rc<RefCell<Vec<String>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    world.network.rule = Some(Box::new(move |flight| {
        let text = String::from_utf8_lossy(&flight.bytes);
        if text.starts_with("CANCEL") && flight.to.port() == 5060 {
            let mut lines = text.lines();
            let reason = lines.find_map(|line| line.strip_prefix("Reason: "));
            noted.borrow_mut().extend(reason.map(str::to_owned));
        }
        Fate::Usual
    }));
    seen
}

fn end(world: &mut World) {
    world.network.rule = None;
    for dn in [AGENT, OTHER, THIRD] {
        world.phone(dn).set_behaviour(None);
    }
    for token in world.tokens() {
        let now = world.now;
        world.population.callers.give_up(now, token);
        world.population.callers.hang_up(now, token);
    }
    hang_up_all(world);
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.population.one_way(), []);
    world.finish();
}

/// Whoever makes an offer and whoever does not: the caller has whom it gets, and the agent whose
/// phone rang is free.
#[test]
fn somebody_outside_takes_the_call_that_rings() {
    for number in ["7000", AGENT] {
        for (first_offers, second_offers) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            for mut world in worlds() {
                let (first, rang) = rings(&mut world, number, first_offers);
                let replaces = world.phone(&rang).dialog().expect("it rings");
                let cancelled = reasons(&mut world);
                let since = moment(&world);
                let second = world.call(CallPlan {
                    early_offer: second_offers,
                    replaces: Some(replaces),
                    ..CallPlan::to("7000")
                });
                world.run_for(Duration::from_secs(6));
                let (one, other) = (Party::Caller(first), Party::Caller(second));
                assert!(
                    world.population.are_connected(&one, &other),
                    "{number} {first_offers} {second_offers}: {:?}",
                    told_since(&world, since)
                );
                assert_eq!(*cancelled.borrow(), ["SIP;cause=200"]);
                let released = last(&world, &rang, EventName::Released);
                assert_eq!(released.call_state, Some(CallState::Redirected));
                assert!(world.journal.is_ready(&rang), "it is free again");
                end(&mut world);
            }
        }
    }
}

/// Where both have made an offer, they are connected by a further one: at once, although whoever
/// comes has not acknowledged its answer when the other one's offer gets there.
#[test]
fn two_who_have_both_made_an_offer_are_connected_at_once() {
    for mut world in worlds() {
        let (first, rang) = rings(&mut world, "7000", true);
        let replaces = world.phone(&rang).dialog().expect("it rings");
        let second = world.call(CallPlan {
            early_offer: true,
            replaces: Some(replaces),
            ..CallPlan::to("7000")
        });
        world.run_for(Duration::from_millis(100));
        let (one, other) = (Party::Caller(first), Party::Caller(second));
        assert!(world.population.are_connected(&one, &other));
        end(&mut world);
    }
}

/// Who calls an agent has had the early media of its phone by then, and reads no other answer to
/// its INVITE (RFC 3261 §13.2.1).
#[test]
fn caller_who_has_heard_the_phone_has_who_takes_the_call() {
    let early_media = Behaviour {
        early_media: true,
        ..Behaviour::rings()
    };
    for mut world in worlds_where(early_media) {
        let descriptions = Descriptions::read(&mut world, |_| Offers::Audio);
        let (first, rang) = rings(&mut world, AGENT, true);
        let replaces = world.phone(&rang).dialog().expect("it rings");
        let second = world.call(CallPlan {
            early_offer: true,
            replaces: Some(replaces),
            ..CallPlan::to("7000")
        });
        world.run_for(Duration::from_secs(6));
        let (one, other) = (Party::Caller(first), Party::Caller(second));
        assert!(world.population.are_connected(&one, &other));
        assert_eq!(descriptions.borrow().two_have_each_other(), Ok(()));
        end(&mut world);
    }
}

/// An agent takes the call of a colleague, out of a queue: it is the agent's business from then on,
/// and wraps up as such.
#[test]
fn agent_takes_the_call_that_rings_at_another_one() {
    for mut world in worlds() {
        let (token, rang) = rings(&mut world, "7000", true);
        let main = conn_of(&world, &rang, EventName::Ringing);
        let taker = [AGENT, OTHER].into_iter().find(|dn| *dn != rang);
        let taker = taker.expect("another one");
        let replaces = world.phone(&rang).dialog().expect("it rings");
        let since = moment(&world);
        assert!(world.phone(taker).take_over("7000", &replaces).is_some());
        world.run_for(Duration::from_secs(6));
        assert!(
            connected(&world, token, taker),
            "{:?}",
            told_since(&world, since)
        );
        let established = last(&world, taker, EventName::Established);
        assert_eq!(established.call.as_ref().unwrap().conn_id, main);
        assert_eq!(established.this_queue.as_deref(), Some("7000"));
        assert!(world.journal.is_ready(&rang));
        act(&mut world, taker, main, CallAction::Hold);
        act(&mut world, taker, main, CallAction::Retrieve);
        assert!(connected(&world, token, taker));
        act(&mut world, taker, main, CallAction::Release);
        end(&mut world);
    }
}

/// The one who is consulted is another one by then; the agent who consults hears whom it gets.
#[test]
fn consultation_that_rings_is_taken_elsewhere() {
    for mut world in worlds() {
        world.phone(AGENT).set_behaviour(None);
        let token = world.call(CallPlan::to(AGENT));
        world.run_for(Duration::from_secs(8));
        assert!(connected(&world, token, AGENT));
        let main = conn_of(&world, AGENT, EventName::Established);
        act(&mut world, AGENT, main, consult(OTHER));
        let replaces = world.phone(OTHER).dialog().expect("it rings");
        let second = world.call(CallPlan {
            replaces: Some(replaces),
            ..CallPlan::to("7000")
        });
        world.run_for(Duration::from_secs(6));
        assert!(connected(&world, second, AGENT));
        let beside = conn_of(&world, AGENT, EventName::Established);
        assert_ne!(beside, main);
        act(
            &mut world,
            AGENT,
            main,
            CallAction::CompleteTransfer { consult: beside },
        );
        let (one, other) = (Party::Caller(token), Party::Caller(second));
        assert!(world.population.are_connected(&one, &other));
        end(&mut world);
    }
}

/// Whoever takes the call hangs up at once, at every moment: the caller has talked to it, or waits
/// in its queue again, and is refused by nobody.
#[test]
fn caller_whose_taker_leaves_at_once_is_not_left_hanging() {
    let first = (0..12).map(|step| step * 250);
    for microseconds in first.chain([5_000, 10_000, 50_000, 1_500_000]) {
        let mut world = worlds().nth(1).expect("a world");
        let (caller, rang) = rings(&mut world, "7000", true);
        let replaces = world.phone(&rang).dialog().expect("it rings");
        let second = world.call(CallPlan {
            replaces: Some(replaces),
            early_offer: true,
            ..CallPlan::to("7000")
        });
        world.run_for(Duration::from_micros(microseconds));
        let now = world.now;
        world.population.callers.give_up(now, second);
        world.population.callers.hang_up(now, second);
        world.run_for(Duration::from_secs(40));
        let refused = world.count(|fact| {
            matches!(fact, Fact::Ended { token, outcome: Outcome::Refused(_) } if *token == caller)
        });
        assert_eq!(refused, 0, "{microseconds}");
        end(&mut world);
    }
}

/// Whoever takes the call gives up while the ACK of the caller, which has its answer, is on its
/// way: it leaves the call (seed 6116), and the caller waits in its queue again (swizzle 506938).
#[test]
fn caller_whose_taker_gives_up_while_it_is_answered_goes_back() {
    for mut world in worlds() {
        let (caller, rang) = rings(&mut world, "7000", false);
        let replaces = world.phone(&rang).dialog().expect("it rings");
        world.network.rule = Some(Box::new(|flight| {
            let is_ack = flight.bytes.starts_with(b"ACK sip:7000@");
            if is_ack { Fate::Lost } else { Fate::Usual }
        }));
        let taker = [AGENT, OTHER].into_iter().find(|dn| *dn != rang);
        let taker = taker.expect("another one");
        assert!(world.phone(taker).take_over("7000", &replaces).is_some());
        world.run_for(Duration::from_millis(100));
        assert!(world.phone(taker).hang_up());
        world.run_for(Duration::from_millis(100));
        world.network.rule = None;
        let since = moment(&world);
        world.run_for(Duration::from_secs(3));
        let released = last(&world, taker, EventName::Released);
        assert!(released.call.is_some());
        assert!(world.journal.calls_at(taker).is_empty());
        assert_eq!(world.tokens(), [caller]);
        let told = told_since(&world, since);
        assert_eq!(world.rang(THIRD), 1, "{told:?}");
        end(&mut world);
    }
}

/// Whoever takes the call hangs up before it could be connected, and its BYE overtakes its ACK: the
/// caller, whose INVITE nobody has answered, waits in its queue again.
#[test]
fn caller_whose_taker_leaves_before_they_are_connected_goes_back() {
    for mut world in worlds() {
        let (caller, rang) = rings(&mut world, "7000", true);
        let replaces = world.phone(&rang).dialog().expect("it rings");
        world.network.rule = Some(Box::new(|flight| {
            let overtaken = flight.bytes.starts_with(b"ACK sip:7000@");
            if overtaken { Fate::Lost } else { Fate::Usual }
        }));
        let taker = [AGENT, OTHER].into_iter().find(|dn| *dn != rang);
        let taker = taker.expect("another one");
        assert!(world.phone(taker).take_over("7000", &replaces).is_some());
        world.run_for(Duration::from_millis(10));
        assert!(world.phone(taker).hang_up());
        world.run_for(Duration::from_millis(10));
        world.network.rule = None;
        let since = moment(&world);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.tokens(), [caller]);
        let told = told_since(&world, since);
        assert_eq!(world.rang(THIRD), 1, "{told:?}");
        end(&mut world);
    }
}
