//! Queues: order, failed offers, the router, and then queues, agents and calls on shards of their
//! own, with messages that overtake each other.

mod floor;
mod hall;
mod line;
mod mesh;
mod router;
