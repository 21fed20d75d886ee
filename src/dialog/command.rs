//! What the layers above ask of the user agent.

use std::time::Duration;

use crate::sip::Status;

use super::{Body, Target};

slotmap::new_key_type! {
    /// One side of a call: an INVITE dialog, from its first message to its last.
    pub struct LegKey;
    /// A subscription of ours, from its SUBSCRIBE to its end.
    pub struct SubscriptionKey;
    /// An OPTIONS of ours that waits for its answer.
    pub struct PingKey;
}

/// A number with its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    /// The user part of the address; empty when unknown.
    pub number: String,
    /// The display name without quotes; empty when there is none.
    pub display_name: String,
    /// Whether the number must not be shown to the far end (RFC 3323, RFC 3325).
    pub private: bool,
}

/// An INVITE that starts an outbound leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Where it goes.
    pub target: Target,
    /// Request-URI and To, e.g. `sip:2001@pbx.example.com`.
    pub request_uri: String,
    /// Who calls; goes to From and P-Asserted-Identity.
    pub calling: Party,
    /// Kept from the inbound leg and lowered, so that a loop through us ends (RFC 7332).
    pub max_forwards: u8,
    /// The offer; without one the far end makes it.
    pub body: Option<Body>,
    /// Headers carried over from the inbound leg as they are: Session-ID, Cisco-Guid, Diversion.
    pub carried: Vec<(String, String)>,
}

/// A final response to an INVITE that we do not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// 300 to 699.
    pub status: Status,
    /// Seconds, for 503 and its like.
    pub retry_after: Option<u32>,
}

/// A SUBSCRIBE that starts a subscription in a dialog of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Where it goes.
    pub target: Target,
    /// Request-URI and To.
    pub request_uri: String,
    /// The user part of From and Contact.
    pub from_user: String,
    /// How long it shall last; 1 s to 136 years.
    pub expires: Duration,
}
