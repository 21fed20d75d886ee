//! Datagrams in and out, in batches, over the sockets of one shard. Never waits: a full send
//! buffer puts datagrams into a bounded queue that is tried again a little later. Which shard a
//! datagram belongs to is `shard.rs`'s question, and readiness is the driver's.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use crate::limits;
use crate::metrics::{Counter, ShardMetrics};
use crate::sockets::Listener;
use crate::sys::{Datagram, ReceiveBatch, SendBatch, dropped_datagrams};

struct Socket {
    listener: Listener,
    /// Whether there may be datagrams: said by the driver, taken back when none is found.
    ready: bool,
    /// How many datagrams the kernel had dropped here when it was last asked.
    dropped: u32,
    /// Datagrams of this turn, as ranges of the shard's buffer.
    outgoing: Vec<(SocketAddr, Range<usize>)>,
    /// Datagrams that met a full send buffer, oldest first.
    retry: VecDeque<(SocketAddr, Box<[u8]>)>,
    /// Not before this are they tried again.
    retry_at: Option<Instant>,
}

/// One shard's datagram sockets.
pub(crate) struct Datagrams {
    sockets: Vec<Socket>,
    /// The socket of each address.
    places: HashMap<SocketAddr, usize>,
    incoming: ReceiveBatch,
    sender: SendBatch,
    queued: usize,
    /// When the kernel is asked what it has dropped, if any has come since it was last asked: full
    /// sockets may hold few.
    ask_at: Option<Instant>,
}

impl Datagrams {
    /// `has_asides`: whether the sockets stamp datagrams or join them; `joins`: whether we do.
    pub(crate) fn new(listeners: Vec<Listener>, has_asides: bool, joins: bool) -> Self {
        let socket = |listener| Socket {
            listener,
            ready: true,
            dropped: 0,
            outgoing: Vec::with_capacity(limits::BATCH_MAX),
            retry: VecDeque::new(),
            retry_at: None,
        };
        let address = |(place, listener): (usize, &Listener)| (listener.local, place);
        Self {
            places: listeners.iter().enumerate().map(address).collect(),
            sockets: listeners.into_iter().map(socket).collect(),
            incoming: ReceiveBatch::new(has_asides),
            sender: SendBatch::new(joins),
            queued: 0,
            ask_at: None,
        }
    }

    /// How many sockets there are.
    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// A socket's descriptor, for the driver to watch.
    pub(crate) fn descriptor(&self, socket: usize) -> BorrowedFd<'_> {
        self.sockets[socket].listener.socket.as_fd()
    }

    /// The address a socket is bound to.
    pub(crate) fn local(&self, socket: usize) -> SocketAddr {
        self.sockets[socket].listener.local
    }

    /// The driver has seen that there may be datagrams.
    pub(crate) fn set_ready(&mut self, socket: usize) {
        self.sockets[socket].ready = true;
    }

    /// There may be datagrams everywhere.
    pub(crate) fn set_all_ready(&mut self) {
        for socket in &mut self.sockets {
            socket.ready = true;
        }
    }

    /// Whether there may be datagrams that the driver need not wait for.
    pub(crate) fn is_ready(&self, socket: usize) -> bool {
        self.sockets[socket].ready
    }

    /// Receives one batch and returns its size, joined datagrams counted once; 0 once the socket
    /// is dry.
    pub(crate) fn receive(&mut self, now: Instant, socket: usize, metrics: &ShardMetrics) -> usize {
        let socket = &mut self.sockets[socket];
        if !socket.ready {
            return 0;
        }
        /// An error of the socket's own (an ICMP message, a signal) hides what is behind it.
        const ATTEMPTS_MAX: usize = 4;
        for _ in 0..ATTEMPTS_MAX {
            match self.incoming.receive(socket.listener.socket.as_fd()) {
                Ok(received) => {
                    metrics.add(Counter::BatchesIn, 1);
                    // A batch that is not full has emptied the socket: the next one wakes us.
                    socket.ready = received == limits::BATCH_MAX;
                    if received >= limits::CROWDED_BATCH_MIN {
                        socket.count_dropped(metrics);
                    } else if self.ask_at.is_none() {
                        self.ask_at = Some(now + limits::DROPS_UNASKED_MAX);
                    }
                    return received;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        socket.ready = false;
        0
    }

    /// The batch received last.
    pub(crate) fn batch(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.incoming.datagrams()
    }

    /// Queues a datagram that lies in `buffer` at `range`; `false` if no socket can send it.
    pub(crate) fn queue(
        &mut self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        range: Range<usize>,
    ) -> bool {
        // With a single socket there is nothing to look up.
        let exact = local.filter(|_| self.sockets.len() > 1);
        let exact = exact.and_then(|local| self.places.get(&local).copied());
        let exact = exact.filter(|&place| {
            let own = self.sockets[place].listener.local;
            own.is_ipv4() == remote.is_ipv4()
        });
        let family = |socket: &Socket| socket.listener.local.is_ipv4() == remote.is_ipv4();
        let Some(place) = exact.or_else(|| self.sockets.iter().position(family)) else {
            return false;
        };
        self.sockets[place].outgoing.push((remote, range));
        self.queued += 1;
        true
    }

    /// How many datagrams wait for [`Datagrams::flush`].
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Sends what is queued. What the kernel has no room for is copied and kept.
    pub(crate) fn flush(&mut self, now: Instant, buffer: &[u8], metrics: &ShardMetrics) {
        self.queued = 0;
        for socket in &mut self.sockets {
            socket.try_again(now, metrics);
            let mut rest = socket.outgoing.as_slice();
            if socket.retry.is_empty() {
                rest = send_all(&socket.listener, &mut self.sender, buffer, rest, metrics);
            }
            for (remote, range) in rest {
                if socket.retry.len() == limits::SEND_RETRY_MAX {
                    metrics.add(Counter::DropSendFull, 1);
                    continue;
                }
                socket
                    .retry
                    .push_back((*remote, buffer[range.clone()].into()));
            }
            socket.outgoing.clear();
            if !socket.retry.is_empty() && socket.retry_at.is_none() {
                socket.retry_at = Some(now + limits::SEND_RETRY_PAUSE);
            }
        }
    }

    /// Asks the kernel what it has dropped, if it is time.
    pub(crate) fn expire(&mut self, now: Instant, metrics: &ShardMetrics) {
        if self.ask_at.take_if(|at| *at <= now).is_some() {
            self.count_dropped(metrics);
        }
    }

    /// Asks the kernel what it has dropped.
    pub(crate) fn count_dropped(&mut self, metrics: &ShardMetrics) {
        for socket in &mut self.sockets {
            socket.count_dropped(metrics);
        }
    }

    /// When a full send buffer is to be tried again, or the kernel to be asked.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let retries = self.sockets.iter().filter_map(|socket| socket.retry_at);
        retries.chain(self.ask_at).min()
    }
}

/// Sends until the kernel has no more room; returns what is left. A datagram that the kernel
/// refuses for itself is dropped: the next one may have another destination.
fn send_all<'a>(
    listener: &Listener,
    sender: &mut SendBatch,
    buffer: &[u8],
    mut rest: &'a [(SocketAddr, Range<usize>)],
    metrics: &ShardMetrics,
) -> &'a [(SocketAddr, Range<usize>)] {
    while !rest.is_empty() {
        match sender.send(listener.socket.as_fd(), buffer, rest) {
            Ok(sent) => {
                metrics.add(Counter::BatchesOut, 1);
                metrics.add(Counter::DatagramsOut, sent as u64);
                let bytes: usize = rest[..sent].iter().map(|(_, range)| range.len()).sum();
                metrics.add(Counter::BytesOut, bytes as u64);
                rest = &rest[sent..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_full(&error) => return rest,
            Err(_) => {
                metrics.add(Counter::DropSendError, 1);
                rest = &rest[1..];
            }
        }
    }
    rest
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}

impl Socket {
    /// Counts what the kernel has dropped since it was last asked.
    fn count_dropped(&mut self, metrics: &ShardMetrics) {
        let Some(dropped) = dropped_datagrams(self.listener.socket.as_fd()) else {
            return;
        };
        let since = dropped.wrapping_sub(self.dropped);
        self.dropped = dropped;
        metrics.add(Counter::DropReceiveFull, u64::from(since));
    }

    fn send_one(&self, remote: SocketAddr, bytes: &[u8]) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        self.listener
            .socket
            .send_to_with_flags(bytes, &remote.into(), flags)
    }

    fn try_again(&mut self, now: Instant, metrics: &ShardMetrics) {
        if self.retry_at.is_none_or(|at| at > now) {
            return;
        }
        self.retry_at = None;
        while let Some((remote, bytes)) = self.retry.pop_front() {
            match self.send_one(remote, &bytes) {
                Ok(sent) => {
                    metrics.add(Counter::DatagramsOut, 1);
                    metrics.add(Counter::BytesOut, sent as u64);
                }
                Err(error) if is_full(&error) => {
                    self.retry.push_front((remote, bytes));
                    return;
                }
                Err(_) => metrics.add(Counter::DropSendError, 1),
            }
        }
    }
}
