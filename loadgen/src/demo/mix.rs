//! What the people of the demo are like: mostly well-behaved, with a little of everything that
//! happens on a floor.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cli::Demo;
use crate::population::{
    CallerHabits, Callers, CallersOptions, Habits, Pbx, PbxOptions, Population, Rhythm, Span,
};

/// What callers dial.
pub(super) const ROUTING_POINT: &str = "7000";
/// The first agent's directory number.
const FIRST_DN: u32 = 200_000;
/// How long the server lets a phone ring.
pub(super) const NO_ANSWER: Duration = Duration::from_secs(3);
/// A phone that has been idle for so long is certainly Ready: the way of a NOTIFY, with plenty to
/// spare.
const SETTLING: Duration = Duration::from_millis(500);

/// The directory numbers of the first and of the last agent.
pub(super) fn range(options: &Demo) -> (u32, u32) {
    (FIRST_DN, FIRST_DN + options.agents - 1)
}

/// The population at its two addresses.
pub(super) fn population(
    options: &Demo,
    pbx: SocketAddr,
    callers: SocketAddr,
    server: SocketAddr,
) -> Population {
    let (first, last) = range(options);
    let mut phones = PbxOptions::new(pbx, (first..=last).map(|dn| dn.to_string()));
    phones.seed = options.seed;
    phones.habits = phone_habits();
    let mut people = CallersOptions::new(callers, server, ROUTING_POINT);
    people.seed = options.seed;
    people.habits = caller_habits();
    Population::new(Pbx::new(phones), Callers::new(people), SETTLING)
}

fn phone_habits() -> Habits {
    let rhythm = |every, low, high| {
        Some(Rhythm {
            every: Duration::from_secs(every),
            lasting: Span::milliseconds(low, high),
        })
    };
    Habits {
        ringing: Span::milliseconds(10, 60),
        answering: Span::milliseconds(200, 1_500),
        talking: Some(Span::milliseconds(2_000, 8_000)),
        no_answer: 0.02,
        busy: 0.01,
        declined: 0.02,
        holds: 0.1,
        private_calls: rhythm(60, 2_000, 8_000),
        absences: rhythm(180, 2_000, 6_000),
    }
}

/// The same phones without anything that begins by itself: for the end.
pub(super) fn phone_habits_at_the_end() -> Habits {
    Habits {
        private_calls: None,
        absences: None,
        ..phone_habits()
    }
}

fn caller_habits() -> CallerHabits {
    CallerHabits {
        early_offer: 0.5,
        patience: Span::milliseconds(15_000, 30_000),
        impatient: (0.05, Span::milliseconds(20, 2_000)),
        talking: Span::milliseconds(2_000, 8_000),
        holds: 0.1,
        ..CallerHabits::of(ROUTING_POINT)
    }
}
