//! Pings: when they go out, and what their answers and their silence say of a peer.

use offhook::config::TrunkIndex;
use offhook::sip::Status;
use offhook::trunk::{Output, Trunks};
use offhook_shards::ShardId;
use offhook_shards::clock::Clock;
use std::time::{Duration, Instant};

use super::lab::*;

#[test]
fn pings_go_out_with_jitter_and_with_the_configured_max_forwards() {
    let config = config(true, "round_robin");
    let mut trunks = Trunks::new(Clock.now(), config, ShardId(0), &[PBX], 1);
    let at = trunks.poll_timeout().unwrap();
    trunks.handle_timeout(at + seconds(5));
    let mut outputs = std::iter::from_fn(|| trunks.poll_output());
    let ping = outputs.find(|output| !matches!(output, Output::Status(..)));
    let Some(Output::Ping {
        request_uri,
        max_forwards,
        ..
    }) = ping
    else {
        panic!("a ping is due");
    };
    assert_eq!(max_forwards, 7);
    assert!(request_uri.starts_with("sip:192.0.2.2") || request_uri.starts_with("sip:[2001"));

    let mut lab = Lab::new(self::config(true, "round_robin"));
    lab.run(seconds(3_600));
    let times: Vec<Instant> = lab
        .pings
        .iter()
        .filter(|ping| ping.1 == PBX && ping.2 == 0)
        .map(|ping| ping.0)
        .collect();
    let gaps: Vec<u64> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis() as u64)
        .collect();
    assert!(gaps.len() > 100, "{}", gaps.len());
    assert!(
        gaps.iter().all(|gap| (27_000..33_100).contains(gap)),
        "{gaps:?}"
    );
    assert!(gaps.iter().any(|gap| *gap < 29_000) && gaps.iter().any(|gap| *gap > 31_000));
    assert!(lab.changes.is_empty() && lab.events.is_empty());
}

#[test]
fn any_answer_but_408_and_503_is_alive() {
    for status in [200, 404, 481, 483, 488, 500, 501, 603] {
        let mut lab = Lab::new(config(true, "round_robin"));
        lab.grumpy = Some((PBX, 0, Status(status)));
        lab.run(seconds(300));
        assert_eq!(lab.history(0), [], "{status}");
    }
    for status in [408, 503] {
        let mut lab = Lab::new(config(true, "round_robin"));
        lab.grumpy = Some((PBX, 0, Status(status)));
        lab.run(seconds(300));
        assert_eq!(lab.history(0).len(), 1, "{status}: out, and not back");
    }
}

#[test]
fn silence_counts_from_the_first_miss() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.dead.push((PBX, 0));
    lab.run(PING_TIMEOUT + seconds(5));
    assert_eq!(lab.history(0), [], "suspected only");
    assert!(lab.trunks.peer_in_service(PBX, 0));
    lab.run(seconds(10));
    assert_eq!(lab.history(0).len(), 1);
    let first_ping = lab
        .pings
        .iter()
        .find(|ping| ping.1 == PBX && ping.2 == 0)
        .unwrap()
        .0;
    let (out_after, _, _) = lab.changes[0];
    let expected = first_ping - lab.start + PING_TIMEOUT + seconds(10);
    assert!(out_after >= expected && out_after < expected + Duration::from_millis(5));
}

#[test]
fn an_answer_in_time_clears_the_suspicion() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.dead.push((PBX, 0));
    lab.run(PING_TIMEOUT + seconds(6));
    lab.dead.clear();
    // The failures of the missed pings' transactions come when the peer has long answered again.
    lab.run(seconds(600));
    assert_eq!(lab.history(0), []);
}

#[test]
fn a_peer_that_is_out_is_probed_and_comes_back_by_an_answer() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.dead.push((PBX, 0));
    lab.run(seconds(600));
    assert_eq!(lab.history(0).len(), 1);
    let before = lab.pings.len();
    lab.run(seconds(600));
    let probes = lab.pings[before..]
        .iter()
        .filter(|ping| ping.1 == PBX && ping.2 == 0)
        .count();
    assert!(
        (8..=11).contains(&probes),
        "one each recovery_timeout and ping_timeout: {probes}"
    );
    lab.dead.clear();
    lab.run(seconds(100));
    assert!(lab.trunks.peer_in_service(PBX, 0));
}

#[test]
fn an_answer_after_the_timeout_is_no_answer() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.delay = PING_TIMEOUT + seconds(1);
    lab.run(seconds(60));
    assert_eq!(lab.history(0).len(), 1, "{:?}", lab.history(0));
    lab.delay = PING_TIMEOUT - seconds(1);
    lab.run(seconds(600));
    assert_eq!(lab.history(0).len(), 2, "out, and back");
}

#[test]
fn what_becomes_of_a_missed_ping_is_not_taken_for_news_of_the_next() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.dead.push((PBX, 0));
    let is_dead = |ping: &&(Instant, TrunkIndex, u8)| (ping.1, ping.2) == (PBX, 0);
    while lab.pings.iter().filter(is_dead).count() < 2 {
        lab.run(Duration::from_millis(100));
    }
    lab.trunks.handle_ping(lab.now, PBX, 0, 1, ALIVE);
    lab.run(seconds(14));
    assert_eq!(lab.history(0).len(), 1, "the second ping was missed too");
}

#[test]
fn a_ping_that_we_have_no_room_for_says_nothing_about_the_peer() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.full = true;
    lab.run(seconds(600));
    assert_eq!(lab.changes, []);
    let tries = lab.pings.iter().filter(|ping| ping.2 == 1).count();
    assert!(tries > 200, "it is tried again soon: {tries}");
    lab.full = false;
    lab.dead.push((PBX, 0));
    lab.run(seconds(60));
    assert_eq!(lab.history(0).len(), 1);
}

#[test]
fn a_ping_without_outcome_counts_as_silent() {
    let config = config(true, "round_robin");
    let now = Clock.now();
    let mut trunks = Trunks::new(now, config, ShardId(0), &[BACKUP], 1);
    let mut out = false;
    for _ in 0..100 {
        let at = trunks
            .poll_timeout()
            .expect("a pinged peer always has a timer");
        trunks.handle_timeout(at);
        while let Some(output) = trunks.poll_output() {
            if let Output::Change(_, change) = output {
                out = !change.in_service;
            }
        }
        if out {
            return;
        }
    }
    panic!("never out");
}
