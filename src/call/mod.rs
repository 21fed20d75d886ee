//! Conversations: legs, the calls that they make up, and whom these seek, held in one machine.
//!
//! [`Calls`] keeps the conversations of a shard. Start at `conversation`, which says who gets
//! what; `quest` and `ringing` find somebody for a call, `entry` is its place in queues, `exchange`
//! and `task` move media between legs, `departure` is every end, and each request has a file of
//! its own. Legs are told and tell in call control ([`LegCommand`], `dialog::LegEvent`); nothing
//! here knows a SIP message, and what is in a session description is the business of
//! [`crate::session`].

mod attach;
mod change;
mod circle;
mod command;
mod conference;
mod consult;
mod conversation;
mod departure;
mod digits;
mod diversion;
mod entry;
mod exchange;
mod facts;
mod follow;
mod hold;
mod intercept;
mod leg;
mod memory;
mod mint;
mod participant;
mod pick_up;
mod place;
mod postponed;
mod put_right;
mod quest;
mod request;
mod ringing;
mod table;
mod takeover;
mod task;
mod timer;
mod transfer;
mod user_data;
mod why;

#[cfg(test)]
mod tests;

use offhook_shards::ShardId;

use compact_str::CompactString;

use crate::agent::{EndCause, RefusedOffer};
use crate::config::DnIndex;
use crate::cti::{CallRequest, ConnId, ForwardMode, RequestedBy};
use crate::dialog::{LegEvent, Replaces};
use crate::queue;
use crate::sip::Status;

pub use circle::Question;
pub use command::{Command, Dial, DialTo, LegCommand, LegSlot};
pub use facts::{Destination, Facts, Way, cause};
pub use mint::Mint;
pub use request::{requesting_dn, takes_in_hand};
pub use table::{Arrival, Calls, Live};
pub use takeover::{Newcomer, Takeover};
pub use timer::{Deadlines, Timer};

/// Where a call's commands go; the table lends one vector to all calls.
pub(crate) type Commands = Vec<Command>;

slotmap::new_key_type! {
    /// A call on its shard. A key of a call that has ended finds nothing.
    pub struct CallKey;
}

/// A call, from anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRef {
    /// The shard that owns the call.
    pub shard: ShardId,
    /// The call on that shard.
    pub key: CallKey,
    /// The public identifier, by which queues keep the call.
    pub conn_id: ConnId,
}

/// What other shards tell a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The DN's shard reserved the agent for this call: ring the phone. To a call that has ended
    /// the answer is `agent::PartyState::Ended`, so that the reservation returns.
    Offer {
        /// The agent.
        dn: DnIndex,
        /// Where the call goes if the phone does not take it.
        elsewhere: Option<Box<Elsewhere>>,
    },
    /// The agent of a direct call cannot take it.
    DirectRefused {
        /// The agent.
        dn: DnIndex,
        /// Why.
        why: RefusedOffer,
    },
    /// The agent of a direct call does not get it: its DN's calls go elsewhere.
    DirectForwarded {
        /// The agent.
        dn: DnIndex,
        /// An agent, a routing point or a number outside.
        destination: String,
        /// Why.
        why: ForwardReason,
    },
    /// The queue does not take the call: it is full, or the router said so.
    QueueRefused {
        /// What to tell the caller.
        refusal: QueueRefusal,
    },
    /// Where the call stands in its queue: when it has come in, and when it asked. `None` if the
    /// queue does not have it any more.
    Standing(Option<queue::Standing>),
    /// A router gives the call another DNIS, or has it back that it had.
    Dnis(Option<CompactString>),
    /// A desktop asks.
    Request {
        /// Whom to answer.
        requested_by: RequestedBy,
        /// What is asked.
        request: CallRequest,
    },
    /// The queue, or the router through it, sends the caller elsewhere. The queue keeps the call's
    /// place until it hears `queue::Input::Forwarded` or `ForwardFailed`.
    Forward {
        /// An agent, a routing point or a number outside.
        destination: String,
        /// Why.
        why: ForwardReason,
    },
    /// The agent was taken away while the call was on its way to it.
    OfferWithdrawn {
        /// The agent.
        dn: DnIndex,
        /// Why nobody will answer.
        cause: EndCause,
    },
}

const _: () = assert!(size_of::<Input>() <= 104, "each call hears a dozen");

/// Where calls for a DN go that its phone does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// An agent, a routing point or a number outside.
    pub destination: Box<str>,
    /// Which calls.
    pub mode: ForwardMode,
}

impl Elsewhere {
    /// Whether a call goes there that the phone did not take for this reason.
    #[must_use]
    pub fn takes(&self, cause: EndCause) -> bool {
        match (self.mode, cause) {
            (ForwardMode::Unconditional, _)
            | (ForwardMode::OnBusy | ForwardMode::OnBusyAndNoAnswer, EndCause::Busy)
            | (
                ForwardMode::OnNoAnswer | ForwardMode::OnBusyAndNoAnswer,
                EndCause::NoAnswer | EndCause::Unreachable,
            ) => true,
            (
                ForwardMode::None
                | ForwardMode::OnBusy
                | ForwardMode::OnNoAnswer
                | ForwardMode::OnBusyAndNoAnswer,
                _,
            ) => false,
        }
    }
}

/// Why a call is sent elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardReason {
    /// A limit of the queue.
    Overflow,
    /// A router's word.
    Routed,
    /// A router's word, and the number is one outside whatever else has it.
    Labelled,
    /// CallForwardSet of the DN, for all calls.
    Unconditional,
    /// CallForwardSet of the DN, while it is busy.
    Busy,
    /// CallForwardSet of the DN, when nobody answers.
    NoAnswer,
}

/// Why a queue does not take or keep a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueRefusal {
    /// As many calls wait as may; with the status for the caller.
    Full(Status),
    /// Another limit of the queue; with the status for the caller.
    Limit(Status),
    /// The router ended the call.
    Disconnected,
}

/// Everything that can happen to a conversation.
#[derive(Debug)]
pub enum Event {
    /// A leg has news.
    Leg(LegSlot, LegEvent),
    /// Another shard, or another part of this one, says something about one of its calls.
    Input(ConnId, Input),
    /// A deadline has passed.
    Timer(Timer),
    /// The far end of a leg asks by REFER to be connected with a number, or to be replaced.
    Referred(LegSlot, Box<Referred>),
    /// The leg was not dialled: no trunk to it is in service.
    DialFailed(LegSlot),
    /// By a tie, another conversation asks whether calls are tied in a circle.
    AskedRound(LegSlot, Question),
}

/// What a REFER asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referred {
    /// The number that it names.
    pub number: String,
    /// In whose name (RFC 3892).
    pub referred_by: Option<String>,
    /// What it says about a call that is to be replaced.
    pub replaced: Replaced,
}

/// What a REFER says about a call that is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// Nothing: a blind transfer.
    Nothing,
    /// The one with this leg, of the same conversation: an attended transfer.
    Leg(LegSlot),
    /// One that is not of this conversation: also an attended transfer.
    Elsewhere(Replaces),
}
