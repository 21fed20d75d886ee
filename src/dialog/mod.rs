//! Dialogs: everything SIP above transactions, behind one user agent that speaks call control.
//!
//! Nothing above this module sees a Via, a CSeq or a branch.

mod accepted;
mod asides;
mod authorization;
pub mod body;
mod call_dialog;
pub mod call_id;
mod callers;
mod calls;
mod carried;
mod challenge;
pub mod command;
mod compose;
pub mod config;
mod core;
// The module is named for what it holds, and so is its parent.
#[allow(clippy::module_inception)]
mod dialog;
mod digits;
mod early;
pub mod event;
mod extensions;
mod far_end;
mod hearing;
mod history;
mod identity;
mod in_order;
mod inbound;
mod incoming;
mod invites;
mod leaving;
mod leg;
mod memory;
mod moment;
mod offered;
mod outbound;
mod packed;
mod ping;
mod probe;
mod provisional;
mod random;
mod refer;
mod refreshing;
mod reliable;
mod reply;
mod requests;
mod session;
mod session_timer;
mod strangers;
mod stray;
mod subscription;
mod subscriptions;
mod table;
mod turn;
mod turned_away;
pub mod user_agent;
mod who;

pub use body::{Body, PassingBody};
pub use call_id::{call_id_of, owner};
pub use carried::Carried;
pub use command::{
    AutoAnswer, Cause, Diversion, Invite, LegKey, Party, PingKey, Refusal, Replaces, Subscribe,
    SubscriptionKey,
};
pub use config::{IdentityHeaders, LegPolicy, Listener, UserAgentConfig};
pub use event::{
    Invitation, LegEvent, PingOutcome, Refer, Release, SessionUuid, SubscriptionEvent,
    SubscriptionState, TerminatedReason, UserAgentEvent,
};
pub use memory::{LegMemory, SubscriptionMemory};
pub use strangers::{Admission, Sender, Unwelcome};
pub use turned_away::Offered;
pub use user_agent::{Full, UserAgent};

pub use crate::transaction::Target;

#[cfg(test)]
mod tests;
