//! The stream of events: its order, its numbers, its answers, and whether phones say the same.

use super::*;

#[test]
fn events_come_in_a_legal_order() {
    for (message, dn) in [
        ("EventEstablished", "2001"),
        ("EventReleased", "2001"),
        ("EventRetrieved", "2000"),
        ("EventQueued", "7000"),
        ("EventDiverted", "7001"),
    ] {
        let mut history = History::new();
        history.offer(TOKEN, "7000");
        history.say("EventQueued", "7000", Some("0a"));
        history.ring(TOKEN, "2000");
        history.say("EventRinging", "2000", Some("0a"));
        history.say(message, dn, Some("0a"));
        let established = message == "EventEstablished";
        if established {
            history.say("EventReleased", dn, Some("0a"));
        }
        history.say("EventReleased", "2000", Some("0a"));
        history.say("EventDiverted", "7000", Some("0a"));
        let (token, dn) = (Some(TOKEN), "2000".to_owned());
        history.see(Fact::PhoneCancelled { token, dn });
        let outcome = Outcome::Abandoned;
        history.see(Fact::Ended {
            token: TOKEN,
            outcome,
        });
        // What no phone did is a broken rule of its own.
        let both = [Rule::EventOrder, Rule::Testimony];
        history.breaks(if established { &both } else { &both[..1] });
    }
    let mut history = History::new();
    history.say("EventAgentLogout", "2000", None);
    history.say("EventAgentNotReady", "2000", None);
    history.say("EventAgentLogin", "2000", None);
    history.say("EventAgentReady", "2000", None);
    history.breaks(&[Rule::EventOrder]);
}

#[test]
fn a_transferred_call_goes_on_under_its_other_name() {
    let mut history = History::new();
    history.call(false);
    let changed = Said {
        previous: Some("0a".to_owned()),
        ..history.said("EventPartyChanged", "2000", Some("0b"))
    };
    history.sequence += 1;
    history.oracle.hear(&changed);
    history.end(TOKEN, "2000");
    history.say("EventReleased", "2000", Some("0b"));
    history.breaks(&[]);
}

/// 2001 has been transferred by 2000 to somebody who is busy, and is told why the call ends.
#[test]
fn a_party_whose_transfer_finds_nobody_hears_that_the_destination_is_busy() {
    let mut history = History::new();
    for dn in ["2000", "2001"] {
        let event = if dn == "2000" {
            "EventDialing"
        } else {
            "EventRinging"
        };
        history.internal(event, dn);
        history.internal("EventEstablished", dn);
    }
    history.internal("EventReleased", "2000");
    history.internal("EventDestinationBusy", "2001");
    history.internal("EventReleased", "2001");
    history.breaks(&[]);
}

#[test]
fn a_consultation_is_about_its_caller() {
    // 2001 answers and hangs up, and 2000 stays with the caller.
    for told in [true, false] {
        let mut history = History::new();
        history.call(false);
        history.consult("EventDialing", "2000");
        history.ring(TOKEN, "2001");
        history.consult("EventRinging", "2001");
        let (token, dn) = (Some(TOKEN), "2001".to_owned());
        history.see(Fact::PhoneAnswered { token, dn });
        if told {
            history.consult("EventEstablished", "2001");
        }
        history.consult("EventEstablished", "2000");
        history.wait(5);
        let (dn, by) = ("2001".to_owned(), EndedBy::Server);
        history.see(Fact::PhoneEnded { token, dn, by });
        history.consult("EventReleased", "2001");
        history.consult("EventReleased", "2000");
        history.wait(5);
        history.end(TOKEN, "2000");
        history.say("EventReleased", "2000", Some("0a"));
        history.breaks(if told { &[] } else { &[Rule::Testimony] });
    }
}

#[test]
fn numbers_of_events_rise_by_one() {
    let mut history = History::new();
    history.sequence += 1;
    history.say("EventAgentReady", "2000", None);
    history.breaks(&[Rule::Sequence]);
}

#[test]
fn a_request_is_answered_once_and_in_time() {
    let mut history = History::new();
    history.ask(FIRST_REFERENCE, "RequestAgentReady", "2000");
    history.breaks(&[Rule::Answers]);
    let mut history = History::new();
    history.ask(FIRST_REFERENCE, "RequestAgentReady", "2000");
    history.told(FIRST_REFERENCE, "EventAgentReady", "2000");
    history.told(FIRST_REFERENCE, "EventAgentReady", "2000");
    history.breaks(&[Rule::Answers]);
    // What was on its way on a lost connection is nobody's fault.
    let mut history = History::new();
    history.ask(FIRST_REFERENCE, "RequestAgentReady", "2000");
    history.oracle.lose(DESKTOP);
    history.breaks(&[]);
}

#[test]
fn events_and_phones_tell_of_the_same_calls() {
    // No EventEstablished.
    let mut history = History::new();
    history.offer(TOKEN, "7000");
    history.ring(TOKEN, "2000");
    history.answer(TOKEN, "2000");
    history.wait(10);
    history.end(TOKEN, "2000");
    history.breaks(&[Rule::Testimony]);
    // No EventReleased.
    let mut history = History::new();
    history.call(false);
    history.end(TOKEN, "2000");
    history.wait(10);
    history.say("EventReleased", "2000", Some("0a"));
    history.breaks(&[Rule::Testimony]);
    // EventReleased of a call that goes on.
    let mut history = History::new();
    history.call(false);
    history.say("EventReleased", "2000", Some("0a"));
    history.wait(10);
    history.end(TOKEN, "2000");
    history.breaks(&[Rule::Testimony]);
}
