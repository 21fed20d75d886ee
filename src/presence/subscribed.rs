//! From the first NOTIFY to the end: a subscription that lives, and its refreshes.

use std::time::{Duration, Instant};

use crate::config::TrunkIndex;
use crate::counters::Counter;
use crate::cti::SubscriptionStatus;
use crate::dialog::SubscriptionEvent;
use crate::limits::{
    PEER_OUT_CHECK_MAX, PEER_OUT_CHECK_MIN, REFRESH_INTERVAL_MIN, RESUBSCRIBE_SPREAD,
    SUBSCRIPTION_SETTLED, TRUNK_WAIT,
};
use crate::sip::Status;
use crate::trunk::Failure;

use super::Output;
use super::backoff::Backoff;
use super::pacing::Lane;
use super::record::Record;
use super::refusal::Refusal;
use super::subscribing::usable;
use super::watcher::{State, Surroundings};

/// A subscription's whereabouts and its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    trunk: TrunkIndex,
    peer: u8,
    /// The lifetime that was asked for, in seconds; no answer makes it longer.
    asked: u32,
    since: Instant,
    expires_at: Instant,
}

impl Life {
    pub(super) fn new(
        trunk: TrunkIndex,
        peer: u8,
        asked: Duration,
        around: &Surroundings<'_>,
    ) -> Self {
        Self {
            trunk,
            peer,
            asked: whole_seconds(asked),
            since: around.now,
            expires_at: around.now,
        }
    }

    fn asked(&self) -> Duration {
        Duration::from_secs(u64::from(self.asked))
    }

    /// That of an earlier process.
    pub(super) fn recalled(
        trunk: TrunkIndex,
        peer: u8,
        expires_at: Instant,
        around: &Surroundings<'_>,
    ) -> Self {
        Self {
            expires_at,
            ..Self::new(trunk, peer, around.expires(trunk), around)
        }
    }

    pub(super) fn place(&self) -> (TrunkIndex, Instant) {
        (self.trunk, self.expires_at)
    }

    pub(super) fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// A 2xx. RFC 6665 §4.2.1.1: it may be shorter than asked, never longer.
    pub(super) fn grant(&mut self, expires: Duration, around: &Surroundings<'_>) {
        self.expires_at = around.now + expires.min(self.asked()).max(REFRESH_INTERVAL_MIN);
    }

    /// A NOTIFY may shorten the lifetime and never extends it; one that says nothing changes
    /// nothing.
    pub(super) fn shorten(&mut self, bound: Option<Instant>) {
        if let Some(bound) = bound {
            self.expires_at = self.expires_at.min(bound);
        }
    }

    /// The bound that a NOTIFY sets.
    pub(super) fn bound(expires: Option<Duration>, now: Instant) -> Option<Instant> {
        expires.map(|expires| now + expires.max(REFRESH_INTERVAL_MIN))
    }

    /// At 0.8 to 0.9 of what is left.
    fn refresh_at(&self, around: &mut Surroundings<'_>) -> Instant {
        let left = self.expires_at.saturating_duration_since(around.now);
        let wait = around.jitter.between(left * 8 / 10, left * 9 / 10);
        around.now + wait.max(REFRESH_INTERVAL_MIN)
    }

    /// What stood for a while makes the next failure the first.
    pub(super) fn settle(&self, record: &mut Record, around: &Surroundings<'_>) {
        if around.now >= self.since + SUBSCRIPTION_SETTLED {
            record.backoff.reset();
        }
    }
}

/// RFC 3261 §20.19: Expires counts whole seconds below 2^32.
pub(super) fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// The peer notifies us.
#[derive(Debug)]
pub(super) struct Active {
    life: Life,
    next: Next,
}

/// When the refresh comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    At(Instant),
    /// It stands in the trunk's lane.
    Queued,
    /// The same, and it is the answer to a 423.
    Corrected,
}

impl Next {
    /// Whether it stands in a lane, which calls it.
    pub(super) fn is_queued(self) -> bool {
        match self {
            Self::At(_) => false,
            Self::Queued | Self::Corrected => true,
        }
    }
}

impl Active {
    pub(super) fn new(life: Life, around: &mut Surroundings<'_>) -> Self {
        let next = Next::At(life.refresh_at(around));
        Self { life, next }
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    /// Whether it stands in a lane, which calls it.
    pub(super) fn is_queued(&self) -> bool {
        self.next.is_queued()
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.next {
            Next::At(at) => at,
            // Whoever is not called in time has nothing left to refresh.
            Next::Queued | Next::Corrected => self.life.expires_at,
        }
    }

    /// The time of the refresh, or of the end, has come.
    pub(super) fn handle_timeout(
        mut self,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        self.life.settle(record, around);
        if self.life.expires_at <= around.now {
            return self.life.start_anew(None, record, around);
        }
        if !around
            .trunks
            .peer_in_service(self.life.trunk, self.life.peer)
        {
            return self.leave_peer(record, around);
        }
        self.queue(record, around);
        State::Active(self)
    }

    fn queue(&mut self, record: &mut Record, around: &mut Surroundings<'_>) {
        record.join(Lane::Refresh, self.life.trunk, around);
        self.next = Next::Queued;
    }

    /// The peer is out: through another one if there is one; else what it said counts until it
    /// expires.
    fn leave_peer(mut self, record: &mut Record, around: &mut Surroundings<'_>) -> State {
        if let Some(route) = record.choose(around) {
            record.forget(around);
            if record.status == SubscriptionStatus::Active {
                record.show(SubscriptionStatus::Pending, around);
            }
            return record.queue(Some(route), around);
        }
        record.show_lost(around);
        let look = around.now + around.jitter.between(TRUNK_WAIT / 2, TRUNK_WAIT);
        self.next = Next::At(look.min(self.life.expires_at));
        State::Active(self)
    }

    /// Its turn.
    pub(super) fn handle_turn(self, record: &mut Record, around: &mut Surroundings<'_>) -> State {
        if self.life.expires_at <= around.now {
            return self.life.start_anew(None, record, around);
        }
        if !around
            .trunks
            .peer_in_service(self.life.trunk, self.life.peer)
        {
            return self.leave_peer(record, around);
        }
        let corrected = match self.next {
            Next::At(_) | Next::Queued => false,
            Next::Corrected => true,
        };
        Refreshing::send(self.life, corrected, record, around)
    }

    /// Asks for the state now.
    pub(super) fn refresh(mut self, record: &mut Record, around: &mut Surroundings<'_>) -> State {
        match self.next {
            Next::At(_) => self.queue(record, around),
            Next::Queued | Next::Corrected => {}
        }
        State::Active(self)
    }

    /// Where it is and when it ends, unless its refresh stands in a lane already.
    pub(super) fn stands(&self) -> Option<((TrunkIndex, u8), Instant)> {
        let peer = (self.life.trunk, self.life.peer);
        (!self.is_queued()).then_some((peer, self.life.expires_at))
    }

    /// A peer of a trunk left or came back. Either is a reason to ask soon how the subscription
    /// stands, if it is there.
    pub(super) fn peer_changed(
        mut self,
        trunk: TrunkIndex,
        peer: u8,
        in_service: bool,
        around: &mut Surroundings<'_>,
    ) -> State {
        let (Next::At(at), true) = (
            self.next,
            (trunk, peer) == (self.life.trunk, self.life.peer),
        ) else {
            return State::Active(self);
        };
        let soon = if in_service {
            around.jitter.below(RESUBSCRIBE_SPREAD)
        } else {
            // It may be back by then: one lost call must not move thousands of subscriptions.
            around
                .jitter
                .between(PEER_OUT_CHECK_MIN, PEER_OUT_CHECK_MAX)
        };
        self.next = Next::At(at.min(around.now + soon));
        State::Active(self)
    }

    pub(super) fn handle(
        mut self,
        event: SubscriptionEvent,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        match event {
            // An answer to a refresh that we had given up.
            SubscriptionEvent::Accepted { expires } => self.life.renewed(expires, record, around),
            SubscriptionEvent::Refused { .. } | SubscriptionEvent::Unreachable => {
                State::Active(self)
            }
            // Timer N ran while the NOTIFY was on its way.
            SubscriptionEvent::NotifyMissing => State::Active(self),
            SubscriptionEvent::Notified {
                state,
                expires,
                body,
            } => {
                let before = self.life.expires_at;
                self.life.shorten(Life::bound(expires, around.now));
                record.notified(state, body.as_ref(), self.life.expires_at, around);
                if self.life.expires_at < before {
                    record.keep_vote_until(self.life.expires_at);
                    self.hasten(around);
                }
                State::Active(self)
            }
        }
    }

    /// The lifetime was shortened.
    fn hasten(&mut self, around: &mut Surroundings<'_>) {
        match self.next {
            Next::At(at) => self.next = Next::At(at.min(self.life.refresh_at(around))),
            Next::Queued | Next::Corrected => {}
        }
    }
}

impl Life {
    /// A refresh was accepted.
    fn renewed(
        mut self,
        expires: Duration,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        self.settle(record, around);
        if expires.is_zero() {
            return self.start_anew(None, record, around);
        }
        self.grant(expires, around);
        record.keep_vote_until(self.expires_at);
        record.show(SubscriptionStatus::Active, around);
        State::Active(Active::new(self, around))
    }

    /// Drops the subscription and begins another. The vote stays for what is left of it.
    fn start_anew(
        self,
        avoid: Option<(TrunkIndex, u8)>,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        self.settle(record, around);
        record.forget(around);
        record.again_but(avoid, around)
    }

    /// The refresh failed and the subscription stands: another try after `wait`, or a new
    /// subscription when this one has run out.
    fn carry_on(self, wait: Duration, around: &Surroundings<'_>) -> State {
        let at = self.expires_at.min(around.now + wait);
        State::Active(Active {
            life: self,
            next: Next::At(at),
        })
    }
}

/// The peer notifies us, and a refresh is sent.
#[derive(Debug)]
pub(super) struct Refreshing {
    life: Life,
    /// Whether a 423 was answered in this attempt.
    corrected: bool,
    overdue: Instant,
}

impl Refreshing {
    pub(super) fn send(
        mut life: Life,
        corrected: bool,
        record: &Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        let expires = around.expires(life.trunk);
        life.asked = whole_seconds(expires);
        around.counters.count(Counter::SubscriptionRefreshed);
        around.outputs.push_back(Output::Refresh {
            dn: record.dn,
            epoch: record.epoch,
            expires,
        });
        State::Refreshing(Box::new(Self {
            life,
            corrected,
            overdue: around.overdue(),
        }))
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    pub(super) fn deadline(&self) -> Instant {
        self.overdue
    }

    pub(super) fn handle_timeout(
        self,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        self.unreachable(record, around)
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        event: SubscriptionEvent,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        match event {
            SubscriptionEvent::Accepted { expires } => self.life.renewed(expires, record, around),
            SubscriptionEvent::Refused {
                status,
                retry_after,
                min_expires,
            } => {
                self.life.settle(record, around);
                self.refused(status, retry_after, min_expires, record, around)
            }
            SubscriptionEvent::Unreachable => self.unreachable(record, around),
            SubscriptionEvent::NotifyMissing => State::Refreshing(self),
            SubscriptionEvent::Notified {
                state,
                expires,
                body,
            } => {
                self.life.shorten(Life::bound(expires, around.now));
                // The refresh's NOTIFY may precede its 2xx. If the lifetime is over by then, the
                // word stands until the outcome of the refresh is known.
                let ended = self.life.expires_at <= around.now;
                let vote_until = if ended {
                    self.overdue
                } else {
                    self.life.expires_at
                };
                record.notified(state, body.as_ref(), vote_until, around);
                State::Refreshing(self)
            }
        }
    }

    /// RFC 6665 §4.1.2.2, RFC 5057 §5.1: the dialog is lost; a new one, with a new Call-ID.
    fn unreachable(self, record: &mut Record, around: &mut Surroundings<'_>) -> State {
        around.counters.count(Counter::SubscriptionFailed);
        record.show_lost(around);
        self.life
            .start_anew(Some((self.life.trunk, self.life.peer)), record, around)
    }

    fn refused(
        self,
        status: Status,
        retry_after: Option<Duration>,
        min_expires: Option<Duration>,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        let life = self.life;
        around.counters.count(Counter::SubscriptionFailed);
        match Refusal::of(status) {
            Refusal::TooBrief => match usable(min_expires, life.asked()) {
                Some(least) if !self.corrected => {
                    around.least_expires[usize::from(life.trunk.0)] = least;
                    record.join(Lane::Refresh, life.trunk, around);
                    State::Active(Active {
                        life,
                        next: Next::Corrected,
                    })
                }
                Some(_) | None => life.refused(status, retry_after, record, around),
            },
            // The peer has lost the dialog, as after a restart.
            Refusal::Unknown => {
                *around.forgetful = Some((life.trunk, life.peer));
                life.settle(record, around);
                record.again(around)
            }
            Refusal::TimedOut => life.start_anew(Some((life.trunk, life.peer)), record, around),
            Refusal::Unavailable => {
                let failure = Failure::Unavailable;
                record.report(life.trunk, life.peer, failure, retry_after, around);
                let wait = record.backoff.next(retry_after, around.jitter);
                life.carry_on(wait, around)
            }
            Refusal::PeerFault | Refusal::Later => {
                let wait = record.backoff.next(retry_after, around.jitter);
                life.carry_on(wait, around)
            }
            Refusal::Lasting => life.refused(status, retry_after, record, around),
        }
    }
}

impl Life {
    /// The PBX does not want us to watch on; what it granted stands until it runs out.
    fn refused(
        self,
        status: Status,
        retry_after: Option<Duration>,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        record.show_failed(&status, around);
        let wait = Backoff::refused(retry_after, around.jitter);
        self.carry_on(wait, around)
    }
}

const _: () = assert!(size_of::<Active>() <= 56, "a watched DN has 1 KB");
