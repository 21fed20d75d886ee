//! The fold of the event stream: what every agent, call, queue and trunk is doing, as far as the
//! events said it. It follows the events and judges none of them; `snapshot` shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use siphasher::sip::SipHasher13;

use crate::config::{Address, DnIndex, QueueIndex, TrunkIndex};
use crate::cti::{
    AgentWorkMode, CallInfo, CallState, ConnId, DnRole, Event, EventName, ForwardMode,
    KeyValueList, Notice, SubscriptionStatus, TrunkStatus,
};
use crate::limits::CONFERENCE_MEMBERS_SHOWN_MAX;

use super::address::{AddressBook, AddressId};

/// What an agent is doing, in T-Library's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentStatus {
    /// Nobody is logged in.
    LoggedOut,
    /// Logged in, neither Ready nor NotReady yet.
    LoggedIn,
    /// Takes calls.
    Ready,
    /// Takes none.
    NotReady,
    /// Writes up the last call.
    AfterCallWork,
    /// Away from the desk.
    WalkAway,
}

impl AgentStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::LoggedOut,
        Self::LoggedIn,
        Self::Ready,
        Self::NotReady,
        Self::AfterCallWork,
        Self::WalkAway,
    ];

    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LoggedOut => "LoggedOut",
            Self::LoggedIn => "LoggedIn",
            Self::Ready => "Ready",
            Self::NotReady => "NotReady",
            Self::AfterCallWork => "ACW",
            Self::WalkAway => "WalkAway",
        }
    }
}

/// What is known of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentState {
    /// What it is doing.
    pub status: AgentStatus,
    /// Ready or NotReady for what.
    pub work_mode: Option<AgentWorkMode>,
    /// Who is logged in.
    pub agent_id: Option<Box<str>>,
    /// Why its last change was.
    pub reasons: Arc<Reasons>,
    /// Since when; `None` before the first event.
    pub since: Option<Instant>,
    /// How the DN's presence subscription stands.
    pub subscription: SubscriptionStatus,
    /// Whether calls are kept away from the DN.
    pub dnd: bool,
    /// When calls for the DN go elsewhere, and where.
    pub forward: Option<Box<(ForwardMode, Box<str>)>>,
}

const _: () = assert!(size_of::<AgentState>() <= 56, "there are 100,000 of them");

/// Why a change was. Agents whose changes follow each other and have the same reasons share one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    /// Software reasons.
    pub software: KeyValueList,
    /// Hardware reasons.
    pub extensions: KeyValueList,
}

impl AgentState {
    fn unheard_of(reasons: &Arc<Reasons>) -> Self {
        Self {
            status: AgentStatus::LoggedOut,
            work_mode: None,
            agent_id: None,
            reasons: Arc::clone(reasons),
            since: None,
            subscription: SubscriptionStatus::Off,
            dnd: false,
            forward: None,
        }
    }

    fn log_in(&mut self, event: &Event, last: &mut Arc<Reasons>) {
        // A further login of an agent that is in names no change of state.
        if self.status == AgentStatus::LoggedOut {
            self.change(AgentStatus::LoggedIn, event, last);
        } else if let Some(agent_id) = &event.agent_id {
            self.agent_id = Some(agent_id.as_str().into());
        }
    }

    fn log_out(&mut self, event: &Event, last: &mut Arc<Reasons>) {
        self.change(AgentStatus::LoggedOut, event, last);
        self.agent_id = None;
        self.work_mode = None;
    }

    /// `last` is why the last change of any agent was, and then why this one is.
    fn change(&mut self, status: AgentStatus, event: &Event, last: &mut Arc<Reasons>) {
        self.status = status;
        self.work_mode = event.agent_work_mode;
        if last.software != event.reasons || last.extensions != event.extensions {
            *last = Arc::new(Reasons {
                software: event.reasons.clone(),
                extensions: event.extensions.clone(),
            });
        }
        self.reasons = Arc::clone(last);
        self.since = Some(event.at);
        if let Some(agent_id) = &event.agent_id {
            self.agent_id = Some(agent_id.as_str().into());
        }
    }
}

/// How a party stands in its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartyStatus {
    /// Waits at a routing point.
    Queued,
    /// Its phone rings.
    Ringing,
    /// It has dialled.
    Dialing,
    /// It talks.
    Talking,
    /// It has put the call on hold.
    Held,
}

impl PartyStatus {
    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Ringing => "Ringing",
            Self::Dialing => "Dialing",
            Self::Talking => "Talking",
            Self::Held => "Held",
        }
    }
}

/// One address's part in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// What is known of the call.
    pub call: Arc<CallInfo>,
    /// How the party stands.
    pub status: PartyStatus,
    /// What the last event about it said.
    pub call_state: Option<CallState>,
    /// Its part.
    pub role: Option<DnRole>,
    /// The far party.
    pub other_dn: Option<Box<str>>,
    /// The far party's part.
    pub other_dn_role: Option<DnRole>,
    /// The main call of a consultation.
    pub previous_conn_id: Option<ConnId>,
    /// Who else is in the conference; empty while the call has two parties.
    pub members: Vec<CompactString>,
    /// The routing point or queue that distributed the call.
    pub this_queue: Option<Box<str>>,
    /// Its place in the queue, and how long it may expect to wait, as it was last told.
    pub place: Option<(u32, Option<Duration>)>,
    /// Since when the party stands like this.
    pub since: Instant,
}

/// A waiting line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueState {
    /// Calls that wait.
    pub waiting: u32,
    /// Agents that could take a call now.
    pub available: u32,
    /// How long a caller who comes now may expect to wait.
    pub estimated_wait: Option<Duration>,
}

// A leaf of a tree has room for eleven and mostly holds six.
const _: () = assert!(size_of::<Party>() <= 128, "a held call has one at least");

/// Everything that the events have said so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    agents: Vec<AgentState>,
    /// Why the last change of any agent was.
    last_reasons: Arc<Reasons>,
    /// Who is logged in where, by what [`fingerprint`] makes of the AgentID.
    logged_in: BTreeSet<(u64, DnIndex)>,
    queues: Vec<QueueState>,
    trunks: Vec<TrunkStatus>,
    parties: BTreeMap<(AddressId, ConnId), Box<Party>>,
    /// The same pairs the other way round.
    addresses_of_calls: BTreeSet<(ConnId, AddressId)>,
    out_of_service: BTreeSet<AddressId>,
}

impl State {
    /// Before the first event.
    #[must_use]
    pub fn new(book: &AddressBook) -> Self {
        let none = Arc::default();
        Self {
            agents: vec![AgentState::unheard_of(&none); book.config().agents.len()],
            last_reasons: none,
            logged_in: BTreeSet::new(),
            queues: vec![QueueState::default(); book.config().queues.len()],
            trunks: vec![TrunkStatus::default(); book.config().trunks.len()],
            parties: BTreeMap::new(),
            addresses_of_calls: BTreeSet::new(),
            out_of_service: BTreeSet::new(),
        }
    }

    /// What is known of an agent.
    #[must_use]
    pub fn agent(&self, dn: DnIndex) -> &AgentState {
        &self.agents[dn.0 as usize]
    }

    /// The DN at which an agent is logged in; the first, where it is at several.
    #[must_use]
    pub fn dn_of(&self, agent_id: &str) -> Option<DnIndex> {
        let print = fingerprint(agent_id);
        let all = (print, DnIndex(0))..=(print, DnIndex(u32::MAX));
        let mut dns = self.logged_in.range(all).map(|(_, dn)| *dn);
        dns.find(|dn| self.agent(*dn).agent_id.as_deref() == Some(agent_id))
    }

    /// What is known of a queue.
    #[must_use]
    pub fn queue(&self, queue: QueueIndex) -> QueueState {
        self.queues[usize::from(queue.0)]
    }

    /// Whether the address can be used.
    #[must_use]
    pub fn in_service(&self, address: AddressId) -> bool {
        !self.out_of_service.contains(&address)
    }

    /// How many calls there are, each counted at every address where it is.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.addresses_of_calls.len()
    }

    /// The calls at an address, by ConnID.
    pub fn calls_at(&self, address: AddressId) -> impl Iterator<Item = &Party> {
        let all = (address, ConnId(0))..=(address, ConnId(u64::MAX));
        self.parties.range(all).map(|(_, party)| &**party)
    }

    /// The part of an address in a call.
    #[must_use]
    pub fn party(&self, address: AddressId, conn_id: ConnId) -> Option<&Party> {
        self.parties.get(&(address, conn_id)).map(|party| &**party)
    }

    /// The addresses that have a part in a call.
    pub fn addresses_of(&self, conn_id: ConnId) -> impl Iterator<Item = AddressId> {
        let all = (conn_id, AddressId(0))..=(conn_id, AddressId(u32::MAX));
        self.addresses_of_calls
            .range(all)
            .map(|(_, address)| *address)
    }

    /// The calls whose ConnIDs come after this one, in the order of these.
    pub fn calls_after(&self, after: Option<ConnId>) -> impl Iterator<Item = ConnId> {
        let from = after.map_or(Bound::Unbounded, |conn_id| {
            Bound::Excluded((conn_id, AddressId(u32::MAX)))
        });
        let mut last = None;
        self.addresses_of_calls
            .range((from, Bound::Unbounded))
            .map(|(conn_id, _)| *conn_id)
            .filter(move |conn_id| last.replace(*conn_id) != Some(*conn_id))
    }

    /// How the nodes of a trunk stand.
    #[must_use]
    pub fn trunk(&self, trunk: TrunkIndex) -> &TrunkStatus {
        &self.trunks[usize::from(trunk.0)]
    }

    /// How many agents have this status.
    #[must_use]
    pub fn agents_in(&self, status: AgentStatus) -> usize {
        self.agents
            .iter()
            .filter(|agent| agent.status == status)
            .count()
    }

    /// Follows a notice.
    pub fn note(&mut self, book: &AddressBook, notice: &Notice) {
        match notice {
            Notice::Subscription { dn, status } => {
                self.agents[dn.0 as usize].subscription = *status;
            }
            Notice::Trunk(trunk, status) => {
                self.trunks[usize::from(trunk.0)].clone_from(status);
            }
            Notice::QueueDepth {
                queue,
                waiting,
                available,
                estimated_wait,
            } => {
                let state = QueueState {
                    waiting: *waiting,
                    available: *available,
                    estimated_wait: *estimated_wait,
                };
                self.queues[usize::from(queue.0)] = state;
            }
            Notice::QueuePlace {
                address,
                conn_id,
                position,
                estimated_wait,
            } => {
                let address = book.find(address);
                let party = address.and_then(|id| self.parties.get_mut(&(id, *conn_id)));
                if let Some(party) = party {
                    party.place = Some((*position, *estimated_wait));
                }
            }
        }
    }

    /// Follows an event.
    pub fn apply(&mut self, book: &AddressBook, address: AddressId, event: &Event) {
        match event.name {
            EventName::AgentLogin => {
                self.at_agent(book, address, |agent, last| agent.log_in(event, last));
            }
            EventName::AgentLogout => {
                self.at_agent(book, address, |agent, last| agent.log_out(event, last));
            }
            EventName::AgentReady => {
                self.at_agent(book, address, |agent, last| {
                    agent.change(AgentStatus::Ready, event, last);
                });
            }
            EventName::AgentNotReady => {
                let status = not_ready(event.agent_work_mode);
                self.at_agent(book, address, |agent, last| {
                    agent.change(status, event, last);
                });
            }
            EventName::Queued => self.set_party(address, event, PartyStatus::Queued),
            EventName::Ringing => self.set_party(address, event, PartyStatus::Ringing),
            EventName::Dialing => self.set_party(address, event, PartyStatus::Dialing),
            EventName::Established | EventName::Retrieved => {
                self.set_party(address, event, PartyStatus::Talking);
            }
            EventName::Held => self.set_party(address, event, PartyStatus::Held),
            EventName::Diverted | EventName::Abandoned | EventName::Released => {
                self.remove_party(address, event);
            }
            EventName::PartyChanged => self.rename_party(address, event),
            EventName::PartyAdded => self.add_member(address, event),
            EventName::PartyDeleted => self.remove_member(address, event),
            EventName::NetworkReached
            | EventName::DestinationBusy
            | EventName::DTMFSent
            | EventName::RouteRequest
            | EventName::RouteUsed
            | EventName::AttachedDataChanged => {
                self.update_party(address, event);
            }
            EventName::DNDOn => self.at_agent(book, address, |agent, _| agent.dnd = true),
            EventName::DNDOff => self.at_agent(book, address, |agent, _| agent.dnd = false),
            EventName::ForwardSet => {
                let set = event.forward_mode.zip(event.other_dn.as_deref());
                let forward = set.map(|(mode, destination)| Box::new((mode, destination.into())));
                self.at_agent(book, address, |agent, _| agent.forward = forward);
            }
            EventName::ForwardCancel => {
                self.at_agent(book, address, |agent, _| agent.forward = None);
            }
            EventName::DNOutOfService => {
                self.out_of_service.insert(address);
            }
            EventName::DNBackInService => {
                self.out_of_service.remove(&address);
            }
            // Dialing, Established and Released say the same, and more; a reservation passes.
            EventName::AgentReserved
            | EventName::OffHook
            | EventName::OnHook
            | EventName::Error
            | EventName::ACK => {}
        }
    }

    fn at_agent(
        &mut self,
        book: &AddressBook,
        address: AddressId,
        change: impl FnOnce(&mut AgentState, &mut Arc<Reasons>),
    ) {
        match book.address(address) {
            Address::Agent(dn) => {
                let agent = &mut self.agents[dn.0 as usize];
                let before = agent.agent_id.clone();
                change(agent, &mut self.last_reasons);
                if agent.agent_id != before {
                    if let Some(id) = before {
                        self.logged_in.remove(&(fingerprint(&id), dn));
                    }
                    if let Some(id) = &agent.agent_id {
                        self.logged_in.insert((fingerprint(id), dn));
                    }
                }
            }
            Address::RoutingPoint(_) | Address::Queue(_) | Address::Trunk(_) => {}
        }
    }

    fn set_party(&mut self, address: AddressId, event: &Event, status: PartyStatus) {
        let Some(call) = &event.call else {
            return;
        };
        let before = self.parties.get_mut(&(address, call.conn_id));
        let party = Party {
            call: Arc::clone(call),
            status,
            call_state: event.call_state,
            role: event.this_dn_role,
            other_dn: event.other_dn.as_deref().map(Box::from),
            other_dn_role: event.other_dn_role,
            previous_conn_id: event.previous_conn_id,
            members: Vec::new(),
            this_queue: event.this_queue.as_deref().map(Box::from),
            place: None,
            since: event.at,
        };
        match before {
            Some(before) => {
                **before = Party {
                    members: std::mem::take(&mut before.members),
                    previous_conn_id: party.previous_conn_id.or(before.previous_conn_id),
                    ..party
                };
            }
            None => {
                let key = (address, call.conn_id);
                self.parties.insert(key, Box::new(party));
            }
        }
        self.addresses_of_calls.insert((call.conn_id, address));
    }

    /// News of a party that stands as it did. A party that nobody announced stays unknown.
    fn update_party(&mut self, address: AddressId, event: &Event) -> Option<&mut Party> {
        let call = event.call.as_ref()?;
        let party = self.parties.get_mut(&(address, call.conn_id))?;
        party.call = Arc::clone(call);
        if event.call_state.is_some() {
            party.call_state = event.call_state;
        }
        Some(party)
    }

    /// The far party is another, or the call went on under another number.
    fn rename_party(&mut self, address: AddressId, event: &Event) {
        let Some(call) = &event.call else {
            return;
        };
        if let Some(party) = event
            .previous_conn_id
            .and_then(|old| self.take_party(address, old))
        {
            self.parties.insert((address, call.conn_id), party);
            self.addresses_of_calls.insert((call.conn_id, address));
        }
        let Some(party) = self.update_party(address, event) else {
            return;
        };
        party.previous_conn_id = None;
        if event.other_dn.is_some() {
            party.other_dn = event.other_dn.as_deref().map(Box::from);
            party.other_dn_role = event.other_dn_role;
        }
        if event.this_queue.is_some() {
            party.this_queue = event.this_queue.as_deref().map(Box::from);
        }
    }

    /// One more takes part: from now on the call is a conference.
    fn add_member(&mut self, address: AddressId, event: &Event) {
        let Some(party) = self.update_party(address, event) else {
            return;
        };
        let known = party.members.is_empty().then_some(&party.other_dn);
        let known = known.and_then(|it| it.as_deref().map(CompactString::from));
        for member in known.into_iter().chain(event.other_dn.clone()) {
            if party.members.len() < CONFERENCE_MEMBERS_SHOWN_MAX
                && !party.members.contains(&member)
            {
                party.members.push(member);
            }
        }
    }

    /// One has left: with one other party left, the call is a conference no more.
    fn remove_member(&mut self, address: AddressId, event: &Event) {
        let Some(party) = self.update_party(address, event) else {
            return;
        };
        party
            .members
            .retain(|member| Some(member) != event.other_dn.as_ref());
        if let [last] = &*party.members {
            party.other_dn = Some(last.as_str().into());
            party.members.clear();
        }
    }

    fn remove_party(&mut self, address: AddressId, event: &Event) {
        if let Some(call) = &event.call {
            self.take_party(address, call.conn_id);
        }
    }

    fn take_party(&mut self, address: AddressId, conn_id: ConnId) -> Option<Box<Party>> {
        self.addresses_of_calls.remove(&(conn_id, address));
        self.parties.remove(&(address, conn_id))
    }
}

/// An AgentID in eight bytes, which takes less room than the text; whoever finds it compares that.
/// Without a key: it is in a tree, where others of the same fingerprint cost a comparison each, and
/// only who may log in agents chooses AgentIDs.
fn fingerprint(agent_id: &str) -> u64 {
    SipHasher13::new().hash(agent_id.as_bytes())
}

/// The status of an agent that is not ready in this work mode.
fn not_ready(mode: Option<AgentWorkMode>) -> AgentStatus {
    match mode {
        Some(AgentWorkMode::AfterCallWork) => AgentStatus::AfterCallWork,
        Some(AgentWorkMode::WalkAway) => AgentStatus::WalkAway,
        None
        | Some(
            AgentWorkMode::Unknown
            | AgentWorkMode::ManualIn
            | AgentWorkMode::AutoIn
            | AgentWorkMode::AuxWork
            | AgentWorkMode::LegalGuard
            | AgentWorkMode::NoCallDisconnect
            | AgentWorkMode::ReturnBack,
        ) => AgentStatus::NotReady,
    }
}
