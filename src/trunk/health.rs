//! The health of one peer, on the shard that pings it: in service, suspected, or out.
//!
//! A peer leaves by silence to pings, by a 503 to one, or passively by what calls and
//! subscriptions met. It returns half-open: by an answered ping, or, where no pings are sent, when
//! its time is over; what fails it again soon puts it out for longer.

use std::time::{Duration, Instant};

use crate::dialog::PingOutcome;
use crate::jitter::Jitter;
use crate::limits::{
    TRUNK_FIRST_PING_MAX, TRUNK_FLAP_WINDOW, TRUNK_OUT_MIN, TRUNK_OUT_RELAPSE_MAX,
    TRUNK_RELAPSES_MAX, TRUNK_RETRY_AFTER_MAX, TRUNK_SUSPECT_PING_INTERVAL,
};
use crate::sip::Status;

use super::Failure;

/// The times of a trunk that its peers obey.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Time between pings; `None` sends none.
    pub(super) check: Option<Duration>,
    /// How long a ping waits for its answer before it counts as missed.
    pub(super) timeout: Duration,
    /// Silence after the first miss until a peer is out.
    pub(super) force: Duration,
    /// Time between pings of a peer that is out, or until it is tried again without.
    pub(super) recovery: Duration,
    /// 64·T1: how long a request goes unanswered before it has failed (RFC 3261 §17.1).
    pub(super) silence: Duration,
}

/// Why a peer is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Pings were not answered, or with 408.
    PingSilent,
    /// A ping was answered with 503.
    PingRefused,
    /// A call or a subscription failed.
    Request(Failure),
}

/// What a peer wants after an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// The number of the ping to send now.
    pub(super) ping: Option<u32>,
    /// Whether it came into service (`true`) or left it.
    pub(super) change: Option<bool>,
}

/// One peer.
#[derive(Debug)]
pub(super) struct Health {
    state: State,
    /// When to ping next; `None` without pings, or while one is in flight.
    ping_at: Option<Instant>,
    /// The ping that waits for its answer, and until when.
    in_flight: Option<(u32, Instant)>,
    /// The last ping's number. The transaction of a missed ping outlives it, so what is still
    /// said about that one must be told from the news of the next.
    pings: u32,
    /// Outages in a row that began soon after a return.
    relapses: u32,
    /// The last return into service.
    returned: Option<Instant>,
}

#[derive(Debug)]
enum State {
    InService,
    /// A ping was missed.
    Suspected {
        /// When its silence is long enough.
        out_at: Instant,
    },
    Out {
        /// Not to be used before.
        until: Instant,
        reason: Reason,
    },
}

impl Health {
    /// A peer is trusted until it fails.
    pub(super) fn new(now: Instant, rules: &Rules, jitter: &mut Jitter) -> Self {
        let first = |check: Duration| now + jitter.below(check.min(TRUNK_FIRST_PING_MAX));
        Self {
            state: State::InService,
            ping_at: rules.check.map(first),
            in_flight: None,
            pings: 0,
            relapses: 0,
            returned: None,
        }
    }

    /// The node is in use again after a time in which nobody listened to its pings.
    pub(super) fn resume(&mut self, now: Instant, rules: &Rules) {
        self.in_flight = None;
        self.ping_at = rules.check.map(|_| self.ping_at.unwrap_or(now));
    }

    /// Why the peer is out; `None` while it may be used.
    pub(super) fn out_for(&self) -> Option<Reason> {
        match self.state {
            State::InService | State::Suspected { .. } => None,
            State::Out { reason, .. } => Some(reason),
        }
    }

    /// When to call [`Health::handle_timeout`]. A peer that is out always has a deadline.
    pub(super) fn deadline(&self, rules: &Rules) -> Option<Instant> {
        let state = match self.state {
            State::InService => None,
            State::Suspected { out_at } => Some(out_at),
            State::Out { until, .. } => rules.check.is_none().then_some(until),
        };
        let overdue = self.in_flight.map(|(_, overdue)| overdue);
        [state, self.ping_at, overdue].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        rules: &Rules,
        jitter: &mut Jitter,
    ) -> Step {
        let mut step = Step::default();
        if let Some((number, overdue)) = self.in_flight
            && overdue <= now
        {
            let silent = PingOutcome::Silent;
            step.change = self.handle_ping(now, rules, number, silent, jitter).change;
        }
        match self.state {
            State::InService => {}
            State::Suspected { out_at } => {
                if out_at <= now {
                    step.change = self.leave(now, rules, Reason::PingSilent, None);
                }
            }
            State::Out { until, .. } => {
                if rules.check.is_none() && until <= now {
                    step.change = self.enter(now, rules, jitter);
                }
            }
        }
        if self.ping_at.is_some_and(|at| at <= now) {
            self.ping_at = None;
            self.pings = self.pings.wrapping_add(1);
            self.in_flight = Some((self.pings, now + rules.timeout));
            step.ping = Some(self.pings);
        }
        step
    }

    /// What became of a ping. Of one that was missed already it is no news.
    pub(super) fn handle_ping(
        &mut self,
        now: Instant,
        rules: &Rules,
        number: u32,
        outcome: PingOutcome,
        jitter: &mut Jitter,
    ) -> Step {
        let (true, Some(check)) = (self.lands(number), rules.check) else {
            return Step::default();
        };
        let miss = match outcome {
            PingOutcome::Silent => Some(Reason::PingSilent),
            // It reached something that could not reach the peer.
            PingOutcome::Answered { status } if status == Status::REQUEST_TIMEOUT => {
                Some(Reason::PingSilent)
            }
            PingOutcome::Answered { status } if status == Status::SERVICE_UNAVAILABLE => {
                Some(Reason::PingRefused)
            }
            PingOutcome::Answered { .. } => None,
        };
        let change = match miss {
            None => self.handle_alive(now, rules, check, jitter),
            Some(reason) => self.handle_miss(now, rules, reason, jitter),
        };
        Step { ping: None, change }
    }

    /// The ping was never sent, for a reason of ours: that says nothing about the peer.
    pub(super) fn handle_unsent(&mut self, now: Instant, number: u32, jitter: &mut Jitter) -> Step {
        if self.lands(number) {
            self.ping_at = Some(now + spread(TRUNK_SUSPECT_PING_INTERVAL, jitter));
        }
        Step::default()
    }

    /// Whether it is this ping that was waited for. It is not any more.
    fn lands(&mut self, number: u32) -> bool {
        self.in_flight
            .take_if(|(waiting, _)| *waiting == number)
            .is_some()
    }

    fn handle_alive(
        &mut self,
        now: Instant,
        rules: &Rules,
        check: Duration,
        jitter: &mut Jitter,
    ) -> Option<bool> {
        match self.state {
            State::InService | State::Suspected { .. } => {
                self.state = State::InService;
                self.ping_at = Some(now + spread(check, jitter));
                None
            }
            // Alive, but it asked to be left alone, or it comes and goes.
            State::Out { until, .. } if now < until => {
                self.ping_at = Some(until);
                None
            }
            State::Out { .. } => self.enter(now, rules, jitter),
        }
    }

    fn handle_miss(
        &mut self,
        now: Instant,
        rules: &Rules,
        reason: Reason,
        jitter: &mut Jitter,
    ) -> Option<bool> {
        match self.state {
            State::InService => {
                // A 503 is a clear word; silence may be the network's.
                if reason == Reason::PingRefused || rules.force.is_zero() {
                    return self.leave(now, rules, reason, None);
                }
                self.state = State::Suspected {
                    out_at: now + rules.force,
                };
                self.ping_at = Some(now + spread(TRUNK_SUSPECT_PING_INTERVAL, jitter));
                None
            }
            State::Suspected { .. } => {
                if reason == Reason::PingRefused {
                    return self.leave(now, rules, reason, None);
                }
                self.ping_at = Some(now + spread(TRUNK_SUSPECT_PING_INTERVAL, jitter));
                None
            }
            State::Out { until, .. } => {
                self.ping_at = Some(until.max(now + spread(rules.recovery, jitter)));
                None
            }
        }
    }

    /// What a call or a subscription met at the peer.
    pub(super) fn handle_failure(
        &mut self,
        now: Instant,
        rules: &Rules,
        failure: Failure,
        retry_after: Option<Duration>,
    ) -> Step {
        let change = match failure {
            Failure::Silent => self.handle_silence(now, rules),
            Failure::Connection => self.handle_broken(now, rules, failure),
            // RFC 3261 §21.5.4: without Retry-After it is as a 500, a word about one request.
            Failure::Unavailable => match retry_after.filter(|wait| !wait.is_zero()) {
                None => None,
                Some(wait) => self.handle_retry_after(now, rules, wait),
            },
        };
        Step { ping: None, change }
    }

    fn handle_silence(&mut self, now: Instant, rules: &Rules) -> Option<bool> {
        // A request that has just failed by silence was sent up to 64·T1 ago: perhaps to the peer
        // as it was before it returned.
        if self.returned.is_some_and(|at| now < at + rules.silence) {
            return None;
        }
        self.handle_broken(now, rules, Failure::Silent)
    }

    fn handle_broken(&mut self, now: Instant, rules: &Rules, failure: Failure) -> Option<bool> {
        match self.state {
            State::InService | State::Suspected { .. } => {
                self.leave(now, rules, Reason::Request(failure), None)
            }
            State::Out { .. } => None,
        }
    }

    fn handle_retry_after(&mut self, now: Instant, rules: &Rules, wait: Duration) -> Option<bool> {
        let wait = wait.min(TRUNK_RETRY_AFTER_MAX);
        match &mut self.state {
            State::InService | State::Suspected { .. } => self.leave(
                now,
                rules,
                Reason::Request(Failure::Unavailable),
                Some(wait),
            ),
            State::Out { until, .. } => {
                *until = (*until).max(now + wait);
                None
            }
        }
    }

    fn leave(
        &mut self,
        now: Instant,
        rules: &Rules,
        reason: Reason,
        retry_after: Option<Duration>,
    ) -> Option<bool> {
        let flapped = self.returned.is_some_and(|at| now < at + TRUNK_FLAP_WINDOW);
        self.relapses = if flapped {
            (self.relapses + 1).min(TRUNK_RELAPSES_MAX)
        } else {
            0
        };
        let least = (TRUNK_OUT_MIN * (1 << self.relapses)).min(TRUNK_OUT_RELAPSE_MAX);
        let asked = match (retry_after, rules.check) {
            (Some(wait), _) => wait,
            // Pings find out when it is back.
            (None, Some(_)) => Duration::ZERO,
            (None, None) => rules.recovery,
        };
        let until = now + least.max(asked);
        self.state = State::Out { until, reason };
        if rules.check.is_some() && self.in_flight.is_none() {
            self.ping_at = Some(until);
        }
        Some(false)
    }

    fn enter(&mut self, now: Instant, rules: &Rules, jitter: &mut Jitter) -> Option<bool> {
        self.state = State::InService;
        self.returned = Some(now);
        self.ping_at = rules.check.map(|check| now + spread(check, jitter));
        Some(true)
    }
}

/// A tenth around the interval, so that peers pinged by many shards and servers drift apart.
fn spread(interval: Duration, jitter: &mut Jitter) -> Duration {
    jitter.between(interval * 9 / 10, interval * 11 / 10)
}
