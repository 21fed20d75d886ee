//! The exchanges of session descriptions that are under way on the legs of a conversation, each
//! with what it is for. How an exchange goes is `session`'s; what its end means is decided here
//! and by who asked for it.

use std::time::Instant;

use crate::dialog::{Body, LegEvent, Release};
use crate::few::Few;
use crate::session::{Negotiation, Outcome, Sessions as _, Sink};
use crate::spare::{Boxes, Lent};

use super::command::{Command, LegCommand, LegSlot};
use super::conversation::{Conversation, Turn, Which};
use super::facts::cause;
use super::leg::Legs;
use super::participant::Participant;
use super::quest::Quest;
use super::task::{Step, Then};

/// What an exchange is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Who waits and who is called.
    Connect(Which),
    /// A party changes its session.
    Relay,
    /// A step of what a desktop has asked for.
    Step(Step),
    /// The phone of an agent who makes a call, without media so far.
    Phone(Which),
    /// To leave a leg as it was: what it was for is over.
    Undo,
}

impl Purpose {
    /// The call for which somebody is connected by it.
    fn call(self) -> Option<Which> {
        match self {
            Self::Connect(which) | Self::Phone(which) => Some(which),
            Self::Relay | Self::Step(_) | Self::Undo => None,
        }
    }
}

/// An exchange under way.
#[derive(Debug)]
pub(super) struct Exchange {
    negotiation: Negotiation<LegSlot>,
    legs: (LegSlot, LegSlot),
    purpose: Purpose,
}

/// An exchange that has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) legs: (LegSlot, LegSlot),
    pub(super) purpose: Purpose,
    /// Whether it brought what it was for.
    pub(super) done: bool,
    /// Whose fault it was if not.
    pub(super) failed: Option<LegSlot>,
    /// Who could not be left as it was, and needs an offer from whom it hears.
    disturbed: Option<LegSlot>,
}

/// All exchanges of a conversation. Mostly there is none. A leg is in one at most, and in a second
/// one that waits for it: whoever is called for a leg may answer before the leg is free.
#[derive(Debug, Default)]
pub(super) struct Exchanges(Few<Lent<Exchange>>);

impl Exchanges {
    /// Whether a leg has to wait until another exchange is over.
    pub(super) fn is_busy(&self, leg: LegSlot) -> bool {
        self.0.iter().any(|exchange| exchange.has(leg))
    }

    /// Whether a leg has news for an exchange: whether it is in more than one that waits for it.
    fn hear_from(&self, leg: LegSlot) -> bool {
        self.0.iter().any(|exchange| exchange.hears(leg))
    }

    /// Whether a leg is to hear of an exchange now, or when it is free.
    pub(super) fn have_news_for(&self, leg: LegSlot) -> bool {
        self.hear_from(leg) || self.hold_up(leg)
    }

    /// Whether somebody has answered who waits for a leg.
    fn hold_up(&self, leg: LegSlot) -> bool {
        let mut all = self.0.iter();
        all.any(|exchange| exchange.negotiation.is_held_up_by(leg))
    }

    /// Whether a leg is in an exchange that is wanted: in more than the undoing of one.
    pub(super) fn needs(&self, leg: LegSlot) -> bool {
        self.wanted(leg).next().is_some()
    }

    /// Whether a leg is in an exchange by which it hears somebody else.
    pub(super) fn joins(&self, leg: LegSlot) -> bool {
        let mut wanted = self.wanted(leg);
        wanted.any(|exchange| exchange.legs.0 != exchange.legs.1)
    }

    fn wanted(&self, leg: LegSlot) -> impl Iterator<Item = &Exchange> {
        let all = self.0.iter().map(|exchange| &**exchange);
        all.filter(move |exchange| exchange.has(leg) && exchange.purpose != Purpose::Undo)
    }

    /// Whether a leg has done its part in an exchange that ends with the ACK of the other one.
    pub(super) fn waits_for_other(&self, leg: LegSlot) -> bool {
        let mut all = self.0.iter();
        all.any(|exchange| exchange.has(leg) && exchange.negotiation.waits_for_other(leg))
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let times = self
            .0
            .iter()
            .filter_map(|exchange| exchange.negotiation.poll_timeout());
        times.map(|(at, _)| at).min()
    }

    /// Keeps an exchange that has begun, unless it is over already.
    fn begin(
        &mut self,
        spare: &mut Boxes<Exchange>,
        (negotiation, outcome): (Negotiation<LegSlot>, Outcome<LegSlot>),
        legs: (LegSlot, LegSlot),
        purpose: Purpose,
    ) -> Option<Ended> {
        let exchange = Exchange {
            negotiation,
            legs,
            purpose,
        };
        match exchange.ended(&outcome) {
            Some(ended) => Some(ended),
            None => {
                self.0.push(spare.lend(exchange));
                None
            }
        }
    }

    fn hear(
        &mut self,
        (now, spare): (Instant, &mut Boxes<Exchange>),
        leg: LegSlot,
        event: &LegEvent,
        legs: &mut Legs,
        told: &mut Vec<(LegSlot, LegCommand)>,
    ) -> Heard {
        let Some(place) = self.0.iter().position(|exchange| exchange.hears(leg)) else {
            return Heard::Nobody;
        };
        let ended = self.act_at(spare, place, |negotiation| {
            negotiation.handle(now, leg, event, legs, told)
        });
        ended.map_or(Heard::GoesOn, Heard::Ended)
    }

    /// Has some exchanges act, in the order in which they began; gives back those that end by it.
    fn act(
        &mut self,
        spare: &mut Boxes<Exchange>,
        mut act: impl FnMut(&mut Exchange) -> Option<Outcome<LegSlot>>,
    ) -> Vec<Ended> {
        let mut all = Vec::new();
        let mut place = 0;
        while let Some(exchange) = self.0.get_mut(place) {
            let outcome = act(exchange);
            if let Some(ended) = outcome.and_then(|outcome| exchange.ended(&outcome)) {
                spare.take_back(self.0.remove(place));
                all.push(ended);
            } else {
                place += 1;
            }
        }
        all
    }

    fn time_passes(
        &mut self,
        (now, spare): (Instant, &mut Boxes<Exchange>),
        legs: &mut Legs,
        told: &mut Vec<(LegSlot, LegCommand)>,
    ) -> Vec<Ended> {
        self.act(spare, |exchange| {
            let due = exchange.negotiation.poll_timeout();
            due.filter(|(at, _)| *at <= now)?;
            Some(exchange.negotiation.handle_timeout(now, legs, told))
        })
    }

    /// A leg is gone: each exchange that it is in hears so.
    fn lose(
        &mut self,
        (now, spare): (Instant, &mut Boxes<Exchange>),
        leg: LegSlot,
        legs: &mut Legs,
        told: &mut Vec<(LegSlot, LegCommand)>,
    ) -> Vec<Ended> {
        let gone = LegEvent::HungUp(Release::Lost);
        self.act(spare, |exchange| {
            let is_in = exchange.has(leg);
            is_in.then(|| exchange.negotiation.handle(now, leg, &gone, legs, told))
        })
    }

    /// The place of an exchange that waits for a leg which is in no other one any more, and owes
    /// us no ACK.
    fn freed(&self, legs: &Legs) -> Option<usize> {
        self.0.iter().position(|exchange| {
            let waits_for = exchange.waits_for();
            waits_for.is_some_and(|leg| !self.hear_from(leg) && legs.is_settled(leg))
        })
    }

    /// The place of an exchange that would bring music to a leg, has not got any yet, and is in
    /// the way of somebody who has answered.
    fn in_the_way(&self) -> Option<usize> {
        self.0.iter().position(|exchange| {
            let Purpose::Step(Step::Quiet(leg)) = exchange.purpose else {
                return false;
            };
            exchange.hears(leg) && exchange.negotiation.has_not_reached(leg) && self.hold_up(leg)
        })
    }

    /// Has one exchange act; gives it back if it ends by that.
    fn act_at(
        &mut self,
        spare: &mut Boxes<Exchange>,
        place: usize,
        act: impl FnOnce(&mut Negotiation<LegSlot>) -> Outcome<LegSlot>,
    ) -> Option<Ended> {
        let exchange = &mut self.0[place];
        let outcome = act(&mut exchange.negotiation);
        let ended = exchange.ended(&outcome)?;
        spare.take_back(self.0.remove(place));
        Some(ended)
    }

    /// The consultation is the main call from now on.
    pub(super) fn consult_is_main(&mut self) {
        for exchange in self.0.iter_mut() {
            exchange.purpose = match exchange.purpose {
                Purpose::Connect(_) => Purpose::Connect(Which::Main),
                Purpose::Phone(_) => Purpose::Phone(Which::Main),
                Purpose::Relay | Purpose::Step(_) | Purpose::Undo => exchange.purpose,
            };
        }
    }

    fn early(&self, called: LegSlot, media: &Body, legs: &mut Legs) -> Option<(LegSlot, Body)> {
        let exchange = self.0.iter().find(|exchange| {
            matches!(exchange.purpose, Purpose::Connect(Which::Main)) && exchange.legs.1 == called
        })?;
        let body = exchange.negotiation.early(media, legs)?;
        Some((exchange.legs.0, body))
    }

    /// What some exchanges were for is over; their legs are left as they were.
    fn undo(
        &mut self,
        now: Instant,
        concerned: impl Fn(&Exchange) -> bool,
        legs: &mut Legs,
        told: &mut Vec<(LegSlot, LegCommand)>,
    ) {
        self.0.retain(|exchange| {
            if !concerned(exchange) || exchange.purpose == Purpose::Undo {
                return true;
            }
            exchange.purpose = Purpose::Undo;
            let outcome = exchange.negotiation.withdraw(now, legs, told);
            exchange.ended(&outcome).is_none()
        });
    }
}

/// What came of a leg's news.
enum Heard {
    /// The leg is in no exchange.
    Nobody,
    /// Its exchange goes on.
    GoesOn,
    /// Its exchange is over.
    Ended(Ended),
}

impl Exchange {
    fn has(&self, leg: LegSlot) -> bool {
        self.legs.0 == leg || self.legs.1 == leg
    }

    /// Whether a leg's news are for it.
    fn hears(&self, leg: LegSlot) -> bool {
        self.has(leg) && !self.negotiation.is_kept_from(leg)
    }

    /// The leg that is in another exchange, for whose end this one waits.
    fn waits_for(&self) -> Option<LegSlot> {
        let mut legs = [self.legs.0, self.legs.1].into_iter();
        legs.find(|leg| self.negotiation.is_kept_from(*leg))
    }

    fn ended(&self, outcome: &Outcome<LegSlot>) -> Option<Ended> {
        let (failed, disturbed) = match outcome {
            Outcome::Running | Outcome::Dial { .. } => return None,
            Outcome::Done => (None, None),
            Outcome::Failed(failure) => {
                let mut legs = [self.legs.0, self.legs.1].into_iter();
                (
                    Some(failure.leg),
                    legs.find(|leg| failure.is_disturbed(*leg)),
                )
            }
        };
        Some(Ended {
            legs: self.legs,
            purpose: self.purpose,
            done: failed.is_none(),
            failed,
            disturbed,
        })
    }
}

impl Conversation {
    /// Keeps an exchange that has begun and passes on what it says.
    pub(super) fn begin(
        &mut self,
        turn: &mut Turn<'_>,
        started: (Negotiation<LegSlot>, Outcome<LegSlot>),
        legs: (LegSlot, LegSlot),
        purpose: Purpose,
        told: Vec<(LegSlot, LegCommand)>,
    ) {
        self.tell(turn, told);
        if let Some(ended) = self
            .exchanges
            .begin(&mut turn.spare.exchanges, started, legs, purpose)
        {
            self.exchange_ended(turn, ended);
        }
    }

    /// A leg has news for its exchange, if it is in one; gives back how that one ended, if it did.
    pub(super) fn exchange_hears(
        &mut self,
        turn: &mut Turn<'_>,
        leg: LegSlot,
        event: &LegEvent,
    ) -> Option<Option<Ended>> {
        let mut told = turn.told();
        let heard = self.exchanges.hear(
            (turn.now, &mut turn.spare.exchanges),
            leg,
            event,
            &mut self.legs,
            &mut told,
        );
        self.tell(turn, told);
        match heard {
            Heard::Nobody => None,
            Heard::GoesOn => Some(None),
            Heard::Ended(ended) => Some(Some(ended)),
        }
    }

    pub(super) fn exchange_is_due(&mut self, turn: &mut Turn<'_>) {
        let mut told = turn.told();
        let spare = (turn.now, &mut turn.spare.exchanges);
        let all = self.exchanges.time_passes(spare, &mut self.legs, &mut told);
        self.tell(turn, told);
        for ended in all {
            self.exchange_ended(turn, ended);
        }
    }

    /// A leg is gone; gives back the exchanges that end by it, with their other legs as they were.
    pub(super) fn exchanges_lose(&mut self, turn: &mut Turn<'_>, leg: LegSlot) -> Vec<Ended> {
        let mut told = turn.told();
        let spare = (turn.now, &mut turn.spare.exchanges);
        let all = self.exchanges.lose(spare, leg, &mut self.legs, &mut told);
        self.tell(turn, told);
        all
    }

    /// Exchanges go on that have waited for a leg which is free now, or would be but for music that
    /// it does not hear yet.
    pub(super) fn resume_exchanges(&mut self, turn: &mut Turn<'_>) {
        loop {
            let mut told = turn.told();
            let (now, legs) = (turn.now, &mut self.legs);
            let spare = &mut turn.spare.exchanges;
            let ended = if let Some(place) = self.exchanges.in_the_way() {
                let withdraw = |music: &mut Negotiation<_>| music.withdraw(now, legs, &mut told);
                self.exchanges.act_at(spare, place, withdraw)
            } else if let Some(place) = self.exchanges.freed(legs) {
                let resume = |freed: &mut Negotiation<_>| freed.resume(now, legs, &mut told);
                self.exchanges.act_at(spare, place, resume)
            } else {
                turn.spare.told = told;
                return;
            };
            self.tell(turn, told);
            if let Some(ended) = ended {
                self.exchange_ended(turn, ended);
            }
        }
    }

    /// How an exchange begins with a leg that is up: what that is in already comes first.
    pub(super) fn sink(&self, leg: LegSlot) -> Sink {
        if self.exchanges.is_busy(leg) {
            Sink::Occupied
        } else {
            Sink::Confirmed
        }
    }

    /// What the exchanges on this leg were for is over; the leg stays.
    pub(super) fn undo_exchange(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        self.undo_exchanges(turn, |exchange| exchange.has(leg));
    }

    /// The same, but for those by which it is to hear somebody in its other call.
    pub(super) fn undo_exchange_in(&mut self, turn: &mut Turn<'_>, which: Which, leg: LegSlot) {
        self.undo_exchanges(turn, |exchange| {
            let call = exchange.purpose.call();
            exchange.has(leg) && call.is_none_or(|call| call == which)
        });
    }

    fn undo_exchanges(&mut self, turn: &mut Turn<'_>, concerned: impl Fn(&Exchange) -> bool) {
        let mut told = turn.told();
        self.exchanges
            .undo(turn.now, concerned, &mut self.legs, &mut told);
        self.tell(turn, told);
    }

    /// What a task has begun is over.
    pub(super) fn undo_steps(&mut self, turn: &mut Turn<'_>) {
        self.undo_exchanges(turn, |exchange| {
            matches!(exchange.purpose, Purpose::Step(_))
        });
    }

    /// Passes on what legs are told.
    pub(super) fn tell(&mut self, turn: &mut Turn<'_>, mut told: Vec<(LegSlot, LegCommand)>) {
        for (leg, command) in told.drain(..) {
            self.legs.told(leg, &command);
            turn.commands.push(Command::Leg(leg, command));
        }
        turn.spare.told = told;
    }

    /// An exchange has come to its end.
    pub(super) fn exchange_ended(&mut self, turn: &mut Turn<'_>, ended: Ended) {
        match ended.purpose {
            // Who waited has left with the answer: the other one is connected elsewhere.
            Purpose::Connect(_) if ended.done && self.legs.get(ended.legs.0).is_none() => {}
            Purpose::Connect(_) if ended.done => {
                self.joined(turn, ended.legs);
                // It may have held while who is across now was ringing.
                self.follow_hold(turn, ended.legs.0);
                self.catch_up(turn, ended.legs);
            }
            Purpose::Connect(which) => self.connect_failed(turn, which, ended),
            Purpose::Relay => {
                self.follow_hold(turn, ended.legs.0);
                self.settle_disturbed(turn, &ended);
            }
            Purpose::Step(step) => self.step_ended(turn, step, ended),
            Purpose::Phone(which) if ended.done => self.phone_is_up(turn, which),
            Purpose::Phone(which) => {
                self.phone_failed(turn, which, crate::agent::EndCause::Failed);
            }
            Purpose::Undo => {}
        }
        self.take_up_offers(turn);
        self.go_on(turn);
    }

    /// A change that came to nothing has left a party with media that are not those of whom it
    /// hears: it gets those again.
    fn settle_disturbed(&mut self, turn: &mut Turn<'_>, ended: &Ended) {
        let Some(leg) = ended.disturbed else {
            return;
        };
        let Some(partner) = self.legs.partner(leg) else {
            return;
        };
        if self.task.is_none() && self.legs.is_up(leg) && self.legs.is_up(partner) {
            self.start(turn, None, [Step::Join(partner, leg)], Then::Rest);
        }
    }

    /// Two legs hear each other; what one of them heard before is of no use any more.
    pub(super) fn joined(&mut self, turn: &mut Turn<'_>, (one, other): (LegSlot, LegSlot)) {
        for alone in self.legs.join(one, other) {
            self.end_service(turn, alone);
        }
        // Not where one of them is a server of media, or is let in only now.
        if let (Some(first), Some(second)) = (self.party_on(one), self.party_on(other)) {
            turn.commands.push(Command::Across(one, other));
            self.show(turn, one, &second);
            self.show(turn, other, &first);
        }
    }

    pub(super) fn party_on(&self, leg: LegSlot) -> Option<Participant> {
        [Some(&self.main), self.consult.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|call| {
                let called = call.quest.as_ref().and_then(Quest::called);
                let called = called.filter(|called| called.leg == leg);
                call.with_leg(leg).or(called).cloned()
            })
    }

    /// What a caller whose INVITE waits may be told of the media that come from who is called.
    pub(super) fn early(&mut self, called: LegSlot, media: &Body) -> Option<(LegSlot, Body)> {
        self.exchanges.early(called, media, &mut self.legs)
    }

    /// Whoever was called has answered, and they cannot hear each other all the same. Before the
    /// answer the end of the search says what happens.
    fn connect_failed(&mut self, turn: &mut Turn<'_>, which: Which, ended: Ended) {
        let (waiting, called) = ended.legs;
        if self
            .call(which)
            .is_none_or(|call| call.with_leg(called).is_none())
        {
            return;
        }
        // Of two who cannot hear each other the one that was called goes, whoever has refused the
        // other; who has waited stays if it can go on without: not one whose ACK should have had
        // an answer and had none, of whom nothing is known (RFC 3261 §13.2.2.4).
        let goes_on = self.legs.is_up(waiting) && self.legs.session(waiting).heard().is_some();
        let leaves = if goes_on {
            called
        } else {
            ended.failed.unwrap_or(called)
        };
        self.leaves_by_fault(turn, leaves, cause::FAILURE);
    }
}
