//! Trunks and peers that leave and come back under the subscriptions.

use std::sync::Arc;

use offhook::config::{self, TrunkIndex};
use offhook::cti::SubscriptionStatus;
use offhook::presence::Vote;
use offhook::trunk::HealthChange;

use crate::lab::{DN, Lab, Sent, busy, idle, seconds};

#[test]
fn without_a_trunk_in_service_a_dn_waits_and_starts_when_one_is_back() {
    let mut lab = Lab::new("");
    lab.peer(0, false);
    lab.peer(1, false);
    lab.run(seconds(1_000));
    assert!(lab.sent.is_empty());
    assert_eq!(lab.status(), SubscriptionStatus::Lost);
    lab.peer(1, true);
    assert!(lab.until_sent() <= seconds(1));
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 1, .. }));
}

#[test]
fn a_peer_that_is_gone_for_a_moment_keeps_its_subscriptions() {
    let mut lab = Lab::subscribed("", 3_600);
    lab.peer(0, false);
    lab.run(seconds(3));
    lab.peer(0, true);
    assert!(lab.until_sent() <= seconds(2));
    assert!(
        matches!(lab.last(), Sent::Refresh { .. }),
        "asks how it stands"
    );
    lab.accept(seconds(3_600));
    assert_eq!(
        (lab.epochs[&DN], lab.status()),
        (1, SubscriptionStatus::Active)
    );
}

#[test]
fn subscriptions_leave_a_peer_that_stays_out() {
    let mut lab = Lab::subscribed("", 3_600);
    lab.peer(0, false);
    let wait = lab.until_sent();
    assert_eq!(lab.sent[0].2, Sent::Forget);
    assert!(wait >= seconds(5) && wait <= seconds(11), "{wait:?}");
    lab.run(seconds(1));
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 1, .. }));
    assert_eq!(lab.vote(), None, "the vote is kept");
    lab.accept(seconds(3_600));
    lab.notify(&busy());
    assert!(matches!(
        lab.vote(),
        Some(Vote::NotReady { initial: true, .. })
    ));
}

#[test]
fn decision_10_a_trunk_outage_keeps_votes_until_they_expire() {
    let mut lab = Lab::subscribed("", 1_000);
    lab.peer(0, false);
    lab.peer(1, false);
    lab.run(seconds(900));
    assert_eq!(lab.vote(), None);
    assert_eq!(lab.status(), SubscriptionStatus::Lost);
    assert!(lab.sent.is_empty(), "nobody to ask: {:?}", lab.sent);
    lab.run(seconds(200));
    assert_eq!(lab.vote(), Some(Vote::None), "no say, not Out");
    lab.peer(0, true);
    lab.until_sent();
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 0, .. }));
}

#[test]
fn after_an_outage_the_subscription_is_asked_for_and_found_again() {
    let mut lab = Lab::subscribed("", 3_600);
    lab.peer(0, false);
    lab.peer(1, false);
    lab.run(seconds(300));
    lab.peer(0, true);
    assert!(lab.until_sent() <= seconds(2));
    assert!(matches!(lab.last(), Sent::Refresh { .. }));
    lab.accept(seconds(3_600));
    lab.notify(&idle());
    assert_eq!(lab.vote(), Some(Vote::Ready { initial: false }));
    assert_eq!(lab.status(), SubscriptionStatus::Active);
}

#[test]
fn a_peer_that_goes_while_a_dn_stands_in_line_is_passed_over() {
    let mut lab = Lab::new("");
    lab.peer(0, false);
    lab.run(seconds(1));
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 1, .. }));
}

#[test]
fn a_failed_dn_is_called_when_a_peer_is_back() {
    let mut lab = Lab::new("");
    lab.run(seconds(1));
    for _ in 0..20 {
        lab.event(offhook::dialog::SubscriptionEvent::Unreachable);
        lab.until_sent();
    }
    lab.event(offhook::dialog::SubscriptionEvent::Unreachable);
    lab.peer(1, false);
    lab.peer(1, true);
    assert!(lab.until_sent() <= seconds(1));
}

#[test]
fn a_second_trunk_takes_over_from_the_first() {
    let text = r#"
        [server]
        sip = ["udp:127.0.0.1:5060"]
        [[trunk]]
        name = "first"
        peers = ["udp:192.0.2.20:5060"]
        [[trunk]]
        name = "second"
        peers = ["udp:192.0.2.21:5060"]
        [[agent]]
        dn = "8001"
        trunks = ["first", "second"]
    "#;
    let config = config::parse(text, &|_| Err("no files".into())).expect("no mistakes");
    let mut lab = Lab::with(Arc::new(config), 1, 7);
    lab.run(seconds(2));
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 0, .. }));
    lab.event(offhook::dialog::SubscriptionEvent::Unreachable);
    lab.until_sent();
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 1, .. }));
    lab.accept(seconds(3_600));
    lab.notify(&idle());
    let change = HealthChange {
        peer: 0,
        in_service: false,
    };
    lab.trunks.handle_change(TrunkIndex(1), change);
    lab.watchers
        .handle_change(lab.now, &mut lab.trunks, TrunkIndex(1), change);
    lab.run(seconds(12));
    assert!(matches!(lab.last(), Sent::Subscribe { peer: 0, .. }));
}
