//! CompleteConference, SingleStepConference, DeleteFromConference: each party's leg is joined to a
//! leg of its own to the mixer (RFC 4240 §5, `conf=`), which makes the conference.

use std::sync::Arc;

use crate::agent::{EndCause, PartyState};
use crate::cti::{CallState, ConnId, DnRole, ErrorCode, KeyValueList, UserDataChange};

use super::command::LegSlot;
use super::conversation::{Conversation, Turn, Which};
use super::departure::Leave;
use super::facts::{Origin, cause};
use super::leg::Phase;
use super::participant::{News, Participant, Standing};
use super::request::Position;
use super::task::{Asked, Step, Then};
use super::why::{Added, Why};

impl Conversation {
    /// Whether there is a mixer; without one the request is refused and says what to configure.
    fn has_mixer(&self, turn: &mut Turn<'_>, asked: &Asked) -> bool {
        let has = self.facts.config.server.mixer.is_some();
        if !has {
            let message = "no mixer is configured: set `mixer` in [server] to its SIP URI";
            self.refuse(turn, asked, ErrorCode::UnsupportedOperation, message);
        }
        has
    }

    pub(super) fn complete_conference(
        &mut self,
        turn: &mut Turn<'_>,
        calls: (Which, ConnId),
        asked: Asked,
    ) {
        if self.both(turn, calls, &asked).is_none() || !self.has_mixer(turn, &asked) {
            return;
        }
        let consulted = self.consult.as_ref().and_then(|call| {
            call.participants
                .iter()
                .find(|who| who.dn() != Some(asked.dn))
        });
        let Some(consulted) = consulted.map(|who| who.leg) else {
            let message = "the destination has not answered";
            return self.refuse(turn, &asked, ErrorCode::CannotCompleteConference, message);
        };
        let mut steps: Vec<Step> = self
            .main
            .participants
            .iter()
            .map(|who| Step::Mix(who.leg))
            .collect();
        steps.push(Step::Mix(consulted));
        self.start(turn, Some(asked), steps, Then::Conferenced);
    }

    /// All are on the mixer: the consultation is part of the main call.
    pub(super) fn conferenced(&mut self, turn: &mut Turn<'_>, asked: &Asked) {
        let Some(mut consult) = self.consult.take() else {
            return;
        };
        let by = self.facts.number_of(asked.dn);
        if let Some(agent) = consult.agent(asked.dn).cloned() {
            let ended = PartyState::Ended(EndCause::Conferenced);
            consult.report(&self.facts, &agent, ended, News::default(), turn.commands);
            consult.take(agent.leg);
            self.let_go(turn, agent.leg, cause::NORMAL);
        }
        self.stands(
            turn,
            Which::Main,
            asked.dn,
            Standing::Talking,
            asked.origin().into(),
        );
        let before = self.main.participants.clone();
        let vanished = consult.conn_id;
        for mut new in std::mem::take(&mut consult.participants) {
            new.routing_point = self
                .main
                .through
                .map(|(_, point)| point)
                .or(new.routing_point);
            self.main.participants.push(new.clone());
            let number = new.number(&self.facts);
            let news = News {
                other: number.map(|number| (number, DnRole::NewParty)),
                third: Some((by.clone(), DnRole::AddedBy)),
                call_state: Some(CallState::Conferenced),
                ..News::default()
            };
            for who in before.iter() {
                self.report(turn, Which::Main, who, PartyState::Added, news.clone());
            }
            let news = News {
                third: Some((by.clone(), DnRole::ConferencedBy)),
                previous: Some(vanished),
                call_state: Some(CallState::Conferenced),
                ..News::default()
            };
            self.report(turn, Which::Main, &new, PartyState::Changed, news);
        }
    }

    /// SingleStepConference: somebody is called, and joins when it answers.
    pub(super) fn add_party(
        &mut self,
        turn: &mut Turn<'_>,
        (which, position): (Which, Position),
        asked: Asked,
        number: &str,
        user_data: KeyValueList,
    ) {
        match position {
            Position::Talking(_) => {}
            Position::Ringing
            | Position::Dialing(_)
            | Position::Holding(_)
            | Position::OnItsWay => {
                return self.wrong_state(turn, &asked, "the agent does not talk in this call");
            }
        }
        if which == Which::Consult || self.consult.is_some() || self.main.quest.is_some() {
            return self.wrong_state(turn, &asked, "the agent calls somebody else already");
        }
        if !self.has_mixer(turn, &asked) {
            return;
        }
        let Some(destination) = self.destination_for(turn, &asked, number) else {
            return;
        };
        let change = UserDataChange::Update(user_data.clone());
        if let Err(code) = self.main.info_with(change) {
            return self.refuse(turn, &asked, code, "the user data would exceed its limit");
        }
        self.facts.set_out();
        let added = Added {
            pairs: Arc::new(user_data),
            since: turn.now,
        };
        let why = Why::Added(asked, Box::new(added));
        self.seek(turn, Which::Main, destination, (None, why));
    }

    /// Somebody who was called to join has answered: all go to the mixer.
    pub(super) fn added(&mut self, turn: &mut Turn<'_>, called: &Participant, asked: Asked) {
        let steps: Vec<Step> = self.unmixed(&self.main.participants).collect();
        self.start(turn, Some(asked), steps, Then::Mixed(called.leg));
    }

    /// Who has answered to join and cannot be connected leaves; whether there was somebody.
    pub(super) fn unconnected_leaves(&mut self, turn: &mut Turn<'_>, then: &Then) -> bool {
        let waits = |leg: &LegSlot| {
            let phase = self.legs.phase(*leg);
            matches!(phase, Some(Phase::Answered { .. })) && !self.exchanges.is_busy(*leg)
        };
        let added = then.added();
        let mut legs = self.main.participants.iter().map(|who| who.leg);
        let Some(leg) = added.or_else(|| legs.find(waits)) else {
            return false;
        };
        self.leaves_by_fault(turn, leg, cause::FAILURE);
        // It has never been a conference: the two need no mixer.
        if let ([one, other], None, true) = (
            &self.main.participants[..],
            self.task.as_ref(),
            added.is_some(),
        ) {
            let both = [one, other].map(|who| who.standing);
            let join = (both == [Standing::Talking; 2]).then_some(Step::Join(one.leg, other.leg));
            self.put_right(turn, join.into_iter().collect());
        }
        true
    }

    /// Who was added is on the mixer with the others.
    pub(super) fn mixed(&mut self, turn: &mut Turn<'_>, added: LegSlot, asked: &Asked) {
        let Some(new) = self.main.with_leg(added).cloned() else {
            return;
        };
        let by = self.facts.number_of(asked.dn);
        self.attach_brought(turn, added, &by);
        let number = new.number(&self.facts);
        let others: Vec<Participant> = self.main.others(new.leg).cloned().collect();
        for who in others {
            let is_asker = who.dn() == Some(asked.dn);
            let origin = if is_asker {
                asked.origin()
            } else {
                Default::default()
            };
            let news = News {
                other: number.clone().map(|number| (number, DnRole::NewParty)),
                third: Some((by.clone(), DnRole::AddedBy)),
                call_state: Some(CallState::Conferenced),
                ..origin.into()
            };
            self.report(turn, Which::Main, &who, PartyState::Added, news);
        }
    }

    /// DeleteFromConference: another party leaves.
    pub(super) fn delete_party(
        &mut self,
        turn: &mut Turn<'_>,
        (which, position): (Which, Position),
        asked: &Asked,
        number: &str,
    ) {
        match position {
            Position::Talking(_) | Position::Holding(_) => {}
            Position::Ringing | Position::Dialing(_) | Position::OnItsWay => {
                return self.wrong_state(turn, asked, "the agent is not in the conference yet");
            }
        }
        let Some(call) = self.call(which).filter(|call| call.is_conference()) else {
            return self.wrong_state(turn, asked, "the call is no conference");
        };
        let facts = &self.facts;
        let named = call
            .participants
            .iter()
            .find(|who| who.number(facts).as_deref() == Some(number) && who.dn() != Some(asked.dn));
        let Some(leg) = named.map(|who| who.leg) else {
            let message = format!("{number} is no other party of this conference");
            return self.refuse(turn, asked, ErrorCode::InvalidAttribute, &message);
        };
        let by = self.facts.number_of(asked.dn);
        let news = News {
            third: Some((by, DnRole::DeletedBy)),
            ..News::default()
        };
        let leave = Leave {
            own: EndCause::CallerReleased,
            news,
            asked: Some(asked.clone()),
            ..Leave::by_itself(Origin::default())
        };
        // What is put right meanwhile begins again without the leg, which would never be free.
        self.drop_task(turn);
        self.leave(turn, which, leg, &leave);
    }
}
