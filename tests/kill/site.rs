//! A PBX with phones and callers on loopback, and the server as its own process beside them.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use offhook_loadgen::node::{Node as _, Packet};
use offhook_loadgen::population::{
    Behaviour, CallPlan, Callers, CallersOptions, Pbx, PbxOptions, Population,
};

use super::witness::Witness;

pub(crate) const AGENTS: u32 = 40;

/// Between two new calls.
const ARRIVALS: Duration = Duration::from_millis(25);

/// The server as a process.
pub(crate) struct Server(Child);

impl Server {
    /// Like `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Server {
    /// The status with which it ends by itself.
    pub(crate) fn ends_with(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is left to kill of one that was killed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything but the server.
pub(crate) struct Site {
    directory: PathBuf,
    server: SocketAddr,
    sockets: Vec<UdpSocket>,
    population: Population,
    pub(crate) witness: Witness,
    arrived: u32,
}

impl Site {
    #[expect(clippy::disallowed_methods, reason = "real sockets live in real time")]
    pub(crate) fn new(directory: &Path) -> Self {
        let sockets: Vec<UdpSocket> = (0..2)
            .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        for socket in &sockets {
            socket.set_nonblocking(true).unwrap();
        }
        let [pbx, callers] = [0, 1].map(|index: usize| sockets[index].local_addr().unwrap());
        // Free now, and taken by nobody else on this machine's loopback so soon.
        let server = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let configuration = format!(
            "[server]\nsip = [\"udp:{server}\"]\nhttp = \"127.0.0.1:0\"\nshards = 2\npin = false\n\
             [[trunk]]\nname = \"ucm\"\npeers = [\"udp:{pbx}\"]\n\
             [[queue]]\nname = \"sales\"\n\
             [[routing_point]]\nnumber = \"7000\"\nqueue = \"sales\"\n\
             [[agents]]\nrange = \"2000-{}\"\nqueues = [\"sales\"]\n",
            1_999 + AGENTS
        );
        std::fs::write(directory.join("server.toml"), configuration).unwrap();
        let dns: Vec<String> = (2_000..2_000 + AGENTS).map(|dn| dn.to_string()).collect();
        let options = PbxOptions {
            server: Some(server),
            ..PbxOptions::new(pbx, dns.iter().cloned())
        };
        let mut pbx = Pbx::new(options);
        let behaviour = Behaviour::answers_after(Duration::from_millis(30));
        for dn in &dns {
            let phone = pbx.phone(Instant::now(), dn);
            phone.set_behaviour(Some(behaviour));
        }
        let callers = Callers::new(CallersOptions::new(callers, server, "7000"));
        Self {
            directory: directory.to_owned(),
            server,
            sockets,
            population: Population::new(pbx, callers, Duration::from_secs(2)),
            witness: Witness::default(),
            arrived: 0,
        }
    }

    /// Starts the server, for the first time or again.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test command says which driver"
    )]
    pub(crate) fn start(&self) -> Server {
        let log = self.directory.join("server.log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let driver = std::env::var("OFFHOOK_TEST_DRIVER").unwrap_or("auto".to_owned());
        let path = |name: &str| self.directory.join(name).display().to_string();
        let server = Command::new(env!("CARGO_BIN_EXE_offhook"))
            .args(["serve", "--config", &path("server.toml")])
            .args(["--state-dir", &path("state"), "--driver", &driver])
            .stderr(log)
            .stdout(Stdio::null())
            .spawn();
        Server(server.unwrap())
    }

    /// What all servers have logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("server.log")).unwrap()
    }

    /// The files of the journals.
    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.directory.join("state")).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let is_journal = |path: &PathBuf| path.extension().is_some_and(|it| it == "journal");
        files.filter(is_journal).collect()
    }

    /// Lets everybody talk for so long, and new callers come or not.
    #[expect(clippy::disallowed_methods, reason = "real sockets live in real time")]
    pub(crate) fn run(&mut self, time: Duration, callers_come: bool) {
        let begin = Instant::now();
        let mut next_caller = begin;
        while begin.elapsed() < time {
            let now = Instant::now();
            if callers_come && next_caller <= now {
                next_caller += ARRIVALS;
                self.arrived += 1;
                let talks = Duration::from_millis(200 + u64::from(self.arrived * 7_919 % 1_700));
                let plan = CallPlan::to("7000").talks_for(talks);
                self.population.callers.call(now, plan);
            }
            self.receive(now);
            if self.population.poll_timeout().is_some_and(|at| at <= now) {
                self.population.handle_timeout(now);
            }
            self.send();
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn receive(&mut self, now: Instant) {
        let mut buffer = vec![0; 65_535];
        for socket in &self.sockets {
            let to = socket.local_addr().unwrap();
            loop {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        let bytes = &buffer[..length];
                        let text = String::from_utf8_lossy(bytes);
                        self.witness.server_says(&text);
                        self.population.handle_datagram(now, to, from, bytes);
                    }
                    // The server is dead, and the kernel says so.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                        break;
                    }
                }
            }
        }
    }

    fn send(&mut self) {
        let mut bytes = Vec::new();
        while let Some(Packet { from, to }) = self.population.poll_transmit(&mut bytes) {
            assert_eq!(to, self.server);
            self.witness.server_hears(&String::from_utf8_lossy(&bytes));
            let is_its = |socket: &&UdpSocket| socket.local_addr().unwrap() == from;
            let socket = self.sockets.iter().find(is_its).unwrap();
            // Nobody is there to hear it between a kill and the next start.
            let _ = socket.send_to(&bytes, to);
            bytes.clear();
        }
    }
}
