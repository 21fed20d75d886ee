//! Where messages go: requests by RFC 3261 §18.1.1, responses by §18.2.2 and RFC 3581.

use std::net::SocketAddr;

use offhook_shards::{Source, Transmit, Transport};

use crate::limits::UDP_REQUEST_BYTES_MAX;
use crate::sip::Via;

/// Where a request goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// By what.
    pub transport: Transport,
    /// To whom.
    pub address: SocketAddr,
    /// The peer's TCP address, when it has one: requests over 1,300 bytes go there (RFC 3261
    /// §18.1.1).
    pub large_requests: Option<SocketAddr>,
    /// Whether requests ask to hear of its overload (RFC 7339).
    pub overload_control: bool,
}

/// By what and to whom a request of that size goes: over 1,300 bytes by TCP where the peer has it
/// (RFC 3261 §18.1.1). Ask before the Via is written; both transports' names have the same length.
#[must_use]
pub fn transport_for(target: &Target, request_bytes: usize) -> (Transport, SocketAddr) {
    match (target.transport, target.large_requests) {
        (Transport::Udp, Some(address)) if request_bytes > UDP_REQUEST_BYTES_MAX => {
            (Transport::Tcp, address)
        }
        (Transport::Udp | Transport::Tcp | Transport::Tls, _) => (target.transport, target.address),
    }
}

/// Where a request goes that starts a client transaction, and its ACK.
pub(super) fn of_request(transport: Transport, remote: SocketAddr) -> Transmit {
    Transmit {
        transport,
        local: None,
        remote,
        connection: None,
    }
}

/// Where the responses to a request go: back on its connection if that is still open, else to the
/// address it came from, at the port that [`reply_port`] found. `maddr` is never obeyed: it would
/// let anyone aim our answers at anybody.
pub(super) fn of_response(source: Source, reply_port: u16) -> Transmit {
    Transmit {
        transport: source.transport,
        local: Some(source.local),
        remote: SocketAddr::new(source.remote.ip(), reply_port),
        connection: source.connection,
    }
}

/// The port that responses go to: where the request came from if it asks for that (RFC 3581 §4),
/// else the port of sent-by or its default (RFC 3261 §18.2.2).
pub(super) fn reply_port(source: Source, via: &Via<'_>) -> u16 {
    match source.transport {
        Transport::Udp if via.rport().is_some() => source.remote.port(),
        Transport::Udp | Transport::Tcp | Transport::Tls => via.sent_by_port(),
    }
}
