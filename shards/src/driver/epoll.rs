//! The epoll driver: a plain thread that waits for readiness at its [`Lookout`]. Works wherever
//! Linux does.

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::driver::lookout::{Lookout, OWN_TOKENS};
use crate::driver::{Drive, nap};
use crate::engine::{ConnectionId, Engine, Transport};
use crate::limits;
use crate::metrics::Counter;
use crate::options::StartError;
use crate::shard::{Next, Shard};
use crate::sockets::{self, Listener};
use crate::tcp::StreamCommand;

/// The first listener's token.
const LISTENERS: usize = OWN_TOKENS;
/// The first connection's token.
const CONNECTIONS: usize = 1 << 30;

/// See the module.
pub(crate) struct Epoll {
    lookout: Lookout,
}

impl Drive for Epoll {
    fn prepare() -> Result<Self, StartError> {
        Ok(Self {
            lookout: Lookout::new().map_err(StartError::Resources)?,
        })
    }

    fn run<E: Engine>(self, shard: Shard<E>, listeners: Vec<Listener>) {
        let lookout = self.lookout;
        let watched = "the kernel watches sockets it has just opened";
        lookout
            .hear(&shard.datagrams, shard.sleeper().descriptor())
            .expect(watched);
        let registry = lookout.registry().try_clone();
        let mut runner = Runner {
            shard,
            registry: registry.expect("a descriptor can be duplicated at start"),
            listeners: Vec::new(),
            streams: Vec::new(),
            scratch: vec![0; limits::STREAM_READ_BYTES],
        };
        runner.watch(listeners).expect(watched);
        runner.run(lookout);
    }
}

struct Runner<E: Engine> {
    shard: Shard<E>,
    registry: Registry,
    /// Each with its transport, and whether connections may be waiting.
    listeners: Vec<(TcpListener, Transport, bool)>,
    /// By the connection's index.
    streams: Vec<Option<(ConnectionId, TcpStream)>>,
    scratch: Vec<u8>,
}

impl<E: Engine> Runner<E> {
    fn watch(&mut self, listeners: Vec<Listener>) -> io::Result<()> {
        for (index, listener) in listeners.into_iter().enumerate() {
            listener.socket.set_nonblocking(true)?;
            let transport = listener.transport;
            let mut listener = TcpListener::from_std(listener.socket.into());
            let token = Token(LISTENERS + index);
            self.registry
                .register(&mut listener, token, Interest::READABLE)?;
            self.listeners.push((listener, transport, true));
        }
        Ok(())
    }

    fn run(&mut self, mut lookout: Lookout) {
        loop {
            let now = Clock.now();
            self.accept(now);
            let next = self.shard.turn(now);
            self.shard.count_turn(Clock.now());
            let obeyed = self.obey(now);
            let timeout = match next {
                Next::Stop => break,
                Next::Nap(until) => {
                    nap(until);
                    if !obeyed && self.has_few_sockets() {
                        self.shard.datagrams.set_all_ready();
                        continue;
                    }
                    Some(Duration::ZERO)
                }
                Next::Sleep(deadline)
                    if !obeyed && !self.has_to_accept() && self.shard.may_sleep() =>
                {
                    deadline.map(|deadline| deadline.saturating_duration_since(Clock.now()))
                }
                Next::Again | Next::Sleep(_) => Some(Duration::ZERO),
            };
            let heard = lookout.wait(timeout, &mut self.shard.datagrams);
            self.shard.rise();
            let now = Clock.now();
            for token in heard.iter().copied() {
                self.take(now, token);
            }
        }
        self.shard.streams.close_all();
    }

    fn take(&mut self, now: Instant, token: usize) {
        if token < CONNECTIONS {
            self.listeners[token - LISTENERS].2 = true;
        } else if let Some(&Some((id, _))) = self.streams.get(token - CONNECTIONS) {
            self.attend(now, id);
        }
    }

    fn accept(&mut self, now: Instant) {
        for index in 0..self.listeners.len() {
            for _ in 0..limits::ACCEPTS_PER_TURN_MAX {
                let (listener, transport, ready) = &mut self.listeners[index];
                let transport = *transport;
                if !*ready {
                    break;
                }
                match listener.accept() {
                    Ok((stream, remote)) => self.accepted(now, transport, stream, remote),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => *ready = false,
                    Err(error) if is_about_one_connection(&error) => {}
                    Err(_) => {
                        *ready = false;
                        self.shard.streams.pause_accepting(now, index);
                    }
                }
            }
        }
    }

    /// Whether to ask all sockets is cheaper than to ask which of them has something. Nobody writes
    /// our bell while we are awake.
    fn has_few_sockets(&self) -> bool {
        let is_about_datagrams = self.listeners.is_empty() && self.streams.is_empty();
        is_about_datagrams && self.shard.datagrams.len() <= limits::SOCKETS_ASKED_MAX
    }

    /// Whether a listener has more connections than one turn takes: nothing reports them again.
    fn has_to_accept(&self) -> bool {
        self.listeners.iter().any(|(_, _, ready)| *ready)
    }

    fn accepted(
        &mut self,
        now: Instant,
        transport: Transport,
        stream: TcpStream,
        remote: SocketAddr,
    ) {
        // A connection that is gone already has no address any more.
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let _ = stream.set_nodelay(true);
        let streams = &mut self.shard.streams;
        if let Some(id) = streams.accepted(now, transport, remote, local) {
            self.keep(now, id, stream);
        }
    }

    fn keep(&mut self, now: Instant, id: ConnectionId, mut stream: TcpStream) {
        let index = id.index as usize;
        let token = Token(CONNECTIONS + index);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self
            .registry
            .register(&mut stream, token, interest)
            .is_err()
        {
            return self.shard.streams.close(id, Counter::ClosedError);
        }
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        self.streams[index] = Some((id, stream));
        self.attend(now, id);
    }

    /// Does what the shard wants done about streams; whether there was anything.
    fn obey(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(command) = self.shard.streams.next_command() {
            any = true;
            match command {
                StreamCommand::Open { id, remote, local } if self.shard.streams.is_live(id) => {
                    match sockets::connect(remote, local) {
                        Ok(socket) => self.keep(now, id, TcpStream::from_std(socket.into())),
                        Err(error) => self.shard.streams.cannot_open(id, &error),
                    }
                }
                StreamCommand::Open { .. } => {}
                StreamCommand::Attend { id } => self.attend(now, id),
                StreamCommand::Close { id } => {
                    let stream = self.streams.get_mut(id.index as usize);
                    if let Some(stream) =
                        stream.filter(|it| it.as_ref().is_some_and(|it| it.0 == id))
                    {
                        *stream = None;
                    }
                }
                StreamCommand::Accept { listener } => self.listeners[listener].2 = true,
            }
        }
        any
    }

    /// Writes and reads until the kernel or the shard has enough.
    fn attend(&mut self, now: Instant, id: ConnectionId) {
        let Some(Some((kept, stream))) = self.streams.get_mut(id.index as usize) else {
            return;
        };
        if *kept != id {
            return;
        }
        let table = &mut self.shard.streams;
        while !table.output(id).is_empty() {
            match stream.write(table.output(id)) {
                Ok(written) => {
                    if let Ok(local) = stream.local_addr() {
                        table.opened(now, id, local);
                    }
                    table.wrote(now, id, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return table.ended(id, Counter::ClosedError),
            }
        }
        while let Some(room) = table.allowance(id).filter(|&room| room > 0) {
            let wanted = room.min(self.scratch.len());
            match stream.read(&mut self.scratch[..wanted]) {
                Ok(0) => return table.ended(id, Counter::ClosedByPeer),
                Ok(read) => table.received(now, id, &self.scratch[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return table.ended(id, Counter::ClosedError),
            }
        }
    }
}

/// Whether `accept` failed for one connection and may be called for the next one at once.
fn is_about_one_connection(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::ConnectionAborted || kind == io::ErrorKind::Interrupted
}
