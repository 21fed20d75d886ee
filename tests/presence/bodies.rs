//! What the bodies of NOTIFYs do to the vote.

use bytes::Bytes;
use offhook::counters::Counter;
use offhook::dialog::{PassingBody, SubscriptionEvent, SubscriptionState};
use offhook::presence::Vote;

use crate::lab::{Lab, busy, idle, list, notified, pidf, pidf_about, sample, seconds};

fn not_ready(activities: &[&str], initial: bool) -> Vote {
    Vote::NotReady {
        activities: list(activities),
        initial,
    }
}

fn out(activities: &[&str]) -> Vote {
    Vote::Out {
        activities: list(activities),
    }
}

/// The vote that a body leads to in a subscription that has spoken before.
fn vote_of(presence: &str, body: &PassingBody) -> Option<Vote> {
    let mut lab = Lab::subscribed(presence, 3_600);
    lab.notify(body);
    lab.vote()
}

#[test]
fn the_samples_of_ucm_are_understood() {
    let later = Vote::Ready { initial: false };
    for (file, vote) in [
        ("notify_open_idle.sip", later),
        (
            "notify_open_on_the_phone.sip",
            not_ready(&["on-the-phone"], false),
        ),
        ("notify_closed_on_the_phone.sip", out(&["on-the-phone"])),
        ("notify_person_open_tuple_closed.sip", out(&[])),
        ("notify_tuple_only.sip", not_ready(&["away"], false)),
    ] {
        assert_eq!(vote_of("", &sample(file)), Some(vote), "{file}");
    }
}

#[test]
fn only_the_first_word_of_a_subscription_is_initial() {
    let mut lab = Lab::new("");
    lab.run(seconds(1));
    lab.accept(seconds(3_600));
    lab.notify(&busy());
    lab.notify(&busy());
    lab.notify(&idle());
    assert_eq!(lab.vote(), Some(not_ready(&["on-the-phone"], true)));
    assert_eq!(lab.vote(), Some(not_ready(&["on-the-phone"], false)));
    assert_eq!(lab.vote(), Some(Vote::Ready { initial: false }));
}

#[test]
fn idle_activities_are_none_and_unknown_ones_are_some() {
    let idle = "idle_activities = [\"available\", \"unknown\"]";
    for (activities, vote) in [
        ("<ce:available/>", Vote::Ready { initial: false }),
        (
            "<e:unknown/><ce:available/>",
            Vote::Ready { initial: false },
        ),
        ("<ce:alerting/>", not_ready(&["alerting"], false)),
        ("<ce:dnd/>", not_ready(&["dnd"], false)),
        ("<e:something-new/>", not_ready(&["something-new"], false)),
        ("<ce:available/><e:away/>", not_ready(&["away"], false)),
    ] {
        assert_eq!(
            vote_of(idle, &pidf("open", activities)),
            Some(vote),
            "{activities}"
        );
    }
}

#[test]
fn alerting_counts_unless_configured_otherwise() {
    let body = pidf("open", "<ce:alerting/>");
    let off = "alerting_is_activity = false";
    assert_eq!(vote_of(off, &body), Some(Vote::Ready { initial: false }));
    let both = pidf("open", "<ce:alerting/><e:busy/>");
    assert_eq!(vote_of(off, &both), Some(not_ready(&["busy"], false)));
}

#[test]
fn on_the_phone_is_the_reason_code_among_several() {
    let body = pidf("open", "<e:meeting/><e:busy/><e:on-the-phone/><e:away/>");
    let expected = ["on-the-phone", "meeting", "busy", "away"];
    assert_eq!(vote_of("", &body), Some(not_ready(&expected, false)));
    let body = pidf("open", "<e:meeting/><e:away/>");
    assert_eq!(
        vote_of("", &body),
        Some(not_ready(&["meeting", "away"], false))
    );
}

#[test]
fn closed_keeps_its_activities_for_extensions_without_call_waiting() {
    let body = pidf("closed", "<e:on-the-phone/>");
    assert_eq!(vote_of("", &body), Some(out(&["on-the-phone"])));
    assert_eq!(vote_of("", &pidf("closed", "")), Some(out(&[])));
}

#[test]
fn decision_7_a_phone_without_call_waiting_is_warned_of_once() {
    for (presence, warnings) in [("", 1), ("closed_busy = \"notready\"", 0)] {
        let mut lab = Lab::subscribed(presence, 3_600);
        lab.notify(&pidf("closed", ""));
        assert_eq!(lab.counted(Counter::PhoneWithoutCallWaiting), 0);
        for _ in 0..3 {
            lab.notify(&pidf("closed", "<e:on-the-phone/>"));
            lab.notify(&idle());
        }
        assert_eq!(lab.counted(Counter::PhoneWithoutCallWaiting), warnings);
    }
}

#[test]
fn p14_a_body_about_another_entity_is_counted_and_not_applied() {
    let mut lab = Lab::subscribed("", 3_600);
    lab.notify(&pidf_about("sip:8002@192.0.2.20", "closed", ""));
    assert_eq!(lab.vote(), None);
    assert_eq!(lab.counted(Counter::NotifyOtherEntity), 1);
    for host in [
        "sip:8001@node2.example.com",
        "pres:8001@pbx.example.com",
        "8001",
    ] {
        lab.notify(&pidf_about(host, "closed", ""));
        assert_eq!(lab.vote(), Some(out(&[])), "{host}");
    }
}

#[test]
fn what_cannot_be_used_is_counted_by_cause_and_changes_nothing() {
    let typed = |content_type: &'static str, body: PassingBody| PassingBody {
        content_type: Bytes::from_static(content_type.as_bytes()),
        ..body
    };
    let bytes = |bytes: Vec<u8>| PassingBody {
        bytes: bytes.into(),
        ..idle()
    };
    let large = {
        let mut text = idle().bytes.to_vec();
        text.resize(1 << 20, b' ');
        bytes(text)
    };
    for (body, counter) in [
        (typed("text/plain", idle()), Counter::NotifyContentType),
        (
            typed("application/xpidf+xml", idle()),
            Counter::NotifyContentType,
        ),
        (typed("", idle()), Counter::NotifyContentType),
        (bytes(b"<presence".to_vec()), Counter::NotifyMalformed),
        (bytes(b"".to_vec()), Counter::NotifyMalformed),
        (bytes(b"\xff\xfe\x00".to_vec()), Counter::NotifyMalformed),
        (pidf("maybe", ""), Counter::NotifyMalformed),
        (
            bytes(b"<!DOCTYPE x [<!ENTITY e 'open'>]><presence>&e;</presence>".to_vec()),
            Counter::NotifyMalformed,
        ),
        (large, Counter::NotifyTooLarge),
    ] {
        let mut lab = Lab::subscribed("", 3_600);
        lab.notify(&busy());
        assert_eq!(lab.vote(), Some(not_ready(&["on-the-phone"], false)));
        lab.notify(&body);
        assert_eq!(lab.vote(), None, "{counter:?}");
        assert_eq!(lab.counted(counter), 1, "{body:?}");
        assert_eq!(lab.counted(Counter::NotifyApplied), 2);
        // The subscription is as healthy as before.
        lab.notify(&idle());
        assert_eq!(lab.vote(), Some(Vote::Ready { initial: false }));
    }
}

#[test]
fn content_types_are_compared_without_case_and_parameters() {
    for content_type in [
        "Application/PIDF+xml",
        "application/pidf+xml;charset=UTF-8",
        " application/cpim-pidf+xml ;x",
    ] {
        let body = PassingBody {
            content_type: Bytes::from_static(content_type.as_bytes()),
            ..busy()
        };
        assert_eq!(
            vote_of("", &body),
            Some(not_ready(&["on-the-phone"], false)),
            "{content_type}"
        );
    }
}

#[test]
fn a_notify_without_body_changes_nothing() {
    let mut lab = Lab::subscribed("", 3_600);
    lab.event(SubscriptionEvent::Notified {
        state: SubscriptionState::Active,
        expires: None,
        body: None,
    });
    assert_eq!(lab.vote(), None);
}

#[test]
fn what_a_notifier_says_before_it_has_decided_is_not_believed() {
    let mut lab = Lab::new("");
    lab.run(seconds(1));
    lab.accept(seconds(3_600));
    lab.event(SubscriptionEvent::Notified {
        state: SubscriptionState::Pending,
        expires: None,
        body: Some(idle()),
    });
    assert_eq!(lab.vote(), None);
    lab.notify(&idle());
    assert_eq!(lab.vote(), Some(Vote::Ready { initial: true }));
}

#[test]
fn p12_a_flapping_phone_ends_with_its_last_word() {
    let mut lab = Lab::subscribed("", 3_600);
    for turn in 0..1_000 {
        lab.now += std::time::Duration::from_millis(50);
        let body = if turn % 2 == 0 { busy() } else { idle() };
        lab.notify(&body);
    }
    let last = lab.votes.pop_back().unwrap().1;
    assert_eq!(last, Vote::Ready { initial: false });
    assert_eq!(lab.counted(Counter::NotifyApplied), 1_001);
}

#[test]
fn an_event_of_a_subscription_that_was_replaced_is_ignored() {
    let mut lab = Lab::subscribed("", 3_600);
    lab.refresh_refused_481();
    let (now, then) = (lab.epochs[&crate::lab::DN], 1);
    assert_eq!(now, 2);
    // Decision 9: neither its state nor its end counts.
    lab.event_for(crate::lab::DN, then, notified(&busy(), None));
    lab.event_for(
        crate::lab::DN,
        then,
        SubscriptionEvent::Notified {
            state: SubscriptionState::Terminated {
                reason: offhook::dialog::TerminatedReason::Timeout,
                retry_after: None,
            },
            expires: None,
            body: None,
        },
    );
    assert_eq!(lab.vote(), None);
}
