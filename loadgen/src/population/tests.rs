//! The population against itself: callers dial the phones of a PBX directly, and a small watcher
//! subscribes to them, over a network in virtual time.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks at few facts of many"
)]

mod calls;
mod chaos;
mod network;
mod presence;
mod talk;
