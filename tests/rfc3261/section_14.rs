//! INVITEs within a call, both ways, and when they cross (RFC 3261 §14).

use std::time::Duration;

use super::calls::{connected, connected_by_hand, reinvite, ringing};
use super::messages::{PEER, header, kind, kinds, request, response, tag};
use super::network::sdp;
use crate::dialog::{Cause, LegEvent, Refusal, Release};
use crate::sip::Status;

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
        [LegEvent::HungUp(Release::Bye {
            cause: Cause::default()
        })]
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

#[test]
fn a_second_invite_before_the_first_is_answered_gets_500_with_retry_after() {
    let (mut network, leg) = ringing();
    network.agents[0].progress(network.now, leg, Status::RINGING);
    let ringing = network.take_text();
    let extra = "Contact: <sip:3427@127.0.0.1:6000>\r\n";
    let second = request(
        "INVITE",
        "call",
        102,
        Some(tag(&ringing, "To")),
        "2",
        extra,
        "",
    );
    network.send(PEER, &second);
    let texts = network.take_texts();
    let refusal = texts.last().expect("the second INVITE is answered");
    assert_eq!(kind(refusal), "500 INVITE");
    let seconds: u32 = header(refusal, "Retry-After").parse().expect("a number");
    assert!(seconds <= 10);
}
