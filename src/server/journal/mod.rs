//! The journals of one server: a directory with a file for each shard, one thread each that writes
//! it, and what was in it when the server started. `docs/journal.md` says why it is so.

mod desk;
mod directory;
mod writer;

pub use desk::{Desk, Journaled};
pub use directory::{StateDirectory, StateError};
