//! What the shards say, for the hub and for the resolver.

use std::io;

use offhook_shards::{Control, Engine, Events, ShardId};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::cti::Output;
use crate::limits::CTI_EVENTS_GATHER;

use super::dns::Asker;
use super::gate::Outputs;

/// The shards' outputs. They are heard of by a descriptor; where one lot soon follows another, the
/// next may gather for a moment, so that under load one wake-up serves many of them, as with a
/// network card's interrupts. The names that shards ask for go to the resolver.
pub(super) struct ShardOutputs<E: Engine<Event = Output>> {
    control: Control<E>,
    events: AsyncFd<Events<E>>,
    /// When to look again without being woken.
    looks_at: Option<Instant>,
    /// When there were some last.
    took_at: Instant,
    batch: Vec<(ShardId, Output)>,
    resolver: Asker,
}

impl<E: Engine<Event = Output>> ShardOutputs<E> {
    /// # Errors
    /// That the runtime cannot watch the events' descriptor.
    pub(super) fn new(control: Control<E>, events: Events<E>, resolver: Asker) -> io::Result<Self> {
        Ok(Self {
            control,
            events: watch(events)?,
            looks_at: None,
            took_at: Instant::now(),
            batch: Vec::new(),
            resolver,
        })
    }
}

impl<E: Engine<Event = Output>> Outputs for ShardOutputs<E> {
    async fn ready(&mut self) {
        if let Some(at) = self.looks_at {
            return tokio::time::sleep_until(at).await;
        }
        match self.events.readable_mut().await {
            Ok(mut ready) => ready.clear_ready(),
            // The runtime is being torn down: nothing comes any more.
            Err(_) => std::future::pending().await,
        }
    }

    fn drain(&mut self, outputs_max: usize, into: &mut Vec<Output>) -> usize {
        let events = self.events.get_mut();
        let taken = events.drain(outputs_max, &mut self.batch);
        let now = Instant::now();
        // Twice as long: a timer that is asked for a millisecond takes up to two.
        let is_busy = now.duration_since(self.took_at) < CTI_EVENTS_GATHER * 2;
        self.looks_at = match taken {
            1.. if is_busy => Some(now + CTI_EVENTS_GATHER),
            _ if events.arm() => None,
            _ => Some(now),
        };
        if taken > 0 {
            self.took_at = now;
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
