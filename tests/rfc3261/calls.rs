//! Calls in the states that the sections start from.

use std::time::Duration;

use super::messages::{PEER, invite, kind, request, response, status, tag};
use super::network::{Network, invite_to, sdp};
use crate::dialog::{LegEvent, LegKey};

/// A network in which the peer's INVITE has come to agent 0.
pub(super) fn ringing() -> (Network, LegKey) {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.take_texts();
    (network, leg)
}

/// The same, answered; the 200 comes along.
pub(super) fn answered() -> (Network, LegKey, String) {
    let (mut network, leg) = ringing();
    network.agents[0].answer(network.now, leg, Some(&sdp("offer of ours")));
    let ok = network.take_text();
    assert_eq!(status(&ok), 200);
    (network, leg, ok)
}

pub(super) fn ack(ok: &str, body: &str) -> String {
    request("ACK", "call", 101, Some(tag(ok, "To")), "ack", "", body)
}

pub(super) fn bye(ok: &str) -> String {
    let reason = "Reason: Q.850;cause=16\r\n";
    request("BYE", "call", 102, Some(tag(ok, "To")), "bye", reason, "")
}

pub(super) const CONTACT: &str = "Contact: <sip:phone@127.0.0.1:6000>\r\n";

/// A network in which agent 0 has sent an INVITE; it comes along.
pub(super) fn calling() -> (Network, LegKey, String) {
    let mut network = Network::new(2, 1);
    let leg = network.agents[0]
        .invite(network.now, &invite_to(PEER))
        .expect("there is room");
    let invite = network.take_text();
    assert_eq!(kind(&invite), "INVITE");
    (network, leg, invite)
}

pub(super) fn ok(invite: &str, to_tag: &str) -> String {
    let extra = format!("{CONTACT}Content-Type: application/sdp\r\n");
    response(invite, 200, to_tag, &extra, "answer")
}

/// Agent 0 has called agent 1, and both know that they talk.
pub(super) fn connected() -> (Network, LegKey, LegKey) {
    let mut network = Network::new(4, 2);
    let caller = network.agents[0]
        .invite(network.now, &invite_to(5061))
        .expect("there is room");
    network.run_for(Duration::from_millis(10));
    let callee = network.take_invited(1);
    network.agents[1].answer(network.now, callee, Some(&sdp("answer")));
    network.run_for(Duration::from_millis(10));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Answered {
            body: Some(sdp("answer"))
        }]
    );
    network.agents[0].acknowledge(network.now, caller, None);
    network.run_for(Duration::from_millis(10));
    assert_eq!(
        network.take_leg_events(1),
        [LegEvent::Acknowledged { body: None }]
    );
    (network, caller, callee)
}

/// A call from a hand-written peer, answered and acknowledged; our tag comes along.
pub(super) fn connected_by_hand() -> (Network, LegKey, String) {
    let mut network = Network::new(4, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.agents[0].answer(network.now, leg, None);
    let texts = network.take_texts();
    let tag = tag(texts.last().expect("answered"), "To").to_owned();
    network.send(
        PEER,
        &request("ACK", "call", 101, Some(&tag), "ack", "", ""),
    );
    network.take_events(0);
    (network, leg, tag)
}

pub(super) fn reinvite(tag: &str, cseq: u32) -> String {
    let extra = "Contact: <sip:moved@127.0.0.1:6009>\r\nContent-Type: application/sdp\r\n";
    request(
        "INVITE",
        "call",
        cseq,
        Some(tag),
        &format!("re{cseq}"),
        extra,
        "hold",
    )
}
