//! A 2xx to an INVITE of ours of which no transaction knows any more, so that the phone believes in
//! a call. RFC 3261 §13.2.2.4: it gets its ACK, and where the call is nobody's, a BYE after it.
//!
//! Whether it is ours is seen by what it repeats: a Call-ID and a tag that we have minted. Nothing
//! is kept for the day that such a 2xx comes; while its BYE is under way, it is a leg like those
//! that were hung up.

use std::time::Instant;

use offhook_shards::Source;

use crate::allowance::{Allowance, Rate};
use crate::limits::{
    CSEQ_AFTER_RECALL, LATE_ANSWERS_MAX, LEGS_MAX, STRAYS_AT_ONCE_MAX, STRAYS_PER_SECOND_MAX,
};
use crate::sip::{Method, Response};

use super::call_dialog::{CallDialog, Rare};
use super::compose::Draft;
use super::core::{Branch, Core};
use super::dialog::{Dialog, Tag};
use super::invites::declining;
use super::leg::Leg;
use super::session::{Negotiation, Recalled, Session};
use super::strangers::Sender;
use super::turn::{Turn, body_of};
use super::who::Role;
use super::{Body, Cause, LegEvent, LegKey, LegPolicy, Target, UserAgent, call_id};

const RATE: Rate = Rate::new(STRAYS_AT_ONCE_MAX, STRAYS_PER_SECOND_MAX, 1);

/// Calls of nobody that were ended.
#[derive(Debug, Default)]
pub(super) struct Strays {
    allowance: Allowance,
    /// How many there were: the numbers of BYEs in one dialog must rise.
    count: u32,
}

impl UserAgent {
    /// Acknowledges a 2xx of which no transaction knows, and ends the call that it stands for where
    /// that is nobody's. Whether it was ours.
    pub(super) fn acknowledge_stray(
        &mut self,
        now: Instant,
        source: Source,
        sender: Sender<'_>,
        response: &Response<'_>,
    ) -> bool {
        if !response.status.is_success() || response.cseq_method != Method::Invite {
            return false;
        }
        let tag = response.from_tag.unwrap_or_default();
        match self.core.table.find(response.call_id, tag) {
            Some(leg) => self.acknowledge_again(now, leg, (source, sender), response),
            None if self.core.table.subscription(response.call_id).is_some() => false,
            None => {
                let from = (source, sender);
                let Some(leg) = self.take_up_stray(now, from, response) else {
                    return false;
                };
                let is_acknowledged = self.acknowledge_again(now, leg, from, response);
                // RFC 5407 §3.1.2.
                self.with_leg(now, leg, |leg, turn| leg.hang_up(turn, Cause::default()));
                is_acknowledged
            }
        }
    }

    /// Our ACK was lost, or never sent, or goes to another fork. Whether the 2xx is one of the
    /// leg's INVITEs'.
    fn acknowledge_again(
        &mut self,
        now: Instant,
        key: LegKey,
        from: (Source, Sender<'_>),
        response: &Response<'_>,
    ) -> bool {
        let Some(leg) = self.legs.value(key).and_then(Option::as_ref) else {
            return false;
        };
        let dialog = leg.dialog();
        if !dialog.is_with(response.to_tag) {
            let may_fork = !leg.awaits_answer() && !dialog.is_called();
            return may_fork && self.end_fork(now, key, from, response);
        }
        let is_left = matches!(leg, Leg::Leaving(_) | Leg::HangingUp(_));
        match dialog.meets(response, is_left) {
            Meeting::Again => dialog.acknowledge_before(&mut self.core, response.cseq),
            Meeting::Late => self.with_leg(now, key, |leg, turn| leg.answer_anew(turn, response)),
            Meeting::TooMany => return false,
        }
        true
    }

    /// RFC 3261 §13.2.2.4: somebody else has answered the INVITE that the leg began with, too, and
    /// its transaction is over. It gets its ACK and a BYE.
    fn end_fork(
        &mut self,
        now: Instant,
        key: LegKey,
        from: (Source, Sender<'_>),
        response: &Response<'_>,
    ) -> bool {
        let Some(mut fork) = self.dialog_of_stray(now, from, response) else {
            return false;
        };
        let answer = declining(response).filter(|_| asks_for_answer(response));
        let mut draft = Draft::within(&fork, Method::Ack, response.cseq);
        draft.body = answer.as_ref();
        self.core.acknowledge(&fork.next_hop(), &draft);
        self.with_leg(now, key, |leg, turn| {
            if let Some(bye) = turn.bye(&mut fork, Cause::default()) {
                turn.core.abandon(now, bye);
            }
            leg
        });
        true
    }

    /// A leg for a call that is nobody's any more.
    fn take_up_stray(
        &mut self,
        now: Instant,
        from: (Source, Sender<'_>),
        response: &Response<'_>,
    ) -> Option<LegKey> {
        if self.legs.len() >= LEGS_MAX {
            return None;
        }
        let dialog = self.dialog_of_stray(now, from, response)?;
        let local_tag = dialog.local_tag;
        let mut dialog = CallDialog::new(dialog, LegPolicy::default(), Role::Calling);
        // An offer is answered in the ACK, even by somebody who then hangs up.
        if let Some(answer) = declining(response).filter(|_| asks_for_answer(response)) {
            dialog.will_answer(response.cseq, answer);
        }
        let leg = Leg::Confirmed(Session::called(Box::new(dialog)));
        let key = self.legs.insert(Some(leg));
        let table = &mut self.core.table;
        table.insert(response.call_id, local_tag, key);
        Some(key)
    }

    /// The dialog of a call that is nobody's. `None` where we have not made it, or there are too
    /// many.
    fn dialog_of_stray(
        &mut self,
        now: Instant,
        (source, sender): (Source, Sender<'_>),
        response: &Response<'_>,
    ) -> Option<Dialog> {
        call_id::minted_by(response.call_id.as_bytes(), self.core.config.keys)?;
        let local_tag = response.from_tag.and_then(Tag::read)?;
        response.via.branch().and_then(Branch::read)?;
        let peer = Target {
            transport: source.transport,
            address: source.remote,
            large_requests: None,
            overload_control: false,
        };
        let mut dialog = Dialog::of_answer(response, peer, local_tag);
        let is_its_own = dialog.next_hop().address.ip() == source.remote.ip();
        // A server of media is no trunk's. Nobody else has us send to a third party.
        let may_lead_there = match sender {
            Sender::Known { .. } => true,
            Sender::Stranger(_) => is_its_own,
        };
        if !may_lead_there || !self.strays.allowance.take(now, RATE) {
            return None;
        }
        self.strays.count = (self.strays.count + 1) % CSEQ_AFTER_RECALL;
        // Beyond those of the requests that were sent while it rang.
        dialog.local_cseq = response.cseq + CSEQ_AFTER_RECALL + self.strays.count;
        Some(dialog)
    }
}

/// What a 2xx is to a leg whose INVITE nobody remembers.
enum Meeting {
    /// One that was answered, or had nothing to be answered.
    Again,
    /// To an INVITE of an earlier process, or one that was given up and its leg with it, with an
    /// offer that was never answered.
    Late,
    /// Such a one beyond those that are answered.
    TooMany,
}

impl CallDialog {
    /// What the ACK to the 2xx with this number says from now on.
    pub(super) fn will_answer(&mut self, cseq: u32, answer: Body) {
        let answers = &mut self.rare_mut().answers;
        answers.retain(|(known, _)| *known != cseq);
        answers.push((cseq, answer));
    }

    /// The ACK to a 2xx whose INVITE nobody remembers, with the answer that was given, if any was.
    pub(super) fn acknowledge_before(&self, core: &mut Core, cseq: u32) {
        let answers = self.rare().map_or(&[][..], |rare| &rare.answers);
        let answer = answers.iter().find(|(known, _)| *known == cseq);
        let mut draft = Draft::within(self, Method::Ack, cseq);
        draft.body = answer.map(|(_, body)| body);
        core.acknowledge(&self.next_hop(), &draft);
    }

    /// What a 2xx of this dialog is. What this process asks for comes in time and is answered, or
    /// does not, and the leg is left.
    fn meets(&self, response: &Response<'_>, is_left: bool) -> Meeting {
        let (rare, cseq) = (self.rare(), response.cseq);
        let is_answered = |rare: &Rare| rare.answers.iter().any(|(known, _)| *known == cseq);
        let may_be_late = is_left || rare.is_some_and(|rare| cseq <= rare.numbers_before);
        if !may_be_late || rare.is_some_and(is_answered) || !asks_for_answer(response) {
            Meeting::Again
        } else if rare.is_none_or(|rare| rare.late_answers < LATE_ANSWERS_MAX) {
            Meeting::Late
        } else {
            Meeting::TooMany
        }
    }

    /// An offer that came late has its answer.
    pub(super) fn answers_late(&mut self, cseq: u32, answer: Body) {
        self.rare_mut().late_answers += 1;
        self.will_answer(cseq, answer);
    }
}

impl Session {
    /// Whether the layer above can be asked for the answer to a 2xx with this number, or has been.
    fn may_answer(&self, cseq: u32) -> bool {
        match &self.negotiation {
            Negotiation::Settled => true,
            Negotiation::Recalled(recalled) => recalled.cseq == cseq,
            Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Offered(_)
            | Negotiation::Accepted(_) => false,
        }
    }
}

impl Leg {
    /// The layer above is asked for the answer; while something else is under way, the 2xx comes
    /// again. Who is hung up gets one that takes nothing.
    fn answer_anew(self, turn: &mut Turn<'_>, response: &Response<'_>) -> Self {
        let cseq = response.cseq;
        let declining = declining(response);
        match self {
            Self::Confirmed(state) if state.may_answer(cseq) => {
                if let Some(body) = body_of(&response.message) {
                    turn.emit(LegEvent::OfferRecalled { body });
                }
                let declining = declining.map(Box::new);
                state.becomes(Negotiation::Recalled(Recalled { cseq, declining }))
            }
            mut leg @ (Self::Leaving(_) | Self::HangingUp(_)) => {
                if let Some(answer) = declining {
                    leg.dialog_mut().answers_late(cseq, answer);
                }
                leg.dialog().acknowledge_before(turn.core, cseq);
                leg
            }
            leg @ (Self::Confirmed(_)
            | Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Over(_)) => leg,
        }
    }
}

/// Whether a 2xx brings the offer for which its INVITE asked.
fn asks_for_answer(response: &Response<'_>) -> bool {
    let branch = response.via.branch().and_then(Branch::read);
    branch.is_some_and(Branch::asks) && !response.message.body().is_empty()
}
