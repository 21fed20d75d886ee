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

// Agents

/// What a reservation may outlive the longest ring and the longest silence by, before it returns
/// by itself: time for the messages between shards.
pub const RESERVATION_SLACK: Duration = Duration::from_secs(10);
/// How long an agent gets no call of a queue after its phone was busy, declined or could not be
/// reached.
pub const FAILED_PHONE_REST: Duration = Duration::from_secs(5);
