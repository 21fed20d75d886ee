//! How long a DN waits after its subscription failed: longer with each failure in a row, never
//! two DNs alike.

use std::time::Duration;

use crate::jitter::Jitter;
use crate::limits::{
    BACKOFF_MAX, BACKOFF_MIN, REFUSED_RETRY_MAX, REFUSED_RETRY_MIN, RESUBSCRIBE_SPREAD,
    SUBSCRIBE_RETRY_AFTER_MAX,
};

/// Failures in a row, up to the number that makes no difference any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u8,
}

impl Backoff {
    /// Doublings from the shortest wait to beyond the longest.
    const FAILURES_MAX: u8 = 16;

    /// After a failure that may pass: half to all of a time that doubles, and not before the peer
    /// wants to hear of us again.
    pub(super) fn next(&mut self, retry_after: Option<Duration>, jitter: &mut Jitter) -> Duration {
        let whole = (BACKOFF_MIN * (1 << self.failures)).min(BACKOFF_MAX);
        self.failures = (self.failures + 1).min(Self::FAILURES_MAX);
        let own = jitter.between(whole / 2, whole);
        match retry_after {
            None => own,
            Some(asked) => own.max(after(asked, jitter)),
        }
    }

    /// After an end that asks for a new subscription at once: spread a little the first time, and
    /// as after a failure when the end comes again and again.
    pub(super) fn at_once(&mut self, jitter: &mut Jitter) -> Duration {
        if self.failures == 0 {
            self.failures = 1;
            return jitter.below(RESUBSCRIBE_SPREAD);
        }
        self.next(None, jitter)
    }

    /// After a refusal that will hardly change.
    pub(super) fn refused(retry_after: Option<Duration>, jitter: &mut Jitter) -> Duration {
        let own = jitter.between(REFUSED_RETRY_MIN, REFUSED_RETRY_MAX);
        match retry_after {
            None => own,
            Some(asked) => own.max(after(asked, jitter)),
        }
    }

    /// The subscription stood for a while.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A tenth more than asked at most, so that DNs sent away together do not return together.
fn after(asked: Duration, jitter: &mut Jitter) -> Duration {
    let asked = asked.min(SUBSCRIBE_RETRY_AFTER_MAX);
    asked + jitter.below(asked / 10 + RESUBSCRIBE_SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_differ() {
        let mut jitter = Jitter::new(1, 0);
        let mut backoff = Backoff::default();
        let mut whole = BACKOFF_MIN;
        for _ in 0..40 {
            let wait = backoff.next(None, &mut jitter);
            assert!(wait >= whole / 2 && wait < whole, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(BACKOFF_MAX);
        }
        backoff.reset();
        assert!(backoff.next(None, &mut jitter) < BACKOFF_MIN);
    }

    #[test]
    fn retry_after_is_never_undercut_and_never_believed_without_end() {
        let mut jitter = Jitter::new(1, 0);
        for asked in [1, 30, 600, 100_000_u64].map(Duration::from_secs) {
            let wait = Backoff::default().next(Some(asked), &mut jitter);
            let believed = asked.min(SUBSCRIBE_RETRY_AFTER_MAX);
            assert!(wait >= believed, "{wait:?} after {asked:?}");
            assert!(wait <= believed + believed / 10 + RESUBSCRIBE_SPREAD);
        }
    }

    #[test]
    fn at_once_is_at_once_only_the_first_time() {
        let mut jitter = Jitter::new(1, 0);
        let mut backoff = Backoff::default();
        assert!(backoff.at_once(&mut jitter) < RESUBSCRIBE_SPREAD);
        assert!(backoff.at_once(&mut jitter) >= BACKOFF_MIN);
        assert!(backoff.at_once(&mut jitter) >= BACKOFF_MIN * 2);
    }
}
