//! Limits of a queue, and where callers go who meet one.

use offhook::agent::EndCause;
use offhook::call::{CallRef, QueueRefusal};
use offhook::config::{DnIndex, QueueIndex};
use offhook::cti::{CallState, ConnId, DnRole, ErrorCode};
use offhook::queue::{Input, Output, Place};
use offhook::sip::Status;

use super::hall::*;

const NOTHING: [&str; 0] = [];
const OTHER: QueueIndex = QueueIndex(1);

/// "sales" with these settings, and another queue that nobody dials.
fn hall(settings: &str) -> Hall {
    hall_of(settings, "overflow_full = \"queue:sales\"")
}

fn hall_of(settings: &str, other: &str) -> Hall {
    Hall::of(configuration(
        "[[agents]]\nrange = \"2001-2003\"\nqueues = [\"sales\", \"other\"]",
        &format!(
            "[[queue]]\nname = \"sales\"\n{settings}\n\
             [[queue]]\nname = \"other\"\ncapacity = 1\n{other}\n\
             [[routing_point]]\nnumber = \"7002\"\nqueue = \"other\"\n\
             [[calendar]]\nname = \"morning\"\ntime_zone = \"UTC\"\n\
             open = \"daily 00:00-12:00\""
        ),
    ))
}

fn present(hall: &mut Hall, dn: u32, present: bool) -> Vec<Output> {
    let dn = DnIndex(dn);
    hall.handle(Input::AgentPresent { dn, present })
}

/// The call's shard has sent it there.
fn goes(hall: &mut Hall, call: CallRef, destination: &str) -> Vec<Output> {
    hall.handle(Input::Forwarded {
        conn_id: call.conn_id,
        destination: destination.to_owned(),
    })
}

/// It has not.
fn stays(hall: &mut Hall, call: CallRef) -> Vec<Output> {
    hall.handle(Input::ForwardFailed {
        conn_id: call.conn_id,
        code: ErrorCode::InvalidCalledDN,
    })
}

fn place(hall: &Hall, call: CallRef) -> Option<Place> {
    hall.queues.place(SALES, call.conn_id)
}

fn not_answered(hall: &mut Hall, conn_id: ConnId, dn: u32) -> Vec<Output> {
    let (dn, cause) = (DnIndex(dn), EndCause::NoAnswer);
    hall.handle(Input::Ringing { conn_id, dn });
    hall.handle(Input::OfferFailed { conn_id, dn, cause })
}

#[test]
fn a_full_queue_sends_the_next_caller_elsewhere() {
    let mut hall = hall("capacity = 1\noverflow_full = \"number:+442079460000\"");
    hall.caller(PLAIN);
    let (call, outputs) = hall.enter(PLAIN);
    assert_eq!(in_short(&outputs), ["7000 Queued"]);
    assert_eq!(sent(&outputs), [(call.conn_id, "+442079460000".to_owned())]);
    // It is not offered to anybody meanwhile.
    hall.available(0, 1);
    assert_eq!(offers(&hall.available(1, 1)), []);
    let outputs = goes(&mut hall, call, "+442079460000");
    assert_eq!(in_short(&outputs), ["7000 Diverted +442079460000"]);
    let diverted = events_of(&outputs).next().unwrap();
    assert_eq!(diverted.call_state, Some(CallState::Overflowed));
    assert_eq!(diverted.third_party_dn_role, Some(DnRole::Destination));
    assert_eq!(place(&hall, call), None);
}

#[test]
fn who_may_not_come_in_and_cannot_go_elsewhere_is_refused() {
    let mut hall = hall("capacity = 1\noverflow_full = \"number:9\"");
    hall.caller(PLAIN);
    let (call, _) = hall.enter(PLAIN);
    let outputs = stays(&mut hall, call);
    assert_eq!(in_short(&outputs), ["7000 Released"]);
    let refusal = QueueRefusal::Full(Status::BUSY_HERE);
    assert_eq!(refused(&outputs), [(call.conn_id, refusal)]);
    assert_eq!(place(&hall, call), None);
}

#[test]
fn a_status_is_as_configured() {
    let mut hall = hall("capacity = 1\noverflow_full = \"status:600\"");
    hall.caller(PLAIN);
    let (call, outputs) = hall.enter(PLAIN);
    assert_eq!(in_short(&outputs), NOTHING);
    assert_eq!(
        refused(&outputs),
        [(call.conn_id, QueueRefusal::Full(Status(600)))]
    );
}

#[test]
fn nobody_goes_back_to_where_it_overflowed_from() {
    let mut hall = hall("capacity = 1\noverflow_full = \"queue:other\"");
    hall.caller(PLAIN);
    let (call, outputs) = hall.enter(PLAIN);
    assert_eq!(sent(&outputs), [(call.conn_id, "other".to_owned())]);
    goes(&mut hall, call, "other");
    let entry = hall.config.overflow_entry(OTHER);
    let enter = |hall: &mut Hall, call: CallRef| {
        let input = Input::Enter {
            call,
            info: info(call),
            routing_point: PLAIN,
            entry,
            since: hall.start,
            returns: false,
            beside: None,
            visited: Box::new([SALES]),
        };
        hall.handle_at(OTHER, input)
    };
    // At the queue's own address: the routing point has said that the call went there.
    assert_eq!(in_short(&enter(&mut hall, call)), ["other Queued"]);
    let late = hall.new_call();
    let outputs = enter(&mut hall, late);
    assert_eq!(
        (sent(&outputs), refused(&outputs)),
        (
            vec![],
            vec![(late.conn_id, QueueRefusal::Full(Status::BUSY_HERE))]
        )
    );
}

/// Its agent has failed, and it comes as it came before.
fn comes_back(hall: &mut Hall) -> (CallRef, Vec<Output>) {
    let call = hall.new_call();
    let nothing = offhook::cti::KeyValueList::new();
    let entry = hall.config.route(PLAIN, None, &nothing)[0];
    let input = Input::Enter {
        call,
        info: info(call),
        beside: None,
        routing_point: PLAIN,
        entry,
        since: hall.start,
        returns: true,
        visited: Box::new([]),
    };
    let outputs = hall.handle(input);
    (call, outputs)
}

#[test]
fn who_comes_back_from_a_failed_agent_is_not_kept_out() {
    // As many wait as may, all of whom came later.
    let mut hall = hall("capacity = 1");
    let later = hall.caller(PLAIN);
    let (call, outputs) = comes_back(&mut hall);
    assert_eq!(in_short(&outputs), ["7000 Queued"]);
    assert_eq!(place(&hall, call), Some(Place::Waiting));
    let waiting: Vec<ConnId> = hall.queues.waiting(SALES).collect();
    assert_eq!(waiting, [call.conn_id, later.conn_id]);
    // Or the queue has closed since.
    let mut hall = hall_of("calendar = \"morning\"", "");
    hall.pass(12 * 3_600);
    let (call, _) = comes_back(&mut hall);
    assert_eq!(place(&hall, call), Some(Place::Waiting));
}

#[test]
fn who_comes_back_to_a_deserted_queue_goes_where_those_go_who_wait() {
    let mut hall = hall("overflow_no_agents = \"number:9\"");
    let (call, outputs) = comes_back(&mut hall);
    assert_eq!(sent(&outputs), [(call.conn_id, "9".to_owned())]);
    stays(&mut hall, call);
    assert_eq!(place(&hall, call), Some(Place::Waiting));
}

#[test]
fn a_number_that_leads_back_to_the_same_queue_leads_nowhere() {
    // By its own routing point, one who waits waits on.
    let mut hall = hall("wait_max = 60\noverflow_wait = \"number:7000\"");
    let (call, _) = hall.enter(PLAIN);
    assert_eq!(sent(&hall.pass(60)), []);
    assert_eq!(place(&hall, call), Some(Place::Waiting));
    // By that of a queue that it came from, one who may not come in is refused.
    let mut hall = hall_of("capacity = 1", "overflow_full = \"number:7000\"");
    for _ in 0..2 {
        let call = hall.new_call();
        let input = Input::Enter {
            call,
            info: info(call),
            routing_point: PLAIN,
            entry: hall.config.overflow_entry(OTHER),
            since: hall.start,
            returns: false,
            beside: None,
            visited: Box::new([SALES]),
        };
        let outputs = hall.handle_at(OTHER, input);
        assert_eq!(sent(&outputs), []);
    }
}

#[test]
fn a_caller_waits_no_longer_than_it_may() {
    let mut hall = hall("wait_max = 60\noverflow_wait = \"number:2003\"");
    let (call, _) = hall.enter(PLAIN);
    assert_eq!(sent(&hall.pass(59)), []);
    assert_eq!(sent(&hall.pass(1)), [(call.conn_id, "2003".to_owned())]);
    // Where it cannot go it waits on, and is not sent again and again.
    assert_eq!(in_short(&stays(&mut hall, call)), NOTHING);
    assert_eq!(place(&hall, call), Some(Place::Waiting));
    assert_eq!(sent(&hall.pass(600)), []);
    assert_eq!(offers(&hall.available(0, 1)), [(0, call.conn_id)]);
}

#[test]
fn a_caller_whose_time_is_over_is_told_so() {
    let mut hall = hall("wait_max = 60");
    let (call, _) = hall.enter(PLAIN);
    let outputs = hall.pass(60);
    assert_eq!(in_short(&outputs), ["7000 Released"]);
    let refusal = QueueRefusal::Limit(Status::TEMPORARILY_UNAVAILABLE);
    assert_eq!(refused(&outputs), [(call.conn_id, refusal)]);
    assert_eq!(hall.queues.poll_timeout(), None);
}

#[test]
fn a_phone_that_rings_may_still_be_answered_when_the_time_is_over() {
    let mut hall = hall("wait_max = 10");
    hall.available(0, 1);
    let (call, _) = hall.enter(PLAIN);
    let conn_id = call.conn_id;
    hall.handle(Input::Ringing {
        conn_id,
        dn: DnIndex(0),
    });
    assert_eq!(refused(&hall.pass(10)), []);
    let outputs = not_answered(&mut hall, conn_id, 0);
    assert_eq!(in_short(&outputs), ["7000 Queued", "7000 Released"]);
    assert_eq!(refused(&outputs).len(), 1);
}

#[test]
fn without_an_agent_nobody_waits() {
    let mut hall = hall("overflow_no_agents = \"number:2003\"");
    let (call, outputs) = hall.enter(PLAIN);
    assert_eq!(sent(&outputs), [(call.conn_id, "2003".to_owned())]);
    goes(&mut hall, call, "2003");
    present(&mut hall, 0, true);
    present(&mut hall, 1, true);
    let (first, outputs) = hall.enter(PLAIN);
    assert_eq!(sent(&outputs), []);
    let second = hall.caller(PLAIN);
    assert_eq!(sent(&present(&mut hall, 0, false)), []);
    let expected = [first, second].map(|call| (call.conn_id, "2003".to_owned()));
    assert_eq!(sent(&present(&mut hall, 1, false)), expected);
    assert_eq!(sent(&present(&mut hall, 1, false)), [], "once");
}

#[test]
fn it_matters_to_few_queues_whether_anybody_is_logged_in() {
    let mut hall = hall("");
    let (call, outputs) = hall.enter(PLAIN);
    assert_eq!((sent(&outputs), refused(&outputs)), (vec![], vec![]));
    assert_eq!(place(&hall, call), Some(Place::Waiting));
}

#[test]
fn a_closed_queue_takes_nobody_and_keeps_who_waits() {
    let mut hall = hall("calendar = \"morning\"\noverflow_closed = \"status:404\"");
    let (early, _) = hall.enter(PLAIN);
    hall.pass(12 * 3_600);
    let (late, outputs) = hall.enter(PLAIN);
    assert_eq!(
        refused(&outputs),
        [(late.conn_id, QueueRefusal::Limit(Status(404)))]
    );
    assert_eq!(place(&hall, early), Some(Place::Waiting));
    hall.pass(12 * 3_600);
    assert_eq!(refused(&hall.enter(PLAIN).1), []);
}

#[test]
fn those_who_did_not_answer_a_caller_come_last_for_it() {
    let mut hall = hall("");
    let call = hall.caller(PLAIN);
    let other = hall.caller(PLAIN);
    assert_eq!(offers(&hall.available(0, 1)), [(0, call.conn_id)]);
    not_answered(&mut hall, call.conn_id, 0);
    // The other caller is not ahead of it for that.
    assert_eq!(offers(&hall.available(0, 5)), [(0, call.conn_id)]);
    not_answered(&mut hall, call.conn_id, 0);
    hall.handle(Input::Left {
        conn_id: other.conn_id,
        cause: EndCause::CallerAbandoned,
    });
    hall.handle(Input::Left {
        conn_id: call.conn_id,
        cause: EndCause::CallerAbandoned,
    });
    // With two to choose from, the one who has not let it ring yet.
    let call = hall.caller(PLAIN);
    hall.available(0, 1);
    not_answered(&mut hall, call.conn_id, 0);
    let first = hall.caller(URGENT);
    assert_eq!(offers(&hall.available(2, 1)), [(2, first.conn_id)]);
    hall.available(0, 1);
    assert_eq!(place(&hall, call), Some(Place::Offered(DnIndex(0))));
}

#[test]
fn a_caller_is_not_rung_for_without_end() {
    let mut hall = hall("no_answer_max = 2\noverflow_no_answer = \"number:9\"");
    let call = hall.caller(PLAIN);
    hall.available(0, 1);
    assert_eq!(sent(&not_answered(&mut hall, call.conn_id, 0)), []);
    hall.available(1, 1);
    let outputs = not_answered(&mut hall, call.conn_id, 1);
    assert_eq!(sent(&outputs), [(call.conn_id, "9".to_owned())]);
    assert_eq!(in_short(&outputs), ["7000 Queued"]);
    // If it cannot go, it is rung for as often again.
    stays(&mut hall, call);
    hall.available(2, 1);
    assert_eq!(sent(&not_answered(&mut hall, call.conn_id, 2)), []);
    assert_eq!(place(&hall, call), Some(Place::Waiting));
}

#[test]
fn who_comes_back_from_the_last_agent_who_has_logged_out_goes_elsewhere() {
    let mut hall = hall("overflow_no_agents = \"number:9\"");
    present(&mut hall, 0, true);
    hall.available(0, 1);
    let call = hall.caller(PLAIN);
    let (conn_id, dn) = (call.conn_id, DnIndex(0));
    hall.handle(Input::Ringing { conn_id, dn });
    assert_eq!(sent(&present(&mut hall, 0, false)), []);
    let cause = EndCause::Unreachable;
    let outputs = hall.handle(Input::OfferFailed { conn_id, dn, cause });
    assert_eq!(sent(&outputs), [(conn_id, "9".to_owned())]);
    // Where it cannot go it waits on, and is not sent again and again.
    assert_eq!(sent(&stays(&mut hall, call)), []);
    assert_eq!(place(&hall, call), Some(Place::Waiting));
    // It waits for whoever has come meanwhile.
    present(&mut hall, 0, true);
    hall.available(0, 2);
    present(&mut hall, 0, false);
    present(&mut hall, 1, true);
    let outputs = hall.handle(Input::OfferFailed { conn_id, dn, cause });
    assert_eq!(sent(&outputs), []);
    assert_eq!(place(&hall, call), Some(Place::Waiting));
}

#[test]
fn who_is_sent_to_a_number_that_does_not_answer_waits_on() {
    let mut hall = hall("wait_max = 60\noverflow_wait = \"number:9\"");
    for answers in [false, true] {
        let call = hall.caller(PLAIN);
        assert_eq!(sent(&hall.pass(60)), [(call.conn_id, "9".to_owned())]);
        let rings = Input::ForwardRings {
            conn_id: call.conn_id,
            destination: "9".to_owned(),
        };
        let outputs = hall.handle(rings.clone());
        assert_eq!(in_short(&outputs), ["7000 Diverted 9"]);
        let state = events_of(&outputs).next().unwrap().call_state;
        assert_eq!(state, Some(CallState::Overflowed));
        assert_eq!(in_short(&hall.handle(rings)), NOTHING);
        assert_eq!(place(&hall, call), Some(Place::Leaving));
        if answers {
            assert_eq!(in_short(&goes(&mut hall, call, "9")), NOTHING);
            assert_eq!(place(&hall, call), None);
        } else {
            assert_eq!(in_short(&stays(&mut hall, call)), ["7000 Queued"]);
            assert_eq!(place(&hall, call), Some(Place::Waiting));
            assert_eq!(sent(&hall.pass(600)), []);
        }
    }
}

#[test]
fn an_agent_who_sends_the_call_elsewhere_gets_the_next_and_has_left_nobody_unanswered() {
    let mut hall = hall("no_answer_max = 1");
    hall.available(0, 1);
    let call = hall.caller(PLAIN);
    let (conn_id, dn) = (call.conn_id, DnIndex(0));
    hall.handle(Input::Ringing { conn_id, dn });
    hall.handle(Input::Redirected { conn_id, dn });
    assert_eq!(place(&hall, call), Some(Place::Elsewhere(dn)));
    let next = hall.caller(PLAIN);
    assert_eq!(offers(&hall.available(0, 2)), [(0, next.conn_id)]);
    let cause = EndCause::Redirected;
    let outputs = hall.handle(Input::OfferFailed { conn_id, dn, cause });
    assert_eq!(in_short(&outputs), ["7000 Queued"]);
    assert_eq!(refused(&outputs), []);
    assert_eq!(place(&hall, next), Some(Place::Offered(dn)));
}
