//! Requests: what the control plane asks of a shard, already checked for form and permission.

use crate::config::{DnIndex, RoutingPointIndex};

use super::{AgentWorkMode, ConnId, KeyValueList, RequestedBy, RouteType};

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

/// What a desktop asks for its agent.
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
        /// Software reasons.
        reasons: KeyValueList,
    },
    /// The DN has a desktop now. Has no answer.
    Present,
    /// The last desktop of the DN went away. Has no answer.
    Gone,
}

/// What is asked about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallRequest {
    /// The party at `this_dn` leaves, which ends a call of two.
    Release {
        /// The party.
        this_dn: DnIndex,
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
    /// A router is there (`true`) or the last one went away (`false`). Has no answer.
    Present(bool),
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
