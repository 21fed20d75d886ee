//! When the server stops: a signal, a request of an administrator, or whoever started it wants so.
//! How it lets its calls end is `drain`'s business.

use std::future::pending;
use std::io;

use offhook_shards::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::Input;

use super::drain::Drain;
use super::service;

/// Waits until the value is true, or nobody is left to set it.
pub(super) async fn until_true(mut value: watch::Receiver<bool>) {
    let _ = value.wait_for(|set| *set).await;
}

/// Waits until whoever waits for the stop has seen it. A panic of that one is a panic here: nobody
/// could stop the server any more.
pub(super) async fn ended(stopping: &mut JoinHandle<()>) {
    if let Err(failed) = stopping.await
        && failed.is_panic()
    {
        std::panic::resume_unwind(failed.into_panic());
    }
}

/// Waits until the value is true.
async fn until_asked(mut value: watch::Receiver<bool>) {
    if value.wait_for(|set| *set).await.is_err() {
        // Nobody can ask any more, and nobody has.
        pending::<()>().await;
    }
}

/// What tells the server to stop.
pub(super) struct Stopping {
    /// The signals that do, where they are caught.
    signals: Option<io::Result<(Signal, Signal)>>,
    /// At once.
    stopped: watch::Receiver<bool>,
    /// After its calls, by an administrator.
    asked: watch::Receiver<bool>,
}

impl Stopping {
    /// Signals are caught from here on, if they are to be.
    pub(super) fn new(
        catches_signals: bool,
        stopped: watch::Receiver<bool>,
        asked: watch::Receiver<bool>,
    ) -> Self {
        Self {
            signals: catches_signals.then(catch_signals),
            stopped,
            asked,
        }
    }

    /// Waits until somebody wants the server to stop and its calls have ended; a second signal
    /// ends them at once.
    pub(super) async fn run<E: Engine<Request = Input>>(mut self, drain: Drain<E>) {
        // A service manager that stops the server after an administrator has sends its first one.
        let mut patience = 2;
        tokio::select! {
            () = until_true(self.stopped.clone()) => return,
            () = signalled(&mut self.signals) => patience -= 1,
            () = until_asked(self.asked) => tracing::info!("an administrator stops the server"),
        }
        service::stops();
        let ends_at_once = async {
            for _ in 0..patience {
                signalled(&mut self.signals).await;
            }
        };
        tokio::select! {
            () = until_true(self.stopped) => {}
            () = ends_at_once => {}
            () = drain.run() => {}
        }
    }
}

fn catch_signals() -> io::Result<(Signal, Signal)> {
    Ok((
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    ))
}

async fn signalled(signals: &mut Option<io::Result<(Signal, Signal)>>) {
    match signals {
        None => pending().await,
        Some(Ok((terminate, interrupt))) => {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM"),
                _ = interrupt.recv() => tracing::info!("SIGINT"),
            }
        }
        Some(Err(error)) => {
            // The kernel's own action still ends the process, only less politely.
            tracing::warn!(%error, "signals cannot be caught");
            pending::<()>().await;
        }
    }
}
