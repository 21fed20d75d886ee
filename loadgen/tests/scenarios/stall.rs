//! A server that stands still for a while, as an observer sees it who does not wait for answers.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use offhook_loadgen::report::Outcome;

use crate::play::{folder, free_address, program, server, words};

/// Calls a second, and in all.
const RATE: f64 = 50.0;
const CALLS: u64 = 250;
/// How long the server stands still.
const STALL: Duration = Duration::from_secs(3);
/// A busy machine may shift everything by so much, in seconds.
const SLACK: f64 = 0.4;

/// Stops a server for three seconds in the midst of five seconds of calls, and lets it go on. What
/// the client found, how long the server stood still, and what that one says of itself.
fn stalled(transport: &str) -> (Outcome, Duration, String) {
    let address = free_address();
    let calls = CALLS.to_string();
    let child = server(&["uas", "-t", transport, "-m", &calls], address);
    let json = folder(&format!("stall-{transport}")).join("a.json");
    let running = program()
        .args([
            "uac",
            "-t",
            transport,
            "-m",
            &calls,
            "-r",
            &RATE.to_string(),
        ])
        .args(["--json", &json.to_string_lossy(), &address.to_string()])
        .args([
            "-timeout",
            "60",
            "-nostdin",
            "-driver",
            "epoll",
            "--allow-degraded",
        ])
        .spawn()
        .expect("it can be run");
    let signal = |name: &str| {
        let sent = Command::new("kill")
            .args([name, &child.id().to_string()])
            .status();
        assert!(sent.expect("there is kill").success());
    };
    std::thread::sleep(Duration::from_millis(800));
    let began = Instant::now();
    signal("-STOP");
    std::thread::sleep(STALL);
    signal("-CONT");
    let stall = began.elapsed();
    let output = running.wait_with_output().expect("it ends by itself");
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stdout));
    let ended = child.wait_with_output().expect("the server ends by itself");
    let own = words(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{own}");
    let text = fs::read_to_string(&json).expect("the result was written");
    (Outcome::from_json(&text).expect("a result"), stall, own)
}

/// Whoever was due in the stall waits for the rest of it: latencies are spread evenly up to its
/// length, and nobody is left out.
fn who_was_due_had_to_wait(transport: &str) {
    let (outcome, stall, own) = stalled(transport);
    // A server that stood still knows it, whether the kernel stamps what came or not.
    assert!(own.contains("Invalid: the generator was late"), "{own}");
    let setup = &outcome.latencies[0];
    assert_eq!(
        (outcome.total("created"), setup.response.count),
        (CALLS, CALLS)
    );
    assert_eq!(
        setup.service.count, CALLS,
        "the service time stands beside it"
    );
    let (stall, times) = (stall.as_secs_f64(), setup.response.times());
    for waited in [0.5, 1.0, 1.5, 2.0, 2.5] {
        let expected = RATE * (stall - waited);
        let found = (1.0 - times.part_below(Duration::from_secs_f64(waited))) * CALLS as f64;
        assert!(
            (found - expected).abs() <= RATE * SLACK,
            "over {transport} {found} waited longer than {waited} s, and not {expected:.0}"
        );
    }
    let longest = setup.response.max_us as f64 / 1e6;
    assert!(longest > stall - SLACK, "{longest} s of {stall} s");
    // A closed loop, or a clock that begins with the sending, would have seen one call wait.
    let hurt = 1.0 - times.part_below(Duration::from_millis(100));
    assert!(hurt * CALLS as f64 > RATE * (stall - SLACK), "{hurt}");
}

#[test]
fn a_stalled_server_does_not_hide_who_had_to_wait_over_udp() {
    who_was_due_had_to_wait("u1");
}

#[test]
fn a_stalled_server_does_not_hide_who_had_to_wait_over_tcp() {
    who_was_due_had_to_wait("t1");
}
