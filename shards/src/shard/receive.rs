//! The first half of a turn: takes in what has come by sockets, streams and from other shards, and
//! gives it to the engine: as it came where little has, and else by its urgency.

use std::time::Instant;

use super::{Shard, send_by};
use crate::clock::Clock;
use crate::engine::{Engine, Frame, ShardId, Source, Transport};
use crate::intake::{Intake, Urgency};
use crate::limits;
use crate::mesh::{Lane, Port};
use crate::metrics::{Counter, ShardMetrics};
use crate::seat::Parcel;
use crate::sys::Datagram;
use crate::tcp::{Cut, Rest};

/// A message that was received: who sent it, when it came, and how soon it must be handled.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    source: Source,
    came: Instant,
    urgency: Urgency,
}

impl Arrival {
    fn parcel<M>(self, bytes: &[u8]) -> Parcel<M> {
        let Self {
            source,
            came,
            urgency,
        } = self;
        Parcel::Received {
            source,
            came,
            urgency,
            bytes: bytes.into(),
        }
    }
}

impl<E: Engine> Shard<E> {
    pub(super) fn receive_datagrams(&mut self, now: Instant) -> usize {
        let metrics = self.shared.metrics.shard(self.me);
        let (mut work, mut bytes_in) = (0, 0);
        self.unknown_hops = 0;
        let wall = self.stamps.then(|| Clock.wall());
        for socket in 0..self.datagrams.len() {
            for _ in 0..limits::BATCHES_PER_TURN_MAX {
                if self.datagrams.receive(now, socket, metrics) == 0 {
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
                    let engine = &mut self.engine;
                    let arrival = Arrival {
                        source,
                        came: came.unwrap_or(now),
                        urgency: engine.urgency(&source, bytes),
                    };
                    let Some(owner) = foreign_owner(engine, &self.port, bytes) else {
                        keep(&mut self.intake, engine, now, arrival, bytes);
                        continue;
                    };
                    if hop(
                        &mut self.port,
                        &mut self.unknown_hops,
                        owner,
                        arrival,
                        bytes,
                    ) {
                        metrics.add(Counter::Hops, 1);
                    } else if can_be_refused(arrival.urgency) {
                        hand_in_excess(engine, now, arrival, bytes);
                    } else {
                        // It is lost as in a network; the peer sends again.
                        metrics.add(Counter::DropMeshFull, 1);
                    }
                }
            }
        }
        metrics.add(Counter::DatagramsIn, work as u64);
        metrics.add(Counter::BytesIn, bytes_in as u64);
        work
    }

    /// Cuts what was read from streams into messages, each connection once, and puts them in their
    /// lines. What goes on, or is for presence, and finds no room stays in its stream, which slows
    /// its peer down.
    pub(super) fn cut_streams(&mut self, now: Instant) -> usize {
        let at = self.busy_since.unwrap_or(now);
        let (mut work, mut frames) = (0, 0);
        for _ in 0..self.streams.to_cut() {
            if frames >= limits::FRAMES_PER_TURN_MAX {
                break;
            }
            let Some((source, came, input)) = self.streams.next_to_cut(at) else {
                break;
            };
            let id = source.connection.expect("streams have connections");
            let mut replies = Vec::new();
            let mut to = Inward {
                engine: &mut self.engine,
                port: &mut self.port,
                intake: &mut self.intake,
                unknown_hops: &mut self.unknown_hops,
                urgent: 0,
                metrics: self.shared.metrics.shard(self.me),
            };
            let take = |bytes: &[u8]| {
                frames += 1;
                to.take(now, (source, came), bytes)
            };
            let mut cut = cut(input, &mut replies, take, E::frame);
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
        let work = self.receive_lane(now, Lane::Urgent) + self.receive_lane(now, Lane::New);
        // What finds no room stays between the shards, where whoever reads a stream waits as well.
        if self.intake.has_room_for_streams(Urgency::Soon) {
            work + self.receive_lane(now, Lane::Patient)
        } else {
            work
        }
    }

    fn receive_lane(&mut self, now: Instant, lane: Lane) -> usize {
        let metrics = self.shared.metrics.shard(self.me);
        let (engine, intake) = (&mut self.engine, &mut self.intake);
        let parcels_max = limits::PARCELS_PER_TURN_MAX;
        self.port.receive(lane, parcels_max, |from, parcel| {
            match parcel {
                Parcel::Received {
                    source,
                    came,
                    urgency,
                    bytes,
                } => {
                    // Nobody known, as far as the other shard can know.
                    let urgency = match urgency {
                        Urgency::Aside => engine.urgency(&source, &bytes),
                        Urgency::Now | Urgency::Soon | Urgency::Last => urgency,
                    };
                    let arrival = Arrival {
                        source,
                        came,
                        urgency,
                    };
                    keep(intake, engine, now, arrival, &bytes);
                }
                Parcel::Transmit { transmit, bytes } => {
                    send_by(&mut self.streams, engine, now, transmit, &bytes);
                }
                Parcel::Close(id) => self.streams.finish(id),
                Parcel::Change(change) => engine.handle_connection(now, change),
                Parcel::Message(message) => {
                    metrics.add(Counter::MessagesIn, 1);
                    engine.handle_message(now, from, message);
                }
            }
            lane != Lane::Patient || intake.has_room_for_streams(Urgency::Soon)
        })
    }

    /// Gives the engine what waits. Of few messages none waits long, and whoever came first is
    /// answered first; where there are many, what goes on does not wait for what is new, and all
    /// that is to be sent goes in few batches. Those whom nobody knows have no say in it.
    pub(super) fn handle_received(&mut self, now: Instant) -> usize {
        if self.prompt && self.intake.is_short() {
            self.handle_in_order(now)
        } else {
            self.handle_by_urgency(now)
        }
    }

    /// Handles each message as it came, once what those before it have brought is sent; then what
    /// the control plane asks, and whom nobody knows.
    fn handle_in_order(&mut self, now: Instant) -> usize {
        // Other shards do not wait for what they have been handed until all of it is done.
        let woken = self.port.wake_receivers();
        self.metrics().add(Counter::Wakeups, woken);
        let mut work = 0;
        while let Some(urgency) = self.intake.first() {
            work += self.drain_outgoing(now);
            work += self.handle_line(now, urgency, 1);
        }
        work += self.receive_requests(now);
        if self.intake.len(Urgency::Aside) > 0 {
            work += self.drain_outgoing(now);
        }
        work + self.handle_line(now, Urgency::Aside, limits::HANDLED_PER_TURN_MAX)
    }

    /// Handles what goes on, what the control plane asks, and then the rest.
    fn handle_by_urgency(&mut self, now: Instant) -> usize {
        let mut handled = self.handle_line(now, Urgency::Now, limits::HANDLED_PER_TURN_MAX);
        let requests = self.receive_requests(now);
        for urgency in [Urgency::Soon, Urgency::Last, Urgency::Aside] {
            let room = limits::HANDLED_PER_TURN_MAX.saturating_sub(handled);
            let most = room.max(limits::HANDLED_PER_LINE_MIN);
            handled += self.handle_line(now, urgency, most);
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

/// Where the messages of a stream go.
struct Inward<'a, E: Engine> {
    engine: &'a mut E,
    port: &'a mut Port<Parcel<E::Message>>,
    intake: &'a mut Intake,
    unknown_hops: &'a mut usize,
    /// Messages of the first line that this connection has had.
    urgent: usize,
    metrics: &'a ShardMetrics,
}

impl<E: Engine> Inward<'_, E> {
    /// Whether the message is taken; otherwise it is shown again.
    fn take(&mut self, now: Instant, (source, came): (Source, Instant), bytes: &[u8]) -> bool {
        let urgency = self.engine.urgency(&source, bytes);
        self.urgent += usize::from(urgency == Urgency::Now);
        if self.urgent > limits::URGENT_PER_CONNECTION_MAX {
            return false;
        }
        let arrival = Arrival {
            source,
            came,
            urgency,
        };
        let has_room = match foreign_owner(self.engine, self.port, bytes) {
            Some(owner) => {
                let goes = hop(self.port, self.unknown_hops, owner, arrival, bytes);
                self.metrics.add(Counter::Hops, u64::from(goes));
                goes
            }
            None => self.intake.push(urgency, source, came, bytes).is_ok(),
        };
        // What can be refused need not wait, nor those behind it.
        let is_refused = !has_room && can_be_refused(urgency);
        if is_refused {
            hand_in_excess(self.engine, now, arrival, bytes);
        }
        let is_taken = has_room || is_refused;
        let counter = match is_taken {
            true => Counter::FramesIn,
            false => Counter::FrameQueueFull,
        };
        self.metrics.add(counter, 1);
        is_taken
    }
}

/// Puts a message in its line, if there is room. Where there is none, what cannot wait is handled
/// in its order: the first ones make room.
fn keep<E: Engine>(
    intake: &mut Intake,
    engine: &mut E,
    now: Instant,
    arrival: Arrival,
    bytes: &[u8],
) {
    let Arrival {
        source,
        came,
        urgency,
    } = arrival;
    while intake.push(urgency, source, came, bytes).is_err() {
        let first = match urgency {
            Urgency::Now => intake.pop(urgency),
            Urgency::Soon | Urgency::Last | Urgency::Aside => None,
        };
        let Some((source, came, bytes)) = first else {
            return hand_in_excess(engine, now, arrival, bytes);
        };
        engine.handle_arrival(came, urgency);
        engine.handle_datagram(now, source, bytes);
    }
}

fn hand_in_excess<E: Engine>(engine: &mut E, now: Instant, arrival: Arrival, bytes: &[u8]) {
    engine.handle_arrival(arrival.came, arrival.urgency);
    engine.handle_excess(now, arrival.source, bytes);
}

/// Hands a message to its owner, if there is room. Whoever reads a stream is woken when there is
/// again, unless the message can be refused.
fn hop<M>(
    port: &mut Port<Parcel<M>>,
    unknown_hops: &mut usize,
    owner: ShardId,
    arrival: Arrival,
    bytes: &[u8],
) -> bool {
    // Asked before anything is copied: a flood of nobody known must cost nothing.
    if !may_hop(unknown_hops, arrival.urgency) {
        return false;
    }
    let parcel = arrival.parcel(bytes);
    let lane = parcel.lane();
    let waits = arrival.source.connection.is_some() && !can_be_refused(arrival.urgency);
    let pushed = match waits {
        true => port.push_or_starve(owner, lane, parcel),
        false => port.push(owner, lane, parcel),
    };
    pushed.is_ok()
}

/// What begins something new, or comes from nobody known, need not wait for room.
fn can_be_refused(urgency: Urgency) -> bool {
    matches!(urgency, Urgency::Last | Urgency::Aside)
}

/// Whether a message may go to another shard: of those of nobody known so many in a turn, so that
/// they leave room between the shards.
fn may_hop(unknown_hops: &mut usize, urgency: Urgency) -> bool {
    *unknown_hops += usize::from(urgency == Urgency::Aside);
    urgency != Urgency::Aside || *unknown_hops <= limits::UNKNOWN_HOPS_PER_TURN_MAX
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
    for _ in 0..limits::FRAMES_PER_CONNECTION_MAX {
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

#[cfg(test)]
mod tests;
