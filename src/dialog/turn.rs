//! One thing that happens to one leg: the moment, the leg, and what a leg may reach.

use std::time::Instant;

use crate::sip::{HeaderName, Message, Method, Request, Status};
use crate::transaction::{ClientKey, ServerKey};

use super::call_dialog::CallDialog;
use super::compose::{Answer, Draft, Fields, SUPPORTED, allow};
use super::core::{Core, Owner, Sent};
use super::dialog::{Dialog, SessionHalves};
use super::reply::{Copied, Reply};
use super::session_timer::Asked;
use super::{Body, Cause, LegEvent, LegKey, UserAgentEvent};

#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) leg: LegKey,
    /// What responses of this leg say of its Session-ID.
    pub(super) session_id: Option<SessionHalves>,
    pub(super) core: &'a mut Core,
}

impl Turn<'_> {
    pub(super) fn emit(&mut self, event: LegEvent) {
        self.core
            .events
            .push_back(UserAgentEvent::Leg(self.leg, event));
    }

    /// Answers a request of this leg.
    pub(super) fn respond<'r>(
        &mut self,
        server: ServerKey,
        status: Status,
        copied: impl Into<Copied<'r>>,
        mut answer: Answer<'_>,
    ) {
        answer.session_id = self.session_id;
        self.core
            .respond(self.now, server, status, copied.into(), &answer);
        self.core.spare.put_back(answer.fields.into_room());
    }

    /// Answers a request with a status and nothing else.
    pub(super) fn refuse(&mut self, server: ServerKey, reply: &Reply, status: Status) {
        self.respond(server, status, reply, Answer::default());
    }

    /// Answers an in-dialog request at once.
    pub(super) fn reply(&mut self, server: ServerKey, request: &Request<'_>, status: Status) {
        self.reply_with(server, request, status, Fields::default());
    }

    /// Answers an in-dialog request at once, with these lines.
    pub(super) fn reply_with(
        &mut self,
        server: ServerKey,
        request: &Request<'_>,
        status: Status,
        fields: Fields,
    ) {
        let answer = Answer {
            fields,
            ..Answer::default()
        };
        let copied = self.copied(server, request);
        self.respond(server, status, copied, answer);
    }

    /// RFC 3261 §14.2: 500 with a Retry-After of up to ten seconds.
    pub(super) fn ask_for_later(&mut self, server: ServerKey, request: &Request<'_>) {
        let seconds = self.core.retry_after();
        let fields = self.core.fields();
        let fields = fields.with(HeaderName::RetryAfter, format_args!("{seconds}"));
        self.reply_with(server, request, Status::SERVER_INTERNAL_ERROR, fields);
    }

    /// What an answer that is sent at once takes from its request, which is in a dialog and has a
    /// To tag.
    pub(super) fn copied<'r>(&self, server: ServerKey, request: &'r Request<'_>) -> Copied<'r> {
        let source = self.core.transactions.source(server);
        let source = source.expect("a request that is being handled has its transaction");
        Copied::From {
            request,
            source: source.remote,
            tag: "",
            feedback: self.core.transactions.feedback(),
        }
    }

    /// The same for an answer that is sent later.
    pub(super) fn reply_to(&mut self, server: ServerKey, request: &Request<'_>) -> Reply {
        let copied = self.copied(server, request);
        Reply::to(copied, self.core.spare.text())
    }

    /// The answer was sent.
    pub(super) fn replied(&mut self, reply: Reply) {
        self.core.spare.put_back(reply.into_room());
    }

    /// What a 2xx to an INVITE or an UPDATE says; with it the session timer starts anew.
    pub(super) fn success<'b>(
        &mut self,
        dialog: &'b mut CallDialog,
        asked: Asked,
        body: Option<&'b Body>,
    ) -> Answer<'b> {
        let policy = dialog.policy;
        let fields = dialog
            .response_fields(self.core)
            .with_text(HeaderName::Allow, allow(&policy))
            .with_text(HeaderName::Supported, SUPPORTED);
        let fields = dialog.timer.accept(self, asked, &policy, fields);
        Answer {
            contact: Some(dialog.own_contact()),
            fields,
            body,
            ..Answer::default()
        }
    }

    /// Sends an INVITE within the dialog; the offer, if any, is its body.
    pub(super) fn reinvite(
        &mut self,
        dialog: &mut CallDialog,
        body: Option<&Body>,
    ) -> Option<(Sent, u32)> {
        let cseq = dialog.next_cseq();
        let mut draft = Draft::within(dialog, Method::Invite, cseq);
        draft.contact = Some(dialog.own_contact());
        draft.fields = dialog.request_fields(self.core);
        draft.body = body;
        let owner = Owner::Leg(self.leg);
        let sent = self
            .core
            .request(self.now, owner, &dialog.next_hop(), draft);
        sent.ok().map(|sent| (sent, cseq))
    }

    /// Sends a BYE. `None` when there is no room: the peer finds out by itself.
    pub(super) fn bye(&mut self, dialog: &mut Dialog, cause: Cause) -> Option<ClientKey> {
        let cseq = dialog.next_cseq();
        let mut draft = Draft::within(dialog, Method::Bye, cseq);
        draft.fields = reason(self.core.fields(), cause);
        let owner = Owner::Leg(self.leg);
        let sent = self
            .core
            .request(self.now, owner, &dialog.next_hop(), draft);
        sent.ok().map(|sent| sent.client)
    }
}

/// RFC 3326: why, as far as it is known.
pub(super) fn reason(mut fields: Fields, cause: Cause) -> Fields {
    if let Some(status) = cause.sip {
        fields = fields.with(HeaderName::Reason, format_args!("SIP;cause={status}"));
    }
    if let Some(cause) = cause.q850 {
        fields = fields.with(HeaderName::Reason, format_args!("Q.850;cause={cause}"));
    }
    fields
}

/// What the Reasons of a BYE or a CANCEL say, the first of each protocol.
pub(super) fn cause_of(message: &Message<'_>) -> Cause {
    let mut cause = Cause::default();
    for reason in message.reasons().filter_map(Result::ok) {
        let Some(number) = reason.cause() else {
            continue;
        };
        if reason.is_q850() && cause.q850.is_none() {
            cause.q850 = u8::try_from(number)
                .ok()
                .filter(|number| (1..=127).contains(number));
        }
        if reason.is_sip() && cause.sip.is_none() && (200..700).contains(&number) {
            cause.sip = Some(Status(number));
        }
    }
    cause
}

/// The body of a message with its type, if it has one.
pub(super) fn body_of(message: &Message<'_>) -> Option<Body> {
    Body::of(message)
}
