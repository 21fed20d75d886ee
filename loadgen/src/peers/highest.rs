//! The search for the highest rate that a contestant carries. Who was offered too much is left with
//! what came of it: calls that nobody ends, full tables, a heap in pieces. So after each rate that
//! was too much everybody is started anew, and what is found does not depend on what was tried
//! before.

use std::fmt;
use std::time::Duration;

use super::contestant::{Contestant, Setup};
use super::say;
use super::scene::{Calls, Scene, Stage};
use crate::load::{Limits, Search};

/// What a rate must meet to be clean.
pub(super) const CLEAN: &str = "failed<0.01%&&p99(setup)<100ms";
/// The part of the calls that may fail then.
pub(super) const CLEAN_FAILED_PART: f64 = 0.000_1;
/// At no rate that is tried has a DN two calls at a time.
const SETUP: Setup = Setup {
    dns: 20_000,
    keeps_events: true,
};
/// Where the search begins.
const FIRST_RATE: f64 = 1_000.0;
/// How far apart the rate that is found and one that is too much may be, as a part of it.
const PRECISION: f64 = 0.08;
/// How often the rate that is found has to be carried.
const CONFIRMATIONS: u32 = 2;
/// How long each rate is offered.
const SECONDS: u32 = 5;

/// What a search has found. Rates are calls a second.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Highest {
    /// The highest that was clean each time; 0 if none was.
    pub(super) rate: f64,
    /// The lowest above it that was too much, and what was wrong then.
    pub(super) too_many: Option<(f64, String)>,
}

impl fmt::Display for Highest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.0} calls/s; ", self.rate)?;
        match &self.too_many {
            Some((rate, fault)) => write!(formatter, "{rate:.0} were too many: {fault}"),
            None => formatter.write_str("no higher rate was tried"),
        }
    }
}

/// Searches, up to a rate, with calls that last for a time.
///
/// # Errors
/// Why it could not be carried out.
pub(super) fn find(
    stage: &Stage<'_>,
    contestant: Contestant,
    most: u32,
    pause: Duration,
) -> Result<Highest, String> {
    let mut open: Option<Scene<'_>> = None;
    search(f64::from(most), |rate| {
        let mut scene = match open.take() {
            Some(scene) => scene,
            None => Scene::open(stage, contestant, SETUP)?,
        };
        let fault = scene.offer(Calls {
            rate,
            count: rate * SECONDS,
            pause,
        })?;
        let name = contestant.name();
        let words = fault.as_deref().unwrap_or("clean");
        say(&format!("{name} at {rate} calls/s: {words}"));
        if fault.is_none() {
            open = Some(scene);
        }
        Ok(fault)
    })
}

/// The search itself: `offer` says what was wrong at a rate.
fn search(
    most: f64,
    mut offer: impl FnMut(u32) -> Result<Option<String>, String>,
) -> Result<Highest, String> {
    let mut search = Search::new(Limits {
        first: FIRST_RATE,
        highest: most,
        precision: PRECISION,
        confirmations: CONFIRMATIONS,
    });
    let mut faults: Vec<(f64, String)> = Vec::new();
    while let Some((_, rate)) = search.next() {
        let fault = offer(rate.round() as u32)?;
        search.take(rate, fault.is_none());
        faults.extend(fault.map(|fault| (rate, fault)));
    }
    let rate = search.knee();
    let above = faults.into_iter().filter(|(missed, _)| *missed > rate);
    Ok(Highest {
        rate,
        too_many: above.min_by(|one, other| one.0.total_cmp(&other.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(most: f64, capacity: u32) -> Highest {
        let offer = |rate| Ok((rate > capacity).then(|| format!("{rate} > {capacity}")));
        search(most, offer).expect("each rate could be offered")
    }

    #[test]
    fn the_rate_and_what_was_too_much_are_close() {
        let found = found(40_000.0, 7_000);
        assert!(found.rate <= 7_000.0 && found.rate > 6_400.0, "{found}");
        let (rate, fault) = found.too_many.expect("more was tried");
        assert!(rate > 7_000.0 && rate <= found.rate * 1.08, "{rate}");
        assert!(fault.ends_with("> 7000"), "{fault}");
    }

    #[test]
    fn who_carries_everything_is_known_to_carry_as_much_as_was_tried() {
        let found = found(4_000.0, u32::MAX);
        assert_eq!(found.to_string(), "4000 calls/s; no higher rate was tried");
    }

    #[test]
    fn who_carries_nothing_has_no_rate() {
        let found = found(4_000.0, 0);
        assert_eq!(found.rate, 0.0);
        assert!(found.too_many.is_some());
    }

    #[test]
    fn what_cannot_be_offered_ends_the_search() {
        let offer = |_| Err("the server does not start".to_owned());
        assert_eq!(
            search(4_000.0, offer),
            Err("the server does not start".to_owned())
        );
    }
}
