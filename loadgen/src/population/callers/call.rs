//! One caller's call, from the INVITE to its one outcome.

use std::time::{Duration, Instant};

use offhook::sip::{Method, Request, Response, Status};

use super::{CallPlan, Callers, Due};
use crate::population::dialog::Dialog;
use crate::population::exchange::{ClientId, Exchange, Expiry, ServerId};
use crate::population::media::{Flow, Media, Side, place};
use crate::population::message::{Outgoing, SDP};
use crate::population::random::Span;
use crate::population::session::{Change, Session, SessionEvent, asserted, offer_fields};
use crate::population::truth::{EndedBy, Fact, Fault, Outcome, Token};

/// RFC 3261 §14.1: how long the party that minted the Call-ID waits after a 491.
const GLARE_WAIT: Span = Span::milliseconds(2_100, 4_000);

/// The caller's own number.
pub(crate) fn caller_number(prefix: &str, Token(number): Token) -> String {
    format!("{prefix}{:07}", number % 10_000_000)
}

/// A call that is not over.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) plan: CallPlan,
    pub(super) intended: Instant,
    pub(super) sent: Instant,
    state: State,
    /// The caller has given up: whatever comes, the call is abandoned.
    gave_up: bool,
    /// What already decides that the call is lost.
    spoiled: Option<Fault>,
}

#[derive(Debug)]
enum State {
    Inviting {
        invite: ClientId,
        request: Box<Outgoing>,
        tag: String,
        media: Media,
    },
    Up {
        session: Box<Session>,
        since: Instant,
    },
}

/// What a caller does at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    GiveUp,
    Overdue,
    Change(Change),
    AnswerOffer,
    HangUp,
}

impl Callers {
    /// Sends the INVITE of a new call.
    pub(super) fn begin(&mut self, now: Instant, intended: Instant, plan: CallPlan) -> Token {
        let token = self.new_token();
        let Token(number) = token;
        let caller = caller_number(&self.prefix, token);
        let tag = format!("{}~{:016x}", number & 0xffff_ffff, self.random.number());
        let mut request = self.invite(token, &caller, &tag, &plan);
        let here = place(self.exchange.address, Side::Caller, number & 0xffff_ffff);
        let mut media = Media::new(here, number & 0xffff_ffff);
        if plan.early_offer {
            request.body = Some((SDP, media.offer(Flow::Both)));
        }
        self.by_call.insert(request.call_id.clone(), token);
        let invite = self.exchange.send(now, self.server, request.clone());
        let number = plan.number.clone();
        self.log.add(
            now,
            Fact::Offered {
                token,
                intended,
                number,
            },
        );
        self.totals.offered += 1;
        if let Some(patience) = plan.patience {
            self.agenda
                .add(intended + patience, Due::Call(token, Act::GiveUp));
        }
        self.agenda
            .add(intended + plan.final_within, Due::Call(token, Act::Overdue));
        let state = State::Inviting {
            invite,
            request: Box::new(request),
            tag,
            media,
        };
        let call = Call {
            plan,
            intended,
            sent: now,
            state,
            gave_up: false,
            spoiled: None,
        };
        self.calls.insert(token, call);
        token
    }

    fn invite(&mut self, token: Token, caller: &str, tag: &str, plan: &CallPlan) -> Outgoing {
        let (host, server) = (self.exchange.address.ip(), self.server);
        let Token(number) = token;
        let party = format!("\"Caller {caller}\" <sip:{caller}@{host}>");
        let mut request = Outgoing {
            method: Method::Invite,
            uri: format!("sip:{}@{server}", plan.number),
            from: format!("{party};tag={tag}"),
            to: format!("<sip:{}@{}>", plan.number, server.ip()),
            call_id: format!(
                "{}{number:x}-{:08x}@{host}",
                self.mark,
                self.random.number() >> 32
            ),
            cseq: 101,
            routes: Vec::new(),
            max_forwards: 69,
            fields: String::new(),
            body: None,
        };
        if let Some(seconds) = plan.expires {
            request.field("Expires", &seconds.to_string());
        }
        offer_fields(&mut request, caller, &self.exchange);
        token.write(&mut request);
        request.field("P-Asserted-Identity", &party);
        let remote = format!("{party};party=calling;screen=yes;privacy=off");
        request.field("Remote-Party-ID", &remote);
        if let Some(replaces) = &plan.replaces {
            request.field("Replaces", &replaces.header());
        }
        request
    }

    pub(super) fn act(&mut self, now: Instant, token: Token, act: Act) {
        let Some(call) = self.calls.get_mut(&token) else {
            return;
        };
        match (act, &mut call.state) {
            (Act::GiveUp, State::Inviting { invite, .. }) => {
                call.gave_up = true;
                self.exchange.cancel(now, *invite);
            }
            (Act::Overdue, State::Inviting { invite, .. }) => {
                call.spoiled = Some(Fault::NoFinalResponse);
                self.exchange.cancel(now, *invite);
            }
            (Act::Change(change), State::Up { session, .. }) => {
                if !change.resumes() || session.is_held() {
                    session.change(now, &mut self.exchange, change, "");
                }
            }
            (Act::AnswerOffer, State::Up { session, .. }) => {
                let event = session.answer_offer(now, &mut self.exchange);
                self.handle_session(now, token, event);
            }
            (Act::HangUp, State::Up { session, .. }) => session.hang_up(now, &mut self.exchange),
            (Act::GiveUp | Act::Overdue, State::Up { .. })
            | (Act::Change(_) | Act::AnswerOffer | Act::HangUp, State::Inviting { .. }) => {}
        }
    }

    pub(super) fn handle_response(&mut self, now: Instant, id: ClientId, response: &Response<'_>) {
        let Some(token) = self.by_call.get(response.call_id).copied() else {
            return;
        };
        let call = self
            .calls
            .get_mut(&token)
            .expect("the index names calls that exist");
        match &mut call.state {
            State::Inviting { invite, .. } if *invite == id => {
                self.handle_invite_response(now, token, id, response);
            }
            State::Inviting { .. } => {}
            State::Up { session, .. } => {
                let events = session.handle_response(now, &mut self.exchange, id, response);
                self.handle_session(now, token, events);
            }
        }
    }

    fn handle_invite_response(
        &mut self,
        now: Instant,
        token: Token,
        id: ClientId,
        response: &Response<'_>,
    ) {
        let status = response.status;
        if status.is_provisional() {
            self.log.add(
                now,
                Fact::Progress {
                    token,
                    status: status.0,
                },
            );
            if !response.message.body().is_empty() {
                self.log.add(now, Fact::EarlyMedia { token });
            }
            if let Some(user) = asserted(&response.message) {
                let fact = Fact::Identified {
                    token: Some(token),
                    dn: None,
                    user,
                };
                self.log.add(now, fact);
            }
        } else if status.is_success() {
            self.connect(now, token, id, response);
        } else {
            let call = &self.calls[&token];
            let expired = call
                .plan
                .expires
                .is_some_and(|seconds| now >= call.sent + Duration::from_secs(seconds.into()));
            let outcome = match call.spoiled {
                Some(fault) => Outcome::Lost(fault),
                None if call.gave_up => Outcome::Abandoned,
                None if expired && status == Status::REQUEST_TERMINATED => Outcome::Abandoned,
                None => Outcome::Refused(status.0),
            };
            self.end(now, token, outcome);
        }
    }

    fn connect(&mut self, now: Instant, token: Token, id: ClientId, response: &Response<'_>) {
        let call = self
            .calls
            .get_mut(&token)
            .expect("the caller has found the call");
        let State::Inviting {
            request,
            tag,
            media,
            ..
        } = &mut call.state
        else {
            return;
        };
        let dialog = Dialog::of_response(request, tag, response, self.server);
        let mut session = Session::new(dialog, media.clone());
        session.reception = self.reception;
        if let Err(fault) = session.open(&mut self.exchange, id, response) {
            call.spoiled = Some(fault);
            self.log.add(
                now,
                Fact::Fault {
                    token: Some(token),
                    dn: None,
                    fault,
                },
            );
        }
        // RFC 5407 §3: a 200 that crosses the CANCEL is acknowledged, and then the call is ended.
        if call.gave_up || call.spoiled.is_some() {
            session.hang_up(now, &mut self.exchange);
        } else {
            self.log.add(now, Fact::Connected { token });
            if let Some(delay) = call.plan.hold_after {
                self.agenda
                    .add(now + delay, Due::Call(token, Act::Change(Change::Hold)));
                self.agenda.add(
                    now + delay * 2,
                    Due::Call(token, Act::Change(Change::Resume)),
                );
            }
            if let Some(delay) = call.plan.hang_up_after {
                self.agenda.add(now + delay, Due::Call(token, Act::HangUp));
            }
        }
        call.state = State::Up {
            session: Box::new(session),
            since: now,
        };
    }

    /// A request in the dialog of a call; `false` when it is of none.
    pub(super) fn handle_in_session(
        &mut self,
        now: Instant,
        id: ServerId,
        request: &Request<'_>,
    ) -> bool {
        let Some(token) = self.by_call.get(request.call_id).copied() else {
            return false;
        };
        let call = self
            .calls
            .get_mut(&token)
            .expect("the index names calls that exist");
        match &mut call.state {
            State::Up { session, .. } if session.owns(request) => {
                let events = session.handle_request(now, &mut self.exchange, id, request);
                self.handle_session(now, token, events);
                true
            }
            State::Up { .. } | State::Inviting { .. } => false,
        }
    }

    pub(super) fn handle_ack(&mut self, now: Instant, request: &Request<'_>) {
        let Some(token) = self.by_call.get(request.call_id).copied() else {
            return;
        };
        let call = self
            .calls
            .get_mut(&token)
            .expect("the index names calls that exist");
        if let State::Up { session, .. } = &mut call.state {
            let event = session.handle_ack(now, &mut self.exchange, request);
            self.handle_session(now, token, event);
        }
    }

    pub(super) fn handle_expiry(&mut self, now: Instant, expiry: Expiry) {
        let concerned = |call: &Call| match (&call.state, expiry) {
            (State::Inviting { invite, .. }, Expiry::NoResponse(id)) => *invite == id,
            (State::Inviting { .. }, Expiry::NeverAcknowledged(_)) => false,
            (State::Up { session, .. }, Expiry::NoResponse(id)) => session.sent(id),
            (State::Up { session, .. }, Expiry::NeverAcknowledged(id)) => session.awaits_ack(id),
        };
        let found = self
            .calls
            .iter()
            .find(|(_, call)| concerned(call))
            .map(|(token, _)| *token);
        let Some(token) = found else {
            return;
        };
        let call = self.calls.get_mut(&token).expect("it has just been found");
        match &mut call.state {
            State::Inviting { .. } => {
                let cancelled = call.gave_up || call.spoiled.is_some();
                let fault = if cancelled {
                    Fault::NoFinalResponse
                } else {
                    Fault::InviteUnanswered
                };
                self.log.add(
                    now,
                    Fact::Fault {
                        token: Some(token),
                        dn: None,
                        fault,
                    },
                );
                self.end(now, token, Outcome::Lost(fault));
            }
            State::Up { session, .. } => {
                let event = session.handle_expiry(now, &mut self.exchange, expiry);
                self.handle_session(now, token, event);
            }
        }
    }

    /// The server takes a re-INVITE back.
    pub(super) fn handle_cancelled(&mut self, now: Instant, id: ServerId) {
        for call in self.calls.values_mut() {
            if let State::Up { session, .. } = &mut call.state
                && session.handle_cancelled(now, &mut self.exchange, id)
            {
                return;
            }
        }
    }

    pub(super) fn handle_session(
        &mut self,
        now: Instant,
        token: Token,
        events: impl IntoIterator<Item = SessionEvent>,
    ) {
        for event in events {
            self.handle_session_event(now, token, event);
        }
    }

    fn handle_session_event(&mut self, now: Instant, token: Token, event: SessionEvent) {
        let known = (Some(token), None);
        match event {
            SessionEvent::PeerHungUp => {
                // Whose own BYE was lost has hung up all the same.
                let session = self.session(token);
                let is_ending = session.is_some_and(|(session, _)| session.is_ending());
                let by = if is_ending {
                    EndedBy::Us
                } else {
                    EndedBy::Server
                };
                self.end_up(now, token, by);
            }
            SessionEvent::HungUp => self.end_up(now, token, EndedBy::Us),
            SessionEvent::HungUpInstead => {}
            SessionEvent::Transferred => self.act(now, token, Act::HangUp),
            SessionEvent::AnswerLater(delay) => {
                self.agenda
                    .add(now + delay, Due::Call(token, Act::AnswerOffer));
            }
            SessionEvent::Glare(change) => {
                let wait = self.random.within(GLARE_WAIT);
                self.agenda
                    .add(now + wait, Due::Call(token, Act::Change(change)));
            }
            SessionEvent::Fault(fault) => self.spoil(now, token, fault),
            SessionEvent::Changed(_)
            | SessionEvent::Refused(..)
            | SessionEvent::Referred(_)
            | SessionEvent::Info { .. }
            | SessionEvent::Identified(_) => {
                if let Some(fact) = event.fact(known) {
                    self.log.add(now, fact);
                }
            }
        }
    }

    /// The server has broken a rule: whatever comes, the call is lost.
    fn spoil(&mut self, now: Instant, token: Token, fault: Fault) {
        let call = self
            .calls
            .get_mut(&token)
            .expect("an event of a session has a call");
        call.spoiled = Some(fault);
        let over = match &call.state {
            State::Inviting { .. } => false,
            State::Up { session, .. } => session.has_given_up(),
        };
        let fact = Fact::Fault {
            token: Some(token),
            dn: None,
            fault,
        };
        self.log.add(now, fact);
        if over {
            self.end(now, token, Outcome::Lost(fault));
        }
    }

    fn end_up(&mut self, now: Instant, token: Token, by: EndedBy) {
        let call = &self.calls[&token];
        let outcome = match call.spoiled {
            Some(fault) => Outcome::Lost(fault),
            None if call.gave_up => Outcome::Abandoned,
            None => Outcome::Answered(by),
        };
        self.end(now, token, outcome);
    }

    /// The one place where a call ends.
    pub(super) fn end(&mut self, now: Instant, token: Token, outcome: Outcome) {
        let call = self.calls.remove(&token).expect("a call ends once");
        let call_id = match &call.state {
            State::Inviting { request, .. } => request.call_id.as_str(),
            State::Up { session, .. } => session.call_id(),
        };
        self.by_call.remove(call_id);
        match outcome {
            Outcome::Answered(_) => self.totals.answered += 1,
            Outcome::Abandoned => self.totals.abandoned += 1,
            Outcome::Refused(_) => self.totals.refused += 1,
            Outcome::Lost(_) => self.totals.lost += 1,
        }
        self.log.add(now, Fact::Ended { token, outcome });
        let unserved = matches!(outcome, Outcome::Abandoned | Outcome::Refused(_));
        if let Some((wait, plan)) = call.plan.redial().filter(|_| unserved) {
            self.redials += 1;
            self.agenda.add(now + wait, Due::Redial(Box::new(plan)));
        }
    }

    /// The session of a call that is up.
    pub(super) fn session(&mut self, token: Token) -> Option<(&mut Session, &mut Exchange)> {
        match &mut self.calls.get_mut(&token)?.state {
            State::Up { session, .. } => Some((session, &mut self.exchange)),
            State::Inviting { .. } => None,
        }
    }
}

impl Call {
    /// Since when the call is up, if it is and nobody on this side is ending it.
    pub(super) fn up_since(&self) -> Option<Instant> {
        match &self.state {
            State::Inviting { .. } => None,
            State::Up { session, since } => (!session.is_ending()).then_some(*since),
        }
    }

    /// Its session, if it is up and nobody on this side is ending it.
    pub(super) fn live_session(&self) -> Option<&Session> {
        match &self.state {
            State::Up { session, .. } if !session.is_ending() => Some(session),
            State::Up { .. } | State::Inviting { .. } => None,
        }
    }

    /// Whether the caller still waits for an answer.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Inviting { .. })
    }
}
