//! Faults of our own: one call pays, the others do not notice.

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
    assert!(table.commands.iter().any(|command| matches!(
        command,
        Command::Agent(dn, agent::Input::Party(party))
            if *dn == nobody && party.state == PartyState::Ended(EndCause::Failed)
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
