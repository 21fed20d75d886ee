//! What may come in one datagram.

use super::message::{Draft, fresh};
use super::scene::{Caller, PATIENCE, SILENCE, Scene};
use super::{Answer, Row, hold};

const MALFORMED: &[(&str, u64)] = &[("messages_refused{malformed}", 1)];
const TOO_LARGE: &[(&str, u64)] = &[("messages_refused{too_large}", 1)];

#[test]
fn datagrams() {
    let tables = [broken(), long(), misplaced(), out_of_place(), unserved()];
    hold(
        Scene::open(2),
        &tables.into_iter().flatten().collect::<Vec<_>>(),
    );
}

/// Says it as the PBX's own address might, and acknowledges a failure.
fn said(scene: &Scene, draft: &Draft) -> Answer {
    answer_to(&Caller::new(scene.udp), draft)
}

fn answer_to(caller: &Caller, draft: &Draft) -> Answer {
    caller.send(draft);
    let Some(heard) = caller.hear_final_within(PATIENCE, "") else {
        return Answer::Silence;
    };
    let status = heard.status().expect("it is a response");
    // The ACK of a broken INVITE would be as broken.
    if heard.value("CSeq").ends_with("INVITE") && ![400, 505, 513].contains(&status) {
        caller.send(&draft.acknowledgement(&heard));
    }
    Answer::Status(status)
}

/// Says bytes that deserve no answer.
fn thrown(scene: &Scene, bytes: &[u8]) -> Answer {
    let caller = Caller::new(scene.udp);
    caller.send_bytes(bytes);
    match caller.hear_final_within(SILENCE, "") {
        Some(heard) => Answer::Status(heard.status().expect("it is a response")),
        None => Answer::Silence,
    }
}

/// Says something from an address that is no trunk's.
fn from_elsewhere(scene: &Scene, draft: &Draft) -> Answer {
    let stranger = Caller::from("127.0.0.77", scene.udp);
    stranger.send(draft);
    match stranger.hear_final_within(SILENCE, "") {
        Some(heard) => Answer::Status(heard.status().expect("it is a response")),
        None => Answer::Silence,
    }
}

fn options() -> Draft {
    Draft::new("OPTIONS", "7000")
}

fn broken() -> Vec<Row> {
    let refused = |name, act| Row {
        name,
        act,
        answer: Answer::Status(400),
        counts: MALFORMED,
    };
    vec![
        refused("an INVITE without Contact", |scene| {
            said(scene, &Draft::invite("7000").without("Contact"))
        }),
        refused("an INVITE whose CSeq names another method", |scene| {
            said(scene, &Draft::invite("7000").set("CSeq", "1 OPTIONS"))
        }),
        refused("an INVITE whose CSeq is too large a number", |scene| {
            said(
                scene,
                &Draft::invite("7000").set("CSeq", "2147483648 INVITE"),
            )
        }),
        refused("an INVITE whose CSeq is no number", |scene| {
            said(scene, &Draft::invite("7000").set("CSeq", "one INVITE"))
        }),
        refused("a body shorter than Content-Length", |scene| {
            said(scene, &Draft::invite("7000").with("Content-Length", "9999"))
        }),
        refused("a negative Content-Length", |scene| {
            said(scene, &options().with("Content-Length", "-1"))
        }),
        refused("two Content-Lengths", |scene| {
            let two = options().with("Content-Length", "0");
            said(scene, &two.with("Content-Length", "5"))
        }),
        refused("a NUL in a header", |scene| {
            said(scene, &options().with("Subject", "a\0b"))
        }),
        refused("a lone line feed in a header", |scene| {
            said(scene, &options().with("Subject", "a\nVia: b"))
        }),
        refused("a header line without a colon", |scene| {
            said(scene, &options().with("Y", "y\r\nno colon here"))
        }),
        refused("a Via whose port is no port", |scene| {
            let via = format!("SIP/2.0/UDP 127.0.0.1:99999;branch={}", fresh("z9hG4bK"));
            said(scene, &options().set("Via", &via))
        }),
        refused("a Request-URI that is none", |scene| {
            said(scene, &options().start("OPTIONS sip:%zz@ SIP/2.0"))
        }),
        refused("no Call-ID", |scene| {
            let caller = Caller::new(scene.udp);
            answer_to(&caller, &options().without("Call-ID"))
        }),
        Row {
            name: "another version of SIP",
            act: |scene| {
                said(
                    scene,
                    &options().start("OPTIONS sip:7000@127.0.0.1 SIP/3.0"),
                )
            },
            answer: Answer::Status(505),
            counts: MALFORMED,
        },
    ]
}

fn long() -> Vec<Row> {
    vec![
        Row {
            name: "a header of nine thousand bytes",
            act: |scene| said(scene, &options().with("Subject", &"x".repeat(9_000))),
            answer: Answer::Status(513),
            counts: TOO_LARGE,
        },
        Row {
            name: "three hundred headers",
            act: |scene| {
                let bomb = (0..300).fold(options(), |draft, _| draft.with("Y", "y"));
                said(scene, &bomb)
            },
            answer: Answer::Status(513),
            counts: TOO_LARGE,
        },
        Row {
            name: "an INVITE with huge headers in a datagram of 64 KB",
            act: |scene| {
                let value = "x".repeat(8_000);
                let huge = (0..8).fold(Draft::invite("9"), |draft, _| draft.with("Y", &value));
                said(scene, &huge)
            },
            // Each line is within the limit: the number is what is refused.
            answer: Answer::Status(404),
            counts: &[("calls_refused{unknown_number}", 1)],
        },
        Row {
            name: "64 KB without a line end",
            act: |scene| thrown(scene, &vec![b'x'; 65_507]),
            answer: Answer::Silence,
            counts: MALFORMED,
        },
        Row {
            name: "a hundred Vias",
            act: |scene| {
                let via = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx";
                said(
                    scene,
                    &(0..100).fold(options(), |draft, _| draft.with("Via", via)),
                )
            },
            answer: Answer::Status(400),
            counts: MALFORMED,
        },
        Row {
            name: "a body longer than Content-Length",
            act: |scene| {
                let two = options().body(b"BYE sip:7000@127.0.0.1 SIP/2.0\r\n\r\n");
                said(scene, &two.with("Content-Length", "0"))
            },
            answer: Answer::Status(200),
            counts: &[],
        },
    ]
}

fn misplaced() -> Vec<Row> {
    let silent = |name, act, counts| Row {
        name,
        act,
        answer: Answer::Silence,
        counts,
    };
    vec![
        silent(
            "lone line ends, as keep-alives",
            |scene| thrown(scene, b"\r\n\r\n"),
            &[],
        ),
        silent("an empty datagram", |scene| thrown(scene, b""), &[]),
        silent(
            "nothing but NULs",
            |scene| thrown(scene, &[0; 100]),
            MALFORMED,
        ),
        silent(
            "HTTP",
            |scene| thrown(scene, b"GET / HTTP/1.1\r\nHost: offhook\r\n\r\n"),
            MALFORMED,
        ),
        silent(
            "a response to nobody's request",
            |scene| {
                let answer = options().start("SIP/2.0 200 OK");
                thrown(
                    scene,
                    &answer.bytes(offhook_shards::Transport::Udp, "127.0.0.1:9"),
                )
            },
            &[("messages_refused{stray_response}", 1)],
        ),
        silent(
            "a broken response",
            |scene| {
                let answer = options().start("SIP/2.0 99 OK");
                thrown(
                    scene,
                    &answer.bytes(offhook_shards::Transport::Udp, "127.0.0.1:9"),
                )
            },
            MALFORMED,
        ),
        silent(
            "a broken ACK",
            |scene| {
                let broken = Draft::new("ACK", "7000").set("CSeq", "1 BYE");
                thrown(
                    scene,
                    &broken.bytes(offhook_shards::Transport::Udp, "127.0.0.1:9"),
                )
            },
            MALFORMED,
        ),
        silent(
            "a Via of no port: RFC 3261 answers to 5060",
            |scene| {
                thrown(
                    scene,
                    &options().bytes(offhook_shards::Transport::Udp, "127.0.0.1"),
                )
            },
            &[],
        ),
    ]
}

fn out_of_place() -> Vec<Row> {
    vec![
        Row {
            name: "a Via of no port with rport",
            act: |scene| {
                let via = format!("SIP/2.0/UDP 127.0.0.1;rport;branch={}", fresh("z9hG4bK"));
                said(scene, &options().set("Via", &via))
            },
            answer: Answer::Status(200),
            counts: &[],
        },
        Row {
            name: "an INVITE within a call whose CSeq goes back",
            act: cseq_goes_back,
            answer: Answer::Status(500),
            counts: &[("messages_refused{out_of_order}", 1)],
        },
        Row {
            name: "a BYE for no call",
            act: |scene| {
                said(
                    scene,
                    &Draft::new("BYE", "7000").set("To", "<sip:a@b>;tag=c"),
                )
            },
            answer: Answer::Status(481),
            counts: &[("messages_refused{unknown_dialog}", 1)],
        },
        Row {
            name: "a CANCEL for nothing",
            act: |scene| said(scene, &Draft::new("CANCEL", "7000")),
            answer: Answer::Status(481),
            counts: &[("messages_refused{unknown_dialog}", 1)],
        },
    ]
}

fn cseq_goes_back(scene: &Scene) -> Answer {
    let caller = Caller::new(scene.udp);
    let invite = Draft::invite("7000").set("CSeq", "5 INVITE");
    caller.send(&invite);
    let answer = caller.hear_final("INVITE").expect("the call is answered");
    assert_eq!(answer.status(), Some(200));
    caller.send(&invite.within(&answer, "ACK", 5));
    let again = invite.within(&answer, "INVITE", 3);
    caller.send(&again);
    let refusal = caller.hear_final("3 INVITE").expect("it is refused");
    caller.send(&again.acknowledgement(&refusal));
    // The call itself goes on, and ends as it should.
    caller.send(&invite.within(&answer, "BYE", 6));
    let bye = caller.hear_final("BYE").expect("the BYE is answered");
    assert_eq!(bye.status(), Some(200));
    Answer::Status(refusal.status().expect("it is a response"))
}

fn unserved() -> Vec<Row> {
    vec![
        Row {
            name: "a stranger's INVITE",
            act: |scene| from_elsewhere(scene, &Draft::invite("7000")),
            answer: Answer::Silence,
            counts: &[("calls_refused{unknown_source}", 1)],
        },
        Row {
            name: "a stranger's OPTIONS",
            act: |scene| from_elsewhere(scene, &options()),
            answer: Answer::Silence,
            counts: &[("messages_refused{unknown_source}", 1)],
        },
        Row {
            name: "a stranger's request without a Call-ID",
            act: |scene| from_elsewhere(scene, &options().without("Call-ID")),
            answer: Answer::Silence,
            counts: &[("messages_refused{malformed}", 1)],
        },
        Row {
            name: "an INVITE to a number that is not served",
            act: |scene| said(scene, &Draft::invite("12345")),
            answer: Answer::Status(404),
            counts: &[("calls_refused{unknown_number}", 1)],
        },
        Row {
            name: "an unknown method",
            act: |scene| said(scene, &Draft::new("NEWMETHOD", "7000")),
            answer: Answer::Status(501),
            counts: &[("messages_refused{method}", 1)],
        },
        Row {
            name: "an extension that is required and unknown",
            act: |scene| said(scene, &Draft::invite("7000").with("Require", "x-none")),
            answer: Answer::Status(420),
            counts: &[("messages_refused{extension}", 1)],
        },
        Row {
            name: "an INVITE that has no hop left",
            act: |scene| said(scene, &Draft::invite("7000").set("Max-Forwards", "0")),
            answer: Answer::Status(483),
            counts: &[("messages_refused{loop}", 1)],
        },
        Row {
            name: "an INVITE with a body of a foreign kind",
            act: |scene| {
                said(
                    scene,
                    &Draft::invite("7000").set("Content-Type", "text/html"),
                )
            },
            answer: Answer::Status(415),
            counts: &[("messages_refused{unsupported}", 1)],
        },
    ]
}
