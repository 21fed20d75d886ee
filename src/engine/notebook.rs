//! What a shard writes down, and takes up again: conversations whose legs stand, and agents. After
//! every input those that were touched are looked at; what does not read as it was last written
//! makes a record. `docs/journal.md` says what comes back and what does not.

use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;
use std::time::Instant;

use bytes::Bytes;
use siphasher::sip::SipHasher13;
use slotmap::SecondaryMap;

use offhook_shards::ShardId;

use crate::call::{CallKey, cause};
use crate::config::DnIndex;
use crate::counters::Counter;
use crate::cti::ConnId;
use crate::dialog::{LegKey, LegMemory};
use crate::journal::field::{self, Field, Reader};
use crate::journal::{Image, Key, Record};

use super::Engine;
use super::links::Link;

/// What was written down of whom.
#[derive(Debug, Default)]
pub(super) struct Notebook {
    /// The name of each conversation in the journal, and what was last written of it, as a hash.
    calls: SecondaryMap<CallKey, (u64, u64)>,
    agents: BTreeMap<DnIndex, u64>,
    /// The tags of the legs that were hung up.
    leaving: SecondaryMap<LegKey, u64>,
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

    fn note(&mut self, key: Key, value: Option<Vec<u8>>) {
        let value = value.map(Bytes::from);
        self.records.push_back(Record { key, value });
    }

    fn note_call(&mut self, key: CallKey, written: Option<(ConnId, Vec<u8>)>) {
        let known = self.calls.get(key).copied();
        match (known, written) {
            (None, None) => {}
            (Some((name, _)), None) => {
                self.calls.remove(key);
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
                && let Some(tag) = notebook.leaving.remove(leg)
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

    fn written_call(&self, key: CallKey) -> Option<(ConnId, Vec<u8>)> {
        let mut bytes = Vec::new();
        let (conn_id, slots) = self.calls.remember(key, &self.wall, &mut bytes)?;
        for slot in slots {
            match self.links.leg(key, slot) {
                Some(leg) => self.user_agent.remember(leg, &mut bytes),
                // The end of a tie: the other conversation is on its own after a crash.
                None => None::<LegMemory>.write(&mut bytes),
            }
        }
        Some((conn_id, bytes))
    }

    /// Takes up what an earlier process has written down of what is this shard's.
    pub(super) fn take_up(&mut self, now: Instant, image: &Image) {
        for (key, bytes) in image {
            let is_taken = match key {
                Key::Agent(dn) => match self.config.dn(dn) {
                    Some(dn) if self.owners.dn(&self.config, dn) == self.shard => {
                        self.agents.recall(now, dn, bytes)
                    }
                    Some(_) | None => continue,
                },
                Key::Call(name) if ConnId(*name).shard() == self.shard => {
                    self.take_up_call(now, *name, bytes).is_some()
                }
                // Whoever owns its Call-ID has it.
                Key::Leaving(tag) => match self.take_leave(now, *tag, bytes) {
                    Some(is_taken) => is_taken,
                    None => continue,
                },
                Key::Call(_) => continue,
            };
            self.counters.count(if is_taken {
                Counter::RecordTakenUp
            } else {
                Counter::RecordUnreadable
            });
            if !is_taken && let Some(notebook) = &mut self.notebook {
                notebook.note(key.clone(), None);
            }
        }
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
        }
        Some(leg.is_some())
    }

    fn take_up_call(&mut self, now: Instant, name: u64, bytes: &[u8]) -> Option<()> {
        let mut from = Reader::new(bytes);
        let (key, slots) = self.calls.recall(now, &self.wall, &mut from)?;
        let mut there = Vec::new();
        for slot in slots {
            // What cannot be read to its end goes on by the legs that could be.
            let Some(memory) = Option::<LegMemory>::read(&mut from) else {
                break;
            };
            if let Some(leg) = memory.and_then(|memory| self.user_agent.recall(now, memory)) {
                let dialled = None;
                self.links.add(key, slot, Link { leg, dialled });
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
