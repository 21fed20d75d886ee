//! All server transactions of a shard: which one a request belongs to, and what the machines of
//! `invite_server.rs` and `server.rs` need from outside themselves.

use std::net::SocketAddr;
use std::time::Instant;

use offhook_shards::{Source, Transmit};

use crate::limits::{SERVER_TRANSACTIONS_MAX, SERVER_TRANSACTIONS_RESERVED};
use crate::sip::{Message, Method, Request, Status, Via, Writer};

use super::effects::{Effects, Owner, Shared};
use super::event::{Event, Incoming, ServerKey};
use super::invite_server::{Acknowledged, InviteServer};
use super::matching::{Fingerprint, Matching, ServerMatch};
use super::route;
use super::server::{Server, ServerEnd};
use super::table::{Claim, Index, Table, remove_name};
use super::timer::Timer;

#[derive(Debug)]
pub(super) struct Servers {
    table: Table<ServerKey, Entry>,
    /// Requests outside dialogs by what they share with themselves come by another path.
    merged: Index<ServerKey>,
    matching: Matching,
}

/// One transaction. Finished ones are the same record with the buffers given back.
#[derive(Debug)]
struct Entry {
    /// `None` only while a transition runs.
    machine: Option<Machine>,
    source: Source,
    reply_port: u16,
    primary: Fingerprint,
    /// Another name of an INVITE: its branch as seen from its source, or what the ACK of an RFC
    /// 2543 client goes by.
    alias: Option<Fingerprint>,
    old: Option<Fingerprint>,
    merged: Option<Fingerprint>,
}

// A finished transaction waits for 32 s: at 3,000 requests a second that is 100,000 of them.
const _: () = assert!(size_of::<Entry>() <= 232);

#[derive(Debug)]
enum Machine {
    Invite(InviteServer),
    Other(Server),
}

impl Machine {
    fn respond(self, status: Status, bytes: &[u8], effects: &mut Effects<'_>) -> Self {
        match self {
            Self::Invite(machine) => Self::Invite(machine.respond(status, bytes, effects)),
            Self::Other(machine) => Self::Other(machine.respond(status, bytes, effects)),
        }
    }

    fn handle_timer(self, timer: Timer, effects: &mut Effects<'_>) -> Self {
        match self {
            Self::Invite(machine) => Self::Invite(machine.handle_timer(timer, effects)),
            Self::Other(machine) => Self::Other(machine.handle_timer(timer, effects)),
        }
    }

    fn is_unanswered(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_unanswered(),
            Self::Other(machine) => machine.is_unanswered(),
        }
    }

    fn end(&self) -> Option<ServerEnd> {
        match self {
            Self::Invite(InviteServer::Ended(end)) | Self::Other(Server::Ended(end)) => Some(*end),
            Self::Invite(_) | Self::Other(_) => None,
        }
    }
}

impl Servers {
    pub(super) fn new(matching: Matching) -> Self {
        Self {
            table: Table::new(SERVER_TRANSACTIONS_MAX, SERVER_TRANSACTIONS_RESERVED),
            merged: Index::default(),
            matching,
        }
    }

    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        source: Source,
        shared: &mut Shared,
    ) -> Incoming {
        if request.method == Method::Ack {
            return self.acknowledge(now, request, source, shared);
        }
        let matched = self.matching.server(request, request.method, source.remote);
        if let Some(key) = self.table.find(matched.primary) {
            self.repeat(now, key, request, source, shared);
            return Incoming::Absorbed;
        }
        let claim = match request.to_tag {
            None if request.method != Method::Cancel => Claim::Opens,
            None | Some(_) => Claim::Continues,
        };
        if self.table.is_full_for(claim) {
            return Incoming::Full;
        }
        let key = self.insert(request, source, matched);
        if request.method == Method::Cancel {
            self.start(now, key, request.method, Vec::new(), shared);
            return Incoming::Cancel {
                key,
                invite: self.find_invite(request, source.remote),
            };
        }
        let twin = self.matching.merged(request);
        if twin.is_some_and(|twin| self.merged.contains_key(&twin)) {
            // Refused at once, so that no 100 is due.
            self.start(now, key, request.method, Vec::new(), shared);
            return Incoming::Merged(key);
        }
        if let Some(twin) = twin {
            self.merged.insert(twin, key);
            self.entry_mut(key).merged = Some(twin);
        }
        // An INVITE gets its 100 at once. §17.2.1 allows to wait for 200 ms, but a call that is
        // queued rarely has a better answer by then, and one datagram costs less than a timer for
        // every call and the repeated INVITE of an impatient peer.
        let trying = if request.method == Method::Invite {
            write_trying(request, source.remote, shared)
        } else {
            Vec::new()
        };
        self.start(now, key, request.method, trying, shared);
        Incoming::New(key)
    }

    pub(super) fn is_known(&self, request: &Request<'_>, source: SocketAddr) -> bool {
        let matched = self.matching.server(request, request.method, source);
        self.table.find(matched.primary).is_some()
            || request.method == Method::Cancel && self.find_invite(request, source).is_some()
    }

    pub(super) fn is_known_invite(&self, via: &Via<'_>) -> bool {
        let name = self.matching.invite(via);
        name.is_some_and(|name| self.table.find(name).is_some())
    }

    /// # Panics
    /// When the transaction is over or has its final response.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        key: ServerKey,
        status: Status,
        bytes: &[u8],
        shared: &mut Shared,
    ) {
        let entry = self.table.entry_mut(key);
        let entry = entry.expect("a transaction lives until it is answered");
        let (machine, mut effects) = entry.take(now, key, shared);
        let next = machine.respond(status, bytes, &mut effects);
        if status.is_failure() && matches!(next, Machine::Invite(_)) {
            self.expect_old_acknowledgement(key, bytes, shared);
        }
        self.settle(key, next, shared);
    }

    pub(super) fn handle_timer(
        &mut self,
        now: Instant,
        key: ServerKey,
        timer: Timer,
        shared: &mut Shared,
    ) {
        let entry = self.table.entry_mut(key);
        let entry = entry.expect("a transaction that ends takes its timers with it");
        let (machine, mut effects) = entry.take(now, key, shared);
        let next = machine.handle_timer(timer, &mut effects);
        self.settle(key, next, shared);
    }

    pub(super) fn source(&self, key: ServerKey) -> Option<Source> {
        self.table.entry(key).map(|entry| entry.source)
    }

    pub(super) fn destination(&self, key: ServerKey) -> Option<Transmit> {
        self.table.entry(key).map(Entry::route)
    }

    pub(super) fn is_unanswered(&self, key: ServerKey) -> bool {
        let machine = self
            .table
            .entry(key)
            .and_then(|entry| entry.machine.as_ref());
        machine.is_some_and(Machine::is_unanswered)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: usize, reserve: usize) {
        self.table.set_limit(limit, reserve);
    }

    /// Whether nothing is left, in the indexes as well.
    pub(super) fn is_empty(&self) -> bool {
        self.table.len() == 0 && self.table.names() == 0 && self.merged.is_empty()
    }

    /// §17.2.3: an ACK belongs to the INVITE whose failure it acknowledges.
    fn acknowledge(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        source: Source,
        shared: &mut Shared,
    ) -> Incoming {
        let Some(key) = self.find_invite(request, source.remote) else {
            return Incoming::Acknowledge;
        };
        let (machine, mut effects) = self.entry_mut(key).take(now, key, shared);
        let Machine::Invite(machine) = machine else {
            panic!("only INVITEs go by the name of an INVITE: {machine:?}");
        };
        let (next, acknowledged) = machine.handle_acknowledgement(&mut effects);
        self.settle(key, Machine::Invite(next), shared);
        match acknowledged {
            Acknowledged::Here => Incoming::Absorbed,
            Acknowledged::ByDialog => Incoming::Acknowledge,
        }
    }

    /// The INVITE of an ACK or a CANCEL. A NAT or a careless client may have changed sent-by: then
    /// the branch counts if it comes from the same address.
    fn find_invite(&self, request: &Request<'_>, source: SocketAddr) -> Option<ServerKey> {
        let invite = self.matching.server(request, Method::Invite, source);
        let strict = self.table.find(invite.primary);
        strict.or_else(|| self.table.find(invite.from_source?))
    }

    fn repeat(
        &mut self,
        now: Instant,
        key: ServerKey,
        request: &Request<'_>,
        source: Source,
        shared: &mut Shared,
    ) {
        let entry = self.entry_mut(key);
        // A client that came back on a new connection listens there, not on the old one.
        if source.connection.is_some() && source.remote.ip() == entry.source.remote.ip() {
            entry.source = source;
        }
        let (machine, mut effects) = entry.take(now, key, shared);
        let next = match machine {
            Machine::Invite(machine) => {
                machine.handle_retransmission(&mut effects);
                Machine::Invite(machine)
            }
            Machine::Other(machine) if machine.is_late(&effects) => {
                let trying = write_trying(request, source.remote, effects.shared);
                let next = machine.respond(Status::TRYING, &trying, &mut effects);
                effects.discard(trying);
                Machine::Other(next)
            }
            Machine::Other(machine) => {
                machine.handle_retransmission(&mut effects);
                Machine::Other(machine)
            }
        };
        self.settle(key, next, shared);
    }

    fn start(
        &mut self,
        now: Instant,
        key: ServerKey,
        method: Method<'_>,
        trying: Vec<u8>,
        shared: &mut Shared,
    ) {
        let mut effects = self.entry_mut(key).effects(now, key, shared);
        let machine = if method == Method::Invite {
            Machine::Invite(InviteServer::start(trying, &mut effects))
        } else {
            Machine::Other(Server::start(&effects))
        };
        self.entry_mut(key).machine = Some(machine);
    }

    fn insert(&mut self, request: &Request<'_>, source: Source, matched: ServerMatch) -> ServerKey {
        let key = self.table.insert(Entry {
            machine: None,
            source,
            reply_port: route::reply_port(source, &request.via),
            primary: matched.primary,
            alias: None,
            old: matched.old,
            merged: None,
        });
        let named = self.table.name(matched.primary, key);
        assert!(named, "a request that is known is absorbed, not started");
        if let Some(alias) = matched.from_source
            && self.table.name(alias, key)
        {
            self.entry_mut(key).alias = Some(alias);
        }
        key
    }

    /// §17.2.3: the ACK of an RFC 2543 client has the To tag of our response.
    fn expect_old_acknowledgement(&mut self, key: ServerKey, bytes: &[u8], shared: &mut Shared) {
        let Some(old) = self.entry_mut(key).old else {
            return;
        };
        let Ok(response) = Message::parse(bytes, &mut shared.headers) else {
            return;
        };
        let to = response.to();
        let alias = self
            .matching
            .old_acknowledgement(old, to.ok().and_then(|to| to.tag()));
        if self.table.name(alias, key) {
            self.entry_mut(key).alias = Some(alias);
        }
    }

    /// Stores the state that a transition led to, or takes the transaction out at its end.
    fn settle(&mut self, key: ServerKey, machine: Machine, shared: &mut Shared) {
        let Some(end) = machine.end() else {
            self.entry_mut(key).machine = Some(machine);
            return;
        };
        let entry = self.table.remove(key).expect("a transaction ends once");
        self.table.forget(entry.primary, key);
        if let Some(alias) = entry.alias {
            self.table.forget(alias, key);
        }
        if let Some(merged) = entry.merged {
            remove_name(&mut self.merged, merged);
        }
        shared.events.push_back(match end {
            ServerEnd::Finished => Event::ServerEnded(key),
            ServerEnd::AckMissing => Event::AckMissing(key),
        });
    }

    fn entry_mut(&mut self, key: ServerKey) -> &mut Entry {
        self.table
            .entry_mut(key)
            .expect("the key was found or made in the same call")
    }
}

impl Entry {
    fn route(&self) -> Transmit {
        route::of_response(self.source, self.reply_port)
    }

    fn effects<'a>(&self, now: Instant, key: ServerKey, shared: &'a mut Shared) -> Effects<'a> {
        Effects {
            now,
            owner: Owner::Server(key),
            route: self.route(),
            shared,
        }
    }

    /// Takes the machine out for a transition.
    fn take<'a>(
        &mut self,
        now: Instant,
        key: ServerKey,
        shared: &'a mut Shared,
    ) -> (Machine, Effects<'a>) {
        let machine = self.machine.take().expect("transitions do not nest");
        (machine, self.effects(now, key, shared))
    }
}

fn write_trying(request: &Request<'_>, source: SocketAddr, shared: &mut Shared) -> Vec<u8> {
    let mut buffer = shared.buffers.take();
    let says = (Status::TRYING, shared.feedback);
    Writer::response_telling(&mut buffer, says, request, source, None).end();
    buffer
}
