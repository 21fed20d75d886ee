//! Which calls use which stream connections: a connection of one call's own is opened by its first
//! message and closed behind its last, and one that peers have opened lives as long as they like.

use std::collections::{HashMap, VecDeque};

use offhook_shards::ConnectionId;

/// The connections of one worker's calls. A call is named by the hash of its Call-ID.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    own: HashMap<u64, ConnectionId>,
    owners: HashMap<ConnectionId, u64>,
    /// How many calls use each connection that a peer has opened.
    users: HashMap<ConnectionId, usize>,
    /// The call whose message was given out last, if it has a connection of its own.
    speaking: Option<u64>,
    /// Connections that are to be closed.
    closing: VecDeque<ConnectionId>,
}

impl Flows {
    /// A message of this call is given out; on which connection it goes, if one is open.
    pub(crate) fn speak(&mut self, flow: Option<u64>) -> Option<ConnectionId> {
        self.speaking = flow;
        self.own.get(&flow?).copied()
    }

    /// The call whose message was given out last, if it has a connection of its own.
    pub(crate) fn speaking(&self) -> Option<u64> {
        self.speaking
    }

    /// A connection was opened for a call.
    pub(crate) fn opened(&mut self, flow: u64, connection: ConnectionId) {
        if let Some(before) = self.own.insert(flow, connection) {
            self.owners.remove(&before);
        }
        self.owners.insert(connection, flow);
    }

    /// Whose connection it was that is gone.
    pub(crate) fn lost(&mut self, connection: ConnectionId) -> Option<u64> {
        let flow = self.owners.remove(&connection)?;
        self.own.remove(&flow);
        Some(flow)
    }

    /// A call needs its own connection no more.
    pub(crate) fn hang_up(&mut self, flow: u64) {
        if let Some(connection) = self.own.remove(&flow) {
            self.owners.remove(&connection);
            self.closing.push_back(connection);
        }
    }

    /// A connection that a peer has opened is to be closed.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        self.closing.push_back(connection);
    }

    /// The next connection to close.
    pub(crate) fn next_to_close(&mut self) -> Option<ConnectionId> {
        self.closing.pop_front()
    }

    /// A call uses another connection than before, or none.
    pub(crate) fn change(&mut self, before: Option<ConnectionId>, now: Option<ConnectionId>) {
        if let Some(connection) = now {
            *self.users.entry(connection).or_default() += 1;
        }
        let Some(connection) = before else {
            return;
        };
        if let Some(count) = self.users.get_mut(&connection) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(&connection);
            }
        }
    }

    /// How many calls use a connection that a peer has opened.
    pub(crate) fn users(&self, connection: ConnectionId) -> usize {
        self.users.get(&connection).copied().unwrap_or(0)
    }
}
