//! What a run has found out as every other run of the generator tells it: one value for
//! `result.json`, the page and JUnit.

use super::FloorOutcome;
use super::oracle::Rule;
use crate::measure::Latency;
use crate::population::{Token, Totals};
use crate::report::{
    Cause, Environment, HealthNote, Ladder, LatencyNote, LoadNote, Outcome, Row, Verdict,
};

impl FloorOutcome {
    /// The result, with the command that led to it and the status that it ends with.
    #[must_use]
    pub fn report(&self, command: Vec<String>, exit_status: u8) -> Outcome {
        Outcome {
            schema: Outcome::SCHEMA.to_owned(),
            version: Outcome::VERSION,
            kind: "floor".to_owned(),
            name: self.name.clone(),
            command,
            seed: self.seed,
            started: self.started.clone(),
            seconds: self.seconds,
            environment: Environment::read(),
            load: self.load_note(),
            verdict: match (self.is_stopped, exit_status) {
                (true, _) => Verdict::Stopped,
                (false, 0) => Verdict::Passed,
                (false, crate::measure::EXIT_INVALID) => Verdict::Invalid,
                (false, _) => Verdict::Failed,
            },
            exit_status,
            totals: self.totals(),
            failures: self.failures(),
            violations: self
                .violations
                .iter()
                .map(|violation| self.words(violation))
                .collect(),
            steps: Vec::new(),
            latencies: self.latencies(),
            health: HealthNote::new(&self.health, &self.health_faults()),
            objectives: Vec::new(),
            search: None,
            timeline: self.timeline.clone(),
            ladders: self.ladder_notes(),
        }
    }

    fn load_note(&self) -> LoadNote {
        LoadNote {
            discipline: "open".to_owned(),
            plan: self.plan.clone(),
            workers: self.workers,
            transport: "UDP".to_owned(),
            local: self.local.clone(),
            remote: self.remote.clone(),
            driver: "epoll".to_owned(),
        }
    }

    fn totals(&self) -> std::collections::BTreeMap<String, u64> {
        let Totals {
            offered,
            answered,
            abandoned,
            refused,
            lost,
        } = self.calls;
        let (subscriptions, notifies) = self.presence;
        let named = [
            ("agents", self.agents as u64),
            ("desktops", self.desktops as u64),
            // The names that every kind of run has.
            ("created", offered),
            ("successful", answered),
            ("failed", refused + lost),
            ("offered", offered),
            ("answered", answered),
            ("abandoned", abandoned),
            ("refused", refused),
            ("lost", lost),
            ("subscriptions", subscriptions as u64),
            ("notifies", notifies),
            ("comparisons", self.comparisons),
            ("requests", self.requests.0),
            ("requests_carried_out", self.requests.1),
            ("connections_lost", self.losses.0),
            ("connections_resumed", self.losses.1),
            ("resent", self.wire.resent),
            ("malformed", self.wire.malformed),
            ("datagrams_lost_on_purpose", self.weather.lost),
            ("datagrams_doubled_on_purpose", self.weather.doubled),
            ("datagrams_delayed_on_purpose", self.weather.delayed),
        ];
        let named = named.map(|(name, count)| (name.to_owned(), count));
        let deeds = self
            .deeds
            .iter()
            .map(|(deed, count)| (deed.replace(' ', "_"), *count));
        named.into_iter().chain(deeds).collect()
    }

    fn failures(&self) -> Vec<Cause> {
        let rules = self.counts.iter().map(|(rule, count)| Cause {
            name: rule.name().to_owned(),
            words: rule.words().to_owned(),
            count: *count,
            details: Vec::new(),
        });
        let errors = self.errors.iter().map(|((request, code), count)| Cause {
            name: format!("{request}/{code}"),
            words: format!("{request} was answered with {code}"),
            count: *count,
            details: Vec::new(),
        });
        rules.chain(errors).collect()
    }

    fn latencies(&self) -> Vec<LatencyNote> {
        let mut notes = vec![
            LatencyNote::new("caller to phone, agent free", &self.routing),
            LatencyNote::new("caller to phone, no agent free", &self.queueing),
        ];
        for (measure, times) in &self.times {
            // Nothing of these waits for the generator: intended and real moment are the same.
            let latency = Latency {
                service: times.clone(),
                response: times.clone(),
            };
            notes.push(LatencyNote::new(measure.name(), &latency));
        }
        notes
    }

    fn ladder_notes(&self) -> Vec<Ladder> {
        let note = |(token, lines): (&Token, &Vec<super::trail::Line>)| {
            let first = lines.first()?;
            let concerns = |violation: &&super::Violation| violation.token == Some(*token);
            let cause = self.violations.iter().find(concerns);
            let rows = lines.iter().map(|line| {
                let after = line.at.saturating_duration_since(first.at);
                Row {
                    at_us: u64::try_from(after.as_micros()).unwrap_or(u64::MAX),
                    is_ours: line.is_ours,
                    line: line.words.clone(),
                    text: None,
                }
            });
            Some(Ladder {
                call: token.0 & 0xffff_ffff,
                call_id: first.call_id.clone(),
                cause: cause.map_or_else(String::new, |violation| self.words(violation)),
                rows: rows.collect(),
            })
        };
        self.trails.iter().filter_map(note).collect()
    }
}

impl Rule {
    /// What it demands.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Conservation => "a call was lost, or has not ended",
            Self::DoubleOffer => "a phone or a caller had two calls at once",
            Self::WrongAgent => "a caller rang where it may not",
            Self::Starvation => "a caller waited while an agent was free",
            Self::StaleState => "an agent's state was not true",
            Self::EventOrder => "events did not come in a legal order",
            Self::Sequence => "numbers of events were missing",
            Self::Answers => "a request was not answered once",
            Self::Testimony => "events and phones did not tell of the same calls",
            Self::Protocol => "a party met a broken rule of SIP",
        }
    }
}
