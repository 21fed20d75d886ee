//! A server of media, as far as signalling goes: it takes every INVITE, plays music to who calls
//! it, and mixes those who name the same conference (RFC 4240 §5, `conf=`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use offhook::sip::{HeaderName, Method, Request, Status};

use super::dialog::Dialog;
use super::exchange::{Answer, Exchange, Expiry, Incoming, ServerId, Timers};
use super::media::{Flow, Media};
use super::message::SDP;
use super::session::{Session, SessionEvent, contact, refuse};
use super::truth::{Fact, Log, Record};
use crate::node::{Node, Packet};

/// Where the ports of its audio begin.
const PORTS_FROM: u64 = 20_000;
/// How many of them it uses in turn.
const PORTS: u64 = 8_192;

/// A server of media. See the module.
#[derive(Debug)]
pub struct MediaServer {
    exchange: Exchange,
    /// What it answers to an INVITE instead of taking it.
    refusal: Option<Status>,
    made: u64,
    /// Who is connected, by Call-ID.
    seats: BTreeMap<String, Seat>,
    log: Log,
}

/// Somebody who is connected.
#[derive(Debug)]
struct Seat {
    /// The user part that it called: `conf=…` for a conference.
    user: String,
    session: Session,
}

/// What a seat at the server does with its audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatView<'a> {
    /// The user part that was called: `conf=…` for a conference.
    pub user: &'a str,
    /// Where the server receives.
    pub here: SocketAddr,
    /// Where the server sends; `None` when it sends nothing.
    pub sends_to: Option<SocketAddr>,
    /// Whose audio the server takes; `None` when it takes none.
    pub hears: Option<SocketAddr>,
}

impl MediaServer {
    /// A server that takes everybody.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            exchange: Exchange::new(address, "media".to_owned(), Timers::default()),
            refusal: None,
            made: 0,
            seats: BTreeMap::new(),
            log: Log::default(),
        }
    }

    /// From now on INVITEs are refused with this status; `None` takes them again.
    pub fn set_refusal(&mut self, refusal: Option<Status>) {
        self.refusal = refusal;
    }

    /// The server is cut off: nothing reaches it and nothing leaves it.
    pub fn go_silent(&mut self) {
        self.exchange.set_silent(true);
    }

    /// It is reachable again.
    pub fn come_back(&mut self) {
        self.exchange.set_silent(false);
    }

    /// Everybody who is connected is hung up on, as by a server that stops.
    pub fn hang_up_all(&mut self, now: Instant) {
        for seat in self.seats.values_mut() {
            seat.session.hang_up(now, &mut self.exchange);
        }
    }

    /// Who is connected.
    pub fn seats(&self) -> impl ExactSizeIterator<Item = SeatView<'_>> {
        self.seats.values().map(|seat| {
            let media = seat.session.media();
            SeatView {
                user: &seat.user,
                here: media.here,
                sends_to: media.sends_to(),
                hears: media.hears(),
            }
        })
    }

    /// Where the server hears SIP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.exchange.address
    }

    /// Takes what happened since the last time: what the server did wrong.
    pub fn take_records(&mut self) -> Vec<Record> {
        self.log.take()
    }

    fn handle_request(
        &mut self,
        now: Instant,
        source: SocketAddr,
        id: ServerId,
        request: &Request<'_>,
    ) {
        if request.to_tag.is_some() {
            return self.handle_in_dialog(now, id, request);
        }
        match (request.method, self.refusal) {
            (Method::Invite, None) => self.seat(now, source, id, request),
            (Method::Invite, Some(status)) => {
                let answer = Answer {
                    tag: Some("refused"),
                    ..Answer::default()
                };
                self.exchange.answer(now, id, status, &answer);
            }
            (Method::Options, _) => refuse(now, &mut self.exchange, id, Status::OK),
            (_, _) => refuse(now, &mut self.exchange, id, Status::METHOD_NOT_ALLOWED),
        }
    }

    /// Somebody is connected, with the caller's offer or with one of ours.
    fn seat(&mut self, now: Instant, source: SocketAddr, id: ServerId, request: &Request<'_>) {
        self.made += 1;
        let port = u16::try_from(PORTS_FROM + 2 * (self.made % PORTS)).unwrap_or(u16::MAX);
        let here = SocketAddr::new(self.exchange.address.ip(), port);
        let user = request.uri.user.unwrap_or_default().to_owned();
        let mut media = Media::new(here, self.made);
        let offer = request.message.body();
        let (description, verdict) = if offer.is_empty() {
            // Nobody listens to those who are to hear music.
            let is_conference = user.starts_with("conf=");
            let flow = if is_conference {
                Flow::Both
            } else {
                Flow::SendOnly
            };
            (Some(media.offer(flow)), Ok(()))
        } else {
            media.answer(offer)
        };
        let tag = format!("media{}", self.made);
        let answer = Answer {
            tag: Some(&tag),
            fields: vec![(HeaderName::Contact, contact(&user, &self.exchange))],
            body: description.map(|text| (SDP, text)),
        };
        self.exchange.answer(now, id, Status::OK, &answer);
        let dialog = Dialog::of_request(request, source, &tag);
        let mut session = Session::new(dialog, media);
        session.expect_ack(id, offer.is_empty());
        let call_id = request.call_id.to_owned();
        self.seats.insert(call_id, Seat { user, session });
        if let Err(fault) = verdict {
            self.report(now, SessionEvent::Fault(fault));
        }
    }

    fn handle_in_dialog(&mut self, now: Instant, id: ServerId, request: &Request<'_>) {
        let seat = self.seats.get_mut(request.call_id);
        let Some(seat) = seat.filter(|seat| seat.session.owns(request)) else {
            return refuse(now, &mut self.exchange, id, Status::CALL_DOES_NOT_EXIST);
        };
        let events = seat
            .session
            .handle_request(now, &mut self.exchange, id, request);
        self.handle_events(now, request.call_id, events);
    }

    fn handle_events(
        &mut self,
        now: Instant,
        call_id: &str,
        events: impl IntoIterator<Item = SessionEvent>,
    ) {
        for event in events {
            if matches!(event, SessionEvent::PeerHungUp | SessionEvent::HungUp) {
                self.seats.remove(call_id);
            }
            self.report(now, event);
        }
        self.seats.retain(|_, seat| !seat.session.has_given_up());
    }

    fn report(&mut self, now: Instant, event: SessionEvent) {
        if let Some(fact @ Fact::Fault { .. }) = event.fact((None, None)) {
            self.log.add(now, fact);
        }
    }

    fn handle_expiry(&mut self, now: Instant, expiry: Expiry) {
        let concerned = |seat: &Seat| match expiry {
            Expiry::NoResponse(id) => seat.session.sent(id),
            Expiry::NeverAcknowledged(id) => seat.session.awaits_ack(id),
        };
        let found = self.seats.iter().find(|(_, seat)| concerned(seat));
        let Some(call_id) = found.map(|(call_id, _)| call_id.clone()) else {
            return;
        };
        let seat = self.seats.get_mut(&call_id).expect("it was just found");
        let event = seat.session.handle_expiry(now, &mut self.exchange, expiry);
        self.handle_events(now, &call_id, event);
    }
}

impl Node for MediaServer {
    fn handle_datagram(&mut self, now: Instant, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        if to != self.exchange.address {
            return;
        }
        let mut index = self.exchange.take_index();
        match self.exchange.receive(now, from, bytes, &mut index) {
            Incoming::Request(id, request) => self.handle_request(now, from, id, &request),
            Incoming::Acknowledged(request) => {
                if let Some(seat) = self.seats.get_mut(request.call_id) {
                    let event = seat.session.handle_ack(now, &mut self.exchange, &request);
                    self.handle_events(now, request.call_id, event);
                }
            }
            Incoming::Response(id, response) => {
                if let Some(seat) = self.seats.get_mut(response.call_id) {
                    let exchange = &mut self.exchange;
                    let events = seat.session.handle_response(now, exchange, id, &response);
                    self.handle_events(now, response.call_id, events);
                }
            }
            // Every INVITE is answered at once: none is left to be taken back.
            Incoming::Cancelled(_) | Incoming::Nothing => {}
        }
        self.exchange.return_index(index);
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(expiry) = self.exchange.handle_timeout(now) {
            self.handle_expiry(now, expiry);
        }
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Packet> {
        let to = self.exchange.poll_transmit(buffer)?;
        let from = self.exchange.address;
        Some(Packet { from, to })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.exchange.poll_timeout()
    }
}
