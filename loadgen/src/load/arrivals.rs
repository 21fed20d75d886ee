//! The moments of a plan, one after the other.

use std::sync::Arc;
use std::time::Duration;

use super::plan::Plan;
use super::shape::Shape;
use crate::population::Random;

/// How far apart arrivals are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spacing {
    /// As evenly as the rate allows.
    #[default]
    Even,
    /// Independent of each other (Poisson), as people are.
    Poisson,
}

/// One arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its number in the whole plan, from 0.
    pub index: u64,
    /// When, after the plan's beginning.
    pub at: Duration,
}

/// The arrivals of a plan, or of one worker's share of it.
#[derive(Debug, Clone)]
pub struct Arrivals {
    source: Source,
    index: u64,
    worker: u64,
    workers: u64,
}

#[derive(Debug, Clone)]
enum Source {
    Shaped(Shaped),
    Listed(Arc<[Duration]>),
}

/// Where in a shape the last arrival was.
#[derive(Debug, Clone)]
struct Shaped {
    shape: Shape,
    spacing: Spacing,
    random: Random,
    segment: usize,
    /// Seconds from the segment's beginning.
    into: f64,
    /// The segment's beginning.
    begins: Duration,
    is_first: bool,
}

/// The stream of chance that arrivals are drawn from; others of the same seed take other numbers.
const STREAM: u64 = 0xa441_7a15;

impl Arrivals {
    /// All arrivals of a plan.
    #[must_use]
    pub fn new(plan: &Plan, seed: u64) -> Self {
        let source = match plan {
            Plan::Shaped { shape, spacing } => Source::Shaped(Shaped {
                shape: shape.clone(),
                spacing: *spacing,
                random: Random::new(seed, STREAM),
                segment: 0,
                into: 0.0,
                begins: Duration::ZERO,
                is_first: true,
            }),
            Plan::Listed(moments) => Source::Listed(Arc::clone(moments)),
        };
        Self {
            source,
            index: 0,
            worker: 0,
            workers: 1,
        }
    }

    /// Every `workers`th arrival, beginning with that of number `worker`: all workers together
    /// have the whole plan, whatever their number.
    #[must_use]
    pub fn share(mut self, worker: u64, workers: u64) -> Self {
        self.worker = worker;
        self.workers = workers.max(1);
        self
    }

    /// Arrivals a second at a moment after the beginning.
    #[must_use]
    pub fn rate_at(&self, since: Duration) -> f64 {
        match &self.source {
            Source::Shaped(shaped) => shaped.shape.rate_at(since),
            Source::Listed(moments) => {
                // What arrived within the last second.
                let until = moments.partition_point(|at| *at <= since);
                let from = since.saturating_sub(Duration::from_secs(1));
                let before = moments.partition_point(|at| *at <= from);
                (until - before) as f64
            }
        }
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            let at = match &mut self.source {
                Source::Shaped(shaped) => shaped.next()?,
                Source::Listed(moments) => *moments.get(usize::try_from(self.index).ok()?)?,
            };
            let index = self.index;
            self.index += 1;
            if index % self.workers == self.worker {
                return Some(Arrival { index, at });
            }
        }
    }
}

impl Shaped {
    fn next(&mut self) -> Option<Duration> {
        let mut missing = match self.spacing {
            // The first one comes at once.
            Spacing::Even if std::mem::take(&mut self.is_first) => 0.0,
            Spacing::Even => 1.0,
            Spacing::Poisson => -(1.0 - self.random.fraction()).ln(),
        };
        while let Some(segment) = self.shape.segment(self.segment) {
            match segment.seconds_until(self.into, missing) {
                Ok(seconds) => {
                    self.into += seconds;
                    return self.moment();
                }
                Err(still) => {
                    missing = still;
                    self.begins += segment.length;
                    self.segment += 1;
                    self.into = 0.0;
                }
            }
        }
        let rate = self.shape.after().filter(|rate| *rate > 0.0)?;
        self.into += missing / rate;
        self.moment()
    }

    /// `None` if it is so far away that no clock knows it.
    fn moment(&self) -> Option<Duration> {
        let into = Duration::try_from_secs_f64(self.into).ok()?;
        self.begins.checked_add(into)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::Segment;
    use super::*;

    fn plan(shape: Shape, spacing: Spacing) -> Plan {
        Plan::Shaped { shape, spacing }
    }

    fn millis(plan: &Plan, count: usize) -> Vec<u128> {
        let arrivals = Arrivals::new(plan, 1);
        arrivals
            .take(count)
            .map(|arrival| arrival.at.as_millis())
            .collect()
    }

    #[test]
    fn even_arrivals_stand_where_the_rate_puts_them() {
        let constant = plan(Shape::constant(10.0), Spacing::Even);
        assert_eq!(millis(&constant, 4), [0, 100, 200, 300]);
        let steps = plan(
            Shape::steps(&[2.0, 4.0], Duration::from_secs(1)),
            Spacing::Even,
        );
        assert_eq!(millis(&steps, 9), [0, 500, 1_000, 1_250, 1_500, 1_750]);
        // The n-th of a ramp from nothing comes at the root of n.
        let ramp = plan(
            Shape::ramp(0.0, 200.0, Duration::from_secs(10)),
            Spacing::Even,
        );
        let found = millis(&ramp, 1_002);
        assert_eq!((found[0], found[10], found[40]), (0, 1_000, 2_000));
        assert_eq!((found[1_000], found[1_001]), (10_000, 10_005));
    }

    #[test]
    fn a_pause_in_a_plan_is_silent() {
        let segments = vec![
            Segment::hold(0.0, Duration::from_secs(1)),
            Segment::hold(2.0, Duration::from_secs(1)),
            Segment::hold(0.0, Duration::from_secs(1)),
            Segment::hold(1.0, Duration::from_secs(1)),
        ];
        let quiet = plan(Shape::new(segments), Spacing::Even);
        assert_eq!(millis(&quiet, 9), [1_000, 1_500, 3_000]);
        let nothing = plan(Shape::constant(0.0), Spacing::Poisson);
        assert_eq!(millis(&nothing, 3), [0; 0]);
    }

    #[test]
    fn independent_arrivals_have_the_mean_and_the_spread_of_their_kind() {
        let shape = Shape::new(vec![Segment::hold(100.0, Duration::from_secs(200))]);
        let all: Vec<Arrival> = Arrivals::new(&plan(shape, Spacing::Poisson), 7).collect();
        let count = all.len() as f64;
        assert!((count - 20_000.0).abs() < 600.0, "{count}");
        let gaps: Vec<f64> = all
            .windows(2)
            .map(|pair| (pair[1].at - pair[0].at).as_secs_f64())
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let squares = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
        let deviation = (squares / gaps.len() as f64).sqrt();
        // Of an exponential distribution both are the same.
        assert!((deviation / mean - 1.0).abs() < 0.05, "{mean} {deviation}");
    }

    #[test]
    fn workers_share_a_plan_without_gaps_and_doubles() {
        let plan = plan(
            Shape::ramp(1.0, 50.0, Duration::from_secs(4)),
            Spacing::Poisson,
        );
        let whole: Vec<Arrival> = Arrivals::new(&plan, 9).take(90).collect();
        let mut shared: Vec<Arrival> = (0..3)
            .flat_map(|worker| Arrivals::new(&plan, 9).share(worker, 3).take(30))
            .collect();
        shared.sort_by_key(|arrival| arrival.index);
        assert_eq!(shared, whole);
        assert_ne!(whole, Arrivals::new(&plan, 10).take(90).collect::<Vec<_>>());
    }
}
