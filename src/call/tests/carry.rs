//! What one side of a call brings to the other: who it is, why it left, what can be heard before
//! the answer.

use super::super::conversation::{Conversation, Turn};
use super::control::sdp;
use super::*;
use crate::cti::CallAction;

fn across(table: &Table) -> Vec<(LegSlot, LegSlot)> {
    let pair = |command: &Command| match command {
        Command::Across(one, other) => Some((*one, *other)),
        _ => None,
    };
    table.commands.iter().filter_map(pair).collect()
}

fn shown(table: &Table, slot: LegSlot) -> Vec<Party> {
    let party = |command: &Command| match command {
        Command::Leg(told, LegCommand::Identify(party)) if *told == slot => {
            Some(Party::clone(party))
        }
        _ => None,
    };
    table.commands.iter().filter_map(party).collect()
}

fn number(number: &str) -> Party {
    Party {
        number: number.into(),
        ..Party::default()
    }
}

#[test]
fn legs_that_are_newly_across_speak_for_each_other() {
    let (mut table, key) = Table::talking();
    let (caller, agent) = (LegSlot::FIRST, table.phone);
    let main = table.conn_id;
    let consult = table.consult(key);
    let other = table.phone;
    table.ring(key);
    table.on(key, other, LegEvent::Answered { body: sdp(other.0) });
    table.all_accept(key);
    assert_eq!(across(&table), [(agent, other)]);
    table.commands.clear();
    let alternate = CallAction::Alternate { held: main };
    table.act(key, consult, AGENT, alternate);
    table.all_accept(key);
    assert_eq!(across(&table), [(agent, caller)]);
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::CompleteTransfer { consult });
    table.all_accept(key);
    assert_eq!(across(&table), [(caller, other)]);
}

#[test]
fn who_comes_by_a_transfer_is_shown_once_and_a_number_that_is_withheld_stays_so() {
    let mut table = Table::new();
    table.caller.private = true;
    let key = table.talk();
    let (caller, main) = (LegSlot::FIRST, table.conn_id);
    let consult = table.consult(key);
    let other = table.phone;
    table.ring(key);
    table.on(key, other, LegEvent::Answered { body: sdp(other.0) });
    table.all_accept(key);
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::CompleteTransfer { consult });
    table.all_accept(key);
    assert_eq!(shown(&table, caller), [number("2001")]);
    // The number goes to the far end as what it is: withheld.
    let private = Party {
        private: true,
        ..number("3427")
    };
    assert_eq!(shown(&table, other), [private]);
    let changed = |command: &Command| match command {
        Command::Agent(OTHER, agent::Input::Party(party)) => Some(party.other.clone()),
        _ => None,
    };
    assert_eq!(table.commands.iter().find_map(changed), Some(None));
}

#[test]
fn caller_is_shown_each_phone_that_is_called_for_it() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    assert_eq!(shown(&table, LegSlot::FIRST), [number("2000")]);
    let busy = LegEvent::Refused {
        status: Status::BUSY_HERE,
        retry_after: None,
        after_provisional: false,
    };
    table.leg(key, Side::Agent, busy);
    table.offer(key, OTHER);
    assert_eq!(shown(&table, LegSlot::FIRST), [number("2001")]);
}

#[test]
fn what_a_caller_says_of_why_it_gave_up_goes_to_the_phone() {
    let cause = Cause {
        q850: None,
        sip: Some(Status::OK),
    };
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.ring(key);
    table.leg(
        key,
        Side::Caller,
        LegEvent::HungUp(Release::Cancelled { cause }),
    );
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause));
    table.expect_over();
}

#[test]
fn early_media_reaches_a_caller_of_one_number_only() {
    for (direct, elsewhere, offer, heard) in [
        (true, false, Some("offer"), true),
        (true, true, Some("offer"), false),
        (false, false, Some("offer"), false),
        // Who has made no offer has none to be answered.
        (true, false, None, false),
    ] {
        let mut table = Table::new();
        let destination = Destination::Direct { dn: AGENT };
        let key = if direct {
            table.arrive_at(destination, offer, None)
        } else {
            table.arrive(offer)
        };
        let elsewhere = elsewhere.then(|| {
            Box::new(Elsewhere {
                destination: "2001".into(),
                mode: crate::cti::ForwardMode::OnNoAnswer,
            })
        });
        let dn = AGENT;
        table.input(key, Input::Offer { dn, elsewhere });
        let progress = LegEvent::Progress {
            status: Status::SESSION_PROGRESS,
            body: body("early"),
        };
        table.leg(key, Side::Agent, progress);
        let early = |command: &&LegCommand| {
            matches!(command, LegCommand::EarlyMedia(Status::SESSION_PROGRESS, _))
        };
        let found = table.leg_commands(Side::Caller).filter(early).count();
        assert_eq!(found, usize::from(heard), "{direct} {offer:?}");
        let ringing = LegCommand::Progress(Status::RINGING);
        let told = table
            .leg_commands(Side::Caller)
            .any(|command| *command == ringing);
        assert_eq!(told, !heard);
        assert_eq!(table.party_states(), [PartyState::Ringing]);
    }
}

/// A call to a number whose phone has sent an answer with its 183: caller 0 hears it.
fn early() -> (Table, CallKey) {
    let offer = sdp(0).expect("a description");
    let offer = String::from_utf8_lossy(&offer.bytes);
    let mut table = Table::new();
    let destination = Destination::Direct { dn: AGENT };
    let key = table.arrive_at(destination, Some(&offer), None);
    table.offer(key, AGENT);
    let progress = LegEvent::Progress {
        status: Status::SESSION_PROGRESS,
        body: sdp(50),
    };
    table.leg(key, Side::Agent, progress);
    table.commands.clear();
    (table, key)
}

/// The 200 repeats the early answer. What the phone says in its own 200 and has not said before
/// comes by a re-INVITE, be it another codec at the same place; another version is nothing.
#[test]
fn what_the_answer_says_beyond_the_early_answer_comes_after_it() {
    for (from, to, is_news) in [
        ("RTP/AVP 0", "RTP/AVP 8", true),
        (
            "RTP/AVP 0",
            "RTP/AVP 0\r\na=crypto:1 suite inline:key",
            true,
        ),
        ("o=- 50 1 ", "o=- 50 2 ", false),
        ("", "", false),
    ] {
        let (mut table, key) = early();
        let body = sdp(50).expect("a description");
        let text = String::from_utf8_lossy(&body.bytes).replacen(from, to, 1);
        let body = body_of(&text);
        table.leg(key, Side::Agent, LegEvent::Answered { body });
        table.expect_leg(Side::Caller, &LegCommand::Answer(sdp(50)));
        table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
        assert_eq!(is_offered(&table, LegSlot::FIRST, to), is_news, "{to:?}");
        assert_eq!(table.leg_commands(Side::Agent).count(), 0);
    }
}

/// RFC 3262 §5, RFC 3311 §5.1: a caller whose offer was answered by a reliable response may make
/// another one before the call is answered. It has its answer at once, and the phone the offer when
/// it has answered.
#[test]
fn what_a_caller_changes_while_the_phone_rings_goes_to_it_after_the_answer() {
    let (mut table, key) = early();
    table.leg(key, Side::Caller, LegEvent::Offered { body: sdp(98) });
    let answers = |command: &&LegCommand| {
        let LegCommand::AnswerOffer(Some(body)) = command else {
            return false;
        };
        String::from_utf8_lossy(&body.bytes).contains("c=IN IP4 192.0.2.50")
    };
    assert_eq!(table.leg_commands(Side::Caller).filter(answers).count(), 1);
    assert_eq!(table.leg_commands(Side::Agent).count(), 0);
    let acknowledged = || LegEvent::OfferAcknowledged { body: None };
    table.leg(key, Side::Caller, acknowledged());
    // It may do so again.
    table.leg(key, Side::Caller, LegEvent::Offered { body: sdp(99) });
    assert_eq!(table.leg_commands(Side::Caller).filter(answers).count(), 1);
    table.leg(key, Side::Caller, acknowledged());
    table.leg(key, Side::Agent, LegEvent::Answered { body: sdp(50) });
    table.expect_leg(Side::Agent, &LegCommand::Acknowledge(None));
    // The answer has been given.
    table.expect_leg(Side::Caller, &LegCommand::Answer(None));
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    let offers = |command: &&LegCommand| {
        let LegCommand::Offer(Some(body)) = command else {
            return false;
        };
        String::from_utf8_lossy(&body.bytes).contains("c=IN IP4 192.0.2.99")
    };
    assert_eq!(table.leg_commands(Side::Agent).filter(offers).count(), 1);
    let answered = LegEvent::OfferAnswered { body: sdp(50) };
    table.leg(key, Side::Agent, answered);
    table.expect_leg(Side::Agent, &LegCommand::Acknowledge(None));
    assert_eq!(
        table.leg_commands(Side::Caller).count(),
        0,
        "it knows the phone"
    );
    assert_eq!(table.calls.live().connected, 1);
}

/// The same call, and the caller has made another offer meanwhile, of party 99.
fn changed_early() -> (Table, CallKey) {
    let (mut table, key) = early();
    table.leg(key, Side::Caller, LegEvent::Offered { body: sdp(99) });
    let acknowledged = LegEvent::OfferAcknowledged { body: None };
    table.leg(key, Side::Caller, acknowledged);
    (table, key)
}

fn has(body: Option<&Body>, place: &str) -> bool {
    body.is_some_and(|body| String::from_utf8_lossy(&body.bytes).contains(place))
}

fn is_offered(table: &Table, slot: LegSlot, place: &str) -> bool {
    let offers = |command: &Command| match command {
        Command::Leg(told, LegCommand::Offer(body)) => *told == slot && has(body.as_ref(), place),
        _ => false,
    };
    table.commands.iter().any(offers)
}

/// What the caller has changed goes with it when the call is redirected: the phone that answers in
/// the end has the caller's last offer, and the caller gets that phone's answer.
#[test]
fn what_a_caller_has_changed_goes_to_whom_the_call_is_redirected_to() {
    let (mut table, key) = changed_early();
    let destination = "2001".into();
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::Redirect { destination });
    table.offer(key, OTHER);
    let dials = |command: &Command| match command {
        Command::Dial(_, dial) => has(dial.offer.as_ref(), "c=IN IP4 192.0.2.99"),
        _ => false,
    };
    assert!(table.commands.iter().any(dials), "{:?}", table.commands);
    // It is no answer to what the caller has said since.
    let status = Status::SESSION_PROGRESS;
    let body = sdp(70);
    table.leg(key, Side::Agent, LegEvent::Progress { status, body });
    let tells = |command: &LegCommand| matches!(command, LegCommand::EarlyMedia(..));
    assert!(!table.leg_commands(Side::Caller).any(tells));
    table.leg(key, Side::Agent, LegEvent::Answered { body: sdp(70) });
    table.expect_leg(Side::Caller, &LegCommand::Answer(None));
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    assert!(is_offered(&table, table.phone, "c=IN IP4 192.0.2.99"));
    let body = sdp(70);
    table.leg(key, Side::Agent, LegEvent::OfferAnswered { body });
    assert!(is_offered(&table, LegSlot::FIRST, "c=IN IP4 192.0.2.70"));
    let body = sdp(99);
    table.leg(key, Side::Caller, LegEvent::OfferAnswered { body });
    assert_eq!(table.leg_commands(Side::Agent).count(), 0);
    assert_eq!(table.calls.live().connected, 1);
}

/// The same where somebody takes the call who has an offer of its own.
#[test]
fn what_a_caller_has_changed_goes_to_who_picks_the_call_up() {
    let (mut table, key) = changed_early();
    table.commands.clear();
    let newcomer = table.takes_over(key, "4000").expect("the phone rings");
    let acknowledged = LegEvent::Acknowledged { body: None };
    table.on(key, newcomer, acknowledged.clone());
    assert!(is_offered(&table, newcomer, "c=IN IP4 192.0.2.99"));
    let body = || sdp(77);
    table.on(key, newcomer, LegEvent::OfferAnswered { body: body() });
    table.expect_leg(Side::Caller, &LegCommand::Answer(None));
    table.leg(key, Side::Caller, acknowledged);
    assert!(is_offered(&table, newcomer, "c=IN IP4 192.0.2.99"));
    table.on(key, newcomer, LegEvent::OfferAnswered { body: body() });
    assert!(is_offered(&table, LegSlot::FIRST, "c=IN IP4 192.0.2.77"));
}

/// A leg is in one exchange at a time: who has yet to hear of a change while one of the two is in
/// another hears of it after that one.
#[test]
fn what_a_caller_has_changed_waits_until_both_are_free() {
    let (mut table, key) = changed_early();
    table.leg(key, Side::Agent, LegEvent::Answered { body: sdp(50) });
    table.commands.clear();
    let both = (LegSlot::FIRST, table.phone);
    let catch_up = |call: &mut Conversation, turn: &mut Turn<'_>| call.catch_up(turn, both);
    table.calls.turn(table.now, (key, None), catch_up);
    table.drain();
    assert_eq!(table.commands, [], "the ACK is awaited");
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    let ask = LegCommand::Offer(None);
    table.expect_leg(Side::Caller, &ask);
    let body = sdp(99);
    table.leg(key, Side::Caller, LegEvent::OfferAnswered { body });
    assert!(is_offered(&table, table.phone, "c=IN IP4 192.0.2.99"));
}

/// The phone answers while the PRACK with the caller's offer is on its way.
#[test]
fn what_a_caller_changes_as_the_phone_answers_goes_to_it_as_well() {
    let (mut table, key) = early();
    table.leg(key, Side::Agent, LegEvent::Answered { body: sdp(50) });
    table.leg(key, Side::Caller, LegEvent::Offered { body: sdp(99) });
    let answers = |command: &&LegCommand| matches!(command, LegCommand::AnswerOffer(Some(_)));
    assert_eq!(table.leg_commands(Side::Caller).filter(answers).count(), 1);
    table.leg(
        key,
        Side::Caller,
        LegEvent::OfferAcknowledged { body: None },
    );
    assert_eq!(table.leg_commands(Side::Agent).count(), 0);
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    let offers = |command: &&LegCommand| matches!(command, LegCommand::Offer(Some(_)));
    assert_eq!(table.leg_commands(Side::Agent).filter(offers).count(), 1);
}

/// The same where the phone has just answered something else than the early answer: both hear of
/// each other.
#[test]
fn what_a_caller_changes_with_an_outdated_answer_goes_to_the_phone_as_well() {
    let (mut table, key) = early();
    table.leg(key, Side::Agent, LegEvent::Answered { body: sdp(70) });
    table.expect_leg(Side::Caller, &LegCommand::Answer(sdp(50)));
    table.leg(key, Side::Caller, LegEvent::Offered { body: sdp(99) });
    let answers = |command: &&LegCommand| matches!(command, LegCommand::AnswerOffer(Some(_)));
    assert_eq!(table.leg_commands(Side::Caller).filter(answers).count(), 1);
    let acknowledged = LegEvent::OfferAcknowledged { body: None };
    table.leg(key, Side::Caller, acknowledged);
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    assert!(is_offered(&table, table.phone, "c=IN IP4 192.0.2.99"));
    let body = sdp(70);
    table.leg(key, Side::Agent, LegEvent::OfferAnswered { body });
    assert!(is_offered(&table, LegSlot::FIRST, "c=IN IP4 192.0.2.70"));
}

/// What is no session description can be answered by the phone alone.
#[test]
fn what_nobody_can_answer_for_the_phone_is_refused() {
    let (mut table, key) = early();
    let body = body("sealed");
    table.leg(key, Side::Caller, LegEvent::Offered { body });
    let refuse = LegCommand::RefuseOffer(Status::NOT_ACCEPTABLE_HERE);
    table.expect_leg(Side::Caller, &refuse);
    // All is as before it: another answer than the early one is for a re-INVITE.
    table.leg(key, Side::Agent, LegEvent::Answered { body: sdp(70) });
    table.expect_leg(Side::Caller, &LegCommand::Answer(sdp(50)));
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    assert!(is_offered(&table, LegSlot::FIRST, "c=IN IP4 192.0.2.70"));
    assert_eq!(table.calls.live().connected, 1);
}

#[test]
fn another_answer_to_a_refresh_goes_to_the_other_side() {
    let (mut table, key) = Table::talking();
    let phone = table.phone;
    let body = sdp(phone.0).expect("a description");
    table.commands.clear();
    table.on(key, phone, LegEvent::Refreshed { body });
    assert_eq!(table.commands, [], "it says what it said before");
    let body = sdp(99).expect("a description");
    table.on(key, phone, LegEvent::Refreshed { body });
    let offers = |command: &&LegCommand| matches!(command, LegCommand::Offer(Some(_)));
    assert_eq!(table.leg_commands(Side::Caller).filter(offers).count(), 1);
    assert_eq!(table.leg_commands(Side::Agent).count(), 0);
    let body = sdp(0);
    table.leg(key, Side::Caller, LegEvent::OfferAnswered { body });
    table.expect_leg(Side::Caller, &LegCommand::Acknowledge(None));
    assert_eq!(
        table.leg_commands(Side::Agent).count(),
        0,
        "it knows the caller"
    );
}

/// The same of the phone: its offer is answered at once, and the caller, who has had the early
/// answer, hears of it when it is there.
#[test]
fn what_a_phone_changes_while_it_rings_goes_to_the_caller_after_the_answer() {
    let (mut table, key) = early();
    for number in [60, 61] {
        let body = sdp(number);
        table.leg(key, Side::Agent, LegEvent::Offered { body });
        let answers = |command: &&LegCommand| matches!(command, LegCommand::AnswerOffer(Some(_)));
        assert_eq!(table.leg_commands(Side::Agent).filter(answers).count(), 1);
        assert_eq!(table.leg_commands(Side::Caller).count(), 0);
        let acknowledged = LegEvent::OfferAcknowledged { body: None };
        table.leg(key, Side::Agent, acknowledged);
    }
    table.leg(key, Side::Agent, LegEvent::Answered { body: sdp(61) });
    table.expect_leg(Side::Agent, &LegCommand::Acknowledge(None));
    let place = |command: &LegCommand| match command {
        LegCommand::Answer(Some(body)) | LegCommand::Offer(Some(body)) => {
            String::from_utf8_lossy(&body.bytes).into_owned()
        }
        other => panic!("{other:?}"),
    };
    let answer = table.leg_commands(Side::Caller).next().map(place);
    assert!(answer.is_some_and(|answer| answer.contains("c=IN IP4 192.0.2.50")));
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    let offer = table.leg_commands(Side::Caller).next().map(place);
    assert!(offer.is_some_and(|offer| offer.contains("c=IN IP4 192.0.2.61")));
}

/// RFC 3264 §6.1: where the caller has had no early answer it gets that now, for the phone's offer
/// is none, and the offer after it.
#[test]
fn what_a_phone_offers_while_it_rings_is_no_answer_to_the_caller() {
    let offer = sdp(0).expect("a description");
    let offer = String::from_utf8_lossy(&offer.bytes).into_owned();
    let mut table = Table::new();
    let key = table.arrive(Some(&offer));
    table.offer(key, AGENT);
    let status = Status::SESSION_PROGRESS;
    let body = sdp(50);
    table.leg(key, Side::Agent, LegEvent::Progress { status, body });
    assert_eq!(table.leg_commands(Side::Caller).count(), 1, "it rings");
    table.leg(key, Side::Agent, LegEvent::Offered { body: sdp(60) });
    let acknowledged = LegEvent::OfferAcknowledged { body: None };
    table.leg(key, Side::Agent, acknowledged);
    table.leg(key, Side::Agent, LegEvent::Answered { body: sdp(60) });
    table.expect_leg(Side::Caller, &LegCommand::Answer(sdp(50)));
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    assert!(is_offered(&table, LegSlot::FIRST, "c=IN IP4 192.0.2.60"));
}

/// Another phone of the same number takes the call: what the first one has changed is nothing.
#[test]
fn what_one_phone_changes_while_it_rings_is_nothing_to_another_that_answers() {
    let offer = sdp(0).expect("a description");
    let offer = String::from_utf8_lossy(&offer.bytes).into_owned();
    let mut table = Table::new();
    let key = table.arrive(Some(&offer));
    table.offer(key, AGENT);
    table.leg(key, Side::Agent, LegEvent::Offered { body: sdp(60) });
    let acknowledged = LegEvent::OfferAcknowledged { body: None };
    table.leg(key, Side::Agent, acknowledged);
    table.leg(key, Side::Agent, LegEvent::Answered { body: sdp(70) });
    let told = table.leg_commands(Side::Caller).next();
    let Some(LegCommand::Answer(Some(answer))) = told else {
        panic!("{told:?}");
    };
    assert!(String::from_utf8_lossy(&answer.bytes).contains("c=IN IP4 192.0.2.70"));
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    assert_eq!(table.leg_commands(Side::Caller).count(), 0);
    assert_eq!(table.leg_commands(Side::Agent).count(), 0);
}
