//! What a run was told beside its scenario. Plain values; `options` reads them from a command
//! line.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use offhook_shards::Transport;
use offhook_shards::limits::SOCKET_BUFFER_BYTES;

use super::limits;
use super::twin::Twins;
use crate::load::{Plan, Spacing};
use crate::measure::Tolerance;
use crate::reach::Reach;

/// Everything that calls need to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whom calls go to; a server waits instead.
    pub remote: Option<SocketAddr>,
    /// Whom messages name as the peer, also where they go elsewhere; without it, whoever calls.
    pub named: Option<SocketAddr>,
    /// The peer as it was named, without a port.
    pub remote_host: String,
    /// The address that messages name as ours, unless a call has one of `locals`.
    pub local: SocketAddr,
    /// Our addresses, which calls take in turn.
    pub locals: Vec<SocketAddr>,
    /// How bytes travel.
    pub transport: Transport,
    /// Whether each call that we open has a connection of its own.
    pub connects_each: bool,
    /// Stream connections of one worker at a time.
    pub connections_max: usize,
    /// The address that messages name for media.
    pub media_ip: IpAddr,
    /// The port that messages name for media.
    pub media_port: u16,
    /// What `[service]` is.
    pub service: String,
    /// What `[pid]` is.
    pub process_id: u32,
    /// `%u` is the call's number, `%p` the process, `%s` our address.
    pub call_id_format: String,
    /// The number before the first CSeq.
    pub base_cseq: u64,
    /// User of digests that name none.
    pub username: String,
    /// Password of digests that name none.
    pub password: String,
    /// The URI of digests, without `sip:`; `None` is the peer's address.
    pub digest_uri: Option<String>,
    /// How long a pause lasts that says nothing itself.
    pub pause: Duration,
    /// How long a message may take that has no time of its own.
    pub receive_timeout: Option<Duration>,
    /// The longest time between two resends of other requests than INVITE.
    pub t2: Duration,
    /// Resends of an INVITE.
    pub invite_resends_max: u32,
    /// Resends of other messages.
    pub other_resends_max: u32,
    /// Whether anything is resent.
    pub resends: bool,
    /// What is done without a step.
    pub behaviours: Behaviours,
    /// Whether messages during a pause are passed over.
    pub ignores_in_pause: bool,
    /// Whether the part of a Call-ID before `///` belongs to it.
    pub keeps_slashes: bool,
    /// How often, of all times, any message is lost on purpose: 0 to 1.
    pub lost: f64,
    /// How long the Call-ID of an ended call is remembered.
    pub dead_call_wait: Duration,
    /// When calls are opened.
    pub load: Load,
    /// A worker acts at multiples of this only, and takes what has come until then; zero acts at
    /// once.
    pub tick: Duration,
    /// Whether the kernel is given messages of equal length as one.
    pub joins_datagrams: bool,
    /// Whether a socket is opened at the address for media.
    pub has_media: bool,
    /// Whether media that come are sent back from the start.
    pub echoes: bool,
    /// Whether a scenario may run commands.
    pub allows_commands: bool,
    /// Whom calls may send to.
    pub reach: Reach,
    /// Other programs that play the other side of calls.
    pub twins: Twins,
    /// Which of the workers this one is, from 0, and how many there are.
    pub worker: u64,
    /// How many workers share the load.
    pub workers: u64,
    /// What is added to the numbers of calls, so that runs of one process have none in common.
    pub first_call: u64,
    /// Calls that peers have opened at any worker.
    pub admitted: Arc<AtomicU64>,
    /// Calls of ours that live, at all workers.
    pub at_once: Arc<AtomicUsize>,
    /// Bytes of the kernel's buffers of each UDP socket.
    pub socket_buffer_bytes: usize,
    /// Bytes of recent messages that are kept for the ladders of calls that fail.
    pub recent_bytes: usize,
    /// What the generator itself may do wrong before the run is invalid.
    pub tolerance: Tolerance,
    /// Where chance comes from.
    pub seed: u64,
    /// Variables that have a value from the start: name and value.
    pub variables: Vec<(String, String)>,
    /// What is written down.
    pub traces: Traces,
}

/// What is done without a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviours {
    /// Answer a BYE, and hang up calls that are given up.
    pub bye: bool,
    /// Give up a call that gets a message it does not expect.
    pub abort_unexpected: bool,
    /// Answer PING.
    pub ping: bool,
    /// Answer, inside a call's dialog, OPTIONS and what refreshes the session.
    pub in_dialog: bool,
    /// Answer INFO, NOTIFY, OPTIONS and UPDATE.
    pub auto_answer: bool,
}

/// When calls are opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Calls a `period`.
    pub rate: f64,
    /// What the rate is for.
    pub period: Duration,
    /// How far apart calls are.
    pub spacing: Spacing,
    /// When calls are opened, instead of the rate; its rates are a `period`'s.
    pub plan: Option<Plan>,
    /// Calls in all.
    pub calls_max: Option<u64>,
    /// Calls at a time; an arrival beyond it is dropped and counted.
    pub limit: Option<usize>,
    /// A fixed number of users who call again and again: a closed loop.
    pub users: Option<usize>,
    /// How long a user of the closed loop waits between two calls.
    pub think: Duration,
    /// What the rate grows by, how often, and up to where.
    pub growth: Option<Growth>,
}

impl Default for Load {
    /// Ten calls a second, as SIPp has it.
    fn default() -> Self {
        Self {
            rate: 10.0,
            period: Duration::from_secs(1),
            spacing: Spacing::Even,
            plan: None,
            calls_max: None,
            limit: None,
            users: None,
            think: Duration::ZERO,
            growth: None,
        }
    }
}

/// A rate that grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Added to the rate each time.
    pub step: f64,
    /// Between two steps.
    pub interval: Duration,
    /// The highest rate.
    pub rate_max: Option<f64>,
    /// Whether the run ends when it is reached.
    pub ends: bool,
}

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traces {
    /// Every message.
    pub messages: bool,
    /// What the scenario logs.
    pub logs: bool,
    /// What goes wrong.
    pub errors: bool,
    /// Every response time.
    pub response_times: bool,
    /// One line for every message.
    pub short: bool,
    /// The messages of every call that fails.
    pub calls: bool,
}

impl Settings {
    /// Everything as SIPp has it by default.
    #[must_use]
    pub fn new(local: SocketAddr) -> Self {
        Self {
            remote: None,
            named: None,
            remote_host: String::new(),
            local,
            locals: vec![local],
            transport: Transport::Udp,
            connects_each: false,
            connections_max: limits::CONNECTIONS_MAX,
            media_ip: local.ip(),
            media_port: 6_000,
            service: "service".to_owned(),
            process_id: 1,
            call_id_format: "%u-%p@%s".to_owned(),
            base_cseq: 0,
            username: "service".to_owned(),
            password: "password".to_owned(),
            digest_uri: None,
            pause: Duration::ZERO,
            receive_timeout: None,
            t2: limits::T2,
            invite_resends_max: limits::INVITE_RESENDS_MAX,
            other_resends_max: limits::OTHER_RESENDS_MAX,
            resends: true,
            behaviours: Behaviours {
                bye: true,
                abort_unexpected: true,
                ping: true,
                in_dialog: true,
                auto_answer: false,
            },
            ignores_in_pause: false,
            keeps_slashes: false,
            lost: 0.0,
            dead_call_wait: limits::DEAD_CALL_WAIT,
            load: Load::default(),
            tick: Duration::ZERO,
            joins_datagrams: true,
            has_media: false,
            echoes: false,
            allows_commands: false,
            reach: Reach::default(),
            twins: Twins::default(),
            worker: 0,
            workers: 1,
            first_call: 0,
            admitted: Arc::default(),
            at_once: Arc::default(),
            socket_buffer_bytes: SOCKET_BUFFER_BYTES,
            recent_bytes: limits::RECENT_BYTES,
            tolerance: Tolerance::default(),
            seed: 1,
            variables: Vec::new(),
            traces: Traces::default(),
        }
    }
}
