//! Calls that both sides hold: each holds for itself, and they hear each other when neither does.

use super::control::{consultation, sdp};
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

    /// A phone makes an offer of that direction, or asks for one and answers so.
    pub(super) fn phone_says(
        &mut self,
        key: CallKey,
        (phone, direction): (LegSlot, &str),
        asks: bool,
    ) {
        let said = Some(description(phone, direction));
        self.commands.clear();
        let (body, answer) = if asks { (None, said) } else { (said, None) };
        self.on(key, phone, LegEvent::Offered { body });
        self.all_accept(key);
        self.on(key, phone, LegEvent::OfferAcknowledged { body: answer });
        self.all_accept(key);
    }
}

fn description(phone: LegSlot, direction: &str) -> Body {
    let mut body = sdp(phone.0).expect("a description");
    let text = String::from_utf8_lossy(&body.bytes).into_owned() + direction;
    body.bytes = text.into_bytes().into();
    body
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
    table.phone_says(key, (consulted, "a=sendonly\r\n"), false);
    assert_eq!(table.party_states(), [PartyState::Held]);
    table.asks(key, consult, (AGENT, CallAction::Hold));
    table.asks(key, consult, (AGENT, CallAction::Retrieve));
    assert!(table.rests(key, PHONE));
    table.phone_says(key, (consulted, "a=sendrecv\r\n"), false);
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

/// A phone whose desktop has put the call on hold refreshes its session, with a description or
/// without one: that takes nothing back, whatever it offers (RFC 6337 §5.3).
#[test]
fn refresh_leaves_the_call_on_hold() {
    for hold in ["inactive", "sendonly"] {
        let text = configuration("").replacen(
            "name = \"ucm\"",
            &format!("name = \"ucm\"\nhold = \"{hold}\""),
            1,
        );
        for asks in [false, true] {
            for direction in ["", "a=sendrecv\r\n", "a=recvonly\r\n", "a=inactive\r\n"] {
                let mut table = Table::configured(&text);
                let key = table.talk();
                let main = table.conn_id;
                table.asks(key, main, (AGENT, CallAction::Hold));
                table.phone_says(key, (PHONE, direction), asks);
                let case = format!("{hold} {asks} {direction}");
                assert_eq!(table.party_states(), [], "{case}");
                assert!(
                    table.rests(key, PHONE) && table.rests(key, CUSTOMER),
                    "{case}"
                );
            }
        }
    }
}

/// What a phone holds by its own key it takes back by its own key, a hold of the desktop's in
/// between or not.
#[test]
fn phone_takes_back_what_its_key_holds() {
    for desktop_holds_before in [false, true] {
        let (mut table, key) = Table::talking();
        let main = table.conn_id;
        if desktop_holds_before {
            table.asks(key, main, (AGENT, CallAction::Hold));
            table.asks(key, main, (AGENT, CallAction::Retrieve));
        }
        table.phone_says(key, (PHONE, "a=sendonly\r\n"), false);
        assert_eq!(table.party_states(), [PartyState::Held]);
        table.phone_says(key, (PHONE, "a=sendonly\r\n"), false);
        assert_eq!(table.party_states(), [], "a refresh");
        table.phone_says(key, (PHONE, "a=sendrecv\r\n"), false);
        assert_eq!(table.party_states(), [PartyState::Retrieved]);
        table.asks(key, main, (AGENT, CallAction::Hold));
        table.phone_says(key, (PHONE, "a=sendrecv\r\n"), false);
        assert_eq!(table.party_states(), [], "the desktop holds");
    }
}

/// A phone that goes on to hold by its own key is not said to be back.
#[test]
fn retrieving_what_the_phone_itself_holds_on_is_refused() {
    let (mut table, key) = Table::talking();
    let main = table.conn_id;
    table.phone_says(key, (PHONE, "a=sendonly\r\n"), false);
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::Retrieve);
    let body = Some(description(PHONE, "a=sendonly\r\n"));
    table.on(key, PHONE, LegEvent::OfferAnswered { body });
    table.all_accept(key);
    assert_eq!(table.party_states(), []);
    assert_eq!(table.errors(), [ErrorCode::Rejected]);
    table.phone_says(key, (PHONE, "a=sendrecv\r\n"), false);
    assert_eq!(table.party_states(), [PartyState::Retrieved]);
}

/// Where the music is not to be had the held caller is held without, and does not speak on to a
/// phone that does not hear it.
#[test]
fn caller_is_held_without_the_music_that_cannot_be_had() {
    let (mut table, key) = Table::talking_with("music = \"sip:music@192.0.2.50\"");
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::Hold);
    table.accepts(key, PHONE);
    let music = table.phone;
    assert_ne!(music, PHONE, "the music is dialled");
    let refused = LegEvent::Refused {
        status: Status::SERVICE_UNAVAILABLE,
        retry_after: None,
        after_provisional: false,
    };
    table.on(key, music, refused);
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Held]);
    assert!(table.rests(key, CUSTOMER));
    table.asks(key, main, (AGENT, CallAction::Retrieve));
    assert_eq!(table.partner(key, PHONE), Some(CUSTOMER));
}

/// A caller takes its offer back when the phone has it already; what the phone was told then is
/// taken back, which it refuses. It gets once more what the caller has said.
#[test]
fn phone_left_with_an_offer_that_was_taken_back_is_told_anew() {
    let (mut table, key) = Table::talking();
    let moved = body_of(
        "v=0\r\no=- 0 2 IN IP4 192.0.2.0\r\ns=-\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\n\
         m=audio 4700 RTP/AVP 0\r\n",
    );
    table.on(key, CUSTOMER, LegEvent::Offered { body: moved });
    table.on(key, CUSTOMER, LegEvent::OfferCancelled);
    table.accepts(key, PHONE);
    let status = Status::NOT_ACCEPTABLE_HERE;
    table.commands.clear();
    table.on(key, PHONE, LegEvent::OfferRefused { status });
    table.all_accept(key);
    let offers = table.commands.iter().filter_map(|command| match command {
        Command::Leg(
            PHONE,
            LegCommand::Offer(Some(body)) | LegCommand::Acknowledge(Some(body)),
        ) => Some(String::from_utf8_lossy(&body.bytes).into_owned()),
        _ => None,
    });
    let last = offers.last().expect("it is told anew");
    assert!(
        last.contains("m=audio 4000 ") && !last.contains("192.0.2.77"),
        "{last}"
    );
    assert_eq!(table.partner(key, PHONE), Some(CUSTOMER));
}

/// The agent consults 2001 and holds; the customer leaves, and 2001 transfers the call to 2002.
fn transferred_while_on_hold() -> (Table, CallKey, ConnId) {
    let text = configuration("").replace("2000-2001", "2000-2003");
    let mut table = Table::configured(&text);
    let key = table.talk();
    let consult = table.consult(key);
    let phone = table.phone;
    table.ring(key);
    let body = sdp(phone.0);
    table.on(key, phone, LegEvent::Answered { body });
    table.all_accept(key);
    let cause = Cause::default();
    table.on(key, CUSTOMER, LegEvent::HungUp(Release::Bye { cause }));
    table.all_accept(key);
    table.asks(key, consult, (AGENT, CallAction::Hold));
    table.commands.clear();
    let action = CallAction::SingleStepTransfer {
        destination: "2002".into(),
        user_data: KeyValueList::new(),
    };
    table.act(key, consult, OTHER, action);
    (table, key, consult)
}

/// Until the phone that holds hears so, the transfer is to begin: nothing takes its place.
#[test]
fn transfer_that_waits_for_the_phone_of_who_holds_is_not_lost() {
    for action in [CallAction::Retrieve, consultation("2003")] {
        let (mut table, key, conn_id) = transferred_while_on_hold();
        table.act(key, conn_id, AGENT, action.clone());
        assert_eq!(table.errors(), [ErrorCode::WrongState], "{action:?}");
        table.all_accept(key);
        let sought = |command: &Command| match command {
            Command::Agent(dn, agent::Input::Reserve(_)) => *dn == DnIndex(2),
            _ => false,
        };
        assert!(table.commands.iter().any(sought), "{action:?}");
    }
}

/// ReconnectCall moves the agent's phone to whom it held, and to nobody in between.
#[test]
fn phone_that_reconnects_is_asked_once() {
    for holds_main in [true, false] {
        let (mut table, key, consult) = Table::consulting();
        let (main, consulted) = (table.conn_id, table.phone);
        let (active, held) = if holds_main {
            (consult, main)
        } else {
            let alternate = CallAction::Alternate { held: main };
            table.asks(key, consult, (AGENT, alternate));
            (main, consult)
        };
        table.asks(key, active, (AGENT, CallAction::Reconnect { held }));
        let heard = if holds_main { CUSTOMER } else { consulted };
        let is_offer = |command: &&Command| match command {
            Command::Leg(slot, LegCommand::Offer(_)) => *slot == PHONE,
            _ => false,
        };
        let offers = table.commands.iter().filter(is_offer).count();
        assert_eq!(offers, 1, "who holds the main call: {holds_main}");
        assert_eq!(table.partner(key, PHONE), Some(heard));
        let last = table.party_states().pop();
        assert_eq!(last, Some(PartyState::Retrieved));
    }
}
