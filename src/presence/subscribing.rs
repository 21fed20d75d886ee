//! From nothing to the first NOTIFY: waiting for a turn, SUBSCRIBE sent, SUBSCRIBE accepted.

use std::time::{Duration, Instant};

use crate::config::TrunkIndex;
use crate::dialog::SubscriptionEvent;
use crate::limits::MIN_EXPIRES_MAX;
use crate::sip::Status;
use crate::trunk::{Failure, Route};

use super::pacing::Lane;
use super::record::Record;
use super::refusal::Refusal;
use super::subscribed::{Active, Life};
use super::watcher::{Cause, State, Surroundings};

/// Waits for its turn.
#[derive(Debug)]
pub(super) struct Idle {
    wait: Wait,
}

#[derive(Debug)]
enum Wait {
    /// Not in a lane yet.
    Until {
        at: Instant,
        /// The peer that has just failed it.
        avoid: Option<(TrunkIndex, u8)>,
    },
    /// In the lane of the route's trunk.
    Queued {
        route: Box<Route>,
        /// Whether a 423 was answered in this attempt.
        corrected: bool,
    },
}

impl Idle {
    pub(super) fn queued(route: Route) -> Self {
        Self {
            wait: Wait::Queued {
                route: Box::new(route),
                corrected: false,
            },
        }
    }

    pub(super) fn later(at: Instant, avoid: Option<(TrunkIndex, u8)>) -> Self {
        Self {
            wait: Wait::Until { at, avoid },
        }
    }

    /// Whether it stands in a lane, which calls it.
    pub(super) fn is_queued(&self) -> bool {
        match &self.wait {
            Wait::Until { .. } => false,
            Wait::Queued { .. } => true,
        }
    }

    /// `None` while it stands in a lane.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.wait {
            Wait::Until { at, .. } => Some(*at),
            Wait::Queued { .. } => None,
        }
    }

    pub(super) fn handle_timeout(
        self,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        match self.wait {
            Wait::Until { avoid, .. } => record.queue_but(None, avoid, around),
            Wait::Queued { .. } => State::Idle(self),
        }
    }

    /// Its turn at `trunk`.
    pub(super) fn handle_turn(
        self,
        trunk: TrunkIndex,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        let (mut route, corrected) = match self.wait {
            Wait::Until { .. } => return State::Idle(self),
            Wait::Queued { route, corrected } => (*route, corrected),
        };
        if around.trunks.peer_in_service(route.trunk(), route.peer().0) {
            return record.subscribe(route, corrected, around);
        }
        // The peer went out while we waited.
        match route.next(around.trunks) {
            None => record.queue(None, around),
            Some(_) if route.trunk() == trunk => record.subscribe(route, false, around),
            Some(_) => record.queue(Some(route), around),
        }
    }
}

/// SUBSCRIBE is sent.
#[derive(Debug)]
pub(super) struct Pending {
    route: Box<Route>,
    asked: Duration,
    /// Whether a 423 was answered in this attempt.
    corrected: bool,
    /// A NOTIFY may precede the 2xx (RFC 6665 §4.1.2.4): its bound on the lifetime, if one came.
    notified: Option<Option<Instant>>,
    overdue: Instant,
}

impl Pending {
    pub(super) fn begun(route: Route, asked: Duration, corrected: bool, overdue: Instant) -> State {
        State::Pending(Box::new(Self {
            route: Box::new(route),
            asked,
            corrected,
            notified: None,
            overdue,
        }))
    }

    pub(super) fn deadline(&self) -> Instant {
        self.overdue
    }

    pub(super) fn handle_timeout(
        self,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        record.forget(around);
        record.fail_over(*self.route, None, None, around)
    }

    /// The user agent has no room for it.
    pub(super) fn handle_full(self, record: &mut Record, around: &mut Surroundings<'_>) -> State {
        record.back_off(Cause::Failed, None, around)
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        event: SubscriptionEvent,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        match event {
            SubscriptionEvent::Accepted { expires } => self.accepted(expires, record, around),
            SubscriptionEvent::Refused {
                status,
                retry_after,
                min_expires,
            } => self.refused(status, retry_after, min_expires, record, around),
            SubscriptionEvent::Unreachable => {
                record.forget(around);
                record.fail_over(*self.route, Some(Failure::Silent), None, around)
            }
            SubscriptionEvent::NotifyMissing => {
                record.forget(around);
                record.fail_over(*self.route, None, None, around)
            }
            SubscriptionEvent::Notified {
                state,
                expires,
                body,
            } => {
                let bound = Life::bound(expires, around.now);
                // The 2xx will say how long; until then what was asked for must do.
                let longest = around.now + self.asked;
                let vote_until = bound.map_or(longest, |bound| bound.min(longest));
                record.notified(state, body.as_ref(), vote_until, around);
                self.notified = Some(bound);
                State::Pending(self)
            }
        }
    }

    fn accepted(
        self,
        expires: Duration,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        if expires.is_zero() {
            // Accepted for no time at all is no subscription.
            record.forget(around);
            return record.back_off(Cause::Told, None, around);
        }
        let (peer, _) = self.route.peer();
        let mut life = Life::new(self.route.trunk(), peer, self.asked, around);
        life.grant(expires, around);
        match self.notified {
            None => State::NotifyWait(Box::new(NotifyWait {
                route: self.route,
                life,
                overdue: around.overdue(),
            })),
            Some(bound) => {
                life.shorten(bound);
                record.keep_vote_until(life.expires_at());
                State::Active(Active::new(life, around))
            }
        }
    }

    fn refused(
        self,
        status: Status,
        retry_after: Option<Duration>,
        min_expires: Option<Duration>,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        let failure = Some(Failure::Unavailable);
        match Refusal::of(status) {
            Refusal::TooBrief => match usable(min_expires, self.asked) {
                Some(least) if !self.corrected => {
                    let trunk = self.route.trunk();
                    around.least_expires[usize::from(trunk.0)] = least;
                    record.join(Lane::Refresh, trunk, around);
                    State::Idle(Idle {
                        wait: Wait::Queued {
                            route: self.route,
                            corrected: true,
                        },
                    })
                }
                Some(_) | None => record.refused(&status, retry_after, around),
            },
            Refusal::Unavailable => record.fail_over(*self.route, failure, retry_after, around),
            Refusal::PeerFault | Refusal::TimedOut => {
                record.fail_over(*self.route, None, retry_after, around)
            }
            Refusal::Unknown | Refusal::Later => record.back_off(Cause::Told, retry_after, around),
            Refusal::Lasting => record.refused(&status, retry_after, around),
        }
    }
}

/// A Min-Expires that asks for more than we did, and for no absurd time.
pub(super) fn usable(min_expires: Option<Duration>, asked: Duration) -> Option<Duration> {
    min_expires.filter(|least| *least > asked && *least <= MIN_EXPIRES_MAX)
}

/// SUBSCRIBE is accepted, and no NOTIFY has come.
#[derive(Debug)]
pub(super) struct NotifyWait {
    route: Box<Route>,
    life: Life,
    overdue: Instant,
}

impl NotifyWait {
    pub(super) fn deadline(&self) -> Instant {
        self.overdue
    }

    pub(super) fn handle_timeout(
        self,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        record.forget(around);
        record.fail_over(*self.route, None, None, around)
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        event: SubscriptionEvent,
        record: &mut Record,
        around: &mut Surroundings<'_>,
    ) -> State {
        match event {
            // A second 2xx of the same SUBSCRIBE.
            SubscriptionEvent::Accepted { .. } => State::NotifyWait(self),
            SubscriptionEvent::Refused { retry_after, .. } => {
                record.forget(around);
                record.fail_over(*self.route, None, retry_after, around)
            }
            // A PBX that accepts and does not notify is not dead, but no use either.
            SubscriptionEvent::Unreachable | SubscriptionEvent::NotifyMissing => {
                record.forget(around);
                record.fail_over(*self.route, None, None, around)
            }
            SubscriptionEvent::Notified {
                state,
                expires,
                body,
            } => {
                self.life.shorten(Life::bound(expires, around.now));
                record.notified(state, body.as_ref(), self.life.expires_at(), around);
                State::Active(Active::new(self.life, around))
            }
        }
    }
}
