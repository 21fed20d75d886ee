//! The queue's own strategy: which agent gets the next caller. It picks; offering is `line`'s.

use crate::config::{DnIndex, Strategy};

use super::ready::Ready;

/// The agent for the next caller, if any may be picked.
pub(super) fn pick(strategy: Strategy, ready: &Ready) -> Option<DnIndex> {
    match strategy {
        Strategy::LongestIdle => ready.longest_idle(),
    }
}
