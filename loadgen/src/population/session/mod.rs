//! A call that is up, from one end: BYE, offers and answers by re-INVITE and UPDATE, INFO and REFER
//! in both directions. Callers and phones share it; how a call comes to be up is theirs.
//!
//! `changes` is what this end wants to change, `offers` what the peer wants, `refer` a transfer.

mod changes;
mod offers;
mod refer;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook::sip::{HeaderName, Message, Method, NameAddr, Request, Response, Status};

use super::dialog::Dialog;
use super::exchange::{Answer, ClientId, Exchange, Expiry, ServerId};
use super::media::Media;
use super::message::Outgoing;
use super::truth::{Fact, Fault, Token};
use offers::PeerOffer;
use refer::Referral;

pub use changes::Change;
pub use offers::Reception;
pub use refer::Replaces;

/// What a session tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The peer's offer is to be answered after so long.
    AnswerLater(Duration),
    /// The peer's offer made this end hang up; the BYE is sent.
    HungUpInstead,
    /// What became of our REFER: its response, then what its NOTIFYs report.
    Referred(Status),
    /// The transfer is done: the call has no purpose any more.
    Transferred,
    /// The peer has sent INFO.
    Info {
        /// Its content type.
        content_type: String,
        /// Its body.
        body: String,
    },
    /// The peer has said who is at the other end now.
    Identified(String),
    /// The peer broke a rule; the session goes on unless another event says otherwise.
    Fault(Fault),
}

impl SessionEvent {
    /// What of it goes into the log of a party, known by its call and, for a phone, its number.
    pub(super) fn fact(self, (token, dn): (Option<Token>, Option<String>)) -> Option<Fact> {
        match self {
            Self::Changed(change) => Some(Fact::Changed { token, dn, change }),
            Self::Refused(_, Status(status)) => Some(Fact::ChangeRefused { token, status }),
            Self::Referred(Status(status)) => Some(Fact::Referred { token, dn, status }),
            Self::Info { content_type, body } => Some(Fact::Info {
                token,
                dn,
                content_type,
                body,
            }),
            Self::Identified(user) => Some(Fact::Identified { token, dn, user }),
            Self::Fault(fault) => Some(Fact::Fault { token, dn, fault }),
            Self::PeerHungUp
            | Self::HungUp
            | Self::Glare(_)
            | Self::AnswerLater(_)
            | Self::HungUpInstead
            | Self::Transferred => None,
        }
    }
}

/// One end of a call that is up.
#[derive(Debug)]
pub(super) struct Session {
    dialog: Dialog,
    media: Media,
    /// Our re-INVITE or UPDATE that waits for its final response.
    changing: Option<(ClientId, Change)>,
    /// Our BYE that waits for its answer.
    bye: Option<ClientId>,
    /// Our 2xx that waits for its ACK, and whether that must bring an answer.
    unacknowledged: Option<Unacknowledged>,
    /// A callee sends no BYE before the ACK of its 2xx (RFC 3261 §15): what it then wants.
    hang_up_wanted: bool,
    /// Nobody answered our BYE.
    gave_up: bool,
    /// The peer's offer that waits for our answer.
    pending: Option<PeerOffer>,
    referral: Option<Referral>,
    /// How the peer's offers are taken.
    pub(super) reception: Reception,
    /// Who is at the other end, as the peer says.
    identity: Option<String>,
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
    pub(super) fn new(dialog: Dialog, media: Media) -> Self {
        Self {
            dialog,
            media,
            changing: None,
            bye: None,
            unacknowledged: None,
            hang_up_wanted: false,
            gave_up: false,
            pending: None,
            referral: None,
            reception: Reception::default(),
            identity: None,
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
        !self.media.wish().receives()
    }

    /// What was told and heard about the audio.
    pub(super) fn media(&self) -> &Media {
        &self.media
    }

    /// Whether no offer, answer or ACK is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.changing.is_none() && self.unacknowledged.is_none() && self.pending.is_none()
    }

    /// Who is at the other end, as the peer says.
    pub(super) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Who the peer said is there before the call was up.
    pub(super) fn begin_identity(&mut self, identity: Option<String>) {
        self.identity = identity;
    }

    /// Takes who the peer says is there; whether that is news.
    pub(super) fn identify(&mut self, message: &Message<'_>) -> Option<SessionEvent> {
        let user = asserted(message).filter(|user| self.identity.as_ref() != Some(user))?;
        self.identity = Some(user.clone());
        Some(SessionEvent::Identified(user))
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
        self.bye == Some(id)
            || self.changing.is_some_and(|(changing, _)| changing == id)
            || self.referral.is_some_and(|referral| referral.is(id))
    }

    /// Whether a request of the peer's waits here for its ACK.
    pub(super) fn awaits_ack(&self, id: ServerId) -> bool {
        self.unacknowledged.is_some_and(|waiting| waiting.id == id)
    }

    /// Takes the answer or the offer in a 2xx to the opening INVITE and acknowledges it.
    pub(super) fn open(
        &mut self,
        exchange: &mut Exchange,
        id: ClientId,
        response: &Response<'_>,
    ) -> Result<(), Fault> {
        self.identify(&response.message);
        let body = response.message.body();
        if self.media.is_offering() {
            self.acknowledge(exchange, id, response.cseq, None);
            return match body {
                [] => Err(Fault::OkWithoutAnswer),
                answer => self.media.take_answer(answer),
            };
        }
        let (answer, verdict) = match body {
            [] => (None, Err(Fault::OkWithoutOffer)),
            offer => self.media.answer(offer),
        };
        self.acknowledge(exchange, id, response.cseq, answer);
        verdict
    }

    /// Our ACK to a 2xx, with the answer that a delayed offer waits for.
    fn acknowledge(
        &self,
        exchange: &mut Exchange,
        id: ClientId,
        cseq: u32,
        answer: Option<String>,
    ) {
        let mut ack = self.dialog.with_number(Method::Ack, cseq);
        ack.body = answer.map(|answer| (super::message::SDP, answer));
        exchange.acknowledge(id, self.dialog.next_hop(), &ack);
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

    /// Sends INFO with a body.
    pub(super) fn inform(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        content_type: &'static str,
        body: &str,
    ) {
        let mut info = self.dialog.request(Method::Info);
        info.body = Some((content_type, body.to_owned()));
        exchange.send(now, self.dialog.next_hop(), info);
    }

    /// A request in the dialog.
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        id: ServerId,
        request: &Request<'_>,
    ) -> Vec<SessionEvent> {
        if !self.dialog.advance(request) {
            // RFC 3261 §12.2.2; a network that reorders is to blame, not the peer.
            refuse(now, exchange, id, Status::SERVER_INTERNAL_ERROR);
            return Vec::new();
        }
        if !exchange.allows(request.method) {
            refuse(now, exchange, id, Status::METHOD_NOT_ALLOWED);
            return Vec::new();
        }
        match request.method {
            Method::Bye => {
                refuse(now, exchange, id, Status::OK);
                self.drop_pending(now, exchange);
                vec![SessionEvent::PeerHungUp]
            }
            Method::Invite | Method::Update => self.handle_offer(now, exchange, id, request),
            Method::Info => {
                refuse(now, exchange, id, Status::OK);
                let content_type = value(&request.message, HeaderName::ContentType);
                let body = String::from_utf8_lossy(request.message.body()).into_owned();
                vec![SessionEvent::Info { content_type, body }]
            }
            Method::Notify => self.handle_notify(now, exchange, id, request),
            Method::Options => {
                refuse(now, exchange, id, Status::OK);
                Vec::new()
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
                Vec::new()
            }
        }
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
        let verdict = match (waiting.with_answer, request.message.body()) {
            (false, _) => Ok(()),
            (true, []) => {
                self.media.withdraw();
                Err(Fault::AckWithoutAnswer)
            }
            (true, answer) => self.media.take_answer(answer),
        };
        if std::mem::take(&mut self.hang_up_wanted) {
            self.hang_up(now, exchange);
        }
        verdict.err().map(SessionEvent::Fault)
    }

    /// A response to a request of this session.
    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        id: ClientId,
        response: &Response<'_>,
    ) -> Vec<SessionEvent> {
        if response.status.is_provisional() {
            return Vec::new();
        }
        if self.bye == Some(id) {
            return vec![SessionEvent::HungUp];
        }
        if let Some(event) = self.handle_refer_response(id, response) {
            return vec![event];
        }
        self.handle_change_response(now, exchange, id, response)
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
                if self.referral.take_if(|referral| referral.is(id)).is_some() {
                    return Some(SessionEvent::Fault(Fault::ReferUnanswered));
                }
                self.changing.take_if(|(changing, _)| *changing == id)?;
                self.media.withdraw();
                self.hang_up(now, exchange);
                Some(SessionEvent::Fault(Fault::ChangeUnanswered))
            }
            Expiry::NeverAcknowledged(id) => {
                self.unacknowledged.take_if(|waiting| waiting.id == id)?;
                self.media.withdraw();
                // RFC 3261 §13.3.1.4: the session is confirmed, and then ended.
                self.hang_up_wanted = false;
                self.hang_up(now, exchange);
                Some(SessionEvent::Fault(Fault::NeverAcknowledged))
            }
        }
    }

    /// Where the peer of this dialog is.
    pub(super) fn peer(&self) -> SocketAddr {
        self.dialog.next_hop()
    }
}

/// Who a message says is there: P-Asserted-Identity over Remote-Party-ID.
pub(super) fn asserted(message: &Message<'_>) -> Option<String> {
    [HeaderName::PAssertedIdentity, HeaderName::RemotePartyId]
        .into_iter()
        .filter_map(|name| message.header(name))
        .filter_map(|value| NameAddr::parse(value).ok())
        .find_map(|address| address.uri.user.map(str::to_owned))
}

fn value(message: &Message<'_>, name: HeaderName) -> String {
    super::dialog::text(message.header(name).unwrap_or_default())
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
    invite.field("Allow", &exchange.style.allow);
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
