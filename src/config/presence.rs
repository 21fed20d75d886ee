//! `[presence]`: how phones are watched and how what they say becomes agent state. The decisions
//! themselves are taken in `presence/` and `agent/`.

use std::time::Duration;

use super::trunk::TrunkSet;

/// `[presence]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Whether phones are watched at all.
    pub enabled: bool,
    /// Trunks for subscriptions; `None` uses the trunks of the agent's calls.
    pub trunks: Option<TrunkSet>,
    /// Lifetime asked for in SUBSCRIBE.
    pub expires: Duration,
    /// User part of From and Contact.
    pub from: Box<str>,
    /// Host part of the request URI and To; `None` uses the trunk's domain.
    pub domain: Option<Box<str>>,
    /// Activities that mean no activity, in lower case.
    pub idle_activities: Vec<Box<str>>,
    /// Whether `alerting` (the phone rings) is an activity.
    pub alerting_is_activity: bool,
    /// First NOTIFY that says open and busy.
    pub initial_activity: InitialActivity,
    /// Closed together with an activity: a busy phone without call waiting.
    pub closed_busy: ClosedBusy,
    /// What presence says while our own call is at the phone.
    pub own_calls: OwnCalls,
    /// How long after our own call presence is still not applied.
    pub own_call_tail: Duration,
    /// Wait after a termination that the PBX calls temporary before it logs the agent out.
    pub terminated_grace: Duration,
    /// A subscription that cannot be renewed.
    pub lost: Lost,
    /// Whether a NotReady from the desktop outlives a phone that goes and comes back.
    pub relogin_restores_desktop_state: bool,
    /// Desktop login while the phone is known to be unregistered.
    pub login_while_unregistered: LoginWhileUnregistered,
    /// Asks for the state again when presence has said NotReady for this long; `None` never does.
    pub notready_refresh: Option<Duration>,
}

/// First NOTIFY of a subscription that says open and busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InitialActivity {
    /// Login, then NotReady.
    NotReady,
    /// Login, Ready, NotReady.
    Literal,
}

/// NOTIFY that says closed and busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClosedBusy {
    /// As any closed.
    Logout,
    /// As busy.
    NotReady,
}

/// What presence says while our own call is at the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnCalls {
    /// Remembered, applied after the call and its tail.
    Suppress,
    /// Applied at once.
    Literal,
}

/// What becomes of an agent whose subscription cannot be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// Presence has no say any more.
    Keep,
    /// The agent becomes NotReady.
    NotReady,
    /// The agent is logged out.
    Logout,
}

/// Desktop login while the phone is known to be unregistered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoginWhileUnregistered {
    /// Refused with `OutOfService`.
    Refuse,
    /// Accepted as NotReady.
    NotReady,
}
