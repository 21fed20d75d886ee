//! A call that nobody refreshes ends (RFC 4028).

use std::num::NonZeroU32;
use std::time::Duration;

use super::calls::CONTACT;
use super::messages::{PEER, body, header, invite, kind, kinds, request, response, tag};
use super::network::{Network, invite_to, sdp};
use crate::dialog::{LegEvent, LegKey, LegPolicy, Release};
use crate::sip::Status;

const POLICY: LegPolicy = LegPolicy {
    session_expires: NonZeroU32::new(1_800),
    min_se: 90,
    reliable_provisional: false,
    refer: false,
    trusted: true,
    identity: crate::dialog::IdentityHeaders::Asserted,
};

/// An INVITE with these lines has come, over a trunk with this policy.
fn invited(extra: &str, policy: LegPolicy) -> (Network, LegKey) {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", extra));
    let leg = network.take_invited(0);
    network.take_texts();
    network.agents[0].set_policy(network.now, leg, policy);
    (network, leg)
}

/// The same, answered and acknowledged; the 200 comes along.
fn answered(extra: &str, policy: LegPolicy) -> (Network, LegKey, String) {
    let (mut network, leg) = invited(extra, policy);
    network.agents[0].answer(network.now, leg, Some(&sdp("described")));
    let ok = network.take_text();
    let ack = request("ACK", "call", 101, Some(tag(&ok, "To")), "ack", "", "");
    network.send(PEER, &ack);
    network.take_events(0);
    (network, leg, ok)
}

/// A call of ours; the peer's 200 has these lines.
fn called(extra: &str) -> (Network, LegKey) {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.policy = POLICY;
    let leg = network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    assert_eq!(header(&text, "Session-Expires"), "1800");
    assert!(header(&text, "Supported").contains("timer"));
    let extra = format!("{CONTACT}Content-Type: application/sdp\r\n{extra}");
    network.send(PEER, &response(&text, 200, "a", &extra, "answer"));
    network.agents[0].acknowledge(network.now, leg, None);
    network.take_texts();
    network.take_events(0);
    (network, leg)
}

/// Until the next message, which is due within this time.
fn next_within(network: &mut Network, seconds: u64) -> String {
    // Before anything is repeated.
    for _ in 0..seconds * 4 {
        network.run_for(Duration::from_millis(250));
        let mut texts = network.take_texts();
        if !texts.is_empty() {
            assert_eq!(texts.len(), 1, "{texts:#?}");
            return texts.remove(0);
        }
    }
    panic!("nothing was sent for {seconds} s");
}

#[test]
fn section_9_the_answer_says_who_refreshes() {
    for (extra, expected, required) in [
        // UCM's: the choice is ours.
        (
            "Supported: timer\r\nSession-Expires: 1800\r\n",
            "1800;refresher=uas",
            "",
        ),
        (
            "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n",
            "1800;refresher=uac",
            "timer",
        ),
        (
            "Supported: timer\r\nSession-Expires: 1800;refresher=uas\r\n",
            "1800;refresher=uas",
            "",
        ),
        // A caller who knows nothing of it cannot refresh.
        (
            "Session-Expires: 1800;refresher=uac\r\n",
            "1800;refresher=uas",
            "",
        ),
        ("", "1800;refresher=uas", ""),
        // Longer than ours: the shorter one holds, but not below the caller's bound.
        (
            "Supported: timer\r\nSession-Expires: 7200\r\n",
            "1800;refresher=uas",
            "",
        ),
        (
            "Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n",
            "3600;refresher=uas",
            "",
        ),
        (
            "Supported: timer\r\nSession-Expires: 600\r\n",
            "600;refresher=uas",
            "",
        ),
    ] {
        let (_, _, ok) = answered(extra, POLICY);
        assert_eq!(header(&ok, "Session-Expires"), expected, "{extra}");
        assert_eq!(header(&ok, "Require"), required, "{extra}");
    }
}

#[test]
fn section_9_a_trunk_without_a_timer_still_follows_a_caller_with_one() {
    let policy = LegPolicy {
        session_expires: None,
        ..POLICY
    };
    let timer = "Supported: timer\r\nSession-Expires: 1800\r\n";
    let (_, _, ok) = answered(timer, policy);
    assert_eq!(header(&ok, "Session-Expires"), "1800;refresher=uac");
    let (mut network, _, ok) = answered("", policy);
    assert_eq!(header(&ok, "Session-Expires"), "");
    network.run_for(Duration::from_secs(100_000));
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn section_9_too_short_a_session_is_refused_with_the_shortest_one() {
    let policy = LegPolicy {
        min_se: 1_800,
        ..POLICY
    };
    let mut network = Network::new(1, 1);
    let extra = "Supported: timer\r\nSession-Expires: 600\r\n";
    network.send(PEER, &invite("call", "1", extra));
    let leg = network.take_invited(0);
    network.take_texts();
    assert!(!network.agents[0].set_policy(network.now, leg, policy));
    let text = network.take_text();
    assert_eq!(kind(&text), "422 INVITE");
    assert_eq!(header(&text, "Min-SE"), "1800");
    network.run_until_idle();
    // Who does not know the extension would not know what to do about it.
    let (_, _, ok) = answered("Session-Expires: 600\r\n", policy);
    assert_eq!(header(&ok, "Session-Expires"), "600;refresher=uas");
}

#[test]
fn section_7_2_half_of_the_interval_later_an_update_refreshes() {
    let (mut network, _) = called(
        "Allow: INVITE, UPDATE\r\nRequire: timer\r\nSession-Expires: 1800;refresher=uac\r\n",
    );
    network.run_for(Duration::from_secs(800));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    for _ in 0..5 {
        let text = next_within(&mut network, 905);
        assert_eq!(kind(&text), "UPDATE");
        assert_eq!(header(&text, "Session-Expires"), "1800;refresher=uac");
        assert_eq!(body(&text), "");
        let extra = format!("{CONTACT}Session-Expires: 1800;refresher=uac\r\n");
        network.send(PEER, &response(&text, 200, "", &extra, ""));
    }
    assert_eq!(network.take_leg_events(0), []);
}

#[test]
fn section_7_4_where_update_is_not_taken_an_invite_repeats_what_was_said() {
    let (mut network, leg, ok) = answered("Supported: timer\r\nSession-Expires: 1800\r\n", POLICY);
    assert_eq!(header(&ok, "Session-Expires"), "1800;refresher=uas");
    let text = next_within(&mut network, 905);
    assert_eq!(kind(&text), "INVITE");
    assert_eq!(body(&text), "described");
    assert_eq!(header(&text, "Session-Expires"), "1800;refresher=uac");
    // Meanwhile nobody else may offer.
    network.agents[0].offer(network.now, leg, Some(&sdp("hold")));
    let refused = LegEvent::OfferRefused {
        status: Status::REQUEST_PENDING,
    };
    assert_eq!(network.take_leg_events(0), [refused]);
    let extra = format!("{CONTACT}Session-Expires: 1800;refresher=uac\r\n");
    let described = format!("{extra}Content-Type: application/sdp\r\n");
    network.send(PEER, &response(&text, 200, "", &described, "answer"));
    assert_eq!(kind(&network.take_text()), "ACK");
    // It may be another answer than before.
    let refreshed = LegEvent::Refreshed {
        body: sdp("answer"),
    };
    assert_eq!(network.take_leg_events(0), [refreshed]);
    // What was agreed on since is what the next refresh repeats.
    network.agents[0].offer(network.now, leg, Some(&sdp("hold")));
    let hold = network.take_text();
    network.send(PEER, &response(&hold, 200, "", &extra, "held"));
    network.agents[0].acknowledge(network.now, leg, None);
    network.take_texts();
    assert_eq!(body(&next_within(&mut network, 905)), "hold");
}

#[test]
fn section_10_a_session_that_the_peer_does_not_refresh_ends_in_bye() {
    let (mut network, _, _) = answered(
        "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n",
        POLICY,
    );
    network.run_for(Duration::from_secs(1_767));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    let text = next_within(&mut network, 2);
    assert_eq!(kind(&text), "BYE");
    assert_eq!(header(&text, "Reason"), "SIP;cause=408");
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Lost)]
    );
    network.send(PEER, &response(&text, 200, "", "", ""));
    network.run_until_idle();
}

#[test]
fn section_10_any_refresh_of_the_peer_begins_the_interval_anew() {
    let (mut network, leg, ok) = answered(
        "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n",
        POLICY,
    );
    let tag = tag(&ok, "To").to_owned();
    let refresh = "Contact: <sip:3427@127.0.0.1:6000>\r\nSupported: timer\r\n\
                   Session-Expires: 1800;refresher=uac\r\n";
    for cseq in 102..106 {
        network.run_for(Duration::from_secs(1_500));
        assert_eq!(network.take_texts(), Vec::<String>::new());
        let branch = cseq.to_string();
        let method = if cseq % 2 == 0 { "UPDATE" } else { "INVITE" };
        let text = request(method, "call", cseq, Some(&tag), &branch, refresh, "");
        network.send(PEER, &text);
        if method == "INVITE" {
            network.agents[0].answer_offer(network.now, leg, Some(&sdp("same")));
        }
        let ok = network.take_texts().pop().unwrap();
        assert_eq!(header(&ok, "Session-Expires"), "1800;refresher=uac");
        if method == "INVITE" {
            network.send(PEER, &request("ACK", "call", cseq, Some(&tag), "a", "", ""));
        }
    }
}

#[test]
fn section_10_a_refresh_that_finds_no_call_ends_it() {
    for code in [481, 408] {
        let (mut network, _) = called("Allow: UPDATE\r\nSession-Expires: 1800;refresher=uac\r\n");
        let text = next_within(&mut network, 905);
        network.send(PEER, &response(&text, code, "", "", ""));
        assert_eq!(kind(&network.take_text()), "BYE");
        assert_eq!(
            network.take_leg_events(0),
            [LegEvent::HungUp(Release::Lost)]
        );
    }
}

#[test]
fn section_10_a_refresh_that_fails_for_now_is_tried_again_until_the_end() {
    let (mut network, _) = called("Allow: UPDATE\r\nSession-Expires: 1800;refresher=uac\r\n");
    let mut tries = 0;
    loop {
        let text = next_within(&mut network, 905);
        if kind(&text) == "BYE" {
            break;
        }
        tries += 1;
        network.send(PEER, &response(&text, 491, "", "Retry-After: 60\r\n", ""));
    }
    assert!((10..=16).contains(&tries), "{tries}");
}

#[test]
fn section_7_3_after_422_the_invite_goes_again_with_a_longer_session() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.policy = POLICY;
    let leg = network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let first = network.take_text();
    network.send(PEER, &response(&first, 422, "x", "Min-SE: 3600\r\n", ""));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["ACK", "INVITE"]);
    let second = &texts[1];
    assert_eq!(header(second, "Session-Expires"), "3600");
    assert_eq!(header(second, "Min-SE"), "3600");
    assert_eq!(header(second, "Call-ID"), header(&first, "Call-ID"));
    assert_eq!(header(second, "From"), header(&first, "From"));
    assert_eq!(header(second, "To"), header(&first, "To"));
    assert_eq!(header(second, "CSeq"), "2 INVITE");
    assert_eq!(body(second), "offer");
    assert_eq!(network.take_events(0), []);
    network.send(PEER, &response(second, 180, "b", "", ""));
    network.agents[0].hang_up(network.now, leg, 16);
    let cancel = network.take_text();
    assert_eq!(header(&cancel, "CSeq"), "2 CANCEL");
    network.send(PEER, &response(second, 487, "b", "", ""));
    network.run_until_idle();
}

#[test]
fn section_7_3_a_peer_that_is_never_content_is_given_up() {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.policy = POLICY;
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let mut text = network.take_text();
    for min_se in [3_600, 7_200] {
        let extra = format!("Min-SE: {min_se}\r\n");
        network.send(PEER, &response(&text, 422, "x", &extra, ""));
        text = network.take_texts().pop().unwrap();
        assert_eq!(kind(&text), "INVITE");
    }
    network.send(PEER, &response(&text, 422, "x", "Min-SE: 14400\r\n", ""));
    assert_eq!(kinds(&network.take_texts()), ["ACK"]);
    let refused = LegEvent::Refused {
        status: Status::SESSION_INTERVAL_TOO_SMALL,
        retry_after: None,
        after_provisional: false,
    };
    assert_eq!(network.take_leg_events(0), [refused]);
    network.run_until_idle();
}

#[test]
fn section_7_2_a_peer_without_a_timer_has_none() {
    let (mut network, leg) = called("");
    network.run_for(Duration::from_secs(100_000));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.agents[0].hang_up(network.now, leg, 16);
    let bye = network.take_text();
    network.send(PEER, &response(&bye, 200, "", "", ""));
    network.run_until_idle();
}

#[test]
fn d17_a_refresh_that_crosses_a_bye_raises_nobody() {
    let (mut network, _) = called("Allow: UPDATE\r\nSession-Expires: 1800;refresher=uac\r\n");
    let update = next_within(&mut network, 905);
    let bye = super::messages::within(&update_as_invite(&update), "BYE", 7, "a", "", "");
    network.send(PEER, &bye);
    assert_eq!(kinds(&network.take_texts()), ["200 BYE"]);
    assert_eq!(network.take_leg_events(0).len(), 1);
    network.send(PEER, &response(&update, 481, "", "", ""));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.take_events(0), []);
    network.run_until_idle();
}

/// The request that opened the dialog had no To tag.
fn update_as_invite(update: &str) -> String {
    let to = header(update, "To");
    let bare = to.split(";tag=").next().unwrap();
    update.replace(&format!("To: {to}"), &format!("To: {bare}"))
}
