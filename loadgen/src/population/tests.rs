//! The population against itself: callers dial the phones of a PBX directly, and a small watcher
//! subscribes to them, over a network in virtual time.

mod calls;
mod chaos;
mod network;
mod presence;
