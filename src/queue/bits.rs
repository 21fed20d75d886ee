//! A set of small numbers, a bit each: for which requirements somebody waits, for which somebody
//! is idle. It decides nothing.

/// A set of numbers below a bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// The empty set of numbers below `bound`.
    pub(super) fn new(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)].into())
    }

    pub(super) fn set(&mut self, number: usize, member: bool) {
        let bit = 1 << (number % 64);
        let word = &mut self.0[number / 64];
        if member {
            *word |= bit;
        } else {
            *word &= !bit;
        }
    }

    /// The numbers that are in both, ascending.
    pub(super) fn both<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let words = self.0.iter().zip(&other.0).enumerate();
        words.flat_map(|(position, (left, right))| {
            let mut word = left & right;
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(position * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sets_hold_what_each_holds() {
        let set = |numbers: &[usize]| {
            let mut bits = Bits::new(130);
            numbers.iter().for_each(|number| bits.set(*number, true));
            bits
        };
        let (left, mut right) = (set(&[0, 5, 63, 64, 129]), set(&[5, 63, 100, 129]));
        assert!(left.both(&right).eq([5, 63, 129]));
        right.set(63, false);
        right.set(7, false);
        assert!(left.both(&right).eq([5, 129]));
        assert_eq!(Bits::new(3).both(&Bits::new(3)).count(), 0);
    }
}
