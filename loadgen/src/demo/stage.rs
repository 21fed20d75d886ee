//! The server, the population on its sockets, and the one loop that turns the population: inputs
//! from the readers, timers, outputs.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use offhook::config::{self, Config, Driver};
use offhook::server::logging;
use offhook::server::serve::{self, Choices, Serving};

use super::error::DemoError;
use super::ledger::Ledger;
use super::measure::{Latencies, now, receive_buffer_errors};
use super::mix::{self, NO_ANSWER, ROUTING_POINT};
use super::sockets::Sockets;
use super::watch::{self, Said};
use crate::cli::Demo;
use crate::node::Node;
use crate::population::{Fact, Fault, Population};

/// Inputs that are taken before timers have their turn.
const BATCH_MAX: usize = 256;
/// How long the CTI client may take to end when the server has stopped.
const END_TIME_MAX: Duration = Duration::from_secs(5);

/// What the loop waits for.
#[derive(Debug)]
pub(super) enum Input {
    /// A datagram reached one of the population's sockets.
    Datagram {
        /// When.
        at: Instant,
        /// Which socket.
        to: SocketAddr,
        /// From whom.
        from: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// The server said something about an agent.
    Said(Said),
    /// The CTI connection is over.
    CtiEnded(String),
}

/// Everything that plays.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) population: Population,
    pub(super) ledger: Ledger,
    /// Caller's INVITE (as intended) → agent's INVITE, when somebody was free.
    pub(super) routing: Latencies,
    /// The same for callers that had to wait.
    pub(super) queueing: Latencies,
    /// Intended → real sending of callers' INVITEs: the generator's own lag.
    pub(super) lag: Latencies,
    /// Rules that the server broke.
    pub(super) faults: Vec<Fault>,
    pub(super) driver: &'static str,
    pub(super) shards: u16,
    /// The kernel's drops before the demo.
    pub(super) drops_before: Option<u64>,
    sockets: Sockets,
    inputs: Receiver<Input>,
    serving: Option<Serving>,
    listening: Option<JoinHandle<()>>,
    buffer: Vec<u8>,
}

impl Stage {
    /// Starts the server and connects everything to it.
    pub(super) fn set_up(options: &Demo) -> Result<Self, DemoError> {
        let mut sockets = Sockets::bind(2).map_err(DemoError::Socket)?;
        let [pbx, callers] = sockets.addresses()[..] else {
            unreachable!("two sockets were asked for and bound");
        };
        let config = configuration(options, pbx)?;
        logging::start(config.server.log);
        let shards = serve::shard_count(&config);
        let serving = serve::start(&config, Choices::default()).map_err(DemoError::Server)?;
        let server = *serving
            .udp
            .first()
            .expect("the configuration has a UDP listener");
        let (sender, inputs) = channel();
        sockets.read(&sender).map_err(DemoError::Generator)?;
        let listening = watch::listen(serving.http, sender)?;
        Ok(Self {
            population: mix::population(options, pbx, callers, server),
            ledger: Ledger::default(),
            routing: Latencies::default(),
            queueing: Latencies::default(),
            lag: Latencies::default(),
            faults: Vec::new(),
            driver: serving.driver,
            shards,
            drops_before: receive_buffer_errors(),
            sockets,
            inputs,
            serving: Some(serving),
            listening: Some(listening),
            buffer: Vec::with_capacity(4_096),
        })
    }

    /// Turns the population until `until`.
    ///
    /// # Errors
    /// [`DemoError::Cti`] when the server hangs up on the CTI client.
    pub(super) fn turn(&mut self, until: Instant) -> Result<(), DemoError> {
        loop {
            self.transmit();
            let time = now();
            if time >= until {
                return Ok(());
            }
            let deadline = self
                .population
                .poll_timeout()
                .map_or(until, |at| at.min(until));
            match self
                .inputs
                .recv_timeout(deadline.saturating_duration_since(time))
            {
                Ok(input) => {
                    self.take(input)?;
                    for _ in 0..BATCH_MAX {
                        let Ok(input) = self.inputs.try_recv() else {
                            break;
                        };
                        self.take(input)?;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            let time = now();
            if self.population.poll_timeout().is_some_and(|at| at <= time) {
                self.population.handle_timeout(time);
            }
            self.account(time);
        }
    }

    fn take(&mut self, input: Input) -> Result<(), DemoError> {
        match input {
            Input::Datagram {
                at,
                to,
                from,
                bytes,
            } => {
                self.population.handle_datagram(at, to, from, &bytes);
                self.transmit();
            }
            Input::Said(said) => {
                // The NOTIFY that led to the word is noted before it.
                self.account(said.at);
                self.ledger.hear(said);
            }
            Input::CtiEnded(words) => return Err(DemoError::Cti(words)),
        }
        Ok(())
    }

    fn transmit(&mut self) {
        loop {
            self.buffer.clear();
            let Some(packet) = self.population.poll_transmit(&mut self.buffer) else {
                return;
            };
            self.sockets.send(packet, &self.buffer);
        }
    }

    /// Takes what the population has experienced.
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "it counts two facts among many"
    )]
    pub(super) fn account(&mut self, time: Instant) {
        for record in self.population.take_records(time) {
            self.ledger.note(&record);
            match record.fact {
                Fact::Offered { intended, .. } => {
                    self.lag
                        .record(record.at.saturating_duration_since(intended));
                }
                Fact::Fault { fault, .. } => self.faults.push(fault),
                _ => {}
            }
        }
        for routing in self.population.take_routings(time) {
            let latencies = if routing.found_free {
                &mut self.routing
            } else {
                &mut self.queueing
            };
            latencies.record(routing.from_intended);
        }
    }

    /// Datagrams that were lost on the generator's side or by the kernel.
    pub(super) fn drops(&self) -> u64 {
        let since = receive_buffer_errors().zip(self.drops_before);
        let dropped = since.map_or(0, |(after, before)| after.saturating_sub(before));
        self.sockets.refused + dropped
    }

    /// Stops the server, the readers and the CTI client.
    ///
    /// # Errors
    /// [`DemoError::Server`] when the server had broken.
    pub(super) fn clear(mut self) -> Result<(), DemoError> {
        let stopped = self.serving.take().map_or(Ok(()), Serving::stop);
        self.sockets.stop();
        let deadline = now() + END_TIME_MAX;
        while let Some(listening) = self.listening.take() {
            let left = deadline.saturating_duration_since(now());
            match self.inputs.recv_timeout(left) {
                Ok(Input::CtiEnded(_)) | Err(RecvTimeoutError::Disconnected) => {
                    // A client that has panicked has said so already.
                    let _ = listening.join();
                }
                Ok(Input::Datagram { .. } | Input::Said(_)) => self.listening = Some(listening),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        stopped.map_err(DemoError::Server)
    }
}

/// The configuration of a server with these agents behind this PBX.
fn configuration(options: &Demo, pbx: SocketAddr) -> Result<Config, DemoError> {
    let shards = options.shards.unwrap_or(0);
    let (first, last) = mix::range(options);
    // The phones of a real PBX are subscribed within a minute or so, too.
    let subscribe_rate = (options.agents / 4).clamp(50, 1_000);
    let text = format!(
        "[server]\nsip = [\"udp:127.0.0.1:0\"]\nhttp = \"127.0.0.1:0\"\nshards = {shards}\n\
         driver = \"{}\"\nlog = \"warn\"\n\n\
         [[trunk]]\nname = \"pbx\"\npeers = [\"udp:{pbx}\"]\nbig_requests = \"udp\"\n\
         subscribe_rate = {subscribe_rate}\n\n\
         [agent_defaults]\nqueues = [\"demo\"]\nwrap_up = 0\nno_answer = {}\n\
         no_answer_action = \"none\"\n\n[[agents]]\nrange = \"{first}-{last}\"\n\n\
         [[queue]]\nname = \"demo\"\n\n\
         [[routing_point]]\nnumber = \"{ROUTING_POINT}\"\nqueue = \"demo\"\n",
        driver_word(options.driver),
        NO_ANSWER.as_secs(),
    );
    let no_files = |name: &str| Err(format!("the demo reads no file, and so not {name}"));
    config::parse_named("demo", &text, &no_files).map_err(DemoError::Configuration)
}

fn driver_word(driver: Driver) -> &'static str {
    match driver {
        Driver::Auto => "auto",
        Driver::Uring => "uring",
        Driver::Epoll => "epoll",
    }
}
