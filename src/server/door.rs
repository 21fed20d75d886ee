//! The door of HTTP: accepts connections, as many as there may be in all and from one address,
//! closes those that take too long to say what they want or to take their answer, and counts by
//! cause what is turned away. It never reads a request: hyper
//! does, and `api` decides.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_CONNECTIONS_PER_SOURCE_MAX};

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
    /// A connection on which no whole request came in time, or no whole handshake, or whose peer
    /// took nothing of its answer for as long.
    TooSlow => "too_slow",
    /// A connection beyond the number of connections, or of those from its address.
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

/// The connections that are open, by address.
#[derive(Debug, Default)]
struct Crowd(Mutex<(usize, HashMap<IpAddr, usize>)>);

/// One place in it, given back when the connection ends.
#[derive(Debug)]
struct Place {
    crowd: Arc<Crowd>,
    source: IpAddr,
}

impl Crowd {
    /// Nobody has all the places. Whoever is on this machine may: a proxy, say.
    fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let source = source.to_canonical();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, sources) = &mut *open;
        let of_source = sources.get(&source).copied().unwrap_or_default();
        let is_too_many = of_source >= HTTP_CONNECTIONS_PER_SOURCE_MAX && !source.is_loopback();
        if *all >= HTTP_CONNECTIONS_MAX || is_too_many {
            return None;
        }
        *all += 1;
        *sources.entry(source).or_default() += 1;
        let crowd = Arc::clone(self);
        Some(Place { crowd, source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, sources) = &mut *open;
        *all -= 1;
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
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
    crowd: Arc<Crowd>,
}

impl Door {
    /// A door that gives each connection so long for the head of a request, and for taking anything
    /// of an answer.
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
            crowd: Arc::default(),
        }
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let (stream, remote) = Listener::accept(&mut self.listener).await;
            let Some(place) = self.crowd.enter(remote.ip()) else {
                self.refusals.count(Cause::TooMany);
                continue;
            };
            // Frames are small and somebody waits for each.
            let _ = stream.set_nodelay(true);
            let deadline = Instant::now() + self.head_deadline;
            let connection = Connection {
                stream: Stream::new(stream, self.secrets.as_ref()),
                progress: Arc::default(),
                head_deadline: self.head_deadline,
                deadline: Box::pin(sleep_until(deadline)),
                was_busy: false,
                is_written: true,
                is_stuck: false,
                unfinished: None,
                refusals: Arc::clone(&self.refusals),
                _place: place,
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
    /// Whether all of the last answer was taken.
    is_written: bool,
    /// Whether the deadline is that of a peer who takes nothing of its answer.
    is_stuck: bool,
    /// Bytes have come since this many heads were whole, and what they are is not known yet.
    unfinished: Option<u64>,
    refusals: Arc<Refusals>,
    _place: Place,
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
        let busy = self.progress.busy.load(Ordering::Relaxed) || !self.is_written;
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

    /// Looks after what the peer takes: hyper reads no more while an answer waits to be taken.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        // A WebSocket has deadlines of its own.
        if progress.is_ready() || self.progress.busy.load(Ordering::Relaxed) {
            self.is_stuck = false;
            return progress;
        }
        if !std::mem::replace(&mut self.is_stuck, true) {
            let deadline = Instant::now() + self.head_deadline;
            self.deadline.as_mut().reset(deadline);
        }
        ready!(self.deadline.as_mut().poll(context));
        self.refusals.count(Cause::TooSlow);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.poll_flush(context);
        if flushed.is_ready() && !std::mem::replace(&mut self.is_written, true) {
            // The next head has its time from now on.
            let deadline = Instant::now() + self.head_deadline;
            self.deadline.as_mut().reset(deadline);
        }
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_written = false;
        let written = self.stream.poll_write(context, buffers);
        self.watch(context, written)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_has_all_the_places_and_each_comes_back() {
        let crowd = Arc::new(Crowd::default());
        let [one, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let enter = |source| crowd.enter(source);
        let places: Vec<_> = (0..HTTP_CONNECTIONS_PER_SOURCE_MAX)
            .map(|_| enter(one).expect("a place"))
            .collect();
        assert!(enter(one).is_none());
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        assert!(enter(mapped).is_none());
        drop(enter(other).expect("a place"));
        // Whoever is on this machine speaks for many.
        let here = IpAddr::from([127, 0, 0, 1]);
        let rest: Vec<_> = std::iter::from_fn(|| enter(here)).collect();
        assert_eq!(places.len() + rest.len(), HTTP_CONNECTIONS_MAX);
        assert!(enter(other).is_none());
        drop((places, rest));
        assert!(enter(one).is_some());
        let open = crowd.0.lock().expect("nobody panicked");
        assert_eq!((open.0, open.1.len()), (0, 0));
    }
}
