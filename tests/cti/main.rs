//! The CTI interface from outside: real shards with a scripted engine, a real WebSocket on
//! loopback, and every frame held against the public schema.
#![expect(clippy::disallowed_methods, reason = "these tests run in real time")]

mod command_line;
mod http;
mod schema;
mod script;
mod websocket;
