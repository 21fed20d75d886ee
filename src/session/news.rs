//! What an event of a leg means for offer and answer. A leg has one INVITE at a time, so that
//! INVITE and re-INVITE need no names of their own here.

use crate::dialog::{Body, LegEvent};

use super::outcome::Why;
use crate::sip::Status;

/// What a leg has to say.
#[derive(Debug, Clone, Copy)]
pub(super) enum News<'a> {
    /// 2xx to our INVITE.
    Answered(Option<&'a Body>),
    /// 2xx with an offer to a re-INVITE of an earlier process.
    Recalled(&'a Body),
    /// The 2xx can wait for our ACK no longer.
    Due,
    /// Our re-INVITE was refused; the leg lives on.
    Declined(Status),
    /// ACK to our 2xx.
    Acknowledged(Option<&'a Body>),
    /// A re-INVITE or UPDATE of the far end.
    Offered(Option<&'a Body>),
    /// The far end took it back.
    Cancelled,
    /// The leg is over.
    Over(Why),
    /// What may be the answer, in a provisional response to our INVITE.
    Early(&'a Body),
    /// Nothing of our concern.
    Other,
}

impl<'a> News<'a> {
    pub(super) fn of(event: &'a LegEvent) -> Self {
        match event {
            LegEvent::Answered { body } | LegEvent::OfferAnswered { body } => {
                Self::Answered(body.as_ref())
            }
            LegEvent::OfferRecalled { body } => Self::Recalled(body),
            LegEvent::AcknowledgementDue => Self::Due,
            LegEvent::OfferRefused { status } => Self::Declined(*status),
            LegEvent::Acknowledged { body } | LegEvent::OfferAcknowledged { body } => {
                Self::Acknowledged(body.as_ref())
            }
            LegEvent::Offered { body } => Self::Offered(body.as_ref()),
            LegEvent::OfferCancelled => Self::Cancelled,
            LegEvent::HungUp(release) => Self::Over(Why::HungUp(*release)),
            LegEvent::Refused { status, .. } => Self::Over(Why::Refused(*status)),
            LegEvent::Progress {
                body: Some(body), ..
            } => Self::Early(body),
            LegEvent::Progress { body: None, .. }
            | LegEvent::Refreshed { .. }
            | LegEvent::Identified(_)
            | LegEvent::Info { .. }
            | LegEvent::InfoAnswered { .. }
            | LegEvent::Referred(_) => Self::Other,
        }
    }
}
