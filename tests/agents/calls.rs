//! Calls at the DN: reservation, ringing, answer, wrap-up, and the order of what clients see.

use std::time::Duration;

use offhook::agent::{EndCause, Input, OfferSource, Output, PartyState, RefusedOffer, Stage};
use offhook::call;
use offhook::cti::{DnRole, EventName, Value};

use super::desk::*;

const NOTHING: [&str; 0] = [];

#[test]
fn a_grant_tells_the_call_and_every_queue() {
    let mut desk = Desk::new();
    let outputs = desk.handle(Input::Presence(idle()));
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "available"), (SERVICE, "available")]
    );
    let call = desk.new_call();
    let outputs = desk.reserve(call, OfferSource::Queue(SALES));
    assert!(outputs.contains(&Output::Call(
        call,
        call::Input::Offer {
            dn: DN,
            elsewhere: None
        }
    )));
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "unavailable"), (SERVICE, "unavailable")]
    );
    assert_eq!(desk.status().call, Some((call, Stage::Reserved)));
}

#[test]
fn a_queue_gets_only_an_agent_who_is_free_and_ready() {
    let mut desk = Desk::new();
    let refused = |desk: &mut Desk| {
        let call = desk.new_call();
        told_queues(&desk.reserve(call, OfferSource::Queue(SERVICE)))
    };
    assert_eq!(refused(&mut desk), [(SERVICE, "refused: logged out")]);
    desk.presence(busy());
    assert_eq!(refused(&mut desk), [(SERVICE, "refused: not ready")]);
    desk.presence(idle());
    desk.reserved();
    assert_eq!(refused(&mut desk), [(SERVICE, "refused: busy")]);
}

#[test]
fn a_caller_who_dialled_gets_an_agent_on_break_but_none_in_a_call() {
    let mut desk = Desk::new();
    let first = desk.new_call();
    let refusal = |call, why| {
        vec![Output::Call(
            call,
            call::Input::DirectRefused { dn: DN, why },
        )]
    };
    let outputs = desk.reserve(first, OfferSource::Direct);
    assert_eq!(outputs, refusal(first, RefusedOffer::LoggedOut));
    desk.presence(busy());
    let outputs = desk.reserve(first, OfferSource::Direct);
    assert_eq!(
        outputs,
        [Output::Call(
            first,
            call::Input::Offer {
                dn: DN,
                elsewhere: None
            }
        )]
    );
    let second = desk.new_call();
    assert_eq!(
        desk.reserve(second, OfferSource::Direct),
        refusal(second, RefusedOffer::Busy)
    );
}

#[test]
fn events_of_a_queue_call_say_where_it_came_from() {
    let mut desk = Desk::new().ready();
    let call = desk.reserved();
    let outputs = desk.handle(Input::Party(queued(call, PartyState::Ringing)));
    let ringing = events_of(&outputs).next().unwrap().clone();
    assert_eq!(
        (ringing.name, &*ringing.this_dn),
        (EventName::Ringing, "2001")
    );
    assert_eq!(ringing.this_dn_role, Some(DnRole::Destination));
    assert_eq!(ringing.this_queue.as_deref(), Some("7000"));
    assert_eq!(ringing.other_dn.as_deref(), Some("5550100"));
    assert_eq!(ringing.other_dn_role, Some(DnRole::Origination));
    assert_eq!(ringing.call.unwrap().ani.as_deref(), Some("5550100"));
    assert_eq!(ringing.extensions.value("WrapUpTime"), None);
    let outputs = desk.handle(Input::Party(queued(call, PartyState::Established)));
    let established = events_of(&outputs).next().unwrap();
    assert_eq!(
        established.extensions.value("WrapUpTime"),
        Some(&Value::Integer(30))
    );
    assert_eq!(established.this_queue.as_deref(), Some("7000"));
}

#[test]
fn wrap_up_begins_before_the_release_and_ends_by_itself() {
    let mut desk = Desk::new().ready();
    let call = desk.talking();
    let ended = queued(call, PartyState::Ended(EndCause::AgentReleased));
    let outputs = desk.handle(Input::Party(ended));
    assert_eq!(
        in_short(&outputs),
        ["NotReady AfterCallWork", "Released Ok"]
    );
    let acw = events_of(&outputs).next().unwrap();
    assert_eq!(
        acw.extensions.value("WrapUpTime"),
        Some(&Value::Integer(30))
    );
    assert_eq!(told_queues(&outputs), []);
    assert_eq!(desk.after(Duration::from_secs(29)), NOTHING);
    let outputs = desk.pass(Duration::from_secs(1));
    assert_eq!(in_short(&outputs), ["Ready ManualIn"]);
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "available"), (SERVICE, "available")]
    );
}

#[test]
fn untimed_wrap_up_waits_for_the_agent() {
    let mut desk = Desk::with("", "", "wrap_up = \"untimed\"").ready();
    let call = desk.ringing();
    let outputs = desk.handle(Input::Party(queued(call, PartyState::Established)));
    let established = events_of(&outputs).next().unwrap();
    assert_eq!(text(established, "WrapUpTime").as_deref(), Some("untimed"));
    let outputs = desk.handle(Input::Party(queued(
        call,
        PartyState::Ended(EndCause::CallerReleased),
    )));
    let acw = events_of(&outputs).next().unwrap();
    assert_eq!(text(acw, "WrapUpTime").as_deref(), Some("untimed"));
    assert_eq!(desk.after(Duration::from_secs(86_400)), NOTHING);
    assert_eq!(desk.ask(ready()), ["*Ready ManualIn"]);
}

#[test]
fn without_wrap_up_the_agent_is_free_at_once() {
    let mut desk = Desk::with("", "", "wrap_up = 0").ready();
    let call = desk.talking();
    let outputs = desk.handle(Input::Party(queued(
        call,
        PartyState::Ended(EndCause::CallerReleased),
    )));
    assert_eq!(in_short(&outputs), ["Released RemoteRelease"]);
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "available"), (SERVICE, "available")]
    );
}

#[test]
fn a_direct_call_has_no_queue_and_no_wrap_up() {
    let mut desk = Desk::new().ready();
    let call = desk.new_call();
    desk.reserve(call, OfferSource::Direct);
    let outputs = desk.handle(Input::Party(direct(call, PartyState::Ringing)));
    assert_eq!(events_of(&outputs).next().unwrap().this_queue, None);
    let outputs = desk.handle(Input::Party(direct(call, PartyState::Established)));
    let established = events_of(&outputs).next().unwrap();
    assert_eq!(established.extensions.value("WrapUpTime"), None);
    let ended = direct(call, PartyState::Ended(EndCause::CallerReleased));
    assert_eq!(desk.party(ended), ["Released RemoteRelease"]);
    assert_eq!(desk.standing(), "Ready (Ready, -)");
}

#[test]
fn a_direct_call_during_wrap_up_does_not_interrupt_it() {
    let mut desk = Desk::new().ready().wrapping_up();
    let call = desk.new_call();
    desk.reserve(call, OfferSource::Direct);
    assert_eq!(
        desk.party(direct(call, PartyState::Established)),
        ["Ringing Ok", "Established Ok"]
    );
    assert_eq!(desk.after(Duration::from_secs(28)), ["Ready ManualIn"]);
    assert!(!desk.status().available, "in a call");
    let outputs = desk.handle(Input::Party(direct(
        call,
        PartyState::Ended(EndCause::AgentReleased),
    )));
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "available"), (SERVICE, "available")]
    );
}

#[test]
fn an_answer_without_ringing_shows_both_events() {
    let mut desk = Desk::new().ready();
    let call = desk.reserved();
    let answered = desk.party(queued(call, PartyState::Established));
    assert_eq!(answered, ["Ringing Ok", "Established Ok"]);
    assert_eq!(desk.party(queued(call, PartyState::Ringing)), NOTHING);
    assert_eq!(desk.party(queued(call, PartyState::Established)), NOTHING);
}

#[test]
fn a_release_that_was_asked_for_is_answered_once() {
    let mut desk = Desk::new().ready();
    let call = desk.talking();
    let requested_by = Some(desk.requested_by());
    let state = PartyState::Ended(EndCause::AgentReleased);
    let ended = offhook::agent::Party {
        requested_by,
        ..queued(call, state)
    };
    assert_eq!(
        desk.party(ended.clone()),
        ["NotReady AfterCallWork", "*Released Ok"]
    );
    assert_eq!(desk.party(ended), ["*ACK"], "the call is unknown by now");
    // Before the phone rings there is no event to answer with.
    let mut desk = Desk::new().ready();
    let call = desk.reserved();
    let ended = offhook::agent::Party {
        requested_by,
        ..queued(call, state)
    };
    assert_eq!(desk.party(ended), ["*ACK"]);
}

#[test]
fn attached_data_is_shown_once_the_call_is() {
    let mut desk = Desk::new().ready();
    let call = desk.reserved();
    assert_eq!(
        desk.party(queued(call, PartyState::UserDataChanged)),
        NOTHING
    );
    desk.party(queued(call, PartyState::Ringing));
    let changed = desk.party(queued(call, PartyState::UserDataChanged));
    assert_eq!(changed, ["AttachedDataChanged Ok"]);
}

#[test]
fn the_handset_is_up_while_a_call_of_ours_is() {
    let names = |outputs: &[Output]| -> Vec<&'static str> {
        all_events_of(outputs)
            .map(|event| event.name.name())
            .collect()
    };
    let mut desk = Desk::new().ready();
    let call = desk.ringing();
    let answered = desk.handle(Input::Party(queued(call, PartyState::Established)));
    assert_eq!(names(&answered), ["OffHook", "Established"]);
    let ended = queued(call, PartyState::Ended(EndCause::CallerReleased));
    let ended = desk.handle(Input::Party(ended));
    assert_eq!(names(&ended), ["AgentNotReady", "Released", "OnHook"]);
    // A call that was not answered left the handset where it was.
    let mut desk = Desk::new().ready();
    let call = desk.ringing();
    let ended = queued(call, PartyState::Ended(EndCause::CallerAbandoned));
    assert_eq!(names(&desk.handle(Input::Party(ended))), ["Abandoned"]);
}

#[test]
fn queues_hear_who_is_logged_in_whether_it_takes_calls_or_not() {
    let mut desk = Desk::new();
    let (there, gone) = (
        [(SALES, true), (SERVICE, true)],
        [(SALES, false), (SERVICE, false)],
    );
    assert_eq!(told_presence(&desk.handle(Input::Presence(busy()))), there);
    assert_eq!(told_presence(&desk.handle(Input::Presence(idle()))), []);
    assert_eq!(told_presence(&desk.handle(Input::Presence(closed()))), gone);
}
