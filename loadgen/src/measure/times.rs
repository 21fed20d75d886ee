//! Times of one kind. Every one is recorded, in microseconds with three significant digits, so
//! that quantiles are of what happened and histograms of several workers add up without loss.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

/// The longest time that is told apart: a day. What takes longer counts as this long, and is
/// counted ([`Times::clipped`]).
pub const LONGEST: Duration = Duration::from_secs(24 * 3_600);
const HIGHEST_US: u64 = LONGEST.as_secs() * 1_000_000;
/// Bytes of a histogram as text; a longer one is none of ours.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// Times of one kind.
#[derive(Debug, Clone)]
pub struct Times {
    histogram: Histogram<u64>,
    sum_us: f64,
    squares_us: f64,
    clipped: u64,
}

/// A text that holds no histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadHistogram;

impl std::fmt::Display for BadHistogram {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("it is no compressed HdrHistogram V2 in base64")
    }
}

impl std::error::Error for BadHistogram {}

impl Default for Times {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_US, 3);
        Self {
            histogram: histogram.expect("one microsecond to a day can be told apart"),
            sum_us: 0.0,
            squares_us: 0.0,
            clipped: 0,
        }
    }
}

impl Times {
    /// Records a time.
    pub fn record(&mut self, time: Duration) {
        let micros = time.as_secs_f64() * 1e6;
        self.sum_us += micros;
        self.squares_us += micros * micros;
        let whole = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.clipped += u64::from(whole > HIGHEST_US);
        self.histogram.saturating_record(whole.clamp(1, HIGHEST_US));
    }

    /// How many were longer than [`LONGEST`].
    #[must_use]
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The time below which this part of all lies, in microseconds.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile)
    }

    /// How many lie at or below a time, as a part of all; 1 if there are none.
    #[must_use]
    pub fn part_below(&self, time: Duration) -> f64 {
        if self.count() == 0 {
            return 1.0;
        }
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.histogram.quantile_below(micros.clamp(1, HIGHEST_US))
    }

    /// The longest, in microseconds; zero if there is none.
    #[must_use]
    pub fn max_us(&self) -> u64 {
        self.histogram.max()
    }

    /// Mean and standard deviation, in microseconds.
    #[must_use]
    pub fn mean_us(&self) -> (f64, f64) {
        mean(self.count(), self.sum_us, self.squares_us)
    }

    /// The same of what was recorded since an earlier state of these times.
    #[must_use]
    pub fn mean_us_since(&self, before: &Self) -> (f64, f64) {
        let count = self.count().saturating_sub(before.count());
        let (sum, squares) = (
            self.sum_us - before.sum_us,
            self.squares_us - before.squares_us,
        );
        mean(count, sum, squares)
    }

    /// Adds what another worker has recorded.
    pub fn merge(&mut self, other: &Self) {
        self.sum_us += other.sum_us;
        self.squares_us += other.squares_us;
        self.clipped += other.clipped;
        let added = self.histogram.add(&other.histogram);
        added.expect("all histograms have the same bounds");
    }

    /// What was recorded since an earlier state of these times.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut fresh = self.clone();
        fresh.sum_us -= before.sum_us;
        fresh.squares_us -= before.squares_us;
        fresh.clipped = fresh.clipped.saturating_sub(before.clipped);
        if fresh.histogram.subtract(&before.histogram).is_err() {
            // It is no earlier state of these: nothing can be said of the difference.
            return Self::default();
        }
        fresh
    }

    /// Quantiles for a curve: parts of all, and the time below which each lies.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, u64)> {
        if self.count() == 0 {
            return Vec::new();
        }
        let values = self.histogram.iter_quantiles(5);
        let mut points: Vec<(f64, u64)> = values
            .map(|value| (value.quantile_iterated_to(), value.value_iterated_to()))
            .collect();
        points.dedup_by_key(|point| point.1);
        points
    }

    /// The compressed HdrHistogram V2 format in base64, as other tools read it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::new();
        let written = V2DeflateSerializer::new().serialize(&self.histogram, &mut bytes);
        written.expect("a vector takes everything, and counts fit the format");
        STANDARD.encode(bytes)
    }

    /// Reads what [`Times::to_text`] wrote. The mean is then that of the histogram.
    ///
    /// # Errors
    /// [`BadHistogram`] if it is none.
    pub fn from_text(text: &str) -> Result<Self, BadHistogram> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(BadHistogram);
        }
        let bytes = STANDARD.decode(text.trim()).map_err(|_| BadHistogram)?;
        let read: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|_| BadHistogram)?;
        let mut times = Self::default();
        for value in read.iter_recorded() {
            let micros = value.value_iterated_to().clamp(1, HIGHEST_US);
            let count = value.count_at_value();
            let recorded = times.histogram.record_n(micros, count);
            recorded.map_err(|_| BadHistogram)?;
            times.sum_us += micros as f64 * count as f64;
            times.squares_us += (micros as f64).powi(2) * count as f64;
        }
        Ok(times)
    }
}

fn mean(count: u64, sum: f64, squares: f64) -> (f64, f64) {
    if count == 0 {
        return (0.0, 0.0);
    }
    let mean = sum / count as f64;
    let variance = squares / count as f64 - mean * mean;
    (mean, variance.max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(millis: impl IntoIterator<Item = u64>) -> Times {
        let mut times = Times::default();
        for millis in millis {
            times.record(Duration::from_millis(millis));
        }
        times
    }

    #[test]
    fn times_have_quantiles_mean_and_deviation() {
        let mut all = times(1..=100);
        assert_eq!((all.count(), all.quantile_us(0.5) / 1_000), (100, 50));
        assert_eq!(all.max_us() / 1_000, 100);
        let (mean, deviation) = all.mean_us();
        assert!((mean - 50_500.0).abs() < 1.0 && (deviation - 28_866.0).abs() < 1.0);
        assert!((all.part_below(Duration::from_millis(90)) - 0.9).abs() < 0.011);
        let before = all.clone();
        all.record(Duration::from_millis(7));
        assert_eq!(all.mean_us_since(&before).0.round(), 7_000.0);
        assert_eq!(all.since(&before).quantile_us(0.5) / 1_000, 7);
        assert_eq!(all.since(&before).count(), 1);
        assert_eq!(Times::default().mean_us(), (0.0, 0.0));
        assert_eq!(before.since(&all).count(), 0);
    }

    #[test]
    fn long_times_are_told_apart_and_longer_ones_counted() {
        let mut long = times([180_000, 3_600_000]);
        let hour = Duration::from_secs(3_600).as_micros() as f64;
        assert!((long.max_us() as f64 - hour).abs() < hour / 1_000.0);
        assert_eq!(long.clipped(), 0);
        long.record(LONGEST * 2);
        let before = long.clone();
        long.merge(&before);
        assert_eq!((long.clipped(), long.since(&before).clipped()), (2, 1));
        assert!(long.max_us() >= HIGHEST_US);
    }

    #[test]
    fn workers_add_up_without_loss() {
        let mut first = times(1..=50);
        first.merge(&times(51..=100));
        let whole = times(1..=100);
        assert_eq!(first.curve(), whole.curve());
        assert_eq!(first.mean_us(), whole.mean_us());
    }

    #[test]
    fn histograms_come_back_from_text() {
        let whole = times(1..=100);
        let back = Times::from_text(&whole.to_text()).expect("our own text");
        assert_eq!(back.curve(), whole.curve());
        // HISTFAAA is how every tool recognises the format.
        assert!(
            whole.to_text().starts_with("HISTFAAA"),
            "{}",
            whole.to_text()
        );
        for text in ["", "HISTFAAA", "not base64!", "AAAA"] {
            assert!(Times::from_text(text).is_err(), "{text}");
        }
    }
}
