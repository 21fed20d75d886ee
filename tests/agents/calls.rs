//! Calls at the DN: reservation, ringing, answer, every way to end, wrap-up, and the order of what
//! clients see.

use std::time::Duration;

use offhook::agent::{EndCause, Input, OfferSource, Output, PartyState, RefusedOffer, Stage};
use offhook::call;
use offhook::config::TrunkIndex;
use offhook::counters::Counter;
use offhook::cti::{AgentWorkMode, CallType, DnRole, EventName, Value};
use offhook::queue;

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
    assert!(outputs.contains(&Output::Call(call, call::Input::Offer { dn: DN })));
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
        [Output::Call(first, call::Input::Offer { dn: DN })]
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
fn an_end_while_it_rings_is_told_by_its_cause() {
    for (cause, events) in [
        (EndCause::CallerAbandoned, &["Abandoned Abandoned"] as &[_]),
        (
            EndCause::NoAnswer,
            &["Released NoAnswer", "NotReady AuxWork no-answer"],
        ),
        (EndCause::Busy, &["Released Busy"]),
        (EndCause::Declined, &["Released Dropped"]),
        (EndCause::Unreachable, &["Released GeneralError"]),
        (EndCause::Failed, &["Released GeneralError"]),
        (EndCause::AgentReleased, &["Released Ok"]),
    ] {
        let mut desk = Desk::new().ready();
        let call = desk.ringing();
        assert_eq!(
            desk.party(queued(call, PartyState::Ended(cause))),
            events,
            "{cause:?}"
        );
        assert_eq!(stage(&desk), None, "{cause:?}: the reservation is back");
    }
}

#[test]
fn an_end_before_it_rings_shows_nothing() {
    for cause in [
        EndCause::CallerAbandoned,
        EndCause::Busy,
        EndCause::Declined,
        EndCause::Unreachable,
        EndCause::Failed,
    ] {
        let mut desk = Desk::new().ready();
        let call = desk.reserved();
        assert_eq!(
            desk.party(queued(call, PartyState::Ended(cause))),
            NOTHING,
            "{cause:?}"
        );
        assert_eq!(stage(&desk), None, "{cause:?}: the reservation is back");
    }
}

#[test]
fn only_an_outside_caller_abandons() {
    let mut desk = Desk::new().ready();
    let call = desk.ringing();
    let mut ended = queued(call, PartyState::Ended(EndCause::CallerAbandoned));
    ended.info = info(call, CallType::Internal);
    assert_eq!(desk.party(ended), ["Released Abandoned"]);
}

#[test]
fn no_answer_has_the_configured_consequence() {
    for (action, events, after) in [
        ("none", &["Released NoAnswer"] as &[_], "Ready (Ready, -)"),
        (
            "notready",
            &["Released NoAnswer", "NotReady AuxWork no-answer"],
            "NotReady (Ready, NotReady)",
        ),
        (
            "logout",
            &["Released NoAnswer", "Logout"],
            "LoggedOut (Ready, LoggedOut)",
        ),
    ] {
        let agent = format!("no_answer_action = \"{action}\"");
        let mut desk = Desk::with("", "", &agent).ready();
        let call = desk.ringing();
        let outputs = desk.handle(Input::Party(queued(
            call,
            PartyState::Ended(EndCause::NoAnswer),
        )));
        assert_eq!(in_short(&outputs), events);
        assert_eq!(desk.standing(), after);
        let expected = if action == "none" { 2 } else { 0 };
        assert_eq!(told_queues(&outputs).len(), expected);
        assert_eq!(desk.counted(Counter::OfferNoAnswer), 1);
    }
}

#[test]
fn a_phone_that_failed_rests_before_the_next_offer() {
    for cause in [
        EndCause::Busy,
        EndCause::Declined,
        EndCause::Unreachable,
        EndCause::Failed,
    ] {
        let mut desk = Desk::new().ready();
        let call = desk.reserved();
        let ended = queued(call, PartyState::Ended(cause));
        assert_eq!(
            told_queues(&desk.handle(Input::Party(ended))),
            [],
            "{cause:?}"
        );
        let next = desk.new_call();
        let refused = desk.reserve(next, OfferSource::Queue(SALES));
        assert_eq!(told_queues(&refused), [(SALES, "refused: not ready")]);
        let outputs = desk.pass(Duration::from_secs(5));
        assert_eq!(
            told_queues(&outputs),
            [(SALES, "available"), (SERVICE, "available")]
        );
    }
}

#[test]
fn an_agent_without_a_way_to_the_phone_keeps_its_idle_time() {
    let mut desk = Desk::new().ready();
    let before = desk.now;
    let trunk = TrunkIndex(0);
    desk.pass(Duration::from_secs(10));
    desk.agents.handle_trunk(desk.now, trunk, false);
    let outputs = desk.outputs();
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "unavailable"), (SERVICE, "unavailable")]
    );
    let call = desk.new_call();
    let refused = desk.reserve(call, OfferSource::Queue(SALES));
    assert_eq!(told_queues(&refused), [(SALES, "refused: unreachable")]);
    desk.agents.handle_trunk(desk.now, trunk, true);
    let first = desk.outputs().remove(0);
    let (dn, idle_since) = (DN, before);
    let available = queue::Input::AgentAvailable { dn, idle_since };
    assert_eq!(first, Output::Queue(SALES, available.clone()));
    // Neither does an offer whose phone was never dialled cost it anything.
    let call = desk.reserved();
    desk.pass(Duration::from_secs(1));
    let outputs = desk.handle(Input::Returned { call });
    assert_eq!(outputs[0], Output::Queue(SALES, available));
}

#[test]
fn a_caller_who_gave_up_costs_the_agent_no_rest() {
    let mut desk = Desk::new().ready();
    let call = desk.ringing();
    let ended = queued(call, PartyState::Ended(EndCause::CallerAbandoned));
    let outputs = desk.handle(Input::Party(ended));
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "available"), (SERVICE, "available")]
    );
}

#[test]
fn a_silent_call_shard_loses_the_reservation() {
    let mut desk = Desk::new().ready();
    let call = desk.reserved();
    // 20 s to ring, 64*T1 of silence, 10 s of slack.
    assert_eq!(desk.pass(Duration::from_secs(61)), []);
    let outputs = desk.pass(Duration::from_secs(1));
    assert!(outputs.contains(&withdrawn(call, EndCause::Unreachable)));
    let outputs = desk.pass(Duration::from_secs(5));
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "available"), (SERVICE, "available")]
    );
    assert_eq!(desk.counted(Counter::ReservationExpired), 1);
    assert_eq!(stage(&desk), None);
}

#[test]
fn clients_hear_of_the_end_of_a_call_whose_shard_went_silent() {
    let mut desk = Desk::new().ready();
    let call = desk.ringing();
    let outputs = desk.pass(Duration::from_secs(62));
    assert_eq!(in_short(&outputs), ["Released GeneralError"]);
    let released = events_of(&outputs).next().unwrap();
    assert_eq!(released.call.as_ref().unwrap().conn_id, call.conn_id);
    assert_eq!(released.this_queue.as_deref(), Some("7000"));
    let ended = queued(call, PartyState::Ended(EndCause::Unreachable));
    assert_eq!(desk.party(ended), NOTHING, "once");
}

#[test]
fn ringing_extends_the_lease_and_an_answer_ends_it() {
    let mut desk = Desk::new().ready();
    let call = desk.reserved();
    desk.pass(Duration::from_secs(60));
    desk.party(queued(call, PartyState::Ringing));
    desk.pass(Duration::from_secs(60));
    assert_eq!(stage(&desk), Some(Stage::Ringing));
    desk.party(queued(call, PartyState::Established));
    desk.pass(Duration::from_secs(86_400));
    assert_eq!(stage(&desk), Some(Stage::Established));
    assert_eq!(desk.counted(Counter::ReservationExpired), 0);
}

#[test]
fn a_call_that_outlived_its_lease_is_taken_back_or_withdrawn() {
    let mut desk = Desk::new().ready();
    let lost = desk.reserved();
    desk.pass(Duration::from_secs(62));
    let answered = desk.party(queued(lost, PartyState::Established));
    assert_eq!(answered, ["Ringing Ok", "Established Ok"]);
    let other = desk.new_call();
    let outputs = desk.handle(Input::Party(queued(other, PartyState::Ringing)));
    assert_eq!(outputs, [withdrawn(other, EndCause::Unreachable)]);
    assert_eq!(desk.status().call, Some((lost, Stage::Established)));
}

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
