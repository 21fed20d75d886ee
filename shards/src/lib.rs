//! Runs one *engine* per core: executors, sockets, the clock, and a lock-free mesh between the
//! shards. It knows nothing of what the bytes mean: the engine says, through [`Engine`], which
//! shard owns a message and where a stream's messages end. Read `engine.rs` for that surface,
//! `running.rs` for start and stop, `shard.rs` for what one turn of the loop does.

pub mod clock;
pub mod control;
mod driver;
pub mod engine;
pub mod host;
pub mod intake;
pub mod limits;
mod mesh;
pub mod metrics;
pub mod options;
pub mod pages;
pub mod pem;
pub mod placement;
pub mod running;
#[cfg(test)]
mod scribe;
mod seat;
mod shard;
mod sockets;
mod sys;
mod tcp;
mod tls;
pub mod turns;
mod udp;
pub mod wheel;

pub use control::{Control, Depths, Events, Full};
pub use engine::{
    ConnectionChange, ConnectionId, ConnectionOutcome, Engine, Frame, ShardId, Source, Transmit,
    Transport,
};
pub use host::{Host, HostWarning, Wishes};
pub use intake::{Intake, Overfull, Urgency};
pub use metrics::{Counter, Metrics, ShardMetrics};
pub use options::{Driver, DriverChoice, Options, Room, StartError, UringDenied};
pub use placement::Placement;
pub use running::{Running, StopError, prepare_process, start};
pub use tls::{TlsSettings, TlsStore};

/// The TLS that the settings are made of: two versions in one program would not fit.
pub use rustls;
