//! All trunks as one shard sees them: the copy of every peer's health to choose by, and the health
//! itself of the peers that this shard pings.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::ShardId;
use offhook_shards::wheel::Wheel;

use crate::config::{self, Config, TrunkIndex, TrunkSet};
use crate::dialog::{PingOutcome, Target};
use crate::dns::Resolved;
use crate::jitter::Jitter;
use crate::sip::Feedback;

use super::health::{Health, Rules, Step};
use super::known::KnownTrunk;
use super::node::{Nodes, target};
use super::pinged::{Moved, Pinged};
use super::route::{Route, turn};
use super::sources::Sources;
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
    sources: Sources,
    wheel: Wheel<(TrunkIndex, u8)>,
    jitter: Jitter,
    /// For the choice among the servers of a name.
    choices: Jitter,
    outputs: VecDeque<Output>,
}

impl Trunks {
    /// All addresses in service, all names not looked up yet. Exactly one shard has a trunk in its
    /// `pinging`.
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
        let indices = (0..).map(TrunkIndex).zip(&config.trunks);
        let accepted = indices.flat_map(|(index, trunk)| {
            let networks = trunk.accept.iter();
            networks.map(move |network| (*network, index))
        });
        let mut trunks = Self {
            known,
            pinged: BTreeMap::new(),
            sources: Sources::new(accepted),
            wheel: Wheel::new(now),
            jitter: Jitter::new(seed, 1),
            choices: Jitter::new(seed, 0x100 + u64::from(shard.0)),
            outputs: VecDeque::new(),
            config,
        };
        trunks.note_sources();
        let config = Arc::clone(&trunks.config);
        for &index in pinging {
            let trunk = config.trunk_at(index);
            let rules = Rules::of(trunk, config.server.t1);
            let pinged = Pinged::new(now, trunk, rules, &mut trunks.jitter);
            let status = pinged.status();
            let nodes = pinged.nodes.len();
            trunks.pinged.insert(index, pinged);
            for node in 0..nodes {
                trunks.arm(index, node as u8);
            }
            trunks.outputs.push_back(Output::Status(index, status));
        }
        trunks
    }

    /// A peer of one of the trunks, by the mode of the set and then of the trunk; `None` when none
    /// of them has one in service.
    pub fn select_among(&mut self, set: &TrunkSet) -> Option<Route> {
        Route::among(self, set)
    }

    /// As [`Trunks::select_among`], for a call: it is spread over the nodes by what they have said
    /// of their overload, and `None` where each is to be spared it.
    pub fn select_for_call(&mut self, now: Instant, set: &TrunkSet) -> Option<Route> {
        let mut route = Route::among(self, set)?;
        if self.is_spared(now, route.trunk(), route.peer().0) {
            route.next_for_call(self, now)?;
        }
        Some(route)
    }

    /// A response of whoever is at this address says how overloaded it is (RFC 7339 §5).
    pub fn handle_feedback(&mut self, now: Instant, remote: SocketAddr, feedback: &Feedback) {
        for (trunk, known) in self.config.trunks.iter().zip(&mut self.known) {
            if trunk.overload_control {
                known.handle_feedback(now, remote, feedback);
            }
        }
    }

    /// Whether this call is one of those that a node is to be spared.
    pub(super) fn is_spared(&mut self, now: Instant, trunk: TrunkIndex, node: u8) -> bool {
        let loss = u64::from(self.known(trunk).loss_percent(now, node));
        loss > 0 && self.choices.number_below(100) < loss
    }

    /// The trunk that has a node with this address, on whatever port, or had one of late, or that
    /// accepts calls from there.
    #[must_use]
    pub fn by_source(&self, address: IpAddr) -> Option<TrunkIndex> {
        self.sources.trunk(address)
    }

    /// Whether calls from and to this address go by this node: it is the node's own, or one that
    /// the trunk accepts calls from and that is no node's.
    #[must_use]
    pub fn leads_by(&self, trunk: TrunkIndex, node: u8, address: IpAddr) -> bool {
        match self.known(trunk).owns(node, address) {
            Some(owns) => owns,
            None => self.by_source(address) == Some(trunk),
        }
    }

    /// Whether this node may be used.
    #[must_use]
    pub fn peer_in_service(&self, trunk: TrunkIndex, peer: u8) -> bool {
        self.known(trunk).is_usable(peer)
    }

    /// Whether the trunk has a node that may be used.
    #[must_use]
    pub fn in_service(&self, trunk: TrunkIndex) -> bool {
        self.known(trunk).is_in_service()
    }

    /// Whether some name has had no answer at all yet: any address may turn out to be a trunk's.
    #[must_use]
    pub fn is_awaiting(&self) -> bool {
        self.known.iter().any(|known| known.awaiting)
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

    /// No connection to this address could be opened. Only of a node that is reached by streams
    /// alone does that say anything.
    pub fn handle_connect_failed(&mut self, now: Instant, remote: SocketAddr) {
        for trunk in (0..self.known.len() as u16).map(TrunkIndex) {
            let tcp = self.nodes_at(trunk, offhook_shards::Transport::Tcp, remote);
            let tls = self.nodes_at(trunk, offhook_shards::Transport::Tls, remote);
            for node in tcp.into_iter().chain(tls) {
                self.handle_failure(now, trunk, node, Failure::Connection, None);
            }
        }
    }

    /// For whom the certificate of a node at this address must be; of one with this IP address,
    /// where none has the port too. Whoever is no node of a trunk is not talked to under TLS.
    #[must_use]
    pub fn tls_name(&self, remote: SocketAddr) -> Option<String> {
        let at = |found: &SocketAddr| *found == remote;
        let near = |found: &SocketAddr| found.ip() == remote.ip();
        self.tls_name_where(at)
            .or_else(|| self.tls_name_where(near))
    }

    fn tls_name_where(&self, is_wanted: impl Fn(&SocketAddr) -> bool) -> Option<String> {
        self.config
            .trunks
            .iter()
            .zip(&self.known)
            .find_map(|(trunk, known)| {
                let peer = known.peer_under_tls(&is_wanted)?;
                Some(trunk.tls_name_of(&trunk.peers[usize::from(peer)]))
            })
    }

    /// The nodes of a trunk in use at this address.
    #[must_use]
    pub fn nodes_at(
        &self,
        trunk: TrunkIndex,
        transport: offhook_shards::Transport,
        address: SocketAddr,
    ) -> Vec<u8> {
        self.known(trunk).nodes_at(transport, address)
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
        self.known[usize::from(trunk.0)].handle_change(change);
    }

    /// Where a name leads. Only for the trunks that this shard pings is it news.
    pub fn handle_resolved(&mut self, now: Instant, resolved: &Resolved) {
        let config = Arc::clone(&self.config);
        let mine: Vec<TrunkIndex> = self.pinged.keys().copied().collect();
        for trunk in mine {
            for (peer, settings) in (0..).zip(&config.trunk_at(trunk).peers) {
                if settings.question() == Some(&*resolved.question) {
                    self.lead(now, trunk, peer, resolved);
                }
            }
        }
    }

    /// The pinging shard's list of nodes. What that changes for those who use them.
    #[must_use]
    pub fn handle_nodes(&mut self, trunk: TrunkIndex, nodes: &Nodes) -> Vec<HealthChange> {
        let settings = &self.config.trunks[usize::from(trunk.0)];
        let changes = self.known[usize::from(trunk.0)].take(settings, nodes);
        self.note_sources();
        changes
    }

    /// The time that [`Trunks::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, (trunk, peer))) = self.wheel.expire(now) {
            let pinged = self.pinged.get_mut(&trunk);
            if pinged.is_some_and(|pinged| pinged.forget_gone(now, peer)) {
                self.tell_nodes(trunk);
                continue;
            }
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

    /// Timers that are armed.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.wheel.len()
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
        let rules = pinged.rules;
        let Some(node) = pinged.node(peer).filter(|node| node.gone.is_none()) else {
            return;
        };
        let step = input(&mut node.health, &rules, &mut self.jitter);
        let address = node.place.address;
        if let Some(in_service) = step.change {
            let change = HealthChange { peer, in_service };
            self.outputs.push_back(Output::Change(trunk, change));
            self.report(now, trunk, Some((address, in_service)));
        }
        if let Some(number) = step.ping {
            self.ping(trunk, peer, number);
        }
        self.arm(trunk, peer);
    }

    /// A name leads elsewhere, or nowhere, or is not answered any more.
    fn lead(&mut self, now: Instant, trunk: TrunkIndex, peer: u8, resolved: &Resolved) {
        let Some(pinged) = self.pinged.get_mut(&trunk) else {
            return;
        };
        let Moved {
            nodes,
            spent,
            left_out,
            changed,
        } = pinged.lead(now, peer, resolved, &mut self.jitter);
        for timer in spent {
            self.wheel.cancel(timer);
        }
        for node in nodes {
            self.arm(trunk, node);
        }
        if !changed {
            return;
        }
        let name = &*self.config.trunk_at(trunk).name;
        let places = resolved.places.iter();
        let places: Vec<String> = places.map(ToString::to_string).collect();
        let places = places.join(", ");
        let peer = &resolved.question;
        match resolved.problem.map(crate::dns::Problem::name) {
            None => tracing::info!(trunk = name, %peer, places, "peer leads to"),
            Some(why) if places.is_empty() => {
                tracing::warn!(trunk = name, %peer, why, "peer leads nowhere");
            }
            Some(why) => tracing::warn!(trunk = name, %peer, why, places, "peer leads as before"),
        }
        if left_out > 0 {
            tracing::warn!(trunk = name, %peer, left_out, "the trunk has no room for more nodes");
        }
        self.tell_nodes(trunk);
        self.report(now, trunk, None);
    }

    fn tell_nodes(&mut self, trunk: TrunkIndex) {
        let nodes = self.pinged[&trunk].nodes();
        self.outputs.push_back(Output::Nodes(trunk, nodes));
    }

    /// Tells the control plane how the trunk's nodes stand, clients when that takes the trunk out
    /// of service or brings it back, and the log of a node that left or returned.
    fn report(&mut self, now: Instant, trunk: TrunkIndex, change: Option<(SocketAddr, bool)>) {
        let Some(pinged) = self.pinged.get_mut(&trunk) else {
            return;
        };
        let settings = self.config.trunk_at(trunk);
        let status = pinged.status();
        // Of a trunk with other nodes in service, one node's coming and going is no news.
        if let Some(in_service) = pinged.announce() {
            let event = outage::event(now, settings, in_service, &status);
            self.outputs.push_back(Output::Event(Box::new(event)));
        }
        self.outputs.push_back(Output::Status(trunk, status));
        let (name, usable) = (&*settings.name, pinged.usable());
        match change {
            Some((address, true)) => {
                tracing::info!(trunk = name, peer = %address, usable, "peer is back in service");
            }
            Some((address, false)) => {
                tracing::warn!(trunk = name, peer = %address, usable, "peer is out of service");
            }
            None => {}
        }
    }

    fn ping(&mut self, trunk: TrunkIndex, peer: u8, number: u32) {
        let settings = self.config.trunk_at(trunk);
        let node = self.pinged.get_mut(&trunk).and_then(|it| it.node(peer));
        let Some(target) = node.map(|node| target(settings, node.place)) else {
            return;
        };
        self.outputs.push_back(Output::Ping {
            trunk,
            peer,
            number,
            target,
            request_uri: sip_uri("", &target.address.to_string()),
            max_forwards: settings.ping_max_forwards,
        });
    }

    fn arm(&mut self, trunk: TrunkIndex, peer: u8) {
        let pinged = self
            .pinged
            .get_mut(&trunk)
            .expect("only pinged trunks have timers");
        let deadline = pinged.deadline(peer);
        let Some(node) = pinged.node(peer) else {
            return;
        };
        if let Some(old) = node.timer.take() {
            self.wheel.cancel(old);
        }
        node.timer = deadline.map(|at| self.wheel.arm(at, (trunk, peer)));
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

    /// The node whose turn it is among those in service.
    pub(super) fn choose(&mut self, trunk: TrunkIndex) -> Option<u8> {
        let mode = self.config.trunk_at(trunk).mode;
        self.known[usize::from(trunk.0)].choose(mode, &mut self.choices)
    }

    /// The next node after `peer` that is in service and not in `tried`.
    pub(super) fn untried(&mut self, trunk: TrunkIndex, peer: u8, tried: u64) -> Option<u8> {
        self.known[usize::from(trunk.0)].untried(peer, tried, &mut self.choices)
    }

    pub(super) fn address(&self, trunk: TrunkIndex, peer: u8) -> Option<(Target, Arc<str>)> {
        self.known(trunk).address(peer)
    }

    fn note_sources(&mut self) {
        let trunks = (0..).map(TrunkIndex).zip(&self.known);
        let sources = trunks.flat_map(|(trunk, known)| known.sources().map(move |at| (at, trunk)));
        self.sources.set_addresses(sources);
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
