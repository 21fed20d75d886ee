//! Random histories of one DN: whatever a PBX says in whatever order, the watcher goes on.

use std::time::Duration;

use bytes::Bytes;
use offhook::counters::Counter;
use offhook::cti::SubscriptionStatus;
use offhook::dialog::{PassingBody, SubscriptionEvent, SubscriptionState, TerminatedReason};
use offhook::presence::Vote;
use offhook::sip::Status;
use proptest::prelude::*;

use crate::lab::{DN, Lab, busy, idle, notified, pidf, pidf_about, seconds};

#[derive(Debug, Clone)]
enum Step {
    /// To the present subscription.
    Event(SubscriptionEvent),
    /// To one that was replaced.
    Stale(SubscriptionEvent),
    Wait(Duration),
    Peer(u8, bool),
    RefreshNow,
    Full,
}

fn body() -> impl Strategy<Value = PassingBody> {
    let broken = PassingBody {
        bytes: b"<presence"[..].into(),
        ..idle()
    };
    let text = PassingBody {
        content_type: Bytes::from_static(b"text/plain"),
        ..idle()
    };
    prop_oneof![
        3 => Just(idle()),
        3 => Just(busy()),
        1 => Just(pidf("closed", "")),
        1 => Just(pidf_about("sip:8002@192.0.2.20", "open", "")),
        1 => Just(broken),
        1 => Just(text),
    ]
}

fn reason() -> impl Strategy<Value = TerminatedReason> {
    prop_oneof![
        Just(TerminatedReason::Deactivated),
        Just(TerminatedReason::Probation),
        Just(TerminatedReason::Rejected),
        Just(TerminatedReason::Timeout),
        Just(TerminatedReason::Giveup),
        Just(TerminatedReason::NoResource),
        Just(TerminatedReason::Other),
    ]
}

fn event() -> impl Strategy<Value = SubscriptionEvent> {
    let time = prop_oneof![
        Just(0_u64),
        1..5_u64,
        60..7_200_u64,
        Just(u64::from(u32::MAX))
    ];
    let maybe = proptest::option::of(time.clone().prop_map(seconds));
    let status = proptest::sample::select(vec![
        302, 400, 403, 404, 408, 423, 480, 481, 489, 500, 501, 503, 504, 600, 603, 699,
    ]);
    prop_oneof![
        4 => time.prop_map(|time| SubscriptionEvent::Accepted { expires: seconds(time) }),
        2 => (status, maybe.clone(), maybe.clone()).prop_map(|(status, retry_after, min_expires)| {
            SubscriptionEvent::Refused { status: Status(status), retry_after, min_expires }
        }),
        1 => Just(SubscriptionEvent::Unreachable),
        1 => Just(SubscriptionEvent::NotifyMissing),
        5 => (body(), maybe.clone()).prop_map(|(body, expires)| SubscriptionEvent::Notified {
            state: SubscriptionState::Active, expires, body: Some(body),
        }),
        1 => body().prop_map(|body| SubscriptionEvent::Notified {
            state: SubscriptionState::Pending, expires: None, body: Some(body),
        }),
        2 => (reason(), maybe).prop_map(|(reason, retry_after)| SubscriptionEvent::Notified {
            state: SubscriptionState::Terminated { reason, retry_after },
            expires: None,
            body: Some(idle()),
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![0..2_000_u64, 2_000..100_000_u64, 100_000..8_000_000_u64];
    prop_oneof![
        8 => event().prop_map(Step::Event),
        1 => event().prop_map(Step::Stale),
        6 => wait.prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        2 => (0..2_u8, any::<bool>()).prop_map(|(peer, up)| Step::Peer(peer, up)),
        1 => Just(Step::RefreshNow),
        1 => Just(Step::Full),
    ]
}

/// Which votes an event may lead to at once, if it comes to the present subscription.
fn may_vote(event: &SubscriptionEvent, vote: &Vote) -> bool {
    let SubscriptionEvent::Notified { state, body, .. } = event else {
        return false;
    };
    match state {
        SubscriptionState::Pending => false,
        SubscriptionState::Terminated { .. } => matches!(vote, Vote::Out { .. }),
        SubscriptionState::Active => match vote {
            Vote::Ready { .. } => *body == Some(idle()),
            Vote::NotReady { .. } => *body == Some(busy()),
            Vote::Out { .. } => *body == Some(pidf("closed", "")),
            Vote::None => false,
        },
    }
}

/// What a vote without an event may be: an end by time.
fn is_lapse(vote: &Vote) -> bool {
    match vote {
        Vote::None => true,
        Vote::Out { activities } => activities.is_empty(),
        Vote::Ready { .. } | Vote::NotReady { .. } => false,
    }
}

fn take(lab: &mut Lab, step: Step) -> Result<(), TestCaseError> {
    lab.votes.clear();
    let applied = lab.counted(Counter::NotifyApplied);
    match step {
        Step::Event(event) => {
            if lab.live.contains_key(&DN) {
                lab.event(event.clone());
                for (_, vote) in &lab.votes {
                    prop_assert!(may_vote(&event, vote), "{vote:?} of {event:?}");
                }
                prop_assert!(lab.votes.len() <= 1);
            }
        }
        Step::Stale(event) => {
            let epoch = lab.epochs.get(&DN).map_or(0, |epoch| epoch.wrapping_sub(1));
            lab.event_for(DN, epoch, event);
            prop_assert!(lab.votes.is_empty());
            prop_assert_eq!(lab.counted(Counter::NotifyApplied), applied);
        }
        Step::Wait(time) => {
            lab.run(time);
            prop_assert!(
                lab.votes.iter().all(|(_, vote)| is_lapse(vote)),
                "{:?}",
                lab.votes
            );
            prop_assert_eq!(lab.counted(Counter::NotifyApplied), applied);
        }
        Step::Peer(peer, up) => lab.peer(peer, up),
        Step::RefreshNow => lab.watchers.refresh_now(lab.now, &mut lab.trunks, DN),
        Step::Full => lab.full(),
    }
    lab.drain();
    prop_assert!(lab.watchers.poll_timeout().is_some(), "stuck");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..Default::default()
    })]

    /// `Lab` asserts that there is one live subscription at most.
    #[test]
    fn a_watcher_is_never_stuck_and_votes_only_from_what_it_applied(
        steps in proptest::collection::vec(step(), 1..80),
        grace in proptest::sample::select(vec![0_u64, 30]),
        seed in any::<u64>(),
    ) {
        let presence = format!("terminated_grace = {grace}");
        let config = crate::lab::config(&presence, crate::lab::ONE_AGENT);
        let mut lab = Lab::with(config, 1, seed);
        lab.run(seconds(1));
        for step in steps {
            take(&mut lab, step)?;
        }
        recover(&mut lab)?;
    }
}

/// When the PBX is well again, the DN is watched again within the longest wait.
fn recover(lab: &mut Lab) -> Result<(), TestCaseError> {
    lab.peer(0, true);
    lab.peer(1, true);
    let end = lab.now + seconds(2 * 3_700);
    let mut answered = lab.sent.len();
    while lab.now < end {
        let at = lab.watchers.poll_timeout().expect("stuck");
        lab.run(at.saturating_duration_since(lab.now));
        if lab.sent.len() > answered {
            answered = lab.sent.len();
            if lab.last() != crate::lab::Sent::Forget {
                lab.event(SubscriptionEvent::Accepted {
                    expires: seconds(600),
                });
                lab.event(notified(&idle(), None));
            }
        }
    }
    prop_assert_eq!(lab.status(), SubscriptionStatus::Active);
    prop_assert!(
        matches!(lab.votes.back(), Some((_, Vote::Ready { .. }))),
        "{:?}",
        lab.votes
    );
    Ok(())
}
