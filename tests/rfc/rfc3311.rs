//! UPDATE: a session or what is known of the other side changes without an INVITE (RFC 3311).

use std::sync::Arc;
use std::time::Duration;

use super::calls::{CONTACT, connected_by_hand, ok, reinvite};
use super::messages::{PEER, body, header, invite, kind, kinds, request, response, uri, within};
use super::network::{Network, invite_to, sdp};
use crate::dialog::{Body, LegEvent, LegKey, Party, Refusal};
use crate::sip::Status;

fn update(tag: &str, cseq: u32, offer: &str) -> String {
    let mut extra = "Contact: <sip:moved@127.0.0.1:6009>\r\n".to_owned();
    if !offer.is_empty() {
        extra += "Content-Type: application/sdp\r\n";
    }
    let branch = format!("up{cseq}");
    request("UPDATE", "call", cseq, Some(tag), &branch, &extra, offer)
}

fn party(number: &str) -> Arc<Party> {
    Arc::new(Party {
        number: number.into(),
        display_name: "Bob".into(),
        private: false,
    })
}

#[test]
fn section_5_2_an_offer_is_answered_in_one_step() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &update(&tag, 102, "hold"));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Offered {
            body: Some(sdp("hold"))
        }]
    );
    network.agents[0].answer_offer(network.now, leg, Some(&sdp("held")));
    let text = network.take_text();
    assert_eq!((kind(&text).as_str(), body(&text)), ("200 UPDATE", "held"));
    assert!(header(&text, "Contact").contains("127.0.0.1:5060"));
    assert!(header(&text, "Allow").contains("UPDATE"));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::OfferAcknowledged { body: None }]
    );
    // Nothing waits for an ACK, and the target has moved.
    network.run_for(Duration::from_secs(40));
    network.agents[0].hang_up(network.now, leg, 16);
    assert_eq!(uri(&network.take_text()), "sip:moved@127.0.0.1:6009");
}

/// Who is across may have to be asked by INVITE, and does not answer.
#[test]
fn section_5_2_an_offer_without_an_answer_gets_504_before_its_sender_gives_up() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &update(&tag, 102, "hold"));
    network.take_leg_events(0);
    network.run_for(Duration::from_secs(27));
    let before = network.take_texts();
    assert!(before.iter().all(|text| kind(text) == "100 UPDATE"));
    network.run_for(Duration::from_secs(2));
    assert_eq!(kind(&network.take_text()), "504 UPDATE");
    assert_eq!(network.take_leg_events(0), [LegEvent::OfferCancelled]);
    // The answer comes too late, and the next offer finds nothing in its way.
    network.agents[0].answer_offer(network.now, leg, Some(&sdp("held")));
    network.send(PEER, &update(&tag, 103, "hold"));
    network.agents[0].answer_offer(network.now, leg, Some(&sdp("held")));
    assert_eq!(kind(&network.take_text()), "200 UPDATE");
    network.run_for(Duration::from_secs(40));
    assert_eq!(network.take_texts(), [""; 0]);
}

#[test]
fn section_5_2_a_refused_offer_moves_nothing() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &update(&tag, 102, "hold"));
    let refusal = Refusal {
        status: Status::NOT_ACCEPTABLE_HERE,
        retry_after: None,
    };
    network.agents[0].refuse_offer(network.now, leg, refusal);
    assert_eq!(kind(&network.take_text()), "488 UPDATE");
    network.agents[0].hang_up(network.now, leg, 16);
    assert_eq!(uri(&network.take_text()), "sip:3427@127.0.0.1:6000");
}

#[test]
fn section_5_2_one_without_an_offer_moves_the_target_and_is_not_reported() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &update(&tag, 102, ""));
    assert_eq!(kind(&network.take_text()), "200 UPDATE");
    assert_eq!(network.take_leg_events(0), []);
    network.agents[0].hang_up(network.now, leg, 16);
    assert_eq!(uri(&network.take_text()), "sip:moved@127.0.0.1:6009");
}

#[test]
fn section_5_2_an_offer_that_meets_ours_gets_491() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].offer(network.now, leg, Some(&sdp("ours")));
    let ours = network.take_text();
    network.send(PEER, &update(&tag, 102, "theirs"));
    assert_eq!(kind(&network.take_text()), "491 UPDATE");
    // One that offers nothing does not meet it.
    network.send(PEER, &update(&tag, 103, ""));
    assert_eq!(kind(&network.take_text()), "200 UPDATE");
    network.send(PEER, &ok(&ours, ""));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::OfferAnswered {
            body: Some(sdp("answer"))
        }]
    );
}

#[test]
fn section_5_2_an_offer_before_the_last_is_answered_gets_500_and_a_time() {
    let (mut network, _, tag) = connected_by_hand();
    network.send(PEER, &reinvite(&tag, 102));
    network.take_texts();
    network.send(PEER, &update(&tag, 103, "again"));
    let text = network.take_text();
    assert_eq!(kind(&text), "500 UPDATE");
    assert!(header(&text, "Retry-After").parse::<u32>().unwrap() <= 10);
    assert_eq!(network.take_leg_events(0).len(), 1);
}

#[test]
fn section_5_2_two_offers_by_update_do_not_overlap() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &update(&tag, 102, "one"));
    network.send(PEER, &update(&tag, 103, "two"));
    assert_eq!(kind(&network.take_text()), "500 UPDATE");
    // Nor does an INVITE of ours, nor one of theirs.
    network.take_events(0);
    network.agents[0].offer(network.now, leg, Some(&sdp("ours")));
    let refused = LegEvent::OfferRefused {
        status: Status::REQUEST_PENDING,
    };
    assert_eq!(network.take_leg_events(0), [refused]);
    network.send(PEER, &reinvite(&tag, 104));
    assert_eq!(kinds(&network.take_texts()), ["100 INVITE", "500 INVITE"]);
}

#[test]
fn section_5_2_one_for_no_call_gets_481() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &update("gone", 1, ""));
    assert_eq!(kind(&network.take_text()), "481 UPDATE");
}

#[test]
fn section_5_2_one_that_meets_a_bye_gets_481() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].hang_up(network.now, leg, 16);
    network.take_text();
    network.send(PEER, &update(&tag, 102, "late"));
    assert_eq!(kind(&network.take_text()), "481 UPDATE");
    assert_eq!(network.take_leg_events(0), []);
}

#[test]
fn section_5_2_an_update_of_theirs_goes_down_with_the_call() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &update(&tag, 102, "hold"));
    network.take_events(0);
    network.agents[0].hang_up(network.now, leg, 16);
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["487 UPDATE", "BYE"]);
    network.send(PEER, &response(&texts[1], 200, "", "", ""));
    network.run_until_idle();
}

#[test]
fn section_5_2_before_the_answer_an_offer_has_to_wait_for_the_first_answer() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.agents[0].progress(network.now, leg, Status::RINGING);
    let ringing = network.take_texts().pop().unwrap();
    let tag = super::messages::tag(&ringing, "To").to_owned();
    network.send(PEER, &update(&tag, 102, "offer"));
    assert_eq!(kind(&network.take_text()), "500 UPDATE");
    network.send(PEER, &update(&tag, 103, ""));
    let text = network.take_text();
    assert_eq!(kind(&text), "200 UPDATE");
    assert!(!header(&text, "Contact").is_empty());
    assert_eq!(network.take_leg_events(0), []);
}

#[test]
fn section_5_2_before_the_answer_a_session_that_stands_may_change() {
    let mut network = Network::new(1, 1);
    let extra = format!("{CONTACT}Require: 100rel\r\nContent-Type: application/sdp\r\n");
    network.send(
        PEER,
        &request("INVITE", "call", 101, None, "1", &extra, "offer"),
    );
    let leg = network.take_invited(0);
    network.take_texts();
    network.agents[0].early_media(network.now, leg, Status::RINGING, &sdp("early"));
    let early = network.take_text();
    let tag = super::messages::tag(&early, "To").to_owned();
    let rack = format!("RAck: {} 101 INVITE\r\n", header(&early, "RSeq"));
    network.send(
        PEER,
        &request("PRACK", "call", 102, Some(&tag), "p", &rack, ""),
    );
    network.take_texts();
    network.send(PEER, &update(&tag, 103, "changed"));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Offered {
            body: Some(sdp("changed"))
        }]
    );
    network.agents[0].answer_offer(network.now, leg, Some(&sdp("agreed")));
    let text = network.take_text();
    assert_eq!(
        (kind(&text).as_str(), body(&text)),
        ("200 UPDATE", "agreed")
    );
    network.agents[0].answer(network.now, leg, Some(&sdp("early")));
    assert_eq!(kind(&network.take_text()), "200 INVITE");
}

/// A call to a phone that takes UPDATE.
fn connected_with(allow: &str) -> (Network, LegKey) {
    let mut network = Network::new(2, 1);
    let leg = network.agents[0]
        .invite(network.now, &invite_to(PEER))
        .expect("there is room");
    let invite = network.take_text();
    let extra = format!("{CONTACT}{allow}");
    network.send(PEER, &response(&invite, 200, "a", &extra, ""));
    network.agents[0].acknowledge(network.now, leg, None);
    network.take_texts();
    network.take_events(0);
    (network, leg)
}

#[test]
fn section_5_1_who_is_across_is_told_at_once_where_the_peer_takes_it() {
    let (mut network, leg) = connected_with("Allow: INVITE, UPDATE\r\n");
    network.agents[0].identify(network.now, leg, &party("4711"));
    let text = network.take_text();
    assert_eq!(kind(&text), "UPDATE");
    assert_eq!(body(&text), "");
    assert!(header(&text, "P-Asserted-Identity").starts_with("\"Bob\" <sip:4711@"));
    assert!(!header(&text, "Contact").is_empty());
    network.send(PEER, &response(&text, 200, "", CONTACT, ""));
    // The same once more is no news.
    network.agents[0].identify(network.now, leg, &party("4711"));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.take_leg_events(0), []);
}

#[test]
fn section_5_1_elsewhere_the_next_invite_tells_it() {
    let (mut network, leg) = connected_with("Allow: INVITE\r\n");
    network.agents[0].identify(network.now, leg, &party("4711"));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.agents[0].offer(network.now, leg, Some(&sdp("hold")));
    let text = network.take_text();
    assert!(header(&text, "P-Asserted-Identity").contains("sip:4711@"));
}

/// After a transfer who is across is told by UPDATE, and the media by an INVITE, at once. Whatever
/// the peer makes of the two, neither costs the other one anything: an UPDATE that is refused is
/// said again with the next request, and the INVITE says the same.
#[test]
fn section_5_1_an_update_and_an_invite_of_ours_do_not_hurt_each_other() {
    for update_first in [true, false] {
        for (status, extra) in [
            (200, CONTACT),
            (491, ""),
            (500, "Retry-After: 5\r\n"),
            (504, ""),
        ] {
            let (mut network, leg) = connected_with("Allow: INVITE, UPDATE\r\n");
            let case = format!("{update_first} {status}");
            let identify = |network: &mut Network| {
                network.agents[0].identify(network.now, leg, &party("4711"));
                network.take_text()
            };
            let offer = |network: &mut Network| {
                network.agents[0].offer(network.now, leg, Some(&sdp("offer")));
                network.take_text()
            };
            let (update, invite) = if update_first {
                let update = identify(&mut network);
                (update, offer(&mut network))
            } else {
                let invite = offer(&mut network);
                (identify(&mut network), invite)
            };
            assert_eq!(kind(&update), "UPDATE");
            assert_eq!(body(&update), "", "it offers nothing that could cross");
            network.send(PEER, &response(&update, status, "", extra, ""));
            assert_eq!(network.take_leg_events(0), [], "{case}");
            let extra = format!("{CONTACT}Content-Type: application/sdp\r\n");
            network.send(PEER, &response(&invite, 200, "", &extra, "answer"));
            let answered = LegEvent::OfferAnswered {
                body: Some(sdp("answer")),
            };
            assert_eq!(network.take_leg_events(0), [answered], "{case}");
            network.agents[0].acknowledge(network.now, leg, None);
            network.take_texts();
            network.agents[0].offer(network.now, leg, Some(&sdp("again")));
            let next = network.take_text();
            assert!(
                header(&next, "P-Asserted-Identity").contains("4711"),
                "{case}"
            );
        }
    }
}

/// The same when it is the INVITE that the peer finds to cross: it is refused with 491, which is
/// the offer's own business and sent again by whoever made it.
#[test]
fn section_5_1_an_invite_that_crosses_an_update_is_refused_by_itself() {
    let (mut network, leg) = connected_with("Allow: INVITE, UPDATE\r\n");
    network.agents[0].identify(network.now, leg, &party("4711"));
    let update = network.take_text();
    network.agents[0].offer(network.now, leg, Some(&sdp("offer")));
    let invite = network.take_text();
    network.send(PEER, &response(&invite, 491, "", "", ""));
    let status = Status::REQUEST_PENDING;
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::OfferRefused { status }]
    );
    network.send(PEER, &response(&update, 200, "", CONTACT, ""));
    network.take_texts();
    network.agents[0].offer(network.now, leg, Some(&sdp("offer")));
    assert_eq!(kind(&network.take_text()), "INVITE");
    assert_eq!(network.take_leg_events(0), []);
}

#[test]
fn section_5_3_a_call_that_the_peer_does_not_know_is_lost() {
    let (mut network, leg) = connected_with("Allow: INVITE, UPDATE\r\n");
    network.agents[0].identify(network.now, leg, &party("4711"));
    let text = network.take_text();
    network.send(PEER, &response(&text, 481, "", "", ""));
    assert_eq!(kind(&network.take_text()), "BYE");
    assert_eq!(network.take_leg_events(0).len(), 1);
}

/// A phone that rings, and our INVITE to it; what it says is reliable where it likes.
fn ringing(body: Option<Body>) -> (Network, LegKey, String) {
    let mut network = Network::new(2, 1);
    let mut opening = invite_to(PEER);
    opening.policy.reliable_provisional = true;
    opening.body = body;
    let leg = network.agents[0]
        .invite(network.now, &opening)
        .expect("there is room");
    let text = network.take_text();
    (network, leg, text)
}

fn of_phone(invite: &str, cseq: u32, tag: &str) -> String {
    let extra = format!("{CONTACT}Content-Type: application/sdp\r\n");
    within(invite, "UPDATE", cseq, tag, &extra, "changed")
}

fn reliably(network: &mut Network, invite: &str, tag: &str) {
    let extra = format!("{CONTACT}Require: 100rel\r\nRSeq: 7\r\nContent-Type: application/sdp\r\n");
    network.send(PEER, &response(invite, 183, tag, &extra, "early"));
    let prack = network.take_text();
    network.send(PEER, &response(&prack, 200, "", "", ""));
    network.take_events(0);
}

#[test]
fn section_5_2_a_phone_that_rings_may_not_offer_while_ours_is_open() {
    for (ours, expected) in [(Some(sdp("ours")), "491 UPDATE"), (None, "500 UPDATE")] {
        let (mut network, _, invite) = ringing(ours);
        let extra = format!("{CONTACT}Content-Type: application/sdp\r\n");
        network.send(PEER, &response(&invite, 180, "a", &extra, "perhaps"));
        network.take_events(0);
        network.send(PEER, &of_phone(&invite, 1, "a"));
        let text = network.take_text();
        assert_eq!(kind(&text), expected);
        assert_eq!(
            header(&text, "Retry-After").is_empty(),
            expected.starts_with("491")
        );
        assert_eq!(network.take_leg_events(0), []);
    }
}

#[test]
fn section_5_2_a_phone_that_rings_may_change_what_it_has_answered_for_certain() {
    for (fork, said, heard) in [
        ("a", "early", "changed"),
        ("a", "", "changed"),
        ("b", "b", "b"),
    ] {
        let (mut network, leg, invite) = ringing(Some(sdp("ours")));
        reliably(&mut network, &invite, "a");
        // Another phone of the same number has answered nothing yet.
        network.send(PEER, &response(&invite, 180, "b", CONTACT, ""));
        network.send(PEER, &of_phone(&invite, 1, "b"));
        assert_eq!(kind(&network.take_text()), "491 UPDATE");
        network.take_events(0);
        network.send(PEER, &of_phone(&invite, 2, "a"));
        let offered = LegEvent::Offered {
            body: Some(sdp("changed")),
        };
        assert_eq!(network.take_leg_events(0), [offered]);
        // RFC 3311 §5.2: theirs is not answered.
        network.send(PEER, &of_phone(&invite, 3, "a"));
        assert_eq!(kind(&network.take_text()), "500 UPDATE");
        network.agents[0].answer_offer(network.now, leg, Some(&sdp("agreed")));
        let text = network.take_text();
        assert_eq!(
            (kind(&text).as_str(), body(&text)),
            ("200 UPDATE", "agreed")
        );
        network.take_events(0);
        let content = match said {
            "" => String::new(),
            _ => "Content-Type: application/sdp\r\n".to_owned(),
        };
        let extra = format!("{CONTACT}{content}");
        network.send(PEER, &response(&invite, 200, fork, &extra, said));
        let answered = LegEvent::Answered {
            body: Some(sdp(heard)),
        };
        assert_eq!(network.take_leg_events(0), [answered], "{fork} {said}");
    }
}

/// The target that it moves is that of its own early dialog, and not of another phone's.
#[test]
fn section_5_2_before_the_answer_the_target_of_one_phone_moves() {
    let (mut network, leg, invite) = ringing(Some(sdp("ours")));
    reliably(&mut network, &invite, "a");
    let extra = "Contact: <sip:moved@127.0.0.1:6000>\r\nContent-Type: application/sdp\r\n";
    let update = within(&invite, "UPDATE", 1, "a", extra, "changed");
    network.send(PEER, &update);
    network.agents[0].answer_offer(network.now, leg, Some(&sdp("agreed")));
    assert_eq!(kind(&network.take_text()), "200 UPDATE");
    for (fork, contact, target) in [
        ("a", CONTACT, "sip:moved@127.0.0.1:6000"),
        ("b", "", "sip:2001@127.0.0.1:6000"),
    ] {
        let extra = format!("{contact}Require: 100rel\r\nRSeq: 8\r\n");
        network.send(PEER, &response(&invite, 183, fork, &extra, ""));
        let prack = network.take_text();
        assert_eq!((kind(&prack).as_str(), uri(&prack)), ("PRACK", target));
        network.send(PEER, &response(&prack, 200, "", "", ""));
    }
}

/// An UPDATE that overtakes the ACK: 491 where that has the answer to an offer of ours.
#[test]
fn section_5_2_an_offer_before_the_ack_meets_ours_or_comes_too_early() {
    for (theirs, expected) in [("", "491 UPDATE"), ("theirs", "500 UPDATE")] {
        let mut network = Network::new(1, 1);
        let content = match theirs {
            "" => String::new(),
            _ => "Content-Type: application/sdp\r\n".to_owned(),
        };
        let extra = format!("{CONTACT}{content}");
        let opening = request("INVITE", "call", 101, None, "1", &extra, theirs);
        network.send(PEER, &opening);
        let leg = network.take_invited(0);
        network.take_texts();
        network.agents[0].answer(network.now, leg, Some(&sdp("ours")));
        let tag = super::messages::tag(&network.take_text(), "To").to_owned();
        network.send(PEER, &update(&tag, 102, "early"));
        assert_eq!(kind(&network.take_text()), expected);
        network.send(PEER, &request("ACK", "call", 101, Some(&tag), "a", "", ""));
        network.take_events(0);
        // The same of an INVITE within the call.
        let again = request("INVITE", "call", 103, Some(&tag), "2", &extra, theirs);
        network.send(PEER, &again);
        network.take_texts();
        network.agents[0].answer_offer(network.now, leg, Some(&sdp("ours")));
        network.take_text();
        network.send(PEER, &update(&tag, 104, "early"));
        assert_eq!(kind(&network.take_text()), expected);
    }
}

#[test]
fn section_5_2_an_offer_of_ours_in_a_reliable_response_is_open_until_its_prack() {
    let mut network = Network::new(1, 1);
    let extra = format!("{CONTACT}Require: 100rel\r\n");
    network.send(PEER, &request("INVITE", "call", 101, None, "1", &extra, ""));
    let leg = network.take_invited(0);
    network.take_texts();
    network.agents[0].early_media(network.now, leg, Status::RINGING, &sdp("ours"));
    let tag = super::messages::tag(&network.take_text(), "To").to_owned();
    network.send(PEER, &update(&tag, 102, "theirs"));
    assert_eq!(kind(&network.take_text()), "491 UPDATE");
}
