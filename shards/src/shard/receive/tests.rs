//! What becomes of messages for which their line has no room.

use std::convert::Infallible;

use super::*;
use crate::engine::{ConnectionChange, Transmit};

/// Keeps what it is given, in order.
#[derive(Default)]
struct Scribe {
    handled: Vec<u32>,
    in_excess: usize,
}

impl Engine for Scribe {
    type Message = Infallible;
    type Request = Infallible;
    type Event = Infallible;

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

    fn poll_event(&mut self) -> Option<Infallible> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

fn arrival(now: Instant, urgency: Urgency) -> Arrival {
    let address = ([127, 0, 0, 1], 5060).into();
    let source = Source {
        transport: Transport::Udp,
        local: address,
        remote: address,
        connection: None,
    };
    Arrival {
        source,
        came: now,
        urgency,
    }
}

/// Three times as many as find room come, and then the line is handled.
fn handled(urgency: Urgency) -> Scribe {
    let (mut scribe, mut intake) = (Scribe::default(), Intake::default());
    let now = Clock.now();
    let arrival = arrival(now, urgency);
    for number in 0..3 * limits::INTAKE_MESSAGES_MAX as u32 {
        keep(
            &mut intake,
            &mut scribe,
            now,
            arrival,
            &number.to_be_bytes(),
        );
    }
    while let Some((source, _, bytes)) = intake.pop(urgency) {
        scribe.handle_datagram(now, source, bytes);
    }
    scribe
}

#[test]
fn what_cannot_wait_is_handled_in_its_order_beyond_the_room_of_its_line() {
    let scribe = handled(Urgency::Now);
    let all = 3 * limits::INTAKE_MESSAGES_MAX as u32;
    assert_eq!(scribe.handled, (0..all).collect::<Vec<_>>());
    assert_eq!(scribe.in_excess, 0);
}

#[test]
fn of_what_can_wait_the_engine_hears_that_it_is_too_much() {
    let scribe = handled(Urgency::Soon);
    let kept = limits::INTAKE_MESSAGES_MAX;
    assert_eq!(scribe.handled, (0..kept as u32).collect::<Vec<_>>());
    assert_eq!(scribe.in_excess, 2 * kept);
}

#[test]
fn what_is_too_long_for_any_line_is_excess() {
    let (mut scribe, mut intake) = (Scribe::default(), Intake::default());
    let now = Clock.now();
    let arrival = arrival(now, Urgency::Now);
    keep(&mut intake, &mut scribe, now, arrival, &7_u32.to_be_bytes());
    let long = vec![0; limits::INTAKE_BYTES_MAX + 1];
    keep(&mut intake, &mut scribe, now, arrival, &long);
    assert_eq!((scribe.handled, scribe.in_excess), (vec![7], 1));
}
