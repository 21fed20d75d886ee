//! A run as the screen shows it.

use std::time::Instant;

use super::super::model::{Side, StepKind};
use super::super::statistics::Failure;
use super::desk::Desk;
use crate::measure::{Health, Latency, Times};
use crate::screen::{HealthLine, LatencyLine, Moment, Snapshot, StepLine};

/// Seconds of history that the screen shows.
const HISTORY: usize = 120;

pub(super) fn snapshot(desk: &Desk, health: &Health, now: Instant) -> Snapshot {
    let statistics = &desk.last;
    let settings = &desk.settings;
    let transport = super::super::floor::transport_name(settings.transport);
    let local = settings.local;
    let subtitle = match settings.remote {
        Some(remote) => format!("from {local} to {remote} over {transport}"),
        None => format!("waits for calls on {local} over {transport}"),
    };
    let points = desk.timeline.points();
    let recent = &points[points.len().saturating_sub(HISTORY)..];
    let errors = Failure::ALL.into_iter().map(|failure| {
        let count = statistics.failures[failure as usize];
        (failure.names().1.to_owned(), count)
    });
    let latencies = desk
        .scenario
        .response_times
        .iter()
        .zip(&statistics.response_times)
        .map(|(name, time)| latency(&format!("response time {name}"), &time.latency));
    let faults = health.faults(&desk.tolerance);
    Snapshot {
        title: desk.scenario.name.clone(),
        subtitle,
        elapsed: now.saturating_duration_since(desk.started),
        note: desk.remark(),
        target: desk.crew.rate(),
        counts: counts(desk),
        latencies: latencies.collect(),
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
        errors: errors.filter(|(_, count)| *count > 0).collect(),
        states: Vec::new(),
        health: HealthLine {
            lag_p99_us: health.lag.quantile_us(0.99),
            stall_max_us: health.stalls.max_us(),
            own_drops: health.own_drops,
            unsent: health.unsent,
            busy: health.busy_parts(),
            faults: faults.iter().map(ToString::to_string).collect(),
        },
        steps: steps(desk),
    }
}

fn counts(desk: &Desk) -> Vec<(String, u64)> {
    let statistics = &desk.last;
    let mut counts = vec![
        ("begun", statistics.created()),
        ("live", statistics.current),
        ("at most at a time", statistics.peak),
        ("successful", statistics.successful),
        ("failed", statistics.failed()),
        ("messages sent again", statistics.resent),
        ("messages of no call", statistics.out_of_call),
    ];
    if statistics.limited > 0 {
        counts.push(("not opened: -l", statistics.limited));
    }
    let named = counts.into_iter();
    named
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
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

fn steps(desk: &Desk) -> Vec<StepLine> {
    let steps = desk.scenario.steps.iter().zip(&desk.last.steps);
    let shown = steps.filter(|(step, _)| !(desk.hides && step.is_hidden));
    shown
        .map(|(step, counts)| {
            let arrow = match (&step.kind, desk.scenario.side) {
                (StepKind::Send(_), Side::Client) | (StepKind::Receive(_), Side::Server) => "-->",
                (StepKind::Receive(_), Side::Client) | (StepKind::Send(_), Side::Server) => "<--",
                (
                    StepKind::Pause(_)
                    | StepKind::Nop
                    | StepKind::TimeWait(_)
                    | StepKind::SendCommand(_)
                    | StepKind::ReceiveCommand { .. },
                    _,
                ) => "   ",
            };
            StepLine {
                name: format!("{arrow} {}", step.display),
                counts: [
                    counts.messages,
                    counts.repeats,
                    counts.timeouts,
                    counts.unexpected,
                ],
            }
        })
        .collect()
}
