//! The moments at which a busy worker acts: to do at one time what would be due within a
//! millisecond anyway saves a wake-up for each of it.

use std::time::{Duration, Instant};

/// Moments that are equally far apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    origin: Instant,
    /// Between two of them; zero makes every moment one.
    length: Duration,
}

impl Ticks {
    pub(crate) fn new(origin: Instant, length: Duration) -> Self {
        Self { origin, length }
    }

    /// The first tick that is not before a moment.
    pub(crate) fn at_or_after(self, moment: Instant) -> Instant {
        let since = moment.saturating_duration_since(self.origin).as_nanos();
        let count = since.div_ceil(self.length.as_nanos().max(1));
        if self.length.is_zero() {
            return moment;
        }
        let nanos = u64::try_from(count * self.length.as_nanos()).unwrap_or(u64::MAX);
        let tick = self.origin.checked_add(Duration::from_nanos(nanos));
        tick.unwrap_or(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any moment will do")]
    fn moments_are_put_off_to_the_next_tick() {
        let origin = Instant::now();
        let after = |micros| origin + Duration::from_micros(micros);
        let ticks = Ticks::new(origin, Duration::from_millis(1));
        for (moment, tick) in [
            (0, 0),
            (1, 1_000),
            (999, 1_000),
            (1_000, 1_000),
            (1_001, 2_000),
        ] {
            assert_eq!(ticks.at_or_after(after(moment)), after(tick), "{moment}");
        }
        let none = Ticks::new(origin, Duration::ZERO);
        assert_eq!(none.at_or_after(after(123)), after(123));
    }
}
