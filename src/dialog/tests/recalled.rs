//! Legs that an earlier process has written down: what their far ends are told first.

use std::num::NonZeroU32;
use std::time::Duration;

use super::messages::{PEER, body, header, invite, kind, kinds, request, response, tag};
use super::network::{Network, invite_to, sdp};
use super::stray::OFFER;
use crate::counters::Counter;
use crate::dialog::{LegEvent, LegKey, LegMemory, LegPolicy};
use crate::journal::{field, frame};
use crate::limits::LATE_ANSWERS_MAX;

const ALLOWS_UPDATE: &str = "Allow: INVITE, ACK, BYE, UPDATE\r\nSupported: timer\r\n";

fn written(network: &Network, leg: LegKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    network.agents[0].remember(leg, &mut bytes);
    bytes
}

/// The process dies, and another one reads what it has written.
fn crash(network: &mut Network, leg: LegKey) -> LegKey {
    let bytes = written(network, leg);
    let memory = field::read::<Option<LegMemory>>(&bytes).expect("it is ours");
    let now = network.now;
    *network = Network::new(2, 1);
    network.now = now.max(network.now);
    let recalled = network.agents[0].recall(network.now, memory.expect("the leg stands"));
    recalled.expect("there is room")
}

/// A call from outside whose 2xx has its ACK, or not.
fn called(network: &mut Network, is_acknowledged: bool) -> (LegKey, String) {
    network.send(PEER, &invite("one", "1", ALLOWS_UPDATE));
    let leg = network.take_invited(0);
    let policy = LegPolicy {
        session_expires: NonZeroU32::new(90),
        ..LegPolicy::default()
    };
    network.agents[0].set_policy(network.now, leg, policy);
    network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
    let ok = network.take_texts().pop().expect("the 2xx");
    if is_acknowledged {
        let to = Some(tag(&ok, "To"));
        network.send(PEER, &request("ACK", "one", 101, to, "2", "", ""));
        network.take_events(0);
    }
    (leg, ok)
}

#[test]
fn two_hundred_without_ack_is_sent_by_the_next_process_until_the_ack_comes() {
    let mut network = Network::new(1, 1);
    let (leg, ok) = called(&mut network, false);
    crash(&mut network, leg);
    assert_eq!(network.take_texts(), std::slice::from_ref(&ok));
    network.run_for(Duration::from_millis(600));
    assert_eq!(network.take_texts(), std::slice::from_ref(&ok));
    let to = Some(tag(&ok, "To"));
    network.send(PEER, &request("ACK", "one", 101, to, "2", "", ""));
    let heard = network.take_leg_events(0);
    assert_eq!(heard, [LegEvent::Acknowledged { body: None }]);
    network.run_for(Duration::from_secs(30));
    assert_eq!(network.take_texts(), Vec::<String>::new());
}

#[test]
fn invite_that_comes_again_after_a_crash_begins_no_other_call() {
    let mut network = Network::new(1, 1);
    let (leg, ok) = called(&mut network, false);
    crash(&mut network, leg);
    network.take_texts();
    network.send(PEER, &invite("one", "1", ALLOWS_UPDATE));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.agents[0].legs(), 1);
    let to = Some(tag(&ok, "To"));
    network.send(PEER, &request("ACK", "one", 101, to, "2", "", ""));
    // It may have been under way for long.
    network.send(PEER, &invite("one", "1", ALLOWS_UPDATE));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.send(PEER, &request("BYE", "one", 102, to, "3", "", ""));
    network.run_for(Duration::from_secs(40));
    assert!(network.agents[0].is_idle(), "nothing of it is left");
}

#[test]
fn session_of_ours_is_refreshed_at_once_and_again_after_silence() {
    let mut network = Network::new(1, 1);
    let (leg, _) = called(&mut network, true);
    crash(&mut network, leg);
    network.run_for(Duration::from_secs(3));
    let first = network.take_texts().swap_remove(0);
    assert_eq!(kind(&first), "UPDATE");
    // Nobody answers: the network may be as new as we are.
    network.run_for(Duration::from_secs(33));
    network.take_texts();
    network.run_for(Duration::from_secs(16));
    let again = network.take_texts().swap_remove(0);
    assert_eq!(kind(&again), "UPDATE");
    assert_ne!(header(&again, "CSeq"), header(&first, "CSeq"));
    let expires = "Session-Expires: 90;refresher=uac\r\n";
    network.send(PEER, &response(&again, 200, "", expires, ""));
    network.run_for(Duration::from_secs(39));
    assert_eq!(
        network.take_texts(),
        Vec::<String>::new(),
        "as any session from here on"
    );
    network.run_for(Duration::from_secs(7));
    assert_eq!(kind(&network.take_texts()[0]), "UPDATE");
    assert_eq!(network.take_leg_events(0), []);
}

#[test]
fn question_for_which_there_is_no_room_is_asked_later() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("one", "1", ""));
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, None);
    let ok = network.take_texts().pop().expect("the 2xx");
    let to = Some(tag(&ok, "To"));
    network.send(PEER, &request("ACK", "one", 101, to, "2", "", ""));
    crash(&mut network, leg);
    network.agents[0].core.transactions.set_client_limit(0, 0);
    network.run_for(Duration::from_secs(60));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.agents[0].core.transactions.set_client_limit(10, 0);
    network.run_for(Duration::from_secs(120));
    let texts = network.take_texts();
    assert_eq!(kind(&texts[0]), "OPTIONS");
}

/// A call to a phone whose 2xx brings the offer.
fn calling(network: &mut Network) -> (LegKey, String) {
    let invite = crate::dialog::Invite {
        body: None,
        ..invite_to(PEER)
    };
    let leg = network.agents[0]
        .invite(network.now, &invite)
        .expect("room");
    let sent = network.take_text();
    let contact =
        format!("Contact: <sip:2001@127.0.0.1:{PEER}>\r\nContent-Type: application/sdp\r\n");
    let ok = response(&sent, 200, "phone", &contact, "offer");
    network.send(PEER, &ok);
    network.agents[0].acknowledge(network.now, leg, Some(&sdp("answer")));
    assert_eq!(kinds(&network.take_texts()), ["ACK"]);
    (leg, ok)
}

#[test]
fn two_hundred_that_comes_again_after_a_crash_gets_its_ack_with_the_answer() {
    let mut network = Network::new(1, 1);
    let (leg, ok) = calling(&mut network);
    let mut leg = crash(&mut network, leg);
    // Even if it crashes again before.
    for _ in 0..2 {
        network.send(PEER, &ok);
        let ack = network.take_text();
        assert_eq!((kind(&ack).as_str(), body(&ack)), ("ACK", "answer"));
        assert_eq!(
            header(&ack, "CSeq"),
            header(&ok, "CSeq").replace("INVITE", "ACK")
        );
        assert_eq!(tag(&ack, "To"), "phone");
        leg = crash(&mut network, leg);
    }
    // That of a fork is none of this dialog's.
    network.send(PEER, &ok.replace("tag=phone", "tag=other"));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["ACK", "BYE"]);
    assert!(texts.iter().all(|text| tag(text, "To") == "other"));
    assert_eq!(network.agents[0].legs(), 1);
}

/// A re-INVITE that asks for an offer, and what the phone answers it when another process is there.
fn asked(network: &mut Network) -> (LegKey, String) {
    let (leg, _) = calling(network);
    network.agents[0].offer(network.now, leg, None);
    let reinvite = network.take_text();
    let content_type = "Content-Type: application/sdp\r\n";
    let ok = response(&reinvite, 200, "", content_type, OFFER);
    (crash(network, leg), ok)
}

#[test]
fn offer_that_an_earlier_process_asked_for_is_answered_and_the_call_goes_on() {
    let mut network = Network::new(1, 1);
    let (leg, ok) = asked(&mut network);
    network.send(PEER, &ok);
    let body = sdp(OFFER);
    let recalled = LegEvent::OfferRecalled { body };
    assert_eq!(network.take_leg_events(0), std::slice::from_ref(&recalled));
    // Nobody has answered it yet.
    network.send(PEER, &ok);
    assert_eq!(network.take_leg_events(0), [recalled]);
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.agents[0].acknowledge(network.now, leg, Some(&sdp("answer")));
    for _ in 0..2 {
        let ack = network.take_text();
        assert_eq!((kind(&ack).as_str(), self::body(&ack)), ("ACK", "answer"));
        assert_eq!(
            header(&ack, "CSeq"),
            header(&ok, "CSeq").replace("INVITE", "ACK")
        );
        network.send(PEER, &ok);
    }
    network.take_text();
    assert_eq!(network.take_leg_events(0), []);
    // Nothing is under way: the next one goes out.
    network.agents[0].offer(network.now, leg, None);
    assert_eq!(kind(&network.take_text()), "INVITE");
}

#[test]
fn offer_that_an_earlier_process_asked_for_is_declined_by_who_hangs_up() {
    let mut network = Network::new(1, 1);
    let (leg, ok) = asked(&mut network);
    network.agents[0].hang_up(network.now, leg, 16);
    assert_eq!(kind(&network.take_text()), "BYE");
    for _ in 0..2 {
        network.send(PEER, &ok);
        let ack = network.take_text();
        assert_eq!(kind(&ack), "ACK");
        assert!(body(&ack).contains("m=audio 0 "), "{ack}");
    }
    assert_eq!(network.take_leg_events(0), []);
}

#[test]
fn offer_of_an_earlier_process_that_nobody_has_answered_is_declined_with_the_bye() {
    let mut network = Network::new(1, 1);
    let (leg, ok) = asked(&mut network);
    network.send(PEER, &ok);
    network.agents[0].hang_up(network.now, leg, 16);
    for expected in [&["ACK", "BYE"][..], &["ACK"]] {
        let texts = network.take_texts();
        assert_eq!(kinds(&texts), expected);
        assert!(body(&texts[0]).contains("m=audio 0 "), "{}", texts[0]);
        network.send(PEER, &ok);
    }
}

/// Of a far end that is broken, or is none.
#[test]
fn flood_of_offers_that_an_earlier_process_asked_for_is_not_kept() {
    let mut network = Network::new(1, 1);
    let (leg, ok) = asked(&mut network);
    let cseq = header(&ok, "CSeq");
    for number in 1_000..2_000 {
        let another = ok.replace(cseq, &format!("{number} INVITE"));
        network.send(PEER, &another);
        network.agents[0].acknowledge(network.now, leg, Some(&sdp("answer")));
    }
    let answered = network.take_leg_events(0).len();
    assert_eq!(answered, LATE_ANSWERS_MAX);
    assert_eq!(network.take_texts().len(), answered);
    let dropped = u64::try_from(1_000 - answered).expect("few");
    assert_eq!(network.count(0, Counter::ResponseStray), dropped);
    let written = written(&network, leg).len();
    assert!(written < 2_048, "{written} bytes");
}

/// Who changes what is written of a leg changes the last byte of `HEAD`, too.
#[test]
fn form_of_a_leg_is_that_of_the_head() {
    let mut network = Network::new(1, 1);
    let (leg, _) = called(&mut network, false);
    let unheard = frame::pin(&written(&network, leg));
    let mut network = Network::new(1, 1);
    let (leg, _) = calling(&mut network);
    let answered = frame::pin(&written(&network, leg));
    let expected = [
        (2, 703, 9_223_949_068_837_879_357),
        (2, 249, 9_003_148_983_640_940_294),
    ];
    assert_eq!([unheard, answered], expected);
}
