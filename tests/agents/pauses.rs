//! Pauses after calls: wrap-up that the desktop stretches, cuts or asks for, the legal guard, the
//! logout of who stays away; and what a DN does with calls: do-not-disturb and forwarding.

use std::time::Duration;

use offhook::agent::{EndCause, Input, OfferSource, Output, PartyState, RefusedOffer};
use offhook::call::{self, ForwardReason};
use offhook::config::WrapUp;
use offhook::cti::{AgentWorkMode, DesktopRequest, EventName, ForwardMode, KeyValueList, Value};

use super::desk::*;

const NOTHING: [&str; 0] = [];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn wrap_up(wrap_up: WrapUp) -> DesktopRequest {
    DesktopRequest::NotReady {
        work_mode: AgentWorkMode::AfterCallWork,
        wrap_up: Some(wrap_up),
        reasons: KeyValueList::new(),
    }
}

fn ended() -> PartyState {
    PartyState::Ended(EndCause::CallerReleased)
}

#[test]
fn a_desktop_stretches_wrap_up() {
    let mut desk = Desk::new().ready().wrapping_up();
    desk.after(seconds(20));
    let input = desk.request(wrap_up(WrapUp::Timed(seconds(60))));
    let outputs = desk.handle(input);
    assert_eq!(in_short(&outputs), ["*NotReady AfterCallWork"]);
    let event = events_of(&outputs).next().unwrap();
    assert_eq!(
        event.extensions.value("WrapUpTime"),
        Some(&Value::Integer(60))
    );
    assert_eq!(desk.after(seconds(59)), NOTHING);
    assert_eq!(desk.after(seconds(1)), ["Ready ManualIn"]);
    assert_eq!(desk.standing(), "Ready (Ready, -)");
    // Until it says Ready.
    let mut desk = Desk::new().ready().wrapping_up();
    assert_eq!(
        desk.ask(wrap_up(WrapUp::Untimed)),
        ["*NotReady AfterCallWork"]
    );
    assert_eq!(desk.after(seconds(86_400)), NOTHING);
    assert_eq!(desk.ask(ready()), ["*Ready ManualIn"]);
}

#[test]
fn wrap_up_asked_for_while_the_phone_rings_does_not_end_in_the_call() {
    let mut desk = Desk::new().ready();
    let call = desk.new_call();
    desk.reserve(call, OfferSource::Direct);
    desk.party(direct(call, PartyState::Ringing));
    desk.ask(wrap_up(WrapUp::Timed(seconds(5))));
    desk.party(queued(call, PartyState::Changed));
    desk.party(queued(call, PartyState::Established));
    let asked = desk.ask(wrap_up(WrapUp::Timed(seconds(5))));
    assert_eq!(asked, ["*NotReady AfterCallWork"]);
    assert_eq!(desk.after(seconds(300)), NOTHING, "the agent still talks");
}

#[test]
fn a_desktop_asks_for_wrap_up_during_the_call_and_without_one() {
    let mut desk = Desk::new().ready();
    let call = desk.talking();
    assert_eq!(
        desk.ask(wrap_up(WrapUp::Timed(seconds(5)))),
        ["*NotReady AfterCallWork"]
    );
    assert_eq!(
        desk.after(seconds(300)),
        NOTHING,
        "it begins after the call"
    );
    assert_eq!(
        desk.party(queued(call, ended())),
        ["NotReady AfterCallWork", "Released RemoteRelease"]
    );
    assert_eq!(desk.after(seconds(4)), NOTHING);
    assert_eq!(desk.after(seconds(1)), ["Ready ManualIn"]);
    assert_eq!(
        desk.ask(wrap_up(WrapUp::Timed(seconds(7)))),
        ["*NotReady AfterCallWork"]
    );
    assert_eq!(desk.after(seconds(7)), ["Ready ManualIn"]);
}

#[test]
fn ready_ends_wrap_up() {
    let mut desk = Desk::new().ready().wrapping_up();
    assert_eq!(desk.ask(ready()), ["*Ready ManualIn"]);
    assert_eq!(desk.after(seconds(60)), NOTHING);
}

const GUARDED: &str = "wrap_up = 30\nlegal_guard = 10";

#[test]
fn the_legal_guard_follows_wrap_up() {
    let mut desk = Desk::with("", "", GUARDED).ready().wrapping_up();
    assert_eq!(desk.after(seconds(28)), ["NotReady LegalGuard"]);
    assert!(!desk.status().available);
    assert_eq!(desk.after(seconds(9)), NOTHING);
    assert_eq!(desk.after(seconds(1)), ["Ready ManualIn"]);
    assert!(desk.status().available);
}

#[test]
fn without_wrap_up_the_legal_guard_begins_before_the_release() {
    let mut desk = Desk::with("", "", "legal_guard = 10").ready();
    let call = desk.talking();
    assert_eq!(
        desk.party(queued(call, ended())),
        ["NotReady LegalGuard", "Released RemoteRelease"]
    );
    assert_eq!(desk.after(seconds(10)), ["Ready ManualIn"]);
    // Private calls need no pause.
    let call = desk.new_call();
    desk.reserve(call, OfferSource::Direct);
    desk.party(direct(call, PartyState::Established));
    assert_eq!(
        desk.party(direct(call, ended())),
        ["Released RemoteRelease"]
    );
    assert_eq!(desk.standing(), "Ready (Ready, -)");
}

#[test]
fn ready_waits_for_the_legal_guard() {
    let mut desk = Desk::with("", "", GUARDED).ready().wrapping_up();
    // The pause is shown as what it is from here; the wish is remembered.
    assert_eq!(
        desk.ask(ready()),
        ["NotReady LegalGuard", "*Error WrongState"]
    );
    assert_eq!(desk.ask(ready()), ["*Error WrongState"]);
    assert_eq!(desk.after(seconds(10)), ["Ready ManualIn"]);
    // A break does not shorten it.
    let mut desk = Desk::with("", "", GUARDED).ready().wrapping_up();
    assert_eq!(desk.ask(pause()), ["*NotReady AuxWork"]);
    desk.after(seconds(5));
    assert_eq!(
        desk.ask(ready()),
        ["NotReady LegalGuard", "*Error WrongState"]
    );
    assert_eq!(desk.after(seconds(5)), ["Ready ManualIn"]);
    // A longer break covers it.
    let mut desk = Desk::with("", "", GUARDED).ready().wrapping_up();
    desk.ask(pause());
    assert_eq!(desk.after(seconds(11)), NOTHING);
    assert_eq!(desk.ask(ready()), ["*Ready ManualIn"]);
}

#[test]
fn the_legal_guard_ends_with_the_login() {
    let mut desk = Desk::with("", "", "legal_guard = 10").ready();
    let call = desk.talking();
    desk.party(queued(call, ended()));
    assert_eq!(desk.ask(logout()), ["*Logout"]);
    assert_eq!(desk.after(seconds(10)), NOTHING);
    let again = login_as(None, AgentWorkMode::AutoIn);
    assert_eq!(desk.ask(again), ["*Login", "Ready AutoIn"]);
}

#[test]
fn a_business_call_in_the_legal_guard_begins_it_anew() {
    let mut desk = Desk::with("", "", "legal_guard = 10").ready();
    let call = desk.talking();
    desk.party(queued(call, ended()));
    desk.after(seconds(5));
    let another = desk.new_call();
    desk.reserve(another, OfferSource::Direct);
    desk.party(queued(another, PartyState::Established));
    assert_eq!(desk.after(seconds(60)), NOTHING);
    assert_eq!(
        desk.party(queued(another, ended())),
        ["NotReady LegalGuard", "Released RemoteRelease"]
    );
    assert_eq!(desk.after(seconds(10)), ["Ready ManualIn"]);
}

#[test]
fn who_stays_away_is_logged_out() {
    let mut desk = Desk::with("", "", "auto_logout = 600").ready();
    assert_eq!(desk.after(seconds(6_000)), NOTHING, "Ready is not away");
    desk.ask(pause());
    assert_eq!(desk.after(seconds(599)), NOTHING);
    assert_eq!(desk.after(seconds(1)), ["Logout"]);
    assert_eq!(desk.presence(busy()), NOTHING);
    assert_eq!(
        desk.presence(idle()),
        NOTHING,
        "as if a desktop had said so"
    );
    // A call is a sign of life.
    let mut desk = Desk::with("", "", "auto_logout = 600").ready();
    desk.ask(pause());
    desk.after(seconds(500));
    let call = desk.new_call();
    desk.reserve(call, OfferSource::Direct);
    desk.party(direct(call, PartyState::Established));
    assert_eq!(desk.after(seconds(6_000)), NOTHING);
    desk.party(direct(call, ended()));
    assert_eq!(desk.after(seconds(600)), ["Logout"]);
}

pub(super) fn dnd(on: bool) -> DesktopRequest {
    let reasons = KeyValueList::new().with_text("Meeting", "board");
    DesktopRequest::SetDnd { on, reasons }
}

#[test]
fn who_is_not_to_be_disturbed_gets_no_call() {
    let mut desk = Desk::new().ready();
    let rings = desk.ringing();
    let input = desk.request(dnd(true));
    let outputs = desk.handle(input);
    let event = events_of(&outputs).next().unwrap();
    assert_eq!(event.name, EventName::DNDOn);
    assert!(event.reasons.value("Meeting").is_some() && event.requested_by.is_some());
    assert!(outputs.contains(&withdrawn(rings, EndCause::Declined)));
    desk.party(queued(rings, PartyState::Ended(EndCause::Declined)));
    desk.after(TAIL);
    assert!(!desk.status().available);
    let call = desk.new_call();
    let refused = desk.reserve(call, OfferSource::Queue(SALES));
    assert_eq!(told_queues(&refused), [(SALES, "refused: busy")]);
    let why = RefusedOffer::Busy;
    let refusal = call::Input::DirectRefused { dn: DN, why };
    assert_eq!(
        desk.reserve(call, OfferSource::Direct),
        [Output::Call(call, refusal)]
    );
    // It belongs to the DN: neither presence nor the agent's state changes it.
    assert_eq!(desk.ask(dnd(true)), ["*Error AlreadyInState"]);
    assert_eq!(desk.ask(logout()), ["*Logout"]);
    let again = login_as(None, AgentWorkMode::AutoIn);
    assert_eq!(desk.ask(again), ["*Login", "Ready AutoIn"]);
    assert!(!desk.status().available);
    assert_eq!(desk.ask(dnd(false)), ["*DNDOff"]);
    assert!(desk.status().available);
    assert_eq!(desk.ask(dnd(false)), ["*Error AlreadyInState"]);
}

pub(super) fn forward(mode: ForwardMode, destination: &str) -> DesktopRequest {
    DesktopRequest::SetForward {
        mode,
        destination: destination.to_owned(),
        reasons: KeyValueList::new(),
    }
}

#[test]
fn calls_are_forwarded_as_the_desktop_says() {
    use ForwardReason::{Busy, NoAnswer, Unconditional};
    // While the DN is free, in a call, and logged out.
    for (mode, expected) in [
        (ForwardMode::Unconditional, [Some(Unconditional); 3]),
        (ForwardMode::OnBusy, [None, Some(Busy), None]),
        (ForwardMode::OnNoAnswer, [None, None, Some(NoAnswer)]),
        (
            ForwardMode::OnBusyAndNoAnswer,
            [None, Some(Busy), Some(NoAnswer)],
        ),
    ] {
        let forwarded = |desk: &mut Desk| {
            let call = desk.new_call();
            let outputs = desk.reserve(call, OfferSource::Direct);
            let ways = [Unconditional, Busy, NoAnswer];
            ways.into_iter().find(|&why| {
                let destination = "7001".to_owned();
                let dn = DN;
                let forward = call::Input::DirectForwarded {
                    dn,
                    destination,
                    why,
                };
                outputs.contains(&Output::Call(call, forward))
            })
        };
        let mut free = Desk::new().ready();
        let mut busy = Desk::new().ready();
        busy.talking();
        let mut out = Desk::new();
        let found = [&mut free, &mut busy, &mut out].map(|desk| {
            assert_eq!(desk.ask(forward(mode, "7001")), ["*ForwardSet"]);
            forwarded(desk)
        });
        assert_eq!(found, expected, "{mode:?}");
    }
    // A queue picks an agent, not a number.
    let mut desk = Desk::new().ready();
    desk.ask(forward(ForwardMode::Unconditional, "7001"));
    desk.reserved();
}

#[test]
fn a_forward_is_set_anew_and_cancelled_once() {
    let mut desk = Desk::new().ready();
    let cancel = || DesktopRequest::CancelForward {
        reasons: KeyValueList::new(),
    };
    assert_eq!(desk.ask(cancel()), ["*Error AlreadyInState"]);
    for (mode, destination, shown) in [
        (ForwardMode::OnBusy, "2001", "*Error InvalidCalledDN"),
        (ForwardMode::None, "2002", "*Error InvalidAttribute"),
        (ForwardMode::OnBusy, "2002", "*ForwardSet"),
        (ForwardMode::Unconditional, "7001", "*ForwardSet"),
    ] {
        assert_eq!(desk.ask(forward(mode, destination)), [shown]);
    }
    let input = desk.request(cancel());
    let outputs = desk.handle(input);
    let event = events_of(&outputs).next().unwrap();
    assert_eq!(event.name, EventName::ForwardCancel);
    assert_eq!(event.forward_mode, Some(ForwardMode::Unconditional));
    assert_eq!(event.other_dn.as_deref(), Some("7001"));
    assert_eq!(desk.ask(cancel()), ["*Error AlreadyInState"]);
    let call = desk.new_call();
    let outputs = desk.reserve(call, OfferSource::Direct);
    assert!(outputs.contains(&Output::Call(
        call,
        call::Input::Offer {
            dn: DN,
            elsewhere: None
        }
    )));
}

#[test]
fn a_handed_back_reservation_is_no_call() {
    let mut desk = Desk::new().ready();
    let call = desk.reserved();
    desk.handle(Input::Returned { call });
    assert_eq!(desk.status().calls, 0);
}
