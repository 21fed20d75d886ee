//! An engine that answers every message with itself, and what the tests need to run it on both
//! drivers. Messages are `[kind, …]`; on streams each is preceded by its length in two bytes.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

use offhook_shards::clock::Clock;
use offhook_shards::wheel::Wheel;
use offhook_shards::{
    ConnectionChange, ConnectionId, Driver, DriverChoice, Engine, Events, Frame, Options, Running,
    ShardId, Source, StartError, Transmit, Transport, Urgency, start,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: far more than it ever does.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A message `['O', shard, …]` belongs to that shard; every other to whom it reaches.
pub const OWNED: u8 = b'O';
/// A message `['E', …]` is echoed where it arrives.
pub const ECHO: u8 = b'E';
/// A message `['Q', …]` is swallowed, and an event tells of it.
pub const QUIET: u8 = b'Q';
/// A message `['R', shard, …]` belongs to that shard, which swallows it without a word.
pub const QUIET_OWNED: u8 = b'R';
/// A message `['S', …]` is echoed after others.
pub const SOON: u8 = b'S';
/// A message `['L', …]` is echoed last.
pub const LAST: u8 = b'L';
/// A message `['W', …]` is swallowed, and an event tells when it came.
pub const WHEN: u8 = b'W';
/// The same, after others.
pub const WHEN_LAST: u8 = b'V';
/// A message `['Y', …]` is swallowed after others, and takes a millisecond.
pub const SLOW_SOON: u8 = b'Y';
/// A message `['Z', …]` is swallowed last, and takes a millisecond.
pub const SLOW_LAST: u8 = b'Z';
/// A stream byte that is no message.
pub const KEEP_ALIVE: u8 = 0xff;
/// What it is answered with.
pub const KEEP_ALIVE_REPLY: &[u8] = &[0xfe];
/// For whom the certificates of peers must be.
pub const PEER_NAME: &str = "peer.example.com";
/// A stream byte that can start no message.
pub const NONSENSE: u8 = 0x80;

#[derive(Debug)]
pub enum Request {
    Ping(u32),
    Timers(Vec<(Duration, u32)>),
    Send(Transmit, Vec<u8>),
    /// The message gets a connection of its own, unless it names one.
    SendApart(Transmit, Vec<u8>),
    Close(ConnectionId),
    Messages {
        to: ShardId,
        count: u32,
    },
    Flood(u32),
    /// Keeps the shard busy with itself.
    Stall(Duration),
    /// Says that it begins, and does the same until the other end is dropped.
    Stand {
        begins: mpsc::Sender<()>,
        ends: mpsc::Receiver<()>,
    },
    Panic,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Pong(u32),
    Timer(u32),
    Message {
        from: ShardId,
        number: u32,
    },
    Changed(ConnectionChange),
    Opened(Option<ConnectionId>),
    Received {
        length: usize,
    },
    Came(Option<Instant>),
    Flood(u32),
    /// A message for which there was no room to wait.
    Excess,
}

pub struct Echo {
    me: ShardId,
    timers: Wheel<u32>,
    /// Each with whether it is for a connection of its own.
    transmits: VecDeque<(Transmit, Vec<u8>, bool)>,
    messages: VecDeque<(ShardId, u32)>,
    events: VecDeque<Event>,
    is_apart: bool,
    closes: VecDeque<ConnectionId>,
    came: Option<Instant>,
}

impl Echo {
    pub fn new(me: ShardId) -> Self {
        Self {
            me,
            timers: Wheel::new(Clock.now()),
            transmits: VecDeque::new(),
            messages: VecDeque::new(),
            events: VecDeque::new(),
            is_apart: false,
            closes: VecDeque::new(),
            came: None,
        }
    }
}

/// The message of a frame or datagram.
fn payload(transport: Transport, bytes: &[u8]) -> &[u8] {
    match transport {
        Transport::Udp => bytes,
        Transport::Tcp | Transport::Tls => &bytes[2..],
    }
}

/// A message as it stands in a stream.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

impl Engine for Echo {
    type Message = u32;
    type Request = Request;
    type Event = Event;

    fn owner(&self, bytes: &[u8]) -> Option<ShardId> {
        // A frame begins with its length, which is never as large as a kind.
        let payload = if bytes[0] < ECHO { &bytes[2..] } else { bytes };
        matches!(payload[0], OWNED | QUIET_OWNED).then(|| ShardId(u16::from(payload[1])))
    }

    fn frame(buffer: &[u8]) -> Frame {
        match *buffer {
            [KEEP_ALIVE, ..] => Frame::Skip {
                bytes: 1,
                reply: KEEP_ALIVE_REPLY,
            },
            [NONSENSE, ..] => Frame::Malformed,
            [high, low, ..] => match usize::from(u16::from_be_bytes([high, low])) + 2 {
                length if length <= buffer.len() => Frame::Complete(length),
                _ => Frame::Incomplete,
            },
            [] | [_] => Frame::Incomplete,
        }
    }

    fn identity(&self, _remote: SocketAddr) -> Option<String> {
        Some(PEER_NAME.to_owned())
    }

    fn urgency(&self, from: &Source, bytes: &[u8]) -> Urgency {
        match payload(from.transport, bytes)[0] {
            SOON | SLOW_SOON => Urgency::Soon,
            LAST | SLOW_LAST | WHEN_LAST => Urgency::Last,
            _ => Urgency::Now,
        }
    }

    fn handle_excess(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        match payload(from.transport, bytes)[0] {
            SLOW_SOON | SLOW_LAST => {}
            SOON | LAST => self.events.push_back(Event::Excess),
            _ => self.handle_datagram(now, from, bytes),
        }
    }

    fn handle_arrival(&mut self, at: Instant, _urgency: Urgency) {
        self.came = Some(at);
    }

    fn handle_datagram(&mut self, _now: Instant, from: Source, bytes: &[u8]) {
        let payload = payload(from.transport, bytes);
        let came = self.came.take();
        if matches!(payload[0], SLOW_SOON | SLOW_LAST) {
            std::thread::sleep(Duration::from_millis(1));
            return;
        }
        if matches!(payload[0], WHEN | WHEN_LAST) {
            self.events.push_back(Event::Came(came));
            return;
        }
        if payload[0] == QUIET_OWNED {
            return;
        }
        if payload[0] == QUIET {
            self.events.push_back(Event::Received {
                length: payload.len(),
            });
            return;
        }
        let mut reply = vec![u8::try_from(self.me.0).unwrap()];
        reply.extend_from_slice(payload);
        let reply = match from.transport {
            Transport::Udp => reply,
            Transport::Tcp | Transport::Tls => framed(&reply),
        };
        let Source {
            transport,
            local,
            remote,
            connection,
        } = from;
        self.transmits.push_back((
            Transmit {
                transport,
                local: Some(local),
                remote,
                connection,
            },
            reply,
            false,
        ));
    }

    fn handle_connection(&mut self, _now: Instant, change: ConnectionChange) {
        self.events.push_back(Event::Changed(change));
    }

    fn wants_own_connection(&self) -> bool {
        self.is_apart
    }

    fn handle_opening(&mut self, _now: Instant, connection: Option<ConnectionId>) {
        self.events.push_back(Event::Opened(connection));
    }

    fn poll_close(&mut self) -> Option<ConnectionId> {
        self.closes.pop_front()
    }

    fn handle_message(&mut self, _now: Instant, from: ShardId, number: u32) {
        self.events.push_back(Event::Message { from, number });
    }

    fn handle_request(&mut self, now: Instant, request: Request) {
        match request {
            Request::Ping(number) => self.events.push_back(Event::Pong(number)),
            Request::Timers(timers) => {
                for (after, number) in timers {
                    self.timers.arm(now + after, number);
                }
            }
            Request::SendApart(transmit, bytes) => {
                self.transmits.push_back((transmit, bytes, true));
            }
            Request::Close(id) => self.closes.push_back(id),
            Request::Send(transmit, bytes) => self.transmits.push_back((transmit, bytes, false)),
            Request::Messages { to, count } => {
                self.messages.extend((0..count).map(|number| (to, number)));
            }
            Request::Flood(count) => self.events.extend((0..count).map(Event::Flood)),
            Request::Stall(time) => std::thread::sleep(time),
            Request::Stand { begins, ends } => {
                begins.send(()).unwrap();
                // Nothing is ever sent.
                ends.recv().unwrap_err();
            }
            Request::Panic => panic!("the test asked for it"),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, number)) = self.timers.expire(now) {
            self.events.push_back(Event::Timer(number));
        }
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        let (transmit, bytes, is_apart) = self.transmits.pop_front()?;
        self.is_apart = is_apart;
        buffer.extend_from_slice(&bytes);
        Some(transmit)
    }

    fn poll_message(&mut self) -> Option<(ShardId, u32)> {
        self.messages.pop_front()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}

/// Running shards and their events.
pub struct Host {
    pub running: Running<Echo>,
    pub events: Events<Echo>,
    pub seen: Vec<(ShardId, Event)>,
}

/// Options with one listener of each kind.
pub fn options(driver: Driver, shards: u16) -> Options {
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Options {
        shards,
        driver: match driver {
            Driver::Uring => DriverChoice::Uring,
            Driver::Epoll => DriverChoice::Epoll,
        },
        udp: vec![loopback],
        tcp: vec![loopback],
        ..Options::default()
    }
}

/// `None` where the driver is denied, which is said on standard output.
pub fn launch(options: &Options) -> Option<Host> {
    match start(options, Echo::new) {
        Ok(mut running) => {
            let events = running.take_events().unwrap();
            Some(Host {
                running,
                events,
                seen: Vec::new(),
            })
        }
        Err(StartError::Uring(denied)) => {
            println!("SKIPPED: {denied}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

impl Host {
    pub fn udp(&self) -> SocketAddr {
        self.running.udp_addresses()[0]
    }

    pub fn tcp(&self) -> SocketAddr {
        self.running.tcp_addresses()[0]
    }

    /// Keeps a shard busy with itself, from now on until what is returned is dropped.
    pub fn stand(&self, shard: ShardId) -> mpsc::Sender<()> {
        let (begins, begun) = mpsc::channel();
        let (end, ends) = mpsc::channel();
        let stand = Request::Stand { begins, ends };
        self.running.request(shard, stand).unwrap();
        begun.recv_timeout(PATIENCE).unwrap();
        end
    }

    /// Collects events until there is one that the caller knows.
    pub fn wait_for(&mut self, wanted: impl Fn(ShardId, &Event) -> bool) -> (ShardId, Event) {
        let mut found = None;
        self.wait_until(|seen| {
            found = seen
                .iter()
                .find(|(shard, event)| wanted(*shard, event))
                .cloned();
            found.is_some()
        });
        found.unwrap()
    }

    /// Collects events until the caller has seen enough.
    pub fn wait_until(&mut self, mut enough: impl FnMut(&[(ShardId, Event)]) -> bool) {
        let start = Clock.now();
        while !enough(&self.seen) {
            assert!(
                Clock.now() - start < PATIENCE,
                "waited in vain; seen: {:?}",
                self.seen
            );
            if self.events.drain(1_000, &mut self.seen) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Waits until it is so; `in_vain` says what is wrong if it never is.
pub fn eventually(in_vain: &str, is_so: impl Fn() -> bool) {
    let begin = Clock.now();
    while !is_so() {
        assert!(Clock.now() - begin < PATIENCE, "{in_vain}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs a test once on each driver.
#[macro_export]
macro_rules! on_both_drivers {
    ($($name:ident)+) => {$(
        mod $name {
            #[test]
            fn epoll() {
                super::$name(offhook_shards::Driver::Epoll);
            }

            #[test]
            fn uring() {
                super::$name(offhook_shards::Driver::Uring);
            }
        }
    )+};
}
