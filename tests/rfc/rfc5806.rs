//! By whom a call was diverted: Diversion (RFC 5806) and History-Info (RFC 7044).

use super::messages::{PEER, header, headers, invite};
use super::network::{Network, invite_to};
use crate::dialog::{Diversion, Invitation, Party, UserAgentEvent};

fn invitation(extra: &str) -> Invitation {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", extra));
    let event = network.take_events(0).remove(0);
    let UserAgentEvent::Invited(_, invitation) = event else {
        panic!("an INVITE was expected: {event:?}");
    };
    *invitation
}

fn diversion(number: &str, reason: &str, counter: u32) -> Diversion {
    Diversion {
        by: Party {
            number: number.into(),
            ..Party::default()
        },
        reason: reason.to_owned(),
        counter,
    }
}

#[test]
fn diversions_are_read_with_the_last_one_first() {
    let lines = "Diversion: <sip:2@pbx>;reason=no-answer;counter=1;reason=other\r\n\
                 Diversion: <tel:1>;reason=user-busy;counter=3, <sip:0@pbx>\r\n";
    let expected = [
        diversion("2", "no-answer", 1),
        diversion("1", "user-busy", 3),
        diversion("0", "", 1),
    ];
    assert_eq!(invitation(lines).diversions, expected);
}

#[test]
fn where_there_is_only_a_history_it_tells_the_same() {
    let lines = "History-Info: <sip:1@pbx?Reason=SIP%3Bcause%3D486>;index=1\r\n\
                 History-Info: <sip:2@pbx?Reason=SIP%3Bcause%3D408&Privacy=none>;index=1.1\r\n\
                 History-Info: <sip:7000@pbx>;index=1.1.1\r\n";
    let read = invitation(lines).diversions;
    let numbers: Vec<_> = read
        .iter()
        .map(|diversion| (&*diversion.by.number, diversion.reason.as_str()))
        .collect();
    assert_eq!(numbers, [("2", "no-answer"), ("1", "user-busy")]);
    // A history without a retargeting is none of diversions.
    let lines = "History-Info: <sip:1@pbx>;index=1, <sip:7000@pbx>;index=1.1\r\n";
    assert_eq!(invitation(lines).diversions, []);
}

#[test]
fn what_cannot_be_read_is_passed_over_and_much_is_bounded() {
    let lines = "Diversion: <<<\r\nDiversion: <sip:2@pbx>;reason=unknown\r\n\
                 History-Info: ;;;\r\n";
    assert_eq!(invitation(lines).diversions, [diversion("2", "unknown", 1)]);
    let many: String = (0..40)
        .map(|number| format!("Diversion: <sip:{number}@pbx>\r\n"))
        .collect();
    assert_eq!(invitation(&many).diversions.len(), 10);
}

#[test]
fn a_diversion_of_ours_goes_above_those_that_are_carried() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.carried = [
        ("Diversion", "<sip:1@pbx>;reason=user-busy"),
        ("History-Info", "<sip:1@pbx>;index=1"),
        ("History-Info", "<sip:7000@pbx>;index=1.1"),
    ]
    .into_iter()
    .collect();
    let mut ours = diversion("7000", "no-answer", 1);
    ours.by.display_name = "Sales".into();
    invite.diversions = vec![ours];
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert_eq!(
        headers(&text, "Diversion").collect::<Vec<_>>(),
        [
            "\"Sales\" <sip:7000@127.0.0.1>;reason=no-answer;counter=1;privacy=off",
            "<sip:1@pbx>;reason=user-busy"
        ]
    );
    assert_eq!(
        headers(&text, "History-Info").last(),
        Some("<sip:2001@127.0.0.1:6000;cause=408>;index=1.1.1")
    );
}

#[test]
fn several_diversions_of_ours_are_a_history() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    let began = ("History-Info", "<sip:1@pbx>;index=1");
    invite.carried = [began].into_iter().collect();
    invite.diversions = vec![
        diversion("2", "no-answer", 1),
        diversion("1", "user-busy", 1),
    ];
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert_eq!(
        headers(&text, "History-Info").collect::<Vec<_>>(),
        [
            "<sip:1@pbx>;index=1",
            "<sip:2@127.0.0.1;cause=486>;index=1.1",
            "<sip:2001@127.0.0.1:6000;cause=408>;index=1.1.1"
        ]
    );
    let last = headers(&text, "Diversion").next();
    assert!(last.is_some_and(|last| last.starts_with("<sip:2@")));
}

#[test]
fn what_a_diversion_says_cannot_add_a_line() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.diversions = vec![diversion("1\r\nX: y", "no-answer\r\nX: y", 0)];
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert_eq!(header(&text, "X"), "");
    assert!(header(&text, "Diversion").ends_with(";reason=unknown;counter=1;privacy=off"));
}
