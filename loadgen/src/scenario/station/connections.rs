//! Stream connections as calls see them: which call is hurt when one is gone, and what becomes of
//! one that was opened for a call.

use std::time::Instant;

use offhook_shards::{ConnectionChange, ConnectionId, ConnectionOutcome};

use super::super::statistics::Failure;
use super::Station;

impl Station {
    /// Notes which connection a call uses now.
    pub(super) fn hold_connection(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let held = slot.call.connection().filter(|_| slot.is_live);
        if slot.held != held {
            self.floor.flows.change(slot.held, held);
            slot.held = held;
        }
    }

    /// Whether the message given out last is for a connection of its call's own.
    pub(super) fn speaks_apart(&self) -> bool {
        self.floor.flows.speaking().is_some()
    }

    /// A connection was opened for the message given out last, or a limit has refused it.
    pub(super) fn connect(&mut self, now: Instant, connection: Option<ConnectionId>) {
        let Some(flow) = self.floor.flows.speaking() else {
            return;
        };
        match connection {
            Some(connection) => self.floor.flows.opened(flow, connection),
            None => self.lose_own(now, flow, Failure::ConnectFailed),
        }
    }

    fn lose_own(&mut self, now: Instant, flow: u64, failure: Failure) {
        if let Some(slot) = self.by_id.get(&flow).copied() {
            self.lose_at(now, slot, failure);
        }
    }

    fn lose_at(&mut self, now: Instant, slot: usize, failure: Failure) {
        let call = &mut self.slots[slot].call;
        let progress = call.lose_connection(now, &mut self.floor, failure);
        self.settle(now, slot, progress);
    }

    /// A connection is gone, or could not be opened.
    pub fn lose(&mut self, now: Instant, change: ConnectionChange) {
        let failure = match change.outcome {
            ConnectionOutcome::Closed => Failure::ConnectionClosed,
            ConnectionOutcome::ConnectFailed => Failure::ConnectFailed,
        };
        if let Some(flow) = change.connection.and_then(|id| self.floor.flows.lost(id)) {
            return self.lose_own(now, flow, failure);
        }
        if !self.may_hurt(&change) {
            return;
        }
        for slot in 0..self.slots.len() {
            let call = &self.slots[slot].call;
            let is_its_own = change
                .connection
                .is_some_and(|connection| call.uses(connection));
            let is_shared =
                call.flow(&self.floor).is_none() && call.shares_connection_to(change.remote);
            if self.slots[slot].is_live && (is_its_own || is_shared) {
                self.lose_at(now, slot, failure);
            }
        }
    }

    /// Whether any call may use the connection: where each call has its own, many go without one.
    fn may_hurt(&self, change: &ConnectionChange) -> bool {
        let known = |connection| self.floor.flows.users(connection) > 0;
        let is_used = change.connection.is_none_or(known);
        let shares =
            self.floor.scenario.side == super::Side::Client && !self.floor.settings.connects_each;
        is_used || shares || self.floor.is_redirected
    }
}
