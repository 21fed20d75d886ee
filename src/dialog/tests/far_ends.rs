//! Peers whose Contact or Record-Route is a name: who is asked for, when, and where requests go
//! before and after the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offhook_shards::Transport;

use super::messages::{PEER, invite, kind, request, response, tag};
use super::network::{Arrived, Network, address, invite_to, sdp};
use crate::dialog::{LegKey, UserAgentEvent};
use crate::dns::{Place, Question, Resolved};

/// Where the name leads: another port than the peer's.
const NAMED: u16 = 6100;

fn place(port: u16) -> Place {
    Place {
        priority: 0,
        transport: Transport::Udp,
        address: address(port),
        weight: 0,
    }
}

fn resolved(question: &Question, places: &[Place]) -> Resolved {
    Resolved {
        question: Arc::new(question.clone()),
        places: places.into(),
        problem: None,
        lifetime: Duration::from_mins(1),
    }
}

/// The names that agent 0 has asked for since the last time.
fn asked(network: &mut Network) -> Vec<String> {
    let mut asked = Vec::new();
    network.events[0] = network.take_events(0);
    network.events[0].retain(|event| match event {
        UserAgentEvent::LookUp(question) => {
            asked.push(question.to_string());
            false
        }
        UserAgentEvent::Invited(..)
        | UserAgentEvent::Leg(..)
        | UserAgentEvent::Over(_)
        | UserAgentEvent::Subscription(..)
        | UserAgentEvent::Overload(..)
        | UserAgentEvent::Ping(..) => true,
    });
    asked
}

/// A call to the peer that has been answered with this Contact; not acknowledged yet.
fn answered(network: &mut Network, extra: &str) -> LegKey {
    let leg = network.agents[0]
        .invite(network.now, &invite_to(PEER))
        .unwrap();
    let request = network.take_text();
    network.send(PEER, &response(&request, 200, "far", extra, "answer"));
    leg
}

fn sent(network: &mut Network) -> (String, SocketAddr) {
    network.events[0] = network.take_events(0);
    network.run_for(Duration::from_millis(1));
    let Arrived { to, text, .. } = network.inbox.remove(0);
    assert!(network.inbox.is_empty(), "one message");
    (kind(&text), to)
}

const CONTACT: &str = "Contact: <sip:2001@Phones.example.com:5070;transport=udp>\r\n";
const ASKED: &str = "udp:phones.example.com:5070";

#[test]
fn requests_go_the_peers_way_until_the_name_is_known_and_then_its_own() {
    let mut network = Network::new(1, 1);
    let leg = answered(&mut network, CONTACT);
    assert_eq!(asked(&mut network), [ASKED]);
    network.agents[0].acknowledge(network.now, leg, None);
    assert_eq!(sent(&mut network), ("ACK".to_owned(), address(PEER)));
    assert_eq!(asked(&mut network), [""; 0], "once is enough");

    let question = Question::new("phones.example.com", Some(5070), Some(Transport::Udp));
    let answer = resolved(&question, &[place(NAMED)]);
    network.agents[0].handle_resolved(network.now, &answer);
    network.agents[0].offer(network.now, leg, Some(&sdp("offer")));
    assert_eq!(sent(&mut network), ("INVITE".to_owned(), address(NAMED)));
}

#[test]
fn the_next_call_knows_the_name_at_once_and_an_established_one_does_not_move() {
    let mut network = Network::new(1, 1);
    let question = Question::new("phones.example.com", Some(5070), Some(Transport::Udp));
    let answer = resolved(&question, &[place(NAMED)]);
    network.agents[0].handle_resolved(network.now, &answer);
    let leg = answered(&mut network, CONTACT);
    network.agents[0].acknowledge(network.now, leg, None);
    assert_eq!(sent(&mut network), ("ACK".to_owned(), address(NAMED)));
    assert_eq!(asked(&mut network), [""; 0]);

    let moved = resolved(&question, &[place(NAMED + 1)]);
    network.agents[0].handle_resolved(network.now, &moved);
    network.agents[0].hang_up(network.now, leg, None);
    assert_eq!(sent(&mut network), ("BYE".to_owned(), address(NAMED)));
}

#[test]
fn a_server_that_we_talk_with_already_is_kept_among_those_of_the_name() {
    let mut network = Network::new(1, 1);
    let question = Question::new("phones.example.com", Some(5070), Some(Transport::Udp));
    let places = [place(NAMED), place(PEER), place(NAMED + 1)];
    network.agents[0].handle_resolved(network.now, &resolved(&question, &places));
    for _ in 0..8 {
        let leg = answered(&mut network, CONTACT);
        network.agents[0].acknowledge(network.now, leg, None);
        assert_eq!(sent(&mut network).1, address(PEER));
    }
}

#[test]
fn a_record_route_is_asked_for_in_place_of_the_contact_behind_it() {
    let mut network = Network::new(1, 1);
    let extra = format!("Record-Route: <sip:edge.example.com;lr>\r\n{CONTACT}");
    let _leg = answered(&mut network, &extra);
    assert_eq!(asked(&mut network), ["sip:edge.example.com"]);
}

#[test]
fn a_caller_is_asked_for_when_it_is_answered_and_a_new_contact_anew() {
    let mut network = Network::new(1, 1);
    let call = invite("call", "1", "").replace(
        &format!("<sip:3427@127.0.0.1:{PEER}>"),
        "<sip:3427@caller.example.com>",
    );
    network.send(PEER, &call);
    let leg = network.take_invited(0);
    assert_eq!(asked(&mut network), [""; 0], "anybody may send an INVITE");
    network.agents[0].answer(network.now, leg, None);
    let ok = network.take_texts().pop().expect("answered");
    assert_eq!(asked(&mut network), ["sip:caller.example.com"]);

    let to = Some(tag(&ok, "To"));
    network.send(PEER, &request("ACK", "call", 101, to, "2", "", ""));
    let contact = "Contact: <sip:3427@elsewhere.example.com>\r\n";
    let reinvite = request("INVITE", "call", 102, to, "3", contact, "");
    network.send(PEER, &reinvite);
    network.agents[0].answer_offer(network.now, leg, Some(&sdp("answer")));
    assert_eq!(asked(&mut network), ["sip:elsewhere.example.com"]);
}
