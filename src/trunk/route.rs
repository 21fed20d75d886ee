//! A choice of trunk and peer for one call or subscription, and what is left if it fails.

use std::sync::Arc;
use std::time::Instant;

use crate::config::{Selection, TrunkIndex, TrunkSet};
use crate::dialog::Target;

use super::trunks::Trunks;
use super::uri::sip_uri;

/// A node of a trunk, chosen, with the memory of what was tried before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The trunks to go on to.
    set: TrunkSet,
    /// Where in the set the first look went.
    first: u16,
    /// How many trunks of the set were looked at, the present one included.
    looked: u16,
    trunk: TrunkIndex,
    peer: u8,
    /// One bit for each node of the present trunk that was chosen.
    tried: u64,
    target: Target,
    host: Arc<str>,
}

impl Route {
    pub(super) fn among(trunks: &mut Trunks, set: &TrunkSet) -> Option<Self> {
        let first = trunks.first_of(set);
        Self::look(trunks, set, first, 0)
    }

    /// Which trunk it is.
    #[must_use]
    pub fn trunk(&self) -> TrunkIndex {
        self.trunk
    }

    /// Which of the trunk's nodes it is, and where requests to it go.
    #[must_use]
    pub fn peer(&self) -> (u8, Target) {
        (self.peer, self.target)
    }

    /// The URI of a number there.
    #[must_use]
    pub fn request_uri(&self, number: &str) -> String {
        sip_uri(number, &self.host)
    }

    /// Goes on to a node that is in service and was not tried: of the same peer, of the same trunk,
    /// then of the next trunk of the list. `None` leaves the route as it is: everything was tried.
    pub fn next(&mut self, trunks: &mut Trunks) -> Option<(u8, Target)> {
        if let Some(peer) = trunks.untried(self.trunk, self.peer, self.tried)
            && let Some(address) = trunks.address(self.trunk, peer)
        {
            self.peer = peer;
            self.tried |= 1 << peer;
            (self.target, self.host) = address;
            return Some(self.peer());
        }
        *self = Self::look(trunks, &self.set, self.first, self.looked)?;
        Some(self.peer())
    }

    /// As [`Route::next`], to a node that is not to be spared this call because of its overload.
    pub fn next_for_call(&mut self, trunks: &mut Trunks, now: Instant) -> Option<(u8, Target)> {
        loop {
            let next = self.next(trunks)?;
            if !trunks.is_spared(now, self.trunk, self.peer) {
                return Some(next);
            }
        }
    }

    /// The first trunk with a peer in service among those of the set not looked at yet.
    fn look(trunks: &mut Trunks, set: &TrunkSet, first: u16, looked: u16) -> Option<Self> {
        let length = u16::try_from(set.trunks.len()).expect("TRUNKS_MAX fits 16 bits");
        (looked..length).find_map(|look| {
            let trunk = set.trunks[usize::from((first + look) % length)];
            let peer = trunks.choose(trunk)?;
            let (target, host) = trunks.address(trunk, peer)?;
            Some(Self {
                set: set.clone(),
                first,
                looked: look + 1,
                trunk,
                peer,
                tried: 1 << peer,
                target,
                host,
            })
        })
    }
}

/// The places `start`, `start + 1`, … of `length`, once around.
pub(super) fn around(start: usize, length: usize) -> impl Iterator<Item = usize> {
    (start..length).chain(0..start)
}

/// Where a look begins: at the front, or at the next in turn.
pub(super) fn turn(mode: Selection, rotation: &mut u16, length: usize) -> usize {
    match mode {
        Selection::PrimaryBackup => 0,
        Selection::RoundRobin => {
            let start = usize::from(*rotation) % length;
            *rotation = u16::try_from((start + 1) % length).expect("trunks and peers fit 16 bits");
            start
        }
    }
}
