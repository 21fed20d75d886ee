//! Conformance to the RFCs beside RFC 3261: one file for each, one test for each promise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "the sections of RFC 3261 use the rest")]
#[path = "../rfc3261/calls.rs"]
mod calls;
#[allow(dead_code, reason = "the sections of RFC 3261 use the rest")]
#[path = "../../src/dialog/tests/messages.rs"]
mod messages;
#[allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    dead_code,
    reason = "it is shared with the tests of the module itself, which are checked without these \
              lints and use the rest"
)]
#[path = "../../src/dialog/tests/network.rs"]
mod network;
mod rfc3262;
mod rfc3311;
mod rfc3325;
mod rfc3515;
mod rfc3891;
mod rfc4028;
mod rfc4579;
mod rfc5407;
mod rfc5806;
mod rfc6086;
mod rfc7339;
mod rfc7616;
mod rfc7989;

// The names that `network` knows the library by: it is shared with the tests inside the library.
use offhook::{allowance, counters, dialog, sip};
