//! A call is set up, by us and with us (RFC 3261 §13).

use std::sync::Arc;
use std::time::Duration;

use super::calls::{ack, answered, calling, ok, ringing};
use super::messages::{
    PEER, body, header, invite, kind, kinds, request, response, tag, uri, within,
};
use super::network::{Network, invite_to, sdp};
use crate::dialog::{LegEvent, Refusal, Release, UserAgentEvent};
use crate::sip::Status;

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
         Cisco-Guid: 1-2-3-4\r\nDiversion: <sip:7@pbx>;reason=no-answer\r\n\
         Content-Type: application/sdp\r\n",
        "offer",
    );
    network.send(PEER, &text);
    let events = network.take_events(0);
    let [UserAgentEvent::Invited(_, invitation)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(invitation.called, "2001");
    assert_eq!(&*invitation.calling.number, "4711");
    assert_eq!(&*invitation.calling.display_name, "Alice");
    assert!(!invitation.calling.private);
    assert_eq!(invitation.max_forwards, 69);
    assert_eq!(invitation.expires, Some(Duration::from_secs(180)));
    assert_eq!(invitation.offer, Some(sdp("offer")));
    let carried = [
        ("Cisco-Guid", "1-2-3-4"),
        ("Diversion", "<sip:7@pbx>;reason=no-answer"),
    ];
    assert!(invitation.carried.iter().eq(carried));
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
        assert_eq!(&*invitation.calling.number, "4711");
        assert!(invitation.calling.private, "{extra}");
        assert_eq!(invitation.offer, None);
    }
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
fn a_delayed_offer_is_ours_to_make() {
    let (mut network, leg) = ringing();
    network.agents[0].answer(network.now, leg, Some(&sdp("ours")));
    let ok = network.take_text();
    assert_eq!(body(&ok), "ours");
    assert_eq!(header(&ok, "Content-Type"), "application/sdp");
}

#[test]
fn an_invite_says_who_calls_and_asks_for_rport() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    Arc::make_mut(&mut invite.calling).display_name = "A \"quoted\" name".into();
    invite.max_forwards = 41;
    invite.carried = [("Cisco-Guid", "abc")].into_iter().collect();
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
    assert_eq!(header(&text, "Cisco-Guid"), "abc");
    assert_eq!(body(&text), "offer");
}

#[test]
fn a_hidden_number_is_for_the_trusted_only() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    Arc::make_mut(&mut invite.calling).private = true;
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert!(header(&text, "From").contains("anonymous.invalid"));
    assert_eq!(header(&text, "Privacy"), "id");
    assert!(header(&text, "P-Asserted-Identity").contains("sip:1000@"));
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
        expected.map(|status| LegEvent::Progress { status, body: None })
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
    let lost = LegEvent::HungUp(Release::Lost);
    assert_eq!(network.take_leg_events(0).last(), Some(&lost));
}

/// §13.3.1.4: its sender says it after T1, twice that, and so on up to T2, for 64*T1. Whether or
/// not it is heard to the end.
#[test]
fn a_2xx_that_waits_for_its_ack_is_acknowledged_in_time() {
    let said = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500];
    let until = Duration::from_millis(24_000);
    for (heard, expected) in [
        (&said[..], 20_000),
        (&said[1..], 20_500),
        (&said[..3], 20_000),
        (&said[..2], 3_750),
        (&said[2..], 5_250),
        (&said[4..], 11_250),
        (&said[7..], 23_250),
    ] {
        let (mut network, leg, invite) = calling();
        let begin = network.now;
        for at in heard {
            network.run_for(begin + Duration::from_millis(*at) - network.now);
            network.send(PEER, &ok(&invite, "a"));
            if *at == heard[0] {
                network.take_leg_events(0);
            }
            if *at >= expected {
                break;
            }
            assert_eq!(network.take_leg_events(0), [], "{heard:?} at {at}");
        }
        let at = begin + Duration::from_millis(expected);
        let before = at - Duration::from_millis(1);
        if network.now < before {
            network.run_for(before - network.now);
            assert_eq!(network.take_leg_events(0), [], "{heard:?}");
        }
        network.run_for(begin + until - network.now);
        let due = network.take_leg_events(0);
        assert_eq!(
            due.first(),
            Some(&LegEvent::AcknowledgementDue),
            "{heard:?}"
        );
        network.agents[0].acknowledge(network.now, leg, None);
        network.take_texts();
        network.send(PEER, &ok(&invite, "a"));
        assert_eq!(kind(&network.take_text()), "ACK");
        network.run_for(Duration::from_secs(20));
        assert_eq!(network.take_events(0), []);
    }
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
fn a_provisional_response_after_the_final_one_is_nothing() {
    let (mut network, _, invite) = calling();
    network.send(PEER, &ok(&invite, "a"));
    network.take_events(0);
    network.send(PEER, &response(&invite, 180, "a", "", ""));
    assert_eq!(network.take_events(0), []);
}

#[test]
fn who_waits_hears_where_it_stands_with_each_182_that_says_so() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.take_texts();
    let now = network.now;
    let mut call_info = |position, wait: Option<u64>| {
        network.agents[0].queued(now, leg, position, wait.map(Duration::from_secs));
        let text = network.take_text();
        assert_eq!(kind(&text), "182 INVITE");
        let (uri, about) = header(&text, "Call-Info").split_once('>').unwrap();
        assert!(uri.starts_with("<sip:127.0.0.1"), "it is ours: {uri}");
        about.to_owned()
    };
    let place = ";purpose=queue;position=3";
    assert_eq!(call_info(3, None), place);
    assert_eq!(call_info(3, Some(95)), format!("{place};estimated-wait=95"));
    network.agents[0].progress(now, leg, Status::QUEUED);
    assert_eq!(header(&network.take_text(), "Call-Info"), "");
}
