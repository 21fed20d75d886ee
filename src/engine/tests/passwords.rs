//! A trunk whose calls must show a password.

use std::time::Duration;

use crate::counters::Counter;
use crate::limits::NONCE_LIFETIME;
use crate::sip::digest::{self, Algorithm, Asked, Challenge};

use super::{Lab, PBX, request, status, value};

const TRUNK: &str = "realm = \"offhook\"\nuser = \"pbx\"\npassword = \"secret\"\nchallenge = true\n\
                     accept = \"203.0.113.7\"";

const WHO: &str = "From: <sip:100@192.0.2.20>;tag=a\r\nTo: <sip:7000@192.0.2.10>\r\n\
                   Contact: <sip:100@192.0.2.20>\r\n";

const URI: &str = "sip:7000@192.0.2.10:5060";

/// The one response to an INVITE with these lines.
fn asked(lab: &mut Lab, from: &str, branch: &str, lines: &str) -> String {
    let invite = request("INVITE", from, "c1", &format!("{WHO}{lines}"));
    let invite = invite.replace("z9hG4bKc1", &format!("z9hG4bK{branch}"));
    let sent = lab.send(from, invite.as_bytes());
    let (_, first) = sent.into_iter().next().expect("an answer");
    first
}

fn nonce(challenged: &str) -> String {
    let value = value(challenged, "WWW-Authenticate").expect("a challenge");
    let challenge = Challenge::parse(value.as_bytes()).expect("which can be read");
    challenge.nonce.to_owned()
}

fn is_stale(challenged: &str) -> bool {
    let value = value(challenged, "WWW-Authenticate").expect("a challenge");
    Challenge::parse(value.as_bytes())
        .expect("which can be read")
        .stale
}

fn answer(nonce: &str, algorithm: Algorithm, (user, password): (&str, &str), count: u32) -> String {
    let count = format!("{count:08x}");
    let asked = Asked {
        method: "INVITE",
        uri: URI,
        nonce,
        counted: Some((&count, "c")),
    };
    let response = digest::response(algorithm, (user, "offhook", password), asked);
    let algorithm = algorithm.as_str();
    format!(
        "Authorization: Digest username=\"{user}\",realm=\"offhook\",nonce=\"{nonce}\",\
         uri=\"{URI}\",qop=auth,nc={count},cnonce=\"c\",response=\"{response}\",\
         algorithm={algorithm}\r\n"
    )
}

#[test]
fn a_call_is_challenged_and_its_right_answer_lets_it_in() {
    for algorithm in Algorithm::STRONGEST_FIRST {
        let mut lab = Lab::new("", TRUNK);
        let challenged = asked(&mut lab, PBX, "1", "");
        assert_eq!(status(&challenged), Some(401));
        let offered: Vec<&str> = challenged
            .lines()
            .filter(|line| line.starts_with("WWW-Authenticate"))
            .collect();
        assert!(offered[0].contains("algorithm=SHA-512-256,"), "{offered:?}");
        assert!(offered[1].contains("algorithm=SHA-256,"), "{offered:?}");
        assert!(offered[2].contains("algorithm=MD5,"), "{offered:?}");
        assert!(lab.engine.user_agent().is_idle(), "nothing is kept");
        let lines = answer(&nonce(&challenged), algorithm, ("pbx", "secret"), 1);
        assert_eq!(status(&asked(&mut lab, PBX, "2", &lines)), Some(100));
        // Its repetition is one, and no second use of the answer.
        assert_eq!(status(&asked(&mut lab, PBX, "2", &lines)), Some(182));
        assert_eq!(lab.counted(Counter::InviteWrongPassword), 0);
    }
}

#[test]
fn a6_a_name_that_is_not_known_is_answered_like_a_wrong_password() {
    let mut lab = Lab::new("", TRUNK);
    let nonce = nonce(&asked(&mut lab, PBX, "1", ""));
    let mut answers = Vec::new();
    for who in [("pbx", "wrong"), ("nobody", "secret"), ("nobody", "wrong")] {
        let lines = answer(&nonce, Algorithm::Sha256, who, 1);
        let text = asked(&mut lab, PBX, "2", &lines);
        assert_eq!(status(&text), Some(401));
        assert!(!is_stale(&text) && !text.contains("secret"));
        answers.push(text);
    }
    assert_eq!(lab.counted(Counter::InviteWrongPassword), 3);
    let mut shapes = answers.iter().map(|text| {
        let lines = text.lines().filter(|line| !line.starts_with("To:"));
        lines.collect::<Vec<_>>()
    });
    let first = shapes.next().expect("one");
    assert!(shapes.all(|shape| shape == first), "{answers:?}");
}

#[test]
fn a4_a_flood_of_answers_that_nobody_has_made_keeps_nothing() {
    let mut lab = Lab::new("", TRUNK);
    let idle = lab.engine.user_agent().timers();
    for number in 0..2_000_u32 {
        let nonce = format!("{number:032x}");
        let lines = answer(&nonce, Algorithm::Md5, ("pbx", "secret"), 1);
        let text = asked(&mut lab, PBX, &number.to_string(), &lines);
        assert!(status(&text) == Some(401) && !is_stale(&text), "{text}");
    }
    assert!(lab.engine.user_agent().is_idle(), "nothing is kept");
    assert_eq!(lab.engine.user_agent().timers(), idle);
    assert_eq!(lab.counted(Counter::CallOffered), 0);
}

#[test]
fn of_answers_to_several_realms_ours_is_the_one_that_counts() {
    let mut lab = Lab::new("", TRUNK);
    let nonce = nonce(&asked(&mut lab, PBX, "1", ""));
    let ours = answer(&nonce, Algorithm::Sha256, ("pbx", "secret"), 1);
    let theirs = ours.replace("realm=\"offhook\"", "realm=\"elsewhere\"");
    let both = format!("{theirs}{ours}{theirs}");
    assert_eq!(status(&asked(&mut lab, PBX, "2", &both)), Some(100));
    assert_eq!(status(&asked(&mut lab, PBX, "3", &theirs)), Some(401));
}

#[test]
fn a3_an_answer_is_good_once_for_one_call_from_one_place_for_a_while() {
    let mut lab = Lab::new("", TRUNK);
    let nonce = nonce(&asked(&mut lab, PBX, "1", ""));
    let right = |count| answer(&nonce, Algorithm::Sha256, ("pbx", "secret"), count);
    // From elsewhere it proves nothing.
    let elsewhere = asked(&mut lab, "203.0.113.7:5060", "2", &right(1));
    assert!(status(&elsewhere) == Some(401) && !is_stale(&elsewhere));
    assert_eq!(status(&asked(&mut lab, PBX, "3", &right(5))), Some(100));
    for count in [1, 5] {
        let again = asked(&mut lab, PBX, &format!("again{count}"), &right(count));
        assert!(status(&again) == Some(401) && is_stale(&again), "{again}");
    }
    let mut lab = Lab::new("", TRUNK);
    asked(&mut lab, PBX, "1", "");
    lab.wait(NONCE_LIFETIME + Duration::from_secs(1));
    let late = asked(&mut lab, PBX, "2", &right(1));
    assert!(status(&late) == Some(401) && is_stale(&late), "{late}");
    // One that nobody has made.
    let made_up = nonce.replace(|digit: char| digit.is_ascii_digit(), "a");
    let lines = answer(&made_up, Algorithm::Md5, ("pbx", "secret"), 1);
    let text = asked(&mut lab, PBX, "3", &lines);
    assert!(status(&text) == Some(401) && !is_stale(&text));
}

#[test]
fn what_opens_no_call_is_not_challenged() {
    let mut lab = Lab::new("", TRUNK);
    let sent = lab.send(PBX, request("OPTIONS", PBX, "c2", WHO).as_bytes());
    assert_eq!(status(&sent[0].1), Some(200));
}

#[test]
fn the_password_is_in_no_debug_output() {
    let lab = Lab::new("", TRUNK);
    let shown = format!("{:?}", lab.engine);
    assert!(shown.contains("Credentials") && !shown.contains("secret"));
}
