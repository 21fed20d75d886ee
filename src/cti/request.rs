//! Requests: what the control plane asks of a shard, already checked for form and permission.

use std::time::Duration;

use crate::config::{DnIndex, RoutingPointIndex, WrapUp};

use super::{AgentWorkMode, ClientId, ConnId, ForwardMode, KeyValueList, RequestedBy, RouteType};

/// One request. It gets exactly one answer: the event that names its success, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whom to answer.
    pub requested_by: RequestedBy,
    /// What is asked.
    pub body: RequestBody,
}

/// What is asked, sorted by who can answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestBody {
    /// About an agent: the DN's shard answers.
    Desktop(DnIndex, DesktopRequest),
    /// About a call: the call's shard answers.
    Call(ConnId, CallRequest),
    /// About a call at a routing point: the queue's shard answers.
    Route(RoutingPointIndex, RouteRequest),
}

/// What a desktop asks for its agent, and a router of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesktopRequest {
    /// Log in.
    Login {
        /// Absent: the DN's default agent.
        agent_id: Option<String>,
        /// `AutoIn` and `ManualIn` ask for Ready at once.
        work_mode: AgentWorkMode,
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// Log out.
    Logout {
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// Take calls.
    Ready {
        /// ManualIn, AutoIn or Unknown.
        work_mode: AgentWorkMode,
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// Take no calls.
    NotReady {
        /// For what.
        work_mode: AgentWorkMode,
        /// How long the wrap-up is to last that `AfterCallWork` asks for.
        wrap_up: Option<WrapUp>,
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// Call a number: the agent's own phone first, then the number (EventDialing).
    MakeCall {
        /// An agent, a routing point or a number outside.
        destination: String,
        /// Attached data of the new call.
        user_data: KeyValueList,
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// Let no call ring at the DN, or let calls ring again (EventDNDOn, EventDNDOff).
    SetDnd {
        /// Whether calls are kept away.
        on: bool,
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// Send calls for the DN elsewhere (EventForwardSet).
    SetForward {
        /// When.
        mode: ForwardMode,
        /// Where to.
        destination: String,
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// Let calls for the DN come to it again (EventForwardCancel).
    CancelForward {
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// Keep the agent for the router that asks (EventAgentReserved).
    Reserve {
        /// For how long.
        duration: Duration,
        /// Of several routers the one with the highest gets the agent.
        priority: u16,
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// The DN has a desktop now. Has no answer.
    Present,
    /// The last desktop of the DN went away. Has no answer.
    Gone,
    /// A router for which the agent is kept, or may be, went away. Has no answer.
    RouterGone(ClientId),
}

/// What is asked about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallRequest {
    /// The party at `this_dn` does something, or has something done to the call.
    Party {
        /// The party.
        this_dn: DnIndex,
        /// What.
        action: CallAction,
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// Change the attached data.
    UserData {
        /// The party in whose name.
        this_dn: String,
        /// What changes.
        change: UserDataChange,
    },
}

impl CallRequest {
    /// The party at `this_dn` leaves.
    #[must_use]
    pub fn release(this_dn: DnIndex, reasons: KeyValueList) -> Self {
        Self::Party {
            this_dn,
            action: CallAction::Release,
            reasons,
        }
    }
}

/// What a party does in its call, by its desktop. The call is the one that the request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAction {
    /// AnswerCall: pick up.
    Answer,
    /// ReleaseCall: leave, which ends a call of two.
    Release,
    /// ClearCall: end the call for all.
    Clear,
    /// HoldCall.
    Hold,
    /// RetrieveCall.
    Retrieve,
    /// AlternateCall: hold the call and take the held one back.
    Alternate {
        /// The held one.
        held: ConnId,
    },
    /// ReconnectCall: release the call and take the held one back.
    Reconnect {
        /// The held one.
        held: ConnId,
    },
    /// InitiateTransfer or InitiateConference: hold the call and call somebody else.
    Consult {
        /// What is announced to come of it.
        kind: ConsultKind,
        /// An agent, a routing point or a number outside.
        destination: String,
        /// Attached data of the consultation.
        user_data: KeyValueList,
    },
    /// CompleteTransfer: who is held and who is consulted go on without the party. The request
    /// names the held call.
    CompleteTransfer {
        /// The consultation.
        consult: ConnId,
    },
    /// CompleteConference: all three talk. The request names the held call.
    CompleteConference {
        /// The consultation.
        consult: ConnId,
    },
    /// MuteTransfer: consult and complete as soon as the destination rings.
    MuteTransfer {
        /// An agent, a routing point or a number outside.
        destination: String,
        /// Attached data of the consultation.
        user_data: KeyValueList,
    },
    /// SingleStepTransfer: leave at once, and the call rings there.
    SingleStepTransfer {
        /// An agent, a routing point or a number outside.
        destination: String,
        /// Pairs to add to the attached data of the call.
        user_data: KeyValueList,
    },
    /// SingleStepConference: stay, and the call rings there too.
    SingleStepConference {
        /// An agent, a routing point or a number outside.
        destination: String,
        /// Pairs to add to the attached data of the call.
        user_data: KeyValueList,
    },
    /// RedirectCall: send the call that rings elsewhere.
    Redirect {
        /// An agent, a routing point or a number outside.
        destination: String,
    },
    /// DeleteFromConference: another party leaves.
    DeleteParty {
        /// Its number.
        other_dn: String,
    },
    /// SendDTMF.
    SendDtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digits: String,
    },
}

/// What a consultation is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsultKind {
    /// A transfer.
    Transfer,
    /// A conference.
    Conference,
}

/// A change of attached data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserDataChange {
    /// AttachUserData: keys that exist stay as they are.
    Attach(KeyValueList),
    /// UpdateUserData: keys that exist are replaced.
    Update(KeyValueList),
    /// DeletePair: one key goes.
    DeletePair(String),
    /// DeleteUserData: all keys go.
    DeleteAll,
}

/// What a router asks at a routing point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteRequest {
    /// Who routes the calls from now on, or that nobody does. Has no answer.
    Router(Option<ClientId>),
    /// Deliver the waiting call.
    Call {
        /// The call.
        conn_id: ConnId,
        /// The number to go to, with `AgentID` the one that the agent is at; absent with
        /// `Default` and `CallDisconnect`.
        other_dn: Option<String>,
        /// How.
        route_type: RouteType,
        /// Software reasons.
        reasons: KeyValueList,
    },
}
