//! One step of one agent: what it may look at while it handles an input, and where its timers and
//! outputs go. It decides nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use offhook_shards::wheel::{TimerKey, Wheel};

use crate::config::{self, Config, DnIndex, QueueIndex};
use crate::counters::{Counter, Counters};
use crate::cti::{ErrorCode, Event, EventName, RequestedBy};
use crate::few::Few;
use crate::limits::TIMER_GRAIN;
use crate::{call, queue};

use super::Output;

/// What an agent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// A call's shard has not reported on a reservation: it returns by itself.
    Lease,
    /// Wrap-up is over.
    WrapUp,
    /// The least pause between two business calls is over.
    LegalGuard,
    /// Our own call is so long over that presence speaks of something else.
    Tail,
    /// A phone that just failed a call has rested.
    Rest,
    /// Presence has said NotReady for so long that an idle NOTIFY may have been missed.
    Refresh,
    /// The agent has been NotReady for so long that it is taken for gone.
    AutoLogout,
    /// The routers that want the agent at the same time have been heard.
    Collection,
    /// A router has kept the agent for as long as it asked.
    Claim,
    /// The desktop that was there before a crash has not come back.
    Desktop,
}

impl Timer {
    /// Whether [`TIMER_GRAIN`] later does as well.
    fn may_be_late(self) -> bool {
        match self {
            Self::Lease
            | Self::WrapUp
            | Self::LegalGuard
            | Self::Tail
            | Self::Rest
            | Self::Refresh
            | Self::AutoLogout
            | Self::Desktop => true,
            // Others have been promised the agent when it ends.
            Self::Collection | Self::Claim => false,
        }
    }
}

/// The armed timers of one agent: mostly none, and rarely more than two.
#[derive(Debug, Default)]
pub(super) struct Timers(Few<(Timer, TimerKey)>);

/// One step of one agent.
pub(super) struct Step<'a> {
    pub(super) now: Instant,
    /// The same by a clock that stands while the host sleeps.
    pub(super) awake: Instant,
    pub(super) dn: DnIndex,
    /// The agent's place in the table: what its timers carry.
    pub(super) position: u32,
    pub(super) config: &'a Config,
    /// For each trunk whether it has a peer in service.
    pub(super) trunks_in_service: &'a [bool],
    pub(super) wheel: &'a mut Wheel<(u32, Timer)>,
    pub(super) outputs: &'a mut VecDeque<Output>,
    pub(super) counters: &'a Counters,
}

impl Step<'_> {
    /// The agent's configuration.
    pub(super) fn agent(&self) -> &config::Agent {
        self.config.agent_at(self.dn)
    }

    /// The number of the DN.
    pub(super) fn number(&self) -> &str {
        &self.agent().dn
    }

    /// Whether a trunk to the phone has a peer in service.
    pub(super) fn phone_has_a_way(&self) -> bool {
        let mut trunks = self.agent().settings.trunks.trunks.iter();
        trunks.any(|trunk| self.trunks_in_service[usize::from(trunk.0)])
    }

    /// An event of this DN that says nothing yet.
    pub(super) fn event(&self, name: EventName) -> Event {
        Event::new(self.now, name, self.number())
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(Box::new(event)));
    }

    /// What was emitted since then is nothing new: clients were told before the server was started
    /// again.
    pub(super) fn is_known_since(&mut self, outputs: usize) {
        for output in self.outputs.range_mut(outputs..) {
            if let Output::Event(event) = output {
                event.is_known = true;
            }
        }
    }

    /// Refuses a request.
    pub(super) fn refuse(&mut self, whom: RequestedBy, code: ErrorCode, why: impl Into<String>) {
        let event = Event::error(self.now, self.number(), whom, code, why);
        self.emit(event);
    }

    pub(super) fn tell_call(&mut self, call: call::CallRef, input: call::Input) {
        self.outputs.push_back(Output::Call(call, input));
    }

    pub(super) fn tell_queue(&mut self, queue: QueueIndex, input: queue::Input) {
        self.outputs.push_back(Output::Queue(queue, input));
    }

    pub(super) fn count(&self, counter: Counter) {
        self.counters.count(counter);
    }
}

impl Timers {
    /// Arms a timer, in place of the same one armed before.
    pub(super) fn arm(&mut self, step: &mut Step<'_>, timer: Timer, after: Duration) {
        self.disarm(step, timer);
        let (at, value) = (step.now + after, (step.position, timer));
        let key = if timer.may_be_late() {
            step.wheel.arm_within(at, TIMER_GRAIN, value)
        } else {
            step.wheel.arm(at, value)
        };
        self.0.push((timer, key));
    }

    pub(super) fn disarm(&mut self, step: &mut Step<'_>, timer: Timer) {
        if let Some(key) = self.take(timer) {
            step.wheel.cancel(key);
        }
    }

    /// Notes that a timer has fired.
    pub(super) fn fired(&mut self, timer: Timer) {
        assert!(
            self.take(timer).is_some(),
            "a timer that fires is one that its agent armed"
        );
    }

    pub(super) fn is_armed(&self, timer: Timer) -> bool {
        self.position(timer).is_some()
    }

    fn take(&mut self, timer: Timer) -> Option<TimerKey> {
        let position = self.position(timer)?;
        Some(self.0.remove(position).1)
    }

    fn position(&self, timer: Timer) -> Option<usize> {
        self.0.iter().position(|(armed, _)| *armed == timer)
    }
}
