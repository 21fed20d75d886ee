//! What happened in each second of a run: the difference between what was counted before and
//! after it.

use std::time::{Duration, Instant};

use super::super::statistics::Statistics;
use crate::report::Point;

/// Seconds that are kept one by one; beyond it, every second point goes.
const POINTS_MAX: usize = 7_200;

/// The seconds so far.
#[derive(Debug)]
pub(super) struct Timeline {
    points: Vec<Point>,
    before: Statistics,
    before_at: Instant,
    started: Instant,
    /// Readings between two points that are kept.
    stride: usize,
    readings: usize,
}

impl Timeline {
    pub(super) fn new(started: Instant, nothing: Statistics) -> Self {
        Self {
            points: Vec::new(),
            before: nothing,
            before_at: started,
            started,
            stride: 1,
            readings: 0,
        }
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// Takes a reading; whether it became a point.
    pub(super) fn take(&mut self, now: Instant, statistics: &Statistics, rate: f64) -> bool {
        self.readings += 1;
        if !self.readings.is_multiple_of(self.stride) {
            return false;
        }
        let span = now.saturating_duration_since(self.before_at);
        if span < Duration::from_millis(1) {
            return false;
        }
        let point = self.point(now, span, statistics, rate);
        self.points.push(point);
        self.before = statistics.clone();
        self.before_at = now;
        if self.points.len() >= POINTS_MAX {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            self.stride *= 2;
        }
        true
    }

    fn point(&self, now: Instant, span: Duration, after: &Statistics, rate: f64) -> Point {
        let before = &self.before;
        let seconds = span.as_secs_f64();
        let per_second = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
        let first = after
            .response_times
            .first()
            .zip(before.response_times.first());
        let latency = first.map(|(after, before)| after.latency.since(&before.latency));
        let latency = latency.unwrap_or_default();
        let lag = after.lag.since(&before.lag);
        let stalls = after.stalls.since(&before.stalls);
        Point {
            second: now.saturating_duration_since(self.started).as_secs_f64(),
            target: rate,
            offered: per_second(
                after.outgoing + after.limited,
                before.outgoing + before.limited,
            ),
            created: per_second(after.created(), before.created()),
            successful: per_second(after.successful, before.successful),
            failed: per_second(after.failed(), before.failed()),
            live: after.current,
            resent: per_second(after.resent, before.resent),
            measured: latency.response.count(),
            p50_us: latency.response.quantile_us(0.5),
            p99_us: latency.response.quantile_us(0.99),
            max_us: latency.response.max_us(),
            service_p99_us: latency.service.quantile_us(0.99),
            lag_p99_us: lag.quantile_us(0.99),
            stall_max_us: stalls.max_us(),
        }
    }
}
