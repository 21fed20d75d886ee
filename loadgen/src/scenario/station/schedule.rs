//! When calls are opened: at times known in advance, which a slow peer does not move. What is
//! opened late is opened all the same, and its lateness is known.

use std::time::{Duration, Instant};

use super::super::settings::{Growth, Load};

/// A constant rate, which may be changed and may grow by steps.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Since when the present rate holds.
    origin: Instant,
    /// Arrivals taken since then.
    taken: u64,
    rate: f64,
    period: Duration,
    growth: Option<(Growth, Instant)>,
    is_closed_loop: bool,
}

impl Schedule {
    pub(super) fn new(now: Instant, load: &Load) -> Self {
        Self {
            origin: now,
            taken: 0,
            rate: load.rate,
            period: load.period,
            growth: load.growth.map(|growth| (growth, now + growth.interval)),
            is_closed_loop: load.users.is_some(),
        }
    }

    /// Calls a period.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn calls_per_second(&self) -> f64 {
        self.rate / self.period.as_secs_f64()
    }

    /// When the next call is to be opened.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.is_closed_loop {
            return Some(self.origin);
        }
        let rate = self.calls_per_second();
        let arrival = (rate > 0.0).then(|| {
            let since = self.taken as f64 / rate;
            Duration::try_from_secs_f64(since)
                .ok()
                .map(|since| self.origin + since)
        });
        let growth = self.growth.map(|(_, at)| at);
        [arrival.flatten(), growth].into_iter().flatten().min()
    }

    /// Takes an arrival that is due, and says when it was intended.
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        if self.is_closed_loop {
            return (self.origin <= now).then_some(now);
        }
        loop {
            let next = self.next().filter(|next| *next <= now)?;
            if self.growth.is_some_and(|(_, at)| at == next) {
                self.grow(next);
                continue;
            }
            self.taken += 1;
            return Some(next);
        }
    }

    /// In a closed loop: nobody is free before `now`.
    pub(super) fn skip_to(&mut self, now: Instant) {
        if self.is_closed_loop {
            self.origin = now;
        }
    }

    pub(super) fn set_rate(&mut self, now: Instant, rate: f64) {
        self.rate = rate.max(0.0);
        self.origin = now;
        self.taken = 0;
    }

    /// Whether the highest rate was held for an interval, and that ends the run.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let reached = |growth: &Growth| growth.rate_max.is_some_and(|highest| self.rate >= highest);
        let growth = self
            .growth
            .filter(|(growth, _)| growth.ends && reached(growth));
        growth.is_some_and(|(_, at)| at <= now)
    }

    fn grow(&mut self, at: Instant) {
        let Some((growth, next)) = &mut self.growth else {
            return;
        };
        let wanted = self.rate + growth.step;
        let rate = growth
            .rate_max
            .map_or(wanted, |highest| wanted.min(highest));
        if growth.rate_max.is_some_and(|highest| rate >= highest) && !growth.ends {
            self.growth = None;
        } else {
            *next = at + growth.interval;
        }
        self.set_rate(at, rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        rate: 10.0,
        period: Duration::from_secs(1),
        calls_max: None,
        limit: None,
        users: None,
        growth: None,
    };

    #[allow(clippy::disallowed_methods, reason = "any moment will do")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn arrivals_are_not_moved_by_lateness() {
        let start = start();
        let mut schedule = Schedule::new(start, &LOAD);
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
        let mut schedule = Schedule::new(
            start,
            &Load {
                growth: Some(growth),
                ..LOAD
            },
        );
        let mut count = |seconds| {
            let until = start + Duration::from_secs(seconds) - Duration::from_micros(1);
            std::iter::from_fn(|| schedule.take(until)).count()
        };
        assert_eq!((count(1), count(2), count(3), count(4)), (10, 20, 25, 25));
    }

    #[test]
    fn no_rate_is_no_arrival() {
        let start = start();
        let mut schedule = Schedule::new(start, &LOAD);
        schedule.set_rate(start, 0.0);
        assert_eq!(schedule.next(), None);
        assert_eq!(schedule.take(start + Duration::from_secs(9)), None);
    }
}
