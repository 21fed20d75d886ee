//! A caller who waits in several queues at once, and a routing point that tells callers apart.

use std::sync::Arc;

use offhook::agent::EndCause;
use offhook::call::CallRef;
use offhook::config::{DnIndex, QueueIndex, RoutingPointIndex};
use offhook::cti::{CallInfo, ConnId, ErrorCode, KeyValueList, Value};
use offhook::queue::{Input, Output, Place};

use super::hall::*;

const NOTHING: [&str; 0] = [];
const BACKUP: QueueIndex = QueueIndex(1);
const LATER: QueueIndex = QueueIndex(2);
const MANY: RoutingPointIndex = RoutingPointIndex(2);

/// 7002 leads to "sales", at once to "backup", and after 20 seconds to "later". 2001 serves the
/// first, 2002 the second, 2003 the third.
fn hall() -> Hall {
    Hall::of(configuration(
        "[[agent]]\ndn = \"2001\"\nqueues = \"sales\"\n\
         [[agent]]\ndn = \"2002\"\nqueues = \"backup\"\n\
         [[agent]]\ndn = \"2003\"\nqueues = \"later\"",
        "[[queue]]\nname = \"sales\"\n[[queue]]\nname = \"backup\"\n[[queue]]\nname = \"later\"\n\
         [[routing_point]]\nnumber = \"7002\"\nqueue = \"sales\"\npriority = 4\n\
         also = [{ queue = \"backup\" }, { queue = \"later\", after = 20 }]",
    ))
}

/// What the call's shard tells all its queues.
fn all(hall: &mut Hall, input: &Input) -> Vec<Output> {
    let queues = [SALES, BACKUP, LATER].into_iter();
    queues
        .flat_map(|queue| hall.handle_at(queue, input.clone()))
        .collect()
}

fn places(hall: &Hall, call: CallRef) -> [Option<Place>; 3] {
    [SALES, BACKUP, LATER].map(|queue| hall.queues.place(queue, call.conn_id))
}

fn available(hall: &mut Hall, queue: QueueIndex, dn: u32) -> Vec<Output> {
    let (dn, idle_since) = (DnIndex(dn), hall.now);
    hall.handle_at(queue, Input::AgentAvailable { dn, idle_since })
}

#[test]
fn it_enters_all_at_once_and_some_later_and_is_seen_once() {
    let mut hall = hall();
    let (call, outputs) = hall.enter(MANY);
    assert_eq!(in_short(&outputs), ["7002 Queued"]);
    assert_eq!(
        places(&hall, call),
        [
            Some(Place::Waiting),
            Some(Place::Waiting),
            Some(Place::Delayed)
        ]
    );
    assert_eq!(offers(&available(&mut hall, LATER, 2)), []);
    assert_eq!(in_short(&hall.pass(19)), NOTHING);
    assert_eq!(offers(&hall.pass(1)), [(2, call.conn_id)]);
}

#[test]
fn the_others_let_go_when_one_has_an_agent() {
    let mut hall = hall();
    let (call, _) = hall.enter(MANY);
    let (conn_id, dn) = (call.conn_id, DnIndex(1));
    assert_eq!(offers(&available(&mut hall, BACKUP, 1)), [(1, conn_id)]);
    // Before they hear of it, another offers the call too: the call returns that agent.
    assert_eq!(offers(&available(&mut hall, SALES, 0)), [(0, conn_id)]);
    all(&mut hall, &Input::Promised { conn_id, dn });
    assert_eq!(
        places(&hall, call),
        [
            Some(Place::Elsewhere(dn)),
            Some(Place::Offered(dn)),
            Some(Place::Elsewhere(dn))
        ]
    );
    // The returned agent is to be had again, and gets the next caller.
    assert_eq!(offers(&available(&mut hall, SALES, 0)), []);
    let next = hall.caller(PLAIN);
    assert_eq!(
        hall.queues.place(SALES, next.conn_id),
        Some(Place::Offered(DnIndex(0)))
    );
    let outputs = all(&mut hall, &Input::Ringing { conn_id, dn });
    assert_eq!(in_short(&outputs), ["7002 Diverted 2002"], "by its home");
    let outputs = all(&mut hall, &Input::Answered { conn_id, dn });
    assert_eq!(in_short(&outputs), NOTHING);
    assert_eq!(places(&hall, call), [None; 3]);
    assert_eq!(hall.queues.poll_timeout(), None);
}

#[test]
fn an_offer_that_fails_brings_it_back_to_all() {
    let mut hall = hall();
    let (call, _) = hall.enter(MANY);
    let (conn_id, dn) = (call.conn_id, DnIndex(1));
    available(&mut hall, BACKUP, 1);
    all(&mut hall, &Input::Promised { conn_id, dn });
    all(&mut hall, &Input::Ringing { conn_id, dn });
    let cause = EndCause::NoAnswer;
    let outputs = all(&mut hall, &Input::OfferFailed { conn_id, dn, cause });
    assert_eq!(in_short(&outputs), ["7002 Queued"]);
    assert_eq!(
        places(&hall, call),
        [
            Some(Place::Waiting),
            Some(Place::Waiting),
            Some(Place::Delayed)
        ]
    );
    assert_eq!(offers(&available(&mut hall, SALES, 0)), [(0, conn_id)]);
}

#[test]
fn a_caller_who_leaves_is_abandoned_once() {
    let mut hall = hall();
    let (call, _) = hall.enter(MANY);
    let (conn_id, cause) = (call.conn_id, EndCause::CallerAbandoned);
    let outputs = all(&mut hall, &Input::Left { conn_id, cause });
    assert_eq!(in_short(&outputs), ["7002 Abandoned"]);
    assert_eq!(places(&hall, call), [None; 3]);
    assert_eq!(hall.queues.poll_timeout(), None);
}

#[test]
fn a_limit_of_a_further_queue_only_keeps_out_of_it() {
    let rest = "[[queue]]\nname = \"sales\"\n[[queue]]\nname = \"backup\"\ncapacity = 1\n\
                wait_max = 5\n\
                [[routing_point]]\nnumber = \"7002\"\nqueue = \"sales\"\n\
                also = { queue = \"backup\" }";
    let rest = rest.replace(
        "also = { queue = \"backup\" }",
        "also = [{ queue = \"backup\" }]",
    );
    let agents = "[[agents]]\nrange = \"2001-2002\"\nqueues = [\"sales\", \"backup\"]";
    let mut hall = Hall::of(configuration(agents, &rest));
    let (first, _) = hall.enter(MANY);
    let (second, outputs) = hall.enter(MANY);
    assert_eq!(in_short(&outputs), ["7002 Queued"]);
    assert_eq!(refused(&outputs), []);
    assert_eq!(hall.queues.place(BACKUP, second.conn_id), None);
    assert_eq!(refused(&hall.pass(60)), []);
    assert_eq!(
        hall.queues.place(BACKUP, first.conn_id),
        Some(Place::Waiting)
    );
}

#[test]
fn a_routing_point_tells_callers_apart_by_number_and_data() {
    let rest = "[[queue]]\nname = \"sales\"\n[[queue]]\nname = \"german\"\n\
                [[queue]]\nname = \"vip\"\n\
                [[routing_point]]\nnumber = \"7002\"\nqueue = \"sales\"\n\
                [[routing_point.route]]\nqueue = \"vip\"\ndata = { Tier = 1, Language = \"de\" }\n\
                [[routing_point.route]]\nqueue = \"german\"\nani = [\"+49\", \"+43\"]\n";
    let agents = "[[agents]]\nrange = \"2001-2002\"\nqueues = [\"sales\", \"german\", \"vip\"]";
    let config = configuration(agents, rest);
    let leads_to = |ani: Option<&str>, pairs: &[(&str, Value)]| {
        let mut data = KeyValueList::new();
        for (key, value) in pairs {
            data.set((*key).to_owned(), value.clone());
        }
        let entry = config.route(MANY, ani, &data)[0];
        &*config.queue_at(config.entry_at(entry).queue).name
    };
    let german = || ("Language", Value::Text("de".into()));
    assert_eq!(leads_to(Some("+4930123"), &[]), "german");
    assert_eq!(leads_to(Some("+43123"), &[german()]), "german");
    assert_eq!(leads_to(Some("+44123"), &[german()]), "sales");
    assert_eq!(leads_to(None, &[]), "sales");
    let gold = ("Tier", Value::Integer(1));
    assert_eq!(leads_to(Some("+4930123"), &[german(), gold]), "vip");
    let gold = ("Tier", Value::Text("1".into()));
    assert_eq!(leads_to(None, &[gold, german()]), "vip");
}

#[test]
fn news_of_its_data_comes_from_its_home() {
    let mut hall = hall();
    let (call, _) = hall.enter(MANY);
    let info = Arc::new(CallInfo {
        user_data: KeyValueList::new().with_text("Tier", "1"),
        ..CallInfo::clone(&info(call))
    });
    let changed = Input::UserDataChanged {
        conn_id: call.conn_id,
        info,
        requested_by: None,
        changed_by: "7002".into(),
    };
    let outputs = all(&mut hall, &changed);
    assert_eq!(in_short(&outputs), ["7002 AttachedDataChanged 7002"]);
}

/// 7002 leads to "sales", which has these limits, and at once to "backup".
fn hall_with(limits: &str) -> Hall {
    Hall::of(configuration(
        "[[agent]]\ndn = \"2001\"\nqueues = \"sales\"\n\
         [[agent]]\ndn = \"2002\"\nqueues = \"backup\"",
        &format!(
            "[[queue]]\nname = \"sales\"\n{limits}\n[[queue]]\nname = \"backup\"\n\
             [[routing_point]]\nnumber = \"7002\"\nqueue = \"sales\"\n\
             also = [{{ queue = \"backup\" }}]"
        ),
    ))
}

/// The caller, whom its home sends elsewhere, is on its way to an agent of a further queue
/// instead, who does not take it. What its home hears meanwhile, and what it says in the end.
fn an_agent_in_between(hall: &mut Hall, conn_id: ConnId, stays: bool) -> Vec<Output> {
    let (dn, cause) = (DnIndex(1), EndCause::Busy);
    available(hall, BACKUP, 1);
    for queue in [SALES, BACKUP] {
        hall.handle_at(queue, Input::Promised { conn_id, dn });
    }
    if stays {
        let code = ErrorCode::WrongState;
        assert_eq!(hall.handle(Input::ForwardFailed { conn_id, code }), []);
    }
    hall.handle_at(BACKUP, Input::OfferFailed { conn_id, dn, cause });
    hall.handle(Input::OfferFailed { conn_id, dn, cause })
}

#[test]
fn an_agent_of_a_further_queue_does_not_use_up_what_a_limit_does() {
    let mut hall = hall_with("wait_max = 10\noverflow_wait = \"number:9\"");
    let (call, _) = hall.enter(MANY);
    let conn_id = call.conn_id;
    let nine = [(conn_id, "9".to_owned())];
    assert_eq!(sent(&hall.pass(10)), nine);
    let outputs = an_agent_in_between(&mut hall, conn_id, true);
    assert_eq!(sent(&outputs), nine);
    // The call has yet to answer: it is not sent twice.
    let outputs = an_agent_in_between(&mut hall, conn_id, false);
    assert_eq!(sent(&outputs), []);
    assert_eq!(places(&hall, call)[0], Some(Place::Leaving));
    let code = ErrorCode::InvalidCalledDN;
    let outputs = hall.handle(Input::ForwardFailed { conn_id, code });
    assert_eq!(sent(&outputs), []);
    assert_eq!(places(&hall, call)[0], Some(Place::Waiting));
}

#[test]
fn an_agent_of_a_further_queue_does_not_let_a_caller_into_a_full_home() {
    let mut hall = hall_with("capacity = 1\noverflow_full = \"number:9\"");
    hall.enter(PLAIN);
    let (call, outputs) = hall.enter(MANY);
    let conn_id = call.conn_id;
    let nine = [(conn_id, "9".to_owned())];
    assert_eq!(sent(&outputs), nine);
    let outputs = an_agent_in_between(&mut hall, conn_id, true);
    assert_eq!(sent(&outputs), nine);
    let code = ErrorCode::InvalidCalledDN;
    let outputs = hall.handle(Input::ForwardFailed { conn_id, code });
    assert_eq!(in_short(&outputs), ["7002 Released"]);
    assert_eq!(refused(&outputs).len(), 1);
    assert_eq!(places(&hall, call)[0], None);
}

/// Who is to wait in a queue only after a while takes nobody's place there meanwhile, neither where
/// it waits nor with an agent of another queue.
#[test]
fn callers_who_do_not_wait_here_yet_fill_no_queue() {
    let mut hall = Hall::of(configuration(
        "[[agent]]\ndn = \"2001\"\nqueues = \"sales\"\n\
         [[agent]]\ndn = \"2002\"\nqueues = \"backup\"",
        "[[queue]]\nname = \"sales\"\n[[queue]]\nname = \"backup\"\ncapacity = 2\n\
         [[routing_point]]\nnumber = \"7002\"\nqueue = \"sales\"\n\
         also = [{ queue = \"backup\", after = 20 }]\n\
         [[routing_point]]\nnumber = \"7003\"\nqueue = \"backup\"",
    ));
    let delayed = [(); 3].map(|()| hall.caller(MANY));
    let (conn_id, dn) = (delayed[0].conn_id, DnIndex(0));
    hall.handle_at(BACKUP, Input::Promised { conn_id, dn });
    let own = [(); 3].map(|()| hall.caller(RoutingPointIndex(3)));
    let place = |hall: &Hall, call: CallRef| hall.queues.place(BACKUP, call.conn_id);
    assert_eq!(place(&hall, own[0]), Some(Place::Waiting));
    assert_eq!(place(&hall, own[1]), Some(Place::Waiting));
    assert_eq!(place(&hall, own[2]), None, "two wait");
    // When their time has come, there is room for one of them.
    let cause = EndCause::CallerAbandoned;
    let conn_id = own[0].conn_id;
    hall.handle_at(BACKUP, Input::Left { conn_id, cause });
    hall.pass(20);
    assert_eq!(place(&hall, delayed[1]), Some(Place::Waiting));
    assert_eq!(place(&hall, delayed[2]), None);
}
