//! The server, the sites on their workers, the CTI connections, and the one loop that carries what
//! they say to desks, routers and the oracle.
//!
//! What happens is stamped where it happens. The oracle gets it a little later, in the order of
//! the stamps, because workers and connections report in batches.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use offhook::config::{self, Config, Driver};
use offhook::server::logging;
use offhook::server::serve::{self, Choices, Serving};
use offhook_shards::clock::Clock;
use offhook_shards::{DriverChoice, Events, Options, Placement, Running, ShardId, start};

use super::cast::{lines, population};
use super::cti::{Heard, Lines};
use super::deeds::Deeds;
use super::desk::{Asked, Command, Desks};
use super::error::FloorError;
use super::oracle::{Measure, Oracle};
use super::profile::{PbxPlan, Profile};
use super::router::Routers;
use super::said::{Connection, Said};
use super::site::{Order, Report, Site, Standing};
use super::trail;
use super::{Setup, Tally};
use crate::measure::{Health, Latency, Probe, Reason, Times, Tolerance, UNSENT, worker_thread};
use crate::population::{Fact, Record, Token, Totals};
use crate::screen::Snapshot;

/// The connection that hears everything.
pub(super) const OBSERVER: Connection = Connection(0);
/// How long an observation waits for others with an earlier stamp.
const ORDER_DELAY: Duration = Duration::from_millis(30);
/// Between two looks at what workers report.
const LOOK_INTERVAL: Duration = Duration::from_millis(4);
/// Reports taken at a time.
const REPORTS_MAX: usize = 4_096;
/// CTI messages taken at a time.
const HEARD_MAX: usize = 4_096;

/// Something that the oracle is to know.
enum Observation {
    Record(usize, Box<Record>),
    Said(Box<Said>),
    Asked(Asked),
    Lost(Connection),
    Resumed(Connection, bool),
}

/// One PBX on its worker.
struct Place {
    running: Running<Site>,
    events: Events<Site>,
    standing: Standing,
    /// By which the kernel knows the worker.
    thread: Option<u32>,
}

/// How a run stands, for those who watch.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// `login`, `calls`, `drain` or `done`.
    pub phase: &'static str,
    /// Since the phase began.
    pub elapsed: Duration,
    /// Agents by the server's words.
    pub tally: Tally,
    /// How calls ended.
    pub totals: Totals,
    /// Callers who are not over.
    pub live: usize,
    /// Violations found.
    pub violations: u64,
    /// What a screen shows.
    pub snapshot: Snapshot,
}

/// Everything that plays.
pub(super) struct Stage {
    pub(super) oracle: Oracle,
    pub(super) desks: Desks,
    pub(super) routers: Routers,
    /// What was measured.
    pub(super) times: BTreeMap<Measure, Times>,
    /// Caller's INVITE (as intended) → agent's INVITE, when somebody was free.
    pub(super) routing: Latency,
    /// The same for callers that had to wait.
    pub(super) queueing: Latency,
    /// Intended → real sending of callers' INVITEs: the generator's own lag.
    pub(super) lag: Times,
    /// Errors that desktops were answered with, by request and code.
    pub(super) errors: BTreeMap<(String, String), u64>,
    /// Requests sent and answered well.
    pub(super) requests: (u64, u64),
    /// Connections lost and resumed.
    pub(super) losses: (u64, u64),
    /// What was done to calls, by the server's words.
    pub(super) deeds: Deeds,
    /// Messages of calls that went wrong.
    pub(super) trails: BTreeMap<Token, Vec<trail::Line>>,
    pub(super) driver: &'static str,
    pub(super) shards: u16,
    /// When it began, in UTC.
    pub(super) started: String,
    /// Our own addresses.
    pub(super) local: Vec<SocketAddr>,
    /// The server's.
    pub(super) remote: SocketAddr,
    probe: Probe,
    began: Instant,
    places: Vec<Place>,
    observations: BTreeMap<(Instant, u64), Observation>,
    observed: u64,
    /// Whether the observer has been registered.
    is_observed: bool,
    shown: usize,
    heard: Receiver<Heard>,
    lines: Option<Lines>,
    serving: Option<Serving>,
    open_requests: BTreeMap<u64, String>,
}

impl Stage {
    /// Starts the server and connects everything to it.
    pub(super) fn set_up(profile: &Profile, setup: &Setup) -> Result<Self, FloorError> {
        let ports = ports(profile).map_err(FloorError::Port)?;
        let peers: Vec<Vec<SocketAddr>> = ports.iter().map(|(nodes, _)| nodes.clone()).collect();
        let (serving, sip, http) = match setup.target {
            Some(target) => (None, target.sip, target.http),
            None => {
                let config = configuration(profile, &peers, setup.driver)?;
                logging::start(config.server.log);
                let serving =
                    serve::start(&config, Choices::default()).map_err(FloorError::Server)?;
                let sip = *serving
                    .udp
                    .first()
                    .expect("the configuration has a UDP listener");
                let http = serving.http;
                (Some((serving, serve::shard_count(&config))), sip, http)
            }
        };
        let mut places = Vec::new();
        for (number, (plan, (nodes, callers))) in profile.pbxs.iter().zip(&ports).enumerate() {
            let place = place(profile, setup, number, plan, (nodes, *callers), sip)?;
            places.push(place);
        }
        let desks = Desks::new(profile, OBSERVER.0 + 1);
        let first_router = OBSERVER.0 + 1 + desks.connections().len();
        let routers = Routers::new(profile, first_router, OBSERVER);
        let (sender, heard) = channel();
        let lines = lines(profile, &desks, &routers);
        let lines = Lines::open(http, lines, sender).map_err(FloorError::Generator)?;
        let local = ports
            .iter()
            .flat_map(|(nodes, callers)| nodes.iter().copied().chain([*callers]));
        let local: Vec<SocketAddr> = local.collect();
        let threads: Vec<u32> = places.iter().filter_map(|place| place.thread).collect();
        let (serving, shards) = match serving {
            Some((serving, shards)) => (Some(serving), shards),
            None => (None, 0),
        };
        Ok(Self {
            oracle: Oracle::new(profile, OBSERVER),
            desks,
            routers,
            times: BTreeMap::new(),
            routing: Latency::default(),
            queueing: Latency::default(),
            lag: Times::default(),
            errors: BTreeMap::new(),
            requests: (0, 0),
            losses: (0, 0),
            // Told also when nobody did it.
            deeds: Deeds::none(),
            trails: BTreeMap::new(),
            driver: serving.as_ref().map_or("", |serving| serving.driver),
            shards,
            started: wall_clock(),
            probe: Probe::read(&local, Some(sip), &threads),
            local,
            remote: sip,
            began: Clock.now(),
            places,
            observations: BTreeMap::new(),
            observed: 0,
            is_observed: false,
            shown: 0,
            heard,
            lines: Some(lines),
            serving,
            open_requests: BTreeMap::new(),
        })
    }

    /// Turns everything until `until`.
    pub(super) fn turn(&mut self, until: Instant) -> Result<(), FloorError> {
        loop {
            let now = Clock.now();
            self.act(now);
            self.look();
            self.tell_oracle(now);
            if now >= until {
                return Ok(());
            }
            let wait = LOOK_INTERVAL.min(until.saturating_duration_since(now));
            match self.heard.recv_timeout(wait) {
                Ok(told) => {
                    self.take(told)?;
                    for _ in 0..HEARD_MAX {
                        let Ok(told) = self.heard.try_recv() else {
                            break;
                        };
                        self.take(told)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Every connection has ended; what it said about it was heard.
                Err(RecvTimeoutError::Disconnected) => std::thread::yield_now(),
            }
        }
    }

    fn take(&mut self, told: Heard) -> Result<(), FloorError> {
        match told {
            Heard::Said(said) => {
                // Whoever still reads the snapshot hears events late, by its own fault.
                if said.connection == OBSERVER && said.ends_snapshot && !self.is_observed {
                    self.is_observed = true;
                    self.order_all(&Order::Admit);
                }
                self.desks.hear(&said);
                self.routers.hear(&said);
                self.count(&said);
                self.observe(said.at, Observation::Said(said));
            }
            Heard::Lost(connection, at) => {
                self.losses.0 += 1;
                self.observe(at, Observation::Lost(connection));
            }
            Heard::Resumed(connection, complete) => {
                self.losses.1 += u64::from(complete);
                self.observe(Clock.now(), Observation::Resumed(connection, complete));
            }
            Heard::Ended(connection, words) => {
                let who = connection.0;
                return Err(FloorError::Cti(format!("connection {who}: {words}")));
            }
        }
        Ok(())
    }

    fn count(&mut self, said: &Said) {
        let answered = said
            .reference
            .and_then(|number| self.open_requests.remove(&number));
        self.deeds.hear(said, answered.as_deref());
        if let Some(request) = answered {
            match &said.error {
                Some(code) => *self.errors.entry((request, code.clone())).or_default() += 1,
                None => self.requests.1 += 1,
            }
        }
    }

    fn observe(&mut self, at: Instant, observation: Observation) {
        self.observed += 1;
        self.observations.insert((at, self.observed), observation);
    }

    /// Desks and routers do what is due.
    fn act(&mut self, now: Instant) {
        if self.desks.poll_timeout().is_some_and(|at| at <= now) {
            self.desks.handle_timeout(now);
        }
        if self.routers.poll_timeout().is_some_and(|at| at <= now) {
            self.routers.handle_timeout(now);
        }
        while let Some(command) = self.desks.poll_command() {
            match command {
                Command::Ask(asked) => {
                    self.requests.0 += 1;
                    self.open_requests
                        .insert(asked.reference, asked.message.clone());
                    // Known before the answer can be.
                    self.observe(now, Observation::Asked(asked.clone()));
                    if let Some(lines) = &self.lines {
                        lines.send(asked.connection, asked.frame);
                    }
                }
                Command::Lose(connection, length) => {
                    if let Some(lines) = &self.lines {
                        lines.lose(connection, length);
                    }
                }
            }
        }
        while let Some(routed) = self.routers.poll_answer() {
            if let Some(lines) = &self.lines {
                lines.send(routed.connection, routed.frame);
            }
        }
    }

    /// Takes what the workers report.
    fn look(&mut self) {
        let mut reports = Vec::new();
        for number in 0..self.places.len() {
            let place = &mut self.places[number];
            place.events.drain(REPORTS_MAX, &mut reports);
            for (_, report) in reports.drain(..) {
                match report {
                    Report::Records(records) => {
                        for record in records {
                            self.note_lag(&record);
                            self.deeds.see(&record.fact);
                            let at = record.at;
                            self.observe(at, Observation::Record(number, Box::new(record)));
                        }
                    }
                    Report::Routings(routings) => {
                        for routing in routings {
                            let latencies = if routing.found_free {
                                &mut self.routing
                            } else {
                                &mut self.queueing
                            };
                            let behind = routing.from_intended.saturating_sub(routing.from_sent);
                            latencies.record(routing.from_intended, behind);
                        }
                    }
                    Report::Standing(standing) => self.places[number].standing = *standing,
                    Report::Trail(token, lines) => {
                        self.trails.insert(token, lines);
                    }
                }
            }
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "it looks for one fact among many"
    )]
    fn note_lag(&mut self, record: &Record) {
        if let Fact::Offered { intended, .. } = record.fact {
            let lag = record.at.saturating_duration_since(intended);
            self.lag.record(lag);
        }
    }

    /// Gives the oracle what has waited long enough, in the order of the stamps.
    fn tell_oracle(&mut self, now: Instant) {
        while let Some(entry) = self.observations.first_entry() {
            let at = entry.key().0;
            if at + ORDER_DELAY > now {
                break;
            }
            match entry.remove() {
                Observation::Record(pbx, record) => self.oracle.see(pbx, &record),
                Observation::Said(said) => self.oracle.hear(&said),
                Observation::Asked(asked) => self.oracle.ask(at, &asked),
                Observation::Lost(connection) => self.oracle.lose(connection),
                Observation::Resumed(connection, complete) => {
                    self.oracle.resume(connection, complete);
                }
            }
        }
        for (measure, time) in self.oracle.take_times() {
            self.times.entry(measure).or_default().record(time);
        }
        self.show_violations();
    }

    /// Asks for the messages of calls that went wrong, while they are remembered.
    fn show_violations(&mut self) {
        /// Calls whose messages are shown.
        const TRAILS_MAX: usize = 10;
        let violations = self.oracle.violations();
        let fresh = violations.get(self.shown..).unwrap_or_default();
        let tokens: Vec<Token> = fresh.iter().filter_map(|one| one.token).collect();
        self.shown = violations.len();
        for token in tokens {
            if self.trails.len() < TRAILS_MAX && !self.trails.contains_key(&token) {
                self.trails.insert(token, Vec::new());
                self.order_all(&Order::Show(token));
            }
        }
    }

    /// Orders something of one site.
    pub(super) fn order(&self, pbx: usize, order: Order) {
        // A worker has room for a thousand orders, and gets a few a second.
        let given = self.places[pbx].running.request(ShardId(0), order);
        debug_assert!(given.is_ok(), "a worker's queue is never full of orders");
    }

    /// Orders something of every site.
    pub(super) fn order_all(&self, order: &Order) {
        for pbx in 0..self.places.len() {
            self.order(pbx, order.clone());
        }
    }

    /// How the sites stood when they were asked last.
    pub(super) fn standings(&self) -> impl Iterator<Item = &Standing> {
        self.places.iter().map(|place| &place.standing)
    }

    /// How calls ended so far.
    pub(super) fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for standing in self.standings() {
            sum += standing.totals;
        }
        sum
    }

    /// How a run stands.
    pub(super) fn progress(&self, phase: &'static str, elapsed: Duration) -> Progress {
        Progress {
            phase,
            elapsed,
            tally: self.oracle.tally(),
            totals: self.totals(),
            live: self.standings().map(|standing| standing.live).sum(),
            violations: self.oracle.counts().values().sum(),
            snapshot: Snapshot::default(),
        }
    }

    /// What the generator did itself.
    pub(super) fn health(&self) -> Health {
        let threads: Vec<u32> = self
            .places
            .iter()
            .filter_map(|place| place.thread)
            .collect();
        let now = Probe::read(&self.local, Some(self.remote), &threads);
        let drops = now.drops_since(&self.probe);
        let mut stalls = Times::default();
        for standing in self.standings() {
            stalls.merge(&standing.stalls);
        }
        let unsent = self.places.iter().map(unsent).sum();
        Health {
            observed: Clock.now().saturating_duration_since(self.began),
            lag: self.lag.clone(),
            stalls,
            own_drops: drops.own,
            peer_drops: drops.peer,
            machine_drops: drops.machine,
            unsent,
            exhausted: 0,
            workers: now.load_since(&self.probe),
        }
    }

    /// How often each rule was broken.
    pub(super) fn broken_rules(&self) -> Vec<(String, u64)> {
        let counts = self.oracle.counts().iter();
        counts
            .map(|(rule, count)| (rule.name().to_owned(), *count))
            .collect()
    }

    /// Stops connections, server and workers, in this order.
    pub(super) fn clear(mut self) -> Result<(), FloorError> {
        if let Some(lines) = self.lines.take() {
            lines.close();
        }
        let stopped = self.serving.take().map_or(Ok(()), Serving::stop);
        let mut broken = Ok(());
        for place in self.places {
            let ended = place.running.stop();
            broken = broken.and(ended.map_err(FloorError::Broken));
        }
        stopped.map_err(FloorError::Server)?;
        broken
    }
}

/// The ports of each PBX's nodes and of its callers: those of the profile, else free ones.
fn ports(profile: &Profile) -> std::io::Result<Vec<(Vec<SocketAddr>, SocketAddr)>> {
    let mut held = Vec::new();
    let mut free = |port: u16| -> std::io::Result<SocketAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = socket.local_addr()?;
        // Held until all are chosen, so that none is chosen twice.
        held.push(socket);
        Ok(address)
    };
    let ports = profile.pbxs.iter().map(|pbx| {
        let next = |offset: u16| match pbx.port {
            0 => 0,
            first => first.saturating_add(offset),
        };
        let nodes = (0..pbx.nodes)
            .map(|node| free(next(node)))
            .collect::<std::io::Result<Vec<SocketAddr>>>()?;
        Ok((nodes, free(next(pbx.nodes))?))
    });
    ports.collect()
}

fn configuration(
    profile: &Profile,
    peers: &[Vec<SocketAddr>],
    driver: Driver,
) -> Result<Config, FloorError> {
    let text = profile.configuration(peers, "127.0.0.1:0", "127.0.0.1:0");
    let word = match driver {
        Driver::Auto => "auto",
        Driver::Uring => "uring",
        Driver::Epoll => "epoll",
    };
    let text = text.replacen("[server]\n", &format!("[server]\ndriver = \"{word}\"\n"), 1);
    let no_files = |name: &str| Err(format!("a floor reads no file, and so not {name}"));
    config::parse_named("floor", &text, &no_files).map_err(FloorError::Configuration)
}

fn place(
    profile: &Profile,
    setup: &Setup,
    number: usize,
    plan: &PbxPlan,
    (nodes, callers): (&[SocketAddr], SocketAddr),
    sip: SocketAddr,
) -> Result<Place, FloorError> {
    let mut udp = nodes.to_vec();
    udp.push(callers);
    let options = Options {
        shards: 1,
        placement: Placement::NoPin,
        driver: DriverChoice::Epoll,
        // A generator spares the processor.
        prompt: false,
        udp,
        ..Options::default()
    };
    let seed = profile.seed.wrapping_add((number as u64) << 48);
    let population = population(profile, number, plan, (nodes, callers), sip);
    let weather = plan.weather;
    let trail_max = setup.trail_max;
    let made = Arc::new(Mutex::new(Some(population)));
    let thread = Arc::new(Mutex::new(None));
    let known = Arc::clone(&thread);
    let running = start(&options, move |_| {
        let population = made.lock().ok().and_then(|mut made| made.take());
        let population = population.expect("a site has one shard, which is made once");
        if let Ok(mut thread) = thread.lock() {
            *thread = worker_thread();
        }
        Site::new(Clock.now(), population, weather, seed, trail_max)
    });
    let mut running = running.map_err(FloorError::Worker)?;
    let events = running.take_events().expect("nobody else has taken them");
    let thread = known.lock().ok().and_then(|thread| *thread);
    Ok(Place {
        running,
        events,
        standing: Standing::default(),
        thread,
    })
}

/// Messages of a PBX that could not be given to the kernel.
fn unsent(place: &Place) -> u64 {
    let metrics = place.running.metrics();
    UNSENT.iter().map(|counter| metrics.total(*counter)).sum()
}

/// The present moment as RFC 3339 has it.
fn wall_clock() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let at = Clock.now();
    let epoch = since.unwrap_or_default();
    crate::scenario::calendar::Calendar::new(at, epoch).rfc3339(at)
}

/// Why the generator's figures say nothing about the server; empty if they do.
pub(super) fn health_faults(health: &Health) -> Vec<Reason> {
    health.faults(&Tolerance::default())
}
