//! Before the answer: waiting, ringing, and every way in which an offer or the wait may end.

use super::*;

#[test]
fn every_refusal_of_the_phone_returns_the_reservation_and_keeps_the_place() {
    for (status, cause) in [
        (486, EndCause::Busy),
        (600, EndCause::Busy),
        (603, EndCause::Declined),
        (403, EndCause::Declined),
        (404, EndCause::Unreachable),
        (408, EndCause::Unreachable),
        (480, EndCause::Unreachable),
        (503, EndCause::Unreachable),
    ] {
        let mut table = Table::new();
        let key = table.arrive(Some("offer"));
        table.offer(key, AGENT);
        let refused = LegEvent::Refused {
            status: Status(status),
            retry_after: None,
            after_provisional: false,
        };
        table.leg(key, Side::Agent, refused);
        assert_eq!(table.party_states(), [PartyState::Ended(cause)], "{status}");
        let conn_id = table.conn_id;
        let failed = queue::Input::OfferFailed {
            conn_id,
            dn: AGENT,
            cause,
        };
        assert!(
            table.queue_inputs().any(|input| *input == failed),
            "{status}"
        );
        table.offer(key, OTHER);
        assert!(table.dials(OTHER), "{status}: the next agent");
    }
}

#[test]
fn no_answer_cancels_the_phone_and_keeps_the_caller() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.ring(key);
    table.commands.clear();
    table.wait(Duration::from_secs(20));
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NO_ANSWER.into()));
    assert_eq!(
        table.party_states(),
        [PartyState::Ended(EndCause::NoAnswer)]
    );
    let call = table.call_ref(key);
    let asks = queue::Input::Where { call };
    assert!(table.queue_inputs().any(|input| *input == asks));
    let queued = table.stand(key, 4);
    table.expect_leg(Side::Caller, &queued);
    assert_eq!(table.calls.live().unanswered, 1);
}

#[test]
fn phone_that_does_not_ring_has_its_own_time_and_its_agent_all_of_theirs() {
    for no_answer in ["1", "10m"] {
        let mut table = Table::with(&format!("no_answer = \"{no_answer}\""));
        let key = table.arrive(Some("offer"));
        table.offer(key, AGENT);
        table.commands.clear();
        table.wait(Duration::from_millis(15_900));
        assert_eq!(table.party_states(), []);
        table.wait(Duration::from_millis(200));
        table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::TIMER.into()));
        let ended = PartyState::Ended(EndCause::Unreachable);
        assert_eq!(table.party_states(), [ended], "{no_answer}");
        assert_eq!(table.leg_commands(Side::Caller).count(), 0, "still queued");
    }
}

#[test]
fn agent_whose_phone_was_not_dialled_is_given_back_as_it_was() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.commands.clear();
    table
        .calls
        .handle(table.now, key, Event::DialFailed(table.phone));
    table.drain();
    assert_eq!(table.party_states(), [], "nothing has happened");
    let returned = |command: &&Command| {
        matches!(
            command,
            Command::Agent(AGENT, agent::Input::Returned { .. })
        )
    };
    assert_eq!(table.commands.iter().filter(returned).count(), 1);
    assert_eq!(table.leg_commands(Side::Caller).count(), 0, "still queued");
    assert_eq!(table.queue_inputs().count(), 1);
}

#[test]
fn waiting_caller_hears_queued_at_least_once_a_minute() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    let call = table.call_ref(key);
    for position in 1..10 {
        table.commands.clear();
        table.wait(Duration::from_secs(60));
        let asks = queue::Input::Where { call };
        assert_eq!(
            table.queue_inputs().filter(|input| **input == asks).count(),
            1
        );
        let queued = table.stand(key, position);
        table.expect_leg(Side::Caller, &queued);
    }
    // A queue that does not know it any more does not keep it from hearing something.
    table.input(key, Input::Standing(None));
    table.expect_leg(Side::Caller, &LegCommand::Progress(Status::QUEUED));
}

#[test]
fn expires_of_the_invite_ends_an_unanswered_call() {
    for ringing in [false, true] {
        let mut table = Table::new();
        let key = table.arrive_with(Some("offer"), Some(Duration::from_secs(10)));
        if ringing {
            table.offer(key, AGENT);
        }
        table.wait(Duration::from_secs(10));
        let refusals = table
            .leg_commands(Side::Caller)
            .filter(
                |command| matches!(command, LegCommand::Refuse(refusal) if refusal.status.0 == 487),
            )
            .count();
        assert_eq!(refusals, 1);
        table.expect_over();
    }
}

#[test]
fn caller_who_leaves_while_it_rings_frees_the_agent() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.ring(key);
    table.leg(
        key,
        Side::Caller,
        LegEvent::HungUp(Release::Cancelled {
            cause: Cause::default(),
        }),
    );
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL.into()));
    let states = table.party_states();
    assert_eq!(
        states.last(),
        Some(&PartyState::Ended(EndCause::CallerAbandoned))
    );
    assert!(
        table
            .queue_inputs()
            .any(|input| matches!(input, queue::Input::Left { .. }))
    );
    assert!(
        table
            .commands
            .contains(&Command::Count(Counter::CallAbandoned))
    );
    table.expect_over();
}

#[test]
fn direct_caller_is_told_why_the_agent_cannot_take_the_call() {
    for (why, status) in [
        (RefusedOffer::LoggedOut, 480),
        (RefusedOffer::NotReady, 480),
        (RefusedOffer::Busy, 486),
        (RefusedOffer::Unreachable, 480),
    ] {
        let mut table = Table::new();
        let key = table.arrive_direct();
        table.input(key, Input::DirectRefused { dn: AGENT, why });
        assert!(table.leg_commands(Side::Caller).any(|command| {
            matches!(command, LegCommand::Refuse(refusal) if refusal.status.0 == status)
        }));
        table.expect_over();
    }
}

#[test]
fn ringing_caller_hears_so_at_least_once_a_minute() {
    // RFC 3261 §13.3.1.1: or a proxy on the way takes the call for dead.
    for direct in [false, true] {
        let mut table = Table::with("no_answer = \"10m\"");
        let key = if direct {
            table.arrive_direct()
        } else {
            table.arrive(Some("offer"))
        };
        table.offer(key, AGENT);
        let ringing = LegCommand::Progress(Status::RINGING);
        table.ring(key);
        for minute in 0..9 {
            table.commands.clear();
            table.wait(Duration::from_secs(60));
            let heard = table.leg_commands(Side::Caller);
            assert_eq!(heard.collect::<Vec<_>>(), [&ringing], "minute {minute}");
        }
    }
}

#[test]
fn direct_caller_is_kept_while_the_phone_does_not_ring_yet() {
    // On a slow network the phone has more than a minute to ring.
    let text = configuration("").replacen("[server]", "[server]\nt1 = 2", 1);
    let mut table = Table::configured(&text.replacen("t1 = 2", "t1 = 2\nt2 = 4", 1));
    let key = table.arrive_direct();
    table.offer(key, AGENT);
    table.commands.clear();
    table.wait(Duration::from_secs(60));
    table.expect_leg(
        Side::Caller,
        &LegCommand::Progress(Status::SESSION_PROGRESS),
    );
}

#[test]
fn caller_who_waits_for_ever_is_ended() {
    for ringing in [false, true] {
        let mut table = Table::with("no_answer = \"10m\"");
        let key = table.arrive(Some("offer"));
        if ringing {
            table.wait(Duration::from_secs(12 * 3_600 - 60));
            table.offer(key, AGENT);
            table.ring(key);
        }
        table.commands.clear();
        table.wait(Duration::from_secs(12 * 3_600));
        let refused = |command: &&LegCommand| matches!(command, LegCommand::Refuse(_));
        assert_eq!(table.leg_commands(Side::Caller).filter(refused).count(), 1);
        assert!(
            table
                .commands
                .contains(&Command::Count(Counter::CallFailed))
        );
        if ringing {
            table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::TIMER.into()));
            let ended = PartyState::Ended(EndCause::Failed);
            assert_eq!(table.party_states(), [ended]);
        }
        table.expect_over();
    }
}
