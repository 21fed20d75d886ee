//! From the answer to the end: offers and answers both ways, re-INVITEs, and who hangs up.

use super::*;

#[test]
fn caller_waits_then_talks_then_hangs_up() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    let queued = table.stand(key, 1);
    table.expect_leg(Side::Caller, &queued);
    assert!(
        table
            .queue_inputs()
            .any(|input| matches!(input, queue::Input::Enter { .. }))
    );
    table.offer(key, AGENT);
    assert!(table.dials(AGENT));
    table.ring(key);
    assert_eq!(table.party_states(), [PartyState::Ringing]);
    table.expect_leg(Side::Caller, &LegCommand::Progress(Status::RINGING));
    table.leg(
        key,
        Side::Agent,
        LegEvent::Answered {
            body: body("answer"),
        },
    );
    assert_eq!(table.party_states(), [PartyState::Established]);
    table.expect_leg(Side::Caller, &LegCommand::Answer(body("answer")));
    table.expect_leg(Side::Agent, &LegCommand::Acknowledge(None));
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    table.leg(
        key,
        Side::Caller,
        LegEvent::HungUp(Release::Bye { cause: 16.into() }),
    );
    assert_eq!(
        table.party_states(),
        [PartyState::Ended(EndCause::CallerReleased)]
    );
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL.into()));
    table.expect_over();
}

#[test]
fn delayed_offer_passes_through_both_ways() {
    let mut table = Table::new();
    let key = table.arrive(None);
    table.offer(key, AGENT);
    table.leg(
        key,
        Side::Agent,
        LegEvent::Answered {
            body: body("agent's offer"),
        },
    );
    table.expect_leg(Side::Caller, &LegCommand::Answer(body("agent's offer")));
    assert!(
        !table
            .leg_commands(Side::Agent)
            .any(|command| matches!(command, LegCommand::Acknowledge(_))),
        "the agent's ACK waits for the caller's answer"
    );
    table.leg(
        key,
        Side::Caller,
        LegEvent::Acknowledged {
            body: body("caller's answer"),
        },
    );
    table.expect_leg(
        Side::Agent,
        &LegCommand::Acknowledge(body("caller's answer")),
    );
}

#[test]
fn delayed_offer_without_an_answer_in_the_ack_ends_both_legs() {
    let mut table = Table::new();
    let key = table.arrive(None);
    table.offer(key, AGENT);
    table.leg(
        key,
        Side::Agent,
        LegEvent::Answered {
            body: body("offer"),
        },
    );
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    table.expect_leg(Side::Caller, &LegCommand::HangUp(cause::FAILURE.into()));
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::FAILURE.into()));
    table.expect_over();
}

#[test]
fn reinvite_is_relayed_with_its_offer_and_answer() {
    for (offer, answer, acknowledgement) in [
        (body("offer"), body("answer"), None),
        (None, body("late offer"), body("late answer")),
    ] {
        for side in [Side::Caller, Side::Agent] {
            let (mut table, key) = Table::connected();
            table.leg(
                key,
                side,
                LegEvent::Offered {
                    body: offer.clone(),
                },
            );
            table.expect_leg(side.other(), &LegCommand::Offer(offer.clone()));
            table.leg(
                key,
                side.other(),
                LegEvent::OfferAnswered {
                    body: answer.clone(),
                },
            );
            table.expect_leg(side, &LegCommand::AnswerOffer(answer.clone()));
            let acknowledge = LegCommand::Acknowledge(acknowledgement.clone());
            if offer.is_some() {
                // The answer was in the 2xx: it is ACKed at once.
                table.expect_leg(side.other(), &acknowledge);
            }
            let body = acknowledgement.clone();
            table.leg(key, side, LegEvent::OfferAcknowledged { body });
            if offer.is_none() {
                table.expect_leg(side.other(), &acknowledge);
            }
            // The exchange is over: the other side may offer now.
            table.commands.clear();
            table.leg(
                key,
                side.other(),
                LegEvent::Offered {
                    body: body_of("again"),
                },
            );
            table.expect_leg(side, &LegCommand::Offer(body_of("again")));
        }
    }
}

#[test]
fn refused_reinvite_leaves_the_call_as_it_was() {
    let (mut table, key) = Table::connected();
    table.leg(
        key,
        Side::Caller,
        LegEvent::Offered {
            body: body("offer"),
        },
    );
    table.leg(
        key,
        Side::Agent,
        LegEvent::OfferRefused {
            status: Status(488),
        },
    );
    table.expect_leg(Side::Caller, &LegCommand::RefuseOffer(Status(488)));
    assert_eq!(table.calls.live().connected, 1);
}

#[test]
fn a_reinvite_that_is_taken_back_is_taken_back_from_the_other_party_too() {
    let answered = LegEvent::OfferAnswered {
        body: body("too late"),
    };
    let refused = LegEvent::OfferRefused {
        status: Status::REQUEST_TERMINATED,
    };
    for (answer, acknowledged) in [(answered, true), (refused, false)] {
        let (mut table, key) = Table::connected();
        let offer = LegEvent::Offered {
            body: body("offer"),
        };
        table.leg(key, Side::Caller, offer.clone());
        table.leg(key, Side::Caller, LegEvent::OfferCancelled);
        table.expect_leg(Side::Agent, &LegCommand::WithdrawOffer);
        table.commands.clear();
        table.leg(key, Side::Agent, answer);
        if acknowledged {
            // What it had before cannot be told of a body that is no description: it gets what
            // the caller says anew.
            table.expect_leg(Side::Agent, &LegCommand::Acknowledge(None));
            table.expect_leg(Side::Caller, &LegCommand::Offer(None));
            let answered = |text| LegEvent::OfferAnswered { body: body(text) };
            table.leg(key, Side::Caller, answered("again"));
            table.expect_leg(Side::Agent, &LegCommand::Offer(body("again")));
            table.leg(key, Side::Agent, answered("taken"));
        } else {
            assert_eq!(table.commands, []);
        }
        // The exchange is over: the next one may begin.
        table.leg(key, Side::Caller, offer);
        table.expect_leg(Side::Agent, &LegCommand::Offer(body("offer")));
    }
}

#[test]
fn crossing_reinvites_are_told_apart() {
    let (mut table, key) = Table::connected();
    table.leg(
        key,
        Side::Caller,
        LegEvent::Offered {
            body: body("offer"),
        },
    );
    table.leg(
        key,
        Side::Agent,
        LegEvent::Offered {
            body: body("crossing"),
        },
    );
    table.expect_leg(
        Side::Agent,
        &LegCommand::RefuseOffer(Status::REQUEST_PENDING),
    );
    table.leg(
        key,
        Side::Agent,
        LegEvent::OfferRefused {
            status: Status::REQUEST_PENDING,
        },
    );
    // RFC 3261 §14.1: each leg has its own glare, and ours is tried again.
    assert_eq!(table.leg_commands(Side::Caller).count(), 0);
    table.commands.clear();
    table.wait(Duration::from_secs(5));
    table.expect_leg(Side::Agent, &LegCommand::Offer(body("offer")));
    assert_eq!(table.calls.live().connected, 1);
}

#[test]
fn bye_during_a_reinvite_ends_both_legs() {
    for side in [Side::Caller, Side::Agent] {
        let (mut table, key) = Table::connected();
        table.leg(
            key,
            Side::Caller,
            LegEvent::Offered {
                body: body("offer"),
            },
        );
        table.leg(
            key,
            side,
            LegEvent::HungUp(Release::Bye {
                cause: Cause::default(),
            }),
        );
        table.expect_leg(side.other(), &LegCommand::HangUp(cause::NORMAL.into()));
        table.expect_over();
    }
}

#[test]
fn what_one_side_says_of_why_it_left_goes_to_the_other() {
    let cause = Cause {
        q850: Some(31),
        sip: Some(Status::BUSY_HERE),
    };
    for side in [Side::Caller, Side::Agent] {
        let (mut table, key) = Table::connected();
        table.leg(key, side, LegEvent::HungUp(Release::Bye { cause }));
        table.expect_leg(side.other(), &LegCommand::HangUp(cause));
        table.expect_over();
    }
}

#[test]
fn call_that_lasts_for_ever_is_ended() {
    let (mut table, _) = Table::connected();
    table.wait(Duration::from_secs(12 * 3_600));
    table.expect_leg(Side::Caller, &LegCommand::HangUp(cause::TIMER.into()));
    table.expect_over();
}

/// The customer leaves while whom the agent consults is being joined to it: the consultation is
/// the agent's only call by then. The agent's phone refuses, and nobody is left without media.
#[test]
fn consultation_that_cannot_be_joined_ends_though_the_customer_has_left() {
    let (mut table, key) = Table::talking();
    let agent = table.phone;
    table.consult(key);
    table.ring(key);
    let consulted = table.phone;
    let body = super::control::sdp(consulted.0);
    table.on(key, consulted, LegEvent::Answered { body });
    let cause = 16.into();
    table.on(
        key,
        LegSlot::FIRST,
        LegEvent::HungUp(Release::Bye { cause }),
    );
    table.commands.clear();
    let status = Status::NOT_ACCEPTABLE_HERE;
    table.on(key, agent, LegEvent::OfferRefused { status });
    table.all_accept(key);
    let hang_up = LegCommand::HangUp(cause::FAILURE.into());
    for leg in [agent, consulted] {
        let gone = Command::Leg(leg, hang_up.clone());
        assert!(table.commands.contains(&gone), "{:?}", table.commands);
    }
    table.expect_over();
}
