//! One CTI client's WebSocket: frames in to the hub, frames out from the client's queue, pings,
//! and the close. It never looks into a frame, and no other client waits for this one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::cti::ClientId;
use crate::limits::{
    CTI_CLOSE_DEADLINE, CTI_FRAME_BYTES_READ_MAX, CTI_PING_INTERVAL, CTI_SILENCE_MAX,
    CTI_WRITE_BATCH_MAX,
};

use super::clients::{self, Close, Inbox, Kind, Outgoing};
use super::door::{CutOff, Refusals};
use super::gate::{Command, Gate};
use super::permissions::Identity;

/// The name of the protocol, offered in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "offhook.cti.v1";
/// The close code for a client that does not read.
pub const CLOSE_SLOW: u16 = 4008;

/// RFC 6455 §7.4.1.
mod code {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const PROTOCOL_ERROR: u16 = 1002;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_BIG: u16 = 1009;
    pub(super) const TRY_AGAIN_LATER: u16 = 1013;
}

/// When a client is pinged and when it counts as silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Time between two pings.
    pub ping: Duration,
    /// Silence after which the client is closed.
    pub silence_max: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            ping: CTI_PING_INTERVAL,
            silence_max: CTI_SILENCE_MAX,
        }
    }
}

/// How a connection ended.
enum End {
    /// The client closed it, or it broke.
    Gone,
    /// We close it.
    Ours(u16, String),
}

type Sink = SplitSink<WebSocket, Message>;

/// What a client comes with.
#[derive(Debug)]
pub struct Visit {
    /// The way to the hub.
    pub gate: Gate,
    /// Who it is.
    pub identity: Identity,
    /// How many frames may wait for it.
    pub queue_frames_max: usize,
    /// When it is pinged.
    pub heartbeat: Heartbeat,
    /// Where it is counted if it has to be closed.
    pub refusals: Arc<Refusals>,
}

/// Attends to one client until it goes away or is closed.
pub async fn attend(socket: WebSocket, visit: Visit) {
    let Visit {
        gate,
        identity,
        queue_frames_max,
        heartbeat,
        refusals,
    } = visit;
    let (outbox, mut inbox) = clients::queue(queue_frames_max);
    let (mut sink, mut stream) = socket.split();
    let connect = |reply| Command::Connect {
        identity,
        kind: Kind::Socket,
        outbox,
        reply,
    };
    let end = match gate.ask(connect).await {
        Ok(Ok(id)) => {
            let end = tokio::select! {
                end = read(&mut stream, &gate, id, heartbeat, &refusals) => end,
                end = write(&mut sink, &mut inbox, heartbeat) => end,
            };
            // A hub that is gone has forgotten the client already.
            let _ = gate.send(Command::Disconnect(id)).await;
            end
        }
        Ok(Err(_)) => End::Ours(code::TRY_AGAIN_LATER, "too many clients".to_owned()),
        Err(_) => End::Ours(code::GOING_AWAY, "the server stops".to_owned()),
    };
    if let End::Ours(code, reason) = end {
        // The client may need some time to read what stands before the close frame.
        let _ = timeout(CTI_CLOSE_DEADLINE, close(sink, stream, code, reason)).await;
    }
}

async fn close(mut sink: Sink, mut stream: SplitStream<WebSocket>, code: u16, reason: String) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    if sink.send(Message::Close(Some(frame))).await.is_err() {
        return;
    }
    // RFC 6455 §7.1.1: the peer's close frame first, then TCP; a reset would destroy ours.
    while let Some(Ok(_)) = stream.next().await {}
}

async fn read(
    stream: &mut SplitStream<WebSocket>,
    gate: &Gate,
    id: ClientId,
    heartbeat: Heartbeat,
    refusals: &Refusals,
) -> End {
    loop {
        let Ok(received) = timeout(heartbeat.silence_max, stream.next()).await else {
            refusals.count_cut_off(CutOff::Silent);
            return End::Ours(
                code::POLICY,
                "the client was silent for too long".to_owned(),
            );
        };
        let command = match received {
            Some(Ok(Message::Text(text))) => Command::Text(id, text.into()),
            Some(Ok(Message::Binary(_))) => Command::Binary(id),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_))) | None => return End::Gone,
            Some(Err(error)) => return broken(&error, refusals),
        };
        if gate.send(command).await.is_err() {
            return End::Ours(code::GOING_AWAY, "the server stops".to_owned());
        }
    }
}

fn broken(error: &axum::Error, refusals: &Refusals) -> End {
    // The library's own type is not ours to name; its words tell the one case that has a code.
    let words = error.to_string();
    if words.contains("too long") {
        refusals.count_cut_off(CutOff::FrameTooLong);
        let reason = format!("a frame may have {CTI_FRAME_BYTES_READ_MAX} bytes at most");
        return End::Ours(code::TOO_BIG, reason);
    }
    if words.contains("without closing handshake") || words.contains("IO error") {
        // It went away without a word, as a crash or a network does.
        return End::Gone;
    }
    refusals.count_cut_off(CutOff::Protocol);
    End::Ours(code::PROTOCOL_ERROR, "this is not WebSocket".to_owned())
}

async fn write(sink: &mut Sink, inbox: &mut Inbox, heartbeat: Heartbeat) -> End {
    let mut pings = interval(heartbeat.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut last_sent = None;
    loop {
        let writing = async {
            tokio::select! {
                first = inbox.queue.recv() => match first {
                    Some(first) => write_batch(sink, &mut inbox.queue, first, &mut last_sent).await,
                    // The hub has let the client go and says why.
                    None => std::future::pending().await,
                },
                _ = pings.tick() => sink.send(Message::Ping(axum::body::Bytes::new())).await,
            }
        };
        // A client that does not read may stop us in the middle of a write: the reason to close
        // comes first.
        tokio::select! {
            biased;
            reason = &mut inbox.close => return closing(reason.ok(), last_sent),
            written = writing => if written.is_err() {
                return End::Gone;
            },
        }
    }
}

/// Writes what waits, up to a bound, and flushes once.
async fn write_batch(
    sink: &mut Sink,
    queue: &mut tokio::sync::mpsc::Receiver<Outgoing>,
    first: Outgoing,
    last_sent: &mut Option<u64>,
) -> Result<(), axum::Error> {
    let mut next = Some(first);
    for _ in 0..CTI_WRITE_BATCH_MAX {
        let Some(Outgoing { frame, sequence }) = next else {
            break;
        };
        sink.feed(Message::Text(frame)).await?;
        *last_sent = sequence.or(*last_sent);
        next = queue.try_recv().ok();
    }
    if let Some(Outgoing { frame, sequence }) = next {
        sink.feed(Message::Text(frame)).await?;
        *last_sent = sequence.or(*last_sent);
    }
    sink.flush().await
}

fn closing(reason: Option<Close>, last_sent: Option<u64>) -> End {
    match reason {
        Some(Close::Slow) => {
            let last = last_sent.map_or_else(|| "none".to_owned(), |last| last.to_string());
            End::Ours(
                CLOSE_SLOW,
                format!("the client is too slow; EventSequenceNumber {last}"),
            )
        }
        Some(Close::Stopping) => End::Ours(code::GOING_AWAY, "the server stops".to_owned()),
        None => End::Gone,
    }
}
