//! A server that is to stop lets its calls end first: it takes no new ones, answers OPTIONS with
//! 503 so that trunks go elsewhere, keeps its subscriptions and its clients, and ends when nobody
//! is in a call any more, or when the patience of its configuration is over.

use std::sync::Arc;
use std::time::Duration;

use offhook_shards::{Control, Engine, ShardId};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::engine::Input;
use crate::limits::DRAIN_LOOK_INTERVAL;

use super::gate::{Command, Gate};

/// What it takes to let calls end.
pub(super) struct Drain<E: Engine> {
    /// The way to the shards.
    pub(super) control: Control<E>,
    /// The way to the hub, which knows the calls.
    pub(super) gate: Gate,
    /// How long calls may take to end.
    pub(super) patience: Duration,
    /// Told that it has begun, which an administrator may have said already.
    pub(super) begun: Arc<watch::Sender<bool>>,
}

impl<E: Engine<Request = Input>> Drain<E> {
    /// Waits until no call is left, or patience is over.
    pub(super) async fn run(self) {
        if self.patience.is_zero() {
            return;
        }
        self.begun.send_replace(true);
        for shard in (0..self.control.shards()).map(ShardId) {
            while self.control.request(shard, Input::Drain).is_err() {
                sleep(DRAIN_LOOK_INTERVAL).await;
            }
        }
        tracing::info!(patience = ?self.patience, "no new calls; those that are up may end");
        let is_over = timeout(self.patience, self.until_no_call_is_left()).await;
        match is_over {
            Ok(()) => tracing::info!("no call is left"),
            Err(_) => {
                let numbers = self.gate.ask(Command::Numbers).await;
                let calls = numbers.map_or(0, |numbers| numbers.calls);
                tracing::warn!(calls, "calls are left that have not ended in time");
            }
        }
    }

    async fn until_no_call_is_left(&self) {
        loop {
            // A call that was let in just before is known by then.
            sleep(DRAIN_LOOK_INTERVAL).await;
            let numbers = self.gate.ask(Command::Numbers).await;
            if numbers.is_ok_and(|numbers| numbers.calls == 0) {
                return;
            }
        }
    }
}
