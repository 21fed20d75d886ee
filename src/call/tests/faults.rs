//! Faults of our own: one call pays, the others do not notice.

use super::participant::Who;
use super::*;

#[test]
fn fault_in_one_call_ends_that_call_only() {
    let mut table = Table::new();
    let unharmed = table.arrive(Some("offer"));
    let harmed = table.arrive(Some("offer"));
    // No such agent: the lookup is a broken invariant, and panics.
    table.offer(harmed, DnIndex(u32::MAX));
    assert!(table.commands.contains(&Command::Count(Counter::Panic)));
    assert!(!table.calls.is_live(harmed));
    assert!(table.calls.is_live(unharmed));
}

#[test]
fn fault_on_the_way_to_an_agent_returns_the_agent() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    let nobody = DnIndex(u32::MAX);
    table.offer(key, nobody);
    // Whose far party is not looked up, and has no empty number either.
    assert!(table.commands.iter().any(|command| matches!(
        command,
        Command::Agent(dn, agent::Input::Party(party))
            if *dn == nobody
                && party.state == PartyState::Ended(EndCause::Failed)
                && party.other.is_none()
    )));
}

#[test]
fn fault_in_an_answered_call_ends_both_legs_and_counts_no_second_end() {
    let (mut table, key) = Table::connected();
    // No such agent: the lookup of its number panics.
    table.ask(key, release(DnIndex(u32::MAX)));
    assert!(table.commands.contains(&Command::Count(Counter::Panic)));
    table.expect_leg(Side::Caller, &LegCommand::HangUp(cause::FAILURE.into()));
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::FAILURE.into()));
    let failed = Command::Count(Counter::CallFailed);
    assert!(!table.commands.contains(&failed), "it was answered");
    table.expect_over();
}

/// The phone was told to stop ringing before the fault, and is no leg of the call any more.
#[test]
fn what_was_said_before_the_fault_is_done() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.ring(key);
    let conversation = table.calls.conversation_mut(key);
    // No such agent: the number of who is across is looked up when the phone's time is over.
    conversation.main.participants[0].who = Who::Agent(DnIndex(u32::MAX));
    table.commands.clear();
    table.wait(Duration::from_secs(20));
    assert!(table.commands.contains(&Command::Count(Counter::Panic)));
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NO_ANSWER.into()));
    table.expect_over();
}

#[test]
fn caller_who_comes_to_a_fault_is_refused() {
    let mut table = Table::new();
    // No such routing point.
    let arrival = Arrival {
        destination: Destination::Queue {
            queue: None,
            routing_point: RoutingPointIndex(u16::MAX),
        },
        calling: Arc::new(table.caller.clone()),
        called: "7000".into(),
        offer: body("offer"),
        patience: None,
        hold: config::Hold::Inactive,
        way: Way {
            max_forwards: 69,
            carried: crate::dialog::Carried::default(),
        },
    };
    let key = table.calls.arrive(table.now, arrival);
    table.drain();
    assert!(key.is_some_and(|key| !table.calls.is_live(key)));
    let refusal = Refusal {
        status: Status::SERVER_INTERNAL_ERROR,
        retry_after: None,
    };
    table.expect_leg(Side::Caller, &LegCommand::Refuse(refusal));
    table.expect_over();
}
