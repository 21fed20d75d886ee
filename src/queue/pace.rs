//! How fast a queue moves: the time between two answered callers, smoothed, while anybody is in
//! the queue. From it and a caller's place comes the wait that it may expect. It decides nothing.

use std::time::{Duration, Instant};

/// One new interval counts for so much: one in eight.
const WEIGHT: u32 = 8;

/// Where a caller stands in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its place: 1 is next.
    pub position: u32,
    /// How long it may expect to wait from now on; `None` before anything was measured.
    pub estimated_wait: Option<Duration>,
}

/// How fast a queue moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// The last answer, or when the queue ceased to be empty; `None` while it is empty.
    since: Option<Instant>,
    /// The smoothed time between two answers.
    mean: Option<Duration>,
}

impl Pace {
    /// Whether anybody is in the queue. A queue without callers measures nothing.
    pub(super) fn note(&mut self, now: Instant, is_empty: bool) {
        self.since = if is_empty {
            None
        } else {
            Some(self.since.unwrap_or(now))
        };
    }

    /// A caller was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        let Some(since) = self.since.replace(now) else {
            return;
        };
        let interval = now.saturating_duration_since(since);
        self.mean = Some(match self.mean {
            None => interval,
            Some(mean) => (mean * (WEIGHT - 1) + interval) / WEIGHT,
        });
    }

    /// What a caller at this place may expect: its place times the mean interval, or times the one
    /// that is going on, where that is longer already.
    pub(super) fn standing(&self, now: Instant, before: usize) -> Standing {
        let position = u32::try_from(before + 1).unwrap_or(u32::MAX);
        let running = self.since.map(|since| now.saturating_duration_since(since));
        let interval = self.mean.map(|mean| mean.max(running.unwrap_or_default()));
        Standing {
            position,
            estimated_wait: interval.map(|interval| interval.saturating_mul(position)),
        }
    }
}

#[cfg(test)]
mod tests;
