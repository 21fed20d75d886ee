//! How a confirmed call is refreshed (RFC 4028): by UPDATE where the peer takes it, else by an
//! INVITE that repeats what was said; and the UPDATE that offers (RFC 3311). The layer above hears
//! what the INVITE was answered with, and of the end of a call that could not be refreshed.

use std::time::Duration;

use crate::sip::{Request, Response, Status};
use crate::transaction::{ClientKey, ServerKey};

use super::extensions::{pause, too_short};
use super::leg::Leg;
use super::offered::{By, Offered};
use super::session::{Negotiation, Offering, Session};
use super::session_timer::{Asked, Due};
use super::turn::Turn;
use super::{Cause, LegEvent, Release, asides};

impl Session {
    /// The session timer has run out.
    pub(super) fn due(self, turn: &mut Turn<'_>, due: Due) -> Leg {
        match due {
            Due::Refresh => self.refresh(turn),
            Due::Expired => self.lost(turn),
        }
    }

    /// RFC 4028 §10: the BYE says that nobody has refreshed the session.
    pub(super) fn lost(self, turn: &mut Turn<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Lost));
        let cause = Cause {
            q850: Some(102),
            sip: Some(Status::REQUEST_TIMEOUT),
        };
        self.hang_up(turn, cause)
    }

    fn refresh(mut self, turn: &mut Turn<'_>) -> Leg {
        self.dialog.timer.wait(turn);
        let repeats = self.dialog.described.is_some() && !self.dialog.peer.update;
        if !repeats {
            if !asides::update(turn, &mut self.dialog) {
                let pause = pause(turn, None);
                self.dialog.timer.again(turn, pause);
            }
            return Leg::Confirmed(self);
        }
        if !matches!(self.negotiation, Negotiation::Settled) {
            // The INVITE under way refreshes as well; should it fail, there is time for another.
            let pause = pause(turn, None);
            self.dialog.timer.again(turn, pause);
            return Leg::Confirmed(self);
        }
        let described = self.dialog.described.clone();
        match turn.reinvite(&mut self.dialog, described.as_deref()) {
            Some((sent, cseq)) => {
                self.invites.push(turn.core, &sent, cseq);
                self.becomes(Negotiation::Refreshing(Offering::new(sent, cseq)))
            }
            None => {
                let pause = pause(turn, None);
                self.dialog.timer.again(turn, pause);
                Leg::Confirmed(self)
            }
        }
    }

    /// The response to an INVITE that refreshes.
    pub(super) fn refresh_response(
        mut self,
        turn: &mut Turn<'_>,
        client: ClientKey,
        response: &Response<'_>,
    ) -> Leg {
        if response.status.is_provisional() {
            return Leg::Confirmed(self);
        }
        self.negotiation = Negotiation::Settled;
        if response.status.is_success() {
            let body = self.dialog.hear(turn.core, &response.message);
            self.invites.succeeded(turn, client, body.as_ref());
            self.invites.acknowledge(turn, &self.dialog, client, None);
            if let Some(body) = body {
                turn.emit(LegEvent::Refreshed { body });
            }
        } else {
            self.invites.remove(turn.core, client);
        }
        self.updated(turn, response.status, Some(response))
    }

    /// The final response to a refresh, or to an UPDATE that says who is across.
    pub(super) fn updated(
        mut self,
        turn: &mut Turn<'_>,
        status: Status,
        response: Option<&Response<'_>>,
    ) -> Leg {
        if let Some(response) = response
            && status.is_success()
        {
            self.dialog.refresh_by_response(response);
            self.dialog.timer.accepted(turn, &response.message);
            return Leg::Confirmed(self);
        }
        match status {
            // RFC 3261 §12.2.1.2, RFC 4028 §10: the peer has lost the call.
            Status::CALL_DOES_NOT_EXIST => return self.lost(turn),
            Status::REQUEST_TIMEOUT if !self.dialog.timer.is_patient() => return self.lost(turn),
            Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED => {
                self.dialog.peer.update = false;
                if self.dialog.described.is_none() {
                    // What an INVITE would have to repeat is not known: the peer may end the call
                    // for that, we do not.
                    self.dialog.timer.stop(turn.core);
                    return Leg::Confirmed(self);
                }
            }
            Status::SESSION_INTERVAL_TOO_SMALL => {
                let raised =
                    response.is_some_and(|response| self.dialog.timer.raise(&response.message));
                if raised {
                    self.dialog.timer.again(turn, Duration::ZERO);
                    return Leg::Confirmed(self);
                }
            }
            _ => {}
        }
        let pause = pause(turn, response);
        self.dialog.timer.again(turn, pause);
        Leg::Confirmed(self)
    }

    /// An UPDATE with an offer (RFC 3311 §5.2).
    pub(super) fn update(
        mut self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Leg {
        match self.negotiation {
            Negotiation::Settled => {}
            // Ours is not answered.
            Negotiation::Offering(_) | Negotiation::Refreshing(_) => {
                turn.reply(server, request, Status::REQUEST_PENDING);
                return Leg::Confirmed(self);
            }
            Negotiation::Accepted(ref accepted) => {
                accepted.is_met(turn, server, request);
                return Leg::Confirmed(self);
            }
            // Theirs is not.
            Negotiation::Offered(_) | Negotiation::Answered(_) | Negotiation::Recalled(_) => {
                turn.ask_for_later(server, request);
                return Leg::Confirmed(self);
            }
        }
        if Asked::of(&request.message).is_too_short(&self.dialog.policy) {
            too_short(turn, &self.dialog, server, request);
            return Leg::Confirmed(self);
        }
        let offered = Offered::new(turn, &mut self.dialog, (server, request), By::Update);
        let offered = offered.bounded(turn);
        let offered = turn.core.spare.offered.lend(offered);
        self.becomes(Negotiation::Offered(offered))
    }
}
