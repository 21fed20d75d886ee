//! What has waited for a shard that was busy, and until when: for so long its sender cannot expect
//! the server to know of it. Whose it was is not kept: who asks about a moment is told of whatever
//! came then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Nobody can say yet until when it waits.
const UNKNOWN: Duration = Duration::from_hours(1);

/// What has become of a message, by when it came by the server's clock, which is the only one that
/// a shard has.
#[derive(Debug, Clone, Copy)]
pub enum Waiting {
    Begins(Instant),
    Ends(Instant),
    /// The process was killed, and knows nothing of those that wait.
    Forgotten,
}

/// Those that came at one moment.
#[derive(Debug)]
struct Wait {
    came: Instant,
    /// How many of them wait yet.
    left: u32,
    /// When the last of the others was handled.
    handled: Instant,
}

/// Every wait there was.
#[derive(Debug, Default)]
pub struct Waits(BTreeMap<Instant, Wait>);

impl Waits {
    pub fn note(&mut self, now: Instant, waiting: Waiting) {
        match waiting {
            Waiting::Begins(came) => {
                let wait = self.0.entry(came).or_insert(Wait {
                    came: now,
                    left: 0,
                    handled: now,
                });
                // Its clock may stand still meanwhile.
                wait.came = now;
                wait.left += 1;
            }
            Waiting::Ends(came) => {
                let wait = self.0.get_mut(&came).expect("it was noted when it came");
                wait.left -= 1;
                wait.handled = now;
            }
            Waiting::Forgotten => self.0.values_mut().for_each(|wait| wait.left = 0),
        }
    }

    /// When the last of those was handled that came in this time and had to wait.
    pub fn handled(&self, from: Instant, to: Instant) -> Option<Instant> {
        // It is asked of what was but now: the last ones are looked at first.
        let waits = self.0.values().rev().skip_while(|wait| wait.came > to);
        let waits = waits.take_while(|wait| wait.came >= from);
        let until = |wait: &Wait| match wait.left {
            0 => wait.handled,
            _ => wait.came + UNKNOWN,
        };
        let waited = waits.filter(|wait| until(wait) > wait.came);
        waited.map(until).max()
    }
}

mod tests {
    use super::super::swallowed::Swallowed;
    use super::super::world::{Setup, World};
    use super::*;

    #[test]
    fn what_a_shard_says_waits_for_what_came_at_that_time_and_for_nothing_else() {
        let second = Duration::from_secs(1);
        let start = World::new(Setup::calm(1)).now;
        let at = |seconds: u32| start + seconds * second;
        let mut swallowed = Swallowed::default();
        // Its clock is not that of the network.
        let mut note = |now, waiting| swallowed.waits.note(at(now), waiting);
        for (came, handled) in [(10, &[13, 15][..]), (20, &[20]), (30, &[34])] {
            let clock = start + came * second / 2;
            for _ in handled {
                note(came, Waiting::Begins(clock));
            }
            for at in handled {
                note(*at, Waiting::Ends(clock));
            }
        }
        note(50, Waiting::Begins(at(25)));
        let told_by = |swallowed: &Swallowed, seconds| swallowed.told_by(at(seconds), second);
        let cases = [
            (8, 9),
            (9, 16),
            (10, 16),
            (11, 12),
            (20, 21),
            (30, 35),
            (31, 32),
        ];
        for (seconds, told) in cases {
            assert_eq!(told_by(&swallowed, seconds), at(told), "{seconds}");
        }
        assert!(told_by(&swallowed, 50) > at(600), "it waits yet");
        assert_eq!(told_by(&swallowed, 51), at(52));
        swallowed.waits.note(at(53), Waiting::Forgotten);
        assert_eq!(told_by(&swallowed, 50), at(51), "nobody knows of it");
    }
}
