//! The texts of recent messages, in a ring of bytes that is made once: the newest push out the
//! oldest, and nothing is allocated for any of them.

use std::collections::VecDeque;

/// A message longer than this part of the ring is cut off.
const PART_MAX: usize = 8;

/// The ring.
#[derive(Debug)]
pub(crate) struct Recent {
    bytes: Box<[u8]>,
    /// Where each message is, oldest first.
    places: VecDeque<(usize, usize)>,
    /// The number of the oldest.
    first: u32,
    head: usize,
}

impl Recent {
    /// Room for so many bytes; none keeps nothing.
    pub(crate) fn new(bytes: usize) -> Self {
        /// The shortest message that is worth a place.
        const SHORT: usize = 64;
        Self {
            bytes: vec![0; bytes].into_boxed_slice(),
            places: VecDeque::with_capacity(bytes / SHORT),
            first: 0,
            head: 0,
        }
    }

    /// Keeps a message, and returns the number by which it is found.
    pub(crate) fn push(&mut self, message: &[u8]) -> u32 {
        let message = &message[..message.len().min(self.bytes.len() / PART_MAX)];
        let next = self
            .first
            .wrapping_add(u32::try_from(self.places.len()).unwrap_or(0));
        if message.is_empty() {
            return next.wrapping_sub(1);
        }
        if self.head + message.len() > self.bytes.len() {
            // What is left at the end stays empty; the messages there are the oldest.
            while self
                .places
                .front()
                .is_some_and(|(start, _)| *start >= self.head)
            {
                self.forget();
            }
            self.head = 0;
        }
        let end = self.head + message.len();
        let is_in_the_way = |place: &(usize, usize)| place.0 < end && place.0 + place.1 > self.head;
        while self.places.front().is_some_and(is_in_the_way) {
            self.places.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        if self.places.len() == self.places.capacity() {
            self.forget();
        }
        self.bytes[self.head..end].copy_from_slice(message);
        self.places.push_back((self.head, message.len()));
        self.head = end;
        next
    }

    fn forget(&mut self) {
        if self.places.pop_front().is_some() {
            self.first = self.first.wrapping_add(1);
        }
    }

    /// The message of a number, if it is still there.
    pub(crate) fn find(&self, number: u32) -> Option<Vec<u8>> {
        let place = usize::try_from(number.wrapping_sub(self.first)).ok()?;
        let (start, length) = *self.places.get(place)?;
        Some(self.bytes[start..start + length].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_push_out_the_oldest() {
        let mut recent = Recent::new(4_096);
        let capacity = recent.places.capacity();
        let text = |number: u32| format!("{number}:{}", "x".repeat(number as usize * 7 % 400));
        let numbers: Vec<u32> = (0..500).map(|n| recent.push(text(n).as_bytes())).collect();
        assert_eq!(recent.places.capacity(), capacity);
        assert_eq!(recent.find(numbers[499]), Some(text(499).into_bytes()));
        assert_eq!(recent.find(numbers[0]), None);
        let mut kept = 0;
        for (number, place) in (0..500).zip(&numbers) {
            if let Some(found) = recent.find(*place) {
                assert_eq!(found, text(number).into_bytes());
                kept += 1;
            }
        }
        assert!((5..capacity + 1).contains(&kept), "{kept}");
    }

    #[test]
    fn long_messages_are_cut_and_no_room_keeps_nothing() {
        let mut recent = Recent::new(800);
        let number = recent.push(&[b'a'; 5_000]);
        assert_eq!(recent.find(number).map(|found| found.len()), Some(100));
        let mut none = Recent::new(0);
        let number = none.push(b"hello");
        assert_eq!(none.find(number), None);
    }
}
