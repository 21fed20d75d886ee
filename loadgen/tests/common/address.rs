//! Addresses for tests that start programs.

use std::net::SocketAddr;

/// A loopback address that is free for UDP and TCP.
pub(crate) fn free_address() -> SocketAddr {
    offhook_loadgen::process::free_address().expect("loopback has many ports")
}
