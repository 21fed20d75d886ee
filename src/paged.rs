//! What a `SlotMap` is, in pages: tables of a shard in which there are at times a hundred thousand
//! grow without copying what is there, and give back the pages in which nothing is left.

use std::marker::PhantomData;
use std::num::NonZeroU32;

use offhook_shards::pages::{PASSING_BYTES, Pages, Place};
use slotmap::{Key, KeyData};

/// Values by keys that they get here, in pages of at most so many bytes: see [`Pages`]. A key
/// outlives its value harmlessly: it then finds nothing.
#[derive(Debug)]
pub(crate) struct PagedMap<K, T, const BYTES: usize = PASSING_BYTES> {
    values: Pages<T, BYTES>,
    keys: PhantomData<fn() -> K>,
}

impl<K, T, const BYTES: usize> Default for PagedMap<K, T, BYTES> {
    fn default() -> Self {
        Self {
            values: Pages::default(),
            keys: PhantomData,
        }
    }
}

impl<K: Key, T, const BYTES: usize> PagedMap<K, T, BYTES> {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn insert(&mut self, value: T) -> K {
        key(self.values.insert(value))
    }

    pub(crate) fn contains_key(&self, key: K) -> bool {
        self.value(key).is_some()
    }

    pub(crate) fn value(&self, key: K) -> Option<&T> {
        self.values.value(place(key))
    }

    pub(crate) fn value_mut(&mut self, key: K) -> Option<&mut T> {
        self.values.value_mut(place(key))
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        self.values.remove(place(key))
    }

    /// All of them, by their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.values.iter().map(|(place, value)| (key(place), value))
    }
}

/// A key is made of both halves of a place. slotmap's generations are odd as well.
fn key<K: Key>(place: Place) -> K {
    KeyData::from_ffi(u64::from(place.generation.get()) << 32 | u64::from(place.index)).into()
}

fn place(key: impl Key) -> Place {
    let key = key.data().as_ffi();
    Place {
        index: key as u32,
        generation: NonZeroU32::new((key >> 32) as u32).expect("what is odd is not zero"),
    }
}

#[cfg(test)]
mod tests {
    use slotmap::DefaultKey;

    use super::*;

    #[test]
    fn a_key_finds_its_own_value_and_never_the_next_one_of_its_place() {
        let mut map = PagedMap::<DefaultKey, u32>::default();
        let (first, second) = (map.insert(1), map.insert(2));
        assert_eq!(map.remove(first), Some(1));
        let third = map.insert(3);
        assert_eq!(place(third).index, place(first).index);
        assert_eq!(map.value(first), None);
        assert_eq!(map.remove(first), None);
        *map.value_mut(second).expect("it is there") += 10;
        assert!(map.iter().eq([(third, &3), (second, &12)]));
        assert_eq!((map.len(), map.contains_key(first)), (2, false));
        assert_eq!(map.value(DefaultKey::null()), None);
    }
}
