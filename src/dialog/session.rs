//! A confirmed call, both sides alike: INVITEs within the dialog each way, one at a time
//! (RFC 3261 §14), and its end by BYE from either side.

use crate::sip::{Message, Method, Request, Response, Status};
use crate::spare::Lent;
use crate::transaction::{ClientKey, ServerKey};

use super::accepted::Accepted;
use super::call_dialog::CallDialog;
use super::compose::Draft;
use super::core::Sent;
use super::extensions::too_short;
use super::invites::{AckOwed, Invites};
use super::leaving::Leaving;
use super::leg::Leg;
use super::offered::{By, Offered};
use super::session_timer::Asked;
use super::turn::{Turn, cause_of};
use super::{Body, Cause, LegEvent, Refusal, Release, refer};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) dialog: Box<CallDialog>,
    pub(super) invites: Invites,
    pub(super) negotiation: Negotiation,
}

/// The INVITE that is under way within the dialog, if any.
#[derive(Debug)]
pub(super) enum Negotiation {
    /// None.
    Settled,
    /// Ours, without a final response.
    Offering(Offering),
    /// Ours, which refreshes the session and about which the layer above knows nothing.
    Refreshing(Offering),
    /// Ours has its 2xx; the layer above is asked for the ACK.
    Answered(AckOwed),
    /// Ours, of an earlier process, whose 2xx asks for an answer; the layer above is asked for the
    /// ACK.
    Recalled(Recalled),
    /// The peer's, without a final response: an INVITE, or an UPDATE that offers.
    Offered(Lent<Offered>),
    /// The peer's has its 2xx, and no ACK has come.
    Accepted(Lent<Accepted>),
}

/// An INVITE of an earlier process whose 2xx makes an offer.
#[derive(Debug)]
pub(super) struct Recalled {
    /// Its number.
    pub(super) cseq: u32,
    /// What the ACK answers when nobody above has an answer.
    pub(super) declining: Option<Box<Body>>,
}

/// An INVITE of ours within the dialog.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offering {
    sent: Sent,
    cseq: u32,
    /// Whether any provisional response came: before it no CANCEL may go (RFC 3261 §9.1).
    proceeding: bool,
    /// Whether it is to be cancelled, or has been.
    withdrawn: bool,
}

impl Offering {
    pub(super) fn new(sent: Sent, cseq: u32) -> Self {
        Self {
            sent,
            cseq,
            proceeding: false,
            withdrawn: false,
        }
    }

    fn cancel(&self, turn: &mut Turn<'_>, dialog: &CallDialog) {
        let draft = Draft::within(dialog, Method::Cancel, self.cseq);
        turn.core.cancel(turn.now, self.sent, draft);
    }
}

impl Session {
    /// The callee's side.
    pub(super) fn called(dialog: Box<CallDialog>) -> Self {
        Self::calling(dialog, Invites::default())
    }

    /// The caller's side; the INVITE may still bring its 2xx again.
    pub(super) fn calling(dialog: Box<CallDialog>, invites: Invites) -> Self {
        Self {
            dialog,
            invites,
            negotiation: Negotiation::Settled,
        }
    }

    pub(super) fn dialog(&self) -> &CallDialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut CallDialog {
        &mut self.dialog
    }

    pub(super) fn becomes(mut self, negotiation: Negotiation) -> Leg {
        self.negotiation = negotiation;
        Leg::Confirmed(self)
    }

    // Commands.

    pub(super) fn offer(mut self, turn: &mut Turn<'_>, body: Option<&Body>) -> Leg {
        match self.negotiation {
            Negotiation::Settled => {}
            // RFC 3261 §14.1: no INVITE while another is under way, either way.
            Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Offered(_)
            | Negotiation::Accepted(_) => {
                turn.emit(LegEvent::OfferRefused {
                    status: Status::REQUEST_PENDING,
                });
                return Leg::Confirmed(self);
            }
        }
        let Some((sent, cseq)) = turn.reinvite(&mut self.dialog, body) else {
            turn.emit(LegEvent::OfferRefused {
                status: Status::SERVICE_UNAVAILABLE,
            });
            return Leg::Confirmed(self);
        };
        self.dialog.propose(body);
        self.invites.push(turn.core, &sent, cseq);
        self.becomes(Negotiation::Offering(Offering::new(sent, cseq)))
    }

    pub(super) fn withdraw_offer(mut self, turn: &mut Turn<'_>) -> Leg {
        match &mut self.negotiation {
            Negotiation::Offering(offering) => {
                if offering.proceeding && !offering.withdrawn {
                    offering.cancel(turn, &self.dialog);
                }
                offering.withdrawn = true;
            }
            Negotiation::Settled
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Offered(_)
            | Negotiation::Accepted(_) => {}
        }
        Leg::Confirmed(self)
    }

    pub(super) fn acknowledge(mut self, turn: &mut Turn<'_>, body: Option<&Body>) -> Leg {
        match self.negotiation {
            Negotiation::Answered(owed) => {
                self.dialog.describe(body);
                owed.acknowledge(turn, &mut self.invites, (&self.dialog, body));
                self.becomes(Negotiation::Settled)
            }
            Negotiation::Recalled(ref recalled) => {
                self.dialog.describe(body);
                let declining = recalled.declining.as_deref();
                if let Some(answer) = body.or(declining) {
                    self.dialog.answers_late(recalled.cseq, answer.clone());
                }
                self.dialog.acknowledge_before(turn.core, recalled.cseq);
                self.becomes(Negotiation::Settled)
            }
            Negotiation::Settled
            | Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Offered(_)
            | Negotiation::Accepted(_) => Leg::Confirmed(self),
        }
    }

    pub(super) fn answer_offer(mut self, turn: &mut Turn<'_>, body: Option<&Body>) -> Leg {
        match self.negotiation {
            Negotiation::Offered(offered) => {
                let offered = turn.core.spare.offered.take_back(offered);
                self.negotiation = match offered.accept(turn, &mut self.dialog, body) {
                    Some(accepted) => Negotiation::Accepted(accepted),
                    None => Negotiation::Settled,
                };
                Leg::Confirmed(self)
            }
            Negotiation::Settled
            | Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Accepted(_) => Leg::Confirmed(self),
        }
    }

    pub(super) fn refuse_offer(mut self, turn: &mut Turn<'_>, refusal: Refusal) -> Leg {
        match self.negotiation {
            Negotiation::Offered(offered) => {
                let offered = turn.core.spare.offered.take_back(offered);
                offered.refuse(turn, refusal);
                self.negotiation = Negotiation::Settled;
                Leg::Confirmed(self)
            }
            Negotiation::Settled
            | Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Accepted(_) => Leg::Confirmed(self),
        }
    }

    pub(super) fn hang_up(self, turn: &mut Turn<'_>, cause: Cause) -> Leg {
        let (dialog, invites) = self.break_off(turn);
        Leaving::with_invites(turn, dialog, invites, cause)
    }

    // The network.

    pub(super) fn response(
        mut self,
        turn: &mut Turn<'_>,
        client: ClientKey,
        response: &Response<'_>,
    ) -> Leg {
        match self.negotiation {
            Negotiation::Offering(offering) if offering.sent.client == client => {
                self.offer_response(turn, offering, response)
            }
            Negotiation::Refreshing(offering) if offering.sent.client == client => {
                self.refresh_response(turn, client, response)
            }
            Negotiation::Settled
            | Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Offered(_)
            | Negotiation::Accepted(_) => {
                if response.status.is_success() {
                    self.invites
                        .another_success(turn, &self.dialog, client, response);
                }
                Leg::Confirmed(self)
            }
        }
    }

    fn offer_response(
        mut self,
        turn: &mut Turn<'_>,
        mut offering: Offering,
        response: &Response<'_>,
    ) -> Leg {
        let (status, client) = (response.status, offering.sent.client);
        if status.is_provisional() {
            if offering.withdrawn && !offering.proceeding {
                offering.cancel(turn, &self.dialog);
            }
            offering.proceeding = true;
            return self.becomes(Negotiation::Offering(offering));
        }
        if status.is_success() {
            self.dialog.refresh_by_response(response);
            self.dialog.timer.accepted(turn, &response.message);
            self.dialog.agree();
            let body = self.dialog.hear(turn.core, &response.message);
            self.invites.succeeded(turn, client, body.as_ref());
            turn.emit(LegEvent::OfferAnswered { body });
            let owed = AckOwed::new(turn, client);
            return self.becomes(Negotiation::Answered(owed));
        }
        self.invites.remove(turn.core, client);
        if status == Status::SESSION_INTERVAL_TOO_SMALL {
            // The next attempt knows better.
            let _raised = self.dialog.timer.raise(&response.message);
        }
        self.offer_failed(turn, status)
    }

    /// RFC 3261 §12.2.1.2: 481 and 408 end the dialog; after any other failure the session stays
    /// as it was (§14.1).
    fn offer_failed(self, turn: &mut Turn<'_>, status: Status) -> Leg {
        if status == Status::CALL_DOES_NOT_EXIST || status == Status::REQUEST_TIMEOUT {
            turn.emit(LegEvent::HungUp(Release::Lost));
            return self.hang_up(turn, Cause::default());
        }
        turn.emit(LegEvent::OfferRefused { status });
        self.becomes(Negotiation::Settled)
    }

    /// No response, or no way to send.
    pub(super) fn failed(mut self, turn: &mut Turn<'_>, client: ClientKey, status: Status) -> Leg {
        self.invites.remove(turn.core, client);
        match self.negotiation {
            Negotiation::Offering(offering) if offering.sent.client == client => {
                self.offer_failed(turn, status)
            }
            Negotiation::Refreshing(offering) if offering.sent.client == client => {
                self.negotiation = Negotiation::Settled;
                self.updated(turn, status, None)
            }
            Negotiation::Settled
            | Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Offered(_)
            | Negotiation::Accepted(_) => Leg::Confirmed(self),
        }
    }

    /// The transaction of an INVITE of ours is over. Without an ACK from above by now, the peer
    /// has given the call up; its 2xx gets its ACK all the same.
    pub(super) fn ended(mut self, turn: &mut Turn<'_>, client: ClientKey) -> Leg {
        let mut is_late = false;
        if let Negotiation::Answered(owed) = self.negotiation
            && owed.is_for(client)
        {
            owed.acknowledge(turn, &mut self.invites, (&self.dialog, None));
            self.negotiation = Negotiation::Settled;
            is_late = true;
        }
        self.invites.remove(turn.core, client);
        if is_late {
            turn.emit(LegEvent::HungUp(Release::Lost));
            return self.hang_up(turn, Cause::default());
        }
        Leg::Confirmed(self)
    }

    pub(super) fn invite(
        mut self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Leg {
        match self.negotiation {
            Negotiation::Settled => {}
            // RFC 3261 §14.2: ours is under way, or theirs waits for its ACK.
            Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Accepted(_) => {
                turn.reply(server, request, Status::REQUEST_PENDING);
                return Leg::Confirmed(self);
            }
            Negotiation::Offered(_) => {
                turn.ask_for_later(server, request);
                return Leg::Confirmed(self);
            }
        }
        if Asked::of(&request.message).is_too_short(&self.dialog.policy) {
            too_short(turn, &self.dialog, server, request);
            return Leg::Confirmed(self);
        }
        let offered = Offered::new(turn, &mut self.dialog, (server, request), By::Invite);
        let offered = turn.core.spare.offered.lend(offered);
        let tag = self.dialog.local_tag;
        turn.core.invites.insert(server, (turn.leg, tag));
        self.becomes(Negotiation::Offered(offered))
    }

    pub(super) fn acknowledged(mut self, turn: &mut Turn<'_>, request: &Request<'_>) -> Leg {
        match self.negotiation {
            Negotiation::Accepted(accepted) if accepted.cseq == request.cseq => {
                Accepted::stop(turn, accepted);
                let body = self.dialog.hear(turn.core, &request.message);
                turn.emit(LegEvent::OfferAcknowledged { body });
                self.negotiation = Negotiation::Settled;
                Leg::Confirmed(self)
            }
            Negotiation::Settled
            | Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Offered(_)
            | Negotiation::Accepted(_) => Leg::Confirmed(self),
        }
    }

    /// A CANCEL of the peer's INVITE; the CANCEL itself has been answered.
    pub(super) fn cancel(mut self, turn: &mut Turn<'_>, server: ServerKey) -> Leg {
        match self.negotiation {
            Negotiation::Offered(offered) if offered.server == server => {
                let offered = turn.core.spare.offered.take_back(offered);
                offered.terminate(turn);
                turn.emit(LegEvent::OfferCancelled);
                self.negotiation = Negotiation::Settled;
                Leg::Confirmed(self)
            }
            Negotiation::Settled
            | Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Offered(_)
            | Negotiation::Accepted(_) => Leg::Confirmed(self),
        }
    }

    /// The BYE itself has been answered.
    pub(super) fn bye(self, turn: &mut Turn<'_>, message: &Message<'_>) -> Leg {
        turn.emit(LegEvent::HungUp(Release::Bye {
            cause: cause_of(message),
        }));
        let (dialog, invites) = self.break_off(turn);
        Leaving::silently(dialog, invites)
    }

    // Time.

    pub(super) fn repeat(mut self, turn: &mut Turn<'_>) -> Leg {
        match &mut self.negotiation {
            Negotiation::Accepted(accepted) => accepted.repeat(turn),
            Negotiation::Settled
            | Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_)
            | Negotiation::Offered(_) => {}
        }
        Leg::Confirmed(self)
    }

    pub(super) fn ack_waits(mut self, turn: &mut Turn<'_>) -> Leg {
        if let Negotiation::Answered(owed) = &mut self.negotiation
            && owed.is_due(turn, &self.invites)
        {
            turn.emit(LegEvent::AcknowledgementDue);
        }
        Leg::Confirmed(self)
    }

    /// No ACK came for our 2xx within the dialog: §13.3.1.4 holds for it as well. Or nobody above
    /// has an answer to an UPDATE of the peer's.
    pub(super) fn give_up(mut self, turn: &mut Turn<'_>) -> Leg {
        match self.negotiation {
            Negotiation::Offered(offered) => {
                let offered = turn.core.spare.offered.take_back(offered);
                offered.give_up(turn);
                self.negotiation = Negotiation::Settled;
                Leg::Confirmed(self)
            }
            Negotiation::Accepted(_) => {
                turn.emit(LegEvent::HungUp(Release::Unacknowledged));
                self.hang_up(turn, Cause::default())
            }
            Negotiation::Settled
            | Negotiation::Offering(_)
            | Negotiation::Refreshing(_)
            | Negotiation::Answered(_)
            | Negotiation::Recalled(_) => Leg::Confirmed(self),
        }
    }

    /// Ends what is under way, for the call is over: the peer's INVITE gets 487 (§15.1.2), a 2xx
    /// of the peer's gets its ACK, ours is not repeated any more.
    fn break_off(mut self, turn: &mut Turn<'_>) -> (Box<CallDialog>, Invites) {
        match self.negotiation {
            Negotiation::Settled => {}
            // §15.1.2: the peer refuses it with 487; without that it must end as well.
            Negotiation::Offering(offering) | Negotiation::Refreshing(offering) => {
                let client = offering.sent.client;
                turn.core.transactions.expect_final(turn.now, client);
            }
            Negotiation::Answered(owed) => {
                owed.acknowledge(turn, &mut self.invites, (&self.dialog, None));
            }
            Negotiation::Recalled(Recalled { cseq, declining }) => {
                if let Some(answer) = declining {
                    self.dialog.answers_late(cseq, *answer);
                }
                self.dialog.acknowledge_before(turn.core, cseq);
            }
            Negotiation::Offered(offered) => {
                let offered = turn.core.spare.offered.take_back(offered);
                offered.terminate(turn);
            }
            Negotiation::Accepted(accepted) => Accepted::stop(turn, accepted),
        }
        refer::end(turn, &mut self.dialog);
        (self.dialog, self.invites)
    }
}
