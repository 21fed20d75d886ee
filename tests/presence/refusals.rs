//! SUBSCRIBEs that are refused or meet silence.

use std::time::Duration;

use offhook::counters::Counter;
use offhook::cti::SubscriptionStatus;
use offhook::dialog::SubscriptionEvent;
use offhook::presence::Vote;
use offhook::trunk::Failure;

use crate::lab::{Lab, Sent, config, idle, seconds};

fn started() -> Lab {
    let mut lab = Lab::new("");
    lab.run(seconds(1));
    lab
}

#[test]
fn p6_423_is_answered_once_with_what_the_peer_wants_and_remembered() {
    let agents = "[[agents]]\nrange = \"8001-8002\"\ntrunks = [\"pbx\"]";
    let mut lab = Lab::with(config("expires = 600", agents), 1, 7);
    // The second DN's turn is not there yet.
    lab.until_sent();
    let (dn, epoch) = (lab.sent[0].1, 1);
    lab.event_for(
        dn,
        epoch,
        SubscriptionEvent::Refused {
            status: offhook::sip::Status::INTERVAL_TOO_BRIEF,
            retry_after: None,
            min_expires: Some(seconds(3_600)),
        },
    );
    lab.run(seconds(1));
    let asked: Vec<Duration> = lab
        .subscribes
        .iter()
        .map(|subscribe| subscribe.expires)
        .collect();
    assert_eq!(
        asked,
        [600, 3_600, 3_600].map(seconds),
        "the other DN has learned, too"
    );
}

#[test]
fn p6_a_second_423_is_a_refusal() {
    let mut lab = started();
    lab.refuse_with(423, None, Some(7_200));
    lab.until_sent();
    assert!(matches!(lab.last(), Sent::Subscribe { expires, .. } if expires == seconds(7_200)));
    lab.refuse_with(423, None, Some(9_000));
    assert_eq!(lab.status(), SubscriptionStatus::Failed);
    assert!(lab.until_sent() >= seconds(300));
}

#[test]
fn p6_a_423_that_asks_for_nothing_or_too_much_is_a_refusal() {
    for least in [None, Some(60), Some(3_600), Some(4_000_000_000)] {
        let mut lab = started();
        lab.refuse_with(423, None, least);
        assert_eq!(lab.status(), SubscriptionStatus::Failed, "{least:?}");
    }
}

#[test]
fn p6_423_on_a_refresh_is_answered_in_the_dialog() {
    let mut lab = Lab::subscribed("", 1_000);
    lab.until_sent();
    lab.refuse_with(423, None, Some(5_000));
    lab.until_sent();
    assert_eq!(
        lab.last(),
        Sent::Refresh {
            expires: seconds(5_000)
        }
    );
    lab.refuse_with(423, None, Some(6_000));
    assert_eq!(lab.status(), SubscriptionStatus::Failed);
    lab.notify(&idle());
    assert_eq!(
        lab.vote(),
        Some(Vote::Ready { initial: false }),
        "what is left still counts"
    );
}

#[test]
fn p7_what_will_not_change_is_tried_again_rarely() {
    for status in [302, 400, 401, 403, 404, 489, 501, 603] {
        let mut lab = started();
        lab.refuse(status);
        assert_eq!(lab.status(), SubscriptionStatus::Failed, "{status}");
        assert_eq!(lab.vote(), None, "no say is not Out");
        let mut waits = Vec::new();
        for _ in 0..5 {
            waits.push(lab.until_sent());
            assert_eq!(lab.status(), SubscriptionStatus::Failed);
            lab.refuse(status);
        }
        let fits = |wait: &Duration| *wait >= seconds(300) && *wait <= seconds(901);
        assert!(waits.iter().all(fits), "{waits:?}");
        assert_eq!(
            lab.statuses,
            [SubscriptionStatus::Pending, SubscriptionStatus::Failed]
        );
        assert_eq!(lab.counted(Counter::SubscriptionFailed), 6);
    }
}

#[test]
fn p7_the_alarm_ends_when_the_pbx_notifies() {
    let mut lab = started();
    lab.refuse(403);
    lab.until_sent();
    lab.accept(seconds(600));
    assert_eq!(lab.status(), SubscriptionStatus::Failed);
    lab.notify(&idle());
    assert_eq!(lab.status(), SubscriptionStatus::Active);
}

#[test]
fn d27_503_goes_to_the_next_peer_and_then_waits_as_asked() {
    let mut lab = started();
    lab.refuse_with(503, Some(30), None);
    assert_eq!(lab.failures, [(0, Failure::Unavailable, Some(seconds(30)))]);
    assert!(lab.until_sent() <= seconds(1));
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 1, .. }));
    lab.refuse_with(503, Some(30), None);
    assert_eq!(lab.status(), SubscriptionStatus::Lost);
    let wait = lab.until_sent();
    assert!(wait >= seconds(30) && wait <= seconds(35), "{wait:?}");
}

#[test]
fn silence_goes_to_the_next_peer_and_then_backs_off() {
    let mut lab = started();
    let mut rounds = Vec::new();
    let mut from = lab.now;
    for _ in 0..12 {
        assert!(matches!(lab.last(), Sent::Subscribe { peer: 0, .. }));
        lab.event(SubscriptionEvent::Unreachable);
        lab.until_sent();
        assert!(matches!(lab.last(), Sent::Subscribe { peer: 1, .. }));
        lab.event(SubscriptionEvent::Unreachable);
        lab.until_sent();
        rounds.push(lab.now - from);
        from = lab.now;
    }
    assert!(
        lab.failures
            .iter()
            .all(|failure| failure.1 == Failure::Silent)
    );
    assert!(rounds[0] < seconds(3), "{rounds:?}");
    assert!(rounds[5] > rounds[0] * 8, "{rounds:?}");
    assert!(
        rounds[11] >= seconds(150) && rounds[11] <= seconds(301),
        "{rounds:?}"
    );
    assert_eq!(lab.vote(), None);
}

#[test]
fn a_peer_that_accepts_and_does_not_notify_is_left_but_not_reported() {
    let mut lab = started();
    lab.accept(seconds(3_600));
    lab.event(SubscriptionEvent::NotifyMissing);
    assert_eq!(lab.last(), Sent::Forget);
    assert!(lab.failures.is_empty());
    lab.until_sent();
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 1, .. }));
}

#[test]
fn a_faulty_peer_is_left_for_the_next() {
    for status in [408, 500, 502, 504] {
        let mut lab = started();
        lab.refuse(status);
        assert!(lab.until_sent() <= seconds(1), "{status}");
        assert!(
            matches!(lab.last(), Sent::Subscribe { peer: 1, .. }),
            "{status}"
        );
        assert!(lab.failures.is_empty());
    }
}

#[test]
fn a_dn_that_is_not_to_be_had_now_is_tried_again_soon() {
    for status in [480, 481, 486, 491] {
        let mut lab = started();
        lab.refuse_with(status, Some(20), None);
        assert_eq!(lab.status(), SubscriptionStatus::Lost);
        let wait = lab.until_sent();
        assert!(
            wait >= seconds(20) && wait <= seconds(24),
            "{status} {wait:?}"
        );
    }
}

#[test]
fn a_subscribe_whose_outcome_never_comes_is_given_up() {
    let mut lab = started();
    lab.until_sent();
    assert_eq!(lab.last(), Sent::Forget);
    assert!(lab.until_sent() <= seconds(1));
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 1, .. }));
}
