//! A simulated party: bytes in, bytes out, at addresses of its own. It knows no socket and no
//! clock, so that the same parties play in the simulator's virtual time and on real sockets.

use std::net::SocketAddr;
use std::time::Instant;

/// Where a datagram goes, and from which of the party's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// The party's own address.
    pub from: SocketAddr,
    /// The peer's address.
    pub to: SocketAddr,
}

/// One party. After every `handle_*` drain `poll_transmit`, then wait until `poll_timeout`.
pub trait Node {
    /// A datagram arrived at `to`, which is one of the party's addresses.
    fn handle_datagram(&mut self, now: Instant, to: SocketAddr, from: SocketAddr, bytes: &[u8]);

    /// The time that `poll_timeout` named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Appends one datagram's bytes to `buffer`.
    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Packet>;

    /// When to call `handle_timeout`.
    fn poll_timeout(&self) -> Option<Instant>;
}
