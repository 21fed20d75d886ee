//! The nodes of a trunk as values: each address of the configuration, and each that a name leads
//! to now or led to of late. A node keeps its number for as long as it is known, so that what calls
//! report of it is never taken for a word about another.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{self, BigRequests, Peer};
use crate::dialog::Target;
use crate::dns::Place;

/// One node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Which of the trunk's peers leads there.
    pub peer: u8,
    /// Where it is.
    pub place: Place,
    /// Whether the peer still leads there. If not, its calls are still taken in.
    pub live: bool,
    /// Whether it answers.
    pub in_service: bool,
}

/// All nodes of one trunk, from the shard that pings it to all shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// By number; those without a node are free.
    pub nodes: Arc<[Option<Node>]>,
    /// Whether a name of the trunk has had no answer yet, good or bad.
    pub awaiting: bool,
}

impl Nodes {
    /// What is known before any name was looked up.
    pub(super) fn of(trunk: &config::Trunk) -> Self {
        let fixed = |(peer, place): (u8, &Peer)| match place {
            Peer::Name(_) => None,
            Peer::Address { transport, address } => Some(Some(Node {
                peer,
                place: Place {
                    priority: 0,
                    transport: transport.of_shards(),
                    address: *address,
                    weight: 0,
                },
                live: true,
                in_service: true,
            })),
        };
        let nodes: Arc<[_]> = (0..).zip(&trunk.peers).filter_map(fixed).collect();
        let awaiting = nodes.len() < trunk.peers.len();
        Self { nodes, awaiting }
    }

    /// Each node with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, &Node)> {
        let numbered = (0..).zip(self.nodes.iter());
        numbered.filter_map(|(number, node)| Some((number, node.as_ref()?)))
    }
}

/// Where requests to a node go.
pub(super) fn target(trunk: &config::Trunk, place: Place) -> Target {
    let large_requests = match (place.transport, trunk.big_requests) {
        (offhook_shards::Transport::Udp, BigRequests::Tcp) => Some(place.address),
        (offhook_shards::Transport::Udp, BigRequests::Udp)
        | (
            offhook_shards::Transport::Tcp | offhook_shards::Transport::Tls,
            BigRequests::Tcp | BigRequests::Udp,
        ) => None,
    };
    Target {
        transport: place.transport,
        address: place.address,
        large_requests,
        overload_control: trunk.overload_control,
    }
}

/// The host part of request URIs to a peer.
pub(super) fn host(trunk: &config::Trunk, peer: &Peer) -> Arc<str> {
    if let Some(domain) = &trunk.domain {
        return Arc::from(&**domain);
    }
    Arc::from(match peer {
        Peer::Name(question) => match question.port {
            None | Some(5060) => question.host.to_string(),
            Some(port) => format!("{}:{port}", question.host),
        },
        Peer::Address { address, .. } => match (address, address.port()) {
            (SocketAddr::V4(address), 5060) => address.ip().to_string(),
            (SocketAddr::V6(address), 5060) => format!("[{}]", address.ip()),
            (address, _) => address.to_string(),
        },
    })
}
