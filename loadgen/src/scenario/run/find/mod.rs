//! Searches the highest rate that meets an objective, and shows what happens beyond it: the curve
//! of all tries, the knee, what broke, what is still carried under many times the load, and how
//! long it takes to recover.

mod trial;

use std::io::Write as _;
use std::time::{Duration, Instant};

use offhook_shards::clock::Clock;

use super::super::calendar::Calendar;
use super::super::model::Side;
use super::super::options::FindMax;
use super::super::statistics::Statistics;
use super::outcome::{self, load_note};
use super::prepare::{self, Prepared, Refusal};
use super::{EXIT_THINNED, leave, say};
use crate::load::{Limits, Search};
use crate::measure::{EXIT_INVALID, EXIT_OBJECTIVE, Health, Objective};
use crate::report::{self, Environment, HealthNote, LatencyNote, Outcome, Verdict};
use trial::{CALM_PART, Stretch, Trial};

/// How long recovery from an overload is watched.
const RECOVERY_WATCHED: Duration = Duration::from_secs(60);
/// Good seconds in a row that make a recovery.
const RECOVERED_SECONDS: usize = 3;
/// Tries at low rates of which no call ends well, until nobody is looked for any more.
const TRIES_IN_VAIN_MAX: u32 = 3;
/// The part of the offered calls that end well in a good second.
const CARRIED_PART: f64 = 0.95;

/// Carries out a search. Returns the exit status.
#[must_use]
pub fn find_max(options: &FindMax) -> u8 {
    match carry_out(options) {
        Ok(status) => status,
        Err(refusal) => {
            say(&refusal.words);
            refusal.status
        }
    }
}

/// What a search has found so far.
struct Findings<'a> {
    options: &'a FindMax,
    prepared: &'a Prepared,
    objective: &'a Objective,
    calendar: Calendar,
    started: Instant,
    calls: u64,
    probes: Vec<report::Probe>,
    /// Everything of all tries.
    all: Statistics,
    health: Health,
}

fn carry_out(options: &FindMax) -> Result<u8, Refusal> {
    let prepared = prepare::prepare(&options.play, None)?;
    if prepared.scenario.side == Side::Server {
        let words = "offhook-load: find-max needs a scenario that opens calls";
        return Err(words.to_owned().into());
    }
    let Some(objective) = prepared.objective.clone() else {
        let words = "offhook-load: find-max needs an objective: --slo 'p99(setup)<50ms && \
                     failed<0.01%'";
        return Err(words.to_owned().into());
    };
    let started = Clock.now();
    let mut findings = Findings {
        options,
        prepared: &prepared,
        objective: &objective,
        calendar: Calendar::new(started, prepare::epoch()),
        started,
        calls: 0,
        probes: Vec::new(),
        all: Statistics::new(&prepared.scenario),
        health: Health::default(),
    };
    let search = findings.search()?;
    let status = findings.finish(search);
    Ok(status)
}

impl Findings<'_> {
    fn search(&mut self) -> Result<report::Search, String> {
        let options = self.options;
        let mut search = Search::new(Limits {
            first: options.first,
            highest: options.highest,
            precision: options.precision / 100.0,
            confirmations: options.confirmations,
        });
        let mut tries_in_vain = 0;
        while let Some((phase, rate)) = search.next() {
            let probe = self.try_rate(phase.name(), rate)?;
            // Beyond the first rate that may be too much; below it, it is no question of the rate.
            let is_in_vain = probe.goodput <= 0.0 && probe.failed_part > 0.0;
            tries_in_vain = match is_in_vain && rate <= options.first {
                true => tries_in_vain + 1,
                false => 0,
            };
            if tries_in_vain == TRIES_IN_VAIN_MAX {
                let host = &self.prepared.settings.remote_host;
                return Err(format!(
                    "offhook-load: no call has ended well in {TRIES_IN_VAIN_MAX} tries, down to \
                     {rate:.1} calls/s: is {host} still there, and does `offhook-load run` with \
                     the same scenario succeed?"
                ));
            }
            search.take(rate, probe.met && probe.valid);
            self.probes.push(probe);
        }
        let knee = search.knee();
        let is_broken = |probe: &&report::Probe| !(probe.met && probe.valid) && probe.rate > knee;
        let lowest = self
            .probes
            .iter()
            .filter(is_broken)
            .min_by(|one, other| one.rate.total_cmp(&other.rate));
        let mut found = report::Search {
            objective: self.objective.text().to_owned(),
            knee,
            broken_at: lowest.map(|probe| probe.rate),
            broke: lowest.map(|probe| probe.broke.clone()).unwrap_or_default(),
            probes: self.probes.clone(),
            overload: None,
            recovery_seconds: None,
        };
        if let Some(factor) = options.overload.filter(|_| knee > 0.0) {
            let (overload, recovery) = self.overload(knee, factor)?;
            found.overload = Some(overload);
            found.recovery_seconds = recovery;
        }
        Ok(found)
    }

    fn try_rate(&mut self, phase: &str, rate: f64) -> Result<report::Probe, String> {
        let options = self.options;
        let times = (options.warm_up, options.step_time);
        let tried = trial::try_rate(self.prepared, self.calendar, rate, times, self.calls);
        let (stretch, health, created) = tried?;
        self.calls += created * self.prepared.settings.workers + self.prepared.settings.workers;
        let faults = self.faults(&health);
        self.keep(&stretch, &health);
        let probe = trial::judged(
            self.prepared,
            self.objective,
            phase,
            rate,
            &stretch,
            &faults,
        );
        say(&format!(
            "{:<8} {:>10.1} calls/s: {:>10.1} ended well, {:.3} % failed, p50 {:.3} ms, p99 {:.3} \
             ms: {}",
            phase,
            rate,
            probe.goodput,
            probe.failed_part * 100.0,
            probe.p50_us as f64 / 1e3,
            probe.p99_us as f64 / 1e3,
            match (probe.valid, probe.met) {
                (true, true) => "met",
                (true, false) => probe.broke.as_str(),
                (false, _) => "the generator is at its end",
            }
        ));
        Ok(probe)
    }

    /// Why the generator cannot be trusted, unless that is to be passed over.
    fn faults(&self, health: &Health) -> Vec<String> {
        if self.options.play.load.allows_degraded {
            return Vec::new();
        }
        let faults = health.faults(&self.prepared.settings.tolerance);
        faults.iter().map(ToString::to_string).collect()
    }

    fn keep(&mut self, stretch: &Stretch, health: &Health) {
        self.all.merge(&stretch.statistics);
        self.health.observed += health.observed;
        self.health.lag.merge(&health.lag);
        self.health.stalls.merge(&health.stalls);
        self.health.own_drops += health.own_drops;
        self.health.peer_drops += health.peer_drops;
        self.health.machine_drops += health.machine_drops;
        self.health.unsent += health.unsent;
        self.health.exhausted += health.exhausted;
        let workers = &mut self.health.workers;
        workers.resize(workers.len().max(health.workers.len()), Default::default());
        for (own, more) in workers.iter_mut().zip(&health.workers) {
            own.busy += more.busy;
            own.waited += more.waited;
        }
    }

    /// Offers many times the knee, and watches until all is well again.
    fn overload(&mut self, knee: f64, factor: f64) -> Result<(report::Probe, Option<f64>), String> {
        let (calm, burst) = (self.options.warm_up, self.options.step_time);
        let shape = trial::overload_shape(knee, factor, calm, burst);
        let mut trial = Trial::start(self.prepared, self.calendar, shape, self.calls)?;
        trial.pass(calm);
        let before = trial.read();
        let began = Clock.now();
        trial.pass(burst);
        let after = trial.read();
        let ended = Clock.now();
        let statistics = trial::since(&after, &before);
        let stretch = Stretch {
            carried: statistics.successful,
            statistics,
            seconds: ended.duration_since(began).as_secs_f64(),
        };
        let offered = knee * factor;
        let probe = trial::judged(
            self.prepared,
            self.objective,
            "overload",
            offered,
            &stretch,
            &[],
        );
        let recovery = self.recovery(&mut trial, after, knee * CALM_PART, ended);
        let all = trial.drain();
        self.calls += all.created() * self.prepared.settings.workers;
        let health = trial.close(&all);
        let probe = report::Probe {
            valid: self.faults(&health).is_empty(),
            ..probe
        };
        say(&format!(
            "overload {offered:>10.1} calls/s: {:>10.1} ended well, {:.3} % failed; {}",
            probe.goodput,
            probe.failed_part * 100.0,
            recovery.map_or_else(
                || "not recovered while it was watched".to_owned(),
                |seconds| format!("well again after {seconds:.0} s")
            )
        ));
        Ok((probe, recovery))
    }

    /// Seconds until the first of some good seconds in a row.
    fn recovery(
        &self,
        trial: &mut Trial<'_>,
        mut before: Statistics,
        rate: f64,
        ended: Instant,
    ) -> Option<f64> {
        let mut good = 0;
        let mut before_at = ended;
        while Clock.now().duration_since(ended) < RECOVERY_WATCHED {
            trial.pass(Duration::from_secs(1));
            let after = trial.read();
            let now = Clock.now();
            let seconds = now.duration_since(before_at).as_secs_f64();
            let mut fresh = trial::since(&after, &before);
            for times in &mut fresh.response_times {
                times.waited = times.latency.response.clone();
            }
            let carried = fresh.successful as f64 / seconds.max(1e-3);
            let stretch = Stretch {
                carried: fresh.successful,
                // Calls of the overload fail for a long time; here the new ones count.
                statistics: Statistics {
                    failures: Default::default(),
                    limited: 0,
                    ..fresh
                },
                seconds,
            };
            let judged = trial::judged(
                self.prepared,
                self.objective,
                "overload",
                rate,
                &stretch,
                &[],
            );
            good = if judged.met && carried >= rate * CARRIED_PART {
                good + 1
            } else {
                0
            };
            if good == RECOVERED_SECONDS {
                let since = now.duration_since(ended).as_secs_f64();
                return Some((since - RECOVERED_SECONDS as f64).max(0.0));
            }
            before = after;
            before_at = now;
        }
        None
    }

    /// Says and writes what was found.
    fn finish(self, search: report::Search) -> u8 {
        let is_limited = self
            .probes
            .iter()
            .any(|probe| Some(probe.rate) == search.broken_at && !probe.valid);
        let status = if is_limited {
            EXIT_INVALID
        } else if search.knee == 0.0 {
            EXIT_OBJECTIVE
        } else if self.all.unreached > 0 {
            EXIT_THINNED
        } else {
            0
        };
        print(&search);
        let outcome = self.outcome(search, status);
        leave(&self.options.play, &outcome)
    }

    fn outcome(&self, search: report::Search, status: u8) -> Outcome {
        let names = self.prepared.scenario.response_times.iter();
        let latencies = names
            .zip(&self.all.response_times)
            .map(|(name, time)| LatencyNote::new(&format!("response time {name}"), &time.latency));
        let faults = if status == EXIT_INVALID {
            self.health.faults(&self.prepared.settings.tolerance)
        } else {
            // Tries that the generator could not carry out are part of every search.
            Vec::new()
        };
        Outcome {
            schema: Outcome::SCHEMA.to_owned(),
            version: Outcome::VERSION,
            kind: "find-max".to_owned(),
            name: self.prepared.scenario.name.clone(),
            command: std::env::args().collect(),
            seed: self.prepared.settings.seed,
            started: self.calendar.rfc3339(self.started),
            seconds: Clock.now().duration_since(self.started).as_secs_f64(),
            environment: Environment::read(),
            load: load_note(self.prepared, ""),
            verdict: match status {
                0 => Verdict::Passed,
                EXIT_INVALID => Verdict::Invalid,
                EXIT_THINNED => Verdict::Thinned,
                _ => Verdict::Failed,
            },
            exit_status: status,
            totals: [
                ("created", self.all.outgoing),
                ("successful", self.all.successful),
                ("failed", self.all.failed() + self.all.limited),
                ("tries", self.probes.len() as u64),
                ("unreached", self.all.unreached),
            ]
            .map(|(name, count)| (name.to_owned(), count))
            .into(),
            failures: outcome::failures(&self.all),
            violations: Vec::new(),
            steps: Vec::new(),
            latencies: latencies.collect(),
            health: HealthNote::new(&self.health, &faults),
            objectives: vec![report::Objective {
                text: search.objective.clone(),
                found: format!("met up to {:.1} calls/s", search.knee),
                met: search.knee > 0.0,
            }],
            search: Some(search),
            timeline: Vec::new(),
            ladders: Vec::new(),
        }
    }
}

fn print(search: &report::Search) {
    let mut text = format!(
        "\n{:>12} {:>12} {:>10} {:>12} {:>12}  objective\n",
        "offered/s", "well/s", "failed %", "p50 ms", "p99 ms"
    );
    let mut tries: Vec<&report::Probe> = search.probes.iter().collect();
    tries.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    for probe in tries {
        text.push_str(&format!(
            "{:>12.1} {:>12.1} {:>10.3} {:>12.3} {:>12.3}  {}\n",
            probe.rate,
            probe.goodput,
            probe.failed_part * 100.0,
            probe.p50_us as f64 / 1e3,
            probe.p99_us as f64 / 1e3,
            match (probe.valid, probe.met) {
                (true, true) => "met",
                (true, false) => "missed",
                (false, _) => "generator at its end",
            }
        ));
    }
    text.push_str(&format!(
        "\nSession establishment rate (RFC 7502): {:.1} calls/s meet {}\n",
        search.knee, search.objective
    ));
    match search.broken_at {
        Some(rate) => text.push_str(&format!("At {rate:.1} calls/s: {}\n", search.broke)),
        None => text.push_str("Nothing broke: try a higher --highest\n"),
    }
    if let Some(overload) = &search.overload {
        text.push_str(&format!(
            "Offered {:.1} calls/s, {:.1} calls/s ended well; {}\n",
            overload.rate,
            overload.goodput,
            match search.recovery_seconds {
                Some(seconds) => format!("well again {seconds:.0} s after it"),
                None => format!("not well again within {} s", RECOVERY_WATCHED.as_secs()),
            }
        ));
    }
    // Nobody reads standard output any more: the exit status still tells.
    let _ = write!(std::io::stdout(), "{text}");
}
