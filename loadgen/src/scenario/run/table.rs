//! What a run prints at its end: the steps, the calls, the times, and how far the generator
//! itself can be trusted.

use std::fmt::Write as _;

use offhook_shards::Transport;

use super::super::model::{Scenario, Side, Step, StepKind};
use super::super::settings::Settings;
use super::super::statistics::{Failure, Statistics, StepCounts};
use super::csv::Snapshot;
use crate::measure::{Health, Reason, Times};

pub(super) fn table(
    snapshot: &Snapshot<'_>,
    settings: &Settings,
    health: &Health,
    faults: &[Reason],
) -> String {
    let Snapshot {
        statistics,
        scenario,
        started,
        now,
        ..
    } = snapshot;
    let mut text = String::new();
    steps(&mut text, scenario, statistics);
    let created = statistics.incoming + statistics.outgoing;
    let seconds = now.saturating_duration_since(*started).as_secs_f64();
    let rate = created as f64 / seconds.max(1e-3);
    let mut line = |line: std::fmt::Arguments<'_>| {
        let written = writeln!(text, "{line}");
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    line(format_args!(
        "\nCalls     created {created} ({} in, {} out), successful {}, failed {}, live {}, \
         at most {} at a time",
        statistics.incoming,
        statistics.outgoing,
        statistics.successful,
        statistics.failed(),
        statistics.current,
        statistics.peak
    ));
    for failure in Failure::ALL {
        let count = statistics.failures[failure as usize];
        if count > 0 {
            line(format_args!("  failed  {count}: {}", failure.names().1));
            for (words, count) in statistics.details_of(failure) {
                line(format_args!("          {count}: {words}"));
            }
        }
    }
    line(format_args!("Time      {seconds:.3} s, {rate:.1} calls/s"));
    line(format_args!(
        "Messages  resent {}, out of call {}, of ended calls {}, not SIP {}, auto-answered {}",
        statistics.resent,
        statistics.out_of_call,
        statistics.dead_call,
        statistics.malformed,
        statistics.auto_answered
    ));
    if statistics.media_sent + statistics.media_received > 0 {
        line(format_args!(
            "Media     {} packets sent, {} received",
            statistics.media_sent, statistics.media_received
        ));
    }
    times(&mut text, scenario, statistics);
    generator(&mut text, scenario, statistics, settings, health, faults);
    text
}

fn times(text: &mut String, scenario: &Scenario, statistics: &Statistics) {
    let mut line = |line: std::fmt::Arguments<'_>| {
        let written = writeln!(text, "{line}");
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    for (name, times) in scenario
        .response_times
        .iter()
        .zip(&statistics.response_times)
    {
        line(format_args!("Response time {name}"));
        line(format_args!(
            "  from the intended moment  {}",
            quantiles(&times.latency.response)
        ));
        line(format_args!(
            "  from the real sending     {}",
            quantiles(&times.latency.service)
        ));
        if times.waited.count() > times.latency.response.count() {
            line(format_args!(
                "  with what nobody answered {}",
                quantiles(&times.waited)
            ));
        }
    }
    let length = &statistics.call_length;
    line(format_args!("Call length"));
    line(format_args!(
        "  from the intended moment  {}",
        quantiles(&length.response)
    ));
    line(format_args!(
        "  from the real sending     {}",
        quantiles(&length.service)
    ));
    for (name, count) in scenario.counters.iter().zip(&statistics.counters) {
        line(format_args!("Counter {name}: {count}"));
    }
}

/// How far the generator kept to its plan.
fn generator(
    text: &mut String,
    scenario: &Scenario,
    statistics: &Statistics,
    settings: &Settings,
    health: &Health,
    faults: &[Reason],
) {
    let mut line = |line: std::fmt::Arguments<'_>| {
        let written = writeln!(text, "{line}");
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    let lag = &statistics.lag;
    let what = match (scenario.side, settings.transport) {
        (Side::Client, _) => "Generator lag",
        (Side::Server, Transport::Udp) => "Messages taken late by",
        (Side::Server, Transport::Tcp | Transport::Tls) => "Woken up late by",
    };
    line(format_args!("{what:<27} {}", quantiles(lag)));
    if settings.load.users.is_some() {
        line(format_args!(
            "Closed loop: a slow peer slows the arrivals; times are optimistic"
        ));
    }
    for words in left_out(statistics) {
        line(format_args!("{words}"));
    }
    let parts: Vec<String> = health
        .busy_parts()
        .iter()
        .map(|part| format!("{:.0} %", part * 100.0))
        .collect();
    line(format_args!(
        "Generator                   held up at most {:.3} ms, {} datagrams dropped at its sockets \
         ({} at the peer's, {} on this machine), {} messages unsent, cores used {}",
        health.stalls.max_us() as f64 / 1_000.0,
        health.own_drops,
        health.peer_drops,
        health.machine_drops,
        health.unsent,
        parts.join(" ")
    ));
    let diverges = statistics
        .response_times
        .iter()
        .any(|time| time.latency.diverges());
    if diverges {
        line(format_args!(
            "The times from the intended moment and from the real sending differ: read the former"
        ));
    }
    if let Some(note) = health.note() {
        line(format_args!("Note: {note}"));
    }
    for fault in faults {
        line(format_args!("Invalid: {fault}"));
    }
}

/// What was to be done and was not, for a limit of ours.
fn left_out(statistics: &Statistics) -> Vec<String> {
    let mut found = Vec::new();
    let Statistics {
        limited,
        unreached,
        unlogged,
        ..
    } = *statistics;
    if limited > 0 {
        found.push(format!(
            "limit_hit={limited}: so many calls were not opened because of -l"
        ));
    }
    if unreached > 0 {
        found.push(format!(
            "Not sent: {unreached} times a call or its media were to go to another machine; see \
             --allow-target"
        ));
    }
    if unlogged > 0 {
        found.push(format!("{unlogged} log lines were dropped"));
    }
    found
}

fn steps(text: &mut String, scenario: &Scenario, statistics: &Statistics) {
    let is_shown = |(step, _): &(&Step, &StepCounts)| !step.is_hidden;
    let rows = scenario
        .steps
        .iter()
        .zip(&statistics.steps)
        .filter(is_shown);
    let mut all = format!(
        "{:<26} {:>10} {:>8} {:>8} {:>10}\n",
        "", "Messages", "Repeats", "Timeouts", "Unexpected"
    );
    for (step, counts) in rows {
        let arrow = match (&step.kind, scenario.side) {
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
        let lost = if counts.lost > 0 {
            format!("  lost {}", counts.lost)
        } else {
            String::new()
        };
        let written = writeln!(
            all,
            "{arrow} {:<22} {:>10} {:>8} {:>8} {:>10}{lost}",
            step.display, counts.messages, counts.repeats, counts.timeouts, counts.unexpected
        );
        debug_assert!(written.is_ok(), "a String takes everything");
        if step.blank_line {
            all.push('\n');
        }
    }
    text.push_str(&all);
}

fn quantiles(times: &Times) -> String {
    if times.count() == 0 {
        return "none measured".to_owned();
    }
    let millis = |micros: u64| format!("{:.3}", micros as f64 / 1_000.0);
    let at = |quantile| millis(times.quantile_us(quantile));
    let longer = match times.clipped() {
        0 => String::new(),
        count => format!(", {count} longer than a day"),
    };
    format!(
        "p50 {}  p90 {}  p99 {}  p99.9 {}  max {} ms ({} measured{longer})",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        millis(times.max_us()),
        times.count()
    )
}
