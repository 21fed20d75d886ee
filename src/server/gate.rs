//! The way to the hub: sockets send commands through a bounded queue, and one task turns the hub
//! with them, with the shards' outputs and with time. It carries values and decides nothing.

use std::future::Future;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::cti::{ClientId, ErrorCode, Output};
use crate::limits::{
    CTI_COMMANDS_MAX, CTI_COMMANDS_PER_TURN_MAX, CTI_EVENTS_PER_TURN_MAX, CTI_IDLE_TICK, CTI_TICK,
};

use super::clients::{Kind, Outbox};
use super::clock::Clock;
use super::hub::{Hub, Numbers, Query, Received, TooManyClients};
use super::link::Shards;
use super::permissions::Identity;

/// What a socket wants of the hub.
#[derive(Debug)]
pub enum Command {
    /// Let a client in.
    Connect {
        /// Who it is.
        identity: Identity,
        /// How it came.
        kind: Kind,
        /// Where its frames go.
        outbox: Outbox,
        /// Under which number it is in.
        reply: oneshot::Sender<Result<ClientId, TooManyClients>>,
    },
    /// A client sent text.
    Text(ClientId, Bytes),
    /// A client sent a binary frame.
    Binary(ClientId),
    /// A client went away.
    Disconnect(ClientId),
    /// HTTP asks for the state.
    Query {
        /// Who asks.
        identity: Identity,
        /// For what.
        query: Query,
        /// The answer.
        reply: oneshot::Sender<Result<Json, (ErrorCode, String)>>,
    },
    /// HTTP asks for the numbers.
    Numbers(oneshot::Sender<Numbers>),
}

/// The hub does not turn any more: the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// Sends commands to the hub. While its queue is full, senders wait; the hub never does.
#[derive(Debug, Clone)]
pub struct Gate(mpsc::Sender<Command>);

impl Gate {
    /// A gate and the commands that come through it.
    #[must_use]
    pub fn open() -> (Self, mpsc::Receiver<Command>) {
        let (sender, commands) = mpsc::channel(CTI_COMMANDS_MAX);
        (Self(sender), commands)
    }

    /// Hands a command over.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.0.send(command).await.map_err(|_| Stopped)
    }

    /// Hands a command over and waits for its answer.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| Stopped)
    }
}

/// Where the shards' outputs come from.
pub trait Outputs {
    /// Waits until there may be outputs.
    fn ready(&mut self) -> impl Future<Output = ()>;

    /// Moves at most `outputs_max` outputs to the end of `into`, and tells how many. Fewer means
    /// that there are no more for now.
    fn drain(&mut self, outputs_max: usize, into: &mut Vec<Output>) -> usize;

    /// Why there will be no more outputs, if something broke.
    fn broken(&self) -> Option<String>;
}

/// Turns the hub until `stop` is done, or until something broke. Whatever wakes it looks at `stop`
/// as well, so that should be cheap.
///
/// # Errors
/// What broke, in words.
pub async fn turn<S: Shards>(
    hub: &mut Hub<S>,
    clock: &Clock,
    mut commands: mpsc::Receiver<Command>,
    mut outputs: impl Outputs,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let mut stop = std::pin::pin!(stop);
    let mut tick = std::pin::pin!(tokio::time::sleep(CTI_TICK));
    let mut pace = CTI_TICK;
    let mut batch = Vec::with_capacity(CTI_EVENTS_PER_TURN_MAX);
    let mut more = false;
    loop {
        if pace > pace_of(hub) {
            pace = pace_of(hub);
            tick.as_mut().reset(Instant::now() + pace);
        }
        tokio::select! {
            () = &mut stop => {
                // What has gathered is told before clients are sent away.
                take(hub, &mut outputs, &mut batch);
                hub.stop();
                return Ok(());
            }
            () = &mut tick => {
                hub.handle_timeout(clock.now());
                pace = pace_of(hub);
                tick.as_mut().reset(Instant::now() + pace);
                check(hub, &outputs)?;
            }
            Some(command) = commands.recv() => {
                handle(hub, clock, command);
                for _ in 1..CTI_COMMANDS_PER_TURN_MAX {
                    let Ok(command) = commands.try_recv() else { break };
                    handle(hub, clock, command);
                }
            }
            () = come(&mut outputs, more) => {
                let taken = take(hub, &mut outputs, &mut batch);
                more = taken == CTI_EVENTS_PER_TURN_MAX;
                // What woke it may have been an end.
                if taken == 0 {
                    check(hub, &outputs)?;
                }
            }
        }
    }
}

/// How soon the hub is to be told the time.
fn pace_of<S: Shards>(hub: &Hub<S>) -> Duration {
    if hub.waits_for_time() {
        CTI_TICK
    } else {
        CTI_IDLE_TICK
    }
}

/// Waits until there may be outputs. Where there are more, it lets everybody else have a turn.
async fn come(outputs: &mut impl Outputs, more: bool) {
    if more {
        tokio::task::yield_now().await;
    } else {
        outputs.ready().await;
    }
}

/// Sends the clients away if something broke.
fn check<S: Shards>(hub: &mut Hub<S>, outputs: &impl Outputs) -> Result<(), String> {
    outputs.broken().map_or(Ok(()), |words| {
        hub.stop();
        Err(words)
    })
}

/// Takes one batch of outputs; tells how many they were.
fn take<S: Shards>(hub: &mut Hub<S>, outputs: &mut impl Outputs, batch: &mut Vec<Output>) -> usize {
    let taken = outputs.drain(CTI_EVENTS_PER_TURN_MAX, batch);
    for output in batch.drain(..) {
        hub.handle_output(output);
    }
    taken
}

fn handle<S: Shards>(hub: &mut Hub<S>, clock: &Clock, command: Command) {
    let now = clock.now();
    match command {
        Command::Connect {
            identity,
            kind,
            outbox,
            reply,
        } => {
            let outcome = hub.connect(now, identity, kind, outbox);
            let connected = outcome.ok();
            // A socket that is gone by now will not say so again.
            if let (Err(_), Some(id)) = (reply.send(outcome), connected) {
                hub.handle_disconnect(id);
            }
        }
        Command::Text(id, text) => hub.handle_frame(now, id, Received::Text(&text)),
        Command::Binary(id) => hub.handle_frame(now, id, Received::Binary),
        Command::Disconnect(id) => hub.handle_disconnect(id),
        Command::Query {
            identity,
            query,
            reply,
        } => {
            // Who asked may have gone away meanwhile.
            let _ = reply.send(hub.query(&identity, &query));
        }
        Command::Numbers(reply) => {
            let _ = reply.send(hub.numbers());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn while_as_many_commands_wait_as_may_the_next_sender_waits_too() {
        let (gate, mut commands) = Gate::open();
        let client = ClientId(1);
        for _ in 0..CTI_COMMANDS_MAX {
            gate.send(Command::Binary(client)).await.expect("it turns");
        }
        let mut next = std::pin::pin!(gate.send(Command::Disconnect(client)));
        let waits = tokio::time::timeout(CTI_TICK, next.as_mut()).await;
        assert!(waits.is_err());
        assert!(commands.recv().await.is_some());
        assert_eq!(next.await, Ok(()));
        assert_eq!(commands.len(), CTI_COMMANDS_MAX);
    }
}
