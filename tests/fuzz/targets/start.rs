//! An engine of a configuration, in virtual time.

use std::sync::Arc;
use std::time::Instant;

use offhook::config::Config;
use offhook::engine::{Engine, EngineConfig, Shared};
use offhook::journal::Image;
use offhook::wall::Wall;
use offhook_shards::ShardId;

/// Where the engine listens.
pub(super) const OURS: &str = "192.0.2.10:5060";

/// Some instant to count from.
#[allow(
    clippy::disallowed_methods,
    reason = "virtual time needs some instant to count from"
)]
pub(super) fn origin() -> Instant {
    Instant::now()
}

/// The only shard of a server that starts with what an earlier one has written down.
pub(super) fn engine(now: Instant, config: &Arc<Config>, image: &Image, seed: u64) -> Engine {
    let (config, counters) = (Arc::clone(config), Arc::default());
    let wall = Wall::since_1970(now);
    let shared = Shared {
        shards: 1,
        keys: [1, 2],
        seed,
    };
    let setup = EngineConfig::new(config, ShardId(0), shared, counters, wall);
    Engine::with_journal(now, setup, image)
}
