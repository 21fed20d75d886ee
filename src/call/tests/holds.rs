//! Calls that both sides hold: each holds for itself, and they hear each other when neither does.

use super::control::sdp;
use super::*;
use crate::cti::CallAction;

const CUSTOMER: LegSlot = LegSlot::FIRST;
const PHONE: LegSlot = LegSlot(1);

impl Table {
    fn asks(&mut self, key: CallKey, conn_id: ConnId, (dn, action): (DnIndex, CallAction)) {
        self.commands.clear();
        self.act(key, conn_id, dn, action);
        self.all_accept(key);
        assert_eq!(self.errors(), []);
    }
}

#[test]
fn call_that_both_hold_is_heard_when_both_have_taken_it_back() {
    for first_back in [AGENT, OTHER] {
        let (mut table, key, consult) = Table::consulting();
        let consulted = table.phone;
        let second_back = if first_back == AGENT { OTHER } else { AGENT };
        for dn in [OTHER, AGENT] {
            table.asks(key, consult, (dn, CallAction::Hold));
            assert_eq!(table.party_states(), [PartyState::Held]);
            assert!(table.rests(key, PHONE) && table.rests(key, consulted));
        }
        table.asks(key, consult, (first_back, CallAction::Retrieve));
        assert_eq!(table.party_states(), [PartyState::Retrieved]);
        assert!(table.rests(key, PHONE) && table.rests(key, consulted));
        table.asks(key, consult, (second_back, CallAction::Retrieve));
        assert_eq!(table.party_states(), [PartyState::Retrieved]);
        assert_eq!(table.partner(key, PHONE), Some(consulted));
    }
}

/// Who consults and has put both on hold takes either back.
#[test]
fn agent_who_holds_both_its_calls_takes_either_back() {
    for takes_main in [true, false] {
        let (mut table, key, consult) = Table::consulting();
        let (main, consulted) = (table.conn_id, table.phone);
        table.asks(key, consult, (AGENT, CallAction::Hold));
        let (back, heard) = if takes_main {
            (main, CUSTOMER)
        } else {
            (consult, consulted)
        };
        table.asks(key, back, (AGENT, CallAction::Retrieve));
        assert_eq!(table.partner(key, PHONE), Some(heard));
    }
}

#[test]
fn customer_who_is_transferred_to_one_who_holds_is_on_hold() {
    let (mut table, key, consult) = Table::consulting();
    let (main, consulted) = (table.conn_id, table.phone);
    table.asks(key, consult, (OTHER, CallAction::Hold));
    table.asks(key, main, (AGENT, CallAction::CompleteTransfer { consult }));
    assert!(table.rests(key, CUSTOMER) && table.rests(key, consulted));
    table.asks(key, main, (OTHER, CallAction::Retrieve));
    assert_eq!(table.partner(key, CUSTOMER), Some(consulted));
}

/// The phone of 2001 puts the call on hold by itself, and takes it back, while 2000 holds it.
#[test]
fn phone_that_takes_back_what_the_other_has_held_meanwhile_is_heard() {
    let (mut table, key, consult) = Table::consulting();
    let consulted = table.phone;
    let phone_says = |table: &mut Table, direction: &str| {
        let mut body = sdp(consulted.0).expect("a description");
        let text = String::from_utf8_lossy(&body.bytes).into_owned() + direction;
        body.bytes = Bytes::from(text);
        table.commands.clear();
        table.on(key, consulted, LegEvent::Offered { body: Some(body) });
        table.all_accept(key);
        let acknowledged = LegEvent::OfferAcknowledged { body: None };
        table.on(key, consulted, acknowledged);
        table.all_accept(key);
    };
    phone_says(&mut table, "a=sendonly\r\n");
    assert_eq!(table.party_states(), [PartyState::Held]);
    table.asks(key, consult, (AGENT, CallAction::Hold));
    table.asks(key, consult, (AGENT, CallAction::Retrieve));
    assert!(table.rests(key, PHONE));
    phone_says(&mut table, "a=sendrecv\r\n");
    assert_eq!(table.party_states(), [PartyState::Retrieved]);
    assert_eq!(table.partner(key, PHONE), Some(consulted));
}

/// How a leg is put on hold is its trunk's to say, of the customer's leg and of the phone's; where
/// there is music, the customer hears that.
#[test]
fn leg_on_hold_is_told_what_its_trunk_says() {
    let music = "music = \"sip:music@192.0.2.50\"\n";
    for (hold, server, way) in [
        ("inactive", "", "a=inactive"),
        ("sendonly", "", "a=sendonly"),
        ("inactive", music, "a=inactive"),
        ("sendonly", music, "a=sendonly"),
    ] {
        let trunk = format!("name = \"ucm\"\nhold = \"{hold}\"");
        let text = configuration("")
            .replacen("name = \"ucm\"", &trunk, 1)
            .replacen("[server]", &format!("[server]\n{server}"), 1);
        let mut table = Table::configured(&text);
        let key = table.talk();
        let facts = &mut table.calls.conversation_mut(key).facts;
        facts.caller_hold = facts.config.phone(AGENT).hold;
        let main = table.conn_id;
        table.asks(key, main, (AGENT, CallAction::Hold));
        let offered = |table: &Table, slot: LegSlot| {
            let offer = |command: &Command| match command {
                Command::Leg(leg, LegCommand::Offer(Some(body))) if *leg == slot => {
                    Some(String::from_utf8_lossy(&body.bytes).into_owned())
                }
                _ => None,
            };
            table.commands.iter().find_map(offer).expect("it is held")
        };
        assert!(offered(&table, PHONE).contains(way), "{hold} {server}");
        let is_told = offered(&table, CUSTOMER).contains("a=");
        assert_eq!(is_told, server.is_empty(), "{hold} {server}");
        if is_told {
            assert!(offered(&table, CUSTOMER).contains(way), "{hold}");
        }
        table.asks(key, main, (AGENT, CallAction::Retrieve));
        assert_eq!(table.partner(key, PHONE), Some(CUSTOMER));
    }
}
