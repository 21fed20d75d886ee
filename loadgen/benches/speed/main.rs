//! What a call costs the generator, side by side with SIPp on this machine: processor time for a
//! call as client and as server, the highest rate that each carries without a fault, memory for a
//! call that is held, and what the kernel takes for the same datagrams alone. SIPp is left out
//! where it is not installed (on Debian: apt-get install sip-tester). It wants two cores that
//! nobody else uses.
//!
//! `cargo bench -p offhook-loadgen --bench speed` prints all tables, and `-- floor`, `-- costs`,
//! `-- highest` or `-- memory` one of them.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures and prints"
)]

mod floor;
mod programs;

use programs::{Ended, Program, play};

/// Rates at which costs are compared, and for how long.
const RATES: [u32; 2] = [500, 2_000];
const SECONDS: u32 = 8;
/// Rates that are tried one after the other, and how long.
const HIGHEST_RATES: [u32; 15] = [
    1_000, 2_000, 3_000, 4_000, 6_000, 8_000, 10_000, 12_000, 16_000, 20_000, 25_000, 30_000,
    40_000, 50_000, 60_000,
];
const HIGHEST_SECONDS: u32 = 5;
/// Calls that are held at a time, how fast they come, and a number that is next to none.
const HELD: u32 = 60_000;
const HELD_RATE: u32 = 4_000;
const FEW: u32 = 100;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| {
        let named = wanted.iter().any(|word| word == name);
        named || !wanted.iter().any(|word| !word.starts_with("--"))
    };
    let programs = programs::installed();
    if !programs.contains(&Program::Sipp) {
        println!("sipp is not installed, so nothing is compared with it\n");
    }
    if is_wanted("floor") {
        floor::print();
    }
    if is_wanted("costs") {
        costs(&programs);
    }
    if is_wanted("highest") {
        highest(&programs);
    }
    if is_wanted("memory") {
        memory(&programs);
    }
}

/// A figure of each program and how they compare.
fn row(label: &str, figures: &[Option<f64>], unit: &str) {
    let show = |figure: &Option<f64>| {
        figure.map_or_else(
            || "failed".to_owned(),
            |figure| format!("{figure:.1} {unit}"),
        )
    };
    let shown: Vec<String> = figures.iter().map(show).collect();
    let ratio = match figures {
        [Some(ours), Some(theirs)] => format!("{:.2}", ours / theirs),
        [..] => String::new(),
    };
    println!("| {label} | {} | {ratio} |", shown.join(" | "));
}

fn head(first: &str, programs: &[Program]) {
    let names: Vec<&str> = programs.iter().map(|program| program.name()).collect();
    println!("| {first} | {} | ratio |", names.join(" | "));
    println!("|---|{}---|", "---|".repeat(programs.len()));
}

/// Processor time a call, against the same peer at the same rates.
fn costs(programs: &[Program]) {
    let peer = programs.last().copied().unwrap_or(Program::Ours);
    let peer_name = peer.name();
    println!("Processor time a call, 6 messages over loopback UDP, the peer is {peer_name}:\n");
    head("", programs);
    for rate in RATES {
        let calls = rate * SECONDS;
        let micros = |ended: &Ended| {
            let micros = ended.processor.as_secs_f64() * 1e6 / f64::from(calls);
            ended.success.then_some(micros)
        };
        let client = |&it: &Program| micros(&play(it, peer, calls, rate, 0).client);
        let server = |&it: &Program| micros(&play(peer, it, calls, rate, 0).server);
        let figures: Vec<_> = programs.iter().map(client).collect();
        row(&format!("client, {rate} calls/s"), &figures, "µs");
        let figures: Vec<_> = programs.iter().map(server).collect();
        row(&format!("server, {rate} calls/s"), &figures, "µs");
    }
    println!();
}

/// The highest rate at which no call fails and none comes late.
fn highest(programs: &[Program]) {
    println!("The highest rate without a fault, one core each, for {HIGHEST_SECONDS} s:\n");
    println!("| client | server | calls/s | processor time a call |\n|---|---|---|---|");
    for &client in programs {
        for &server in programs {
            let (mut best, mut cost) = (0, String::new());
            for rate in HIGHEST_RATES {
                let calls = rate * HIGHEST_SECONDS;
                // Once more: one run may be hit by something else on this machine.
                let clean = |_| {
                    let played = play(client, server, calls, rate, 0);
                    played.is_clean(calls, rate).then_some(played)
                };
                let Some(played) = (0..2).find_map(clean) else {
                    break;
                };
                best = rate;
                let micros = |it: &Ended| it.processor.as_secs_f64() * 1e6 / f64::from(calls);
                let (client, server) = (micros(&played.client), micros(&played.server));
                cost = format!("{client:.1} µs, {server:.1} µs");
            }
            println!(
                "| {} | {} | {best} | {cost} |",
                client.name(),
                server.name()
            );
        }
    }
    println!();
}

/// Memory for a held call: at most, less what few calls take.
fn memory(programs: &[Program]) {
    println!("Resident memory a call, {HELD} held:\n");
    head("", programs);
    let hold_ms = HELD / HELD_RATE * 1_000 + 5_000;
    let measure = |&program: &Program| {
        let few = play(program, program, FEW, FEW, 1_000);
        let many = play(program, program, HELD, HELD_RATE, hold_ms);
        let each = |few: &Ended, many: &Ended| {
            let bytes = many.resident_bytes.saturating_sub(few.resident_bytes);
            many.success.then_some(bytes as f64 / f64::from(HELD))
        };
        [
            each(&few.client, &many.client),
            each(&few.server, &many.server),
        ]
    };
    let figures: Vec<[Option<f64>; 2]> = programs.iter().map(measure).collect();
    for (side, name) in ["client", "server"].into_iter().enumerate() {
        let figures: Vec<Option<f64>> = figures.iter().map(|figure| figure[side]).collect();
        row(name, &figures, "bytes");
    }
}
