//! The I/O side: starts the shards and serves the control plane.
//!
//! Everything here runs on one thread, without locks. [`hub`] is the heart: it takes the shards'
//! events and the clients' requests, and it is plain code without sockets, so that tests can turn
//! it by hand. Around it: [`decode`] and [`encode`] speak JSON, [`state`] folds the event stream,
//! [`history`] keeps its tail, [`clients`] knows who listens to what, [`permissions`] who may do
//! what. [`door`], [`api`] and [`websocket`] are the sockets, [`serve`] puts it all together. It
//! decides nothing about agents, calls and queues: that is done on the shards.

pub mod address;
pub mod allocator;
pub mod api;
pub mod attendance;
pub mod clients;
pub mod clock;
pub mod decode;
pub mod dns;
pub mod door;
mod drain;
pub mod encode;
pub mod engines;
pub mod gate;
pub mod history;
pub mod host;
pub mod hub;
pub mod journal;
pub mod link;
pub mod logging;
pub mod metrics;
mod outputs;
pub mod pending;
pub mod permissions;
mod reload;
pub mod serve;
mod service;
pub mod snapshot;
pub mod state;
mod stopping;
pub mod stream;
mod timekeeper;
pub mod tls;
pub mod websocket;
mod weigher;
pub mod words;
