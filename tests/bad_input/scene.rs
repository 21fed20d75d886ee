//! The real server in this process, a PBX, and somebody who misbehaves; what the server has
//! counted; and the call, the agent and the client that must work all the same.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use offhook::config;
use offhook::server::serve::{self, Choices, Deadlines, Serving};
use offhook_shards::Transport;
use serde_json::Value as Json;

use super::message::{Draft, Heard};
use super::pbx::Pbx;

/// Nothing takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Who is silent for so long says nothing.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);
/// How long somebody may take to say a message or a request, in these tests.
pub(crate) const DEADLINE: Duration = Duration::from_millis(800);

/// May do everything.
pub(crate) const ADMIN: &str = "the-admins-token";
/// May act for 2002.
pub(crate) const DESKTOP: &str = "the-desktops-token";

/// Everything that a row needs.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) server: Serving,
    pub(crate) pbx: Pbx,
    /// The second node of the PBX.
    pub(crate) spare: Pbx,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Scene {
    /// Starts all and waits until the agent is Ready.
    pub(crate) fn open(shards: u16) -> Self {
        Self::open_with(shards, "oos_check = 1\noos_force = 0")
    }

    /// The same with other pings of the PBX.
    pub(crate) fn open_with(shards: u16, pings: &str) -> Self {
        let (pbx, spare) = (Pbx::start(), Pbx::start());
        let driver = std::env::var("OFFHOOK_TEST_DRIVER").unwrap_or_else(|_| "auto".to_owned());
        let text = format!(
            r#"
            [server]
            sip = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]
            http = "127.0.0.1:0"
            shards = {shards}
            pin = false
            driver = "{driver}"
            t1 = "20ms"
            t2 = "100ms"
            t4 = "100ms"
            client_queue = 64
            [[token]]
            token = "{ADMIN}"
            role = "admin"
            [[token]]
            token = "{DESKTOP}"
            role = "agent"
            dns = ["2002"]
            [[trunk]]
            name = "ucm"
            peers = ["udp:{}", "udp:{}"]
            mode = "primary_backup"
            accept = "127.0.0.66"
            {pings}
            recovery_timeout = 60
            [presence]
            own_call_tail = 0
            [[agent]]
            dn = "2001"
            queues = ["sales"]
            [[agent]]
            dn = "2002"
            presence = false
            [[queue]]
            name = "sales"
            [[routing_point]]
            number = "7000"
            queue = "sales"
            "#,
            pbx.address, spare.address
        );
        let config = config::parse(&text, &|name| Err(name.to_owned())).unwrap();
        let choices = Choices {
            deadlines: Deadlines {
                sip_message: DEADLINE,
                http_head: DEADLINE,
                http_body: DEADLINE,
            },
            ..Choices::default()
        };
        let server = serve::start(&config, choices).unwrap();
        let (udp, tcp, http) = (server.udp[0], server.tcp[0], server.http);
        let scene = Self {
            server,
            pbx,
            spare,
            udp,
            tcp,
            http,
        };
        scene.await_agent("Ready");
        scene
    }

    /// A call is offered, answered and ended, the agent is Ready again, and a client is answered.
    pub(crate) fn still_works(&self) {
        self.call();
        self.await_agent("Ready");
        let asked = r#"{"Message":"RequestQueryAddress","ThisDN":"2001"}"#;
        let (status, body) = self.ask(ADMIN, "POST", "/api/v1/requests", asked);
        assert_eq!(status, 200, "{body}");
    }

    fn call(&self) {
        let caller = Caller::new(self.udp);
        let invite = Draft::invite("7000");
        caller.send(&invite);
        let answer = caller.hear_final("INVITE").expect("the call is answered");
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        caller.send(&invite.within(&answer, "ACK", 1));
        caller.send(&invite.within(&answer, "BYE", 2));
        let bye = caller.hear_final("BYE").expect("the BYE is answered");
        assert_eq!(bye.status(), Some(200), "{bye:?}");
    }

    /// Waits until agent 2001 is in this state.
    pub(crate) fn await_agent(&self, status: &str) {
        let mut last = Json::Null;
        let came = comes_true(PATIENCE, || {
            let (_, body) = self.ask(ADMIN, "GET", "/api/v1/agents/2001", "");
            last = serde_json::from_str(&body).unwrap_or_default();
            last["AgentStatus"] == status
        });
        assert!(came, "agent 2001 is not {status}: {last}");
    }

    /// Status and body of one HTTP request with a token.
    pub(crate) fn ask(&self, token: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
            self.http,
            body.len()
        );
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        (status.expect("an answer has a status"), body.to_owned())
    }

    /// What is counted by cause, over all shards: `metric{cause}`, or `metric` where the cause is
    /// in the name.
    pub(crate) fn counted(&self) -> BTreeMap<String, u64> {
        let (status, page) = self.ask(ADMIN, "GET", "/metrics", "");
        assert_eq!(status, 200, "{page}");
        let mut counted = BTreeMap::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let name = name
                .trim_start_matches("offhook_")
                .trim_end_matches("_total");
            let cause = labels.split_once("cause=\"").map(|(_, rest)| rest);
            let key = match cause.and_then(|rest| rest.split('"').next()) {
                Some(cause) => format!("{name}{{{cause}}}"),
                None => name.to_owned(),
            };
            if is_watched(&key) || key == "trunk_in_service" || key.starts_with("pings") {
                *counted.entry(key).or_default() += value.parse::<u64>().expect("a number");
            }
        }
        counted
    }
}

/// Whether a number may rise only if something went wrong.
fn is_watched(key: &str) -> bool {
    const FAMILIES: &[&str] = &[
        "messages_refused",
        "calls_refused",
        "peer_failures",
        "panics",
        "cti_errors",
        "cti_clients_closed",
        "cti_refused_clients",
        "http_refused",
        "shard_closed_",
        "shard_refused_",
        "shard_drop_",
    ];
    let told_otherwise = ["shard_closed_by_peer", "notifies{applied}"].contains(&key);
    let watched = FAMILIES.iter().any(|family| key.starts_with(family));
    (watched || key.starts_with("notifies")) && !told_otherwise
}

/// A socket that somebody says something from, by UDP.
#[derive(Debug)]
pub(crate) struct Caller {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Caller {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self::from("127.0.0.1", server)
    }

    pub(crate) fn from(address: &str, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        Self { socket, server }
    }

    pub(crate) fn send(&self, draft: &Draft) {
        let own = self.socket.local_addr().unwrap().to_string();
        self.send_bytes(&draft.bytes(Transport::Udp, &own));
    }

    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).unwrap();
    }

    fn hear(&self, longest: Duration) -> Option<Heard> {
        let mut buffer = vec![0; 65_535];
        self.socket.set_read_timeout(Some(longest)).unwrap();
        let length = self.socket.recv(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        Some(Heard(text))
    }

    /// The next final response to a request of this method; what else comes is answered as a
    /// phone would, or not at all.
    pub(crate) fn hear_final(&self, method: &str) -> Option<Heard> {
        self.hear_final_within(PATIENCE, method)
    }

    pub(crate) fn hear_final_within(&self, longest: Duration, method: &str) -> Option<Heard> {
        let end = Instant::now() + longest;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let heard = self.hear(left.max(Duration::from_millis(1)))?;
            let is_final = heard.status().is_some_and(|status| status >= 200);
            if is_final && heard.value("CSeq").ends_with(method) {
                return Some(heard);
            }
        }
    }
}

/// Looks until it is so. `false` if it never was.
pub(crate) fn comes_true(longest: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + longest;
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}
