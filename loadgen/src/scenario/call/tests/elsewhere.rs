//! The scenarios that are built in and send calls elsewhere, answer twice or not yet, or play what
//! is no phone: a recorder, a PBX.

use super::builtin::{answer_all, play};

#[test]
fn a_trunk_that_fails_over_refuses_and_is_acknowledged() {
    let mut lab = play("trunk-failover");
    lab.ask("INVITE", 1, "");
    let refusal = lab.sent().pop().expect("a refusal");
    assert!(refusal.starts_with("SIP/2.0 503 ") && refusal.contains("Retry-After: 5\r\n"));
    lab.ask("ACK", 1, "");
    lab.advance(4_000);
    assert!(lab.is_successful());
}

#[test]
fn a_forked_call_is_answered_by_two_phones() {
    let mut lab = play("fork-2x200");
    lab.ask("INVITE", 1, "");
    let answers = lab.sent();
    let tag = |answer: &String| {
        let to = answer.lines().find(|line| line.starts_with("To:"));
        to.unwrap_or_default().to_owned()
    };
    let [one, two] = &answers[..] else {
        panic!("two answers: {answers:?}");
    };
    assert!(
        answers
            .iter()
            .all(|answer| answer.starts_with("SIP/2.0 200 "))
    );
    assert_ne!(tag(one), tag(two));
    for phone in ["X: 1\r\n", "X: 2\r\n"] {
        lab.ask("ACK", 1, phone);
    }
    for (number, phone) in [(2, "X: 2\r\n"), (3, "X: 1\r\n")] {
        lab.ask("BYE", number, phone);
        assert_eq!(lab.lines(), ["SIP/2.0 200 OK"]);
    }
    lab.advance(4_000);
    assert!(lab.is_successful());
}

#[test]
fn a_glare_is_refused_once() {
    let mut lab = play("glare-491");
    for (number, answer) in [(1, "200 OK"), (2, "491 Request Pending"), (3, "200 OK")] {
        lab.ask("INVITE", number, "");
        assert_eq!(lab.lines(), [format!("SIP/2.0 {answer}")]);
        lab.ask("ACK", number, "");
    }
    lab.ask("BYE", 4, "");
    assert_eq!(lab.lines(), ["SIP/2.0 200 OK"]);
    lab.advance(4_000);
    assert!(lab.is_successful());
}

/// A recorder's client says that it is one, and who talks (RFC 7866 §6.1.1); without either the
/// call fails.
#[test]
fn a_recorder_takes_two_streams_and_wants_metadata() {
    let (siprec, metadata) = (
        "Require: siprec\r\n",
        "Content-Type: application/rs-metadata+xml\r\n",
    );
    for (more, is_good) in [
        (format!("{siprec}{metadata}"), true),
        (siprec.to_owned(), false),
        (metadata.to_owned(), false),
    ] {
        let mut lab = play("siprec-srs");
        lab.ask("INVITE", 1, &more);
        let answer = lab.sent().pop().expect("an answer");
        assert_eq!(answer.matches("m=audio ").count(), 2, "{answer}");
        assert_eq!(answer.matches("a=recvonly").count(), 2, "{answer}");
        lab.ask("ACK", 1, "");
        lab.ask("BYE", 2, "");
        lab.advance(4_000);
        assert_eq!(lab.is_successful(), is_good, "{more}");
    }
}

#[test]
fn a_pbx_tells_of_a_phone_until_the_subscription_ends() {
    let mut lab = play("pbx-presence");
    lab.ask(
        "SUBSCRIBE",
        1,
        "Contact: <sip:watcher@127.0.0.1:5070>\r\nEvent: presence\r\n",
    );
    let told = answer_all(&mut lab, &[("NOTIFY", &["200 OK"; 4])]);
    assert_eq!(told, ["SIP/2.0", "NOTIFY", "NOTIFY", "NOTIFY", "NOTIFY"]);
    assert!(lab.is_successful());
}

#[test]
fn two_calls_are_connected_by_a_refer_that_names_the_other() {
    let mut lab = play("refer-attended");
    let mut refer = None;
    for _ in 0..100 {
        for message in lab.sent() {
            let status = match message.split(' ').next() {
                Some("INVITE") => "200 OK",
                Some("REFER") => "202 Accepted",
                _ => continue,
            };
            lab.answer(&message, status, "Contact: <sip:peer@127.0.0.1:5070>\r\n");
            refer = Some(message).filter(|message| message.starts_with("REFER "));
        }
        lab.advance(50);
    }
    let refer = refer.expect("a REFER");
    let to = refer.lines().find(|line| line.starts_with("Refer-To:"));
    let to = to.expect("it says where to");
    assert!(
        to.contains("<sip:new@127.0.0.1?Replaces=b%2F%2F%2F1-77@127.0.0.1%3Bto-tag%3D77%3B"),
        "{to}"
    );
    lab.ask("NOTIFY", 5, "Event: refer\r\n");
    lab.ask("BYE", 6, "");
    assert_eq!(lab.lines(), ["SIP/2.0 200 OK"; 2]);
    lab.advance(4_000);
    assert!(lab.is_successful());
}
