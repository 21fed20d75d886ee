//! What a profile does to the world while a run is restless: links that are cut, nodes that die and
//! return, hosts that sleep, clocks that are set. All of it is over when `clear` has been called.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook::cti::{AgentWorkMode, DesktopRequest, KeyValueList};
use offhook::sip::Status;

use super::invariants::Suspects;
use super::profile::Profile;
use super::random::Random;
use super::world::{World, callers_address, media_address, node_address};

/// A direction of a link.
type Link = (SocketAddr, SocketAddr);

/// What is out of order.
pub struct Weather {
    profile: Profile,
    random: Random,
    nodes: u16,
    /// In `mixed` runs: whether nodes are cut off.
    pub outages: bool,
    /// In runs with restarts: whether each takes longer than the pings need to notice.
    pub is_noticed: bool,
    /// Nodes that are away, and until when.
    away: BTreeMap<u16, Instant>,
    /// Until when the callers' side of the trunk is dead.
    callers_away: Option<Instant>,
    /// In `swizzle`: what is to be cut, and then what is to be mended.
    to_cut: Vec<Link>,
    to_mend: Vec<Link>,
    /// In `storm`: when whose shift begins.
    shifts: Vec<(Instant, String)>,
    /// In `storm`: when each node restarts.
    restarts: Vec<(Instant, u16)>,
}

impl Weather {
    pub fn new(profile: Profile, mut random: Random, nodes: u16) -> Self {
        Self {
            profile,
            nodes,
            outages: profile == Profile::Mixed && random.below(4) == 0,
            is_noticed: random.below(2) == 0,
            random,
            away: BTreeMap::new(),
            callers_away: None,
            to_cut: Vec::new(),
            to_mend: Vec::new(),
            shifts: Vec::new(),
            restarts: Vec::new(),
        }
    }

    /// How long subscriptions last: a NOTIFY that was swallowed, or a restart that nobody could
    /// notice, is made good by the next refresh and not before.
    pub fn expires(&self) -> &'static str {
        let lasting = match self.profile {
            Profile::Mixed => !self.outages,
            Profile::PbxRestart => self.is_noticed,
            Profile::Lossy
            | Profile::Swizzle
            | Profile::TrunkDeath
            | Profile::SlowEverything
            | Profile::Storm
            | Profile::ClockJumps => false,
        };
        if lasting { "1h" } else { "2m" }
    }

    /// Whether the server's host sleeps now and then.
    pub fn sleeps(&self) -> bool {
        self.profile == Profile::ClockJumps
    }

    /// Before anything else happens.
    pub fn begin(&mut self, world: &mut World) {
        if self.profile != Profile::Storm {
            return;
        }
        let minute = Duration::from_secs(60);
        let agents = world.cluster.config.agents.iter();
        let dns: Vec<String> = agents.map(|agent| agent.dn.to_string()).collect();
        for dn in dns {
            world.phone(&dn).unregister();
            let at = world.now + self.random.between(Duration::ZERO, minute);
            self.shifts.push((at, dn));
        }
        for node in 0..self.nodes {
            let at = world.now + self.random.between(Duration::ZERO, minute / 2);
            self.restarts.push((at, node));
        }
    }

    /// What changes now.
    pub fn strike(&mut self, world: &mut World, suspects: &mut Suspects) {
        self.bring_back(world);
        match self.profile {
            Profile::Lossy | Profile::SlowEverything => {}
            Profile::Mixed => {
                if self.outages && self.one_in(12) {
                    self.cut_or_mend(world, suspects);
                }
            }
            Profile::Swizzle => self.swizzle(world),
            Profile::PbxRestart => {
                if self.one_in(10) {
                    let node = self.node();
                    self.restart(world, suspects, node);
                }
            }
            Profile::TrunkDeath => {
                if self.one_in(12) {
                    self.kill_trunks(world);
                }
            }
            Profile::Storm => self.storm(world, suspects),
            Profile::ClockJumps => self.set_clocks(world),
        }
    }

    /// Everything is as it should be, and stays so.
    pub fn clear(&mut self, world: &mut World) {
        if self.profile == Profile::PbxRestart
            && self.is_noticed
            && let Some(last) = self.away.values().max()
        {
            // A restart that was cut short would not be noticed.
            world.run_for(last.saturating_duration_since(world.now));
        }
        for node in 0..self.nodes {
            self.come_back(world, node);
        }
        self.away.clear();
        self.to_cut.clear();
        self.to_mend.clear();
        for (_, dn) in std::mem::take(&mut self.shifts) {
            begin_shift(world, &dn);
        }
        world.heal();
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.random.below(count) == 0
    }

    fn node(&mut self) -> u16 {
        self.random.below(u64::from(self.nodes)) as u16
    }

    fn seconds(&mut self, from: u64, to: u64) -> Duration {
        let second = Duration::from_secs(1);
        self.random
            .between(from as u32 * second, to as u32 * second)
    }

    fn cut_or_mend(&mut self, world: &mut World, suspects: &mut Suspects) {
        let node = self.node();
        if self.away.remove(&node).is_some() {
            self.come_back(world, node);
        } else {
            let end = world.now + Profile::Mixed.restless();
            self.away.insert(node, end);
            world.connect_node(node, false);
            suspects.cut_off(node);
        }
    }

    fn bring_back(&mut self, world: &mut World) {
        let now = world.now;
        let due: Vec<u16> = self
            .away
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(node, _)| *node)
            .collect();
        for node in due {
            self.away.remove(&node);
            self.come_back(world, node);
        }
        if self.callers_away.take_if(|until| *until <= now).is_some() {
            let server = world.cluster.address;
            world.network.connect(callers_address(), server, true);
        }
    }

    fn come_back(&mut self, world: &mut World, node: u16) {
        world.connect_node(node, true);
        world.population.pbx.set_refusal(node.into(), None);
    }

    /// A node forgets everything, and is away for a while or not.
    fn restart(&mut self, world: &mut World, suspects: &mut Suspects, node: u16) {
        if self.away.contains_key(&node) {
            return;
        }
        let down = match self.is_noticed {
            true => self.seconds(50, 60),
            false => [Duration::ZERO, self.seconds(1, 20)][self.random.below(2) as usize],
        };
        let now = world.now;
        world
            .network
            .remark(now, format!("node {node} restarts, {down:?}"));
        suspects.cut_off(node);
        world.population.pbx.restart(now, node.into());
        if !down.is_zero() {
            world.connect_node(node, false);
            self.away.insert(node, now + down);
        }
    }

    /// One trunk, or all of them: cut, or with 503 for whatever is new.
    fn kill_trunks(&mut self, world: &mut World) {
        let all = self.one_in(3);
        let chosen = self.random.below(u64::from(self.nodes) + 1) as u16;
        let until = world.now + self.seconds(2, 50);
        let server = world.cluster.address;
        if all || chosen == self.nodes {
            world.network.connect(callers_address(), server, false);
            self.callers_away = Some(until);
        }
        for node in (0..self.nodes).filter(|node| all || *node == chosen) {
            match self.random.below(3) {
                0 => {
                    let wait = Some(1 + self.random.below(20) as u32);
                    let wait = wait.filter(|wait| wait % 2 == 0);
                    let refusal = Some((Status::SERVICE_UNAVAILABLE, wait));
                    world.population.pbx.set_refusal(node.into(), refusal);
                }
                _ => world.connect_node(node, false),
            }
            self.away.insert(node, until);
        }
    }

    /// Cuts what was chosen, one after the other; then mends it, in another order.
    fn swizzle(&mut self, world: &mut World) {
        if !self.one_in(3) {
            return;
        }
        if let Some(link) = self.to_cut.pop() {
            world.network.cut.insert(link);
            self.to_mend.push(link);
            if self.to_cut.is_empty() {
                self.shuffle_mending();
            }
        } else if let Some(link) = self.to_mend.pop() {
            world.network.cut.remove(&link);
        } else {
            let server = world.cluster.address;
            let mut places = vec![callers_address(), media_address()];
            places.extend((0..self.nodes).map(node_address));
            for place in places {
                for link in [(place, server), (server, place)] {
                    if self.one_in(2) {
                        let at = self.random.below(self.to_cut.len() as u64 + 1);
                        self.to_cut.insert(at as usize, link);
                    }
                }
            }
        }
    }

    fn shuffle_mending(&mut self) {
        for at in (1..self.to_mend.len()).rev() {
            let other = self.random.below(at as u64 + 1) as usize;
            self.to_mend.swap(at, other);
        }
    }

    fn storm(&mut self, world: &mut World, suspects: &mut Suspects) {
        let now = world.now;
        let (due, later) = std::mem::take(&mut self.shifts)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.shifts = later;
        let due: Vec<(Instant, String)> = due;
        for (_, dn) in due {
            begin_shift(world, &dn);
        }
        let (due, later) = std::mem::take(&mut self.restarts)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.restarts = later;
        let due: Vec<(Instant, u16)> = due;
        for (_, node) in due {
            self.restart(world, suspects, node);
        }
    }

    fn set_clocks(&mut self, world: &mut World) {
        match self.random.below(16) {
            0 | 1 => {
                let by = self.seconds(0, 20 * 3_600);
                world.set_wall(by, self.random.below(2) == 0);
            }
            2 => {
                let by = self.seconds(0, 5);
                world.sleep(by, self.random.below(2) == 0);
            }
            3 => {
                let by = self.seconds(5, 90);
                world.sleep(by, self.random.below(2) == 0);
            }
            _ => {}
        }
    }
}

/// Somebody comes to work: the phone is there, and the desktop says so too.
fn begin_shift(world: &mut World, dn: &str) {
    world.phone(dn).register();
    let work_mode = AgentWorkMode::AutoIn;
    let reasons = KeyValueList::new();
    world.ask(
        dn,
        DesktopRequest::Login {
            agent_id: None,
            work_mode,
            reasons: reasons.clone(),
        },
    );
    world.ask(dn, DesktopRequest::Ready { work_mode, reasons });
}
