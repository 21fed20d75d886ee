//! What is sent again, by us and by the peer, and how often.

use offhook_shards::Transport;

use super::lab::{lab, lab_with, request, response};
use crate::scenario::statistics::Failure;

/// The times at which anything was sent, in milliseconds.
fn sendings(lab: &mut super::lab::Lab, until: u64) -> Vec<u128> {
    let mut times = Vec::new();
    for _ in 0..until {
        for _ in lab.sent() {
            times.push(lab.elapsed());
        }
        lab.advance(1);
    }
    times
}

#[test]
fn an_invite_is_sent_again_at_doubled_intervals_and_given_up() {
    let scenario = format!(
        "{}<recv response=\"200\"/>",
        request("INVITE", "retrans=\"500\"")
    );
    let mut lab = lab(&scenario);
    assert_eq!(
        sendings(&mut lab, 40_000),
        [0, 500, 1_500, 3_500, 7_500, 15_500]
    );
    assert!(lab.failed_by(Failure::ResendsExhausted));
    assert_eq!(lab.statistics().resent, 5);
}

#[test]
fn another_request_is_sent_again_at_most_every_four_seconds() {
    let scenario = format!(
        "{}<recv response=\"200\"/>",
        request("OPTIONS", "retrans=\"500\"")
    );
    let mut lab = lab(&scenario);
    let expected = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500];
    assert_eq!(sendings(&mut lab, 40_000), expected);
    assert!(lab.failed_by(Failure::ResendsExhausted));
}

#[test]
fn provisional_responses_end_the_resends_of_invite_and_slow_others_down() {
    let both = "<recv response=\"100\" optional=\"true\"/><recv response=\"200\"/>";
    let mut bench = lab(&(request("INVITE", "retrans=\"500\"") + both));
    let invite = bench.sent().pop().expect("an INVITE");
    bench.answer(&invite, "100 Trying", "");
    assert_eq!(sendings(&mut bench, 40_000), Vec::<u128>::new());
    let mut bench = lab(&(request("OPTIONS", "retrans=\"500\"") + both));
    let options = bench.sent().pop().expect("an OPTIONS");
    bench.answer(&options, "100 Trying", "");
    assert_eq!(sendings(&mut bench, 9_000), [4_000, 8_000]);
}

#[test]
fn nothing_is_sent_again_without_the_attribute_over_tcp_or_when_switched_off() {
    let plain = format!("{}<recv response=\"200\"/>", request("INVITE", ""));
    assert_eq!(sendings(&mut lab(&plain), 9_000), [0]);
    let marked = format!(
        "{}<recv response=\"200\"/>",
        request("INVITE", "retrans=\"500\"")
    );
    let mut stream = lab_with(&marked, |settings| settings.transport = Transport::Tcp);
    assert_eq!(sendings(&mut stream, 9_000), [0]);
    let mut off = lab_with(&marked, |settings| settings.resends = false);
    assert_eq!(sendings(&mut off, 9_000), [0]);
    let mut few = lab_with(&marked, |settings| settings.invite_resends_max = 1);
    assert_eq!(sendings(&mut few, 9_000), [0, 500]);
}

#[test]
fn exhausted_resends_may_go_on_elsewhere() {
    let scenario = format!(
        "{}<recv response=\"200\" ontimeout=\"late\"/><label id=\"late\"/>",
        request("INVITE", "retrans=\"100\"")
    );
    let mut lab = lab(&scenario);
    lab.advance(10_000);
    assert!(lab.is_successful());
}

#[test]
fn a_send_waits_until_the_one_before_is_answered() {
    let scenario = [
        request("INFO", "retrans=\"500\"").as_str(),
        request("MESSAGE", "").as_str(),
        "<recv response=\"200\" optional=\"true\"/>",
    ]
    .concat();
    let mut lab = lab(&scenario);
    assert_eq!(lab.lines(), ["INFO sip:c@d SIP/2.0"]);
    lab.advance(600);
    assert_eq!(lab.lines(), ["INFO sip:c@d SIP/2.0"]);
}

#[test]
fn a_repeated_request_gets_the_message_that_it_triggered() {
    let scenario = format!(
        "<recv request=\"INVITE\"/>{}<pause milliseconds=\"300\"/>{}<recv request=\"ACK\"/>",
        response("180 Ringing", ""),
        response("200 OK", "")
    );
    let mut lab = lab(&scenario);
    lab.ask("INVITE", 1, "");
    lab.ask("INVITE", 1, "");
    assert_eq!(lab.lines(), ["SIP/2.0 180 Ringing", "SIP/2.0 180 Ringing"]);
    // Another header is another message, and that is unexpected.
    lab.ask("INVITE", 1, "X: y\r\n");
    assert!(lab.failed_by(Failure::Unexpected));
}

#[test]
fn a_late_ok_is_acknowledged_again() {
    let scenario = [
        request("INVITE", "").as_str(),
        "<recv response=\"200\"/>",
        request("ACK", "").as_str(),
        "<pause milliseconds=\"100\"/>",
        request("INFO", "").as_str(),
        "<recv response=\"200\"/>",
    ]
    .concat();
    let mut lab = lab(&scenario);
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "200 OK", "");
    lab.sent();
    // Not the same bytes, so it is no plain repetition.
    lab.answer(&invite, "200 OK", "X: y\r\n");
    assert_eq!(lab.lines(), ["ACK sip:c@d SIP/2.0"]);
    assert_eq!((lab.statistics().failed(), lab.statistics().resent), (0, 1));
}

#[test]
fn lost_messages_are_not_sent_and_not_seen() {
    let scenario = format!(
        "{}<recv response=\"200\" lost=\"100\" optional=\"true\"/><recv response=\"200\"/>",
        request("INFO", "lost=\"100\"")
    );
    let mut lab = lab(&scenario);
    assert_eq!(lab.lines(), Vec::<String>::new());
    let counts = lab.statistics().steps[0];
    assert_eq!((counts.messages, counts.lost), (1, 1));
}
