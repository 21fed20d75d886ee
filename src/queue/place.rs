//! One call in a queue, and where it is. It decides nothing but how the end of an offer or of a
//! call is worded; the moves between places are in `line`.

use std::sync::Arc;
use std::time::Instant;

use offhook_shards::wheel::TimerKey;

use crate::agent::EndCause;
use crate::call::CallRef;
use crate::config::{DnIndex, EntryIndex, RoutingPointIndex};
use crate::cti::{CallInfo, CallState, ErrorCode, KeyValueList, RequestedBy, RouteType};

use super::waiting::Turn;

/// One call in a queue.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) call: CallRef,
    pub(super) info: Arc<CallInfo>,
    pub(super) routing_point: RoutingPointIndex,
    /// How it came in.
    pub(super) entry: EntryIndex,
    /// Since when the caller waits.
    pub(super) since: Instant,
    pub(super) turn: Turn,
    /// The class of callers who need the same.
    pub(super) class: usize,
    /// The time at which less will be enough.
    pub(super) relax: Option<TimerKey>,
    /// Whether the router that is there now has been asked about it.
    pub(super) router_was_asked: bool,
    pub(super) stage: Stage,
}

/// Where a call is, with what only that place needs.
#[derive(Debug)]
pub(super) enum Stage {
    /// A router is asked, until the timer.
    Asked(TimerKey),
    /// In the line, for whoever is ready first.
    Waiting,
    /// Offered to an agent whose phone does not ring yet.
    Offered(DnIndex, Option<Routed>),
    /// At the phone of an agent, which rings.
    Ringing(DnIndex, ChosenBy),
}

/// Who chose the agent whose phone rings, and is to choose again if nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChosenBy {
    Queue,
    Router,
}

/// The router's request that an offer is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routed {
    pub(super) requested_by: RequestedBy,
    pub(super) route_type: RouteType,
    pub(super) reasons: KeyValueList,
}

/// Where a call of a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A router is asked.
    Asked,
    /// It waits for any agent.
    Waiting,
    /// It is being offered to this agent.
    Offered(DnIndex),
    /// The phone of this agent rings.
    Ringing(DnIndex),
}

/// What a router is told about an agent who did not take the call.
pub(super) fn offer_error(cause: EndCause) -> ErrorCode {
    match cause {
        EndCause::NoAnswer => ErrorCode::NoAnswer,
        EndCause::Busy => ErrorCode::Busy,
        EndCause::Declined | EndCause::AgentReleased => ErrorCode::Rejected,
        EndCause::Unreachable => ErrorCode::OutOfService,
        EndCause::CallerReleased
        | EndCause::CallerAbandoned
        | EndCause::Failed
        | EndCause::Transferred
        | EndCause::Conferenced
        | EndCause::Redirected
        | EndCause::Cleared => ErrorCode::DestinationState,
    }
}

/// How a call ended that left from the queue.
pub(super) fn left_state(cause: EndCause) -> CallState {
    match cause {
        EndCause::CallerAbandoned | EndCause::CallerReleased => CallState::Abandoned,
        EndCause::AgentReleased | EndCause::Cleared => CallState::Cleared,
        EndCause::Redirected => CallState::Redirected,
        EndCause::Transferred => CallState::Transferred,
        EndCause::Conferenced => CallState::Conferenced,
        EndCause::NoAnswer
        | EndCause::Busy
        | EndCause::Declined
        | EndCause::Unreachable
        | EndCause::Failed => CallState::GeneralError,
    }
}
