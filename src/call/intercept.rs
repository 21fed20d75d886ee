//! Directed pick-up: an INVITE whose Replaces names the dialog of a phone that we let ring takes
//! the call in that phone's place (RFC 3891 §3). Whoever comes has answered by that: the phone is
//! cancelled, and who waits is connected. If the two cannot be, the one who came leaves, and a
//! customer of a queue goes back to it.

use crate::agent::{EndCause, PartyState};
use crate::cti::{DnRole, UserDataChange};
use crate::dialog::{Body, Cause};
use crate::session::{Negotiation, Sink, Source};
use crate::sip::Status;

use super::command::LegSlot;
use super::conversation::{Conversation, Turn, Which};
use super::exchange::Purpose;
use super::facts::cause;
use super::leg::{Kind, Phase};
use super::participant::{News, Participant, Standing, Who, number_of};
use super::quest::{Quest, Ringing, Stage};
use super::takeover::Newcomer;
use super::task::{Step, Task, Then};
use super::why::Why;

/// RFC 3326: so that the phone that rang counts no missed call.
const ANSWERED_ELSEWHERE: Cause = Cause {
    sip: Some(Status::OK),
    q850: None,
};

impl Conversation {
    /// A newcomer takes the call that rings on a leg; gives back its own leg.
    ///
    /// # Errors
    /// 486 where nobody can be connected yet: who waits is on hold or being moved, or whoever
    /// rings is to join a conference.
    pub(super) fn intercept(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        newcomer: Newcomer,
    ) -> Result<LegSlot, Status> {
        let call = self.call(which).ok_or(Status::BUSY_HERE)?;
        let waiting = call.participants.first().ok_or(Status::BUSY_HERE)?.clone();
        let is_added = |quest: &Quest| matches!(quest.why, Why::Added(..));
        let is_changed = self.task.as_ref().is_some_and(Task::is_change);
        if is_changed
            || waiting.standing == Standing::Holding
            || call.quest.as_ref().is_none_or(is_added)
        {
            return Err(Status::BUSY_HERE);
        }
        let Newcomer {
            calling,
            offer,
            takeover,
        } = newcomer;
        let leg = self.legs.invited(self.main.conn_id.0, offer.clone());
        self.legs.leads_to(leg, Kind::Tie);
        let dn = number_of(&calling).and_then(|number| self.facts.config.dn(&number));
        self.change_called(
            turn,
            which,
            (leg, dn.map_or(Who::Outside(calling), Who::Agent)),
        );
        if let Some(call) = self.call_mut(which) {
            // Where it would be too much, the call keeps its own.
            let _ = call.change_user_data(UserDataChange::Update(takeover.user_data));
        }
        self.show(turn, leg, &waiting);
        self.connect_newcomer(turn, which, (waiting.leg, leg), offer);
        self.takes(turn, which, leg);
        let task = self.task.as_ref();
        let is_awaited = task.is_some_and(|task| task.awaits(leg));
        if !self.legs.is_up(leg) && !self.exchanges.is_busy(leg) && !is_awaited {
            self.leaves_by_fault(turn, leg, cause::FAILURE);
        }
        Ok(leg)
    }

    /// Whoever rings is somebody else from now on; the phone that rang is let go.
    fn change_called(&mut self, turn: &mut Turn<'_>, which: Which, (leg, who): (LegSlot, Who)) {
        let Some(quest) = self.call_mut(which).and_then(|call| call.quest.take()) else {
            return;
        };
        let rang = quest.rings();
        let (Stage::Ringing(ringing), mut entry) = (quest.stage, quest.entry) else {
            return;
        };
        self.hang_up(turn, ringing.called.leg, ANSWERED_ELSEWHERE);
        let mut called = Participant::new(who, leg, DnRole::Destination);
        called.routing_point = ringing.called.routing_point;
        // Another phone of the same agent: for clients it is the one that rings.
        let is_same = called.dn().is_some() && called.dn() == ringing.called.dn();
        if !is_same {
            if let Some(asked) = &ringing.picked_up_for {
                self.wrong_state(turn, asked, "another phone has taken the call");
            }
            let number = called.number(&self.facts);
            let news = News {
                third: number.map(|number| (number, DnRole::Destination)),
                ..News::default()
            };
            let ended = PartyState::Ended(EndCause::Redirected);
            self.report(turn, which, &ringing.called, ended, news);
            entry = entry.map(|entry| entry.redirected(turn.commands));
            // An agent who is in this conversation already is not in it twice.
            if called.dn().is_some_and(|dn| self.is_here(dn)) {
                called.who = Who::Outside(called.party(&self.facts));
            }
        }
        let stage = Stage::Ringing(Ringing {
            called,
            rings: is_same && rang,
            picked_up_for: ringing.picked_up_for.filter(|_| is_same),
            elsewhere: None,
            ..ringing
        });
        if let Some(call) = self.call_mut(which) {
            call.quest.set(Quest {
                stage,
                entry,
                why: quest.why,
            });
        }
    }

    /// Begins the exchange between who waits and the newcomer, whose INVITE waits. Where both have
    /// an offer, or neither has, or who waits is in another exchange, the newcomer is taken without
    /// media first.
    fn connect_newcomer(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        (waiting, newcomer): (LegSlot, LegSlot),
        offer: Option<Body>,
    ) {
        let is_free = !self.exchanges.is_busy(waiting);
        let (source, sink) = match (self.legs.phase(waiting).cloned(), offer) {
            (Some(Phase::Invited { offer: Some(offer) }), None) => {
                ((waiting, Source::Invite(*offer)), (newcomer, Sink::Invite))
            }
            (Some(Phase::Invited { offer: None }), Some(offer)) => {
                ((newcomer, Source::Invite(offer)), (waiting, Sink::Invite))
            }
            (Some(Phase::Up), Some(offer)) if is_free => (
                (newcomer, Source::Invite(offer)),
                (waiting, Sink::Confirmed),
            ),
            (Some(Phase::Up), None) if is_free => {
                ((waiting, Source::Confirmed), (newcomer, Sink::Invite))
            }
            (
                Some(
                    Phase::Invited { .. }
                    | Phase::Dialled { .. }
                    | Phase::Answered { .. }
                    | Phase::Up,
                )
                | None,
                offer,
            ) => return self.connect_later(turn, (waiting, newcomer), offer.as_ref()),
        };
        let mut told = turn.told();
        let started = Negotiation::join(turn.now, source, sink, &mut self.legs, &mut told);
        let purpose = Purpose::Connect(which);
        self.begin(turn, started, (waiting, newcomer), purpose, told);
    }

    fn connect_later(
        &mut self,
        turn: &mut Turn<'_>,
        (waiting, newcomer): (LegSlot, LegSlot),
        offer: Option<&Body>,
    ) {
        let mut told = turn.told();
        let legs = &mut self.legs;
        let started = Negotiation::accept_alone(turn.now, newcomer, offer, legs, &mut told);
        self.begin(turn, started, (newcomer, newcomer), Purpose::Relay, told);
        if self.legs.is_up(newcomer) {
            self.bring_together(turn, waiting, newcomer);
        }
    }

    /// Two are to hear each other, of whom one's INVITE may wait; the one who was called leaves if
    /// they cannot.
    pub(super) fn bring_together(
        &mut self,
        turn: &mut Turn<'_>,
        waiting: LegSlot,
        called: LegSlot,
    ) {
        let step = if self.legs.is_invited(called) {
            Step::Admit(called, waiting)
        } else if self.legs.is_invited(waiting) {
            Step::Admit(waiting, called)
        } else {
            Step::Join(waiting, called)
        };
        self.start(turn, None, [step], Then::Joined(called));
    }
}
