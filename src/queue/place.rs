//! One call in a queue, and where it is. It decides nothing but how the end of an offer or of a
//! call is worded; the moves between places are in `line`.

use std::sync::Arc;
use std::time::Instant;

use offhook_shards::wheel::TimerKey;

use compact_str::CompactString;

use crate::agent::EndCause;
use crate::call::CallRef;
use crate::config::{DnIndex, EntryIndex, QueueIndex, RoutingPointIndex};
use crate::cti::{CallInfo, CallState, ConnId, ErrorCode, KeyValueList, RequestedBy, RouteType};

use super::overflow::Limit;
use super::waiting::Turn;

/// One call in a queue.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) call: CallRef,
    pub(super) info: Arc<CallInfo>,
    /// The main call, where this one is a consultation beside it.
    pub(super) beside: Option<ConnId>,
    pub(super) routing_point: RoutingPointIndex,
    /// How it came in.
    pub(super) entry: EntryIndex,
    /// Since when the caller waits.
    pub(super) since: Instant,
    /// The queues in which it could not wait.
    pub(super) visited: Box<[QueueIndex]>,
    pub(super) turn: Turn,
    /// The class of callers who need the same.
    pub(super) class: usize,
    /// The time at which less will be enough.
    pub(super) relax: Option<TimerKey>,
    /// The time at which it has waited as long as it may.
    pub(super) limit: Option<TimerKey>,
    /// Whether that time has passed, and nothing came of it yet.
    pub(super) is_overdue: bool,
    /// Whether the last agent has logged out since, and nothing came of it yet.
    pub(super) is_deserted: bool,
    /// What keeps it from waiting here at all; until it is elsewhere it has a place all the same.
    pub(super) kept_out: Option<Limit>,
    /// The limit for which it was sent elsewhere, until its shard has said what came of it.
    pub(super) sent_for: Option<Limit>,
    /// How many phones have rung for it in vain.
    pub(super) unanswered: u16,
    /// Whose phones they were, the latest last: others come first.
    pub(super) unanswered_by: Vec<DnIndex>,
    /// Whether the call has taken the agent to whom this queue has offered it, by our offer or by
    /// that of another of its queues.
    pub(super) is_promised: bool,
    /// Whether the router that is there now has been asked about it.
    pub(super) router_was_asked: bool,
    /// Whether it has come in: it waits here, or has waited here and is under way to somebody.
    pub(super) is_in: bool,
    pub(super) stage: Stage,
}

const _: () = assert!(size_of::<Call>() <= 248, "10,000 callers may wait");

/// Where a call is, with what only that place needs.
#[derive(Debug)]
pub(super) enum Stage {
    /// Waits at home, and not yet here, until the timer.
    Delayed(TimerKey),
    /// A router is asked, until the timer.
    Asked(TimerKey),
    /// In the line, for whoever is ready first.
    Waiting,
    /// Offered to an agent whose phone does not ring yet.
    Offered(DnIndex, Option<Routed>),
    /// At the phone of an agent, which rings.
    Ringing(DnIndex, ChosenBy),
    /// With an agent of another queue, whether the phone rings; or where this agent has sent it.
    Elsewhere(DnIndex, bool),
    /// Sent elsewhere, and not gone yet.
    Leaving(Leaving),
}

/// Why a call is sent elsewhere.
#[derive(Debug)]
pub(super) enum Leaving {
    /// It met a limit.
    Overflow,
    /// A router wants it.
    Routed(Routed),
    /// Whom it was sent to rings.
    Rings(ChosenBy),
}

/// Who chose whose phone rings, and is to choose again if nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChosenBy {
    Queue,
    Router,
}

/// What a router has to do with a call that waits again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoutersTurn {
    /// Nothing.
    Over,
    /// It was asked, and may choose again.
    GoesOn,
    /// It is asked.
    Begins,
}

/// The router's request that an offer is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routed {
    pub(super) requested_by: RequestedBy,
    pub(super) route_type: RouteType,
    pub(super) reasons: KeyValueList,
    /// What the call has again if it does not get there, where the request gave it another DNIS.
    pub(super) former: Option<FormerDnis>,
}

/// The DNIS that a call had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormerDnis(pub(super) Option<CompactString>);

/// Where a call of a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It will wait here if it still waits then.
    Delayed,
    /// A router is asked.
    Asked,
    /// It waits for any agent.
    Waiting,
    /// It is being offered to this agent.
    Offered(DnIndex),
    /// The phone of this agent rings.
    Ringing(DnIndex),
    /// It is with this agent by way of another queue, or where this agent has sent it.
    Elsewhere(DnIndex),
    /// It is being sent elsewhere.
    Leaving,
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
