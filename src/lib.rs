//! Offhook: a SIP application server for contact centers.
//!
//! The map, bottom up: [`sip`] turns bytes into messages and back, [`transaction`] keeps the
//! promises of RFC 3261 §17, [`dialog`] hides SIP behind call control. On it stand [`trunk`],
//! [`presence`], [`agent`], [`call`] and [`queue`], which speak [`cti`]; [`engine`] is one shard's
//! worth of all of them. Everything so far is pure: bytes, time and randomness come in as
//! arguments, bytes and values come out. [`server`] is the one place with sockets, threads and
//! clocks.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::wildcard_enum_match_arm,
        reason = "tests need an instant to count from and look at few events of many; the library \
                  itself is checked without them"
    )
)]

// The crowd of the bench names the library as everybody outside does.
#[cfg(test)]
extern crate self as offhook;

pub mod agent;
pub mod allowance;
mod burst_queue;
pub mod call;
pub mod config;
pub mod counters;
pub mod cti;
pub mod dialog;
pub mod dns;
pub mod engine;
mod few;
mod jitter;
pub mod journal;
pub mod limits;
mod paged;
pub mod presence;
pub mod queue;
mod seldom;
pub mod server;
pub mod session;
pub mod sip;
mod spare;
mod texts;
pub mod transaction;
pub mod trunk;
pub mod wall;
