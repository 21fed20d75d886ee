//! Changes of one leg's session while a negotiation of two has not come to that leg, or waits for
//! the other one, which may ring for minutes. Nothing that it says can meet an offer of ours then
//! (RFC 3261 §14.2): it is answered alone, out of what it was told before. What the negotiation
//! has to say to it next waits for its ACK (§14.1), and what it has to say to a leg that is still
//! in another negotiation waits for the end of that.

use crate::call::LegCommand;
use crate::dialog::Body;
use crate::limits::{ACKNOWLEDGEMENT_MAX, NEGOTIATION_RINGING_MAX};
use crate::sip::Status;

use super::Sessions;
use super::description::Told;
use super::outcome::{Failure, Outcome, Why};
use super::pair::{Aim, Giver, Next, Pair, Stage, Taker};
use super::turn::Turn;

/// A change that was answered and waits for its ACK.
#[derive(Debug, Clone, Copy)]
pub(super) struct Apart<S> {
    pub(super) leg: S,
    /// Whether the ACK has the answer.
    answers: bool,
}

impl<S: Copy + PartialEq> Pair<S> {
    /// Whether nothing of the negotiation is open on a leg.
    pub(super) fn is_apart(&self, turn: &mut Turn<'_, S>, stage: &Stage<S>, leg: S) -> bool {
        let waits = if leg == self.sink.leg {
            let before = matches!(stage, Stage::Dialled(_) | Stage::Inviting(_, Aim::Ask));
            before && self.taker == Taker::Confirmed
        } else {
            let across = matches!(
                stage,
                Stage::Ringing(_) | Stage::Accepted(_) | Stage::Inviting(_, Aim::Offer)
            );
            (across || self.occupied) && self.giver == Giver::Known
        };
        waits && self.apart.is_none() && turn.session(leg).is_settled()
    }

    /// Answers the leg's offer, or makes the one that it asks for.
    pub(super) fn change_apart(&mut self, turn: &mut Turn<'_, S>, leg: S, offer: Option<&Body>) {
        let session = turn.session(leg);
        let is_news = offer.is_some_and(|offer| !session.is_known(offer));
        let answer = match offer {
            Some(offer) => {
                session.hear_offer(&Told::of(offer));
                session.answer_alone().0
            }
            None => Some(session.offer_alone()),
        };
        let Some(answer) = answer else {
            return turn.refuse_offer(leg, Status::NOT_ACCEPTABLE_HERE);
        };
        self.overtaken |= is_news && leg == self.source.leg;
        self.answer_apart(turn, leg, answer, offer.is_none());
    }

    /// A leg that has nothing of ours makes an offer for which an earlier process has asked.
    pub(super) fn recalled(
        &mut self,
        turn: &mut Turn<'_, S>,
        stage: Stage<S>,
        leg: S,
        offer: &Body,
    ) -> Next<S> {
        let is_news = turn.acknowledge_recalled(leg, offer);
        self.overtaken |= is_news && leg == self.source.leg;
        stage.runs()
    }

    /// Whether the leg is a phone that rings and has had its offer answered, in a reliable
    /// response: none of its offers comes here before that.
    pub(super) fn rings(&self, stage: &Stage<S>, leg: S) -> bool {
        let rings = matches!(stage, Stage::Ringing(_));
        rings && self.taker == Taker::Dial && leg == self.sink.leg && self.apart.is_none()
    }

    /// A provisional response of a phone that rings may have its answer.
    pub(super) fn hear_early(
        &mut self,
        turn: &mut Turn<'_, S>,
        stage: Stage<S>,
        leg: S,
        body: &Body,
    ) -> Next<S> {
        if self.rings(&stage, leg) && !turn.session(leg).has_changed_early() {
            self.answer = Some(body.clone());
        }
        stage.runs()
    }

    /// What the source may be told in a provisional response when the sink has early media.
    pub(super) fn early(&self, sessions: &mut dyn Sessions<S>, body: &Body) -> Option<Body> {
        let rings = matches!(self.stage, Stage::Ringing(_));
        let may = rings && self.giver == Giver::Invite;
        may.then(|| sessions.session(self.source.leg).promise(body, &self.slots))
    }

    /// What the source gets as the answer to its offer when the phone is answered. The last word of
    /// a phone that has made an offer since is no answer (RFC 3264 §6.1): it comes after the 2xx.
    pub(super) fn last_answer(&mut self, turn: &mut Turn<'_, S>, last: &Body) -> Body {
        let answers = match self.giver {
            Giver::Invite | Giver::Offered | Giver::Unacknowledged | Giver::Tied => true,
            Giver::Nothing | Giver::Changed | Giver::Known => false,
        };
        let first = self.answer.take();
        let offers = answers && turn.session(self.sink.leg).has_changed_early();
        first.filter(|_| offers).unwrap_or_else(|| last.clone())
    }

    /// Answers its offer. The source hears of it when the phone is answered.
    pub(super) fn change_ringing(&mut self, turn: &mut Turn<'_, S>, offer: &Body) {
        let leg = self.sink.leg;
        match turn.session(leg).change_ringing(offer) {
            Some(answer) => self.answer_apart(turn, leg, answer, false),
            None => turn.refuse_offer(leg, Status::NOT_ACCEPTABLE_HERE),
        }
    }

    /// Whether the source's INVITE had its answer before its 2xx, which is not acknowledged: only
    /// an UPDATE or a PRACK can bring an offer then (RFC 6337 §2.1).
    pub(super) fn may_change_early(
        &self,
        turn: &mut Turn<'_, S>,
        stage: &Stage<S>,
        leg: S,
    ) -> bool {
        let waits = matches!(stage, Stage::Ringing(_) | Stage::Confirming(_));
        let invites = matches!(self.giver, Giver::Invite | Giver::Changed);
        let is_source = leg == self.source.leg;
        waits && invites && is_source && turn.session(leg).may_change_early()
    }

    /// The source's INVITE waits. Its offer counts no more where it was answered, and changed
    /// since.
    pub(super) fn invited(&mut self, turn: &mut Turn<'_, S>, offer: &Body) -> Next<S> {
        let session = turn.session(self.source.leg);
        match session.known().filter(|_| session.has_changed_early()) {
            Some(last) => self.offered(turn, Giver::Changed, &last),
            None => self.offered(turn, Giver::Invite, offer),
        }
    }

    /// The sink has not answered and cannot be asked: the source gets the answer that changes
    /// nothing. What it has said goes to the sink after the 2xx.
    pub(super) fn change_early(&mut self, turn: &mut Turn<'_, S>, offer: &Body) {
        let leg = self.source.leg;
        match turn.session(leg).change_early(offer) {
            Some(answer) => {
                self.giver = Giver::Changed;
                self.answer_apart(turn, leg, answer, false);
            }
            None => turn.refuse_offer(leg, Status::NOT_ACCEPTABLE_HERE),
        }
    }

    fn answer_apart(&mut self, turn: &mut Turn<'_, S>, leg: S, answer: Body, answers: bool) {
        self.apart = Some(Apart { leg, answers });
        turn.tell(leg, LegCommand::AnswerOffer(Some(answer)));
    }

    /// Has the next word to a leg wait for the ACK of its change, or until the leg is free: what it
    /// is in has deadlines of its own, which come first.
    pub(super) fn wait(&self, turn: &Turn<'_, S>, leg: S, body: &Body) -> Next<S> {
        let most = if self.is_kept_from(leg) {
            NEGOTIATION_RINGING_MAX
        } else {
            ACKNOWLEDGEMENT_MAX
        };
        Stage::Waiting(turn.now + most, leg, body.clone()).runs()
    }

    /// The sink is free.
    pub(super) fn resume(&mut self, turn: &mut Turn<'_, S>) -> Outcome<S> {
        if !std::mem::take(&mut self.occupied) {
            return Outcome::Running;
        }
        let next = match self.take_stage() {
            Stage::Waiting(_, leg, offer) if leg == self.sink.leg => {
                self.pass_on(turn, &Told::of(&offer))
            }
            stage @ (Stage::Dialled(_)
            | Stage::Ringing(_)
            | Stage::Accepted(_)
            | Stage::Confirming(_)
            | Stage::Inviting(..)
            | Stage::Waiting(..)
            | Stage::Draining(..)
            | Stage::Over) => stage.runs(),
        };
        self.becomes(next)
    }

    pub(super) fn is_kept_from(&self, leg: S) -> bool {
        self.occupied && leg == self.sink.leg
    }

    pub(super) fn is_held_up_by(&self, leg: S) -> bool {
        self.is_kept_from(leg) && matches!(self.stage, Stage::Waiting(..))
    }

    pub(super) fn has_not_reached(&self, leg: S) -> bool {
        let is_dialled = matches!(self.stage, Stage::Dialled(_));
        is_dialled && leg == self.sink.leg && self.apart.is_none()
    }

    /// The ACK of a change has come.
    pub(super) fn apart_acknowledged(
        &mut self,
        turn: &mut Turn<'_, S>,
        stage: Stage<S>,
        apart: Apart<S>,
        body: Option<&Body>,
    ) -> Next<S> {
        let Apart { leg, answers } = apart;
        let session = turn.session(leg);
        match body.filter(|_| answers) {
            Some(answer) => {
                self.overtaken |= leg == self.source.leg && !session.is_known(answer);
                session.hear_answer(&Told::of(answer));
            }
            None if answers => session.roll_back(),
            None => {}
        }
        match stage {
            Stage::Waiting(_, waits, offer) if waits == leg && leg == self.sink.leg => {
                self.pass_on(turn, &Told::of(&offer))
            }
            Stage::Waiting(_, waits, answer) if waits == leg => self.give(turn, &Told::of(&answer)),
            // The source has changed while its offer waits for the sink.
            stage @ (Stage::Dialled(_)
            | Stage::Ringing(_)
            | Stage::Accepted(_)
            | Stage::Confirming(_)
            | Stage::Waiting(..)
            | Stage::Inviting(..)
            | Stage::Draining(..)
            | Stage::Over) => stage.runs(),
        }
    }

    /// The negotiation fails while a leg's ACK is awaited.
    pub(super) fn waited_in_vain(
        &mut self,
        turn: &mut Turn<'_, S>,
        waits: S,
        failure: Failure<S>,
    ) -> Next<S> {
        if waits == self.sink.leg {
            // It has not got the offer.
            self.release_source(turn, failure)
        } else {
            self.return_failed(turn, failure)
        }
    }

    /// The ACK has not come in all its time.
    pub(super) fn unacknowledged(&mut self, turn: &mut Turn<'_, S>, leg: S) -> Next<S> {
        if let Some(apart) = self.apart.take_if(|apart| apart.leg == leg)
            && apart.answers
        {
            turn.session(leg).roll_back();
        }
        self.waited_in_vain(turn, leg, Failure::of(leg, Why::Silent))
    }

    /// The sink takes longer than the source's 2xx may wait. The source gets an answer that keeps
    /// its session as it is, and a re-INVITE when the sink has answered (RFC 3725 §4.3).
    pub(super) fn patience_ends(&mut self, turn: &mut Turn<'_, S>) {
        self.patience = None;
        let waits = matches!(self.giver, Giver::Unacknowledged | Giver::Tied);
        if waits && !self.source.over {
            turn.acknowledge_alone(self.source.leg);
            self.giver = Giver::Known;
        }
    }
}
