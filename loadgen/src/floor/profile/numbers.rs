//! Ranges of directory numbers: `2001`, `2000-2099`, several of them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Directory numbers, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers(Vec<Range>);

/// Numbers of the same length, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    width: usize,
    numbers: RangeInclusive<u64>,
}

/// Numbers of one profile.
const NUMBERS_MAX: u64 = 1_000_000;

impl Numbers {
    /// Adds `2001` or `2000-2099`.
    ///
    /// # Errors
    /// What to write instead.
    pub(super) fn add(&mut self, word: &str) -> Result<(), String> {
        let hint = || "write a number such as 2001, or a range such as 2000-2099".to_owned();
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let digits =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(first) || !digits(last) || first.len() != last.len() || first.len() > 18 {
            return Err(hint());
        }
        let number = |word: &str| word.parse::<u64>().map_err(|_| hint());
        let (from, to) = (number(first)?, number(last)?);
        if from > to || to - from >= NUMBERS_MAX {
            return Err(format!(
                "write a range that rises, of at most {NUMBERS_MAX}"
            ));
        }
        self.0.push(Range {
            width: first.len(),
            numbers: from..=to,
        });
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = |range: &Range| range.numbers.end() - range.numbers.start() + 1;
        let total: u64 = self.0.iter().map(count).sum();
        usize::try_from(total).unwrap_or(usize::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().flat_map(|range| {
            let width = range.width;
            range
                .numbers
                .clone()
                .map(move |number| format!("{number:0width$}"))
        })
    }

    /// Whether a number is one of them.
    #[must_use]
    pub fn contains(&self, number: &str) -> bool {
        let value = number.parse::<u64>();
        self.0.iter().any(|range| {
            range.width == number.len()
                && value
                    .as_ref()
                    .is_ok_and(|value| range.numbers.contains(value))
        })
    }

    /// Each range as the configuration of a server has it.
    pub(super) fn words(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|range| {
            let (width, numbers) = (range.width, &range.numbers);
            format!("{:0width$}-{:0width$}", numbers.start(), numbers.end())
        })
    }

    /// What the numbers of each range begin with, each beginning once.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = String> {
        let prefixes = self.words().map(|word| {
            let (first, last) = word.split_once('-').unwrap_or((&word, &word));
            let pairs = first.chars().zip(last.chars());
            let same = pairs.take_while(|(one, other)| one == other);
            same.map(|(digit, _)| digit).collect()
        });
        let prefixes: BTreeSet<String> = prefixes.collect();
        prefixes.into_iter().filter(|prefix| !prefix.is_empty())
    }

    /// The first one that is not among `others`, if there is one.
    pub(super) fn outside_of(&self, others: &Self) -> Option<String> {
        self.iter().find(|number| !others.contains(number))
    }

    /// One that is among `others` as well.
    pub(super) fn shared_with(&self, others: &Self) -> Option<String> {
        self.0.iter().find_map(|range| {
            others.0.iter().find_map(|other| {
                let first = *range.numbers.start().max(other.numbers.start());
                let last = *range.numbers.end().min(other.numbers.end());
                let width = range.width;
                (width == other.width && first <= last).then(|| format!("{first:0width$}"))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(words: &[&str]) -> Numbers {
        let mut numbers = Numbers::default();
        for word in words {
            numbers.add(word).expect("numbers");
        }
        numbers
    }

    #[test]
    fn ranges_keep_their_width_and_know_their_members() {
        let some = numbers(&["0098-0101", "7"]);
        let all: Vec<String> = some.iter().collect();
        assert_eq!(all, ["0098", "0099", "0100", "0101", "7"]);
        assert_eq!(some.len(), 5);
        assert!(some.contains("0099") && !some.contains("99"));
        let other = numbers(&["0101-0200"]);
        assert_eq!(some.shared_with(&other), Some("0101".to_owned()));
        assert_eq!(other.outside_of(&some), Some("0102".to_owned()));
        assert_eq!(some.words().next(), Some("0098-0101".to_owned()));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for word in ["", "a", "20-1", "1-20", "1-", "-2", "0-9999999", "1 2"] {
            assert!(Numbers::default().add(word).is_err(), "{word}");
        }
    }
}
