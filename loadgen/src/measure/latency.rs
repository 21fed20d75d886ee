//! A latency, measured twice. What a caller waits counts from the moment at which something should
//! have been sent; what the server takes, from the moment at which it was. A generator that is held
//! up shows a difference between the two; one that kept only the second would hide it.

use std::time::Duration;

use super::times::Times;

/// One latency.
#[derive(Debug, Clone, Default)]
pub struct Latency {
    /// From the real sending.
    pub service: Times,
    /// From the intended sending.
    pub response: Times,
}

impl Latency {
    /// Records a time from the intended moment, of which the generator was `behind` itself.
    pub fn record(&mut self, response: Duration, behind: Duration) {
        self.service.record(response.saturating_sub(behind));
        self.response.record(response);
    }

    /// Adds what another worker has recorded.
    pub fn merge(&mut self, other: &Self) {
        self.service.merge(&other.service);
        self.response.merge(&other.response);
    }

    /// What was recorded since an earlier state.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            service: self.service.since(&before.service),
            response: self.response.since(&before.response),
        }
    }

    /// Whether the two differ so much, at the 99th percentile, that the generator's own lateness
    /// must be part of how the result is read.
    #[must_use]
    pub fn diverges(&self) -> bool {
        /// Of the service time; and a difference of less than a millisecond says nothing.
        const PART_MAX: f64 = 0.1;
        const LEAST_US: u64 = 1_000;
        let (service, response) = (
            self.service.quantile_us(0.99),
            self.response.quantile_us(0.99),
        );
        let difference = response.saturating_sub(service);
        difference >= LEAST_US && difference as f64 > service as f64 * PART_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_of_the_generator_is_only_in_the_response_time() {
        let mut latency = Latency::default();
        let ten = Duration::from_millis(10);
        latency.record(ten, Duration::ZERO);
        assert!(!latency.diverges());
        latency.record(ten * 5, ten * 4);
        assert_eq!(latency.service.max_us() / 1_000, 10);
        assert_eq!(latency.response.max_us() / 1_000, 50);
        assert!(latency.diverges());
    }
}
