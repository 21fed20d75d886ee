//! Addresses for programs that are started here.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// The ports given out: below those that the kernel picks for outgoing connections (32,768 and
/// up), which would otherwise take one between our look at it and the program's bind.
const FIRST: u16 = 20_000;
const PORTS: u16 = 12_000;
/// How far apart: a program may take the ports behind its own too, as baresip does for TLS and SIPp
/// for media.
const STRIDE: u16 = 8;

/// Ports given out by this process, so that two programs never get the same one.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A loopback address that is free for UDP and TCP.
///
/// # Errors
/// That there is none.
pub fn free_address() -> Result<SocketAddr, String> {
    // Processes that run side by side begin at places of their own.
    let begin = std::process::id() % u32::from(PORTS);
    for _ in 0..1_000 {
        let place = begin + u32::from(GIVEN.fetch_add(STRIDE, Ordering::Relaxed));
        let port = FIRST + u16::try_from(place % u32::from(PORTS)).expect("less than PORTS");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no port of loopback is free for both UDP and TCP".to_owned())
}
