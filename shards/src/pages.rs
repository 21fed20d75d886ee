//! Values in places that do not move, in pages of some hundred. A table that doubles holds twice
//! the room at the moment when it does, copies everything at that moment, and keeps the room of
//! its busiest hour for good. Here room comes a page at a time, and a page in which nothing is left
//! is given back.

use std::num::NonZeroU32;

/// Bytes at most of a page of what stays for as long as a call may last. Larger blocks lie in the
/// allocator's largest pages, and one block that is kept there keeps megabytes.
pub const LASTING_BYTES: usize = 64 << 10;
/// Bytes at most of a page of what comes and goes, as transactions do, or of what there is little
/// of. A page is more than half as long as it may be, so that no block of these is of the size of
/// one of the others: among those that stay it would leave a hole.
pub const PASSING_BYTES: usize = LASTING_BYTES / 2;
/// Pages without a value that are kept for the next ones: what comes as fast as it goes allocates
/// nothing.
const SPARE_MAX: usize = 1;

/// No slot.
const NONE: u32 = u32::MAX;

/// Names a place and who is in it. It outlives its value harmlessly: it then finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which place; it is another one's afterwards.
    pub index: u32,
    /// How often the place had been taken and left by then; odd.
    pub generation: NonZeroU32,
}

/// See the module. Pages have at most so many bytes: [`PASSING_BYTES`] or [`LASTING_BYTES`].
#[derive(Debug)]
pub struct Pages<T, const BYTES: usize = PASSING_BYTES> {
    pages: Vec<Page<T>>,
    /// The pages that have room, the one to be filled next last.
    open: Vec<u32>,
    /// Room of pages that were given back.
    spare: Vec<Vec<Slot<T>>>,
    length: usize,
}

#[derive(Debug)]
struct Page<T> {
    /// Those that have been used; without room of its own while all of the page is unused.
    slots: Vec<Slot<T>>,
    /// The first slot that is unused again; the others are linked from there. `NONE` is none.
    free: u32,
    taken: u32,
    /// The generation with which slots begin when the page has room again: no earlier place of it
    /// had a later one.
    generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Taken(T),
    /// With the next unused slot.
    Free(u32),
}

impl<T, const BYTES: usize> Default for Pages<T, BYTES> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            open: Vec::new(),
            spare: Vec::new(),
            length: 0,
        }
    }
}

impl<T, const BYTES: usize> Pages<T, BYTES> {
    /// Places of a page: a power of two, so that finding one is no division.
    const LENGTH: u32 = 1 << (BYTES / size_of::<Slot<T>>()).ilog2();

    fn split(index: u32) -> (usize, usize) {
        (
            (index / Self::LENGTH) as usize,
            (index % Self::LENGTH) as usize,
        )
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes a value in.
    ///
    /// # Panics
    /// Beyond 2^32 values, less a page.
    pub fn insert(&mut self, value: T) -> Place {
        let number = match self.open.last() {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.pages.len()).expect("fewer values than a u32 says");
                self.pages.push(Page::new());
                self.open.push(number);
                number
            }
        };
        let page = &mut self.pages[number as usize];
        if page.slots.is_empty() {
            page.slots = self.spare.pop().unwrap_or_default();
            page.slots.reserve_exact(Self::LENGTH as usize);
        }
        let (slot, generation) = page.take(value);
        if page.taken == Self::LENGTH {
            self.open.pop();
        }
        self.length += 1;
        Place {
            index: number
                .checked_mul(Self::LENGTH)
                .expect("fewer values than a u32 says")
                + slot,
            generation,
        }
    }

    /// The value there; none if it has been taken out.
    #[must_use]
    pub fn value(&self, place: Place) -> Option<&T> {
        let (page, slot) = Self::split(place.index);
        let slot = self.pages.get(page)?.slots.get(slot)?;
        match &slot.content {
            Content::Taken(value) if slot.generation == place.generation.get() => Some(value),
            Content::Taken(_) | Content::Free(_) => None,
        }
    }

    /// The value there; none if it has been taken out.
    pub fn value_mut(&mut self, place: Place) -> Option<&mut T> {
        let (page, slot) = Self::split(place.index);
        let slot = self.pages.get_mut(page)?.slots.get_mut(slot)?;
        match &mut slot.content {
            Content::Taken(value) if slot.generation == place.generation.get() => Some(value),
            Content::Taken(_) | Content::Free(_) => None,
        }
    }

    /// All values, by their places.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &T)> {
        let firsts = (0..).step_by(Self::LENGTH as usize);
        let pages = firsts.zip(&self.pages);
        let slots = pages.flat_map(|(first, page)| (first..).zip(&page.slots));
        slots.filter_map(|(index, slot)| match &slot.content {
            Content::Taken(value) => {
                let generation = odd(slot.generation);
                Some((Place { index, generation }, value))
            }
            Content::Free(_) => None,
        })
    }

    /// The whole name of what is at an index.
    pub(crate) fn name(&self, index: u32) -> Place {
        let (page, slot) = Self::split(index);
        let generation = odd(self.pages[page].slots[slot].generation);
        Place { index, generation }
    }

    /// The value at an index that is known to be taken.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) fn at(&self, index: u32) -> &T {
        let (page, slot) = Self::split(index);
        match &self.pages[page].slots[slot].content {
            Content::Taken(value) => value,
            Content::Free(_) => unreachable!("whoever keeps an index keeps its value"),
        }
    }

    /// The same, to be changed.
    ///
    /// # Panics
    /// When it is not taken.
    pub(crate) fn at_mut(&mut self, index: u32) -> &mut T {
        let (page, slot) = Self::split(index);
        match &mut self.pages[page].slots[slot].content {
            Content::Taken(value) => value,
            Content::Free(_) => unreachable!("whoever keeps an index keeps its value"),
        }
    }

    /// Takes the value out; none if that was done before.
    pub fn remove(&mut self, place: Place) -> Option<T> {
        self.value(place)?;
        let (number, slot) = Self::split(place.index);
        let page = &mut self.pages[number];
        if page.taken == Self::LENGTH {
            self.open.push(place.index / Self::LENGTH);
        }
        let value = page.leave(slot)?;
        self.length -= 1;
        if page.taken == 0 {
            let room = page.clear();
            if self.spare.len() < SPARE_MAX {
                self.spare.push(room);
            }
        }
        Some(value)
    }
}

impl<T> Page<T> {
    fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            taken: 0,
            generation: 0,
        }
    }

    /// Takes an unused slot; which, and its generation from then on.
    fn take(&mut self, value: T) -> (u32, NonZeroU32) {
        let at = if self.free == NONE {
            self.slots.push(Slot {
                generation: self.generation,
                content: Content::Free(NONE),
            });
            self.slots.len() as u32 - 1
        } else {
            self.free
        };
        let slot = &mut self.slots[at as usize];
        let Content::Free(next) = slot.content else {
            unreachable!("only unused slots are linked");
        };
        slot.content = Content::Taken(value);
        slot.generation = slot.generation.wrapping_add(1);
        self.free = next;
        self.taken += 1;
        (at, odd(slot.generation))
    }

    fn leave(&mut self, at: usize) -> Option<T> {
        let slot = &mut self.slots[at];
        let content = std::mem::replace(&mut slot.content, Content::Free(self.free));
        slot.generation = slot.generation.wrapping_add(1);
        // The counts wrap after 2^31 values in one slot, so that the later of two is the one a
        // short way ahead. Where one slot is further ahead than that, the page begins anew with a
        // number that it had long ago.
        let ahead = slot.generation.wrapping_sub(self.generation).cast_signed();
        if ahead > 0 {
            self.generation = slot.generation;
        }
        self.free = at as u32;
        self.taken -= 1;
        match content {
            Content::Taken(value) => Some(value),
            Content::Free(_) => unreachable!("whoever asks has found it"),
        }
    }

    /// Gives its room back.
    fn clear(&mut self) -> Vec<Slot<T>> {
        let mut room = std::mem::take(&mut self.slots);
        room.clear();
        self.free = NONE;
        room
    }
}

fn odd(generation: u32) -> NonZeroU32 {
    NonZeroU32::new(generation).expect("it is odd while the slot is taken")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_value_is_found_until_it_is_taken_out() {
        let mut pages = Pages::<u32>::default();
        let (mut held, mut gone) = (BTreeMap::new(), Vec::new());
        let mut chance = 1_u64;
        for number in 0..200_000_u32 {
            chance = chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            // There are more, and then fewer, several times.
            let grows = number % 20_000 < 10_000;
            if (chance >> 60 < 10) == grows {
                held.insert((chance, number), pages.insert(number));
            } else if let Some(((_, number), place)) = held.pop_first() {
                assert_eq!(pages.value(place), Some(&number));
                assert_eq!(pages.remove(place), Some(number));
                gone.push(place);
            }
        }
        assert_eq!(pages.len(), held.len());
        for ((_, number), place) in &held {
            assert_eq!(pages.value_mut(*place).copied(), Some(*number));
        }
        for place in gone {
            assert_eq!(pages.value(place), None);
            assert_eq!(pages.value_mut(place), None);
            assert_eq!(pages.remove(place), None);
        }
        for ((_, number), place) in held {
            assert_eq!(pages.remove(place), Some(number));
        }
        assert!(pages.is_empty());
        assert!(pages.pages.iter().all(|page| page.slots.is_empty()));
    }

    #[test]
    fn room_is_given_back_when_a_busy_hour_is_over() {
        const PAGE: usize = Pages::<usize>::LENGTH as usize;
        let mut pages = Pages::<usize>::default();
        let places: Vec<Place> = (0..10 * PAGE).map(|number| pages.insert(number)).collect();
        let rooms = |pages: &Pages<usize>| {
            let pages = pages.pages.iter();
            pages.filter(|page| page.slots.capacity() > 0).count()
        };
        assert_eq!(rooms(&pages), 10);
        for place in &places[..9 * PAGE] {
            pages.remove(*place);
        }
        assert_eq!((rooms(&pages), pages.spare.len()), (1, SPARE_MAX));
        let again = pages.insert(7);
        assert!(!places.contains(&again), "an old name finds nothing new");
        assert_eq!(pages.spare.len(), SPARE_MAX - 1);
    }

    #[test]
    fn a_place_has_another_name_each_time_also_when_the_count_wraps() {
        let mut pages = Pages::<u8>::default();
        let first = pages.insert(0);
        pages.remove(first);
        pages.pages[0].generation = u32::MAX - 3;
        let mut names = Vec::new();
        for number in 0..6 {
            let place = pages.insert(number);
            assert!(names.iter().all(|name| pages.value(*name).is_none()));
            assert_eq!(pages.remove(place), Some(number));
            names.push(place);
        }
    }

    #[test]
    fn no_page_of_what_stays_is_as_long_as_one_of_what_passes() {
        fn bytes<T>() -> [usize; 2] {
            let lengths = [
                Pages::<T, PASSING_BYTES>::LENGTH,
                Pages::<T, LASTING_BYTES>::LENGTH,
            ];
            lengths.map(|length| length as usize * size_of::<Slot<T>>())
        }
        for [passing, lasting] in [
            bytes::<u64>(),
            bytes::<[u64; 3]>(),
            bytes::<[u64; 12]>(),
            bytes::<[u32; 61]>(),
        ] {
            assert!(
                (PASSING_BYTES / 2 + 1..=PASSING_BYTES).contains(&passing),
                "{passing}"
            );
            assert!(
                (LASTING_BYTES / 2 + 1..=LASTING_BYTES).contains(&lasting),
                "{lasting}"
            );
        }
    }

    #[test]
    fn a_value_costs_no_more_room_than_its_generation() {
        assert_eq!(size_of::<Slot<Option<Box<u8>>>>(), 24);
        assert_eq!(size_of::<Slot<[Option<Box<u8>>; 4]>>(), 48);
    }
}
