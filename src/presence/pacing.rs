//! The order and the pace in which one shard's DNs send SUBSCRIBEs to one trunk.
//!
//! A start or a restart makes thousands of them due at once, and a PBX drops what comes too fast.
//! They wait in two lanes: refreshes first, because theirs have a deadline, but a new subscription
//! gets a turn after a few of them. Each lane is first come, first served.

use std::time::{Duration, Instant};

use offhook_shards::wheel::TimerKey;

use crate::burst_queue::BurstQueue;
use crate::jitter::Jitter;
use crate::limits::{REFRESHES_IN_A_ROW_MAX, SUBSCRIBE_INTERVAL_MAX};

/// Which lane a DN waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// SUBSCRIBEs that keep a subscription, or finish an attempt that has had its turn.
    Refresh,
    /// New subscriptions.
    New,
}

/// A place in a lane. It is void when the watcher has drawn another since, or waits no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Which watcher of the shard.
    pub(super) slot: u32,
    /// Counts the tickets that the watcher has drawn.
    pub(super) number: u32,
}

/// The lanes to one trunk.
#[derive(Debug)]
pub(super) struct Pacing {
    interval: Duration,
    /// When the next SUBSCRIBE may go.
    open_at: Instant,
    refresh: BurstQueue<Ticket>,
    new: BurstQueue<Ticket>,
    refreshes_in_a_row: u32,
    /// The timer of the next turn.
    pub(super) timer: Option<TimerKey>,
}

impl Pacing {
    /// The trunk's rate is shared by all shards; a shard's share is one a second at least. Shards
    /// that start together begin at different moments.
    pub(super) fn new(now: Instant, rate: u32, shards: u16, jitter: &mut Jitter) -> Self {
        let share = Duration::from_secs(u64::from(shards.max(1))) / rate.max(1);
        let interval = share.clamp(Duration::from_micros(1), SUBSCRIBE_INTERVAL_MAX);
        Self {
            interval,
            open_at: now + jitter.below(interval),
            refresh: BurstQueue::default(),
            new: BurstQueue::default(),
            refreshes_in_a_row: 0,
            timer: None,
        }
    }

    pub(super) fn join(&mut self, lane: Lane, ticket: Ticket) {
        match lane {
            Lane::Refresh => self.refresh.push_back(ticket),
            Lane::New => self.new.push_back(ticket),
        }
    }

    /// When to look for a turn; `None` when nobody waits.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let waits = !(self.refresh.is_empty() && self.new.is_empty());
        waits.then(|| self.open_at.max(now))
    }

    /// The next in line, if one may go now. Tell [`Pacing::sent`] if it went.
    pub(super) fn call(&mut self, now: Instant) -> Option<(Lane, Ticket)> {
        if now < self.open_at {
            return None;
        }
        let overdue = self.refreshes_in_a_row >= REFRESHES_IN_A_ROW_MAX && !self.new.is_empty();
        if !overdue && let Some(ticket) = self.refresh.pop_front() {
            return Some((Lane::Refresh, ticket));
        }
        self.new.pop_front().map(|ticket| (Lane::New, ticket))
    }

    /// The one that was called has sent its SUBSCRIBE.
    pub(super) fn sent(&mut self, now: Instant, lane: Lane) {
        // A timer that is a little late does not shift those after it; one that is very late does
        // not make up for what it missed.
        self.open_at = (self.open_at + self.interval).max(now);
        self.refreshes_in_a_row = match lane {
            Lane::Refresh => self.refreshes_in_a_row.saturating_add(1),
            Lane::New => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use offhook_shards::clock::Clock;

    use super::*;

    fn ticket(slot: u32) -> Ticket {
        Ticket { slot, number: 1 }
    }

    fn run(pacing: &mut Pacing, mut now: Instant) -> Vec<(Instant, u32)> {
        let mut sent = Vec::new();
        while let Some(at) = pacing.deadline(now) {
            now = at;
            let (lane, ticket) = pacing.call(now).expect("the deadline is when one may go");
            pacing.sent(now, lane);
            sent.push((now, ticket.slot));
        }
        sent
    }

    #[test]
    fn the_share_of_a_shard_is_kept_and_is_one_a_second_at_least() {
        let start = Clock.now();
        for (rate, shards, interval_ms) in [(50, 1, 20), (50, 4, 80), (2, 8, 1_000), (0, 1, 1_000)]
        {
            let mut pacing = Pacing::new(start, rate, shards, &mut Jitter::new(3, 0));
            (0..50).for_each(|slot| pacing.join(Lane::New, ticket(slot)));
            let sent = run(&mut pacing, start);
            assert_eq!(sent.len(), 50);
            assert!(sent[0].0 < start + Duration::from_millis(interval_ms));
            for pair in sent.windows(2) {
                assert_eq!(pair[1].0 - pair[0].0, Duration::from_millis(interval_ms));
            }
        }
    }

    #[test]
    fn refreshes_pass_but_do_not_starve_new_subscriptions() {
        let start = Clock.now();
        let mut pacing = Pacing::new(start, 10, 1, &mut Jitter::new(3, 0));
        (100..104).for_each(|slot| pacing.join(Lane::New, ticket(slot)));
        (0..8).for_each(|slot| pacing.join(Lane::Refresh, ticket(slot)));
        let order: Vec<u32> = run(&mut pacing, start)
            .into_iter()
            .map(|(_, slot)| slot)
            .collect();
        assert_eq!(order, [0, 1, 2, 100, 3, 4, 5, 101, 6, 7, 102, 103]);
    }

    #[test]
    fn a_stall_is_not_made_up_for() {
        let start = Clock.now();
        let mut pacing = Pacing::new(start, 10, 1, &mut Jitter::new(3, 0));
        (0..20).for_each(|slot| pacing.join(Lane::New, ticket(slot)));
        let late = start + Duration::from_secs(10);
        let mut burst = 0;
        while let Some((lane, _)) = pacing.call(late) {
            pacing.sent(late, lane);
            burst += 1;
        }
        assert_eq!(burst, 2);
    }
}
