//! Dialogs: everything SIP above transactions, behind one user agent that speaks call control.
//!
//! Nothing above this module sees a Via, a CSeq or a branch.

pub mod body;
pub mod event;
pub mod command;

pub use body::Body;
pub use command::{Invite, LegKey, Party, PingKey, Refusal, SubscriptionKey, Subscribe, Target};
pub use event::{
    Invitation, LegEvent, PingOutcome, Release, SubscriptionEvent, SubscriptionState,
    TerminatedReason, UserAgentEvent,
};
