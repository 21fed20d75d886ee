//! Both parties are there: first the caller's ACK is awaited, then they talk until one leaves.

use std::time::Instant;

use crate::agent::{self, EndCause, PartyState};
use crate::config::DnIndex;
use crate::cti::{CallAction, CallRequest, RequestedBy};
use crate::dialog::{Cause, LegEvent, Release};
use crate::sip::Status;

use super::command::{Command, LegCommand, Side};
use super::facts::{Facts, Origin, cause, hang_up};
use super::renegotiating::Renegotiating;
use super::timer::Timer;
use super::{Commands, Event, Input, State, aside, request};

/// The agent has answered; the caller's ACK is awaited.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) dn: DnIndex,
    /// Delayed offer: the caller's ACK brings the answer that the agent's 2xx waits for.
    agent_waits: bool,
}

/// Both legs are up.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) dn: DnIndex,
}

impl Answering {
    pub(super) fn start(facts: &Facts, dn: DnIndex, commands: &mut Commands) -> State {
        let agent_waits = facts.offer.is_none();
        if !agent_waits {
            commands.push(Command::Leg(Side::Agent, LegCommand::Acknowledge(None)));
        }
        State::Answering(Self { dn, agent_waits })
    }

    pub(super) fn handle(
        self,
        now: Instant,
        facts: &mut Facts,
        event: Event,
        commands: &mut Commands,
    ) -> State {
        match event {
            Event::Leg(Side::Caller, LegEvent::Acknowledged { body }) => {
                if !self.agent_waits {
                    return State::Connected(Connected { dn: self.dn });
                }
                if body.is_none() {
                    // RFC 3261 §13.2.2.4: the ACK must have the answer. There is no session.
                    hang_up(commands, Side::Caller, cause::FAILURE);
                    return end_by_itself(facts, self.dn, Side::Agent, EndCause::Failed, commands);
                }
                commands.push(Command::Leg(Side::Agent, LegCommand::Acknowledge(body)));
                State::Connected(Connected { dn: self.dn })
            }
            Event::Leg(side, LegEvent::Offered { .. }) => {
                // RFC 3261 §14.2: one offer at a time.
                let refuse = LegCommand::RefuseOffer(Status::REQUEST_PENDING);
                commands.push(Command::Leg(side, refuse));
                State::Answering(self)
            }
            event @ (Event::Leg(..) | Event::Input(_) | Event::Timer(_) | Event::DialFailed) => {
                match common(now, facts, self.dn, event, commands) {
                    Some(state) => state,
                    None => State::Answering(self),
                }
            }
        }
    }
}

impl Connected {
    pub(super) fn handle(
        self,
        now: Instant,
        facts: &mut Facts,
        event: Event,
        commands: &mut Commands,
    ) -> State {
        match event {
            Event::Leg(side, LegEvent::Offered { body }) => {
                Renegotiating::start(self.dn, side, body, commands)
            }
            event @ (Event::Leg(..) | Event::Input(_) | Event::Timer(_) | Event::DialFailed) => {
                match common(now, facts, self.dn, event, commands) {
                    Some(state) => state,
                    None => State::Connected(self),
                }
            }
        }
    }
}

fn ended_by(side: Side, release: Release) -> EndCause {
    match (side, release) {
        (Side::Agent, Release::Bye { .. } | Release::Cancelled { .. }) => EndCause::AgentReleased,
        (Side::Caller, Release::Bye { .. } | Release::Cancelled { .. }) => EndCause::CallerReleased,
        (Side::Agent | Side::Caller, Release::Unacknowledged | Release::Lost) => EndCause::Failed,
    }
}

/// What ends a call of two in every state after the answer; `None` when the event changes nothing.
pub(super) fn common(
    now: Instant,
    facts: &mut Facts,
    dn: DnIndex,
    event: Event,
    commands: &mut Commands,
) -> Option<State> {
    match event {
        Event::Leg(side, LegEvent::HungUp(release)) => {
            let ended = ended_by(side, release);
            // RFC 3326: why one side has left is for the other to know.
            let reason = release.cause().unwrap_or_else(|| reason_of(ended));
            let origin = Origin::default();
            hang_up(commands, side.other(), reason);
            facts.tell_agent(commands, dn, PartyState::Ended(ended), origin);
            Some(State::Ended)
        }
        Event::Leg(side, LegEvent::Refused { .. }) => Some(end_by_itself(
            facts,
            dn,
            side.other(),
            EndCause::Failed,
            commands,
        )),
        Event::Timer(Timer::Duration) => {
            hang_up(commands, Side::Caller, cause::TIMER);
            Some(end_by_itself(
                facts,
                dn,
                Side::Agent,
                EndCause::Failed,
                commands,
            ))
        }
        Event::Input(Input::Request {
            requested_by,
            request,
        }) => handle_request(now, facts, dn, requested_by, request, commands),
        // A second reservation for the same call: return it.
        Event::Input(Input::Offer { dn: other }) => {
            let returned = agent::Input::Returned { call: facts.call };
            commands.push(Command::Agent(other, returned));
            None
        }
        Event::Leg(
            side,
            event @ (LegEvent::Info { .. } | LegEvent::Identified(_) | LegEvent::Referred(_)),
        ) => {
            aside::relay(side, event, commands);
            None
        }
        Event::Leg(
            _,
            LegEvent::Progress { .. }
            | LegEvent::Answered { .. }
            | LegEvent::Acknowledged { .. }
            | LegEvent::Offered { .. }
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferCancelled
            | LegEvent::OfferAcknowledged { .. },
        )
        | Event::DialFailed
        | Event::Timer(Timer::Patience | Timer::Progress | Timer::NoAnswer)
        | Event::Input(
            Input::DirectRefused { .. }
            | Input::QueueRefused { .. }
            | Input::OfferWithdrawn { .. }
            | Input::Forward { .. },
        ) => None,
    }
}

fn handle_request(
    now: Instant,
    facts: &mut Facts,
    dn: DnIndex,
    requested_by: RequestedBy,
    request: CallRequest,
    commands: &mut Commands,
) -> Option<State> {
    match request {
        CallRequest::Party {
            this_dn,
            action: CallAction::Release,
            reasons,
        } if this_dn == dn => {
            hang_up(commands, Side::Agent, cause::NORMAL);
            let cause = EndCause::AgentReleased;
            Some(end(
                facts,
                dn,
                Side::Caller,
                cause,
                Origin::request(requested_by, reasons),
                commands,
            ))
        }
        request @ (CallRequest::Party { .. } | CallRequest::UserData { .. }) => {
            request::while_connected(now, facts, dn, requested_by, request, commands);
            None
        }
    }
}

/// Ends the call for a reason that is no client's request.
fn end_by_itself(
    facts: &mut Facts,
    dn: DnIndex,
    left: Side,
    ended: EndCause,
    commands: &mut Commands,
) -> State {
    end(facts, dn, left, ended, Origin::default(), commands)
}

/// Hangs the leg that is left up and tells the agent's shard.
fn end(
    facts: &mut Facts,
    dn: DnIndex,
    left: Side,
    ended: EndCause,
    origin: Origin,
    commands: &mut Commands,
) -> State {
    hang_up(commands, left, reason_of(ended));
    facts.tell_agent(commands, dn, PartyState::Ended(ended), origin);
    State::Ended
}

/// What the leg that is left hears, where nobody has said why.
fn reason_of(ended: EndCause) -> Cause {
    let failed = ended == EndCause::Failed;
    (if failed {
        cause::FAILURE
    } else {
        cause::NORMAL
    })
    .into()
}
