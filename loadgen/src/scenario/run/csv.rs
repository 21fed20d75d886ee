//! Statistics as a file with SIPp's columns, in its order, so that what reads its files reads
//! ours. Periodic columns hold what was counted since the line before.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::super::calendar::Calendar;
use super::super::model::{Scenario, Side};
use super::super::statistics::{Failure, Statistics};
use crate::measure::Times;

/// What a line is made of.
pub(super) struct Snapshot<'a> {
    pub(super) statistics: &'a Statistics,
    pub(super) scenario: &'a Scenario,
    pub(super) calendar: &'a Calendar,
    pub(super) started: Instant,
    pub(super) now: Instant,
    /// What was counted until the line before, and when that was.
    pub(super) before: &'a Statistics,
    pub(super) before_at: Instant,
    /// Calls a second.
    pub(super) rate: f64,
    /// Whether classes of times hold what was counted since the line before.
    pub(super) is_periodic: bool,
}

/// The first line.
pub(super) fn header(scenario: &Scenario, delimiter: &str) -> String {
    let mut columns: Vec<String> = ["StartTime", "LastResetTime", "CurrentTime"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    let both = |name: &str, columns: &mut Vec<String>| {
        columns.push(format!("{name}(P)"));
        columns.push(format!("{name}(C)"));
    };
    both("ElapsedTime", &mut columns);
    columns.push("TargetRate".to_owned());
    both("CallRate", &mut columns);
    both("IncomingCall", &mut columns);
    both("OutgoingCall", &mut columns);
    columns.extend(["TotalCallCreated", "CurrentCall"].map(str::to_owned));
    both("SuccessfulCall", &mut columns);
    both("FailedCall", &mut columns);
    for failure in Failure::ALL {
        both(&format!("Failed{}", failure.names().0), &mut columns);
    }
    for name in [
        "OutOfCallMsgs",
        "DeadCallMsgs",
        "Retransmissions",
        "AutoAnswered",
        "Warnings",
        "FatalErrors",
        "WatchdogMajor",
        "WatchdogMinor",
    ] {
        both(name, &mut columns);
    }
    for name in &scenario.response_times {
        both(&format!("ResponseTime{name}"), &mut columns);
        both(&format!("ResponseTime{name}StDev"), &mut columns);
    }
    both("CallLength", &mut columns);
    both("CallLengthStDev", &mut columns);
    for name in &scenario.counters {
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = if is_number { "GenericCounter" } else { "" };
        both(&format!("{prefix}{name}"), &mut columns);
    }
    for name in &scenario.response_times {
        let name = format!("ResponseTimeRepartition{name}");
        classes(&name, &scenario.response_time_classes, &mut columns);
    }
    classes(
        "CallLengthRepartition",
        &scenario.call_length_classes,
        &mut columns,
    );
    let mut text = columns.join(delimiter);
    text.push_str(delimiter);
    text
}

fn classes(name: &str, ends: &[u64], columns: &mut Vec<String>) {
    let Some(last) = ends.last() else {
        return;
    };
    columns.push(name.to_owned());
    columns.extend(ends.iter().map(|end| format!("{name}_<{end}")));
    columns.push(format!("{name}_>={last}"));
}

/// One line.
pub(super) fn line(snapshot: &Snapshot<'_>, delimiter: &str) -> String {
    let Snapshot {
        statistics,
        scenario,
        calendar,
        started,
        now,
        before,
        before_at,
        rate,
        is_periodic,
    } = snapshot;
    let mut row = Row {
        text: String::new(),
        delimiter,
        is_periodic: *is_periodic,
    };
    let stamp = |at: Instant| {
        let mut text = Vec::new();
        calendar.write_timestamp(at, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let created = |statistics: &Statistics| statistics.incoming + statistics.outgoing;
    let elapsed = now.saturating_duration_since(*started);
    let period = now.saturating_duration_since(*before_at);
    let per_second = |calls: u64, time: Duration| calls as f64 / time.as_secs_f64().max(1e-3);
    row.add(stamp(*started));
    row.add(stamp(*before_at));
    row.add(stamp(*now));
    row.add(clock(period));
    row.add(clock(elapsed));
    row.add(match scenario.side {
        Side::Client => format!("{rate}"),
        Side::Server => "0".to_owned(),
    });
    let fresh = created(statistics).saturating_sub(created(before));
    row.add(format!("{:.3}", per_second(fresh, period)));
    row.add(format!("{:.3}", per_second(created(statistics), elapsed)));
    row.both(before.incoming, statistics.incoming);
    row.both(before.outgoing, statistics.outgoing);
    row.add(created(statistics));
    row.add(statistics.current);
    row.both(before.successful, statistics.successful);
    row.both(before.failed(), statistics.failed());
    for failure in Failure::ALL {
        let index = failure as usize;
        row.both(before.failures[index], statistics.failures[index]);
    }
    row.both(before.out_of_call, statistics.out_of_call);
    row.both(before.dead_call, statistics.dead_call);
    row.both(before.resent, statistics.resent);
    row.both(before.auto_answered, statistics.auto_answered);
    row.both(before.warnings, statistics.warnings);
    for _ in ["FatalErrors", "WatchdogMajor", "WatchdogMinor"] {
        row.both(0, 0);
    }
    row.measurements(statistics, before);
    row.text
}

struct Row<'a> {
    text: String,
    delimiter: &'a str,
    /// Whether classes of times hold what was counted since the line before.
    is_periodic: bool,
}

impl Row<'_> {
    fn add(&mut self, value: impl std::fmt::Display) {
        let written = write!(self.text, "{value}{}", self.delimiter);
        debug_assert!(written.is_ok(), "a String takes everything");
    }

    /// What was counted in the period, and in all.
    fn both(&mut self, before: u64, now: u64) {
        self.add(now.saturating_sub(before));
        self.add(now);
    }

    fn measurements(&mut self, statistics: &Statistics, before: &Statistics) {
        let none = Times::default();
        for (index, times) in statistics.response_times.iter().enumerate() {
            let before = before
                .response_times
                .get(index)
                .map_or(&none, |times| &times.latency.service);
            self.times(&times.latency.service, before);
        }
        self.times(&statistics.call_length.service, &before.call_length.service);
        for (index, counter) in statistics.counters.iter().enumerate() {
            self.both(before.counters.get(index).copied().unwrap_or(0), *counter);
        }
        for (index, times) in statistics.response_times.iter().enumerate() {
            let before = before.response_times.get(index);
            self.classes(&times.classes, before.map_or(&[], |before| &before.classes));
        }
        self.classes(&statistics.call_length_classes, &before.call_length_classes);
    }

    fn times(&mut self, times: &Times, before: &Times) {
        let (mean, deviation) = times.mean_us();
        let (mean_since, deviation_since) = times.mean_us_since(before);
        self.add(micros(mean_since));
        self.add(micros(mean));
        self.add(micros(deviation_since));
        self.add(micros(deviation));
    }

    fn classes(&mut self, classes: &[u64], before: &[u64]) {
        if !classes.is_empty() {
            self.add("");
            for (index, class) in classes.iter().enumerate() {
                let before = before.get(index).copied().filter(|_| self.is_periodic);
                self.add(class.saturating_sub(before.unwrap_or(0)));
            }
        }
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Microseconds as SIPp writes times.
pub(super) fn micros(micros: f64) -> String {
    let time = Duration::from_secs_f64((micros / 1e6).max(0.0));
    format!("{}:{:06}", clock(time), time.subsec_micros())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scenario::load::load;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any moment will do")]
    fn the_columns_are_sipp_s() {
        let text = "<scenario name=\"x\"><send><![CDATA[INVITE]]></send>\
            <recv response=\"200\" rtd=\"true\" counter=\"answers\"/>\
            <ResponseTimeRepartition value=\"10,20\"/><CallLengthRepartition value=\"5\"/>\
            </scenario>";
        let scenario = load(text.as_bytes(), &BTreeMap::new())
            .scenario
            .expect("a good one");
        let header = header(&scenario, ";");
        let start = "StartTime;LastResetTime;CurrentTime;ElapsedTime(P);ElapsedTime(C);TargetRate;\
            CallRate(P);CallRate(C);IncomingCall(P);IncomingCall(C);OutgoingCall(P);\
            OutgoingCall(C);TotalCallCreated;CurrentCall;SuccessfulCall(P);SuccessfulCall(C);\
            FailedCall(P);FailedCall(C);FailedCannotSendMessage(P);FailedCannotSendMessage(C);\
            FailedMaxUDPRetrans(P);";
        assert!(header.starts_with(start), "{header}");
        let end = ";ResponseTimeRepartition1;ResponseTimeRepartition1_<10;\
            ResponseTimeRepartition1_<20;ResponseTimeRepartition1_>=20;CallLengthRepartition;\
            CallLengthRepartition_<5;CallLengthRepartition_>=5;";
        assert!(header.ends_with(end), "{header}");
        let now = Instant::now();
        let snapshot = Snapshot {
            statistics: &Statistics {
                incoming: 5,
                ..Statistics::new(&scenario)
            },
            before: &Statistics {
                incoming: 3,
                ..Statistics::default()
            },
            before_at: now,
            scenario: &scenario,
            calendar: &Calendar::new(now, Duration::ZERO),
            started: now,
            now,
            rate: 10.0,
            is_periodic: false,
        };
        let line = line(&snapshot, ";");
        assert_eq!(line.matches(';').count(), header.matches(';').count());
        assert!(
            line.starts_with("1970-01-01\t00:00:00.000000\t0.000000;"),
            "{line}"
        );
    }
}
