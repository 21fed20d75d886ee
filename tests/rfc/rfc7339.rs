//! Overload control: what a client that follows hears of how much less it should send, and what we
//! make of it as a client. That new calls are refused all the same is tested with the engine, that
//! they are spread over the nodes of a trunk in `tests/trunks`.

use std::time::Duration;

use offhook::sip::Feedback;

use super::messages::{PEER, header, invite, kind, response};
use super::network::{Network, invite_to, subscribe_to};
use crate::dialog::{Target, UserAgentEvent};

const ASKED: &str = ";oc;oc-algo=\"rate,loss\"";

/// The top Vias of what an INVITE gets whose Via has these parameters more.
fn vias(parameters: &str, feedback: Option<Feedback>) -> Vec<String> {
    let mut network = Network::new(1, 1);
    network.agents[0].set_feedback(feedback);
    let text = invite("call", "1", "");
    let at = text.find(";branch=").expect("a branch");
    let text = format!("{}{parameters}{}", &text[..at], &text[at..]);
    network.send(PEER, &text);
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, None);
    let texts = network.take_texts();
    assert_eq!(kind(&texts[0]), "100 INVITE");
    assert_eq!(kind(texts.last().expect("an answer")), "200 INVITE");
    let via = |text: &String| header(text, "Via").to_owned();
    texts.iter().map(via).collect()
}

fn feedback() -> Option<Feedback> {
    Some(Feedback {
        loss_percent: 20,
        validity: Duration::from_millis(500),
        sequence: Duration::from_millis(12_034),
    })
}

#[test]
fn section_4_every_response_tells_a_client_that_asks() {
    for via in vias(ASKED, feedback()) {
        let told = ";oc=20;oc-algo=\"loss\";oc-validity=500;oc-seq=12.03400";
        assert!(via.contains(told), "{via}");
        assert_eq!(via.matches("oc-algo").count(), 1, "{via}");
        assert!(via.contains(";branch="), "{via}");
    }
}

#[test]
fn section_4_1_nobody_else_is_told_anything() {
    let plain = vias("", feedback());
    assert_eq!(plain, vias("", None));
    // §4.2: another algorithm is none that we have. §4.1: a value is what servers write.
    for parameters in [";oc;oc-algo=\"rate\"", ";oc", ";oc=7;oc-algo=\"loss\""] {
        for via in vias(parameters, feedback()) {
            assert!(!via.contains("oc-seq"), "{via}");
        }
    }
}

fn asked(target: Target, overload_control: bool) -> Target {
    Target {
        overload_control,
        ..target
    }
}

const ASKS: &str = ";oc;oc-algo=\"loss\"";

#[test]
fn section_4_1_our_requests_ask_where_the_trunk_says_so_and_nowhere_else() {
    for asks in [true, false] {
        let mut network = Network::new(1, 1);
        let mut texts = Vec::new();
        let mut invite = invite_to(PEER);
        invite.target = asked(invite.target, asks);
        let leg = network.agents[0].invite(network.now, &invite).unwrap();
        texts.push(network.take_text());
        let contact = "Contact: <sip:2001@127.0.0.1:6000>\r\n";
        network.send(PEER, &response(&texts[0], 200, "p", contact, "answer"));
        network.agents[0].acknowledge(network.now, leg, None);
        network.agents[0].hang_up(network.now, leg, crate::dialog::Cause::default());
        texts.extend(network.take_texts());
        let mut subscribe = subscribe_to(PEER);
        subscribe.target = asked(subscribe.target, asks);
        network.agents[0]
            .subscribe(network.now, &subscribe)
            .unwrap();
        let target = subscribe.target;
        network.agents[0]
            .ping(network.now, target, "sip:127.0.0.1", 70)
            .unwrap();
        texts.extend(network.take_texts());
        let methods: Vec<&str> = texts.iter().filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(methods, ["INVITE", "ACK", "BYE", "SUBSCRIBE", "OPTIONS"]);
        for text in &texts {
            assert_eq!(header(text, "Via").contains(ASKS), asks, "{text}");
        }
    }
}

#[test]
fn section_4_what_an_answer_says_is_heard_once_for_each_and_from_nobody_else() {
    let mut network = Network::new(1, 1);
    let target = asked(subscribe_to(PEER).target, true);
    network.agents[0]
        .ping(network.now, target, "sip:127.0.0.1", 70)
        .unwrap();
    let ping = network.take_text();
    let told = ";oc=20;oc-algo=\"loss\";oc-validity=500;oc-seq=12.034";
    let answer = response(&ping, 200, "p", "", "").replace(ASKS, told);
    assert!(answer.contains(told), "{answer}");
    let heard = |network: &mut Network| -> Vec<_> {
        let events = network.take_events(0).into_iter();
        events
            .filter_map(|event| {
                if let UserAgentEvent::Overload(_, feedback) = event {
                    Some(feedback)
                } else {
                    None
                }
            })
            .collect()
    };
    // Whoever answers what was never asked is nobody.
    network.send(PEER, &answer.replace("branch=z9hG4bK", "branch=z9hG4bKx"));
    assert_eq!(heard(&mut network), []);
    network.send(PEER, &answer);
    assert_eq!(heard(&mut network), [feedback().unwrap()]);
}
