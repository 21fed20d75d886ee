//! What the shards say, for the hub and for the resolver.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use offhook_shards::{Control, Engine, Events, ShardId};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::cti::Output;
use crate::limits::{CTI_EVENTS_GATHER_MAX, CTI_EVENTS_GATHER_MIN, CTI_EVENTS_LOT};

use super::dns::Asker;
use super::gate::Outputs;

/// When the hub looks for outputs without being woken: where one lot soon follows another, the
/// next may gather for a moment, and for a longer one the more there are, so that under load one
/// wake-up serves many of them, as with a network card's interrupts.
#[derive(Debug)]
struct Gathering {
    /// When there were some last.
    took_at: Instant,
    /// How long the next lot may gather.
    span: Duration,
}

impl Gathering {
    fn new(now: Instant) -> Self {
        Self {
            took_at: now,
            span: CTI_EVENTS_GATHER_MIN,
        }
    }

    /// So many were taken now; when to look again, or `None` if whoever has more is to say so.
    fn took(&mut self, taken: usize, now: Instant) -> Option<Instant> {
        if taken == 0 {
            return None;
        }
        // Twice as long: a timer that is asked for a millisecond takes up to two.
        let is_busy = now.duration_since(self.took_at) < self.span * 2;
        self.took_at = now;
        let span = if !is_busy {
            CTI_EVENTS_GATHER_MIN
        } else if taken > CTI_EVENTS_LOT {
            self.span * 2
        } else if taken < CTI_EVENTS_LOT / 2 {
            self.span / 2
        } else {
            self.span
        };
        self.span = span.clamp(CTI_EVENTS_GATHER_MIN, CTI_EVENTS_GATHER_MAX);
        is_busy.then(|| now + self.span)
    }
}

/// The shards' outputs. They are heard of by a descriptor, or [gather](Gathering). The names that
/// shards ask for go to the resolver.
pub(super) struct ShardOutputs<E: Engine<Event = Output>> {
    control: Control<E>,
    events: AsyncFd<Events<E>>,
    /// Whether to look again without being woken, and when.
    gathers: bool,
    gathered: Pin<Box<Sleep>>,
    gathering: Gathering,
    batch: Vec<(ShardId, Output)>,
    resolver: Asker,
}

impl<E: Engine<Event = Output>> ShardOutputs<E> {
    /// # Errors
    /// That the runtime cannot watch the events' descriptor.
    pub(super) fn new(control: Control<E>, events: Events<E>, resolver: Asker) -> io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            control,
            events: watch(events)?,
            gathers: false,
            gathered: Box::pin(sleep_until(now)),
            gathering: Gathering::new(now),
            batch: Vec::new(),
            resolver,
        })
    }
}

impl<E: Engine<Event = Output>> Outputs for ShardOutputs<E> {
    async fn ready(&mut self) {
        if self.gathers {
            return self.gathered.as_mut().await;
        }
        // Whoever is the only reader need not queue for it.
        let readable = poll_fn(|context| {
            let ready = self.events.poll_read_ready_mut(context);
            ready.map_ok(|mut ready| ready.clear_ready())
        });
        if readable.await.is_err() {
            // The runtime is being torn down: nothing comes any more.
            std::future::pending::<()>().await;
        }
    }

    fn drain(&mut self, outputs_max: usize, into: &mut Vec<Output>) -> usize {
        let events = self.events.get_mut();
        let taken = events.drain(outputs_max, &mut self.batch);
        let now = Instant::now();
        let looks_at = match self.gathering.took(taken, now) {
            None if !events.arm() => Some(now),
            at => at,
        };
        self.gathers = looks_at.is_some();
        if let Some(at) = looks_at {
            self.gathered.as_mut().reset(at);
        }
        for (shard, output) in self.batch.drain(..) {
            match output {
                Output::LookUp(question) => self.resolver.ask(shard, question),
                Output::Event(_) | Output::Notice(_) => into.push(output),
            }
        }
        taken
    }

    fn broken(&self) -> Option<String> {
        let shard = self.control.ended()?;
        Some(format!(
            "shard {shard} has panicked; its message is in the log"
        ))
    }
}

/// Lets the runtime watch the events' descriptor.
#[expect(
    deprecated,
    reason = "its successor is unsafe for types that may swap their descriptor"
)]
fn watch<E: Engine>(events: Events<E>) -> io::Result<AsyncFd<Events<E>>> {
    AsyncFd::new(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How long the next lot may gather after each of these, taken when the one before said.
    fn spans(gathering: &mut Gathering, now: &mut Instant, lots: &[usize]) -> Vec<Option<u128>> {
        let mut took = |taken: &usize| {
            let at = gathering.took(*taken, *now);
            let span = at.map(|at| (at - *now).as_millis());
            *now = at.unwrap_or(*now);
            span
        };
        lots.iter().map(&mut took).collect()
    }

    #[test]
    fn the_more_there_are_the_longer_they_gather() {
        let mut now = Instant::now();
        let mut gathering = Gathering::new(now);
        let found = spans(&mut gathering, &mut now, &[1, 8, 9, 9, 9, 100, 5, 3, 3, 3]);
        assert_eq!(found, [1, 1, 2, 4, 4, 4, 4, 2, 1, 1].map(Some));
    }

    #[test]
    fn after_a_quiet_moment_nothing_waits() {
        let mut now = Instant::now();
        let mut gathering = Gathering::new(now);
        spans(&mut gathering, &mut now, &[100, 100, 100]);
        assert_eq!(gathering.took(0, now), None);
        now += CTI_EVENTS_GATHER_MAX * 2;
        assert_eq!(gathering.took(1, now), None);
        // What comes behind it waits for less than before.
        now += MS;
        assert_eq!(gathering.took(1, now), Some(now + MS));
    }
}
