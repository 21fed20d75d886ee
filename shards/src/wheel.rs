//! A hierarchical timer wheel: seven levels of 64 slots, one millisecond a tick. Arming,
//! cancelling and expiring are O(1); only timers that fall due within the same millisecond are
//! sorted among themselves. It reads no clock and calls nothing back: time comes in, values go
//! out. Timers come out by deadline, equal deadlines in the order of arming, and never early.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Ticks a second: one a millisecond.
const TICKS_PER_SECOND: u64 = 1_000;
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
/// The place of an entry that has left the slots for the heap of due entries.
const DUE: u16 = u16::MAX;

const _: () = assert!(SLOTS == u64::BITS as usize);
const _: () = assert!(LEVELS * SLOTS < DUE as usize);

/// Names one armed timer. A key outlives its timer harmlessly: it then cancels nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerKey {
    index: u32,
    generation: u32,
}

/// Timers with a value each.
#[derive(Debug)]
pub struct Wheel<T> {
    start: Instant,
    /// Everything up to and including this tick is in `due`; everything after it is in a slot.
    cursor: u64,
    /// Counts arming, to keep equal deadlines in order.
    sequence: u64,
    length: usize,
    entries: Vec<Entry<T>>,
    /// Head of the list of unused entries, linked through `next`.
    free: u32,
    slots: Vec<Slot>,
    /// One bit a slot, a word a level: which slots hold timers.
    occupied: [u64; LEVELS],
    /// The timers of the current tick and before. The first one is always live.
    due: BinaryHeap<Reverse<Due>>,
}

#[derive(Debug)]
struct Entry<T> {
    deadline: Instant,
    sequence: u64,
    value: Option<T>,
    generation: u32,
    previous: u32,
    next: u32,
    /// `level * SLOTS + slot`, or `DUE`.
    place: u16,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    head: u32,
    tail: u32,
    /// Not later than any deadline in the list; meaningless when it is empty.
    earliest: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    deadline: Instant,
    sequence: u64,
    index: u32,
    generation: u32,
}

impl<T> Wheel<T> {
    /// An empty wheel whose first tick begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            start: now,
            cursor: 0,
            sequence: 0,
            length: 0,
            entries: Vec::new(),
            free: NONE,
            slots: vec![
                Slot {
                    head: NONE,
                    tail: NONE,
                    earliest: now
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
        self.length
    }

    /// Whether no timer is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Arms a timer. A deadline that has passed is due at the next [`Wheel::expire`].
    pub fn arm(&mut self, at: Instant, value: T) -> TimerKey {
        let index = self.allocate();
        self.sequence += 1;
        self.length += 1;
        let entry = &mut self.entries[index as usize];
        entry.deadline = at;
        entry.sequence = self.sequence;
        entry.value = Some(value);
        let key = TimerKey {
            index,
            generation: entry.generation,
        };
        self.place(index);
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
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation != key.generation || entry.value.is_none() {
            return None;
        }
        if entry.place != DUE {
            self.unlink(key.index);
        }
        let value = self.release(key.index);
        self.drop_stale_due();
        value
    }

    /// The next timer whose deadline is not after `now`. Call it until it says `None`.
    pub fn expire(&mut self, now: Instant) -> Option<(Instant, T)> {
        self.advance(self.tick(now));
        let first = self.due.peek()?.0;
        if first.deadline > now {
            return None;
        }
        self.due.pop();
        let value = self
            .release(first.index)
            .expect("the first due entry is live");
        self.drop_stale_due();
        Some((first.deadline, value))
    }

    /// When to call [`Wheel::expire`] next: exact, or early if the earliest timer of a slot was
    /// cancelled, but never late. Costs a look at one word a level.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if let Some(first) = self.due.peek() {
            return Some(first.0.deadline);
        }
        let (level, slot) = self.first_occupied()?;
        Some(self.slots[level * SLOTS + slot].earliest)
    }

    /// Rounds down, so that no deadline is ever in a later tick than its own.
    fn tick(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start);
        const TICK: Duration = Duration::from_millis(1_000 / TICKS_PER_SECOND);
        let tick = since.as_nanos() / TICK.as_nanos();
        u64::try_from(tick).map_or(TICK_MAX, |tick| tick.min(TICK_MAX))
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
            let next = self.entries[index as usize].next;
            self.place(index);
            index = next;
        }
    }

    /// Puts an entry where its deadline belongs, seen from the cursor: the highest group of bits
    /// in which the two ticks differ is the level, and the group's value is the slot.
    fn place(&mut self, index: u32) {
        let deadline = self.entries[index as usize].deadline;
        let tick = self.tick(deadline);
        if tick <= self.cursor {
            let entry = &mut self.entries[index as usize];
            entry.place = DUE;
            let (sequence, generation) = (entry.sequence, entry.generation);
            self.due.push(Reverse(Due {
                deadline,
                sequence,
                index,
                generation,
            }));
            return;
        }
        let level = ((tick ^ self.cursor).ilog2() / LEVEL_BITS) as usize;
        let slot = (tick >> (LEVEL_BITS * level as u32)) as usize % SLOTS;
        self.occupied[level] |= 1 << slot;
        let place = level * SLOTS + slot;
        let list = &mut self.slots[place];
        if list.head == NONE || deadline < list.earliest {
            list.earliest = deadline;
        }
        let previous = list.tail;
        list.tail = index;
        if previous == NONE {
            list.head = index;
        } else {
            self.entries[previous as usize].next = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.place = u16::try_from(place).expect("a place fits: asserted at compile time");
        entry.previous = previous;
        entry.next = NONE;
    }

    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index as usize];
        let (previous, next, place) = (entry.previous, entry.next, usize::from(entry.place));
        match previous {
            NONE => self.slots[place].head = next,
            _ => self.entries[previous as usize].next = next,
        }
        match next {
            NONE => self.slots[place].tail = previous,
            _ => self.entries[next as usize].previous = previous,
        }
        if self.slots[place].head == NONE {
            self.occupied[place / SLOTS] &= !(1 << (place % SLOTS));
        }
    }

    fn allocate(&mut self) -> u32 {
        if self.free != NONE {
            let index = self.free;
            self.free = self.entries[index as usize].next;
            return index;
        }
        let index = u32::try_from(self.entries.len()).expect("fewer timers than a u32 counts");
        assert!(index != NONE, "fewer timers than a u32 counts");
        self.entries.push(Entry {
            deadline: self.start,
            sequence: 0,
            value: None,
            generation: 0,
            previous: NONE,
            next: NONE,
            place: DUE,
        });
        index
    }

    fn release(&mut self, index: u32) -> Option<T> {
        let entry = &mut self.entries[index as usize];
        let value = entry.value.take();
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.free;
        self.free = index;
        self.length -= 1;
        value
    }

    /// Keeps the promise that the first due entry is live, so that `next` only has to look.
    fn drop_stale_due(&mut self) {
        while let Some(Reverse(first)) = self.due.peek() {
            if self.entries[first.index as usize].generation == first.generation {
                return;
            }
            self.due.pop();
        }
    }
}

#[cfg(test)]
mod tests;
