//! Trunks: the choice among peers, and when a peer is out of service and back, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    unreachable_pub,
    reason = "modules of one test target, seen by nobody else"
)]

mod choice;
mod failures;
mod lab;
mod pings;
