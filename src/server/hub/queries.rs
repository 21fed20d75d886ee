//! What HTTP shows: the state that the event stream folds to, cut to what the asker may see, and
//! the numbers for the metrics page.

use serde_json::{Map, Value as Json};

use crate::config::{Address, QueueIndex, Role};
use crate::cti::{ConnId, ErrorCode};
use crate::limits::{CTI_AGENTS_PER_ANSWER_MAX, CTI_CALLS_PER_ANSWER_MAX};
use crate::server::address::AddressId;
use crate::server::link::Shards;
use crate::server::permissions::Identity;
use crate::server::state::{AgentStatus, QueueState};

use super::{Hub, Tally};

/// One question about the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// The agents, in the order of their DNs.
    Agents {
        /// Only those whose DN comes after this one.
        after: Option<String>,
        /// At most this many.
        limit: usize,
    },
    /// One agent.
    Agent(String),
    /// The calls, in the order of their ConnIDs.
    Calls {
        /// Only those whose ConnID comes after this one.
        after: Option<ConnId>,
        /// At most this many.
        limit: usize,
    },
    /// Every queue, with its routing points.
    Queues,
    /// Every trunk.
    Trunks,
}

/// What the metrics page shows of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// What was counted.
    pub tally: Tally,
    /// Events of the stream.
    pub events: u64,
    /// Connected clients.
    pub clients: usize,
    /// Requests that wait for a shard.
    pub pending: usize,
    /// Calls, each counted at every address where it is.
    pub calls: usize,
    /// Agents by what they do.
    pub agents: [(AgentStatus, usize); 6],
    /// Queues by name.
    pub queues: Vec<(String, QueueState)>,
    /// Trunks by name, and whether they are in service.
    pub trunks: Vec<(String, bool)>,
}

impl<S: Shards> Hub<S> {
    /// Answers one question.
    ///
    /// # Errors
    /// `Forbidden` and `UnknownDN`, with words.
    pub fn query(&self, identity: &Identity, query: &Query) -> Result<Json, (ErrorCode, String)> {
        match query {
            Query::Agents { after, limit } => Ok(self.agents(identity, after.as_deref(), *limit)),
            Query::Agent(dn) => {
                let found = self.book.config().dn(dn).map(Address::Agent);
                let words = || (ErrorCode::UnknownDN, format!("{dn} is no agent's DN"));
                let address = found.ok_or_else(words)?;
                allow(identity.may_see(address))?;
                Ok(Json::Object(self.view().named(self.book.id(address))))
            }
            Query::Calls { after, limit } => Ok(self.calls(identity, *after, *limit)),
            Query::Queues => {
                allow(identity.role != Role::Agent)?;
                Ok(self.list("Queues", self.queues()))
            }
            Query::Trunks => {
                allow(identity.role != Role::Agent)?;
                let view = self.view();
                let trunks = self
                    .book
                    .trunks()
                    .map(|trunk| Json::Object(view.named(trunk)));
                Ok(self.list("Trunks", trunks.collect()))
            }
        }
    }

    /// The numbers as they are now.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let config = self.book.config();
        let queues =
            config.queues.iter().zip(0_u16..).map(|(queue, index)| {
                (queue.name.to_string(), self.state.queue(QueueIndex(index)))
            });
        let trunks = self.book.trunks().map(|trunk| {
            (
                self.book.name(trunk).to_owned(),
                self.state.in_service(trunk),
            )
        });
        Numbers {
            tally: self.tally,
            events: self.history.last(),
            clients: self.clients.len(),
            pending: self.pending.len(),
            calls: self.state.calls(),
            agents: AgentStatus::ALL.map(|status| (status, self.state.agents_in(status))),
            queues: queues.collect(),
            trunks: trunks.collect(),
        }
    }

    fn agents(&self, identity: &Identity, after: Option<&str>, limit: usize) -> Json {
        let limit = limit.clamp(1, CTI_AGENTS_PER_ANSWER_MAX);
        let visible = self.book.agents().filter(|agent| {
            identity.may_see(self.book.address(*agent))
                && after.is_none_or(|after| self.book.name(*agent) > after)
        });
        let mut agents: Vec<AddressId> = visible.take(limit + 1).collect();
        let more = agents.len() > limit;
        agents.truncate(limit);
        let view = self.view();
        let shown = agents
            .iter()
            .map(|agent| Json::Object(view.named(*agent)))
            .collect();
        let mut list = self.list("Agents", shown);
        if let (true, Some(last), Json::Object(list)) = (more, agents.last(), &mut list) {
            list.insert("Next".to_owned(), self.book.name(*last).into());
        }
        list
    }

    /// The calls that have a party at an address that the asker may see. An agent's are found by
    /// its addresses: there may be very many others.
    fn calls(&self, identity: &Identity, after: Option<ConnId>, limit: usize) -> Json {
        let limit = limit.clamp(1, CTI_CALLS_PER_ANSWER_MAX);
        let view = self.view();
        let mut calls: Vec<ConnId> = match identity.role {
            Role::Agent => {
                let dns = identity.dns.iter();
                let own = view.calls_at(dns.map(|dn| self.book.id(Address::Agent(*dn))));
                let is_later = |call: &ConnId| after.is_none_or(|after| *call > after);
                own.into_iter().filter(is_later).take(limit + 1).collect()
            }
            Role::Supervisor | Role::Router | Role::Admin => {
                self.state.calls_after(after).take(limit + 1).collect()
            }
        };
        let more = calls.len() > limit;
        calls.truncate(limit);
        let shown = calls.iter().filter_map(|call| view.whole_call(*call));
        let mut list = self.list("Calls", shown.collect());
        if let (true, Some(last), Json::Object(list)) = (more, calls.last(), &mut list) {
            list.insert("Next".to_owned(), last.to_string().into());
        }
        list
    }

    fn queues(&self) -> Vec<Json> {
        let view = self.view();
        let mut queues: Vec<Map<String, Json>> =
            self.book.queues().map(|queue| view.named(queue)).collect();
        for id in self.book.routing_points() {
            let Address::RoutingPoint(routing_point) = self.book.address(id) else {
                continue;
            };
            let queue = self.book.config().routing_point_at(routing_point).queue;
            let shown = queues[usize::from(queue.0)]
                .entry("RoutingPoints")
                .or_insert_with(|| Json::Array(Vec::new()));
            if let Json::Array(shown) = shown {
                shown.push(Json::Object(view.named(id)));
            }
        }
        queues.into_iter().map(Json::Object).collect()
    }

    fn list(&self, name: &str, items: Vec<Json>) -> Json {
        let mut list = Map::new();
        list.insert("EventSequenceNumber".to_owned(), self.history.last().into());
        list.insert(name.to_owned(), Json::Array(items));
        Json::Object(list)
    }
}

fn allow(allowed: bool) -> Result<(), (ErrorCode, String)> {
    if allowed {
        return Ok(());
    }
    Err((
        ErrorCode::Forbidden,
        "this token does not allow this".to_owned(),
    ))
}
