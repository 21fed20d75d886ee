//! How much somebody may ask: so much at once, and then so much a second. Whoever floods hurts
//! nobody but itself.

use std::time::{Duration, Instant};

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once, by who has not asked for a while.
    at_once: u32,
    /// And then once in such a time.
    interval_ns: u64,
}

impl Rate {
    /// So much at once, and then so much in so many seconds, both at least one.
    #[must_use]
    pub const fn new(at_once: u32, count: u32, seconds: u16) -> Self {
        let count = if count == 0 { 1 } else { count };
        let seconds = if seconds == 0 { 1 } else { seconds };
        Self {
            at_once,
            interval_ns: 1_000_000_000 * seconds as u64 / count as u64,
        }
    }
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
        let one = Duration::from_nanos(rate.interval_ns.max(1));
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
    fn a_rate_may_be_slower_than_one_a_second() {
        let rate = Rate::new(1, 1, 8);
        let mut allowance = Allowance::default();
        let start = Clock.now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let allowed = [0, 7, 8, 15, 16].map(|seconds| allowance.take(at(seconds), rate));
        assert_eq!(allowed, [true, false, true, false, true]);
    }

    #[test]
    fn somebody_may_ask_a_burst_and_then_at_its_rate() {
        let rate = Rate::new(500, 100, 1);
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
