//! What a shard takes up of what an earlier process has written down. What it cannot read or use,
//! it does not keep; `notebook` has the other direction.

use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_shards::ShardId;

use crate::call::cause;
use crate::config::DnIndex;
use crate::counters::Counter;
use crate::cti::ConnId;
use crate::dialog::{LegMemory, SubscriptionMemory};
use crate::journal::field::{self, Field, Reader};
use crate::journal::{Image, Key};
use crate::presence::Recalled;

use super::Engine;

/// A subscription as it was written down: the name of its trunk, and when it ends.
type Subscribed = ((String, Duration), SubscriptionMemory);

/// What became of a record.
enum Found {
    TakenUp,
    Unreadable,
    /// It was good once.
    Over,
    /// Another shard has it.
    NotOurs,
}

impl Found {
    fn taken(is_taken: bool) -> Self {
        if is_taken {
            Self::TakenUp
        } else {
            Self::Unreadable
        }
    }
}

impl Engine {
    /// Takes up what an earlier process has written down of what is this shard's.
    pub(super) fn take_up(&mut self, now: Instant, image: &Image) {
        let mut subscriptions = Vec::new();
        for (key, bytes) in image {
            let found = match key {
                Key::Agent(dn) => match self.own_dn(dn) {
                    Some(dn) => {
                        self.watchers.recall_vote(now, &mut self.trunks, dn);
                        Found::taken(self.agents.recall(now, dn, bytes))
                    }
                    None => Found::NotOurs,
                },
                Key::Call(name) if ConnId(*name).shard() == self.shard => {
                    Found::taken(self.take_up_call(now, *name, bytes).is_some())
                }
                Key::Call(_) => Found::NotOurs,
                // Whoever owns its Call-ID has it.
                Key::Leaving(tag) => self
                    .take_leave(now, *tag, bytes)
                    .map_or(Found::NotOurs, Found::taken),
                Key::Subscription(name) => match self.own_dn(name) {
                    None => Found::NotOurs,
                    Some(dn) => match field::read::<Subscribed>(bytes) {
                        Some(subscribed) => {
                            subscriptions.push((key, dn, subscribed));
                            continue;
                        }
                        None => Found::Unreadable,
                    },
                },
            };
            self.found(key, &found);
        }
        // Those that end first are refreshed first.
        subscriptions.sort_by_key(|(_, _, ((_, until), _))| *until);
        for (key, dn, subscribed) in subscriptions {
            let found = match self.take_up_subscription(now, dn, subscribed) {
                Some(()) => Found::TakenUp,
                None => Found::Over,
            };
            self.found(key, &found);
        }
        // They stand as they are written. Each is written anew when it is refreshed, not all now.
        self.watchers.take_touched();
    }

    /// A DN of this shard's.
    fn own_dn(&self, number: &str) -> Option<DnIndex> {
        let dn = self.config.dn(number)?;
        (self.owners.dn(&self.config, dn) == self.shard).then_some(dn)
    }

    /// What was not taken up is not kept.
    fn found(&mut self, key: &Key, found: &Found) {
        match found {
            Found::TakenUp => return self.counters.count(Counter::RecordTakenUp),
            Found::NotOurs => return,
            Found::Unreadable => self.counters.count(Counter::RecordUnreadable),
            Found::Over => {}
        }
        if let Some(notebook) = &mut self.notebook {
            notebook.note(key.clone(), None);
        }
    }

    /// Goes on with a subscription, if it has not ended meanwhile.
    fn take_up_subscription(
        &mut self,
        now: Instant,
        dn: DnIndex,
        ((trunk, until), memory): Subscribed,
    ) -> Option<()> {
        let trunk = self.config.trunk(&trunk)?;
        let recalled = Recalled {
            trunk,
            peer: memory.peer(),
            until: self.wall.at_time(until),
        };
        let credentials = self.config.trunk_at(trunk).credentials.clone();
        let last = memory.number();
        let key = self
            .user_agent
            .recall_subscription(dn.0, memory, credentials)?;
        let Some(epoch) = self.watchers.recall(now, &mut self.trunks, dn, recalled) else {
            self.user_agent.forget(key);
            return None;
        };
        self.watchers.set_subscription(dn, epoch, key);
        let standing = self.watchers.standing(dn);
        if let (Some(notebook), Some(standing)) = (&mut self.notebook, standing) {
            notebook.subscriptions.insert(dn, (standing, last));
        }
        Some(())
    }

    /// A leg that was hung up is hung up again; `None` if it is another shard's.
    fn take_leave(&mut self, now: Instant, tag: u64, bytes: &[u8]) -> Option<bool> {
        let Some(memory) = field::read::<LegMemory>(bytes) else {
            return (self.shard == ShardId(0)).then_some(false);
        };
        if self.owners.call_id(memory.call_id()) != self.shard {
            return None;
        }
        let leg = self.user_agent.recall(now, memory);
        if let Some(leg) = leg {
            if let Some(notebook) = &mut self.notebook {
                notebook.leaving.insert(leg, tag);
            }
            self.user_agent.hang_up(now, leg, cause::FAILURE);
            // Its BYE has a number that must not come again.
            self.note_leaving(leg);
        }
        Some(leg.is_some())
    }

    /// Far ends of a call that cannot be gone on with: nobody would know them.
    fn hang_up_all(&mut self, now: Instant, legs: &mut Reader<'_>) {
        while let Some(memory) = Option::<LegMemory>::read(legs) {
            if let Some(leg) = memory.and_then(|memory| self.user_agent.recall(now, memory)) {
                self.user_agent.hang_up(now, leg, cause::FAILURE);
                self.note_leaving(leg);
            }
        }
    }

    fn take_up_call(&mut self, now: Instant, name: u64, bytes: &[u8]) -> Option<()> {
        let mut from = Reader::new(bytes);
        let legs = Bytes::read(&mut from)?;
        let mut legs = Reader::new(&legs);
        let Some((key, slots)) = self.calls.recall(now, &self.wall, &mut from) else {
            self.hang_up_all(now, &mut legs);
            return None;
        };
        let mut there = Vec::new();
        for slot in slots {
            // What cannot be read to its end goes on by the legs that could be.
            let Some(memory) = Option::<LegMemory>::read(&mut legs) else {
                break;
            };
            if let Some(leg) = memory.and_then(|memory| self.user_agent.recall(now, memory)) {
                self.links.add(key, slot, leg);
                there.push(slot);
            }
        }
        if let Some(notebook) = &mut self.notebook {
            notebook.calls.insert(key, (name, 0));
        }
        self.calls.resume(now, key, &there);
        Some(())
    }
}
