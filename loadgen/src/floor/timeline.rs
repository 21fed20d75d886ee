//! What happened in each second of a run.

use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::measure::{Latency, Times};
use crate::population::Totals;
use crate::report::Point;

/// Seconds that are kept one by one; beyond it, every second point goes.
const POINTS_MAX: usize = 7_200;

/// What was counted at the last point.
#[derive(Debug, Default)]
struct Before {
    totals: Totals,
    resent: u64,
    routing: Latency,
    lag: Times,
    stalls: Times,
}

/// The seconds so far.
#[derive(Debug)]
pub(super) struct Timeline {
    points: Vec<Point>,
    started: Instant,
    at: Instant,
    before: Before,
    stride: usize,
    readings: usize,
}

impl Timeline {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            points: Vec::new(),
            started,
            at: started,
            before: Before::default(),
            stride: 1,
            readings: 0,
        }
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// Takes a reading, with the rate that was planned.
    pub(super) fn take(&mut self, now: Instant, target: f64, stage: &Stage) {
        self.readings += 1;
        let span = now.saturating_duration_since(self.at);
        if !self.readings.is_multiple_of(self.stride) || span < Duration::from_millis(10) {
            return;
        }
        let mut after = Before {
            totals: stage.totals(),
            routing: stage.routing.clone(),
            lag: stage.lag.clone(),
            ..Before::default()
        };
        let mut live = 0;
        for standing in stage.standings() {
            after.resent += standing.wire.resent;
            after.stalls.merge(&standing.stalls);
            live += standing.live as u64;
        }
        let before = std::mem::replace(&mut self.before, after);
        self.points
            .push(self.point(now, span, target, live, &before));
        self.at = now;
        if self.points.len() >= POINTS_MAX {
            let mut place = 0;
            self.points.retain(|_| {
                place += 1;
                place % 2 == 0
            });
            self.stride *= 2;
        }
    }

    fn point(
        &self,
        now: Instant,
        span: Duration,
        target: f64,
        live: u64,
        before: &Before,
    ) -> Point {
        let after = &self.before;
        let seconds = span.as_secs_f64();
        let per_second = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
        let (totals, earlier) = (after.totals, before.totals);
        let routing = after.routing.since(&before.routing);
        let failed = |totals: Totals| totals.refused + totals.lost;
        Point {
            second: now.saturating_duration_since(self.started).as_secs_f64(),
            target,
            offered: per_second(totals.offered, earlier.offered),
            created: per_second(totals.offered, earlier.offered),
            successful: per_second(totals.answered, earlier.answered),
            failed: per_second(failed(totals), failed(earlier)),
            live,
            resent: per_second(after.resent, before.resent),
            measured: routing.response.count(),
            p50_us: routing.response.quantile_us(0.5),
            p99_us: routing.response.quantile_us(0.99),
            max_us: routing.response.max_us(),
            service_p99_us: routing.service.quantile_us(0.99),
            lag_p99_us: after.lag.since(&before.lag).quantile_us(0.99),
            stall_max_us: after.stalls.since(&before.stalls).max_us(),
        }
    }
}
