//! Statistics as a file with SIPp's columns, in its order, so that what reads its files reads
//! ours. Periodic columns hold what was counted since the line before.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::super::calendar::Calendar;
use super::super::model::{Scenario, Side};
use super::super::statistics::{Failure, Statistics, Times};

/// What a line is made of.
pub(super) struct Snapshot<'a> {
    pub(super) statistics: &'a Statistics,
    pub(super) scenario: &'a Scenario,
    pub(super) calendar: &'a Calendar,
    pub(super) started: Instant,
    pub(super) now: Instant,
    /// Calls a second.
    pub(super) rate: f64,
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
        both(name, &mut columns);
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

/// One line. Periods are the whole run: the sum over lines is not wanted, and no state is kept.
pub(super) fn line(snapshot: &Snapshot<'_>, delimiter: &str) -> String {
    let Snapshot {
        statistics,
        scenario,
        calendar,
        started,
        now,
        rate,
    } = snapshot;
    let mut row = Row {
        text: String::new(),
        delimiter,
    };
    let stamp = |at: Instant| {
        let mut text = Vec::new();
        calendar.write_timestamp(at, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let created = statistics.incoming + statistics.outgoing;
    let elapsed = now.saturating_duration_since(*started);
    let cps = created as f64 / elapsed.as_secs_f64().max(1e-3);
    row.add(stamp(*started));
    row.add(stamp(*started));
    row.add(stamp(*now));
    row.both(clock(elapsed));
    row.add(match scenario.side {
        Side::Client => format!("{rate}"),
        Side::Server => "0".to_owned(),
    });
    row.both(format!("{cps:.3}"));
    row.both(statistics.incoming);
    row.both(statistics.outgoing);
    row.add(created);
    row.add(statistics.current);
    row.both(statistics.successful);
    row.both(statistics.failed());
    for failure in Failure::ALL {
        row.both(statistics.failures[failure as usize]);
    }
    row.both(statistics.out_of_call);
    row.both(statistics.dead_call);
    row.both(statistics.resent);
    row.both(statistics.auto_answered);
    row.both(statistics.warnings);
    for _ in ["FatalErrors", "WatchdogMajor", "WatchdogMinor"] {
        row.both(0);
    }
    for times in &statistics.response_times {
        row.times(&times.service);
    }
    row.times(&statistics.call_length);
    for counter in &statistics.counters {
        row.both(counter);
    }
    for times in &statistics.response_times {
        row.classes(&times.classes);
    }
    row.classes(&statistics.call_length_classes);
    row.text
}

struct Row<'a> {
    text: String,
    delimiter: &'a str,
}

impl Row<'_> {
    fn add(&mut self, value: impl std::fmt::Display) {
        let written = write!(self.text, "{value}{}", self.delimiter);
        debug_assert!(written.is_ok(), "a String takes everything");
    }

    fn both(&mut self, value: impl std::fmt::Display) {
        self.add(&value);
        self.add(&value);
    }

    fn times(&mut self, times: &Times) {
        let (mean, deviation) = times.mean_us();
        self.both(micros(mean));
        self.both(micros(deviation));
    }

    fn classes(&mut self, classes: &[u64]) {
        if !classes.is_empty() {
            self.add("");
            for class in classes {
                self.add(class);
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

fn micros(micros: f64) -> String {
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
            statistics: &Statistics::new(&scenario),
            scenario: &scenario,
            calendar: &Calendar {
                at: now,
                epoch: Duration::ZERO,
            },
            started: now,
            now,
            rate: 10.0,
        };
        let line = line(&snapshot, ";");
        assert_eq!(line.matches(';').count(), header.matches(';').count());
        assert!(
            line.starts_with("1970-01-01\t00:00:00.000000\t0.000000;"),
            "{line}"
        );
    }
}
