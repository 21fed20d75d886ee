//! What an engine is told at its start.

use std::sync::Arc;

use offhook_shards::ShardId;

use crate::config::Config;
use crate::counters::Counters;
use crate::dialog::{Listener, UserAgentConfig};
use crate::wall::Wall;

use super::Owners;

/// Everything an engine is told at its start.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The shard it runs on.
    pub shard: ShardId,
    /// Who owns what; the same on all shards.
    pub owners: Owners,
    /// What is configured; the same on all shards.
    pub config: Arc<Config>,
    /// Its place in the network.
    pub user_agent: UserAgentConfig,
    /// Where its randomness begins; the same seed repeats the same choices.
    pub seed: u64,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// What time it is, for what goes by the calendar.
    pub wall: Wall,
}

impl EngineConfig {
    /// That of a shard of a server, of which there are so many. Keys and seed are secret, and the
    /// same on all of them.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        (shard, shards): (ShardId, u16),
        (keys, seed): ([u64; 2], u64),
        counters: Arc<Counters>,
        wall: Wall,
    ) -> Self {
        Self {
            shard,
            owners: Owners::new(shards, keys),
            user_agent: UserAgentConfig {
                shard,
                listeners: listeners(&config),
                t1: config.server.t1,
                t2: config.server.t2,
                t4: config.server.t4,
                user_agent: concat!("Offhook/", env!("CARGO_PKG_VERSION")).to_owned(),
                call_id_host: None,
                keys,
                seed,
            },
            config,
            seed,
            counters,
            wall,
        }
    }
}

/// Where the server listens, as far as it is known how others reach it there.
fn listeners(config: &Config) -> Vec<Listener> {
    let server = &config.server;
    let listeners = server.sip.iter().filter_map(|listener| {
        let host = server.advertised(*listener)?;
        let address = listener.address;
        Some(Listener {
            transport: listener.transport.of_shards(),
            address,
            advertised: format!("{host}:{}", address.port()),
        })
    });
    listeners.collect()
}
