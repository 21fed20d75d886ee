//! What a demo has found out, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::measure::Latencies;
use super::stage::Stage;
use crate::cli::Demo;
use crate::population::{Fault, Totals};

/// The generator's own lag beyond which its measurements say more about itself.
const LAG_US_MAX: u64 = 5_000;

/// The result of a demo.
#[derive(Debug, Clone)]
pub struct Report {
    agents: u32,
    shards: u16,
    seed: u64,
    driver: &'static str,
    duration: Duration,
    ready_in: Duration,
    calls: Totals,
    subscriptions: usize,
    notifies: u64,
    mismatches: u64,
    examples: Vec<String>,
    compared: u64,
    faults: BTreeMap<Fault, u64>,
    routing: Latencies,
    queueing: Latencies,
    state: Latencies,
    lag: Latencies,
    resent: u64,
    repeated: u64,
    malformed: u64,
    drops: u64,
}

impl Report {
    pub(super) fn of(stage: &Stage, options: &Demo, ready_in: Duration) -> Self {
        let population = &stage.population;
        let (phones, people) = (population.pbx.wire(0), population.callers.wire());
        let mut faults = BTreeMap::new();
        for fault in &stage.faults {
            *faults.entry(*fault).or_insert(0) += 1;
        }
        Self {
            agents: options.agents,
            shards: stage.shards,
            seed: options.seed,
            driver: stage.driver,
            duration: options.duration,
            ready_in,
            calls: population.callers.totals(),
            subscriptions: population.pbx.subscriptions(),
            notifies: population.pbx.notifies_sent(),
            mismatches: stage.ledger.mismatches,
            examples: stage.ledger.examples.clone(),
            compared: stage.ledger.compared,
            faults,
            routing: stage.routing.clone(),
            queueing: stage.queueing.clone(),
            state: stage.ledger.latencies.clone(),
            lag: stage.lag.clone(),
            resent: phones.resent + people.resent,
            repeated: phones.repeated + people.repeated,
            malformed: phones.malformed + people.malformed,
            drops: stage.drops(),
        }
    }

    /// Whether every call came to a proper end, every agent's state was right, and the server
    /// broke no rule.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let Totals {
            offered,
            answered,
            abandoned,
            refused,
            lost,
        } = self.calls;
        offered == answered + abandoned + refused
            && lost == 0
            && self.mismatches == 0
            && self.faults.is_empty()
            && self.malformed == 0
    }

    /// Whether the generator kept its own schedule, so that its latencies are the server's.
    #[must_use]
    pub fn is_trustworthy(&self) -> bool {
        self.lag.quantile(0.99) <= LAG_US_MAX && self.drops == 0
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let Totals {
            offered,
            answered,
            abandoned,
            refused,
            lost,
        } = self.calls;
        let faults: BTreeMap<String, u64> = self
            .faults
            .iter()
            .map(|(fault, count)| (format!("{fault:?}"), *count))
            .collect();
        let object: Value = json!({
            "agents": self.agents,
            "shards": self.shards,
            "seed": self.seed,
            "driver": self.driver,
            "duration_ms": u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            "ready_ms": u64::try_from(self.ready_in.as_millis()).unwrap_or(u64::MAX),
            "calls": {
                "offered": offered,
                "answered": answered,
                "abandoned": abandoned,
                "refused": refused,
                "lost": lost,
            },
            "presence": { "subscriptions": self.subscriptions, "notifies": self.notifies },
            "agent_state_mismatches": self.mismatches,
            "agent_state_comparisons": self.compared,
            "agent_state_examples": self.examples,
            "faults": faults,
            "routing_us": self.routing.json(),
            "queueing_us": self.queueing.json(),
            "state_us": self.state.json(),
            "generator": {
                "lag_us": self.lag.json(),
                "datagrams_dropped": self.drops,
                "sent_again": self.resent,
                "received_again": self.repeated,
                "malformed_received": self.malformed,
                "trustworthy": self.is_trustworthy(),
            },
        });
        object.to_string()
    }

    /// The same as a table.
    #[must_use]
    pub fn table(&self) -> String {
        let Totals {
            offered,
            answered,
            abandoned,
            refused,
            lost,
        } = self.calls;
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            writeln!(text, "  {name:<28} {value}").expect("writing to a string cannot fail");
        };
        row("agents", self.agents.to_string());
        row(
            "shards, driver, seed",
            format!("{}, {}, {}", self.shards, self.driver, self.seed),
        );
        row(
            "all Ready after",
            format!("{:.1} s", self.ready_in.as_secs_f64()),
        );
        row("calls offered", offered.to_string());
        row("  answered", answered.to_string());
        row("  abandoned by the caller", abandoned.to_string());
        row("  refused", refused.to_string());
        row("  lost", lost.to_string());
        row(
            "subscriptions, NOTIFYs",
            format!("{}, {}", self.subscriptions, self.notifies),
        );
        let states = format!("{} in {} comparisons", self.mismatches, self.compared);
        row("agent state mismatches", states);
        row("routing, agent free", latencies(&self.routing));
        row("waiting, no agent free", latencies(&self.queueing));
        row("NOTIFY to CTI event", latencies(&self.state));
        row("generator's own lag", latencies(&self.lag));
        row(
            "datagrams dropped, sent again",
            format!("{}, {}", self.drops, self.resent),
        );
        for (fault, count) in &self.faults {
            row("FAULT", format!("{fault:?}, {count} times"));
        }
        for example in &self.examples {
            row("MISMATCH", example.clone());
        }
        if !self.is_trustworthy() {
            row(
                "NOTE",
                "the generator was late or datagrams were dropped: the latencies are \
                         not the server's alone"
                    .to_owned(),
            );
        }
        row(
            "result",
            if self.is_clean() {
                "clean"
            } else {
                "NOT CLEAN"
            }
            .to_owned(),
        );
        text.trim_end().to_owned()
    }
}

fn latencies(latencies: &Latencies) -> String {
    if latencies.count() == 0 {
        return "none".to_owned();
    }
    let milliseconds =
        |micros: u64| format!("{:.2}", Duration::from_micros(micros).as_secs_f64() * 1e3);
    format!(
        "p50 {} ms, p99 {} ms, max {} ms ({})",
        milliseconds(latencies.quantile(0.5)),
        milliseconds(latencies.quantile(0.99)),
        milliseconds(latencies.max()),
        latencies.count(),
    )
}
