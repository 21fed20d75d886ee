//! I-17: callers of a queue are served in the order in which they came, and whoever comes back from
//! an agent who did not answer has its old place. The queue's own tree is not believed: what counts
//! is when each caller was seen to come, by the server's clock: those who came before and after a
//! sleep of its host, in which that clock stood still, have come at one time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use offhook::config::{Address, QueueIndex};
use offhook::counters::Counter;
use offhook::cti::{ConnId, EventName};
use offhook::queue::{Place, Queues};

use super::world::World;

/// What was told of a caller may be told a moment after it has come.
const BETWEEN: Duration = Duration::from_secs(1);

/// What one shard knows of a trunk and another not yet.
const SHARDS_APART: Duration = Duration::from_millis(2);

/// Timers that are due in one turn of a shard.
const TURN: Duration = Duration::from_millis(2);

/// Who came when, and who waited at the last look.
#[derive(Debug, Default)]
pub struct Order {
    /// By the server's clock. `None` for one who was answered before: it comes anew, or with the
    /// age that it had; and for one who has called an agent, of which nothing was told because the
    /// phone never rang: it was sent to the queue, and has waited since it called.
    came: BTreeMap<ConnId, Option<Instant>>,
    waiting: BTreeMap<QueueIndex, Vec<ConnId>>,
    /// Events that were looked at.
    read: usize,
    /// Offers that came to nothing.
    failed: u64,
    /// When a trunk was last lost or found, by the server's clock.
    trunk: Option<Instant>,
}

impl Order {
    /// Looks at every queue, after every step.
    pub fn look(&mut self, world: &World, has_router: bool) -> Result<(), String> {
        self.read_events(world);
        // Who was offered first may be back already: the agent was not to be had, or has logged out
        // at once.
        let all = Counter::ALL.iter().copied();
        let of_offers = all.filter(|counter| counter.metric() == "offers_failed");
        let failed = of_offers.map(|counter| world.cluster.count(counter)).sum();
        let has_failed = std::mem::replace(&mut self.failed, failed) != failed;
        // A call's shard may hear of a trunk after the agents' have: then it dials nobody, which
        // is no offer that has failed, and whoever was promised an agent waits again at once.
        let now = world.server_now();
        let is_back = has_failed || self.trunk.is_some_and(|at| now <= at + SHARDS_APART);
        let count = u16::try_from(world.cluster.config.queues.len()).expect("queues are few");
        for queue in (0..count).map(QueueIndex) {
            let owner = world.cluster.owners.queue(&world.cluster.config, queue);
            let queues = world.cluster.engines[owner.index()].queues();
            let waiting: Vec<ConnId> = queues.waiting(queue).collect();
            let before = self
                .waiting
                .insert(queue, waiting.clone())
                .unwrap_or_default();
            if waiting.is_empty() && before.is_empty() {
                continue;
            }
            self.by_age(&waiting)?;
            if !has_router && !is_back {
                // Who has waited as long as it may is on its way elsewhere at that moment, and
                // waits on where it cannot go. Where the server's host slept, that is when it
                // wakes.
                let wait_max = world.cluster.config.queue_at(queue).wait_max;
                let is_leaving = |conn_id: &ConnId| {
                    let came = self.came.get(conn_id).copied().flatten();
                    let until = came.zip(wait_max);
                    let until = until.map(|(came, most)| world.told(came + most));
                    let swallowed = &world.network.swallowed;
                    until.is_some_and(|until| {
                        until <= world.now && world.now < swallowed.told_by(until, TURN)
                    })
                };
                let stayed: Vec<ConnId> = waiting
                    .into_iter()
                    .filter(|conn_id| !is_leaving(conn_id))
                    .collect();
                nobody_is_passed_over(queues, queue, &before, &stayed)?;
            }
        }
        Ok(())
    }

    fn read_events(&mut self, world: &World) {
        for event in &world.journal.events[self.read..] {
            let at = world.server_time(event.at);
            if let EventName::DNBackInService | EventName::DNOutOfService = event.name {
                self.trunk = Some(at);
            }
            let Some(call) = &event.call else {
                continue;
            };
            let config = &world.cluster.config;
            let address = call.dnis.as_deref().and_then(|dnis| config.address(dnis));
            let has_called_an_agent = matches!(address, Some(Address::Agent(_)));
            let is_first = (!has_called_an_agent).then_some(at);
            let came = self.came.entry(call.conn_id).or_insert(is_first);
            if let EventName::Established | EventName::PartyChanged = event.name {
                *came = None;
            }
        }
        self.read = world.journal.events.len();
    }

    fn by_age(&self, waiting: &[ConnId]) -> Result<(), String> {
        for pair in waiting.windows(2) {
            // What is not told of yet is looked at again at the next step.
            let came = |conn_id| self.came.get(&conn_id).copied().flatten();
            if let (Some(first), Some(second)) = (came(pair[0]), came(pair[1]))
                && first > second + BETWEEN
            {
                return Err(format!(
                    "I-17: {} waits before {}, who comes first",
                    pair[0], pair[1]
                ));
            }
        }
        Ok(())
    }
}

/// Of those who wait for any agent, nobody is offered to one while somebody before it waits on.
fn nobody_is_passed_over(
    queues: &Queues,
    queue: QueueIndex,
    before: &[ConnId],
    waiting: &[ConnId],
) -> Result<(), String> {
    let waits: BTreeSet<ConnId> = waiting.iter().copied().collect();
    let mut passed_over = None;
    for conn_id in before {
        if waits.contains(conn_id) {
            passed_over = passed_over.or(Some(conn_id));
            continue;
        }
        let is_offered = matches!(queues.place(queue, *conn_id), Some(Place::Offered(_)));
        if let (true, Some(first)) = (is_offered, passed_over) {
            let place = queues.place(queue, *conn_id);
            return Err(format!(
                "I-17: {conn_id} is offered before {first} in {queue:?}: {place:?}"
            ));
        }
    }
    Ok(())
}
