//! The CTI interface from outside: real shards with a scripted engine, a real WebSocket on
//! loopback, and every frame held against the public schema.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod calls;
mod command_line;
mod http;
mod schema;
mod script;
mod trunk;
mod websocket;
