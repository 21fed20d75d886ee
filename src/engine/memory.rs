//! Memory as a measure of what is taken. Beyond what the operator allows, a shard has no more calls
//! than it has by then, and fewer and fewer as long as the process still grows. It is not closed
//! altogether, because an allocator keeps what was used once: memory that ended calls have left
//! serves the next ones, and the process may never be smaller again.

use crate::limits::MEMORY_CALLS_MIN;

/// What one shard makes of the memory that the process has.
#[derive(Debug)]
pub(super) struct Memory {
    /// What the operator allows, in bytes.
    max: Option<u64>,
    /// What was resident when it was looked at last.
    resident: u64,
    /// How many calls there may be, while there is too little memory for more.
    calls_max: Option<usize>,
}

impl Memory {
    pub(super) fn new(max: Option<u64>) -> Self {
        Self {
            max,
            resident: 0,
            calls_max: None,
        }
    }

    /// So much is resident now, and so many calls are held.
    pub(super) fn note(&mut self, resident: u64, calls: usize) {
        let is_short = self.max.is_some_and(|max| resident > max);
        let calls_max = match self.calls_max {
            None => calls,
            Some(most) if resident > self.resident => most.min(calls) * 9 / 10,
            Some(most) => most,
        };
        self.calls_max = is_short.then_some(calls_max.max(MEMORY_CALLS_MIN));
        self.resident = resident;
    }

    /// Whether there is memory for one more call.
    pub(super) fn has_room(&self, calls: usize) -> bool {
        self.calls_max.is_none_or(|most| calls < most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = 1 << 30;

    /// How many calls there may be, of at most so many.
    fn room(memory: &Memory) -> Option<usize> {
        (0..10_000).find(|calls| !memory.has_room(*calls))
    }

    #[test]
    fn beyond_what_is_allowed_calls_take_the_place_of_calls_and_fewer_while_it_grows() {
        let mut memory = Memory::new(Some(MAX));
        memory.note(MAX, 5_000);
        assert_eq!(room(&memory), None);
        memory.note(MAX + 1, 5_000);
        assert_eq!(room(&memory), Some(5_000));
        // Calls end, and others may take their memory.
        memory.note(MAX + 1, 3_000);
        assert_eq!(room(&memory), Some(5_000));
        memory.note(MAX + 2, 4_000);
        assert_eq!(room(&memory), Some(3_600));
        memory.note(MAX + 3, 3_600);
        assert_eq!(room(&memory), Some(3_240));
        memory.note(MAX, 3_240);
        assert_eq!(room(&memory), None);
    }

    #[test]
    fn a_process_that_never_shrinks_still_takes_a_few_calls() {
        let mut memory = Memory::new(Some(MAX));
        for more in 1..1_000 {
            memory.note(MAX + more, 100);
        }
        assert_eq!(room(&memory), Some(MEMORY_CALLS_MIN));
    }

    #[test]
    fn without_a_limit_memory_decides_nothing() {
        let mut memory = Memory::new(None);
        memory.note(u64::MAX, 5_000);
        assert_eq!(room(&memory), None);
    }
}
