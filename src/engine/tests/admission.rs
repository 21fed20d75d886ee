//! When no new calls are taken, and what goes on all the same.

use std::time::Duration;

use offhook_shards::ShardId;

use crate::config::TrunkIndex;
use crate::counters::Counter;
use crate::limits::BACKLOG_MAX;
use crate::trunk::HealthChange;

use super::super::Message;
use super::{Lab, PBX, request, status, value};

const WHO: &str = "From: <sip:100@192.0.2.20>;tag=a\r\nTo: <sip:7000@192.0.2.10>\r\n\
                   Contact: <sip:100@192.0.2.20>\r\n";

fn statuses(lab: &mut Lab, method: &str, call: &str) -> Vec<u16> {
    let sent = lab.send(PBX, request(method, PBX, call, WHO).as_bytes());
    sent.iter().filter_map(|(_, text)| status(text)).collect()
}

/// A caller waits, and then no new calls are taken: the one goes on, others cost nothing.
fn holds(mut lab: Lab, close: impl FnOnce(&mut Lab), cause: Counter) -> Lab {
    assert_eq!(statuses(&mut lab, "INVITE", "before"), [100, 182]);
    close(&mut lab);
    let transactions = lab.engine.user_agent().transactions();
    for call in ["c1", "c2", "c3"] {
        let sent = lab.send(PBX, request("INVITE", PBX, call, WHO).as_bytes());
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(status(&sent[0].1), Some(503));
        assert!(value(&sent[0].1, "Retry-After").is_some());
    }
    assert_eq!(lab.engine.user_agent().transactions(), transactions);
    assert_eq!(lab.engine.user_agent().legs(), 1);
    assert_eq!(lab.counted(cause), 3);
    assert_eq!(lab.counted(Counter::CallRefused), 3);
    // The caller's repetition is answered as before, and so is its CANCEL.
    assert_eq!(statuses(&mut lab, "INVITE", "before"), [182]);
    let cancel = request("CANCEL", PBX, "before", WHO).replace("beforeCANCEL", "beforeINVITE");
    let sent = lab.send(PBX, cancel.as_bytes());
    let ended: Vec<u16> = sent.iter().filter_map(|(_, text)| status(text)).collect();
    assert_eq!(ended, [200, 487]);
    lab
}

#[test]
fn a_server_that_is_to_stop_lets_its_calls_end_and_sends_others_elsewhere() {
    let drain = |lab: &mut Lab| lab.engine.set_draining(true);
    let mut lab = holds(Lab::new("", ""), drain, Counter::InviteDraining);
    assert_eq!(statuses(&mut lab, "OPTIONS", "ping"), [503]);
    lab.engine.set_draining(false);
    assert_eq!(statuses(&mut lab, "INVITE", "after"), [100, 182]);
}

#[test]
fn behind_a_backlog_a_new_call_is_refused_before_anything_is_kept_of_it() {
    let flood = |lab: &mut Lab| {
        let change = HealthChange {
            peer: 0,
            in_service: true,
        };
        let message = Message::TrunkHealth(TrunkIndex(0), change);
        let backlog = (0..=BACKLOG_MAX).map(|_| (ShardId(1), message.clone()));
        lab.engine.messages.extend(backlog);
    };
    let mut lab = holds(Lab::new("", ""), flood, Counter::InviteOverload);
    assert_eq!(statuses(&mut lab, "OPTIONS", "ping"), [200], "it is well");
    lab.engine.messages.clear();
    assert_eq!(statuses(&mut lab, "INVITE", "after"), [100, 182]);
    lab.wait(Duration::from_secs(1));
}
