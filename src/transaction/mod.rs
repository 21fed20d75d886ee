//! Transactions: RFC 3261 §17 as corrected by RFC 6026 and RFC 4320.
//!
//! One [`Transactions`] per shard pairs responses with requests, absorbs what the network repeats
//! and repeats what it lost. It sends 100 (Trying) and the ACK to a failure by itself. It refuses
//! to know dialogs: the ACK to a 2xx and the repetition of a 2xx are the dialog's, who sends them
//! with [`Transactions::send`]; so is holding a CANCEL until a provisional response has come
//! (RFC 3261 §9.1). Read `invite_client.rs`, `client.rs`, `invite_server.rs` and `server.rs` for
//! the four machines, `matching.rs` for what belongs to what.

mod event;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_shards::{ConnectionChange, Source, Transmit, Transport};

use crate::dialog::Target;
use crate::sip::{Method, Request, Response, Status, Via};

pub use event::{ClientKey, Delivered, Event, Full, Incoming, ServerKey};

/// The three durations that all timers are made of (RFC 3261 §17, table 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// The estimated round trip; the first retransmission interval.
    pub t1: Duration,
    /// The longest retransmission interval of everything but an INVITE request.
    pub t2: Duration,
    /// How long a message stays in the network.
    pub t4: Duration,
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
}

/// By what and to whom a request of that size goes: over 1,300 bytes by TCP where the peer has it
/// (RFC 3261 §18.1.1). Ask before the Via is written; both transports' names have the same length.
#[must_use]
pub fn transport_for(target: &Target, request_bytes: usize) -> (Transport, SocketAddr) {
    unimplemented!("{target:?} {request_bytes}")
}

/// All transactions of one shard.
///
/// Call `handle_*` and the commands in any order, then drain: `poll_transmit`, `poll_event`, and
/// `poll_timeout` for when to call `handle_timeout`.
#[derive(Debug)]
pub struct Transactions {}

impl Transactions {
    /// No transactions. `key` keys the tables, so that nobody outside can aim at one bucket.
    #[must_use]
    pub fn new(now: Instant, timers: Timers, key: [u64; 2]) -> Self { unimplemented!() }

    /// Takes a checked request from the network.
    pub fn handle_request(&mut self, now: Instant, request: &Request<'_>, source: Source) -> Incoming { unimplemented!() }

    /// Takes a checked response from the network.
    pub fn handle_response(&mut self, now: Instant, response: &Response<'_>) -> Delivered { unimplemented!() }

    /// A connection that this shard opened, or tried to, is gone: the client transactions that
    /// used it fail. Server transactions do not: they answer over a new connection (§18.2.2).
    pub fn handle_connection(&mut self, now: Instant, change: &ConnectionChange) { unimplemented!() }

    /// The time that `poll_timeout` named has come.
    pub fn handle_timeout(&mut self, now: Instant) { unimplemented!() }

    /// Answers a request. `bytes` are the complete response; they are kept for as long as the
    /// request may be repeated. After a 2xx to an INVITE the caller repeats it until the ACK.
    ///
    /// # Panics
    /// After the final response: a request has one.
    pub fn respond(&mut self, now: Instant, key: ServerKey, status: Status, bytes: &[u8]) { unimplemented!() }

    /// Answers a request that has no transaction, where §18.2.2 and RFC 3581 say.
    pub fn send_response_stateless(&mut self, source: Source, via: &Via<'_>, bytes: &[u8]) { unimplemented!() }

    /// Sends a request that starts a client transaction.
    ///
    /// # Errors
    /// [`Full`] at the limit; nothing was sent.
    pub fn request(&mut self, now: Instant, outgoing: Outgoing<'_>) -> Result<ClientKey, Full> { unimplemented!() }

    /// A CANCEL was sent for this INVITE: its final response must come within 64*T1, else the
    /// INVITE is `TimedOut` (§9.1). Nothing happens to a transaction that has it, or is over.
    pub fn expect_final(&mut self, now: Instant, invite: ClientKey) { unimplemented!() }

    /// Nobody cares for its outcome any more. It still runs to its end (an INVITE without a final
    /// response for at most 64*T1 more), in silence: no event names the key again, and its
    /// responses are absorbed, but for a 2xx to an INVITE, which is `Stray`.
    pub fn abandon(&mut self, now: Instant, key: ClientKey) { unimplemented!() }

    /// Sends bytes outside any transaction: the ACK to a 2xx, a 2xx once more.
    pub fn send(&mut self, transmit: Transmit, bytes: &[u8]) { unimplemented!() }

    /// Where the request came from; `None` when the transaction is over.
    #[must_use]
    pub fn source(&self, key: ServerKey) -> Option<Source> { unimplemented!() }

    /// Where responses to the request go: what to repeat a 2xx to. `None` when the transaction is
    /// over.
    #[must_use]
    pub fn destination(&self, key: ServerKey) -> Option<Transmit> { unimplemented!() }

    /// Whether the request waits for its final response from us.
    #[must_use]
    pub fn is_unanswered(&self, key: ServerKey) -> bool { unimplemented!() }

    /// Whether the request of ours waits for its final response.
    #[must_use]
    pub fn is_pending(&self, key: ClientKey) -> bool { unimplemented!() }

    /// The next message to send; its bytes are appended to `buffer`.
    pub fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> { unimplemented!() }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<Event> { unimplemented!() }

    /// When to call `handle_timeout`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> { unimplemented!() }

    /// Client transactions, the finished that still absorb repetitions included.
    #[must_use]
    pub fn clients(&self) -> usize { unimplemented!() }

    /// Server transactions, the finished that still absorb repetitions included.
    #[must_use]
    pub fn servers(&self) -> usize { unimplemented!() }

    /// Armed timers.
    #[must_use]
    pub fn timers(&self) -> usize { unimplemented!() }

    /// Whether no transaction is left.
    #[must_use]
    pub fn is_empty(&self) -> bool { unimplemented!() }
}
