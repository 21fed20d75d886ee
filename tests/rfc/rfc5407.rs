//! Races: messages that cross, overtake one another or are lost, by the sections of RFC 5407; the
//! states are its own (Preparative, Early, Moratorium, Established, Mortal).

use std::time::Duration;

use super::calls::{
    ack, answered, bye, calling, connected, connected_by_hand, ok, reinvite, ringing,
};
use super::messages::{PEER, invite, kind, kinds, request, response, tag, within};
use super::network::{Network, sdp};
use crate::dialog::{Cause, LegEvent, Release};
use crate::sip::Status;
use offhook::limits::FORKS_MAX;

const REFUSED: LegEvent = LegEvent::OfferRefused {
    status: Status::REQUEST_PENDING,
};

#[test]
fn section_3_1_1_the_invite_once_more_after_the_2xx_is_no_second_call() {
    let (mut network, _, ok) = answered();
    network.send(PEER, &invite("call", "1", ""));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.take_events(0), []);
    assert_eq!(network.agents[0].legs(), 1);
    network.run_for(Duration::from_millis(500));
    assert_eq!(network.take_texts(), [ok]);
}

#[test]
fn section_3_1_2_a_cancel_that_crosses_the_2xx_is_answered_and_changes_nothing() {
    let (mut network, _, text) = answered();
    network.send(PEER, &request("CANCEL", "call", 101, None, "1", "", ""));
    assert_eq!(kinds(&network.take_texts()), ["200 CANCEL"]);
    // RFC 5407: the caller then acknowledges and says BYE.
    network.send(PEER, &ack(&text, ""));
    network.send(PEER, &bye(&text));
    assert_eq!(kinds(&network.take_texts()), ["200 BYE"]);
    let events = network.take_leg_events(0);
    assert_eq!(events.len(), 2, "{events:?}");
    network.run_until_idle();
}

#[test]
fn section_3_1_2_a_cancel_of_ours_that_crosses_the_2xx_is_followed_by_ack_and_bye() {
    let (mut network, leg, text) = calling();
    network.send(PEER, &response(&text, 180, "a", "", ""));
    network.take_events(0);
    network.agents[0].hang_up(network.now, leg, 16);
    assert_eq!(kinds(&network.take_texts()), ["CANCEL"]);
    network.send(PEER, &ok(&text, "a"));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["ACK", "BYE"]);
    assert_eq!(network.take_events(0), []);
    network.send(PEER, &response(&texts[1], 200, "", "", ""));
    network.run_until_idle();
}

#[test]
fn section_3_1_3_a_bye_in_an_early_dialog_that_crosses_the_2xx_ends_the_call() {
    let (mut network, _, text) = answered();
    // The caller sent it before it saw the 2xx, which it still has to acknowledge.
    network.send(PEER, &bye(&text));
    assert_eq!(kinds(&network.take_texts()), ["200 BYE"]);
    let cause = 16.into();
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Bye { cause })]
    );
    network.send(PEER, &ack(&text, ""));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.run_until_idle();
}

#[test]
fn section_3_1_4_a_re_invite_that_overtakes_the_ack_waits() {
    let (mut network, _, text) = answered();
    network.send(PEER, &reinvite(tag(&text, "To"), 102));
    assert_eq!(kinds(&network.take_texts()), ["100 INVITE", "491 INVITE"]);
    assert_eq!(network.take_events(0), []);
    // The call itself is none the worse for it.
    network.send(PEER, &ack(&text, "answer"));
    assert_eq!(network.take_leg_events(0).len(), 1);
    network.send(PEER, &reinvite(tag(&text, "To"), 103));
    assert_eq!(network.take_leg_events(0).len(), 1);
}

#[test]
fn section_3_1_5_a_bye_that_overtakes_the_ack_ends_the_repetitions() {
    let (mut network, _, text) = answered();
    network.send(PEER, &bye(&text));
    network.take_events(0);
    network.take_texts();
    network.run_for(Duration::from_secs(40));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.run_until_idle();
}

#[test]
fn section_3_1_5_a_2xx_that_comes_again_after_the_bye_is_acknowledged_again() {
    let (mut network, leg, text) = calling();
    network.send(PEER, &ok(&text, "a"));
    network.agents[0].acknowledge(network.now, leg, None);
    let first = network.take_text();
    network.agents[0].hang_up(network.now, leg, 16);
    let end = network.take_text();
    // The ACK was lost.
    network.send(PEER, &ok(&text, "a"));
    assert_eq!(network.take_text(), first);
    network.send(PEER, &response(&end, 200, "", "", ""));
    network.send(PEER, &ok(&text, "a"));
    assert_eq!(network.take_text(), first);
    network.run_until_idle();
}

/// A callee that hangs up has answered, and its 2xx is late: it gets its ACK when it comes. The
/// response that rang may be late as well.
#[test]
fn section_3_1_5_a_bye_of_the_callee_that_overtakes_its_2xx_ends_the_call() {
    for rang in [true, false] {
        let (mut network, leg, text) = calling();
        if rang {
            network.send(PEER, &response(&text, 180, "a", "", ""));
            network.take_events(0);
        }
        network.send(PEER, &within(&text, "BYE", 1, "a", "", ""));
        let cancels: &[&str] = if rang { &["CANCEL"] } else { &[] };
        let expected = [&["200 BYE"], cancels].concat();
        assert_eq!(kinds(&network.take_texts()), expected);
        let release = Release::Bye {
            cause: Cause::default(),
        };
        assert_eq!(network.take_leg_events(0), [LegEvent::HungUp(release)]);
        network.agents[0].hang_up(network.now, leg, 16);
        network.send(PEER, &ok(&text, "a"));
        let texts = network.take_texts();
        assert_eq!(kinds(&texts), ["ACK", "BYE"]);
        network.send(PEER, &response(&texts[1], 481, "", "", ""));
        network.run_until_idle();
        assert_eq!(network.take_events(0), []);
    }
}

/// Nobody above has had an answer to the offer of the callee, in all the time that the callee has
/// patience: its 2xx gets its ACK all the same, before the BYE.
#[test]
fn section_3_1_4_a_2xx_that_nobody_acknowledged_gets_its_ack_before_the_bye() {
    let (mut network, _, text) = calling();
    network.send(PEER, &ok(&text, "a"));
    network.take_events(0);
    network.run_for(Duration::from_millis(32_008));
    assert_eq!(kinds(&network.take_texts())[..2], ["ACK", "BYE"]);
    let mut events = network.take_leg_events(0);
    assert_eq!(events.pop(), Some(LegEvent::HungUp(Release::Lost)));
    let is_asked = |event: &LegEvent| *event == LegEvent::AcknowledgementDue;
    assert!(!events.is_empty() && events.iter().all(is_asked));
    network.run_until_idle();
}

#[test]
fn section_3_2_1_bye_crosses_bye_and_each_is_answered() {
    let (mut network, caller, callee) = connected();
    network.agents[0].hang_up(network.now, caller, 16);
    network.agents[1].hang_up(network.now, callee, 16);
    network.run_until_idle();
    assert_eq!(network.take_events(0), []);
    assert_eq!(network.take_events(1), []);
}

#[test]
fn section_3_2_2_a_re_invite_that_crosses_the_bye_gets_481() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].hang_up(network.now, leg, 16);
    let end = network.take_text();
    network.send(PEER, &reinvite(&tag, 102));
    assert_eq!(kinds(&network.take_texts()), ["100 INVITE", "481 INVITE"]);
    assert_eq!(network.take_events(0), []);
    network.send(PEER, &response(&end, 200, "", "", ""));
    network.send(
        PEER,
        &reinvite(&tag, 102)
            .replacen("INVITE", "ACK", 1)
            .replace("102 INVITE", "102 ACK"),
    );
    network.run_until_idle();
}

#[test]
fn section_3_2_2_a_re_invite_of_ours_that_meets_a_bye_ends_without_a_word() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].offer(network.now, leg, Some(&sdp("hold")));
    let hold = network.take_text();
    network.send(PEER, &request("BYE", "call", 102, Some(&tag), "b", "", ""));
    assert_eq!(kinds(&network.take_texts()), ["200 BYE"]);
    let cause = Cause::default();
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Bye { cause })]
    );
    network.send(PEER, &response(&hold, 487, "", "", ""));
    assert_eq!(kinds(&network.take_texts()), ["ACK"]);
    assert_eq!(network.take_events(0), []);
    network.run_until_idle();
}

/// The peer is gone before it has answered with 487: a 100 that was on its way keeps nothing.
#[test]
fn section_3_2_2_a_re_invite_of_ours_that_meets_a_bye_ends_unanswered() {
    for by_us in [false, true] {
        let (mut network, leg, tag) = connected_by_hand();
        network.agents[0].offer(network.now, leg, Some(&sdp("hold")));
        let hold = network.take_text();
        if by_us {
            network.agents[0].hang_up(network.now, leg, 16);
        } else {
            network.send(PEER, &request("BYE", "call", 102, Some(&tag), "b", "", ""));
        }
        network.send(PEER, &response(&hold, 100, "", "", ""));
        network.run_until_idle();
        assert_eq!(network.agents[0].legs(), 0, "{by_us}");
        assert_eq!(network.agents[0].transactions(), 0, "{by_us}");
    }
}

#[test]
fn section_3_2_3_a_2xx_to_a_re_invite_of_a_call_that_has_ended_is_acknowledged() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].offer(network.now, leg, Some(&sdp("hold")));
    let hold = network.take_text();
    network.send(PEER, &request("BYE", "call", 102, Some(&tag), "b", "", ""));
    network.take_texts();
    network.take_events(0);
    network.send(PEER, &ok(&hold, ""));
    assert_eq!(kinds(&network.take_texts()), ["ACK"]);
    assert_eq!(network.take_events(0), []);
    network.run_until_idle();
}

#[test]
fn section_3_2_4_an_ack_that_comes_after_the_bye_is_nothing() {
    let (mut network, _, text) = answered();
    network.send(PEER, &bye(&text));
    network.take_texts();
    network.take_events(0);
    for _ in 0..2 {
        network.send(PEER, &ack(&text, "answer"));
    }
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.take_events(0), []);
}

#[test]
fn section_3_3_1_re_invites_that_cross_get_491_and_leave_the_call() {
    let (mut network, caller, callee) = connected();
    network.agents[0].offer(network.now, caller, Some(&sdp("a")));
    network.agents[1].offer(network.now, callee, Some(&sdp("b")));
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.take_leg_events(0), [REFUSED]);
    assert_eq!(network.take_leg_events(1), [REFUSED]);
    network.agents[0].hang_up(network.now, caller, 16);
    network.run_until_idle();
}

#[test]
fn section_3_3_2_an_update_and_a_re_invite_that_cross_get_491_both() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].offer(network.now, leg, Some(&sdp("ours")));
    let ours = network.take_text();
    let extra = "Contact: <sip:3427@127.0.0.1:6000>\r\nContent-Type: application/sdp\r\n";
    let update = request("UPDATE", "call", 102, Some(&tag), "u", extra, "theirs");
    network.send(PEER, &update);
    assert_eq!(kind(&network.take_text()), "491 UPDATE");
    network.send(PEER, &response(&ours, 491, "", "", ""));
    assert_eq!(network.take_leg_events(0), [REFUSED]);
    // Both try again, one after the other.
    let again = request("UPDATE", "call", 103, Some(&tag), "v", extra, "theirs");
    network.send(PEER, &again);
    assert_eq!(network.take_leg_events(0).len(), 1);
}

#[test]
fn section_3_3_3_a_refer_that_crosses_the_bye_gets_481() {
    let (mut network, leg, tag) = connected_by_hand();
    network.agents[0].hang_up(network.now, leg, 16);
    network.take_text();
    let extra = "Refer-To: <sip:200@pbx>\r\n";
    network.send(
        PEER,
        &request("REFER", "call", 102, Some(&tag), "r", extra, ""),
    );
    assert_eq!(kind(&network.take_text()), "481 REFER");
}

#[test]
fn d2_hanging_up_before_anything_has_come_back_sends_the_cancel_later() {
    let (mut network, leg, text) = calling();
    network.agents[0].hang_up(network.now, leg, 16);
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.send(PEER, &response(&text, 100, "", "", ""));
    assert_eq!(kinds(&network.take_texts()), ["CANCEL"]);
    network.send(PEER, &response(&text, 487, "a", "", ""));
    // D4: the failure is acknowledged.
    assert_eq!(kinds(&network.take_texts()), ["ACK"]);
    network.run_until_idle();
}

#[test]
fn d3_a_487_that_never_comes_is_given_up() {
    let (mut network, leg, text) = calling();
    network.send(PEER, &response(&text, 180, "a", "", ""));
    network.agents[0].hang_up(network.now, leg, 16);
    let cancel = network.take_text();
    network.send(PEER, &response(&cancel, 200, "a", "", ""));
    network.run_for(Duration::from_secs(33));
    assert_eq!(network.agents[0].legs(), 0);
}

#[test]
fn d6_a_lost_2xx_and_a_lost_ack_cost_time_and_no_call() {
    let (mut network, leg) = ringing();
    network.agents[0].answer(network.now, leg, Some(&sdp("offer")));
    // Five copies are lost on the way, and the ACKs to two more.
    network.run_for(Duration::from_secs(14));
    let copies = network.take_texts();
    assert!(copies.len() > 5);
    assert!(copies.iter().all(|copy| *copy == copies[0]));
    network.send(PEER, &ack(&copies[0], "answer"));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Acknowledged {
            body: Some(sdp("answer"))
        }]
    );
    network.run_for(Duration::from_secs(30));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn d8_an_ack_to_nowhere_is_never_answered() {
    let mut network = Network::new(1, 1);
    for tag in [None, Some("gone")] {
        network.send(PEER, &request("ACK", "call", 1, tag, "a", "", ""));
    }
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.run_until_idle();
}

#[test]
fn d12_the_first_fork_that_answers_wins_and_the_others_are_ended() {
    let (mut network, leg, text) = calling();
    for tag in ["a", "b", "c"] {
        network.send(PEER, &ok(&text, tag));
    }
    network.agents[0].acknowledge(network.now, leg, None);
    let texts = network.take_texts();
    let ends: Vec<_> = texts
        .iter()
        .filter(|text| kind(text) == "BYE")
        .map(|text| tag(text, "To"))
        .collect();
    assert_eq!(ends, ["b", "c"]);
    for wanted in ["a", "b", "c"] {
        let acks = texts
            .iter()
            .filter(|text| kind(text) == "ACK" && tag(text, "To") == wanted);
        assert_eq!(acks.count(), 1, "{wanted}");
    }
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn d12_forks_beyond_those_that_are_kept_get_no_ack_and_end_by_themselves() {
    let (mut network, leg, text) = calling();
    let tags: Vec<String> = (0..FORKS_MAX + 2).map(|fork| format!("f{fork}")).collect();
    network.send(PEER, &ok(&text, &tags[0]));
    network.agents[0].acknowledge(network.now, leg, None);
    for tag in &tags[1..] {
        network.send(PEER, &ok(&text, tag));
    }
    let texts = network.take_texts();
    let acknowledged = |wanted: &String| {
        let mut acks = texts.iter().filter(|text| kind(text) == "ACK");
        acks.any(|text| tag(text, "To") == *wanted)
    };
    let kept: Vec<bool> = tags.iter().map(acknowledged).collect();
    assert_eq!(kept.iter().filter(|kept| **kept).count(), FORKS_MAX);
    assert_eq!(kept[FORKS_MAX..], [false, false]);
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn d13_what_early_forks_say_is_no_word_of_the_one_that_answers() {
    let (mut network, leg, text) = calling();
    network.send(PEER, &response(&text, 183, "a", "", ""));
    network.send(PEER, &response(&text, 180, "b", "", ""));
    network.send(PEER, &ok(&text, "b"));
    network.agents[0].acknowledge(network.now, leg, None);
    network.take_texts();
    network.take_events(0);
    // The other fork is not the call.
    network.send(PEER, &within(&text, "BYE", 9, "a", "", ""));
    assert_eq!(kind(&network.take_text()), "481 BYE");
    network.send(PEER, &within(&text, "BYE", 1, "b", "", ""));
    assert_eq!(kind(&network.take_text()), "200 BYE");
    assert_eq!(network.take_leg_events(0).len(), 1);
    network.run_until_idle();
}

#[test]
fn d14_provisional_responses_out_of_order_or_late_are_harmless() {
    let (mut network, leg, text) = calling();
    network.send(PEER, &response(&text, 183, "a", "", ""));
    network.send(PEER, &response(&text, 180, "a", "", ""));
    network.send(PEER, &response(&text, 100, "", "", ""));
    network.send(PEER, &ok(&text, "a"));
    network.take_events(0);
    for code in [180, 183, 199] {
        network.send(PEER, &response(&text, code, "a", "", ""));
    }
    assert_eq!(network.take_events(0), []);
    network.agents[0].acknowledge(network.now, leg, None);
    assert_eq!(kinds(&network.take_texts()), ["ACK"]);
}

#[test]
fn d19_a_number_that_goes_back_changes_nothing() {
    let (mut network, _, tag) = connected_by_hand();
    network.send(PEER, &reinvite(&tag, 110));
    network.take_texts();
    network.take_events(0);
    // One who says BYE has hung up nonetheless (`tests/rfc3261/section_15.rs`).
    for method in ["UPDATE", "INFO", "REFER"] {
        let late = request(method, "call", 105, Some(&tag), method, "", "");
        network.send(PEER, &late);
        assert_eq!(kind(&network.take_text()), format!("500 {method}"));
    }
    assert_eq!(network.take_events(0), []);
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn d22_two_calls_with_one_call_id_and_two_from_tags_are_two() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    let second = invite("call", "2", "").replace("tag=peer", "tag=spiral");
    network.send(PEER, &second);
    assert_eq!(network.agents[0].legs(), 2);
    assert_eq!(kinds(&network.take_texts()), ["100 INVITE", "100 INVITE"]);
}

#[test]
fn d5_a_cancel_whose_sent_by_a_nat_has_changed_still_finds_its_invite() {
    let (mut network, _) = ringing();
    let cancel = request("CANCEL", "call", 101, None, "1", "", "")
        .replace("SIP/2.0/UDP 127.0.0.1:6000", "SIP/2.0/UDP 10.0.0.9:5099");
    network.send(PEER, &cancel);
    assert_eq!(kinds(&network.take_texts()), ["200 CANCEL", "487 INVITE"]);
}

#[test]
fn d18_the_same_invite_by_another_path_is_merged() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", ""));
    network.send(PEER, &invite("call", "2", ""));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["100 INVITE", "482 INVITE"]);
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn d18_the_same_bye_by_another_path_ends_nothing_twice() {
    let (mut network, _, tag) = connected_by_hand();
    for (branch, expected) in [("a", "200 BYE"), ("b", "481 BYE")] {
        let bye = request("BYE", "call", 102, Some(&tag), branch, "", "");
        network.send(PEER, &bye);
        assert_eq!(kind(&network.take_text()), expected);
    }
    assert_eq!(network.take_leg_events(0).len(), 1);
    network.run_until_idle();
}

#[test]
fn d21_an_answer_that_comes_after_the_timeout_completes_nothing_twice() {
    let (mut network, leg, tag) = connected_by_hand();
    let contact = "Contact: <sip:3427@127.0.0.1:6000>\r\nAllow: UPDATE\r\n";
    network.send(
        PEER,
        &request("UPDATE", "call", 102, Some(&tag), "u", contact, ""),
    );
    network.take_texts();
    let party = crate::dialog::Party {
        number: "4711".into(),
        ..crate::dialog::Party::default()
    };
    network.agents[0].identify(network.now, leg, &party.into());
    let update = network.take_text();
    network.run_for(Duration::from_millis(32_100));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Lost)]
    );
    let sent = network.take_texts();
    let end = sent.iter().find(|text| kind(text) == "BYE").unwrap();
    network.send(PEER, &response(&update, 200, "", "", ""));
    assert_eq!(network.take_events(0), []);
    network.send(PEER, &response(end, 200, "", "", ""));
    network.run_until_idle();
}

#[test]
fn d26_a_redirection_is_reported_and_never_followed() {
    let (mut network, _, text) = calling();
    let itself = "Contact: <sip:2001@127.0.0.1:6000>\r\n";
    network.send(PEER, &response(&text, 302, "a", itself, ""));
    assert_eq!(kinds(&network.take_texts()), ["ACK"]);
    let refused = LegEvent::Refused {
        status: Status::MOVED_TEMPORARILY,
        retry_after: None,
        after_provisional: false,
    };
    assert_eq!(network.take_leg_events(0), [refused]);
    network.run_until_idle();
}

#[test]
fn d12_another_fork_leaves_the_offer_of_the_first_to_be_answered() {
    const OFFER: &str = "v=0\r\no=phone 1 1 IN IP4 192.0.2.1\r\ns=-\r\n\
        c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let mut network = Network::new(1, 1);
    let asking = crate::dialog::Invite {
        body: None,
        ..super::network::invite_to(PEER)
    };
    let leg = network.agents[0]
        .invite(network.now, &asking)
        .expect("there is room");
    let text = network.take_text();
    let extra = format!("{}Content-Type: application/sdp\r\n", super::calls::CONTACT);
    for tag in ["a", "b"] {
        network.send(PEER, &response(&text, 200, tag, &extra, OFFER));
    }
    network.agents[0].hang_up(network.now, leg, Cause::default());
    let texts = network.take_texts();
    for wanted in ["b", "a"] {
        let mut acks = texts
            .iter()
            .filter(|text| kind(text) == "ACK" && tag(text, "To") == wanted);
        let ack = acks.next().expect("every 2xx gets its ACK");
        assert!(ack.contains("m=audio 0"), "{wanted}: {ack}");
    }
}
