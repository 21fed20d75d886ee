//! One step of one queue: what it may look at while it handles an input, and where its timers and
//! outputs go. It decides nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use offhook_shards::wheel::{TimerKey, Wheel};

use crate::config::{
    Address, Config, DnIndex, EntryIndex, QueueIndex, RoutingPointIndex, next_day_in_utc,
};
use crate::counters::{Counter, Counters};
use crate::cti::{CallInfo, ConnId, ErrorCode, Event, RequestedBy};
use crate::{agent, call};

use crate::wall::Wall;

use super::Output;

/// What a queue waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The router has had its time for this call.
    Router(ConnId),
    /// The caller has waited so long at home that it waits here too.
    Delay(ConnId),
    /// The caller has waited so long that less is enough.
    Relax(ConnId),
    /// The caller has waited as long as it may.
    Limit(ConnId),
    /// A new day begins.
    Day,
}

/// One step of one queue.
pub(super) struct Step<'a> {
    pub(super) now: Instant,
    pub(super) queue: QueueIndex,
    pub(super) config: &'a Config,
    pub(super) wall: Wall,
    pub(super) wheel: &'a mut Wheel<(QueueIndex, Timer)>,
    pub(super) outputs: &'a mut VecDeque<Output>,
    pub(super) counters: &'a Counters,
}

impl Step<'_> {
    /// The number that callers dial.
    pub(super) fn number(&self, routing_point: RoutingPointIndex) -> &str {
        &self.config.routing_point_at(routing_point).number
    }

    /// The queue in which a caller of this number would be at home, if it is a routing point.
    pub(super) fn home_at(&self, number: &str, info: &CallInfo) -> Option<QueueIndex> {
        let Address::RoutingPoint(routing_point) = self.config.address(number)? else {
            return None;
        };
        let (ani, data) = (info.ani.as_deref(), &info.user_data);
        let home = self.config.route(routing_point, ani, data)[0];
        Some(self.config.entry_at(home).queue)
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(Box::new(event)));
    }

    /// Refuses a router's request.
    pub(super) fn refuse(
        &mut self,
        routing_point: RoutingPointIndex,
        whom: RequestedBy,
        code: ErrorCode,
        why: impl Into<String>,
    ) {
        let event = Event::error(self.now, self.number(routing_point), whom, code, why);
        self.emit(event);
    }

    pub(super) fn tell_agent(&mut self, dn: DnIndex, input: agent::Input) {
        self.outputs.push_back(Output::Agent(dn, input));
    }

    pub(super) fn tell_call(&mut self, call: call::CallRef, input: call::Input) {
        self.outputs.push_back(Output::Call(call, input));
    }

    /// When the next day begins where the queue is.
    pub(super) fn next_day(&self) -> Instant {
        let now = self.wall.time_at(self.now);
        self.now + self.day_ends(self.wall).saturating_sub(now)
    }

    /// The same as a time, by this wall clock.
    pub(super) fn day_ends(&self, wall: Wall) -> Duration {
        let now = wall.time_at(self.now);
        match self.config.queue_at(self.queue).calendar {
            Some(calendar) => self.config.calendar_at(calendar).next_day(now),
            None => next_day_in_utc(now),
        }
    }

    pub(super) fn arm(&mut self, at: Instant, timer: Timer) -> TimerKey {
        self.wheel.arm(at, (self.queue, timer))
    }

    /// What is enough now for a caller who has waited since then, as the class of the queue's
    /// callers who need the same, and when less will be.
    pub(super) fn rung(&self, entry: EntryIndex, since: Instant) -> (usize, Option<Instant>) {
        let ladder = &self.config.entry_at(entry).ladder;
        let waited = self.now.saturating_duration_since(since);
        let passed = ladder.partition_point(|rung| rung.after <= waited);
        let next = ladder.get(passed).map(|rung| since + rung.after);
        let requirement = ladder[passed.saturating_sub(1)].requirement;
        let class = self
            .config
            .queue_at(self.queue)
            .requirements
            .binary_search(&requirement)
            .expect("a queue knows everything that its callers may need");
        (class, next)
    }

    pub(super) fn count(&self, counter: Counter) {
        self.counters.count(counter);
    }
}
