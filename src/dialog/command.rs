//! What the layers above ask of the user agent.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Credentials;
use crate::sip::Status;

use super::{Body, Carried, LegPolicy, Target};

slotmap::new_key_type! {
    /// One side of a call: an INVITE dialog, from its first message to its last.
    pub struct LegKey;
    /// A subscription of ours, from its SUBSCRIBE to its end.
    pub struct SubscriptionKey;
    /// An OPTIONS of ours that waits for its answer.
    pub struct PingKey;
}

/// A number with its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Party {
    /// The user part of the address; empty when unknown.
    pub number: Box<str>,
    /// The display name without quotes; empty when there is none.
    pub display_name: Box<str>,
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
    pub calling: Arc<Party>,
    /// Kept from the inbound leg and lowered, so that a loop through us ends (RFC 7332).
    pub max_forwards: u8,
    /// The offer; without one the far end makes it.
    pub body: Option<Body>,
    /// Headers carried over from the inbound leg as they are: Cisco-Guid, Diversion, History-Info.
    pub carried: Carried,
    /// Diversions of ours, the last one first, written above those that are carried.
    pub diversions: Vec<Diversion>,
    /// Whether it is for a conference, whose focus we are (RFC 4579).
    pub is_focus: bool,
    /// The phone is asked to answer by itself.
    pub auto_answer: Option<AutoAnswer>,
    /// The call of the far end that this one takes the place of (RFC 3891).
    pub replaces: Option<Replaces>,
    /// The Referred-By value of a REFER that this INVITE carries out (RFC 3892).
    pub referred_by: Option<String>,
    /// The leg that is across: its Session-ID is sent on (RFC 7989).
    pub speaks_for: Option<LegKey>,
    /// What its trunk wants.
    pub policy: LegPolicy,
    /// What its challenges are answered with.
    pub credentials: Option<Arc<Credentials>>,
}

/// How a phone is asked to answer by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AutoAnswer {
    /// `Call-Info: <...>;answer-after=0`.
    CallInfo,
    /// `Alert-Info: <...>;info=alert-autoanswer`.
    AlertInfo,
}

/// The dialog that a call takes the place of (RFC 3891), as the one who has it at its other end
/// names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of the side that gets the INVITE.
    pub to_tag: String,
    /// The tag of the side that is replaced.
    pub from_tag: String,
    /// Only while it has not been answered.
    pub early_only: bool,
}

/// One diversion of a call (RFC 5806).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversion {
    /// Who diverted it.
    pub by: Party,
    /// `no-answer`, `user-busy`, `unconditional`, `deflection`, …; empty when none was given.
    pub reason: String,
    /// How many diversions this one stands for, at least 1.
    pub counter: u32,
}

/// Why a leg ends (RFC 3326). Both may be unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cause {
    /// ITU-T Q.850, 1 to 127.
    pub q850: Option<u8>,
    /// The status of the response that it stands for, e.g. 200 when the call was answered
    /// elsewhere.
    pub sip: Option<Status>,
}

impl From<Option<u8>> for Cause {
    fn from(q850: Option<u8>) -> Self {
        Self { q850, sip: None }
    }
}

impl From<u8> for Cause {
    fn from(q850: u8) -> Self {
        Self {
            q850: Some(q850),
            sip: None,
        }
    }
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
    /// Whose it is: comes back with its news.
    pub owner: u32,
    /// Where it goes.
    pub target: Target,
    /// Request-URI and To.
    pub request_uri: String,
    /// The user part of From and Contact.
    pub from_user: String,
    /// How long it shall last; 1 s to 136 years.
    pub expires: Duration,
    /// What its challenges are answered with.
    pub credentials: Option<Arc<Credentials>>,
}
