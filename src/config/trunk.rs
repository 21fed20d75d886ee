//! `[[trunk]]`: the PBX peers that calls and subscriptions go through. Whether a peer is alive is
//! not known here; see `trunk/`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::TrunkIndex;
use super::credentials::Credentials;
use super::network::Network;
use super::server::Transport;
use crate::dns::Question;

/// One named way to a PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// Its name in events, metrics and references.
    pub name: Box<str>,
    /// Its nodes in order of preference; at least one, no two alike.
    pub peers: Vec<Peer>,
    /// How a peer is chosen among those that are alive.
    pub mode: Selection,
    /// Time between OPTIONS pings of a peer; `None` sends none.
    pub oos_check: Option<Duration>,
    /// How long a ping waits for its answer before it counts as missed.
    pub ping_timeout: Duration,
    /// Silence after the first missed ping until the peer is out of service.
    pub oos_force: Duration,
    /// How long a peer that failed a call stays out when nothing else tells that it is back.
    pub recovery_timeout: Duration,
    /// Host part of request URIs; `None` uses the peer's name or address.
    pub domain: Option<Box<str>>,
    /// For whom the certificates of its peers must be; `None` is each peer's own name or address.
    pub tls_name: Option<Box<str>>,
    /// Max-Forwards of OPTIONS pings.
    pub ping_max_forwards: u8,
    /// Numbers that begin with one of these belong to this trunk; empty means any.
    pub prefixes: Vec<Box<str>>,
    /// New calls a second that one address of it may begin.
    pub call_rate: u32,
    /// SUBSCRIBE requests a second, at most.
    pub subscribe_rate: u32,
    /// How requests of more than 1,300 bytes go to a UDP peer.
    pub big_requests: BigRequests,
    /// Whether numbers that are nobody's here are called through it.
    pub outbound: bool,
    /// Whether an agent's phone has a dialog of its own for each of its calls; else its calls share
    /// one (UCM).
    pub dual_dialog: bool,
    /// What a far end that is put on hold is told.
    pub hold: Hold,
    /// How a call that a desktop wants is made.
    pub make_call_flow: MakeCallFlow,
    /// How a phone is picked up from its desktop.
    pub answer: Answering,
    /// How digits are sent.
    pub dtmf: Dtmf,
    /// The session interval that calls ask for (RFC 4028); `None` asks for none.
    pub session_expires: Option<Duration>,
    /// The shortest session interval that a far end may ask for.
    pub min_se: Duration,
    /// Whether phones may send their provisional responses reliably (RFC 3262).
    pub reliable_provisional: bool,
    /// Whether a caller hears what comes from a phone or a number before its answer.
    pub early_media: bool,
    /// Whether phones and PBXs may transfer by REFER (RFC 3515).
    pub refer: bool,
    /// Which headers say who is across.
    pub identity: Identity,
    /// Where its calls come from besides its peers.
    pub accept: Vec<Network>,
    /// Whether it is believed who calls, and by way of whom (RFC 3325 §2.3).
    pub trusted: bool,
    /// What its challenges are answered with, and what its calls must show if they are challenged.
    pub credentials: Option<Arc<Credentials>>,
    /// Whether its calls are challenged.
    pub challenge: bool,
    /// Whether requests to it ask to hear of overload, and calls are fewer then (RFC 7339).
    pub overload_control: bool,
}

/// How a call between two is made by a third party (RFC 3725).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MakeCallFlow {
    /// Flow I: the agent's phone makes the offer, and waits for the other's answer.
    One,
    /// Flow IV: the agent's phone is connected without media first.
    Four,
}

/// How a leg is put on hold (RFC 3264 §8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// Nothing flows.
    Inactive,
    /// The far end may hear something, and is not heard: `sendonly`, which it answers with
    /// `recvonly` or `inactive`.
    SendOnly,
}

/// How a phone is picked up from its desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answering {
    /// It is not.
    None,
    /// It is called again, with a Call-Info that says `answer-after=0`.
    CallInfo,
    /// It is called again, with an Alert-Info that says so.
    AlertInfo,
    /// It is told by a NOTIFY of the event `talk`.
    Talk,
}

/// How digits are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dtmf {
    /// They are not.
    None,
    /// By INFO, as `application/dtmf-relay`.
    Relay,
    /// By INFO, as `application/dtmf`.
    Plain,
}

/// Which headers tell the far end who is across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// P-Asserted-Identity (RFC 3325).
    Asserted,
    /// Remote-Party-ID.
    RemoteParty,
    /// Both.
    Both,
    /// None: the far end is not trusted with it.
    Neither,
}

impl Trunk {
    /// For whom the certificate of a peer must be (RFC 5922 §7.3).
    #[must_use]
    pub fn tls_name_of(&self, peer: &Peer) -> String {
        match (&self.tls_name, peer) {
            (Some(name), _) => name.to_string(),
            (None, Peer::Name(question)) => question.host.to_string(),
            (None, Peer::Address { address, .. }) => address.ip().to_string(),
        }
    }
}

/// One node of a trunk, or several behind one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Written `udp:192.0.2.20:5060`.
    Address {
        /// Datagrams or a stream.
        transport: Transport,
        /// Its address; never a wildcard, never port 0.
        address: SocketAddr,
    },
    /// Written `udp:pbx.example.com`, `udp:pbx.example.com:5060` or `sip:example.com`.
    Name(Question),
}

impl Peer {
    /// Datagrams or a stream; `None` where DNS says which.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        match self {
            Self::Address { transport, .. } => Some(*transport),
            Self::Name(question) => question.transport.map(|transport| match transport {
                offhook_shards::Transport::Udp => Transport::Udp,
                offhook_shards::Transport::Tcp => Transport::Tcp,
                offhook_shards::Transport::Tls => Transport::Tls,
            }),
        }
    }

    /// The name to look up, if it is one.
    #[must_use]
    pub fn question(&self) -> Option<&Question> {
        match self {
            Self::Address { .. } => None,
            Self::Name(question) => Some(question),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { transport, address } => write!(formatter, "{transport}:{address}"),
            Self::Name(question) => question.fmt(formatter),
        }
    }
}

/// How one is chosen among several that are alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selection {
    /// Each in turn.
    RoundRobin,
    /// The first in the list that is alive.
    PrimaryBackup,
}

/// How requests that are too long for a datagram go to a UDP peer (RFC 3261 §18.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BigRequests {
    /// By TCP to the same address and port.
    Tcp,
    /// By UDP all the same, in fragments.
    Udp,
}

/// The trunks that lead to one place and how one of them is chosen. Cheap to clone: agents of one
/// section share the list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrunkSet {
    /// In order of preference; at least one.
    pub trunks: Arc<[TrunkIndex]>,
    /// How a trunk is chosen among those that have a live peer.
    pub mode: Selection,
}
