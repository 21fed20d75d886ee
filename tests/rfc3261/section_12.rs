//! What a dialog is known by, the way of its requests, and their order (RFC 3261 §12).

use std::time::Duration;

use super::calls::{CONTACT, ack, calling, connected_by_hand, reinvite, ringing};
use super::messages::{PEER, header, headers, invite, kind, kinds, request, response, tag, uri};
use super::network::{Network, sdp};
use crate::counters::Counter;
use crate::dialog::Refusal;
use crate::sip::Status;

#[test]
fn requests_of_a_callee_follow_the_route_set() {
    let routes = "Record-Route: <sip:127.0.0.1:6001;lr>\r\n\
                  Record-Route: <sip:127.0.0.1:6002;lr>\r\n";
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", routes));
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, None);
    let texts = network.take_texts();
    let ok = texts.last().expect("answered").clone();
    assert_eq!(headers(&ok, "Record-Route").count(), 2);
    network.send(PEER, &ack(&ok, ""));
    network.agents[0].hang_up(network.now, leg, None);
    network.run_for(Duration::from_millis(1));
    let arrived = network.inbox.pop().expect("a BYE was sent");
    assert_eq!(arrived.to.port(), 6001);
    assert_eq!(uri(&arrived.text), "sip:3427@127.0.0.1:6000");
    let route: Vec<&str> = headers(&arrived.text, "Route").collect();
    assert_eq!(
        route,
        ["<sip:127.0.0.1:6001;lr>", "<sip:127.0.0.1:6002;lr>"]
    );
}

#[test]
fn a_strict_router_gets_itself_as_the_request_uri() {
    let routes = "Record-Route: <sip:127.0.0.1:6001>, <sip:127.0.0.1:6002;lr>\r\n";
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", routes));
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, None);
    let texts = network.take_texts();
    network.send(PEER, &ack(texts.last().expect("answered"), ""));
    network.agents[0].hang_up(network.now, leg, None);
    network.run_for(Duration::from_millis(1));
    let arrived = network.inbox.pop().expect("a BYE was sent");
    assert_eq!(arrived.to.port(), 6001);
    assert_eq!(uri(&arrived.text), "sip:127.0.0.1:6001");
    let route: Vec<&str> = headers(&arrived.text, "Route").collect();
    assert_eq!(
        route,
        ["<sip:127.0.0.1:6002;lr>", "<sip:3427@127.0.0.1:6000>"]
    );
}

#[test]
fn the_route_set_of_a_caller_is_the_record_route_in_reverse() {
    let (mut network, leg, invite) = calling();
    let routes = "Record-Route: <sip:127.0.0.1:6001;lr>, <sip:127.0.0.1:6002;lr>\r\n";
    let answer = response(&invite, 200, "a", &format!("{CONTACT}{routes}"), "");
    network.send(PEER, &answer);
    network.agents[0].acknowledge(network.now, leg, None);
    network.run_for(Duration::from_millis(1));
    let arrived = network.inbox.pop().expect("an ACK was sent");
    assert_eq!(arrived.to.port(), 6002);
    let route: Vec<&str> = headers(&arrived.text, "Route").collect();
    assert_eq!(
        route,
        ["<sip:127.0.0.1:6002;lr>", "<sip:127.0.0.1:6001;lr>"]
    );
}

#[test]
fn a_dialog_is_known_by_both_tags() {
    let mut network = Network::new(3, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, None);
    let texts = network.take_texts();
    let tag = tag(texts.last().expect("answered"), "To").to_owned();
    let bye = request("BYE", "call", 102, Some(&tag), "b", "", "");
    network.send(PEER, &bye.replace("tag=peer", "tag=fake"));
    assert_eq!(kind(&network.take_text()), "481 BYE");
    network.send(PEER, &bye.replace("Call-ID: call", "Call-ID: calm"));
    assert_eq!(kind(&network.take_text()), "481 BYE");
    assert_eq!(network.take_events(0), []);
}

#[test]
fn a_number_that_goes_back_gets_500_and_changes_nothing() {
    let mut network = Network::new(3, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, None);
    let texts = network.take_texts();
    let tag = tag(texts.last().expect("answered"), "To").to_owned();
    network.send(PEER, &request("ACK", "call", 101, Some(&tag), "a", "", ""));
    network.take_events(0);
    network.send(PEER, &reinvite(&tag, 100));
    assert_eq!(kinds(&network.take_texts()), ["100 INVITE", "500 INVITE"]);
    assert_eq!(network.count(0, Counter::RequestOutOfOrder), 1);
    assert_eq!(network.take_events(0), []);
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn one_call_id_with_two_from_tags_is_two_calls() {
    let (mut network, _) = ringing();
    network.send(
        PEER,
        &invite("call", "other", "").replace("tag=peer", "tag=pair"),
    );
    network.take_invited(0);
    assert_eq!(network.agents[0].legs(), 2);
}

#[test]
fn provisional_and_final_responses_have_one_tag_and_our_contact() {
    let (mut network, leg) = ringing();
    network.agents[0].progress(network.now, leg, Status::RINGING);
    network.agents[0].progress(network.now, leg, Status::QUEUED);
    network.agents[0].answer(network.now, leg, None);
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["180 INVITE", "182 INVITE", "200 INVITE"]);
    for text in &texts {
        assert_eq!(tag(text, "To"), tag(&texts[0], "To"));
        assert_eq!(tag(text, "To").len(), 16);
        assert_eq!(header(text, "Contact"), "<sip:2001@127.0.0.1:5060>");
        let via = header(text, "Via");
        assert!(
            via.contains(";rport=6000") && via.contains(";received=127.0.0.1"),
            "{via}"
        );
    }
    assert_eq!(
        header(&texts[2], "Allow"),
        "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, PRACK, UPDATE"
    );
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
