//! INFO within a call (RFC 6086), as phones use it for DTMF, and the NOTIFY that asks a phone to
//! take up its call.

use std::time::Duration;

use super::calls::connected_by_hand;
use super::messages::{PEER, body, header, invite, kind, request, response};
use super::network::Network;
use crate::counters::Counter;
use crate::dialog::{Body, LegEvent};
use crate::sip::Status;
use offhook::limits::{IN_ORDER_BYTES_MAX, IN_ORDER_MAX};

fn digit() -> Body {
    Body {
        content_type: bytes::Bytes::from_static(b"application/dtmf-relay"),
        bytes: b"Signal=5\r\nDuration=160\r\n"[..].into(),
    }
}

#[test]
fn an_info_is_answered_and_its_body_reported() {
    let (mut network, _, tag) = connected_by_hand();
    let extra = "Content-Type: application/dtmf-relay\r\n";
    let text = "Signal=5\r\nDuration=160\r\n";
    let info = request("INFO", "call", 102, Some(&tag), "i", extra, text);
    network.send(PEER, &info);
    assert_eq!(kind(&network.take_text()), "200 INFO");
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Info {
            body: digit(),
            reports: false
        }]
    );
    // Some use it to see whether the call is there.
    let empty = request("INFO", "call", 103, Some(&tag), "j", "", "");
    network.send(PEER, &empty);
    assert_eq!(kind(&network.take_text()), "200 INFO");
    assert_eq!(network.take_leg_events(0), []);
}

#[test]
fn an_info_of_ours_carries_its_body_and_its_answer_changes_nothing() {
    for code in [200, 415, 481, 500] {
        let (mut network, leg, _) = connected_by_hand();
        network.agents[0].info(network.now, leg, &digit(), false);
        let text = network.take_text();
        assert_eq!(kind(&text), "INFO");
        assert_eq!(header(&text, "Content-Type"), "application/dtmf-relay");
        assert_eq!(body(&text), "Signal=5\r\nDuration=160\r\n");
        network.send(PEER, &response(&text, code, "", "", ""));
        assert_eq!(network.take_events(0), []);
        assert_eq!(network.agents[0].legs(), 1);
    }
}

/// One that is lost and sent again would come after the next one: they go one at a time.
#[test]
fn an_info_of_ours_waits_for_the_answer_to_the_one_before() {
    let (mut network, leg, _) = connected_by_hand();
    for reports in [true, false, true] {
        network.agents[0].info(network.now, leg, &digit(), reports);
    }
    let mut before = String::new();
    for (code, reports) in [(200, true), (415, false), (500, true)] {
        let text = network.take_text();
        assert_ne!(header(&text, "CSeq"), before);
        before = header(&text, "CSeq").to_owned();
        network.run_for(Duration::from_millis(600));
        assert_eq!(network.take_text(), text, "the same once more");
        network.send(PEER, &response(&text, code, "", "", ""));
        let status = Status(code);
        let told = reports.then_some(LegEvent::InfoAnswered { status });
        assert_eq!(network.take_leg_events(0), Vec::from_iter(told));
    }
    assert_eq!(network.take_texts(), Vec::<String>::new());
    // One without any answer ends no call.
    network.agents[0].info(network.now, leg, &digit(), true);
    network.run_for(Duration::from_secs(33));
    let status = Status::REQUEST_TIMEOUT;
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::InfoAnswered { status }]
    );
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn infos_of_ours_beyond_what_may_wait_are_not_sent_and_counted() {
    let (mut network, leg, _) = connected_by_hand();
    for _ in 0..=IN_ORDER_MAX {
        network.agents[0].info(network.now, leg, &digit(), true);
    }
    assert_eq!(network.take_leg_events(0), []);
    network.agents[0].info(network.now, leg, &digit(), true);
    let status = Status::SERVICE_UNAVAILABLE;
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::InfoAnswered { status }]
    );
    assert_eq!(network.count(0, Counter::InOrderOverflow), 1);
}

/// A far end that never answers the one may well take the other.
#[test]
fn what_is_no_digit_waits_for_no_digit_and_is_bounded_too() {
    let (mut network, leg, _) = connected_by_hand();
    let picture = Body {
        content_type: bytes::Bytes::from_static(b"application/media_control+xml"),
        bytes: b"<media_control/>"[..].into(),
    };
    network.agents[0].info(network.now, leg, &digit(), false);
    network.agents[0].info(network.now, leg, &digit(), false);
    network.agents[0].info(network.now, leg, &picture, false);
    let texts = network.take_texts();
    let bodies: Vec<&str> = texts.iter().map(|text| body(text)).collect();
    let digit = "Signal=5\r\nDuration=160\r\n";
    assert_eq!(bodies, [digit, "<media_control/>"]);
    network.send(PEER, &response(&texts[1], 200, "", "", ""));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.send(PEER, &response(&texts[0], 200, "", "", ""));
    assert_eq!(body(&network.take_text()), digit);
    for _ in 0..=IN_ORDER_MAX {
        network.agents[0].info(network.now, leg, &picture, false);
    }
    let texts = network.take_texts();
    assert_eq!(texts.len(), IN_ORDER_MAX);
    assert_eq!(network.count(0, Counter::InOrderOverflow), 1);
    network.send(PEER, &response(&texts[0], 200, "", "", ""));
    network.agents[0].info(network.now, leg, &picture, false);
    assert_eq!(body(&network.take_text()), "<media_control/>");
}

/// The caller's ACK is on its way: whoever asks for digits waits for no answer that never comes.
#[test]
fn digit_before_the_ack_is_refused() {
    let mut network = Network::new(4, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, None);
    network.take_texts();
    network.agents[0].info(network.now, leg, &digit(), true);
    assert_eq!(network.take_texts(), Vec::<String>::new());
    let status = Status::TEMPORARILY_UNAVAILABLE;
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::InfoAnswered { status }]
    );
}

#[test]
fn bytes_of_what_waits_are_bounded() {
    let (mut network, leg, _) = connected_by_hand();
    let long = Body {
        bytes: b"5".repeat(IN_ORDER_BYTES_MAX / 2).into(),
        ..digit()
    };
    for lost in [0, 0, 0, 1] {
        network.agents[0].info(network.now, leg, &long, false);
        assert_eq!(network.count(0, Counter::InOrderOverflow), lost);
    }
}

#[test]
fn section_4_2_2_a_package_that_was_never_offered_gets_469() {
    let (mut network, _, tag) = connected_by_hand();
    let extra = "Info-Package: foo\r\nContent-Type: application/foo\r\n";
    let info = request("INFO", "call", 102, Some(&tag), "i", extra, "bar");
    network.send(PEER, &info);
    assert_eq!(kind(&network.take_text()), "469 INFO");
    assert_eq!(network.take_events(0), []);
}

#[test]
fn an_info_for_no_call_gets_481() {
    let mut network = Network::new(1, 1);
    for tag in [None, Some("gone")] {
        let branch = tag.unwrap_or("none");
        network.send(PEER, &request("INFO", "call", 1, tag, branch, "", ""));
        assert_eq!(kind(&network.take_text()), "481 INFO");
    }
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].hang_up(network.now, leg, 16);
    network.take_text();
    network.send(PEER, &request("INFO", "call", 102, Some(&tag), "i", "", ""));
    assert_eq!(kind(&network.take_text()), "481 INFO");
}

#[test]
fn a_phone_is_asked_to_talk() {
    let (mut network, leg, _) = connected_by_hand();
    network.agents[0].talk(network.now, leg);
    let text = network.take_text();
    assert_eq!(kind(&text), "NOTIFY");
    assert_eq!(header(&text, "Event"), "talk");
    assert!(!header(&text, "Subscription-State").is_empty());
}
