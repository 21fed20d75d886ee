//! When what an engine has to say may be said: once the kernel has the records that were made
//! before it. Each output waits for those and for none that came later, so that under load it is as
//! late as the writer and no later. Pure: what is written, and when, it is told.

use std::collections::VecDeque;
use std::time::Instant;

use crate::engine::Waiting;
use crate::limits::{JOURNAL_MARKS_MAX, JOURNAL_WAIT_MAX};

/// Where an output goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// To the network.
    Transmit,
    /// To another shard.
    Message,
    /// To the control plane.
    Event,
}

/// A count for each way; each is first in, first out.
type Counts = [u64; 3];

/// So many outputs wait for so many records.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    records: u64,
    outputs: Counts,
}

/// What may be said.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// How much was said.
    said: Counts,
    /// How much may be.
    allowed: Counts,
    /// What waits, the oldest first.
    marks: VecDeque<Mark>,
    /// The record that took too long. Nothing waits until it is written.
    owed: Option<u64>,
}

impl Gate {
    /// Looks at what waits to be said, after so many records, of which so many are written. Whether
    /// a record has just turned out to take too long.
    pub(super) fn look(
        &mut self,
        now: Instant,
        waiting: Waiting,
        records: u64,
        written: u64,
    ) -> bool {
        let Waiting {
            transmits,
            messages,
            events,
        } = waiting;
        let mut outputs = self.said;
        for (count, more) in outputs.iter_mut().zip([transmits, messages, events]) {
            *count += more as u64;
        }
        self.owed = self.owed.filter(|record| *record > written);
        self.mark(now, outputs, records);
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.records <= written) {
            self.allowed = mark.outputs;
        }
        let late = self.marks.front().filter(|mark| {
            self.owed.is_none() && now.saturating_duration_since(mark.at) >= JOURNAL_WAIT_MAX
        });
        let late = late.map(|mark| mark.records);
        self.owed = self.owed.or(late);
        if self.owed.is_some() {
            self.marks.clear();
        }
        if self.marks.is_empty() {
            self.allowed = outputs;
        }
        late.is_some()
    }

    fn mark(&mut self, now: Instant, outputs: Counts, records: u64) {
        let last = self.marks.back().map_or(self.allowed, |mark| mark.outputs);
        if outputs == last {
            return;
        }
        let is_full = self.marks.len() == JOURNAL_MARKS_MAX;
        match self.marks.back_mut() {
            Some(mark) if is_full || mark.records == records => {
                (mark.records, mark.outputs) = (records, outputs);
            }
            Some(_) | None => self.marks.push_back(Mark {
                at: now,
                records,
                outputs,
            }),
        }
    }

    /// Whether something waits, for a record, or to be asked for: it may have been allowed after it
    /// was asked for last.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.marks.is_empty() || self.said != self.allowed
    }

    /// Whether the next output on this way may go.
    pub(super) fn is_open(&self, way: Way) -> bool {
        self.said[way as usize] < self.allowed[way as usize]
    }

    /// It is gone.
    pub(super) fn passed(&mut self, way: Way) {
        self.said[way as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::clock::Clock;
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    /// A shard that has a record and a message to send in every turn.
    struct Shard {
        gate: Gate,
        begin: Instant,
        now: Instant,
        made: u64,
        said: u64,
        late: u64,
    }

    impl Shard {
        fn new() -> Self {
            let begin = Clock::start().now();
            Self {
                gate: Gate::default(),
                begin,
                now: begin,
                made: 0,
                said: 0,
                late: 0,
            }
        }

        /// A turn; gives back how many of all messages are out after it.
        fn turn(&mut self, written: u64) -> u64 {
            self.now += MOMENT;
            self.made += 1;
            self.look(written)
        }

        fn look(&mut self, written: u64) -> u64 {
            let waiting = Waiting {
                transmits: (self.made - self.said) as usize,
                ..Waiting::default()
            };
            let late = self.gate.look(self.now, waiting, self.made, written);
            self.late += u64::from(late);
            while self.gate.is_open(Way::Transmit) {
                self.gate.passed(Way::Transmit);
                self.said += 1;
            }
            self.said
        }
    }

    #[test]
    fn what_is_said_is_as_late_as_the_writer_and_no_later() {
        let mut shard = Shard::new();
        for turn in 1..10_000_u64 {
            let written = turn.saturating_sub(2);
            assert_eq!(shard.turn(written), written, "turn {turn}");
        }
        assert_eq!(shard.late, 0);
        // The last two follow, although nothing else happens.
        assert!(shard.gate.is_waited_for());
        assert_eq!(shard.look(9_999), 9_999);
        assert!(!shard.gate.is_waited_for());
    }

    #[test]
    fn a_writer_that_stands_is_waited_for_once() {
        let mut shard = Shard::new();
        let patience = JOURNAL_WAIT_MAX.as_millis() as u64;
        for turn in 1..=patience {
            assert_eq!(shard.turn(0), 0, "turn {turn}");
        }
        for turn in 1..1_000 {
            assert_eq!(shard.turn(0), patience + turn, "nothing waits any more");
        }
        assert_eq!(shard.late, 1);
        // The disk turns again: what comes now is waited for.
        let said = shard.turn(1);
        assert_eq!(shard.turn(1), said);
        assert_eq!(shard.turn(said), said);
        assert_eq!(shard.late, 1);
        assert!(shard.now - shard.begin > JOURNAL_WAIT_MAX);
    }

    #[test]
    fn a_shard_without_records_waits_for_nothing() {
        let mut gate = Gate::default();
        let now = Clock::start().now();
        let waiting = Waiting {
            messages: 2,
            ..Waiting::default()
        };
        assert!(!gate.look(now, waiting, 0, 0));
        for _ in 0..2 {
            assert!(gate.is_open(Way::Message) && !gate.is_open(Way::Event));
            gate.passed(Way::Message);
        }
        assert!(!gate.is_open(Way::Message) && !gate.is_waited_for());
    }

    #[test]
    fn what_came_before_a_record_does_not_wait_for_it() {
        let mut gate = Gate::default();
        let now = Clock::start().now();
        let one = Waiting {
            events: 1,
            ..Waiting::default()
        };
        gate.look(now, one, 0, 0);
        let two = Waiting { events: 2, ..one };
        gate.look(now, two, 1, 0);
        assert!(gate.is_open(Way::Event));
        gate.passed(Way::Event);
        assert!(!gate.is_open(Way::Event));
        gate.look(now, one, 1, 1);
        assert!(gate.is_open(Way::Event));
    }

    #[test]
    fn marks_are_bounded() {
        let mut shard = Shard::new();
        for _ in 0..3 * JOURNAL_MARKS_MAX {
            shard.made += 1;
            shard.look(0);
        }
        assert_eq!(shard.gate.marks.len(), JOURNAL_MARKS_MAX);
        assert_eq!(shard.look(shard.made), shard.made);
    }

    #[test]
    fn what_was_allowed_after_it_was_asked_for_is_waited_for() {
        let mut gate = Gate::default();
        let now = Clock::start().now();
        let waiting = Waiting {
            transmits: 1,
            ..Waiting::default()
        };
        gate.look(now, waiting, 1, 0);
        assert!(!gate.is_open(Way::Transmit) && gate.is_waited_for());
        // The record is written before the last way of the turn is asked.
        gate.look(now, waiting, 1, 1);
        assert!(!gate.is_open(Way::Event) && gate.is_waited_for());
        assert!(gate.is_open(Way::Transmit));
        gate.passed(Way::Transmit);
        assert!(!gate.is_waited_for());
    }
}
