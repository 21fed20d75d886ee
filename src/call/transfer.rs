//! CompleteTransfer, SingleStepTransfer, RedirectCall: the call goes on without the agent. The
//! parties are connected before the agent is let go, so that a transfer that cannot be done leaves
//! everybody where they were.

use compact_str::CompactString;

use crate::agent::{EndCause, PartyState};
use crate::config::DnIndex;
use crate::cti::{CallState, ConnId, DnRole, ErrorCode, KeyValueList, UserDataChange};

use super::Destination;
use super::command::LegSlot;
use super::conversation::{Conversation, Turn, Which};
use super::departure::Leave;
use super::facts::{Origin, cause};
use super::participant::News;
use super::quest::{Quest, Stage};
use super::request::Position;
use super::task::{Asked, Step, Then};
use super::why::Why;

impl Conversation {
    /// Both calls of a request that completes a consultation: the request may name either first.
    pub(super) fn both(
        &mut self,
        turn: &mut Turn<'_>,
        (which, named): (Which, ConnId),
        asked: &Asked,
    ) -> Option<()> {
        let other = self.which(named).filter(|other| *other != which);
        let is_agent = |which| self.position(which, asked.dn);
        match (other, is_agent(Which::Main), is_agent(Which::Consult)) {
            (Some(_), Some(_), Some(_)) => Some(()),
            (Some(_) | None, _, _) => {
                let message = format!("{named} is not the other call of this agent");
                self.refuse(turn, asked, ErrorCode::InvalidConnID, &message);
                None
            }
        }
    }

    pub(super) fn complete_transfer(
        &mut self,
        turn: &mut Turn<'_>,
        calls: (Which, ConnId),
        asked: Asked,
    ) {
        if self.both(turn, calls, &asked).is_none() {
            return;
        }
        let far = |which| {
            let call: &super::participant::Call = self.call(which)?;
            let mut others = call
                .participants
                .iter()
                .filter(|who| who.dn() != Some(asked.dn));
            others.next()
        };
        match (far(Which::Main), far(Which::Consult)) {
            (Some(held), Some(consulted)) => {
                let steps = Self::meeting(held, consulted);
                self.start(turn, Some(asked), steps, Then::Transferred);
            }
            (Some(_), None) if self.can_transfer_ringing() => self.transfer_ringing(turn, &asked),
            (Some(_), None) => {
                let message = "the destination does not ring yet";
                self.refuse(turn, &asked, ErrorCode::CannotCompleteTransfer, message);
            }
            (None, _) => self.wrong_state(turn, &asked, "nobody is held"),
        }
    }

    /// Whether whom the consultation seeks can be given to who is held.
    fn can_transfer_ringing(&self) -> bool {
        let quest = self.consult.as_ref().and_then(|call| call.quest.as_ref());
        quest.is_some_and(|quest| quest.rings() || matches!(quest.stage, Stage::Waiting))
    }

    /// The consultation is a transfer though its destination still rings, or waits in a queue.
    pub(super) fn transfer_ringing(&mut self, turn: &mut Turn<'_>, asked: &Asked) {
        let origin = asked.origin();
        self.transferred(turn, asked.dn, origin);
    }

    /// The agent's leg has gone while it held one call and was in another: both go on together.
    pub(super) fn transfer_by_leaving(&mut self, turn: &mut Turn<'_>, dn: DnIndex) {
        let answered = self
            .consult
            .as_ref()
            .is_some_and(|call| call.participants.len() > 1);
        if answered || self.can_transfer_ringing() {
            let held = self
                .main
                .participants
                .iter()
                .find(|who| who.dn() != Some(dn));
            let consulted = self
                .consult
                .as_ref()
                .and_then(|call| call.participants.iter().find(|who| who.dn() != Some(dn)));
            let both = held.cloned().zip(consulted.cloned());
            self.transferred(turn, dn, Origin::default());
            if let Some((held, consulted)) = both {
                let steps = Self::meeting(&held, &consulted);
                self.start(turn, None, steps, Then::Joined(consulted.leg));
            }
            return;
        }
        let end = (EndCause::CallerAbandoned, cause::NORMAL.into());
        self.end_search(turn, Which::Consult, end);
        for which in [Which::Consult, Which::Main] {
            let leg = self
                .call(which)
                .and_then(|call| call.agent(dn))
                .map(|who| who.leg);
            if let Some(leg) = leg {
                self.leave(turn, which, leg, &Leave::by_itself(Origin::default()));
            }
        }
    }

    /// Who was held and who was consulted are in one call, and the agent in none.
    pub(super) fn transferred(&mut self, turn: &mut Turn<'_>, dn: DnIndex, origin: Origin) {
        let Some(mut consult) = self.consult.take() else {
            return;
        };
        let number = self.facts.number_of(dn);
        let ended = PartyState::Ended(EndCause::Transferred);
        let mut agents = Vec::new();
        if let Some(agent) = consult.agent(dn).cloned() {
            consult.report(&self.facts, &agent, ended, News::default(), turn.commands);
            consult.take(agent.leg);
            agents.push(agent.leg);
        }
        if let Some(agent) = self.main.agent(dn).cloned() {
            self.report(turn, Which::Main, &agent, ended, origin.into());
            self.main.take(agent.leg);
            agents.push(agent.leg);
        }
        // By whose number, and in whose name, the call came here is over.
        self.main.diversions.clear();
        self.main.referred_by = None;
        let vanished = consult.conn_id;
        let remaining = self.main.participants.clone();
        let joined = std::mem::take(&mut consult.participants);
        for who in joined.iter() {
            self.main.participants.push(who.clone());
        }
        let quest = consult.quest.take();
        for leg in agents {
            self.undo_exchange(turn, leg);
            self.let_go(turn, leg, cause::NORMAL);
        }
        let by = Some((number.clone(), DnRole::TransferredBy));
        let routing_point = self.main.through.map(|(_, point)| point);
        for who in joined.iter() {
            let mut who = who.clone();
            who.routing_point = routing_point.or(who.routing_point);
            let news = News {
                third: by.clone(),
                previous: Some(vanished),
                call_state: Some(CallState::Transferred),
                ..News::default()
            };
            self.report(turn, Which::Main, &who, PartyState::Changed, news);
        }
        if let Some(new) = joined.first() {
            let other = new
                .number(&self.facts)
                .map(|number| (number, DnRole::NewParty));
            let news = News {
                other,
                third: by,
                call_state: Some(CallState::Transferred),
                ..News::default()
            };
            for who in remaining.iter() {
                self.report(turn, Which::Main, who, PartyState::Changed, news.clone());
            }
        }
        if let Some(quest) = quest {
            self.main.since = consult.since;
            self.inherit(turn, quest, (vanished, number));
        }
    }

    /// Who was held waits from now on for whom the consultation has sought.
    fn inherit(
        &mut self,
        turn: &mut Turn<'_>,
        mut quest: Quest,
        (vanished, by): (ConnId, CompactString),
    ) {
        // A muted transfer that another request has completed.
        let done = (ErrorCode::WrongState, "the call is transferred already");
        self.not_found(turn, &quest.why, done);
        quest.why = Why::Transferred(by.clone());
        let Some(waiting) = self.main.participants.first().map(|who| who.leg) else {
            return;
        };
        match (&quest.stage, quest.entry) {
            (Stage::Ringing(ringing), _) => {
                let called = ringing.called.clone();
                self.main.quest.set(quest);
                let news = News {
                    third: Some((by, DnRole::TransferredBy)),
                    previous: Some(vanished),
                    call_state: Some(CallState::Transferred),
                    ..News::default()
                };
                self.report(turn, Which::Main, &called, PartyState::Changed, news);
                self.connect_dialled(turn, Which::Main, (waiting, called.leg));
            }
            (Stage::Waiting, Some(entry)) => {
                let input = crate::queue::Input::Left {
                    conn_id: entry.conn_id,
                    cause: EndCause::Transferred,
                };
                entry.tell(&input, turn.commands);
                let destination = Destination::Queue {
                    queue: Some(entry.queue),
                    routing_point: entry.routing_point,
                };
                self.seek(turn, Which::Main, destination, (None, quest.why));
            }
            (Stage::Waiting | Stage::Reserving(_) | Stage::Phone(_), _) => {}
        }
    }

    /// A muted transfer has come to a queue. Nobody knows when somebody rings there: it is complete
    /// at once, so that the agent is free.
    pub(super) fn muted_into_queue(
        &mut self,
        turn: &mut Turn<'_>,
        asked: &Asked,
        destination: Destination,
    ) {
        let consult = self.consult.as_ref();
        let user_data = consult.map(|call| call.info.user_data.clone());
        let user_data = user_data.filter(|pairs| !pairs.is_empty());
        let by = self.facts.number_of(asked.dn);
        self.transferred(turn, asked.dn, asked.origin());
        self.main.since = turn.now;
        // Where it would be too much, the call keeps its own.
        let change = user_data.map(UserDataChange::Update);
        if change.is_some_and(|change| self.main.change_user_data(change).is_ok()) {
            self.show_data(turn, &by, |_| true);
        }
        let why = Why::Transferred(by);
        self.seek(turn, Which::Main, destination, (None, why));
    }

    /// SingleStepTransfer: the agent leaves at once, and the call rings elsewhere.
    pub(super) fn single_step(
        &mut self,
        turn: &mut Turn<'_>,
        (which, position): (Which, Position),
        asked: &Asked,
        number: &str,
        user_data: KeyValueList,
    ) {
        let leg = match position {
            Position::Talking(leg) | Position::Holding(leg) => leg,
            Position::Ringing | Position::Dialing(_) | Position::OnItsWay => {
                return self.wrong_state(turn, asked, "the call is not answered");
            }
        };
        if which == Which::Consult || self.consult.is_some() || self.main.is_conference() {
            let message = "the agent consults, or is in a conference";
            return self.wrong_state(turn, asked, message);
        }
        if self.main.quest.is_some() {
            return self.wrong_state(turn, asked, "somebody is being called into the call");
        }
        let Some(destination) = self.destination_for(turn, asked, number) else {
            return;
        };
        let is_news = !user_data.is_empty();
        let change = UserDataChange::Update(user_data);
        if let Err(code) = self.main.change_user_data(change) {
            return self.refuse(turn, asked, code, "the user data would exceed its limit");
        }
        let by = self.facts.number_of(asked.dn);
        self.let_agent_go(turn, (leg, number), asked.origin());
        if is_news {
            self.show_data(turn, &by, |_| true);
        }
        self.seek_for_rest(turn, destination, Why::Transferred(by));
    }

    /// Somebody is sought for who is left in the main call, and rests meanwhile. Who has picked the
    /// call up, and whose INVITE has no answer yet, waits with that.
    pub(super) fn seek_for_rest(
        &mut self,
        turn: &mut Turn<'_>,
        destination: Destination,
        why: Why,
    ) {
        let left = self.main.participants.iter().map(|who| who.leg);
        let up = left.filter(|leg| !self.legs.is_invited(*leg));
        let steps: Vec<Step> = up.map(Step::Quiet).collect();
        self.start(turn, None, steps, Then::Seek(destination, why));
    }

    /// The agent leaves the main call for a number that it transfers it to.
    pub(super) fn let_agent_go(
        &mut self,
        turn: &mut Turn<'_>,
        (leg, number): (LegSlot, &str),
        origin: Origin,
    ) {
        self.undo_exchange(turn, leg);
        let Some(agent) = self.main.with_leg(leg).cloned() else {
            return;
        };
        let news = News {
            third: Some((number.into(), DnRole::NewParty)),
            ..origin.into()
        };
        let ended = PartyState::Ended(EndCause::Transferred);
        self.report(turn, Which::Main, &agent, ended, news);
        self.main.take(leg);
        self.hang_up(turn, leg, cause::NORMAL);
        self.main.diversions.clear();
        self.main.referred_by = None;
        self.facts.set_out();
        self.main.since = turn.now;
    }

    /// RedirectCall: the call that rings goes elsewhere.
    pub(super) fn redirect(
        &mut self,
        turn: &mut Turn<'_>,
        (which, position): (Which, Position),
        asked: &Asked,
        number: &str,
    ) {
        match position {
            Position::Ringing => {}
            Position::Dialing(_)
            | Position::Talking(_)
            | Position::Holding(_)
            | Position::OnItsWay => {
                return self.wrong_state(turn, asked, "the call does not ring");
            }
        }
        let Some(destination) = self.destination_for(turn, asked, number) else {
            return;
        };
        let quest = self.call_mut(which).and_then(|call| call.quest.take());
        let Some(Quest {
            stage: Stage::Ringing(ringing),
            entry,
            why,
        }) = quest
        else {
            return;
        };
        let leg = ringing.called.leg;
        self.hang_up(turn, leg, cause::NORMAL);
        if let Some(asked) = &ringing.picked_up_for {
            self.wrong_state(turn, asked, "the call is redirected");
        }
        let news = News {
            third: Some((number.into(), DnRole::Destination)),
            ..asked.origin().into()
        };
        let ended = PartyState::Ended(EndCause::Redirected);
        self.report(turn, which, &ringing.called, ended, news);
        let by = ringing.called.number(&self.facts);
        self.divert(which, by, "deflection");
        let entry = entry.map(|entry| entry.redirected(turn.commands));
        self.seek(turn, which, destination, (entry, why));
    }
}
