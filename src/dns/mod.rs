//! Names in place of addresses, as values: what is asked, what came back, and the choice among
//! several servers (RFC 3263, RFC 2782). It looks nothing up: the control plane does
//! (`server::dns`), by the lifetimes that `book` keeps, and what it finds comes into the shards
//! like any other input.

pub mod book;
mod choice;
mod far_end;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offhook_shards::Transport;

pub use choice::choose;
pub(crate) use far_end::{FarEnds, Known};

/// A name with what is already known of the way there: what it leaves open, DNS decides
/// (RFC 3263 §4.1 and §4.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// In lower case: names are compared without regard to it.
    pub host: Box<str>,
    /// With a port only addresses are asked for.
    pub port: Option<u16>,
    /// Without a transport NAPTR chooses it.
    pub transport: Option<Transport>,
}

impl Question {
    /// The question for a host name.
    #[must_use]
    pub fn new(host: &str, port: Option<u16>, transport: Option<Transport>) -> Self {
        Self {
            host: host.trim_end_matches('.').to_ascii_lowercase().into(),
            port,
            transport,
        }
    }

    /// What is asked of DNS, first to last.
    #[must_use]
    pub fn records(&self) -> &'static str {
        match (self.port, self.transport) {
            (Some(_), _) => "A and AAAA",
            (None, Some(_)) => "SRV, then A and AAAA",
            (None, None) => "NAPTR and SRV, then A and AAAA",
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.transport.map_or("sip", transport_name);
        write!(formatter, "{scheme}:{}", self.host)?;
        match self.port {
            Some(port) => write!(formatter, ":{port}"),
            None => Ok(()),
        }
    }
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    }
}

/// One server that a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The lowest is tried first (RFC 2782).
    pub priority: u16,
    /// How it is reached.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// Its share among those of its priority.
    pub weight: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}",
            transport_name(self.transport),
            self.address
        )
    }
}

/// Why nothing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Problem {
    /// NXDOMAIN.
    NoSuchName,
    /// The name exists, and leads to no address that we could use.
    NoAddress,
    /// No name server answered in time.
    NoAnswer,
    /// The name servers would not or could not say.
    Refused,
}

impl Problem {
    /// As events, the API and metrics show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSuchName => "no-such-name",
            Self::NoAddress => "no-address",
            Self::NoAnswer => "dns-no-answer",
            Self::Refused => "dns-refused",
        }
    }
}

/// What is known of a name now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Of which.
    pub question: Arc<Question>,
    /// Ascending, no two alike; with a problem the last ones that were good.
    pub places: Arc<[Place]>,
    /// What the last look met.
    pub problem: Option<Problem>,
    /// How long this may be believed.
    pub lifetime: Duration,
}
