//! Start and stop: chooses the driver, binds the sockets, starts one pinned thread a shard, and
//! joins them all. Everything that can be refused is refused here, before a shard runs. What a
//! shard then does is `shard.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::control::{Control, Events, Full, Shared};
use crate::driver::{self, Launch};
use crate::engine::{Engine, ShardId};
use crate::limits;
use crate::metrics::Metrics;
use crate::options::{Driver, DriverChoice, Options, StartError, UringDenied};
use crate::placement::{self, Plan};
use crate::seat::Seat;
use crate::sockets::{self, ShardSockets};

/// Why a stop was not clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopError {
    /// A shard's engine panicked, now or earlier.
    Panicked {
        /// Which shard.
        shard: ShardId,
    },
    /// A shard did not end within `STOP_DEADLINE` and is left to itself.
    Stuck {
        /// Which shard.
        shard: ShardId,
    },
}

impl std::fmt::Display for StopError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Panicked { shard } => {
                write!(
                    formatter,
                    "shard {shard} has panicked; the message is in the log"
                )
            }
            Self::Stuck { shard } => write!(
                formatter,
                "shard {shard} did not stop within {} s",
                limits::STOP_DEADLINE.as_secs()
            ),
        }
    }
}

impl std::error::Error for StopError {}

/// The running shards. Dropping it tells them to stop but does not wait for them.
pub struct Running<E: Engine> {
    control: Control<E>,
    events: Option<Events<E>>,
    threads: Vec<JoinHandle<()>>,
    /// Disconnected when the last thread has ended.
    ended: mpsc::Receiver<()>,
    driver: Driver,
    fallback: Option<UringDenied>,
    plan: Plan,
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
}

/// What a program calls first thing in `main`, before it starts any thread: spares io_uring's
/// executors several milliseconds at their first sleep, and shards those in which the kernel fills
/// a transparent huge page with zeros. The whole process gets none from then on, and neither do its
/// children. Without it all works, a little later.
pub fn prepare_process() {
    crate::sys::register_membarrier();
    crate::sys::refuse_huge_pages();
}

/// Starts the shards, each with the engine that `factory` builds on the shard's own thread.
///
/// # Errors
/// [`StartError`], in the words of whoever runs the program; nothing is left running.
pub fn start<E: Engine>(
    options: &Options,
    factory: impl Fn(ShardId) -> E + Send + Clone + 'static,
) -> Result<Running<E>, StartError> {
    if options.shards == 0 || options.shards > limits::SHARDS_MAX {
        return Err(StartError::Shards {
            shards: options.shards,
        });
    }
    let online = placement::online_cores().map_err(StartError::Cores)?;
    let plan = placement::plan(&options.placement, options.shards, &online)
        .map_err(StartError::Placement)?;
    let bound = sockets::bind(options)?;
    let (wanted, mut fallback) = driver::choose(options.driver).map_err(StartError::Uring)?;
    let first = Crew::muster(wanted, options, &plan, &factory);
    let (crew, driver) = match first {
        Err(StartError::Uring(denied)) if options.driver == DriverChoice::Auto => {
            fallback = Some(denied);
            (
                Crew::muster(Driver::Epoll, options, &plan, &factory)?,
                Driver::Epoll,
            )
        }
        other => (other?, wanted),
    };
    let (udp, tcp, tls) = (bound.udp.clone(), bound.tcp.clone(), bound.tls.clone());
    let running = Running {
        control: Control {
            shared: Arc::clone(&crew.shared),
        },
        events: Some(Events::new(Arc::clone(&crew.shared))),
        ended: crew.ended,
        threads: crew.threads,
        driver,
        fallback,
        plan,
        udp,
        tcp,
        tls,
    };
    for (go, sockets) in crew.go.into_iter().zip(bound.shards) {
        go.send(sockets).map_err(|_| StartError::Engine)?;
    }
    Ok(running)
}

/// Threads that have everything but their sockets: the first moment at which nothing more can be
/// refused.
struct Crew<E: Engine> {
    shared: Arc<Shared<E>>,
    threads: Vec<JoinHandle<()>>,
    go: Vec<mpsc::SyncSender<ShardSockets>>,
    ended: mpsc::Receiver<()>,
}

impl<E: Engine> Crew<E> {
    fn muster(
        driver: Driver,
        options: &Options,
        plan: &Plan,
        factory: &(impl Fn(ShardId) -> E + Send + Clone + 'static),
    ) -> Result<Self, StartError> {
        let (shared, seats) = Seat::for_all(driver, options).map_err(StartError::Resources)?;
        let (ready, answers) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let mut crew = Self {
            shared,
            threads: Vec::new(),
            go: Vec::new(),
            ended,
        };
        for (seat, &core) in seats.into_iter().zip(&plan.shards) {
            let (go, sockets) = mpsc::sync_channel(1);
            let launch = Launch {
                seat,
                core,
                sockets,
                ready: ready.clone(),
                end: end.clone(),
                factory: factory.clone(),
            };
            let name = format!("shard-{}", launch.seat.me);
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(move || driver::run_thread(driver, launch))
                .map_err(StartError::Resources)?;
            crew.threads.push(thread);
            crew.go.push(go);
        }
        drop(ready);
        // Dropping the crew, and its `go` with it, ends the threads that did get ready.
        for _ in 0..crew.threads.len() {
            answers.recv().map_err(|_| StartError::Engine)??;
        }
        Ok(crew)
    }
}

impl<E: Engine> Running<E> {
    /// The driver that was taken.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// Why `DriverChoice::Auto` did not take io_uring, in one line; `None` if it did, or was not
    /// asked.
    #[must_use]
    pub fn fallback_reason(&self) -> Option<String> {
        self.fallback.map(|denied| denied.to_string())
    }

    /// The cores of the shards and those left to the control plane.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The addresses that datagrams are received on, in the order of `Options::udp`, with the
    /// ports really bound.
    #[must_use]
    pub fn udp_addresses(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// The addresses that connections are accepted on, likewise.
    #[must_use]
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        &self.tcp
    }

    /// The addresses that connections are accepted on, likewise.
    #[must_use]
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls
    }

    /// A handle that sends requests from any thread.
    #[must_use]
    pub fn control(&self) -> Control<E> {
        self.control.clone()
    }

    /// Gives a request to a shard.
    ///
    /// # Errors
    /// [`Full`] if the shard's queue has no room.
    pub fn request(&self, shard: ShardId, request: E::Request) -> Result<(), Full> {
        self.control.request(shard, request)
    }

    /// The events of all shards. There is one such handle: `None` after the first call.
    pub fn take_events(&mut self) -> Option<Events<E>> {
        self.events.take()
    }

    /// All shards' numbers.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        self.control.metrics()
    }

    /// Stops all shards and waits for them, at most `STOP_DEADLINE`. Each drains its engine once
    /// more, gives what it can to the kernel and closes its connections.
    ///
    /// # Errors
    /// [`StopError`] names the first shard that had panicked or did not end.
    pub fn stop(mut self) -> Result<(), StopError> {
        self.control.shared.stop();
        // Nobody ever sends: this waits until the last sender is dropped, or gives up.
        let all_ended = matches!(
            self.ended.recv_timeout(limits::STOP_DEADLINE),
            Err(mpsc::RecvTimeoutError::Disconnected)
        );
        let mut outcome = Ok(());
        for (thread, shard) in std::mem::take(&mut self.threads)
            .into_iter()
            .zip((0..).map(ShardId))
        {
            let ended = all_ended || thread.is_finished();
            let failure = if !ended {
                Some(StopError::Stuck { shard })
            } else if thread.join().is_err() {
                Some(StopError::Panicked { shard })
            } else {
                None
            };
            outcome = outcome.and(failure.map_or(Ok(()), Err));
        }
        outcome
    }
}

impl<E: Engine> Drop for Running<E> {
    fn drop(&mut self) {
        if !self.control.shared.stopping.load(Ordering::SeqCst) {
            self.control.shared.stop();
        }
    }
}
