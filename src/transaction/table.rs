//! Transactions of one kind, found by key or by what the network says identifies them.
//!
//! The index holds fingerprints and not text: 128 bits of keyed SipHash each. Nobody outside knows
//! the key, so nobody can make two fingerprints equal or fill one bucket, and an entry costs the
//! same however long a branch is.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use slotmap::Key;

use crate::paged::PagedMap;

use super::matching::Fingerprint;

/// An index that has room for so many more than there are is made smaller.
const INDEX_ROOM_MAX: usize = 8;
/// Smaller ones are left alone.
const INDEX_ROOM_MIN: usize = 4_096;

/// What a transaction wants its place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Something new, which may come again later.
    Opens,
    /// Going on with what exists, or ending it: refused, it would leave a call that only one side
    /// knows.
    Continues,
}

/// Transactions, at most `limit` of them; the last `reserve` places are for what continues. Half a
/// minute after a busy hour it has given back its room, but for a part of the index.
#[derive(Debug)]
pub(super) struct Table<K: Key, T> {
    entries: PagedMap<K, T>,
    index: Index<K>,
    limit: usize,
    reserve: usize,
}

/// From fingerprint to key.
pub(super) type Index<K> = HashMap<Fingerprint, K, BuildHasherDefault<Passthrough>>;

/// A fingerprint is a hash already: this takes its first half as it is.
#[derive(Debug, Default)]
pub(super) struct Passthrough(u64);

impl Hasher for Passthrough {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a fingerprint hashes as one 64-bit number");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<K: Key, T> Table<K, T> {
    pub(super) fn new(limit: usize, reserve: usize) -> Self {
        Self {
            entries: PagedMap::default(),
            index: Index::default(),
            limit,
            reserve,
        }
    }

    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: usize, reserve: usize) {
        (self.limit, self.reserve) = (limit, reserve);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_full_for(&self, claim: Claim) -> bool {
        let places = match claim {
            Claim::Opens => self.limit - self.reserve,
            Claim::Continues => self.limit,
        };
        self.entries.len() >= places
    }

    /// Adds a transaction.
    ///
    /// # Panics
    /// At the limit; ask [`Table::is_full_for`] first.
    pub(super) fn insert(&mut self, entry: T) -> K {
        assert!(
            !self.is_full_for(Claim::Continues),
            "a full table refuses before anything is made"
        );
        self.entries.insert(entry)
    }

    /// Makes a transaction known under a fingerprint, unless another one has it. Says whether it
    /// did.
    pub(super) fn name(&mut self, fingerprint: Fingerprint, key: K) -> bool {
        debug_assert!(self.entry(key).is_some());
        *self.index.entry(fingerprint).or_insert(key) == key
    }

    /// Forgets a fingerprint, if it is this transaction's.
    pub(super) fn forget(&mut self, fingerprint: Fingerprint, key: K) {
        if self.index.get(&fingerprint) == Some(&key) {
            remove_name(&mut self.index, fingerprint);
        }
    }

    pub(super) fn find(&self, fingerprint: Fingerprint) -> Option<K> {
        self.index.get(&fingerprint).copied()
    }

    pub(super) fn entry(&self, key: K) -> Option<&T> {
        self.entries.value(key)
    }

    pub(super) fn entry_mut(&mut self, key: K) -> Option<&mut T> {
        self.entries.value_mut(key)
    }

    /// Takes a transaction out; its fingerprints are the caller's to forget.
    pub(super) fn remove(&mut self, key: K) -> Option<T> {
        self.entries.remove(key)
    }

    /// How many fingerprints are known: none when the table is empty.
    pub(super) fn names(&self) -> usize {
        self.index.len()
    }
}

/// Forgets a fingerprint, and gives room back where much of it is left over.
pub(super) fn remove_name<K>(index: &mut Index<K>, fingerprint: Fingerprint) {
    index.remove(&fingerprint);
    let room = index.capacity();
    if room > INDEX_ROOM_MIN && room / INDEX_ROOM_MAX > index.len() {
        index.shrink_to(index.len() * 2);
    }
}
