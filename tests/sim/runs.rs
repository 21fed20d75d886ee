//! Random runs: everything at once, as the seed says, and the checkers after every step.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use offhook::cti::{AgentWorkMode, DesktopRequest, KeyValueList};
use offhook_loadgen::population::{
    Arrivals, CallPlan, CallerHabits, EndedBy, Habits, Outcome, Rhythm, Span, Token,
};

use super::checkers;
use super::floor;
use super::profile::Profile;
use super::random::Random;
use super::turmoil::Turmoil;
use super::world::{Setup, World};

/// Seeds that the test command runs.
const SEEDS: u64 = 500;

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the seed comes from whoever replays a run"
)]
fn random_runs_lose_nothing() {
    let number = |name: &str| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let seeds = match (number("SEED"), number("FROM").unwrap_or_default()) {
        (Some(seed), _) => seed..seed + 1,
        (None, from) => from..from + number("SEEDS").unwrap_or(SEEDS),
    };
    let wanted = std::env::var("PROFILE").ok();
    let profile = wanted.map(|name| Profile::named(&name).expect("PROFILE is the name of one"));
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return failed;
            }
            let profile = profile.unwrap_or_else(|| Profile::of(seed));
            // One seed that fails keeps no other from being run: whoever runs many of them wants to
            // know how many fail. What went wrong has been said where it went wrong.
            if catch_unwind(|| run(profile, seed)).is_err() {
                failed.push(format!("PROFILE={} SEED={seed}", profile.name()));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter().map(ScopedJoinHandle::join);
        results
            .flat_map(|failed| failed.expect("a worker catches what a run panics with"))
            .collect()
    });
    assert!(failed.is_empty(), "these runs failed: {failed:#?}");
}

/// Safety first: everything goes wrong, and every rule holds. Then liveness: nothing goes wrong any
/// more, all that is under way comes to its end, and new calls are served.
fn run(profile: Profile, seed: u64) {
    let mut random = Random::new(seed);
    let shards = match random.below(2) {
        0 => 2,
        _ => 1 + random.below(4) as u16,
    };
    let agents = 1 + random.below(profile.agents_max()) as u32;
    let faults = profile.line(&mut random);
    let nodes = 1 + random.below(2) as u16;
    let wrap_up = random.below(4);
    let mut turmoil = Turmoil::new(profile, Random::new(random.next()), agents, nodes);
    let expires = turmoil.weather.expires();
    let queues = floor::draw(&mut random);
    let more = format!(
        "[agent_defaults]\nwrap_up = {wrap_up}\nno_answer = 8\n\
         [presence]\nexpires = \"{expires}\"\n{queues}"
    );
    let mut world = World::new(Setup {
        seed,
        shards,
        agents,
        faults,
        more,
        nodes,
        spare_nodes: 0,
        server: media(&mut random),
        trunk: trunk(profile, &mut random),
        named: false,
        profile,
    });
    for agent in 0..agents {
        let calls = 1 + random.below(2) as usize;
        world
            .phone(&(2_000 + agent).to_string())
            .set_calls_max(calls);
    }
    slow_down(&mut world, Random::new(seed ^ 0xde5c));
    turmoil.weather.begin(&mut world);
    world.clients_take = profile.clients_take();
    world.run_for(Duration::from_secs(3));
    world
        .population
        .pbx
        .set_habits(phones(profile, &mut random));
    world.population.pbx.begin_habits(world.now);
    world.population.callers.set_habits(CallerHabits {
        numbers: floor::NUMBERS.map(str::to_owned).to_vec(),
        patience: Span::milliseconds(2_000, 60_000),
        impatient: (0.2, Span::milliseconds(0, 600)),
        talking: Span::milliseconds(100, 15_000),
        holds: 0.2,
        ..CallerHabits::of("7000")
    });
    let rate = profile.rate(0.2 + random.below(20) as f64 / 10.0);
    let end = world.now + profile.restless();
    world
        .population
        .callers
        .arrive(world.now, end, Arrivals::per_second(rate));
    turmoil.run(&mut world, profile.restless());
    world.population.pbx.set_habits(Habits {
        no_answer: 0.0,
        private_calls: None,
        absences: None,
        ..Habits::default()
    });
    world.finish();
    turmoil.judge(&world);
    serves_again(&mut world, agents);
}

/// In every third run messages wait for one another: few are handled as they came, and what a host
/// that sleeps or a mended line brings at once, by urgency.
fn slow_down(world: &mut World, mut random: Random) {
    const MOST: Duration = Duration::from_micros(500);
    if random.below(3) == 0 {
        let pace = random.between(Duration::from_micros(50), MOST);
        world.cluster.slow_down(world.now, pace);
    }
}

/// Everybody is at work again, and whoever calls is served at once.
fn serves_again(world: &mut World, agents: u32) {
    for engine in &mut world.cluster.engines {
        engine.set_draining(false);
    }
    for agent in 0..agents {
        let dn = (2_000 + agent).to_string();
        let work_mode = AgentWorkMode::AutoIn;
        let reasons = KeyValueList::new;
        let requests = [
            DesktopRequest::CancelForward { reasons: reasons() },
            DesktopRequest::SetDnd {
                on: false,
                reasons: reasons(),
            },
            DesktopRequest::Login {
                agent_id: None,
                work_mode,
                reasons: reasons(),
            },
            DesktopRequest::Ready {
                work_mode,
                reasons: reasons(),
            },
        ];
        for request in requests {
            world.ask(&dn, request);
        }
    }
    world.run_for(Duration::from_secs(1));
    let callers: Vec<Token> = (0..agents.min(3))
        .map(|_| world.call(CallPlan::to("7000").talks_for(Duration::from_secs(1))))
        .collect();
    world.run_for(Duration::from_secs(5));
    for token in callers {
        let served = Some(Outcome::Answered(EndedBy::Us));
        if super::calls::outcome(world, token) != served {
            world.fail(&format!(
                "{token:?} is not served although nothing is wrong"
            ));
        }
    }
    world.run_for(Duration::from_secs(60));
    if let Err(fault) = checkers::quiescent(world) {
        world.fail(&fault);
    }
}

/// What a trunk is told about its phones.
fn trunk(profile: Profile, random: &mut Random) -> String {
    let mut pick =
        |options: &[&str]| options[random.below(options.len() as u64) as usize].to_owned();
    [
        "outbound = true\n".to_owned(),
        profile.trunk().to_owned(),
        pick(&["", "refer = true\n"]),
        pick(&["", "dual_dialog = true\n"]),
        pick(&["", "make_call_flow = \"4\"\n"]),
        pick(&["", "answer = \"talk\"\n", "answer = \"call-info\"\n"]),
        pick(&["", "dtmf = \"dtmf-relay\"\n"]),
    ]
    .concat()
}

/// The servers of media there are, and what strangers hear.
fn media(random: &mut Random) -> String {
    let music = ["", "music = \"sip:music@10.0.2.1:5060\"\n"][random.below(2) as usize];
    let mixer = ["", "mixer = \"sip:10.0.2.1:5060\"\n"][random.below(2) as usize];
    let strangers = ["", "strangers = \"refuse\"\n"][random.below(2) as usize];
    format!("{music}{mixer}{strangers}")
}

/// What phones do by themselves.
fn phones(profile: Profile, random: &mut Random) -> Habits {
    let private = Rhythm {
        every: Duration::from_secs(60),
        lasting: Span::milliseconds(500, 20_000),
    };
    let absences = Rhythm {
        every: Duration::from_secs(120),
        lasting: Span::milliseconds(1_000, 20_000),
    };
    Habits {
        ringing: profile.ringing(),
        answering: profile.answering(),
        talking: (random.below(2) == 0).then_some(Span::milliseconds(100, 15_000)),
        no_answer: 0.05,
        busy: 0.05,
        declined: 0.05,
        holds: 0.2,
        private_calls: Some(private),
        absences: (random.below(2) == 0).then_some(absences),
    }
}
