//! Chance from a seed: the same seed gives the same population. Nothing here is secret.

use std::time::Duration;

use crate::scenario::distribution::Distribution;

/// A stretch of time from which a length is drawn: each as likely as any other, or as a
/// distribution says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The shortest.
    pub low: Duration,
    /// The longest.
    pub high: Duration,
    /// Seconds; what lies outside counts as the nearest length that does not.
    drawn: Option<Distribution>,
}

impl Span {
    /// From `low` to `high` milliseconds.
    #[must_use]
    pub const fn milliseconds(low: u64, high: u64) -> Self {
        Self::between(Duration::from_millis(low), Duration::from_millis(high))
    }

    /// From `low` to `high`.
    #[must_use]
    pub const fn between(low: Duration, high: Duration) -> Self {
        Self {
            low,
            high,
            drawn: None,
        }
    }

    /// As a distribution of seconds says, within `low` and `high`.
    pub(crate) const fn drawn(distribution: Distribution, low: Duration, high: Duration) -> Self {
        Self {
            low,
            high,
            drawn: Some(distribution),
        }
    }

    /// Always the same length.
    #[must_use]
    pub const fn exactly(length: Duration) -> Self {
        Self::between(length, length)
    }

    /// The mean or something near it.
    #[must_use]
    pub fn middle(self) -> Duration {
        let middle = |distribution: Distribution| {
            Duration::try_from_secs_f64(distribution.middle()).unwrap_or(self.high)
        };
        match self.drawn {
            Some(distribution) => middle(distribution).clamp(self.low, self.high),
            None => self.low + (self.high - self.low.min(self.high)) / 2,
        }
    }
}

/// A seeded stream of numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A stream; each user of a seed takes another `stream` number.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.rotate_left(40));
        random.0 = random.number() ^ stream;
        random
    }

    /// The next number, of 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero when that is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.number()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("a fraction of 64 bits has 64 bits")
    }

    /// From zero up to, but not including, one.
    pub fn fraction(&mut self) -> f64 {
        const STEPS: f64 = (1_u64 << 53) as f64;
        (self.number() >> 11) as f64 / STEPS
    }

    /// Whether something happens that happens `probability` of the times.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A length within a span.
    pub fn within(&mut self, span: Span) -> Duration {
        if let Some(distribution) = span.drawn {
            let seconds = distribution.sample(self);
            let length = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(span.high);
            return length.clamp(span.low, span.high.max(span.low));
        }
        let width = span.high.saturating_sub(span.low);
        let width = u64::try_from(width.as_micros()).unwrap_or(u64::MAX);
        span.low + Duration::from_micros(self.below(width.saturating_add(1)))
    }

    /// The time to the next of events that happen independently, `mean` apart (exponential).
    pub fn gap(&mut self, mean: Duration) -> Duration {
        let stretch = -(1.0 - self.fraction()).ln();
        mean.mul_f64(stretch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_streams_differ() {
        let take = |seed, stream| {
            let mut random = Random::new(seed, stream);
            std::array::from_fn::<u64, 6, _>(|_| random.number())
        };
        assert_eq!(take(1, 2), take(1, 2));
        assert_ne!(take(1, 2), take(1, 3));
        assert_ne!(take(1, 2), take(2, 2));
    }

    #[test]
    fn spans_are_filled_and_gaps_have_their_mean() {
        let mut random = Random::new(5, 0);
        let span = Span::milliseconds(10, 20);
        let drawn: Vec<Duration> = (0..5_000).map(|_| random.within(span)).collect();
        assert!(
            drawn
                .iter()
                .all(|length| *length >= span.low && *length <= span.high)
        );
        assert!(
            drawn
                .iter()
                .any(|length| *length < Duration::from_millis(11))
        );
        assert!(
            drawn
                .iter()
                .any(|length| *length > Duration::from_millis(19))
        );
        let total: Duration = (0..20_000)
            .map(|_| random.gap(Duration::from_millis(100)))
            .sum();
        let mean = total / 20_000;
        assert!(
            mean > Duration::from_millis(95) && mean < Duration::from_millis(105),
            "{mean:?}"
        );
        assert_eq!(random.within(Span::exactly(span.low)), span.low);
    }
}
