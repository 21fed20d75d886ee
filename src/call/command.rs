//! What a call wants done: to its legs, to the queue, to the agent. The engine carries it out.

use crate::agent;
use crate::config::{DnIndex, QueueIndex};
use crate::counters::Counter;
use crate::cti::Event;
use crate::dialog::{Body, Cause, Party, Refusal};
use crate::queue;
use crate::sip::Status;

/// One of the two legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The customer's leg: the INVITE came from there.
    Caller,
    /// The agent's leg: our INVITE went there.
    Agent,
}

impl Side {
    /// The side across.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Caller => Self::Agent,
            Self::Agent => Self::Caller,
        }
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Tell a leg.
    Leg(Side, LegCommand),
    /// Make the agent's leg: ring the phone at the DN.
    Dial(DnIndex),
    /// Tell the queue's shard.
    Queue(QueueIndex, queue::Input),
    /// Tell the DN's shard.
    Agent(DnIndex, agent::Input),
    /// Answer a client.
    Event(Box<Event>),
    /// Count.
    Count(Counter),
    /// The call is over, and nothing more is said of it.
    Forget,
}

/// What a leg is told, in call control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegCommand {
    /// A provisional response.
    Progress(Status),
    /// A provisional response with a session description, for early media.
    EarlyMedia(Status, Body),
    /// Take the call.
    Answer(Option<Body>),
    /// Do not take the call.
    Refuse(Refusal),
    /// ACK the far end's 2xx, to the INVITE or to a re-INVITE.
    Acknowledge(Option<Body>),
    /// Send a re-INVITE.
    Offer(Option<Body>),
    /// Take our re-INVITE back.
    WithdrawOffer,
    /// Take the far end's re-INVITE.
    AnswerOffer(Option<Body>),
    /// Do not take the far end's re-INVITE.
    RefuseOffer(Status),
    /// End the leg as its state demands.
    HangUp(Cause),
    /// Tell the far end who is across now: at once by UPDATE where it takes one, else with the
    /// next message that can say so.
    Identify(Party),
    /// Send an INFO.
    Info(Body),
    /// Let the phone answer its call or take it back from hold (NOTIFY, `Event: talk`).
    Talk,
    /// Take the far end's REFER.
    AcceptRefer,
    /// Do not take the far end's REFER.
    RefuseRefer(Status),
    /// Tell the far end what became of the call that its REFER asked for; a final status is the
    /// last word.
    ReportRefer(Status),
}
