//! Requests that are not served, each with the status that the rules name (RFC 3261 §8.2, §12.2.2,
//! §21), and counted.

use super::messages::{PEER, header, invite, kind, request, status, tag};
use super::network::Network;
use crate::counters::Counter;

/// Sends one request to a fresh agent and takes the one final answer.
fn answer_to(text: &str, counter: Counter) -> String {
    let mut network = Network::new(3, 1);
    network.send(PEER, text);
    let mut texts = network.take_texts();
    texts.retain(|text| status(text) != 100);
    assert_eq!(texts.len(), 1, "{texts:#?}");
    assert_eq!(network.take_events(0), []);
    assert_eq!(network.count(0, counter), 1, "{text}");
    assert_eq!(network.agents[0].legs(), 0);
    let answer = texts.remove(0);
    assert!(!tag(&answer, "To").is_empty(), "{answer}");
    network.run_until_idle();
    answer
}

#[test]
fn every_check_has_its_status_and_says_what_would_do() {
    let plain = invite("call", "1", "");
    let with = |extra: &str| invite("call", "1", extra);
    let offer = |extra: &str| {
        let contact = format!("Contact: <sip:1@127.0.0.1>\r\n{extra}");
        request("INVITE", "call", 1, None, "1", &contact, "body")
    };
    let other = |method: &str| request(method, "call", 1, None, "1", "", "");
    let hops = |number: u32| plain.replace("Max-Forwards: 70", &format!("Max-Forwards: {number}"));
    let own = "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKown\r\n";
    let scheme = plain.replace("INVITE sip:", "INVITE fax:");
    for (text, expected, counter, name, value) in [
        (
            plain.replace(" SIP/2.0\r\nVia", " SIP/7.0\r\nVia"),
            "505 INVITE",
            Counter::MessageMalformed,
            "",
            "",
        ),
        (scheme, "416 INVITE", Counter::RequestUnsupported, "", ""),
        (
            plain.replace("INVITE sip:", "INVITE sips:"),
            "416 INVITE",
            Counter::RequestUnsupported,
            "",
            "",
        ),
        (
            other("REGISTER"),
            "405 REGISTER",
            Counter::RequestMethod,
            "Allow",
            "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY",
        ),
        (
            other("DANCE"),
            "501 DANCE",
            Counter::RequestMethod,
            "Allow",
            "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY",
        ),
        (
            with("Require: 100rel, magic\r\n"),
            "420 INVITE",
            Counter::RequestExtension,
            "Unsupported",
            "100rel, magic",
        ),
        (
            offer("Content-Type: text/plain\r\n"),
            "415 INVITE",
            Counter::RequestUnsupported,
            "Accept",
            "application/sdp, multipart/mixed",
        ),
        (
            offer(""),
            "415 INVITE",
            Counter::RequestUnsupported,
            "Accept",
            "application/sdp, multipart/mixed",
        ),
        (
            offer("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n"),
            "415 INVITE",
            Counter::RequestUnsupported,
            "Accept-Encoding",
            "identity",
        ),
        (hops(0), "483 INVITE", Counter::RequestLoop, "", ""),
        (with(own), "482 INVITE", Counter::RequestLoop, "", ""),
        (
            plain.replace("Contact:", "X-Contact:"),
            "400 INVITE",
            Counter::MessageMalformed,
            "",
            "",
        ),
        (
            request("INVITE", "call", 1, Some("gone"), "1", "", ""),
            "481 INVITE",
            Counter::RequestUnknownDialog,
            "",
            "",
        ),
        (
            request("BYE", "call", 1, Some("gone"), "1", "", ""),
            "481 BYE",
            Counter::RequestUnknownDialog,
            "",
            "",
        ),
        (
            other("BYE"),
            "481 BYE",
            Counter::RequestUnknownDialog,
            "",
            "",
        ),
        (
            request("OPTIONS", "call", 1, Some("gone"), "1", "", ""),
            "481 OPTIONS",
            Counter::RequestUnknownDialog,
            "",
            "",
        ),
    ] {
        let answer = answer_to(&text, counter);
        assert_eq!(kind(&answer), expected, "{text}");
        if !name.is_empty() {
            assert_eq!(header(&answer, name), value, "{text}");
        }
    }
}

#[test]
fn several_faults_are_named_in_the_order_of_the_rfc() {
    let text = request("DANCE", "call", 1, None, "1", "Require: magic\r\n", "")
        .replace("DANCE sip:", "DANCE fax:");
    assert_eq!(
        kind(&answer_to(&text, Counter::RequestUnsupported)),
        "416 DANCE"
    );
    let text = request("DANCE", "call", 1, None, "1", "Require: magic\r\n", "");
    assert_eq!(kind(&answer_to(&text, Counter::RequestMethod)), "501 DANCE");
    let extra = "Require: magic\r\nContent-Type: text/plain\r\nContact: <sip:1@h>\r\n";
    let text = request("INVITE", "call", 1, None, "1", extra, "body");
    assert_eq!(
        kind(&answer_to(&text, Counter::RequestExtension)),
        "420 INVITE"
    );
}

#[test]
fn a_body_that_may_be_ignored_is_no_reason_to_refuse() {
    let extra = "Contact: <sip:1@h>\r\nContent-Type: text/plain\r\n\
                 Content-Disposition: render;handling=optional\r\n";
    let mut network = Network::new(3, 1);
    network.send(
        PEER,
        &request("INVITE", "call", 1, None, "1", extra, "body"),
    );
    network.take_invited(0);
}

#[test]
fn an_ack_is_never_answered() {
    let mut network = Network::new(3, 1);
    for text in [
        request("ACK", "call", 1, None, "1", "", ""),
        request(
            "ACK",
            "call",
            1,
            Some("gone"),
            "2",
            "Require: magic\r\n",
            "body",
        ),
        request("ACK", "call", 1, Some("gone"), "3", "", "").replace("SIP/2.0\r\n", "SIP/7.0\r\n"),
        request("ACK", "call", 1, Some("gone"), "4", "", "").replace("ACK sip:", "ACK fax:"),
    ] {
        network.send(PEER, &text);
    }
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.run_until_idle();
}

#[test]
fn options_is_answered_even_with_no_hop_left() {
    let mut network = Network::new(3, 1);
    let ping = request("OPTIONS", "ping", 1, None, "1", "", "")
        .replace("Max-Forwards: 70", "Max-Forwards: 0");
    network.send(PEER, &ping);
    let answer = network.take_text();
    assert_eq!(kind(&answer), "200 OPTIONS");
    assert_eq!(
        header(&answer, "Allow"),
        "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY"
    );
    assert_eq!(header(&answer, "Accept"), "application/sdp");
    network.run_until_idle();
}

#[test]
fn while_draining_options_gets_503() {
    let mut network = Network::new(3, 1);
    network.agents[0].set_draining(true);
    network.send(PEER, &request("OPTIONS", "ping", 1, None, "1", "", ""));
    let answer = network.take_text();
    assert_eq!(kind(&answer), "503 OPTIONS");
    assert_eq!(header(&answer, "Retry-After"), "10");
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
    network.send(PEER, &request("BYE", "call", 100, Some(&tag), "b", "", ""));
    assert_eq!(kind(&network.take_text()), "500 BYE");
    assert_eq!(network.count(0, Counter::RequestOutOfOrder), 1);
    assert_eq!(network.take_events(0), []);
    assert_eq!(network.agents[0].legs(), 1);
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
fn an_invite_of_ours_that_comes_back_is_a_loop() {
    let mut network = Network::new(3, 1);
    let invite = super::network::invite_to(PEER);
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    // A proxy has replaced the Via and sends it back to us.
    let via = header(&text, "Via").to_owned();
    let back = text.replace(&via, "SIP/2.0/UDP 127.0.0.1:6000;branch=z9hG4bKproxy");
    network.send(PEER, &back);
    let texts = network.take_texts();
    assert_eq!(kind(texts.last().expect("answered")), "482 INVITE");
    assert_eq!(network.count(0, Counter::RequestLoop), 1);
}
