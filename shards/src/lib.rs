//! Runs one *engine* per core: executors, sockets, the clock, and a lock-free mesh between the
//! shards. It knows nothing of what the bytes mean: the engine says, through [`Engine`], which
//! shard owns a message and where a stream's messages end. Read `engine.rs` for that surface,
//! `running.rs` for start and stop, `shard.rs` for what one turn of the loop does.

pub mod clock;
pub mod engine;
pub mod limits;
pub mod wheel;

pub use engine::{
    ConnectionChange, ConnectionId, ConnectionOutcome, Engine, Frame, ShardId, Source, Transmit,
    Transport,
};
