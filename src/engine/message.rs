//! What one shard tells another, and what the control plane tells a shard: small owned values that
//! could cross a network.
//!
//! Nobody waits for an answer: the next step is in the message. A message is never dropped: it
//! stays with its sender until there is room, and a sender with a long backlog refuses new calls.

use std::time::Duration;

use crate::call::{Newcomer, Question};
use crate::config::{DnIndex, QueueIndex, TrunkIndex};
use crate::dialog::{LegEvent, Offered};
use crate::wall::Wall;
use crate::{agent, call, cti, dns, queue, trunk};

pub use super::tie::{TieEnd, TieName};

/// What the control plane tells a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// What a client asks.
    Request(cti::Request),
    /// Where a name leads.
    Resolved(dns::Resolved),
    /// The server is to stop: no new calls.
    Drain,
    /// The wall clock was set.
    Wall(Wall),
    /// Bytes of memory that the process has resident now.
    Resident(u64),
}

/// One message between shards, sorted by the thing it is about; the owner of that thing gets it.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// To the shard of the DN.
    Agent(DnIndex, agent::Input),
    /// To the shard of the queue.
    Queue(QueueIndex, queue::Input),
    /// To the shard of the call.
    Call(call::CallRef, call::Input),
    /// To the shard of the dialog: somebody wants the place of its party.
    Takeover(TieName, Box<Newcomer>),
    /// To the shard of one end of a tie: what the other end says.
    Tie(TieName, TieEnd, LegEvent),
    /// Along a tie, by the name of its other end, a conversation asks whether calls are tied in a
    /// circle.
    AskRound(TieName, TieEnd, Question),
    /// To all: the new calls that came to the sender of late.
    Offered(Offered),
    /// From the trunk's pinging shard to all.
    TrunkHealth(TrunkIndex, trunk::HealthChange),
    /// From the trunk's pinging shard to all: which nodes it has now.
    TrunkNodes(TrunkIndex, trunk::Nodes),
    /// To the trunk's pinging shard: a call or subscription met a failing peer.
    TrunkFailure {
        /// The trunk.
        trunk: TrunkIndex,
        /// Which of its peers.
        peer: u8,
        /// What happened.
        failure: trunk::Failure,
        /// How long the peer asked to be left alone (RFC 3261 §20.33).
        retry_after: Option<Duration>,
    },
}

const _: () = assert!(
    size_of::<Message>() <= 200,
    "two shards have room for 4,096"
);
