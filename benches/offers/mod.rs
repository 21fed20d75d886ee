//! How long an idle agent and a caller stay without each other inside the engine: the turn in
//! which the datagram is read that makes an agent free, or brings a caller, until the INVITE to
//! the agent's phone is written. A thousand calls a second of virtual time.

use std::time::Instant;

use crate::floor::{Floor, Shards, TICK};
use crate::{begin_counting, end_step, under_callgrind};
use offhook_loadgen::population::CallPlan;

/// Turns that are measured, of one datagram each.
const STEPS: usize = 500;
/// Agents who take calls while all others are on the phone privately: as many as a thousand calls
/// a second keep busy.
const TAKERS: usize = 1_100;
/// Callers who wait for one of them.
const WAITING: usize = 1_000;

/// Callers wait; an agent's phone says that it is free again.
pub(crate) fn agents_freed(agents: usize) {
    let mut floor = Floor::new(1, agents);
    for phone in TAKERS..agents {
        floor.change_presence(phone);
        if phone % 8 == 0 {
            floor.tick(&mut Shards::turn);
        }
    }
    for _ in 0..WAITING {
        call(&mut floor);
        call(&mut floor);
        floor.tick(&mut Shards::turn);
    }
    let is_free = |bytes: &[u8]| {
        let talks = memchr::memmem::find(bytes, b"on-the-phone").is_some();
        bytes.starts_with(b"NOTIFY ") && !talks
    };
    measure(floor, is_free);
}

/// Agents are idle; a caller comes.
pub(crate) fn callers_arrive(agents: usize) {
    let floor = Floor::new(1, agents);
    measure(floor, |bytes| bytes.starts_with(b"INVITE "));
}

fn call(floor: &mut Floor) {
    let plan = CallPlan {
        hang_up_after: Some(TICK * 1_000),
        ..CallPlan::to("7000")
    };
    floor.callers.call(floor.now, plan);
}

/// One caller each tick; those turns are measured that read what `begins` says, and each must end
/// with an offer.
fn measure(mut floor: Floor, begins: impl Fn(&[u8]) -> bool) {
    for _ in 0..3_000 {
        call(&mut floor);
        floor.tick(&mut Shards::turn);
    }
    begin_counting();
    let mut times: Vec<u64> = Vec::new();
    while times.len() < STEPS {
        call(&mut floor);
        floor.tick(&mut |shards, now| {
            shards.turn_singly(now, &mut |shards, now| {
                let datagram = shards.incoming.iter().next();
                if times.len() == STEPS || !datagram.is_some_and(|(_, bytes)| begins(bytes)) {
                    return shards.turn(now);
                }
                let before = shards.offers();
                times.push(timed(|| under_callgrind(|| shards.turn(now))));
                end_step();
                assert_eq!(
                    shards.offers(),
                    before + 1,
                    "an agent and a caller meet at once"
                );
            });
        });
    }
    let totals = floor.callers.totals();
    assert_eq!((totals.refused, totals.abandoned, totals.lost), (0, 0, 0));
    print(times);
}

/// Nanoseconds.
#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn timed(work: impl FnOnce()) -> u64 {
    let start = Instant::now();
    work();
    u64::try_from(start.elapsed().as_nanos()).expect("less than centuries")
}

/// For whoever runs this without callgrind.
#[allow(clippy::print_stdout, reason = "the guard reads it")]
fn print(mut times: Vec<u64>) {
    times.sort_unstable();
    println!("{} {}", share(&times, 50), share(&times, 99));
}

/// What so many of a hundred are at most.
pub(crate) fn share(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}
