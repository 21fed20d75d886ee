//! The hub's way to the shards, as a trait: the real one is `serve`'s, tests have their own. It
//! says who owns what and passes requests on; it never waits.

use offhook_shards::ShardId;

use crate::config::{DnIndex, QueueIndex};
use crate::cti::Request;

/// A shard's queue of requests is full; try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// All shards, seen from the control plane.
pub trait Shards {
    /// How many there are.
    fn count(&self) -> u16;

    /// The shard that owns a DN.
    fn owner_of_dn(&self, dn: DnIndex) -> ShardId;

    /// The shard that owns a queue and its routing points.
    fn owner_of_queue(&self, queue: QueueIndex) -> ShardId;

    /// Hands a request to a shard.
    ///
    /// # Errors
    /// [`Full`]; the shard has not heard of the request.
    fn request(&self, shard: ShardId, request: Request) -> Result<(), Full>;
}
