//! What becomes of messages for which their line has no room.

use super::*;
use crate::scribe::Scribe;

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
