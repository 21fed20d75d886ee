//! The calls that the server gives to the phones: rung, answered, refused, taken back, held,
//! hung up.

use std::net::SocketAddr;
use std::time::Instant;

use offhook::sip::{HeaderName, Method, Request, Response, Status};

use super::phone::Line;
use super::{Answering, Behaviour, Due, Pbx};
use crate::population::dialog::Dialog;
use crate::population::exchange::{Answer, ClientId, Expiry, ServerId};
use crate::population::message::{Flow, SDP, sdp};
use crate::population::session::{Change, Session, SessionEvent, contact, refuse};
use crate::population::truth::{EndedBy, Fact, Token};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LegId(u64);

/// What habit or behaviour does to a leg at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Ring,
    Answer,
    Refuse(Status),
    Change(Change),
    HangUp,
}

/// One call of the server's at a phone.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) node: usize,
    pub(super) phone: usize,
    pub(super) token: Option<Token>,
    behaviour: Behaviour,
    call_id: String,
    tag: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Ringing {
        invite: ServerId,
        dialog: Dialog,
        offered: bool,
    },
    Up(Session),
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
        let behaviour = match self.phones[phone].behaviour {
            Some(behaviour) => behaviour,
            None => self.habits.behaviour(&mut self.random),
        };
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
        self.rang += 1;
        let key = (node, request.call_id.to_owned());
        let status = match (&self.phones[phone], self.leg_by_call.contains_key(&key)) {
            (_, true) => Status::LOOP_DETECTED,
            (state, _) if !state.registered => Status::TEMPORARILY_UNAVAILABLE,
            (state, _) if state.line != Line::Idle => Status::BUSY_HERE,
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
        let offered = !request.message.body().is_empty();
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
                offered,
            },
        };
        self.leg_by_call.insert((node, leg.call_id.clone()), id);
        self.leg_by_invite.insert((node, invite), id);
        self.legs.insert(id, leg);
        self.set_line(now, phone, Line::Ringing(id));
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
            Act::HangUp => self.hang_up(now, id),
        }
    }

    fn show_ringing(&mut self, now: Instant, id: LegId) {
        let leg = &self.legs[&id];
        let State::Ringing { invite, .. } = &leg.state else {
            return;
        };
        let exchange = &mut self.nodes[leg.node].exchange;
        let contact = contact(&self.phones[leg.phone].dn, exchange);
        let answer = Answer {
            tag: Some(&leg.tag),
            fields: vec![(HeaderName::Contact, contact)],
            body: None,
        };
        exchange.answer(now, *invite, Status::RINGING, &answer);
    }

    /// The phone is picked up.
    pub(super) fn answer(&mut self, now: Instant, id: LegId) {
        let description = self.next_number();
        let leg = self
            .legs
            .get_mut(&id)
            .expect("the caller has found the leg");
        let State::Ringing {
            invite,
            dialog,
            offered,
        } = &leg.state
        else {
            return;
        };
        let (invite, offered, describes) = (*invite, *offered, leg.behaviour.describes);
        let exchange = &mut self.nodes[leg.node].exchange;
        let answer = Answer {
            tag: Some(&leg.tag),
            fields: vec![(
                HeaderName::Contact,
                contact(&self.phones[leg.phone].dn, exchange),
            )],
            body: describes.then(|| (SDP, sdp(exchange.address, description, 1, Flow::Both))),
        };
        exchange.answer(now, invite, Status::OK, &answer);
        let mut session = Session::new(dialog.clone(), description);
        session.expect_ack(invite, describes && !offered);
        leg.state = State::Up(session);
        let (node, phone, token, behaviour) = (leg.node, leg.phone, leg.token, leg.behaviour);
        self.leg_by_invite.remove(&(node, invite));
        let dn = self.phones[phone].dn.clone();
        self.log.add(now, Fact::PhoneAnswered { token, dn });
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
            return;
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

    fn end_ringing(&mut self, now: Instant, id: LegId, status: Status) -> Option<Leg> {
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

    /// The agent hangs up: the phone is free at once, whatever becomes of the BYE.
    pub(super) fn hang_up(&mut self, now: Instant, id: LegId) {
        let Some(Leg {
            node,
            phone,
            token,
            state: State::Up(session),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return;
        };
        if session.is_ending() {
            return;
        }
        session.hang_up(now, &mut self.nodes[*node].exchange);
        let (phone, token) = (*phone, *token);
        let dn = self.phones[phone].dn.clone();
        self.log.add(
            now,
            Fact::PhoneEnded {
                token,
                dn,
                by: EndedBy::Us,
            },
        );
        self.set_line(now, phone, Line::Idle);
    }

    /// The agent changes the call; `false` when that is not possible now.
    pub(super) fn change(&mut self, now: Instant, id: LegId, change: Change) -> bool {
        let Some(Leg {
            node,
            phone,
            state: State::Up(session),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return false;
        };
        // Nothing is resumed that was never held.
        if change == Change::Resume && !session.is_held() {
            return false;
        }
        let dn = &self.phones[*phone].dn;
        session.change(now, &mut self.nodes[*node].exchange, change, dn)
    }

    /// A request in the dialog of a leg; `false` when it is of none.
    pub(super) fn handle_in_leg(
        &mut self,
        now: Instant,
        node: usize,
        id: ServerId,
        request: &Request<'_>,
    ) -> bool {
        let key = (node, request.call_id.to_owned());
        let Some(leg_id) = self.leg_by_call.get(&key).copied() else {
            return false;
        };
        let leg = self
            .legs
            .get_mut(&leg_id)
            .expect("the index names legs that exist");
        let exchange = &mut self.nodes[node].exchange;
        match &mut leg.state {
            State::Ringing { dialog, .. } if dialog.owns(request) => {
                // RFC 3261 §15: a caller may end an early dialog with BYE.
                let bye = request.method == Method::Bye;
                let status = if bye {
                    Status::OK
                } else {
                    Status::METHOD_NOT_ALLOWED
                };
                refuse(now, exchange, id, status);
                if bye && let Some(leg) = self.end_ringing(now, leg_id, Status::REQUEST_TERMINATED)
                {
                    let dn = self.phones[leg.phone].dn.clone();
                    self.log.add(
                        now,
                        Fact::PhoneCancelled {
                            token: leg.token,
                            dn,
                        },
                    );
                }
                true
            }
            State::Up(session) if session.owns(request) => {
                let event = session.handle_request(now, exchange, id, request);
                self.handle_session(now, leg_id, event);
                true
            }
            State::Ringing { .. } | State::Up(_) => false,
        }
    }

    pub(super) fn handle_leg_ack(&mut self, now: Instant, node: usize, request: &Request<'_>) {
        let key = (node, request.call_id.to_owned());
        let Some(id) = self.leg_by_call.get(&key).copied() else {
            return;
        };
        if let Some(Leg {
            state: State::Up(session),
            ..
        }) = self.legs.get_mut(&id)
        {
            let event = session.handle_ack(now, &mut self.nodes[node].exchange, request);
            self.handle_session(now, id, event);
        }
    }

    pub(super) fn handle_leg_response(
        &mut self,
        now: Instant,
        node: usize,
        client: ClientId,
        response: &Response<'_>,
    ) {
        let key = (node, response.call_id.to_owned());
        let Some(id) = self.leg_by_call.get(&key).copied() else {
            return;
        };
        if let Some(Leg {
            state: State::Up(session),
            ..
        }) = self.legs.get_mut(&id)
        {
            let exchange = &mut self.nodes[node].exchange;
            let event = session.handle_response(exchange, client, response);
            self.handle_session(now, id, event);
        }
    }

    pub(super) fn handle_leg_expiry(&mut self, now: Instant, node: usize, expiry: Expiry) {
        let concerned = |leg: &Leg| match (&leg.state, expiry) {
            (State::Up(session), Expiry::NoResponse(id)) => leg.node == node && session.sent(id),
            (State::Up(session), Expiry::NeverAcknowledged(id)) => {
                leg.node == node && session.awaits_ack(id)
            }
            (State::Ringing { .. }, _) => false,
        };
        let Some(id) = self
            .legs
            .iter()
            .find(|(_, leg)| concerned(leg))
            .map(|(id, _)| *id)
        else {
            return;
        };
        if let Some(Leg {
            state: State::Up(session),
            ..
        }) = self.legs.get_mut(&id)
        {
            let event = session.handle_expiry(now, &mut self.nodes[node].exchange, expiry);
            self.handle_session(now, id, event);
        }
    }

    fn handle_session(&mut self, now: Instant, id: LegId, event: Option<SessionEvent>) {
        let Some(event) = event else {
            return;
        };
        let leg = &self.legs[&id];
        let (token, dn) = (leg.token, self.phones[leg.phone].dn.clone());
        match event {
            SessionEvent::PeerHungUp => {
                // After our own BYE the call had ended for the agent already.
                if self.phones[leg.phone].line == Line::Talking(id) {
                    self.log.add(
                        now,
                        Fact::PhoneEnded {
                            token,
                            dn,
                            by: EndedBy::Server,
                        },
                    );
                }
                self.remove_leg(now, id);
            }
            SessionEvent::HungUp => {
                self.remove_leg(now, id);
            }
            SessionEvent::Changed(change) => self.log.add(now, Fact::Changed { token, change }),
            SessionEvent::Glare(change) => {
                // RFC 3261 §14.1: who did not mint the Call-ID waits less.
                let wait = self.random.within(super::GLARE_WAIT);
                self.agenda
                    .add(now + wait, Due::Leg(id, Act::Change(change)));
            }
            SessionEvent::Refused(_, status) => {
                self.log.add(
                    now,
                    Fact::ChangeRefused {
                        token,
                        status: status.0,
                    },
                );
            }
            SessionEvent::Fault(fault) => {
                let fact = Fact::Fault {
                    token,
                    dn: Some(dn),
                    fault,
                };
                self.log.add(now, fact);
                self.after_fault(now, id);
            }
        }
    }

    /// A session that could not even be ended is over all the same.
    fn after_fault(&mut self, now: Instant, id: LegId) {
        let Some(Leg {
            phone,
            state: State::Up(session),
            ..
        }) = self.legs.get(&id)
        else {
            return;
        };
        let phone = *phone;
        if session.has_given_up() {
            self.remove_leg(now, id);
        } else if session.is_ending() && self.phones[phone].line == Line::Talking(id) {
            self.set_line(now, phone, Line::Idle);
        }
    }

    pub(super) fn remove_leg(&mut self, now: Instant, id: LegId) -> Option<Leg> {
        let leg = self.legs.remove(&id)?;
        self.leg_by_call.remove(&(leg.node, leg.call_id.clone()));
        if let State::Ringing { invite, .. } = &leg.state {
            self.leg_by_invite.remove(&(leg.node, *invite));
        }
        if [Line::Ringing(id), Line::Talking(id)].contains(&self.phones[leg.phone].line) {
            self.set_line(now, leg.phone, Line::Idle);
        }
        Some(leg)
    }

    /// The token of the call at each phone that talks, for a comparison with the callers.
    pub(super) fn talking(&self) -> impl Iterator<Item = (Option<Token>, &str)> {
        self.legs.values().filter_map(|leg| match &leg.state {
            State::Up(session) if !session.is_ending() => {
                Some((leg.token, self.phones[leg.phone].dn.as_str()))
            }
            State::Up(_) | State::Ringing { .. } => None,
        })
    }
}
