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

/// What is the same on all shards of a server, besides what is configured. Keys and seed are
/// secret.
#[derive(Debug, Clone, Copy)]
pub struct Shared {
    /// How many shards there are.
    pub shards: u16,
    /// What identifiers are made with, so that they say who owns what they name.
    pub keys: [u64; 2],
    /// Where randomness begins.
    pub seed: u64,
}

impl EngineConfig {
    /// That of one shard of a server.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        shard: ShardId,
        shared: Shared,
        counters: Arc<Counters>,
        wall: Wall,
    ) -> Self {
        let Shared { shards, keys, seed } = shared;
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
