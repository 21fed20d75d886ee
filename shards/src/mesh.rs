//! Queues between threads, and how a sleeping thread is woken: a few bounded lock-free queues
//! for each ordered pair of shards, and one eventfd a thread. Nothing here waits for room or for an
//! answer; a push that finds a queue full returns what it was given. The payload is opaque.
//!
//! # Why no wake-up is lost
//!
//! Two flags are involved, and both follow one pattern (Dekker's): each side writes its own
//! variable, then a `SeqCst` fence, then reads the other's. In the single order of the fences
//! one of the two comes first, so at least one side sees the other's write.
//!
//! - *Sleep.* The receiver stores `asleep = true`, fence, looks into its queues. The sender
//!   pushes, fence, looks at `asleep`. Either the receiver finds the element and does not sleep,
//!   or the sender finds `asleep` and writes the eventfd. Whoever turns `asleep` back to `false`
//!   (an atomic swap) is the only one to write, so a sleep costs one wake-up at most.
//! - *Room.* A sender that found a queue full stores `starved = true`, fence, tries again. The
//!   receiver pops, fence, looks at `starved`. Either the sender's second try finds the room, or
//!   the receiver takes `starved` back and wakes the sender.
//! - *Room while falling asleep.* The sender may not sleep yet when it is woken so. The receiver
//!   has taken `starved` back, fence, looks at `asleep`; the sender stores `asleep = true`, fence,
//!   looks whether `starved` is still what it stored. Either the receiver finds it asleep, or it
//!   finds the room and does not sleep.

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crate::engine::ShardId;
use crate::sys::EventFd;

/// A thread that announces its sleep and can be woken from it.
#[derive(Debug)]
pub(crate) struct Sleeper {
    asleep: CachePadded<AtomicBool>,
    eventfd: EventFd,
}

impl Sleeper {
    /// A sleeper who is awake.
    pub(crate) fn new(eventfd: EventFd) -> Self {
        Self {
            asleep: CachePadded::new(AtomicBool::new(false)),
            eventfd,
        }
    }

    /// The descriptor that becomes readable when the sleeper is woken.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    /// Says that the caller is about to sleep. It must look into all its queues *after* this,
    /// and sleep only if they are empty.
    pub(crate) fn announce(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Takes the announcement back. `false`: somebody has taken it first, and the eventfd is
    /// readable or is about to be.
    pub(crate) fn rise(&self) -> bool {
        self.asleep.swap(false, Ordering::AcqRel)
    }

    /// Wakes the sleeper if it has announced sleep; `true` if this call wrote the eventfd. To be
    /// called after a push.
    pub(crate) fn wake(&self) -> bool {
        fence(Ordering::SeqCst);
        let wakes =
            self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel);
        if wakes {
            self.eventfd.signal();
        }
        wakes
    }

    /// Makes the descriptor readable, asleep or not.
    pub(crate) fn signal(&self) {
        self.eventfd.signal();
    }

    /// Takes the signal from the descriptor; whether there was one.
    pub(crate) fn take_signal(&self) -> bool {
        self.eventfd.take()
    }
}

/// A bounded lock-free queue whose sender learns when there is room again.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    places: ArrayQueue<T>,
    starved: CachePadded<AtomicBool>,
}

impl<T> Queue<T> {
    pub(crate) fn new(places_max: usize) -> Self {
        Self {
            places: ArrayQueue::new(places_max),
            starved: CachePadded::new(AtomicBool::new(false)),
        }
    }

    /// Puts an element in, or gives it back.
    pub(crate) fn push(&self, element: T) -> Result<(), T> {
        self.places.push(element)
    }

    /// Like `push`; if there is no room, the next [`Queue::pop_and_feed`] wakes the sender.
    pub(crate) fn push_or_starve(&self, element: T) -> Result<(), T> {
        let Err(element) = self.places.push(element) else {
            return Ok(());
        };
        self.starved.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.places.push(element)
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.places.pop()
    }

    /// Whether a sender waits for room: to be asked after popping, and the sender to be woken if
    /// so.
    pub(crate) fn take_starved(&self) -> bool {
        fence(Ordering::SeqCst);
        self.starved.load(Ordering::Relaxed) && self.starved.swap(false, Ordering::AcqRel)
    }

    /// Whether the receiver has not answered the sender's wish for room yet. `false`, asked
    /// after [`Sleeper::announce`], means "try again, do not sleep".
    pub(crate) fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many elements wait, as far as that can be said while others push and pop.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}

/// Which of the queues from one shard to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What goes on, and is taken in every turn.
    Urgent,
    /// What is taken when its receiver has room for it.
    Patient,
    /// What is taken in every turn, and refused where there is no room.
    New,
}

impl Lane {
    pub(crate) const ALL: [Self; 3] = [Self::Urgent, Self::Patient, Self::New];
}

/// All queues between shards, shared by all of them.
#[derive(Debug)]
pub(crate) struct Mesh<P> {
    shards: u16,
    /// Those from one shard to another are at `from * shards + to`; the diagonal stays empty.
    queues: Vec<[Queue<P>; Lane::ALL.len()]>,
    sleepers: Vec<Arc<Sleeper>>,
}

impl<P> Mesh<P> {
    /// Queues for as many shards as there are sleepers.
    pub(crate) fn new(sleepers: Vec<Arc<Sleeper>>, places: [usize; Lane::ALL.len()]) -> Self {
        let shards = u16::try_from(sleepers.len()).expect("SHARDS_MAX fits a u16");
        let pair = |index: usize| {
            let diagonal = index / sleepers.len() == index % sleepers.len();
            places.map(|places_max| Queue::new(if diagonal { 1 } else { places_max }))
        };
        let queues = (0..sleepers.len() * sleepers.len()).map(pair).collect();
        Self {
            shards,
            queues,
            sleepers,
        }
    }

    /// How many parcels wait for a shard, from all others.
    pub(crate) fn waiting(&self, to: ShardId) -> usize {
        let from = (0..self.shards).map(ShardId);
        let lanes = from.flat_map(|from| Lane::ALL.map(|lane| self.queue(from, to, lane).len()));
        lanes.sum()
    }

    fn queue(&self, from: ShardId, to: ShardId, lane: Lane) -> &Queue<P> {
        &self.queues[from.index() * usize::from(self.shards) + to.index()][lane as usize]
    }
}

/// One shard's end of the mesh.
#[derive(Debug)]
pub(crate) struct Port<P> {
    me: ShardId,
    mesh: Arc<Mesh<P>>,
    /// To whom something was pushed since the last [`Port::wake_receivers`].
    touched: Vec<bool>,
    /// Who had no room for this shard when it last tried, in which lane.
    full: Vec<[bool; Lane::ALL.len()]>,
    /// Where the next round of receiving begins in each lane, so that no sender is always last.
    next_sender: [u16; Lane::ALL.len()],
}

impl<P> Port<P> {
    pub(crate) fn new(me: ShardId, mesh: Arc<Mesh<P>>) -> Self {
        let nobody = vec![false; usize::from(mesh.shards)];
        let full = vec![[false; Lane::ALL.len()]; usize::from(mesh.shards)];
        Self {
            me,
            mesh,
            touched: nobody,
            full,
            next_sender: [0; Lane::ALL.len()],
        }
    }

    /// Whether `to` is another shard's number.
    pub(crate) fn reaches(&self, to: ShardId) -> bool {
        to != self.me && to.0 < self.mesh.shards
    }

    /// All other shards.
    pub(crate) fn others(&self) -> impl Iterator<Item = ShardId> + use<P> {
        let me = self.me;
        (0..self.mesh.shards)
            .map(ShardId)
            .filter(move |&shard| shard != me)
    }

    /// Pushes a parcel that may be lost if there is no room.
    pub(crate) fn push(&mut self, to: ShardId, lane: Lane, parcel: P) -> Result<(), P> {
        let pushed = self.mesh.queue(self.me, to, lane).push(parcel);
        self.touched[to.index()] = true;
        pushed
    }

    /// Pushes a parcel that is kept by the caller if there is no room; it is then woken when
    /// there is.
    pub(crate) fn push_or_starve(&mut self, to: ShardId, lane: Lane, parcel: P) -> Result<(), P> {
        let pushed = self.mesh.queue(self.me, to, lane).push_or_starve(parcel);
        self.touched[to.index()] = true;
        self.full[to.index()][lane as usize] = pushed.is_err();
        pushed
    }

    /// Wakes those to whom something was pushed, once each; returns how many slept.
    pub(crate) fn wake_receivers(&mut self) -> u64 {
        let mut woken = 0;
        for (touched, sleeper) in self.touched.iter_mut().zip(&self.mesh.sleepers) {
            if std::mem::take(touched) {
                woken += u64::from(sleeper.wake());
            }
        }
        woken
    }

    /// Takes at most `parcels_max` parcels of a lane, from each sender in turn, and lets starved
    /// senders know that there is room. `take` says whether there is room for another.
    pub(crate) fn receive(
        &mut self,
        lane: Lane,
        parcels_max: usize,
        mut take: impl FnMut(ShardId, P) -> bool,
    ) -> usize {
        let mut taken = 0;
        let mut has_room = true;
        for step in 0..self.mesh.shards {
            let from = ShardId((self.next_sender[lane as usize] + step) % self.mesh.shards);
            // The diagonal stays empty.
            if from == self.me {
                continue;
            }
            let queue = self.mesh.queue(from, self.me, lane);
            let before = taken;
            while has_room && taken < parcels_max {
                let Some(parcel) = queue.pop() else { break };
                taken += 1;
                has_room = take(from, parcel);
            }
            if taken > before && queue.take_starved() {
                self.mesh.sleepers[from.index()].wake();
            }
        }
        let next = &mut self.next_sender[lane as usize];
        *next = (*next + 1) % self.mesh.shards;
        taken
    }

    /// To be asked after [`Sleeper::announce`]: whether nothing waits for this shard, and it does
    /// not wait for room that there is by now.
    pub(crate) fn may_sleep(&mut self) -> bool {
        let mesh = &*self.mesh;
        let me = self.me;
        let mut room = false;
        for (to, full) in (0..).map(ShardId).zip(&mut self.full) {
            for lane in Lane::ALL {
                let full = &mut full[lane as usize];
                if *full && !mesh.queue(me, to, lane).is_starved() {
                    *full = false;
                    room = true;
                }
            }
        }
        let empty = |from| {
            Lane::ALL
                .iter()
                .all(|&lane| mesh.queue(from, me, lane).is_empty())
        };
        !room && (0..mesh.shards).map(ShardId).all(empty)
    }
}

#[cfg(test)]
mod tests;
