//! MakeCall (RFC 3725): the agent's own phone is dialled first and makes the offer (flow I), or is
//! connected without media until somebody has answered (flow IV); then whom it wants is called.

use std::sync::Arc;

use crate::agent::{EndCause, PartyState, Place};
use crate::config::MakeCallFlow;
use crate::cti::DnRole;
use crate::dialog;
use crate::session::{Negotiation, Outcome};

use super::Command;
use super::command::DialTo;
use super::conversation::{Conversation, Turn, Which};
use super::departure::Leave;
use super::exchange::Purpose;
use super::facts::{Destination, Origin, cause, error_of};
use super::participant::{News, Participant, Who};
use super::quest::{Quest, Stage};
use super::timer::Timer;
use super::why::Why;
use crate::config::Answering;

impl Conversation {
    /// The conversation begins with a call that a desktop wants made.
    pub(super) fn place(&mut self, turn: &mut Turn<'_>, place: &Place, destination: Destination) {
        let Some(first) = self.main.participants.first().cloned() else {
            return;
        };
        let number = place.destination.clone();
        let news = News {
            origin: Origin::request(place.requested_by, place.reasons.clone()),
            other: Some((number.as_str().into(), DnRole::Destination)),
            ..News::default()
        };
        self.report(turn, Which::Main, &first, PartyState::Dialing, news);
        self.dial_phone(
            turn,
            Which::Main,
            &first,
            (number, destination),
            Why::Called,
        );
    }

    /// Dials the phone of the one who calls; it sees whom it calls.
    pub(super) fn dial_phone(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        first: &Participant,
        (number, destination): (String, Destination),
        why: Why,
    ) {
        let Some(dn) = first.dn() else {
            return;
        };
        let calling = Arc::new(dialog::Party {
            number: number.into(),
            ..dialog::Party::default()
        });
        let shown = match &destination {
            Destination::Direct { dn } => Some(Who::Agent(*dn)),
            Destination::Outside { .. } => Some(Who::Outside(Arc::clone(&calling))),
            Destination::Queue { .. } | Destination::Takeover { .. } => None,
        };
        self.legs.shows(first.leg, shown.as_ref());
        let patience = self.phone_patience(dn);
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        let phone = facts.config.phone(dn);
        // RFC 3725 §4.1: flow I is for those who answer soon, which a queue does not.
        let in_queue = matches!(destination, Destination::Queue { .. });
        let without_media = phone.make_call_flow == MakeCallFlow::Four || in_queue;
        let mut dial = facts.dial(DialTo::Agent(dn), calling);
        dial.auto_answer = match phone.answer {
            Answering::CallInfo | Answering::AlertInfo => true,
            Answering::None | Answering::Talk => false,
        };
        call.quest.set(Quest {
            stage: Stage::Phone(destination),
            entry: None,
            why,
        });
        facts.deadlines.arm(Timer::NoAnswer, turn.now + patience);
        if !without_media {
            return turn.commands.push(Command::Dial(first.leg, Box::new(dial)));
        }
        let mut told = turn.told();
        let legs = &mut self.legs;
        let started = Negotiation::dial_without_media(turn.now, first.leg, legs, &mut told);
        if let Outcome::Dial { offer, .. } = &started.1 {
            dial.offer = Some(offer.clone());
            self.legs.offers(first.leg);
        }
        turn.commands.push(Command::Dial(first.leg, Box::new(dial)));
        let legs = (first.leg, first.leg);
        self.begin(turn, started, legs, Purpose::Phone(which), told);
    }

    /// The phone of the one who calls was picked up.
    pub(super) fn phone_is_up(&mut self, turn: &mut Turn<'_>, which: Which) {
        let Some((destination, why)) = self.phone_quest(which) else {
            return;
        };
        self.facts.deadlines.disarm(Timer::NoAnswer);
        self.seek(turn, which, destination, (None, why));
    }

    /// The phone of the one who calls was not picked up.
    pub(super) fn phone_failed(&mut self, turn: &mut Turn<'_>, which: Which, cause: EndCause) {
        let Some((_, why)) = self.phone_quest(which) else {
            return;
        };
        let failed = (error_of(cause), "the phone does not take the call");
        self.not_found(turn, &why, failed);
        self.facts.deadlines.disarm(Timer::NoAnswer);
        let Some(leg) = self.caller_of(which).map(|first| first.leg) else {
            return;
        };
        let leave = Leave {
            own: cause,
            others: cause,
            ..Leave::by_fault(cause::NO_ANSWER)
        };
        self.leave(turn, which, leg, &leave);
    }
}
