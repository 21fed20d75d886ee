//! Somebody is sought for a call that has one who waits: in a queue, at an agent's DN, or outside.
//! However it ends, a reservation returns, and who waits is told or waits on. The search is the
//! same for a caller from outside, a call that a desktop makes, a consultation, a transfer.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::{self, EndCause, Offer, OfferSource, PartyState, RefusedOffer};
use crate::config::{Address, DnIndex, QueueIndex, RoutingPointIndex};
use crate::counters::Counter;
use crate::cti::ErrorCode;
use crate::limits::CALL_HOPS_MAX;
use crate::session::Negotiation;
use crate::sip::Status;
use crate::{dialog, queue};

use super::command::{Command, LegCommand, LegSlot};
use super::conversation::{Conversation, Turn, Which};
use super::diversion::reason_of;
use super::entry::{Entry, Hold};
use super::facts::{Destination, error_of};
use super::leg::Phase;
use super::participant::{News, Participant, Who};
use super::task::Asked;
use super::timer::Timer;
use super::why::Why;
use super::{Elsewhere, ForwardReason, QueueRefusal};

/// The search for somebody.
#[derive(Debug)]
pub(super) struct Quest {
    pub(super) stage: Stage,
    /// The place in a queue, until somebody has answered; who waits in a queue always has one.
    pub(super) entry: Option<Entry>,
    pub(super) why: Why,
}

/// How far a search is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The phone of the one who calls is dialled first.
    Phone(Destination),
    /// In a queue, without an agent.
    Waiting,
    /// The agent was asked for.
    Reserving(DnIndex),
    /// Somebody is dialled or rings.
    Ringing(Ringing),
}

/// Somebody who is dialled or rings.
#[derive(Debug)]
pub(super) struct Ringing {
    pub(super) called: Participant,
    /// Whether it has said that it rings; its events begin with that.
    pub(super) rings: bool,
    /// How long it may ring.
    pub(super) no_answer: Duration,
    /// The request that wants it picked up.
    pub(super) picked_up_for: Option<Asked>,
    /// Where the call goes if it is not taken here.
    pub(super) elsewhere: Option<Box<Elsewhere>>,
}

impl Quest {
    /// Who is dialled or rings.
    pub(super) fn called(&self) -> Option<&Participant> {
        match &self.stage {
            Stage::Ringing(ringing) => Some(&ringing.called),
            Stage::Phone(_) | Stage::Waiting | Stage::Reserving(_) => None,
        }
    }

    pub(super) fn called_mut(&mut self) -> Option<&mut Participant> {
        match &mut self.stage {
            Stage::Ringing(ringing) => Some(&mut ringing.called),
            Stage::Phone(_) | Stage::Waiting | Stage::Reserving(_) => None,
        }
    }

    /// The agent at whose DN the call is, or will be.
    pub(super) fn dn(&self) -> Option<DnIndex> {
        match &self.stage {
            Stage::Ringing(ringing) => ringing.called.dn(),
            Stage::Phone(_) | Stage::Waiting | Stage::Reserving(_) => None,
        }
    }

    pub(super) fn is_ringing_on(&self, leg: LegSlot) -> bool {
        self.called().is_some_and(|called| called.leg == leg)
    }

    /// Whether somebody rings, as far as anybody was told.
    pub(super) fn rings(&self) -> bool {
        match &self.stage {
            Stage::Ringing(ringing) => ringing.rings,
            Stage::Phone(_) | Stage::Waiting | Stage::Reserving(_) => false,
        }
    }
}

impl Conversation {
    /// Looks for whom the call is to go to. `entry` is the place that it keeps until somebody
    /// answers.
    pub(super) fn seek(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        destination: Destination,
        (entry, why): (Option<Entry>, Why),
    ) {
        self.facts.hops = self.facts.hops.saturating_add(1);
        let lost = match destination {
            _ if self.facts.hops > CALL_HOPS_MAX => Some(EndCause::Failed),
            Destination::Direct { dn } => self.is_here(dn).then_some(EndCause::Busy),
            Destination::Queue { .. }
            | Destination::Outside { .. }
            | Destination::Takeover { .. } => None,
        };
        if let Some(cause) = lost {
            return self.search_ended(turn, which, (entry, why), cause);
        }
        match destination {
            Destination::Queue {
                queue,
                routing_point,
            } => self.enter_queue(turn, which, (queue, routing_point), (entry, why)),
            Destination::Direct { dn } => self.reserve(turn, which, dn, (entry, why)),
            Destination::Outside { number } => {
                let party = dialog::Party {
                    number: number.into(),
                    ..dialog::Party::default()
                };
                self.dial(turn, which, Who::Outside(Arc::new(party)), (entry, why));
            }
            Destination::Takeover { replaces } => {
                self.call_place(turn, which, *replaces, (entry, why));
            }
        }
    }

    fn enter_queue(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        (queue, routing_point): (Option<QueueIndex>, RoutingPointIndex),
        (entry, why): (Option<Entry>, Why),
    ) {
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        if let Some(left) = entry {
            let config = &facts.config;
            let destination = match queue {
                Some(queue) => &config.queue_at(queue).name,
                None => &config.routing_point_at(routing_point).number,
            };
            left.forwarded(destination, turn.commands);
            if left.hold == Hold::Forwarding && !facts.visited.contains(&left.queue) {
                facts.visited.push(left.queue);
            }
        }
        if let Why::Muted(asked) = why {
            let destination = Destination::Queue {
                queue,
                routing_point,
            };
            return self.muted_into_queue(turn, &asked, destination);
        }
        let since = why.since(call);
        let place = (queue, routing_point);
        let entry = Entry::enter(facts, (call, since), place, turn.commands);
        // The call that somebody is added to stays where it is.
        if !matches!(why, Why::Added(..)) {
            call.through = Some((entry.queue, routing_point));
        }
        call.quest.set(Quest {
            stage: Stage::Waiting,
            entry: Some(entry),
            why,
        });
        // What it hears first is where it stands in the queue, which says so at once.
        let again = turn.now + facts.progress_interval(Some(entry.queue));
        facts.deadlines.arm(Timer::Progress, again);
        self.caller_waits_long(turn, which);
    }

    /// The phone that makes the call has answered with an offer, and nobody knows when somebody
    /// will answer that: it gets the ACK now, and the media later (RFC 3725 §4.3).
    fn caller_waits_long(&mut self, turn: &mut Turn<'_>, which: Which) {
        let caller = self.caller_of(which).map(|first| first.leg);
        if let Some(leg) = caller.filter(|leg| !self.exchanges.is_busy(*leg)) {
            self.acknowledge_alone(turn, leg);
        }
    }

    /// A leg that is in no exchange has made an offer in its 2xx, which can wait no longer.
    pub(super) fn acknowledge_alone(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        let Some(Phase::Answered { offer: Some(offer) }) = self.legs.phase(leg).cloned() else {
            return;
        };
        let mut told = turn.told();
        Negotiation::acknowledge_alone(turn.now, leg, &offer, &mut self.legs, &mut told);
        self.tell(turn, told);
    }

    /// The queue says where the call stands in it.
    pub(super) fn queue_stands(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        standing: Option<queue::Standing>,
    ) {
        let Some((facts, legs, call)) = self.parts(which) else {
            return;
        };
        let quest = call.quest.as_ref();
        let waits = quest.is_some_and(|quest| matches!(quest.stage, Stage::Waiting));
        let Some(leg) = call.participants.first().map(|first| first.leg) else {
            return;
        };
        if waits && legs.is_invited(leg) {
            let queued = standing.map(LegCommand::Queued);
            let queued = queued.unwrap_or(LegCommand::Progress(Status::QUEUED));
            turn.commands.push(Command::Leg(leg, queued));
            let queue = call.through.map(|(queue, _)| queue);
            let again = turn.now + facts.progress_interval(queue);
            facts.deadlines.arm(Timer::Progress, again);
        }
    }

    /// Asks the queue where the call stands, so that the caller hears it.
    fn ask_standing(&mut self, turn: &mut Turn<'_>, which: Which) {
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        let Some(entry) = call.quest.as_ref().and_then(|quest| quest.entry) else {
            return;
        };
        let call = facts.call(entry.conn_id);
        let input = queue::Input::Where { call };
        turn.commands.push(Command::Queue(entry.queue, input));
        let again = turn.now + facts.progress_interval(Some(entry.queue));
        facts.deadlines.arm(Timer::Progress, again);
    }

    fn reserve(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        dn: DnIndex,
        (entry, why): (Option<Entry>, Why),
    ) {
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        call.quest.set(Quest {
            stage: Stage::Reserving(dn),
            entry,
            why,
        });
        let offer = Offer {
            call: facts.call(call.conn_id),
            source: OfferSource::Direct,
        };
        let input = agent::Input::Reserve(offer);
        turn.commands.push(Command::Agent(dn, input));
    }

    /// The DN's shard has promised an agent to the call.
    pub(super) fn offered(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        dn: DnIndex,
        elsewhere: Option<Box<Elsewhere>>,
    ) {
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        let wanted = match call.quest.as_ref().map(|quest| &quest.stage) {
            Some(Stage::Waiting) => true,
            Some(Stage::Reserving(asked)) => *asked == dn,
            Some(Stage::Phone(_) | Stage::Ringing(_)) | None => false,
        };
        let Some(mut quest) = call.quest.take_if(|_| wanted) else {
            // Another one for the same call: it returns.
            let call = facts.call(call.conn_id);
            let returned = agent::Input::Returned { call };
            return turn.commands.push(Command::Agent(dn, returned));
        };
        if let (Stage::Waiting, Some(entry)) = (&quest.stage, &mut quest.entry) {
            entry.hold = Hold::Offered(dn);
            // The agent may be that of any of its queues, or of one that it has just left.
            let conn_id = entry.conn_id;
            entry.tell(&queue::Input::Promised { conn_id, dn }, turn.commands);
        }
        self.dial(turn, which, Who::Agent(dn), (quest.entry, quest.why));
        let quest = self.call_mut(which).and_then(|call| call.quest.as_mut());
        if let Some(Stage::Ringing(ringing)) = quest.map(|quest| &mut quest.stage) {
            ringing.elsewhere = elsewhere;
        }
    }

    /// The phone does not take the call, and its DN's calls go elsewhere then: whether they do.
    pub(super) fn goes_elsewhere(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        cause: EndCause,
    ) -> bool {
        let quest = self.call(which).and_then(|call| call.quest.as_ref());
        let elsewhere = match quest.map(|quest| &quest.stage) {
            Some(Stage::Ringing(ringing)) => ringing.elsewhere.as_ref(),
            Some(Stage::Phone(_) | Stage::Waiting | Stage::Reserving(_)) | None => None,
        };
        let there = elsewhere.filter(|elsewhere| elsewhere.takes(cause));
        let Some(destination) = there.and_then(|there| self.destination(&there.destination)) else {
            return false;
        };
        let Some(quest) = self.call_mut(which).and_then(|call| call.quest.take()) else {
            return false;
        };
        self.facts.deadlines.disarm(Timer::NoAnswer);
        let number = quest.called().and_then(|called| called.number(&self.facts));
        self.divert(which, number, reason_of(cause));
        self.seek(turn, which, destination, (quest.entry, quest.why));
        true
    }

    /// The agent who was asked for is not to be had.
    pub(super) fn direct_refused(&mut self, turn: &mut Turn<'_>, which: Which, why: RefusedOffer) {
        let Some(call) = self.call_mut(which) else {
            return;
        };
        let asked = |quest: &mut Quest| matches!(quest.stage, Stage::Reserving(_));
        let Some(quest) = call.quest.take_if(asked) else {
            return;
        };
        let cause = match why {
            RefusedOffer::Busy => EndCause::Busy,
            RefusedOffer::LoggedOut | RefusedOffer::NotReady | RefusedOffer::Unreachable => {
                EndCause::Unreachable
            }
        };
        if self.facts.is_inbound && which == Which::Main {
            let counter = Counter::InviteAgentUnavailable;
            turn.commands.push(Command::Count(counter));
        }
        self.search_ended(turn, which, (quest.entry, quest.why), cause);
    }

    /// The queue does not take the call, or not any more.
    pub(super) fn queue_refused(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        refusal: QueueRefusal,
    ) {
        let Some(call) = self.call_mut(which) else {
            return;
        };
        let waits = |quest: &mut Quest| matches!(quest.stage, Stage::Waiting);
        let Some(quest) = call.quest.take_if(waits) else {
            // With an agent of a further queue: its home has forgotten it, and if that comes to
            // nothing, so has the call.
            let entry = call.quest.as_mut().and_then(|quest| quest.entry.as_mut());
            if let Some(entry) = entry {
                entry.refused = Some(refusal);
            }
            return;
        };
        self.refused_by_queue(turn, which, (quest.entry, quest.why), refusal);
    }

    fn refused_by_queue(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        (entry, why): (Option<Entry>, Why),
        refusal: QueueRefusal,
    ) {
        let (cause, counter) = match refusal {
            // 503 would make the PBX take us for dead; the queue is busy, we are not.
            QueueRefusal::Full(_) => (EndCause::Busy, Some(Counter::InviteQueueFull)),
            QueueRefusal::Limit(_) => (EndCause::Busy, Some(Counter::InviteQueueLimit)),
            QueueRefusal::Disconnected => (EndCause::Declined, None),
        };
        if let Some(counter) = counter.filter(|_| self.facts.is_inbound) {
            turn.commands.push(Command::Count(counter));
        }
        self.facts.refused_with = match refusal {
            QueueRefusal::Full(status) | QueueRefusal::Limit(status) => Some(status),
            QueueRefusal::Disconnected => None,
        };
        if let Some(mut entry) = entry {
            entry.leave_further(cause, turn.commands);
        }
        // The queue has forgotten the call: it has no place to go back to.
        self.search_ended(turn, which, (None, why), cause);
    }

    /// The queue or its router sends the call elsewhere, or the DN that was asked for does.
    pub(super) fn forward(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        destination: &str,
        why: ForwardReason,
    ) {
        let destination = self.forwarded_to(which, destination, why);
        let Some(call) = self.call_mut(which) else {
            return;
        };
        let Some(quest) = call.quest.as_mut() else {
            return;
        };
        let home = quest.entry.map(|entry| entry.queue);
        let by_queue = match why {
            ForwardReason::Overflow | ForwardReason::Routed | ForwardReason::Labelled => true,
            ForwardReason::Unconditional | ForwardReason::Busy | ForwardReason::NoAnswer => false,
        };
        let (may, code) = match (&quest.stage, &destination) {
            (Stage::Waiting, Some(_)) => (by_queue, ErrorCode::WrongState),
            (Stage::Reserving(_), Some(_)) => (!by_queue, ErrorCode::WrongState),
            (Stage::Waiting | Stage::Reserving(_), None) => (false, ErrorCode::InvalidCalledDN),
            (Stage::Phone(_) | Stage::Ringing(_), _) => (false, ErrorCode::WrongState),
        };
        match (destination.filter(|_| may), call.quest.take_if(|_| may)) {
            (Some(destination), Some(mut quest)) => {
                if let Some(entry) = quest.entry.as_mut().filter(|_| by_queue) {
                    entry.hold = Hold::Forwarding;
                    entry.leave_further(EndCause::Redirected, turn.commands);
                }
                let (by, reason) = self.diverted(&quest, &destination, why);
                self.divert(which, by, reason);
                self.seek(turn, which, destination, (quest.entry, quest.why));
            }
            (_, _) if by_queue => {
                let conn_id = call.conn_id;
                let through = call.through.map(|(queue, _)| queue);
                if let Some(queue) = home.or(through) {
                    let input = queue::Input::ForwardFailed { conn_id, code };
                    turn.commands.push(Command::Queue(queue, input));
                }
            }
            // The DN's shard has not reserved its agent, and waits for nothing.
            (_, _) => self.direct_refused(turn, which, RefusedOffer::Unreachable),
        }
    }

    /// What the name that a queue, a router or a DN's shard sends the call to means. Only a queue
    /// names another queue.
    fn forwarded_to(
        &self,
        which: Which,
        destination: &str,
        why: ForwardReason,
    ) -> Option<Destination> {
        if why == ForwardReason::Labelled {
            return Destination::outside(&self.facts.config, destination);
        }
        let Some(Address::Queue(queue)) = self.facts.config.address(destination) else {
            return self.destination(destination);
        };
        let entry = self.call(which)?.quest.as_ref()?.entry?;
        (why == ForwardReason::Overflow).then_some(Destination::Queue {
            queue: Some(queue),
            routing_point: entry.routing_point,
        })
    }

    /// A search came to nothing: who has a place in a queue waits on, and hears so if it heard
    /// that somebody rang; anybody else is told.
    pub(super) fn search_failed(&mut self, turn: &mut Turn<'_>, which: Which, cause: EndCause) {
        let Some(quest) = self.call_mut(which).and_then(|call| call.quest.take()) else {
            return;
        };
        let rang = quest.rings();
        self.search_ended(turn, which, (quest.entry, quest.why), cause);
        if rang {
            self.ask_standing(turn, which);
        }
    }

    fn search_ended(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        (entry, why): (Option<Entry>, Why),
        cause: EndCause,
    ) {
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        facts.deadlines.disarm(Timer::NoAnswer);
        let Some(mut entry) = entry else {
            return self.nobody_found(turn, which, &why, cause);
        };
        let conn_id = entry.conn_id;
        if let Some(refusal) = entry.refused {
            return self.refused_by_queue(turn, which, (Some(entry), why), refusal);
        }
        // What was tried from its place in vain took it nowhere.
        facts.hops = entry.hops;
        if conn_id != call.conn_id {
            // The queue knows it by a name that is gone: it enters anew, with its age.
            entry.tell(&queue::Input::Left { conn_id, cause }, turn.commands);
            let place = (Some(entry.queue), entry.routing_point);
            return self.enter_queue(turn, which, place, (None, why));
        }
        let input = match entry.hold {
            Hold::Offered(dn) => queue::Input::OfferFailed { conn_id, dn, cause },
            // Whoever let it ring, it was not the agent.
            Hold::Redirected(dn) => {
                let cause = EndCause::Redirected;
                queue::Input::OfferFailed { conn_id, dn, cause }
            }
            Hold::Forwarding | Hold::Waiting => {
                let code = error_of(cause);
                queue::Input::ForwardFailed { conn_id, code }
            }
        };
        entry.tell(&input, turn.commands);
        call.diversions.clear();
        entry.hold = Hold::Waiting;
        entry.enter_further(facts, (call, why.since(call)), turn.commands);
        call.quest.set(Quest {
            stage: Stage::Waiting,
            entry: Some(entry),
            why,
        });
    }

    /// Nobody waits any more: whom the search has found so far is let go, and its queue forgets
    /// the call.
    pub(super) fn end_search(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        end: (EndCause, dialog::Cause),
    ) {
        let (cause, reason) = end;
        let Some(quest) = self.call_mut(which).and_then(|call| call.quest.take()) else {
            return;
        };
        self.facts.deadlines.disarm_setup();
        let left = (ErrorCode::WrongState, "a party of the call has left");
        self.not_picked_up(turn, &quest.stage, left);
        self.not_found(turn, &quest.why, left);
        if let Stage::Ringing(ringing) = &quest.stage {
            self.hang_up(turn, ringing.called.leg, reason);
            let ended = PartyState::Ended(cause);
            self.report(turn, which, &ringing.called, ended, News::default());
        }
        if let Some(entry) = quest.entry {
            let conn_id = entry.conn_id;
            entry.tell(&queue::Input::Left { conn_id, cause }, turn.commands);
        }
    }

    /// Tells a caller whose INVITE waits how the call stands, and sets the time to say so again:
    /// RFC 3261 §13.3.1.1 wants a provisional response a minute.
    pub(super) fn say_progress(&mut self, turn: &mut Turn<'_>, which: Which, status: Status) {
        let Some((facts, legs, call)) = self.parts(which) else {
            return;
        };
        let Some(leg) = call.participants.first().map(|first| first.leg) else {
            return;
        };
        if legs.is_invited(leg) {
            let progress = LegCommand::Progress(status);
            turn.commands.push(Command::Leg(leg, progress));
            let queue = call.through.map(|(queue, _)| queue);
            let again = turn.now + facts.progress_interval(queue);
            facts.deadlines.arm(Timer::Progress, again);
        }
    }

    /// It is time to say again how the call stands.
    pub(super) fn progress_is_due(&mut self, turn: &mut Turn<'_>) {
        let quest = self.main.quest.as_ref();
        let rings = quest.is_some_and(Quest::rings);
        let waits = quest.is_some_and(|quest| matches!(quest.stage, Stage::Waiting));
        if waits {
            return self.ask_standing(turn, Which::Main);
        }
        let status = if rings {
            Status::RINGING
        } else if self.main.through.is_some() {
            Status::QUEUED
        } else {
            Status::SESSION_PROGRESS
        };
        self.say_progress(turn, Which::Main, status);
    }
}
