//! The hub: takes the shards' events and the clients' frames, numbers and folds the former, checks
//! and forwards the latter, and puts into every client's queue what it is to see. It has no socket
//! and no clock, never waits, and decides nothing about agents and calls. `requests` holds what
//! clients ask, `calls` what they ask of calls, `user_events` what they tell each other, `resume`
//! how they catch up, `queries` what HTTP shows.

mod calls;
mod queries;
mod requests;
mod resume;
mod user_events;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value as Json;

pub use queries::{Numbers, Query};

use crate::config::{Address, Config};
use crate::cti::{
    ClientId, DesktopRequest, ErrorCode, Event, EventName, Output, Request, RequestBody,
    RequestedBy, RouteRequest,
};
use crate::limits::{CTI_CLIENTS_MAX, CTI_REQUESTS_AT_ONCE_MAX, CTI_REQUESTS_PER_SECOND_MAX};

use super::address::{AddressBook, AddressId};
use super::attendance::{Attendance, News};
use super::clients::{Client, Clients, Close, Kind, Outbox, Outgoing};
use super::clock::{Clock, Dates};
use super::decode::{self, Refusal};
use super::encode::{self, Encoder, Envelope, Frame};
use super::history::{Entry, History};
use super::link::Shards;
use super::pending::PendingRequests;
use super::permissions::Identity;
use super::snapshot::{Attributes, View};
use super::state::State;

/// What a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'a> {
    /// A text frame or a request's body.
    Text(&'a [u8]),
    /// A binary frame.
    Binary,
}

/// The server has as many clients as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyClients;

/// How often each error was the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorTally([u64; ErrorCode::ALL.len()]);

impl ErrorTally {
    fn count(&mut self, code: ErrorCode) {
        self.0[code as usize] += 1;
    }

    /// How often it was this one.
    #[must_use]
    pub fn of(&self, code: ErrorCode) -> u64 {
        self.0[code as usize]
    }
}

/// What the hub has counted since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests and frames from clients.
    pub requests: u64,
    /// Requests that were answered with an error.
    pub errors: ErrorTally,
    /// Requests that no shard answered in time.
    pub timeouts: u64,
    /// Clients that were cut off because they did not read.
    pub slow_clients: u64,
    /// Clients that came back too late to get what they missed.
    pub gaps: u64,
    /// Clients that were refused because there were too many.
    pub refused_clients: u64,
    /// Events about addresses that the configuration does not know.
    pub unknown_addresses: u64,
}

/// The hub. See the module's own words.
#[derive(Debug)]
pub struct Hub<S> {
    shards: S,
    book: AddressBook,
    clock: Clock,
    dates: Dates,
    start_time: String,
    state: State,
    history: History,
    encoder: Encoder,
    clients: Clients,
    pending: PendingRequests,
    attendance: Attendance,
    /// Clients that are being sent what they missed.
    behind: BTreeSet<ClientId>,
    tally: Tally,
}

impl<S: Shards> Hub<S> {
    /// A hub without clients, before the first event.
    #[must_use]
    pub fn new(config: Arc<Config>, clock: Clock, shards: S) -> Self {
        let history = History::new(config.server.event_history as usize);
        let book = AddressBook::new(config);
        Self {
            shards,
            start_time: clock.date(clock.started()),
            clock,
            dates: Dates::new(clock),
            state: State::new(&book),
            history,
            encoder: Encoder::default(),
            clients: Clients::default(),
            pending: PendingRequests::default(),
            attendance: Attendance::default(),
            behind: BTreeSet::new(),
            tally: Tally::default(),
            book,
        }
    }

    /// Lets a client in; a socket is greeted with EventServerInfo.
    ///
    /// # Errors
    /// [`TooManyClients`].
    pub fn connect(
        &mut self,
        now: Instant,
        identity: Identity,
        kind: Kind,
        outbox: Outbox,
    ) -> Result<ClientId, TooManyClients> {
        if self.clients.len() == CTI_CLIENTS_MAX {
            self.tally.refused_clients += 1;
            return Err(TooManyClients);
        }
        let id = self.clients.insert(Client::new(identity, kind, outbox));
        match kind {
            Kind::Socket => self.send_server_info(now, id, None),
            Kind::Post => {}
        }
        Ok(id)
    }

    /// A client sent something.
    pub fn handle_frame(&mut self, now: Instant, id: ClientId, received: Received<'_>) {
        let Some(client) = self.clients.client_mut(id) else {
            return;
        };
        let may_ask = client.may_ask(now);
        self.tally.requests += 1;
        let reference_needed = client.kind == Kind::Socket;
        let asked = match received {
            Received::Text(text) => decode::request(text, reference_needed),
            Received::Binary => Err(Refusal {
                reference_id: None,
                this_dn: None,
                code: ErrorCode::InvalidAttribute,
                words: "binary frames are not read; send JSON in text frames".to_owned(),
            }),
        };
        match asked {
            Ok(asked) if may_ask => self.handle_request(now, id, asked),
            Ok(asked) => {
                let refusal = Refusal {
                    reference_id: asked.reference_id,
                    this_dn: None,
                    code: ErrorCode::TooBusy,
                    words: format!(
                        "a desktop may make {CTI_REQUESTS_AT_ONCE_MAX} requests at once and \
                         {CTI_REQUESTS_PER_SECOND_MAX} a second"
                    ),
                };
                self.refuse(now, id, refusal);
            }
            Err(refusal) => self.refuse(now, id, refusal),
        }
        self.tell_shards();
    }

    /// A client went away.
    pub fn handle_disconnect(&mut self, id: ClientId) {
        self.forget(id);
        self.tell_shards();
    }

    /// A shard reports.
    pub fn handle_output(&mut self, output: Output) {
        match output {
            Output::Event(event) => self.handle_event(&event),
            Output::Notice(notice) => self.state.note(&self.book, &notice),
            // The resolver's, to whom it has gone.
            Output::LookUp(_) => {}
        }
    }

    /// Whether time has something to bring: the end of a request's patience, room for a client
    /// that catches up, or room for what a shard has yet to hear.
    #[must_use]
    pub fn waits_for_time(&self) -> bool {
        !self.pending.is_empty() || !self.behind.is_empty() || self.attendance.has_news()
    }

    /// Time passes. Called at least every [`crate::limits::CTI_TICK`] while the hub
    /// [waits for it](Self::waits_for_time).
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((id, pending)) = self.pending.expired(now) {
            self.tally.timeouts += 1;
            let words = "no answer came in time; what was asked may still happen".to_owned();
            let refusal = Refusal {
                reference_id: pending.reference_id,
                this_dn: Some(pending.this_dn),
                code: ErrorCode::Timeout,
                words,
            };
            self.refuse(now, id, refusal);
        }
        for id in self.behind.clone() {
            self.catch_up(now, id);
        }
        self.tell_shards();
    }

    /// The server stops: every client is told.
    pub fn stop(&mut self) {
        for id in self.clients.ids().collect::<Vec<_>>() {
            if let Some(client) = self.forget(id) {
                client.outbox.close(Close::Stopping);
            }
        }
    }

    /// The state as it is now.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            state: &self.state,
            book: &self.book,
            clock: &self.clock,
            sequence: self.history.last(),
        }
    }

    fn handle_event(&mut self, event: &Event) {
        // The answer to one client only: no part of the stream, so it has no number.
        let private = matches!(event.name, EventName::Error | EventName::ACK);
        if let (true, Some(requested_by)) = (private, event.requested_by) {
            return self.answer_privately(event, requested_by);
        }
        let address = self.book.find(&event.this_dn);
        match address {
            Some(address) => self.state.apply(&self.book, address, event),
            None => {
                self.tally.unknown_addresses += 1;
                tracing::warn!(
                    this_dn = &*event.this_dn,
                    "an event names no configured address"
                );
            }
        }
        if event.is_known {
            return;
        }
        let sequence = self.history.next();
        let routers_only = event.name == EventName::RouteRequest;
        let reference_id = event.route_reference.filter(|_| routers_only);
        let envelope = Envelope {
            reference_id,
            sequence: Some(sequence),
            time: self.dates.date(event.at),
        };
        let frame = self.encoder.event(event, envelope);
        let entry = Entry {
            sequence,
            address,
            routers_only,
            frame,
        };
        let answer = event.requested_by.and_then(|requested_by| {
            let pending = self.pending.answer(requested_by, event.name)?;
            let envelope = Envelope {
                reference_id: pending.reference_id,
                ..envelope
            };
            Some((requested_by.client, self.encoder.event(event, envelope)))
        });
        self.fan_out(&entry, answer);
        self.history.push(entry);
    }

    /// Gives one event to everyone who listens, and to who asked for it even if it does not.
    fn fan_out(&mut self, entry: &Entry, answer: Option<(ClientId, Frame)>) {
        let mut unanswered = answer.as_ref().map(|(id, _)| *id);
        let address = entry.address.map(|address| self.book.address(address));
        for id in self.clients.listeners(entry.address) {
            let Some(client) = self.clients.client_mut(id) else {
                continue;
            };
            let stands_by = address.is_some_and(|at| self.attendance.stands_by(id, at));
            if entry.routers_only && (stands_by || !client.identity.may_route()) {
                continue;
            }
            let own = answer.as_ref().filter(|(requester, _)| *requester == id);
            let hears = client.hears(entry.address);
            if let (Some((_, frame)), false, true) = (own, hears, client.catch_up.is_some()) {
                // Its turn comes when the client has caught up to it.
                client.answers.insert(entry.sequence, frame.clone());
                unanswered = None;
            }
            if hears {
                let frame = own.map_or(&entry.frame, |(_, frame)| frame).clone();
                self.send(
                    id,
                    Outgoing {
                        frame,
                        sequence: Some(entry.sequence),
                    },
                );
                unanswered = unanswered.filter(|requester| *requester != id);
            }
        }
        if let (Some(id), Some((_, frame))) = (unanswered, answer) {
            self.send(
                id,
                Outgoing {
                    frame,
                    sequence: Some(entry.sequence),
                },
            );
        }
    }

    fn answer_privately(&mut self, event: &Event, requested_by: RequestedBy) {
        let Some(pending) = self.pending.answer(requested_by, event.name) else {
            return;
        };
        if event.name == EventName::Error {
            let code = event.error_code.unwrap_or(ErrorCode::InternalError);
            self.tally.errors.count(code);
        }
        let envelope = Envelope {
            reference_id: pending.reference_id,
            sequence: None,
            time: self.dates.date(event.at),
        };
        let frame = self.encoder.event(event, envelope);
        self.send(
            requested_by.client,
            Outgoing {
                frame,
                sequence: None,
            },
        );
    }

    /// Sends an answer that is no event of the stream.
    fn reply(
        &mut self,
        now: Instant,
        id: ClientId,
        message: &str,
        reference_id: Option<u32>,
        attributes: Attributes,
    ) {
        let time = self.dates.date(now);
        let frame = encode::message(message, reference_id, attributes, time);
        self.send(
            id,
            Outgoing {
                frame,
                sequence: None,
            },
        );
    }

    fn refuse(&mut self, now: Instant, id: ClientId, refusal: Refusal) {
        self.tally.errors.count(refusal.code);
        let mut attributes = Attributes::new();
        if let Some(this_dn) = refusal.this_dn {
            attributes.insert("ThisDN".to_owned(), this_dn.into());
        }
        attributes.insert("ErrorCode".to_owned(), refusal.code.name().into());
        attributes.insert("ErrorMessage".to_owned(), refusal.words.into());
        self.reply(now, id, "EventError", refusal.reference_id, attributes);
    }

    fn send_server_info(&mut self, now: Instant, id: ClientId, reference_id: Option<u32>) {
        let mut attributes = Attributes::new();
        let mut set = |name: &str, value: Json| attributes.insert(name.to_owned(), value);
        set("Server", "Offhook".into());
        set("Version", env!("CARGO_PKG_VERSION").into());
        set("ServerStartTime", self.start_time.as_str().into());
        set("EventSequenceNumber", self.history.last().into());
        self.reply(now, id, "EventServerInfo", reference_id, attributes);
    }

    /// Queues a frame for a client, or cuts the client off when its queue is full.
    fn send(&mut self, id: ClientId, outgoing: Outgoing) {
        let Some(client) = self.clients.client(id) else {
            return;
        };
        if client.outbox.send(outgoing).is_ok() {
            return;
        }
        self.tally.slow_clients += 1;
        if let Some(client) = self.forget(id) {
            client.outbox.close(Close::Slow);
        }
    }

    fn forget(&mut self, id: ClientId) -> Option<Client> {
        let client = self.clients.remove(id)?;
        self.pending.forget(id);
        self.behind.remove(&id);
        for address in client.registrations.keys() {
            self.attendance.left(id, self.book.address(*address));
        }
        self.attendance.gone(id);
        Some(client)
    }

    /// Pays what the shards have yet to hear about desktops and routers; a full queue is tried
    /// again with the next turn.
    fn tell_shards(&mut self) {
        for news in self.attendance.news() {
            let (shard, body) = match news {
                News::DesktopPresent(dn, present) => {
                    let word = if present {
                        DesktopRequest::Present
                    } else {
                        DesktopRequest::Gone
                    };
                    let body = RequestBody::Desktop(dn, word);
                    (self.shards.owner_of_dn(dn), body)
                }
                News::Router(routing_point, router) => {
                    let queue = self.book.config().routing_point_at(routing_point).queue;
                    let body = RequestBody::Route(routing_point, RouteRequest::Router(router));
                    (self.shards.owner_of_queue(queue), body)
                }
                News::ClaimantGone(dn, client) => {
                    let body = RequestBody::Desktop(dn, DesktopRequest::RouterGone(client));
                    (self.shards.owner_of_dn(dn), body)
                }
            };
            let requested_by = RequestedBy {
                client: ClientId(0),
                reference_id: 0,
            };
            if self
                .shards
                .request(shard, Request { requested_by, body })
                .is_ok()
            {
                self.attendance.told(news);
            }
        }
    }

    fn address_of(&self, name: &str) -> Result<(AddressId, Address), (ErrorCode, String)> {
        match self.book.find(name) {
            Some(id) => Ok((id, self.book.address(id))),
            None => {
                let words = format!("{name} is no agent, routing point, queue or trunk");
                Err((ErrorCode::UnknownDN, words))
            }
        }
    }
}

#[cfg(test)]
mod tests;
