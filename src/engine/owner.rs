//! Who owns what: the one place that maps a thing to its shard. Pure functions of names, so every
//! shard and the control plane agree without asking.

use std::hash::Hasher;

use offhook_shards::ShardId;
use siphasher::sip::SipHasher13;

use crate::config::{Config, DnIndex, QueueIndex, TrunkIndex};
use crate::dialog::call_id;

/// The map from things to shards.
#[derive(Debug, Clone, Copy)]
pub struct Owners {
    /// How many shards there are, at least one.
    shards: u16,
    /// Keyed, so that nobody outside can aim at one shard with Call-IDs of its choice.
    key: [u64; 2],
}

impl Owners {
    /// The same `key` must be given on every shard.
    #[must_use]
    pub fn new(shards: u16, key: [u64; 2]) -> Self {
        assert!(shards > 0, "a server has at least one shard");
        Self { shards, key }
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// The shard of a message, by its Call-ID: the minting shard for Call-IDs of ours, a keyed
    /// hash for others. `None` where no Call-ID can be found.
    #[must_use]
    pub fn message(&self, bytes: &[u8]) -> Option<ShardId> {
        let call_id = call_id::call_id_of(bytes)?;
        Some(call_id::owner(call_id, self.key, self.shards))
    }

    /// Whether another shard of ours than `me` has made up the Call-ID of a message: nobody else
    /// can, so it is part of something that it has begun.
    #[must_use]
    pub fn is_begun_elsewhere(&self, bytes: &[u8], me: ShardId) -> bool {
        let minted = call_id::call_id_of(bytes).and_then(|id| call_id::minted_by(id, self.key));
        minted.is_some_and(|shard| shard != me && shard.0 < self.shards)
    }

    /// The shard of a dialog, by its Call-ID.
    #[must_use]
    pub fn call_id(&self, call_id: &str) -> ShardId {
        call_id::owner(call_id.as_bytes(), self.key, self.shards)
    }

    /// The shard of a DN.
    #[must_use]
    pub fn dn(&self, config: &Config, dn: DnIndex) -> ShardId {
        self.name(b"dn", &config.agent_at(dn).dn)
    }

    /// The shard of a queue and of its routing points.
    #[must_use]
    pub fn queue(&self, config: &Config, queue: QueueIndex) -> ShardId {
        self.name(b"queue", &config.queue_at(queue).name)
    }

    /// The shard that pings a trunk.
    #[must_use]
    pub fn trunk(&self, config: &Config, trunk: TrunkIndex) -> ShardId {
        self.name(b"trunk", &config.trunk_at(trunk).name)
    }

    fn name(&self, kind: &[u8], name: &str) -> ShardId {
        if self.shards == 1 {
            return ShardId(0);
        }
        let mut hasher = SipHasher13::new_with_keys(self.key[0], self.key[1]);
        hasher.write(kind);
        hasher.write_u8(0xff);
        hasher.write(name.as_bytes());
        let shard = hasher.finish() % u64::from(self.shards);
        ShardId(u16::try_from(shard).expect("a remainder of 16 bits fits in 16 bits"))
    }
}
