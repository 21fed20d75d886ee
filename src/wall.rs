//! Wall time as a value. Machines count in `Instant`s, which say how much time passes but not what
//! time it is; where a calendar or a day matters, one pair of both comes in from outside.

use std::time::{Duration, Instant};

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wall {
    /// The moment,
    pub at: Instant,
    /// and what time it was, counted from the beginning of 1970 in UTC.
    pub since_epoch: Duration,
}

impl Wall {
    /// As if 1970 began at this moment: for those who do not care what time it is.
    #[must_use]
    pub fn since_1970(at: Instant) -> Self {
        Self {
            at,
            since_epoch: Duration::ZERO,
        }
    }

    /// The moment at which it is, or was, that time. Where the clock of the moments does not reach
    /// back so far, the earliest one is not later than ours.
    #[must_use]
    pub fn at_time(&self, since_epoch: Duration) -> Instant {
        match since_epoch.checked_sub(self.since_epoch) {
            Some(later) => self.at.checked_add(later).unwrap_or(self.at),
            None => self
                .at
                .checked_sub(self.since_epoch - since_epoch)
                .unwrap_or(self.at),
        }
    }

    /// What time it is at another moment.
    #[must_use]
    pub fn time_at(&self, at: Instant) -> Duration {
        match at.checked_duration_since(self.at) {
            Some(later) => self.since_epoch + later,
            None => self.since_epoch.saturating_sub(self.at - at),
        }
    }
}
