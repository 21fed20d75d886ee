//! What the user agent tells the layers above.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offhook_shards::Transport;

use crate::dns::Question;
use crate::sip::{Feedback, Status};

use super::digits::Digits;
use super::{
    Body, Carried, Cause, Diversion, LegKey, Party, PassingBody, PingKey, Replaces, SubscriptionKey,
};

/// One piece of news. A leg that was refused, was hung up or has hung up says nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserAgentEvent {
    /// An INVITE that starts a call; answer with `progress`, `answer` or `refuse`.
    Invited(LegKey, Box<Invitation>),
    /// News of a leg.
    Leg(LegKey, LegEvent),
    /// A leg is over that was hung up, and of whose end [`super::UserAgent::awaits_end`] was asked.
    Over(LegKey),
    /// News of a subscription: whose it is, as [`super::Subscribe`] has said, and which.
    Subscription(u32, SubscriptionKey, SubscriptionEvent),
    /// A ping came to its end; the key is spent.
    Ping(PingKey, PingOutcome),
    /// The name of a far end is to be looked up; the answer is brought by
    /// [`super::UserAgent::handle_resolved`].
    LookUp(Question),
    /// Whoever is at this address says how overloaded it is, in answer to a request of ours that
    /// asked for it (RFC 7339).
    Overload(SocketAddr, Feedback),
}

const _: () = assert!(
    size_of::<UserAgentEvent>() <= 120,
    "each call brings a dozen"
);

/// An INVITE from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// By what it came.
    pub transport: Transport,
    /// From where it came.
    pub source: SocketAddr,
    /// The user part of the Request-URI; empty when there is none.
    pub called: String,
    /// Who calls: P-Asserted-Identity over Remote-Party-ID over From.
    pub calling: Arc<Party>,
    /// Already lowered by one.
    pub max_forwards: u8,
    /// The INVITE's `Expires`: unanswered for so long it is to be refused with 487.
    pub expires: Option<Duration>,
    /// The offer; `None` asks us for one (delayed offer).
    pub offer: Option<Body>,
    /// Cisco-Guid, Diversion and History-Info as received.
    pub carried: Carried,
    /// The call whose party the caller takes the place of (RFC 3891), as it names it;
    /// [`super::UserAgent::replaced`] of the shard that owns its Call-ID knows it.
    pub replaces: Option<Replaces>,
    /// Its diversions, the last one first (RFC 5806, or RFC 7044 where only that is there).
    pub diversions: Vec<Diversion>,
    /// The caller's own half of the Session-ID.
    pub session_id: Option<SessionUuid>,
}

/// One end's half of a Session-ID (RFC 7989).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionUuid(pub u128);

impl SessionUuid {
    pub(super) fn text(self) -> Digits<32> {
        Digits::of(self.0)
    }
}

impl std::fmt::Display for SessionUuid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text())
    }
}

/// A REFER within a call: the far end asks us to connect who is across with somebody else
/// (RFC 3515).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refer {
    /// The user part of Refer-To.
    pub number: String,
    /// The URI of Refer-To, without headers.
    pub uri: String,
    /// The call that is to be replaced there, for an attended transfer.
    pub replaces: Option<Replaces>,
    /// The leg of ours that `replaces` names, when it lives on this shard.
    pub replaced: Option<LegKey>,
    /// The Referred-By value as received.
    pub referred_by: Option<String>,
}

/// News of a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// A provisional response other than 100 to our INVITE.
    Progress {
        /// 101 to 199.
        status: Status,
        /// A session description for early media.
        body: Option<Body>,
    },
    /// 2xx to our INVITE; answer with `acknowledge`, now or when the far side's answer is known.
    Answered {
        /// The answer, or the offer where our INVITE had none.
        body: Option<Body>,
    },
    /// A 2xx to our INVITE, or re-INVITE, that was told before has waited for long, and its sender
    /// may give the call up for want of an ACK: `acknowledge` now, with what is known.
    AcknowledgementDue,
    /// Our INVITE failed; the leg is over.
    Refused {
        /// 300 to 699; 408 when nothing came, 503 when the transport failed.
        status: Status,
        /// Retry-After, seconds.
        retry_after: Option<u32>,
        /// Whether any provisional had come before.
        after_provisional: bool,
    },
    /// ACK to our 2xx; the leg is confirmed.
    Acknowledged {
        /// The answer, where our 2xx had the offer.
        body: Option<Body>,
    },
    /// The peer ended the leg by BYE or CANCEL, or is lost (no ACK, 481, 408); the leg is over.
    HungUp(Release),
    /// A re-INVITE of the peer, or an UPDATE with an offer; answer with `answer_offer` or
    /// `refuse_offer`. What follows an UPDATE's answer at once is as if its ACK had come.
    Offered {
        /// The offer; `None` asks for one.
        body: Option<Body>,
    },
    /// The peer took its re-INVITE back by CANCEL; 487 was sent and the session stays as it was.
    OfferCancelled,
    /// 2xx to our re-INVITE; answer with `acknowledge`.
    OfferAnswered {
        /// The answer, or the offer where our re-INVITE had none.
        body: Option<Body>,
    },
    /// 2xx to a re-INVITE of an earlier process, which asked for this offer; answer with
    /// `acknowledge` at once, whatever else is to be agreed with the peer: until then every
    /// INVITE within the dialog is refused, either way.
    OfferRecalled {
        /// The offer.
        body: Body,
    },
    /// Our re-INVITE was refused; the session stays as it was.
    OfferRefused {
        /// 300 to 699.
        status: Status,
    },
    /// The peer has answered an INVITE of ours that only repeated what was said, to refresh the
    /// session; it has been acknowledged.
    Refreshed {
        /// The answer, which may be another than before.
        body: Body,
    },
    /// ACK to our 2xx to the peer's re-INVITE.
    OfferAcknowledged {
        /// The answer, where our 2xx had the offer.
        body: Option<Body>,
    },
    /// Who the peer is, told by a response or a request of its: P-Asserted-Identity over
    /// Remote-Party-ID. Comes before the news of the message itself, and only when it is new.
    Identified(Arc<Party>),
    /// An INFO of the peer, answered already.
    Info {
        /// What it brought.
        body: Body,
        /// Whether the peer hears all the same what becomes of it. Only that of a tie does
        /// (`engine::tie`): it has sent no message.
        reports: bool,
    },
    /// The final response to an INFO of ours whose answer was asked for, or the status that stands
    /// for none.
    InfoAnswered {
        /// It.
        status: Status,
    },
    /// A REFER of the peer; answer with `accept_refer` or `refuse_refer`.
    Referred(Box<Refer>),
}

const _: () = assert!(size_of::<LegEvent>() <= 56, "each call brings a dozen");

/// How a leg came to its end from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// BYE.
    Bye {
        /// What its Reason said.
        cause: Cause,
    },
    /// CANCEL before our final response; 487 was sent.
    Cancelled {
        /// What its Reason said.
        cause: Cause,
    },
    /// No ACK came for our 2xx; a BYE was sent.
    Unacknowledged,
    /// The peer does not know the dialog or cannot be reached (481, 408).
    Lost,
}

impl Release {
    /// Why, in the words of the peer; `None` where it had none.
    #[must_use]
    pub fn cause(self) -> Option<Cause> {
        match self {
            Self::Bye { cause } | Self::Cancelled { cause } => {
                Some(cause).filter(|cause| *cause != Cause::default())
            }
            Self::Unacknowledged | Self::Lost => None,
        }
    }
}

/// News of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionEvent {
    /// 2xx to a SUBSCRIBE.
    Accepted {
        /// How long it lasts.
        expires: Duration,
    },
    /// A SUBSCRIBE was refused. A refused refresh leaves the subscription for what is left of it,
    /// except after 481, where it is over.
    Refused {
        /// 300 to 699.
        status: Status,
        /// Retry-After.
        retry_after: Option<Duration>,
        /// Min-Expires of a 423.
        min_expires: Option<Duration>,
    },
    /// No answer to a SUBSCRIBE, or the transport failed.
    Unreachable,
    /// No NOTIFY came within Timer N of the first 2xx (RFC 6665 §4.1.2.4).
    NotifyMissing,
    /// A NOTIFY, in order and already answered.
    Notified {
        /// Its Subscription-State.
        state: SubscriptionState,
        /// How long the notifier says it lasts, when it says so.
        expires: Option<Duration>,
        /// The body; empty NOTIFYs have none.
        body: Option<PassingBody>,
    },
}

/// The Subscription-State of a NOTIFY (RFC 6665 §4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Authorised and notified.
    Active,
    /// Not decided yet.
    Pending,
    /// Over; the key is spent.
    Terminated {
        /// Why.
        reason: TerminatedReason,
        /// When to try again.
        retry_after: Option<Duration>,
    },
}

/// Why a notifier ended a subscription (RFC 6665 §4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminatedReason {
    /// Subscribe again at once.
    Deactivated,
    /// Later, at the peer's `retry-after`.
    Probation,
    /// Not allowed.
    Rejected,
    /// It ran out; subscribe again at once.
    Timeout,
    /// No authorisation in time; later.
    Giveup,
    /// The resource does not exist any more.
    NoResource,
    /// The state will never change.
    Invariant,
    /// None given, or one that we do not know.
    Other,
}

/// What became of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingOutcome {
    /// A final response, of any kind.
    Answered {
        /// 200 to 699.
        status: Status,
    },
    /// None in time, or the transport failed.
    Silent,
}
