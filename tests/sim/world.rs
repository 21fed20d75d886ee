//! One server, one PBX, its phones and callers, and the network between them, in virtual time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::cti::{
    ClientId, DesktopRequest, Event, EventName, Output, Request, RequestBody, RequestedBy,
    RouteRequest,
};
use offhook::dns::{Place, Problem, Resolved};
use offhook::sip::Feedback;
use offhook_loadgen::node::{Node, Packet};
use offhook_loadgen::population::{
    CallPlan, Callers, CallersOptions, Fact, Fault, MediaServer, Party, Pbx, PbxOptions,
    PhoneControl, Population, Record, Token,
};

use offhook_shards::{ShardId, Transport};

use super::checkers::{self, Journal};
use super::cluster::Cluster;
use super::host::Host;
use super::network::{Flight, Network};
use super::order::Order;
use super::random::Random;
use super::setup::{configuration, subscribes_max};
use super::topology::Topology;
use super::trace::Trace;
use super::wire::Wire;

pub use super::setup::Setup;

/// Phones of the PBX that are no agents: what is dialled there is outside of the server.
pub const OUTSIDE: [&str; 2] = ["4000", "4001"];

/// Half of the session timer that UCM insists on: by then every call has been refreshed.
const SESSION_REFRESHED: Duration = Duration::from_secs(900);

/// Steps of one run before it is taken for endless.
const STEPS_MAX: u64 = 4_000_000;

pub struct World {
    pub now: Instant,
    pub started: Instant,
    pub cluster: Cluster,
    pub population: Population,
    pub media: MediaServer,
    pub network: Network,
    /// What the rules of the protocol remember.
    pub wire: Wire,
    /// In which order callers came, while that is looked at; and whether a router has a say.
    pub order: Option<(Order, bool)>,
    /// Everything that is said, for the ladders.
    pub trace: Option<Trace>,
    /// Who has said what of itself, where that is held.
    pub topology: Option<Topology>,
    /// What the PBX says of its overload to whoever asks (RFC 7339), in every response.
    pub loss: Option<u8>,
    pub journal: Journal,
    pub records: Vec<Record>,
    /// Faults that a silenced PBX reports about itself.
    pub excused: Vec<Fault>,
    /// Whether desktops send calls back and forth.
    pub are_steered: bool,
    /// Requests that must be answered, each by its number.
    pub asked: u32,
    /// How long what a client asks for takes to come in, at most.
    pub clients_take: Duration,
    /// What clients have asked for that has not come in, and when it will.
    coming: VecDeque<(Instant, ShardId, Request)>,
    /// Where the server runs: it may sleep.
    pub host: Host,
    /// Whether the PBX has forgotten calls.
    forgets: bool,
    pub random: Random,
    steps: u64,
    replay: String,
}

/// A run that panics anywhere says how to replay it.
impl Drop for World {
    #[expect(clippy::print_stderr, reason = "a panic elsewhere knows no seed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with {}", self.replay);
        }
    }
}

impl World {
    #[allow(
        clippy::disallowed_methods,
        reason = "virtual time needs some instant to count from"
    )]
    #[allow(clippy::needless_pass_by_value, reason = "a setup makes one world")]
    pub fn new(setup: Setup) -> Self {
        let now = Instant::now();
        let server: SocketAddr = "10.0.0.1:5060".parse().expect("an address");
        let config = Arc::new(configuration(&setup));
        let dns = config.agents.iter().map(|agent| agent.dn.to_string());
        let dns = dns.chain(OUTSIDE.map(str::to_owned));
        let addresses = (0..setup.nodes).map(node_address).collect();
        let pbx = Pbx::new(PbxOptions {
            addresses,
            seed: setup.seed,
            server: Some(server),
            session_timers: setup.profile.forgets(),
            ..PbxOptions::new(node_address(0), dns)
        });
        let callers = Callers::new(CallersOptions {
            seed: setup.seed,
            session_timers: setup.profile.forgets(),
            ..CallersOptions::new(callers_address(), server, "7000")
        });
        Self {
            now,
            started: now,
            cluster: Cluster::new(now, server, Arc::clone(&config), setup.shards, setup.seed),
            population: Population::new(pbx, callers, Duration::from_secs(2)),
            media: MediaServer::new(media_address()),
            network: Network::new(now, setup.faults, setup.seed),
            wire: Wire::new(subscribes_max(&config, setup.shards)),
            order: None,
            trace: None,
            topology: None,
            loss: None,
            journal: Journal::new(config),
            records: Vec::new(),
            excused: Vec::new(),
            are_steered: false,
            asked: 0,
            clients_take: Duration::ZERO,
            coming: VecDeque::new(),
            host: Host::awake(now),
            forgets: setup.profile.forgets(),
            random: Random::new(setup.seed ^ 0xc11e),
            steps: 0,
            replay: format!("PROFILE={} SEED={}", setup.profile.name(), setup.seed),
        }
    }

    /// Jumps to the next thing that can happen, at most to `end`; `false` when nothing can before.
    pub fn step(&mut self, end: Instant) -> bool {
        self.exchange();
        let next = [
            self.network.next(),
            self.server_due(),
            self.population.poll_timeout(),
            self.media.poll_timeout(),
        ];
        let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        self.host.wake(self.now);
        while let Some(flight) = self.network.arrived(self.now) {
            self.deliver(flight);
        }
        if !self.sleeps() {
            self.admit();
            self.cluster.run(self.server_now());
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= self.now);
        if is_due(self.population.poll_timeout()) {
            self.population.handle_timeout(self.now);
        }
        if is_due(self.media.poll_timeout()) {
            self.media.handle_timeout(self.now);
        }
        self.exchange();
        self.look_at_order();
        self.steps += 1;
        assert!(
            self.steps < STEPS_MAX,
            "the run does not end; {}",
            self.replay
        );
        true
    }

    #[track_caller]
    fn look_at_order(&mut self) {
        // I-12: whatever is due has been done.
        if !self.sleeps() && self.server_due().is_some_and(|next| next <= self.now) {
            self.fail("I-12: a shard waits although something is due");
        }
        let Some((mut order, has_router)) = self.order.take() else {
            return;
        };
        if let Err(fault) = order.look(self, has_router) {
            self.fail(&fault);
        }
        self.order = Some((order, has_router));
    }

    fn deliver(&mut self, flight: Flight) {
        let Flight { from, to, bytes } = flight;
        if to == self.cluster.address {
            let flight = Flight { from, to, bytes };
            self.wire.received(self.now, &flight);
            self.cluster.receive(self.server_now(), flight);
        } else if to == self.media.address() {
            self.media.handle_datagram(self.now, to, from, &bytes);
        } else {
            self.population.handle_datagram(self.now, to, from, &bytes);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done`, for at most `patience`.
    #[track_caller]
    pub fn run_until(&mut self, patience: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now + patience;
        while !done(self) {
            if !self.step(end) {
                self.fail("what was waited for did not happen");
            }
        }
    }

    /// Every agent whose phone is there has been seen and is Ready.
    pub fn run_until_ready(&mut self) {
        let count = self.cluster.config.agents.len();
        self.run_until(Duration::from_secs(120), |world| {
            world.journal.ready() == count
        });
    }

    pub fn call(&mut self, plan: CallPlan) -> Token {
        self.population.callers.call(self.now, plan)
    }

    /// A desktop asks for the agent at `dn`.
    pub fn ask(&mut self, dn: &str, request: DesktopRequest) {
        let dn = self.cluster.config.dn(dn).expect("the DN is configured");
        self.request(RequestBody::Desktop(dn, request));
    }

    /// A client asks for something, of whoever can answer.
    pub fn request(&mut self, body: RequestBody) {
        let config = &self.cluster.config;
        let shard = match &body {
            RequestBody::Desktop(dn, _) => self.cluster.owners.dn(config, *dn),
            // Only the call knows in which queue it is.
            RequestBody::Call(conn_id, _)
            | RequestBody::Route(_, RouteRequest::Call { conn_id, .. }) => conn_id.shard(),
            RequestBody::Route(routing_point, RouteRequest::Router(_)) => {
                let queue = config.routing_point_at(*routing_point).queue;
                self.cluster.owners.queue(config, queue)
            }
        };
        if !matches!(
            body,
            RequestBody::Desktop(_, DesktopRequest::Gone | DesktopRequest::Present)
                | RequestBody::Route(_, RouteRequest::Router(_))
        ) {
            self.asked += 1;
        }
        if let Some(trace) = &mut self.trace {
            trace.asked(self.now, &self.cluster.config, &body);
        }
        let asked = format!("request {}: {body:?}", self.asked);
        self.network.remark(self.now, asked);
        let requested_by = RequestedBy {
            client: ClientId(1),
            reference_id: self.asked,
        };
        let takes = self.random.between(Duration::ZERO, self.clients_take);
        let last = self.coming.back().map(|(at, ..)| *at);
        let at = last.map_or(self.now + takes, |last| last.max(self.now + takes));
        let request = Request { requested_by, body };
        self.coming.push_back((at, shard, request));
        if !self.sleeps() {
            self.admit();
        }
    }

    /// What clients have asked for comes in.
    fn admit(&mut self) {
        let now = self.now;
        while let Some((_, shard, request)) = self.coming.pop_front_if(|(at, ..)| *at <= now) {
            self.cluster.request(self.server_now(), shard, request);
        }
    }

    /// What time it is by the server's monotonic clock.
    pub fn server_now(&self) -> Instant {
        self.server_time(self.now)
    }

    /// What time it was then by the server's monotonic clock.
    pub fn server_time(&self, at: Instant) -> Instant {
        self.host.monotonic(at)
    }

    /// When it was that the server's monotonic clock said so.
    pub fn told(&self, at: Instant) -> Instant {
        self.host.told(at)
    }

    /// When the server has something to do.
    fn server_due(&self) -> Option<Instant> {
        let asked = self.coming.front().map(|(at, ..)| *at);
        self.host.due(self.cluster.next(), asked)
    }

    /// Cuts a node of the PBX off, or mends that.
    pub fn connect_node(&mut self, node: u16, is_up: bool) {
        let (node, server) = (node_address(node), self.cluster.address);
        self.network.connect(node, server, is_up);
    }

    /// Nothing is wrong any more with the network, the clients and the server's host.
    pub fn heal(&mut self) {
        self.network.heal();
        self.clients_take = Duration::ZERO;
        if let Some(until) = self.host.asleep_until() {
            self.run_for(until - self.now);
        }
    }

    /// DNS says where the name of the trunk leads: these nodes of the PBX, in order of preference.
    pub fn resolve(&mut self, nodes: &[u16], problem: Option<Problem>) {
        let place = |(priority, node): (u16, &u16)| Place {
            priority,
            transport: Transport::Udp,
            address: node_address(*node),
            weight: 1,
        };
        let question = self.cluster.config.names().next().expect("a name").clone();
        let resolved = Resolved {
            question: Arc::new(question),
            places: (1..).zip(nodes).map(place).collect(),
            problem,
            lifetime: Duration::from_mins(1),
        };
        self.cluster.resolved(self.now, &resolved);
    }

    pub fn phone(&mut self, dn: &str) -> PhoneControl<'_> {
        self.population.pbx.phone(self.now, dn)
    }

    /// Everything comes to its end, and nothing is left: the liveness half of every test.
    #[track_caller]
    pub fn finish(&mut self) {
        self.heal();
        self.run_for(Duration::from_secs(400));
        self.population.callers.finish(self.now);
        self.run_for(Duration::from_secs(120));
        if self.forgets && self.has_calls() {
            self.run_for(SESSION_REFRESHED);
        }
        // Pings and refreshes go on for ever; between them, nothing is under way. Refreshes every
        // two minutes leave no such moment.
        if self.cluster.config.presence.expires >= Duration::from_secs(3_600) {
            self.run_until(Duration::from_secs(120), |world| {
                let engines = &world.cluster.engines;
                engines
                    .iter()
                    .all(|engine| engine.user_agent().transactions() == 0)
            });
        }
        if let Err(fault) = checkers::quiescent(self) {
            self.fail(&fault);
        }
    }

    fn has_calls(&self) -> bool {
        let mut engines = self.cluster.engines.iter();
        engines.any(|engine| engine.live().connected + engine.live().unanswered > 0)
    }

    #[track_caller]
    #[allow(
        clippy::disallowed_methods,
        reason = "who replays a run says how much of it is to be shown"
    )]
    pub fn fail(&self, fault: &str) -> ! {
        let lines = std::env::var("LINES").ok();
        let lines = lines.and_then(|lines| lines.parse().ok()).unwrap_or(120);
        panic!(
            "{fault}\nat {:.3} s; replay with {} (LINES=5000 shows more)\n{}",
            self.now.duration_since(self.started).as_secs_f64(),
            self.replay,
            self.network.ladder(lines),
        );
    }

    /// What a party is connected to at the server of media: the user part of its URI.
    pub fn served(&self, party: &Party) -> Option<String> {
        let ends = self.population.ends();
        let mut own = ends.iter().filter(|end| end.party == *party);
        own.find_map(|end| {
            let mut seats = self.media.seats();
            let seat = seats.find(|seat| end.hears == Some(seat.here))?;
            (seat.sends_to == Some(end.here)).then(|| seat.user.to_owned())
        })
    }

    /// How often a fact happened.
    pub fn count(&self, matches: impl Fn(&Fact) -> bool) -> usize {
        self.records
            .iter()
            .filter(|record| matches(&record.fact))
            .count()
    }

    /// How often the desktop of an agent was told that its phone rings.
    pub fn rang(&self, dn: &str) -> usize {
        let rings = |event: &&Event| event.name == EventName::Ringing && event.this_dn == dn;
        self.journal.events.iter().filter(rings).count()
    }

    /// The callers who have not left.
    pub fn tokens(&self) -> Vec<Token> {
        let live = self.population.callers.live();
        live.map(|call| call.token).collect()
    }

    fn carry(&mut self, flight: Flight) {
        if let Some(trace) = &mut self.trace {
            trace.sent(self.now, &flight);
        }
        self.network.carry(self.now, flight);
    }

    #[track_caller]
    fn exchange(&mut self) {
        self.cluster.collect(self.server_now());
        // What clients are told of a message stands before what the message leads to.
        for (_, mut output) in std::mem::take(&mut self.cluster.outputs) {
            if let Output::Event(event) = &mut output {
                event.at = self.host.told(event.at);
                if let Some(trace) = &mut self.trace {
                    trace.said(self.now, event);
                }
                self.network.remark(self.now, checkers::in_short(event));
            }
            if let Err(fault) = self.journal.take(output) {
                self.fail(&fault);
            }
        }
        for waiting in std::mem::take(&mut self.cluster.waits) {
            self.network.swallowed.waits.note(self.now, waiting);
        }
        for flight in self.cluster.transmits() {
            let swallowed = &self.network.swallowed;
            let wire = self.wire.sent(self.now, &flight, swallowed);
            let seen = self.topology.as_ref().map(|all| all.leaves(&flight));
            if let Err(fault) = wire.and(seen.unwrap_or(Ok(()))) {
                self.fail(&fault);
            }
            self.carry(flight);
        }
        let mut bytes = Vec::new();
        let node = |world: &mut Self, bytes: &mut Vec<u8>| {
            let packet = world.population.poll_transmit(bytes);
            packet.or_else(|| world.media.poll_transmit(bytes))
        };
        while let Some(Packet { from, to }) = node(self, &mut bytes) {
            let bytes = std::mem::take(&mut bytes);
            let mut flight = Flight { from, to, bytes };
            if let Some(loss) = self.loss {
                tell_of_overload(&mut flight, loss, self.now - self.started);
            }
            if let Some(topology) = &mut self.topology {
                topology.arrives(&mut flight);
            }
            self.carry(flight);
        }
        let before = self.records.len();
        let records = self.population.take_records(self.now);
        self.records.extend(records);
        self.records.extend(self.media.take_records());
        if let Err(fault) = checkers::always(self, before) {
            self.fail(&fault);
        }
    }
}

/// Fills in what the server's Via has asked for.
fn tell_of_overload(flight: &mut Flight, loss: u8, sequence: Duration) {
    // A PBX need not repeat the quotes of a token.
    const ASKED: &str = ";oc;oc-algo=loss";
    let text = String::from_utf8_lossy(&flight.bytes).replace("\"loss\"", "loss");
    if text.starts_with("SIP/2.0 ") && text.contains(ASKED) {
        let feedback = Feedback {
            loss_percent: loss,
            validity: Duration::from_secs(2),
            sequence,
        };
        flight.bytes = text.replacen(ASKED, &feedback.to_string(), 1).into_bytes();
    }
}

/// Where a node of the PBX is.
pub fn node_address(node: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, 1 + node as u8], 5060))
}

pub fn media_address() -> SocketAddr {
    "10.0.2.1:5060".parse().expect("an address")
}

pub fn callers_address() -> SocketAddr {
    "10.0.1.1:5080".parse().expect("an address")
}
