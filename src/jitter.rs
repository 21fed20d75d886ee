//! Spreads moments in time, so that many things due together do not happen together. It draws
//! from a seed, repeats with it, and is fast; it hides nothing, so identifiers that must not be
//! guessed come from elsewhere.

use std::time::Duration;

/// A seeded stream of durations (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Jitter {
    state: u64,
}

impl Jitter {
    /// Two users of one seed take different `stream` numbers.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut jitter = Self {
            state: seed ^ stream.rotate_left(32),
        };
        // One step apart, streams with neighbouring numbers share nothing any more.
        jitter.state = jitter.number();
        jitter
    }

    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero up to, but not including, `bound`; zero when that is zero.
    pub(crate) fn below(&mut self, bound: Duration) -> Duration {
        let bound = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.number_below(bound))
    }

    /// From zero up to, but not including, `bound`; zero when that is zero.
    pub(crate) fn number_below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.number()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("a fraction of 64 bits has 64 bits")
    }

    /// From `low` up to `high`.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + self.below(high.saturating_sub(low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_repeats_and_another_stream_does_not() {
        let take = |seed, stream| {
            let mut jitter = Jitter::new(seed, stream);
            std::array::from_fn::<Duration, 8, _>(|_| jitter.below(Duration::from_secs(3_600)))
        };
        assert_eq!(take(1, 0), take(1, 0));
        assert_ne!(take(1, 0), take(1, 1));
        assert_ne!(take(1, 0), take(2, 0));
    }

    #[test]
    fn draws_stay_within_bounds_and_fill_them() {
        let mut jitter = Jitter::new(7, 0);
        let (low, high) = (Duration::from_secs(8), Duration::from_secs(9));
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let drawn = jitter.between(low, high);
            assert!(drawn >= low && drawn < high, "{drawn:?}");
            tenths[(drawn - low).as_millis() as usize / 100] += 1;
        }
        assert!(tenths.iter().all(|&count| count > 800), "{tenths:?}");
        assert_eq!(jitter.below(Duration::ZERO), Duration::ZERO);
        assert_eq!(jitter.between(high, low), high);
    }
}
