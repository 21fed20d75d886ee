//! What we say in our own name, where no partner's description is at hand.

use crate::sip::Direction;
use crate::sip::sdp::Origin;

pub use crate::config::Hold;

/// Which way media flow on a leg that is on hold, as we say it.
pub(super) fn direction_of(hold: Hold) -> Direction {
    match hold {
        Hold::SendOnly => Direction::SendOnly,
        Hold::Inactive => Direction::Inactive,
    }
}

/// The `o=` line of a description that is nobody's but ours. It names no address: what follows
/// has none either.
#[derive(Debug)]
pub(super) struct OwnOrigin {
    session: String,
}

impl OwnOrigin {
    pub(super) fn of(id: u64) -> Self {
        // Peers read it as a signed number.
        Self {
            session: (id >> 1).to_string(),
        }
    }

    pub(super) fn line(&self) -> Origin<'_> {
        Origin {
            username: "-",
            session: &self.session,
            version: 0,
            address_type: "IP4",
            address: "0.0.0.0",
        }
    }
}
