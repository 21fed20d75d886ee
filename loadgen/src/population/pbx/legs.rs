//! The calls that the server gives to the phones, until they are up: rung, answered, refused,
//! taken back. What happens in a call that is up is in `talk`, calls that phones make in `dial`.

use std::net::SocketAddr;
use std::time::Instant;

use offhook::sip::{HeaderName, Request, Status};

use super::dial::Dialling;
use super::phone::Line;
use super::{Answering, Behaviour, Due, Pbx};
use crate::population::dialog::{Dialog, text};
use crate::population::exchange::{Answer, ServerId};
use crate::population::media::{Flow, Media, Side, place};
use crate::population::message::SDP;
use crate::population::session::{Change, Session, asserted, contact, refuse};
use crate::population::truth::{Fact, Fault, Token};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LegId(u64);

impl LegId {
    pub(super) fn of(number: u64) -> Self {
        Self(number)
    }
}

/// What habit or behaviour does to a leg at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Ring,
    Answer,
    Refuse(Status),
    Change(Change),
    AnswerOffer,
    HangUp,
}

/// One call of the server's at a phone.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) node: usize,
    pub(super) phone: usize,
    pub(super) token: Option<Token>,
    pub(super) behaviour: Behaviour,
    pub(super) call_id: String,
    pub(super) tag: String,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Ringing {
        invite: ServerId,
        dialog: Dialog,
        /// The offer of the INVITE; empty when it asks for the phone's.
        offer: Vec<u8>,
        /// Who calls, as the server says.
        identity: Option<String>,
        /// What was said of the session before the answer.
        early: Option<Box<(Media, String)>>,
    },
    Dialling(Dialling),
    Up(Box<Session>),
}

impl Pbx {
    /// An INVITE outside a dialog.
    pub(super) fn handle_invite(
        &mut self,
        now: Instant,
        node: usize,
        source: SocketAddr,
        id: ServerId,
        request: &Request<'_>,
    ) {
        let dn = request.uri.user.unwrap_or_default();
        let token = Token::read(&request.message);
        let Some(phone) = self.by_dn.get(dn).copied() else {
            return self.refuse_new(now, node, id, (dn, token), Status::NOT_FOUND);
        };
        let mut behaviour = match self.phones[phone].behaviour {
            Some(behaviour) => behaviour,
            None => {
                let habits = self.habits_of(phone);
                habits.behaviour(&mut self.phones[phone].random)
            }
        };
        if self.mute_answers > 0.0 && self.random.chance(self.mute_answers) {
            behaviour.describes = false;
        }
        if let Some(delay) = behaviour.answers_alone.filter(|_| answers_alone(request)) {
            behaviour.then = Answering::After(delay);
        }
        if behaviour.trying {
            refuse(now, &mut self.nodes[node].exchange, id, Status::TRYING);
        }
        self.log.add(
            now,
            Fact::Rang {
                token,
                dn: dn.to_owned(),
            },
        );
        if let Some(user) = asserted(&request.message) {
            let dn = Some(dn.to_owned());
            self.log.add(now, Fact::Identified { token, dn, user });
        }
        self.rang += 1;
        let key = (node, request.call_id.to_owned());
        let status = match (&self.phones[phone], self.leg_by_call.contains_key(&key)) {
            (_, true) => Status::LOOP_DETECTED,
            (state, _) if !state.registered => Status::TEMPORARILY_UNAVAILABLE,
            (state, _) if !state.takes_another() => Status::BUSY_HERE,
            _ => {
                self.ring(now, node, source, id, request, (phone, token, behaviour));
                return;
            }
        };
        self.refuse_new(now, node, id, (dn, token), status);
    }

    fn ring(
        &mut self,
        now: Instant,
        node: usize,
        source: SocketAddr,
        invite: ServerId,
        request: &Request<'_>,
        (phone, token, behaviour): (usize, Option<Token>, Behaviour),
    ) {
        let id = LegId(self.next_number());
        let tag = self.new_tag();
        let dialog = Dialog::of_request(request, source, &tag);
        let offer = request.message.body().to_vec();
        let identity = asserted(&request.message);
        let leg = Leg {
            node,
            phone,
            token,
            behaviour,
            call_id: dialog.call_id.clone(),
            tag,
            state: State::Ringing {
                invite,
                dialog,
                offer,
                identity,
                early: None,
            },
        };
        self.leg_by_call.insert((node, leg.call_id.clone()), id);
        self.leg_by_invite.insert((node, invite), id);
        self.legs.insert(id, leg);
        self.phones[phone].legs.push(id);
        if self.phones[phone].line == Line::Idle {
            self.set_line(now, phone, Line::Ringing(id));
        }
        if let Some(delay) = behaviour.ringing_after {
            self.agenda.add(now + delay, Due::Leg(id, Act::Ring));
        }
        match behaviour.then {
            Answering::After(delay) => {
                self.agenda.add(now + delay, Due::Leg(id, Act::Answer));
            }
            Answering::Refuse(delay, status) => {
                self.agenda
                    .add(now + delay, Due::Leg(id, Act::Refuse(status)));
            }
            Answering::ByHand => {}
        }
    }

    fn refuse_new(
        &mut self,
        now: Instant,
        node: usize,
        id: ServerId,
        (dn, token): (&str, Option<Token>),
        status: Status,
    ) {
        let tag = self.new_tag();
        let answer = Answer {
            tag: Some(&tag),
            ..Answer::default()
        };
        self.nodes[node].exchange.answer(now, id, status, &answer);
        let dn = dn.to_owned();
        self.log.add(
            now,
            Fact::PhoneRefused {
                token,
                dn,
                status: status.0,
            },
        );
    }

    /// What is due at a leg, if the leg is still there.
    pub(super) fn act(&mut self, now: Instant, id: LegId, act: Act) {
        if !self.legs.contains_key(&id) {
            return;
        }
        match act {
            Act::Ring => self.show_ringing(now, id),
            Act::Answer => self.answer(now, id),
            Act::Refuse(status) => self.refuse_leg(now, id, status),
            Act::Change(change) => {
                self.change(now, id, change);
            }
            Act::AnswerOffer => self.answer_offer(now, id),
            Act::HangUp => self.hang_up(now, id),
        }
    }

    fn show_ringing(&mut self, now: Instant, id: LegId) {
        let number = self.next_number();
        let leg = self
            .legs
            .get_mut(&id)
            .expect("the caller has found the leg");
        let State::Ringing {
            invite,
            offer,
            early,
            ..
        } = &mut leg.state
        else {
            return;
        };
        let exchange = &mut self.nodes[leg.node].exchange;
        if leg.behaviour.early_media && !offer.is_empty() {
            let here = place(exchange.address, Side::Phone(leg.phone), number);
            let mut media = Media::new(here, number);
            let description = media.answer(offer).0;
            *early = description.map(|description| Box::new((media, description)));
        }
        let body = early.as_deref().map(|(_, text)| (SDP, text.clone()));
        let status = match body {
            Some(_) => Status::SESSION_PROGRESS,
            None => Status::RINGING,
        };
        let contact = contact(&self.phones[leg.phone].dn, exchange);
        let answer = Answer {
            tag: Some(&leg.tag),
            fields: vec![(HeaderName::Contact, contact)],
            body,
        };
        exchange.answer(now, *invite, status, &answer);
    }

    /// The phone is picked up.
    pub(super) fn answer(&mut self, now: Instant, id: LegId) {
        let number = self.next_number();
        let leg = self
            .legs
            .get_mut(&id)
            .expect("the caller has found the leg");
        let State::Ringing {
            invite,
            dialog,
            offer,
            identity,
            early,
        } = &leg.state
        else {
            return;
        };
        let invite = *invite;
        let exchange = &mut self.nodes[leg.node].exchange;
        let here = place(exchange.address, Side::Phone(leg.phone), number);
        let mut media = Media::new(here, number);
        let delayed = offer.is_empty();
        let (description, verdict) = match early.as_deref() {
            Some((said, description)) => {
                media = said.clone();
                (Some(description.clone()), Ok(()))
            }
            None if delayed => (Some(media.offer(Flow::Both)), Ok(())),
            None => media.answer(offer),
        };
        let described = leg.behaviour.describes && description.is_some();
        let answer = Answer {
            tag: Some(&leg.tag),
            fields: vec![(
                HeaderName::Contact,
                contact(&self.phones[leg.phone].dn, exchange),
            )],
            body: description.filter(|_| described).map(|text| (SDP, text)),
        };
        exchange.answer(now, invite, Status::OK, &answer);
        let mut session = Session::new(dialog.clone(), media);
        session.expect_ack(invite, described && delayed);
        session.begin_identity(identity.clone());
        session.reception = self.phones[leg.phone].reception;
        leg.state = State::Up(Box::new(session));
        self.leg_by_invite.remove(&(leg.node, invite));
        self.picked_up(now, id, verdict);
    }

    /// What follows an answer: the phone talks here, and holds what it talked in before.
    fn picked_up(&mut self, now: Instant, id: LegId, verdict: Result<(), Fault>) {
        let leg = &self.legs[&id];
        let (phone, token, behaviour) = (leg.phone, leg.token, leg.behaviour);
        let dn = self.phones[phone].dn.clone();
        if let Err(fault) = verdict {
            let dn = Some(dn.clone());
            self.log.add(now, Fact::Fault { token, dn, fault });
        }
        self.log.add(now, Fact::PhoneAnswered { token, dn });
        self.hold_the_other(now, phone, id);
        self.set_line(now, phone, Line::Talking(id));
        if let Some(delay) = behaviour.hold_after {
            self.agenda
                .add(now + delay, Due::Leg(id, Act::Change(Change::Hold)));
            self.agenda
                .add(now + delay * 2, Due::Leg(id, Act::Change(Change::Resume)));
        }
        if let Some(delay) = behaviour.hang_up_after {
            self.agenda.add(now + delay, Due::Leg(id, Act::HangUp));
        }
    }

    /// What rings is refused.
    pub(super) fn refuse_leg(&mut self, now: Instant, id: LegId, status: Status) {
        let Some(leg) = self.end_ringing(now, id, status) else {
            return;
        };
        let dn = self.phones[leg.phone].dn.clone();
        self.log.add(
            now,
            Fact::PhoneRefused {
                token: leg.token,
                dn,
                status: status.0,
            },
        );
    }

    /// The server takes an INVITE back.
    pub(super) fn handle_cancelled(&mut self, now: Instant, node: usize, invite: ServerId) {
        let Some(id) = self.leg_by_invite.get(&(node, invite)).copied() else {
            return self.handle_change_cancelled(now, node, invite);
        };
        if let Some(leg) = self.end_ringing(now, id, Status::REQUEST_TERMINATED) {
            let dn = self.phones[leg.phone].dn.clone();
            self.log.add(
                now,
                Fact::PhoneCancelled {
                    token: leg.token,
                    dn,
                },
            );
        }
    }

    pub(super) fn end_ringing(&mut self, now: Instant, id: LegId, status: Status) -> Option<Leg> {
        let leg = self.legs.get(&id)?;
        let State::Ringing { invite, .. } = &leg.state else {
            return None;
        };
        let answer = Answer {
            tag: Some(&leg.tag),
            ..Answer::default()
        };
        self.nodes[leg.node]
            .exchange
            .answer(now, *invite, status, &answer);
        self.remove_leg(now, id)
    }

    pub(super) fn remove_leg(&mut self, now: Instant, id: LegId) -> Option<Leg> {
        let leg = self.legs.remove(&id)?;
        self.leg_by_call.remove(&(leg.node, leg.call_id.clone()));
        if let State::Ringing { invite, .. } = &leg.state {
            self.leg_by_invite.remove(&(leg.node, *invite));
        }
        self.phones[leg.phone].legs.retain(|other| *other != id);
        self.leave_line(now, leg.phone, id);
        Some(leg)
    }
}

/// Whether an INVITE asks a phone to answer by itself: the hints that phones know.
fn answers_alone(request: &Request<'_>) -> bool {
    let says = |name, word: &str| {
        let mut values = request.message.headers(name);
        values.any(|value| text(value).to_ascii_lowercase().contains(word))
    };
    says(HeaderName::CallInfo, "answer-after=0")
        || says(HeaderName::AlertInfo, "auto-answer")
        || says(HeaderName::AlertInfo, "alert-autoanswer")
}
