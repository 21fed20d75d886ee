//! Reads `[[queue]]`: who gets its callers, how many may wait, and where the others go.

use std::time::Duration;

use super::agents::Roster;
use super::calendar;
use super::entry::Entries;
use super::names::Names;
use super::settings::ACTIONS;
use crate::config::queue::{Overflow, Overflows, Queue, Strategy};
use crate::config::reader::{Located, Section, Source};
use crate::config::value::{self, Converted, Scalar};
use crate::config::{Address, Calendar, DnIndex, QueueIndex, RequirementIndex};
use crate::limits::QUEUE_CAPACITY_MAX;

const STRATEGIES: [(&str, Strategy); 4] = [
    ("longest_idle", Strategy::LongestIdle),
    ("most_skilled", Strategy::MostSkilled),
    ("round_robin", Strategy::RoundRobin),
    ("least_calls_today", Strategy::LeastCallsToday),
];

/// The keys that say where callers go who cannot wait.
const OVERFLOWS: [&str; 5] = [
    "overflow_full",
    "overflow_wait",
    "overflow_no_agents",
    "overflow_closed",
    "overflow_no_answer",
];

/// Where callers go, by key, before the names of all queues are known.
type Written<'a> = [Option<Located<&'a str>>; OVERFLOWS.len()];

/// The queues, their names claimed, with the line of each.
pub(super) fn read<'a>(
    sections: Vec<Section<'a>>,
    names: &mut Names<'a>,
    calendars: &[Calendar],
    source: &Source<'a>,
) -> (Vec<Queue>, Vec<u32>) {
    let lines = sections.iter().map(|section| section.line).collect();
    let mut queues = Vec::new();
    let mut written = Vec::new();
    for (section, index) in sections.into_iter().zip((0..).map(QueueIndex)) {
        let (queue, overflows) = read_queue(section, index, names, calendars);
        queues.push(queue);
        written.push(overflows);
    }
    for ((queue, written), index) in queues.iter_mut().zip(written).zip((0..).map(QueueIndex)) {
        let [full, wait, no_agents, closed, no_answer] =
            written.map(|written| resolve(written?, index, names, source));
        let or = |overflow: Option<Overflow>, status| overflow.unwrap_or(Overflow::Refuse(status));
        // Not 503, which would make the PBX take us for dead: 486 is busy, 480 not available now.
        queue.overflow = Overflows {
            full: or(full, 486),
            wait: or(wait, 480),
            no_agents,
            closed: or(closed, 480),
            no_answer: or(no_answer, 480),
        };
    }
    (queues, lines)
}

fn read_queue<'a>(
    mut section: Section<'a>,
    index: QueueIndex,
    names: &mut Names<'a>,
    calendars: &[Calendar],
) -> (Queue, Written<'a>) {
    let name = section.required("name", "\"sales\"", value::name);
    if let Some(name) = name {
        names.claim(name, Address::Queue(index));
    }
    let minute = Duration::from_mins(1);
    let calendar = section.optional("calendar", value::name);
    let calendar = calendar.and_then(|name| {
        let line = section.line_of("calendar");
        calendar::find(calendars, Located { value: name, line }, section.source)
    });
    let queue = Queue {
        name: name.map_or("", |name| name.value).into(),
        strategy: section.choice("strategy", &STRATEGIES, Strategy::LongestIdle),
        priority_ageing: length_or_none(&mut section, "priority_ageing", Duration::from_hours(1)),
        wrap_up: section.optional("wrap_up", value::wrap_up),
        no_answer: section.optional("no_answer", value::no_answer),
        no_answer_action: section
            .optional("no_answer_action", |scalar| value::choice(scalar, &ACTIONS)),
        no_answer_max: section.optional("no_answer_max", no_answer_max).flatten(),
        capacity: section.integer("capacity", 1..=QUEUE_CAPACITY_MAX as u32, 10_000),
        wait_max: length_or_none(&mut section, "wait_max", Duration::from_hours(24)),
        calendar,
        overflow: Overflows {
            full: Overflow::Refuse(486),
            wait: Overflow::Refuse(480),
            no_agents: None,
            closed: Overflow::Refuse(480),
            no_answer: Overflow::Refuse(480),
        },
        // RFC 3261 §13.3.1.1: a provisional response at least once a minute keeps the caller.
        queued_progress_interval: section.duration(
            "queued_progress_interval",
            Duration::from_secs(1)..=minute,
            minute,
        ),
        agents: Vec::new(),
        requirements: Vec::new(),
    };
    let written = read_overflows(&mut section);
    section.finish();
    (queue, written)
}

/// A length of time from a second on, or nothing.
fn length_or_none(
    section: &mut Section<'_>,
    key: &'static str,
    most: Duration,
) -> Option<Duration> {
    let bounds = Duration::from_secs(1)..=most;
    let length = section.optional(key, |scalar| value::duration_or_none(scalar, &bounds));
    length.flatten()
}

/// Where callers go; what leads nowhere is reported when the names of all queues are known.
fn read_overflows<'a>(section: &mut Section<'a>) -> Written<'a> {
    let needs = [
        ("overflow_wait", "wait_max"),
        ("overflow_closed", "calendar"),
        ("overflow_no_answer", "no_answer_max"),
    ];
    for (key, needed) in needs {
        if section.has(key) && !section.has(needed) {
            let what = format!("has no effect without `{needed}`");
            section.mistake(key, &what, format!("remove it, or set {needed}"));
        }
    }
    OVERFLOWS.map(|key| {
        let value = section.optional(key, value::text)?;
        let line = section.line_of(key);
        Some(Located { value, line })
    })
}

/// A number of agents, 0 for no end.
fn no_answer_max(scalar: Scalar<'_>) -> Converted<Option<u16>> {
    let number = value::integer(scalar, &(0..=1_000))?;
    Ok(u16::try_from(number).ok().filter(|number| *number > 0))
}

/// Where `queue:NAME`, `number:NUMBER` or `status:CODE` leads from a queue.
fn resolve(
    written: Located<&str>,
    from: QueueIndex,
    names: &Names<'_>,
    source: &Source<'_>,
) -> Option<Overflow> {
    const WRITE: &str = "write \"queue:NAME\", \"number:NUMBER\" or \"status:486\"";
    let Located { value: text, line } = written;
    let wrong = |instead: String| {
        let what = format!("callers are to go to {}", Scalar::Text(text));
        source.mistake(line, what, instead);
        None
    };
    match text.split_once(':') {
        Some(("queue", name)) => match names.queue(name) {
            Ok(queue) if queue == from => {
                wrong("name another queue; this is where they come from".to_owned())
            }
            Ok(queue) => Some(Overflow::Queue(queue)),
            Err(instead) => wrong(instead),
        },
        Some(("number", number)) => match value::name(Scalar::Text(number)) {
            Ok(number) => Some(Overflow::Number(number.into())),
            Err(instead) => wrong(instead),
        },
        Some(("status", code)) => match code.parse() {
            Ok(code @ 400..=699) => Some(Overflow::Refuse(code)),
            Ok(_) | Err(_) => wrong("write a status from 400 to 699".to_owned()),
        },
        Some(_) | None => wrong(WRITE.to_owned()),
    }
}

/// Tells each queue who serves it.
pub(super) fn note_agents(queues: &mut [Queue], roster: &Roster) {
    for (index, agent) in (0..).map(DnIndex).zip(&roster.agents) {
        for queue in agent.settings.queues.iter() {
            queues[usize::from(queue.0)].agents.push(index);
        }
    }
    for queue in queues {
        queue.agents.shrink_to_fit();
    }
}

/// Tells each queue what its callers may need.
pub(super) fn note_requirements(queues: &mut [Queue], entries: &Entries) {
    for entry in &entries.entries {
        // Without any queue, an entry that names none leads nowhere.
        if let Some(queue) = queues.get_mut(usize::from(entry.queue.0)) {
            let needed = entry.ladder.iter().map(|step| step.requirement);
            queue.requirements.extend(needed);
        }
    }
    for queue in queues {
        queue.requirements.push(RequirementIndex::ANYONE);
        queue.requirements.sort_unstable();
        queue.requirements.dedup();
    }
}
