//! Kamailio as the yardstick of the side-by-side measurement: it carries the calls, and is found
//! out about with all its processes.

use std::process::{Command, Stdio};

#[test]
fn kamailio_is_measured_beside_the_server() {
    let output = Command::new(env!("CARGO_BIN_EXE_offhook-load"))
        .args(["peers", "--against", "kamailio", "--rates", "20"])
        .args(["--seconds", "1", "--rounds", "1", "--settle", "100ms"])
        .args(["--held", "100", "--highest", "20", "--watched", "50"])
        .stdin(Stdio::null())
        .output()
        .expect("the program of this package can be run");
    let [text, said] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success(), "{said}\n{text}");
    let head = "| what | kamailio | offhook | found | goal | |";
    assert!(text.contains(head), "{said}\n{text}");
    for fault in ["failed ", "did not end well", "not installed"] {
        assert!(!text.contains(fault), "{said}\n{text}");
    }
    for row in [
        "| processor time a call at 20 calls/s, µs |",
        "| set-up latency added at 20 calls/s, p99, µs |",
        "| highest rate with failed<0.01% and p99(setup)<100ms, calls/s |",
        "| memory a call, 100 held, bytes, as the last has come |",
        "| memory a call, 100 held, bytes, their transactions over |",
        "| memory a watched DN, 50 watched, bytes |",
        "| processor time a change of a phone at 20/s, µs |",
    ] {
        assert!(text.contains(row), "{row}: {said}\n{text}");
    }
}
