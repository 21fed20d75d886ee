//! Messages that are wrong, of each class of docs/threats.md that no other test names. A peer of
//! the trunk sends them; each is answered as the row says or not at all, nothing panics, and a
//! good call afterwards is served as ever.

use std::time::Duration;

use crate::sip::{Frame, frame};

use super::{Lab, PBX, request, status, value};

const WHO: &str = "From: <sip:100@192.0.2.20>;tag=a\r\nTo: <sip:7000@192.0.2.10>\r\n\
                   Contact: <sip:100@192.0.2.20>\r\n";

fn good(method: &str) -> String {
    request(method, PBX, "c1", WHO)
}

/// The final responses within a minute, each once; and then a good call must be queued.
fn answers(bytes: &[u8]) -> Vec<u16> {
    let mut lab = Lab::new("", "");
    let mut sent = lab.send(PBX, bytes);
    sent.extend(lab.wait(Duration::from_mins(1)));
    let to_peer = sent.iter().all(|(to, _)| to.to_string() == PBX);
    assert!(to_peer, "somebody else hears of it: {sent:?}");
    let mut statuses: Vec<u16> = sent.iter().filter_map(|(_, text)| status(text)).collect();
    statuses.retain(|status| *status >= 200);
    statuses.dedup();
    let after = lab.send(PBX, request("INVITE", PBX, "after", WHO).as_bytes());
    let is_served = after.iter().any(|(_, text)| status(text) == Some(182));
    assert!(is_served, "{after:?}");
    statuses
}

fn with_line(method: &str, line: &str) -> String {
    good(method).replace("Max-Forwards", &format!("{line}\r\nMax-Forwards"))
}

#[test]
fn f1_a_body_that_is_announced_and_not_there_gets_400() {
    let short = good("OPTIONS").replace("Content-Length: 0", "Content-Length: 9999");
    assert_eq!(answers(short.as_bytes()), [400]);
    let response = format!("SIP/2.0 200 OK\r\n{}", short.split_once("\r\n").unwrap().1);
    assert!(answers(response.as_bytes()).is_empty());
}

#[test]
fn f2_what_is_behind_the_body_is_no_second_message() {
    let two = good("OPTIONS") + &request("BYE", PBX, "c2", WHO);
    assert_eq!(answers(two.as_bytes()), [200]);
}

#[test]
fn f3_f4_a_length_that_is_no_number_of_bytes_gets_400_and_ends_a_stream() {
    let lengths = [
        "-999",
        "+5",
        "0x10",
        "",
        "4294967297",
        "18446744073709551617",
        "1 2",
    ];
    for length in lengths {
        let message = good("OPTIONS").replace("Length: 0", &format!("Length: {length}"));
        assert_eq!(answers(message.as_bytes()), [400], "{length:?}");
        let framed = frame(message.as_bytes());
        assert!(
            matches!(framed, Frame::Malformed(_)),
            "{length:?}: {framed:?}"
        );
    }
}

#[test]
fn f5_two_lengths_get_400_and_end_a_stream() {
    for second in ["l: 7", "Content-Length: 7", "content-length : 0"] {
        let message = with_line("OPTIONS", second);
        assert_eq!(answers(message.as_bytes()), [400], "{second}");
        assert!(matches!(frame(message.as_bytes()), Frame::Malformed(_)));
    }
}

#[test]
fn f6_without_a_length_a_stream_has_no_messages() {
    let message = good("OPTIONS").replace("Content-Length: 0\r\n", "");
    assert!(matches!(frame(message.as_bytes()), Frame::Malformed(_)));
    assert_eq!(
        answers(message.as_bytes()),
        [200],
        "a datagram ends by itself"
    );
}

#[test]
fn f9_a_nul_in_the_head_gets_400() {
    for place in ["Call-ID: c1", "tag=a", "sip:7000"] {
        let message = good("OPTIONS").replace(place, &format!("{place}\0"));
        assert_eq!(answers(message.as_bytes()), [400], "{place}");
    }
}

#[test]
fn f9_lines_that_end_with_one_character_are_none() {
    for end in ["\n", "\r"] {
        let message = good("OPTIONS").replace("\r\n", end);
        assert!(answers(message.as_bytes()).is_empty(), "{end:?}");
    }
    // Within a head that is otherwise whole they hide no header of their own.
    let hidden = with_line("OPTIONS", "Subject: a\nCSeq: 9 OPTIONS");
    let statuses = answers(hidden.as_bytes());
    assert!([&[200][..], &[400]].contains(&&*statuses), "{statuses:?}");
}

#[test]
fn f10_a_folded_header_is_one_line() {
    let message = good("OPTIONS")
        .replace(";branch", "\r\n ;branch")
        .replace("CSeq: 1", "CSeq:\r\n\t 1");
    assert_eq!(answers(message.as_bytes()), [200]);
}

#[test]
fn f12_lines_headers_and_vias_are_bounded() {
    let long = with_line("OPTIONS", &format!("Subject: {}", "x".repeat(9_000)));
    assert_eq!(answers(long.as_bytes()), [513]);
    let lines = vec!["Y: y\r\n"; 300].concat();
    let many = good("OPTIONS").replace("Content-Length", &format!("{lines}Content-Length"));
    assert_eq!(answers(many.as_bytes()), [513]);
    let line = good("OPTIONS").replace("sip:7000@", &format!("sip:{}@", "7".repeat(20_000)));
    assert_eq!(answers(line.as_bytes()), [513]);
    let via = "Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx";
    let vias = good("OPTIONS").replace(
        "\r\nMax",
        &format!("\r\n{}\r\nMax", [via; 100].join("\r\n")),
    );
    assert_eq!(answers(vias.as_bytes()), [400]);
}

#[test]
fn f13_a_header_that_is_one_is_not_taken_twice() {
    for line in [
        "Call-ID: c9",
        "i: c9",
        "From: <sip:9@b>;tag=9",
        "To: <sip:9@b>",
        "CSeq: 9 OPTIONS",
    ] {
        assert_eq!(
            answers(with_line("OPTIONS", line).as_bytes()),
            [400],
            "{line}"
        );
    }
    let twice = good("OPTIONS").replace(
        "Contact: <sip:100@192.0.2.20>",
        "Contact: <sip:100@192.0.2.20>;+sip.instance=\"a\";+sip.instance=\"a\"",
    );
    assert_eq!(answers(twice.as_bytes()), [200], "UCM repeats parameters");
}

#[test]
fn f15_f16_a_cseq_out_of_range_or_of_another_method_gets_400() {
    for cseq in [
        "36893488147419103232 OPTIONS",
        "2147483648 OPTIONS",
        "-1 OPTIONS",
        "1 INVITE",
        "1",
    ] {
        let message = good("OPTIONS").replace("1 OPTIONS", cseq);
        assert_eq!(answers(message.as_bytes()), [400], "{cseq}");
    }
}

#[test]
fn f17_a_response_without_a_status_is_dropped() {
    for status in ["4294967301", "42", "099", "700", "-200", "2x0"] {
        let start = format!("SIP/2.0 {status} better");
        let message =
            good("OPTIONS").replacen("OPTIONS sip:7000@192.0.2.10:5060 SIP/2.0", &start, 1);
        assert!(message.starts_with(&start));
        assert!(answers(message.as_bytes()).is_empty(), "{status}");
    }
}

#[test]
fn f18_requests_without_a_branch_are_told_apart() {
    let mut lab = Lab::new("", "");
    for (call, branch) in [
        ("c1", "=z9hG4bK"),
        ("c2", "=z9hG4bK"),
        ("c3", ""),
        ("c4", ""),
    ] {
        let message = request("OPTIONS", PBX, call, WHO);
        let message = message.replace(&format!("=z9hG4bK{call}OPTIONS"), branch);
        let sent = lab.send(PBX, message.as_bytes());
        assert_eq!(sent.len(), 1, "{call}");
        assert_eq!(value(&sent[0].1, "Call-ID"), Some(call));
    }
    let huge = good("OPTIONS").replace("=z9hG4bK", &format!("=z9hG4bK{}", "b".repeat(60_000)));
    assert_eq!(answers(huge.as_bytes()), [513]);
}

#[test]
fn f19_what_has_no_hop_left_gets_483_but_for_a_ping() {
    let spent = |method| good(method).replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(answers(spent("INVITE").as_bytes()), [483]);
    assert_eq!(
        answers(spent("OPTIONS").as_bytes()),
        [200],
        "UCM pings with 0"
    );
}

#[test]
fn f20_answers_go_to_the_source_whatever_the_via_names() {
    for host in ["255.255.255.255:5060", "224.0.0.1:5060", "192.0.2.10:5060"] {
        let message = good("OPTIONS").replace(&format!("UDP {PBX}"), &format!("UDP {host}"));
        // `answers` holds that nobody else hears anything.
        assert_eq!(answers(message.as_bytes()).len(), 1, "{host}");
    }
}

#[test]
fn f21_f22_what_is_not_served_is_refused_by_its_rule() {
    let other = |from: &str, to: &str| good("INVITE").replacen(from, to, 1);
    for (message, status) in [
        (with_line("INVITE", "Require: nothing-supports"), 420),
        (good("NEWMETHOD"), 501),
        (good("MESSAGE"), 405),
        (
            other("INVITE sip:7000@192.0.2.10:5060", "INVITE nobody:knows"),
            416,
        ),
        (other("SIP/2.0\r\n", "SIP/7.0\r\n"), 505),
    ] {
        assert_eq!(answers(message.as_bytes()), [status], "{message}");
    }
}

#[test]
fn f23_parameters_may_hold_what_separates_them() {
    let message = good("OPTIONS")
        .replace(
            "sip:7000@192.0.2.10:5060",
            "sip:7000;par=u%40example.net@192.0.2.10:5060;x;y=%3b;z",
        )
        .replace(
            "<sip:100@192.0.2.20>;tag=a",
            "\"a;b,c>\\\"d\" <sip:100@192.0.2.20>;q=\";,>\";tag=a",
        );
    assert_eq!(answers(message.as_bytes()), [200]);
}

#[test]
fn f25_a_hundred_of_a_kind_are_refused() {
    for line in [
        "Route: <sip:192.0.2.99;lr>",
        "Contact: <sip:1@192.0.2.99>",
        "Record-Route: <sip:a;lr>",
    ] {
        let message = with_line("INVITE", &[line; 100].join("\r\n"));
        assert_eq!(answers(message.as_bytes()), [400], "{line}");
    }
}

fn with_body(method: &str, content_type: &str, body: &str) -> String {
    let length = format!(
        "Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    good(method).replace("Content-Length: 0\r\n\r\n", &length)
}

/// Whether an INVITE is let in whatever its body is: descriptions are the phones' affair.
fn is_queued(message: &str) -> bool {
    let mut lab = Lab::new("", "");
    let sent = lab.send(PBX, message.as_bytes());
    sent.iter().any(|(_, text)| status(text) == Some(182))
}

#[test]
fn b1_b2_a_body_that_is_no_description_passes_unread() {
    let bomb = format!(
        "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\n{}",
        "m=audio 1/9 RTP/AVP 65535\r\n".repeat(1_500)
    );
    let long = format!("v=0\r\nm=audio 1 RTP/AVP {}\r\n", "9 ".repeat(15_000));
    for (content_type, body) in [
        ("multipart/mixed", "--x\r\n\r\nv=0\r\n"),
        (
            &format!("multipart/mixed;boundary=\"{}\"", "-".repeat(70)),
            "--x",
        ),
        (
            "multipart/mixed;boundary=x",
            &"--x\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n".repeat(800),
        ),
        (
            "application/sdp",
            "a=\r\na=rtpmap:65535\r\nm=port/65535\r\n",
        ),
        ("application/sdp", &bomb),
        ("application/sdp", &long),
        ("application/sdp", "\u{0}\u{0}\u{0}"),
    ] {
        assert!(
            is_queued(&with_body("INVITE", content_type, body)),
            "{content_type}"
        );
    }
}

#[test]
fn b11_a_compressed_body_gets_415() {
    let message = with_body("INVITE", "application/sdp", "\u{1f}\u{8b}");
    let message = message.replace("Content-Type", "Content-Encoding: gzip\r\nContent-Type");
    assert_eq!(answers(message.as_bytes()), [415]);
}

#[test]
fn b12_a_body_where_none_belongs_is_ignored() {
    let body = "x".repeat(60_000);
    for (method, status) in [("BYE", &[481][..]), ("CANCEL", &[481]), ("ACK", &[])] {
        assert_eq!(
            answers(with_body(method, "text/plain", &body).as_bytes()),
            status,
            "{method}"
        );
    }
}

#[test]
fn r7_a_time_to_ring_that_is_none_is_passed_over() {
    for expires in ["-1", "1h", "99999999999999999999", "4294967295"] {
        let message = with_line("INVITE", &format!("Expires: {expires}"));
        assert!(
            answers(message.as_bytes()).is_empty(),
            "{expires}: it waits"
        );
    }
    // One that is over before it begins is no call.
    let message = with_line("INVITE", "Expires: 0");
    assert_eq!(answers(message.as_bytes()), [487]);
}

#[test]
fn a7_r6_r7_nobody_subscribes_to_us_or_registers_here() {
    for method in ["SUBSCRIBE", "REGISTER", "PUBLISH", "MESSAGE"] {
        for expires in ["-1", "0", "4294967296", "3600"] {
            let message = with_line(method, &format!("Event: presence\r\nExpires: {expires}"));
            assert_eq!(answers(message.as_bytes()), [405], "{method} {expires}");
        }
    }
}
