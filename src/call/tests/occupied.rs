//! A leg that is in one exchange while another one wants it: somebody is called for it and answers,
//! a step of a task is next, its call ends.

use super::control::{is_server, sdp};
use super::takeover::newcomer;
use super::waiting::refused;
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
    table.on(key, table.phone, refused(Status::BUSY_HERE));
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
        self.offered(slot) > 0
    }

    /// How many re-INVITEs a leg was sent.
    fn offered(&self, slot: LegSlot) -> usize {
        self.count_told(slot, |command| matches!(command, LegCommand::Offer(_)))
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
        let body = sdp(leg.0).filter(|_| !with_offer);
        table.on(key, leg, LegEvent::Acknowledged { body });
        table.wait(Duration::from_secs(5));
        table.all_accept(key);
        assert_eq!(table.partner(key, agent), Some(leg));
        expect_settled(&table, &[agent, leg]);
    }
}

const CUSTOMER: LegSlot = LegSlot::FIRST;

/// An agent's phone holds a caller by its own key, and the agent has consulted somebody who is
/// busy: music for the caller is dialled, the last leg.
fn music_is_dialled() -> (Table, CallKey, LegSlot) {
    let (mut table, key) = Table::talking_with("music = \"sip:music@192.0.2.50\"");
    let agent = table.phone;
    table.phone_says(key, (agent, "a=inactive\r\n"), false);
    assert_eq!(table.party_states(), [PartyState::Held]);
    table.consult(key);
    table.commands.clear();
    table.on(key, table.phone, refused(Status::BUSY_HERE));
    let is_music =
        |command: &Command| matches!(command, Command::Dial(_, dial) if is_server(&dial.to));
    assert!(table.commands.iter().any(is_music), "{:?}", table.commands);
    table.commands.clear();
    (table, key, agent)
}

/// Both legs have an answer to all that they were asked.
#[track_caller]
fn expect_settled(table: &Table, legs: &[LegSlot]) {
    for leg in legs {
        let asked = table.offered(*leg);
        assert_eq!(
            table.acknowledged(*leg),
            asked,
            "{leg:?} {:?}",
            table.commands
        );
    }
}

#[test]
fn caller_who_is_taken_back_is_not_held_because_there_is_no_music() {
    let (mut table, key, agent) = music_is_dialled();
    let music = table.phone;
    table.act(key, table.conn_id, AGENT, CallAction::Retrieve);
    table.commands.clear();
    table.on(key, music, refused(Status::SERVICE_UNAVAILABLE));
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Retrieved]);
    assert_eq!(table.partner(key, agent), Some(CUSTOMER));
    assert_eq!(table.offered(CUSTOMER), 1, "{:?}", table.commands);
    expect_settled(&table, &[agent, CUSTOMER]);
}

#[test]
fn who_is_called_goes_on_when_the_held_call_is_cleared() {
    let (mut table, key) = Table::talking();
    let agent = table.phone;
    table.consult(key);
    table.ring(key);
    table.act(key, table.conn_id, AGENT, CallAction::Clear);
    table.commands.clear();
    let body = sdp(table.phone.0);
    table.on(key, table.phone, LegEvent::Answered { body });
    table.all_accept(key);
    assert_eq!(table.partner(key, agent), Some(table.phone));
    assert_eq!(table.acknowledged(table.phone), 1);
    expect_settled(&table, &[agent]);
}

/// The caller is given to somebody who rings, while its music does not answer.
fn given_away() -> (Table, CallKey, LegSlot) {
    let (mut table, key, _) = music_is_dialled();
    let music = table.phone;
    let consult = table.consult(key);
    table.ring(key);
    let transfer = CallAction::CompleteTransfer { consult };
    table.act(key, table.conn_id, AGENT, transfer);
    assert_eq!(table.errors(), []);
    table.commands.clear();
    (table, key, music)
}

#[test]
fn music_that_nobody_hears_yet_makes_way_for_who_answers() {
    let (mut table, key, music) = given_away();
    let phone = table.phone;
    let body = sdp(phone.0);
    table.on(key, phone, LegEvent::Answered { body });
    assert_eq!(
        table.count_told(music, |command| matches!(command, LegCommand::HangUp(_))),
        1
    );
    table.all_accept(key);
    assert_eq!(table.partner(key, CUSTOMER), Some(phone));
    assert_eq!(table.acknowledged(phone), 1);
    assert_eq!(table.offered(CUSTOMER), 1, "{:?}", table.commands);
    expect_settled(&table, &[CUSTOMER]);
}

#[test]
fn who_answers_waits_for_the_ack_of_who_has_asked_for_an_offer() {
    let (mut table, key, music) = given_away();
    let phone = table.phone;
    table.on(key, CUSTOMER, LegEvent::Offered { body: None });
    let body = sdp(phone.0);
    table.on(key, phone, LegEvent::Answered { body });
    table.on(key, music, refused(Status::SERVICE_UNAVAILABLE));
    assert_eq!(table.offered(CUSTOMER), 0, "{:?}", table.commands);
    let body = sdp(0);
    table.on(key, CUSTOMER, LegEvent::OfferAcknowledged { body });
    table.all_accept(key);
    assert_eq!(table.partner(key, CUSTOMER), Some(phone));
    assert_eq!(table.acknowledged(phone), 1);
    expect_settled(&table, &[CUSTOMER]);
}

#[test]
fn refresh_of_who_is_held_does_not_take_the_agent_away() {
    let (mut table, key) = Table::talking();
    let agent = table.phone;
    table.phone_says(key, (agent, "a=inactive\r\n"), false);
    table.consult(key);
    table.ring(key);
    let body = sdp(55).expect("a description");
    table.on(key, CUSTOMER, LegEvent::Refreshed { body });
    table.commands.clear();
    let body = sdp(table.phone.0);
    table.on(key, table.phone, LegEvent::Answered { body });
    table.all_accept(key);
    assert_eq!(table.partner(key, agent), Some(table.phone));
    assert_eq!(table.offered(CUSTOMER), 0, "{:?}", table.commands);
}

#[test]
fn who_takes_a_muted_transfer_gets_the_caller() {
    for (is_busy, with_offer) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut table, key) = Table::talking();
        let agent = table.phone;
        table.act(key, table.conn_id, AGENT, CallAction::Hold);
        table.all_accept(key);
        if is_busy {
            let body = sdp(77);
            table.on(key, agent, LegEvent::Offered { body });
        }
        let muted = CallAction::MuteTransfer {
            destination: "2001".into(),
            user_data: KeyValueList::new(),
        };
        table.consult_by(key, muted);
        let mut newcomer = newcomer("3428");
        newcomer.offer = newcomer.offer.filter(|_| with_offer);
        let replaced = (key, table.phone);
        let taken = table.calls.take_over(table.now, replaced, newcomer);
        let leg = taken.expect("it takes the call");
        table.commands.clear();
        table.drain();
        table.all_accept(key);
        let body = sdp(leg.0).filter(|_| !with_offer);
        table.on(key, leg, LegEvent::Acknowledged { body });
        table.all_accept(key);
        let partner = table.partner(key, CUSTOMER);
        assert_eq!(
            partner,
            Some(leg),
            "{is_busy} {with_offer} {:?}",
            table.commands
        );
    }
}

#[test]
fn who_has_picked_up_and_waits_is_given_away_with_its_invite() {
    for by_desktop in [true, false] {
        let text = configuration("").replace("name = \"ucm\"", "name = \"ucm\"\nrefer = true");
        let mut table = Table::configured(&text);
        let key = table.talk();
        let agent = table.phone;
        let consult = table.consult(key);
        table.ring(key);
        table.act(key, table.conn_id, AGENT, CallAction::Clear);
        let replaced = (key, table.phone);
        let taken = table.calls.take_over(table.now, replaced, newcomer("3428"));
        let leg = taken.expect("it takes the call");
        table.drain();
        table.on(key, agent, GLARE);
        table.commands.clear();
        let destination = "7000".to_owned();
        if by_desktop {
            let user_data = KeyValueList::new();
            let transfer = CallAction::SingleStepTransfer {
                destination,
                user_data,
            };
            table.act(key, consult, AGENT, transfer);
        } else {
            let referred = Referred {
                number: destination,
                referred_by: None,
                replaced: Replaced::Nothing,
            };
            let event = Event::Referred(agent, Box::new(referred));
            table.calls.handle(table.now, key, event);
            table.drain();
        }
        assert_eq!(table.errors(), []);
        let enters = |input: &queue::Input| matches!(input, queue::Input::Enter { .. });
        assert!(table.queue_inputs().any(enters), "{:?}", table.commands);
        let hung_up = table.count_told(leg, |command| matches!(command, LegCommand::HangUp(_)));
        assert_eq!(hung_up, 0);
    }
}
