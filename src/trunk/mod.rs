//! Trunks: peers, the nodes that they lead to, their health, and the choice among them.
//!
//! A peer is an address or a name of the configuration; a node is one address that calls go to.
//! Where names lead is looked up elsewhere and comes in by [`Trunks::handle_resolved`].
//!
//! One shard pings a trunk and decides about its peers ([`Trunks::handle_ping`],
//! [`Trunks::handle_failure`]); all shards keep a copy of the verdict and choose by it
//! ([`Trunks::select`]). What goes to a peer is decided above, in `call` and `presence`; how it
//! gets there below, in `dialog`. The life of one node is in `health`, what it says of its overload
//! in `throttle`, a choice in `route`.

mod health;
mod known;
mod node;
mod outage;
mod pinged;
mod policy;
mod route;
mod sources;
mod throttle;
mod trunks;
mod uri;

use std::time::Duration;

use crate::config::TrunkIndex;
use crate::cti::{Event, TrunkStatus};
use crate::dialog::Target;

pub use node::{Node, Nodes};
pub use policy::leg_policy;
pub use route::Route;
pub use trunks::Trunks;
pub use uri::sip_uri;

/// News of a node's health, from the shard that pings it to all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthChange {
    /// Which of the trunk's nodes.
    pub peer: u8,
    /// Whether calls may be sent to it.
    pub in_service: bool,
}

/// How a peer failed a call or a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No response came to the first request of a dialog.
    Silent,
    /// It answered 503.
    Unavailable,
    /// No connection to it could be opened.
    Connection,
}

/// What the trunks want done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send an OPTIONS and bring back its outcome by [`Trunks::handle_ping`], or that it could not
    /// be sent by [`Trunks::handle_unsent`].
    Ping {
        /// The trunk.
        trunk: TrunkIndex,
        /// Which of its nodes.
        peer: u8,
        /// Which of its pings: comes back with the outcome.
        number: u32,
        /// Where to.
        target: Target,
        /// Its Request-URI and To.
        request_uri: String,
        /// Its Max-Forwards.
        max_forwards: u8,
    },
    /// To all shards, this one included: bring it to their [`Trunks::handle_change`].
    Change(TrunkIndex, HealthChange),
    /// To all shards, this one included: bring it to their [`Trunks::handle_nodes`].
    Nodes(TrunkIndex, Nodes),
    /// How the trunk's nodes stand now, for the control plane.
    Status(TrunkIndex, TrunkStatus),
    /// EventDNOutOfService or EventDNBackInService of the trunk.
    Event(Box<Event>),
    /// To the shard that pings the trunk: bring it to its [`Trunks::handle_failure`].
    ReportFailure {
        /// The trunk.
        trunk: TrunkIndex,
        /// Which of its nodes.
        peer: u8,
        /// What happened.
        failure: Failure,
        /// How long the peer asked to be left alone.
        retry_after: Option<Duration>,
    },
}

#[cfg(test)]
mod tests;
