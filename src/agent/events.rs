//! The public form of what an agent does: agent events and the call events of its DN. It decides
//! attributes only; whether and in which order events go out is decided by its callers.

use std::sync::Arc;

use compact_str::CompactString;

use crate::config::WrapUp;
use crate::cti::{
    AgentWorkMode, CallState, CallType, DnRole, Event, EventName, KeyValueList, RequestedBy, Value,
};

use super::state::{Agent, Reason};
use super::step::Step;
use super::votes::{DesktopVote, PresenceVote, ServerDecision};
use super::{EndCause, Party};

/// The activity that names a NotReady of presence whenever it is among several.
const ON_THE_PHONE: &str = "on-the-phone";
/// The reason code of a phone that is gone while its agent is logged in all the same.
const CLOSED: &str = "closed";

/// What the answer to a request repeats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    /// Whom it answers.
    pub(super) requested_by: RequestedBy,
    /// The client's reasons.
    pub(super) reasons: &'a KeyValueList,
}

impl<'a> Answer<'a> {
    /// The answer to a client who gave these reasons.
    pub(super) fn to(requested_by: RequestedBy, reasons: &'a KeyValueList) -> Self {
        Self {
            requested_by,
            reasons,
        }
    }
}

/// The activity by which a presence vote is named.
pub(super) fn reason_code(activities: &[String]) -> &str {
    let on_the_phone = activities.iter().find(|activity| *activity == ON_THE_PHONE);
    on_the_phone
        .or(activities.first())
        .map_or(CLOSED, String::as_str)
}

/// The public form of a wrap-up: seconds, or `untimed`.
pub(super) fn wrap_up_time(wrap_up: WrapUp) -> Value {
    match wrap_up {
        WrapUp::Off => Value::Integer(0),
        WrapUp::Timed(time) => {
            Value::Integer(i64::try_from(time.as_secs()).expect("a configured time is small"))
        }
        WrapUp::Untimed => Value::Text("untimed".into()),
    }
}

impl Agent {
    pub(super) fn emit_login(&self, step: &mut Step<'_>, answer: Option<Answer<'_>>) {
        let event = self.agent_event(step, EventName::AgentLogin, answer);
        step.emit(event);
    }

    pub(super) fn emit_logout(
        &self,
        step: &mut Step<'_>,
        reason: Reason,
        answer: Option<Answer<'_>>,
    ) {
        let mut event = self.agent_event(step, EventName::AgentLogout, answer);
        if reason == Reason::Presence {
            event
                .extensions
                .set("Source", Value::Text("presence".into()));
        }
        step.emit(event);
    }

    /// Ready by presence is ManualIn, like Ready of a desktop that names no work mode.
    pub(super) fn emit_ready(&self, step: &mut Step<'_>, answer: Option<Answer<'_>>) {
        let work_mode = match self.votes.desktop {
            DesktopVote::Ready(AgentWorkMode::AutoIn) => AgentWorkMode::AutoIn,
            DesktopVote::Ready(_)
            | DesktopVote::None
            | DesktopVote::Out
            | DesktopVote::NotReady(_)
            | DesktopVote::AfterCallWork { .. }
            | DesktopVote::LegalGuard { .. } => AgentWorkMode::ManualIn,
        };
        let mut event = self.agent_event(step, EventName::AgentReady, answer);
        event.agent_work_mode = Some(work_mode);
        step.emit(event);
    }

    /// Names the vote that `reason` prefers, or the other one if that one does not say NotReady.
    pub(super) fn emit_not_ready(
        &self,
        step: &mut Step<'_>,
        reason: Reason,
        answer: Option<Answer<'_>>,
    ) {
        let desktop_says = match self.votes.desktop {
            DesktopVote::NotReady(_)
            | DesktopVote::AfterCallWork { .. }
            | DesktopVote::LegalGuard { .. } => true,
            DesktopVote::None | DesktopVote::Out | DesktopVote::Ready(_) => false,
        };
        let by_presence = match reason {
            Reason::Presence => self.presence_says_not_ready() || !desktop_says,
            Reason::Desktop => !desktop_says,
        };
        let mut event = self.agent_event(step, EventName::AgentNotReady, answer);
        if by_presence {
            self.name_activity(&mut event);
        } else {
            self.name_pause(&mut event);
        }
        step.emit(event);
    }

    /// Emits the NotReady of wrap-up.
    pub(super) fn emit_after_call_work(
        &self,
        step: &mut Step<'_>,
        wrap_up: WrapUp,
        answer: Option<Answer<'_>>,
    ) {
        let mut event = self.agent_event(step, EventName::AgentNotReady, answer);
        event.agent_work_mode = Some(AgentWorkMode::AfterCallWork);
        event.extensions.set("WrapUpTime", wrap_up_time(wrap_up));
        step.emit(event);
    }

    /// A NotReady of presence has the work mode Unknown, so that reports can tell it from a break.
    fn name_activity(&self, event: &mut Event) {
        let activities = match &self.votes.presence {
            PresenceVote::NotReady(activities) => Arc::clone(activities),
            PresenceVote::None | PresenceVote::Out(_) | PresenceVote::Ready => Arc::default(),
        };
        event.agent_work_mode = Some(AgentWorkMode::Unknown);
        let code = match reason_code(&activities) {
            ON_THE_PHONE => ON_THE_PHONE.into(),
            activity => activity.to_owned().into(),
        };
        event.extensions.set("ReasonCode", Value::Text(code));
        event
            .extensions
            .set("Source", Value::Text("presence".into()));
        if activities.len() > 1 {
            let all = activities.join(",");
            event
                .extensions
                .set("PresenceActivities", Value::Text(all.into()));
        }
    }

    fn name_pause(&self, event: &mut Event) {
        let pause = match &self.votes.desktop {
            DesktopVote::NotReady(pause) => pause,
            DesktopVote::LegalGuard { .. } => {
                event.agent_work_mode = Some(AgentWorkMode::LegalGuard);
                let source = Value::Text("server".into());
                return event.extensions.set("Source", source);
            }
            DesktopVote::AfterCallWork { .. }
            | DesktopVote::None
            | DesktopVote::Out
            | DesktopVote::Ready(_) => {
                event.agent_work_mode = Some(AgentWorkMode::AfterCallWork);
                return;
            }
        };
        event.agent_work_mode = Some(pause.work_mode);
        event.reasons = pause.reasons.clone();
        let code = match pause.decided_by {
            None => return,
            Some(ServerDecision::NoAnswer) => "no-answer",
            Some(ServerDecision::DesktopGone) => "desktop-gone",
        };
        event.extensions.set("ReasonCode", Value::Text(code.into()));
        event.extensions.set("Source", Value::Text("server".into()));
    }

    pub(super) fn agent_event(
        &self,
        step: &Step<'_>,
        name: EventName,
        answer: Option<Answer<'_>>,
    ) -> Event {
        let mut event = step.event(name);
        event.agent_id = Some(self.agent_id(step.config).into());
        if let Some(answer) = answer {
            event.requested_by = Some(answer.requested_by);
            event.reasons = answer.reasons.clone();
        }
        event
    }

    /// The handset goes up before the first EventDialing or EventEstablished.
    pub(super) fn lift_handset(&mut self, step: &mut Step<'_>, index: usize) {
        if !std::mem::replace(&mut self.handset_up, true) {
            self.emit_hook(step, index, EventName::OffHook);
        }
    }

    /// The call at `index` is over: the handset goes down unless another call needs it.
    pub(super) fn put_handset_down(&mut self, step: &mut Step<'_>, index: usize) {
        let mut all = self.visits.iter().enumerate();
        let needed = all.any(|(other, visit)| other != index && visit.is_off_hook());
        if !needed && std::mem::replace(&mut self.handset_up, false) {
            self.emit_hook(step, index, EventName::OnHook);
        }
    }

    fn emit_hook(&self, step: &mut Step<'_>, index: usize, name: EventName) {
        let mut event = step.event(name);
        event.agent_id = Some(self.agent_in_call(step, index).into());
        step.emit(event);
    }

    /// Who was logged in when the call came.
    fn agent_in_call<'a>(&'a self, step: &Step<'a>, index: usize) -> &'a str {
        let default = &step.config.agent_at(step.dn).agent_id;
        self.visits[index].agent_id.as_deref().unwrap_or(default)
    }

    /// Emits an event about the call at `index`.
    pub(super) fn show(&self, step: &mut Step<'_>, index: usize, name: EventName, party: &Party) {
        let event = self.call_event(step, index, name, party);
        step.emit(event);
    }

    /// An event about the call at `index`.
    pub(super) fn call_event(
        &self,
        step: &Step<'_>,
        index: usize,
        name: EventName,
        party: &Party,
    ) -> Event {
        let agent_id = self.agent_in_call(step, index);
        let mut event = Self::event_of(step, name, party, agent_id);
        if self.visits[index].is_business() && says_class(name) {
            event.extensions.set("BusinessCall", Value::Integer(1));
        }
        event
    }

    /// An event about a call, as its shard reports it.
    pub(super) fn event_of(
        step: &Step<'_>,
        name: EventName,
        party: &Party,
        agent_id: &str,
    ) -> Event {
        let mut event = step.event(name);
        event.requested_by = party.requested_by;
        event.call = Some(Arc::clone(&party.info));
        event.this_dn_role = Some(party.role);
        event.this_queue = party
            .routing_point
            .map(|index| (&*step.config.routing_point_at(index).number).into());
        (event.other_dn, event.other_dn_role) = split(party.other.as_ref());
        (event.third_party_dn, event.third_party_dn_role) = split(party.third.as_ref());
        if party.changed_by.is_some() {
            event.third_party_dn.clone_from(&party.changed_by);
        }
        event.previous_conn_id = party.previous_conn_id;
        event.reasons.clone_from(&party.reasons);
        event.call_state = Some(party.call_state);
        event.agent_id = Some(agent_id.into());
        event
    }
}

/// A party's number and part, as an event has them.
fn split(party: Option<&(CompactString, DnRole)>) -> (Option<CompactString>, Option<DnRole>) {
    party.map(|(number, role)| (number.clone(), *role)).unzip()
}

/// Whether an event says that its call is the contact center's business: those by which a client
/// first hears of a call.
fn says_class(name: EventName) -> bool {
    matches!(
        name,
        EventName::Ringing | EventName::Dialing | EventName::Established | EventName::PartyChanged
    )
}

/// How the party's part of the call ended, in the model's words.
pub(super) fn end_state(cause: EndCause) -> CallState {
    match cause {
        EndCause::AgentReleased => CallState::Ok,
        EndCause::CallerReleased => CallState::RemoteRelease,
        EndCause::CallerAbandoned => CallState::Abandoned,
        EndCause::NoAnswer => CallState::NoAnswer,
        EndCause::Busy => CallState::Busy,
        EndCause::Declined => CallState::Dropped,
        EndCause::Unreachable | EndCause::Failed => CallState::GeneralError,
        EndCause::Transferred => CallState::Transferred,
        EndCause::Conferenced => CallState::Conferenced,
        EndCause::Redirected => CallState::Redirected,
        EndCause::Cleared => CallState::Cleared,
    }
}

/// Whether giving up counts as EventAbandoned: only for callers from outside. Whoever calls from a
/// monitored DN gets an EventReleased of its own, and so does the called party.
pub(super) fn is_external(call_type: CallType) -> bool {
    match call_type {
        CallType::Unknown | CallType::Inbound => true,
        CallType::Internal | CallType::Outbound | CallType::Consult => false,
    }
}
