//! A station on the shards runtime: what the control plane may order, and what it hears.

use std::time::Instant;

use offhook_shards::{ConnectionChange, Engine, Frame, ShardId, Source, Transmit};

use super::super::floor::Line;
use super::super::limits::MESSAGE_BYTES_MAX;
use super::super::statistics::Statistics;
use super::{Ending, Station, message_length};

/// Lines in one report.
const LINES_PER_REPORT_MAX: usize = 256;
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
    /// The rate before a pause.
    paused_rate: Option<f64>,
    has_ended: bool,
}

impl Worker {
    /// A worker for a station.
    #[must_use]
    pub fn new(station: Station) -> Self {
        Self {
            station,
            wants_report: false,
            paused_rate: None,
            has_ended: false,
        }
    }

    fn change_rate(&mut self, now: Instant, rate: f64) {
        self.paused_rate = None;
        self.station.set_rate(now, rate);
    }
}

impl Engine for Worker {
    type Message = ();
    type Request = Order;
    type Event = Report;

    fn owner(&self, _bytes: &[u8]) -> Option<ShardId> {
        None
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
        match message_length(buffer) {
            Some(length) if length > MESSAGE_BYTES_MAX => Frame::Malformed,
            Some(length) if length <= buffer.len() => Frame::Complete(length),
            Some(_) => Frame::Incomplete,
            None if buffer.len() > HEAD_BYTES_MAX => Frame::Malformed,
            None => Frame::Incomplete,
        }
    }

    fn handle_datagram(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        self.station.receive(now, from, bytes);
    }

    fn handle_connection(&mut self, now: Instant, change: ConnectionChange) {
        self.station.lose(now, change);
    }

    fn handle_message(&mut self, _now: Instant, _from: ShardId, (): ()) {}

    fn handle_request(&mut self, now: Instant, order: Order) {
        match order {
            Order::Report => self.wants_report = true,
            Order::Rate(rate) => self.change_rate(now, rate),
            Order::RateBy(step) => {
                let rate = self.paused_rate.unwrap_or(self.station.schedule_rate());
                self.change_rate(now, rate + step);
            }
            Order::Pause => match self.paused_rate.take() {
                Some(rate) => self.station.set_rate(now, rate),
                None => {
                    self.paused_rate = Some(self.station.schedule_rate());
                    self.station.set_rate(now, 0.0);
                }
            },
            Order::Drain => self.station.drain(),
            Order::Stop => self.station.stop(),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.station.expire(now);
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        self.station.transmit(buffer)
    }

    fn poll_message(&mut self) -> Option<(ShardId, ())> {
        None
    }

    fn poll_event(&mut self) -> Option<Report> {
        let lines = &mut self.station.floor.lines;
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
        self.station.next_deadline()
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
