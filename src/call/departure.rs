//! Somebody leaves: hangs up, is released, is lost. Who is left alone with nobody sought for it
//! is let go; a customer is let go last, and never because an agent's phone has failed: it goes
//! back to the queue in which it was answered.

use crate::agent::{EndCause, PartyState};
use crate::cti::{CallState, DnRole, ErrorCode};
use crate::dialog::{Cause, Release};

use super::Destination;
use super::command::LegSlot;
use super::conversation::{Conversation, Turn, Which};
use super::facts::{Origin, cause, refuse_leg, status_of};
use super::participant::{News, Participant, Served, Who};
use super::task::Asked;
use super::why::Why;
use crate::counters::Counter;

/// How somebody leaves a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leave {
    /// As its own events say it.
    pub(super) own: EndCause,
    /// As the events of those say it whose call ends by that.
    pub(super) others: EndCause,
    /// What is said to the party itself.
    pub(super) news: News,
    /// Who asked for it, where that is somebody else.
    pub(super) asked: Option<Asked>,
    /// The Q.850 cause for the legs that end by it.
    pub(super) reason: Cause,
    /// Whether the agent takes its other call back at once, so that nobody is put to rest in it.
    pub(super) turns_back: bool,
    /// Whether it takes back an INVITE that has not been answered, by which it had picked the call
    /// up.
    pub(super) takes_back: bool,
}

impl Leave {
    /// By the party itself.
    pub(super) fn by_itself(origin: Origin) -> Self {
        Self {
            own: EndCause::AgentReleased,
            others: EndCause::CallerReleased,
            news: origin.into(),
            asked: None,
            reason: cause::NORMAL.into(),
            turns_back: false,
            takes_back: false,
        }
    }

    /// By a fault.
    pub(super) fn by_fault(reason: u8) -> Self {
        Self {
            own: EndCause::Failed,
            others: EndCause::Failed,
            news: News::default(),
            asked: None,
            reason: reason.into(),
            turns_back: false,
            takes_back: false,
        }
    }
}

impl Conversation {
    /// A leg has ended from outside.
    pub(super) fn hung_up(&mut self, turn: &mut Turn<'_>, leg: LegSlot, release: Release) {
        // Our answer to who came by a tie may have crossed the end of its INVITE.
        let is_unheard = self.legs.is_unacknowledged(leg) && self.legs.is_tie(leg);
        let leave = match release {
            // Why the far end left goes on to who was across (RFC 3326).
            Release::Bye { .. } | Release::Cancelled { .. } => Leave {
                reason: release.cause().unwrap_or(cause::NORMAL.into()),
                takes_back: self.legs.is_invited(leg) || is_unheard,
                ..Leave::by_itself(Origin::default())
            },
            Release::Unacknowledged | Release::Lost => Leave::by_fault(cause::FAILURE),
        };
        self.gone(turn, leg, &leave);
    }

    /// A party leaves all its calls for a fault, which its leg does not know of.
    pub(super) fn leaves_by_fault(&mut self, turn: &mut Turn<'_>, leg: LegSlot, reason: u8) {
        let leave = Leave::by_fault(reason);
        if let Some(which) = self.place_of(leg) {
            self.drop_task(turn);
            self.leave(turn, which, leg, &leave);
        }
    }

    /// The call that somebody takes part in with this leg.
    pub(super) fn place_of(&self, leg: LegSlot) -> Option<Which> {
        [Which::Main, Which::Consult].into_iter().find(|which| {
            let call = self.call(*which);
            call.is_some_and(|call| call.with_leg(leg).is_some())
        })
    }

    /// A leg is gone, and whoever took part with it.
    fn gone(&mut self, turn: &mut Turn<'_>, leg: LegSlot, leave: &Leave) {
        if self.newcomer_left(turn, leg) {
            return;
        }
        // Who comes for a call that rings has answered before its INVITE is.
        let alone = self.main.participants.len() < 2;
        let was_invited = self.legs.is_invited(leg) && alone;
        self.lose(turn, leg);
        if self.referrer_left(turn, leg) || self.joiner_left(turn, leg) {
            return;
        }
        if was_invited {
            let end = (EndCause::CallerAbandoned, leave.reason);
            self.end_search(turn, Which::Main, end);
            self.main.take(leg);
            return self.count_unanswered(turn, EndCause::CallerAbandoned);
        }
        let in_both = |conversation: &Self| {
            let consult = conversation.consult.as_ref();
            consult.is_some_and(|call| call.with_leg(leg).is_some())
                && conversation.main.with_leg(leg).is_some()
        };
        self.drop_task_of(turn, leg);
        if in_both(self) {
            // Whom it held and whom it consulted have each other.
            let dn = self.main.with_leg(leg).and_then(Participant::dn);
            if let Some(dn) = dn {
                return self.transfer_by_leaving(turn, dn);
            }
        }
        match self.place_of(leg) {
            Some(which) => self.leave(turn, which, leg, leave),
            None => self.service_is_gone(turn),
        }
    }

    /// A server of media has gone: who was served hears nobody, and can change that.
    fn service_is_gone(&mut self, turn: &mut Turn<'_>) {
        self.go_on(turn);
    }

    /// Somebody leaves one call. A leg that it has in no other is hung up.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_>, which: Which, leg: LegSlot, leave: &Leave) {
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        let Some(who) = call.with_leg(leg).cloned() else {
            return;
        };
        let ended = PartyState::Ended(leave.own);
        call.report(facts, &who, ended, leave.news.clone(), turn.commands);
        call.take(leg);
        self.let_go(turn, leg, leave.reason);
        let left = self.call(which).map_or(0, |call| call.participants.len());
        if left > 1 {
            return self.fewer(turn, which, &who, leave);
        }
        self.left_alone(turn, which, &who, leave);
    }

    /// Hangs a leg up that is in no call any more; one that is waits for what comes.
    pub(super) fn let_go(&mut self, turn: &mut Turn<'_>, leg: LegSlot, reason: impl Into<Cause>) {
        if self.place_of(leg).is_none() {
            self.hang_up(turn, leg, reason);
        }
    }

    /// A conference has one party less.
    fn fewer(&mut self, turn: &mut Turn<'_>, which: Which, who: &Participant, leave: &Leave) {
        let quest = self.call(which).and_then(|call| call.quest.as_ref());
        let added_by_it = match quest.map(|quest| &quest.why) {
            Some(Why::Added(asked, _)) => Some(asked.dn) == who.dn(),
            Some(Why::Called | Why::Transferred(_) | Why::Muted(_)) | None => false,
        };
        if added_by_it {
            self.end_search(turn, which, (EndCause::CallerAbandoned, leave.reason));
        }
        let Some(call) = self.call(which) else {
            return;
        };
        let call_state = if call.is_conference() {
            CallState::Conferenced
        } else {
            CallState::Ok
        };
        let number = who.number(&self.facts);
        let by = leave.news.third.clone();
        let third = by.or(number.clone().map(|number| (number, DnRole::DeletedBy)));
        for rest in call.others(who.leg) {
            let asked = leave
                .asked
                .as_ref()
                .filter(|asked| rest.dn() == Some(asked.dn));
            let news = News {
                origin: asked.map(Asked::origin).unwrap_or_default(),
                other: number.clone().map(|number| (number, DnRole::DeletedParty)),
                third: third.clone(),
                call_state: Some(call_state),
                ..News::default()
            };
            let deleted = PartyState::Deleted;
            call.report(&self.facts, rest, deleted, news, turn.commands);
        }
        self.put_right(turn, Vec::new());
    }

    /// One is left, or nobody: the call ends unless somebody is sought for who is left.
    fn left_alone(&mut self, turn: &mut Turn<'_>, which: Which, who: &Participant, leave: &Leave) {
        let Some(call) = self.call(which) else {
            return;
        };
        let last = call.participants.first().cloned();
        if last.is_none() || call.quest.is_some() && !is_for(call.quest.as_ref(), last.as_ref()) {
            let end = (EndCause::CallerAbandoned, leave.reason);
            self.end_search(turn, which, end);
        }
        if let Some(last) = last {
            let seeks = self.call(which).is_some_and(|call| call.quest.is_some());
            if seeks || self.outlives_fault(turn, which, leave) {
                return;
            }
            let Some((facts, _, call)) = self.parts(which) else {
                return;
            };
            let ended = PartyState::Ended(leave.others);
            let news = News {
                other: who.number(facts).map(|number| (number, who.role)),
                ..News::default()
            };
            call.report(facts, &last, ended, news, turn.commands);
            call.take(last.leg);
            self.let_go(turn, last.leg, leave.reason);
        }
        self.forget_call(turn, which);
        if !leave.turns_back {
            self.other_goes_on(turn, which);
        }
    }

    /// Nobody is in this call any more.
    pub(super) fn call_is_over(&mut self, turn: &mut Turn<'_>, which: Which) {
        self.forget_call(turn, which);
        self.other_goes_on(turn, which);
    }

    /// Who is in the call that is left hears whom it should.
    fn other_goes_on(&mut self, turn: &mut Turn<'_>, over: Which) {
        match over {
            Which::Main => self.put_right(turn, Vec::new()),
            Which::Consult => self.rest_holders(turn),
        }
    }

    /// What is left is the main call.
    fn forget_call(&mut self, turn: &mut Turn<'_>, which: Which) {
        match which {
            Which::Main => {
                if let Some(mut consult) = self.consult.take() {
                    // There is nobody left whom a muted transfer could give to somebody.
                    if let Some(quest) = consult.quest.as_mut()
                        && matches!(quest.why, Why::Muted(_))
                    {
                        let why = std::mem::replace(&mut quest.why, Why::Called);
                        let left = (ErrorCode::WrongState, "a party of the call has left");
                        self.not_found(turn, &why, left);
                    }
                    consult.beside = None;
                    self.main = consult;
                    self.exchanges.consult_is_main();
                }
            }
            Which::Consult => self.consult.clear(),
        }
    }

    /// All calls end at once.
    pub(super) fn end_all(&mut self, turn: &mut Turn<'_>, ended: EndCause, reason: u8) {
        self.drop_task(turn);
        for which in [Which::Consult, Which::Main] {
            self.clear(turn, which, None, (ended, reason));
        }
    }

    /// A call ends for all who are in it; `first` is who wanted it, and hears so.
    pub(super) fn clear(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        first: Option<&(LegSlot, Origin)>,
        (ended, reason): (EndCause, u8),
    ) {
        let cause = if ended == EndCause::Failed {
            EndCause::Failed
        } else {
            EndCause::CallerAbandoned
        };
        self.end_search(turn, which, (cause, reason.into()));
        let all = self.call(which).map(|call| call.participants.clone());
        for who in all.unwrap_or_default() {
            let (state, news) = match first {
                Some((leg, origin)) if *leg == who.leg => {
                    (EndCause::AgentReleased, origin.clone().into())
                }
                Some(_) | None => (ended, News::default()),
            };
            self.report(turn, which, &who, PartyState::Ended(state), news);
        }
        let all = self
            .call_mut(which)
            .map(|call| std::mem::take(&mut call.participants));
        for who in all.unwrap_or_default() {
            self.let_go(turn, who.leg, reason);
        }
        self.call_is_over(turn, which);
    }

    /// The search found nobody, and no queue keeps a place: who waits is told.
    pub(super) fn nobody_found(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        why: &Why,
        cause: EndCause,
    ) {
        let code = super::facts::error_of(cause);
        self.not_found(turn, why, (code, "the destination did not take the call"));
        match why {
            Why::Added(..) => return,
            Why::Transferred(by) if self.is_recalled(turn, which, by) => return,
            Why::Called | Why::Muted(_) | Why::Transferred(_) => {}
        }
        let Some((facts, legs, call)) = self.parts(which) else {
            return;
        };
        let Some(first) = call.participants.first().cloned() else {
            return;
        };
        if legs.is_invited(first.leg) {
            facts.deadlines.disarm_setup();
            call.take(first.leg);
            let status = facts
                .refused_with
                .take()
                .unwrap_or_else(|| status_of(cause));
            refuse_leg(turn.commands, first.leg, status);
            self.lose(turn, first.leg);
            self.count_outcome(turn, Counter::CallRefused);
            return;
        }
        if matches!(first.who, Who::Agent(_)) {
            let busy = PartyState::DestinationBusy(cause);
            call.report(facts, &first, busy, News::default(), turn.commands);
        }
        let leave = Leave {
            own: cause,
            others: cause,
            ..Leave::by_fault(cause::NORMAL)
        };
        self.leave(turn, which, first.leg, &leave);
    }

    /// Whether there is somebody to whom a transfer that came to nothing comes back: the queue in
    /// which the customer was answered, or else the agent who has transferred it.
    fn is_recalled(&mut self, turn: &mut Turn<'_>, which: Which, by: &str) -> bool {
        if self.goes_back(turn, which) {
            return true;
        }
        let agent = self.destination(by);
        let Some(agent @ Destination::Direct { .. }) = agent else {
            return false;
        };
        // Once: from here on it is a call like any other.
        self.seek(turn, which, agent, (None, Why::Called));
        true
    }

    /// A customer whose transfer came to nothing goes back to the queue in which it was answered,
    /// with its age.
    fn goes_back(&mut self, turn: &mut Turn<'_>, which: Which) -> bool {
        let Some(served) = self.served_in(which) else {
            return false;
        };
        self.facts.set_out();
        let place = self.go_back_to(served);
        self.seek(turn, which, place, (None, Why::Called));
        true
    }

    /// A customer whose agent has not left but failed goes back in the same way, and so does one
    /// who has heard nobody: whose call somebody has taken and left again before the INVITE of one
    /// of them was answered, or before either knew of that; whether it does. An agent that fails
    /// each time is no endless loop: each return counts as a hop.
    fn outlives_fault(&mut self, turn: &mut Turn<'_>, which: Which, leave: &Leave) -> bool {
        let Some(served) = self.served_in(which) else {
            return false;
        };
        let Some(left) = self.main.participants.first() else {
            return false;
        };
        let is_customer = matches!(left.who, Who::Outside(_)) && left.role == DnRole::Origination;
        let leg = left.leg;
        let has_not_heard = self.legs.is_invited(leg) || self.legs.is_unacknowledged(leg);
        let was_never_there = leave.takes_back || has_not_heard;
        let is_lost = leave.own == EndCause::Failed || was_never_there;
        if !is_customer || !is_lost {
            return false;
        }
        if self.consult.is_some() {
            // Its agent's, by another dialog.
            self.clear(
                turn,
                Which::Consult,
                None,
                (EndCause::Failed, cause::FAILURE),
            );
        }
        let queue = self.go_back_to(served);
        self.seek_for_rest(turn, queue, Why::Called);
        true
    }

    fn served_in(&self, which: Which) -> Option<Served> {
        let served = self.main.served.clone();
        served.filter(|_| which == Which::Main)
    }

    /// The place in the queue as it was: with its age, and not for the queues it had come from.
    fn go_back_to(&mut self, served: Served) -> Destination {
        self.main.since = served.since;
        self.facts.visited = served.visited.into_iter().collect();
        Destination::Queue {
            queue: Some(served.queue),
            routing_point: served.routing_point,
        }
    }

    /// What was asked for is not carried out: somebody has left.
    pub(super) fn drop_task(&mut self, turn: &mut Turn<'_>) {
        let Some(task) = self.task.take() else {
            return;
        };
        self.undo_steps(turn);
        self.dismiss(turn, &task.then);
        if let Some(asked) = task.asked {
            let code = ErrorCode::WrongState;
            self.refuse(turn, &asked, code, "a party of the call has left");
        }
    }

    /// Nobody stays connected whom nobody needs: a server of media whose listener has left while
    /// it was dialled, or whatever there is when the conversation is over.
    pub(super) fn end_idle_legs(&mut self, turn: &mut Turn<'_>) {
        let is_over = self.is_over();
        let is_idle = |leg: &LegSlot| is_over || self.is_idle(*leg);
        let idle: Vec<LegSlot> = self.legs.slots().filter(is_idle).collect();
        for leg in idle {
            self.hang_up(turn, leg, cause::NORMAL);
        }
    }

    /// Whether nobody takes part with a leg, is sought with it, hears it or is to hear it.
    fn is_idle(&self, leg: LegSlot) -> bool {
        self.place_of(leg).is_none()
            && self.seeks_with(leg).is_none()
            && self.legs.partner(leg).is_none()
            && !self.exchanges.needs(leg)
            && !self.is_newcomer(leg)
    }

    fn drop_task_of(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        let concerned = self.place_of(leg).is_some();
        if concerned {
            self.drop_task(turn);
        }
    }
}

/// Whether a search is for who is left: one who was to be added is not.
fn is_for(quest: Option<&super::quest::Quest>, last: Option<&Participant>) -> bool {
    match (quest.map(|quest| &quest.why), last) {
        (Some(Why::Called | Why::Transferred(_) | Why::Muted(_)), Some(_)) => true,
        (Some(Why::Added(..)) | None, _) | (_, None) => false,
    }
}
