//! What an outage may cost: agents behind a trunk that is out keep their state and their place,
//! callers wait in silence, and no phone is offered calls faster than a person could take them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use offhook::counters::Counter;
use offhook::cti::EventName::{AgentNotReady, DNBackInService, DNOutOfService};
use offhook::cti::{Event, EventName};
use offhook::limits::PROBE_WITHIN;
use offhook::sip::Status;
use offhook_loadgen::population::{
    Answering, Behaviour, CallPlan, Change, Fact, Fault, Outcome, Record, Token,
};

use super::calls::outcome;
use super::network::{Fate, Flight};
use super::world::{Setup, World, callers_address, node_address};

const AGENT: &str = "2000";

/// Offers that reach one phone within a second, at most: each failure rests it for seconds, but
/// callers who give up do not.
const OFFERS_A_SECOND_MAX: usize = 10;

/// The same caller reaches the same phone twice within a second only by two peers.
const REPEATS_A_SECOND_MAX: usize = 2;

/// How often an INVITE is sent over UDP before it is given up.
const COPIES: usize = 7;

/// Where desktops send calls back and forth, as often as they can.
const STEERED_REPEATS_A_SECOND_MAX: usize = 6;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Holds in every run: nobody's phone is offered calls at the speed of the network. Where that
/// takes seconds, what was sent in as many and one more may come within one; and what was asked of
/// a server that slept comes when it wakes.
pub fn offers_are_paced(world: &World) -> Result<(), String> {
    let World {
        records,
        are_steered,
        network,
        ..
    } = world;
    let sent_within = 1 + usize::try_from(network.slowest.as_secs()).expect("seconds are few");
    let repeats_max = if *are_steered {
        STEERED_REPEATS_A_SECOND_MAX
    } else {
        REPEATS_A_SECOND_MAX
    };
    let mut by_phone: BTreeMap<&str, Vec<(Instant, Option<Token>)>> = BTreeMap::new();
    for record in records {
        if let Fact::Rang { token, dn } = &record.fact {
            by_phone.entry(dn).or_default().push((record.at, *token));
        }
    }
    for (dn, offers) in by_phone {
        for (index, (at, token)) in offers.iter().enumerate() {
            let soon = || {
                let later = offers[index..].iter();
                later.take_while(|(other, _)| *other < *at + seconds(1))
            };
            let repeats = soon().filter(|(_, other)| token.is_some() && other == token);
            let (all, repeats) = (soon().count(), repeats.count());
            let sent_within = sent_within + asleep_before(world, *at);
            let is_paced =
                all <= sent_within * OFFERS_A_SECOND_MAX && repeats <= sent_within * repeats_max;
            if !is_paced {
                return Err(format!(
                    "{dn} was offered {all} calls within a second, {repeats} times the same"
                ));
            }
        }
    }
    Ok(())
}

/// For how many seconds the server had slept where it woke within the second that begins then, or
/// in the one before it.
fn asleep_before(world: &World, at: Instant) -> usize {
    let slept = world.network.swallowed.slept.iter();
    let woke = slept.filter(|(_, to)| at < *to + seconds(1) && *to < at + seconds(1));
    let lengths = woke.map(|(from, to)| to.saturating_duration_since(*from).as_secs());
    usize::try_from(lengths.max().unwrap_or(0)).expect("seconds are few")
}

/// Agents whose phones are reached by `ucm` alone and watched by `spare`, which stays well.
fn two_ways(agents: u32, shards: u16, seed: u64) -> World {
    let more = "[agent_defaults]\ntrunks = [\"ucm\"]\npresence_trunks = [\"spare\"]\n";
    let mut world = World::new(Setup {
        seed,
        shards,
        nodes: 2,
        spare_nodes: 1,
        ..Setup::calm(agents).with(more)
    });
    world.run_until_ready();
    world
}

/// The trunk to the phones falls silent, and its pings notice.
fn cut(world: &mut World) {
    world.excused = vec![Fault::NotifyUnanswered];
    world.population.pbx.go_silent(0);
    world.run_until(seconds(60), |world| {
        world.journal.names("ucm").last() == Some(&DNOutOfService)
    });
    world.run_for(seconds(1));
}

fn mend(world: &mut World) {
    world.population.pbx.come_back(0);
    world.run_until(seconds(120), |world| {
        world.journal.names("ucm").last() == Some(&DNBackInService)
    });
}

/// Callers a tenth of a second apart, who talk until the world ends them.
fn callers(world: &mut World, count: usize) -> Vec<Token> {
    let call = |_| {
        let plan = CallPlan {
            expires: None,
            ..CallPlan::to("7000").talks_for(seconds(60))
        };
        let token = world.call(plan);
        world.run_for(Duration::from_millis(100));
        token
    };
    (0..count).map(call).collect()
}

fn connected(world: &World) -> Vec<Token> {
    let token = |record: &Record| match &record.fact {
        Fact::Connected { token } => Some(*token),
        _ => None,
    };
    world.records.iter().filter_map(token).collect()
}

fn count_progress(world: &World, of: Token) -> usize {
    world.count(|fact| matches!(fact, Fact::Progress { token, status: 182 } if *token == of))
}

fn rang(world: &World) -> usize {
    world.count(|fact| matches!(fact, Fact::Rang { .. }))
}

/// Times and numbers of the agents as they became Ready.
fn by_idleness(world: &World) -> Vec<String> {
    let is_ready = |event: &&Event| event.name == EventName::AgentReady;
    let mut ready: Vec<(Instant, String)> = world
        .journal
        .events
        .iter()
        .filter(is_ready)
        .map(|event| (event.at, event.this_dn.to_string()))
        .collect();
    ready.sort();
    ready.into_iter().map(|(_, dn)| dn).collect()
}

#[test]
fn large_floor_behind_a_dead_trunk_keeps_its_place_and_callers_keep_theirs() {
    let mut world = two_ways(5_000, 1, 1);
    let idle = by_idleness(&world);
    cut(&mut world);
    let tokens = callers(&mut world, 20);
    world.run_for(seconds(90));
    assert_eq!(rang(&world), 0, "there is no way to a phone");
    assert_eq!(world.journal.ready(), 5_000, "no agent is to blame");
    for counter in [Counter::OfferUnreachable, Counter::OfferRefused] {
        assert_eq!(world.cluster.count(counter), 0, "{counter:?}");
    }
    for token in &tokens {
        let heard = count_progress(&world, *token);
        assert_eq!(heard, 2, "182 comes at the beginning and once a minute");
    }
    mend(&mut world);
    world.run_for(seconds(5));
    assert_eq!(connected(&world).len(), tokens.len());
    for (token, dn) in tokens.iter().zip(&idle) {
        let rang = |fact: &Fact| match fact {
            Fact::Rang { token: of, dn: at } => *of == Some(*token) && at == dn,
            _ => false,
        };
        assert_eq!(world.count(rang), 1, "first come, idle longest");
    }
    world.finish();
}

#[test]
fn floor_of_several_shards_loses_nobody_when_its_trunk_dies_and_returns() {
    for seed in 0..8 {
        let mut world = two_ways(30, 3, seed);
        cut(&mut world);
        let tokens = callers(&mut world, 10);
        assert_eq!(world.journal.ready(), 30, "no agent is to blame");
        mend(&mut world);
        world.run_for(seconds(5));
        assert_eq!(connected(&world).len(), tokens.len());
        assert_eq!(world.cluster.count(Counter::OfferUnreachable), 0);
        world.finish();
    }
}

/// An outage has swallowed the BYEs of both parties, and nobody repeats them any more: their call
/// ends when the trunk is back, and not with its session.
#[test]
fn call_that_both_have_left_in_an_outage_ends_when_the_trunk_is_back() {
    for shards in [1, 3] {
        let mut world = World::new(Setup {
            shards,
            ..Setup::calm(2)
        });
        world.run_until_ready();
        let left = world.call(CallPlan::to(AGENT).talks_for(seconds(600)));
        let stays = world.call(CallPlan::to("2001").talks_for(seconds(900)));
        world.run_for(seconds(10));
        assert_eq!(connected(&world).len(), 2);
        let server = world.cluster.address;
        world.excused = vec![Fault::NotifyUnanswered];
        world.connect_node(0, false);
        world.network.connect(callers_address(), server, false);
        world.run_for(seconds(1));
        let now = world.now;
        world.population.callers.hang_up(now, left);
        assert!(world.phone(AGENT).hang_up());
        world.run_until(seconds(90), |world| {
            world.journal.names("ucm").last() == Some(&DNOutOfService)
        });
        world.run_for(seconds(40));
        world.connect_node(0, true);
        world.network.connect(callers_address(), server, true);
        world.run_until(seconds(120), |world| {
            world.journal.names("ucm").last() == Some(&DNBackInService)
        });
        assert_eq!(live(&world), 2);
        world.run_for(PROBE_WITHIN + seconds(1));
        assert_eq!(live(&world), 1, "who has left was asked, and who stays too");
        world.run_for(seconds(30));
        let now = world.now;
        world.population.callers.hang_up(now, stays);
        world.finish();
    }
}

/// How many calls the server has whose parties talk, as far as it knows.
fn live(world: &World) -> usize {
    let engines = world.cluster.engines.iter();
    engines.map(|engine| engine.live().connected).sum()
}

#[test]
fn direct_caller_to_a_phone_without_a_way_is_told_so_at_once() {
    let mut world = two_ways(1, 3, 1);
    cut(&mut world);
    let token = world.call(CallPlan::to(AGENT));
    world.run_for(seconds(1));
    assert_eq!(outcome(&world, token), Some(Outcome::Refused(480)));
    assert!(world.journal.is_ready(AGENT));
    mend(&mut world);
    let token = world.call(CallPlan::to(AGENT).talks_for(seconds(1)));
    world.run_for(seconds(5));
    assert!(matches!(outcome(&world, token), Some(Outcome::Answered(_))));
    world.finish();
}

#[test]
fn pbx_that_dies_under_an_offer_costs_the_agent_nothing() {
    // The phone would be given up long after, or before, the PBX is.
    for no_answer in [2, 60] {
        let more = format!("[agent_defaults]\nno_answer = {no_answer}\n");
        let mut world = World::new(Setup::calm(1).with(&more));
        world.run_until_ready();
        world.run_for(seconds(1));
        world.excused = vec![Fault::NotifyUnanswered];
        world.population.pbx.go_silent(0);
        let token = callers(&mut world, 1)[0];
        world.run_for(seconds(6));
        assert_eq!(world.journal.names("ucm"), [DNOutOfService]);
        assert_eq!(world.cluster.count(Counter::OfferUnreachable), 1);
        let legs: usize = world
            .cluster
            .engines
            .iter()
            .map(|engine| engine.live().unanswered)
            .sum();
        assert_eq!(legs, 1, "the caller waits");
        mend(&mut world);
        world.run_for(seconds(5));
        assert_eq!(connected(&world), [token]);
        let names = world.journal.names(AGENT);
        assert!(!names.contains(&AgentNotReady), "{names:?}");
        world.finish();
    }
}

#[test]
fn phone_that_never_rings_is_no_agent_who_does_not_answer() {
    let more = "[agent_defaults]\nno_answer = 2\n";
    let mut world = World::new(Setup::calm(2).with(more));
    world.run_until_ready();
    let first = by_idleness(&world)[0].clone();
    // The PBX says 100 and nothing more.
    world.phone(&first).set_behaviour(Some(Behaviour {
        ringing_after: None,
        ..Behaviour::rings()
    }));
    let token = callers(&mut world, 1)[0];
    world.run_for(seconds(14));
    assert_eq!(connected(&world), [], "the phone has its time to ring");
    world.run_for(seconds(5));
    assert_eq!(connected(&world), [token], "the other agent has it");
    assert!(!world.journal.names(&first).contains(&AgentNotReady));
    assert_eq!(world.cluster.count(Counter::OfferUnreachable), 1);
    assert_eq!(world.cluster.count(Counter::OfferNoAnswer), 0);
    world.phone(&first).set_behaviour(None);
    world.finish();
}

#[test]
fn search_for_a_peer_takes_nothing_from_the_time_to_answer() {
    let more = "[agent_defaults]\nno_answer = 3\n";
    let mut world = World::new(Setup {
        nodes: 3,
        ..Setup::calm(1).with(more)
    });
    world.run_until_ready();
    world.run_for(seconds(1));
    let behaviour = Behaviour::answers_after(Duration::from_millis(2_500));
    world.phone(AGENT).set_behaviour(Some(behaviour));
    world.excused = vec![Fault::NotifyUnanswered];
    world.population.pbx.go_silent(0);
    world.population.pbx.go_silent(1);
    let token = callers(&mut world, 1)[0];
    world.run_for(seconds(12));
    assert_eq!(connected(&world), [token], "by the third peer");
    assert!(world.journal.is_ready(AGENT));
    world.population.pbx.come_back(0);
    world.population.pbx.come_back(1);
    world.finish();
}

#[test]
fn phone_that_fails_every_call_at_once_rests_after_each() {
    let failures = [
        // 200 without a session description.
        Behaviour {
            then: Answering::After(Duration::ZERO),
            describes: false,
            ..Behaviour::default()
        },
        Behaviour::refuses(Status(488)),
        Behaviour::refuses(Status(500)),
        Behaviour::refuses(Status(486)),
        Behaviour::refuses(Status(503)),
    ];
    for behaviour in failures {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        world.phone(AGENT).set_behaviour(Some(behaviour));
        let token = callers(&mut world, 1)[0];
        world.run_for(seconds(13));
        assert!(rang(&world) <= 3, "{behaviour:?}: {} offers", rang(&world));
        world.phone(AGENT).set_behaviour(None);
        world.run_for(seconds(6));
        assert_eq!(connected(&world), [token], "{behaviour:?}");
        world.finish();
    }
}

#[test]
fn caller_whom_one_phone_failed_gets_another_agent() {
    let mut world = World::new(Setup::calm(2));
    world.run_until_ready();
    let first = by_idleness(&world)[0].clone();
    world.phone(&first).set_behaviour(Some(Behaviour {
        describes: false,
        ..Behaviour::default()
    }));
    let token = callers(&mut world, 1)[0];
    world.run_for(seconds(2));
    assert_eq!(connected(&world), [token]);
    assert_eq!(rang(&world), 2, "each phone once");
    world.phone(&first).set_behaviour(None);
    world.finish();
}

/// A phone that was cut off is asked for its offer in vain until its last copy; when its 2xx comes,
/// the server has given the INVITE up, and the call with it. Its offer has an answer all the same
/// (RFC 3261 §13.2.2.4).
#[test]
fn offer_that_comes_after_its_invite_was_given_up_has_an_answer() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    let token = world.call(CallPlan::to("7000").talks_for(seconds(300)));
    world.run_for(seconds(10));
    let now = world.now;
    assert!(world.population.callers.change(now, token, Change::Hold));
    world.run_for(seconds(5));
    let phone = node_address(0);
    let (mut asked, mut answered) = (0, 0);
    let takes_nothing = Rc::new(Cell::new(false));
    let heard = Rc::clone(&takes_nothing);
    world.network.rule = Some(Box::new(move |flight: &Flight| {
        let text = String::from_utf8_lossy(&flight.bytes);
        let is_lost = if flight.to == phone {
            asked += usize::from(text.starts_with("INVITE "));
            if text.starts_with("ACK ") {
                heard.set(text.contains("m=audio 0 "));
            }
            text.starts_with("BYE ") || text.starts_with("INVITE ") && asked < COPIES
        } else {
            let answers = flight.from == phone && text.contains("INVITE\r\n");
            answered += usize::from(answers);
            answers && answered <= 2
        };
        if is_lost { Fate::Lost } else { Fate::Usual }
    }));
    let now = world.now;
    assert!(world.population.callers.change(now, token, Change::Resume));
    world.run_for(seconds(40));
    assert!(takes_nothing.get());
    world.network.rule = None;
    world.finish();
}
