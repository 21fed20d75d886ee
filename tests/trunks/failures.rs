//! Calls that fail, peers that go out of service and come back, and who is told.

use offhook::cti::{EventName, Value};
use offhook::trunk::{Failure, HealthChange};
use offhook_shards::ShardId;
use std::time::Duration;

use super::lab::*;

#[test]
fn a_silent_call_puts_a_peer_out_at_once() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.run(seconds(10));
    lab.fail(2, Failure::Silent, None);
    assert!(!lab.trunks.peer_in_service(PBX, 2));
    lab.run(seconds(6));
    assert!(lab.trunks.peer_in_service(PBX, 2), "it answers its ping");
    assert_eq!(lab.history(2), [(10, false), (15, true)]);
}

#[test]
fn d27_retry_after_keeps_a_peer_out_for_so_long_although_it_answers_pings() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.run(seconds(10));
    lab.fail(0, Failure::Unavailable, None);
    assert!(
        lab.trunks.peer_in_service(PBX, 0),
        "without Retry-After it is as a 500"
    );
    lab.fail(0, Failure::Unavailable, Some(seconds(90)));
    lab.run(seconds(50));
    // Another call had been on its way.
    lab.fail(0, Failure::Unavailable, Some(seconds(60)));
    lab.run(seconds(300));
    assert_eq!(lab.history(0), [(10, false), (120, true)]);
}

#[test]
fn an_absurd_retry_after_is_cut() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.fail(0, Failure::Unavailable, Some(seconds(u64::from(u32::MAX))));
    lab.run(seconds(3_700));
    assert_eq!(lab.history(0), [(0, false), (3_600, true)]);
}

#[test]
fn without_pings_a_peer_is_tried_again_after_recovery_timeout() {
    let mut lab = Lab::new(config(false, "round_robin"));
    lab.run(seconds(100));
    assert!(lab.pings.is_empty());
    lab.trunks
        .handle_failure(lab.now, BACKUP, 0, Failure::Silent, None);
    lab.drain();
    assert_eq!(
        select(&mut lab.trunks, BACKUP),
        None,
        "all its peers are out"
    );
    lab.run(seconds(61));
    assert!(select(&mut lab.trunks, BACKUP).is_some());
}

#[test]
fn a_call_that_fails_by_silence_after_the_return_was_sent_before_it() {
    let mut lab = Lab::new(config(false, "round_robin"));
    lab.fail(0, Failure::Silent, None);
    lab.run(seconds(70));
    assert!(lab.trunks.peer_in_service(PBX, 0));
    lab.fail(0, Failure::Silent, None);
    assert!(
        lab.trunks.peer_in_service(PBX, 0),
        "sent more than 64·T1 ago, during the outage"
    );
    lab.run(seconds(30));
    lab.fail(0, Failure::Silent, None);
    assert!(!lab.trunks.peer_in_service(PBX, 0));
}

#[test]
fn a_flapping_peer_is_out_for_longer_each_time() {
    let mut lab = Lab::new(config(true, "round_robin"));
    let mut outages = Vec::new();
    for _ in 0..8 {
        lab.run(seconds(2));
        lab.fail(0, Failure::Connection, None);
        let left = lab.now;
        while !lab.trunks.peer_in_service(PBX, 0) {
            lab.run(Duration::from_millis(100));
        }
        outages.push((lab.now - left).as_secs());
    }
    assert_eq!(outages, [5, 10, 20, 40, 80, 160, 300, 300]);
    lab.run(seconds(600));
    let before = lab.now;
    lab.fail(0, Failure::Connection, None);
    lab.run(seconds(6));
    assert!(
        lab.trunks.peer_in_service(PBX, 0),
        "forgiven: {:?}",
        lab.now - before
    );
}

#[test]
fn d28_many_failures_at_once_are_one_outage() {
    let mut lab = Lab::new(config(true, "round_robin"));
    for _ in 0..1_000 {
        lab.fail(0, Failure::Silent, None);
    }
    assert_eq!(lab.changes.len(), 1);
    lab.run(seconds(5) + Duration::from_millis(100));
    let probes = lab
        .pings
        .iter()
        .filter(|ping| ping.1 == PBX && ping.2 == 0)
        .count();
    assert!(
        probes <= 2,
        "one probe, and perhaps the first ping: {probes}"
    );
}

#[test]
fn the_trunk_says_when_its_last_peer_leaves_and_its_first_returns() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.run(seconds(10));
    lab.fail(0, Failure::Silent, None);
    lab.fail(1, Failure::Connection, None);
    assert!(lab.events.is_empty(), "one peer is left");
    lab.dead = vec![(PBX, 0), (PBX, 1)];
    lab.fail(2, Failure::Unavailable, Some(seconds(20)));
    let [event] = &lab.events[..] else {
        panic!("{:?}", lab.events)
    };
    assert_eq!(
        (event.name, &*event.this_dn),
        (EventName::DNOutOfService, "pbx")
    );
    let Some(Value::List(peers)) = event.extensions.value("Peers") else {
        panic!("no peers")
    };
    let named: Vec<(&str, &Value)> = peers.iter().collect();
    assert_eq!(
        named[0],
        ("udp:192.0.2.20:5060", &Value::Text("request-silent".into()))
    );
    assert_eq!(
        named[1],
        (
            "tcp:192.0.2.21:5070",
            &Value::Text("connection-failed".into())
        )
    );
    assert_eq!(
        named[2],
        (
            "udp:[2001:db8::22]:5060",
            &Value::Text("unavailable".into())
        )
    );
    assert_eq!(select(&mut lab.trunks, PBX), None);

    lab.run(seconds(30));
    let [_, event] = &lab.events[..] else {
        panic!("{:?}", lab.events)
    };
    assert_eq!(
        (event.name, &*event.this_dn),
        (EventName::DNBackInService, "pbx")
    );
    lab.dead.clear();
    lab.run(seconds(200));
    assert_eq!(lab.events.len(), 2, "the other peers' return is no news");
}

#[test]
fn a_shard_that_does_not_ping_reports_and_follows() {
    let mut lab = Lab::on_shard(config(true, "round_robin"), ShardId(1), &[BACKUP]);
    lab.fail(0, Failure::Silent, None);
    assert_eq!(lab.reports, 1);
    assert!(
        lab.trunks.peer_in_service(PBX, 0),
        "the verdict is not its own"
    );
    let out = HealthChange {
        peer: 0,
        in_service: false,
    };
    lab.trunks.handle_change(PBX, out);
    assert!(!lab.trunks.peer_in_service(PBX, 0));
    lab.fail(0, Failure::Silent, None);
    assert_eq!(lab.reports, 1, "what everybody knows is not reported");
    let back = HealthChange {
        peer: 0,
        in_service: true,
    };
    lab.trunks.handle_change(PBX, back);
    assert!(lab.trunks.peer_in_service(PBX, 0));
}

#[test]
fn a_tcp_peer_that_cannot_be_connected_to_is_out_at_once() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.run(seconds(10));
    for (address, changes) in [
        ("192.0.2.21:5071", 0),
        ("192.0.2.20:5060", 0),
        ("192.0.2.21:5070", 1),
    ] {
        lab.trunks
            .handle_connect_failed(lab.now, address.parse().unwrap());
        lab.drain();
        assert_eq!(lab.changes.len(), changes, "{address}");
    }
    assert!(!lab.trunks.peer_in_service(PBX, 1));
    lab.run(seconds(6));
    assert!(lab.trunks.peer_in_service(PBX, 1), "a ping finds it back");
}
