//! Which SIP thing belongs to which of ours: legs to calls, subscriptions to DNs, pings to peers.

use std::collections::BTreeMap;

use slotmap::SecondaryMap;

use crate::call::{CallKey, Side};
use crate::config::{DnIndex, TrunkIndex};
use crate::cti::ConnId;
use crate::dialog::{LegKey, Party, PingKey, SubscriptionKey};
use crate::trunk::Route;

/// The caller's leg and what the agent's leg takes over from its INVITE.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) conn_id: ConnId,
    pub(super) leg: LegKey,
    pub(super) calling: Party,
    pub(super) max_forwards: u8,
    pub(super) carried: Vec<(String, String)>,
    /// The agent's leg, while there is one.
    pub(super) agent: Option<Dialled>,
}

/// An agent's leg and the ways to the phone that are left.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) leg: LegKey,
    pub(super) dn: DnIndex,
    pub(super) route: Route,
    /// Whether a response other than 100 has come.
    pub(super) rings: bool,
}

/// All links of a shard.
#[derive(Debug, Default)]
pub(super) struct Links {
    callers: SecondaryMap<CallKey, Caller>,
    legs: SecondaryMap<LegKey, (CallKey, Side)>,
    by_conn_id: BTreeMap<ConnId, CallKey>,
    subscriptions: SecondaryMap<SubscriptionKey, (DnIndex, u32)>,
    watched: BTreeMap<DnIndex, (u32, SubscriptionKey)>,
    /// The trunk, the peer, and the number of the ping there.
    pub(super) pings: SecondaryMap<PingKey, (TrunkIndex, u8, u32)>,
}

impl Links {
    pub(super) fn add_call(&mut self, key: CallKey, caller: Caller) {
        self.legs.insert(caller.leg, (key, Side::Caller));
        self.by_conn_id.insert(caller.conn_id, key);
        self.callers.insert(key, caller);
    }

    pub(super) fn forget_call(&mut self, key: CallKey) {
        let Some(caller) = self.callers.remove(key) else {
            return;
        };
        self.by_conn_id.remove(&caller.conn_id);
        self.legs.remove(caller.leg);
        if let Some(agent) = caller.agent {
            self.legs.remove(agent.leg);
        }
    }

    pub(super) fn caller(&self, key: CallKey) -> Option<&Caller> {
        self.callers.get(key)
    }

    pub(super) fn call_of(&self, leg: LegKey) -> Option<(CallKey, Side)> {
        self.legs.get(leg).copied()
    }

    pub(super) fn call_with(&self, conn_id: ConnId) -> Option<CallKey> {
        self.by_conn_id.get(&conn_id).copied()
    }

    pub(super) fn set_agent(&mut self, key: CallKey, dialled: Dialled) {
        let Some(caller) = self.callers.get_mut(key) else {
            return;
        };
        if let Some(old) = caller.agent.take() {
            self.legs.remove(old.leg);
        }
        self.legs.insert(dialled.leg, (key, Side::Agent));
        caller.agent = Some(dialled);
    }

    /// The agent's leg has had a response other than 100.
    pub(super) fn agent_rings(&mut self, key: CallKey) {
        if let Some(dialled) = self
            .callers
            .get_mut(key)
            .and_then(|caller| caller.agent.as_mut())
        {
            dialled.rings = true;
        }
    }

    /// Takes the agent's leg out: nothing it still says reaches the call.
    pub(super) fn take_agent(&mut self, key: CallKey) -> Option<Dialled> {
        let dialled = self.callers.get_mut(key)?.agent.take()?;
        self.legs.remove(dialled.leg);
        Some(dialled)
    }

    pub(super) fn leg(&self, key: CallKey, side: Side) -> Option<LegKey> {
        let caller = self.callers.get(key)?;
        match side {
            Side::Caller => Some(caller.leg),
            Side::Agent => caller.agent.as_ref().map(|dialled| dialled.leg),
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
        self.subscriptions.remove(replaced);
        Some(replaced)
    }

    /// Whose subscription it is, and which of its subscriptions.
    pub(super) fn watcher_of(&self, key: SubscriptionKey) -> Option<(DnIndex, u32)> {
        self.subscriptions.get(key).copied()
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
        self.subscriptions.remove(key);
        Some(key)
    }
}
