//! An engine that writes down what it does before it says it: what the network, the desktops and
//! other shards hear waits until the kernel has the records that came before it, so that nothing
//! was said that a killed process does not know. A disk that takes too long is not waited for.

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

use super::gate::{Gate, Way};
use super::writer::{Entry, Line};

/// A shard's way to its journal.
#[derive(Debug)]
pub struct Desk {
    line: Line,
    /// How many records it has given away.
    sent: u64,
    /// The record that found no room.
    held: Option<Entry>,
    gate: Gate,
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
            gate: Gate::default(),
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

    /// Whether the next thing that the engine has to say on this way may be said.
    fn may_speak(&mut self, engine: &mut Engine, way: Way) -> bool {
        self.hand_in(engine);
        let not_sent = usize::from(self.held.is_some()) + engine.unwritten();
        let records = self.sent + not_sent as u64;
        let written = self.line.written.load(Ordering::Acquire);
        if self.gate.look(self.now, engine.waiting(), records, written) {
            self.counters.count(Counter::RecordLate);
            tracing::warn!(
                "the journal is not written for {} ms; a crash now would lose calls",
                JOURNAL_WAIT_MAX.as_millis()
            );
        }
        self.gate.is_open(way)
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

    /// What the engine has to say on this way, if it may be said.
    fn say<T>(&mut self, way: Way, poll: impl FnOnce(&mut Engine) -> Option<T>) -> Option<T> {
        let engine = &mut self.engine;
        let Some(desk) = &mut self.desk else {
            return poll(engine);
        };
        if !desk.may_speak(engine, way) {
            return None;
        }
        let said = poll(engine);
        desk.gate.passed(way);
        said
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

    fn urgency(&self, from: &Source, bytes: &[u8]) -> Urgency {
        self.engine.urgency(from, bytes)
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
        self.say(Way::Transmit, |engine| engine.poll_transmit(buffer))
    }

    fn poll_message(&mut self) -> Option<(ShardId, Message)> {
        self.say(Way::Message, Engine::poll_message)
    }

    fn poll_event(&mut self) -> Option<Output> {
        let event = self.say(Way::Event, Engine::poll_event);
        if event.is_none() && self.desk.is_some() {
            // The last that is asked in a turn, and the engine was not.
            self.engine.say_what_is_held();
        }
        event
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let waits = self.desk.as_ref().filter(|desk| desk.gate.is_waited_for());
        let look = waits.map(|desk| desk.now + JOURNAL_LOOK_INTERVAL);
        [self.engine.poll_timeout(), look]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use crossbeam::channel::{Receiver, bounded};
    use offhook_shards::Engine as _;

    use crate::config::DnIndex;
    use crate::engine::tests::{PBX, invite_to, login, setup, source};
    use crate::journal::Image;

    use super::*;

    /// An engine with a journal whose writer writes when it is told to.
    struct Slow {
        now: Instant,
        journaled: Journaled,
        written: Arc<AtomicU64>,
        _receiver: Receiver<Entry>,
    }

    impl Slow {
        fn new() -> Self {
            let now = Instant::now();
            let agents = r#"
                [agent_defaults]
                trunks = ["pbx"]
                [[agent]]
                dn = "2002"
                presence = false
            "#;
            let setup = setup(now, "", agents);
            let (sender, receiver) = bounded(64);
            let written = Arc::new(AtomicU64::new(0));
            let line = Line {
                sender,
                written: Arc::clone(&written),
            };
            let desk = Desk::new(line, now, Arc::clone(&setup.counters));
            let engine = Engine::with_journal(now, setup, &Image::default());
            Self {
                now,
                journaled: Journaled::new(engine, Some(desk)),
                written,
                _receiver: receiver,
            }
        }

        fn log_in(&mut self, dn: u32) {
            self.journaled.handle_request(self.now, login(DnIndex(dn)));
        }

        fn call(&mut self, dn: &str) {
            let source = source(PBX);
            self.journaled
                .handle_datagram(self.now, source, invite_to(dn).as_bytes());
        }

        /// Asks for all that it has to say, as a shard does; the first words of its messages.
        fn said(&mut self) -> Vec<String> {
            let mut said = Vec::new();
            let mut bytes = Vec::new();
            while self.journaled.poll_transmit(&mut bytes).is_some() {
                let text = String::from_utf8_lossy(&bytes);
                let words: Vec<_> = text.split(' ').take(2).collect();
                said.push(words.join(" "));
                bytes.clear();
            }
            while self.journaled.poll_message().is_some() {}
            while self.journaled.poll_event().is_some() {}
            said
        }
    }

    #[test]
    fn a_call_waits_for_what_was_recorded_before_it_and_for_nothing_after() {
        let mut slow = Slow::new();
        slow.log_in(0);
        slow.call("2001");
        assert_eq!(slow.said(), [""; 0]);
        slow.log_in(1);
        slow.call("2002");
        assert_eq!(slow.said(), [""; 0]);
        slow.written.store(1, Ordering::Release);
        assert_eq!(slow.said(), ["SIP/2.0 100", "INVITE sip:2001@192.0.2.20"]);
        slow.written.store(2, Ordering::Release);
        assert_eq!(slow.said(), ["SIP/2.0 100", "INVITE sip:2002@192.0.2.20"]);
    }
}
