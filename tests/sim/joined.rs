//! Which calls people have made one, by REFER or INVITE with Replaces, and what follows for those
//! in them: whoever is left by somebody of a joined call may be let go, and nobody else (I-15).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use offhook::config::Address;
use offhook::counters::Counter;
use offhook::cti::{CallState, Event, EventName};
use offhook::sip::Status;
use offhook_loadgen::population::{End, EndedBy, Fact, Outcome, Record, Token};

use super::floor;
use super::world::World;

/// Both legs of a call end at different moments, over a lossy network up to 64·T1 apart.
const LEGS_APART: Duration = Duration::from_secs(40);

/// What one shard has told and another not yet.
const SHARDS_APART: Duration = Duration::from_secs(1);

/// Calls that belong together.
#[derive(Debug, Default)]
pub struct Joined {
    pairs: Vec<(Token, Token)>,
    /// Calls that were joined with one that carries no token: a desktop's.
    with_unknown: BTreeSet<Token>,
    /// Who came to take a place, and whose.
    newcomers: BTreeMap<Token, Option<Token>>,
    /// Of these, who came to take the place of a phone.
    at_phones: BTreeSet<Token>,
}

impl Joined {
    /// Two calls of one phone shall become one.
    pub fn join(&mut self, one: Option<Token>, other: Option<Token>) {
        match (one, other) {
            (Some(one), Some(other)) => self.pairs.push((one, other)),
            (Some(known), None) | (None, Some(known)) => {
                self.with_unknown.insert(known);
            }
            (None, None) => {}
        }
    }

    /// Somebody comes for a place in a call.
    pub fn comes(&mut self, newcomer: Token, place: Option<Token>, is_phones: bool) {
        self.join(Some(newcomer), place);
        if is_phones {
            self.at_phones.insert(newcomer);
        }
        self.newcomers.insert(newcomer, place);
    }

    /// Who hears each other is in one call, whatever calls they came by.
    pub fn listen(&mut self, ends: &[End]) {
        for end in ends {
            let others = ends.iter().filter(|other| other.talks_with(end));
            for other in others.filter(|other| other.token != end.token) {
                let pair = (end.token, other.token);
                if let (Some(one), Some(another)) = pair
                    && self.pairs.contains(&(one, another))
                {
                    continue;
                }
                self.join(end.token, other.token);
            }
        }
    }

    /// The call in whose conversation somebody is: whoever has taken a caller's place came into
    /// that of the place, and goes back to a queue only where that one came from one. `None` for a
    /// desktop's, and for who has taken a phone's place: that one is nobody's customer.
    fn origin(&self, token: Token) -> Option<Token> {
        let mut origin = token;
        for _ in 0..=self.newcomers.len() {
            if self.at_phones.contains(&origin) {
                return None;
            }
            match self.newcomers.get(&origin) {
                Some(place) => origin = (*place)?,
                None => return Some(origin),
            }
        }
        None
    }

    /// Every call that may have become one with this.
    fn family(&self, token: Token) -> BTreeSet<Token> {
        let mut family = BTreeSet::from([token]);
        loop {
            let before = family.len();
            for (one, other) in &self.pairs {
                if family.contains(one) || family.contains(other) {
                    family.extend([*one, *other]);
                }
            }
            if family.len() == before {
                return family;
            }
        }
    }

    /// I-15: a caller of a queue who was answered is let go by the server only when somebody whom
    /// it talked to has hung up, was released by a desktop, or has given the place to another, or a
    /// limit of a queue says so; and is refused by nobody but a router or such a limit.
    pub fn i15_no_caller_is_dropped(&self, world: &World, has_router: bool) -> Result<(), String> {
        let queue = |token: Token| {
            world.records.iter().find_map(|record| match &record.fact {
                Fact::Offered {
                    token: of, number, ..
                } if *of == token && number.starts_with("700") => Some(number),
                _ => None,
            })
        };
        for record in &world.records {
            let Fact::Ended { token, outcome } = &record.fact else {
                continue;
            };
            let Some(number) = self.origin(*token).and_then(queue) else {
                continue;
            };
            let dropped = match outcome {
                Outcome::Answered(EndedBy::Server) => !self.somebody_left(world, *token, record.at),
                Outcome::Refused(status) => {
                    let is_newcomer = self.newcomers.contains_key(token);
                    // Held by `i10_new_calls_are_shed`.
                    let is_shed = world.cluster.count(Counter::InviteDraining) > 0
                        && *status == Status::SERVICE_UNAVAILABLE.0;
                    // By a desktop, when somebody had picked the call up and was not connected yet.
                    let is_cleared = self.was_cleared(world, *token, record.at);
                    let may = is_shed || is_cleared || floor::may_refuse(number, *status);
                    !has_router && !is_newcomer && !may
                }
                Outcome::Answered(EndedBy::Us | EndedBy::Outage)
                | Outcome::Abandoned
                | Outcome::Lost(_) => false,
            };
            let swallowed = &world.network.swallowed;
            if dropped && !swallowed.cut_short(record.at, Some(*token), None) {
                return Err(format!("I-15: {token:?} was dropped: {outcome:?}"));
            }
        }
        Ok(())
    }

    /// Whether a desktop has let go not long before who had taken the caller's place, or its call.
    fn was_cleared(&self, world: &World, token: Token, at: Instant) -> bool {
        let told_by = world.network.swallowed.told_by(at, SHARDS_APART);
        let recent = |moment: Instant| moment <= told_by && at < moment + LEGS_APART;
        let is_picked_up = self.newcomers.values().any(|place| *place == Some(token));
        let family = self.family(token);
        let is_unknown = family.iter().any(|of| self.with_unknown.contains(of));
        is_picked_up && was_released(world, (&family, is_unknown), recent)
    }

    /// Whether somebody whom the caller talked to has left of its own accord not long before.
    fn somebody_left(&self, world: &World, token: Token, at: Instant) -> bool {
        let told_by = world.network.swallowed.told_by(at, SHARDS_APART);
        let recent = |moment: Instant| moment <= told_by && at < moment + LEGS_APART;
        let family = self.family(token);
        let is_unknown = family.iter().any(|of| self.with_unknown.contains(of));
        let is_family = |of: Option<Token>| of.map_or(is_unknown, |of| family.contains(&of));
        let left = |record: &Record| match &record.fact {
            Fact::PhoneEnded {
                token: of,
                by: EndedBy::Us,
                dn,
            } => is_family(*of) && !was_transferred(world, dn, record.at),
            Fact::Ended {
                token: of,
                outcome: Outcome::Answered(EndedBy::Us),
            } => *of != token && family.contains(of),
            // Whose call it has picked up, before they were connected.
            Fact::Ended {
                token: of,
                outcome: Outcome::Abandoned,
            } => self.newcomers.get(&token) == Some(&Some(*of)),
            _ => false,
        };
        // A caller who hangs up has left when its BYE is answered, which may take its time.
        let in_time = |record: &Record| match &record.fact {
            Fact::Ended { .. } => at < record.at + LEGS_APART && record.at < at + LEGS_APART,
            _ => recent(record.at),
        };
        let mut records = world.records.iter();
        // Its place is another's from when the server says so, heard or not.
        let is_given = |newcomer: &Token| {
            let accepted = world.network.swallowed.accepted(*newcomer);
            accepted.is_some_and(recent)
        };
        let mut newcomers = self.newcomers.iter();
        records.any(|record| in_time(record) && left(record))
            || newcomers.any(|(newcomer, place)| *place == Some(token) && is_given(newcomer))
            || was_released(world, (&family, is_unknown), recent)
    }
}

/// Whether a phone left because its REFER had succeeded.
fn was_transferred(world: &World, dn: &str, at: Instant) -> bool {
    world.records.iter().any(|record| match &record.fact {
        Fact::Referred {
            dn: Some(of),
            status: 200,
            ..
        } => of == dn && record.at == at,
        _ => false,
    })
}

/// Whether a desktop, a router or a queue's limit wanted one of the calls to end. The callers of
/// calls without a token are agents.
fn was_released(
    world: &World,
    (family, is_unknown): (&BTreeSet<Token>, bool),
    recent: impl Fn(Instant) -> bool,
) -> bool {
    let mut calling: Vec<String> = Vec::new();
    for token in family {
        calling.push(format!("3{:07}", token.0 % 10_000_000));
        calling.extend(world.records.iter().find_map(|record| match &record.fact {
            Fact::Dialled { token: of, dn, .. } if of == token => Some(dn.clone()),
            _ => None,
        }));
    }
    let mut events = world.journal.events.iter().enumerate();
    events.any(|(index, event)| {
        let ani = event.call.as_ref().and_then(|call| call.ani.as_ref());
        let of_caller = ani.is_some_and(|ani| {
            calling.iter().any(|one| one == ani)
                || is_unknown && world.cluster.config.dn(ani).is_some()
        });
        let by_itself = match event.call_state {
            Some(CallState::Ok | CallState::Cleared) => true,
            // A router wants the caller to be let go, or the queue has a limit that says so.
            Some(CallState::Dropped | CallState::Overflowed) => {
                world.cluster.config.dn(&event.this_dn).is_none()
            }
            Some(_) | None => false,
        };
        let ended = match event.name {
            EventName::Released => by_itself,
            // Where a router sends it, it may not be let in.
            EventName::RouteUsed => true,
            EventName::Diverted => is_kept_out(world, index, event),
            _ => false,
        };
        ended && of_caller && recent(event.at)
    })
}

/// Whether a limit of a queue has sent a call to another queue that did not let it in. That one has
/// a limit of its own and refuses whom it never had, which is no event of its address: the call's
/// last word in queues is then that it was diverted. Whoever was let in has left there, too, and is
/// not excused by how it came.
fn is_kept_out(world: &World, index: usize, diverted: &Event) -> bool {
    let address = |number: &str| world.cluster.config.address(number);
    let to = diverted.third_party_dn.as_deref().and_then(address);
    let conn_id = |event: &Event| event.call.as_ref().map(|call| call.conn_id);
    let mut later = world.journal.events[index + 1..].iter();
    diverted.call_state == Some(CallState::Overflowed)
        && matches!(to, Some(Address::Queue(_) | Address::RoutingPoint(_)))
        && !later.any(|event| {
            let stands = matches!(
                event.name,
                EventName::Queued | EventName::Diverted | EventName::Released
            );
            let is_queues = world.cluster.config.dn(&event.this_dn).is_none();
            stands && is_queues && conn_id(event) == conn_id(diverted)
        })
}

mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use offhook_loadgen::population::CallPlan;

    use super::super::control::{talking, world_on};
    use super::super::network::Fate;
    use super::super::world::{Setup, callers_address, node_address};
    use super::*;

    /// Somebody comes for a caller's place and gives up, while the agent's phone is not heard: the
    /// CANCEL is answered with 200, and nobody has taken anything. Whoever waits is let in.
    #[test]
    fn newcomer_whose_cancel_is_answered_with_200_has_taken_no_place() {
        for gives_up in [true, false] {
            let mut world = world_on(1, 1, "refer = true\n", "");
            let (first, _) = talking(&mut world);
            let (cancels, accepted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let (of_cancel, of_invite) = (Rc::clone(&cancels), Rc::clone(&accepted));
            world.network.rule = Some(Box::new(move |flight| {
                let text = String::from_utf8_lossy(&flight.bytes);
                let is_200 = flight.to == callers_address() && text.starts_with("SIP/2.0 200");
                let is = |method: &str| u32::from(is_200 && text.contains(method));
                of_cancel.set(of_cancel.get() + is(" CANCEL\r\n"));
                of_invite.set(of_invite.get() + is(" INVITE\r\n"));
                let is_phones = flight.from == node_address(0);
                if is_phones { Fate::Lost } else { Fate::Usual }
            }));
            let replaces = world.population.callers.dialog(first);
            let newcomer = world.call(CallPlan {
                early_offer: true,
                replaces,
                ..CallPlan::to("7000")
            });
            world.run_for(Duration::from_millis(300));
            if gives_up {
                let now = world.now;
                world.population.callers.give_up(now, newcomer);
                world.run_for(Duration::from_millis(100));
            }
            assert_eq!((cancels.get(), accepted.get()), (u32::from(gives_up), 0));
            assert_eq!(world.network.swallowed.accepted(newcomer), None);
            world.network.rule = None;
            world.run_for(Duration::from_secs(5));
            let has_taken = world.network.swallowed.accepted(newcomer).is_some();
            assert_eq!(has_taken, !gives_up);
            for token in [first, newcomer] {
                let now = world.now;
                world.population.callers.hang_up(now, token);
            }
            world.finish();
        }
    }

    #[test]
    fn only_whom_the_next_queue_keeps_out_is_excused() {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        world.call(CallPlan::to("7000"));
        world.run_for(Duration::from_secs(5));
        let event = |name| {
            let mut events = world.journal.events.iter();
            let event = events.find(|event| event.name == name && event.this_dn == "7000");
            event.expect("the call came through its queue").clone()
        };
        let (queued, served) = (event(EventName::Queued), event(EventName::Diverted));
        let to = |number: &str| Event {
            third_party_dn: Some(number.into()),
            call_state: Some(CallState::Overflowed),
            ..served.clone()
        };
        let mut is_excused = |diverted: Event, then: &[&Event]| {
            let later = then.iter().copied().cloned();
            let events = [queued.clone(), diverted.clone()].into_iter().chain(later);
            world.journal.events = events.collect();
            is_kept_out(&world, 1, &diverted)
        };
        assert!(is_excused(to("7001"), &[]));
        assert!(
            !is_excused(to("7001"), &[&queued, &served]),
            "it was let in"
        );
        assert!(!is_excused(to("2000"), &[]), "an agent refuses nobody");
        assert!(!is_excused(served.clone(), &[]), "no limit has sent it");
    }
}
