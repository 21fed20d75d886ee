//! One Session-ID on both sides of a call (RFC 7989), and why it ends (RFC 3326).

use super::calls::CONTACT;
use super::messages::{PEER, header, headers, invite, request, response, tag, within};
use super::network::{Network, invite_to, sdp};
use crate::dialog::{Cause, LegEvent, Release};
use crate::sip::Status;

const NULL: &str = "00000000000000000000000000000000";
const A: &str = "ab30317f1a784dc48ff824d0d3715d86";
const B: &str = "47755a9de7794ba387653f2099600ef2";

/// The two halves of a message's Session-ID.
fn halves(text: &str) -> (&str, &str) {
    let value = header(text, "Session-ID");
    value.split_once(";remote=").unwrap_or((value, ""))
}

#[test]
fn section_7_each_side_sends_the_other_sides_half_as_its_own() {
    let mut network = Network::new(1, 1);
    let extra = format!("Session-ID: {A};remote={NULL}\r\n");
    network.send(PEER, &invite("call", "1", &extra));
    let caller = network.take_invited(0);
    network.take_texts();
    // While nobody is across, the half is our own.
    network.agents[0].progress(network.now, caller, Status::QUEUED);
    let queued = network.take_text();
    let (ours, theirs) = halves(&queued);
    assert_eq!(theirs, A);
    assert!(ours.len() == 32 && ours != NULL && ours != A);
    assert_eq!(&ours[12..13], "4");

    let mut invite = invite_to(PEER);
    invite.speaks_for = Some(caller);
    let callee = network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let invite = network.take_text();
    assert_eq!(halves(&invite), (A, NULL));
    let extra = format!("{CONTACT}Session-ID: {B};remote={A}\r\nContent-Type: application/sdp\r\n");
    network.send(PEER, &response(&invite, 200, "b", &extra, "answer"));
    network.agents[0].acknowledge(network.now, callee, None);
    assert_eq!(halves(&network.take_text()), (A, B));

    network.agents[0].answer(network.now, caller, Some(&sdp("answer")));
    let ok = network.take_text();
    assert_eq!(halves(&ok), (B, A));
    let to_tag = tag(&ok, "To").to_owned();
    network.send(
        PEER,
        &request("ACK", "call", 101, Some(&to_tag), "ack", "", ""),
    );
    // Responses and requests alike, to the end.
    network.send(
        PEER,
        &request("INFO", "call", 102, Some(&to_tag), "i", "", ""),
    );
    assert_eq!(halves(&network.take_text()), (B, A));
    network.agents[0].hang_up(network.now, callee, 16);
    assert_eq!(halves(&network.take_text()), (A, B));
    network.send(
        PEER,
        &request("BYE", "call", 103, Some(&to_tag), "bye", "", ""),
    );
    assert_eq!(halves(&network.take_text()), (B, A));
}

#[test]
fn section_7_a_transfer_changes_the_half_that_is_sent_on() {
    let mut network = Network::new(1, 1);
    let mut legs = Vec::new();
    for (call_id, uuid) in [("one", A), ("two", B)] {
        let extra = format!("Session-ID: {uuid};remote={NULL}\r\n");
        network.send(PEER, &invite(call_id, call_id, &extra));
        legs.push(network.take_invited(0));
    }
    network.take_texts();
    network.agents[0].speak_for(legs[0], Some(legs[1]));
    network.agents[0].progress(network.now, legs[0], Status::RINGING);
    assert_eq!(halves(&network.take_text()), (B, A));
    network.agents[0].progress(network.now, legs[1], Status::RINGING);
    assert_eq!(halves(&network.take_text()), (A, B));
}

#[test]
fn where_nobody_uses_it_nobody_hears_of_it() {
    for broken in ["", "Session-ID: abc;remote=0\r\n", "Session-ID: ;;;\r\n"] {
        let mut network = Network::new(1, 1);
        network.send(PEER, &invite("call", "1", broken));
        let leg = network.take_invited(0);
        network.agents[0].progress(network.now, leg, Status::RINGING);
        for text in network.take_texts() {
            assert_eq!(headers(&text, "Session-ID").count(), 0);
        }
    }
}

#[test]
fn rfc3326_both_protocols_are_heard_in_bye_and_cancel() {
    let lines = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n\
                 Reason: Q.850 ;cause=26, Q.850;cause=99\r\n";
    let cause = Cause {
        q850: Some(26),
        sip: Some(Status::OK),
    };
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    network.take_invited(0);
    network.send(PEER, &request("CANCEL", "call", 101, None, "1", lines, ""));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Cancelled { cause })]
    );
    let (mut network, leg, invite) = super::calls::calling();
    network.send(PEER, &super::calls::ok(&invite, "a"));
    network.agents[0].acknowledge(network.now, leg, None);
    network.take_events(0);
    network.send(PEER, &within(&invite, "BYE", 1, "a", lines, ""));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Bye { cause })]
    );
}

#[test]
fn rfc3326_both_protocols_are_written_in_bye_and_cancel() {
    let cause = Cause {
        q850: Some(26),
        sip: Some(Status::OK),
    };
    let expected = ["SIP;cause=200", "Q.850;cause=26"];
    let (mut network, leg, invite) = super::calls::calling();
    network.send(PEER, &response(&invite, 180, "a", "", ""));
    network.agents[0].hang_up(network.now, leg, cause);
    let cancel = network.take_text();
    assert_eq!(headers(&cancel, "Reason").collect::<Vec<_>>(), expected);
    let (mut network, leg, _) = super::calls::connected_by_hand();
    network.agents[0].hang_up(network.now, leg, cause);
    let bye = network.take_text();
    assert_eq!(headers(&bye, "Reason").collect::<Vec<_>>(), expected);
}

#[test]
fn rfc3326_what_is_no_cause_is_none() {
    for lines in [
        "Reason: Q.850;cause=0\r\n",
        "Reason: Q.850;cause=128\r\n",
        "Reason: Q.850;cause=x\r\n",
        "Reason: SIP;cause=99\r\n",
        "Reason: ;;\r\n",
        "Reason: preemption;cause=1\r\n",
    ] {
        let mut network = Network::new(1, 1);
        network.send(PEER, &invite("call", "1", ""));
        network.take_invited(0);
        network.send(PEER, &request("CANCEL", "call", 101, None, "1", lines, ""));
        let cause = Cause::default();
        let released = LegEvent::HungUp(Release::Cancelled { cause });
        assert_eq!(network.take_leg_events(0), [released], "{lines}");
    }
}
