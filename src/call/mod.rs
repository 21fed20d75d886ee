//! Calls: a caller's leg, the queue or agent it asks for, and the agent's leg, held in one machine.
//!
//! One file per state; a transition consumes the old state. Legs are told and tell in call
//! control ([`LegCommand`], `dialog::LegEvent`); nothing here knows a SIP message. `table` keeps
//! the calls of a shard and their deadlines; the engine carries their commands out.

mod aside;
mod command;
mod connected;
mod facts;
mod offering;
mod renegotiating;
mod request;
mod reserving;
mod table;
mod timer;
mod user_data;
mod waiting;

#[cfg(test)]
mod tests;

use std::time::Instant;

use offhook_shards::ShardId;

use crate::agent::RefusedOffer;
use crate::config::DnIndex;
use crate::cti::{CallRequest, ConnId, RequestedBy};
use crate::dialog::LegEvent;
use crate::sip::Status;

pub use command::{Command, LegCommand, Side};
pub use facts::{Destination, Facts, cause};
pub use request::requesting_dn;
pub use table::{Arrival, Calls, Live};
pub use timer::{Deadlines, Timer};

use connected::{Answering, Connected};
use offering::Offering;
use renegotiating::Renegotiating;
use reserving::Reserving;
use waiting::Waiting;

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
    },
    /// The agent of a direct call cannot take it.
    DirectRefused {
        /// The agent.
        dn: DnIndex,
        /// Why.
        why: RefusedOffer,
    },
    /// The queue does not take the call: it is full, or the router said so.
    QueueRefused {
        /// What to tell the caller.
        refusal: QueueRefusal,
    },
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
        cause: crate::agent::EndCause,
    },
}

/// Why a call is sent elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardReason {
    /// A limit of the queue.
    Overflow,
    /// A router's word.
    Routed,
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

/// Everything that can happen to a call.
#[derive(Debug)]
pub enum Event {
    /// A leg has news.
    Leg(Side, LegEvent),
    /// Another shard, or another part of this one, says something.
    Input(Input),
    /// A deadline has passed.
    Timer(Timer),
    /// The phone was not dialled: no trunk to it is in service.
    DialFailed,
}

/// Where a call stands. Each state is a type that has only what it needs.
#[derive(Debug)]
enum State {
    /// In the queue, with no agent.
    Waiting(Waiting),
    /// The dialled agent was asked for.
    Reserving(Reserving),
    /// The agent's phone is dialled or rings.
    Offering(Offering),
    /// The agent has answered; the caller's ACK is awaited.
    Answering(Answering),
    /// Both legs are up.
    Connected(Connected),
    /// Both legs are up and one has sent a re-INVITE.
    Renegotiating(Renegotiating),
    /// Over; the table forgets it.
    Ended,
}

impl State {
    fn handle(
        self,
        now: Instant,
        facts: &mut Facts,
        event: Event,
        commands: &mut Commands,
    ) -> Self {
        match self {
            Self::Waiting(state) => state.handle(now, facts, event, commands),
            Self::Reserving(state) => state.handle(now, facts, event, commands),
            Self::Offering(state) => state.handle(now, facts, event, commands),
            Self::Answering(state) => state.handle(now, facts, event, commands),
            Self::Connected(state) => state.handle(now, facts, event, commands),
            Self::Renegotiating(state) => state.handle(now, facts, event, commands),
            Self::Ended => Self::Ended,
        }
    }
}
