//! What is left of a watcher when the process is not: at which trunk it had its subscription, and
//! until when. The dialog of the subscription is `dialog`'s.

use std::time::Instant;

use crate::config::{DnIndex, TrunkIndex};
use crate::dialog::Target;
use crate::limits::{MIN_EXPIRES_MAX, SUBSCRIPTION_RECORD_SLACK};
use crate::trunk::Trunks;

use super::Watchers;

/// How the subscription of a DN stands, as far as it is worth a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which of the DN's subscriptions.
    pub epoch: u32,
    /// Whose it is.
    pub trunk: TrunkIndex,
    /// When it ends, unless it is refreshed.
    pub until: Instant,
}

impl Standing {
    /// Whether what was written of it still says what matters. A NOTIFY names what is left in whole
    /// seconds, so that each would move the end a little.
    #[must_use]
    pub fn is_as(&self, written: &Self) -> bool {
        let (one, other) = (self.until, written.until);
        let moved = one.max(other) - one.min(other);
        (self.epoch, self.trunk) == (written.epoch, written.trunk)
            && moved < SUBSCRIPTION_RECORD_SLACK
    }
}

/// A subscription that an earlier process had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recalled {
    /// Whose it is.
    pub trunk: TrunkIndex,
    /// Where its first SUBSCRIBE went.
    pub peer: Target,
    /// When it ends, unless it is refreshed.
    pub until: Instant,
}

impl Watchers {
    /// Keeps in mind from now on whose subscription may stand otherwise.
    pub fn watch_touched(&mut self) {
        self.touched = Some(Vec::new());
    }

    /// Those whose subscription may stand otherwise since this was last asked.
    pub fn take_touched(&mut self) -> Vec<DnIndex> {
        self.touched
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// The subscription of a DN, if there is one that has notified us.
    #[must_use]
    pub fn standing(&self, dn: DnIndex) -> Option<Standing> {
        self.watcher(dn)?.standing()
    }

    /// The agent at the DN is what presence said to an earlier process. That counts as long as a
    /// subscription would have lasted that began then, at the latest.
    pub fn recall_vote(&mut self, now: Instant, trunks: &mut Trunks, dn: DnIndex) {
        if let Some(slot) = self.slot(dn) {
            self.with(now, trunks, slot, |watcher, around| {
                let until = around.now + around.config.presence.expires;
                watcher.record.recall_vote(until);
            });
        }
    }

    /// Goes on with the subscription that an earlier process had: the PBX is asked in its dialog
    /// how the phone is, in its turn. Gives back its epoch; `None` if it has ended, or the DN is
    /// not watched by that trunk any more.
    pub fn recall(
        &mut self,
        now: Instant,
        trunks: &mut Trunks,
        dn: DnIndex,
        mut recalled: Recalled,
    ) -> Option<u32> {
        let slot = self.slot(dn)?;
        // The clock on the wall may have been wrong.
        let longest = self.config.presence.expires.max(MIN_EXPIRES_MAX);
        recalled.until = recalled.until.min(now + longest);
        let epoch = self.with(now, trunks, slot, |watcher, around| {
            let stands = recalled.until > around.now && watcher.record.uses(recalled.trunk, around);
            stands.then(|| watcher.recall(recalled, around))
        });
        self.arm_turns(now);
        epoch
    }
}
