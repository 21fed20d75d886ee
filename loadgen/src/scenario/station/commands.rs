//! Texts of twins, which open calls as messages do.

use std::sync::atomic::Ordering;
use std::time::Instant;

use offhook_shards::Source;

use super::super::hash::hash;
use super::super::twin;
use super::Station;

impl Station {
    /// Takes a text of a twin: for a call that there is, or for a new one.
    pub(super) fn receive_command(&mut self, now: Instant, from: Source, text: &[u8]) {
        self.floor.twin = from.connection.map(|connection| (from.remote, connection));
        let Some(id) = twin::header(text, b"Call-ID") else {
            self.floor.statistics.malformed += 1;
            self.floor
                .warn(now, || "a twin's command names no Call-ID".to_owned());
            return;
        };
        let known = self.by_id.get(&hash(id)).copied();
        let known = known.filter(|slot| self.slots[*slot].call.call_id() == id);
        let slot = match (known, self.floor.settings.remote) {
            (Some(slot), _) => slot,
            (None, Some(remote)) if self.accepts() => {
                let opening = self.opening(now, remote, true, None);
                self.floor.statistics.incoming += 1;
                self.floor.settings.admitted.fetch_add(1, Ordering::Relaxed);
                self.open(now, &opening, id)
            }
            (None, _) => {
                self.floor.statistics.out_of_call += 1;
                self.floor
                    .warn(now, || "a twin's command belongs to no call".to_owned());
                return;
            }
        };
        let call = &mut self.slots[slot].call;
        let progress = call.receive_command(now, text, &mut self.floor);
        self.settle(now, slot, progress);
    }
}
