//! One re-INVITE of ours on one leg: sent, sent again when it crossed one of the far end's, taken
//! back when no answer comes. It ends with the leg's answer or with the reason that there is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::LegCommand;
use crate::dialog::Body;
use crate::jitter::Jitter;
use crate::limits::{GLARE_RETRIES_MAX, REINVITE_ANSWER_MAX, REINVITE_WITHDRAWAL_MAX};
use crate::sip::Status;

use super::description::Told;
use super::leg::LegSession;
use super::news::News;
use super::ours::Hold;
use super::outcome::{Timer, Why};
use super::slots::Slots;
use super::turn::Turn;

/// What the re-INVITE says.
#[derive(Debug, Clone)]
pub(super) enum Says {
    /// Nothing: the leg shall make the offer.
    Ask,
    /// A partner's description.
    Partner(Body),
    /// An earlier description of ours.
    Again(Arc<[u8]>),
    /// A hold.
    Hold(Hold),
}

/// A re-INVITE of ours.
#[derive(Debug)]
pub(super) struct Reinvite {
    says: Says,
    state: State,
    retries: u8,
    /// Where the partner's lines are in it.
    slots: Slots,
    /// What the leg was told before.
    before: Option<Arc<[u8]>>,
    /// Whether the leg has made an offer in between, of which nobody else has heard.
    overtaken: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// It is with the leg until then.
    Sent(Instant),
    /// It goes again then.
    Crossed(Instant),
    /// It was taken back; the leg says until then what became of it.
    Withdrawn(Instant),
}

/// What became of it.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Nothing yet.
    Awaited,
    /// The leg's answer, or its offer if it was asked. It waits for our ACK.
    Answered(Body),
    /// The leg gave none, or there was nothing to offer; the session is as it was.
    Failed(Why),
}

impl Reinvite {
    /// Sends it. There is nothing to send where a hold finds no session.
    pub(super) fn send<S: Copy + PartialEq>(
        turn: &mut Turn<'_, S>,
        leg: S,
        says: Says,
    ) -> Option<Self> {
        let mut reinvite = Self {
            says,
            state: State::Sent(turn.now),
            retries: 0,
            slots: Slots::identity(0),
            before: turn.session(leg).said().cloned(),
            overtaken: false,
        };
        reinvite.transmit(turn, leg).then_some(reinvite)
    }

    fn transmit<S: Copy + PartialEq>(&mut self, turn: &mut Turn<'_, S>, leg: S) -> bool {
        let session = turn.session(leg);
        let offer = match &self.says {
            Says::Ask => None,
            Says::Partner(description) => {
                let (offer, slots) = session.offer(&Told::of(description));
                self.slots = slots;
                Some(offer)
            }
            Says::Again(text) => Some(session.offer_again(text)),
            Says::Hold(hold) => session.offer_hold(*hold),
        };
        let asks = matches!(self.says, Says::Ask);
        if offer.is_none() && !asks {
            return false;
        }
        turn.tell(leg, LegCommand::Offer(offer));
        self.state = State::Sent(turn.now + REINVITE_ANSWER_MAX);
        true
    }

    pub(super) fn asks(&self) -> bool {
        matches!(self.says, Says::Ask)
    }

    pub(super) fn slots(&self) -> Slots {
        self.slots
    }

    pub(super) fn overtaken(&self) -> bool {
        self.overtaken
    }

    pub(super) fn before(&self) -> Option<&Arc<[u8]>> {
        self.before.as_ref()
    }

    pub(super) fn deadline(&self) -> (Instant, Timer) {
        match self.state {
            State::Sent(until) => (until, Timer::Answer),
            State::Crossed(until) => (until, Timer::Glare),
            State::Withdrawn(until) => (until, Timer::Withdrawal),
        }
    }

    /// Takes it back. What the leg makes of that is still to be heard, unless it had nothing.
    pub(super) fn withdraw<S: Copy + PartialEq>(
        &mut self,
        turn: &mut Turn<'_, S>,
        leg: S,
    ) -> Reply {
        match self.state {
            State::Sent(_) => {
                turn.tell(leg, LegCommand::WithdrawOffer);
                self.state = State::Withdrawn(turn.now + REINVITE_WITHDRAWAL_MAX);
                Reply::Awaited
            }
            State::Crossed(_) => Reply::Failed(Why::Withdrawn),
            State::Withdrawn(_) => Reply::Awaited,
        }
    }

    /// News of the leg.
    pub(super) fn handle<S: Copy + PartialEq>(
        &mut self,
        turn: &mut Turn<'_, S>,
        leg: S,
        news: News<'_>,
    ) -> Reply {
        match news {
            News::Answered(body) => self.answered(turn, leg, body),
            News::Declined(status) => self.declined(turn, leg, status),
            News::Over(why) => Reply::Failed(why),
            News::Offered(offer) => {
                self.crossed_by(turn, leg, offer);
                Reply::Awaited
            }
            News::Recalled(offer) => {
                turn.acknowledge_recalled(leg, offer);
                self.before = turn.session(leg).said().cloned();
                self.overtaken = true;
                Reply::Awaited
            }
            News::Acknowledged(_) | News::Cancelled | News::Early(_) | News::Due | News::Other => {
                Reply::Awaited
            }
        }
    }

    fn answered<S: Copy + PartialEq>(
        &mut self,
        turn: &mut Turn<'_, S>,
        leg: S,
        body: Option<&Body>,
    ) -> Reply {
        match (self.state, body) {
            (State::Crossed(_), _) => Reply::Awaited,
            (State::Sent(_) | State::Withdrawn(_), Some(body)) => Reply::Answered(body.clone()),
            (State::Sent(_) | State::Withdrawn(_), None) => {
                turn.tell(leg, LegCommand::Acknowledge(None));
                turn.session(leg).roll_back();
                Reply::Failed(Why::NoDescription)
            }
        }
    }

    fn declined<S: Copy + PartialEq>(
        &mut self,
        turn: &mut Turn<'_, S>,
        leg: S,
        status: Status,
    ) -> Reply {
        let crossed = status == Status::REQUEST_PENDING;
        match self.state {
            State::Sent(_) if crossed && self.retries < GLARE_RETRIES_MAX => {
                self.retries += 1;
                let session = turn.session(leg);
                session.roll_back();
                let wait = wait_after_glare(session, self.retries);
                self.state = State::Crossed(turn.now + wait);
                Reply::Awaited
            }
            State::Sent(_) => {
                turn.session(leg).roll_back();
                Reply::Failed(if crossed {
                    Why::Glare
                } else {
                    Why::Refused(status)
                })
            }
            State::Withdrawn(_) => {
                turn.session(leg).roll_back();
                Reply::Failed(Why::Silent)
            }
            State::Crossed(_) => Reply::Awaited,
        }
    }

    /// The far end's own offer. While ours waits for its next try, it is the far end's turn; it
    /// gets the answer that changes nothing, and hears the news with our next try.
    fn crossed_by<S: Copy + PartialEq>(
        &mut self,
        turn: &mut Turn<'_, S>,
        leg: S,
        offer: Option<&Body>,
    ) {
        match (self.state, offer) {
            (State::Crossed(_), Some(offer)) => {
                let session = turn.session(leg);
                session.hear_offer(&Told::of(offer));
                match session.answer_alone() {
                    (Some(answer), _) => turn.tell(leg, LegCommand::AnswerOffer(Some(answer))),
                    (None, _) => turn.refuse_offer(leg, Status::REQUEST_PENDING),
                }
                self.before = turn.session(leg).said().cloned();
                self.overtaken = true;
            }
            (State::Crossed(_), None) | (State::Sent(_) | State::Withdrawn(_), _) => {
                turn.refuse_offer(leg, Status::REQUEST_PENDING);
            }
        }
    }

    /// Its deadline has passed.
    pub(super) fn handle_timeout<S: Copy + PartialEq>(
        &mut self,
        turn: &mut Turn<'_, S>,
        leg: S,
    ) -> Reply {
        match self.state {
            State::Sent(_) => self.withdraw(turn, leg),
            State::Crossed(_) => {
                if self.transmit(turn, leg) {
                    Reply::Awaited
                } else {
                    Reply::Failed(Why::NoDescription)
                }
            }
            State::Withdrawn(_) => {
                turn.session(leg).roll_back();
                Reply::Failed(Why::Silent)
            }
        }
    }
}

/// RFC 3261 §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other side up to 2 s.
fn wait_after_glare(session: &LegSession, retry: u8) -> Duration {
    let mut jitter = Jitter::new(session.id(), u64::from(retry));
    let (low, high) = if session.owns_call_id() {
        (2_100, 4_000)
    } else {
        (0, 2_000)
    };
    jitter.between(Duration::from_millis(low), Duration::from_millis(high))
}
