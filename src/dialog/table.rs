//! Which dialog a request belongs to.
//!
//! Local tags are ours and unguessable, so Call-ID and local tag name one leg; the remote tag is
//! compared by the leg itself, which may know several of them (a forked INVITE) or none yet. The
//! Call-ID of a subscription is ours as well and names it alone: there are peers that lose our tag,
//! so that its tags are compared by the subscription. Both indexes keep a keyed hash instead of the
//! text: nothing to aim at from outside, and every hit is checked against the full text afterwards.
//! That of a subscription has 64 bits only, because there are as many as DNs; of two that have the
//! same, which takes a shard that begins a hundred a second some 45,000 years, the elder is found
//! no more, and begun anew when its notifier hears so.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::dialog::Tag;
use super::{LegKey, SubscriptionKey};

type Map<V> = HashMap<u128, V, BuildHasherDefault<Hashed>>;

/// All dialogs of one shard.
#[derive(Debug)]
pub(super) struct Table {
    keys: [u64; 2],
    by_local_tag: Map<LegKey>,
    subscriptions: HashMap<u64, SubscriptionKey, BuildHasherDefault<Hashed>>,
    /// By Call-ID and remote tag, the number of each INVITE that an earlier process has accepted,
    /// and whose transaction went with it.
    accepted_before: Map<u32>,
}

impl Table {
    pub(super) fn new(keys: [u64; 2]) -> Self {
        Self {
            keys,
            by_local_tag: Map::default(),
            subscriptions: HashMap::default(),
            accepted_before: Map::default(),
        }
    }

    pub(super) fn insert(&mut self, call_id: &str, local: Tag, leg: LegKey) {
        let key = self.key(call_id, local.text().as_bytes());
        let before = self.by_local_tag.insert(key, leg);
        assert!(before.is_none(), "a minted tag is never minted again");
    }

    pub(super) fn remove(&mut self, call_id: &str, local: Tag) {
        let key = self.key(call_id, local.text().as_bytes());
        self.by_local_tag.remove(&key);
    }

    /// The leg that may own a message with this Call-ID and, on our side of it, this tag.
    pub(super) fn find(&self, call_id: &str, local_tag: &str) -> Option<LegKey> {
        self.by_local_tag
            .get(&self.key(call_id, local_tag.as_bytes()))
            .copied()
    }

    pub(super) fn insert_subscription(&mut self, call_id: &str, key: SubscriptionKey) {
        self.subscriptions.insert(self.short_key(call_id), key);
    }

    pub(super) fn remove_subscription(&mut self, call_id: &str, key: SubscriptionKey) {
        let place = self.short_key(call_id);
        if self.subscriptions.get(&place) == Some(&key) {
            self.subscriptions.remove(&place);
        }
    }

    /// The subscription that may own a message with this Call-ID.
    pub(super) fn subscription(&self, call_id: &str) -> Option<SubscriptionKey> {
        self.subscriptions.get(&self.short_key(call_id)).copied()
    }

    /// An earlier process has accepted this INVITE.
    pub(super) fn insert_accepted(&mut self, call_id: &str, remote: &str, cseq: u32) {
        self.accepted_before
            .insert(self.key(call_id, remote.as_bytes()), cseq);
    }

    /// The dialog of an INVITE is over. Costs nothing unless there are some of an earlier process.
    pub(super) fn remove_accepted(&mut self, call_id: &str, remote: Option<&str>) {
        if let (false, Some(remote)) = (self.accepted_before.is_empty(), remote) {
            let key = self.key(call_id, remote.as_bytes());
            self.accepted_before.remove(&key);
        }
    }

    /// Whether calls stand that an earlier process has accepted.
    pub(super) fn has_accepted(&self) -> bool {
        !self.accepted_before.is_empty()
    }

    /// Whether this INVITE is one that an earlier process has accepted, and that its dialog stands.
    pub(super) fn was_accepted(&self, call_id: &str, remote: &str, cseq: u32) -> bool {
        self.has_accepted()
            && self
                .accepted_before
                .get(&self.key(call_id, remote.as_bytes()))
                == Some(&cseq)
    }

    /// How many entries there are; zero when there is no dialog.
    pub(super) fn len(&self) -> usize {
        self.by_local_tag.len() + self.subscriptions.len() + self.accepted_before.len()
    }

    fn short_key(&self, call_id: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.keys[0], self.keys[1]);
        hasher.write(call_id.as_bytes());
        hasher.finish()
    }

    fn key(&self, call_id: &str, tag: &[u8]) -> u128 {
        let mut hasher = SipHasher24::new_with_keys(self.keys[0], self.keys[1]);
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hasher.write_usize(call_id.len());
        hasher.write(call_id.as_bytes());
        hasher.write(tag);
        hasher.finish128().as_u128()
    }
}

/// The keys are hashes already, of which this takes half as it is, or numbers that nobody outside
/// chooses.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Spreads them over all bits.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}
