//! How a rate changes with time: stretches in which it goes evenly from one value to another, and
//! what holds after the last one.

use std::time::Duration;

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// How long it is.
    pub length: Duration,
    /// Arrivals a second at its beginning.
    pub from: f64,
    /// Arrivals a second at its end.
    pub to: f64,
}

impl Segment {
    /// A stretch in which the rate does not change.
    #[must_use]
    pub fn hold(rate: f64, length: Duration) -> Self {
        Self {
            length,
            from: rate,
            to: rate,
        }
    }

    /// The rate after some seconds in it.
    pub(super) fn rate_after(&self, seconds: f64) -> f64 {
        let whole = self.length.as_secs_f64();
        if whole <= 0.0 {
            return self.to;
        }
        self.from + (self.to - self.from) * (seconds / whole).clamp(0.0, 1.0)
    }

    /// How many arrivals it has on average.
    fn expected(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.length.as_secs_f64()
    }

    /// Seconds from `at` until this many more arrivals were due; `Err` says how many of them are
    /// still missing at the segment's end.
    pub(super) fn seconds_until(&self, at: f64, arrivals: f64) -> Result<f64, f64> {
        let whole = self.length.as_secs_f64();
        let left = (whole - at).max(0.0);
        let rate = self.rate_after(at);
        let due = (rate + self.to) / 2.0 * left;
        // What is due at the very end is the next stretch's, however the sum was rounded.
        const ROUNDING: f64 = 1e-9;
        if arrivals > due - ROUNDING || left <= 0.0 || (rate <= 0.0 && self.to <= 0.0) {
            return Err((arrivals - due).max(0.0));
        }
        let slope = (self.to - self.from) / whole;
        let root = (rate * rate + 2.0 * slope * arrivals).max(0.0).sqrt();
        let seconds = if arrivals > 0.0 {
            2.0 * arrivals / (rate + root)
        } else {
            0.0
        };
        Ok(seconds.min(left))
    }
}

/// How a rate changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    segments: Vec<Segment>,
    /// Arrivals a second after the last segment; without it, nothing arrives any more.
    after: Option<f64>,
}

impl Shape {
    /// These stretches, one after the other, and then nothing.
    #[must_use]
    pub fn new(segments: Vec<Segment>) -> Self {
        Self {
            segments,
            after: None,
        }
    }

    /// The same rate for ever.
    #[must_use]
    pub fn constant(rate: f64) -> Self {
        Self::new(Vec::new()).and_then(rate)
    }

    /// From one rate to another, and then the latter for ever.
    #[must_use]
    pub fn ramp(from: f64, to: f64, length: Duration) -> Self {
        Self::new(vec![Segment { length, from, to }]).and_then(to)
    }

    /// These rates, each for `length`.
    #[must_use]
    pub fn steps(rates: &[f64], length: Duration) -> Self {
        Self::new(
            rates
                .iter()
                .map(|rate| Segment::hold(*rate, length))
                .collect(),
        )
    }

    /// A rate for `calm`, another one for `burst`, and the first again for `calm`.
    #[must_use]
    pub fn spike(base: f64, peak: f64, calm: Duration, burst: Duration) -> Self {
        Self::new(vec![
            Segment::hold(base, calm),
            Segment::hold(peak, burst),
            Segment::hold(base, calm),
        ])
    }

    /// With this rate for ever after the last stretch.
    #[must_use]
    pub fn and_then(mut self, rate: f64) -> Self {
        self.after = Some(rate.max(0.0));
        self
    }

    /// Multiplies all rates, so that a plan can be written for another period than a second.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        for segment in &mut self.segments {
            segment.from *= factor;
            segment.to *= factor;
        }
        self.after = self.after.map(|rate| rate * factor);
        self
    }

    /// A stretch by its place.
    pub(super) fn segment(&self, index: usize) -> Option<&Segment> {
        self.segments.get(index)
    }

    /// The rate after all stretches.
    pub(super) fn after(&self) -> Option<f64> {
        self.after
    }

    /// How long all stretches are; `None` if the last rate holds for ever.
    #[must_use]
    pub fn length(&self) -> Option<Duration> {
        let total = self.segments.iter().map(|segment| segment.length).sum();
        self.after.is_none().then_some(total)
    }

    /// How many arrivals there are on average; `None` if they never end.
    #[must_use]
    pub fn expected(&self) -> Option<f64> {
        let total = self.segments.iter().map(Segment::expected).sum();
        self.after.is_none().then_some(total)
    }

    /// Arrivals a second at a moment after the beginning; zero after the end.
    #[must_use]
    pub fn rate_at(&self, since: Duration) -> f64 {
        let mut rest = since;
        for segment in &self.segments {
            if rest < segment.length {
                return segment.rate_after(rest.as_secs_f64());
            }
            rest -= segment.length;
        }
        self.after.unwrap_or(0.0)
    }

    /// The highest rate.
    #[must_use]
    pub fn highest(&self) -> f64 {
        let rates = self
            .segments
            .iter()
            .flat_map(|segment| [segment.from, segment.to]);
        rates.chain(self.after).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_each_moment_is_known() {
        let shape = Shape::ramp(0.0, 100.0, Duration::from_secs(10));
        for (seconds, rate) in [(0, 0.0), (5, 50.0), (10, 100.0), (99, 100.0)] {
            assert_eq!(shape.rate_at(Duration::from_secs(seconds)), rate);
        }
        let spike = Shape::spike(1.0, 9.0, Duration::from_secs(2), Duration::from_secs(1));
        let rates: Vec<f64> = (0..6)
            .map(|at| spike.rate_at(Duration::from_secs(at)))
            .collect();
        assert_eq!(rates, [1.0, 1.0, 9.0, 1.0, 1.0, 0.0]);
        assert_eq!(spike.expected(), Some(13.0));
        assert_eq!(spike.length(), Some(Duration::from_secs(5)));
        assert_eq!(spike.highest(), 9.0);
        assert_eq!(Shape::constant(3.0).expected(), None);
    }
}
