//! An engine that writes down what it does before it says it: what the network and the desktops
//! hear waits until the kernel has the records that came before it, so that nothing was said that
//! a killed process does not know. A disk that takes too long is not waited for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam::channel::TrySendError;
use offhook_shards::{ConnectionChange, Frame, ShardId, Source, Transmit, Urgency};

use crate::counters::{Counter, Counters};
use crate::cti::Output;
use crate::engine::{Engine, Input, Message};
use crate::limits::{JOURNAL_LOOK_INTERVAL, JOURNAL_WAIT_MAX};

use super::writer::{Entry, Line};

/// A shard's way to its journal.
#[derive(Debug)]
pub struct Desk {
    line: Line,
    /// How many records it has given away.
    sent: u64,
    /// The record that found no room.
    held: Option<Entry>,
    /// Since when something waits to be said.
    shut_since: Option<Instant>,
    /// Whether it is said all the same, because the disk has taken too long.
    is_late: bool,
    /// The time of the last input.
    now: Instant,
    counters: Arc<Counters>,
}

impl Desk {
    pub(super) fn new(line: Line, now: Instant, counters: Arc<Counters>) -> Self {
        Self {
            line,
            sent: 0,
            held: None,
            shut_since: None,
            is_late: false,
            now,
            counters,
        }
    }

    /// Gives the records away, as far as there is room.
    fn hand_in(&mut self, engine: &mut Engine) {
        loop {
            let next = self.held.take();
            let Some(entry) = next.or_else(|| engine.poll_record().map(Entry::Record)) else {
                return;
            };
            match self.line.sender.try_send(entry) {
                Ok(()) => self.sent += 1,
                Err(TrySendError::Full(entry)) => {
                    self.held = Some(entry);
                    return;
                }
                // The writer has said why it is gone.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// Whether what the engine has to say may be said.
    fn may_speak(&mut self, engine: &mut Engine) -> bool {
        self.hand_in(engine);
        self.is_open()
    }

    /// Whether everything is written, or has not been for too long.
    fn is_open(&mut self) -> bool {
        let is_written = self.line.written.load(Ordering::Acquire) >= self.sent;
        if is_written && self.held.is_none() {
            (self.shut_since, self.is_late) = (None, false);
            return true;
        }
        let since = *self.shut_since.get_or_insert(self.now);
        let is_late = self.now.saturating_duration_since(since) >= JOURNAL_WAIT_MAX;
        if is_late && !self.is_late {
            self.is_late = true;
            self.counters.count(Counter::RecordLate);
            tracing::warn!(
                "the journal is not written for {} ms; a crash now would lose calls",
                JOURNAL_WAIT_MAX.as_millis()
            );
        }
        is_late
    }
}

/// What runs on a shard of a server: an engine, and its desk if it keeps a journal.
#[derive(Debug)]
pub struct Journaled {
    engine: Engine,
    desk: Option<Desk>,
}

impl Journaled {
    /// An engine without a journal, or with one.
    #[must_use]
    pub fn new(engine: Engine, desk: Option<Desk>) -> Self {
        Self { engine, desk }
    }

    fn is_now(&mut self, now: Instant) {
        if let Some(desk) = &mut self.desk {
            desk.now = now;
        }
    }

    fn may_speak(&mut self) -> bool {
        let engine = &mut self.engine;
        self.desk.as_mut().is_none_or(|desk| desk.may_speak(engine))
    }
}

impl offhook_shards::Engine for Journaled {
    type Message = Message;
    type Request = Input;
    type Event = Output;

    fn owner(&self, bytes: &[u8]) -> Option<ShardId> {
        self.engine.owner(bytes)
    }

    fn frame(buffer: &[u8]) -> Frame {
        Engine::frame(buffer)
    }

    fn identity(&self, remote: SocketAddr) -> Option<String> {
        self.engine.identity(remote)
    }

    fn urgency(&self, bytes: &[u8]) -> Urgency {
        self.engine.urgency(bytes)
    }

    fn handle_arrival(&mut self, at: Instant, urgency: Urgency) {
        self.engine.handle_arrival(at, urgency);
    }

    fn handle_datagram(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        self.is_now(now);
        self.engine.handle_datagram(now, from, bytes);
    }

    fn handle_excess(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        self.is_now(now);
        self.engine.handle_excess(now, from, bytes);
    }

    fn handle_malformed(&mut self, now: Instant, from: Source, bytes: &[u8]) -> bool {
        self.is_now(now);
        self.engine.handle_malformed(now, from, bytes)
    }

    fn handle_connection(&mut self, now: Instant, change: ConnectionChange) {
        self.is_now(now);
        self.engine.handle_connection(now, change);
    }

    fn handle_message(&mut self, now: Instant, from: ShardId, message: Message) {
        self.is_now(now);
        self.engine.handle_message(now, from, message);
    }

    fn handle_request(&mut self, now: Instant, request: Input) {
        self.is_now(now);
        self.engine.handle_request(now, request);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.is_now(now);
        self.engine.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        self.may_speak()
            .then(|| self.engine.poll_transmit(buffer))
            .flatten()
    }

    fn poll_message(&mut self) -> Option<(ShardId, Message)> {
        self.engine.poll_message()
    }

    fn poll_event(&mut self) -> Option<Output> {
        self.may_speak().then(|| self.engine.poll_event()).flatten()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let shut = self.desk.as_ref().filter(|desk| desk.shut_since.is_some());
        let look = shut.map(|desk| desk.now + JOURNAL_LOOK_INTERVAL);
        [self.engine.poll_timeout(), look]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use crossbeam::channel::bounded;

    use super::super::super::clock::Clock;
    use super::*;

    #[test]
    fn what_is_not_written_is_waited_for_and_not_for_ever() {
        let (sender, _receiver) = bounded(1);
        let written = Arc::new(AtomicU64::new(0));
        let line = Line {
            sender,
            written: Arc::clone(&written),
        };
        let counters = Arc::new(Counters::default());
        let begin = Clock::start().now();
        let mut desk = Desk::new(line, begin, Arc::clone(&counters));
        assert!(desk.is_open());
        desk.sent = 1;
        let moment = Duration::from_millis(1);
        for (at, is_open) in [
            (Duration::ZERO, false),
            (JOURNAL_WAIT_MAX - moment, false),
            (JOURNAL_WAIT_MAX, true),
            (JOURNAL_WAIT_MAX + moment, true),
        ] {
            desk.now = begin + at;
            assert_eq!(desk.is_open(), is_open, "{at:?}");
        }
        assert_eq!(counters.value(Counter::RecordLate), 1);
        // The disk turns again: the next record is waited for anew.
        written.store(1, Ordering::Release);
        assert!(desk.is_open());
        desk.sent = 2;
        assert!(!desk.is_open());
        assert_eq!(counters.value(Counter::RecordLate), 1);
    }
}
