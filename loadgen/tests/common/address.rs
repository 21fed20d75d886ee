//! Addresses for tests that start programs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// A loopback address that is free for UDP and TCP.
pub(crate) fn free_address() -> SocketAddr {
    for _ in 0..100 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = udp.local_addr().expect("a bound socket has an address");
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of loopback is free for both UDP and TCP");
}
