//! Each flow, told as it goes, and with each thing that a leg may do instead at each step.

use std::time::Duration;

use super::phone::Deed;
use super::world::{Alone, Flow, From, ONE, TWO, To, World, flows};
use crate::call::LegCommand;
use crate::session::{Hold, Outcome, Why};
use crate::sip::Status;

const AUDIO: &[&str] = &["audio"];

const DEEDS: &[Deed] = &[
    Deed::Refuse(488),
    Deed::Refuse(491),
    Deed::Refuse(500),
    Deed::Omit,
    Deed::Ignore,
    Deed::HangUp,
    Deed::Cancel,
    Deed::Cross,
    Deed::Offer { asks: false },
    Deed::Offer { asks: true },
];

/// Turns in which a flow may be disturbed; none has more.
const TURNS: usize = 7;

#[test]
fn every_flow_joins_what_is_to_be_joined() {
    for flow in flows() {
        for kinds in [
            [AUDIO, AUDIO],
            [&["audio", "video"], AUDIO],
            [AUDIO, &["video", "audio"]],
            [&["video", "audio"], &["audio", "video", "image"]],
        ] {
            let mut world = World::new(flow, kinds);
            world.run(|_| None);
            assert_eq!(world.outcome, Outcome::Done, "{flow:?} {world:#?}");
            world.check();
        }
    }
}

#[test]
fn every_flow_ends_well_whatever_one_leg_does_at_any_step() {
    for flow in flows() {
        for turn in 0..TURNS {
            for leg in [ONE, TWO] {
                for deed in DEEDS {
                    let mut world = World::new(flow, [AUDIO, AUDIO]);
                    world.run(|now| (now == turn).then_some((leg, *deed)));
                    world.check();
                }
            }
        }
    }
}

#[test]
fn every_flow_may_be_given_up_at_any_step() {
    for flow in flows() {
        for turn in 0..TURNS {
            for answers in [Deed::Comply, Deed::Cross] {
                let mut world = World::new(flow, [AUDIO, AUDIO]);
                for _ in 0..turn {
                    if let Some(leg) = world.turn() {
                        world.act(leg, Deed::Comply);
                    }
                }
                if !world.is_over() {
                    world.withdraw();
                }
                let leg = world.turn();
                world.run(|now| leg.filter(|_| now == 0).map(|leg| (leg, answers)));
                world.check();
            }
        }
    }
}

#[test]
fn a_refusal_names_who_refused_and_leaves_the_rest_as_it_was() {
    for (flow, blamed) in [
        (Flow::Relay { asks: false }, TWO),
        (Flow::Relay { asks: true }, TWO),
        (Flow::Join(From::Confirmed, To::Confirmed), ONE),
        (Flow::Join(From::Known, To::Confirmed), TWO),
        (Flow::Join(From::Invite, To::Dial), TWO),
        (Flow::Join(From::Dialled, To::Invite), ONE),
        (Flow::Alone(Alone::Hold(Hold::Inactive)), ONE),
    ] {
        let mut world = World::new(flow, [AUDIO, AUDIO]);
        world.run(|turn| (turn == 0).then_some((blamed, Deed::Refuse(488))));
        world.check();
        let Outcome::Failed(failure) = world.outcome else {
            panic!("{flow:?}: {:?}", world.outcome);
        };
        let refused = Why::Refused(Status::NOT_ACCEPTABLE_HERE);
        assert_eq!((failure.leg, failure.why), (blamed, refused), "{flow:?}");
        assert!(
            !failure.is_disturbed(ONE) && !failure.is_disturbed(TWO),
            "{flow:?}"
        );
    }
}

#[test]
fn a_leg_that_was_asked_keeps_its_session_when_the_other_refuses() {
    let flow = Flow::Join(From::Confirmed, To::Confirmed);
    let mut world = World::new(flow, [AUDIO, AUDIO]);
    let before = world.table.sessions[ONE].said().cloned();
    world.act(ONE, Deed::Comply);
    world.act(TWO, Deed::Refuse(488));
    // The ACK has the answer to its offer, word for word what it was told before.
    let (leg, command) = world.log.last().expect("an ACK");
    let LegCommand::Acknowledge(Some(answer)) = command else {
        panic!("{command:?}");
    };
    assert_eq!((*leg, Some(&answer.bytes)), (ONE, before.as_ref()));
    assert!(world.is_over());
    world.check();
}

#[test]
fn an_answer_that_crossed_the_cancel_is_taken_back() {
    let flow = Flow::Relay { asks: false };
    let mut world = World::new(flow, [AUDIO, AUDIO]);
    world.act(ONE, Deed::Cancel);
    world.act(TWO, Deed::Cross);
    assert!(!world.is_over(), "the second leg gets its former session");
    world.run(|_| None);
    let Outcome::Failed(failure) = world.outcome else {
        panic!("{:?}", world.outcome);
    };
    assert_eq!((failure.leg, failure.why), (ONE, Why::Withdrawn));
    world.check();
}

#[test]
fn glare_is_tried_again_in_the_time_of_the_standard() {
    // The first leg's Call-ID is ours, the second one's is not (RFC 3261 §14.1).
    for (leg, flow, low, high) in [
        (
            ONE,
            Flow::Join(From::Confirmed, To::Confirmed),
            2_100,
            4_000,
        ),
        (TWO, Flow::Relay { asks: false }, 0, 2_000),
    ] {
        let mut world = World::new(flow, [AUDIO, AUDIO]);
        world.act(leg, Deed::Refuse(491));
        let before = world.now;
        assert!(world.wait());
        let waited = world.now - before;
        assert!(
            waited >= Duration::from_millis(low) && waited < Duration::from_millis(high),
            "{waited:?}"
        );
        world.run(|_| None);
        assert_eq!(world.outcome, Outcome::Done);
        world.check();
    }
}

#[test]
fn endless_glare_ends() {
    let flow = Flow::Relay { asks: false };
    let mut world = World::new(flow, [AUDIO, AUDIO]);
    while !world.is_over() {
        world.act(TWO, Deed::Refuse(491));
        if !world.is_over() {
            world.wait();
        }
    }
    let Outcome::Failed(failure) = world.outcome else {
        panic!("{:?}", world.outcome);
    };
    assert_eq!((failure.leg, failure.why), (TWO, Why::Glare));
    // 491 stays on its leg.
    let refusal = LegCommand::RefuseOffer(Status::SERVER_INTERNAL_ERROR);
    assert!(world.log.contains(&(ONE, refusal)));
    world.check();
}

#[test]
fn a_far_end_may_offer_while_ours_waits_after_glare() {
    let flow = Flow::Relay { asks: false };
    let mut world = World::new(flow, [AUDIO, AUDIO]);
    world.act(TWO, Deed::Refuse(491));
    world.phones[TWO].hold(true);
    world.act(TWO, Deed::Offer { asks: false });
    assert!(matches!(
        world.log.last(),
        Some((TWO, LegCommand::AnswerOffer(Some(_))))
    ));
    world.run(|_| None);
    assert_eq!(world.outcome, Outcome::Done);
    assert!(world.table.sessions[TWO].far_end_holds());
    // The first leg hears of the hold in the answer to its own offer.
    assert!(world.table.sessions[ONE].is_held());
    world.check();
}

#[test]
fn a_caller_whose_agent_does_not_answer_is_free_for_the_next() {
    let mut world = World::new(Flow::Join(From::Invite, To::Dial), [AUDIO, AUDIO]);
    world.act(TWO, Deed::Refuse(486));
    let Outcome::Failed(failure) = world.outcome else {
        panic!("{:?}", world.outcome);
    };
    assert_eq!(failure.why, Why::Refused(Status::BUSY_HERE));
    assert!(
        world.log.is_empty(),
        "the caller heard nothing: {:?}",
        world.log
    );
    assert!(world.table.sessions[ONE].is_settled());
}

#[test]
fn a_destination_that_rings_long_does_not_cost_the_first_leg() {
    // RFC 3725 flow I: the first leg's 2xx waits while the second one rings.
    let mut world = World::new(Flow::Join(From::Dialled, To::Dial), [AUDIO, AUDIO]);
    world.act(ONE, Deed::Comply);
    assert!(world.wait());
    let LegCommand::Acknowledge(Some(parked)) = &world.log[0].1 else {
        panic!("{:?}", world.log);
    };
    let parked = String::from_utf8_lossy(&parked.bytes);
    assert!(
        parked.contains("m=audio 9 RTP/AVP 0 101\r\na=inactive\r\n"),
        "{parked}"
    );
    world.run(|_| None);
    assert_eq!(world.outcome, Outcome::Done);
    world.check();
    assert!(
        world
            .table
            .sessions
            .iter()
            .all(|session| !session.is_held())
    );
}

#[test]
fn a_leg_changes_its_session_while_the_other_phone_rings() {
    for asks in [false, true] {
        let mut world = World::new(Flow::Join(From::Dialled, To::Confirmed), [AUDIO, AUDIO]);
        world.phones[TWO].hold(true);
        world.act(TWO, Deed::Offer { asks });
        assert!(matches!(
            world.log[..],
            [(TWO, LegCommand::AnswerOffer(Some(_)))]
        ));
        // The other one answers before the ACK has come: its offer waits for that.
        world.act(ONE, Deed::Comply);
        assert_eq!(world.log.len(), 1, "{:?}", world.log);
        world.act(TWO, Deed::Comply);
        assert!(matches!(
            world.log[1..],
            [(TWO, LegCommand::Offer(Some(_)))]
        ));
        world.run(|_| None);
        assert_eq!(world.outcome, Outcome::Done);
        assert!(world.table.sessions[TWO].far_end_holds());
        assert!(world.table.sessions[ONE].is_held());
        world.check();
    }
}

#[test]
fn a_change_that_is_not_acknowledged_gives_the_other_leg_back() {
    let mut world = World::new(Flow::Join(From::Dialled, To::Confirmed), [AUDIO, AUDIO]);
    world.act(TWO, Deed::Offer { asks: true });
    world.act(ONE, Deed::Comply);
    world.run(|turn| (turn == 0).then_some((TWO, Deed::Ignore)));
    let Outcome::Failed(failure) = world.outcome else {
        panic!("{:?}", world.outcome);
    };
    assert_eq!(failure.leg, TWO);
    assert!(!failure.is_disturbed(ONE));
}

#[test]
fn what_a_leg_says_after_its_offer_reaches_a_phone_that_had_the_offer() {
    for asks in [false, true] {
        // RFC 3725 flow I, and the second phone rings long.
        let mut world = World::new(Flow::Join(From::Dialled, To::Dial), [AUDIO, AUDIO]);
        world.act(ONE, Deed::Comply);
        assert!(world.wait());
        world.phones[ONE].hold(true);
        world.act(ONE, Deed::Offer { asks });
        assert!(matches!(
            world.log.last(),
            Some((ONE, LegCommand::AnswerOffer(Some(_))))
        ));
        // It answers before the ACK has come.
        world.act(TWO, Deed::Comply);
        world.run(|_| None);
        assert_eq!(world.outcome, Outcome::Done, "{asks}");
        assert!(world.table.sessions[TWO].is_held(), "{asks}");
        world.check();
    }
}
