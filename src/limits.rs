//! Every maximum of the server, by name, with the relations between them. It decides no behaviour;
//! who meets a limit answers and counts, and the place that does so names the constant.

use std::time::Duration;

// Configuration

/// Bytes of the configuration file; keeps line numbers and spans inside 32 bits.
pub const CONFIGURATION_BYTES_MAX: usize = 16 << 20;
/// Bytes of one CSV file of agents: about 256 a line for the largest population.
pub const CONFIGURATION_CSV_BYTES_MAX: usize = 256 << 20;
/// Mistakes listed for one configuration; what is beyond is counted in one last line.
pub const CONFIGURATION_MISTAKES_MAX: usize = 1_000;
/// Agents (DNs) in one configuration.
pub const AGENTS_MAX: usize = 1_000_000;
/// Trunks in one configuration.
pub const TRUNKS_MAX: usize = 256;
/// Peers of one trunk. UCM runs a trunk on at most sixteen nodes.
pub const TRUNK_PEERS_MAX: usize = 16;
/// Prefixes that one trunk may claim.
pub const TRUNK_PREFIXES_MAX: usize = 256;
/// Queues in one configuration.
pub const QUEUES_MAX: usize = 4_096;
/// Queues that one agent serves.
pub const AGENT_QUEUES_MAX: usize = 64;
/// Routing points in one configuration.
pub const ROUTING_POINTS_MAX: usize = 16_384;
/// CTI tokens in one configuration.
pub const TOKENS_MAX: usize = 65_536;
/// Addresses on which SIP is heard.
pub const SIP_LISTENERS_MAX: usize = 16;
/// Presence activities that count as idle.
pub const IDLE_ACTIVITIES_MAX: usize = 64;
/// Shards of one server.
pub const SHARDS_MAX: usize = 256;
/// Core numbers run below this.
pub const CORES_MAX: usize = 1_024;
/// Bytes of a DN, an agent's identifier, or the name of a queue or a trunk.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of a host name (RFC 1035 §2.3.4).
pub const HOST_BYTES_MAX: usize = 255;
/// Bytes of one CTI token, at least: anything shorter is guessed.
pub const TOKEN_BYTES_MIN: usize = 8;
/// Bytes of one CTI token, at most.
pub const TOKEN_BYTES_MAX: usize = 256;
/// Callers that one queue may be configured to hold.
pub const QUEUE_CAPACITY_MAX: usize = 1_000_000;

// CTI

/// Bytes of one frame or request body from a client; a longer one is answered with an error.
pub const CTI_FRAME_BYTES_MAX: usize = 64 << 10;
/// Bytes of one frame from a client that are read at all; beyond it the connection is closed.
pub const CTI_FRAME_BYTES_READ_MAX: usize = 1 << 20;
/// CTI clients at one time; further ones are refused.
pub const CTI_CLIENTS_MAX: usize = 16_384;
/// Requests of one client that wait for a shard; further ones get `TooBusy`.
pub const CTI_PENDING_PER_CLIENT_MAX: usize = 1_024;
/// A shard that takes longer to answer a request is answered for, with `Timeout`.
pub const CTI_REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// Time between two pings to a client.
pub const CTI_PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client from which nothing came for this long is closed.
pub const CTI_SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a client that is being closed may take to read the close frame.
pub const CTI_CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// Addresses in one frame of a snapshot of all addresses.
pub const CTI_SNAPSHOT_ADDRESSES_MAX: usize = 512;
/// Bytes of keys and values in one list of a request.
pub const CTI_LIST_BYTES_MAX: usize = 16 << 10;
/// Keys in one list of a request.
pub const CTI_LIST_KEYS_MAX: usize = 256;
/// Lists inside lists in one list of a request.
pub const CTI_LIST_DEPTH_MAX: usize = 8;
/// Frames written to one client before they are flushed.
pub const CTI_WRITE_BATCH_MAX: usize = 64;
/// Commands from clients that wait for the hub; beyond it their sockets are not read.
pub const CTI_COMMANDS_MAX: usize = 1_024;
/// Commands that the hub takes in one turn.
pub const CTI_COMMANDS_PER_TURN_MAX: usize = 64;
/// Events that the hub takes from the shards in one turn.
pub const CTI_EVENTS_PER_TURN_MAX: usize = 1_024;
/// Time between two looks at deadlines, debts to shards and clients that catch up.
pub const CTI_TICK: Duration = Duration::from_millis(20);
/// Agents in one answer of `GET /api/v1/agents`; the next ones are asked for with `after`.
pub const CTI_AGENTS_PER_ANSWER_MAX: usize = 10_000;

const _: () = assert!(
    CTI_LIST_BYTES_MAX <= CTI_FRAME_BYTES_MAX && CTI_FRAME_BYTES_MAX < CTI_FRAME_BYTES_READ_MAX,
    "a list fits in a frame, and a frame that is too long can still be answered"
);
const _: () = assert!(
    CTI_PING_INTERVAL.as_secs() * 2 < CTI_SILENCE_MAX.as_secs(),
    "a client is pinged twice before it counts as silent"
);

const _: () = assert!(
    CONFIGURATION_BYTES_MAX < u32::MAX as usize && CONFIGURATION_CSV_BYTES_MAX < u32::MAX as usize,
    "a line number fits in 32 bits"
);
const _: () = assert!(
    TRUNKS_MAX <= u16::MAX as usize
        && QUEUES_MAX <= u16::MAX as usize
        && ROUTING_POINTS_MAX <= u16::MAX as usize
        && AGENTS_MAX <= u32::MAX as usize,
    "the indices of the configuration fit their types"
);
const _: () = assert!(
    SHARDS_MAX <= CORES_MAX,
    "each shard can have a core of its own"
);
