//! The agent's phone is dialled or rings. Whatever happens, the reservation returns, and a caller
//! who is still there gets the next agent.

use std::time::{Duration, Instant};

use crate::agent::{self, EndCause, PartyState};
use crate::config::DnIndex;
use crate::counters::Counter;
use crate::cti::{CallAction, CallRequest, ErrorCode};
use crate::dialog::{Body, Cause, LegEvent};
use crate::limits::{OFFER_SETUP_IN_T1, PROGRESS_INTERVAL};
use crate::queue;
use crate::sip::Status;

use super::command::{Command, LegCommand, Side};
use super::connected::Answering;
use super::facts::{Facts, Origin, cause, hang_up};
use super::timer::Timer;
use super::{Commands, Event, Input, State, aside, request, reserving, waiting};

/// The agent's phone is dialled or rings.
#[derive(Debug)]
pub(super) struct Offering {
    pub(super) dn: DnIndex,
    /// Whether the phone has said that it rings; events of the party begin with that.
    rings: bool,
    /// How long it may ring.
    no_answer: Duration,
}

impl Offering {
    pub(super) fn start(
        now: Instant,
        facts: &mut Facts,
        dn: DnIndex,
        commands: &mut Commands,
    ) -> State {
        // The agent's own time begins when the phone rings.
        let setup = facts.config.server.t1 * OFFER_SETUP_IN_T1;
        facts.deadlines.arm(Timer::NoAnswer, now + setup);
        if facts.queue().is_none() {
            let again = now + PROGRESS_INTERVAL;
            facts.deadlines.arm(Timer::Progress, again);
        }
        commands.push(Command::Dial(dn));
        State::Offering(Self {
            dn,
            rings: false,
            no_answer: facts.no_answer(dn),
        })
    }

    pub(super) fn handle(
        self,
        now: Instant,
        facts: &mut Facts,
        event: Event,
        commands: &mut Commands,
    ) -> State {
        match event {
            Event::Leg(Side::Caller, event) => self.handle_caller(facts, &event, commands),
            Event::Leg(Side::Agent, event) => self.handle_agent(now, facts, event, commands),
            Event::DialFailed => self.not_dialled(now, facts, commands),
            Event::Input(input) => self.handle_input(now, facts, input, commands),
            Event::Timer(Timer::NoAnswer) => {
                let (reason, ended) = if self.rings {
                    (cause::NO_ANSWER, EndCause::NoAnswer)
                } else {
                    (cause::TIMER, EndCause::Unreachable)
                };
                hang_up(commands, Side::Agent, reason);
                self.fail_by_itself(now, facts, ended, commands)
            }
            Event::Timer(Timer::Patience) => {
                self.leave(facts, cause::TIMER, EndCause::CallerAbandoned, commands);
                facts.patience_ends(commands);
                State::Ended
            }
            Event::Timer(Timer::Progress) => {
                let status = if self.rings {
                    Status::RINGING
                } else if facts.queue().is_some() {
                    Status::QUEUED
                } else {
                    Status::SESSION_PROGRESS
                };
                facts.say_progress(now, status, commands);
                State::Offering(self)
            }
            Event::Timer(Timer::Duration) => {
                self.leave(facts, cause::TIMER, EndCause::Failed, commands);
                facts.too_old(commands);
                State::Ended
            }
        }
    }

    fn handle_caller(self, facts: &mut Facts, event: &LegEvent, commands: &mut Commands) -> State {
        match event {
            LegEvent::HungUp(release) => {
                let reason = release.cause().unwrap_or(cause::NORMAL.into());
                self.leave(facts, reason, EndCause::CallerAbandoned, commands);
                facts.caller_gone(commands, EndCause::CallerAbandoned);
                State::Ended
            }
            LegEvent::Offered { .. }
            | LegEvent::Identified(_)
            | LegEvent::Info { .. }
            | LegEvent::Referred(_) => {
                aside::decline(Side::Caller, event, commands);
                State::Offering(self)
            }
            // Not before our final response.
            LegEvent::Progress { .. }
            | LegEvent::Answered { .. }
            | LegEvent::Refused { .. }
            | LegEvent::Acknowledged { .. }
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferCancelled
            | LegEvent::OfferAcknowledged { .. } => State::Offering(self),
        }
    }

    fn handle_agent(
        mut self,
        now: Instant,
        facts: &mut Facts,
        event: LegEvent,
        commands: &mut Commands,
    ) -> State {
        match event {
            LegEvent::Progress { status, .. } => {
                // 181 and 182 say that the phone does not ring yet.
                if status == Status::RINGING || status == Status::SESSION_PROGRESS {
                    self.ring(now, facts, commands);
                }
                State::Offering(self)
            }
            LegEvent::Answered { body } => self.answered(now, facts, body, commands),
            LegEvent::Refused { status, .. } => {
                self.fail_by_itself(now, facts, cause_of(status), commands)
            }
            LegEvent::HungUp(_) => self.fail_by_itself(now, facts, EndCause::Unreachable, commands),
            // Who answers is for the caller to know, with the next response.
            event @ LegEvent::Identified(_) => {
                aside::relay(Side::Agent, event, commands);
                State::Offering(self)
            }
            event @ (LegEvent::Offered { .. } | LegEvent::Info { .. } | LegEvent::Referred(_)) => {
                aside::decline(Side::Agent, &event, commands);
                State::Offering(self)
            }
            // Not before the phone's final response.
            LegEvent::Acknowledged { .. }
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferCancelled
            | LegEvent::OfferAcknowledged { .. } => State::Offering(self),
        }
    }

    fn handle_input(
        self,
        now: Instant,
        facts: &mut Facts,
        input: Input,
        commands: &mut Commands,
    ) -> State {
        match input {
            Input::Request {
                requested_by,
                request:
                    CallRequest::Party {
                        this_dn,
                        action: CallAction::Release,
                        reasons,
                    },
            } if this_dn == self.dn => {
                hang_up(commands, Side::Agent, cause::NORMAL);
                let origin = Origin::request(requested_by, reasons);
                self.fail(now, facts, EndCause::AgentReleased, origin, commands)
            }
            Input::Request {
                requested_by,
                request,
            } => {
                let party = self.rings.then_some(self.dn);
                request::while_offering(now, facts, party, requested_by, request, commands);
                State::Offering(self)
            }
            Input::OfferWithdrawn { dn, cause } if dn == self.dn => {
                hang_up(commands, Side::Agent, cause::NORMAL);
                self.fail_by_itself(now, facts, cause, commands)
            }
            // A second reservation for the same call: return it.
            Input::Offer { dn } => {
                let returned = agent::Input::Returned { call: facts.call };
                commands.push(Command::Agent(dn, returned));
                State::Offering(self)
            }
            Input::Forward { .. } => {
                facts.refuse_forward(ErrorCode::WrongState, commands);
                State::Offering(self)
            }
            Input::OfferWithdrawn { .. }
            | Input::QueueRefused { .. }
            | Input::DirectRefused { .. } => State::Offering(self),
        }
    }

    fn ring(&mut self, now: Instant, facts: &mut Facts, commands: &mut Commands) {
        if self.rings {
            return;
        }
        self.rings = true;
        facts.deadlines.arm(Timer::NoAnswer, now + self.no_answer);
        facts.tell_agent(commands, self.dn, PartyState::Ringing, Origin::default());
        let (conn_id, dn) = (facts.call.conn_id, self.dn);
        facts.tell_queue(commands, queue::Input::Ringing { conn_id, dn });
        // Without a body: early media of an agent who then does not answer would bind the caller
        // to a session that never comes.
        facts.say_progress(now, Status::RINGING, commands);
    }

    fn answered(
        mut self,
        now: Instant,
        facts: &mut Facts,
        body: Option<Body>,
        commands: &mut Commands,
    ) -> State {
        // A phone that answers by itself may skip the 180; the events do not.
        self.ring(now, facts, commands);
        if body.is_none() {
            // RFC 3261 §13.2.1: the 2xx must have the answer, or the offer if we made none.
            hang_up(commands, Side::Agent, cause::FAILURE);
            return self.fail_by_itself(now, facts, EndCause::Failed, commands);
        }
        facts.deadlines.disarm_setup();
        facts.tell_agent(
            commands,
            self.dn,
            PartyState::Established,
            Origin::default(),
        );
        let (conn_id, dn) = (facts.call.conn_id, self.dn);
        facts.tell_queue(commands, queue::Input::Answered { conn_id, dn });
        commands.push(Command::Count(Counter::CallAnswered));
        commands.push(Command::Leg(Side::Caller, LegCommand::Answer(body)));
        Answering::start(facts, self.dn, commands)
    }

    /// The call ends before the agent has answered.
    fn leave(
        self,
        facts: &Facts,
        cause: impl Into<Cause>,
        ended: EndCause,
        commands: &mut Commands,
    ) {
        hang_up(commands, Side::Agent, cause);
        let ended = PartyState::Ended(ended);
        facts.tell_agent(commands, self.dn, ended, Origin::default());
    }

    fn fail_by_itself(
        self,
        now: Instant,
        facts: &mut Facts,
        cause: EndCause,
        commands: &mut Commands,
    ) -> State {
        self.fail(now, facts, cause, Origin::default(), commands)
    }

    /// The trunk went out of service while the agent was being reserved: no fault of the agent's.
    fn not_dialled(self, now: Instant, facts: &mut Facts, commands: &mut Commands) -> State {
        let returned = agent::Input::Returned { call: facts.call };
        commands.push(Command::Agent(self.dn, returned));
        self.pass_on(now, facts, EndCause::Unreachable, commands)
    }

    /// The agent does not take the call. The agent's leg is over or was hung up.
    fn fail(
        self,
        now: Instant,
        facts: &mut Facts,
        cause: EndCause,
        origin: Origin,
        commands: &mut Commands,
    ) -> State {
        facts.tell_agent(commands, self.dn, PartyState::Ended(cause), origin);
        self.pass_on(now, facts, cause, commands)
    }

    /// A direct caller is told; one of a queue gets the next agent, and hears that it waits again
    /// if it heard that a phone rang.
    fn pass_on(
        self,
        now: Instant,
        facts: &mut Facts,
        cause: EndCause,
        commands: &mut Commands,
    ) -> State {
        if facts.queue().is_none() {
            return reserving::give_up(facts, self.dn, cause, commands);
        }
        let (conn_id, dn) = (facts.call.conn_id, self.dn);
        facts.tell_queue(commands, queue::Input::OfferFailed { conn_id, dn, cause });
        if self.rings {
            facts.say_progress(now, Status::QUEUED, commands);
        }
        waiting::resume(facts)
    }
}

/// What a phone's final response says about the agent.
fn cause_of(status: Status) -> EndCause {
    match status.0 {
        486 | 600 => EndCause::Busy,
        404 | 408 | 410 | 430 | 480 | 484 | 485 | 500..=599 | 604 => EndCause::Unreachable,
        // 603, 487 without our CANCEL, 488, 403 and what else a phone may find.
        _ => EndCause::Declined,
    }
}
