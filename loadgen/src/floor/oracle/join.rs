//! Whether both sides tell of the same calls: what a phone did is told in an event, and what an
//! event tells has happened at the phone. A caller's own number joins the two.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Findings, Measure, Rule, Troubles, Violation};
use crate::floor::profile::Profile;
use crate::floor::said::{Connection, Said};
use crate::population::{Fact, Record, Token, caller_number};

/// Events whose first hearing is remembered.
const HEARD_MAX: usize = 65_536;

/// A call at one phone, from both sides.
#[derive(Debug, Default)]
struct Visit {
    answered: Option<Instant>,
    ended: Option<Instant>,
    established: Option<Instant>,
    released: Option<Instant>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Join {
    observer: Connection,
    bound: Duration,
    prefixes: Vec<String>,
    pbx_of: BTreeMap<String, usize>,
    by_number: BTreeMap<String, Token>,
    conn_ids: BTreeMap<Token, String>,
    visits: BTreeMap<(Token, String), Visit>,
    heard: BTreeMap<u64, Instant>,
    times: Vec<(Measure, Duration)>,
}

impl Join {
    pub(super) fn new(profile: &Profile, observer: Connection) -> Self {
        let phones = profile.pbxs.iter().enumerate();
        let phones = phones.flat_map(|(pbx, plan)| plan.phones.iter().map(move |dn| (dn, pbx)));
        Self {
            observer,
            bound: profile.bounds.event,
            prefixes: (0..profile.pbxs.len()).map(crate::floor::prefix).collect(),
            pbx_of: phones.collect(),
            by_number: BTreeMap::new(),
            conn_ids: BTreeMap::new(),
            visits: BTreeMap::new(),
            heard: BTreeMap::new(),
            times: Vec::new(),
        }
    }

    pub(super) fn conn_id(&self, token: Token) -> Option<&str> {
        self.conn_ids.get(&token).map(String::as_str)
    }

    pub(super) fn take_times(&mut self) -> Vec<(Measure, Duration)> {
        std::mem::take(&mut self.times)
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "it looks for what events must tell of, among many facts"
    )]
    pub(super) fn see(&mut self, pbx: usize, record: &Record) {
        match &record.fact {
            Fact::Offered { token, .. } => {
                let number = caller_number(&self.prefixes[pbx], *token);
                self.by_number.insert(number, *token);
            }
            Fact::Ended { token, .. } => {
                let number = caller_number(&self.prefixes[pbx], *token);
                if self.by_number.len() > HEARD_MAX {
                    self.by_number.remove(&number);
                }
            }
            Fact::PhoneAnswered {
                token: Some(token),
                dn,
            } if self.pbx_of.contains_key(dn) => {
                self.visit(*token, dn).answered = Some(record.at);
            }
            Fact::PhoneEnded {
                token: Some(token),
                dn,
                ..
            } if self.pbx_of.contains_key(dn) => {
                self.visit(*token, dn).ended = Some(record.at);
            }
            _ => {}
        }
    }

    fn visit(&mut self, token: Token, dn: &str) -> &mut Visit {
        self.visits.entry((token, dn.to_owned())).or_default()
    }

    pub(super) fn hear(&mut self, said: &Said) {
        if let Some(sequence) = said.sequence {
            match self.heard.get(&sequence) {
                Some(first) => {
                    let time = said.at.saturating_duration_since(*first);
                    self.times.push((Measure::FanOut, time));
                }
                None => {
                    if self.heard.len() == HEARD_MAX {
                        self.heard.pop_first();
                    }
                    self.heard.insert(sequence, said.at);
                }
            }
        }
        if said.connection != self.observer || !self.pbx_of.contains_key(&said.dn) {
            return;
        }
        let token = said.ani.as_ref().and_then(|ani| self.by_number.get(ani));
        let Some(token) = token.copied() else {
            return;
        };
        if let Some(conn_id) = &said.conn_id {
            self.conn_ids.insert(token, conn_id.clone());
            if self.conn_ids.len() > HEARD_MAX {
                self.conn_ids.pop_first();
            }
        }
        let at = Some(said.at);
        match said.message.as_str() {
            "EventEstablished" => self.visit(token, &said.dn).established = at,
            "EventReleased" => {
                if let Some(visit) = self.visits.get_mut(&(token, said.dn.clone())) {
                    visit.released = at;
                }
            }
            _ => {}
        }
    }

    pub(super) fn check(&mut self, now: Instant, troubles: &Troubles, findings: &mut Findings) {
        let bound = self.bound;
        let pbx_of = &self.pbx_of;
        self.visits.retain(|(token, dn), visit| {
            let Some(verdict) = visit.verdict(now, bound) else {
                return true;
            };
            let home = pbx_of.get(dn).copied().unwrap_or(0);
            let since = visit.answered.or(visit.established).unwrap_or(now);
            if let Err(words) = verdict
                && !troubles.any(home, since, now)
            {
                findings.add(Violation {
                    at: now,
                    rule: Rule::Testimony,
                    token: Some(*token),
                    conn_id: None,
                    dn: Some(dn.clone()),
                    words: words.to_owned(),
                });
            }
            false
        });
    }
}

impl Visit {
    /// Whether everything about it has been told; `None` while it may still be.
    fn verdict(&self, now: Instant, bound: Duration) -> Option<Result<(), &'static str>> {
        let late = |at: Option<Instant>| at.is_some_and(|at| now >= at + bound);
        match (self.answered, self.ended, self.established, self.released) {
            (Some(_), Some(_), Some(_), Some(_)) => Some(Ok(())),
            (None, _, Some(_), _) if late(self.established) => {
                Some(Err("EventEstablished, and the phone has not answered"))
            }
            // A call that ends in the same moment need not have been established.
            (Some(answered), Some(ended), None, _) if ended < answered + bound => {
                late(self.ended).then_some(Ok(()))
            }
            (Some(_), _, None, _) if late(self.answered) => Some(Err(
                "the phone has answered, and there is no EventEstablished",
            )),
            (Some(_), Some(_), Some(_), None) if late(self.ended) => Some(Err(
                "the call at the phone has ended, and there is no EventReleased",
            )),
            (Some(_), None, Some(_), Some(_)) if late(self.released) => {
                Some(Err("EventReleased, and the phone still has the call"))
            }
            (_, Some(_), None, _) if self.answered.is_none() => Some(Ok(())),
            _ => None,
        }
    }
}
