//! An INVITE, an UPDATE or a PRACK of the peer's within a call that offers, until the layer above
//! has decided. What an UPDATE (RFC 3311 §5.2) or a PRACK asks is answered in one step: there is no
//! ACK to wait for.

use offhook_shards::wheel::TimerKey;

use crate::sip::{Request, Status};
use crate::spare::Lent;
use crate::transaction::ServerKey;

use super::accepted::{Accepted, Invited};
use super::call_dialog::CallDialog;
use super::compose::Answer;
use super::core::Timer;
use super::dialog::contact_of;
use super::inbound::refuse;
use super::reply::Reply;
use super::session_timer::Asked;
use super::turn::Turn;
use super::{Body, LegEvent, Refusal};

#[derive(Debug)]
pub(super) struct Offered {
    pub(super) server: ServerKey,
    cseq: u32,
    reply: Reply,
    /// Another one than before; takes effect when the request is accepted.
    contact: Option<Box<str>>,
    asked: Asked,
    /// Whether it has no offer.
    wants_offer: bool,
    by: By,
    /// When the peer must have an answer.
    due: Option<TimerKey>,
}

/// The method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Invite,
    Update,
    /// Before the INVITE is answered; it moves no target and no session timer.
    Prack,
}

impl Offered {
    /// Reports it.
    pub(super) fn new(
        turn: &mut Turn<'_>,
        dialog: &mut CallDialog,
        (server, request): (ServerKey, &Request<'_>),
        by: By,
    ) -> Self {
        let message = &request.message;
        let body = dialog.hear_offer(turn.core, message);
        let wants_offer = body.is_none();
        turn.emit(LegEvent::Offered { body });
        Self {
            server,
            cseq: request.cseq,
            reply: turn.reply_to(server, request),
            contact: dialog.new_contact(request.contact.as_ref()),
            asked: Asked::of(message),
            wants_offer,
            by,
            due: None,
        }
    }

    /// The dialog that it is in may be another one than the leg's, with another target.
    pub(super) fn in_any_dialog(mut self, request: &Request<'_>) -> Self {
        self.contact = contact_of(request.contact.as_ref());
        self
    }

    /// Its sender waits for the answer for 64*T1 and takes the call for lost then (RFC 3261
    /// §17.1.2.2, timer F), while who is across may be asked by INVITE, for as long.
    pub(super) fn bounded(mut self, turn: &mut Turn<'_>) -> Self {
        let (t1, t2) = (turn.core.config.t1, turn.core.config.t2);
        let at = turn.now + (t1 * 64).saturating_sub(t2);
        self.due = Some(turn.core.arm(at, Timer::AnswerMissing(turn.leg)));
        self
    }

    /// The layer above has no answer in time (RFC 3311 §5.2: 504).
    pub(super) fn give_up(self, turn: &mut Turn<'_>) {
        let refusal = Refusal {
            status: Status::SERVER_TIMEOUT,
            retry_after: None,
        };
        self.refuse(turn, refusal);
        turn.emit(LegEvent::OfferCancelled);
    }

    fn disarm(&self, turn: &mut Turn<'_>) {
        if let Some(due) = self.due {
            turn.core.disarm(due);
        }
    }

    pub(super) fn is_prack(&self) -> bool {
        self.by == By::Prack
    }

    /// Where the peer wants to be asked from now on, for a dialog other than the leg's.
    pub(super) fn take_contact(&mut self) -> Option<Box<str>> {
        self.contact.take()
    }

    /// Sends the 2xx. What comes back waits for its ACK.
    pub(super) fn accept(
        self,
        turn: &mut Turn<'_>,
        dialog: &mut CallDialog,
        body: Option<&Body>,
    ) -> Option<Lent<Accepted>> {
        self.disarm(turn);
        match self.by {
            By::Invite => {
                dialog.refresh(self.contact);
                let invited = Invited {
                    server: self.server,
                    cseq: self.cseq,
                    reply: &self.reply,
                    asked: self.asked,
                    wants_offer: self.wants_offer,
                };
                let accepted = Accepted::send(turn, dialog, &invited, body);
                turn.replied(self.reply);
                Some(accepted)
            }
            By::Update => {
                dialog.refresh(self.contact);
                let answer = turn.success(dialog, self.asked, body);
                turn.respond(self.server, Status::OK, &self.reply, answer);
                turn.replied(self.reply);
                dialog.describe(body);
                turn.emit(LegEvent::OfferAcknowledged { body: None });
                None
            }
            By::Prack => {
                let answer = Answer {
                    fields: dialog.response_fields(turn.core),
                    body,
                    ..Answer::default()
                };
                turn.respond(self.server, Status::OK, &self.reply, answer);
                turn.replied(self.reply);
                dialog.describe(body);
                turn.emit(LegEvent::OfferAcknowledged { body: None });
                None
            }
        }
    }

    pub(super) fn refuse(self, turn: &mut Turn<'_>, refusal: Refusal) {
        self.disarm(turn);
        refuse(turn, self.server, &self.reply, refusal);
        turn.replied(self.reply);
    }

    /// The request goes down with something greater.
    pub(super) fn terminate(self, turn: &mut Turn<'_>) {
        self.disarm(turn);
        turn.respond(
            self.server,
            Status::REQUEST_TERMINATED,
            &self.reply,
            Answer::default(),
        );
        turn.replied(self.reply);
    }
}
