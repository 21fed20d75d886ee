//! The first half of a turn: takes in what has come by sockets, streams and from other shards, and
//! gives it to the engine in the order of its urgency.

use std::time::Instant;

use super::{Shard, send_by};
use crate::clock::Clock;
use crate::engine::{Engine, Frame, ShardId, Source, Transport};
use crate::intake::{Intake, Urgency};
use crate::limits;
use crate::mesh::Port;
use crate::metrics::Counter;
use crate::seat::Parcel;
use crate::sys::Datagram;
use crate::tcp::{Cut, Rest};

impl<E: Engine> Shard<E> {
    pub(super) fn receive_datagrams(&mut self, now: Instant) -> usize {
        let metrics = self.shared.metrics.shard(self.me);
        let (mut work, mut bytes_in) = (0, 0);
        let wall = self.stamps.then(|| Clock.wall());
        for socket in 0..self.datagrams.len() {
            for _ in 0..limits::BATCHES_PER_TURN_MAX {
                if self.datagrams.receive(socket, metrics) == 0 {
                    break;
                }
                let local = self.datagrams.local(socket);
                for Datagram {
                    remote,
                    bytes,
                    stamp,
                } in self.datagrams.batch()
                {
                    work += 1;
                    bytes_in += bytes.len();
                    let source = Source {
                        transport: Transport::Udp,
                        local,
                        remote,
                        connection: None,
                    };
                    let waited = wall.zip(stamp);
                    let waited = waited.and_then(|(wall, stamp)| wall.duration_since(stamp).ok());
                    let came = now.checked_sub(waited.unwrap_or_default());
                    let came = came.unwrap_or(now);
                    let engine = &mut self.engine;
                    let Some(owner) = foreign_owner(engine, &self.port, bytes) else {
                        let waiting = (engine.urgency(bytes), source, came);
                        keep(&mut self.intake, engine, now, waiting, bytes);
                        continue;
                    };
                    let parcel = Parcel::Received {
                        source,
                        came,
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
        metrics.add(Counter::DatagramsIn, work as u64);
        metrics.add(Counter::BytesIn, bytes_in as u64);
        work
    }

    /// Cuts what was read from streams into messages, each connection once. They are handled at
    /// once, because their peers are slowed down by reading no more, unless others of their
    /// urgency wait already.
    pub(super) fn cut_streams(&mut self, now: Instant) -> usize {
        let metrics = self.shared.metrics.shard(self.me);
        let came = self.busy_since.unwrap_or(now);
        let mut work = 0;
        for _ in 0..self.streams.to_cut() {
            let Some((source, input)) = self.streams.next_to_cut() else {
                break;
            };
            let id = source.connection.expect("streams have connections");
            let mut replies = Vec::new();
            let mut cut = cut(
                input,
                &mut replies,
                |bytes| {
                    let engine = &mut self.engine;
                    if let Some(owner) = foreign_owner(engine, &self.port, bytes) {
                        let parcel = Parcel::Received {
                            source,
                            came,
                            bytes: bytes.into(),
                        };
                        if self.port.push_or_starve(owner, parcel).is_err() {
                            metrics.add(Counter::FrameQueueFull, 1);
                            return false;
                        }
                        metrics.add(Counter::Hops, 1);
                    } else {
                        let urgency = engine.urgency(bytes);
                        let waiting = (urgency, source, came);
                        if self.intake.len(urgency) > 0 {
                            keep(&mut self.intake, engine, now, waiting, bytes);
                        } else {
                            engine.handle_arrival(came, urgency);
                            engine.handle_datagram(now, source, bytes);
                        }
                    }
                    metrics.add(Counter::FramesIn, 1);
                    true
                },
                E::frame,
            );
            if cut.rest == Rest::Malformed {
                let bytes = &input[cut.consumed..];
                if self.engine.handle_malformed(now, source, bytes) {
                    cut.rest = Rest::MalformedAnswered;
                }
            }
            // A message that is still blocked is no progress: its shard wakes us.
            work += usize::from(cut.consumed > 0 || cut.rest != Rest::Blocked);
            self.streams.cut(now, id, cut);
            if !replies.is_empty() && self.streams.is_live(id) {
                let Source {
                    transport, remote, ..
                } = source;
                self.streams.send(Some(id), transport, remote, &replies);
            }
        }
        work
    }

    pub(super) fn receive_parcels(&mut self, now: Instant) -> usize {
        let metrics = self.shared.metrics.shard(self.me);
        // What finds no room here waits between the shards, where whoever reads a stream waits for
        // it as well.
        let room = limits::PARCELS_PER_TURN_MAX.min(self.intake.room());
        self.port.receive(room, |from, parcel| match parcel {
            Parcel::Received {
                source,
                came,
                bytes,
            } => {
                let waiting = (self.engine.urgency(&bytes), source, came);
                keep(&mut self.intake, &mut self.engine, now, waiting, &bytes);
            }
            Parcel::Transmit { transmit, bytes } => {
                let engine = &self.engine;
                send_by(&mut self.streams, engine, now, transmit, &bytes);
            }
            Parcel::Close(id) => self.streams.finish(id),
            Parcel::Change(change) => self.engine.handle_connection(now, change),
            Parcel::Message(message) => {
                metrics.add(Counter::MessagesIn, 1);
                self.engine.handle_message(now, from, message);
            }
        })
    }

    /// Gives the engine what waits: what goes on, what the control plane asks, and then the rest.
    pub(super) fn handle_received(&mut self, now: Instant) -> usize {
        let urgent = self.handle_line(now, Urgency::Now, limits::HANDLED_PER_TURN_MAX);
        let requests = self.receive_requests(now);
        let mut handled = urgent;
        for urgency in [Urgency::Soon, Urgency::Last] {
            let room = limits::HANDLED_PER_TURN_MAX.saturating_sub(handled);
            handled += self.handle_line(now, urgency, room.max(limits::HANDLED_PER_LINE_MIN));
        }
        handled + requests
    }

    fn handle_line(&mut self, now: Instant, urgency: Urgency, count_max: usize) -> usize {
        for count in 0..count_max {
            let Some((source, came, bytes)) = self.intake.pop(urgency) else {
                return count;
            };
            self.engine.handle_arrival(came, urgency);
            self.engine.handle_datagram(now, source, bytes);
        }
        count_max
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
}

/// Puts a message in its line, if there is room.
fn keep<E: Engine>(
    intake: &mut Intake,
    engine: &mut E,
    now: Instant,
    (urgency, source, came): (Urgency, Source, Instant),
    bytes: &[u8],
) {
    if intake.push(urgency, source, came, bytes).is_err() {
        engine.handle_arrival(came, urgency);
        engine.handle_excess(now, source, bytes);
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
