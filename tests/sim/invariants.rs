//! What holds while everything happens at once: each rule by its number in docs/TESTING.md. Rules
//! that are read off the wire are in `wire.rs`, those about single event streams and about rest in
//! `checkers.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use offhook::config::QueueIndex;
use offhook::counters::Counter;
use offhook::cti::ConnId;
use offhook::limits::CALLS_PER_DN_MAX;
use offhook::sip::Status;
use offhook_loadgen::population::{End, Fact, Outcome, Party, Token};

use super::world::{World, node_address};

/// Both legs of a call end at different moments. Where first the one network is down and then the
/// other, a BYE is heard after almost 64·T1, and so is the one that follows from it.
const LEGS_APART: Duration = Duration::from_secs(72);

/// What one shard has told and another not yet.
const SHARDS_APART: Duration = Duration::from_secs(1);

/// Phones that dial by themselves mark their tokens.
const DIALLED: u64 = 1 << 63;

/// Contradictions that may still resolve.
#[derive(Debug, Default)]
pub struct Suspects {
    /// When each was seen first.
    since: BTreeMap<String, Instant>,
    /// Nodes of the PBX that have been cut off: what they know of their calls may be old.
    cut: BTreeSet<SocketAddr>,
    /// At which node the phone is that has, or had, this place.
    nodes: BTreeMap<SocketAddr, SocketAddr>,
    /// Whose place it is, or was: the call and the phone.
    parties: BTreeMap<SocketAddr, (Option<Token>, Option<String>)>,
}

impl Suspects {
    /// Looks around; what has lasted too long is a fault.
    pub fn look(&mut self, world: &World) -> Result<(), String> {
        if world.sleeps() {
            // Whatever it does not do meanwhile it has its time for when it wakes.
            self.since.clear();
            return Ok(());
        }
        let mut found = BTreeMap::new();
        let ends = world.population.ends();
        let nodes = ends.iter().filter_map(|end| Some((end.here, end.node?)));
        self.nodes.extend(nodes);
        for end in &ends {
            let dn = match &end.party {
                Party::Caller(_) => None,
                Party::Phone(dn) => Some(dn.clone()),
            };
            self.parties.insert(end.here, (end.token, dn));
        }
        for (fault, at) in i13_legs_are_paired(world, &ends) {
            if !at
                .iter()
                .any(|at| self.is_excused(*at) || self.is_cut_short(world, *at))
            {
                found.insert(fault, LEGS_APART);
            }
        }
        i10_bounds_hold(world)?;
        for fault in i14_a_call_is_in_one_place(world) {
            found.insert(fault, SHARDS_APART);
        }
        self.since.retain(|fault, _| found.contains_key(fault));
        for (fault, grace) in found {
            let since = *self.since.entry(fault.clone()).or_insert(world.now);
            if world.now > since + grace {
                return Err(fault);
            }
        }
        Ok(())
    }

    pub fn cut_off(&mut self, node: u16) {
        self.cut.insert(node_address(node));
    }

    /// Whether the network has kept an exchange of whoever is, or was, at this place from coming to
    /// its end.
    fn is_cut_short(&self, world: &World, at: SocketAddr) -> bool {
        self.parties.get(&at).is_some_and(|(token, dn)| {
            let swallowed = &world.network.swallowed;
            swallowed.cut_short(world.now, *token, dn.as_deref())
        })
    }

    /// Whether it is the place of a phone whose node has been cut off, or of nobody who was seen.
    fn is_excused(&self, at: SocketAddr) -> bool {
        let is_caller = matches!(at.ip(), IpAddr::V4(at) if at.octets()[1] >= 0x80);
        let node = self.nodes.get(&at);
        !self.cut.is_empty() && !is_caller && node.is_none_or(|node| self.cut.contains(node))
    }
}

/// I-13: whoever hears somebody is heard by somebody who is still there, and no phone of an agent
/// is in a call that no client knows of. Each fault comes with the places that it is about.
fn i13_legs_are_paired(world: &World, ends: &[End]) -> Vec<(String, Vec<SocketAddr>)> {
    let mut faults = Vec::new();
    for end in ends.iter().filter(|end| end.settled) {
        let partner = end.sends_to.or(end.hears).filter(|at| is_place(*at));
        if let Some(at) = partner.filter(|at| !ends.iter().any(|other| other.here == *at)) {
            let fault = format!("I-13: {:?} talks to {at}, who is gone", end.party);
            faults.push((fault, vec![end.here, at]));
        }
        let Party::Phone(dn) = &end.party else {
            continue;
        };
        let dials = end.token.is_some_and(|Token(token)| token & DIALLED != 0);
        let is_agent = world.cluster.config.dn(dn).is_some();
        if is_agent && !dials && world.journal.calls_at(dn).is_empty() {
            let here = end.here;
            let fault = format!("I-13: {dn} is in a call ({here}) and no client knows of it");
            faults.push((fault, vec![here]));
        }
    }
    for (party, at) in world.population.one_way() {
        let fault = format!("I-13: {party:?} speaks to {at}, where nobody listens");
        let own = ends.iter().filter(|end| end.party == party);
        let places = own.map(|end| end.here).chain([at]).collect();
        faults.push((fault, places));
    }
    faults
}

/// Whether it is a party's place for audio, and no server's.
fn is_place(at: SocketAddr) -> bool {
    match at.ip() {
        IpAddr::V4(address) => address.octets()[1] >= 0x40,
        IpAddr::V6(_) => false,
    }
}

/// I-14: a call rings at one DN at most.
fn i14_a_call_is_in_one_place(world: &World) -> Vec<String> {
    let mut rings: BTreeMap<ConnId, Vec<&str>> = BTreeMap::new();
    for (dn, conn_id) in world.journal.ringing() {
        rings.entry(conn_id).or_default().push(dn);
    }
    rings.retain(|_, dns| dns.len() > 1);
    let fault = |(conn_id, dns): (ConnId, Vec<&str>)| {
        format!("I-14: {conn_id} rings at {}", dns.join(" and "))
    };
    rings.into_iter().map(fault).collect()
}

/// I-16: every call that was offered has ended in one way, by the server's own count.
pub fn i16_calls_are_conserved(world: &World) -> Result<(), String> {
    let count = |counter| world.cluster.count(counter);
    let offered = count(Counter::CallOffered);
    let ends = [
        Counter::CallAnswered,
        Counter::CallAbandoned,
        Counter::CallRefused,
        Counter::CallFailed,
    ];
    let ended: u64 = ends.into_iter().map(count).sum();
    match offered == ended {
        true => Ok(()),
        false => Err(format!(
            "I-16: {offered} calls were offered, {ended} have ended"
        )),
    }
}

/// I-10: nothing holds more than its limit.
fn i10_bounds_hold(world: &World) -> Result<(), String> {
    let config = &world.cluster.config;
    for engine in &world.cluster.engines {
        for (index, queue) in (0..).map(QueueIndex).zip(config.queues.iter()) {
            let waiting = engine.queues().waiting(index).count();
            // Who comes back from an agent is let in even so.
            if waiting > queue.capacity as usize + config.agents.len() {
                let name = &queue.name;
                return Err(format!(
                    "I-10: {waiting} wait in {name}: {}",
                    queue.capacity
                ));
            }
        }
        // One that ends may stand beside the one that follows it.
        let subscriptions = engine.user_agent().subscriptions();
        if subscriptions > 2 * config.agents.len() {
            return Err(format!("I-10: {subscriptions} subscriptions"));
        }
    }
    let mut dns = config.agents.iter().map(|agent| agent.dn.to_string());
    match dns.find(|dn| world.journal.calls_at(dn).len() > CALLS_PER_DN_MAX) {
        Some(dn) => Err(format!("I-10: {dn} shows too many calls")),
        None => Ok(()),
    }
}

/// I-10: while calls are shed, that is new ones: nobody who has heard anything of the call is
/// refused as one too many. (`Wire::response_sent` looks after what goes on in calls.)
pub fn i10_new_calls_are_shed(world: &World) -> Result<(), String> {
    let mut heard = BTreeSet::new();
    let mut shed = 0;
    for record in &world.records {
        if let Fact::Progress { token, .. } = &record.fact {
            heard.insert(*token);
        }
        let Fact::Ended { token, outcome } = &record.fact else {
            continue;
        };
        if *outcome != Outcome::Refused(Status::SERVICE_UNAVAILABLE.0) {
            continue;
        }
        shed += 1;
        if heard.contains(token) {
            return Err(format!("I-10: {token:?} is shed while it waits"));
        }
    }
    match world.cluster.count(Counter::InviteDraining) {
        counted if counted >= shed => Ok(()),
        counted => Err(format!(
            "I-10: {shed} calls were shed, {counted} are counted"
        )),
    }
}

/// I-10: a run is far below every limit of the server, so nobody is turned away because of one.
pub fn i10_nothing_is_shed(world: &World) -> Result<(), String> {
    let limits = [
        Counter::InviteOverload,
        Counter::RequestOverload,
        Counter::TransmitOverflow,
        Counter::FarEndsFull,
        Counter::CallNotShown,
        Counter::PingSkipped,
        Counter::MessageTooLarge,
        Counter::NotifyTooLarge,
    ];
    let shed = |counter: &Counter| world.cluster.count(*counter) > 0;
    match limits.into_iter().find(shed) {
        None => Ok(()),
        Some(counter) => Err(format!(
            "I-10: {counter:?} in a run that is below every limit"
        )),
    }
}
