//! The descriptions themselves, with those of a UCM: what a leg is told of its partners.

use bytes::Bytes;

use super::phone::{body, version};
use crate::dialog::Body;
use crate::limits::SDP_LINES_MAX;
use crate::session::description::Told;
use crate::session::slots::Slots;
use crate::session::{Hold, LegSession};

/// A UCM's INVITE with an early offer.
const INVITE: &[u8] = include_bytes!("../../../tests/data/cucm/invite_early_offer.sip");

const PHONE: &str = "v=0\r\no=2001 5150 9 IN IP4 192.0.2.61\r\ns=-\r\nc=IN IP4 192.0.2.61\r\n\
    t=0 0\r\nm=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n";

fn ucm() -> String {
    let text = std::str::from_utf8(INVITE).expect("text");
    let (_, description) = text.split_once("\r\n\r\n").expect("a body");
    description.to_owned()
}

fn text(body: &Body) -> String {
    String::from_utf8_lossy(&body.bytes).into_owned()
}

/// The UCM's leg and the phone's after the first offer and answer.
fn joined() -> (LegSession, LegSession) {
    let (mut caller, mut agent) = (LegSession::inbound(7), LegSession::outbound(8));
    let offer = body(&ucm());
    caller.hear_offer(&Told::of(&offer));
    let (given, slots) = agent.offer(&Told::of(&offer));
    assert_eq!(given, offer, "a first offer passes as it is");
    let answer = body(PHONE);
    agent.hear_answer(&Told::of(&answer));
    assert_eq!(caller.answer(&Told::of(&answer), &slots), answer);
    (caller, agent)
}

/// A re-INVITE of the first leg with this offer, answered by the second with that.
fn relay(from: &mut LegSession, to: &mut LegSession, offer: &str, answer: &str) -> [Body; 2] {
    from.hear_offer(&Told::of(&body(offer)));
    let (given, slots) = to.offer(&Told::of(&body(offer)));
    to.hear_answer(&Told::of(&body(answer)));
    [given, from.answer(&Told::of(&body(answer)), &slots)]
}

#[test]
fn a_first_description_passes_without_a_copy() {
    let offer = body(&ucm());
    let mut agent = LegSession::outbound(8);
    let (given, _) = agent.offer(&Told::of(&offer));
    assert_eq!(given.bytes.as_ptr(), offer.bytes.as_ptr());
    assert!(!agent.is_settled());
}

#[test]
fn a_ucm_holds_with_inactive_plays_music_and_resumes_without_an_offer() {
    let (mut caller, mut agent) = joined();
    // Hold: inactive at session level.
    let hold = ucm().replace("SIP 37245911 1 IN", "SIP 37245911 2 IN") + "a=inactive\r\n";
    let silent = PHONE.replace(" 9 IN", " 10 IN") + "a=inactive\r\n";
    let [given, _] = relay(&mut caller, &mut agent, &hold, &silent);
    assert_eq!(
        text(&given),
        hold,
        "the next version of what it knows passes as it is"
    );
    assert!(caller.far_end_holds() && agent.is_held());
    assert!(
        !agent.far_end_holds(),
        "that the phone is silent is not its doing"
    );
    // Music on hold.
    let music = hold
        .replace("5911 2 IN", "5911 3 IN")
        .replace("inactive", "sendonly");
    let listens = silent
        .replace(" 10 IN", " 11 IN")
        .replace("inactive", "recvonly");
    relay(&mut caller, &mut agent, &music, &listens);
    assert!(caller.far_end_holds() && !agent.far_end_holds());
    // Resume: a re-INVITE without SDP is answered with the phone's offer, and the ACK answers it.
    let again = PHONE.replace(" 9 IN", " 12 IN");
    let back = ucm().replace("5911 1 IN", "5911 4 IN");
    let [_, answer] = relay(&mut agent, &mut caller, &again, &back);
    assert_eq!(text(&answer), back);
    assert!(!caller.far_end_holds() && !agent.is_held());
}

#[test]
fn an_old_hold_by_address_is_a_hold() {
    let (mut caller, mut agent) = joined();
    let hold = PHONE
        .replace(" 9 IN", " 10 IN")
        .replace("c=IN IP4 192.0.2.61", "c=IN IP4 0.0.0.0");
    relay(&mut agent, &mut caller, &hold, &ucm());
    assert!(agent.far_end_holds());
}

#[test]
fn a_new_partner_speaks_under_the_old_name() {
    let (_, mut agent) = joined();
    let partner = "v=0\r\no=carol 1 1 IN IP4 192.0.2.99\r\ns=x\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\n\
        m=video 6002 RTP/AVP 31\r\nm=audio 6000 RTP/AVP 8\r\na=ptime:30\r\n";
    let (given, slots) = agent.offer(&Told::of(&body(partner)));
    assert_eq!(
        text(&given),
        "v=0\r\no=CiscoSystemsCCM-SIP 37245911 2 IN IP4 192.0.2.20\r\ns=x\r\n\
         c=IN IP4 192.0.2.99\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\na=ptime:30\r\n\
         m=video 6002 RTP/AVP 31\r\n"
    );
    let answer = PHONE.replace(" 9 IN", " 10 IN") + "m=video 0 RTP/AVP 31\r\n";
    agent.hear_answer(&Told::of(&body(&answer)));
    let mut carol = LegSession::inbound(9);
    carol.hear_offer(&Told::of(&body(partner)));
    let back = carol.answer(&Told::of(&body(&answer)), &slots);
    assert!(text(&back).contains("m=video 0 RTP/AVP 31\r\nm=audio 40000 RTP/AVP 0 101\r\n"));
    // The next partner has no video; the line stays.
    let (given, _) = agent.offer(&Told::of(&body(&ucm())));
    let text = text(&given);
    assert!(text.contains("37245911 3 IN"), "{text}");
    assert!(text.ends_with("m=video 0 RTP/AVP 31\r\n"), "{text}");
}

#[test]
fn what_has_not_changed_is_not_said_anew() {
    let (_, mut agent) = joined();
    let (again, _) = agent.offer(&Told::of(&body(&ucm().replace(" 1 IN IP4", " 7 IN IP4"))));
    assert_eq!(text(&again), ucm());
}

#[test]
fn a_version_that_was_refused_is_not_used_again() {
    let (_, mut agent) = joined();
    let (first, _) = agent.offer(&Told::of(&body(&PHONE.replace("40000", "50000"))));
    agent.roll_back();
    assert_eq!(agent.said(), Some(&ucm().into_bytes().into()));
    let (second, _) = agent.offer(&Told::of(&body(&PHONE.replace("40000", "50002"))));
    assert_eq!((version(&first.bytes), version(&second.bytes)), (2, 3));
}

#[test]
fn hold_changes_the_directions_only() {
    let (_, mut agent) = joined();
    for (hold, expected) in [
        (Hold::SendOnly, "a=sendonly"),
        (Hold::Inactive, "a=inactive"),
    ] {
        let held = agent.offer_hold(hold).expect("there is a session");
        let plain = text(&held).replace(&format!("{expected}\r\n"), "");
        assert_eq!(plain, ucm().replace("5911 1 IN", "5911 2 IN"));
        agent.roll_back();
        agent = joined().1;
    }
    let held = agent
        .offer_hold(Hold::Inactive)
        .expect("there is a session");
    agent.hear_answer(&Told::of(&body(
        &(PHONE.replace(" 9 IN", " 10 IN") + "a=inactive\r\n"),
    )));
    assert_eq!(
        agent.offer_hold(Hold::SendOnly),
        Some(held),
        "nothing is taken back by a hold"
    );
    assert_eq!(LegSession::inbound(1).offer_hold(Hold::Inactive), None);
}

#[test]
fn a_far_end_that_asks_nobody_in_particular_gets_what_it_had() {
    let (mut caller, _) = joined();
    let said = caller.said().cloned();
    // A refresh.
    caller.hear_offer(&Told::of(&body(&ucm())));
    let (answer, moved) = caller.answer_alone();
    assert_eq!(
        (answer.map(|answer| answer.bytes), moved),
        (said.clone(), false)
    );
    // A hold, with a codec less.
    let hold = ucm().replace("RTP/AVP 0 8 101", "RTP/AVP 0 8") + "a=sendonly\r\n";
    caller.hear_offer(&Told::of(&body(&hold.replace("24580", "24582"))));
    let (answer, moved) = caller.answer_alone();
    let answer = text(&answer.expect("an answer"));
    assert!(answer.contains("m=audio 40000 RTP/AVP 0\r\n"), "{answer}");
    assert!(answer.contains("o=2001 5150 10 IN") && answer.ends_with("a=recvonly\r\n"));
    assert!(moved && caller.far_end_holds());
    // Nothing in common: refused, in its place.
    caller.hear_offer(&Told::of(&body(
        &ucm().replace("RTP/AVP 0 8 101", "RTP/AVP 18"),
    )));
    let (answer, _) = caller.answer_alone();
    assert!(text(&answer.expect("an answer")).ends_with("m=audio 0 RTP/AVP 18\r\n"));
}

/// RFC 3264 §8: a phone that has changed its session before its answer has our answer to that, and
/// nothing older comes after it, although its INVITE was taken back meanwhile.
#[test]
fn a_late_answer_of_a_phone_that_has_changed_brings_no_earlier_version_back() {
    let mut phone = LegSession::outbound(8);
    let (offer, _) = phone.offer(&Told::of(&body(&ucm())));
    let held = body(&(PHONE.replace(" 9 IN", " 10 IN") + "a=sendonly\r\n"));
    let answer = phone.change_ringing(&held).expect("an answer");
    let last = version(&answer.bytes);
    assert!(last > version(&offer.bytes));
    phone.roll_back();
    phone.hear_late_answer(&held);
    assert_eq!(phone.said(), Some(&answer.bytes));
    let (next, _) = phone.offer(&Told::of(&body(&ucm())));
    assert!(version(&next.bytes) > last, "{}", text(&next));
}

/// The last offer that was taken back is the one that may be answered late, also where it was no
/// description.
#[test]
fn a_late_answer_is_none_to_an_offer_before_the_last() {
    let taken_back = |last: &[&str]| {
        let mut phone = LegSession::outbound(8);
        for offer in [&[ucm().as_str()], last].concat() {
            phone.offer(&Told::of(&body(offer)));
            phone.roll_back();
        }
        phone.hear_late_answer(&body(PHONE));
        phone.said().is_some()
    };
    assert!(taken_back(&[]) && !taken_back(&["offer"]));
}

#[test]
fn an_offer_without_media_grows_later() {
    let mut agent = LegSession::outbound(42);
    let silent = agent.offer_no_media();
    assert_eq!(
        text(&silent),
        "v=0\r\no=- 21 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    );
    agent.hear_answer(&Told::of(&body(
        "v=0\r\no=- 5 5 IN IP4 192.0.2.61\r\ns=-\r\nt=0 0\r\n",
    )));
    let (offer, slots) = agent.offer(&Told::of(&body(&ucm())));
    assert!(text(&offer).contains("o=- 21 2 IN IP4 0.0.0.0\r\n"));
    assert!(slots.is_identity(1));
}

#[test]
fn what_is_no_description_passes_unread() {
    let (mut caller, mut agent) = joined();
    let said = agent.said().cloned();
    let multipart = Body {
        content_type: Bytes::from_static(b"multipart/mixed;boundary=x"),
        bytes: b"--x\r\n"[..].into(),
    };
    for offer in [multipart, body("offer")] {
        caller.hear_offer(&Told::of(&offer));
        let (given, slots) = agent.offer(&Told::of(&offer));
        assert_eq!(given, offer);
        agent.hear_answer(&Told::of(&offer));
        assert_eq!(caller.answer(&Told::of(&offer), &slots), offer);
        assert_eq!(agent.said(), said.as_ref());
        assert!(caller.is_settled() && agent.is_settled());
        caller.hear_offer(&Told::of(&offer));
        assert_eq!(caller.answer_alone(), (None, false));
    }
}

#[test]
fn a_version_without_room_to_rise_is_not_taken_over() {
    let mut agent = LegSession::outbound(1);
    let highest = ucm().replace("37245911 1 IN", "37245911 18446744073709551615 IN");
    let (given, _) = agent.offer(&Told::of(&body(&highest)));
    assert_eq!(version(&given.bytes), 1);
}

#[test]
fn an_answer_of_other_length_still_answers_every_line() {
    let mut caller = LegSession::inbound(7);
    let two = ucm() + "m=video 6000 RTP/AVP 31\r\n";
    caller.hear_offer(&Told::of(&body(&two)));
    // The far end leaves the refused line out, against RFC 3264 §6.
    let answer = caller.answer(&Told::of(&body(PHONE)), &Slots::identity(2));
    assert!(text(&answer).ends_with("m=video 0 RTP/AVP 31\r\n"));
}

/// Put together from a list of many media and a partner of many lines, an offer may have more lines
/// than a description may: what the far end says to it then teaches nothing.
#[test]
fn an_offer_that_has_grown_too_long_is_said_and_its_answer_not_understood() {
    let mut agent = LegSession::outbound(8);
    let unused = "m=video 0 RTP/AVP 31\r\n".repeat(20);
    let many = body(&(ucm() + &unused));
    agent.offer(&Told::of(&many));
    agent.hear_answer(&Told::of(&body(&(PHONE.to_owned() + &unused))));
    let heard = agent.heard().cloned();
    let long = body(&(PHONE.to_owned() + &"a=x\r\n".repeat(SDP_LINES_MAX - 20)));
    let (given, _) = agent.offer(&Told::of(&long));
    assert!(Told::of(&long).description.is_some() && Told::of(&given).description.is_none());
    let holds = body(&PHONE.replace("m=audio", "a=inactive\r\nm=audio"));
    agent.hear_answer(&Told::of(&holds));
    assert!(agent.is_settled() && !agent.far_end_holds());
    assert_eq!(
        (agent.said(), agent.heard()),
        (Some(&given.bytes), heard.as_ref())
    );
}

/// What a number above 95 means stands in every description that has it (RFC 3264 §6.1), also
/// where nothing flows because nobody is across yet.
#[test]
fn dynamic_formats_are_explained_to_who_has_nobody_across() {
    let mut waiting = LegSession::inbound(7);
    waiting.hear_offer(&Told::of(&body(PHONE)));
    let (answer, _) = waiting.answer_alone();
    let answer = text(&answer.expect("an answer"));
    assert!(
        answer.ends_with(
            "m=audio 9 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=inactive\r\n"
        ),
        "{answer}"
    );
}
