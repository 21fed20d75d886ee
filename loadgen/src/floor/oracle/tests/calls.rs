//! Calls: conserved, offered once, to the right agents, and to free ones soon.

use super::*;

#[test]
fn a_call_that_is_lost_or_never_ends_is_not_conserved() {
    let mut history = History::new();
    history.offer(TOKEN, "7000");
    let outcome = Outcome::Lost(Fault::InviteUnanswered);
    history.see(Fact::Ended {
        token: TOKEN,
        outcome,
    });
    history.breaks(&[Rule::Conservation]);
    let mut history = History::new();
    history.offer(TOKEN, "7000");
    history.breaks(&[Rule::Conservation, Rule::Starvation]);
    let mut history = History::new();
    let outcome = Outcome::Abandoned;
    history.see(Fact::Ended {
        token: TOKEN,
        outcome,
    });
    history.breaks(&[Rule::Conservation]);
}

#[test]
fn nobody_has_two_calls_at_once() {
    let (one, two) = (Token(1), Token(2));
    let mut history = History::new();
    history.offer(one, "7000");
    history.offer(two, "7000");
    history.ring(one, "2000");
    history.ring(two, "2000");
    history.wait(4);
    for token in [one, two] {
        let dn = "2000".to_owned();
        history.see(Fact::PhoneCancelled {
            token: Some(token),
            dn,
        });
        let outcome = Outcome::Abandoned;
        history.see(Fact::Ended { token, outcome });
    }
    history.breaks(&[Rule::DoubleOffer]);
    let mut history = History::new();
    history.offer(one, "7000");
    history.ring(one, "2000");
    history.ring(one, "2001");
    history.wait(4);
    for dn in ["2000", "2001"] {
        let dn = dn.to_owned();
        history.see(Fact::PhoneCancelled {
            token: Some(one),
            dn,
        });
    }
    let outcome = Outcome::Abandoned;
    history.see(Fact::Ended {
        token: one,
        outcome,
    });
    history.breaks(&[Rule::DoubleOffer]);
}

#[test]
fn a_caller_rings_only_where_it_may() {
    // At an agent of another queue; at another agent than was dialled; at an agent on a break.
    for (number, dn, on_break) in [
        ("7000", "2002", false),
        ("2001", "2000", false),
        ("7000", "2000", true),
    ] {
        let mut history = History::new();
        if on_break {
            history.ask(FIRST_REFERENCE, "RequestAgentNotReady", dn);
            history.say("EventAgentNotReady", dn, None);
            history.told(FIRST_REFERENCE, "EventAgentNotReady", dn);
            history.wait(10);
        }
        history.offer(TOKEN, number);
        history.ring(TOKEN, dn);
        let token = Some(TOKEN);
        history.see(Fact::PhoneCancelled {
            token,
            dn: dn.to_owned(),
        });
        let outcome = Outcome::Abandoned;
        history.see(Fact::Ended {
            token: TOKEN,
            outcome,
        });
        history.breaks(&[Rule::WrongAgent]);
    }
}

#[test]
fn nobody_waits_while_an_agent_is_free() {
    // A free agent for longer than the bound, in a time of trouble, or only agents on a break.
    let silence = Some(FaultKind::Silence);
    let brown_out = Some(FaultKind::BrownOut(0.5));
    for (trouble, on_break, starves) in [
        (None, false, true),
        (brown_out, false, true),
        (silence, false, false),
        (None, true, false),
    ] {
        let mut history = History::new();
        if let Some(kind) = trouble {
            let length = Duration::from_secs(20);
            history.oracle.trouble(history.now, 0, kind, length);
        }
        for (reference, dn) in (FIRST_REFERENCE..).zip(["2000", "2001"]) {
            if on_break {
                history.ask(reference, "RequestAgentNotReady", dn);
                history.say("EventAgentNotReady", dn, None);
                history.told(reference, "EventAgentNotReady", dn);
            }
        }
        history.offer(TOKEN, "7000");
        history.wait(12);
        history.give_up();
        let waited = (Measure::GivenUp, Duration::from_secs(12));
        assert!(history.oracle.take_times().contains(&waited));
        history.breaks(if starves { &[Rule::Starvation] } else { &[] });
    }
    // A short wait is none, and a phone that rings is no waiting.
    let mut history = History::new();
    history.offer(TOKEN, "7000");
    history.wait(8);
    history.ring(TOKEN, "2000");
    history.wait(20);
    let (token, dn) = (Some(TOKEN), "2000".to_owned());
    history.see(Fact::PhoneCancelled { token, dn });
    history.give_up();
    history.breaks(&[]);
}

/// The phone that nobody answers hears the CANCEL when the next one rings already.
#[test]
fn ringing_at_a_phone_that_nobody_answers_is_no_routing() {
    let mut history = History::new();
    history.offer(TOKEN, "7000");
    history.ring(TOKEN, "2000");
    history.wait(5);
    history.ring(TOKEN, "2001");
    let cancelled = |dn: &str| Fact::PhoneCancelled {
        token: Some(TOKEN),
        dn: dn.to_owned(),
    };
    history.see(cancelled("2000"));
    history.see(cancelled("2001"));
    history.give_up();
    let routing: Vec<Duration> = history
        .oracle
        .take_times()
        .into_iter()
        .filter(|(measure, _)| *measure == Measure::Routing)
        .map(|(_, time)| time)
        .collect();
    assert_eq!(routing, [Duration::ZERO]);
    history.breaks(&[]);
}
