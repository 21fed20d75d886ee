//! Plays PBX, phones and callers against Offhook, and measures from outside.
//!
//! [`population`] holds the parties, pure and in virtual time; the simulator of the server's tests
//! plays them as well. [`demo`] puts them on real sockets in front of a real server. [`scenario`]
//! plays SIPp's scenario files. Nothing here knows how the server works inside: it hears SIP, CTI
//! events, and its own clock.

pub mod cli;
pub mod demo;
pub mod floor;
pub mod node;
pub mod population;
pub mod scenario;
