//! The callee's side of a call until it is confirmed: an INVITE that rings, then a 2xx that waits
//! for its ACK (RFC 3261 §13.3). Afterwards it is a `session`.

use crate::sip::{HeaderName, Message, Request, Status};
use crate::spare::Lent;
use crate::transaction::ServerKey;

use super::accepted::{Accepted, Invited, Unheard};
use super::call_dialog::CallDialog;
use super::compose::Answer;
use super::incoming::brings_offer;
use super::leaving::Leaving;
use super::leg::Leg;
use super::provisional::Provisional;
use super::reliable::{self, Reliable};
use super::reply::Reply;
use super::session::Session;
use super::session_timer::Asked;
use super::turn::{Turn, body_of, cause_of};
use super::{Body, Cause, LegEvent, LegPolicy, Refusal, Release};

/// An INVITE without a final response.
#[derive(Debug)]
pub(super) struct Ringing {
    dialog: Box<CallDialog>,
    server: ServerKey,
    cseq: u32,
    reply: Reply,
    asked: Asked,
    /// Whether it has no offer.
    wants_offer: bool,
}

impl Ringing {
    /// The INVITE itself has been checked.
    pub(super) fn new(
        mut dialog: Box<CallDialog>,
        server: ServerKey,
        request: &Request<'_>,
        reply: Reply,
        random: u32,
    ) -> Self {
        // RFC 3262 §3: whoever requires it gets no other provisional response than 100.
        let wants_offer = !brings_offer(&request.message);
        if request.message.has_token(HeaderName::Require, "100rel") {
            let reliable = Reliable::new(random, request.cseq, !wants_offer);
            dialog.rare_mut().reliable = Some(reliable);
        }
        Self {
            dialog,
            server,
            cseq: request.cseq,
            reply,
            asked: Asked::of(&request.message),
            wants_offer,
        }
    }

    pub(super) fn dialog(&self) -> &CallDialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut CallDialog {
        &mut self.dialog
    }

    /// What its trunk wants has become known. Refuses a session that is too short for it
    /// (RFC 4028 §9).
    pub(super) fn adopt(mut self, turn: &mut Turn<'_>, policy: LegPolicy) -> Leg {
        self.dialog.policy = policy;
        if !self.asked.is_too_short(&policy) {
            return Leg::Ringing(self);
        }
        let min_se = policy.min_se;
        let answer = Answer {
            fields: turn
                .core
                .fields()
                .with(HeaderName::MinSe, format_args!("{min_se}")),
            ..Answer::default()
        };
        let status = Status::SESSION_INTERVAL_TOO_SMALL;
        turn.respond(self.server, status, &self.reply, answer);
        Leg::Over(self.dialog)
    }

    pub(super) fn progress(mut self, turn: &mut Turn<'_>, said: Provisional<'_>) -> Leg {
        // 100 is the transaction's own, and a final response is none of this command's.
        if !(101..200).contains(&said.status.0) {
            return Leg::Ringing(self);
        }
        let invited = Invited {
            server: self.server,
            cseq: self.cseq,
            reply: &self.reply,
            asked: self.asked,
            wants_offer: self.wants_offer,
        };
        if self.dialog.reliable_mut().is_some() {
            reliable::progress(turn, &mut self.dialog, &invited, said);
            return Leg::Ringing(self);
        }
        let answer = Answer {
            contact: Some(self.dialog.own_contact()),
            fields: said.fields(&self.dialog, turn.core),
            body: said.body,
            ..Answer::default()
        };
        turn.respond(self.server, said.status, &self.reply, answer);
        Leg::Ringing(self)
    }

    pub(super) fn answer(mut self, turn: &mut Turn<'_>, body: Option<&Body>) -> Leg {
        let mut body = body;
        let is_offered = self.dialog.is_offered_by_prack();
        if let Some(reliable) = self.dialog.reliable_mut() {
            if is_offered {
                reliable.hold(body);
                return Leg::Ringing(self);
            }
            // RFC 3262 §3: no 2xx before the description in the one before is acknowledged.
            if reliable.holds(body) {
                return Leg::Ringing(self);
            }
            reliable.stop(turn.core);
            body = body.filter(|_| !reliable.is_described());
        }
        if let Some(offered) = self.dialog.take_offered() {
            offered.terminate(turn);
        }
        let invited = Invited {
            server: self.server,
            cseq: self.cseq,
            reply: &self.reply,
            asked: self.asked,
            wants_offer: self.wants_offer,
        };
        let accepted = Accepted::send(turn, &mut self.dialog, &invited, body);
        turn.replied(self.reply);
        Leg::Unacknowledged(Unacknowledged {
            dialog: self.dialog,
            accepted,
        })
    }

    /// What an UPDATE (RFC 3311 §5.2) or a PRACK (RFC 3262 §5) has offered is answered.
    pub(super) fn answer_offer(mut self, turn: &mut Turn<'_>, body: Option<&Body>) -> Leg {
        let Some(offered) = self.dialog.take_offered() else {
            return Leg::Ringing(self);
        };
        let is_prack = offered.is_prack();
        // It waits for no ACK.
        let _none = offered.accept(turn, &mut self.dialog, body);
        self.offer_settled(turn, is_prack)
    }

    pub(super) fn refuse_offer(mut self, turn: &mut Turn<'_>, refusal: Refusal) -> Leg {
        let Some(offered) = self.dialog.take_offered() else {
            return Leg::Ringing(self);
        };
        let is_prack = offered.is_prack();
        offered.refuse(turn, refusal);
        self.offer_settled(turn, is_prack)
    }

    fn offer_settled(self, turn: &mut Turn<'_>, is_prack: bool) -> Leg {
        if is_prack {
            self.acknowledged(turn)
        } else {
            Leg::Ringing(self)
        }
    }

    /// The PRACK that was waited for has come, and is answered.
    pub(super) fn acknowledged(mut self, turn: &mut Turn<'_>) -> Leg {
        let held = self.dialog.reliable_mut().and_then(Reliable::take_held);
        if let Some(body) = held {
            return self.answer(turn, body.as_ref());
        }
        let invited = Invited {
            server: self.server,
            cseq: self.cseq,
            reply: &self.reply,
            asked: self.asked,
            wants_offer: self.wants_offer,
        };
        reliable::next(turn, &mut self.dialog, &invited);
        Leg::Ringing(self)
    }

    pub(super) fn repeat(mut self, turn: &mut Turn<'_>) -> Leg {
        reliable::repeat(turn, &mut self.dialog);
        Leg::Ringing(self)
    }

    /// RFC 3262 §3: without a PRACK in 64*T1 the INVITE is refused with a 5xx.
    pub(super) fn give_up(self, turn: &mut Turn<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Unacknowledged));
        self.refuse_with(turn, Status::SERVER_TIMEOUT)
    }

    pub(super) fn refuse(mut self, turn: &mut Turn<'_>, refusal: Refusal) -> Leg {
        self.drop_offered(turn);
        refuse(turn, self.server, &self.reply, refusal);
        Leg::Over(self.dialog)
    }

    /// Nobody is left for the caller, who has not given up: that would be 487 (RFC 3261 §21.4.25).
    pub(super) fn hang_up(self, turn: &mut Turn<'_>) -> Leg {
        self.refuse_with(turn, Status::TEMPORARILY_UNAVAILABLE)
    }

    fn refuse_with(mut self, turn: &mut Turn<'_>, status: Status) -> Leg {
        self.drop_offered(turn);
        turn.refuse(self.server, &self.reply, status);
        Leg::Over(self.dialog)
    }

    fn drop_offered(&mut self, turn: &mut Turn<'_>) {
        if let Some(offered) = self.dialog.take_offered() {
            offered.terminate(turn);
        }
    }

    /// RFC 3261 §9.2; the CANCEL itself has been answered.
    pub(super) fn cancel(self, turn: &mut Turn<'_>, message: &Message<'_>) -> Leg {
        let cause = cause_of(message);
        turn.emit(LegEvent::HungUp(Release::Cancelled { cause }));
        self.refuse_with(turn, Status::REQUEST_TERMINATED)
    }

    /// RFC 3261 §15: a caller may end an early dialog by BYE.
    pub(super) fn bye(self, turn: &mut Turn<'_>, message: &Message<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Bye {
            cause: cause_of(message),
        }));
        self.refuse_with(turn, Status::REQUEST_TERMINATED)
    }

    /// RFC 3261 §14.2: a second INVITE before the first is answered.
    pub(super) fn invite(
        self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Leg {
        turn.ask_for_later(server, request);
        Leg::Ringing(self)
    }
}

/// A 2xx was sent, and no ACK has come.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    dialog: Box<CallDialog>,
    accepted: Lent<Accepted>,
}

impl Unacknowledged {
    /// One of an earlier process.
    pub(super) fn recall(turn: &mut Turn<'_>, dialog: Box<CallDialog>, unheard: Unheard) -> Leg {
        let accepted = Accepted::recall(turn, &dialog, unheard);
        Leg::Unacknowledged(Self { dialog, accepted })
    }

    pub(super) fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    pub(super) fn dialog(&self) -> &CallDialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut CallDialog {
        &mut self.dialog
    }

    pub(super) fn acknowledged(self, turn: &mut Turn<'_>, request: &Request<'_>) -> Leg {
        if request.cseq != self.accepted.cseq {
            return Leg::Unacknowledged(self);
        }
        Accepted::stop(turn, self.accepted);
        turn.emit(LegEvent::Acknowledged {
            body: body_of(&request.message),
        });
        Leg::Confirmed(Session::called(self.dialog))
    }

    pub(super) fn repeat(mut self, turn: &mut Turn<'_>) -> Leg {
        self.accepted.repeat(turn);
        Leg::Unacknowledged(self)
    }

    /// RFC 3261 §13.3.1.4: without an ACK the dialog stands, so a BYE must end it.
    pub(super) fn give_up(self, turn: &mut Turn<'_>) -> Leg {
        Accepted::stop(turn, self.accepted);
        turn.emit(LegEvent::HungUp(Release::Unacknowledged));
        Leaving::by_bye(turn, self.dialog, Cause::default())
    }

    /// RFC 3261 §15: the callee sends no BYE before the ACK has come, or has failed to.
    pub(super) fn hang_up(self, cause: Cause) -> Leg {
        Leg::HangingUp(HangingUp {
            dialog: self.dialog,
            accepted: self.accepted,
            cause,
        })
    }

    /// RFC 5407 §3.1: the caller's BYE has overtaken its ACK.
    pub(super) fn bye(self, turn: &mut Turn<'_>, message: &Message<'_>) -> Leg {
        Accepted::stop(turn, self.accepted);
        turn.emit(LegEvent::HungUp(Release::Bye {
            cause: cause_of(message),
        }));
        Leg::Over(self.dialog)
    }

    /// RFC 3311 §5.2: an UPDATE with an offer, which meets that of our 2xx or overtakes the ACK.
    pub(super) fn update(&self, turn: &mut Turn<'_>, server: ServerKey, request: &Request<'_>) {
        self.accepted.is_met(turn, server, request);
    }

    /// The offer of the first INVITE may still be open: its answer may be in the ACK.
    pub(super) fn invite(
        self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Leg {
        turn.reply(server, request, Status::REQUEST_PENDING);
        Leg::Unacknowledged(self)
    }

    /// RFC 3261 §14.1: no INVITE while another is under way.
    pub(super) fn offer(self, turn: &mut Turn<'_>) -> Leg {
        turn.emit(LegEvent::OfferRefused {
            status: Status::REQUEST_PENDING,
        });
        Leg::Unacknowledged(self)
    }
}

/// A 2xx was sent, nobody wants the call any more, and the BYE waits for the ACK.
#[derive(Debug)]
pub(super) struct HangingUp {
    dialog: Box<CallDialog>,
    accepted: Lent<Accepted>,
    cause: Cause,
}

impl HangingUp {
    pub(super) fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    pub(super) fn dialog(&self) -> &CallDialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut CallDialog {
        &mut self.dialog
    }

    pub(super) fn acknowledged(self, turn: &mut Turn<'_>, request: &Request<'_>) -> Leg {
        if request.cseq != self.accepted.cseq {
            return Leg::HangingUp(self);
        }
        self.give_up(turn)
    }

    pub(super) fn repeat(mut self, turn: &mut Turn<'_>) -> Leg {
        self.accepted.repeat(turn);
        Leg::HangingUp(self)
    }

    pub(super) fn give_up(self, turn: &mut Turn<'_>) -> Leg {
        Accepted::stop(turn, self.accepted);
        Leaving::by_bye(turn, self.dialog, self.cause)
    }

    pub(super) fn bye(self, turn: &mut Turn<'_>) -> Leg {
        Accepted::stop(turn, self.accepted);
        Leg::Over(self.dialog)
    }
}

/// Sends the final response of a refusal; anything that is not one becomes a 500.
pub(super) fn refuse(turn: &mut Turn<'_>, server: ServerKey, reply: &Reply, refusal: Refusal) {
    let status = match refusal.status.0 {
        300..=699 => refusal.status,
        _ => Status::SERVER_INTERNAL_ERROR,
    };
    let mut answer = Answer::default();
    if let Some(seconds) = refusal.retry_after {
        let fields = turn.core.fields();
        answer.fields = fields.with(HeaderName::RetryAfter, format_args!("{seconds}"));
    }
    turn.respond(server, status, reply, answer);
}
