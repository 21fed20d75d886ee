//! Who is across is told and heard: P-Asserted-Identity (RFC 3325), Remote-Party-ID, Privacy
//! (RFC 3323), in every message that can say so.

use std::sync::Arc;

use super::calls::{CONTACT, calling, connected_by_hand};
use super::messages::{PEER, header, headers, invite, request, response};
use super::network::{Network, invite_to, sdp};
use crate::dialog::{IdentityHeaders, LegEvent, LegPolicy, Party};
use crate::sip::Status;

fn party(number: &str, private: bool) -> Arc<Party> {
    Arc::new(Party {
        number: number.into(),
        display_name: "Bob".into(),
        private,
    })
}

#[test]
fn the_trunk_says_by_which_headers_the_caller_is_told() {
    let address = "\"Caller\" <sip:1000@127.0.0.1>";
    let remote = format!("{address};party=calling;screen=yes;privacy=off");
    for (identity, asserted, remote_party) in [
        (IdentityHeaders::Asserted, address, ""),
        (IdentityHeaders::RemoteParty, "", remote.as_str()),
        (IdentityHeaders::Both, address, &remote),
        (IdentityHeaders::Neither, "", ""),
    ] {
        let mut network = Network::new(2, 1);
        let mut invite = invite_to(PEER);
        invite.policy.identity = identity;
        network.agents[0]
            .invite(network.now, &invite)
            .expect("there is room");
        let text = network.take_text();
        assert_eq!(header(&text, "P-Asserted-Identity"), asserted);
        assert_eq!(header(&text, "Remote-Party-ID"), remote_party);
        assert_eq!(header(&text, "Privacy"), "");
    }
}

#[test]
fn a_hidden_caller_is_marked_in_each_of_them() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    Arc::make_mut(&mut invite.calling).private = true;
    invite.policy.identity = IdentityHeaders::Both;
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert!(header(&text, "From").contains("anonymous.invalid"));
    assert!(header(&text, "Remote-Party-ID").ends_with(";privacy=full"));
    assert_eq!(header(&text, "Privacy"), "id");
}

#[test]
fn who_answers_is_told_in_the_responses() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    let policy = LegPolicy {
        identity: IdentityHeaders::Both,
        ..LegPolicy::default()
    };
    assert!(network.agents[0].set_policy(network.now, leg, policy));
    network.agents[0].progress(network.now, leg, Status::QUEUED);
    let queued = network.take_texts().pop().unwrap();
    assert_eq!(header(&queued, "P-Asserted-Identity"), "");
    network.agents[0].identify(network.now, leg, &party("2001", false));
    network.agents[0].progress(network.now, leg, Status::RINGING);
    network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
    for text in network.take_texts() {
        let asserted = header(&text, "P-Asserted-Identity");
        assert_eq!(asserted, "\"Bob\" <sip:2001@127.0.0.1>");
        let remote = header(&text, "Remote-Party-ID");
        assert_eq!(
            remote,
            format!("{asserted};party=called;screen=yes;privacy=off")
        );
    }
}

#[test]
fn a_hidden_answerer_is_for_the_trusted_only() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    let leg = network.take_invited(0);
    network.take_texts();
    network.agents[0].identify(network.now, leg, &party("2001", true));
    network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
    assert_eq!(header(&network.take_text(), "Privacy"), "id");
}

#[test]
fn who_answers_is_heard_before_the_answer_and_once() {
    let (mut network, leg, invite) = calling();
    let asserted = "P-Asserted-Identity: \"Bob\" <sip:2001@pbx>\r\n";
    network.send(PEER, &response(&invite, 180, "a", asserted, ""));
    let events = network.take_leg_events(0);
    let identified = LegEvent::Identified(party("2001", false));
    assert_eq!(events[0], identified);
    assert!(matches!(events[1], LegEvent::Progress { .. }));
    // UCM says it again in every message.
    let extra = format!("{CONTACT}{asserted}Content-Type: application/sdp\r\n");
    network.send(PEER, &response(&invite, 200, "a", &extra, "answer"));
    let events = network.take_leg_events(0);
    assert!(matches!(events[..], [LegEvent::Answered { .. }]));
    network.agents[0].acknowledge(network.now, leg, None);
}

#[test]
fn asserted_is_better_than_remote_party_and_privacy_is_heard() {
    for (lines, expected) in [
        (
            "P-Asserted-Identity: \"Bob\" <sip:1@pbx>\r\n\
             Remote-Party-ID: <sip:2@pbx>;party=called\r\n",
            party("1", false),
        ),
        (
            "Remote-Party-ID: \"Bob\" <sip:2@pbx>;party=called;party=calling;privacy=full\r\n",
            party("2", true),
        ),
        (
            "P-Asserted-Identity: \"Bob\" <sip:1@pbx>\r\nPrivacy: id\r\n",
            party("1", true),
        ),
        (
            "P-Asserted-Identity: \"Bob\" <tel:+4930123>\r\n",
            party("+4930123", false),
        ),
        (
            "P-Asserted-Identity: <sip:anonymous@anonymous.invalid>\r\n",
            Arc::new(Party {
                private: true,
                ..Party::default()
            }),
        ),
    ] {
        let (mut network, _, invite) = calling();
        network.send(PEER, &response(&invite, 180, "a", lines, ""));
        let events = network.take_leg_events(0);
        assert_eq!(events[0], LegEvent::Identified(expected), "{lines}");
    }
}

#[test]
fn a_transfer_behind_the_peer_is_heard_by_update_and_by_invite() {
    let (mut network, _, tag) = connected_by_hand();
    let contact = "Contact: <sip:3427@127.0.0.1:6000>\r\n";
    let extra = format!("{contact}P-Asserted-Identity: \"Bob\" <sip:5@pbx>\r\n");
    let update = request("UPDATE", "call", 102, Some(&tag), "u", &extra, "");
    network.send(PEER, &update);
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Identified(party("5", false))]
    );
    let extra = format!("{contact}Remote-Party-ID: \"Bob\" <sip:6@pbx>;party=calling\r\n");
    let invite = request("INVITE", "call", 103, Some(&tag), "i", &extra, "");
    network.send(PEER, &invite);
    assert_eq!(
        network.take_leg_events(0),
        [
            LegEvent::Identified(party("6", false)),
            LegEvent::Offered { body: None }
        ]
    );
}

#[test]
fn headers_that_cannot_be_read_say_nothing() {
    let (mut network, _, invite) = calling();
    let broken = "P-Asserted-Identity: <<<\r\nRemote-Party-ID: \"open\r\n";
    network.send(PEER, &response(&invite, 180, "a", broken, ""));
    let events = network.take_leg_events(0);
    assert!(matches!(events[..], [LegEvent::Progress { .. }]));
}

#[test]
fn no_more_lines_than_one_of_each() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.policy.identity = IdentityHeaders::Both;
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    for name in [
        "P-Asserted-Identity",
        "Remote-Party-ID",
        "Supported",
        "Allow",
    ] {
        assert_eq!(headers(&text, name).count(), 1, "{name}");
    }
}
