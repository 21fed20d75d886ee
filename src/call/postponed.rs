//! Offers that wait a moment. Whoever has answered may change its session at once, while the ACK
//! of the one across is still on its way. RFC 3261 §14.2 would have it told to try again, seconds
//! later; its offer is taken up when the ACK is there instead.

use crate::dialog::{Body, LegEvent};
use crate::few::Rarely;
use crate::sip::Status;

use super::command::{Command, LegCommand, LegSlot};
use super::conversation::{Conversation, Turn};

/// The offers that wait; a leg has one at most.
#[derive(Debug, Default)]
pub(super) struct Postponed(Rarely<(LegSlot, Option<Body>)>);

impl Conversation {
    /// A leg has news; whether that is about an offer of its own that waits.
    pub(super) fn postpones(&mut self, leg: LegSlot, event: &LegEvent) -> bool {
        let offers = &mut self.postponed.0;
        let waiting = offers.len();
        match event {
            LegEvent::Offered { body } if self.exchanges.waits_for_other(leg) => {
                offers.push((leg, body.clone()));
                true
            }
            LegEvent::OfferCancelled => {
                offers.retain(|(of, _)| *of != leg);
                offers.len() < waiting
            }
            LegEvent::HungUp(_) => {
                offers.retain(|(of, _)| *of != leg);
                false
            }
            LegEvent::Offered { .. }
            | LegEvent::Progress { .. }
            | LegEvent::Answered { .. }
            | LegEvent::AcknowledgementDue
            | LegEvent::Refused { .. }
            | LegEvent::Acknowledged { .. }
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRecalled { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferAcknowledged { .. }
            | LegEvent::Refreshed { .. }
            | LegEvent::Identified(_)
            | LegEvent::Info { .. }
            | LegEvent::InfoAnswered { .. }
            | LegEvent::Referred(_) => false,
        }
    }

    /// Takes up the offers for which nothing has to be waited any more.
    pub(super) fn take_up_offers(&mut self, turn: &mut Turn<'_>) {
        for (leg, body) in std::mem::take(&mut self.postponed.0) {
            if self.legs.get(leg).is_none() {
                continue;
            }
            if self.exchanges.waits_for_other(leg) {
                self.postponed.0.push((leg, body));
            } else if self.exchanges.is_busy(leg) {
                let refuse = LegCommand::RefuseOffer(Status::REQUEST_PENDING);
                turn.commands.push(Command::Leg(leg, refuse));
            } else {
                self.offer_made(turn, leg, body);
            }
        }
    }
}
