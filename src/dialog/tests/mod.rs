//! The user agent against others of its kind and against messages written by hand, in virtual
//! time. `network.rs` is the world, `messages.rs` the hand; the promises of RFC 3261 are tested
//! with both in `tests/rfc3261`.

mod chance;
mod far_ends;
mod limits;
#[allow(dead_code, reason = "tests/rfc3261 uses the rest")]
mod messages;
#[allow(dead_code, reason = "tests/rfc3261 uses the rest")]
mod network;
mod recalled;
mod strangers;
mod stray;
mod subscriptions;
mod together;
