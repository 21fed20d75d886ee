//! What a DN does with calls in general: it is left alone, or its calls go elsewhere. Both belong
//! to the DN, not to who is logged in there, and stay until they are cancelled. Which call a
//! forward takes where is the call's business.

use crate::call::{self, Elsewhere, ForwardReason};
use crate::config::DnIndex;
use crate::cti::{ErrorCode, Event, EventName, ForwardMode};

use super::RefusedOffer;
use super::events::Answer;
use super::state::Agent;
use super::step::Step;

/// Where a call goes that the DN would take, or refuse for this reason; `None`: nowhere else. A DN
/// without a phone or an agent is one where nobody answers.
pub(super) fn of_call(
    dn: DnIndex,
    forward: &Elsewhere,
    refused: Option<RefusedOffer>,
) -> Option<call::Input> {
    let why = match (forward.mode, refused) {
        (ForwardMode::Unconditional, _) => ForwardReason::Unconditional,
        (ForwardMode::OnBusy | ForwardMode::OnBusyAndNoAnswer, Some(RefusedOffer::Busy)) => {
            ForwardReason::Busy
        }
        (
            ForwardMode::OnNoAnswer | ForwardMode::OnBusyAndNoAnswer,
            Some(RefusedOffer::LoggedOut | RefusedOffer::NotReady | RefusedOffer::Unreachable),
        ) => ForwardReason::NoAnswer,
        (
            ForwardMode::None
            | ForwardMode::OnBusy
            | ForwardMode::OnNoAnswer
            | ForwardMode::OnBusyAndNoAnswer,
            _,
        ) => return None,
    };
    let destination = forward.destination.to_string();
    Some(call::Input::DirectForwarded {
        dn,
        destination,
        why,
    })
}

impl Agent {
    /// A desktop wants the DN left alone, or no longer. What a queue has offered and nobody has
    /// answered is taken back, as for an agent who is NotReady.
    pub(super) fn set_do_not_disturb(&mut self, step: &mut Step<'_>, answer: Answer<'_>, on: bool) {
        if self.dnd == on {
            let word = if on { "on" } else { "off" };
            let why = format!("do-not-disturb of {} is {word}", step.number());
            return step.refuse(answer.requested_by, ErrorCode::AlreadyInState, why);
        }
        self.dnd = on;
        let name = if on {
            EventName::DNDOn
        } else {
            EventName::DNDOff
        };
        let event = feature_event(step, name, answer);
        step.emit(event);
        if on {
            self.withdraw_queue_call(step);
        }
    }

    /// A desktop sends the DN's calls elsewhere, in place of where they went before.
    pub(super) fn set_forward(
        &mut self,
        step: &mut Step<'_>,
        answer: Answer<'_>,
        mode: ForwardMode,
        destination: String,
    ) {
        if mode == ForwardMode::None {
            let why = "to forward no calls, send RequestCallForwardCancel";
            return step.refuse(answer.requested_by, ErrorCode::InvalidAttribute, why);
        }
        if *destination == *step.number() {
            let why = format!("calls for {destination} cannot be forwarded to it");
            return step.refuse(answer.requested_by, ErrorCode::InvalidCalledDN, why);
        }
        let mut event = feature_event(step, EventName::ForwardSet, answer);
        event.forward_mode = Some(mode);
        event.other_dn = Some(destination.as_str().into());
        step.emit(event);
        self.forward = Some(Box::new(Elsewhere {
            mode,
            destination: destination.into_boxed_str(),
        }));
    }

    /// A desktop lets the DN's calls come to it again.
    pub(super) fn cancel_forward(&mut self, step: &mut Step<'_>, answer: Answer<'_>) {
        let Some(forward) = self.forward.take() else {
            let why = format!("no calls for {} are forwarded", step.number());
            return step.refuse(answer.requested_by, ErrorCode::AlreadyInState, why);
        };
        let mut event = feature_event(step, EventName::ForwardCancel, answer);
        event.forward_mode = Some(forward.mode);
        event.other_dn = Some(forward.destination.into());
        step.emit(event);
    }
}

fn feature_event(step: &Step<'_>, name: EventName, answer: Answer<'_>) -> Event {
    let mut event = step.event(name);
    event.requested_by = Some(answer.requested_by);
    event.reasons.clone_from(answer.reasons);
    event
}
