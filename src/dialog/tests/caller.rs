//! Calls of ours to a peer written by hand (RFC 3261 §9.1, §13.2).

use std::time::Duration;

use offhook_shards::Transport;

use super::messages::{
    PEER, body, header, headers, kind, kinds, response, status, tag, uri, within,
};
use super::network::{Network, address, invite_to, sdp};
use crate::dialog::{LegEvent, LegKey, Release};
use crate::sip::Status;

const CONTACT: &str = "Contact: <sip:phone@127.0.0.1:6000>\r\n";

/// A network in which agent 0 has sent an INVITE; it comes along.
fn calling() -> (Network, LegKey, String) {
    let mut network = Network::new(2, 1);
    let leg = network.agents[0]
        .invite(network.now, &invite_to(PEER))
        .expect("there is room");
    let invite = network.take_text();
    assert_eq!(kind(&invite), "INVITE");
    (network, leg, invite)
}

fn ok(invite: &str, to_tag: &str) -> String {
    let extra = format!("{CONTACT}Content-Type: application/sdp\r\n");
    response(invite, 200, to_tag, &extra, "answer")
}

#[test]
fn an_invite_says_who_calls_and_asks_for_rport() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.calling.display_name = "A \"quoted\" name".to_owned();
    invite.max_forwards = 41;
    invite.carried = vec![("Session-ID".to_owned(), "abc".to_owned())];
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert_eq!(uri(&text), "sip:2001@127.0.0.1:6000");
    assert!(header(&text, "Via").starts_with("SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK"));
    assert!(header(&text, "Via").ends_with(";rport"));
    let from = "\"A \\\"quoted\\\" name\" <sip:1000@127.0.0.1>";
    assert!(header(&text, "From").starts_with(from), "{text}");
    assert_eq!(header(&text, "P-Asserted-Identity"), from);
    assert_eq!(header(&text, "To"), "<sip:2001@127.0.0.1:6000>");
    assert_eq!(header(&text, "Contact"), "<sip:1000@127.0.0.1:5060>");
    assert_eq!(header(&text, "Max-Forwards"), "41");
    assert_eq!(header(&text, "Session-ID"), "abc");
    assert_eq!(body(&text), "offer");
}

#[test]
fn a_hidden_number_is_for_the_trusted_only() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.calling.private = true;
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert!(header(&text, "From").contains("anonymous.invalid"));
    assert_eq!(header(&text, "Privacy"), "id");
    assert!(header(&text, "P-Asserted-Identity").contains("sip:1000@"));
}

#[test]
fn nothing_that_is_carried_can_add_a_line() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.request_uri = "sip:2001@127.0.0.1:6000 SIP/2.0\r\nX-Evil: 1".to_owned();
    invite.calling.number = "10\r\nX-Evil: 2".to_owned();
    invite.calling.display_name = "a\r\nX-Evil: 3".to_owned();
    invite.carried = [
        ("Session-ID", "abc\r\nX-Evil: 4"),
        ("Bad name", "x"),
        ("X\r\nX-Evil", "5"),
        ("Via", "SIP/2.0/UDP evil"),
        ("l", "9999"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
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
fn an_invite_over_1300_bytes_goes_by_tcp_where_the_peer_has_it() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.body = Some(sdp(&"x".repeat(1_300)));
    invite.target.large_requests = Some(address(6001));
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    network.run_for(Duration::from_millis(1));
    let arrived = network.inbox.pop().expect("the INVITE was sent");
    assert_eq!(
        (arrived.transport, arrived.to.port()),
        (Transport::Tcp, 6001)
    );
    assert!(header(&arrived.text, "Via").starts_with("SIP/2.0/TCP "));
    assert_eq!(
        header(&arrived.text, "Contact"),
        "<sip:1000@127.0.0.1:5060;transport=tcp>"
    );
    assert!(!header(&arrived.text, "Via").contains("rport"));
}

#[test]
fn progress_is_reported_and_100_is_not() {
    let (mut network, leg, invite) = calling();
    assert!(!network.agents[0].has_response(leg));
    network.send(PEER, &response(&invite, 100, "", "", ""));
    assert_eq!(network.take_events(0), []);
    assert!(network.agents[0].has_response(leg));
    network.send(PEER, &response(&invite, 180, "a", "", ""));
    network.send(PEER, &response(&invite, 183, "a", "", ""));
    let expected = [Status::RINGING, Status::SESSION_PROGRESS];
    assert_eq!(
        network.take_leg_events(0),
        expected.map(|status| LegEvent::Progress { status })
    );
}

#[test]
fn the_ack_carries_the_answer_and_is_sent_again_for_every_repeated_2xx() {
    let (mut network, leg, invite) = calling();
    network.send(PEER, &ok(&invite, "a"));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Answered {
            body: Some(sdp("answer"))
        }]
    );
    // Until the layer above has decided, a repeated 2xx changes nothing.
    network.send(PEER, &ok(&invite, "a"));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.agents[0].acknowledge(network.now, leg, Some(&sdp("late answer")));
    let ack = network.take_text();
    assert_eq!(kind(&ack), "ACK");
    assert_eq!(uri(&ack), "sip:phone@127.0.0.1:6000");
    assert_eq!(header(&ack, "CSeq"), "1 ACK");
    assert_eq!(tag(&ack, "To"), "a");
    assert_eq!(body(&ack), "late answer");
    network.send(PEER, &ok(&invite, "a"));
    assert_eq!(network.take_text(), ack);
    assert_eq!(network.take_events(0), []);
}

#[test]
fn a_2xx_that_nobody_acknowledges_is_a_call_lost() {
    let (mut network, _, invite) = calling();
    network.send(PEER, &ok(&invite, "a"));
    network.take_events(0);
    network.run_until_idle();
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Lost)]
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
fn a_failure_is_reported_with_what_it_says() {
    for (provisional, code) in [(false, 503), (true, 486), (true, 302), (false, 603)] {
        let (mut network, _, invite) = calling();
        if provisional {
            network.send(PEER, &response(&invite, 180, "a", "", ""));
            network.take_events(0);
        }
        network.send(
            PEER,
            &response(&invite, code, "a", "Retry-After: 30\r\n", ""),
        );
        let expected = LegEvent::Refused {
            status: Status(code),
            retry_after: Some(30),
            after_provisional: provisional,
        };
        assert_eq!(network.take_leg_events(0), [expected]);
        assert_eq!(kind(&network.take_text()), "ACK");
        assert_eq!(network.agents[0].legs(), 0);
        network.run_until_idle();
    }
}

#[test]
fn an_invite_without_any_response_is_refused_with_408() {
    let (mut network, _, _) = calling();
    network.run_until_idle();
    let expected = LegEvent::Refused {
        status: Status::REQUEST_TIMEOUT,
        retry_after: None,
        after_provisional: false,
    };
    assert_eq!(network.take_leg_events(0), [expected]);
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
            status: Status::RINGING
        }]
    );
}

#[test]
fn the_first_of_several_forks_wins_and_the_others_are_ended() {
    let (mut network, leg, invite) = calling();
    network.send(PEER, &response(&invite, 180, "a", "", ""));
    network.send(PEER, &response(&invite, 180, "b", "", ""));
    network.send(PEER, &ok(&invite, "b"));
    network.agents[0].acknowledge(network.now, leg, None);
    assert_eq!(tag(&network.take_text(), "To"), "b");
    network.send(PEER, &ok(&invite, "a"));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["ACK", "BYE"]);
    assert!(texts.iter().all(|text| tag(text, "To") == "a"));
    network.send(PEER, &response(&texts[1], 200, "", "", ""));
    // The ACK was lost; the BYE is under way, and another one would be one too many.
    network.send(PEER, &ok(&invite, "a"));
    assert_eq!(network.take_text(), texts[0]);
    let events = network.take_leg_events(0);
    assert_eq!(
        events.last(),
        Some(&LegEvent::Answered {
            body: Some(sdp("answer"))
        })
    );
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn another_fork_is_ended_even_after_the_call_is_over() {
    let (mut network, leg, invite) = calling();
    network.send(PEER, &ok(&invite, "a"));
    network.agents[0].acknowledge(network.now, leg, None);
    network.send(PEER, &within(&invite, "BYE", 1, "a", "", ""));
    assert_eq!(kinds(&network.take_texts()), ["ACK", "200 BYE"]);
    network.send(PEER, &ok(&invite, "b"));
    assert_eq!(kinds(&network.take_texts()), ["ACK", "BYE"]);
    network.run_until_idle();
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
    let release = Release::Bye { cause: None };
    assert_eq!(network.take_leg_events(0), [LegEvent::HungUp(release)]);
    network.run_until_idle();
}

#[test]
fn a_provisional_response_after_the_final_one_is_nothing() {
    let (mut network, _, invite) = calling();
    network.send(PEER, &ok(&invite, "a"));
    network.take_events(0);
    network.send(PEER, &response(&invite, 180, "a", "", ""));
    assert_eq!(network.take_events(0), []);
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
    use crate::dialog::{PingOutcome, UserAgentEvent};
    let mut network = Network::new(2, 1);
    let target = super::network::target(PEER);
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
