//! The generator's clock, and latencies in microseconds.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The longest latency that is told apart: two minutes.
const HIGHEST_US: u64 = 120_000_000;

/// The present moment.
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A distribution of latencies: every one is recorded, none is averaged away.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_US, 3);
        Self(histogram.expect("one microsecond to two minutes with three digits can be had"))
    }
}

impl Latencies {
    /// Records one.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.clamp(1, HIGHEST_US));
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency below which this part of all lies, in microseconds.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// The longest, in microseconds.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        if self.count() == 0 {
            return "none".to_owned();
        }
        let milliseconds =
            |micros: u64| format!("{:.2}", Duration::from_micros(micros).as_secs_f64() * 1e3);
        format!(
            "p50 {} ms, p99 {} ms, max {} ms ({})",
            milliseconds(self.quantile(0.5)),
            milliseconds(self.quantile(0.99)),
            milliseconds(self.max()),
            self.count(),
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "count": self.count(),
            "p50": self.quantile(0.5),
            "p99": self.quantile(0.99),
            "max": self.max(),
        })
    }
}

/// UDP datagrams that the kernel has dropped for want of buffer since it started, on the whole
/// machine; `None` where it does not tell.
pub(crate) fn receive_buffer_errors() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/net/snmp").ok()?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let column = names.split(' ').position(|name| name == "RcvbufErrors")?;
    values.split(' ').nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_recorded() {
        let mut latencies = Latencies::default();
        for micros in 1..=1_000 {
            latencies.record(Duration::from_micros(micros));
        }
        latencies.record(Duration::from_secs(3_600));
        assert_eq!((latencies.count(), latencies.quantile(0.5)), (1_001, 501));
        assert!(latencies.max() >= HIGHEST_US);
        assert_eq!(Latencies::default().json()["max"], 0);
    }
}
