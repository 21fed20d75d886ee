//! The engine trait: the whole surface between a shard and whatever runs on it. A shard moves
//! bytes, time and messages; it never looks inside them, and asks the engine for the two things
//! it cannot know: who owns a message and where one ends. `shard.rs` is the only caller.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crate::intake::Urgency;

/// The number of a shard: `0..Options::shards`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard's number as an index into a table with one row a shard.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// One datagram is one message.
    Udp,
    /// A stream that [`Engine::frame`] cuts into messages.
    Tcp,
    /// The same, under TLS.
    Tls,
}

/// Names one stream connection for as long as the process lives: a closed connection's id is
/// never taken for a later one, because the generation differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// The shard that accepted or opened it, and that does all its reading and writing.
    pub shard: ShardId,
    /// Its place in that shard's table.
    pub index: u32,
    /// Which use of that place this is.
    pub generation: u32,
}

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// How it came.
    pub transport: Transport,
    /// The address it came to: the listener's bound address for a datagram, the connection's own
    /// for a stream.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The connection it came on; `None` for a datagram.
    pub connection: Option<ConnectionId>,
}

const _: () = assert!(size_of::<Source>() <= 84, "each message has one");

/// Where a message of the engine's goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// How it goes.
    pub transport: Transport,
    /// The listener to send from; `None`, or an address that is no listener's, takes the first
    /// listener of the remote's address family. For a new stream connection its IP address is
    /// the one connected from.
    pub local: Option<SocketAddr>,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Streams only: answer on this connection if it is still open; otherwise an open connection
    /// to `remote` on the sending shard is taken, or one is opened.
    pub connection: Option<ConnectionId>,
}

const _: () = assert!(size_of::<Transmit>() <= 84, "each message has one");

/// What the start of a stream's buffered bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// A whole message: this many bytes, at least one and no more than were shown.
    Complete(usize),
    /// Bytes that are no message, such as a keep-alive.
    Skip {
        /// How many, at least one and no more than were shown.
        bytes: usize,
        /// What to answer on the same connection; may be empty.
        reply: &'static [u8],
    },
    /// A message that has not ended yet (or no byte at all).
    Incomplete,
    /// No message can start like this: [`Engine::handle_malformed`] is told, and the connection is
    /// closed.
    Malformed,
}

/// What became of a stream connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionOutcome {
    /// It was open, and is closed: by the peer, by an error, by a deadline or by a limit.
    Closed,
    /// It could not be opened: refused, unreachable, too slow, or beyond a limit. What was to be
    /// sent on it is lost.
    ConnectFailed,
}

/// Told to the engines of *all* shards, because transactions of any of them may wait for an
/// answer on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionChange {
    /// The connection; `None` when a limit refused it before it had a place in a table.
    pub connection: Option<ConnectionId>,
    /// The peer's address.
    pub remote: SocketAddr,
    /// What became of it.
    pub outcome: ConnectionOutcome,
}

/// One engine per shard, built on its own shard's thread. Pure: everything comes in as arguments
/// and goes out by `poll_*`, which are called after every batch of input until they yield `None`.
pub trait Engine: Sized + 'static {
    /// Shard to shard: a small owned plain value that could cross a network.
    type Message: Send + 'static;
    /// Control plane to shard.
    type Request: Send + 'static;
    /// Shard to control plane.
    type Event: Send + 'static;

    /// The shard that owns this datagram or framed message; `None` means "process it here".
    /// Called on raw bytes, before anything is parsed, on the shard that received them only.
    fn owner(&self, bytes: &[u8]) -> Option<ShardId>;

    /// Where the first message of a stream's buffered bytes ends.
    fn frame(buffer: &[u8]) -> Frame;

    /// For whom the certificate of whoever is at this address must be: a host name or an address.
    /// Asked when a connection under TLS is to be opened; `None` opens none.
    fn identity(&self, remote: SocketAddr) -> Option<String> {
        let _ = remote;
        None
    }

    /// How soon a message must be handled where many wait, on raw bytes. Asked once, by the shard
    /// that received it; what is [`Urgency::Aside`] to that one is asked of its owner too, who may
    /// know more.
    fn urgency(&self, from: &Source, bytes: &[u8]) -> Urgency {
        let _ = (from, bytes);
        Urgency::Now
    }

    /// When the message that is handed over next reached this machine, as far as that is known, and
    /// in which line it waited since. How long it waited in the kernel is known only where
    /// datagrams are stamped (`Options::stamps`, `Options::pace`).
    fn handle_arrival(&mut self, at: Instant, urgency: Urgency) {
        let _ = (at, urgency);
    }

    /// A datagram or a complete stream frame; `from` tells which.
    fn handle_datagram(&mut self, now: Instant, from: Source, bytes: &[u8]);

    /// The same, but so many of its urgency wait already that this one cannot: to be handled at
    /// once, or refused, or left to its sender's repetition. What came by a stream, is
    /// [`Urgency::Now`] or [`Urgency::Soon`] and lives here is left in the stream instead, and
    /// what else is [`Urgency::Now`] is handled in its order, unless it is too long for any line.
    fn handle_excess(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        self.handle_datagram(now, from, bytes);
    }

    /// The rest of a stream that [`Engine::frame`] calls malformed. Whether the peer is answered:
    /// then what the engine transmits on the connection is written before it is closed.
    fn handle_malformed(&mut self, now: Instant, from: Source, bytes: &[u8]) -> bool {
        let _ = (now, from, bytes);
        false
    }

    /// A stream connection was closed or could not be opened.
    fn handle_connection(&mut self, now: Instant, change: ConnectionChange);

    /// Whether the stream message that [`Engine::poll_transmit`] gave last is for a connection of
    /// its own: one that is open to the same peer is not taken, unless the message names it.
    fn wants_own_connection(&self) -> bool {
        false
    }

    /// The connection that was opened because [`Engine::wants_own_connection`] said so; `None` when
    /// a limit refuses it, and nothing more is said about it.
    fn handle_opening(&mut self, now: Instant, connection: Option<ConnectionId>) {
        let _ = (now, connection);
    }

    /// The next connection that is to be closed, once everything given to it was written.
    fn poll_close(&mut self) -> Option<ConnectionId> {
        None
    }

    /// A message from another shard's engine, or from this one's to itself.
    fn handle_message(&mut self, now: Instant, from: ShardId, message: Self::Message);

    /// A request from the control plane.
    fn handle_request(&mut self, now: Instant, request: Self::Request);

    /// The time that [`Engine::poll_timeout`] named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Appends one message's bytes to `buffer` and says where they go.
    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit>;

    /// The next message to a shard's engine. Not called while a queue is full: the engine bounds
    /// its own backlog.
    fn poll_message(&mut self) -> Option<(ShardId, Self::Message)>;

    /// The next event for the control plane. Not called while its queue is full: the engine
    /// bounds its own backlog.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// When to call [`Engine::handle_timeout`]; it is not called earlier.
    fn poll_timeout(&self) -> Option<Instant>;
}
