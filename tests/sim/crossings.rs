//! Races that take a message of the test's own: what a proxy forks or merges, what comes late, out
//! of order or to the wrong place, each by its row of docs/TESTING.md. It is made from what the
//! parties have just said.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use offhook::cti::{CallAction, EventName};
use offhook::sip::Status;
use offhook_loadgen::population::{
    Activity, Answering, Behaviour, CallPlan, Change, EndedBy, Outcome, Token,
};

use super::calls::outcome;
use super::control::{act, connected, held, talking, told, world, world_on};
use super::network::{Fate, Flight};
use super::world::{Setup, World};

const AGENT: &str = "2000";
const OTHER: &str = "2001";
const CALLERS: &str = "10.0.1.1:5080";
const SERVER: &str = "10.0.0.1:5060";

/// Everything that has been sent since it began to listen.
struct Tap(Rc<RefCell<Vec<Flight>>>);

impl Tap {
    /// Listens, and lets `fate` decide about each datagram.
    fn with(world: &mut World, mut fate: impl FnMut(&str) -> Fate + 'static) -> Self {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let tap = Self(Rc::clone(&heard));
        world.network.rule = Some(Box::new(move |flight| {
            heard.borrow_mut().push(flight.clone());
            fate(&String::from_utf8_lossy(&flight.bytes))
        }));
        tap
    }

    fn on(world: &mut World) -> Self {
        Self::with(world, |_| Fate::Usual)
    }

    fn all(&self, from: &str, start: &str, with: &str) -> Vec<String> {
        let heard = self.0.borrow();
        let texts = heard
            .iter()
            .filter(|flight| flight.from.to_string() == from)
            .map(|flight| String::from_utf8_lossy(&flight.bytes).into_owned());
        texts
            .filter(|text| text.starts_with(start) && text.contains(with))
            .collect()
    }

    /// The last of somebody's messages that begins like this.
    #[track_caller]
    fn last(&self, from: &str, start: &str) -> String {
        let mut all = self.all(from, start, "");
        all.pop().expect("it was said")
    }
}

/// The server gets a message from there.
fn throw(world: &mut World, from: &str, text: String) {
    let from = from.parse().expect("an address");
    let (to, now) = (world.cluster.address, world.now);
    let bytes = text.into_bytes();
    world.network.carry(now, Flight { from, to, bytes });
}

/// The same message with another line in place of the first one of that name.
fn with(text: &str, name: &str, value: &str) -> String {
    let mut is_done = false;
    let line = |line: &str| {
        if is_done || !line.starts_with(&format!("{name}:")) {
            return line.to_owned();
        }
        is_done = true;
        format!("{name}: {value}")
    };
    let lines: Vec<String> = text.split("\r\n").map(line).collect();
    lines.join("\r\n")
}

fn value(text: &str, name: &str) -> String {
    let start = format!("{name}: ");
    let found = text.lines().find_map(|line| line.strip_prefix(&start));
    found.expect("the message has it").to_owned()
}

fn with_branch(text: &str, branch: &str) -> String {
    let via = value(text, "Via");
    let (before, after) = via.split_once("branch=").expect("a branch");
    let rest = after.find(';').map_or("", |at| &after[at..]);
    with(
        text,
        "Via",
        &format!("{before}branch=z9hG4bK{branch}{rest}"),
    )
}

fn with_tag(text: &str, name: &str, tag: &str) -> String {
    let party = value(text, name);
    let before = party.split(";tag=").next().expect("a party").to_owned();
    with(text, name, &format!("{before};tag={tag}"))
}

/// A request about an INVITE, or in its dialog: its first line and what they have in common.
fn about(invite: &str, method: &str, uri: &str, more: &str) -> String {
    let number = value(invite, "CSeq");
    let number = number.split(' ').next().expect("a number").to_owned();
    let lines = ["Via", "From", "To", "Call-ID"].map(|name| {
        let value = value(invite, name);
        format!("{name}: {value}\r\n")
    });
    format!(
        "{method} {uri} SIP/2.0\r\n{}CSeq: {number} {method}\r\nMax-Forwards: 70\r\n{more}\
         Content-Length: 0\r\n\r\n",
        lines.concat()
    )
}

/// A call to the agent's own number, whose phone answers a second later.
fn calls(world: &mut World) -> Token {
    let answers = Behaviour::answers_after(Duration::from_secs(1));
    world.phone(AGENT).set_behaviour(Some(answers));
    world.call(CallPlan::to(AGENT).with_offer())
}

fn end(mut world: World, token: Token) {
    world.network.rule = None;
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(5));
    let view = world.population.pbx.phone_view(AGENT).expect("a phone");
    assert_eq!(view.activity, Activity::Idle);
    world.finish();
}

/// A NAT has given the caller another port since: the CANCEL's sent-by is not the INVITE's.
#[test]
fn d5_a_cancel_with_another_sent_by_ends_the_call() {
    let mut world = world();
    let tap = Tap::on(&mut world);
    let token = calls(&mut world);
    world.run_for(Duration::from_millis(300));
    let invite = tap.last(CALLERS, "INVITE");
    let cancel = about(&invite, "CANCEL", "sip:2000@10.0.0.1:5060", "");
    let via = value(&cancel, "Via").replace(CALLERS, "192.0.2.7:40000");
    throw(&mut world, CALLERS, with(&cancel, "Via", &via));
    world.run_for(Duration::from_secs(2));
    assert_eq!(outcome(&world, token), Some(Outcome::Refused(487)));
    end(world, token);
}

/// Nobody ever answers an ACK.
#[test]
fn d8_an_ack_to_nowhere_is_passed_over() {
    let mut world = world();
    let (token, _) = talking(&mut world);
    let tap = Tap::on(&mut world);
    world.phone(AGENT).change(Change::Refresh);
    world.run_for(Duration::from_secs(1));
    let ack = tap.last("10.0.1.1:5060", "ACK");
    let nowhere = with(&with_branch(&ack, "nowhere"), "Call-ID", "nowhere");
    throw(&mut world, "10.0.1.1:5060", nowhere);
    world.run_for(Duration::from_secs(5));
    assert_eq!(tap.all(SERVER, "", "Call-ID: nowhere").len(), 0);
    assert!(connected(&world, token, AGENT));
    end(world, token);
}

/// A proxy has forked our INVITE, and two phones answer: the second one is let go.
#[test]
fn d12_a_second_phone_that_answers_is_let_go() {
    let mut world = world();
    let tap = Tap::on(&mut world);
    let token = calls(&mut world);
    world.run_for(Duration::from_millis(1_100));
    let answer = tap.last("10.0.1.1:5060", "SIP/2.0 200");
    throw(
        &mut world,
        "10.0.1.1:5060",
        with_tag(&answer, "To", "second"),
    );
    world.run_for(Duration::from_secs(2));
    assert_eq!(tap.all(SERVER, "ACK", "tag=second").len(), 1);
    assert_eq!(tap.all(SERVER, "BYE", "tag=second").len(), 1);
    assert!(connected(&world, token, AGENT));
    end(world, token);
}

/// Another fork rings and plays before this one answers: nothing of it stays.
#[test]
fn d13_an_early_fork_leaves_nothing_behind() {
    let mut world = world();
    let tap = Tap::on(&mut world);
    let token = calls(&mut world);
    world.run_for(Duration::from_millis(500));
    let ringing = tap.last("10.0.1.1:5060", "SIP/2.0 180");
    let early = with_tag(&ringing, "To", "early");
    throw(
        &mut world,
        "10.0.1.1:5060",
        early.replace("180 Ringing", "183 Session Progress"),
    );
    world.run_for(Duration::from_secs(5));
    assert!(connected(&world, token, AGENT));
    let to_it: Vec<String> = ["ACK", "BYE"]
        .iter()
        .flat_map(|method| tap.all(SERVER, method, "tag=early"))
        .collect();
    assert_eq!(to_it, [""; 0], "it never answered");
    end(world, token);
}

/// The caller wants 180 acknowledged: the 200 waits for that, and a wrong number is none.
#[test]
fn d15_an_answer_waits_for_the_prack() {
    let mut world = world();
    let mut description = String::new();
    world.network.rewrite = Some(Box::new(move |flight| {
        let text = String::from_utf8_lossy(&flight.bytes).into_owned();
        if text.starts_with("INVITE") && flight.from.to_string() == CALLERS {
            let supported = "Require: 100rel\r\nSupported: 100rel\r\n";
            let text = text.replacen("Max-F", &format!("{supported}Max-F"), 1);
            flight.bytes = text.into();
        } else if text.starts_with("SIP/2.0 183") && flight.from.to_string() == SERVER {
            let (_, body) = text.split_once("\r\n\r\n").expect("a description");
            body.clone_into(&mut description);
        } else if text.starts_with("SIP/2.0 200") && text.contains(" INVITE\r\n") {
            // The answer was in the 183; the model of a caller looks for it in the 200.
            let body = format!(
                "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{description}",
                description.len()
            );
            flight.bytes = text.replacen("Content-Length: 0\r\n\r\n", &body, 1).into();
        }
    }));
    let early = Behaviour {
        early_media: true,
        ..Behaviour::answers_after(Duration::from_secs(1))
    };
    world.phone(AGENT).set_behaviour(Some(early));
    let tap = Tap::on(&mut world);
    let token = world.call(CallPlan::to(AGENT).with_offer());
    world.run_for(Duration::from_secs(3));
    let progress = tap.last(SERVER, "SIP/2.0 183");
    let of_invite = |status: &str| tap.all(SERVER, &format!("SIP/2.0 {status}"), "101 INVITE\r\n");
    assert_eq!(of_invite("200").len(), 0, "the 183 is not acknowledged");
    let number: u32 = value(&progress, "RSeq").parse().expect("a number");
    let prack = |number: u32, cseq: u32| {
        let text = about(
            &with(&progress, "Call-ID", &value(&progress, "Call-ID")),
            "PRACK",
            "sip:2000@10.0.0.1:5060",
            &format!("RAck: {number} 101 INVITE\r\n"),
        );
        with_branch(
            &with(&text, "CSeq", &format!("{cseq} PRACK")),
            &format!("p{cseq}"),
        )
    };
    throw(&mut world, CALLERS, prack(number + 7, 102));
    world.run_for(Duration::from_secs(1));
    assert_eq!(tap.all(SERVER, "SIP/2.0 481", "102 PRACK\r\n").len(), 1);
    assert_eq!(of_invite("200").len(), 0);
    throw(&mut world, CALLERS, prack(number, 103));
    world.run_for(Duration::from_secs(2));
    assert_eq!(tap.all(SERVER, "SIP/2.0 200", "103 PRACK\r\n").len(), 1);
    assert!(connected(&world, token, AGENT), "{:?}", told(&world));
    // The caller's own numbers are behind ours by now.
    assert!(world.phone(AGENT).hang_up());
    world.run_for(Duration::from_secs(2));
    world.network.rewrite = None;
    end(world, token);
}

/// The phone offers by UPDATE while the server offers by re-INVITE: each has its turn.
#[test]
fn d16_an_update_crosses_a_re_invite() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    let tap = Tap::on(&mut world);
    assert!(world.phone(AGENT).change(Change::Update));
    act(&mut world, AGENT, main, CallAction::Hold);
    world.run_for(Duration::from_secs(10));
    let refused = ["491", "500"].map(|status| {
        let start = format!("SIP/2.0 {status}");
        tap.all(SERVER, &start, "").len() + tap.all("10.0.1.1:5060", &start, "").len()
    });
    assert!(refused.iter().sum::<usize>() > 0, "{refused:?}");
    assert_eq!(told(&world), ["2000 Held"]);
    assert!(held(&world, token));
    act(&mut world, AGENT, main, CallAction::Retrieve);
    world.run_for(Duration::from_secs(5));
    assert!(connected(&world, token, AGENT));
    end(world, token);
}

/// The caller hangs up in the moment of a refresh, and just before and after it.
#[test]
fn d17_a_refresh_crosses_the_bye() {
    for offset in -2_i64..=2 {
        let mut world = world();
        world.network.rewrite = Some(Box::new(|flight| {
            let text = String::from_utf8_lossy(&flight.bytes);
            if text.starts_with("INVITE") && flight.from.to_string() == CALLERS {
                let refreshed = "90;refresher=uas";
                flight.bytes = with(&text, "Session-Expires", refreshed).into();
            }
        }));
        let (token, _) = talking(&mut world);
        let tap = Tap::on(&mut world);
        // Half of the time since the 200, which came within the first second.
        let is_refreshed = |_: &World| {
            ["UPDATE", "INVITE"]
                .iter()
                .any(|method| !tap.all(SERVER, method, "").is_empty())
        };
        if offset < 0 {
            world.run_for(Duration::from_secs(30));
        } else {
            world.run_until(Duration::from_secs(60), is_refreshed);
            world.run_for(Duration::from_micros(300) * offset.unsigned_abs() as u32);
        }
        let now = world.now;
        world.population.callers.hang_up(now, token);
        world.run_for(Duration::from_secs(3));
        assert_eq!(told(&world), ["2000 Released RemoteRelease"], "{offset}");
        end(world, token);
    }
}

/// The same INVITE comes by another path: nobody is called twice.
#[test]
fn d18_an_invite_by_another_path_is_merged() {
    let mut world = world();
    let tap = Tap::on(&mut world);
    let token = calls(&mut world);
    world.run_for(Duration::from_millis(300));
    let again = with_branch(&tap.last(CALLERS, "INVITE"), "by-another-path");
    throw(&mut world, CALLERS, again);
    world.run_for(Duration::from_secs(5));
    assert!(!tap.all(SERVER, "SIP/2.0 482", "by-another-path").is_empty());
    assert_eq!(world.rang(AGENT), 1);
    assert!(connected(&world, token, AGENT));
    end(world, token);
}

/// An old re-INVITE comes once more, after a newer one: the call stays as the newer one left it.
#[test]
fn d19_an_old_re_invite_changes_nothing() {
    let mut world = world();
    let (token, _) = talking(&mut world);
    let tap = Tap::on(&mut world);
    let phone = "10.0.1.1:5060";
    assert!(world.phone(AGENT).change(Change::Hold));
    world.run_for(Duration::from_secs(2));
    let hold = tap.last(phone, "INVITE");
    assert!(world.phone(AGENT).change(Change::Resume));
    world.run_for(Duration::from_secs(2));
    assert!(connected(&world, token, AGENT));
    throw(&mut world, phone, with_branch(&hold, "late"));
    world.run_for(Duration::from_secs(2));
    assert!(!tap.all(SERVER, "SIP/2.0 500", "z9hG4bKlate").is_empty());
    assert!(connected(&world, token, AGENT));
    end(world, token);
}

/// UCM of old forgets our tag in its NOTIFYs: the agents are followed all the same.
#[test]
fn d20_notifies_without_our_tag_are_followed() {
    let mut world = World::new(Setup::calm(2));
    world.network.rewrite = Some(Box::new(|flight| {
        let text = String::from_utf8_lossy(&flight.bytes);
        if text.starts_with("NOTIFY") {
            let to = value(&text, "To");
            let party = to.split(";tag=").next().unwrap_or_default().to_owned();
            flight.bytes = with(&text, "To", &party).into();
        }
    }));
    world.run_until_ready();
    assert!(world.phone(AGENT).begin_private_call());
    world.run_for(Duration::from_secs(1));
    assert!(!world.journal.is_ready(AGENT) && world.journal.is_ready(OTHER));
    assert!(world.phone(AGENT).end_private_call());
    world.run_for(Duration::from_secs(1));
    assert!(world.journal.is_ready(AGENT));
    world.finish();
}

/// The phone's answer to our BYE comes when we have given up waiting for it, and once more.
#[test]
fn d21_an_answer_after_the_timeout_ends_nothing_twice() {
    let mut world = world();
    let (token, _) = talking(&mut world);
    let _tap = Tap::with(&mut world, |text| {
        match text.starts_with("SIP/2.0 200") && text.contains(" BYE\r\n") && text.contains("o000")
        {
            true => Fate::Late(Duration::from_millis(32_100)),
            false => Fate::Usual,
        }
    });
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(70));
    assert_eq!(told(&world), ["2000 Released RemoteRelease"]);
    let again = world.call(CallPlan::to(AGENT));
    world.run_for(Duration::from_secs(5));
    assert!(connected(&world, again, AGENT));
    end(world, again);
}

/// Two INVITEs with one Call-ID and two From tags are two calls: each has its own answer.
#[test]
fn d22_one_call_id_and_two_from_tags_are_two_calls() {
    let mut world = world();
    let tap = Tap::on(&mut world);
    let token = calls(&mut world);
    world.run_for(Duration::from_millis(300));
    let second = with_tag(&tap.last(CALLERS, "INVITE"), "From", "second");
    let second = with_branch(&second, "second");
    throw(
        &mut world,
        CALLERS,
        second.replace("sip:2000@", "sip:9999@"),
    );
    world.run_for(Duration::from_millis(300));
    let refusal = tap.last(SERVER, "SIP/2.0 404");
    assert!(value(&refusal, "From").ends_with(";tag=second"));
    let ack = about(&refusal, "ACK", "sip:9999@10.0.0.1:5060", "");
    throw(&mut world, CALLERS, ack);
    world.run_for(Duration::from_secs(2));
    assert!(connected(&world, token, AGENT));
    end(world, token);
}

/// The phone answers in the very moment in which it is given up, on two shards that tell each other
/// later: one of the two happens, and nobody waits for the other.
#[test]
fn d23_a_timer_fires_while_the_answer_comes() {
    for offset in 0..8 {
        let more = "[agent_defaults]\nno_answer = 3\n";
        let mut world = world_on(2, offset, "outbound = true\n", more);
        // The call goes to whoever has been idle longest, and then to the others.
        for dn in [AGENT, OTHER, "2002"] {
            let after = Duration::from_micros(2_998_000 + 500 * offset);
            world
                .phone(dn)
                .set_behaviour(Some(Behaviour::answers_after(after)));
        }
        let token = world.call(CallPlan::to("7000"));
        world.run_for(Duration::from_secs(15));
        for dn in [AGENT, OTHER, "2002"] {
            world.phone(dn).set_behaviour(None);
        }
        world.run_for(Duration::from_secs(20));
        let rings = told(&world);
        let answers = rings.iter().filter(|told| told.contains("Established"));
        assert!(answers.count() <= 1, "{rings:?}");
        end(world, token);
    }
}

/// The caller's connection closes while the phone rings: the answer takes another one.
#[test]
fn d24_the_connection_closes_while_the_phone_rings() {
    let mut world = world();
    let callers = CALLERS.parse().expect("an address");
    world.cluster.connect(callers);
    world.network.rewrite = Some(Box::new(move |flight| {
        if flight.from == callers {
            let text = String::from_utf8_lossy(&flight.bytes);
            flight.bytes = text.replacen("SIP/2.0/UDP", "SIP/2.0/TCP", 1).into();
        }
    }));
    let token = calls(&mut world);
    world.run_for(Duration::from_millis(300));
    let now = world.now;
    world.cluster.close(now, callers);
    world.cluster.connect(callers);
    world.run_for(Duration::from_secs(3));
    assert!(connected(&world, token, AGENT));
    assert_eq!(world.rang(AGENT), 1);
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(2));
    let ended = Some(Outcome::Answered(EndedBy::Us));
    assert_eq!(outcome(&world, token), ended);
    end(world, token);
}

/// A phone sends its calls on to itself, for ever.
#[test]
fn d26_a_phone_that_redirects_to_itself_is_called_once() {
    let mut world = world();
    world
        .phone(AGENT)
        .set_behaviour(Some(Behaviour::refuses(Status(302))));
    let tap = Tap::on(&mut world);
    let token = world.call(CallPlan::to(AGENT));
    world.run_for(Duration::from_secs(10));
    assert_eq!(tap.all(SERVER, "INVITE sip:2000@", "").len(), 1);
    assert!(matches!(outcome(&world, token), Some(Outcome::Refused(_))));
    end(world, token);
}

/// One node is overloaded and says for how long: calls take the other one, and it gets none.
#[test]
fn d27_a_node_that_says_retry_after_is_left_alone() {
    let mut world = World::new(Setup {
        nodes: 2,
        ..Setup::calm(1)
    });
    world.run_until_ready();
    let node = "10.0.1.1:5060";
    let tap = Tap::with(&mut world, move |text| {
        match text.starts_with("INVITE") && text.contains("@10.0.1.1 SIP/2.0") {
            true => Fate::Lost,
            false => Fate::Usual,
        }
    });
    let to_it = |tap: &Tap| tap.all(SERVER, "INVITE sip:2000@10.0.1.1", "");
    let mut refused = 0;
    for turn in 0..6 {
        let token = world.call(CallPlan::to(AGENT));
        world.run_for(Duration::from_millis(50));
        if let (Some(invite), 0) = (to_it(&tap).pop(), refused) {
            refused += 1;
            let refusal = about(&invite, "INVITE", "", "Retry-After: 30\r\n");
            let refusal = refusal.replacen("INVITE  SIP/2.0", "SIP/2.0 503 Overload", 1);
            let to = value(&refusal, "To");
            throw(
                &mut world,
                node,
                with(&refusal, "To", &format!("{to};tag=full")),
            );
        }
        world.run_for(Duration::from_secs(2));
        assert!(connected(&world, token, AGENT), "{turn}");
        let now = world.now;
        world.population.callers.hang_up(now, token);
        world.run_for(Duration::from_secs(1));
    }
    assert_eq!(refused, 1, "calls go to both in turn");
    assert_eq!(to_it(&tap).len(), 1);
    world.network.rule = None;
    world.finish();
}

/// A PBX falls silent under thirty calls that ring, and returns: that is one outage, after which
/// everybody is served once.
#[test]
fn d28_thirty_calls_that_fail_at_once_are_one_outage() {
    let mut world = World::new(Setup::calm(30));
    world.run_until_ready();
    let slow = Behaviour {
        then: Answering::After(Duration::from_secs(3)),
        ..Behaviour::rings()
    };
    for dn in 2_000..2_030 {
        world.phone(&dn.to_string()).set_behaviour(Some(slow));
    }
    world.connect_node(0, false);
    let plan = CallPlan {
        expires: None,
        ..CallPlan::to("7000").talks_for(Duration::from_secs(60))
    };
    let tokens: Vec<Token> = (0..30).map(|_| world.call(plan.clone())).collect();
    world.run_for(Duration::from_secs(45));
    assert_eq!(world.journal.names("ucm"), [EventName::DNOutOfService]);
    world.connect_node(0, true);
    world.run_for(Duration::from_secs(120));
    let names = world.journal.names("ucm");
    assert_eq!(
        names,
        [EventName::DNOutOfService, EventName::DNBackInService]
    );
    for token in tokens {
        assert!(matches!(
            outcome(&world, token),
            Some(Outcome::Answered(EndedBy::Us))
        ));
    }
    world.finish();
}
