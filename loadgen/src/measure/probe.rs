//! What the kernel knows about the generator: dropped datagrams of its sockets and of its peer's,
//! and what its threads have used of their cores. Read at the beginning and at the end; the
//! difference counts.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::health::WorkerLoad;

/// The kernel's counts at one moment.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    own: BTreeMap<SocketAddr, u64>,
    peer: u64,
    machine: Option<u64>,
    threads: Vec<(u32, WorkerLoad)>,
}

/// Datagrams that the kernel dropped for want of buffer between two moments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    /// At our own sockets.
    pub own: u64,
    /// At the peer's; none are known of a peer on another machine.
    pub peer: u64,
    /// Anywhere on this machine.
    pub machine: u64,
}

impl Probe {
    /// Reads the counts of these sockets, of the peer's and of these threads.
    #[must_use]
    pub fn read(sockets: &[SocketAddr], peer: Option<SocketAddr>, threads: &[u32]) -> Self {
        let mut own = BTreeMap::new();
        let mut at_peer = 0;
        for path in ["/proc/net/udp", "/proc/net/udp6"] {
            // A kernel that does not tell: then only the machine's count is known.
            let text = std::fs::read_to_string(path).unwrap_or_default();
            for (address, drops) in socket_drops(&text) {
                if sockets.contains(&address) {
                    *own.entry(address).or_default() += drops;
                } else if peer.is_some_and(|peer| hears(address, peer)) {
                    at_peer += drops;
                }
            }
        }
        let load = |thread: &u32| Some((*thread, thread_load(*thread)?));
        Self {
            own,
            peer: at_peer,
            machine: machine_drops(),
            threads: threads.iter().filter_map(load).collect(),
        }
    }

    /// Datagrams dropped since an earlier moment.
    #[must_use]
    pub fn drops_since(&self, before: &Self) -> Drops {
        let own = self.own.iter().map(|(address, drops)| {
            drops.saturating_sub(before.own.get(address).copied().unwrap_or(0))
        });
        let machine = self.machine.zip(before.machine);
        Drops {
            own: own.sum(),
            peer: self.peer.saturating_sub(before.peer),
            machine: machine.map_or(0, |(after, before)| after.saturating_sub(before)),
        }
    }

    /// What each thread has used since an earlier moment, in the order of the threads.
    #[must_use]
    pub fn load_since(&self, before: &Self) -> Vec<WorkerLoad> {
        let since = |(thread, load): &(u32, WorkerLoad)| {
            let earlier = before.threads.iter().find(|(known, _)| known == thread);
            let earlier = earlier.map(|(_, load)| *load).unwrap_or_default();
            WorkerLoad {
                busy: load.busy.saturating_sub(earlier.busy),
                waited: load.waited.saturating_sub(earlier.waited),
            }
        };
        self.threads.iter().map(since).collect()
    }
}

/// Whether a socket of this machine gets what is sent to an address.
#[must_use]
pub fn hears(socket: SocketAddr, address: SocketAddr) -> bool {
    let ip = socket.ip().to_canonical();
    let is_here = address.ip().is_loopback() && ip.is_unspecified();
    socket.port() == address.port() && (ip == address.ip().to_canonical() || is_here)
}

/// The number by which [`Probe::read`] finds the calling thread; `None` where the kernel does not
/// tell.
#[must_use]
pub fn worker_thread() -> Option<u32> {
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    link.file_name()?.to_str()?.parse().ok()
}

/// Addresses of all UDP sockets of this machine; `None` where the kernel does not tell.
#[must_use]
pub fn udp_sockets() -> Option<Vec<SocketAddr>> {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(std::fs::read_to_string);
    told(tables, |table| {
        socket_drops(table).map(|(address, _)| address).collect()
    })
}

/// Addresses on which connections are accepted on this machine; `None` where the kernel does not
/// tell.
#[must_use]
pub fn tcp_listeners() -> Option<Vec<SocketAddr>> {
    const LISTENS: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    told(tables, |table| {
        let listener = |line: &str| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let local = words.next()?;
            let state = words.nth(1)?;
            (state == LISTENS).then(|| socket_address(local)).flatten()
        };
        table.lines().skip(1).filter_map(listener).collect()
    })
}

/// What stands in those of the kernel's tables that can be read; nothing where none can be. A table
/// without a row says that there is no socket.
fn told(
    tables: [io::Result<String>; 2],
    read: impl Fn(&str) -> Vec<SocketAddr>,
) -> Option<Vec<SocketAddr>> {
    let told = tables.into_iter().filter_map(Result::ok);
    let rows: Vec<_> = told.map(|table| read(&table)).collect();
    (!rows.is_empty()).then(|| rows.concat())
}

/// Time on a core and time spent waiting for one, in nanoseconds.
fn thread_load(thread: u32) -> Option<WorkerLoad> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    let mut words = text.split_ascii_whitespace();
    let mut nanos = || Some(Duration::from_nanos(words.next()?.parse().ok()?));
    Some(WorkerLoad {
        busy: nanos()?,
        waited: nanos()?,
    })
}

/// UDP datagrams that the kernel has dropped for want of buffer since it started.
fn machine_drops() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/net/snmp").ok()?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let column = names.split(' ').position(|name| name == "RcvbufErrors")?;
    values.split(' ').nth(column)?.parse().ok()
}

/// Local address and dropped datagrams of each socket in `/proc/net/udp`.
fn socket_drops(text: &str) -> impl Iterator<Item = (SocketAddr, u64)> {
    text.lines().skip(1).filter_map(|line| {
        let address = line.split_ascii_whitespace().nth(1)?;
        let drops = line.split_ascii_whitespace().next_back()?.parse().ok()?;
        Some((socket_address(address)?, drops))
    })
}

/// `0100007F:13C4`: words of four bytes as this machine stores them.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for start in (0..ip.len()).step_by(8) {
        let word = u32::from_str_radix(ip.get(start..start + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_by_their_addresses() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
            uid  timeout inode ref pointer drops\n\
            2056: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0      \
            0 17 2 0000000000000000 42\nbroken\n";
        let found: Vec<(SocketAddr, u64)> = socket_drops(text).collect();
        if cfg!(target_endian = "little") {
            assert_eq!(found, [("127.0.0.1:5060".parse().unwrap(), 42)]);
        }
        assert_eq!(socket_address("xyz"), None);
    }

    #[test]
    fn a_table_without_a_row_says_that_there_is_no_socket() {
        let read = |table: &str| socket_drops(table).map(|(address, _)| address).collect();
        let missing = || Err(io::ErrorKind::NotFound.into());
        assert_eq!(
            told([Ok("  sl  local_address\n".to_owned()), missing()], read),
            Some(Vec::new())
        );
        assert_eq!(told([missing(), missing()], read), None);
    }

    #[test]
    fn drops_and_work_of_this_very_process_are_seen() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let thread = worker_thread().expect("Linux has it");
        let read = || Probe::read(&[address], None, &[thread]);
        let as_peer = || Probe::read(&[], Some(address), &[]);
        let (before, peer_before) = (read(), as_peer());
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // Nobody reads: sooner or later the buffer is full.
        for _ in 0..20_000 {
            sender.send_to(&[0; 1_000], address).unwrap();
        }
        let after = read();
        let drops = after.drops_since(&before);
        assert!(drops.own > 0 && drops.machine >= drops.own, "{drops:?}");
        assert_eq!(drops.peer, 0);
        let at_peer = as_peer().drops_since(&peer_before);
        assert_eq!((at_peer.own, at_peer.peer), (0, drops.own));
        assert!(after.load_since(&before)[0].busy > Duration::ZERO);
        assert_eq!(before.drops_since(&after).own, 0);
    }

    #[test]
    fn a_socket_of_all_addresses_hears_each_of_this_machine() {
        let all = ["0.0.0.0:7", "[::]:8", "127.0.0.2:9"].map(|text| text.parse().unwrap());
        for (remote, expected) in [
            ("127.0.0.1:7", true),
            ("192.0.2.1:7", false),
            ("127.0.0.1:8", true),
            ("[::1]:8", true),
            ("127.0.0.1:9", false),
            ("127.0.0.2:9", true),
            ("127.0.0.1:10", false),
        ] {
            let remote = remote.parse().unwrap();
            let found = all.iter().any(|socket| hears(*socket, remote));
            assert_eq!(found, expected, "{remote}");
        }
    }
}
