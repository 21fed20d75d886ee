//! The search for the highest rate, and what many times of it leave behind.

use std::fs;

use offhook_loadgen::report::{Outcome, Verdict};

use crate::play::{folder, free_address, program, server, words};

/// A server that takes all there is up to the highest rate that is tried: that is the knee. Ten
/// times of it for a second is over soon.
#[test]
fn a_search_ends_with_the_curve_and_the_recovery_after_an_overload() {
    let address = free_address();
    let mut child = server(&["uas"], address);
    let json = folder("search").join("a.json");
    let output = program()
        .args(["find-max", "-sn", "uac", &address.to_string()])
        .args(["--slo", "p99(setup)<2s && failed<5%", "--overload", "10x"])
        .args(["--first", "10", "--highest", "40", "--confirmations", "1"])
        .args(["--step-time", "1s", "--warm-up", "200ms", "--json"])
        .arg(&json)
        .args(["-nostdin", "--allow-degraded", "-driver", "epoll"])
        .output()
        .expect("the program can be run");
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let said = words(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "Session establishment rate (RFC 7502): 40.0 calls/s meet p99(setup)<2s",
        "Nothing broke: try a higher --highest",
        "Offered 400.0 calls/s",
        "well again",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let text = fs::read_to_string(&json).expect("the result was written");
    let outcome = Outcome::from_json(&text).expect("a result");
    assert_eq!(outcome.verdict, Verdict::Passed);
    let search = outcome.search.expect("it was a search");
    let rates: Vec<f64> = search.probes.iter().map(|probe| probe.rate).collect();
    assert!(rates.starts_with(&[10.0, 20.0, 40.0]), "{rates:?}");
    assert!(search.overload.is_some_and(|probe| probe.goodput > 0.0));
    assert!(
        search
            .recovery_seconds
            .is_some_and(|seconds| seconds < 30.0)
    );
}

/// The server ends after a few calls: the search says so in place of halving the rate for minutes.
#[test]
fn a_search_whose_server_is_gone_ends_and_says_so() {
    let address = free_address();
    let mut child = server(&["uas", "-m", "3"], address);
    let output = program()
        .args(["find-max", "-sn", "uac", &address.to_string()])
        .args(["--slo", "p99(setup)<2s && failed<5%", "--first", "40"])
        .args(["--step-time", "1s", "--warm-up", "200ms"])
        .args(["-nostdin", "--allow-degraded", "-driver", "epoll"])
        .output()
        .expect("the program can be run");
    let _ = child.kill();
    child.wait().expect("it is ours");
    let said = words(&output.stderr) + &words(&output.stdout);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("no call has ended well in 3 tries"), "{said}");
    assert!(said.contains(&address.ip().to_string()), "{said}");
}
