//! The callers' side of a queue: who is next. Higher priority first, then the longer wait; where
//! priority ages, a wait of so long is worth one step of priority. Either way a caller's turn is
//! fixed when it enters and never has to be computed anew. One who comes back from an agent who
//! did not answer has the turn of before, because priority and age are what it is made of.
//!
//! Callers who need the same skills wait together, so that an agent who becomes free looks at the
//! first of each such class only. It decides nothing else.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::cti::ConnId;

use super::bits::Bits;
use super::effort::compared;
use super::ranked::Ranked;

/// A caller's place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// Zero for all where priority ages.
    priority: Reverse<u16>,
    /// Nanoseconds from the start of the queue to the moment at which the caller came, moved back
    /// by what an ageing priority is worth.
    since: i64,
    conn_id: ConnId,
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        compared();
        let key = |turn: &Self| (turn.priority, turn.since, turn.conn_id);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Turn {
    /// The turn of a caller who came at `since`, in a queue that began at `start`.
    pub(super) fn new(
        start: Instant,
        ageing: Option<Duration>,
        (priority, since): (u16, Instant),
        conn_id: ConnId,
    ) -> Self {
        let came = offset(start, since);
        let (priority, since) = match ageing {
            None => (priority, came),
            Some(step) => {
                let head_start = nanoseconds(step * u32::from(priority));
                (0, came.saturating_sub(head_start))
            }
        };
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

/// A moment in nanoseconds from another: half the size of an `Instant`, and the sets are large.
pub(super) fn offset(start: Instant, at: Instant) -> i64 {
    match at.checked_duration_since(start) {
        Some(after) => nanoseconds(after),
        None => -nanoseconds(start.duration_since(at)),
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// Callers who wait for an agent of the queue. One about whom a router is asked has a rank in the
/// line and is in no class: the queue offers it to nobody. Every operation is O(log n).
#[derive(Debug)]
pub(super) struct Waiting {
    /// By what they need.
    classes: Vec<BTreeSet<Turn>>,
    /// The classes in which somebody waits.
    occupied: Bits,
    /// All of them.
    line: Ranked<Turn>,
}

impl Waiting {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            classes: vec![BTreeSet::new(); classes],
            occupied: Bits::new(classes),
            line: Ranked::default(),
        }
    }

    pub(super) fn add(&mut self, class: usize, turn: Turn) {
        let new = self.classes[class].insert(turn);
        assert!(new, "a caller waits once");
        self.occupied.set(class, true);
        self.rank(turn);
    }

    pub(super) fn remove(&mut self, class: usize, turn: Turn) {
        let there = self.classes[class].remove(&turn);
        assert!(there, "only a caller who waits is taken from the line");
        self.occupied.set(class, !self.classes[class].is_empty());
        self.leave_rank(turn);
    }

    /// A caller has a place in the line, whoever chooses its agent.
    pub(super) fn rank(&mut self, turn: Turn) {
        self.line.insert(turn);
    }

    pub(super) fn leave_rank(&mut self, turn: Turn) {
        let there = self.line.remove(turn);
        assert!(there, "only a caller who has a rank loses it");
    }

    /// The one whose turn it is among the classes of a set.
    pub(super) fn first_of(&self, classes: &Bits) -> Option<(usize, Turn)> {
        let classes = self.occupied.both(classes);
        let firsts = classes.filter_map(|class| Some((class, *self.classes[class].first()?)));
        firsts.min_by_key(|(_, turn)| *turn)
    }

    /// How many are before a caller.
    pub(super) fn before(&self, turn: Turn) -> usize {
        self.line.place(turn)
    }

    /// How many have a rank.
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// All who have a rank, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = ConnId> {
        self.line.iter().map(Turn::conn_id)
    }
}
