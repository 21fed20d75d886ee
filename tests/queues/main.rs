//! Queues: order, failed offers, the router, and then queues, agents and calls on shards of their
//! own, with messages that overtake each other.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test begins now, and what it unwraps is its own"
)]

mod crowd;
mod floor;
mod hall;
mod limits;
mod line;
mod mesh;
mod model;
mod router;
mod several;
