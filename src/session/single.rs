//! Offer and answer with one leg, out of what we have told it before: hold, a call without
//! media, and the answer to an offer while nobody is across.

use std::time::Instant;

use crate::call::LegCommand;
use crate::dialog::Body;
use crate::limits::{ACKNOWLEDGEMENT_MAX, NEGOTIATION_RINGING_MAX};
use crate::sip::Status;

use super::description::Told;
use super::news::News;
use super::ours::Hold;
use super::outcome::{Failure, Outcome, Timer, Why};
use super::reinvite::{Reinvite, Reply, Says};
use super::turn::Turn;

/// A negotiation of one leg.
#[derive(Debug)]
pub(super) struct Single<S> {
    leg: S,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The leg has a re-INVITE of ours.
    Inviting(Reinvite, Aim),
    /// The leg is INVITEd.
    Ringing(Instant),
    /// The leg has our 2xx.
    Accepted {
        until: Instant,
        /// Whether its ACK has the answer.
        answers: bool,
    },
    /// Spent.
    Over,
}

#[derive(Debug, Clone, Copy)]
enum Aim {
    Agree,
    /// It was taken back.
    Withdraw,
    /// To give the leg its former session back.
    Restore,
}

type Next<S> = (Stage, Outcome<S>);

impl<S: Copy + PartialEq> Single<S> {
    fn new(leg: S) -> Self {
        Self {
            leg,
            stage: Stage::Over,
        }
    }

    /// Puts the leg on hold.
    pub(super) fn hold(turn: &mut Turn<'_, S>, leg: S, hold: Hold) -> (Self, Outcome<S>) {
        let mut single = Self::new(leg);
        let next = if turn.session(leg).is_settled() {
            match Reinvite::send(turn, leg, Says::Hold(hold)) {
                Some(reinvite) => (Stage::Inviting(reinvite, Aim::Agree), Outcome::Running),
                None => single.fails(Why::NoDescription),
            }
        } else {
            single.fails(Why::Pending)
        };
        let outcome = single.becomes(next);
        (single, outcome)
    }

    /// Makes the offer for an INVITE without media.
    pub(super) fn dial(turn: &mut Turn<'_, S>, leg: S) -> (Self, Outcome<S>) {
        let offer = turn.session(leg).offer_no_media();
        let single = Self {
            leg,
            stage: Stage::Ringing(turn.now + NEGOTIATION_RINGING_MAX),
        };
        (single, Outcome::Dial { leg, offer })
    }

    /// Answers the offer of the leg's re-INVITE, or makes the one that it asks for, without a
    /// partner.
    pub(super) fn answer(
        turn: &mut Turn<'_, S>,
        leg: S,
        offer: Option<&Body>,
    ) -> (Self, Outcome<S>) {
        let started = Self::accept(turn, leg, offer, LegCommand::AnswerOffer);
        if let (_, Outcome::Failed(_)) = &started {
            turn.refuse_offer(leg, Status::NOT_ACCEPTABLE_HERE);
        }
        started
    }

    /// The same for an INVITE, or for a re-INVITE, which `command` accepts.
    pub(super) fn accept(
        turn: &mut Turn<'_, S>,
        leg: S,
        offer: Option<&Body>,
        command: impl FnOnce(Option<Body>) -> LegCommand,
    ) -> (Self, Outcome<S>) {
        let mut single = Self::new(leg);
        let session = turn.session(leg);
        let answer = match offer {
            Some(offer) => {
                session.hear_offer(&Told::of(offer));
                session.answer_alone().0
            }
            None => Some(session.offer_alone()),
        };
        if answer.is_none() {
            let next = single.fails(Why::NoDescription);
            let outcome = single.becomes(next);
            return (single, outcome);
        }
        turn.tell(leg, command(answer));
        single.stage = Stage::Accepted {
            until: turn.now + ACKNOWLEDGEMENT_MAX,
            answers: offer.is_none(),
        };
        (single, Outcome::Running)
    }

    pub(super) fn involves(&self, leg: S) -> bool {
        leg == self.leg
    }

    pub(super) fn handle(&mut self, turn: &mut Turn<'_, S>, leg: S, news: News<'_>) -> Outcome<S> {
        if leg != self.leg || matches!(self.stage, Stage::Over) {
            return Outcome::Running;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let next = match (stage, news) {
            (Stage::Inviting(mut reinvite, aim), news) => {
                let reply = reinvite.handle(turn, leg, news);
                self.replied(turn, reinvite, aim, reply)
            }
            (_, News::Over(why)) => self.fails(why),
            // RFC 3311 §5.2: it rings, and has answered our offer reliably.
            (Stage::Ringing(until), News::Offered(Some(offer))) => {
                match turn.session(leg).change_ringing(offer) {
                    Some(answer) => turn.tell(leg, LegCommand::AnswerOffer(Some(answer))),
                    None => turn.refuse_offer(leg, Status::NOT_ACCEPTABLE_HERE),
                }
                (Stage::Ringing(until), Outcome::Running)
            }
            (stage, News::Offered(_)) => {
                turn.refuse_offer(leg, Status::REQUEST_PENDING);
                (stage, Outcome::Running)
            }
            (Stage::Ringing(_), News::Answered(Some(answer))) => {
                turn.session(leg).hear_final(answer);
                turn.conclude(leg, answer);
                (Stage::Over, Outcome::Done)
            }
            (Stage::Ringing(_), News::Answered(None)) => {
                turn.session(leg).roll_back();
                self.fails(Why::NoDescription)
            }
            (Stage::Accepted { answers: false, .. }, News::Acknowledged(_)) => {
                (Stage::Over, Outcome::Done)
            }
            (Stage::Accepted { answers: true, .. }, News::Acknowledged(Some(answer))) => {
                turn.session(leg).hear_answer(&Told::of(answer));
                (Stage::Over, Outcome::Done)
            }
            (Stage::Accepted { answers: true, .. }, News::Acknowledged(None)) => {
                turn.session(leg).roll_back();
                self.fails(Why::NoDescription)
            }
            (stage, News::Recalled(offer)) => {
                turn.acknowledge_recalled(leg, offer);
                (stage, Outcome::Running)
            }
            (
                stage @ (Stage::Ringing(_) | Stage::Accepted { .. } | Stage::Over),
                News::Answered(_)
                | News::Acknowledged(_)
                | News::Declined(_)
                | News::Cancelled
                | News::Early(_)
                | News::Due
                | News::Other,
            ) => (stage, Outcome::Running),
        };
        self.becomes(next)
    }

    fn replied(
        &mut self,
        turn: &mut Turn<'_, S>,
        reinvite: Reinvite,
        aim: Aim,
        reply: Reply,
    ) -> Next<S> {
        match (reply, aim) {
            (Reply::Awaited, aim) => (Stage::Inviting(reinvite, aim), Outcome::Running),
            (Reply::Answered(answer), Aim::Agree) => {
                turn.conclude(self.leg, &answer);
                (Stage::Over, Outcome::Done)
            }
            (Reply::Answered(answer), Aim::Withdraw) => {
                turn.conclude(self.leg, &answer);
                let before = reinvite.before().cloned();
                let again = before.map(Says::Again);
                match again.and_then(|says| Reinvite::send(turn, self.leg, says)) {
                    Some(reinvite) => (Stage::Inviting(reinvite, Aim::Restore), Outcome::Running),
                    None => self.fails(Why::Withdrawn),
                }
            }
            (Reply::Answered(answer), Aim::Restore) => {
                turn.conclude(self.leg, &answer);
                self.fails(Why::Withdrawn)
            }
            (Reply::Failed(why), Aim::Agree) => self.fails(why),
            (Reply::Failed(_), Aim::Withdraw) => self.fails(Why::Withdrawn),
            (Reply::Failed(_), Aim::Restore) => {
                let mut failure = Failure::of(self.leg, Why::Withdrawn);
                failure.disturb(self.leg);
                (Stage::Over, Outcome::Failed(failure))
            }
        }
    }

    /// The call has changed its mind.
    pub(super) fn withdraw(&mut self, turn: &mut Turn<'_, S>) -> Outcome<S> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let next = match stage {
            Stage::Inviting(mut reinvite, Aim::Agree) => match reinvite.withdraw(turn, self.leg) {
                Reply::Awaited => (Stage::Inviting(reinvite, Aim::Withdraw), Outcome::Running),
                Reply::Answered(_) | Reply::Failed(_) => self.fails(Why::Withdrawn),
            },
            Stage::Ringing(_) => {
                turn.session(self.leg).roll_back();
                self.fails(Why::Withdrawn)
            }
            stage @ (Stage::Inviting(_, Aim::Withdraw | Aim::Restore)
            | Stage::Accepted { .. }
            | Stage::Over) => (stage, Outcome::Running),
        };
        self.becomes(next)
    }

    pub(super) fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.stage {
            Stage::Inviting(reinvite, _) => Some(reinvite.deadline()),
            Stage::Ringing(until) => Some((*until, Timer::Ringing)),
            Stage::Accepted { until, .. } => Some((*until, Timer::Acknowledgement)),
            Stage::Over => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, turn: &mut Turn<'_, S>) -> Outcome<S> {
        let due = self.poll_timeout().is_some_and(|(at, _)| at <= turn.now);
        if !due {
            return Outcome::Running;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let next = match stage {
            Stage::Inviting(mut reinvite, aim) => {
                let reply = reinvite.handle_timeout(turn, self.leg);
                self.replied(turn, reinvite, aim, reply)
            }
            Stage::Ringing(_) | Stage::Accepted { .. } => {
                turn.session(self.leg).roll_back();
                self.fails(Why::Silent)
            }
            Stage::Over => (Stage::Over, Outcome::Running),
        };
        self.becomes(next)
    }

    fn fails(&self, why: Why) -> Next<S> {
        (Stage::Over, Outcome::Failed(Failure::of(self.leg, why)))
    }

    fn becomes(&mut self, (stage, outcome): Next<S>) -> Outcome<S> {
        self.stage = stage;
        outcome
    }
}
