//! Somebody is called for an agent whose own leg is still in another exchange: whoever answers is
//! heard there when that one is over.

use super::control::sdp;
use super::takeover::newcomer;
use super::*;
use crate::cti::CallAction;

const GLARE: LegEvent = LegEvent::OfferRefused {
    status: Status::REQUEST_PENDING,
};

/// An agent holds a caller, and has consulted somebody who is busy: its phone is asked to hold
/// again, and does so itself at the same time.
fn asked_to_hold_again() -> (Table, CallKey, LegSlot) {
    let (mut table, key) = Table::talking();
    let agent = table.phone;
    table.act(key, table.conn_id, AGENT, CallAction::Hold);
    table.all_accept(key);
    table.consult(key);
    table.commands.clear();
    let busy = LegEvent::Refused {
        status: Status::BUSY_HERE,
        retry_after: None,
        after_provisional: true,
    };
    table.on(key, table.phone, busy);
    assert!(table.offers(agent), "{:?}", table.commands);
    table.on(key, agent, GLARE);
    table.commands.clear();
    (table, key, agent)
}

/// The same agent consults somebody who answers.
fn consults_again() -> (Table, CallKey, LegSlot) {
    let (mut table, key, agent) = asked_to_hold_again();
    table.consult(key);
    table.ring(key);
    table.commands.clear();
    let body = sdp(table.phone.0);
    table.on(key, table.phone, LegEvent::Answered { body });
    assert!(table.party_states().contains(&PartyState::Established));
    (table, key, agent)
}

impl Table {
    /// What a leg was told that is so.
    fn count_told(&self, slot: LegSlot, is_so: fn(&LegCommand) -> bool) -> usize {
        let told = self.commands.iter().filter(|command| match command {
            Command::Leg(leg, command) => *leg == slot && is_so(command),
            _ => false,
        });
        told.count()
    }

    /// Whether a leg was sent a re-INVITE.
    fn offers(&self, slot: LegSlot) -> bool {
        self.count_told(slot, |command| matches!(command, LegCommand::Offer(_))) > 0
    }

    /// How often a leg was sent an ACK.
    fn acknowledged(&self, slot: LegSlot) -> usize {
        self.count_told(slot, |command| {
            matches!(command, LegCommand::Acknowledge(_))
        })
    }
}

#[test]
fn who_answers_is_heard_when_the_phone_has_held() {
    let (mut table, key, agent) = consults_again();
    assert!(!table.offers(agent), "the phone waits after 491");
    assert_eq!(table.acknowledged(table.phone), 0);
    table.wait(Duration::from_secs(5));
    assert!(table.offers(agent), "{:?}", table.commands);
    assert_eq!(table.acknowledged(table.phone), 0);
    table.commands.clear();
    table.accepts(key, agent);
    assert!(table.offers(agent), "{:?}", table.commands);
    table.accepts(key, agent);
    assert_eq!(table.acknowledged(agent), 2);
    assert_eq!(table.acknowledged(table.phone), 1);
    table.act(key, table.conn_id, AGENT, CallAction::Clear);
}

#[test]
fn who_answers_and_leaves_at_once_leaves_the_call_on_hold() {
    let (mut table, key, agent) = consults_again();
    let gone = LegEvent::HungUp(Release::Lost);
    table.on(key, table.phone, gone);
    table.wait(Duration::from_secs(5));
    table.all_accept(key);
    assert_eq!(table.acknowledged(agent), 1, "{:?}", table.commands);
    table.commands.clear();
    table.act(key, table.conn_id, AGENT, CallAction::Retrieve);
    table.all_accept(key);
    assert!(table.party_states().contains(&PartyState::Retrieved));
}

#[test]
fn agent_who_hangs_up_meanwhile_leaves_the_two_together() {
    let (mut table, key, agent) = consults_again();
    table.on(key, agent, LegEvent::HungUp(Release::Lost));
    table.all_accept(key);
    let phone = table.phone;
    assert_eq!(table.acknowledged(phone), 2, "{:?}", table.commands);
    assert_eq!(table.acknowledged(LegSlot::FIRST), 1);
}

#[test]
fn phone_that_changes_its_session_is_told_after_its_own_ack() {
    let (mut table, key) = Table::talking();
    let agent = table.phone;
    table.act(key, table.conn_id, AGENT, CallAction::Hold);
    table.all_accept(key);
    let body = sdp(77);
    table.on(key, agent, LegEvent::Offered { body });
    table.consult(key);
    table.ring(key);
    table.commands.clear();
    let body = sdp(table.phone.0);
    table.on(key, table.phone, LegEvent::Answered { body });
    assert!(!table.offers(agent), "{:?}", table.commands);
    table.on(key, agent, LegEvent::OfferAcknowledged { body: None });
    assert!(table.offers(agent), "{:?}", table.commands);
    table.accepts(key, agent);
    assert_eq!(table.acknowledged(agent), 1);
    assert_eq!(table.acknowledged(table.phone), 1);
}

#[test]
fn who_takes_the_call_in_place_of_the_phone_is_heard_when_the_agent_has_held() {
    for with_offer in [true, false] {
        let (mut table, key, agent) = asked_to_hold_again();
        table.consult(key);
        table.ring(key);
        let mut newcomer = newcomer("3428");
        newcomer.offer = newcomer.offer.filter(|_| with_offer);
        table.commands.clear();
        let replaced = (key, table.phone);
        let taken = table.calls.take_over(table.now, replaced, newcomer);
        let leg = taken.expect("it takes the call");
        table.drain();
        assert!(!table.offers(agent), "the phone waits after 491");
        if !with_offer {
            let body = sdp(leg.0);
            table.on(key, leg, LegEvent::Acknowledged { body });
        }
        table.wait(Duration::from_secs(5));
        table.commands.clear();
        table.accepts(key, agent);
        assert!(table.offers(agent), "{:?}", table.commands);
        table.all_accept(key);
        let answered = table.count_told(leg, |command| {
            matches!(command, LegCommand::Answer(Some(_)))
        });
        assert_eq!(answered, usize::from(with_offer));
        assert_eq!(table.acknowledged(agent), 2, "{:?}", table.commands);
    }
}
