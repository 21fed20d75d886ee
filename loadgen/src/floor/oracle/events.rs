//! The order of events: numbers rise by one, the events of a call at a DN are a legal word, and so
//! are those of an agent.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Findings, Rule, Violation};
use crate::floor::profile::Profile;
use crate::floor::said::{Connection, Said};

/// How a call stands at a DN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    Dialing,
    Ringing,
    Up,
    Held,
}

/// How an agent stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Standing {
    logged_in: bool,
    ready: bool,
}

/// All event streams, as the observer hears them.
#[derive(Debug)]
pub(super) struct Events {
    observer: Connection,
    agents: BTreeMap<String, Standing>,
    calls: BTreeMap<(String, String), Stage>,
    last: Option<u64>,
    /// The observer has missed something: streams may begin anywhere.
    is_blind: bool,
}

impl Events {
    pub(super) fn new(profile: &Profile, observer: Connection) -> Self {
        let dns = profile.agents.iter().flat_map(|group| group.phones.iter());
        Self {
            observer,
            agents: dns.map(|dn| (dn, Standing::default())).collect(),
            calls: BTreeMap::new(),
            last: None,
            is_blind: false,
        }
    }

    pub(super) fn lose(&mut self, connection: Connection) {
        self.is_blind |= connection == self.observer;
    }

    pub(super) fn resume(&mut self, connection: Connection, complete: bool) {
        if connection == self.observer {
            self.is_blind = !complete;
            if !complete {
                self.last = None;
                self.calls.clear();
            }
        }
    }

    pub(super) fn hear(&mut self, said: &Said, findings: &mut Findings) {
        if said.connection != self.observer {
            return;
        }
        for agent in &said.agents {
            if let Some(standing) = self.agents.get_mut(&agent.dn) {
                use crate::floor::said::Word;
                standing.logged_in = agent.word != Word::LoggedOut;
                standing.ready = agent.word == Word::Ready;
            }
        }
        let mut fault = |rule, words: String| {
            findings.add(Violation {
                at: said.at,
                rule,
                token: None,
                conn_id: said.conn_id.clone(),
                dn: Some(said.dn.clone()),
                words,
            });
        };
        if let Some(sequence) = said.sequence {
            if let Some(last) = self.last.filter(|last| last + 1 != sequence) {
                fault(
                    Rule::Sequence,
                    format!("event {sequence} follows event {last}"),
                );
            }
            self.last = Some(sequence);
        }
        if let Some(standing) = self.agents.get_mut(&said.dn)
            && let Some(words) = agent_event(standing, &said.message)
        {
            fault(Rule::EventOrder, words);
        }
        if let Some(words) = self.call_event(said) {
            fault(Rule::EventOrder, words);
        }
    }

    /// What is wrong about a call's event, if anything is.
    fn call_event(&mut self, said: &Said) -> Option<String> {
        let call = said.conn_id.clone()?;
        let key = (said.dn.clone(), call);
        let mut before = self.calls.get(&key).copied();
        if said.message == "EventPartyChanged" && before.is_none() {
            // The call goes on under another identity (T-Library's PreviousConnID).
            let previous = said.previous.clone()?;
            before = self.calls.remove(&(said.dn.clone(), previous));
        }
        let (allowed, after) = step(&said.message, before)?;
        match after {
            Some(stage) => self.calls.insert(key, stage),
            None => self.calls.remove(&key),
        };
        (!allowed && !self.is_blind).then(|| match before {
            Some(stage) => format!("{} although the call is {stage:?}", said.message),
            None => format!("{} of a call that never came", said.message),
        })
    }

    /// No call may be left.
    pub(super) fn finish(&mut self, now: Instant, findings: &mut Findings) {
        for ((dn, conn_id), stage) in std::mem::take(&mut self.calls) {
            findings.add(Violation {
                at: now,
                rule: Rule::EventOrder,
                token: None,
                conn_id: Some(conn_id),
                dn: Some(dn),
                words: format!("the call never left: it is still {stage:?}"),
            });
        }
    }
}

/// Whether an event is allowed at a stage, and the stage after it; `None` for an event that says
/// nothing about a call at a DN.
fn step(message: &str, before: Option<Stage>) -> Option<(bool, Option<Stage>)> {
    use Stage::{Dialing, Held, Queued, Ringing, Up};
    let is = |stages: &[Stage]| before.is_some_and(|stage| stages.contains(&stage));
    Some(match message {
        "EventQueued" => (before.is_none(), Some(Queued)),
        "EventRinging" => (before.is_none(), Some(Ringing)),
        "EventDialing" => (before.is_none(), Some(Dialing)),
        "EventNetworkReached" => (is(&[Dialing]), before),
        // Whose partner was transferred in one step, to somebody who is busy, is up.
        "EventDestinationBusy" => (is(&[Dialing, Up]), before),
        "EventEstablished" => (is(&[Ringing, Dialing]), Some(Up)),
        "EventHeld" => (is(&[Up]), Some(Held)),
        "EventRetrieved" => (is(&[Held]), Some(Up)),
        "EventPartyChanged" | "EventPartyAdded" | "EventPartyDeleted" => {
            (before.is_some(), before.or(Some(Up)))
        }
        "EventRouteRequest" | "EventRouteUsed" => (is(&[Queued]), before),
        "EventDiverted" => (is(&[Queued]), None),
        "EventAbandoned" => (is(&[Queued, Ringing]), None),
        "EventReleased" => (before.is_some(), None),
        _ => return None,
    })
}

/// What is wrong about an agent's event, if anything is. A further login of the same agent and a
/// further word of the same kind are answers to somebody's request, and allowed.
fn agent_event(standing: &mut Standing, message: &str) -> Option<String> {
    let before = *standing;
    let out = match message {
        "EventAgentLogin" => {
            standing.logged_in = true;
            false
        }
        "EventAgentLogout" => {
            *standing = Standing::default();
            true
        }
        "EventAgentReady" => {
            standing.ready = true;
            true
        }
        "EventAgentNotReady" => {
            standing.ready = false;
            true
        }
        _ => return None,
    };
    (out && !before.logged_in).then(|| format!("{message} of an agent who is not logged in"))
}
