//! The caller's side of a call until it is confirmed: an INVITE that waits, one that is being
//! cancelled, and a 2xx that waits for our ACK (RFC 3261 §9.1, §13.2). Afterwards it is a
//! `session`.

use crate::sip::{Message, Method, Request, Response, Status};
use crate::transaction::{ClientKey, ServerKey};

use super::compose::Draft;
use super::core::Sent;
use super::dialog::Dialog;
use super::invites::Invites;
use super::leaving::Leaving;
use super::leg::Leg;
use super::session::Session;
use super::turn::{Turn, body_of, cause_of, reason};
use super::{Body, Cause, LegEvent, Release};

/// An INVITE without a final response.
#[derive(Debug)]
pub(super) struct Calling {
    dialog: Box<Dialog>,
    invite: Sent,
    /// Whether any provisional response came: before it no CANCEL may go.
    proceeding: bool,
}

impl Calling {
    pub(super) fn new(dialog: Box<Dialog>, invite: Sent) -> Self {
        Self {
            dialog,
            invite,
            proceeding: false,
        }
    }

    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    pub(super) fn has_response(&self) -> bool {
        self.proceeding
    }

    pub(super) fn response(mut self, turn: &mut Turn<'_>, response: &Response<'_>) -> Leg {
        let status = response.status;
        if status.is_provisional() {
            self.proceeding = true;
            if status != Status::TRYING {
                let body = body_of(&response.message);
                turn.emit(LegEvent::Progress { status, body });
            }
            return Leg::Calling(self);
        }
        if status.is_success() {
            self.dialog.confirm(response);
            turn.emit(LegEvent::Answered {
                body: body_of(&response.message),
            });
            let mut invites = Invites::opening(&self.invite, self.dialog.local_cseq);
            invites.succeeded(self.invite.client, response);
            let client = self.invite.client;
            return Leg::Answered(Answered {
                dialog: self.dialog,
                client,
                invites,
            });
        }
        let retry_after = response.message.retry_after().ok().flatten();
        self.failed(turn, status, retry_after)
    }

    pub(super) fn failed(
        self,
        turn: &mut Turn<'_>,
        status: Status,
        retry_after: Option<u32>,
    ) -> Leg {
        let after_provisional = self.proceeding;
        turn.emit(LegEvent::Refused {
            status,
            retry_after,
            after_provisional,
        });
        Leg::Over(self.dialog)
    }

    pub(super) fn hang_up(self, turn: &mut Turn<'_>, cause: Cause) -> Leg {
        let cancelling = Cancelling {
            dialog: self.dialog,
            invite: self.invite,
            cause,
        };
        if self.proceeding {
            return cancelling.cancel(turn);
        }
        Leg::CancelHeld(cancelling)
    }
}

/// An INVITE that nobody wants any more; its CANCEL is held until a provisional response has come
/// (`Leg::CancelHeld`) or is on its way (`Leg::Cancelling`).
#[derive(Debug)]
pub(super) struct Cancelling {
    dialog: Box<Dialog>,
    invite: Sent,
    cause: Cause,
}

impl Cancelling {
    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    /// Sends the CANCEL; the transaction gives the INVITE 64*T1 more.
    pub(super) fn cancel(self, turn: &mut Turn<'_>) -> Leg {
        let mut draft = Draft::within(&self.dialog, Method::Cancel, self.dialog.local_cseq);
        draft.fields = reason(self.cause);
        turn.core.cancel(turn.now, self.invite, &draft);
        Leg::Cancelling(self)
    }

    /// The response to the INVITE, while a CANCEL is held.
    pub(super) fn held_response(self, turn: &mut Turn<'_>, response: &Response<'_>) -> Leg {
        if response.status.is_provisional() {
            return self.cancel(turn);
        }
        self.response(turn, response)
    }

    pub(super) fn response(mut self, turn: &mut Turn<'_>, response: &Response<'_>) -> Leg {
        if response.status.is_provisional() {
            return Leg::Cancelling(self);
        }
        if response.status.is_failure() {
            return Leg::Over(self.dialog);
        }
        // RFC 5407 §3.1.2: the CANCEL came too late; the call stands and must be ended.
        let client = self.invite.client;
        self.dialog.confirm(response);
        let mut invites = Invites::opening(&self.invite, self.dialog.local_cseq);
        invites.succeeded(client, response);
        invites.acknowledge(turn, &self.dialog, client, None);
        Leaving::with_invites(turn, self.dialog, invites, self.cause)
    }

    pub(super) fn failed(self) -> Leg {
        Leg::Over(self.dialog)
    }
}

/// A 2xx has come; the layer above is asked for the ACK.
#[derive(Debug)]
pub(super) struct Answered {
    dialog: Box<Dialog>,
    client: ClientKey,
    invites: Invites,
}

impl Answered {
    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    pub(super) fn acknowledge(mut self, turn: &mut Turn<'_>, body: Option<&Body>) -> Leg {
        self.invites
            .acknowledge(turn, &self.dialog, self.client, body);
        Leg::Confirmed(Session::calling(self.dialog, self.invites))
    }

    pub(super) fn response(
        mut self,
        turn: &mut Turn<'_>,
        client: ClientKey,
        response: &Response<'_>,
    ) -> Leg {
        if response.status.is_success() {
            // Its own 2xx once more waits for the ACK like the first one.
            let _ = self
                .invites
                .another_success(turn, &self.dialog, client, response);
        }
        Leg::Answered(self)
    }

    /// The transaction has forgotten the 2xx, which nobody acknowledged: the peer has given the
    /// call up by now, so it is lost.
    pub(super) fn ended(self, turn: &mut Turn<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Lost));
        Leaving::with_invites(turn, self.dialog, Invites::default(), Cause::default())
    }

    /// The caller may end the call at once: ACK, then BYE.
    pub(super) fn hang_up(mut self, turn: &mut Turn<'_>, cause: Cause) -> Leg {
        self.invites
            .acknowledge(turn, &self.dialog, self.client, None);
        Leaving::with_invites(turn, self.dialog, self.invites, cause)
    }

    pub(super) fn bye(mut self, turn: &mut Turn<'_>, message: &Message<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Bye {
            cause: cause_of(message),
        }));
        // RFC 3261 §13.2.2.4: every 2xx gets its ACK, also that of a call that is over.
        self.invites
            .acknowledge(turn, &self.dialog, self.client, None);
        Leaving::silently(self.dialog, self.invites)
    }

    pub(super) fn invite(
        self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Leg {
        turn.reply(server, request, Status::REQUEST_PENDING);
        Leg::Answered(self)
    }

    pub(super) fn offer(self, turn: &mut Turn<'_>) -> Leg {
        turn.emit(LegEvent::OfferRefused {
            status: Status::REQUEST_PENDING,
        });
        Leg::Answered(self)
    }
}
