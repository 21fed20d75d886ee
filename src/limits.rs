//! Every maximum of the program, with the relations between them as constant assertions.
//!
//! A limit that is reached is answered and counted, never exceeded. Nothing here is read from the
//! configuration: what an operator may change lives in `config`, below these ceilings.

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
