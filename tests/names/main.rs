//! Names in place of addresses, with the real server and a name server of our own on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod name_server;
mod server;
