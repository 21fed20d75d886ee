//! What an event costs until a hundred clients have it in their queues, and take it out, and what
//! it costs when one of them does not read. It is cut off when its queue is full, and comes again
//! at once.

mod stage;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stage::Stage;

const CLIENTS: usize = 100;
/// Turns of both, of whose times the median counts.
const TURNS: usize = 31;

fn cti(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cti");
    group.throughput(Throughput::Elements(1));
    for (name, stalled) in [("event_100_clients", 0), ("event_100_clients_1_stalled", 1)] {
        let mut stage = Stage::new(CLIENTS - stalled, stalled);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|events| measured(&mut stage, events));
        });
        let patience = stage.patience();
        assert_eq!(
            stage.cut_off,
            stalled as u64 * (stage.sent / patience),
            "{name}"
        );
    }
    group.finish();
    factor();
}

/// The time that so many events took.
#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn measured(stage: &mut Stage, events: u64) -> Duration {
    let mut sum = Duration::ZERO;
    for _ in 0..events {
        let event = stage.event();
        let start = Instant::now();
        stage.tell(event);
        stage.read();
        sum += start.elapsed();
    }
    sum
}

/// Both take turns, so that what else the machine does meets both.
#[allow(
    clippy::print_stdout,
    reason = "the factor is what the bench is run for"
)]
fn factor() {
    let mut stages = [Stage::new(CLIENTS, 0), Stage::new(CLIENTS - 1, 1)];
    // Whole lives of the client that stalls.
    let events = stages[0].patience();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        for (stage, times) in stages.iter_mut().zip(&mut times) {
            let taken = measured(stage, events);
            times.push(taken.as_nanos() as f64 / events as f64);
        }
    }
    assert_eq!(stages[1].cut_off, TURNS as u64);
    let [all_read, one_stalls] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    println!(
        "an event to {CLIENTS} clients takes {all_read:.0} ns, {:.0} a second; {one_stalls:.0} ns \
         if one stalls: {:.3} times as long",
        1e9 / all_read,
        one_stalls / all_read
    );
}

criterion_group!(benches, cti);
criterion_main!(benches);
