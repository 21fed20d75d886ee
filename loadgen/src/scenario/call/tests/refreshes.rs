//! Requests inside the dialog that no step waits for and that change nothing.

use super::lab::{Lab, lab_with, request, response};
use crate::scenario::settings::Settings;
use crate::scenario::statistics::Failure;

const DESCRIPTION: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n\
    t=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";

/// A caller in its pause, with a description of its own.
fn talking(change: impl FnOnce(&mut Settings)) -> Lab {
    let invite = request("INVITE", "").replace(
        "\nContent-Length: 0\n",
        &format!("\nContent-Type: application/sdp\nContent-Length: [len]\n\n{DESCRIPTION}"),
    );
    let scenario = [
        invite.as_str(),
        "<recv response=\"200\"/>",
        request("ACK", "").as_str(),
        "<pause milliseconds=\"1000\"/>",
        request("BYE", "").as_str(),
        "<recv response=\"200\"/>",
    ]
    .concat();
    let mut lab = lab_with(&scenario, change);
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer_with(&invite, DESCRIPTION);
    assert_eq!(lab.lines(), ["ACK sip:c@d SIP/2.0"]);
    lab
}

/// The same call seen from the peer: a request in its dialog.
fn asked(method: &str, cseq: u32, more: &str, description: &str) -> String {
    let length = description.len();
    format!(
        "{method} sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-r\
         {cseq}{method}\r\nFrom: <sip:c@d>;tag=77\r\nTo: <sip:a@b>;tag=1\r\n\
         Call-ID: 1-77@127.0.0.1\r\nCSeq: {cseq} {method}\r\n{more}\
         Content-Length: {length}\r\n\r\n{description}"
    )
}

fn hangs_up_well(mut lab: Lab) {
    lab.advance(1_000);
    let bye = lab.sent().pop().expect("a BYE");
    assert!(bye.contains("CSeq: 2 BYE"), "{bye}");
    lab.answer(&bye, "200 OK", "");
    assert!(lab.is_successful());
}

#[test]
fn options_in_the_dialog_are_answered_and_the_call_goes_on() {
    let mut lab = talking(|_| {});
    lab.receive(&asked("OPTIONS", 101, "", ""));
    let answer = lab.sent().pop().expect("an answer");
    assert!(
        answer.starts_with("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;")
            && answer.contains("\r\nCSeq: 101 OPTIONS\r\n")
            && answer.ends_with("\r\nContent-Length: 0\r\n\r\n"),
        "{answer}"
    );
    assert_eq!(lab.statistics().auto_answered, 1);
    hangs_up_well(lab);
}

#[test]
fn a_refresh_by_update_is_answered_with_the_session_it_asks_for() {
    let mut lab = talking(|_| {});
    lab.receive(&asked(
        "UPDATE",
        101,
        "Session-Expires: 1800;refresher=uac\r\n",
        "",
    ));
    let answer = lab.sent().pop().expect("an answer");
    assert!(
        answer.contains(
            "Contact: <sip:127.0.0.1:5060;transport=UDP>\r\n\
             Session-Expires: 1800;refresher=uac\r\nRequire: timer\r\nContent-Length: 0\r\n\r\n"
        ),
        "{answer}"
    );
    hangs_up_well(lab);
}

/// RFC 4028 §9: the answer says who refreshes also where the request left it open.
#[test]
fn who_refreshes_is_said_where_it_was_left_open() {
    for (asks, says) in [
        (
            "90",
            "Session-Expires: 90;refresher=uac\r\nRequire: timer\r\n",
        ),
        (
            "90;refresher=uas",
            "Session-Expires: 90;refresher=uas\r\nContent-",
        ),
    ] {
        let mut lab = talking(|_| {});
        let more = format!("Session-Expires: {asks}\r\n");
        lab.receive(&asked("UPDATE", 101, &more, ""));
        let answer = lab.sent().pop().expect("an answer");
        assert!(answer.contains(says), "{answer}");
    }
}

#[test]
fn a_refresh_by_invite_is_answered_with_what_was_said_before_and_its_ack_is_taken() {
    for offer in [DESCRIPTION, ""] {
        let mut lab = talking(|_| {});
        let invite = asked("INVITE", 101, "", offer);
        // The answer to the first is lost.
        for _ in 0..2 {
            lab.receive(&invite);
            let answer = lab.sent().pop().expect("an answer");
            assert!(
                answer.starts_with("SIP/2.0 200 OK")
                    && answer.contains("\r\nContent-Type: application/sdp\r\n")
                    && answer.ends_with(&format!("\r\n\r\n{DESCRIPTION}")),
                "{answer}"
            );
        }
        lab.receive(&asked("ACK", 101, "", ""));
        assert_eq!(lab.lines(), Vec::<String>::new());
        hangs_up_well(lab);
    }
}

#[test]
fn the_called_side_is_refreshed_as_well() {
    let ok = response("200 OK", "").replace(
        "\nContent-Length: 0\n",
        &format!("\nContent-Type: application/sdp\nContent-Length: [len]\n\n{DESCRIPTION}"),
    );
    let scenario = [
        "<recv request=\"INVITE\"/>",
        ok.as_str(),
        "<recv request=\"ACK\" optional=\"true\"/><recv request=\"BYE\"/>",
        response("200 OK", "").as_str(),
    ]
    .concat();
    let mut lab = lab_with(&scenario, |_| {});
    lab.ask("INVITE", 1, "");
    lab.ask("ACK", 1, "");
    lab.sent();
    lab.receive(&asked("INVITE", 2, "", DESCRIPTION));
    let answer = lab.sent().pop().expect("an answer");
    assert!(answer.ends_with(DESCRIPTION), "{answer}");
    lab.receive(&asked("ACK", 2, "", ""));
    assert_eq!(lab.statistics().steps[2].messages, 1);
    lab.ask("BYE", 3, "");
    assert!(lab.is_successful());
}

/// What changes the session, crosses an INVITE of ours or comes outside the dialog is for the
/// scenario; so is everything where it was switched off.
#[test]
fn what_is_no_refresh_is_unexpected() {
    let held = format!("{DESCRIPTION}a=sendonly\r\n");
    let more = format!("{DESCRIPTION}m=video 6002 RTP/AVP 99\r\n");
    for request in [
        asked("INVITE", 101, "", &held),
        asked("UPDATE", 101, "", &more),
        asked("OPTIONS", 101, "", "").replace(";tag=1\r", "\r"),
        asked("INFO", 101, "", ""),
        asked("ACK", 101, "", ""),
    ] {
        let mut lab = talking(|_| {});
        lab.receive(&request);
        assert!(lab.failed_by(Failure::Unexpected), "{request}");
    }
    let mut lab = talking(|settings| settings.behaviours.in_dialog = false);
    lab.receive(&asked("OPTIONS", 101, "", ""));
    assert!(lab.failed_by(Failure::Unexpected));
    let scenario = request("INVITE", "") + "<recv response=\"200\"/>";
    let mut crossing = lab_with(&scenario, |_| {});
    crossing.receive(&asked("INVITE", 101, "", DESCRIPTION));
    assert!(crossing.failed_by(Failure::Unexpected));
}
