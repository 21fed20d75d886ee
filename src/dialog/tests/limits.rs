//! Full tables: what is refused, with what, and that it is counted; and what is never refused.

use super::messages::{PEER, header, invite, kind, kinds, request, tag};
use super::network::{Network, invite_to, subscribe_to, target};
use crate::counters::Counter;
use crate::dialog::{Cause, Full, LegEvent, LegKey, Release};
use crate::limits::{LEGS_MAX, PINGS_MAX, RETRY_AFTER_SECONDS, SUBSCRIPTIONS_MAX};

/// Refused, with the time after which it is worth another try.
fn assert_refused(answer: &str, expected: &str) {
    assert_eq!(kind(answer), expected);
    assert_eq!(
        header(answer, "Retry-After"),
        RETRY_AFTER_SECONDS.to_string()
    );
    assert!(!tag(answer, "To").is_empty(), "{answer}");
}

/// Takes all places for legs but the ones that are taken.
fn fill_legs(network: &mut Network) -> Vec<LegKey> {
    let agent = &mut network.agents[0];
    let free = LEGS_MAX - agent.legs.len();
    (0..free).map(|_| agent.legs.insert(None)).collect()
}

#[test]
fn a_call_beyond_the_limit_of_legs_gets_503_and_a_call_within_goes_on() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("first", "1", ""));
    let first = network.take_invited(0);
    network.agents[0].answer(network.now, first, None);
    let ok = network.take_texts().pop().expect("answered");
    let filling = fill_legs(&mut network);

    network.send(PEER, &invite("second", "2", ""));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["100 INVITE", "503 INVITE"]);
    assert_refused(&texts[1], "503 INVITE");
    assert_eq!(network.count(0, Counter::InviteOverload), 1);
    let outbound = network.agents[0].invite(network.now, &invite_to(PEER));
    assert_eq!(outbound, Err(Full));
    let ack = request(
        "ACK",
        "second",
        101,
        Some(tag(&texts[1], "To")),
        "2",
        "",
        "",
    );
    network.send(PEER, &ack);

    let to = Some(tag(&ok, "To"));
    network.send(PEER, &request("ACK", "first", 101, to, "3", "", ""));
    network.send(PEER, &request("BYE", "first", 102, to, "4", "", ""));
    assert_eq!(kind(&network.take_text()), "200 BYE");
    assert_eq!(
        network.take_leg_events(0),
        [
            LegEvent::Acknowledged { body: None },
            LegEvent::HungUp(Release::Bye {
                cause: Cause::default()
            }),
        ]
    );
    for key in filling {
        network.agents[0].legs.remove(key);
    }
    network.run_until_idle();
}

#[test]
fn beyond_the_limit_of_transactions_what_is_new_gets_503_and_what_ends_is_served() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("first", "1", ""));
    network.take_invited(0);
    network.take_texts();
    network.agents[0].core.transactions.set_server_limit(3, 2);

    network.send(PEER, &invite("second", "2", ""));
    assert_refused(&network.take_text(), "503 INVITE");
    assert_eq!(network.count(0, Counter::InviteOverload), 1);
    network.send(PEER, &request("OPTIONS", "third", 1, None, "3", "", ""));
    assert_refused(&network.take_text(), "503 OPTIONS");
    assert_eq!(network.count(0, Counter::RequestOverload), 1);

    network.send(PEER, &request("CANCEL", "first", 101, None, "1", "", ""));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["200 CANCEL", "487 INVITE"]);
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Cancelled {
            cause: Cause::default()
        })]
    );
    let to = Some(tag(&texts[1], "To"));
    network.send(PEER, &request("BYE", "first", 102, to, "4", "", ""));
    assert_eq!(kind(&network.take_text()), "481 BYE");
    // Even the kept places come to an end.
    network.send(PEER, &request("BYE", "first", 103, to, "5", "", ""));
    assert_refused(&network.take_text(), "503 BYE");
    network.send(PEER, &request("ACK", "first", 101, to, "1", "", ""));
    network.run_until_idle();
}

#[test]
fn subscriptions_and_pings_beyond_their_limits_are_not_sent() {
    let mut network = Network::new(1, 1);
    let agent = &mut network.agents[0];
    for _ in 0..SUBSCRIPTIONS_MAX {
        agent
            .subscriptions
            .insert(crate::dialog::subscription::Place::default());
    }
    let refused = agent.subscribe(network.now, &subscribe_to(PEER));
    assert_eq!(refused, Err(Full));
    assert_eq!(network.take_texts(), Vec::<String>::new());

    let mut network = Network::new(1, 1);
    let now = network.now;
    for expected in [Ok(()), Err(Full)] {
        let places = if expected.is_ok() { PINGS_MAX } else { 1 };
        for _ in 0..places {
            let sent = network.agents[0].ping(now, target(PEER), "sip:peer", 0);
            assert_eq!(sent.map(|_| ()), expected);
        }
    }
    assert_eq!(network.take_texts().len(), PINGS_MAX);
    network.run_until_idle();
}
