//! Conferences as a user agent sees them (RFC 4579): the focus says so in its Contact.

use super::calls::{CONTACT, connected_by_hand};
use super::messages::{PEER, header, kind, request, response, uri};
use super::network::{Network, invite_to, sdp};

fn is_focus(text: &str) -> bool {
    let contact = header(text, "Contact");
    contact.starts_with('<') && contact.ends_with(">;isfocus")
}

#[test]
fn section_5_1_our_contact_says_that_we_are_the_focus_as_long_as_we_are() {
    let (mut network, leg, tag) = connected_by_hand();
    for (number, focus) in [(1, false), (2, true), (3, true), (4, false)] {
        network.agents[0].focus(leg, focus);
        network.agents[0].offer(network.now, leg, Some(&sdp("offer")));
        let text = network.take_text();
        assert_eq!((kind(&text).as_str(), is_focus(&text)), ("INVITE", focus));
        let extra = format!("{CONTACT}Content-Type: application/sdp\r\n");
        network.send(PEER, &response(&text, 200, "", &extra, "answer"));
        network.agents[0].acknowledge(network.now, leg, None);
        network.take_texts();
        // In what answers the peer, too.
        let reinvite = request("INVITE", "call", 101 + number, Some(&tag), "r", CONTACT, "");
        network.send(
            PEER,
            &reinvite.replace("z9hG4bKr", &format!("z9hG4bKr{number}")),
        );
        network.agents[0].answer_offer(network.now, leg, Some(&sdp("offer")));
        let texts = network.take_texts();
        let ok = texts.last().expect("answered");
        assert_eq!((kind(ok).as_str(), is_focus(ok)), ("200 INVITE", focus));
        let ack = request("ACK", "call", 101 + number, Some(&tag), "a", "", "answer");
        network.send(PEER, &ack);
    }
}

#[test]
fn section_5_4_who_is_called_into_a_conference_is_told_by_the_invite() {
    for focus in [false, true] {
        let mut network = Network::new(2, 1);
        let mut invite = invite_to(PEER);
        invite.is_focus = focus;
        let sent = network.agents[0].invite(network.now, &invite);
        sent.expect("there is room");
        assert_eq!(is_focus(&network.take_text()), focus);
    }
}

/// The mixer is a focus itself: the parameter is none of the URI that requests go to.
#[test]
fn section_5_1_a_focus_is_called_by_its_uri() {
    for contact in [
        "<sip:conf=17@127.0.0.1:6000>;isfocus",
        "\"Mixer\" <sip:conf=17@127.0.0.1:6000>;isfocus;+sip.rendering=\"no\"",
        "sip:conf=17@127.0.0.1:6000;isfocus",
    ] {
        let mut network = Network::new(2, 1);
        let invited = network.agents[0].invite(network.now, &invite_to(PEER));
        let leg = invited.expect("there is room");
        let invite = network.take_text();
        let extra = format!("Contact: {contact}\r\nContent-Type: application/sdp\r\n");
        network.send(PEER, &response(&invite, 200, "a", &extra, "answer"));
        network.agents[0].acknowledge(network.now, leg, None);
        let ack = network.take_text();
        assert_eq!(uri(&ack), "sip:conf=17@127.0.0.1:6000", "{contact}");
    }
}
