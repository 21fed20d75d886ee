//! The CTI interface from outside: real shards with a scripted engine, a real WebSocket on
//! loopback, and every frame held against the public schema.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "these tests run in real time")]

mod command_line;
mod http;
mod schema;
mod script;
mod websocket;
