//! Calls from a caller to a phone, each behaviour by itself.

use std::time::Duration;

use offhook::sip::Status;

use super::network::{Direct, Network, Weather, address, direct};
use crate::population::*;

fn calm(behaviour: Behaviour) -> Direct {
    let mut network = direct(1, Weather::FINE, Habits::default());
    network.phone("2001").set_behaviour(Some(behaviour));
    network
}

fn idle(network: &mut Direct) {
    network.run(Duration::from_secs(120));
    assert_eq!((network.near.live().len(), network.far.calls()), (0, 0));
    assert_eq!(
        (network.near.transactions(), network.far.transactions()),
        (0, 0)
    );
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_delayed_offer_is_answered_in_the_ack_and_the_caller_hangs_up() {
    let mut network = calm(Behaviour::default());
    let token = network.call(CallPlan::to("2001").talks_for(SECOND));
    network.run(SECOND / 2);
    let view = network.far.phone_view("2001").expect("the phone exists");
    assert_eq!(view.activity, Activity::Talking(Some(token)));
    assert_eq!(view.presence, Presence::OnThePhone);
    idle(&mut network);
    assert_eq!(network.outcome(token), Some(Outcome::Answered(EndedBy::Us)));
    assert_eq!(network.faults(), []);
    let ack = network
        .transcript
        .iter()
        .find(|(_, _, bytes)| bytes.starts_with(b"ACK"));
    let ack = String::from_utf8_lossy(&ack.expect("an ACK was sent").2).into_owned();
    assert!(ack.contains("application/sdp"), "{ack}");
}

#[test]
fn an_early_offer_is_answered_in_the_200_and_the_agent_hangs_up() {
    let behaviour = Behaviour {
        hang_up_after: Some(SECOND),
        ..Behaviour::default()
    };
    let mut network = calm(behaviour);
    let token = network.call(CallPlan::to("2001").with_offer());
    idle(&mut network);
    assert_eq!(
        network.outcome(token),
        Some(Outcome::Answered(EndedBy::Server))
    );
    assert_eq!(network.faults(), []);
    let view = network.far.phone_view("2001").expect("the phone exists");
    assert_eq!(
        (view.activity, view.presence),
        (Activity::Idle, Presence::Idle)
    );
}

#[test]
fn refusals_reach_the_caller_as_they_are() {
    for status in [Status::BUSY_HERE, Status::DECLINE, Status::NOT_FOUND] {
        let mut network = calm(Behaviour::refuses(status));
        let token = network.call(CallPlan::to("2001"));
        idle(&mut network);
        assert_eq!(network.outcome(token), Some(Outcome::Refused(status.0)));
    }
    let mut network = calm(Behaviour::default());
    network.phone("2002").unregister();
    let absent = network.call(CallPlan::to("2002"));
    let unknown = network.call(CallPlan::to("2999"));
    assert!(network.phone("2003").begin_private_call());
    assert!(!network.phone("2003").begin_private_call());
    let busy = network.call(CallPlan::to("2003"));
    idle(&mut network);
    assert_eq!(network.outcome(absent), Some(Outcome::Refused(480)));
    assert_eq!(network.outcome(unknown), Some(Outcome::Refused(404)));
    assert_eq!(network.outcome(busy), Some(Outcome::Refused(486)));
    assert!(network.phone("2003").end_private_call());
}

#[test]
fn a_phone_answers_declines_and_hangs_up_by_command() {
    let mut network = calm(Behaviour::rings());
    let token = network.call(CallPlan::to("2001"));
    network.run(SECOND);
    assert!(!network.phone("2001").hang_up());
    assert!(network.phone("2001").answer());
    assert!(!network.phone("2001").answer());
    network.run(SECOND);
    assert!(network.phone("2001").hang_up());
    let declined = {
        network.run(SECOND);
        network.call(CallPlan::to("2001"))
    };
    network.run(SECOND);
    assert!(network.phone("2001").decline());
    idle(&mut network);
    assert_eq!(
        network.outcome(token),
        Some(Outcome::Answered(EndedBy::Server))
    );
    assert_eq!(network.outcome(declined), Some(Outcome::Refused(603)));
}

#[test]
fn a_caller_whose_patience_ends_is_abandoned_and_the_phone_stops_ringing() {
    let mut network = calm(Behaviour::rings());
    let token = network.call(CallPlan::to("2001").waits_for(SECOND * 3));
    network.run(SECOND * 2);
    let view = network.far.phone_view("2001").expect("the phone exists");
    assert_eq!(view.activity, Activity::Ringing(Some(token)));
    idle(&mut network);
    assert_eq!(network.outcome(token), Some(Outcome::Abandoned));
    assert_eq!(
        network.count(|fact| matches!(fact, Fact::PhoneCancelled { .. })),
        1
    );
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    // No 100 and no 180: the CANCEL is held back until the answer overtakes it.
    let mut network = calm(Behaviour {
        trying: false,
        ringing_after: None,
        then: Answering::After(SECOND * 2),
        ..Behaviour::default()
    });
    let token = network.call(CallPlan::to("2001").waits_for(SECOND / 4));
    idle(&mut network);
    assert_eq!(network.outcome(token), Some(Outcome::Abandoned));
    let sent = |method: &[u8]| {
        network
            .transcript
            .iter()
            .filter(|(_, _, bytes)| bytes.starts_with(method))
            .count()
    };
    assert_eq!((sent(b"CANCEL"), sent(b"ACK"), sent(b"BYE")), (0, 1, 1));
}

#[test]
fn a_cancel_that_crosses_the_200_ends_in_bye() {
    for offset in -3_i64..=3 {
        let answer = Duration::from_millis(100);
        let mut network = calm(Behaviour::answers_after(answer));
        let patience = Duration::from_millis(u64::try_from(100 + offset).expect("positive"));
        let token = network.call(CallPlan::to("2001").waits_for(patience));
        network.run(SECOND * 10);
        assert_eq!(network.faults(), [], "{offset}");
        let outcome = network.outcome(token);
        match offset {
            ..=1 => assert_eq!(outcome, Some(Outcome::Abandoned), "{offset}"),
            2.. => {
                // The 200 is there: nobody cancels, and nobody hangs up either.
                assert_eq!(outcome, None, "{offset}");
            }
        }
    }
}

#[test]
fn holds_and_resumes_go_both_ways() {
    let behaviour = Behaviour {
        hold_after: Some(SECOND),
        ..Behaviour::default()
    };
    let mut network = calm(behaviour);
    let plan = CallPlan::to("2001").talks_for(SECOND * 20);
    let token = network.call(CallPlan {
        hold_after: Some(SECOND * 5),
        ..plan
    });
    network.run(SECOND * 15);
    assert!(network.phone("2001").change(Change::Refresh));
    assert!(
        !network.phone("2001").change(Change::Hold),
        "one change at a time"
    );
    idle(&mut network);
    assert_eq!(network.outcome(token), Some(Outcome::Answered(EndedBy::Us)));
    for change in [Change::Hold, Change::Resume] {
        assert_eq!(
            network.count(|fact| matches!(fact, Fact::Changed { change: is, .. } if *is == change)),
            2
        );
    }
    assert_eq!(network.faults(), []);
}

#[test]
fn changes_that_cross_are_tried_again() {
    let mut network = calm(Behaviour::default());
    let token = network.call(CallPlan::to("2001").talks_for(SECOND * 30));
    network.run(SECOND * 2);
    let now = network.now;
    assert!(network.near.change(now, token, Change::Hold));
    assert!(network.phone("2001").change(Change::Refresh));
    idle(&mut network);
    assert_eq!(
        network.count(|fact| matches!(fact, Fact::Changed { .. })),
        2
    );
    let glares = network
        .transcript
        .iter()
        .filter(|(_, _, bytes)| bytes.starts_with(b"SIP/2.0 491"));
    assert_eq!(glares.count(), 2);
    assert_eq!(network.outcome(token), Some(Outcome::Answered(EndedBy::Us)));
}

#[test]
fn a_server_that_dies_loses_what_it_had() {
    let mut network = calm(Behaviour::default());
    let up = network.call(CallPlan::to("2001").talks_for(SECOND * 10));
    network
        .phone("2002")
        .set_behaviour(Some(Behaviour::rings()));
    let ringing = network.call(CallPlan::to("2002").waits_for(SECOND * 10));
    network.run(SECOND * 2);
    network.far.go_silent(0);
    assert!(network.far.is_silent(0));
    let late = network.call(CallPlan::to("2003"));
    network.run(SECOND * 60);
    assert_eq!(
        network.outcome(up),
        Some(Outcome::Lost(Fault::ByeUnanswered))
    );
    assert_eq!(
        network.outcome(ringing),
        Some(Outcome::Lost(Fault::NoFinalResponse))
    );
    assert_eq!(
        network.outcome(late),
        Some(Outcome::Lost(Fault::InviteUnanswered))
    );
    let totals = network.near.totals();
    assert_eq!((totals.offered, totals.lost), (3, 3));
    network.far.come_back(0);
    let again = network.call(CallPlan::to("2003").talks_for(SECOND));
    network.run(SECOND * 60);
    assert_eq!(network.outcome(again), Some(Outcome::Answered(EndedBy::Us)));
}

#[test]
fn a_200_that_nobody_acknowledges_is_a_fault_and_ends_the_call() {
    let mut network = calm(Behaviour::answers_after(SECOND));
    network.call(CallPlan::to("2001"));
    network.run(SECOND / 2);
    network.near.go_silent();
    network.run(SECOND * 33);
    assert_eq!(network.faults(), [Fault::NeverAcknowledged]);
    let view = network.far.phone_view("2001").expect("the phone exists");
    assert_eq!(view.activity, Activity::Idle);
    network.run(SECOND * 40);
    assert_eq!(
        network.faults(),
        [Fault::NeverAcknowledged, Fault::ByeUnanswered]
    );
    assert_eq!(network.far.calls(), 0);
}

#[test]
fn what_never_ends_is_lost_at_the_end() {
    let mut network = calm(Behaviour::default());
    let token = network.call(CallPlan::to("2001"));
    network.run(SECOND * 10);
    let now = network.now;
    network.near.finish(now);
    assert_eq!(network.outcome(token), Some(Outcome::Lost(Fault::StillUp)));
}

#[test]
fn a_caller_that_dies_makes_the_agents_bye_a_fault() {
    let behaviour = Behaviour {
        hang_up_after: Some(SECOND),
        ..Behaviour::default()
    };
    let mut network = calm(behaviour);
    network.call(CallPlan::to("2001"));
    network.run(SECOND / 2);
    network.near.go_silent();
    network.run(SECOND * 60);
    assert_eq!(network.faults(), [Fault::ByeUnanswered]);
    assert_eq!(network.far.calls(), 0);
}

#[test]
fn everything_can_be_refused() {
    let mut network = calm(Behaviour::default());
    let up = network.call(CallPlan::to("2001").talks_for(SECOND * 3));
    network.run(SECOND);
    network
        .far
        .set_refusal(0, Some((Status::SERVICE_UNAVAILABLE, Some(30))));
    let refused = network.call(CallPlan::to("2002"));
    idle(&mut network);
    assert_eq!(network.outcome(up), Some(Outcome::Answered(EndedBy::Us)));
    assert_eq!(network.outcome(refused), Some(Outcome::Refused(503)));
    let refusal = network
        .transcript
        .iter()
        .find(|(_, _, bytes)| bytes.starts_with(b"SIP/2.0 503"));
    let refusal = String::from_utf8_lossy(&refusal.expect("a 503 was sent").2).into_owned();
    assert!(refusal.contains("Retry-After: 30\r\n"), "{refusal}");
}

#[test]
fn the_halves_of_a_population_are_compared() {
    let (near, far) = (address(5070), address(5060));
    let pbx = Pbx::new(PbxOptions::new(far, ["2001".to_owned()]));
    let callers = Callers::new(CallersOptions::new(near, far, "2001"));
    let population = Population::new(pbx, callers, Duration::from_millis(500));
    // Everything is one node here; the other one is a PBX that nobody calls.
    let other = Pbx::new(PbxOptions::new(address(5099), []));
    let mut network = Network::new(1, Weather::FINE, address(5099), other, population);
    let now = network.now;
    network
        .far
        .callers
        .call(now, CallPlan::to("2001").talks_for(SECOND * 100));
    network.run(SECOND);
    let routings = network.far.take_routings(network.now);
    assert_eq!(routings.len(), 1);
    assert!(routings[0].found_free && routings[0].from_sent == Duration::from_millis(1));
    assert_eq!(network.far.audit(network.now, SECOND), 0);
    let now = network.now;
    network.far.callers.call(now, CallPlan::to("2001"));
    network.run(SECOND);
    assert!(!network.far.take_routings(network.now)[0].found_free);
    let now = network.now;
    network.far.pbx.restart(now, 0);
    assert_eq!(network.far.audit(now, SECOND), 0, "it may still resolve");
    network.run(SECOND * 2);
    let later = network.now;
    assert_eq!(network.far.audit(later, SECOND), 1);
    assert_eq!(
        network.far.audit(later + SECOND, SECOND),
        0,
        "once is enough"
    );
    let records = network.far.take_records(later);
    let nobody = records.iter().any(|record| {
        matches!(
            record.fact,
            Fact::Fault {
                fault: Fault::ConnectedToNobody,
                ..
            }
        )
    });
    assert!(nobody, "{records:?}");
}
