//! What the lookout misses, and executors that end while others begin.

mod lookout;

use std::io::Read;
use std::net::TcpStream as Client;
use std::sync::{Arc, mpsc};
use std::thread;

use super::*;
use crate::control::Shared;
use crate::driver::{Launch, run as run_launched, uring_allowed};
use crate::engine::ShardId;
use crate::options::{Driver, Options};
use crate::scribe::Scribe;
use crate::seat::Seat;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A driver whose lookout hears nothing of its rings.
struct Missing(Uring);

impl Drive for Missing {
    fn prepare() -> Result<Self, StartError> {
        let mut driver = Uring::prepare()?;
        driver.lookout = Some(Lookout::over(&[]).map_err(StartError::Resources)?);
        Ok(Self(driver))
    }

    fn run<E: Engine>(self, shard: Shard<E>, listeners: Vec<Listener>) {
        self.0.run(shard, listeners);
    }
}

/// One shard on loopback.
struct Host<E: Engine> {
    shared: Arc<Shared<E>>,
    udp: SocketAddr,
    tcp: SocketAddr,
    ended: mpsc::Receiver<()>,
}

impl<E: Engine> Host<E> {
    /// Starts it on a thread of its own.
    fn start<D: Drive>(engine: impl Fn(ShardId) -> E + Send + 'static) -> Self {
        let options = Options {
            udp: vec![([127, 0, 0, 1], 0).into()],
            tcp: vec![([127, 0, 0, 1], 0).into()],
            ..Options::default()
        };
        let mut bound = sockets::bind(&options).expect("loopback has ports");
        let (shared, seats) = Seat::for_all(Driver::Uring, &options).expect("descriptors");
        let (go, sockets) = mpsc::channel();
        let (ready, answers) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let launch = Launch {
            seat: seats.into_iter().next().expect("one shard"),
            core: None,
            sockets,
            ready,
            end,
            factory: engine,
        };
        thread::spawn(move || run_launched::<E, _, D>(launch));
        answers.recv().expect("it answers").expect("it is ready");
        go.send(bound.shards.remove(0)).expect("it waits");
        Self {
            shared,
            udp: bound.udp[0],
            tcp: bound.tcp[0],
            ended,
        }
    }

    fn count(&self, counter: Counter) -> u64 {
        self.shared.metrics.shard(ShardId(0)).value(counter)
    }

    fn stop(self) {
        self.shared.stop();
        let ended = self.ended.recv_timeout(PATIENCE);
        assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected));
    }
}

#[test]
fn connection_of_which_the_lookout_misses_is_accepted_all_the_same() {
    if uring_allowed().is_err() {
        return;
    }
    let host = Host::start::<Missing>(|_| Scribe::default());
    for count in 1..=3 {
        // It has nothing to do by now, and waits at the lookout.
        thread::sleep(Duration::from_millis(300));
        let mut client = Client::connect(host.tcp).expect("the kernel accepts");
        let begun = Clock.now();
        while host.count(Counter::ConnectionsAccepted) < count {
            assert!(Clock.now() - begun < PATIENCE, "connection {count} hangs");
            thread::sleep(Duration::from_millis(10));
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = client.read(&mut [0; 1]);
    }
    host.stop();
}

#[test]
fn rings_of_an_executor_are_found_while_another_one_ends() {
    if uring_allowed().is_err() {
        return;
    }
    let (end, ending) = mpsc::channel::<()>();
    let (ready, begun) = mpsc::channel();
    let (over, ended) = mpsc::channel();
    thread::spawn(move || {
        let driver = Uring::prepare().expect("it is allowed");
        ready.send(()).expect("somebody waits");
        ending.recv().expect("somebody says so");
        drop(driver);
        let _ = over.send(());
    });
    begun.recv().expect("it begins");
    let (is_over, _) = sys::with_its_rings(|| {
        end.send(()).expect("it waits");
        ended.recv_timeout(Duration::from_millis(200)).is_ok()
    });
    assert!(!is_over, "its rings' numbers would be given to others");
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(()));
}
