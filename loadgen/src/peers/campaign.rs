//! The order of it all: everyone in turn within each round, so that what else this machine does
//! meets everyone alike.

use std::collections::BTreeMap;
use std::time::Duration;

use super::contestant::{Behind, Cast, Contestant, Setup};
use super::figures::{Bound, Figure, Goal, Report, Row};
use super::highest::{self, CLEAN, Highest};
use super::options::{DNS_MAX, Part, PeersOptions};
use super::say;
use super::scene::{Calls, Scene, Stage};
use crate::files;
use crate::report::{Environment, Outcome};
use crate::scenario::run::Interrupts;

/// How long calls last whose cost is measured.
const PAUSE: Duration = Duration::from_millis(100);
/// DNs that are called in turn: at no rate that is tried has one two calls at a time.
const COSTS: Setup = Setup {
    behind: Behind::Phones,
    dns: 4_000,
    keeps_events: true,
};
/// Calls a second until all that are to be held live.
const HELD_RATE: u32 = 1_000;
/// The rate at which latency is looked at, or the one next to it of those that are measured.
const LATENCY_RATE: u32 = 1_000;
/// Who carries this part of what caller and callee carry alone may carry more, for all we know.
const ALONE_PART: f64 = 0.8;
/// The part of all calls that may fail without a figure being worth nothing.
const FAILED_PART_MAX: f64 = 0.01;

const COST_GOALS: &[Goal] = &[
    Goal {
        words: "at most 2 × relay",
        against: Some(Contestant::Relay),
        limit: 2.0,
        bound: Bound::AtMost,
    },
    Goal {
        words: "at most 1/3 of kamailio",
        against: Some(Contestant::Kamailio),
        limit: 1.0 / 3.0,
        bound: Bound::AtMost,
    },
];
const LATENCY_GOALS: &[Goal] = &[Goal {
    words: "below kamailio",
    against: Some(Contestant::Kamailio),
    limit: 1.0,
    bound: Bound::AtMost,
}];
const HIGHEST_GOALS: &[Goal] = &[Goal {
    words: "at least 3 × kamailio",
    against: Some(Contestant::Kamailio),
    limit: 3.0,
    bound: Bound::AtLeast,
}];
const HELD_GOALS: &[Goal] = &[Goal {
    words: "at most 4,096",
    against: None,
    limit: 4_096.0,
    bound: Bound::AtMost,
}];

const WATCHED_GOALS: &[Goal] = &[Goal {
    words: "at most 1,024",
    against: None,
    limit: 1_024.0,
    bound: Bound::AtMost,
}];
/// Then its presence server is at its end before ours is, on cores that are alike.
const NOTIFY_GOALS: &[Goal] = &[Goal {
    words: "below kamailio, which sends them",
    against: Some(Contestant::Kamailio),
    limit: 1.0,
    bound: Bound::AtMost,
}];

/// What needs no other server, and what measures it.
const ELSEWHERE: &[(&str, &str)] = &[
    ("parsing, beside httparse", "cargo bench --bench parse"),
    (
        "typed headers, beside five other parsers",
        "cargo run --release --manifest-path benches/others/Cargo.toml",
    ),
    (
        "allocations, bytes the engine holds",
        "cargo test --test allocation",
    ),
    (
        "NOTIFYs a second in the engine",
        "cargo bench --bench call -- presence",
    ),
    (
        "from idle to offer",
        "cargo bench --bench instructions -- offer/",
    ),
    (
        "a call among 100,000 agents and 50,000 calls",
        "cargo bench --bench instructions -- b2bua_",
    ),
    ("two shards beside one", "cargo bench --bench shards"),
    ("events beside a stalled client", "cargo bench --bench cti"),
];

/// Measures everything that was asked for.
///
/// # Errors
/// Why that cannot be done, in words for the user.
pub(super) fn run(options: &PeersOptions, interrupts: &Interrupts) -> Result<Report, String> {
    if let Some(path) = &options.json {
        files::check_writable(path)?;
    }
    let cast = Cast::find(options)?;
    for words in &cast.skipped {
        say(words);
    }
    let folder = std::env::temp_dir().join(format!("offhook-load-peers-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let stage = Stage {
        cast,
        cores: cores()?,
        folder,
        interrupts,
    };
    let measured = Campaign::new(&stage, options).run();
    // What is left there is of no use to anybody, and the next run has a folder of its own.
    let _ = std::fs::remove_dir_all(&stage.folder);
    measured
}

/// The server's core, the caller's and the callee's.
fn cores() -> Result<[usize; 3], String> {
    let cores = offhook_shards::placement::online_cores();
    let cores = cores.map_err(|error| format!("the cores cannot be read: {error}"))?;
    match cores[..] {
        [server, caller, callee, ..] => Ok([server, caller, callee]),
        [server, both] => Ok([server, both, both]),
        [..] => Err(
            "two cores are needed, one for the server and one for caller and callee, and this \
             process may run on one only"
                .to_owned(),
        ),
    }
}

/// What one run at a rate has shown.
#[derive(Debug, Default)]
struct Samples {
    /// Processor time a call, in microseconds.
    cost: Vec<f64>,
    /// From the INVITE to the 200, in microseconds.
    setup_p50: Vec<f64>,
    setup_p99: Vec<f64>,
}

struct Campaign<'a> {
    stage: &'a Stage<'a>,
    options: &'a PeersOptions,
    samples: BTreeMap<(u32, Contestant), Samples>,
    notes: Vec<String>,
    runs: u32,
    late: u32,
}

impl<'a> Campaign<'a> {
    fn new(stage: &'a Stage<'a>, options: &'a PeersOptions) -> Self {
        Self {
            stage,
            options,
            samples: BTreeMap::new(),
            notes: stage.cast.skipped.clone(),
            runs: 0,
            late: 0,
        }
    }

    fn run(mut self) -> Result<Report, String> {
        let is_wanted = |part| self.options.only.contains(&part);
        let mut rows = Vec::new();
        if is_wanted(Part::Costs) {
            self.measure_costs()?;
            rows.extend(self.cost_rows());
        }
        if is_wanted(Part::Highest) {
            rows.push(self.highest()?);
        }
        if is_wanted(Part::Held) {
            rows.extend(self.held()?);
        }
        if is_wanted(Part::Watched) {
            rows.push(self.watched()?);
            if self.contestants().any(|it| it == Contestant::Kamailio) {
                rows.push(self.notifies()?);
            }
        }
        self.note_what_readers_should_know();
        Ok(Report {
            schema: "offhook-load/peers",
            version: 1,
            machine: Environment::read().line(),
            contestants: self.contestants().map(Contestant::name).collect(),
            rows,
            notes: self.notes,
        })
    }

    fn contestants(&self) -> impl Iterator<Item = Contestant> + use<'a> {
        self.stage.cast.contestants.iter().copied()
    }

    fn latency_rate(&self) -> u32 {
        let rates = self.options.rates.iter().copied();
        let nearest = rates.min_by_key(|rate| rate.abs_diff(LATENCY_RATE));
        nearest.unwrap_or(LATENCY_RATE)
    }

    fn measure_costs(&mut self) -> Result<(), String> {
        for round in 1..=self.options.rounds {
            for &rate in &self.options.rates {
                let direct = (rate == self.latency_rate()).then_some(Contestant::Direct);
                for contestant in direct.into_iter().chain(self.contestants()) {
                    self.measure_cost(round, rate, contestant)?;
                }
            }
        }
        Ok(())
    }

    fn measure_cost(
        &mut self,
        round: u32,
        rate: u32,
        contestant: Contestant,
    ) -> Result<(), String> {
        let calls = Calls {
            rate,
            count: rate * self.options.seconds,
            pause: PAUSE,
        };
        let settle = self.options.settle;
        let scene = Scene::open(self.stage, contestant, COSTS);
        let measured = scene.and_then(|mut scene| scene.cost(calls, settle));
        let what = format!("{} at {rate} calls/s", contestant.name());
        let Some((used, outcome)) = self.taken(&what, measured)? else {
            return Ok(());
        };
        let good = outcome.total("successful");
        let micros = used.map(|used| used.as_secs_f64() * 1e6 / (good as f64).max(1.0));
        let setup = outcome.latencies.first().map(|latency| &latency.service);
        let (p50, p99) = setup.map_or((0, 0), |setup| (setup.p50_us, setup.p99_us));
        let shown = micros.map_or_else(String::new, |micros| format!("{micros:.0} µs a call, "));
        let rounds = self.options.rounds;
        say(&format!(
            "round {round} of {rounds}, {what}: {shown}set-up p50 {p50} µs, p99 {p99} µs"
        ));
        if self.is_worth_something(&what, &outcome, calls.count) {
            let samples = self.samples.entry((rate, contestant)).or_default();
            samples.cost.extend(micros);
            samples.setup_p50.push(p50 as f64);
            samples.setup_p99.push(p99 as f64);
        }
        Ok(())
    }

    /// What was measured; none, and a note of why, if it could not be.
    ///
    /// # Errors
    /// That somebody wants it all to end.
    fn taken<T>(&mut self, what: &str, measured: Result<T, String>) -> Result<Option<T>, String> {
        let fault = match measured {
            Ok(measured) => return Ok(Some(measured)),
            Err(fault) if self.stage.interrupts.has_ended() => return Err(fault),
            Err(fault) => fault,
        };
        say(&format!("{what}: {fault}"));
        let first = fault.lines().next().unwrap_or_default();
        self.notes
            .push(format!("{what}: {}", first.trim_end_matches("; it said:")));
        Ok(None)
    }

    /// Counts whether the generator was in time, and looks for calls that failed.
    fn is_worth_something(&mut self, what: &str, outcome: &Outcome, count: u32) -> bool {
        self.runs += 1;
        self.late += u32::from(!outcome.health.valid);
        let good = outcome.total("successful");
        let failed = u64::from(count).saturating_sub(good);
        if failed > 0 {
            let causes: Vec<&str> = outcome
                .failures
                .iter()
                .map(|it| it.words.as_str())
                .collect();
            let causes = match causes[..] {
                [] => String::new(),
                [..] => format!(": {}", causes.join(", ")),
            };
            let words = format!("{what}: {failed} of {count} calls did not end well{causes}");
            say(&words);
            self.notes.push(words);
        }
        failed as f64 <= f64::from(count) * FAILED_PART_MAX
    }

    fn cost_rows(&self) -> Vec<Row> {
        let rates = self.options.rates.iter();
        let row = |&rate| {
            let cost = |it| (it, self.figure(rate, it, |samples| &samples.cost));
            let what = format!("processor time a call at {rate} calls/s, µs");
            Row::new(what, self.contestants().map(cost), COST_GOALS)
        };
        let mut rows: Vec<Row> = rates.map(row).collect();
        rows.extend(self.latency_row("p50", |samples| &samples.setup_p50));
        rows.extend(self.latency_row("p99", |samples| &samples.setup_p99));
        rows
    }

    /// What everyone adds to what it takes without them; nothing if that is not known.
    fn latency_row(&self, name: &str, quantile: fn(&Samples) -> &[f64]) -> Option<Row> {
        let rate = self.latency_rate();
        let direct = self.figure(rate, Contestant::Direct, quantile).median()?;
        let added = |it| (it, self.figure(rate, it, quantile).less(direct));
        let what = format!("set-up latency added at {rate} calls/s, {name}, µs");
        Some(Row::new(what, self.contestants().map(added), LATENCY_GOALS))
    }

    fn figure(&self, rate: u32, contestant: Contestant, values: fn(&Samples) -> &[f64]) -> Figure {
        let samples = self.samples.get(&(rate, contestant));
        Figure::of(samples.map_or(&[], values))
    }

    fn highest(&mut self) -> Result<Row, String> {
        let alone = self.highest_of(Contestant::Direct)?;
        let alone = alone.map_or(f64::INFINITY, |found| found.rate);
        let mut figures = Vec::new();
        for contestant in self.contestants() {
            let figure = self.highest_of(contestant)?.map(|found| {
                let is_hidden = found.rate >= alone * ALONE_PART || found.too_many.is_none();
                Figure::single(found.rate, is_hidden)
            });
            figures.push((contestant, figure.unwrap_or_else(|| Figure::of(&[]))));
        }
        let what = format!(
            "highest rate with {}, calls/s",
            CLEAN.replace("&&", " and ")
        );
        Ok(Row::new(what, figures, HIGHEST_GOALS))
    }

    /// A contestant's highest rate; none if the search could not be carried out.
    fn highest_of(&mut self, contestant: Contestant) -> Result<Option<Highest>, String> {
        let what = match contestant {
            Contestant::Direct => "highest rate of caller and callee alone".to_owned(),
            Contestant::Relay | Contestant::Kamailio | Contestant::Offhook => {
                format!("highest rate of {}", contestant.name())
            }
        };
        let found = highest::find(self.stage, contestant, self.options.highest, PAUSE);
        let found = self.taken(&what, found)?;
        if let Some(found) = &found {
            let words = format!("{what}: {found}");
            say(&words);
            self.notes.push(words);
        }
        Ok(found)
    }

    /// A call that is held is two dialogs; what its transactions have is shown as well, because it
    /// has to be there while calls come.
    fn held(&mut self) -> Result<[Row; 2], String> {
        let count = self.options.held;
        let setup = Setup {
            behind: Behind::Phones,
            dns: count,
            keeps_events: false,
        };
        let (mut at_first, mut settled) = (Vec::new(), Vec::new());
        for contestant in self.contestants().filter(|it| *it != Contestant::Relay) {
            let scene = Scene::open(self.stage, contestant, setup);
            let held = scene.and_then(|mut scene| scene.hold(HELD_RATE, count));
            let what = format!("{} with {count} held calls", contestant.name());
            let Some((held, outcome)) = self.taken(&what, held)? else {
                at_first.push((contestant, Figure::of(&[])));
                settled.push((contestant, Figure::of(&[])));
                continue;
            };
            let each = [held.at_first, held.settled].map(|it| it as f64 / f64::from(count));
            say(&format!(
                "{what}: {:.0} bytes a call, {:.0} when their transactions are over",
                each[0], each[1]
            ));
            let is_good = self.is_worth_something(&what, &outcome, count);
            let are_held = outcome.total("peak") >= u64::from(count);
            let figure = |each| match is_good && are_held {
                true => Figure::single(each, false),
                false => Figure::of(&[]),
            };
            at_first.push((contestant, figure(each[0])));
            settled.push((contestant, figure(each[1])));
        }
        let what = format!("memory a call, {count} held, bytes");
        let begun = format!("{what}, as the last has come");
        let settled_words = format!("{what}, their transactions over");
        Ok([
            Row::new(begun, at_first, &[]),
            Row::new(settled_words, settled, HELD_GOALS),
        ])
    }

    /// What a server has that watches so many phones more than one that watches a single one.
    fn watched(&mut self) -> Result<Row, String> {
        let count = self.options.watched;
        let mut bytes = Vec::new();
        for dns in [1, count] {
            let setup = Setup {
                behind: Behind::Watched,
                dns,
                keeps_events: false,
            };
            let scene = Scene::open(self.stage, Contestant::Offhook, setup);
            let held = scene.and_then(|mut scene| scene.watching());
            let what = format!("offhook with {dns} watched DNs");
            if let Some(held) = self.taken(&what, held)? {
                say(&format!("{what}: {held} bytes"));
                bytes.push(held as f64);
            }
        }
        let figure = match bytes[..] {
            [one, all] => Figure::single((all - one) / f64::from(count - 1), false),
            [..] => Figure::of(&[]),
        };
        let what = format!("memory a watched DN, {count} watched, bytes");
        Ok(Row::new(
            what,
            [(Contestant::Offhook, figure)],
            WATCHED_GOALS,
        ))
    }

    /// What a change costs Kamailio's presence server, which hears it by PUBLISH and tells it by
    /// NOTIFY, and what that NOTIFY costs our server.
    fn notifies(&mut self) -> Result<Row, String> {
        let rate = self.latency_rate();
        let dns = rate.saturating_mul(self.options.seconds).min(DNS_MAX);
        let what = format!("processor time a change of a phone at {rate}/s, µs");
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for round in 1..=self.options.rounds {
            let setup = Setup {
                behind: Behind::Presence,
                dns,
                keeps_events: true,
            };
            let scene = Scene::open(self.stage, Contestant::Offhook, setup);
            let measured = scene.and_then(|mut scene| scene.publish(rate));
            let Some((used, outcome)) = self.taken(&what, measured)? else {
                continue;
            };
            let [sent, heard] = used.map(|used| used.as_secs_f64() * 1e6 / f64::from(dns));
            let rounds = self.options.rounds;
            say(&format!(
                "round {round} of {rounds}, {what}: kamailio {sent:.0}, offhook {heard:.0}"
            ));
            if self.is_worth_something(&what, &outcome, dns) {
                theirs.push(sent);
                ours.push(heard);
            }
        }
        let figures = [
            (Contestant::Kamailio, Figure::of(&theirs)),
            (Contestant::Offhook, Figure::of(&ours)),
        ];
        Ok(Row::new(what, figures, NOTIFY_GOALS))
    }

    fn note_what_readers_should_know(&mut self) {
        let [server, caller, callee] = self.stage.cores;
        self.notes.push(format!(
            "server on core {server}, caller on core {caller}, callee on core {callee}; medians \
             of {} rounds, with the least and the most",
            self.options.rounds
        ));
        if cfg!(debug_assertions) {
            self.notes.push(
                "this program was built without optimisation: build it with `cargo build \
                 --release`"
                    .to_owned(),
            );
        }
        for (goal, command) in ELSEWHERE {
            self.notes
                .push(format!("not measured here: {goal}: `{command}`"));
        }
        if self.late > 0 {
            self.notes.push(format!(
                "the generator itself was late in {} of {} runs: something else uses its core",
                self.late, self.runs
            ));
        }
    }
}
