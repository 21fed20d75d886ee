//! What is measured, and how far it can be trusted. `times` keeps every latency in a histogram;
//! `latency` keeps two, from the intended and from the real moment; `health` judges the generator
//! itself, because a generator that was late or lost datagrams measures itself.

mod health;
mod latency;
mod objective;
mod probe;
mod times;

pub(crate) use health::UNSENT;
pub use health::{Health, Reason, Tolerance, WorkerLoad};
pub use latency::Latency;
pub use objective::{Finding, Objective, Readings};
pub use probe::{Drops, Probe, hears, tcp_listeners, udp_sockets, worker_thread};
pub use times::{BadHistogram, LONGEST, Times};

/// The exit status of a run that the generator itself has spoiled.
pub const EXIT_INVALID: u8 = 3;
/// The exit status of a run that misses an objective.
pub const EXIT_OBJECTIVE: u8 = 5;
