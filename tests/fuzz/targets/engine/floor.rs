//! The engine, the hub before it, and the time; what is said passes through here.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use offhook::config::{self, Config, DnIndex, QueueIndex};
use offhook::cti::{ConnId, Output, Request};
use offhook::engine::{Engine, Input};
use offhook::journal::{Image, frame};
use offhook::server::clock::Clock;
use offhook::server::hub::Hub;
use offhook::server::link::{Full, Shards};
use offhook_shards::{
    ConnectionChange, ConnectionId, ConnectionOutcome, Engine as _, Frame, ShardId, Source,
    Transport,
};

use super::super::start::{OURS, engine, origin};
use super::deeds;
use super::desks::{self, Desk};
use super::peers::Peers;
use super::wire::Wire;

/// Two trunks of phones of two kinds, one of a carrier that is believed nothing, one that must
/// show its password, a queue that
/// overflows, and a server of media. Nothing pings, so that what moves was moved by a deed.
const CONFIGURATION: &str = r#"
[server]
sip = ["udp:192.0.2.10:5060", "tcp:192.0.2.10:5060"]
strangers = "refuse"
call_duration_max = "10m"
client_queue = 65536
event_history = 64
music = "sip:music@192.0.2.50:5060"
mixer = "sip:192.0.2.50:5060"
on_disconnect = "notready"
[[trunk]]
name = "pbx"
peers = ["udp:192.0.2.20:5060"]
prefixes = ["2"]
oos_check = 0
refer = true
reliable_provisional = true
[[trunk]]
name = "other"
peers = ["udp:192.0.2.21:5060"]
prefixes = ["3"]
oos_check = 0
refer = true
dual_dialog = true
hold = "sendonly"
make_call_flow = "4"
answer = "talk"
dtmf = "dtmf-relay"
identity = "both"
big_requests = "udp"
[[trunk]]
name = "carrier"
peers = ["udp:192.0.2.30:5060", "udp:192.0.2.31:5060"]
oos_check = 0
outbound = true
trusted = false
early_media = false
identity = "none"
realm = "example.com"
user = "offhook"
password = "secret"
[[trunk]]
name = "guarded"
peers = ["udp:192.0.2.40:5060"]
prefixes = ["4"]
oos_check = 0
challenge = true
realm = "guarded.example.com"
user = "guarded"
password = "secret"
[[queue]]
name = "sales"
capacity = 3
wait_max = 120
[[routing_point]]
number = "7000"
queue = "sales"
router_timeout = 20
[[agent]]
dn = "2001"
queues = ["sales"]
[[agent]]
dn = "2002"
queues = ["sales"]
presence = false
[[agent]]
dn = "3001"
queues = ["sales"]
presence = false
wrap_up = 5
"#;

/// Datagrams that one deed may cause; more is a flood of our own.
const SENT_MAX: usize = 5_000;
/// Deadlines that one moment may have.
const ROUNDS_MAX: u32 = 1_000;
/// After so long without anybody's doing everything has ended: the longest call, its BYE, what is
/// asked again meanwhile.
const REST: Duration = Duration::from_secs(15 * 60);

/// What the hub asks of the only shard, until the engine is asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Post(Rc<RefCell<Vec<Request>>>);

impl Shards for Post {
    fn count(&self) -> u16 {
        1
    }

    fn owner_of_dn(&self, _dn: DnIndex) -> ShardId {
        ShardId(0)
    }

    fn owner_of_queue(&self, _queue: QueueIndex) -> ShardId {
        ShardId(0)
    }

    fn request(&self, _shard: ShardId, request: Request) -> Result<(), Full> {
        self.0.borrow_mut().push(request);
        Ok(())
    }
}

/// Everything that a run has.
pub(super) struct Floor {
    pub(super) now: Instant,
    config: Arc<Config>,
    engine: Engine,
    image: Image,
    starts: u64,
    post: Post,
    pub(super) hub: Hub<Post>,
    pub(super) desks: Vec<Desk>,
    /// Calls that clients have heard of, in their order.
    pub(super) calls: Vec<ConnId>,
    pub(super) peers: Peers,
    pub(super) wire: Wire,
    /// What each peer has sent on its stream and is not yet a message.
    streams: [Vec<u8>; 4],
    connections: u32,
}

fn configuration() -> &'static Arc<Config> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    CONFIG.get_or_init(
        || match config::parse(CONFIGURATION, &|_| Err(String::new())) {
            Ok(config) => Arc::new(config),
            Err(mistakes) => panic!("{mistakes:?}"),
        },
    )
}

impl Floor {
    /// A server whose agents are ready.
    pub(super) fn new() -> Self {
        let now = origin();
        let config = Arc::clone(configuration());
        let post = Post::default();
        let hub = Hub::new(
            Arc::clone(&config),
            Clock::at(now, Duration::ZERO),
            post.clone(),
        );
        let image = Image::default();
        let mut floor = Self {
            now,
            engine: engine(now, &config, &image, 1),
            config,
            image,
            starts: 1,
            post,
            hub,
            desks: Vec::new(),
            calls: Vec::new(),
            peers: Peers::default(),
            wire: Wire::default(),
            streams: Default::default(),
            connections: 0,
        };
        desks::open(&mut floor);
        deeds::settle_in(&mut floor);
        floor
    }

    /// A datagram arrives.
    pub(super) fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.wire.received(self.now, from, bytes);
        let source = source(from, None);
        self.engine.handle_datagram(self.now, source, bytes);
        self.turn();
    }

    /// Bytes arrive on the stream of a peer, which is open as long as it can be read.
    pub(super) fn stream(&mut self, who: usize, from: SocketAddr, bytes: &[u8]) {
        let connection = ConnectionId {
            shard: ShardId(0),
            index: u32::try_from(who).expect("peers are few"),
            generation: self.connections,
        };
        let source = source(from, Some(connection));
        let mut buffer = std::mem::take(&mut self.streams[who]);
        buffer.extend_from_slice(bytes);
        loop {
            match Engine::frame(&buffer) {
                Frame::Complete(count) => {
                    let message: Vec<u8> = buffer.drain(..count).collect();
                    self.wire.received(self.now, from, &message);
                    self.engine.handle_datagram(self.now, source, &message);
                    self.turn();
                }
                Frame::Skip { bytes, .. } => drop(buffer.drain(..bytes)),
                Frame::Incomplete => break,
                Frame::Malformed => {
                    self.wire.received(self.now, from, &buffer);
                    self.engine.handle_malformed(self.now, source, &buffer);
                    self.turn();
                    return self.connection(Some(connection), from, ConnectionOutcome::Closed);
                }
            }
        }
        self.streams[who] = buffer;
    }

    /// A connection has come to its end, or never began.
    pub(super) fn connection(
        &mut self,
        connection: Option<ConnectionId>,
        remote: SocketAddr,
        outcome: ConnectionOutcome,
    ) {
        self.connections += 1;
        let change = ConnectionChange {
            connection,
            remote,
            outcome,
        };
        self.engine.handle_connection(self.now, change);
        self.turn();
    }

    /// No new calls any more.
    pub(super) fn drain(&mut self) {
        self.wire.sheds();
        self.engine.handle_request(self.now, Input::Drain);
        self.turn();
    }

    /// The process is killed, and another one starts with what was written down.
    pub(super) fn kill(&mut self) {
        let mut bytes = frame::HEAD.to_vec();
        for record in self.image.records() {
            frame::append(&mut bytes, &record);
        }
        let reading = frame::read(Image::default(), &bytes);
        assert_eq!(
            (&reading.image, reading.cut),
            (&self.image, None),
            "the journal reads back"
        );
        self.starts += 1;
        self.engine = engine(self.now, &self.config, &self.image, self.starts);
        let clock = Clock::at(self.now, Duration::ZERO);
        self.post = Post::default();
        self.hub = Hub::new(Arc::clone(&self.config), clock, self.post.clone());
        self.streams = Default::default();
        self.wire.forget();
        desks::open(self);
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.engine.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let mut rounds = 0;
            while self.engine.poll_timeout().is_some_and(|at| at <= self.now) {
                self.engine.handle_timeout(self.now);
                rounds += 1;
                assert!(
                    rounds < ROUNDS_MAX,
                    "the same deadline comes again and again"
                );
            }
            self.turn();
        }
        self.now = end;
        self.hub.handle_timeout(self.now);
        self.turn();
    }

    /// When something is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.engine.poll_timeout()
    }

    /// Carries what the hub asks to the engine, and what the engine says to everybody.
    pub(super) fn turn(&mut self) {
        let mut sent = 0;
        loop {
            let asked = std::mem::take(&mut *self.post.0.borrow_mut());
            let is_quiet = asked.is_empty();
            for request in asked {
                self.engine
                    .handle_request(self.now, Input::Request(request));
            }
            while let Some(record) = self.engine.poll_record() {
                self.image.apply(record);
            }
            let mut bytes = Vec::new();
            while let Some(transmit) = self.engine.poll_transmit(&mut bytes) {
                self.wire.sent(self.now, transmit.remote, &bytes);
                self.peers.hear(transmit.remote, &bytes);
                bytes.clear();
                sent += 1;
                assert!(sent < SENT_MAX, "one deed has us send without end");
            }
            assert!(
                self.engine.poll_message().is_none(),
                "there is no other shard"
            );
            while let Some(output) = self.engine.poll_event() {
                self.note(&output);
                self.hub.handle_output(output);
            }
            if is_quiet {
                break;
            }
        }
        desks::hear(&mut self.desks);
    }

    fn note(&mut self, output: &Output) {
        let Output::Event(event) = output else {
            return;
        };
        if let Some(call) = &event.call
            && !self.calls.contains(&call.conn_id)
        {
            self.calls.push(call.conn_id);
        }
    }

    /// What holds after every deed.
    pub(super) fn check(&self) {
        assert!(
            self.next().is_none_or(|next| next > self.now),
            "something is due and not done"
        );
        let capacity = self.config.queue_at(QueueIndex(0)).capacity as usize;
        let waiting = self.engine.queues().waiting(QueueIndex(0)).count();
        assert!(
            waiting <= capacity + self.config.agents.len(),
            "{waiting} wait"
        );
        let live = self.engine.live();
        let calls = live.unanswered + live.connected;
        assert!(calls > 0 || self.engine.ties() == 0, "ties without calls");
    }

    /// Nobody does anything any more: everything ends, and whoever has asked was answered.
    pub(super) fn rest(mut self) {
        self.pass(REST);
        self.check();
        let live = self.engine.live();
        assert_eq!(
            live.unanswered + live.connected,
            0,
            "calls are left: {live:?}"
        );
        assert_eq!(self.engine.linked_legs(), 0, "legs are left");
        assert_eq!(self.engine.user_agent().legs(), 0, "dialogs are left");
        assert_eq!(
            self.engine.queues().waiting(QueueIndex(0)).count(),
            0,
            "callers are left"
        );
        for dn in self.engine.agents().dns() {
            let status = self.engine.agents().status(dn).expect("it is there");
            assert_eq!(status.call, None, "{dn:?} has a call");
        }
        self.wire.at_rest();
        desks::at_rest(&self.desks);
    }
}

fn source(remote: SocketAddr, connection: Option<ConnectionId>) -> Source {
    Source {
        transport: connection.map_or(Transport::Udp, |_| Transport::Tcp),
        local: OURS.parse().expect("an address"),
        remote,
        connection,
    }
}
