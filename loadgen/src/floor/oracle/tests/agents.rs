//! What the server says of agents.

use super::*;

#[test]
fn what_is_said_of_an_agent_must_be_true_within_the_bound() {
    let private = |active| Fact::PrivateCall {
        dn: "2000".to_owned(),
        active,
    };
    let mut history = History::new();
    history.see(private(true));
    history.wait(10);
    history.see(private(false));
    history.breaks(&[Rule::StaleState]);
    // The same, for a time that is no longer than it may be.
    let mut history = History::new();
    history.see(private(true));
    history.wait(2);
    history.see(private(false));
    history.breaks(&[]);
    // And with a phone that nobody watches.
    let mut history = History::new();
    history.see(Fact::Unsubscribed {
        dn: "2000".to_owned(),
    });
    history.see(private(true));
    history.wait(10);
    history.see(private(false));
    history.breaks(&[]);
    let mut history = History::new();
    history.say("EventAgentLogout", "2000", None);
    history.breaks(&[Rule::StaleState]);
}

#[test]
fn a_break_that_ends_during_a_private_call_keeps_its_reason() {
    let mut history = History::new();
    history.ask(FIRST_REFERENCE, "RequestAgentNotReady", "2000");
    history.say("EventAgentNotReady", "2000", None);
    history.told(FIRST_REFERENCE, "EventAgentNotReady", "2000");
    let private = |active| Fact::PrivateCall {
        dn: "2000".to_owned(),
        active,
    };
    history.see(private(true));
    history.ask(FIRST_REFERENCE + 1, "RequestAgentReady", "2000");
    let refusal = Said {
        connection: DESKTOP,
        reference: Some(FIRST_REFERENCE + 1),
        sequence: None,
        error: Some("WrongState".to_owned()),
        ..history.said("EventError", "2000", None)
    };
    history.oracle.hear(&refusal);
    history.wait(10);
    history.see(private(false));
    history.say("EventAgentReady", "2000", None);
    history.breaks(&[]);
}

/// Who logs in while the phone is away is refused, and Ready when it is back.
#[test]
fn a_login_that_waits_for_its_phone_ends_the_logout() {
    let mut history = History::new();
    history.ask(FIRST_REFERENCE, "RequestAgentLogout", "2000");
    history.say("EventAgentLogout", "2000", None);
    history.told(FIRST_REFERENCE, "EventAgentLogout", "2000");
    let registered = |registered| Fact::Registered {
        dn: "2000".to_owned(),
        registered,
    };
    history.see(registered(false));
    history.wait(5);
    history.ask(FIRST_REFERENCE + 1, "RequestAgentLogin", "2000");
    let refusal = Said {
        connection: DESKTOP,
        reference: Some(FIRST_REFERENCE + 1),
        sequence: None,
        error: Some("OutOfService".to_owned()),
        ..history.said("EventError", "2000", None)
    };
    history.oracle.hear(&refusal);
    history.wait(5);
    history.see(registered(true));
    history.say("EventAgentLogin", "2000", None);
    history.say("EventAgentReady", "2000", None);
    history.wait(10);
    history.breaks(&[]);
}
