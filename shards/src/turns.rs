//! How long the turns of a loop take that had work: counts by powers of two of a microsecond, and
//! the longest. Written by the shard's thread, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limits::TURN_TIMES;

/// One shard's turns.
#[derive(Debug)]
pub struct TurnTimes {
    /// The first are below one microsecond, each next one below twice as much; the last are all
    /// longer ones.
    counts: [AtomicU64; TURN_TIMES],
    total_ns: AtomicU64,
    longest_ns: AtomicU64,
}

impl TurnTimes {
    pub(crate) fn new() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            total_ns: AtomicU64::new(0),
            longest_ns: AtomicU64::new(0),
        }
    }

    /// Adds a turn without a locked instruction: only the shard's own thread may call it.
    pub(crate) fn add(&self, turn: Duration) {
        let bits = u128::BITS - turn.as_micros().leading_zeros();
        let count = &self.counts[(bits as usize).min(TURN_TIMES - 1)];
        count.store(
            count.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
        let turn_ns = u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX);
        let total = self.total_ns.load(Ordering::Relaxed);
        self.total_ns
            .store(total.wrapping_add(turn_ns), Ordering::Relaxed);
        if turn_ns > self.longest_ns.load(Ordering::Relaxed) {
            self.longest_ns.store(turn_ns, Ordering::Relaxed);
        }
    }

    /// How many turns were shorter than which time; of the last, longer ones, there is no time.
    pub fn counts(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        self.counts.iter().enumerate().map(|(bits, count)| {
            let below = (bits + 1 < TURN_TIMES).then(|| Duration::from_micros(1 << bits));
            (below, count.load(Ordering::Relaxed))
        })
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.total_ns.load(Ordering::Relaxed))
    }

    /// The longest one.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest_ns.load(Ordering::Relaxed))
    }

    /// A time that so many of a hundred turns did not take longer than, at most twice too long.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Duration {
        let all: u64 = self.counts().map(|(_, count)| count).sum();
        let wanted = (all * percent).div_ceil(100);
        let mut seen = 0;
        let longest = self.longest();
        for (below, count) in self.counts() {
            seen += count;
            if seen >= wanted {
                return below.map_or(longest, |below| below.min(longest));
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_at_most_twice_too_long() {
        let times = TurnTimes::new();
        assert_eq!(times.percentile(99), Duration::ZERO);
        for micros in 1..=100 {
            times.add(Duration::from_micros(micros));
        }
        assert_eq!(times.percentile(50), Duration::from_micros(64));
        assert_eq!(times.percentile(99), Duration::from_micros(100));
        assert_eq!(times.longest(), Duration::from_micros(100));
        assert_eq!(times.total(), Duration::from_micros(5_050));
        times.add(Duration::from_secs(3_600));
        assert_eq!(times.percentile(100), Duration::from_secs(3_600));
        assert_eq!(times.counts().map(|(_, count)| count).sum::<u64>(), 101);
    }
}
