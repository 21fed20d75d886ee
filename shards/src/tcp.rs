//! Stream connections of one shard, without their sockets: bytes that the driver has read come
//! in, bytes that it is to write go out, and what it is to do is a list of commands. Holds the
//! limits and the deadlines. Where a message ends and who owns it is `shard.rs`'s question.

mod cut;
mod finish;
mod secret;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{ConnectionChange, ConnectionId, ConnectionOutcome, ShardId, Transport};
use crate::limits;
use crate::metrics::{Counter, Metrics};
use crate::options::Room;
use crate::tls::{Tls, TlsStore};
use crate::wheel::{TimerKey, Wheel};

use cut::Dates;
pub(crate) use cut::{Cut, Rest};
pub(crate) use secret::{Opening, Security};

/// What the driver is to do about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamCommand {
    /// Connect, and attend to it from then on.
    Open {
        id: ConnectionId,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    },
    /// There is something to write, or room to read again.
    Attend { id: ConnectionId },
    /// Drop its socket.
    Close { id: ConnectionId },
    /// Accept again from this listener.
    Accept { listener: usize },
}

/// What the shard's wheel wakes a connection for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// It should have been open by now.
    Connect(ConnectionId),
    /// Its handshake should have been done by now.
    Handshake(ConnectionId),
    /// The message that has begun should have ended by now.
    Message(ConnectionId),
    /// Something should have happened by now.
    Idle(ConnectionId),
    /// The peer has had the time to hear why it goes.
    Parting(ConnectionId),
    /// A listener that could not accept is to be tried again.
    Accept(usize),
}

#[derive(Debug)]
pub(crate) struct Connection {
    remote: SocketAddr,
    /// What it is under, if it is.
    tls: Option<Box<Tls>>,
    /// `None` until it is open.
    local: Option<SocketAddr>,
    input: Vec<u8>,
    /// Since when its messages are there.
    dates: Dates,
    output: Vec<u8>,
    /// How much of `output` the kernel has.
    written: usize,
    active_at: Instant,
    /// `Connect` while opening, `Idle` afterwards.
    timer: TimerKey,
    /// Armed while a message is incomplete.
    message_timer: Option<TimerKey>,
    /// Whether it is in the list of connections to cut.
    to_cut: bool,
    /// There is no room for its next message: nothing is read meanwhile.
    paused: bool,
    /// The driver was told not to read, and waits for a command.
    held: bool,
    /// Why it is closed once what was read before is cut.
    ending: Option<Counter>,
    /// Whether it is closed once everything is written.
    finishing: bool,
    /// Nothing that comes can become a message, for the reason that is counted: it is thrown away,
    /// and what there is to say is written meanwhile.
    parting: Option<Counter>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

/// One shard's connections.
#[derive(Debug)]
pub(crate) struct Table {
    me: ShardId,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
    by_remote: HashMap<(Transport, SocketAddr), ConnectionId>,
    per_source: HashMap<IpAddr, usize>,
    wheel: Wheel<Deadline>,
    to_cut: VecDeque<ConnectionId>,
    commands: VecDeque<StreamCommand>,
    changes: VecDeque<ConnectionChange>,
    metrics: Arc<Metrics>,
    message_deadline: Duration,
    room: Room,
    tls: Option<TlsStore>,
}

impl Connection {
    fn transport(&self) -> Transport {
        match self.tls {
            Some(_) => Transport::Tls,
            None => Transport::Tcp,
        }
    }

    /// Whether the peer was ever there: a connection under TLS that we opened is open when its
    /// handshake is done.
    fn was_open(&self) -> bool {
        let secure = |tls: &Tls| tls.accepted || tls.established;
        self.local.is_some() && self.tls.as_deref().is_none_or(secure)
    }
}

impl Table {
    pub(crate) fn new(
        me: ShardId,
        metrics: Arc<Metrics>,
        now: Instant,
        message_deadline: Duration,
        room: Room,
        tls: Option<TlsStore>,
    ) -> Self {
        Self {
            me,
            message_deadline,
            room,
            tls,
            slots: Vec::new(),
            free: Vec::new(),
            open: 0,
            by_remote: HashMap::new(),
            per_source: HashMap::new(),
            wheel: Wheel::new(now),
            to_cut: VecDeque::new(),
            commands: VecDeque::new(),
            changes: VecDeque::new(),
            metrics,
        }
    }

    fn count(&self, counter: Counter, count: usize) {
        self.metrics.shard(self.me).add(counter, count as u64);
    }

    /// The driver's next command.
    pub(crate) fn next_command(&mut self) -> Option<StreamCommand> {
        self.commands.pop_front()
    }

    /// Whether [`Table::next_change`] has one.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The next connection that was closed or could not be opened.
    pub(crate) fn next_change(&mut self) -> Option<ConnectionChange> {
        self.changes.pop_front()
    }

    /// When to call [`Table::expire`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// Closes what is overdue; whether anything was.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some((_, deadline)) = self.wheel.expire(now) {
            any = true;
            match deadline {
                Deadline::Connect(id) => self.close(id, Counter::ConnectFailed),
                Deadline::Message(id) => self.message_overdue(now, id),
                Deadline::Idle(id) => self.perhaps_idle(now, id),
                Deadline::Handshake(id) => self.close(id, Counter::ClosedTls),
                Deadline::Parting(id) => {
                    let connection = live(&mut self.slots, id);
                    let reason = connection.and_then(|connection| connection.parting);
                    self.close(id, reason.unwrap_or(Counter::ClosedMalformed));
                }
                Deadline::Accept(listener) => {
                    self.commands.push_back(StreamCommand::Accept { listener });
                }
            }
        }
        any
    }

    fn message_overdue(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        connection.message_timer = None;
        if connection.to_cut {
            // The peer has done its part; it is we who have not looked yet.
            let again = now + self.message_deadline;
            connection.message_timer = Some(self.wheel.arm(again, Deadline::Message(id)));
        } else {
            self.close(id, Counter::ClosedMessageDeadline);
        }
    }

    /// The idle timer is not re-armed by every byte: when it fires, it looks when the last was.
    fn perhaps_idle(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        let idle_at = connection.active_at + limits::IDLE_DEADLINE;
        if idle_at <= now {
            self.close(id, Counter::ClosedIdle);
        } else {
            connection.timer = self.wheel.arm(idle_at, Deadline::Idle(id));
        }
    }

    /// A connection was accepted. `None`: a limit refuses it, drop its socket.
    pub(crate) fn accepted(
        &mut self,
        now: Instant,
        transport: Transport,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> Option<ConnectionId> {
        if let Err(limit) = self.has_room(remote) {
            self.count(limit, 1);
            return None;
        }
        let tls = match transport {
            Transport::Udp | Transport::Tcp => None,
            Transport::Tls => {
                let Some(tls) = self.tls.as_ref().and_then(Tls::accept) else {
                    self.count(Counter::ConnectFailed, 1);
                    return None;
                };
                Some(Box::new(tls))
            }
        };
        let id = self.insert(now, remote, Some(local), tls);
        self.share(id);
        self.count(Counter::ConnectionsAccepted, 1);
        Some(id)
    }

    fn has_room(&self, remote: SocketAddr) -> Result<(), Counter> {
        if self.open >= self.room.connections {
            return Err(Counter::RefusedShardFull);
        }
        let of_source = self.per_source.get(&remote.ip()).copied().unwrap_or(0);
        if of_source >= self.room.per_source {
            return Err(Counter::RefusedSourceFull);
        }
        Ok(())
    }

    fn insert(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        tls: Option<Box<Tls>>,
    ) -> ConnectionId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                connection: None,
            });
            u32::try_from(self.slots.len() - 1).expect("descriptors are fewer than 2^32")
        });
        let slot = &mut self.slots[index as usize];
        let id = ConnectionId {
            shard: self.me,
            index,
            generation: slot.generation,
        };
        let (deadline, what) = match (local, &tls) {
            (Some(_), None) => (limits::IDLE_DEADLINE, Deadline::Idle(id)),
            (Some(_), Some(_)) => (limits::HANDSHAKE_DEADLINE, Deadline::Handshake(id)),
            (None, _) => (limits::CONNECT_DEADLINE, Deadline::Connect(id)),
        };
        assert!(slot.connection.is_none(), "a free slot holds no connection");
        let connection = Connection {
            remote,
            tls,
            local,
            input: Vec::new(),
            dates: Dates::default(),
            output: Vec::new(),
            written: 0,
            active_at: now,
            timer: self.wheel.arm(now + deadline, what),
            message_timer: None,
            to_cut: false,
            paused: false,
            held: false,
            ending: None,
            finishing: false,
            parting: None,
        };
        slot.connection = Some(connection);
        self.open += 1;
        self.metrics
            .shard(self.me)
            .set(Counter::ConnectionsOpen, self.open as u64);
        *self.per_source.entry(remote.ip()).or_default() += 1;
        id
    }

    /// Lets everybody who sends to the peer use the connection.
    fn share(&mut self, id: ConnectionId) {
        if let Some(connection) = live(&mut self.slots, id) {
            let key = (connection.transport(), connection.remote);
            self.by_remote.insert(key, id);
        }
    }

    /// Whether the connection lives, here.
    pub(crate) fn is_live(&self, id: ConnectionId) -> bool {
        id.shard == self.me
            && self
                .slots
                .get(id.index as usize)
                .is_some_and(|slot| slot.generation == id.generation && slot.connection.is_some())
    }

    /// Whether bytes given to the connection may still reach the peer.
    pub(crate) fn is_usable(&self, id: ConnectionId) -> bool {
        let slot = self.slots.get(id.index as usize);
        let slot = slot.filter(|slot| slot.generation == id.generation && id.shard == self.me);
        let connection = slot.and_then(|slot| slot.connection.as_ref());
        connection.is_some_and(|connection| connection.ending.is_none() && !connection.finishing)
    }

    /// Queues bytes for a connection that is open or being opened: the one named, or any to
    /// `remote`; `false` if there is none.
    pub(crate) fn send(
        &mut self,
        id: Option<ConnectionId>,
        transport: Transport,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let named = id.filter(|&id| self.is_usable(id));
        let known = self.by_remote.get(&(transport, remote)).copied();
        let known = named.or(known.filter(|&id| self.is_usable(id)));
        if let Some(id) = known {
            self.append(id, bytes);
        }
        known.is_some()
    }

    fn append(&mut self, id: ConnectionId, bytes: &[u8]) {
        let connection = live(&mut self.slots, id).expect("by_remote names live connections only");
        if connection.output.len() - connection.written + bytes.len()
            > limits::STREAM_OUTPUT_BYTES_MAX
        {
            self.close(id, Counter::ClosedOutputLimit);
            return;
        }
        let idle = connection.written == connection.output.len();
        let taken = match &mut connection.tls {
            Some(tls) => tls.send(bytes, &mut connection.output),
            None => {
                connection.output.extend_from_slice(bytes);
                true
            }
        };
        if !taken {
            return self.close(id, Counter::ClosedOutputLimit);
        }
        if idle && connection.local.is_some() {
            self.commands.push_back(StreamCommand::Attend { id });
        }
        self.count(Counter::FramesOut, 1);
    }

    /// How many bytes the driver may read now; 0 means "wait for a command", `None` that the
    /// connection is gone.
    pub(crate) fn allowance(&mut self, id: ConnectionId) -> Option<usize> {
        let connection = live(&mut self.slots, id)?;
        if connection.local.is_none() || connection.ending.is_some() {
            return Some(0);
        }
        let room = limits::STREAM_INPUT_BYTES_MAX.saturating_sub(connection.input.len());
        connection.held = connection.paused || room == 0;
        Some(if connection.held { 0 } else { room })
    }

    /// What the driver has read.
    pub(crate) fn received(&mut self, now: Instant, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        connection.active_at = now;
        self.metrics
            .shard(self.me)
            .add(Counter::BytesIn, bytes.len() as u64);
        if connection.parting.is_some() {
            return;
        }
        if connection.tls.is_some() {
            return self.received_secret(now, id, bytes);
        }
        connection.input.extend_from_slice(bytes);
        self.queue_to_cut(id);
    }

    /// The driver has seen the end of the stream, or cannot read or write it any more. What was
    /// read before is cut first.
    pub(crate) fn ended(&mut self, id: ConnectionId, reason: Counter) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        if connection.local.is_none() {
            return self.close(id, reason);
        }
        if let Some(reason) = connection.parting {
            return self.close(id, reason);
        }
        connection.ending.get_or_insert(reason);
        self.queue_to_cut(id);
    }

    /// The kernel has refused a socket to the peer of a connection.
    pub(crate) fn cannot_open(&mut self, id: ConnectionId, error: &std::io::Error) {
        if crate::sockets::is_exhausted(error) {
            self.count(Counter::ConnectExhausted, 1);
        }
        self.close(id, Counter::ConnectFailed);
    }

    /// A listener cannot accept (no descriptor is left, say): its `Accept` command comes later.
    pub(crate) fn pause_accepting(&mut self, now: Instant, listener: usize) {
        self.count(Counter::ConnectFailed, 1);
        self.count(Counter::ConnectExhausted, 1);
        self.wheel
            .arm(now + limits::ACCEPT_PAUSE, Deadline::Accept(listener));
    }

    fn queue_to_cut(&mut self, id: ConnectionId) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        if !connection.to_cut {
            connection.to_cut = true;
            self.to_cut.push_back(id);
        }
    }

    /// What the driver is to write; empty if nothing.
    pub(crate) fn output(&self, id: ConnectionId) -> &[u8] {
        let slot = self.slots.get(id.index as usize);
        let slot = slot.filter(|slot| slot.generation == id.generation && id.shard == self.me);
        let connection = slot.and_then(|slot| slot.connection.as_ref());
        connection.map_or(&[], |connection| &connection.output[connection.written..])
    }

    /// The driver has seen that the connection is open, and from which address.
    pub(crate) fn opened(&mut self, now: Instant, id: ConnectionId, local: SocketAddr) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        if connection.local.is_some() {
            return;
        }
        connection.local = Some(local);
        connection.active_at = now;
        let (deadline, what) = match connection.tls {
            None => (limits::IDLE_DEADLINE, Deadline::Idle(id)),
            Some(_) => (limits::HANDSHAKE_DEADLINE, Deadline::Handshake(id)),
        };
        self.wheel.cancel(connection.timer);
        connection.timer = self.wheel.arm(now + deadline, what);
        self.count(Counter::ConnectionsOpened, 1);
    }

    /// The kernel has taken this much of [`Table::output`].
    pub(crate) fn wrote(&mut self, now: Instant, id: ConnectionId, bytes: usize) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        connection.active_at = now;
        connection.written += bytes;
        assert!(
            connection.written <= connection.output.len(),
            "only what was shown is written"
        );
        if connection.written == connection.output.len() {
            empty(&mut connection.output);
            connection.written = 0;
        } else if connection.written > connection.output.len() / 2 {
            connection.output.drain(..connection.written);
            connection.written = 0;
        }
        self.count(Counter::BytesOut, bytes);
        self.finish_when_written(id);
    }

    /// Ends a connection, for the reason that is counted. Harmless if it has ended before.
    pub(crate) fn close(&mut self, id: ConnectionId, reason: Counter) {
        if !self.is_live(id) {
            return;
        }
        let slot = &mut self.slots[id.index as usize];
        let Some(connection) = slot.connection.take() else {
            return;
        };
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        self.open -= 1;
        self.metrics
            .shard(self.me)
            .set(Counter::ConnectionsOpen, self.open as u64);
        let remote = connection.remote;
        self.wheel.cancel(connection.timer);
        if let Some(timer) = connection.message_timer {
            self.wheel.cancel(timer);
        }
        let key = (connection.transport(), remote);
        if self.by_remote.get(&key) == Some(&id) {
            self.by_remote.remove(&key);
        }
        if let Some(count) = self.per_source.get_mut(&remote.ip()) {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&remote.ip());
            }
        }
        let opened = connection.was_open();
        // Whatever ends a connection that never was open, it has failed to open.
        self.count(
            if opened {
                reason
            } else {
                Counter::ConnectFailed
            },
            1,
        );
        let outcome = if opened {
            ConnectionOutcome::Closed
        } else {
            ConnectionOutcome::ConnectFailed
        };
        self.changes.push_back(ConnectionChange {
            connection: Some(id),
            remote,
            outcome,
        });
        self.commands.push_back(StreamCommand::Close { id });
    }

    /// Ends all connections: the shard stops.
    pub(crate) fn close_all(&mut self) {
        for index in 0..self.slots.len() {
            let generation = self.slots[index].generation;
            let index = u32::try_from(index).expect("descriptors are fewer than 2^32");
            let id = ConnectionId {
                shard: self.me,
                index,
                generation,
            };
            self.close(id, Counter::ClosedStop);
        }
    }
}

fn live(slots: &mut [Slot], id: ConnectionId) -> Option<&mut Connection> {
    let slot = slots.get_mut(id.index as usize)?;
    slot.connection
        .as_mut()
        .filter(|_| slot.generation == id.generation)
}

/// Empties a buffer, and gives its memory back if a burst has made it large.
fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > limits::STREAM_BUFFER_KEEP_BYTES {
        *buffer = Vec::new();
    }
}

#[cfg(test)]
mod tests;
