//! Random runs: everything at once, as the seed says, and the checkers after every step.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offhook_loadgen::population::{Arrivals, CallerHabits, Habits, Rhythm, Span};

use super::floor;
use super::network::Faults;
use super::random::Random;
use super::turmoil::Turmoil;
use super::world::{Setup, World};

/// Seeds that the test command runs.
const SEEDS: u64 = 500;

/// For how long each is restless.
const RESTLESS: Duration = Duration::from_secs(16);

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the seed comes from whoever replays a run"
)]
fn random_runs_lose_nothing() {
    let number = |name: &str| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    let next = AtomicU64::new(seeds.start);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            run(seed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            // A seed that failed has said so; the others need not be run.
            if let Err(panic) = worker.join() {
                next.store(seeds.end, Ordering::Relaxed);
                std::panic::resume_unwind(panic);
            }
        }
    });
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let shards = match seed % 2 {
        0 => 2,
        _ => 1 + random.below(4) as u16,
    };
    let agents = 1 + random.below(12) as u32;
    let faults = if random.below(3) == 0 {
        Faults::CALM
    } else {
        bad_line(&mut random)
    };
    let nodes = 1 + random.below(2) as u16;
    let wrap_up = random.below(4);
    let mut turmoil = Turmoil::new(Random::new(random.next()), agents, nodes);
    turmoil.sheds = seed % 8 == 3;
    // A NOTIFY that a short outage swallowed is made good by the next refresh, and not before.
    let expires = if turmoil.outages { "2m" } else { "1h" };
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
        trunk: trunk(&mut random),
        named: false,
    });
    for agent in 0..agents {
        let calls = 1 + random.below(2) as usize;
        world
            .phone(&(2_000 + agent).to_string())
            .set_calls_max(calls);
    }
    world.run_for(Duration::from_secs(3));
    world.population.pbx.set_habits(phones(&mut random));
    world.population.pbx.begin_habits(world.now);
    world.population.callers.set_habits(CallerHabits {
        numbers: floor::NUMBERS.map(str::to_owned).to_vec(),
        patience: Span::milliseconds(2_000, 60_000),
        impatient: (0.2, Span::milliseconds(0, 600)),
        talking: Span::milliseconds(100, 15_000),
        holds: 0.2,
        ..CallerHabits::of("7000")
    });
    let rate = 0.2 + random.below(20) as f64 / 10.0;
    let end = world.now + RESTLESS;
    world
        .population
        .callers
        .arrive(world.now, end, Arrivals::per_second(rate));
    turmoil.run(&mut world, RESTLESS);
    world.population.pbx.set_habits(Habits {
        no_answer: 0.0,
        private_calls: None,
        absences: None,
        ..Habits::default()
    });
    world.finish();
    turmoil.judge(&world);
}

/// What a trunk is told about its phones.
fn trunk(random: &mut Random) -> String {
    let mut pick =
        |options: &[&str]| options[random.below(options.len() as u64) as usize].to_owned();
    [
        "outbound = true\n".to_owned(),
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
fn phones(random: &mut Random) -> Habits {
    let private = Rhythm {
        every: Duration::from_secs(60),
        lasting: Span::milliseconds(500, 20_000),
    };
    let absences = Rhythm {
        every: Duration::from_secs(120),
        lasting: Span::milliseconds(1_000, 20_000),
    };
    Habits {
        ringing: Span::milliseconds(0, 300),
        answering: Span::milliseconds(0, 4_000),
        talking: (random.below(2) == 0).then_some(Span::milliseconds(100, 15_000)),
        no_answer: 0.05,
        busy: 0.05,
        declined: 0.05,
        holds: 0.2,
        private_calls: Some(private),
        absences: (random.below(2) == 0).then_some(absences),
    }
}

fn bad_line(random: &mut Random) -> Faults {
    Faults {
        loss: random.below(150) as u32,
        duplication: random.below(100) as u32,
        ..Faults::LOSSY
    }
}
