//! Each habit of agents at desktops by itself.

use super::*;
use crate::floor::cast::lines;
use crate::floor::router::Routers;

const SECOND: Duration = Duration::from_secs(1);

/// Two agents at a desktop each, on one connection.
struct Lab {
    profile: Profile,
    desks: Desks,
    start: Instant,
    now: Instant,
}

/// What a desk asks for, or how long a connection is lost; and when, in seconds.
type Deed = (f64, String);

impl Lab {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn new(habits: &str) -> Self {
        let text = format!(
            "[[pbx]]\nname = \"hq\"\nphones = \"2000-2001\"\n\
             [[queue]]\nname = \"sales\"\nnumbers = [\"7000\"]\n\
             [[agents]]\nname = \"sales\"\nqueues = [\"sales\"]\nphones = \"2000-2001\"\n\
             desktops = 1\nper_connection = 2\n{habits}"
        );
        let profile = Profile::parse("test", &text).expect("a good profile");
        let start = Instant::now();
        let mut desks = Desks::new(&profile, 1);
        desks.begin(start);
        Self {
            profile,
            desks,
            start,
            now: start,
        }
    }

    fn pass(&mut self, seconds: u64) -> Vec<Deed> {
        let end = self.now + SECOND * u32::try_from(seconds).expect("a short time");
        let mut deeds = Vec::new();
        while let Some(next) = self.desks.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.desks.handle_timeout(self.now);
            self.take(&mut deeds);
        }
        self.now = end;
        deeds
    }

    fn take(&mut self, deeds: &mut Vec<Deed>) {
        let seconds = self.now.duration_since(self.start).as_secs_f64();
        while let Some(command) = self.desks.poll_command() {
            let words = match command {
                // What one of the two does is enough.
                Command::Ask(asked) if asked.dn == "2001" => continue,
                Command::Ask(asked) => asked.message,
                Command::Lose(connection, length) => format!("{} {length:?}", connection.0),
            };
            deeds.push((seconds, words));
        }
    }

    /// 2000 hears of a call.
    fn hear(&mut self, message: &str, conn_id: &str) {
        let text =
            format!("{{\"Message\":\"{message}\",\"ThisDN\":\"2000\",\"ConnID\":\"{conn_id}\"}}");
        let said = Said::read(self.now, Connection(1), &text).expect("a message");
        self.desks.hear(&said);
    }
}

fn deed(seconds: f64, words: &str) -> Deed {
    (seconds, words.to_owned())
}

#[test]
fn shifts_begin_end_and_begin_again() {
    let mut lab = Lab::new("login = \"1s\"\nshift = \"10s\"\nbetween_shifts = \"5s\"\n");
    let (login, logout) = ("RequestAgentLogin", "RequestAgentLogout");
    let expected = [(1.0, login), (11.0, logout), (16.0, login), (26.0, logout)];
    assert_eq!(lab.pass(30), expected.map(|(at, words)| deed(at, words)));
    // At the end of a run who is away comes back, and nobody leaves any more.
    lab.desks.close(lab.now);
    assert_eq!(lab.pass(60), [deed(31.0, login)]);
}

#[test]
fn breaks_last_as_long_as_they_may_and_end_with_the_run() {
    let mut lab = Lab::new("breaks = \"20s\"\nbreak = \"3s\"\n");
    let mut deeds = lab.pass(200);
    assert_eq!(deeds.remove(0), deed(0.0, "RequestAgentLogin"));
    assert!(deeds.len() > 6, "{deeds:?}");
    for pair in deeds.chunks_exact(2) {
        assert_eq!(
            (&*pair[0].1, &*pair[1].1),
            ("RequestAgentNotReady", "RequestAgentReady")
        );
        assert!((pair[1].0 - pair[0].0 - 3.0).abs() < 1e-6, "{pair:?}");
    }
    while lab
        .pass(1)
        .last()
        .is_none_or(|(_, words)| words != "RequestAgentNotReady")
    {}
    lab.desks.close(lab.now);
    let mut deeds = Vec::new();
    lab.take(&mut deeds);
    assert_eq!(deeds.len(), 1);
    assert_eq!(deeds[0].1, "RequestAgentReady");
    assert_eq!(lab.pass(200), []);
}

#[test]
fn connections_are_lost_again_and_again() {
    let mut lab = Lab::new("disconnects = \"10s\"\ndisconnect = \"2s\"\n");
    let deeds = lab.pass(200);
    let lost = deeds.iter().filter(|(_, words)| words == "1 2s").count();
    assert!((5..60).contains(&lost), "{deeds:?}");
}

#[test]
fn a_part_of_the_connections_reads_slowly() {
    for (part, pause) in [("1.0", Some(Duration::from_millis(70))), ("0.0", None)] {
        let habits = format!("slow_readers = {part}\nslow_reading = \"70ms\"\n");
        let lab = Lab::new(&habits);
        let routers = Routers::new(&lab.profile, 2, Connection(0));
        let lines = lines(&lab.profile, &lab.desks, &routers);
        assert_eq!(lines[0].pause, None, "who hears everything never does");
        assert_eq!(lines[1].pause, pause);
        assert_eq!(lines[1].addresses, ["2000", "2001"]);
    }
}

#[test]
fn desktops_make_calls_only_while_nobody_is_on_the_line() {
    let mut lab = Lab::new("makes_calls = \"10s\"\ntalk = \"5s\"\n");
    let dialled = |deeds: Vec<Deed>| {
        let of = |(_, words): &&Deed| words == "RequestMakeCall";
        deeds.iter().filter(of).count()
    };
    assert!(dialled(lab.pass(200)) > 2);
    lab.hear("EventEstablished", "0a");
    assert_eq!(dialled(lab.pass(200)), 0);
}

/// What is done to one call that was answered, and when after the answer.
fn done(habits: &str) -> Vec<Deed> {
    let mut lab = Lab::new(habits);
    lab.pass(10);
    lab.start = lab.now;
    lab.hear("EventEstablished", "0a");
    lab.pass(60)
}

#[test]
fn desktops_hold_transfer_consult_and_release() {
    let at = "desktop_acts = \"2s\"\n";
    // No event says that the call is on hold: so there is nothing to retrieve.
    let hold = format!("desktop_holds = 1.0\ndesktop_hold = \"4s\"\n{at}");
    assert_eq!(done(&hold), [deed(2.0, "RequestHoldCall")]);
    let mut lab = Lab::new(&hold);
    lab.pass(10);
    lab.start = lab.now;
    lab.hear("EventEstablished", "0a");
    lab.pass(3);
    lab.hear("EventHeld", "0a");
    assert_eq!(lab.pass(60), [deed(6.0, "RequestRetrieveCall")]);
    let release = "desktop_releases = 1.0\ndesktop_talk = \"7s\"\n";
    assert_eq!(done(release), [deed(7.0, "RequestReleaseCall")]);
    let one_step = ("transfers = 1.0\n", "RequestSingleStepTransfer");
    let two_steps = ("consultations = 1.0\n", "RequestInitiateTransfer");
    for (habit, expected) in [one_step, two_steps] {
        // Chance may pick the agent itself, who then calls nobody.
        let deeds = done(&format!("{habit}{at}"));
        let none = deeds.is_empty();
        assert!(none || deeds == [deed(2.0, expected)], "{deeds:?}");
    }
}

#[test]
fn an_agent_ends_its_wrap_up() {
    let mut lab = Lab::new("wrap_up = \"3s\"\n");
    lab.pass(10);
    lab.start = lab.now;
    lab.hear("EventEstablished", "0a");
    lab.hear("EventReleased", "0a");
    assert_eq!(lab.pass(60), [deed(3.0, "RequestAgentReady")]);
}
