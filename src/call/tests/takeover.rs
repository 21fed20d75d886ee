//! Takeovers step by step: who leaves in the middle, and what is left of the call then.

use super::control::{consultation, sdp};
use super::*;
use crate::cti::CallAction;
use crate::dialog::Replaces;

fn replaces() -> Replaces {
    Replaces {
        call_id: "call".to_owned(),
        to_tag: "own".to_owned(),
        from_tag: "theirs".to_owned(),
        early_only: false,
    }
}

pub(super) fn newcomer(number: &str) -> Newcomer {
    Newcomer {
        calling: Arc::new(Party {
            number: number.into(),
            ..Party::default()
        }),
        offer: sdp(77),
        takeover: Takeover {
            replaces: replaces(),
            user_data: KeyValueList::new().with_text("Segment", "gold"),
            through: None,
        },
    }
}

impl Table {
    /// Somebody asks for the place of the agent's phone.
    pub(super) fn takes_over(&mut self, key: CallKey, number: &str) -> Result<LegSlot, Status> {
        let replaced = (key, self.phone);
        let taken = self.calls.take_over(self.now, replaced, newcomer(number));
        self.drain();
        taken
    }

    /// The agent's phone transfers its call to a party of another conversation; the tie.
    fn refers(&mut self, key: CallKey, number: &str) -> LegSlot {
        let phone = self.phone;
        let referred = Referred {
            number: number.to_owned(),
            referred_by: Some("<sip:2000@pbx>".to_owned()),
            replaced: Replaced::Elsewhere(replaces()),
        };
        let event = Event::Referred(phone, Box::new(referred));
        self.calls.handle(self.now, key, event);
        self.drain();
        let tie = self.phone;
        self.phone = phone;
        self.expect_leg(Side::Agent, &LegCommand::AcceptRefer);
        assert_ne!(tie, phone, "the other conversation is dialled");
        tie
    }

    fn hears(&mut self, key: CallKey, slot: LegSlot, event: LegEvent) {
        self.commands.clear();
        self.on(key, slot, event);
    }

    fn told(&self, slot: LegSlot, expected: &LegCommand) -> bool {
        let expected = Command::Leg(slot, expected.clone());
        self.commands.contains(&expected)
    }
}

fn bye() -> LegEvent {
    LegEvent::HungUp(Release::Bye {
        cause: Cause::default(),
    })
}

fn reports(status: u16) -> LegCommand {
    LegCommand::ReportRefer(Status(status))
}

#[test]
fn newcomer_has_the_place_when_it_is_connected() {
    let (mut table, key) = Table::talking();
    let leg = table.takes_over(key, "4000").expect("there is a place");
    assert!(table.dials_nobody());
    assert_eq!(table.party_states(), []);
    table.hears(
        key,
        LegSlot::FIRST,
        LegEvent::OfferAnswered { body: sdp(0) },
    );
    assert!(table.told(LegSlot::FIRST, &LegCommand::Acknowledge(None)));
    table.hears(key, leg, LegEvent::Acknowledged { body: None });
    assert_eq!(
        table.party_states(),
        [PartyState::Ended(EndCause::Transferred)]
    );
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL.into()));
    let info = table.calls.info(table.conn_id).expect("the call goes on");
    assert_eq!(info.user_data.len(), 1);
}

#[test]
fn another_phone_of_the_same_agent_is_no_news() {
    let (mut table, key) = Table::talking();
    let leg = table.takes_over(key, "2000").expect("there is a place");
    table.hears(
        key,
        LegSlot::FIRST,
        LegEvent::OfferAnswered { body: sdp(0) },
    );
    table.hears(key, leg, LegEvent::Acknowledged { body: None });
    assert_eq!(table.party_states(), []);
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL.into()));
    let conn_id = table.conn_id;
    table.commands.clear();
    table.act(key, conn_id, AGENT, CallAction::Release);
    assert!(table.told(leg, &LegCommand::HangUp(cause::NORMAL.into())));
    table.expect_over();
}

#[test]
fn newcomer_that_leaves_or_cannot_be_heard_changes_nothing() {
    for (slot, event) in [
        (None, bye()),
        (
            Some(LegSlot::FIRST),
            LegEvent::OfferRefused {
                status: Status(488),
            },
        ),
    ] {
        let (mut table, key) = Table::talking();
        let leg = table.takes_over(key, "4000").expect("there is a place");
        table.hears(key, slot.unwrap_or(leg), event);
        if slot.is_none() {
            // The caller, who has an offer of the newcomer's, gets its old one back.
            table.hears(
                key,
                LegSlot::FIRST,
                LegEvent::OfferAnswered { body: sdp(0) },
            );
            table.hears(
                key,
                LegSlot::FIRST,
                LegEvent::OfferAnswered { body: sdp(0) },
            );
        } else {
            let refusal = Refusal {
                status: Status::BUSY_HERE,
                retry_after: None,
            };
            assert!(table.told(leg, &LegCommand::Refuse(refusal)));
        }
        assert_eq!(table.party_states(), []);
        // The place is to be had again.
        assert!(table.takes_over(key, "4000").is_ok());
    }
}

#[test]
fn nobody_changes_the_call_meanwhile_but_all_may_leave() {
    let (mut table, key) = Table::talking();
    let leg = table.takes_over(key, "4000").expect("there is a place");
    assert_eq!(table.takes_over(key, "4001"), Err(Status::BUSY_HERE));
    let conn_id = table.conn_id;
    table.act(key, conn_id, AGENT, CallAction::Hold);
    assert_eq!(table.errors(), [ErrorCode::WrongState]);
    table.hears(key, LegSlot::FIRST, bye());
    let refusal = Refusal {
        status: Status::BUSY_HERE,
        retry_after: None,
    };
    assert!(table.told(leg, &LegCommand::Refuse(refusal)));
    table.expect_over();
}

#[test]
fn agent_who_consults_by_another_dialog_keeps_its_place() {
    for muted in [false, true] {
        let text =
            configuration("").replace("name = \"ucm\"", "name = \"ucm\"\ndual_dialog = true");
        let mut table = Table::configured(&text);
        let key = table.talk();
        let (phone, conn_id) = (table.phone, table.conn_id);
        let mute = CallAction::MuteTransfer {
            destination: "2001".into(),
            user_data: KeyValueList::new(),
        };
        let consult = consultation("2001");
        let action = if muted { mute } else { consult };
        table.act(key, conn_id, AGENT, action);
        table.all_accept(key);
        assert_ne!(table.phone, phone, "its own phone is called again");
        table.phone = phone;
        assert_eq!(table.takes_over(key, "4000"), Err(Status::BUSY_HERE));
    }
}

#[test]
fn phone_hears_that_the_other_call_does_not_take_its_caller() {
    let (mut table, key) = Table::talking();
    let tie = table.refers(key, "7000");
    let gone = LegEvent::Refused {
        status: Status::CALL_DOES_NOT_EXIST,
        retry_after: None,
        after_provisional: false,
    };
    table.hears(key, tie, gone);
    table.expect_leg(Side::Agent, &reports(481));
    assert_eq!(table.party_states(), []);
    assert_eq!(table.calls.live().connected, 1);
}

#[test]
fn caller_gets_the_party_of_the_other_call() {
    // The phone stays until it hears that it is done, or leaves at once.
    for leaves in [false, true] {
        let (mut table, key) = Table::talking();
        let tie = table.refers(key, "7000");
        let phone = table.phone;
        let party = Arc::new(Party {
            number: "2001".into(),
            ..Party::default()
        });
        table.hears(key, tie, LegEvent::Identified(Arc::clone(&party)));
        if leaves {
            table.hears(key, phone, bye());
            assert_eq!(
                table.party_states(),
                [PartyState::Ended(EndCause::Transferred)]
            );
        }
        table.hears(key, tie, LegEvent::Answered { body: sdp(tie.0) });
        table.hears(
            key,
            LegSlot::FIRST,
            LegEvent::OfferAnswered { body: sdp(0) },
        );
        assert!(table.told(LegSlot::FIRST, &LegCommand::Identify(party)));
        if !leaves {
            assert_eq!(
                table.party_states(),
                [PartyState::Ended(EndCause::Transferred)]
            );
            table.expect_leg(Side::Agent, &reports(200));
            table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL.into()));
        }
        table.hears(key, tie, bye());
        table.expect_over();
    }
}

/// Calls may be tied in a ring: one who is in none of them would be told of round and round.
#[test]
fn whom_a_tie_tells_of_again_is_told_once() {
    let (mut table, key) = Table::talking();
    let tie = table.refers(key, "7000");
    let party = |number: &str| {
        Arc::new(Party {
            number: number.into(),
            ..Party::default()
        })
    };
    table.hears(key, tie, LegEvent::Identified(party("2001")));
    table.hears(key, tie, LegEvent::Answered { body: sdp(tie.0) });
    let answer = LegEvent::OfferAnswered { body: sdp(0) };
    table.hears(key, LegSlot::FIRST, answer);
    let mut is_told = |number: &str| {
        table.commands.clear();
        table.hears(key, tie, LegEvent::Identified(party(number)));
        table.told(LegSlot::FIRST, &LegCommand::Identify(party(number)))
    };
    // The first may have been shown by what the call itself knows.
    assert!(is_told("2002") && !is_told("2002"));
    assert!(is_told("2003") && is_told("2002") && !is_told("2002"));
}

/// Both parties of a call have been replaced by somebody of other calls, by these ties.
fn link() -> (Table, CallKey, [LegSlot; 2], Question) {
    let (mut table, key) = Table::talking();
    let one = table.takes_over(key, "4000").expect("there is a place");
    let answer = |leg: LegSlot| LegEvent::OfferAnswered { body: sdp(leg.0) };
    table.hears(key, LegSlot::FIRST, answer(LegSlot::FIRST));
    table.hears(key, one, LegEvent::Acknowledged { body: None });
    let replaced = (key, LegSlot::FIRST);
    let taken = table.calls.take_over(table.now, replaced, newcomer("4001"));
    let other = taken.expect("there is a place");
    table.drain();
    assert_eq!(table.asked_round(), []);
    table.hears(key, one, answer(one));
    table.hears(key, other, LegEvent::Acknowledged { body: None });
    let [(way, asks)] = table.asked_round()[..] else {
        panic!("a link asks once along one tie");
    };
    assert!([one, other].contains(&way));
    (table, key, [one, other], asks)
}

impl Table {
    fn asked_round(&self) -> Vec<(LegSlot, Question)> {
        let asked = self.commands.iter().filter_map(|command| {
            if let Command::AskRound(way, question) = command {
                Some((*way, *question))
            } else {
                None
            }
        });
        asked.collect()
    }

    fn is_asked(&mut self, key: CallKey, leg: LegSlot, question: Question) {
        self.commands.clear();
        let event = Event::AskedRound(leg, question);
        self.calls.handle(self.now, key, event);
        self.drain();
    }
}

/// Calls that are tied in a circle would stand until `call_duration_max` (clock-jumps 1505927).
#[test]
fn link_that_hears_its_own_question_is_in_a_circle_and_ends() {
    let (mut table, key, ties, asks) = link();
    table.is_asked(key, ties[0], asks);
    for tie in ties {
        assert!(table.told(tie, &LegCommand::HangUp(cause::NORMAL.into())));
    }
    table.expect_over();
}

#[test]
fn link_passes_on_what_others_ask_a_limited_number_of_times() {
    let (mut table, key, [one, other], own) = link();
    let mut question = Question {
        shard: ShardId(own.shard.0 + 1),
        ..own
    };
    let neither = LegSlot(one.0.max(other.0) + 1);
    table.is_asked(key, neither, question);
    assert_eq!(table.asked_round(), []);
    for (from, to) in [(one, other), (other, one)] {
        let hops = question.hops - 1;
        table.is_asked(key, from, question);
        question = Question { hops, ..question };
        assert_eq!(table.asked_round(), [(to, question)]);
    }
    table.is_asked(
        key,
        one,
        Question {
            hops: 0,
            ..question
        },
    );
    assert_eq!(table.asked_round(), []);
}

#[test]
fn where_somebody_is_left_the_question_ends() {
    let (mut table, key) = Table::talking();
    let tie = table.takes_over(key, "4000").expect("there is a place");
    let answer = LegEvent::OfferAnswered { body: sdp(0) };
    table.hears(key, LegSlot::FIRST, answer);
    table.hears(key, tie, LegEvent::Acknowledged { body: None });
    let (.., question) = link();
    for question in [question, Question { key, ..question }] {
        table.is_asked(key, tie, question);
        assert_eq!(table.asked_round(), []);
        assert!(table.calls.is_live(key));
    }
}

#[test]
fn caller_whose_phone_has_left_in_vain_goes_back_to_its_queue() {
    let (mut table, key) = Table::talking();
    let tie = table.refers(key, "7000");
    let phone = table.phone;
    table.hears(key, phone, bye());
    let gone = LegEvent::Refused {
        status: Status::CALL_DOES_NOT_EXIST,
        retry_after: None,
        after_provisional: false,
    };
    table.hears(key, tie, gone);
    let enters = |input: &queue::Input| matches!(input, queue::Input::Enter { .. });
    assert!(table.queue_inputs().any(enters), "{:?}", table.commands);
}

#[test]
fn phone_transfers_to_whom_it_has_reached_through_its_pbx() {
    let (mut table, key) = Table::talking();
    let phone = table.phone;
    let tie = table.refers(key, "2001");
    let unknown = LegEvent::Refused {
        status: Status::CALL_DOES_NOT_EXIST,
        retry_after: None,
        after_provisional: false,
    };
    table.hears(key, tie, unknown);
    let dial = table.commands.iter().find_map(|command| match command {
        Command::Dial(slot, dial) => Some((*slot, dial.clone())),
        _ => None,
    });
    let (other, dial) = dial.expect("the PBX is asked");
    table.phone = phone;
    assert_eq!(dial.to, DialTo::Agent(OTHER));
    assert_eq!(dial.replaces, Some(replaces()));
    assert_eq!(dial.referred_by.as_deref(), Some("<sip:2000@pbx>"));
    table.hears(key, other, LegEvent::Answered { body: sdp(9) });
    let body = sdp(0);
    table.hears(key, LegSlot::FIRST, LegEvent::OfferAnswered { body });
    table.expect_leg(Side::Agent, &reports(200));
    let states = table.party_states();
    assert_eq!(
        states,
        [
            PartyState::Ended(EndCause::Transferred),
            PartyState::Established
        ]
    );
}

/// What becomes of a caller whose call was picked up, when whoever did that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    WaitsOn,
    LetGo,
}

#[track_caller]
fn leaves(table: &mut Table, key: CallKey, leg: LegSlot, release: Release) -> Then {
    table.commands.clear();
    table.on(key, leg, LegEvent::HungUp(release));
    table.all_accept(key);
    let enters = |input: &queue::Input| matches!(input, queue::Input::Enter { .. });
    let waits_on = table.queue_inputs().any(enters);
    let is_let_go = table
        .leg_commands(Side::Caller)
        .any(|command| matches!(command, LegCommand::HangUp(_)));
    assert_ne!(waits_on, is_let_go, "{release:?} {:?}", table.commands);
    if waits_on { Then::WaitsOn } else { Then::LetGo }
}

fn releases() -> [Release; 2] {
    let cause = Cause::default();
    [Release::Cancelled { cause }, Release::Bye { cause }]
}

/// A caller of a queue whose call somebody has picked up, and our answer to that one's INVITE.
fn picked_up(offer: Option<&str>) -> (Table, CallKey, LegSlot) {
    let mut table = Table::new();
    let key = table.arrive(offer);
    table.offer(key, AGENT);
    table.ring(key);
    let leg = table.takes_over(key, "3428").expect("it takes the call");
    if offer.is_none() {
        let body = sdp(0);
        table.leg(key, Side::Caller, LegEvent::Acknowledged { body });
    }
    let is_answered = table.commands.iter().any(|command| match command {
        Command::Leg(told, LegCommand::Answer(_)) => *told == leg,
        _ => false,
    });
    assert!(is_answered, "{:?}", table.commands);
    (table, key, leg)
}

/// Whoever has picked a call up thinks better of it while it is answered, and has heard nothing of
/// that.
#[test]
fn caller_whose_call_was_picked_up_and_given_back_waits_on() {
    for release in releases() {
        for offer in [None, Some("offer")] {
            let (mut table, key, leg) = picked_up(offer);
            assert_eq!(leaves(&mut table, key, leg, release), Then::WaitsOn);
        }
    }
}

/// Whoever has been there has left, whatever is under way.
#[test]
fn caller_whose_call_was_picked_up_is_let_go_by_who_has_been_there() {
    let [_, bye] = releases();
    for changes in [None, Some(Side::Caller), Some(Side::Agent)] {
        let (mut table, key, leg) = picked_up(None);
        table.on(key, leg, LegEvent::Acknowledged { body: None });
        let (side, body) = (changes, sdp(78));
        match side {
            Some(Side::Caller) => table.on(key, LegSlot::FIRST, LegEvent::Offered { body }),
            Some(Side::Agent) => table.on(key, leg, LegEvent::Offered { body }),
            None => {}
        }
        assert_eq!(
            leaves(&mut table, key, leg, bye),
            Then::LetGo,
            "{changes:?}"
        );
    }
}
