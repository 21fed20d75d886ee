//! Presence: one watcher per DN turns NOTIFYs into the presence vote of its agent.

use std::sync::Arc;

/// What presence says about an agent, as one of the two votes on its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vote {
    /// Presence has no say: nothing is known, or what was known has expired.
    None,
    /// The phone is closed, or its subscription was terminated.
    Out {
        /// Whether the phone reported an activity with `closed`: an extension without call waiting.
        activities: Arc<[String]>,
    },
    /// The phone is in use.
    NotReady {
        /// What it is used for, never empty; the first is the reason code.
        activities: Arc<[String]>,
        /// Whether this is the first word of a new subscription.
        initial: bool,
    },
    /// The phone is open and idle.
    Ready {
        /// Whether this is the first word of a new subscription.
        initial: bool,
    },
}
