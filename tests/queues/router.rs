//! A router at a routing point: asked, answering, refused, silent, gone.

use std::time::Duration;

use compact_str::CompactString;
use offhook::agent::{EndCause, RefusedOffer};
use offhook::call::{self, CallRef, QueueRefusal};
use offhook::config::DnIndex;
use offhook::cti::{
    ClientId, ConnId, ErrorCode, EventName, KeyValueList, RouteRequest, RouteType, Value,
};
use offhook::queue::{Input, Output, Place};

use super::hall::*;

const NOTHING: [&str; 0] = [];

fn present(hall: &mut Hall, there: bool) -> Vec<Output> {
    let requested_by = hall.requested_by();
    let request = RouteRequest::Router(there.then_some(ClientId(1)));
    hall.handle(Input::Router {
        routing_point: PLAIN,
        requested_by,
        request,
    })
}

fn route(hall: &mut Hall, conn_id: ConnId, to: Option<&str>, by: RouteType) -> Vec<Output> {
    let requested_by = hall.requested_by();
    let (other_dn, reasons) = (to.map(str::to_owned), KeyValueList::new());
    let request = RouteRequest::Call {
        conn_id,
        other_dn,
        route_type: by,
        reasons,
    };
    hall.handle(Input::Router {
        routing_point: PLAIN,
        requested_by,
        request,
    })
}

/// A router is there and was asked about a call; two agents are ready.
fn asked() -> (Hall, CallRef) {
    let mut hall = Hall::new();
    hall.available(0, 1);
    hall.available(1, 2);
    present(&mut hall, true);
    let (call, outputs) = hall.enter(PLAIN);
    assert_eq!(in_short(&outputs), ["7000 Queued", "7000 RouteRequest"]);
    assert_eq!(events_of(&outputs).nth(1).unwrap().route_reference, Some(1));
    assert_eq!(offers(&outputs), [], "the router's choice");
    (hall, call)
}

#[test]
fn the_router_chooses_and_is_answered_when_the_phone_rings() {
    let (mut hall, call) = asked();
    let conn_id = call.conn_id;
    let outputs = route(&mut hall, conn_id, Some("2002"), RouteType::Direct);
    assert_eq!(
        (offers(&outputs), in_short(&outputs)),
        (vec![(1, conn_id)], vec![])
    );
    let outputs = hall.handle(Input::Ringing {
        conn_id,
        dn: DnIndex(1),
    });
    assert_eq!(
        in_short(&outputs),
        ["7000 *RouteUsed 2002", "7000 Diverted 2002"]
    );
    assert_eq!(
        events_of(&outputs).next().unwrap().route_type,
        Some(RouteType::Direct)
    );
    hall.handle(Input::Answered {
        conn_id,
        dn: DnIndex(1),
    });
    assert_eq!(hall.queues.place(SALES, conn_id), None);
}

#[test]
fn other_routing_points_keep_their_own_strategy() {
    let (mut hall, _) = asked();
    let (call, outputs) = hall.enter(URGENT);
    assert_eq!(offers(&outputs), [(0, call.conn_id)]);
}

#[test]
fn a_refused_choice_may_be_made_again() {
    let (mut hall, call) = asked();
    let conn_id = call.conn_id;
    route(&mut hall, conn_id, Some("2003"), RouteType::Direct);
    let why = RefusedOffer::LoggedOut;
    let outputs = hall.handle(Input::Refused {
        conn_id,
        dn: DnIndex(2),
        why,
    });
    assert_eq!(in_short(&outputs), ["7000 *Error DestinationState"]);
    assert_eq!(hall.queues.place(SALES, conn_id), Some(Place::Asked));
    let outputs = route(&mut hall, conn_id, Some("2001"), RouteType::DirectAgent);
    assert_eq!(offers(&outputs), [(0, conn_id)]);
}

#[test]
fn an_agent_who_fails_before_it_rings_is_an_error_and_after_it_a_new_request() {
    let (mut hall, call) = asked();
    let (conn_id, dn) = (call.conn_id, DnIndex(0));
    route(&mut hall, conn_id, Some("2001"), RouteType::Direct);
    let outputs = hall.handle(Input::OfferFailed {
        conn_id,
        dn,
        cause: EndCause::Busy,
    });
    assert_eq!(in_short(&outputs), ["7000 *Error Busy"]);
    route(&mut hall, conn_id, Some("2001"), RouteType::Direct);
    hall.handle(Input::Ringing { conn_id, dn });
    let outputs = hall.handle(Input::OfferFailed {
        conn_id,
        dn,
        cause: EndCause::NoAnswer,
    });
    assert_eq!(in_short(&outputs), ["7000 Queued", "7000 RouteRequest"]);
    assert_eq!(events_of(&outputs).nth(1).unwrap().route_reference, Some(2));
}

#[test]
fn a_silent_or_lost_router_leaves_the_call_to_the_queue() {
    let (mut hall, call) = asked();
    assert_eq!(
        hall.queues.poll_timeout(),
        Some(hall.now + Duration::from_secs(5))
    );
    hall.now += Duration::from_secs(5);
    hall.queues.handle_timeout(hall.now);
    assert_eq!(offers(&hall.outputs()), [(0, call.conn_id)]);

    let (mut hall, call) = asked();
    let outputs = present(&mut hall, false);
    assert_eq!(offers(&outputs), [(0, call.conn_id)]);
    assert_eq!(
        hall.queues.poll_timeout(),
        None,
        "nothing waits for it any more"
    );
    assert_eq!(in_short(&hall.enter(PLAIN).1), ["7000 Queued"]);
}

#[test]
fn the_default_route_is_the_queues_own_strategy() {
    let (mut hall, call) = asked();
    let outputs = route(&mut hall, call.conn_id, None, RouteType::Default);
    assert_eq!(in_short(&outputs), ["7000 *RouteUsed"]);
    assert_eq!(offers(&outputs), [(0, call.conn_id)]);
    let outputs = hall.handle(Input::Ringing {
        conn_id: call.conn_id,
        dn: DnIndex(0),
    });
    assert_eq!(
        in_short(&outputs),
        ["7000 Diverted 2001"],
        "the router has its answer"
    );
}

#[test]
fn a_router_may_end_the_call() {
    let (mut hall, call) = asked();
    let outputs = route(&mut hall, call.conn_id, None, RouteType::CallDisconnect);
    assert_eq!(in_short(&outputs), ["7000 *RouteUsed", "7000 Released"]);
    let refusal = QueueRefusal::Disconnected;
    assert!(outputs.contains(&Output::Call(call, call::Input::QueueRefused { refusal })));
    assert_eq!(hall.queues.place(SALES, call.conn_id), None);
}

#[test]
fn impossible_wishes_are_refused_and_the_call_waits() {
    for (to, by, code) in [
        (Some("7000"), RouteType::Direct, "InvalidCalledDN"),
        (Some("sales"), RouteType::Unknown, "InvalidCalledDN"),
        (None, RouteType::Direct, "InvalidAttribute"),
        (None, RouteType::Label, "InvalidAttribute"),
        (Some("x"), RouteType::Announcement, "UnsupportedOperation"),
    ] {
        let (mut hall, call) = asked();
        let outputs = route(&mut hall, call.conn_id, to, by);
        assert_eq!(in_short(&outputs), [format!("7000 *Error {code}")]);
        assert_eq!(hall.queues.place(SALES, call.conn_id), Some(Place::Asked));
    }
}

#[test]
fn a_router_that_takes_over_is_asked_what_the_one_before_left_open() {
    let (mut hall, call) = asked();
    let answered = hall.caller(PLAIN);
    route(&mut hall, answered.conn_id, Some("2002"), RouteType::Direct);
    let requested_by = hall.requested_by();
    let mut comes = |client| {
        hall.handle(Input::Router {
            routing_point: PLAIN,
            requested_by,
            request: RouteRequest::Router(Some(ClientId(client))),
        })
    };
    let outputs = comes(2);
    assert_eq!(in_short(&outputs), ["7000 RouteRequest"]);
    let asked = events_of(&outputs).next().unwrap();
    assert_eq!(asked.call.as_ref().unwrap().conn_id, call.conn_id);
    assert_eq!(asked.route_reference, Some(3));
    assert_eq!(in_short(&comes(2)), NOTHING);
}

#[test]
fn a_router_may_give_the_call_another_dnis() {
    let (mut hall, call) = asked();
    let conn_id = call.conn_id;
    let outputs = route(&mut hall, conn_id, Some("2002"), RouteType::OverwriteDNIS);
    assert_eq!(offers(&outputs), [(1, conn_id)]);
    let dnis = call::Input::Dnis(Some("2002".into()));
    assert!(outputs.contains(&Output::Call(call, dnis)));
    let dn = DnIndex(1);
    let outputs = hall.handle(Input::Ringing { conn_id, dn });
    let used = events_of(&outputs).next().unwrap();
    assert_eq!(used.call.as_ref().unwrap().dnis.as_deref(), Some("2002"));
}

#[test]
fn a_number_that_is_no_agents_is_for_the_calls_shard() {
    for (to, by) in [
        ("7001", RouteType::Unknown),
        ("+442079460000", RouteType::Direct),
        // Outside, although an agent has this number.
        ("2001", RouteType::Label),
    ] {
        let (mut hall, call) = asked();
        let conn_id = call.conn_id;
        let outputs = route(&mut hall, conn_id, Some(to), by);
        assert_eq!(offers(&outputs), []);
        assert_eq!(sent(&outputs), [(conn_id, to.to_owned())]);
        assert_eq!(hall.queues.place(SALES, conn_id), Some(Place::Leaving));
        // Until it has gone, nobody else gets it, and the router may not ask again.
        assert_eq!(hall.queues.poll_timeout(), None);
        let again = route(&mut hall, conn_id, Some("2002"), RouteType::Direct);
        assert_eq!(in_short(&again), ["7000 *Error WrongState"]);
        let destination = to.to_owned();
        let outputs = hall.handle(Input::Forwarded {
            conn_id,
            destination,
        });
        let expected = ["*RouteUsed", "Diverted"].map(|event| format!("7000 {event} {to}"));
        assert_eq!(in_short(&outputs), expected);
        assert_eq!(hall.queues.place(SALES, conn_id), None);
    }
}

#[test]
fn a_call_that_could_not_go_there_waits_for_the_router() {
    let (mut hall, call) = asked();
    let conn_id = call.conn_id;
    route(&mut hall, conn_id, Some("9999"), RouteType::Direct);
    let code = ErrorCode::InvalidCalledDN;
    let outputs = hall.handle(Input::ForwardFailed { conn_id, code });
    assert_eq!(in_short(&outputs), ["7000 *Error InvalidCalledDN"]);
    assert_eq!(hall.queues.place(SALES, conn_id), Some(Place::Asked));
    // A caller who leaves on the way answers the router too.
    route(&mut hall, conn_id, Some("9999"), RouteType::Direct);
    let cause = EndCause::CallerAbandoned;
    let outputs = hall.handle(Input::Left { conn_id, cause });
    assert_eq!(
        in_short(&outputs),
        ["7000 *Error InvalidConnID", "7000 Abandoned"]
    );
    assert_eq!(hall.handle(Input::ForwardFailed { conn_id, code }), []);
}

#[test]
fn a_call_that_is_not_here_or_not_free_cannot_be_routed() {
    let (mut hall, call) = asked();
    let nobody = hall.new_call().conn_id;
    let outputs = route(&mut hall, nobody, Some("2001"), RouteType::Direct);
    assert_eq!(in_short(&outputs), ["7000 *Error InvalidConnID"]);
    let elsewhere = hall.caller(URGENT).conn_id;
    let outputs = route(&mut hall, elsewhere, Some("2002"), RouteType::Direct);
    assert_eq!(in_short(&outputs), ["7000 *Error InvalidConnID"]);
    // 2001 is being offered the call of the other routing point.
    let outputs = route(&mut hall, call.conn_id, Some("2001"), RouteType::Direct);
    assert_eq!(in_short(&outputs), ["7000 *Error DestinationState"]);
    route(&mut hall, call.conn_id, Some("2002"), RouteType::Direct);
    let outputs = route(&mut hall, call.conn_id, Some("2003"), RouteType::Direct);
    assert_eq!(in_short(&outputs), ["7000 *Error WrongState"]);
}

#[test]
fn a_caller_who_leaves_answers_the_router_too() {
    let (mut hall, call) = asked();
    let conn_id = call.conn_id;
    route(&mut hall, conn_id, Some("2002"), RouteType::Direct);
    let outputs = hall.handle(Input::Left {
        conn_id,
        cause: EndCause::CallerAbandoned,
    });
    assert_eq!(
        in_short(&outputs),
        ["7000 *Error InvalidConnID", "7000 Abandoned"]
    );
    // One who leaves while the router thinks costs no answer.
    let (mut hall, call) = asked();
    let cause = EndCause::CallerAbandoned;
    let outputs = hall.handle(Input::Left {
        conn_id: call.conn_id,
        cause,
    });
    assert_eq!(in_short(&outputs), ["7000 Abandoned"]);
    assert_eq!(hall.queues.poll_timeout(), None);
    assert_eq!(in_short(&present(&mut hall, false)), NOTHING);
}

#[test]
fn a_router_that_comes_late_is_asked_about_those_who_wait() {
    let mut hall = Hall::new();
    let first = hall.caller(PLAIN).conn_id;
    hall.caller(URGENT);
    let second = hall.caller(PLAIN).conn_id;
    let outputs = present(&mut hall, true);
    assert_eq!(
        in_short(&outputs),
        ["7000 RouteRequest", "7000 RouteRequest"]
    );
    let asked: Vec<_> = events_of(&outputs)
        .map(|event| event.call.as_ref().unwrap().conn_id)
        .collect();
    assert_eq!(asked, [first, second], "in their order");
    assert_eq!(in_short(&present(&mut hall, true)), NOTHING);
    // Those who are being offered are not asked about.
    let mut hall = Hall::new();
    hall.available(0, 1);
    hall.caller(PLAIN);
    assert_eq!(in_short(&present(&mut hall, true)), NOTHING);
}

#[test]
fn an_agent_may_be_named_by_its_id() {
    // The control plane has put the number where the agent is in the place of its id.
    let (mut hall, call) = asked();
    let outputs = route(&mut hall, call.conn_id, Some("2002"), RouteType::AgentID);
    assert_eq!(offers(&outputs), [(1, call.conn_id)]);
}

#[test]
fn a_call_that_comes_back_is_the_routers_if_it_was_never_asked() {
    let mut hall = Hall::new();
    hall.available(0, 1);
    let conn_id = hall.caller(PLAIN).conn_id;
    let dn = DnIndex(0);
    hall.handle(Input::Ringing { conn_id, dn });
    present(&mut hall, true);
    let cause = EndCause::NoAnswer;
    let failed = Input::OfferFailed { conn_id, dn, cause };
    let outputs = hall.handle(failed.clone());
    assert_eq!(in_short(&outputs), ["7000 Queued", "7000 RouteRequest"]);
    // It left the choice to the queue by its silence: it is not asked again.
    hall.now += Duration::from_secs(5);
    hall.queues.handle_timeout(hall.now);
    hall.available(0, 7);
    hall.handle(Input::Ringing { conn_id, dn });
    assert_eq!(in_short(&hall.handle(failed)), ["7000 Queued"]);
    // Another router is.
    present(&mut hall, false);
    let outputs = present(&mut hall, true);
    assert_eq!(in_short(&outputs), ["7000 RouteRequest"]);
}

#[test]
fn time_that_runs_out_while_a_router_tries_is_over_when_that_fails() {
    let (dn, why) = (DnIndex(2), RefusedOffer::LoggedOut);
    let code = ErrorCode::InvalidCalledDN;
    for to in ["2003", "9999"] {
        let mut hall = Hall::with("[[queue]]\nname = \"sales\"\nwait_max = 10");
        present(&mut hall, true);
        let conn_id = hall.caller(PLAIN).conn_id;
        route(&mut hall, conn_id, Some(to), RouteType::Direct);
        assert_eq!(refused(&hall.pass(10)), [], "it has that chance first");
        let outputs = hall.handle(match to {
            "2003" => Input::Refused { conn_id, dn, why },
            _ => Input::ForwardFailed { conn_id, code },
        });
        assert_eq!(in_short(&outputs)[1..], ["7000 Released"]);
        assert_eq!(refused(&outputs).len(), 1);
        assert_eq!(hall.queues.poll_timeout(), None);
    }
}

#[test]
fn a_number_that_rings_and_does_not_answer_is_a_new_request() {
    let (mut hall, call) = asked();
    let conn_id = call.conn_id;
    route(&mut hall, conn_id, Some("9999"), RouteType::Direct);
    let destination = "9999".to_owned();
    let outputs = hall.handle(Input::ForwardRings {
        conn_id,
        destination,
    });
    let gone = ["7000 *RouteUsed 9999", "7000 Diverted 9999"];
    assert_eq!(in_short(&outputs), gone);
    let code = ErrorCode::NoAnswer;
    let outputs = hall.handle(Input::ForwardFailed { conn_id, code });
    assert_eq!(in_short(&outputs), ["7000 Queued", "7000 RouteRequest"]);
    assert_eq!(hall.queues.place(SALES, conn_id), Some(Place::Asked));
}

/// What the call's shard is told of its DNIS.
fn renumbered(outputs: &[Output]) -> Vec<Option<CompactString>> {
    let dnis = |output: &Output| match output {
        Output::Call(_, call::Input::Dnis(dnis)) => Some(dnis.clone()),
        Output::Event(_) | Output::Notice(_) | Output::Agent(..) | Output::Call(..) => None,
    };
    outputs.iter().filter_map(dnis).collect()
}

#[test]
fn a_call_that_does_not_get_there_has_the_dnis_that_it_had() {
    let overwrite = RouteType::OverwriteDNIS;
    let again = |hall: &mut Hall, conn_id| {
        let outputs = route(hall, conn_id, None, RouteType::Default);
        let used = events_of(&outputs).next().unwrap();
        used.call.as_ref().unwrap().dnis.clone()
    };
    let was = Some("7000".into());
    // Refused at once: it waits there already, and 2002 is being offered another call.
    let (mut hall, call) = asked();
    let conn_id = call.conn_id;
    let other = hall.caller(PLAIN);
    route(&mut hall, other.conn_id, Some("2002"), RouteType::Direct);
    for number in ["7000", "2002"] {
        let outputs = route(&mut hall, conn_id, Some(number), overwrite);
        assert!(in_short(&outputs)[0].starts_with("7000 *Error"), "{number}");
        assert_eq!(renumbered(&outputs), [], "{number}");
    }
    assert_eq!(again(&mut hall, conn_id), was);
    // Refused by the agent's shard, by the phone, and on the way.
    let (dn, why, cause) = (DnIndex(1), RefusedOffer::Busy, EndCause::Busy);
    let code = ErrorCode::InvalidCalledDN;
    for number in ["2002", "2002", "4000"].into_iter().enumerate() {
        let (mut hall, call) = asked();
        let conn_id = call.conn_id;
        let outputs = route(&mut hall, conn_id, Some(number.1), overwrite);
        assert_eq!(renumbered(&outputs), [Some(number.1.into())]);
        let outputs = hall.handle(match number {
            (0, _) => Input::Refused { conn_id, dn, why },
            (1, _) => Input::OfferFailed { conn_id, dn, cause },
            (_, _) => Input::ForwardFailed { conn_id, code },
        });
        assert!(
            in_short(&outputs)[0].starts_with("7000 *Error"),
            "{number:?}"
        );
        assert_eq!(
            renumbered(&outputs),
            std::slice::from_ref(&was),
            "{number:?}"
        );
        assert_eq!(again(&mut hall, conn_id), was, "{number:?}");
    }
}

#[test]
fn callers_of_a_router_have_their_places_in_the_line() {
    let (mut hall, first) = asked();
    let position = |outputs: &[Output]| {
        let queued = events_of(outputs).find(|event| event.name == EventName::Queued);
        let position = queued.unwrap().extensions.value("Position").cloned();
        position.unwrap()
    };
    let second = hall.enter(PLAIN);
    assert_eq!(position(&second.1), Value::Integer(2));
    let stands = |hall: &mut Hall, call: CallRef| {
        let outputs = hall.handle(Input::Where { call });
        let position = |output: &Output| match output {
            Output::Call(_, call::Input::Standing(standing)) => *standing,
            Output::Event(_) | Output::Notice(_) | Output::Agent(..) | Output::Call(..) => None,
        };
        outputs.iter().find_map(position).unwrap().position
    };
    assert_eq!(stands(&mut hall, first), 1);
    assert_eq!(stands(&mut hall, second.0), 2);
    // One for whom the router has an agent is not in the line.
    route(&mut hall, first.conn_id, Some("2001"), RouteType::Direct);
    assert_eq!(stands(&mut hall, second.0), 1);
    assert_eq!(
        hall.queues.place(SALES, second.0.conn_id),
        Some(Place::Asked)
    );
}
