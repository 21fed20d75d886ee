//! What a user agent is told once, at its start.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use offhook_shards::{ShardId, Transport};

use crate::limits::SESSION_SECONDS_MIN;

use super::Party;

/// Everything a user agent needs to know about its place in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgentConfig {
    /// The shard it runs on; written into every Call-ID it mints.
    pub shard: ShardId,
    /// Where requests to us arrive, the preferred one of each transport and family first. At
    /// least one.
    pub listeners: Vec<Listener>,
    /// Round-trip estimate (RFC 3261 §17.1.1.1), usually 500 ms.
    pub t1: Duration,
    /// The longest retransmission interval, usually 4 s.
    pub t2: Duration,
    /// How long a message may stay in the network, usually 5 s.
    pub t4: Duration,
    /// The value of User-Agent and Server; empty to send neither.
    pub user_agent: String,
    /// What follows the `@` in Call-IDs of ours; without one there is no `@`.
    pub call_id_host: Option<String>,
    /// Keys of Call-IDs and tables: secret, the same on all shards.
    pub keys: [u64; 2],
    /// Seed of tags, branches and Call-IDs: secret; shards may share it.
    pub seed: u64,
}

/// A listening socket, and how others know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// By what.
    pub transport: Transport,
    /// The address it is bound to, as [`offhook_shards::Source::local`] says it.
    pub address: SocketAddr,
    /// `host:port` for Via and Contact; IPv6 addresses in brackets.
    pub advertised: String,
}

/// What the trunk of a leg wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegPolicy {
    /// The session interval that we ask for, seconds (RFC 4028); `None` asks for none.
    pub session_expires: Option<NonZeroU32>,
    /// The shortest session interval that we take, seconds; at least 90.
    pub min_se: u32,
    /// Whether `100rel` is offered to the callee (RFC 3262).
    pub reliable_provisional: bool,
    /// Whether the far end may transfer by REFER (RFC 3515).
    pub refer: bool,
    /// Whether the far end is believed who it is, and by way of whom it calls.
    pub trusted: bool,
    /// How the far end is told who is across.
    pub identity: IdentityHeaders,
}

impl LegPolicy {
    /// Which headers tell the far end about a party: a number that is to be hidden leaves the
    /// trusted network in none (RFC 3325 §7).
    #[must_use]
    pub fn headers_for(&self, party: &Party) -> IdentityHeaders {
        if party.private && !self.trusted {
            return IdentityHeaders::Neither;
        }
        self.identity
    }
}

impl Default for LegPolicy {
    fn default() -> Self {
        Self {
            session_expires: None,
            min_se: SESSION_SECONDS_MIN,
            reliable_provisional: false,
            refer: false,
            trusted: true,
            identity: IdentityHeaders::Asserted,
        }
    }
}

/// Which headers tell the far end who is across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityHeaders {
    /// P-Asserted-Identity (RFC 3325).
    Asserted,
    /// Remote-Party-ID, which older PBXs read.
    RemoteParty,
    /// Both.
    Both,
    /// None: the far end is not trusted with it.
    Neither,
}
