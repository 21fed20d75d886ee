//! Interop: the real server against real programs of others, SIPp, Kamailio, OpenSSL and baresip,
//! and against the example router, on loopback.
//!
//! `cargo interop` runs these tests and `cargo test --workspace` does not, because the programs
//! must be installed. A program that is missing fails the test and says what to install. Each test
//! leaves its files, with every SIP message that SIPp saw, in `interop/` of cargo's folder for
//! temporary files.
#![expect(
    clippy::disallowed_methods,
    reason = "programs of others run in real time, and the environment names the driver"
)]

#[path = "../../loadgen/tests/common/address.rs"]
mod address;
#[allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests/tls uses the rest of it"
)]
#[path = "../tls/authority.rs"]
mod authority;
mod baresip;
mod calls;
mod control;
mod directory;
mod floor;
mod http;
mod kamailio;
mod phones;
mod presence;
mod program;
mod router;
mod server;
mod sessions;
mod sipp;
mod tls;
mod trunks;
