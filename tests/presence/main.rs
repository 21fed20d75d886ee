//! Presence: what a PBX can do to a subscription, and what the agent hears of it. Rows P1 to P15
//! of the fault list are those that live above the dialog; P1, P3, P4 and P13 are the dialog's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bodies;
mod lab;
mod lifetime;
mod pacing;
mod random;
mod refusals;
mod server;
mod terminated;
mod trunks;
mod ucm;
