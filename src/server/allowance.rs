//! How much a client may ask: so much at once, and then so much a second. Whoever floods hurts
//! nobody but itself.

use std::time::{Duration, Instant};

use crate::limits::{CTI_REQUESTS_AT_ONCE_MAX, CTI_REQUESTS_PER_SECOND_MAX};

/// What is left of what a client may ask.
#[derive(Debug)]
pub struct Allowance {
    left: u32,
    /// Up to when it was refilled; nothing before the first request.
    refilled: Option<Instant>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            left: CTI_REQUESTS_AT_ONCE_MAX,
            refilled: None,
        }
    }
}

impl Allowance {
    /// Whether one more request may be made.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let one = Duration::from_secs(1) / CTI_REQUESTS_PER_SECOND_MAX;
        let refilled = self.refilled.get_or_insert(now);
        let passed = now.saturating_duration_since(*refilled);
        let more = passed.as_nanos() / one.as_nanos();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let room = CTI_REQUESTS_AT_ONCE_MAX - self.left;
        if more >= room {
            self.left = CTI_REQUESTS_AT_ONCE_MAX;
            *refilled = now;
        } else {
            self.left += more;
            *refilled += one * more;
        }
        let is_allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_ask_a_burst_and_then_at_its_rate() {
        let mut allowance = Allowance::default();
        let start = Instant::now();
        let allowed = |allowance: &mut Allowance, at: u64| {
            let now = start + Duration::from_millis(at);
            let mut tries = 0..10_000_u32;
            tries.position(|_| !allowance.take(now)).unwrap() as u32
        };
        assert_eq!(allowed(&mut allowance, 0), CTI_REQUESTS_AT_ONCE_MAX);
        assert_eq!(allowed(&mut allowance, 1_000), CTI_REQUESTS_PER_SECOND_MAX);
        assert_eq!(allowed(&mut allowance, 1_001), 0);
        let tenth = CTI_REQUESTS_PER_SECOND_MAX / 10;
        assert_eq!(allowed(&mut allowance, 1_100), tenth);
        assert_eq!(allowed(&mut allowance, 3_600_000), CTI_REQUESTS_AT_ONCE_MAX);
    }
}
