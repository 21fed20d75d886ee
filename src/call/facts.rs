//! What holds for a conversation as long as it lasts, and the words that are said the same way
//! everywhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::ShardId;

use compact_str::CompactString;

use crate::agent::EndCause;
use crate::config::{Address, Config, DnIndex, Hold, QueueIndex, RoutingPointIndex};
use crate::cti::{ConnId, ErrorCode, Event, KeyValueList, RequestedBy};
use crate::dialog::{Carried, Party, Refusal, Replaces};
use crate::few::Rarely;
use crate::limits::PROGRESS_INTERVAL;
use crate::sip::Status;

use super::command::{Command, DialTo, LegCommand, LegSlot};
use super::timer::Deadlines;
use super::{CallKey, CallRef, Commands, Dial};

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

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A routing point: the call waits in its queue.
    Queue {
        /// The queue; `None` for the one that the rules of the routing point say.
        queue: Option<QueueIndex>,
        /// The number dialled.
        routing_point: RoutingPointIndex,
    },
    /// An agent's own number.
    Direct {
        /// The agent.
        dn: DnIndex,
    },
    /// A number outside, by a trunk that leads there.
    Outside {
        /// The number.
        number: String,
    },
    /// The place of a party in another call of ours (RFC 3891).
    Takeover {
        /// The dialog of the party.
        replaces: Box<Replaces>,
    },
}

impl Destination {
    /// What a number, as a desktop or a router writes it, means.
    #[must_use]
    pub fn of(config: &Config, number: &str) -> Option<Self> {
        match config.address(number) {
            Some(Address::Agent(dn)) => Some(Self::Direct { dn }),
            Some(Address::RoutingPoint(routing_point)) => Some(Self::Queue {
                queue: None,
                routing_point,
            }),
            Some(Address::Queue(_) | Address::Trunk(_)) => None,
            None => Self::outside(config, number),
        }
    }

    /// A number outside, whatever else has it.
    pub(super) fn outside(config: &Config, number: &str) -> Option<Self> {
        let dialable = |byte: u8| byte.is_ascii_alphanumeric() || b"+*#.-".contains(&byte);
        let is_number = !number.is_empty() && number.bytes().all(dialable);
        (is_number && config.outbound(number).is_some()).then(|| Self::Outside {
            number: number.to_owned(),
        })
    }
}

/// What every INVITE of ours takes over from the one that brought the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Already lowered by one.
    pub max_forwards: u8,
    /// Cisco-Guid, Diversion and History-Info as received.
    pub carried: Carried,
}

/// What holds for a conversation as long as it lasts.
#[derive(Debug)]
pub struct Facts {
    /// The shard that owns it.
    pub shard: ShardId,
    /// Where it is on that shard.
    pub key: CallKey,
    /// How agents and queues are configured.
    pub config: Arc<Config>,
    /// When it must act by itself.
    pub deadlines: Deadlines,
    /// For INVITEs of ours.
    pub way: Way,
    /// The queues that sent the caller on since it was last answered, each once.
    pub(super) visited: Rarely<QueueIndex>,
    /// What the queue, or the call whose party was to be replaced, wants the caller to be told
    /// that it does not take.
    pub refused_with: Option<Status>,
    /// How often it was sent elsewhere: a loop through us ends.
    pub hops: u8,
    /// How a caller from outside is put on hold.
    pub caller_hold: Hold,
    /// Whether the caller came from outside, and counts among the calls that did.
    pub is_inbound: bool,
    /// Whether it is no more than a link between two others.
    pub(super) is_link: bool,
    /// Whether it has been counted what has become of it: once, however often it is transferred.
    pub is_counted: bool,
}

/// What lies behind news of a party: a client's request, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Whom the news answers.
    pub(super) requested_by: Option<RequestedBy>,
    /// The client's reasons.
    pub(super) reasons: KeyValueList,
    /// In whose name the attached data was changed.
    pub(super) changed_by: Option<CompactString>,
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
    /// Somebody who was answered goes on to somewhere else: that is no loop.
    pub(super) fn set_out(&mut self) {
        self.hops = 0;
        self.visited.clear();
    }

    /// One of its calls, from anywhere.
    pub(super) fn call(&self, conn_id: ConnId) -> CallRef {
        CallRef {
            shard: self.shard,
            key: self.key,
            conn_id,
        }
    }

    /// How long a caller may hear nothing new.
    pub(super) fn progress_interval(&self, queue: Option<QueueIndex>) -> Duration {
        queue.map_or(PROGRESS_INTERVAL, |queue| {
            self.config.queue_at(queue).queued_progress_interval
        })
    }

    /// An INVITE of ours.
    pub(super) fn dial(&self, to: DialTo, calling: Arc<Party>) -> Dial {
        Dial {
            to,
            calling,
            max_forwards: self.way.max_forwards.saturating_sub(self.hops),
            carried: self.way.carried.clone(),
            diversions: Vec::new(),
            replaces: None,
            referred_by: None,
            offer: None,
            is_focus: false,
            auto_answer: false,
            instead_of: None,
        }
    }

    /// The number of an agent's DN, as events have it.
    pub(super) fn number_of(&self, dn: DnIndex) -> CompactString {
        (&*self.config.agent_at(dn).dn).into()
    }

    /// An agent, as the far end of a leg is shown it.
    pub(super) fn agent_party(&self, dn: DnIndex) -> Arc<Party> {
        Arc::new(Party {
            number: self.config.agent_at(dn).dn.clone(),
            ..Party::default()
        })
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

/// Refuses an INVITE that waits.
pub(super) fn refuse_leg(commands: &mut Commands, leg: LegSlot, status: Status) {
    let refusal = Refusal {
        status,
        retry_after: None,
    };
    commands.push(Command::Leg(leg, LegCommand::Refuse(refusal)));
}

/// What a caller whose call came to nothing is told.
pub(super) fn status_of(cause: EndCause) -> Status {
    match cause {
        EndCause::Busy => Status::BUSY_HERE,
        EndCause::AgentReleased | EndCause::Declined => Status::DECLINE,
        // Not 503, which would make the PBX take us for dead.
        EndCause::NoAnswer
        | EndCause::Unreachable
        | EndCause::CallerReleased
        | EndCause::CallerAbandoned
        | EndCause::Failed
        | EndCause::Transferred
        | EndCause::Conferenced
        | EndCause::Redirected
        | EndCause::Cleared => Status::TEMPORARILY_UNAVAILABLE,
    }
}

/// What a desktop or a router is told of a destination that did not take the call.
pub(super) fn error_of(cause: EndCause) -> ErrorCode {
    match cause {
        EndCause::NoAnswer => ErrorCode::NoAnswer,
        EndCause::Busy => ErrorCode::Busy,
        EndCause::AgentReleased | EndCause::Declined => ErrorCode::Rejected,
        EndCause::Unreachable => ErrorCode::OutOfService,
        EndCause::CallerReleased
        | EndCause::CallerAbandoned
        | EndCause::Failed
        | EndCause::Transferred
        | EndCause::Conferenced
        | EndCause::Redirected
        | EndCause::Cleared => ErrorCode::DestinationState,
    }
}

/// What a final response to an INVITE of ours says about who was called.
pub(super) fn cause_of(status: Status) -> EndCause {
    match status.0 {
        486 | 600 => EndCause::Busy,
        404 | 408 | 410 | 430 | 480 | 484 | 485 | 500..=599 | 604 => EndCause::Unreachable,
        // 603, 487 without our CANCEL, 488, 403 and what else a phone may find.
        _ => EndCause::Declined,
    }
}
