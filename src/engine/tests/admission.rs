//! When no new calls are taken, and what goes on all the same.

use std::time::Duration;

use offhook_shards::{Engine as _, ShardId, Urgency};

use crate::config::{DnIndex, TrunkIndex};
use crate::counters::Counter;
use crate::dialog::{Offered, call_id};
use crate::limits::{
    BACKLOG_MAX, BEHIND_AFTER, CALL_WAIT_MAX, FEEDBACK_VALIDITY, LEGS_FOR_NEW_CALLS_MAX,
    OUTBOX_BYTES_FOR_NEW_CALLS, REQUEST_WAIT_MAX,
};
use crate::trunk::HealthChange;
use crate::wall::Wall;

use super::super::admission::Backlog;
use super::super::{Input, Message, Owners};
use super::{Lab, PBX, login, request, source, status, value};

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

/// What a shard hands over that came so long ago.
fn hand_over(lab: &mut Lab, waited: Duration, message: &str) -> Vec<u16> {
    let came = lab
        .now
        .checked_sub(waited)
        .expect("tests run after the start");
    let urgency = lab.engine.urgency(&source(PBX), message.as_bytes());
    lab.engine.handle_arrival(came, urgency);
    let sent = lab.send(PBX, message.as_bytes());
    sent.iter().filter_map(|(_, text)| status(text)).collect()
}

fn invite(call: &str) -> String {
    request("INVITE", PBX, call, WHO)
}

const LATE: Duration = CALL_WAIT_MAX.saturating_mul(2);

/// New calls come late for so long that the shard is behind.
fn fall_behind(lab: &mut Lab) {
    lab.wait(LATE + REQUEST_WAIT_MAX);
    assert_eq!(hand_over(lab, LATE, &invite("pause1")), [100, 182]);
    lab.wait(BEHIND_AFTER / 2);
    assert_eq!(hand_over(lab, LATE, &invite("pause2")), [100, 182]);
    lab.wait(BEHIND_AFTER / 2);
}

#[test]
fn new_calls_are_refused_when_they_come_late_for_good_and_not_after_a_pause() {
    let mut lab = Lab::new("", "");
    fall_behind(&mut lab);
    assert_eq!(hand_over(&mut lab, LATE, &invite("c1")), [503]);
    assert_eq!(hand_over(&mut lab, LATE, &invite("c2")), [503]);
    // One that was not long in coming is taken all the same; others were told to go elsewhere.
    assert_eq!(
        hand_over(&mut lab, CALL_WAIT_MAX, &invite("c3")),
        [100, 182]
    );
    assert_eq!(hand_over(&mut lab, LATE, &invite("c4")), [503]);
    // What belongs to a call is heard, however late.
    let cancel = request("CANCEL", PBX, "c3", WHO).replace("c3CANCEL", "c3INVITE");
    assert_eq!(hand_over(&mut lab, LATE, &cancel), [200, 487]);
    assert_eq!(
        hand_over(&mut lab, LATE, &request("OPTIONS", PBX, "p", WHO)),
        [200]
    );
    assert_eq!(lab.counted(Counter::InviteOverload), 3);
    // It is over when nothing has been late for a while.
    for call in ["c5", "c6"] {
        assert_eq!(
            hand_over(&mut lab, Duration::ZERO, &invite(call)),
            [100, 182]
        );
        lab.wait(BEHIND_AFTER);
    }
    assert_eq!(hand_over(&mut lab, LATE, &invite("c7")), [100, 182]);
}

#[test]
fn a_copy_of_a_refused_invite_is_refused_although_calls_are_taken_again() {
    let mut lab = Lab::new("", "accept = [\"203.0.113.0/24\"]");
    lab.engine.set_draining(true);
    let refused = lab.send(PBX, invite("c1").as_bytes());
    // One that can only be refused after it was read.
    let via = "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK0\r\n".repeat(4);
    let odd = invite("c2").replace("From:", &format!("{via}From:"));
    let odd_refused = lab.send(PBX, odd.as_bytes());
    assert_eq!(status(&odd_refused[0].1), Some(503));
    lab.engine.set_draining(false);
    lab.wait(Duration::from_secs(20));
    // Its caller has gone elsewhere: nobody's phone may ring for it.
    assert_eq!(lab.send(PBX, invite("c1").as_bytes()), refused);
    assert_eq!(lab.send(PBX, odd.as_bytes()), odd_refused);
    assert_eq!(lab.counted(Counter::CallOffered), 2, "each once");
    let to = value(&refused[0].1, "To").expect("a response has it");
    let ack = request("ACK", PBX, "c1", &WHO.replace("<sip:7000@192.0.2.10>", to));
    let ack = ack.replace("c1ACK", "c1INVITE");
    assert!(lab.send(PBX, ack.as_bytes()).is_empty());
    assert_eq!(lab.engine.user_agent().transactions(), 0);
    assert_eq!(statuses(&mut lab, "INVITE", "c3"), [100, 182]);
    // From elsewhere, or much later, it is another call.
    let other = "203.0.113.9:5060";
    let sent = lab.send(other, request("INVITE", other, "c2", WHO).as_bytes());
    assert_eq!(status(&sent[0].1), Some(100));
    lab.wait(Duration::from_secs(33));
    assert_eq!(statuses(&mut lab, "INVITE", "c1")[0], 100);
}

#[test]
fn what_finds_no_room_to_wait_is_refused_or_left_to_be_repeated_and_calls_go_on() {
    let mut lab = Lab::new("", "");
    let excess = |lab: &mut Lab, message: &str| {
        let source = source(PBX);
        lab.engine
            .handle_excess(lab.now, source, message.as_bytes());
        let sent = lab.sent();
        let answers = sent.iter().filter_map(|(_, text)| status(text));
        answers.collect::<Vec<_>>()
    };
    assert_eq!(statuses(&mut lab, "INVITE", "c1"), [100, 182]);
    assert_eq!(excess(&mut lab, &invite("c2")), [503]);
    assert_eq!(excess(&mut lab, &invite("c1")), [182], "from stored bytes");
    let notify = request("NOTIFY", PBX, "n1", WHO);
    assert_eq!(excess(&mut lab, &notify), [0; 0]);
    assert_eq!(lab.counted(Counter::NotifyPostponed), 1);
    assert_eq!(excess(&mut lab, &request("BYE", PBX, "b1", WHO)), [481]);
    let cancel = request("CANCEL", PBX, "c1", WHO).replace("c1CANCEL", "c1INVITE");
    assert_eq!(excess(&mut lab, &cancel), [200, 487]);
    // The NOTIFY comes again, and is answered.
    assert_eq!(hand_over(&mut lab, Duration::ZERO, &notify), [489]);
}

#[test]
fn requests_of_clients_are_refused_when_even_what_goes_before_them_comes_late() {
    let mut lab = Lab::new("", "");
    lab.wait(Duration::from_secs(2));
    let late = REQUEST_WAIT_MAX * 2;
    let ask = |lab: &mut Lab| {
        lab.events.clear();
        lab.engine.handle_request(lab.now, login(DnIndex(0)));
        lab.sent();
        format!("{:?}", lab.events).contains("TooBusy")
    };
    assert!(!ask(&mut lab));
    let ping = |call: &str| request("OPTIONS", PBX, call, WHO);
    assert_eq!(hand_over(&mut lab, late, &ping("p1")), [200]);
    assert!(!ask(&mut lab), "a pause");
    lab.wait(BEHIND_AFTER);
    assert_eq!(hand_over(&mut lab, late, &ping("p2")), [200]);
    assert!(ask(&mut lab));
    // New calls that are late are another matter.
    assert_eq!(hand_over(&mut lab, Duration::ZERO, &ping("p3")), [200]);
    fall_behind(&mut lab);
    assert_eq!(hand_over(&mut lab, LATE, &invite("c1")), [503]);
    assert!(!ask(&mut lab));
}

#[test]
fn when_calls_legs_or_bytes_to_send_come_to_their_limits_the_rest_is_kept_for_calls_that_are_there()
{
    let mut lab = Lab::new("", "");
    assert_eq!(statuses(&mut lab, "INVITE", "c1"), [100, 182]);
    lab.engine.user_agent.fill_legs(LEGS_FOR_NEW_CALLS_MAX + 1);
    assert_eq!(statuses(&mut lab, "INVITE", "c2"), [503]);
    let cancel = request("CANCEL", PBX, "c1", WHO).replace("c1CANCEL", "c1INVITE");
    assert_eq!(hand_over(&mut lab, Duration::ZERO, &cancel), [200, 487]);

    let mut lab = Lab::new("", "");
    assert_eq!(statuses(&mut lab, "INVITE", "c1"), [100, 182]);
    lab.engine.calls.set_limit(1);
    assert_eq!(statuses(&mut lab, "INVITE", "c2"), [503]);
    lab.engine.calls.set_limit(2);
    assert_eq!(statuses(&mut lab, "INVITE", "c3"), [100, 182]);

    let mut lab = Lab::new("", "");
    let padding = format!("Via: SIP/2.0/UDP {}\r\n", "x".repeat(250)).repeat(30);
    for number in 0.. {
        let ping = request(
            "OPTIONS",
            PBX,
            &format!("p{number}"),
            &format!("{padding}{WHO}"),
        );
        let source = source(PBX);
        lab.engine.handle_datagram(lab.now, source, ping.as_bytes());
        if lab.engine.user_agent.bytes_to_send() > OUTBOX_BYTES_FOR_NEW_CALLS {
            break;
        }
    }
    let source = source(PBX);
    lab.engine
        .handle_datagram(lab.now, source, invite("c1").as_bytes());
    assert_eq!(lab.counted(Counter::InviteOverload), 1);
    lab.sent();
    assert_eq!(statuses(&mut lab, "INVITE", "c2"), [100, 182]);
}

#[test]
fn when_memory_is_used_up_a_call_is_taken_only_in_the_place_of_another() {
    let mut lab = Lab::new("memory_max = 100", "");
    let resident = |lab: &mut Lab, mebibytes: u64| {
        lab.engine
            .handle_request(lab.now, Input::Resident(mebibytes << 20));
    };
    let calls: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    resident(&mut lab, 100);
    for call in &calls {
        assert_eq!(statuses(&mut lab, "INVITE", call), [100, 182]);
    }
    resident(&mut lab, 101);
    assert_eq!(statuses(&mut lab, "INVITE", "more"), [503]);
    assert_eq!(lab.counted(Counter::InviteOutOfMemory), 1);
    // Whoever is there goes on, and its place is free when it has gone.
    let cancel = request("CANCEL", PBX, "c0", WHO).replace("c0CANCEL", "c0INVITE");
    assert_eq!(hand_over(&mut lab, Duration::ZERO, &cancel), [200, 487]);
    assert_eq!(statuses(&mut lab, "INVITE", "next"), [100, 182]);
    assert_eq!(statuses(&mut lab, "INVITE", "another"), [503]);
    resident(&mut lab, 100);
    assert_eq!(statuses(&mut lab, "INVITE", "late"), [100, 182]);
}

#[test]
fn a_source_that_calls_too_often_is_refused_and_others_are_not() {
    let mut lab = Lab::new("", "call_rate = 2\naccept = [\"203.0.113.0/24\"]");
    assert_eq!(statuses(&mut lab, "INVITE", "c1"), [100, 182]);
    assert_eq!(statuses(&mut lab, "INVITE", "c2"), [100, 182]);
    for call in ["c3", "c4"] {
        let sent = lab.send(PBX, invite(call).as_bytes());
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(status(&sent[0].1), Some(503));
        assert_eq!(value(&sent[0].1, "Retry-After"), Some("10"));
    }
    assert_eq!(lab.counted(Counter::InviteTooOften), 2);
    assert_eq!(lab.engine.user_agent().legs(), 2);
    // Copies are no calls, and what belongs to a call is none either.
    assert_eq!(statuses(&mut lab, "INVITE", "c1"), [182]);
    assert_eq!(statuses(&mut lab, "OPTIONS", "ping"), [200]);
    let other = "203.0.113.9:5060";
    let sent = lab.send(other, request("INVITE", other, "c5", WHO).as_bytes());
    assert_eq!(status(&sent[0].1), Some(100));
    lab.wait(Duration::from_millis(500));
    assert_eq!(statuses(&mut lab, "INVITE", "c6"), [100, 182]);
    assert_eq!(statuses(&mut lab, "INVITE", "c7"), [503]);
}

#[test]
fn who_asks_hears_how_much_less_it_should_send_while_calls_are_refused_and_for_a_while() {
    let mut lab = Lab::new("", "");
    fall_behind(&mut lab);
    let told = |lab: &mut Lab, call: &str, waited: Duration| {
        let came = lab
            .now
            .checked_sub(waited)
            .expect("tests run after the start");
        lab.engine.handle_arrival(came, Urgency::Last);
        let asks = ";oc;oc-algo=\"loss\";branch=";
        let sent = lab.send(PBX, invite(call).replace(";branch=", asks).as_bytes());
        let via = value(&sent[0].1, "Via").expect("a Via");
        let loss = via
            .split(";oc=")
            .nth(1)
            .and_then(|rest| rest.split(';').next());
        let loss = loss.and_then(|loss| loss.parse::<u8>().ok());
        (status(&sent[0].1), loss.expect("a percentage"))
    };
    assert_eq!(told(&mut lab, "c1", LATE), (Some(503), 0), "not known yet");
    for call in ["c2", "c3", "c4"] {
        assert_eq!(told(&mut lab, call, LATE).0, Some(503));
    }
    lab.wait(FEEDBACK_VALIDITY);
    let (answer, loss) = told(&mut lab, "c5", LATE);
    assert!(answer == Some(503) && loss > 50, "{loss}");
    lab.wait(FEEDBACK_VALIDITY * 4);
    let (answer, later) = told(&mut lab, "c6", Duration::ZERO);
    assert!(answer == Some(100) && later < loss, "{later}");
    lab.wait(FEEDBACK_VALIDITY * 30);
    assert_eq!(told(&mut lab, "c7", Duration::ZERO), (Some(100), 0));
}

#[test]
fn however_a_call_is_written_it_counts_as_one() {
    let plain = "To: <sip:7000@192.0.2.10>";
    for (from, to) in [
        ("INVITE sip", "\r\n\r\nINVITE sip"),
        (plain, "To: <sip:7000@192.0.2.10>;x=stage"),
        (plain, "To: sip:7000@stage"),
        (plain, "To: \"tag\" <sip:7000@192.0.2.10>;x=\";tag=1\""),
    ] {
        let odd = |call: &str| invite(call).replacen(from, to, 1);
        let mut lab = Lab::new("", "call_rate = 2");
        let source = source(PBX);
        let urgency = lab.engine.urgency(&source, odd("c1").as_bytes());
        assert_eq!(urgency, Urgency::Last, "{to}");
        for (call, expected) in [("c1", 100), ("c2", 100), ("c3", 503), ("c4", 503)] {
            let answered = hand_over(&mut lab, Duration::ZERO, &odd(call));
            assert_eq!(answered.first(), Some(&expected), "{to}: {answered:?}");
        }
        assert_eq!(lab.counted(Counter::InviteTooOften), 2);
        // And it is refused when it has waited too long.
        lab.wait(Duration::from_secs(10));
        fall_behind(&mut lab);
        assert_eq!(hand_over(&mut lab, LATE, &odd("c5")), [503], "{to}");
    }
}

#[test]
fn who_is_not_known_is_in_nobodys_way() {
    const STRANGER: &str = "198.51.100.66:5060";
    let mut lab = Lab::new("", "");
    let sent = lab.send(PBX, invite("c1").as_bytes());
    let tag = sent
        .iter()
        .find_map(|(_, text)| value(text, "To")?.split("tag=").nth(1));
    let within = WHO.replace(
        "192.0.2.10>",
        &format!("192.0.2.10>;tag={}", tag.expect("a tag")),
    );
    let source = source(STRANGER);
    for method in ["INVITE", "OPTIONS", "NOTIFY", "CANCEL", "BYE", "MESSAGE"] {
        let message = request(method, STRANGER, "c1", WHO);
        let urgency = lab.engine.urgency(&source, message.as_bytes());
        assert_eq!(urgency, Urgency::Aside, "{method}");
        // However late it comes, and however much of it, clients and trunks hear nothing of it.
        for _ in 0..3 {
            lab.wait(BEHIND_AFTER);
            let came = lab.now.checked_sub(REQUEST_WAIT_MAX * 2);
            let came = came.expect("tests run after the start");
            lab.engine.handle_arrival(came, urgency);
            assert!(lab.send(STRANGER, message.as_bytes()).is_empty());
            lab.engine.handle_arrival(came, urgency);
            lab.engine
                .handle_excess(lab.now, source, message.as_bytes());
            assert!(lab.sent().is_empty());
        }
        assert!(!lab.engine.backlog.requests.is_behind(lab.now), "{method}");
        assert!(!lab.engine.backlog.calls.is_behind(lab.now), "{method}");
    }
    assert_eq!(lab.counted(Counter::InviteUnknownSource), 3);
    assert_eq!(lab.counted(Counter::RequestUnknownSource), 5 * 3 + 6 * 3);
    // A far end that speaks from another address than its trunk's is heard like any other.
    let bye = request("BYE", STRANGER, "c1", &within);
    assert_eq!(lab.engine.urgency(&source, bye.as_bytes()), Urgency::Now);
}

#[test]
fn what_another_shard_has_begun_is_known_wherever_it_comes() {
    const MEDIA_SERVER: &str = "198.51.100.66:5060";
    const KEYS: [u64; 2] = [1, 2];
    let mut lab = Lab::new("", "");
    lab.engine.owners = Owners::new(2, KEYS);
    let source = source(MEDIA_SERVER);
    let of = |shard, keys| call_id::mint(ShardId(shard), 7, keys, None);
    for (call_id, expected) in [
        (of(1, KEYS), Urgency::Now),
        // Nobody can make one up, this shard would know its own, and there are no more.
        (of(1, [7, 7]), Urgency::Aside),
        (of(0, KEYS), Urgency::Aside),
        (of(2, KEYS), Urgency::Aside),
    ] {
        let bye = request("BYE", MEDIA_SERVER, &call_id, WHO);
        let urgency = lab.engine.urgency(&source, bye.as_bytes());
        assert_eq!(urgency, expected, "{call_id}");
    }
}

#[test]
fn a_call_whose_cancel_has_overtaken_it_is_not_taken() {
    let mut lab = Lab::new("", "");
    let source = source(PBX);
    let cancel = request("CANCEL", PBX, "c1", WHO).replace("c1CANCEL", "c1INVITE");
    lab.engine.handle_arrival(lab.now, Urgency::Last);
    lab.engine.handle_excess(lab.now, source, cancel.as_bytes());
    let sent = lab.sent();
    assert_eq!(status(&sent[0].1), Some(481));
    // The INVITE has waited meanwhile.
    assert_eq!(statuses(&mut lab, "INVITE", "c1"), [503]);
    assert_eq!(lab.counted(Counter::InviteOverload), 1);
    assert_eq!(lab.engine.user_agent().legs(), 0);
    assert_eq!(statuses(&mut lab, "INVITE", "c2"), [100, 182]);
}

/// What somebody hears that follows RFC 7339.
fn told(lab: &mut Lab, call: &str) -> u8 {
    let asks = ";oc;oc-algo=\"loss\";branch=";
    let sent = lab.send(PBX, invite(call).replace(";branch=", asks).as_bytes());
    let via = value(&sent[0].1, "Via").expect("a Via");
    let loss = via
        .split(";oc=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    loss.and_then(|loss| loss.parse().ok())
        .expect("a percentage")
}

#[test]
fn of_new_calls_each_counts_once_in_what_clients_are_told() {
    let mut lab = Lab::new("", "call_rate = 4");
    let source = source(PBX);
    lab.engine.handle_arrival(lab.now, Urgency::Last);
    lab.engine
        .handle_excess(lab.now, source, invite("c1").as_bytes());
    assert_eq!(status(&lab.sent()[0].1), Some(503));
    assert_eq!(statuses(&mut lab, "INVITE", "c2"), [100, 182]);
    // Copies, what ends a call, strangers, and those who call too often.
    for _ in 0..5 {
        assert_eq!(statuses(&mut lab, "INVITE", "c1"), [503]);
        assert_eq!(statuses(&mut lab, "INVITE", "c2"), [182]);
        assert_eq!(statuses(&mut lab, "CANCEL", "c3"), [481]);
        let stranger = request("INVITE", "198.51.100.66:5060", "c4", WHO);
        lab.send("198.51.100.66:5060", stranger.as_bytes());
    }
    for call in ["c5", "c6", "c7"] {
        assert_eq!(statuses(&mut lab, "INVITE", call), [100, 182]);
    }
    for call in ["c8", "c9"] {
        assert_eq!(statuses(&mut lab, "INVITE", call), [503]);
    }
    lab.wait(FEEDBACK_VALIDITY);
    assert_eq!(told(&mut lab, "c10"), 20, "one of five");
}

#[test]
fn what_clients_are_told_is_of_all_shards_and_numbered_by_the_clock() {
    let mut lab = Lab::new("", "");
    told(&mut lab, "c1");
    let offered = Offered {
        came: 99,
        refused: 50,
    };
    lab.engine
        .handle_message(lab.now, ShardId(1), Message::Offered(offered));
    lab.wait(FEEDBACK_VALIDITY);
    assert_eq!(told(&mut lab, "c2"), 50);
    // A process that starts later says more, whatever its age.
    let wall = |seconds| Wall {
        at: lab.now,
        since_epoch: Duration::from_secs(seconds),
    };
    let (early, late) = (wall(1_000), wall(1_800_000_000));
    let number = |backlog: &mut Backlog, wall| backlog.feedback(lab.now, wall).sequence;
    let mut backlog = Backlog::new(1);
    assert_eq!(number(&mut backlog, late), late.since_epoch);
    assert_eq!(number(&mut backlog, early), late.since_epoch, "set back");
}
