//! How many instructions the engine's paths take, counted by callgrind, held against the figures
//! in `instructions.txt`: one that grows by more than [`TOLERANCE_PERCENT`] fails until the figure
//! is changed with it, and so does one that has none and is not slow. A count is nearly the same on
//! every machine with this compiler, where a time is not.
//!
//! `cargo bench --bench instructions` counts and compares, `-- --write` writes the figures down,
//! `-- NAME…` takes the cases that contain one of the names, the slow ones among them.

mod callgrind;
mod crowd;
mod floor;
mod offers;
mod stage;

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use callgrind::count_all;
use crowd::Crowd;
use floor::{Floor, Journal, Notifies, Shards, TICK};
use offhook::sip::{Checked, HeaderIndex, Message, Method, Status, pidf};
use offhook::transaction::{Incoming, Outgoing, Timers, Transactions};
use offhook_loadgen::population::CallPlan;
use offhook_shards::{Source, Transport};
use stage::Stage;

const FIGURES: &str = include_str!("instructions.txt");
const FIGURES_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
/// How much a count may grow without its figure.
const TOLERANCE_PERCENT: i64 = 3;
const INVITE: &[u8] = include_bytes!("../tests/data/cucm/invite_delayed_offer.sip");
const NOTIFY: &[u8] = include_bytes!("../tests/data/cucm/notify_open_on_the_phone.sip");
/// Steps that are counted, after as many that are not.
const STEPS: u64 = 1_000;

/// One path.
struct Case {
    name: &'static str,
    /// By how many the count is divided.
    units: u64,
    run: fn(),
    /// Whether it is counted only when it is asked for by name.
    slow: bool,
    /// Whether the count is what 99 of 100 steps take at most, instead of the mean.
    spread: bool,
}

const fn case(name: &'static str, units: u64, run: fn()) -> Case {
    Case {
        name,
        units,
        run,
        slow: false,
        spread: false,
    }
}

const fn slow(name: &'static str, units: u64, run: fn()) -> Case {
    Case {
        name,
        units,
        run,
        slow: true,
        spread: false,
    }
}

const fn spread(name: &'static str, run: fn()) -> Case {
    Case {
        name,
        units: 1,
        run,
        slow: true,
        spread: true,
    }
}

const CASES: [Case; 22] = [
    case("parse/invite_1224b", STEPS, || receive(INVITE)),
    case("parse/notify_1245b", STEPS, || receive(NOTIFY)),
    case("parse/presence_document", STEPS, read_presence),
    case("transaction/server", STEPS, serve),
    case("transaction/client", STEPS, request),
    case("call/b2bua", CALLS, || calls(1, AGENTS, 0, Journal::Off)),
    case("call/b2bua_journal", CALLS, || {
        calls(1, AGENTS, 0, Journal::On);
    }),
    case("notify/that_changes", STEPS, notify_changes),
    case("notify/that_does_not", STEPS, notify_repeats),
    case("notify/retransmitted", STEPS, notify_retransmitted),
    case("match/agent_freed_1k", STEPS, || agents_freed(1_000)),
    case("match/caller_arrives_1k", STEPS, || callers_arrive(1_000)),
    case("cti/event_100_clients", STEPS, || hear(100)),
    slow("call/b2bua_2_shards", CALLS, || {
        calls(2, AGENTS, 0, Journal::Off);
    }),
    slow("call/b2bua_3_shards", CALLS, || {
        calls(3, AGENTS, 0, Journal::Off);
    }),
    slow("call/b2bua_16k_agents", CALLS, || {
        calls(1, 16 * AGENTS, 0, Journal::Off);
    }),
    slow("call/b2bua_8k_held", CALLS, || {
        calls(1, 16 * AGENTS, 8_000, Journal::Off);
    }),
    slow("call/b2bua_100k_agents", CALLS, || {
        calls(1, 100 * AGENTS, 0, Journal::Off);
    }),
    slow("call/b2bua_50k_held", CALLS, || {
        calls(1, 100 * AGENTS, 50_000, Journal::Off);
    }),
    slow("match/agent_freed_100k", STEPS, || agents_freed(100_000)),
    spread("offer/agent_freed_100k", || offers::agents_freed(100_000)),
    spread("offer/caller_arrives_100k", || {
        offers::callers_arrive(100_000);
    }),
];

/// Whether this program was told that it is counted, and is not timed.
static IS_COUNTED: AtomicBool = AtomicBool::new(false);

/// Lets callgrind begin where it does not look from the start: what was before runs ten times as
/// fast so.
fn begin_counting() {
    tell_callgrind("--instr=on");
}

/// Makes callgrind write down what it has counted since the last time.
fn end_step() {
    tell_callgrind("--dump=step");
}

fn tell_callgrind(word: &str) {
    if IS_COUNTED.load(Ordering::Relaxed) {
        let process = std::process::id().to_string();
        let told = Command::new("callgrind_control")
            .args([word, &process])
            .output();
        // Where there is no callgrind, nothing is counted, and the guard says so.
        drop(told);
    }
}

/// What callgrind looks at.
#[inline(never)]
fn under_callgrind<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

fn receive(bytes: &[u8]) {
    let mut index = HeaderIndex::new();
    for _ in 0..STEPS {
        under_callgrind(|| {
            let checked = Message::receive(black_box(bytes), &mut index);
            assert!(matches!(checked, Ok(Checked::Request(_))));
        });
    }
}

fn read_presence() {
    let mut index = HeaderIndex::new();
    let message = Message::parse(NOTIFY, &mut index).expect("the sample is a message");
    for _ in 0..STEPS {
        under_callgrind(|| {
            let text = pidf::text(black_box(message.body())).expect("text");
            let presence = pidf::parse(&text).expect("a presence document");
            assert!(presence.activities.iter().eq(["on-the-phone"]));
        });
    }
}

const CLIENT: ([u8; 4], u16) = ([10, 0, 1, 1], 5060);
const HEAD: &str = "From: <sip:10.0.1.1>;tag=1\r\nTo: <sip:10.0.0.1>\r\nCSeq: 1 OPTIONS\r\n\
                    Call-ID: 1@10.0.1.1\r\nContent-Length: 0\r\n\r\n";

/// Twenty-five a second: a thousand are remembered.
const PACE: Duration = Duration::from_millis(40);

#[allow(
    clippy::disallowed_methods,
    reason = "virtual time needs some instant to count from"
)]
fn transactions() -> (Transactions, Instant) {
    let now = Instant::now();
    (Transactions::new(now, Timers::default(), [7, 11]), now)
}

/// What a user agent asks after each input.
fn drain(transactions: &mut Transactions, now: Instant, sent: &mut Vec<u8>) {
    if transactions.poll_timeout().is_some_and(|at| at <= now) {
        transactions.handle_timeout(now);
    }
    sent.clear();
    while transactions.poll_transmit(sent).is_some() {}
    while transactions.poll_event().is_some() {}
}

/// A request outside any dialog, and its answer; before it, the end of one that was answered.
fn serve() {
    let (mut transactions, mut now) = transactions();
    let (mut index, mut sent) = (HeaderIndex::new(), Vec::new());
    let source = Source {
        transport: Transport::Udp,
        local: ([10, 0, 0, 1], 5060).into(),
        remote: CLIENT.into(),
        connection: None,
    };
    for step in 0..2 * STEPS {
        now += PACE;
        let bytes = format!(
            "OPTIONS sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1;branch=z9hG4bK{step:06}\r\n\
             Max-Forwards: {}\r\n{}",
            70,
            HEAD.replace("1@", &format!("{step:06}@"))
        );
        let Ok(Checked::Request(request)) = Message::receive(bytes.as_bytes(), &mut index) else {
            panic!("it is a request");
        };
        let mut work = || {
            let incoming = transactions.handle_request(now, &request, source);
            let Incoming::New(key) = incoming else {
                panic!("it is new: {incoming:?}");
            };
            let answer = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";
            transactions.respond(now, key, Status::OK, answer);
            drain(&mut transactions, now, &mut sent);
        };
        count_later(step, &mut work);
    }
}

/// A request of ours, and its answer; before it, the end of one that was answered.
fn request() {
    let (mut transactions, mut now) = transactions();
    let (mut index, mut sent) = (HeaderIndex::new(), Vec::new());
    for step in 0..2 * STEPS {
        now += PACE;
        let branch = format!("z9hG4bK{step:06}");
        let via = format!("Via: SIP/2.0/UDP 10.0.0.1;branch={branch}\r\n");
        let request = format!("OPTIONS sip:10.0.1.1 SIP/2.0\r\n{via}{HEAD}");
        let answer = format!("SIP/2.0 200 OK\r\n{via}{HEAD}");
        let checked = Message::receive(answer.as_bytes(), &mut index);
        let Ok(Checked::Response(response)) = checked else {
            panic!("it is a response");
        };
        let outgoing = Outgoing {
            method: Method::Options,
            transport: Transport::Udp,
            remote: CLIENT.into(),
            branch: &branch,
            bytes: request.as_bytes(),
            fallback: None,
        };
        let mut work = || {
            transactions.request(now, outgoing).expect("there is room");
            drain(&mut transactions, now, &mut sent);
            let _ = transactions.handle_response(now, &response);
            drain(&mut transactions, now, &mut sent);
        };
        count_later(step, &mut work);
    }
}

/// Counts the second half of the steps.
fn count_later(step: u64, work: &mut dyn FnMut()) {
    if step < STEPS {
        work();
    } else {
        under_callgrind(work);
    }
}

/// Agents, of whom as many are busy at once as callers come in two seconds.
const AGENTS: usize = 1_000;
/// Calls that begin while it is counted, and as many that end; one every five milliseconds.
const CALLS: u64 = 200;

/// Whole calls, INVITE to BYE, with the NOTIFYs that the phone's presence brings; with a journal
/// also what a shard does for it, which is all but putting records into a file. All shards'
/// engines are counted together.
fn calls(shards: u16, agents: usize, held: usize, journal: Journal) {
    let mut floor = Floor::journaled(shards, agents, journal);
    for _ in 0..held {
        floor.callers.call(floor.now, CallPlan::to("7000"));
        floor.tick(&mut Shards::turn);
    }
    begin_counting();
    for step in 0..4 * CALLS {
        let plan = CallPlan {
            hang_up_after: Some(TICK * 1_000),
            ..CallPlan::to("7000")
        };
        floor.callers.call(floor.now, plan);
        for _ in 0..5 {
            floor.tick(&mut |shards, now| {
                if step < 3 * CALLS {
                    shards.turn(now);
                } else {
                    under_callgrind(|| shards.turn(now));
                }
            });
        }
    }
    let totals = floor.callers.totals();
    assert_eq!((totals.refused, totals.abandoned, totals.lost), (0, 0, 0));
    let live = floor.shards.live_calls() - held;
    assert!((200..300).contains(&live), "{live} calls");
}

/// An event of a call, until so many clients have it in their queues; they read it uncounted.
fn hear(clients: usize) {
    let mut stage = Stage::new(clients, 0);
    for step in 0..2 * STEPS {
        let mut event = Some(stage.event());
        count_later(step, &mut || {
            stage.tell(event.take().expect("it is told once"));
        });
        stage.read();
    }
}

/// Phones that are watched.
const PHONES: usize = 400;

/// A NOTIFY that makes an agent Ready, or NotReady, in turns.
fn notify_changes() {
    let mut floor = Floor::new(1, PHONES);
    for step in 0..2 * STEPS {
        floor.change_presence(step as usize % PHONES);
        floor.tick(&mut |shards, now| count_later(step, &mut || shards.turn(now)));
    }
}

/// A NOTIFY that says what the last one said.
fn notify_repeats() {
    let mut floor = Floor::new(1, PHONES);
    let mut notifies = Notifies::of(&mut floor, PHONES);
    for step in 0..2 * STEPS {
        notifies.send_next(&mut floor);
        floor.now += TICK;
        let turn = &mut |shards: &mut Shards, now| count_later(step, &mut || shards.turn(now));
        assert!(floor.turn_alone(turn) >= 1, "a NOTIFY is answered");
    }
}

/// The same NOTIFY again and again.
fn notify_retransmitted() {
    let mut floor = Floor::new(1, 4);
    let mut notifies = Notifies::of(&mut floor, 4);
    notifies.send_next(&mut floor);
    floor.turn_alone(&mut Shards::turn);
    for step in 0..2 * STEPS {
        floor.send(notifies.last());
        let turn = &mut |shards: &mut Shards, now| count_later(step, &mut || shards.turn(now));
        assert_eq!(floor.turn_alone(turn), 1, "the same answer");
    }
}

/// An agent becomes free while callers wait.
fn agents_freed(agents: u32) {
    let mut crowd = Crowd::new(agents);
    crowd.fill(1_000);
    begin_counting();
    for step in 0..2 * STEPS {
        let (input, dn) = crowd.freed();
        let mut input = Some(input);
        count_later(step, &mut || {
            crowd.tell(input.take().expect("it is told once"));
        });
        let pair = crowd.offer().expect("somebody waits for every agent");
        assert_eq!(pair.0, dn);
        crowd.answer(pair);
        crowd.fill(1_000);
    }
}

/// A caller comes while agents are idle.
fn callers_arrive(agents: u32) {
    let mut crowd = Crowd::new(agents);
    crowd.rest();
    for step in 0..2 * STEPS {
        let (input, conn_id) = crowd.arrival();
        let mut input = Some(input);
        count_later(step, &mut || {
            crowd.tell(input.take().expect("it is told once"));
        });
        let pair = crowd.offer().expect("somebody is idle for every caller");
        assert_eq!(pair.1, conn_id);
        crowd.answer(pair);
        crowd.rest();
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = &arguments[..]
        && (flag == "--run" || flag == "--time")
    {
        IS_COUNTED.store(flag == "--run", Ordering::Relaxed);
        let case = CASES.iter().find(|case| case.name == name);
        (case.expect("the guard names its own cases").run)();
        return ExitCode::SUCCESS;
    }
    let names: Vec<&str> = (arguments.iter().map(String::as_str))
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let asked = |case: &&Case| {
        let named = names.iter().any(|name| case.name.contains(name));
        named || (names.is_empty() && !case.slow)
    };
    if arguments.iter().any(|argument| argument == "--write") {
        return write(CASES.iter().filter(asked));
    }
    guard(CASES.iter().filter(asked))
}

/// Prints a table; fails when a count has grown, or has no figure that it could outgrow.
#[allow(clippy::print_stdout, reason = "the table is what it is run for")]
fn guard<'a>(cases: impl Iterator<Item = &'a Case>) -> ExitCode {
    let compiler = compiler();
    if !FIGURES.contains(&compiler) {
        println!("NOTE: the figures were counted with another compiler than {compiler}");
    }
    println!(
        "{:<28} {:>10} {:>10} {:>7}",
        "instructions", "figure", "now", "%"
    );
    let mut is_fine = true;
    for (case, counted) in count_all(cases) {
        let now = match counted {
            Ok(now) => now,
            Err(cause) => {
                println!("NOT COUNTED: {}: {cause}", case.name);
                return ExitCode::FAILURE;
            }
        };
        let Some(figure) = figure(case.name) else {
            let cure = match case.slow {
                true => "",
                false => ": write it down with `-- --write` and its name",
            };
            println!(
                "{:<28} {:>10} {now:>10} {:>7} NOT GUARDED{cure}",
                case.name, "none", ""
            );
            is_fine &= case.slow;
            continue;
        };
        let percent = (now as f64 / figure as f64 - 1.0) * 100.0;
        let beyond = TOLERANCE_PERCENT as f64;
        let verdict = match percent {
            percent if percent > beyond => "GROWN: say why and change instructions.txt",
            percent if percent < -beyond => "fallen: change instructions.txt",
            _ => "",
        };
        println!(
            "{:<28} {figure:>10} {now:>10} {percent:>+7.1} {verdict}",
            case.name
        );
        is_fine &= percent <= beyond;
    }
    if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Writes the figures of these cases; the others keep theirs.
#[allow(clippy::print_stdout, reason = "says what it has done")]
fn write<'a>(cases: impl Iterator<Item = &'a Case>) -> ExitCode {
    let mut figures: Vec<(&str, u64)> = (CASES.iter())
        .filter_map(|case| Some((case.name, figure(case.name)?)))
        .collect();
    for (case, counted) in count_all(cases) {
        match counted {
            Ok(now) => {
                println!("{:<28} {now:>10}", case.name);
                figures.retain(|(name, _)| *name != case.name);
                figures.push((case.name, now));
            }
            Err(cause) => {
                println!("NOT COUNTED: {}: {cause}", case.name);
                return ExitCode::FAILURE;
            }
        }
    }
    figures.sort_unstable();
    let mut text = format!(
        "# Instructions of one step of each case in instructions.rs, with glibc's allocator and\n\
         # {}. Written by `cargo bench --bench instructions -- --write`.\n",
        compiler()
    );
    for (name, now) in figures {
        text.push_str(&format!("{name} {now}\n"));
    }
    std::fs::write(FIGURES_PATH, text).expect("the figures are a file of this checkout");
    ExitCode::SUCCESS
}

fn figure(name: &str) -> Option<u64> {
    let mut lines = FIGURES.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(known, _)| *known == name)?.1.parse().ok()
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    version.unwrap_or_else(|_| "an unknown compiler".to_owned())
}
