//! A match in a large crowd compares hardly more keys than one in a small crowd: whoever looked at
//! all of either side would compare thirty times as many.

#[path = "../../../benches/crowd/mod.rs"]
mod crowd;

use std::cell::Cell;

use crowd::Crowd;

thread_local! {
    static COMPARED: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn count() {
    COMPARED.set(COMPARED.get() + 1);
}

/// Agents and callers.
const SMALL: (u32, usize) = (500, 250);
const LARGE: (u32, usize) = (16_000, 8_000);
const PAIRS: u64 = 300;

/// The factor that `benches/queue.rs` is held to.
const FACTOR_MAX: u64 = 3;

/// The comparisons that a crowd makes for what it is told, until as many pairs are made.
fn of_pairs(crowd: &mut Crowd, mut pair: impl FnMut(&mut Crowd) -> u64) -> u64 {
    (0..PAIRS).map(|_| pair(crowd)).sum()
}

fn told(crowd: &mut Crowd, input: crate::queue::Input) -> u64 {
    let before = COMPARED.get();
    crowd.tell(input);
    let compared = COMPARED.get() - before;
    let pair = crowd.offer().expect("there is somebody for everybody");
    crowd.answer(pair);
    compared
}

#[test]
fn agent_who_is_freed_costs_hardly_more_in_a_large_crowd() {
    let cost = |(agents, callers)| {
        let mut crowd = Crowd::new(agents);
        crowd.fill(callers);
        of_pairs(&mut crowd, |crowd| {
            let (input, _) = crowd.freed();
            let compared = told(crowd, input);
            crowd.fill(callers);
            compared
        })
    };
    let (small, large) = (cost(SMALL), cost(LARGE));
    assert!(small > PAIRS, "{small} comparisons are not all");
    assert!(large <= small * FACTOR_MAX, "{large} to {small}");
}

#[test]
fn caller_who_arrives_costs_hardly_more_in_a_large_crowd() {
    let cost = |(agents, _)| {
        let mut crowd = Crowd::new(agents);
        crowd.rest();
        of_pairs(&mut crowd, |crowd| {
            let (input, _) = crowd.arrival();
            let compared = told(crowd, input);
            crowd.rest();
            compared
        })
    };
    let (small, large) = (cost(SMALL), cost(LARGE));
    assert!(small > PAIRS, "{small} comparisons are not all");
    assert!(large <= small * FACTOR_MAX, "{large} to {small}");
}
