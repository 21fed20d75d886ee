//! What the whole server makes of what UCM sends: every message of `tests/data/cucm`, and the
//! course of private calls.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use offhook::counters::Counter;
use offhook::cti::SubscriptionStatus;

use crate::lab::pidf;
use crate::server::Server;

const NOTHING: [&str; 0] = [];

/// A file, the statuses that it is answered with at once, and the events.
type Verdict = (&'static str, &'static [u16], &'static [&'static str]);

/// In the order of their CSeqs: they are one subscription's.
const NOTIFIES: [Verdict; 6] = [
    (
        "notify_open_idle.sip",
        &[200],
        &["8001 AgentLogin", "8001 AgentReady ManualIn"],
    ),
    (
        "notify_open_on_the_phone.sip",
        &[200],
        &["8001 AgentNotReady Unknown on-the-phone"],
    ),
    (
        "notify_closed_on_the_phone.sip",
        &[200],
        &["8001 AgentLogout"],
    ),
    // The tuple says closed, whatever the person says.
    ("notify_person_open_tuple_closed.sip", &[200], &[]),
    (
        "notify_tuple_only.sip",
        &[200],
        &["8001 AgentLogin", "8001 AgentNotReady Unknown away"],
    ),
    ("notify_terminated.sip", &[200], &["8001 AgentLogout"]),
];

/// Each to a server of its own.
const OTHERS: [Verdict; 4] = [
    (
        "invite_delayed_offer.sip",
        &[100, 182],
        &["7000 Queued call"],
    ),
    ("invite_early_offer.sip", &[100, 182], &["7000 Queued call"]),
    // Of a call that this server never had.
    ("bye_with_statistics.sip", &[481], &[]),
    ("options_ping.sip", &[200], &[]),
];

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/cucm")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(directory().join(file)).expect("the sample is part of the repository")
}

#[test]
fn every_message_of_ucm_has_its_verdict() {
    let (mut server, subscribed) = Server::subscribing();
    server.receive(&subscribed.accepted(3_600));
    for (file, statuses, events) in NOTIFIES {
        let notify = subscribed.adopt(&read(file));
        assert_eq!(server.receive(&notify), statuses, "{file}");
        assert_eq!(server.said(), events, "{file}");
    }
    assert_eq!(server.status, SubscriptionStatus::Failed, "noresource");
    for (file, statuses, events) in OTHERS {
        let mut server = Server::new("udp", "oos_check = 0");
        assert_eq!(server.receive(&read(file)), statuses, "{file}");
        assert_eq!(server.said(), events, "{file}");
    }
    let judged: BTreeSet<&str> = NOTIFIES.iter().chain(&OTHERS).map(|row| row.0).collect();
    let there: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sip"))
        .collect();
    assert_eq!(judged, there.iter().map(String::as_str).collect());
}

#[test]
fn private_calls_in_and_out_are_no_calls_of_ours() {
    let (mut server, subscribed) = Server::subscribing();
    server.receive(&subscribed.accepted(3_600));
    let mut cseq = 100;
    let mut phone = |activity: &str| {
        cseq += 1;
        let body = pidf("open", activity);
        let body = std::str::from_utf8(&body.bytes).unwrap();
        let statuses = server.receive(&subscribed.notify(cseq, body));
        assert_eq!(statuses, [200]);
        server.said()
    };
    let login = ["8001 AgentLogin", "8001 AgentReady ManualIn"];
    assert_eq!(phone(""), login);
    let ready = ["8001 AgentReady ManualIn"];
    // In: the phone rings before it is answered, and that is an activity already.
    assert_eq!(
        phone("<ce:alerting/>"),
        ["8001 AgentNotReady Unknown alerting"]
    );
    assert_eq!(phone("<e:on-the-phone/>"), NOTHING);
    assert_eq!(phone(""), ready);
    // In, and not answered.
    assert_eq!(
        phone("<ce:alerting/>"),
        ["8001 AgentNotReady Unknown alerting"]
    );
    assert_eq!(phone(""), ready);
    // Out.
    let on_the_phone = ["8001 AgentNotReady Unknown on-the-phone"];
    assert_eq!(phone("<e:on-the-phone/>"), on_the_phone);
    assert_eq!(phone(""), ready);
}

#[test]
fn notifies_may_come_before_the_2xx_and_never_in_the_wrong_order() {
    let (mut server, subscribed) = Server::subscribing();
    let notify = |cseq, activity| {
        let body = pidf("open", activity);
        subscribed.notify(cseq, std::str::from_utf8(&body.bytes).unwrap())
    };
    assert_eq!(server.receive(&notify(12, "")), [200]);
    assert_eq!(server.said().len(), 2, "Login and Ready");
    server.receive(&subscribed.accepted(3_600));
    let older = notify(11, "<e:on-the-phone/>");
    assert_eq!(server.receive(&older), [500]);
    assert_eq!(server.said(), NOTHING);
    assert_eq!(server.counted(Counter::NotifyOutOfOrder), 1);
    let stranger = notify(13, "<e:away/>").replace("tag=1746816090", "tag=another");
    assert_eq!(server.receive(&stranger), [481]);
    assert_eq!(server.said(), NOTHING);
    server.run(Duration::from_secs(60));
    assert_eq!(server.said(), NOTHING);
}

#[test]
fn decision_14_the_state_of_a_phone_that_is_busy_for_long_is_asked_for() {
    let (mut server, subscribed) = Server::subscribing();
    server.receive(&subscribed.accepted(3_600));
    let busy = pidf("open", "<e:on-the-phone/>");
    let busy = std::str::from_utf8(&busy.bytes).unwrap();
    server.receive(&subscribed.notify(101, busy));
    server.run(Duration::from_secs(899));
    assert!(!server.has_sent("SUBSCRIBE "), "not yet");
    server.run(Duration::from_secs(2));
    assert!(server.has_sent("SUBSCRIBE "), "long before the refresh");
}

#[test]
fn a_tcp_trunk_that_cannot_be_connected_to_is_out_of_service() {
    let mut server = Server::new("tcp", "");
    server.run(Duration::from_secs(1));
    assert_eq!(server.said(), NOTHING);
    server.connection_failed();
    assert_eq!(server.said(), ["ucm DNOutOfService"]);
    server.connection_failed();
    assert_eq!(server.said(), NOTHING, "once is enough");
    // A peer that is reached by UDP is not out because its TCP port is closed.
    let mut server = Server::new("udp", "");
    server.connection_failed();
    assert_eq!(server.said(), NOTHING);
}
