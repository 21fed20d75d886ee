//! The part of the table that meets the cutting of a stream into messages: whose input is to be
//! cut, and what follows from how that went.

use std::time::Instant;

use super::{Deadline, StreamCommand, Table, empty, live};
use crate::engine::{ConnectionId, Source};
use crate::limits;
use crate::metrics::Counter;

/// What was done with a connection's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Bytes that were whole messages or keep-alives.
    pub(crate) consumed: usize,
    /// What the bytes behind them are.
    pub(crate) rest: Rest,
}

/// The bytes behind those that were consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// No whole message, or nothing.
    Incomplete,
    /// Nothing that can become a message.
    Malformed,
    /// The same, and the peer is told why.
    MalformedAnswered,
    /// Nobody has looked: its share of this turn is used up.
    Unseen,
    /// A message for which there is no room, here or on another shard.
    Blocked,
}

/// Since when the whole messages of a connection's input are there. Those that came later than the
/// first are dated together, by the earliest of them.
#[derive(Debug, Default)]
pub(super) struct Dates {
    first: Option<(Instant, usize)>,
    rest: Option<Instant>,
}

impl Dates {
    /// There are `bytes` of input; what has no date yet came at `at`. Returns when the first came.
    fn note(&mut self, at: Instant, bytes: usize) -> Instant {
        let (since, until) = *self.first.get_or_insert((at, bytes));
        if bytes > until {
            self.rest.get_or_insert(at);
        }
        since
    }

    /// So many bytes are gone, and so many are left.
    fn consume(&mut self, bytes: usize, left: usize) {
        self.first = match self.first.take() {
            Some((since, until)) if until > bytes => Some((since, until - bytes)),
            Some(_) | None => self.rest.take().map(|at| (at, left)),
        };
    }
}

impl Table {
    /// How many connections wait to be cut.
    pub(crate) fn to_cut(&self) -> usize {
        self.to_cut.len()
    }

    /// The next connection whose input is to be cut into messages, since when it is there if what
    /// was read last came at `at`, and the input. [`Table::cut`] must follow.
    pub(crate) fn next_to_cut(&mut self, at: Instant) -> Option<(Source, Instant, &[u8])> {
        while let Some(id) = self.to_cut.pop_front() {
            if self.is_live(id) {
                let slot = &mut self.slots[id.index as usize];
                let connection = slot.connection.as_mut().expect("it was live a line ago");
                connection.to_cut = false;
                let local = connection.local.expect("only open connections receive");
                let source = Source {
                    transport: connection.transport(),
                    local,
                    remote: connection.remote,
                    connection: Some(id),
                };
                let came = connection.dates.note(at, connection.input.len());
                return Some((source, came, &connection.input));
            }
        }
        None
    }

    /// What became of the input that [`Table::next_to_cut`] showed.
    pub(crate) fn cut(&mut self, now: Instant, id: ConnectionId, cut: Cut) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        if cut.consumed > 0 {
            connection.input.drain(..cut.consumed);
            if let Some(timer) = connection.message_timer.take() {
                self.wheel.cancel(timer);
            }
        }
        connection
            .dates
            .consume(cut.consumed, connection.input.len());
        if cut.rest == Rest::Incomplete {
            // A message has come when its last byte has.
            connection.dates = Dates::default();
        }
        connection.paused = cut.rest == Rest::Blocked;
        let full = connection.input.len() >= limits::STREAM_INPUT_BYTES_MAX;
        match cut.rest {
            Rest::Incomplete if connection.ending.is_some() => {
                let reason = connection.ending.expect("looked at a line ago");
                let truncated = reason == Counter::ClosedByPeer && !connection.input.is_empty();
                let reason = if truncated {
                    Counter::ClosedTruncated
                } else {
                    reason
                };
                return self.close(id, reason);
            }
            Rest::Malformed | Rest::MalformedAnswered => {
                // What came before is answered as well.
                let talks = cut.rest == Rest::MalformedAnswered
                    || cut.consumed > 0
                    || connection.written < connection.output.len();
                if talks && connection.ending.is_none() {
                    return self.part(now, id, Counter::ClosedMalformed);
                }
                return self.close(id, Counter::ClosedMalformed);
            }
            Rest::Incomplete if full => return self.close(id, Counter::ClosedInputLimit),
            Rest::Incomplete if connection.input.is_empty() => empty(&mut connection.input),
            Rest::Incomplete => {
                if connection.message_timer.is_none() {
                    let at = now + self.message_deadline;
                    connection.message_timer = Some(self.wheel.arm(at, Deadline::Message(id)));
                }
            }
            Rest::Unseen | Rest::Blocked => {}
        }
        if connection.held && !connection.paused && !full {
            connection.held = false;
            self.commands.push_back(StreamCommand::Attend { id });
        }
        match cut.rest {
            Rest::Unseen | Rest::Blocked => self.queue_to_cut(id),
            Rest::Incomplete | Rest::Malformed | Rest::MalformedAnswered => {}
        }
    }

    /// What comes is thrown away until the peer has had the time to hear why: to close with bytes
    /// unread would make the kernel send a reset, which may overtake the answer.
    pub(super) fn part(&mut self, now: Instant, id: ConnectionId, reason: Counter) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        connection.parting = Some(reason);
        empty(&mut connection.input);
        if let Some(timer) = connection.message_timer.take() {
            self.wheel.cancel(timer);
        }
        self.wheel.cancel(connection.timer);
        let at = now + limits::PARTING_DEADLINE;
        connection.timer = self.wheel.arm(at, Deadline::Parting(id));
        if std::mem::take(&mut connection.held) {
            self.commands.push_back(StreamCommand::Attend { id });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Dates;
    use crate::clock::Clock;

    #[test]
    fn what_waits_in_a_stream_is_as_old_as_the_first_that_came_with_it() {
        let now = Clock.now();
        let at = |ms| now + Duration::from_millis(ms);
        let (first, second, third, fourth) = (at(0), at(10), at(20), at(30));
        let mut dates = Dates::default();
        assert_eq!(dates.note(first, 100), first);
        dates.consume(40, 60);
        assert_eq!(dates.note(second, 90), first, "some of the first is left");
        assert_eq!(dates.note(third, 120), first);
        dates.consume(60, 60);
        assert_eq!(dates.note(fourth, 70), second, "the earliest of the rest");
        dates.consume(60, 10);
        assert_eq!(dates.note(fourth, 10), fourth);
        dates.consume(10, 0);
        assert_eq!(dates.note(first, 5), first, "nothing was left");
    }
}
