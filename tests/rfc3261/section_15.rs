//! The end of a call by BYE, from either side and at every moment (RFC 3261 §15, RFC 5407 §3).

use std::time::Duration;

use super::calls::{
    ack, answered, bye, calling, connected, connected_by_hand, ok, reinvite, ringing,
};
use super::messages::{PEER, header, invite, kind, kinds, request, response, tag, uri, within};
use super::network::Network;
use crate::dialog::{Cause, LegEvent, Release};
use crate::sip::Status;

#[test]
fn hanging_up_before_the_ack_sends_the_bye_after_it() {
    let (mut network, leg, ok) = answered();
    network.agents[0].hang_up(network.now, leg, Some(16));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.send(PEER, &ack(&ok, ""));
    let text = network.take_text();
    assert_eq!(kind(&text), "BYE");
    assert_eq!(header(&text, "Reason"), "Q.850;cause=16");
    assert_eq!(uri(&text), "sip:3427@127.0.0.1:6000");
    assert_eq!(tag(&text, "To"), "peer");
    network.send(PEER, &response(&text, 200, "", "", ""));
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
}

#[test]
fn hanging_up_without_any_ack_sends_the_bye_after_64_t1() {
    let (mut network, leg, _) = answered();
    network.agents[0].hang_up(network.now, leg, None);
    network.run_for(Duration::from_millis(31_900));
    assert!(
        network
            .take_texts()
            .iter()
            .all(|text| kind(text) == "200 INVITE")
    );
    network.run_for(Duration::from_millis(200));
    assert_eq!(kind(&network.take_text()), "BYE");
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
}

#[test]
fn a_bye_before_the_ack_ends_the_call_and_the_repetitions() {
    let (mut network, _, ok) = answered();
    network.send(PEER, &bye(&ok));
    assert_eq!(kind(&network.take_text()), "200 BYE");
    let release = Release::Bye { cause: 16.into() };
    assert_eq!(network.take_leg_events(0), [LegEvent::HungUp(release)]);
    network.send(PEER, &ack(&ok, ""));
    network.run_until_idle();
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.take_events(0), []);
}

#[test]
fn a_bye_to_a_call_that_rings_is_answered_and_gets_487() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.agents[0].progress(network.now, leg, Status::RINGING);
    let texts = network.take_texts();
    let ringing = texts.last().expect("180 was sent").clone();
    network.send(PEER, &bye(&ringing));
    assert_eq!(kinds(&network.take_texts()), ["200 BYE", "487 INVITE"]);
    let release = Release::Bye { cause: 16.into() };
    assert_eq!(network.take_leg_events(0), [LegEvent::HungUp(release)]);
    assert_eq!(network.agents[0].legs(), 0);
}

/// 487 says that the caller has given up (§21.4.25).
#[test]
fn hanging_up_a_leg_that_rings_sends_480() {
    let (mut network, leg) = ringing();
    network.agents[0].hang_up(network.now, leg, Some(16));
    assert_eq!(kind(&network.take_text()), "480 INVITE");
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
}

#[test]
fn hanging_up_an_answered_call_sends_ack_and_bye() {
    let (mut network, leg, invite) = calling();
    network.send(PEER, &ok(&invite, "a"));
    network.take_events(0);
    network.agents[0].hang_up(network.now, leg, Some(31));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["ACK", "BYE"]);
    assert_eq!(header(&texts[1], "CSeq"), "2 BYE");
    network.send(PEER, &response(&texts[1], 481, "", "", ""));
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
}

#[test]
fn a_bye_of_the_callee_before_our_ack_ends_the_call() {
    let (mut network, _, invite) = calling();
    network.send(PEER, &ok(&invite, "a"));
    network.take_events(0);
    network.send(PEER, &within(&invite, "BYE", 1, "a", "", ""));
    assert_eq!(kinds(&network.take_texts()), ["200 BYE", "ACK"]);
    let release = Release::Bye {
        cause: Cause::default(),
    };
    assert_eq!(network.take_leg_events(0), [LegEvent::HungUp(release)]);
    network.run_until_idle();
}

#[test]
fn a_call_is_set_up_and_ended_from_either_side() {
    for by_caller in [true, false] {
        let (mut network, caller, callee) = connected();
        let (number, leg, other) = if by_caller {
            (0, caller, 1)
        } else {
            (1, callee, 0)
        };
        network.agents[number].hang_up(network.now, leg, Some(16));
        network.run_until_idle();
        let release = Release::Bye { cause: 16.into() };
        assert_eq!(network.take_leg_events(other), [LegEvent::HungUp(release)]);
        assert_eq!(network.take_events(number), []);
    }
}

/// Copies of the BYE were lost until a request came through that was sent after it: its number must
/// be refused (§12.2.2), but whoever sent it has hung up all the same (§15.1.1).
#[test]
fn a_bye_that_a_later_request_has_overtaken_ends_the_call() {
    let (mut network, _, ok) = answered();
    network.send(PEER, &ack(&ok, ""));
    network.take_events(0);
    let later = request(
        "OPTIONS",
        "call",
        103,
        Some(tag(&ok, "To")),
        "later",
        "",
        "",
    );
    network.send(PEER, &later);
    assert_eq!(kind(&network.take_text()), "200 OPTIONS");
    network.send(PEER, &bye(&ok));
    assert_eq!(kind(&network.take_text()), "500 BYE");
    let release = Release::Bye { cause: 16.into() };
    assert_eq!(network.take_leg_events(0), [LegEvent::HungUp(release)]);
    network.run_until_idle();
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.take_events(0), []);
}

#[test]
fn bye_crossing_bye_ends_the_call_once() {
    let (mut network, caller, callee) = connected();
    network.agents[0].hang_up(network.now, caller, None);
    network.agents[1].hang_up(network.now, callee, None);
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
    assert_eq!(network.take_events(1), []);
}

#[test]
fn a_bye_while_an_offer_waits_ends_both() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &reinvite(&tag, 102));
    network.take_texts();
    network.take_events(0);
    network.send(
        PEER,
        &request("BYE", "call", 103, Some(&tag), "bye", "", ""),
    );
    assert_eq!(kinds(&network.take_texts()), ["200 BYE", "487 INVITE"]);
    let release = Release::Bye {
        cause: Cause::default(),
    };
    assert_eq!(network.take_leg_events(0), [LegEvent::HungUp(release)]);
    // What comes too late resurrects nothing.
    network.agents[0].answer_offer(network.now, leg, None);
    network.send(PEER, &reinvite(&tag, 104));
    assert!(kinds(&network.take_texts()).contains(&"481 INVITE".to_owned()));
    network.run_until_idle();
}

#[test]
fn hanging_up_while_an_offer_of_the_peer_waits_refuses_it_with_487() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &reinvite(&tag, 102));
    network.take_texts();
    network.agents[0].hang_up(network.now, leg, None);
    let mut sent: Vec<String> = network.take_texts();
    network.run_for(Duration::from_millis(1));
    sent.extend(network.take_texts());
    assert_eq!(kinds(&sent), ["487 INVITE", "BYE"]);
    network.run_until_idle();
}
