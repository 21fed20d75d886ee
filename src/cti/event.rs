//! Events: what the shards tell the control plane.

use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;

use crate::config::{DnIndex, TrunkIndex};
use crate::dns::{Place, Question};

use super::attributes::named;
use super::{
    AgentWorkMode, CallInfo, CallState, ConnId, DnRole, ErrorCode, ForwardMode, KeyValueList,
    RequestedBy, RouteType,
};

named!(
    /// The name of an event, without its prefix `Event`.
    EventName {
        /// The call entered a queue.
        Queued, /// The call left a queue for a party.
        Diverted, /// The caller gave up.
        Abandoned, /// The phone rings.
        Ringing, /// The DN dials.
        Dialing, /// The network has taken the call.
        NetworkReached, /// The destination was busy.
        DestinationBusy, /// The parties talk.
        Established, /// The party left the call.
        Released, /// The party put the call on hold.
        Held, /// The party took the call back.
        Retrieved, /// The far party or the call's id changed.
        PartyChanged, /// A party joined.
        PartyAdded, /// A party left.
        PartyDeleted, /// A router is asked where to.
        RouteRequest, /// The router's word was used.
        RouteUsed, /// User data changed.
        AttachedDataChanged, /// An agent logged in.
        AgentLogin, /// An agent logged out.
        AgentLogout, /// An agent may get calls.
        AgentReady, /// An agent gets no calls.
        AgentNotReady, /// An agent is kept for a router.
        AgentReserved, /// Calls are kept away from the DN.
        DNDOn, /// They are not any more.
        DNDOff, /// Calls for the DN go elsewhere.
        ForwardSet, /// They do not any more.
        ForwardCancel, /// The digits were sent.
        DTMFSent, /// The handset of the DN is up: it has answered or made a call of ours.
        OffHook, /// The handset is down again.
        OnHook, /// The address cannot be used.
        DNOutOfService, /// The address can be used again.
        DNBackInService, /// The request failed.
        Error, /// The request was carried out and has no event of its own.
        ACK,
    }
);

/// One event of the T-Library model. Absent attributes are absent in the public form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it happened, in the shard's time.
    pub at: Instant,
    /// Which event.
    pub name: EventName,
    /// The address (DN, routing point, trunk) whose stream it belongs to.
    pub this_dn: CompactString,
    /// Who asked for it, if anybody did.
    pub requested_by: Option<RequestedBy>,
    /// The call, for call events.
    pub call: Option<Arc<CallInfo>>,
    /// The part of `this_dn` in the call.
    pub this_dn_role: Option<DnRole>,
    /// The routing point or queue that distributed the call.
    pub this_queue: Option<CompactString>,
    /// The far party.
    pub other_dn: Option<CompactString>,
    /// The far party's part.
    pub other_dn_role: Option<DnRole>,
    /// Who transferred, added, removed, or where the call went.
    pub third_party_dn: Option<CompactString>,
    /// The third party's part.
    pub third_party_dn_role: Option<DnRole>,
    /// The call that this one came from or replaced.
    pub previous_conn_id: Option<ConnId>,
    /// How the party's part of the call stands.
    pub call_state: Option<CallState>,
    /// The agent at the DN.
    pub agent_id: Option<CompactString>,
    /// Ready or NotReady for what.
    pub agent_work_mode: Option<AgentWorkMode>,
    /// When the DN's calls go elsewhere.
    pub forward_mode: Option<ForwardMode>,
    /// How the call was routed.
    pub route_type: Option<RouteType>,
    /// The number that a router answers a RouteRequest with.
    pub route_reference: Option<u32>,
    /// Software reasons, from the client.
    pub reasons: KeyValueList,
    /// Hardware reasons and other particulars.
    pub extensions: KeyValueList,
    /// Why the request failed, in name.
    pub error_code: Option<ErrorCode>,
    /// Why the request failed, in words.
    pub error_message: Option<String>,
    /// Whether clients were told before the server was started again: it says how things stand,
    /// and is not told once more.
    pub is_known: bool,
}

const _: () = assert!(size_of::<Event>() <= 280, "each call brings a dozen");

impl Event {
    /// An event with nothing but its name and address.
    #[must_use]
    pub fn new(at: Instant, name: EventName, this_dn: impl Into<CompactString>) -> Self {
        Self {
            at,
            name,
            this_dn: this_dn.into(),
            requested_by: None,
            call: None,
            this_dn_role: None,
            this_queue: None,
            other_dn: None,
            other_dn_role: None,
            third_party_dn: None,
            third_party_dn_role: None,
            previous_conn_id: None,
            call_state: None,
            agent_id: None,
            agent_work_mode: None,
            forward_mode: None,
            route_type: None,
            route_reference: None,
            reasons: KeyValueList::new(),
            extensions: KeyValueList::new(),
            error_code: None,
            error_message: None,
            is_known: false,
        }
    }

    /// The failure of a request about `this_dn`. Only the requester sees it.
    #[must_use]
    pub fn error(
        at: Instant,
        this_dn: impl Into<CompactString>,
        requested_by: RequestedBy,
        code: ErrorCode,
        message: impl Into<String>,
    ) -> Self {
        let mut event = Self::new(at, EventName::Error, this_dn);
        event.requested_by = Some(requested_by);
        event.error_code = Some(code);
        event.error_message = Some(message.into());
        event
    }
}

/// How the presence subscription of a DN stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// No presence is configured for the DN.
    Off,
    /// A SUBSCRIBE waits for its turn or its answer.
    Pending,
    /// The PBX notifies us.
    Active,
    /// The PBX cannot be reached or refuses for now; the last vote is kept while it may be.
    Lost,
    /// The PBX refuses this DN; tried again rarely.
    Failed,
}

/// How the nodes of a trunk stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrunkStatus {
    /// In the order of the configuration; a peer that leads nowhere stands for itself.
    pub nodes: Vec<NodeStatus>,
}

/// How one node of a trunk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Which of the trunk's peers leads there.
    pub peer: u8,
    /// Where it is; absent for a name that leads nowhere.
    pub place: Option<Place>,
    /// `in-service`, or why it is out.
    pub state: &'static str,
    /// What the last look at the peer's name met, if it was not good.
    pub dns: Option<&'static str>,
}

/// What the control plane should know and no client sees as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The subscription of a DN changed its status.
    Subscription {
        /// The DN.
        dn: DnIndex,
        /// The status it has now.
        status: SubscriptionStatus,
    },
    /// A node of a trunk came, went, or changed how it stands.
    Trunk(TrunkIndex, TrunkStatus),
    /// A waiting line changed its length.
    QueueDepth {
        /// The queue.
        queue: crate::config::QueueIndex,
        /// Calls that wait now, those being offered included.
        waiting: u32,
        /// Agents that could take a call now.
        available: u32,
        /// How long a caller who comes now may expect to wait; `None` if an agent is free, or
        /// before anything was measured.
        estimated_wait: Option<Duration>,
    },
    /// A caller was told where it stands.
    QueuePlace {
        /// The routing point or queue where it waits.
        address: String,
        /// The call.
        conn_id: ConnId,
        /// Its place: 1 is next.
        position: u32,
        /// How long it may expect to wait from now on.
        estimated_wait: Option<Duration>,
    },
}

/// What comes out of a shard for the control plane, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// An event for clients.
    Event(Box<Event>),
    /// News for the control plane itself.
    Notice(Notice),
    /// A name of a far end that the control plane is to look up.
    LookUp(Question),
}

const _: () = assert!(size_of::<Output>() <= 56, "a shard has room for 8,192");
