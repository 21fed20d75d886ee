//! What the machine must offer before a run may start: descriptors, buffers, and somebody at the
//! other end. What is missing is said with its cure.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use offhook_shards::Transport;
use offhook_shards::limits::SOCKET_BUFFER_BYTES;

use super::super::options::Play;
use super::super::settings::Settings;
use crate::load::Plan;
use crate::measure;

/// Bytes of buffer that a socket needs at any rate.
const BUFFER_BYTES_MIN: u64 = 1 << 20;
/// What a message takes of the kernel's buffer, and how many come for a call.
const MESSAGE_BUFFER_BYTES: f64 = 2_304.0;
const MESSAGES_PER_CALL: f64 = 3.0;
/// How long a worker may be kept from its core before datagrams are lost.
const PAUSE: Duration = Duration::from_millis(50);
/// Descriptors that every run needs beside its sockets.
const DESCRIPTORS_BESIDE: u64 = 64;
/// How long a peer may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn check(play: &Play, settings: &Settings) -> Result<(), String> {
    check_descriptors(settings)?;
    if settings.transport == Transport::Udp {
        warn_of_small_buffers(settings);
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
    let own = settings.locals.len() as u64 * each + DESCRIPTORS_BESIDE;
    let needed = own + connections(settings);
    match soft {
        Some(soft) if soft < needed => Err(format!(
            "offhook-load: {needed} file descriptors are needed and {soft} are allowed: ulimit -n \
             {needed}"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Connections of calls that have one each: as many as there are calls at a time. How long a call
/// takes beyond its pauses nobody knows; a second is a good guess.
fn connections(settings: &Settings) -> u64 {
    if !settings.connects_each {
        return 0;
    }
    let load = &settings.load;
    let rate = highest_rate(settings);
    let at_a_time = (rate * (settings.pause.as_secs_f64() + 1.0)).ceil() as u64;
    let most = |limit: Option<usize>| limit.map_or(u64::MAX, |limit| limit as u64);
    at_a_time
        .min(load.calls_max.unwrap_or(u64::MAX))
        .min(most(load.limit))
        .min(settings.connections_max as u64)
}

fn warn_of_small_buffers(settings: &Settings) {
    let path = "/proc/sys/net/core/rmem_max";
    let granted = std::fs::read_to_string(path);
    let granted = granted.ok().and_then(|text| text.trim().parse().ok());
    let wanted = settings.socket_buffer_bytes as u64;
    let own = granted.map(|granted: u64| granted.min(wanted));
    let rate = highest_rate(settings) / settings.locals.len() as f64;
    if let Some(warning) = own.and_then(|granted| small_buffers(granted, rate)) {
        super::say(&warning);
    }
}

/// Calls a second, at the most, of all workers. What an operator sets by hand while it runs is not
/// known.
fn highest_rate(settings: &Settings) -> f64 {
    let load = &settings.load;
    let rate = match &load.plan {
        Some(Plan::Shaped { shape, .. }) => shape.highest(),
        // Moments from a file have no rate.
        Some(Plan::Listed(_)) => 0.0,
        None => load
            .growth
            .and_then(|growth| growth.rate_max)
            .unwrap_or(load.rate),
    };
    rate / load.period.as_secs_f64()
}

/// What there is to say about sockets that are granted so many bytes each, at calls a second.
fn small_buffers(granted: u64, rate: f64) -> Option<String> {
    let burst = rate * PAUSE.as_secs_f64() * MESSAGES_PER_CALL * MESSAGE_BUFFER_BYTES;
    let needed = (burst as u64).max(BUFFER_BYTES_MIN);
    if granted >= needed {
        return None;
    }
    let most = SOCKET_BUFFER_BYTES as u64;
    let cure = if granted < most {
        format!("allow more: sysctl net.core.rmem_max={most}")
    } else {
        "share the load: --workers N, each with a socket of its own".to_owned()
    };
    Some(format!(
        "offhook-load: a socket has {granted} bytes of buffer, and at this rate {needed} may come \
         while a worker waits for its core; then datagrams are lost; {cure}"
    ))
}

/// Whether somebody is there. Nothing is sent: over UDP and TLS, and only on this machine, the
/// kernel knows its own sockets; over TCP a connection is opened and closed.
pub(crate) fn check_peer(remote: SocketAddr, transport: Transport) -> Result<(), String> {
    let cure = "start it first, or say --unchecked";
    let (sockets, name) = match transport {
        Transport::Udp => (measure::udp_sockets(), "UDP"),
        // Whoever speaks TLS may be upset by a connection on which nothing comes.
        Transport::Tls => (measure::tcp_listeners(), "TCP"),
        Transport::Tcp => {
            return match TcpStream::connect_timeout(&remote, CONNECT_PATIENCE) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!(
                    "offhook-load: {remote} cannot be reached over TCP ({error}); {cure}"
                )),
            };
        }
    };
    let is_heard = |socket: &SocketAddr| measure::hears(*socket, remote);
    let is_here = remote.ip().is_loopback();
    if is_here && sockets.is_some_and(|sockets| !sockets.iter().any(is_heard)) {
        return Err(format!(
            "offhook-load: nobody listens on {remote} over {name}; {cure}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_not_there_is_named_with_the_cure() {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = peer.local_addr().expect("it has an address");
        assert_eq!(check_peer(address, Transport::Udp), Ok(()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("it has an address");
        assert_eq!(check_peer(address, Transport::Tls), Ok(()));
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
            let fault = check_peer(nobody, transport).expect_err("port 1 is nobody's");
            assert!(
                fault.contains("--unchecked") && fault.contains("127.0.0.1:1"),
                "{fault}"
            );
        }
    }

    #[test]
    fn descriptors_are_needed_for_the_highest_rate_of_a_plan() {
        let mut settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 5_060)));
        settings.connects_each = true;
        settings.load.rate = 10.0;
        assert_eq!(connections(&settings), 10);
        let shape = crate::load::Shape::steps(&[10.0, 300.0, 20.0], Duration::from_secs(1));
        let spacing = crate::load::Spacing::Even;
        settings.load.plan = Some(Plan::Shaped { shape, spacing });
        assert_eq!(connections(&settings), 300);
    }

    #[test]
    fn buffers_are_small_for_a_rate() {
        assert_eq!(small_buffers(1 << 20, 1_000.0), None);
        let said = |granted, rate| small_buffers(granted, rate).expect("it is too little");
        assert!(said(212_992, 10.0).contains("sysctl net.core.rmem_max=4194304"));
        assert!(said(1 << 20, 10_000.0).contains("sysctl"));
        assert!(said(4 << 20, 100_000.0).contains("--workers"));
    }
}
