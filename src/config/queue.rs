//! `[[queue]]` and `[[routing_point]]`: where callers arrive and wait. Who gets which caller is
//! decided in `queue/`.

use std::time::Duration;

use super::agent::{NoAnswerAction, WrapUp};
use super::{CalendarIndex, DnIndex, EntryIndex, QueueIndex, RequirementIndex};
use crate::cti::{KeyValueList, Value};

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
    /// What happens to an agent who let one of its calls ring; `None` leaves it to the defaults.
    pub no_answer_action: Option<NoAnswerAction>,
    /// How many agents may leave one caller unanswered before it goes elsewhere; `None` is no end.
    pub no_answer_max: Option<u16>,
    /// Callers that may wait.
    pub capacity: u32,
    /// How long they may wait; `None` is no end.
    pub wait_max: Option<Duration>,
    /// When it is open; `None` is always.
    pub calendar: Option<CalendarIndex>,
    /// Where callers go who cannot wait here.
    pub overflow: Overflows,
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
    /// The one who has answered the fewest calls of the queue today; among equals the one that has
    /// been idle longest.
    LeastCallsToday,
}

/// Where the callers of a queue go, by what keeps them from waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overflows {
    /// As many wait as may.
    pub full: Overflow,
    /// They have waited as long as they may.
    pub wait: Overflow,
    /// No agent of the queue is logged in; `None` lets them wait all the same.
    pub no_agents: Option<Overflow>,
    /// The queue is closed.
    pub closed: Overflow,
    /// As many agents have left them unanswered as may.
    pub no_answer: Overflow,
}

/// Where a caller goes who cannot wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overflow {
    /// Away, with this SIP status.
    Refuse(u16),
    /// Into another queue.
    Queue(QueueIndex),
    /// To an agent, a routing point or a number outside.
    Number(Box<str>),
}

/// One number that callers dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingPoint {
    /// What they dial: the user part of the request URI.
    pub number: Box<str>,
    /// Where those wait for whom none of the rules says otherwise.
    pub queue: QueueIndex,
    /// Where callers wait: the first that is for them. The last one is for everybody.
    pub routes: Box<[Route]>,
    /// How long a router may take before the queue's own strategy decides.
    pub router_timeout: Duration,
}

/// A rule of a routing point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Beginnings of the caller's number, one of which it must have; none is any number.
    pub ani: Box<[Box<str>]>,
    /// Attached data, all of which the call must have.
    pub data: Box<[(Box<str>, Box<str>)]>,
    /// The ways into queues that the caller takes, all of them; the first one is the call's home.
    pub entries: Box<[EntryIndex]>,
}

impl Route {
    /// Whether the rule is for a caller.
    #[must_use]
    pub fn is_for(&self, ani: Option<&str>, data: &KeyValueList) -> bool {
        let mut begins = self.ani.iter().map(|prefix| &**prefix);
        let has = |(key, wanted): &(Box<str>, Box<str>)| match data.value(key) {
            Some(Value::Text(text)) => **text == **wanted,
            Some(Value::Integer(number)) => number.to_string() == **wanted,
            Some(Value::List(_)) | None => false,
        };
        let begins = begins.any(|prefix| ani.is_some_and(|ani| ani.starts_with(prefix)));
        (self.ani.is_empty() || begins) && self.data.iter().all(has)
    }
}

/// What a way into a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// Where the call is at home: this queue asks the router and writes the events.
    Home,
    /// A further queue, in which the caller waits at the same time.
    Also,
    /// For those who could not wait in another queue.
    Overflow,
}

/// One way into a queue, with what holds for callers who take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// The queue.
    pub queue: QueueIndex,
    /// How long the caller must have waited before it waits here too.
    pub after: Duration,
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
