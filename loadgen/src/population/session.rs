//! A call that is up, from one end: BYE, re-INVITE and ACK in both directions. Callers and phones
//! share it; how a call comes to be up is theirs.

use std::time::Instant;

use offhook::sip::{HeaderName, Method, Request, Response, Status};

use super::dialog::Dialog;
use super::exchange::{Answer, ClientId, Exchange, Expiry, ServerId};
use super::message::{Flow, Outgoing, SDP, sdp};
use super::truth::Fault;

/// What a party wants to change about a call that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A re-INVITE with an inactive offer: UCM's hold.
    Hold,
    /// A re-INVITE without an offer: UCM's resume.
    Resume,
    /// A re-INVITE with the present description: a refresh.
    Refresh,
}

/// What a session tells its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionEvent {
    /// The peer has sent BYE.
    PeerHungUp,
    /// Our BYE is answered: the session is over.
    HungUp,
    /// Our change was accepted.
    Changed(Change),
    /// Our change crossed one of the peer's (RFC 3261 §14.1): to be tried again.
    Glare(Change),
    /// Our change was refused; the call goes on.
    Refused(Change, Status),
    /// The peer broke a rule; the session goes on unless another event says otherwise.
    Fault(Fault),
}

/// One end of a call that is up.
#[derive(Debug)]
pub(super) struct Session {
    dialog: Dialog,
    /// Number and version of our session description.
    description: u64,
    version: u32,
    /// Our re-INVITE that waits for its final response.
    changing: Option<(ClientId, Change)>,
    /// Our BYE that waits for its answer.
    bye: Option<ClientId>,
    /// Our 2xx that waits for its ACK, and whether that must bring an answer.
    unacknowledged: Option<Unacknowledged>,
    /// A callee sends no BYE before the ACK of its 2xx (RFC 3261 §15): what it then wants.
    hang_up_wanted: bool,
    held: bool,
    /// Nobody answered our BYE.
    gave_up: bool,
    /// Whether the peer's offers are accepted; a phone without media for them says 488.
    pub(super) accepts_changes: bool,
}

/// A 2xx of ours that waits for its ACK.
#[derive(Debug, Clone, Copy)]
struct Unacknowledged {
    id: ServerId,
    /// Of a re-INVITE; the opening INVITE takes any.
    cseq: Option<u32>,
    /// Whether the ACK must bring the answer.
    with_answer: bool,
}

impl Session {
    /// A call of which this end has the answer, or will have it with the ACK.
    pub(super) fn new(dialog: Dialog, description: u64) -> Self {
        Self {
            dialog,
            description,
            version: 1,
            changing: None,
            bye: None,
            unacknowledged: None,
            hang_up_wanted: false,
            held: false,
            gave_up: false,
            accepts_changes: true,
        }
    }

    /// Our 2xx `id` waits for its ACK.
    pub(super) fn expect_ack(&mut self, id: ServerId, with_answer: bool) {
        self.unacknowledged = Some(Unacknowledged {
            id,
            cseq: None,
            with_answer,
        });
    }

    pub(super) fn owns(&self, request: &Request<'_>) -> bool {
        self.dialog.owns(request)
    }

    pub(super) fn call_id(&self) -> &str {
        &self.dialog.call_id
    }

    /// Whether the call is on hold from our side.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Whether this end is hanging up.
    pub(super) fn is_ending(&self) -> bool {
        self.bye.is_some() || self.hang_up_wanted
    }

    /// Whether nobody answered our BYE: the session is over for this end.
    pub(super) fn has_given_up(&self) -> bool {
        self.gave_up
    }

    /// Whether a request of ours is of this session.
    pub(super) fn sent(&self, id: ClientId) -> bool {
        self.bye == Some(id) || self.changing.is_some_and(|(changing, _)| changing == id)
    }

    /// Whether a request of the peer's waits here for its ACK.
    pub(super) fn awaits_ack(&self, id: ServerId) -> bool {
        self.unacknowledged.is_some_and(|waiting| waiting.id == id)
    }

    /// Our ACK to a 2xx, with the answer that a delayed offer waits for.
    pub(super) fn acknowledge(
        &self,
        exchange: &mut Exchange,
        id: ClientId,
        cseq: u32,
        with_answer: bool,
    ) {
        let mut ack = self.dialog.with_number(Method::Ack, cseq);
        if with_answer {
            ack.body = Some((SDP, self.describe(exchange, Flow::Both)));
        }
        exchange.acknowledge(id, self.dialog.next_hop(), &ack);
    }

    fn describe(&self, exchange: &Exchange, flow: Flow) -> String {
        sdp(exchange.address, self.description, self.version, flow)
    }

    fn flow(&self) -> Flow {
        if self.held {
            Flow::Inactive
        } else {
            Flow::Both
        }
    }

    /// Ends the call.
    pub(super) fn hang_up(&mut self, now: Instant, exchange: &mut Exchange) {
        if self.bye.is_some() {
            return;
        }
        if self.unacknowledged.is_some() {
            self.hang_up_wanted = true;
            return;
        }
        let mut bye = self.dialog.request(Method::Bye);
        bye.field("Reason", "Q.850;cause=16");
        bye.field(
            "P-RTP-Stat",
            "PS=250,OS=40000,PR=250,OR=40000,PL=0,JI=0,LA=0,DU=5",
        );
        self.bye = Some(exchange.send(now, self.dialog.next_hop(), bye));
    }

    /// Begins a change; `false` while another one or the end is under way.
    pub(super) fn change(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        change: Change,
        contact_user: &str,
    ) -> bool {
        if self.changing.is_some() || self.unacknowledged.is_some() || self.is_ending() {
            return false;
        }
        self.version += 1;
        let mut invite = self.dialog.request(Method::Invite);
        offer_fields(&mut invite, contact_user, exchange);
        invite.body = match change {
            Change::Hold => Some((SDP, self.describe(exchange, Flow::Inactive))),
            Change::Resume => None,
            Change::Refresh => Some((SDP, self.describe(exchange, self.flow()))),
        };
        let id = exchange.send(now, self.dialog.next_hop(), invite);
        self.changing = Some((id, change));
        true
    }

    /// A request in the dialog.
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        id: ServerId,
        request: &Request<'_>,
    ) -> Option<SessionEvent> {
        if !self.dialog.advance(request) {
            // RFC 3261 §12.2.2; a network that reorders is to blame, not the peer.
            refuse(now, exchange, id, Status::SERVER_INTERNAL_ERROR);
            return None;
        }
        match request.method {
            Method::Bye => {
                refuse(now, exchange, id, Status::OK);
                Some(SessionEvent::PeerHungUp)
            }
            Method::Invite => self.handle_change(now, exchange, id, request),
            Method::Update | Method::Info | Method::Options | Method::Notify => {
                refuse(now, exchange, id, Status::OK);
                None
            }
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Publish
            | Method::Refer
            | Method::Message
            | Method::Prack
            | Method::Other(_) => {
                refuse(now, exchange, id, Status::METHOD_NOT_ALLOWED);
                None
            }
        }
    }

    /// The peer's re-INVITE.
    fn handle_change(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        id: ServerId,
        request: &Request<'_>,
    ) -> Option<SessionEvent> {
        if self.changing.is_some() {
            refuse(now, exchange, id, Status::REQUEST_PENDING);
            return None;
        }
        if self.is_ending() {
            refuse(now, exchange, id, Status::REQUEST_TERMINATED);
            return None;
        }
        if !self.accepts_changes {
            refuse(now, exchange, id, Status::NOT_ACCEPTABLE_HERE);
            return None;
        }
        self.dialog.refresh(&request.message);
        self.version += 1;
        let offered = !request.message.body().is_empty();
        let answer = Answer {
            fields: vec![(HeaderName::Contact, contact("", exchange))],
            body: Some((SDP, self.describe(exchange, self.flow()))),
            ..Answer::default()
        };
        exchange.answer(now, id, Status::OK, &answer);
        self.unacknowledged = Some(Unacknowledged {
            id,
            cseq: Some(request.cseq),
            with_answer: !offered,
        });
        None
    }

    /// The ACK of our 2xx.
    pub(super) fn handle_ack(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        request: &Request<'_>,
    ) -> Option<SessionEvent> {
        // The ACK of an earlier 2xx may come late, with the one of a re-INVITE still due.
        let waiting = self
            .unacknowledged
            .take_if(|waiting| waiting.cseq.is_none_or(|cseq| cseq == request.cseq))?;
        if std::mem::take(&mut self.hang_up_wanted) {
            self.hang_up(now, exchange);
        }
        let missing = waiting.with_answer && request.message.body().is_empty();
        missing.then_some(SessionEvent::Fault(Fault::AckWithoutAnswer))
    }

    /// A response to a request of this session.
    pub(super) fn handle_response(
        &mut self,
        exchange: &mut Exchange,
        id: ClientId,
        response: &Response<'_>,
    ) -> Option<SessionEvent> {
        if response.status.is_provisional() {
            return None;
        }
        if self.bye == Some(id) {
            return Some(SessionEvent::HungUp);
        }
        let (_, change) = self.changing.take_if(|(changing, _)| *changing == id)?;
        if response.status == Status::REQUEST_PENDING {
            return Some(SessionEvent::Glare(change));
        }
        if !response.status.is_success() {
            return Some(SessionEvent::Refused(change, response.status));
        }
        self.dialog.refresh(&response.message);
        self.acknowledge(exchange, id, response.cseq, change == Change::Resume);
        if response.message.body().is_empty() {
            let fault = match change {
                Change::Resume => Fault::OkWithoutOffer,
                Change::Hold | Change::Refresh => Fault::OkWithoutAnswer,
            };
            return Some(SessionEvent::Fault(fault));
        }
        self.held = match change {
            Change::Hold => true,
            Change::Resume => false,
            Change::Refresh => self.held,
        };
        Some(SessionEvent::Changed(change))
    }

    /// Time is up for something of this session.
    pub(super) fn handle_expiry(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        expiry: Expiry,
    ) -> Option<SessionEvent> {
        match expiry {
            Expiry::NoResponse(id) if self.bye == Some(id) => {
                self.gave_up = true;
                Some(SessionEvent::Fault(Fault::ByeUnanswered))
            }
            Expiry::NoResponse(id) => {
                self.changing.take_if(|(changing, _)| *changing == id)?;
                self.hang_up(now, exchange);
                Some(SessionEvent::Fault(Fault::ChangeUnanswered))
            }
            Expiry::NeverAcknowledged(id) => {
                self.unacknowledged.take_if(|waiting| waiting.id == id)?;
                // RFC 3261 §13.3.1.4: the session is confirmed, and then ended.
                self.hang_up_wanted = false;
                self.hang_up(now, exchange);
                Some(SessionEvent::Fault(Fault::NeverAcknowledged))
            }
        }
    }
}

/// The Contact of a party at the exchange's address.
pub(super) fn contact(user: &str, exchange: &Exchange) -> String {
    let at = if user.is_empty() { "" } else { "@" };
    format!("<sip:{user}{at}{};transport=udp>", exchange.address)
}

/// The lines that UCM puts into every INVITE.
pub(super) fn offer_fields(invite: &mut Outgoing, user: &str, exchange: &Exchange) {
    invite.field("Supported", "timer,resource-priority,replaces");
    invite.field("Min-SE", " 1800");
    invite.field("Allow", super::message::ALLOW);
    invite.field("Allow-Events", "presence, kpml");
    invite.field("Supported", "X-cisco-srtp-fallback,X-cisco-original-called");
    let address = exchange.address;
    let call_info = format!("<sip:{address}>;method=\"NOTIFY;Event=telephone-event;Duration=500\"");
    invite.field("Call-Info", &call_info);
    invite.field("Session-Expires", " 1800");
    invite.field("Contact", &contact(user, exchange));
}

/// A response without anything further.
pub(super) fn refuse(now: Instant, exchange: &mut Exchange, id: ServerId, status: Status) {
    exchange.answer(now, id, status, &Answer::default());
}
