//! Histories that are right pass, and each wrong one breaks the rule that it must, and no other.

mod agents;
mod calls;
mod events;
mod troubles;

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

    /// An event of a call between two agents.
    fn internal(&mut self, message: &str, dn: &str) {
        let said = Said {
            ani: Some("2000".to_owned()),
            call_type: Some("Internal".to_owned()),
            ..self.said(message, dn, Some("0c"))
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
