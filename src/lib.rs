//! Offhook.

pub mod config;
pub mod limits;
