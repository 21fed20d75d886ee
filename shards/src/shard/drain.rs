//! The second half of a turn: takes out what the engine has to say and sends it on its way. What
//! finds no room stays: messages and events in the engine, parcels in a bounded outbox.

use std::time::Instant;

use super::{Shard, security, send_by};
use crate::engine::{Engine, ShardId, Transmit, Transport};
use crate::limits;
use crate::metrics::Counter;
use crate::seat::Parcel;
use crate::tcp::Opening;

impl<E: Engine> Shard<E> {
    /// Takes out what the engine has to say: transmits, closes, messages, events, in
    /// this order.
    pub(super) fn drain(&mut self, now: Instant) -> usize {
        let mut work = self.drain_changes(now);
        work += self.drain_outgoing(now);
        work += self.drain_closes();
        work += self.drain_messages(now);
        work += self.drain_events();
        work
    }

    /// What goes to other shards and to peers, and is ready.
    pub(super) fn drain_outgoing(&mut self, now: Instant) -> usize {
        self.drain_outbox() + self.drain_transmits(now)
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
            let Err(parcel) = self.port.push_or_starve(to, parcel.lane(), parcel) else {
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
            if let Err(parcel) = self.port.push_or_starve(to, parcel.lane(), parcel) {
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
                Transport::Tcp | Transport::Tls => {
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
        if self.engine.wants_own_connection() {
            return self.send_apart(now, transmit, start);
        }
        let elsewhere = transmit.connection.map(|id| id.shard);
        let Some(shard) = elsewhere.filter(|&shard| self.port.reaches(shard)) else {
            let bytes = &self.outgoing[start..];
            send_by(&mut self.streams, &self.engine, now, transmit, bytes);
            return;
        };
        let parcel = Parcel::Transmit {
            transmit,
            bytes: self.outgoing[start..].into(),
        };
        self.send_or_keep(shard, parcel, Counter::DropTransmitFull);
    }

    /// Sends on the connection that is named, or on a new one that nobody else uses.
    fn send_apart(&mut self, now: Instant, transmit: Transmit, start: usize) {
        let Transmit {
            transport,
            local,
            remote,
            connection,
        } = transmit;
        let bytes = &self.outgoing[start..];
        if connection.is_some_and(|id| self.streams.is_usable(id)) {
            self.streams.send(connection, transport, remote, bytes);
            return;
        }
        let opening = Opening {
            security: security(&self.engine, transport, remote),
            remote,
            local,
            is_shared: false,
        };
        let opened = self.streams.open(now, opening, bytes);
        self.engine.handle_opening(now, opened);
    }

    /// Closes what the engine needs no more.
    fn drain_closes(&mut self) -> usize {
        let mut work = 0;
        while let Some(id) = self.engine.poll_close() {
            work += 1;
            if self.port.reaches(id.shard) {
                self.send_or_keep(id.shard, Parcel::Close(id), Counter::DropTransmitFull);
            } else {
                self.streams.finish(id);
            }
        }
        work
    }

    fn drain_messages(&mut self, now: Instant) -> usize {
        let mut work = 0;
        self.spoke_to_itself = false;
        while work < limits::DRAIN_PER_TURN_MAX {
            let held = self.held_message.take();
            let waited = held.is_some();
            let Some((to, message)) = held.or_else(|| self.engine.poll_message()) else {
                break;
            };
            if to == self.me {
                self.spoke_to_itself = true;
                self.engine.handle_message(now, to, message);
            } else {
                assert!(
                    self.port.reaches(to),
                    "the engine addresses shards that exist"
                );
                let parcel = Parcel::Message(message);
                let pushed = self.port.push_or_starve(to, parcel.lane(), parcel);
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
