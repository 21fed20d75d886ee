//! What a run has found out, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use offhook::server::words::counted;

use super::oracle::{Measure, Rule, Violation};
use super::profile::Profile;
use super::stage::Stage;
use super::stage::health_faults;
use super::trail::Line;
use super::weather::Losses;
use crate::measure::{Health, Latency, Reason, Times};
use crate::population::{Token, Totals, Wire};
use crate::report::Point;

/// The result of a run.
#[derive(Debug, Clone)]
pub struct FloorOutcome {
    /// The profile's name.
    pub name: String,
    /// Where chance came from.
    pub seed: u64,
    /// Agents.
    pub agents: usize,
    /// Of them, with a desktop.
    pub desktops: usize,
    /// Shards of the server that was started here; 0 if it was another one.
    pub shards: u16,
    /// How that server moved bytes.
    pub driver: &'static str,
    /// How long calls were offered.
    pub duration: Duration,
    /// How long it took until everybody was there.
    pub ready_in: Duration,
    /// How calls ended.
    pub calls: Totals,
    /// Subscriptions at the end, and NOTIFYs sent.
    pub presence: (usize, u64),
    /// Comparisons of agents' states.
    pub comparisons: u64,
    /// Violations by rule.
    pub counts: BTreeMap<Rule, u64>,
    /// The first violations.
    pub violations: Vec<Violation>,
    /// The ConnIDs of the calls concerned, as far as they are known.
    pub conn_ids: BTreeMap<Token, String>,
    /// The messages of calls that went wrong.
    pub trails: BTreeMap<Token, Vec<Line>>,
    /// Requests of desktops: sent, and answered well.
    pub requests: (u64, u64),
    /// Errors that they were answered with.
    pub errors: BTreeMap<(String, String), u64>,
    /// Connections lost, and resumed without a gap.
    pub losses: (u64, u64),
    /// What was done to calls, by the server's words.
    pub deeds: BTreeMap<&'static str, u64>,
    /// What was measured.
    pub times: BTreeMap<Measure, Times>,
    /// From the intended call to the phone, when somebody was free.
    pub routing: Latency,
    /// The same when nobody was.
    pub queueing: Latency,
    /// What the generator did itself.
    pub health: Health,
    /// What went over the wire.
    pub wire: Wire,
    /// What the network did on purpose.
    pub weather: Losses,
    /// When it began, in UTC.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// Whether somebody has stopped it.
    pub is_stopped: bool,
    /// When callers came, in words.
    pub plan: String,
    /// Workers of the generator.
    pub workers: u64,
    /// Our own addresses.
    pub local: Vec<String>,
    /// The server's.
    pub remote: Option<String>,
    /// What happened in each second.
    pub timeline: Vec<Point>,
}

impl FloorOutcome {
    pub(super) fn of(stage: &Stage, profile: &Profile, ready_in: Duration) -> Self {
        let (mut wire, mut weather) = (Wire::default(), Losses::default());
        let mut presence = (0, 0);
        for standing in stage.standings() {
            wire += standing.wire;
            weather.lost += standing.losses.lost;
            weather.doubled += standing.losses.doubled;
            weather.delayed += standing.losses.delayed;
            presence.0 += standing.subscriptions;
            presence.1 += standing.notifies;
        }
        let violations = stage.oracle.violations().to_vec();
        let conn_ids = violations
            .iter()
            .filter_map(|violation| violation.token)
            .filter_map(|token| Some((token, stage.oracle.conn_id(token)?.to_owned())))
            .collect();
        Self {
            name: profile.name.clone(),
            seed: profile.seed,
            agents: profile.agent_count(),
            desktops: stage.desks.len(),
            shards: stage.shards,
            driver: stage.driver,
            duration: profile.duration,
            ready_in,
            calls: stage.totals(),
            presence,
            comparisons: stage.oracle.comparisons(),
            counts: stage.oracle.counts().clone(),
            violations,
            conn_ids,
            trails: stage.trails.clone(),
            requests: stage.requests,
            errors: stage.errors.clone(),
            losses: stage.losses,
            deeds: stage.deeds.counts().clone(),
            times: stage.times.clone(),
            routing: stage.routing.clone(),
            queueing: stage.queueing.clone(),
            health: stage.health(),
            wire,
            weather,
            started: stage.started.clone(),
            seconds: 0.0,
            is_stopped: false,
            plan: plan_words(profile),
            workers: profile.pbxs.len() as u64,
            local: stage.local.iter().map(ToString::to_string).collect(),
            remote: Some(stage.remote.to_string()),
            timeline: Vec::new(),
        }
    }

    /// Whether no rule was broken and every call is accounted for.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let Totals {
            offered,
            answered,
            abandoned,
            refused,
            lost,
        } = self.calls;
        self.counts.is_empty() && lost == 0 && offered == answered + abandoned + refused
    }

    /// Whether the generator kept its own schedule, so that its latencies are the server's.
    #[must_use]
    pub fn is_trustworthy(&self) -> bool {
        self.health_faults().is_empty()
    }

    /// Why the generator's figures say nothing about the server; empty if they do.
    #[must_use]
    pub fn health_faults(&self) -> Vec<Reason> {
        health_faults(&self.health)
    }

    /// A table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        self.say_calls(&mut text);
        self.say_times(&mut text);
        text.push_str(&self.ladders());
        text.trim_end().to_owned()
    }

    fn say_calls(&self, text: &mut String) {
        let Totals {
            offered,
            answered,
            abandoned,
            refused,
            lost,
        } = self.calls;
        let mut row = |name: &str, value: String| add_row(text, name, &value);
        row("floor, seed", format!("{}, {}", self.name, self.seed));
        row(
            "agents, with a desktop",
            format!("{}, {}", self.agents, self.desktops),
        );
        row(
            "all logged in after",
            format!("{:.1} s", self.ready_in.as_secs_f64()),
        );
        row("calls offered", offered.to_string());
        row("  answered", answered.to_string());
        row("  abandoned by the caller", abandoned.to_string());
        row("  refused", refused.to_string());
        row("  lost", lost.to_string());
        for (deed, count) in &self.deeds {
            row(&format!("  {deed}"), count.to_string());
        }
        let (subscriptions, notifies) = self.presence;
        row(
            "subscriptions, NOTIFYs",
            format!("{subscriptions}, {notifies}"),
        );
        row("agent states compared", self.comparisons.to_string());
        let (asked, done) = self.requests;
        row("requests, carried out", format!("{asked}, {done}"));
        for ((request, code), count) in &self.errors {
            row(
                &format!("  {request}"),
                format!("{code}, {}", times(*count)),
            );
        }
        let (gone, resumed) = self.losses;
        row("connections lost, resumed", format!("{gone}, {resumed}"));
    }

    fn say_times(&self, text: &mut String) {
        let mut row = |name: &str, value: String| add_row(text, name, &value);
        row("caller to phone, agent free", words(&self.routing.response));
        row("the same, no agent free", words(&self.queueing.response));
        for (measure, times) in &self.times {
            row(measure.name(), words(times));
        }
        let health = &self.health;
        row("generator's own lag", words(&health.lag));
        row(
            "datagrams dropped here",
            format!("{}, at the server {}", health.own_drops, health.peer_drops),
        );
        row("sent again", self.wire.resent.to_string());
        let Losses {
            lost,
            doubled,
            delayed,
        } = self.weather;
        if lost + doubled + delayed > 0 {
            let losses = format!("{lost} lost, {doubled} doubled, {delayed} late");
            row("network, on purpose", losses);
        }
        for reason in self.health_faults() {
            row("INVALID", reason.to_string());
        }
        for (rule, count) in &self.counts {
            row("VIOLATED", format!("{}, {}", rule.name(), times(*count)));
        }
        row("result", verdict(self.is_clean(), self.is_trustworthy()));
    }

    /// The first violations, each with the messages of its call.
    #[must_use]
    pub fn ladders(&self) -> String {
        let mut text = String::new();
        let mut shown = Vec::new();
        for violation in &self.violations {
            text.push('\n');
            text.push_str(&self.words(violation));
            text.push('\n');
            let Some(token) = violation.token.filter(|token| !shown.contains(token)) else {
                continue;
            };
            shown.push(token);
            for line in self.trails.get(&token).into_iter().flatten() {
                text.push_str(&ladder_line(line, violation));
            }
        }
        text
    }

    /// One violation in a line.
    #[must_use]
    pub fn words(&self, violation: &Violation) -> String {
        let mut words = format!("{}: {}", violation.rule.name(), violation.words);
        if let Some(dn) = &violation.dn {
            let _ = write!(words, "; DN {dn}");
        }
        let known = violation.token.and_then(|token| self.conn_ids.get(&token));
        if let Some(conn_id) = violation.conn_id.as_ref().or(known) {
            let _ = write!(words, "; ConnID {conn_id}");
        }
        if let Some(Token(token)) = violation.token {
            let _ = write!(words, "; caller's call {token:016x}");
        }
        words
    }
}

/// When callers come, in words.
fn plan_words(profile: &Profile) -> String {
    let words = |plan: &super::profile::CallerPlan| {
        let spacing = match plan.spacing {
            crate::load::Spacing::Even => "even",
            crate::load::Spacing::Poisson => "Poisson",
        };
        format!("{}: {} calls/s, {spacing}", plan.name, plan.arrivals_text)
    };
    let all: Vec<String> = profile.callers.iter().map(words).collect();
    all.join("; ")
}

/// A distribution in words.
pub(crate) fn words(times: &Times) -> String {
    if times.count() == 0 {
        return "none".to_owned();
    }
    let milliseconds =
        |micros: u64| format!("{:.2}", Duration::from_micros(micros).as_secs_f64() * 1e3);
    format!(
        "p50 {} ms, p99 {} ms, max {} ms ({})",
        milliseconds(times.quantile_us(0.5)),
        milliseconds(times.quantile_us(0.99)),
        milliseconds(times.max_us()),
        times.count(),
    )
}

/// One message, with the time before the violation was found.
fn ladder_line(line: &Line, violation: &Violation) -> String {
    let before = violation.at.saturating_duration_since(line.at);
    let after = line.at.saturating_duration_since(violation.at);
    let seconds = after.as_secs_f64() - before.as_secs_f64();
    let arrow = if line.is_ours { "->" } else { "<-" };
    format!(
        "    {seconds:>9.3} s {arrow} {:<60} {}\n",
        line.words, line.call_id
    )
}

/// How often, in words.
pub(crate) fn times(count: u64) -> String {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    counted(count, "time")
}

/// Adds a line of a table for people.
pub(crate) fn add_row(text: &mut String, name: &str, value: &str) {
    writeln!(text, "  {name:<28} {value}").expect("writing to a string cannot fail");
}

/// What a run says at its end: whether all was right, and whether its times are worth reading.
pub(crate) fn verdict(is_clean: bool, is_trustworthy: bool) -> String {
    let found = if is_clean { "clean" } else { "NOT CLEAN" };
    if is_trustworthy {
        found.to_owned()
    } else {
        format!("{found}, but the generator was at fault: its times are not the server's")
    }
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn a_generator_that_was_late_is_part_of_the_verdict() {
        assert_eq!(verdict(true, true), "clean");
        assert_eq!(verdict(false, true), "NOT CLEAN");
        for is_clean in [true, false] {
            assert!(verdict(is_clean, false).contains("the generator was at fault"));
        }
    }
}
