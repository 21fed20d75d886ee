//! What holds for a call in every state, and the words that every state says the same way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::{self, EndCause, Party, PartyState};
use crate::config::{Config, DnIndex, QueueIndex, RoutingPointIndex};
use crate::counters::Counter;
use crate::cti::{
    CallInfo, CallState, DnRole, ErrorCode, Event, KeyValueList, RequestedBy, UserDataChange,
};
use crate::dialog::{Body, Cause, Refusal};
use crate::limits::PROGRESS_INTERVAL;
use crate::queue;
use crate::sip::Status;

use super::command::{Command, LegCommand, Side};
use super::timer::{Deadlines, Timer};
use super::{CallRef, Commands, user_data};

/// Q.850 causes that a leg is hung up with (ITU-T Q.850 §2.2.7).
pub mod cause {
    /// Normal call clearing.
    pub const NORMAL: u8 = 16;
    /// User alerting, no answer.
    pub const NO_ANSWER: u8 = 19;
    /// Temporary failure.
    pub const FAILURE: u8 = 41;
    /// Recovery on timer expiry.
    pub const TIMER: u8 = 102;
}

/// Where the caller asked to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A routing point: the call waits in its queue.
    Queue {
        /// The queue.
        queue: QueueIndex,
        /// The number dialled.
        routing_point: RoutingPointIndex,
    },
    /// An agent's own number.
    Direct {
        /// The agent.
        dn: DnIndex,
    },
}

/// What holds for a call in every state.
#[derive(Debug)]
pub struct Facts {
    /// The call.
    pub call: CallRef,
    /// What everyone who reports on it repeats.
    pub info: Arc<CallInfo>,
    /// Where the caller asked to go.
    pub destination: Destination,
    /// The caller's offer; `None` asks us for one.
    pub offer: Option<Body>,
    /// When the caller came.
    pub since: Instant,
    /// When the call must act by itself.
    pub deadlines: Deadlines,
    /// How agents and queues are configured.
    pub config: Arc<Config>,
}

/// What lies behind news of a party: a client's request, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Whom the news answers.
    pub(super) requested_by: Option<RequestedBy>,
    /// The client's reasons.
    pub(super) reasons: KeyValueList,
    /// In whose name the attached data was changed.
    pub(super) changed_by: Option<String>,
}

impl Origin {
    /// A client asked for it.
    pub(super) fn request(requested_by: RequestedBy, reasons: KeyValueList) -> Self {
        Self {
            requested_by: Some(requested_by),
            reasons,
            changed_by: None,
        }
    }
}

impl Facts {
    pub(super) fn queue(&self) -> Option<(QueueIndex, RoutingPointIndex)> {
        match self.destination {
            Destination::Queue {
                queue,
                routing_point,
            } => Some((queue, routing_point)),
            Destination::Direct { .. } => None,
        }
    }

    /// How long the phone may ring.
    pub(super) fn no_answer(&self, dn: DnIndex) -> Duration {
        self.config
            .no_answer(dn, self.queue().map(|(queue, _)| queue))
    }

    /// Tells the DN's shard how the party there stands.
    pub(super) fn tell_agent(
        &self,
        commands: &mut Commands,
        dn: DnIndex,
        state: PartyState,
        origin: Origin,
    ) {
        commands.push(Command::Agent(
            dn,
            agent::Input::Party(Party {
                call: self.call,
                info: Arc::clone(&self.info),
                routing_point: self.queue().map(|(_, routing_point)| routing_point),
                role: DnRole::Destination,
                other: self.info.ani.clone().map(|ani| (ani, DnRole::Origination)),
                third: None,
                previous_conn_id: None,
                call_state: CallState::Ok,
                state,
                requested_by: origin.requested_by,
                reasons: origin.reasons,
                changed_by: origin.changed_by,
            }),
        ));
    }

    /// Tells the queue, where the call has one.
    pub(super) fn tell_queue(&self, commands: &mut Commands, input: queue::Input) {
        if let Some((queue, _)) = self.queue() {
            commands.push(Command::Queue(queue, input));
        }
    }

    /// Tells the queue that the call stays where it is.
    pub(super) fn refuse_forward(&self, code: ErrorCode, commands: &mut Commands) {
        let conn_id = self.call.conn_id;
        self.tell_queue(commands, queue::Input::ForwardFailed { conn_id, code });
    }

    /// The caller is gone before the answer; the queue forgets the call.
    pub(super) fn caller_gone(&self, commands: &mut Commands, cause: EndCause) {
        let conn_id = self.call.conn_id;
        self.tell_queue(commands, queue::Input::Left { conn_id, cause });
        commands.push(Command::Count(match cause {
            EndCause::CallerAbandoned => Counter::CallAbandoned,
            EndCause::AgentReleased
            | EndCause::CallerReleased
            | EndCause::NoAnswer
            | EndCause::Busy
            | EndCause::Declined
            | EndCause::Unreachable
            | EndCause::Failed
            | EndCause::Transferred
            | EndCause::Conferenced
            | EndCause::Redirected
            | EndCause::Cleared => Counter::CallFailed,
        }));
    }

    /// The INVITE's `Expires` has passed (RFC 3261 §13.3.1): 487, and the caller counts as gone.
    pub(super) fn patience_ends(&self, commands: &mut Commands) {
        refuse_caller(commands, Status::REQUEST_TERMINATED);
        self.caller_gone(commands, EndCause::CallerAbandoned);
    }

    /// Nobody has answered for as long as a call may last: whoever called is long gone.
    pub(super) fn too_old(&self, commands: &mut Commands) {
        refuse_caller(commands, Status::TEMPORARILY_UNAVAILABLE);
        self.caller_gone(commands, EndCause::Failed);
    }

    /// Tells the caller how the call stands and sets the time to say so again: RFC 3261
    /// §13.3.1.1 wants a provisional response a minute.
    pub(super) fn say_progress(&mut self, now: Instant, status: Status, commands: &mut Commands) {
        let progress = LegCommand::Progress(status);
        commands.push(Command::Leg(Side::Caller, progress));
        let interval = self.queue().map_or(PROGRESS_INTERVAL, |(queue, _)| {
            self.config.queue_at(queue).queued_progress_interval
        });
        self.deadlines.arm(Timer::Progress, now + interval);
    }

    /// Changes the attached data; the event at `this_dn` is emitted by whoever owns it.
    pub(super) fn change_user_data(&mut self, change: UserDataChange) -> Result<(), ErrorCode> {
        let mut info = CallInfo::clone(&self.info);
        user_data::apply(&mut info.user_data, change)?;
        self.info = Arc::new(info);
        Ok(())
    }
}

/// Answers a request that cannot be carried out.
pub(super) fn refuse_request(
    now: Instant,
    commands: &mut Commands,
    requested_by: RequestedBy,
    this_dn: &str,
    code: ErrorCode,
    message: &str,
) {
    let event = Event::error(now, this_dn, requested_by, code, message);
    commands.push(Command::Event(Box::new(event)));
}

/// Refuses the caller's INVITE.
pub(super) fn refuse_caller(commands: &mut Commands, status: Status) {
    let refusal = Refusal {
        status,
        retry_after: None,
    };
    commands.push(Command::Leg(Side::Caller, LegCommand::Refuse(refusal)));
}

/// Hangs a leg up.
pub(super) fn hang_up(commands: &mut Commands, side: Side, cause: impl Into<Cause>) {
    commands.push(Command::Leg(side, LegCommand::HangUp(cause.into())));
}
