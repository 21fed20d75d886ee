//! Calls that come in, from a peer written by hand (RFC 3261 §9.2, §13.3, §15).

use std::time::Duration;

use super::messages::{
    PEER, body, header, headers, invite, kind, kinds, request, response, status, tag, uri,
};
use super::network::{Network, sdp};
use crate::dialog::{LegEvent, LegKey, Refusal, Release, UserAgentEvent};
use crate::sip::Status;

/// A network in which the peer's INVITE has come to agent 0.
fn ringing() -> (Network, LegKey) {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.take_texts();
    (network, leg)
}

/// The same, answered; the 200 comes along.
fn answered() -> (Network, LegKey, String) {
    let (mut network, leg) = ringing();
    network.agents[0].answer(network.now, leg, Some(&sdp("offer of ours")));
    let ok = network.take_text();
    assert_eq!(status(&ok), 200);
    (network, leg, ok)
}

fn ack(ok: &str, body: &str) -> String {
    request("ACK", "call", 101, Some(tag(ok, "To")), "ack", "", body)
}

fn bye(ok: &str) -> String {
    let reason = "Reason: Q.850;cause=16\r\n";
    request("BYE", "call", 102, Some(tag(ok, "To")), "bye", reason, "")
}

#[test]
fn an_invitation_says_who_calls_whom_and_with_what() {
    let mut network = Network::new(1, 1);
    let text = request(
        "INVITE",
        "call",
        101,
        None,
        "1",
        "Contact: <sip:3427@127.0.0.1:6000>\r\nExpires: 180\r\n\
         P-Asserted-Identity: \"Alice\" <sip:4711@pbx>\r\n\
         Remote-Party-ID: \"Bob\" <sip:5@pbx>;party=calling\r\n\
         Session-ID: abc;remote=0\r\nDiversion: <sip:7@pbx>;reason=no-answer\r\n\
         Content-Type: application/sdp\r\n",
        "offer",
    );
    network.send(PEER, &text);
    let events = network.take_events(0);
    let [UserAgentEvent::Invited(_, invitation)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(invitation.called, "2001");
    assert_eq!(invitation.calling.number, "4711");
    assert_eq!(invitation.calling.display_name, "Alice");
    assert!(!invitation.calling.private);
    assert_eq!(invitation.max_forwards, 69);
    assert_eq!(invitation.expires, Some(Duration::from_secs(180)));
    assert_eq!(invitation.offer, Some(sdp("offer")));
    let carried = [
        ("Session-ID", "abc;remote=0"),
        ("Diversion", "<sip:7@pbx>;reason=no-answer"),
    ];
    let carried = carried.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(invitation.carried, carried);
}

#[test]
fn a_caller_who_hides_stays_hidden() {
    for extra in [
        "P-Asserted-Identity: <sip:4711@pbx>\r\nPrivacy: id\r\n",
        "Remote-Party-ID: <sip:4711@pbx>;party=calling;privacy=full\r\n",
    ] {
        let mut network = Network::new(1, 1);
        network.send(PEER, &invite("call", "1", extra));
        let events = network.take_events(0);
        let [UserAgentEvent::Invited(_, invitation)] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(invitation.calling.number, "4711");
        assert!(invitation.calling.private, "{extra}");
        assert_eq!(invitation.offer, None);
    }
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
        "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY"
    );
}

#[test]
fn progress_takes_only_what_is_between_100_and_200() {
    let (mut network, leg) = ringing();
    for code in [0, 100, 200, 486, 700] {
        network.agents[0].progress(network.now, leg, Status(code));
    }
    assert_eq!(network.take_texts(), Vec::<String>::new());
}

#[test]
fn a_2xx_is_repeated_until_the_ack_and_no_longer() {
    let (mut network, _, ok) = answered();
    network.run_for(Duration::from_millis(3_600));
    let texts = network.take_texts();
    // 0.5 s, 1.5 s, 3.5 s.
    assert_eq!(texts, [ok.clone(), ok.clone(), ok.clone()]);
    network.send(PEER, &ack(&ok, "answer"));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Acknowledged {
            body: Some(sdp("answer"))
        }]
    );
    network.run_for(Duration::from_secs(100));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn the_ack_is_reported_once_however_often_it_comes() {
    let (mut network, _, ok) = answered();
    for _ in 0..3 {
        network.send(PEER, &ack(&ok, ""));
    }
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Acknowledged { body: None }]
    );
}

#[test]
fn a_call_without_ack_ends_in_bye_after_64_t1() {
    let (mut network, _, _) = answered();
    network.run_for(Duration::from_millis(31_900));
    assert_eq!(network.take_leg_events(0), []);
    network.take_texts();
    network.run_for(Duration::from_millis(200));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Unacknowledged)]
    );
    let text = network.take_text();
    assert_eq!(kind(&text), "BYE");
    network.send(PEER, &response(&text, 200, "", "", ""));
    network.run_until_idle();
}

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
    let release = Release::Bye { cause: Some(16) };
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
    let release = Release::Bye { cause: Some(16) };
    assert_eq!(network.take_leg_events(0), [LegEvent::HungUp(release)]);
    assert_eq!(network.agents[0].legs(), 0);
}

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
        [LegEvent::HungUp(Release::Cancelled)]
    );
    let ack = request("ACK", "call", 101, Some(tag(&texts[1], "To")), "1", "", "");
    network.send(PEER, &ack);
    network.run_until_idle();
}

#[test]
fn cancel_that_comes_after_the_2xx_changes_nothing() {
    let (mut network, _, ok) = answered();
    network.send(PEER, &request("CANCEL", "call", 101, None, "1", "", ""));
    assert_eq!(kind(&network.take_text()), "200 CANCEL");
    network.send(PEER, &ack(&ok, ""));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Acknowledged { body: None }]
    );
}

#[test]
fn cancel_of_nothing_gets_481() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &request("CANCEL", "call", 101, None, "1", "", ""));
    assert_eq!(kind(&network.take_text()), "481 CANCEL");
    network.run_until_idle();
}

#[test]
fn refusing_sends_the_status_and_forgets_the_leg() {
    let (mut network, leg) = ringing();
    let refusal = Refusal {
        status: Status::SERVICE_UNAVAILABLE,
        retry_after: Some(30),
    };
    network.agents[0].refuse(network.now, leg, refusal);
    let text = network.take_text();
    assert_eq!(kind(&text), "503 INVITE");
    assert_eq!(header(&text, "Retry-After"), "30");
    assert_eq!(network.agents[0].legs(), 0);
    // Whatever is asked of it now comes too late.
    network.agents[0].answer(network.now, leg, None);
    network.agents[0].hang_up(network.now, leg, None);
    network.run_until_idle();
    assert!(
        network
            .take_texts()
            .iter()
            .all(|repeated| *repeated == text)
    );
    assert_eq!(network.take_events(0), []);
}

#[test]
fn hanging_up_a_leg_that_rings_sends_487() {
    let (mut network, leg) = ringing();
    network.agents[0].hang_up(network.now, leg, Some(16));
    assert_eq!(kind(&network.take_text()), "487 INVITE");
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

#[test]
fn the_same_invite_by_two_paths_is_merged() {
    let (mut network, _) = ringing();
    network.send(PEER, &invite("call", "other", ""));
    let texts = network.take_texts();
    assert_eq!(kind(texts.last().expect("answered")), "482 INVITE");
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
fn a_delayed_offer_is_ours_to_make() {
    let (mut network, leg) = ringing();
    network.agents[0].answer(network.now, leg, Some(&sdp("ours")));
    let ok = network.take_text();
    assert_eq!(body(&ok), "ours");
    assert_eq!(header(&ok, "Content-Type"), "application/sdp");
}
