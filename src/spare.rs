//! Room that is used again: what lives as long as a message or an exchange is made all the time,
//! and a warm shard has room for it. How much is kept is bounded. Whoever does not give back what
//! it has taken costs the next one an allocation, and nothing else.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::limits::{SPARE_BOXES_MAX, SPARE_BUFFER_BYTES_MAX, SPARE_BUFFERS_MAX, SPARE_SHARED_MAX};

/// Vectors that are not in use.
#[derive(Debug)]
pub(crate) struct Rooms<T>(Vec<Vec<T>>);

impl<T> Default for Rooms<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Rooms<T> {
    /// An empty vector.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.0.pop().unwrap_or_default()
    }

    /// Takes a vector back, unless there are enough or it has grown too large to keep.
    pub(crate) fn put_back(&mut self, mut room: Vec<T>) {
        let bytes = room.capacity() * size_of::<T>();
        let useful = (1..=SPARE_BUFFER_BYTES_MAX).contains(&bytes);
        if useful && self.0.len() < SPARE_BUFFERS_MAX {
            room.clear();
            self.0.push(room);
        }
    }
}

/// Boxes that are not in use.
#[derive(Debug)]
pub(crate) struct Boxes<T>(Vec<Lent<T>>);

impl<T> Default for Boxes<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Boxes<T> {
    /// Puts a value into a box.
    pub(crate) fn lend(&mut self, value: T) -> Lent<T> {
        match self.0.pop() {
            Some(mut empty) => {
                *empty.0 = Some(value);
                empty
            }
            None => Lent(Box::new(Some(value))),
        }
    }

    /// Takes a value out of its box, which is kept unless there are enough.
    pub(crate) fn take_back(&mut self, mut lent: Lent<T>) -> T {
        let value = lent.0.take().expect(FULL);
        if self.0.len() < SPARE_BOXES_MAX {
            self.0.push(lent);
        }
        value
    }
}

/// A value in a box of [`Boxes`].
#[derive(Debug)]
pub(crate) struct Lent<T>(Box<Option<T>>);

/// What is true of every box that somebody has.
const FULL: &str = "a box is empty only while it is spare";

impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().as_ref().expect(FULL)
    }
}

impl<T> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().as_mut().expect(FULL)
    }
}

/// Shared bytes that hardly anybody needs any more: as soon as nobody else has them, they are room
/// for others of their length. Descriptions of one peer differ in a version or a direction.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    old: Vec<Arc<[u8]>>,
    /// Which of them makes way for the next one: each in turn.
    next_out: usize,
}

impl Shared {
    /// A copy of these bytes.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Arc<[u8]> {
        for place in 0..self.old.len() {
            if self.old[place].len() != bytes.len() {
                continue;
            }
            if let Some(room) = Arc::get_mut(&mut self.old[place]) {
                room.copy_from_slice(bytes);
                return self.old.swap_remove(place);
            }
        }
        bytes.into()
    }

    /// Somebody has no need of these any more.
    pub(crate) fn put_back(&mut self, old: Arc<[u8]>) {
        if old.len() > SPARE_BUFFER_BYTES_MAX {
            return;
        }
        if self.old.len() < SPARE_SHARED_MAX {
            self.old.push(old);
        } else {
            self.old[self.next_out] = old;
            self.next_out = (self.next_out + 1) % SPARE_SHARED_MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_that_are_too_large_or_too_many_are_given_back() {
        let mut rooms = Rooms::<u64>::default();
        let most = SPARE_BUFFER_BYTES_MAX / size_of::<u64>();
        rooms.put_back(Vec::new());
        rooms.put_back(Vec::with_capacity(most + 1));
        assert_eq!(rooms.take().capacity(), 0);
        rooms.put_back(vec![7; most]);
        let kept = rooms.take();
        assert!(kept.is_empty() && kept.capacity() >= most);
        for _ in 0..SPARE_BUFFERS_MAX + 10 {
            rooms.put_back(Vec::with_capacity(1));
        }
        assert_eq!(rooms.0.len(), SPARE_BUFFERS_MAX);
    }

    #[test]
    fn a_box_that_was_given_back_is_used_again() {
        let mut boxes = Boxes::default();
        let mut first = boxes.lend(1);
        let place = std::ptr::from_ref(&*first);
        *first += 1;
        assert_eq!(boxes.take_back(first), 2);
        let second = boxes.lend(3);
        assert_eq!((*second, std::ptr::from_ref(&*second)), (3, place));
        let more: Vec<Lent<i32>> = (0..SPARE_BOXES_MAX + 1).map(|_| boxes.lend(0)).collect();
        for lent in more.into_iter().chain([second]) {
            boxes.take_back(lent);
        }
        assert_eq!(boxes.0.len(), SPARE_BOXES_MAX);
    }

    #[test]
    fn bytes_that_nobody_else_has_are_room_for_others_of_their_length() {
        let mut shared = Shared::default();
        let first = shared.copy(b"version 1");
        let place = first.as_ptr();
        let held = Arc::clone(&first);
        shared.put_back(first);
        assert_ne!(shared.copy(b"version 2").as_ptr(), place);
        assert_eq!(*held, *b"version 1");
        drop(held);
        assert_ne!(shared.copy(b"version 10").as_ptr(), place);
        let second = shared.copy(b"version 3");
        assert_eq!((&*second, second.as_ptr()), (&b"version 3"[..], place));
        for _ in 0..SPARE_SHARED_MAX * 2 {
            shared.put_back(Arc::from(&b"text"[..]));
        }
        shared.put_back(vec![0; SPARE_BUFFER_BYTES_MAX + 1].into());
        assert_eq!(shared.old.len(), SPARE_SHARED_MAX);
    }
}
