//! What a shard counts. Each shard writes its own block of numbers, padded so that no two shards
//! share a cache line; anyone may read them at any time. Nothing here is ever reset.

use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::ShardId;
use crate::turns::TurnTimes;

macro_rules! counters {
    ($($(#[doc = $text:literal])+ $variant:ident => $name:literal,)+) => {
        /// One number of a shard.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Counter {
            $($(#[doc = $text])+ $variant,)+
        }

        impl Counter {
            /// All of them, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name in snake case, without unit prefix or suffix of any metrics system.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

counters! {
    /// Datagrams received from sockets.
    DatagramsIn => "datagrams_in",
    /// Datagrams given to the kernel.
    DatagramsOut => "datagrams_out",
    /// Payload bytes received, datagrams and streams.
    BytesIn => "bytes_in",
    /// Payload bytes given to the kernel, datagrams and streams.
    BytesOut => "bytes_out",
    /// `recvmmsg` calls that returned datagrams.
    BatchesIn => "batches_in",
    /// `sendmmsg` calls that sent datagrams.
    BatchesOut => "batches_out",
    /// Messages cut from streams.
    FramesIn => "frames_in",
    /// Messages given to streams.
    FramesOut => "frames_out",
    /// Datagrams and frames handed to the shard that owns them.
    Hops => "hops",
    /// Engine messages sent to other shards.
    MessagesOut => "messages_out",
    /// Engine messages received from other shards.
    MessagesIn => "messages_in",
    /// Requests taken from the control plane.
    Requests => "requests",
    /// Events given to the control plane.
    Events => "events",
    /// Stream connections open now (a gauge).
    ConnectionsOpen => "connections_open",
    /// Messages received and not handled, at the end of the last turn (a gauge).
    ReceivedWaiting => "received_waiting",
    /// Stream connections accepted.
    ConnectionsAccepted => "connections_accepted",
    /// Stream connections opened to a peer.
    ConnectionsOpened => "connections_opened",
    /// Handshakes of TLS that were done.
    Handshakes => "handshakes",
    /// Allocations on the shard's thread, if the program's allocator counts them.
    Allocations => "allocations",
    /// Turns of the loop.
    Turns => "turns",
    /// Times the loop slept.
    Sleeps => "sleeps",
    /// Other threads woken by this shard.
    Wakeups => "wakeups",
    /// Times the engine's own deadline came.
    EngineTimeouts => "engine_timeouts",
    /// Times an engine message had to wait because a shard's queue was full.
    MessageQueueFull => "message_queue_full",
    /// Times an event had to wait because the control plane's queue was full.
    EventQueueFull => "event_queue_full",
    /// Times a stream had to wait because the owning shard's queue was full.
    FrameQueueFull => "frame_queue_full",
    /// Requests refused because the shard's queue was full.
    RequestQueueFull => "request_queue_full",
    /// Datagram that the kernel dropped at the socket, nearly always because its receive buffer
    /// was full.
    DropReceiveFull => "drop_receive_full",
    /// Dropped datagram: the owning shard's queue was full.
    DropMeshFull => "drop_mesh_full",
    /// Dropped datagram: the socket's send buffer and our retry queue were full.
    DropSendFull => "drop_send_full",
    /// Dropped datagram: the kernel refused to send it (unreachable, too long, …).
    DropSendError => "drop_send_error",
    /// Dropped message: no listener can send to its address family or over its transport.
    DropNoSocket => "drop_no_socket",
    /// Dropped message for another shard's connection: that shard's queue was full.
    DropTransmitFull => "drop_transmit_full",
    /// Dropped connection change: the queues to other shards stayed full.
    DropChange => "drop_change",
    /// Connection refused: too many on this shard.
    RefusedShardFull => "refused_shard_full",
    /// Connection refused: too many from this source.
    RefusedSourceFull => "refused_source_full",
    /// Connection that could not be accepted or opened.
    ConnectFailed => "connect_failed",
    /// Of those, for want of descriptors or of local ports.
    ConnectExhausted => "connect_exhausted",
    /// Connection closed by the peer.
    ClosedByPeer => "closed_by_peer",
    /// Connection closed because the engine wanted it so.
    ClosedByEngine => "closed_by_engine",
    /// Connection closed by the peer in the middle of a message.
    ClosedTruncated => "closed_truncated",
    /// Connection closed: reading or writing failed.
    ClosedError => "closed_error",
    /// Connection closed: its TLS handshake failed or took too long, or its TLS broke.
    ClosedTls => "closed_tls",
    /// Connection closed: what it sent can start no message.
    ClosedMalformed => "closed_malformed",
    /// Connection closed: a message grew beyond the limit.
    ClosedInputLimit => "closed_input_limit",
    /// Connection closed: the peer reads too slowly.
    ClosedOutputLimit => "closed_output_limit",
    /// Connection closed: a message took too long to arrive.
    ClosedMessageDeadline => "closed_message_deadline",
    /// Connection closed: nothing happened on it.
    ClosedIdle => "closed_idle",
    /// Connection closed: the shard stopped.
    ClosedStop => "closed_stop",
}

impl Counter {
    /// Whether it may fall: it says how much there is now, and not how much there was.
    #[must_use]
    pub fn is_gauge(self) -> bool {
        matches!(self, Self::ConnectionsOpen | Self::ReceivedWaiting)
    }
}

/// One shard's numbers.
#[derive(Debug)]
pub struct ShardMetrics {
    values: Vec<AtomicU64>,
    turns: TurnTimes,
}

impl ShardMetrics {
    fn new() -> Self {
        Self {
            values: Counter::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            turns: TurnTimes::new(),
        }
    }

    /// How long its turns took.
    #[must_use]
    pub fn turns(&self) -> &TurnTimes {
        &self.turns
    }

    /// The number as it is now.
    #[must_use]
    pub fn value(&self, counter: Counter) -> u64 {
        self.values[counter as usize].load(Ordering::Relaxed)
    }

    /// Adds without a locked instruction: only the shard's own thread may call it.
    pub(crate) fn add(&self, counter: Counter, count: u64) {
        self.set(counter, self.value(counter).wrapping_add(count));
    }

    /// Sets a gauge, or what is counted elsewhere: only the shard's own thread may call it.
    pub(crate) fn set(&self, counter: Counter, value: u64) {
        self.values[counter as usize].store(value, Ordering::Relaxed);
    }

    /// Adds from any thread.
    pub(crate) fn add_shared(&self, counter: Counter, count: u64) {
        self.values[counter as usize].fetch_add(count, Ordering::Relaxed);
    }
}

/// All shards' numbers.
#[derive(Debug)]
pub struct Metrics {
    shards: Vec<CachePadded<ShardMetrics>>,
}

impl Metrics {
    pub(crate) fn new(shards: u16) -> Self {
        Self {
            shards: (0..shards)
                .map(|_| CachePadded::new(ShardMetrics::new()))
                .collect(),
        }
    }

    /// One shard's numbers.
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> &ShardMetrics {
        &self.shards[shard.index()]
    }

    /// Every shard with its numbers.
    pub fn shards(&self) -> impl Iterator<Item = (ShardId, &ShardMetrics)> {
        (0..)
            .map(ShardId)
            .zip(self.shards.iter().map(|shard| &**shard))
    }

    /// A number summed over all shards.
    #[must_use]
    pub fn total(&self, counter: Counter) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.value(counter))
            .fold(0, u64::wrapping_add)
    }
}
