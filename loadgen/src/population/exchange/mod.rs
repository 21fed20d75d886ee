//! A minimal transaction layer of our own for one address (RFC 3261 §17, RFC 6026), so that a
//! defect of the server's does not hide itself: requests are sent again until they are answered,
//! requests of the peer are answered again from stored bytes, and so on.
//!
//! It parses and writes with the library's `sip` and shares nothing else with the server. What a
//! request means is decided above.

mod client;
mod receive;
mod server;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook::sip::{HeaderIndex, Method, Request, Response};

use super::agenda::Agenda;
use super::message::Style;
use client::Client;
use server::{Server, ServerKey};

pub(super) use server::Answer;

/// The timers of RFC 3261 §17 that everything else follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// T1: the estimate of a round trip.
    pub t1: Duration,
    /// T2: the longest interval between two sendings.
    pub t2: Duration,
    /// T4: how long a message may live in the network.
    pub t4: Duration,
}

impl Timers {
    /// 64 times T1: when a request that nobody answers is given up.
    #[must_use]
    pub fn patience(self) -> Duration {
        self.t1 * 64
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

/// A request that we have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientId(u64);

/// A request that we have received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServerId(u64);

/// What a datagram means to those above.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// A new request; it waits for [`Exchange::answer`].
    Request(ServerId, Request<'a>),
    /// The peer has taken this INVITE back. The CANCEL is answered; the INVITE is not.
    Cancelled(ServerId),
    /// Our 2xx to this INVITE has arrived: its first ACK.
    Acknowledged(Request<'a>),
    /// A provisional response, or the final one for the first time.
    Response(ClientId, Response<'a>),
    /// Nothing new: a retransmission, or something that could not be read.
    Nothing,
}

/// What time brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Nobody answered a request; for an INVITE, nobody answered it finally after our CANCEL.
    NoResponse(ClientId),
    /// Nobody acknowledged our 2xx.
    NeverAcknowledged(ServerId),
}

#[derive(Debug, Clone, Copy)]
enum Due {
    Resend(ClientId),
    GiveUp(ClientId),
    ForgetClient(ClientId),
    AnswerAgain(ServerId),
    NoAck(ServerId),
    ForgetServer(ServerId),
}

/// What an exchange has seen go wrong or twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wire {
    /// Datagrams sent, retransmissions included.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
    /// Requests and answers that we sent again.
    pub resent: u64,
    /// Requests and answers that the peer sent again.
    pub repeated: u64,
    /// Datagrams that could not be read.
    pub malformed: u64,
    /// Responses to no request of ours.
    pub stray: u64,
    /// A 2xx of a second dialog to one INVITE: a server that is no proxy never forks.
    pub forked: u64,
}

impl std::ops::AddAssign for Wire {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.resent += other.resent;
        self.repeated += other.repeated;
        self.malformed += other.malformed;
        self.stray += other.stray;
        self.forked += other.forked;
    }
}

/// One address's transactions.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) address: SocketAddr,
    pub(super) wire: Wire,
    /// What every message has.
    pub(super) style: Style,
    timers: Timers,
    /// What makes our branches ours: seed and incarnation.
    mark: String,
    made: u64,
    clients: BTreeMap<ClientId, Client>,
    /// The CANCEL of an INVITE: both have one branch.
    cancels: BTreeMap<ClientId, ClientId>,
    servers: BTreeMap<ServerId, Server>,
    by_branch: BTreeMap<ServerKey, ServerId>,
    /// The peer's INVITEs by Call-ID and CSeq.
    invites: BTreeMap<(String, u32), ServerId>,
    agenda: Agenda<Due>,
    out: VecDeque<(SocketAddr, Vec<u8>)>,
    index: Option<HeaderIndex>,
    /// Nothing comes in and nothing goes out.
    silent: bool,
}

impl Exchange {
    pub(super) fn new(address: SocketAddr, mark: String, timers: Timers) -> Self {
        Self {
            address,
            wire: Wire::default(),
            style: Style::default(),
            timers,
            mark,
            made: 0,
            clients: BTreeMap::new(),
            cancels: BTreeMap::new(),
            servers: BTreeMap::new(),
            by_branch: BTreeMap::new(),
            invites: BTreeMap::new(),
            agenda: Agenda::default(),
            out: VecDeque::new(),
            index: Some(HeaderIndex::new()),
            silent: false,
        }
    }

    /// Forgets every transaction, as a host does that has restarted.
    pub(super) fn restart(&mut self, mark: String) {
        let (wire, style) = (self.wire, std::mem::take(&mut self.style));
        *self = Self::new(self.address, mark, self.timers);
        (self.wire, self.style) = (wire, style);
    }

    /// Whether requests of this method are served here.
    pub(super) fn allows(&self, method: Method<'_>) -> bool {
        let named = |allowed: &str| allowed.trim() == method.as_str();
        self.style.allow.split(',').any(named)
    }

    /// Unplugs the address, or plugs it in again.
    pub(super) fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
        if silent {
            self.out.clear();
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Lends the header index, so that a parsed message does not borrow the exchange.
    pub(super) fn take_index(&mut self) -> HeaderIndex {
        self.index.take().unwrap_or_default()
    }

    /// Takes the header index back.
    pub(super) fn return_index(&mut self, index: HeaderIndex) {
        self.index = Some(index);
    }

    pub(super) fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<SocketAddr> {
        let (to, bytes) = self.out.pop_front()?;
        buffer.extend_from_slice(&bytes);
        Some(to)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.agenda.next()
    }

    /// Does what is due, and says at most one thing about it. To be called until `None`.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Expiry> {
        while let Some((_, due)) = self.agenda.take_due(now) {
            let expiry = match due {
                Due::Resend(id) => self.resend(now, id),
                Due::GiveUp(id) => self.give_up(now, id),
                Due::ForgetClient(id) => self.forget_client(id),
                Due::AnswerAgain(id) => self.answer_again(now, id),
                Due::NoAck(id) => self.no_ack(id),
                Due::ForgetServer(id) => self.forget_server(id),
            };
            if expiry.is_some() {
                return expiry;
            }
        }
        None
    }

    /// Transactions that have not come to their end; zero some time after all traffic.
    pub(super) fn transactions(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    fn transmit(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        if !self.silent {
            self.wire.sent += 1;
            self.out.push_back((to, bytes));
        }
    }

    fn next_number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}
