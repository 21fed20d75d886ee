//! The journals of one server: a directory with a file for each shard, one thread each that writes
//! it, and what was in it when the server started. `docs/journal.md` says why it is so.

mod desk;
mod directory;
mod gate;
mod writer;

use std::path::Path;

use crate::config::Config;

use super::clock::Clock;
use super::engines::{Engines, fresh_keys};
use super::serve::{Choices, ServeError, Serving, shard_count, start_with};

pub use desk::{Desk, Journaled};
pub use directory::{StateDirectory, StateError};

/// Starts the real server with a journal in this directory, and with what is in it.
///
/// # Errors
/// [`ServeError`]; nothing is left running.
pub fn start(config: &Config, choices: Choices, directory: &Path) -> Result<Serving, ServeError> {
    let clock = Clock::start();
    let state = StateDirectory::open(directory, config, shard_count(config), fresh_keys());
    let state = state.map_err(ServeError::State)?;
    start_with(config, clock, choices, |config, shards| {
        Engines::with_state(config, clock, shards, state)
    })
}
