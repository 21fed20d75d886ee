//! The user agent against others of its kind and against messages written by hand, in virtual
//! time. `network.rs` is the world, `messages.rs` the hand.

mod callee;
mod caller;
mod chance;
mod messages;
mod network;
mod refusals;
mod sessions;
mod subscriptions;
