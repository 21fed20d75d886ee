//! SIP over TLS with the real server: who is talked to, by what certificate, and how that is
//! changed while it runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "peers of the server have threads of their own"
)]

mod authority;
mod http;
mod peers;
mod reload;
mod server;
