//! What it costs to find the caller for an agent, and the agent for a caller, with fifty skills:
//! at 1,000 agents and at 100,000. The two should differ by what a deeper tree costs, and no more
//! (docs/ARCHITECTURE.md, "Matching"). Only what the queue does with the one message that makes a
//! pair is measured; every pair is checked against skills, some against a scan.

mod crowd;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crowd::Crowd;

const CALLERS: usize = 10_000;
const SIZES: [(&str, u32); 2] = [("1k", 1_000), ("100k", 100_000)];
/// Pairs that are checked by a scan, before anything is measured.
const SCANNED: usize = 20;

fn matching(criterion: &mut Criterion) {
    let mut costs = Costs::default();
    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Elements(1));
    for (name, agents) in SIZES {
        let mut crowd = None;
        group.bench_function(format!("agent_freed/{name}_agents_50_skills"), |bencher| {
            let crowd = crowd.get_or_insert_with(|| {
                let mut crowd = Crowd::new(agents);
                crowd.fill(CALLERS);
                (0..SCANNED).for_each(|_| check_freed(&mut crowd));
                crowd
            });
            let paid = costs.of("agent_freed", name);
            bencher.iter_custom(|pairs| paid.all((0..pairs).map(|_| agent_freed(crowd))));
        });
        let mut crowd = None;
        group.bench_function(
            format!("caller_arrives/{name}_agents_50_skills"),
            |bencher| {
                let crowd = crowd.get_or_insert_with(|| {
                    let mut crowd = Crowd::new(agents);
                    crowd.rest();
                    (0..SCANNED).for_each(|_| check_arrives(&mut crowd));
                    crowd
                });
                let paid = costs.of("caller_arrives", name);
                bencher.iter_custom(|pairs| paid.all((0..pairs).map(|_| caller_arrives(crowd))));
            },
        );
    }
    group.finish();
    costs.print();
}

/// What single pairs have cost, by what happened and in which crowd.
#[derive(Default)]
struct Costs(BTreeMap<(&'static str, &'static str), Paid>);

#[derive(Default)]
struct Paid(Vec<Duration>);

impl Costs {
    fn of(&mut self, what: &'static str, crowd: &'static str) -> &mut Paid {
        self.0.entry((what, crowd)).or_default()
    }

    /// By which factor the large crowd costs more: at most 3 is what the design promises.
    #[allow(clippy::print_stdout, reason = "a bench says what it has found")]
    fn print(&mut self) {
        for what in ["agent_freed", "caller_arrives"] {
            let medians = SIZES.map(|(crowd, _)| self.of(what, crowd).median());
            if let [Some(small), Some(large)] = medians {
                let factor = large.as_secs_f64() / small.as_secs_f64();
                println!("{what}: median {small:?} and {large:?}, factor {factor:.2}");
            }
        }
    }
}

impl Paid {
    /// The sum of some more.
    fn all(&mut self, pairs: impl Iterator<Item = Duration>) -> Duration {
        let first = self.0.len();
        self.0.extend(pairs);
        self.0[first..].iter().sum()
    }

    fn median(&mut self) -> Option<Duration> {
        self.0.sort_unstable();
        self.0.get(self.0.len() / 2).copied()
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
