//! How a call ends at the peer that is given up, whoever spoke last.

use super::lab::{Lab, lab, request, response};

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let found = message.lines().find(|line| line.starts_with(name));
    found.unwrap_or_else(|| panic!("no {name} in {message}"))
}

/// A caller whose call is up, and who then waits for `more`.
fn talking(more: &str) -> Lab {
    let scenario = [
        request("INVITE", "").as_str(),
        "<recv response=\"200\"/>",
        request("ACK", "").as_str(),
        more,
        "<pause milliseconds=\"1000\"/>",
    ]
    .concat();
    let mut lab = lab(&scenario);
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "200 OK", "");
    assert_eq!(lab.lines()[0], "ACK sip:c@d SIP/2.0");
    lab
}

fn is_ours(bye: &str, number: u32) {
    assert!(bye.starts_with("BYE "), "{bye}");
    assert_eq!(header(bye, "From:"), "From: <sip:a@b>;tag=1");
    assert_eq!(header(bye, "To:"), "To: <sip:c@d>;tag=77");
    assert_eq!(header(bye, "CSeq:"), format!("CSeq: {number} BYE"));
    assert!(header(bye, "Via:").contains("127.0.0.1:5060"), "{bye}");
}

/// The peer's request in the dialog.
fn asks(lab: &mut Lab, method: &str, number: u32) {
    lab.receive(&format!(
        "{method} sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-\
         {number}\r\nf: <sip:c@d>;tag=77\r\nTo: <sip:a@b>;tag=1\r\nCall-ID: 1-77@127.0.0.1\r\n\
         CSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
    ));
}

#[test]
fn an_unexpected_request_is_followed_by_a_bye_from_us() {
    let mut lab = talking("");
    asks(&mut lab, "INFO", 700);
    is_ours(&lab.sent().pop().expect("a BYE"), 2);
}

#[test]
fn a_call_whose_peer_has_asked_last_is_hung_up_from_our_side() {
    let mut lab = talking(&format!(
        "<recv request=\"INFO\"/>{}<recv request=\"INFO\" timeout=\"500\"/>",
        response("200 OK", "")
    ));
    asks(&mut lab, "INFO", 7);
    lab.sent();
    lab.advance(500);
    // A scenario's numbers go on behind those of the peer's requests, as SIPp has it.
    is_ours(&lab.sent().pop().expect("a BYE"), 8);
}

#[test]
fn a_bye_comes_behind_every_request_of_ours() {
    let mut lab = talking(&request("INFO", ""));
    asks(&mut lab, "NOTIFY", 1);
    is_ours(&lab.sent().pop().expect("a BYE"), 3);
}

#[test]
fn a_cancel_goes_with_the_invite_also_where_the_peer_has_asked_last() {
    let scenario = [
        request("INVITE", "").as_str(),
        "<recv response=\"183\"/><recv request=\"UPDATE\"/>",
        response("200 OK", "").as_str(),
        "<recv response=\"200\" timeout=\"500\"/>",
    ]
    .concat();
    let mut lab = lab(&scenario);
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "183 Session Progress", "");
    asks(&mut lab, "UPDATE", 1);
    lab.sent();
    lab.advance(500);
    let cancel = lab.sent().pop().expect("a CANCEL");
    assert!(cancel.starts_with("CANCEL sip:c@d SIP/2.0"), "{cancel}");
    for name in ["Via:", "From:"] {
        assert_eq!(header(&cancel, name), header(&invite, name));
    }
}
