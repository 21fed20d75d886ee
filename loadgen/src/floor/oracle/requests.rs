//! Every request is answered once, and in time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Findings, Rule, Violation};
use crate::floor::desk::{Asked, FIRST_REFERENCE};
use crate::floor::said::{Connection, Said};

/// Answers that are remembered, to notice a second one.
const ANSWERED_MAX: usize = 100_000;

/// A request that waits.
#[derive(Debug)]
struct Open {
    at: Instant,
    message: String,
    dn: String,
}

/// All requests.
#[derive(Debug)]
pub(super) struct Requests {
    bound: Duration,
    open: BTreeMap<(Connection, u64), Open>,
    answered: BTreeMap<u64, Connection>,
}

impl Requests {
    pub(super) fn new(bound: Duration) -> Self {
        Self {
            bound,
            open: BTreeMap::new(),
            answered: BTreeMap::new(),
        }
    }

    pub(super) fn ask(&mut self, at: Instant, asked: &Asked) {
        let open = Open {
            at,
            message: asked.message.clone(),
            dn: asked.dn.clone(),
        };
        self.open.insert((asked.connection, asked.reference), open);
    }

    /// Takes an answer; what it answers, if it is one.
    pub(super) fn hear(&mut self, said: &Said, findings: &mut Findings) -> Option<String> {
        let reference = said.reference.filter(|number| *number >= FIRST_REFERENCE)?;
        // A router's answer repeats the number of its question, which the server minted.
        if said.message == "EventRouteRequest" {
            return None;
        }
        if let Some(open) = self.open.remove(&(said.connection, reference)) {
            if self.answered.len() == ANSWERED_MAX {
                self.answered.pop_first();
            }
            self.answered.insert(reference, said.connection);
            return Some(open.message);
        }
        if self.answered.get(&reference) == Some(&said.connection) {
            findings.add(Violation {
                at: said.at,
                rule: Rule::Answers,
                token: None,
                conn_id: said.conn_id.clone(),
                dn: Some(said.dn.clone()),
                words: format!("request {reference} is answered again, by {}", said.message),
            });
        }
        None
    }

    /// The answers of a lost connection are lost with it.
    pub(super) fn lose(&mut self, connection: Connection) {
        self.open.retain(|(of, _), _| *of != connection);
    }

    pub(super) fn check(&mut self, now: Instant, findings: &mut Findings) {
        let bound = self.bound;
        let late = |open: &Open| now >= open.at + bound;
        let keys: Vec<(Connection, u64)> = self
            .open
            .iter()
            .filter(|(_, open)| late(open))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.unanswered(now, key, findings);
        }
    }

    pub(super) fn finish(&mut self, now: Instant, findings: &mut Findings) {
        for key in self.open.keys().copied().collect::<Vec<_>>() {
            self.unanswered(now, key, findings);
        }
    }

    fn unanswered(&mut self, now: Instant, key: (Connection, u64), findings: &mut Findings) {
        if let Some(open) = self.open.remove(&key) {
            let waited = now.saturating_duration_since(open.at).as_secs();
            findings.add(Violation {
                at: now,
                rule: Rule::Answers,
                token: None,
                conn_id: None,
                words: format!("{} {} has no answer after {waited} s", open.message, key.1),
                dn: Some(open.dn),
            });
        }
    }
}
