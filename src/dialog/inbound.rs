//! The callee's side of a call until it is confirmed: an INVITE that rings, then a 2xx that waits
//! for its ACK (RFC 3261 §13.3). Afterwards it is a `session`.

use crate::sip::{HeaderName, Message, Request, Status};
use crate::transaction::ServerKey;

use super::accepted::Accepted;
use super::compose::{Answer, Fields};
use super::dialog::Dialog;
use super::leaving::Leaving;
use super::leg::Leg;
use super::reply::Reply;
use super::session::Session;
use super::turn::{Turn, body_of, cause_of};
use super::{Body, Cause, LegEvent, Refusal, Release};

/// An INVITE without a final response.
#[derive(Debug)]
pub(super) struct Ringing {
    dialog: Box<Dialog>,
    server: ServerKey,
    cseq: u32,
    reply: Reply,
}

impl Ringing {
    pub(super) fn new(dialog: Box<Dialog>, server: ServerKey, cseq: u32, reply: Reply) -> Self {
        Self {
            dialog,
            server,
            cseq,
            reply,
        }
    }

    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    pub(super) fn progress(self, turn: &mut Turn<'_>, status: Status, body: Option<&Body>) -> Leg {
        // 100 is the transaction's own, and a final response is none of this command's.
        if (101..200).contains(&status.0) {
            let contact = Some(turn.contact(&self.dialog, self.server));
            let answer = Answer {
                contact,
                fields: Fields::default(),
                body,
            };
            turn.core
                .respond(turn.now, self.server, status, &self.reply, &answer);
        }
        Leg::Ringing(self)
    }

    pub(super) fn answer(self, turn: &mut Turn<'_>, body: Option<&Body>) -> Leg {
        let accepted = Accepted::send(
            turn,
            &self.dialog,
            self.server,
            self.cseq,
            &self.reply,
            body,
        );
        Leg::Unacknowledged(Unacknowledged {
            dialog: self.dialog,
            accepted,
        })
    }

    pub(super) fn refuse(self, turn: &mut Turn<'_>, refusal: Refusal) -> Leg {
        refuse(turn, self.server, &self.reply, refusal);
        Leg::Over(self.dialog)
    }

    pub(super) fn hang_up(self, turn: &mut Turn<'_>) -> Leg {
        turn.refuse(self.server, &self.reply, Status::REQUEST_TERMINATED);
        Leg::Over(self.dialog)
    }

    /// RFC 3261 §9.2; the CANCEL itself has been answered.
    pub(super) fn cancel(self, turn: &mut Turn<'_>, message: &Message<'_>) -> Leg {
        let cause = cause_of(message);
        turn.emit(LegEvent::HungUp(Release::Cancelled { cause }));
        self.hang_up(turn)
    }

    /// RFC 3261 §15: a caller may end an early dialog by BYE.
    pub(super) fn bye(self, turn: &mut Turn<'_>, message: &Message<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Bye {
            cause: cause_of(message),
        }));
        self.hang_up(turn)
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
    dialog: Box<Dialog>,
    accepted: Accepted,
}

impl Unacknowledged {
    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    pub(super) fn acknowledged(self, turn: &mut Turn<'_>, request: &Request<'_>) -> Leg {
        if request.cseq != self.accepted.cseq {
            return Leg::Unacknowledged(self);
        }
        self.accepted.stop(turn);
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
        self.accepted.stop(turn);
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
        self.accepted.stop(turn);
        turn.emit(LegEvent::HungUp(Release::Bye {
            cause: cause_of(message),
        }));
        Leg::Over(self.dialog)
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
    dialog: Box<Dialog>,
    accepted: Accepted,
    cause: Cause,
}

impl HangingUp {
    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut Dialog {
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
        self.accepted.stop(turn);
        Leaving::by_bye(turn, self.dialog, self.cause)
    }

    pub(super) fn bye(self, turn: &mut Turn<'_>) -> Leg {
        self.accepted.stop(turn);
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
        answer.fields = Fields::default().with(HeaderName::RetryAfter, format_args!("{seconds}"));
    }
    turn.core.respond(turn.now, server, status, reply, &answer);
}
