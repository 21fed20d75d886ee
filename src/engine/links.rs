//! Which SIP thing belongs to which of ours: legs to calls, subscriptions to DNs, pings to peers.

use std::collections::BTreeMap;

use crate::call::{CallKey, Dial, LegSlot};
use crate::config::{DnIndex, TrunkIndex};
use crate::dialog::{LegKey, PingKey, SubscriptionKey};
use crate::trunk::Route;

/// A leg of a call.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) leg: LegKey,
    /// How it was dialled, if it was and its peer may still be left for another.
    pub(super) dialled: Option<Dialled>,
}

/// A leg that was dialled through a trunk, and the ways that are left.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) dial: Box<Dial>,
    pub(super) route: Route,
    /// Whether a response other than 100 has come.
    pub(super) rings: bool,
}

/// All links of a shard, by whole keys: what is said of a leg that is over comes when another one
/// may have its place in the table already.
#[derive(Debug, Default)]
pub(super) struct Links {
    calls: BTreeMap<CallKey, BTreeMap<LegSlot, Link>>,
    legs: BTreeMap<LegKey, (CallKey, LegSlot)>,
    subscriptions: BTreeMap<SubscriptionKey, (DnIndex, u32)>,
    watched: BTreeMap<DnIndex, (u32, SubscriptionKey)>,
    /// The trunk, the peer, and the number of the ping there.
    pub(super) pings: BTreeMap<PingKey, (TrunkIndex, u8, u32)>,
}

impl Links {
    /// How many legs belong to calls.
    pub(super) fn len(&self) -> usize {
        self.legs.len()
    }

    pub(super) fn add(&mut self, key: CallKey, slot: LegSlot, link: Link) {
        self.legs.insert(link.leg, (key, slot));
        if let Some(old) = self.calls.entry(key).or_default().insert(slot, link) {
            self.legs.remove(&old.leg);
        }
    }

    /// Takes a leg out: nothing that it still says reaches the call.
    pub(super) fn take(&mut self, key: CallKey, slot: LegSlot) -> Option<Link> {
        let link = self.calls.get_mut(&key)?.remove(&slot)?;
        self.legs.remove(&link.leg);
        Some(link)
    }

    pub(super) fn forget_call(&mut self, key: CallKey) {
        for link in self.calls.remove(&key).unwrap_or_default().into_values() {
            self.legs.remove(&link.leg);
        }
    }

    pub(super) fn call_of(&self, leg: LegKey) -> Option<(CallKey, LegSlot)> {
        self.legs.get(&leg).copied()
    }

    pub(super) fn link(&self, key: CallKey, slot: LegSlot) -> Option<&Link> {
        self.calls.get(&key)?.get(&slot)
    }

    pub(super) fn leg(&self, key: CallKey, slot: LegSlot) -> Option<LegKey> {
        self.link(key, slot).map(|link| link.leg)
    }

    /// Some leg of the call that is not this one: whom it speaks for.
    pub(super) fn another_leg(&self, key: CallKey, slot: LegSlot) -> Option<LegKey> {
        let mut links = self.calls.get(&key)?.iter();
        links
            .find(|(other, _)| **other != slot)
            .map(|(_, link)| link.leg)
    }

    /// A leg has had a response other than 100.
    pub(super) fn rings(&mut self, key: CallKey, slot: LegSlot) {
        let link = self
            .calls
            .get_mut(&key)
            .and_then(|links| links.get_mut(&slot));
        if let Some(dialled) = link.and_then(|link| link.dialled.as_mut()) {
            dialled.rings = true;
        }
    }

    /// Notes the subscription of a DN; gives back the one that it replaces.
    pub(super) fn set_subscription(
        &mut self,
        dn: DnIndex,
        epoch: u32,
        key: SubscriptionKey,
    ) -> Option<SubscriptionKey> {
        self.subscriptions.insert(key, (dn, epoch));
        let (_, replaced) = self.watched.insert(dn, (epoch, key))?;
        self.subscriptions.remove(&replaced);
        Some(replaced)
    }

    /// Whose subscription it is, and which of its subscriptions.
    pub(super) fn watcher_of(&self, key: SubscriptionKey) -> Option<(DnIndex, u32)> {
        self.subscriptions.get(&key).copied()
    }

    /// The subscription of a DN, if it is still that one.
    pub(super) fn subscription(&self, dn: DnIndex, epoch: u32) -> Option<SubscriptionKey> {
        let (current, key) = self.watched.get(&dn)?;
        (*current == epoch).then_some(*key)
    }

    pub(super) fn forget_subscription(
        &mut self,
        dn: DnIndex,
        epoch: u32,
    ) -> Option<SubscriptionKey> {
        let key = self.subscription(dn, epoch)?;
        self.watched.remove(&dn);
        self.subscriptions.remove(&key);
        Some(key)
    }
}
