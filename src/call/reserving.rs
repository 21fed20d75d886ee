//! A caller dialled an agent's own number, and the DN's shard was asked for the agent.

use std::time::Instant;

use crate::agent::{EndCause, RefusedOffer};
use crate::config::DnIndex;
use crate::counters::Counter;
use crate::dialog::LegEvent;
use crate::sip::Status;

use super::command::{Command, Side};
use super::facts::{Facts, refuse_caller};
use super::offering::Offering;
use super::timer::Timer;
use super::{Commands, Event, Input, State, aside, request};

/// The dialled agent was asked for.
#[derive(Debug)]
pub(super) struct Reserving;

impl Reserving {
    pub(super) fn handle(
        self,
        now: Instant,
        facts: &mut Facts,
        event: Event,
        commands: &mut Commands,
    ) -> State {
        match event {
            Event::Leg(Side::Caller, LegEvent::HungUp(_)) => {
                facts.caller_gone(commands, EndCause::CallerAbandoned);
                State::Ended
            }
            Event::Input(Input::Offer { dn }) => Offering::start(now, facts, dn, commands),
            Event::Input(Input::DirectRefused { why, .. }) => {
                refuse_caller(commands, status_of(why));
                commands.push(Command::Count(Counter::InviteAgentUnavailable));
                commands.push(Command::Count(Counter::CallRefused));
                State::Ended
            }
            // A call that cannot go there has nowhere else to go.
            Event::Input(Input::Forward { .. }) => {
                refuse_caller(commands, Status::TEMPORARILY_UNAVAILABLE);
                commands.push(Command::Count(Counter::CallRefused));
                State::Ended
            }
            Event::Input(Input::Request {
                requested_by,
                request,
            }) => {
                let this_dn = request::requesting_dn(&facts.config, &request);
                request::on_its_way(now, requested_by, &this_dn, commands);
                State::Reserving(self)
            }
            Event::Timer(Timer::Patience) => {
                facts.patience_ends(commands);
                State::Ended
            }
            Event::Timer(Timer::Duration) => {
                facts.too_old(commands);
                State::Ended
            }
            Event::Leg(side, event) => {
                aside::decline(side, &event, commands);
                State::Reserving(self)
            }
            Event::DialFailed
            | Event::Input(Input::QueueRefused { .. } | Input::OfferWithdrawn { .. })
            | Event::Timer(Timer::Progress | Timer::NoAnswer) => State::Reserving(self),
        }
    }
}

/// What a direct caller is told of an agent who cannot take the call.
fn status_of(why: RefusedOffer) -> Status {
    match why {
        // Not 503, which would make the PBX take us for dead.
        RefusedOffer::LoggedOut | RefusedOffer::NotReady | RefusedOffer::Unreachable => {
            Status::TEMPORARILY_UNAVAILABLE
        }
        RefusedOffer::Busy => Status::BUSY_HERE,
    }
}

/// The direct call's agent did not take it: there is no other to try.
pub(super) fn give_up(
    facts: &mut Facts,
    dn: DnIndex,
    cause: EndCause,
    commands: &mut Commands,
) -> State {
    debug_assert!(
        facts.queue().is_none(),
        "agent {dn:?} has no queue to go back to"
    );
    let status = match cause {
        EndCause::Busy => Status::BUSY_HERE,
        EndCause::AgentReleased | EndCause::Declined => Status::DECLINE,
        EndCause::NoAnswer
        | EndCause::Unreachable
        | EndCause::CallerReleased
        | EndCause::CallerAbandoned
        | EndCause::Failed
        | EndCause::Transferred
        | EndCause::Conferenced
        | EndCause::Redirected
        | EndCause::Cleared => Status::TEMPORARILY_UNAVAILABLE,
    };
    refuse_caller(commands, status);
    commands.push(Command::Count(Counter::CallRefused));
    State::Ended
}
