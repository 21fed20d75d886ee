//! `[server]` and `[[token]]`: where the server listens, how it runs, and who may use the CTI
//! interface. It binds nothing and looks at no core; it says only what was asked for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use super::DnIndex;

/// `[server]` with its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where SIP is heard; at least one, no two alike.
    pub sip: Vec<Listener>,
    /// The host that goes into Via and Contact in place of a listener's own address.
    pub advertise: Option<Box<str>>,
    /// Where HTTP and WebSocket are heard; beyond loopback only if there are tokens.
    pub http: SocketAddr,
    /// Whether they are under TLS, with the certificate of `[tls]`.
    pub http_tls: bool,
    /// Who may use the CTI interface; empty means everyone on loopback, as `admin`.
    pub tokens: Vec<Token>,
    /// Shards to start; `None` is the number of cores minus one, at least one.
    pub shards: Option<u16>,
    /// Cores for the shards, ascending; `None` lets the server choose.
    pub cores: Option<Cores>,
    /// Whether each shard stays on its core.
    pub pin: bool,
    /// How bytes move.
    pub driver: Driver,
    /// The least severe log line that is written.
    pub log: LogLevel,
    /// A call older than this is ended; between a minute and seven days.
    pub call_duration_max: Duration,
    /// T1 of RFC 3261 §17.1.1.1: the estimate of a round trip.
    pub t1: Duration,
    /// T2 of RFC 3261 §17.1.2.2: the longest interval between retransmissions.
    pub t2: Duration,
    /// T4 of RFC 3261 §17.1.2.2: the longest that a message stays in the network.
    pub t4: Duration,
    /// What happens to an agent whose desktop goes away.
    pub on_disconnect: OnDisconnect,
    /// Events that wait for one slow CTI client before it is cut off.
    pub client_queue: u32,
    /// Events kept for clients that resume.
    pub event_history: u32,
    /// What held parties hear; `None`: nothing.
    pub music: Option<MediaServer>,
    /// Where conferences are mixed (RFC 4240 §5); without one there are none.
    pub mixer: Option<MediaServer>,
    /// What addresses that are no trunk's hear.
    pub strangers: Strangers,
    /// How long calls may take to end when the server is told to stop; zero ends it at once.
    pub drain_timeout: Duration,
    /// Bytes of resident memory beyond which no more calls are held; `None` is no limit.
    pub memory_max: Option<u64>,
}

/// What addresses that are no trunk's hear when they call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strangers {
    /// Nothing: whoever looks for servers finds none.
    Ignore,
    /// 403, in at most as many bytes as they sent.
    Refuse,
}

/// A server of media, written `sip:USER@ADDRESS:PORT` with `;transport=tcp` where it is not UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaServer {
    /// The user part of its URI; `None` where each request names its own.
    pub user: Option<Box<str>>,
    /// How it is reached.
    pub transport: Transport,
    /// Where it is.
    pub address: SocketAddr,
}

impl FromStr for MediaServer {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        const WRITE: Unusable =
            Unusable("write a SIP URI with an address, such as \"sip:music@192.0.2.50:5060\"");
        let rest = text.strip_prefix("sip:").ok_or(WRITE)?;
        let (rest, transport) = match rest.split_once(';') {
            None | Some((_, "transport=udp")) => (rest.split(';').next().unwrap_or(rest), "udp"),
            Some((rest, "transport=tcp")) => (rest, "tcp"),
            Some(_) => return Err(WRITE),
        };
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,".contains(&byte);
        if user.is_some_and(|user| user.is_empty() || !user.bytes().all(legal)) {
            return Err(WRITE);
        }
        let (transport, address) =
            transport_and_address(&format!("{transport}:{host}")).ok_or(WRITE)?;
        let ip = address.ip();
        if address.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
            return Err(WRITE);
        }
        Ok(Self {
            user: user.map(Box::from),
            transport,
            address,
        })
    }
}

impl Server {
    /// The host for Via and Contact of requests that leave by `listener`: the configured one, else
    /// the listener's own address, else nothing (a wildcard address names no host).
    pub fn advertised(&self, listener: Listener) -> Option<String> {
        if let Some(host) = &self.advertise {
            return Some(host.to_string());
        }
        let address = listener.address.ip();
        if address.is_unspecified() {
            return None;
        }
        Some(match address {
            IpAddr::V4(address) => address.to_string(),
            // RFC 3261 §25.1: an IPv6 reference stands in brackets.
            IpAddr::V6(address) => format!("[{address}]"),
        })
    }
}

/// How SIP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A byte stream.
    Tcp,
    /// A byte stream under TLS.
    Tls,
}

impl Transport {
    /// The port where nothing names another (RFC 3261 §19.1.2).
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    /// As shards call it.
    #[must_use]
    pub fn of_shards(self) -> offhook_shards::Transport {
        match self {
            Self::Udp => offhook_shards::Transport::Udp,
            Self::Tcp => offhook_shards::Transport::Tcp,
            Self::Tls => offhook_shards::Transport::Tls,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// One address on which SIP is heard, written `udp:ADDRESS:PORT`, `tcp:…` or `tls:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listener {
    /// Datagrams or streams.
    pub transport: Transport,
    /// Where; port 0 lets the operating system choose.
    pub address: SocketAddr,
}

impl fmt::Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.transport, self.address)
    }
}

/// A text that cannot become the value asked for; says what to write in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable(pub &'static str);

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for Unusable {}

impl FromStr for Listener {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let (transport, address) = transport_and_address(text).ok_or(Unusable(
            "write udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT, such as \
             \"udp:0.0.0.0:5060\"",
        ))?;
        Ok(Self { transport, address })
    }
}

/// Splits `udp:ADDRESS:PORT`; an address without a port gets SIP's own, 5060 or 5061.
pub(super) fn transport_and_address(text: &str) -> Option<(Transport, SocketAddr)> {
    let (transport, address) = text.split_once(':')?;
    let transport = match transport {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => return None,
    };
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    let address = address
        .parse()
        .or_else(|_| {
            let ip = bare.parse::<IpAddr>();
            ip.map(|ip| SocketAddr::new(ip, transport.port()))
        })
        .ok()?;
    Some((transport, address))
}

/// A set of cores, written `1-3,5`; ascending and without repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores(pub Vec<u16>);

impl FromStr for Cores {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        const WRITE: Unusable = Unusable("write core numbers below 1024, such as \"1-3,5\"");
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first = core(first).ok_or(WRITE)?;
            let last = core(last).ok_or(WRITE)?;
            if first > last {
                return Err(WRITE);
            }
            cores.extend(first..=last);
            // Bounds the work that a long list of overlapping ranges can ask for.
            cores.sort_unstable();
            cores.dedup();
        }
        Ok(Self(cores))
    }
}

fn core(text: &str) -> Option<u16> {
    let number: u16 = text.trim().parse().ok()?;
    (usize::from(number) < crate::limits::CORES_MAX).then_some(number)
}

/// Who a CTI client is.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What the client presents; compare it in constant time, never log it.
    pub secret: Box<str>,
    /// What it may do.
    pub role: Role,
    /// The DNs of an `agent`, ascending; empty for the other roles, which see every DN.
    pub dns: Vec<DnIndex>,
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Token")
            .field("role", &self.role)
            .field("dns", &self.dns.len())
            .finish_non_exhaustive()
    }
}

/// What a CTI client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Act for its own DNs.
    Agent,
    /// See and act for every DN.
    Supervisor,
    /// Route calls.
    Router,
    /// Everything.
    Admin,
}

/// How bytes move between sockets and shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Driver {
    /// `Uring` where it is allowed, else `Epoll`.
    Auto,
    /// One io_uring executor a core.
    Uring,
    /// One plain thread a core.
    Epoll,
}

impl Driver {
    pub(super) const WORDS: [(&str, Self); 3] = [
        ("auto", Self::Auto),
        ("uring", Self::Uring),
        ("epoll", Self::Epoll),
    ];
}

impl FromStr for Driver {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, driver)| *driver)
            .ok_or(Unusable("write auto, uring or epoll"))
    }
}

/// The least severe log line that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Something was lost.
    Error,
    /// Something needs a look.
    Warn,
    /// What an operator follows.
    Info,
    /// What an engineer follows.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    pub(super) const WORDS: [(&str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl FromStr for LogLevel {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        let level = found.map(|(_, level)| *level);
        level.ok_or(Unusable("write error, warn, info, debug or trace"))
    }
}

/// What happens to an agent whose desktop goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnDisconnect {
    /// Nothing.
    Keep,
    /// The agent becomes NotReady.
    NotReady,
    /// The agent is logged out.
    Logout,
}
