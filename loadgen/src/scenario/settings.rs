//! What a run was told beside its scenario. Plain values; `options` reads them from a command
//! line.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use offhook_shards::Transport;

use super::limits;

/// Everything that calls need to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whom calls go to; a server waits instead.
    pub remote: Option<SocketAddr>,
    /// The peer as it was named.
    pub remote_host: String,
    /// The address that messages name as ours.
    pub local: SocketAddr,
    /// How bytes travel.
    pub transport: Transport,
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
    /// Answer INFO, NOTIFY, OPTIONS and UPDATE.
    pub auto_answer: bool,
}

/// When calls are opened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Calls a `period`.
    pub rate: f64,
    /// What the rate is for.
    pub period: Duration,
    /// Calls in all.
    pub calls_max: Option<u64>,
    /// Calls at a time; an arrival beyond it is dropped and counted.
    pub limit: Option<usize>,
    /// A fixed number of users who call again and again: a closed loop.
    pub users: Option<usize>,
    /// What the rate grows by, how often, and up to where.
    pub growth: Option<Growth>,
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
}

impl Settings {
    /// Everything as SIPp has it by default.
    #[must_use]
    pub fn new(local: SocketAddr) -> Self {
        Self {
            remote: None,
            remote_host: String::new(),
            local,
            transport: Transport::Udp,
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
                auto_answer: false,
            },
            ignores_in_pause: false,
            keeps_slashes: false,
            lost: 0.0,
            dead_call_wait: limits::DEAD_CALL_WAIT,
            load: Load {
                rate: 10.0,
                period: Duration::from_secs(1),
                calls_max: None,
                limit: None,
                users: None,
                growth: None,
            },
            seed: 1,
            variables: Vec::new(),
            traces: Traces::default(),
        }
    }
}
