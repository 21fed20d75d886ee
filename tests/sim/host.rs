//! Where the server runs: a host that may sleep, as a virtual machine does that is moved, with a
//! monotonic clock that goes on meanwhile or stands still, and a wall clock that is set.

use std::time::{Duration, Instant};

use super::world::World;

/// A sleep that a peer may notice: its requests come again for 32 s, the last time after four.
const LONG_SLEEP: Duration = Duration::from_secs(4);

/// The server's host.
#[derive(Debug)]
pub struct Host {
    /// How far its monotonic clock is behind: for so long it has slept with it.
    lag: Duration,
    /// Until when it sleeps, and whether its monotonic clock stands still meanwhile.
    asleep: Option<(Instant, bool)>,
    /// Since when it does, or did last.
    slept: Instant,
}

impl Host {
    pub fn awake(now: Instant) -> Self {
        Self {
            lag: Duration::ZERO,
            asleep: None,
            slept: now,
        }
    }

    /// What its monotonic clock says.
    pub fn monotonic(&self, now: Instant) -> Instant {
        now - self.lag
    }

    /// When it was that its monotonic clock said so.
    pub fn told(&self, at: Instant) -> Instant {
        at + self.lag
    }

    pub fn asleep_until(&self) -> Option<Instant> {
        self.asleep.map(|(until, _)| until)
    }

    /// When the server has something to do: by its own clock, or because it is asked.
    pub fn due(&self, own: Option<Instant>, asked: Option<Instant>) -> Option<Instant> {
        if let Some(until) = self.asleep_until() {
            return Some(until);
        }
        let own = own.map(|next| self.told(next));
        own.into_iter().chain(asked).min()
    }

    fn falls_asleep(&mut self, now: Instant, until: Instant, stands_still: bool) {
        self.asleep = Some((until, stands_still));
        self.slept = now;
    }

    /// It wakes, if it is time.
    pub fn wake(&mut self, now: Instant) {
        if let Some((_, stands_still)) = self.asleep.take_if(|(until, _)| *until <= now)
            && stands_still
        {
            self.lag += now - self.slept;
        }
    }
}

impl World {
    /// The server's host sleeps for so long; its monotonic clock goes on, or stands still.
    pub fn sleep(&mut self, time: Duration, stands_still: bool) {
        if self.sleeps() {
            return;
        }
        let what = format!("the server sleeps for {time:?}; its clock stands: {stands_still}");
        self.network.remark(self.now, what);
        let until = self.now + time;
        self.host.falls_asleep(self.now, until, stands_still);
        // Timers that have come due are seen before what has arrived, or after it.
        let later = self
            .random
            .between(Duration::ZERO, Duration::from_millis(20));
        self.network.asleep = Some((self.cluster.address, until + later));
        let slept = (self.now, until + later);
        self.network.swallowed.naps.push(slept);
        if time >= LONG_SLEEP {
            self.network.swallowed.slept.push(slept);
        }
    }

    /// Whether the server's host sleeps.
    pub fn sleeps(&self) -> bool {
        self.host.asleep_until().is_some()
    }

    /// The wall clock of the server's host is set.
    pub fn set_wall(&mut self, by: Duration, forward: bool) {
        let what = format!("the clock is set by {by:?}, forward: {forward}");
        self.network.remark(self.now, what);
        self.cluster.set_wall(self.server_now(), by, forward);
    }
}
