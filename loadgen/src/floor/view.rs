//! A run as the screen shows it.

use super::profile::Profile;
use super::stage::{Progress, Stage, health_faults};
use super::timeline::Timeline;
use crate::measure::{Latency, Times};
use crate::screen::{HealthLine, LatencyLine, Moment, Snapshot};

/// Seconds of history that the screen shows.
const HISTORY: usize = 120;

/// What the screen shows of a run that stands like this.
pub(super) fn snapshot(
    stage: &Stage,
    profile: &Profile,
    timeline: &Timeline,
    progress: &Progress,
) -> Snapshot {
    let points = timeline.points();
    let recent = &points[points.len().saturating_sub(HISTORY)..];
    let health = stage.health();
    let mut latencies = vec![
        latency("caller to phone, agent free", &stage.routing),
        latency("caller to phone, no agent free", &stage.queueing),
    ];
    latencies.extend(stage.times.iter().map(|(measure, times)| {
        let both = Latency {
            service: times.clone(),
            response: times.clone(),
        };
        latency(measure.name(), &both)
    }));
    Snapshot {
        title: format!("{}, {} agents", profile.name, profile.agent_count()),
        subtitle: format!("{} PBXs, server at {}", profile.pbxs.len(), stage.remote),
        elapsed: progress.elapsed,
        note: progress.phase.to_owned(),
        target: recent.last().map_or(0.0, |point| point.target),
        counts: counts(progress),
        latencies,
        history: recent
            .iter()
            .map(|point| Moment {
                second: point.second,
                target: point.target,
                created: point.created,
                failed: point.failed,
                live: point.live,
                p50_us: point.p50_us,
                p99_us: point.p99_us,
            })
            .collect(),
        errors: stage.broken_rules(),
        states: states(progress),
        health: HealthLine {
            lag_p99_us: health.lag.quantile_us(0.99),
            stall_max_us: health.stalls.max_us(),
            own_drops: health.own_drops,
            unsent: health.unsent,
            busy: health.busy_parts(),
            faults: health_faults(&health)
                .iter()
                .map(ToString::to_string)
                .collect(),
        },
        steps: Vec::new(),
    }
}

fn counts(progress: &Progress) -> Vec<(String, u64)> {
    let totals = progress.totals;
    [
        ("offered", totals.offered),
        ("in flight", progress.live as u64),
        ("answered", totals.answered),
        ("abandoned", totals.abandoned),
        ("refused", totals.refused),
        ("lost", totals.lost),
        ("broken rules", progress.violations),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into()
}

fn states(progress: &Progress) -> Vec<(String, u64)> {
    let tally = progress.tally;
    [
        ("Ready", tally.ready),
        ("NotReady", tally.not_ready),
        ("LoggedOut", tally.logged_out),
    ]
    .map(|(name, count)| (name.to_owned(), count as u64))
    .into()
}

fn latency(name: &str, latency: &Latency) -> LatencyLine {
    let of = |times: &Times| {
        [
            times.quantile_us(0.5),
            times.quantile_us(0.9),
            times.quantile_us(0.99),
            times.quantile_us(0.999),
            times.max_us(),
        ]
    };
    LatencyLine {
        name: name.to_owned(),
        count: latency.response.count(),
        response_us: of(&latency.response),
        service_us: of(&latency.service),
    }
}
