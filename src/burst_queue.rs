//! What waits until somebody fetches it: what a part has to say, whom it has to ask. A start or the
//! loss of a peer makes every DN speak at once, and a queue that has grown to hold them all would
//! keep that room for good.

use std::collections::VecDeque;

use crate::limits::BURST_QUEUE_KEPT;

/// A queue, first in, first out, that gives the room for a burst back once that is fetched.
#[derive(Debug)]
pub(crate) struct BurstQueue<T>(VecDeque<T>);

impl<T> Default for BurstQueue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> BurstQueue<T> {
    pub(crate) fn push_back(&mut self, output: T) {
        self.0.push_back(output);
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let first = self.0.pop_front()?;
        if self.0.is_empty() && self.0.capacity() > BURST_QUEUE_KEPT {
            self.0.shrink_to(BURST_QUEUE_KEPT);
        }
        Some(first)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_for_a_burst_is_given_back_and_that_for_few_is_kept() {
        let mut outputs = BurstQueue::default();
        for (burst, kept) in [(10, 10), (BURST_QUEUE_KEPT * 4, BURST_QUEUE_KEPT)] {
            (0..burst).for_each(|output| outputs.push_back(output));
            assert_eq!(outputs.len(), burst);
            let fetched: Vec<usize> = std::iter::from_fn(|| outputs.pop_front()).collect();
            assert!(fetched.into_iter().eq(0..burst), "in order");
            assert!(outputs.is_empty() && outputs.0.capacity() >= kept);
        }
        assert!(outputs.0.capacity() < BURST_QUEUE_KEPT * 2);
    }
}
