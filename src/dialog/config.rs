//! What a user agent is told once, at its start.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_shards::{ShardId, Transport};

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
