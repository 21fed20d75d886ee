//! The states of agents: what the server says, held against what phones and desktops did.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::{Findings, Lapse, Measure, Rule, Troubles, Violation};
use crate::floor::profile::Profile;
use crate::floor::said::{Connection, Said, Word};
use crate::population::{Fact, Presence, Record};

/// How long after a call of the server's own a phone's word does not count at once (the server
/// waits a second on purpose).
const OWN_CALL_TAIL: Duration = Duration::from_millis(1_500);

/// What an agent's desktop wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Ready,
    NotReady,
    Out,
}

/// One agent.
#[derive(Debug)]
struct Agent {
    pbx: usize,
    busy_word: &'static str,
    wrap_up: Duration,
    /// Whether agents of the group end their wrap-up themselves.
    wraps_up: bool,
    /// Whether their desktops lose their connections.
    disconnects: bool,
    // The truth.
    registered: bool,
    private: bool,
    /// Calls of the server's at the phone.
    calls: u32,
    last_call: Option<Instant>,
    /// Whether the server watches the phone.
    watched: u32,
    wish: Option<Wish>,
    /// Whether the phone has gone since: a NotReady outlives that only if the desktop was connected
    /// at that moment, which is seen from nowhere else.
    doubtful: bool,
    changed: Option<Instant>,
    // What the server says.
    word: Option<Word>,
    /// NOTIFYs that must change the word, oldest first.
    awaited: VecDeque<(Instant, Word)>,
    mismatched: bool,
    /// Whether a Ready of the desktop was refused and remembered, since the server's last word.
    refused: bool,
    /// Whether the server has said that the agent wraps up.
    wraps_up_now: bool,
    /// Since when the agent may be given a call, by all that is true; `None` if it may not.
    free_since: Option<Instant>,
    unfree_since: Option<Instant>,
}

/// How the agents stand by the server's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ready.
    pub ready: usize,
    /// Not ready, in whatever way.
    pub not_ready: usize,
    /// Logged out.
    pub logged_out: usize,
}

/// All agents.
#[derive(Debug)]
pub(super) struct Agents {
    observer: Connection,
    bound: Duration,
    agents: BTreeMap<String, Agent>,
    comparisons: u64,
    times: Vec<(Measure, Duration)>,
}

/// Whether an agent may be given a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability {
    /// It is no agent.
    Unknown,
    /// It may, since then.
    Free(Option<Instant>),
    /// It may not, since then.
    Unfree(Instant),
}

impl Agents {
    pub(super) fn new(profile: &Profile, observer: Connection) -> Self {
        let mut agents = BTreeMap::new();
        for group in &profile.agents {
            let wrap_up = group
                .queues
                .iter()
                .filter_map(|name| profile.queues.iter().find(|queue| queue.name == *name))
                .map(|queue| queue.wrap_up)
                .max();
            for dn in group.phones.iter() {
                let holds = |pbx: &crate::floor::profile::PbxPlan| pbx.phones.contains(&dn);
                let pbx = profile.pbxs.iter().position(holds).unwrap_or(0);
                let agent = Agent {
                    pbx,
                    busy_word: profile.pbxs[pbx].kind.busy_word(),
                    wrap_up: wrap_up.unwrap_or_default(),
                    wraps_up: group.desk.wrap_up.is_some(),
                    disconnects: group.desk.disconnects.is_some(),
                    registered: true,
                    private: false,
                    calls: 0,
                    last_call: None,
                    watched: 0,
                    wish: None,
                    doubtful: false,
                    changed: None,
                    word: None,
                    awaited: VecDeque::new(),
                    mismatched: false,
                    refused: false,
                    wraps_up_now: false,
                    free_since: None,
                    unfree_since: None,
                };
                agents.insert(dn, agent);
            }
        }
        Self {
            observer,
            bound: profile.bounds.state,
            agents,
            comparisons: 0,
            times: Vec::new(),
        }
    }

    /// Whether the phone of a record may be given a call, before the record.
    pub(super) fn availability(&self, record: &Record) -> Availability {
        let Some(agent) = subject(&record.fact).and_then(|dn| self.agents.get(dn)) else {
            return Availability::Unknown;
        };
        match agent.unfree_since {
            Some(since) => Availability::Unfree(since),
            None => Availability::Free(agent.free_since),
        }
    }

    /// Whether an agent has been free for so long, by all that is true and told to the server.
    pub(super) fn is_free(&self, dn: &str, now: Instant, length: Duration) -> bool {
        let free = |agent: &Agent| {
            let long = agent.free_since.is_some_and(|since| now >= since + length);
            long && agent.watched > 0
        };
        self.agents.get(dn).is_some_and(free)
    }

    pub(super) fn see(&mut self, record: &Record) {
        let Some(agent) = subject(&record.fact).and_then(|dn| self.agents.get_mut(dn)) else {
            return;
        };
        agent.see(record);
    }

    /// Takes what is said; `request` is what it answers.
    pub(super) fn hear(&mut self, said: &Said, request: Option<&str>) {
        for state in &said.agents {
            if let Some(agent) = self.agents.get_mut(&state.dn)
                && said.connection == self.observer
            {
                agent.word = Some(state.word.clone());
            }
        }
        let Some(agent) = self.agents.get_mut(&said.dn) else {
            return;
        };
        // A Ready that the phone does not allow now is remembered, and counts when it does.
        let remembered =
            request == Some("RequestAgentReady") && said.error.as_deref() == Some("WrongState");
        if remembered {
            agent.wish(said.at, &Word::Ready);
            agent.refused = true;
        }
        // The agent has come, and the phone has not: that one decides from here.
        let waits_for_phone =
            request == Some("RequestAgentLogin") && said.error.as_deref() == Some("OutOfService");
        if waits_for_phone {
            agent.wish = None;
            agent.change(said.at);
        }
        let Some(word) = said.word() else {
            return;
        };
        if said.connection != self.observer {
            // The answer to the agent's own desktop: what it asked for holds from now on.
            if request.is_some() {
                agent.wish(said.at, &word);
            }
            return;
        }
        let awaited = agent.awaited.iter().position(|(_, wanted)| *wanted == word);
        if let Some(place) = awaited {
            let (sent, _) = agent.awaited[place];
            let time = said.at.saturating_duration_since(sent);
            self.times.push((Measure::State, time));
            // Whatever was awaited before has been overtaken.
            agent.awaited.drain(..=place);
        }
        // A further login of somebody who is logged in changes nothing.
        let again = word == Word::LoggedIn
            && !matches!(agent.word, None | Some(Word::LoggedOut | Word::LoggedIn));
        if again {
            return;
        }
        agent.doubtful |= word == Word::LoggedOut && agent.disconnects;
        agent.wraps_up_now = word == Word::WrappingUp;
        agent.refused = false;
        agent.word = Some(word);
        agent.settle(said.at);
    }

    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for agent in self.agents.values() {
            match agent.word {
                Some(Word::Ready) => tally.ready += 1,
                Some(Word::NotReady(_) | Word::WrappingUp | Word::LoggedIn) => tally.not_ready += 1,
                Some(Word::LoggedOut) | None => tally.logged_out += 1,
            }
        }
        tally
    }

    pub(super) fn comparisons(&self) -> u64 {
        self.comparisons
    }

    pub(super) fn take_times(&mut self) -> Vec<(Measure, Duration)> {
        std::mem::take(&mut self.times)
    }

    pub(super) fn check(&mut self, now: Instant, troubles: &Troubles, findings: &mut Findings) {
        for (dn, agent) in &mut self.agents {
            let settled = agent
                .changed
                .is_none_or(|changed| now >= changed + self.bound);
            let troubled = troubles.excuse(agent.pbx, now, now, Lapse::Stale);
            if !settled || troubled || agent.watched == 0 {
                agent.mismatched &= !settled;
                continue;
            }
            self.comparisons += 1;
            let wrong = agent.contradiction(now, self.bound);
            if let Some(words) = &wrong
                && !agent.mismatched
            {
                findings.add(Violation {
                    at: now,
                    rule: Rule::StaleState,
                    token: None,
                    conn_id: None,
                    dn: Some(dn.clone()),
                    words: words.clone(),
                });
            }
            agent.mismatched = wrong.is_some();
        }
    }
}

/// The phone that a fact is about.
fn subject(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::Rang { dn, .. }
        | Fact::PhoneRefused { dn, .. }
        | Fact::PhoneCancelled { dn, .. }
        | Fact::PhoneAnswered { dn, .. }
        | Fact::PhoneEnded { dn, .. }
        | Fact::Registered { dn, .. }
        | Fact::PrivateCall { dn, .. }
        | Fact::Subscribed { dn, .. }
        | Fact::Unsubscribed { dn }
        | Fact::Notified { dn, .. }
        | Fact::Dialled { dn, .. }
        | Fact::DialFailed { dn, .. } => Some(dn),
        Fact::Offered { .. }
        | Fact::Progress { .. }
        | Fact::EarlyMedia { .. }
        | Fact::Connected { .. }
        | Fact::Ended { .. }
        | Fact::Changed { .. }
        | Fact::ChangeRefused { .. }
        | Fact::Referred { .. }
        | Fact::Info { .. }
        | Fact::Identified { .. }
        | Fact::DialAnswered { .. }
        | Fact::SubscribeRefused { .. }
        | Fact::Fault { .. } => None,
    }
}

impl Agent {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "it looks for what changes a phone, among many facts"
    )]
    fn see(&mut self, record: &Record) {
        let at = record.at;
        match &record.fact {
            Fact::Rang { .. } | Fact::Dialled { .. } => {
                self.calls += 1;
                self.awaited.clear();
            }
            Fact::PhoneRefused { .. }
            | Fact::PhoneCancelled { .. }
            | Fact::PhoneEnded { .. }
            | Fact::DialFailed { .. } => {
                self.calls = self.calls.saturating_sub(1);
                self.last_call = Some(at);
            }
            Fact::Registered { registered, .. } => self.registered = *registered,
            Fact::PrivateCall { active, .. } => self.private = *active,
            Fact::Subscribed { refresh: false, .. } => self.watched += 1,
            Fact::Unsubscribed { .. } => self.watched = self.watched.saturating_sub(1),
            Fact::Notified { presence, .. } => {
                self.expect(at, *presence);
                return;
            }
            _ => return,
        }
        self.change(at);
    }

    /// What the desktop's request has led to.
    fn wish(&mut self, at: Instant, word: &Word) {
        self.doubtful = false;
        self.wish = Some(match word {
            Word::LoggedOut => Wish::Out,
            Word::Ready | Word::LoggedIn => Wish::Ready,
            Word::NotReady(_) | Word::WrappingUp => Wish::NotReady,
        });
        self.change(at);
    }

    /// What is true has changed.
    fn change(&mut self, at: Instant) {
        self.changed = Some(self.changed.map_or(at, |changed| changed.max(at)));
        self.settle(at);
    }

    /// Whether the agent may be given a call, by all that is true.
    fn settle(&mut self, at: Instant) {
        let free = self.registered
            && !self.private
            && self.calls == 0
            && !self.wraps_up_now
            && matches!(self.wish, None | Some(Wish::Ready));
        match (free, self.unfree_since) {
            (true, Some(_)) => {
                self.unfree_since = None;
                self.free_since = Some(at);
            }
            (true, None) if self.free_since.is_none() => self.free_since = Some(at),
            (false, None) => {
                self.unfree_since = Some(at);
                self.free_since = None;
            }
            (true, None) | (false, Some(_)) => {}
        }
    }

    /// A NOTIFY has been sent: what the server must say soon, unless it says so already.
    fn expect(&mut self, at: Instant, presence: Presence) {
        let word = match presence {
            Presence::Idle => Word::Ready,
            Presence::OnThePhone => Word::NotReady(Some(self.busy_word.to_owned())),
            Presence::Closed | Presence::Terminated => Word::LoggedOut,
            Presence::Alerting | Presence::ClosedOnThePhone => return,
        };
        let tail = self
            .last_call
            .is_some_and(|ended| at < ended + OWN_CALL_TAIL);
        let last = self
            .awaited
            .back()
            .map(|(_, word)| word)
            .or(self.word.as_ref());
        let known = match last {
            Some(last) => *last == word,
            None => word == Word::LoggedOut,
        };
        let desktop_decides = matches!(self.wish, Some(Wish::NotReady | Wish::Out));
        if self.calls == 0 && !tail && !known && !desktop_decides {
            self.awaited.push_back((at, word));
        }
    }

    /// Why what the server says cannot be true, if it cannot.
    fn contradiction(&self, now: Instant, bound: Duration) -> Option<String> {
        // In a call, what presence says of the phone is the call's own doing.
        if self.calls > 0 {
            return None;
        }
        let word = self.word.clone().unwrap_or(Word::LoggedOut);
        let wraps_up = self.wrap_up > Duration::ZERO;
        let wrap_up_over = self
            .last_call
            .is_none_or(|ended| now >= ended + self.wrap_up + bound);
        if word == Word::WrappingUp && wraps_up && (!wrap_up_over || self.wraps_up) {
            return None;
        }
        let (fits, truth) = match (self.registered, self.wish, self.private) {
            (false, _, _) => (word == Word::LoggedOut, "the phone is away"),
            (true, Some(Wish::Out), _) => (word == Word::LoggedOut, "the desktop has logged out"),
            (true, Some(Wish::NotReady), _) => {
                let not_ready = matches!(word, Word::NotReady(_) | Word::WrappingUp);
                (
                    not_ready || self.doubtful && word == Word::Ready,
                    "the desktop is not ready",
                )
            }
            (true, _, true) => {
                let busy = Word::NotReady(Some(self.busy_word.to_owned()));
                // The refusal is the server's word about the phone: its reason stays the desktop's.
                let told = self.refused && word == Word::NotReady(None);
                (word == busy || told, "the phone is in a private call")
            }
            (true, None | Some(Wish::Ready), false) => {
                (word == Word::Ready, "phone and desktop are free")
            }
        };
        (!fits).then(|| format!("{truth}, and the server says {word:?}"))
    }
}
