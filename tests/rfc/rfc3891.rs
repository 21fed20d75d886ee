//! A call takes the place of another (RFC 3891).

use super::calls::{answered, calling, connected_by_hand, ringing};
use super::messages::{PEER, header, invite, kind, response, tag};
use super::network::{Network, invite_to, sdp};
use crate::dialog::{AutoAnswer, LegKey, Replaces, UserAgentEvent};
use crate::sip::Status;

/// An INVITE of another caller's that names the dialog of the Call-ID `call`.
fn replacing(own: &str, theirs: &str, more: &str) -> String {
    let line = format!("Replaces: call;to-tag={own};from-tag={theirs}{more}\r\n");
    invite("other", "9", &format!("Require: replaces\r\n{line}"))
}

/// Whose place the INVITE takes that agent 0 has reported.
fn replaced(network: &mut Network) -> Result<LegKey, Status> {
    let mut events = network.take_events(0).into_iter();
    let found = events.find_map(|event| match event {
        UserAgentEvent::Invited(_, invitation) => invitation.replaces,
        UserAgentEvent::Leg(..)
        | UserAgentEvent::Over(_)
        | UserAgentEvent::Subscription(..)
        | UserAgentEvent::Ping(..)
        | UserAgentEvent::Overload(..)
        | UserAgentEvent::LookUp(_) => None,
    });
    let named = found.expect("an INVITE with Replaces was reported");
    network.agents[0].replaced(&named)
}

#[test]
fn section_3_the_call_that_is_named_is_found() {
    let (mut network, leg, tag) = connected_by_hand();
    network.send(PEER, &replacing(&tag, "peer", ""));
    assert_eq!(replaced(&mut network), Ok(leg));
    // What is not answered above stays as it was.
    assert_eq!(network.agents[0].legs(), 2);
}

#[test]
fn section_3_a_call_whose_ack_is_under_way_counts_as_answered() {
    let (mut network, leg, ok) = answered();
    network.send(PEER, &replacing(tag(&ok, "To"), "peer", ""));
    assert_eq!(replaced(&mut network), Ok(leg));
}

#[test]
fn section_3_both_tags_and_the_call_id_must_fit() {
    let (mut network, _, tag) = connected_by_hand();
    for (branch, text) in [
        ("a", replacing("other", "peer", "")),
        ("b", replacing(&tag, "other", "")),
        ("c", replacing("peer", &tag, "")),
        (
            "d",
            replacing(&tag, "peer", "").replace("Replaces: call;", "Replaces: CALL;"),
        ),
    ] {
        let text = text
            .replace("z9hG4bK9", &format!("z9hG4bK{branch}"))
            .replace("Call-ID: other", &format!("Call-ID: {branch}"));
        network.send(PEER, &text);
        assert_eq!(replaced(&mut network), Err(Status::CALL_DOES_NOT_EXIST));
    }
}

#[test]
fn section_3_what_cannot_be_read_or_says_two_things_gets_400() {
    let (mut network, _, tag) = connected_by_hand();
    let good = replacing(&tag, "peer", "");
    for (branch, text) in [
        ("a", good.replace(";from-tag=peer", "")),
        (
            "b",
            good.replace("Require:", "Replaces: x;to-tag=1;from-tag=2\r\nRequire:"),
        ),
        (
            "c",
            good.replace("Require:", "Join: x;to-tag=1;from-tag=2\r\nRequire:"),
        ),
    ] {
        let text = text
            .replace("z9hG4bK9", &format!("z9hG4bK{branch}"))
            .replace("Call-ID: other", &format!("Call-ID: {branch}"));
        network.send(PEER, &text);
        let texts = network.take_texts();
        assert_eq!(kind(texts.last().unwrap()), "400 INVITE", "{text}");
    }
}

#[test]
fn section_3_an_answered_call_is_busy_for_who_wants_a_ringing_one() {
    let (mut network, _, tag) = connected_by_hand();
    network.send(PEER, &replacing(&tag, "peer", ";early-only"));
    assert_eq!(replaced(&mut network), Err(Status::BUSY_HERE));
}

#[test]
fn section_3_a_call_that_ends_is_not_taken_over() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].hang_up(network.now, leg, 16);
    network.send(PEER, &replacing(&tag, "peer", ""));
    assert_eq!(replaced(&mut network), Err(Status::DECLINE));
}

#[test]
fn section_3_a_call_that_rings_here_cannot_be_picked_up() {
    let (mut network, leg) = ringing();
    network.agents[0].progress(network.now, leg, Status::RINGING);
    let ringing = network.take_text();
    network.send(PEER, &replacing(tag(&ringing, "To"), "peer", ";early-only"));
    assert_eq!(replaced(&mut network), Err(Status::CALL_DOES_NOT_EXIST));
}

#[test]
fn section_3_a_call_of_ours_that_rings_can() {
    let (mut network, leg, text) = calling();
    network.send(PEER, &response(&text, 180, "phone", "", ""));
    network.take_events(0);
    let own = tag(&text, "From").to_owned();
    let call_id = header(&text, "Call-ID").to_owned();
    let pick_up = replacing(&own, "phone", ";early-only")
        .replace("Replaces: call;", &format!("Replaces: {call_id};"));
    network.send(PEER, &pick_up);
    assert_eq!(replaced(&mut network), Ok(leg));
}

#[test]
fn section_5_an_invite_of_ours_names_the_call_and_requires_that_it_is_understood() {
    let (mut network, leg, tag) = connected_by_hand();
    let named = network.agents[0].replaces_of(leg).unwrap();
    let expected = Replaces {
        call_id: "call".to_owned(),
        to_tag: "peer".to_owned(),
        from_tag: tag.clone(),
        early_only: false,
    };
    assert_eq!(named, expected);
    let mut invite = invite_to(PEER);
    invite.replaces = Some(named);
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert_eq!(
        header(&text, "Replaces"),
        format!("call;to-tag=peer;from-tag={tag}")
    );
    assert_eq!(header(&text, "Require"), "replaces");
    assert!(header(&text, "Supported").contains("replaces"));
}

#[test]
fn a_leg_whose_far_end_is_unknown_cannot_be_named() {
    let (network, leg, _) = calling();
    assert_eq!(network.agents[0].replaces_of(leg), None);
}

#[test]
fn a_phone_can_be_asked_to_answer_by_itself() {
    for (hint, name, value) in [
        (
            AutoAnswer::CallInfo,
            "Call-Info",
            "<sip:127.0.0.1>;answer-after=0",
        ),
        (
            AutoAnswer::AlertInfo,
            "Alert-Info",
            "<http://127.0.0.1>;info=alert-autoanswer;delay=0",
        ),
    ] {
        let mut network = Network::new(2, 1);
        let mut invite = invite_to(PEER);
        invite.auto_answer = Some(hint);
        invite.body = Some(sdp("offer"));
        network.agents[0]
            .invite(network.now, &invite)
            .expect("there is room");
        assert_eq!(header(&network.take_text(), name), value);
    }
}
