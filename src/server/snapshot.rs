//! The state in its public form: the `Extensions` of EventRegistered and EventAddressInfo, and the
//! answers of `GET /api/v1/…`. It shows what `state` knows and computes nothing beyond counts.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::config::{Address, Peer};
use crate::cti::{ConnId, NodeStatus, SubscriptionStatus};

use super::address::{AddressBook, AddressId};
use super::clock::Clock;
use super::encode;
use super::state::{Party, PartyStatus, State};

/// Attributes in the order in which they are shown.
pub type Attributes = Map<String, Json>;

/// Shows the state at one moment.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What is shown.
    pub state: &'a State,
    /// Names.
    pub book: &'a AddressBook,
    /// Dates.
    pub clock: &'a Clock,
    /// The last event that the state has seen.
    pub sequence: u64,
}

impl View<'_> {
    /// The snapshot of one address.
    #[must_use]
    pub fn address(&self, id: AddressId) -> Attributes {
        let mut snapshot = self.bare(id);
        snapshot.insert("EventSequenceNumber".to_owned(), self.sequence.into());
        snapshot
    }

    /// One address with its name, for lists.
    #[must_use]
    pub fn named(&self, id: AddressId) -> Attributes {
        let mut snapshot = Attributes::new();
        snapshot.insert("ThisDN".to_owned(), self.book.name(id).into());
        snapshot.extend(self.bare(id));
        snapshot
    }

    /// The calls at these addresses, in the order of their ConnIDs.
    #[must_use]
    pub fn calls_at(&self, addresses: impl Iterator<Item = AddressId>) -> BTreeSet<ConnId> {
        let parties = addresses.flat_map(|address| self.state.calls_at(address));
        parties.map(|party| party.call.conn_id).collect()
    }

    /// A call with all its parties.
    #[must_use]
    pub fn whole_call(&self, conn_id: ConnId) -> Option<Json> {
        let mut addresses = self.state.addresses_of(conn_id).peekable();
        let first = self.state.party(*addresses.peek()?, conn_id)?;
        let mut call = encode::call(&first.call);
        let parties = addresses.filter_map(|address| self.named_party(address, conn_id));
        call.insert("Parties".to_owned(), Json::Array(parties.collect()));
        Some(Json::Object(call))
    }

    fn bare(&self, id: AddressId) -> Attributes {
        let mut snapshot = Attributes::new();
        let address = self.book.address(id);
        let kind = match address {
            Address::Agent(_) => "DN",
            Address::RoutingPoint(_) => "RouteDN",
            Address::Queue(_) => "Queue",
            Address::Trunk(_) => "Trunk",
        };
        snapshot.insert("AddressType".to_owned(), kind.into());
        snapshot.insert("AddressStatus".to_owned(), self.address_status(id).into());
        match address {
            Address::Agent(dn) => self.show_agent(&mut snapshot, dn),
            Address::RoutingPoint(routing_point) => {
                let queue = self.book.config().routing_point_at(routing_point).queue;
                let name = &*self.book.config().queue_at(queue).name;
                snapshot.insert("Queue".to_owned(), name.into());
                snapshot.insert("Waiting".to_owned(), self.state.calls_at(id).count().into());
            }
            Address::Queue(queue) => {
                let state = self.state.queue(queue);
                snapshot.insert("Waiting".to_owned(), state.waiting.into());
                snapshot.insert("Available".to_owned(), state.available.into());
                show_wait(&mut snapshot, state.estimated_wait);
                let agents = self.book.config().queue_at(queue).agents.len();
                snapshot.insert("Agents".to_owned(), agents.into());
            }
            Address::Trunk(trunk) => {
                snapshot.insert("InService".to_owned(), self.state.in_service(id).into());
                let peers = &self.book.config().trunk_at(trunk).peers;
                let shown = peers.iter().map(|peer| peer.to_string().into());
                snapshot.insert("Peers".to_owned(), Json::Array(shown.collect()));
                let nodes = self.state.trunk(trunk).nodes.iter();
                let nodes = nodes.map(|node| show_node(&peers[usize::from(node.peer)], node));
                snapshot.insert("Nodes".to_owned(), Json::Array(nodes.collect()));
            }
        }
        let calls: Vec<Json> = self
            .state
            .calls_at(id)
            .map(|party| Json::Object(self.call(party)))
            .collect();
        if !calls.is_empty() {
            snapshot.insert("Calls".to_owned(), Json::Array(calls));
        }
        snapshot
    }

    fn show_agent(&self, snapshot: &mut Attributes, dn: crate::config::DnIndex) {
        let agent = self.state.agent(dn);
        snapshot.insert("AgentStatus".to_owned(), agent.status.name().into());
        if let Some(agent_id) = &agent.agent_id {
            snapshot.insert("AgentID".to_owned(), (**agent_id).into());
        }
        if let Some(mode) = agent.work_mode {
            snapshot.insert("AgentWorkMode".to_owned(), mode.name().into());
        }
        // The last change's own extensions: ReasonCode, Source, PresenceActivities, WrapUpTime.
        if let Some(Json::Object(extensions)) = encode::pairs(&agent.reasons.extensions) {
            for (key, value) in extensions {
                snapshot.entry(key).or_insert(value);
            }
        }
        if let Some(reasons) = encode::pairs(&agent.reasons.software) {
            snapshot.insert("Reasons".to_owned(), reasons);
        }
        if let Some(since) = agent.since {
            snapshot.insert("Since".to_owned(), self.clock.date(since).into());
        }
        if agent.dnd {
            snapshot.insert("DND".to_owned(), 1.into());
        }
        if let Some((mode, destination)) = agent.forward.as_deref() {
            snapshot.insert("ForwardMode".to_owned(), mode.name().into());
            snapshot.insert("ForwardDN".to_owned(), (**destination).into());
        }
        let subscription = match agent.subscription {
            SubscriptionStatus::Off => "Off",
            SubscriptionStatus::Pending => "Pending",
            SubscriptionStatus::Active => "Active",
            SubscriptionStatus::Lost => "Lost",
            SubscriptionStatus::Failed => "Failed",
        };
        snapshot.insert("SubscriptionStatus".to_owned(), subscription.into());
    }

    /// T-Library's AddressStatus: the most pressing of what the address does.
    fn address_status(&self, id: AddressId) -> &'static str {
        if !self.state.in_service(id) {
            return "OutOfService";
        }
        let has = |status| self.state.calls_at(id).any(|party| party.status == status);
        let order = [
            PartyStatus::Talking,
            PartyStatus::Ringing,
            PartyStatus::Dialing,
            PartyStatus::Held,
        ];
        order
            .into_iter()
            .find(|status| has(*status))
            .map_or("Idle", PartyStatus::name)
    }

    /// A call as its party sees it.
    #[must_use]
    pub fn call(&self, party: &Party) -> Attributes {
        let mut call = encode::call(&party.call);
        self.show_party(&mut call, party);
        call
    }

    /// The party of an address in a call, for lists of its parties.
    #[must_use]
    pub fn named_party(&self, id: AddressId, conn_id: ConnId) -> Option<Json> {
        let party = self.state.party(id, conn_id)?;
        let mut shown = Attributes::new();
        shown.insert("ThisDN".to_owned(), self.book.name(id).into());
        self.show_party(&mut shown, party);
        Some(Json::Object(shown))
    }

    fn show_party(&self, shown: &mut Attributes, party: &Party) {
        shown.insert("PartyStatus".to_owned(), party.status.name().into());
        if let Some(state) = party.call_state {
            shown.insert("CallState".to_owned(), state.name().into());
        }
        if let Some(role) = party.role {
            shown.insert("ThisDNRole".to_owned(), role.name().into());
        }
        if let Some(other_dn) = &party.other_dn {
            shown.insert("OtherDN".to_owned(), (**other_dn).into());
        }
        if let Some(role) = party.other_dn_role {
            shown.insert("OtherDNRole".to_owned(), role.name().into());
        }
        if let Some(previous) = party.previous_conn_id {
            shown.insert("PreviousConnID".to_owned(), previous.to_string().into());
        }
        if !party.members.is_empty() {
            shown.insert("ConferenceMembers".to_owned(), json!(party.members));
        }
        if let Some(this_queue) = &party.this_queue {
            shown.insert("ThisQueue".to_owned(), (**this_queue).into());
        }
        if let Some((position, wait)) = party.place {
            shown.insert("Position".to_owned(), position.into());
            show_wait(shown, wait);
        }
        shown.insert("Since".to_owned(), json!(self.clock.date(party.since)));
    }
}

/// A node of a trunk: the peer that leads to it, where it is, and how it stands.
fn show_node(peer: &Peer, node: &NodeStatus) -> Json {
    let mut shown = Attributes::new();
    shown.insert("Peer".to_owned(), peer.to_string().into());
    if let Some(place) = node.place {
        shown.insert("Address".to_owned(), place.to_string().into());
    }
    shown.insert("Status".to_owned(), node.state.into());
    if let Some(dns) = node.dns {
        shown.insert("Dns".to_owned(), dns.into());
    }
    Json::Object(shown)
}

/// An estimated wait in whole seconds, where there is one.
fn show_wait(shown: &mut Attributes, wait: Option<Duration>) {
    if let Some(wait) = wait {
        shown.insert("EstimatedWait".to_owned(), wait.as_secs().into());
    }
}
