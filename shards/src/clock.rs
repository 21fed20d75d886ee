//! The one place of this package that reads the clock. The loop reads it once a turn; everything
//! else is told.

use std::time::{Instant, SystemTime};

/// Monotonic time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl Clock {
    /// The present moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    pub fn now(self) -> Instant {
        Instant::now()
    }

    /// The present moment by the wall clock: what the kernel's stamps are compared with.
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    pub(crate) fn wall(self) -> SystemTime {
        SystemTime::now()
    }
}
