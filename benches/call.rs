//! What calls and NOTIFYs cost in the engine, without sockets: thousands of agents, a thousand
//! calls a second of virtual time, and every timer that this brings. Only what the engines do is
//! measured. The yardsticks read the very datagrams that the engines read, and do nothing else.

mod floor;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use floor::{Floor, Journal, Notifies, Shards, TICK, Turn};
use offhook::counters::Counter;
use offhook::sip::{HeaderIndex, Message};
use offhook_loadgen::population::Arrivals;

const AGENTS: usize = 4_000;
/// Longer than RFC 3261 keeps anything in mind after a call: 64 times T1, and the talk before.
const WARM_UP: usize = 36_000;
/// A warm-up for counting, and the steps that are counted.
const COUNTED: (usize, u64) = (2_000, 1_000);
/// Ticks whose datagrams the yardsticks read.
const SAMPLE: usize = 1_000;

/// What the engines were given in each of some ticks.
type Sample = Vec<Vec<Vec<u8>>>;

/// A caller's INVITE enters a queue, a Ready agent is reserved, the phone rings and is answered,
/// its presence changes twice, the caller hangs up. One call begins and one ends in each
/// iteration, while about 1,100 others go on.
fn call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("call");
    group.throughput(Throughput::Elements(1));
    let off = Journal::Off;
    for (name, shards, journal) in [
        ("one_shard", 1, off),
        ("one_shard_journal", 1, Journal::On),
        ("two_shards", 2, off),
    ] {
        // Made when it is asked for by name.
        let mut floor = None;
        group.bench_function(name, |bencher| {
            let floor = floor.get_or_insert_with(|| busy_floor(shards, journal));
            bencher.iter_custom(|ticks| measured(ticks, |turn| floor.tick(turn)));
            check(floor);
        });
        if let (1, Journal::Off, Some(mut floor)) = (shards, journal, floor) {
            yardsticks(&mut group, &sample(|turn| floor.tick(turn)));
        }
    }
    group.finish();
}

/// In the steady state: as many calls end as begin.
fn busy_floor(shards: u16, journal: Journal) -> Floor {
    let mut floor = Floor::journaled(shards, AGENTS, journal);
    begin_calls(&mut floor);
    floor.run(warm_up());
    floor
}

/// One caller each tick, for as long as anybody looks.
fn begin_calls(floor: &mut Floor) {
    let every = Arrivals {
        every: TICK,
        random: false,
    };
    let end = floor.now + Duration::from_secs(1_000_000);
    floor.callers.arrive(floor.now, end, every);
}

/// Nobody was refused or lost, and nearly everybody has been answered.
fn check(floor: &Floor) {
    let (totals, live) = (floor.callers.totals(), floor.callers.live().len() as u64);
    assert_eq!((totals.refused, totals.abandoned, totals.lost), (0, 0, 0));
    assert_eq!(totals.offered, totals.answered + live);
    assert!((1_000..1_300).contains(&floor.shards.live_calls()));
}

/// One NOTIFY in each iteration, a thousand a second of virtual time.
fn presence(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("presence");
    group.throughput(Throughput::Elements(1));
    let mut floor = Floor::new(1, AGENTS);
    let mut phones = (0..AGENTS).cycle();
    let mut change = |floor: &mut Floor, turn: Turn<'_>| {
        floor.change_presence(phones.next().expect("phones go round and round"));
        floor.tick(turn);
    };
    bench_notifies(&mut group, "notify_that_changes", &mut floor, &mut change);
    let mut notifies = Notifies::of(&mut floor, AGENTS);
    let mut repeat = |floor: &mut Floor, turn: Turn<'_>| {
        notifies.send_next(floor);
        floor.now += TICK;
        assert!(floor.turn_alone(turn) >= 1, "a NOTIFY is answered");
    };
    bench_notifies(&mut group, "notify_that_does_not", &mut floor, &mut repeat);
    yardsticks(&mut group, &sample(|turn| repeat(&mut floor, turn)));
    let again = notifies.last();
    group.bench_function("notify_retransmitted", |bencher| {
        bencher.iter_custom(|iterations| {
            measured(iterations, |turn| {
                floor.send(again);
                assert_eq!(floor.turn_alone(turn), 1, "the same answer");
            })
        });
    });
    group.finish();
}

fn bench_notifies(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    floor: &mut Floor,
    step: &mut impl FnMut(&mut Floor, Turn<'_>),
) {
    let applied = |floor: &Floor| floor.counters.value(Counter::NotifyApplied);
    let (before, mut steps) = (applied(floor), warm_up() as u64);
    for _ in 0..steps {
        step(floor, &mut Shards::turn);
    }
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            steps += iterations;
            measured(iterations, |turn| step(floor, turn))
        });
    });
    // Each was taken, and so were those after a refresh.
    assert!(applied(floor) - before >= steps);
}

/// Whether the bench runs once, under a program that counts: `--test`.
fn is_counting() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

fn warm_up() -> usize {
    if is_counting() { COUNTED.0 } else { WARM_UP }
}

/// The time that the engines took in so many steps.
#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn measured(steps: u64, mut step: impl FnMut(Turn<'_>)) -> Duration {
    let mut sum = Duration::ZERO;
    let steps = if is_counting() { COUNTED.1 } else { steps };
    for _ in 0..steps {
        step(&mut |shards, now| {
            let start = Instant::now();
            counted_turn(shards, now);
            sum += start.elapsed();
        });
    }
    sum
}

/// What callgrind is told to look at.
#[inline(never)]
fn counted_turn(shards: &mut Shards, now: Instant) {
    shards.turn(now);
}

/// What the engines read in some steps.
fn sample(mut step: impl FnMut(Turn<'_>)) -> Sample {
    let datagrams = |_| {
        let mut datagrams = Vec::new();
        step(&mut |shards, now| {
            let incoming = shards.incoming.iter().map(|(_, bytes)| bytes.to_vec());
            datagrams.extend(incoming);
            shards.turn(now);
        });
        datagrams
    };
    (0..SAMPLE).map(datagrams).collect()
}

/// The same datagrams, indexed by our parser and by httparse, and nothing else.
#[allow(
    clippy::print_stdout,
    reason = "the figure belongs to the bench's report"
)]
fn yardsticks(group: &mut BenchmarkGroup<'_, WallTime>, sample: &Sample) {
    let count: usize = sample.iter().map(Vec::len).sum();
    let each = count as f64 / sample.len() as f64;
    println!("the engine reads {each:.1} datagrams in each iteration");
    let mut steps = sample.iter().cycle();
    let mut index = HeaderIndex::new();
    group.bench_function("yardstick_index", |bencher| {
        bencher.iter(|| {
            for datagram in steps.next().expect("the sample goes round and round") {
                let message = Message::parse(black_box(datagram), &mut index);
                black_box(message.expect("the parties write messages").body());
            }
        });
    });
    group.bench_function("yardstick_httparse_headers", |bencher| {
        bencher.iter(|| {
            for datagram in steps.next().expect("the sample goes round and round") {
                black_box(httparse_lines(black_box(datagram)));
            }
        });
    });
}

fn httparse_lines(datagram: &[u8]) -> usize {
    let start = memchr::memmem::find(datagram, b"\r\n").expect("a start line") + 2;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    match httparse::parse_headers(&datagram[start..], &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => headers.len(),
        Ok(httparse::Status::Partial) | Err(_) => panic!("the headers are whole"),
    }
}

criterion_group!(benches, call, presence);
criterion_main!(benches);
