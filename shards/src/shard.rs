//! One shard: an engine and everything around it that needs no executor. A driver feeds it
//! readiness and stream bytes and calls [`Shard::turn`]; a turn is one bounded batch of each
//! kind of input, the due timers, and what the engine has to say. Never waits, never sleeps, and
//! reads no clock.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::control::Shared;
use crate::engine::{ConnectionChange, Engine, Frame, ShardId, Source, Transmit, Transport};
use crate::limits;
use crate::mesh::{Mesh, Port, Sleeper};
use crate::metrics::{Counter, ShardMetrics};
use crate::options::{Driver, Options};
use crate::sockets::Listener;
use crate::sys::EventFd;
use crate::tcp::{Cut, Rest, Table};
use crate::udp::Datagrams;

/// What shards send each other.
#[derive(Debug)]
pub(crate) enum Parcel<M> {
    /// Bytes that arrived at a shard that does not own them.
    Received { source: Source, bytes: Box<[u8]> },
    /// Bytes for a connection that lives on the receiver.
    Transmit {
        transmit: Transmit,
        bytes: Box<[u8]>,
    },
    /// A connection of the sender's was closed or could not be opened.
    Change(ConnectionChange),
    /// From engine to engine.
    Message(M),
}

/// What a shard is given before its thread starts.
pub(crate) struct Seat<E: Engine> {
    pub(crate) me: ShardId,
    pub(crate) shared: Arc<Shared<E>>,
    mesh: Arc<Mesh<Parcel<E::Message>>>,
    spin: Duration,
}

impl<E: Engine> Seat<E> {
    /// Seats for all shards, and what they share with the control plane.
    pub(crate) fn for_all(
        driver: Driver,
        options: &Options,
    ) -> io::Result<(Arc<Shared<E>>, Vec<Self>)> {
        let blocking = driver == Driver::Uring;
        let sleeper = |_| Ok(Arc::new(Sleeper::new(EventFd::new(blocking)?)));
        let sleepers: Vec<_> = (0..options.shards)
            .map(sleeper)
            .collect::<io::Result<_>>()?;
        let mesh = Arc::new(Mesh::new(sleepers.clone(), limits::MESH_QUEUE_MAX));
        let shared = Arc::new(Shared::new(sleepers, Sleeper::new(EventFd::new(false)?)));
        let seat = |shard| Self {
            me: ShardId(shard),
            shared: Arc::clone(&shared),
            mesh: Arc::clone(&mesh),
            // glommio spins by itself, and looks at its rings while it does.
            spin: if blocking {
                Duration::ZERO
            } else {
                options.spin
            },
        };
        let seats = (0..options.shards).map(seat).collect();
        Ok((shared, seats))
    }
}

/// What the driver does after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look for input without waiting, and turn again.
    Again,
    /// Sleep until there is input, or until then.
    Sleep(Option<Instant>),
    /// End.
    Stop,
}

/// One shard.
pub(crate) struct Shard<E: Engine> {
    me: ShardId,
    engine: E,
    shared: Arc<Shared<E>>,
    port: Port<Parcel<E::Message>>,
    pub(crate) datagrams: Datagrams,
    pub(crate) streams: Table,
    /// The bytes of the datagrams that wait to be sent.
    outgoing: Vec<u8>,
    /// Parcels that may not be lost and found a queue full; they go before newer ones.
    outbox: VecDeque<(ShardId, Parcel<E::Message>)>,
    /// The message that found a queue full; no other is taken from the engine meanwhile.
    held_message: Option<(ShardId, E::Message)>,
    /// The event that found the queue full, likewise.
    held_event: Option<E::Event>,
    spin: Duration,
    /// Since when nothing has happened.
    idle_since: Option<Instant>,
    /// Turns since it was told to stop.
    last_turns: u32,
}

impl<E: Engine> Shard<E> {
    pub(crate) fn new(seat: Seat<E>, engine: E, udp: Vec<Listener>, now: Instant) -> Self {
        Self {
            me: seat.me,
            engine,
            port: Port::new(seat.me, seat.mesh),
            datagrams: Datagrams::new(udp),
            streams: Table::new(seat.me, Arc::clone(&seat.shared.metrics), now),
            shared: seat.shared,
            outgoing: Vec::new(),
            outbox: VecDeque::new(),
            held_message: None,
            held_event: None,
            spin: seat.spin,
            idle_since: None,
            last_turns: 0,
        }
    }

    pub(crate) fn sleeper(&self) -> &Arc<Sleeper> {
        &self.shared.sleepers[self.me.index()]
    }

    fn metrics(&self) -> &ShardMetrics {
        self.shared.metrics.shard(self.me)
    }

    /// One turn of the loop.
    pub(crate) fn turn(&mut self, now: Instant) -> Next {
        // Looked at first: what was asked before the stop is still seen by this turn.
        let stopping = self.shared.stopping.load(Ordering::SeqCst);
        let mut work = self.receive_datagrams(now);
        work += self.cut_streams(now);
        work += self.receive_parcels(now);
        work += self.receive_requests(now);
        work += self.expire(now);
        work += self.drain(now);
        let woken = self.port.wake_receivers();
        self.metrics().add(Counter::Wakeups, woken);
        self.metrics().add(Counter::Turns, 1);
        if stopping {
            self.last_turns += 1;
            let done = work == 0 || self.last_turns == limits::LAST_TURNS_MAX;
            return if done { Next::Stop } else { Next::Again };
        }
        if work > 0 {
            self.idle_since = None;
            return Next::Again;
        }
        let idle_since = *self.idle_since.get_or_insert(now);
        if now.duration_since(idle_since) < self.spin {
            return Next::Again;
        }
        let deadlines = [
            self.engine.poll_timeout(),
            self.streams.deadline(),
            self.datagrams.deadline(),
        ];
        Next::Sleep(deadlines.into_iter().flatten().min())
    }

    /// Announces sleep; `false` if something has come in between and there must be none.
    pub(crate) fn may_sleep(&mut self) -> bool {
        self.sleeper().announce();
        let me = self.me.index();
        let events_have_room = self.held_event.is_some() && !self.shared.events[me].is_starved();
        let nothing = self.port.may_sleep()
            && !events_have_room
            && self.shared.requests[me].is_empty()
            && !self.shared.stopping.load(Ordering::Relaxed);
        if nothing {
            self.metrics().add(Counter::Sleeps, 1);
        } else {
            self.sleeper().rise();
        }
        nothing
    }

    /// Takes the announcement of sleep back, if there is one.
    pub(crate) fn rise(&self) {
        self.sleeper().rise();
    }

    fn receive_datagrams(&mut self, now: Instant) -> usize {
        let metrics = self.shared.metrics.shard(self.me);
        let mut work = 0;
        for socket in 0..self.datagrams.len() {
            for _ in 0..limits::BATCHES_PER_TURN_MAX {
                let received = self.datagrams.receive(socket, metrics);
                if received == 0 {
                    break;
                }
                work += received;
                let local = self.datagrams.local(socket);
                let transport = Transport::Udp;
                for (remote, bytes) in self.datagrams.batch() {
                    metrics.add(Counter::BytesIn, bytes.len() as u64);
                    let source = Source {
                        transport,
                        local,
                        remote,
                        connection: None,
                    };
                    let engine = &mut self.engine;
                    let Some(owner) = foreign_owner(engine, &self.port, bytes) else {
                        engine.handle_datagram(now, source, bytes);
                        continue;
                    };
                    let parcel = Parcel::Received {
                        source,
                        bytes: bytes.into(),
                    };
                    // A full queue loses datagrams as a network does; the peer sends again.
                    let pushed = self.port.push(owner, parcel);
                    let counter = if pushed.is_ok() {
                        Counter::Hops
                    } else {
                        Counter::DropMeshFull
                    };
                    metrics.add(counter, 1);
                }
            }
        }
        work
    }

    /// Cuts what was read from streams into messages, each connection once.
    fn cut_streams(&mut self, now: Instant) -> usize {
        let metrics = self.shared.metrics.shard(self.me);
        let mut work = 0;
        for _ in 0..self.streams.to_cut() {
            let Some((id, remote, local, input)) = self.streams.next_to_cut() else {
                break;
            };
            let transport = Transport::Tcp;
            let source = Source {
                transport,
                local,
                remote,
                connection: Some(id),
            };
            let mut replies = Vec::new();
            let cut = cut(
                input,
                &mut replies,
                |bytes| {
                    let engine = &mut self.engine;
                    if let Some(owner) = foreign_owner(engine, &self.port, bytes) {
                        let parcel = Parcel::Received {
                            source,
                            bytes: bytes.into(),
                        };
                        if self.port.push_or_starve(owner, parcel).is_err() {
                            metrics.add(Counter::FrameQueueFull, 1);
                            return false;
                        }
                        metrics.add(Counter::Hops, 1);
                    } else {
                        engine.handle_datagram(now, source, bytes);
                    }
                    metrics.add(Counter::FramesIn, 1);
                    true
                },
                E::frame,
            );
            // A message that is still blocked is no progress: its shard wakes us.
            work += usize::from(cut.consumed > 0 || cut.rest != Rest::Blocked);
            self.streams.cut(now, id, cut);
            if !replies.is_empty() && self.streams.is_live(id) {
                self.streams.send(now, Some(id), remote, None, &replies);
            }
        }
        work
    }

    fn receive_parcels(&mut self, now: Instant) -> usize {
        let metrics = self.shared.metrics.shard(self.me);
        self.port
            .receive(limits::PARCELS_PER_TURN_MAX, |from, parcel| match parcel {
                Parcel::Received { source, bytes } => {
                    self.engine.handle_datagram(now, source, &bytes);
                }
                Parcel::Transmit { transmit, bytes } => {
                    let Transmit {
                        connection,
                        remote,
                        local,
                        ..
                    } = transmit;
                    self.streams.send(now, connection, remote, local, &bytes);
                }
                Parcel::Change(change) => self.engine.handle_connection(now, change),
                Parcel::Message(message) => {
                    metrics.add(Counter::MessagesIn, 1);
                    self.engine.handle_message(now, from, message);
                }
            })
    }

    fn receive_requests(&mut self, now: Instant) -> usize {
        let mut work = 0;
        while work < limits::REQUESTS_PER_TURN_MAX {
            let Some(request) = self.shared.requests[self.me.index()].pop() else {
                break;
            };
            work += 1;
            self.engine.handle_request(now, request);
        }
        self.metrics().add(Counter::Requests, work as u64);
        work
    }

    fn expire(&mut self, now: Instant) -> usize {
        let mut work = usize::from(self.streams.expire(now));
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            work += 1;
            self.metrics().add(Counter::EngineTimeouts, 1);
            self.engine.handle_timeout(now);
        }
        work
    }

    /// Takes out what the engine has to say: transmits, messages, events, in this order.
    fn drain(&mut self, now: Instant) -> usize {
        let mut work = self.drain_changes(now);
        work += self.drain_outbox();
        work += self.drain_transmits(now);
        work += self.drain_messages(now);
        work += self.drain_events();
        work
    }

    /// Tells all engines of connections that are gone, this one at once.
    fn drain_changes(&mut self, now: Instant) -> usize {
        let mut work = 0;
        while let Some(change) = self.streams.next_change() {
            work += 1;
            self.engine.handle_connection(now, change);
            for other in self.port.others() {
                self.send_or_keep(other, Parcel::Change(change), Counter::DropChange);
            }
        }
        work
    }

    /// Pushes a parcel, or keeps it until there is room, in order; drops it and counts that if
    /// too many are kept.
    fn send_or_keep(&mut self, to: ShardId, parcel: Parcel<E::Message>, dropped: Counter) {
        let parcel = if self.outbox.is_empty() {
            let Err(parcel) = self.port.push_or_starve(to, parcel) else {
                return;
            };
            parcel
        } else {
            parcel
        };
        if self.outbox.len() < limits::OUTBOX_MAX {
            self.outbox.push_back((to, parcel));
        } else {
            self.metrics().add(dropped, 1);
        }
    }

    fn drain_outbox(&mut self) -> usize {
        let mut work = 0;
        while let Some((to, parcel)) = self.outbox.pop_front() {
            if let Err(parcel) = self.port.push_or_starve(to, parcel) {
                self.outbox.push_front((to, parcel));
                break;
            }
            work += 1;
        }
        work
    }

    fn drain_transmits(&mut self, now: Instant) -> usize {
        let mut work = 0;
        while work < limits::DRAIN_PER_TURN_MAX {
            let start = self.outgoing.len();
            let Some(transmit) = self.engine.poll_transmit(&mut self.outgoing) else {
                break;
            };
            work += 1;
            match transmit.transport {
                Transport::Udp => {
                    let range = start..self.outgoing.len();
                    if !self.datagrams.queue(transmit.local, transmit.remote, range) {
                        self.metrics().add(Counter::DropNoSocket, 1);
                        self.outgoing.truncate(start);
                    }
                    if self.datagrams.queued() == limits::BATCH_MAX {
                        self.flush(now);
                    }
                }
                Transport::Tcp => {
                    self.send_stream(now, transmit, start);
                    self.outgoing.truncate(start);
                }
            }
        }
        self.flush(now);
        work
    }

    fn flush(&mut self, now: Instant) {
        let metrics = self.shared.metrics.shard(self.me);
        self.datagrams.flush(now, &self.outgoing, metrics);
        self.outgoing.clear();
    }

    fn send_stream(&mut self, now: Instant, transmit: Transmit, start: usize) {
        let elsewhere = transmit.connection.map(|id| id.shard);
        let Some(shard) = elsewhere.filter(|&shard| self.port.reaches(shard)) else {
            let Transmit {
                connection,
                remote,
                local,
                ..
            } = transmit;
            self.streams
                .send(now, connection, remote, local, &self.outgoing[start..]);
            return;
        };
        let parcel = Parcel::Transmit {
            transmit,
            bytes: self.outgoing[start..].into(),
        };
        self.send_or_keep(shard, parcel, Counter::DropTransmitFull);
    }

    fn drain_messages(&mut self, now: Instant) -> usize {
        let mut work = 0;
        while work < limits::DRAIN_PER_TURN_MAX {
            let held = self.held_message.take();
            let waited = held.is_some();
            let Some((to, message)) = held.or_else(|| self.engine.poll_message()) else {
                break;
            };
            if to == self.me {
                self.engine.handle_message(now, to, message);
            } else {
                assert!(
                    self.port.reaches(to),
                    "the engine addresses shards that exist"
                );
                let pushed = self.port.push_or_starve(to, Parcel::Message(message));
                if let Err(Parcel::Message(message)) = pushed {
                    self.metrics()
                        .add(Counter::MessageQueueFull, u64::from(!waited));
                    self.held_message = Some((to, message));
                    break;
                }
                self.metrics().add(Counter::MessagesOut, 1);
            }
            work += 1;
        }
        work
    }

    fn drain_events(&mut self) -> usize {
        let queue = &self.shared.events[self.me.index()];
        let metrics = self.shared.metrics.shard(self.me);
        let mut work = 0;
        while work < limits::DRAIN_PER_TURN_MAX {
            let held = self.held_event.take();
            let waited = held.is_some();
            let Some(event) = held.or_else(|| self.engine.poll_event()) else {
                break;
            };
            if let Err(event) = queue.push_or_starve(event) {
                metrics.add(Counter::EventQueueFull, u64::from(!waited));
                self.held_event = Some(event);
                break;
            }
            work += 1;
        }
        if work > 0 {
            metrics.add(Counter::Events, work as u64);
            metrics.add(Counter::Wakeups, u64::from(self.shared.listener.wake()));
        }
        work
    }
}

/// The other shard that owns these bytes, if there is one. An owner that does not exist (an
/// identifier minted by an earlier run with more shards, say) is nobody: this shard answers.
fn foreign_owner<E: Engine, P>(engine: &E, port: &Port<P>, bytes: &[u8]) -> Option<ShardId> {
    engine.owner(bytes).filter(|&owner| port.reaches(owner))
}

/// Cuts messages off the front of `input` and gives them to `take`, which says whether it could
/// take one.
fn cut(
    input: &[u8],
    replies: &mut Vec<u8>,
    mut take: impl FnMut(&[u8]) -> bool,
    frame: impl Fn(&[u8]) -> Frame,
) -> Cut {
    let mut consumed = 0;
    for _ in 0..limits::FRAMES_PER_TURN_MAX {
        let rest = &input[consumed..];
        if rest.is_empty() {
            return Cut {
                consumed,
                rest: Rest::Incomplete,
            };
        }
        match frame(rest) {
            Frame::Complete(bytes) => {
                assert!(
                    (1..=rest.len()).contains(&bytes),
                    "a frame is part of what was shown"
                );
                if !take(&rest[..bytes]) {
                    return Cut {
                        consumed,
                        rest: Rest::Blocked,
                    };
                }
                consumed += bytes;
            }
            Frame::Skip { bytes, reply } => {
                assert!(
                    (1..=rest.len()).contains(&bytes),
                    "a skip is part of what was shown"
                );
                replies.extend_from_slice(reply);
                consumed += bytes;
            }
            Frame::Incomplete => {
                return Cut {
                    consumed,
                    rest: Rest::Incomplete,
                };
            }
            Frame::Malformed => {
                return Cut {
                    consumed,
                    rest: Rest::Malformed,
                };
            }
        }
    }
    Cut {
        consumed,
        rest: Rest::Unseen,
    }
}
