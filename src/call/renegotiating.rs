//! One party has sent a re-INVITE (UCM refreshes and holds with it): its offer goes to the other
//! party and the answer comes back, whichever message carries which.

use std::time::Instant;

use crate::config::DnIndex;
use crate::dialog::{Body, LegEvent};
use crate::sip::Status;

use super::command::{Command, LegCommand, Side};
use super::connected::{Connected, common};
use super::facts::Facts;
use super::{Commands, Event, State};

/// Both legs are up and one has sent a re-INVITE.
#[derive(Debug)]
pub(super) struct Renegotiating {
    pub(super) dn: DnIndex,
    /// Who sent the re-INVITE.
    offerer: Side,
    progress: Progress,
}

/// How far the exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Our re-INVITE is with the other party, with the offer in it.
    Offered,
    /// Our re-INVITE is with the other party and asks for the offer.
    Asked,
    /// The offerer has its answer; its ACK ends the exchange.
    Answered,
    /// The offerer has the other party's offer; its ACK brings the answer.
    AnswerAwaited,
    /// The offerer has taken its re-INVITE back, and ours is to be taken back as well.
    Withdrawn,
}

impl Renegotiating {
    pub(super) fn start(
        dn: DnIndex,
        offerer: Side,
        body: Option<Body>,
        commands: &mut Commands,
    ) -> State {
        let progress = if body.is_some() {
            Progress::Offered
        } else {
            Progress::Asked
        };
        commands.push(Command::Leg(offerer.other(), LegCommand::Offer(body)));
        State::Renegotiating(Self {
            dn,
            offerer,
            progress,
        })
    }

    pub(super) fn handle(
        self,
        now: Instant,
        facts: &mut Facts,
        event: Event,
        commands: &mut Commands,
    ) -> State {
        match event {
            Event::Leg(side, LegEvent::OfferAnswered { body }) if side != self.offerer => {
                self.answered(body, commands)
            }
            Event::Leg(side, LegEvent::OfferRefused { status }) if side != self.offerer => {
                self.refused(status, commands)
            }
            Event::Leg(side, LegEvent::OfferCancelled) if side == self.offerer => {
                commands.push(Command::Leg(side.other(), LegCommand::WithdrawOffer));
                State::Renegotiating(Self {
                    progress: Progress::Withdrawn,
                    ..self
                })
            }
            Event::Leg(side, LegEvent::OfferAcknowledged { body }) if side == self.offerer => {
                self.acknowledged(body, commands)
            }
            Event::Leg(side, LegEvent::Offered { .. }) => {
                // RFC 3261 §14.2: the parties' offers crossed; both try again later.
                let refuse = LegCommand::RefuseOffer(Status::REQUEST_PENDING);
                commands.push(Command::Leg(side, refuse));
                State::Renegotiating(self)
            }
            event @ (Event::Leg(..) | Event::Input(_) | Event::Timer(_) | Event::DialFailed) => {
                match common(now, facts, self.dn, event, commands) {
                    Some(state) => state,
                    None => State::Renegotiating(self),
                }
            }
        }
    }

    fn answered(mut self, body: Option<Body>, commands: &mut Commands) -> State {
        let other = self.offerer.other();
        let answer = Command::Leg(self.offerer, LegCommand::AnswerOffer(body));
        match self.progress {
            Progress::Offered => {
                commands.push(answer);
                commands.push(Command::Leg(other, LegCommand::Acknowledge(None)));
                self.progress = Progress::Answered;
            }
            Progress::Asked => {
                commands.push(answer);
                self.progress = Progress::AnswerAwaited;
            }
            // The answer and the CANCEL crossed: nobody is left to answer to.
            Progress::Withdrawn => {
                commands.push(Command::Leg(other, LegCommand::Acknowledge(None)));
                return State::Connected(Connected { dn: self.dn });
            }
            Progress::Answered | Progress::AnswerAwaited => {}
        }
        State::Renegotiating(self)
    }

    fn refused(self, status: Status, commands: &mut Commands) -> State {
        match self.progress {
            Progress::Offered | Progress::Asked => {
                commands.push(Command::Leg(self.offerer, LegCommand::RefuseOffer(status)));
            }
            Progress::Answered | Progress::AnswerAwaited | Progress::Withdrawn => {}
        }
        State::Connected(Connected { dn: self.dn })
    }

    fn acknowledged(self, body: Option<Body>, commands: &mut Commands) -> State {
        match self.progress {
            Progress::AnswerAwaited => {
                let acknowledge = LegCommand::Acknowledge(body);
                commands.push(Command::Leg(self.offerer.other(), acknowledge));
                State::Connected(Connected { dn: self.dn })
            }
            Progress::Answered => State::Connected(Connected { dn: self.dn }),
            Progress::Offered | Progress::Asked | Progress::Withdrawn => State::Renegotiating(self),
        }
    }
}
