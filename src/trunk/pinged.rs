//! One trunk on the shard that pings it: its nodes with their health, and where its names lead.

use std::sync::Arc;
use std::time::Instant;

use offhook_shards::wheel::TimerKey;

use crate::config;
use crate::cti::{NodeStatus, TrunkStatus};
use crate::dns::{Place, Problem, Resolved};
use crate::jitter::Jitter;
use crate::limits::{DNS_RECENT, TRUNK_NODES_MAX};

use super::health::{Health, Reason, Rules};
use super::node::{Node, Nodes};

#[derive(Debug)]
pub(super) struct Pinged {
    pub(super) rules: Rules,
    /// By number.
    pub(super) nodes: Vec<Option<PingedNode>>,
    /// By peer: what its name met; addresses have met nothing.
    names: Vec<NameState>,
    /// What clients were told last: in service, as they suppose at the start, or out.
    announced: bool,
}

#[derive(Debug)]
pub(super) struct PingedNode {
    peer: u8,
    pub(super) place: Place,
    pub(super) health: Health,
    pub(super) timer: Option<TimerKey>,
    /// Since when its peer does not lead there any more.
    pub(super) gone: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameState {
    Awaiting,
    Met(Option<Problem>),
}

/// What an answer has changed.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The numbers of the nodes whose timers are to be set anew.
    pub(super) nodes: Vec<u8>,
    /// Timers of nodes that had to make room.
    pub(super) spent: Vec<TimerKey>,
    /// Places for which there was no room.
    pub(super) left_out: usize,
    /// Whether anything is different from before.
    pub(super) changed: bool,
}

impl Pinged {
    pub(super) fn new(
        now: Instant,
        trunk: &config::Trunk,
        rules: Rules,
        jitter: &mut Jitter,
    ) -> Self {
        let node = |node: &Option<Node>| {
            let Node { peer, place, .. } = (*node)?;
            Some(PingedNode {
                peer,
                place,
                health: Health::new(now, &rules, jitter),
                timer: None,
                gone: None,
            })
        };
        let nodes = Nodes::of(trunk).nodes.iter().map(node).collect();
        let name = |peer: &config::Peer| match peer.question() {
            Some(_) => NameState::Awaiting,
            None => NameState::Met(None),
        };
        Self {
            nodes,
            names: trunk.peers.iter().map(name).collect(),
            announced: true,
            rules,
        }
    }

    pub(super) fn node(&mut self, number: u8) -> Option<&mut PingedNode> {
        self.nodes.get_mut(usize::from(number))?.as_mut()
    }

    /// The peer's name leads elsewhere, or has met a problem.
    pub(super) fn lead(
        &mut self,
        now: Instant,
        peer: u8,
        resolved: &Resolved,
        jitter: &mut Jitter,
    ) -> Moved {
        let mut moved = Moved::default();
        let state = NameState::Met(resolved.problem);
        let before = std::mem::replace(&mut self.names[usize::from(peer)], state);
        moved.changed = before != state;
        self.retire(now, peer, &resolved.places, &mut moved);
        for place in resolved.places.iter() {
            self.settle(now, peer, *place, jitter, &mut moved);
        }
        moved
    }

    /// Nodes that the peer does not lead to any more take no more calls.
    fn retire(&mut self, now: Instant, peer: u8, places: &[Place], moved: &mut Moved) {
        for (number, node) in (0..).zip(&mut self.nodes) {
            let Some(node) = node.as_mut().filter(|node| node.peer == peer) else {
                continue;
            };
            let stays = places.iter().any(|place| node.is_at(place));
            if node.gone.is_none() && !stays {
                node.gone = Some(now);
                moved.nodes.push(number);
                moved.changed = true;
            }
        }
    }

    /// A node for a place: the one that is or was there, or a new one.
    fn settle(
        &mut self,
        now: Instant,
        peer: u8,
        place: Place,
        jitter: &mut Jitter,
        moved: &mut Moved,
    ) {
        let mut numbered = (0..).zip(&mut self.nodes);
        let known = numbered.find_map(|(number, node)| {
            let node = node.as_mut()?;
            (node.peer == peer && node.is_at(&place)).then_some((number, node))
        });
        if let Some((number, node)) = known {
            moved.changed |= node.gone.is_some() || node.place != place;
            node.place = place;
            if node.gone.take().is_some() {
                node.health.resume(now, &self.rules);
                moved.nodes.push(number);
            }
            return;
        }
        let Some(number) = self.free_number() else {
            moved.left_out += 1;
            return;
        };
        let node = PingedNode {
            peer,
            place,
            health: Health::new(now, &self.rules, jitter),
            timer: None,
            gone: None,
        };
        let old = self.nodes[usize::from(number)].replace(node);
        moved.spent.extend(old.and_then(|old| old.timer));
        moved.nodes.push(number);
        moved.changed = true;
    }

    /// A number without a node, else that of the node which has been gone longest.
    fn free_number(&mut self) -> Option<u8> {
        let numbered = || (0..).zip(&self.nodes);
        if let Some((number, _)) = numbered().find(|(_, node)| node.is_none()) {
            return Some(number);
        }
        if self.nodes.len() < TRUNK_NODES_MAX {
            self.nodes.push(None);
            return u8::try_from(self.nodes.len() - 1).ok();
        }
        let gone = numbered().filter_map(|(number, node)| Some((node.as_ref()?.gone?, number)));
        gone.min().map(|(_, number)| number)
    }

    /// When the node wants to be looked at: by its health, or when it is to be forgotten.
    pub(super) fn deadline(&self, number: u8) -> Option<Instant> {
        let node = self.nodes[usize::from(number)].as_ref()?;
        match node.gone {
            Some(gone) => Some(gone + DNS_RECENT),
            None => node.health.deadline(&self.rules),
        }
    }

    /// Forgets a node that has been gone long enough; `false` if it has not.
    pub(super) fn forget_gone(&mut self, now: Instant, number: u8) -> bool {
        let node = &mut self.nodes[usize::from(number)];
        let old = |node: &mut PingedNode| node.gone.is_some_and(|gone| gone + DNS_RECENT <= now);
        node.take_if(old).is_some()
    }

    /// As the other shards are told.
    pub(super) fn nodes(&self) -> Nodes {
        let node = |node: &Option<PingedNode>| {
            let node = node.as_ref()?;
            Some(Node {
                peer: node.peer,
                place: node.place,
                live: node.gone.is_none(),
                in_service: node.health.out_for().is_none(),
            })
        };
        Nodes {
            nodes: self.nodes.iter().map(node).collect::<Arc<[_]>>(),
            awaiting: self.names.contains(&NameState::Awaiting),
        }
    }

    /// How many nodes calls may be sent to.
    pub(super) fn usable(&self) -> usize {
        let nodes = self.nodes.iter().flatten();
        nodes
            .filter(|node| node.gone.is_none() && node.health.out_for().is_none())
            .count()
    }

    /// Whether clients are to be told now that the trunk is in service again (`true`) or out.
    pub(super) fn announce(&mut self) -> Option<bool> {
        let usable = self.usable() > 0;
        // A trunk whose names are still being looked up for the first time is not out.
        let awaits = !usable && self.names.contains(&NameState::Awaiting);
        if usable == self.announced || awaits {
            return None;
        }
        self.announced = usable;
        Some(usable)
    }

    /// How each peer stands, in the order of the configuration.
    pub(super) fn status(&self) -> TrunkStatus {
        let peers = (0..).zip(&self.names);
        TrunkStatus {
            nodes: peers
                .flat_map(|(peer, name)| self.peer_status(peer, *name))
                .collect(),
        }
    }

    fn peer_status(&self, peer: u8, name: NameState) -> Vec<NodeStatus> {
        let nodes = self.nodes.iter().flatten();
        let live = nodes.filter(|node| node.peer == peer && node.gone.is_none());
        let problem = match name {
            NameState::Awaiting => Some("unresolved"),
            NameState::Met(problem) => problem.map(Problem::name),
        };
        let mut statuses: Vec<NodeStatus> = live
            .map(|node| NodeStatus {
                peer,
                place: Some(node.place),
                state: node.health.out_for().map_or("in-service", Reason::name),
                dns: problem,
            })
            .collect();
        if statuses.is_empty() {
            statuses.push(NodeStatus {
                peer,
                place: None,
                state: problem.unwrap_or(Problem::NoAddress.name()),
                dns: problem,
            });
        }
        statuses
    }
}

impl PingedNode {
    fn is_at(&self, place: &Place) -> bool {
        (self.place.transport, self.place.address) == (place.transport, place.address)
    }
}
