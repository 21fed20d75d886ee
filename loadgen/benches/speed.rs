//! What a call costs the generator, side by side with SIPp on this machine: processor time for a
//! call as client and as server, and the highest rate that each carries without a fault. It needs
//! SIPp (on Debian: apt-get install sip-tester) and bash, and two cores that nobody else uses.
//!
//! `cargo bench -p offhook-loadgen --bench speed` prints the table.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures and prints"
)]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Calls of one measurement of costs, and their rate.
const CALLS: u32 = 20_000;
const RATE: u32 = 1_000;
/// Rates that are tried one after the other, and how long.
const RATES: [u32; 12] = [
    1_000, 2_000, 3_000, 4_000, 6_000, 8_000, 10_000, 12_000, 16_000, 20_000, 25_000, 30_000,
];
const SECONDS: u32 = 8;

/// Who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Ours,
    Sipp,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "offhook-load",
            Self::Sipp => "sipp",
        }
    }

    /// The words of a command line; SIPp with the buffers and loops that it is fastest with.
    fn words(self, side: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Ours => &[env!("CARGO_BIN_EXE_offhook-load"), side, "--plain"],
            Self::Sipp => &[
                "sipp",
                "-sn",
                side,
                "-buff_size",
                "8388608",
                "-max_recv_loops",
                "10000",
                "-max_sched_loops",
                "10000",
                "-max_socket",
                "100",
                "-timeout_error",
            ],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// What came of a program.
struct Ended {
    success: bool,
    processor: Duration,
    output: String,
}

struct Started {
    child: Child,
}

/// Starts a program under bash, which says what it has used.
fn start(program: Program, side: &str, more: &[String]) -> Started {
    let mut words = program.words(side);
    words.extend_from_slice(more);
    words.extend(["-nostdin", "-timeout", "120s"].map(str::to_owned));
    let child = Command::new("bash")
        .args(["-c", "TIMEFORMAT='used %U %S'; time \"$0\" \"$@\""])
        .args(&words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("bash cannot be run: {error}"));
    Started { child }
}

impl Started {
    fn wait(self) -> Ended {
        let output = self.child.wait_with_output().expect("it ends by itself");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let used = errors
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("used "));
        let seconds: f64 = used
            .unwrap_or_default()
            .split(' ')
            .filter_map(|word| word.parse::<f64>().ok())
            .sum();
        Ended {
            success: output.status.success(),
            processor: Duration::from_secs_f64(seconds),
            output: String::from_utf8_lossy(&output.stdout).into_owned() + &errors,
        }
    }
}

fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    socket.local_addr().expect("a bound socket has an address")
}

fn await_listener(address: SocketAddr) {
    for _ in 0..1_000 {
        if UdpSocket::bind(address).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody listens on {address}");
}

/// Plays calls between two programs.
fn play(client: Program, server: Program, calls: u32, rate: u32) -> (Ended, Ended, Duration) {
    let address = free_address();
    let local = |address: SocketAddr| {
        let words = [
            "-i",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
            "-m",
            &calls.to_string(),
        ];
        words.map(str::to_owned).to_vec()
    };
    let answering = start(server, "uas", &local(address));
    await_listener(address);
    let mut words = local(free_address());
    words.extend([address.to_string(), "-r".to_owned(), rate.to_string()]);
    let began = Instant::now();
    let calling = start(client, "uac", &words).wait();
    let time = began.elapsed();
    (calling, answering.wait(), time)
}

fn micros_a_call(ended: &Ended) -> f64 {
    ended.processor.as_secs_f64() * 1e6 / f64::from(CALLS)
}

/// Whether a client had no fault and was as fast as it was told to be.
fn is_clean(client: &Ended, server: &Ended, calls: u32, rate: u32, time: Duration) -> bool {
    const SLACK: f64 = 0.5;
    let planned = f64::from(calls) / f64::from(rate);
    client.success && server.success && time.as_secs_f64() < planned * 1.03 + SLACK
}

fn main() {
    println!("{CALLS} calls at {RATE} calls/s over loopback UDP, each with 6 messages:\n");
    println!("| program | side | against | processor time a call |");
    println!("|---|---|---|---|");
    for program in [Program::Sipp, Program::Ours] {
        let (client, server, _) = play(program, Program::Ours, CALLS, RATE);
        if !client.success && !server.success {
            println!("{}", client.output);
        }
        let micros = micros_a_call(&client);
        println!(
            "| {} | client | offhook-load | {micros:.1} µs |",
            program.name()
        );
        let (_, server, _) = play(Program::Ours, program, CALLS, RATE);
        let micros = micros_a_call(&server);
        println!(
            "| {} | server | offhook-load | {micros:.1} µs |",
            program.name()
        );
    }
    println!("\nThe highest rate without a fault, one core each, for {SECONDS} s:\n");
    println!("| client | server | calls/s |");
    println!("|---|---|---|");
    for (client, server) in [
        (Program::Sipp, Program::Sipp),
        (Program::Sipp, Program::Ours),
        (Program::Ours, Program::Ours),
    ] {
        let mut best = 0;
        for rate in RATES {
            let calls = rate * SECONDS;
            let (calling, answering, time) = play(client, server, calls, rate);
            if !is_clean(&calling, &answering, calls, rate, time) {
                break;
            }
            best = rate;
        }
        println!("| {} | {} | {best} |", client.name(), server.name());
    }
}
