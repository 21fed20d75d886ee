//! Calls at phones that are up: changed by either side, held while the phone talks in another one,
//! transferred, hung up.

use std::net::SocketAddr;
use std::time::Instant;

use offhook::sip::{Method, Request, Response, Status};

use super::legs::{Act, Leg, LegId, State};
use super::phone::Line;
use super::{Due, Pbx};
use crate::population::exchange::{ClientId, Exchange, Expiry, ServerId};
use crate::population::session::{Change, Replaces, Session, SessionEvent, asserted, refuse};
use crate::population::truth::{EndedBy, Fact, Token};

/// A call that a phone talks in.
#[derive(Debug)]
pub(in crate::population) struct Connection<'a> {
    pub(in crate::population) token: Option<Token>,
    pub(in crate::population) dn: &'a str,
    /// The node of the PBX that has the call.
    pub(in crate::population) node: SocketAddr,
    pub(in crate::population) session: &'a Session,
}

impl Pbx {
    /// The session of a leg that is up, with the exchange of its node.
    pub(super) fn session(&mut self, id: LegId) -> Option<(&mut Session, &mut Exchange)> {
        match self.legs.get_mut(&id)? {
            Leg {
                node,
                state: State::Up(session),
                ..
            } => Some((session, &mut self.nodes[*node].exchange)),
            Leg {
                state: State::Ringing { .. } | State::Dialling(_),
                ..
            } => None,
        }
    }

    /// The dialog of a leg that rings or is up, as the server knows it.
    pub(super) fn dialog_of(&self, id: LegId) -> Option<Replaces> {
        match &self.legs.get(&id)?.state {
            State::Ringing { dialog, .. } => Some(dialog.replaces()),
            State::Up(session) => Some(session.replaces()),
            State::Dialling(_) => None,
        }
    }

    /// The agent hangs up: the phone is free at once, whatever becomes of the BYE.
    pub(super) fn hang_up(&mut self, now: Instant, id: LegId) {
        let Some((session, exchange)) = self.session(id) else {
            return self.give_up_dialling(now, id);
        };
        if session.is_ending() {
            return;
        }
        session.hang_up(now, exchange);
        self.has_hung_up(now, id);
    }

    fn has_hung_up(&mut self, now: Instant, id: LegId) {
        let leg = &self.legs[&id];
        let (token, phone) = (leg.token, leg.phone);
        let dn = self.phones[phone].dn.clone();
        let by = EndedBy::Us;
        self.log.add(now, Fact::PhoneEnded { token, dn, by });
        self.leave_line(now, phone, id);
    }

    /// The agent changes the call; `false` when that is not possible now.
    pub(super) fn change(&mut self, now: Instant, id: LegId, change: Change) -> bool {
        let Some(leg) = self.legs.get(&id) else {
            return false;
        };
        let dn = self.phones[leg.phone].dn.clone();
        let Some((session, exchange)) = self.session(id) else {
            return false;
        };
        // Nothing is resumed that was never held.
        if change.resumes() && !session.is_held() {
            return false;
        }
        session.change(now, exchange, change, &dn)
    }

    /// The call that rings at a phone, beside one that it talks in as well.
    pub(super) fn ringing(&self, phone: usize) -> Option<LegId> {
        let rings = |leg: &&LegId| matches!(self.legs[leg].state, State::Ringing { .. });
        self.phones[phone].legs.iter().find(rings).copied()
    }

    /// A phone turns to its other call.
    pub(super) fn swap(&mut self, now: Instant, phone: usize) -> bool {
        let Line::Talking(present) = self.phones[phone].line else {
            return false;
        };
        let up = |leg: &&LegId| matches!(self.legs[leg].state, State::Up(_)) && **leg != present;
        let Some(other) = self.phones[phone].legs.iter().find(up).copied() else {
            return false;
        };
        self.hold_the_other(now, phone, other);
        self.change(now, other, Change::Resume);
        self.set_line(now, phone, Line::Talking(other));
        true
    }

    /// A phone that begins to talk in `id` holds what it talked in, as phones do.
    pub(super) fn hold_the_other(&mut self, now: Instant, phone: usize, id: LegId) {
        let Line::Talking(other) = self.phones[phone].line else {
            return;
        };
        let hears = self
            .session(other)
            .is_some_and(|(session, _)| session.media().hears().is_some());
        if other != id && hears {
            self.change(now, other, Change::Hold);
        }
    }

    /// Answers an offer of the server's that has waited.
    pub(super) fn answer_offer(&mut self, now: Instant, id: LegId) {
        if let Some((session, exchange)) = self.session(id) {
            let event = session.answer_offer(now, exchange);
            self.handle_session(now, id, event);
        }
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
                self.handle_in_ringing(now, leg_id, id, request);
                true
            }
            State::Up(session) if session.owns(request) => {
                let events = session.handle_request(now, exchange, id, request);
                self.handle_session(now, leg_id, events);
                true
            }
            State::Ringing { .. } | State::Dialling(_) | State::Up(_) => false,
        }
    }

    /// A request in the early dialog of a phone that rings.
    fn handle_in_ringing(
        &mut self,
        now: Instant,
        leg_id: LegId,
        id: ServerId,
        request: &Request<'_>,
    ) {
        let leg = self
            .legs
            .get_mut(&leg_id)
            .expect("the caller has found the leg");
        let news = asserted(&request.message);
        if let (State::Ringing { identity, .. }, Some(user)) = (&mut leg.state, news)
            && identity.as_ref() != Some(&user)
        {
            *identity = Some(user.clone());
            let (token, dn) = (leg.token, Some(self.phones[leg.phone].dn.clone()));
            self.log.add(now, Fact::Identified { token, dn, user });
        }
        let event = request.message.event().ok().flatten();
        let talk = event.is_some_and(|event| event.is("talk"));
        let answers = leg.behaviour.answers_alone.filter(|_| talk);
        let status = match request.method {
            // RFC 3261 §15: a caller may end an early dialog with BYE.
            Method::Bye => Status::OK,
            Method::Notify if answers.is_some() => Status::OK,
            Method::Notify => Status::BAD_EVENT,
            // Without an offer it only says who calls.
            Method::Update if request.message.body().is_empty() => Status::OK,
            Method::Update => Status::REQUEST_PENDING,
            Method::Invite
            | Method::Ack
            | Method::Cancel
            | Method::Options
            | Method::Register
            | Method::Subscribe
            | Method::Publish
            | Method::Info
            | Method::Refer
            | Method::Message
            | Method::Prack
            | Method::Other(_) => Status::METHOD_NOT_ALLOWED,
        };
        refuse(now, &mut self.nodes[leg.node].exchange, id, status);
        if let Some(delay) = answers {
            self.agenda.add(now + delay, Due::Leg(leg_id, Act::Answer));
        }
        let ended = request.method == Method::Bye;
        if ended && let Some(leg) = self.end_ringing(now, leg_id, Status::REQUEST_TERMINATED) {
            let dn = self.phones[leg.phone].dn.clone();
            let token = leg.token;
            self.log.add(now, Fact::PhoneCancelled { token, dn });
        }
    }

    pub(super) fn handle_leg_ack(&mut self, now: Instant, node: usize, request: &Request<'_>) {
        let key = (node, request.call_id.to_owned());
        let Some(id) = self.leg_by_call.get(&key).copied() else {
            return;
        };
        if let Some((session, exchange)) = self.session(id) {
            let event = session.handle_ack(now, exchange, request);
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
        match self.session(id) {
            Some((session, exchange)) => {
                let events = session.handle_response(now, exchange, client, response);
                self.handle_session(now, id, events);
            }
            None => self.handle_dial_response(now, id, client, response),
        }
    }

    /// The server takes a re-INVITE back.
    pub(super) fn handle_change_cancelled(&mut self, now: Instant, node: usize, invite: ServerId) {
        let exchange = &mut self.nodes[node].exchange;
        for leg in self.legs.values_mut().filter(|leg| leg.node == node) {
            if let State::Up(session) = &mut leg.state
                && session.handle_cancelled(now, exchange, invite)
            {
                return;
            }
        }
    }

    pub(super) fn handle_leg_expiry(&mut self, now: Instant, node: usize, expiry: Expiry) {
        let concerned = |leg: &Leg| match (&leg.state, expiry) {
            _ if leg.node != node => false,
            (State::Up(session), Expiry::NoResponse(id)) => session.sent(id),
            (State::Up(session), Expiry::NeverAcknowledged(id)) => session.awaits_ack(id),
            (State::Dialling(dialling), Expiry::NoResponse(id)) => dialling.is(id),
            (State::Dialling(_), Expiry::NeverAcknowledged(_)) | (State::Ringing { .. }, _) => {
                false
            }
        };
        let mut legs = self.legs.iter();
        let Some(id) = legs.find(|(_, leg)| concerned(leg)).map(|(id, _)| *id) else {
            return;
        };
        match self.session(id) {
            Some((session, exchange)) => {
                let event = session.handle_expiry(now, exchange, expiry);
                self.handle_session(now, id, event);
            }
            None => self.handle_dial_expiry(now, id),
        }
    }

    pub(super) fn handle_session(
        &mut self,
        now: Instant,
        id: LegId,
        events: impl IntoIterator<Item = SessionEvent>,
    ) {
        for event in events {
            self.handle_session_event(now, id, event);
        }
    }

    fn handle_session_event(&mut self, now: Instant, id: LegId, event: SessionEvent) {
        let leg = &self.legs[&id];
        let (token, dn) = (leg.token, self.phones[leg.phone].dn.clone());
        match event {
            SessionEvent::PeerHungUp => {
                // After our own BYE the call had ended for the agent already.
                let ended = self
                    .session(id)
                    .is_some_and(|(session, _)| session.is_ending());
                if !ended {
                    let by = EndedBy::Server;
                    self.log.add(now, Fact::PhoneEnded { token, dn, by });
                }
                self.remove_leg(now, id);
            }
            SessionEvent::HungUp => {
                self.remove_leg(now, id);
            }
            SessionEvent::HungUpInstead => self.has_hung_up(now, id),
            SessionEvent::Transferred => self.hang_up(now, id),
            SessionEvent::AnswerLater(delay) => {
                self.agenda.add(now + delay, Due::Leg(id, Act::AnswerOffer));
            }
            SessionEvent::Glare(change) => {
                // RFC 3261 §14.1: who did not mint the Call-ID waits less.
                let wait = self.random.within(super::GLARE_WAIT);
                self.agenda
                    .add(now + wait, Due::Leg(id, Act::Change(change)));
            }
            SessionEvent::Fault(fault) => {
                let dn = Some(dn);
                self.log.add(now, Fact::Fault { token, dn, fault });
                self.after_fault(now, id);
            }
            SessionEvent::Changed(_)
            | SessionEvent::Refused(..)
            | SessionEvent::Referred(_)
            | SessionEvent::Info { .. }
            | SessionEvent::Identified(_) => {
                if let Some(fact) = event.fact((token, Some(dn))) {
                    self.log.add(now, fact);
                }
            }
        }
    }

    /// A session that could not even be ended is over all the same.
    fn after_fault(&mut self, now: Instant, id: LegId) {
        let Some((session, _)) = self.session(id) else {
            return;
        };
        let (gave_up, ending) = (session.has_given_up(), session.is_ending());
        if gave_up {
            self.remove_leg(now, id);
        } else if ending {
            let phone = self.legs[&id].phone;
            self.leave_line(now, phone, id);
        }
    }

    /// The phone does not talk, ring or dial in `id` any more: what else it has comes to the fore.
    pub(super) fn leave_line(&mut self, now: Instant, phone: usize, id: LegId) {
        let here = [Line::Ringing(id), Line::Talking(id), Line::Dialling(id)];
        if !here.contains(&self.phones[phone].line) {
            return;
        }
        let state = |other: &LegId| match &self.legs.get(other)?.state {
            State::Up(session) if session.is_ending() => None,
            State::Up(_) => Some(Line::Talking(*other)),
            State::Ringing { .. } => Some(Line::Ringing(*other)),
            State::Dialling(_) => Some(Line::Dialling(*other)),
        };
        let others = self.phones[phone].legs.iter().filter(|other| **other != id);
        let mut lines: Vec<Line> = others.filter_map(state).collect();
        lines.sort_by_key(|line| !matches!(line, Line::Talking(_)));
        self.set_line(now, phone, lines.first().copied().unwrap_or(Line::Idle));
    }

    /// The calls that phones talk in, for a comparison with the callers.
    pub(super) fn talking(&self) -> impl Iterator<Item = Connection<'_>> {
        self.legs.values().filter_map(|leg| match &leg.state {
            State::Up(session) if !session.is_ending() => Some(Connection {
                token: leg.token,
                dn: &self.phones[leg.phone].dn,
                node: self.nodes[leg.node].exchange.address,
                session,
            }),
            State::Up(_) | State::Dialling(_) | State::Ringing { .. } => None,
        })
    }
}
