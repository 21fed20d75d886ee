//! When a station opens calls of its own: as the plan says, as users come back, as limits allow,
//! and not while it is paused.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::limits::{CALLS_MAX, OPENINGS_PER_TURN_MAX};
use super::super::model::Side;
use super::{Station, write_call_id};

/// How long a user waits at least who may not call because of a limit.
const REFUSED_USER_WAIT: Duration = Duration::from_secs(1);

impl Station {
    /// Opens no calls, or goes on with the plan, which waits meanwhile.
    pub fn pause(&mut self, now: Instant) {
        self.is_paused = !self.is_paused;
        if self.is_paused {
            self.schedule.pause(now);
            return;
        }
        self.schedule.go_on(now);
        for (ready, _) in &mut self.idle_users {
            *ready = (*ready).max(now);
        }
    }

    pub(super) fn may_open(&self) -> bool {
        let is_client = self.floor.scenario.side == Side::Client;
        is_client && !self.is_draining && !self.is_paused && !self.has_enough()
    }

    pub(super) fn open_due(&mut self, now: Instant) {
        for _ in 0..OPENINGS_PER_TURN_MAX {
            if !self.may_open() {
                return;
            }
            let (intended, user) = if self.is_closed_loop() {
                match self.idle_users.front().copied() {
                    Some((ready, user)) if ready <= now => (ready, Some(user)),
                    Some(_) | None => return,
                }
            } else {
                match self.schedule.take(now) {
                    Some(intended) => (intended, None),
                    None => return,
                }
            };
            let lateness = now.saturating_duration_since(intended);
            self.floor.statistics.lag.record(lateness);
            if !self.admits() {
                self.floor.statistics.limited += 1;
                if let Some((_, user)) = user.and_then(|_| self.idle_users.pop_front()) {
                    // A user who may not call has had the call, and thinks.
                    let think = self.floor.settings.load.think.max(REFUSED_USER_WAIT);
                    self.rest(now + think, user);
                }
                continue;
            }
            if user.is_some() {
                self.idle_users.pop_front();
            }
            self.open_ours(now, intended, user);
        }
    }

    /// Whether one more call of ours may be; `-l` is for the workers together.
    fn admits(&self) -> bool {
        let settings = &self.floor.settings;
        if self.by_id.len() >= CALLS_MAX {
            return false;
        }
        // Counted without a limit too: one may be set while calls live.
        let limit = settings.load.limit.unwrap_or(usize::MAX);
        let one_more = |calls| (calls < limit).then_some(calls + 1);
        let order = Ordering::Relaxed;
        settings
            .at_once
            .fetch_update(order, order, one_more)
            .is_ok()
    }

    fn open_ours(&mut self, now: Instant, intended: Instant, user: Option<usize>) {
        let settings = Arc::clone(&self.floor.settings);
        let Some(remote) = settings.remote else {
            return;
        };
        let opening = self.opening(intended, remote, true, user);
        let mut id = std::mem::take(&mut self.id);
        id.clear();
        let local = opening.path.local.unwrap_or(settings.local);
        write_call_id(&settings, opening.number, local.ip(), &mut id);
        self.floor.statistics.outgoing += 1;
        let slot = self.open(now, &opening, &id);
        self.id = id;
        let progress = self.slots[slot].call.run(now, &mut self.floor);
        self.settle(now, slot, progress);
    }

    /// A user does nothing until then.
    pub(super) fn rest(&mut self, ready: Instant, user: usize) {
        let place = self.idle_users.partition_point(|(at, _)| *at <= ready);
        self.idle_users.insert(place, (ready, user));
    }
}
