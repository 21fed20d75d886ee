//! The tree against a sorted list.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn it_agrees_with_a_sorted_list(
        steps in prop::collection::vec((any::<bool>(), 0_u8..60), 0..400),
    ) {
        let mut ranked = Ranked::default();
        let mut model = BTreeSet::new();
        for (adds, key) in steps {
            if adds {
                if model.insert(key) {
                    ranked.insert(key);
                }
            } else {
                prop_assert_eq!(ranked.remove(key), model.remove(&key));
            }
            prop_assert_eq!(ranked.size(ranked.root) as usize, model.len());
            prop_assert_eq!(ranked.place(key), model.range(..key).count());
        }
        prop_assert!(ranked.iter().eq(model.iter().copied()));
    }
}

#[test]
fn arrivals_in_order_do_not_make_it_deep() {
    let mut ranked = Ranked::default();
    for key in 0_u32..100_000 {
        ranked.insert(key);
    }
    assert_eq!(ranked.place(70_000), 70_000);
    for key in 0..50_000 {
        assert!(ranked.remove(key));
    }
    assert_eq!(
        (ranked.place(70_000), ranked.size(ranked.root)),
        (20_000, 50_000)
    );
    let depth = depth(&ranked, ranked.root);
    assert!(depth < 60, "{depth} levels for 50,000 members");
}

fn depth(ranked: &Ranked<u32>, position: u32) -> u32 {
    if position == NONE {
        return 0;
    }
    let node = ranked.node(position);
    1 + depth(ranked, node.left).max(depth(ranked, node.right))
}
