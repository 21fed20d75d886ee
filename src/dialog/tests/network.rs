//! A network in virtual time: user agents, and peers whose messages the test writes by hand. It
//! loses, repeats and delays from a seed; TCP it only delays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::{ConnectionId, ShardId, Source, Transport};

use crate::allowance::Rate;
use crate::counters::{Counter, Counters};
use crate::dialog::{
    Admission, Body, Carried, Invite, LegEvent, LegKey, LegPolicy, Listener, Party, Sender,
    Subscribe, Target, UserAgent, UserAgentConfig, UserAgentEvent,
};

/// Steps after which a test is taken to run in circles.
const STEPS_MAX: usize = 200_000;

pub(super) struct Network {
    pub(super) now: Instant,
    pub(super) agents: Vec<UserAgent>,
    pub(super) counters: Vec<Arc<Counters>>,
    /// What every agent has said and no test has taken yet.
    pub(super) events: Vec<Vec<UserAgentEvent>>,
    /// What arrived at addresses that are no agent's, oldest first.
    pub(super) inbox: Vec<Arrived>,
    packets: Vec<Packet>,
    chance: Chance,
    pub(super) loss_percent: u32,
    pub(super) duplicate_percent: u32,
    pub(super) jitter_ms: u32,
}

/// A message that a hand-written peer got.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
    pub(super) text: String,
}

struct Packet {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    transport: Transport,
    bytes: Vec<u8>,
}

pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(super) fn target(port: u16) -> Target {
    Target {
        transport: Transport::Udp,
        address: address(port),
        large_requests: None,
        overload_control: false,
    }
}

pub(super) fn sdp(text: &str) -> Body {
    Body {
        content_type: bytes::Bytes::from_static(b"application/sdp"),
        bytes: text.as_bytes().into(),
    }
}

pub(super) fn invite_to(port: u16) -> Invite {
    Invite {
        target: target(port),
        request_uri: format!("sip:2001@127.0.0.1:{port}"),
        calling: std::sync::Arc::new(Party {
            number: "1000".into(),
            display_name: "Caller".into(),
            private: false,
        }),
        max_forwards: 70,
        body: Some(sdp("offer")),
        carried: Carried::default(),
        diversions: Vec::new(),
        is_focus: false,
        auto_answer: None,
        replaces: None,
        referred_by: None,
        speaks_for: None,
        policy: LegPolicy::default(),
        credentials: None,
    }
}

pub(super) fn subscribe_to(port: u16) -> Subscribe {
    Subscribe {
        owner: 7,
        target: target(port),
        request_uri: format!("sip:8001@127.0.0.1:{port}"),
        from_user: "watcher".to_owned(),
        expires: Duration::from_secs(600),
        credentials: None,
    }
}

impl Network {
    /// `agents` user agents at ports 5060, 5061, ….
    pub(super) fn new(seed: u64, agents: u16) -> Self {
        let now = Instant::now();
        let mut network = Self {
            now,
            agents: Vec::new(),
            counters: Vec::new(),
            events: Vec::new(),
            inbox: Vec::new(),
            packets: Vec::new(),
            chance: Chance::new(seed),
            loss_percent: 0,
            duplicate_percent: 0,
            jitter_ms: 0,
        };
        for number in 0..agents {
            let listener = |transport| Listener {
                transport,
                address: address(5060 + number),
                advertised: address(5060 + number).to_string(),
            };
            let config = UserAgentConfig {
                shard: ShardId(number),
                listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
                t1: Duration::from_millis(500),
                t2: Duration::from_secs(4),
                t4: Duration::from_secs(5),
                user_agent: "Offhook".to_owned(),
                call_id_host: None,
                keys: [1, 2],
                seed: seed ^ u64::from(number),
            };
            let counters = Arc::new(Counters::default());
            network
                .agents
                .push(UserAgent::new(now, config, Arc::clone(&counters)));
            network.counters.push(counters);
            network.events.push(Vec::new());
        }
        network
    }

    /// Sends a hand-written message from a port that is no agent's to agent 0.
    pub(super) fn send(&mut self, from: u16, text: &str) {
        self.send_bytes(from, text.as_bytes());
    }

    pub(super) fn send_bytes(&mut self, from: u16, bytes: &[u8]) {
        self.packets.push(Packet {
            at: self.now,
            from: address(from),
            to: address(5060),
            transport: Transport::Udp,
            bytes: bytes.to_vec(),
        });
        self.run_for(Duration::from_millis(1));
    }

    /// Takes what agent `number` has said.
    pub(super) fn take_events(&mut self, number: usize) -> Vec<UserAgentEvent> {
        self.drain();
        std::mem::take(&mut self.events[number])
    }

    /// Takes what agent `number` has said about its legs.
    pub(super) fn take_leg_events(&mut self, number: usize) -> Vec<LegEvent> {
        let events = self.take_events(number).into_iter();
        events
            .filter_map(|event| match event {
                UserAgentEvent::Leg(_, event) => Some(event),
                _ => None,
            })
            .collect()
    }

    /// The key of the one call that was offered to agent `number`.
    pub(super) fn take_invited(&mut self, number: usize) -> LegKey {
        let events = self.take_events(number);
        let [UserAgentEvent::Invited(key, _)] = events[..] else {
            panic!("one INVITE was expected: {events:?}");
        };
        key
    }

    /// Takes what hand-written peers got.
    pub(super) fn take_texts(&mut self) -> Vec<String> {
        self.drain();
        self.run_for(Duration::from_millis(1));
        self.inbox.drain(..).map(|arrived| arrived.text).collect()
    }

    /// Takes the one message that hand-written peers got.
    pub(super) fn take_text(&mut self) -> String {
        let mut texts = self.take_texts();
        assert_eq!(texts.len(), 1, "one message was expected: {texts:#?}");
        texts.remove(0)
    }

    pub(super) fn count(&self, number: usize, counter: Counter) -> u64 {
        self.counters[number].value(counter)
    }

    pub(super) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_to(end);
    }

    /// Runs until nothing is left to happen.
    pub(super) fn run_until_idle(&mut self) {
        self.run_to(self.now + Duration::from_secs(3_600));
        for (number, agent) in self.agents.iter().enumerate() {
            assert!(agent.is_idle(), "agent {number} is not idle: {agent:?}");
        }
    }

    fn run_to(&mut self, end: Instant) {
        for _ in 0..STEPS_MAX {
            self.drain();
            let arrival = self.packets.iter().map(|packet| packet.at).min();
            let timer = self.agents.iter().filter_map(UserAgent::poll_timeout).min();
            let Some(next) = arrival
                .into_iter()
                .chain(timer)
                .min()
                .filter(|at| *at <= end)
            else {
                self.now = self.now.max(end);
                return;
            };
            self.now = self.now.max(next);
            self.deliver();
            for agent in &mut self.agents {
                if agent.poll_timeout().is_some_and(|at| at <= self.now) {
                    agent.handle_timeout(self.now);
                }
            }
        }
        panic!("the network runs in circles");
    }

    /// Puts what the agents send on the wire, and keeps what they say.
    fn drain(&mut self) {
        for number in 0..self.agents.len() {
            let from = address(5060 + u16::try_from(number).expect("few agents"));
            let mut bytes = Vec::new();
            while let Some(transmit) = self.agents[number].poll_transmit(&mut bytes) {
                let bytes = std::mem::take(&mut bytes);
                self.carry(from, transmit.remote, transmit.transport, &bytes);
            }
            while let Some(event) = self.agents[number].poll_event() {
                self.events[number].push(event);
            }
        }
    }

    fn carry(&mut self, from: SocketAddr, to: SocketAddr, transport: Transport, bytes: &[u8]) {
        let lossy = transport == Transport::Udp;
        let copies = if lossy && self.chance.below(100) < self.loss_percent {
            0
        } else if lossy && self.chance.below(100) < self.duplicate_percent {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = self.chance.below(self.jitter_ms + 1);
            let at = self.now + Duration::from_millis(u64::from(delay));
            self.packets.push(Packet {
                at,
                from,
                to,
                transport,
                bytes: bytes.to_vec(),
            });
        }
    }

    fn deliver(&mut self) {
        let (due, later) = std::mem::take(&mut self.packets)
            .into_iter()
            .partition::<Vec<_>, _>(|packet| packet.at <= self.now);
        self.packets = later;
        for packet in due {
            let number = usize::from(packet.to.port()).wrapping_sub(5060);
            if let Some(agent) = self.agents.get_mut(number) {
                let connection = match packet.transport {
                    Transport::Udp => None,
                    Transport::Tcp | Transport::Tls => Some(ConnectionId {
                        shard: ShardId(0),
                        index: 0,
                        generation: 0,
                    }),
                };
                let source = Source {
                    transport: packet.transport,
                    local: packet.to,
                    remote: packet.from,
                    connection,
                };
                let sender = Sender::Known {
                    is_trusted: true,
                    shows: None,
                    admission: Admission::Open,
                    call_rate: Rate::new(1_000_000, 1_000_000, 1),
                };
                agent.handle_datagram(self.now, source, sender, &packet.bytes);
            } else {
                self.inbox.push(Arrived {
                    to: packet.to,
                    transport: packet.transport,
                    text: String::from_utf8_lossy(&packet.bytes).into_owned(),
                });
            }
        }
    }
}

/// A seeded stream of numbers (splitmix64), good enough to decide a packet's fate.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number in `0..bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * u128::from(bound)) >> 64) as u32
    }
}
