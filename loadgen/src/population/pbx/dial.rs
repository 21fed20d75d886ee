//! Calls that phones make by themselves, through the PBX's trunk to the server.

use std::time::Instant;

use offhook::sip::{Method, Response, Status};

use super::legs::{Leg, LegId, State};
use super::phone::Line;
use super::{Behaviour, Pbx};
use crate::population::dialog::Dialog;
use crate::population::exchange::ClientId;
use crate::population::media::{Flow, Media, Side, place};
use crate::population::message::{Outgoing, SDP};
use crate::population::random::Random;
use crate::population::session::{Replaces, Session, offer_fields};
use crate::population::truth::{EndedBy, Fact, Fault, Token};

/// A call of a phone's that nobody has answered yet.
#[derive(Debug)]
pub(super) struct Dialling {
    invite: ClientId,
    request: Box<Outgoing>,
    media: Media,
    gave_up: bool,
}

impl Dialling {
    pub(super) fn is(&self, id: ClientId) -> bool {
        self.invite == id
    }
}

impl Pbx {
    /// A phone dials a number of the server's, with `replaces` to take the place of that dialog;
    /// what it talked in is put on hold. `None` when the phone cannot dial now.
    pub(super) fn dial(
        &mut self,
        now: Instant,
        phone: usize,
        number: &str,
        replaces: Option<&Replaces>,
    ) -> Option<Token> {
        let server = self.server?;
        if !self.phones[phone].registered || !self.phones[phone].takes_another() {
            return None;
        }
        let made = self.next_number();
        let (id, tag) = (LegId::of(made), self.new_tag());
        let high = Random::new(self.seed, 4).number() & 0x7fff_ffff | 0x8000_0000;
        let token = Token(high << 32 | made);
        let dn = self.phones[phone].dn.clone();
        let node = self
            .nodes
            .iter()
            .position(|node| !node.exchange.is_silent())?;
        let address = self.nodes[node].exchange.address;
        let party = format!("\"{dn}\" <sip:{dn}@{}>", address.ip());
        let mut request = Outgoing {
            method: Method::Invite,
            uri: format!("sip:{number}@{server}"),
            from: format!("{party};tag={tag}"),
            to: format!("<sip:{number}@{}>", server.ip()),
            call_id: format!("d{}-{tag}@{}", made, address.ip()),
            cseq: 101,
            routes: Vec::new(),
            max_forwards: 69,
            fields: String::new(),
            body: None,
        };
        // As UCM has it: whoever is forgotten by its PBX waits no longer.
        request.field("Expires", "180");
        offer_fields(&mut request, &dn, &self.nodes[node].exchange);
        token.write(&mut request);
        request.field("P-Asserted-Identity", &party);
        if let Some(replaces) = replaces {
            request.field("Replaces", &replaces.header());
        }
        let mut media = Media::new(place(address, Side::Phone(phone), made), made);
        request.body = Some((SDP, media.offer(Flow::Both)));
        let exchange = &mut self.nodes[node].exchange;
        let invite = exchange.send(now, server, request.clone());
        let leg = Leg {
            node,
            phone,
            token: Some(token),
            behaviour: Behaviour::default(),
            call_id: request.call_id.clone(),
            tag,
            state: State::Dialling(Dialling {
                invite,
                request: Box::new(request),
                media,
                gave_up: false,
            }),
        };
        self.leg_by_call.insert((node, leg.call_id.clone()), id);
        self.legs.insert(id, leg);
        self.hold_the_other(now, phone, id);
        self.phones[phone].legs.push(id);
        let number = number.to_owned();
        self.log.add(now, Fact::Dialled { token, dn, number });
        self.set_line(now, phone, Line::Dialling(id));
        Some(token)
    }

    /// The agent gives up before anybody answers.
    pub(super) fn give_up_dialling(&mut self, now: Instant, id: LegId) {
        if let Some(Leg {
            node,
            state: State::Dialling(dialling),
            ..
        }) = self.legs.get_mut(&id)
        {
            dialling.gave_up = true;
            self.nodes[*node].exchange.cancel(now, dialling.invite);
        }
    }

    pub(super) fn handle_dial_response(
        &mut self,
        now: Instant,
        id: LegId,
        client: ClientId,
        response: &Response<'_>,
    ) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let State::Dialling(dialling) = &leg.state else {
            return;
        };
        if !dialling.is(client) || response.status.is_provisional() {
            return;
        }
        if response.status.is_success() {
            self.dial_answered(now, id, client, response);
        } else {
            self.dial_failed(now, id, response.status);
        }
    }

    fn dial_answered(
        &mut self,
        now: Instant,
        id: LegId,
        client: ClientId,
        response: &Response<'_>,
    ) {
        let server = self.server.expect("who dials knows the server");
        let leg = self
            .legs
            .get_mut(&id)
            .expect("the caller has found the leg");
        let State::Dialling(dialling) = &leg.state else {
            return;
        };
        let exchange = &mut self.nodes[leg.node].exchange;
        let dialog = Dialog::of_response(&dialling.request, &leg.tag, response, server);
        let mut session = Session::new(dialog, dialling.media.clone());
        session.reception = self.phones[leg.phone].reception;
        let (verdict, gave_up) = (session.open(exchange, client, response), dialling.gave_up);
        // RFC 5407 §3: a 200 that crosses the CANCEL is acknowledged, and then the call is ended.
        if gave_up || verdict.is_err() {
            session.hang_up(now, exchange);
        }
        leg.state = State::Up(Box::new(session));
        let (phone, token) = (leg.phone, leg.token);
        let dn = self.phones[phone].dn.clone();
        if let Some(token) = token {
            let dn = dn.clone();
            self.log.add(now, Fact::DialAnswered { token, dn });
        }
        if let Err(fault) = verdict {
            let dn = Some(dn.clone());
            self.log.add(now, Fact::Fault { token, dn, fault });
        }
        if gave_up {
            let by = EndedBy::Us;
            self.log.add(now, Fact::PhoneEnded { token, dn, by });
            self.leave_line(now, phone, id);
        } else if self.phones[phone].line == Line::Dialling(id) {
            self.set_line(now, phone, Line::Talking(id));
        }
    }

    fn dial_failed(&mut self, now: Instant, id: LegId, Status(status): Status) {
        if let Some(leg) = self.remove_leg(now, id)
            && let Some(token) = leg.token
        {
            let dn = self.phones[leg.phone].dn.clone();
            self.log.add(now, Fact::DialFailed { token, dn, status });
        }
    }

    pub(super) fn handle_dial_expiry(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let cancelled = matches!(&leg.state, State::Dialling(dialling) if dialling.gave_up);
        let fault = if cancelled {
            Fault::NoFinalResponse
        } else {
            Fault::InviteUnanswered
        };
        let (token, dn) = (leg.token, Some(self.phones[leg.phone].dn.clone()));
        self.log.add(now, Fact::Fault { token, dn, fault });
        self.dial_failed(now, id, Status::REQUEST_TIMEOUT);
    }
}
