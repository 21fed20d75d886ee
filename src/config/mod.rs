//! The typed configuration: text in, a checked [`Config`] or every mistake in it out, each with its
//! line. It refuses to touch a file, a socket or the environment: the caller reads what is to be
//! read. `reader` turns TOML into values and collects mistakes; each section's file holds its
//! types; its `read` file fills them. Start at [`parse`]; the keys are in `docs/configuration.md`.

mod agent;
mod calendar;
mod check;
mod credentials;
mod dns;
mod find;
mod keys;
mod mistake;
mod network;
mod overrides;
mod presence;
mod queue;
mod read;
mod reader;
mod server;
mod skill;
mod syntax;
mod tls;
mod trunk;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::cti::KeyValueList;

pub use agent::{AfterLogin, Agent, AgentDefaults, AgentSettings, Login, NoAnswerAction, WrapUp};
pub use calendar::{Calendar, next_day_in_utc};
pub use credentials::Credentials;
pub use dns::Dns;
pub use mistake::Mistake;
use mistake::Mistakes;
pub use network::Network;
pub use overrides::Overrides;
pub use presence::{ClosedBusy, InitialActivity, LoginWhileUnregistered, Lost, OwnCalls, Presence};
pub use queue::{
    Entry, EntryKind, LadderStep, Overflow, Overflows, Queue, Route, RoutingPoint, Strategy,
};
pub use server::{
    Cores, Driver, Listener, LogLevel, MediaServer, OnDisconnect, Role, Server, Strangers, Token,
    Transport, Unusable,
};
pub use skill::{Levels, ProfileIndex, RequirementIndex, SkillIndex};
pub use tls::{ClientCertificates, Tls};
pub use trunk::{
    Answering, BigRequests, Dtmf, Hold, Identity, MakeCallFlow, Peer, Selection, Trunk, TrunkSet,
};

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

/// A calendar: an index into [`Config::calendars`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalendarIndex(pub u16);

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
    /// What SIP over TLS is done with, if it is.
    pub tls: Option<Tls>,
    /// How names are looked up.
    pub dns: Dns,
    /// In the order of the file.
    pub trunks: Vec<Trunk>,
    /// How phones are watched.
    pub presence: Presence,
    /// Ascending by DN, whatever their order in the files; copies of the configuration share them.
    pub agents: Arc<[Agent]>,
    /// What holds where agent and queue say nothing.
    pub agent_defaults: AgentDefaults,
    /// In the order of the file.
    pub routing_points: Vec<RoutingPoint>,
    /// In the order of the file.
    pub queues: Vec<Queue>,
    /// In the order of the file.
    pub calendars: Vec<Calendar>,
    /// The ways into queues: those of routing points, then one for the overflow into each queue.
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
        find::find(&self.agents, dn)
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

    /// Whether presence says something about the agent.
    pub fn is_watched(&self, index: DnIndex) -> bool {
        self.presence.enabled && self.agent_at(index).settings.presence.is_some()
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

    /// The ways into queues that a caller takes at a routing point, the call's home first.
    pub fn route(
        &self,
        routing_point: RoutingPointIndex,
        ani: Option<&str>,
        data: &KeyValueList,
    ) -> &[EntryIndex] {
        let routes = &self.routing_point_at(routing_point).routes;
        let route = routes.iter().find(|route| route.is_for(ani, data));
        let route = route.expect("the last rule of a routing point is for everybody");
        &route.entries
    }

    /// The queues in which callers of a routing point may be at home.
    pub fn homes(&self, routing_point: RoutingPointIndex) -> BTreeSet<QueueIndex> {
        let routes = self.routing_point_at(routing_point).routes.iter();
        routes
            .map(|route| self.entry_at(route.entries[0]).queue)
            .collect()
    }

    /// The way into a queue for those who could not wait in another one.
    pub fn overflow_entry(&self, queue: QueueIndex) -> EntryIndex {
        let first = self.entries.len() - self.queues.len();
        let index = first + usize::from(queue.0);
        EntryIndex(u32::try_from(index).expect("an entry's number fits in 32 bits"))
    }

    /// The calendar that an index stands for.
    pub fn calendar_at(&self, index: CalendarIndex) -> &Calendar {
        &self.calendars[usize::from(index.0)]
    }

    /// What an agent can do.
    pub fn profile_of(&self, agent: DnIndex) -> &Levels {
        &self.profiles[self.agent_at(agent).settings.profile.0 as usize]
    }

    /// The list of skills that an index stands for.
    pub fn requirement_at(&self, index: RequirementIndex) -> &Levels {
        &self.requirements[usize::from(index.0)]
    }

    /// The trunk that an index stands for.
    pub fn trunk_at(&self, index: TrunkIndex) -> &Trunk {
        &self.trunks[usize::from(index.0)]
    }

    /// Whom the certificates of the trunks' peers under TLS are for. A name whose transport DNS
    /// chooses may be one.
    pub fn tls_names(&self) -> impl Iterator<Item = String> {
        self.trunks.iter().flat_map(|trunk| {
            let secret = |peer: &&Peer| {
                peer.transport()
                    .is_none_or(|transport| transport == Transport::Tls)
            };
            let peers = trunk.peers.iter().filter(secret);
            peers.map(|peer| trunk.tls_name_of(peer))
        })
    }

    /// Makes the names of files that are relative, and opened while the server runs, start from
    /// the folder of the configuration.
    pub fn start_from(&mut self, folder: &std::path::Path) {
        if let Some(tls) = &mut self.tls {
            tls.start_from(folder);
        }
    }

    /// What an agent's phone can, by the first of the trunks that lead to it.
    pub fn phone(&self, agent: DnIndex) -> &Trunk {
        let first = self.agent_at(agent).settings.trunks.trunks.first();
        self.trunk_at(first.copied().unwrap_or(TrunkIndex(0)))
    }

    /// The trunks by which a number outside is called: those with the longest prefix of it.
    pub fn outbound(&self, number: &str) -> Option<TrunkSet> {
        let fit = |trunk: &Trunk| {
            let prefixes = trunk.prefixes.iter();
            let fits = prefixes.filter(|prefix| number.starts_with(&***prefix));
            let longest = fits.map(|prefix| prefix.len()).max();
            longest.or(trunk.prefixes.is_empty().then_some(0))
        };
        let trunks = || (0..).map(TrunkIndex).zip(&self.trunks);
        let outbound = || trunks().filter(|(_, trunk)| trunk.outbound);
        let longest = outbound().filter_map(|(_, trunk)| fit(trunk)).max()?;
        let fitting = outbound().filter(|(_, trunk)| fit(trunk) == Some(longest));
        Some(TrunkSet {
            trunks: fitting.map(|(index, _)| index).collect(),
            mode: Selection::PrimaryBackup,
        })
    }

    /// The names that the trunks' peers are to be looked up by.
    pub fn names(&self) -> impl Iterator<Item = &crate::dns::Question> {
        let peers = self.trunks.iter().flat_map(|trunk| &trunk.peers);
        peers.filter_map(Peer::question)
    }

    /// After-call work of an agent after a business call: the agent's own, else that of the queue
    /// that the call came from, else the default.
    pub fn wrap_up(&self, agent: DnIndex, queue: Option<QueueIndex>) -> WrapUp {
        let own = self.agent_at(agent).settings.wrap_up;
        let queued = queue.and_then(|queue| self.queue_at(queue).wrap_up);
        own.or(queued).unwrap_or(self.agent_defaults.wrap_up)
    }

    /// What happens to an agent who let a call ring: the agent's own, else the queue's, else the
    /// default.
    pub fn no_answer_action(&self, agent: DnIndex, queue: Option<QueueIndex>) -> NoAnswerAction {
        let own = self.agent_at(agent).settings.no_answer_action;
        let queued = queue.and_then(|queue| self.queue_at(queue).no_answer_action);
        own.or(queued)
            .unwrap_or(self.agent_defaults.no_answer_action)
    }

    /// How long an agent's phone rings for a call of a queue, or for a direct call: the agent's
    /// own, else the queue's, else the default.
    pub fn no_answer(&self, agent: DnIndex, queue: Option<QueueIndex>) -> Duration {
        let own = self.agent_at(agent).settings.no_answer;
        let queued = queue.and_then(|queue| self.queue_at(queue).no_answer);
        own.or(queued).unwrap_or(self.agent_defaults.no_answer)
    }
}

#[cfg(test)]
mod tests;
