//! The typed configuration: text in, a checked [`Config`] or every mistake in it out, each with its
//! line. It refuses to touch a file, a socket or the environment: the caller reads what is to be
//! read. `reader` turns TOML into values and collects mistakes; each section's file holds its
//! types; its `read` file fills them. Start at [`parse`]; the keys are in `docs/configuration.md`.

mod agent;
mod check;
mod dns;
mod keys;
mod mistake;
mod overrides;
mod presence;
mod queue;
mod read;
mod reader;
mod server;
mod skill;
mod syntax;
mod trunk;
mod value;

use std::collections::BTreeMap;
use std::time::Duration;

pub use agent::{AfterLogin, Agent, AgentDefaults, Login, NoAnswerAction, WrapUp};
pub use dns::Dns;
pub use mistake::Mistake;
use mistake::Mistakes;
pub use overrides::Overrides;
pub use presence::{ClosedBusy, InitialActivity, LoginWhileUnregistered, Lost, OwnCalls, Presence};
pub use queue::{Entry, LadderStep, Queue, RoutingPoint, Strategy};
pub use server::{
    Cores, Driver, Listener, LogLevel, OnDisconnect, Role, Server, Token, Transport, Unusable,
};
pub use skill::{Levels, ProfileIndex, RequirementIndex, SkillIndex};
pub use trunk::{BigRequests, Identity, Peer, Selection, Trunk, TrunkSet};

/// A trunk: an index into [`Config::trunks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkIndex(pub u16);

/// A DN with an agent: an index into [`Config::agents`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnIndex(pub u32);

/// A queue: an index into [`Config::queues`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueIndex(pub u16);

/// A routing point: an index into [`Config::routing_points`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutingPointIndex(pub u16);

/// A way into a queue: an index into [`Config::entries`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryIndex(pub u32);

/// What a name or number stands for. One name stands for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A DN with an agent.
    Agent(DnIndex),
    /// A queue.
    Queue(QueueIndex),
    /// A routing point.
    RoutingPoint(RoutingPointIndex),
    /// A trunk.
    Trunk(TrunkIndex),
}

/// The name that mistakes show for the file when the caller does not give one.
pub const DEFAULT_FILE: &str = "offhook.toml";

/// A complete configuration with comments: `docs/example.toml`.
pub fn embedded_default() -> &'static str {
    include_str!("../../docs/example.toml")
}

/// Reads a configuration; `files` gives the text of a CSV file that it names, or why it cannot.
///
/// # Errors
///
/// Every mistake in the text and in those files, by file and line; never an empty list.
pub fn parse(
    text: &str,
    files: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Config, Vec<Mistake>> {
    parse_named(DEFAULT_FILE, text, files)
}

/// As [`parse`], with the name that mistakes show for the file.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_named(
    file: &str,
    text: &str,
    files: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Config, Vec<Mistake>> {
    let mistakes = Mistakes::default();
    let config = syntax::parse(file, text, &mistakes, files);
    mistakes.into_result()?;
    Ok(config.expect("a text that could not be read has mistakes"))
}

/// A configuration without mistakes. Every index in it is valid.
#[derive(Debug, Clone)]
pub struct Config {
    /// Listeners, shards, CTI clients.
    pub server: Server,
    /// How names are looked up.
    pub dns: Dns,
    /// In the order of the file.
    pub trunks: Vec<Trunk>,
    /// How phones are watched.
    pub presence: Presence,
    /// Ascending by DN, whatever their order in the files.
    pub agents: Vec<Agent>,
    /// What holds where agent and queue say nothing.
    pub agent_defaults: AgentDefaults,
    /// In the order of the file.
    pub routing_points: Vec<RoutingPoint>,
    /// In the order of the file.
    pub queues: Vec<Queue>,
    /// The ways into queues.
    pub entries: Vec<Entry>,
    /// The names of skills.
    pub skills: Vec<Box<str>>,
    /// What agents can do, each list once.
    pub profiles: Vec<Levels>,
    /// What callers need, each list once.
    pub requirements: Vec<Levels>,
    /// Everything that has a name, except agents.
    names: BTreeMap<Box<str>, Address>,
    /// Where the settings stand that flags may override.
    places: check::Places,
}

impl Config {
    /// The agent at a DN.
    pub fn dn(&self, dn: &str) -> Option<DnIndex> {
        let index = self
            .agents
            .binary_search_by(|agent| (*agent.dn).cmp(dn))
            .ok()?;
        Some(DnIndex(
            u32::try_from(index).expect("AGENTS_MAX fits in 32 bits"),
        ))
    }

    /// The queue of a name.
    pub fn queue(&self, name: &str) -> Option<QueueIndex> {
        match self.names.get(name)? {
            Address::Queue(index) => Some(*index),
            Address::Agent(_) | Address::RoutingPoint(_) | Address::Trunk(_) => None,
        }
    }

    /// The routing point of a number.
    pub fn routing_point(&self, number: &str) -> Option<RoutingPointIndex> {
        match self.names.get(number)? {
            Address::RoutingPoint(index) => Some(*index),
            Address::Agent(_) | Address::Queue(_) | Address::Trunk(_) => None,
        }
    }

    /// The trunk of a name.
    pub fn trunk(&self, name: &str) -> Option<TrunkIndex> {
        match self.names.get(name)? {
            Address::Trunk(index) => Some(*index),
            Address::Agent(_) | Address::Queue(_) | Address::RoutingPoint(_) => None,
        }
    }

    /// Whatever has this name or number.
    pub fn address(&self, name: &str) -> Option<Address> {
        self.names
            .get(name)
            .copied()
            .or_else(|| self.dn(name).map(Address::Agent))
    }

    /// The agent that an index stands for.
    pub fn agent_at(&self, index: DnIndex) -> &Agent {
        &self.agents[index.0 as usize]
    }

    /// The queue that an index stands for.
    pub fn queue_at(&self, index: QueueIndex) -> &Queue {
        &self.queues[usize::from(index.0)]
    }

    /// The routing point that an index stands for.
    pub fn routing_point_at(&self, index: RoutingPointIndex) -> &RoutingPoint {
        &self.routing_points[usize::from(index.0)]
    }

    /// The way into a queue that an index stands for.
    pub fn entry_at(&self, index: EntryIndex) -> &Entry {
        &self.entries[index.0 as usize]
    }

    /// What an agent can do.
    pub fn profile_of(&self, agent: DnIndex) -> &Levels {
        &self.profiles[self.agent_at(agent).profile.0 as usize]
    }

    /// The list of skills that an index stands for.
    pub fn requirement_at(&self, index: RequirementIndex) -> &Levels {
        &self.requirements[usize::from(index.0)]
    }

    /// The trunk that an index stands for.
    pub fn trunk_at(&self, index: TrunkIndex) -> &Trunk {
        &self.trunks[usize::from(index.0)]
    }

    /// The names that the trunks' peers are to be looked up by.
    pub fn names(&self) -> impl Iterator<Item = &crate::dns::Question> {
        let peers = self.trunks.iter().flat_map(|trunk| &trunk.peers);
        peers.filter_map(Peer::question)
    }

    /// After-call work of an agent after a business call: the agent's own, else that of the queue
    /// that the call came from, else the default.
    pub fn wrap_up(&self, agent: DnIndex, queue: Option<QueueIndex>) -> WrapUp {
        let own = self.agent_at(agent).wrap_up;
        let queued = queue.and_then(|queue| self.queue_at(queue).wrap_up);
        own.or(queued).unwrap_or(self.agent_defaults.wrap_up)
    }

    /// How long an agent's phone rings for a call of a queue, or for a direct call: the agent's
    /// own, else the queue's, else the default.
    pub fn no_answer(&self, agent: DnIndex, queue: Option<QueueIndex>) -> Duration {
        let own = self.agent_at(agent).no_answer;
        let queued = queue.and_then(|queue| self.queue_at(queue).no_answer);
        own.or(queued).unwrap_or(self.agent_defaults.no_answer)
    }
}

#[cfg(test)]
mod tests;
