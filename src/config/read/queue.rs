//! Reads `[[queue]]` and `[[routing_point]]` with the ways into queues.

use std::time::Duration;

use super::agents::Roster;
use super::names::Names;
use crate::config::keys;
use crate::config::queue::{Entry, LadderStep, Queue, RoutingPoint, Strategy};
use crate::config::reader::{Located, Section};
use crate::config::value;
use crate::config::{
    Address, DnIndex, EntryIndex, QueueIndex, RequirementIndex, RoutingPointIndex,
};
use crate::limits::{AGENT_SKILLS_MAX, LADDER_STEPS_MAX, QUEUE_CAPACITY_MAX};

const STRATEGIES: [(&str, Strategy); 3] = [
    ("longest_idle", Strategy::LongestIdle),
    ("most_skilled", Strategy::MostSkilled),
    ("round_robin", Strategy::RoundRobin),
];

/// The ways into queues while they are read.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) entries: Vec<Entry>,
    /// The line on which each step of each entry says what callers need.
    pub(super) steps: Vec<(u32, QueueIndex, RequirementIndex)>,
}

/// The queues, their names claimed, with the line of each.
pub(super) fn read<'a>(
    sections: Vec<Section<'a>>,
    names: &mut Names<'a>,
) -> (Vec<Queue>, Vec<u32>) {
    let lines = sections.iter().map(|section| section.line).collect();
    let indices = (0..).map(QueueIndex);
    let queues = sections
        .into_iter()
        .zip(indices)
        .map(|(section, index)| read_queue(section, index, names))
        .collect();
    (queues, lines)
}

fn read_queue<'a>(mut section: Section<'a>, index: QueueIndex, names: &mut Names<'a>) -> Queue {
    let name = section.required("name", "\"sales\"", value::name);
    if let Some(name) = name {
        names.claim(name, Address::Queue(index));
    }
    let minute = Duration::from_mins(1);
    let queue = Queue {
        name: name.map_or("", |name| name.value).into(),
        strategy: section.choice("strategy", &STRATEGIES, Strategy::LongestIdle),
        priority_ageing: section
            .optional("priority_ageing", |scalar| {
                let bounds = Duration::from_secs(1)..=Duration::from_hours(1);
                value::duration_or_none(scalar, &bounds)
            })
            .flatten(),
        wrap_up: section.optional("wrap_up", value::wrap_up),
        no_answer: section.optional("no_answer", value::no_answer),
        capacity: section.integer("capacity", 1..=QUEUE_CAPACITY_MAX as u32, 10_000),
        // RFC 3261 §13.3.1.1: a provisional response at least once a minute keeps the caller.
        queued_progress_interval: section.duration(
            "queued_progress_interval",
            Duration::from_secs(1)..=minute,
            minute,
        ),
        agents: Vec::new(),
        requirements: Vec::new(),
    };
    section.finish();
    queue
}

/// Tells each queue who serves it.
pub(super) fn note_agents(queues: &mut [Queue], roster: &Roster) {
    for (index, agent) in (0..).map(DnIndex).zip(&roster.agents) {
        for queue in agent.queues.iter() {
            queues[usize::from(queue.0)].agents.push(index);
        }
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

/// The routing points, their numbers claimed.
pub(super) fn read_routing_points<'a>(
    sections: Vec<Section<'a>>,
    names: &mut Names<'a>,
) -> (Vec<RoutingPoint>, Entries) {
    let indices = (0..).map(RoutingPointIndex);
    let mut entries = Entries::default();
    let routing_points = sections
        .into_iter()
        .zip(indices)
        .map(|(section, index)| read_routing_point(section, index, names, &mut entries))
        .collect();
    (routing_points, entries)
}

fn read_routing_point<'a>(
    mut section: Section<'a>,
    index: RoutingPointIndex,
    names: &mut Names<'a>,
    entries: &mut Entries,
) -> RoutingPoint {
    let number = section.required("number", "\"7000\"", value::name);
    if let Some(number) = number {
        names.claim(number, Address::RoutingPoint(index));
    }
    let entry = read_entry(&mut section, names, entries);
    let routing_point = RoutingPoint {
        number: number.map_or("", |number| number.value).into(),
        queue: entries.entries[entry.0 as usize].queue,
        entry,
        router_timeout: section.duration(
            "router_timeout",
            Duration::from_millis(100)..=Duration::from_mins(10),
            Duration::from_secs(5),
        ),
    };
    section.finish();
    routing_point
}

/// The way into a queue that a section describes.
fn read_entry<'a>(
    section: &mut Section<'a>,
    names: &Names<'a>,
    entries: &mut Entries,
) -> EntryIndex {
    let mut queue = None;
    if let Some(Located { value: name, line }) = section.required("queue", "\"sales\"", value::name)
    {
        match names.queue(name) {
            Ok(index) => queue = Some(index),
            Err(instead) => {
                let what = format!("`queue` names \"{name}\", and there is no such queue");
                section.source.mistake(line, what, instead);
            }
        }
    }
    let priority = section.integer("priority", 0..=1_000, 0);
    let ladder = read_ladder(section, names);
    if let Some(queue) = queue {
        let steps = ladder
            .iter()
            .map(|(line, step)| (*line, queue, step.requirement));
        entries.steps.extend(steps);
    }
    let index = u32::try_from(entries.entries.len()).expect("ROUTING_POINTS_MAX bounds entries");
    entries.entries.push(Entry {
        queue: queue.unwrap_or(QueueIndex(0)),
        priority: u16::try_from(priority).unwrap_or(0),
        ladder: ladder.into_iter().map(|(_, step)| step).collect(),
    });
    EntryIndex(index)
}

/// What callers need at first and what is enough later, each with its line.
fn read_ladder<'a>(section: &mut Section<'a>, names: &Names<'a>) -> Vec<(u32, LadderStep)> {
    let first = read_requirement(section, names);
    let mut ladder = vec![(
        section.line_of("skills"),
        LadderStep {
            after: Duration::ZERO,
            requirement: first.unwrap_or(RequirementIndex::ANYONE),
        },
    )];
    let bounds = Duration::from_secs(1)..=Duration::from_hours(24);
    let steps = section.tables("relax", &keys::RELAX, LADDER_STEPS_MAX);
    if first.is_none() && !steps.is_empty() {
        let what = "has no effect without `skills`";
        section.mistake("relax", what, "remove it, or set skills");
    }
    for mut step in steps {
        let after = step.required("after", "\"30s\"", |scalar| {
            value::duration(scalar, &bounds)
        });
        let requirement = read_requirement(&mut step, names).unwrap_or(RequirementIndex::ANYONE);
        if let Some(Located { value: after, .. }) = after {
            let last = ladder.last().map_or(Duration::ZERO, |(_, last)| last.after);
            if after <= last {
                let what = "is not later than the step before";
                step.mistake("after", what, "write the steps in the order of their time");
            }
            ladder.push((step.line_of("skills"), LadderStep { after, requirement }));
        }
        step.finish();
    }
    ladder
}

fn read_requirement<'a>(section: &mut Section<'a>, names: &Names<'a>) -> Option<RequirementIndex> {
    let line = section.line_of("skills");
    let skills = section.pairs("skills", AGENT_SKILLS_MAX, "{ english = 5 }", value::skill)?;
    Some(names.requirement(line, &skills))
}
