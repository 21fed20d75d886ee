//! An engine of a configuration, in virtual time.

use std::sync::Arc;
use std::time::Instant;

use offhook::config::Config;
use offhook::counters::Counters;
use offhook::dialog::{Listener, UserAgentConfig};
use offhook::engine::{Engine, EngineConfig, Owners};
use offhook::journal::Image;
use offhook::wall::Wall;
use offhook_shards::{ShardId, Transport};

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
    let listeners = [Transport::Udp, Transport::Tcp].map(|transport| Listener {
        transport,
        address: OURS.parse().expect("an address"),
        advertised: OURS.into(),
    });
    let setup = EngineConfig {
        shard: ShardId(0),
        owners: Owners::new(1, [1, 2]),
        user_agent: UserAgentConfig {
            shard: ShardId(0),
            listeners: listeners.to_vec(),
            t1: config.server.t1,
            t2: config.server.t2,
            t4: config.server.t4,
            user_agent: "Offhook".into(),
            call_id_host: None,
            keys: [1, 2],
            seed,
        },
        config: Arc::clone(config),
        seed,
        counters: Arc::new(Counters::default()),
        wall: Wall::since_1970(now),
    };
    Engine::with_journal(now, setup, image)
}
