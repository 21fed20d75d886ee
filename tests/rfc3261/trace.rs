//! Plays one transaction in virtual time and writes down, with the millisecond, everything that it
//! sends (`> INVITE`), what becomes of what it receives (`180 To`) and what it reports
//! (`TimedOut`). What ends because nothing more can come does so at the next multiple of 8 ms:
//! 32104 is the end of what began at 100 and has 64*T1.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook::sip::{Checked, HeaderIndex, Message, Method, Status};
use offhook::transaction::{
    ClientKey, Delivered, Event, Incoming, Outgoing, ServerKey, Timers, Transactions,
};
use offhook_shards::{
    ConnectionChange, ConnectionId, ConnectionOutcome, ShardId, Source, Transmit, Transport,
};

/// More than this many steps are a loop.
const STEPS_MAX: usize = 1_000;
/// Nothing of a transaction that was left alone happens later.
const END_MS: u64 = 300_000;

#[expect(
    clippy::disallowed_methods,
    reason = "virtual time has to start somewhere"
)]
pub(crate) fn origin() -> Instant {
    Instant::now()
}

pub(crate) fn local() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

pub(crate) fn remote() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], 5070))
}

pub(crate) fn connection() -> ConnectionId {
    ConnectionId {
        shard: ShardId(0),
        index: 4,
        generation: 1,
    }
}

pub(crate) fn source(transport: Transport) -> Source {
    let connection = match transport {
        Transport::Udp => None,
        Transport::Tcp | Transport::Tls => Some(connection()),
    };
    Source {
        transport,
        local: local(),
        remote: remote(),
        connection,
    }
}

pub(crate) fn transactions(now: Instant) -> Transactions {
    Transactions::new(now, Timers::default(), [3, 5])
}

/// A request as a peer at `remote()` sends it.
pub(crate) fn request(method: &str, via: &str, to_tag: &str) -> String {
    format!(
        "{method} sip:2001@192.0.2.1 SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n\
         From: <sip:1001@192.0.2.9>;tag=a\r\nTo: <sip:2001@192.0.2.1>{to_tag}\r\n\
         Call-ID: call@192.0.2.9\r\nCSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The top Via of that peer's requests.
pub(crate) const PEER_VIA: &str = "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKpeer";

pub(crate) fn response(request: &str, status: u16) -> String {
    let method = request.split(' ').next().unwrap();
    let mut lines = format!("SIP/2.0 {status} x\r\n");
    for line in request.lines().filter(|line| {
        ["Via:", "From:", "Call-ID:"]
            .iter()
            .any(|name| line.starts_with(name))
    }) {
        lines += line;
        lines += "\r\n";
    }
    lines
        + &format!(
            "To: <sip:2001@192.0.2.1>;tag=b\r\nCSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n"
        )
}

pub(crate) fn method(name: &str) -> Method<'_> {
    Method::parse(name.as_bytes()).unwrap()
}

/// Gives the transactions a request.
pub(crate) fn receive_request(
    transactions: &mut Transactions,
    now: Instant,
    text: &str,
    source: Source,
) -> Incoming {
    let mut index = HeaderIndex::new();
    match Message::receive(text.as_bytes(), &mut index) {
        Ok(Checked::Request(request)) => transactions.handle_request(now, &request, source),
        other => panic!("not a request: {other:?}"),
    }
}

/// Gives the transactions a response.
pub(crate) fn receive_response(
    transactions: &mut Transactions,
    now: Instant,
    text: &str,
) -> Delivered {
    let mut index = HeaderIndex::new();
    match Message::receive(text.as_bytes(), &mut index) {
        Ok(Checked::Response(response)) => transactions.handle_response(now, &response),
        other => panic!("not a response: {other:?}"),
    }
}

/// Everything that waits to be sent.
pub(crate) fn sent(transactions: &mut Transactions) -> Vec<(Transmit, String)> {
    let mut messages = Vec::new();
    let mut buffer = Vec::new();
    while let Some(transmit) = transactions.poll_transmit(&mut buffer) {
        messages.push((
            transmit,
            String::from_utf8(std::mem::take(&mut buffer)).unwrap(),
        ));
    }
    messages
}

/// The status or the method of a message.
pub(crate) fn kind(message: &str) -> &str {
    let mut words = message.split(' ');
    match words.next() {
        Some("SIP/2.0") => words.next().unwrap(),
        Some(method) => method,
        None => "",
    }
}

/// What happened, line by line.
pub(crate) struct Trace {
    pub(crate) lines: Vec<String>,
    /// Everything that was sent, in order.
    pub(crate) sent: Vec<String>,
    pub(crate) transactions: Transactions,
}

impl Trace {
    /// Checks the lines, and that nothing is left over.
    pub(crate) fn is(&self, expected: &[&str]) {
        assert_eq!(self.lines, expected);
        assert!(self.transactions.is_empty(), "{:?}", self.transactions);
    }

    /// Checks the lines of a transaction that waits for its user.
    pub(crate) fn waits_after(&self, expected: &[&str]) {
        assert_eq!(self.lines, expected);
        assert_eq!(self.transactions.clients() + self.transactions.servers(), 1);
        assert_eq!(self.transactions.timers(), 0);
    }
}

struct Player {
    trace: Trace,
    start: Instant,
    now: Instant,
}

impl Player {
    fn new() -> Self {
        let start = origin();
        let transactions = transactions(start);
        let trace = Trace {
            lines: Vec::new(),
            sent: Vec::new(),
            transactions,
        };
        Self {
            trace,
            start,
            now: start,
        }
    }

    fn log(&mut self, line: &str) {
        let ms = self.now.duration_since(self.start).as_millis();
        self.trace.lines.push(format!("{ms} {line}"));
    }

    fn drain(&mut self) {
        for (_, message) in sent(&mut self.trace.transactions) {
            self.log(&format!("> {}", kind(&message)));
            self.trace.sent.push(message);
        }
        while let Some(event) = self.trace.transactions.poll_event() {
            let name = match event {
                Event::TimedOut(_) => "TimedOut",
                Event::TransportFailed(_) => "TransportFailed",
                Event::ClientEnded(_) => "ClientEnded",
                Event::AckMissing(_) => "AckMissing",
                Event::ServerEnded(_) => "ServerEnded",
            };
            self.log(name);
        }
    }

    /// Runs all inputs at their milliseconds and every timer at its own.
    fn play(mut self, inputs: &[(u64, &str)], mut apply: impl FnMut(&mut Self, &str)) -> Trace {
        let end = self.start + Duration::from_millis(END_MS);
        let mut inputs = inputs.iter().peekable();
        for _ in 0..STEPS_MAX {
            self.drain();
            let input = inputs
                .peek()
                .map(|input| self.start + Duration::from_millis(input.0));
            let timer = self.trace.transactions.poll_timeout();
            let Some(next) = input
                .into_iter()
                .chain(timer)
                .min()
                .filter(|next| *next < end)
            else {
                return self.trace;
            };
            self.now = self.now.max(next);
            if input == Some(next) {
                apply(&mut self, inputs.next().unwrap().1);
            } else {
                self.trace.transactions.handle_timeout(self.now);
            }
        }
        panic!("no end in sight: {:?}", self.trace.lines);
    }
}

/// Sends a request at 0 ms. Inputs are the status of a response to it, `lost` and `refused` for
/// its connection, `expect_final` and `abandon`.
pub(crate) fn client(name: &str, transport: Transport, inputs: &[(u64, &str)]) -> Trace {
    let mut player = Player::new();
    let text = request(
        name,
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours;rport",
        "",
    );
    let outgoing = Outgoing {
        method: method(name),
        transport,
        remote: remote(),
        branch: "z9hG4bKours",
        bytes: text.as_bytes(),
        fallback: None,
    };
    let key = player
        .trace
        .transactions
        .request(player.now, outgoing)
        .unwrap();
    player.play(inputs, |player, input| {
        client_input(player, key, &text, input);
    })
}

fn client_input(player: &mut Player, key: ClientKey, request: &str, input: &str) {
    let now = player.now;
    let transactions = &mut player.trace.transactions;
    let change = |outcome| ConnectionChange {
        connection: Some(connection()),
        remote: remote(),
        outcome,
    };
    match input {
        "lost" => transactions.handle_connection(now, &change(ConnectionOutcome::Closed)),
        "refused" => {
            transactions.handle_connection(now, &change(ConnectionOutcome::ConnectFailed));
        }
        "expect_final" => transactions.expect_final(now, key),
        "abandon" => transactions.abandon(now, key),
        status => {
            let text = response(request, status.parse().unwrap());
            let verdict = match receive_response(transactions, now, &text) {
                Delivered::To(found) => {
                    assert_eq!(found, key);
                    "To"
                }
                Delivered::Absorbed => "Absorbed",
                Delivered::Stray => "Stray",
            };
            player.log(&format!("{status} {verdict}"));
        }
    }
}

/// Serves one request. Inputs are the methods of requests that come, all with one branch, and
/// `= 200` for an answer of ours.
pub(crate) fn server(transport: Transport, inputs: &[(u64, &str)]) -> Trace {
    let mut answered: Option<ServerKey> = None;
    Player::new().play(inputs, |player, input| {
        let now = player.now;
        let transactions = &mut player.trace.transactions;
        if let Some(status) = input.strip_prefix("= ") {
            let status = status.parse().unwrap();
            let text = response(&request("INVITE", PEER_VIA, ""), status);
            transactions.respond(now, answered.unwrap(), Status(status), text.as_bytes());
            return;
        }
        let to_tag = if input == "ACK" { ";tag=b" } else { "" };
        let text = request(input, PEER_VIA, to_tag);
        let verdict = match receive_request(transactions, now, &text, source(transport)) {
            Incoming::New(key) => {
                answered = Some(key);
                "New"
            }
            Incoming::Absorbed => "Absorbed",
            Incoming::Acknowledge => "Acknowledge",
            Incoming::Cancel { .. } => "Cancel",
            Incoming::Merged(_) => "Merged",
            Incoming::Full => "Full",
        };
        player.log(&format!("{input} {verdict}"));
    })
}
