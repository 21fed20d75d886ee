//! The demo as its users see it: the program, its exit status, its one JSON object. The same on
//! both drivers and on one and two shards.
#![allow(
    clippy::print_stdout,
    reason = "a skipped test says so, and how to run it"
)]

use std::io::Write;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the demo with few agents for three seconds.
fn demo(driver: &str, shards: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["--agents", "12", "--calls-per-second", "6"];
    arguments.extend(["--duration", "3s", "--driver", driver, "--shards", shards]);
    arguments.extend(more);
    run(&arguments)
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_offhook-load"))
        .arg("demo")
        .args(arguments)
        .output()
        .expect("the program of this package can be run")
}

/// The one number at this place of a report.
fn number(report: &Value, pointer: &str) -> u64 {
    let value = report.pointer(pointer).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("{pointer} is no number in {report}"))
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A short demo is clean, and its numbers agree with each other.
fn is_clean(driver: &str, shards: u64) {
    let output = demo(driver, &shards.to_string(), &["--json", "--seed", "7"]);
    let progress = words(&output.stderr);
    if driver == "uring" && output.status.code() == Some(3) && progress.contains("io_uring") {
        // Past the test harness, which swallows what a passing test prints.
        let mut log = std::io::stderr();
        let _ = writeln!(log, "SKIPPED: io_uring is not to be had here: {progress}");
        let _ = writeln!(
            log,
            "SKIPPED: allow io_uring_setup and raise the locked memory limit"
        );
        return;
    }
    assert_eq!(
        output.status.code(),
        Some(0),
        "{progress}\n{}",
        words(&output.stdout)
    );
    let text = words(&output.stdout);
    assert_eq!(
        text.trim_end().lines().count(),
        1,
        "one object and nothing else: {text}"
    );
    let report: Value = serde_json::from_str(&text).expect("a JSON object");
    let number = |pointer: &str| number(&report, pointer);
    assert_eq!(
        (number("/agents"), number("/shards"), number("/seed")),
        (12, shards, 7)
    );
    assert_eq!(report["driver"], driver);
    let ended = number("/calls/answered") + number("/calls/abandoned") + number("/calls/refused");
    assert_eq!(number("/calls/offered"), ended);
    assert!(
        number("/calls/offered") > 3 && number("/calls/answered") > 0,
        "{text}"
    );
    assert_eq!(
        (number("/calls/lost"), number("/agent_state_mismatches")),
        (0, 0)
    );
    for deed in ["held", "transferred", "released_by_desktop"] {
        let done = number(&format!("/done_to_calls/{deed}"));
        assert!(done <= number("/calls/answered") * 4, "{deed}: {text}");
    }
    assert!(number("/agent_state_comparisons") >= 12, "{text}");
    assert_eq!(number("/presence/subscriptions"), 12);
    assert!(number("/presence/notifies") >= 12);
    assert!(
        number("/state_us/count") >= 12 && number("/routing_us/count") > 0,
        "{text}"
    );
    for latency in ["routing_us", "state_us"] {
        let quantile = |name: &str| number(&format!("/{latency}/{name}"));
        assert!(quantile("p50") > 0 && quantile("p50") <= quantile("p99"));
        assert!(quantile("p99") <= quantile("max"));
    }
    assert!(progress.contains("12 Ready"), "{progress}");
}

#[test]
fn a_short_demo_is_clean_on_epoll() {
    is_clean("epoll", 1);
}

#[test]
fn a_short_demo_is_clean_on_epoll_with_two_shards() {
    is_clean("epoll", 2);
}

#[test]
fn a_short_demo_is_clean_on_uring_with_two_shards() {
    is_clean("uring", 2);
}

/// Calls are held by phones and by desktops, ended by desktops, consulted about and transferred,
/// and every call and every agent is accounted for all the same.
#[test]
fn whatever_is_done_to_calls_the_demo_stays_exact() {
    let output = run(&[
        "--agents",
        "60",
        "--calls-per-second",
        "25",
        "--duration",
        "12s",
        "--seed",
        "11",
        "--json",
    ]);
    let text = words(&output.stdout);
    let status = output.status.code();
    assert_eq!(status, Some(0), "{}\n{text}", words(&output.stderr));
    let report: Value = serde_json::from_str(&text).expect("a JSON object");
    let number = |pointer: &str| number(&report, pointer);
    let done = |deed: &str| number(&format!("/done_to_calls/{deed}"));
    for deed in [
        "held_by_phone",
        "held_by_desktop",
        "released_by_desktop",
        "transferred",
        "consulted_about",
    ] {
        assert!(done(deed) > 0, "{deed}: {text}");
    }
    // Each hold is a phone's, a desktop's, or that of a call that is consulted about.
    let holds = done("held_by_phone") + done("held_by_desktop") + done("consulted_about");
    assert!(done("held") <= holds, "{text}");
    let answered = number("/calls/answered");
    assert!(done("released_by_desktop") + done("transferred") <= 2 * answered);
    let ended = answered + number("/calls/abandoned") + number("/calls/refused");
    assert_eq!(number("/calls/offered"), ended, "{text}");
    for fault in ["/calls/lost", "/agent_state_mismatches"] {
        assert_eq!(number(fault), 0, "{fault}: {text}");
    }
    assert_eq!(report["faults"], serde_json::json!({}), "{text}");
}

#[test]
fn without_json_there_is_a_table() {
    let output = demo("auto", "1", &[]);
    let table = words(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}\n{table}",
        words(&output.stderr)
    );
    for row in [
        "calls offered",
        "  consulted about",
        "  held by desktop",
        "  held by phone",
        "  transferred",
        "  released by desktop",
        "agent state mismatches",
        "routing, agent free",
        "clean",
    ] {
        assert!(table.contains(row), "{table}");
    }
}

#[test]
fn a_wrong_command_line_is_refused_before_anything_starts() {
    let output = demo("auto", "0", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        words(&output.stderr).contains("--shards"),
        "{}",
        words(&output.stderr)
    );
    assert!(output.stdout.is_empty());
}
