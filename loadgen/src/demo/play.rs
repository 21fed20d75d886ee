//! The phases of a demo: agents become Ready, calls are offered, everything comes to its end.

use std::io::Write;
use std::time::{Duration, Instant};

use super::error::DemoError;
use super::ledger::SETTLED;
use super::measure::now;
use super::mix;
use super::report::Report;
use super::stage::Stage;
use crate::cli::Demo;
use crate::population::{Activity, Arrivals};

/// Between two lines of progress.
const TICK: Duration = Duration::from_secs(1);
/// What agents have to become Ready, beside the pace of subscriptions.
const READY_TIME_MAX: Duration = Duration::from_secs(30);
/// Agents become Ready at this rate at least, or something is wrong.
const READY_RATE_MIN: u32 = 25;
/// How long the last calls may take to end: the longest patience, the longest call and every
/// retransmission of a BYE.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(90);
/// How long the two legs of a call may contradict each other: every retransmission of a BYE.
const LEG_GRACE: Duration = Duration::from_secs(34);
/// The same at the end, when nothing is under way any more.
const LEG_GRACE_AT_END: Duration = Duration::ZERO;

/// Plays everything and measures.
pub(super) fn play(stage: &mut Stage, options: &Demo) -> Result<Report, DemoError> {
    let began = now();
    let ready_in = wait_until_ready(stage, options, began)?;
    let offering = offer(stage, options)?;
    drain(stage, offering)?;
    Ok(Report::of(stage, options, ready_in))
}

/// Nobody calls before every agent is Ready.
fn wait_until_ready(
    stage: &mut Stage,
    options: &Demo,
    began: Instant,
) -> Result<Duration, DemoError> {
    let patience = READY_TIME_MAX + Duration::from_secs((options.agents / READY_RATE_MIN).into());
    let agents = options.agents as usize;
    loop {
        stage.turn(now() + TICK / 4)?;
        let waited = now() - began;
        let (ready, _, _) = stage.ledger.states();
        if ready == agents {
            say(stage, "ready", waited);
            return Ok(waited);
        }
        if waited > patience {
            let subscribed = stage.population.pbx.subscriptions();
            return Err(DemoError::NotReady {
                ready,
                agents,
                subscribed,
                waited,
            });
        }
        if waited.as_millis() % 1_000 < 250 {
            say(stage, "login", waited);
        }
    }
}

/// Offers calls for the demo's time. Returns when it began.
fn offer(stage: &mut Stage, options: &Demo) -> Result<Instant, DemoError> {
    let start = now();
    let end = start + options.duration;
    stage.population.pbx.begin_habits(start);
    let arrivals = Arrivals::per_second(options.calls_per_second);
    stage.population.callers.arrive(start, end, arrivals);
    while now() < end {
        stage.turn(end.min(now() + TICK))?;
        check(stage, LEG_GRACE);
        say(stage, "calls", now() - start);
    }
    Ok(start)
}

/// Nothing new begins; what has begun, ends. Then everything is compared a last time.
fn drain(stage: &mut Stage, start: Instant) -> Result<(), DemoError> {
    let end = now() + DRAIN_TIME_MAX;
    stage
        .population
        .pbx
        .set_habits(mix::phone_habits_at_the_end());
    while now() < end && !is_quiet(stage) {
        stage.turn(end.min(now() + TICK))?;
        check(stage, LEG_GRACE);
        say(stage, "drain", now() - start);
    }
    stage.turn(now() + SETTLED + TICK / 2)?;
    check(stage, LEG_GRACE_AT_END);
    stage.population.callers.finish(now());
    stage.account(now());
    say(stage, "done", now() - start);
    Ok(())
}

fn is_quiet(stage: &Stage) -> bool {
    let population = &stage.population;
    population.callers.live().len() == 0
        && population.pbx.calls() == 0
        && population
            .pbx
            .phones()
            .all(|phone| phone.registered && phone.activity == Activity::Idle && !phone.notifying)
}

fn check(stage: &mut Stage, leg_grace: Duration) {
    let time = now();
    stage.population.audit(time, leg_grace);
    stage.account(time);
    stage.ledger.compare(time, stage.population.pbx.phones());
}

fn say(stage: &Stage, phase: &str, passed: Duration) {
    let (ready, not_ready, out) = stage.ledger.states();
    let totals = stage.population.callers.totals();
    let line = format!(
        "{phase:<5} {:>4} s  agents: {ready} Ready, {not_ready} NotReady, {out} LoggedOut   \
         calls: {} in flight, {} offered, {} answered, {} abandoned, {} refused, {} lost",
        passed.as_secs(),
        stage.population.callers.live().len(),
        totals.offered,
        totals.answered,
        totals.abandoned,
        totals.refused,
        totals.lost,
    );
    // Nobody reads standard error any more: the demo goes on.
    let _ = writeln!(std::io::stderr(), "{line}");
}
