//! `[dns]`: who is asked where names lead, and how long the answers hold.

use std::net::SocketAddr;
use std::time::Duration;

/// How names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Name servers in order of preference; empty means those of the operating system.
    pub servers: Vec<SocketAddr>,
    /// How long a name server may take for one answer.
    pub timeout: Duration,
    /// How often one question is asked before it has no answer.
    pub attempts: u32,
    /// Answers hold at least so long.
    pub ttl_min: Duration,
    /// Answers hold at most so long.
    pub ttl_max: Duration,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            attempts: 2,
            ttl_min: Duration::from_secs(5),
            ttl_max: Duration::from_hours(1),
        }
    }
}
