//! What a demo has found out, for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::floor::{FloorOutcome, Measure, Rule, add_row, times, verdict, words};
use crate::measure::Times;
use crate::population::Totals;

/// Contradictions that are told in words.
const EXAMPLES_MAX: usize = 10;

/// The result of a demo.
#[derive(Debug, Clone)]
pub struct Report {
    outcome: FloorOutcome,
}

impl Report {
    pub(super) fn of(outcome: FloorOutcome) -> Self {
        Self { outcome }
    }

    /// Whether every call came to a proper end, every agent's state was right, and the server
    /// broke no rule.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.outcome.is_clean() && self.outcome.wire.malformed == 0
    }

    /// Whether the generator kept its own schedule, so that its latencies are the server's.
    #[must_use]
    pub fn is_trustworthy(&self) -> bool {
        self.outcome.is_trustworthy()
    }

    fn mismatches(&self) -> u64 {
        let counts = &self.outcome.counts;
        counts.get(&Rule::StaleState).copied().unwrap_or(0)
    }

    fn examples(&self) -> Vec<String> {
        let stale = self.outcome.violations.iter();
        stale
            .filter(|violation| violation.rule == Rule::StaleState)
            .take(EXAMPLES_MAX)
            .map(|violation| self.outcome.words(violation))
            .collect()
    }

    /// Broken rules other than wrong states, by name.
    fn faults(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.outcome.counts.iter();
        counts
            .filter(|(rule, _)| **rule != Rule::StaleState)
            .map(|(rule, count)| (rule.name(), *count))
            .collect()
    }

    fn state(&self) -> Times {
        let times = self.outcome.times.get(&Measure::State);
        times.cloned().unwrap_or_default()
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let outcome = &self.outcome;
        let Totals {
            offered,
            answered,
            abandoned,
            refused,
            lost,
        } = outcome.calls;
        let (subscriptions, notifies) = outcome.presence;
        let (requests, carried_out) = outcome.requests;
        let object: Value = json!({
            "agents": outcome.agents,
            "desktops": outcome.desktops,
            "shards": outcome.shards,
            "seed": outcome.seed,
            "driver": outcome.driver,
            "duration_ms": milliseconds(outcome.duration),
            "ready_ms": milliseconds(outcome.ready_in),
            "calls": {
                "offered": offered,
                "answered": answered,
                "abandoned": abandoned,
                "refused": refused,
                "lost": lost,
            },
            "done_to_calls": deeds(&outcome.deeds),
            "requests": { "sent": requests, "carried_out": carried_out },
            "presence": { "subscriptions": subscriptions, "notifies": notifies },
            "agent_state_mismatches": self.mismatches(),
            "agent_state_comparisons": outcome.comparisons,
            "agent_state_examples": self.examples(),
            "faults": self.faults(),
            "routing_us": quantiles(&outcome.routing.response),
            "queueing_us": quantiles(&outcome.queueing.response),
            "state_us": quantiles(&self.state()),
            "generator": {
                "lag_us": quantiles(&outcome.health.lag),
                "datagrams_dropped": outcome.health.own_drops,
                "sent_again": outcome.wire.resent,
                "received_again": outcome.wire.repeated,
                "malformed_received": outcome.wire.malformed,
                "trustworthy": self.is_trustworthy(),
            },
        });
        object.to_string()
    }

    /// The same as a table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        self.say_calls(&mut text);
        self.say_times(&mut text);
        text.push_str(&self.outcome.ladders());
        text.trim_end().to_owned()
    }

    fn say_calls(&self, text: &mut String) {
        let outcome = &self.outcome;
        let Totals {
            offered,
            answered,
            abandoned,
            refused,
            lost,
        } = outcome.calls;
        let mut row = |name: &str, value: String| add_row(text, name, &value);
        row(
            "agents, with a desktop",
            format!("{}, {}", outcome.agents, outcome.desktops),
        );
        row(
            "shards, driver, seed",
            format!("{}, {}, {}", outcome.shards, outcome.driver, outcome.seed),
        );
        row(
            "all Ready after",
            format!("{:.1} s", outcome.ready_in.as_secs_f64()),
        );
        row("calls offered", offered.to_string());
        row("  answered", answered.to_string());
        row("  abandoned by the caller", abandoned.to_string());
        row("  refused", refused.to_string());
        row("  lost", lost.to_string());
        for (deed, count) in &outcome.deeds {
            row(&format!("  {deed}"), count.to_string());
        }
        let (requests, carried_out) = outcome.requests;
        row(
            "desktop requests, done",
            format!("{requests}, {carried_out}"),
        );
        let (subscriptions, notifies) = outcome.presence;
        row(
            "subscriptions, NOTIFYs",
            format!("{subscriptions}, {notifies}"),
        );
    }

    fn say_times(&self, text: &mut String) {
        let outcome = &self.outcome;
        let mut row = |name: &str, value: String| add_row(text, name, &value);
        let states = format!(
            "{} in {} comparisons",
            self.mismatches(),
            outcome.comparisons
        );
        row("agent state mismatches", states);
        row("routing, agent free", words(&outcome.routing.response));
        row("waiting, no agent free", words(&outcome.queueing.response));
        row("NOTIFY to CTI event", words(&self.state()));
        row("generator's own lag", words(&outcome.health.lag));
        row(
            "datagrams dropped, sent again",
            format!("{}, {}", outcome.health.own_drops, outcome.wire.resent),
        );
        for (fault, count) in self.faults() {
            row("FAULT", format!("{fault}, {}", times(count)));
        }
        let note = outcome.health.note();
        let faults = outcome.health_faults();
        for words in faults.iter().map(ToString::to_string).chain(note) {
            row("NOTE", words);
        }
        row("result", verdict(self.is_clean(), self.is_trustworthy()));
    }
}

/// What was done to calls, under names for programs.
fn deeds(deeds: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    let name = |deed: &str| deed.replace(' ', "_");
    deeds
        .iter()
        .map(|(deed, count)| (name(deed), *count))
        .collect()
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn quantiles(times: &Times) -> Value {
    json!({
        "count": times.count(),
        "p50": times.quantile_us(0.5),
        "p99": times.quantile_us(0.99),
        "max": times.max_us(),
    })
}
