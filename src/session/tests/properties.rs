//! Random flows, in which anybody may do anything at any time.

use proptest::prelude::*;

use super::phone::Deed;
use super::world::{Flow, ONE, TWO, World, flows};

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => Just(Deed::Comply),
        2 => Just(Deed::Refuse(491)),
        1 => Just(Deed::Refuse(488)),
        1 => Just(Deed::Omit),
        1 => Just(Deed::Ignore),
        1 => Just(Deed::HangUp),
        2 => Just(Deed::Cancel),
        2 => Just(Deed::Cross),
        2 => any::<bool>().prop_map(|asks| Deed::Offer { asks }),
    ]
}

/// One turn: who does what, or time that passes, or the call that gives up.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Deed(usize, Deed),
    Hold(usize, bool),
    Wait,
    Resume,
    Withdraw,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        12 => (ONE..=TWO, deed()).prop_map(|(leg, deed)| Turn::Deed(leg, deed)),
        1 => (ONE..=TWO, any::<bool>()).prop_map(|(leg, holds)| Turn::Hold(leg, holds)),
        3 => Just(Turn::Wait),
        1 => Just(Turn::Resume),
        1 => Just(Turn::Withdraw),
    ]
}

fn kinds() -> impl Strategy<Value = &'static [&'static str]> {
    prop::sample::select(vec![
        &["audio"] as &[_],
        &["audio", "video"],
        &["video", "audio"],
        &["image"],
        &["audio", "image", "video"],
    ])
}

fn flow() -> impl Strategy<Value = Flow> {
    prop::sample::select(flows())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_negotiation_ends_and_keeps_the_rules(
        flow in flow(),
        one in kinds(),
        two in kinds(),
        turns in prop::collection::vec(turn(), 0..24),
    ) {
        let mut world = World::new(flow, [one, two]);
        for turn in turns {
            if world.is_over() {
                break;
            }
            match turn {
                Turn::Deed(leg, deed) => world.act(leg, deed),
                Turn::Hold(leg, holds) => world.phones[leg].hold(holds),
                Turn::Wait => {
                    world.wait();
                }
                Turn::Resume => {
                    world.resume();
                }
                Turn::Withdraw => world.withdraw(),
            }
        }
        world.run(|_| None);
        world.check();
    }
}
