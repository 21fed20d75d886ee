//! The search for the highest rate that a contestant carries. Who was offered too much is left with
//! what came of it: calls that nobody ends, full tables, a heap in pieces. So after each rate that
//! was too much everybody is started anew, and called for a second that is not judged, so that
//! what is done for the first calls only does not count.
//!
//! What is found still depends on what was tried before. After a clean rate everybody goes on with
//! what transactions hold, for up to 32 s (64*T1), and with the memory that was got for it; who has
//! been started anew gets what is needed beyond that second's while the rate is judged.

use std::fmt;
use std::time::Duration;

use super::contestant::{Behind, Contestant, Setup};
use super::say;
use super::scene::{Calls, Scene, Stage};
use crate::load::{Limits, Search};

/// What a rate must meet to be clean.
pub(super) const CLEAN: &str = "failed<0.01%&&p99(setup)<100ms";
/// The part of the calls that may fail then: the number of [`CLEAN`] once more, which is a text for
/// the caller's command line, because the caller does not count as failed what is cut off at its
/// end, and the scene does; a test holds the two together.
pub(super) const CLEAN_FAILED_PART: f64 = 0.000_1;
/// At no rate that is tried has a DN two calls at a time.
const SETUP: Setup = Setup {
    behind: Behind::Phones,
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
/// How long everybody who was started anew is called before that, at most at [`FIRST_RATE`].
const WARM_UP_SECONDS: u32 = 1;

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
    let calls = |rate, seconds| Calls {
        rate,
        count: rate * seconds,
        pause,
    };
    let open = |warm_up| {
        let mut scene = Scene::open(stage, contestant, SETUP)?;
        // What was wrong meanwhile is not asked: who cannot carry this rate is judged by the next.
        scene.offer(calls(warm_up, WARM_UP_SECONDS))?;
        Ok(scene)
    };
    let offer = |scene: &mut Scene<'_>, rate| {
        let fault = scene.offer(calls(rate, SECONDS))?;
        let name = contestant.name();
        let words = fault.as_deref().unwrap_or("clean");
        say(&format!("{name} at {rate} calls/s: {words}"));
        Ok(fault)
    };
    search(f64::from(most), open, offer)
}

/// The search itself: `open` makes a scene that has been called at a rate, and `offer` says what
/// was wrong with it at another. A scene is kept until something was.
fn search<S>(
    most: f64,
    mut open: impl FnMut(u32) -> Result<S, String>,
    mut offer: impl FnMut(&mut S, u32) -> Result<Option<String>, String>,
) -> Result<Highest, String> {
    let mut search = Search::new(Limits {
        first: FIRST_RATE,
        highest: most,
        precision: PRECISION,
        confirmations: CONFIRMATIONS,
    });
    let mut faults: Vec<(f64, String)> = Vec::new();
    let mut kept: Option<S> = None;
    while let Some((_, rate)) = search.next() {
        let mut scene = match kept.take() {
            Some(scene) => scene,
            // A warm-up at more than what comes next could be too much itself.
            None => open(rate.min(FIRST_RATE).round() as u32)?,
        };
        let fault = offer(&mut scene, rate.round() as u32)?;
        search.take(rate, fault.is_none());
        match fault {
            Some(fault) => faults.push((rate, fault)),
            None => kept = Some(scene),
        }
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
    use std::rc::Rc;

    use super::*;
    use crate::measure::{Objective, Readings, Times};

    fn found(most: f64, capacity: u32) -> Highest {
        let offer = |(): &mut (), rate| Ok(judged(rate, capacity));
        search(most, |_| Ok(()), offer).expect("each rate could be offered")
    }

    fn judged(rate: u32, capacity: u32) -> Option<String> {
        (rate > capacity).then(|| format!("{rate} > {capacity}"))
    }

    /// A scene of a test.
    struct Numbered {
        number: usize,
        warm_up: u32,
        /// Held by every scene that has not ended.
        _living: Rc<()>,
    }

    #[test]
    fn everybody_is_started_anew_after_each_rate_that_was_too_much() {
        for capacity in [0, 300, 1_500, 7_000, u32::MAX] {
            let living = Rc::new(());
            let (mut openings, mut tries) = (0, Vec::new());
            let open = |warm_up| {
                assert_eq!(Rc::strong_count(&living), 1, "the last one has ended");
                openings += 1;
                Ok(Numbered {
                    number: openings,
                    warm_up,
                    _living: Rc::clone(&living),
                })
            };
            let offer = |scene: &mut Numbered, rate: u32| {
                assert!(
                    scene.warm_up > 0 && scene.warm_up <= rate.min(1_000),
                    "{rate}"
                );
                let fault = judged(rate, capacity);
                tries.push((scene.number, fault.is_some()));
                Ok(fault)
            };
            search(40_000.0, open, offer).expect("each rate could be offered");
            assert_eq!(tries[0].0, 1);
            for pair in tries.windows(2) {
                let [(scene, was_missed), (next, _)] = pair else {
                    unreachable!("windows of two")
                };
                assert_eq!(*next, scene + usize::from(*was_missed), "{tries:?}");
            }
            let followed = tries.split_last().expect("something was tried").1;
            let misses = followed.iter().filter(|(_, is_missed)| *is_missed);
            assert_eq!(openings, 1 + misses.count(), "{tries:?}");
        }
    }

    /// A run of which this part of the calls failed.
    struct Failed(f64);

    impl Readings for Failed {
        fn latency(&self, _name: &str) -> Option<&Times> {
            None
        }

        fn failed_part(&self) -> f64 {
            self.0
        }

        fn goodput(&self) -> f64 {
            0.0
        }
    }

    #[test]
    fn the_objective_and_the_scene_let_the_same_part_of_the_calls_fail() {
        let clean: Objective = CLEAN.parse().expect("an objective");
        let is_met = |part| clean.judge(&Failed(part))[0].met;
        assert!(is_met(CLEAN_FAILED_PART * 0.999));
        assert!(!is_met(CLEAN_FAILED_PART * 1.001));
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
        let fault = || "the server does not start".to_owned();
        let unopened = search(4_000.0, |_| Err(fault()), |(): &mut (), _| Ok(None));
        assert_eq!(unopened, Err(fault()));
        let unoffered = search(4_000.0, |_| Ok(()), |(): &mut (), _| Err(fault()));
        assert_eq!(unoffered, Err(fault()));
    }
}
