//! One step of one queue: what it may look at while it handles an input, and where its timers and
//! outputs go. It decides nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use offhook_shards::wheel::{TimerKey, Wheel};

use crate::config::{Config, DnIndex, QueueIndex, RoutingPointIndex};
use crate::counters::{Counter, Counters};
use crate::cti::{ConnId, ErrorCode, Event, RequestedBy};
use crate::{agent, call};

use super::Output;

/// One step of one queue.
pub(super) struct Step<'a> {
    pub(super) now: Instant,
    pub(super) queue: QueueIndex,
    pub(super) config: &'a Config,
    pub(super) wheel: &'a mut Wheel<(QueueIndex, ConnId)>,
    pub(super) outputs: &'a mut VecDeque<Output>,
    pub(super) counters: &'a Counters,
}

impl Step<'_> {
    /// The number that callers dial.
    pub(super) fn number(&self, routing_point: RoutingPointIndex) -> &str {
        &self.config.routing_point_at(routing_point).number
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

    /// Arms the timer of a call that a router is asked about.
    pub(super) fn arm(&mut self, conn_id: ConnId, after: Duration) -> TimerKey {
        self.wheel.arm(self.now + after, (self.queue, conn_id))
    }

    pub(super) fn count(&self, counter: Counter) {
        self.counters.count(counter);
    }
}
