//! A shard that sleeps at its lookout while streams are open. Nobody looks at the rings unasked
//! here: what is missed is missed for good, and not for half a second.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::net::{TcpListener as Server, UdpSocket as Datagrams};

use super::*;
use crate::engine::{ConnectionChange, Frame, Source, Transmit};

/// Messages are as long as this.
const LENGTH: usize = 4;
/// A datagram that begins with this names a port, to which a message is to be sent by TCP.
const CALL: u8 = b'C';

/// Says everything again.
#[derive(Default)]
struct Parrot(VecDeque<(Transmit, [u8; LENGTH])>);

impl Engine for Parrot {
    type Message = Infallible;
    type Request = Infallible;
    type Event = Infallible;

    fn owner(&self, _bytes: &[u8]) -> Option<ShardId> {
        None
    }

    fn frame(buffer: &[u8]) -> Frame {
        match buffer.len() < LENGTH {
            true => Frame::Incomplete,
            false => Frame::Complete(LENGTH),
        }
    }

    fn handle_datagram(&mut self, _now: Instant, from: Source, bytes: &[u8]) {
        let bytes: [u8; LENGTH] = bytes.try_into().expect("tests know the length");
        let transmit = match bytes {
            [CALL, _, high, low] => Transmit {
                transport: Transport::Tcp,
                local: None,
                remote: ([127, 0, 0, 1], u16::from_be_bytes([high, low])).into(),
                connection: None,
            },
            [..] => Transmit {
                transport: from.transport,
                local: Some(from.local),
                remote: from.remote,
                connection: from.connection,
            },
        };
        self.0.push_back((transmit, bytes));
    }

    fn handle_connection(&mut self, _now: Instant, _change: ConnectionChange) {}

    fn handle_message(&mut self, _now: Instant, _from: ShardId, message: Infallible) {
        match message {}
    }

    fn handle_request(&mut self, _now: Instant, request: Infallible) {
        match request {}
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        let (transmit, bytes) = self.0.pop_front()?;
        buffer.extend_from_slice(&bytes);
        Some(transmit)
    }

    fn poll_message(&mut self) -> Option<(ShardId, Infallible)> {
        None
    }

    fn poll_event(&mut self) -> Option<Infallible> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// A driver that looks at its rings only when it knows why.
struct Unasked(Uring);

impl Drive for Unasked {
    fn prepare() -> Result<Self, StartError> {
        let mut driver = Uring::prepare()?;
        assert!(driver.lookout.is_some(), "its rings can be found here");
        driver.sleep_max = NO_PREEMPTION / 2;
        Ok(Self(driver))
    }

    fn run<E: Engine>(self, shard: Shard<E>, listeners: Vec<Listener>) {
        self.0.run(shard, listeners);
    }
}

/// A peer of the shard, with datagrams and streams.
struct Peer {
    host: Host<Parrot>,
    datagrams: Datagrams,
    streams: Vec<Client>,
    /// Where the shard connects to.
    server: Server,
    said: u16,
}

impl Peer {
    fn new() -> Self {
        let datagrams = Datagrams::bind("127.0.0.1:0").expect("loopback has ports");
        datagrams.set_read_timeout(Some(PATIENCE)).expect("a time");
        Self {
            host: Host::start::<Unasked>(|_| Parrot::default()),
            datagrams,
            streams: Vec::new(),
            server: Server::bind("127.0.0.1:0").expect("loopback has ports"),
            said: 0,
        }
    }

    /// A message that was not there before.
    fn message(&mut self) -> [u8; LENGTH] {
        self.said += 1;
        let [high, low] = self.said.to_be_bytes();
        [b'm', 0, high, low]
    }

    fn keep(&mut self, stream: Client) {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream.set_nodelay(true).expect("a socket");
        self.streams.push(stream);
    }

    fn open(&mut self) {
        let stream = Client::connect(self.host.tcp).expect("the kernel accepts");
        self.keep(stream);
    }

    fn send(&mut self) -> [u8; LENGTH] {
        let message = self.message();
        let sent = self.datagrams.send_to(&message, self.host.udp);
        sent.expect("loopback takes a datagram");
        message
    }

    fn hear(&self, message: [u8; LENGTH]) {
        let mut heard = [0; LENGTH];
        let length = self.datagrams.recv(&mut heard).expect("it is answered");
        assert_eq!((length, heard), (LENGTH, message));
    }

    fn speak(&mut self, stream: usize) -> [u8; LENGTH] {
        let message = self.message();
        self.streams[stream].write_all(&message).expect("it reads");
        message
    }

    fn listen(&mut self, stream: usize, message: [u8; LENGTH]) {
        let mut heard = [0; LENGTH];
        let heard_all = self.streams[stream].read_exact(&mut heard);
        heard_all.expect("it is answered");
        assert_eq!(heard, message);
    }

    /// Has the shard connect, or speak on the connection that there is already.
    fn is_called(&mut self) {
        let [high, low] = self
            .server
            .local_addr()
            .expect("bound")
            .port()
            .to_be_bytes();
        let message = [CALL, 0, high, low];
        let sent = self.datagrams.send_to(&message, self.host.udp);
        sent.expect("loopback takes a datagram");
        let (mut stream, _) = self.server.accept().expect("it connects");
        let mut heard = [0; LENGTH];
        stream.read_exact(&mut heard).expect("it speaks");
        assert_eq!(heard, message);
        let _ = stream.shutdown(Shutdown::Write);
        assert_eq!(stream.read(&mut heard).expect("it ends, too"), 0);
    }

    fn leave(&mut self, stream: usize) {
        let mut stream = self.streams.swap_remove(stream);
        stream.shutdown(Shutdown::Write).expect("a socket");
        let mut rest = [0; LENGTH];
        assert_eq!(stream.read(&mut rest).expect("it ends, too"), 0);
    }

    /// One thing that a peer may do, or several at a time.
    fn step(&mut self, chance: usize) {
        let count = self.streams.len();
        let one = chance % count.max(1);
        match chance % 7 {
            0 if count < 8 => self.open(),
            1 if count > 0 => self.leave(one),
            2 if count > 0 => {
                let message = self.speak(one);
                self.listen(one, message);
            }
            3 if count > 0 => {
                let said: Vec<_> = (0..count).map(|stream| self.speak(stream)).collect();
                let sent = self.send();
                for (stream, message) in said.into_iter().enumerate() {
                    self.listen(stream, message);
                }
                self.hear(sent);
            }
            4 if count > 0 => {
                let sent = self.send();
                let said = self.speak(one);
                self.hear(sent);
                self.open();
                let last = self.streams.len() - 1;
                let first = self.speak(last);
                self.listen(one, said);
                self.listen(last, first);
            }
            5 => self.is_called(),
            _ => {
                let sent = self.send();
                self.hear(sent);
            }
        }
    }
}

#[test]
fn nothing_is_missed_while_streams_are_open() {
    if uring_allowed().is_err() {
        return;
    }
    let mut peer = Peer::new();
    let mut chance = 1_u64;
    for _ in 0..1_500 {
        chance = chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let number = usize::try_from(chance >> 40).expect("24 bits");
        // Sometimes long enough to fall asleep, at the lookout or after it.
        thread::sleep(Duration::from_micros([0, 0, 0, 300, 1_500][number % 5]));

        peer.step(number / 5);
    }
    while !peer.streams.is_empty() {
        peer.leave(0);
    }
    let ends = peer.host.count(Counter::ClosedByPeer);
    let begins = [Counter::ConnectionsAccepted, Counter::ConnectionsOpened];
    let begins = begins.map(|counter| peer.host.count(counter));
    assert!(begins.iter().all(|count| *count > 100), "{begins:?}");
    assert_eq!(ends, begins.iter().sum::<u64>());
    peer.host.stop();
}

#[test]
fn datagrams_are_heard_beside_a_stream_that_always_has_more() {
    if uring_allowed().is_err() {
        return;
    }
    let mut peer = Peer::new();
    peer.open();
    let mut stream = peer.streams.pop().expect("it is open");
    let mut answers = stream.try_clone().expect("a descriptor");
    let (enough, is_enough) = mpsc::channel::<()>();
    let writing = thread::spawn(move || {
        let flood = [b'f'; LENGTH * 1_024];
        while is_enough.try_recv() == Err(mpsc::TryRecvError::Empty) {
            stream.write_all(&flood).expect("it reads");
        }
        stream.shutdown(Shutdown::Write).expect("a socket");
    });
    let reading = thread::spawn(move || {
        let mut answer = [0; 65_536];
        while answers.read(&mut answer).expect("it answers") > 0 {}
    });
    for _ in 0..200 {
        let sent = peer.send();
        peer.hear(sent);
    }
    drop(enough);
    writing.join().expect("nobody refuses it");
    reading.join().expect("it ends");
    peer.host.stop();
}
