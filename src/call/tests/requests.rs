//! What desktops and routers ask about a call, state by state.

use super::*;

#[test]
fn desktop_releases_its_call_and_no_other() {
    let (mut table, key) = Table::connected();
    table.ask(key, release(OTHER));
    assert_eq!(table.errors(), [ErrorCode::InvalidConnID]);
    table.commands.clear();
    table.ask(key, release(AGENT));
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL.into()));
    table.expect_leg(Side::Caller, &LegCommand::HangUp(cause::NORMAL.into()));
    assert!(table.commands.iter().any(|command| matches!(
        command,
        Command::Agent(AGENT, agent::Input::Party(party)) if party.requested_by == Some(ASKED)
    )));
    table.expect_over();
}

#[test]
fn desktop_that_releases_a_ringing_call_sends_the_caller_on() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.ring(key);
    table.commands.clear();
    table.ask(key, release(AGENT));
    assert_eq!(
        table.party_states(),
        [PartyState::Ended(EndCause::AgentReleased)]
    );
    assert_eq!(table.calls.live().unanswered, 1);
}

#[test]
fn user_data_changes_are_told_to_the_party_and_bounded() {
    let (mut table, key) = Table::connected();
    let pairs = KeyValueList::new().with_text("Segment", "gold");
    table.ask(key, data_change(UserDataChange::Attach(pairs)));
    assert_eq!(table.party_states(), [PartyState::UserDataChanged]);
    table.commands.clear();
    table.ask(
        key,
        data_change(UserDataChange::DeletePair("Missing".into())),
    );
    assert_eq!(table.errors(), [ErrorCode::InvalidAttribute]);
    table.commands.clear();
    let pairs = KeyValueList::new().with_text("Big", "x".repeat(20_000));
    table.ask(key, data_change(UserDataChange::Update(pairs)));
    assert_eq!(table.errors(), [ErrorCode::TooBusy]);
    let info = table.calls.info(table.conn_id).expect("the call lives");
    assert_eq!(info.user_data.len(), 1);
}

#[test]
fn only_a_party_and_the_routing_point_change_the_data() {
    let attach = |this_dn: &str| CallRequest::UserData {
        this_dn: this_dn.into(),
        change: UserDataChange::Attach(KeyValueList::new().with_text("Segment", "gold")),
    };
    // In the order stranger, agent, routing point: waiting, ringing, talking.
    let refused = [ErrorCode::InvalidConnID];
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    for (this_dn, errors) in [("2001", &refused[..]), ("2000", &refused), ("7000", &[])] {
        table.commands.clear();
        table.ask(key, attach(this_dn));
        assert_eq!(table.errors(), errors, "{this_dn} while it waits");
    }
    table.offer(key, AGENT);
    table.ring(key);
    for (this_dn, errors) in [("2001", &refused[..]), ("2000", &[]), ("7000", &[])] {
        table.commands.clear();
        table.ask(key, attach(this_dn));
        assert_eq!(table.errors(), errors, "{this_dn} while it rings");
    }
    let (mut table, key) = Table::connected();
    for (this_dn, errors) in [("2001", &refused[..]), ("2000", &[]), ("7000", &[])] {
        table.commands.clear();
        table.ask(key, attach(this_dn));
        assert_eq!(table.errors(), errors, "{this_dn} while they talk");
    }
}
