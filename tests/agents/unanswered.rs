//! Calls at the DN that nobody answers, and reservations of which nothing more is heard.

use super::desk::*;
use offhook::agent::{EndCause, Input, OfferSource, Output, PartyState, Stage};
use offhook::config::TrunkIndex;
use offhook::counters::Counter;
use offhook::cti::CallType;
use offhook::queue;
use std::time::Duration;

const NOTHING: [&str; 0] = [];

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
fn a_host_that_slept_returns_no_reservation_because_of_that() {
    let mut desk = Desk::new().ready();
    let call = desk.reserved();
    assert_eq!(desk.sleep(Duration::from_secs(600)), []);
    desk.party(queued(call, PartyState::Ringing));
    desk.sleep(Duration::from_secs(600));
    assert_eq!(stage(&desk), Some(Stage::Ringing));
    assert_eq!(desk.counted(Counter::ReservationExpired), 0);
    // Silence while somebody looks is silence.
    desk.pass(Duration::from_secs(62));
    assert_eq!(desk.counted(Counter::ReservationExpired), 1);
}

#[test]
fn a_lease_goes_on_after_a_sleep_where_it_stood() {
    let mut desk = Desk::new().ready();
    desk.reserved();
    desk.pass(Duration::from_secs(30));
    // Something else is looked at in between.
    let other = desk.new_call();
    desk.reserve(other, OfferSource::Queue(SALES));
    desk.sleep(Duration::from_secs(600));
    desk.pass(Duration::from_secs(31));
    assert_eq!(desk.counted(Counter::ReservationExpired), 0);
    desk.pass(Duration::from_secs(1));
    assert_eq!(desk.counted(Counter::ReservationExpired), 1);
}

/// Be each turn slow, or every deadline kept late.
#[test]
fn slow_turns_renew_no_reservation() {
    for turn in [48, 60, 400, 900].map(Duration::from_millis) {
        let mut desk = Desk::new().ready();
        desk.reserved();
        for _ in 0..Duration::from_secs(64).as_millis() / turn.as_millis() {
            desk.sleep(turn);
        }
        assert_eq!(desk.counted(Counter::ReservationExpired), 1, "{turn:?}");
    }
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
