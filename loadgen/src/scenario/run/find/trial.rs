//! One try: a rate is offered for a while, measured after it has settled, and drained, so that
//! calls that fail late count as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::clock::Clock;

use super::super::super::calendar::Calendar;
use super::super::super::settings::Settings;
use super::super::super::station::Order;
use super::super::super::statistics::Statistics;
use super::super::crew::Crew;
use super::super::outcome::Found;
use super::super::prepare::Prepared;
use crate::load::{Plan, Segment, Shape};
use crate::measure::{Health, Objective, Probe};
use crate::report;

/// Between two looks at what the workers say.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long calls may take to end after the last was opened; those that live longer have failed.
const DRAIN_MAX: Duration = Duration::from_secs(12);

/// Before and after an overload, the load is this part of the knee.
pub(super) const CALM_PART: f64 = 0.8;

/// Workers that play for one try.
pub(super) struct Trial<'a> {
    crew: Crew,
    prepared: &'a Prepared,
    probe: Probe,
    started: Instant,
}

/// What was counted in a stretch of time.
pub(super) struct Stretch {
    /// What was counted from its beginning until its last call had ended; calls that were under
    /// way when it began are among them.
    pub(super) statistics: Statistics,
    /// Calls that ended well in it.
    pub(super) carried: u64,
    pub(super) seconds: f64,
}

impl<'a> Trial<'a> {
    /// Starts workers that open calls as a shape says; `first_call` keeps Call-IDs of different
    /// tries apart.
    pub(super) fn start(
        prepared: &'a Prepared,
        calendar: Calendar,
        shape: Shape,
        first_call: u64,
    ) -> Result<Self, String> {
        let mut settings = Settings::clone(&prepared.settings);
        settings.first_call = first_call;
        settings.load.period = Duration::from_secs(1);
        settings.load.plan = Some(Plan::Shaped {
            shape,
            spacing: prepared.settings.load.spacing,
        });
        settings.load.calls_max = None;
        settings.load.users = None;
        settings.at_once = Arc::default();
        let own = Prepared {
            settings: Arc::new(settings),
            scenario: Arc::clone(&prepared.scenario),
            files: prepared.files.clone(),
            driver: prepared.driver,
            cores: prepared.cores.clone(),
            objective: None,
            plan_text: String::new(),
            tls: prepared.tls.clone(),
        };
        let crew = Crew::start(&own, calendar).map_err(|error| format!("offhook-load: {error}"))?;
        Ok(Self {
            probe: Probe::read(&crew.sockets, prepared.settings.remote, &[]),
            crew,
            prepared,
            started: Clock.now(),
        })
    }

    /// Lets some time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = Clock.now() + time;
        while Clock.now() < until {
            self.crew.listen(|_| {});
            std::thread::sleep(LOOK_INTERVAL.min(until.saturating_duration_since(Clock.now())));
        }
    }

    /// What all workers have counted by now.
    pub(super) fn read(&mut self) -> Statistics {
        const PATIENCE: Duration = Duration::from_secs(5);
        self.crew.order(Order::Report);
        let until = Clock.now() + PATIENCE;
        while !self.crew.is_fresh() && Clock.now() < until {
            self.crew.listen(|_| {});
            std::thread::sleep(Duration::from_millis(1));
        }
        self.crew.statistics()
    }

    /// Opens no more calls and waits for those that live; what was counted in all.
    pub(super) fn drain(&mut self) -> Statistics {
        self.crew.order(Order::Drain);
        let until = Clock.now() + self.prepared.settings.pause + DRAIN_MAX;
        while self.crew.ending().is_none() && Clock.now() < until {
            self.crew.listen(|_| {});
            std::thread::sleep(LOOK_INTERVAL);
        }
        self.read()
    }

    /// Ends the workers and says how far they can be trusted.
    pub(super) fn close(mut self, all: &Statistics) -> Health {
        let peer = self.prepared.settings.remote;
        let after = Probe::read(&self.crew.sockets, peer, &self.crew.threads);
        let drops = after.drops_since(&self.probe);
        let health = Health {
            observed: Clock.now().saturating_duration_since(self.started),
            lag: all.lag.clone(),
            stalls: all.stalls.clone(),
            own_drops: drops.own,
            peer_drops: drops.peer,
            machine_drops: drops.machine,
            unsent: self.crew.unsent(),
            exhausted: self.crew.exhausted(),
            workers: after.load_since(&self.probe),
        };
        self.crew.order(Order::Stop);
        self.crew.stop();
        health
    }
}

/// Tries a rate.
pub(super) fn try_rate(
    prepared: &Prepared,
    calendar: Calendar,
    rate: f64,
    times: (Duration, Duration),
    first_call: u64,
) -> Result<(Stretch, Health, u64), String> {
    let (warm_up, length) = times;
    let mut trial = Trial::start(prepared, calendar, Shape::constant(rate), first_call)?;
    trial.pass(warm_up);
    let before = trial.read();
    let began = Clock.now();
    trial.pass(length);
    let middle = trial.read();
    let seconds = Clock.now().duration_since(began).as_secs_f64();
    let after = trial.drain();
    let created = after.created();
    let mut statistics = since(&after, &before);
    // What lives too long has failed.
    statistics.limited += after.current;
    let health = trial.close(&after);
    let stretch = Stretch {
        statistics,
        carried: middle.successful.saturating_sub(before.successful),
        seconds,
    };
    Ok((stretch, health, created))
}

/// What was counted since an earlier state, as far as a search looks at it.
pub(super) fn since(after: &Statistics, before: &Statistics) -> Statistics {
    let mut fresh = after.clone();
    fresh.successful -= before.successful.min(after.successful);
    fresh.limited -= before.limited.min(after.limited);
    fresh.outgoing -= before.outgoing.min(after.outgoing);
    fresh.resent -= before.resent.min(after.resent);
    for (own, earlier) in fresh.failures.iter_mut().zip(&before.failures) {
        *own = own.saturating_sub(*earlier);
    }
    for (own, earlier) in fresh.response_times.iter_mut().zip(&before.response_times) {
        own.latency = own.latency.since(&earlier.latency);
        own.waited = own.waited.since(&earlier.waited);
    }
    fresh.call_length = after.call_length.since(&before.call_length);
    fresh.lag = after.lag.since(&before.lag);
    fresh
}

/// A try as reports show it.
pub(super) fn judged(
    prepared: &Prepared,
    objective: &Objective,
    phase: &str,
    rate: f64,
    stretch: &Stretch,
    faults: &[String],
) -> report::Probe {
    let found = Found {
        names: &prepared.scenario.response_times,
        statistics: &stretch.statistics,
        carried: stretch.carried,
        seconds: stretch.seconds,
    };
    let findings = objective.judge(&found);
    let missed = findings.iter().filter(|finding| !finding.met);
    let broke: Vec<String> = missed.map(ToString::to_string).collect();
    let first = stretch.statistics.response_times.first();
    let quantile = |part| first.map_or(0, |time| time.waited.quantile_us(part));
    let statistics = &stretch.statistics;
    let lost = statistics.failed() + statistics.limited;
    report::Probe {
        phase: phase.to_owned(),
        rate,
        goodput: stretch.carried as f64 / stretch.seconds.max(1e-3),
        failed_part: lost as f64 / ((statistics.successful + lost) as f64).max(1.0),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        max_us: first.map_or(0, |time| time.waited.max_us()),
        met: broke.is_empty(),
        valid: faults.is_empty(),
        broke: if faults.is_empty() {
            broke.join("; ")
        } else {
            faults.join("; ")
        },
    }
}

/// Below the knee, far above it, and below it again.
pub(super) fn overload_shape(knee: f64, factor: f64, calm: Duration, burst: Duration) -> Shape {
    Shape::new(vec![
        Segment::hold(knee * CALM_PART, calm),
        Segment::hold(knee * factor, burst),
    ])
    .and_then(knee * CALM_PART)
}
