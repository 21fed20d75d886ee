//! Who gets whom: order of callers and agents, failed offers, and what clients see of it.

use offhook::agent::{EndCause, RefusedOffer};
use offhook::call::{self, QueueRefusal};
use offhook::config::DnIndex;
use offhook::cti::{CallState, DnRole};
use offhook::queue::{Input, Output, Place};
use offhook::sip::Status;

use super::hall::*;

const NOTHING: [&str; 0] = [];

#[test]
fn an_agent_who_becomes_available_gets_the_caller_who_waits_longest() {
    let mut hall = Hall::new();
    let (first, _second) = (hall.caller(PLAIN), hall.caller(PLAIN));
    assert_eq!(offers(&hall.available(0, 1)), [(0, first.conn_id)]);
}

#[test]
fn a_caller_gets_the_agent_idle_longest() {
    let mut hall = Hall::new();
    for (dn, seconds) in [(0, 3), (1, 1), (2, 2)] {
        assert_eq!(offers(&hall.available(dn, seconds)), []);
    }
    let order: Vec<u32> = (0..3).map(|_| offers(&hall.enter(PLAIN).1)[0].0).collect();
    assert_eq!(order, [1, 2, 0]);
}

#[test]
fn priority_comes_before_age() {
    let mut hall = Hall::new();
    let plain = hall.caller(PLAIN);
    let urgent = hall.caller(URGENT);
    assert_eq!(offers(&hall.available(0, 9)), [(0, urgent.conn_id)]);
    assert_eq!(offers(&hall.available(1, 9)), [(1, plain.conn_id)]);
}

#[test]
fn one_agent_is_offered_one_call_until_it_speaks_again() {
    let mut hall = Hall::new();
    let (first, second) = (hall.caller(PLAIN), hall.caller(PLAIN));
    assert_eq!(offers(&hall.available(0, 1)), [(0, first.conn_id)]);
    // This word may be older than the offer: it counts when the offer has come to an end.
    assert_eq!(offers(&hall.available(0, 2)), []);
    let (conn_id, dn) = (first.conn_id, DnIndex(0));
    assert_eq!(
        offers(&hall.handle(Input::Answered { conn_id, dn })),
        [(0, second.conn_id)]
    );
}

#[test]
fn a_refused_call_keeps_its_place_and_goes_to_the_next_agent() {
    let mut hall = Hall::new();
    hall.available(0, 1);
    let first = hall.caller(PLAIN);
    let second = hall.caller(PLAIN);
    let (conn_id, dn, why) = (first.conn_id, DnIndex(0), RefusedOffer::NotReady);
    let outputs = hall.handle(Input::Refused { conn_id, dn, why });
    assert_eq!(
        (offers(&outputs).len(), in_short(&outputs).len()),
        (0, 0),
        "the agent is not free"
    );
    assert!(
        hall.queues
            .waiting(SALES)
            .eq([first.conn_id, second.conn_id])
    );
    assert_eq!(offers(&hall.available(1, 9)), [(1, first.conn_id)]);
}

#[test]
fn a_call_that_was_not_answered_keeps_place_and_age() {
    for cause in [
        EndCause::NoAnswer,
        EndCause::Busy,
        EndCause::Declined,
        EndCause::Unreachable,
    ] {
        let mut hall = Hall::new();
        hall.available(0, 1);
        let first = hall.caller(PLAIN);
        let (conn_id, dn) = (first.conn_id, DnIndex(0));
        let outputs = hall.handle(Input::Ringing { conn_id, dn });
        assert_eq!(in_short(&outputs), ["7000 Diverted 2001"]);
        let second = hall.caller(PLAIN);
        let outputs = hall.handle(Input::OfferFailed { conn_id, dn, cause });
        assert_eq!(in_short(&outputs), ["7000 Queued"], "{cause:?}");
        assert!(
            hall.queues
                .waiting(SALES)
                .eq([first.conn_id, second.conn_id])
        );
        assert_eq!(offers(&hall.available(1, 9)), [(1, first.conn_id)]);
        let outputs = hall.handle(Input::Ringing {
            conn_id,
            dn: DnIndex(1),
        });
        assert_eq!(
            in_short(&outputs),
            ["7000 Diverted 2002"],
            "once a distribution"
        );
    }
}

#[test]
fn a_phone_that_never_rang_leaves_no_trace() {
    let mut hall = Hall::new();
    hall.available(0, 1);
    let (conn_id, dn) = (hall.caller(PLAIN).conn_id, DnIndex(0));
    let outputs = hall.handle(Input::OfferFailed {
        conn_id,
        dn,
        cause: EndCause::Busy,
    });
    assert_eq!(in_short(&outputs), NOTHING);
    assert_eq!(hall.queues.place(SALES, conn_id), Some(Place::Waiting));
}

#[test]
fn an_answer_without_ringing_diverts_too() {
    let mut hall = Hall::new();
    hall.available(0, 1);
    let (conn_id, dn) = (hall.caller(PLAIN).conn_id, DnIndex(0));
    let outputs = hall.handle(Input::Answered { conn_id, dn });
    assert_eq!(in_short(&outputs), ["7000 Diverted 2001"]);
    assert_eq!(hall.queues.place(SALES, conn_id), None);
}

#[test]
fn a_caller_who_gives_up_is_abandoned_where_clients_see_it() {
    let mut hall = Hall::new();
    let cause = EndCause::CallerAbandoned;
    // In the line, and while an agent is being reserved: at the routing point.
    let conn_id = hall.caller(PLAIN).conn_id;
    let outputs = hall.handle(Input::Left { conn_id, cause });
    assert_eq!(in_short(&outputs), ["7000 Abandoned"]);
    assert_eq!(
        events_of(&outputs).next().unwrap().call_state,
        Some(CallState::Abandoned)
    );
    hall.available(0, 1);
    let conn_id = hall.caller(PLAIN).conn_id;
    assert_eq!(
        in_short(&hall.handle(Input::Left { conn_id, cause })),
        ["7000 Abandoned"]
    );
    // While the phone rings: at the agent's DN, which is not the queue's to tell.
    hall.available(1, 1);
    let conn_id = hall.caller(PLAIN).conn_id;
    hall.handle(Input::Ringing {
        conn_id,
        dn: DnIndex(1),
    });
    assert_eq!(
        in_short(&hall.handle(Input::Left { conn_id, cause })),
        NOTHING
    );
    assert_eq!(hall.queues.status(SALES).unwrap().calls, 0);
}

#[test]
fn words_about_calls_that_are_gone_change_nothing() {
    let mut hall = Hall::new();
    hall.available(0, 1);
    let (conn_id, dn) = (hall.caller(PLAIN).conn_id, DnIndex(0));
    hall.handle(Input::Left {
        conn_id,
        cause: EndCause::CallerAbandoned,
    });
    let why = RefusedOffer::Busy;
    for input in [
        Input::Ringing { conn_id, dn },
        Input::Answered { conn_id, dn },
        Input::OfferFailed {
            conn_id,
            dn,
            cause: EndCause::Busy,
        },
        Input::Refused { conn_id, dn, why },
        Input::Left {
            conn_id,
            cause: EndCause::CallerAbandoned,
        },
        Input::AgentUnavailable { dn },
    ] {
        assert_eq!(hall.handle(input), []);
    }
}

#[test]
fn a_refusal_that_is_late_does_not_touch_the_next_offer() {
    let mut hall = Hall::new();
    hall.available(0, 1);
    let conn_id = hall.caller(PLAIN).conn_id;
    hall.handle(Input::Refused {
        conn_id,
        dn: DnIndex(0),
        why: RefusedOffer::Busy,
    });
    hall.available(1, 1);
    assert_eq!(
        hall.queues.place(SALES, conn_id),
        Some(Place::Offered(DnIndex(1)))
    );
    hall.handle(Input::Refused {
        conn_id,
        dn: DnIndex(0),
        why: RefusedOffer::Busy,
    });
    assert_eq!(
        hall.queues.place(SALES, conn_id),
        Some(Place::Offered(DnIndex(1)))
    );
}

#[test]
fn a_full_queue_takes_no_more() {
    let mut hall = Hall::new();
    hall.available(0, 1);
    for _ in 0..3 {
        assert_eq!(in_short(&hall.enter(PLAIN).1), ["7000 Queued"]);
    }
    let (call, outputs) = hall.enter(URGENT);
    let refusal = QueueRefusal::Full(Status::BUSY_HERE);
    assert_eq!(
        outputs,
        [Output::Call(call, call::Input::QueueRefused { refusal })]
    );
}

#[test]
fn depth_is_told_on_change() {
    let mut hall = Hall::new();
    assert_eq!(depths(&hall.available(0, 1)), [(0, 1)]);
    assert_eq!(depths(&hall.available(0, 2)), []);
    let (call, outputs) = hall.enter(PLAIN);
    assert_eq!(depths(&outputs), [(1, 0)], "offered callers count");
    let (conn_id, dn) = (call.conn_id, DnIndex(0));
    assert_eq!(depths(&hall.handle(Input::Ringing { conn_id, dn })), []);
    assert_eq!(
        depths(&hall.handle(Input::Answered { conn_id, dn })),
        [(0, 0)]
    );
}

#[test]
fn events_at_the_routing_point_name_everything() {
    let mut hall = Hall::new();
    let (call, outputs) = hall.enter(URGENT);
    let queued = events_of(&outputs).next().unwrap();
    assert_eq!(
        (&*queued.this_dn, queued.this_queue.as_deref()),
        ("7001", Some("7001"))
    );
    assert_eq!(queued.this_dn_role, Some(DnRole::Destination));
    assert_eq!(queued.call_state, Some(CallState::Ok));
    assert_eq!(queued.call.as_ref().unwrap().conn_id, call.conn_id);
    hall.available(2, 1);
    let outputs = hall.handle(Input::Ringing {
        conn_id: call.conn_id,
        dn: DnIndex(2),
    });
    let diverted = events_of(&outputs).next().unwrap();
    assert_eq!(diverted.third_party_dn.as_deref(), Some("2003"));
    assert_eq!(diverted.third_party_dn_role, Some(DnRole::Destination));
    assert_eq!(diverted.call_state, Some(CallState::Ok));
}

#[test]
fn attached_data_shows_at_the_routing_point_until_the_call_is_diverted() {
    let mut hall = Hall::new();
    let call = hall.caller(PLAIN);
    let conn_id = call.conn_id;
    let changed = |requested_by| Input::UserDataChanged {
        conn_id,
        info: info(call),
        requested_by,
        changed_by: "2001".into(),
    };
    let asked = Some(hall.requested_by());
    assert_eq!(
        in_short(&hall.handle(changed(None))),
        ["7000 AttachedDataChanged 2001"]
    );
    assert_eq!(
        in_short(&hall.handle(changed(asked))),
        ["7000 *AttachedDataChanged 2001"]
    );
    hall.available(0, 1);
    hall.handle(Input::Ringing {
        conn_id,
        dn: DnIndex(0),
    });
    assert_eq!(in_short(&hall.handle(changed(None))), NOTHING);
}

#[test]
fn whoever_changes_the_data_of_a_call_that_just_left_is_answered() {
    let mut hall = Hall::new();
    let call = hall.new_call();
    let requested_by = Some(hall.requested_by());
    let outputs = hall.handle(Input::UserDataChanged {
        conn_id: call.conn_id,
        info: info(call),
        requested_by,
        changed_by: "7000".into(),
    });
    assert_eq!(in_short(&outputs), ["sales *ACK"]);
}
