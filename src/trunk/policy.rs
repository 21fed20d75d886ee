//! What the calls of a trunk are told to do by its configuration.

use std::num::NonZeroU32;

use crate::config::{self, Identity};
use crate::dialog::{IdentityHeaders, LegPolicy};

/// The policy of a trunk's legs.
#[must_use]
pub fn leg_policy(trunk: &config::Trunk) -> LegPolicy {
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    LegPolicy {
        session_expires: trunk.session_expires.map(seconds).and_then(NonZeroU32::new),
        min_se: seconds(trunk.min_se),
        reliable_provisional: trunk.reliable_provisional,
        refer: trunk.refer,
        trusted: trunk.trusted,
        identity: match trunk.identity {
            Identity::Asserted => IdentityHeaders::Asserted,
            Identity::RemoteParty => IdentityHeaders::RemoteParty,
            Identity::Both => IdentityHeaders::Both,
            Identity::Neither => IdentityHeaders::Neither,
        },
    }
}
