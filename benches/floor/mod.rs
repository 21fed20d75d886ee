//! One server with its phones and callers in virtual time, without sockets, for benches and
//! counts. What engines do is apart from what the simulated parties do, so that a caller can
//! measure the one and leave out the other: [`Floor::tick`] and [`Floor::exchange`] hand every
//! turn of the engines to a closure.

#![allow(dead_code, reason = "benches and tests use different parts")]

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::config::{self, Config};
use offhook::counters::Counters;
use offhook::cti::Output;
use offhook::engine::{Engine, EngineConfig, Message, Shared};
use offhook::journal::{Image, Record};
use offhook::wall::Wall;
use offhook_loadgen::node::{Node, Packet};
use offhook_loadgen::population::{
    Answering, Behaviour, CallerHabits, Callers, CallersOptions, Pbx, PbxOptions, Span,
};
use offhook_shards::{Engine as _, ShardId, Source, Transport};

const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 5060);
const PBX: ([u8; 4], u16) = ([10, 0, 1, 1], 5060);
const CALLERS: ([u8; 4], u16) = ([10, 0, 1, 1], 5080);
/// The first phone's number.
const FIRST_DN: usize = 20_000;
/// Phones whose numbers have five digits.
const FIVE_DIGITS: usize = 100_000 - FIRST_DN;
/// How far one tick moves the time.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// Rounds of a tick before it is taken for endless.
const ROUNDS_MAX: usize = 100;

/// Called for every turn of the engines; it must call [`Shards::turn`].
pub(crate) type Turn<'a> = &'a mut dyn FnMut(&mut Shards, Instant);

/// Datagrams back to back, as in a receive buffer.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Where each ends, and the party at the other end.
    ends: Vec<(usize, SocketAddr)>,
}

impl Batch {
    /// Adds the bytes that `write` appends.
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Option<SocketAddr>) -> bool {
        let Some(party) = write(&mut self.bytes) else {
            return false;
        };
        self.ends.push((self.bytes.len(), party));
        true
    }

    /// Every datagram, with the party at the other end.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(end, party)| {
            let bytes = &self.bytes[start..end];
            start = end;
            (party, bytes)
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Whether engines write down what they must know after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Journal {
    Off,
    On,
}

/// What an engine was told to do: enough to do it again with another like it.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    /// A datagram came to its socket, and was looked at for its owner.
    Read(Arc<[u8]>),
    /// A datagram of its own, from this party.
    Datagram(SocketAddr, Arc<[u8]>),
    /// A message of another engine, or of its own.
    Message(ShardId, Message),
    /// Its next timer was asked for, and was due.
    Timeout,
    /// Everything that it had to say was fetched.
    Drain,
}

/// What one engine was given, and when.
pub(crate) type Diary = Vec<(Instant, Given)>;

/// The engines of one server, with what comes to them and what they have said.
pub(crate) struct Shards {
    engines: Vec<Engine>,
    pub(crate) incoming: Batch,
    outgoing: Batch,
    mail: Vec<(ShardId, ShardId, Message)>,
    events: Vec<Output>,
    /// What is to be written down, where there is a journal.
    pub(crate) records: Vec<Record>,
    /// Messages that engines sent each other, so far.
    pub(crate) mailed: u64,
    /// Datagrams that came to an engine that does not own them, so far.
    pub(crate) hopped: u64,
    /// What each engine was given, where it is written down.
    diaries: Option<Vec<Diary>>,
}

/// An engine before anything has happened.
pub(crate) fn engine(
    now: Instant,
    config: &Arc<Config>,
    (shard, shards): (ShardId, u16),
    counters: &Arc<Counters>,
    journal: Journal,
) -> Engine {
    let (config, counters) = (Arc::clone(config), Arc::clone(counters));
    let wall = Wall::since_1970(now);
    let shared = Shared {
        shards,
        keys: [7, 11],
        seed: 1,
    };
    let setup = EngineConfig::new(config, shard, shared, counters, wall);
    match journal {
        Journal::Off => Engine::new(now, setup),
        Journal::On => Engine::with_journal(now, setup, &Image::default()),
    }
}

impl Shards {
    fn new(
        now: Instant,
        config: &Arc<Config>,
        shards: u16,
        counters: &Arc<Counters>,
        journal: Journal,
    ) -> Self {
        let engine = |shard| engine(now, config, (ShardId(shard), shards), counters, journal);
        Self {
            engines: (0..shards).map(engine).collect(),
            incoming: Batch::default(),
            outgoing: Batch::default(),
            mail: Vec::new(),
            events: Vec::new(),
            records: Vec::new(),
            mailed: 0,
            hopped: 0,
            diaries: None,
        }
    }

    fn note(&mut self, now: Instant, engine: usize, given: impl FnOnce() -> Given) {
        if let Some(diaries) = &mut self.diaries {
            diaries[engine].push((now, given()));
        }
    }

    /// What a shard's loop does with a batch: bytes, time, then everything that was said.
    /// Datagrams come to any shard and are handed to their owner, as on a real socket.
    pub(crate) fn turn(&mut self, now: Instant) {
        let incoming = std::mem::take(&mut self.incoming);
        for (at, (party, bytes)) in incoming.iter().enumerate() {
            let reader = at % self.engines.len();
            let owner = self.engines[reader].owner(bytes);
            let owner = owner.map_or(reader, ShardId::index);
            self.hopped += u64::from(owner != reader);
            self.note(now, reader, || Given::Read(bytes.into()));
            self.note(now, owner, || Given::Datagram(party, bytes.into()));
            self.engines[owner].handle_datagram(now, source(party), bytes);
        }
        self.incoming = incoming;
        self.incoming.clear();
        for at in 0..self.engines.len() {
            let engine = &mut self.engines[at];
            if engine.poll_timeout().is_some_and(|at| at <= now) {
                engine.handle_timeout(now);
                self.note(now, at, || Given::Timeout);
            }
        }
        loop {
            for at in 0..self.engines.len() {
                self.note(now, at, || Given::Drain);
            }
            for (from, engine) in (0..).map(ShardId).zip(&mut self.engines) {
                while let Some(record) = engine.poll_record() {
                    self.records.push(record);
                }
                let outgoing = &mut self.outgoing;
                while outgoing.add(|bytes| Some(engine.poll_transmit(bytes)?.remote)) {}
                while let Some((to, message)) = engine.poll_message() {
                    self.mail.push((from, to, message));
                }
                while let Some(event) = engine.poll_event() {
                    self.events.push(event);
                }
            }
            if self.mail.is_empty() {
                return;
            }
            let mut mail = std::mem::take(&mut self.mail);
            self.mailed += mail.len() as u64;
            for (from, to, message) in mail.drain(..) {
                self.note(now, to.index(), || Given::Message(from, message.clone()));
                self.engines[to.index()].handle_message(now, from, message);
            }
            self.mail = mail;
        }
    }

    /// As [`Shards::turn`], but what is due by time first and each datagram in a turn of its own,
    /// so that a caller can measure one alone. It must call [`Shards::turn`].
    pub(crate) fn turn_singly(&mut self, now: Instant, each: &mut dyn FnMut(&mut Self, Instant)) {
        let batch = std::mem::take(&mut self.incoming);
        self.turn(now);
        for (party, bytes) in batch.iter() {
            self.incoming.add(|incoming| {
                incoming.extend_from_slice(bytes);
                Some(party)
            });
            each(self, now);
        }
    }

    /// INVITEs that the engines have to send to the PBX.
    pub(crate) fn offers(&self) -> usize {
        let invites = self
            .outgoing
            .iter()
            .filter(|(to, bytes)| *to == SocketAddr::from(PBX) && bytes.starts_with(b"INVITE "));
        invites.count()
    }

    /// From now on new calls are turned away, or no more.
    pub(crate) fn set_draining(&mut self, draining: bool) {
        for engine in &mut self.engines {
            engine.set_draining(draining);
        }
    }

    /// The engines without what was collected around them.
    pub(crate) fn into_engines(self) -> Vec<Engine> {
        self.engines
    }

    /// Calls that are not over.
    pub(crate) fn live_calls(&self) -> usize {
        self.engines
            .iter()
            .map(|engine| engine.live().unanswered + engine.live().connected)
            .sum()
    }
}

/// A server, its PBX and its callers.
pub(crate) struct Floor {
    pub(crate) now: Instant,
    pub(crate) shards: Shards,
    pub(crate) pbx: Pbx,
    pub(crate) callers: Callers,
    pub(crate) counters: Arc<Counters>,
    /// What everybody is configured by.
    pub(crate) config: Arc<Config>,
    /// When it began.
    pub(crate) began: Instant,
    /// Datagrams that the engines were given, so far.
    pub(crate) received: u64,
}

impl Floor {
    /// Every phone is watched and every agent Ready before it returns.
    pub(crate) fn new(shards: u16, agents: usize) -> Self {
        Self::subscribing(shards, agents, 1_000)
    }

    /// The same, with so many SUBSCRIBEs a second.
    pub(crate) fn subscribing(shards: u16, agents: usize, rate: usize) -> Self {
        Self::build(shards, agents, rate, Journal::Off, false)
    }

    /// As [`Floor::new`], and what the engines are given is written down from the beginning.
    pub(crate) fn noted(shards: u16, agents: usize) -> Self {
        Self::build(shards, agents, 1_000, Journal::Off, true)
    }

    /// What each engine was given, where it was written down.
    pub(crate) fn into_diaries(self) -> Vec<Diary> {
        self.shards.diaries.unwrap_or_default()
    }

    /// As [`Floor::new`], with a journal or without.
    pub(crate) fn journaled(shards: u16, agents: usize, journal: Journal) -> Self {
        Self::build(shards, agents, 1_000, journal, false)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "virtual time needs some instant to count from"
    )]
    fn build(shards: u16, agents: usize, rate: usize, journal: Journal, noted: bool) -> Self {
        let now = Instant::now();
        let config = Arc::new(configuration(agents, rate));
        let counters = Arc::new(Counters::default());
        let dns = (0..agents).map(dn);
        let mut floor = Self {
            now,
            shards: Shards::new(now, &config, shards, &counters, journal),
            pbx: Pbx::new(PbxOptions::new(PBX.into(), dns)),
            callers: Callers::new(CallersOptions {
                habits: CallerHabits {
                    talking: Span::milliseconds(1_000, 1_000),
                    ..CallerHabits::of("7000")
                },
                ..CallersOptions::new(CALLERS.into(), SERVER.into(), "7000")
            }),
            counters,
            config,
            began: now,
            received: 0,
        };
        if noted {
            floor.shards.diaries = Some(vec![Diary::new(); usize::from(shards)]);
        }
        for phone in 0..agents {
            let behaviour = Behaviour {
                ringing_after: Some(TICK * 20),
                then: Answering::After(TICK * 100),
                ..Behaviour::default()
            };
            floor
                .pbx
                .phone(now, &dn(phone))
                .set_behaviour(Some(behaviour));
        }
        let all_ready = |floor: &Self| floor.pbx.subscriptions() == agents;
        for _ in 0..60_000 + agents * 1_000 / rate {
            if all_ready(&floor) {
                break;
            }
            floor.tick(&mut Shards::turn);
        }
        assert!(all_ready(&floor), "every phone must be watched");
        floor.run(2_000);
        floor
    }

    /// So many ticks that nobody measures.
    pub(crate) fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.tick(&mut Shards::turn);
        }
    }

    /// Moves the time by [`TICK`] and lets everything that is due happen.
    pub(crate) fn tick(&mut self, turn: Turn<'_>) {
        self.now += TICK;
        self.pbx.handle_timeout(self.now);
        self.callers.handle_timeout(self.now);
        self.exchange(turn);
    }

    /// Carries datagrams to and fro until nobody has more to say at this moment.
    pub(crate) fn exchange(&mut self, turn: Turn<'_>) {
        for _ in 0..ROUNDS_MAX {
            self.collect();
            turn(&mut self.shards, self.now);
            if self.shards.outgoing.ends.is_empty() {
                return;
            }
            self.deliver();
        }
        panic!("the parties answer each other without end");
    }

    /// Fetches what the parties send into the batch that the engines read next.
    pub(crate) fn collect(&mut self) {
        let Self {
            callers,
            pbx,
            shards,
            ..
        } = self;
        let incoming = &mut shards.incoming;
        while incoming.add(|bytes| callers.poll_transmit(bytes).map(sender)) {}
        while incoming.add(|bytes| pbx.poll_transmit(bytes).map(sender)) {}
        self.received += incoming.ends.len() as u64;
    }

    fn deliver(&mut self) {
        for (to, bytes) in self.shards.outgoing.iter() {
            let (callers, from) = (SocketAddr::from(CALLERS), SERVER.into());
            if to == callers {
                self.callers.handle_datagram(self.now, to, from, bytes);
            } else {
                self.pbx.handle_datagram(self.now, to, from, bytes);
            }
        }
        self.forget();
    }

    /// Drops what the engines have said, and the parties' diaries.
    pub(crate) fn forget(&mut self) {
        self.shards.outgoing.clear();
        self.shards.events.clear();
        self.shards.records.clear();
        self.pbx.take_records();
        self.callers.take_records();
    }

    /// A private call begins at a phone, or the one that it has ends.
    pub(crate) fn change_presence(&mut self, phone: usize) {
        let (now, dn) = (self.now, dn(phone));
        if !self.pbx.phone(now, &dn).begin_private_call() {
            assert!(self.pbx.phone(now, &dn).end_private_call());
        }
    }

    /// Puts a datagram of the PBX before the engines.
    pub(crate) fn send(&mut self, datagram: &[u8]) {
        self.shards.incoming.add(|bytes| {
            bytes.extend_from_slice(datagram);
            Some(PBX.into())
        });
    }

    /// Puts the INVITE of a new call before the engines, with a branch of its own.
    pub(crate) fn send_invite(&mut self, number: usize) {
        let (server, caller) = (SocketAddr::from(SERVER), SocketAddr::from(CALLERS));
        self.shards.incoming.add(|bytes| {
            let body = "v=0\r\no=- 1 1 IN IP4 10.0.1.9\r\ns=-\r\nc=IN IP4 10.0.1.9\r\nt=0 0\r\n\
                        m=audio 4000 RTP/AVP 8\r\n";
            write!(
                bytes,
                "INVITE sip:7000@{server} SIP/2.0\r\nVia: SIP/2.0/UDP \
                 {caller};branch=z9hG4bKn{number};rport\r\nMax-Forwards: 70\r\n\
                 From: <sip:100@{caller}>;tag=n{number}\r\nTo: <sip:7000@{server}>\r\n\
                 Call-ID: n{number}@10.0.1.9\r\nCSeq: 1 INVITE\r\n\
                 Contact: <sip:100@{caller}>\r\nContent-Type: application/sdp\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .expect("memory takes it");
            Some(CALLERS.into())
        });
    }

    /// Gives the engines what lies before them; what they answer is counted and dropped.
    pub(crate) fn turn_alone(&mut self, turn: Turn<'_>) -> usize {
        turn(&mut self.shards, self.now);
        let answers = self.shards.outgoing.ends.len();
        self.forget();
        answers
    }
}

/// NOTIFYs that say what the phones' last ones said, each with the next CSeq and a branch of its
/// own. The PBX knows nothing of them, so nothing else may come from it afterwards.
pub(crate) struct Notifies {
    /// Of each phone the text before the branch, between branch and CSeq, and after the CSeq.
    texts: Vec<[String; 3]>,
    sent: usize,
    datagram: Vec<u8>,
}

impl Notifies {
    /// CSeqs beyond those of the PBX.
    const FIRST_CSEQ: usize = 1_000_000;

    /// Changes every phone's presence once and keeps what the PBX says of it.
    pub(crate) fn of(floor: &mut Floor, phones: usize) -> Self {
        let text = |phone| {
            floor.tick(&mut Shards::turn);
            floor.change_presence(phone);
            floor.collect();
            let text = {
                let (_, notify) = floor.shards.incoming.iter().next().expect("a NOTIFY");
                String::from_utf8(notify.to_vec()).expect("a NOTIFY is text")
            };
            floor.exchange(&mut Shards::turn);
            split(&text).expect("a NOTIFY has a branch and a CSeq")
        };
        Self {
            texts: (0..phones).map(text).collect(),
            sent: 0,
            datagram: Vec::new(),
        }
    }

    /// Puts the next phone's NOTIFY before the engines.
    pub(crate) fn send_next(&mut self, floor: &mut Floor) {
        let [head, middle, tail] = &self.texts[self.sent % self.texts.len()];
        let (branch, cseq) = (self.sent, Self::FIRST_CSEQ + self.sent / self.texts.len());
        self.datagram.clear();
        // Of one length, so that each finds the room of an earlier one.
        write!(self.datagram, "{head}{branch:06}{middle}{cseq}{tail}").expect("memory takes it");
        self.sent += 1;
        floor.send(&self.datagram);
    }

    /// The NOTIFY that was sent last.
    pub(crate) fn last(&self) -> &[u8] {
        &self.datagram
    }
}

fn split(notify: &str) -> Option<[String; 3]> {
    let branch = notify.find(";branch=z9hG4bK")? + ";branch=z9hG4bK".len();
    let (head, rest) = notify.split_at(branch);
    let (middle, rest) = rest.split_at(rest.find("CSeq: ")? + "CSeq: ".len());
    let tail = &rest[rest.find(' ')?..];
    Some([head, middle, tail].map(str::to_owned))
}

/// The number of a phone.
pub(crate) fn dn(phone: usize) -> String {
    (FIRST_DN + phone).to_string()
}

fn sender(packet: Packet) -> SocketAddr {
    packet.from
}

pub(crate) fn source(remote: SocketAddr) -> Source {
    Source {
        transport: Transport::Udp,
        local: SERVER.into(),
        remote,
        connection: None,
    }
}

fn configuration(agents: usize, subscribe_rate: usize) -> Config {
    let (server, pbx) = (SocketAddr::from(SERVER), SocketAddr::from(PBX));
    let text = format!(
        r#"
        [server]
        sip = ["udp:{server}"]
        [[trunk]]
        name = "pbx"
        peers = ["udp:{pbx}"]
        subscribe_rate = {subscribe_rate}
        [[queue]]
        name = "sales"
        [[routing_point]]
        number = "7000"
        queue = "sales"
        "#
    );
    // A range has numbers of one length.
    let of_five = agents.min(FIVE_DIGITS);
    let range = |first, last| {
        let (first, last) = (dn(first), dn(last));
        format!("[[agents]]\nrange = \"{first}-{last}\"\nqueues = [\"sales\"]\n")
    };
    let mut text = text + &range(0, of_five - 1);
    if agents > of_five {
        text += &range(of_five, agents - 1);
    }
    config::parse(&text, &|name| Err(name.to_owned())).expect("the configuration is right")
}
