//! A leg answers what an earlier process has asked of it, while something else goes on.

use super::control::sdp;
use super::*;
use crate::cti::CallAction;

/// The agent takes back a caller whom it holds: its phone is asked for an offer.
fn taking_back() -> (Table, CallKey) {
    let (mut table, key) = Table::talking();
    table.act(key, table.conn_id, AGENT, CallAction::Hold);
    table.all_accept(key);
    table.commands.clear();
    table.act(key, table.conn_id, AGENT, CallAction::Retrieve);
    table.expect_leg(Side::Agent, &LegCommand::Offer(None));
    (table, key)
}

/// Says the offer for which an earlier process has asked; the leg must have its answer at once.
#[track_caller]
fn offers(table: &mut Table, key: CallKey, side: Side) {
    let body = sdp(90).expect("a description");
    table.leg(key, side, LegEvent::OfferRecalled { body });
    let commands: Vec<&LegCommand> = table.leg_commands(side).collect();
    let [LegCommand::Acknowledge(Some(answer))] = commands[..] else {
        panic!("{commands:?}");
    };
    let text = String::from_utf8_lossy(&answer.bytes);
    assert!(!text.contains("m=audio 0 "), "{text}");
}

fn glare() -> LegEvent {
    LegEvent::OfferRefused {
        status: Status::REQUEST_PENDING,
    }
}

#[test]
fn offer_of_who_is_not_told_yet_is_answered_at_once() {
    let (mut table, key) = taking_back();
    offers(&mut table, key, Side::Caller);
    table.leg(key, Side::Agent, LegEvent::OfferAnswered { body: sdp(1) });
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Retrieved]);
}

#[test]
fn offer_of_who_is_asked_again_later_is_answered_at_once() {
    let (mut table, key) = taking_back();
    table.leg(key, Side::Agent, glare());
    offers(&mut table, key, Side::Agent);
    table.commands.clear();
    table.wait(Duration::from_secs(5));
    table.expect_leg(Side::Agent, &LegCommand::Offer(None));
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Retrieved]);
}

#[test]
fn offer_of_who_is_about_to_be_held_is_answered_at_once() {
    let (mut table, key) = Table::talking();
    table.act(key, table.conn_id, AGENT, CallAction::Hold);
    table.leg(key, Side::Agent, glare());
    offers(&mut table, key, Side::Agent);
    table.commands.clear();
    table.wait(Duration::from_secs(5));
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Held]);
}

#[test]
fn offer_of_who_is_in_no_exchange_is_answered_and_the_partner_is_heard_anew() {
    let (mut table, key) = Table::talking();
    offers(&mut table, key, Side::Agent);
    table.expect_leg(Side::Caller, &LegCommand::Offer(None));
}
