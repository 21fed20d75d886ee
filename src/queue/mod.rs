//! Queues: who waits, who is ready, and who gets whom.

use std::sync::Arc;
use std::time::Instant;

use crate::agent::{EndCause, RefusedOffer};
use crate::call::CallRef;
use crate::config::{DnIndex, RoutingPointIndex};
use crate::cti::{CallInfo, ConnId, RequestedBy, RouteRequest};

/// What the queue's shard hears about a queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A call arrived at one of the queue's routing points.
    Enter {
        /// The call.
        call: CallRef,
        /// What is known of it.
        info: Arc<CallInfo>,
        /// Where it arrived.
        routing_point: RoutingPointIndex,
        /// When it began to wait; kept when an agent fails to take it.
        since: Instant,
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
        /// Who asked for it.
        requested_by: Option<RequestedBy>,
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
