//! What a screen shows, as a plain value.

use std::time::Duration;

/// A run at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// What runs.
    pub title: String,
    /// Between whom, over what.
    pub subtitle: String,
    /// How long it has run.
    pub elapsed: Duration,
    /// What is special now: paused, ending.
    pub note: String,
    /// Calls a second that are planned.
    pub target: f64,
    /// Counts in the order in which they are shown.
    pub counts: Vec<(String, u64)>,
    /// Latencies over the whole run.
    pub latencies: Vec<LatencyLine>,
    /// The last minutes, oldest first.
    pub history: Vec<Moment>,
    /// What fails, by cause.
    pub errors: Vec<(String, u64)>,
    /// How many are in each state: agents, subscriptions; empty if there are none.
    pub states: Vec<(String, u64)>,
    /// The generator itself.
    pub health: HealthLine,
    /// Steps of a scenario; empty if there is none.
    pub steps: Vec<StepLine>,
}

/// A latency.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LatencyLine {
    /// What it is called.
    pub name: String,
    /// How many were measured.
    pub count: u64,
    /// Quantiles 50, 90, 99, 99.9 % and the longest, from the intended moment, in microseconds.
    pub response_us: [u64; 5],
    /// The same from the real sending.
    pub service_us: [u64; 5],
}

/// A second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moment {
    /// From the beginning.
    pub second: f64,
    /// Calls a second that were planned.
    pub target: f64,
    /// Calls a second that began.
    pub created: f64,
    /// Calls a second that failed.
    pub failed: f64,
    /// Calls that lived.
    pub live: u64,
    /// Median response time, in microseconds; zero if none was measured.
    pub p50_us: u64,
    /// 99 % are below.
    pub p99_us: u64,
}

/// The generator itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HealthLine {
    /// The 99th percentile of its lag, in microseconds.
    pub lag_p99_us: u64,
    /// The longest hold-up of an event loop, in microseconds.
    pub stall_max_us: u64,
    /// Datagrams dropped at its sockets.
    pub own_drops: u64,
    /// Messages that the kernel refused.
    pub unsent: u64,
    /// The part of its core that each worker uses now.
    pub busy: Vec<f64>,
    /// Why the run is invalid by now; empty if it is not.
    pub faults: Vec<String>,
}

/// A step of a scenario.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepLine {
    /// Its arrow and name.
    pub name: String,
    /// Messages, repeats, time-outs, unexpected messages.
    pub counts: [u64; 4],
}
