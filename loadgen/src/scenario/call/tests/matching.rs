//! Which step a message belongs to, and what happens to one that belongs to none.

use super::lab::{lab, lab_with, request, response};
use crate::scenario::statistics::Failure;

fn uac() -> String {
    [
        request("INVITE", "retrans=\"500\"").as_str(),
        "<recv response=\"100\" optional=\"true\"/><recv response=\"180\" optional=\"true\"/>",
        "<recv response=\"200\" rtd=\"true\"/>",
        request("ACK", "").as_str(),
        "<pause milliseconds=\"1000\"/>",
        request("BYE", "retrans=\"500\"").as_str(),
        "<recv response=\"200\"/>",
    ]
    .concat()
}

#[test]
fn a_call_with_all_or_no_provisional_responses_succeeds() {
    for provisional in [&["100 Trying", "180 Ringing"][..], &["180 Ringing"], &[]] {
        let mut lab = lab(&uac());
        let invite = lab.sent().pop().expect("an INVITE");
        assert!(
            invite.starts_with("INVITE ") && invite.contains("CSeq: 1 INVITE"),
            "{invite}"
        );
        for status in provisional {
            lab.answer(&invite, status, "");
        }
        lab.advance(50);
        lab.answer(&invite, "200 OK", "");
        assert_eq!(lab.lines(), ["ACK sip:c@d SIP/2.0"]);
        lab.advance(1_000);
        let bye = lab.sent().pop().expect("a BYE");
        assert!(
            bye.contains("CSeq: 2 BYE") && bye.contains("tag=77"),
            "{bye}"
        );
        lab.answer(&bye, "200 OK", "");
        assert!(lab.is_successful());
        let times = &lab.statistics().response_times[0].latency.service;
        assert_eq!((times.count(), times.max_us() / 1_000), (1, 50));
    }
}

#[test]
fn a_provisional_response_that_was_passed_is_still_taken_only_while_it_may_come() {
    let mut lab = lab(&uac());
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "180 Ringing", "");
    lab.answer(&invite, "100 Trying", "");
    assert_eq!(lab.statistics().steps[1].messages, 1);
    lab.answer(&invite, "200 OK", "");
    lab.sent();
    // In the pause it is no longer among the optional ones that are next to it.
    lab.answer(&invite, "183 Late", "");
    assert!(lab.failed_by(Failure::Unexpected));
    assert_eq!(lab.lines(), ["BYE sip:c@d SIP/2.0"]);
}

#[test]
fn a_provisional_response_that_was_overtaken_is_no_fault() {
    let mut lab = lab(&uac());
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "180 Ringing", "");
    lab.answer(&invite, "200 OK", "");
    lab.sent();
    // The peer heard the INVITE twice, and answered it twice.
    lab.answer(&invite, "180 Ringing", "");
    lab.answer(&invite, "200 OK", "");
    assert_eq!(lab.lines(), ["ACK sip:c@d SIP/2.0"]);
    lab.advance(1_000);
    let bye = lab.sent().pop().expect("a BYE");
    lab.answer(&bye, "200 OK", "");
    assert!(lab.is_successful());
    assert_eq!(
        (
            lab.statistics().steps[2].messages,
            lab.statistics().steps[2].repeats
        ),
        (1, 1)
    );
}

#[test]
fn a_global_message_may_come_at_any_later_time() {
    let scenario = uac().replace(
        "response=\"180\" optional=\"true\"",
        "response=\"180\" optional=\"global\"",
    );
    let mut lab = lab(&scenario);
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "200 OK", "");
    lab.sent();
    lab.answer(&invite, "180 Ringing", "");
    lab.advance(1_000);
    let bye = lab.sent().pop().expect("a BYE");
    lab.answer(&bye, "200 OK", "");
    assert!(lab.is_successful());
    assert_eq!(lab.statistics().steps[2].messages, 1);
}

#[test]
fn an_unexpected_refusal_is_acknowledged_and_fails_the_call() {
    let mut lab = lab(&uac());
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "486 Busy Here", "");
    assert!(lab.failed_by(Failure::Unexpected));
    let ack = lab.sent().pop().expect("an ACK");
    assert!(
        ack.starts_with("ACK sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1"),
        "{ack}"
    );
    assert!(
        ack.contains("CSeq: 1 ACK") && ack.contains("tag=77"),
        "{ack}"
    );
    assert_eq!(lab.statistics().steps[3].unexpected, 1);
    let mut redirected = super::lab::lab(&uac());
    let invite = redirected.sent().pop().expect("an INVITE");
    redirected.answer(&invite, "302 Moved Temporarily", "");
    assert_eq!(redirected.lines(), ["ACK sip:c@d SIP/2.0"]);
}

#[test]
fn a_call_that_rings_is_cancelled_when_it_is_given_up() {
    let mut lab = lab(&uac());
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "180 Ringing", "");
    lab.answer(&invite, "181 Forwarded", "");
    assert_eq!(lab.lines(), ["CANCEL sip:c@d SIP/2.0"]);
    let mut lab = lab_with(&uac(), |settings| settings.behaviours.bye = false);
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "181 Forwarded", "");
    assert_eq!(lab.lines(), Vec::<String>::new());
}

#[test]
fn unexpected_messages_are_passed_over_when_asked() {
    let mut lab = lab_with(&uac(), |settings| {
        settings.behaviours.abort_unexpected = false;
    });
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "199 Odd", "");
    lab.answer(&invite, "200 OK", "");
    assert_eq!(lab.lines(), ["ACK sip:c@d SIP/2.0"]);
}

#[test]
fn a_bye_before_its_time_is_answered_and_fails_the_call() {
    let mut lab = lab(&uac());
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "200 OK", "");
    lab.sent();
    lab.ask("BYE", 9, "");
    let answer = lab.sent().pop().expect("an answer");
    assert!(
        answer.starts_with("SIP/2.0 200 OK") && answer.contains("CSeq: 9 BYE"),
        "{answer}"
    );
    assert!(lab.failed_by(Failure::Unexpected));
}

#[test]
fn requests_are_answered_without_a_step_only_when_asked() {
    let mut lab = lab_with(&uac(), |settings| settings.behaviours.auto_answer = true);
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "200 OK", "");
    lab.sent();
    lab.ask("OPTIONS", 3, "");
    let answer = lab.sent().pop().expect("an answer");
    assert!(answer.contains("CSeq: 3 OPTIONS"), "{answer}");
    assert_eq!(
        (lab.statistics().auto_answered, lab.statistics().failed()),
        (1, 0)
    );
}

#[test]
fn labels_take_unexpected_messages_and_can_return() {
    let scenario = format!(
        "<Reference variables=\"_unexp.pausedaddr\"/>{}<recv response=\"200\"/>\
         <pause milliseconds=\"1000\"/>{}<nop next=\"end\"/>\
         <label id=\"_unexp.main\"/>{}<nop><action><pauserestore variable=\"_unexp.pausedaddr\"/>\
         <jump variable=\"_unexp.retaddr\"/></action></nop><label id=\"end\"/>",
        request("OPTIONS", ""),
        request("MESSAGE", ""),
        response("202 Fine", ""),
    );
    let mut lab = lab(&scenario);
    let options = lab.sent().pop().expect("an OPTIONS");
    lab.answer(&options, "200 OK", "");
    lab.advance(400);
    lab.ask("INFO", 4, "");
    assert_eq!(lab.lines(), ["SIP/2.0 202 Fine"]);
    lab.advance(599);
    assert_eq!(lab.lines(), Vec::<String>::new());
    lab.advance(1);
    assert_eq!(lab.lines(), ["MESSAGE sip:c@d SIP/2.0"]);
    assert!(lab.is_successful());
}

#[test]
fn messages_that_do_not_come_time_out_or_go_on_elsewhere() {
    let scenario = format!(
        "{}<recv response=\"200\" timeout=\"300\" ontimeout=\"late\"/><nop next=\"end\"/>\
         <label id=\"late\"/>{}<label id=\"end\"/>",
        request("OPTIONS", ""),
        request("MESSAGE", ""),
    );
    let mut lab = lab(&scenario);
    lab.advance(300);
    assert_eq!(
        lab.lines(),
        ["OPTIONS sip:c@d SIP/2.0", "MESSAGE sip:c@d SIP/2.0"]
    );
    assert_eq!(lab.statistics().steps[1].timeouts, 1);
    assert!(lab.is_successful());
    let plain = format!("{}<recv response=\"200\"/>", request("OPTIONS", ""));
    let mut lab = lab_with(&plain, |settings| {
        settings.receive_timeout = Some(std::time::Duration::from_secs(2));
    });
    lab.advance(2_000);
    assert!(lab.failed_by(Failure::ReceiveTimeout));
}

#[test]
fn a_response_matches_by_the_method_sent_before_or_by_its_transaction() {
    let plain = format!(
        "{}<recv response=\"200\"/>{}<recv response=\"200\"/>",
        request("SUBSCRIBE", ""),
        request("MESSAGE", "")
    );
    let mut bench = lab(&plain);
    let subscribe = bench.sent().pop().expect("a SUBSCRIBE");
    let odd = subscribe.replace("1 SUBSCRIBE", "1 MESSAGE");
    bench.answer(&odd, "200 OK", "");
    assert!(bench.failed_by(Failure::Unexpected));
    let named = format!(
        "{}{}<recv response=\"200\" response_txn=\"b\"/>\
         <recv response=\"200\" response_txn=\"a\"/>",
        request("INFO", "start_txn=\"a\""),
        request("INFO", "start_txn=\"b\"")
    );
    let mut bench = lab(&named);
    let [first, second] = &bench.sent()[..] else {
        panic!("two requests");
    };
    let (first, second) = (first.clone(), second.clone());
    bench.answer(&second, "200 OK", "");
    bench.answer(&first, "200 OK", "");
    assert!(bench.is_successful());
}

#[test]
fn patterns_match_methods_and_codes() {
    let scenario = format!(
        "<recv request=\"INVITE|OPTIONS\" regexp_match=\"true\"/>{}",
        response("200 OK", "")
    );
    let mut bench = lab(&scenario);
    bench.ask("OPTIONS", 1, "");
    assert!(bench.is_successful());
    let scenario = format!(
        "{}<recv response=\"4[0-9][0-9]\" regexp_match=\"true\"/>",
        request("INFO", "")
    );
    let mut bench = lab(&scenario);
    let info = bench.sent().pop().expect("an INFO");
    bench.answer(&info, "481 Gone", "");
    assert!(bench.is_successful());
}

#[test]
fn branches_follow_tests_and_chance() {
    let scenario = format!(
        "{}<recv response=\"200\" next=\"yes\" test=\"found\"><action><ereg regexp=\"yes\" \
         search_in=\"hdr\" header=\"X:\" assign_to=\"found\"/></action></recv>{}\
         <nop next=\"end\" chance=\"1\"/><label id=\"yes\"/>{}<label id=\"end\"/>",
        request("INFO", ""),
        request("MESSAGE", ""),
        request("PUBLISH", ""),
    );
    for (header, expected) in [("X: yes\r\n", "PUBLISH"), ("X: no\r\n", "MESSAGE")] {
        let mut lab = lab(&scenario);
        let info = lab.sent().pop().expect("an INFO");
        lab.answer(&info, "200 OK", header);
        assert_eq!(lab.lines(), [format!("{expected} sip:c@d SIP/2.0")]);
    }
}

#[test]
fn steps_are_passed_over_by_condition() {
    let scenario = format!(
        "<nop><action><assign assign_to=\"set\" value=\"1\"/></action></nop>{}{}{}",
        request("INFO", "condexec=\"unset\""),
        request("MESSAGE", "condexec=\"set\""),
        request("PUBLISH", "condexec=\"set\" condexec_inverse=\"true\""),
    )
    .replace("<nop>", "<Reference variables=\"unset\"/><nop>");
    let mut lab = lab(&scenario);
    assert_eq!(lab.lines(), ["MESSAGE sip:c@d SIP/2.0"]);
}

#[test]
fn a_server_takes_calls_and_absorbs_what_comes_after_the_end() {
    let scenario = [
        "<recv request=\"INVITE\"/>",
        response("180 Ringing", "").as_str(),
        response("200 OK", "retrans=\"500\"").as_str(),
        "<recv request=\"ACK\" optional=\"true\"/><recv request=\"BYE\"/>",
        response("200 OK", "").as_str(),
        "<timewait milliseconds=\"4000\"/>",
    ]
    .concat();
    let mut lab = lab(&scenario);
    lab.ask("INVITE", 1, "");
    assert_eq!(lab.lines(), ["SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]);
    lab.ask("ACK", 1, "");
    lab.ask("BYE", 2, "");
    lab.ask("BYE", 2, "");
    assert_eq!(lab.lines(), ["SIP/2.0 200 OK", "SIP/2.0 200 OK"]);
    lab.advance(4_000);
    assert!(lab.is_successful());
    lab.ask("BYE", 2, "");
    assert_eq!(
        (lab.statistics().dead_call, lab.statistics().incoming),
        (1, 1)
    );
}

#[test]
fn what_is_no_sip_costs_nothing() {
    let mut lab = lab(&uac());
    lab.sent();
    for text in [
        "",
        "\r\n\r\n",
        "\0",
        "INVITE",
        "SIP/2.0 200 OK\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        lab.receive(text);
    }
    let long = format!(
        "{} sip:a SIP/2.0\r\nCall-ID: 1-77@127.0.0.1\r\n\r\n",
        "X".repeat(9_000)
    );
    lab.receive("OPTIONS sip:a SIP/2.0\r\nCall-ID: other\r\n\r\n");
    assert_eq!(
        (lab.statistics().malformed, lab.statistics().out_of_call),
        (4, 1)
    );
    lab.receive(&long);
    assert!(lab.failed_by(Failure::Unexpected));
}
