//! The transport of a request (RFC 3261 §18.1.1): TCP for what is too large for a datagram, and
//! the datagram all the same where the peer takes no connection.

use std::time::Duration;

use offhook_shards::{ConnectionChange, ConnectionOutcome, Transport};

use super::messages::{PEER, body, header, kind, response};
use super::network::{Arrived, Network, address, invite_to, sdp};
use crate::dialog::{LegEvent, LegKey};
use crate::sip::Status;

/// The peer's TCP port.
const STREAM: u16 = 6001;

/// A network in which agent 0 has sent an INVITE that is too large for a datagram.
fn large() -> (Network, LegKey, Arrived) {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.body = Some(sdp(&"x".repeat(1_300)));
    invite.target.large_requests = Some(address(STREAM));
    let leg = network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let arrived = take_one(&mut network);
    (network, leg, arrived)
}

fn take_one(network: &mut Network) -> Arrived {
    network.run_for(Duration::from_millis(1));
    assert_eq!(network.inbox.len(), 1, "{:#?}", network.inbox);
    network.inbox.remove(0)
}

fn lose(network: &mut Network, outcome: ConnectionOutcome) {
    let change = ConnectionChange {
        connection: None,
        remote: address(STREAM),
        outcome,
    };
    network.agents[0].handle_connection(network.now, change);
}

#[test]
fn an_invite_over_1300_bytes_goes_by_tcp_where_the_peer_has_it() {
    let (_, _, arrived) = large();
    assert_eq!(
        (arrived.transport, arrived.to.port()),
        (Transport::Tcp, STREAM)
    );
    assert!(header(&arrived.text, "Via").starts_with("SIP/2.0/TCP "));
    assert_eq!(
        header(&arrived.text, "Contact"),
        "<sip:1000@127.0.0.1:5060;transport=tcp>"
    );
    assert!(!header(&arrived.text, "Via").contains("rport"));
}

#[test]
fn where_no_connection_can_be_opened_the_request_goes_by_udp_all_the_same() {
    let (mut network, leg, stream) = large();
    lose(&mut network, ConnectionOutcome::ConnectFailed);
    let datagram = take_one(&mut network);
    assert_eq!(
        (datagram.transport, datagram.to.port()),
        (Transport::Udp, PEER)
    );
    assert!(header(&datagram.text, "Via").starts_with("SIP/2.0/UDP "));
    assert!(header(&datagram.text, "Via").ends_with(";rport"));
    assert_eq!(
        header(&datagram.text, "Contact"),
        "<sip:1000@127.0.0.1:5060>"
    );
    for name in ["From", "To", "Call-ID", "CSeq"] {
        assert_eq!(header(&datagram.text, name), header(&stream.text, name));
    }
    assert_eq!(body(&datagram.text), body(&stream.text));
    // It is repeated as a datagram is, and what belongs to it goes the same way.
    network.run_for(Duration::from_millis(500));
    assert_eq!(take_one(&mut network).text, datagram.text);
    network.send(PEER, &response(&datagram.text, 180, "a", "", ""));
    network.agents[0].hang_up(network.now, leg, None);
    let cancel = take_one(&mut network);
    assert_eq!(
        (kind(&cancel.text).as_str(), cancel.transport),
        ("CANCEL", Transport::Udp)
    );
    assert_eq!(header(&cancel.text, "Via"), header(&datagram.text, "Via"));
    network.send(PEER, &response(&cancel.text, 200, "a", "", ""));
    network.send(PEER, &response(&datagram.text, 487, "a", "", ""));
    let ack = take_one(&mut network);
    assert_eq!(
        (kind(&ack.text).as_str(), ack.transport),
        ("ACK", Transport::Udp)
    );
    network.run_until_idle();
}

#[test]
fn a_connection_that_was_open_is_not_replaced_by_a_datagram() {
    let (mut network, _, _) = large();
    lose(&mut network, ConnectionOutcome::Closed);
    network.run_for(Duration::from_millis(1));
    assert!(network.inbox.is_empty());
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Refused {
            status: Status::SERVICE_UNAVAILABLE,
            retry_after: None,
            after_provisional: false,
        }]
    );
    network.run_until_idle();
}
