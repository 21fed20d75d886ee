//! One shard's transactions under odd circumstances: limits, stalls, stale keys, hostile input.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_shards::{ConnectionChange, ConnectionOutcome, Source, Transport};

use crate::limits::TIMER_GRAIN;
use crate::sip::{Checked, HeaderIndex, Message, Method, Status};
use crate::transaction::{ClientKey, Event, Full, Incoming, Outgoing, Timers, Transactions};

#[expect(
    clippy::disallowed_methods,
    reason = "virtual time has to start somewhere"
)]
pub(super) fn origin() -> Instant {
    Instant::now()
}

pub(super) fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], 5070))
}

fn source() -> Source {
    Source {
        transport: Transport::Udp,
        local: SocketAddr::from(([192, 0, 2, 1], 5060)),
        remote: peer(),
        connection: None,
    }
}

fn outgoing<'a>(branch: &'a str, bytes: &'a [u8]) -> Outgoing<'a> {
    Outgoing {
        method: Method::Options,
        transport: Transport::Udp,
        remote: peer(),
        branch,
        bytes,
        fallback: None,
    }
}

fn receive(transactions: &mut Transactions, now: Instant, text: &str) -> Incoming {
    let mut index = HeaderIndex::new();
    match Message::receive(text.as_bytes(), &mut index) {
        Ok(Checked::Request(request)) => transactions.handle_request(now, &request, source()),
        Ok(Checked::Response(_)) | Err(_) => panic!("not a request: {text}"),
    }
}

fn request(method: &str, number: usize) -> String {
    format!(
        "{method} sip:2001@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK{number}\r\n\
         From: <sip:1001@192.0.2.9>;tag=a\r\nTo: <sip:2001@192.0.2.1>\r\n\
         Call-ID: {number}@192.0.2.9\r\nCSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn drain(transactions: &mut Transactions) -> Vec<String> {
    let mut messages = Vec::new();
    let mut buffer = Vec::new();
    while transactions.poll_transmit(&mut buffer).is_some() {
        messages.push(String::from_utf8(std::mem::take(&mut buffer)).unwrap());
    }
    messages
}

#[test]
fn a_full_table_refuses_and_recovers() {
    let start = origin();
    let mut transactions = Transactions::new(start, Timers::default(), [1, 2]);
    let mut buffer = Vec::new();
    let (limit, reserve) = (1_024, 64);
    transactions.clients.set_limit(limit, reserve);
    for number in 0..limit - reserve {
        let branch = format!("z9hG4bK{number}");
        transactions
            .request(start, outgoing(&branch, b"OPTIONS"))
            .unwrap();
        buffer.clear();
        assert!(transactions.poll_transmit(&mut buffer).is_some());
    }
    let refused = transactions.request(start, outgoing("z9hG4bKmore", b"OPTIONS"));
    assert_eq!(refused, Err(Full));
    assert_eq!(
        drain(&mut transactions),
        [""; 0],
        "what is refused is not sent"
    );
    // A call can be ended all the same.
    for method in [Method::Bye, Method::Cancel] {
        let ending = Outgoing {
            method,
            ..outgoing("z9hG4bKending", b"BYE or CANCEL")
        };
        assert!(transactions.request(start, ending).is_ok());
    }
    let end = start + Timers::default().patience();
    transactions.handle_timeout(end);
    assert!(transactions.is_empty());
    assert!(
        transactions
            .request(end, outgoing("z9hG4bKmore", b"OPTIONS"))
            .is_ok()
    );
}

#[test]
fn a_full_server_table_refuses_requests_but_still_takes_acknowledgements() {
    let now = origin();
    let mut transactions = Transactions::new(now, Timers::default(), [1, 2]);
    let Incoming::New(key) = receive(&mut transactions, now, &request("INVITE", 0)) else {
        panic!("the first INVITE is new");
    };
    let busy = request("INVITE", 0).replace("INVITE sip:2001@192.0.2.1 SIP/2.0", "SIP/2.0 486 x");
    transactions.respond(now, key, Status::BUSY_HERE, busy.as_bytes());
    transactions.servers.set_limit(2, 1);
    assert_eq!(
        receive(&mut transactions, now, &request("INVITE", 1)),
        Incoming::Full
    );
    assert_eq!(
        receive(&mut transactions, now, &request("OPTIONS", 0)),
        Incoming::Full
    );
    // What goes on with what exists, or ends it, has room kept for it.
    let cancel = receive(&mut transactions, now, &request("CANCEL", 0));
    assert!(matches!(cancel, Incoming::Cancel { .. }), "{cancel:?}");
    let bye =
        request("BYE", 2).replace("To: <sip:2001@192.0.2.1>", "To: <sip:2001@192.0.2.1>;tag=b");
    assert_eq!(receive(&mut transactions, now, &bye), Incoming::Full);
    transactions.servers.set_limit(3, 1);
    let taken = receive(&mut transactions, now, &bye);
    assert!(matches!(taken, Incoming::New(_)), "{taken:?}");
    assert_eq!(
        receive(&mut transactions, now, &request("INVITE", 0)),
        Incoming::Absorbed
    );
    assert_eq!(
        receive(&mut transactions, now, &request("ACK", 1)),
        Incoming::Acknowledge
    );
    assert_eq!(
        receive(&mut transactions, now, &request("ACK", 0)),
        Incoming::Absorbed
    );
    assert_eq!(transactions.servers(), 3);
}

#[test]
fn a_shard_that_was_held_up_sends_one_late_message_and_not_all_it_missed() {
    let start = origin();
    let mut transactions = Transactions::new(start, Timers::default(), [1, 2]);
    transactions
        .request(start, outgoing("z9hG4bK1", b"OPTIONS"))
        .unwrap();
    drain(&mut transactions);
    transactions.handle_timeout(start + Duration::from_secs(20));
    assert_eq!(drain(&mut transactions).len(), 1);
    transactions.handle_timeout(start + Duration::from_secs(60));
    assert_eq!(drain(&mut transactions).len(), 1);
    assert!(
        transactions.is_empty(),
        "the deadline passed while it slept"
    );
}

#[test]
fn transactions_that_only_end_wake_nobody_one_by_one() {
    const REQUESTS: u32 = 64;
    let start = origin();
    let mut transactions = Transactions::new(start, Timers::default(), [1, 2]);
    for number in 0..REQUESTS {
        let now = start + Duration::from_millis(number.into());
        let options = request("OPTIONS", number as usize);
        let Incoming::New(key) = receive(&mut transactions, now, &options) else {
            panic!("each is another one");
        };
        let answer = options.replace("OPTIONS sip:2001@192.0.2.1 SIP/2.0", "SIP/2.0 200 OK");
        transactions.respond(now, key, Status::OK, answer.as_bytes());
    }
    let mut moments = 0;
    while let Some(at) = transactions.poll_timeout() {
        assert!(at >= start + Timers::default().patience(), "not early");
        transactions.handle_timeout(at);
        moments += 1;
    }
    assert!(transactions.is_empty());
    let span = Duration::from_millis(REQUESTS.into());
    assert!(moments <= 1 + span.as_millis().div_ceil(TIMER_GRAIN.as_millis()));
}

#[test]
fn a_spent_key_names_nothing() {
    let start = origin();
    let mut transactions = Transactions::new(start, Timers::default(), [1, 2]);
    let spent = transactions
        .request(start, outgoing("z9hG4bK1", b"OPTIONS"))
        .unwrap();
    let end = start + Timers::default().patience();
    transactions.handle_timeout(end);
    assert_eq!(transactions.poll_event(), Some(Event::TimedOut(spent)));
    let live = transactions
        .request(end, outgoing("z9hG4bK1", b"OPTIONS"))
        .unwrap();
    assert_ne!(live, spent);
    transactions.abandon(end, spent);
    transactions.expect_final(end, spent);
    assert!(!transactions.is_pending(spent));
    assert!(transactions.is_pending(live));
    transactions.handle_timeout(end + Timers::default().patience());
    assert_eq!(transactions.poll_event(), Some(Event::TimedOut(live)));
}

#[test]
fn only_the_requests_to_the_lost_peer_fail() {
    let now = origin();
    let mut transactions = Transactions::new(now, Timers::default(), [1, 2]);
    let other = SocketAddr::from(([192, 0, 2, 10], 5070));
    let mut send = |branch: &str, remote| -> ClientKey {
        let request = Outgoing {
            transport: Transport::Tcp,
            remote,
            ..outgoing(branch, b"OPTIONS")
        };
        transactions.request(now, request).unwrap()
    };
    let (first, second) = (send("z9hG4bK1", peer()), send("z9hG4bK2", peer()));
    let kept = send("z9hG4bK3", other);
    let change = ConnectionChange {
        connection: None,
        remote: peer(),
        outcome: ConnectionOutcome::ConnectFailed,
    };
    transactions.handle_connection(now, &change);
    let mut failed = Vec::new();
    while let Some(event) = transactions.poll_event() {
        failed.push(event);
    }
    assert_eq!(
        failed,
        [
            Event::TransportFailed(first),
            Event::TransportFailed(second)
        ]
    );
    assert!(transactions.is_pending(kept));
    assert_eq!(transactions.clients(), 1);
}

#[test]
fn an_invite_that_we_cannot_read_ourselves_gets_no_ack_and_still_ends() {
    let start = origin();
    let mut transactions = Transactions::new(start, Timers::default(), [1, 2]);
    let invite = Outgoing {
        method: Method::Invite,
        ..outgoing("z9hG4bK1", b"INVITE not a message\r\n\r\n")
    };
    let key = transactions.request(start, invite).unwrap();
    drain(&mut transactions);
    let busy = request("INVITE", 1).replace("INVITE sip:2001@192.0.2.1 SIP/2.0", "SIP/2.0 486 x");
    let mut index = HeaderIndex::new();
    match Message::receive(busy.as_bytes(), &mut index) {
        Ok(Checked::Response(response)) => {
            for _ in 0..2 {
                let _ = transactions.handle_response(start, &response);
            }
        }
        Ok(Checked::Request(_)) | Err(_) => panic!("not a response: {busy}"),
    }
    assert_eq!(drain(&mut transactions), [""; 0]);
    transactions.handle_timeout(start + Timers::default().patience());
    assert_eq!(transactions.poll_event(), Some(Event::ClientEnded(key)));
    assert!(transactions.is_empty());
}

#[test]
#[should_panic(expected = "every request has a branch of its own")]
fn a_branch_that_is_in_use_is_a_mistake_of_ours() {
    let now = origin();
    let mut transactions = Transactions::new(now, Timers::default(), [1, 2]);
    for _ in 0..2 {
        transactions
            .request(now, outgoing("z9hG4bK1", b"OPTIONS"))
            .unwrap();
    }
}

#[test]
#[should_panic(expected = "time never goes back")]
fn time_that_goes_back_is_a_mistake_of_ours() {
    let now = origin();
    let mut transactions = Transactions::new(now, Timers::default(), [1, 2]);
    transactions.handle_timeout(now + Duration::from_secs(1));
    transactions.handle_timeout(now);
}

#[test]
fn timers_may_be_shortened_for_a_fast_network() {
    let start = origin();
    let timers = Timers {
        t1: Duration::from_millis(10),
        t2: Duration::from_millis(40),
        t4: Duration::from_millis(50),
    };
    let mut transactions = Transactions::new(start, timers, [1, 2]);
    transactions
        .request(start, outgoing("z9hG4bK1", b"OPTIONS"))
        .unwrap();
    let mut now = start;
    while let Some(next) = transactions.poll_timeout() {
        now = next;
        transactions.handle_timeout(now);
    }
    assert_eq!(now, start + Duration::from_millis(640));
    // 0, 10, 30, 70 and then every 40 up to 630.
    assert_eq!(drain(&mut transactions).len(), 4 + 14);
}
