//! Many seeds: a network that loses and repeats, habits that mix everything, bytes that are
//! broken. Every call ends once, everything is forgotten at the end, and a seed repeats exactly.

use std::time::Duration;

use super::network::{Direct, Weather, address, direct};
use crate::node::Node;
use crate::population::random::{Random, Span};
use crate::population::*;

fn busy_habits() -> Habits {
    let rhythm = |every, low, high| {
        Some(Rhythm {
            every: Duration::from_secs(every),
            lasting: Span::milliseconds(low, high),
        })
    };
    Habits {
        talking: Some(Span::milliseconds(500, 20_000)),
        no_answer: 0.1,
        busy: 0.05,
        declined: 0.05,
        holds: 0.3,
        private_calls: rhythm(30, 1_000, 9_000),
        absences: rhythm(60, 2_000, 20_000),
        ..Habits::default()
    }
}

fn day(seed: u64, weather: Weather) -> Direct {
    let mut network = direct(seed, weather, busy_habits());
    let mut habits = CallerHabits::of("2001");
    habits
        .numbers
        .extend(["2002", "2003", "2999"].map(str::to_owned));
    habits.patience = Span::milliseconds(2_000, 30_000);
    habits.impatient = (0.2, Span::milliseconds(1, 300));
    habits.talking = Span::milliseconds(500, 20_000);
    habits.holds = 0.3;
    network.near.set_habits(habits);
    let now = network.now;
    network.far.begin_habits(now);
    network.near.arrive(
        now,
        now + Duration::from_secs(60),
        Arrivals::per_second(1.0),
    );
    network.run(Duration::from_secs(60));
    network.far.set_habits(Habits {
        private_calls: None,
        absences: None,
        ..busy_habits()
    });
    network.run(Duration::from_secs(400));
    network
}

#[test]
fn every_call_ends_once_and_nothing_is_left() {
    for seed in 0..40 {
        let weather = if seed % 2 == 0 {
            Weather::BAD
        } else {
            Weather::FINE
        };
        let network = day(seed, weather);
        let totals = network.near.totals();
        let ended = totals.answered + totals.abandoned + totals.refused + totals.lost;
        assert!(totals.offered > 20, "seed {seed}: {totals:?}");
        assert_eq!(
            (totals.offered, totals.lost),
            (ended, 0),
            "seed {seed}: {totals:?}"
        );
        assert!(
            totals.answered > 0 && totals.refused > 0,
            "seed {seed}: {totals:?}"
        );
        assert_eq!(network.faults(), [], "seed {seed}");
        assert_eq!(network.far.calls(), 0, "seed {seed}");
        let transactions = (network.near.transactions(), network.far.transactions());
        assert_eq!(transactions, (0, 0), "seed {seed}");
        let mut phones = network.far.phones();
        assert!(phones.all(|phone| phone.activity == Activity::Idle && phone.registered));
        let (near, far) = (network.near.wire(), network.far.wire(0));
        assert_eq!(
            (near.malformed, far.malformed, near.forked),
            (0, 0, 0),
            "seed {seed}"
        );
        assert_eq!(
            near.resent + far.resent > 0,
            seed % 2 == 0,
            "seed {seed}: {near:?} {far:?}"
        );
    }
}

#[test]
fn a_seed_repeats_byte_by_byte() {
    let first = day(7, Weather::BAD);
    let second = day(7, Weather::BAD);
    assert!(
        first.transcript == second.transcript,
        "the same seed gave two transcripts"
    );
    let other = day(8, Weather::BAD);
    assert!(first.transcript != other.transcript);
}

#[test]
fn arrivals_are_never_moved() {
    let network = day(3, Weather::FINE);
    let late = network
        .near
        .records()
        .iter()
        .filter(|record| match record.fact {
            Fact::Offered { intended, .. } => record.at != intended,
            _ => false,
        });
    assert_eq!(late.count(), 0);
    assert!(!network.near.is_arriving());
}

#[test]
fn broken_bytes_are_at_worst_counted() {
    let network = day(5, Weather::FINE);
    let mut random = Random::new(11, 0);
    let mut victim = direct(5, Weather::FINE, busy_habits());
    victim.call(CallPlan::to("2001"));
    victim.run(Duration::from_millis(200));
    for (_, packet, bytes) in &network.transcript {
        for _ in 0..3 {
            let mut bytes = bytes.clone();
            match random.below(4) {
                0 => bytes.truncate(pick(&mut random, bytes.len())),
                1 => {
                    let at = pick(&mut random, bytes.len());
                    bytes[at] = u8::try_from(random.below(256)).expect("below 256");
                }
                2 => {
                    let at = pick(&mut random, bytes.len());
                    bytes.drain(at..(at + 20).min(bytes.len()));
                }
                _ => {
                    let at = pick(&mut random, bytes.len());
                    let copy = bytes[at..(at + 40).min(bytes.len())].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
            let now = victim.now;
            if packet.to == address(5070) {
                victim
                    .near
                    .handle_datagram(now, packet.to, packet.from, &bytes);
            } else {
                victim
                    .far
                    .handle_datagram(now, packet.to, packet.from, &bytes);
            }
        }
    }
    assert!(victim.near.wire().malformed > 0 && victim.far.wire(0).malformed > 0);
    victim.run(Duration::from_secs(500));
    assert_eq!(victim.far.transactions(), 0);
}

fn pick(random: &mut Random, length: usize) -> usize {
    usize::try_from(random.below(length as u64)).expect("an index fits")
}
