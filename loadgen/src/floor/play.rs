//! The phases of a run: everybody logs in, calls are offered and things go wrong at their time,
//! everything comes to its end.

use std::time::{Duration, Instant};

use offhook_shards::clock::Clock;

use super::cast::{arrivals, habits};
use super::error::FloorError;
use super::outcome::FloorOutcome;
use super::profile::{FaultKind, Profile};
use super::site::Order;
use super::stage::{Progress, Stage};
use super::timeline::Timeline;
use super::view::snapshot;
use super::{Wish, ready_time_max};
use crate::load::Arrivals;

/// Between two looks at everything.
const TICK: Duration = Duration::from_secs(1);
/// How long some may be logged in and not Ready before the first call comes all the same.
const LOGGED_IN_TIME_MIN: Duration = Duration::from_secs(3);

/// A run in its course.
struct Run<'a> {
    stage: &'a mut Stage,
    profile: &'a Profile,
    progress: &'a mut dyn FnMut(&Progress) -> Wish,
    wish: Wish,
    timeline: Timeline,
    /// The arrivals of all groups, to know the planned rate.
    plans: Vec<Arrivals>,
}

/// Plays a floor.
pub(super) fn play(
    stage: &mut Stage,
    profile: &Profile,
    progress: &mut dyn FnMut(&Progress) -> Wish,
) -> Result<FloorOutcome, FloorError> {
    let began = Clock.now();
    let plans = (0..profile.callers.len()).map(|number| arrivals(profile, number));
    let mut run = Run {
        plans: plans.collect::<Result<_, _>>()?,
        stage,
        profile,
        progress,
        wish: Wish::GoOn,
        timeline: Timeline::new(began),
    };
    run.stage.desks.begin(began);
    let ready_in = run.wait_until_ready(began)?;
    let start = Clock.now();
    run.timeline = Timeline::new(start);
    run.offer(start)?;
    run.drain(start)?;
    let Run { wish, timeline, .. } = run;
    let is_stopped = wish == Wish::Stop;
    let seconds = Clock.now().saturating_duration_since(began);
    let mut outcome = FloorOutcome::of(stage, profile, ready_in);
    outcome.seconds = seconds.as_secs_f64();
    outcome.is_stopped = is_stopped;
    outcome.timeline = timeline.points().to_vec();
    Ok(outcome)
}

impl Run<'_> {
    fn say(&mut self, phase: &'static str, since: Instant) {
        let passed = Clock.now().saturating_duration_since(since);
        let mut progress = self.stage.progress(phase, passed);
        progress.snapshot = snapshot(self.stage, self.profile, &self.timeline, &progress);
        let wish = (self.progress)(&progress);
        if self.wish != Wish::Stop && wish != Wish::GoOn {
            self.wish = wish;
        }
    }

    /// Nobody calls before everybody is there.
    fn wait_until_ready(&mut self, began: Instant) -> Result<Duration, FloorError> {
        let (agents, patience) = (self.profile.agent_count(), ready_time_max(self.profile));
        let mut next = began + TICK;
        let mut logged_in = None;
        loop {
            self.stage.order_all(&Order::Report);
            self.stage.turn(Clock.now() + TICK / 4)?;
            let now = Clock.now();
            let waited = now.saturating_duration_since(began);
            let tally = self.stage.oracle.tally();
            let present = tally.ready + tally.not_ready;
            let subscribed = self
                .stage
                .standings()
                .map(|standing| standing.subscriptions);
            let subscribed: usize = subscribed.sum();
            let are_there = present == agents && subscribed >= agents;
            let since = *logged_in.get_or_insert(now);
            if !are_there {
                logged_in = None;
            }
            let long_enough = now.saturating_duration_since(since) >= LOGGED_IN_TIME_MIN;
            if are_there && (tally.ready == agents || long_enough) {
                self.say("ready", began);
                return Ok(waited);
            }
            if waited > patience || self.wish == Wish::Stop {
                return Err(FloorError::NotReady {
                    ready: present,
                    agents,
                    subscribed,
                    waited,
                });
            }
            if now >= next {
                next += TICK;
                self.say("login", began);
            }
        }
    }

    /// Offers calls for the profile's time.
    fn offer(&mut self, start: Instant) -> Result<(), FloorError> {
        let end = start + self.profile.duration;
        for (number, pbx) in self.profile.pbxs.iter().enumerate() {
            let groups = self.profile.callers.iter().zip(&self.plans);
            let own = groups.filter(|(plan, _)| plan.pbx == pbx.name);
            let order = Order::Open {
                from: start,
                until: end,
                groups: own
                    .map(|(plan, arrivals)| (habits(plan), arrivals.clone()))
                    .collect(),
            };
            self.stage.order(number, order);
        }
        let mut deeds = deeds(self.profile, start).into_iter().peekable();
        let mut next = start + TICK;
        while Clock.now() < end && self.wish == Wish::GoOn {
            let due = deeds.peek().map_or(end, |deed| deed.at);
            self.stage.turn(end.min(next).min(due))?;
            let now = Clock.now();
            while let Some(deed) = deeds.next_if(|deed| deed.at <= now) {
                self.carry_out(now, deed);
            }
            if now >= next {
                next += TICK;
                self.check(start);
                self.say("calls", start);
            }
        }
        // What has not ended yet, ends now.
        let now = Clock.now();
        for deed in deeds.filter(|deed| deed.begins.is_none()) {
            self.carry_out(now, deed);
        }
        Ok(())
    }

    fn carry_out(&mut self, now: Instant, deed: Deed) {
        if let Some((kind, lasting)) = deed.begins {
            self.stage.oracle.trouble(now, deed.pbx, kind, lasting);
        }
        self.stage.order(deed.pbx, deed.order);
    }

    /// Nothing new begins; what has begun, ends. Then everything is compared a last time.
    fn drain(&mut self, start: Instant) -> Result<(), FloorError> {
        let end = Clock.now() + self.profile.drain_within;
        self.stage.order_all(&Order::Close);
        self.stage.desks.close(Clock.now());
        while self.wish != Wish::Stop {
            self.check(start);
            self.stage.turn(end.min(Clock.now() + TICK))?;
            self.say("drain", start);
            if Clock.now() >= end || is_quiet(self.stage) {
                break;
            }
        }
        if self.wish == Wish::Stop {
            return Ok(());
        }
        let bounds = self.profile.bounds;
        self.stage
            .turn(Clock.now() + bounds.state.max(bounds.event) + TICK / 2)?;
        self.stage.order_all(&Order::Audit(Duration::ZERO));
        self.stage.order_all(&Order::Finish);
        self.stage.order_all(&Order::Report);
        self.stage.turn(Clock.now() + TICK / 2)?;
        self.stage.oracle.finish(Clock.now());
        // The messages of what was found last.
        self.stage.turn(Clock.now() + TICK / 4)?;
        self.say("done", start);
        Ok(())
    }

    fn check(&mut self, start: Instant) {
        let audit = Order::Audit(self.profile.bounds.legs);
        self.stage.order_all(&audit);
        self.stage.order_all(&Order::Report);
        let now = Clock.now();
        self.stage.oracle.check(now);
        let since = now.saturating_duration_since(start);
        let target = if since < self.profile.duration {
            self.plans.iter().map(|plan| plan.rate_at(since)).sum()
        } else {
            0.0
        };
        self.timeline.take(now, target, self.stage);
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

fn is_quiet(stage: &Stage) -> bool {
    stage.standings().all(|standing| {
        standing.live == 0
            && !standing.arriving
            && standing.phone_calls == 0
            && standing.phones_rest
    })
}
