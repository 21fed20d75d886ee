//! The agents of one shard: finds the one that an input is about, runs its timers, and collects
//! what comes out. What an agent does with an input is in the sibling files.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::wheel::Wheel;

use crate::call::{self, CallRef};
use crate::config::{Config, DnIndex, QueueIndex, TrunkIndex};
use crate::counters::Counters;
use crate::cti::Event;
use crate::limits::{HOST_LOOK_INTERVAL, HOST_SLEPT_AFTER};
use crate::queue;

use super::state::Agent;
use super::step::{Step, Timer};
use super::visits::Stage;
use super::{Input, Place, Standing};

/// What comes out of the table, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// For clients.
    Event(Box<Event>),
    /// For the call's shard.
    Call(CallRef, call::Input),
    /// For the engine of this shard: a call for the agent to make, answered by `Input::Placed`.
    Place(Box<Place>),
    /// For the queue's shard.
    Queue(QueueIndex, queue::Input),
    /// For the DN's watcher: presence has said NotReady for so long that an idle NOTIFY may have
    /// been missed; a refresh makes the PBX send the full state (RFC 6665 §4.1.2.2).
    RefreshPresence(DnIndex),
}

/// One agent, as checkers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What the votes come to.
    pub effective: Standing,
    /// The vote of presence, as applied.
    pub presence: Option<Standing>,
    /// The vote of the desktop, which the server's wrap-up is a part of.
    pub desktop: Option<Standing>,
    /// Whether presence has said something that is not applied yet.
    pub presence_deferred: bool,
    /// Whether the server's wrap-up is on.
    pub after_call_work: bool,
    /// Whether its queues may pick it.
    pub available: bool,
    /// The oldest call at the DN, and how far it is.
    pub call: Option<(CallRef, Stage)>,
    /// How many calls there are at the DN.
    pub calls: usize,
}

/// The agents of one shard. Drain `poll_output` after every `handle*`, then ask `poll_timeout`.
#[derive(Debug)]
pub struct Agents {
    config: Arc<Config>,
    counters: Arc<Counters>,
    /// Ascending by DN.
    agents: Vec<Agent>,
    /// For each trunk whether it has a peer in service.
    trunks_in_service: Vec<bool>,
    wheel: Wheel<(u32, Timer)>,
    /// When the clock was last looked at.
    looked: Instant,
    /// For how long nobody has looked at it although somebody should have: the host slept.
    slept: Duration,
    outputs: VecDeque<Output>,
    /// Those who had a step, while somebody wants to know.
    touched: Option<BTreeSet<DnIndex>>,
}

impl Agents {
    /// The agents at these DNs, all logged out, behind trunks that are in service.
    #[must_use]
    pub fn new(
        now: Instant,
        config: Arc<Config>,
        dns: impl Iterator<Item = DnIndex>,
        counters: Arc<Counters>,
    ) -> Self {
        let mut agents: Vec<Agent> = dns
            .map(|dn| Agent::new(dn, config.agent_at(dn).settings.login))
            .collect();
        agents.sort_unstable_by_key(Agent::dn);
        Self {
            trunks_in_service: vec![true; config.trunks.len()],
            config,
            counters,
            agents,
            wheel: Wheel::new(now),
            looked: now,
            slept: Duration::ZERO,
            outputs: VecDeque::new(),
            touched: None,
        }
    }

    /// Keeps in mind from now on who had a step.
    pub fn watch_touched(&mut self) {
        self.touched = Some(BTreeSet::new());
    }

    /// Those who had a step since this was last asked.
    pub fn take_touched(&mut self) -> BTreeSet<DnIndex> {
        self.touched
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Writes down how an agent stands; `false`, and nothing, for one of whom nothing is known.
    pub fn remember(&self, dn: DnIndex, out: &mut Vec<u8>) -> bool {
        let login = self.config.agent_at(dn).settings.login;
        self.position(dn)
            .is_some_and(|position| self.agents[position].remember(login, out))
    }

    /// Takes an agent up as an earlier process had written it down; `false` if that cannot be read.
    pub fn recall(&mut self, now: Instant, dn: DnIndex, bytes: &[u8]) -> bool {
        let mut is_taken = false;
        if let Some(position) = self.position(dn) {
            self.step(now, position, |agent, step| {
                is_taken = agent.recall(step, bytes);
            });
        }
        is_taken
    }

    /// Something happened at a DN, which must be one of ours.
    pub fn handle(&mut self, now: Instant, dn: DnIndex, input: Input) {
        let position = self
            .position(dn)
            .expect("the shard owns the DN that it is told about");
        self.step(now, position, |agent, step| {
            agent.handle(step, input);
        });
    }

    /// A trunk has a peer in service, or none. To those who have a way to their phone again calls
    /// come in the order in which they have waited for one.
    pub fn handle_trunk(&mut self, now: Instant, trunk: TrunkIndex, in_service: bool) {
        let known = &mut self.trunks_in_service[usize::from(trunk.0)];
        if *known == in_service {
            return;
        }
        *known = in_service;
        let leads_to = |agent: &Agent| {
            let trunks = &self.config.agent_at(agent.dn()).settings.trunks.trunks;
            trunks.contains(&trunk)
        };
        let mut free: Vec<(Instant, usize)> = self
            .agents
            .iter()
            .enumerate()
            .filter(|(_, agent)| leads_to(agent))
            .filter_map(|(position, agent)| Some((agent.free_since?, position)))
            .collect();
        free.sort_unstable();
        for (_, position) in free {
            self.step(now, position, |_, _| {});
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.look(now);
        while let Some((_, (position, timer))) = self.wheel.expire(now) {
            self.step(now, position as usize, |agent, step| {
                agent.handle_timer(step, timer);
            });
        }
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = self.wheel.next()?;
        Some(due.min(self.looked + HOST_LOOK_INTERVAL))
    }

    /// Timers that are armed.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.wheel.len()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.agents.len()
    }

    /// The next thing to pass on.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How an agent stands; `None` if the DN is not one of ours.
    #[must_use]
    pub fn status(&self, dn: DnIndex) -> Option<Status> {
        self.position(dn)
            .map(|position| self.agents[position].status())
    }

    /// Who is, or would be, logged in at a DN; `None` if the DN is not one of ours.
    #[must_use]
    pub fn agent_id(&self, dn: DnIndex) -> Option<&str> {
        let position = self.position(dn)?;
        Some(self.agents[position].agent_id(&self.config))
    }

    /// The DNs of this table, ascending.
    pub fn dns(&self) -> impl Iterator<Item = DnIndex> {
        self.agents.iter().map(Agent::dn)
    }

    fn position(&self, dn: DnIndex) -> Option<usize> {
        self.agents.binary_search_by_key(&dn, Agent::dn).ok()
    }

    /// Whoever comes first after a sleep notes how long it was, be it a timer or not. However slow
    /// its turns are, a shard whose host is awake looks more often than that.
    fn look(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.looked);
        if !self.wheel.is_empty() && gap > HOST_LOOK_INTERVAL + HOST_SLEPT_AFTER {
            self.slept += gap;
        }
        self.looked = now;
    }

    fn step(&mut self, now: Instant, position: usize, run: impl FnOnce(&mut Agent, &mut Step<'_>)) {
        self.look(now);
        let agent = &mut self.agents[position];
        if let Some(touched) = &mut self.touched {
            touched.insert(agent.dn());
        }
        let mut step = Step {
            now,
            awake: now - self.slept,
            dn: agent.dn(),
            position: u32::try_from(position).expect("AGENTS_MAX fits in 32 bits"),
            config: &self.config,
            trunks_in_service: &self.trunks_in_service,
            wheel: &mut self.wheel,
            outputs: &mut self.outputs,
            counters: &self.counters,
        };
        run(agent, &mut step);
        agent.publish_availability(&mut step);
    }
}
