//! The example router of `docs/examples`, as a program of its own at the running server: it routes
//! by its own strategy, and goes on when its connection was cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::directory::Directory;
use super::floor::{Crew, Floor, QUEUE_NUMBER};
use super::program::{self, Program};
use super::sipp::Transport;

/// How long the router may take for anything.
const ROUTER_MAX: Duration = Duration::from_secs(10);
/// More lines than the router writes.
const LINES_MAX: usize = 1_000;

/// A router that is connected by way of us, so that the connection can be cut.
struct Router {
    program: Program,
    directory: Directory,
    relay: Relay,
}

impl Router {
    fn start(floor: &Floor, agents: &str) -> Self {
        let directory = floor.directory();
        let relay = Relay::start(floor.server.http());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/router.py");
        let mut command = Command::new(python());
        command
            .arg(script)
            .args(["--url", &format!("ws://{}/cti", relay.address)])
            .args(["--routing-point", QUEUE_NUMBER, "--agents", agents]);
        let router = Self {
            program: Program::start("router", &directory, &mut command),
            directory,
            relay,
        };
        router.await_lines("routes 7000", 1);
        router
    }

    /// The lines of the router's log with these words.
    fn lines(&self, words: &str) -> Vec<String> {
        let text = self.directory.tail("router.out", LINES_MAX);
        let lines = text.lines().filter(|line| line.contains(words));
        lines.map(str::to_owned).collect()
    }

    #[track_caller]
    fn await_lines(&self, words: &str, count: usize) {
        let came = program::comes_true(ROUTER_MAX, || self.lines(words).len() >= count);
        assert!(
            came,
            "not {count} times {words:?}\n--- router.out\n{}\n--- router.err\n{}",
            self.directory.tail("router.out", LINES_MAX),
            self.directory.tail("router.err", LINES_MAX)
        );
    }

    fn stop(mut self) {
        let ended = self.program.stop();
        let well = ended.is_some_and(|status| status.success());
        let errors = self.directory.tail("router.err", LINES_MAX);
        assert!(well && errors.is_empty(), "{ended:?}\n{errors}");
    }
}

/// A Python that has `websockets`: Debian's own, or whichever comes first.
fn python() -> PathBuf {
    let has_it = |python: &PathBuf| {
        let import = Command::new(python)
            .args(["-c", "import websockets"])
            .stderr(Stdio::null())
            .status();
        import.is_ok_and(|status| status.success())
    };
    let found = [
        "/usr/bin/python3".into(),
        program::find("python3", "python3"),
    ]
    .into_iter()
    .find(has_it);
    found.unwrap_or_else(|| {
        panic!(
            "Python has no module websockets, so this cannot be tested: \
             install python3-websockets (on Debian: apt-get install python3-websockets)"
        )
    })
}

/// Hands bytes on between its clients and the server.
struct Relay {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let streams = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&streams);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else {
                    return;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let clone = |stream: &TcpStream| stream.try_clone().expect("it is open");
                    let (from, to) = (clone(from), clone(to));
                    thread::spawn(move || hand_on(from, to));
                }
                let mut streams = kept.lock().expect("nobody panics with it");
                streams.extend([client, server]);
            }
        });
        Self { address, streams }
    }

    /// Ends all connections.
    fn cut(&self) {
        for stream in self
            .streams
            .lock()
            .expect("nobody panics with it")
            .drain(..)
        {
            // Whichever is closed already is cut as well.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn the_example_router_routes_by_its_own_strategy_and_comes_back() {
    let crew = Crew {
        scenario: "phone_early",
        agents: 3,
        trunk: "",
    };
    let floor = Floor::open("router", Transport::Udp, &[crew]);
    let router = Router::start(&floor, "3000-3002");
    // The same caller again: the queue would take who has been idle longest.
    for calls in 1..=2 {
        floor.call("caller_early", QUEUE_NUMBER, 1);
        router.await_lines("goes to 3000", calls);
    }
    router.await_lines("idle longest", 1);
    router.await_lines("who spoke to this caller last", 1);

    router.relay.cut();
    router.await_lines("resumed after event", 1);
    floor.call("caller_early", QUEUE_NUMBER, 1);
    router.await_lines("goes to 3000", 3);
    // Twenty different callers, some at the same time.
    floor.call("caller_early", QUEUE_NUMBER, 20);
    router.await_lines(" goes to ", 23);

    // Without it, the queue has its own strategy.
    router.stop();
    floor.call("caller_early", QUEUE_NUMBER, 1);
    floor.expect_calls([24, 24, 0, 0, 0]);
    floor.close();
}
