//! Two shards against one, engines alone. A server of one engine and one of two with twice the
//! phones and callers play in virtual time, and what each engine is given is written down. Then it
//! is given again to engines like them: one on a thread, two on a thread each at the same time,
//! the messages between them in queues as on a real server. Nobody waits for anybody, so the pair
//! shows what sharing the work costs: hand-overs, messages, caches and memory.
//!
//! `cargo bench --bench shards` prints what it finds, and how many messages a call takes.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench starts threads and reads the clock, and the table is what it is run for"
)]

mod floor;

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crossbeam::queue::ArrayQueue;
use floor::{Diary, Floor, Given, Journal, TICK, engine, source};
use offhook::config::Config;
use offhook::counters::Counters;
use offhook::engine::Message;
use offhook_loadgen::population::Arrivals;
use offhook_shards::{Engine as _, ShardId};

/// Phones and callers a second of each shard.
const AGENTS: usize = 2_000;
const CALLS: u32 = 1_000;
/// Virtual time before it is measured, and parts of it that are: the best of each part counts.
const WARM_UP: Duration = Duration::from_secs(4);
const PARTS: usize = 8;
const PART: Duration = Duration::from_millis(500);
/// How often one and two shards take turns.
const ROUNDS: usize = 5;
/// Messages from one engine to the other that wait.
const LINE: usize = 16_384;

/// What the engines of one server were given.
struct Play {
    config: Arc<Config>,
    began: Instant,
    /// Where the measured parts begin.
    measured: Instant,
    diaries: Vec<Diary>,
    messages_a_call: f64,
    hops_a_call: f64,
}

/// Lets a server of so many shards play, and writes down what its engines are given.
fn play(shards: u16) -> Play {
    let mut floor = Floor::noted(shards, AGENTS * usize::from(shards));
    let every = Arrivals {
        every: Duration::from_secs(1) / (CALLS * u32::from(shards)),
        random: false,
    };
    let end = floor.now + Duration::from_secs(1_000);
    floor.callers.arrive(floor.now, end, every);
    run(&mut floor, WARM_UP);
    let measured = floor.now;
    let before = (
        floor.shards.mailed,
        floor.shards.hopped,
        floor.callers.totals().answered,
    );
    run(&mut floor, PART * u32::try_from(PARTS).expect("a few"));
    let totals = floor.callers.totals();
    assert_eq!((totals.refused, totals.abandoned, totals.lost), (0, 0, 0));
    let calls = (totals.answered - before.2) as f64;
    Play {
        config: Arc::clone(&floor.config),
        began: floor.began,
        measured,
        messages_a_call: (floor.shards.mailed - before.0) as f64 / calls,
        hops_a_call: (floor.shards.hopped - before.1) as f64 / calls,
        diaries: floor.into_diaries(),
    }
}

fn run(floor: &mut Floor, length: Duration) {
    let ticks = length.as_nanos() / TICK.as_nanos();
    floor.run(usize::try_from(ticks).expect("some thousand"));
}

/// Gives an engine again what it was given: the seconds that each part took. `lines` are to and
/// from the other engine.
fn replay(
    play: &Play,
    shard: usize,
    barrier: &Barrier,
    lines: Option<[&ArrayQueue<Message>; 2]>,
) -> Vec<f64> {
    let shards = u16::try_from(play.diaries.len()).expect("one or two");
    let id = ShardId(u16::try_from(shard).expect("one or two"));
    let counters = Arc::new(Counters::default());
    let mut engine = engine(
        play.began,
        &play.config,
        (id, shards),
        &counters,
        Journal::Off,
    );
    let mut diary = play.diaries[shard].clone().into_iter().peekable();
    let (mut sent, mut said) = (Vec::new(), 0_usize);
    let mut until = |end: Instant| {
        while let Some((now, given)) = diary.next_if(|(at, _)| *at <= end) {
            match given {
                Given::Read(bytes) => {
                    let _ = engine.owner(&bytes);
                }
                Given::Datagram(party, bytes) => {
                    engine.handle_datagram(now, source(party), &bytes);
                }
                Given::Message(from, message) => engine.handle_message(now, from, message),
                Given::Timeout => engine.handle_timeout(now),
                Given::Drain => {
                    let _ = engine.poll_timeout();
                    while engine.poll_transmit(&mut sent).is_some() {
                        said += 1;
                    }
                    sent.clear();
                    while let Some((_, message)) = engine.poll_message() {
                        if let Some([to, _]) = lines {
                            // A full line loses it: the other has it in its diary too.
                            let _ = to.push(message);
                        }
                    }
                    if let Some([_, from]) = lines {
                        while from.pop().is_some() {}
                    }
                    while engine.poll_event().is_some() {
                        said += 1;
                    }
                }
            }
        }
    };
    until(play.measured);
    let parts = (1..).map(|part| play.measured + PART * part).take(PARTS);
    let taken = parts
        .map(|end| {
            barrier.wait();
            let start = Instant::now();
            until(end);
            start.elapsed().as_secs_f64()
        })
        .collect();
    // It did again what it did: at least a 100, a 180, a 200 and an INVITE for each call.
    let calls = WARM_UP.as_secs() * u64::from(CALLS);
    assert!(said as u64 > 4 * calls, "{said} things said");
    taken
}

/// One engine after the other, or all at the same time: what each took for each part.
fn measure(play: &Play, together: bool) -> Vec<Vec<f64>> {
    let shards = play.diaries.len();
    if !together {
        let alone = Barrier::new(1);
        return (0..shards)
            .map(|shard| replay(play, shard, &alone, None))
            .collect();
    }
    let barrier = Barrier::new(shards);
    let lines = [ArrayQueue::new(LINE), ArrayQueue::new(LINE)];
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..shards)
            .map(|shard| {
                let (barrier, to, from) = (&barrier, &lines[shard], &lines[1 - shard]);
                scope.spawn(move || replay(play, shard, barrier, Some([to, from])))
            })
            .collect();
        let taken = threads
            .into_iter()
            .map(|thread| thread.join().expect("an engine plays"));
        taken.collect()
    })
}

/// The best of each part over all rounds, all parts together; a part is over when the last is.
fn best(rounds: &[Vec<Vec<f64>>]) -> f64 {
    let part = |part: usize| {
        let last = rounds
            .iter()
            .map(|threads| threads.iter().map(|taken| taken[part]).fold(0.0, f64::max));
        last.fold(f64::INFINITY, f64::min)
    };
    (0..PARTS).map(part).sum()
}

fn main() {
    println!(
        "{:<8} {:>16} {:>12}",
        "shards", "messages a call", "hops a call"
    );
    let plays = [1, 2, 3].map(|shards| {
        let play = play(shards);
        println!(
            "{shards:<8} {:>16.1} {:>12.1}",
            play.messages_a_call, play.hops_a_call
        );
        play
    });
    let [one, two, _] = plays;
    let mut rounds: [Vec<Vec<Vec<f64>>>; 3] = Default::default();
    for _ in 0..ROUNDS {
        rounds[0].push(measure(&one, false));
        rounds[1].push(measure(&two, false));
        rounds[2].push(measure(&two, true));
    }
    let calls = f64::from(CALLS) * PART.as_secs_f64() * PARTS as f64;
    println!("\n{:<32} {:>12}", "", "us a call and shard");
    let [one, apart, together] = rounds.map(|rounds| best(&rounds));
    for (name, seconds) in [
        ("one shard", one),
        ("two, one after the other", apart),
        ("two at the same time", together),
    ] {
        println!("{name:<32} {:>12.1}", seconds * 1e6 / calls);
    }
    println!(
        "two shards carry {:.2} x one's load; more than 2 says that others used the processors",
        2.0 * one / together
    );
}
