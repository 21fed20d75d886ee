//! `[[queue]]` and `[[routing_point]]`: where callers arrive and wait. Who gets which caller is
//! decided in `queue/`.

use std::time::Duration;

use super::agent::WrapUp;
use super::{DnIndex, QueueIndex};

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name in events, metrics and references.
    pub name: Box<str>,
    /// Who gets the next caller.
    pub strategy: Strategy,
    /// After-call work of its calls; `None` leaves it to the defaults.
    pub wrap_up: Option<WrapUp>,
    /// How long its calls ring at an agent; `None` leaves it to the defaults.
    pub no_answer: Option<Duration>,
    /// Callers that may wait.
    pub capacity: u32,
    /// Time between two `182 Queued`, at most a minute.
    pub queued_progress_interval: Duration,
    /// The agents that serve it, ascending.
    pub agents: Vec<DnIndex>,
}

/// Who gets the next caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// The Ready agent that has been idle longest.
    LongestIdle,
}

/// One number that callers dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingPoint {
    /// What they dial: the user part of the request URI.
    pub number: Box<str>,
    /// Where they wait.
    pub queue: QueueIndex,
    /// Callers of a higher priority are served first; 0 to 1,000.
    pub priority: u16,
    /// How long a router may take before the queue's own strategy decides.
    pub router_timeout: Duration,
}
