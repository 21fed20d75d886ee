//! Overload control, the server's side: what a client that follows hears of how much less it should
//! send. That new calls are refused all the same is tested with the engine.

use std::time::Duration;

use offhook::sip::Feedback;

use super::messages::{PEER, header, invite, kind};
use super::network::Network;

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
        let told = ";oc=20;oc-algo=\"loss\";oc-validity=500;oc-seq=12.034";
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
