//! The agents' side of a queue: who may be picked, longest idle first. An agent who was picked is
//! gone from here until it says again that it is available, and is never picked twice at once, not
//! even when that word overtakes the outcome of the first offer. It decides nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::config::DnIndex;
use crate::cti::ConnId;

/// What the queue knows of one agent.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Idle since then, unless it is unavailable or was picked since it said so.
    idle_since: Option<Instant>,
    /// The call of this queue that it is being offered.
    offered: Option<ConnId>,
}

/// The agents that a queue knows of. Every operation is O(log n).
#[derive(Debug, Default)]
pub(super) struct Ready {
    known: BTreeMap<DnIndex, Known>,
    /// Those available and not being offered a call.
    idle: BTreeSet<(Instant, DnIndex)>,
}

impl Ready {
    /// The agent's word: available since then, or not.
    pub(super) fn say(&mut self, dn: DnIndex, idle_since: Option<Instant>) {
        self.change(dn, |known| known.idle_since = idle_since);
    }

    /// The agent is being offered a call; its word is used up.
    pub(super) fn pick(&mut self, dn: DnIndex, conn_id: ConnId) {
        assert!(
            !self.is_offered(dn),
            "an agent is offered one call of a queue at a time"
        );
        self.change(dn, |known| {
            *known = Known {
                idle_since: None,
                offered: Some(conn_id),
            }
        });
    }

    /// The offer came to an end, whichever.
    pub(super) fn settle(&mut self, dn: DnIndex, conn_id: ConnId) {
        self.change(dn, |known| {
            if known.offered == Some(conn_id) {
                known.offered = None;
            }
        });
    }

    /// Whether the agent is being offered a call of this queue.
    pub(super) fn is_offered(&self, dn: DnIndex) -> bool {
        self.known
            .get(&dn)
            .is_some_and(|known| known.offered.is_some())
    }

    /// The agent idle longest.
    pub(super) fn longest_idle(&self) -> Option<DnIndex> {
        self.idle.first().map(|&(_, dn)| dn)
    }

    /// How many may be picked.
    pub(super) fn len(&self) -> usize {
        self.idle.len()
    }

    /// Keeps `idle` true to `known`, and `known` free of agents of whom there is nothing to know.
    fn change(&mut self, dn: DnIndex, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.get(&dn).copied().unwrap_or_default();
        if let Some(since) = known.idle_since {
            self.idle.remove(&(since, dn));
        }
        change(&mut known);
        match known {
            Known {
                idle_since: None,
                offered: None,
            } => {
                self.known.remove(&dn);
            }
            Known {
                idle_since: Some(since),
                offered: None,
            } => {
                self.idle.insert((since, dn));
                self.known.insert(dn, known);
            }
            Known {
                idle_since: _,
                offered: Some(_),
            } => {
                self.known.insert(dn, known);
            }
        }
    }
}

#[cfg(test)]
mod tests;
