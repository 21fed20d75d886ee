//! What the four machines promise together. Each machine's transitions are in `tests/rfc3261`.

mod link;
mod shard;
mod world;
