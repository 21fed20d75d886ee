//! Reads `[[queue]]` and `[[routing_point]]`.

use std::time::Duration;

use super::names::Names;
use crate::config::queue::{Queue, RoutingPoint, Strategy};
use crate::config::reader::{Located, Section};
use crate::config::value;
use crate::config::{Address, QueueIndex, RoutingPointIndex};
use crate::limits::QUEUE_CAPACITY_MAX;

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
        strategy: section.choice(
            "strategy",
            &[("longest_idle", Strategy::LongestIdle)],
            Strategy::LongestIdle,
        ),
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
    };
    section.finish();
    queue
}

/// The routing points, their numbers claimed.
pub(super) fn read_routing_points<'a>(
    sections: Vec<Section<'a>>,
    names: &mut Names<'a>,
) -> Vec<RoutingPoint> {
    let indices = (0..).map(RoutingPointIndex);
    sections
        .into_iter()
        .zip(indices)
        .map(|(section, index)| read_routing_point(section, index, names))
        .collect()
}

fn read_routing_point<'a>(
    mut section: Section<'a>,
    index: RoutingPointIndex,
    names: &mut Names<'a>,
) -> RoutingPoint {
    let number = section.required("number", "\"7000\"", value::name);
    if let Some(number) = number {
        names.claim(number, Address::RoutingPoint(index));
    }
    let mut queue = QueueIndex(0);
    if let Some(Located { value: name, line }) = section.required("queue", "\"sales\"", value::name)
    {
        match names.queue(name) {
            Ok(index) => queue = index,
            Err(instead) => {
                let what = format!("`queue` names \"{name}\", and there is no such queue");
                section.source.mistake(line, what, instead);
            }
        }
    }
    let priority = section.integer("priority", 0..=1_000, 0);
    let routing_point = RoutingPoint {
        number: number.map_or("", |number| number.value).into(),
        queue,
        priority: u16::try_from(priority).unwrap_or(0),
        router_timeout: section.duration(
            "router_timeout",
            Duration::from_millis(100)..=Duration::from_mins(10),
            Duration::from_secs(5),
        ),
    };
    section.finish();
    routing_point
}
