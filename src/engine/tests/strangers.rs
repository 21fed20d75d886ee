//! Who may come in, and what anybody else hears.

use std::time::Duration;

use crate::counters::Counter;

use super::{Lab, PBX, request, status, value};

/// An address that is nobody's.
const STRANGER: &str = "198.51.100.66:5060";

const WHO: &str = "From: <sip:100@198.51.100.66>;tag=a\r\nTo: <sip:7000@192.0.2.10>\r\n\
                   Contact: <sip:100@198.51.100.66>\r\n";

const METHODS: [&str; 9] = [
    "INVITE",
    "OPTIONS",
    "REGISTER",
    "SUBSCRIBE",
    "NOTIFY",
    "MESSAGE",
    "BYE",
    "CANCEL",
    "UNHEARD",
];

#[test]
fn a_stranger_hears_nothing_whatever_it_says() {
    let mut lab = Lab::new("", "");
    for method in METHODS {
        let sent = lab.send(STRANGER, request(method, STRANGER, "c1", WHO).as_bytes());
        assert!(sent.is_empty(), "{method}: {sent:?}");
    }
    let broken = request("OPTIONS", STRANGER, "c2", WHO).replace("Call-ID", "Call-Id-Not");
    assert!(lab.send(STRANGER, broken.as_bytes()).is_empty());
    assert!(lab.wait(Duration::from_secs(64)).is_empty());
    assert_eq!(lab.counted(Counter::InviteUnknownSource), 1);
    assert_eq!(lab.counted(Counter::RequestUnknownSource), 8);
    assert_eq!(lab.counted(Counter::MessageMalformed), 1);
    assert!(lab.engine.user_agent().is_idle(), "nothing is kept");
}

#[test]
fn i_7_a_stranger_gets_at_most_the_bytes_that_it_sent() {
    let mut lab = Lab::new("strangers = \"refuse\"", "");
    let shortest = "OPTIONS sip:a SIP/2.0\r\nv:SIP/2.0/UDP h;branch=z9hG4bK1\r\nf:<sip:a>;tag=1\r\n\
                    t:<sip:a>\r\ni:1\r\nCSeq:1 OPTIONS\r\n\r\n";
    let mut messages = vec![shortest.to_owned()];
    for method in METHODS {
        for length in [0, 20, 40, 80, 160, 400] {
            let lines = format!("{WHO}Subject: {}\r\n", "x".repeat(length));
            messages.push(request(method, STRANGER, &format!("c{length}"), &lines));
        }
    }
    let mut refused = 0;
    for message in messages {
        // Once at once, and never again: a refusal is not repeated.
        let mut sent = lab.send(STRANGER, message.as_bytes());
        sent.extend(lab.wait(Duration::from_secs(64)));
        let bytes: usize = sent.iter().map(|(_, text)| text.len()).sum();
        assert!(bytes <= message.len(), "{bytes} for {message}");
        assert!(sent.iter().all(|(_, text)| status(text) == Some(403)));
        refused += sent.len();
    }
    assert!(refused > 20, "{refused}");
    assert!(lab.engine.user_agent().is_idle(), "nothing is kept");
}

#[test]
fn an_accepted_network_may_call() {
    let mut lab = Lab::new("", "accept = [\"203.0.113.0/25\"]");
    for (from, answered) in [("203.0.113.7:5060", true), ("203.0.113.200:5060", false)] {
        let sent = lab.send(from, request("OPTIONS", from, from, WHO).as_bytes());
        assert_eq!(!sent.is_empty(), answered, "{from}: {sent:?}");
    }
}

#[test]
fn a_far_end_may_go_on_from_another_address() {
    let mut lab = Lab::new("", "");
    let invite = request("INVITE", PBX, "c1", WHO);
    let sent = lab.send(PBX, invite.as_bytes());
    let queued = sent.iter().find(|(_, text)| status(text) == Some(182));
    let (_, queued) = queued.unwrap_or_else(|| panic!("no 182 in {sent:?}"));
    let tag = value(queued, "To").and_then(|to| to.split("tag=").nth(1));
    let tag = tag.expect("a tag");
    let within = |call, tag: &str| {
        let lines = WHO.replace("192.0.2.10>", &format!("192.0.2.10>;tag={tag}"));
        request("BYE", STRANGER, call, &lines).replace("CSeq: 1", "CSeq: 2")
    };
    // Nobody learns whether there is a call by guessing.
    assert!(
        lab.send(STRANGER, within("c1", "guess").as_bytes())
            .is_empty()
    );
    assert!(lab.send(STRANGER, within("c2", tag).as_bytes()).is_empty());
    let sent = lab.send(STRANGER, within("c1", tag).as_bytes());
    assert!(
        sent.iter().any(|(_, text)| status(text) == Some(200)),
        "{sent:?}"
    );
    assert!(
        sent.iter().any(|(_, text)| status(text) == Some(487)),
        "{sent:?}"
    );
    // Its repetition too, although the call is over.
    let again = lab.send(STRANGER, within("c1", tag).as_bytes());
    assert!(
        again.iter().any(|(_, text)| status(text) == Some(200)),
        "{again:?}"
    );
}

#[test]
fn while_a_name_is_not_looked_up_strangers_are_asked_to_come_back() {
    let mut lab = Lab::new("", "");
    let unresolved = Lab::new(
        "",
        "[[trunk]]\nname = \"carrier\"\npeers = [\"udp:sip.example.com\"]\noos_check = 0",
    );
    // No shorter than the answer, which would not be sent otherwise.
    let who = format!("{WHO}User-Agent: Stranger/1.0\r\n");
    let invite = request("INVITE", STRANGER, "c1", &who);
    assert!(lab.send(STRANGER, invite.as_bytes()).is_empty());
    let mut lab = unresolved;
    let sent = lab.send(STRANGER, invite.as_bytes());
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(status(&sent[0].1), Some(503));
    assert!(value(&sent[0].1, "Retry-After").is_some());
    assert_eq!(lab.counted(Counter::InviteSourceUnresolved), 1);
}

#[test]
fn an_untrusted_trunk_says_only_in_from_who_calls() {
    let asserted = format!(
        "{WHO}P-Asserted-Identity: <sip:999@192.0.2.20>\r\n\
         Remote-Party-ID: <sip:998@192.0.2.20>;party=calling\r\n\
         p-asserted-identity : <sip:997@192.0.2.20>\r\nDiversion: <sip:996@192.0.2.20>\r\n\
         History-Info: <sip:995@192.0.2.20>;index=1\r\n"
    );
    for (trunk, believed, dropped) in [("", true, 0), ("trusted = false", false, 1)] {
        let mut lab = Lab::new("", trunk);
        lab.send(PBX, request("INVITE", PBX, "c1", &asserted).as_bytes());
        let told = format!("{:?}", lab.events);
        assert_eq!(told.contains("\"999\""), believed, "{told}");
        assert_eq!(told.contains("\"100\""), !believed, "{told}");
        for number in ["998", "997", "996", "995"] {
            let number = format!("\"{number}\"");
            assert!(believed || !told.contains(&number), "{number} in {told}");
        }
        assert_eq!(lab.counted(Counter::IdentityUntrusted), dropped);
    }
}
