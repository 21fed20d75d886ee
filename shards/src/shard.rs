//! One shard: an engine and everything around it that needs no executor. A driver feeds it
//! readiness and stream bytes and calls [`Shard::turn`]; a turn is one bounded batch of each
//! kind of input, the due timers, and what the engine has to say. Never waits, never sleeps, and
//! reads no clock but the wall's, for what the kernel has stamped.

mod drain;
mod receive;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::control::Shared;
use crate::engine::{Engine, ShardId, Transmit, Transport};
use crate::intake::Intake;
use crate::limits;
use crate::mesh::{Port, Sleeper};
use crate::metrics::{Counter, ShardMetrics};
use crate::seat::{Parcel, Seat};
use crate::sockets::Listener;
use crate::tcp::{Opening, Security, Table};
use crate::udp::Datagrams;

/// What the driver does after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look for input without waiting, and turn again.
    Again,
    /// Sleep until then whatever comes, and turn again.
    Nap(Instant),
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
    /// What was received and is not handled yet.
    intake: Intake,
    /// The bytes of the datagrams that wait to be sent.
    outgoing: Vec<u8>,
    /// Parcels that may not be lost and found a queue full; they go before newer ones.
    outbox: VecDeque<(ShardId, Parcel<E::Message>)>,
    /// The message that found a queue full; no other is taken from the engine meanwhile.
    held_message: Option<(ShardId, E::Message)>,
    /// The event that found the queue full, likewise.
    held_event: Option<E::Event>,
    /// How often this thread has allocated.
    allocations: fn() -> u64,
    /// Turns since it was told to stop.
    last_turns: u32,
    /// Whether the engine has had a message from itself in this turn: what it says to that is not
    /// sent yet.
    spoke_to_itself: bool,
    pace: Duration,
    /// Whether few messages are handled as they came.
    prompt: bool,
    /// Whether the kernel stamps datagrams.
    stamps: bool,
    /// When it woke up last, and whether it has had work since.
    woke_at: Instant,
    has_worked: bool,
    /// Whether it was told to sleep since then.
    has_slept: bool,
    /// Messages of nobody known that were handed to other shards in this turn.
    unknown_hops: usize,
    /// When the last turn began, if it had work: what came since has waited as long, at most.
    busy_since: Option<Instant>,
}

impl<E: Engine> Shard<E> {
    pub(crate) fn new(seat: Seat<E>, engine: E, udp: Vec<Listener>, now: Instant) -> Self {
        Self {
            me: seat.me,
            engine,
            port: Port::new(seat.me, seat.mesh),
            datagrams: Datagrams::new(
                udp,
                seat.joins_datagrams || seat.stamps,
                seat.joins_datagrams,
            ),
            streams: Table::new(
                seat.me,
                Arc::clone(&seat.shared.metrics),
                now,
                seat.message_deadline,
                seat.room,
                seat.tls,
            ),
            intake: Intake::default(),
            shared: seat.shared,
            outgoing: Vec::new(),
            outbox: VecDeque::new(),
            held_message: None,
            held_event: None,
            allocations: seat.allocations,
            last_turns: 0,
            spoke_to_itself: false,
            pace: seat.pace,
            prompt: seat.prompt,
            stamps: seat.stamps,
            woke_at: now,
            has_worked: false,
            has_slept: false,
            unknown_hops: 0,
            busy_since: None,
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
        if std::mem::take(&mut self.has_slept) {
            self.woke_at = now;
            self.has_worked = false;
            // What has come since has woken it: it did not wait from the last turn on.
            self.busy_since = None;
        }
        // Looked at first: what was asked before the stop is still seen by this turn.
        let stopping = self.shared.stopping.load(Ordering::SeqCst);
        let mut work = self.receive_datagrams(now);
        work += self.cut_streams(now);
        work += self.receive_parcels(now);
        work += self.handle_received(now);
        work += self.expire(now);
        work += self.drain(now);
        let woken = self.port.wake_receivers();
        self.metrics().add(Counter::Wakeups, woken);
        self.metrics().add(Counter::Turns, 1);
        self.metrics()
            .set(Counter::Allocations, (self.allocations)());
        let waiting = self.intake.waiting() as u64;
        self.metrics().set(Counter::ReceivedWaiting, waiting);
        self.busy_since = (work > 0).then_some(now);
        if stopping {
            self.last_turns += 1;
            let done = work == 0 || self.last_turns == limits::LAST_TURNS_MAX;
            if !done {
                return Next::Again;
            }
            // Nobody asks later.
            let metrics = self.shared.metrics.shard(self.me);
            self.datagrams.count_dropped(metrics);
            return Next::Stop;
        }
        if work > 0 {
            self.has_worked = true;
            if work > limits::QUIET_WORK_MAX || self.has_more() {
                return Next::Again;
            }
        }
        let deadlines = [
            self.engine.poll_timeout(),
            self.streams.deadline(),
            self.datagrams.deadline(),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        self.has_slept = true;
        // Whoever has just been busy lets input gather.
        let nap = self.woke_at + self.pace;
        let nap = deadline.map_or(nap, |deadline| deadline.min(nap));
        if self.has_worked && nap > now {
            return Next::Nap(nap);
        }
        Next::Sleep(deadline)
    }

    /// Counts how long the last turn took, if it had work: turns that only look are many and say
    /// nothing.
    pub(crate) fn count_turn(&self, ended: Instant) {
        if let Some(began) = self.busy_since {
            let turns = self.metrics().turns();
            turns.add(ended.saturating_duration_since(began));
        }
    }

    /// Whether anything waits that no socket, bell or deadline would wake the loop for.
    fn has_more(&self) -> bool {
        let is_ready = |socket| self.datagrams.is_ready(socket);
        (0..self.datagrams.len()).any(is_ready)
            || self.streams.to_cut() > 0
            || self.streams.has_changes()
            || !self.intake.is_empty()
            || !self.outbox.is_empty()
            || self.held_message.is_some()
            || self.spoke_to_itself
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

    fn expire(&mut self, now: Instant) -> usize {
        let metrics = self.shared.metrics.shard(self.me);
        self.datagrams.expire(now, metrics);
        let mut work = usize::from(self.streams.expire(now));
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            work += 1;
            self.metrics().add(Counter::EngineTimeouts, 1);
            self.engine.handle_timeout(now);
        }
        work
    }
}

/// Gives bytes to a connection, which is opened if there is none.
fn send_by<E: Engine>(
    streams: &mut Table,
    engine: &E,
    now: Instant,
    transmit: Transmit,
    bytes: &[u8],
) {
    let Transmit {
        transport,
        local,
        remote,
        connection,
    } = transmit;
    if streams.send(connection, transport, remote, bytes) {
        return;
    }
    let opening = Opening {
        security: security(engine, transport, remote),
        remote,
        local,
        is_shared: true,
    };
    streams.open(now, opening, bytes);
}

fn security<E: Engine>(engine: &E, transport: Transport, remote: SocketAddr) -> Security {
    match transport {
        Transport::Udp | Transport::Tcp => Security::None,
        Transport::Tls => Security::Tls(engine.identity(remote)),
    }
}
