//! One trunk as one shard knows it: a copy of its nodes and of their health, to choose by.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::config::{self, Selection};
use crate::dialog::Target;
use crate::dns::{Place, choose};
use crate::jitter::Jitter;
use crate::sip::Feedback;

use super::HealthChange;
use super::node::{Nodes, host, target};
use super::route::{around, turn};
use super::throttle::Throttle;

#[derive(Debug)]
pub(super) struct KnownTrunk {
    /// By peer: the nodes that it leads to.
    peers: Vec<Vec<(u8, Place)>>,
    /// By peer: the host part of request URIs.
    hosts: Vec<Arc<str>>,
    /// By number: the node's peer, and where requests to it go.
    nodes: Vec<Option<(u8, Target)>>,
    /// By number: what the node has said of its overload.
    throttles: Vec<Throttle>,
    /// One bit for each node that its peer leads to.
    live: u64,
    /// One bit for each node that answers.
    in_service: u64,
    /// Whether a name of the trunk has had no answer yet.
    pub(super) awaiting: bool,
    /// Whose turn it is among the peers.
    rotation: u16,
    /// Whose turn it is in sets of trunks that begin with this one.
    pub(super) set_rotation: u16,
}

impl KnownTrunk {
    pub(super) fn new(trunk: &config::Trunk, shard: u16) -> Self {
        assert!(!trunk.peers.is_empty(), "a trunk has a peer");
        let hosts = trunk.peers.iter().map(|peer| host(trunk, peer)).collect();
        let mut known = Self {
            peers: Vec::new(),
            hosts,
            nodes: Vec::new(),
            throttles: Vec::new(),
            live: 0,
            in_service: 0,
            awaiting: false,
            rotation: shard,
            set_rotation: shard,
        };
        known.take(trunk, &Nodes::of(trunk));
        known
    }

    /// Takes the nodes as they are now. What that changes for calls.
    pub(super) fn take(&mut self, trunk: &config::Trunk, nodes: &Nodes) -> Vec<HealthChange> {
        let before = self.usable();
        self.peers = vec![Vec::new(); trunk.peers.len()];
        let old = std::mem::replace(&mut self.nodes, vec![None; nodes.nodes.len()]);
        (self.live, self.in_service) = (0, 0);
        self.awaiting = nodes.awaiting;
        for (number, node) in nodes.iter() {
            let way = (node.peer, target(trunk, node.place));
            self.nodes[usize::from(number)] = Some(way);
            if node.live {
                self.live |= bit(number);
                self.peers[usize::from(node.peer)].push((number, node.place));
            }
            if node.in_service {
                self.in_service |= bit(number);
            }
        }
        self.throttles.resize(self.nodes.len(), Throttle::default());
        for (number, throttle) in self.throttles.iter_mut().enumerate() {
            // A number that now stands for another node.
            if old.get(number) != Some(&self.nodes[number]) {
                *throttle = Throttle::default();
            }
        }
        let changed = before ^ self.usable();
        let numbers = (0..u64::BITS as u8).filter(|number| changed & bit(*number) != 0);
        numbers
            .map(|peer| HealthChange {
                peer,
                in_service: self.is_usable(peer),
            })
            .collect()
    }

    pub(super) fn handle_change(&mut self, change: HealthChange) {
        if change.in_service {
            self.in_service |= bit(change.peer);
        } else {
            self.in_service &= !bit(change.peer);
        }
    }

    pub(super) fn is_usable(&self, node: u8) -> bool {
        self.usable() & bit(node) != 0
    }

    pub(super) fn is_in_service(&self) -> bool {
        self.usable() != 0
    }

    /// The node whose turn it is: of the peer whose turn it is, among those with one in service.
    pub(super) fn choose(&mut self, mode: Selection, jitter: &mut Jitter) -> Option<u8> {
        let usable = self.usable();
        if usable == 0 {
            return None;
        }
        let length = self.peers.len();
        let start = turn(mode, &mut self.rotation, length);
        let (peer, node) = around(start, length).find_map(|peer| {
            let usable = |number| usable & bit(number) != 0;
            let node = choose(&self.peers[peer], usable, &mut jitter.draw())?;
            Some((peer, node))
        })?;
        if mode == Selection::RoundRobin {
            // The turn goes on from the peer that had it, so that its neighbour does not carry
            // twice the load while it is out.
            self.rotation = ((peer + 1) % length) as u16;
        }
        Some(node)
    }

    /// A node that is in service and not in `tried`: of the same peer as `node` (RFC 3263 §4.3),
    /// then of the peers after it.
    pub(super) fn untried(&self, node: u8, tried: u64, jitter: &mut Jitter) -> Option<u8> {
        let left = self.usable() & !tried;
        let peer = self
            .nodes
            .get(usize::from(node))
            .copied()
            .flatten()
            .map_or(0, |(peer, _)| peer);
        around(usize::from(peer), self.peers.len()).find_map(|peer| {
            let left = |number| left & bit(number) != 0;
            choose(&self.peers[peer], left, &mut jitter.draw())
        })
    }

    /// Where requests to a node go, and the host of their URIs.
    pub(super) fn address(&self, node: u8) -> Option<(Target, Arc<str>)> {
        let (peer, target) = self.nodes.get(usize::from(node)).copied().flatten()?;
        Some((target, Arc::clone(&self.hosts[usize::from(peer)])))
    }

    /// Whether an address is this node's; `None` where no node has it.
    pub(super) fn owns(&self, node: u8, at: IpAddr) -> Option<bool> {
        let is_there = |way: &Option<(u8, Target)>| {
            way.is_some_and(|(_, target)| target.address.ip().to_canonical() == at)
        };
        let own = self.nodes.get(usize::from(node)).is_some_and(is_there);
        (own || self.nodes.iter().any(is_there)).then_some(own)
    }

    /// The nodes in use at this address.
    pub(super) fn nodes_at(&self, way: offhook_shards::Transport, at: SocketAddr) -> Vec<u8> {
        let numbered = (0..).zip(&self.nodes);
        let found = numbered.filter_map(|(number, node)| Some((number, node.as_ref()?.1)));
        found
            .filter(|(number, target)| {
                self.live & bit(*number) != 0 && (target.transport, target.address) == (way, at)
            })
            .map(|(number, _)| number)
            .collect()
    }

    /// The node at this address has said how overloaded it is.
    pub(super) fn handle_feedback(&mut self, now: Instant, at: SocketAddr, feedback: &Feedback) {
        for (node, throttle) in self.nodes.iter().zip(&mut self.throttles) {
            let is_it = |target: &Target| {
                target.address == at || target.large_requests.is_some_and(|address| address == at)
            };
            if node.as_ref().is_some_and(|(_, target)| is_it(target)) {
                throttle.note(now, feedback);
            }
        }
    }

    /// How many of a hundred new calls a node is to be spared.
    pub(super) fn loss_percent(&self, now: Instant, node: u8) -> u8 {
        let throttle = self.throttles.get(usize::from(node));
        throttle.map_or(0, |throttle| throttle.loss_percent(now))
    }

    /// The peer of a node under TLS at an address that is wanted.
    pub(super) fn peer_under_tls(&self, is_wanted: impl Fn(&SocketAddr) -> bool) -> Option<u8> {
        let secret = offhook_shards::Transport::Tls;
        let mut nodes = self.nodes.iter().flatten();
        let found =
            nodes.find(|(_, target)| target.transport == secret && is_wanted(&target.address));
        found.map(|(peer, _)| *peer)
    }

    /// Where calls of the trunk come from: all its nodes, and those that were so of late.
    pub(super) fn sources(&self) -> impl Iterator<Item = IpAddr> {
        let targets = self.nodes.iter().flatten();
        targets.map(|(_, target)| target.address.ip().to_canonical())
    }

    fn usable(&self) -> u64 {
        self.live & self.in_service
    }
}

fn bit(node: u8) -> u64 {
    1_u64.checked_shl(u32::from(node)).unwrap_or(0)
}
