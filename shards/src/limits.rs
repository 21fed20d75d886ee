//! Every maximum of a shard, with its unit in its name or its comment. What happens at a limit is
//! said beside it, and every such event is counted (`metrics.rs`).

use std::time::Duration;

/// Shards in one process.
pub const SHARDS_MAX: u16 = 256;
/// How long a shard wants the processor at a time while others want it too: the shortest that
/// there is, so that one that wakes does not wait for the control plane on its core.
pub const SLICE: Duration = Duration::from_micros(100);
/// Datagrams in one `recvmmsg` or `sendmmsg`.
pub const BATCH_MAX: usize = 32;
/// The largest UDP payload there is: a receive buffer this long never truncates.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;
/// `recvmmsg` calls on one socket in one turn of the loop; the rest waits for the next turn. More
/// than is handled in a turn: what waits is told apart by urgency here, and not in the kernel.
pub const BATCHES_PER_TURN_MAX: usize = 16;
/// If no more received messages than this wait when a turn handles them, they are handled in the
/// order in which they came, and the datagrams that each brings are sent at once
/// ([`crate::Options::prompt`]).
pub const PROMPT_MAX: usize = 16;
/// Datagrams of one `recvmmsg` after which the kernel is asked at once how many it has dropped: a
/// socket that is full has more, unless they are very long or its buffer is small.
pub const CROWDED_BATCH_MIN: usize = 8;
/// How long after a smaller batch it is asked at the latest, for all sockets and batches together.
pub const DROPS_UNASKED_MAX: Duration = Duration::from_secs(1);
/// Received messages that are handled in one turn, as long as there are urgent ones.
pub const HANDLED_PER_TURN_MAX: usize = 128;
/// Of each less urgent line so many are handled in every turn all the same, so that the engine
/// can refuse what has waited too long.
pub const HANDLED_PER_LINE_MIN: usize = 16;
/// Datagrams of one urgency that wait to be handled, and twice as many messages of streams; what is
/// beyond is the engine's to refuse at once, or to leave to its sender's repetition, or stays in
/// its stream.
pub const INTAKE_MESSAGES_MAX: usize = 1_024;
/// Bytes of them.
pub const INTAKE_BYTES_MAX: usize = 8 << 20;
/// Datagrams kept while a socket's send buffer is full; beyond it they are dropped, as a network
/// would.
pub const SEND_RETRY_MAX: usize = 256;
/// Bytes of each of several datagrams that are given to the kernel as one, unless they stay on this
/// machine: longer ones may not fit the path as they are.
pub const SEGMENT_BYTES_MAX: usize = 1_400;
/// Bytes of all of them; what is beyond goes as another.
pub const SEGMENTS_BYTES_MAX: usize = 60_000;
/// How long a full send buffer is left alone.
pub const SEND_RETRY_PAUSE: Duration = Duration::from_millis(1);
/// Classes by which the times of turns are counted: up to a second, each twice the last.
pub const TURN_TIMES: usize = 22;
/// How long a start waits for addresses that are in use, all of them together; then it says so. The
/// kernel holds those of a process that has just ended until it has taken down its rings.
pub const BIND_PATIENCE: Duration = Duration::from_secs(3);
/// How often it tries meanwhile.
pub const BIND_PAUSE: Duration = Duration::from_millis(20);
/// What is asked for as each UDP socket's kernel buffers; the kernel may grant less.
pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Places in the queue between one ordered pair of shards for what is taken in every turn.
pub const MESH_QUEUE_MAX: usize = 1_024;
/// Places in the queue for what may have to wait until its receiver has room.
pub const MESH_PATIENT_MAX: usize = 512;
/// Places in the queue for what begins something new, or comes from nobody known.
pub const MESH_NEW_MAX: usize = 512;
/// Parcels taken from the mesh in one turn, of each kind.
pub const PARCELS_PER_TURN_MAX: usize = 256;
/// A turn with no more work than this has left nothing behind of which nobody would know: of what
/// it has a lower limit for, it knows itself whether there is more.
pub const QUIET_WORK_MAX: usize = 255;
/// Places in each shard's queue of requests; a full one refuses.
pub const REQUEST_QUEUE_MAX: usize = 1_024;
/// Requests taken in one turn.
pub const REQUESTS_PER_TURN_MAX: usize = 64;
/// Places in each shard's queue of events; while full, the engine keeps its events.
pub const EVENT_QUEUE_MAX: usize = 8_192;
/// Transmits, messages or events drained from the engine at a time, each: once in a turn, but for
/// transmits, which are drained before each message as well where these are handled in order.
pub const DRAIN_PER_TURN_MAX: usize = 1_024;

/// Open stream connections on one shard, unless the starter says otherwise; further ones are
/// refused.
pub const CONNECTIONS_PER_SHARD_MAX: usize = 4_096;
/// Open stream connections of one source address on one shard, likewise.
pub const CONNECTIONS_PER_SOURCE_MAX: usize = 256;
/// Connections accepted from one listener in one turn.
pub const ACCEPTS_PER_TURN_MAX: usize = 32;
/// How long a listener is left alone after it could not accept (no file descriptor is free).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a stream held while a message is incomplete; a longer message closes the connection.
pub const STREAM_INPUT_BYTES_MAX: usize = 384 << 10;
/// Bytes read from a stream at once.
pub const STREAM_READ_BYTES: usize = 64 << 10;
/// Bytes that wait to be written to one stream; beyond it the connection is closed.
pub const STREAM_OUTPUT_BYTES_MAX: usize = 512 << 10;
/// A drained buffer larger than this is given back to the allocator.
pub const STREAM_BUFFER_KEEP_BYTES: usize = 4 << 10;
/// Messages cut from one connection in one turn: as many as are read from a datagram socket.
pub const FRAMES_PER_CONNECTION_MAX: usize = 512;
/// Of them those that go before all others, so that no peer keeps others waiting.
pub const URGENT_PER_CONNECTION_MAX: usize = 32;
/// Messages cut from all connections in one turn; those that are left are the first of the next.
pub const FRAMES_PER_TURN_MAX: usize = 2_048;
/// Messages of nobody known that are handed to other shards in one turn.
pub const UNKNOWN_HOPS_PER_TURN_MAX: usize = 128;
/// From a message's first byte to its last, however steadily they trickle.
pub const MESSAGE_DEADLINE: Duration = Duration::from_secs(20);
/// How long a connection whose stream is broken is still read, and what comes thrown away, so that
/// the peer hears why before the connection is closed.
pub const PARTING_DEADLINE: Duration = Duration::from_secs(1);
/// A connection on which nothing was read or written for this long is closed.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(600);
/// From the opening of a connection under TLS to the end of its handshake.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// From opening a connection to its being open.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Connection changes, and messages for other shards' connections, that wait for room in the
/// mesh; beyond it they are dropped: the engines' own timers then find out.
pub const OUTBOX_MAX: usize = 1_024;

/// Turns that a shard takes after it was told to stop, at most: it goes on while there is work.
pub const LAST_TURNS_MAX: u32 = 64;
/// How long `Running::stop` waits for the shards before it gives up on them.
pub const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// glommio: entries in each of an executor's rings.
pub const RING_DEPTH: usize = 256;
/// glommio: bytes of registered buffers an executor asks for, locked in memory.
pub const RING_MEMORY_BYTES: usize = 64 << 10;
/// glommio refuses to start an executor with a smaller RLIMIT_MEMLOCK.
pub const MEMLOCK_BYTES_MIN: u64 = 512 << 10;

/// Bytes of a file of certificates, a key, or what was revoked; lists of the last are the longest.
pub const PEM_BYTES_MAX: u64 = 16 << 20;

/// Datagram sockets that are looked at after a nap without asking which of them have something.
pub const SOCKETS_ASKED_MAX: usize = 4;

const _: () = assert!(SEGMENTS_BYTES_MAX < DATAGRAM_BYTES_MAX);
// The kernel takes 64 parts of one.
const _: () = assert!(BATCH_MAX <= 64);
const _: () = assert!(STREAM_INPUT_BYTES_MAX >= DATAGRAM_BYTES_MAX);
const _: () = assert!(INTAKE_BYTES_MAX >= STREAM_INPUT_BYTES_MAX);
const _: () = assert!(BATCHES_PER_TURN_MAX * BATCH_MAX >= HANDLED_PER_TURN_MAX);
const _: () = assert!(HANDLED_PER_LINE_MIN <= HANDLED_PER_TURN_MAX);
const _: () = assert!(STREAM_READ_BYTES <= STREAM_INPUT_BYTES_MAX);
const _: () = assert!(CONNECTIONS_PER_SOURCE_MAX <= CONNECTIONS_PER_SHARD_MAX);
const _: () = assert!(QUIET_WORK_MAX < DRAIN_PER_TURN_MAX && QUIET_WORK_MAX < PARCELS_PER_TURN_MAX);
