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

// SIP messages -----------------------------------------------------------------------------------

/// Bytes of a message up to and including the blank line. Spans into it are 16 bits wide.
pub const HEAD_BYTES_MAX: usize = 65_535;
/// Bytes of one header line with its folded continuations, or of the start line.
pub const LINE_BYTES_MAX: usize = 8_192;
/// Header lines of one message. An index into them is 8 bits wide, and one value means "none".
pub const HEADERS_MAX: usize = 255;
/// Values of one kind (Via, Route, Record-Route, Contact) that one message may carry.
pub const VALUES_MAX: usize = 64;
/// Parameters of one URI or of one header value.
pub const PARAMETERS_MAX: usize = 64;
/// Bytes of a message body that a stream may announce; more is answered with 413.
pub const BODY_BYTES_MAX: usize = 262_144;
/// Bytes that a connection's buffer must be able to hold to frame any accepted message.
pub const FRAME_BYTES_MAX: usize = HEAD_BYTES_MAX + BODY_BYTES_MAX;
/// The largest CSeq number. RFC 3261 §8.1.1.5: less than 2^31.
pub const CSEQ_MAX: u32 = (1 << 31) - 1;
/// The branch prefix of RFC 3261 is 7 bytes; a longer branch than this is not ours to store.
pub const BRANCH_BYTES_MAX: usize = 1_024;

const _: () = assert!(HEAD_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(HEADERS_MAX < 256);
const _: () = assert!(LINE_BYTES_MAX < HEAD_BYTES_MAX);

// Session descriptions ---------------------------------------------------------------------------

/// Media descriptions (`m=`) of one session description.
pub const SDP_MEDIA_MAX: usize = 32;
/// Lines of one session description.
pub const SDP_LINES_MAX: usize = 1_024;

// Presence documents -----------------------------------------------------------------------------

/// Bytes of a presence document.
pub const PIDF_BYTES_MAX: usize = 262_144;
/// Elements nested in each other in a presence document.
pub const PIDF_DEPTH_MAX: usize = 32;
/// Attributes of one element of a presence document.
pub const PIDF_ATTRIBUTES_MAX: usize = 64;
/// Activities kept of a presence document; more are counted and dropped.
pub const PIDF_ACTIVITIES_MAX: usize = 16;
/// Bytes of an activity's name; a longer one is cut.
pub const PIDF_ACTIVITY_BYTES_MAX: usize = 64;

const _: () = assert!(PIDF_BYTES_MAX <= BODY_BYTES_MAX);

// Agents

/// What a reservation may outlive the longest ring and the longest silence by, before it returns
/// by itself: time for the messages between shards.
pub const RESERVATION_SLACK: Duration = Duration::from_secs(10);
/// How long an agent gets no call of a queue after its phone was busy, declined or could not be
/// reached.
pub const FAILED_PHONE_REST: Duration = Duration::from_secs(5);
