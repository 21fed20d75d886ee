//! What the peer wants to change: its re-INVITEs and UPDATEs, answered as this end is told to.

use std::time::{Duration, Instant};

use offhook::sip::{HeaderName, Method, Request, Status};

use super::{Session, SessionEvent, Unacknowledged, contact, refuse};
use crate::population::exchange::{Answer, Exchange, ServerId};
use crate::population::message::SDP;

/// How a party takes the peer's offers in a call that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reception {
    /// They are answered at once.
    #[default]
    Answer,
    /// They are answered after so long.
    After(Duration),
    /// They are answered by command, or never.
    ByHand,
    /// They are refused with this status: 488, 500, 603, …; the call goes on.
    Refuse(Status),
    /// They get a 200 without a description, which breaks RFC 3264.
    Undescribed,
    /// They make this end hang up.
    HangUp,
}

/// An offer of the peer's that waits for our answer; without a body, an INVITE that asks for ours.
#[derive(Debug)]
pub(super) struct PeerOffer {
    id: ServerId,
    cseq: u32,
    /// An UPDATE has no ACK.
    update: bool,
    offer: Vec<u8>,
}

impl Session {
    /// The peer's re-INVITE or UPDATE.
    pub(super) fn handle_offer(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        id: ServerId,
        request: &Request<'_>,
    ) -> Vec<SessionEvent> {
        let update = request.method == Method::Update;
        let offer = request.message.body().to_vec();
        if update && offer.is_empty() {
            self.dialog.refresh(&request.message);
            let answer = Answer {
                fields: vec![(HeaderName::Contact, contact("", exchange))],
                ..Answer::default()
            };
            exchange.answer(now, id, Status::OK, &answer);
            return self.identify(&request.message).into_iter().collect();
        }
        // RFC 3261 §14.2, RFC 3311 §5.2: one offer at a time.
        if self.changing.is_some() || self.media.is_offering() {
            refuse(now, exchange, id, Status::REQUEST_PENDING);
            return Vec::new();
        }
        if self.pending.is_some() {
            refuse(now, exchange, id, Status::SERVER_INTERNAL_ERROR);
            return Vec::new();
        }
        if self.is_ending() {
            refuse(now, exchange, id, Status::REQUEST_TERMINATED);
            return Vec::new();
        }
        self.dialog.refresh(&request.message);
        let identified = self.identify(&request.message);
        self.pending = Some(PeerOffer {
            id,
            cseq: request.cseq,
            update,
            offer,
        });
        let received = self.receive(now, exchange);
        identified.into_iter().chain(received).collect()
    }

    /// What is done with the pending offer at once.
    fn receive(&mut self, now: Instant, exchange: &mut Exchange) -> Option<SessionEvent> {
        match self.reception {
            Reception::Answer => self.answer_offer(now, exchange),
            Reception::After(delay) => {
                self.say_trying(now, exchange);
                Some(SessionEvent::AnswerLater(delay))
            }
            Reception::ByHand => {
                self.say_trying(now, exchange);
                None
            }
            Reception::Refuse(status) => {
                let pending = self.pending.take()?;
                refuse(now, exchange, pending.id, status);
                None
            }
            Reception::Undescribed => {
                let pending = self.pending.take()?;
                self.accept(now, exchange, &pending, None);
                None
            }
            Reception::HangUp => {
                self.drop_pending(now, exchange);
                self.hang_up(now, exchange);
                Some(SessionEvent::HungUpInstead)
            }
        }
    }

    fn say_trying(&self, now: Instant, exchange: &mut Exchange) {
        if let Some(pending) = self.pending.as_ref().filter(|pending| !pending.update) {
            refuse(now, exchange, pending.id, Status::TRYING);
        }
    }

    /// Whether the peer waits for an answer to its offer.
    pub(in crate::population) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether this request is the pending offer.
    pub(in crate::population) fn awaits_answer(&self, id: ServerId) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|pending| pending.id == id)
    }

    /// Answers the pending offer, if there still is one.
    pub(in crate::population) fn answer_offer(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
    ) -> Option<SessionEvent> {
        let pending = self.pending.take()?;
        if pending.offer.is_empty() {
            let wish = self.media.wish();
            let offer = self.media.offer(wish);
            self.accept(now, exchange, &pending, Some(offer));
            return None;
        }
        let (answer, verdict) = self.media.answer(&pending.offer);
        match answer {
            Some(answer) => self.accept(now, exchange, &pending, Some(answer)),
            None => refuse(now, exchange, pending.id, Status::NOT_ACCEPTABLE_HERE),
        }
        verdict.err().map(SessionEvent::Fault)
    }

    fn accept(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        pending: &PeerOffer,
        description: Option<String>,
    ) {
        let described = description.is_some();
        let answer = Answer {
            fields: vec![(HeaderName::Contact, contact("", exchange))],
            body: description.map(|text| (SDP, text)),
            ..Answer::default()
        };
        exchange.answer(now, pending.id, Status::OK, &answer);
        if !pending.update {
            self.unacknowledged = Some(Unacknowledged {
                id: pending.id,
                cseq: Some(pending.cseq),
                with_answer: described && pending.offer.is_empty(),
            });
        }
    }

    /// The peer has taken its re-INVITE back; `false` when it is none of this session.
    pub(in crate::population) fn handle_cancelled(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        id: ServerId,
    ) -> bool {
        if !self.awaits_answer(id) {
            return false;
        }
        self.drop_pending(now, exchange);
        true
    }

    /// Every request has its final response, also one that came to nothing.
    pub(super) fn drop_pending(&mut self, now: Instant, exchange: &mut Exchange) {
        if let Some(pending) = self.pending.take() {
            refuse(now, exchange, pending.id, Status::REQUEST_TERMINATED);
        }
    }
}
