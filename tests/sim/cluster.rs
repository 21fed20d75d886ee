//! The server in virtual time: its engines, and the mesh between them with delays of its own.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::config::Config;
use offhook::counters::{Counter, Counters};
use offhook::cti::{Output, Request};
use offhook::dns::Resolved;
use offhook::engine::{Engine, EngineConfig, Input, Message, Owners, Shared};
use offhook::journal::{Image, frame};
use offhook::wall::Wall;
use offhook_shards::limits::HANDLED_PER_TURN_MAX;
use offhook_shards::{
    ConnectionChange, ConnectionId, ConnectionOutcome, Engine as _, Intake, ShardId, Source,
    Transport, Urgency,
};

use super::network::Flight;
use super::random::Random;
use super::waits::Waiting;

/// What time it is when a world begins, counted from 1970: calendars that change with the minute do
/// so while a random run is restless.
const BEGINS: Duration = Duration::from_secs(45);

/// What travels between two shards.
enum Parcel {
    Message(Message),
    Datagram(Flight),
}

/// A shard that needs time for what it does: what it has not come to yet, and until when it is
/// busy.
struct Desk {
    intake: Intake,
    busy_until: Instant,
    /// How many of those that wait are handled as they came, whatever comes meanwhile.
    in_order: usize,
    /// How many strangers have their turn after them.
    strangers: usize,
}

impl Desk {
    fn new(busy_until: Instant) -> Self {
        Self {
            intake: Intake::default(),
            busy_until,
            in_order: 0,
            strangers: 0,
        }
    }

    /// The line whose first message is handled next: the order is that of a shard, which decides
    /// anew for each turn. A turn by urgency is one message here, because one takes as long as many
    /// of a shard.
    fn next(&mut self) -> Option<Urgency> {
        let intake = &self.intake;
        if self.in_order == 0 && self.strangers == 0 && intake.is_short() {
            let strangers = intake.len(Urgency::Aside);
            self.in_order = intake.waiting() - strangers;
            self.strangers = strangers.min(HANDLED_PER_TURN_MAX);
        }
        if self.in_order > 0 {
            self.in_order -= 1;
            return intake.first();
        }
        if self.strangers > 0 {
            self.strangers -= 1;
            return Some(Urgency::Aside);
        }
        Urgency::ALL.into_iter().find(|it| intake.len(*it) > 0)
    }
}

/// A message that is refused, or over before it is read, takes this part of the time of another.
const REFUSAL_PART: u32 = 50;

/// Parcels of one ordered pair of shards: first in, first out, each with its arrival.
type Lane = VecDeque<(Instant, Parcel)>;

/// All shards of one server.
pub struct Cluster {
    pub address: SocketAddr,
    pub engines: Vec<Engine>,
    pub counters: Vec<Arc<Counters>>,
    pub owners: Owners,
    pub config: Arc<Config>,
    lanes: BTreeMap<(usize, usize), Lane>,
    /// Who talks over a stream, and its connection.
    connections: BTreeMap<SocketAddr, ConnectionId>,
    connected: u32,
    /// How long a shard needs for a message, and what waits for each; by itself it needs no time.
    pace: Duration,
    desks: Vec<Desk>,
    /// Messages that went before one that had come earlier.
    pub overtakings: u64,
    /// What has become of messages that are awaited, since this was last looked at.
    pub waits: Vec<Waiting>,
    /// Events and notices, with their shards, in the order in which the control plane gets them.
    pub outputs: Vec<(usize, Output)>,
    random: Random,
    /// What the engines have written down.
    pub image: Image,
    /// Whether what they say waits for their records to be written.
    pub is_shut: bool,
    /// What time it is by the clock on the wall.
    wall: Wall,
    keys: [u64; 2],
    seed: u64,
}

impl Cluster {
    pub fn new(
        now: Instant,
        address: SocketAddr,
        config: Arc<Config>,
        shards: u16,
        seed: u64,
    ) -> Self {
        let keys = [seed ^ 0x5eed, !seed];
        let owners = Owners::new(shards, keys);
        let counters: Vec<Arc<Counters>> = (0..shards).map(|_| Arc::default()).collect();
        let mut cluster = Self {
            address,
            engines: Vec::new(),
            counters,
            owners,
            config,
            lanes: BTreeMap::new(),
            connections: BTreeMap::new(),
            connected: 0,
            pace: Duration::ZERO,
            desks: Vec::new(),
            overtakings: 0,
            waits: Vec::new(),
            outputs: Vec::new(),
            random: Random::new(seed ^ 0xc1),
            image: Image::default(),
            is_shut: false,
            wall: Wall {
                at: now,
                since_epoch: BEGINS,
            },
            keys,
            seed,
        };
        cluster.engines = cluster.start(now, seed);
        cluster
    }

    fn start(&self, now: Instant, seed: u64) -> Vec<Engine> {
        let shared = Shared {
            shards: self.owners.shards(),
            keys: self.keys,
            seed,
        };
        let shards = (0..shared.shards).map(ShardId);
        shards
            .map(|shard| {
                let setup = EngineConfig::new(
                    Arc::clone(&self.config),
                    shard,
                    shared,
                    Arc::clone(&self.counters[shard.index()]),
                    self.wall,
                );
                Engine::with_journal(now, setup, &self.image)
            })
            .collect()
    }

    /// From now on every message takes so long.
    pub fn slow_down(&mut self, now: Instant, pace: Duration) {
        assert_eq!(self.waiting(), 0, "what waits would be lost");
        let desk = |_| Desk::new(now);
        self.pace = pace;
        self.desks = (0..self.engines.len()).map(desk).collect();
    }

    /// How many messages wait for a shard that is busy.
    pub fn waiting(&self) -> usize {
        let of = |desk: &Desk| Urgency::ALL.map(|urgency| desk.intake.len(urgency));
        self.desks.iter().flat_map(of).sum()
    }

    /// What a shard that needs time for it has come to by now.
    fn work_off(&mut self, now: Instant) {
        for shard in 0..self.desks.len() {
            let refused = |counters: &Counters| counters.value(Counter::InviteOverload);
            while let Some(desk) = self.desks.get_mut(shard).filter(|it| it.busy_until <= now) {
                let first = desk.intake.first();
                let Some(urgency) = desk.next() else {
                    break;
                };
                // A stranger whose turn it is has come before that began.
                let overtakes = first.is_some_and(|first| first != urgency);
                self.overtakings += u64::from(overtakes && urgency != Urgency::Aside);
                let (source, came, bytes) = desk.intake.pop(urgency).expect("one waits");
                if is_awaited(urgency, bytes) {
                    self.waits.push(Waiting::Ends(came));
                }
                let before = refused(&self.counters[shard]);
                self.engines[shard].handle_arrival(came, urgency);
                self.engines[shard].handle_datagram(now, source, bytes);
                let is_cheap =
                    bytes.starts_with(b"ACK ") || refused(&self.counters[shard]) > before;
                desk.busy_until = now + self.pace / if is_cheap { REFUSAL_PART } else { 1 };
                self.collect(now);
            }
        }
    }

    /// The process is killed: nobody answers. What was on its way between shards is lost, and
    /// connections are closed.
    pub fn kill(&mut self, now: Instant) {
        self.collect(now);
        self.engines.clear();
        self.lanes.clear();
        self.connections.clear();
        self.outputs.clear();
        for desk in &mut self.desks {
            *desk = Desk::new(desk.busy_until);
        }
        self.waits.push(Waiting::Forgotten);
        self.is_shut = false;
    }

    /// Another process starts with what was written down.
    pub fn start_again(&mut self, now: Instant) {
        self.seed = self.seed.wrapping_add(1);
        // As the file would be read.
        let mut bytes = frame::HEAD.to_vec();
        for record in self.image.records() {
            frame::append(&mut bytes, &record);
        }
        let reading = frame::read(Image::default(), &bytes);
        assert_eq!((&reading.image, reading.cut), (&self.image, None));
        self.engines = self.start(now, self.seed);
        self.collect(now);
    }

    /// From now on this address talks over a stream; one that it had before is not this one.
    pub fn connect(&mut self, remote: SocketAddr) {
        self.connected += 1;
        let connection = ConnectionId {
            shard: ShardId(0),
            index: 0,
            generation: self.connected,
        };
        self.connections.insert(remote, connection);
    }

    /// The stream of this address closes; every shard hears of it.
    pub fn close(&mut self, now: Instant, remote: SocketAddr) {
        let change = ConnectionChange {
            connection: self.connections.remove(&remote),
            remote,
            outcome: ConnectionOutcome::Closed,
        };
        for engine in &mut self.engines {
            engine.handle_connection(now, change);
        }
        self.collect(now);
    }

    /// A datagram arrives on any shard's socket and is handed to its owner.
    pub fn receive(&mut self, now: Instant, flight: Flight) {
        if self.engines.is_empty() {
            return;
        }
        let shard = self.random.below(self.engines.len() as u64) as usize;
        match self.engines[shard].owner(&flight.bytes) {
            Some(owner) => self.post(now, shard, owner.index(), Parcel::Datagram(flight)),
            None => self.handle_datagram(now, shard, &flight),
        }
    }

    /// The control plane asks.
    pub fn request(&mut self, now: Instant, shard: ShardId, request: Request) {
        self.engines[shard.index()].handle_request(now, Input::Request(request));
    }

    /// The control plane tells every shard where a name leads.
    pub fn resolved(&mut self, now: Instant, resolved: &Resolved) {
        for engine in &mut self.engines {
            engine.handle_request(now, Input::Resolved(resolved.clone()));
        }
    }

    /// The wall clock is set forward or back by `by`.
    pub fn set_wall(&mut self, now: Instant, by: Duration, forward: bool) {
        let time = self.wall.time_at(now);
        let since_epoch = match forward {
            true => time + by,
            false => time.saturating_sub(by),
        };
        self.wall = Wall {
            at: now,
            since_epoch,
        };
        for engine in &mut self.engines {
            engine.handle_request(now, Input::Wall(self.wall));
        }
    }

    /// Runs what is due at `now`: parcels first, then what waits for a busy shard, then deadlines.
    pub fn run(&mut self, now: Instant) {
        while let Some((from, to, parcel)) = self.arrived(now) {
            match parcel {
                Parcel::Message(message) => {
                    let from = ShardId(u16::try_from(from).expect("shards are few"));
                    self.engines[to].handle_message(now, from, message);
                }
                Parcel::Datagram(flight) => self.handle_datagram(now, to, &flight),
            }
            self.collect(now);
        }
        self.work_off(now);
        for shard in 0..self.engines.len() {
            // An engine may set a deadline in the past once; more than that is a spin.
            for round in 0.. {
                if self.engines[shard].poll_timeout().is_none_or(|at| at > now) {
                    break;
                }
                assert!(
                    round < 1_000,
                    "shard {shard} asks for the same deadline again and again"
                );
                self.engines[shard].handle_timeout(now);
            }
        }
        self.collect(now);
    }

    /// When something is due.
    pub fn next(&self) -> Option<Instant> {
        let desks = self.desks.iter().filter(|desk| !desk.intake.is_empty());
        let parcels = self
            .lanes
            .values()
            .filter_map(|lane| lane.front().map(|(at, _)| *at));
        let deadlines = self
            .engines
            .iter()
            .filter_map(offhook_shards::Engine::poll_timeout);
        let busy = desks.map(|desk| desk.busy_until);
        parcels.chain(deadlines).chain(busy).min()
    }

    /// What the engines want sent, from the server's one address.
    pub fn transmits(&mut self) -> Vec<Flight> {
        let mut flights = Vec::new();
        for engine in &mut self.engines {
            let mut bytes = Vec::new();
            while let Some(transmit) = engine.poll_transmit(&mut bytes) {
                let bytes = std::mem::take(&mut bytes);
                if !self.is_shut {
                    flights.push(Flight {
                        from: self.address,
                        to: transmit.remote,
                        bytes,
                    });
                }
            }
        }
        flights
    }

    /// Takes messages and events out of the engines.
    pub fn collect(&mut self, now: Instant) {
        for shard in 0..self.engines.len() {
            while let Some(record) = self.engines[shard].poll_record() {
                self.image.apply(record);
            }
            while let Some((to, message)) = self.engines[shard].poll_message() {
                if !self.is_shut {
                    self.post(now, shard, to.index(), Parcel::Message(message));
                }
            }
            while let Some(output) = self.engines[shard].poll_event() {
                if !self.is_shut {
                    self.outputs.push((shard, output));
                }
            }
        }
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.counters
            .iter()
            .map(|counters| counters.value(counter))
            .sum()
    }

    fn handle_datagram(&mut self, now: Instant, shard: usize, flight: &Flight) {
        let connection = self.connections.get(&flight.from).copied();
        let source = Source {
            transport: connection.map_or(Transport::Udp, |_| Transport::Tcp),
            local: self.address,
            remote: flight.from,
            connection,
        };
        let engine = &mut self.engines[shard];
        if let Some(desk) = self.desks.get_mut(shard) {
            let urgency = engine.urgency(&source, &flight.bytes);
            let kept = desk.intake.push(urgency, source, now, &flight.bytes);
            if kept.is_err() {
                engine.handle_arrival(now, urgency);
                engine.handle_excess(now, source, &flight.bytes);
            } else if is_awaited(urgency, &flight.bytes) {
                self.waits.push(Waiting::Begins(now));
            }
        } else {
            engine.handle_datagram(now, source, &flight.bytes);
        }
        self.collect(now);
    }

    /// Lanes keep their order, but one lane may be slower than another.
    fn post(&mut self, now: Instant, from: usize, to: usize, parcel: Parcel) {
        let delay = self
            .random
            .between(Duration::from_micros(1), Duration::from_micros(300));
        let lane = self.lanes.entry((from, to)).or_default();
        let at = lane
            .back()
            .map_or(now + delay, |(last, _)| (now + delay).max(*last));
        lane.push_back((at, parcel));
    }

    fn arrived(&mut self, now: Instant) -> Option<(usize, usize, Parcel)> {
        let due = self
            .lanes
            .iter()
            .filter_map(|(pair, lane)| lane.front().map(|(at, _)| (*at, *pair)))
            .min()
            .filter(|(at, _)| *at <= now)?;
        let (_, (from, to)) = due;
        let lane = self
            .lanes
            .get_mut(&(from, to))
            .expect("the lane was just found");
        let (_, parcel) = lane.pop_front().expect("the lane has a front");
        Some((from, to, parcel))
    }
}

/// Whether it is part of what goes on, so that it matters when the server knows of it: what begins
/// something is told nobody before it is handled, and nobody waits for strangers.
fn is_awaited(urgency: Urgency, bytes: &[u8]) -> bool {
    match urgency {
        Urgency::Now | Urgency::Soon => true,
        Urgency::Last => bytes.starts_with(b"CANCEL "),
        Urgency::Aside => false,
    }
}

mod tests {
    use offhook_shards::limits::PROMPT_MAX;

    use super::super::world::{Setup, World, node_address};
    use super::*;

    /// Requests about nothing that wait together for a shard that is busy with the first; the
    /// methods in the order in which they are answered.
    fn answered(requests: &[&str]) -> Vec<String> {
        let mut world = World::new(Setup {
            shards: 1,
            ..Setup::calm(1)
        });
        world.run_until_ready();
        let (mut now, cluster) = (world.now, &mut world.cluster);
        cluster.slow_down(now, Duration::from_millis(1));
        for (number, method) in requests.iter().enumerate() {
            let text = format!(
                "{method} sip:7000@10.0.0.1 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {};branch=z9hG4bK{number}\r\n\
                 From: <sip:3@10.0.1.1>;tag=a\r\nTo: <sip:7000@10.0.0.1>;tag=b\r\n\
                 Call-ID: {number}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
                 Content-Length: 0\r\n\r\n",
                node_address(0)
            );
            let flight = Flight {
                from: node_address(0),
                to: cluster.address,
                bytes: text.into_bytes(),
            };
            cluster.receive(now, flight);
        }
        let mut answered = Vec::new();
        while answered.len() < requests.len() {
            cluster.run(now);
            for flight in cluster.transmits() {
                let text = String::from_utf8(flight.bytes).unwrap();
                let cseq = text.lines().find_map(|line| line.strip_prefix("CSeq: 1 "));
                answered.extend(cseq.filter(|_| text.contains(" 481 ")).map(str::to_owned));
            }
            now = cluster.next().expect("something is due");
        }
        answered
    }

    /// As `shards/tests/datagrams.rs` has it of a real one.
    #[test]
    fn shard_that_needs_time_handles_few_as_they_came_and_many_by_urgency() {
        let mut requests = vec!["CANCEL"; PROMPT_MAX - 1];
        requests.push("BYE");
        assert_eq!(answered(&requests), requests, "the last one waits its turn");
        requests.insert(0, "CANCEL");
        let by_urgency = answered(&requests);
        assert_eq!(by_urgency[0], "BYE");
        // Those that are left are few.
        assert_eq!(by_urgency[1..], requests[..PROMPT_MAX]);
    }

    #[test]
    fn strangers_have_their_turn_although_known_ones_come_all_the_time() {
        let now = World::new(Setup::calm(1)).now;
        let source = Source {
            transport: Transport::Udp,
            local: node_address(0),
            remote: node_address(1),
            connection: None,
        };
        let mut desk = Desk::new(now);
        let push = |desk: &mut Desk, urgency| desk.intake.push(urgency, source, now, b"");
        for urgency in [[Urgency::Aside; 3], [Urgency::Now; 3]].concat() {
            push(&mut desk, urgency).unwrap();
        }
        let mut turn = Vec::new();
        for _ in 0..12 {
            let urgency = desk.next().unwrap();
            desk.intake.pop(urgency).unwrap();
            turn.push(urgency);
            // Whoever comes meanwhile has the next turn.
            push(&mut desk, Urgency::Now).unwrap();
        }
        let known = [Urgency::Now; 3];
        assert_eq!(turn[..6], [known, [Urgency::Aside; 3]].concat());
        assert_eq!(turn[6..], [Urgency::Now; 6]);
    }
}
