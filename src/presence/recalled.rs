//! A subscription that an earlier process had. Its notifier still has it, and tells us what
//! changes; how the phone is now it is asked in the dialog that there is, in its turn.

use std::time::Instant;

use crate::config::TrunkIndex;
use crate::dialog::SubscriptionEvent;
use crate::limits::{RESUBSCRIBE_SPREAD, TRUNK_WAIT};

use super::memory;
use super::pacing::Lane;
use super::record::Record;
use super::subscribed::{Life, Next, Refreshing};
use super::watcher::{State, Surroundings};

/// Waits for its first turn in this process.
#[derive(Debug)]
pub(super) struct Recalled {
    /// It passes, and every watched DN would have the room for it.
    memory: Box<memory::Recalled>,
    next: Next,
}

impl Recalled {
    pub(super) fn queued(
        memory: Box<memory::Recalled>,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        let next = Next::Queued;
        record.join(Lane::Refresh, memory.trunk, around);
        State::Recalled(Self { memory, next })
    }

    pub(super) fn place(&self) -> (TrunkIndex, Instant) {
        (self.memory.trunk, self.memory.until)
    }

    /// Whether it stands in a lane, which calls it.
    pub(super) fn is_queued(&self) -> bool {
        self.next.is_queued()
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.next {
            Next::At(at) => at,
            // Whoever is not called in time has nothing left to refresh.
            Next::Queued | Next::Corrected => self.memory.until,
        }
    }

    pub(super) fn handle_timeout(
        self,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        if self.memory.until <= around.now {
            record.forget(around);
            return record.again(around);
        }
        Self::queued(self.memory, record, around)
    }

    /// Its turn.
    pub(super) fn handle_turn(
        mut self,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        let memory::Recalled { trunk, peer, until } = *self.memory;
        // The number of a node is another one in each process.
        let nodes = around.trunks.nodes_at(trunk, peer.transport, peer.address);
        let is_usable = |node: &u8| around.trunks.peer_in_service(trunk, *node);
        if let Some(node) = nodes.into_iter().find(is_usable) {
            let life = Life::recalled(trunk, node, until, around);
            return Refreshing::send(life, false, record, around);
        }
        // As long as a name has not been looked up, the peer may be there.
        if !around.trunks.is_awaiting()
            && let Some(route) = record.choose(around)
        {
            record.forget(around);
            return record.queue(Some(route), around);
        }
        let look = around.now + around.jitter.between(TRUNK_WAIT / 2, TRUNK_WAIT);
        self.next = Next::At(look.min(until));
        State::Recalled(self)
    }

    /// A peer of the trunk is there, or there again.
    pub(super) fn peer_is_there(
        mut self,
        trunk: TrunkIndex,
        around: &mut Surroundings<'_>,
    ) -> State {
        if let Next::At(at) = self.next
            && trunk == self.memory.trunk
        {
            let soon = around.now + around.jitter.below(RESUBSCRIBE_SPREAD);
            self.next = Next::At(at.min(soon));
        }
        State::Recalled(self)
    }

    pub(super) fn handle(
        mut self,
        event: SubscriptionEvent,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        match event {
            SubscriptionEvent::Notified {
                state,
                expires,
                body,
            } => {
                if let Some(bound) = Life::bound(expires, around.now) {
                    self.memory.until = self.memory.until.min(bound);
                }
                record.notified(state, body.as_ref(), self.memory.until, around);
            }
            // Nothing was asked in this process.
            SubscriptionEvent::Accepted { .. }
            | SubscriptionEvent::Refused { .. }
            | SubscriptionEvent::Unreachable
            | SubscriptionEvent::NotifyMissing => {}
        }
        State::Recalled(self)
    }
}
