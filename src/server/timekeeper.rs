//! The wall clock may be set while the server runs: by hand, by NTP when it has found its servers,
//! or because the host slept. Calendars, days and the journal follow it.

use offhook_shards::{Control, Engine, ShardId};
use tokio::time::sleep;

use crate::engine::Input;
use crate::limits::WALL_LOOK_INTERVAL;

use super::clock::Clock;

/// Who looks at the wall clock.
pub(super) struct Timekeeper<E: Engine> {
    /// The way to the shards.
    pub(super) control: Control<E>,
    /// What they were told last.
    pub(super) clock: Clock,
}

impl<E: Engine<Request = Input>> Timekeeper<E> {
    /// Tells every shard whenever the clock was set.
    pub(super) async fn run(mut self) {
        loop {
            sleep(WALL_LOOK_INTERVAL).await;
            let Some(clock) = self.clock.set_since() else {
                continue;
            };
            self.clock = clock;
            let wall = clock.wall();
            tracing::warn!(now = clock.date(wall.at), "the clock of the host was set");
            for shard in (0..self.control.shards()).map(ShardId) {
                while self.control.request(shard, Input::Wall(wall)).is_err() {
                    sleep(WALL_LOOK_INTERVAL).await;
                }
            }
        }
    }
}
