//! Several calls at one DN: a held call and a consultation, transfers and conferences, and the one
//! wrap-up that follows them all.

use std::time::Duration;

use offhook::agent::{EndCause, Input, OfferSource, Output, Party, PartyState, Stage};
use offhook::call::{self, CallRef};
use offhook::config::RoutingPointIndex;
use offhook::cti::{
    AgentWorkMode, CallAction, CallRequest, CallState, CallType, ConnId, ConsultKind, DnRole,
    ErrorCode, Event, EventName, KeyValueList, Value,
};

use offhook::limits::TAKING_MAX;

use super::desk::*;

const NOTHING: [&str; 0] = [];

/// A report about the consultation that the agent makes beside `main`.
fn consulting(consult: CallRef, main: CallRef, state: PartyState) -> Party {
    Party {
        info: info(consult, CallType::Consult),
        role: DnRole::Origination,
        other: Some(("2002".into(), DnRole::Destination)),
        previous_conn_id: Some(main.conn_id),
        ..direct(consult, state)
    }
}

/// A report about a call that the agent makes.
pub(super) fn calling(call: CallRef, state: PartyState) -> Party {
    Party {
        info: info(call, CallType::Outbound),
        role: DnRole::Origination,
        other: Some(("5550199".into(), DnRole::Destination)),
        ..direct(call, state)
    }
}

/// A queue call on hold, and a consultation that is answered.
fn in_consultation(desk: &mut Desk) -> (CallRef, CallRef) {
    let main = desk.talking();
    assert_eq!(desk.party(queued(main, PartyState::Held)), ["Held Ok"]);
    let consult = desk.new_call();
    let dialing = desk.party(consulting(consult, main, PartyState::Dialing));
    assert_eq!(dialing, ["Dialing Ok"]);
    let established = desk.party(consulting(consult, main, PartyState::Established));
    assert_eq!(established, ["Established Ok"]);
    (main, consult)
}

fn names(outputs: &[Output]) -> Vec<&'static str> {
    let all = all_events_of(outputs);
    all.map(|event| event.name.name()).collect()
}

fn only(outputs: &[Output]) -> Event {
    let mut events = events_of(outputs);
    let event = events.next().expect("there is an event").clone();
    assert_eq!(events.next(), None);
    event
}

#[test]
fn a_consultation_stands_beside_the_held_call() {
    let mut desk = Desk::new().ready();
    let (main, consult) = in_consultation(&mut desk);
    assert_eq!(desk.status().calls, 2);
    assert_eq!(desk.status().call, Some((main, Stage::Held)));
    // Back and forth, as the phone or the desktop wants it.
    assert_eq!(
        desk.party(consulting(consult, main, PartyState::Held)),
        ["Held Ok"]
    );
    assert_eq!(
        desk.party(queued(main, PartyState::Retrieved)),
        ["Retrieved Ok"]
    );
    // What is so already is no news.
    assert_eq!(desk.party(queued(main, PartyState::Retrieved)), NOTHING);
    assert_eq!(
        desk.party(consulting(consult, main, PartyState::Held)),
        NOTHING
    );
    assert_eq!(stage(&desk), Some(Stage::Established));
}

/// A call on hold is in hand again only if no other one is, of whatever conversation; which ones
/// are is known here alone.
#[test]
fn a_call_is_taken_back_when_no_other_is_in_hand() {
    let mut desk = Desk::new().ready();
    let main = desk.talking();
    let passed = |desk: &mut Desk, call: CallRef, action: CallAction| {
        let request = Box::new(CallRequest::Party {
            this_dn: DN,
            action,
            reasons: KeyValueList::new(),
        });
        let requested_by = desk.requested_by();
        let take = Input::Take {
            call,
            requested_by,
            request,
        };
        let outputs = desk.handle(take);
        let goes_on = |output: &Output| {
            let is_asked = |to: &CallRef| *to == call;
            matches!(output, Output::Call(to, call::Input::Request { .. }) if is_asked(to))
        };
        let refused = all_events_of(&outputs).filter_map(|event| event.error_code);
        let refused: Vec<ErrorCode> = refused.collect();
        let passed = outputs.iter().any(goes_on);
        assert_eq!(refused.is_empty(), passed);
        assert!(passed || refused == [ErrorCode::WrongState]);
        (passed, requested_by)
    };
    let consult = || CallAction::Consult {
        kind: ConsultKind::Transfer,
        destination: "2002".to_owned(),
        user_data: KeyValueList::new(),
    };
    // What is in hand already is the call's business.
    assert!(passed(&mut desk, main, consult()).0);
    desk.party(queued(main, PartyState::Held));
    let other = desk.new_call();
    desk.party(calling(other, PartyState::Dialing));
    for action in [CallAction::Retrieve, consult()] {
        assert!(!passed(&mut desk, main, action).0);
    }
    desk.party(calling(other, PartyState::Established));
    assert!(!passed(&mut desk, main, CallAction::Retrieve).0);
    desk.party(calling(other, PartyState::Held));
    // Of two at once the first, until the call refuses it; whatever becomes of the second.
    let (is_passed, first) = passed(&mut desk, main, CallAction::Retrieve);
    assert!(is_passed);
    let (is_passed, second) = passed(&mut desk, main, CallAction::Retrieve);
    assert!(is_passed);
    desk.handle(Input::NotTaken {
        requested_by: second,
    });
    assert!(!passed(&mut desk, other, CallAction::Retrieve).0);
    desk.handle(Input::NotTaken {
        requested_by: first,
    });
    // Of one of which nothing more is heard, for as long as it may take.
    assert!(passed(&mut desk, other, CallAction::Retrieve).0);
    assert!(!passed(&mut desk, main, CallAction::Retrieve).0);
    desk.after(TAKING_MAX);
    assert!(passed(&mut desk, other, CallAction::Retrieve).0);
    desk.party(calling(other, PartyState::Retrieved));
    assert!(!passed(&mut desk, main, CallAction::Retrieve).0);
    let ended = PartyState::Ended(EndCause::CallerReleased);
    desk.party(calling(other, ended));
    assert!(passed(&mut desk, main, CallAction::Retrieve).0);
}

#[test]
fn events_of_a_consultation_name_its_main_call() {
    let mut desk = Desk::new().ready();
    let main = desk.talking();
    desk.party(queued(main, PartyState::Held));
    let consult = desk.new_call();
    let report = consulting(consult, main, PartyState::Dialing);
    let dialing = only(&desk.handle(Input::Party(report)));
    assert_eq!(dialing.name, EventName::Dialing);
    assert_eq!(dialing.this_dn_role, Some(DnRole::Origination));
    assert_eq!(dialing.other_dn.as_deref(), Some("2002"));
    assert_eq!(dialing.other_dn_role, Some(DnRole::Destination));
    assert_eq!(dialing.previous_conn_id, Some(main.conn_id));
    assert_eq!(dialing.this_queue, None);
    // It is about business because its main call is.
    assert_eq!(
        dialing.extensions.value("BusinessCall"),
        Some(&Value::Integer(1))
    );
    for (state, name) in [
        (PartyState::NetworkReached, EventName::NetworkReached),
        (PartyState::DtmfSent, EventName::DTMFSent),
    ] {
        let report = consulting(consult, main, state);
        assert_eq!(only(&desk.handle(Input::Party(report))).name, name);
    }
    let busy = PartyState::DestinationBusy(EndCause::Busy);
    assert_eq!(
        desk.party(consulting(consult, main, busy)),
        ["DestinationBusy Busy"]
    );
    let ended = PartyState::Ended(EndCause::Busy);
    assert_eq!(
        desk.party(consulting(consult, main, ended)),
        ["Released Busy"]
    );
    assert_eq!(desk.status().calls, 1);
}

#[test]
fn the_handset_is_up_once_for_all_calls() {
    let mut desk = Desk::new().ready();
    let main = desk.ringing();
    let answered = desk.handle(Input::Party(queued(main, PartyState::Established)));
    assert_eq!(names(&answered), ["OffHook", "Established"]);
    desk.party(queued(main, PartyState::Held));
    let consult = desk.new_call();
    let mut report = |state| {
        let outputs = desk.handle(Input::Party(consulting(consult, main, state)));
        names(&outputs)
    };
    assert_eq!(report(PartyState::Dialing), ["Dialing"]);
    assert_eq!(report(PartyState::Established), ["Established"]);
    let left = PartyState::Ended(EndCause::CallerReleased);
    assert_eq!(report(left), ["Released"]);
    let ended = queued(main, PartyState::Ended(EndCause::CallerReleased));
    let outputs = desk.handle(Input::Party(ended));
    assert_eq!(names(&outputs), ["AgentNotReady", "Released", "OnHook"]);
    // A call that the agent makes takes the handset up before it dials.
    let call = desk.new_call();
    let outputs = desk.handle(Input::Party(calling(call, PartyState::Dialing)));
    assert_eq!(names(&outputs), ["OffHook", "Dialing"]);
    let ended = calling(call, PartyState::Ended(EndCause::NoAnswer));
    assert_eq!(
        names(&desk.handle(Input::Party(ended))),
        ["Released", "OnHook"]
    );
}

#[test]
fn wrap_up_follows_the_last_call_of_the_contact_once() {
    let end = |desk: &mut Desk, party: Party, cause| {
        let state = PartyState::Ended(cause);
        desk.party(Party { state, ..party })
    };
    // A transfer: the consultation goes first, or the main call does.
    for consult_first in [true, false] {
        let mut desk = Desk::new().ready();
        let (main, consult) = in_consultation(&mut desk);
        let of_main = queued(main, PartyState::Held);
        let of_consult = consulting(consult, main, PartyState::Established);
        let (first, last) = if consult_first {
            (of_consult, of_main)
        } else {
            (of_main, of_consult)
        };
        assert_eq!(
            end(&mut desk, first, EndCause::Transferred),
            ["Released Transferred"]
        );
        assert_eq!(
            end(&mut desk, last, EndCause::Transferred),
            ["NotReady AfterCallWork", "Released Transferred"]
        );
        assert_eq!(desk.after(Duration::from_secs(30)), ["Ready ManualIn"]);
        assert_eq!(desk.after(Duration::from_secs(300)), NOTHING);
    }
    // The customer leaves while the agent still dials, and nobody answers that.
    let mut desk = Desk::new().ready();
    let main = desk.talking();
    desk.party(queued(main, PartyState::Held));
    let consult = desk.new_call();
    desk.party(consulting(consult, main, PartyState::Dialing));
    let of_main = queued(main, PartyState::Held);
    assert_eq!(
        end(&mut desk, of_main, EndCause::CallerReleased),
        ["Released RemoteRelease"]
    );
    let of_consult = consulting(consult, main, PartyState::Dialing);
    assert_eq!(
        end(&mut desk, of_consult, EndCause::NoAnswer),
        ["NotReady AfterCallWork", "Released NoAnswer"]
    );
}

#[test]
fn a_private_call_beside_a_business_call_has_no_part_in_its_wrap_up() {
    let mut desk = Desk::new().ready();
    let main = desk.talking();
    desk.party(queued(main, PartyState::Held));
    let private = desk.new_call();
    let dialing = only(&desk.handle(Input::Party(calling(private, PartyState::Dialing))));
    assert_eq!(dialing.extensions.value("BusinessCall"), None);
    let established = calling(private, PartyState::Established);
    let established = only(&desk.handle(Input::Party(established)));
    assert_eq!(established.extensions.value("WrapUpTime"), None);
    // The business is over, whatever else the agent talks about.
    let ended = queued(main, PartyState::Ended(EndCause::CallerReleased));
    assert_eq!(
        desk.party(ended),
        ["NotReady AfterCallWork", "Released RemoteRelease"]
    );
    assert_eq!(desk.after(Duration::from_secs(30)), ["Ready ManualIn"]);
    assert!(!desk.status().available, "in a call");
    let ended = calling(private, PartyState::Ended(EndCause::AgentReleased));
    assert_eq!(desk.party(ended), ["Released Ok"]);
    desk.after(TAIL);
    assert!(desk.status().available);
}

#[test]
fn a_business_call_during_wrap_up_lets_it_begin_anew() {
    let mut desk = Desk::new().ready().wrapping_up();
    let call = desk.new_call();
    desk.party(calling(call, PartyState::Dialing));
    let through_a_queue = Party {
        routing_point: Some(RoutingPointIndex(0)),
        ..calling(call, PartyState::Established)
    };
    desk.party(through_a_queue.clone());
    // Its class was settled when it was dialled: a private call leaves wrap-up alone.
    assert_eq!(desk.after(Duration::from_secs(30)), ["Ready ManualIn"]);
    let mut desk = Desk::new().ready().wrapping_up();
    let dialing = Party {
        state: PartyState::Dialing,
        ..through_a_queue.clone()
    };
    desk.party(dialing);
    desk.party(through_a_queue.clone());
    assert_eq!(desk.after(Duration::from_secs(300)), NOTHING);
    let ended = Party {
        state: PartyState::Ended(EndCause::CallerReleased),
        ..through_a_queue
    };
    assert_eq!(
        desk.party(ended),
        ["NotReady AfterCallWork", "Released RemoteRelease"]
    );
    assert_eq!(desk.after(Duration::from_secs(30)), ["Ready ManualIn"]);
}

#[test]
fn who_is_given_a_transferred_call_has_its_business_and_its_number() {
    let mut desk = Desk::new().ready();
    let (consult, main) = (desk.new_call(), desk.new_call());
    desk.reserve(consult, OfferSource::Direct);
    let asked = Party {
        info: info(consult, CallType::Consult),
        previous_conn_id: Some(main.conn_id),
        ..direct(consult, PartyState::Ringing)
    };
    assert_eq!(desk.party(asked.clone()), ["Ringing Ok"]);
    let answered = Party {
        state: PartyState::Established,
        ..asked
    };
    let established = only(&desk.handle(Input::Party(answered)));
    assert_eq!(established.extensions.value("WrapUpTime"), None);
    assert_eq!(established.previous_conn_id, Some(main.conn_id));
    let changed = Party {
        previous_conn_id: Some(consult.conn_id),
        other: Some(("5550100".into(), DnRole::Origination)),
        third: Some(("2002".into(), DnRole::TransferredBy)),
        call_state: CallState::Transferred,
        ..queued(main, PartyState::Changed)
    };
    let event = only(&desk.handle(Input::Party(changed.clone())));
    assert_eq!(event.name, EventName::PartyChanged);
    assert_eq!(event.call_state, Some(CallState::Transferred));
    assert_eq!(event.third_party_dn.as_deref(), Some("2002"));
    assert_eq!(event.third_party_dn_role, Some(DnRole::TransferredBy));
    assert_eq!(event.previous_conn_id, Some(consult.conn_id));
    assert_eq!(event.this_queue.as_deref(), Some("7000"));
    assert_eq!(desk.status().call, Some((main, Stage::Established)));
    let ended = queued(main, PartyState::Ended(EndCause::CallerReleased));
    assert_eq!(
        desk.party(ended),
        ["NotReady AfterCallWork", "Released RemoteRelease"]
    );
    assert_eq!(desk.party(changed), NOTHING, "a call that is over");
}

#[test]
fn a_call_that_is_changed_before_it_rings_is_another_quietly() {
    let mut desk = Desk::new().ready();
    let (consult, main) = (desk.new_call(), desk.new_call());
    desk.reserve(consult, OfferSource::Direct);
    let changed = Party {
        previous_conn_id: Some(consult.conn_id),
        ..queued(main, PartyState::Changed)
    };
    assert_eq!(desk.party(changed), NOTHING);
    assert_eq!(
        desk.party(queued(main, PartyState::Ringing)),
        ["Ringing Ok"]
    );
    assert_eq!(desk.status().calls, 1);
}

#[test]
fn a_conference_has_its_events_and_one_wrap_up() {
    let mut desk = Desk::new().ready();
    let (main, consult) = in_consultation(&mut desk);
    let joined = PartyState::Ended(EndCause::Conferenced);
    assert_eq!(
        desk.party(consulting(consult, main, joined)),
        ["Released Conferenced"]
    );
    assert_eq!(
        desk.party(queued(main, PartyState::Retrieved)),
        ["Retrieved Ok"]
    );
    for (state, shown) in [
        (PartyState::Added, "PartyAdded Conferenced"),
        (PartyState::Deleted, "PartyDeleted Conferenced"),
    ] {
        let report = Party {
            call_state: CallState::Conferenced,
            ..queued(main, state)
        };
        assert_eq!(desk.party(report), [shown]);
    }
    let ended = queued(main, PartyState::Ended(EndCause::AgentReleased));
    assert_eq!(desk.party(ended), ["NotReady AfterCallWork", "Released Ok"]);
}

#[test]
fn no_call_is_offered_beside_another() {
    let mut desk = Desk::new().ready();
    let (main, consult) = in_consultation(&mut desk);
    let refused = |desk: &mut Desk| {
        let call = desk.new_call();
        let of_queue = desk.reserve(call, OfferSource::Queue(SALES));
        assert_eq!(told_queues(&of_queue), [(SALES, "refused: busy")]);
        let direct = desk.reserve(call, OfferSource::Direct);
        let why = offhook::agent::RefusedOffer::Busy;
        let refusal = call::Input::DirectRefused { dn: DN, why };
        assert_eq!(direct, [Output::Call(call, refusal)]);
    };
    refused(&mut desk);
    let left = PartyState::Ended(EndCause::CallerReleased);
    desk.party(consulting(consult, main, left));
    refused(&mut desk);
    desk.party(queued(main, left));
    assert_eq!(desk.after(Duration::from_secs(30)), ["Ready ManualIn"]);
    desk.reserved();
}

#[test]
fn a_logout_waits_for_the_end_of_every_call() {
    let mut desk = Desk::with("on_disconnect = \"logout\"", "", "wrap_up = 30").ready();
    let (main, consult) = in_consultation(&mut desk);
    assert_eq!(desk.ask(logout()), ["*Error WrongState"]);
    desk.ask(offhook::cti::DesktopRequest::Gone);
    let left = PartyState::Ended(EndCause::CallerReleased);
    assert_eq!(desk.party(queued(main, left)), ["Released RemoteRelease"]);
    assert_eq!(
        desk.party(consulting(consult, main, left)),
        ["Released RemoteRelease", "Logout"]
    );
}

#[test]
fn presence_waits_for_the_end_of_every_call() {
    let mut desk = Desk::with("", "", "").ready();
    let (main, consult) = in_consultation(&mut desk);
    assert_eq!(desk.presence(busy()), NOTHING);
    let left = PartyState::Ended(EndCause::CallerReleased);
    desk.party(consulting(consult, main, left));
    assert_eq!(desk.after(TAIL), NOTHING, "the main call goes on");
    desk.party(queued(main, left));
    assert_eq!(desk.after(TAIL), ["NotReady Unknown on-the-phone"]);
}

#[test]
fn who_was_answered_hears_nothing_of_the_phone_that_is_sought_afterwards() {
    let mut desk = Desk::new().ready();
    let main = desk.ringing();
    desk.party(queued(main, PartyState::Established));
    desk.party(queued(main, PartyState::Held));
    let consult = desk.new_call();
    desk.party(consulting(consult, main, PartyState::Dialing));
    desk.party(consulting(consult, main, PartyState::Established));
    let report = consulting(consult, main, PartyState::NetworkReached);
    assert_eq!(desk.party(report), NOTHING);
}

#[test]
fn reports_about_calls_that_are_not_there_are_answered() {
    for state in [
        PartyState::Held,
        PartyState::Retrieved,
        PartyState::NetworkReached,
        PartyState::DestinationBusy(EndCause::Busy),
        PartyState::Changed,
        PartyState::Added,
        PartyState::Deleted,
        PartyState::DtmfSent,
        PartyState::Ended(EndCause::AgentReleased),
    ] {
        let mut desk = Desk::new().ready();
        let call = desk.new_call();
        let report = Party {
            previous_conn_id: Some(ConnId(7)),
            ..queued(call, state)
        };
        assert_eq!(desk.party(report.clone()), NOTHING, "{state:?}");
        let asked = Party {
            requested_by: Some(desk.requested_by()),
            ..report
        };
        assert_eq!(desk.party(asked), ["*ACK"], "{state:?}");
    }
}

#[test]
fn a_break_asked_for_during_a_consultation_is_what_follows() {
    let mut desk = Desk::new().ready();
    let (main, consult) = in_consultation(&mut desk);
    assert_eq!(
        desk.ask(not_ready(AgentWorkMode::AuxWork)),
        ["*NotReady AuxWork"]
    );
    let left = PartyState::Ended(EndCause::CallerReleased);
    desk.party(queued(main, left));
    assert_eq!(
        desk.party(consulting(consult, main, left)),
        ["Released RemoteRelease"]
    );
    assert_eq!(desk.standing(), "NotReady (Ready, NotReady)");
}
