//! When calls are opened: at times known in advance, which a slow peer does not move. What is
//! opened late is opened all the same, and its lateness is known.

use std::time::{Duration, Instant};

use super::super::settings::{Growth, Load};
use super::super::ticks::Ticks;
use crate::load::{Arrival, Arrivals, Plan, Segment, Shape, Spacing};

/// Growths of a rate that is given no highest value.
const GROWTHS_MAX: usize = 10_000;

/// Which arrivals of the plan are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) worker: u64,
    pub(super) workers: u64,
    pub(super) seed: u64,
}

/// The plan that holds now, and how far it was carried out.
#[derive(Debug)]
pub(super) struct Schedule {
    origin: Instant,
    arrivals: Arrivals,
    next: Option<Arrival>,
    spacing: Spacing,
    period: Duration,
    share: Share,
    /// How often the rate was changed by hand; each plan has chance of its own.
    changes: u64,
    /// Whether the plan may come to its end.
    has_end: bool,
    /// The rate that was set by hand.
    fixed: Option<f64>,
    /// When calls can be opened.
    ticks: Ticks,
    /// Since when the plan waits.
    paused: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(now: Instant, load: &Load, share: Share, ticks: Ticks) -> Self {
        let plan = plan(load);
        let has_end = match &plan {
            Plan::Shaped { shape, .. } => shape.length().is_some(),
            Plan::Listed(_) => true,
        };
        let mut arrivals = Arrivals::new(&plan, share.seed).share(share.worker, share.workers);
        Self {
            origin: now,
            next: arrivals.next(),
            arrivals,
            spacing: load.spacing,
            period: load.period,
            share,
            changes: 0,
            has_end,
            fixed: None,
            ticks,
            paused: None,
        }
    }

    /// Calls a period, of all workers.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        self.calls_per_second(now) * self.period.as_secs_f64()
    }

    pub(super) fn calls_per_second(&self, now: Instant) -> f64 {
        let since = self
            .paused
            .unwrap_or(now)
            .saturating_duration_since(self.origin);
        self.fixed.unwrap_or_else(|| self.arrivals.rate_at(since))
    }

    /// When the next call is to be opened.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.paused.is_some() {
            return None;
        }
        let moment = self.origin.checked_add(self.next?.at)?;
        Some(self.ticks.at_or_after(moment))
    }

    /// Takes an arrival that is due, and says when it was intended.
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        let next = self.next().filter(|next| *next <= now)?;
        self.next = self.arrivals.next();
        Some(next)
    }

    /// The plan waits from now on.
    pub(super) fn pause(&mut self, now: Instant) {
        self.paused.get_or_insert(now);
    }

    /// The plan goes on where it was; what it has left comes so much later.
    pub(super) fn go_on(&mut self, now: Instant) {
        if let Some(since) = self.paused.take() {
            self.origin += now.saturating_duration_since(since);
        }
    }

    pub(super) fn set_rate(&mut self, now: Instant, rate: f64) {
        self.paused = None;
        self.changes += 1;
        let rate = rate.max(0.0) / self.period.as_secs_f64();
        let plan = Plan::constant(rate, self.spacing);
        let Share {
            worker,
            workers,
            seed,
        } = self.share;
        self.arrivals = Arrivals::new(&plan, seed ^ self.changes).share(worker, workers);
        self.next = self.arrivals.next();
        self.origin = now;
        self.has_end = false;
        self.fixed = Some(rate);
    }

    /// Whether nothing arrives any more.
    pub(super) fn is_over(&self) -> bool {
        self.has_end && self.next.is_none()
    }
}

/// What the options say, as one plan.
fn plan(load: &Load) -> Plan {
    if let Some(plan) = &load.plan {
        return match plan {
            Plan::Shaped { shape, spacing } => Plan::Shaped {
                shape: shape.clone().times(1.0 / load.period.as_secs_f64()),
                spacing: *spacing,
            },
            Plan::Listed(moments) => Plan::Listed(std::sync::Arc::clone(moments)),
        };
    }
    let shape = match &load.growth {
        Some(growth) => growing(load.rate, growth),
        None => Shape::constant(load.rate),
    };
    Plan::Shaped {
        shape: shape.times(1.0 / load.period.as_secs_f64()),
        spacing: load.spacing,
    }
}

fn growing(first: f64, growth: &Growth) -> Shape {
    let highest = growth.rate_max.unwrap_or(f64::INFINITY);
    let mut segments = Vec::new();
    let mut rate = first.min(highest);
    while rate < highest && growth.step > 0.0 && segments.len() < GROWTHS_MAX {
        segments.push(Segment::hold(rate, growth.interval));
        rate = (rate + growth.step).min(highest);
    }
    if growth.ends && growth.rate_max.is_some() {
        segments.push(Segment::hold(rate, growth.interval));
        return Shape::new(segments);
    }
    Shape::new(segments).and_then(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load {
            rate: 10.0,
            period: Duration::from_secs(1),
            ..Load::default()
        }
    }

    const ALONE: Share = Share {
        worker: 0,
        workers: 1,
        seed: 1,
    };

    #[allow(clippy::disallowed_methods, reason = "any moment will do")]
    fn start() -> Instant {
        Instant::now()
    }

    fn at_once(start: Instant) -> Ticks {
        Ticks::new(start, Duration::ZERO)
    }

    #[test]
    fn arrivals_are_meant_for_ticks_where_there_are_any() {
        let start = start();
        let load = Load {
            rate: 1_600.0,
            ..load()
        };
        let ticks = Ticks::new(start, Duration::from_millis(1));
        let mut schedule = Schedule::new(start, &load, ALONE, ticks);
        let late = start + Duration::from_micros(2_900);
        let taken: Vec<u128> = std::iter::from_fn(|| schedule.take(late))
            .map(|at| at.duration_since(start).as_micros())
            .collect();
        // Every 625 microseconds.
        assert_eq!(taken, [0, 1_000, 2_000, 2_000]);
        assert_eq!(schedule.next(), Some(start + Duration::from_millis(3)));
    }

    #[test]
    fn arrivals_are_not_moved_by_lateness() {
        let start = start();
        let mut schedule = Schedule::new(start, &load(), ALONE, at_once(start));
        let late = start + Duration::from_millis(350);
        let taken: Vec<u128> = std::iter::from_fn(|| schedule.take(late))
            .map(|at| at.duration_since(start).as_millis())
            .collect();
        assert_eq!(taken, [0, 100, 200, 300]);
        assert_eq!(schedule.next(), Some(start + Duration::from_millis(400)));
    }

    #[test]
    fn a_rate_grows_by_steps_up_to_its_highest() {
        let start = start();
        let growth = Growth {
            step: 10.0,
            interval: Duration::from_secs(1),
            rate_max: Some(25.0),
            ends: false,
        };
        let load = Load {
            growth: Some(growth),
            ..load()
        };
        let mut schedule = Schedule::new(start, &load, ALONE, at_once(start));
        let mut count = |seconds| {
            let until = start + Duration::from_secs(seconds) - Duration::from_micros(1);
            std::iter::from_fn(|| schedule.take(until)).count()
        };
        assert_eq!((count(1), count(2), count(3), count(4)), (10, 20, 25, 25));
        assert!(!schedule.is_over());
    }

    #[test]
    fn a_plan_comes_to_its_end_and_may_be_changed_by_hand() {
        let start = start();
        let load = Load {
            plan: Some(Plan::Shaped {
                shape: Shape::steps(&[4.0, 8.0], Duration::from_secs(1)),
                spacing: Spacing::Even,
            }),
            period: Duration::from_secs(2),
            ..load()
        };
        let mut schedule = Schedule::new(start, &load, ALONE, at_once(start));
        let end = start + Duration::from_secs(2);
        // Rates are a period's.
        assert_eq!(schedule.rate(start), 4.0);
        assert_eq!(std::iter::from_fn(|| schedule.take(end)).count(), 6);
        assert!(schedule.is_over());
        schedule.set_rate(end, 2.0);
        assert!(!schedule.is_over() && schedule.next() == Some(end));
    }

    #[test]
    fn a_plan_waits_and_goes_on_where_it_was() {
        let start = start();
        let load = Load {
            plan: Some(Plan::Shaped {
                shape: Shape::steps(&[4.0, 8.0], Duration::from_secs(1)),
                spacing: Spacing::Even,
            }),
            ..load()
        };
        let mut schedule = Schedule::new(start, &load, ALONE, at_once(start));
        let after = |millis| start + Duration::from_millis(millis);
        let mut count = |until| std::iter::from_fn(|| schedule.take(until)).count();
        assert_eq!(count(after(999)), 4);
        schedule.pause(after(1_000));
        assert_eq!((schedule.next(), schedule.take(after(9_000))), (None, None));
        assert_eq!(schedule.rate(after(9_000)), 8.0);
        assert!(!schedule.is_over());
        schedule.go_on(after(9_000));
        assert_eq!(schedule.next(), Some(after(9_000)));
        let left = std::iter::from_fn(|| schedule.take(after(10_000))).count();
        assert_eq!(left, 8);
        assert!(schedule.is_over());
    }

    #[test]
    fn no_rate_is_no_arrival() {
        let start = start();
        let mut schedule = Schedule::new(start, &load(), ALONE, at_once(start));
        schedule.set_rate(start, 0.0);
        assert_eq!(schedule.next(), None);
        assert_eq!(schedule.take(start + Duration::from_secs(9)), None);
        assert!(!schedule.is_over());
    }
}
