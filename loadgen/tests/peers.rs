//! The side-by-side measurement as users run it, in small: the program, its table, its file. What
//! it measures here says nothing, because tests run beside each other.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn peers(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_offhook-load"))
        .arg("peers")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program of this package can be run")
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every call gets through the relay and through the server, and both have used their core.
#[test]
fn the_server_and_the_relay_are_measured_side_by_side() {
    let name = format!("offhook-load-side-by-side-{}.json", std::process::id());
    let file = std::env::temp_dir().join(name);
    let path = file.display().to_string();
    let output = peers(&[
        "--against",
        "relay",
        "--only",
        "costs,held",
        "--rates",
        "20",
        "--seconds",
        "1",
        "--rounds",
        "1",
        "--settle",
        "100ms",
        "--held",
        "50",
        "--json",
        &path,
    ]);
    let (text, said) = (words(&output.stdout), words(&output.stderr));
    assert!(output.status.success(), "{said}\n{text}");
    let head = "| what | relay | offhook | found | goal | |";
    assert!(text.contains(head), "{said}\n{text}");
    assert!(!text.contains("failed"), "{said}\n{text}");
    assert!(!text.contains("did not end well"), "{said}\n{text}");
    let report = std::fs::read_to_string(&file).expect("the figures were written");
    std::fs::remove_file(&file).expect("it is ours");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["schema"], "offhook-load/peers");
    let rows = report["rows"].as_array().expect("a list");
    let what: Vec<&str> = rows.iter().filter_map(|row| row["what"].as_str()).collect();
    assert_eq!(
        what,
        [
            "processor time a call at 20 calls/s, µs",
            "set-up latency added at 20 calls/s, p50, µs",
            "set-up latency added at 20 calls/s, p99, µs",
            "memory a call, 50 held, bytes, as the last has come",
            "memory a call, 50 held, bytes, their transactions over",
        ]
    );
    let cost = |name: &str| {
        let figure = &rows[0]["figures"][name]["known"];
        figure["median"].as_f64().expect("a number")
    };
    assert!(cost("relay") > 0.0 && cost("offhook") > 0.0, "{report}");
    assert_eq!(rows[0]["verdicts"][0]["goal"], "at most 2 × relay");
}

#[test]
fn what_cannot_be_had_is_said_before_anything_starts() {
    let output = peers(&["--server", "/nowhere/offhook"]);
    let said = words(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("/nowhere/offhook is no program"), "{said}");
    let output = peers(&["--json", "/nowhere/figures.json"]);
    let said = words(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(
        said.contains("/nowhere/figures.json cannot be written"),
        "{said}"
    );
}
