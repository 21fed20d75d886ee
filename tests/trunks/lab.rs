//! The trunks of one shard, with the peers behind them, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::config::{self, Config, Selection, TrunkIndex, TrunkSet};
use offhook::cti::{Event, TrunkStatus};
use offhook::dialog::PingOutcome;
use offhook::sip::Status;
use offhook::trunk::{Failure, HealthChange, Output, Route, Trunks};
use offhook_shards::ShardId;
use offhook_shards::clock::Clock;

pub const PBX: TrunkIndex = TrunkIndex(0);
pub const BACKUP: TrunkIndex = TrunkIndex(1);
/// When the user agent gives up a ping: 64·T1.
pub const TIMER_F: Duration = Duration::from_secs(32);
/// When the trunk does, by default.
pub const PING_TIMEOUT: Duration = Duration::from_secs(4);
pub const ALIVE: PingOutcome = PingOutcome::Answered { status: Status::OK };

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn config(pings: bool, mode: &str) -> Arc<Config> {
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
        overload_control = true
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
pub struct Lab {
    pub now: Instant,
    pub start: Instant,
    pub trunks: Trunks,
    /// Peers that do not answer pings.
    pub dead: Vec<(TrunkIndex, u8)>,
    /// Peers that answer pings with this.
    pub grumpy: Option<(TrunkIndex, u8, Status)>,
    pub pings: Vec<(Instant, TrunkIndex, u8)>,
    /// Pings whose outcome is on its way.
    pub flights: Vec<(Instant, TrunkIndex, u8, u32, PingOutcome)>,
    /// How long answers to pings take.
    pub delay: Duration,
    /// Whether the user agent has no room for pings.
    pub full: bool,
    pub changes: Vec<(Duration, TrunkIndex, HealthChange)>,
    pub events: Vec<Event>,
    pub reports: usize,
    /// Nodes that came or went because their names lead elsewhere.
    pub moves: Vec<HealthChange>,
    pub statuses: BTreeMap<TrunkIndex, TrunkStatus>,
}

impl Lab {
    pub fn new(config: Arc<Config>) -> Self {
        Self::on_shard(config, ShardId(0), &[PBX, BACKUP])
    }

    pub fn on_shard(config: Arc<Config>, shard: ShardId, pinging: &[TrunkIndex]) -> Self {
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

    pub fn drain(&mut self) {
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

    pub fn fly(&mut self, trunk: TrunkIndex, peer: u8, number: u32) {
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

    pub fn run(&mut self, time: Duration) {
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

    pub fn fail(&mut self, peer: u8, failure: Failure, retry_after: Option<Duration>) {
        self.trunks
            .handle_failure(self.now, PBX, peer, failure, retry_after);
        self.drain();
    }

    /// The times at which the peer of the first trunk left (`false`) or came back.
    pub fn history(&self, peer: u8) -> Vec<(u64, bool)> {
        self.changes
            .iter()
            .filter(|(_, trunk, change)| *trunk == PBX && change.peer == peer)
            .map(|(at, _, change)| (at.as_secs(), change.in_service))
            .collect()
    }
}

pub fn select(trunks: &mut Trunks, trunk: TrunkIndex) -> Option<Route> {
    trunks.select_among(&TrunkSet {
        trunks: Arc::from([trunk]),
        mode: Selection::PrimaryBackup,
    })
}

pub fn peers(trunks: &mut Trunks, count: usize) -> Vec<u8> {
    (0..count)
        .map(|_| select(trunks, PBX).unwrap().peer().0)
        .collect()
}
