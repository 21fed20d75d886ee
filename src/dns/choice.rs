//! The choice among the servers of a name (RFC 2782): the lowest priority that has one left, and
//! within it by weight.

use crate::jitter::Jitter;

use super::Place;

/// One of the places that `usable` allows, by its number in `places`.
pub fn choose(
    places: &[(u8, Place)],
    usable: impl Fn(u8) -> bool,
    draw: &mut impl FnMut(u64) -> u64,
) -> Option<u8> {
    let left = || places.iter().filter(|(number, _)| usable(*number));
    let first = left().map(|(_, place)| place.priority).min()?;
    let tier = || left().filter(|(_, place)| place.priority == first);
    let sum: u64 = tier().map(|(_, place)| u64::from(place.weight)).sum();
    // RFC 2782: a number from 0 to the sum, both included. Whoever weighs nothing has only the 0.
    let drawn = if sum == 0 { 0 } else { draw(sum + 1) };
    let weightless = || tier().filter(|(_, place)| place.weight == 0);
    if drawn == 0 {
        let count = weightless().count() as u64;
        if count > 0 {
            let nth = usize::try_from(draw(count)).expect("places are counted in a usize");
            return weightless().nth(nth).map(|(number, _)| *number);
        }
    }
    let mut running = 0;
    tier()
        .filter(|(_, place)| place.weight > 0)
        .find(|(_, place)| {
            running += u64::from(place.weight);
            drawn <= running
        })
        .map(|(number, _)| *number)
}

impl Jitter {
    /// The draw that [`choose`] asks for.
    pub(crate) fn draw(&mut self) -> impl FnMut(u64) -> u64 {
        |bound| self.number_below(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(list: &[(u16, u32)]) -> Vec<(u8, Place)> {
        (0..)
            .zip(list)
            .map(|(number, &(priority, weight))| {
                let place = Place {
                    priority,
                    transport: offhook_shards::Transport::Udp,
                    address: ([192, 0, 2, number], 5060).into(),
                    weight,
                };
                (number, place)
            })
            .collect()
    }

    /// How often each place is taken in 10,000 draws.
    fn shares(list: &[(u16, u32)], usable: impl Fn(u8) -> bool) -> Vec<u32> {
        let places = places(list);
        let mut jitter = Jitter::new(42, 7);
        let mut shares = vec![0; list.len()];
        for _ in 0..10_000 {
            let chosen = choose(&places, &usable, &mut jitter.draw());
            shares[usize::from(chosen.expect("one is usable"))] += 1;
        }
        shares
    }

    #[test]
    fn the_lowest_priority_comes_first_and_the_next_when_it_is_gone() {
        let list = [(20, 1), (10, 5), (10, 5), (30, 9)];
        let all = shares(&list, |_| true);
        assert_eq!((all[0], all[3]), (0, 0), "{all:?}");
        assert_eq!(shares(&list, |number| number != 1)[2], 10_000);
        assert_eq!(
            shares(&list, |number| number == 0 || number == 3)[0],
            10_000
        );
        assert_eq!(
            choose(&places(&list), |_| false, &mut |_| 0),
            None,
            "nothing is left"
        );
    }

    #[test]
    fn weights_share_the_calls_of_one_priority() {
        let taken = shares(&[(1, 60), (1, 30), (1, 10)], |_| true);
        for (taken, wanted) in taken.iter().zip([6_000_u32, 3_000, 1_000]) {
            assert!(taken.abs_diff(wanted) < 200, "{taken} of {wanted}");
        }
        // The share of one that is gone falls to the others, by their weights.
        let taken = shares(&[(1, 60), (1, 30), (1, 10)], |number| number != 0);
        assert!(taken[1].abs_diff(7_500) < 200, "{taken:?}");
    }

    #[test]
    fn without_weights_all_have_the_same_chance() {
        let taken = shares(&[(1, 0), (1, 0), (1, 0), (1, 0)], |_| true);
        assert!(
            taken.iter().all(|count| count.abs_diff(2_500) < 200),
            "{taken:?}"
        );
    }

    #[test]
    fn weight_zero_beside_others_is_almost_never_taken() {
        let taken = shares(&[(1, 0), (1, 999)], |_| true);
        assert!(taken[0] > 0 && taken[0] < 40, "{taken:?}");
        assert_eq!(shares(&[(1, 0), (1, 999)], |number| number == 0)[0], 10_000);
    }
}
