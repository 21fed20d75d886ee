//! What a floor is like: its PBXs, agents, callers, desktops, routers and the faults that befall
//! it. Read from a file in which every mistake is found at once, with its line and what to write
//! instead.
//!
//! `reader` walks the file, `sections` says what each section may hold, `length` reads times and
//! their distributions, `numbers` ranges of directory numbers, `check` holds sections against each
//! other, `server` writes the configuration that a server needs for it.

mod check;
mod length;
mod numbers;
mod reader;
mod sections;
mod server;
#[cfg(test)]
mod tests;

use std::time::Duration;

use offhook::config::Mistake;

use crate::load::{Moments, Spacing};
use crate::population::{Habits, PbxKind, Span};

pub use numbers::Numbers;

/// A profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// Where chance comes from.
    pub seed: u64,
    /// How long calls come.
    pub duration: Duration,
    /// How long agents may take to be logged in before the first call.
    pub ready_within: Duration,
    /// How long everything may take to come to its end afterwards.
    pub drain_within: Duration,
    /// What the oracle tolerates.
    pub bounds: Bounds,
    /// The server that is started here.
    pub server: Server,
    /// The PBXs; at least one.
    pub pbxs: Vec<PbxPlan>,
    /// Queues; at least one.
    pub queues: Vec<QueuePlan>,
    /// Agents; at least one group.
    pub agents: Vec<AgentPlan>,
    /// Callers.
    pub callers: Vec<CallerPlan>,
    /// Outside routers.
    pub routers: Vec<RouterPlan>,
    /// What goes wrong on purpose.
    pub faults: Vec<FaultPlan>,
}

/// How far what the server says may lag behind what is true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// For the state of an agent.
    pub state: Duration,
    /// For a caller to wait while an agent of its queue is free.
    pub waiting: Duration,
    /// For the two legs of a call to contradict each other.
    pub legs: Duration,
    /// For the answer to a request.
    pub request: Duration,
    /// For an event of a call, after what it tells of.
    pub event: Duration,
}

/// The server that is started here; without meaning when another one is the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its shards; 0 leaves the number to it.
    pub shards: u16,
    /// More of its configuration, appended as it is.
    pub extra: String,
}

/// A PBX with its callers' trunk; it is played by a worker of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct PbxPlan {
    /// What it is called; the server's trunk is called the same.
    pub name: String,
    /// Whose it is.
    pub kind: PbxKind,
    /// How many nodes it has.
    pub nodes: u16,
    /// The port of its first node; the others follow, and then the callers. Zero takes any.
    pub port: u16,
    /// Its phones.
    pub phones: Numbers,
    /// Phones of it that are no agents and may be dialled as outside numbers.
    pub outside: Numbers,
    /// How long these talk; two of them may be left alone with each other.
    pub outside_talk: Span,
    /// The longest subscription it grants.
    pub expires: Duration,
    /// Whether the first NOTIFY leaves before the 200.
    pub notify_first: bool,
    /// Whether presence shows that a phone rings.
    pub shows_ringing: bool,
    /// Calls of the server's that a phone may have at once.
    pub calls_max: usize,
    /// The network between it and the server.
    pub weather: Weather,
}

/// What the network does to datagrams. Chances are of one datagram, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// Chance of being lost.
    pub loss: f64,
    /// Chance of coming twice.
    pub duplicates: f64,
    /// Chance of coming late, and how late.
    pub late: (f64, Span),
}

impl Weather {
    /// A network that does nothing.
    pub const CALM: Self = Self {
        loss: 0.0,
        duplicates: 0.0,
        late: (0.0, Span::exactly(Duration::ZERO)),
    };
}

/// A queue and the numbers that lead to it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuePlan {
    /// What it is called.
    pub name: String,
    /// What callers dial.
    pub numbers: Vec<String>,
    /// The server's wrap-up time; zero is none.
    pub wrap_up: Duration,
}

/// A group of agents who behave alike.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentPlan {
    /// What it is called.
    pub name: String,
    /// Their phones.
    pub phones: Numbers,
    /// The queues that they serve.
    pub queues: Vec<String>,
    /// How long the server lets their phones ring.
    pub no_answer: Duration,
    /// What they do at their phones.
    pub habits: Habits,
    /// Part of them that has a desktop, from 0 to 1.
    pub desktops: f64,
    /// Agents who share a connection.
    pub per_connection: usize,
    /// What they do at their desktops.
    pub desk: DeskPlan,
}

/// What agents do at their desktops. Chances are of one call, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeskPlan {
    /// When they log in, after the beginning.
    pub login: Span,
    /// How long a shift lasts, and the pause before the next one; `None` never ends.
    pub shift: Option<(Span, Span)>,
    /// Mean time between breaks of one agent, and how long one lasts.
    pub breaks: Option<(Duration, Span)>,
    /// Time from the end of a call to Ready, for those who end their wrap-up themselves.
    pub wrap_up: Option<Span>,
    /// Chance that the desktop releases the call, and when after the answer.
    pub releases: (f64, Span),
    /// Chance that the desktop holds the call, when after the answer, and for how long.
    pub holds: (f64, Span, Span),
    /// Chance of a transfer in one step, and when after the answer.
    pub transfers: (f64, Span),
    /// Chance of a transfer in two steps, when after the answer, and how long the consultation is.
    pub consultations: (f64, Span, Span),
    /// Mean time between calls that an agent makes.
    pub makes_calls: Option<Duration>,
    /// Mean time between losses of a connection, and how long it is away.
    pub disconnects: Option<(Duration, Span)>,
    /// Part of all connections that read slowly, and how long they pause before each frame.
    pub slow: (f64, Duration),
}

/// Callers who behave alike.
#[derive(Debug, Clone, PartialEq)]
pub struct CallerPlan {
    /// What they are called.
    pub name: String,
    /// The PBX through which they call.
    pub pbx: String,
    /// What they dial, each number as often as any other.
    pub numbers: Vec<String>,
    /// When they come: a shape, or a file of moments.
    pub arrivals: Moments,
    /// The same, as it is written.
    pub arrivals_text: String,
    /// How far apart they come.
    pub spacing: Spacing,
    /// Chance of an offer in the INVITE.
    pub early_offer: f64,
    /// How long they wait for an answer.
    pub patience: Span,
    /// Chance of little patience, and how long that is.
    pub impatient: (f64, Span),
    /// Seconds of the INVITE's Expires header; zero leaves it out.
    pub expires: u32,
    /// Time from the answer to the caller's BYE.
    pub talking: Span,
    /// Chance that the caller puts the call on hold once.
    pub holds: f64,
    /// Chance of another try after having given up or been refused, and the wait before it.
    pub redials: (f64, Span),
}

/// An outside router.
#[derive(Debug, Clone, PartialEq)]
pub struct RouterPlan {
    /// The numbers that it routes.
    pub numbers: Vec<String>,
    /// Agents to whom it routes: those of these groups.
    pub groups: Vec<String>,
    /// How long it thinks.
    pub thinking: Span,
    /// Chance that it never answers.
    pub silent: f64,
    /// Chance that it leaves the choice to the server.
    pub defaults: f64,
}

/// Something that goes wrong at its time.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultPlan {
    /// When, after the first call may come.
    pub at: Duration,
    /// For how long.
    pub lasting: Duration,
    /// At which PBX.
    pub pbx: String,
    /// At which of its nodes; `None` is all of them.
    pub node: Option<usize>,
    /// What.
    pub kind: FaultKind,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FaultKind {
    /// The node is cut off, and comes back as it was.
    Silence,
    /// The node restarts and forgets its transactions, calls and subscriptions.
    Restart,
    /// The node forgets its subscriptions.
    Forget,
    /// Every subscription gets so many NOTIFYs that say nothing new.
    Storm(u32),
    /// The network does this as well.
    Weather(Weather),
    /// This part of all answers has no session description.
    Mute(f64),
    /// This part of all new requests is refused with 503.
    BrownOut(f64),
}

impl FaultKind {
    /// Its word in profiles and results.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Restart => "restart",
            Self::Forget => "forget",
            Self::Storm(_) => "storm",
            Self::Weather(_) => "weather",
            Self::Mute(_) => "mute",
            Self::BrownOut(_) => "brown-out",
        }
    }
}

impl Profile {
    /// Reads a profile; `file` is its name in mistakes.
    ///
    /// # Errors
    /// All mistakes, by line.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Mistake>> {
        sections::read(file, text)
    }

    /// How many agents there are.
    #[must_use]
    pub fn agent_count(&self) -> usize {
        self.agents.iter().map(|group| group.phones.len()).sum()
    }

    /// The number that leads to a queue, and the queue of a number.
    #[must_use]
    pub fn queue_of(&self, number: &str) -> Option<&QueuePlan> {
        let leads = |queue: &&QueuePlan| queue.numbers.iter().any(|known| known == number);
        self.queues.iter().find(leads)
    }
}
