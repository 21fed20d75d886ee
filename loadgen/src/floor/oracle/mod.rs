//! The oracle: it knows the truth of every phone and caller, hears everything that the server
//! says, and holds the two against each other. Pure; it is told what happened, with the moment.
//!
//! Observations of several workers come in batches and not quite in order, and words travel. So a
//! contradiction counts only when it has outlasted the bound that the profile gives.
//!
//! `calls` follows callers and phones, `agents` the states of agents, `events` the order of events,
//! `requests` their answers, `join` whether the two sides tell of the same calls.

mod agents;
mod calls;
mod events;
mod join;
mod requests;
#[cfg(test)]
mod tests;
mod troubles;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::desk::Asked;
#[cfg(test)]
use super::desk::FIRST_REFERENCE;
use super::profile::{FaultKind, Profile};
use super::said::{Connection, Said};
use crate::population::{Fact, Fault, Record, Token};
use agents::Agents;
use calls::Calls;
use events::Events;
use join::Join;
use requests::Requests;
use troubles::{Lapse, Troubles};

pub use agents::Tally;

/// A rule of the oracle's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every call that is offered ends in one way, and none is lost.
    Conservation,
    /// Nobody has two calls at once who may have one, and no caller rings at two phones.
    DoubleOffer,
    /// A caller rings only where it may: at an agent of its queue who takes calls.
    WrongAgent,
    /// No caller waits for long while an agent of its queue is free.
    Starvation,
    /// What the server says of an agent is true.
    StaleState,
    /// The events of a call at a DN, and of an agent, are a legal word.
    EventOrder,
    /// The numbers of events rise by one.
    Sequence,
    /// Every request is answered once.
    Answers,
    /// What happens at phones is told in events, and the other way round.
    Testimony,
    /// No party meets a broken rule of SIP.
    Protocol,
}

impl Rule {
    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Conservation => "conservation",
            Self::DoubleOffer => "double-offer",
            Self::WrongAgent => "wrong-agent",
            Self::Starvation => "starvation",
            Self::StaleState => "stale-state",
            Self::EventOrder => "event-order",
            Self::Sequence => "sequence",
            Self::Answers => "answers",
            Self::Testimony => "testimony",
            Self::Protocol => "protocol",
        }
    }
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When it was found.
    pub at: Instant,
    /// Which.
    pub rule: Rule,
    /// The call, if a caller's is concerned.
    pub token: Option<Token>,
    /// The call as the server names it.
    pub conn_id: Option<String>,
    /// The DN, if one is concerned.
    pub dn: Option<String>,
    /// What happened.
    pub words: String,
}

/// Violations that are kept with their words; all are counted.
const VIOLATIONS_MAX: usize = 100;

/// The violations found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Violation>,
    counts: BTreeMap<Rule, u64>,
}

impl Findings {
    pub(super) fn add(&mut self, violation: Violation) {
        *self.counts.entry(violation.rule).or_default() += 1;
        if self.list.len() < VIOLATIONS_MAX {
            self.list.push(violation);
        }
    }
}

/// The oracle. See the module.
#[derive(Debug)]
pub(super) struct Oracle {
    calls: Calls,
    agents: Agents,
    events: Events,
    requests: Requests,
    join: Join,
    troubles: Troubles,
    findings: Findings,
}

impl Oracle {
    /// An oracle for a profile; connection `observer` is the one that hears everything.
    #[must_use]
    pub(super) fn new(profile: &Profile, observer: Connection) -> Self {
        let bounds = profile.bounds;
        Self {
            calls: Calls::new(profile),
            agents: Agents::new(profile, observer),
            events: Events::new(profile, observer),
            requests: Requests::new(bounds.request),
            join: Join::new(profile, observer),
            troubles: Troubles::new(profile.pbxs.len(), bounds.legs),
            findings: Findings::default(),
        }
    }

    /// Something goes wrong on purpose at a PBX, for so long.
    pub(super) fn trouble(&mut self, at: Instant, pbx: usize, kind: FaultKind, lasting: Duration) {
        self.troubles.begin(at, pbx, kind, lasting);
    }

    /// Something happened at a PBX or to its callers.
    pub(super) fn see(&mut self, pbx: usize, record: &Record) {
        if let Fact::Fault { token, dn, fault } = &record.fact {
            self.fault(pbx, record.at, *token, dn.clone(), *fault);
        }
        let available = self.agents.availability(record);
        self.calls
            .see(pbx, record, available, &self.troubles, &mut self.findings);
        self.agents.see(record);
        self.join.see(pbx, record);
    }

    fn fault(
        &mut self,
        pbx: usize,
        at: Instant,
        token: Option<Token>,
        dn: Option<String>,
        fault: Fault,
    ) {
        if !self.troubles.excuse_fault(pbx, at, fault) {
            self.findings.add(Violation {
                at,
                rule: Rule::Protocol,
                token,
                conn_id: None,
                words: format!("{fault:?}"),
                dn,
            });
        }
    }

    /// The server has said something.
    pub(super) fn hear(&mut self, said: &Said) {
        let request = self.requests.hear(said, &mut self.findings);
        self.agents.hear(said, request.as_deref());
        self.events.hear(said, &mut self.findings);
        self.join.hear(said);
    }

    /// A request was sent.
    pub(super) fn ask(&mut self, at: Instant, asked: &Asked) {
        self.requests.ask(at, asked);
    }

    /// A connection is lost, with the answers that were on their way.
    pub(super) fn lose(&mut self, connection: Connection) {
        self.requests.lose(connection);
        self.events.lose(connection);
    }

    /// A connection came back; `false` when the server had forgotten what it missed.
    pub(super) fn resume(&mut self, connection: Connection, complete: bool) {
        self.events.resume(connection, complete);
    }

    /// Looks for what has lasted too long.
    pub(super) fn check(&mut self, now: Instant) {
        self.calls.check(now, &self.troubles, &mut self.findings);
        self.calls
            .check_waiting(now, &self.agents, &self.troubles, &mut self.findings);
        self.agents.check(now, &self.troubles, &mut self.findings);
        self.requests.check(now, &mut self.findings);
        self.join.check(now, &self.troubles, &mut self.findings);
    }

    /// Everything must be over: what is not, is a violation.
    pub(super) fn finish(&mut self, now: Instant) {
        self.check(now);
        self.calls.finish(now, &self.troubles, &mut self.findings);
        self.events.finish(now, &mut self.findings);
        self.requests.finish(now, &mut self.findings);
    }

    /// The first violations, in the order in which they were found.
    #[must_use]
    pub(super) fn violations(&self) -> &[Violation] {
        &self.findings.list
    }

    /// How many violations of each rule there are.
    #[must_use]
    pub(super) fn counts(&self) -> &BTreeMap<Rule, u64> {
        &self.findings.counts
    }

    /// How the agents stand by the server's words.
    #[must_use]
    pub(super) fn tally(&self) -> Tally {
        self.agents.tally()
    }

    /// How often an agent's state was compared.
    #[must_use]
    pub(super) fn comparisons(&self) -> u64 {
        self.agents.comparisons()
    }

    /// Takes the times measured since the last call.
    pub(super) fn take_times(&mut self) -> Vec<(Measure, Duration)> {
        let mut times = self.agents.take_times();
        times.extend(self.calls.take_times());
        times.extend(self.join.take_times());
        times
    }

    /// The call as the server names it.
    #[must_use]
    pub(super) fn conn_id(&self, token: Token) -> Option<&str> {
        self.join.conn_id(token)
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// From the moment from which this caller and this agent could have met to the INVITE at the
    /// phone.
    Routing,
    /// How long callers who gave up had waited, from the moment at which they were to call.
    GivenUp,
    /// From a NOTIFY to the CTI event that it leads to.
    State,
    /// From the agent's 200 to the caller's.
    Bridge,
    /// From the first client that hears an event to each of the others.
    FanOut,
}

impl Measure {
    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Routing => "routing",
            Self::GivenUp => "caller gave up after",
            Self::State => "state",
            Self::Bridge => "answer-to-bridge",
            Self::FanOut => "event fan-out",
        }
    }
}
