//! What a caller of [`crate::start`] chooses, and why a start can fail: in the words of somebody
//! who runs the program, each with its cure.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::Transport;
use crate::limits;
use crate::placement::{Placement, PlacementError};
use crate::tls::TlsStore;

/// How shards talk to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// io_uring, through glommio's executor.
    Uring,
    /// Readiness, through epoll.
    Epoll,
}

impl Driver {
    /// Its name in flags, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        }
    }
}

/// Which driver to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriverChoice {
    /// io_uring where it is allowed, epoll where it is not.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// epoll.
    Epoll,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many shards: `1..=SHARDS_MAX`. `placement::shards_default` knows a good number.
    pub shards: u16,
    /// Which core each runs on.
    pub placement: Placement,
    /// How they talk to the kernel.
    pub driver: DriverChoice,
    /// Addresses to receive datagrams on; port 0 takes any free port, the same for all shards.
    pub udp: Vec<SocketAddr>,
    /// Addresses to accept stream connections on; port 0 as above.
    pub tcp: Vec<SocketAddr>,
    /// Addresses to accept stream connections under TLS on; port 0 as above. They need
    /// `tls_store`.
    pub tls: Vec<SocketAddr>,
    /// Certificates and keys, for connections accepted and opened.
    pub tls_store: Option<TlsStore>,
    /// Bytes of the kernel's buffers of each UDP socket, for receiving and for sending; the kernel
    /// grants at most `net.core.rmem_max` and `wmem_max`.
    pub socket_buffer_bytes: usize,
    /// A shard that has work wakes up no more often than this, and takes what has gathered
    /// meanwhile; the engine is told when each datagram came ([`crate::Engine::handle_arrival`]).
    /// Its own deadlines are kept. Zero wakes up at once, always.
    pub pace: Duration,
    /// While few messages wait they are handled in the order in which they came, and the datagrams
    /// that each brings are sent at once: sooner, for a system call a message. Without it, and
    /// where there is a pace or datagrams are joined, all are handled by their urgency and sent
    /// together.
    pub prompt: bool,
    /// The engine is told when each datagram came, also where there is no pace.
    pub stamps: bool,
    /// Gives the kernel datagrams of equal length to the same peer as one, and takes such from it:
    /// much cheaper, but whoever looks at the wire of this machine sees them joined.
    pub joins_datagrams: bool,
    /// How often the calling thread has allocated, for [`crate::Counter::Allocations`]: what the
    /// program's allocator counts, or 0.
    pub allocations: fn() -> u64,
    /// From the first byte of a stream's message to its last; longer closes the connection.
    pub message_deadline: Duration,
    /// How many stream connections there may be.
    pub room: Room,
}

/// How many stream connections a shard may have; further ones are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub connections: usize,
    /// With one address, whoever opened them.
    pub per_source: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS_PER_SHARD_MAX,
            per_source: limits::CONNECTIONS_PER_SOURCE_MAX,
        }
    }
}

impl Default for Options {
    /// One shard, anywhere, with no listener.
    fn default() -> Self {
        Self {
            shards: 1,
            placement: Placement::NoPin,
            driver: DriverChoice::Auto,
            udp: Vec::new(),
            tcp: Vec::new(),
            tls: Vec::new(),
            tls_store: None,
            socket_buffer_bytes: limits::SOCKET_BUFFER_BYTES,
            pace: Duration::ZERO,
            prompt: true,
            stamps: false,
            joins_datagrams: false,
            allocations: || 0,
            message_deadline: limits::MESSAGE_DEADLINE,
            room: Room::default(),
        }
    }
}

impl Options {
    /// Whether the kernel stamps datagrams.
    pub(crate) fn has_stamps(&self) -> bool {
        self.stamps || !self.pace.is_zero()
    }
}

/// Why io_uring cannot be used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UringDenied {
    /// Too little memory may be locked.
    Memlock {
        /// The limit, in bytes.
        bytes: u64,
    },
    /// The administrator has switched it off.
    Disabled {
        /// The value of `kernel.io_uring_disabled`.
        level: u8,
    },
    /// A seccomp profile forbids it.
    Forbidden,
    /// The kernel does not have it.
    Missing,
    /// The kernel refuses with this error number.
    Refused {
        /// `errno`.
        errno: i32,
    },
    /// The executor could not start although the kernel would let it.
    Executor {
        /// What kind of error it met.
        kind: io::ErrorKind,
    },
}

impl fmt::Display for UringDenied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Memlock { bytes } => write!(
                formatter,
                "only {} KiB of memory may be locked and io_uring needs {} KiB; raise it with \
                 `ulimit -l` or LimitMEMLOCK=64M in the systemd unit",
                bytes >> 10,
                limits::MEMLOCK_BYTES_MIN >> 10
            ),
            Self::Disabled { level } => write!(
                formatter,
                "io_uring is switched off (kernel.io_uring_disabled = {level}); allow it with \
                 `sysctl kernel.io_uring_disabled=0`"
            ),
            Self::Forbidden => formatter.write_str(
                "io_uring is forbidden here, as in most containers; allow io_uring_setup, \
                 io_uring_enter and io_uring_register in the seccomp profile",
            ),
            Self::Missing => formatter.write_str(
                "this kernel has no io_uring; use Linux 5.15 or later (6.1 recommended)",
            ),
            Self::Refused { errno } => write!(
                formatter,
                "the kernel refuses io_uring: {}",
                io::Error::from_raw_os_error(errno)
            ),
            Self::Executor { kind } => {
                write!(formatter, "the io_uring executor could not start: {kind}")
            }
        }
    }
}

/// Why the shards were not started. Nothing is left running.
#[derive(Debug)]
pub enum StartError {
    /// The number of shards is zero or too large.
    Shards {
        /// The number asked for.
        shards: u16,
    },
    /// The shards cannot be placed so.
    Placement(PlacementError),
    /// The cores could not be read.
    Cores(io::Error),
    /// A shard could not be pinned to its core.
    Pin {
        /// The core.
        core: usize,
        /// What the kernel said.
        error: io::Error,
    },
    /// An address cannot be listened on.
    Bind {
        /// Over which transport.
        transport: Transport,
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// io_uring was asked for and cannot be had.
    Uring(UringDenied),
    /// A shard's thread panicked while it built its engine.
    Engine,
    /// Threads or descriptors ran out.
    Resources(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shards { shards } => write!(
                formatter,
                "{shards} shards cannot be started; ask for 1 to {}",
                limits::SHARDS_MAX
            ),
            Self::Placement(error) => error.fmt(formatter),
            Self::Cores(error) => write!(
                formatter,
                "the cores of this machine could not be read ({error}); start without pinning"
            ),
            Self::Pin { core, error } => write!(
                formatter,
                "a shard could not be pinned to core {core} ({error}); start without pinning"
            ),
            Self::Bind {
                transport,
                address,
                error,
            } => {
                let transport = match transport {
                    Transport::Udp => "udp",
                    Transport::Tcp => "tcp",
                    Transport::Tls => "tls",
                };
                write!(formatter, "cannot listen on {transport}:{address}: ")?;
                write_bind_cure(formatter, *address, error)
            }
            Self::Uring(denied) => {
                write!(formatter, "{denied}; or take the epoll driver")
            }
            Self::Engine => formatter.write_str(
                "a shard panicked while it started; its message is in the log, please report it",
            ),
            Self::Resources(error) => write!(
                formatter,
                "threads or file descriptors could not be had ({error}); raise `ulimit -n` and \
                 `ulimit -u`"
            ),
        }
    }
}

fn write_bind_cure(
    formatter: &mut fmt::Formatter<'_>,
    address: SocketAddr,
    error: &io::Error,
) -> fmt::Result {
    let port = address.port();
    let ip = address.ip();
    let cure = match error.raw_os_error() {
        Some(libc::EADDRINUSE) => format!(
            "the address is in use; stop the program that holds it (`ss -lntup 'sport = {port}'` \
             shows it) or choose another port"
        ),
        Some(libc::EADDRNOTAVAIL) => format!(
            "this machine has no address {ip}; `ip address` lists those it has, and 0.0.0.0 \
             means all of them"
        ),
        Some(libc::EACCES) => format!(
            "port {port} needs a privilege; take a port above 1023 or grant CAP_NET_BIND_SERVICE"
        ),
        Some(libc::EAFNOSUPPORT) => {
            format!("this machine does not speak the protocol of {ip}; take an IPv4 address")
        }
        Some(libc::EMFILE | libc::ENFILE) => {
            "no file descriptor is left; raise `ulimit -n`".to_owned()
        }
        Some(_) | None => error.to_string(),
    };
    formatter.write_str(&cure)
}

impl std::error::Error for StartError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_is_one_line_with_its_cure() {
        let denials = [
            (UringDenied::Memlock { bytes: 65_536 }, "LimitMEMLOCK"),
            (UringDenied::Disabled { level: 2 }, "sysctl"),
            (UringDenied::Forbidden, "seccomp"),
            (UringDenied::Missing, "5.15"),
            (
                UringDenied::Refused {
                    errno: libc::ENOMEM,
                },
                "memory",
            ),
        ];
        for (denied, cure) in denials {
            let text = denied.to_string();
            assert!(text.contains(cure) && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn a_taken_address_names_itself_and_the_command_that_shows_who_has_it() {
        let error = StartError::Bind {
            transport: Transport::Udp,
            address: "127.0.0.1:5060".parse().unwrap(),
            error: io::Error::from_raw_os_error(libc::EADDRINUSE),
        };
        let text = error.to_string();
        assert!(text.contains("udp:127.0.0.1:5060"), "{text}");
        assert!(text.contains("ss -lntup 'sport = 5060'"), "{text}");
    }
}
