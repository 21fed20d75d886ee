//! What each section of a profile may hold.

use std::time::Duration;

use offhook::config::Mistake;
use toml::de::DeTable;

use super::check::Places;
use super::numbers::Numbers;
use super::reader::{Section, Source};
use super::{
    AgentPlan, Bounds, CallerPlan, DeskPlan, FaultKind, FaultPlan, PbxPlan, Profile, QueuePlan,
    RouterPlan, Server, Weather, check, length,
};
use crate::load::{Moments, Shape, Spacing};
use crate::population::{Habits, PbxKind, Rhythm, Span};

const SECOND: Duration = Duration::from_secs(1);

/// Reads a file; see [`Profile::parse`].
pub(super) fn read(file: &str, text: &str) -> Result<Profile, Vec<Mistake>> {
    let source = Source::new(file, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map_or(1, |span| source.line(span.start));
        let what = error.message().lines().collect::<Vec<_>>().join(" ");
        source.mistake(line, what, "see https://toml.io for the syntax");
    }
    let root = Section::new("the profile", Some(document.get_ref()), 1, &source);
    let mut places = Places::default();
    let profile = profile(&root, &mut places);
    root.finish();
    check::check(&source, &profile, &places);
    let mistakes = source.into_mistakes();
    if mistakes.is_empty() {
        Ok(profile)
    } else {
        Err(mistakes)
    }
}

fn profile(root: &Section<'_>, places: &mut Places) -> Profile {
    let run = root.table("run", "[run]");
    let name = run.optional("name", |text| Ok(text.to_owned()));
    let (seed, duration) = (
        run.integer("seed", 0..=u64::MAX, 1),
        run.time("duration", SECOND * 60),
    );
    let (ready_within, drain_within) = (
        run.time("ready_within", SECOND * 120),
        run.time("drain_within", SECOND * 90),
    );
    run.finish();
    let bounds = root.table("bounds", "[bounds]");
    let found = Bounds {
        state: bounds.time("state", SECOND * 3),
        waiting: bounds.time("waiting", SECOND * 10),
        legs: bounds.time("legs", SECOND * 34),
        request: bounds.time("request", SECOND * 45),
        event: bounds.time("event", SECOND * 3),
    };
    bounds.finish();
    let server = root.table("server", "[server]");
    let plan = Server {
        shards: u16::try_from(server.integer("shards", 0..=1_024, 0)).unwrap_or(0),
        extra: server
            .optional("extra", |text| Ok(text.to_owned()))
            .unwrap_or_default(),
    };
    server.finish();
    Profile {
        name: name.unwrap_or_else(|| "floor".to_owned()),
        seed,
        duration,
        ready_within,
        drain_within,
        bounds: found,
        server: plan,
        pbxs: each(root.tables("pbx", "[[pbx]]"), &mut places.pbxs, pbx),
        queues: each(root.tables("queue", "[[queue]]"), &mut places.queues, queue),
        agents: each(
            root.tables("agents", "[[agents]]"),
            &mut places.agents,
            agents,
        ),
        callers: each(
            root.tables("callers", "[[callers]]"),
            &mut places.callers,
            callers,
        ),
        routers: each(
            root.tables("router", "[[router]]"),
            &mut places.routers,
            router,
        ),
        faults: each(root.tables("fault", "[[fault]]"), &mut places.faults, fault),
    }
}

fn each<'a, T>(
    sections: Vec<Section<'a>>,
    lines: &mut Vec<u32>,
    read: impl Fn(&Section<'a>) -> T,
) -> Vec<T> {
    sections
        .into_iter()
        .map(|section| {
            lines.push(section.line);
            let plan = read(&section);
            section.finish();
            plan
        })
        .collect()
}

fn numbers(section: &Section<'_>, key: &'static str) -> Numbers {
    let mut numbers = Numbers::default();
    for word in section.list(key) {
        if let Err(instead) = numbers.add(&word) {
            section.mistake(key, &format!("has `{}`", word.escape_debug()), instead);
        }
    }
    numbers
}

fn weather(section: &Section<'_>) -> Weather {
    let late = section.span("late_by", Span::milliseconds(1, 80));
    Weather {
        loss: section.chance("loss", 0.0),
        duplicates: section.chance("duplicates", 0.0),
        late: (section.chance("late", 0.0), late),
    }
}

fn pbx(section: &Section<'_>) -> PbxPlan {
    let name = section.required("name", "\"hq\"");
    let phones = numbers(section, "phones");
    if !section.has("phones") {
        let what = "[[pbx]] has no `phones`";
        let instead = "write phones = \"2000-2099\"";
        section.source.mistake(section.line, what, instead);
    }
    let small = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    PbxPlan {
        name,
        kind: section
            .optional("kind", str::parse::<PbxKind>)
            .unwrap_or_default(),
        nodes: small(section.integer("nodes", 1..=16, 1)),
        port: small(section.integer("port", 0..=65_000, 0)),
        phones,
        outside: numbers(section, "outside"),
        outside_talk: section.span("outside_talk", Span::milliseconds(5_000, 60_000)),
        expires: section.time("expires", SECOND * 3_600),
        notify_first: section.flag("notify_first"),
        shows_ringing: section.flag("shows_ringing"),
        calls_max: usize::try_from(section.integer("calls_max", 1..=8, 1)).unwrap_or(1),
        weather: weather(section),
    }
}

fn queue(section: &Section<'_>) -> QueuePlan {
    QueuePlan {
        name: section.required("name", "\"sales\""),
        numbers: section.list("numbers"),
        wrap_up: section.time("wrap_up", Duration::ZERO),
    }
}

fn agents(section: &Section<'_>) -> AgentPlan {
    let name = section.required("name", "\"sales\"");
    let phones = numbers(section, "phones");
    if !section.has("phones") {
        let what = "[[agents]] has no `phones`";
        let instead = "write phones = \"2000-2099\"";
        section.source.mistake(section.line, what, instead);
    }
    AgentPlan {
        name,
        phones,
        queues: section.list("queues"),
        no_answer: section.time("no_answer", SECOND * 15),
        habits: habits(section),
        desktops: section.chance("desktops", 0.0),
        per_connection: usize::try_from(section.integer("per_connection", 1..=10_000, 1))
            .unwrap_or(1),
        desk: desk(section),
    }
}

/// Something that comes again and again: its mean distance, and how long it lasts.
fn rhythm(
    section: &Section<'_>,
    every: &'static str,
    lasting: &'static str,
    default: Span,
) -> Option<Rhythm> {
    let lasting = section.span(lasting, default);
    let every = section.optional(every, length::time)?;
    Some(Rhythm { every, lasting })
}

fn habits(section: &Section<'_>) -> Habits {
    Habits {
        ringing: section.span("ringing", Span::milliseconds(10, 60)),
        answering: section.span("answer", Span::milliseconds(1_000, 5_000)),
        talking: section.maybe_span("talk"),
        no_answer: section.chance("no_answers", 0.0),
        busy: section.chance("busy", 0.0),
        declined: section.chance("declined", 0.0),
        holds: section.chance("holds", 0.0),
        private_calls: rhythm(
            section,
            "private_calls",
            "private_call",
            Span::milliseconds(10_000, 120_000),
        ),
        absences: rhythm(
            section,
            "absences",
            "absence",
            Span::milliseconds(5_000, 60_000),
        ),
    }
}

fn desk(section: &Section<'_>) -> DeskPlan {
    let soon = Span::milliseconds(1_000, 5_000);
    let shift = section.maybe_span("shift");
    let pause = section.span("between_shifts", Span::exactly(SECOND * 60));
    let breaks = rhythm(
        section,
        "breaks",
        "break",
        Span::milliseconds(60_000, 300_000),
    );
    let disconnects = rhythm(section, "disconnects", "disconnect", soon);
    let after = section.span("desktop_acts", soon);
    DeskPlan {
        login: section.span("login", Span::exactly(Duration::ZERO)),
        shift: shift.map(|shift| (shift, pause)),
        breaks: breaks.map(|rhythm| (rhythm.every, rhythm.lasting)),
        wrap_up: section.maybe_span("wrap_up"),
        releases: (
            section.chance("desktop_releases", 0.0),
            section.span("desktop_talk", soon),
        ),
        holds: (
            section.chance("desktop_holds", 0.0),
            after,
            section.span("desktop_hold", soon),
        ),
        transfers: (section.chance("transfers", 0.0), after),
        consultations: (
            section.chance("consultations", 0.0),
            after,
            section.span("consultation", soon),
        ),
        makes_calls: section.optional("makes_calls", length::time),
        disconnects: disconnects.map(|rhythm| (rhythm.every, rhythm.lasting)),
        slow: (
            section.chance("slow_readers", 0.0),
            section.time("slow_reading", Duration::from_millis(20)),
        ),
    }
}

fn callers(section: &Section<'_>) -> CallerPlan {
    let arrivals_text = section.required("arrivals", "\"5\"");
    let arrivals = section.optional("arrivals", |text| {
        text.parse::<Moments>()
            .map_err(|hint| format!("{hint}; it is calls a second"))
    });
    let spacing = section.optional("spacing", |text| match text {
        "poisson" => Ok(Spacing::Poisson),
        "even" => Ok(Spacing::Even),
        _ => Err("write poisson or even".to_owned()),
    });
    CallerPlan {
        name: section
            .optional("name", |text| Ok(text.to_owned()))
            .unwrap_or_else(|| "callers".to_owned()),
        pbx: section.required("pbx", "\"hq\""),
        numbers: section.list("numbers"),
        arrivals: arrivals.unwrap_or(Moments::Shape(Shape::constant(1.0))),
        arrivals_text,
        spacing: spacing.unwrap_or(Spacing::Poisson),
        early_offer: section.chance("early_offer", 0.5),
        patience: section.span("patience", Span::milliseconds(60_000, 120_000)),
        impatient: (
            section.chance("impatient", 0.0),
            section.span("little_patience", Span::milliseconds(20, 2_000)),
        ),
        expires: u32::try_from(section.integer("expires", 0..=86_400, 180)).unwrap_or(180),
        talking: section.span("talk", Span::milliseconds(10_000, 120_000)),
        holds: section.chance("holds", 0.0),
        redials: (
            section.chance("redials", 0.0),
            section.span("redial_after", Span::milliseconds(5_000, 60_000)),
        ),
    }
}

fn router(section: &Section<'_>) -> RouterPlan {
    RouterPlan {
        numbers: section.list("numbers"),
        groups: section.list("groups"),
        thinking: section.span("thinking", Span::milliseconds(1, 20)),
        silent: section.chance("silent", 0.0),
        defaults: section.chance("defaults", 0.0),
    }
}

fn fault(section: &Section<'_>) -> FaultPlan {
    if !section.has("at") {
        let what = "[[fault]] has no `at`";
        section
            .source
            .mistake(section.line, what, "write at = \"60s\"");
    }
    let kinds = [
        "silence",
        "restart",
        "forget",
        "storm",
        "weather",
        "mute",
        "brown-out",
    ];
    let word = section.required("kind", "\"restart\"");
    let part = section.chance("part", 1.0);
    let rounds = section.integer("rounds", 1..=1_000, 10);
    let weather = weather(section);
    let kind = match word.as_str() {
        "silence" => FaultKind::Silence,
        "forget" => FaultKind::Forget,
        "storm" => FaultKind::Storm(u32::try_from(rounds).unwrap_or(10)),
        "weather" => FaultKind::Weather(weather),
        "mute" => FaultKind::Mute(part),
        "brown-out" => FaultKind::BrownOut(part),
        other => {
            if other != "restart" && section.has("kind") {
                let shown = other.escape_debug();
                let instead = format!("write one of {}", kinds.join(", "));
                section.mistake("kind", &format!("is `{shown}`"), instead);
            }
            FaultKind::Restart
        }
    };
    let node = section.optional("node", |text| {
        let node = text.parse::<usize>();
        node.map_err(|_| "write the number of a node, from 0".to_owned())
    });
    FaultPlan {
        at: section.time("at", Duration::ZERO),
        lasting: section.time("lasting", SECOND * 10),
        pbx: section.required("pbx", "\"hq\""),
        node,
        kind,
    }
}
