//! Calls between two user agents, and what happens within them (RFC 3261 §14, §15, RFC 5407).

use std::time::Duration;

use super::messages::{PEER, header, invite, kind, kinds, request, response, tag};
use super::network::{Network, invite_to, sdp};
use crate::dialog::{LegEvent, LegKey, Refusal, Release};
use crate::sip::Status;

/// Agent 0 has called agent 1, and both know that they talk.
fn connected() -> (Network, LegKey, LegKey) {
    let mut network = Network::new(4, 2);
    let caller = network.agents[0]
        .invite(network.now, &invite_to(5061))
        .expect("there is room");
    network.run_for(Duration::from_millis(10));
    let callee = network.take_invited(1);
    network.agents[1].answer(network.now, callee, Some(&sdp("answer")));
    network.run_for(Duration::from_millis(10));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Answered {
            body: Some(sdp("answer"))
        }]
    );
    network.agents[0].acknowledge(network.now, caller, None);
    network.run_for(Duration::from_millis(10));
    assert_eq!(
        network.take_leg_events(1),
        [LegEvent::Acknowledged { body: None }]
    );
    (network, caller, callee)
}

/// A call from a hand-written peer, answered and acknowledged; our tag comes along.
fn connected_by_hand() -> (Network, LegKey, String) {
    let mut network = Network::new(4, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, None);
    let texts = network.take_texts();
    let tag = tag(texts.last().expect("answered"), "To").to_owned();
    network.send(
        PEER,
        &request("ACK", "call", 101, Some(&tag), "ack", "", ""),
    );
    network.take_events(0);
    (network, leg, tag)
}

fn reinvite(tag: &str, cseq: u32) -> String {
    let extra = "Contact: <sip:moved@127.0.0.1:6009>\r\nContent-Type: application/sdp\r\n";
    request(
        "INVITE",
        "call",
        cseq,
        Some(tag),
        &format!("re{cseq}"),
        extra,
        "hold",
    )
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
        let release = Release::Bye { cause: Some(16) };
        assert_eq!(network.take_leg_events(other), [LegEvent::HungUp(release)]);
        assert_eq!(network.take_events(number), []);
    }
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
fn an_offer_and_its_answer_pass_both_ways_with_and_without_a_body() {
    let (mut network, caller, callee) = connected();
    for (body, ack) in [(Some(sdp("offer")), None), (None, Some(sdp("late answer")))] {
        network.agents[1].offer(network.now, callee, body.as_ref());
        network.run_for(Duration::from_millis(10));
        assert_eq!(network.take_leg_events(0), [LegEvent::Offered { body }]);
        network.agents[0].answer_offer(network.now, caller, Some(&sdp("reply")));
        network.run_for(Duration::from_millis(10));
        let answered = LegEvent::OfferAnswered {
            body: Some(sdp("reply")),
        };
        assert_eq!(network.take_leg_events(1), [answered]);
        network.agents[1].acknowledge(network.now, callee, ack.as_ref());
        network.run_for(Duration::from_millis(10));
        assert_eq!(
            network.take_leg_events(0),
            [LegEvent::OfferAcknowledged { body: ack }]
        );
    }
    network.agents[0].hang_up(network.now, caller, None);
    network.run_until_idle();
}

#[test]
fn offers_that_cross_get_491_on_both_sides() {
    let (mut network, caller, callee) = connected();
    network.agents[0].offer(network.now, caller, Some(&sdp("a")));
    network.agents[1].offer(network.now, callee, Some(&sdp("b")));
    network.run_for(Duration::from_secs(1));
    let refused = [LegEvent::OfferRefused {
        status: Status::REQUEST_PENDING,
    }];
    assert_eq!(network.take_leg_events(0), refused);
    assert_eq!(network.take_leg_events(1), refused);
    // The session stays as it was, and the next attempt may work.
    network.agents[0].offer(network.now, caller, Some(&sdp("a")));
    network.run_for(Duration::from_secs(1));
    assert_eq!(
        network.take_leg_events(1),
        [LegEvent::Offered {
            body: Some(sdp("a"))
        }]
    );
}

#[test]
fn an_offer_while_one_is_under_way_is_refused_at_once() {
    let (mut network, caller, callee) = connected();
    network.agents[0].offer(network.now, caller, None);
    network.agents[0].offer(network.now, caller, None);
    let refused = [LegEvent::OfferRefused {
        status: Status::REQUEST_PENDING,
    }];
    assert_eq!(network.take_leg_events(0), refused);
    network.run_for(Duration::from_millis(10));
    assert_eq!(
        network.take_leg_events(1),
        [LegEvent::Offered { body: None }]
    );
    network.agents[1].offer(network.now, callee, None);
    assert_eq!(network.take_leg_events(1), refused);
}

#[test]
fn a_refused_offer_leaves_the_session_as_it_was() {
    let (mut network, caller, callee) = connected();
    network.agents[0].offer(network.now, caller, Some(&sdp("a")));
    network.run_for(Duration::from_millis(10));
    network.take_events(1);
    let refusal = Refusal {
        status: Status::NOT_ACCEPTABLE_HERE,
        retry_after: None,
    };
    network.agents[1].refuse_offer(network.now, callee, refusal);
    network.run_for(Duration::from_millis(10));
    let refused = LegEvent::OfferRefused {
        status: Status::NOT_ACCEPTABLE_HERE,
    };
    assert_eq!(network.take_leg_events(0), [refused]);
    network.agents[0].hang_up(network.now, caller, None);
    network.run_until_idle();
    assert_eq!(
        network.take_leg_events(1),
        [LegEvent::HungUp(Release::Bye { cause: None })]
    );
}

#[test]
fn a_second_offer_of_the_peer_before_our_answer_gets_500_with_retry_after() {
    let (mut network, _, tag) = connected_by_hand();
    network.send(PEER, &reinvite(&tag, 102));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Offered {
            body: Some(sdp("hold"))
        }]
    );
    network.take_texts();
    network.send(PEER, &reinvite(&tag, 103));
    let texts = network.take_texts();
    let refusal = texts.last().expect("answered");
    assert_eq!(kind(refusal), "500 INVITE");
    assert!(
        header(refusal, "Retry-After")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds <= 10)
    );
    assert_eq!(network.take_events(0), []);
}

#[test]
fn an_offer_of_the_peer_while_ours_is_under_way_gets_491() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].offer(network.now, leg, None);
    network.take_texts();
    network.send(PEER, &reinvite(&tag, 102));
    assert_eq!(
        kind(network.take_texts().last().expect("answered")),
        "491 INVITE"
    );
    assert_eq!(network.take_events(0), []);
}

#[test]
fn an_accepted_offer_moves_the_peer_and_a_refused_one_does_not() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &reinvite(&tag, 102));
    let refusal = Refusal {
        status: Status::NOT_ACCEPTABLE_HERE,
        retry_after: None,
    };
    network.agents[0].refuse_offer(network.now, leg, refusal);
    network.send(PEER, &reinvite(&tag, 103));
    network.agents[0].answer_offer(network.now, leg, Some(&sdp("held")));
    let texts = network.take_texts();
    assert!(kinds(&texts).contains(&"488 INVITE".to_owned()));
    network.send(
        PEER,
        &request("ACK", "call", 103, Some(&tag), "ack2", "", ""),
    );
    network.agents[0].hang_up(network.now, leg, None);
    network.run_for(Duration::from_millis(1));
    let arrived = network.inbox.pop().expect("a BYE was sent");
    assert_eq!(
        (kind(&arrived.text).as_str(), arrived.to.port()),
        ("BYE", 6009)
    );
}

#[test]
fn an_answer_to_an_offer_without_ack_ends_the_call_after_64_t1() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &reinvite(&tag, 102));
    network.agents[0].answer_offer(network.now, leg, Some(&sdp("held")));
    network.take_events(0);
    network.run_for(Duration::from_millis(31_900));
    let sent = network.take_texts();
    assert!(
        sent.iter()
            .filter(|text| kind(text) == "200 INVITE")
            .count()
            > 5
    );
    network.run_for(Duration::from_millis(200));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Unacknowledged)]
    );
    network.run_until_idle();
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
    let release = Release::Bye { cause: None };
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

#[test]
fn cancel_of_an_offer_gets_487_and_leaves_the_call() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &reinvite(&tag, 102));
    network.take_texts();
    network.take_events(0);
    network.send(
        PEER,
        &request("CANCEL", "call", 102, Some(&tag), "re102", "", ""),
    );
    assert_eq!(kinds(&network.take_texts()), ["200 CANCEL", "487 INVITE"]);
    assert_eq!(network.take_events(0), []);
    network.agents[0].offer(network.now, leg, None);
    assert!(kinds(&network.take_texts()).contains(&"INVITE".to_owned()));
}

#[test]
fn an_offer_that_meets_481_or_silence_is_a_call_lost() {
    for code in [481, 408] {
        let (mut network, leg, _) = connected_by_hand();
        network.agents[0].offer(network.now, leg, None);
        let invite = network.take_text();
        network.send(PEER, &response(&invite, code, "", "", ""));
        assert_eq!(
            network.take_leg_events(0),
            [LegEvent::HungUp(Release::Lost)]
        );
        assert_eq!(kinds(&network.take_texts()), ["ACK", "BYE"]);
        network.run_until_idle();
    }
    let (mut network, leg, _) = connected_by_hand();
    network.agents[0].offer(network.now, leg, None);
    network.run_until_idle();
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Lost)]
    );
}

#[test]
fn a_2xx_to_an_offer_of_a_call_that_was_hung_up_is_still_acknowledged() {
    let (mut network, leg, _) = connected_by_hand();
    network.agents[0].offer(network.now, leg, None);
    let invite = network.take_text();
    network.agents[0].hang_up(network.now, leg, None);
    let bye = network.take_text();
    assert_eq!(kind(&bye), "BYE");
    network.send(PEER, &response(&invite, 200, "", "", ""));
    assert_eq!(kind(&network.take_text()), "ACK");
    network.send(PEER, &response(&bye, 200, "", "", ""));
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
}
