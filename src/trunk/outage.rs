//! The events that tell clients of a trunk's outage and of its end.

use std::time::Instant;

use crate::config::Trunk;
use crate::cti::{Event, EventName, KeyValueList, TrunkStatus, Value};

use super::Failure;
use super::health::Reason;

/// The event for a trunk whose last node left or whose first node returned. `Extensions.Peers`
/// names each node and how it stands, in the order of the configuration; a name that leads nowhere
/// stands for itself.
pub(super) fn event(now: Instant, trunk: &Trunk, in_service: bool, status: &TrunkStatus) -> Event {
    let name = if in_service {
        EventName::DNBackInService
    } else {
        EventName::DNOutOfService
    };
    let mut peers = KeyValueList::new();
    for node in &status.nodes {
        let shown = match node.place {
            Some(place) => place.to_string(),
            None => trunk.peers[usize::from(node.peer)].to_string(),
        };
        peers.set(shown, Value::Text(node.state.into()));
    }
    let mut event = Event::new(now, name, &*trunk.name);
    event.extensions.set("Peers", Value::List(peers));
    event
}

impl Reason {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PingSilent => "ping-silent",
            Self::PingRefused => "ping-refused",
            Self::Request(Failure::Silent) => "request-silent",
            Self::Request(Failure::Unavailable) => "unavailable",
            Self::Request(Failure::Connection) => "connection-failed",
        }
    }
}
