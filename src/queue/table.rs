//! The queues of one shard: finds the one that an input is about, runs the timers, and collects
//! what comes out. What a queue does with an input is in `line` and `routing`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use offhook_shards::wheel::Wheel;

use crate::agent;
use crate::call::{self, CallRef};
use crate::config::{Config, DnIndex, QueueIndex, Strategy};
use crate::counters::Counters;
use crate::cti::{ConnId, Event, Notice};
use crate::wall::Wall;

use super::Input;
use super::line::{Line, Status};
use super::place::Place;
use super::step::{Step, Timer};

/// What comes out of the table, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// For clients.
    Event(Box<Event>),
    /// For the control plane.
    Notice(Notice),
    /// For the shard of the agent's DN.
    Agent(DnIndex, agent::Input),
    /// For the call's shard.
    Call(CallRef, call::Input),
}

/// The queues of one shard. Drain `poll_output` after every `handle*`, then ask `poll_timeout`.
#[derive(Debug)]
pub struct Queues {
    config: Arc<Config>,
    wall: Wall,
    counters: Arc<Counters>,
    lines: BTreeMap<QueueIndex, Line>,
    wheel: Wheel<(QueueIndex, Timer)>,
    outputs: VecDeque<Output>,
}

impl Queues {
    /// These queues, empty.
    #[must_use]
    pub fn new(
        now: Instant,
        config: Arc<Config>,
        queues: impl Iterator<Item = QueueIndex>,
        counters: Arc<Counters>,
        wall: Wall,
    ) -> Self {
        let lines = queues
            .map(|queue| (queue, Line::new(now, &config, queue)))
            .collect();
        let mut queues = Self {
            config,
            wall,
            counters,
            lines,
            wheel: Wheel::new(now),
            outputs: VecDeque::new(),
        };
        queues.begin_days(now);
        queues
    }

    /// Where calls are counted by the day, the day's end is awaited.
    fn begin_days(&mut self, now: Instant) {
        let counting: Vec<QueueIndex> = self
            .lines
            .keys()
            .copied()
            .filter(|queue| match self.config.queue_at(*queue).strategy {
                Strategy::LeastCallsToday => true,
                Strategy::LongestIdle | Strategy::MostSkilled | Strategy::RoundRobin => false,
            })
            .collect();
        for queue in counting {
            self.step(now, queue, Line::await_day);
        }
    }

    /// The wall clock was set: calendars and days follow it.
    pub fn set_wall(&mut self, now: Instant, wall: Wall) {
        let before = std::mem::replace(&mut self.wall, wall);
        let queues: Vec<QueueIndex> = self.lines.keys().copied().collect();
        for queue in queues {
            self.step(now, queue, |line, step| line.clock_set(step, before));
        }
    }

    /// Something happened to a queue, which must be one of ours.
    pub fn handle(&mut self, now: Instant, queue: QueueIndex, input: Input) {
        self.step(now, queue, |line, step| {
            line.handle(step, input);
            line.settle(step);
        });
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        // What is due at once happens at once: nobody is matched in the middle of it.
        let mut touched = BTreeSet::new();
        while let Some((_, (queue, timer))) = self.wheel.expire(now) {
            self.step(now, queue, |line, step| line.fired(step, timer));
            touched.insert(queue);
        }
        for queue in touched {
            self.step(now, queue, Line::settle);
        }
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// Timers that are armed.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.wheel.len()
    }

    /// The next thing to pass on.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How a queue stands; `None` if it is not one of ours.
    #[must_use]
    pub fn status(&self, queue: QueueIndex) -> Option<Status> {
        self.lines.get(&queue).map(Line::status)
    }

    /// Where a call of a queue is; `None` if the queue does not hold it.
    #[must_use]
    pub fn place(&self, queue: QueueIndex, conn_id: ConnId) -> Option<Place> {
        self.lines.get(&queue)?.place(conn_id)
    }

    /// How many callers of a queue are before one who waits for any agent.
    #[must_use]
    pub fn before(&self, queue: QueueIndex, conn_id: ConnId) -> Option<usize> {
        self.lines.get(&queue)?.before(conn_id)
    }

    /// Callers of a queue who wait for any agent, the next one first.
    pub fn waiting(&self, queue: QueueIndex) -> impl Iterator<Item = ConnId> {
        self.lines.get(&queue).into_iter().flat_map(Line::waiting)
    }

    fn step(
        &mut self,
        now: Instant,
        queue: QueueIndex,
        run: impl FnOnce(&mut Line, &mut Step<'_>),
    ) {
        let line = self
            .lines
            .get_mut(&queue)
            .expect("the shard owns the queue that it is told about");
        let mut step = Step {
            now,
            queue,
            config: &self.config,
            wall: self.wall,
            wheel: &mut self.wheel,
            outputs: &mut self.outputs,
            counters: &self.counters,
        };
        run(line, &mut step);
    }
}
