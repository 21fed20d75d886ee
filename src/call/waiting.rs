//! A caller waits in a queue with no agent: `182 Queued` at intervals, patience by `Expires`.

use std::time::Instant;

use crate::agent::EndCause;
use crate::counters::Counter;
use crate::cti::ErrorCode;
use crate::dialog::LegEvent;
use crate::sip::Status;

use super::command::{Command, Side};
use super::facts::{Facts, refuse_caller};
use super::offering::Offering;
use super::timer::Timer;
use super::{Commands, Event, Input, QueueRefusal, State, aside, request};

/// In the queue, with no agent.
#[derive(Debug)]
pub(super) struct Waiting;

impl Waiting {
    pub(super) fn handle(
        self,
        now: Instant,
        facts: &mut Facts,
        event: Event,
        commands: &mut Commands,
    ) -> State {
        match event {
            Event::Leg(Side::Caller, event) => self.handle_caller(facts, &event, commands),
            // The last agent's leg may still end: it says nothing more to us (dialog's promise).
            Event::Leg(Side::Agent, _) | Event::DialFailed => State::Waiting(self),
            Event::Input(input) => self.handle_input(now, facts, input, commands),
            Event::Timer(timer) => self.handle_timer(now, facts, timer, commands),
        }
    }

    fn handle_caller(self, facts: &mut Facts, event: &LegEvent, commands: &mut Commands) -> State {
        match event {
            LegEvent::HungUp(_) => {
                facts.caller_gone(commands, EndCause::CallerAbandoned);
                State::Ended
            }
            LegEvent::Offered { .. }
            | LegEvent::Identified(_)
            | LegEvent::Info { .. }
            | LegEvent::Referred(_) => {
                aside::decline(Side::Caller, event, commands);
                State::Waiting(self)
            }
            // Not before our final response.
            LegEvent::Progress { .. }
            | LegEvent::Answered { .. }
            | LegEvent::Refused { .. }
            | LegEvent::Acknowledged { .. }
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferCancelled
            | LegEvent::OfferAcknowledged { .. } => State::Waiting(self),
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
            Input::Offer { dn } => Offering::start(now, facts, dn, commands),
            Input::QueueRefused { refusal } => {
                let (status, counter) = match refusal {
                    QueueRefusal::Full(status) => (status, Counter::InviteQueueFull),
                    QueueRefusal::Limit(status) => (status, Counter::InviteQueueLimit),
                    QueueRefusal::Disconnected => (Status::DECLINE, Counter::CallRefused),
                };
                refuse_caller(commands, status);
                if counter != Counter::CallRefused {
                    commands.push(Command::Count(Counter::CallRefused));
                }
                commands.push(Command::Count(counter));
                State::Ended
            }
            Input::Request {
                requested_by,
                request,
            } => {
                request::while_waiting(now, facts, requested_by, request, commands);
                State::Waiting(self)
            }
            Input::Forward { .. } => {
                facts.refuse_forward(ErrorCode::UnsupportedOperation, commands);
                State::Waiting(self)
            }
            // Belong to an offer that is over.
            Input::OfferWithdrawn { .. } | Input::DirectRefused { .. } => State::Waiting(self),
        }
    }

    fn handle_timer(
        self,
        now: Instant,
        facts: &mut Facts,
        timer: Timer,
        commands: &mut Commands,
    ) -> State {
        match timer {
            Timer::Progress => {
                facts.say_progress(now, Status::QUEUED, commands);
                State::Waiting(self)
            }
            Timer::Patience => {
                facts.patience_ends(commands);
                State::Ended
            }
            Timer::Duration => {
                facts.too_old(commands);
                State::Ended
            }
            Timer::NoAnswer => State::Waiting(self),
        }
    }
}

/// Back to the queue, which keeps place and age.
pub(super) fn resume(facts: &mut Facts) -> State {
    facts.deadlines.disarm(Timer::NoAnswer);
    State::Waiting(Waiting)
}
