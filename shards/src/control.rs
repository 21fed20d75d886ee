//! The control plane's side: requests into shards, events out of them, over bounded lock-free
//! queues. Neither side ever waits for the other. Start and stop are `running.rs`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::{Engine, ShardId};
use crate::limits;
use crate::mesh::{Mesh, Queue, Sleeper};
use crate::metrics::{Counter, Metrics};
use crate::seat::Parcel;

/// The shard's queue of requests has no room; the request was not taken. Refuse the client, or
/// try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the shard is too busy to take another request")
    }
}

impl std::error::Error for Full {}

/// What waits in the queues of one shard, read while they are in use: nothing on the way of a
/// message counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depths {
    /// Messages, datagrams and frames of other shards that it has not taken.
    pub from_shards: usize,
    /// Requests of the control plane that it has not taken.
    pub requests: usize,
    /// Its events that the control plane has not taken.
    pub events: usize,
}

/// What shards and control plane share.
pub(crate) struct Shared<E: Engine> {
    pub(crate) mesh: Arc<Mesh<Parcel<E::Message>>>,
    pub(crate) sleepers: Vec<Arc<Sleeper>>,
    pub(crate) requests: Vec<Queue<E::Request>>,
    pub(crate) events: Vec<Queue<E::Event>>,
    /// Wakes whoever drains the events.
    pub(crate) listener: Sleeper,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stopping: AtomicBool,
    /// Which shards run; one that has ended although nobody asked it to has panicked.
    pub(crate) alive: Vec<AtomicBool>,
}

impl<E: Engine> Shared<E> {
    pub(crate) fn new(
        sleepers: Vec<Arc<Sleeper>>,
        listener: Sleeper,
        mesh: Arc<Mesh<Parcel<E::Message>>>,
    ) -> Self {
        let shards = u16::try_from(sleepers.len()).expect("SHARDS_MAX fits a u16");
        let each = || sleepers.iter();
        Self {
            mesh,
            requests: each()
                .map(|_| Queue::new(limits::REQUEST_QUEUE_MAX))
                .collect(),
            events: each()
                .map(|_| Queue::new(limits::EVENT_QUEUE_MAX))
                .collect(),
            alive: each().map(|_| AtomicBool::new(true)).collect(),
            listener,
            metrics: Arc::new(Metrics::new(shards)),
            stopping: AtomicBool::new(false),
            sleepers,
        }
    }

    /// Asks all shards to end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for sleeper in &self.sleepers {
            sleeper.wake();
        }
    }
}

/// Sends requests to shards, from any thread.
pub struct Control<E: Engine> {
    pub(crate) shared: Arc<Shared<E>>,
}

impl<E: Engine> Clone for Control<E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<E: Engine> Control<E> {
    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u16 {
        u16::try_from(self.shared.sleepers.len()).expect("SHARDS_MAX fits a u16")
    }

    /// Gives a request to a shard and wakes it if it sleeps.
    ///
    /// # Errors
    /// [`Full`] if the shard's queue has no room.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn request(&self, shard: ShardId, request: E::Request) -> Result<(), Full> {
        if self.shared.requests[shard.index()].push(request).is_err() {
            self.shared
                .metrics
                .shard(shard)
                .add_shared(Counter::RequestQueueFull, 1);
            return Err(Full);
        }
        self.shared.sleepers[shard.index()].wake();
        Ok(())
    }

    /// How much waits for a shard, and from it.
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn depths(&self, shard: ShardId) -> Depths {
        Depths {
            from_shards: self.shared.mesh.waiting(shard),
            requests: self.shared.requests[shard.index()].len(),
            events: self.shared.events[shard.index()].len(),
        }
    }

    /// All shards' numbers.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.shared.metrics)
    }

    /// The first shard that has ended, if any. Unless [`crate::Running::stop`] was called, its
    /// engine has panicked, and the events' descriptor becomes readable to tell.
    #[must_use]
    pub fn ended(&self) -> Option<ShardId> {
        let dead = self
            .shared
            .alive
            .iter()
            .position(|alive| !alive.load(Ordering::SeqCst))?;
        Some(ShardId(u16::try_from(dead).expect("SHARDS_MAX fits a u16")))
    }
}

/// Takes events from all shards. Each shard's events come in its order; between shards there is
/// none.
///
/// Its descriptor becomes readable with the first event after [`Events::arm`], and with none
/// before: who expects more of them soon lets them gather and looks again by itself, and is not
/// woken for each. With tokio: wrap it in `AsyncFd`; drain until a call finds none and `arm` says
/// that there are none, await `readable_mut`, and clear the readiness.
///
/// The descriptor is for edge-triggered pollers only (`EPOLLET`, which tokio's is). A shard may
/// signal it just after [`Events::drain`] has looked: it then stays readable, with no event behind
/// it, until a later signal is taken, and `poll()` or a level-triggered epoll would return at once
/// each time.
pub struct Events<E: Engine> {
    pub(crate) shared: Arc<Shared<E>>,
    /// Where the next round begins, so that no shard is always last.
    next_shard: usize,
    /// Whether the next event makes the descriptor readable, or has done so.
    is_armed: bool,
}

impl<E: Engine> Events<E> {
    pub(crate) fn new(shared: Arc<Shared<E>>) -> Self {
        // Nobody has drained yet: the first event must make the descriptor readable.
        shared.listener.announce();
        Self {
            shared,
            next_shard: 0,
            is_armed: true,
        }
    }

    /// Moves at most `events_max` events to the end of `into` and returns how many.
    pub fn drain(&mut self, events_max: usize, into: &mut Vec<(ShardId, E::Event)>) -> usize {
        if std::mem::take(&mut self.is_armed) && !self.shared.listener.rise() {
            self.shared.listener.take_signal();
        }
        self.take(events_max, into)
    }

    /// Has the next event make the descriptor readable. `false`: there are events already, which
    /// are to be drained first, and nothing was armed.
    #[must_use = "after `false` no event makes the descriptor readable"]
    pub fn arm(&mut self) -> bool {
        self.shared.listener.announce();
        self.is_armed = true;
        // If its sender has taken the announcement, it also makes the descriptor readable.
        let has_none = self.shared.events.iter().all(Queue::is_empty);
        if has_none || !self.shared.listener.rise() {
            return true;
        }
        self.is_armed = false;
        false
    }

    fn take(&mut self, events_max: usize, into: &mut Vec<(ShardId, E::Event)>) -> usize {
        let shards = self.shared.events.len();
        let mut taken = 0;
        for step in 0..shards {
            let shard = (self.next_shard + step) % shards;
            let queue = &self.shared.events[shard];
            let name = ShardId(u16::try_from(shard).expect("SHARDS_MAX fits a u16"));
            let before = taken;
            while taken < events_max {
                let Some(event) = queue.pop() else { break };
                into.push((name, event));
                taken += 1;
            }
            if taken > before && queue.take_starved() {
                self.shared.sleepers[shard].wake();
            }
        }
        self.next_shard = (self.next_shard + 1) % shards;
        taken
    }
}

impl<E: Engine> AsFd for Events<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.listener.descriptor()
    }
}

impl<E: Engine> AsRawFd for Events<E> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
