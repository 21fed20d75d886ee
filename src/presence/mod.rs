//! Presence: one watcher per DN turns NOTIFYs into the presence vote of its agent.
//!
//! [`Watchers`] holds those of one shard; it subscribes, refreshes and fails over (RFC 6665,
//! RFC 3856) but speaks no SIP: `dialog` does. What a vote leads to is decided in `agent`. The
//! life of one subscription is in `watcher`, `subscribing`, `subscribed` and `recalled`, what
//! outlives it in `record`, what outlives the process in `memory`; who may send now in `pacing`;
//! what a body says in `vote`.

mod backoff;
mod effort;
mod entity;
mod lines;
mod memory;
mod pacing;
mod recalled;
mod record;
mod refusal;
mod subscribed;
mod subscribing;
mod vote;
mod watcher;
mod watchers;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{DnIndex, TrunkIndex};
use crate::cti::Notice;
use crate::dialog::Subscribe;
use crate::trunk::Failure;

pub use memory::{Recalled, Standing};
pub use watchers::Watchers;

/// What a phone is used for, by the names of RPID's activities (RFC 4480 §3.2) and others. Of a
/// vector and not of a slice, because each agent keeps two and a pointer to a slice takes twice as
/// much.
pub type ActivityList = Arc<Vec<String>>;

/// What presence says about an agent, as one of the two votes on its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vote {
    /// Presence has no say: nothing is known, or what was known has expired.
    None,
    /// The phone is closed, or its subscription was terminated.
    Out {
        /// What it is used for, if it is closed because of that: an extension without call waiting.
        activities: ActivityList,
    },
    /// The phone is in use.
    NotReady {
        /// What it is used for, never empty; the first is the reason code.
        activities: ActivityList,
        /// Whether this is the first word of a new subscription.
        initial: bool,
    },
    /// The phone is open and idle.
    Ready {
        /// Whether this is the first word of a new subscription.
        initial: bool,
    },
}

/// What the watchers want done.
///
/// An `epoch` counts the subscriptions of a DN. The events of a subscription come back with its
/// epoch, so that those of one that was replaced change nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Subscribe in a new dialog. The epochs before are over.
    Subscribe {
        /// The DN.
        dn: DnIndex,
        /// Which of its subscriptions.
        epoch: u32,
        /// The SUBSCRIBE.
        subscribe: Subscribe,
    },
    /// Send a SUBSCRIBE in the dialog of this subscription.
    Refresh {
        /// The DN.
        dn: DnIndex,
        /// Which of its subscriptions.
        epoch: u32,
        /// How long it shall last from now.
        expires: Duration,
    },
    /// Drop this subscription, if it still is; nobody listens to it any more.
    Forget {
        /// The DN.
        dn: DnIndex,
        /// Which of its subscriptions.
        epoch: u32,
    },
    /// For the agent at the DN.
    Vote(DnIndex, Vote),
    /// For the control plane.
    Notice(Notice),
    /// For the trunk: bring it to `Trunks::handle_failure`.
    Failure {
        /// The trunk.
        trunk: TrunkIndex,
        /// Which of its peers.
        peer: u8,
        /// What happened.
        failure: Failure,
        /// How long the peer asked to be left alone.
        retry_after: Option<Duration>,
    },
}
