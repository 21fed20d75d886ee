//! The choice among the peers of a trunk, and among trunks.

use offhook::config::{Selection, TrunkSet};
use offhook::sip::Feedback;
use offhook::trunk::Failure;
use offhook_shards::{ShardId, Transport};
use std::net::{IpAddr, SocketAddr};
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

#[test]
fn a_node_that_asks_for_fewer_calls_is_passed_over_for_so_many() {
    let mut lab = Lab::new(config(true, "round_robin"));
    let nodes = ["192.0.2.20:5060", "192.0.2.21:5070", "[2001:db8::22]:5060"];
    let nodes = nodes.map(|node| node.parse::<SocketAddr>().unwrap());
    let mut sequence = 0;
    let mut tell = |lab: &mut Lab, node: SocketAddr, loss_percent: u8| {
        sequence += 1;
        let feedback = Feedback {
            loss_percent,
            validity: seconds(1),
            sequence: seconds(sequence),
        };
        lab.trunks.handle_feedback(lab.now, node, &feedback);
    };
    let set = TrunkSet {
        trunks: Arc::from([PBX]),
        mode: Selection::PrimaryBackup,
    };
    tell(&mut lab, nodes[0], 30);
    let mut met = [0; 3];
    for _ in 0..3_000 {
        let route = lab.trunks.select_for_call(lab.now, &set).unwrap();
        met[usize::from(route.peer().0)] += 1;
    }
    assert!((650..750).contains(&met[0]), "{met:?}");
    assert_eq!(met.iter().sum::<u32>(), 3_000);
    // Where one of two does not do, the other is next, and none where all are to be spared.
    tell(&mut lab, nodes[0], 100);
    tell(&mut lab, nodes[1], 100);
    for _ in 0..100 {
        let route = lab.trunks.select_for_call(lab.now, &set).unwrap();
        assert_eq!(route.peer().0, 2);
    }
    tell(&mut lab, nodes[2], 100);
    assert_eq!(lab.trunks.select_for_call(lab.now, &set), None);
    // What is no call is sent all the same, and a second later calls are, too.
    assert!(select(&mut lab.trunks, PBX).is_some());
    lab.now += seconds(1);
    assert!(lab.trunks.select_for_call(lab.now, &set).is_some());
}

#[test]
fn what_is_said_of_overload_counts_only_where_it_was_asked_for() {
    let mut lab = Lab::new(config(true, "round_robin"));
    let feedback = Feedback {
        loss_percent: 100,
        validity: seconds(1),
        sequence: seconds(1),
    };
    let backup = "192.0.2.30:5060".parse().unwrap();
    lab.trunks.handle_feedback(lab.now, backup, &feedback);
    let set = TrunkSet {
        trunks: Arc::from([BACKUP]),
        mode: Selection::PrimaryBackup,
    };
    assert!(lab.trunks.select_for_call(lab.now, &set).is_some());
}
