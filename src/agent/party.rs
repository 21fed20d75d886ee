//! What the call's shard reports about the party at the DN, and what the agent's state makes of it.
//! The order of the DN's events is decided here; the call itself is not.

use crate::call::CallRef;
use crate::config::NoAnswerAction;
use crate::counters::Counter;
use crate::cti::{EventName, KeyValueList, RequestedBy};
use crate::{call, limits::FAILED_PHONE_REST};

use super::events::{end_state, is_external, wrap_up_time};
use super::reservation::{Stage, Withdrawn};
use super::state::Agent;
use super::step::{Step, Timer};
use super::votes::ServerDecision;
use super::{EndCause, OfferSource, Party, PartyState};

impl Agent {
    /// The call's shard reports.
    pub(super) fn report(&mut self, step: &mut Step<'_>, party: Party) {
        let ours = self
            .visit
            .as_ref()
            .is_some_and(|visit| visit.call == party.call);
        match party.state {
            PartyState::Ringing | PartyState::Established if !ours => self.adopt(step, party),
            PartyState::Ringing => self.rings(step, &party),
            PartyState::Established => self.answered(step, &party),
            PartyState::UserDataChanged => self.user_data_changed(step, &party, ours),
            // Nobody reports these yet.
            PartyState::Dialing
            | PartyState::NetworkReached
            | PartyState::DestinationBusy(_)
            | PartyState::Held
            | PartyState::Retrieved
            | PartyState::Changed
            | PartyState::Added
            | PartyState::Deleted
            | PartyState::DtmfSent => Self::acknowledge(step, party.requested_by),
            PartyState::Ended(cause) if ours => self.ended(step, &party, cause),
            PartyState::Ended(_) => Self::acknowledge(step, party.requested_by),
        }
    }

    /// The phone was never dialled: nothing has happened, and the agent has its old place.
    pub(super) fn returned(&mut self, step: &mut Step<'_>, call: CallRef) {
        let reserved = self
            .visit
            .as_ref()
            .filter(|visit| visit.call == call && visit.stage == Stage::Reserved);
        let Some(free_since) = reserved.map(|visit| visit.free_since) else {
            return;
        };
        self.free(step, EndCause::CallerAbandoned);
        self.free_since = free_since;
    }

    /// A call whose lease ran out is alive after all. A free agent takes it back; one who has been
    /// promised to another call cannot.
    fn adopt(&mut self, step: &mut Step<'_>, party: Party) {
        if self.visit.is_some() {
            let (dn, cause) = (step.dn, EndCause::Unreachable);
            return step.tell_call(party.call, call::Input::OfferWithdrawn { dn, cause });
        }
        let source = party
            .routing_point
            .map_or(OfferSource::Direct, |routing_point| {
                OfferSource::Queue(step.config.routing_point_at(routing_point).queue)
            });
        self.occupy(step, party.call, source, Stage::Reserved);
        self.report(step, party);
    }

    /// A phone may ring more than once, in early dialogs; the model knows one EventRinging.
    fn rings(&mut self, step: &mut Step<'_>, party: &Party) {
        let visit = self
            .visit
            .as_mut()
            .expect("the reports of our call are sorted out before");
        if visit.stage != Stage::Reserved {
            return;
        }
        visit.stage = Stage::Ringing;
        let source = visit.source;
        self.extend_lease(step, source);
        let event = self.call_event(step, EventName::Ringing, party);
        step.emit(event);
    }

    fn answered(&mut self, step: &mut Step<'_>, party: &Party) {
        // A phone may answer without a 180.
        self.rings(
            step,
            &Party {
                requested_by: None,
                reasons: KeyValueList::new(),
                ..party.clone()
            },
        );
        let visit = self
            .visit
            .as_mut()
            .expect("the reports of our call are sorted out before");
        if visit.stage == Stage::Established {
            return;
        }
        visit.stage = Stage::Established;
        self.timers.disarm(step, Timer::Lease);
        self.emit_hook(step, EventName::OffHook);
        let mut event = self.call_event(step, EventName::Established, party);
        if let Some(routing_point) = party.routing_point {
            let queue = step.config.routing_point_at(routing_point).queue;
            let wrap_up = step.config.wrap_up(step.dn, queue);
            event.extensions.set("WrapUpTime", wrap_up_time(wrap_up));
        }
        step.emit(event);
    }

    /// Seen only by those who know of the call, and by whoever asked.
    fn user_data_changed(&self, step: &mut Step<'_>, party: &Party, ours: bool) {
        let stage = self.visit.as_ref().map(|visit| visit.stage);
        let seen = ours && stage != Some(Stage::Reserved);
        if seen || party.requested_by.is_some() {
            let event = self.call_event(step, EventName::AttachedDataChanged, party);
            step.emit(event);
        }
    }

    fn ended(&mut self, step: &mut Step<'_>, party: &Party, cause: EndCause) {
        let visit = self
            .visit
            .as_ref()
            .expect("the reports of our call are sorted out before");
        let name = match (visit.stage, cause) {
            // A call that never rang never was, as far as clients know.
            (Stage::Reserved, _) => None,
            (Stage::Ringing, EndCause::CallerAbandoned | EndCause::CallerReleased)
                if is_external(party.info.call_type) =>
            {
                Some(EventName::Abandoned)
            }
            (Stage::Ringing | Stage::Established, _) => Some(EventName::Released),
        };
        let was_up = visit.stage == Stage::Established;
        if was_up {
            self.pause_if_missed(step);
            self.begin_wrap_up(step, party.routing_point);
        }
        match name {
            Some(name) => {
                let mut event = self.call_event(step, name, party);
                event.call_state = Some(end_state(cause));
                step.emit(event);
            }
            None => Self::acknowledge(step, party.requested_by),
        }
        if was_up {
            self.emit_hook(step, EventName::OnHook);
        }
        self.free(step, cause);
    }

    /// An offer came to nothing. The agent rests a while whatever the fault was, or it would be
    /// offered the same caller again and again; who did not answer has had that time already.
    pub(super) fn offer_failed(
        &mut self,
        step: &mut Step<'_>,
        cause: EndCause,
        (by, source): (Withdrawn, OfferSource),
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
            OfferSource::Queue(queue) => Some(queue),
            OfferSource::Direct => None,
        };
        match step.config.no_answer_action(step.dn, queue) {
            NoAnswerAction::None => {}
            NoAnswerAction::NotReady => self.pause(step, ServerDecision::NoAnswer),
            NoAnswerAction::Logout => self.log_out(step, None),
        }
    }

    /// Answers a request that has no event of its own here.
    fn acknowledge(step: &mut Step<'_>, requested_by: Option<RequestedBy>) {
        if requested_by.is_some() {
            let mut event = step.event(EventName::ACK);
            event.requested_by = requested_by;
            step.emit(event);
        }
    }
}
