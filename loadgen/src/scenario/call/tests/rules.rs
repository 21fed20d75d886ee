//! Rules of SIPp that the files beside this one leave: who opens calls, what becomes of messages
//! that belong to none, where faults are counted, and what is measured.

use std::time::Duration;

use super::lab::{lab, lab_with, request, response};
use crate::scenario::statistics::Failure;

fn ready() -> String {
    [
        "<recv request=\"INVITE\"/>",
        response("200 OK", "").as_str(),
        "<recv request=\"ACK\"/>",
    ]
    .concat()
}

/// Whoever sends first opens calls; pauses and actions before it do not count.
#[test]
fn the_first_message_decides_who_calls() {
    let before = "<pause milliseconds=\"5\"/><nop/>";
    let mut calling = lab(&(before.to_owned() + &request("INFO", "")));
    calling.advance(5);
    assert_eq!(calling.lines(), ["INFO sip:c@d SIP/2.0"]);
    let called = lab(&(before.to_owned() + "<recv request=\"INFO\"/>"));
    assert_eq!(called.statistics().outgoing, 0);
}

/// A server opens a call for any message whose Call-ID it does not know, a response included; a
/// client for none.
#[test]
fn any_message_opens_a_call_at_a_server() {
    let stray = "SIP/2.0 200 OK\r\nCall-ID: stray\r\nCSeq: 1 BYE\r\n\r\n";
    let mut server = lab_with(&ready(), |settings| settings.load.calls_max = Some(3));
    server.ask("BYE", 1, "");
    server.receive(stray);
    assert_eq!(server.statistics().incoming, 2);
    assert_eq!(
        server.statistics().failures[Failure::Unexpected as usize],
        2
    );
    let mut client = lab(&(request("INFO", "") + "<recv response=\"200\"/>"));
    client.receive(stray);
    assert_eq!(
        (
            client.statistics().incoming,
            client.statistics().out_of_call
        ),
        (0, 1)
    );
}

/// An ended call's messages are known as such for a while, and then belong to nobody.
#[test]
fn ended_calls_are_remembered_for_a_while() {
    let scenario = request("INFO", "") + "<recv response=\"200\"/>";
    let mut lab = lab_with(&scenario, |settings| {
        settings.dead_call_wait = Duration::from_secs(33);
    });
    let info = lab.sent().pop().expect("an INFO");
    for _ in 0..2 {
        lab.answer(&info, "200 OK", "");
    }
    assert_eq!(
        (lab.statistics().dead_call, lab.statistics().out_of_call),
        (1, 0)
    );
    lab.advance(33_001);
    lab.answer(&info, "200 OK", "");
    assert_eq!(
        (lab.statistics().dead_call, lab.statistics().out_of_call),
        (1, 1)
    );
}

/// What is unexpected is counted where the search for it ended: at the message that must come.
#[test]
fn the_step_that_must_come_counts_what_is_unexpected() {
    let scenario = request("INVITE", "")
        + "<recv response=\"100\" optional=\"true\"/><recv response=\"180\" optional=\"true\"/>\
           <recv response=\"200\"/>";
    let mut lab = lab(&scenario);
    let invite = lab.sent().pop().expect("an INVITE");
    lab.answer(&invite, "486 Busy Here", "");
    let unexpected: Vec<u64> = lab
        .statistics()
        .steps
        .iter()
        .map(|step| step.unexpected)
        .collect();
    assert_eq!(unexpected, [0, 0, 0, 1]);
}

/// A failure names what came, with its status and method, and what should have come.
#[test]
fn failures_say_what_came_and_what_was_expected() {
    let scenario = request("INVITE", "retrans=\"500\"")
        + "<recv response=\"180\" optional=\"true\"/><recv response=\"200\" timeout=\"900\"/>\
           <pause milliseconds=\"100\"/>"
        + &request("BYE", "");
    let told = |cause: Failure, happens: &dyn Fn(&mut super::lab::Lab, &str)| {
        let mut lab = lab(&scenario);
        let invite = lab.sent().pop().expect("an INVITE");
        happens(&mut lab, &invite);
        let told = lab.statistics().details_of(cause);
        let words: Vec<String> = told
            .into_iter()
            .map(|(words, _)| words.to_owned())
            .collect();
        words.join("|")
    };
    let refused = told(Failure::Unexpected, &|lab, invite| {
        lab.answer(invite, "486 Busy Here", "");
    });
    assert_eq!(refused, "486 Busy Here to INVITE, where 200 was expected");
    let bare = told(Failure::Unexpected, &|lab, invite| {
        lab.answer(invite, "500 \u{7}", "");
    });
    assert_eq!(bare, "500 to INVITE, where 200 was expected");
    let asked = told(Failure::Unexpected, &|lab, _| lab.ask("INFO", 7, ""));
    assert_eq!(asked, "INFO, where 200 was expected");
    let ended = told(Failure::Unexpected, &|lab, invite| {
        lab.answer(invite, "200 OK", "");
        lab.ask("BYE", 7, "");
    });
    assert_eq!(ended, "BYE, in a pause");
    let silent = told(Failure::ReceiveTimeout, &|lab, _| lab.advance(900));
    assert_eq!(silent, "200 did not come");
}

/// A response time is taken once a call, unless the step repeats it; it begins when the step is
/// carried out, or with the call.
#[test]
fn a_response_time_is_measured_once_unless_it_repeats() {
    let rounds = |repeat: &str| {
        let mut scenario = String::new();
        for _ in 0..3 {
            scenario += &request("INFO", "start_rtd=\"a\"");
            scenario += &format!("<recv response=\"200\" rtd=\"a\" {repeat}/>");
        }
        let mut lab = lab(&scenario);
        for wait in [20, 30, 40] {
            let info = lab.sent().pop().expect("an INFO");
            lab.advance(wait);
            lab.answer(&info, "200 OK", "");
        }
        assert!(lab.is_successful());
        let times = &lab.statistics().response_times[0].latency.service;
        (times.count(), times.mean_us().0.round() as u64 / 1_000)
    };
    assert_eq!(rounds(""), (1, 20));
    assert_eq!(rounds("repeat_rtd=\"true\""), (3, 30));
}

/// A check that fails does not end the call: it goes on and has failed when it is over.
#[test]
fn a_failed_check_lets_the_call_go_on() {
    let scenario = request("INFO", "")
        + "<recv response=\"200\"><action><ereg regexp=\"never\" search_in=\"msg\" \
           check_it=\"true\" assign_to=\"1\"/></action></recv><pause milliseconds=\"10\"/>"
        + &request("BYE", "");
    let mut lab = lab(&scenario);
    let info = lab.sent().pop().expect("an INFO");
    lab.answer(&info, "200 OK", "");
    assert_eq!(lab.statistics().failed(), 0);
    lab.advance(10);
    assert_eq!(lab.lines(), ["BYE sip:c@d SIP/2.0"]);
    assert!(lab.failed_by(Failure::PatternMissed));
}

/// The number zero is as good as nothing, for branches and in messages.
#[test]
fn zero_counts_as_unset() {
    let scenario = "<nop><action><assignstr assign_to=\"a\" value=\"x\"/>\
         <strcmp assign_to=\"same\" variable=\"a\" value=\"x\"/>\
         <strcmp assign_to=\"other\" variable=\"a\" value=\"y\"/></action></nop>\
         <nop next=\"end\" test=\"same\"/><nop next=\"send\" test=\"other\"/>\
         <nop next=\"end\"/><label id=\"send\"/>"
        .to_owned()
        + &request("INFO", "").replace("sip:c@d", "sip:[$same]|[$other]")
        + "<label id=\"end\"/><nop/>";
    let mut lab = lab(&scenario);
    assert_eq!(lab.lines(), ["INFO sip:|-1.000000 SIP/2.0"]);
}
