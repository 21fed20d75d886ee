//! What a shard has received and not handled yet, in lines by urgency: where much waits, what
//! cannot wait goes before what begins something new, however long that has been here. Within a
//! line order is kept, and which message came first of all is known. What came by a stream finds
//! twice the room of a datagram, because nobody repeats it. What the messages are is the engine's
//! to say ([`crate::Engine::urgency`]); this only keeps them.

use std::collections::VecDeque;
use std::time::Instant;

use crate::engine::Source;
use crate::limits::{INTAKE_BYTES_MAX, INTAKE_MESSAGES_MAX, PROMPT_MAX, STREAM_INPUT_BYTES_MAX};

/// How soon a message must be handled where many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Before all else: it is part of what goes on.
    Now,
    /// After that and after what the control plane asks.
    Soon,
    /// After those: it begins something new.
    Last,
    /// After all others, in whose way it never is: nobody knows who sends it.
    Aside,
}

impl Urgency {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Now, Self::Soon, Self::Last, Self::Aside];
}

/// There is no room in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overfull;

/// A message that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    source: Source,
    came: Instant,
    /// Of two that came at the same time, the first has the lower one.
    number: u64,
    bytes: usize,
}

const _: () = assert!(
    size_of::<Waiting>() <= 120,
    "each message that comes is one"
);

/// The messages of one urgency, their bytes back to back.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    bytes: Vec<u8>,
    /// Where the bytes of the first begin.
    start: usize,
}

impl Line {
    fn push(
        &mut self,
        number: u64,
        source: Source,
        came: Instant,
        bytes: &[u8],
    ) -> Result<(), Overfull> {
        let held = self.bytes.len() - self.start;
        let part = if source.connection.is_some() { 2 } else { 1 };
        let is_full = self.waiting.len() >= part * INTAKE_MESSAGES_MAX;
        if is_full || held + bytes.len() > part * INTAKE_BYTES_MAX {
            return Err(Overfull);
        }
        // What was taken is let go before the line would have to grow, at the latest.
        let is_tight = self.bytes.len() + bytes.len() > self.bytes.capacity();
        if self.waiting.is_empty() || is_tight && self.start >= held {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
        self.waiting.push_back(Waiting {
            source,
            came,
            number,
            bytes: bytes.len(),
        });
        Ok(())
    }

    fn pop(&mut self) -> Option<(Source, Instant, &[u8])> {
        let Waiting {
            source,
            came,
            bytes,
            ..
        } = self.waiting.pop_front()?;
        let start = self.start;
        self.start += bytes;
        Some((source, came, &self.bytes[start..self.start]))
    }
}

/// All that waits to be handled.
#[derive(Debug, Default)]
pub struct Intake {
    lines: [Line; Urgency::ALL.len()],
    /// How many messages have come.
    count: u64,
}

impl Intake {
    /// Puts a message that came at `came` at the end of its line.
    ///
    /// # Errors
    /// [`Overfull`]; nothing was kept.
    pub fn push(
        &mut self,
        urgency: Urgency,
        source: Source,
        came: Instant,
        bytes: &[u8],
    ) -> Result<(), Overfull> {
        self.count += 1;
        self.lines[urgency as usize].push(self.count, source, came, bytes)
    }

    /// The line of the message that came first of all that wait, but for those of whom nobody
    /// knows who sends them.
    #[must_use]
    pub fn first(&self) -> Option<Urgency> {
        let came = |urgency: Urgency| {
            let first = self.lines[urgency as usize].waiting.front();
            first.map(|waiting| (waiting.came, waiting.number, urgency))
        };
        let known = [Urgency::Now, Urgency::Soon, Urgency::Last];
        let first = known.into_iter().filter_map(came).min();
        first.map(|(.., urgency)| urgency)
    }

    /// Whether so few messages wait that they are handled in the order in which they came. Those of
    /// whom nobody knows who sends them have no say in it.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.waiting() - self.len(Urgency::Aside) <= PROMPT_MAX
    }

    /// Takes the first message of a line: who sent it, when it came, and its bytes.
    pub fn pop(&mut self, urgency: Urgency) -> Option<(Source, Instant, &[u8])> {
        self.lines[urgency as usize].pop()
    }

    /// How many messages wait in a line.
    #[must_use]
    pub fn len(&self, urgency: Urgency) -> usize {
        self.lines[urgency as usize].waiting.len()
    }

    /// How many messages wait in all lines.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lines.iter().map(|line| line.waiting.len()).sum()
    }

    /// Whether a line has room for one more message of a stream, however long it is.
    #[must_use]
    pub fn has_room_for_streams(&self, urgency: Urgency) -> bool {
        let line = &self.lines[urgency as usize];
        let held = line.bytes.len() - line.start;
        line.waiting.len() < 2 * INTAKE_MESSAGES_MAX
            && held + STREAM_INPUT_BYTES_MAX <= 2 * INTAKE_BYTES_MAX
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.waiting.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::engine::{ConnectionId, ShardId, Transport};
    use std::time::Duration;

    fn source(port: u16) -> Source {
        Source {
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 5060).into(),
            remote: ([127, 0, 0, 1], port).into(),
            connection: None,
        }
    }

    #[test]
    fn each_line_keeps_its_order_and_its_bytes_however_it_is_filled_and_emptied() {
        let mut intake = Intake::default();
        let mut expected: [VecDeque<Vec<u8>>; 4] = Default::default();
        let now = Clock.now();
        for round in 0..3_000_u32 {
            for (line, urgency) in Urgency::ALL.into_iter().enumerate() {
                // Lines grow for a while and shrink for a while.
                let more = (round / 100 + line as u32).is_multiple_of(2);
                for step in 0..if more { 3 } else { 1 } {
                    let bytes = vec![round as u8; (round * 7 + step) as usize % 97];
                    let pushed = intake.push(urgency, source(line as u16), now, &bytes);
                    assert_eq!(pushed, Ok(()));
                    expected[line].push_back(bytes);
                }
                for _ in 0..if more { 1 } else { 3 } {
                    let popped = intake.pop(urgency);
                    let popped = popped.map(|(source, _, bytes)| (source.remote.port(), bytes));
                    let wanted = expected[line].pop_front();
                    assert_eq!(popped, wanted.as_deref().map(|bytes| (line as u16, bytes)));
                }
                assert_eq!(intake.len(urgency), expected[line].len());
            }
        }
        for line in &intake.lines {
            assert!(line.bytes.capacity() < 64 << 10, "what was taken is let go");
        }
    }

    #[test]
    fn whoever_came_first_is_known_whatever_its_line() {
        let mut intake = Intake::default();
        let now = Clock.now();
        let order = [Urgency::Now, Urgency::Last, Urgency::Soon, Urgency::Last];
        assert_eq!(intake.first(), None);
        assert_eq!(intake.push(Urgency::Aside, source(1), now, b"x"), Ok(()));
        assert_eq!(intake.first(), None, "nobody knows who sends it");
        for urgency in &order[1..] {
            assert_eq!(intake.push(*urgency, source(1), now, b"x"), Ok(()));
        }
        // It was at another shard meanwhile.
        let before = now.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(intake.push(order[0], source(1), before, b"x"), Ok(()));
        for urgency in order {
            assert_eq!(intake.first(), Some(urgency));
            assert!(intake.pop(urgency).is_some());
        }
        assert_eq!(intake.first(), None);
    }

    #[test]
    fn only_known_messages_make_it_long() {
        let mut intake = Intake::default();
        let now = Clock.now();
        for count in 0..=PROMPT_MAX {
            assert!(intake.is_short(), "{count}");
            assert_eq!(intake.push(Urgency::Aside, source(1), now, b"x"), Ok(()));
            let line = [Urgency::Now, Urgency::Soon, Urgency::Last][count % 3];
            assert_eq!(intake.push(line, source(1), now, b"x"), Ok(()));
        }
        assert!(!intake.is_short());
        assert!(intake.pop(Urgency::Aside).is_some());
        assert!(!intake.is_short());
        assert!(intake.pop(Urgency::Last).is_some());
        assert!(intake.is_short());
    }

    #[test]
    fn a_full_line_takes_no_more_and_the_others_do() {
        let mut intake = Intake::default();
        let now = Clock.now();
        for _ in 0..INTAKE_MESSAGES_MAX {
            assert_eq!(intake.push(Urgency::Last, source(1), now, b"x"), Ok(()));
        }
        let refused = intake.push(Urgency::Last, source(1), now, b"x");
        assert_eq!(refused, Err(Overfull));
        assert_eq!(intake.push(Urgency::Soon, source(1), now, b"x"), Ok(()));
        let long = vec![0; INTAKE_BYTES_MAX];
        assert_eq!(intake.push(Urgency::Now, source(1), now, &long), Ok(()));
        let refused = intake.push(Urgency::Now, source(1), now, b"x");
        assert_eq!(refused, Err(Overfull));
        assert!(intake.pop(Urgency::Last).is_some());
        assert_eq!(intake.push(Urgency::Last, source(1), now, b"x"), Ok(()));
    }

    #[test]
    fn a_stream_finds_room_where_datagrams_have_none() {
        let mut intake = Intake::default();
        let now = Clock.now();
        let connection = Some(ConnectionId {
            shard: ShardId(0),
            index: 0,
            generation: 0,
        });
        let stream = Source {
            connection,
            ..source(2)
        };
        for _ in 0..INTAKE_MESSAGES_MAX {
            assert_eq!(intake.push(Urgency::Soon, source(1), now, b"x"), Ok(()));
        }
        assert_eq!(
            intake.push(Urgency::Soon, source(1), now, b"x"),
            Err(Overfull)
        );
        for _ in 0..INTAKE_MESSAGES_MAX {
            assert!(intake.has_room_for_streams(Urgency::Soon));
            assert_eq!(intake.push(Urgency::Soon, stream, now, b"x"), Ok(()));
        }
        assert!(!intake.has_room_for_streams(Urgency::Soon));
        assert_eq!(intake.push(Urgency::Soon, stream, now, b"x"), Err(Overfull));
        let long = vec![0; STREAM_INPUT_BYTES_MAX];
        while intake.has_room_for_streams(Urgency::Last) {
            assert_eq!(intake.push(Urgency::Last, stream, now, &long), Ok(()));
        }
        assert!(intake.len(Urgency::Last) < INTAKE_MESSAGES_MAX);
    }
}
