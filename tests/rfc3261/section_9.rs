//! CANCEL of both sides, and its races with the final response (RFC 3261 §9, RFC 5407 §3.1).

use std::time::Duration;

use super::calls::{ack, answered, calling, connected_by_hand, ok, reinvite, ringing};
use super::messages::{PEER, header, kind, kinds, request, response, tag, uri};
use super::network::Network;
use crate::dialog::{Cause, LegEvent, Refusal, Release};
use crate::sip::Status;

#[test]
fn cancel_is_answered_and_the_invite_gets_487() {
    let (mut network, _) = ringing();
    // Extensions are ignored in CANCEL, RFC 3261 §8.2.2.3.
    network.send(
        PEER,
        &request("CANCEL", "call", 101, None, "1", "Require: magic\r\n", ""),
    );
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["200 CANCEL", "487 INVITE"]);
    // RFC 3261 §9.2: both are of one dialog.
    assert_eq!(tag(&texts[0], "To"), tag(&texts[1], "To"));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Cancelled {
            cause: Cause::default()
        })]
    );
    let ack = request("ACK", "call", 101, Some(tag(&texts[1], "To")), "1", "", "");
    network.send(PEER, &ack);
    network.run_until_idle();
}

#[test]
fn cancel_that_comes_after_the_2xx_changes_nothing() {
    let (mut network, _, ok) = answered();
    network.send(PEER, &request("CANCEL", "call", 101, None, "1", "", ""));
    let answer = network.take_text();
    assert_eq!(kind(&answer), "200 CANCEL");
    // §9.2: the tag is that of the INVITE's response, whichever that was.
    assert_eq!(tag(&answer, "To"), tag(&ok, "To"));
    network.send(PEER, &ack(&ok, ""));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Acknowledged { body: None }]
    );
}

#[test]
fn cancel_that_comes_after_a_failure_has_its_tag() {
    let (mut network, leg) = ringing();
    let refusal = Refusal {
        status: Status::BUSY_HERE,
        retry_after: None,
    };
    network.agents[0].refuse(network.now, leg, refusal);
    let busy = network.take_text();
    network.send(PEER, &request("CANCEL", "call", 101, None, "1", "", ""));
    let answer = network.take_text();
    assert_eq!(kind(&answer), "200 CANCEL");
    assert_eq!(tag(&answer, "To"), tag(&busy, "To"));
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
}

#[test]
fn cancel_of_nothing_gets_481() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &request("CANCEL", "call", 101, None, "1", "", ""));
    assert_eq!(kind(&network.take_text()), "481 CANCEL");
    network.run_until_idle();
}

#[test]
fn cancel_is_held_until_a_provisional_response() {
    let (mut network, leg, invite) = calling();
    network.agents[0].hang_up(network.now, leg, Some(16));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.send(PEER, &response(&invite, 100, "", "", ""));
    let cancel = network.take_text();
    assert_eq!(kind(&cancel), "CANCEL");
    for name in ["Via", "From", "To", "Call-ID"] {
        assert_eq!(header(&cancel, name), header(&invite, name), "{name}");
    }
    assert_eq!(uri(&cancel), uri(&invite));
    assert_eq!(header(&cancel, "CSeq"), "1 CANCEL");
    assert_eq!(header(&cancel, "Reason"), "Q.850;cause=16");
    network.send(PEER, &response(&cancel, 200, "a", "", ""));
    network.send(PEER, &response(&invite, 487, "a", "", ""));
    assert_eq!(kind(&network.take_text()), "ACK");
    assert_eq!(network.agents[0].legs(), 0);
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
}

#[test]
fn hanging_up_where_nothing_came_back_needs_no_cancel() {
    let (mut network, leg, invite) = calling();
    network.agents[0].hang_up(network.now, leg, None);
    network.send(PEER, &response(&invite, 486, "a", "", ""));
    assert_eq!(kind(&network.take_text()), "ACK");
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
}

#[test]
fn cancel_crossing_200_ends_in_bye() {
    for provisional in [false, true] {
        let (mut network, leg, invite) = calling();
        if provisional {
            network.send(PEER, &response(&invite, 180, "a", "", ""));
            network.take_events(0);
        }
        network.agents[0].hang_up(network.now, leg, None);
        network.take_texts();
        network.send(PEER, &ok(&invite, "a"));
        let texts = network.take_texts();
        assert_eq!(kinds(&texts), ["ACK", "BYE"], "provisional: {provisional}");
        network.send(PEER, &ok(&invite, "a"));
        assert_eq!(network.take_text(), texts[0]);
        network.send(PEER, &response(&texts[1], 200, "", "", ""));
        network.run_until_idle();
        assert_eq!(network.take_events(0), []);
    }
}

#[test]
fn a_cancel_that_brings_no_487_is_given_up_after_64_t1() {
    let (mut network, leg, invite) = calling();
    network.send(PEER, &response(&invite, 180, "a", "", ""));
    network.agents[0].hang_up(network.now, leg, None);
    network.run_for(Duration::from_secs(33));
    assert_eq!(network.agents[0].legs(), 0);
    network.run_until_idle();
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Progress {
            status: Status::RINGING,
            body: None
        }]
    );
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
    assert_eq!(network.take_leg_events(0), [LegEvent::OfferCancelled]);
    network.agents[0].offer(network.now, leg, None);
    assert!(kinds(&network.take_texts()).contains(&"INVITE".to_owned()));
}

#[test]
fn an_offer_is_taken_back_once_a_provisional_response_has_come() {
    for withdrawn_before in [true, false] {
        let (mut network, leg, tag) = connected_by_hand();
        network.agents[0].offer(network.now, leg, None);
        let texts = network.take_texts();
        let invite = texts.last().expect("an INVITE");
        if withdrawn_before {
            network.agents[0].withdraw_offer(network.now, leg);
            assert_eq!(network.take_texts(), Vec::<String>::new());
        }
        network.send(PEER, &response(invite, 100, "", "", ""));
        if !withdrawn_before {
            network.agents[0].withdraw_offer(network.now, leg);
        }
        let cancel = network.take_text();
        assert_eq!(header(&cancel, "CSeq"), "1 CANCEL");
        assert_eq!(header(&cancel, "Via"), header(invite, "Via"));
        // Once is enough.
        network.agents[0].withdraw_offer(network.now, leg);
        network.send(PEER, &response(&cancel, 200, "", "", ""));
        network.send(PEER, &response(invite, 487, "", "", ""));
        assert_eq!(kind(&network.take_text()), "ACK");
        assert_eq!(
            network.take_leg_events(0),
            [LegEvent::OfferRefused {
                status: Status::REQUEST_TERMINATED
            }]
        );
        network.send(
            PEER,
            &request("BYE", "call", 102, Some(&tag), "bye", "", ""),
        );
        network.run_until_idle();
    }
}

#[test]
fn an_offer_of_ours_does_not_outlive_its_call() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].offer(network.now, leg, None);
    let invite = network.take_texts().pop().expect("an INVITE");
    network.send(PEER, &response(&invite, 100, "", "", ""));
    // The peer owes the INVITE a 487 (§15.1.2), and never sends it.
    network.send(
        PEER,
        &request("BYE", "call", 102, Some(&tag), "bye", "", ""),
    );
    network.run_until_idle();
}
