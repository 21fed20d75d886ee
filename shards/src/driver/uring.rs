//! The io_uring driver: one glommio executor on the shard's thread. Small tasks wait in the ring
//! (one a datagram socket, one a listener, one a stream, one for wake-ups from other threads) and
//! tell the main task, which turns the shard. One glommio timer in all: the shard's own wheels
//! know every deadline. What glommio 0.9 must be spared is said where it is spared.
//!
//! To park an executor takes ten system calls, which is more than a datagram is worth.
//! So the main task does not park while nobody has something for the rings: it waits at a
//! [`Lookout`], which hears datagrams, the bell, and that a ring has something. Then, and after a
//! stream was served, it parks once, which submits what tasks have prepared and collects what has
//! completed. A stream that is quiet costs nothing.

mod sleep;

use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream, UdpSocket};
use glommio::timer::Timer;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::driver::lookout::Lookout;
use crate::driver::{Drive, nap};
use crate::engine::{ConnectionId, Engine, Transport};
use crate::limits;
use crate::metrics::Counter;
use crate::options::{StartError, UringDenied};
use crate::shard::{Next, Shard};
use crate::sockets::{self, Listener};
use crate::sys;
use crate::tcp::StreamCommand;

/// glommio 0.9 parks although tasks are runnable if its preemption timer, or anything else in its
/// latency ring, completes between its look at the rings and its look at the tasks. So there is
/// no preemption here: the main task steps aside by itself.
const NO_PREEMPTION: Duration = Duration::from_secs(365 * 86_400);
/// Turns in a row after which the main task lets the executor look at its rings.
const BUSY_TURNS_MAX: u32 = 4;
/// The longest sleep, and the longest time in which nobody looks at the ring. It bounds the harm
/// should glommio park with runnable tasks after all, or the lookout miss what the ring has.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// How long tasks are given to see that it is over.
const FAREWELL: Duration = Duration::from_millis(2);

/// An executor, which ends while no other one begins.
struct Executor(Option<LocalExecutor>);

impl Drop for Executor {
    fn drop(&mut self) {
        sys::end_with_its_rings(self.0.take());
    }
}

/// See the module.
pub(crate) struct Uring {
    executor: Executor,
    /// None where nobody can say which descriptors are the executor's rings.
    lookout: Option<Lookout>,
    sleep_max: Duration,
}

impl Drive for Uring {
    fn prepare() -> Result<Self, StartError> {
        // The thread is pinned already, with the same call as for the other driver. glommio
        // would lock 10 MiB for each executor; nothing here does file I/O.
        let make = || {
            LocalExecutorBuilder::new(Placement::Unbound)
                .io_memory(limits::RING_MEMORY_BYTES)
                .ring_depth(limits::RING_DEPTH)
                .preempt_timer(NO_PREEMPTION)
                .make()
        };
        let (executor, rings) = sys::with_its_rings(make);
        let denied = |error: glommio::GlommioError<()>| {
            let kind = std::io::Error::from(error).kind();
            StartError::Uring(UringDenied::Executor { kind })
        };
        let executor = Executor(Some(executor.map_err(denied)?));
        let lookout = (!rings.is_empty()).then(|| Lookout::over(&rings));
        Ok(Self {
            executor,
            lookout: lookout.transpose().map_err(StartError::Resources)?,
            sleep_max: SLEEP_MAX,
        })
    }

    fn run<E: Engine>(self, shard: Shard<E>, listeners: Vec<Listener>) {
        let Self {
            executor,
            lookout,
            sleep_max,
        } = self;
        if let Some(lookout) = &lookout {
            lookout
                .hear(&shard.datagrams, shard.sleeper().descriptor())
                .expect("the kernel watches sockets it has just opened");
        }
        let local = Rc::new(Local {
            shard: RefCell::new(shard),
            woken: Cell::new(false),
            rung: Cell::new(false),
            stirred: Cell::new(true),
            settled: Cell::new(false),
            looked: Cell::new(Clock.now()),
            sleep_max,
            stream_count: Cell::new(0),
            lookout: RefCell::new(lookout),
            main: RefCell::new(None),
            datagram_tasks: RefCell::new(Vec::new()),
            listeners: RefCell::new(Vec::new()),
            paused_listeners: RefCell::new(Vec::new()),
            stream_tasks: RefCell::new(Vec::new()),
            scratch: RefCell::new(vec![0; limits::STREAM_READ_BYTES]),
        });
        let executor = executor.0.as_ref().expect("it ends when it is dropped");
        executor.run(run(local, listeners));
    }
}

/// What the tasks of one shard share.
struct Local<E: Engine> {
    shard: RefCell<Shard<E>>,
    /// Whether the main task has something to do.
    woken: Cell<bool>,
    /// Whether the bell was heard through the ring. The lookout hears it, too, and wakes nobody.
    rung: Cell<bool>,
    /// Whether somebody may have something for the rings, or a ring for somebody, since the
    /// executor last looked at them.
    stirred: Cell<bool>,
    /// Whether all tasks have run that could since then.
    settled: Cell<bool>,
    /// When the executor last looked at its rings.
    looked: Cell<Instant>,
    sleep_max: Duration,
    /// Tasks that serve streams.
    stream_count: Cell<usize>,
    lookout: RefCell<Option<Lookout>>,
    main: RefCell<Option<Waker>>,
    /// By socket: who waits for the socket to be dry.
    datagram_tasks: RefCell<Vec<Option<Waker>>>,
    /// Kept to be shut down at the end.
    listeners: RefCell<Vec<socket2::Socket>>,
    /// By listener: whether it is paused, and who waits for that to end.
    paused_listeners: RefCell<Vec<(bool, Option<Waker>)>>,
    /// By the connection's index: who serves it.
    stream_tasks: RefCell<Vec<Option<(ConnectionId, Waker)>>>,
    scratch: RefCell<Vec<u8>>,
}

async fn run<E: Engine>(local: Rc<Local<E>>, listeners: Vec<Listener>) {
    let tasks = start_tasks(&local, listeners);
    let mut timer = Timer::new(local.sleep_max);
    let mut busy_turns = 0;
    loop {
        let now = Clock.now();
        let next = local.shard.borrow_mut().turn(now);
        local.shard.borrow().count_turn(Clock.now());
        local.obey();
        match next {
            Next::Stop => break,
            Next::Sleep(deadline) if local.shard.borrow_mut().may_sleep() => {
                let until = deadline.map(|at| at.saturating_duration_since(Clock.now()));
                let until = until.map_or(local.sleep_max, |until| until.min(local.sleep_max));
                local.sleep(until, &mut timer).await;
                local.shard.borrow().rise();
                busy_turns = 0;
            }
            Next::Again | Next::Sleep(_) if busy_turns < BUSY_TURNS_MAX => {
                busy_turns += 1;
                if local.has_tasks() || !local.settled.get() {
                    local.settled.set(false);
                    glommio::executor().yield_now().await;
                }
            }
            Next::Nap(_) | Next::Again | Next::Sleep(_) => {
                if let Next::Nap(until) = next {
                    nap(until);
                }
                busy_turns = 0;
                local.look_around(&mut timer).await;
            }
        }
    }
    end(&local, tasks, timer).await;
}

fn start_tasks<E: Engine>(
    local: &Rc<Local<E>>,
    listeners: Vec<Listener>,
) -> Vec<glommio::Task<()>> {
    let duplicate = "a descriptor can be duplicated at start";
    let clone = |descriptor: BorrowedFd<'_>| descriptor.try_clone_to_owned().expect(duplicate);
    // glommio polls a task once while it spawns it, so nothing may stay borrowed meanwhile.
    let (sockets, wake) = {
        let shard = local.shard.borrow();
        let sockets = 0..shard.datagrams.len();
        let sockets = sockets.map(|socket| clone(shard.datagrams.descriptor(socket)));
        (
            sockets.collect::<Vec<_>>(),
            clone(shard.sleeper().descriptor()),
        )
    };
    local
        .datagram_tasks
        .borrow_mut()
        .resize_with(sockets.len(), || None);
    local
        .paused_listeners
        .borrow_mut()
        .resize_with(listeners.len(), Default::default);
    let ours = listeners
        .iter()
        .map(|listener| listener.socket.try_clone().expect(duplicate));
    local.listeners.borrow_mut().extend(ours);
    let mut tasks = vec![glommio::spawn_local(watch_wake(Rc::clone(local), wake))];
    for (index, socket) in sockets.into_iter().enumerate() {
        let watched = sys::glommio_datagrams(socket);
        tasks.push(glommio::spawn_local(watch_datagrams(
            Rc::clone(local),
            index,
            watched,
        )));
    }
    for (index, listener) in listeners.into_iter().enumerate() {
        let transport = listener.transport;
        let listener = sys::glommio_listener(listener.socket.into());
        tasks.push(glommio::spawn_local(accept(
            Rc::clone(local),
            index,
            transport,
            listener,
        )));
    }
    tasks
}

/// Lets the streams write their last bytes, then lets go of everything: an operation that waits
/// in the ring would keep its socket, and so the port.
async fn end<E: Engine>(local: &Rc<Local<E>>, tasks: Vec<glommio::Task<()>>, mut timer: Timer) {
    timer.reset(FAREWELL);
    (&mut timer).await;
    local.shard.borrow_mut().streams.close_all();
    for listener in local.listeners.borrow_mut().drain(..) {
        let _ = listener.shutdown(Shutdown::Both);
    }
    for (_, task) in local
        .stream_tasks
        .borrow_mut()
        .iter_mut()
        .filter_map(Option::take)
    {
        task.wake();
    }
    for task in tasks {
        task.cancel().await;
    }
    timer.reset(FAREWELL);
    timer.await;
    local.datagram_tasks.borrow_mut().clear();
    local.paused_listeners.borrow_mut().clear();
    local.main.borrow_mut().take();
}

/// Waits until there are datagrams; receiving them is the main task's.
async fn watch_datagrams<E: Engine>(local: Rc<Local<E>>, socket: usize, watched: UdpSocket) {
    loop {
        poll_fn(|context| local.poll_dry(context, socket)).await;
        // `peek` would want a connected socket. Whatever this returns: if there is nothing after
        // all, the socket is soon dry again.
        let _ = watched.peek_from(&mut [0; 1]).await;
        local.shard.borrow_mut().datagrams.set_ready(socket);
        local.wake_main();
    }
}

/// Waits for other threads.
async fn watch_wake<E: Engine>(local: Rc<Local<E>>, wake: OwnedFd) {
    let wake = sys::glommio_file(wake);
    loop {
        wake.read_at(0, 8).await.expect("an eventfd can be read");
        local.rung.set(true);
        local.wake_main();
    }
}

async fn accept<E: Engine>(
    local: Rc<Local<E>>,
    index: usize,
    transport: Transport,
    listener: TcpListener,
) {
    loop {
        let accepted = listener.accept().await;
        local.stirred.set(true);
        match accepted {
            Ok(stream) => local.accepted(transport, stream),
            Err(_) => {
                local.paused_listeners.borrow_mut()[index].0 = true;
                local
                    .shard
                    .borrow_mut()
                    .streams
                    .pause_accepting(Clock.now(), index);
                local.wake_main();
                poll_fn(|context| local.poll_unpaused(context, index)).await;
            }
        }
    }
}

async fn serve<E: Engine>(local: Rc<Local<E>>, id: ConnectionId, mut stream: TcpStream) {
    poll_fn(|context| local.poll_stream(context, id, &mut stream)).await;
    // The ring may hold the socket for a moment longer; the peer need not wait for that.
    let _ = stream.shutdown(Shutdown::Both).await;
    local.stream_count.update(|count| count - 1);
    local.stirred.set(true);
}

impl<E: Engine> Local<E> {
    fn wake_main(&self) {
        self.woken.set(true);
        if let Some(waker) = self.main.borrow_mut().take() {
            waker.wake();
        }
    }

    fn poll_dry(&self, context: &mut Context<'_>, socket: usize) -> Poll<()> {
        if !self.shard.borrow().datagrams.is_ready(socket) {
            return Poll::Ready(());
        }
        self.datagram_tasks.borrow_mut()[socket] = Some(context.waker().clone());
        Poll::Pending
    }

    fn wake_datagram_tasks(&self) {
        let shard = self.shard.borrow();
        for (socket, task) in self.datagram_tasks.borrow_mut().iter_mut().enumerate() {
            if !shard.datagrams.is_ready(socket)
                && let Some(task) = task.take()
            {
                task.wake();
            }
        }
    }

    fn poll_unpaused(&self, context: &mut Context<'_>, index: usize) -> Poll<()> {
        let (paused, task) = &mut self.paused_listeners.borrow_mut()[index];
        if !*paused {
            return Poll::Ready(());
        }
        *task = Some(context.waker().clone());
        Poll::Pending
    }

    fn accepted(self: &Rc<Self>, transport: Transport, stream: TcpStream) {
        // A connection that is gone already has no addresses any more.
        let (Ok(remote), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
            return;
        };
        let _ = stream.set_nodelay(true);
        let accepted =
            self.shard
                .borrow_mut()
                .streams
                .accepted(Clock.now(), transport, remote, local);
        if let Some(id) = accepted {
            self.serve(id, stream);
        }
        self.wake_main();
    }

    fn serve(self: &Rc<Self>, id: ConnectionId, stream: TcpStream) {
        self.stream_count.update(|count| count + 1);
        glommio::spawn_local(serve(Rc::clone(self), id, stream)).detach();
    }

    /// Does what the shard wants done about streams.
    fn obey(self: &Rc<Self>) {
        loop {
            let command = self.shard.borrow_mut().streams.next_command();
            let Some(command) = command else { return };
            self.stirred.set(true);
            match command {
                StreamCommand::Open { id, remote, local } => self.connect(id, remote, local),
                StreamCommand::Attend { id } | StreamCommand::Close { id } => {
                    self.wake_stream_task(id);
                }
                StreamCommand::Accept { listener } => {
                    let (paused, task) = &mut self.paused_listeners.borrow_mut()[listener];
                    *paused = false;
                    if let Some(task) = task.take() {
                        task.wake();
                    }
                }
            }
        }
    }

    fn connect(self: &Rc<Self>, id: ConnectionId, remote: SocketAddr, local: Option<SocketAddr>) {
        if !self.shard.borrow().streams.is_live(id) {
            return;
        }
        match sockets::connect(remote, local) {
            Ok(socket) => self.serve(id, sys::glommio_stream(socket.into())),
            Err(error) => {
                self.shard.borrow_mut().streams.cannot_open(id, &error);
                self.wake_main();
            }
        }
    }

    /// Writes and reads until the kernel or the shard has enough; ready when the connection is
    /// gone.
    fn poll_stream(
        &self,
        context: &mut Context<'_>,
        id: ConnectionId,
        stream: &mut TcpStream,
    ) -> Poll<()> {
        // Whatever comes of it, it may wait for the ring afterwards.
        self.stirred.set(true);
        let now = Clock.now();
        let table = &mut self.shard.borrow_mut().streams;
        while !table.output(id).is_empty() {
            let written = Pin::new(&mut *stream).poll_write(context, table.output(id));
            match written {
                Poll::Ready(Ok(written)) => {
                    if let Ok(local) = stream.local_addr() {
                        table.opened(now, id, local);
                    }
                    table.wrote(now, id, written);
                }
                Poll::Ready(Err(_)) => {
                    table.ended(id, Counter::ClosedError);
                    self.wake_main();
                    break;
                }
                Poll::Pending => break,
            }
        }
        let scratch = &mut *self.scratch.borrow_mut();
        while let Some(room) = table.allowance(id).filter(|&room| room > 0) {
            let wanted = room.min(scratch.len());
            match Pin::new(&mut *stream).poll_read(context, &mut scratch[..wanted]) {
                Poll::Ready(Ok(0)) => table.ended(id, Counter::ClosedByPeer),
                Poll::Ready(Ok(read)) => table.received(now, id, &scratch[..read]),
                Poll::Ready(Err(_)) => table.ended(id, Counter::ClosedError),
                Poll::Pending => break,
            }
            self.wake_main();
        }
        if !table.is_live(id) {
            return Poll::Ready(());
        }
        self.remember(id, context.waker());
        Poll::Pending
    }

    /// Keeps the waker of a connection's task. If the task of an earlier connection with the
    /// same index has not ended yet, it is woken to find that out.
    fn remember(&self, id: ConnectionId, waker: &Waker) {
        let mut tasks = self.stream_tasks.borrow_mut();
        let index = id.index as usize;
        if tasks.len() <= index {
            tasks.resize_with(index + 1, || None);
        }
        let before = tasks[index].replace((id, waker.clone()));
        if let Some((_, earlier)) = before.filter(|(earlier, _)| *earlier != id) {
            earlier.wake();
        }
    }

    fn wake_stream_task(&self, id: ConnectionId) {
        let mut tasks = self.stream_tasks.borrow_mut();
        let task = tasks.get_mut(id.index as usize);
        if let Some(task) = task.filter(|task| task.as_ref().is_some_and(|it| it.0 == id))
            && let Some((_, waker)) = task.take()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
