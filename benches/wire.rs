//! System calls and processor time of a real server for one call, on one shard and on three, one
//! NOTIFY and one event, socket to socket on loopback, with both drivers: the time as the kernel
//! counts it, then the calls, counted by `strace -c -f`, while the load goes on. The parties are
//! those of the other benches, here on real sockets. Counts depend on how much comes at once and so
//! on the rate, which is printed; hardly on the machine.
//!
//! `cargo bench --bench wire` prints a table, `-- uring` or `-- epoll` that of one driver. With
//! `-- stream` somebody has a TCP connection open and says nothing.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it plays real parties in real time, and the table is what it is run for"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use offhook_loadgen::node::Node;
use offhook_loadgen::population::{
    Answering, Arrivals, Behaviour, CallerHabits, Callers, CallersOptions, Pbx, PbxOptions, Span,
};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

const AGENTS: usize = 400;
const FIRST_DN: usize = 20_000;
/// Who listens to events, where somebody does.
const CLIENTS: usize = 100;
/// Calls and NOTIFYs come one by one: 200 a second.
const EVERY: Duration = Duration::from_millis(5);
/// Before it is counted, and while it is.
const WARM_UP: Duration = Duration::from_secs(3);
const COUNTED: Duration = Duration::from_secs(8);
/// How long the parties rest when they have nothing to do.
const REST: Duration = Duration::from_micros(300);
/// How long clients rest between two looks at what has come for them.
const CLIENTS_REST: Duration = Duration::from_millis(10);

/// How many take part in a job.
#[derive(Debug, Clone, Copy)]
struct Scene {
    agents: usize,
    shards: usize,
    clients: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// Nobody calls, and no phone changes.
    Idle,
    /// Whole calls, INVITE to BYE, with the two NOTIFYs that the phone's presence brings.
    Calls,
    /// A private call begins at a phone, or ends.
    NotifiesThatChange,
    /// NOTIFYs that say what the last ones said.
    NotifiesThatDoNot,
    /// Calls whose queue, agent and caller live on any of three shards.
    CallsOnThreeShards,
    /// As [`Self::NotifiesThatChange`], with [`CLIENTS`] that listen to everything.
    Events,
}

impl Job {
    const ALL: [Self; 6] = [
        Self::Idle,
        Self::Calls,
        Self::NotifiesThatChange,
        Self::NotifiesThatDoNot,
        Self::CallsOnThreeShards,
        Self::Events,
    ];

    /// A storm makes every phone say the same at once, and NOTIFYs are to come one by one.
    fn scene(self) -> Scene {
        let [agents, shards, clients] = match self {
            Self::Idle | Self::Calls | Self::NotifiesThatChange => [AGENTS, 1, 0],
            Self::NotifiesThatDoNot => [1, 1, 0],
            Self::CallsOnThreeShards => [AGENTS, 3, 0],
            Self::Events => [AGENTS, 1, CLIENTS],
        };
        Scene {
            agents,
            shards,
            clients,
        }
    }

    fn changes_phones(self) -> bool {
        match self {
            Self::NotifiesThatChange | Self::Events => true,
            Self::Idle | Self::Calls | Self::NotifiesThatDoNot | Self::CallsOnThreeShards => false,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Idle => "a second without anything",
            Self::Calls => "a call",
            Self::NotifiesThatChange => "a NOTIFY that changes a state",
            Self::NotifiesThatDoNot => "a NOTIFY that changes nothing",
            Self::CallsOnThreeShards => "a call on three shards",
            Self::Events => "an event to 100 clients, with the NOTIFY that brings it",
        }
    }
}

/// The PBX with its phones, and the callers.
struct Parties {
    pbx: Pbx,
    callers: Callers,
    sockets: [UdpSocket; 2],
    buffer: Vec<u8>,
}

impl Parties {
    fn new(server: SocketAddr, agents: usize) -> Self {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
            socket.set_nonblocking(true).expect("sockets can be polled");
            socket
        };
        let sockets = [socket(), socket()];
        let [pbx, callers] = [0, 1].map(|at: usize| sockets[at].local_addr().expect("it is bound"));
        let mut parties = Self {
            pbx: Pbx::new(PbxOptions::new(pbx, (0..agents).map(dn))),
            callers: Callers::new(CallersOptions {
                habits: CallerHabits {
                    talking: Span::milliseconds(200, 200),
                    ..CallerHabits::of("7000")
                },
                ..CallersOptions::new(callers, server, "7000")
            }),
            sockets,
            buffer: Vec::new(),
        };
        for phone in 0..agents {
            let behaviour = Behaviour {
                ringing_after: Some(Duration::from_millis(20)),
                then: Answering::After(Duration::from_millis(100)),
                ..Behaviour::default()
            };
            let phone = parties.pbx.phone(Instant::now(), &dn(phone));
            phone.set_behaviour(Some(behaviour));
        }
        parties
    }

    fn pbx_address(&self) -> SocketAddr {
        self.sockets[0].local_addr().expect("it is bound")
    }

    /// Plays until `until` says that it is enough.
    fn play(&mut self, mut until: impl FnMut(&mut Self, Instant) -> bool) {
        loop {
            let now = Instant::now();
            if until(self, now) {
                return;
            }
            let mut datagram = [0; 65_536];
            for (at, socket) in self.sockets.iter().enumerate() {
                let node: &mut dyn Node = if at == 0 {
                    &mut self.pbx
                } else {
                    &mut self.callers
                };
                let to = socket.local_addr().expect("it is bound");
                loop {
                    match socket.recv_from(&mut datagram) {
                        Ok((length, from)) => {
                            node.handle_datagram(now, to, from, &datagram[..length]);
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => panic!("a party cannot receive: {error}"),
                    }
                }
                if node.poll_timeout().is_some_and(|at| at <= now) {
                    node.handle_timeout(now);
                }
                self.buffer.clear();
                while let Some(packet) = node.poll_transmit(&mut self.buffer) {
                    let sent = socket.send_to(&self.buffer, packet.to);
                    sent.expect("loopback takes a datagram");
                    self.buffer.clear();
                }
            }
            self.pbx.take_records();
            self.callers.take_records();
            sleep(REST);
        }
    }

    fn play_for(&mut self, job: Job, length: Duration) {
        let (start, mut steps) = (Instant::now(), 0);
        self.play(|parties, now| {
            while job.changes_phones() && start + EVERY * steps <= now {
                parties.change(now, steps as usize % AGENTS);
                steps += 1;
            }
            now >= start + length
        });
    }

    fn change(&mut self, now: Instant, phone: usize) {
        if !self.pbx.phone(now, &dn(phone)).begin_private_call() {
            assert!(self.pbx.phone(now, &dn(phone)).end_private_call());
        }
    }

    /// What the job has done so far.
    fn done(&self, job: Job, start: Instant, clients: &Clients) -> f64 {
        match job {
            Job::Idle => start.elapsed().as_secs_f64(),
            Job::Calls | Job::CallsOnThreeShards => self.callers.totals().answered as f64,
            Job::NotifiesThatChange | Job::NotifiesThatDoNot => self.pbx.notifies_sent() as f64,
            Job::Events => clients.heard.load(Ordering::Relaxed) as f64 / CLIENTS as f64,
        }
    }

    /// The load of the job from now on; changes come with [`Self::play_for`].
    fn begin(&mut self, job: Job) {
        let (now, length) = (Instant::now(), Duration::from_secs(60));
        match job {
            Job::Idle | Job::NotifiesThatChange | Job::Events => {}
            Job::Calls | Job::CallsOnThreeShards => {
                let random = false;
                let arrivals = Arrivals {
                    every: EVERY,
                    random,
                };
                self.callers.arrive(now, now + length, arrivals);
            }
            Job::NotifiesThatDoNot => {
                let rounds = length.as_millis() / EVERY.as_millis();
                let rounds = u32::try_from(rounds).expect("some thousand");
                self.pbx.storm(now, rounds, length);
            }
        }
    }

    /// Nothing went wrong, or the counts are of something else.
    fn check(&self, job: Job, done: f64) {
        let totals = self.callers.totals();
        assert_eq!((totals.refused, totals.abandoned, totals.lost), (0, 0, 0));
        let expected = match job {
            Job::Idle => COUNTED.as_secs_f64(),
            Job::Calls
            | Job::NotifiesThatChange
            | Job::NotifiesThatDoNot
            | Job::CallsOnThreeShards
            | Job::Events => COUNTED.as_secs_f64() / EVERY.as_secs_f64(),
        };
        assert!(
            (0.7..1.3).contains(&(done / expected)),
            "{done} of {expected}: {}",
            job.unit()
        );
    }
}

fn dn(phone: usize) -> String {
    (FIRST_DN + phone).to_string()
}

/// Desktops that listen to everything, read by a thread of their own.
struct Clients {
    /// Events, all of them together.
    heard: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Clients {
    fn connect(count: usize, http: SocketAddr) -> Self {
        let mut sockets: Vec<_> = (0..count).map(|_| client(http)).collect();
        let (heard, is_over) = (Arc::default(), Arc::default());
        let mut clients = Self {
            heard: Arc::clone(&heard),
            is_over: Arc::clone(&is_over),
            reader: None,
        };
        if count > 0 {
            clients.reader = Some(std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let events: u64 = sockets.iter_mut().map(events).sum();
                    heard.fetch_add(events, Ordering::Relaxed);
                    sleep(CLIENTS_REST);
                }
            }));
        }
        clients
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // If it has panicked it has said so, and fewer events were heard than there must be.
            let _ = reader.join();
        }
    }
}

/// One that has registered for everything.
fn client(http: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(http).expect("the server listens");
    let (mut socket, _) =
        tungstenite::client(format!("ws://{http}/cti"), stream).expect("everybody may connect");
    let register = r#"{"Message":"RequestRegisterAddress","ReferenceID":1,"ThisDN":"*"}"#;
    socket
        .send(Message::Text(register.into()))
        .expect("the server reads");
    let mut heard = String::new();
    while !heard.contains("\"EventRegistered\"") {
        let message = socket.read().expect("the server answers");
        heard = message.into_text().expect("it is text").to_string();
    }
    let polled = socket.get_ref().set_nonblocking(true);
    polled.expect("sockets can be polled");
    socket
}

/// How many events have come for a client.
fn events(socket: &mut WebSocket<TcpStream>) -> u64 {
    let mut count = 0;
    loop {
        match socket.read() {
            Ok(message) => count += u64::from(message.is_text()),
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                return count;
            }
            Err(error) => panic!("a client is cut off: {error}"),
        }
    }
}

/// A server in a folder of its own.
struct Server {
    process: Child,
    folder: PathBuf,
    http: SocketAddr,
}

impl Server {
    fn start(driver: &str, scene: Scene, sip: SocketAddr, pbx: SocketAddr) -> Self {
        let folder = std::env::temp_dir().join(format!("offhook-wire-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("there is room for a file");
        let http = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let http = http.expect("loopback has free ports");
        let text = format!(
            "[server]\nsip = [\"udp:{sip}\", \"tcp:{sip}\"]\nhttp = \"{http}\"\n\
             shards = {}\npin = false\n\
             [[trunk]]\nname = \"pbx\"\npeers = [\"udp:{pbx}\"]\nsubscribe_rate = 200\n\
             [[queue]]\nname = \"sales\"\n\
             [[routing_point]]\nnumber = \"7000\"\nqueue = \"sales\"\n\
             [[agents]]\nrange = \"{}-{}\"\nqueues = [\"sales\"]\n",
            scene.shards,
            dn(0),
            dn(scene.agents - 1)
        );
        let config = folder.join("server.toml");
        fs::write(&config, text).expect("there is room for a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.args([
            "serve",
            "--driver",
            driver,
            "--drain-timeout",
            "0",
            "--log",
            "error",
        ]);
        command.arg("--config").arg(config).stdout(Stdio::null());
        let process = command.spawn().expect("the server can be started");
        Self {
            process,
            folder,
            http,
        }
    }
}

impl Server {
    /// Seconds that its threads were on a processor.
    fn processor_time(&self) -> f64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id()));
        let threads = threads.expect("the server runs").filter_map(|thread| {
            let file = thread.ok()?.path().join("schedstat");
            let text = fs::read_to_string(file).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        threads.sum::<f64>() / 1e9
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        signal("-TERM", self.process.id());
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill")
        .args([name, &process.to_string()])
        .status();
    assert!(sent.is_ok(), "kill is everywhere");
}

/// What a job has cost.
struct Cost {
    /// Units that were done while the calls were counted.
    done: f64,
    /// Seconds on a processor for one unit, uncounted.
    processor: f64,
    /// How often each system call was made, or why that is not known.
    calls: Result<BTreeMap<String, u64>, String>,
}

fn count(driver: &str, job: Job, has_stream: bool) -> Result<Cost, String> {
    let sip = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let sip = sip.map_err(|error| error.to_string())?;
    let scene = job.scene();
    let mut parties = Parties::new(sip, scene.agents);
    let server = Server::start(driver, scene, sip, parties.pbx_address());
    let patience = Instant::now() + Duration::from_secs(30);
    parties.play(|parties, now| now > patience || parties.pbx.subscriptions() == scene.agents);
    if parties.pbx.subscriptions() < scene.agents {
        return Err(format!(
            "the server with {driver} does not watch its phones"
        ));
    }
    let clients = Clients::connect(scene.clients, server.http);
    let stream = has_stream.then(|| TcpStream::connect(sip));
    let _stream = stream.transpose().map_err(|error| error.to_string())?;
    parties.begin(job);
    parties.play_for(job, WARM_UP);
    let mut done = || {
        let start = Instant::now();
        let before = parties.done(job, start, &clients);
        parties.play_for(job, COUNTED);
        let done = parties.done(job, start, &clients) - before;
        parties.check(job, done);
        done
    };
    let before = server.processor_time();
    let timed = done();
    let processor = (server.processor_time() - before) / timed;
    let report = server.folder.join("strace");
    let mut strace = match trace(server.process.id(), &report) {
        Ok(strace) => strace,
        Err(cause) => {
            return Ok(Cost {
                done: timed,
                processor,
                calls: Err(cause),
            });
        }
    };
    let done = done();
    signal("-INT", strace.id());
    strace.wait().map_err(|error| error.to_string())?;
    let report = fs::read_to_string(report).map_err(|error| error.to_string())?;
    Ok(Cost {
        done,
        processor,
        calls: Ok(calls(&report)),
    })
}

/// Attaches to a running server, and waits until it has.
fn trace(process: u32, report: &Path) -> Result<Child, String> {
    let mut command = Command::new("strace");
    command
        .args(["-c", "-f", "-p", &process.to_string(), "-o"])
        .arg(report);
    let strace = command.stderr(Stdio::null()).spawn();
    let mut strace = strace.map_err(|error| format!("strace: {error}; apt install strace"))?;
    let status = format!("/proc/{process}/status");
    for _ in 0..100 {
        let status = fs::read_to_string(&status).map_err(|error| error.to_string())?;
        let tracer = status
            .lines()
            .find_map(|line| line.strip_prefix("TracerPid:"));
        if tracer.is_some_and(|tracer| tracer.trim() != "0") {
            return Ok(strace);
        }
        if strace.try_wait().is_ok_and(|ended| ended.is_some()) {
            break;
        }
        sleep(Duration::from_millis(20));
    }
    // It may have ended by itself.
    let _ = strace.kill();
    let _ = strace.wait();
    Err("strace may not attach to the server (kernel.yama.ptrace_scope)".to_owned())
}

/// The rows of strace's table: share, seconds, microseconds a call, calls, errors if any, name.
fn calls(report: &str) -> BTreeMap<String, u64> {
    let rows = report.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let count = columns.get(3)?.parse().ok()?;
        let name = columns.last().filter(|name| **name != "total")?;
        Some(((*name).to_owned(), count))
    });
    rows.collect()
}

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let names = |driver| asked.iter().any(|word| word == driver);
    let drivers = ["uring", "epoll"];
    let all = !drivers.into_iter().any(names);
    let has_stream = names("stream");
    for job in Job::ALL {
        for driver in drivers.into_iter().filter(|driver| all || names(driver)) {
            match count(driver, job, has_stream) {
                Ok(cost) => print(driver, job, &cost),
                Err(cause) => {
                    println!("NOT MEASURED: {driver}, {}: {cause}", job.unit());
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn print(driver: &str, job: Job, cost: &Cost) {
    let (unit, rate) = (job.unit(), cost.done / COUNTED.as_secs_f64());
    let time = cost.processor * 1e6;
    let calls = match &cost.calls {
        Ok(calls) => calls,
        Err(cause) => {
            println!("\n{driver}: {unit} ({rate:.0}/s) takes {time:.0} us");
            println!("NOT COUNTED: its system calls: {cause}");
            return;
        }
    };
    let each = |count: u64| count as f64 / cost.done;
    let all = each(calls.values().sum());
    println!("\n{driver}: {unit} ({rate:.0}/s) takes {time:.0} us and {all:.2} system calls");
    let mut calls: Vec<_> = calls.iter().collect();
    calls.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (name, count) in calls.iter().filter(|(_, count)| each(**count) >= 0.01) {
        println!("  {name:<20} {:>8.2}", each(**count));
    }
}
