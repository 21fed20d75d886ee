//! §17.2.3, §9.2 and §8.2.2.2: which server transaction a request belongs to.

use std::net::SocketAddr;
use std::time::Instant;

use offhook::sip::Status;
use offhook::transaction::{Incoming, ServerKey, Transactions};
use offhook_shards::Source;
use offhook_shards::Transport::Udp;

use crate::trace::{
    PEER_VIA, origin, receive_request, request, response, sent, source, transactions,
};

struct Server {
    transactions: Transactions,
    now: Instant,
}

impl Server {
    fn new() -> Self {
        let now = origin();
        Self {
            transactions: transactions(now),
            now,
        }
    }

    fn receive(&mut self, text: &str) -> Incoming {
        receive_request(&mut self.transactions, self.now, text, source(Udp))
    }

    fn receive_from(&mut self, text: &str, remote: &str) -> Incoming {
        let remote: SocketAddr = remote.parse().unwrap();
        let from = Source {
            remote,
            ..source(Udp)
        };
        receive_request(&mut self.transactions, self.now, text, from)
    }

    fn starts(&mut self, text: &str) -> ServerKey {
        let verdict = self.receive(text);
        let Incoming::New(key) = verdict else {
            panic!("{verdict:?}: {text}");
        };
        key
    }

    /// The INVITE that a CANCEL finds, after the CANCEL's own key.
    fn cancels(&mut self, text: &str) -> (ServerKey, Option<ServerKey>) {
        let verdict = self.receive(text);
        let Incoming::Cancel { key, invite } = verdict else {
            panic!("{verdict:?}: {text}");
        };
        (key, invite)
    }

    fn respond(&mut self, key: ServerKey, status: u16) {
        let text = response(&request("INVITE", PEER_VIA, ""), status);
        self.transactions
            .respond(self.now, key, Status(status), text.as_bytes());
    }
}

/// A request of a call of its own, so that two of them are never merged.
fn of_call(method: &str, via: &str, call: &str) -> String {
    request(method, via, "").replace("call@", call)
}

#[test]
fn branch_sent_by_and_method_together_identify_a_transaction() {
    let mut server = Server::new();
    let first = of_call(
        "OPTIONS",
        "SIP/2.0/UDP a.example.com:5070;branch=z9hG4bK1",
        "1@",
    );
    server.starts(&first);
    for (via, method) in [
        ("SIP/2.0/UDP a.example.com:5070;branch=z9hG4bK2", "OPTIONS"),
        ("SIP/2.0/UDP a.example.com:5071;branch=z9hG4bK1", "OPTIONS"),
        ("SIP/2.0/UDP b.example.com:5070;branch=z9hG4bK1", "OPTIONS"),
        ("SIP/2.0/UDP a.example.com:5070;branch=z9hG4bk1", "BYE"),
        ("SIP/2.0/UDP a.example.com:5070;branch=z9hG4bK1", "INVITE"),
    ] {
        server.starts(&of_call(
            method,
            via,
            &format!("{via}{method}@").replace([' ', ';'], "-"),
        ));
    }
    assert_eq!(server.receive(&first), Incoming::Absorbed);
    // Host names compare without regard to case, and the default port need not be written.
    let same = first.replace("a.example.com", "A.Example.COM");
    assert_eq!(server.receive(&same), Incoming::Absorbed);
    server.starts(&of_call(
        "OPTIONS",
        "SIP/2.0/UDP c.example.com;branch=z9hG4bK1",
        "2@",
    ));
    let written = of_call(
        "OPTIONS",
        "SIP/2.0/UDP c.example.com:5060;branch=z9hG4bK1",
        "2@",
    );
    assert_eq!(server.receive(&written), Incoming::Absorbed);
}

#[test]
fn an_ack_belongs_to_the_invite_whose_failure_it_acknowledges() {
    let mut server = Server::new();
    let key = server.starts(&request("INVITE", PEER_VIA, ""));
    server.respond(key, 486);
    assert_eq!(
        server.receive(&request("ACK", PEER_VIA, ";tag=b")),
        Incoming::Absorbed
    );
    let other = "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKother";
    assert_eq!(
        server.receive(&request("ACK", other, ";tag=b")),
        Incoming::Acknowledge
    );
}

#[test]
fn an_ack_to_nowhere_starts_nothing_and_is_answered_nothing() {
    let mut server = Server::new();
    assert_eq!(
        server.receive(&request("ACK", PEER_VIA, ";tag=b")),
        Incoming::Acknowledge
    );
    assert_eq!(
        server.receive(&request("ACK", "SIP/2.0/UDP h", ";tag=b")),
        Incoming::Acknowledge
    );
    assert!(server.transactions.is_empty());
    assert!(sent(&mut server.transactions).is_empty());
}

#[test]
fn a_cancel_finds_its_invite_and_has_a_transaction_of_its_own() {
    let mut server = Server::new();
    let invite = server.starts(&request("INVITE", PEER_VIA, ""));
    let cancel = request("CANCEL", PEER_VIA, "");
    let (key, found) = server.cancels(&cancel);
    assert_eq!(found, Some(invite));
    assert_ne!(key, invite);
    assert_eq!(server.receive(&cancel), Incoming::Absorbed);
    assert!(server.transactions.is_unanswered(key));
    assert!(server.transactions.is_unanswered(invite));
}

#[test]
fn a_cancel_after_the_final_response_finds_an_invite_that_is_answered() {
    let mut server = Server::new();
    let invite = server.starts(&request("INVITE", PEER_VIA, ""));
    server.respond(invite, 200);
    let (_, found) = server.cancels(&request("CANCEL", PEER_VIA, ""));
    assert_eq!(found, Some(invite));
    assert!(!server.transactions.is_unanswered(invite));
}

#[test]
fn a_cancel_for_nothing_has_no_invite() {
    let mut server = Server::new();
    server.starts(&request("OPTIONS", PEER_VIA, ""));
    let verdict = server.receive(&request("CANCEL", PEER_VIA, ""));
    assert!(
        matches!(verdict, Incoming::Cancel { invite: None, .. }),
        "{verdict:?}"
    );
}

#[test]
fn a_cancel_or_ack_with_a_changed_sent_by_is_known_by_its_branch_and_source() {
    let mut server = Server::new();
    let invite = server.starts(&request("INVITE", PEER_VIA, ""));
    let changed = "SIP/2.0/UDP 203.0.113.5:1024;branch=z9hG4bKpeer";
    let elsewhere = "192.0.2.77:5070";
    let verdict = server.receive_from(&request("CANCEL", changed, ""), elsewhere);
    assert!(
        matches!(verdict, Incoming::Cancel { invite: None, .. }),
        "{verdict:?}"
    );
    let changed = "SIP/2.0/UDP 203.0.113.5:1025;branch=z9hG4bKpeer";
    let (_, found) = server.cancels(&request("CANCEL", changed, ""));
    assert_eq!(found, Some(invite));
    server.respond(invite, 487);
    let ack = request("ACK", changed, ";tag=b");
    assert_eq!(server.receive_from(&ack, elsewhere), Incoming::Acknowledge);
    assert_eq!(server.receive(&ack), Incoming::Absorbed);
}

const OLD_VIA: &str = "SIP/2.0/UDP 192.0.2.9:5070";

#[test]
fn requests_without_a_branch_are_told_apart_by_all_that_they_repeat() {
    let mut server = Server::new();
    let first = request("INVITE", OLD_VIA, ";tag=x");
    server.starts(&first);
    for (from, to) in [
        ("sip:2001@192.0.2.1 SIP", "sip:2002@192.0.2.1 SIP"),
        (";tag=x", ";tag=y"),
        ("tag=a", "tag=c"),
        ("call@", "other@"),
        ("CSeq: 7", "CSeq: 8"),
        ("192.0.2.9:5070", "192.0.2.9:5071"),
        (OLD_VIA, "SIP/2.0/UDP 192.0.2.9:5070;branch=1"),
    ] {
        assert!(first.contains(from), "{from}");
        server.starts(&first.replacen(from, to, 1));
    }
    assert_eq!(server.receive(&first), Incoming::Absorbed);
}

#[test]
fn an_old_ack_belongs_to_the_invite_with_the_tag_of_our_failure() {
    let mut server = Server::new();
    let key = server.starts(&request("INVITE", OLD_VIA, ""));
    assert_eq!(
        server.receive(&request("ACK", OLD_VIA, ";tag=b")),
        Incoming::Acknowledge
    );
    server.respond(key, 404);
    assert_eq!(
        server.receive(&request("ACK", OLD_VIA, ";tag=c")),
        Incoming::Acknowledge
    );
    assert_eq!(
        server.receive(&request("ACK", OLD_VIA, ";tag=b")),
        Incoming::Absorbed
    );
}

#[test]
fn an_old_cancel_finds_its_invite() {
    let mut server = Server::new();
    let invite = server.starts(&request("INVITE", OLD_VIA, ""));
    let (_, found) = server.cancels(&request("CANCEL", OLD_VIA, ""));
    assert_eq!(found, Some(invite));
}

#[test]
fn the_same_request_by_another_path_is_merged() {
    let mut server = Server::new();
    let other = "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKother";
    let first = server.starts(&request("INVITE", PEER_VIA, ""));
    sent(&mut server.transactions);
    let verdict = server.receive(&request("INVITE", other, ""));
    let Incoming::Merged(twin) = verdict else {
        panic!("{verdict:?}");
    };
    assert!(
        sent(&mut server.transactions).is_empty(),
        "a merged request gets no 100"
    );
    assert_eq!(
        server.receive(&request("INVITE", other, "")),
        Incoming::Absorbed
    );
    // The twin is refused, the first goes on.
    server.respond(twin, 482);
    server.respond(first, 180);
    assert_eq!(
        server.receive(&request("INVITE", other, "")),
        Incoming::Absorbed
    );
}

#[test]
fn a_request_inside_a_dialog_is_never_merged() {
    let mut server = Server::new();
    server.starts(&request("INVITE", PEER_VIA, ";tag=b"));
    server.starts(&request(
        "INVITE",
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother",
        ";tag=b",
    ));
}

#[test]
fn another_from_tag_is_another_call() {
    let mut server = Server::new();
    server.starts(&request("INVITE", PEER_VIA, ""));
    let other = request("INVITE", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother", "");
    server.starts(&other.replace("tag=a", "tag=aa"));
}
