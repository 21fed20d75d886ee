//! Races between the parties of a whole call, each by its row of docs/TESTING.md: single datagrams
//! are lost or late, the rest of the network is calm. What the user agent makes of each race, by
//! the sections of RFC 5407, is in `tests/rfc/rfc5407.rs`.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use offhook::cti::{CallAction, EventName, KeyValueList};
use offhook::sip::Status;
use offhook_loadgen::population::{
    Activity, Behaviour, CallPlan, Change, EndedBy, Fact, Habits, Outcome, Reception, Token,
};

use super::calls::outcome;
use super::control::{act, conn_of, connected, talking, told, world, world_on, world_with};
use super::network::{Fate, Flight};
use super::world::{Setup, World};

const AGENT: &str = "2000";
const OTHER: &str = "2001";

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Decides about datagrams by their start line and CSeq method.
fn rule(world: &mut World, mut fate: impl FnMut(&str, &str, &Flight) -> Fate + 'static) {
    world.network.rule = Some(Box::new(move |flight| {
        let text = String::from_utf8_lossy(&flight.bytes);
        let start = text.lines().next().unwrap_or_default();
        let number = text.lines().find(|line| line.starts_with("CSeq:"));
        let method = number.unwrap_or_default().rsplit(' ').next();
        fate(start, method.unwrap_or_default(), flight)
    }));
}

/// A call to the agent's own number, whose phone answers a second later.
fn calls(world: &mut World) -> Token {
    let answers = Behaviour::answers_after(Duration::from_secs(1));
    world.phone(AGENT).set_behaviour(Some(answers));
    world.call(CallPlan::to(AGENT))
}

/// From one of the phones, not from a caller.
fn is_phones(flight: &Flight) -> bool {
    flight.from.port() == 5060 && flight.to.port() == 5060
}

fn activity(world: &World, dn: &str) -> Activity {
    world
        .population
        .pbx
        .phone_view(dn)
        .expect("a phone")
        .activity
}

fn finish(world: &mut World) {
    world.network.rule = None;
    world.run_for(Duration::from_secs(5));
    assert_eq!(activity(world, AGENT), Activity::Idle);
    world.finish();
}

/// The caller gives up while the phone's 200 is on its way: the phone is acknowledged and let go.
#[test]
fn d1_a_cancel_crosses_the_200_of_the_phone() {
    let mut world = world();
    let token = calls(&mut world);
    rule(&mut world, |start, method, flight| {
        let is_answer = start.contains(" 200 ") && method == "INVITE";
        match is_answer && flight.from.port() == 5060 {
            true => Fate::Late(milliseconds(300)),
            false => Fate::Usual,
        }
    });
    world.run_for(milliseconds(1_100));
    assert!(matches!(activity(&world, AGENT), Activity::Talking(_)));
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.run_for(Duration::from_secs(2));
    assert_eq!(outcome(&world, token), Some(Outcome::Abandoned));
    finish(&mut world);
}

/// The phone's PBX says 100 late: the CANCEL waits for it.
#[test]
fn d2_a_cancel_waits_for_the_first_response() {
    let mut world = world();
    let token = calls(&mut world);
    let cancelled = Rc::new(Cell::new(0));
    let count = Rc::clone(&cancelled);
    rule(&mut world, move |start, method, flight| {
        if start.starts_with("CANCEL") && flight.to.port() == 5060 {
            count.set(count.get() + u32::from(is_phones(flight)));
        }
        let is_provisional = start.contains(" 100 ") || start.contains(" 180 ");
        match is_provisional && method == "INVITE" && is_phones(flight) {
            true => Fate::Late(milliseconds(700)),
            false => Fate::Usual,
        }
    });
    world.run_for(milliseconds(100));
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.run_for(milliseconds(400));
    assert_eq!(cancelled.get(), 0, "nothing has come back yet");
    world.run_for(Duration::from_secs(2));
    assert_eq!(cancelled.get(), 1);
    assert_eq!(outcome(&world, token), Some(Outcome::Abandoned));
    finish(&mut world);
}

/// No CANCEL has arrived, and the INVITE is given up when the phone is picked up: nobody is there,
/// and it hears so at once.
#[test]
fn d2_phone_that_answers_what_was_given_up_is_hung_up_at_once() {
    for early in [false, true] {
        let mut world = world();
        world.phone(AGENT).set_behaviour(Some(Behaviour::rings()));
        rule(&mut world, cancels_are_lost);
        let plan = CallPlan::to(AGENT);
        let token = world.call(if early { plan.with_offer() } else { plan });
        world.run_for(milliseconds(200));
        let now = world.now;
        world.population.callers.give_up(now, token);
        world.run_for(Duration::from_secs(60));
        assert_eq!(activity(&world, AGENT), Activity::Ringing(Some(token)));
        assert!(world.phone(AGENT).answer());
        world.run_for(milliseconds(200));
        assert_eq!(activity(&world, AGENT), Activity::Idle);
        finish(&mut world);
    }
}

/// The same where nobody picks it up.
#[test]
fn d2_phone_that_hears_of_no_cancel_stops_ringing_by_itself() {
    let mut world = world();
    let habits = Habits {
        no_answer: 1.0,
        ..Habits::default()
    };
    world.phone(AGENT).set_habits(Arc::new(habits));
    rule(&mut world, cancels_are_lost);
    let token = world.call(CallPlan::to(AGENT));
    world.run_for(milliseconds(200));
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.run_for(Duration::from_secs(170));
    assert_eq!(activity(&world, AGENT), Activity::Ringing(Some(token)));
    world.run_for(Duration::from_secs(15));
    assert_eq!(activity(&world, AGENT), Activity::Idle);
    finish(&mut world);
}

fn cancels_are_lost(start: &str, _: &str, flight: &Flight) -> Fate {
    match start.starts_with("CANCEL") && is_phones(flight) {
        true => Fate::Lost,
        false => Fate::Usual,
    }
}

/// A PBX whose 487 never comes keeps neither the caller nor the agent for longer than 64·T1.
#[test]
fn d3_the_487_of_the_phone_never_comes() {
    let mut world = world();
    let token = calls(&mut world);
    rule(&mut world, |start, _, flight| {
        match start.contains(" 487 ") && is_phones(flight) {
            true => Fate::Lost,
            false => Fate::Usual,
        }
    });
    world.run_for(milliseconds(200));
    let now = world.now;
    world.population.callers.give_up(now, token);
    world.run_for(Duration::from_secs(40));
    assert_eq!(outcome(&world, token), Some(Outcome::Abandoned));
    let legs: usize = world
        .cluster
        .engines
        .iter()
        .map(|engine| engine.user_agent().legs())
        .sum();
    assert_eq!(legs, 0);
    finish(&mut world);
}

/// Every refusal is acknowledged, that of a cancelled INVITE too: nobody repeats it.
#[test]
fn d4_the_487_of_the_phone_is_acknowledged() {
    let mut world = world();
    let token = calls(&mut world);
    world.run_for(milliseconds(200));
    let (now, before) = (world.now, world.population.pbx.wire(0).resent);
    world.population.callers.give_up(now, token);
    world.run_for(Duration::from_secs(40));
    assert_eq!(world.population.pbx.wire(0).resent, before);
    finish(&mut world);
}

/// Three copies of the phone's 200 and two of the ACKs are lost: it costs time and no call.
#[test]
fn d6_lost_200s_and_lost_acks_cost_time_only() {
    let mut world = world();
    let token = calls(&mut world);
    let (mut answers, mut acks) = (0, 0);
    rule(&mut world, move |start, method, flight| {
        if start.contains(" 200 ") && method == "INVITE" && is_phones(flight) {
            answers += 1;
            return if answers <= 3 {
                Fate::Lost
            } else {
                Fate::Usual
            };
        }
        if method == "ACK" && is_phones(flight) {
            acks += 1;
            return if acks <= 2 { Fate::Lost } else { Fate::Usual };
        }
        Fate::Usual
    });
    world.run_for(Duration::from_secs(20));
    assert!(connected(&world, token, AGENT));
    let now = world.now;
    world.population.callers.hang_up(now, token);
    finish(&mut world);
}

/// Nobody acknowledges the caller's 200: the call ends after 64·T1, at the phone too.
#[test]
fn d6_an_ack_that_never_comes_ends_the_call() {
    let mut world = world();
    let token = calls(&mut world);
    rule(&mut world, |_, method, flight| {
        match method == "ACK" && flight.from.port() == 5080 {
            true => Fate::Lost,
            false => Fate::Usual,
        }
    });
    world.run_for(Duration::from_secs(40));
    let ended = Some(Outcome::Answered(EndedBy::Server));
    assert_eq!(outcome(&world, token), ended);
    finish(&mut world);
}

/// The ACK of a caller without an offer comes after more than 24 s, when the phone, whose own 200
/// cannot wait so long, has been acknowledged without media. The phone gets the caller's media by
/// a re-INVITE then; if it refuses that, the caller goes back to its queue and to another agent.
#[test]
fn d6_an_ack_after_24_s_costs_nobody_the_call() {
    for does_refuse in [false, true] {
        let mut world = world();
        let token = world.call(CallPlan {
            expires: None,
            ..CallPlan::to("7000")
        });
        world.network.rule = Some(Box::new(move |flight| {
            let is_callers = flight.bytes.starts_with(b"ACK") && flight.from.port() == 5080;
            match is_callers {
                true => Fate::Lost,
                false => Fate::Usual,
            }
        }));
        world.run_for(Duration::from_secs(26));
        let answered = |event: &&offhook::cti::Event| event.name == EventName::Established;
        let first = world.journal.events.iter().find(answered);
        let first = first.expect("somebody answers").this_dn.clone();
        if does_refuse {
            let refusal = Reception::Refuse(Status::NOT_ACCEPTABLE_HERE);
            world.phone(&first).set_reception(refusal);
        }
        world.network.rule = None;
        world.run_for(Duration::from_secs(20));
        assert_eq!(connected(&world, token, &first), !does_refuse);
        let others = ["2000", "2001", "2002"];
        let mut others = others.iter().filter(|dn| **dn != first);
        assert_eq!(others.any(|dn| connected(&world, token, dn)), does_refuse);
        let now = world.now;
        world.population.callers.hang_up(now, token);
        finish(&mut world);
    }
}

/// The phone's 200 is heard when it has been said for 24 s already, and the ACK of a caller without
/// an offer does not come: the phone, which will wait no longer, is acknowledged without media.
#[test]
fn d6_a_200_that_is_heard_late_is_acknowledged_before_it_is_given_up() {
    let patient = "[agent_defaults]\nno_answer = 60\n";
    let mut world = world_with("outbound = true\n", patient);
    let token = calls(&mut world);
    let mut answers = 0;
    rule(&mut world, move |start, method, flight| {
        let is_answer = start.contains(" 200 ") && method == "INVITE" && is_phones(flight);
        answers += u32::from(is_answer);
        let is_ack = method == "ACK" && flight.from.port() == 5080;
        // The ninth of ten copies is said after 23.5 s.
        match is_answer && answers <= 8 || is_ack {
            true => Fate::Lost,
            false => Fate::Usual,
        }
    });
    // The phone reports a 200 that is never acknowledged, after 33 s here.
    world.run_for(Duration::from_secs(36));
    assert_eq!(activity(&world, AGENT), Activity::Talking(Some(token)));
    world.network.rule = None;
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, AGENT));
    let now = world.now;
    world.population.callers.hang_up(now, token);
    finish(&mut world);
}

/// Somebody is added to a call whose caller is out of reach, and has answered: until it is known
/// what becomes of the call it is acknowledged without media, also where its 200 is heard no more
/// after the first few seconds.
#[test]
fn d6_an_added_party_is_acknowledged_although_nobody_can_be_connected_yet() {
    for heard in [u32::MAX, 4] {
        added_while_the_caller_is_out_of_reach(heard);
    }
}

/// As many copies of the 200 of whoever is added are heard.
fn added_while_the_caller_is_out_of_reach(heard: u32) {
    let mut world = World::new(Setup {
        server: "mixer = \"sip:10.0.2.1:5060\"".to_owned(),
        ..Setup::calm(3)
    });
    world.run_until_ready();
    let token = calls(&mut world);
    let mut said = 0;
    let acknowledged = Rc::new(Cell::new(false));
    let noted = Rc::clone(&acknowledged);
    rule(&mut world, move |start, method, flight| {
        let is_answer = start.contains(" 200 ") && method == "INVITE" && is_phones(flight);
        let text = String::from_utf8_lossy(&flight.bytes);
        let is_added = is_answer && text.contains(&format!("<sip:{OTHER}@"));
        said += u32::from(is_added);
        let is_its = start.starts_with(&format!("ACK sip:{OTHER}@"));
        noted.set(noted.get() || is_its);
        let is_ack = method == "ACK" && flight.from.port() == 5080;
        match is_ack || is_added && said > heard {
            true => Fate::Lost,
            false => Fate::Usual,
        }
    });
    world.run_for(milliseconds(1_500));
    let main = conn_of(&world, AGENT, EventName::Established);
    let action = CallAction::SingleStepConference {
        destination: OTHER.to_owned(),
        user_data: KeyValueList::new(),
    };
    act(&mut world, AGENT, main, action);
    act(&mut world, AGENT, main, CallAction::Release);
    world.run_for(Duration::from_secs(20));
    assert!(matches!(activity(&world, OTHER), Activity::Talking(_)));
    assert!(acknowledged.get(), "{heard}");
    world.network.rule = None;
    // A phone reports a 200 that is never acknowledged.
    world.run_for(Duration::from_secs(20));
    assert!(matches!(activity(&world, OTHER), Activity::Talking(_)));
    let now = world.now;
    world.population.callers.hang_up(now, token);
    finish(&mut world);
}

/// The caller's BYE overtakes its ACK.
#[test]
fn d7_a_bye_overtakes_the_ack() {
    let mut world = world();
    let token = calls(&mut world);
    rule(&mut world, |_, method, flight| {
        match method == "ACK" && flight.from.port() == 5080 {
            true => Fate::Late(milliseconds(200)),
            false => Fate::Usual,
        }
    });
    world.run_for(milliseconds(1_050));
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(2));
    let ended = Some(Outcome::Answered(EndedBy::Us));
    assert_eq!(outcome(&world, token), ended);
    finish(&mut world);
}

/// Caller and phone hang up at once: each BYE is answered, and the call has ended once.
#[test]
fn d9_byes_of_both_sides_cross() {
    let mut world = world();
    let (token, _) = talking(&mut world);
    let now = world.now;
    world.population.callers.hang_up(now, token);
    assert!(world.phone(AGENT).hang_up());
    world.run_for(Duration::from_secs(2));
    assert_eq!(told(&world).len(), 1, "{:?}", told(&world));
    finish(&mut world);
}

/// A glare on the phone's leg is settled there: the caller hears of no 491.
#[test]
fn d10_a_glare_on_one_leg_stays_on_it() {
    let mut world = world();
    let (token, main) = talking(&mut world);
    let seen = Rc::new(Cell::new([0_u32; 2]));
    let count = Rc::clone(&seen);
    rule(&mut world, move |start, _, flight| {
        if start.contains(" 491 ") {
            let mut seen = count.get();
            seen[usize::from(flight.to.port() == 5080)] += 1;
            count.set(seen);
        }
        Fate::Usual
    });
    assert!(world.phone(AGENT).change(Change::Refresh));
    act(&mut world, AGENT, main, CallAction::Hold);
    world.run_for(Duration::from_secs(10));
    let [on_the_leg, at_the_caller] = seen.get();
    assert!(on_the_leg >= 1 && at_the_caller == 0, "{:?}", seen.get());
    assert_eq!(told(&world), ["2000 Held"]);
    let changed = world.count(|fact| matches!(fact, Fact::Changed { .. }));
    assert_eq!(changed, 1, "the phone has had its refresh");
    let now = world.now;
    world.population.callers.hang_up(now, token);
    finish(&mut world);
}

/// The phone changes the call while the caller hangs up: nothing raises it again.
#[test]
fn d11_a_re_invite_crosses_the_bye() {
    for change in [Change::Hold, Change::HoldByUpdate] {
        let mut world = world();
        let (token, _) = talking(&mut world);
        assert!(world.phone(AGENT).change(change));
        let now = world.now;
        world.population.callers.hang_up(now, token);
        world.run_for(Duration::from_secs(5));
        assert_eq!(told(&world), ["2000 Released RemoteRelease"], "{change:?}");
        finish(&mut world);
    }
}

/// The phone transfers while the caller hangs up: nobody is called for nobody.
#[test]
fn d11_a_refer_crosses_the_bye() {
    let mut world = super::control::world_with("outbound = true\nrefer = true\n", "");
    let (token, _) = talking(&mut world);
    assert!(world.phone(AGENT).refer(OTHER));
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(5));
    assert_eq!(activity(&world, OTHER), Activity::Idle);
    finish(&mut world);
}

/// The phone's 180 comes after its 200.
#[test]
fn d14_a_180_after_the_200_is_nothing() {
    let mut world = world();
    let token = calls(&mut world);
    rule(&mut world, |start, method, flight| {
        match start.contains(" 180 ") && method == "INVITE" && is_phones(flight) {
            true => Fate::Late(Duration::from_secs(2)),
            false => Fate::Usual,
        }
    });
    world.run_for(Duration::from_secs(6));
    assert!(connected(&world, token, AGENT));
    assert_eq!(told(&world), ["2000 Ringing", "2000 Established"]);
    conn_of(&world, AGENT, EventName::Ringing);
    let now = world.now;
    world.population.callers.hang_up(now, token);
    finish(&mut world);
}

/// What is reported about the phone's transfer comes after its BYE: the transfer goes on.
#[test]
fn d25_a_notify_after_the_bye_ends_nothing_else() {
    let mut world = super::control::world_with("outbound = true\nrefer = true\n", "");
    let (token, _) = talking(&mut world);
    rule(&mut world, |_, method, flight| {
        match method == "NOTIFY" && flight.from.ip().to_string() == "10.0.0.1" {
            true => Fate::Late(milliseconds(500)),
            false => Fate::Usual,
        }
    });
    assert!(world.phone(AGENT).refer(OTHER));
    world.run_for(Duration::from_secs(10));
    assert!(connected(&world, token, OTHER), "{:?}", told(&world));
    let now = world.now;
    world.population.callers.hang_up(now, token);
    finish(&mut world);
}

/// A request goes by way of the agent's shard to that of the call, which ends meanwhile: it is
/// answered all the same, as every world sees to at its end.
#[test]
fn a_request_that_crosses_the_end_of_its_call_is_answered() {
    for seed in 1..=4 {
        for after in (0..1_000).step_by(50) {
            let mut world = world_on(4, seed, "", "");
            let (token, conn_id) = talking(&mut world);
            act(&mut world, AGENT, conn_id, CallAction::Hold);
            let now = world.now;
            world.population.callers.hang_up(now, token);
            world.run_for(Duration::from_micros(after));
            act(&mut world, AGENT, conn_id, CallAction::Retrieve);
            world.finish();
        }
    }
}
