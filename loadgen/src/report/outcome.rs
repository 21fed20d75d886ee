//! Everything that a run found out, as one value that becomes `result.json` and is read back from
//! it. `docs/result.schema.json` describes it; a change that readers could notice raises
//! [`Outcome::VERSION`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::environment::Environment;
use super::ladder::Ladder;
use crate::measure::{Health, Latency, Reason, Times};

/// What a run is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything went as it should.
    Passed,
    /// Something failed.
    Failed,
    /// The generator itself has spoiled the run: it says nothing about the server.
    Invalid,
    /// It was ended before its time.
    Stopped,
    /// What was offered was less than planned, because of a limit or of what may be reached.
    Thinned,
}

impl Verdict {
    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::Stopped => "stopped",
            Self::Thinned => "thinned",
        }
    }
}

/// Everything that a run found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Always [`Outcome::SCHEMA`].
    pub schema: String,
    /// The version of the schema.
    pub version: u32,
    /// What kind of run: `scenario`, `floor` or `find-max`.
    pub kind: String,
    /// The scenario's or profile's name.
    pub name: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// Where chance came from.
    pub seed: u64,
    /// When it began, in UTC.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// Where it ran.
    pub environment: Environment,
    /// What load was asked for.
    pub load: LoadNote,
    /// What it is worth.
    pub verdict: Verdict,
    /// The exit status of the program.
    pub exit_status: u8,
    /// Counts by name.
    pub totals: BTreeMap<String, u64>,
    /// What failed, by cause; causes that did not occur are left out.
    pub failures: Vec<Cause>,
    /// Broken rules, such as an oracle finds, in words.
    #[serde(default)]
    pub violations: Vec<String>,
    /// The steps of a scenario.
    #[serde(default)]
    pub steps: Vec<StepNote>,
    /// Latencies by name.
    pub latencies: Vec<LatencyNote>,
    /// What the generator did itself.
    pub health: HealthNote,
    /// What was demanded, and whether it was met.
    #[serde(default)]
    pub objectives: Vec<Objective>,
    /// The search for the highest load, if this was one.
    #[serde(default)]
    pub search: Option<Search>,
    /// What happened in each second.
    pub timeline: Vec<Point>,
    /// Messages of the first calls that failed of each cause, or that a broken rule is about.
    #[serde(default)]
    pub ladders: Vec<Ladder>,
}

/// What load was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadNote {
    /// `open`: arrivals do not depend on the peer. `closed`: a slow peer slows them.
    pub discipline: String,
    /// When things arrive, in words.
    pub plan: String,
    /// How many workers shared it.
    pub workers: u64,
    /// How bytes travel.
    pub transport: String,
    /// Our addresses.
    pub local: Vec<String>,
    /// The peer.
    pub remote: Option<String>,
    /// How bytes were moved: uring or epoll.
    pub driver: String,
}

/// A step of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNote {
    /// `send`, `receive`, `pause` or `other`.
    pub kind: String,
    /// What it is called.
    pub display: String,
    /// Messages, or passages.
    pub messages: u64,
    /// Sent or received again.
    pub repeats: u64,
    /// Waits that were too long.
    pub timeouts: u64,
    /// Other messages that came instead.
    pub unexpected: u64,
    /// Lost on purpose.
    pub lost: u64,
}

/// A distribution of times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// How many were measured.
    pub count: u64,
    /// Mean, in microseconds.
    pub mean_us: f64,
    /// Median.
    pub p50_us: u64,
    /// 90 % are below.
    pub p90_us: u64,
    /// 99 % are below.
    pub p99_us: u64,
    /// 99.9 % are below.
    pub p999_us: u64,
    /// 99.99 % are below.
    pub p9999_us: u64,
    /// The longest.
    pub max_us: u64,
    /// All of them: HdrHistogram V2, compressed, base64, in microseconds.
    pub histogram: String,
}

impl From<&Times> for Distribution {
    fn from(times: &Times) -> Self {
        Self {
            count: times.count(),
            mean_us: times.mean_us().0,
            p50_us: times.quantile_us(0.5),
            p90_us: times.quantile_us(0.9),
            p99_us: times.quantile_us(0.99),
            p999_us: times.quantile_us(0.999),
            p9999_us: times.quantile_us(0.9999),
            max_us: times.max_us(),
            histogram: times.to_text(),
        }
    }
}

impl Distribution {
    /// The histogram itself; an empty one if the text holds none.
    #[must_use]
    pub fn times(&self) -> Times {
        Times::from_text(&self.histogram).unwrap_or_default()
    }
}

/// A latency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyNote {
    /// What it is called.
    pub name: String,
    /// From the intended moment: what a caller would have waited.
    pub response: Distribution,
    /// From the real sending: what the server took.
    pub service: Distribution,
}

impl LatencyNote {
    /// A latency under its name.
    #[must_use]
    pub fn new(name: &str, latency: &Latency) -> Self {
        Self {
            name: name.to_owned(),
            response: (&latency.response).into(),
            service: (&latency.service).into(),
        }
    }
}

/// A worker's use of its core.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WorkerNote {
    /// Seconds on a core.
    pub busy_seconds: f64,
    /// Seconds in which it waited for one.
    pub waited_seconds: f64,
    /// The part of the run that it was on a core.
    pub busy_part: f64,
}

/// What the generator did itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthNote {
    /// Whether the run says anything about the server.
    pub valid: bool,
    /// Why not, by name and in words.
    pub faults: Vec<Cause>,
    /// How much later than intended things were sent; of a server, how late it took what came.
    pub lag: Distribution,
    /// How long event loops were held up.
    pub stalls: Distribution,
    /// Datagrams that the kernel dropped at our sockets.
    pub own_drops: u64,
    /// Datagrams that the kernel dropped at the peer's sockets, where it is on this machine.
    #[serde(default)]
    pub peer_drops: u64,
    /// Datagrams that the kernel dropped anywhere on this machine.
    pub machine_drops: u64,
    /// Messages that could not be given to the kernel.
    pub unsent: u64,
    /// Connections for which no descriptor or port was left.
    #[serde(default)]
    pub exhausted: u64,
    /// Each worker's use of its core.
    pub workers: Vec<WorkerNote>,
}

impl HealthNote {
    /// The evidence and what follows from it.
    #[must_use]
    pub fn new(health: &Health, faults: &[Reason]) -> Self {
        let workers = health.workers.iter().zip(health.busy_parts());
        let cause = |fault: &Reason| Cause {
            name: fault.name().to_owned(),
            words: fault.to_string(),
            count: 1,
            details: Vec::new(),
        };
        Self {
            valid: faults.is_empty(),
            faults: faults.iter().map(cause).collect(),
            lag: (&health.lag).into(),
            stalls: (&health.stalls).into(),
            own_drops: health.own_drops,
            peer_drops: health.peer_drops,
            machine_drops: health.machine_drops,
            unsent: health.unsent,
            exhausted: health.exhausted,
            workers: workers
                .map(|(load, busy_part)| WorkerNote {
                    busy_seconds: load.busy.as_secs_f64(),
                    waited_seconds: load.waited.as_secs_f64(),
                    busy_part,
                })
                .collect(),
        }
    }
}

/// Something that was demanded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// As it was written.
    pub text: String,
    /// What was found, in the same unit.
    pub found: String,
    /// Whether it was met.
    pub met: bool,
}

/// One try of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Why it was made: `probe`, `bisect`, `confirm` or `overload`.
    pub phase: String,
    /// Calls a second that were offered.
    pub rate: f64,
    /// Calls a second that ended well.
    pub goodput: f64,
    /// The part of all calls that failed.
    pub failed_part: f64,
    /// From the intended moment.
    pub p50_us: u64,
    /// From the intended moment.
    pub p99_us: u64,
    /// From the intended moment.
    pub max_us: u64,
    /// Whether the objective was met.
    pub met: bool,
    /// Whether the generator could carry it out.
    pub valid: bool,
    /// What broke, in words; empty if nothing did.
    pub broke: String,
}

/// A search for the highest load that meets an objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// The objective.
    pub objective: String,
    /// The highest rate that met it each time, in calls a second; zero if none did.
    pub knee: f64,
    /// The lowest rate that missed it; `None` if nothing did.
    pub broken_at: Option<f64>,
    /// What broke there.
    pub broke: String,
    /// All tries, in their order.
    pub probes: Vec<Probe>,
    /// Calls a second that ended well while more was offered than it can carry.
    #[serde(default)]
    pub overload: Option<Probe>,
    /// From the end of the overload until the objective was met again.
    #[serde(default)]
    pub recovery_seconds: Option<f64>,
}

/// What happened in about a second. Rates are calls a second, times microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The end of it, from the beginning of the run.
    pub second: f64,
    /// The rate that was planned.
    pub target: f64,
    /// What the plan offered, calls beyond a limit included.
    pub offered: f64,
    /// Calls begun by either side.
    pub created: f64,
    /// Calls that ended well.
    pub successful: f64,
    /// Calls that failed.
    pub failed: f64,
    /// Calls that lived at its end.
    pub live: u64,
    /// Messages sent again.
    pub resent: f64,
    /// Response times measured.
    pub measured: u64,
    /// Response time from the intended moment, median.
    pub p50_us: u64,
    /// Response time from the intended moment.
    pub p99_us: u64,
    /// Response time from the intended moment, the longest.
    pub max_us: u64,
    /// From the real sending.
    pub service_p99_us: u64,
    /// The generator's own lag.
    pub lag_p99_us: u64,
    /// The longest hold-up of an event loop.
    pub stall_max_us: u64,
}

/// Why a text is no result.
#[derive(Debug)]
pub enum BadOutcome {
    /// It is no JSON, or not of this shape.
    Json(serde_json::Error),
    /// It is the result of something else.
    Schema(String),
    /// It was written by a later version.
    Version(u32),
}

impl std::fmt::Display for BadOutcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(error) => write!(formatter, "it is no result of offhook-load: {error}"),
            Self::Schema(schema) => {
                write!(
                    formatter,
                    "its schema is `{schema}`, not `{}`",
                    Outcome::SCHEMA
                )
            }
            Self::Version(version) => write!(
                formatter,
                "its version {version} is newer than this program's, {}",
                Outcome::VERSION
            ),
        }
    }
}

impl std::error::Error for BadOutcome {}

impl Outcome {
    /// What `schema` says.
    pub const SCHEMA: &'static str = "offhook-load/result";
    /// The version that is written.
    pub const VERSION: u32 = 1;

    /// The JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("numbers, texts and lists of them can be written as JSON")
    }

    /// Reads what [`Outcome::to_json`] wrote.
    ///
    /// # Errors
    /// Why it is no result.
    pub fn from_json(text: &str) -> Result<Self, BadOutcome> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
            version: u32,
        }
        let head: Head = serde_json::from_str(text).map_err(BadOutcome::Json)?;
        if head.schema != Self::SCHEMA {
            return Err(BadOutcome::Schema(head.schema));
        }
        if head.version > Self::VERSION {
            return Err(BadOutcome::Version(head.version));
        }
        serde_json::from_str(text).map_err(BadOutcome::Json)
    }

    /// A count, zero if there is none of the name.
    #[must_use]
    pub fn total(&self, name: &str) -> u64 {
        self.totals.get(name).copied().unwrap_or(0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::super::cause::Detail;
    use super::super::ladder::Row;
    use super::*;

    /// A small result with something of everything.
    pub(in crate::report) fn sample() -> Outcome {
        let mut latency = Latency::default();
        for millis in 1..=20 {
            latency.record(Duration::from_millis(millis), Duration::ZERO);
        }
        let point = |second: u32| Point {
            second: f64::from(second),
            target: 10.0,
            offered: 10.0,
            created: 10.0,
            successful: 9.0,
            failed: 1.0,
            live: 4,
            measured: 10,
            p50_us: 1_000,
            p99_us: 2_000 * u64::from(second),
            max_us: 9_000,
            ..Point::default()
        };
        Outcome {
            schema: Outcome::SCHEMA.to_owned(),
            version: Outcome::VERSION,
            kind: "scenario".to_owned(),
            name: "a <b> & \"c\"".to_owned(),
            command: vec!["offhook-load".to_owned(), "uac".to_owned()],
            seed: 7,
            started: "2026-01-02T03:04:05Z".to_owned(),
            seconds: 3.0,
            environment: Environment::default(),
            load: LoadNote {
                discipline: "open".to_owned(),
                plan: "10 calls/s, even".to_owned(),
                workers: 1,
                transport: "UDP".to_owned(),
                local: vec!["127.0.0.1:5060".to_owned()],
                remote: Some("127.0.0.1:5070".to_owned()),
                driver: "epoll".to_owned(),
            },
            verdict: Verdict::Failed,
            exit_status: 1,
            totals: [("created", 30), ("successful", 27), ("failed", 3)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
            failures: vec![Cause {
                name: "UnexpectedMessage".to_owned(),
                words: "unexpected message".to_owned(),
                details: vec![Detail {
                    words: "486 Busy Here to INVITE, where 200 was expected".to_owned(),
                    count: 3,
                }],
                count: 3,
            }],
            violations: Vec::new(),
            steps: vec![StepNote {
                kind: "send".to_owned(),
                display: "INVITE".to_owned(),
                messages: 30,
                repeats: 0,
                timeouts: 0,
                unexpected: 0,
                lost: 0,
            }],
            latencies: vec![LatencyNote::new("1", &latency)],
            health: HealthNote::new(&Health::default(), &[]),
            objectives: Vec::new(),
            search: None,
            timeline: (1..=3).map(point).collect(),
            ladders: vec![Ladder {
                call: 5,
                call_id: "5@x".to_owned(),
                cause: "unexpected message".to_owned(),
                rows: vec![Row {
                    at_us: 1_500,
                    is_ours: true,
                    line: "INVITE".to_owned(),
                    text: Some("INVITE sip:<a> SIP/2.0".to_owned()),
                }],
            }],
        }
    }

    #[test]
    fn a_result_comes_back_from_its_json() {
        let outcome = sample();
        let back = Outcome::from_json(&outcome.to_json()).expect("our own text");
        assert_eq!(back, outcome);
        assert_eq!(back.latencies[0].response.times().count(), 20);
        assert_eq!((back.total("created"), back.total("nothing")), (30, 0));
    }

    #[test]
    fn other_texts_are_no_results() {
        assert!(matches!(Outcome::from_json("{"), Err(BadOutcome::Json(_))));
        let other = r#"{"schema": "else", "version": 1}"#;
        assert!(matches!(
            Outcome::from_json(other),
            Err(BadOutcome::Schema(_))
        ));
        let newer = sample()
            .to_json()
            .replace("\"version\": 1,", "\"version\": 9,");
        assert!(matches!(
            Outcome::from_json(&newer),
            Err(BadOutcome::Version(9))
        ));
    }

    /// The schema in docs names every key that is written, and no other.
    #[test]
    fn the_schema_is_of_what_is_written() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/result.schema.json");
        let text = std::fs::read_to_string(path).expect("the schema is there");
        let schema: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let written = serde_json::to_value(sample()).expect("it can be written");
        let keys = |value: &serde_json::Value| -> Vec<String> {
            let map = value.as_object().expect("an object");
            let mut keys: Vec<String> = map.keys().cloned().collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(&schema["properties"]), keys(&written));
        for (definition, example) in [
            ("point", &written["timeline"][0]),
            ("latency", &written["latencies"][0]),
            ("distribution", &written["latencies"][0]["response"]),
            ("health", &written["health"]),
            ("load", &written["load"]),
            ("step", &written["steps"][0]),
            ("cause", &written["failures"][0]),
            ("detail", &written["failures"][0]["details"][0]),
            ("ladder", &written["ladders"][0]),
            ("environment", &written["environment"]),
        ] {
            let described = &schema["$defs"][definition]["properties"];
            assert_eq!(keys(described), keys(example), "{definition}");
        }
        assert_eq!(schema["properties"]["version"]["const"], Outcome::VERSION);
    }
}
