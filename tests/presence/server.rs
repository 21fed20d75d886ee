//! One shard of the real server, with agent 8001 and routing point 7000, and the test as its PBX,
//! message by message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::config;
use offhook::counters::{Counter, Counters};
use offhook::cti::{Event, Notice, Output, SubscriptionStatus, Value};
use offhook::engine::{Engine, EngineConfig, Shared};
use offhook::wall::Wall;
use offhook_shards::clock::Clock;
use offhook_shards::{ConnectionChange, ConnectionId, ConnectionOutcome};
use offhook_shards::{Engine as _, ShardId, Source, Transport};

const LOCAL: &str = "192.0.2.10:5060";
const PBX: &str = "192.0.2.20:5060";
const KEYS: [u64; 2] = [1, 2];

pub(crate) struct Server {
    now: Instant,
    engine: Engine,
    counters: Arc<Counters>,
    sent: Vec<String>,
    events: Vec<Event>,
    pub(crate) status: SubscriptionStatus,
}

impl Server {
    /// `trunk` are lines of the only `[[trunk]]`, whose peer is at `PBX` by `transport`.
    pub(crate) fn new(transport: &str, trunk: &str) -> Self {
        let text = format!(
            r#"
            [server]
            sip = ["udp:{LOCAL}", "tcp:{LOCAL}"]
            [[trunk]]
            name = "ucm"
            peers = ["{transport}:{PBX}"]
            {trunk}
            [[agent]]
            dn = "8001"
            queues = ["sales"]
            [[queue]]
            name = "sales"
            [[routing_point]]
            number = "7000"
            queue = "sales"
            "#
        );
        let config = config::parse(&text, &|name| Err(name.to_owned()));
        let config = config.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let (config, counters) = (Arc::new(config), Arc::new(Counters::default()));
        let now = Clock.now();
        let setup = EngineConfig::new(
            config,
            ShardId(0),
            Shared {
                shards: 1,
                keys: KEYS,
                seed: 1,
            },
            Arc::clone(&counters),
            Wall::since_1970(now),
        );
        let mut server = Self {
            now,
            engine: Engine::new(now, setup),
            counters,
            sent: Vec::new(),
            events: Vec::new(),
            status: SubscriptionStatus::Off,
        };
        server.drain();
        server
    }

    /// A server whose one DN has been subscribed to; the SUBSCRIBE waits for its answer.
    pub(crate) fn subscribing() -> (Self, Subscribed) {
        let mut server = Self::new("udp", "oos_check = 0");
        server.run(Duration::from_secs(1));
        let subscribe = server.sent.pop().expect("a SUBSCRIBE");
        assert!(subscribe.starts_with("SUBSCRIBE sip:8001@"), "{subscribe}");
        server.sent.clear();
        (server, Subscribed(subscribe))
    }

    pub(crate) fn counted(&self, counter: Counter) -> u64 {
        self.counters.value(counter)
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// The PBX sends a message; gives back the statuses that it gets at once.
    pub(crate) fn receive(&mut self, message: &str) -> Vec<u16> {
        let by_tcp = message.contains("\nVia: SIP/2.0/TCP");
        let source = Source {
            transport: if by_tcp {
                Transport::Tcp
            } else {
                Transport::Udp
            },
            local: LOCAL.parse().unwrap(),
            remote: PBX.parse().unwrap(),
            connection: by_tcp.then_some(CONNECTION),
        };
        self.sent.clear();
        self.engine
            .handle_datagram(self.now, source, message.as_bytes());
        self.drain();
        let statuses = self
            .sent
            .iter()
            .filter_map(|sent| sent.strip_prefix("SIP/2.0 "));
        statuses.map(|rest| rest[..3].parse().unwrap()).collect()
    }

    /// Whether something that begins like this was sent since the PBX sent something.
    pub(crate) fn has_sent(&self, head: &str) -> bool {
        self.sent.iter().any(|sent| sent.starts_with(head))
    }

    /// A connection to the PBX could not be opened.
    pub(crate) fn connection_failed(&mut self) {
        let change = ConnectionChange {
            connection: Some(CONNECTION),
            remote: PBX.parse().unwrap(),
            outcome: ConnectionOutcome::ConnectFailed,
        };
        self.engine.handle_connection(self.now, change);
        self.drain();
    }

    /// The events since the last look, in short: name, work mode, reason code.
    pub(crate) fn said(&mut self) -> Vec<String> {
        self.events
            .drain(..)
            .map(|event| in_short(&event))
            .collect()
    }

    fn drain(&mut self) {
        let mut bytes = Vec::new();
        while self.engine.poll_transmit(&mut bytes).is_some() {
            self.sent
                .push(String::from_utf8(std::mem::take(&mut bytes)).unwrap());
        }
        assert!(self.engine.poll_message().is_none(), "there is one shard");
        while let Some(output) = self.engine.poll_event() {
            match output {
                Output::Event(event) => self.events.push(*event),
                Output::Notice(Notice::Subscription { status, .. }) => self.status = status,
                Output::Notice(
                    Notice::QueueDepth { .. } | Notice::QueuePlace { .. } | Notice::Trunk(..),
                )
                | Output::LookUp(_) => {}
            }
        }
    }
}

const CONNECTION: ConnectionId = ConnectionId {
    shard: ShardId(0),
    index: 0,
    generation: 1,
};

fn in_short(event: &Event) -> String {
    let mut text = format!("{} {:?}", event.this_dn, event.name);
    if let Some(work_mode) = event.agent_work_mode {
        text += &format!(" {work_mode:?}");
    }
    if let Some(Value::Text(code)) = event.extensions.value("ReasonCode") {
        text += &format!(" {code}");
    }
    if event.call.is_some() {
        text += " call";
    }
    text
}

/// The SUBSCRIBE that made a subscription, from which the PBX's own messages are made.
pub(crate) struct Subscribed(String);

impl Subscribed {
    fn header(&self, name: &str) -> &str {
        let lines = self.0.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values
            .next()
            .unwrap_or_else(|| panic!("{name} in {}", self.0))
    }

    /// The 200 to it.
    pub(crate) fn accepted(&self, expires: u32) -> String {
        let copied: String = ["Via", "From", "Call-ID", "CSeq"]
            .map(|name| format!("{name}: {}\r\n", self.header(name)))
            .concat();
        format!(
            "SIP/2.0 200 OK\r\n{copied}To: {};tag=1746816090\r\nContact: <sip:8001@{PBX}>\r\n\
             Expires: {expires}\r\nContent-Length: 0\r\n\r\n",
            self.header("To"),
        )
    }

    /// A NOTIFY of UCM as if it were one of this subscription.
    pub(crate) fn adopt(&self, notify: &str) -> String {
        let (head, body) = halves(notify);
        let lines = head.lines().map(|line| match line.split_once(": ") {
            Some(("To", _)) => format!("To: {}\r\n", self.header("From")),
            Some(("Call-ID", _)) => format!("Call-ID: {}\r\n", self.header("Call-ID")),
            Some(_) | None => format!("{line}\r\n"),
        });
        lines.collect::<String>() + "\r\n" + body
    }

    /// A NOTIFY with this CSeq and body.
    pub(crate) fn notify(&self, cseq: u32, body: &str) -> String {
        self.adopt(&format!(
            "NOTIFY sip:offhook@{LOCAL} SIP/2.0\r\nVia: SIP/2.0/UDP {PBX};branch=z9hG4bKn{cseq}\r\n\
             From: <sip:8001@192.0.2.20>;tag=1746816090\r\nTo: <sip:offhook@192.0.2.10>\r\n\
             Call-ID: any\r\nCSeq: {cseq} NOTIFY\r\nMax-Forwards: 70\r\nEvent: presence\r\n\
             Contact: <sip:8001@{PBX}>\r\nSubscription-State: active\r\n\
             Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

/// The head of a message and its body.
fn halves(message: &str) -> (&str, &str) {
    let ends = ["\r\n\r\n", "\n\n"].map(|blank| message.find(blank).map(|at| (at, blank.len())));
    let (at, length) = ends
        .into_iter()
        .flatten()
        .min()
        .expect("a blank line ends the head");
    (&message[..at], &message[at + length..])
}
