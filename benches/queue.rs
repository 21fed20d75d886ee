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

fn matching(criterion: &mut Criterion) {
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
            bencher.iter_custom(|pairs| (0..pairs).map(|_| agent_freed(crowd)).sum());
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
                bencher.iter_custom(|pairs| (0..pairs).map(|_| caller_arrives(crowd)).sum());
            },
        );
    }
    group.finish();
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
