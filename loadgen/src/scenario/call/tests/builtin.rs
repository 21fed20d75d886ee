//! The scenarios that are built in, played against a peer that does what they need.

use std::collections::BTreeMap;

use super::lab::{Lab, lab_with};
use crate::scenario::builtin;
use crate::scenario::settings::Settings;

/// A built-in scenario with a pause of one second.
pub(super) fn play(name: &str) -> Lab {
    play_with(name, |_| {})
}

fn play_with(name: &str, change: impl FnOnce(&mut Settings)) -> Lab {
    let text = builtin::find(name).expect("it is built in").text;
    let start = text.find("<scenario").expect("it is a scenario");
    let body = &text[start..];
    let body = &body[body.find('>').expect("its tag ends") + 1..];
    let body = body
        .trim_end()
        .strip_suffix("</scenario>")
        .expect("and is closed");
    let body = body.replace("[target]", "sip:new@127.0.0.1");
    lab_with(&body, |settings| {
        settings.pause = std::time::Duration::from_secs(1);
        change(settings);
    })
}

/// Answers every request by its method and how often it came; `""` is no answer.
pub(super) fn answer_all(lab: &mut Lab, answers: &[(&str, &[&str])]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut methods = Vec::new();
    for _ in 0..200 {
        for message in lab.sent() {
            let method = message.split(' ').next().unwrap_or_default().to_owned();
            methods.push(method.clone());
            let count = seen.entry(method.clone()).or_insert(0);
            let found = answers.iter().find(|(name, _)| *name == method);
            let status = found.and_then(|(_, list)| list.get(*count)).copied();
            *count += 1;
            for status in status
                .unwrap_or_default()
                .split('|')
                .filter(|status| !status.is_empty())
            {
                let (status, more) = status.split_once('\n').unwrap_or((status, ""));
                let more = format!("Contact: <sip:peer@127.0.0.1:5070>\r\n{more}");
                lab.answer(&message, status, &more);
            }
        }
        lab.advance(50);
    }
    methods
}

#[test]
fn calls_with_and_without_challenges_holds_and_late_offers_succeed() {
    for name in ["uac", "late-offer", "session-timer", "reinvite-hold-resume"] {
        let mut lab = play(name);
        let ok: &[&str] = &["100 Trying|180 Ringing|200 OK", "200 OK", "200 OK"];
        let methods = answer_all(
            &mut lab,
            &[
                ("INVITE", ok),
                ("BYE", &["200 OK"]),
                ("UPDATE", &["200 OK"]),
            ],
        );
        assert!(
            lab.is_successful(),
            "{name}: {methods:?} {:?}",
            lab.statistics().failures
        );
    }
    let mut lab = play("uac-invite-auth");
    let challenge = "407 Who\nProxy-Authenticate: Digest realm=\"r\",nonce=\"n\"\r\n";
    let methods = answer_all(
        &mut lab,
        &[
            ("INVITE", &[challenge, "180 Ringing|200 OK"]),
            ("BYE", &["200 OK"]),
        ],
    );
    assert_eq!(methods, ["INVITE", "ACK", "INVITE", "ACK", "BYE"]);
    assert!(lab.is_successful());
    let mut lab = play("uac-register-auth");
    let challenge = "401 Who\nWWW-Authenticate: Digest realm=\"r\",nonce=\"n\"\r\n";
    answer_all(&mut lab, &[("REGISTER", &[challenge, "200 OK"])]);
    assert!(lab.is_successful());
}

#[test]
fn pings_and_reliable_responses_succeed() {
    let mut lab = play("options-ping");
    answer_all(&mut lab, &[("OPTIONS", &["200 OK"])]);
    assert!(lab.is_successful());
    let mut lab = play("prack");
    let invite = lab.sent().pop().expect("an INVITE");
    let contact = "Contact: <sip:peer@127.0.0.1:5070>\r\n";
    lab.answer(
        &invite,
        "180 Ringing",
        &format!("RSeq: 17\r\nRequire: 100rel\r\n{contact}"),
    );
    let prack = lab.sent().pop().expect("a PRACK");
    assert!(
        prack.contains("RAck: 17 1 INVITE\r\n") && prack.contains("CSeq: 2 PRACK"),
        "{prack}"
    );
    lab.answer(&prack, "200 OK", "");
    lab.answer(&invite, "200 OK", contact);
    let ack = lab.sent().pop().expect("an ACK");
    assert!(ack.contains("CSeq: 1 ACK"), "{ack}");
    let methods = answer_all(&mut lab, &[("BYE", &["200 OK"])]);
    assert_eq!(methods, ["BYE"]);
    assert!(lab.is_successful());
}

#[test]
fn a_call_that_is_cancelled_ends_whether_or_not_the_answer_crosses() {
    let mut refused = play("cancel-race");
    let invite = refused.sent().pop().expect("an INVITE");
    refused.answer(&invite, "180 Ringing", "");
    refused.advance(1_020);
    let cancel = refused.sent().pop().expect("a CANCEL");
    let branch = |message: &str| message.lines().nth(1).unwrap_or_default().to_owned();
    assert_eq!(branch(&cancel), branch(&invite));
    refused.answer(&cancel, "200 OK", "");
    refused.answer(&invite, "487 Terminated", "");
    let ack = refused.sent().pop().expect("an ACK");
    assert!(
        ack.starts_with("ACK ") && branch(&ack) == branch(&invite),
        "{ack}"
    );
    assert!(refused.is_successful());
    for crosses_first in [true, false] {
        let mut crossed = play("cancel-race");
        let invite = crossed.sent().pop().expect("an INVITE");
        crossed.answer(&invite, "180 Ringing", "");
        crossed.advance(1_020);
        let cancel = crossed.sent().pop().expect("a CANCEL");
        if crosses_first {
            crossed.answer(&invite, "200 OK", "");
            crossed.answer(&cancel, "200 OK", "");
        } else {
            crossed.answer(&cancel, "200 OK", "");
            crossed.answer(&invite, "200 OK", "");
        }
        let methods = answer_all(&mut crossed, &[("BYE", &["200 OK"])]);
        assert_eq!(methods, ["ACK", "BYE"]);
        assert!(crossed.is_successful());
    }
}

/// Answers meet the CANCEL at another moment in each call.
#[test]
fn calls_are_cancelled_at_all_moments_of_their_stretch() {
    let mut lab = play_with("cancel-race", |settings| {
        settings.load.calls_max = Some(40);
        settings.load.rate = 40_000.0;
    });
    lab.advance(1);
    let invites = lab.sent();
    assert_eq!(invites.len(), 40);
    for invite in &invites {
        lab.answer(invite, "180 Ringing", "");
    }
    let mut moments = Vec::new();
    for _ in 0..1_025 {
        lab.advance(1);
        let cancelled = lab.lines().len();
        if cancelled > 0 {
            moments.push(lab.elapsed());
            assert!(cancelled < 20, "{cancelled} at once");
        }
    }
    let (first, last) = (moments.first(), moments.last());
    assert!(moments.len() > 8, "{moments:?}");
    assert!(first >= Some(&1_000) && last <= Some(&1_023), "{moments:?}");
}

#[test]
fn servers_answer_redirect_and_wait_for_the_end() {
    let mut lab = play("uas");
    lab.ask("INVITE", 1, "");
    assert_eq!(lab.lines(), ["SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]);
    lab.ask("ACK", 1, "");
    lab.ask("BYE", 2, "");
    assert_eq!(lab.lines(), ["SIP/2.0 200 OK"]);
    lab.advance(4_000);
    assert!(lab.is_successful());
    let mut lab = play("early-media");
    lab.ask("INVITE", 1, "");
    assert_eq!(lab.lines(), ["SIP/2.0 183 Session Progress"]);
    lab.advance(1_000);
    lab.ask("ACK", 1, "");
    lab.ask("BYE", 2, "");
    lab.advance(4_000);
    assert!(lab.is_successful());
    let mut lab = play("redirect-3xx");
    lab.ask("INVITE", 1, "");
    let redirect = lab.sent().pop().expect("a redirection");
    assert!(
        redirect.contains("Contact: <sip:new@127.0.0.1>\r\n"),
        "{redirect}"
    );
    lab.ask("ACK", 1, "");
    lab.advance(4_000);
    assert!(lab.is_successful());
}

#[test]
fn transfers_subscriptions_and_lost_acks_take_what_the_peer_sends() {
    let mut lab = play("refer-blind");
    let ok: &[&str] = &["200 OK"];
    answer_all(&mut lab, &[("INVITE", ok), ("REFER", &["202 Accepted"])]);
    lab.ask("NOTIFY", 5, "Event: refer\r\n");
    lab.ask("BYE", 6, "");
    lab.advance(1_000);
    assert!(lab.is_successful());
    let mut lab = play("subscribe-presence");
    let subscribe = lab.sent().pop().expect("a SUBSCRIBE");
    lab.answer(
        &subscribe,
        "200 OK",
        "Contact: <sip:peer@127.0.0.1:5070>\r\n",
    );
    lab.ask("NOTIFY", 1, "Event: presence\r\n");
    lab.advance(1_000);
    let end = lab.sent().pop().expect("another SUBSCRIBE");
    assert!(
        end.contains("Expires: 0\r\n") && end.contains("CSeq: 2 SUBSCRIBE"),
        "{end}"
    );
    lab.answer(&end, "200 OK", "");
    lab.ask("NOTIFY", 2, "Event: presence\r\n");
    assert!(lab.is_successful());
    let mut lab = play("lost-ack");
    let invite = lab.sent().pop().expect("an INVITE");
    for _ in 0..3 {
        lab.answer(&invite, "200 OK", "Contact: <sip:peer@127.0.0.1:5070>\r\n");
        lab.advance(500);
    }
    lab.ask("BYE", 1, "");
    assert_eq!(lab.lines(), ["SIP/2.0 200 OK"]);
    assert!(lab.is_successful());
}

#[test]
fn bursts_and_storms_are_what_their_names_say() {
    let mut lab = play("login-storm");
    let challenge = "401 Who\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";
    let methods = answer_all(&mut lab, &[("REGISTER", &[challenge, "200 OK"])]);
    assert_eq!(methods.len(), 2);
    assert!(lab.is_successful());
    let mut lab = play("acd-burst");
    let queued: &[&str] = &["100 Trying|182 Queued|180 Ringing|200 OK"];
    answer_all(&mut lab, &[("INVITE", queued), ("BYE", &["200 OK"])]);
    assert!(lab.is_successful());
    let mut lab = play("notify-storm");
    lab.ask("SUBSCRIBE", 1, "Contact: <sip:me@127.0.0.1:5070>\r\n");
    let methods = answer_all(&mut lab, &[("NOTIFY", &["200 OK"; 51])]);
    let notifies = methods.iter().filter(|method| *method == "NOTIFY");
    assert_eq!(notifies.count(), 51);
    assert!(lab.is_successful());
}

#[test]
fn an_agent_answers_and_hangs_up_when_the_caller_does_not() {
    let mut lab = play("agent-day");
    lab.ask("INVITE", 1, "Contact: <sip:me@127.0.0.1:5070>\r\n");
    let mut said = lab.lines();
    for _ in 0..600 {
        lab.advance(100);
        said.extend(lab.lines());
        if said.len() > 1 {
            break;
        }
    }
    assert_eq!(said, ["SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]);
    lab.ask("ACK", 1, "");
    lab.advance(60_000);
    let bye = lab.sent().pop().expect("the agent has had enough");
    assert!(
        bye.starts_with("BYE sip:me@127.0.0.1:5070") && bye.contains("tag=5"),
        "{bye}"
    );
    lab.answer(&bye, "200 OK", "");
    lab.advance(1_000);
    assert!(lab.is_successful());
}

#[test]
fn torture_asks_whether_the_peer_lives() {
    let mut silent = play("torture");
    for _ in 0..6 {
        assert_eq!(silent.sent().len(), 1);
        silent.advance(1_000);
    }
    let last = silent.sent().pop().expect("a good request");
    silent.answer(&last, "200 OK", "");
    assert!(silent.is_successful());
    let mut answering = play("torture");
    let statuses = [
        "400 One",
        "400 Two",
        "200 OK",
        "501 Unknown",
        "400 Three",
        "404 Not Found",
    ];
    for status in statuses {
        let odd = answering.sent().pop().expect("an odd request");
        let call_id = "Call-ID: 1-77@127.0.0.1\r\nCSeq: 1 OPTIONS\r\n";
        assert!(!odd.is_empty());
        answering.receive(&format!("SIP/2.0 {status}\r\n{call_id}\r\n"));
    }
    let last = answering.sent().pop().expect("a good request");
    answering.answer(&last, "200 OK", "");
    assert!(answering.is_successful());
}

/// RFC 3261 §25.1: a method may have digits and marks, which the answer repeats.
#[test]
fn torture_takes_505_for_a_version_that_nobody_speaks() {
    let mut lab = play("torture");
    for _ in 0..4 {
        lab.sent();
        lab.advance(1_000);
    }
    let odd = lab.sent().pop().expect("an odd request");
    let cseq = odd.lines().find(|line| line.starts_with("CSeq:"));
    let cseq = cseq.expect("it has a number");
    assert!(odd.contains(" SIP/7.0\r\n"), "{odd}");
    lab.receive(&format!(
        "SIP/2.0 505 Version Not Supported\r\nCall-ID: 1-77@127.0.0.1\r\n{cseq}\r\n\r\n"
    ));
    assert_eq!(lab.sent().len(), 1, "the next request follows");
    assert_eq!(lab.statistics().failed(), 0);
}

#[test]
fn protos_goes_on_when_nobody_answers_and_when_somebody_does() {
    const KINDS: usize = 8;
    let mut silent = play("protos");
    for _ in 0..KINDS {
        // Some of it is no text.
        assert!(silent.sent_bytes().starts_with(b"INVITE "));
        silent.advance(1_000);
    }
    let last = silent.sent().pop().expect("a good request");
    silent.answer(&last, "200 OK", "");
    assert!(silent.is_successful());
    let mut answering = play("protos");
    for number in 1..=KINDS {
        assert!(answering.sent_bytes().starts_with(b"INVITE "));
        let same = format!("Call-ID: 1-77@127.0.0.1\r\nCSeq: {number} INVITE\r\n");
        answering.receive(&format!("SIP/2.0 100 Trying\r\n{same}\r\n"));
        answering.receive(&format!("SIP/2.0 400 Bad Request\r\n{same}\r\n"));
    }
    let last = answering.sent().pop().expect("a good request");
    assert!(last.starts_with("OPTIONS "));
    answering.answer(&last, "200 OK", "");
    assert!(answering.is_successful());
}

#[test]
fn slowloris_trickles_for_ten_seconds_and_asks_on_another_connection() {
    let mut lab = play("slowloris");
    let head = lab.sent().pop().expect("the beginning of a message");
    assert!(head.contains("Content-Length: 9999\r\n"));
    for _ in 0..9 {
        lab.advance(1_000);
        assert_eq!(lab.sent(), ["x\r\n\r\n"]);
    }
    lab.advance(1_000);
    let sent = lab.sent();
    assert_eq!(sent.len(), 2);
    lab.answer(&sent[1], "200 OK", "");
    assert!(lab.is_successful());
}
