//! What a call wants done: to its legs, to queues, to agents. The engine carries it out.

use std::sync::Arc;

use crate::agent;
use crate::config::{DnIndex, QueueIndex};
use crate::counters::Counter;
use crate::cti::Event;
use crate::dialog::{Body, Carried, Cause, Diversion, Party, Refusal, Replaces};
use crate::queue;
use crate::sip::Status;

use super::circle::Question;
use super::takeover::Takeover;

/// A leg of a call, by the number that the call gave it. No number is given twice within a call,
/// so that late news of a leg that is gone finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegSlot(pub u32);

impl LegSlot {
    /// The first leg: the one that brought the call, or the phone of the agent who makes it.
    pub const FIRST: Self = Self(0);
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Tell a leg.
    Leg(LegSlot, LegCommand),
    /// These two legs are across from each other now.
    Across(LegSlot, LegSlot),
    /// Ask along a tie, for this conversation, whether calls are tied in a circle.
    AskRound(LegSlot, Question),
    /// Make a leg.
    Dial(LegSlot, Box<Dial>),
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

const _: () = assert!(size_of::<Command>() <= 200, "each call says dozens");

/// A leg to make: an INVITE of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Dial {
    /// Where to.
    pub to: DialTo,
    /// Who is shown as calling.
    pub calling: Arc<Party>,
    /// Lowered on the way through us, so that a loop ends (RFC 7332).
    pub max_forwards: u8,
    /// Headers of the INVITE that brought the call, as they came.
    pub carried: Carried,
    /// By whom it was diverted here, the last one first.
    pub diversions: Vec<Diversion>,
    /// The dialog at its far end that it takes the place of (RFC 3891).
    pub replaces: Option<Replaces>,
    /// In whose name, of a call that a REFER has asked for (RFC 3892).
    pub referred_by: Option<String>,
    /// The offer; without one the far end makes it.
    pub offer: Option<Body>,
    /// Whether who is called is to join a conference.
    pub is_focus: bool,
    /// Whether the phone is asked to answer by itself.
    pub auto_answer: bool,
    /// The leg to the same phone that is hung up for it. An INVITE may overtake a CANCEL, and would
    /// find the phone busy: it goes out when that leg is over.
    pub instead_of: Option<LegSlot>,
}

/// Where a leg goes.
#[derive(Debug, Clone, PartialEq)]
pub enum DialTo {
    /// An agent's phone, by the agent's trunks.
    Agent(DnIndex),
    /// A number outside, by a trunk that leads there.
    Number(String),
    /// The music that held parties hear.
    Music,
    /// A conference of this name on the mixer.
    Mixer(String),
    /// The place of a party in another conversation, by a tie.
    Takeover(Box<Takeover>),
}

/// What a leg is told, in call control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegCommand {
    /// A provisional response.
    Progress(Status),
    /// `182 Queued`, with where the caller stands.
    Queued(queue::Standing),
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
    Identify(Arc<Party>),
    /// Tell the far end with every message from now on that it is in a conference, or not any more
    /// (RFC 4579).
    Focus(bool),
    /// Send an INFO, when those before it have their answers.
    Info {
        /// What it brings.
        body: Body,
        /// Whether its answer is told.
        reports: bool,
    },
    /// Tell the far end, a tie, what has become of an INFO that it has asked about.
    InfoAnswered(Status),
    /// Let the phone answer its call (NOTIFY, `Event: talk`).
    Talk,
    /// Take the far end's REFER.
    AcceptRefer,
    /// Do not take the far end's REFER.
    RefuseRefer(Status),
    /// Tell the far end what became of the call that its REFER asked for; a final status is the
    /// last word.
    ReportRefer(Status),
}
