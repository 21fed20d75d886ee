//! The tail of the event stream, for clients that resume: a ring of the last frames, numbered
//! without gaps. It keeps frames as they were sent; what a client may see of them is not its
//! business.

use std::collections::VecDeque;

use super::address::AddressId;
use super::encode::Frame;

/// One event of the stream.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the stream.
    pub sequence: u64,
    /// Whose stream it belongs to; `None` when the configuration does not know the address.
    pub address: Option<AddressId>,
    /// Whether only those who may route see it.
    pub routers_only: bool,
    /// Its public form, without any client's `ReferenceID`.
    pub frame: Frame,
}

/// The last events, up to a bound.
#[derive(Debug)]
pub struct History {
    entries: VecDeque<Entry>,
    entries_max: usize,
    last: u64,
}

impl History {
    /// Keeps at most `entries_max` events.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            entries_max,
            last: 0,
        }
    }

    /// The number of the last event; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The number that the next event gets.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    /// Adds the next event, and forgets the oldest when there are too many.
    pub fn push(&mut self, entry: Entry) {
        assert_eq!(
            entry.sequence,
            self.next(),
            "events are numbered without gaps"
        );
        self.last = entry.sequence;
        if self.entries.len() == self.entries_max {
            self.entries.pop_front();
        }
        if self.entries_max > 0 {
            self.entries.push_back(entry);
        }
    }

    /// The event with this number, if it is still kept.
    #[must_use]
    pub fn entry(&self, sequence: u64) -> Option<&Entry> {
        let first = self.entries.front()?.sequence;
        let index = usize::try_from(sequence.checked_sub(first)?).ok()?;
        self.entries.get(index)
    }

    /// Whether every event after this one is still kept.
    #[must_use]
    pub fn reaches_back_to(&self, sequence: u64) -> bool {
        sequence == self.last || (sequence < self.last && self.entry(sequence + 1).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64) -> Entry {
        Entry {
            sequence,
            address: None,
            routers_only: false,
            frame: "{}".into(),
        }
    }

    #[test]
    fn it_keeps_the_last_events() {
        let mut history = History::new(3);
        assert!(history.reaches_back_to(0) && !history.reaches_back_to(1));
        for sequence in 1..=5 {
            history.push(entry(sequence));
        }
        assert_eq!((history.last(), history.next()), (5, 6));
        let kept: Vec<_> = (0..8)
            .filter(|sequence| history.entry(*sequence).is_some())
            .collect();
        assert_eq!(kept, [3, 4, 5]);
        let reached: Vec<_> = (0..8)
            .filter(|number| history.reaches_back_to(*number))
            .collect();
        assert_eq!(reached, [2, 3, 4, 5]);
    }

    #[test]
    fn it_may_keep_none() {
        let mut history = History::new(0);
        history.push(entry(1));
        assert!(history.reaches_back_to(1) && !history.reaches_back_to(0));
    }

    #[test]
    #[should_panic(expected = "without gaps")]
    fn a_gap_is_a_defect() {
        History::new(3).push(entry(2));
    }
}
