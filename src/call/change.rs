//! A party changes its session, or its phone holds or takes a call back by itself: whom it hears is
//! told, and so are the clients of what they could have asked for.

use crate::agent::PartyState;
use crate::dialog::Body;
use crate::session::{Behind, Negotiation, Sessions as _, Sink, Source};
use crate::sip::Status;

use super::command::{Command, LegCommand, LegSlot};
use super::conversation::{Conversation, Turn};
use super::exchange::Purpose;
use super::participant::{News, Standing};
use super::task::{Step, Then};

impl Conversation {
    /// A leg answers, with an offer, what an earlier process has asked for. It gets the answer that
    /// changes nothing, and then the media of whom it hears, unless one of them holds the other.
    pub(super) fn offers_to_nobody(&mut self, turn: &mut Turn<'_>, leg: LegSlot, offer: &Body) {
        let mut told = turn.told();
        Negotiation::acknowledge_alone(turn.now, leg, offer, &mut self.legs, &mut told);
        self.tell(turn, told);
        let talks = |leg| {
            let party = self.party_on(leg);
            party.is_some_and(|party| party.standing == Standing::Talking)
        };
        let partner = self.legs.partner(leg);
        let partner = partner.filter(|partner| self.task.is_none() && talks(*partner));
        if let Some(partner) = partner.filter(|_| talks(leg)) {
            self.start(turn, None, [Step::Join(partner, leg)], Then::Rest);
        }
    }

    /// A party changes its session: its offer goes to whom it hears, or is answered alone.
    pub(super) fn offer_made(&mut self, turn: &mut Turn<'_>, leg: LegSlot, body: Option<Body>) {
        let mut told = turn.told();
        let legs = &mut self.legs;
        let (started, other) = match legs.partner(leg) {
            Some(other) if self.exchanges.is_busy(other) => {
                // RFC 3261 §14.2: the parties' offers crossed; both try again later.
                let refuse = LegCommand::RefuseOffer(Status::REQUEST_PENDING);
                return turn.commands.push(Command::Leg(leg, refuse));
            }
            Some(other) => {
                let started = Negotiation::relay(turn.now, leg, other, body, legs, &mut told);
                (started, other)
            }
            None => {
                let started =
                    Negotiation::answer_alone(turn.now, leg, body.as_ref(), legs, &mut told);
                (started, leg)
            }
        };
        self.begin(turn, started, (leg, other), Purpose::Relay, told);
    }

    /// A party has answered a refresh of its session. If it says something else than before, that
    /// is an offer to whom it hears (RFC 4028 §7.4 lets it).
    pub(super) fn refreshed(&mut self, turn: &mut Turn<'_>, leg: LegSlot, answer: &Body) {
        if self.exchanges.is_busy(leg) || !self.legs.session(leg).hear_again(answer) {
            return;
        }
        self.follow_hold(turn, leg);
        let Some(other) = self.legs.partner(leg) else {
            return;
        };
        self.tell_partner(turn, leg, other);
    }

    /// What a party last said goes to whom it hears.
    fn tell_partner(&mut self, turn: &mut Turn<'_>, leg: LegSlot, other: LegSlot) {
        if [leg, other].iter().any(|leg| self.exchanges.is_busy(*leg)) {
            // As soon as both are free; what a task does to them is news to both anyway.
            if self.task.is_none() {
                self.start(turn, None, [Step::Join(leg, other)], Then::Rest);
            }
            return;
        }
        let mut told = turn.told();
        let (source, sink) = ((leg, Source::Known), (other, Sink::Confirmed));
        let legs = &mut self.legs;
        let started = Negotiation::join(turn.now, source, sink, legs, &mut told);
        self.begin(turn, started, (leg, other), Purpose::Relay, told);
    }

    /// A caller may have changed its session while a phone rang, or the phone its own: the other
    /// one hears of it now. Or the caller has had the early media of another phone, and hears now
    /// who is there.
    pub(super) fn catch_up(&mut self, turn: &mut Turn<'_>, (waiting, called): (LegSlot, LegSlot)) {
        if ![waiting, called].iter().all(|leg| self.legs.is_up(*leg)) {
            return;
        }
        let behind = [waiting, called].map(|leg| self.legs.session(leg).take_early_change());
        match behind {
            [Some(Behind::Partner), _] => self.tell_partner(turn, waiting, called),
            [Some(Behind::FarEnd), _] => self.tell_partner(turn, called, waiting),
            [None, Some(Behind::Partner)] if !self.legs.knows(waiting, called) => {
                self.tell_partner(turn, called, waiting);
            }
            [None, _] => {}
        }
    }

    /// A phone that has put us on hold by itself, or taken us back, did what its desktop could
    /// have asked for.
    pub(super) fn follow_hold(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        let is_back = self.legs.takes_back(leg);
        let held = self.legs.is_held_by_far_end(leg);
        let which = self.talking_in(leg);
        // Who still dials has nobody whom it could hold.
        let answered = self.call(which).filter(|call| call.participants.len() > 1);
        let who = answered.and_then(|call| call.with_leg(leg));
        let Some(who) = who.filter(|who| who.dn().is_some()) else {
            return;
        };
        let (standing, state) = match who.standing {
            Standing::Talking if held => (Standing::Holding, PartyState::Held),
            Standing::Holding if is_back => (Standing::Talking, PartyState::Retrieved),
            Standing::Talking | Standing::Holding => return,
        };
        let who = who.clone();
        if let Some(call) = self.call_mut(which) {
            call.set_standing(leg, standing);
        }
        self.report(turn, which, &who, state, News::default());
        if standing == Standing::Talking {
            // Whom it held has perhaps been on hold for its own part meanwhile.
            self.put_right(turn, Vec::new());
        }
    }
}
