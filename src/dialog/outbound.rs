//! The caller's side of a call until it is confirmed: an INVITE that waits, one that is being
//! cancelled, and a 2xx that waits for our ACK (RFC 3261 §9.1, §13.2). Afterwards it is a
//! `session`.

use std::time::Instant;

use crate::sip::{HeaderName, Message, Method, Request, Response, Status};
use crate::transaction::{ClientKey, Full, ServerKey};

use super::asides;
use super::call_dialog::CallDialog;
use super::compose::{Draft, Fields, SUPPORTED, allow};
use super::core::{Core, Owner, Sent};
use super::early::{Early, Heard};
use super::extensions::{Standing, early_offer};
use super::incoming::offer_of;
use super::invites::{AckOwed, Invites};
use super::leaving::Leaving;
use super::leg::Leg;
use super::session::Session;
use super::turn::{Turn, body_of, cause_of, reason};
use super::{Body, Cause, LegEvent, LegKey, Refusal, Release};

/// An INVITE without a final response.
#[derive(Debug)]
pub(super) struct Calling {
    dialog: Box<CallDialog>,
    invite: Sent,
    /// That of the INVITE: requests in early dialogs have higher ones.
    cseq: u32,
    /// Whether any provisional response came: before it no CANCEL may go.
    proceeding: bool,
    /// Whether anything has come back at all.
    heard: bool,
    /// What the INVITE said, where it may have to be said again.
    opening: Option<Box<Opening>>,
    /// Whether it has an offer.
    offers: bool,
    early: Early,
}

/// What an INVITE says besides what its dialog decides.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) fields: Fields,
    pub(super) body: Option<Body>,
    pub(super) max_forwards: u8,
}

impl Opening {
    /// Sends the INVITE that opens the dialog.
    pub(super) fn send(
        &self,
        now: Instant,
        core: &mut Core,
        key: LegKey,
        dialog: &CallDialog,
    ) -> Result<Sent, Full> {
        let mut draft = Draft::within(dialog, Method::Invite, dialog.local_cseq);
        draft.max_forwards = self.max_forwards;
        draft.contact = Some(dialog.own_contact());
        // RFC 3262 §4; RFC 3261 §13.2.1: without an offer of ours a reliable response would bring
        // one, and its answer would have to be known at once.
        let reliable = dialog.policy.reliable_provisional && self.body.is_some();
        let more = if reliable { ", 100rel" } else { "" };
        let fields = core.fields();
        let fields = fields
            .with_text(HeaderName::Allow, allow(&dialog.policy))
            .with(HeaderName::Supported, format_args!("{SUPPORTED}{more}"));
        draft.fields = dialog
            .timer
            .request_fields(fields, &dialog.policy)
            .and(&self.fields);
        draft.body = self.body.as_ref();
        core.request(now, Owner::Leg(key), &dialog.next_hop(), draft)
    }
}

impl Calling {
    pub(super) fn new(
        core: &mut Core,
        dialog: Box<CallDialog>,
        invite: Sent,
        opening: Opening,
    ) -> Self {
        let repeats = dialog.policy.session_expires.is_some() || dialog.authorization.is_some();
        let offers = opening.body.is_some();
        let opening = if repeats {
            Some(Box::new(opening))
        } else {
            core.spare.put_back(opening.fields.into_room());
            None
        };
        Self {
            cseq: dialog.local_cseq,
            dialog,
            invite,
            proceeding: false,
            heard: false,
            offers,
            opening,
            early: Early::default(),
        }
    }

    pub(super) fn dialog(&self) -> &CallDialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut CallDialog {
        &mut self.dialog
    }

    pub(super) fn has_response(&self) -> bool {
        self.heard
    }

    pub(super) fn is_with(&self, tag: Option<&str>) -> bool {
        self.early.is_with(tag)
    }

    /// Asks the phone that rings to answer; there is none before its first provisional response.
    pub(super) fn talk(&mut self, turn: &mut Turn<'_>) {
        if let Some(early) = self.early.latest() {
            asides::talk(turn, &mut self.dialog, Some(early));
        }
    }

    /// RFC 3311 §5.2: an UPDATE with an offer, of a phone that rings.
    pub(super) fn update(&mut self, turn: &mut Turn<'_>, server: ServerKey, request: &Request<'_>) {
        let tag = request.from_tag;
        let standing = if self.early.is_answered(tag) {
            Standing::Agreed
        } else if self.offers {
            Standing::OursIsOpen
        } else {
            Standing::TheirsIsOpen
        };
        if early_offer(turn, &mut self.dialog, (server, request), standing) {
            self.early.offers(tag, offer_of(&request.message));
        }
    }

    pub(super) fn answer_offer(mut self, turn: &mut Turn<'_>, body: Option<&Body>) -> Leg {
        if let Some(mut update) = self.dialog.take_offered() {
            self.early.offer_accepted(update.take_contact());
            // It waits for no ACK.
            let _none = update.accept(turn, &mut self.dialog, body);
        }
        Leg::Calling(self)
    }

    pub(super) fn refuse_offer(mut self, turn: &mut Turn<'_>, refusal: Refusal) -> Leg {
        if let Some(update) = self.dialog.take_offered() {
            update.refuse(turn, refusal);
            self.early.offer_refused();
        }
        Leg::Calling(self)
    }

    pub(super) fn response(mut self, turn: &mut Turn<'_>, response: &Response<'_>) -> Leg {
        let status = response.status;
        self.heard = true;
        if status.is_provisional() {
            self.proceeding = true;
            self.provisional(turn, response);
            return Leg::Calling(self);
        }
        if status.is_success() {
            return self.answered(turn, response);
        }
        if status == Status::SESSION_INTERVAL_TOO_SMALL
            && self.opening.is_some()
            && self.dialog.timer.raise(&response.message)
        {
            return self.ask_again(turn);
        }
        let client_nonce = turn.core.tag().0;
        if self.opening.is_some() && self.dialog.is_challenged(response, client_nonce) {
            return self.ask_again(turn);
        }
        let retry_after = response.message.retry_after().ok().flatten();
        self.failed(turn, status, retry_after)
    }

    fn provisional(&mut self, turn: &mut Turn<'_>, response: &Response<'_>) {
        let status = response.status;
        if status == Status::TRYING {
            return;
        }
        let body = body_of(&response.message);
        match self.early.hear(turn, &mut self.dialog, self.cseq, response) {
            Heard::Once | Heard::Reliably => turn.emit(LegEvent::Progress { status, body }),
            Heard::Before => {}
        }
    }

    fn answered(mut self, turn: &mut Turn<'_>, response: &Response<'_>) -> Leg {
        self.dialog.confirm(response);
        self.dialog.timer.accepted(turn, &response.message);
        if let Some(opening) = &self.opening {
            self.dialog.describe(opening.body.as_ref());
        }
        if let Some(update) = self.dialog.take_offered() {
            update.terminate(turn);
        }
        let body = self.dialog.hear(turn.core, &response.message);
        let mut invites = Invites::opening(turn.core, &self.invite, self.cseq);
        invites.succeeded(turn, self.invite.client, body.as_ref());
        let body = self.early.last_word(response.to_tag, body);
        turn.emit(LegEvent::Answered { body });
        Leg::Answered(Answered {
            dialog: self.dialog,
            owed: AckOwed::new(turn, self.invite.client),
            invites,
        })
    }

    /// RFC 4028 §7.3: the same INVITE once more, with the interval that the callee wants.
    fn ask_again(mut self, turn: &mut Turn<'_>) -> Leg {
        self.cseq = self.dialog.next_cseq();
        self.early = Early::default();
        let sent = self
            .opening
            .as_ref()
            .map(|opening| opening.send(turn.now, turn.core, turn.leg, &self.dialog));
        match sent {
            Some(Ok(sent)) => {
                self.invite = sent;
                // It is a new INVITE: no CANCEL before it has been heard of.
                self.proceeding = false;
                Leg::Calling(self)
            }
            Some(Err(Full)) | None => self.failed(turn, Status::SERVICE_UNAVAILABLE, None),
        }
    }

    pub(super) fn failed(
        mut self,
        turn: &mut Turn<'_>,
        status: Status,
        retry_after: Option<u32>,
    ) -> Leg {
        if let Some(update) = self.dialog.take_offered() {
            update.terminate(turn);
        }
        let after_provisional = self.proceeding;
        turn.emit(LegEvent::Refused {
            status,
            retry_after,
            after_provisional,
        });
        Leg::Over(self.dialog)
    }

    /// RFC 3261 §15: a callee ends no early dialog by BYE. It has answered, and its BYE has
    /// overtaken its 2xx, which is acknowledged when it comes.
    pub(super) fn bye(self, turn: &mut Turn<'_>, message: &Message<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Bye {
            cause: cause_of(message),
        }));
        self.hang_up(turn, Cause::default())
    }

    pub(super) fn hang_up(mut self, turn: &mut Turn<'_>, cause: Cause) -> Leg {
        if let Some(update) = self.dialog.take_offered() {
            update.terminate(turn);
        }
        let cancelling = Cancelling {
            dialog: self.dialog,
            invite: self.invite,
            cseq: self.cseq,
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
    dialog: Box<CallDialog>,
    invite: Sent,
    cseq: u32,
    cause: Cause,
}

impl Cancelling {
    pub(super) fn dialog(&self) -> &CallDialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut CallDialog {
        &mut self.dialog
    }

    /// Sends the CANCEL; the transaction gives the INVITE 64*T1 more.
    pub(super) fn cancel(self, turn: &mut Turn<'_>) -> Leg {
        let mut draft = Draft::within(&self.dialog, Method::Cancel, self.cseq);
        draft.fields = reason(turn.core.fields(), self.cause);
        turn.core.cancel(turn.now, self.invite, draft);
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
        let body = self.dialog.hear(turn.core, &response.message);
        let mut invites = Invites::opening(turn.core, &self.invite, self.cseq);
        invites.succeeded(turn, client, body.as_ref());
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
    dialog: Box<CallDialog>,
    owed: AckOwed,
    invites: Invites,
}

impl Answered {
    pub(super) fn dialog(&self) -> &CallDialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut CallDialog {
        &mut self.dialog
    }

    pub(super) fn acknowledge(mut self, turn: &mut Turn<'_>, body: Option<&Body>) -> Leg {
        self.dialog.describe(body);
        self.send_ack(turn, body);
        Leg::Confirmed(Session::calling(self.dialog, self.invites))
    }

    pub(super) fn response(
        mut self,
        turn: &mut Turn<'_>,
        client: ClientKey,
        response: &Response<'_>,
    ) -> Leg {
        if response.status.is_success() {
            self.invites
                .another_success(turn, &self.dialog, client, response);
        }
        Leg::Answered(self)
    }

    pub(super) fn ack_waits(mut self, turn: &mut Turn<'_>) -> Leg {
        if self.owed.is_due(turn, &self.invites) {
            turn.emit(LegEvent::AcknowledgementDue);
        }
        Leg::Answered(self)
    }

    fn send_ack(&mut self, turn: &mut Turn<'_>, body: Option<&Body>) {
        let ack = (&**self.dialog, body);
        self.owed.acknowledge(turn, &mut self.invites, ack);
    }

    /// The transaction has forgotten the 2xx, which nobody above has acknowledged: the peer has
    /// given the call up by now, so it is lost. Its 2xx gets its ACK all the same.
    pub(super) fn ended(mut self, turn: &mut Turn<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Lost));
        self.send_ack(turn, None);
        Leaving::with_invites(turn, self.dialog, Invites::default(), Cause::default())
    }

    /// The caller may end the call at once: ACK, then BYE.
    pub(super) fn hang_up(mut self, turn: &mut Turn<'_>, cause: Cause) -> Leg {
        self.send_ack(turn, None);
        Leaving::with_invites(turn, self.dialog, self.invites, cause)
    }

    pub(super) fn bye(mut self, turn: &mut Turn<'_>, message: &Message<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Bye {
            cause: cause_of(message),
        }));
        // RFC 3261 §13.2.2.4: every 2xx gets its ACK, also that of a call that is over.
        self.send_ack(turn, None);
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
