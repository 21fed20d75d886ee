//! The agents' side of a queue: who may be picked, and in which order. An agent who was picked is
//! gone from here until it says again that it is available, and is never picked twice at once, not
//! even when that word overtakes the outcome of the first offer.
//!
//! Agents who can do the same form a group, in the order in which they are served. For each class
//! of callers the groups that will do are kept in the order of their first agents, so that the
//! next agent for a class is found without looking at the others, and a change of one agent
//! touches only the classes of its group, and only if it comes to be, or was, the group's first.
//! The order is the strategy; nothing else is decided here.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::config::{Config, DnIndex, ProfileIndex, QueueIndex, Strategy};
use crate::cti::ConnId;

use super::bits::Bits;
use super::effort::compared;
use super::waiting::offset;

/// The place of an idle agent among others: the lowest is served first. From the highest bits
/// down it is what the strategy counts (32), since when the agent is idle in nanoseconds from the
/// start of the queue (64), and who it is (32). One number is compared at once, and a node of the
/// sets takes three lines of the cache; the sets are large, and that is what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rank(u128);

impl Rank {
    fn new(count: u32, since: i64, dn: DnIndex) -> Self {
        // Moments before the start come before those after it.
        let since = since.cast_unsigned() ^ (1 << 63);
        Self(u128::from(count) << 96 | u128::from(since) << 32 | u128::from(dn.0))
    }

    /// The same agent where it has so many of the levels that count: the more, the earlier.
    fn with_levels(self, levels: u16) -> Self {
        let before = u32::from(u16::MAX - levels);
        Self(self.0 + (u128::from(before) << 96))
    }

    fn dn(self) -> DnIndex {
        DnIndex(self.0 as u32)
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        compared();
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Agents who can do the same.
#[derive(Debug)]
struct Group {
    idle: BTreeSet<Rank>,
    /// The classes for which they will do, with the levels that count there.
    classes: Box<[(u16, u16)]>,
}

/// What the queue knows of one agent.
#[derive(Debug, Clone, Copy)]
struct Known {
    group: u32,
    /// Idle since then, unless it is unavailable or was picked since it said so.
    idle_since: Option<Instant>,
    /// The call of this queue that it is being offered.
    offered: Option<ConnId>,
    /// The number of its last offer.
    last_offer: u32,
    /// Calls of this queue that it has answered today.
    answered: u32,
    /// Whether it is logged in.
    is_present: bool,
}

/// The agents of a queue. Every operation is O(log n) in the number of agents.
#[derive(Debug)]
pub(super) struct Ready {
    strategy: Strategy,
    /// When the queue began.
    start: Instant,
    /// Ascending, and `known` in the same order.
    dns: Box<[DnIndex]>,
    known: Box<[Known]>,
    groups: Vec<Group>,
    /// For each class the first agents of the groups that have somebody idle.
    classes: Vec<BTreeSet<Rank>>,
    /// The classes for which somebody is idle.
    served: Bits,
    /// Agents of other queues whom a router has chosen for a call of this one.
    guests: BTreeMap<DnIndex, ConnId>,
    offers: u32,
    idle: usize,
    present: usize,
}

impl Ready {
    /// The agents of a queue, none of them available yet.
    pub(super) fn new(now: Instant, config: &Config, queue: QueueIndex) -> Self {
        let queue = config.queue_at(queue);
        let mut numbers: BTreeMap<ProfileIndex, u32> = BTreeMap::new();
        let mut groups = Vec::new();
        let known = queue.agents.iter().map(|dn| {
            let profile = config.agent_at(*dn).settings.profile;
            let group = *numbers.entry(profile).or_insert_with(|| {
                groups.push(Group {
                    idle: BTreeSet::new(),
                    classes: classes_of(config, queue, profile),
                });
                u32::try_from(groups.len() - 1).expect("there are no more groups than agents")
            });
            Known {
                group,
                idle_since: None,
                offered: None,
                last_offer: 0,
                answered: 0,
                is_present: false,
            }
        });
        let known = known.collect();
        Self {
            strategy: queue.strategy,
            start: now,
            dns: queue.agents.clone().into(),
            known,
            groups,
            classes: vec![BTreeSet::new(); queue.requirements.len()],
            served: Bits::new(queue.requirements.len()),
            guests: BTreeMap::new(),
            offers: 0,
            idle: 0,
            present: 0,
        }
    }

    /// The agent's word: available since then, or not.
    pub(super) fn say(&mut self, dn: DnIndex, idle_since: Option<Instant>) {
        self.change(dn, |known| known.idle_since = idle_since);
    }

    /// The agent is being offered a call; its word is used up.
    pub(super) fn pick(&mut self, dn: DnIndex, conn_id: ConnId) {
        assert!(
            !self.is_offered(dn),
            "an agent is offered one call of a queue at a time"
        );
        let last_offer = self.next_offer();
        let ours = self.change(dn, |known| {
            *known = Known {
                idle_since: None,
                offered: Some(conn_id),
                last_offer,
                ..*known
            }
        });
        if !ours {
            self.guests.insert(dn, conn_id);
        }
    }

    /// The offer came to an end, whichever.
    pub(super) fn settle(&mut self, dn: DnIndex, conn_id: ConnId) {
        let ours = self.change(dn, |known| {
            if known.offered == Some(conn_id) {
                known.offered = None;
            }
        });
        if !ours && self.guests.get(&dn) == Some(&conn_id) {
            self.guests.remove(&dn);
        }
    }

    /// Whether the agent is being offered a call of this queue.
    pub(super) fn is_offered(&self, dn: DnIndex) -> bool {
        match self.position(dn) {
            Some(position) => self.known[position].offered.is_some(),
            None => self.guests.contains_key(&dn),
        }
    }

    /// The classes for which somebody may be picked.
    pub(super) fn served(&self) -> &Bits {
        &self.served
    }

    /// The agent whose turn it is for a class: one of the few to be passed over only if there is
    /// nobody else.
    pub(super) fn first_for(&mut self, class: usize, passed_over: &[DnIndex]) -> Option<DnIndex> {
        let first = self.first(class)?;
        if !passed_over.contains(&first) {
            return Some(first);
        }
        let idle_since = |dn: &DnIndex| {
            let known = &self.known[self.position(*dn)?];
            known.idle_since.map(|since| (*dn, since))
        };
        let aside: Vec<(DnIndex, Instant)> = passed_over.iter().filter_map(idle_since).collect();
        for (dn, _) in &aside {
            self.say(*dn, None);
        }
        let other = self.first(class);
        for (dn, since) in aside {
            self.say(dn, Some(since));
        }
        Some(other.unwrap_or(first))
    }

    fn first(&self, class: usize) -> Option<DnIndex> {
        self.classes[class].first().map(|first| first.dn())
    }

    /// The agent has answered a call of this queue.
    pub(super) fn answered(&mut self, dn: DnIndex) {
        self.change(dn, |known| {
            known.answered = known.answered.saturating_add(1);
        });
    }

    /// Nobody has answered anything today.
    pub(super) fn begin_day(&mut self) {
        for position in 0..self.dns.len() {
            self.change(self.dns[position], |known| known.answered = 0);
        }
    }

    /// The agent has logged in or out.
    pub(super) fn set_present(&mut self, dn: DnIndex, present: bool) {
        if let Some(position) = self.position(dn) {
            let known = &mut self.known[position];
            self.present -= usize::from(known.is_present);
            self.present += usize::from(present);
            known.is_present = present;
        }
    }

    /// Whether any agent of the queue is logged in.
    pub(super) fn is_anybody_present(&self) -> bool {
        self.present > 0
    }

    /// How many may be picked.
    pub(super) fn len(&self) -> usize {
        self.idle
    }

    /// The number of the next offer. When the numbers run out, all agents count as never picked.
    fn next_offer(&mut self) -> u32 {
        if let Some(next) = self.offers.checked_add(1) {
            self.offers = next;
            return next;
        }
        for position in 0..self.dns.len() {
            self.change(self.dns[position], |known| known.last_offer = 0);
        }
        self.offers = 1;
        1
    }

    /// Where an agent is in `dns`. Whoever fills a queue usually does so with directory numbers in
    /// one range, so the first look is at where the agent would be then; a search through many
    /// agents is a miss of the cache for each of its steps.
    fn position(&self, dn: DnIndex) -> Option<usize> {
        let among_all = dn.0.checked_sub(self.dns.first()?.0)? as usize;
        if self.dns.get(among_all) == Some(&dn) {
            return Some(among_all);
        }
        let before = &self.dns[..among_all.min(self.dns.len())];
        before.binary_search(&dn).ok()
    }

    /// Keeps the groups and classes true to what is known of an agent; `false` if it is none of
    /// the queue's.
    fn change(&mut self, dn: DnIndex, change: impl FnOnce(&mut Known)) -> bool {
        let Some(position) = self.position(dn) else {
            return false;
        };
        let mut known = self.known[position];
        let group = known.group as usize;
        let before = self.groups[group].idle.first().copied();
        if let Some(rank) = self.rank(dn, &known) {
            self.groups[group].idle.remove(&rank);
            self.idle -= 1;
        }
        change(&mut known);
        self.known[position] = known;
        if let Some(rank) = self.rank(dn, &known) {
            self.groups[group].idle.insert(rank);
            self.idle += 1;
        }
        let after = self.groups[group].idle.first().copied();
        if before != after {
            self.change_first(group, before, after);
        }
        true
    }

    /// Where an agent stands, if it may be picked.
    fn rank(&self, dn: DnIndex, known: &Known) -> Option<Rank> {
        let idle_since = known.idle_since.filter(|_| known.offered.is_none())?;
        let (count, since) = match self.strategy {
            // For the most skilled a class puts the levels there.
            Strategy::LongestIdle | Strategy::MostSkilled => (0, offset(self.start, idle_since)),
            Strategy::RoundRobin => (known.last_offer, 0),
            Strategy::LeastCallsToday => (known.answered, offset(self.start, idle_since)),
        };
        Some(Rank::new(count, since, dn))
    }

    /// Another agent is the first of a group, or none is.
    fn change_first(&mut self, group: usize, before: Option<Rank>, after: Option<Rank>) {
        for &(class, levels) in &self.groups[group].classes {
            let class = usize::from(class);
            let place = |first: Rank| match self.strategy {
                Strategy::MostSkilled => first.with_levels(levels),
                Strategy::LongestIdle | Strategy::RoundRobin | Strategy::LeastCallsToday => first,
            };
            let firsts = &mut self.classes[class];
            if let Some(first) = before {
                firsts.remove(&place(first));
            }
            if let Some(first) = after {
                firsts.insert(place(first));
            }
            self.served.set(class, !firsts.is_empty());
        }
    }
}

/// The classes of a queue for which a profile will do, with the levels that count there.
fn classes_of(
    config: &Config,
    queue: &crate::config::Queue,
    profile: ProfileIndex,
) -> Box<[(u16, u16)]> {
    let levels = &config.profiles[profile.0 as usize];
    let classes = (0_u16..).zip(&queue.requirements);
    let met = classes.filter_map(|(class, requirement)| {
        let required = config.requirement_at(*requirement);
        let counted = match queue.strategy {
            Strategy::MostSkilled => u16::try_from(levels.sum(required))
                .expect("AGENT_SKILLS_MAX levels of at most SKILL_LEVEL_MAX fit in 16 bits"),
            Strategy::LongestIdle | Strategy::RoundRobin | Strategy::LeastCallsToday => 0,
        };
        levels.meets(required).then_some((class, counted))
    });
    met.collect()
}

#[cfg(test)]
mod tests;
