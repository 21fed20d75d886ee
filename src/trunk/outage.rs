//! The events that tell clients of a trunk's outage and of its end.

use std::time::Instant;

use crate::config::Trunk;
use crate::cti::{Event, EventName, KeyValueList, Value};

use super::Failure;
use super::health::Reason;

/// The event for a trunk whose last peer left or whose first peer returned. `Extensions.Peers`
/// names each peer and how it stands, in the order of the configuration.
pub(super) fn event(
    now: Instant,
    trunk: &Trunk,
    in_service: bool,
    reasons: impl Iterator<Item = Option<Reason>>,
) -> Event {
    let name = if in_service {
        EventName::DNBackInService
    } else {
        EventName::DNOutOfService
    };
    let mut peers = KeyValueList::new();
    for (peer, reason) in trunk.peers.iter().zip(reasons) {
        let state = reason.map_or("in-service", Reason::name);
        peers.set(
            format!("{}:{}", peer.transport, peer.address),
            Value::Text(state.to_owned()),
        );
    }
    let mut event = Event::new(now, name, &*trunk.name);
    event.extensions.set("Peers", Value::List(peers));
    event
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::PingSilent => "ping-silent",
            Self::PingRefused => "ping-refused",
            Self::Request(Failure::Silent) => "request-silent",
            Self::Request(Failure::Unavailable) => "unavailable",
            Self::Request(Failure::Connection) => "connection-failed",
        }
    }
}
