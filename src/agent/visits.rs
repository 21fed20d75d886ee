//! The calls at one DN: a call of a queue, a consultation beside the held one, a call that the
//! agent makes. It finds them and says what they come to together; what happens to them is in
//! `reservation`, `party` and `dialling`.

use std::ops::{Index, IndexMut};
use std::time::Instant;

use crate::call::CallRef;
use crate::config::QueueIndex;
use crate::cti::ConnId;
use crate::few::Few;
use crate::limits::CALLS_PER_DN_MAX;

use super::{OfferSource, Party};

/// How far a call at a DN is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Promised to the call; the phone does not ring yet.
    Reserved,
    /// The phone rings.
    Ringing,
    /// The agent calls somebody.
    Dialing,
    /// Answered.
    Established,
    /// Answered, and put on hold by the agent.
    Held,
}

/// How a call came to the DN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A queue or a router picked the agent.
    Queue(QueueIndex),
    /// Somebody called the DN.
    Direct,
    /// The agent calls.
    Own,
}

/// What a call is to the contact center.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// None of its business: nothing follows.
    Private,
    /// Its business: wrap-up follows, as the queue says where there is one.
    Business(Option<QueueIndex>),
}

/// One call at the DN.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) call: CallRef,
    pub(super) source: Source,
    pub(super) class: Class,
    pub(super) stage: Stage,
    /// Whether it was ever answered.
    pub(super) was_up: bool,
    /// Until when the call's shard must have said something, by [`Step::awake`].
    ///
    /// [`Step::awake`]: super::step::Step::awake
    pub(super) lease: Option<Instant>,
    /// What rings, while there is a lease: what clients are told if nothing more is heard of it.
    pub(super) ringing: Option<Box<Party>>,
    /// Since when the agent was free before: what it has back if its phone is never dialled.
    pub(super) free_since: Option<Instant>,
    /// Whether the call's shard was told that nobody will answer.
    pub(super) withdrawn: Withdrawn,
    /// Who was logged in by a desktop when the call came: its events name this agent, whoever is
    /// at the DN by then. `None` is the default agent.
    pub(super) agent_id: Option<Box<str>>,
}

/// Whether an offer was taken back, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Withdrawn {
    /// It stands.
    No,
    /// The phone is gone or silent.
    ByPhone,
    /// The agent does not want it any more.
    ByDesktop,
}

impl From<OfferSource> for Source {
    fn from(source: OfferSource) -> Self {
        match source {
            OfferSource::Queue(queue) | OfferSource::Router(queue, _) => Self::Queue(queue),
            OfferSource::Direct => Self::Direct,
        }
    }
}

impl Visit {
    /// Whether clients know of the call.
    pub(super) fn is_shown(&self) -> bool {
        self.stage != Stage::Reserved
    }

    /// Whether it needs the handset.
    pub(super) fn is_off_hook(&self) -> bool {
        match self.stage {
            Stage::Dialing | Stage::Established | Stage::Held => true,
            Stage::Reserved | Stage::Ringing => false,
        }
    }

    /// Whether it was offered and can still be taken back.
    pub(super) fn is_offer(&self) -> bool {
        let unanswered = !self.is_off_hook();
        match self.source {
            Source::Queue(_) | Source::Direct => unanswered && self.withdrawn == Withdrawn::No,
            Source::Own => false,
        }
    }

    /// Whether it is the contact center's business.
    pub(super) fn is_business(&self) -> bool {
        match self.class {
            Class::Business(_) => true,
            Class::Private => false,
        }
    }
}

/// The calls at one DN, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Visits(Few<Visit>);

impl Visits {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one more is too many.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= CALLS_PER_DN_MAX
    }

    /// The oldest.
    pub(super) fn first(&self) -> Option<&Visit> {
        self.0.first()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Visit> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Visit> {
        self.0.iter_mut()
    }

    /// The place of a call.
    pub(super) fn position(&self, call: CallRef) -> Option<usize> {
        self.0.iter().position(|visit| visit.call == call)
    }

    /// The place of a call whose shard has said nothing for too long.
    pub(super) fn position_of_over(&self, now: Instant) -> Option<usize> {
        let is_over = |visit: &Visit| visit.lease.is_some_and(|lease| lease <= now);
        self.0.iter().position(is_over)
    }

    /// The place of the call with this number.
    pub(super) fn numbered(&self, conn_id: ConnId) -> Option<usize> {
        self.0
            .iter()
            .position(|visit| visit.call.conn_id == conn_id)
    }

    /// Adds a call and says where it is.
    pub(super) fn push(&mut self, visit: Visit) -> usize {
        assert!(!self.is_full(), "a DN's calls are counted before one more");
        self.0.push(visit);
        self.0.len() - 1
    }

    pub(super) fn remove(&mut self, index: usize) -> Visit {
        self.0.remove(index)
    }

    /// Whether another call than this one is the contact center's business.
    pub(super) fn has_other_business(&self, index: usize) -> bool {
        let mut all = self.0.iter().enumerate();
        all.any(|(other, visit)| other != index && visit.is_business())
    }

    /// Whether a call needs the handset.
    pub(super) fn are_off_hook(&self) -> bool {
        self.0.iter().any(Visit::is_off_hook)
    }
}

impl Index<usize> for Visits {
    type Output = Visit;

    fn index(&self, index: usize) -> &Visit {
        &self.0[index]
    }
}

impl IndexMut<usize> for Visits {
    fn index_mut(&mut self, index: usize) -> &mut Visit {
        &mut self.0[index]
    }
}
