//! The engines of the real server: what each is told at its start, drawn from the configuration
//! and from the operating system's randomness. What they do with it is `engine`'s business.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use offhook_shards::ShardId;

use crate::config::{Config, DnIndex, QueueIndex, Transport};
use crate::counters::Counters;
use crate::engine::{Engine, EngineConfig, Owners, Shared};

use super::clock::Clock;
use super::journal::{Journaled, StateDirectory};
use super::serve::Crew;

/// Builds the engines of one server.
#[derive(Debug, Clone)]
pub struct Engines {
    config: Arc<Config>,
    clock: Clock,
    owners: Owners,
    shared: Shared,
    counters: Vec<Arc<Counters>>,
    state: Option<Arc<StateDirectory>>,
}

impl Engines {
    /// Engines with fresh keys and a fresh seed.
    #[must_use]
    pub fn new(config: Arc<Config>, clock: Clock, shards: u16) -> Self {
        Self::made(config, clock, (shards, fresh_keys()), None)
    }

    /// Engines that keep a journal, and take up what is in it.
    #[must_use]
    pub fn with_state(
        config: Arc<Config>,
        clock: Clock,
        shards: u16,
        state: StateDirectory,
    ) -> Self {
        let keys = state.keys();
        Self::made(config, clock, (shards, keys), Some(Arc::new(state)))
    }

    fn made(
        config: Arc<Config>,
        clock: Clock,
        (shards, keys): (u16, [u64; 2]),
        state: Option<Arc<StateDirectory>>,
    ) -> Self {
        Self {
            config,
            clock,
            owners: Owners::new(shards, keys),
            shared: Shared {
                shards,
                keys,
                seed: random(),
            },
            counters: (0..shards).map(|_| Arc::default()).collect(),
            state,
        }
    }
}

impl Crew for Engines {
    type Engine = Journaled;

    fn engine(&self, shard: ShardId) -> Journaled {
        let setup = EngineConfig::new(
            Arc::clone(&self.config),
            shard,
            self.shared,
            Arc::clone(&self.counters[shard.index()]),
            self.clock.wall(),
        );
        let now = self.clock.now();
        let Some(state) = &self.state else {
            return Journaled::new(Engine::new(now, setup), None);
        };
        let counters = Arc::clone(&self.counters[shard.index()]);
        let engine = Engine::with_journal(now, setup, &state.take_image(shard));
        Journaled::new(engine, Some(state.desk(shard, now, counters)))
    }

    fn close(&self) {
        if let Some(state) = &self.state {
            state.close();
        }
    }

    fn counters(&self) -> Vec<Arc<Counters>> {
        self.counters.clone()
    }

    fn owner_of_dn(&self, dn: DnIndex) -> ShardId {
        self.owners.dn(&self.config, dn)
    }

    fn owner_of_queue(&self, queue: QueueIndex) -> ShardId {
        self.owners.queue(&self.config, queue)
    }
}

/// The configuration with real ports in place of 0: engines write them into Via and Contact, and
/// are built before the shards have bound their sockets.
///
/// # Errors
/// The address that cannot be bound, and why.
pub fn with_ports(config: &Config) -> Result<Config, (SocketAddr, io::Error)> {
    let mut config = config.clone();
    for listener in &mut config.server.sip {
        if listener.address.port() == 0 {
            let port = free_port(listener.transport, listener.address);
            let port = port.map_err(|error| (listener.address, error))?;
            listener.address.set_port(port);
        }
    }
    Ok(config)
}

/// A port that is free now. Somebody else may take it before the shards do; then they say so.
fn free_port(transport: Transport, address: SocketAddr) -> io::Result<u16> {
    let bound = match transport {
        Transport::Udp => UdpSocket::bind(address)?.local_addr()?,
        Transport::Tcp | Transport::Tls => TcpListener::bind(address)?.local_addr()?,
    };
    Ok(bound.port())
}

/// Keys that nobody has had.
pub(super) fn fresh_keys() -> [u64; 2] {
    [random(), random()]
}

/// Sixty-four bits of the operating system's randomness: the standard library keys its hashes
/// with it, and SipHash keeps the key.
fn random() -> u64 {
    RandomState::new().hash_one(())
}
