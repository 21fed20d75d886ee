//! Trunks to names, in virtual time: where they lead, who is chosen, and what a change does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::{ShardId, Transport};

use super::{Failure, HealthChange, Output, Trunks};
use crate::config::{self, Config, Selection, TrunkIndex, TrunkSet};
use crate::cti::{EventName, TrunkStatus, Value};
use crate::dns::{Place, Problem, Question, Resolved};
use crate::limits::{DNS_RECENT, TRUNK_NODES_MAX};

const PBX: TrunkIndex = TrunkIndex(0);

fn config(peers: &str, more: &str) -> Arc<Config> {
    let text = format!(
        "[server]\nsip = [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"]\n[[trunk]]\n\
         name = \"pbx\"\npeers = {peers}\noos_check = 0\n{more}\n\
         [[agent]]\ndn = \"8001\"\ntrunks = [\"pbx\"]\n"
    );
    let config = config::parse(&text, &|_| Err("no files".into()));
    Arc::new(config.unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

fn place(priority: u16, weight: u32, last: u8) -> Place {
    Place {
        priority,
        transport: Transport::Udp,
        address: ([192, 0, 2, last], 5060).into(),
        weight,
    }
}

/// A shard that pings the trunk, and one that only knows it.
struct Lab {
    now: Instant,
    owner: Trunks,
    other: Trunks,
    question: Arc<Question>,
    events: Vec<(EventName, String)>,
    status: TrunkStatus,
    /// What the last changes of the list meant for those who use the nodes.
    moves: Vec<HealthChange>,
}

impl Lab {
    fn new(peers: &str, more: &str) -> Self {
        let now = Instant::now();
        let config = config(peers, more);
        let question = config.names().next().expect("a name").clone();
        let mut lab = Self {
            now,
            owner: Trunks::new(now, Arc::clone(&config), ShardId(0), &[PBX], 7),
            other: Trunks::new(now, config, ShardId(1), &[], 7),
            question: Arc::new(question),
            events: Vec::new(),
            status: TrunkStatus::default(),
            moves: Vec::new(),
        };
        lab.drain();
        lab
    }

    fn resolve(&mut self, places: &[Place], problem: Option<Problem>) {
        let resolved = Resolved {
            question: Arc::clone(&self.question),
            places: places.into(),
            problem,
            lifetime: Duration::from_secs(60),
        };
        self.owner.handle_resolved(self.now, &resolved);
        self.other.handle_resolved(self.now, &resolved);
        self.drain();
    }

    fn drain(&mut self) {
        assert_eq!(self.other.poll_output(), None, "it pings nothing");
        while let Some(output) = self.owner.poll_output() {
            match output {
                Output::Nodes(trunk, nodes) => {
                    let _ = self.owner.handle_nodes(trunk, &nodes);
                    self.moves = self.other.handle_nodes(trunk, &nodes);
                }
                Output::Change(trunk, change) => {
                    self.owner.handle_change(trunk, change);
                    self.other.handle_change(trunk, change);
                }
                Output::Status(_, status) => self.status = status,
                Output::Event(event) => {
                    let Some(Value::List(peers)) = event.extensions.value("Peers") else {
                        panic!("an event names the peers");
                    };
                    self.events.push((event.name, format!("{peers:?}")));
                }
                Output::Ping { .. } | Output::ReportFailure { .. } => panic!("{output:?}"),
            }
        }
    }

    fn fail(&mut self, node: u8) {
        let failure = Failure::Connection;
        self.owner
            .handle_failure(self.now, PBX, node, failure, None);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.owner.handle_timeout(self.now);
        self.drain();
    }

    /// The last numbers of the addresses in the order in which one call tries them.
    fn route(&mut self) -> Vec<u8> {
        let set = TrunkSet {
            trunks: Arc::from([PBX]),
            mode: Selection::PrimaryBackup,
        };
        let Some(mut route) = self.other.select_among(&set) else {
            return Vec::new();
        };
        let last = |address: std::net::SocketAddr| match address {
            std::net::SocketAddr::V4(address) => address.ip().octets()[3],
            std::net::SocketAddr::V6(_) => panic!("no IPv6 here"),
        };
        let mut met = vec![last(route.peer().1.address)];
        while let Some((_, target)) = route.next(&mut self.other) {
            met.push(last(target.address));
        }
        met
    }

    fn source(&self, last: u8) -> bool {
        self.other.by_source([192, 0, 2, last].into()).is_some()
    }
}

#[test]
fn a_trunk_is_silent_about_itself_until_its_names_are_known() {
    let mut lab = Lab::new(r#"["udp:pbx.example.com"]"#, "");
    assert!(!lab.other.in_service(PBX) && lab.other.is_awaiting());
    assert_eq!(lab.status.nodes[0].state, "unresolved");
    assert!(lab.route().is_empty());
    lab.resolve(&[place(1, 1, 1)], None);
    assert!(lab.other.in_service(PBX) && !lab.other.is_awaiting());
    assert_eq!(
        lab.moves,
        [HealthChange {
            peer: 0,
            in_service: true
        }]
    );
    assert_eq!(lab.events, [], "clients never thought otherwise");
    assert_eq!(lab.status.nodes[0].state, "in-service");
}

#[test]
fn a_name_that_leads_nowhere_takes_the_trunk_out_with_the_reason() {
    let mut lab = Lab::new(r#"["udp:pbx.example.com"]"#, "");
    lab.resolve(&[], Some(Problem::NoSuchName));
    assert_eq!(lab.status.nodes[0].state, "no-such-name");
    let (name, peers) = lab.events.pop().expect("out of service");
    assert_eq!(name, EventName::DNOutOfService);
    assert!(
        peers.contains("udp:pbx.example.com") && peers.contains("no-such-name"),
        "{peers}"
    );
    assert!(!lab.other.is_awaiting(), "DNS has spoken");
    lab.resolve(&[place(1, 1, 1)], None);
    assert_eq!(
        lab.events.pop().expect("back").0,
        EventName::DNBackInService
    );
}

#[test]
fn a_call_tries_the_servers_by_priority_and_then_the_next_peer() {
    let peers = r#"["udp:pbx.example.com", "udp:192.0.2.99:5060"]"#;
    let mut lab = Lab::new(peers, "mode = \"primary_backup\"");
    lab.resolve(
        &[
            place(10, 9, 1),
            place(20, 1, 3),
            place(10, 1, 2),
            place(30, 0, 4),
        ],
        None,
    );
    let mut firsts = BTreeMap::new();
    for _ in 0..1_000 {
        let mut route = lab.route();
        *firsts.entry(route[0]).or_insert(0) += 1;
        route[..2].sort_unstable();
        assert_eq!(route, [1, 2, 3, 4, 99]);
    }
    assert!((850..950).contains(&firsts[&1]), "nine in ten: {firsts:?}");
    lab.fail(lab_node(&lab, 1));
    lab.fail(lab_node(&lab, 2));
    assert_eq!(lab.route(), [3, 4, 99]);
}

/// The number of the node at an address.
fn lab_node(lab: &Lab, last: u8) -> u8 {
    let known = &lab.other;
    let at = ([192, 0, 2, last], 5060).into();
    known.nodes_at(PBX, Transport::Udp, at)[0]
}

#[test]
fn health_stays_with_the_server_when_dns_changes_around_it() {
    let mut lab = Lab::new(r#"["udp:pbx.example.com"]"#, "recovery_timeout = 600");
    lab.resolve(&[place(1, 1, 1), place(1, 1, 2)], None);
    lab.fail(lab_node(&lab, 1));
    lab.resolve(&[place(1, 1, 1), place(1, 1, 3)], None);
    assert_eq!(lab.route(), [3], "1 is out, 2 is gone");
    // 2 comes back as it was, 1 is out still.
    lab.resolve(&[place(1, 1, 1), place(2, 1, 2), place(1, 1, 3)], None);
    assert_eq!(lab.route(), [3, 2]);
    lab.fail(lab_node(&lab, 2));
    lab.fail(lab_node(&lab, 3));
    assert_eq!(
        lab.events.pop().expect("all out").0,
        EventName::DNOutOfService
    );
    lab.resolve(&[place(1, 1, 4)], None);
    assert_eq!(lab.route(), [4], "a new server is trusted");
    assert_eq!(
        lab.events.pop().expect("one in").0,
        EventName::DNBackInService
    );
}

#[test]
fn calls_are_taken_from_addresses_of_late_and_no_longer() {
    let mut lab = Lab::new(r#"["udp:pbx.example.com"]"#, "");
    lab.resolve(&[place(1, 1, 1)], None);
    lab.resolve(&[place(1, 1, 2)], None);
    assert_eq!(lab.route(), [2]);
    assert!(lab.source(1) && lab.source(2) && !lab.source(3));
    lab.pass(DNS_RECENT / 2);
    assert!(lab.source(1));
    lab.pass(DNS_RECENT);
    assert!(!lab.source(1) && lab.source(2));
}

#[test]
fn a_stale_answer_changes_nothing_but_what_is_shown() {
    let mut lab = Lab::new(r#"["udp:pbx.example.com"]"#, "");
    lab.resolve(&[place(1, 1, 1)], None);
    lab.resolve(&[place(1, 1, 1)], Some(Problem::NoAnswer));
    assert_eq!(lab.route(), [1]);
    assert_eq!(lab.events, []);
    let node = &lab.status.nodes[0];
    assert_eq!(
        (node.state, node.dns),
        ("in-service", Some("dns-no-answer"))
    );
}

#[test]
fn nodes_that_come_and_go_make_room_for_new_ones_and_never_pile_up() {
    let mut lab = Lab::new(r#"["udp:pbx.example.com"]"#, "");
    for last in 0..=255 {
        lab.resolve(&[place(1, 1, last)], None);
        lab.pass(Duration::from_secs(1));
        assert_eq!(lab.route(), [last]);
    }
    let known = (0..=255).filter(|last| lab.source(*last)).count();
    assert_eq!(known, TRUNK_NODES_MAX, "the latest");
    lab.pass(2 * DNS_RECENT);
    let known = (0..=255).filter(|last| lab.source(*last)).count();
    assert_eq!(known, 1);
}

#[test]
fn request_uris_carry_the_name() {
    for (peer, host) in [
        ("udp:PBX.example.com", "pbx.example.com"),
        ("tcp:pbx.example.com:5060", "pbx.example.com"),
        ("udp:pbx.example.com:5070", "pbx.example.com:5070"),
        ("sip:example.com", "example.com"),
    ] {
        let mut lab = Lab::new(&format!("[{peer:?}]"), "");
        lab.resolve(&[place(1, 1, 1)], None);
        let set = TrunkSet {
            trunks: Arc::from([PBX]),
            mode: Selection::RoundRobin,
        };
        let route = lab.other.select_among(&set).expect("one node");
        assert_eq!(route.request_uri("8001"), format!("sip:8001@{host}"));
    }
}
