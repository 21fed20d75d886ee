//! Requests from outside: judged, then given to the dialog they belong to (RFC 3261 §8.2,
//! §12.2.2).

use std::time::Instant;

use offhook_shards::Source;

use crate::counters::Counter;
use crate::limits::{LEGS_MAX, RETRY_AFTER_SECONDS};
use crate::sip::{HeaderName, Method, Request, Status};
use crate::transaction::{Incoming, ServerKey};

use super::call_dialog::CallDialog;
use super::compose::{ALLOW, Answer, Fields};
use super::dialog::{Dialog, Tag};
use super::digits::Digits;
use super::identity::{fingerprint, invitation, says_who};
use super::inbound::Ringing;
use super::incoming::{Unserved, check};
use super::leg::{Leg, Stage};
use super::reply::{Copied, Reply};
use super::subscription::PACKAGE;
use super::turn::Turn;
use super::user_agent::UserAgent;
use super::who::Role;
use super::{LegKey, LegPolicy, Replaces, UserAgentEvent, refer};

impl UserAgent {
    /// Takes a request; `is_trusted` says whether it is believed who calls.
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        source: Source,
        is_trusted: bool,
        request: &Request<'_>,
    ) {
        // Its 2xx is said again until the ACK comes, whoever asks for it.
        if self.repeats_before_crash(request) {
            return;
        }
        match self.core.transactions.handle_request(now, request, source) {
            Incoming::New(server) => self.serve(now, (source, is_trusted), server, request),
            Incoming::Absorbed => {}
            Incoming::Acknowledge => self.acknowledged(now, request),
            Incoming::Cancel { key, invite } => self.cancel(now, key, invite, request),
            Incoming::Merged(server) => {
                self.core.count(Counter::RequestLoop);
                self.reply(
                    now,
                    server,
                    request,
                    Status::LOOP_DETECTED,
                    Fields::default(),
                );
            }
            Incoming::Full => {
                self.core.count(if request.method == Method::Invite {
                    Counter::InviteOverload
                } else {
                    Counter::RequestOverload
                });
                let status = Status::SERVICE_UNAVAILABLE;
                self.answer_stateless(source, request, status, retry_later());
            }
        }
    }

    /// Whether this is the INVITE of a call that an earlier process has answered: its transaction
    /// is gone, and it must not begin another call.
    pub(super) fn repeats_before_crash(&self, request: &Request<'_>) -> bool {
        let is_initial = request.method == Method::Invite && request.to_tag.is_none();
        let tag = request.from_tag.unwrap_or_default();
        is_initial && (self.core.table).was_accepted(request.call_id, tag, request.cseq)
    }

    fn serve(
        &mut self,
        now: Instant,
        from: (Source, bool),
        server: ServerKey,
        request: &Request<'_>,
    ) {
        if let Err(unserved) = check(&self.core, request) {
            let Unserved {
                status,
                counter,
                fields,
            } = unserved;
            self.core.count(counter);
            self.reply(now, server, request, status, fields);
            return;
        }
        match request.method {
            Method::Invite if request.to_tag.is_none() => {
                self.invited(now, from, server, request);
            }
            Method::Invite => self.reinvited(now, server, request),
            Method::Bye => self.bye(now, server, request),
            Method::Options => self.options(now, server, request),
            Method::Notify => self.notify(now, server, request),
            Method::Update => self.in_call(now, server, request, Leg::update),
            Method::Prack => self.in_call(now, server, request, Leg::prack),
            Method::Info => self.info_request(now, server, request),
            Method::Refer => self.refer(now, server, request),
            // `check` has refused these; ACK and CANCEL never become a transaction to serve.
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Publish
            | Method::Message
            | Method::Other(_) => {
                self.reply(
                    now,
                    server,
                    request,
                    Status::NOT_IMPLEMENTED,
                    Fields::default(),
                );
            }
        }
    }

    fn invited(
        &mut self,
        now: Instant,
        (source, is_trusted): (Source, bool),
        server: ServerKey,
        request: &Request<'_>,
    ) {
        // RFC 7332: a B2BUA is a hop too.
        if request.max_forwards == Some(0) {
            self.core.count(Counter::RequestLoop);
            let status = Status::TOO_MANY_HOPS;
            self.reply(now, server, request, status, Fields::default());
            return;
        }
        // RFC 3261 §8.1.1.8: without a Contact there is nowhere to send a BYE to. Of several, which
        // the RFC forbids, the first is as good as any.
        // A caller of RFC 2543, told by its branch, need not have one: From is its address.
        let contact = match request.contact {
            None if !is_rfc_3261(request) => request.from.read().ok(),
            contact => contact,
        };
        let Some(contact) = contact else {
            self.core.count(Counter::MessageMalformed);
            self.reply(now, server, request, Status::BAD_REQUEST, Fields::default());
            return;
        };
        if self.legs.len() == LEGS_MAX {
            self.core.count(Counter::InviteOverload);
            let status = Status::SERVICE_UNAVAILABLE;
            self.reply(now, server, request, status, retry_later());
            return;
        }
        let replaces = match takes_place(request) {
            Ok(replaces) => replaces,
            Err(status) => {
                self.reply(now, server, request, status, Fields::default());
                return;
            }
        };
        let tag = self.core.tag();
        let dialog = Dialog::accept(request, &contact, source, tag);
        let mut dialog = Box::new(CallDialog::new(dialog, LegPolicy::default(), Role::Called));
        dialog.peer.hear(&request.message);
        let offer = dialog.hear_offer(&mut self.core, &request.message);
        let core = &self.core;
        dialog.heard = fingerprint(&request.message, |bytes| core.tag_for(bytes).0);
        let copied = Copied::From {
            request,
            source: source.remote,
            tag: &tag.text(),
            feedback: self.core.transactions.feedback(),
        };
        let reply = Reply::for_long(copied, &mut self.core.scratch);
        let random = self.core.below(u32::MAX);
        let ringing = Ringing::new(dialog, server, request, reply, random);
        let key = self.legs.insert(Some(Leg::Ringing(ringing)));
        self.core.table.insert(request.call_id, tag, key);
        self.core.invites.insert(server, (key, tag));
        self.hear_session_id(key, request.message.session_id());
        if !is_trusted && says_who(&request.message) {
            self.core.count(Counter::IdentityUntrusted);
        }
        let mut invitation = Box::new(invitation(request, source, is_trusted));
        invitation.replaces = replaces;
        invitation.offer = offer;
        self.core
            .events
            .push_back(UserAgentEvent::Invited(key, invitation));
    }

    /// A request within a call that its leg answers.
    fn in_call(
        &mut self,
        now: Instant,
        server: ServerKey,
        request: &Request<'_>,
        happen: impl FnOnce(Leg, &mut Turn<'_>, ServerKey, &Request<'_>) -> Leg,
    ) {
        if let Some(key) = self.leg_in_order(now, server, request) {
            self.hear_request(key, request);
            self.with_leg(now, key, |leg, turn| happen(leg, turn, server, request));
        }
    }

    /// RFC 6086 §4.2.2: we have offered to take no Info-Package.
    fn info_request(&mut self, now: Instant, server: ServerKey, request: &Request<'_>) {
        let packaged = |name: &[u8]| name.eq_ignore_ascii_case(b"Info-Package");
        let mut unknown = request.message.unknown_headers();
        if request.to_tag.is_some() && unknown.any(|(name, _)| packaged(name)) {
            let status = Status::BAD_INFO_PACKAGE;
            self.reply(now, server, request, status, Fields::default());
            return;
        }
        self.in_call(now, server, request, Leg::informed);
    }

    fn refer(&mut self, now: Instant, server: ServerKey, request: &Request<'_>) {
        // A REFER outside a call asks us to call somebody: nobody may.
        if request.to_tag.is_none() {
            self.core.count(Counter::RequestMethod);
            let status = Status::FORBIDDEN;
            self.reply(now, server, request, status, Fields::default());
            return;
        }
        let mut refer = refer::read(request);
        if let Ok(refer) = &mut refer {
            refer.replaced = refer.replaces.as_ref().and_then(|named| {
                let found = self.named(named);
                found
                    .filter(|(_, stage)| *stage != Stage::Ending)
                    .map(|(key, _)| key)
            });
        }
        self.in_call(now, server, request, |leg, turn, server, request| {
            leg.referred(turn, server, request, refer)
        });
    }

    fn reinvited(&mut self, now: Instant, server: ServerKey, request: &Request<'_>) {
        self.in_call(now, server, request, Leg::invite);
    }

    fn bye(&mut self, now: Instant, server: ServerKey, request: &Request<'_>) {
        let Some(key) = self.leg_named(now, server, request) else {
            return;
        };
        // RFC 3261 §12.2.2: a number that has been passed is refused. Yet whoever says BYE has
        // hung up, whatever the answer (§15.1.1): one that comes late ends the leg all the same.
        let status = if self.is_in_order(key, request) {
            Status::OK
        } else {
            Status::SERVER_INTERNAL_ERROR
        };
        self.hear_request(key, request);
        self.with_leg(now, key, |leg, turn| {
            turn.reply(server, request, status);
            leg.bye(turn, &request.message)
        });
    }

    /// RFC 3261 §11.2. Max-Forwards is not looked at: UCM pings with 0, and the ping ends here.
    fn options(&mut self, now: Instant, server: ServerKey, request: &Request<'_>) {
        if request.to_tag.is_some() && self.leg_in_order(now, server, request).is_none() {
            return;
        }
        if self.draining {
            self.reply(
                now,
                server,
                request,
                Status::SERVICE_UNAVAILABLE,
                retry_later(),
            );
            return;
        }
        let fields = Fields::default()
            .with_text(HeaderName::Allow, ALLOW)
            .with_text(HeaderName::Accept, "application/sdp")
            .with_text(HeaderName::AllowEvents, PACKAGE);
        self.reply(now, server, request, Status::OK, fields);
    }

    fn notify(&mut self, now: Instant, server: ServerKey, request: &Request<'_>) {
        let event = request.message.event().ok().flatten();
        if !event.is_some_and(|event| event.is(PACKAGE)) {
            self.core.count(Counter::NotifyUnknown);
            let fields = Fields::default().with_text(HeaderName::AllowEvents, PACKAGE);
            self.reply(now, server, request, Status::BAD_EVENT, fields);
            return;
        }
        let Some(key) = self.subscription_of(request) else {
            self.core.count(Counter::NotifyUnknown);
            let status = Status::CALL_DOES_NOT_EXIST;
            self.reply(now, server, request, status, Fields::default());
            return;
        };
        let tag = self.minted_tag(request);
        let copied = self.copied(server, request, &tag);
        self.with_subscription(now, key, |it, moment| {
            it.notify(moment, server, request, copied)
        });
    }

    /// RFC 3261 §9.2: answered for itself; the INVITE, if it waits still, gets its 487.
    fn cancel(
        &mut self,
        now: Instant,
        server: ServerKey,
        invite: Option<ServerKey>,
        request: &Request<'_>,
    ) {
        let Some(invite) = invite else {
            self.core.count(Counter::RequestUnknownDialog);
            let status = Status::CALL_DOES_NOT_EXIST;
            self.reply(now, server, request, status, Fields::default());
            return;
        };
        // An INVITE that `check` refused has no leg.
        let Some((key, tag)) = self.core.invites.get(invite).copied() else {
            self.reply(now, server, request, Status::OK, Fields::default());
            return;
        };
        // The To tag of the INVITE's own responses.
        let tag = tag.text();
        let copied = self.copied(server, request, &tag);
        let answer = Answer::default();
        self.core.respond(now, server, Status::OK, copied, &answer);
        if self.core.transactions.is_unanswered(invite) {
            self.with_leg(now, key, |leg, turn| {
                leg.cancel(turn, invite, &request.message)
            });
        }
    }

    /// An ACK that is no part of a transaction: for the dialog it names, or for nobody.
    fn acknowledged(&mut self, now: Instant, request: &Request<'_>) {
        if let Some(key) = self.leg_of(request) {
            self.with_leg(now, key, |leg, turn| leg.acknowledged(turn, request));
        }
    }

    /// The leg whose dialog the request names by Call-ID and both tags.
    pub(super) fn leg_of(&self, request: &Request<'_>) -> Option<LegKey> {
        let key = self.core.table.find(request.call_id, request.to_tag?)?;
        let leg = self.leg(key)?;
        // A BYE may overtake the 2xx with which its sender names itself.
        let overtakes = request.method == Method::Bye && leg.awaits_answer();
        let with_peer = overtakes || leg.is_with(request.from_tag);
        let ours = *leg.dialog().call_id() == *request.call_id && with_peer;
        ours.then_some(key)
    }

    /// The leg of an in-dialog request, if there is one and the request is in order; otherwise
    /// the request has been answered.
    fn leg_in_order(
        &mut self,
        now: Instant,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Option<LegKey> {
        let key = self.leg_named(now, server, request)?;
        if self.is_in_order(key, request) {
            return Some(key);
        }
        let status = Status::SERVER_INTERNAL_ERROR;
        self.reply(now, server, request, status, Fields::default());
        None
    }

    /// The leg of an in-dialog request; one that belongs to none has been answered.
    fn leg_named(
        &mut self,
        now: Instant,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Option<LegKey> {
        let key = self.leg_of(request);
        if key.is_none() {
            self.core.count(Counter::RequestUnknownDialog);
            let status = Status::CALL_DOES_NOT_EXIST;
            self.reply(now, server, request, status, Fields::default());
        }
        key
    }

    /// Whether a request comes after those that its leg has taken, which it then counts among them.
    fn is_in_order(&mut self, key: LegKey, request: &Request<'_>) -> bool {
        let leg = self.leg_mut(key);
        let leg = leg.expect("a leg that was found in the table is in its place");
        let dialog = leg.dialog_mut();
        // Early dialogs of one INVITE count each for itself; the one that lasts begins anew. A
        // second INVITE of one number is none that its sender can tell from the first.
        let in_order = dialog.remote_tag().is_none()
            || dialog.advances(request.cseq, request.method != Method::Invite);
        if !in_order {
            self.core.count(Counter::RequestOutOfOrder);
        }
        in_order
    }

    /// The To tag of an answer to a request that has none; nothing is worked out for one that has.
    /// RFC 3261 §8.2.7: the same request gets the same tag.
    fn minted_tag(&self, request: &Request<'_>) -> Digits<16> {
        let tag = match request.to_tag {
            Some(_) => Tag(0),
            None => self.core.tag_for(request.message.bytes()),
        };
        tag.text()
    }

    /// What an answer that is sent at once takes from its request.
    fn copied<'r>(&self, server: ServerKey, request: &'r Request<'_>, tag: &'r str) -> Copied<'r> {
        let source = self.core.transactions.source(server);
        let source = source.expect("a request that is being served has its transaction");
        Copied::From {
            request,
            source: source.remote,
            tag,
            feedback: self.core.transactions.feedback(),
        }
    }

    /// Answers a request at once.
    fn reply(
        &mut self,
        now: Instant,
        server: ServerKey,
        request: &Request<'_>,
        status: Status,
        fields: Fields,
    ) {
        let tag = self.minted_tag(request);
        let copied = self.copied(server, request, &tag);
        let answer = Answer {
            fields,
            ..Answer::default()
        };
        self.core.respond(now, server, status, copied, &answer);
    }
}

/// RFC 3891 §3: the call whose party an INVITE takes the place of, or the status that it gets.
fn takes_place(request: &Request<'_>) -> Result<Option<Replaces>, Status> {
    let message = &request.message;
    let named = message.replaces().map_err(|_| Status::BAD_REQUEST)?;
    if named.is_some() && message.header(HeaderName::Join).is_some() {
        return Err(Status::BAD_REQUEST);
    }
    Ok(named.as_ref().map(refer::replaces))
}

/// Come back later.
pub(super) fn retry_later() -> Fields {
    Fields::default().with(
        HeaderName::RetryAfter,
        format_args!("{RETRY_AFTER_SECONDS}"),
    )
}

/// RFC 3261 §8.1.1.7: the branch of everybody who knows that RFC begins with the magic cookie.
fn is_rfc_3261(request: &Request<'_>) -> bool {
    request
        .via
        .branch()
        .is_some_and(|branch| branch.starts_with("z9hG4bK"))
}
