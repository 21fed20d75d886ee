//! The calls of a shard: their storage, their deadlines, and the wall between a fault in one call
//! and all the others.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::ShardId;
use offhook_shards::wheel::{TimerKey, Wheel};
use slotmap::SlotMap;

use crate::agent::{self, EndCause, Offer, OfferSource, PartyState};
use crate::config::{Config, DnIndex, QueueIndex};
use crate::counters::Counter;
use crate::cti::CallInfo;
use crate::dialog::Body;
use crate::limits::CALLS_MAX;
use crate::queue;
use crate::sip::Status;

use super::command::{Command, Side};
use super::facts::{Destination, Facts, Origin, cause, hang_up, refuse_caller};
use super::reserving::Reserving;
use super::timer::{Deadlines, Timer};
use super::waiting::Waiting;
use super::{CallKey, CallRef, Event, Input, State};

/// A caller at the door.
#[derive(Debug)]
pub struct Arrival {
    /// Where the caller asks to go.
    pub destination: Destination,
    /// What will be reported of the call.
    pub info: CallInfo,
    /// The caller's offer; `None` asks us for one.
    pub offer: Option<Body>,
    /// The INVITE's `Expires`.
    pub patience: Option<Duration>,
}

/// How many calls stand where, for gauges and for the checkers of the simulator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Live {
    /// Callers without an answer.
    pub unanswered: usize,
    /// Calls of two.
    pub connected: usize,
}

#[derive(Debug)]
struct Call {
    facts: Facts,
    state: State,
    /// The wheel's entry for the earliest deadline.
    armed: Option<(Instant, TimerKey)>,
}

/// The calls of a shard.
#[derive(Debug)]
pub struct Calls {
    shard: ShardId,
    config: Arc<Config>,
    calls: SlotMap<CallKey, Call>,
    wheel: Wheel<CallKey>,
    scratch: Vec<Command>,
    commands: VecDeque<(CallKey, Command)>,
}

impl Calls {
    /// No calls yet.
    #[must_use]
    pub fn new(now: Instant, shard: ShardId, config: Arc<Config>) -> Self {
        Self {
            shard,
            config,
            calls: SlotMap::with_key(),
            wheel: Wheel::new(now),
            scratch: Vec::new(),
            commands: VecDeque::new(),
        }
    }

    /// Takes a caller in, who is heard of first as `100 Trying`, then `182 Queued` or `180`.
    /// `None` when as many calls are held as may be: the caller is to be refused.
    pub fn arrive(&mut self, now: Instant, arrival: Arrival) -> Option<CallKey> {
        if self.calls.len() >= CALLS_MAX {
            return None;
        }
        let (shard, config) = (self.shard, Arc::clone(&self.config));
        let key = self.calls.insert_with_key(|key| {
            let call = CallRef {
                shard,
                key,
                conn_id: arrival.info.conn_id,
            };
            let mut deadlines = Deadlines::default();
            if let Some(patience) = arrival.patience {
                deadlines.arm(Timer::Patience, now + patience);
            }
            deadlines.arm(Timer::Duration, now + config.server.call_duration_max);
            let state = match arrival.destination {
                Destination::Queue { .. } => State::Waiting(Waiting),
                Destination::Direct { .. } => State::Reserving(Reserving),
            };
            let facts = Facts {
                call,
                info: Arc::new(arrival.info),
                destination: arrival.destination,
                offer: arrival.offer,
                since: now,
                deadlines,
                config,
            };
            Call {
                facts,
                state,
                armed: None,
            }
        });
        let call = &mut self.calls[key];
        enter(now, &mut call.facts, &mut self.scratch);
        self.settle(key);
        Some(key)
    }

    /// Something happened to a call; to one that has ended it means nothing.
    pub fn handle(&mut self, now: Instant, key: CallKey, event: Event) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let state = std::mem::replace(&mut call.state, State::Ended);
        let (dn, was_answered) = (state.dn().or(event.offered()), state.is_answered());
        let (facts, scratch) = (&mut call.facts, &mut self.scratch);
        // A fault of ours in one call must not end the others: that call is ended and reported.
        let next = catch_unwind(AssertUnwindSafe(|| {
            state.handle(now, facts, event, scratch)
        }));
        call.state = next.unwrap_or_else(|_| {
            self.scratch.clear();
            abort(&call.facts, dn, was_answered, &mut self.scratch);
            State::Ended
        });
        self.settle(key);
    }

    /// Runs the deadlines that have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, key)) = self.wheel.expire(now) {
            let Some(call) = self.calls.get_mut(key) else {
                continue;
            };
            call.armed = None;
            let Some((_, timer)) = call.facts.deadlines.next().filter(|(at, _)| *at <= now) else {
                self.settle(key);
                continue;
            };
            call.facts.deadlines.disarm(timer);
            self.handle(now, key, Event::Timer(timer));
        }
    }

    /// The next thing to do for a call. After [`Command::Forget`] its key is not heard of again.
    pub fn poll_command(&mut self) -> Option<(CallKey, Command)> {
        self.commands.pop_front()
    }

    /// When to call [`Calls::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// What holds for a call, while it lives.
    #[must_use]
    pub fn facts(&self, key: CallKey) -> Option<&Facts> {
        self.calls.get(key).map(|call| &call.facts)
    }

    /// The queue that a call is at home in, if it waits.
    #[must_use]
    pub fn home(&self, key: CallKey) -> Option<QueueIndex> {
        Some(self.facts(key)?.queue()?.0)
    }

    /// How many calls there are.
    #[must_use]
    pub fn live(&self) -> Live {
        self.calls.values().fold(Live::default(), |mut live, call| {
            if call.state.is_answered() {
                live.connected += 1;
            } else {
                live.unanswered += 1;
            }
            live
        })
    }

    /// Hands the commands out, moves the wheel's entry, and forgets a call that has ended.
    fn settle(&mut self, key: CallKey) {
        let call = &mut self.calls[key];
        self.commands
            .extend(self.scratch.drain(..).map(|command| (key, command)));
        let ended = matches!(call.state, State::Ended);
        let next = call
            .facts
            .deadlines
            .next()
            .map(|(at, _)| at)
            .filter(|_| !ended);
        if call.armed.map(|(at, _)| at) != next {
            if let Some((_, timer)) = call.armed.take() {
                self.wheel.cancel(timer);
            }
            call.armed = next.map(|at| (at, self.wheel.arm(at, key)));
        }
        if ended {
            self.calls.remove(key);
            self.commands.push_back((key, Command::Forget));
        }
    }
}

impl State {
    fn is_answered(&self) -> bool {
        match self {
            Self::Answering(_) | Self::Connected(_) | Self::Renegotiating(_) => true,
            Self::Waiting(_) | Self::Reserving(_) | Self::Offering(_) | Self::Ended => false,
        }
    }

    /// The agent that the call is at or on its way to.
    fn dn(&self) -> Option<DnIndex> {
        match self {
            Self::Waiting(_) | Self::Reserving(_) | Self::Ended => None,
            Self::Offering(state) => Some(state.dn),
            Self::Answering(state) => Some(state.dn),
            Self::Connected(state) => Some(state.dn),
            Self::Renegotiating(state) => Some(state.dn),
        }
    }
}

impl Event {
    /// The agent whom the event promises to the call.
    fn offered(&self) -> Option<DnIndex> {
        match self {
            Self::Input(Input::Offer { dn }) => Some(*dn),
            Self::Input(
                Input::DirectRefused { .. }
                | Input::QueueRefused { .. }
                | Input::Request { .. }
                | Input::Forward { .. }
                | Input::OfferWithdrawn { .. },
            )
            | Self::Leg(..)
            | Self::Timer(_)
            | Self::DialFailed => None,
        }
    }
}

/// Asks for what the caller came for.
fn enter(now: Instant, facts: &mut Facts, commands: &mut Vec<Command>) {
    commands.push(Command::Count(Counter::CallOffered));
    match facts.destination {
        Destination::Queue {
            queue,
            routing_point,
        } => {
            facts.say_progress(now, Status::QUEUED, commands);
            let input = queue::Input::Enter {
                call: facts.call,
                info: Arc::clone(&facts.info),
                routing_point,
                entry: facts.config.route(
                    routing_point,
                    facts.info.ani.as_deref(),
                    &facts.info.user_data,
                )[0],
                since: facts.since,
                visited: Box::new([]),
            };
            commands.push(Command::Queue(queue, input));
        }
        Destination::Direct { dn } => {
            let offer = Offer {
                call: facts.call,
                source: OfferSource::Direct,
            };
            commands.push(Command::Agent(dn, agent::Input::Reserve(offer)));
        }
    }
}

/// Ends a call that a fault of ours has met: both legs, the reservation and the place in the
/// queue are given back whatever state was lost.
fn abort(facts: &Facts, dn: Option<DnIndex>, was_answered: bool, commands: &mut Vec<Command>) {
    commands.push(Command::Count(Counter::Panic));
    refuse_caller(commands, Status::SERVER_INTERNAL_ERROR);
    hang_up(commands, Side::Caller, cause::FAILURE);
    hang_up(commands, Side::Agent, cause::FAILURE);
    if let Some(dn) = dn {
        let ended = PartyState::Ended(EndCause::Failed);
        facts.tell_agent(commands, dn, ended, Origin::default());
    }
    if !was_answered {
        facts.caller_gone(commands, EndCause::Failed);
    }
}
