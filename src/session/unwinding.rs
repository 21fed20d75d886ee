//! How a negotiation of two legs ends before its time: whoever is still there gets back what it
//! had. An open offer is refused, a 2xx is acknowledged with what the leg was told before, and a
//! leg that has already taken the new session gets the former one offered.

use std::sync::Arc;

use crate::call::LegCommand;
use crate::dialog::Body;

use super::description::Told;
use super::outcome::{Failure, Outcome, Why};
use super::pair::{Aim, Giver, Next, Pair, Stage, Taker};
use super::reinvite::{Reinvite, Reply, Says};
use super::turn::Turn;

impl<S: Copy + PartialEq> Pair<S> {
    /// The call has changed its mind. What is agreed already, or is being undone, goes on.
    pub(super) fn withdraw(&mut self, turn: &mut Turn<'_, S>) -> Outcome<S> {
        let next = match self.take_stage() {
            stage @ (Stage::Dialled(_)
            | Stage::Ringing(_)
            | Stage::Accepted(_)
            | Stage::Inviting(_, Aim::Ask | Aim::Offer)) => {
                let failure = Failure::of(self.source.leg, Why::Withdrawn);
                self.abandon(turn, stage, failure)
            }
            stage @ Stage::Waiting(_, leg, _) if leg == self.sink.leg => {
                let failure = Failure::of(self.source.leg, Why::Withdrawn);
                self.abandon(turn, stage, failure)
            }
            stage @ (Stage::Confirming(_)
            | Stage::Inviting(
                _,
                Aim::Return | Aim::Update | Aim::Withdraw(..) | Aim::Restore(..),
            )
            | Stage::Waiting(..)
            | Stage::Draining(..)
            | Stage::Over) => stage.runs(),
        };
        self.becomes(next)
    }

    /// The negotiation fails for a reason other than a refused re-INVITE of ours.
    pub(super) fn abandon(
        &mut self,
        turn: &mut Turn<'_, S>,
        stage: Stage<S>,
        failure: Failure<S>,
    ) -> Next<S> {
        match stage {
            Stage::Dialled(_) => self.refuse_taker(turn, failure),
            Stage::Ringing(_) => {
                if !self.sink.over {
                    turn.session(self.sink.leg).roll_back();
                }
                self.release_source(turn, failure)
            }
            Stage::Accepted(until) => {
                let ended = self.release_source(turn, failure);
                match ended {
                    (_, Outcome::Failed(failure)) if !self.sink.over => {
                        Stage::Draining(until, failure).runs()
                    }
                    (stage, outcome) => (stage, outcome),
                }
            }
            Stage::Confirming(_) => self.unconfirmed(failure),
            Stage::Inviting(reinvite, aim) => self.take_back(turn, reinvite, aim, failure),
            Stage::Waiting(_, leg, _) => self.waited_in_vain(turn, leg, failure),
            Stage::Draining(_, failure) if self.sink.over => Stage::ends(Outcome::Failed(failure)),
            stage @ (Stage::Draining(..) | Stage::Over) => stage.runs(),
        }
    }

    /// Both had agreed when one of them failed: the other one has a session with it.
    pub(super) fn unconfirmed(&self, mut failure: Failure<S>) -> Next<S> {
        let left = if failure.leg == self.source.leg {
            self.sink
        } else {
            self.source
        };
        if !left.over {
            failure.disturb(left.leg);
        }
        Stage::ends(Outcome::Failed(failure))
    }

    /// Takes our re-INVITE back, for the other leg is the one that failed.
    fn take_back(
        &mut self,
        turn: &mut Turn<'_, S>,
        mut reinvite: Reinvite,
        aim: Aim<S>,
        mut failure: Failure<S>,
    ) -> Next<S> {
        let (_, ended) = match aim {
            Aim::Ask => self.refuse_taker(turn, failure),
            Aim::Offer => self.release_source(turn, failure),
            Aim::Return if self.updates == 0 => Stage::ends(Outcome::Failed(failure)),
            // It has a session with the one that is over.
            Aim::Return | Aim::Update => {
                failure.disturb(self.leg_of(&aim));
                Stage::ends(Outcome::Failed(failure))
            }
            Aim::Withdraw(..) | Aim::Restore(..) => {
                return Stage::Inviting(reinvite, aim).runs();
            }
        };
        let leg = self.leg_of(&aim);
        match (ended, reinvite.withdraw(turn, leg)) {
            (Outcome::Failed(failure), Reply::Awaited) => {
                Stage::Inviting(reinvite, Aim::Withdraw(leg, failure)).runs()
            }
            (ended, Reply::Awaited | Reply::Answered(_) | Reply::Failed(_)) => Stage::ends(ended),
        }
    }

    /// A re-INVITE that was taken back was answered all the same.
    pub(super) fn withdrawn(
        &mut self,
        turn: &mut Turn<'_, S>,
        reinvite: &Reinvite,
        leg: S,
        mut failure: Failure<S>,
        body: &Body,
    ) -> Next<S> {
        if reinvite.asks() {
            turn.session(leg).hear_offer(&Told::of(body));
            if turn.acknowledge_alone(leg) {
                failure.disturb(leg);
            }
            return Stage::ends(Outcome::Failed(failure));
        }
        turn.conclude(leg, body);
        self.restore(turn, leg, reinvite.before(), failure)
    }

    /// Our re-INVITE was refused, or nobody is left to answer it.
    pub(super) fn reinvite_failed(
        &mut self,
        turn: &mut Turn<'_, S>,
        aim: Aim<S>,
        why: Why,
    ) -> Next<S> {
        let (source, sink) = (self.source.leg, self.sink.leg);
        match aim {
            Aim::Ask => self.refuse_taker(turn, Failure::of(source, why)),
            Aim::Offer => self.release_source(turn, Failure::of(sink, why)),
            Aim::Return if self.updates == 0 => self.return_failed(turn, Failure::of(source, why)),
            // They were about to have each other.
            Aim::Return | Aim::Update => {
                let leg = self.leg_of(&aim);
                let mut failure = Failure::of(leg, why);
                for party in [self.source, self.sink].iter().filter(|party| !party.over) {
                    failure.disturb(party.leg);
                }
                Stage::ends(Outcome::Failed(failure))
            }
            Aim::Withdraw(_, failure) => Stage::ends(Outcome::Failed(failure)),
            Aim::Restore(leg, mut failure) => {
                if !self.is_over(leg) {
                    failure.disturb(leg);
                }
                Stage::ends(Outcome::Failed(failure))
            }
        }
    }

    /// The sink has answered a source that cannot be told: it gets its former session.
    pub(super) fn return_failed(&mut self, turn: &mut Turn<'_, S>, failure: Failure<S>) -> Next<S> {
        let before = self.before.take();
        self.restore(turn, self.sink.leg, before.as_ref(), failure)
    }

    /// The ACK of a sink that has the offer of a negotiation that has failed.
    pub(super) fn drained(
        &mut self,
        turn: &mut Turn<'_, S>,
        mut failure: Failure<S>,
        answer: Option<&Body>,
    ) -> Next<S> {
        let sink = self.sink.leg;
        match answer {
            Some(answer) => {
                turn.session(sink).hear_answer(&Told::of(answer));
                let before = self.before.take();
                self.restore(turn, sink, before.as_ref(), failure)
            }
            None => {
                turn.session(sink).roll_back();
                failure.disturb(sink);
                Stage::ends(Outcome::Failed(failure))
            }
        }
    }

    /// Offers a leg the session that it had before.
    fn restore(
        &mut self,
        turn: &mut Turn<'_, S>,
        leg: S,
        before: Option<&Arc<[u8]>>,
        mut failure: Failure<S>,
    ) -> Next<S> {
        if self.is_over(leg) {
            return Stage::ends(Outcome::Failed(failure));
        }
        match before {
            Some(before) if turn.session(leg).said() == Some(before) => {
                Stage::ends(Outcome::Failed(failure))
            }
            Some(before) => {
                let says = Says::Again(before.clone());
                self.invite(turn, leg, says, Aim::Restore(leg, failure))
            }
            None => {
                failure.disturb(leg);
                Stage::ends(Outcome::Failed(failure))
            }
        }
    }

    /// Settles what the source waits for.
    pub(super) fn release_source(
        &mut self,
        turn: &mut Turn<'_, S>,
        mut failure: Failure<S>,
    ) -> Next<S> {
        let leg = self.source.leg;
        let giver = std::mem::replace(&mut self.giver, Giver::Nothing);
        match giver {
            Giver::Nothing | Giver::Tied | Giver::Known | Giver::Changed => {}
            Giver::Invite | Giver::Offered | Giver::Unacknowledged if self.source.over => {}
            // The call has still to find somebody for it.
            Giver::Invite => turn.session(leg).roll_back(),
            Giver::Offered => {
                turn.session(leg).roll_back();
                turn.refuse_offer(leg, failure.why.refusal());
            }
            Giver::Unacknowledged => {
                if turn.acknowledge_alone(leg) {
                    failure.disturb(leg);
                }
            }
        }
        Stage::ends(Outcome::Failed(failure))
    }

    /// Settles what a sink waits for that has not got the offer.
    pub(super) fn refuse_taker(&mut self, turn: &mut Turn<'_, S>, failure: Failure<S>) -> Next<S> {
        match self.taker {
            Taker::Offered if !self.sink.over => {
                turn.tell(
                    self.sink.leg,
                    LegCommand::RefuseOffer(failure.why.refusal()),
                );
            }
            Taker::Offered | Taker::Dial | Taker::Invite | Taker::Confirmed => {}
        }
        Stage::ends(Outcome::Failed(failure))
    }

    fn is_over(&self, leg: S) -> bool {
        (leg == self.source.leg && self.source.over) || (leg == self.sink.leg && self.sink.over)
    }
}
