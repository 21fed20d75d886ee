//! One DN's watcher: the states that a subscription is in, and what leads from one to the next.
//! What outlives its subscriptions is in `record`.

use std::time::{Duration, Instant};

use crate::burst_queue::BurstQueue;
use crate::config::{Config, DnIndex, TrunkIndex};
use crate::counters::Counters;
use crate::cti::SubscriptionStatus;
use crate::dialog::{SubscriptionEvent, SubscriptionState, TerminatedReason};
use crate::jitter::Jitter;
use crate::trunk::{HealthChange, Trunks};

use super::pacing::{Pacing, Ticket};
use super::recalled::Recalled;
use super::record::Record;
use super::subscribed::{Active, Refreshing};
use super::subscribing::{Idle, NotifyWait, Pending};
use super::vote::Lists;
use super::{Output, Standing, memory};

/// What a watcher may look at and act on while it handles one input.
pub(super) struct Surroundings<'a> {
    pub(super) now: Instant,
    /// Which watcher of the shard it is.
    pub(super) slot: u32,
    pub(super) config: &'a Config,
    pub(super) trunks: &'a mut Trunks,
    pub(super) jitter: &'a mut Jitter,
    /// One for each trunk.
    pub(super) pacing: &'a mut [Pacing],
    /// The Min-Expires that each trunk is known to insist on.
    pub(super) least_expires: &'a mut [Duration],
    /// The peer that has just been found to have lost a subscription, as after a restart.
    pub(super) forgetful: &'a mut Option<(TrunkIndex, u8)>,
    pub(super) lists: &'a mut Lists,
    pub(super) outputs: &'a mut BurstQueue<Output>,
    pub(super) counters: &'a Counters,
}

impl Surroundings<'_> {
    /// The lifetime to ask a trunk for.
    pub(super) fn expires(&self, trunk: TrunkIndex) -> Duration {
        self.config
            .presence
            .expires
            .max(self.least_expires[usize::from(trunk.0)])
    }

    /// When to take a SUBSCRIBE or its first NOTIFY for lost though nobody said so: twice the
    /// 64·T1 of Timers F and N, by which the user agent must have spoken.
    pub(super) fn overdue(&self) -> Instant {
        self.now + 128 * self.config.server.t1
    }
}

/// A DN and its subscription.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) record: Record,
    pub(super) state: State,
}

/// What a subscription is doing (RFC 6665 §4.1.2). What is over soon is in a box, so that those
/// that stand need no room for it.
#[derive(Debug)]
pub(super) enum State {
    /// There is none; it waits for its turn.
    Idle(Idle),
    /// SUBSCRIBE is sent.
    Pending(Box<Pending>),
    /// SUBSCRIBE is accepted, and no NOTIFY has come.
    NotifyWait(Box<NotifyWait>),
    /// The peer notifies us.
    Active(Active),
    /// The peer notifies us, and a refresh is sent.
    Refreshing(Box<Refreshing>),
    /// The peer notifies us, and was never asked by this process.
    Recalled(Recalled),
    /// There is none, and there will be none for a while.
    BackingOff(BackingOff),
    /// There is none, and there will be none: the state never changes.
    Invariant,
}

/// The wait after a failure.
#[derive(Debug)]
pub(super) struct BackingOff {
    pub(super) until: Instant,
    pub(super) cause: Cause,
}

/// Why a DN waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// No trunk of its list is in service.
    NoTrunk,
    /// Every peer failed.
    Failed,
    /// The peer said when, or that it will hardly change.
    Told,
}

impl Watcher {
    pub(super) fn new(dn: DnIndex) -> Self {
        Self {
            record: Record::new(dn),
            state: State::Invariant,
        }
    }

    /// Its first turn.
    pub(super) fn start(&mut self, around: &mut Surroundings<'_>) {
        self.record.show(SubscriptionStatus::Pending, around);
        self.state = self.record.queue(None, around);
    }

    /// Goes on with the subscription of an earlier process; gives back its epoch.
    pub(super) fn recall(
        &mut self,
        memory: memory::Recalled,
        around: &mut Surroundings<'_>,
    ) -> u32 {
        let record = &mut self.record;
        record.epoch = record.epoch.wrapping_add(1);
        record.recall_vote(memory.until);
        self.state = Recalled::queued(Box::new(memory), record, around);
        self.record.epoch
    }

    /// The present subscription, once it has notified us.
    pub(super) fn standing(&self) -> Option<Standing> {
        let (trunk, until) = match &self.state {
            State::Active(state) => state.life().place(),
            State::Refreshing(state) => state.life().place(),
            State::Recalled(state) => state.place(),
            State::Idle(_)
            | State::Pending(_)
            | State::NotifyWait(_)
            | State::BackingOff(_)
            | State::Invariant => return None,
        };
        let epoch = self.record.epoch;
        Some(Standing {
            epoch,
            trunk,
            until,
        })
    }

    /// News of the present subscription.
    pub(super) fn handle(&mut self, event: SubscriptionEvent, around: &mut Surroundings<'_>) {
        if let SubscriptionEvent::Notified {
            state:
                SubscriptionState::Terminated {
                    reason,
                    retry_after,
                },
            ..
        } = event
        {
            return self.terminated(reason, retry_after, around);
        }
        let record = &mut self.record;
        self.state = match std::mem::replace(&mut self.state, State::Invariant) {
            State::Pending(state) => state.handle(event, record, around),
            State::NotifyWait(state) => state.handle(event, record, around),
            State::Active(state) => state.handle(event, record, around),
            State::Refreshing(state) => state.handle(event, record, around),
            State::Recalled(state) => state.handle(event, record, around),
            // The subscription of this epoch is over; what still comes of it is an echo.
            State::Idle(state) => State::Idle(state),
            State::BackingOff(state) => State::BackingOff(state),
            State::Invariant => State::Invariant,
        };
    }

    /// The peer ended the subscription, in whatever state it is.
    fn terminated(
        &mut self,
        reason: TerminatedReason,
        retry_after: Option<Duration>,
        around: &mut Surroundings<'_>,
    ) {
        let record = &mut self.record;
        match &self.state {
            State::Pending(_) | State::NotifyWait(_) | State::Recalled(_) => {}
            State::Active(state) => state.life().settle(record, around),
            State::Refreshing(state) => state.life().settle(record, around),
            State::Idle(_) | State::BackingOff(_) | State::Invariant => return,
        }
        self.state = record.terminated(reason, retry_after, around);
    }

    /// When it wants to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match (self.state_deadline(), self.record.lapse_at) {
            (Some(state), Some(lapse)) => Some(state.min(lapse)),
            (one, other) => one.or(other),
        }
    }

    fn state_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Idle(state) => state.deadline(),
            State::Pending(state) => Some(state.deadline()),
            State::NotifyWait(state) => Some(state.deadline()),
            State::Active(state) => Some(state.deadline()),
            State::Refreshing(state) => Some(state.deadline()),
            State::Recalled(state) => Some(state.deadline()),
            State::BackingOff(state) => Some(state.until),
            State::Invariant => None,
        }
    }

    /// The deadline has come: that of the state, or before it the end of the vote.
    pub(super) fn handle_timeout(&mut self, around: &mut Surroundings<'_>) {
        let state = self.state_deadline();
        let record = &mut self.record;
        if let Some(lapse) = record.lapse_at
            && state.is_none_or(|state| lapse < state)
        {
            return record.handle_lapse(around);
        }
        self.state = match std::mem::replace(&mut self.state, State::Invariant) {
            State::Idle(state) => state.handle_timeout(record, around),
            State::Pending(state) => state.handle_timeout(record, around),
            State::NotifyWait(state) => state.handle_timeout(record, around),
            State::Active(state) => state.handle_timeout(record, around),
            State::Refreshing(state) => state.handle_timeout(record, around),
            State::Recalled(state) => state.handle_timeout(record, around),
            State::BackingOff(_) => record.queue(None, around),
            State::Invariant => State::Invariant,
        };
    }

    /// Whether it stands in a lane with this ticket.
    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        let queued = match &self.state {
            State::Idle(state) => state.is_queued(),
            State::Active(state) => state.is_queued(),
            State::Recalled(state) => state.is_queued(),
            State::Pending(_)
            | State::NotifyWait(_)
            | State::Refreshing(_)
            | State::BackingOff(_)
            | State::Invariant => false,
        };
        queued && self.record.holds(ticket)
    }

    /// Its turn at a trunk. Says whether it sent a SUBSCRIBE to that trunk.
    pub(super) fn handle_turn(&mut self, trunk: TrunkIndex, around: &mut Surroundings<'_>) -> bool {
        let record = &mut self.record;
        self.state = match std::mem::replace(&mut self.state, State::Invariant) {
            State::Idle(state) => state.handle_turn(trunk, record, around),
            State::Active(state) => state.handle_turn(record, around),
            State::Recalled(state) => state.handle_turn(record, around),
            state @ (State::Pending(_)
            | State::NotifyWait(_)
            | State::Refreshing(_)
            | State::BackingOff(_)
            | State::Invariant) => state,
        };
        match &self.state {
            State::Pending(_) | State::Refreshing(_) => true,
            State::Idle(_)
            | State::NotifyWait(_)
            | State::Active(_)
            | State::Recalled(_)
            | State::BackingOff(_)
            | State::Invariant => false,
        }
    }

    /// The user agent has no room for its SUBSCRIBE.
    pub(super) fn handle_full(&mut self, around: &mut Surroundings<'_>) {
        let record = &mut self.record;
        self.state = match std::mem::replace(&mut self.state, State::Invariant) {
            State::Pending(state) => state.handle_full(record, around),
            state @ (State::Idle(_)
            | State::NotifyWait(_)
            | State::Active(_)
            | State::Refreshing(_)
            | State::Recalled(_)
            | State::BackingOff(_)
            | State::Invariant) => state,
        };
    }

    /// Asks for the state now, if there is a subscription.
    pub(super) fn refresh(&mut self, around: &mut Surroundings<'_>) {
        let record = &mut self.record;
        self.state = match std::mem::replace(&mut self.state, State::Invariant) {
            State::Active(state) => state.refresh(record, around),
            // It is about to ask for it in any case.
            state @ (State::Idle(_)
            | State::Pending(_)
            | State::NotifyWait(_)
            | State::Refreshing(_)
            | State::Recalled(_)
            | State::BackingOff(_)
            | State::Invariant) => state,
        };
    }

    /// At which peer it has a subscription that waits for its refresh, and when that ends: the peer
    /// may have lost it since it was asked last.
    pub(super) fn stands(&self) -> Option<((TrunkIndex, u8), Instant)> {
        match &self.state {
            State::Active(state) => state.stands(),
            State::Idle(_)
            | State::Pending(_)
            | State::NotifyWait(_)
            | State::Refreshing(_)
            | State::Recalled(_)
            | State::BackingOff(_)
            | State::Invariant => None,
        }
    }

    /// A peer left or came back.
    pub(super) fn handle_change(
        &mut self,
        trunk: TrunkIndex,
        change: HealthChange,
        around: &mut Surroundings<'_>,
    ) {
        let record = &mut self.record;
        let HealthChange { peer, in_service } = change;
        self.state = match std::mem::replace(&mut self.state, State::Invariant) {
            State::Active(state) => state.peer_changed(trunk, peer, in_service, around),
            State::Recalled(state) if in_service => state.peer_is_there(trunk, around),
            State::BackingOff(state) => match state.cause {
                Cause::NoTrunk | Cause::Failed if in_service && record.uses(trunk, around) => {
                    record.queue(None, around)
                }
                Cause::NoTrunk | Cause::Failed | Cause::Told => State::BackingOff(state),
            },
            state @ (State::Idle(_)
            | State::Pending(_)
            | State::NotifyWait(_)
            | State::Refreshing(_)
            | State::Recalled(_)
            | State::Invariant) => state,
        };
    }
}
