//! The choice among the peers of a trunk, and among trunks.

use offhook::config::{Selection, TrunkSet};
use offhook::trunk::Failure;
use offhook_shards::{ShardId, Transport};
use std::net::IpAddr;
use std::sync::Arc;

use super::lab::*;

#[test]
fn round_robin_takes_each_in_turn_and_shards_start_apart() {
    let config = config(true, "round_robin");
    for shard in 0..4 {
        let mut lab = Lab::on_shard(Arc::clone(&config), ShardId(shard), &[]);
        let first = (shard % 3) as u8;
        let order: Vec<u8> = (0..6).map(|turn| (first + turn) % 3).collect();
        assert_eq!(peers(&mut lab.trunks, 6), order);
    }
}

#[test]
fn primary_backup_takes_the_first_that_is_in_service() {
    let mut lab = Lab::new(config(true, "primary_backup"));
    assert_eq!(peers(&mut lab.trunks, 3), [0, 0, 0]);
    lab.fail(0, Failure::Connection, None);
    assert_eq!(peers(&mut lab.trunks, 2), [1, 1]);
    lab.fail(1, Failure::Connection, None);
    assert_eq!(peers(&mut lab.trunks, 2), [2, 2]);
    lab.run(seconds(10));
    assert_eq!(
        peers(&mut lab.trunks, 2),
        [0, 0],
        "the primary is back by its ping"
    );
}

#[test]
fn the_share_of_a_peer_that_is_out_is_spread_over_the_others() {
    let mut lab = Lab::new(config(true, "round_robin"));
    lab.fail(1, Failure::Silent, None);
    let chosen = peers(&mut lab.trunks, 100);
    let share = |peer| chosen.iter().filter(|&&other| other == peer).count();
    assert_eq!((share(0), share(1), share(2)), (50, 0, 50));
}

#[test]
fn a_route_goes_on_to_every_peer_once_and_then_to_the_next_trunk() {
    let mut lab = Lab::new(config(true, "round_robin"));
    let set = TrunkSet {
        trunks: Arc::from([PBX, BACKUP]),
        mode: Selection::PrimaryBackup,
    };
    let mut route = lab.trunks.select_among(&set).unwrap();
    let mut met = vec![(route.trunk(), route.peer().0)];
    while let Some((peer, _)) = route.next(&mut lab.trunks) {
        met.push((route.trunk(), peer));
    }
    met.sort_unstable();
    assert_eq!(met, [(PBX, 0), (PBX, 1), (PBX, 2), (BACKUP, 0)]);
    assert_eq!(route.next(&mut lab.trunks), None);
    assert_eq!(route.trunk(), BACKUP);
    assert_eq!(route.request_uri("80#1"), "sip:80%231@backup.example.com");
}

#[test]
fn a_route_passes_over_peers_and_trunks_that_are_out() {
    let mut lab = Lab::new(config(true, "round_robin"));
    let set = TrunkSet {
        trunks: Arc::from([BACKUP, PBX]),
        mode: Selection::RoundRobin,
    };
    lab.trunks
        .handle_failure(lab.now, BACKUP, 0, Failure::Silent, None);
    lab.fail(1, Failure::Silent, None);
    for _ in 0..4 {
        let mut route = lab.trunks.select_among(&set).unwrap();
        let first = route.peer().0;
        let second = route.next(&mut lab.trunks).unwrap().0;
        assert_eq!(first + second, 2, "peers 0 and 2, in either order");
        assert_eq!(route.next(&mut lab.trunks), None);
    }
}

#[test]
fn trunks_of_a_set_take_turns() {
    let mut lab = Lab::new(config(true, "round_robin"));
    let set = TrunkSet {
        trunks: Arc::from([PBX, BACKUP]),
        mode: Selection::RoundRobin,
    };
    let mut next = || lab.trunks.select_among(&set).unwrap().trunk();
    assert_eq!([next(), next(), next(), next()], [PBX, BACKUP, PBX, BACKUP]);
}

#[test]
fn targets_and_domains_come_from_the_configuration() {
    let mut lab = Lab::new(config(true, "round_robin"));
    let mut route = select(&mut lab.trunks, PBX).unwrap();
    let (_, first) = route.peer();
    assert_eq!(first.transport, Transport::Udp);
    assert_eq!(first.large_requests, Some(first.address));
    assert_eq!(route.request_uri("8001"), "sip:8001@192.0.2.20");
    let (_, second) = route.next(&mut lab.trunks).unwrap();
    assert_eq!(
        (second.transport, second.large_requests),
        (Transport::Tcp, None)
    );
    assert_eq!(route.request_uri("8001"), "sip:8001@192.0.2.21:5070");
    route.next(&mut lab.trunks).unwrap();
    assert_eq!(route.request_uri("8001"), "sip:8001@[2001:db8::22]");
    let (_, by_udp_alone) = select(&mut lab.trunks, BACKUP).unwrap().peer();
    assert_eq!(by_udp_alone.large_requests, None);
}

#[test]
fn a_source_is_known_by_address_on_whatever_port() {
    let lab = Lab::new(config(true, "round_robin"));
    let known = |text: &str| lab.trunks.by_source(text.parse::<IpAddr>().unwrap());
    assert_eq!(known("192.0.2.21"), Some(PBX));
    assert_eq!(known("::ffff:192.0.2.21"), Some(PBX));
    assert_eq!(known("2001:db8::22"), Some(PBX));
    assert_eq!(known("192.0.2.30"), Some(BACKUP));
    assert_eq!(known("192.0.2.99"), None);
}
