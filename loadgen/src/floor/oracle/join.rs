//! Whether both sides tell of the same calls: what a phone did is told in an event, and what an
//! event tells has happened at the phone. A caller's own number joins the two; a call that consults
//! about another is known by it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::{Findings, Lapse, Measure, Rule, Troubles, Violation};
use crate::floor::profile::Profile;
use crate::floor::said::{Connection, Said};
use crate::population::{Fact, Record, Token, caller_number};

/// Events whose first hearing is remembered.
const HEARD_MAX: usize = 65_536;

/// What is about one caller at one phone, from both sides: the caller's call, and what consults
/// about it.
#[derive(Debug, Default)]
struct Visit {
    /// Dialogs that the phone has.
    dialogs: u32,
    answered: Option<Instant>,
    ended: Option<Instant>,
    /// Calls that the server tells of.
    calls: BTreeSet<String>,
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
    by_conn_id: BTreeMap<String, Token>,
    /// The same ConnIDs, the oldest first.
    recent: VecDeque<String>,
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
            by_conn_id: BTreeMap::new(),
            recent: VecDeque::new(),
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
                let visit = self.visit(*token, dn);
                visit.dialogs += 1;
                visit.answered.get_or_insert(record.at);
                visit.ended = None;
            }
            Fact::PhoneEnded {
                token: Some(token),
                dn,
                ..
            } if self.pbx_of.contains_key(dn) => {
                let visit = self.visit(*token, dn);
                visit.dialogs = visit.dialogs.saturating_sub(1);
                if visit.dialogs == 0 {
                    visit.ended = Some(record.at);
                }
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
        let (Some(conn_id), Some(token)) = (&said.conn_id, self.token(said)) else {
            return;
        };
        if !said.is_consult() {
            self.conn_ids.insert(token, conn_id.clone());
            if self.conn_ids.len() > HEARD_MAX {
                self.conn_ids.pop_first();
            }
        }
        if self.by_conn_id.insert(conn_id.clone(), token).is_none() {
            self.recent.push_back(conn_id.clone());
        }
        if self.recent.len() > HEARD_MAX
            && let Some(oldest) = self.recent.pop_front()
        {
            self.by_conn_id.remove(&oldest);
        }
        if said.message == "EventEstablished" {
            self.visit(token, &said.dn);
        }
        if let Some(visit) = self.visits.get_mut(&(token, said.dn.clone())) {
            visit.hear(said, conn_id);
        }
    }

    /// The caller that an event is about.
    fn token(&self, said: &Said) -> Option<Token> {
        let by_number = said.ani.as_ref().and_then(|ani| self.by_number.get(ani));
        let by_call = |conn_id: &Option<String>| self.by_conn_id.get(conn_id.as_ref()?);
        let known = by_number.or_else(|| by_call(&said.conn_id));
        known.or_else(|| by_call(&said.previous)).copied()
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
                && !troubles.excuse(home, since, now, Lapse::Untold)
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
    fn hear(&mut self, said: &Said, conn_id: &str) {
        match said.message.as_str() {
            "EventEstablished" => {
                self.established.get_or_insert(said.at);
                self.calls.insert(conn_id.to_owned());
            }
            "EventDialing" => {
                self.calls.insert(conn_id.to_owned());
            }
            "EventPartyChanged" => {
                if let Some(previous) = &said.previous
                    && self.calls.remove(previous)
                {
                    self.calls.insert(conn_id.to_owned());
                }
            }
            "EventReleased" | "EventAbandoned" => {
                self.calls.remove(conn_id);
                if self.calls.is_empty() {
                    self.released = Some(said.at);
                }
                return;
            }
            _ => return,
        }
        self.released = None;
    }

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
