//! What holds while everything happens at once: each rule by its number in docs/TESTING.md. Rules
//! that are read off the wire are in `wire.rs`, those about single event streams and about rest in
//! `checkers.rs`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use offhook::counters::Counter;
use offhook::cti::{CallState, ConnId, EventName};
use offhook_loadgen::population::{EndedBy, Fact, Outcome, Party, Record, Token};

use super::world::World;

/// Both legs of a call end at different moments, over a lossy network up to 64·T1 apart.
const LEGS_APART: Duration = Duration::from_secs(40);

/// What one shard has told and another not yet.
const SHARDS_APART: Duration = Duration::from_secs(1);

/// Phones that dial by themselves mark their tokens.
const DIALLED: u64 = 1 << 63;

/// Contradictions that may still resolve, with the moment at which each was seen first.
#[derive(Debug, Default)]
pub struct Suspects(BTreeMap<String, Instant>);

impl Suspects {
    /// Looks around; what has lasted too long is a fault.
    pub fn look(&mut self, world: &World) -> Result<(), String> {
        let mut found = BTreeMap::new();
        for fault in i13_legs_are_paired(world) {
            found.insert(fault, LEGS_APART);
        }
        for fault in i14_a_call_is_in_one_place(world) {
            found.insert(fault, SHARDS_APART);
        }
        self.0.retain(|fault, _| found.contains_key(fault));
        for (fault, grace) in found {
            let since = *self.0.entry(fault.clone()).or_insert(world.now);
            if world.now > since + grace {
                return Err(fault);
            }
        }
        Ok(())
    }
}

/// I-13: whoever hears somebody is heard by somebody who is still there, and no phone of an agent
/// is in a call that no client knows of.
fn i13_legs_are_paired(world: &World) -> Vec<String> {
    let ends = world.population.ends();
    let mut faults: Vec<String> = Vec::new();
    for end in ends.iter().filter(|end| end.settled) {
        let partner = end.sends_to.or(end.hears).filter(|at| is_place(*at));
        if partner.is_some_and(|at| !ends.iter().any(|other| other.here == at)) {
            faults.push(format!(
                "I-13: {:?} talks to {partner:?}, who is gone",
                end.party
            ));
        }
        let Party::Phone(dn) = &end.party else {
            continue;
        };
        let dials = end.token.is_some_and(|Token(token)| token & DIALLED != 0);
        let is_agent = world.cluster.config.dn(dn).is_some();
        if is_agent && !dials && world.journal.calls_at(dn).is_empty() {
            faults.push(format!(
                "I-13: {dn} is in a call ({}) and no client knows of it",
                end.here
            ));
        }
    }
    for (party, at) in world.population.one_way() {
        faults.push(format!(
            "I-13: {party:?} speaks to {at}, where nobody listens"
        ));
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

/// I-15: a caller of a queue who was answered is let go by the server only when somebody whom it
/// talked to has hung up or was released by a desktop, and is refused by nobody but a router.
pub fn i15_no_caller_is_dropped(world: &World, has_router: bool) -> Result<(), String> {
    let is_queue = |token: Token| {
        world.records.iter().any(|record| match &record.fact {
            Fact::Offered {
                token: of, number, ..
            } => *of == token && number.starts_with("700"),
            _ => false,
        })
    };
    for record in &world.records {
        let Fact::Ended { token, outcome } = &record.fact else {
            continue;
        };
        let dropped = match outcome {
            Outcome::Answered(EndedBy::Server) => !somebody_left(world, *token, record.at),
            Outcome::Refused(_) => !has_router,
            Outcome::Answered(EndedBy::Us | EndedBy::Outage)
            | Outcome::Abandoned
            | Outcome::Lost(_) => false,
        };
        if dropped && is_queue(*token) {
            return Err(format!("I-15: {token:?} was dropped: {outcome:?}"));
        }
    }
    Ok(())
}

/// Whether somebody whom the caller talked to has left of its own accord not long before.
fn somebody_left(world: &World, token: Token, at: Instant) -> bool {
    let recent = |moment: Instant| moment <= at + SHARDS_APART && at < moment + LEGS_APART;
    let hung_up = |record: &&Record| match &record.fact {
        Fact::PhoneEnded { token: of, by, .. } => {
            *of == Some(token) && *by == EndedBy::Us && recent(record.at)
        }
        _ => false,
    };
    let ani = format!("3{:07}", token.0 % 10_000_000);
    let released = world.journal.events.iter().any(|event| {
        let of_caller = event
            .call
            .as_ref()
            .is_some_and(|call| call.ani.as_ref() == Some(&ani));
        let by_itself = match event.call_state {
            Some(CallState::Ok | CallState::Cleared) => true,
            // A router wants the caller to be let go.
            Some(CallState::Dropped) => world.cluster.config.dn(&event.this_dn).is_none(),
            Some(_) | None => false,
        };
        event.name == EventName::Released && of_caller && by_itself && recent(event.at)
    });
    released || world.records.iter().filter(hung_up).count() > 0
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
