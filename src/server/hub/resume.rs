//! How a client that was away catches up: with the events that it missed, or, where they are no
//! longer kept, with EventGap and fresh snapshots. What it is owed is read from the history as its
//! queue has room, so that a long absence does not make it a slow client.

use std::time::Instant;

use serde_json::Value as Json;

use crate::cti::{ClientId, ErrorCode};
use crate::server::address::AddressId;
use crate::server::clients::{CatchUp, Outgoing, Registration};
use crate::server::link::Shards;
use crate::server::snapshot::Attributes;

use super::Hub;

impl<S: Shards> Hub<S> {
    pub(super) fn resume(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        server_start_time: &str,
        sequence: u64,
    ) -> Result<(), (ErrorCode, String)> {
        if self.lasting_client(id)?.is_behind() {
            let words = "the client has not caught up from its last RequestResume".to_owned();
            return Err((ErrorCode::WrongState, words));
        }
        let last = self.history.last();
        let same_server = server_start_time == self.start_time;
        if same_server && sequence > last {
            let words = format!("event {sequence} has not happened yet; the last one is {last}");
            return Err((ErrorCode::InvalidAttribute, words));
        }
        if !same_server || !self.history.reaches_back_to(sequence) {
            self.start_again(now, id, reference_id);
            return Ok(());
        }
        self.reply(now, id, "EventACK", reference_id, Attributes::new());
        if let Some(client) = self.clients.client_mut(id) {
            client
                .every_registration()
                .for_each(|registration| registration.resume(sequence));
            client.catch_up = Some(CatchUp {
                cursor: sequence,
                resumed_at: last,
            });
            self.behind.insert(id);
        }
        self.catch_up(now, id);
        Ok(())
    }

    /// Sends a client what it is behind with, as far as its queue has room.
    pub(super) fn catch_up(&mut self, now: Instant, id: ClientId) {
        self.send_snapshots_due(now, id);
        self.send_events_missed(now, id);
        if self
            .clients
            .client(id)
            .is_none_or(|client| !client.is_behind())
        {
            self.behind.remove(&id);
        }
    }

    /// What the client missed is no longer kept: EventGap, then a snapshot of everything that it
    /// registered.
    fn start_again(&mut self, now: Instant, id: ClientId, reference_id: Option<u32>) {
        self.tally.gaps += 1;
        let mut attributes = Attributes::new();
        let start_time = Json::from(self.start_time.as_str());
        attributes.insert("ServerStartTime".to_owned(), start_time);
        self.reply(now, id, "EventGap", reference_id, attributes);
        let Some(client) = self.clients.client_mut(id) else {
            return;
        };
        client.catch_up = None;
        client
            .every_registration()
            .for_each(Registration::start_again);
        let answers = std::mem::take(&mut client.answers);
        for (sequence, frame) in answers {
            self.send(
                id,
                Outgoing {
                    frame,
                    sequence: Some(sequence),
                },
            );
        }
        self.behind.insert(id);
        self.catch_up(now, id);
    }

    fn send_snapshots_due(&mut self, now: Instant, id: ClientId) {
        let sequence = self.history.last();
        let Some(client) = self.clients.client_mut(id) else {
            return;
        };
        if client
            .everything
            .is_some_and(|registration| registration.snapshot_due)
        {
            client.everything = Some(Registration::new(sequence, false));
            self.send_everything(now, id, None);
        }
        let Some(client) = self.clients.client(id) else {
            return;
        };
        let room = client.room_to_catch_up();
        let due = client
            .registrations
            .iter()
            .filter(|(_, registration)| registration.snapshot_due);
        let due: Vec<AddressId> = due.take(room).map(|(address, _)| *address).collect();
        for address in due {
            if let Some(client) = self.clients.client_mut(id) {
                client
                    .registrations
                    .insert(address, Registration::new(sequence, false));
            }
            self.send_registered(now, id, None, address);
        }
    }

    fn send_events_missed(&mut self, now: Instant, id: ClientId) {
        let Some(client) = self.clients.client_mut(id) else {
            return;
        };
        let Some(CatchUp {
            mut cursor,
            resumed_at,
        }) = client.catch_up
        else {
            return;
        };
        let mut room = client.room_to_catch_up();
        while cursor < self.history.last() && room > 0 {
            let Some(entry) = self.history.entry(cursor + 1) else {
                // The client read so slowly that the history has moved past it.
                return self.start_again(now, id, None);
            };
            cursor = entry.sequence;
            let address = entry.address.map(|address| self.book.address(address));
            let stands_by = address.is_some_and(|at| self.attendance.stands_by(id, at));
            let allowed = !entry.routers_only || client.identity.may_route() && !stands_by;
            if !allowed || !client.missed(entry.address, cursor, resumed_at) {
                continue;
            }
            let frame = client
                .answers
                .remove(&cursor)
                .unwrap_or_else(|| entry.frame.clone());
            // There is room, so that a refusal cannot happen.
            let _ = client.outbox.send(Outgoing {
                frame,
                sequence: Some(cursor),
            });
            room -= 1;
        }
        client.catch_up = Some(CatchUp { cursor, resumed_at });
        if cursor == self.history.last() {
            client.catch_up = None;
            client
                .every_registration()
                .for_each(Registration::caught_up);
            // Answers to what is no longer registered.
            let answers = std::mem::take(&mut client.answers);
            for (sequence, frame) in answers {
                self.send(
                    id,
                    Outgoing {
                        frame,
                        sequence: Some(sequence),
                    },
                );
            }
        }
    }
}
