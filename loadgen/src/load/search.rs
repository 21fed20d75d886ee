//! Which rate to try next. Rates double until one misses the objective, then the gap between the
//! last that met it and the first that did not is halved until it is small, then the best is tried
//! again: one lucky try finds nothing.

/// Why a rate is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// To find a rate that misses the objective.
    Probe,
    /// To close the gap.
    Bisect,
    /// To be sure.
    Confirm,
}

impl Phase {
    /// As reports show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Bisect => "bisect",
            Self::Confirm => "confirm",
        }
    }
}

/// Bounds of a search. Rates are per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The first rate.
    pub first: f64,
    /// No higher rate is tried.
    pub highest: f64,
    /// The gap that is small enough, as a part of the rate.
    pub precision: f64,
    /// How often the best rate has to meet the objective in all.
    pub confirmations: u32,
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    limits: Limits,
    /// The highest rate that met the objective.
    good: Option<f64>,
    /// The lowest rate that missed it.
    bad: Option<f64>,
    /// How often `good` has met it since it became the best.
    confirmed: u32,
    tries: u32,
}

impl Search {
    /// Before the first try.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            good: None,
            bad: None,
            confirmed: 0,
            tries: 0,
        }
    }

    /// What to try next; `None` when the search is over.
    #[must_use]
    pub fn next(&self) -> Option<(Phase, f64)> {
        /// More tries mean that the objective is met by chance.
        const TRIES_MAX: u32 = 60;
        /// Below this part of the first rate, nothing meets the objective.
        const LOWEST_PART: f64 = 1.0 / 256.0;
        let Limits {
            first,
            highest,
            precision,
            confirmations,
        } = self.limits;
        if self.tries >= TRIES_MAX {
            return None;
        }
        match (self.good, self.bad) {
            (None, None) => Some((Phase::Probe, first.min(highest))),
            (None, Some(bad)) => {
                let lower = bad / 2.0;
                (lower >= first * LOWEST_PART).then_some((Phase::Probe, lower))
            }
            (Some(good), None) if good < highest => Some((Phase::Probe, (good * 2.0).min(highest))),
            (Some(good), Some(bad)) if bad - good > good * precision => {
                Some((Phase::Bisect, f64::midpoint(good, bad)))
            }
            (Some(good), _) if self.confirmed < confirmations => Some((Phase::Confirm, good)),
            (Some(_), _) => None,
        }
    }

    /// Takes the outcome of a try.
    pub fn take(&mut self, rate: f64, met: bool) {
        self.tries += 1;
        if met {
            if self.good.is_some_and(|good| good >= rate) {
                self.confirmed += 1;
            } else {
                self.good = Some(rate);
                self.confirmed = 1;
            }
            return;
        }
        self.bad = Some(self.bad.map_or(rate, |bad| bad.min(rate)));
        if self.good.is_some_and(|good| good >= rate) {
            // It was luck: something lower has to be found, and confirmed anew.
            let step = 1.0 - self.limits.precision;
            self.good = None;
            self.confirmed = 0;
            self.bad = Some(rate);
            self.limits.first = rate * step;
            self.bad = None;
            self.limits.highest = self.limits.highest.min(rate * step);
        }
    }

    /// The highest rate that met the objective as often as it had to; 0 if none did.
    #[must_use]
    pub fn knee(&self) -> f64 {
        let confirmed = self.confirmed >= self.limits.confirmations;
        self.good.filter(|_| confirmed).unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        first: 10.0,
        highest: 100_000.0,
        precision: 0.05,
        confirmations: 3,
    };

    /// A server that is good up to a rate, except for some tries.
    fn find(limits: Limits, capacity: f64, unlucky: &[u32]) -> (f64, Vec<(Phase, f64)>) {
        let mut search = Search::new(limits);
        let mut tries = Vec::new();
        while let Some((phase, rate)) = search.next() {
            let number = u32::try_from(tries.len()).expect("few");
            tries.push((phase, rate));
            search.take(rate, rate <= capacity && !unlucky.contains(&number));
        }
        (search.knee(), tries)
    }

    #[test]
    fn the_knee_is_found_from_below_and_confirmed() {
        let (knee, tries) = find(LIMITS, 1_234.0, &[]);
        assert!(knee <= 1_234.0 && knee > 1_234.0 * 0.9, "{knee}");
        assert!(tries.len() < 20, "{tries:?}");
        let confirms = tries.iter().filter(|(phase, _)| *phase == Phase::Confirm);
        assert_eq!(confirms.count(), 2);
    }

    #[test]
    fn a_first_rate_that_is_too_high_is_no_obstacle() {
        let (knee, _) = find(LIMITS, 3.0, &[]);
        assert!(knee <= 3.0 && knee > 2.5, "{knee}");
        let (knee, tries) = find(LIMITS, 0.0, &[]);
        assert_eq!(knee, 0.0);
        assert!(tries.len() < 12);
    }

    #[test]
    fn what_never_breaks_ends_at_the_highest_rate() {
        let limits = Limits {
            highest: 300.0,
            ..LIMITS
        };
        let (knee, tries) = find(limits, 1e9, &[]);
        assert_eq!(knee, 300.0);
        assert!(tries.iter().all(|(_, rate)| *rate <= 300.0));
    }

    #[test]
    fn a_knee_that_was_luck_is_given_up() {
        let (_, tries) = find(LIMITS, 1_234.0, &[]);
        let last = u32::try_from(tries.len()).expect("few") - 1;
        let (knee, again) = find(LIMITS, 1_234.0, &[last]);
        let lucky = tries.last().expect("there were some").1;
        assert!(
            knee < lucky && knee > lucky * 0.8,
            "{knee} {lucky} {again:?}"
        );
    }
}
