//! Conferences that come to nothing half-way: everybody is where they were, and who asked hears of
//! it once.

use super::control::{MIXER, sdp, told};
use super::*;
use crate::cti::{CallAction, Value};

const CUSTOMER: LegSlot = LegSlot::FIRST;
const PHONE: LegSlot = LegSlot(1);
const FAILED: [ErrorCode; 1] = [ErrorCode::CannotCompleteConference];

impl Table {
    /// Whom a leg hears.
    pub(super) fn partner(&self, key: CallKey, leg: LegSlot) -> Option<LegSlot> {
        self.calls.conversation(key).legs.partner(leg)
    }

    /// Whether a leg hears nobody and knows it, or hears music.
    pub(super) fn rests(&mut self, key: CallKey, leg: LegSlot) -> bool {
        use crate::session::Sessions as _;
        let legs = &mut self.calls.conversation_mut(key).legs;
        match legs.partner(leg) {
            Some(partner) => !legs.hears_mixer(leg) && self.is_music(partner),
            None => legs.session(leg).is_held(),
        }
    }

    fn is_music(&self, leg: LegSlot) -> bool {
        self.commands.iter().any(|command| match command {
            Command::Dial(slot, dial) => *slot == leg && dial.to == DialTo::Music,
            _ => false,
        })
    }

    /// The agent completes a conference, and one leg refuses its step.
    fn conference_refused_by(server: &str, refuses: LegSlot) -> (Self, CallKey) {
        let (mut table, key, consult) = Self::consulting_with(server);
        let main = table.conn_id;
        table.act(key, main, AGENT, CallAction::CompleteConference { consult });
        table.all_accept_but(key, Some(refuses));
        (table, key)
    }
}

#[test]
fn conference_that_one_leg_refuses_leaves_all_where_they_were() {
    let music = format!("{MIXER}\nmusic = \"sip:music@192.0.2.50\"");
    for server in [MIXER, &music] {
        for refuses in [CUSTOMER, PHONE, LegSlot(2), LegSlot(3)] {
            let (mut table, key) = Table::conference_refused_by(server, refuses);
            let consulted = table.calls.conversation(key).consult.as_ref();
            let consulted = consulted.and_then(|call| call.agent(OTHER)).cloned();
            let Some(consulted) = consulted.filter(|_| table.errors() == FAILED) else {
                // With music the consulted phone is the fourth leg, else the third.
                assert_eq!(table.errors(), [], "{server} {refuses:?}");
                continue;
            };
            assert_eq!(
                table.partner(key, PHONE),
                Some(consulted.leg),
                "{server} {refuses:?}"
            );
            let was_moved = refuses != CUSTOMER;
            assert!(
                !was_moved || table.rests(key, CUSTOMER),
                "{server} {refuses:?}"
            );
            assert_eq!(told(&mut table), [], "{server} {refuses:?}");
        }
    }
}

#[test]
fn consulted_party_that_leaves_while_a_conference_is_made_leaves_the_held_call() {
    let (mut table, key, consult) = Table::consulting_with(MIXER);
    let (main, consulted) = (table.conn_id, table.phone);
    table.act(key, main, AGENT, CallAction::CompleteConference { consult });
    // The customer is on the mixer, and the agent's phone is asked.
    let server = table.phone;
    table.on(
        key,
        server,
        LegEvent::Answered {
            body: sdp(server.0),
        },
    );
    table.accepts(key, CUSTOMER);
    let cause = Cause::default();
    table.on(key, consulted, LegEvent::HungUp(Release::Bye { cause }));
    table.all_accept(key);
    assert_eq!(table.errors(), [ErrorCode::WrongState]);
    assert!(table.rests(key, CUSTOMER) && table.rests(key, PHONE));
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::Retrieve);
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Retrieved]);
    assert_eq!(table.partner(key, PHONE), Some(CUSTOMER));
}

#[test]
fn customer_who_leaves_while_a_conference_is_made_leaves_the_two_together() {
    let (mut table, key, consult) = Table::consulting_with(MIXER);
    let (main, consulted) = (table.conn_id, table.phone);
    table.act(key, main, AGENT, CallAction::CompleteConference { consult });
    for leg in [CUSTOMER, PHONE] {
        let server = table.phone;
        table.on(
            key,
            server,
            LegEvent::Answered {
                body: sdp(server.0),
            },
        );
        table.accepts(key, leg);
    }
    assert!(table.calls.conversation(key).legs.hears_mixer(PHONE));
    let cause = Cause::default();
    table.on(key, CUSTOMER, LegEvent::HungUp(Release::Bye { cause }));
    table.all_accept(key);
    assert_eq!(table.errors(), [ErrorCode::WrongState]);
    assert_eq!(table.partner(key, PHONE), Some(consulted));
}

#[test]
fn who_is_added_and_refuses_the_mixer_leaves_the_two_together() {
    for refuses in [CUSTOMER, PHONE, LegSlot(2)] {
        let (mut table, key) = Table::talking_with(MIXER);
        let main = table.conn_id;
        let action = CallAction::SingleStepConference {
            destination: "2001".into(),
            user_data: KeyValueList::new(),
        };
        table.act(key, main, AGENT, action);
        let (dn, elsewhere) = (OTHER, None);
        table.input(key, Input::Offer { dn, elsewhere });
        let added = table.phone;
        table.ring(key);
        table.on(key, added, LegEvent::Answered { body: sdp(added.0) });
        if refuses == added {
            // The mixer does not take its offer.
            let status = Status::SERVICE_UNAVAILABLE;
            for slot in [CUSTOMER, PHONE] {
                let server = table.phone;
                table.on(
                    key,
                    server,
                    LegEvent::Answered {
                        body: sdp(server.0),
                    },
                );
                table.accepts(key, slot);
            }
            let refused = LegEvent::Refused {
                status,
                retry_after: None,
                after_provisional: false,
            };
            table.on(key, table.phone, refused);
        }
        table.all_accept_but(key, Some(refuses));
        assert_eq!(table.errors(), FAILED, "{refuses:?}");
        assert_eq!(table.partner(key, PHONE), Some(CUSTOMER), "{refuses:?}");
        let ended = (OTHER, main.0, PartyState::Ended(EndCause::Failed));
        assert!(told(&mut table).contains(&ended), "{refuses:?}");
    }
}

#[test]
fn who_holds_a_conference_holds_it_still_when_one_party_has_left() {
    let (mut table, key, consult) = Table::consulting_with(MIXER);
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::CompleteConference { consult });
    table.all_accept(key);
    table.act(key, main, AGENT, CallAction::Hold);
    table.all_accept(key);
    table.commands.clear();
    let other_dn = "2001".into();
    table.act(key, main, AGENT, CallAction::DeleteParty { other_dn });
    table.all_accept(key);
    assert!(table.rests(key, PHONE), "the agent hears what it holds");
    assert!(table.rests(key, CUSTOMER));
    table.act(key, main, AGENT, CallAction::Retrieve);
    table.all_accept(key);
    assert_eq!(table.partner(key, PHONE), Some(CUSTOMER));
}

#[test]
fn party_that_leaves_while_its_agent_alternates_leaves_the_others_right() {
    for customer_leaves in [true, false] {
        let (mut table, key, consult) = Table::consulting();
        let (main, consulted) = (table.conn_id, table.phone);
        table.act(key, consult, AGENT, CallAction::Alternate { held: main });
        // The consulted party is on hold, and the agent's phone is asked.
        table.accepts(key, consulted);
        table.accepts(key, PHONE);
        let leaves = if customer_leaves { CUSTOMER } else { consulted };
        let cause = Cause::default();
        table.on(key, leaves, LegEvent::HungUp(Release::Bye { cause }));
        table.all_accept(key);
        assert_eq!(table.errors(), [ErrorCode::WrongState]);
        if customer_leaves {
            assert_eq!(table.partner(key, PHONE), Some(consulted));
        } else {
            assert!(table.rests(key, CUSTOMER) && table.rests(key, PHONE));
        }
    }
}

/// RFC 4579: our Contact says `isfocus` to each leg while it is on the mixer, and not afterwards.
#[test]
fn leg_is_told_whether_it_is_in_a_conference_before_its_offer() {
    let focus = |table: &Table, slot: LegSlot| -> Vec<Option<bool>> {
        let said = |command: &Command| match command {
            Command::Leg(leg, LegCommand::Focus(is_focus)) if *leg == slot => Some(Some(*is_focus)),
            Command::Leg(leg, LegCommand::Offer(_)) if *leg == slot => Some(None),
            _ => None,
        };
        table.commands.iter().filter_map(said).collect()
    };
    let (mut table, key, consult) = Table::consulting_with(MIXER);
    let (main, consulted) = (table.conn_id, LegSlot(2));
    table.act(key, main, AGENT, CallAction::CompleteConference { consult });
    table.all_accept(key);
    for leg in [CUSTOMER, PHONE, consulted] {
        assert_eq!(focus(&table, leg), [Some(true), None], "{leg:?}");
    }
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::Hold);
    table.all_accept(key);
    assert_eq!(focus(&table, PHONE), [Some(false), None]);
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::Retrieve);
    table.all_accept(key);
    assert_eq!(focus(&table, PHONE), [Some(true), None]);
    // One that is refused has no part in it.
    let (table, _) = Table::conference_refused_by(MIXER, consulted);
    assert_eq!(focus(&table, consulted).last(), Some(&None));
    assert!(focus(&table, consulted).contains(&Some(false)));
    assert!(focus(&table, CUSTOMER).contains(&Some(false)));
    // Who is added to the call is told in its INVITE.
    let (mut table, key) = Table::talking_with(MIXER);
    let action = CallAction::SingleStepConference {
        destination: "2001".into(),
        user_data: KeyValueList::new(),
    };
    let main = table.conn_id;
    table.act(key, main, AGENT, action);
    let (dn, elsewhere) = (OTHER, None);
    table.input(key, Input::Offer { dn, elsewhere });
    let added = |command: &Command| match command {
        Command::Dial(_, dial) => dial.to == DialTo::Agent(OTHER) && dial.is_focus,
        _ => false,
    };
    assert!(table.commands.iter().any(added));
}

/// Somebody is taken out while the others are put right: what that waited for is not waited for.
#[test]
fn party_who_is_removed_while_legs_are_put_right_holds_nothing_up() {
    use crate::call::task::{Runs, Step, Task, Then};
    let (mut table, key, consult) = Table::consulting_with(MIXER);
    let (main, consulted) = (table.conn_id, LegSlot(2));
    table.act(key, main, AGENT, CallAction::CompleteConference { consult });
    table.all_accept(key);
    table.act(key, main, AGENT, CallAction::Hold);
    table.all_accept(key);
    // As after a step that failed: the next one is for the leg that is to go.
    table.calls.conversation_mut(key).task.set(Task {
        asked: None,
        steps: [Step::Mix(consulted)].into(),
        runs: Runs::NotYet,
        then: Then::Rest,
    });
    table.commands.clear();
    let other_dn = "2001".into();
    table.act(key, main, AGENT, CallAction::DeleteParty { other_dn });
    table.all_accept(key);
    assert!(table.rests(key, PHONE) && table.rests(key, CUSTOMER));
    assert_eq!(table.party_states().pop(), Some(PartyState::Deleted));
}

/// What the data of the call is, as the last event at this DN shows it.
fn shown(table: &Table, dn: DnIndex) -> (PartyState, Option<Value>) {
    let party = |command: &Command| match command {
        Command::Agent(at, agent::Input::Party(party)) if *at == dn => {
            let value = party.info.user_data.value("Case").cloned();
            Some((party.state, value))
        }
        _ => None,
    };
    let mut all = table.commands.iter().rev();
    all.find_map(party).expect("it was told something")
}

/// The data of a call changes when who is added is in; that one shows it from the first.
#[test]
fn data_of_a_call_changes_when_who_is_added_is_in() {
    let case = || Some(Value::Text("7".into()));
    for answers in [true, false] {
        let (mut table, key) = Table::talking_with(MIXER);
        let main = table.conn_id;
        let action = CallAction::SingleStepConference {
            destination: "2001".into(),
            user_data: KeyValueList::new().with_text("Case", "7"),
        };
        table.act(key, main, AGENT, action);
        let (dn, elsewhere) = (OTHER, None);
        table.input(key, Input::Offer { dn, elsewhere });
        let added = table.phone;
        table.ring(key);
        assert_eq!(shown(&table, OTHER), (PartyState::Ringing, case()));
        if answers {
            let body = sdp(added.0);
            table.on(key, added, LegEvent::Answered { body });
            assert_eq!(shown(&table, OTHER), (PartyState::Established, case()));
            table.all_accept(key);
            let heard = [PartyState::UserDataChanged, PartyState::Added];
            assert!(table.party_states().ends_with(&heard));
            assert_eq!(shown(&table, AGENT), (PartyState::Added, case()));
        } else {
            let status = Status::BUSY_HERE;
            let busy = LegEvent::Refused {
                status,
                retry_after: None,
                after_provisional: true,
            };
            table.on(key, added, busy);
            assert_eq!(table.errors(), [ErrorCode::Busy]);
        }
        table.act(key, main, AGENT, CallAction::Hold);
        table.all_accept(key);
        let is = if answers { case() } else { None };
        assert_eq!(shown(&table, AGENT).1, is, "answers: {answers}");
    }
}

/// The agent who stays hears what the one who transfers has added to the data.
#[test]
fn agent_who_stays_sees_the_data_that_a_transfer_adds() {
    let (mut table, key, consult) = Table::consulting();
    let cause = Cause::default();
    table.on(key, CUSTOMER, LegEvent::HungUp(Release::Bye { cause }));
    table.all_accept(key);
    table.commands.clear();
    let action = CallAction::SingleStepTransfer {
        destination: "7000".into(),
        user_data: KeyValueList::new().with_text("Case", "7"),
    };
    table.act(key, consult, OTHER, action);
    let changed = PartyState::UserDataChanged;
    let case = Some(Value::Text("7".into()));
    assert_eq!(shown(&table, AGENT), (changed, case));
}
