//! What the journal's writer does for one call: its records framed, and given to the kernel, one by
//! one and as a group. What the shard does for them is in `call/one_shard_journal`, beside the same
//! call without a journal.

mod floor;

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use floor::{Floor, Journal, Shards};
use offhook::journal::frame;
use offhook::journal::{Image, Key, Record};
use offhook_loadgen::population::CallPlan;

/// How many records are committed together: what a thousand calls a second bring in ten
/// milliseconds.
const GROUP: usize = 64;
/// Bytes after which the file begins anew, as that of a server is written anew.
const FILE_BYTES: u64 = 16 << 20;

/// All records of one call, from its first to that of its end, its agent's among them.
fn records() -> Vec<Record> {
    let mut floor = Floor::journaled(1, 4, Journal::On);
    let plan = CallPlan {
        hang_up_after: Some(floor::TICK * 1_000),
        ..CallPlan::to("7000")
    };
    floor.callers.call(floor.now, plan);
    let mut records = Vec::new();
    for _ in 0..10_000 {
        floor.tick(&mut |shards: &mut Shards, now| {
            shards.turn(now);
            records.append(&mut shards.records);
        });
    }
    let is_end = |record: &&Record| matches!(record.key, Key::Call(_)) && record.value.is_none();
    assert_eq!(records.iter().filter(is_end).count(), 1);
    records
}

/// A file that never grows beyond what a server's may.
struct Sink {
    file: File,
    bytes: u64,
}

impl Sink {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.journal");
        Self {
            file: File::create(path).expect("the directory is there"),
            bytes: 0,
        }
    }

    fn commit(&mut self, batch: &mut Vec<u8>) {
        self.file.write_all(batch).expect("there is room");
        self.bytes += batch.len() as u64;
        if self.bytes > FILE_BYTES {
            self.bytes = 0;
            self.file.set_len(0).expect("it may be cut");
        }
        batch.clear();
    }
}

#[allow(
    clippy::print_stdout,
    reason = "the figure belongs to the bench's report"
)]
fn journal(criterion: &mut Criterion) {
    let records = records();
    let mut batch = Vec::new();
    for record in &records {
        frame::append(&mut batch, record);
    }
    let (count, bytes) = (records.len(), batch.len());
    println!("a call makes {count} records of {bytes} bytes together");
    batch.clear();
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Elements(1));
    let mut turn = records.iter().cycle();
    let mut next = || turn.next().expect("the records go round and round");
    let mut image = Image::default();
    group.bench_function("append", |bencher| {
        bencher.iter(|| {
            let record = next();
            frame::append(black_box(&mut batch), record);
            image.apply(record.clone());
            batch.clear();
        });
    });
    let mut sink = Sink::new();
    group.bench_function("commit_alone", |bencher| {
        bencher.iter(|| {
            frame::append(&mut batch, next());
            sink.commit(&mut batch);
        });
    });
    group.throughput(Throughput::Elements(GROUP as u64));
    group.bench_function("commit_of_64", |bencher| {
        bencher.iter(|| {
            for _ in 0..GROUP {
                frame::append(&mut batch, next());
            }
            sink.commit(&mut batch);
        });
    });
    group.finish();
}

criterion_group!(benches, journal);
criterion_main!(benches);
