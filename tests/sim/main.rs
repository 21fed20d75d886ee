//! The whole server in virtual time: engines, a PBX with phones, callers, and a network that
//! loses, doubles and delays. Every run has a seed and prints it when it fails.
//!
//! `cargo test --test sim` runs the directed cases and 500 random seeds; `SEED=7` replays one,
//! `SEEDS=10000` runs many (docs/TESTING.md).

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a checker looks at few events"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    unreachable_pub,
    reason = "modules of one test target, seen by nobody else"
)]

mod apart;
mod breaks;
mod calls;
mod carry;
mod checkers;
mod cluster;
mod consultations;
mod control;
mod crash;
mod crossings;
mod descriptions;
mod desktops;
mod digits;
mod events;
mod features;
mod floor;
mod flows;
mod hands;
mod host;
mod invariants;
mod joined;
mod ladder;
mod misuse;
mod moments;
mod names;
mod network;
mod order;
mod outage;
mod overload;
mod pick_up;
mod presence;
mod profile;
mod queues;
mod races;
mod random;
mod recall;
mod resubscribed;
mod routers;
mod runs;
#[path = "../cti/schema.rs"]
mod schema;
mod setup;
mod sleep;
mod strangers;
mod swallowed;
mod ties;
mod topology;
mod trace;
mod transfers;
mod turmoil;
mod waits;
mod weather;
mod wire;
mod world;
