//! All client transactions of a shard: which one a response belongs to, and what the machines of
//! `invite_client.rs` and `client.rs` need from outside themselves.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::net::SocketAddr;
use std::time::Instant;

use offhook_shards::{ConnectionChange, ConnectionOutcome, Transmit, Transport};

use crate::limits::{CLIENT_TRANSACTIONS_MAX, CLIENT_TRANSACTIONS_RESERVED};
use crate::sip::{Method, Response};

use super::Outgoing;
use super::client::{Client, ClientEnd, Verdict};
use super::effects::{Effects, Owner, Shared};
use super::event::{ClientKey, Delivered, Event, Full};
use super::invite_client::InviteClient;
use super::matching::{Fingerprint, Matching};
use super::route;
use super::table::{Claim, Table};
use super::timer::Timer;

#[derive(Debug)]
pub(super) struct Clients {
    table: Table<ClientKey, Entry>,
    /// Those on streams by where they went, for the day that the connection is gone.
    streams: BTreeMap<SocketAddr, BTreeSet<ClientKey>>,
    matching: Matching,
}

/// One transaction. Finished ones are the same record with the buffers given back.
#[derive(Debug)]
struct Entry {
    /// `None` only while a transition runs.
    machine: Option<Machine>,
    route: Transmit,
    fingerprint: Fingerprint,
    /// The datagram that goes out instead if no connection can be opened.
    fallback: Option<Box<Datagram>>,
    /// Whether nobody wants to hear of it any more.
    abandoned: bool,
    /// Whether its final response is expected within 64*T1: also where the first provisional one
    /// of an INVITE, which stops timer B, comes later than that was known.
    is_limited: bool,
}

#[derive(Debug)]
struct Datagram {
    remote: SocketAddr,
    bytes: Vec<u8>,
}

const _: () = assert!(size_of::<Entry>() <= 176);

#[derive(Debug)]
enum Machine {
    Invite(InviteClient),
    Other(Client),
}

impl Machine {
    fn start(is_invite: bool, request: &[u8], effects: &mut Effects<'_>) -> Self {
        if is_invite {
            Self::Invite(InviteClient::start(request, effects))
        } else {
            Self::Other(Client::start(request, effects))
        }
    }

    fn handle_response(
        self,
        response: &Response<'_>,
        effects: &mut Effects<'_>,
    ) -> (Self, Verdict) {
        match self {
            Self::Invite(machine) => {
                let (next, verdict) = machine.handle_response(response, effects);
                (Self::Invite(next), verdict)
            }
            Self::Other(machine) => {
                let (next, verdict) = machine.handle_response(response.status, effects);
                (Self::Other(next), verdict)
            }
        }
    }

    fn handle_timer(self, timer: Timer, effects: &mut Effects<'_>) -> Self {
        match self {
            Self::Invite(machine) => Self::Invite(machine.handle_timer(timer, effects)),
            Self::Other(machine) => Self::Other(machine.handle_timer(timer, effects)),
        }
    }

    fn handle_transport_failure(self, effects: &mut Effects<'_>) -> Self {
        match self {
            Self::Invite(machine) => Self::Invite(machine.handle_transport_failure(effects)),
            Self::Other(machine) => Self::Other(machine.handle_transport_failure(effects)),
        }
    }

    fn expect_final(self, effects: &mut Effects<'_>) -> Self {
        match self {
            Self::Invite(machine) => Self::Invite(machine.expect_final(effects)),
            // Timer F runs from the start.
            Self::Other(machine) => Self::Other(machine),
        }
    }

    fn is_pending(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_pending(),
            Self::Other(machine) => machine.is_pending(),
        }
    }

    fn end(&self) -> Option<ClientEnd> {
        match self {
            Self::Invite(InviteClient::Ended(end)) | Self::Other(Client::Ended(end)) => Some(*end),
            Self::Invite(_) | Self::Other(_) => None,
        }
    }
}

impl Clients {
    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: usize, reserve: usize) {
        self.table.set_limit(limit, reserve);
    }

    pub(super) fn new(matching: Matching) -> Self {
        Self {
            table: Table::new(CLIENT_TRANSACTIONS_MAX, CLIENT_TRANSACTIONS_RESERVED),
            streams: BTreeMap::new(),
            matching,
        }
    }

    /// # Panics
    /// For an ACK, and when the branch is in use.
    pub(super) fn request(
        &mut self,
        now: Instant,
        outgoing: Outgoing<'_>,
        shared: &mut Shared,
    ) -> Result<ClientKey, Full> {
        assert!(
            outgoing.method != Method::Ack,
            "an ACK is sent outside transactions"
        );
        let claim = if [Method::Bye, Method::Cancel].contains(&outgoing.method) {
            Claim::Continues
        } else {
            Claim::Opens
        };
        if self.table.is_full_for(claim) {
            return Err(Full);
        }
        let fingerprint = self.matching.client(outgoing.branch, outgoing.method);
        let route = route::of_request(outgoing.transport, outgoing.remote);
        let key = self.table.insert(Entry {
            machine: None,
            route,
            fingerprint,
            fallback: outgoing.fallback.map(|fallback| {
                Box::new(Datagram {
                    remote: fallback.remote,
                    bytes: fallback.bytes.to_vec(),
                })
            }),
            abandoned: false,
            is_limited: false,
        });
        let named = self.table.name(fingerprint, key);
        assert!(
            named,
            "every request has a branch of its own, a CANCEL that of its INVITE, once"
        );
        match outgoing.transport {
            Transport::Tcp | Transport::Tls => {
                self.streams.entry(outgoing.remote).or_default().insert(key);
            }
            Transport::Udp => {}
        }
        let mut effects = self.entry_mut(key).effects(now, key, shared);
        let is_invite = outgoing.method == Method::Invite;
        let machine = Machine::start(is_invite, outgoing.bytes, &mut effects);
        self.entry_mut(key).machine = Some(machine);
        Ok(key)
    }

    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        response: &Response<'_>,
        shared: &mut Shared,
    ) -> Delivered {
        let Some(branch) = response.via.branch() else {
            return Delivered::Stray;
        };
        let fingerprint = self.matching.client(branch, response.cseq_method);
        let Some(key) = self.table.find(fingerprint) else {
            return Delivered::Stray;
        };
        let entry = self.entry_mut(key);
        let (abandoned, is_limited) = (entry.abandoned, entry.is_limited);
        entry.fallback = None;
        let (machine, mut effects) = entry.take(now, key, shared);
        let (mut next, verdict) = machine.handle_response(response, &mut effects);
        if is_limited {
            next = next.expect_final(&mut effects);
        }
        self.settle(key, next, shared);
        match verdict {
            Verdict::PassUp if abandoned => {
                let unclaimed_call =
                    response.cseq_method == Method::Invite && response.status.is_success();
                if unclaimed_call {
                    Delivered::Stray
                } else {
                    Delivered::Absorbed
                }
            }
            Verdict::PassUp => Delivered::To(key),
            Verdict::Absorb => Delivered::Absorbed,
            Verdict::Stray => Delivered::Stray,
        }
    }

    pub(super) fn handle_timer(
        &mut self,
        now: Instant,
        key: ClientKey,
        timer: Timer,
        shared: &mut Shared,
    ) {
        let entry = self.table.entry_mut(key);
        let entry = entry.expect("a transaction that ends takes its timers with it");
        let (machine, mut effects) = entry.take(now, key, shared);
        let next = machine.handle_timer(timer, &mut effects);
        self.settle(key, next, shared);
    }

    pub(super) fn handle_connection_lost(
        &mut self,
        now: Instant,
        change: &ConnectionChange,
        shared: &mut Shared,
    ) {
        for key in self.streams.remove(&change.remote).unwrap_or_default() {
            let entry = self.entry_mut(key);
            let datagram = match change.outcome {
                ConnectionOutcome::ConnectFailed => entry.fallback.take(),
                ConnectionOutcome::Closed => None,
            };
            let (machine, mut effects) = entry.take(now, key, shared);
            let is_invite = matches!(machine, Machine::Invite(_));
            let next = machine.handle_transport_failure(&mut effects);
            match datagram {
                None => self.settle(key, next, shared),
                // RFC 3261 §18.1.1: it was too large for a datagram, and is sent as one now.
                Some(datagram) => {
                    let entry = self.entry_mut(key);
                    entry.route = route::of_request(Transport::Udp, datagram.remote);
                    let mut effects = entry.effects(now, key, shared);
                    let machine = Machine::start(is_invite, &datagram.bytes, &mut effects);
                    self.entry_mut(key).machine = Some(machine);
                }
            }
        }
    }

    pub(super) fn way(&self, key: ClientKey) -> Option<(Transport, SocketAddr)> {
        let entry = self.table.entry(key)?;
        Some((entry.route.transport, entry.route.remote))
    }

    pub(super) fn expect_final(&mut self, now: Instant, key: ClientKey, shared: &mut Shared) {
        let Some(entry) = self.table.entry_mut(key) else {
            return;
        };
        entry.is_limited = true;
        let (machine, mut effects) = entry.take(now, key, shared);
        let next = machine.expect_final(&mut effects);
        self.settle(key, next, shared);
    }

    pub(super) fn abandon(&mut self, now: Instant, key: ClientKey, shared: &mut Shared) {
        if let Some(entry) = self.table.entry_mut(key) {
            entry.abandoned = true;
            self.expect_final(now, key, shared);
        }
    }

    pub(super) fn is_pending(&self, key: ClientKey) -> bool {
        let machine = self
            .table
            .entry(key)
            .and_then(|entry| entry.machine.as_ref());
        machine.is_some_and(Machine::is_pending)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing is left, in the indexes as well.
    pub(super) fn is_empty(&self) -> bool {
        self.table.len() == 0 && self.table.names() == 0 && self.streams.is_empty()
    }

    /// Stores the state that a transition led to, or takes the transaction out at its end.
    fn settle(&mut self, key: ClientKey, machine: Machine, shared: &mut Shared) {
        let Some(end) = machine.end() else {
            self.entry_mut(key).machine = Some(machine);
            return;
        };
        let entry = self.table.remove(key).expect("a transaction ends once");
        self.table.forget(entry.fingerprint, key);
        if let btree_map::Entry::Occupied(mut keys) = self.streams.entry(entry.route.remote) {
            keys.get_mut().remove(&key);
            if keys.get().is_empty() {
                keys.remove();
            }
        }
        if entry.abandoned {
            return;
        }
        shared.events.push_back(match end {
            ClientEnd::Finished => Event::ClientEnded(key),
            ClientEnd::TimedOut => Event::TimedOut(key),
            ClientEnd::TransportFailed => Event::TransportFailed(key),
        });
    }

    fn entry_mut(&mut self, key: ClientKey) -> &mut Entry {
        self.table
            .entry_mut(key)
            .expect("the key was found or made in the same call")
    }
}

impl Entry {
    fn effects<'a>(&self, now: Instant, key: ClientKey, shared: &'a mut Shared) -> Effects<'a> {
        Effects {
            now,
            owner: Owner::Client(key),
            route: self.route,
            shared,
        }
    }

    /// Takes the machine out for a transition.
    fn take<'a>(
        &mut self,
        now: Instant,
        key: ClientKey,
        shared: &'a mut Shared,
    ) -> (Machine, Effects<'a>) {
        let machine = self.machine.take().expect("transitions do not nest");
        (machine, self.effects(now, key, shared))
    }
}
