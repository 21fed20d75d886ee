//! Provisional responses are sent and taken reliably (RFC 3262).

use std::time::Duration;

use super::calls::{CONTACT, calling};
use super::messages::{
    PEER, body, header, invite, kind, kinds, request, response, status, tag, uri,
};
use super::network::{Network, invite_to, sdp};
use crate::dialog::{Cause, LegEvent, LegKey, LegPolicy, Refusal, Release};
use crate::sip::Status;

const REQUIRED: &str = "Require: 100rel\r\n";

/// A caller who requires reliable responses has sent an INVITE, with an offer.
fn demanding() -> (Network, LegKey) {
    let mut network = Network::new(1, 1);
    let extra = format!(
        "Contact: <sip:3427@127.0.0.1:6000>\r\n{REQUIRED}Content-Type: application/sdp\r\n"
    );
    network.send(
        PEER,
        &request("INVITE", "call", 101, None, "1", &extra, "offer"),
    );
    let leg = network.take_invited(0);
    network.take_texts();
    (network, leg)
}

/// The PRACK of a response; `number` is its CSeq.
fn prack(reliable: &str, number: u32) -> String {
    let rack = format!("RAck: {} 101 INVITE\r\n", header(reliable, "RSeq"));
    let branch = format!("prack{number}");
    request(
        "PRACK",
        "call",
        number,
        Some(tag(reliable, "To")),
        &branch,
        &rack,
        "",
    )
}

#[test]
fn section_3_a_response_is_repeated_until_its_prack_with_a_growing_interval() {
    let (mut network, leg) = demanding();
    network.agents[0].progress(network.now, leg, Status::RINGING);
    let ringing = network.take_text();
    assert_eq!(header(&ringing, "Require"), "100rel");
    assert!(!header(&ringing, "RSeq").is_empty());
    // 0.5 s, 1.5 s, 3.5 s, 7.5 s, and so on without the bound of T2.
    network.run_for(Duration::from_secs(16));
    assert_eq!(network.take_texts(), vec![ringing.clone(); 5]);
    network.send(PEER, &prack(&ringing, 102));
    assert_eq!(kinds(&network.take_texts()), ["200 PRACK"]);
    network.run_for(Duration::from_secs(60));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.agents[0].legs(), 1);
}

#[test]
fn section_3_the_next_response_waits_for_the_prack_and_counts_on() {
    let (mut network, leg) = demanding();
    network.agents[0].progress(network.now, leg, Status::RINGING);
    let first = network.take_text();
    network.agents[0].progress(network.now, leg, Status::QUEUED);
    network.agents[0].progress(network.now, leg, Status::SESSION_PROGRESS);
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.send(PEER, &prack(&first, 102));
    let texts = network.take_texts();
    // Of those that waited the last is the one that counts.
    assert_eq!(kinds(&texts), ["200 PRACK", "183 INVITE"]);
    let number = |text: &str| header(text, "RSeq").parse::<u32>().unwrap();
    assert_eq!(number(&texts[1]), number(&first) + 1);
}

#[test]
fn section_3_a_prack_for_nothing_gets_481() {
    let (mut network, leg) = demanding();
    network.agents[0].progress(network.now, leg, Status::RINGING);
    let ringing = network.take_text();
    let rseq: u32 = header(&ringing, "RSeq").parse().unwrap();
    for (number, rack) in [
        (102, format!("{} 101 INVITE", rseq + 1)),
        (103, format!("{rseq} 100 INVITE")),
        (104, format!("{rseq} 101 UPDATE")),
        (105, "nonsense".to_owned()),
    ] {
        let rack = format!("RAck: {rack}\r\n");
        let tag = Some(tag(&ringing, "To"));
        let branch = number.to_string();
        network.send(
            PEER,
            &request("PRACK", "call", number, tag, &branch, &rack, ""),
        );
        assert_eq!(kind(&network.take_text()), "481 PRACK");
    }
    // It is acknowledged once.
    network.send(PEER, &prack(&ringing, 106));
    assert_eq!(kind(&network.take_text()), "200 PRACK");
    network.send(PEER, &prack(&ringing, 107));
    assert_eq!(kind(&network.take_text()), "481 PRACK");
}

#[test]
fn section_3_a_prack_outside_any_call_gets_481() {
    let mut network = Network::new(1, 1);
    let rack = "RAck: 1 101 INVITE\r\n";
    for tag in [None, Some("gone")] {
        let branch = tag.unwrap_or("none");
        network.send(PEER, &request("PRACK", "call", 1, tag, branch, rack, ""));
        assert_eq!(kind(&network.take_text()), "481 PRACK");
    }
}

#[test]
fn section_3_without_a_prack_the_invite_is_refused_with_5xx() {
    let (mut network, leg) = demanding();
    network.agents[0].progress(network.now, leg, Status::RINGING);
    network.run_for(Duration::from_millis(31_900));
    assert_eq!(network.take_leg_events(0), []);
    network.take_texts();
    network.run_for(Duration::from_millis(200));
    assert_eq!(kind(&network.take_text()), "504 INVITE");
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Unacknowledged)]
    );
    network.run_until_idle();
}

#[test]
fn section_3_the_2xx_waits_for_the_prack_of_a_description() {
    let (mut network, leg) = demanding();
    let status = Status::SESSION_PROGRESS;
    network.agents[0].early_media(network.now, leg, status, &sdp("answer"));
    let early = network.take_text();
    assert_eq!(
        (kind(&early).as_str(), body(&early)),
        ("183 INVITE", "answer")
    );
    network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.send(PEER, &prack(&early, 102));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["200 PRACK", "200 INVITE"]);
    // The caller has its answer; a second one would be none (RFC 6337 §3.1.1).
    assert_eq!(body(&texts[1]), "");
}

#[test]
fn section_3_the_2xx_does_not_wait_for_the_prack_of_a_mere_ringing() {
    let (mut network, leg) = demanding();
    network.agents[0].progress(network.now, leg, Status::RINGING);
    let ringing = network.take_text();
    network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
    let ok = network.take_text();
    assert_eq!((status(&ok), body(&ok)), (200, "answer"));
    // The PRACK is late, and taken.
    network.send(PEER, &prack(&ringing, 102));
    assert_eq!(kind(&network.take_text()), "200 PRACK");
    network.run_for(Duration::from_millis(600));
    assert_eq!(kinds(&network.take_texts()), ["200 INVITE"]);
}

#[test]
fn section_3_a_caller_who_gives_up_meanwhile_gets_its_487() {
    let (mut network, leg) = demanding();
    network.agents[0].early_media(network.now, leg, Status::RINGING, &sdp("answer"));
    network.take_text();
    network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
    network.send(PEER, &request("CANCEL", "call", 101, None, "1", "", ""));
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["200 CANCEL", "487 INVITE"]);
    let cause = Cause::default();
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::HungUp(Release::Cancelled { cause })]
    );
    network.run_until_idle();
}

#[test]
fn section_3_callers_who_do_not_require_it_get_plain_responses() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", "Supported: 100rel\r\n"));
    let leg = network.take_invited(0);
    network.take_texts();
    network.agents[0].progress(network.now, leg, Status::RINGING);
    let ringing = network.take_text();
    assert_eq!(header(&ringing, "Require"), "");
    assert_eq!(header(&ringing, "RSeq"), "");
    network.run_for(Duration::from_secs(10));
    assert_eq!(network.take_texts(), Vec::<String>::new());
}

#[test]
fn section_5_without_an_offer_of_theirs_the_first_response_has_ours() {
    let mut network = Network::new(1, 1);
    network.send(PEER, &invite("call", "1", REQUIRED));
    let leg = network.take_invited(0);
    network.take_texts();
    // RFC 3261 §13.2.1: a response without the offer may not go first.
    network.agents[0].progress(network.now, leg, Status::QUEUED);
    assert_eq!(network.take_texts(), Vec::<String>::new());
    network.agents[0].early_media(network.now, leg, Status::RINGING, &sdp("offer"));
    let early = network.take_text();
    assert_eq!(body(&early), "offer");
    let rack = format!(
        "RAck: {} 101 INVITE\r\nContent-Type: application/sdp\r\n",
        header(&early, "RSeq")
    );
    let tag = Some(tag(&early, "To"));
    network.send(
        PEER,
        &request("PRACK", "call", 102, tag, "p", &rack, "answer"),
    );
    assert_eq!(kind(&network.take_text()), "200 PRACK");
    let acknowledged = LegEvent::OfferAcknowledged {
        body: Some(sdp("answer")),
    };
    assert_eq!(network.take_leg_events(0), [acknowledged]);
    network.agents[0].answer(network.now, leg, Some(&sdp("offer")));
    assert_eq!(body(&network.take_text()), "");
}

/// The PRACK of a response, with an offer.
fn offering(reliable: &str, number: u32) -> String {
    let extra = format!(
        "RAck: {} 101 INVITE\r\nContent-Type: application/sdp\r\n",
        header(reliable, "RSeq")
    );
    let tag = Some(tag(reliable, "To"));
    let branch = format!("prack{number}");
    request("PRACK", "call", number, tag, &branch, &extra, "again")
}

#[test]
fn section_5_a_new_offer_in_the_prack_has_its_answer_in_the_2xx() {
    let (mut network, leg) = demanding();
    network.agents[0].early_media(network.now, leg, Status::RINGING, &sdp("answer"));
    let early = network.take_text();
    network.send(PEER, &offering(&early, 102));
    assert_eq!(network.take_texts(), Vec::<String>::new());
    let offered = LegEvent::Offered {
        body: Some(sdp("again")),
    };
    assert_eq!(network.take_leg_events(0), [offered]);
    // The response is acknowledged meanwhile, and the next one may go.
    network.agents[0].progress(network.now, leg, Status::QUEUED);
    let queued = network.take_text();
    network.agents[0].answer_offer(network.now, leg, Some(&sdp("agreed")));
    let text = network.take_text();
    assert_eq!((kind(&text).as_str(), body(&text)), ("200 PRACK", "agreed"));
    network.send(PEER, &prack(&queued, 103));
    assert_eq!(kinds(&network.take_texts()), ["200 PRACK"]);
    network.agents[0].answer(network.now, leg, None);
    assert_eq!(kind(&network.take_text()), "200 INVITE");
}

#[test]
fn section_5_the_2xx_to_the_invite_waits_for_the_answer_to_a_new_offer() {
    for accepts in [true, false] {
        for answered_first in [true, false] {
            let (mut network, leg) = demanding();
            network.agents[0].early_media(network.now, leg, Status::RINGING, &sdp("answer"));
            let early = network.take_text();
            if answered_first {
                network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
            }
            network.send(PEER, &offering(&early, 102));
            if !answered_first {
                network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
            }
            assert_eq!(network.take_texts(), Vec::<String>::new());
            let now = network.now;
            if accepts {
                network.agents[0].answer_offer(now, leg, Some(&sdp("agreed")));
            } else {
                let refusal = Refusal {
                    status: Status::NOT_ACCEPTABLE_HERE,
                    retry_after: None,
                };
                network.agents[0].refuse_offer(now, leg, refusal);
            }
            let texts = network.take_texts();
            let code = if accepts { "200 PRACK" } else { "488 PRACK" };
            assert_eq!(kinds(&texts), [code, "200 INVITE"]);
            assert_eq!(body(&texts[1]), "");
        }
    }
}

/// RFC 3264 §4: there is no second offer before the first is answered, nor after the 2xx, which has
/// its answer.
#[test]
fn section_5_a_new_offer_out_of_its_time_is_refused() {
    for answered in [false, true] {
        let (mut network, leg) = demanding();
        network.agents[0].progress(network.now, leg, Status::RINGING);
        let ringing = network.take_text();
        if answered {
            network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
            assert_eq!(kind(&network.take_text()), "200 INVITE");
        }
        network.send(PEER, &offering(&ringing, 102));
        assert_eq!(kind(&network.take_text()), "488 PRACK");
        assert_eq!(network.take_leg_events(0), []);
        if !answered {
            // The response is acknowledged all the same.
            network.run_for(Duration::from_secs(40));
            assert_eq!(network.take_texts(), Vec::<String>::new());
            network.agents[0].answer(network.now, leg, Some(&sdp("answer")));
            assert_eq!(body(&network.take_text()), "answer");
        }
    }
}

/// A call to a trunk that may send reliable responses.
fn trusting() -> (Network, LegKey, String) {
    let mut network = Network::new(2, 1);
    let mut invite = invite_to(PEER);
    invite.policy = LegPolicy {
        reliable_provisional: true,
        ..LegPolicy::default()
    };
    let leg = network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let text = network.take_text();
    (network, leg, text)
}

fn reliable(invite: &str, code: u16, tag: &str, rseq: u32, body: &str) -> String {
    let content = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    let extra = format!(
        "Require: 100rel\r\nRSeq: {rseq}\r\n\
         Contact: <sip:early@127.0.0.1:6001>\r\n{content}"
    );
    response(invite, code, tag, &extra, body)
}

#[test]
fn section_4_it_is_offered_only_where_the_trunk_says_so_and_with_an_offer() {
    let (_, _, invite) = trusting();
    assert!(header(&invite, "Supported").contains("100rel"));
    assert_eq!(header(&invite, "Require"), "");
    let (_, _, invite) = calling();
    assert!(!header(&invite, "Supported").contains("100rel"));
    let mut network = Network::new(2, 1);
    let mut asking = invite_to(PEER);
    asking.policy.reliable_provisional = true;
    asking.body = None;
    network.agents[0]
        .invite(network.now, &asking)
        .expect("there is room");
    assert!(!header(&network.take_text(), "Supported").contains("100rel"));
}

#[test]
fn section_4_a_reliable_response_gets_its_prack_in_its_early_dialog() {
    let (mut network, leg, invite) = trusting();
    network.send(PEER, &reliable(&invite, 183, "a", 7, "early"));
    let text = network.take_text();
    assert_eq!(kind(&text), "PRACK");
    assert_eq!(uri(&text), "sip:early@127.0.0.1:6001");
    assert_eq!(header(&text, "RAck"), "7 1 INVITE");
    assert_eq!(header(&text, "CSeq"), "2 PRACK");
    assert_eq!(tag(&text, "To"), "a");
    let progress = LegEvent::Progress {
        status: Status::SESSION_PROGRESS,
        body: Some(sdp("early")),
    };
    assert_eq!(network.take_leg_events(0), [progress]);
    network.send(PEER, &response(&text, 200, "", "", ""));
    // The answer has been given: the 2xx need not repeat it, and its ACK counts as its INVITE.
    network.send(PEER, &response(&invite, 200, "a", CONTACT, ""));
    assert_eq!(
        network.take_leg_events(0),
        [LegEvent::Answered {
            body: Some(sdp("early"))
        }]
    );
    network.agents[0].acknowledge(network.now, leg, None);
    assert_eq!(header(&network.take_text(), "CSeq"), "1 ACK");
    network.agents[0].hang_up(network.now, leg, 16);
    assert_eq!(header(&network.take_text(), "CSeq"), "3 BYE");
}

#[test]
fn section_4_repetitions_and_gaps_are_passed_over() {
    let (mut network, _, invite) = trusting();
    network.send(PEER, &reliable(&invite, 180, "a", 7, ""));
    let prack = network.take_text();
    network.send(PEER, &response(&prack, 200, "", "", ""));
    assert_eq!(network.take_leg_events(0).len(), 1);
    for rseq in [7, 9, 6] {
        network.send(PEER, &reliable(&invite, 183, "a", rseq, ""));
        assert_eq!(network.take_texts(), Vec::<String>::new(), "{rseq}");
        assert_eq!(network.take_leg_events(0), [], "{rseq}");
    }
    network.send(PEER, &reliable(&invite, 183, "a", 8, ""));
    assert_eq!(header(&network.take_text(), "RAck"), "8 1 INVITE");
}

#[test]
fn section_4_each_fork_counts_for_itself() {
    let (mut network, _, invite) = trusting();
    for (tag, rseq, cseq) in [("a", 7, 2), ("b", 100, 3), ("a", 8, 4)] {
        network.send(PEER, &reliable(&invite, 180, tag, rseq, ""));
        let text = network.take_text();
        assert_eq!(header(&text, "RAck"), format!("{rseq} 1 INVITE"));
        assert_eq!(header(&text, "CSeq"), format!("{cseq} PRACK"));
        network.send(PEER, &response(&text, 200, "", "", ""));
    }
}

#[test]
fn section_4_a_lost_prack_is_repeated_and_its_failure_ends_nothing() {
    let (mut network, leg, invite) = trusting();
    network.send(PEER, &reliable(&invite, 180, "a", 7, ""));
    let prack = network.take_text();
    network.run_for(Duration::from_millis(600));
    assert_eq!(network.take_text(), prack);
    network.send(PEER, &response(&prack, 481, "", "", ""));
    network.agents[0].hang_up(network.now, leg, 16);
    let cancel = network.take_text();
    assert_eq!(header(&cancel, "CSeq"), "1 CANCEL");
    network.send(PEER, &response(&invite, 487, "a", "", ""));
    network.run_until_idle();
}
