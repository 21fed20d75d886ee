//! What the call's shard reports about the party at the DN, and what the agent's state makes of it.
//! The order of the DN's events is decided here; the call itself is not.

use crate::call::CallRef;
use crate::config::NoAnswerAction;
use crate::counters::Counter;
use crate::cti::{EventName, KeyValueList, RequestedBy};
use crate::{call, limits::FAILED_PHONE_REST};

use super::events::{end_state, is_external, wrap_up_time};
use super::state::Agent;
use super::step::{Step, Timer};
use super::visits::{Class, Source, Stage, Withdrawn};
use super::votes::ServerDecision;
use super::{EndCause, Party, PartyState};

impl Agent {
    /// The call's shard reports.
    pub(super) fn report(&mut self, step: &mut Step<'_>, party: Party) {
        self.is_taken(&party);
        let known = self.visits.position(party.call);
        // What clients do not know of has no news for them.
        let shown = known.filter(|index| self.visits[*index].is_shown());
        match (party.state, known) {
            (PartyState::Dialing, _) => self.dials(step, known, &party),
            (PartyState::Changed, _) => self.changed(step, known, &party),
            (PartyState::Ringing | PartyState::Established, None) => self.adopt(step, party),
            (PartyState::Ringing, Some(index)) => self.rings(step, index, &party),
            (PartyState::Established, Some(index)) => self.answered(step, index, &party),
            (PartyState::UserDataChanged, _) => self.user_data_changed(step, known, &party),
            (PartyState::Ended(cause), Some(index)) => self.ended(step, index, &party, cause),
            (PartyState::Recalled { is_held }, _) => self.take_up(step, &party, is_held),
            (PartyState::Ended(_), None) => Self::acknowledge(step, party.requested_by),
            (
                PartyState::Held
                | PartyState::Retrieved
                | PartyState::NetworkReached
                | PartyState::DestinationBusy(_)
                | PartyState::Added
                | PartyState::Deleted
                | PartyState::DtmfSent,
                _,
            ) => match shown {
                Some(index) => self.follow(step, index, &party),
                None => Self::acknowledge(step, party.requested_by),
            },
        }
    }

    /// A call that clients know of goes on.
    fn follow(&mut self, step: &mut Step<'_>, index: usize, party: &Party) {
        let dials = self.visits[index].stage == Stage::Dialing;
        let name = match party.state {
            // Somebody else is sought for who was answered already, because its agent has gone:
            // that a phone rings is the news of those who dial.
            PartyState::NetworkReached if !dials => {
                return Self::acknowledge(step, party.requested_by);
            }
            PartyState::Held => return self.held(step, index, party),
            PartyState::Retrieved => return self.retrieved(step, index, party),
            PartyState::DestinationBusy(cause) => {
                let mut event = self.call_event(step, index, EventName::DestinationBusy, party);
                event.call_state = Some(end_state(cause));
                return step.emit(event);
            }
            PartyState::NetworkReached => EventName::NetworkReached,
            PartyState::Added => EventName::PartyAdded,
            PartyState::Deleted => EventName::PartyDeleted,
            PartyState::DtmfSent => EventName::DTMFSent,
            PartyState::Dialing
            | PartyState::Ringing
            | PartyState::Established
            | PartyState::Changed
            | PartyState::UserDataChanged
            | PartyState::Recalled { .. }
            | PartyState::Ended(_) => unreachable!("these have their own ways"),
        };
        self.show(step, index, name, party);
    }

    /// The phone was never dialled: nothing has happened, and the agent has its old place.
    pub(super) fn returned(&mut self, step: &mut Step<'_>, call: CallRef) {
        let known = self.visits.position(call);
        let reserved = known.filter(|index| self.visits[*index].stage == Stage::Reserved);
        let Some(index) = reserved else {
            return;
        };
        let free_since = self.visits[index].free_since;
        self.free(step, index, EndCause::CallerAbandoned);
        if !self.is_engaged() {
            self.free_since = free_since;
        }
    }

    /// A call whose lease ran out is alive after all. A free agent takes it back; one who is in
    /// another call, or promised to one, cannot.
    fn adopt(&mut self, step: &mut Step<'_>, party: Party) {
        if self.is_engaged() {
            let (dn, cause) = (step.dn, EndCause::Unreachable);
            Self::acknowledge(step, party.requested_by);
            return step.tell_call(party.call, call::Input::OfferWithdrawn { dn, cause });
        }
        let source = party.routing_point.map_or(Source::Direct, |routing_point| {
            Source::Queue(step.config.routing_point_at(routing_point).queue)
        });
        self.occupy(step, party.call, source);
        self.report(step, party);
    }

    /// A phone may ring more than once, in early dialogs; the model knows one EventRinging.
    fn rings(&mut self, step: &mut Step<'_>, index: usize, party: &Party) {
        if self.visits[index].is_shown() {
            return;
        }
        self.visits[index].stage = Stage::Ringing;
        self.visits[index].class = self.class_of(step, index, party);
        self.extend_lease(step, index);
        self.note_ringing(index, party);
        self.show(step, index, EventName::Ringing, party);
    }

    fn answered(&mut self, step: &mut Step<'_>, index: usize, party: &Party) {
        // A phone may answer without a 180.
        self.rings(
            step,
            index,
            &Party {
                requested_by: None,
                reasons: KeyValueList::new(),
                ..party.clone()
            },
        );
        let visit = &mut self.visits[index];
        if visit.was_up {
            return Self::acknowledge(step, party.requested_by);
        }
        visit.was_up = true;
        visit.stage = Stage::Established;
        let class = visit.class;
        self.end_lease(step, index);
        self.lift_handset(step, index);
        let mut event = self.call_event(step, index, EventName::Established, party);
        if let Class::Business(queue) = class {
            let wrap_up = step.config.wrap_up(step.dn, queue);
            event.extensions.set("WrapUpTime", wrap_up_time(wrap_up));
            self.interrupt_wrap_up(step, wrap_up);
        }
        step.emit(event);
    }

    fn held(&mut self, step: &mut Step<'_>, index: usize, party: &Party) {
        match self.visits[index].stage {
            Stage::Dialing | Stage::Established => {}
            Stage::Reserved | Stage::Ringing | Stage::Held => {
                return Self::acknowledge(step, party.requested_by);
            }
        }
        self.visits[index].stage = Stage::Held;
        self.show(step, index, EventName::Held, party);
    }

    fn retrieved(&mut self, step: &mut Step<'_>, index: usize, party: &Party) {
        if self.visits[index].stage != Stage::Held {
            return Self::acknowledge(step, party.requested_by);
        }
        let was_up = self.visits[index].was_up;
        self.visits[index].stage = if was_up {
            Stage::Established
        } else {
            Stage::Dialing
        };
        self.show(step, index, EventName::Retrieved, party);
    }

    /// The DN's call goes on with another far party, or under another number: the one that it had
    /// is `previous_conn_id`.
    fn changed(&mut self, step: &mut Step<'_>, known: Option<usize>, party: &Party) {
        let previous = party.previous_conn_id;
        let vanished = previous.and_then(|conn_id| self.visits.numbered(conn_id));
        let Some(index) = known.or(vanished) else {
            return Self::acknowledge(step, party.requested_by);
        };
        self.visits[index].class = self.class_of(step, index, party);
        self.visits[index].call = party.call;
        if self.visits[index].ringing.is_some() {
            self.note_ringing(index, party);
        }
        if self.visits[index].is_shown() {
            self.show(step, index, EventName::PartyChanged, party);
        } else {
            Self::acknowledge(step, party.requested_by);
        }
    }

    /// What a call is: business that came through a routing point, as it was, or as the call was
    /// that it consults about.
    pub(super) fn class_of(&self, step: &Step<'_>, index: usize, party: &Party) -> Class {
        let known = self.visits[index].class;
        let main = party
            .previous_conn_id
            .and_then(|conn_id| self.visits.numbered(conn_id));
        let main = main.map_or(Class::Private, |main| self.visits[main].class);
        match (known, main, party.routing_point) {
            (Class::Business(_), _, _) => known,
            (Class::Private, Class::Business(_), _) => main,
            (Class::Private, Class::Private, Some(routing_point)) => {
                // A routing point may lead to several queues; one of them offered the call.
                let queue = match self.visits[index].source {
                    Source::Queue(queue) => queue,
                    Source::Direct | Source::Own => {
                        step.config.routing_point_at(routing_point).queue
                    }
                };
                Class::Business(Some(queue))
            }
            (Class::Private, Class::Private, None) => Class::Private,
        }
    }

    /// Seen only by those who know of the call, and by whoever asked.
    fn user_data_changed(&self, step: &mut Step<'_>, known: Option<usize>, party: &Party) {
        let shown = known.filter(|index| self.visits[*index].is_shown());
        let event = match shown {
            Some(index) => self.call_event(step, index, EventName::AttachedDataChanged, party),
            None if party.requested_by.is_some() => {
                let agent_id = self.agent_id(step.config);
                Self::event_of(step, EventName::AttachedDataChanged, party, agent_id)
            }
            None => return,
        };
        step.emit(event);
    }

    fn ended(&mut self, step: &mut Step<'_>, index: usize, party: &Party, cause: EndCause) {
        let name = match (self.visits[index].stage, cause) {
            // A call that never rang never was, as far as clients know.
            (Stage::Reserved, _) => None,
            (Stage::Ringing, EndCause::CallerAbandoned | EndCause::CallerReleased)
                if is_external(party.info.call_type) =>
            {
                Some(EventName::Abandoned)
            }
            (Stage::Ringing | Stage::Dialing | Stage::Established | Stage::Held, _) => {
                Some(EventName::Released)
            }
        };
        self.contact_may_end(step, index);
        match name {
            Some(name) => {
                let mut event = self.call_event(step, index, name, party);
                event.call_state = Some(end_state(cause));
                step.emit(event);
            }
            None => Self::acknowledge(step, party.requested_by),
        }
        self.put_handset_down(step, index);
        self.free(step, index, cause);
    }

    /// What follows the last call of a contact is said before that call's EventReleased, so that
    /// nobody sees an agent between the two who seems to be free.
    fn contact_may_end(&mut self, step: &mut Step<'_>, index: usize) {
        let is_last = self.visits.len() == 1 && self.placing.is_none();
        if is_last {
            self.pause_if_missed(step);
        }
        let visit = &self.visits[index];
        if let (true, Class::Business(queue)) = (visit.was_up, visit.class) {
            self.owed_wrap_up.get_or_insert(queue);
        }
        if !self.visits.has_other_business(index)
            && let Some(queue) = self.owed_wrap_up.take()
        {
            self.begin_wrap_up(step, queue);
        }
    }

    /// An offer came to nothing. The agent rests a while whatever the fault was, or it would be
    /// offered the same caller again and again; who did not answer has had that time already.
    pub(super) fn offer_failed(
        &mut self,
        step: &mut Step<'_>,
        cause: EndCause,
        (by, source): (Withdrawn, Source),
    ) {
        let counter = match cause {
            EndCause::NoAnswer => Counter::OfferNoAnswer,
            EndCause::Busy => Counter::OfferBusy,
            EndCause::Declined | EndCause::AgentReleased => Counter::OfferDeclined,
            EndCause::Unreachable => Counter::OfferUnreachable,
            EndCause::Failed => Counter::OfferFailed,
            EndCause::CallerReleased
            | EndCause::CallerAbandoned
            | EndCause::Transferred
            | EndCause::Conferenced
            | EndCause::Redirected
            | EndCause::Cleared => return,
        };
        step.count(counter);
        if by == Withdrawn::ByDesktop {
            // The agent has said what it wants to be, and the phone did nothing wrong.
            return;
        }
        if cause != EndCause::NoAnswer {
            return self.timers.arm(step, Timer::Rest, FAILED_PHONE_REST);
        }
        let queue = match source {
            Source::Queue(queue) => Some(queue),
            Source::Direct | Source::Own => None,
        };
        match step.config.no_answer_action(step.dn, queue) {
            NoAnswerAction::None => {}
            NoAnswerAction::NotReady => self.pause(step, ServerDecision::NoAnswer),
            NoAnswerAction::Logout => self.log_out(step, None),
        }
    }

    /// Answers a request that has no event of its own here.
    pub(super) fn acknowledge(step: &mut Step<'_>, requested_by: Option<RequestedBy>) {
        if requested_by.is_some() {
            let mut event = step.event(EventName::ACK);
            event.requested_by = requested_by;
            step.emit(event);
        }
    }
}
