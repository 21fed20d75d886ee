//! P8: NOTIFYs that end a subscription, reason by reason (RFC 6665 §4.1.3).

use std::time::Duration;

use offhook::cti::SubscriptionStatus::{self, Active, Failed, Lost, Pending};
use offhook::dialog::TerminatedReason::{
    self, Deactivated, Giveup, Invariant, NoResource, Other, Probation, Rejected, Timeout,
};
use offhook::presence::Vote;

use crate::lab::{DN, Lab, Sent, busy, idle, list, seconds};

fn out() -> Option<Vote> {
    Some(Vote::Out {
        activities: list(&[]),
    })
}

/// The reason, its retry-after, the status that follows, and when the next SUBSCRIBE goes out.
type Row = (
    TerminatedReason,
    Option<u64>,
    SubscriptionStatus,
    Option<(u64, u64)>,
);

const TABLE: [Row; 15] = [
    (Deactivated, None, Pending, Some((0, 2))),
    (Deactivated, Some(500), Pending, Some((0, 2))),
    (Timeout, None, Pending, Some((0, 2))),
    (Timeout, Some(500), Pending, Some((0, 2))),
    (Probation, None, Lost, Some((1, 3))),
    (Probation, Some(500), Lost, Some((500, 552))),
    (Giveup, None, Lost, Some((1, 3))),
    (Giveup, Some(500), Lost, Some((500, 552))),
    (Rejected, None, Failed, Some((300, 901))),
    (Rejected, Some(2_000), Failed, Some((300, 901))),
    (NoResource, None, Failed, Some((300, 901))),
    (NoResource, Some(2_000), Failed, Some((300, 901))),
    (Invariant, None, Failed, None),
    (Other, None, Pending, Some((0, 2))),
    (Other, Some(500), Lost, Some((500, 552))),
];

#[test]
fn p8_each_reason_has_its_wait() {
    for (reason, retry_after, status, next) in TABLE {
        let mut lab = Lab::subscribed("", 3_600);
        lab.run(seconds(100));
        lab.terminate(reason, retry_after);
        assert_eq!(
            lab.vote(),
            out(),
            "R4, and the body does not count: {reason:?}"
        );
        assert_eq!(lab.vote(), None);
        assert_eq!(lab.status(), status, "{reason:?} {retry_after:?}");
        let Some((from, to)) = next else {
            lab.run(seconds(1_000_000));
            assert!(lab.sent.is_empty(), "{reason:?} never changes");
            assert_eq!(lab.watchers.poll_timeout(), None);
            continue;
        };
        let wait = lab.until_sent();
        assert!(
            wait >= seconds(from) && wait <= seconds(to),
            "{reason:?} {retry_after:?} after {wait:?}"
        );
        assert!(
            matches!(lab.last(), Sent::Subscribe { .. }),
            "nothing to forget: it is over"
        );
    }
}

#[test]
fn p8_the_grace_defers_the_logout_for_what_may_pass() {
    for (reason, retry_after, ..) in TABLE {
        let mut lab = Lab::subscribed("terminated_grace = 60", 3_600);
        lab.terminate(reason, retry_after);
        let deferred = matches!(reason, Timeout | Deactivated | Probation);
        assert_eq!(
            lab.vote(),
            if deferred { None } else { out() },
            "{reason:?}"
        );
        lab.run(seconds(59));
        assert_eq!(lab.vote(), None);
        lab.run(seconds(2));
        assert_eq!(
            lab.vote(),
            if deferred { out() } else { None },
            "{reason:?}"
        );
    }
}

#[test]
fn a_new_word_within_the_grace_is_all_that_is_heard() {
    let mut lab = Lab::subscribed("terminated_grace = 60", 3_600);
    lab.terminate(Deactivated, None);
    lab.until_sent();
    lab.accept(seconds(3_600));
    lab.notify(&busy());
    assert!(matches!(
        lab.vote(),
        Some(Vote::NotReady { initial: true, .. })
    ));
    lab.run(seconds(100));
    assert_eq!(lab.vote(), None);
    assert_eq!(lab.status(), Active);
}

#[test]
fn a_second_termination_does_not_begin_the_grace_anew() {
    let mut lab = Lab::subscribed("terminated_grace = 60", 3_600);
    lab.terminate(Timeout, None);
    lab.run(seconds(40));
    assert!(matches!(lab.last(), Sent::Subscribe { .. }));
    lab.terminate(Timeout, None);
    lab.run(seconds(21));
    assert_eq!(lab.vote(), out());
}

#[test]
fn out_stays_until_the_phone_is_back() {
    let mut lab = Lab::subscribed("", 600);
    lab.terminate(NoResource, None);
    assert_eq!(lab.vote(), out());
    lab.until_sent();
    lab.refuse(404);
    lab.run(seconds(100));
    assert_eq!(lab.vote(), None, "it does not expire to no say");
    lab.until_sent();
    lab.accept(seconds(600));
    lab.notify(&idle());
    assert_eq!(lab.vote(), Some(Vote::Ready { initial: true }));
}

#[test]
fn a_pbx_that_ends_every_subscription_at_once_is_not_stormed() {
    let mut lab = Lab::new("");
    let mut waits = Vec::new();
    for _ in 0..12 {
        waits.push(lab.until_sent());
        lab.accept(seconds(3_600));
        lab.terminate(Deactivated, None);
    }
    assert!(waits[11] > seconds(100), "{waits:?}");
    let total: Duration = waits.iter().sum();
    assert!(total > seconds(300), "{waits:?}");
}

#[test]
fn what_stood_for_a_while_is_renewed_at_once_again() {
    let mut lab = Lab::new("");
    for _ in 0..20 {
        assert!(lab.until_sent() <= seconds(2));
        lab.accept(seconds(3_600));
        lab.notify(&idle());
        lab.run(seconds(100));
        lab.terminate(Timeout, None);
    }
    assert_eq!(lab.epochs[&DN], 20);
}

#[test]
fn a_first_notify_may_be_the_last() {
    for before_2xx in [false, true] {
        let mut lab = Lab::new("");
        lab.run(seconds(1));
        if !before_2xx {
            lab.accept(seconds(3_600));
        }
        lab.terminate(NoResource, None);
        assert_eq!((lab.vote(), lab.status()), (out(), Failed));
        // A late 2xx of what is over.
        lab.accept(seconds(3_600));
        assert_eq!(lab.status(), Failed);
        assert!(lab.until_sent() >= seconds(300));
    }
}
