//! All trunks as one shard sees them: the copy of every peer's health to choose by, and the health
//! itself of the peers that this shard pings.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::ShardId;
use offhook_shards::wheel::{TimerKey, Wheel};

use crate::config::{self, BigRequests, Config, TrunkIndex, TrunkSet};
use crate::dialog::{PingOutcome, Target};
use crate::jitter::Jitter;

use super::health::{Health, Rules, Step};
use super::route::{Route, around, turn};
use super::uri::sip_uri;
use super::{Failure, HealthChange, Output, outage};

/// The trunks of one shard.
///
/// After every `handle_*` drain [`Trunks::poll_output`], then look at [`Trunks::poll_timeout`].
#[derive(Debug)]
pub struct Trunks {
    config: Arc<Config>,
    /// What to choose by, in the order of the configuration.
    known: Vec<KnownTrunk>,
    /// The trunks that this shard pings.
    pinged: BTreeMap<TrunkIndex, Pinged>,
    /// The trunk of each peer's address, ascending; of the first trunk where several share one.
    sources: Vec<(IpAddr, TrunkIndex)>,
    wheel: Wheel<(TrunkIndex, u8)>,
    jitter: Jitter,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct KnownTrunk {
    peers: Vec<(Target, Arc<str>)>,
    /// One bit for each peer in service.
    in_service: u16,
    /// Whose turn it is among the peers.
    rotation: u16,
    /// Whose turn it is in sets of trunks that begin with this one.
    set_rotation: u16,
}

#[derive(Debug)]
struct Pinged {
    rules: Rules,
    peers: Vec<(Health, Option<TimerKey>)>,
}

impl Trunks {
    /// All peers in service. Exactly one shard has a trunk in its `pinging`.
    #[must_use]
    pub fn new(
        now: Instant,
        config: Arc<Config>,
        shard: ShardId,
        pinging: &[TrunkIndex],
        seed: u64,
    ) -> Self {
        // Shards start at different peers, so that one call on each does not meet the same one.
        let known = config
            .trunks
            .iter()
            .map(|trunk| KnownTrunk::new(trunk, shard.0))
            .collect();
        let sources = sources(&config);
        let mut trunks = Self {
            known,
            pinged: BTreeMap::new(),
            sources,
            wheel: Wheel::new(now),
            jitter: Jitter::new(seed, 1),
            outputs: VecDeque::new(),
            config,
        };
        let config = Arc::clone(&trunks.config);
        for &index in pinging {
            let trunk = config.trunk_at(index);
            let rules = Rules::of(trunk, config.server.t1);
            let peer_count = trunk.peers.len();
            let peers = (0..peer_count)
                .map(|_| (Health::new(now, &rules, &mut trunks.jitter), None))
                .collect();
            trunks.pinged.insert(index, Pinged { rules, peers });
            for peer in 0..peer_count {
                trunks.arm(index, peer as u8);
            }
        }
        trunks
    }

    /// A peer of one of the trunks, by the mode of the set and then of the trunk; `None` when none
    /// of them has one in service.
    pub fn select_among(&mut self, set: &TrunkSet) -> Option<Route> {
        Route::among(self, set)
    }

    /// The trunk that has a peer with this address, on whatever port.
    #[must_use]
    pub fn by_source(&self, address: IpAddr) -> Option<TrunkIndex> {
        let address = address.to_canonical();
        let place = self
            .sources
            .binary_search_by_key(&address, |(known, _)| *known)
            .ok()?;
        Some(self.sources[place].1)
    }

    /// Whether this peer may be used.
    #[must_use]
    pub fn peer_in_service(&self, trunk: TrunkIndex, peer: u8) -> bool {
        self.known(trunk).in_service & bit(peer) != 0
    }

    /// Whether the trunk has a peer that may be used.
    #[must_use]
    pub fn in_service(&self, trunk: TrunkIndex) -> bool {
        self.known(trunk).in_service != 0
    }

    /// The outcome of an [`Output::Ping`].
    pub fn handle_ping(
        &mut self,
        now: Instant,
        trunk: TrunkIndex,
        peer: u8,
        number: u32,
        outcome: PingOutcome,
    ) {
        self.with_health(now, trunk, peer, |health, rules, jitter| {
            health.handle_ping(now, rules, number, outcome, jitter)
        });
    }

    /// There was no room to send an [`Output::Ping`].
    pub fn handle_unsent(&mut self, now: Instant, trunk: TrunkIndex, peer: u8, number: u32) {
        self.with_health(now, trunk, peer, |health, _, jitter| {
            health.handle_unsent(now, number, jitter)
        });
    }

    /// No connection to this address could be opened. Only to a peer that is reached by TCP alone
    /// does that say anything.
    pub fn handle_connect_failed(&mut self, now: Instant, remote: SocketAddr) {
        let config = Arc::clone(&self.config);
        let wanted = config::Peer {
            transport: config::Transport::Tcp,
            address: remote,
        };
        for (trunk, settings) in (0..).map(TrunkIndex).zip(&config.trunks) {
            for (peer, _) in (0..)
                .zip(&settings.peers)
                .filter(|(_, peer)| **peer == wanted)
            {
                self.handle_failure(now, trunk, peer, Failure::Connection, None);
            }
        }
    }

    /// A call or a subscription met a failing peer. On a shard that does not ping the trunk this
    /// becomes an [`Output::ReportFailure`], unless the peer is known to be out.
    pub fn handle_failure(
        &mut self,
        now: Instant,
        trunk: TrunkIndex,
        peer: u8,
        failure: Failure,
        retry_after: Option<Duration>,
    ) {
        if self.pinged.contains_key(&trunk) {
            self.with_health(now, trunk, peer, |health, rules, _| {
                health.handle_failure(now, rules, failure, retry_after)
            });
        } else if self.peer_in_service(trunk, peer) || retry_after.is_some() {
            self.outputs.push_back(Output::ReportFailure {
                trunk,
                peer,
                failure,
                retry_after,
            });
        }
    }

    /// The pinging shard's verdict.
    pub fn handle_change(&mut self, trunk: TrunkIndex, change: HealthChange) {
        let known = &mut self.known[usize::from(trunk.0)];
        if change.in_service {
            known.in_service |= bit(change.peer);
        } else {
            known.in_service &= !bit(change.peer);
        }
    }

    /// The time that [`Trunks::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, (trunk, peer))) = self.wheel.expire(now) {
            self.with_health(now, trunk, peer, |health, rules, jitter| {
                health.handle_timeout(now, rules, jitter)
            });
        }
    }

    /// When to call [`Trunks::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// What is to be done, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn with_health(
        &mut self,
        now: Instant,
        trunk: TrunkIndex,
        peer: u8,
        input: impl FnOnce(&mut Health, &Rules, &mut Jitter) -> Step,
    ) {
        let Some(pinged) = self.pinged.get_mut(&trunk) else {
            return;
        };
        let (health, _) = &mut pinged.peers[usize::from(peer)];
        let step = input(health, &pinged.rules, &mut self.jitter);
        if let Some(in_service) = step.change {
            self.report(now, trunk, HealthChange { peer, in_service });
        }
        if let Some(number) = step.ping {
            self.ping(trunk, peer, number);
        }
        self.arm(trunk, peer);
    }

    fn report(&mut self, now: Instant, trunk: TrunkIndex, change: HealthChange) {
        self.outputs.push_back(Output::Change(trunk, change));
        let peers = &self.pinged[&trunk].peers;
        let usable = peers
            .iter()
            .filter(|(health, _)| health.out_for().is_none())
            .count();
        let settings = self.config.trunk_at(trunk);
        // Of a trunk with other peers in service, one peer's coming and going is no news.
        let flipped = if change.in_service {
            usable == 1
        } else {
            usable == 0
        };
        if flipped {
            let reasons = peers.iter().map(|(health, _)| health.out_for());
            let event = outage::event(now, settings, change.in_service, reasons);
            self.outputs.push_back(Output::Event(Box::new(event)));
        }
        let address = settings.peers[usize::from(change.peer)].address;
        let name = &*settings.name;
        if change.in_service {
            tracing::info!(trunk = name, peer = %address, usable, "peer is back in service");
        } else {
            tracing::warn!(trunk = name, peer = %address, usable, "peer is out of service");
        }
    }

    fn ping(&mut self, trunk: TrunkIndex, peer: u8, number: u32) {
        let (target, _) = self.address(trunk, peer);
        self.outputs.push_back(Output::Ping {
            trunk,
            peer,
            number,
            target,
            request_uri: sip_uri("", &target.address.to_string()),
            max_forwards: self.config.trunk_at(trunk).ping_max_forwards,
        });
    }

    fn arm(&mut self, trunk: TrunkIndex, peer: u8) {
        let pinged = self
            .pinged
            .get_mut(&trunk)
            .expect("only pinged trunks have timers");
        let (health, timer) = &mut pinged.peers[usize::from(peer)];
        if let Some(old) = timer.take() {
            self.wheel.cancel(old);
        }
        *timer = health
            .deadline(&pinged.rules)
            .map(|at| self.wheel.arm(at, (trunk, peer)));
    }

    fn known(&self, trunk: TrunkIndex) -> &KnownTrunk {
        &self.known[usize::from(trunk.0)]
    }

    /// Where in the set to look first.
    pub(super) fn first_of(&mut self, set: &TrunkSet) -> u16 {
        let Some(front) = set.trunks.first() else {
            return 0;
        };
        let rotation = &mut self.known[usize::from(front.0)].set_rotation;
        let place = turn(set.mode, rotation, set.trunks.len());
        u16::try_from(place).expect("TRUNKS_MAX fits 16 bits")
    }

    /// The peer whose turn it is among those in service.
    pub(super) fn choose(&mut self, trunk: TrunkIndex) -> Option<u8> {
        let mode = self.config.trunk_at(trunk).mode;
        let known = &mut self.known[usize::from(trunk.0)];
        if known.in_service == 0 {
            return None;
        }
        let length = known.peers.len();
        let start = turn(mode, &mut known.rotation, length);
        let chosen = around(start, length).find(|&peer| known.in_service >> peer & 1 == 1)?;
        if mode == config::Selection::RoundRobin {
            // The turn goes on from the peer that had it, so that its neighbour does not carry
            // twice the load while it is out.
            known.rotation = ((chosen + 1) % length) as u16;
        }
        Some(chosen as u8)
    }

    /// The next peer after `peer` that is in service and not in `tried`.
    pub(super) fn untried(&self, trunk: TrunkIndex, peer: u8, tried: u16) -> Option<u8> {
        let known = self.known(trunk);
        let start = (usize::from(peer) + 1) % known.peers.len();
        around(start, known.peers.len())
            .find(|&other| (known.in_service & !tried) >> other & 1 == 1)
            .map(|other| other as u8)
    }

    pub(super) fn address(&self, trunk: TrunkIndex, peer: u8) -> (Target, Arc<str>) {
        let (target, host) = &self.known(trunk).peers[usize::from(peer)];
        (*target, Arc::clone(host))
    }
}

impl KnownTrunk {
    fn new(trunk: &config::Trunk, shard: u16) -> Self {
        let length = trunk.peers.len() as u32;
        assert!(
            (1..=u16::BITS).contains(&length),
            "a trunk has 1 to TRUNK_PEERS_MAX peers"
        );
        Self {
            peers: trunk
                .peers
                .iter()
                .map(|peer| (target(trunk, *peer), host(trunk, *peer)))
                .collect(),
            in_service: u16::MAX >> (u16::BITS - length),
            rotation: shard,
            set_rotation: shard,
        }
    }
}

impl Rules {
    fn of(trunk: &config::Trunk, t1: Duration) -> Self {
        Self {
            check: trunk.oos_check,
            timeout: trunk.ping_timeout,
            force: trunk.oos_force,
            recovery: trunk.recovery_timeout,
            silence: 64 * t1,
        }
    }
}

fn bit(peer: u8) -> u16 {
    1_u16.checked_shl(u32::from(peer)).unwrap_or(0)
}

fn target(trunk: &config::Trunk, peer: config::Peer) -> Target {
    let (transport, large_requests) = match (peer.transport, trunk.big_requests) {
        (config::Transport::Udp, BigRequests::Tcp) => {
            (offhook_shards::Transport::Udp, Some(peer.address))
        }
        (config::Transport::Udp, BigRequests::Udp) => (offhook_shards::Transport::Udp, None),
        (config::Transport::Tcp, BigRequests::Tcp | BigRequests::Udp) => {
            (offhook_shards::Transport::Tcp, None)
        }
    };
    Target {
        transport,
        address: peer.address,
        large_requests,
    }
}

fn host(trunk: &config::Trunk, peer: config::Peer) -> Arc<str> {
    if let Some(domain) = &trunk.domain {
        return Arc::from(&**domain);
    }
    Arc::from(match (peer.address, peer.address.port()) {
        (SocketAddr::V4(address), 5060) => address.ip().to_string(),
        (SocketAddr::V6(address), 5060) => format!("[{}]", address.ip()),
        (address, _) => address.to_string(),
    })
}

fn sources(config: &Config) -> Vec<(IpAddr, TrunkIndex)> {
    let mut sources: Vec<(IpAddr, TrunkIndex)> = Vec::new();
    for (place, trunk) in config.trunks.iter().enumerate() {
        let index = TrunkIndex(u16::try_from(place).expect("TRUNKS_MAX fits 16 bits"));
        for peer in &trunk.peers {
            sources.push((peer.address.ip().to_canonical(), index));
        }
    }
    sources.sort_unstable();
    sources.dedup_by_key(|(address, _)| *address);
    sources
}
