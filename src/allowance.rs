//! How much somebody may ask: so much at once, and then so much a second. Whoever floods hurts
//! nobody but itself.

use std::time::{Duration, Instant};

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once, by who has not asked for a while.
    pub at_once: u32,
    /// And then in every second, at least one.
    pub per_second: u32,
}

/// What is left of it.
#[derive(Debug, Default)]
pub struct Allowance {
    used: u32,
    /// Up to when it was refilled; nothing before the first request.
    refilled: Option<Instant>,
}

impl Allowance {
    /// Whether one more request may be made, which is not counted yet.
    pub fn has_room(&mut self, now: Instant, rate: Rate) -> bool {
        self.refill(now, rate);
        self.used < rate.at_once
    }

    /// Whether one more request may be made; it is counted if so.
    pub fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let is_allowed = self.has_room(now, rate);
        self.used += u32::from(is_allowed);
        is_allowed
    }

    /// Whether nothing of it is used, so that it need not be kept.
    pub fn is_whole(&mut self, now: Instant, rate: Rate) -> bool {
        self.refill(now, rate);
        self.used == 0
    }

    fn refill(&mut self, now: Instant, rate: Rate) {
        let one = Duration::from_secs(1) / rate.per_second.max(1);
        let refilled = self.refilled.get_or_insert(now);
        let passed = now.saturating_duration_since(*refilled);
        let more = passed.as_nanos() / one.as_nanos().max(1);
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if more >= self.used {
            self.used = 0;
            *refilled = now;
        } else {
            self.used -= more;
            *refilled += one * more;
        }
    }
}

#[cfg(test)]
mod tests {
    use offhook_shards::clock::Clock;

    use super::*;

    #[test]
    fn somebody_may_ask_a_burst_and_then_at_its_rate() {
        let rate = Rate {
            at_once: 500,
            per_second: 100,
        };
        let mut allowance = Allowance::default();
        let start = Clock.now();
        let allowed = |allowance: &mut Allowance, at: u64| {
            let now = start + Duration::from_millis(at);
            let mut tries = 0..10_000_u32;
            tries.position(|_| !allowance.take(now, rate)).unwrap() as u32
        };
        assert!(allowance.is_whole(start, rate));
        assert_eq!(allowed(&mut allowance, 0), 500);
        assert_eq!(allowed(&mut allowance, 1_000), 100);
        assert_eq!(allowed(&mut allowance, 1_001), 0);
        assert_eq!(allowed(&mut allowance, 1_100), 10);
        assert!(!allowance.is_whole(start + Duration::from_secs(4), rate));
        assert_eq!(allowed(&mut allowance, 3_600_000), 500);
    }
}
