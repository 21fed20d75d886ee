//! Transactions: RFC 3261 §17 as corrected by RFC 6026 and RFC 4320.
//!
//! One [`Transactions`] per shard pairs responses with requests, absorbs what the network repeats
//! and repeats what it lost. It sends 100 (Trying) and the ACK to a failure by itself. It refuses
//! to know dialogs: the ACK to a 2xx and the repetition of a 2xx are the dialog's, who sends them
//! with [`Transactions::send`]; so is holding a CANCEL until a provisional response has come
//! (RFC 3261 §9.1). Read `invite_client.rs`, `client.rs`, `invite_server.rs` and `server.rs` for
//! the four machines, `matching.rs` for what belongs to what, `servers.rs` and `clients.rs` for how
//! they meet.

mod acknowledgement;
mod client;
mod clients;
mod effects;
mod event;
mod invite_client;
mod invite_server;
mod matching;
mod outbox;
mod route;
mod server;
mod servers;
mod table;
mod timer;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_shards::wheel::Wheel;
use offhook_shards::{ConnectionChange, Source, Transmit, Transport};

use crate::sip::{Feedback, HeaderIndex, Method, Request, Response, Status, Via};
use crate::spare::Rooms;

use clients::Clients;
use effects::{Owner, Shared};
use matching::Matching;
use outbox::Outbox;
use servers::Servers;

pub use event::{ClientKey, Delivered, Event, Full, Incoming, ServerKey};
pub use route::{Target, transport_for};
pub use timer::Timers;

/// A request that starts a client transaction.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Its method. INVITE has a machine of its own; ACK is not a transaction and goes by `send`.
    pub method: Method<'a>,
    /// By what it goes: the first half of [`transport_for`], and what its Via says.
    pub transport: Transport,
    /// To whom: the second half of [`transport_for`].
    pub remote: SocketAddr,
    /// The branch of its Via: new for every request, except for a CANCEL, which has its INVITE's.
    pub branch: &'a str,
    /// The complete message.
    pub bytes: &'a [u8],
    /// What is sent instead when no connection can be opened.
    pub fallback: Option<Fallback<'a>>,
}

/// A request that goes by TCP for nothing but its size goes by UDP all the same where the peer
/// takes no connection (RFC 3261 §18.1.1).
#[derive(Debug, Clone, Copy)]
pub struct Fallback<'a> {
    /// Where the datagram goes.
    pub remote: SocketAddr,
    /// The complete message, with the same branch and a Via that says UDP.
    pub bytes: &'a [u8],
}

/// All transactions of one shard.
///
/// Call `handle_*` and the commands in any order, then drain: `poll_transmit`, `poll_event`, and
/// `poll_timeout` for when to call `handle_timeout`. Time never goes back.
#[derive(Debug)]
pub struct Transactions {
    servers: Servers,
    clients: Clients,
    shared: Shared,
    /// The latest time that was passed in.
    now: Instant,
}

impl Transactions {
    /// No transactions. `key` keys the tables, so that nobody outside can aim at one bucket: it
    /// must be secret, and new with every start.
    ///
    /// # Panics
    /// When T1 is zero, or T2 is less than T1.
    #[must_use]
    pub fn new(now: Instant, timers: Timers, key: [u64; 2]) -> Self {
        assert!(
            !timers.t1.is_zero() && timers.t2 >= timers.t1,
            "0 < T1 <= T2"
        );
        let matching = Matching::new(key);
        Self {
            servers: Servers::new(matching),
            clients: Clients::new(matching),
            shared: Shared {
                durations: timers,
                wheel: Wheel::new(now),
                outbox: Outbox::default(),
                buffers: Rooms::default(),
                events: VecDeque::new(),
                late: Duration::ZERO,
                headers: HeaderIndex::new(),
                feedback: None,
            },
            now,
        }
    }

    /// Takes a checked request from the network.
    pub fn handle_request(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        source: Source,
    ) -> Incoming {
        self.advance(now);
        self.servers
            .handle_request(now, request, source, &mut self.shared)
    }

    /// Whether an INVITE with this top Via, whose branch begins with the magic cookie, is known.
    #[must_use]
    pub fn is_known_invite(&self, via: &Via<'_>) -> bool {
        self.servers.is_known_invite(via)
    }

    /// Whether a request is the repetition of one that is known, or cancels one.
    #[must_use]
    pub fn is_known(&self, request: &Request<'_>, source: Source) -> bool {
        self.servers.is_known(request, source.remote)
    }

    /// Takes a checked response from the network.
    pub fn handle_response(&mut self, now: Instant, response: &Response<'_>) -> Delivered {
        self.advance(now);
        self.clients
            .handle_response(now, response, &mut self.shared)
    }

    /// A connection that this shard opened, or tried to, is gone: the client transactions that
    /// used it fail, but for those that have a [`Fallback`]. Server transactions do not: they
    /// answer over a new one (RFC 3261 §18.2.2).
    ///
    /// Do not pass what happened to another shard's connection: this shard's requests do not wait
    /// on it, although it may go to the same address.
    pub fn handle_connection(&mut self, now: Instant, change: &ConnectionChange) {
        self.advance(now);
        self.clients
            .handle_connection_lost(now, change, &mut self.shared);
    }

    /// The time that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        // Ends: whatever a timer arms lies after `now`.
        while let Some((due, (owner, timer))) = self.shared.wheel.expire(now) {
            self.shared.late = now.saturating_duration_since(due);
            match owner {
                Owner::Client(key) => {
                    self.clients.handle_timer(now, key, timer, &mut self.shared);
                }
                Owner::Server(key) => {
                    self.servers.handle_timer(now, key, timer, &mut self.shared);
                }
            }
        }
    }

    /// Answers a request. `bytes` are the complete response; they are kept for as long as the
    /// request may be repeated. After a 2xx to an INVITE the caller repeats it until the ACK.
    ///
    /// A 408 to anything but an INVITE is not sent: the client has timed out already (RFC 4320
    /// §4.2).
    ///
    /// # Panics
    /// After the final response, because a request has one; and for a provisional response other
    /// than 100 to anything but an INVITE (RFC 4320 §4.1). No peer can cause either.
    pub fn respond(&mut self, now: Instant, key: ServerKey, status: Status, bytes: &[u8]) {
        self.advance(now);
        self.servers
            .respond(now, key, status, bytes, &mut self.shared);
    }

    /// Answers a request that has no transaction, where RFC 3261 §18.2.2 and RFC 3581 say. `via`
    /// is the request's top Via.
    pub fn send_response_stateless(&mut self, source: Source, via: &Via<'_>, bytes: &[u8]) {
        let port = route::reply_port(source, via);
        self.shared
            .outbox
            .push(route::of_response(source, port), bytes);
    }

    /// Sends a request that starts a client transaction.
    ///
    /// # Errors
    /// [`Full`] at the limit; nothing was sent.
    ///
    /// # Panics
    /// For an ACK, and when the branch is in use by a request of the same method.
    pub fn request(&mut self, now: Instant, outgoing: Outgoing<'_>) -> Result<ClientKey, Full> {
        self.advance(now);
        self.clients.request(now, outgoing, &mut self.shared)
    }

    /// A CANCEL was sent for this INVITE: its final response must come within 64*T1, else the
    /// INVITE is `TimedOut` (RFC 3261 §9.1). Nothing happens to a transaction that has it, or is
    /// over.
    pub fn expect_final(&mut self, now: Instant, invite: ClientKey) {
        self.advance(now);
        self.clients.expect_final(now, invite, &mut self.shared);
    }

    /// Nobody cares for its outcome any more. It still runs to its end (an INVITE without a final
    /// response for at most 64*T1 more), in silence: no event names the key again, and its
    /// responses are absorbed, but for a 2xx to an INVITE, which is `Stray`.
    pub fn abandon(&mut self, now: Instant, key: ClientKey) {
        self.advance(now);
        self.clients.abandon(now, key, &mut self.shared);
    }

    /// Sends bytes outside any transaction: the ACK to a 2xx, a 2xx once more.
    pub fn send(&mut self, transmit: Transmit, bytes: &[u8]) {
        self.shared.outbox.push(transmit, bytes);
    }

    /// Where the request came from; `None` when the transaction is over.
    #[must_use]
    pub fn source(&self, key: ServerKey) -> Option<Source> {
        self.servers.source(key)
    }

    /// Where responses to the request go: what to repeat a 2xx to. `None` when the transaction is
    /// over.
    #[must_use]
    pub fn destination(&self, key: ServerKey) -> Option<Transmit> {
        self.servers.destination(key)
    }

    /// By what and to whom a request of ours went; `None` when the transaction is over.
    #[must_use]
    pub fn way(&self, key: ClientKey) -> Option<(Transport, SocketAddr)> {
        self.clients.way(key)
    }

    /// Whether the request waits for its final response from us.
    #[must_use]
    pub fn is_unanswered(&self, key: ServerKey) -> bool {
        self.servers.is_unanswered(key)
    }

    /// Whether the request of ours waits for its final response.
    #[must_use]
    pub fn is_pending(&self, key: ClientKey) -> bool {
        self.clients.is_pending(key)
    }

    /// The next message to send; its bytes are appended to `buffer`.
    pub fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        self.shared.outbox.pop(buffer)
    }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shared.events.pop_front()
    }

    /// When to call `handle_timeout`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.shared.wheel.next()
    }

    /// Client transactions, the finished that still absorb repetitions included.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Server transactions, the finished that still absorb repetitions included.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Armed timers.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.shared.wheel.len()
    }

    /// What responses say of overload from now on, to whom wants to hear of it.
    pub fn set_feedback(&mut self, feedback: Option<Feedback>) {
        self.shared.feedback = feedback;
    }

    /// What they say.
    #[must_use]
    pub fn feedback(&self) -> Option<Feedback> {
        self.shared.feedback
    }

    /// Bytes of messages that wait to be sent.
    #[must_use]
    pub fn bytes_to_send(&self) -> usize {
        self.shared.outbox.len()
    }

    /// Messages that wait to be sent.
    #[must_use]
    pub fn messages_to_send(&self) -> usize {
        self.shared.outbox.count()
    }

    /// Messages lost since this was asked last because too many waited to be sent.
    #[must_use]
    pub fn take_dropped(&mut self) -> u64 {
        self.shared.outbox.take_dropped()
    }

    /// Whether nothing is left of any transaction: no record, no name in an index, no timer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.clients.is_empty() && self.shared.wheel.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn set_server_limit(&mut self, limit: usize, reserve: usize) {
        self.servers.set_limit(limit, reserve);
    }

    #[cfg(test)]
    pub(crate) fn set_client_limit(&mut self, limit: usize, reserve: usize) {
        self.clients.set_limit(limit, reserve);
    }

    fn advance(&mut self, now: Instant) {
        assert!(now >= self.now, "time never goes back");
        self.now = now;
    }
}

#[cfg(test)]
mod tests;
