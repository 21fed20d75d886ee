//! Calls that an agent makes: from the desktop, by the phone, and more than are kept.

use super::desk::*;
use super::several::calling;
use offhook::agent::{EndCause, Input, Output, Party, PartyState, Stage};
use offhook::counters::Counter;
use offhook::cti::{ErrorCode, KeyValueList};
use offhook::limits::CALLS_PER_DN_MAX;
use std::time::Duration;

const NOTHING: [&str; 0] = [];

#[test]
fn a_phone_may_make_more_calls_than_are_kept() {
    let mut desk = Desk::new().ready();
    for _ in 0..CALLS_PER_DN_MAX {
        let call = desk.new_call();
        desk.party(calling(call, PartyState::Dialing));
    }
    let one_more = desk.new_call();
    assert_eq!(desk.party(calling(one_more, PartyState::Dialing)), NOTHING);
    assert_eq!(desk.counted(Counter::CallNotShown), 1);
    // Requests about it are answered all the same.
    let held = Party {
        requested_by: Some(desk.requested_by()),
        ..calling(one_more, PartyState::Held)
    };
    assert_eq!(desk.party(held), ["*ACK"]);
    assert_eq!(desk.status().calls, CALLS_PER_DN_MAX);
}

fn make_call(destination: &str) -> offhook::cti::DesktopRequest {
    offhook::cti::DesktopRequest::MakeCall {
        destination: destination.to_owned(),
        user_data: KeyValueList::new().with_text("Segment", "gold"),
        reasons: KeyValueList::new(),
    }
}

/// The desktop's request, and whether a call is to be made.
fn ask_to_call(desk: &mut Desk, destination: &str) -> (Vec<String>, bool) {
    let input = desk.request(make_call(destination));
    let outputs = desk.handle(input);
    let places = |output: &Output| match output {
        Output::Place(place) => place.destination == destination && place.dn == DN,
        Output::Event(_) | Output::Call(..) | Output::Queue(..) | Output::RefreshPresence(_) => {
            false
        }
    };
    (in_short(&outputs), outputs.iter().any(places))
}

#[test]
fn a_desktop_makes_a_call_without_a_login() {
    let mut desk = Desk::new();
    assert_eq!(ask_to_call(&mut desk, "5550199"), (vec![], true));
    // Promised to it, and to nothing else.
    assert_eq!(ask_to_call(&mut desk, "5550199").0, ["*Error WrongState"]);
    let call = desk.new_call();
    assert_eq!(desk.events(Input::Placed { call: Some(call) }), NOTHING);
    let dialing = Party {
        requested_by: Some(desk.requested_by()),
        ..calling(call, PartyState::Dialing)
    };
    assert_eq!(desk.party(dialing), ["*Dialing Ok"]);
    desk.pass(Duration::from_secs(86_400));
    assert_eq!(stage(&desk), Some(Stage::Dialing), "it may ring for long");
    assert_eq!(
        desk.party(calling(call, PartyState::Established)),
        ["Established Ok"]
    );
    let ended = calling(call, PartyState::Ended(EndCause::CallerReleased));
    assert_eq!(desk.party(ended), ["Released RemoteRelease"]);
    assert_eq!(desk.status().calls, 0);
}

#[test]
fn a_call_that_cannot_be_made_leaves_nothing() {
    let mut desk = Desk::new().ready();
    assert!(ask_to_call(&mut desk, "5550199").1);
    assert!(!desk.status().available);
    let outputs = desk.handle(Input::Placed { call: None });
    assert_eq!(in_short(&outputs), NOTHING);
    assert!(desk.status().available);
    // Or nobody says anything any more: a defect, which costs a minute.
    assert!(ask_to_call(&mut desk, "5550199").1);
    desk.pass(Duration::from_secs(62));
    assert!(desk.status().available);
    assert_eq!(desk.counted(Counter::ReservationExpired), 1);
    assert!(ask_to_call(&mut desk, "5550199").1);
    let call = desk.new_call();
    desk.handle(Input::Placed { call: Some(call) });
    desk.pass(Duration::from_secs(62));
    assert_eq!(desk.status().calls, 0);
}

#[test]
fn a_call_is_made_only_where_nothing_is_in_its_way() {
    let refused = |desk: &mut Desk, code: ErrorCode| {
        let (shown, placed) = ask_to_call(desk, "5550199");
        assert_eq!(
            (shown, placed),
            (vec![format!("*Error {}", code.name())], false)
        );
    };
    let mut desk = Desk::new();
    assert_eq!(ask_to_call(&mut desk, "2001").0, ["*Error InvalidCalledDN"]);
    desk.presence(closed());
    refused(&mut desk, ErrorCode::OutOfService);
    let mut desk = Desk::new().ready();
    let trunk = offhook::config::TrunkIndex(0);
    desk.agents.handle_trunk(desk.now, trunk, false);
    refused(&mut desk, ErrorCode::OutOfService);
    desk.agents.handle_trunk(desk.now, trunk, true);
    desk.outputs();
    let call = desk.reserved();
    refused(&mut desk, ErrorCode::WrongState);
    for state in [PartyState::Ringing, PartyState::Established] {
        desk.party(queued(call, state));
        refused(&mut desk, ErrorCode::WrongState);
    }
    desk.party(queued(call, PartyState::Held));
    assert!(ask_to_call(&mut desk, "5550199").1, "everything is on hold");
}
