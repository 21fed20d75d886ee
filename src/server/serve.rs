//! Start and stop of the whole server: the shards with their engines, then one thread with the
//! hub and the HTTP listener. Whatever can be refused is refused before anything runs. What an
//! engine is, it does not know: the caller brings a [`Crew`].

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use offhook_shards::rustls::ServerConfig;
use offhook_shards::{
    Control, DriverChoice, Engine, Options, Placement, Running, ShardId, StartError, TlsStore,
    limits::MESSAGE_DEADLINE, placement,
};
use tokio::sync::watch;

use crate::config::{Config, DnIndex, Driver, QueueIndex, Transport};
use crate::counters::Counters;
use crate::cti::{Output, Request};
use crate::engine::Input;
use crate::limits::{HTTP_BODY_DEADLINE, HTTP_HEAD_DEADLINE};

use super::allocator;
use super::api::{self, Api};
use super::clock::Clock;
use super::dns;
use super::door::{Door, Visitor};
use super::drain::Drain;
use super::engines::{self, Engines};
use super::gate::{self, Gate};
use super::hub::Hub;
use super::journal::StateError;
use super::link::{Full, Shards};
use super::metrics::{Fleet, Queues};
use super::outputs::ShardOutputs;
use super::reload::InUse;
use super::service;
use super::stopping::{Stopping, ended, until_true};
use super::timekeeper::Timekeeper;
use super::tls;
use super::websocket::Heartbeat;
use super::weigher::Weigher;
use super::words::counted;

/// How long HTTP connections may take to end when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The engines: how one is built, what it counts, and who owns what.
pub trait Crew: Clone + Send + Sync + 'static {
    /// What runs on each shard.
    type Engine: Engine<Request = Input, Event = Output>;

    /// Builds a shard's engine, on the shard's own thread.
    fn engine(&self, shard: ShardId) -> Self::Engine;

    /// The shards have ended: what they leave behind is put in order.
    fn close(&self) {}

    /// What each shard's engine counts, in the order of the shards.
    fn counters(&self) -> Vec<Arc<Counters>>;

    /// The shard that owns a DN.
    fn owner_of_dn(&self, dn: DnIndex) -> ShardId;

    /// The shard that owns a queue and its routing points.
    fn owner_of_queue(&self, queue: QueueIndex) -> ShardId;
}

/// Why the server does not run (any more), in the words of somebody who runs it.
#[derive(Debug)]
pub enum ServeError {
    /// The HTTP address cannot be listened on.
    Http {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// No port could be had for a SIP listener.
    Sip {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// The files of `[tls]` cannot be used.
    Tls(String),
    /// The directory of the journals cannot be used.
    State(StateError),
    /// The shards do not start.
    Shards(StartError),
    /// The control plane's thread or runtime does not start.
    Control(io::Error),
    /// Something broke while the server ran.
    Broken(String),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http { address, error } => write!(
                formatter,
                "cannot listen for HTTP on {address}: {error}; choose another with --http"
            ),
            Self::Sip { address, error } => {
                write!(
                    formatter,
                    "no port is free for SIP on {}: {error}",
                    address.ip()
                )
            }
            Self::Tls(words) => write!(formatter, "TLS cannot be served: {words}"),
            Self::State(error) => write!(formatter, "no journal can be kept: {error}"),
            Self::Shards(error) => write!(formatter, "the shards do not start: {error}"),
            Self::Control(error) => write!(formatter, "the control plane does not start: {error}"),
            Self::Broken(words) => formatter.write_str(words),
        }
    }
}

impl std::error::Error for ServeError {}

/// A running server. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Serving {
    /// Where HTTP and WebSocket are heard, with the port really bound.
    pub http: SocketAddr,
    /// Where SIP datagrams are heard, likewise.
    pub udp: Vec<SocketAddr>,
    /// Where SIP streams are accepted, likewise.
    pub tcp: Vec<SocketAddr>,
    /// Where SIP streams under TLS are accepted, likewise.
    pub tls: Vec<SocketAddr>,
    /// The driver that was taken: `uring` or `epoll`.
    pub driver: &'static str,
    stop: watch::Sender<bool>,
    thread: JoinHandle<Result<(), ServeError>>,
}

impl Serving {
    /// Stops the server and waits for its end.
    ///
    /// # Errors
    /// [`ServeError::Broken`].
    pub fn stop(self) -> Result<(), ServeError> {
        self.stop.send_replace(true);
        self.wait()
    }

    /// Waits until the server ends by itself: by a signal, or because something broke.
    ///
    /// # Errors
    /// [`ServeError::Broken`].
    pub fn wait(self) -> Result<(), ServeError> {
        let Self { stop, thread, .. } = self;
        let panicked = || {
            Err(ServeError::Broken(
                "the control plane has panicked".to_owned(),
            ))
        };
        let outcome = thread.join().unwrap_or_else(|_| panicked());
        drop(stop);
        outcome
    }
}

/// What is chosen beside the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Choices {
    /// SIGTERM and SIGINT stop the server.
    pub signals: bool,
    /// When clients are pinged.
    pub heartbeat: Heartbeat,
    /// How long peers may take to say something.
    pub deadlines: Deadlines,
}

/// How long peers may take to say something whole, however steadily it trickles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the first byte of a SIP message on a stream to its last.
    pub sip_message: Duration,
    /// From the opening of an HTTP connection, or from its last answer, to the end of the next
    /// request's head.
    pub http_head: Duration,
    /// From the end of the head of an HTTP request to the end of its body.
    pub http_body: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            sip_message: MESSAGE_DEADLINE,
            http_head: HTTP_HEAD_DEADLINE,
            http_body: HTTP_BODY_DEADLINE,
        }
    }
}

/// How many shards a configuration asks for, on this machine.
#[must_use]
pub fn shard_count(config: &Config) -> u16 {
    let chosen = config.server.cores.as_ref().map(|cores| cores.0.len());
    config.server.shards.unwrap_or_else(|| match chosen {
        Some(cores) => u16::try_from(cores).unwrap_or(u16::MAX),
        None => placement::shards_default(placement::online_cores().map_or(1, |cores| cores.len())),
    })
}

/// How bytes are to move.
pub(super) fn driver(config: &Config) -> DriverChoice {
    match config.server.driver {
        Driver::Auto => DriverChoice::Auto,
        Driver::Uring => DriverChoice::Uring,
        Driver::Epoll => DriverChoice::Epoll,
    }
}

/// Starts the real server: [`start_with`] the engines of this package.
///
/// # Errors
/// [`ServeError`]; nothing is left running.
pub fn start(config: &Config, choices: Choices) -> Result<Serving, ServeError> {
    let clock = Clock::start();
    start_with(config, clock, choices, |config, shards| {
        Engines::new(config, clock, shards)
    })
}

/// Starts the server with the engines that `muster` brings for the configuration (whose ports are
/// the real ones by then) and the number of shards.
///
/// # Errors
/// [`ServeError`]; nothing is left running.
pub fn start_with<C: Crew>(
    config: &Config,
    clock: Clock,
    choices: Choices,
    muster: impl FnOnce(Arc<Config>, u16) -> C,
) -> Result<Serving, ServeError> {
    let config = engines::with_ports(config);
    let config = config.map_err(|(address, error)| ServeError::Sip { address, error })?;
    let config = Arc::new(config);
    let crew = muster(Arc::clone(&config), shard_count(&config));
    let address = config.server.http;
    let listener = listen(address).map_err(|error| ServeError::Http { address, error })?;
    let http = listener.local_addr().map_err(ServeError::Control)?;
    let builder = crew.clone();
    let store = tls::load(&config).map_err(ServeError::Tls)?;
    let store = store.map(TlsStore::new);
    let secrets = tls::load_http(&config).map_err(ServeError::Tls)?;
    let options = options(&config, choices, store.clone());
    let running = offhook_shards::start(&options, move |shard| builder.engine(shard))
        .map_err(ServeError::Shards)?;
    let (udp, tcp) = (
        running.udp_addresses().to_vec(),
        running.tcp_addresses().to_vec(),
    );
    let tls = running.tls_addresses().to_vec();
    let driver = running.driver().name();
    let (stop, stopped) = watch::channel(false);
    let plane = ControlPlane {
        config,
        clock,
        choices,
        store,
        secrets,
        crew,
        listener,
        running,
        stopped,
    };
    let thread = std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || plane.run())
        .map_err(ServeError::Control)?;
    Ok(Serving {
        http,
        udp,
        tcp,
        tls,
        driver,
        stop,
        thread,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn options(config: &Config, choices: Choices, tls_store: Option<TlsStore>) -> Options {
    let server = &config.server;
    let of = |transport| {
        let listeners = server
            .sip
            .iter()
            .filter(move |listener| listener.transport == transport);
        listeners.map(|listener| listener.address).collect()
    };
    let placement = match &server.cores {
        _ if !server.pin => Placement::NoPin,
        Some(cores) => Placement::Cores(cores.0.iter().copied().map(usize::from).collect()),
        None => Placement::Automatic,
    };
    Options {
        shards: shard_count(config),
        placement,
        driver: driver(config),
        udp: of(Transport::Udp),
        tcp: of(Transport::Tcp),
        tls: of(Transport::Tls),
        tls_store,
        message_deadline: choices.deadlines.sip_message,
        allocations: allocator::allocations,
        // How long messages wait decides whether new calls are taken.
        stamps: true,
        ..Options::default()
    }
}

/// The one line that says what was started, and how.
fn log_start<E: Engine>(http: SocketAddr, is_secret: bool, running: &Running<E>) {
    let addresses = |kind: &str, addresses: &[SocketAddr]| {
        addresses
            .iter()
            .map(|address| format!(" {kind}:{address}"))
            .collect::<String>()
    };
    let cores: Vec<_> = running
        .plan()
        .shards
        .iter()
        .flatten()
        .map(usize::to_string)
        .collect();
    let pinned = if cores.is_empty() {
        "unpinned".to_owned()
    } else {
        cores.join(",")
    };
    let why = running
        .fallback_reason()
        .map_or_else(String::new, |why| format!(" ({why})"));
    let scheme = if is_secret { "https" } else { "http" };
    tracing::info!(
        "offhook {} serves SIP on{}{}{} and CTI on {scheme}://{http}; {} on cores {pinned}; \
         driver {}{why}",
        env!("CARGO_PKG_VERSION"),
        addresses("udp", running.udp_addresses()),
        addresses("tcp", running.tcp_addresses()),
        addresses("tls", running.tls_addresses()),
        counted(running.plan().shards.len(), "shard"),
        running.driver().name(),
    );
}

/// Everything that the control plane's thread starts with.
struct ControlPlane<C: Crew> {
    config: Arc<Config>,
    clock: Clock,
    choices: Choices,
    store: Option<TlsStore>,
    secrets: Option<Arc<ServerConfig>>,
    crew: C,
    listener: TcpListener,
    running: Running<C::Engine>,
    stopped: watch::Receiver<bool>,
}

impl<C: Crew> ControlPlane<C> {
    fn run(mut self) -> Result<(), ServeError> {
        if let Err(error) = placement::pin_current_thread(&self.running.plan().control) {
            tracing::warn!(%error, "the control plane stays unpinned");
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Control)?;
        let outcome = runtime.block_on(self.attend());
        runtime.shutdown_timeout(STOP_PATIENCE);
        tracing::info!("offhook stops");
        let stopped = self.running.stop();
        self.crew.close();
        outcome?;
        stopped.map_err(|error| ServeError::Broken(error.to_string()))
    }

    /// Whoever looks at the clock of the host and at our memory.
    fn watch_host(&self) -> [tokio::task::JoinHandle<()>; 2] {
        let timekeeper = Timekeeper {
            control: self.running.control(),
            clock: self.clock,
        };
        let weigher = Weigher {
            control: self.running.control(),
            max: self.config.server.memory_max,
        };
        [tokio::spawn(timekeeper.run()), tokio::spawn(weigher.run())]
    }

    async fn attend(&mut self) -> Result<(), ServeError> {
        let (gate, commands) = Gate::open();
        let fleet = Arc::new(self.fleet());
        let refusals = Arc::clone(&fleet.refusals);
        let (asker, resolver) = dns::resolver(&self.config, Arc::clone(&fleet.dns));
        let deadlines = self.choices.deadlines;
        let (ask, asked) = watch::channel(false);
        let ask = Arc::new(ask);
        let drain = Drain {
            control: self.running.control(),
            gate: gate.clone(),
            patience: self.config.server.drain_timeout,
            begun: Arc::clone(&ask),
        };
        let api = Api {
            gate: gate.clone(),
            config: Arc::clone(&self.config),
            fleet,
            heartbeat: self.choices.heartbeat,
            body_deadline: deadlines.http_body,
            drain: ask,
            allowances: Arc::default(),
        };
        let resolving = tokio::spawn(resolver.run(self.clock, self.running.control()));
        let listener = self.listener.try_clone().map_err(ServeError::Control)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(ServeError::Control)?;
        let address = listener.local_addr().map_err(ServeError::Control)?;
        let in_use = self.in_use();
        let shown = in_use.http.as_ref().map(watch::Sender::subscribe);
        let door = Door::new(listener, shown, deadlines.http_head, refusals);
        let visitors = api::router(api).into_make_service_with_connect_info::<Visitor>();
        let (http_stop, http_stopped) = watch::channel(false);
        let http = axum::serve(door, visitors).with_graceful_shutdown(until_true(http_stopped));
        let http = tokio::spawn(http.into_future());
        let events = self
            .running
            .take_events()
            .expect("only the control plane takes the events");
        let outputs = ShardOutputs::new(self.running.control(), events, asker);
        let outputs = outputs.map_err(ServeError::Control)?;
        let link = Link {
            control: self.running.control(),
            crew: self.crew.clone(),
        };
        let mut hub = Hub::new(Arc::clone(&self.config), self.clock, link);
        // Signals are caught before anybody is told that the server runs.
        let catches_signals = self.choices.signals;
        let stopping = Stopping::new(catches_signals, self.stopped.clone(), asked);
        let mut beside = vec![resolving];
        beside.extend(self.watch_host());
        if catches_signals {
            beside.push(tokio::spawn(in_use.run()));
            beside.push(tokio::spawn(service::watchdog(gate)));
            service::runs();
        }
        log_start(address, self.config.server.http_tls, &self.running);
        // By itself, so that only what tells it to stop wakes it.
        let mut stop = tokio::spawn(stopping.run(drain));
        let stopped = ended(&mut stop);
        let outcome = gate::turn(&mut hub, &self.clock, commands, outputs, stopped).await;
        beside.push(stop);
        for task in beside {
            task.abort();
        }
        http_stop.send_replace(true);
        // Whoever still reads an answer then is cut off.
        let _ = tokio::time::timeout(STOP_PATIENCE, http).await;
        outcome.map_err(ServeError::Broken)
    }

    fn in_use(&mut self) -> InUse {
        let secrets = self.secrets.take();
        InUse {
            config: Arc::clone(&self.config),
            sip: self.store.clone(),
            http: secrets.map(|secrets| watch::channel(secrets).0),
        }
    }

    fn queues(&self) -> Queues {
        let control = self.running.control();
        Queues(Arc::new(move |shard| control.depths(shard)))
    }

    fn fleet(&self) -> Fleet {
        Fleet {
            driver: self.running.driver().name(),
            fallback: self.running.fallback_reason(),
            cores: self.running.plan().shards.clone(),
            counters: self.crew.counters(),
            metrics: self.running.metrics(),
            queues: self.queues(),
            refusals: Arc::default(),
            dns: Arc::default(),
        }
    }
}

/// The hub's way to the shards.
struct Link<C: Crew> {
    control: Control<C::Engine>,
    crew: C,
}

impl<C: Crew> Shards for Link<C> {
    fn count(&self) -> u16 {
        self.control.shards()
    }

    fn owner_of_dn(&self, dn: DnIndex) -> ShardId {
        self.crew.owner_of_dn(dn)
    }

    fn owner_of_queue(&self, queue: QueueIndex) -> ShardId {
        self.crew.owner_of_queue(queue)
    }

    fn request(&self, shard: ShardId, request: Request) -> Result<(), Full> {
        self.control
            .request(shard, Input::Request(request))
            .map_err(|offhook_shards::Full| Full)
    }
}
