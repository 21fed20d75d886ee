//! Histories that are right pass, and each wrong one breaks the rule that it must, and no other.

use std::time::{Duration, Instant};

use super::*;
use crate::population::{EndedBy, Outcome, Presence, caller_number};

const PROFILE: &str = r#"
[bounds]
state = "3s"
event = "3s"
request = "5s"
[[pbx]]
name = "hq"
phones = "2000-2003"
[[queue]]
name = "sales"
numbers = ["7000"]
[[queue]]
name = "service"
numbers = ["7001"]
[[agents]]
name = "sales"
phones = "2000-2001"
queues = ["sales"]
desktops = 1
[[agents]]
name = "service"
phones = "2002-2003"
queues = ["service"]
"#;

const OBSERVER: Connection = Connection(0);
const DESKTOP: Connection = Connection(1);
const TOKEN: Token = Token(42);

/// A history in the making.
struct History {
    oracle: Oracle,
    start: Instant,
    now: Instant,
    sequence: u64,
}

impl History {
    /// Everybody is logged in and Ready.
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn new() -> Self {
        let profile = Profile::parse("test", PROFILE).expect("a good profile");
        let start = Instant::now();
        let mut history = Self {
            oracle: Oracle::new(&profile, OBSERVER),
            start,
            now: start,
            sequence: 0,
        };
        for dn in ["2000", "2001", "2002", "2003"] {
            history.see(Fact::Subscribed {
                dn: dn.to_owned(),
                refresh: false,
                expires: 3_600,
            });
            history.say("EventAgentLogin", dn, None);
            history.say("EventAgentReady", dn, None);
        }
        history.wait(10);
        history
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.oracle.check(self.now);
        }
    }

    fn see(&mut self, fact: Fact) {
        let at = self.now;
        self.oracle.see(0, &Record { at, fact });
    }

    fn said(&self, message: &str, dn: &str, conn_id: Option<&str>) -> Said {
        let text = format!("{{\"Message\":\"{message}\",\"ThisDN\":\"{dn}\"}}");
        let said = Said::read(self.now, OBSERVER, &text).expect("a message");
        Said {
            conn_id: conn_id.map(str::to_owned),
            ani: conn_id.map(|_| caller_number("3", TOKEN)),
            sequence: Some(self.sequence + 1),
            ..said
        }
    }

    fn say(&mut self, message: &str, dn: &str, conn_id: Option<&str>) {
        let said = self.said(message, dn, conn_id);
        self.sequence += 1;
        self.oracle.hear(&said);
    }

    fn offer(&mut self, token: Token, number: &str) {
        let (intended, number) = (self.now, number.to_owned());
        self.see(Fact::Offered {
            token,
            intended,
            number,
        });
    }

    fn ring(&mut self, token: Token, dn: &str) {
        let (token, dn) = (Some(token), dn.to_owned());
        self.see(Fact::Rang { token, dn });
    }

    fn answer(&mut self, token: Token, dn: &str) {
        let dn = dn.to_owned();
        self.see(Fact::PhoneAnswered {
            token: Some(token),
            dn,
        });
        self.see(Fact::Connected { token });
    }

    fn end(&mut self, token: Token, dn: &str) {
        let by = EndedBy::Server;
        let dn = dn.to_owned();
        self.see(Fact::PhoneEnded {
            token: Some(token),
            dn,
            by,
        });
        let outcome = Outcome::Answered(EndedBy::Us);
        self.see(Fact::Ended { token, outcome });
    }

    fn give_up(&mut self) {
        let outcome = Outcome::Abandoned;
        self.see(Fact::Ended {
            token: TOKEN,
            outcome,
        });
    }

    /// A call as it must be, up to its end or without it.
    fn call(&mut self, ends: bool) {
        self.offer(TOKEN, "7000");
        self.say("EventQueued", "7000", Some("0a"));
        self.ring(TOKEN, "2000");
        self.say("EventDiverted", "7000", Some("0a"));
        self.say("EventRinging", "2000", Some("0a"));
        self.wait(1);
        self.answer(TOKEN, "2000");
        self.say("EventEstablished", "2000", Some("0a"));
        self.wait(10);
        if ends {
            self.end(TOKEN, "2000");
            self.say("EventReleased", "2000", Some("0a"));
            self.wait(10);
        }
    }

    /// An event of the call in which 2000 consults 2001.
    fn consult(&mut self, message: &str, dn: &str) {
        let said = Said {
            ani: Some("2000".to_owned()),
            call_type: Some("Consult".to_owned()),
            previous: Some("0a".to_owned()),
            ..self.said(message, dn, Some("0b"))
        };
        self.sequence += 1;
        self.oracle.hear(&said);
    }

    fn ask(&mut self, reference: u64, message: &str, dn: &str) {
        let asked = Asked {
            connection: DESKTOP,
            reference,
            message: message.to_owned(),
            dn: dn.to_owned(),
            frame: String::new(),
        };
        self.oracle.ask(self.now, &asked);
    }

    /// The desktop hears an answer.
    fn told(&mut self, reference: u64, message: &str, dn: &str) {
        let said = Said {
            connection: DESKTOP,
            reference: Some(reference),
            sequence: None,
            ..self.said(message, dn, None)
        };
        self.oracle.hear(&said);
    }

    /// The rules that were broken, at the end or in the middle.
    #[track_caller]
    fn breaks(mut self, rules: &[Rule]) {
        self.wait(60);
        self.oracle.finish(self.now);
        let found: Vec<Rule> = self.oracle.counts().keys().copied().collect();
        assert_eq!(found, rules, "{:#?}", self.oracle.violations());
        let times = |violation: &Violation| violation.at >= self.start;
        assert!(self.oracle.violations().iter().all(times));
    }
}

#[test]
fn a_history_as_it_must_be_breaks_nothing() {
    let mut history = History::new();
    history.call(true);
    history.see(Fact::PrivateCall {
        dn: "2001".to_owned(),
        active: true,
    });
    let busy = Said {
        reason: Some("on-the-phone".to_owned()),
        work_mode: Some("Unknown".to_owned()),
        ..history.said("EventAgentNotReady", "2001", None)
    };
    history.sequence += 1;
    history.oracle.hear(&busy);
    history.wait(10);
    history.see(Fact::PrivateCall {
        dn: "2001".to_owned(),
        active: false,
    });
    history.say("EventAgentReady", "2001", None);
    // A further login changes nothing.
    history.say("EventAgentLogin", "2001", None);
    history.ask(FIRST_REFERENCE, "RequestAgentNotReady", "2000");
    history.say("EventAgentNotReady", "2000", None);
    history.told(FIRST_REFERENCE, "EventAgentNotReady", "2000");
    assert!(history.oracle.comparisons() > 50);
    let times = history.oracle.take_times();
    let measured = |wanted| times.iter().any(|(measure, _)| *measure == wanted);
    assert!(measured(Measure::Routing) && measured(Measure::Bridge));
    history.breaks(&[]);
}

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

#[test]
fn a_broken_rule_of_sip_counts_unless_it_was_broken_on_purpose() {
    let fault = |fault| Fact::Fault {
        token: Some(TOKEN),
        dn: Some("2000".to_owned()),
        fault,
    };
    let mut history = History::new();
    history.see(fault(Fault::OkWithoutAnswer));
    history.breaks(&[Rule::Protocol]);
    let length = Duration::from_secs(5);
    for (kind, found, excused) in [
        (FaultKind::Silence, Fault::ByeUnanswered, true),
        (FaultKind::Silence, Fault::OkWithoutAnswer, false),
        (FaultKind::Mute(0.5), Fault::OkWithoutAnswer, true),
        (FaultKind::Storm(3), Fault::NotifyUnanswered, false),
    ] {
        let mut history = History::new();
        history.oracle.trouble(history.now, 0, kind, length);
        history.see(fault(found));
        history.breaks(if excused { &[] } else { &[Rule::Protocol] });
    }
}

#[test]
fn times_of_trouble_excuse_states_and_their_time_is_measured() {
    let mut history = History::new();
    let kind = FaultKind::Silence;
    let length = Duration::from_secs(5);
    history.oracle.trouble(history.now, 0, kind, length);
    let dn = || "2000".to_owned();
    history.see(Fact::PrivateCall {
        dn: dn(),
        active: true,
    });
    history.wait(10);
    history.see(Fact::PrivateCall {
        dn: dn(),
        active: false,
    });
    history.wait(60);
    history.see(Fact::PrivateCall {
        dn: dn(),
        active: true,
    });
    history.see(Fact::Notified {
        dn: dn(),
        presence: Presence::OnThePhone,
    });
    history.now += Duration::from_millis(7);
    let busy = Said {
        reason: Some("on-the-phone".to_owned()),
        ..history.said("EventAgentNotReady", "2000", None)
    };
    history.sequence += 1;
    history.oracle.hear(&busy);
    let times = history.oracle.take_times();
    assert!(
        times.contains(&(Measure::State, Duration::from_millis(7))),
        "{times:?}"
    );
    history.breaks(&[]);
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

#[test]
fn bad_weather_and_storms_excuse_nobody() {
    let length = Duration::from_secs(60);
    let weather = crate::floor::profile::Weather::CALM;
    for kind in [FaultKind::Weather(weather), FaultKind::Storm(3)] {
        let mut history = History::new();
        history.oracle.trouble(history.now, 0, kind, length);
        history.see(Fact::PrivateCall {
            dn: "2000".to_owned(),
            active: true,
        });
        history.wait(10);
        history.see(Fact::PrivateCall {
            dn: "2000".to_owned(),
            active: false,
        });
        history.breaks(&[Rule::StaleState]);
    }
}
