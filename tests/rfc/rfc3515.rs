//! A phone transfers its call by REFER (RFC 3515, 3892, 4488, 5589).

use std::time::Duration;

use super::calls::{connected_by_hand, reinvite};
use super::messages::{PEER, body, header, headers, invite, kind, kinds, request, response, tag};
use super::network::{Network, invite_to};
use crate::dialog::{Body, LegEvent, LegKey, LegPolicy, Refer, Release, Replaces};
use crate::sip::Status;

/// A call over a trunk that may transfer.
fn transferring() -> (Network, LegKey, String) {
    let mut network = Network::new(4, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    let policy = LegPolicy {
        refer: true,
        ..LegPolicy::default()
    };
    assert!(network.agents[0].set_policy(network.now, leg, policy));
    network.agents[0].answer(network.now, leg, None);
    let ok = network.take_texts().pop().unwrap();
    assert!(header(&ok, "Allow").contains("REFER"));
    let tag = tag(&ok, "To").to_owned();
    let ack = request("ACK", "call", 101, Some(&tag), "ack", "", "");
    network.send(PEER, &ack);
    network.take_events(0);
    (network, leg, tag)
}

fn refer(tag: &str, cseq: u32, extra: &str) -> String {
    let branch = format!("refer{cseq}");
    let extra = format!("Contact: <sip:3427@127.0.0.1:6000>\r\n{extra}");
    request("REFER", "call", cseq, Some(tag), &branch, &extra, "")
}

fn refers(events: Vec<LegEvent>) -> Refer {
    match <[LegEvent; 1]>::try_from(events) {
        Ok([LegEvent::Referred(refer)]) => *refer,
        other => panic!("one REFER was expected: {other:?}"),
    }
}

#[test]
fn section_2_4_a_refer_is_reported_taken_and_followed_by_notifies() {
    let (mut network, leg, tag) = transferring();
    let extra = "Refer-To: \"Sales\" <sip:2%300@pbx;user=phone>\r\n\
                 Referred-By: <sip:3427@pbx>\r\n";
    network.send(PEER, &refer(&tag, 102, extra));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    let expected = Refer {
        number: "200".to_owned(),
        uri: "sip:2%300@pbx;user=phone".to_owned(),
        replaces: None,
        replaced: None,
        referred_by: Some("<sip:3427@pbx>".to_owned()),
    };
    assert_eq!(refers(network.take_leg_events(0)), expected);
    network.agents[0].accept_refer(network.now, leg);
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["202 REFER", "NOTIFY"]);
    assert_eq!(header(&texts[1], "Event"), "refer");
    assert!(header(&texts[1], "Subscription-State").starts_with("active;expires="));
    assert_eq!(
        header(&texts[1], "Content-Type"),
        "message/sipfrag;version=2.0"
    );
    assert_eq!(body(&texts[1]), "SIP/2.0 100 Trying\r\n");
    network.send(PEER, &response(&texts[1], 200, "", "", ""));
    network.agents[0].report_refer(network.now, leg, Status::RINGING);
    let ringing = network.take_text();
    assert_eq!(body(&ringing), "SIP/2.0 180 Ringing\r\n");
    network.send(PEER, &response(&ringing, 200, "", "", ""));
    network.agents[0].report_refer(network.now, leg, Status::OK);
    let last = network.take_text();
    assert_eq!(body(&last), "SIP/2.0 200 OK\r\n");
    assert_eq!(
        header(&last, "Subscription-State"),
        "terminated;reason=noresource"
    );
    // The last word has been said.
    network.agents[0].report_refer(network.now, leg, Status::OK);
    assert_eq!(network.take_texts(), Vec::<String>::new());
}

#[test]
fn section_2_4_6_the_second_of_a_call_is_told_apart_by_its_id() {
    let (mut network, leg, tag) = transferring();
    for (cseq, event) in [(102, "refer"), (103, "refer;id=103")] {
        network.send(PEER, &refer(&tag, cseq, "Refer-To: <sip:200@pbx>\r\n"));
        network.take_events(0);
        network.agents[0].accept_refer(network.now, leg);
        let texts = network.take_texts();
        assert_eq!(header(&texts[1], "Event"), event);
        network.send(PEER, &response(&texts[1], 200, "", "", ""));
        network.agents[0].report_refer(network.now, leg, Status::BUSY_HERE);
        let last = network.take_text();
        assert_eq!(body(&last), "SIP/2.0 486 Busy Here\r\n");
        assert_eq!(header(&last, "Event"), event);
        network.send(PEER, &response(&last, 200, "", "", ""));
    }
}

/// A phone that answers no INFO learns all the same what has become of its transfer.
#[test]
fn notify_waits_for_no_digit() {
    let (mut network, leg, tag) = transferring();
    let digit = Body {
        content_type: bytes::Bytes::from_static(b"application/dtmf"),
        bytes: b"5"[..].into(),
    };
    network.agents[0].info(network.now, leg, &digit, false);
    assert_eq!(kind(&network.take_text()), "INFO");
    network.send(PEER, &refer(&tag, 102, "Refer-To: <sip:200@pbx>\r\n"));
    network.take_events(0);
    network.agents[0].accept_refer(network.now, leg);
    assert_eq!(kinds(&network.take_texts()), ["202 REFER", "NOTIFY"]);
}

/// One that is lost and sent again would come after the next one, with a number that is refused.
#[test]
fn section_2_4_notifies_go_one_at_a_time_and_with_the_call_at_once() {
    for ends in [false, true] {
        let (mut network, leg, tag) = transferring();
        network.send(PEER, &refer(&tag, 102, "Refer-To: <sip:200@pbx>\r\n"));
        network.take_events(0);
        network.agents[0].accept_refer(network.now, leg);
        let first = network.take_texts().pop().unwrap();
        network.agents[0].report_refer(network.now, leg, Status::RINGING);
        network.agents[0].report_refer(network.now, leg, Status::OK);
        assert_eq!(network.take_texts(), Vec::<String>::new());
        let said = |text: &String| body(text).to_owned();
        if ends {
            network.agents[0].hang_up(network.now, leg, 16);
            let texts = network.take_texts();
            assert_eq!(kinds(&texts), ["NOTIFY", "NOTIFY", "BYE"]);
            assert_eq!(said(&texts[1]), "SIP/2.0 200 OK\r\n");
            continue;
        }
        network.run_for(Duration::from_millis(600));
        assert_eq!(network.take_text(), first, "the same once more");
        network.send(PEER, &response(&first, 200, "", "", ""));
        let ringing = network.take_text();
        assert_eq!(said(&ringing), "SIP/2.0 180 Ringing\r\n");
        network.send(PEER, &response(&ringing, 500, "", "", ""));
        assert_eq!(said(&network.take_text()), "SIP/2.0 200 OK\r\n");
    }
}

#[test]
fn a_refused_refer_leaves_the_call() {
    let (mut network, leg, tag) = transferring();
    network.send(PEER, &refer(&tag, 102, "Refer-To: <sip:200@pbx>\r\n"));
    network.take_events(0);
    network.agents[0].refuse_refer(network.now, leg, Status::DECLINE);
    assert_eq!(kinds(&network.take_texts()), ["603 REFER"]);
    network.agents[0].report_refer(network.now, leg, Status::OK);
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn rfc4488_who_wants_no_notify_gets_none() {
    let (mut network, leg, tag) = transferring();
    let extra = "Refer-To: <sip:200@pbx>\r\nRefer-Sub: false\r\nRequire: norefersub\r\n";
    network.send(PEER, &refer(&tag, 102, extra));
    network.take_events(0);
    network.agents[0].accept_refer(network.now, leg);
    let text = network.take_text();
    assert_eq!(kind(&text), "202 REFER");
    assert_eq!(header(&text, "Refer-Sub"), "false");
    network.agents[0].report_refer(network.now, leg, Status::OK);
    assert_eq!(network.take_texts(), Vec::<String>::new());
}

#[test]
fn rfc5589_an_attended_transfer_names_the_other_call() {
    let (mut network, _, tag) = transferring();
    // The same phone consults by a second call.
    network.send(PEER, &invite("second@127.0.0.1", "2", ""));
    let second = network.take_invited(0);
    network.agents[0].answer(network.now, second, None);
    let ok = network.take_texts().pop().unwrap();
    let own = super::messages::tag(&ok, "To").to_owned();
    let extra = format!(
        "Refer-To: <sip:200@pbx?Replaces=second%40127.0.0.1%3Bto-tag%3D{own}%3Bfrom-tag%3Dpeer\
         &Subject=x>\r\n"
    );
    network.send(PEER, &refer(&tag, 102, &extra));
    let named = Replaces {
        call_id: "second@127.0.0.1".to_owned(),
        to_tag: own,
        from_tag: "peer".to_owned(),
        early_only: false,
    };
    let read = refers(network.take_leg_events(0));
    assert_eq!(read.uri, "sip:200@pbx");
    assert_eq!(read.replaces, Some(named));
    assert_eq!(read.replaced, Some(second));
}

#[test]
fn rfc5589_a_call_that_is_not_here_is_named_all_the_same() {
    let (mut network, _, tag) = transferring();
    let extra = "Refer-To: <sip:200@pbx?Replaces=a%40b%3Bfrom-tag%3Dx%3Bto-tag%3Dy>\r\n";
    network.send(PEER, &refer(&tag, 102, extra));
    let read = refers(network.take_leg_events(0));
    assert!(read.replaces.is_some_and(|named| named.call_id == "a@b"));
    assert_eq!(read.replaced, None);
}

#[test]
fn section_2_4_2_what_names_no_one_target_is_refused() {
    for (extra, expected) in [
        ("", "400 REFER"),
        (
            "Refer-To: <sip:1@pbx>\r\nRefer-To: <sip:2@pbx>\r\n",
            "400 REFER",
        ),
        ("Refer-To: <<<\r\n", "400 REFER"),
        ("Refer-To: <sip:1@pbx?Replaces=broken>\r\n", "400 REFER"),
        ("Refer-To: <http://pbx/>\r\n", "416 REFER"),
        ("Refer-To: <sips:1@pbx>\r\n", "416 REFER"),
        ("Refer-To: <sip:1@pbx;method=BYE>\r\n", "488 REFER"),
    ] {
        let (mut network, _, tag) = transferring();
        network.send(PEER, &refer(&tag, 102, extra));
        assert_eq!(kind(&network.take_text()), expected, "{extra}");
        assert_eq!(network.take_events(0), []);
    }
}

#[test]
fn a_trunk_that_may_not_transfer_is_told_so() {
    let (mut network, _, tag) = connected_by_hand();
    network.send(PEER, &refer(&tag, 102, "Refer-To: <sip:200@pbx>\r\n"));
    let text = network.take_text();
    assert_eq!(kind(&text), "405 REFER");
    assert!(!header(&text, "Allow").contains("REFER"));
    assert_eq!(network.take_events(0), []);
}

#[test]
fn a_refer_outside_a_call_is_refused() {
    let mut network = Network::new(4, 1);
    let extra = "Contact: <sip:1@127.0.0.1>\r\nRefer-To: <sip:200@pbx>\r\n";
    for (tag, expected) in [(None, "403 REFER"), (Some("gone"), "481 REFER")] {
        let branch = tag.unwrap_or("none");
        network.send(PEER, &request("REFER", "call", 1, tag, branch, extra, ""));
        assert_eq!(kind(&network.take_text()), expected);
    }
    assert_eq!(network.take_events(0), []);
    network.run_until_idle();
}

#[test]
fn a_second_refer_waits_for_the_first() {
    let (mut network, leg, tag) = transferring();
    let to = "Refer-To: <sip:200@pbx>\r\n";
    network.send(PEER, &refer(&tag, 102, to));
    network.agents[0].accept_refer(network.now, leg);
    network.take_texts();
    network.send(PEER, &refer(&tag, 103, to));
    let text = network.take_text();
    assert_eq!(kind(&text), "500 REFER");
    assert!(!header(&text, "Retry-After").is_empty());
}

#[test]
fn d11_a_refer_that_crosses_a_bye_gets_481() {
    let (mut network, leg, tag) = transferring();
    network.agents[0].hang_up(network.now, leg, 16);
    let bye = network.take_text();
    network.send(PEER, &refer(&tag, 102, "Refer-To: <sip:200@pbx>\r\n"));
    assert_eq!(kind(&network.take_text()), "481 REFER");
    network.send(PEER, &response(&bye, 200, "", "", ""));
    assert_eq!(network.take_events(0), []);
    network.run_until_idle();
}

#[test]
fn d11_a_bye_that_overtakes_the_answer_ends_the_refer() {
    let (mut network, leg, tag) = transferring();
    network.send(PEER, &refer(&tag, 102, "Refer-To: <sip:200@pbx>\r\n"));
    network.take_events(0);
    network.send(PEER, &request("BYE", "call", 103, Some(&tag), "b", "", ""));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["200 BYE", "487 REFER"]);
    let events = network.take_leg_events(0);
    assert!(matches!(
        events[..],
        [LegEvent::HungUp(Release::Bye { .. })]
    ));
    // What the layer above still says comes too late.
    network.agents[0].accept_refer(network.now, leg);
    network.agents[0].report_refer(network.now, leg, Status::OK);
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.run_until_idle();
}

#[test]
fn d25_the_subscription_ends_with_its_call() {
    for ours in [false, true] {
        let (mut network, leg, tag) = transferring();
        network.send(PEER, &refer(&tag, 102, "Refer-To: <sip:200@pbx>\r\n"));
        network.agents[0].accept_refer(network.now, leg);
        let first = network.take_texts().pop().unwrap();
        network.send(PEER, &response(&first, 200, "", "", ""));
        if ours {
            network.agents[0].hang_up(network.now, leg, 16);
        } else {
            let bye = request("BYE", "call", 103, Some(&tag), "b", "", "");
            network.send(PEER, &bye);
        }
        let texts = network.take_texts();
        let notify = texts.iter().find(|text| kind(text) == "NOTIFY").unwrap();
        assert_eq!(
            headers(notify, "Subscription-State").collect::<Vec<_>>(),
            ["terminated;reason=noresource"]
        );
        // The phone has forgotten the call, and says so to whatever comes.
        for text in &texts {
            if super::messages::status(text) == 0 {
                network.send(PEER, &response(text, 481, "", "", ""));
            }
        }
        network.run_until_idle();
    }
}

#[test]
fn d25_a_notify_that_finds_no_subscription_leaves_the_call() {
    let (mut network, leg, tag) = transferring();
    network.send(PEER, &refer(&tag, 102, "Refer-To: <sip:200@pbx>\r\n"));
    network.agents[0].accept_refer(network.now, leg);
    let notify = network.take_texts().pop().unwrap();
    network.take_events(0);
    network.send(PEER, &response(&notify, 481, "", "", ""));
    network.agents[0].report_refer(network.now, leg, Status::OK);
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.take_events(0), []);
    // The call goes on.
    network.send(PEER, &reinvite(&tag, 103));
    assert_eq!(network.take_leg_events(0).len(), 1);
    network.run_for(Duration::from_secs(1));
}

#[test]
fn rfc3892_the_invite_that_carries_it_out_says_who_asked() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.referred_by = Some("<sip:3427@pbx>".to_owned());
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    assert_eq!(
        header(&network.take_text(), "Referred-By"),
        "<sip:3427@pbx>"
    );
}
