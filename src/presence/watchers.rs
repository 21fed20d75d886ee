//! The watchers of one shard: their inputs, their timers, and their turns at the trunks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::pages::LASTING_BYTES;
use offhook_shards::wheel::{TimerKey, Wheel};

use crate::burst_queue::BurstQueue;
use crate::config::{Config, DnIndex, TrunkIndex};
use crate::counters::Counters;
use crate::dialog::{SubscriptionEvent, SubscriptionKey};
use crate::jitter::Jitter;
use crate::limits::{SUBSCRIPTION_SETTLED, SUBSCRIPTIONS_DOUBTED};
use crate::trunk::{HealthChange, Trunks};

use super::Output;
use super::effort::looked_at;
use super::lines::Lines;
use super::pacing::Pacing;
use super::record::Record;
use super::vote::Lists;
use super::watcher::{Surroundings, Watcher};

/// One watcher for each DN of the shard that is to be watched.
///
/// After every `handle_*` and command drain [`Watchers::poll_output`], then look at
/// [`Watchers::poll_timeout`]. The trunks are those of the same shard.
#[derive(Debug)]
pub struct Watchers {
    pub(super) config: Arc<Config>,
    counters: Arc<Counters>,
    /// Ascending by DN.
    watchers: Vec<Row>,
    pacing: Vec<Pacing>,
    least_expires: Vec<Duration>,
    wheel: Wheel<Timer, LASTING_BYTES>,
    /// At each peer the subscriptions that live there and wait for their refresh.
    standing: Lines,
    jitter: Jitter,
    lists: Lists,
    /// See [`Surroundings`].
    forgetful: Option<(TrunkIndex, u8)>,
    outputs: BurstQueue<Output>,
    /// Who had an input, while somebody wants to know.
    pub(super) touched: Option<Vec<DnIndex>>,
}

#[derive(Debug)]
struct Row {
    watcher: Watcher,
    /// Armed for the watcher's deadline.
    timer: Option<TimerKey>,
}

const _: () = assert!(
    size_of::<Row>() <= 136,
    "with its timers under 1 KB a watched DN"
);

/// What a deadline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// This watcher.
    Watcher(u32),
    /// The next turn at this trunk.
    Turn(TrunkIndex),
}

impl Watchers {
    /// Watches those of `dns` that have trunks for presence. `shards` is their number: they share
    /// the rate of a trunk.
    #[must_use]
    pub fn new(
        now: Instant,
        config: Arc<Config>,
        trunks: &mut Trunks,
        shards: u16,
        dns: impl IntoIterator<Item = DnIndex>,
        seed: u64,
        counters: Arc<Counters>,
    ) -> Self {
        let mut jitter = Jitter::new(seed, 2);
        let mut dns: Vec<DnIndex> = dns
            .into_iter()
            .filter(|dn| config.is_watched(*dn))
            .collect();
        dns.sort_unstable();
        dns.dedup();
        let rows: Vec<Row> = dns
            .into_iter()
            .map(|dn| Row {
                watcher: Watcher::new(dn),
                timer: None,
            })
            .collect();
        let pace = |trunk: &crate::config::Trunk| {
            Pacing::new(now, trunk.subscribe_rate, shards, &mut jitter)
        };
        let mut watchers = Self {
            pacing: config.trunks.iter().map(pace).collect(),
            least_expires: vec![Duration::ZERO; config.trunks.len()],
            wheel: Wheel::new(now),
            standing: Lines::new(rows.len()),
            watchers: rows,
            lists: Lists::new(seed),
            forgetful: None,
            jitter,
            outputs: BurstQueue::default(),
            touched: None,
            counters,
            config,
        };
        for slot in 0..watchers.watchers.len() {
            watchers.with(now, trunks, slot, Watcher::start);
        }
        watchers.arm_turns(now);
        watchers
    }

    /// News of a subscription. That of one which was replaced is ignored.
    pub fn handle(
        &mut self,
        now: Instant,
        trunks: &mut Trunks,
        dn: DnIndex,
        epoch: u32,
        event: SubscriptionEvent,
    ) {
        let Some(slot) = self.slot(dn) else {
            return;
        };
        if self.watchers[slot].watcher.record.epoch == epoch {
            self.with(now, trunks, slot, |watcher, around| {
                watcher.handle(event, around);
            });
            if let Some((trunk, peer)) = self.forgetful.take() {
                self.doubt(now, trunks, trunk, peer);
            }
            self.arm_turns(now);
        }
    }

    /// Notes which subscription an [`Output::Subscribe`] has become; gives back the one that it
    /// replaces.
    pub fn set_subscription(
        &mut self,
        dn: DnIndex,
        epoch: u32,
        key: SubscriptionKey,
    ) -> Option<SubscriptionKey> {
        self.record_mut(dn)?.set_subscription(epoch, key)
    }

    /// Of which of its DN's epochs a subscription is, unless it was replaced or forgotten.
    #[must_use]
    pub fn epoch_of(&self, dn: DnIndex, key: SubscriptionKey) -> Option<u32> {
        self.watcher(dn)?.record.epoch_of(key)
    }

    /// The subscription of a DN, if it is still that one.
    #[must_use]
    pub fn subscription(&self, dn: DnIndex, epoch: u32) -> Option<SubscriptionKey> {
        self.watcher(dn)?.record.subscription(epoch)
    }

    /// As [`Watchers::subscription`], which there is none of from now on.
    pub fn forget_subscription(&mut self, dn: DnIndex, epoch: u32) -> Option<SubscriptionKey> {
        self.record_mut(dn)?.forget_subscription(epoch)
    }

    fn record_mut(&mut self, dn: DnIndex) -> Option<&mut Record> {
        let slot = self.slot(dn)?;
        Some(&mut self.watchers[slot].watcher.record)
    }

    /// A peer has lost a subscription, perhaps all of them, by a restart that no ping has noticed:
    /// those that were asked about longest ago are asked about now. Where they are lost too, each
    /// has others asked about in its turn, at the pace of the trunk; where they are not, it ends
    /// there.
    fn doubt(&mut self, now: Instant, trunks: &mut Trunks, trunk: TrunkIndex, peer: u8) {
        let asked = self
            .config
            .presence
            .expires
            .max(self.least_expires[usize::from(trunk.0)]);
        let recent = now + asked.saturating_sub(SUBSCRIPTION_SETTLED);
        let is_old = |slot: &u32| {
            looked_at();
            let stands = self.watchers[*slot as usize].watcher.stands();
            stands.is_some_and(|(_, ends)| ends < recent)
        };
        let longest_ago = self.standing.at((trunk, peer)).take(SUBSCRIPTIONS_DOUBTED);
        let doubted: Vec<u32> = longest_ago.filter(is_old).collect();
        for slot in doubted {
            self.with(now, trunks, slot as usize, Watcher::refresh);
        }
    }

    /// The user agent had no room for this subscription: it was not sent.
    pub fn handle_full(&mut self, now: Instant, trunks: &mut Trunks, dn: DnIndex, epoch: u32) {
        let Some(slot) = self.slot(dn) else {
            return;
        };
        if self.watchers[slot].watcher.record.epoch == epoch {
            self.with(now, trunks, slot, Watcher::handle_full);
            self.arm_turns(now);
        }
    }

    /// Asks for the state of a DN by a refresh, which the PBX answers with a full NOTIFY
    /// (RFC 6665 §4.2.1.2). Nothing happens while there is no subscription to refresh.
    pub fn refresh_now(&mut self, now: Instant, trunks: &mut Trunks, dn: DnIndex) {
        if let Some(slot) = self.slot(dn) {
            self.with(now, trunks, slot, Watcher::refresh);
            self.arm_turns(now);
        }
    }

    /// A peer left or came back; `trunks` knows it already.
    pub fn handle_change(
        &mut self,
        now: Instant,
        trunks: &mut Trunks,
        trunk: TrunkIndex,
        change: HealthChange,
    ) {
        for slot in 0..self.watchers.len() {
            self.with(now, trunks, slot, |watcher, around| {
                watcher.handle_change(trunk, change, around);
            });
        }
        self.arm_turns(now);
    }

    /// The time that [`Watchers::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant, trunks: &mut Trunks) {
        while let Some((_, timer)) = self.wheel.expire(now) {
            match timer {
                Timer::Watcher(slot) => {
                    let slot = slot as usize;
                    self.watchers[slot].timer = None;
                    self.with(now, trunks, slot, Watcher::handle_timeout);
                }
                Timer::Turn(trunk) => {
                    self.pacing[usize::from(trunk.0)].timer = None;
                    self.give_turns(now, trunks, trunk);
                }
            }
        }
        self.arm_turns(now);
    }

    /// When to call [`Watchers::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// Timers that are armed.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.wheel.len()
    }

    /// What is to be done, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(super) fn watcher(&self, dn: DnIndex) -> Option<&Watcher> {
        self.slot(dn).map(|slot| &self.watchers[slot].watcher)
    }

    pub(super) fn slot(&self, dn: DnIndex) -> Option<usize> {
        self.watchers
            .binary_search_by_key(&dn, |row| row.watcher.record.dn)
            .ok()
    }

    /// Calls one watcher and arms what it wants to be called for.
    pub(super) fn with<T>(
        &mut self,
        now: Instant,
        trunks: &mut Trunks,
        slot: usize,
        input: impl FnOnce(&mut Watcher, &mut Surroundings<'_>) -> T,
    ) -> T {
        let row = &mut self.watchers[slot];
        if let Some(touched) = &mut self.touched {
            touched.push(row.watcher.record.dn);
        }
        let number = slot as u32;
        let mut around = Surroundings {
            now,
            slot: number,
            config: &self.config,
            trunks,
            jitter: &mut self.jitter,
            pacing: &mut self.pacing,
            least_expires: &mut self.least_expires,
            forgetful: &mut self.forgetful,
            lists: &mut self.lists,
            outputs: &mut self.outputs,
            counters: &self.counters,
        };
        let (stood, due) = (row.watcher.stands(), row.watcher.deadline());
        let result = input(&mut row.watcher, &mut around);
        let stands = row.watcher.stands();
        // Who has been granted more time was asked about last.
        let (left, joined) = match (stood, stands) {
            (Some((peer, until)), Some((other, longer))) => {
                let moves = peer != other || until < longer;
                (moves.then_some(peer), moves.then_some(other))
            }
            (stood, stands) => (stood.map(|(peer, _)| peer), stands.map(|(peer, _)| peer)),
        };
        if let Some(peer) = left {
            self.standing.leave(peer, number);
        }
        if let Some(peer) = joined {
            self.standing.join(peer, number);
        }
        let deadline = row.watcher.deadline();
        if due != deadline || row.timer.is_none() {
            if let Some(timer) = row.timer.take() {
                self.wheel.cancel(timer);
            }
            let arm = |at| self.wheel.arm(at, Timer::Watcher(number));
            row.timer = deadline.map(arm);
        }
        result
    }

    /// Lets those at the head of the trunk's lanes send, as far as the pace allows.
    fn give_turns(&mut self, now: Instant, trunks: &mut Trunks, trunk: TrunkIndex) {
        while let Some((lane, ticket)) = self.pacing[usize::from(trunk.0)].call(now) {
            let slot = ticket.slot as usize;
            if !self.watchers[slot].watcher.holds(ticket) {
                continue;
            }
            let sent = self.with(now, trunks, slot, |watcher, around| {
                watcher.handle_turn(trunk, around)
            });
            if sent {
                self.pacing[usize::from(trunk.0)].sent(now, lane);
            }
        }
    }

    /// Sees to it that somebody who waits in a lane is called.
    pub(super) fn arm_turns(&mut self, now: Instant) {
        for (number, pacing) in (0..).zip(&mut self.pacing) {
            if pacing.timer.is_none()
                && let Some(at) = pacing.deadline(now)
            {
                pacing.timer = Some(self.wheel.arm(at, Timer::Turn(TrunkIndex(number))));
            }
        }
    }
}
