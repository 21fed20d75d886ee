//! Requests that wait for a shard's answer. Each gets exactly one: what comes first, the answer or
//! the deadline, takes the request out, and what comes later finds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::cti::{
    CallAction, CallRequest, ClientId, DesktopRequest, EventName, RequestBody, RequestedBy,
};
use crate::limits::{CTI_CALL_DEADLINE, CTI_REQUEST_DEADLINE, CTI_ROUTE_DEADLINE};

/// A request under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The number that the client gave it.
    pub reference_id: Option<u32>,
    /// The address that it is about.
    pub this_dn: String,
    /// The events that name its success; the first one answers it.
    pub success: &'static [EventName],
    /// How long a shard may take.
    pub patience: Duration,
}

/// Every request under way.
///
/// A shard hears a number of ours in place of the client's `ReferenceID`, so that a client that
/// gives two requests the same number still gets both answers.
#[derive(Debug, Default)]
pub struct PendingRequests {
    requests: BTreeMap<RequestedBy, Pending>,
    deadlines: BTreeSet<(Instant, RequestedBy)>,
    last_number: u32,
}

impl PendingRequests {
    /// Draws the number under which a shard hears of a request of this client.
    pub fn number(&mut self, client: ClientId) -> RequestedBy {
        // 0 stands for requests of the hub's own, which have no answer.
        self.last_number = self.last_number.checked_add(1).unwrap_or(1);
        RequestedBy {
            client,
            reference_id: self.last_number,
        }
    }

    /// Notes a request that a shard has taken.
    pub fn insert(&mut self, now: Instant, requested_by: RequestedBy, pending: Pending) {
        let patience = pending.patience;
        let earlier = self.requests.insert(requested_by, pending);
        assert!(
            earlier.is_none(),
            "four thousand million requests take longer than a deadline"
        );
        self.deadlines.insert((now + patience, requested_by));
    }

    /// How many requests of this client wait.
    #[must_use]
    pub fn count(&self, client: ClientId) -> usize {
        self.requests.range(all_of(client)).count()
    }

    /// How many requests wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Takes out the request that this event answers, if it answers one.
    pub fn answer(&mut self, requested_by: RequestedBy, name: EventName) -> Option<Pending> {
        let pending = self.requests.get(&requested_by)?;
        let answers =
            matches!(name, EventName::Error | EventName::ACK) || pending.success.contains(&name);
        if answers {
            self.requests.remove(&requested_by)
        } else {
            None
        }
    }

    /// Takes out a request whose time is over. Called until there is none.
    pub fn expired(&mut self, now: Instant) -> Option<(ClientId, Pending)> {
        while let Some((deadline, requested_by)) = self.deadlines.first().copied() {
            if deadline > now {
                return None;
            }
            self.deadlines.pop_first();
            if let Some(pending) = self.requests.remove(&requested_by) {
                return Some((requested_by.client, pending));
            }
        }
        None
    }

    /// Forgets the requests of a client that went away.
    pub fn forget(&mut self, client: ClientId) {
        let gone: Vec<_> = self
            .requests
            .range(all_of(client))
            .map(|(key, _)| *key)
            .collect();
        for requested_by in gone {
            self.requests.remove(&requested_by);
        }
    }
}

fn all_of(client: ClientId) -> std::ops::RangeInclusive<RequestedBy> {
    let numbered = |reference_id| RequestedBy {
        client,
        reference_id,
    };
    numbered(0)..=numbered(u32::MAX)
}

/// The events that name a request's success.
#[must_use]
pub fn success(body: &RequestBody) -> &'static [EventName] {
    match body {
        RequestBody::Desktop(_, request) => match request {
            DesktopRequest::Login { .. } => &[EventName::AgentLogin],
            DesktopRequest::Logout { .. } => &[EventName::AgentLogout],
            DesktopRequest::Ready { .. } => &[EventName::AgentReady],
            DesktopRequest::NotReady { .. } => &[EventName::AgentNotReady],
            DesktopRequest::MakeCall { .. } => &[EventName::Dialing],
            DesktopRequest::SetDnd { on: true, .. } => &[EventName::DNDOn],
            DesktopRequest::SetDnd { on: false, .. } => &[EventName::DNDOff],
            DesktopRequest::SetForward { .. } => &[EventName::ForwardSet],
            DesktopRequest::CancelForward { .. } => &[EventName::ForwardCancel],
            DesktopRequest::Reserve { .. } => &[EventName::AgentReserved],
            DesktopRequest::Present | DesktopRequest::Gone | DesktopRequest::RouterGone(_) => &[],
        },
        RequestBody::Call(_, request) => match request {
            CallRequest::Party { action, .. } => success_of(action),
            CallRequest::UserData { .. } => &[EventName::AttachedDataChanged],
        },
        RequestBody::Route(..) => &[EventName::RouteUsed],
    }
}

fn success_of(action: &CallAction) -> &'static [EventName] {
    match action {
        CallAction::Answer => &[EventName::Established],
        // A party that never answered leaves with EventAbandoned.
        CallAction::Release | CallAction::Clear => &[EventName::Released, EventName::Abandoned],
        CallAction::Hold => &[EventName::Held],
        CallAction::Retrieve | CallAction::Alternate { .. } | CallAction::Reconnect { .. } => {
            &[EventName::Retrieved]
        }
        CallAction::Consult { .. } => &[EventName::Dialing],
        CallAction::CompleteTransfer { .. }
        | CallAction::MuteTransfer { .. }
        | CallAction::SingleStepTransfer { .. }
        | CallAction::Redirect { .. } => &[EventName::Released],
        CallAction::CompleteConference { .. } => &[EventName::Retrieved],
        CallAction::SingleStepConference { .. } => &[EventName::PartyAdded],
        CallAction::DeleteParty { .. } => &[EventName::PartyDeleted],
        CallAction::SendDtmf { .. } => &[EventName::DTMFSent],
    }
}

/// How long a shard may take to answer a request.
#[must_use]
pub fn patience(body: &RequestBody) -> Duration {
    match body {
        RequestBody::Desktop(_, DesktopRequest::MakeCall { .. })
        | RequestBody::Call(_, CallRequest::Party { .. }) => CTI_CALL_DEADLINE,
        RequestBody::Desktop(..) | RequestBody::Call(..) => CTI_REQUEST_DEADLINE,
        RequestBody::Route(..) => CTI_ROUTE_DEADLINE,
    }
}
