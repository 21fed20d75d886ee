//! A phone with a dialog for each of its two calls joins them by REFER with Replaces (RFC 5589 §7):
//! what it is told, and what becomes of the two.

use super::control::told;
use super::positions::{Answer, Far, Scene};
use super::*;
use crate::cti::CallAction;

/// The legs of the caller, of the phone for each of its calls, and of whom it consults.
const CALLER: LegSlot = LegSlot::FIRST;
const PHONE: LegSlot = LegSlot(1);
const PHONE_CONSULTS: LegSlot = LegSlot(2);
const CONSULTED: LegSlot = LegSlot(3);

/// The phone has asked for it, and the caller is asked for an offer.
fn joins() -> Scene {
    let mut scene = Scene::with_two_dialogs();
    scene.consults(Far::Answers);
    scene.table.commands.clear();
    let referred = Referred {
        number: "2001".to_owned(),
        referred_by: None,
        replaced: Replaced::Leg(PHONE_CONSULTS),
    };
    let event = Event::Referred(PHONE, Box::new(referred));
    scene.table.calls.handle(scene.table.now, scene.key, event);
    scene.table.drain();
    assert!(is_told(&scene, PHONE, &LegCommand::AcceptRefer));
    assert!(reports(&scene).is_empty(), "nothing has come of it yet");
    assert_eq!(scene.table.party_states(), []);
    scene
}

fn is_told(scene: &Scene, leg: LegSlot, command: &LegCommand) -> bool {
    let command = Command::Leg(leg, command.clone());
    scene.table.commands.contains(&command)
}

/// What the phone is told of its REFER.
fn reports(scene: &Scene) -> Vec<u16> {
    let report = |command: &Command| match command {
        Command::Leg(PHONE, LegCommand::ReportRefer(status)) => Some(status.0),
        _ => None,
    };
    scene.table.commands.iter().filter_map(report).collect()
}

fn bye() -> LegEvent {
    LegEvent::HungUp(Release::Bye {
        cause: Cause::default(),
    })
}

fn hung_up() -> LegCommand {
    LegCommand::HangUp(cause::NORMAL.into())
}

#[test]
fn phone_hears_that_it_is_done_when_the_two_hear_each_other() {
    let mut scene = joins();
    scene.table.all_accept(scene.key);
    assert_eq!(reports(&scene), [200]);
    assert!(is_told(&scene, PHONE, &hung_up()));
    assert!(is_told(&scene, PHONE_CONSULTS, &hung_up()));
    let (main, consult) = (scene.conn_id, scene.beside);
    let transferred = PartyState::Ended(EndCause::Transferred);
    assert_eq!(
        told(&mut scene.table),
        [
            (AGENT, consult.0, transferred),
            (AGENT, main.0, transferred),
            (OTHER, main.0, PartyState::Changed),
        ]
    );
}

#[test]
fn phone_keeps_both_calls_when_the_two_cannot_be_connected() {
    for refuses in [CALLER, CONSULTED] {
        let mut scene = joins();
        scene.table.all_accept_but(scene.key, Some(refuses));
        assert_eq!(reports(&scene), [480]);
        assert_eq!(scene.table.party_states(), []);
        for leg in [CALLER, PHONE, PHONE_CONSULTS, CONSULTED] {
            assert!(!is_told(&scene, leg, &hung_up()), "{leg:?}");
        }
        let (main, consult) = (scene.conn_id, scene.beside);
        scene.ask(consult, CallAction::Reconnect { held: main });
        scene.play(Far::Answers);
        assert_eq!(scene.answers(), [Answer::Event(PartyState::Retrieved)]);
    }
}

/// It may hang up as soon as the REFER is taken, and which of its calls it ends first is its own
/// business.
#[test]
fn phone_that_leaves_at_once_leaves_the_two_together() {
    for first in [PHONE, PHONE_CONSULTS] {
        let mut scene = joins();
        scene.table.on(scene.key, first, bye());
        scene.table.all_accept(scene.key);
        for leg in [CALLER, CONSULTED] {
            assert!(!is_told(&scene, leg, &hung_up()), "{first:?}: {leg:?}");
        }
        let main = scene.conn_id;
        let all = told(&mut scene.table);
        assert!(
            all.contains(&(OTHER, main.0, PartyState::Changed)),
            "{all:?}"
        );
        assert_eq!(scene.table.calls.live().connected, 1);
    }
}

#[test]
fn phone_is_told_when_one_of_the_two_leaves_in_the_middle() {
    for leaves in [CALLER, CONSULTED] {
        let mut scene = joins();
        scene.table.on(scene.key, leaves, bye());
        assert_eq!(reports(&scene), [480], "{leaves:?}");
        scene.table.all_accept(scene.key);
        assert_eq!(scene.table.calls.live().connected, 1, "{leaves:?}");
        let stays = [PHONE, PHONE_CONSULTS].map(|leg| is_told(&scene, leg, &hung_up()));
        assert_eq!(stays, [leaves == CALLER, leaves == CONSULTED]);
    }
}
