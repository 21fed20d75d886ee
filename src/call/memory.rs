//! What is left of a conversation when the process is not: who takes part by legs that stand, and
//! what is known of its calls. What was under way (a search, a task, an exchange, a place in a
//! queue) is not: who waits for somebody is hung up, because nobody is sought any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::PartyState;
use crate::config::{Address, Config, QueueIndex, RoutingPointIndex};
use crate::cti::{CallInfo, ConnId};
use crate::dialog::Party;
use crate::few::{Few, Rarely};
use crate::journal::field::{Field, Reader, choices, fields};
use crate::seldom::Seldom;
use crate::wall::Wall;

use super::CallKey;
use super::command::{Command, LegSlot};
use super::conversation::{Conversation, Turn, Which};
use super::facts::{Facts, Way, cause};
use super::leg::Legs;
use super::participant::{Call, News, Participant, Served, Standing, Who};
use super::table::Calls;
use super::timer::{Deadlines, Timer};

fields!(LegSlot { 0 });
fields!(Way {
    max_forwards,
    carried
});
choices!(Standing { Talking = 1, Holding = 2 });

/// Writes one conversation down.
struct Writer<'a> {
    facts: &'a Facts,
    legs: &'a Legs,
    wall: &'a Wall,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn put(&mut self, value: &impl Field) {
        value.write(self.out);
    }

    fn number(&self, routing_point: RoutingPointIndex) -> String {
        let config = &self.facts.config;
        config.routing_point_at(routing_point).number.to_string()
    }

    fn queue(&self, queue: QueueIndex) -> String {
        self.facts.config.queue_at(queue).name.to_string()
    }

    fn place(&self, (queue, routing_point): (QueueIndex, RoutingPointIndex)) -> Place {
        (self.queue(queue), self.number(routing_point))
    }

    fn call(&mut self, call: &Call) {
        self.put(&*call.info);
        self.put(&call.beside);
        self.put(&call.through.map(|place| self.place(place)));
        self.put(&self.wall.time_at(call.since));
        let served = call.served.as_ref().map(|served| {
            let place = self.place((served.queue, served.routing_point));
            let visited = served.visited.iter();
            let visited: Vec<String> = visited.map(|queue| self.queue(*queue)).collect();
            ((place, self.wall.time_at(served.since)), visited)
        });
        self.put(&served);
        let all = call.participants.iter();
        let there: Vec<&Participant> = all.filter(|who| self.legs.is_up(who.leg)).collect();
        self.put(&u8::try_from(there.len()).unwrap_or(u8::MAX));
        for who in there.into_iter().take(usize::from(u8::MAX)) {
            self.participant(who);
        }
    }

    fn participant(&mut self, who: &Participant) {
        match &who.who {
            Who::Agent(dn) => {
                self.put(&true);
                self.put(&self.facts.agent_party(*dn));
            }
            Who::Outside(party) => {
                self.put(&false);
                self.put(party);
            }
        }
        self.put(&who.leg);
        self.put(&who.role);
        self.put(&who.standing);
        self.put(&who.routing_point.map(|number| self.number(number)));
    }
}

/// A queue and a routing point, by their names.
type Place = (String, String);

/// Where and since when somebody waited who was answered, and the queues before that.
type Answered = ((Place, Duration), Vec<String>);

/// Reads what [`Writer`] has written. What is not configured any more is left out, or is anybody.
struct Recaller<'a, 'b> {
    config: &'a Config,
    wall: &'a Wall,
    from: &'a mut Reader<'b>,
}

impl Recaller<'_, '_> {
    fn get<T: Field>(&mut self) -> Option<T> {
        T::read(self.from)
    }

    fn number(&self, number: &str) -> Option<RoutingPointIndex> {
        match self.config.address(number)? {
            Address::RoutingPoint(index) => Some(index),
            Address::Agent(_) | Address::Queue(_) | Address::Trunk(_) => None,
        }
    }

    fn queue(&self, name: &str) -> Option<QueueIndex> {
        match self.config.address(name)? {
            Address::Queue(index) => Some(index),
            Address::Agent(_) | Address::RoutingPoint(_) | Address::Trunk(_) => None,
        }
    }

    fn place(&self, (queue, number): &Place) -> Option<(QueueIndex, RoutingPointIndex)> {
        Some((self.queue(queue)?, self.number(number)?))
    }

    fn served(&self, ((place, since), visited): Answered) -> Option<Served> {
        let (queue, routing_point) = self.place(&place)?;
        let visited = visited.iter().filter_map(|queue| self.queue(queue));
        Some(Served {
            queue,
            routing_point,
            since: self.wall.at_time(since),
            visited: visited.collect(),
        })
    }

    fn call(&mut self) -> Option<Call> {
        let info: CallInfo = self.get()?;
        let beside: Option<ConnId> = self.get()?;
        let through: Option<Place> = self.get()?;
        let since = self.wall.at_time(self.get()?);
        let served: Option<Answered> = self.get()?;
        let served = served.and_then(|served| self.served(served));
        let count: u8 = self.get()?;
        let participants = (0..count).map(|_| self.participant());
        let participants = participants.collect::<Option<Few<_>>>()?;
        Some(Call {
            conn_id: info.conn_id,
            info: Arc::new(info),
            participants,
            quest: Seldom::default(),
            diversions: Rarely::default(),
            referred_by: None,
            beside,
            through: through.and_then(|place| self.place(&place)),
            since,
            served,
        })
    }

    fn participant(&mut self) -> Option<Participant> {
        let (is_agent, party): (bool, Arc<Party>) = self.get()?;
        let dn = self.config.dn(&party.number).filter(|_| is_agent);
        let who = dn.map_or(Who::Outside(party), Who::Agent);
        let (leg, role) = self.get()?;
        let standing = self.get()?;
        let routing_point: Option<String> = self.get()?;
        Some(Participant {
            who,
            leg,
            role,
            standing,
            routing_point: routing_point.and_then(|number| self.number(&number)),
            brings: None,
        })
    }
}

impl Calls {
    /// Writes down what there is to know of a conversation after a crash, and names the legs in
    /// it; `None` if it is over, or nobody talks.
    pub fn remember(
        &self,
        key: CallKey,
        wall: &Wall,
        out: &mut Vec<u8>,
    ) -> Option<(ConnId, Vec<LegSlot>)> {
        let conversation = self.get(key)?;
        let Conversation {
            facts,
            legs,
            main,
            consult,
            ..
        } = conversation;
        let there = main.participants.iter().filter(|who| legs.is_up(who.leg));
        if there.count() == 0 {
            return None;
        }
        let mut writer = Writer {
            facts,
            legs,
            wall,
            out,
        };
        writer.put(&facts.way);
        writer.put(&facts.caller_hold);
        writer.put(&(facts.is_inbound, facts.is_counted));
        let until = facts.deadlines.at(Timer::Duration);
        writer.put(&until.map(|at| wall.time_at(at)));
        writer.put(legs);
        writer.call(main);
        writer.put(&consult.is_some());
        if let Some(consult) = consult.as_ref() {
            writer.call(consult);
        }
        let legs = legs.slots().filter(|leg| legs.is_up(*leg)).collect();
        Some((main.conn_id, legs))
    }

    /// Takes a conversation up that an earlier process had; gives back its legs, in the order in
    /// which they were written. Nothing is said of it before [`Calls::resume`].
    pub(crate) fn recall(
        &mut self,
        now: Instant,
        wall: &Wall,
        from: &mut Reader<'_>,
    ) -> Option<(CallKey, Vec<LegSlot>)> {
        if self.is_full() {
            return None;
        }
        let config = Arc::clone(&self.config);
        let mut recaller = Recaller {
            config: &config,
            wall,
            from,
        };
        let way: Way = recaller.get()?;
        let caller_hold = recaller.get()?;
        let (is_inbound, is_counted) = recaller.get()?;
        let until: Option<Duration> = recaller.get()?;
        let legs: Legs = recaller.get()?;
        let main = recaller.call()?;
        let consult = if recaller.get()? {
            Some(recaller.call()?)
        } else {
            None
        };
        let longest = now + config.server.call_duration_max;
        let mut deadlines = Deadlines::default();
        let until = until.map_or(longest, |until| wall.at_time(until).min(longest));
        deadlines.arm(Timer::Duration, until);
        let slots = legs.slots().collect();
        let shard = self.shard;
        let key = self.insert(|key| {
            let facts = Facts {
                shard,
                key,
                config: Arc::clone(&config),
                deadlines,
                way,
                visited: Rarely::default(),
                refused_with: None,
                hops: 0,
                caller_hold,
                is_inbound,
                is_counted,
                // Ties do not come back.
                is_link: false,
            };
            let mut conversation = Conversation::new(facts, legs, main);
            conversation.consult = consult.into();
            conversation
        });
        Some((key, slots))
    }

    /// Goes on with a conversation that was recalled, by the legs that are there.
    pub fn resume(&mut self, now: Instant, key: CallKey, there: &[LegSlot]) {
        self.turn(now, (key, None), |conversation, turn| {
            conversation.resume(turn, there);
        });
    }
}

impl Conversation {
    fn resume(&mut self, turn: &mut Turn<'_>, there: &[LegSlot]) {
        let slots: Vec<LegSlot> = self.legs.slots().collect();
        for leg in slots.into_iter().filter(|leg| !there.contains(leg)) {
            self.legs.remove(leg);
        }
        let has_leg = |who: &mut Participant| there.contains(&who.leg);
        self.main.participants.retain(has_leg);
        if let Some(consult) = self.consult.as_mut() {
            consult.participants.retain(has_leg);
        }
        self.consult.take_if(|call| call.participants.len() < 2);
        if self.main.participants.len() < 2 {
            match self.consult.take() {
                Some(consult) => {
                    self.main = consult;
                    self.main.beside = None;
                }
                // The other one is gone, or was still sought.
                None => return self.end_recalled(turn),
            }
        }
        if let [one, other] = &*self.main.participants
            && (self.legs.partner(one.leg), self.legs.partner(other.leg)) == (None, None)
        {
            self.legs.join(one.leg, other.leg);
        }
        self.end_idle_legs(turn);
        let slots: Vec<LegSlot> = self.legs.slots().collect();
        for leg in slots {
            if let Some(partner) = self.legs.partner(leg).filter(|partner| leg < *partner) {
                turn.commands.push(Command::Across(leg, partner));
            }
        }
        for which in [Which::Main, Which::Consult] {
            let all = self.call(which).map(|call| call.participants.clone());
            for who in all.unwrap_or_default() {
                let is_held = who.standing == Standing::Holding;
                let state = PartyState::Recalled { is_held };
                self.report(turn, which, &who, state, News::default());
            }
        }
    }

    /// Hangs up whoever is left. Clients have heard of no call, and hear of no end.
    fn end_recalled(&mut self, turn: &mut Turn<'_>) {
        let slots: Vec<LegSlot> = self.legs.slots().collect();
        for leg in slots {
            self.hang_up(turn, leg, cause::FAILURE);
        }
        self.main.participants.clear();
    }
}
