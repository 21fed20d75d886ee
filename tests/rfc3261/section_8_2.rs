//! Requests that are not served, each with the status that RFC 3261 §8.2 and §21 name, in the order
//! that §8.2 names, and counted; and how one is answered that is served.

use std::sync::Arc;

use super::calls::{calling, connected_by_hand, ringing};
use super::messages::{PEER, header, headers, invite, kind, request, response, status, tag};
use super::network::{Network, invite_to, target};
use crate::counters::Counter;
use crate::dialog::{LegEvent, PingOutcome, UserAgentEvent};
use crate::sip::Status;

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

/// A request, its answer, the counter, and a header of the answer with its value.
type Row = (String, &'static str, Counter, &'static str, &'static str);

#[test]
fn the_same_invite_by_two_paths_is_merged() {
    let (mut network, _) = ringing();
    network.send(PEER, &invite("call", "other", ""));
    let texts = network.take_texts();
    assert_eq!(kind(texts.last().expect("answered")), "482 INVITE");
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn nothing_that_is_carried_can_add_a_line() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.request_uri = "sip:2001@127.0.0.1:6000 SIP/2.0\r\nX-Evil: 1".to_owned();
    Arc::make_mut(&mut invite.calling).number = "10\r\nX-Evil: 2".into();
    Arc::make_mut(&mut invite.calling).display_name = "a\r\nX-Evil: 3".into();
    invite.carried = [
        ("Session-ID", "abc\r\nX-Evil: 4"),
        ("Bad name", "x"),
        ("X\r\nX-Evil", "5"),
        ("Via", "SIP/2.0/UDP evil"),
        ("l", "9999"),
    ]
    .into_iter()
    .collect();
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert_eq!(headers(&text, "X-Evil").count(), 0, "{text}");
    assert_eq!(headers(&text, "Via").count(), 1);
    assert_eq!(headers(&text, "Content-Length").count(), 1);
    assert_eq!(header(&text, "Session-ID"), "abc  X-Evil: 4");
}

#[test]
fn a_response_with_a_via_below_ours_is_for_somebody_else() {
    let (mut network, _, invite) = calling();
    let extra = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n";
    network.send(PEER, &response(&invite, 486, "a", extra, ""));
    assert_eq!(network.take_events(0), []);
}

#[test]
fn a_ping_tells_an_answer_from_silence() {
    let mut network = Network::new(2, 1);
    let target = target(PEER);
    let ping = |network: &mut Network| {
        let now = network.now;
        network.agents[0]
            .ping(now, target, "sip:127.0.0.1:6000", 0)
            .expect("there is room")
    };
    let key = ping(&mut network);
    let text = network.take_text();
    assert_eq!(
        (kind(&text).as_str(), header(&text, "Max-Forwards")),
        ("OPTIONS", "0")
    );
    network.send(PEER, &response(&text, 483, "a", "", ""));
    let outcome = PingOutcome::Answered {
        status: Status::TOO_MANY_HOPS,
    };
    assert_eq!(network.take_events(0), [UserAgentEvent::Ping(key, outcome)]);
    let key = ping(&mut network);
    network.run_until_idle();
    assert_eq!(
        network.take_events(0),
        [UserAgentEvent::Ping(key, PingOutcome::Silent)]
    );
    assert_eq!(status(&network.take_texts()[0]), 0);
}

#[test]
fn what_we_do_not_serve_is_refused_with_what_would_do() {
    let plain = invite("call", "1", "");
    let offer = |extra: &str| {
        let contact = format!("Contact: <sip:1@127.0.0.1>\r\n{extra}");
        request("INVITE", "call", 1, None, "1", &contact, "body")
    };
    let other = |method: &str| request(method, "call", 1, None, "1", "", "");
    let fax = plain.replace("INVITE sip:", "INVITE fax:");
    let sips = plain.replace("INVITE sip:", "INVITE sips:");
    let required = invite("call", "1", "Require: 100rel, magic\r\n");
    let zipped = "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n";
    let methods = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, PRACK, UPDATE";
    let types = "application/sdp, multipart/mixed";
    let (method, extension, unsupported) = (
        Counter::RequestMethod,
        Counter::RequestExtension,
        Counter::RequestUnsupported,
    );
    check_rows([
        (fax, "416 INVITE", unsupported, "", ""),
        (sips, "416 INVITE", unsupported, "", ""),
        (other("REGISTER"), "405 REGISTER", method, "Allow", methods),
        (other("DANCE"), "501 DANCE", method, "Allow", methods),
        (required, "420 INVITE", extension, "Unsupported", "magic"),
        (
            offer("Content-Type: text/plain\r\n"),
            "415 INVITE",
            unsupported,
            "Accept",
            types,
        ),
        (offer(""), "415 INVITE", unsupported, "Accept", types),
        (
            offer(zipped),
            "415 INVITE",
            unsupported,
            "Accept-Encoding",
            "identity",
        ),
    ]);
}

#[test]
fn what_breaks_the_protocol_is_refused_by_its_rule() {
    let plain = invite("call", "1", "");
    let own = "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKown\r\n";
    let gone = |method: &str| request(method, "call", 1, Some("gone"), "1", "", "");
    let (malformed, looped, unknown) = (
        Counter::MessageMalformed,
        Counter::RequestLoop,
        Counter::RequestUnknownDialog,
    );
    let version = plain.replace(" SIP/2.0\r\nVia", " SIP/7.0\r\nVia");
    let exhausted = plain.replace("Max-Forwards: 70", "Max-Forwards: 0");
    let no_contact = plain.replace("Contact:", "X-Contact:");
    check_rows([
        (version, "505 INVITE", malformed, "", ""),
        (exhausted, "483 INVITE", looped, "", ""),
        (invite("call", "1", own), "482 INVITE", looped, "", ""),
        (no_contact, "400 INVITE", malformed, "", ""),
        (gone("INVITE"), "481 INVITE", unknown, "", ""),
        (gone("BYE"), "481 BYE", unknown, "", ""),
        (
            request("BYE", "call", 1, None, "1", "", ""),
            "481 BYE",
            unknown,
            "",
            "",
        ),
        (gone("OPTIONS"), "481 OPTIONS", unknown, "", ""),
    ]);
}

fn check_rows(rows: impl IntoIterator<Item = Row>) {
    for (text, expected, counter, name, value) in rows {
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
    assert_eq!(kind(&answer_to(&text, Counter::RequestMethod)), "501 DANCE");
    let text = request("OPTIONS", "call", 1, None, "1", "Require: magic\r\n", "")
        .replace("OPTIONS sip:", "OPTIONS fax:");
    assert_eq!(
        kind(&answer_to(&text, Counter::RequestUnsupported)),
        "416 OPTIONS"
    );
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
fn a_body_that_was_ignored_is_no_offer() {
    let optional = "Content-Disposition: session;handling=optional\r\n";
    for kind in [
        "Content-Type: text/plain\r\n",
        "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n",
    ] {
        let mut network = Network::new(3, 1);
        network.send(PEER, &invite_with("call", &format!("{kind}{optional}")));
        let events = network.take_events(0);
        let [UserAgentEvent::Invited(_, invitation)] = &events[..] else {
            panic!("one INVITE was expected: {events:?}");
        };
        assert_eq!(invitation.offer, None);

        let (mut network, _, tag) = connected_by_hand();
        let extra = format!("{kind}{optional}");
        let reinvite = request("INVITE", "call", 102, Some(&tag), "2", &extra, "body");
        network.send(PEER, &reinvite);
        assert_eq!(
            network.take_leg_events(0),
            [LegEvent::Offered { body: None }]
        );
    }
}

/// An INVITE that opens a call, with a body.
fn invite_with(call_id: &str, extra: &str) -> String {
    let extra = format!("Contact: <sip:1@127.0.0.1>\r\n{extra}");
    request("INVITE", call_id, 101, None, "1", &extra, "body")
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
        "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, PRACK, UPDATE"
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
fn an_invite_of_ours_that_comes_back_is_a_loop() {
    let mut network = Network::new(3, 1);
    let invite = invite_to(PEER);
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
