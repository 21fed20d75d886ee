//! Agents: two votes (presence and desktop), work modes, wrap-up, reservation, the calls at the DN.
//!
//! [`Agents`] holds every agent of one shard and is the only writer of their event streams, so the
//! order of an agent's events is decided here and nowhere else. It refuses to know SIP, and it
//! never picks a call: queues offer, the reservation here is the truth. `votes` has the rule that
//! everything rests on, `visits` the calls; then read `presence`, `desktop`, `party`; queues are in
//! [`crate::queue`].

mod availability;
mod claim;
mod desktop;
mod dialling;
mod events;
mod features;
mod memory;
mod party;
mod presence;
mod reservation;
mod state;
mod step;
mod table;
mod visits;
mod votes;
mod wrap_up;

use std::sync::Arc;

use compact_str::CompactString;

use crate::call::CallRef;
use crate::config::{DnIndex, QueueIndex, RoutingPointIndex};
use crate::cti::{
    CallInfo, CallRequest, CallState, ClientId, ConnId, DesktopRequest, DnRole, KeyValueList,
    RequestedBy,
};
use crate::presence::Vote;

pub use table::{Agents, Output, Status};
pub use visits::Stage;
pub use votes::Standing;

/// What the DN's shard hears about a DN.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The presence watcher's word.
    Presence(Vote),
    /// A desktop's request.
    Desktop {
        /// Whom to answer.
        requested_by: RequestedBy,
        /// What is asked.
        request: DesktopRequest,
    },
    /// A queue, or a caller who dialled the DN, wants the agent.
    Reserve(Offer),
    /// The call's shard reports on the party at this DN.
    Party(Party),
    /// The phone was not dialled, because the call was gone or no trunk was in service: the
    /// reservation returns, nothing is reported, and the agent has its old place in the line.
    Returned {
        /// The call that the agent was reserved for.
        call: CallRef,
    },
    /// A desktop wants a call in hand that may be on hold: the request goes on to the call if the
    /// phone is free for it.
    Take {
        /// The call.
        call: CallRef,
        /// Whom to answer.
        requested_by: RequestedBy,
        /// What is asked.
        request: Box<CallRequest>,
    },
    /// A call has refused a request in the DN's name, perhaps what [`Input::Take`] has passed on.
    NotTaken {
        /// Who asked.
        requested_by: RequestedBy,
    },
    /// The call that [`Output::Place`] asked for: it holds the reservation from here on, and
    /// reports `PartyState::Dialing` next. `None`: there is none, and the client was told.
    Placed {
        /// The call.
        call: Option<CallRef>,
    },
}

const _: () = assert!(size_of::<Input>() <= 192, "each call brings a few");

/// A call that the agent's desktop wants made. Until [`Input::Placed`] the agent is promised to
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Who calls.
    pub dn: DnIndex,
    /// An agent, a routing point or a number outside.
    pub destination: String,
    /// Attached data of the new call.
    pub user_data: KeyValueList,
    /// Whom EventDialing, or an error, answers.
    pub requested_by: RequestedBy,
    /// The client's reasons.
    pub reasons: KeyValueList,
}

/// A call that wants the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The call; its shard is told `call::Input::Offer` when the reservation stands.
    pub call: CallRef,
    /// Who gets the refusal.
    pub source: OfferSource,
}

/// Where an offer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferSource {
    /// A queue picked the agent; a refusal goes back to it as `queue::Input::Refused`.
    Queue(QueueIndex),
    /// A router picked the agent for a call of the queue; a refusal goes back to the queue.
    Router(QueueIndex, ClientId),
    /// The caller dialled the DN; a refusal goes to the call as `call::Input::DirectRefused`.
    Direct,
}

/// Why an agent is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedOffer {
    /// Logged out, or the phone is gone.
    LoggedOut,
    /// Not Ready (queues only: a direct call is offered to an agent who is NotReady).
    NotReady,
    /// Reserved for, or in, another call.
    Busy,
    /// No trunk to the phone has a peer in service.
    Unreachable,
}

/// How the party at this DN stands in a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Party {
    /// The call.
    pub call: CallRef,
    /// What is known of it now.
    pub info: Arc<CallInfo>,
    /// The routing point that distributed it; `None` for a direct call.
    pub routing_point: Option<RoutingPointIndex>,
    /// The part of this DN in the call.
    pub role: DnRole,
    /// The far party's number and part, when known.
    pub other: Option<(CompactString, DnRole)>,
    /// Who transferred, added or removed, or where the call went, and its part.
    pub third: Option<(CompactString, DnRole)>,
    /// The main call of a consultation; with `PartyState::Changed` the call that vanished.
    pub previous_conn_id: Option<ConnId>,
    /// How the party's part of the call stands; `PartyState::Ended` says it by its cause.
    pub call_state: CallState,
    /// What happened.
    pub state: PartyState,
    /// Who asked for it, if anybody did.
    pub requested_by: Option<RequestedBy>,
    /// The reasons that the request gave.
    pub reasons: KeyValueList,
    /// In whose name the attached data was changed.
    pub changed_by: Option<CompactString>,
}

/// What happened to the party at a DN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartyState {
    /// The DN calls somebody: EventDialing. The reservation is this call's from here on.
    Dialing,
    /// The destination's network has taken the call: EventNetworkReached.
    NetworkReached,
    /// The destination did not take the call: EventDestinationBusy. The party is still there and
    /// hears `Ended` next.
    DestinationBusy(EndCause),
    /// The phone rings: EventRinging.
    Ringing,
    /// The agent answered: EventEstablished.
    Established,
    /// The party put the call on hold: EventHeld.
    Held,
    /// The party took the call back: EventRetrieved.
    Retrieved,
    /// The far party, or the call's identifier, changed: EventPartyChanged. The DN goes on in
    /// `call`; until then it was `previous_conn_id`, where there is one.
    Changed,
    /// `other` joined: EventPartyAdded.
    Added,
    /// `other` left: EventPartyDeleted.
    Deleted,
    /// The digits were sent: EventDTMFSent.
    DtmfSent,
    /// The attached data changed: EventAttachedDataChanged.
    UserDataChanged,
    /// The party talks, or holds, since before the server was started again: nothing that clients
    /// have not been told.
    Recalled {
        /// Whether it holds.
        is_held: bool,
    },
    /// The party left, or never came: EventReleased or EventAbandoned; the reservation returns.
    Ended(EndCause),
}

/// Why a party left, or never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// The agent hung up, or its desktop did.
    AgentReleased,
    /// The far party hung up after the answer.
    CallerReleased,
    /// The caller gave up before the answer.
    CallerAbandoned,
    /// The phone was not answered in time.
    NoAnswer,
    /// The phone was busy (486, 600).
    Busy,
    /// The agent declined (603), or the phone refused for another reason.
    Declined,
    /// The phone or its PBX cannot be reached (404, 408, 480, 503, silence).
    Unreachable,
    /// A fault ended the call: no ACK, no offer, a limit.
    Failed,
    /// The party transferred the call away.
    Transferred,
    /// The party's call went into a conference.
    Conferenced,
    /// The call was sent elsewhere before the answer.
    Redirected,
    /// The call was cleared for all its parties.
    Cleared,
}
