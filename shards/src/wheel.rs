//! A hierarchical timer wheel: seven levels of 64 slots, one millisecond a tick. Arming,
//! cancelling and expiring are O(1); only timers that fall due within the same millisecond are
//! sorted among themselves. It reads no clock and calls nothing back: time comes in, values go
//! out. Timers come out by deadline, equal deadlines in the order of arming, and never early.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::pages::{PASSING_BYTES, Pages, Place};

/// Nanoseconds of a tick: one a millisecond.
const TICK: i64 = 1_000_000;
/// Each level looks at this many bits of the tick.
const LEVEL_BITS: u32 = 6;
/// Slots on a level: as many as a `u64` has bits, so that "which is next" is one instruction.
const SLOTS: usize = 1 << LEVEL_BITS;
/// Levels: 2^42 ms are 139 years.
const LEVELS: usize = 7;
/// The last tick that the wheel can tell apart; later deadlines share its slot until they near.
const TICK_MAX: u64 = (1 << (LEVEL_BITS * LEVELS as u32)) - 1;
/// "No entry": ends a slot's list.
const NONE: u32 = u32::MAX;

const _: () = assert!(SLOTS == u64::BITS as usize);

/// Names one armed timer. A key outlives its timer harmlessly: it then cancels nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerKey(Place);

/// Timers with a value each, in pages of at most so many bytes: see [`Pages`].
#[derive(Debug)]
pub struct Wheel<T, const BYTES: usize = PASSING_BYTES> {
    start: Instant,
    /// Everything up to and including this tick is in `due`; everything after it is in a slot.
    cursor: u64,
    /// Counts what has come into `due`, to keep equal deadlines in order.
    sequence: u64,
    entries: Pages<Entry<T>, BYTES>,
    slots: Vec<Slot>,
    /// One bit a slot, a word a level: which slots hold timers.
    occupied: [u64; LEVELS],
    /// The timers of the current tick and before. The first one is always live.
    due: BinaryHeap<Reverse<Due>>,
}

/// Nanoseconds since a wheel's start, or before it: half the room of an [`Instant`].
type Moment = i64;

#[derive(Debug)]
struct Entry<T> {
    deadline: Moment,
    value: T,
    previous: u32,
    next: u32,
}

const _: () = assert!(size_of::<Entry<u64>>() <= 24, "a held call has one");
const _: () = assert!(size_of::<Entry<[u32; 3]>>() <= 32, "its legs have theirs");

#[derive(Debug, Clone, Copy)]
struct Slot {
    head: u32,
    tail: u32,
    /// Not later than any deadline in the list; meaningless when it is empty.
    earliest: Moment,
}

/// Ordered by deadline, then by arming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    deadline: Moment,
    sequence: u64,
    key: TimerKey,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.deadline, self.sequence).cmp(&(other.deadline, other.sequence))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T, const BYTES: usize> Wheel<T, BYTES> {
    /// An empty wheel whose first tick begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            start: now,
            cursor: 0,
            sequence: 0,
            entries: Pages::default(),
            slots: vec![
                Slot {
                    head: NONE,
                    tail: NONE,
                    earliest: 0
                };
                LEVELS * SLOTS
            ],
            occupied: [0; LEVELS],
            due: BinaryHeap::new(),
        }
    }

    /// How many timers are armed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no timer is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Arms a timer. A deadline that has passed is due at the next [`Wheel::expire`].
    pub fn arm(&mut self, at: Instant, value: T) -> TimerKey {
        let place = self.entries.insert(Entry {
            deadline: self.moment(at),
            value,
            previous: NONE,
            next: NONE,
        });
        let key = TimerKey(place);
        self.place(place.index);
        key
    }

    /// Arms a timer that may be up to `grain` late, at the next multiple of it since the wheel
    /// began: those of a moment fall due together, and whoever sleeps is woken once for them.
    pub fn arm_within(&mut self, at: Instant, grain: Duration, value: T) -> TimerKey {
        let grain = grain.as_nanos().max(1);
        let since = at.saturating_duration_since(self.start).as_nanos();
        let wait = u64::try_from(since.next_multiple_of(grain) - since);
        let wait = wait.map_or(Duration::MAX, Duration::from_nanos);
        self.arm(at.checked_add(wait).unwrap_or(at), value)
    }

    /// Disarms a timer and returns its value; `None` if it has fired or been cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let deadline = self.entries.value(key.0)?.deadline;
        if let Some(place) = self.place_of(deadline) {
            self.unlink(key.0.index, place);
        }
        let entry = self.entries.remove(key.0)?;
        self.drop_stale_due();
        Some(entry.value)
    }

    /// The next timer whose deadline is not after `now`. Call it until it says `None`.
    pub fn expire(&mut self, now: Instant) -> Option<(Instant, T)> {
        let moment = self.moment(now);
        self.advance(tick(moment));
        let first = self.due.peek()?.0;
        if first.deadline > moment {
            return None;
        }
        self.due.pop();
        let entry = self.entries.remove(first.key.0);
        let entry = entry.expect("the first due entry is live");
        self.drop_stale_due();
        Some((self.instant(first.deadline), entry.value))
    }

    /// When to call [`Wheel::expire`] next: exact, or early if the earliest timer of a slot was
    /// cancelled, but never late. Costs a look at one word a level.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if let Some(first) = self.due.peek() {
            return Some(self.instant(first.0.deadline));
        }
        let (level, slot) = self.first_occupied()?;
        Some(self.instant(self.slots[level * SLOTS + slot].earliest))
    }

    /// Within 292 years of the start.
    fn moment(&self, at: Instant) -> Moment {
        let nanos = |span: Duration| Moment::try_from(span.as_nanos()).unwrap_or(Moment::MAX);
        match at.checked_duration_since(self.start) {
            Some(since) => nanos(since),
            None => -nanos(self.start - at),
        }
    }

    fn instant(&self, at: Moment) -> Instant {
        let span = Duration::from_nanos(at.unsigned_abs());
        if at < 0 {
            self.start - span
        } else {
            self.start + span
        }
    }

    /// Moves every entry whose tick has come into `due`. Levels hold disjoint, rising spans of
    /// time, so the lowest occupied level has the next slot.
    fn advance(&mut self, target: u64) {
        while let Some((level, slot)) = self.first_occupied() {
            let shift = LEVEL_BITS * level as u32;
            let above = self.cursor >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
            let begins = above | ((slot as u64) << shift);
            if begins > target {
                break;
            }
            self.cursor = begins;
            self.empty_slot(level, slot);
        }
        self.cursor = self.cursor.max(target);
    }

    fn first_occupied(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|&word| word != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// Places each entry of a slot anew: on a lower level, or in `due`.
    fn empty_slot(&mut self, level: usize, slot: usize) {
        let list = &mut self.slots[level * SLOTS + slot];
        let mut index = list.head;
        list.head = NONE;
        list.tail = NONE;
        self.occupied[level] &= !(1 << slot);
        while index != NONE {
            let next = self.entries.at(index).next;
            self.place(index);
            index = next;
        }
    }

    /// Where a deadline belongs, seen from the cursor: the highest group of bits in which the two
    /// ticks differ is the level, and the group's value is the slot. `None` if it is due. An entry
    /// stays where it belongs, because the cursor comes into no slot that is not emptied then.
    fn place_of(&self, deadline: Moment) -> Option<(usize, usize)> {
        let tick = tick(deadline);
        if tick <= self.cursor {
            return None;
        }
        let level = (tick ^ self.cursor).ilog2() / LEVEL_BITS;
        let slot = (tick >> (LEVEL_BITS * level)) as usize % SLOTS;
        Some((level as usize, slot))
    }

    /// Puts an entry where its deadline belongs. What has the same deadline came to the same place
    /// in the order of arming, whichever way it went, and comes into `due` in that order.
    fn place(&mut self, index: u32) {
        let deadline = self.entries.at(index).deadline;
        let Some((level, slot)) = self.place_of(deadline) else {
            self.sequence += 1;
            self.due.push(Reverse(Due {
                deadline,
                sequence: self.sequence,
                key: TimerKey(self.entries.name(index)),
            }));
            return;
        };
        self.occupied[level] |= 1 << slot;
        let list = &mut self.slots[level * SLOTS + slot];
        if list.head == NONE || deadline < list.earliest {
            list.earliest = deadline;
        }
        let previous = list.tail;
        list.tail = index;
        if previous == NONE {
            list.head = index;
        } else {
            self.entries.at_mut(previous).next = index;
        }
        let entry = self.entries.at_mut(index);
        entry.previous = previous;
        entry.next = NONE;
    }

    fn unlink(&mut self, index: u32, (level, slot): (usize, usize)) {
        let entry = self.entries.at(index);
        let (previous, next) = (entry.previous, entry.next);
        let list = &mut self.slots[level * SLOTS + slot];
        match previous {
            NONE => list.head = next,
            _ => self.entries.at_mut(previous).next = next,
        }
        match next {
            NONE => list.tail = previous,
            _ => self.entries.at_mut(next).previous = previous,
        }
        if list.head == NONE {
            self.occupied[level] &= !(1 << slot);
        }
    }

    /// Keeps the promise that the first due entry is live, so that `next` only has to look.
    fn drop_stale_due(&mut self) {
        while let Some(Reverse(first)) = self.due.peek() {
            if self.entries.value(first.key.0).is_some() {
                return;
            }
            self.due.pop();
        }
    }
}

/// Rounds down, so that no deadline is ever in a later tick than its own.
fn tick(at: Moment) -> u64 {
    u64::try_from(at / TICK).map_or(0, |tick| tick.min(TICK_MAX))
}

#[cfg(test)]
mod tests;
