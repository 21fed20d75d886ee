//! The phases of a run: everybody logs in, calls are offered and things go wrong at their time,
//! everything comes to its end.

use std::time::{Duration, Instant};

use offhook_shards::clock::Clock;

use super::error::FloorError;
use super::outcome::FloorOutcome;
use super::profile::{FaultKind, Profile};
use super::site::Order;
use super::stage::{Progress, Stage, habits};
use super::{arrivals, ready_time_max};

/// Between two looks at everything.
const TICK: Duration = Duration::from_secs(1);

/// Plays a floor.
pub(super) fn play(
    stage: &mut Stage,
    profile: &Profile,
    progress: &mut dyn FnMut(&Progress),
) -> Result<FloorOutcome, FloorError> {
    let began = Clock.now();
    stage.desks.begin(began);
    let ready_in = wait_until_ready(stage, profile, began, progress)?;
    let start = offer(stage, profile, progress)?;
    drain(stage, profile, start, progress)?;
    Ok(FloorOutcome::of(stage, profile, ready_in))
}

/// Nobody calls before everybody is there.
fn wait_until_ready(
    stage: &mut Stage,
    profile: &Profile,
    began: Instant,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Duration, FloorError> {
    let (agents, patience) = (profile.agent_count(), ready_time_max(profile));
    let mut next = began + TICK;
    loop {
        stage.order_all(&Order::Report);
        stage.turn(Clock.now() + TICK / 4)?;
        let now = Clock.now();
        let waited = now.saturating_duration_since(began);
        let tally = stage.oracle.tally();
        let ready = tally.ready + tally.not_ready;
        let subscribed = stage.standings().map(|standing| standing.subscriptions);
        let subscribed = subscribed.sum();
        let logging_in = stage.desks.poll_timeout().is_some_and(|at| at <= now);
        if tally.logged_out == 0 && ready == agents && subscribed >= agents && !logging_in {
            progress(&stage.progress("ready", waited));
            return Ok(waited);
        }
        if waited > patience {
            return Err(FloorError::NotReady {
                ready,
                agents,
                subscribed,
                waited,
            });
        }
        if now >= next {
            next += TICK;
            progress(&stage.progress("login", waited));
        }
    }
}

/// What is to be done to a PBX, and when.
struct Deed {
    at: Instant,
    pbx: usize,
    order: Order,
    /// Whether it begins, and for how long it lasts.
    begins: Option<(FaultKind, Duration)>,
}

/// All faults in the order of their beginnings and ends.
fn deeds(profile: &Profile, start: Instant) -> Vec<Deed> {
    let mut deeds = Vec::new();
    for fault in &profile.faults {
        let place = profile.pbxs.iter().position(|pbx| pbx.name == fault.pbx);
        let Some(pbx) = place else {
            continue;
        };
        let order = |lasting| Order::Fault {
            kind: fault.kind,
            node: fault.node,
            lasting,
        };
        deeds.push(Deed {
            at: start + fault.at,
            pbx,
            order: order(Some(fault.lasting)),
            begins: Some((fault.kind, fault.lasting)),
        });
        deeds.push(Deed {
            at: start + fault.at + fault.lasting,
            pbx,
            order: order(None),
            begins: None,
        });
    }
    deeds.sort_by_key(|deed| deed.at);
    deeds
}

/// Offers calls for the profile's time. Returns when it began.
fn offer(
    stage: &mut Stage,
    profile: &Profile,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Instant, FloorError> {
    let start = Clock.now();
    let end = start + profile.duration;
    for (number, pbx) in profile.pbxs.iter().enumerate() {
        let own = profile.callers.iter().filter(|plan| plan.pbx == pbx.name);
        let groups = own
            .filter_map(|plan| Some((habits(plan), arrivals(&plan.arrivals).ok()?)))
            .collect();
        let order = Order::Open {
            from: start,
            until: end,
            groups,
        };
        stage.order(number, order);
    }
    let mut deeds = deeds(profile, start).into_iter().peekable();
    let mut next = start + TICK;
    while Clock.now() < end {
        let due = deeds.peek().map_or(end, |deed| deed.at);
        stage.turn(end.min(next).min(due))?;
        let now = Clock.now();
        while let Some(deed) = deeds.next_if(|deed| deed.at <= now) {
            carry_out(stage, now, deed);
        }
        if now >= next {
            next += TICK;
            check(stage, profile);
            progress(&stage.progress("calls", now.saturating_duration_since(start)));
        }
    }
    // What has not ended yet, ends now.
    let now = Clock.now();
    for deed in deeds {
        carry_out(stage, now, deed);
    }
    Ok(start)
}

fn carry_out(stage: &mut Stage, now: Instant, deed: Deed) {
    if let Some((kind, lasting)) = deed.begins {
        stage.oracle.trouble(now, deed.pbx, kind, lasting);
    }
    stage.order(deed.pbx, deed.order);
}

/// Nothing new begins; what has begun, ends. Then everything is compared a last time.
fn drain(
    stage: &mut Stage,
    profile: &Profile,
    start: Instant,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(), FloorError> {
    let end = Clock.now() + profile.drain_within;
    stage.order_all(&Order::Close);
    stage.desks.close(Clock.now());
    loop {
        check(stage, profile);
        stage.turn(end.min(Clock.now() + TICK))?;
        let passed = Clock.now().saturating_duration_since(start);
        progress(&stage.progress("drain", passed));
        if Clock.now() >= end || is_quiet(stage) {
            break;
        }
    }
    stage.turn(Clock.now() + profile.bounds.state.max(profile.bounds.event) + TICK / 2)?;
    stage.order_all(&Order::Audit(Duration::ZERO));
    stage.order_all(&Order::Finish);
    stage.order_all(&Order::Report);
    stage.turn(Clock.now() + TICK / 2)?;
    stage.oracle.finish(Clock.now());
    // The messages of what was found last.
    stage.turn(Clock.now() + TICK / 4)?;
    let passed = Clock.now().saturating_duration_since(start);
    progress(&stage.progress("done", passed));
    Ok(())
}

fn is_quiet(stage: &Stage) -> bool {
    stage.standings().all(|standing| {
        standing.live == 0
            && !standing.arriving
            && standing.phone_calls == 0
            && standing.phones_rest
    })
}

fn check(stage: &mut Stage, profile: &Profile) {
    stage.order_all(&Order::Audit(profile.bounds.legs));
    stage.order_all(&Order::Report);
    stage.oracle.check(Clock.now());
}
