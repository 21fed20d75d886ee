//! One engine, and messages that a test writes by hand and sends from any address.

mod admission;
mod passwords;
mod strangers;
mod threats;
mod together;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::{Engine as _, ShardId, Source, Transport};

use crate::config::{self, DnIndex};
use crate::counters::{Counter, Counters};
use crate::cti::{
    AgentWorkMode, ClientId, DesktopRequest, KeyValueList, Output, Request, RequestBody,
    RequestedBy,
};
use crate::wall::Wall;

use super::{Engine, EngineConfig, Input, Shared};

/// Where the engine listens.
const OURS: &str = "192.0.2.10:5060";
/// The trunk's only node.
pub(crate) const PBX: &str = "192.0.2.20:5060";

struct Lab {
    now: Instant,
    engine: Engine,
    counters: Arc<Counters>,
    /// What clients were told.
    events: Vec<Output>,
}

/// What an engine is made of, with this in its configuration besides a trunk, a queue and an agent:
/// lines of `[server]`, and lines of the trunk, behind which there may be further tables.
pub(crate) fn setup(now: Instant, server: &str, trunk: &str) -> EngineConfig {
    let text = format!(
        r#"
            [server]
            sip = ["udp:{OURS}", "tcp:{OURS}"]
            {server}
            [[trunk]]
            name = "pbx"
            peers = ["udp:{PBX}"]
            oos_check = 0
            {trunk}
            [[queue]]
            name = "sales"
            [[routing_point]]
            number = "7000"
            queue = "sales"
            [[agent]]
            dn = "2001"
            queues = ["sales"]
            presence = false
            "#
    );
    let config = config::parse(&text, &|name| Err(name.to_owned())).expect("no mistakes");
    let (config, counters) = (Arc::new(config), Arc::default());
    let wall = Wall::since_1970(now);
    let shared = Shared {
        shards: 1,
        keys: [1, 2],
        seed: 1,
    };
    EngineConfig::new(config, ShardId(0), shared, counters, wall)
}

pub(crate) fn source(from: &str) -> Source {
    Source {
        transport: Transport::Udp,
        local: OURS.parse().expect("an address"),
        remote: from.parse().expect("an address"),
        connection: None,
    }
}

impl Lab {
    /// An engine of this [`setup`].
    fn new(server: &str, trunk: &str) -> Self {
        let now = Instant::now();
        let setup = setup(now, server, trunk);
        let counters = Arc::clone(&setup.counters);
        Self {
            now,
            engine: Engine::new(now, setup),
            counters,
            events: Vec::new(),
        }
    }

    /// Sends a message from an address; what the engine sends at once, and to whom.
    fn send(&mut self, from: &str, bytes: &[u8]) -> Vec<(SocketAddr, String)> {
        self.engine.handle_datagram(self.now, source(from), bytes);
        self.sent()
    }

    /// Lets time pass; what the engine sends meanwhile.
    fn wait(&mut self, time: Duration) -> Vec<(SocketAddr, String)> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.engine.handle_timeout(self.now);
            sent.extend(self.sent());
        }
        self.now = end;
        sent
    }

    fn sent(&mut self) -> Vec<(SocketAddr, String)> {
        let mut sent = Vec::new();
        let mut bytes = Vec::new();
        while let Some(transmit) = self.engine.poll_transmit(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            sent.push((transmit.remote, text));
            bytes.clear();
        }
        while let Some(event) = self.engine.poll_event() {
            self.events.push(event);
        }
        sent
    }

    fn counted(&self, counter: Counter) -> u64 {
        self.counters.value(counter)
    }
}

/// A request from an address, with these lines in it.
fn request(method: &str, from: &str, call: &str, lines: &str) -> String {
    format!(
        "{method} sip:7000@{OURS} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {from};branch=z9hG4bK{call}{method}\r\n\
         Max-Forwards: 70\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n{lines}\
         Content-Length: 0\r\n\r\n"
    )
}

/// The INVITE of a call to an agent.
pub(crate) fn invite_to(dn: &str) -> String {
    let lines = format!(
        "From: <sip:100@192.0.2.20>;tag={dn}\r\nTo: <sip:{dn}@192.0.2.10>\r\n\
         Contact: <sip:100@192.0.2.20>\r\n"
    );
    request("INVITE", PBX, dn, &lines).replace("sip:7000@", &format!("sip:{dn}@"))
}

/// An agent's desktop logs in.
pub(crate) fn login(dn: DnIndex) -> Input {
    let login = DesktopRequest::Login {
        agent_id: None,
        work_mode: AgentWorkMode::AutoIn,
        reasons: KeyValueList::default(),
    };
    let requested_by = RequestedBy {
        client: ClientId(1),
        reference_id: 1,
    };
    let body = RequestBody::Desktop(dn, login);
    Input::Request(Request { requested_by, body })
}

/// The value of a header in a message.
fn value<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = message.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The status of a response.
fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}
