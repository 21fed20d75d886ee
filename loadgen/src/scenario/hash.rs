//! A quick hash: it finds calls by their Call-IDs and tells a repeated message from another. It is
//! no secret, and whole messages pass through it.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A hasher of numbers that are hashes already.
#[derive(Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= hash(bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Something for each hash.
pub(crate) type ByHash<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;
/// Hashes.
pub(crate) type Hashes = HashSet<u64, BuildHasherDefault<AsItIs>>;

/// The hash of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
    const SECOND: u64 = 0xd6e8_feb8_6659_fd93;
    let mut state = FIRST ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), FIRST);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(fold(state ^ u64::from_le_bytes(last), SECOND), FIRST)
}

/// Both halves of a product, one upon the other: every bit of it depends on all of both numbers.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_hardly_differ_have_different_hashes() {
        let mut seen = HashSet::new();
        for number in 0..100_000_u32 {
            assert!(seen.insert(hash(format!("{number}-77@127.0.0.1").as_bytes())));
        }
        let message = [b'x'; 700];
        for place in 0..message.len() {
            let mut other = message;
            other[place] ^= 1;
            assert!(seen.insert(hash(&other)));
            assert!(seen.insert(hash(&message[..place])));
        }
        // Half of the bits change, on average.
        let changed: u32 = (0..1_000_u64)
            .map(|number| {
                (hash(&number.to_le_bytes()) ^ hash(&(number ^ 1).to_le_bytes())).count_ones()
            })
            .sum();
        assert!((28_000..36_000).contains(&changed), "{changed}");
    }
}
