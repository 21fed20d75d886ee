//! Conformance to RFC 3261 and what corrects it: one file for each section, one test for each
//! promise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
#[allow(dead_code, reason = "the tests of the module itself use the rest")]
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
mod section_12;
mod section_13;
mod section_14;
mod section_15;
mod section_17_1_1;
mod section_17_1_2;
mod section_17_1_3;
mod section_17_2_1;
mod section_17_2_2;
mod section_17_2_3;
mod section_18_1_1;
mod section_18_2_2;
mod section_8_2;
mod section_9;
mod trace;

// The names that `network` knows the library by: it is shared with the tests inside the library.
use offhook::{allowance, counters, dialog, sip};
