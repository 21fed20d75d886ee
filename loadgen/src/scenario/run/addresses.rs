//! Our own addresses: as the options say, or free ones.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use super::super::model::Side;
use super::super::options::{Play, PortRange};
use super::EXIT_BIND;
use super::prepare::Refusal;

/// The port of SIP.
pub(super) const SIP_PORT: u16 = 5_060;

/// All our addresses: every port of every IP address. A client's workers need one each.
pub(super) fn locals(
    play: &Play,
    side: Side,
    remote: Option<SocketAddr>,
    workers: usize,
) -> Result<Vec<SocketAddr>, Refusal> {
    let ips = match &play.local_ip {
        Some(range) => range.0.clone(),
        None => vec![own_ip(remote)?],
    };
    let wanted = match side {
        Side::Client if play.transport == "un" => workers.max(play.ports()),
        Side::Client => workers,
        Side::Server => 1,
    };
    let mut locals = Vec::new();
    match (play.local_port, side) {
        (Some(ports), _) if ports.first > 0 => {
            // A single port with several workers is the first of as many.
            let more = wanted.saturating_sub(ips.len()).min(usize::from(u16::MAX));
            let last = if ports.first == ports.last {
                ports.last.saturating_add(u16::try_from(more).unwrap_or(0))
            } else {
                ports.last
            };
            let ports = PortRange { last, ..ports };
            for port in ports.all() {
                locals.extend(ips.iter().map(|ip| SocketAddr::new(*ip, port)));
            }
        }
        (None, Side::Server) => {
            locals.extend(ips.iter().map(|ip| SocketAddr::new(*ip, SIP_PORT)));
        }
        (Some(_), _) | (None, Side::Client) => {
            for place in 0..wanted.max(ips.len()) {
                let ip = ips[place % ips.len()];
                let port = free_port(ip, &locals)?;
                locals.push(SocketAddr::new(ip, port));
            }
        }
    }
    if locals.len() < wanted {
        return Err(format!(
            "offhook-load: {wanted} workers need {wanted} addresses and there are {}: give more \
             with -i or -p, such as -p 6000-{}",
            locals.len(),
            6_000 + wanted - 1
        )
        .into());
    }
    Ok(locals)
}

/// The address from which the peer is reached; nothing is sent to find out.
fn own_ip(remote: Option<SocketAddr>) -> Result<IpAddr, String> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Some(remote) = remote else {
        return Ok(loopback);
    };
    let any: SocketAddr = if remote.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let ask = || {
        let socket = UdpSocket::bind(any)?;
        socket.connect(remote)?;
        socket.local_addr()
    };
    ask()
        .map(|local| local.ip())
        .map_err(|error| format!("offhook-load: {remote} cannot be reached: {error}"))
}

fn free_port(ip: IpAddr, taken: &[SocketAddr]) -> Result<u16, Refusal> {
    const ATTEMPTS_MAX: u32 = 100;
    let cannot = |error: std::io::Error| Refusal {
        status: EXIT_BIND,
        words: format!("offhook-load: no port of {ip} can be had: {error}"),
    };
    for _ in 0..ATTEMPTS_MAX {
        let udp = UdpSocket::bind((ip, 0)).map_err(cannot)?;
        let address = udp.local_addr().map_err(cannot)?;
        if !taken.contains(&address) && TcpListener::bind(address).is_ok() {
            return Ok(address.port());
        }
    }
    Err(Refusal {
        status: EXIT_BIND,
        words: format!("offhook-load: no port of {ip} is free for both UDP and TCP"),
    })
}
