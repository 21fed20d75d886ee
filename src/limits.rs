//! Every maximum of the server, by name, with the relations between them. It decides no behaviour;
//! who meets a limit answers and counts, and the place that does so names the constant.

use std::time::Duration;

mod clients;

pub use clients::*;

// SIP messages

/// Bytes of a message up to and including the blank line. Spans into it are 16 bits wide.
pub const HEAD_BYTES_MAX: usize = 65_535;
/// Bytes of one header line with its folded continuations, or of the start line.
pub const LINE_BYTES_MAX: usize = 8_192;
/// Bytes of the value of a header that an answer repeats: what is added to it there (`received`,
/// `rport`, a tag, what is said of overload) must not make the line too long for its reader.
pub const REPEATED_BYTES_MAX: usize = LINE_BYTES_MAX - 512;
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
const _: () = assert!(
    FRAME_BYTES_MAX <= offhook_shards::limits::STREAM_INPUT_BYTES_MAX,
    "a shard keeps every message that the framing accepts"
);
const _: () = assert!(LINE_BYTES_MAX < HEAD_BYTES_MAX);

// Session descriptions

/// Media descriptions (`m=`) of one session description.
pub const SDP_MEDIA_MAX: usize = 32;
/// Lines of one session description.
pub const SDP_LINES_MAX: usize = 1_024;

// Presence documents

/// Bytes of a presence document.
pub const PIDF_BYTES_MAX: usize = 262_144;
/// Elements nested in each other in a presence document.
pub const PIDF_DEPTH_MAX: usize = 32;
/// Namespace declarations that hold at once in a presence document.
pub const PIDF_NAMESPACES_MAX: usize = 32;
/// Attributes of one element of a presence document.
pub const PIDF_ATTRIBUTES_MAX: usize = 64;
/// Activities kept of a presence document; more are counted and dropped.
pub const PIDF_ACTIVITIES_MAX: usize = 16;
/// Bytes of an activity's name; a longer one is cut.
pub const PIDF_ACTIVITY_BYTES_MAX: usize = 64;

/// Lists of activities that a shard keeps so that all who say the same share one.
pub const ACTIVITY_LISTS_MAX: usize = 64;

const _: () = assert!(PIDF_BYTES_MAX <= BODY_BYTES_MAX);

// Dialogs

/// Legs on one shard, those included that only wait for the answer to their BYE. Beyond it an
/// INVITE gets 503.
pub const LEGS_MAX: usize = 262_144;
/// The shortest session interval there is, seconds (RFC 4028 §5).
pub const SESSION_SECONDS_MIN: u32 = 90;
/// Diversions of one call that are read.
pub const DIVERSIONS_MAX: usize = 10;
/// 422 (Session Interval Too Small) in a row that are followed by another attempt.
pub const SESSION_RAISES_MAX: u8 = 2;
/// Early dialogs of one INVITE of ours whose reliable responses are acknowledged.
pub const EARLY_DIALOGS_MAX: usize = FORKS_MAX;
/// Subscriptions of ours on one shard.
pub const SUBSCRIPTIONS_MAX: usize = 131_072;
/// Room for bodies that are not kept: what comes in one turn.
pub const PASSING_BODIES_BYTES: usize = 16_384;
/// Peers of which a shard keeps in mind what the dialogs with them have in common.
pub const RESTING_PEERS_MAX: usize = 64;
/// OPTIONS of ours that wait for an answer.
pub const PINGS_MAX: usize = 4_096;
/// Answers to one INVITE of ours that are acknowledged; a fork beyond it must end by itself.
pub const FORKS_MAX: usize = 8;
/// How long the nonce of a challenge may be answered.
pub const NONCE_LIFETIME: Duration = Duration::from_mins(1);
/// Nonces on one shard that were answered and are not too old; beyond it the next one is asked to
/// answer again.
pub const NONCES_MAX: usize = 65_536;
/// Time between two lines in the log about messages from strangers; the second one says how many
/// there were in between.
pub const STRANGERS_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Seconds after which somebody who found us full or draining may try again (RFC 3261 §21.5.4).
pub const RETRY_AFTER_SECONDS: u32 = 10;
/// The same as a header line.
pub const RETRY_AFTER_LINE: &[u8] = b"Retry-After: 10\r\n";
/// Addresses whose new calls are counted on one shard; while more are busy, those share one
/// allowance.
pub const CALL_SOURCES_MAX: usize = 4_096;
/// New calls that an address may begin at once on each of several shards, at least: its calls
/// come to them at random.
pub const CALLS_AT_ONCE_MIN: u32 = 10;
/// Calls turned away on one shard whose INVITEs and ACKs are known again for 64*T1; each later one
/// may take the place of an earlier one.
pub const TURNED_AWAY_MAX: usize = 65_536;

const _: () = assert!(TURNED_AWAY_MAX.is_power_of_two());

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
/// Networks that one trunk may take calls from besides its peers.
pub const TRUNK_NETWORKS_MAX: usize = 64;
/// Prefixes that one trunk may claim.
pub const TRUNK_PREFIXES_MAX: usize = 256;
/// Queues in one configuration.
pub const QUEUES_MAX: usize = 4_096;
/// Queues that one agent serves.
pub const AGENT_QUEUES_MAX: usize = 64;
/// Different skills in one configuration.
pub const SKILLS_MAX: usize = 1_024;
/// Skills of one agent, and skills that one caller may need.
pub const AGENT_SKILLS_MAX: usize = 64;
/// The highest level of a skill; the lowest is 1.
pub const SKILL_LEVEL_MAX: u8 = 10;
/// Rules of one routing point.
pub const ROUTES_MAX: usize = 256;
/// Beginnings of numbers, or pairs of attached data, in one rule.
pub const ROUTE_CONDITIONS_MAX: usize = 256;
/// Queues in which one caller waits at the same time.
pub const CALLER_QUEUES_MAX: usize = 8;
/// Calendars in one configuration.
pub const CALENDARS_MAX: usize = 4_096;
/// Lists of hours, or closed days, in one calendar.
pub const CALENDAR_LINES_MAX: usize = 1_024;
/// Bytes of the value of a condition on attached data, and of a line of a calendar.
pub const CONDITION_BYTES_MAX: usize = 256;
/// Agents whom a caller remembers for not having answered it: others come first.
pub const UNANSWERED_REMEMBERED_MAX: usize = 8;
/// Steps of one relaxation ladder.
pub const LADDER_STEPS_MAX: usize = 16;
/// Different requirements of callers in one queue. An agent that becomes free looks once at each
/// for which somebody waits.
pub const QUEUE_REQUIREMENTS_MAX: usize = 1_024;
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
/// Bytes of a realm, of a name or of a password for digest authentication.
pub const CREDENTIAL_BYTES_MAX: usize = 128;
/// Bytes of one CTI token, at least: anything shorter is guessed.
pub const TOKEN_BYTES_MIN: usize = 8;
/// Bytes of one CTI token, at most.
pub const TOKEN_BYTES_MAX: usize = 256;
/// Callers that one queue may be configured to hold.
pub const QUEUE_CAPACITY_MAX: usize = 1_000_000;

/// The longest that a server may be told to wait for its calls to end.
pub const DRAIN_TIMEOUT_MAX: Duration = Duration::from_hours(24);
/// Time between two looks whether the last call has ended, while the server lets them end.
pub const DRAIN_LOOK_INTERVAL: Duration = Duration::from_millis(100);

const _: () = assert!(
    CONFIGURATION_BYTES_MAX < u32::MAX as usize,
    "a line fits in 32 bits"
);
const _: () = assert!(
    CONFIGURATION_CSV_BYTES_MAX < u32::MAX as usize,
    "a line fits in 32 bits"
);
const _: () = assert!(
    TRUNKS_MAX <= u16::MAX as usize,
    "a TrunkIndex holds every trunk"
);
const _: () = assert!(
    QUEUES_MAX <= u16::MAX as usize,
    "a QueueIndex holds every queue"
);
const _: () = assert!(
    CALENDARS_MAX <= u16::MAX as usize,
    "a CalendarIndex holds every calendar"
);
const _: () = assert!(
    ROUTING_POINTS_MAX * (ROUTES_MAX + 1) * CALLER_QUEUES_MAX + QUEUES_MAX <= u32::MAX as usize,
    "an EntryIndex holds every way into a queue"
);
const _: () = assert!(
    ROUTING_POINTS_MAX <= u16::MAX as usize,
    "an index holds every one"
);
const _: () = assert!(
    AGENT_SKILLS_MAX * SKILL_LEVEL_MAX as usize <= u16::MAX as usize,
    "a sum of levels fits in 16 bits"
);
const _: () = assert!(
    SKILLS_MAX <= u16::MAX as usize,
    "a SkillIndex holds every skill"
);
const _: () = assert!(
    AGENTS_MAX <= u32::MAX as usize,
    "a DnIndex holds every agent"
);
const _: () = assert!(
    SHARDS_MAX <= CORES_MAX,
    "each shard can have a core of its own"
);

// Calls

/// Calls that one shard holds, waiting ones included; more are refused with 503.
pub const CALLS_MAX: usize = LEGS_MAX / 2;
/// Max-Forwards of requests that begin with us (RFC 3261 §8.1.1.6).
pub const MAX_FORWARDS: u8 = 70;
/// How often a call may be sent elsewhere, by forwarding, redirection or transfer, before it is
/// taken for a loop; each time an INVITE of ours has one hop less.
pub const CALL_HOPS_MAX: u8 = 8;
/// How long a number outside may ring.
pub const OUTSIDE_NO_ANSWER: Duration = Duration::from_mins(1);
/// Keys of a call's attached data.
pub const USER_DATA_KEYS_MAX: usize = 256;
/// Bytes of a call's attached data, keys and values together.
pub const USER_DATA_BYTES_MAX: usize = 16_384;

// Offer and answer

/// How long a call that a desktop has asked to have in hand keeps others from being so, if what
/// came of the request is not heard: more than any request takes.
pub const TAKING_MAX: Duration = Duration::from_mins(2);
/// How long our re-INVITE may go without a final response before it is taken back. A phone answers
/// by itself; whoever asks a human first may do so within this time.
pub const REINVITE_ANSWER_MAX: Duration = Duration::from_secs(16);
/// How long one that was taken back may go without: more than the 64*T1 of RFC 3261 §9.1.
pub const REINVITE_WITHDRAWAL_MAX: Duration = Duration::from_secs(40);
/// How often a re-INVITE that crossed one of the far end's is sent again.
pub const GLARE_RETRIES_MAX: u8 = 4;
/// How long the ACK to our 2xx may take: more than 64*T1, after which its dialog ends.
pub const ACKNOWLEDGEMENT_MAX: Duration = Duration::from_secs(40);
/// How long the far end's 2xx may wait for our ACK, which must reach it within 64*T1.
pub const ACKNOWLEDGEMENT_PATIENCE: Duration = Duration::from_secs(24);
/// How long an INVITE may ring while a negotiation waits for its answer. Calls end it sooner.
pub const NEGOTIATION_RINGING_MAX: Duration = Duration::from_mins(15);
/// How often two legs are told what the other one made of what it heard.
pub const UPDATES_MAX: u8 = 4;

const _: () = assert!(REINVITE_ANSWER_MAX.as_secs() < ACKNOWLEDGEMENT_PATIENCE.as_secs());
const _: () = assert!(ACKNOWLEDGEMENT_PATIENCE.as_secs() < 32);

// Engine

/// Messages and events that may wait for room in the mesh before new calls are refused. Calls that
/// exist go on: what they still have to say is bounded by their number.
pub const BACKLOG_MAX: usize = 65_536;
/// How long new calls may wait before they are handled; when they have waited longer for
/// [`BEHIND_AFTER`], those that have are refused.
pub const CALL_WAIT_MAX: Duration = Duration::from_millis(50);
/// The same for what goes before requests of clients, which are refused then: T1, at which others
/// begin to repeat what they have sent.
pub const REQUEST_WAIT_MAX: Duration = Duration::from_millis(500);
/// How long a wait that is too long lasts before it is more than a pause of this machine, and how
/// long it must have been shorter until it is over.
pub const BEHIND_AFTER: Duration = Duration::from_millis(200);
/// How long a client that follows RFC 7339 sends less than it would, after it was told so.
pub const FEEDBACK_VALIDITY: Duration = Duration::from_millis(500);
/// Legs on one shard beyond which new calls are refused: the others are for the calls that are
/// there, each of which may need more.
pub const LEGS_FOR_NEW_CALLS_MAX: usize = LEGS_MAX - LEGS_MAX / 16;
/// Bytes that wait to be sent beyond which new calls are refused.
pub const OUTBOX_BYTES_FOR_NEW_CALLS: usize = OUTBOX_BYTES_MAX / 2;
/// Rounds that one offer may take until it is over or waits for a phone: the queue, the agent, the
/// call, and each of them once more.
pub const SETTLE_ROUNDS_PER_OFFER_MAX: usize = 8;
/// Rounds in which the parts of an engine may answer each other before that is taken for a defect.
/// The longest chain that is none: a queue whose copy of every agent lags is refused by each of
/// them in turn, and each refusal uses up that agent's word.
pub const SETTLE_ROUNDS_MAX: usize = AGENTS_MAX * SETTLE_ROUNDS_PER_OFFER_MAX;
/// Calls that are tied one to the next, of which the last asks whether it is tied to the first. A
/// longer circle lasts until `call_duration_max`.
pub const CIRCLE_CALLS_MAX: u16 = 1_024;
/// Items for which a queue keeps room once a burst that it had to hold is over.
pub const BURST_QUEUE_KEPT: usize = 1_024;
/// Timers of seconds that nobody waits for by the millisecond fall due together within it: those by
/// which a transaction ends because nothing more can come, most of agents' and that of a peer that
/// is silent. A call leaves six of them behind, and a shard whose calls come one by one would be
/// woken for each.
pub const TIMER_GRAIN: Duration = Duration::from_millis(8);
/// How long a peer may be silent on an INVITE before the next peer is tried, in T1: four
/// transmissions (RFC 3261 §17.1.1.2), which are four seconds by default.
pub const PEER_SILENCE_IN_T1: u32 = 8;
/// How long an agent's phone may take to ring, in T1, the search for a peer included: sixteen
/// seconds by default, which are four silent peers.
pub const OFFER_SETUP_IN_T1: u32 = 32;

const _: () = assert!(PEER_SILENCE_IN_T1 < OFFER_SETUP_IN_T1);
// A reservation's lease grants 64*T1 for it.
const _: () = assert!(OFFER_SETUP_IN_T1 <= 64);

// Transactions

/// Requests from outside that one shard answers or has answered in the last 64*T1; more are
/// refused with 503. A call by UDP leaves an INVITE and a BYE here for that time, so that this
/// bounds the calls a second, too: 15,300.
pub const SERVER_TRANSACTIONS_MAX: usize = 1_048_576;
/// Of these, kept for CANCEL and for requests within dialogs: a BYE that were refused would leave a
/// call that its peer takes for ended.
pub const SERVER_TRANSACTIONS_RESERVED: usize = SERVER_TRANSACTIONS_MAX / 16;
/// Requests of ours that one shard waits for or has had answered of late; more are not sent.
pub const CLIENT_TRANSACTIONS_MAX: usize = 1_048_576;
/// Of these, kept for BYE and CANCEL.
pub const CLIENT_TRANSACTIONS_RESERVED: usize = CLIENT_TRANSACTIONS_MAX / 16;
/// A request of more bytes goes by TCP where the peer has it (RFC 3261 §18.1.1).
pub const UDP_REQUEST_BYTES_MAX: usize = 1_300;
/// Bytes of messages that wait to be sent on one shard; what comes on top is lost, as in a network.
pub const OUTBOX_BYTES_MAX: usize = 64 << 20;
/// Unused buffers of one kind that one shard keeps for the next messages.
pub const SPARE_BUFFERS_MAX: usize = 512;
/// A buffer that has grown larger is given back to the allocator.
pub const SPARE_BUFFER_BYTES_MAX: usize = 4_096;
/// Room for a message of ours, or for some of its lines, that a dialog writes.
pub const TEXT_BYTES: usize = 1_024;
/// Unused boxes of one kind that one shard keeps, each of a few hundred bytes.
pub const SPARE_BOXES_MAX: usize = 1_024;
/// Bodies that were replaced and are room for the next ones of their length on one shard. Each new
/// one is looked for among all.
pub const SPARE_SHARED_MAX: usize = 32;

const _: () = assert!(
    TEXT_BYTES <= SPARE_BUFFER_BYTES_MAX,
    "or none is ever spare"
);
// Places are counted with 32 bits, and one number is nobody's.
const _: () = assert!(SERVER_TRANSACTIONS_MAX < u32::MAX as usize);
const _: () = assert!(CLIENT_TRANSACTIONS_MAX < u32::MAX as usize);
// Every message that a stream may carry fits into an empty outbox.
const _: () = assert!(OUTBOX_BYTES_MAX >= FRAME_BYTES_MAX);

// Trunks

/// The first ping of a peer goes out within this time of the start.
pub const TRUNK_FIRST_PING_MAX: Duration = Duration::from_secs(5);
/// Between pings of a peer that has missed one and is not out yet.
pub const TRUNK_SUSPECT_PING_INTERVAL: Duration = Duration::from_secs(2);
/// The least time that a peer is out: one that comes and goes is not believed faster.
pub const TRUNK_OUT_MIN: Duration = Duration::from_secs(5);
/// A peer that fails within this time of its return has relapsed; each relapse doubles the least
/// time that it is out.
pub const TRUNK_FLAP_WINDOW: Duration = Duration::from_secs(120);
/// The least time out never grows beyond this.
pub const TRUNK_OUT_RELAPSE_MAX: Duration = Duration::from_secs(300);
/// Relapses that still double it.
pub const TRUNK_RELAPSES_MAX: u32 = 6;
/// The longest Retry-After that is believed.
pub const TRUNK_RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

const _: () = assert!(
    TRUNK_OUT_MIN.as_secs() << TRUNK_RELAPSES_MAX >= TRUNK_OUT_RELAPSE_MAX.as_secs(),
    "relapses reach the longest time out"
);

// DNS

/// Servers that one name may lead to; the first by priority are kept.
pub const DNS_PLACES_MAX: usize = 32;
/// Addresses of one host; the others are left alone.
pub const DNS_HOST_ADDRESSES_MAX: usize = 8;
/// NAPTR and SRV records of one name that are followed.
pub const DNS_RECORDS_MAX: usize = 32;
/// Names that the control plane knows: those of the configuration and those of far ends.
pub const DNS_QUESTIONS_MAX: usize = 2 * TRUNKS_MAX * TRUNK_PEERS_MAX;
/// Names that are looked up at one time.
pub const DNS_LOOKUPS_MAX: usize = 32;
/// Questions of shards that wait for the resolver; further ones are asked again later.
pub const DNS_QUESTIONS_WAITING_MAX: usize = 1_024;
/// First wait after a look that failed; doubles with each failure in a row.
pub const DNS_FAILED_RETRY_MIN: Duration = Duration::from_secs(5);
/// The longest wait after a look that failed.
pub const DNS_FAILED_RETRY_MAX: Duration = Duration::from_secs(60);
/// How long one name may take with all its records, in the time that one question may take.
pub const DNS_LOOK_IN_QUESTIONS: u32 = 4;
/// Names of far ends that one shard remembers; requests to others go the way of the peer.
pub const DNS_FAR_ENDS_MAX: usize = 4_096;
/// A shard's question that nobody has answered is asked again after this time.
pub const DNS_ASK_AGAIN: Duration = Duration::from_secs(30);
/// Between two looks for names that may be forgotten, while there is no room.
pub const DNS_FAR_END_SWEEP: Duration = Duration::from_secs(1);
/// How long an address counts as a trunk's after its name has ceased to lead there.
pub const DNS_RECENT: Duration = Duration::from_mins(10);
/// Nodes of one trunk: its addresses and those that its names lead or have led to of late.
pub const TRUNK_NODES_MAX: usize = 64;
/// Name servers in one configuration.
pub const DNS_SERVERS_MAX: usize = 8;

const _: () = assert!(TRUNK_NODES_MAX <= u64::BITS as usize, "a bit a node");
const _: () = assert!(
    TRUNK_PEERS_MAX + DNS_PLACES_MAX <= TRUNK_NODES_MAX,
    "the addresses of a trunk and all that one name leads to are nodes at one time"
);
const _: () = assert!(
    TRUNKS_MAX * TRUNK_PEERS_MAX < DNS_QUESTIONS_MAX,
    "names of the configuration never want for room"
);

// Presence

/// SUBSCRIBEs of one trunk are spaced by at most this on one shard, however many shards share it.
pub const SUBSCRIBE_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// Refreshes that may pass waiting new subscriptions before one of those has its turn.
pub const REFRESHES_IN_A_ROW_MAX: u32 = 3;
/// The shortest time from one SUBSCRIBE of a subscription to its refresh.
pub const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// The longest Min-Expires that is obeyed; a peer that wants more does not watch well.
pub const MIN_EXPIRES_MAX: Duration = Duration::from_secs(86_400);
/// First wait after a subscription failed; doubles with each failure in a row.
pub const BACKOFF_MIN: Duration = Duration::from_secs(2);
/// The longest wait after a failure that may pass.
pub const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// The longest Retry-After of a SUBSCRIBE or NOTIFY that is obeyed.
pub const SUBSCRIBE_RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// A refused DN is tried again after this time at the earliest.
pub const REFUSED_RETRY_MIN: Duration = Duration::from_secs(300);
/// A refused DN is tried again after this time at the latest.
pub const REFUSED_RETRY_MAX: Duration = Duration::from_secs(900);
/// How far "at once" is spread when a PBX ends a subscription.
pub const RESUBSCRIBE_SPREAD: Duration = Duration::from_secs(1);
/// A subscription that stood this long has settled: the next failure counts from one.
pub const SUBSCRIPTION_SETTLED: Duration = Duration::from_secs(60);
/// How many others are asked about when a peer turns out to have lost a subscription.
pub const SUBSCRIPTIONS_DOUBTED: usize = 2;
/// Subscriptions of a peer that went out are looked at after this time at the earliest.
pub const PEER_OUT_CHECK_MIN: Duration = Duration::from_secs(5);
/// And after this time at the latest.
pub const PEER_OUT_CHECK_MAX: Duration = Duration::from_secs(10);
/// How often a DN without a trunk in service looks for one; a returning trunk calls it sooner.
pub const TRUNK_WAIT: Duration = Duration::from_secs(30);

const _: () = assert!(BACKOFF_MIN.as_secs() < BACKOFF_MAX.as_secs());
const _: () = assert!(BACKOFF_MAX.as_secs() <= REFUSED_RETRY_MIN.as_secs());
const _: () = assert!(REFUSED_RETRY_MIN.as_secs() < REFUSED_RETRY_MAX.as_secs());

// Agents

/// How long RequestReserveAgent of several routers for one agent are collected before one wins.
pub const CLAIM_COLLECTION: Duration = Duration::from_millis(100);
/// Requests that are collected for one agent; further ones get `TooBusy`.
pub const CLAIM_REQUESTS_MAX: usize = 64;
/// The longest time for which a router may keep an agent.
pub const CLAIM_DURATION_MAX: Duration = Duration::from_mins(5);
/// The time for which a router keeps an agent when it does not say.
pub const CLAIM_DURATION_DEFAULT: Duration = Duration::from_secs(10);
/// The highest priority of a router's request.
pub const CLAIM_PRIORITY_MAX: u16 = 1_000;
/// The longest wrap-up, as configured or as a desktop asks for.
pub const WRAP_UP_MAX: Duration = Duration::from_hours(24);
/// Calls at one DN that clients see: one in hand, and those on hold beside it.
pub const CALLS_PER_DN_MAX: usize = 8;
/// What a reservation may outlive the longest ring and the longest silence by, before it returns
/// by itself: time for the messages between shards.
pub const RESERVATION_SLACK: Duration = Duration::from_secs(10);
/// How often the agents of a shard look at the clock while they wait for anything.
pub const HOST_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A shard that looks so much later was not slow: its host has slept, and all shards with it.
/// [`RESERVATION_SLACK`] has room for sleeps that are shorter.
pub const HOST_SLEPT_AFTER: Duration = Duration::from_secs(1);
/// How often it is looked whether the wall clock was set.
pub const WALL_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// By how much it must be apart from the monotonic clock to count as set.
pub const WALL_STEP_MIN: Duration = Duration::from_secs(1);
/// A caller whose call is not answered hears of it at least so often (RFC 3261 §13.3.1.1).
pub const PROGRESS_INTERVAL: Duration = Duration::from_mins(1);
/// How long an agent gets no call of a queue after its phone was busy, declined, could not be
/// reached, or broke the rules.
pub const FAILED_PHONE_REST: Duration = Duration::from_secs(5);

/// Digits, and NOTIFYs about a REFER, of one call that wait until the one before has its answer;
/// and INFOs of other kinds that have none.
pub const IN_ORDER_MAX: usize = 64;
/// Bytes in the bodies of those that wait.
pub const IN_ORDER_BYTES_MAX: usize = 16 << 10;
/// How far our numbers jump in a dialog of which not every request is known: more than there were.
pub const CSEQ_AFTER_RECALL: u32 = 10_000;
/// Within which time the far ends of calls that were taken up, or whose peer is back, are asked
/// whether they still have them.
pub const PROBE_WITHIN: Duration = Duration::from_secs(60);
/// Within which part of its interval a session that is ours to refresh asks, if that is sooner.
pub const PROBE_PART: u32 = 30;
/// How many far ends a shard asks in a second on average, however long it takes.
pub const PROBES_A_SECOND: u64 = 100;
/// Within which time a far end that was silent is asked again.
pub const PROBE_AGAIN: Duration = Duration::from_secs(120);
/// Calls of nobody, answered when their INVITE had been given up, that a shard ends at once.
pub const STRAYS_AT_ONCE_MAX: u32 = 200;
/// And then in a second: each repeats its answer for 32 s.
pub const STRAYS_PER_SECOND_MAX: u32 = 100;
/// Answers of an earlier process to 2xx of one leg that are kept, and offers that were late which
/// are answered there or where a leg is being left: a leg has one INVITE at a time, and 2xx come
/// again for 32 s only.
pub const LATE_ANSWERS_MAX: usize = 4;
/// How long a desktop that was there before a crash has to come back: longer than clients wait.
pub const DESKTOP_RETURN: Duration = Duration::from_secs(60);
/// For how long a peer's word about its overload counts at most (RFC 7339 §4.3), whatever it says.
pub const PEER_FEEDBACK_VALIDITY_MAX: Duration = Duration::from_secs(60);
/// For how long it counts where it does not say so (RFC 7339 §4.3).
pub const PEER_FEEDBACK_VALIDITY: Duration = Duration::from_millis(500);
/// The most that `memory_max` may allow, in MiB: 16 TiB.
pub const MEMORY_MEBIBYTES_MAX: u32 = 16 << 20;
/// Calls that a shard may have whatever memory is left: a server closed for good is worse.
pub const MEMORY_CALLS_MIN: usize = 16;
/// How often the process looks how much memory it has, where there is a limit for it.
pub const MEMORY_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How far the end of a subscription moves before it is written down again.
pub const SUBSCRIPTION_RECORD_SLACK: Duration = Duration::from_secs(10);
/// Records that wait for a journal's writer; the shard keeps what finds no room.
pub const JOURNAL_QUEUE_MAX: usize = 4_096;
/// Records that a journal's writer gives to the kernel at once, at most.
pub const JOURNAL_BATCH_MAX: u64 = 1_024;
/// Bytes of a journal's file below which it is not written anew.
pub const JOURNAL_FILE_BYTES: usize = 16 * 1024 * 1024;
/// How often a shard looks whether its records are written, while something waits for it.
pub const JOURNAL_LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// Moments that a shard keeps at which something waited for a record.
pub const JOURNAL_MARKS_MAX: usize = 1_024;
/// How long what a shard has to say waits for its records to be written: less than T1, so that
/// nobody repeats anything because of it, and more than a disk takes to synchronise a file.
pub const JOURNAL_WAIT_MAX: Duration = Duration::from_millis(400);
