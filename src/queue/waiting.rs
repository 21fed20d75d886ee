//! The callers' side of a queue: who is next. Higher priority first, then the longer wait. A caller
//! who comes back from an agent who did not answer has the place of before, because place and age
//! are what the order is made of. It decides nothing else.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Instant;

use crate::cti::ConnId;

/// A caller's place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    priority: Reverse<u16>,
    since: Instant,
    conn_id: ConnId,
}

impl Turn {
    pub(super) fn new(priority: u16, since: Instant, conn_id: ConnId) -> Self {
        Self {
            priority: Reverse(priority),
            since,
            conn_id,
        }
    }

    pub(super) fn conn_id(self) -> ConnId {
        self.conn_id
    }
}

/// Callers who wait for any agent of the queue. Every operation is O(log n).
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeSet<Turn>);

impl Waiting {
    pub(super) fn add(&mut self, turn: Turn) {
        let new = self.0.insert(turn);
        assert!(new, "a caller waits once");
    }

    pub(super) fn remove(&mut self, turn: Turn) {
        let there = self.0.remove(&turn);
        assert!(there, "only a caller who waits is taken from the line");
    }

    /// Who is next.
    pub(super) fn first(&self) -> Option<Turn> {
        self.0.first().copied()
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = ConnId> {
        self.0.iter().map(|turn| turn.conn_id)
    }
}
