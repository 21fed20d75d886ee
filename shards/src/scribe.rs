//! An engine for tests of what is around one.

use std::convert::Infallible;
use std::time::Instant;

use crate::engine::{ConnectionChange, Engine, Frame, ShardId, Source, Transmit};

/// Keeps the number at the beginning of each datagram, in order, and counts what is in excess. It
/// has nothing to say.
#[derive(Default)]
pub(crate) struct Scribe {
    pub(crate) handled: Vec<u32>,
    pub(crate) in_excess: usize,
}

impl Engine for Scribe {
    type Message = Infallible;
    type Request = Infallible;
    type Event = u32;

    fn owner(&self, _bytes: &[u8]) -> Option<ShardId> {
        None
    }

    fn frame(_buffer: &[u8]) -> Frame {
        Frame::Incomplete
    }

    fn handle_datagram(&mut self, _now: Instant, _from: Source, bytes: &[u8]) {
        let number = bytes.first_chunk().expect("a number");
        self.handled.push(u32::from_be_bytes(*number));
    }

    fn handle_excess(&mut self, _now: Instant, _from: Source, _bytes: &[u8]) {
        self.in_excess += 1;
    }

    fn handle_connection(&mut self, _now: Instant, _change: ConnectionChange) {}

    fn handle_message(&mut self, _now: Instant, _from: ShardId, message: Infallible) {
        match message {}
    }

    fn handle_request(&mut self, _now: Instant, request: Infallible) {
        match request {}
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self, _buffer: &mut Vec<u8>) -> Option<Transmit> {
        None
    }

    fn poll_message(&mut self) -> Option<(ShardId, Infallible)> {
        None
    }

    fn poll_event(&mut self) -> Option<u32> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
