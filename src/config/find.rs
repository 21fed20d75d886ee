//! Where an agent stands among many: every event and every call asks for it, and with a hundred
//! thousand agents each look at one of them is a miss of a cache.

use std::cmp::Ordering;

use super::DnIndex;
use super::agent::Agent;

/// So many guesses are cheaper than halving; ranges of numbers with gaps between them need few.
const GUESSES_MAX: usize = 3;

/// The agent at a DN, of agents ascending by DN.
pub(super) fn find(agents: &[Agent], dn: &str) -> Option<DnIndex> {
    let place = place_of(agents, |agent| &agent.dn, dn)?;
    let index = u32::try_from(place).expect("AGENTS_MAX fits in 32 bits");
    Some(DnIndex(index))
}

/// Where a name stands among ascending ones. Most DNs are numbers of one length that follow each
/// other: how far one is from the first and from the last says where it is.
fn place_of<T>(rows: &[T], name_of: impl Fn(&T) -> &str, name: &str) -> Option<usize> {
    let (mut low, mut high) = (0, rows.len());
    for _ in 0..GUESSES_MAX {
        let Some(place) = guess(&rows[low..high], &name_of, name) else {
            break;
        };
        let place = low + place;
        match name_of(&rows[place]).cmp(name) {
            Ordering::Equal => return Some(place),
            Ordering::Less => low = place + 1,
            Ordering::Greater => high = place,
        }
    }
    let rest = rows[low..high].binary_search_by(|row| name_of(row).cmp(name));
    rest.ok().map(|place| low + place)
}

/// Where the name would be if all were numbers without a gap; nothing where the first and the last
/// of them and this one are no numbers of one length, or this one is not between the two.
fn guess<T>(rows: &[T], name_of: impl Fn(&T) -> &str, name: &str) -> Option<usize> {
    let (first, last) = (name_of(rows.first()?), name_of(rows.last()?));
    if (first.len(), last.len()) != (name.len(), name.len()) {
        return None;
    }
    let (wanted, least, most) = (number(name)?, number(first)?, number(last)?);
    let (from_first, all) = (wanted.checked_sub(least)?, most.checked_sub(least)?);
    if from_first > all {
        return None;
    }
    let steps = from_first.checked_mul(rows.len() as u64 - 1)?;
    usize::try_from(steps.checked_div(all).unwrap_or(0)).ok()
}

/// A number of so few digits that 64 bits hold it.
fn number(text: &str) -> Option<u64> {
    if text.len() > 18 {
        return None;
    }
    text.bytes().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: &str =
        "(20[0-9]{2}|201[0-9]|3000[0-9]{2}|[0-9]{0,3}|[+]49[0-9]{2}|99[0-9]{18}|a[0-9])";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn it_finds_whoever_is_there_and_nobody_else(
            names in prop::collection::btree_set(NAMES, 0..60),
            others in prop::collection::vec(NAMES, 20),
        ) {
            let rows: Vec<&str> = names.iter().map(String::as_str).collect();
            for name in names.iter().chain(&others) {
                let expected = rows.binary_search(&name.as_str()).ok();
                prop_assert_eq!(place_of(&rows, |row| row, name), expected, "{}", name);
            }
        }
    }

    #[test]
    fn in_a_range_the_first_guess_is_right() {
        let range: Vec<String> = (20_000..29_000).map(|dn| dn.to_string()).collect();
        for (place, name) in range.iter().enumerate() {
            assert_eq!(guess(&range, |row| row, name), Some(place));
        }
    }
}
