//! What a shard writes down so that it knows its calls and agents again after a crash: the form of
//! a journal, and the image that reading one gives. `docs/journal.md` says why it is as it is.
//!
//! Everything here is pure. Files, and the thread that writes them, are in `server::journal`; what
//! is worth a record is decided by the engine.

pub(crate) mod field;
pub mod frame;
pub mod image;
mod values;

pub use image::{Image, Key, Record};
