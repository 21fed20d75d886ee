//! Subscriptions to a notifier written by hand (RFC 6665).

use std::time::Duration;

use super::messages::{PEER, header, kind, kinds, request, response, tag, uri, within};
use super::network::{Network, subscribe_to};
use crate::counters::Counter;
use crate::dialog::{
    Body, SubscriptionEvent, SubscriptionKey, SubscriptionState, TerminatedReason, UserAgentEvent,
};
use crate::sip::Status;

const ACTIVE: &str = "Event: presence\r\nSubscription-State: active\r\n\
    Contact: <sip:8001@127.0.0.1:6000>\r\nContent-Type: application/pidf+xml\r\n";

/// Agent 0 has sent a SUBSCRIBE; it comes along.
fn asking() -> (Network, SubscriptionKey, String) {
    let mut network = Network::new(5, 1);
    let key = network.agents[0]
        .subscribe(network.now, &subscribe_to(PEER))
        .expect("room");
    let text = network.take_text();
    (network, key, text)
}

/// The same, accepted for 300 s and notified once, with CSeq 10.
fn active() -> (Network, SubscriptionKey, String) {
    let (mut network, key, subscribe) = asking();
    network.send(PEER, &accept(&subscribe, 300));
    network.send(PEER, &within(&subscribe, "NOTIFY", 10, "n", ACTIVE, "<a/>"));
    assert_eq!(kind(&network.take_text()), "200 NOTIFY");
    network.take_events(0);
    (network, key, subscribe)
}

fn accept(subscribe: &str, expires: u32) -> String {
    let extra = format!("Expires: {expires}\r\nContact: <sip:8001@127.0.0.1:6000>\r\n");
    response(subscribe, 200, "n", &extra, "")
}

fn events(network: &mut Network) -> Vec<SubscriptionEvent> {
    let events = network.take_events(0).into_iter();
    events
        .map(|event| match event {
            UserAgentEvent::Subscription(owner, _, event) => {
                assert_eq!(owner, 7);
                event
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn notified(state: SubscriptionState, body: &str) -> SubscriptionEvent {
    SubscriptionEvent::Notified {
        state,
        expires: None,
        body: (!body.is_empty()).then(|| Body {
            content_type: bytes::Bytes::from_static(b"application/pidf+xml"),
            bytes: body.as_bytes().to_vec().into(),
        }),
    }
}

fn accepted(seconds: u64) -> SubscriptionEvent {
    SubscriptionEvent::Accepted {
        expires: Duration::from_secs(seconds),
    }
}

#[test]
fn a_subscribe_asks_for_presence_in_a_dialog_of_its_own() {
    let (_, _, text) = asking();
    assert_eq!(kind(&text), "SUBSCRIBE");
    assert_eq!(uri(&text), "sip:8001@127.0.0.1:6000");
    assert!(header(&text, "From").starts_with("<sip:watcher@127.0.0.1>;tag="));
    assert_eq!(header(&text, "Contact"), "<sip:watcher@127.0.0.1:5060>");
    assert_eq!(header(&text, "Event"), "presence");
    assert_eq!(header(&text, "Expires"), "600");
    assert!(header(&text, "Accept").starts_with("application/pidf+xml"));
}

#[test]
fn a_shorter_time_is_taken_and_a_longer_one_is_not() {
    for (granted, expected) in [(300, 300), (600, 600), (7_200, 600)] {
        let (mut network, _, subscribe) = asking();
        network.send(PEER, &accept(&subscribe, granted));
        assert_eq!(events(&mut network), [accepted(expected)]);
    }
}

#[test]
fn a_notify_is_answered_at_once_and_passed_up() {
    let (mut network, _, subscribe) = active();
    let extra = ACTIVE.replace("State: active", "State: pending;expires=99");
    network.send(PEER, &within(&subscribe, "NOTIFY", 11, "n", &extra, "<b/>"));
    assert_eq!(kind(&network.take_text()), "200 NOTIFY");
    let events = events(&mut network);
    let [
        SubscriptionEvent::Notified {
            state,
            expires,
            body: Some(body),
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(*state, SubscriptionState::Pending);
    assert_eq!(*expires, Some(Duration::from_secs(99)));
    assert_eq!(&body.bytes[..], b"<b/>");
}

#[test]
fn a_notify_before_the_200_makes_the_dialog() {
    let (mut network, key, subscribe) = asking();
    network.send(PEER, &within(&subscribe, "NOTIFY", 10, "n", ACTIVE, "<a/>"));
    assert_eq!(kind(&network.take_text()), "200 NOTIFY");
    network.send(PEER, &accept(&subscribe, 300));
    let expected = [notified(SubscriptionState::Active, "<a/>"), accepted(300)];
    assert_eq!(events(&mut network), expected);
    // Nothing is missing, so Timer N does not run.
    network.run_for(Duration::from_secs(60));
    assert_eq!(events(&mut network), []);
    network.agents[0].refresh(network.now, key, Duration::from_secs(500));
    let refresh = network.take_text();
    assert_eq!(tag(&refresh, "To"), "n");
    assert_eq!(header(&refresh, "CSeq"), "2 SUBSCRIBE");
}

#[test]
fn a_notify_without_our_tag_is_found_by_the_notifiers_own() {
    let (mut network, _, subscribe) = active();
    let ours = format!(";tag={}", tag(&subscribe, "From"));
    let tagless = within(&subscribe, "NOTIFY", 11, "n", ACTIVE, "<b/>").replace(&ours, "");
    network.send(PEER, &tagless);
    assert_eq!(kind(&network.take_text()), "200 NOTIFY");
    assert_eq!(
        events(&mut network),
        [notified(SubscriptionState::Active, "<b/>")]
    );
    let other = within(&subscribe, "NOTIFY", 12, "m", ACTIVE, "<c/>").replace(&ours, "");
    network.send(PEER, &other);
    assert_eq!(kind(&network.take_text()), "481 NOTIFY");
}

#[test]
fn an_older_notify_gets_500_and_is_not_applied() {
    let (mut network, _, subscribe) = active();
    for cseq in [9, 10] {
        let notify = within(&subscribe, "NOTIFY", cseq, "n", ACTIVE, "<old/>");
        network.send(PEER, &notify.replace("z9hG4bK", "z9hG4bKlate"));
        assert_eq!(kind(&network.take_text()), "500 NOTIFY");
    }
    assert_eq!(network.count(0, Counter::NotifyOutOfOrder), 2);
    assert_eq!(events(&mut network), []);
}

#[test]
fn a_notify_for_nothing_of_ours_gets_481() {
    let mut network = Network::new(5, 1);
    network.send(
        PEER,
        &request("NOTIFY", "x", 1, Some("gone"), "1", ACTIVE, ""),
    );
    assert_eq!(kind(&network.take_text()), "481 NOTIFY");
    network.send(PEER, &request("NOTIFY", "x", 1, None, "2", ACTIVE, ""));
    assert_eq!(kind(&network.take_text()), "481 NOTIFY");
    assert_eq!(network.count(0, Counter::NotifyUnknown), 2);
    network.run_until_idle();
}

#[test]
fn the_notify_of_a_second_fork_gets_481() {
    let (mut network, _, subscribe) = active();
    network.send(PEER, &within(&subscribe, "NOTIFY", 1, "m", ACTIVE, "<b/>"));
    assert_eq!(kind(&network.take_text()), "481 NOTIFY");
    assert_eq!(events(&mut network), []);
}

#[test]
fn another_event_package_gets_489() {
    let (mut network, _, subscribe) = active();
    for event in ["Event: dialog\r\n", ""] {
        let extra = ACTIVE.replace("Event: presence\r\n", event);
        let branch = if event.is_empty() { 12 } else { 11 };
        network.send(PEER, &within(&subscribe, "NOTIFY", branch, "n", &extra, ""));
        let answer = network.take_text();
        assert_eq!(kind(&answer), "489 NOTIFY");
        assert_eq!(header(&answer, "Allow-Events"), "presence");
    }
    assert_eq!(events(&mut network), []);
}

#[test]
fn a_notify_without_a_state_gets_400() {
    let (mut network, _, subscribe) = active();
    let extra = ACTIVE.replace("Subscription-State: active\r\n", "");
    network.send(PEER, &within(&subscribe, "NOTIFY", 11, "n", &extra, ""));
    assert_eq!(kind(&network.take_text()), "400 NOTIFY");
    assert_eq!(network.count(0, Counter::NotifyMalformed), 1);
    assert_eq!(events(&mut network), []);
}

#[test]
fn no_notify_within_timer_n_ends_the_subscription() {
    let (mut network, _, subscribe) = asking();
    network.send(PEER, &accept(&subscribe, 300));
    network.run_for(Duration::from_millis(31_900));
    assert_eq!(events(&mut network), [accepted(300)]);
    network.run_for(Duration::from_millis(200));
    assert_eq!(events(&mut network), [SubscriptionEvent::NotifyMissing]);
    network.run_until_idle();
}

#[test]
fn a_refusal_says_what_would_do() {
    let (mut network, _, subscribe) = asking();
    let extra = "Min-Expires: 3600\r\nRetry-After: 7\r\n";
    network.send(PEER, &response(&subscribe, 423, "n", extra, ""));
    let expected = SubscriptionEvent::Refused {
        status: Status::INTERVAL_TOO_BRIEF,
        retry_after: Some(Duration::from_secs(7)),
        min_expires: Some(Duration::from_secs(3_600)),
    };
    assert_eq!(events(&mut network), [expected]);
    network.run_until_idle();
}

#[test]
fn silence_is_reported_as_such() {
    let (mut network, _, _) = asking();
    network.run_until_idle();
    assert_eq!(events(&mut network), [SubscriptionEvent::Unreachable]);
}

#[test]
fn a_refresh_goes_in_the_dialog_and_its_refusal_leaves_what_is_left() {
    let (mut network, key, subscribe) = active();
    network.agents[0].refresh(network.now, key, Duration::from_secs(500));
    let refresh = network.take_text();
    assert_eq!(uri(&refresh), "sip:8001@127.0.0.1:6000");
    for name in ["Call-ID", "From"] {
        assert_eq!(header(&refresh, name), header(&subscribe, name));
    }
    assert_eq!(
        (tag(&refresh, "To"), header(&refresh, "Expires")),
        ("n", "500")
    );
    network.send(PEER, &response(&refresh, 503, "", "", ""));
    let expected = SubscriptionEvent::Refused {
        status: Status::SERVICE_UNAVAILABLE,
        retry_after: None,
        min_expires: None,
    };
    assert_eq!(events(&mut network), [expected]);
    network.send(PEER, &within(&subscribe, "NOTIFY", 11, "n", ACTIVE, "<b/>"));
    assert_eq!(
        events(&mut network),
        [notified(SubscriptionState::Active, "<b/>")]
    );
}

#[test]
fn a_refresh_that_nobody_answers_leaves_what_is_left() {
    let (mut network, key, subscribe) = active();
    network.agents[0].refresh(network.now, key, Duration::from_secs(500));
    network.run_for(Duration::from_secs(60));
    assert_eq!(events(&mut network), [SubscriptionEvent::Unreachable]);
    network.send(PEER, &within(&subscribe, "NOTIFY", 11, "n", ACTIVE, "<b/>"));
    assert_eq!(
        events(&mut network),
        [notified(SubscriptionState::Active, "<b/>")]
    );
}

#[test]
fn after_481_to_a_refresh_the_subscription_is_over() {
    let (mut network, key, subscribe) = active();
    network.agents[0].refresh(network.now, key, Duration::from_secs(500));
    let refresh = network.take_text();
    network.send(PEER, &response(&refresh, 481, "", "", ""));
    assert_eq!(events(&mut network).len(), 1);
    assert_eq!(network.agents[0].subscriptions(), 0);
    network.send(PEER, &within(&subscribe, "NOTIFY", 11, "n", ACTIVE, "<b/>"));
    assert_eq!(kind(&network.take_text()), "481 NOTIFY");
    network.run_until_idle();
}

#[test]
fn a_refresh_that_is_asked_for_too_early_follows_the_answer() {
    let (mut network, key, subscribe) = asking();
    network.agents[0].refresh(network.now, key, Duration::ZERO);
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.send(PEER, &accept(&subscribe, 300));
    let end = network.take_text();
    assert_eq!(
        (kind(&end).as_str(), header(&end, "Expires")),
        ("SUBSCRIBE", "0")
    );
}

#[test]
fn terminated_ends_the_subscription_with_its_reason() {
    for (text, reason) in [
        ("deactivated", TerminatedReason::Deactivated),
        ("probation", TerminatedReason::Probation),
        ("rejected", TerminatedReason::Rejected),
        ("timeout", TerminatedReason::Timeout),
        ("giveup", TerminatedReason::Giveup),
        ("noresource", TerminatedReason::NoResource),
        ("invariant", TerminatedReason::Invariant),
        ("weather", TerminatedReason::Other),
    ] {
        let (mut network, _, subscribe) = active();
        let extra = format!(
            "Event: presence\r\nSubscription-State: terminated;reason={text};retry-after=9\r\n"
        );
        network.send(PEER, &within(&subscribe, "NOTIFY", 11, "n", &extra, ""));
        assert_eq!(kind(&network.take_text()), "200 NOTIFY");
        let retry_after = Some(Duration::from_secs(9));
        let state = SubscriptionState::Terminated {
            reason,
            retry_after,
        };
        assert_eq!(events(&mut network), [notified(state, "")]);
        assert_eq!(network.agents[0].subscriptions(), 0);
        network.run_until_idle();
    }
}

#[test]
fn an_end_of_ours_is_complete_with_the_last_notify_or_without() {
    for last in [true, false] {
        let (mut network, key, subscribe) = active();
        network.agents[0].refresh(network.now, key, Duration::ZERO);
        let end = network.take_text();
        network.send(PEER, &accept(&end, 0));
        if last {
            let extra = "Event: presence\r\nSubscription-State: terminated;reason=timeout\r\n";
            network.send(PEER, &within(&subscribe, "NOTIFY", 11, "n", extra, ""));
        }
        network.run_until_idle();
        let events = events(&mut network);
        assert_eq!(events[0], accepted(0));
        let missing = events[1] == SubscriptionEvent::NotifyMissing;
        assert_eq!((events.len(), missing), (2, !last));
    }
}

#[test]
fn what_is_forgotten_gets_481() {
    let (mut network, key, subscribe) = active();
    network.agents[0].forget(key);
    network.send(PEER, &within(&subscribe, "NOTIFY", 11, "n", ACTIVE, "<b/>"));
    assert_eq!(kind(&network.take_text()), "481 NOTIFY");
    network.agents[0].refresh(network.now, key, Duration::from_secs(1));
    network.agents[0].forget(key);
    network.run_until_idle();
    assert_eq!(events(&mut network), []);
}

#[test]
fn what_is_forgotten_before_its_answer_is_silent() {
    let (mut network, key, subscribe) = asking();
    network.agents[0].forget(key);
    network.send(PEER, &accept(&subscribe, 300));
    network.run_until_idle();
    assert_eq!(events(&mut network), []);
}

#[test]
fn requests_of_calls_never_touch_a_subscription() {
    let (mut network, _, subscribe) = active();
    network.send(PEER, &within(&subscribe, "BYE", 11, "n", "", ""));
    network.send(PEER, &within(&subscribe, "INVITE", 12, "n", "", ""));
    network.send(PEER, &within(&subscribe, "ACK", 12, "n", "", ""));
    let answers = kinds(&network.take_texts());
    assert_eq!(answers.first().map(String::as_str), Some("481 BYE"));
    assert!(answers.contains(&"481 INVITE".to_owned()), "{answers:?}");
    assert_eq!(network.agents[0].subscriptions(), 1);
    assert_eq!(events(&mut network), []);
}
