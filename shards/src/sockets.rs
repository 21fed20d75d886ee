//! Opens the sockets of all shards before any shard runs, so that a refusal is the starter's to
//! report. Decides how an address is shared between shards; what is done with the sockets is
//! `udp.rs` and the drivers.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::thread;
use std::time::Instant;

use crate::clock::Clock;
use crate::engine::Transport;
use crate::limits;
use crate::options::{Options, StartError};
use crate::sys;

/// Connections that the kernel completes before we accept them.
const BACKLOG: i32 = 1_024;

/// A socket and the address it is bound to.
pub(crate) struct Listener {
    pub(crate) transport: Transport,
    pub(crate) socket: Socket,
    pub(crate) local: SocketAddr,
}

/// One shard's sockets. They are in blocking mode: io_uring waits only on those.
#[derive(Default)]
pub(crate) struct ShardSockets {
    pub(crate) udp: Vec<Listener>,
    /// With TLS and without.
    pub(crate) streams: Vec<Listener>,
}

/// All shards' sockets, and the addresses with the ports really bound.
pub(crate) struct Bound {
    pub(crate) udp: Vec<SocketAddr>,
    pub(crate) tcp: Vec<SocketAddr>,
    pub(crate) tls: Vec<SocketAddr>,
    pub(crate) shards: Vec<ShardSockets>,
}

pub(crate) fn bind(options: &Options) -> Result<Bound, StartError> {
    let until = Clock.now() + limits::BIND_PATIENCE;
    let shards = (0..options.shards)
        .map(|_| ShardSockets::default())
        .collect();
    let mut bound = Bound {
        udp: Vec::new(),
        tcp: Vec::new(),
        tls: Vec::new(),
        shards,
    };
    let udp = options.udp.iter().map(|&address| (Transport::Udp, address));
    let tcp = options.tcp.iter().map(|&address| (Transport::Tcp, address));
    let tls = options.tls.iter().map(|&address| (Transport::Tls, address));
    // Datagrams last: while an address is waited for, nobody would read what comes to the others.
    for (transport, address) in tcp.chain(tls).chain(udp) {
        let group = bind_group(transport, address, options, until);
        let group = group.map_err(|error| StartError::Bind {
            transport,
            address,
            error,
        })?;
        match transport {
            Transport::Udp => bound.udp.push(group[0].local),
            Transport::Tcp => bound.tcp.push(group[0].local),
            Transport::Tls => bound.tls.push(group[0].local),
        }
        for (shard, listener) in bound.shards.iter_mut().zip(group) {
            match transport {
                Transport::Udp => {
                    // Best effort as well: without them all works the same.
                    if options.joins_datagrams {
                        let _ = sys::accept_joined(listener.socket.as_fd());
                    }
                    if options.has_stamps() {
                        let _ = sys::stamp_arrivals(listener.socket.as_fd());
                    }
                    shard.udp.push(listener);
                }
                Transport::Tcp | Transport::Tls => shard.streams.push(listener),
            }
        }
    }
    Ok(bound)
}

/// Binds one socket a shard to the same address. The first is bound alone and shared afterwards:
/// an address that another process (a second instance, say) shares with everybody is then still
/// refused as taken, and a port chosen by the kernel is really free.
fn bind_group(
    transport: Transport,
    address: SocketAddr,
    options: &Options,
    until: Instant,
) -> io::Result<Vec<Listener>> {
    let (shards, bytes) = (options.shards, options.socket_buffer_bytes);
    let first = open(transport, address, bytes)?;
    bind_when_free(&first, address, until)?;
    let local = first
        .local_addr()?
        .as_socket()
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut group = vec![Listener {
        transport,
        socket: first,
        local,
    }];
    if shards > 1 {
        group[0].socket.set_reuse_port(true)?;
    }
    for _ in 1..shards {
        let socket = open(transport, address, bytes)?;
        socket.set_reuse_port(true)?;
        socket.bind(&local.into())?;
        group.push(Listener {
            transport,
            socket,
            local,
        });
    }
    match transport {
        Transport::Udp if shards > 1 => sys::spread_over_group(group[0].socket.as_fd(), shards)?,
        Transport::Udp => {}
        Transport::Tcp | Transport::Tls => {
            for listener in &group {
                listener.socket.listen(BACKLOG)?;
            }
        }
    }
    Ok(group)
}

/// Binds the socket, if need be as soon as the address is free. The kernel takes down the rings of
/// a process after its end, and what they listened on until then: a server that is started right
/// after another was killed finds its own addresses taken for a moment. Nothing runs yet that the
/// wait could hold up.
fn bind_when_free(socket: &Socket, address: SocketAddr, until: Instant) -> io::Result<()> {
    loop {
        match socket.bind(&address.into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Clock.now() < until => {
                thread::sleep(limits::BIND_PAUSE);
            }
            other => return other,
        }
    }
}

fn open(transport: Transport, address: SocketAddr, buffer_bytes: usize) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = match transport {
        Transport::Udp => Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
        Transport::Tcp | Transport::Tls => Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?,
    };
    if address.is_ipv6() {
        // So that 0.0.0.0 and [::] can be listened on together.
        socket.set_only_v6(true)?;
    }
    match transport {
        Transport::Udp => {
            // Best effort: the kernel grants at most net.core.rmem_max and wmem_max.
            let _ = socket.set_recv_buffer_size(buffer_bytes);
            let _ = socket.set_send_buffer_size(buffer_bytes);
        }
        // Connections of an earlier run that linger do not keep the port.
        Transport::Tcp | Transport::Tls => socket.set_reuse_address(true)?,
    }
    Ok(socket)
}

/// Begins to connect; the socket is non-blocking and writable, or failed, once that is decided.
pub(crate) fn connect(remote: SocketAddr, local: Option<SocketAddr>) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(remote),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(mut local) = local.filter(|local| local.is_ipv4() == remote.is_ipv4()) {
        local.set_port(0);
        socket.bind(&local.into())?;
    }
    match socket.connect(&remote.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
        other => other.map(|()| socket),
    }
}

/// Whether there was no socket for want of descriptors or of local ports.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    matches!(
        code,
        Some(libc::EMFILE | libc::ENFILE | libc::EADDRNOTAVAIL)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn group_of(
        transport: Transport,
        address: SocketAddr,
        shards: u16,
    ) -> io::Result<Vec<Listener>> {
        let options = Options {
            shards,
            socket_buffer_bytes: 65_536,
            ..Options::default()
        };
        bind_group(transport, address, &options, Clock.now())
    }

    #[test]
    fn datagram_sockets_get_the_buffers_that_are_asked_for() {
        for listener in group_of(Transport::Udp, loopback(), 2).unwrap() {
            // The kernel counts its own records as well, and doubles what is asked for.
            assert_eq!(listener.socket.recv_buffer_size().unwrap(), 2 * 65_536);
            assert_eq!(listener.socket.send_buffer_size().unwrap(), 2 * 65_536);
        }
    }

    #[test]
    fn all_shards_share_the_port_that_the_kernel_chose() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let group = group_of(transport, loopback(), 3).unwrap();
            assert_eq!(group.len(), 3);
            assert_ne!(group[0].local.port(), 0);
            for listener in &group {
                let local = listener.socket.local_addr().unwrap().as_socket();
                assert_eq!(local, Some(group[0].local));
            }
        }
    }

    #[test]
    fn an_address_shared_by_somebody_else_is_still_taken() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let group = group_of(transport, loopback(), 2).unwrap();
            for shards in [1, 2] {
                let error = group_of(transport, group[0].local, shards).err().unwrap();
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            }
        }
    }

    #[test]
    fn an_address_that_is_given_up_meanwhile_is_bound() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let group = group_of(transport, loopback(), 2).unwrap();
            let address = group[0].local;
            let owner = thread::spawn(move || {
                thread::sleep(5 * limits::BIND_PAUSE);
                drop(group);
            });
            let (udp, tcp) = match transport {
                Transport::Udp => (vec![address], Vec::new()),
                Transport::Tcp | Transport::Tls => (Vec::new(), vec![address]),
            };
            let options = Options {
                udp,
                tcp,
                ..Options::default()
            };
            assert!(bind(&options).is_ok(), "{transport:?}");
            owner.join().unwrap();
        }
    }

    #[test]
    fn datagrams_of_one_peer_spread_over_the_group() {
        let group = group_of(Transport::Udp, loopback(), 2).unwrap();
        let peer = std::net::UdpSocket::bind(loopback()).unwrap();
        for _ in 0..200 {
            peer.send_to(b"x", group[0].local).unwrap();
        }
        let mut batch = sys::ReceiveBatch::new(false);
        for listener in &group {
            // 200 fair coins never all fall on one side.
            assert!(batch.receive(listener.socket.as_fd()).unwrap() > 0);
        }
    }
}
