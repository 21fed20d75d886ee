//! What it costs to find the caller for an agent, and the agent for a caller, with fifty skills:
//! at 1,000 agents and at 100,000. The two should differ by what a deeper tree costs, and no more
//! (docs/ARCHITECTURE.md, "Matching"). Only what the queue does with the one message that makes a
//! pair is measured; every pair is checked against skills, some against a scan.

mod crowd;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crowd::Crowd;

const CALLERS: usize = 10_000;
const SIZES: [(&str, u32); 2] = [("1k", 1_000), ("100k", 100_000)];
/// Pairs that are checked by a scan, before anything is measured.
const SCANNED: usize = 20;
/// How often the two crowds are compared, over so many pairs in each.
const ROUNDS: usize = 101;
const PAIRS: usize = 500;

/// What a match begins with.
#[derive(Clone, Copy)]
enum Begins {
    AgentFreed,
    CallerArrives,
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Elements(1));
    let mut factors = Vec::new();
    for begins in [Begins::AgentFreed, Begins::CallerArrives] {
        let name = begins.name();
        let mut is_measured = true;
        let mut crowds = SIZES.map(|(_, agents)| begins.crowd(agents));
        for ((size, _), crowd) in SIZES.iter().zip(&mut crowds) {
            let mut pairs_made = 0;
            group.bench_function(format!("{name}/{size}_agents_50_skills"), |bencher| {
                bencher.iter_custom(|pairs| {
                    pairs_made += pairs;
                    (0..pairs).map(|_| begins.pair(crowd)).sum()
                });
            });
            // With `--test`, or when only others were asked for, there is nothing to compare.
            is_measured &= pairs_made > 1;
        }
        if is_measured {
            factors.push((name, factor(begins, &mut crowds)));
        }
    }
    group.finish();
    print(&factors);
}

/// The median costs in both crowds, and how many times the small one's the large one's is: the
/// middle one of many short rounds, in which both took turns, so that what else the machine does
/// hits both alike.
fn factor(begins: Begins, crowds: &mut [Crowd; 2]) -> ([Duration; 2], f64) {
    let mut medians = [Vec::new(), Vec::new()];
    let mut factors = Vec::new();
    for _ in 0..ROUNDS {
        let costs = crowds.each_mut().map(|crowd| {
            let mut costs: Vec<_> = (0..PAIRS).map(|_| begins.pair(crowd)).collect();
            median(&mut costs)
        });
        for (medians, cost) in medians.iter_mut().zip(costs) {
            medians.push(cost);
        }
        factors.push(costs[1].as_secs_f64() / costs[0].as_secs_f64());
    }
    factors.sort_unstable_by(f64::total_cmp);
    (
        medians.each_mut().map(|costs| median(costs)),
        factors[ROUNDS / 2],
    )
}

fn median(costs: &mut [Duration]) -> Duration {
    costs.sort_unstable();
    costs[costs.len() / 2]
}

/// By which factor the large crowd costs more: at most 3 is what the design promises.
#[allow(clippy::print_stdout, reason = "a bench says what it has found")]
fn print(factors: &[(&str, ([Duration; 2], f64))]) {
    for (name, ([small, large], factor)) in factors {
        println!("{name}: median {small:?} and {large:?}, factor {factor:.2}");
    }
}

impl Begins {
    fn name(self) -> &'static str {
        match self {
            Self::AgentFreed => "agent_freed",
            Self::CallerArrives => "caller_arrives",
        }
    }

    /// Everybody on the other side is there, and the first pairs have been checked by a scan.
    fn crowd(self, agents: u32) -> Crowd {
        let mut crowd = Crowd::new(agents);
        match self {
            Self::AgentFreed => crowd.fill(CALLERS),
            Self::CallerArrives => crowd.rest(),
        }
        for _ in 0..SCANNED {
            match self {
                Self::AgentFreed => check_freed(&mut crowd),
                Self::CallerArrives => check_arrives(&mut crowd),
            }
        }
        crowd
    }

    fn pair(self, crowd: &mut Crowd) -> Duration {
        match self {
            Self::AgentFreed => agent_freed(crowd),
            Self::CallerArrives => caller_arrives(crowd),
        }
    }
}

/// An agent becomes free and gets a caller; another comes for the one who is served.
fn agent_freed(crowd: &mut Crowd) -> Duration {
    let (input, dn) = crowd.freed();
    let time = measured(crowd, input);
    let pair = crowd.offer().expect("somebody waits for every agent");
    assert_eq!(pair.0, dn);
    crowd.answer(pair);
    crowd.fill(CALLERS);
    time
}

/// A caller comes and gets an agent; another becomes idle for the one who is busy.
fn caller_arrives(crowd: &mut Crowd) -> Duration {
    let (input, conn_id) = crowd.arrival();
    let time = measured(crowd, input);
    let pair = crowd.offer().expect("somebody is idle for every caller");
    assert_eq!(pair.1, conn_id);
    crowd.answer(pair);
    crowd.rest();
    time
}

fn check_freed(crowd: &mut Crowd) {
    let (input, dn) = crowd.freed();
    let expected = crowd
        .caller_for(dn)
        .expect("somebody waits for every agent");
    crowd.tell(input);
    assert_eq!(crowd.offer(), Some((dn, expected)));
    crowd.answer((dn, expected));
    crowd.fill(CALLERS);
}

fn check_arrives(crowd: &mut Crowd) {
    let (input, conn_id) = crowd.arrival();
    let expected = crowd
        .agent_for(conn_id)
        .expect("somebody is idle for every caller");
    crowd.tell(input);
    assert_eq!(crowd.offer(), Some((expected, conn_id)));
    crowd.answer((expected, conn_id));
    crowd.rest();
}

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn measured(crowd: &mut Crowd, input: offhook::queue::Input) -> Duration {
    let start = Instant::now();
    crowd.tell(input);
    start.elapsed()
}

criterion_group!(benches, matching);
criterion_main!(benches);
