//! §18.2.2, §18.1.1 and RFC 3581: where responses and requests go.

use std::net::SocketAddr;

use offhook::dialog::Target;
use offhook::transaction::{Incoming, transport_for};
use offhook_shards::Transport::{self, Tcp, Udp};
use offhook_shards::{ConnectionId, ShardId, Source, Transmit};

use crate::trace::{
    PEER_VIA, connection, local, origin, receive_request, remote, request, sent, source,
    transactions,
};

fn answered_to(via: &str, transport: Transport) -> Transmit {
    let now = origin();
    let mut transactions = transactions(now);
    let text = request("INVITE", via, "");
    let verdict = receive_request(&mut transactions, now, &text, source(transport));
    let Incoming::New(key) = verdict else {
        panic!("{verdict:?}")
    };
    let (transmit, _) = sent(&mut transactions).remove(0);
    assert_eq!(transactions.destination(key), Some(transmit));
    assert_eq!(transactions.source(key), Some(source(transport)));
    transmit
}

#[test]
fn a_datagram_is_answered_at_its_source_address_and_the_port_of_sent_by() {
    for (via, port) in [
        ("SIP/2.0/UDP 192.0.2.9:5090;branch=z9hG4bK1", 5090),
        ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", 5060),
        ("SIP/2.0/UDP phone.example.com:5090;branch=z9hG4bK1", 5090),
        // Our answers are not aimed at others.
        (
            "SIP/2.0/UDP 198.51.100.7:5090;maddr=203.0.113.1;branch=z9hG4bK1",
            5090,
        ),
        (
            "SIP/2.0/UDP 192.0.2.9:5090;received=203.0.113.1;branch=z9hG4bK1",
            5090,
        ),
    ] {
        let expected = Transmit {
            transport: Udp,
            local: Some(local()),
            remote: SocketAddr::new(remote().ip(), port),
            connection: None,
        };
        assert_eq!(answered_to(via, Udp), expected, "{via}");
    }
}

#[test]
fn with_rport_a_datagram_is_answered_at_its_source_port() {
    let transmit = answered_to("SIP/2.0/UDP 10.0.0.1:5090;branch=z9hG4bK1;rport", Udp);
    assert_eq!(transmit.remote, remote());
}

#[test]
fn a_request_on_a_stream_is_answered_on_its_connection_or_at_the_port_of_sent_by() {
    let transmit = answered_to("SIP/2.0/TCP 192.0.2.9:5090;branch=z9hG4bK1;rport", Tcp);
    let expected = Transmit {
        transport: Tcp,
        local: Some(local()),
        remote: SocketAddr::new(remote().ip(), 5090),
        connection: Some(connection()),
    };
    assert_eq!(transmit, expected);
}

#[test]
fn a_client_that_repeats_on_a_new_connection_is_answered_there() {
    let now = origin();
    let mut transactions = transactions(now);
    let text = request("INVITE", PEER_VIA, "");
    let _ = receive_request(&mut transactions, now, &text, source(Tcp));
    let newer = ConnectionId {
        shard: ShardId(0),
        index: 5,
        generation: 9,
    };
    let again = Source {
        connection: Some(newer),
        ..source(Tcp)
    };
    let verdict = receive_request(&mut transactions, now, &text, again);
    assert_eq!(verdict, Incoming::Absorbed);
    let connections: Vec<_> = sent(&mut transactions)
        .iter()
        .map(|(transmit, _)| transmit.connection)
        .collect();
    assert_eq!(connections, [Some(connection()), Some(newer)]);
}

#[test]
fn the_100_says_where_the_invite_came_from() {
    let now = origin();
    let mut transactions = transactions(now);
    let text = request(
        "INVITE",
        "SIP/2.0/UDP 10.0.0.1:5090;rport;branch=z9hG4bK1",
        "",
    );
    let _ = receive_request(&mut transactions, now, &text, source(Udp));
    let (_, trying) = sent(&mut transactions).remove(0);
    let via = trying
        .lines()
        .find(|line| line.starts_with("Via:"))
        .unwrap();
    assert!(via.contains(";rport=5070"), "{via}");
    assert!(via.contains(";received=192.0.2.9"), "{via}");
    assert!(trying.starts_with("SIP/2.0 100 Trying\r\n"), "{trying}");
    assert!(
        trying.contains("\r\nTo: <sip:2001@192.0.2.1>\r\n"),
        "a 100 has no tag: {trying}"
    );
}

#[test]
fn a_stateless_answer_goes_where_a_stateful_one_would() {
    use offhook::sip::{HeaderIndex, Message};
    let now = origin();
    let mut transactions = transactions(now);
    let text = request("INVITE", "SIP/2.0/UDP 10.0.0.1:5090;branch=z9hG4bK1", "");
    let mut index = HeaderIndex::new();
    let via = Message::parse(text.as_bytes(), &mut index)
        .unwrap()
        .via()
        .unwrap();
    transactions.send_response_stateless(source(Udp), &via, b"SIP/2.0 503 x\r\n\r\n");
    let (transmit, bytes) = sent(&mut transactions).remove(0);
    assert_eq!(transmit.remote, SocketAddr::new(remote().ip(), 5090));
    assert_eq!(bytes, "SIP/2.0 503 x\r\n\r\n");
    assert!(transactions.is_empty());
}

#[test]
fn a_request_over_1300_bytes_goes_by_tcp_where_the_peer_has_it() {
    let tcp = SocketAddr::from(([192, 0, 2, 9], 5063));
    let both = Target {
        transport: Udp,
        address: remote(),
        large_requests: Some(tcp),
        overload_control: false,
    };
    assert_eq!(transport_for(&both, 1_300), (Udp, remote()));
    assert_eq!(transport_for(&both, 1_301), (Tcp, tcp));
    let datagrams = Target {
        large_requests: None,
        overload_control: false,
        ..both
    };
    assert_eq!(transport_for(&datagrams, 9_000), (Udp, remote()));
    let streams = Target {
        transport: Tcp,
        ..both
    };
    assert_eq!(transport_for(&streams, 9_000), (Tcp, remote()));
}
