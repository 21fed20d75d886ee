//! Plays PBX, phones and callers against Offhook, and measures from outside.

pub mod node;
pub mod population;
