//! Calls: a caller's leg, the queue or agent it asks for, and the agent's leg, held in one machine.

use offhook_shards::ShardId;

use crate::agent::RefusedOffer;
use crate::cti::{CallRequest, ConnId, RequestedBy};
use crate::config::DnIndex;

slotmap::new_key_type! {
    /// A call on its shard. A key of a call that has ended finds nothing.
    pub struct CallKey;
}

/// A call, from anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRef {
    /// The shard that owns the call.
    pub shard: ShardId,
    /// The call on that shard.
    pub key: CallKey,
    /// The public identifier, by which queues keep the call.
    pub conn_id: ConnId,
}

/// What other shards tell a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The DN's shard reserved the agent for this call: ring the phone. To a call that has ended
    /// the answer is `agent::PartyState::Ended`, so that the reservation returns.
    Offer {
        /// The agent.
        dn: DnIndex,
    },
    /// The agent of a direct call cannot take it.
    DirectRefused {
        /// The agent.
        dn: DnIndex,
        /// Why.
        why: RefusedOffer,
    },
    /// The queue does not take the call: it is full, or the router said so.
    QueueRefused {
        /// What to tell the caller.
        refusal: QueueRefusal,
    },
    /// A desktop asks.
    Request {
        /// Whom to answer.
        requested_by: RequestedBy,
        /// What is asked.
        request: CallRequest,
    },
    /// The agent logged out, or was taken out of service, while the call was on its way to it.
    OfferWithdrawn {
        /// The agent.
        dn: DnIndex,
    },
}

/// Why a queue does not take or keep a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueRefusal {
    /// As many calls wait as may.
    Full,
    /// The router ended the call.
    Disconnected,
}
