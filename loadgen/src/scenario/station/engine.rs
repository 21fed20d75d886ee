//! A station on the shards runtime: what the control plane may order, and what it hears.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_shards::{
    ConnectionChange, ConnectionId, Engine, Frame, ShardId, Source, Transmit, Transport, Urgency,
};

use super::super::floor::{Line, Log};
use super::super::limits::MESSAGE_BYTES_MAX;
use super::super::statistics::Statistics;
use super::{Ending, Station, dialog_id, message_length};
use crate::measure::worker_thread;
use crate::report::Ladder;
use crate::scenario::hash::hash;
use crate::scenario::message::Received;
use crate::scenario::model::{Side, Stop};
use crate::scenario::twin;

/// Lines in one report.
const LINES_PER_REPORT_MAX: usize = 256;
/// Between two beats of the timer by which a worker watches itself.
const BEAT: Duration = Duration::from_millis(10);
/// Bytes of a stream that may come before the headers end.
const HEAD_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// What the control plane orders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// Report what was counted.
    Report,
    /// Open that many calls a period.
    Rate(f64),
    /// Change the rate by that much.
    RateBy(f64),
    /// Open a call only while fewer than that many live, at all workers together.
    Limit(usize),
    /// Have that many users, at all workers together, where users call.
    Users(usize),
    /// Write lines of this kind down, or no more.
    Trace(Log, bool),
    /// Say of each call at which step it is.
    Tasks,
    /// Stop opening calls, or go on with it.
    Pause,
    /// Open no more calls; end when the last has ended.
    Drain,
    /// End now.
    Stop,
}

/// What the control plane hears.
#[derive(Debug)]
pub enum Report {
    /// What was counted, and the rate in calls a second.
    Statistics(Box<Statistics>, f64),
    /// The thread that a worker runs on.
    Thread(u32),
    /// What all workers are to do, because one scenario says so.
    Everybody(Order),
    /// A command for the shell.
    Execute(String),
    /// The messages of a call that failed.
    Ladder(Box<Ladder>),
    /// Lines to be written.
    Lines(Vec<Line>),
    /// The run is over.
    Ended(Box<Statistics>, Ending),
}

/// The station and what it has to say.
#[derive(Debug)]
pub struct Worker {
    station: Station,
    wants_report: bool,
    has_ended: bool,
    /// When the timer goes off by which the worker watches itself.
    beat: Instant,
    /// Whether the other workers were told that the scenario ends the run.
    has_told: bool,
    /// The thread that it runs on, until that was reported.
    thread: Option<u32>,
}

impl Worker {
    /// A worker for a station.
    #[must_use]
    pub fn new(now: Instant, station: Station) -> Self {
        Self {
            beat: station.floor.ticks.at_or_after(now + BEAT),
            has_told: false,
            thread: worker_thread(),
            station,
            wants_report: false,
            has_ended: false,
        }
    }

    /// The timer went off so late. Whatever a stream had brought meanwhile has waited up to as
    /// long, and no kernel's stamp says it: so each beat that was due counts as a message of a
    /// server.
    fn note_beat(&mut self, late: Duration) {
        let floor = &mut self.station.floor;
        floor.statistics.stalls.record(late);
        let is_stream = match floor.settings.transport {
            Transport::Tcp | Transport::Tls => true,
            Transport::Udp => false,
        };
        if is_stream && floor.scenario.side == Side::Server {
            let mut beat = Some(late);
            while let Some(waited) = beat {
                floor.statistics.lag.record(waited);
                beat = waited.checked_sub(BEAT);
            }
        }
    }
}

impl Engine for Worker {
    type Message = ();
    type Request = Order;
    type Event = Report;

    fn owner(&self, bytes: &[u8]) -> Option<ShardId> {
        let floor = &self.station.floor;
        let workers = floor.settings.workers;
        // A client's workers have sockets of their own; a server's share theirs.
        if workers < 2 || floor.scenario.side == Side::Client {
            return None;
        }
        let id = Received::new(bytes)?.call_id()?;
        let owner = hash(dialog_id(&floor.settings, id)) % workers;
        u16::try_from(owner).ok().map(ShardId)
    }

    fn frame(buffer: &[u8]) -> Frame {
        let blanks = buffer
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        if blanks > 0 {
            return Frame::Skip {
                bytes: blanks,
                reply: b"",
            };
        }
        if let Some(length) = twin::length(buffer) {
            return Frame::Complete(length);
        }
        match message_length(buffer) {
            Some(length) if length > MESSAGE_BYTES_MAX => Frame::Malformed,
            Some(length) if length <= buffer.len() => Frame::Complete(length),
            Some(_) => Frame::Incomplete,
            None if buffer.len() > HEAD_BYTES_MAX => Frame::Malformed,
            None => Frame::Incomplete,
        }
    }

    fn handle_arrival(&mut self, at: Instant, _urgency: Urgency) {
        self.station.note_arrival(at);
    }

    fn handle_datagram(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        self.station.receive(now, from, bytes);
    }

    fn handle_connection(&mut self, now: Instant, change: ConnectionChange) {
        self.station.lose(now, change);
    }

    /// Certificates are checked against the authority only, as SIPp does: peers under test are
    /// seldom known by name.
    fn identity(&self, remote: SocketAddr) -> Option<String> {
        Some(remote.ip().to_string())
    }

    fn wants_own_connection(&self) -> bool {
        self.station.speaks_apart()
    }

    fn handle_opening(&mut self, now: Instant, connection: Option<ConnectionId>) {
        self.station.connect(now, connection);
    }

    fn poll_close(&mut self) -> Option<ConnectionId> {
        self.station.floor.flows.next_to_close()
    }

    fn handle_message(&mut self, _now: Instant, _from: ShardId, (): ()) {}

    fn handle_request(&mut self, now: Instant, order: Order) {
        match order {
            Order::Report => self.wants_report = true,
            Order::Rate(rate) => self.station.set_rate(now, rate),
            Order::RateBy(step) => {
                let rate = self.station.schedule_rate();
                self.station.set_rate(now, rate + step);
            }
            Order::Limit(calls) => self.station.set_limit(calls),
            Order::Users(users) => self.station.set_users(now, users),
            Order::Trace(log, is_wanted) => self.station.trace(log, is_wanted),
            Order::Tasks => self.station.tell_tasks(now),
            Order::Pause => self.station.pause(now),
            Order::Drain => self.station.drain(),
            Order::Stop => self.station.stop(),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if now >= self.beat {
            self.note_beat(now.duration_since(self.beat));
            self.beat = self.station.floor.ticks.at_or_after(now + BEAT);
        }
        self.station.expire(now);
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        self.station.transmit(buffer)
    }

    fn poll_message(&mut self) -> Option<(ShardId, ())> {
        None
    }

    fn poll_event(&mut self) -> Option<Report> {
        if let Some(thread) = self.thread.take() {
            return Some(Report::Thread(thread));
        }
        let floor = &mut self.station.floor;
        if floor.stop == Some(Stop::Gracefully) && !std::mem::replace(&mut self.has_told, true) {
            return Some(Report::Everybody(Order::Drain));
        }
        if let Some(command) = floor.commands.pop_front() {
            return Some(Report::Execute(command));
        }
        if let Some(ladder) = floor.ladders.pop_front() {
            return Some(Report::Ladder(Box::new(ladder)));
        }
        let lines = &mut floor.lines;
        if !lines.is_empty() {
            let count = lines.len().min(LINES_PER_REPORT_MAX);
            return Some(Report::Lines(lines.drain(..count).collect()));
        }
        let statistics = |station: &Station| Box::new(station.statistics().clone());
        if std::mem::take(&mut self.wants_report) {
            let rate = self.station.rate();
            return Some(Report::Statistics(statistics(&self.station), rate));
        }
        let ending = self.station.ending().filter(|_| !self.has_ended)?;
        self.has_ended = true;
        Some(Report::Ended(statistics(&self.station), ending))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let beat = (!self.has_ended).then_some(self.beat);
        [self.station.next_deadline(), beat]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_cut_where_the_headers_say() {
        let message = b"BYE sip:a SIP/2.0\r\nl: 3\r\n\r\nabcREST";
        assert_eq!(Worker::frame(message), Frame::Complete(message.len() - 4));
        assert_eq!(Worker::frame(&message[..29]), Frame::Incomplete);
        assert_eq!(Worker::frame(b""), Frame::Incomplete);
        assert_eq!(
            Worker::frame(b"\r\n\r\nBYE"),
            Frame::Skip {
                bytes: 4,
                reply: b""
            }
        );
        let long = b"BYE sip:a SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n";
        assert_eq!(Worker::frame(long), Frame::Malformed);
        assert_eq!(Worker::frame(&[b'x'; HEAD_BYTES_MAX + 1]), Frame::Malformed);
    }
}
