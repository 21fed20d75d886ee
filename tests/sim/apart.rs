//! What a party does to its session while another phone rings for it: it is answered at once, and
//! whoever takes the call hears it as it is then.

use std::time::Duration;

use offhook::cti::EventName;
use offhook_loadgen::population::{Behaviour, Change, Fact, Party, Token};

use super::control::{
    AGENT, OTHER, act, connected, consult, single_step, talking, told, told_since, world,
};
use super::hands::hang_up_all;
use super::network::Fate;
use super::world::World;

const CHANGES: [&[Change]; 7] = [
    &[Change::Refresh],
    &[Change::Hold],
    &[Change::HoldWithMusic],
    &[Change::HoldByUpdate],
    &[Change::Hold, Change::Resume],
    &[Change::HoldWithMusic, Change::ResumeWithOffer],
    &[Change::HoldByUpdate, Change::ResumeByUpdate],
];

fn holds(changes: &[Change]) -> bool {
    matches!(
        changes,
        [Change::Hold | Change::HoldWithMusic | Change::HoldByUpdate]
    )
}

fn refused(world: &World) -> usize {
    world.count(|fact| matches!(fact, Fact::ChangeRefused { .. }))
}

fn changed(world: &World) -> usize {
    world.count(|fact| matches!(fact, Fact::Changed { .. }))
}

fn agents_talk(world: &World) -> bool {
    let (agent, other) = (Party::phone(AGENT), Party::phone(OTHER));
    world.population.are_connected(&agent, &other)
}

fn all_leave(world: &mut World, token: Token) {
    world.network.rule = None;
    let now = world.now;
    world.population.callers.hang_up(now, token);
    hang_up_all(world);
    world.finish();
}

/// The agent consults somebody whose phone rings.
fn consulting(world: &mut World) -> Token {
    let (token, main) = talking(world);
    world.phone(OTHER).set_behaviour(Some(Behaviour::rings()));
    act(world, AGENT, main, consult(OTHER));
    assert!(told(world).contains(&"2000 NetworkReached".to_owned()));
    token
}

#[test]
fn phone_changes_its_session_while_whom_it_consults_rings() {
    for changes in CHANGES {
        let mut world = world();
        let token = consulting(&mut world);
        let since = world.journal.events.len();
        for change in changes {
            assert!(world.phone(AGENT).change(*change), "{changes:?}");
            world.run_for(Duration::from_secs(2));
        }
        let taken = (changed(&world), refused(&world));
        assert_eq!(taken, (changes.len(), 0), "{changes:?}");
        assert!(world.phone(OTHER).answer());
        world.run_for(Duration::from_secs(1));
        assert_eq!(agents_talk(&world), !holds(changes), "{changes:?}");
        assert_eq!(world.population.one_way(), [], "{changes:?}");
        let mut expected = vec!["2001 Established", "2000 Established"];
        if holds(changes) {
            expected.push("2000 Held");
        }
        assert_eq!(told_since(&world, since), expected, "{changes:?}");
        if holds(changes) {
            assert!(world.phone(AGENT).change(Change::ResumeWithOffer));
            world.run_for(Duration::from_secs(2));
            assert!(agents_talk(&world), "{changes:?}");
            let last = world.journal.events.last().map(|event| event.name);
            assert_eq!(last, Some(EventName::Retrieved), "{changes:?}");
        }
        all_leave(&mut world, token);
    }
}

#[test]
fn customer_changes_its_session_while_whom_it_is_transferred_to_rings() {
    for changes in CHANGES {
        let mut world = world();
        let (token, main) = talking(&mut world);
        world.phone(OTHER).set_behaviour(Some(Behaviour::rings()));
        act(&mut world, AGENT, main, single_step(OTHER));
        for change in changes {
            let now = world.now;
            assert!(world.population.callers.change(now, token, *change));
            world.run_for(Duration::from_secs(2));
        }
        let taken = (changed(&world), refused(&world));
        assert_eq!(taken, (changes.len(), 0), "{changes:?}");
        assert!(world.phone(OTHER).answer());
        world.run_for(Duration::from_secs(1));
        assert_eq!(
            connected(&world, token, OTHER),
            !holds(changes),
            "{changes:?}"
        );
        if holds(changes) {
            let (now, change) = (world.now, Change::ResumeWithOffer);
            assert!(world.population.callers.change(now, token, change));
            world.run_for(Duration::from_secs(2));
            assert!(connected(&world, token, OTHER), "{changes:?}");
        }
        assert_eq!(world.population.one_way(), [], "{changes:?}");
        all_leave(&mut world, token);
    }
}

/// The phone across answers while the ACK of the change is on its way: its offer waits for that.
#[test]
fn answer_waits_for_the_ack_of_a_change() {
    for change in [Change::Refresh, Change::Resume] {
        let mut world = world();
        let token = consulting(&mut world);
        if change == Change::Resume {
            assert!(world.phone(AGENT).change(Change::Hold));
            world.run_for(Duration::from_secs(2));
        }
        world.network.rule = Some(Box::new(|flight| {
            let is_ack = flight.bytes.starts_with(b"ACK");
            match is_ack && flight.from.to_string() == "10.0.1.1:5060" {
                true => Fate::Late(Duration::from_millis(300)),
                false => Fate::Usual,
            }
        }));
        assert!(world.phone(AGENT).change(change));
        world.run_for(Duration::from_millis(50));
        assert!(world.phone(OTHER).answer());
        // Whoever had to try again after 491 would have to wait for 2.1 s.
        world.run_for(Duration::from_secs(1));
        assert!(agents_talk(&world), "{change:?}");
        all_leave(&mut world, token);
    }
}
