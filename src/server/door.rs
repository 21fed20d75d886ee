//! The door of HTTP: accepts connections, as many as there may be, closes those that take too long
//! to say what they want, and counts by cause what is turned away. It never reads a request: hyper
//! does, and `api` decides.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::HTTP_CONNECTIONS_MAX;

use super::stream::{Secrets, Stream};

/// Defines the causes: variant, label.
macro_rules! causes {
    ($($(#[$meta:meta])* $variant:ident => $name:literal,)+) => {
        /// Why HTTP, or a WebSocket before it is a client, was turned away.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Cause { $($(#[$meta])* $variant),+ }

        impl Cause {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value of the label `cause`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

causes! {
    /// A connection that ended in the middle of what was no request, or not yet.
    Malformed => "malformed",
    /// A connection whose TLS handshake failed.
    Handshake => "handshake",
    /// A connection on which no whole request came in time, or no whole handshake.
    TooSlow => "too_slow",
    /// A connection beyond the number of connections.
    TooMany => "too_many",
    /// 401: no token, or none that is known.
    Unauthorized => "unauthorized",
    /// 403: the token does not allow it, or another site's page asks.
    Forbidden => "forbidden",
    /// 404: nothing is served there.
    NotFound => "not_found",
    /// 405: the path does not take the method.
    Method => "method",
    /// 413: the body is too long.
    TooLarge => "too_large",
    /// 429: the client asks too often.
    TooOften => "too_often",
    /// 503: the server is full or stops.
    Unavailable => "unavailable",
    /// Every other error.
    Other => "other",
}

/// Why a client on a WebSocket was closed by the server, beside being slow to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    /// Nothing came from it for too long.
    Silent,
    /// A frame was too long to be read.
    FrameTooLong,
    /// What it sent is no WebSocket.
    Protocol,
}

/// What was turned away, by cause.
#[derive(Debug, Default)]
pub struct Refusals {
    http: [AtomicU64; Cause::ALL.len()],
    cut_off: [AtomicU64; 3],
}

impl Refusals {
    /// Counts one.
    pub fn count(&self, cause: Cause) {
        self.http[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a client that was closed.
    pub fn count_cut_off(&self, cut_off: CutOff) {
        self.cut_off[cut_off as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn value(&self, cause: Cause) -> u64 {
        self.http[cause as usize].load(Ordering::Relaxed)
    }

    /// How many clients were closed.
    #[must_use]
    pub fn cut_off(&self, cut_off: CutOff) -> u64 {
        self.cut_off[cut_off as usize].load(Ordering::Relaxed)
    }
}

/// What a connection and the requests on it know of each other.
#[derive(Debug, Default)]
struct Progress {
    /// Heads of requests that were whole.
    heads: AtomicU64,
    /// Whether one is being answered, or the connection has become a WebSocket.
    busy: AtomicBool,
}

/// What each request is told of its connection.
#[derive(Debug, Clone)]
pub struct Visitor(Arc<Progress>);

impl Connected<IncomingStream<'_, Door>> for Visitor {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(Arc::clone(&stream.io().progress))
    }
}

/// Every request passes here: its connection is told, and a refusal is counted.
pub async fn pass(
    State(refusals): State<Arc<Refusals>>,
    ConnectInfo(Visitor(progress)): ConnectInfo<Visitor>,
    request: Request,
    next: Next,
) -> Response {
    progress.heads.fetch_add(1, Ordering::Relaxed);
    progress.busy.store(true, Ordering::Relaxed);
    let response = next.run(request).await;
    let status = response.status();
    // A WebSocket has deadlines of its own.
    if status != StatusCode::SWITCHING_PROTOCOLS {
        progress.busy.store(false, Ordering::Relaxed);
    }
    if status.is_client_error() || status.is_server_error() {
        refusals.count(cause_of(status));
    }
    response
}

fn cause_of(status: StatusCode) -> Cause {
    match status {
        StatusCode::UNAUTHORIZED => Cause::Unauthorized,
        StatusCode::FORBIDDEN => Cause::Forbidden,
        StatusCode::NOT_FOUND => Cause::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Cause::Method,
        StatusCode::REQUEST_TIMEOUT => Cause::TooSlow,
        StatusCode::PAYLOAD_TOO_LARGE => Cause::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => Cause::TooOften,
        StatusCode::SERVICE_UNAVAILABLE => Cause::Unavailable,
        _ => Cause::Other,
    }
}

/// The listener.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    /// Where it speaks TLS.
    secrets: Option<Secrets>,
    head_deadline: Duration,
    refusals: Arc<Refusals>,
    /// Held by each connection: their number is that of the copies.
    open: Arc<()>,
}

impl Door {
    /// A door that gives each connection so long for the head of a request.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        secrets: Option<Secrets>,
        head_deadline: Duration,
        refusals: Arc<Refusals>,
    ) -> Self {
        Self {
            listener,
            secrets,
            head_deadline,
            refusals,
            open: Arc::default(),
        }
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let (stream, remote) = Listener::accept(&mut self.listener).await;
            if Arc::strong_count(&self.open) > HTTP_CONNECTIONS_MAX {
                self.refusals.count(Cause::TooMany);
                continue;
            }
            // Frames are small and somebody waits for each.
            let _ = stream.set_nodelay(true);
            let deadline = Instant::now() + self.head_deadline;
            let connection = Connection {
                stream: Stream::new(stream, self.secrets.as_ref()),
                progress: Arc::default(),
                head_deadline: self.head_deadline,
                deadline: Box::pin(sleep_until(deadline)),
                was_busy: false,
                unfinished: None,
                refusals: Arc::clone(&self.refusals),
                _open: Arc::clone(&self.open),
            };
            return (connection, remote);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection.
pub struct Connection {
    stream: Stream,
    progress: Arc<Progress>,
    head_deadline: Duration,
    deadline: Pin<Box<Sleep>>,
    was_busy: bool,
    /// Bytes have come since this many heads were whole, and what they are is not known yet.
    unfinished: Option<u64>,
    refusals: Arc<Refusals>,
    _open: Arc<()>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("progress", &self.progress)
            .field("is_shaking", &self.stream.is_shaking())
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let busy = self.progress.busy.load(Ordering::Relaxed);
        if !busy && self.was_busy {
            let deadline = Instant::now() + self.head_deadline;
            self.deadline.as_mut().reset(deadline);
        }
        self.was_busy = busy;
        // Before the bytes: however steadily they trickle.
        if !busy && self.deadline.as_mut().poll(context).is_ready() {
            if self.is_unfinished() || self.stream.is_shaking() {
                self.refusals.count(Cause::TooSlow);
                self.unfinished = None;
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Err(error) = ready!(self.stream.poll_handshake(context)) {
            self.refusals.count(Cause::Handshake);
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        ready!(self.stream.poll_read(context, buffer))?;
        if !busy && buffer.filled().len() > before {
            self.unfinished = Some(self.progress.heads.load(Ordering::Relaxed));
        }
        Poll::Ready(Ok(()))
    }
}

impl Connection {
    fn is_unfinished(&self) -> bool {
        self.unfinished == Some(self.progress.heads.load(Ordering::Relaxed))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.is_unfinished() {
            self.refusals.count(Cause::Malformed);
        }
    }
}
