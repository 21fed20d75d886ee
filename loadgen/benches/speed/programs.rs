//! The programs that are compared: how each is started, what it used, and whether it was clean.
// Only the kernel knows what a child has used, and says it where it is waited for.
#![allow(unsafe_code)]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use offhook_loadgen::measure::udp_sockets;
use offhook_loadgen::process::{await_bound, free_address};

/// Who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Ours,
    Sipp,
}

/// Those that are there, our own first.
pub(crate) fn installed() -> Vec<Program> {
    let sipp = Command::new("sipp")
        .arg("-v")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let sipp = sipp.is_ok().then_some(Program::Sipp);
    std::iter::once(Program::Ours).chain(sipp).collect()
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "offhook-load",
            Self::Sipp => "sipp",
        }
    }

    /// The words of a command line; SIPp with the buffers and loops that it is fastest with.
    fn words(self, side: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Ours => &[
                env!("CARGO_BIN_EXE_offhook-load"),
                side,
                "--plain",
                "--allow-degraded",
            ],
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
                "-l",
                "100000",
                "-timeout_error",
            ],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// What came of a program.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) processor: Duration,
    /// The most that it had at a time.
    pub(crate) resident_bytes: u64,
}

/// What came of calls between two programs.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) client: Ended,
    pub(crate) server: Ended,
    time: Duration,
}

impl Played {
    /// Whether nobody had a fault, and the client was as fast as it was told to be.
    pub(crate) fn is_clean(&self, calls: u32, rate: u32) -> bool {
        const SLACK: f64 = 0.5;
        let planned = f64::from(calls) / f64::from(rate);
        let is_fast = self.time.as_secs_f64() < planned * 1.03 + SLACK;
        self.client.success && self.server.success && is_fast
    }
}

/// Plays calls of some length between two programs, each on a core of its own.
#[allow(
    clippy::zombie_processes,
    reason = "`wait` does it, which also hears what was used"
)]
pub(crate) fn play(
    client: Program,
    server: Program,
    calls: u32,
    rate: u32,
    hold_ms: u32,
) -> Played {
    let address = free_address().expect("loopback has many ports");
    let seconds = calls / rate + hold_ms / 1_000 + 10;
    let common = |address: SocketAddr| {
        let (port, calls) = (address.port().to_string(), calls.to_string());
        let timeout = format!("{seconds}s");
        let words = [
            "-i",
            "127.0.0.1",
            "-p",
            &port,
            "-m",
            &calls,
            "-timeout",
            &timeout,
            "-nostdin",
        ];
        words.map(str::to_owned).to_vec()
    };
    let mut answering = start(1, server.words("uas"), common(address));
    await_bound(&mut answering, address, udp_sockets).expect("the server starts");
    let mut words = common(free_address().expect("loopback has many ports"));
    words.extend(["-r".to_owned(), rate.to_string()]);
    words.extend(["-d".to_owned(), hold_ms.to_string(), address.to_string()]);
    let began = Instant::now();
    let client = wait(&start(0, client.words("uac"), words));
    let time = began.elapsed();
    Played {
        client,
        server: wait(&answering),
        time,
    }
}

fn start(core: usize, mut words: Vec<String>, more: Vec<String>) -> Child {
    words.extend(more);
    Command::new("taskset")
        .args(["-c", &core.to_string()])
        .args(&words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("taskset cannot be run: {error}"))
}

/// Waits for a program's end.
fn wait(child: &Child) -> Ended {
    let process = libc::pid_t::try_from(child.id()).expect("a process id");
    let mut status = 0;
    // SAFETY: a plain C structure of integers, for which all zeros is a value.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to variables that outlive the call, and the child is ours.
    let ended = unsafe { libc::wait4(process, &raw mut status, 0, &raw mut used) };
    assert_eq!(ended, process, "the child is waited for once");
    let time = |of: libc::timeval| {
        let seconds = u64::try_from(of.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(of.tv_usec).unwrap_or(0))
    };
    Ended {
        success: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        processor: time(used.ru_utime) + time(used.ru_stime),
        // The kernel says it in KiB.
        resident_bytes: u64::try_from(used.ru_maxrss).unwrap_or(0) << 10,
    }
}
