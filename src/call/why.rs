//! Why somebody is sought for a call: what comes of the search, and who is told, depends on that.

use std::sync::Arc;
use std::time::Instant;

use compact_str::CompactString;

use crate::cti::KeyValueList;

use super::participant::Call;
use super::task::Asked;

/// Why somebody is sought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// Who waits has called.
    Called,
    /// An agent, by its number, has transferred the call.
    Transferred(CompactString),
    /// An agent consults, and transfers as soon as somebody rings.
    Muted(Asked),
    /// An agent adds somebody to the call.
    Added(Asked, Box<Added>),
}

/// Somebody who is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Added {
    /// What comes to the data of the call.
    pub(super) pairs: Arc<KeyValueList>,
    /// Since when it is sought, which is not the age of the call.
    pub(super) since: Instant,
}

impl Why {
    /// What who is called brings along for the data of the call.
    pub(super) fn brings(&self) -> Option<Arc<KeyValueList>> {
        match self {
            Self::Added(_, added) => {
                Some(Arc::clone(&added.pairs)).filter(|pairs| !pairs.is_empty())
            }
            Self::Called | Self::Transferred(_) | Self::Muted(_) => None,
        }
    }

    /// When what is sought set out.
    pub(super) fn since(&self, call: &Call) -> Instant {
        match self {
            Self::Added(_, added) => added.since,
            Self::Called | Self::Transferred(_) | Self::Muted(_) => call.since,
        }
    }
}
