//! What SIPp's options for files, buffers and the background do, as far as they do anything here.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use offhook_loadgen::measure::udp_sockets;
use offhook_loadgen::process::await_bound;

use crate::play::{folder, free_address, program, server, words};

/// A phone that is busy.
const BUSY: &str = "<scenario name=\"busy\"><recv request=\"INVITE\"/><send><![CDATA[\n\
    SIP/2.0 486 Busy Here\n[last_Via:]\n[last_From:]\n[last_To:];tag=1\n[last_Call-ID:]\n\
    [last_CSeq:]\nContent-Length: 0\n]]></send><recv request=\"ACK\"/></scenario>";

/// Ten calls to a phone that is busy; the files are in `folder`.
fn busy_calls(folder: &Path, options: &[&str]) -> Output {
    let address = free_address();
    let file = folder.join("busy.xml");
    fs::write(&file, BUSY).expect("the folder can be written");
    let child = server(
        &["run", "-sf", &file.to_string_lossy(), "-m", "10"],
        address,
    );
    let output = program()
        .current_dir(folder)
        .args(["uac", &address.to_string(), "-m", "10", "-r", "50"])
        .args(["-nostdin", "--allow-degraded", "-timeout", "60"])
        .args(options)
        .output()
        .expect("the program of this package can be run");
    child.wait_with_output().expect("the server ends by itself");
    output
}

/// The files of a folder whose names have this in them, in the order of their names.
fn files(folder: &Path, part: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.retain(|path| path.to_string_lossy().contains(part));
    paths.sort();
    let read = |path| fs::read_to_string(path).expect("it is text");
    paths.into_iter().map(read).collect()
}

#[test]
fn failed_calls_leave_their_messages_and_codes() {
    let folder = folder("failed_calls");
    let output = busy_calls(
        &folder,
        &[
            "-trace_calldebug",
            "-trace_error_codes",
            "-rfc3339",
            "-buff_size",
            "65536",
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{}", words(&output.stderr));
    assert!(!words(&output.stderr).contains("without effect"));
    let calls = files(&folder, "_calldebug.log").concat();
    assert_eq!(calls.matches(": unexpected message").count(), 10, "{calls}");
    assert_eq!(
        calls.matches("\nSIP/2.0 486 Busy Here\r\n").count(),
        10,
        "{calls}"
    );
    let codes = files(&folder, "_error_codes.csv").concat();
    let last = codes.lines().last().expect("it has a line");
    assert!(last.ends_with(";486;10;"), "{codes}");
    let stamp = last.split(';').next().expect("it begins with the moment");
    assert!(stamp.ends_with('Z') && stamp.contains('T'), "{codes}");
}

#[test]
fn logs_end_at_their_size_or_go_in_a_ring() {
    let ends = folder("log_ends");
    busy_calls(&ends, &["-trace_msg", "-max_log_size", "1000"]);
    let found = files(&ends, "_messages");
    assert_eq!(found.len(), 1, "{found:?}");
    // The message with which the limit was passed is whole.
    assert!((1_000..3_000).contains(&found[0].len()), "{found:?}");
    let ring = folder("log_ring");
    busy_calls(
        &ring,
        &[
            "-trace_msg",
            "-ringbuffer_size",
            "2000",
            "-ringbuffer_files",
            "2",
        ],
    );
    let found = files(&ring, "_messages");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.concat().contains("ACK sip:"), "{found:?}");
}

#[test]
fn run_in_the_background_says_its_number_and_goes_on() {
    let address = free_address();
    let folder = folder("background");
    let json = folder.join("result.json");
    let child = server(&["uas", "-m", "5"], address);
    let output = program()
        .args(["uac", &address.to_string(), "-m", "5", "-r", "50", "-bg"])
        .args(["--allow-degraded", "-timeout", "60", "--json"])
        .arg(&json)
        .output()
        .expect("the program of this package can be run");
    assert_eq!(output.status.code(), Some(99), "{}", words(&output.stderr));
    let said = words(&output.stdout);
    assert!(said.starts_with("Background mode - PID=["), "{said}");
    let ended = child.wait_with_output().expect("the server ends by itself");
    assert!(words(&ended.stdout).contains("successful 5, failed 0"));
    for _ in 0..1_000 {
        if fs::read_to_string(&json).is_ok_and(|text| text.trim_end().ends_with('}')) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the run in the background leaves no result");
}

/// In every line of a periodic file the classes of times begin at 0 again.
#[test]
fn classes_of_times_are_counted_anew_after_every_line() {
    for (option, expected) in [(None, 40), (Some("-periodic_rtd"), 0)] {
        let address = free_address();
        let folder = folder(&format!("periodic{expected}"));
        let child = server(&["uas", "-m", "40"], address);
        let file = folder.join("statistics.csv");
        let output = program()
            .args([
                "uac",
                &address.to_string(),
                "-m",
                "40",
                "-r",
                "100",
                "-d",
                "2500",
            ])
            .args([
                "-trace_stat",
                "-fd",
                "1",
                "-nostdin",
                "--allow-degraded",
                "-stf",
            ])
            .arg(&file)
            .args(option)
            .output()
            .expect("the program of this package can be run");
        assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
        child.wait_with_output().expect("the server ends by itself");
        let text = fs::read_to_string(&file).expect("it was written");
        let mut lines = text.lines().map(|line| line.split(';').collect::<Vec<_>>());
        let header = lines.next().expect("it has a header");
        let is_class = |name: &&str| name.starts_with("ResponseTimeRepartition1_");
        // All answers have come in the first two seconds.
        let last = lines.next_back().expect("it has lines");
        let count = header.iter().zip(&last).filter(|(name, _)| is_class(name));
        let count: u64 = count.map(|(_, value)| value.parse().unwrap_or(0)).sum();
        assert_eq!(count, expected, "{text}");
    }
}

/// SIGUSR2 means the key `s`: how the run stands, long before its end.
#[test]
fn a_signal_shows_how_a_run_stands() {
    let folder = folder("shown");
    let address = free_address();
    let mut command = program();
    command.current_dir(&folder).args(["uas", "-trace_screen"]);
    command.args(["-i", "127.0.0.1", "-p", &address.port().to_string()]);
    command.args(["-nostdin", "--allow-degraded", "-timeout", "60"]);
    let mut child = command.spawn().expect("the program can be run");
    await_bound(&mut child, address, udp_sockets).expect("it waits for calls");
    let signal = |name: &str| {
        let sent = Command::new("kill")
            .args([name, &child.id().to_string()])
            .status();
        assert!(sent.expect("there is kill").success());
    };
    signal("-USR2");
    let shown = || files(&folder, "_screen").concat();
    let is_shown = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        shown().contains("Generator")
    });
    assert!(is_shown, "{}", shown());
    assert!(!shown().contains("Time      0.000 s"), "{}", shown());
    signal("-TERM");
    let output = child.wait_with_output().expect("it ends by itself");
    // Once more at its end.
    assert_eq!(output.status.code(), Some(99), "{}", words(&output.stderr));
    assert_eq!(shown().matches("Generator ").count(), 2, "{}", shown());
}
