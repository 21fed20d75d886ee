//! Two shards' transactions joined by a link that loses, doubles, delays and reorders, from a
//! seed. A small user on each side does what a dialog would: it cancels, it repeats a 2xx until
//! the ACK, it acknowledges every 2xx, and it loses patience with a phone that rings for ever.
//!
//! A failing run prints its seed, and `play` with the same faults repeats it.

use super::world::{Faults, REQUESTS, World};

fn play(seed: u64, faults: Faults) -> World {
    let mut world = World::new(seed, faults);
    world.run();
    world.check_end();
    world
}

#[test]
fn on_a_perfect_link_every_request_has_its_answer_at_once() {
    for seed in 0..20 {
        let faults = Faults {
            loss_percent: 0,
            duplicate_percent: 0,
            delay_ms_max: 0,
        };
        assert_eq!(play(seed, faults).unanswered(), 0);
    }
}

#[test]
fn a_bad_link_costs_time_but_no_answer() {
    for seed in 100..160 {
        let faults = Faults {
            loss_percent: 10,
            duplicate_percent: 10,
            delay_ms_max: 400,
        };
        assert_eq!(play(seed, faults).unanswered(), 0, "seed {seed}");
    }
}

#[test]
fn a_terrible_link_leaves_nothing_behind() {
    for seed in 200..260 {
        play(
            seed,
            Faults {
                loss_percent: 50,
                duplicate_percent: 30,
                delay_ms_max: 3_000,
            },
        );
    }
}

#[test]
fn on_a_dead_link_every_request_times_out() {
    let world = play(
        7,
        Faults {
            loss_percent: 100,
            duplicate_percent: 0,
            delay_ms_max: 0,
        },
    );
    assert_eq!(world.unanswered(), REQUESTS as usize);
    assert!(world.served.is_empty());
}

#[test]
fn the_same_seed_is_the_same_run() {
    let faults = Faults {
        loss_percent: 20,
        duplicate_percent: 20,
        delay_ms_max: 900,
    };
    let (first, second) = (play(42, faults), play(42, faults));
    assert_eq!(format!("{:?}", first.sent), format!("{:?}", second.sent));
    assert_eq!(first.sequence, second.sequence);
}
