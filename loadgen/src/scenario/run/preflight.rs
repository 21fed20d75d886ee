//! What the machine must offer before a run may start: descriptors, buffers, and somebody at the
//! other end. What is missing is said with its cure.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use offhook_shards::Transport;

use super::super::options::Play;
use super::super::settings::Settings;

/// Kernel buffers below this lose datagrams at high rates.
const BUFFER_BYTES_WANTED: u64 = 1 << 20;
/// Descriptors that every run needs beside its sockets.
const DESCRIPTORS_BESIDE: u64 = 64;
/// How long a peer may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn check(play: &Play, settings: &Settings) -> Result<(), String> {
    check_descriptors(settings)?;
    if settings.transport == Transport::Udp {
        warn_of_small_buffers();
    }
    if play.load.unchecked {
        return Ok(());
    }
    settings
        .remote
        .map_or(Ok(()), |remote| check_peer(remote, settings.transport))
}

/// Sockets of all workers, and the calls' own connections.
fn check_descriptors(settings: &Settings) -> Result<(), String> {
    let Ok(text) = std::fs::read_to_string("/proc/self/limits") else {
        return Ok(());
    };
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    let each = match settings.transport {
        Transport::Udp => 1,
        // A listener, and a connection to the peer.
        Transport::Tcp | Transport::Tls => 3,
    };
    let needed = settings.locals.len() as u64 * each + DESCRIPTORS_BESIDE;
    match soft {
        Some(soft) if soft < needed => Err(format!(
            "offhook-load: {needed} file descriptors are needed and {soft} are allowed: ulimit -n \
             {needed}"
        )),
        Some(_) | None => Ok(()),
    }
}

fn warn_of_small_buffers() {
    let path = "/proc/sys/net/core/rmem_max";
    let granted = std::fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let bytes: u64 = granted.unwrap_or(BUFFER_BYTES_WANTED);
    if bytes < BUFFER_BYTES_WANTED {
        super::say(&format!(
            "offhook-load: the kernel grants sockets only {bytes} bytes of buffer; at high rates \
             it loses datagrams. Allow more: sysctl net.core.rmem_max=4194304"
        ));
    }
}

/// Whether somebody is there. Nothing is sent: over UDP, and only on this machine, the kernel
/// knows its own sockets; over TCP a connection is opened and closed.
fn check_peer(remote: SocketAddr, transport: Transport) -> Result<(), String> {
    let cure = "start it first, or say --unchecked";
    match transport {
        Transport::Udp => {
            let is_here = remote.ip().is_loopback();
            if is_here && udp_listeners().is_some_and(|all| !is_among(remote, &all)) {
                return Err(format!(
                    "offhook-load: nobody listens on {remote} over UDP; {cure}"
                ));
            }
            Ok(())
        }
        Transport::Tcp | Transport::Tls => {
            match TcpStream::connect_timeout(&remote, CONNECT_PATIENCE) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!(
                    "offhook-load: {remote} cannot be reached over TCP ({error}); {cure}"
                )),
            }
        }
    }
}

/// Addresses of all UDP sockets of this machine; `None` where the kernel does not tell.
fn udp_listeners() -> Option<Vec<SocketAddr>> {
    let all = crate::measure::udp_sockets();
    (!all.is_empty()).then_some(all)
}

fn is_among(remote: SocketAddr, all: &[SocketAddr]) -> bool {
    let answers = |local: &SocketAddr| {
        let ip = match local.ip() {
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4),
            ip @ IpAddr::V4(_) => ip,
        };
        local.port() == remote.port() && (ip == remote.ip() || ip.is_unspecified())
    };
    all.iter().any(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_not_there_is_named_with_the_cure() {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = peer.local_addr().expect("it has an address");
        assert_eq!(check_peer(address, Transport::Udp), Ok(()));
        for transport in [Transport::Udp, Transport::Tcp] {
            let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
            let fault = check_peer(nobody, transport).expect_err("port 1 is nobody's");
            assert!(
                fault.contains("--unchecked") && fault.contains("127.0.0.1:1"),
                "{fault}"
            );
        }
    }

    #[test]
    fn a_socket_of_all_addresses_answers_for_each() {
        let all = ["0.0.0.0:7", "[::]:8", "127.0.0.2:9"].map(|text| text.parse().unwrap());
        for (remote, expected) in [
            ("127.0.0.1:7", true),
            ("127.0.0.1:8", true),
            ("127.0.0.1:9", false),
            ("127.0.0.2:9", true),
            ("127.0.0.1:10", false),
        ] {
            assert_eq!(
                is_among(remote.parse().unwrap(), &all),
                expected,
                "{remote}"
            );
        }
    }
}
