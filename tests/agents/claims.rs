//! ReserveAgent: routers that keep an agent, that want the same one, and that come too late.

use std::time::Duration;

use offhook::agent::{Input, OfferSource, Output};
use offhook::call::{self, CallRef};
use offhook::cti::{ClientId, DesktopRequest, KeyValueList, RequestedBy, Value};

use super::desk::*;

const NOTHING: [&str; 0] = [];
const COLLECTION: Duration = Duration::from_millis(100);

/// A router's request, by the number of its client.
fn wants(router: u64, reference_id: u32, priority: u16) -> Input {
    Input::Desktop {
        requested_by: RequestedBy {
            client: ClientId(router),
            reference_id,
        },
        request: DesktopRequest::Reserve {
            duration: Duration::from_secs(10),
            priority,
            reasons: KeyValueList::new(),
        },
    }
}

fn routed(desk: &mut Desk, router: u64) -> (CallRef, Vec<Output>) {
    let call = desk.new_call();
    let source = OfferSource::Router(SALES, ClientId(router));
    let outputs = desk.reserve(call, source);
    (call, outputs)
}

/// Who was answered with what.
fn answers(outputs: &[Output]) -> Vec<(u64, String)> {
    let all = events_of(outputs).zip(in_short(outputs));
    all.map(|(event, short)| (event.requested_by.unwrap().client.0, short))
        .collect()
}

/// An agent that router 7 keeps.
fn kept() -> Desk {
    let mut desk = Desk::new().ready();
    assert_eq!(
        desk.events(wants(7, 1, 0)),
        NOTHING,
        "others may want it too"
    );
    let outputs = desk.pass(COLLECTION);
    assert_eq!(in_short(&outputs), ["*Reserved"]);
    let event = events_of(&outputs).next().unwrap();
    assert_eq!(event.agent_id.as_deref(), Some("A1"));
    let duration = event.extensions.value("Duration");
    assert_eq!(duration, Some(&Value::Integer(10_000)));
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "unavailable"), (SERVICE, "unavailable")]
    );
    desk
}

#[test]
fn a_kept_agent_is_for_its_router_alone() {
    let mut desk = kept();
    let call = desk.new_call();
    let of_queue = desk.reserve(call, OfferSource::Queue(SALES));
    assert_eq!(told_queues(&of_queue), [(SALES, "refused: busy")]);
    let (_, outputs) = routed(&mut desk, 8);
    assert_eq!(told_queues(&outputs), [(SALES, "refused: busy")]);
    assert_eq!(desk.events(wants(8, 2, 9)), ["*Error Busy"]);
    let (call, outputs) = routed(&mut desk, 7);
    assert!(outputs.contains(&Output::Call(
        call,
        call::Input::Offer {
            dn: DN,
            elsewhere: None
        }
    )));
    // The call has come: when it is over the agent is anybody's.
    desk.handle(Input::Returned { call });
    desk.reserved();
}

#[test]
fn an_agent_is_kept_for_no_longer_than_was_asked() {
    let mut desk = kept();
    let before = desk.now;
    desk.pass(Duration::from_secs(5));
    assert_eq!(desk.events(wants(7, 2, 0)), ["*Reserved"], "longer");
    assert_eq!(desk.after(Duration::from_millis(9_999)), NOTHING);
    assert!(!desk.status().available);
    let outputs = desk.pass(Duration::from_millis(1));
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "available"), (SERVICE, "available")]
    );
    assert_eq!(desk.now - before, Duration::from_secs(15));
    desk.reserved();
}

#[test]
fn of_several_routers_the_most_urgent_wins_and_each_is_answered() {
    let mut desk = Desk::new().ready();
    for (router, priority) in [(7, 5), (8, 9), (9, 9), (10, 0)] {
        assert_eq!(desk.events(wants(router, 1, priority)), NOTHING);
        desk.pass(Duration::from_millis(20));
    }
    let outputs = desk.pass(COLLECTION);
    let expected = [
        (7, "*Error Busy"),
        (8, "*Reserved"),
        (9, "*Error Busy"),
        (10, "*Error Busy"),
    ];
    assert_eq!(
        answers(&outputs),
        expected.map(|(router, short)| (router, short.to_owned()))
    );
}

#[test]
fn an_agent_who_takes_no_call_cannot_be_kept() {
    let mut desk = Desk::new();
    assert_eq!(desk.events(wants(7, 1, 0)), ["*Error NotLoggedIn"]);
    let mut desk = desk.ready();
    desk.ask(pause());
    assert_eq!(desk.events(wants(7, 1, 0)), ["*Error WrongState"]);
    desk.ask(ready());
    let trunk = offhook::config::TrunkIndex(0);
    desk.agents.handle_trunk(desk.now, trunk, false);
    assert_eq!(desk.events(wants(7, 1, 0)), ["*Error OutOfService"]);
    desk.agents.handle_trunk(desk.now, trunk, true);
    desk.outputs();
    desk.talking();
    assert_eq!(desk.events(wants(7, 1, 0)), ["*Error Busy"]);
    // One who becomes busy while requests are collected is refused to all of them.
    let mut desk = Desk::new().ready();
    desk.events(wants(7, 1, 0));
    desk.events(wants(8, 1, 0));
    desk.reserved();
    let refused = "*Error Busy".to_owned();
    assert_eq!(
        answers(&desk.pass(COLLECTION)),
        [(7, refused.clone()), (8, refused)]
    );
}

#[test]
fn a_flood_of_requests_is_bounded() {
    let mut desk = Desk::new().ready();
    let most = u32::try_from(offhook::limits::CLAIM_REQUESTS_MAX).unwrap();
    for reference_id in 1..=most {
        assert_eq!(desk.events(wants(7, reference_id, 0)), NOTHING);
    }
    assert_eq!(desk.events(wants(7, most + 1, 0)), ["*Error TooBusy"]);
    assert_eq!(answers(&desk.pass(COLLECTION)).len(), most as usize);
}

#[test]
fn a_direct_call_comes_all_the_same() {
    let mut desk = kept();
    let call = desk.new_call();
    let outputs = desk.reserve(call, OfferSource::Direct);
    assert!(outputs.contains(&Output::Call(
        call,
        call::Input::Offer {
            dn: DN,
            elsewhere: None
        }
    )));
    let (_, outputs) = routed(&mut desk, 7);
    assert_eq!(told_queues(&outputs), [(SALES, "refused: busy")]);
}

/// The client of a router has gone.
fn gone(router: u64) -> Input {
    Input::Desktop {
        requested_by: RequestedBy {
            client: ClientId(0),
            reference_id: 0,
        },
        request: DesktopRequest::RouterGone(ClientId(router)),
    }
}

#[test]
fn a_router_that_goes_keeps_no_agent() {
    let mut desk = kept();
    assert_eq!(told_queues(&desk.handle(gone(8))), [], "another one");
    let outputs = desk.handle(gone(7));
    assert_eq!(
        told_queues(&outputs),
        [(SALES, "available"), (SERVICE, "available")]
    );
    // Nor one that it would have got.
    let mut desk = Desk::new().ready();
    desk.events(wants(7, 1, 9));
    desk.events(wants(8, 2, 0));
    desk.events(gone(7));
    let outputs = desk.pass(COLLECTION);
    assert_eq!(answers(&outputs), [(8, "*Reserved".to_owned())]);
}
