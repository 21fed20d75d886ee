//! The exchange alone.
