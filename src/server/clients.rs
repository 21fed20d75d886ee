//! CTI clients: who is connected, who listens to which address, and what has not been sent yet.
//! A client's queue is bounded and nobody waits for it: when it is full, the client is cut off.
//! What is sent is decided in `hub`; sockets are `websocket`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::allowance::{Allowance, Rate};
use crate::config::Role;
use crate::cti::ClientId;
use crate::limits::{CTI_REQUESTS_AT_ONCE_MAX, CTI_REQUESTS_PER_SECOND_MAX};

use super::address::AddressId;
use super::encode::Frame;
use super::permissions::Identity;

/// What a client with the token of an agent may ask.
pub(super) const REQUEST_RATE: Rate =
    Rate::new(CTI_REQUESTS_AT_ONCE_MAX, CTI_REQUESTS_PER_SECOND_MAX, 1);

/// One frame on its way to a client.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What is sent.
    pub frame: Frame,
    /// Its place in the stream, for events of the stream.
    pub sequence: Option<u64>,
}

/// How a connection is ended by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The client did not read: its queue was full.
    Slow,
    /// The server stops.
    Stopping,
}

/// The hub's end of a client's queue.
#[derive(Debug)]
pub struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    close: oneshot::Sender<Close>,
}

/// The socket's end of a client's queue.
#[derive(Debug)]
pub struct Inbox {
    /// Frames in their order; ends when the hub lets the client go.
    pub queue: mpsc::Receiver<Outgoing>,
    /// Why the hub lets the client go.
    pub close: oneshot::Receiver<Close>,
}

/// The queue of one client, for at most `frames_max` frames.
#[must_use]
pub fn queue(frames_max: usize) -> (Outbox, Inbox) {
    let (queue, frames) = mpsc::channel(frames_max.max(1));
    let (close, closed) = oneshot::channel();
    (
        Outbox { queue, close },
        Inbox {
            queue: frames,
            close: closed,
        },
    )
}

/// A client's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl Outbox {
    /// Queues a frame, at once or not at all.
    ///
    /// # Errors
    /// [`QueueFull`]. A socket that is already gone takes everything.
    pub fn send(&self, outgoing: Outgoing) -> Result<(), QueueFull> {
        match self.queue.try_send(outgoing) {
            Err(mpsc::error::TrySendError::Full(_)) => Err(QueueFull),
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// How many frames may still be queued.
    #[must_use]
    pub fn room(&self) -> usize {
        self.queue.capacity()
    }

    /// How many frames fit into the empty queue.
    #[must_use]
    pub fn frames_max(&self) -> usize {
        self.queue.max_capacity()
    }

    /// Ends the connection.
    pub fn close(self, close: Close) {
        // A socket that is already gone needs no reason.
        let _ = self.close.send(close);
    }
}

/// How a client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By WebSocket; it stays.
    Socket,
    /// By one HTTP request; it goes with its answer and need not register.
    Post,
}

/// One address, or all of them, that a client listens to.
///
/// An event is due to the client by this registration if it came after `since`, or if the client
/// resumed after an earlier one and has not had it. While `held`, nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// The last event before the registration.
    pub since: u64,
    /// Nothing is sent before the client resumes.
    pub held: bool,
    /// A fresh snapshot is due before anything else.
    pub snapshot_due: bool,
    /// The client has what is up to here and wants what came after.
    pub resumed_after: Option<u64>,
    /// Nothing was sent by this registration before the client resumed.
    pub was_held: bool,
}

impl Registration {
    /// A registration made after event `since`.
    #[must_use]
    pub fn new(since: u64, held: bool) -> Self {
        Self {
            since,
            held,
            snapshot_due: false,
            resumed_after: None,
            was_held: false,
        }
    }

    /// From now on what came after `after` is due.
    pub fn resume(&mut self, after: u64) {
        self.resumed_after = Some(after);
        self.was_held = self.held;
        self.held = false;
    }

    /// Everything that was due has been sent.
    pub fn caught_up(&mut self) {
        if let Some(after) = self.resumed_after.take() {
            self.since = self.since.min(after);
            self.was_held = false;
        }
    }

    /// From now on only what comes after a fresh snapshot is due.
    pub fn start_again(&mut self) {
        *self = Self {
            snapshot_due: true,
            ..Self::new(self.since, true)
        };
    }

    /// Whether an event of the past is due, in a client that resumed at event `resumed_at`.
    fn is_due(&self, sequence: u64, resumed_at: u64) -> bool {
        if self.held {
            return false;
        }
        if sequence > resumed_at {
            return sequence > self.since;
        }
        self.resumed_after.is_some_and(|after| sequence > after)
    }

    /// Whether an event was sent by this registration before the client resumed.
    fn was_sent(&self, sequence: u64, resumed_at: u64) -> bool {
        !self.held && !self.was_held && sequence > self.since && sequence <= resumed_at
    }
}

/// A client that is being sent what it missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// The last event that was looked at.
    pub cursor: u64,
    /// The last event when the client resumed.
    pub resumed_at: u64,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Who it is.
    pub identity: Identity,
    /// How it came.
    pub kind: Kind,
    /// What has not been sent yet.
    pub outbox: Outbox,
    /// The addresses that it listens to.
    pub registrations: BTreeMap<AddressId, Registration>,
    /// Whether it listens to all addresses.
    pub everything: Option<Registration>,
    /// What it missed and is being sent; live events wait in the history meanwhile.
    pub catch_up: Option<CatchUp>,
    /// Answers to its requests that wait, by sequence, for their turn in what it missed.
    pub answers: BTreeMap<u64, Frame>,
    /// What it may ask still.
    allowance: Allowance,
}

impl Client {
    /// A client that listens to nothing yet.
    #[must_use]
    pub fn new(identity: Identity, kind: Kind, outbox: Outbox) -> Self {
        Self {
            identity,
            kind,
            outbox,
            registrations: BTreeMap::new(),
            everything: None,
            catch_up: None,
            answers: BTreeMap::new(),
            allowance: Allowance::default(),
        }
    }

    /// Whether it may ask something more now. A desktop is one person's; routers, wallboards and
    /// whoever needs no token may serve thousands.
    pub fn may_ask(&mut self, now: Instant) -> bool {
        match self.identity.role {
            Role::Agent => self.allowance.take(now, REQUEST_RATE),
            Role::Supervisor | Role::Router | Role::Admin => true,
        }
    }

    /// Whether it acts for an address that it registered.
    #[must_use]
    pub fn is_registered(&self, address: AddressId) -> bool {
        self.kind == Kind::Post
            || self.everything.is_some()
            || self.registrations.contains_key(&address)
    }

    /// Whether a live event of this address goes out to it now.
    #[must_use]
    pub fn hears(&self, address: Option<AddressId>) -> bool {
        self.catch_up.is_none()
            && self
                .covering(address)
                .any(|registration| !registration.held)
    }

    /// Whether an event of the past is due to it.
    #[must_use]
    pub fn missed(&self, address: Option<AddressId>, sequence: u64, resumed_at: u64) -> bool {
        self.covering(address)
            .any(|registration| registration.is_due(sequence, resumed_at))
            && !self
                .covering(address)
                .any(|registration| registration.was_sent(sequence, resumed_at))
    }

    /// Every registration.
    pub fn every_registration(&mut self) -> impl Iterator<Item = &mut Registration> {
        self.registrations
            .values_mut()
            .chain(self.everything.as_mut())
    }

    /// Whether nothing of an address is sent before the client resumes.
    #[must_use]
    pub fn is_held(&self, address: AddressId) -> bool {
        self.kind == Kind::Socket && self.covering(Some(address)).all(|one| one.held)
    }

    /// Whether it is owed events or snapshots from before now.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let mut registrations = self.registrations.values().chain(self.everything.as_ref());
        self.catch_up.is_some() || registrations.any(|one| one.snapshot_due)
    }

    /// How many frames of the past it may be sent now; some room is left for what comes.
    #[must_use]
    pub fn room_to_catch_up(&self) -> usize {
        self.outbox
            .room()
            .saturating_sub(self.outbox.frames_max() / 4)
    }

    fn covering(&self, address: Option<AddressId>) -> impl Iterator<Item = &Registration> {
        let own = address.and_then(|address| self.registrations.get(&address));
        own.into_iter().chain(self.everything.as_ref())
    }
}

/// Every client, and who listens to what.
#[derive(Debug, Default)]
pub struct Clients {
    table: BTreeMap<ClientId, Client>,
    /// Who listens to which address.
    listeners: BTreeSet<(AddressId, ClientId)>,
    everything: Vec<ClientId>,
    last: u64,
}

impl Clients {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Adds a client under a number that is never used again.
    pub fn insert(&mut self, client: Client) -> ClientId {
        self.last += 1;
        let id = ClientId(self.last);
        self.table.insert(id, client);
        id
    }

    /// The client of a number, while it is connected.
    #[must_use]
    pub fn client(&self, id: ClientId) -> Option<&Client> {
        self.table.get(&id)
    }

    /// The client of a number, while it is connected.
    pub fn client_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.table.get_mut(&id)
    }

    /// Every client's number, ascending.
    pub fn ids(&self) -> impl Iterator<Item = ClientId> {
        self.table.keys().copied()
    }

    /// Who listens to an address, each once.
    #[must_use]
    pub fn listeners(&self, address: Option<AddressId>) -> Vec<ClientId> {
        let mut all = self.everything.clone();
        if let Some(address) = address {
            let own = (address, ClientId(0))..=(address, ClientId(u64::MAX));
            all.extend(self.listeners.range(own).map(|(_, id)| *id));
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Lets a client listen to an address. A second time changes nothing.
    pub fn register(&mut self, id: ClientId, address: AddressId, registration: Registration) {
        let Some(client) = self.table.get_mut(&id) else {
            return;
        };
        if client.registrations.contains_key(&address) {
            return;
        }
        client.registrations.insert(address, registration);
        self.listeners.insert((address, id));
    }

    /// Lets a client listen to all addresses. A second time changes nothing.
    pub fn register_everything(&mut self, id: ClientId, registration: Registration) {
        let Some(client) = self.table.get_mut(&id) else {
            return;
        };
        if client.everything.is_none() {
            client.everything = Some(registration);
            self.everything.push(id);
        }
    }

    /// Ends a registration; tells whether there was one.
    pub fn unregister(&mut self, id: ClientId, address: AddressId) -> bool {
        let Some(client) = self.table.get_mut(&id) else {
            return false;
        };
        let found = client.registrations.remove(&address).is_some();
        if found {
            self.listeners.remove(&(address, id));
        }
        found
    }

    /// Ends the registration of all addresses; tells whether there was one.
    pub fn unregister_everything(&mut self, id: ClientId) -> bool {
        let Some(client) = self.table.get_mut(&id) else {
            return false;
        };
        self.everything.retain(|listener| *listener != id);
        client.everything.take().is_some()
    }

    /// Takes a client out, with its registrations.
    pub fn remove(&mut self, id: ClientId) -> Option<Client> {
        let client = self.table.remove(&id)?;
        for address in client.registrations.keys() {
            self.listeners.remove(&(*address, id));
        }
        self.everything.retain(|listener| *listener != id);
        Some(client)
    }
}
