//! Which SIP thing belongs to which of ours: legs to calls, pings to peers. Subscriptions say
//! themselves whose they are.

use std::collections::BTreeMap;

use crate::call::{CallKey, Dial, LegSlot};
use crate::config::TrunkIndex;
use crate::dialog::{LegKey, PingKey};
use crate::few::Few;
use crate::trunk::Route;

/// A leg of a call.
#[derive(Debug)]
struct Link {
    slot: LegSlot,
    leg: LegKey,
    /// How it was dialled, while its peer may still be left for another.
    dialled: Option<Box<Dialled>>,
}

/// How a leg was dialled through a trunk, and the ways that are left.
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
    calls: BTreeMap<CallKey, Few<Link>>,
    legs: BTreeMap<LegKey, (CallKey, LegSlot)>,
    /// The trunk, the peer, and the number of the ping there.
    pub(super) pings: BTreeMap<PingKey, (TrunkIndex, u8, u32)>,
}

impl Links {
    /// How many legs belong to calls.
    pub(super) fn len(&self) -> usize {
        self.legs.len()
    }

    pub(super) fn add(&mut self, key: CallKey, slot: LegSlot, leg: LegKey) {
        self.take(key, slot);
        self.legs.insert(leg, (key, slot));
        let dialled = None;
        self.calls
            .entry(key)
            .or_default()
            .push(Link { slot, leg, dialled });
    }

    /// Adds a leg that may still be dialled another way.
    pub(super) fn add_dialled(
        &mut self,
        (key, slot): (CallKey, LegSlot),
        leg: LegKey,
        dialled: Box<Dialled>,
    ) {
        self.add(key, slot, leg);
        if let Some(link) = self.link_mut(key, slot) {
            link.dialled = Some(dialled);
        }
    }

    /// Takes a leg out: nothing that it still says reaches the call.
    pub(super) fn take(&mut self, key: CallKey, slot: LegSlot) {
        if let Some(links) = self.calls.get_mut(&key)
            && let Some(place) = links.iter().position(|link| link.slot == slot)
        {
            self.legs.remove(&links.remove(place).leg);
        }
    }

    pub(super) fn forget_call(&mut self, key: CallKey) {
        for link in self.calls.remove(&key).unwrap_or_default().iter() {
            self.legs.remove(&link.leg);
        }
    }

    pub(super) fn call_of(&self, leg: LegKey) -> Option<(CallKey, LegSlot)> {
        self.legs.get(&leg).copied()
    }

    fn link(&self, key: CallKey, slot: LegSlot) -> Option<&Link> {
        let mut links = self.calls.get(&key)?.iter();
        links.find(|link| link.slot == slot)
    }

    fn link_mut(&mut self, key: CallKey, slot: LegSlot) -> Option<&mut Link> {
        let mut links = self.calls.get_mut(&key)?.iter_mut();
        links.find(|link| link.slot == slot)
    }

    pub(super) fn leg(&self, key: CallKey, slot: LegSlot) -> Option<LegKey> {
        self.link(key, slot).map(|link| link.leg)
    }

    /// Some leg of the call that is not this one: whom it speaks for.
    pub(super) fn another_leg(&self, key: CallKey, slot: LegSlot) -> Option<LegKey> {
        let others = self.calls.get(&key)?.iter();
        let first = others
            .filter(|link| link.slot != slot)
            .min_by_key(|link| link.slot);
        first.map(|link| link.leg)
    }

    /// How a leg was dialled, while its peer may still be left for another.
    pub(super) fn dialled(&self, key: CallKey, slot: LegSlot) -> Option<&Dialled> {
        self.link(key, slot)?.dialled.as_deref()
    }

    /// Gives out how a leg was dialled: its peer is left, or is the right one.
    pub(super) fn take_dialled(&mut self, key: CallKey, slot: LegSlot) -> Option<Box<Dialled>> {
        self.link_mut(key, slot)?.dialled.take()
    }

    /// A leg has had a response other than 100.
    pub(super) fn rings(&mut self, key: CallKey, slot: LegSlot) {
        let link = self.link_mut(key, slot);
        if let Some(dialled) = link.and_then(|link| link.dialled.as_deref_mut()) {
            dialled.rings = true;
        }
    }
}
