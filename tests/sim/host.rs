//! Where the server runs: a host that may sleep, as a virtual machine does that is moved, with a
//! monotonic clock that goes on meanwhile or stands still, and a wall clock that is set.

use std::time::{Duration, Instant};

use super::world::World;

/// A sleep that a peer may notice: its requests come again for 32 s, the last time after four.
const LONG_SLEEP: Duration = Duration::from_secs(4);

/// The server's host.
#[derive(Debug)]
pub struct Host {
    /// When its monotonic clock stood still: from, to.
    stood: Vec<(Instant, Instant)>,
    /// Until when it sleeps, and whether its monotonic clock stands still meanwhile.
    asleep: Option<(Instant, bool)>,
    /// Since when it does, or did last.
    slept: Instant,
}

impl Host {
    pub fn awake(now: Instant) -> Self {
        Self {
            stood: Vec::new(),
            asleep: None,
            slept: now,
        }
    }

    /// What its monotonic clock says, or said then.
    pub fn monotonic(&self, at: Instant) -> Instant {
        let stood = self.stood.iter().take_while(|(from, _)| *from < at);
        let behind: Duration = stood.map(|(from, to)| at.min(*to) - *from).sum();
        at - behind
    }

    /// When it was that its monotonic clock said so; where it stood then, when it went on.
    pub fn told(&self, at: Instant) -> Instant {
        let went_on = |at, (from, to): &(Instant, Instant)| match *from <= at {
            true => at + (*to - *from),
            false => at,
        };
        self.stood.iter().fold(at, went_on)
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
            self.stood.push((self.slept, now));
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

#[cfg(test)]
mod tests {
    use super::super::world::Setup;
    use super::*;

    #[test]
    fn clock_that_stood_still_tells_of_one_moment() {
        let second = Duration::from_secs(1);
        let start = World::new(Setup::calm(1)).now;
        let mut host = Host::awake(start);
        for (from, to, stands_still) in [(10, 14, true), (20, 23, false), (30, 35, true)] {
            host.falls_asleep(start + from * second, start + to * second, stands_still);
            host.wake(start + to * second);
        }
        // Real time, and the server's.
        for (at, clock) in [(9, 9), (13, 10), (14, 10), (22, 18), (30, 26), (40, 31)] {
            let monotonic = host.monotonic(start + at * second) - start;
            assert_eq!(monotonic, clock * second, "at {at} s");
        }
        for (clock, at) in [(9, 9), (10, 14), (11, 15), (18, 22), (26, 35), (31, 40)] {
            assert_eq!(host.told(start + clock * second) - start, at * second);
        }
    }
}
