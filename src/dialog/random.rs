//! Unpredictable numbers from a seed: SipHash over a counter.
//!
//! Tags and Call-IDs must not be guessed by who has seen others of them (RFC 3261 §19.3), and the
//! same seed must yield the same run. A keyed SipHash of a counter is a pseudo-random function, so
//! outputs say nothing about the key or about each other; it needs 24 bytes of state, no further
//! dependency, and the primitive is one that the tables need anyway. It is no source of long-term
//! secrets: the seed is made outside, from the operating system.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// A seeded stream of 64-bit numbers.
#[derive(Debug, Clone)]
pub(super) struct Random {
    keys: [u64; 2],
    counter: u64,
}

impl Random {
    /// Two users of one seed take different `stream` numbers and get unrelated numbers.
    pub(super) fn new(keys: [u64; 2], seed: u64, stream: u64) -> Self {
        let derive = |part: u64| {
            let mut hasher = SipHasher24::new_with_keys(keys[0], keys[1]);
            hasher.write_u64(seed);
            hasher.write_u64(stream);
            hasher.write_u64(part);
            hasher.finish()
        };
        Self {
            keys: [derive(0), derive(1)],
            counter: 0,
        }
    }

    /// The next number, all values equally likely.
    pub(super) fn next(&mut self) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.keys[0], self.keys[1]);
        hasher.write_u64(self.counter);
        self.counter = self.counter.wrapping_add(1);
        hasher.finish()
    }

    /// A number in `0..bound`; `bound` is at least 1. The bias is below 2⁻³² for small bounds.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let wide = (self.next() >> 32) * u64::from(bound);
        u32::try_from(wide >> 32).expect("a product of two 32-bit numbers shifted by 32 fits")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_repeats_and_another_does_not() {
        let take = |seed, stream| {
            let mut random = Random::new([1, 2], seed, stream);
            std::array::from_fn::<u64, 8, _>(|_| random.next())
        };
        assert_eq!(take(7, 0), take(7, 0));
        assert_ne!(take(7, 0), take(8, 0));
        assert_ne!(take(7, 0), take(7, 1));
    }

    #[test]
    fn numbers_do_not_repeat_and_stay_below_the_bound() {
        let mut random = Random::new([3, 4], 5, 0);
        let seen: BTreeSet<u64> = (0..10_000).map(|_| random.next()).collect();
        assert_eq!(seen.len(), 10_000);
        let small: BTreeSet<u32> = (0..1_000).map(|_| random.below(10)).collect();
        assert_eq!(small, (0..10).collect());
    }
}
