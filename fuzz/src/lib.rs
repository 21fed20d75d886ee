//! The targets of `tests/fuzz`, for libFuzzer.

#![allow(clippy::unwrap_used, reason = "the schema's checker is a test's")]

#[path = "../../tests/fuzz/targets/mod.rs"]
pub mod targets;
