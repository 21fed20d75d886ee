//! What this end wants to change about a call that is up.

use std::time::Instant;

use offhook::sip::{Method, Response, Status};

use super::{Session, SessionEvent, offer_fields};
use crate::population::exchange::{ClientId, Exchange};
use crate::population::media::Flow;
use crate::population::message::{Outgoing, SDP};
use crate::population::truth::Fault;

/// What a party wants to change about a call that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A re-INVITE with an inactive offer: UCM's hold.
    Hold,
    /// A re-INVITE with a sendonly offer: a hold with music.
    HoldWithMusic,
    /// A re-INVITE without an offer: UCM's resume.
    Resume,
    /// A re-INVITE with an offer of audio both ways.
    ResumeWithOffer,
    /// A re-INVITE with the present description: a refresh.
    Refresh,
    /// A hold by UPDATE (RFC 3311).
    HoldByUpdate,
    /// A resume by UPDATE with an offer.
    ResumeByUpdate,
    /// An UPDATE without an offer: a refresh of the session timer.
    Update,
}

impl Change {
    /// Whether it puts the other side on hold.
    pub(crate) fn holds(self) -> bool {
        match self {
            Self::Hold | Self::HoldWithMusic | Self::HoldByUpdate => true,
            Self::Resume
            | Self::ResumeWithOffer
            | Self::Refresh
            | Self::ResumeByUpdate
            | Self::Update => false,
        }
    }

    /// Whether it ends a hold: nothing is resumed that was never held.
    pub(in crate::population) fn resumes(self) -> bool {
        match self {
            Self::Resume | Self::ResumeWithOffer | Self::ResumeByUpdate => true,
            Self::Hold
            | Self::HoldWithMusic
            | Self::Refresh
            | Self::HoldByUpdate
            | Self::Update => false,
        }
    }

    fn method(self) -> Method<'static> {
        match self {
            Self::HoldByUpdate | Self::ResumeByUpdate | Self::Update => Method::Update,
            Self::Hold
            | Self::HoldWithMusic
            | Self::Resume
            | Self::ResumeWithOffer
            | Self::Refresh => Method::Invite,
        }
    }

    /// Which way its offer says, if it has one.
    fn flow(self, present: Flow) -> Option<Flow> {
        match self {
            Self::Hold | Self::HoldByUpdate => Some(Flow::Inactive),
            Self::HoldWithMusic => Some(Flow::SendOnly),
            Self::ResumeWithOffer | Self::ResumeByUpdate => Some(Flow::Both),
            Self::Refresh => Some(present),
            Self::Resume | Self::Update => None,
        }
    }
}

impl Session {
    /// Begins a change; `false` while another one or the end is under way.
    pub(in crate::population) fn change(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        change: Change,
        contact_user: &str,
    ) -> bool {
        if !self.is_settled() || self.is_ending() {
            return false;
        }
        let mut request = self.dialog.request(change.method());
        offer_fields(&mut request, contact_user, exchange);
        let flow = change.flow(self.media.wish());
        request.body = flow.map(|flow| (SDP, self.media.offer(flow)));
        self.send_change(now, exchange, request, change);
        true
    }

    fn send_change(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        request: Outgoing,
        change: Change,
    ) {
        let id = exchange.send(now, self.dialog.next_hop(), request);
        self.changing = Some((id, change));
    }

    pub(super) fn handle_change_response(
        &mut self,
        _now: Instant,
        exchange: &mut Exchange,
        id: ClientId,
        response: &Response<'_>,
    ) -> Vec<SessionEvent> {
        let Some((_, change)) = self.changing.take_if(|(changing, _)| *changing == id) else {
            return Vec::new();
        };
        if !response.status.is_success() {
            self.media.withdraw();
            let glare = response.status == Status::REQUEST_PENDING;
            return vec![if glare {
                SessionEvent::Glare(change)
            } else {
                SessionEvent::Refused(change, response.status)
            }];
        }
        self.dialog.refresh(&response.message);
        let verdict = self.take_success(exchange, id, change, response);
        let news = self.identify(&response.message);
        let end = match verdict {
            Ok(()) => SessionEvent::Changed(change),
            Err(fault) => SessionEvent::Fault(fault),
        };
        news.into_iter().chain([end]).collect()
    }

    /// The 2xx to our change: acknowledged, if it was an INVITE, with the answer if it brings the
    /// offer.
    fn take_success(
        &mut self,
        exchange: &mut Exchange,
        id: ClientId,
        change: Change,
        response: &Response<'_>,
    ) -> Result<(), Fault> {
        let body = response.message.body();
        match change {
            Change::Update => Ok(()),
            Change::HoldByUpdate | Change::ResumeByUpdate => match body {
                [] => {
                    self.media.withdraw();
                    Err(Fault::OkWithoutAnswer)
                }
                answer => self.media.take_answer(answer),
            },
            Change::Resume => {
                self.media.want_both();
                let (answer, verdict) = match body {
                    [] => (None, Err(Fault::OkWithoutOffer)),
                    offer => self.media.answer(offer),
                };
                self.acknowledge(exchange, id, response.cseq, answer);
                verdict
            }
            Change::Hold | Change::HoldWithMusic | Change::ResumeWithOffer | Change::Refresh => {
                self.acknowledge(exchange, id, response.cseq, None);
                match body {
                    [] => {
                        self.media.withdraw();
                        Err(Fault::OkWithoutAnswer)
                    }
                    answer => self.media.take_answer(answer),
                }
            }
        }
    }
}
