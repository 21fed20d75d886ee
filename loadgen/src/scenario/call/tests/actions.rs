//! Actions and variables.

use super::lab::{lab, request, response};
use crate::scenario::statistics::Failure;

/// Logs after an INVITE was received with these headers.
fn logged(actions: &str, headers: &str) -> Vec<String> {
    let mut lab = lab(&format!(
        "<recv request=\"INVITE\"><action>{actions}</action></recv>"
    ));
    lab.ask("INVITE", 1, headers);
    assert!(lab.is_successful());
    lab.log()
}

fn failure(actions: &str, failure: Failure) -> bool {
    let mut lab = lab(&format!(
        "<recv request=\"INVITE\"><action>{actions}</action></recv>"
    ));
    lab.ask("INVITE", 1, "");
    lab.failed_by(failure)
}

#[test]
fn ereg_finds_parts_of_messages_headers_bodies_and_variables() {
    let log = logged(
        "<ereg regexp=\".*\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"1\"/>\
         <ereg regexp=\"(.)sip:(c)\" search_in=\"hdr\" header=\"o:\" assign_to=\"2,3,4\"/>\
         <ereg regexp=\"nothing\" search_in=\"msg\" assign_to=\"1\"/>\
         <ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"x:\" case_indep=\"true\" \
         start_line=\"true\" occurrence=\"2\" assign_to=\"5\"/>\
         <ereg regexp=\"^.\" search_in=\"var\" variable=\"5\" assign_to=\"6\"/>\
         <log message=\"[$1]|[$2]|[$3]|[$4]|[$5]|[$6]|\"/>",
        "X: 11\r\nNo-X: 22\r\nX: 33\r\n",
    );
    assert_eq!(log, [" 1 INVITE|<sip:c|<|c|33|3|"]);
}

#[test]
fn arithmetic_tests_and_texts_are_kept_in_variables() {
    let log = logged(
        "<assign assign_to=\"n\" value=\"1.5\"/><add assign_to=\"n\" value=\"2\"/>\
         <multiply assign_to=\"n\" variable=\"n\"/><subtract assign_to=\"n\" value=\"0.25\"/>\
         <divide assign_to=\"n\" value=\"4\"/>\
         <test assign_to=\"more\" variable=\"n\" compare=\"greater_than\" value=\"2\"/>\
         <assignstr assign_to=\"text\" value=\" x[$n]y \"/><trim assign_to=\"text\"/>\
         <strcmp assign_to=\"order\" variable=\"text\" value=\"zz\"/>\
         <assignstr assign_to=\"digits\" value=\"12\"/>\
         <todouble assign_to=\"number\" variable=\"digits\"/>\
         <log message=\"[$n]|[$more]|[$text]|[$order]|[$number]|\\x41|\"/>",
        "",
    );
    assert_eq!(log, ["3.000000|true|x3.000000y|-2.000000|12.000000|A|"]);
}

#[test]
fn urls_times_samples_and_files_are_at_hand() {
    let log = logged(
        "<assignstr assign_to=\"u\" value=\"a b/c\"/><urlencode variable=\"u\"/>\
         <assignstr assign_to=\"v\" value=\"[$u]\"/><urldecode variable=\"v\"/>\
         <gettimeofday assign_to=\"s,us\"/><sample assign_to=\"f\" distribution=\"fixed\" \
         value=\"7\"/><lookup assign_to=\"line\" file=\"people.csv\" key=\"bob\"/>\
         <insert file=\"people.csv\" value=\"eve;three\"/>\
         <replace file=\"people.csv\" line=\"0\" value=\"amy;four\"/>\
         <log message=\"[$u]|[$v]|[$s]|[$us]|[$f]|[field1 file=people.csv line=[$line]]|\
         [field0 line=2]|[field0]|\"/>",
        "",
    );
    assert_eq!(log, ["a%20b%2Fc|a b/c|1000.000000||7.000000|two|eve|amy|"]);
}

#[test]
fn a_failed_check_ends_the_step_s_actions_and_the_call_goes_on_to_fail() {
    let scenario = format!(
        "<recv request=\"INVITE\"><action><ereg regexp=\"no\" search_in=\"hdr\" header=\"CSeq:\" \
         check_it=\"true\" assign_to=\"1\"/><log message=\"not seen [$1]\"/></action></recv>{}",
        response("200 OK", "")
    );
    let mut lab = lab(&scenario);
    lab.ask("INVITE", 1, "");
    assert_eq!(lab.log(), Vec::<String>::new());
    assert_eq!(lab.lines(), ["SIP/2.0 200 OK"]);
    assert!(lab.failed_by(Failure::PatternMissed));
}

#[test]
fn every_check_has_its_own_failure() {
    let header = "<ereg regexp=\".\" search_in=\"hdr\" header=\"Nope:\" check_it=\"true\"/>";
    assert!(failure(header, Failure::HeaderMissing));
    let inverse = "<ereg regexp=\"INVITE\" check_it_inverse=\"true\"/>";
    assert!(failure(inverse, Failure::PatternMatched));
    let number = "<assign assign_to=\"n\" value=\"1\"/>";
    let test =
        format!("{number}<test variable=\"n\" compare=\"equal\" value=\"2\" check_it=\"true\"/>");
    assert!(failure(&test, Failure::TestFailed));
    let inverse = test
        .replace("check_it", "check_it_inverse")
        .replace("\"equal\"", "\"less_than\"");
    assert!(failure(&inverse, Failure::TestSucceeded));
    let text = "<assignstr assign_to=\"t\" value=\"a\"/><strcmp variable=\"t\"";
    assert!(failure(
        &format!("{text} value=\"b\" check_it=\"true\"/>"),
        Failure::TextsDiffer
    ));
    let same = format!("{text} value=\"a\" check_it_inverse=\"true\"/>");
    assert!(failure(&same, Failure::TextsEqual));
    assert!(failure("<exec int_cmd=\"stop_call\"/>", Failure::Rejected));
}

#[test]
fn jumps_and_endless_loops_end() {
    let scenario = format!(
        "<nop><action><assign assign_to=\"to\" value=\"2\"/></action></nop>\
         <nop><action><jump variable=\"to\"/></action></nop>{}",
        request("INFO", "")
    );
    assert_eq!(lab(&scenario).lines(), ["INFO sip:c@d SIP/2.0"]);
    let endless = format!(
        "<label id=\"again\"/><nop next=\"again\"/>{}",
        request("INFO", "")
    );
    assert!(lab(&endless).failed_by(Failure::Rejected));
}

#[test]
fn init_runs_once_before_all_calls() {
    let scenario = format!(
        "<Global variables=\"shared\"/><init><nop><action><assignstr assign_to=\"shared\" \
         value=\"ready\"/></action></nop></init>{}",
        request("INFO", "").replace("CSeq:", "X: [$shared]\nCSeq:")
    );
    let info = lab(&scenario).sent().pop().expect("an INFO");
    assert!(info.contains("X: ready\r\n"), "{info}");
}

#[test]
fn digests_are_answered_and_verified() {
    let scenario = [
        request("REGISTER", "").as_str(),
        "<recv response=\"401\" auth=\"true\"/>",
        request("REGISTER", "")
            .replace(
                "CSeq:",
                "[authentication username=joe password=secret]\nCSeq:",
            )
            .as_str(),
        "<recv response=\"200\"/>",
    ]
    .concat();
    let mut client = lab(&scenario);
    let register = client.sent().pop().expect("a REGISTER");
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\"\r\n";
    client.answer(&register, "401 Who", challenge);
    let register = client.sent().pop().expect("another REGISTER");
    let header = register
        .lines()
        .find(|line| line.starts_with("Authorization: "));
    let header = header.expect("an answer to the challenge");
    assert!(
        header.contains("username=\"joe\",realm=\"r\",uri=\"sip:127.0.0.1:5070\""),
        "{header}"
    );
    let server = "<recv request=\"REGISTER\"><action><verifyauth assign_to=\"ok\" \
                  username=\"joe\" password=\"WORD\"/><log message=\"[$ok]\"/></action></recv>";
    for (word, expected) in [("secret", "true"), ("other", "false")] {
        let mut lab = lab(&server.replace("WORD", word));
        lab.receive(&register);
        assert_eq!(lab.log(), [expected]);
    }
}
