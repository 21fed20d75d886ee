//! Dialogs: everything SIP above transactions, behind one user agent that speaks call control.
//!
//! Nothing above this module sees a Via, a CSeq or a branch.

pub mod body;
pub mod call_id;
pub mod command;
pub mod config;
pub mod event;
mod random;
pub mod user_agent;

pub use body::Body;
pub use call_id::{call_id_of, owner};
pub use command::{Invite, LegKey, Party, PingKey, Refusal, Subscribe, SubscriptionKey, Target};
pub use config::{Listener, UserAgentConfig};
pub use event::{
    Invitation, LegEvent, PingOutcome, Release, SubscriptionEvent, SubscriptionState,
    TerminatedReason, UserAgentEvent,
};
pub use user_agent::{Full, UserAgent};
