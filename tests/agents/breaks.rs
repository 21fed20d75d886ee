//! Breaks, logouts and desktops that go away while the agent has a call, or is offered one.

use super::desk::*;
use offhook::agent::{EndCause, Input, OfferSource, PartyState};
use offhook::cti::AgentWorkMode;
use std::time::Duration;

const NOTHING: [&str; 0] = [];

#[test]
fn a_break_asked_for_during_the_call_replaces_wrap_up() {
    let mut desk = Desk::new().ready();
    let call = desk.talking();
    assert_eq!(desk.ask(pause()), ["*NotReady AuxWork"]);
    let ended = queued(call, PartyState::Ended(EndCause::CallerReleased));
    assert_eq!(desk.party(ended), ["Released RemoteRelease"]);
    assert_eq!(desk.standing(), "NotReady (Ready, NotReady)");
}

#[test]
fn wrap_up_asked_for_during_the_call_is_the_wrap_up_after_it() {
    let mut desk = Desk::new().ready();
    let call = desk.talking();
    let asked = desk.ask(not_ready(AgentWorkMode::AfterCallWork));
    assert_eq!(asked, ["*NotReady AfterCallWork"]);
    let ended = queued(call, PartyState::Ended(EndCause::CallerReleased));
    assert_eq!(
        desk.party(ended),
        ["NotReady AfterCallWork", "Released RemoteRelease"]
    );
    assert_eq!(desk.after(Duration::from_secs(30)), ["Ready ManualIn"]);
}

#[test]
fn logout_waits_for_the_end_of_an_answered_call() {
    let mut desk = Desk::new().ready();
    let call = desk.talking();
    assert_eq!(desk.ask(logout()), ["*Error WrongState"]);
    assert_eq!(desk.standing(), "Ready (Ready, -)");
    desk.party(queued(call, PartyState::Ended(EndCause::CallerReleased)));
    assert_eq!(desk.ask(logout()), ["*Logout"]);
}

#[test]
fn a_logout_withdraws_the_offer_and_the_call_keeps_its_agent() {
    let mut desk = Desk::new();
    desk.ask(login_as(Some("B7"), AgentWorkMode::AutoIn));
    let call = desk.ringing();
    let input = desk.request(logout());
    let outputs = desk.handle(input);
    assert_eq!(in_short(&outputs), ["*Logout"]);
    assert!(outputs.contains(&withdrawn(call, EndCause::Declined)));
    assert_eq!(desk.ask(logout()), ["*Error AlreadyInState"]);
    assert_eq!(desk.presence(closed()), NOTHING, "withdrawn once");
    // Another agent may come before the call has left.
    desk.presence(idle());
    let other = login_as(Some("C9"), AgentWorkMode::AutoIn);
    assert_eq!(desk.ask(other), ["*Login", "Ready AutoIn"]);
    let ended = queued(call, PartyState::Ended(EndCause::Declined));
    let outputs = desk.handle(Input::Party(ended));
    assert_eq!(in_short(&outputs), ["Released Dropped"]);
    let released = events_of(&outputs).next().unwrap();
    assert_eq!(released.agent_id.as_deref(), Some("B7"));
}

#[test]
fn a_phone_that_is_picked_up_while_its_agent_logs_out_is_that_agents_call() {
    let mut desk = Desk::new();
    desk.ask(login_as(Some("B7"), AgentWorkMode::AutoIn));
    let call = desk.ringing();
    desk.ask(logout());
    // The answer crossed the withdrawal.
    for (state, shown) in [
        (PartyState::Established, "Established Ok"),
        (
            PartyState::Ended(EndCause::CallerReleased),
            "Released RemoteRelease",
        ),
    ] {
        let outputs = desk.handle(Input::Party(queued(call, state)));
        assert_eq!(in_short(&outputs), [shown]);
        let ids = all_events_of(&outputs).map(|event| event.agent_id.as_deref());
        assert_eq!(ids.collect::<Vec<_>>(), [Some("B7"); 2]);
    }
    assert_eq!(desk.standing(), "LoggedOut (-, LoggedOut)");
}

#[test]
fn a_break_withdraws_a_queue_call_and_is_no_punishment() {
    for rings in [false, true] {
        let mut desk = Desk::new().ready();
        let call = if rings {
            desk.ringing()
        } else {
            desk.reserved()
        };
        let input = desk.request(pause());
        let outputs = desk.handle(input);
        assert_eq!(in_short(&outputs), ["*NotReady AuxWork"]);
        assert!(outputs.contains(&withdrawn(call, EndCause::Declined)));
        let input = desk.request(pause());
        let again = desk.handle(input);
        assert_eq!(again.len(), 1, "withdrawn once: {again:?}");
        let ended = queued(call, PartyState::Ended(EndCause::Declined));
        let shown = desk.party(ended);
        assert_eq!(
            shown,
            if rings {
                &["Released Dropped"] as &[_]
            } else {
                &[]
            }
        );
        assert_eq!(desk.standing(), "NotReady (Ready, NotReady)");
        assert_eq!(desk.ask(ready()), ["*Ready ManualIn"]);
        assert!(desk.status().available, "the phone need not rest");
    }
}

#[test]
fn a_direct_call_rings_on_in_a_break_and_not_after_a_logout() {
    let mut desk = Desk::new().ready();
    let call = desk.new_call();
    desk.reserve(call, OfferSource::Direct);
    desk.party(direct(call, PartyState::Ringing));
    let input = desk.request(pause());
    let outputs = desk.handle(input);
    assert!(!outputs.contains(&withdrawn(call, EndCause::Unreachable)));
    assert!(!outputs.contains(&withdrawn(call, EndCause::Declined)));
    let input = desk.request(logout());
    let outputs = desk.handle(input);
    assert_eq!(outputs[1], withdrawn(call, EndCause::Unreachable));
    assert_eq!(told_presence(&outputs[2..]).len(), outputs.len() - 2);
}

#[test]
fn a_desktop_that_goes_away_takes_the_offer_with_it() {
    for (option, shown) in [
        ("notready", "NotReady AuxWork desktop-gone"),
        ("logout", "Logout"),
    ] {
        let option = format!("on_disconnect = \"{option}\"");
        let mut desk = Desk::with(&option, "", "").ready();
        let call = desk.ringing();
        let input = desk.request(offhook::cti::DesktopRequest::Gone);
        let outputs = desk.handle(input);
        assert_eq!(in_short(&outputs), [shown]);
        assert!(outputs.contains(&withdrawn(call, EndCause::Declined)));
    }
}
