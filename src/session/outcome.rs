//! How a negotiation stands, and when it acts by itself.

use crate::dialog::{Body, Release};
use crate::sip::Status;

/// How a negotiation stands after an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<S> {
    /// It goes on.
    Running,
    /// It goes on; the leg is to be INVITEd with this offer now.
    Dial {
        /// The leg.
        leg: S,
        /// The offer.
        offer: Body,
    },
    /// Every leg has what was to be agreed. The negotiation is spent.
    Done,
    /// It is over; the legs have what they had before. The negotiation is spent.
    Failed(Failure<S>),
}

/// A negotiation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<S> {
    /// Who is to blame.
    pub leg: S,
    /// What it did.
    pub why: Why,
    disturbed: [Option<S>; 2],
}

impl<S: Copy + PartialEq> Failure<S> {
    pub(super) fn of(leg: S, why: Why) -> Self {
        let disturbed = [None; 2];
        Self {
            leg,
            why,
            disturbed,
        }
    }

    /// Whether a leg could not be left as it was: its media have moved, or it has a session that
    /// is not to be. It needs an offer from its partner, or its end.
    #[must_use]
    pub fn is_disturbed(&self, leg: S) -> bool {
        self.disturbed.contains(&Some(leg))
    }

    pub(super) fn disturb(&mut self, leg: S) {
        if let [Some(_), place @ None] | [place @ None, _] = &mut self.disturbed {
            *place = Some(leg);
        }
    }
}

/// What a leg did to a negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It refused the INVITE or the offer.
    Refused(Status),
    /// It gave no description where one was due (RFC 3261 §13.2.1), or has none to give.
    NoDescription,
    /// It ended the call.
    HungUp(Release),
    /// Nothing came from it in time.
    Silent,
    /// Its offers and ours crossed too often.
    Glare,
    /// It took its own offer back, or the call gave the negotiation up.
    Withdrawn,
    /// It was in the middle of another offer; nothing was begun.
    Pending,
}

impl Why {
    /// What a far end whose re-INVITE comes to nothing is answered. Only such statuses go across
    /// that end neither the dialog nor the call (RFC 5057 §5.1), and no 491, after which it would
    /// try again at once although the other side is not ready.
    pub(super) fn refusal(self) -> Status {
        match self {
            Self::Refused(status) if matches!(status.0, 403 | 415 | 500 | 503 | 603 | 606) => {
                status
            }
            Self::Glare | Self::Pending => Status::SERVER_INTERNAL_ERROR,
            Self::Refused(_)
            | Self::NoDescription
            | Self::HungUp(_)
            | Self::Silent
            | Self::Withdrawn => Status::NOT_ACCEPTABLE_HERE,
        }
    }
}

/// What a negotiation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The random time after 491 (RFC 3261 §14.1).
    Glare,
    /// The final response to our re-INVITE.
    Answer,
    /// The final response to a re-INVITE that we took back.
    Withdrawal,
    /// The answer to an INVITE that rings.
    Ringing,
    /// The ACK to our 2xx.
    Acknowledgement,
    /// The time for which a 2xx may stay without our ACK: its sender gives up after 64*T1.
    Patience,
}
