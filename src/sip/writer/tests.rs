//! What the writer writes, and what it refuses to write.

use super::*;
use crate::sip::{Checked, HeaderIndex, Malformed, StartLine};

const INVITE: &[u8] = include_bytes!("../../../tests/data/cucm/invite_early_offer.sip");

fn source(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn request<'a>(bytes: &'a [u8], index: &'a mut HeaderIndex) -> Request<'a> {
    match Message::receive(bytes, index) {
        Ok(Checked::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

/// A request with these headers instead of a plain Via.
fn with(headers: &str) -> Vec<u8> {
    format!(
        "INVITE sip:a@b SIP/2.0\r\n{headers}\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n\
         Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn response_text(bytes: &[u8], status: Status, from: &str) -> String {
    let mut index = HeaderIndex::new();
    let request = request(bytes, &mut index);
    let mut written = Vec::new();
    Writer::response(&mut written, status, &request, source(from), Some("t")).end();
    let mut from_reply = Vec::new();
    let reply = Reply::new(&request, source(from));
    Writer::reply(&mut from_reply, status, &reply, Some("t")).end();
    let text = String::from_utf8(written).expect("ASCII");
    let mut lines: Vec<&str> = text.split("\r\n").collect();
    let from_reply = String::from_utf8(from_reply).expect("ASCII");
    let mut same: Vec<&str> = from_reply.split("\r\n").collect();
    lines.sort_unstable();
    same.sort_unstable();
    assert_eq!(lines, same, "a Reply writes the same headers");
    text
}

#[test]
fn a_request_is_what_was_asked_for() {
    let mut buffer = b"before".to_vec();
    let mut writer = Writer::request(&mut buffer, Method::Invite, b"sip:8001@192.0.2.20:5060");
    writer
        .via(Transport::Udp, "192.0.2.10:5060", "z9hG4bK1")
        .header(HeaderName::MaxForwards, 69)
        .bytes(HeaderName::From, b"<sip:a@b>;tag=1")
        .raw(b"X-Thing", b"yes")
        .body("application/sdp", b"v=0\r\n");
    assert_eq!(
        String::from_utf8(buffer).expect("ASCII"),
        "beforeINVITE sip:8001@192.0.2.20:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK1;rport\r\n\
         Max-Forwards: 69\r\nFrom: <sip:a@b>;tag=1\r\nX-Thing: yes\r\n\
         Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    );
}

#[test]
fn nothing_from_outside_starts_a_new_line() {
    let mut buffer = Vec::new();
    let mut writer = Writer::request(&mut buffer, Method::Bye, b"sip:a@b SIP/2.0\r\nX: <y>\x00");
    writer
        .header(HeaderName::Subject, "a\r\nX: b\0c")
        .bytes(HeaderName::UserAgent, b"a\r\n\tb\rc\nd\0e")
        .raw(b"Bad Name", b"x")
        .raw(b"Bad\r\nName", b"x")
        .raw(b"", b"x")
        .via(Transport::Other("UDP"), "h\r\nX: y", "z\n")
        .body("text/plain\r\nX: y", b"");
    let text = String::from_utf8(buffer).expect("ASCII");
    assert_eq!(
        text,
        "BYE sip:a@b%20SIP/2.0%0D%0AX:%20%3Cy%3E%00 SIP/2.0\r\nSubject: a  X: b c\r\n\
         User-Agent: a b c d e\r\nVia: SIP/2.0/UDP h  X: y;branch=z ;rport\r\n\
         Content-Type: text/plain  X: y\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_response_says_where_the_request_came_from() {
    let plain = "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1";
    for (headers, from, expected) in [
        // The sender is where it says: nothing to add.
        (
            plain,
            "192.0.2.1:5070",
            "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1\r\n",
        ),
        (
            plain,
            "[::ffff:192.0.2.1]:9",
            "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1\r\n",
        ),
        // RFC 3261 §18.2.1: it is elsewhere, or it is a name.
        (
            plain,
            "198.51.100.7:6000",
            "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;received=198.51.100.7\r\n",
        ),
        (
            "v: SIP/2.0/TCP h.example.com;branch=z9hG4bK1",
            "[2001:db8::1]:6000",
            "Via: SIP/2.0/TCP h.example.com;branch=z9hG4bK1;received=2001:db8::1\r\n",
        ),
        // RFC 3581 §4: asked for, and both are filled.
        (
            "Via: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1",
            "192.0.2.1:6000",
            "Via: SIP/2.0/UDP 192.0.2.1;rport=6000;branch=z9hG4bK1;received=192.0.2.1\r\n",
        ),
        // What the sender claims to have received is not repeated.
        (
            "Via: SIP/2.0/UDP 192.0.2.1;received=203.0.113.9;branch=z9hG4bK1",
            "192.0.2.1:6000",
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;received=192.0.2.1\r\n",
        ),
        // Others stay as they are, one a line, in order.
        (
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1 , SIP / 2.0 /UDP p;rport\r\n\
             v: SIP/2.0/TCP q",
            "192.0.2.1:5060",
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nVia: SIP / 2.0 /UDP p;rport\r\n\
             Via: SIP/2.0/TCP q\r\n",
        ),
    ] {
        let text = response_text(&with(headers), Status::OK, from);
        assert!(
            text.starts_with(&format!("SIP/2.0 200 OK\r\n{expected}From:")),
            "{text}"
        );
    }
}

#[test]
fn where_a_response_goes_follows_via_and_source() {
    for (via, from, expected) in [
        (
            &b"SIP/2.0/UDP 192.0.2.1;rport"[..],
            "198.51.100.7:6000",
            "198.51.100.7:6000",
        ),
        (
            b"SIP/2.0/UDP 192.0.2.1",
            "198.51.100.7:6000",
            "198.51.100.7:5060",
        ),
        (
            b"SIP/2.0/UDP 192.0.2.1:5070",
            "198.51.100.7:6000",
            "198.51.100.7:5070",
        ),
        (b"SIP/2.0/TLS h", "198.51.100.7:6000", "198.51.100.7:5061"),
        (
            b"SIP/2.0/UDP 255.255.255.255;maddr=224.0.0.1",
            "192.0.2.9:6000",
            "192.0.2.9:5060",
        ),
    ] {
        let via = Via::parse(via).expect("legal");
        assert_eq!(via.reply_to(source(from)), source(expected));
    }
}

#[test]
fn the_tag_is_added_once_and_record_route_only_where_a_dialog_may_start() {
    let routed = with("Via: SIP/2.0/UDP h\r\nRecord-Route: <sip:p;lr>,\r\n <sip:q;lr>");
    for (status, recorded) in [
        (Status::TRYING, false),
        (Status::RINGING, true),
        (Status::OK, true),
        (Status::BUSY_HERE, false),
    ] {
        let text = response_text(&routed, status, "192.0.2.1:5060");
        assert_eq!(
            text.contains("Record-Route: <sip:p;lr>, <sip:q;lr>\r\n"),
            recorded,
            "{text}"
        );
        assert!(text.contains("To: <sip:a@b>;tag=t\r\n"), "{text}");
    }
    let tagged = String::from_utf8(with("Via: SIP/2.0/UDP h")).expect("ASCII");
    let tagged = tagged.replace("To: <sip:a@b>", "To: <sip:a@b>;tag=theirs");
    let text = response_text(tagged.as_bytes(), Status::OK, "192.0.2.1:5060");
    assert!(text.contains("To: <sip:a@b>;tag=theirs\r\n"), "{text}");
}

#[test]
fn a_trying_repeats_the_timestamp() {
    let bytes = with("Via: SIP/2.0/UDP h\r\nTimestamp: 54");
    let mut index = HeaderIndex::new();
    let request = request(&bytes, &mut index);
    let mut written = Vec::new();
    let from = source("192.0.2.1:5060");
    Writer::response(&mut written, Status::TRYING, &request, from, None).end();
    let text = String::from_utf8(written).expect("ASCII");
    assert!(text.contains("\r\nTimestamp: 54\r\n"), "{text}");
    assert!(text.contains("\r\nTo: <sip:a@b>\r\n"), "{text}");
}

#[test]
fn a_written_invite_of_ucm_reads_as_the_received_one() {
    let mut index = HeaderIndex::new();
    let received = request(INVITE, &mut index);
    let mut written = Vec::new();
    let mut writer = Writer::request(&mut written, received.method, received.uri_bytes());
    for (_, name, value) in received.message.all_headers() {
        if !name.eq_ignore_ascii_case(b"content-length")
            && !name.eq_ignore_ascii_case(b"content-type")
        {
            writer.raw(name, value);
        }
    }
    writer.body("application/sdp", received.message.body());
    // But for the double blanks that UCM writes.
    let expected = String::from_utf8_lossy(INVITE).replace(":  ", ": ");
    assert_eq!(String::from_utf8_lossy(&written), expected);
}

#[test]
fn a_broken_request_is_answered_from_what_is_left() {
    let mut index = HeaderIndex::new();
    let bytes = b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nTo: \"x\r\n\
                  CSeq: 1 INVITE\r\nCSeq: 2 INVITE\r\nbroken\r\n\r\n";
    let rejection = Message::receive(bytes, &mut index).expect_err("broken");
    let mut written = Vec::new();
    let from = source("192.0.2.1:5060");
    Writer::rejection(&mut written, &rejection, from, "t")
        .expect("an answer")
        .end();
    assert_eq!(
        String::from_utf8(written).expect("ASCII"),
        "SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1;received=192.0.2.1\r\n\
         To: \"x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    let mut index = HeaderIndex::new();
    let ack = b"ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n";
    let rejection = Message::receive(ack, &mut index).expect_err("broken");
    assert!(Writer::rejection(&mut Vec::new(), &rejection, from, "t").is_none());
    match rejection.message.map(|message| message.start_line()) {
        Some(StartLine::Request { method, .. }) => assert_eq!(method, Method::Ack),
        other => panic!("no request: {other:?}"),
    }
}

/// What is served is not answered by what we would refuse ourselves.
#[test]
fn line_that_would_be_too_long_in_its_answer_is_refused() {
    for room in [100, 600] {
        let text = "x".repeat(crate::limits::LINE_BYTES_MAX - room);
        for line in [
            format!("Via: SIP/2.0/UDP h;branch=z9hG4bK1;rport;x={text}"),
            format!("To: <sip:a@b>;x={text}"),
            format!("From: <sip:a@b>;tag={text}"),
            format!("Record-Route: <sip:a@b;x={text}>"),
        ] {
            let (name, _) = line.split_once(": ").expect("a header");
            let lines = [
                "Via: SIP/2.0/UDP h;branch=z9hG4bK1",
                "From: <sip:c@d>;tag=1",
                "To: <sip:a@b>",
            ];
            let others = lines.iter().filter(|other| !other.starts_with(name));
            let others: Vec<&str> = others.copied().collect();
            let others = others.join("\r\n");
            let bytes = format!(
                "INVITE sip:a@b SIP/2.0\r\n{line}\r\n{others}\r\nCall-ID: x\r\n\
                 CSeq: 1 INVITE\r\n\r\n"
            );
            let mut index = HeaderIndex::new();
            let from = source("192.0.2.1:5060");
            let mut written = Vec::new();
            match Message::receive(bytes.as_bytes(), &mut index) {
                Ok(Checked::Request(request)) => {
                    Writer::response(&mut written, Status::OK, &request, from, Some("t")).end();
                    let mut index = HeaderIndex::new();
                    let answer = Message::parse(&written, &mut index);
                    assert!(answer.is_ok(), "{name}: {answer:?}");
                    assert_eq!(room, 600);
                }
                Ok(Checked::Response(_)) => panic!("it is a request"),
                Err(rejection) => {
                    let error = (rejection.error, rejection.answer);
                    let too_long = (Malformed::LineTooLong, Some(Status::MESSAGE_TOO_LARGE));
                    assert_eq!(error, too_long, "{name}");
                    assert_eq!(room, 100);
                }
            }
        }
    }
}

#[test]
fn commas_do_not_become_lines_without_end() {
    let bytes = with(&format!("Via: SIP/2.0/UDP h{}", ",".repeat(5_000)));
    let mut index = HeaderIndex::new();
    let rejection = Message::receive(&bytes, &mut index).expect_err("too many Vias");
    let mut written = Vec::new();
    let from = source("192.0.2.1:5060");
    Writer::rejection(&mut written, &rejection, from, "t")
        .expect("a request is answered")
        .end();
    assert!(written.len() < bytes.len(), "{} bytes", written.len());
    let mut index = HeaderIndex::new();
    let answer = Message::parse(&written, &mut index).expect("it can be read");
    assert_eq!(
        answer.elements(HeaderName::Via).count(),
        crate::limits::VALUES_MAX
    );
}
