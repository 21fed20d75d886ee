//! How often each step was passed, as a file with SIPp's columns.

use super::super::model::{Scenario, Step, StepKind};
use super::super::statistics::StepCounts;
use super::csv::{Snapshot, micros};

/// The columns of a step, and what stands in them.
fn columns(step: &Step, counts: &StepCounts, loses: bool) -> Vec<(&'static str, u64)> {
    let StepCounts {
        messages,
        repeats,
        timeouts,
        unexpected,
        lost,
    } = *counts;
    let mut columns = match &step.kind {
        StepKind::Send(send) if send.resend.is_some() => {
            vec![
                ("Sent", messages),
                ("Retrans", repeats),
                ("Timeout", timeouts),
            ]
        }
        StepKind::Send(_) => vec![("Sent", messages), ("Retrans", repeats)],
        StepKind::Receive(_) => vec![
            ("Recv", messages),
            ("Retrans", repeats),
            ("Timeout", timeouts),
            ("Unexp", unexpected),
        ],
        StepKind::Pause(_) | StepKind::TimeWait(_) => {
            vec![("Sessions", messages), ("Unexp", unexpected)]
        }
        // SIPp has the column, and counts nothing in it.
        StepKind::Nop => vec![("Sessions", 0), ("Unexp", unexpected)],
        StepKind::SendCommand(_) => vec![("Sent", messages)],
        StepKind::ReceiveCommand { .. } => vec![("Recv", messages), ("Unexp", unexpected)],
    };
    if loses && matches!(step.kind, StepKind::Send(_) | StepKind::Receive(_)) {
        columns.push(("Lost", lost));
    }
    columns
}

/// Whether any message is lost on purpose.
fn loses(scenario: &Scenario) -> bool {
    scenario.steps.iter().any(|step| step.lost > 0.0)
}

/// The first line.
pub(super) fn header(scenario: &Scenario, delimiter: &str) -> String {
    let mut line = format!("CurrentTime{delimiter}ElapsedTime{delimiter}");
    for (index, step) in scenario.steps.iter().enumerate() {
        let name = match &step.kind {
            StepKind::Pause(_) | StepKind::TimeWait(_) | StepKind::Nop => "Pause",
            StepKind::Send(_)
            | StepKind::Receive(_)
            | StepKind::SendCommand(_)
            | StepKind::ReceiveCommand { .. } => step.display.as_str(),
        };
        for (column, _) in columns(step, &StepCounts::default(), loses(scenario)) {
            line.push_str(&format!("{index}_{name}_{column}{delimiter}"));
        }
    }
    line
}

/// When a line is written, and how long after the start.
fn moment(snapshot: &Snapshot<'_>, delimiter: &str) -> String {
    let mut stamp = Vec::new();
    snapshot.calendar.write_timestamp(snapshot.now, &mut stamp);
    let elapsed = snapshot.now.saturating_duration_since(snapshot.started);
    format!(
        "{}{delimiter}{}{delimiter}",
        String::from_utf8_lossy(&stamp),
        micros(elapsed.as_secs_f64() * 1e6)
    )
}

/// One line of the status codes that the scenario did not expect, each with how often it came.
pub(super) fn codes(snapshot: &Snapshot<'_>, delimiter: &str) -> String {
    let mut line = moment(snapshot, delimiter);
    for (code, count) in &snapshot.statistics.unexpected_codes {
        line.push_str(&format!("{code}{delimiter}{count}{delimiter}"));
    }
    line
}

/// One line.
pub(super) fn line(snapshot: &Snapshot<'_>, delimiter: &str) -> String {
    let mut line = moment(snapshot, delimiter);
    let loses = loses(snapshot.scenario);
    for (step, counts) in snapshot
        .scenario
        .steps
        .iter()
        .zip(&snapshot.statistics.steps)
    {
        for (_, count) in columns(step, counts, loses) {
            line.push_str(&format!("{count}{delimiter}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scenario::load::load;

    #[test]
    fn every_step_has_its_columns() {
        let text = "<scenario><send retrans=\"500\"><![CDATA[INVITE]]></send>\
            <recv response=\"200\"/><send><![CDATA[ACK]]></send><pause/></scenario>";
        let scenario = load(text.as_bytes(), &BTreeMap::new())
            .scenario
            .expect("a good one");
        assert_eq!(
            header(&scenario, ";"),
            "CurrentTime;ElapsedTime;0_INVITE_Sent;0_INVITE_Retrans;0_INVITE_Timeout;1_200_Recv;\
             1_200_Retrans;1_200_Timeout;1_200_Unexp;2_ACK_Sent;2_ACK_Retrans;3_Pause_Sessions;\
             3_Pause_Unexp;"
        );
    }
}
