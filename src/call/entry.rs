//! The place of a call in a queue, and in further ones at the same time. What the call has to say
//! about itself it says to all of them; only the first, its home, decides what becomes of it.

use std::sync::Arc;
use std::time::Instant;

use crate::agent::EndCause;
use crate::config::{Config, DnIndex, EntryIndex, QueueIndex, RoutingPointIndex};
use crate::cti::{ConnId, KeyValueList};
use crate::limits::CALLER_QUEUES_MAX;
use crate::queue;

use super::command::Command;
use super::facts::Facts;
use super::participant::Call;
use super::{Commands, QueueRefusal};

/// A place in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The call, as the queues know it: one that was transferred has another name by now.
    pub(super) conn_id: ConnId,
    /// Its home.
    pub(super) queue: QueueIndex,
    pub(super) routing_point: RoutingPointIndex,
    pub(super) hold: Hold,
    /// How often the call had been sent elsewhere when it came in.
    pub(super) hops: u8,
    /// Its home has forgotten it while it was with an agent of a further queue.
    pub(super) refused: Option<QueueRefusal>,
    further: Further,
}

/// What the queue takes the call to be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Waiting.
    Waiting,
    /// On its way to this agent.
    Offered(DnIndex),
    /// On its way to where the queue or its router sent it.
    Forwarding,
    /// On its way to where this agent, whose phone rang, sent it.
    Redirected(DnIndex),
}

/// The further queues, few and copied often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Further {
    queues: [QueueIndex; CALLER_QUEUES_MAX - 1],
    count: usize,
}

impl Further {
    const NONE: Self = Self {
        queues: [QueueIndex(0); CALLER_QUEUES_MAX - 1],
        count: 0,
    };

    fn iter(&self) -> impl Iterator<Item = QueueIndex> + '_ {
        self.queues.iter().copied().take(self.count)
    }
}

impl Entry {
    /// Enters a queue, or all those that the routing point leads the caller to.
    pub(super) fn enter(
        facts: &Facts,
        (call, since): (&Call, Instant),
        (queue, routing_point): (Option<QueueIndex>, RoutingPointIndex),
        commands: &mut Commands,
    ) -> Self {
        let (ani, data) = (call.info.ani.as_deref(), &call.info.user_data);
        let ways = ways_in(&facts.config, queue, routing_point, (ani, data));
        let mut entry = Self {
            conn_id: call.conn_id,
            queue: facts.config.entry_at(ways[0]).queue,
            routing_point,
            hold: Hold::Waiting,
            hops: facts.hops,
            refused: None,
            further: Further::NONE,
        };
        let input = enter(facts, (call, since), routing_point, ways[0]);
        commands.push(Command::Queue(entry.queue, input));
        entry.enter_also(facts, (call, since), &ways[1..], commands);
        entry
    }

    fn enter_also(
        &mut self,
        facts: &Facts,
        (call, since): (&Call, Instant),
        ways: &[EntryIndex],
        commands: &mut Commands,
    ) {
        for way in ways {
            let queue = facts.config.entry_at(*way).queue;
            // One that sent the caller on does not get it back by the side.
            if facts.visited.contains(&queue) {
                continue;
            }
            self.further.queues[self.further.count] = queue;
            self.further.count += 1;
            let input = enter(facts, (call, since), self.routing_point, *way);
            commands.push(Command::Queue(queue, input));
        }
    }

    /// Its home, and the routing point that leads there.
    pub(super) fn place(&self) -> (QueueIndex, RoutingPointIndex) {
        (self.queue, self.routing_point)
    }

    /// All its queues, its home first.
    pub(super) fn queues(&self) -> impl Iterator<Item = QueueIndex> + '_ {
        std::iter::once(self.queue).chain(self.further.iter())
    }

    /// Tells all its queues.
    pub(super) fn tell(&self, input: &queue::Input, commands: &mut Commands) {
        let told = self.queues();
        commands.extend(told.map(|queue| Command::Queue(queue, input.clone())));
    }

    /// Tells all its queues that the data has changed; its home answers whoever asked for it.
    pub(super) fn tell_data(&self, input: queue::Input, commands: &mut Commands) {
        for queue in self.further.iter() {
            let mut told = input.clone();
            if let queue::Input::UserDataChanged { requested_by, .. } = &mut told {
                *requested_by = None;
            }
            commands.push(Command::Queue(queue, told));
        }
        commands.push(Command::Queue(self.queue, input));
    }

    /// Leaves all but its home.
    pub(super) fn leave_further(&mut self, cause: EndCause, commands: &mut Commands) {
        let conn_id = self.conn_id;
        let left = queue::Input::Left { conn_id, cause };
        let told = self.further.iter();
        commands.extend(told.map(|queue| Command::Queue(queue, left.clone())));
        self.further = Further::NONE;
    }

    /// Waits in its further queues again: it could not go where its home has sent it.
    pub(super) fn enter_further(
        &mut self,
        facts: &Facts,
        (call, since): (&Call, Instant),
        commands: &mut Commands,
    ) {
        let (ani, data) = (call.info.ani.as_deref(), &call.info.user_data);
        let ways = ways_in(&facts.config, None, self.routing_point, (ani, data));
        // Another home has other further queues.
        let home = facts.config.entry_at(ways[0]).queue;
        if self.further.count == 0 && home == self.queue {
            self.enter_also(facts, (call, since), &ways[1..], commands);
        }
    }

    /// The call has left for where it was sent.
    pub(super) fn forwarded(&self, destination: &str, commands: &mut Commands) {
        let conn_id = self.conn_id;
        let input = match self.hold {
            Hold::Forwarding => queue::Input::Forwarded {
                conn_id,
                destination: destination.to_owned(),
            },
            Hold::Waiting | Hold::Offered(_) | Hold::Redirected(_) => {
                let cause = EndCause::Redirected;
                queue::Input::Left { conn_id, cause }
            }
        };
        self.tell(&input, commands);
    }

    /// The agent whose phone rings sends the call elsewhere; the place is kept, in case nobody
    /// answers there either.
    pub(super) fn redirected(mut self, commands: &mut Commands) -> Self {
        if let Hold::Offered(dn) = self.hold {
            let conn_id = self.conn_id;
            self.tell(&queue::Input::Redirected { conn_id, dn }, commands);
            self.hold = Hold::Redirected(dn);
        }
        self
    }

    /// The queue whose agent this is, among those of the call; its home for anybody else's.
    pub(super) fn queue_of(&self, config: &Config, dn: DnIndex) -> QueueIndex {
        let served = &config.agent_at(dn).settings.queues;
        let mut ours = self.queues().filter(|queue| served.contains(queue));
        ours.next().unwrap_or(self.queue)
    }
}

fn enter(
    facts: &Facts,
    (call, since): (&Call, Instant),
    routing_point: RoutingPointIndex,
    entry: EntryIndex,
) -> queue::Input {
    let queue = facts.config.entry_at(entry).queue;
    queue::Input::Enter {
        call: facts.call(call.conn_id),
        info: Arc::clone(&call.info),
        beside: call.beside,
        routing_point,
        entry,
        since,
        returns: call.returns_to(queue, since),
        visited: facts.visited.to_vec().into(),
    }
}

/// The ways into queues: the routing point's own, or one into a queue that was named.
fn ways_in(
    config: &Config,
    queue: Option<QueueIndex>,
    routing_point: RoutingPointIndex,
    (ani, data): (Option<&str>, &KeyValueList),
) -> Vec<EntryIndex> {
    let route = config.route(routing_point, ani, data);
    let Some(queue) = queue else {
        return route.to_vec();
    };
    if config.entry_at(route[0]).queue == queue {
        return route.to_vec();
    }
    vec![config.overflow_entry(queue)]
}
