//! The population against itself.
