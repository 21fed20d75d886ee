//! The maximums of HTTP and CTI: what desktops, routers and whoever watches may take.

use std::time::Duration;

// HTTP

/// HTTP connections at one time, WebSockets included; further ones are closed at once. More than
/// there may be clients, so that a full house can still be watched.
pub const HTTP_CONNECTIONS_MAX: usize = CTI_CLIENTS_MAX + 1_024;
/// From the opening of an HTTP connection, or from its last answer, to the end of the next
/// request's head, however steadily it trickles.
pub const HTTP_HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// Of them from one address, unless it is this machine's: desktops behind one gateway or proxy are
/// many, and nobody may have all.
pub const HTTP_CONNECTIONS_PER_SOURCE_MAX: usize = HTTP_CONNECTIONS_MAX / 2;
/// From the end of the head of an HTTP request to the end of its body.
pub const HTTP_BODY_DEADLINE: Duration = Duration::from_secs(10);

// CTI

/// Bytes of one frame or request body from a client; a longer one is answered with an error.
pub const CTI_FRAME_BYTES_MAX: usize = 64 << 10;
/// Bytes of one frame from a client that are read at all; beyond it the connection is closed.
pub const CTI_FRAME_BYTES_READ_MAX: usize = 1 << 20;
/// CTI clients at one time; further ones are refused.
pub const CTI_CLIENTS_MAX: usize = 16_384;
/// Requests that a client with the token of an agent may make at once; more get `TooBusy`.
pub const CTI_REQUESTS_AT_ONCE_MAX: u32 = 500;
/// How many of them it may make again every second.
pub const CTI_REQUESTS_PER_SECOND_MAX: u32 = 100;
/// Requests of one client that wait for a shard; further ones get `TooBusy`.
pub const CTI_PENDING_PER_CLIENT_MAX: usize = 1_024;
/// A shard that takes longer to answer a request is answered for, with `Timeout`.
pub const CTI_REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// The same for RequestRouteCall, which is answered when the phone rings: longer than a phone may
/// be silent (64 times T1, RFC 3261 §17.1.1.2).
pub const CTI_ROUTE_DEADLINE: Duration = Duration::from_secs(40);
/// The same for what a party does to its call: a phone has its full time to answer a re-INVITE, and
/// a phone that is called for RequestMakeCall to ring.
pub const CTI_CALL_DEADLINE: Duration = CTI_ROUTE_DEADLINE;
/// Time between two pings to a client.
pub const CTI_PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client from which nothing came for this long is closed.
pub const CTI_SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a client that is being closed may take to read what stands before the close frame.
pub const CTI_CLOSE_DEADLINE: Duration = CTI_SILENCE_MAX;
/// Addresses in one frame of a snapshot of all addresses.
pub const CTI_SNAPSHOT_ADDRESSES_MAX: usize = 512;
/// Bytes of keys and values in one list of a request.
pub const CTI_LIST_BYTES_MAX: usize = 16 << 10;
/// Keys in one list of a request.
pub const CTI_LIST_KEYS_MAX: usize = 256;
/// Lists inside lists in one list of a request.
pub const CTI_LIST_DEPTH_MAX: usize = 8;
/// Members of a conference that a snapshot names.
pub const CONFERENCE_MEMBERS_SHOWN_MAX: usize = 32;
/// Digits of one RequestSendDTMF.
pub const DTMF_DIGITS_MAX: usize = 64;
/// RequestSendDTMFs to one party whose digits are on their way or wait.
pub const DTMF_REQUESTS_MAX: usize = 8;
/// Digits that have not started so long after they were asked for do not, and may be asked again.
pub const DTMF_DEADLINE: Duration = Duration::from_secs(30);
const _: () = assert!(DTMF_DEADLINE.as_secs() < CTI_CALL_DEADLINE.as_secs());
/// Frames written to one client before they are flushed.
pub const CTI_WRITE_BATCH_MAX: usize = 64;
/// Commands from clients that wait for the hub; beyond it their sockets are not read.
pub const CTI_COMMANDS_MAX: usize = 1_024;
/// Commands that the hub takes in one turn.
pub const CTI_COMMANDS_PER_TURN_MAX: usize = 64;
/// Events that the hub takes from the shards in one turn.
pub const CTI_EVENTS_PER_TURN_MAX: usize = 1_024;
/// How long the hub lets the shards' events gather at least while they come one soon after the
/// other. An event after a quiet moment does not wait, nor does the one behind it.
pub const CTI_EVENTS_GATHER_MIN: Duration = Duration::from_millis(1);
/// How long it lets them gather at most, when there are many.
pub const CTI_EVENTS_GATHER_MAX: Duration = Duration::from_millis(4);
/// More events than this in one lot are many: the next may gather for twice as long. With fewer
/// than half of it, half as long.
pub const CTI_EVENTS_LOT: usize = 8;
const _: () = assert!(CTI_EVENTS_GATHER_MIN.as_nanos() <= CTI_EVENTS_GATHER_MAX.as_nanos());
/// Time between two looks at deadlines, debts to shards and clients that catch up.
pub const CTI_TICK: Duration = Duration::from_millis(20);
/// The same while there are none of these: whether a shard has ended is looked at all the same.
pub const CTI_IDLE_TICK: Duration = Duration::from_millis(200);
/// Agents in one answer of `GET /api/v1/agents`; the next ones are asked for with `after`.
pub const CTI_AGENTS_PER_ANSWER_MAX: usize = 10_000;
/// Calls in one answer of `GET /api/v1/calls`, likewise. Each has its parties and their data.
pub const CTI_CALLS_PER_ANSWER_MAX: usize = 1_000;

const _: () = assert!(
    CTI_LIST_BYTES_MAX <= CTI_FRAME_BYTES_MAX && CTI_FRAME_BYTES_MAX < CTI_FRAME_BYTES_READ_MAX,
    "a list fits in a frame, and a frame that is too long can still be answered"
);
const _: () = assert!(
    CTI_PING_INTERVAL.as_secs() * 2 < CTI_SILENCE_MAX.as_secs(),
    "a client is pinged twice before it counts as silent"
);
