//! Queues: who waits, who is ready, and who gets whom.
//!
//! [`Queues`] holds every queue of one shard. A queue picks; whether the agent is really to be had
//! is the truth of the agent's shard, so every pick is an offer that may come back with the
//! caller's place and age unchanged. It refuses to know SIP and ends a call by itself only where a
//! limit says so. `line` is one queue, `place` one call in it, `waiting` and `ready` its two
//! sides, `pace` how fast it moves; `entering`, `offering` and `overflow` are what happens to a
//! call, `routing` the router's say. How the two sides are matched is in `docs/ARCHITECTURE.md`.
//! Agents are in [`crate::agent`].
//!
//! # Events at the routing point
//! EventQueued when a caller enters; EventRouteRequest when a router is asked; EventRouteUsed
//! and EventDiverted when the agent's phone rings, or that of whom the caller was sent to;
//! EventAbandoned when the caller leaves from the queue. A caller whose phone rang and was not
//! answered is back in the queue: EventQueued comes again, with the same ConnID, and each
//! EventQueued is closed by one EventDiverted, EventAbandoned or EventReleased. A caller who
//! overflows into another queue has its events there at the queue's own name. Of the queues in
//! which one caller waits, only its home writes events.

mod bits;
mod effort;
mod entering;
mod events;
mod line;
mod offering;
mod overflow;
mod pace;
mod place;
mod ranked;
mod ready;
mod routing;
mod step;
mod table;
mod waiting;

use std::sync::Arc;
use std::time::Instant;

use compact_str::CompactString;

use crate::agent::{EndCause, RefusedOffer};
use crate::call::CallRef;
use crate::config::{DnIndex, EntryIndex, QueueIndex, RoutingPointIndex};
use crate::cti::{CallInfo, ConnId, ErrorCode, RequestedBy, RouteRequest};

pub use line::Status;
pub use pace::Standing;
pub use place::Place;
pub use table::{Output, Queues};

/// What the queue's shard hears about a queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A call arrived at one of the queue's routing points.
    Enter {
        /// The call.
        call: CallRef,
        /// What is known of it.
        info: Arc<CallInfo>,
        /// The main call, where this one is a consultation beside it.
        beside: Option<ConnId>,
        /// The number that the caller dialled.
        routing_point: RoutingPointIndex,
        /// How it comes in: one of `Config::route`, or `Config::overflow_entry`.
        entry: EntryIndex,
        /// When it began to wait; kept when an agent fails to take it.
        since: Instant,
        /// Whether it was answered here and has lost its agent: then it came in time.
        returns: bool,
        /// The queues in which it could not wait; it is not sent back to them.
        visited: Box<[QueueIndex]>,
    },
    /// The call has taken an agent whom one of its queues has picked. All its queues hear it, and
    /// the others do not offer the call until `OfferFailed`.
    Promised {
        /// The call.
        conn_id: ConnId,
        /// The agent.
        dn: DnIndex,
    },
    /// The phone of the agent rings: the call is diverted to it (EventRouteUsed, EventDiverted).
    Ringing {
        /// The call.
        conn_id: ConnId,
        /// The agent.
        dn: DnIndex,
    },
    /// The agent has answered: the call is the queue's no more.
    Answered {
        /// The call.
        conn_id: ConnId,
        /// The agent.
        dn: DnIndex,
    },
    /// The agent did not take the call: it waits again, with its place and age.
    OfferFailed {
        /// The call.
        conn_id: ConnId,
        /// The agent.
        dn: DnIndex,
        /// Why.
        cause: EndCause,
    },
    /// The agent whose phone rings has sent the call elsewhere: it is to be had again, and the call
    /// keeps its place until somebody answers there, or `OfferFailed`.
    Redirected {
        /// The call.
        conn_id: ConnId,
        /// The agent.
        dn: DnIndex,
    },
    /// Whom `call::Input::Forward` sent the call to rings: it is diverted there (EventRouteUsed,
    /// EventDiverted), and keeps its place until `Forwarded` or `ForwardFailed`.
    ForwardRings {
        /// The call.
        conn_id: ConnId,
        /// Where to.
        destination: String,
    },
    /// The call has gone where `call::Input::Forward` sent it: it is the queue's no more.
    Forwarded {
        /// The call.
        conn_id: ConnId,
        /// Where to.
        destination: String,
    },
    /// The call could not go where `call::Input::Forward` sent it: it waits, as before.
    ForwardFailed {
        /// The call.
        conn_id: ConnId,
        /// Why.
        code: ErrorCode,
    },
    /// The call ended while it waited or rang (EventAbandoned at the routing point).
    Left {
        /// The call.
        conn_id: ConnId,
        /// Why.
        cause: EndCause,
    },
    /// The attached data changed.
    UserDataChanged {
        /// The call.
        conn_id: ConnId,
        /// What is known of it now.
        info: Arc<CallInfo>,
        /// Who asked for it, if that was in the name of the routing point.
        requested_by: Option<RequestedBy>,
        /// In whose name it was changed.
        changed_by: CompactString,
    },
    /// The call asks where it stands, for a caller who is to hear it. There is always an answer,
    /// `call::Input::Standing`.
    Where {
        /// The call.
        call: CallRef,
    },
    /// The agent can take a call.
    AgentAvailable {
        /// The agent.
        dn: DnIndex,
        /// Since when it has been idle.
        idle_since: Instant,
    },
    /// The agent cannot take a call.
    AgentUnavailable {
        /// The agent.
        dn: DnIndex,
    },
    /// The agent has logged in or out, whether it can take a call or not.
    AgentPresent {
        /// The agent.
        dn: DnIndex,
        /// Whether it is logged in.
        present: bool,
    },
    /// The agent's shard did not reserve it for the call.
    Refused {
        /// The call.
        conn_id: ConnId,
        /// The agent.
        dn: DnIndex,
        /// Why.
        why: RefusedOffer,
    },
    /// A router's word about a routing point of this queue.
    Router {
        /// The routing point.
        routing_point: RoutingPointIndex,
        /// Whom to answer.
        requested_by: RequestedBy,
        /// What is asked.
        request: RouteRequest,
    },
}

const _: () = assert!(size_of::<Input>() <= 88, "each offer brings a few");
