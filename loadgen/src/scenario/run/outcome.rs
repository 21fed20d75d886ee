//! A run's result: what was counted and measured, put into the form that reports share.

use offhook_shards::Transport;

use super::super::model::{Side, StepKind};
use super::super::options::Play;
use super::super::statistics::{Failure, Statistics};
use super::desk::Desk;
use super::prepare::Prepared;
use super::{EXIT_FATAL, EXIT_STOPPED, EXIT_THINNED};
use crate::load::{Plan, Spacing};
use crate::measure::{Finding, Health, Objective, Readings, Reason, Times};
use crate::report::{
    Cause, Detail, Environment, HealthNote, LatencyNote, LoadNote, Outcome, StepNote, Verdict,
};

/// What an objective looks at.
pub(super) struct Found<'a> {
    pub(super) names: &'a [String],
    pub(super) statistics: &'a Statistics,
    /// Calls that ended well in so many seconds.
    pub(super) carried: u64,
    pub(super) seconds: f64,
}

impl Readings for Found<'_> {
    /// `setup` is the first response time of the scenario, unless one has that name.
    fn latency(&self, name: &str) -> Option<&Times> {
        if name == "call" {
            return Some(&self.statistics.call_length.response);
        }
        let own = self.names.iter().position(|known| known == name);
        let place = own.or_else(|| (name == "setup").then_some(0))?;
        let found = self.statistics.response_times.get(place)?;
        Some(&found.waited)
    }

    fn failed_part(&self) -> f64 {
        let statistics = self.statistics;
        // What a limit kept from being opened was offered all the same.
        let lost = statistics.failed() + statistics.limited;
        let ended = statistics.successful + lost;
        lost as f64 / (ended as f64).max(1.0)
    }

    fn goodput(&self) -> f64 {
        self.carried as f64 / self.seconds.max(1e-3)
    }
}

/// The terms that were missed.
pub(super) fn breaches(
    objective: Option<&Objective>,
    prepared: &Prepared,
    statistics: &Statistics,
    seconds: f64,
) -> Vec<Finding> {
    let findings = findings(objective, prepared, statistics, seconds);
    findings
        .into_iter()
        .filter(|finding| !finding.met)
        .collect()
}

fn findings(
    objective: Option<&Objective>,
    prepared: &Prepared,
    statistics: &Statistics,
    seconds: f64,
) -> Vec<Finding> {
    let found = Found {
        names: &prepared.scenario.response_times,
        statistics,
        carried: statistics.successful,
        seconds,
    };
    objective.map_or_else(Vec::new, |objective| objective.judge(&found))
}

/// Everything as one value.
pub(super) fn outcome(
    play: &Play,
    prepared: &Prepared,
    desk: &Desk,
    health: &Health,
    faults: &[Reason],
    status: u8,
) -> Outcome {
    let statistics = &desk.last;
    let scenario = &prepared.scenario;
    let seconds = desk
        .ended
        .saturating_duration_since(desk.started)
        .as_secs_f64();
    let times = scenario
        .response_times
        .iter()
        .zip(&statistics.response_times);
    let latencies = times.map(|(name, time)| {
        let name = format!("response time {name}");
        LatencyNote::new(&name, &time.latency)
    });
    let findings = findings(prepared.objective.as_ref(), prepared, statistics, seconds);
    Outcome {
        schema: Outcome::SCHEMA.to_owned(),
        version: Outcome::VERSION,
        kind: "scenario".to_owned(),
        name: scenario.name.clone(),
        command: std::env::args().collect(),
        seed: prepared.settings.seed,
        started: started(desk),
        seconds,
        environment: Environment::read(),
        load: load_note(prepared, desk.driver),
        verdict: match status {
            0 => Verdict::Passed,
            crate::measure::EXIT_INVALID => Verdict::Invalid,
            EXIT_STOPPED => Verdict::Stopped,
            EXIT_THINNED => Verdict::Thinned,
            EXIT_FATAL if play.timers.timeout_is_error => Verdict::Stopped,
            _ => Verdict::Failed,
        },
        exit_status: status,
        totals: totals(statistics),
        failures: failures(statistics),
        violations: Vec::new(),
        steps: steps(prepared, statistics),
        latencies: latencies.collect(),
        health: HealthNote::new(health, faults),
        objectives: findings
            .into_iter()
            .map(|finding| crate::report::Objective {
                text: finding.text,
                found: finding.found,
                met: finding.met,
            })
            .collect(),
        search: None,
        timeline: desk.timeline.points().to_vec(),
        ladders: desk.ladders.clone(),
    }
}

fn started(desk: &Desk) -> String {
    let snapshot = desk.snapshot();
    snapshot.calendar.rfc3339(snapshot.started)
}

/// What load was asked for.
pub(super) fn load_note(prepared: &Prepared, driver: &str) -> LoadNote {
    let settings = &prepared.settings;
    let load = &settings.load;
    let words = |spacing: Spacing| match spacing {
        Spacing::Even => "even",
        Spacing::Poisson => "Poisson",
    };
    let period = load.period.as_secs_f64();
    let plan = match (&load.plan, load.users, prepared.scenario.side) {
        (_, _, Side::Server) => "as peers call".to_owned(),
        (_, Some(users), Side::Client) => format!("{users} users, one call after the other"),
        (Some(Plan::Listed(moments)), None, Side::Client) => {
            format!("{} given moments", moments.len())
        }
        (Some(Plan::Shaped { spacing, .. }), None, Side::Client) => {
            format!("{}, {}", prepared.plan_text, words(*spacing))
        }
        (None, None, Side::Client) => {
            let rate = load.rate / period;
            format!("{rate} calls/s, {}", words(load.spacing))
        }
    };
    let plan = if settings.tick.is_zero() {
        plan
    } else {
        format!("{plan}, in ticks of {:?}", settings.tick)
    };
    LoadNote {
        discipline: if load.users.is_some() {
            "closed".to_owned()
        } else {
            "open".to_owned()
        },
        plan,
        workers: settings.workers,
        transport: match settings.transport {
            Transport::Udp => "UDP".to_owned(),
            Transport::Tcp => "TCP".to_owned(),
            Transport::Tls => "TLS".to_owned(),
        },
        local: settings.locals.iter().map(ToString::to_string).collect(),
        remote: settings.remote.map(|remote| remote.to_string()),
        driver: driver.to_owned(),
    }
}

fn totals(statistics: &Statistics) -> std::collections::BTreeMap<String, u64> {
    let named = [
        ("created", statistics.created()),
        ("incoming", statistics.incoming),
        ("outgoing", statistics.outgoing),
        ("successful", statistics.successful),
        ("failed", statistics.failed()),
        ("live", statistics.current),
        ("peak", statistics.peak),
        ("limit_hit", statistics.limited),
        ("out_of_call", statistics.out_of_call),
        ("dead_call", statistics.dead_call),
        ("malformed", statistics.malformed),
        ("resent", statistics.resent),
        ("auto_answered", statistics.auto_answered),
        ("warnings", statistics.warnings),
        ("unreached", statistics.unreached),
        ("media_sent", statistics.media_sent),
        ("media_received", statistics.media_received),
        ("unlogged", statistics.unlogged),
    ];
    let pair = |(name, count): (&str, u64)| (name.to_owned(), count);
    named.into_iter().map(pair).collect()
}

pub(super) fn failures(statistics: &Statistics) -> Vec<Cause> {
    let cause = |failure: Failure| {
        let (name, words) = failure.names();
        Cause {
            name: name.to_owned(),
            words: words.to_owned(),
            count: statistics.failures[failure as usize],
            details: statistics
                .details_of(failure)
                .into_iter()
                .map(|(words, count)| Detail {
                    words: words.to_owned(),
                    count,
                })
                .collect(),
        }
    };
    let all = Failure::ALL.into_iter().map(cause);
    all.filter(|cause| cause.count > 0).collect()
}

fn steps(prepared: &Prepared, statistics: &Statistics) -> Vec<StepNote> {
    let steps = prepared.scenario.steps.iter().zip(&statistics.steps);
    steps
        .map(|(step, counts)| StepNote {
            kind: match step.kind {
                StepKind::Send(_) => "send",
                StepKind::Receive(_) => "receive",
                StepKind::Pause(_) => "pause",
                StepKind::Nop
                | StepKind::TimeWait(_)
                | StepKind::SendCommand(_)
                | StepKind::ReceiveCommand { .. } => "other",
            }
            .to_owned(),
            display: step.display.clone(),
            messages: counts.messages,
            repeats: counts.repeats,
            timeouts: counts.timeouts,
            unexpected: counts.unexpected,
            lost: counts.lost,
        })
        .collect()
}
