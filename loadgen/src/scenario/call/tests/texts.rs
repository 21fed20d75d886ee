//! Messages as they leave: keywords, removed lines, lengths, routes.

use super::lab::{lab, lab_with, request, send};

fn sent(text: &str) -> String {
    let mut lab = lab(&format!("<send><![CDATA[{text}]]></send>"));
    lab.sent().pop().expect("a message")
}

#[test]
fn keywords_have_the_values_of_call_and_run() {
    let text = sent(
        "INFO sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n\
         A: [remote_host] [local_ip] [local_ip_type] [local_port] [transport] [server_ip]\n\
         B: [media_ip] [media_ip_type] [media_port+2] [auto_media_port] [word]\n\
         C: [call_id] [call_number+1] [cseq] [cseq+5] [branch] [branch-1] [msg_index] [pid]\n\
         D: [field0] [field1 line=1] [users] [userid] [dynamic_id] [clock_tick] [date]\n",
    );
    assert_eq!(
        text,
        "INFO sip:service@127.0.0.1:5070 SIP/2.0\r\n\
         A: peer 127.0.0.1 4 5060 UDP 127.0.0.1\r\n\
         B: 127.0.0.1 4 6002 6000 key\r\n\
         C: 1-77@127.0.0.1 1 1 6 z9hG4bK-77-1-0 z9hG4bK-77-1--1 0 77\r\n\
         D: ann two -1 0 10000 0 Thu, 01 Jan 1970 00:16:40 GMT\r\n\r\n"
    );
}

#[test]
fn the_length_is_of_the_body_in_five_places() {
    let text = sent("A SIP\nContent-Length: [len]\n\n  body  \n\n  ");
    assert_eq!(text, "A SIP\r\nContent-Length:     6\r\n\r\nbody\r\n");
    let text = sent("A SIP\nContent-Length: [len+10]\n");
    assert_eq!(text, "A SIP\r\nContent-Length:    10\r\n\r\n");
}

#[test]
fn lines_of_which_nothing_is_left_vanish() {
    let text = sent("A SIP\n[last_Via:]\n[last_Foo]\nX: a [last_Foo:] b\n[routes]\nY: z\n");
    assert_eq!(text, "A SIP\r\nX: a  b\r\nY: z\r\n\r\n");
}

#[test]
fn routes_and_the_next_url_come_from_the_recorded_route() {
    let routed = |record: &str| {
        let scenario = [
            request("INVITE", "").as_str(),
            "<recv response=\"200\" rrs=\"true\"/>",
            send(
                "ACK [next_url] SIP/2.0",
                "[routes]\nCSeq: [cseq] ACK\n[last_Record-Route:]",
                "",
            )
            .as_str(),
        ]
        .concat();
        let mut lab = lab(&scenario);
        let invite = lab.sent().pop().expect("an INVITE");
        let more = format!("{record}Contact: <sip:you@127.0.0.1:7;x=y>\r\n");
        lab.answer(&invite, "200 OK", &more);
        lab.sent().pop().expect("an ACK")
    };
    let strict = routed("Record-Route: <sip:r1;lr>\r\nRecord-Route: <sip:r2;lr>,<sip:r3>\r\n");
    assert!(strict.starts_with("ACK sip:r3 SIP/2.0\r\n"), "{strict}");
    let routes = "\r\nRoute: <sip:r2;lr>, <sip:r1;lr>, <sip:you@127.0.0.1:7;x=y>\r\n";
    assert!(strict.contains(routes), "{strict}");
    let recorded = "\r\nRecord-Route: <sip:r1;lr>, <sip:r2;lr>,<sip:r3>\r\n";
    assert!(strict.contains(recorded), "{strict}");
    let loose = routed("Record-Route: <sip:r1;lr>\r\n");
    assert!(
        loose.starts_with("ACK sip:you@127.0.0.1:7;x=y SIP/2.0\r\n"),
        "{loose}"
    );
    assert!(loose.contains("\r\nRoute: <sip:r1;lr>\r\n"), "{loose}");
    let none = routed("");
    assert!(!none.contains("Route:"), "{none}");
}

#[test]
fn calls_take_their_lines_their_names_and_their_ids_in_turn() {
    let body = "<send><![CDATA[INFO sip:[field0] SIP/2.0\nCall-ID: [call_id]\nX: [$v]\n]]></send>";
    let mut lab = lab_with(body, |settings| {
        settings.load.calls_max = Some(3);
        settings.call_id_format = "%p.%u.%s".to_owned();
        settings.variables.push(("v".to_owned(), "set".to_owned()));
    });
    lab.advance(1_000);
    let ids: Vec<String> = lab
        .sent()
        .iter()
        .map(|message| message.lines().take(3).collect::<Vec<_>>().join("|"))
        .collect();
    assert_eq!(
        ids,
        [
            "INFO sip:ann SIP/2.0|Call-ID: 77.1.127.0.0.1|X: set",
            "INFO sip:bob SIP/2.0|Call-ID: 77.2.127.0.0.1|X: set",
            "INFO sip:ann SIP/2.0|Call-ID: 77.3.127.0.0.1|X: set",
        ]
    );
}

#[test]
fn a_message_that_cannot_be_made_fails_only_its_call() {
    let mut lab = lab("<send><![CDATA[INFO x SIP/2.0\n[authentication]\n]]></send>");
    assert_eq!(lab.lines(), Vec::<String>::new());
    assert_eq!(lab.statistics().failed(), 1);
}

#[test]
fn other_dialogs_of_a_call_have_a_prefix() {
    let scenario = format!(
        "{}<recv response=\"200\"/>",
        request("INFO", "").replace("[call_id]", "1///[call_id]")
    );
    let mut lab = lab(&scenario);
    let info = lab.sent().pop().expect("an INFO");
    assert!(info.contains("Call-ID: 1///1-77@127.0.0.1"), "{info}");
    lab.answer(&info, "200 OK", "");
    assert!(lab.is_successful());
}
