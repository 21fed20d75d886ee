//! Reads `[[routing_point]]`: its rules, the ways into queues and their relaxation ladders.

use std::time::Duration;

use super::names::Names;
use crate::config::keys;
use crate::config::queue::{Entry, EntryKind, LadderStep, Queue, Route, RoutingPoint};
use crate::config::reader::{Located, Section};
use crate::config::value::{self, Converted, Scalar};
use crate::config::{Address, EntryIndex, QueueIndex, RequirementIndex, RoutingPointIndex};
use crate::limits::{
    AGENT_SKILLS_MAX, CALLER_QUEUES_MAX, CONDITION_BYTES_MAX, LADDER_STEPS_MAX,
    ROUTE_CONDITIONS_MAX, ROUTES_MAX,
};

/// The ways into queues while they are read.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) entries: Vec<Entry>,
    /// The line on which each step of each entry says what callers need.
    pub(super) steps: Vec<(u32, QueueIndex, RequirementIndex)>,
}

impl Entries {
    fn add(&mut self, entry: Entry) -> EntryIndex {
        let index = u32::try_from(self.entries.len()).expect("an entry's number fits in 32 bits");
        self.entries.push(entry);
        EntryIndex(index)
    }

    /// A way into each queue for those who could not wait in another one.
    pub(super) fn add_overflow(&mut self, queues: &[Queue]) {
        for (queue, _) in (0..).map(QueueIndex).zip(queues) {
            self.add(Entry {
                kind: EntryKind::Overflow,
                queue,
                after: Duration::ZERO,
                priority: 0,
                ladder: Box::new([LadderStep {
                    after: Duration::ZERO,
                    requirement: RequirementIndex::ANYONE,
                }]),
            });
        }
    }
}

/// The routing points, their numbers claimed.
pub(super) fn read<'a>(
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
    let mut routes: Vec<Route> = section
        .tables("route", &keys::ROUTE, ROUTES_MAX)
        .into_iter()
        .map(|rule| read_route(rule, names, entries))
        .collect();
    let home = read_entries(&mut section, names, entries);
    let routing_point = RoutingPoint {
        number: number.map_or("", |number| number.value).into(),
        queue: entries.entries[home[0].0 as usize].queue,
        routes: {
            routes.push(Route {
                ani: Box::new([]),
                data: Box::new([]),
                entries: home,
            });
            routes.into()
        },
        router_timeout: section.duration(
            "router_timeout",
            Duration::from_millis(100)..=Duration::from_mins(10),
            Duration::from_secs(5),
        ),
    };
    section.finish();
    routing_point
}

fn read_route<'a>(mut section: Section<'a>, names: &Names<'a>, entries: &mut Entries) -> Route {
    let ani = section.list("ani", ROUTE_CONDITIONS_MAX, value::name);
    let data = section.pairs(
        "data",
        ROUTE_CONDITIONS_MAX,
        "{ Language = \"de\" }",
        condition,
    );
    let is_empty = ani.iter().flatten().next().is_none() && data.iter().flatten().next().is_none();
    if is_empty && !section.has("ani") && !section.has("data") {
        let what = "[[routing_point.route]] is for every caller";
        section
            .source
            .mistake(section.line, what, "give it `ani` or `data`, or remove it");
    }
    let route = Route {
        ani: ani
            .into_iter()
            .flatten()
            .map(|ani| ani.value.into())
            .collect(),
        data: data.into_iter().flatten().collect(),
        entries: read_entries(&mut section, names, entries),
    };
    section.finish();
    route
}

/// A pair of attached data that a call must have.
fn condition(key: &str, scalar: Scalar<'_>) -> Converted<(Box<str>, Box<str>)> {
    let text = match scalar {
        Scalar::Text(text) | Scalar::Integer(text, _) => text,
        Scalar::Float(_) | Scalar::Flag(_) | Scalar::Other(_) => {
            return Err("write a text or a whole number".to_owned());
        }
    };
    if text.len() > CONDITION_BYTES_MAX || key.len() > CONDITION_BYTES_MAX {
        return Err(format!("write at most {CONDITION_BYTES_MAX} bytes"));
    }
    Ok((key.into(), text.into()))
}

/// The ways into queues that a section describes, the call's home first.
fn read_entries<'a>(
    section: &mut Section<'a>,
    names: &Names<'a>,
    entries: &mut Entries,
) -> Box<[EntryIndex]> {
    let (home, queue) = read_entry(section, EntryKind::Home, names, entries);
    let (mut taken, mut queues) = (vec![home], vec![queue]);
    for mut also in section.tables("also", &keys::ALSO, CALLER_QUEUES_MAX - 1) {
        let (index, queue) = read_entry(&mut also, EntryKind::Also, names, entries);
        if queue.is_some() && queues.contains(&queue) {
            let what = "is where the caller waits already";
            also.mistake("queue", what, "name each queue once");
        }
        taken.push(index);
        queues.push(queue);
        also.finish();
    }
    taken.into()
}

/// The way into a queue that a section describes, and the queue if there is such a one.
fn read_entry<'a>(
    section: &mut Section<'a>,
    kind: EntryKind,
    names: &Names<'a>,
    entries: &mut Entries,
) -> (EntryIndex, Option<QueueIndex>) {
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
    let after = match kind {
        EntryKind::Also => section.duration(
            "after",
            Duration::ZERO..=Duration::from_hours(1),
            Duration::ZERO,
        ),
        EntryKind::Home | EntryKind::Overflow => Duration::ZERO,
    };
    let priority = section.integer("priority", 0..=1_000, 0);
    let ladder = read_ladder(section, names);
    if let Some(queue) = queue {
        let steps = ladder
            .iter()
            .map(|(line, step)| (*line, queue, step.requirement));
        entries.steps.extend(steps);
    }
    let index = entries.add(Entry {
        kind,
        queue: queue.unwrap_or(QueueIndex(0)),
        after,
        priority: u16::try_from(priority).unwrap_or(0),
        ladder: ladder.into_iter().map(|(_, step)| step).collect(),
    });
    (index, queue)
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
