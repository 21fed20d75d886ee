//! The process is killed and started again, with what it has written down: calls that are up go on,
//! agents are as they were, and nothing is told twice.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use offhook::counters::Counter;
use offhook::cti::{
    AgentWorkMode, CallAction, CallRequest, ClientId, DesktopRequest, Event, EventName,
    KeyValueList, Request, RequestBody, RequestedBy,
};
use offhook::journal::{Image, Key};
use offhook_loadgen::population::{CallPlan, EndedBy, Fault, Outcome};

use super::calls::outcome;
use super::control;
use super::network::Fate;
use super::profile::Profile;
use super::world::{Setup, World, callers_address, node_address};

const AGENT: &str = "2000";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn crash(world: &mut World) {
    world.run_for(Duration::ZERO);
    world
        .network
        .remark(world.now, "the server is killed".into());
    world.cluster.kill(world.now);
    world.cluster.start_again(world.now);
}

pub fn told(world: &World, name: EventName, dn: &str) -> usize {
    let is_it = |event: &&Event| event.name == name && event.this_dn == dn;
    world.journal.events.iter().filter(is_it).count()
}

#[test]
fn caller_hangs_up_after_a_crash_and_the_agent_is_released_once() {
    for early in [false, true] {
        let mut world = World::new(Setup::calm(2));
        world.run_until_ready();
        let plan = CallPlan::to("7000").talks_for(seconds(20));
        let token = world.call(if early { plan.with_offer() } else { plan });
        world.run_for(seconds(10));
        crash(&mut world);
        world.run_for(seconds(30));
        assert_eq!(outcome(&world, token), Some(Outcome::Answered(EndedBy::Us)));
        let told: Vec<_> = world.journal.names(AGENT)[2..].to_vec();
        let of_one_call = [
            EventName::Ringing,
            EventName::OffHook,
            EventName::Established,
            EventName::Released,
            EventName::OnHook,
        ];
        assert_eq!(told, of_one_call);
        world.finish();
    }
}

#[test]
fn agent_hangs_up_after_a_crash_and_the_caller_hears_it() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    let token = world.call(CallPlan::to("7000"));
    world.run_for(seconds(10));
    crash(&mut world);
    world.run_for(seconds(5));
    assert!(world.phone(AGENT).hang_up());
    world.run_for(seconds(5));
    let ended = Some(Outcome::Answered(EndedBy::Server));
    assert_eq!(outcome(&world, token), ended);
    assert_eq!(told(&world, EventName::Released, AGENT), 1);
    assert_eq!(told(&world, EventName::Established, AGENT), 1);
    world.finish();
}

/// The phone hears no BYE until the process has been killed twice: each has a number of its own.
#[test]
fn bye_of_a_process_that_was_killed_twice_is_numbered_upwards() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    world.call(CallPlan::to("7000").talks_for(seconds(10)));
    world.network.rule = Some(Box::new(|flight| {
        let is_bye = flight.bytes.starts_with(b"BYE ") && flight.to == node_address(0);
        if is_bye { Fate::Lost } else { Fate::Usual }
    }));
    world.run_for(seconds(20));
    for _ in 0..2 {
        crash(&mut world);
        world.run_for(seconds(2));
    }
    world.network.rule = None;
    world.run_for(seconds(5));
    assert!(!world.phone(AGENT).hang_up(), "it has no call");
    world.finish();
}

#[test]
fn phone_that_hung_up_while_nobody_was_there_gives_its_caller_back() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    let token = world.call(CallPlan::to("7000"));
    world.run_for(seconds(10));
    world.cluster.kill(world.now);
    // Its PBX gives up saying so after 64*T1.
    assert!(world.phone(AGENT).hang_up());
    world
        .excused
        .extend([Fault::ByeUnanswered, Fault::NotifyUnanswered]);
    world.excused.push(Fault::LeftBehind);
    world.run_for(seconds(60));
    world.cluster.start_again(world.now);
    world.run_for(seconds(70));
    // It was asked, and has no such call: the caller went back to the queue.
    assert_eq!(told(&world, EventName::Released, AGENT), 1);
    assert_eq!(told(&world, EventName::Queued, "7000"), 2);
    assert!(control::connected(&world, token, AGENT));
}

#[test]
fn desktop_does_with_a_call_after_a_crash_what_it_did_before() {
    let mut world = control::world();
    let (token, conn_id) = control::talking(&mut world);
    control::act(&mut world, AGENT, conn_id, CallAction::Hold);
    world.run_for(seconds(2));
    assert!(control::held(&world, token));
    crash(&mut world);
    world.run_for(seconds(2));
    control::act(&mut world, AGENT, conn_id, CallAction::Retrieve);
    world.run_for(seconds(2));
    assert!(control::connected(&world, token, AGENT));
    for name in [EventName::Held, EventName::Retrieved] {
        assert_eq!(told(&world, name, AGENT), 1, "{name:?}");
    }
    assert!(world.phone(AGENT).hang_up());
    world.finish();
}

#[test]
fn agents_are_as_they_were_and_hear_the_pbx_again() {
    let mut world = World::new(Setup::calm(3));
    world.run_until_ready();
    world.ask(
        AGENT,
        DesktopRequest::NotReady {
            work_mode: AgentWorkMode::AuxWork,
            wrap_up: None,
            reasons: KeyValueList::new().with_text("ReasonCode", "lunch"),
        },
    );
    world.run_for(seconds(1));
    let events = world.journal.events.len();
    crash(&mut world);
    world.run_for(Duration::from_millis(1));
    let known: Vec<_> = world
        .journal
        .known
        .iter()
        .map(|it| (it.name, &*it.this_dn))
        .collect();
    assert!(
        known.contains(&(EventName::AgentNotReady, AGENT)),
        "{known:?}"
    );
    assert!(
        known.contains(&(EventName::AgentReady, "2001")),
        "{known:?}"
    );
    world.run_for(seconds(60));
    assert_eq!(world.journal.events.len(), events, "nothing has changed");
    // A phone that goes into use is seen: there is a subscription again.
    world.phone("2001").begin_private_call();
    world.run_for(seconds(1));
    assert!(!world.journal.is_ready("2001"));
    world.phone("2001").end_private_call();
    world.run_for(seconds(1));
    // The break lasts although the phone is idle.
    assert!(!world.journal.is_ready(AGENT));
    let token = world.call(CallPlan::to("7000").talks_for(seconds(2)));
    world.run_for(seconds(20));
    assert_eq!(outcome(&world, token), Some(Outcome::Answered(EndedBy::Us)));
    assert_eq!(world.rang(AGENT), 0);
    world.ask(
        AGENT,
        DesktopRequest::Ready {
            work_mode: AgentWorkMode::ManualIn,
            reasons: KeyValueList::new(),
        },
    );
    world.run_for(seconds(1));
    assert!(world.journal.is_ready(AGENT));
    world.finish();
}

/// Sessions of 90 s, half of which have passed, and their far ends wait for 60.
#[test]
fn sessions_that_are_ours_to_refresh_are_refreshed_after_a_crash_before_they_run_out() {
    let mut world = World::new(Setup {
        profile: Profile::PbxRestart,
        trunk: "session_expires = 90".to_owned(),
        ..Setup::calm(1)
    });
    world.run_until_ready();
    let token = world.call(CallPlan::to("7000"));
    world.run_until(seconds(20), |world| {
        told(world, EventName::Established, AGENT) == 1
    });
    world.run_for(seconds(40));
    world.cluster.kill(world.now);
    world.run_for(seconds(15));
    let refreshed = Rc::new(RefCell::new([0, 0]));
    let counts = Rc::clone(&refreshed);
    world.network.rule = Some(Box::new(move |flight| {
        if flight.bytes.starts_with(b"UPDATE ") || flight.bytes.starts_with(b"INVITE ") {
            counts.borrow_mut()[usize::from(flight.to == callers_address())] += 1;
        }
        Fate::Usual
    }));
    world.cluster.start_again(world.now);
    world.run_for(seconds(4));
    assert_eq!(*refreshed.borrow(), [1, 1], "the phone's, and the caller's");
    world.run_for(seconds(600));
    assert!(control::connected(&world, token, AGENT));
    assert!(world.phone(AGENT).hang_up());
    world.finish();
}

fn talking(plan: &CallPlan) -> World {
    let mut world = World::new(Setup {
        shards: 1,
        ..Setup::calm(1)
    });
    world.run_until_ready();
    world.call(plan.clone());
    world
}

/// How long after such a call began its conversation was written down, each time since its agent
/// has the caller.
fn moments(plan: &CallPlan) -> Vec<Duration> {
    let mut world = talking(plan);
    let begin = world.now;
    let (mut written, mut last) = (Vec::new(), Vec::new());
    while world.now < begin + seconds(30) {
        world.run_for(Duration::from_millis(1));
        let calls = world.cluster.image.iter();
        let calls = calls.filter(|(key, _)| matches!(key, Key::Call(_)));
        let calls: Vec<_> = calls.map(|(_, value)| value.clone()).collect();
        if last != calls && told(&world, EventName::Established, AGENT) > 0 {
            written.push(world.now - begin);
        }
        last = calls;
    }
    written
}

/// What follows from a record waits until the disk has it: whoever is killed in between knows what
/// nobody has heard.
#[test]
fn killed_between_the_record_and_the_word_it_says_the_word_in_the_next_process() {
    for early in [false, true] {
        let plan = CallPlan::to("7000").talks_for(seconds(60));
        let plan = if early { plan.with_offer() } else { plan };
        let mut moments = moments(&plan);
        if !early {
            // Before the ACK, which brings the answer, the phone has heard of nobody.
            moments.remove(0);
        }
        assert!(!moments.is_empty());
        for (moment, waits) in moments
            .iter()
            .flat_map(|at| [(*at, 1), (*at, 100), (*at, 399)])
        {
            let mut world = talking(&plan);
            let token = world.tokens()[0];
            world.run_for(moment - Duration::from_millis(1));
            world.cluster.is_shut = true;
            world.run_for(Duration::from_millis(waits));
            world.cluster.kill(world.now);
            world.cluster.start_again(world.now);
            world.run_for(seconds(45));
            assert!(
                control::connected(&world, token, AGENT),
                "{moment:?}, {waits} ms"
            );
            world.run_for(seconds(60));
            assert_eq!(outcome(&world, token), Some(Outcome::Answered(EndedBy::Us)));
            world.finish();
        }
    }
}

#[test]
fn ack_that_was_lost_before_a_crash_is_sent_when_the_phone_asks_for_it() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    let callers = callers_address();
    world.network.rule = Some(Box::new(move |flight| {
        match flight.bytes.starts_with(b"ACK ") && flight.from != callers {
            true => Fate::Lost,
            false => Fate::Usual,
        }
    }));
    let token = world.call(CallPlan::to("7000").talks_for(seconds(60)));
    world.run_until(seconds(20), |world| {
        told(world, EventName::Established, AGENT) == 1
    });
    world.run_for(seconds(2));
    world.network.rule = None;
    crash(&mut world);
    world.run_for(seconds(90));
    assert_eq!(outcome(&world, token), Some(Outcome::Answered(EndedBy::Us)));
    world.finish();
}

/// The desktop takes its caller back: its phone is asked for an offer, and what it says is heard
/// when another process is there.
#[test]
fn offer_that_comes_after_a_crash_is_answered_and_the_call_goes_on() {
    let mut world = control::world();
    let (token, conn_id) = control::talking(&mut world);
    control::act(&mut world, AGENT, conn_id, CallAction::Hold);
    world.run_for(seconds(2));
    world.network.rule = Some(Box::new(move |flight| {
        match flight.bytes.starts_with(b"SIP/2.0 200 ") && flight.from == node_address(0) {
            true => Fate::Lost,
            false => Fate::Usual,
        }
    }));
    // Its answer dies with the process.
    let (shard, retrieve) = (
        conn_id.shard(),
        Request {
            requested_by: RequestedBy {
                client: ClientId(1),
                reference_id: 0,
            },
            body: RequestBody::Call(
                conn_id,
                CallRequest::Party {
                    this_dn: world.cluster.config.dn(AGENT).expect("the agent's"),
                    action: CallAction::Retrieve,
                    reasons: KeyValueList::new(),
                },
            ),
        },
    );
    world.cluster.request(world.now, shard, retrieve);
    world.run_for(seconds(1));
    crash(&mut world);
    world.network.rule = None;
    // The phone says 200 again and again, and would report an ACK without an answer.
    world.run_for(seconds(5));
    control::act(&mut world, AGENT, conn_id, CallAction::Retrieve);
    world.run_for(seconds(40));
    assert!(control::connected(&world, token, AGENT));
    assert!(world.phone(AGENT).hang_up());
    world.finish();
}

#[test]
fn vote_of_a_phone_that_is_not_watched_any_more_is_forgotten() {
    let mut world = World::new(Setup::calm(3));
    world.run_until_ready();
    // One phone is gone, one is in a call of its own.
    world.phone(AGENT).unregister();
    world.phone("2001").begin_private_call();
    world.run_for(seconds(2));
    world.cluster.kill(world.now);
    let mut config = (*world.cluster.config).clone();
    config.presence.enabled = false;
    world.cluster.config = Arc::new(config);
    world.cluster.start_again(world.now);
    world.run_for(seconds(2));
    let login = |world: &mut World, dn| {
        world.ask(
            dn,
            DesktopRequest::Login {
                agent_id: None,
                work_mode: AgentWorkMode::AutoIn,
                reasons: KeyValueList::new(),
            },
        );
    };
    for dn in [AGENT, "2001"] {
        login(&mut world, dn);
        world.run_for(seconds(1));
        assert!(world.journal.is_ready(dn), "{dn}");
    }
}

#[test]
fn desktop_that_does_not_come_back_after_a_crash_is_gone() {
    let mut world = World::new(Setup {
        server: "on_disconnect = \"notready\"".to_owned(),
        ..Setup::calm(3)
    });
    world.run_until_ready();
    for dn in [AGENT, "2001"] {
        world.ask(dn, DesktopRequest::Present);
    }
    world.run_for(seconds(1));
    crash(&mut world);
    world.run_for(seconds(20));
    world.ask("2001", DesktopRequest::Present);
    world.run_for(seconds(35));
    assert_eq!(
        told(&world, EventName::AgentNotReady, AGENT),
        0,
        "it may come"
    );
    world.run_for(seconds(10));
    assert_eq!(told(&world, EventName::AgentNotReady, AGENT), 1);
    for dn in ["2001", "2002"] {
        assert_eq!(told(&world, EventName::AgentNotReady, dn), 0);
    }
    world.finish();
}

#[test]
fn call_that_cannot_be_taken_up_is_hung_up_at_both_ends() {
    let mut world = World::new(Setup::calm(1));
    world.run_until_ready();
    let token = world.call(CallPlan::to("7000"));
    world.run_for(seconds(10));
    assert!(control::connected(&world, token, AGENT));
    world.cluster.kill(world.now);
    let mut image = Image::default();
    for mut record in world.cluster.image.records() {
        if let (Key::Call(_), Some(value)) = (&record.key, &mut record.value) {
            value.truncate(value.len() - 1);
        }
        image.apply(record);
    }
    world.cluster.image = image;
    world.cluster.start_again(world.now);
    world.run_for(seconds(5));
    assert_eq!(
        outcome(&world, token),
        Some(Outcome::Answered(EndedBy::Server))
    );
    assert!(!world.phone(AGENT).hang_up(), "it has no call any more");
    assert!(world.cluster.image.iter().all(|(key, _)| match key {
        Key::Call(_) | Key::Leaving(_) => false,
        Key::Agent(_) | Key::Subscription(_) => true,
    }));
}

/// A floor that talks all the time is killed at any moment, again and again.
#[test]
fn killed_at_any_moment_it_knows_every_call_that_was_up() {
    for seed in 0..40 {
        let mut world = World::new(Setup {
            seed,
            shards: 1 + (seed % 3) as u16,
            ..Setup::calm(6)
        });
        world.run_until_ready();
        let mut random = super::random::Random::new(seed);
        for _ in 0..3 {
            let calls: Vec<_> = (0..4)
                .map(|_| {
                    let talks = Duration::from_millis(10_000 + random.below(20_000));
                    world.call(CallPlan::to("7000").talks_for(talks))
                })
                .collect();
            world.run_for(seconds(4));
            world.run_for(Duration::from_millis(random.below(4_000)));
            crash(&mut world);
            world.run_for(seconds(60));
            for token in calls {
                let ended = outcome(&world, token);
                assert_eq!(ended, Some(Outcome::Answered(EndedBy::Us)), "seed {seed}");
            }
        }
        world.finish();
    }
}

/// The checksum is right, and what is inside is not what this version writes.
#[test]
fn damaged_records_are_left_out_and_the_others_are_taken_up() {
    let mut world = World::new(Setup::calm(4));
    world.run_until_ready();
    for _ in 0..2 {
        world.call(CallPlan::to("7000").talks_for(seconds(600)));
    }
    world.run_for(seconds(10));
    let image = world.cluster.image.clone();
    let mut random = super::random::Random::new(7);
    for _ in 0..300 {
        let mut damaged = Image::default();
        let mut whole = 0;
        for mut record in image.records() {
            let bytes = record.value.as_mut().unwrap();
            let mut changed = bytes.to_vec();
            let place = random.below(changed.len() as u64) as usize;
            match random.below(3) {
                0 => changed[place] ^= 1 << random.below(8),
                1 => changed.truncate(place),
                _ => whole += 1,
            }
            *bytes = changed.into();
            damaged.apply(record);
        }
        world.cluster.kill(world.now);
        world.cluster.image = damaged;
        let before = world.cluster.count(Counter::RecordTakenUp);
        world.cluster.start_again(world.now);
        let taken = world.cluster.count(Counter::RecordTakenUp) - before;
        assert!(taken >= whole, "{taken} of {whole}");
    }
}
