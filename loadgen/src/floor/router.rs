//! Outside routers: they are asked about calls, think, and answer with an agent, with nothing but
//! the default, or never. Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use serde_json::json;

use super::profile::{Profile, RouterPlan};
use super::said::{Connection, Said, Word};
use crate::population::{Agenda, Random};

/// Where the streams of chance of routers begin.
const ROUTER_STREAM: u64 = 3 << 32;

/// An answer on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routed {
    /// On which connection.
    pub connection: Connection,
    /// The frame.
    pub frame: String,
}

/// A question that is thought about.
#[derive(Debug, PartialEq)]
struct Question {
    router: usize,
    reference: u64,
    conn_id: String,
}

#[derive(Debug)]
struct Router {
    plan: RouterPlan,
    connection: Connection,
    agents: Vec<String>,
    random: Random,
}

/// All routers.
#[derive(Debug)]
pub(super) struct Routers {
    routers: Vec<Router>,
    words: BTreeMap<String, Word>,
    agenda: Agenda<Question>,
    answers: VecDeque<Routed>,
    observer: Connection,
}

impl Routers {
    /// The routers of a profile; the first one's connection is number `first`.
    #[must_use]
    pub(super) fn new(profile: &Profile, first: usize, observer: Connection) -> Self {
        let router = |(number, plan): (usize, &RouterPlan)| {
            let groups = profile.agents.iter();
            let groups = groups.filter(|group| plan.groups.contains(&group.name));
            Router {
                plan: plan.clone(),
                connection: Connection(first + number),
                agents: groups.flat_map(|group| group.phones.iter()).collect(),
                random: Random::new(profile.seed, ROUTER_STREAM + number as u64),
            }
        };
        Self {
            routers: profile.routers.iter().enumerate().map(router).collect(),
            words: BTreeMap::new(),
            agenda: Agenda::default(),
            answers: VecDeque::new(),
            observer,
        }
    }

    /// The addresses that each registers.
    #[must_use]
    pub(super) fn addresses(&self) -> Vec<Vec<String>> {
        let numbers = |router: &Router| router.plan.numbers.clone();
        self.routers.iter().map(numbers).collect()
    }

    /// Hears what the server says.
    pub(super) fn hear(&mut self, said: &Said) {
        if said.connection == self.observer {
            for agent in &said.agents {
                self.words.insert(agent.dn.clone(), agent.word.clone());
            }
            // A further login of somebody who is logged in changes nothing.
            if let Some(word) = said.word().filter(|word| *word != Word::LoggedIn) {
                self.words.insert(said.dn.clone(), word);
            }
            return;
        }
        let asked = |router: &Router| router.connection == said.connection;
        let Some(place) = self.routers.iter().position(asked) else {
            return;
        };
        if said.message != "EventRouteRequest" {
            return;
        }
        let (Some(reference), Some(conn_id)) = (said.reference, said.conn_id.clone()) else {
            return;
        };
        let router = &mut self.routers[place];
        let silent = router.random.chance(router.plan.silent);
        let thinking = router.random.within(router.plan.thinking);
        if !silent {
            let question = Question {
                router: place,
                reference,
                conn_id,
            };
            self.agenda.add(said.at + thinking, question);
        }
    }

    /// Time has come.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, question)) = self.agenda.take_due(now) {
            self.answer(&question);
        }
    }

    /// When something is due.
    #[must_use]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.agenda.next()
    }

    /// The next answer.
    pub(super) fn poll_answer(&mut self) -> Option<Routed> {
        self.answers.pop_front()
    }

    fn answer(&mut self, question: &Question) {
        let router = &mut self.routers[question.router];
        let ready: Vec<&String> = router
            .agents
            .iter()
            .filter(|dn| self.words.get(*dn) == Some(&Word::Ready))
            .collect();
        let pick = router.random.below(ready.len() as u64);
        let agent = ready.get(usize::try_from(pick).unwrap_or(0));
        let defaults = router.random.chance(router.plan.defaults);
        let mut frame = json!({
            "Message": "RequestRouteCall",
            "ReferenceID": question.reference,
            "ConnID": question.conn_id,
        });
        match agent.filter(|_| !defaults) {
            Some(agent) => {
                frame["OtherDN"] = json!(agent);
                frame["RouteType"] = json!("Direct");
            }
            None => frame["RouteType"] = json!("Default"),
        }
        self.answers.push_back(Routed {
            connection: router.connection,
            frame: frame.to_string(),
        });
    }
}
