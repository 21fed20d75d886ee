//! How long a subscription lasts, when it is refreshed, and what becomes of its vote.

use std::time::Duration;

use offhook::counters::Counter;
use offhook::cti::SubscriptionStatus;
use offhook::dialog::SubscriptionEvent;
use offhook::presence::Vote;

use crate::lab::{DN, Lab, Sent, busy, idle, notified, pidf, seconds};

fn hour() -> Duration {
    seconds(3_600)
}

impl Lab {
    /// Lets the refresh go out and answers it with 481; the next SUBSCRIBE goes out.
    pub(crate) fn refresh_refused_481(&mut self) {
        self.until_sent();
        assert!(
            matches!(self.last(), Sent::Refresh { .. }),
            "{:?}",
            self.last()
        );
        self.refuse(481);
        self.until_sent();
        assert!(
            matches!(self.last(), Sent::Subscribe { .. }),
            "{:?}",
            self.last()
        );
    }
}

#[test]
fn the_subscribe_says_what_is_configured() {
    let mut lab = Lab::new("expires = \"2h\"\nfrom = \"watcher\"");
    lab.run(seconds(1));
    let subscribe = &lab.subscribes[0];
    assert_eq!(subscribe.request_uri, "sip:8001@pbx.example.com");
    assert_eq!(
        (&*subscribe.from_user, subscribe.expires),
        ("watcher", seconds(7_200))
    );
    assert_eq!(subscribe.target.address.to_string(), "192.0.2.20:5060");

    let mut lab = Lab::new("domain = \"cluster.example.com\"");
    lab.run(seconds(1));
    assert_eq!(
        lab.subscribes[0].request_uri,
        "sip:8001@cluster.example.com"
    );
}

#[test]
fn statuses_go_from_pending_to_active() {
    let lab = Lab::subscribed("", 3_600);
    assert_eq!(
        lab.statuses,
        [SubscriptionStatus::Pending, SubscriptionStatus::Active]
    );
}

#[test]
fn no_watcher_without_presence() {
    let mut lab = Lab::new("enabled = false");
    assert_eq!(lab.watchers.poll_timeout(), None);
    assert_eq!(lab.status(), SubscriptionStatus::Off);
    lab.run(seconds(100));
    assert!(lab.sent.is_empty());
}

#[test]
fn p2_a_notify_before_the_2xx_counts() {
    let mut lab = Lab::new("");
    lab.run(seconds(1));
    lab.notify(&busy());
    assert!(matches!(
        lab.vote(),
        Some(Vote::NotReady { initial: true, .. })
    ));
    lab.accept(seconds(1_000));
    lab.sent.clear();
    let wait = lab.until_sent();
    assert_eq!(lab.last(), Sent::Refresh { expires: hour() });
    assert!(wait >= seconds(800) && wait <= seconds(901), "{wait:?}");
}

#[test]
fn refreshes_come_at_0_8_to_0_9_of_what_was_granted_and_differ() {
    let mut lab = Lab::subscribed("", 1_000);
    let mut waits = Vec::new();
    for _ in 0..20 {
        waits.push(lab.until_sent());
        assert_eq!(lab.last(), Sent::Refresh { expires: hour() });
        lab.accept(seconds(1_000));
        lab.notify(&idle());
    }
    assert!(
        waits
            .iter()
            .all(|wait| *wait >= seconds(800) && *wait <= seconds(901)),
        "{waits:?}"
    );
    let spread = *waits.iter().max().unwrap() - *waits.iter().min().unwrap();
    assert!(spread > seconds(30), "{spread:?}");
    assert_eq!(lab.counted(Counter::SubscriptionRefreshed), 20);
}

#[test]
fn p9_a_longer_time_than_asked_is_not_believed() {
    let mut lab = Lab::new("expires = 600");
    lab.run(seconds(1));
    lab.accept(seconds(1_000_000));
    lab.notify(&idle());
    let wait = lab.until_sent();
    assert!(wait <= seconds(541), "{wait:?}");
}

#[test]
fn p9_a_notify_may_shorten_and_never_extends() {
    let mut lab = Lab::subscribed("", 1_000);
    lab.event(notified(&idle(), None));
    lab.event(notified(&idle(), Some(100_000)));
    lab.event(notified(&idle(), Some(100)));
    lab.event(notified(&idle(), Some(900)));
    let wait = lab.until_sent();
    assert_eq!(lab.last(), Sent::Refresh { expires: hour() });
    assert!(wait >= seconds(80) && wait <= seconds(91), "{wait:?}");
}

#[test]
fn p11_a_vote_ends_with_the_subscription_that_gave_it() {
    let mut lab = Lab::subscribed("", 1_000);
    // The refresh and everything after it meet silence.
    let silent = lab.now;
    while lab.votes.is_empty() {
        lab.until_sent();
        if lab.last() != Sent::Forget {
            lab.event(SubscriptionEvent::Unreachable);
        }
    }
    let held = lab.now - silent;
    assert_eq!(lab.vote(), Some(Vote::None));
    assert!(held >= seconds(1_000), "{held:?}");
    assert_eq!(lab.status(), SubscriptionStatus::Lost);
}

#[test]
fn p11_the_end_is_exact_although_nobody_answers_at_all() {
    let mut lab = Lab::subscribed("", 1_000);
    lab.run(seconds(999));
    assert_eq!(lab.vote(), None);
    lab.run(seconds(2));
    assert_eq!(lab.vote(), Some(Vote::None));
    assert_eq!(lab.status(), SubscriptionStatus::Lost);
    assert_eq!(lab.vote(), None);
}

#[test]
fn a_vote_that_expired_comes_back_with_the_same_body() {
    let mut lab = Lab::subscribed("", 1_000);
    lab.run(seconds(1_002));
    assert_eq!(lab.vote(), Some(Vote::None));
    lab.accept(seconds(1_000));
    lab.notify(&idle());
    assert!(matches!(lab.vote(), Some(Vote::Ready { .. })));
    assert_eq!(lab.status(), SubscriptionStatus::Active);
}

#[test]
fn p5_481_on_a_refresh_leads_to_a_new_subscription_and_keeps_the_vote() {
    let mut lab = Lab::subscribed("", 1_000);
    lab.until_sent();
    lab.refuse(481);
    let wait = lab.until_sent();
    assert!(wait <= seconds(2), "at once, with jitter: {wait:?}");
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 0, .. }));
    assert_eq!(lab.epochs[&DN], 2);
    assert_eq!(lab.vote(), None);
    lab.accept(seconds(1_000));
    lab.notify(&busy());
    assert!(matches!(
        lab.vote(),
        Some(Vote::NotReady { initial: true, .. })
    ));
}

#[test]
fn p5_silence_or_408_on_a_refresh_leads_to_a_new_subscription_at_the_next_peer() {
    for timed_out in [false, true] {
        let mut lab = Lab::subscribed("", 1_000);
        lab.until_sent();
        if timed_out {
            lab.refuse(408);
        } else {
            lab.event(SubscriptionEvent::Unreachable);
        }
        assert_eq!(lab.last(), Sent::Forget);
        assert!(lab.until_sent() <= seconds(2));
        assert!(matches!(lab.last(), Sent::Subscribe { peer: 1, .. }));
        assert_eq!(lab.vote(), None, "the vote is kept");
    }
}

#[test]
fn a_refresh_whose_outcome_never_comes_is_given_up() {
    let mut lab = Lab::subscribed("", 3_600);
    lab.until_sent();
    let wait = lab.until_sent();
    assert_eq!((wait, lab.last()), (seconds(64), Sent::Forget));
    lab.until_sent();
    assert!(matches!(lab.last(), Sent::Subscribe { .. }));
}

#[test]
fn a_refused_refresh_leaves_the_subscription_for_what_is_left_of_it() {
    for status in [480, 500, 503] {
        let mut lab = Lab::subscribed("", 1_000);
        lab.until_sent();
        lab.refuse(status);
        lab.notify(&busy());
        assert!(
            matches!(lab.vote(), Some(Vote::NotReady { initial: false, .. })),
            "{status}"
        );
        let wait = lab.until_sent();
        assert_eq!(lab.last(), Sent::Refresh { expires: hour() }, "{status}");
        assert!(wait <= seconds(3), "{wait:?}");
        lab.accept(seconds(1_000));
        assert_eq!(lab.epochs[&DN], 1);
    }
}

#[test]
fn a_refresh_sent_away_beyond_the_end_becomes_a_new_subscription() {
    let mut lab = Lab::subscribed("", 1_000);
    lab.until_sent();
    let left = seconds(1_000) - (lab.now - lab.start);
    lab.refuse_with(503, Some(3_000), None);
    assert_eq!(lab.failures[0].2, Some(seconds(3_000)));
    let wait = lab.until_sent();
    assert_eq!(lab.last(), Sent::Forget);
    assert!(wait <= left + seconds(2), "{wait:?}");
    assert_eq!(lab.vote(), Some(Vote::None));
    lab.until_sent();
    assert!(matches!(lab.last(), Sent::Subscribe { .. }));
}

#[test]
fn decision_14_the_state_can_be_asked_for() {
    let mut lab = Lab::subscribed("", 3_600);
    lab.run(seconds(100));
    lab.watchers.refresh_now(lab.now, &mut lab.trunks, DN);
    lab.watchers.refresh_now(lab.now, &mut lab.trunks, DN);
    lab.run(seconds(1));
    assert_eq!(lab.sent.len(), 1);
    assert_eq!(lab.last(), Sent::Refresh { expires: hour() });
    lab.accept(hour());
    lab.notify(&busy());
    assert!(matches!(
        lab.vote(),
        Some(Vote::NotReady { initial: false, .. })
    ));
    let wait = lab.until_sent();
    assert!(wait >= seconds(2_880), "the clock starts anew: {wait:?}");
}

#[test]
fn nothing_is_asked_for_while_there_is_no_subscription() {
    let mut lab = Lab::new("");
    lab.run(seconds(1));
    assert_eq!(lab.sent.len(), 1);
    lab.watchers.refresh_now(lab.now, &mut lab.trunks, DN);
    lab.run(seconds(10));
    assert_eq!(lab.sent.len(), 1);
}

#[test]
fn accepted_for_no_time_is_not_accepted() {
    let mut lab = Lab::new("");
    lab.run(seconds(1));
    lab.accept(Duration::ZERO);
    assert_eq!(lab.last(), Sent::Forget);
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push(lab.until_sent());
        lab.accept(Duration::ZERO);
    }
    assert!(waits[5] > waits[0] * 8, "{waits:?}");
}

#[test]
fn a_refresh_that_is_late_finds_its_vote_expired_and_restores_it() {
    let mut lab = Lab::subscribed("expires = 60", 60);
    lab.until_sent();
    lab.run(seconds(20));
    assert_eq!(lab.vote(), Some(Vote::None));
    lab.notify(&pidf("open", "<e:on-the-phone/>"));
    assert!(matches!(lab.vote(), Some(Vote::NotReady { .. })));
    lab.accept(seconds(60));
    lab.run(seconds(30));
    assert_eq!(lab.vote(), None, "kept");
    assert_eq!(lab.status(), SubscriptionStatus::Active);
}

#[test]
fn the_user_agent_without_room_is_asked_again_later() {
    let mut lab = Lab::new("");
    lab.run(seconds(1));
    lab.full();
    assert!(lab.failures.is_empty(), "no peer's fault");
    let wait = lab.until_sent();
    assert!(wait >= seconds(1), "{wait:?}");
    assert!(matches!(lab.last(), Sent::Subscribe { .. }));
}
