//! What a shard writes down: conversations whose legs stand, agents, and the subscriptions to their
//! phones. After every input those that were touched are looked at; what does not read as it was
//! last written makes a record. How it is read after a crash is in `recall`; `docs/journal.md` says
//! what comes back and what does not.

use bytes::Bytes;
use siphasher::sip::SipHasher13;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;

use crate::call::CallKey;
use crate::config::DnIndex;
use crate::cti::ConnId;
use crate::dialog::{LegKey, LegMemory};
use crate::journal::field::Field;
use crate::journal::{Key, Record};
use crate::limits::CSEQ_AFTER_RECALL;
use crate::presence::Standing;

use super::Engine;

/// What was written down of whom.
#[derive(Debug, Default)]
pub(super) struct Notebook {
    /// The name of each conversation in the journal, and what was last written of it, as a hash.
    pub(super) calls: BTreeMap<CallKey, (u64, u64)>,
    agents: BTreeMap<DnIndex, u64>,
    /// Each with the number of its last SUBSCRIBE.
    pub(super) subscriptions: BTreeMap<DnIndex, (Standing, u32)>,
    /// The tags of the legs that were hung up.
    pub(super) leaving: BTreeMap<LegKey, u64>,
    records: VecDeque<Record>,
}

impl Notebook {
    /// How many records wait to be taken.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn poll_record(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    pub(super) fn note(&mut self, key: Key, value: Option<Vec<u8>>) {
        let value = value.map(Bytes::from);
        self.records.push_back(Record { key, value });
    }

    fn note_call(&mut self, key: CallKey, written: Option<(ConnId, Vec<u8>)>) {
        let known = self.calls.get(&key).copied();
        match (known, written) {
            (None, None) => {}
            (Some((name, _)), None) => {
                self.calls.remove(&key);
                self.note(Key::Call(name), None);
            }
            (_, Some((conn_id, bytes))) => {
                let (name, check) = (known.map_or(conn_id.0, |(name, _)| name), hash(&bytes));
                if known != Some((name, check)) {
                    self.calls.insert(key, (name, check));
                    self.note(Key::Call(name), Some(bytes));
                }
            }
        }
    }

    fn note_agent(&mut self, dn: DnIndex, number: &str, bytes: Option<Vec<u8>>) {
        let check = bytes.as_deref().map(hash);
        if self.agents.get(&dn).copied() == check {
            return;
        }
        match check {
            Some(check) => self.agents.insert(dn, check),
            None => self.agents.remove(&dn),
        };
        self.note(Key::Agent(number.to_owned()), bytes);
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

impl Engine {
    /// Looks at what was touched.
    pub(super) fn write_down(&mut self) {
        if self.notebook.is_none() {
            return;
        }
        for key in self.calls.take_touched() {
            let written = self.written_call(key);
            if let Some(notebook) = &mut self.notebook {
                notebook.note_call(key, written);
            }
        }
        for leg in self.user_agent.take_over() {
            if let Some(notebook) = &mut self.notebook
                && let Some(tag) = notebook.leaving.remove(&leg)
            {
                notebook.note(Key::Leaving(tag), None);
            }
        }
        for dn in self.agents.take_touched() {
            let mut bytes = Vec::new();
            let bytes = self.agents.remember(dn, &mut bytes).then_some(bytes);
            if let Some(notebook) = &mut self.notebook {
                notebook.note_agent(dn, &self.config.agent_at(dn).dn, bytes);
            }
        }
        for dn in self.watchers.take_touched() {
            self.note_subscription(dn);
        }
    }

    fn note_subscription(&mut self, dn: DnIndex) {
        let Some(notebook) = &mut self.notebook else {
            return;
        };
        let standing = self.watchers.standing(dn);
        let key = standing.and_then(|standing| self.watchers.subscription(dn, standing.epoch));
        let number = key.and_then(|key| self.user_agent.subscribed_number(key));
        if let (Some(standing), Some(number)) = (&standing, number)
            && let Some((written, last)) = notebook.subscriptions.get(&dn)
            && standing.is_as(written)
            // What comes after a crash goes on from beyond this.
            && number.saturating_sub(*last) < CSEQ_AFTER_RECALL / 2
        {
            return;
        }
        let mut bytes = Vec::new();
        let standing = standing
            .zip(key)
            .zip(number)
            .filter(|((standing, key), _)| {
                let trunk = self.config.trunk_at(standing.trunk).name.to_string();
                (trunk, self.wall.time_at(standing.until)).write(&mut bytes);
                self.user_agent.remember_subscription(*key, &mut bytes)
            });
        let before = match standing {
            Some(((standing, _), number)) => notebook.subscriptions.insert(dn, (standing, number)),
            None => notebook.subscriptions.remove(&dn),
        };
        if before.is_some() || standing.is_some() {
            let key = Key::Subscription(self.config.agent_at(dn).dn.to_string());
            notebook.note(key, standing.map(|_| bytes));
        }
    }

    /// A leg was hung up. Its call may be forgotten before its far end has heard of it.
    pub(super) fn note_leaving(&mut self, leg: LegKey) {
        let Some(notebook) = &mut self.notebook else {
            return;
        };
        let mut bytes = Vec::new();
        if let Some(tag) = self.user_agent.remember_leaving(leg, &mut bytes) {
            notebook.leaving.insert(leg, tag);
            notebook.note(Key::Leaving(tag), Some(bytes));
        }
    }

    /// Its legs come first: whatever is wrong with the rest, they can be hung up.
    fn written_call(&self, key: CallKey) -> Option<(ConnId, Vec<u8>)> {
        let mut call = Vec::new();
        let (conn_id, slots) = self.calls.remember(key, &self.wall, &mut call)?;
        let mut legs = Vec::new();
        for slot in slots {
            match self.links.leg(key, slot) {
                Some(leg) => self.user_agent.remember(leg, &mut legs),
                // The end of a tie: the other conversation is on its own after a crash.
                None => None::<LegMemory>.write(&mut legs),
            }
        }
        let mut bytes = Vec::with_capacity(size_of::<u32>() + legs.len() + call.len());
        Bytes::from(legs).write(&mut bytes);
        bytes.extend_from_slice(&call);
        Some((conn_id, bytes))
    }
}
