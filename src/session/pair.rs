//! Offer and answer across two legs: the source gives the offer, the sink answers it, and the
//! answer goes back to the source, whichever messages carry them. What happens when a leg does not
//! play along is in `unwinding`.

use std::sync::Arc;
use std::time::Instant;

use crate::call::LegCommand;
use crate::dialog::Body;
use crate::limits::{
    ACKNOWLEDGEMENT_MAX, ACKNOWLEDGEMENT_PATIENCE, NEGOTIATION_RINGING_MAX, UPDATES_MAX,
};
use crate::sip::Status;

use super::apart::Apart;
use super::description::Told;
use super::news::News;
use super::outcome::{Failure, Outcome, Timer, Why};
use super::reinvite::{Reinvite, Reply, Says};
use super::slots::Slots;
use super::turn::Turn;
use super::{Sink, Source};

/// A negotiation of two legs.
#[derive(Debug)]
pub(super) struct Pair<S> {
    pub(super) source: Party<S>,
    pub(super) sink: Party<S>,
    pub(super) giver: Giver,
    pub(super) taker: Taker,
    /// Where the source's lines are in the sink's list.
    pub(super) slots: Slots,
    /// What the sink was told before.
    pub(super) before: Option<Arc<[u8]>>,
    /// How long the source's 2xx may still go without ACK.
    pub(super) patience: Option<Instant>,
    /// A leg's own change, which waits for its ACK.
    pub(super) apart: Option<Apart<S>>,
    /// Whether the sink is in another negotiation.
    pub(super) occupied: bool,
    /// Whether the source, whose offer is an earlier word of its, has said something else since.
    pub(super) overtaken: bool,
    /// What the sink, which rings, has answered so far; kept when it makes an offer of its own.
    pub(super) answer: Option<Body>,
    /// How often one leg was told what the other one made of its answer.
    pub(super) updates: u8,
    pub(super) stage: Stage<S>,
}

/// One of the two.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party<S> {
    pub(super) leg: S,
    /// Whether it has ended.
    pub(super) over: bool,
}

/// Where the source's offer came from, so where its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Giver {
    /// There is no offer yet, or nothing is owed for it any more.
    Nothing,
    /// Its INVITE, which is not answered yet.
    Invite,
    /// Its INVITE, which is not answered yet, while the offer was, in a provisional response, and
    /// has been changed since.
    Changed,
    /// Its re-INVITE.
    Offered,
    /// Its 2xx, which waits for our ACK, or is awaited.
    Unacknowledged,
    /// The same of a leg whose 2xx may be left without one.
    Tied,
    /// What it said earlier.
    Known,
}

/// How the sink gets the offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    /// In the INVITE that starts it.
    Dial,
    /// In the 2xx to its INVITE.
    Invite,
    /// In the 2xx to its re-INVITE.
    Offered,
    /// In a re-INVITE.
    Confirmed,
}

#[derive(Debug)]
pub(super) enum Stage<S> {
    /// The source was INVITEd; its 2xx has the offer.
    Dialled(Instant),
    /// The sink is INVITEd with the offer.
    Ringing(Instant),
    /// The sink has the offer in our 2xx; its ACK has the answer.
    Accepted(Instant),
    /// The source has the answer in our 2xx; its ACK ends the negotiation.
    Confirming(Instant),
    /// A leg has a re-INVITE of ours.
    Inviting(Reinvite, Aim<S>),
    /// A leg is told this, an offer or an answer, when its own change has its ACK or it is free.
    Waiting(Instant, S, Body),
    /// It has failed; the ACK of the sink, which has the offer in our 2xx, is awaited.
    Draining(Instant, Failure<S>),
    /// Spent.
    Over,
}

/// What a re-INVITE is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim<S> {
    /// To ask the source for its offer.
    Ask,
    /// To give the offer to the sink.
    Offer,
    /// To give the sink's answer, as an offer, to a source that has nothing open.
    Return,
    /// To tell the sink what the source made of that.
    Update,
    /// It was taken back: the negotiation has failed.
    Withdraw(S, Failure<S>),
    /// To give a leg its former session back: the negotiation has failed.
    Restore(S, Failure<S>),
}

pub(super) type Next<S> = (Stage<S>, Outcome<S>);

impl<S> Stage<S> {
    pub(super) fn runs(self) -> Next<S> {
        (self, Outcome::Running)
    }

    pub(super) fn ends(outcome: Outcome<S>) -> Next<S> {
        (Self::Over, outcome)
    }

    fn deadline(&self) -> Option<(Instant, Timer)> {
        match self {
            Self::Dialled(until) | Self::Ringing(until) => Some((*until, Timer::Ringing)),
            Self::Accepted(until)
            | Self::Confirming(until)
            | Self::Waiting(until, ..)
            | Self::Draining(until, _) => Some((*until, Timer::Acknowledgement)),
            Self::Inviting(reinvite, _) => Some(reinvite.deadline()),
            Self::Over => None,
        }
    }
}

impl<S: Copy + PartialEq> Pair<S> {
    pub(super) fn start(
        turn: &mut Turn<'_, S>,
        (source_leg, source): (S, Source),
        (sink_leg, sink): (S, Sink),
    ) -> (Self, Outcome<S>) {
        let party = |leg| Party { leg, over: false };
        let mut pair = Self {
            source: party(source_leg),
            sink: party(sink_leg),
            giver: Giver::Nothing,
            taker: match sink {
                Sink::Dial => Taker::Dial,
                Sink::Invite => Taker::Invite,
                Sink::Offered => Taker::Offered,
                Sink::Confirmed | Sink::Occupied => Taker::Confirmed,
            },
            slots: Slots::identity(0),
            before: None,
            patience: None,
            apart: None,
            occupied: sink == Sink::Occupied,
            overtaken: false,
            answer: None,
            updates: 0,
            stage: Stage::Over,
        };
        let next = pair.open(turn, source);
        let outcome = pair.becomes(next);
        (pair, outcome)
    }

    fn open(&mut self, turn: &mut Turn<'_, S>, source: Source) -> Next<S> {
        let leg = self.source.leg;
        let settled = turn.session(leg).is_settled();
        match source {
            Source::Invite(offer) => self.invited(turn, &offer),
            Source::Offered(offer) => self.offered(turn, Giver::Offered, &offer),
            Source::Answered(offer) => self.offered(turn, Giver::Unacknowledged, &offer),
            Source::Dialled | Source::Tied | Source::Confirmed | Source::Known if !settled => {
                self.refuse_taker(turn, Failure::of(leg, Why::Pending))
            }
            Source::Dialled => self.dialled(turn, Giver::Unacknowledged),
            Source::Tied => self.dialled(turn, Giver::Tied),
            Source::Confirmed => self.invite(turn, leg, Says::Ask, Aim::Ask),
            Source::Known => match turn.session(leg).known() {
                Some(offer) => self.offered(turn, Giver::Known, &offer),
                None => self.refuse_taker(turn, Failure::of(leg, Why::NoDescription)),
            },
        }
    }

    /// The source's 2xx will have the offer.
    fn dialled(&mut self, turn: &Turn<'_, S>, giver: Giver) -> Next<S> {
        self.giver = giver;
        Stage::Dialled(turn.now + NEGOTIATION_RINGING_MAX).runs()
    }

    /// The source's offer is there.
    pub(super) fn offered(
        &mut self,
        turn: &mut Turn<'_, S>,
        giver: Giver,
        offer: &Body,
    ) -> Next<S> {
        self.giver = giver;
        let told = Told::of(offer);
        match giver {
            Giver::Invite | Giver::Offered => turn.session(self.source.leg).hear_offer(&told),
            Giver::Unacknowledged | Giver::Tied => {
                turn.session(self.source.leg).hear_offer(&told);
                self.patience = Some(turn.now + ACKNOWLEDGEMENT_PATIENCE);
            }
            Giver::Known | Giver::Nothing | Giver::Changed => {}
        }
        if self.occupied || self.apart.is_some() {
            return self.wait(turn, self.sink.leg, offer);
        }
        self.pass_on(turn, &told)
    }

    /// The source's offer goes to the sink.
    pub(super) fn pass_on(&mut self, turn: &mut Turn<'_, S>, offer: &Told<'_>) -> Next<S> {
        let sink = self.sink.leg;
        if !turn.session(sink).is_settled() {
            let failure = Failure::of(sink, Why::Pending);
            return self.release_source(turn, failure);
        }
        self.before = turn.session(sink).said().cloned();
        if self.taker == Taker::Confirmed {
            return self.invite(turn, sink, Says::Partner(offer.body.clone()), Aim::Offer);
        }
        let (offer, slots) = turn.session(sink).offer(offer);
        self.slots = slots;
        let command = match self.taker {
            Taker::Dial | Taker::Confirmed => {
                let stage = Stage::Ringing(turn.now + NEGOTIATION_RINGING_MAX);
                return (stage, Outcome::Dial { leg: sink, offer });
            }
            Taker::Invite => LegCommand::Answer(Some(offer)),
            Taker::Offered => LegCommand::AnswerOffer(Some(offer)),
        };
        turn.tell(sink, command);
        Stage::Accepted(turn.now + ACKNOWLEDGEMENT_MAX).runs()
    }

    /// Sends a re-INVITE.
    pub(super) fn invite(
        &mut self,
        turn: &mut Turn<'_, S>,
        leg: S,
        says: Says,
        aim: Aim<S>,
    ) -> Next<S> {
        match Reinvite::send(turn, leg, says) {
            Some(reinvite) => Stage::Inviting(reinvite, aim).runs(),
            None => Stage::ends(Outcome::Failed(Failure::of(leg, Why::NoDescription))),
        }
    }

    // Input.

    pub(super) fn involves(&self, leg: S) -> bool {
        leg == self.source.leg || leg == self.sink.leg
    }

    pub(super) fn handle(&mut self, turn: &mut Turn<'_, S>, leg: S, news: News<'_>) -> Outcome<S> {
        if !self.involves(leg) || matches!(self.stage, Stage::Over) {
            return Outcome::Running;
        }
        if let News::Over(_) = news {
            self.source.over |= leg == self.source.leg;
            self.sink.over |= leg == self.sink.leg;
        }
        let next = match self.take_stage() {
            Stage::Inviting(mut reinvite, aim) if self.leg_of(&aim) == leg => {
                let reply = reinvite.handle(turn, leg, news);
                self.replied(turn, reinvite, aim, reply)
            }
            stage @ (Stage::Inviting(..)
            | Stage::Dialled(_)
            | Stage::Ringing(_)
            | Stage::Accepted(_)
            | Stage::Confirming(_)
            | Stage::Waiting(..)
            | Stage::Draining(..)
            | Stage::Over) => self.handle_other(turn, stage, leg, news),
        };
        self.becomes(next)
    }

    /// News of a leg that has no re-INVITE of ours.
    fn handle_other(
        &mut self,
        turn: &mut Turn<'_, S>,
        stage: Stage<S>,
        leg: S,
        news: News<'_>,
    ) -> Next<S> {
        match news {
            News::Answered(body) => self.invite_answered(turn, stage, leg, body),
            News::Acknowledged(body) => self.acknowledged(turn, stage, leg, body),
            News::Offered(Some(offer)) if self.may_change_early(turn, &stage, leg) => {
                self.change_early(turn, offer);
                stage.runs()
            }
            News::Offered(Some(offer)) if self.rings(&stage, leg) => {
                self.change_ringing(turn, offer);
                stage.runs()
            }
            News::Offered(offer) if self.is_apart(turn, &stage, leg) => {
                self.change_apart(turn, leg, offer);
                stage.runs()
            }
            News::Offered(_) => {
                // RFC 3261 §14.2: not while this one is under way.
                turn.refuse_offer(leg, Status::REQUEST_PENDING);
                stage.runs()
            }
            News::Cancelled => self.cancelled(turn, stage, leg),
            News::Over(why) => {
                let failure = Failure::of(leg, why);
                self.abandon(turn, stage, failure)
            }
            News::Early(body) => self.hear_early(turn, stage, leg, body),
            News::Recalled(offer) => self.recalled(turn, stage, leg, offer),
            News::Due if leg == self.source.leg => {
                self.patience_ends(turn);
                stage.runs()
            }
            News::Due | News::Declined(_) | News::Other => stage.runs(),
        }
    }

    /// 2xx to an INVITE that started a leg.
    fn invite_answered(
        &mut self,
        turn: &mut Turn<'_, S>,
        stage: Stage<S>,
        leg: S,
        body: Option<&Body>,
    ) -> Next<S> {
        let awaited = match stage {
            Stage::Dialled(_) => leg == self.source.leg,
            Stage::Ringing(_) => leg == self.sink.leg,
            Stage::Accepted(_)
            | Stage::Confirming(_)
            | Stage::Inviting(..)
            | Stage::Waiting(..)
            | Stage::Draining(..)
            | Stage::Over => false,
        };
        match (awaited, body) {
            (false, _) => stage.runs(),
            (true, None) => {
                let failure = Failure::of(leg, Why::NoDescription);
                self.abandon(turn, stage, failure)
            }
            (true, Some(body)) if leg == self.source.leg => self.offered(turn, self.giver, body),
            (true, Some(body)) => {
                turn.session(leg).hear_final(body);
                let answer = self.last_answer(turn, body);
                self.answered(turn, &answer, true)
            }
        }
    }

    fn acknowledged(
        &mut self,
        turn: &mut Turn<'_, S>,
        stage: Stage<S>,
        leg: S,
        body: Option<&Body>,
    ) -> Next<S> {
        let (from_source, from_sink) = (leg == self.source.leg, leg == self.sink.leg);
        if let Some(apart) = self.apart.take_if(|apart| apart.leg == leg) {
            return self.apart_acknowledged(turn, stage, apart, body);
        }
        match (stage, body) {
            (Stage::Confirming(_), _) if from_source => Stage::ends(Outcome::Done),
            (Stage::Accepted(_), Some(answer)) if from_sink => self.answered(turn, answer, false),
            (Stage::Accepted(_), None) if from_sink => {
                turn.session(leg).roll_back();
                let failure = Failure::of(leg, Why::NoDescription);
                self.release_source(turn, failure)
            }
            (Stage::Draining(_, failure), body) if from_sink => self.drained(turn, failure, body),
            (stage, body) => {
                // Of a change that was answered in an exchange before this one.
                turn.session(leg).hear_acknowledged(body);
                stage.runs()
            }
        }
    }

    /// The far end has taken its re-INVITE back.
    fn cancelled(&mut self, turn: &mut Turn<'_, S>, stage: Stage<S>, leg: S) -> Next<S> {
        if leg == self.source.leg && self.giver == Giver::Offered {
            self.giver = Giver::Nothing;
            turn.session(leg).roll_back();
        } else if leg == self.sink.leg && self.taker == Taker::Offered {
            self.taker = Taker::Confirmed;
        } else {
            return stage.runs();
        }
        let failure = Failure::of(leg, Why::Withdrawn);
        self.abandon(turn, stage, failure)
    }

    // Progress.

    fn replied(
        &mut self,
        turn: &mut Turn<'_, S>,
        reinvite: Reinvite,
        aim: Aim<S>,
        reply: Reply,
    ) -> Next<S> {
        match reply {
            Reply::Awaited => Stage::Inviting(reinvite, aim).runs(),
            Reply::Answered(body) => self.reinvite_answered(turn, &reinvite, aim, &body),
            Reply::Failed(why) => self.reinvite_failed(turn, aim, why),
        }
    }

    fn reinvite_answered(
        &mut self,
        turn: &mut Turn<'_, S>,
        reinvite: &Reinvite,
        aim: Aim<S>,
        body: &Body,
    ) -> Next<S> {
        match aim {
            Aim::Ask => self.offered(turn, Giver::Unacknowledged, body),
            Aim::Offer => {
                self.slots = reinvite.slots();
                self.answered(turn, body, true)
            }
            Aim::Return => self.compared(turn, reinvite, (self.source.leg, self.sink.leg), body),
            Aim::Update => self.compared(turn, reinvite, (self.sink.leg, self.source.leg), body),
            Aim::Withdraw(leg, failure) => self.withdrawn(turn, reinvite, leg, failure, body),
            Aim::Restore(leg, failure) => {
                turn.conclude(leg, body);
                Stage::ends(Outcome::Failed(failure))
            }
        }
    }

    /// A leg has answered what the other one said, by a re-INVITE. The other one is told if that
    /// is news, until both have heard the same.
    fn compared(
        &mut self,
        turn: &mut Turn<'_, S>,
        reinvite: &Reinvite,
        (leg, other): (S, S),
        body: &Body,
    ) -> Next<S> {
        let overtaken = leg == self.source.leg && std::mem::take(&mut self.overtaken);
        let known = !overtaken && !reinvite.overtaken() && turn.session(leg).is_known(body);
        turn.conclude(leg, body);
        if known || turn.session(other).is_told(body) {
            return Stage::ends(Outcome::Done);
        }
        let aim = if other == self.sink.leg {
            Aim::Update
        } else {
            Aim::Return
        };
        if self.updates == UPDATES_MAX {
            return self.reinvite_failed(turn, aim, Why::Glare);
        }
        self.updates += 1;
        self.invite(turn, other, Says::Partner(body.clone()), aim)
    }

    /// The sink has answered; `acknowledge` tells whether by a 2xx.
    fn answered(&mut self, turn: &mut Turn<'_, S>, answer: &Body, acknowledge: bool) -> Next<S> {
        let answer = Told::of(answer);
        turn.session(self.sink.leg).hear_answer(&answer);
        let next = self.give(turn, &answer);
        if acknowledge {
            turn.tell(self.sink.leg, LegCommand::Acknowledge(None));
        }
        next
    }

    /// The sink's answer goes to the source.
    pub(super) fn give(&mut self, turn: &mut Turn<'_, S>, answer: &Told<'_>) -> Next<S> {
        let leg = self.source.leg;
        let confirming = Stage::Confirming(turn.now + ACKNOWLEDGEMENT_MAX);
        match self.giver {
            Giver::Invite => {
                let answer = turn.session(leg).answer_invite(answer, &self.slots);
                turn.tell(leg, LegCommand::Answer(Some(answer)));
                confirming.runs()
            }
            Giver::Changed => {
                // RFC 3262 §5: the answer has been given, and the 2xx has none.
                turn.tell(leg, LegCommand::Answer(None));
                confirming.runs()
            }
            Giver::Offered => {
                let answer = turn.session(leg).answer(answer, &self.slots);
                turn.tell(leg, LegCommand::AnswerOffer(Some(answer)));
                confirming.runs()
            }
            Giver::Unacknowledged | Giver::Tied => {
                let answer = turn.session(leg).answer(answer, &self.slots);
                turn.tell(leg, LegCommand::Acknowledge(Some(answer)));
                Stage::ends(Outcome::Done)
            }
            Giver::Known if self.apart.is_some() => self.wait(turn, leg, answer.body),
            Giver::Known if !self.overtaken && turn.session(leg).is_told(answer.body) => {
                Stage::ends(Outcome::Done)
            }
            Giver::Known => {
                let says = Says::Partner(answer.body.clone());
                self.invite(turn, leg, says, Aim::Return)
            }
            Giver::Nothing => Stage::ends(Outcome::Done),
        }
    }

    /// Whether nothing is awaited of a leg any more.
    pub(super) fn is_done_with(&self, leg: S) -> bool {
        matches!(self.stage, Stage::Confirming(_)) && leg == self.sink.leg
    }

    // Time.

    pub(super) fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let patience = self.patience.map(|until| (until, Timer::Patience));
        self.stage.deadline().into_iter().chain(patience).min()
    }

    pub(super) fn handle_timeout(&mut self, turn: &mut Turn<'_, S>) -> Outcome<S> {
        if self.patience.is_some_and(|until| until <= turn.now) {
            self.patience_ends(turn);
        }
        let due = self.stage.deadline().is_some_and(|(at, _)| at <= turn.now);
        if !due {
            return Outcome::Running;
        }
        let (source, sink) = (self.source.leg, self.sink.leg);
        let next = match self.take_stage() {
            stage @ Stage::Dialled(_) => {
                let failure = Failure::of(source, Why::Silent);
                self.abandon(turn, stage, failure)
            }
            stage @ Stage::Ringing(_) => {
                let failure = Failure::of(sink, Why::Silent);
                self.abandon(turn, stage, failure)
            }
            Stage::Accepted(_) => {
                turn.session(sink).roll_back();
                let failure = Failure::of(sink, Why::Silent);
                self.release_source(turn, failure)
            }
            Stage::Confirming(_) => self.unconfirmed(Failure::of(source, Why::Silent)),
            Stage::Waiting(_, leg, _) => self.unacknowledged(turn, leg),
            Stage::Draining(_, failure) => self.drained(turn, failure, None),
            Stage::Inviting(mut reinvite, aim) => {
                let reply = reinvite.handle_timeout(turn, self.leg_of(&aim));
                self.replied(turn, reinvite, aim, reply)
            }
            Stage::Over => Stage::Over.runs(),
        };
        self.becomes(next)
    }

    // Parts.

    pub(super) fn leg_of(&self, aim: &Aim<S>) -> S {
        match aim {
            Aim::Ask | Aim::Return => self.source.leg,
            Aim::Offer | Aim::Update => self.sink.leg,
            Aim::Withdraw(leg, _) | Aim::Restore(leg, _) => *leg,
        }
    }

    pub(super) fn take_stage(&mut self) -> Stage<S> {
        std::mem::replace(&mut self.stage, Stage::Over)
    }

    pub(super) fn becomes(&mut self, (stage, outcome): Next<S>) -> Outcome<S> {
        self.stage = stage;
        outcome
    }
}
