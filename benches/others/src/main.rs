//! Our parser beside those of others, on two messages as UCM sends them: what it takes to read
//! every header that routes, in turns within one run, and counted by valgrind. Every parser must
//! have found the same.
//!
//! `cargo run --release --manifest-path benches/others/Cargo.toml` prints the tables.

mod readers;
mod sofia;

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Instant;

use offhook::sip::HeaderIndex;
use readers::{Facts, See};
use sofia::Sofia;

const MESSAGES: [(&str, &str, &[u8]); 2] = [
    (
        "invite_1224b",
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/data/cucm/invite_delayed_offer.sip"
        ),
        include_bytes!("../../../tests/data/cucm/invite_delayed_offer.sip"),
    ),
    (
        "notify_1245b",
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/data/cucm/notify_open_on_the_phone.sip"
        ),
        include_bytes!("../../../tests/data/cucm/notify_open_on_the_phone.sip"),
    ),
];

/// Rounds in which everybody has a turn.
const ROUNDS: usize = 61;
/// Messages that each reads in its turn.
const READS: u32 = 1_000;
/// Messages that are read for a count, and as many before it.
const COUNTED: u64 = 200;

/// How a contestant reads.
#[derive(Clone, Copy)]
enum Read {
    /// All typed headers that route.
    Typed(fn(&'static [u8], &mut HeaderIndex, See<'_>)),
    /// The places of header lines, and nothing of what they say.
    Lines(fn(&'static [u8], &mut HeaderIndex)),
}

/// Ours is the first of its kind, and what the others are held against.
const READERS: [(&str, Read); 7] = [
    ("offhook", Read::Typed(readers::offhook)),
    (
        "rsip",
        // What it refuses is told from what it has shown.
        Read::Typed(|bytes, _, see| {
            let _ = readers::rsip(bytes, see);
        }),
    ),
    (
        "rsipstack",
        Read::Typed(|bytes, _, see| readers::rsipstack(bytes, see)),
    ),
    (
        "ezk-sip-types",
        Read::Typed(|bytes, _, see| readers::ezk(bytes, see)),
    ),
    (
        "rvoip-sip-core",
        Read::Typed(|bytes, _, see| readers::rvoip(bytes, see)),
    ),
    (
        "httparse::parse_headers",
        Read::Lines(|bytes, _| readers::httparse_headers(bytes)),
    ),
    ("offhook, index alone", Read::Lines(readers::offhook_index)),
];
const SOFIA: &str = "sofia-sip";

/// What callgrind looks at.
#[inline(never)]
fn under_callgrind(read: Read, bytes: &'static [u8], index: &mut HeaderIndex) {
    match read {
        Read::Typed(read) => read(black_box(bytes), index, &mut |facts| {
            black_box(facts);
        }),
        Read::Lines(read) => read(black_box(bytes), index),
    }
}

/// Nanoseconds of one reading.
fn nanoseconds(read: Read, bytes: &'static [u8], index: &mut HeaderIndex) -> f64 {
    let start = Instant::now();
    for _ in 0..READS {
        under_callgrind(read, bytes, index);
    }
    start.elapsed().as_nanos() as f64 / f64::from(READS)
}

/// One line of a table.
struct Row {
    name: &'static str,
    /// Of each round.
    nanoseconds: Vec<f64>,
    /// Instructions and allocations of one message.
    counts: Result<(u64, u64), String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, reader, message, times] = &arguments[..]
        && flag == "--run"
    {
        run(
            reader,
            message,
            times.parse().expect("the table asks for numbers"),
        );
        return ExitCode::SUCCESS;
    }
    for (message, path, bytes) in MESSAGES {
        table(message, path, bytes);
    }
    ExitCode::SUCCESS
}

/// Reads so often and ends, for valgrind.
fn run(reader: &str, message: &str, times: u64) {
    let mut readers = READERS.iter();
    let (_, read) = readers.find(|(name, _)| *name == reader).expect("a reader");
    let mut messages = MESSAGES.iter();
    let (_, _, bytes) = messages
        .find(|(name, ..)| *name == message)
        .expect("a message");
    let mut index = HeaderIndex::new();
    for _ in 0..times {
        under_callgrind(*read, bytes, &mut index);
    }
}

/// What a reader has found, as one line; `None` if it reads lines alone or refuses the message.
fn found(read: Read, bytes: &'static [u8]) -> Option<String> {
    let Read::Typed(read) = read else {
        return None;
    };
    let mut line = None;
    read(bytes, &mut HeaderIndex::new(), &mut |facts: &Facts<'_>| {
        line = Some(facts.to_string())
    });
    line
}

fn table(message: &'static str, path: &str, bytes: &'static [u8]) {
    let ours = found(READERS[0].1, bytes).expect("ours reads all of it");
    for (name, read) in READERS {
        assert!(
            found(read, bytes).is_none_or(|line| line == ours),
            "{name} reads {message}"
        );
    }
    let mut sofia = Sofia::start(path);
    if let Ok(sofia) = &sofia {
        assert_eq!(sofia.found, ours, "sofia-sip reads {message}");
    }
    let mut rows: Vec<Row> = READERS.map(|(name, _)| row(name, message)).into();
    let mut index = HeaderIndex::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        for (row, (_, read)) in rows.iter_mut().zip(READERS) {
            row.nanoseconds.push(nanoseconds(read, bytes, &mut index));
        }
        if let Ok(sofia) = &mut sofia {
            theirs.push(sofia.nanoseconds(READS));
        }
    }
    println!("\n{message}, found: {ours}");
    for (name, read) in READERS {
        if matches!(read, Read::Typed(_)) && found(read, bytes).is_none() {
            println!("{name} REFUSES this message; its row is what it takes until then");
        }
    }
    println!(
        "{:<24} {:>8} {:>7} {:>13} {:>7} {:>12}",
        "", "ns", "ratio", "instructions", "ratio", "allocations"
    );
    match &sofia {
        Ok(_) => {
            let counts = counts(|tool, times| {
                let mut command = valgrind(tool);
                command.args([sofia::PROGRAM, path]).arg(times.to_string());
                command
            });
            rows.insert(
                1,
                Row {
                    name: SOFIA,
                    nanoseconds: theirs,
                    counts,
                },
            );
        }
        Err(cause) => println!("{SOFIA:<24} NOT MEASURED: {cause}"),
    }
    let (lines, typed): (Vec<_>, Vec<_>) = rows.iter().partition(|row| is_lines(row.name));
    for group in [typed, lines] {
        for row in &group {
            print(row, group[0]);
        }
    }
}

fn is_lines(name: &str) -> bool {
    let mut readers = READERS.iter();
    readers.any(|(known, read)| *known == name && matches!(read, Read::Lines(_)))
}

fn row(name: &'static str, message: &str) -> Row {
    let counts = counts(|tool, times| {
        let program = std::env::current_exe().expect("this program is a file");
        let mut command = valgrind(tool);
        command
            .arg(program)
            .args(["--run", name, message])
            .arg(times.to_string());
        command
    });
    Row {
        name,
        nanoseconds: Vec::new(),
        counts,
    }
}

/// A tool of valgrind, to which a program is to be added.
fn valgrind(tool: &str) -> Command {
    let mut command = Command::new("valgrind");
    command.arg(format!("--tool={tool}"));
    if tool == "callgrind" {
        command.args([
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*under_callgrind*",
        ]);
    }
    command
}

/// Instructions and allocations of one message; what the first messages take is not counted.
fn counts(command: impl Fn(&str, u64) -> Command) -> Result<(u64, u64), String> {
    let each = |tool: &str, before: &str, after: &str| {
        let [few, many] = [COUNTED, 2 * COUNTED].map(|times| -> Result<u64, String> {
            let output = command(tool, times).output();
            let output = output.map_err(|error| format!("valgrind: {error}"))?;
            let report = String::from_utf8_lossy(&output.stderr);
            let figure = report.lines().find_map(|line| {
                let figure = line.split_once(before)?.1.split(after).next()?;
                figure.trim().replace(',', "").parse().ok()
            });
            figure
                .filter(|_| output.status.success())
                .ok_or_else(|| report.into_owned())
        });
        Ok::<u64, String>((many? - few?) / COUNTED)
    };
    let instructions = each("callgrind", "Collected : ", "\n")?;
    Ok((
        instructions,
        each("memcheck", "total heap usage: ", " allocs")?,
    ))
}

/// Ratios are of the same round, and the median of them counts.
fn print(row: &Row, first: &Row) {
    let rounds = row.nanoseconds.iter().zip(&first.nanoseconds);
    let ratio = median(rounds.map(|(theirs, first)| theirs / first).collect());
    let time = median(row.nanoseconds.clone());
    let start = format!("{:<24} {time:>8.0} {ratio:>7.2}", row.name);
    match (&row.counts, &first.counts) {
        (Ok((instructions, allocations)), Ok((of_first, _))) => {
            let ratio = *instructions as f64 / *of_first as f64;
            println!("{start} {instructions:>13} {ratio:>7.2} {allocations:>12}");
        }
        (Err(cause), _) | (_, Err(cause)) => println!("{start} NOT COUNTED: {cause}"),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
