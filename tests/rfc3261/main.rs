//! Conformance to RFC 3261 and what corrects it: one file for each section, one test for each
//! promise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod section_17_1_1;
mod section_17_1_2;
mod section_17_1_3;
mod section_17_2_1;
mod section_17_2_2;
mod section_17_2_3;
mod section_18_2_2;
mod trace;
