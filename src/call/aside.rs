//! News of a leg that says nothing about where its call stands: an INFO, who is across, a REFER, a
//! change of a session that is not there yet.

use crate::dialog::LegEvent;
use crate::sip::Status;

use super::Commands;
use super::command::{Command, LegCommand, Side};

/// Both parties are there: what one says goes to the other.
pub(super) fn relay(side: Side, event: LegEvent, commands: &mut Commands) {
    let (to, command) = match event {
        LegEvent::Info { body } => (side.other(), LegCommand::Info(body)),
        LegEvent::Identified(party) => (side.other(), LegCommand::Identify(party)),
        LegEvent::Referred(_) => (side, LegCommand::RefuseRefer(Status::DECLINE)),
        LegEvent::Progress { .. }
        | LegEvent::Answered { .. }
        | LegEvent::Refused { .. }
        | LegEvent::Acknowledged { .. }
        | LegEvent::HungUp(_)
        | LegEvent::Offered { .. }
        | LegEvent::OfferCancelled
        | LegEvent::OfferAnswered { .. }
        | LegEvent::OfferRefused { .. }
        | LegEvent::OfferAcknowledged { .. } => return,
    };
    commands.push(Command::Leg(to, command));
}

/// Only one party is there: what asks for an answer gets one, and nothing is passed on.
pub(super) fn decline(side: Side, event: &LegEvent, commands: &mut Commands) {
    let command = match event {
        LegEvent::Referred(_) => LegCommand::RefuseRefer(Status::DECLINE),
        LegEvent::Offered { .. } => LegCommand::RefuseOffer(Status::NOT_ACCEPTABLE_HERE),
        LegEvent::Info { .. }
        | LegEvent::Identified(_)
        | LegEvent::Progress { .. }
        | LegEvent::Answered { .. }
        | LegEvent::Refused { .. }
        | LegEvent::Acknowledged { .. }
        | LegEvent::HungUp(_)
        | LegEvent::OfferCancelled
        | LegEvent::OfferAnswered { .. }
        | LegEvent::OfferRefused { .. }
        | LegEvent::OfferAcknowledged { .. } => return,
    };
    commands.push(Command::Leg(side, command));
}
