//! Trunks: the choice among peers, and when a peer is out of service and back, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::config::{self, Config, Selection, TrunkIndex, TrunkSet};
use offhook::cti::{Event, EventName, TrunkStatus, Value};
use offhook::dialog::PingOutcome;
use offhook::sip::Status;
use offhook::trunk::{Failure, HealthChange, Output, Route, Trunks};
use offhook_shards::clock::Clock;
use offhook_shards::{ShardId, Transport};

const PBX: TrunkIndex = TrunkIndex(0);
const BACKUP: TrunkIndex = TrunkIndex(1);
/// When the user agent gives up a ping: 64·T1.
const TIMER_F: Duration = Duration::from_secs(32);
/// When the trunk does, by default.
const PING_TIMEOUT: Duration = Duration::from_secs(4);
const ALIVE: PingOutcome = PingOutcome::Answered { status: Status::OK };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config(pings: bool, mode: &str) -> Arc<Config> {
    let check = if pings {
        "oos_check = 30\noos_force = 10\nping_max_forwards = 7"
    } else {
        "oos_check = 0"
    };
    let text = format!(
        r#"
        [server]
        sip = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "udp:[::1]:5060"]
        [[trunk]]
        name = "pbx"
        peers = ["udp:192.0.2.20:5060", "tcp:192.0.2.21:5070", "udp:[2001:db8::22]:5060"]
        mode = "{mode}"
        {check}
        recovery_timeout = 60
        [[trunk]]
        name = "backup"
        peers = ["udp:192.0.2.30:5060"]
        domain = "backup.example.com"
        big_requests = "udp"
        {check}
        recovery_timeout = 60
        [[agent]]
        dn = "8001"
        trunks = ["pbx"]
        "#
    );
    let config = config::parse(&text, &|_| Err("no files".into()));
    Arc::new(config.unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

/// The trunks of one shard, which pings them all, and the peers behind them.
struct Lab {
    now: Instant,
    start: Instant,
    trunks: Trunks,
    /// Peers that do not answer pings.
    dead: Vec<(TrunkIndex, u8)>,
    /// Peers that answer pings with this.
    grumpy: Option<(TrunkIndex, u8, Status)>,
    pings: Vec<(Instant, TrunkIndex, u8)>,
    /// Pings whose outcome is on its way.
    flights: Vec<(Instant, TrunkIndex, u8, u32, PingOutcome)>,
    /// How long answers to pings take.
    delay: Duration,
    /// Whether the user agent has no room for pings.
    full: bool,
    changes: Vec<(Duration, TrunkIndex, HealthChange)>,
    events: Vec<Event>,
    reports: usize,
    /// Nodes that came or went because their names lead elsewhere.
    moves: Vec<HealthChange>,
    statuses: BTreeMap<TrunkIndex, TrunkStatus>,
}

impl Lab {
    fn new(config: Arc<Config>) -> Self {
        Self::on_shard(config, ShardId(0), &[PBX, BACKUP])
    }

    fn on_shard(config: Arc<Config>, shard: ShardId, pinging: &[TrunkIndex]) -> Self {
        let now = Clock.now();
        Self {
            now,
            start: now,
            trunks: Trunks::new(now, config, shard, pinging, 42),
            dead: Vec::new(),
            grumpy: None,
            pings: Vec::new(),
            flights: Vec::new(),
            delay: Duration::from_millis(5),
            full: false,
            changes: Vec::new(),
            events: Vec::new(),
            reports: 0,
            moves: Vec::new(),
            statuses: BTreeMap::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.trunks.poll_output() {
            match output {
                Output::Ping {
                    trunk,
                    peer,
                    number,
                    ..
                } => self.fly(trunk, peer, number),
                Output::Change(trunk, change) => {
                    self.changes.push((self.now - self.start, trunk, change));
                    self.trunks.handle_change(trunk, change);
                }
                Output::Nodes(trunk, nodes) => {
                    let changes = self.trunks.handle_nodes(trunk, &nodes);
                    self.moves.extend(changes);
                }
                Output::Status(trunk, status) => {
                    self.statuses.insert(trunk, status);
                }
                Output::Event(event) => self.events.push(*event),
                Output::ReportFailure { .. } => self.reports += 1,
            }
        }
    }

    fn fly(&mut self, trunk: TrunkIndex, peer: u8, number: u32) {
        self.pings.push((self.now, trunk, peer));
        if self.full {
            return self.trunks.handle_unsent(self.now, trunk, peer, number);
        }
        let (at, outcome) = if self.dead.contains(&(trunk, peer)) {
            (self.now + TIMER_F, PingOutcome::Silent)
        } else {
            let outcome = match self.grumpy {
                Some((t, p, status)) if (t, p) == (trunk, peer) => PingOutcome::Answered { status },
                _ => ALIVE,
            };
            (self.now + self.delay, outcome)
        };
        self.flights.push((at, trunk, peer, number, outcome));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        loop {
            let timer = self.trunks.poll_timeout();
            let flight = self.flights.iter().map(|flight| flight.0).min();
            let Some(at) = [timer, flight].into_iter().flatten().min() else {
                break;
            };
            if at > end {
                break;
            }
            self.now = at.max(self.now);
            if let Some(place) = self.flights.iter().position(|flight| flight.0 <= self.now) {
                let (_, trunk, peer, number, outcome) = self.flights.remove(place);
                self.trunks
                    .handle_ping(self.now, trunk, peer, number, outcome);
            } else {
                self.trunks.handle_timeout(self.now);
            }
            self.drain();
        }
        self.now = end;
    }

    fn fail(&mut self, peer: u8, failure: Failure, retry_after: Option<Duration>) {
        self.trunks
            .handle_failure(self.now, PBX, peer, failure, retry_after);
        self.drain();
    }

    /// The times at which the peer of the first trunk left (`false`) or came back.
    fn history(&self, peer: u8) -> Vec<(u64, bool)> {
        self.changes
            .iter()
            .filter(|(_, trunk, change)| *trunk == PBX && change.peer == peer)
            .map(|(at, _, change)| (at.as_secs(), change.in_service))
            .collect()
    }
}

fn select(trunks: &mut Trunks, trunk: TrunkIndex) -> Option<Route> {
    trunks.select_among(&TrunkSet {
        trunks: Arc::from([trunk]),
        mode: Selection::PrimaryBackup,
    })
}

fn peers(trunks: &mut Trunks, count: usize) -> Vec<u8> {
    (0..count)
        .map(|_| select(trunks, PBX).unwrap().peer().0)
        .collect()
}

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
