//! What this host grants its programs, and what a server will miss of it. It looks and warns;
//! nothing here changes anything, and nobody is refused for it.

use std::fmt;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;

use crate::limits;
use crate::options::DriverChoice;
use crate::sys;

/// What is granted; `None` where the host does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// `net.core.rmem_max`: bytes that wait in a socket to be received.
    pub receive_buffer_bytes_max: Option<u64>,
    /// `net.core.wmem_max`: bytes that wait in a socket to be sent.
    pub send_buffer_bytes_max: Option<u64>,
    /// RLIMIT_MEMLOCK of this process.
    pub locked_bytes_max: Option<u64>,
    /// RLIMIT_NOFILE of this process.
    pub descriptors_max: Option<u64>,
    /// Whether sockets say how many datagrams were dropped at them (`SO_MEMINFO`).
    pub tells_drops: bool,
}

/// What the server would like to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// Whether io_uring is wanted.
    pub driver: DriverChoice,
    /// How many shards there will be, each with rings of its own.
    pub shards: u16,
    /// Sockets and files, when it is full.
    pub descriptors: u64,
}

/// One thing that the host grants too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostWarning {
    /// A burst of datagrams does not find room.
    ReceiveBuffer {
        /// What is granted.
        bytes: u64,
    },
    /// A burst of answers does not find room.
    SendBuffer {
        /// What is granted.
        bytes: u64,
    },
    /// io_uring is not to be had, or not for every shard.
    LockedMemory {
        /// What is granted.
        bytes: u64,
        /// What all shards together need.
        wanted: u64,
    },
    /// Connections will be refused before the limits are reached.
    Descriptors {
        /// What is granted.
        count: u64,
        /// What all limits together may need.
        wanted: u64,
    },
    /// What the kernel drops at full sockets is not counted.
    DropsUntold,
}

impl fmt::Display for HostWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buffer = limits::SOCKET_BUFFER_BYTES;
        match *self {
            Self::ReceiveBuffer { bytes } => write!(
                formatter,
                "datagrams will be lost in bursts: a socket may hold {bytes} bytes of {buffer}; \
                 sysctl net.core.rmem_max={buffer}"
            ),
            Self::SendBuffer { bytes } => write!(
                formatter,
                "answers will wait or be lost in bursts: a socket may hold {bytes} bytes of \
                 {buffer}; sysctl net.core.wmem_max={buffer}"
            ),
            Self::LockedMemory { bytes, wanted } => write!(
                formatter,
                "epoll may be taken for io_uring: {bytes} bytes may be locked of {wanted}; \
                 LimitMEMLOCK={wanted}, or ulimit -l {}",
                wanted >> 10
            ),
            Self::Descriptors { count, wanted } => write!(
                formatter,
                "connections may be refused early: {count} files may be open of {wanted}; \
                 LimitNOFILE={wanted}, or ulimit -n {wanted}"
            ),
            Self::DropsUntold => formatter.write_str(
                "shard_drop_receive_full will stay 0 whatever is dropped: sockets do not say it \
                 here (SO_MEMINFO); nstat -az UdpRcvbufErrors Udp6RcvbufErrors",
            ),
        }
    }
}

impl Host {
    /// Asks the host.
    #[must_use]
    pub fn read() -> Self {
        let number = |path| {
            let text = std::fs::read_to_string(path).ok()?;
            text.trim().parse().ok()
        };
        Self {
            receive_buffer_bytes_max: number("/proc/sys/net/core/rmem_max"),
            send_buffer_bytes_max: number("/proc/sys/net/core/wmem_max"),
            locked_bytes_max: sys::memlock_bytes().ok(),
            descriptors_max: sys::descriptors().ok(),
            tells_drops: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_or(true, |socket| {
                sys::dropped_datagrams(socket.as_fd()).is_some()
            }),
        }
    }

    /// Where it grants less than is wished for.
    #[must_use]
    pub fn warnings(self, wishes: Wishes) -> Vec<HostWarning> {
        let buffer = limits::SOCKET_BUFFER_BYTES as u64;
        let less = |granted: Option<u64>, wanted| granted.filter(|granted| *granted < wanted);
        let receive = less(self.receive_buffer_bytes_max, buffer);
        let send = less(self.send_buffer_bytes_max, buffer);
        let rings = match wishes.driver {
            DriverChoice::Auto | DriverChoice::Uring => {
                u64::from(wishes.shards) * limits::MEMLOCK_BYTES_MIN
            }
            DriverChoice::Epoll => 0,
        };
        let locked = less(self.locked_bytes_max, rings);
        let wanted = wishes.descriptors;
        let descriptors = less(self.descriptors_max, wanted);
        [
            receive.map(|bytes| HostWarning::ReceiveBuffer { bytes }),
            send.map(|bytes| HostWarning::SendBuffer { bytes }),
            locked.map(|bytes| HostWarning::LockedMemory {
                bytes,
                wanted: rings,
            }),
            descriptors.map(|count| HostWarning::Descriptors { count, wanted }),
            (!self.tells_drops).then_some(HostWarning::DropsUntold),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMPLE: Host = Host {
        receive_buffer_bytes_max: Some(u64::MAX),
        send_buffer_bytes_max: Some(u64::MAX),
        locked_bytes_max: Some(u64::MAX),
        descriptors_max: Some(u64::MAX),
        tells_drops: true,
    };
    const WISHES: Wishes = Wishes {
        driver: DriverChoice::Auto,
        shards: 4,
        descriptors: 1_000,
    };

    #[test]
    fn a_host_that_grants_enough_or_says_nothing_is_not_complained_of() {
        assert_eq!(AMPLE.warnings(WISHES), []);
        let silent = Host {
            receive_buffer_bytes_max: None,
            send_buffer_bytes_max: None,
            locked_bytes_max: None,
            descriptors_max: None,
            tells_drops: true,
        };
        assert_eq!(silent.warnings(WISHES), []);
    }

    #[test]
    fn each_shortage_is_named_with_its_cure() {
        let poor = Host {
            receive_buffer_bytes_max: Some(212_992),
            send_buffer_bytes_max: Some(212_992),
            locked_bytes_max: Some(64 << 10),
            descriptors_max: Some(999),
            tells_drops: false,
        };
        let warnings = poor.warnings(WISHES);
        let cures = [
            "rmem_max=",
            "wmem_max=",
            "LimitMEMLOCK=",
            "LimitNOFILE=1000",
            "nstat",
        ];
        assert_eq!(warnings.len(), cures.len());
        for (warning, cure) in warnings.iter().zip(cures) {
            assert!(warning.to_string().contains(cure), "{warning}");
        }
    }

    #[test]
    fn epoll_needs_no_locked_memory() {
        let host = Host {
            locked_bytes_max: Some(0),
            ..AMPLE
        };
        let wishes = Wishes {
            driver: DriverChoice::Epoll,
            ..WISHES
        };
        assert_eq!(host.warnings(wishes), []);
        assert_eq!(
            host.warnings(WISHES),
            [HostWarning::LockedMemory {
                bytes: 0,
                wanted: 2 << 20
            }]
        );
    }

    #[test]
    fn every_shard_needs_locked_memory_of_its_own() {
        // Enough for one, and for all but one.
        for bytes in [512 << 10, (2 << 20) - 1] {
            let host = Host {
                locked_bytes_max: Some(bytes),
                ..AMPLE
            };
            let wanted = 2 << 20;
            let warning = HostWarning::LockedMemory { bytes, wanted };
            assert_eq!(host.warnings(WISHES), [warning]);
            assert!(warning.to_string().ends_with("ulimit -l 2048"), "{warning}");
        }
        let host = Host {
            locked_bytes_max: Some(2 << 20),
            ..AMPLE
        };
        assert_eq!(host.warnings(WISHES), []);
    }
}
