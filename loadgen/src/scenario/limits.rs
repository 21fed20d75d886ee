//! Every maximum of the scenario player, with its unit. What happens at a limit is said beside it.

use std::time::Duration;

/// Bytes of a scenario file; a longer one is refused.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// Elements inside each other; deeper ones are refused.
pub(crate) const DEPTH_MAX: usize = 32;
/// Elements of a file; more are refused.
pub(crate) const ELEMENTS_MAX: usize = 65_536;
/// Attributes of one element; more are refused.
pub(crate) const ATTRIBUTES_MAX: usize = 64;
/// Notes about one file; further ones are only counted.
pub(crate) const NOTES_MAX: usize = 1_000;
/// Bytes of one regular expression; a longer one is refused.
pub(crate) const PATTERN_BYTES_MAX: usize = 16 << 10;
/// Groups inside each other in a regular expression; deeper ones are refused.
pub(crate) const PATTERN_DEPTH_MAX: usize = 64;
/// The largest number of an interval such as `{1,200}`; a larger one is refused.
pub(crate) const REPEAT_MAX: u32 = 1_000;
/// Bytes that a compiled regular expression may take; a larger one is refused.
pub(crate) const PATTERN_MEMORY_BYTES_MAX: usize = 4 << 20;
/// Bytes of an injection file or another file that messages quote; a longer one is refused.
pub(crate) const INJECTION_BYTES_MAX: usize = 256 << 20;
/// Bytes of a rendered message; what is beyond is not sent, and the call fails.
pub(crate) const MESSAGE_BYTES_MAX: usize = 65_535;
/// RFC 3261 §8.1.1.5: numbers of CSeq are below this; a larger one of a peer's is ignored.
pub(crate) const CSEQ_END: u64 = 1 << 31;
/// Calls at a time; an arrival beyond it is dropped and counted.
pub(crate) const CALLS_MAX: usize = 1_000_000;
/// Stream connections of one worker at a time, unless `-max_socket` says otherwise; a call that
/// needs one more fails, a peer that opens one more is refused.
pub(crate) const CONNECTIONS_MAX: usize = 50_000;
/// Steps that one call takes at one moment without waiting; a scenario that loops longer has
/// failed.
pub(crate) const STEPS_AT_ONCE_MAX: u32 = 10_000;
/// Calls opened in one turn; the rest follows in the next, before anything is read.
pub(crate) const OPENINGS_PER_TURN_MAX: usize = 1_000;
/// Log lines that wait to be written; beyond it they are dropped and counted.
pub(crate) const LOG_BACKLOG_MAX: usize = 65_536;
/// How long the Call-ID of an ended call is remembered, unless `-deadcall_wait` says otherwise.
pub(crate) const DEAD_CALL_WAIT: Duration = Duration::from_secs(33);
/// Ended calls that are remembered; the oldest give way.
pub(crate) const DEAD_CALLS_MAX: usize = 1_000_000;
/// RFC 3261 §17.1.2.2: the longest pause between retransmissions of a non-INVITE request.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// Retransmissions of an INVITE, unless `-max_invite_retrans` says otherwise.
pub(crate) const INVITE_RESENDS_MAX: u32 = 5;
/// Retransmissions of another message, unless `-max_non_invite_retrans` says otherwise.
pub(crate) const OTHER_RESENDS_MAX: u32 = 7;
/// Bytes of a message kept of the route set of one call; a longer one is cut off.
pub(crate) const ROUTES_BYTES_MAX: usize = 8 << 10;
/// Bytes of recent messages that each worker keeps for the ladders of calls that fail.
pub(crate) const RECENT_BYTES: usize = 4 << 20;
/// Ladders of one cause that a worker reports; further calls are only counted.
pub(crate) const LADDERS_PER_CAUSE_MAX: u8 = 3;
/// Buffers that wait for the next call; more are given back to the allocator.
pub(crate) const SPARE_BUFFERS_MAX: usize = 65_536;
