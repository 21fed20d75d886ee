//! RFC 7616 and RFC 8760 as a client: a trunk asks who we are.

use std::sync::Arc;

use offhook::config::Credentials;

use super::messages::{PEER, body, header, headers, kind, kinds, response, within};
use super::network::{Network, invite_to, sdp, subscribe_to};
use crate::dialog::{LegEvent, LegKey, SubscriptionEvent, UserAgentEvent};
use crate::sip::Status;
use crate::sip::digest::{self, Algorithm, Answer, Asked};

const CONTACT: &str = "Contact: <sip:2001@127.0.0.1:6000>\r\n";

fn credentials() -> Arc<Credentials> {
    Arc::new(Credentials {
        realm: "carrier".into(),
        user: "offhook".into(),
        password: "secret".into(),
    })
}

fn calling() -> (Network, LegKey, String) {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.credentials = Some(credentials());
    let leg = network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    (network, leg, text)
}

fn challenge(nonce: &str, more: &str) -> String {
    format!("WWW-Authenticate: Digest realm=\"carrier\",nonce=\"{nonce}\"{more}\r\n")
}

/// The answer in a request, which must be right and is for this method.
fn shown<'a>(text: &'a str, name: &str, method: &str) -> Answer<'a> {
    let answer = Answer::parse(header(text, name).as_bytes()).expect("an answer");
    let asked = Asked {
        method,
        uri: text.split(' ').nth(1).unwrap(),
        nonce: answer.nonce,
        counted: Some((answer.count, answer.client_nonce)),
    };
    let secret = ("offhook", "carrier", "secret");
    let right = digest::response(answer.algorithm, secret, asked);
    assert_eq!((answer.response, answer.uri), (&*right, asked.uri));
    answer
}

fn is_refused(network: &mut Network, wanted: Status) -> bool {
    network
        .take_leg_events(0)
        .iter()
        .any(|event| matches!(event, LegEvent::Refused { status, .. } if *status == wanted))
}

#[test]
fn section_3_4_a_challenged_invite_goes_again_with_the_answer() {
    let (mut network, leg, first) = calling();
    assert_eq!(header(&first, "Authorization"), "");
    let extra = challenge("n1", ",qop=\"auth\",opaque=\"o\"");
    network.send(PEER, &response(&first, 401, "x", &extra, ""));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["ACK", "INVITE"]);
    let second = texts[1].clone();
    assert_eq!(header(&second, "CSeq"), "2 INVITE");
    assert_eq!(header(&second, "Call-ID"), header(&first, "Call-ID"));
    assert_eq!(body(&second), "offer");
    let answer = shown(&second, "Authorization", "INVITE");
    assert_eq!((answer.counted(), answer.nonce), (Some(1), "n1"));
    assert!(header(&second, "Authorization").ends_with(",opaque=\"o\""));
    assert!(!second.contains("secret"));
    assert_eq!(network.take_events(0), []);

    // What follows in the dialog shows it unasked, each with a count of its own; the ACK is as
    // its INVITE was (RFC 3261 §22.1).
    network.send(PEER, &response(&second, 200, "b", CONTACT, "answer"));
    network.agents[0].acknowledge(network.now, leg, None);
    let ack = network.take_text();
    assert_eq!(shown(&ack, "Authorization", "INVITE").counted(), Some(1));
    network.agents[0].offer(network.now, leg, Some(&sdp("hold")));
    let hold = network.take_text();
    assert_eq!(shown(&hold, "Authorization", "INVITE").counted(), Some(2));
}

#[test]
fn a8_the_strongest_algorithm_is_answered_and_a_proxy_in_its_own_header() {
    let (mut network, _, first) = calling();
    let mut extra = String::new();
    for algorithm in ["MD5", "SHA-512-256", "X-NEW", "SHA-256"] {
        let more = format!(",qop=\"auth\",algorithm={algorithm}");
        extra += &challenge("n1", &more).replace("WWW-", "Proxy-");
    }
    network.send(PEER, &response(&first, 407, "x", &extra, ""));
    let second = network.take_texts().pop().unwrap();
    let answer = shown(&second, "Proxy-Authorization", "INVITE");
    assert_eq!(answer.algorithm, Algorithm::Sha512T256);
    assert_eq!(headers(&second, "Authorization").count(), 0);
}

#[test]
fn a1_a_challenge_of_another_realm_is_not_answered() {
    let (mut network, _, first) = calling();
    let extra = "WWW-Authenticate: Digest realm=\"elsewhere\",nonce=\"n\",qop=\"auth\"\r\n";
    network.send(PEER, &response(&first, 401, "x", extra, ""));
    assert_eq!(kinds(&network.take_texts()), ["ACK"]);
    assert!(is_refused(&mut network, Status::UNAUTHORIZED));
}

#[test]
fn a1_whoever_calls_us_gets_no_answer_to_a_challenge() {
    let mut network = Network::new(2, 1);
    network.send(PEER, &super::messages::invite("c1", "1", ""));
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, Some(&sdp("ours")));
    let ok = network.take_texts().pop().unwrap();
    let tag = super::messages::tag(&ok, "To").to_owned();
    let ack = super::messages::request("ACK", "c1", 101, Some(&tag), "2", "", "");
    network.send(PEER, &ack);
    network.agents[0].hang_up(network.now, leg, 16);
    let bye = network.take_texts().pop().unwrap();
    assert_eq!(kind(&bye), "BYE");
    network.send(PEER, &response(&bye, 401, "", &challenge("n", ""), ""));
    assert_eq!(network.take_texts(), Vec::<String>::new());
}

#[test]
fn a2_a_peer_that_is_never_content_is_given_up() {
    // A second challenge that does not say that the answer was stale means that it was wrong.
    let (mut network, _, first) = calling();
    network.send(PEER, &response(&first, 401, "x", &challenge("n1", ""), ""));
    let second = network.take_texts().pop().unwrap();
    network.send(PEER, &response(&second, 401, "y", &challenge("n2", ""), ""));
    assert_eq!(kinds(&network.take_texts()), ["ACK"]);
    assert!(is_refused(&mut network, Status::UNAUTHORIZED));

    // One that says so is answered, once.
    let (mut network, _, first) = calling();
    let mut text = first;
    for round in 1..=3 {
        let extra = challenge(&format!("n{round}"), ",stale=true");
        network.send(PEER, &response(&text, 401, "x", &extra, ""));
        let texts = network.take_texts();
        if round == 3 {
            assert_eq!(kinds(&texts), ["ACK"]);
            break;
        }
        assert_eq!(kinds(&texts), ["ACK", "INVITE"]);
        text = texts[1].clone();
    }
    assert!(is_refused(&mut network, Status::UNAUTHORIZED));
}

#[test]
fn a_challenged_subscription_goes_on_with_every_refresh() {
    let mut network = Network::new(2, 1);
    let mut subscribe = subscribe_to(PEER);
    subscribe.credentials = Some(credentials());
    let key = network.agents[0]
        .subscribe(network.now, &subscribe)
        .expect("room");
    let mut text = network.take_text();
    for nonce in ["n1", "n2", "n3"] {
        let extra = challenge(nonce, ",qop=\"auth\"");
        network.send(PEER, &response(&text, 401, "n", &extra, ""));
        let again = network.take_text();
        let answer = shown(&again, "Authorization", "SUBSCRIBE");
        assert_eq!((answer.counted(), answer.nonce), (Some(1), nonce));
        let extra = format!("Expires: 600\r\n{CONTACT}");
        network.send(PEER, &response(&again, 200, "n", &extra, ""));
        let accepted = |event: &UserAgentEvent| {
            matches!(
                event,
                UserAgentEvent::Subscription(_, _, SubscriptionEvent::Accepted { .. })
            )
        };
        assert!(network.take_events(0).iter().any(accepted));
        let state = "Event: presence\r\nSubscription-State: active\r\n";
        let cseq = header(&again, "CSeq").len() as u32 + nonce.len() as u32;
        network.send(PEER, &within(&text, "NOTIFY", cseq, "n", state, ""));
        network.take_texts();
        network.agents[0].refresh(network.now, key, subscribe.expires);
        text = network.take_text();
        assert_eq!(
            shown(&text, "Authorization", "SUBSCRIBE").counted(),
            Some(2)
        );
    }
}
