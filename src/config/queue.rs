//! `[[queue]]` and `[[routing_point]]`: where callers arrive and wait. Who gets which caller is
//! decided in `queue/`.

use std::time::Duration;

use super::agent::WrapUp;
use super::{DnIndex, EntryIndex, QueueIndex, RequirementIndex};

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name in events, metrics and references.
    pub name: Box<str>,
    /// Who gets the next caller.
    pub strategy: Strategy,
    /// The time of waiting that is worth one step of priority; `None` puts priority before age.
    pub priority_ageing: Option<Duration>,
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
    /// Everything that its callers may need, ascending; [`RequirementIndex::ANYONE`] is first.
    pub requirements: Vec<RequirementIndex>,
}

/// Who gets the next caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// The Ready agent that has been idle longest.
    LongestIdle,
    /// The one with the highest levels, together, in the skills that the caller needs; among
    /// equals the one that has been idle longest.
    MostSkilled,
    /// The one whose last offer is longest ago; among those without any the lowest DN.
    RoundRobin,
}

/// One number that callers dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingPoint {
    /// What they dial: the user part of the request URI.
    pub number: Box<str>,
    /// Where they wait.
    pub queue: QueueIndex,
    /// How they wait there.
    pub entry: EntryIndex,
    /// How long a router may take before the queue's own strategy decides.
    pub router_timeout: Duration,
}

/// One way into a queue, with what holds for callers who take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The queue.
    pub queue: QueueIndex,
    /// Callers of a higher priority are served first; 0 to 1,000.
    pub priority: u16,
    /// What they need, and what is enough when they have waited; the first step is at zero, and
    /// the times rise.
    pub ladder: Box<[LadderStep]>,
}

/// One step of a relaxation ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LadderStep {
    /// When the caller has waited so long,
    pub after: Duration,
    /// this is enough.
    pub requirement: RequirementIndex,
}
