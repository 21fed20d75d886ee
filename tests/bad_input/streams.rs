//! What may come by TCP: broken, endless, slow, and too many.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use offhook_shards::{Transport, limits};
use socket2::{Domain, Socket, Type};

use super::message::{Draft, Heard};
use super::scene::{Caller, DEADLINE, PATIENCE, Scene};
use super::{Answer, Row, hold};

/// Where somebody is whose calls the trunk accepts.
const SOMEBODY: &str = "127.0.0.66:0";
/// Where somebody is who is no trunk.
const STRANGER: &str = "127.0.0.77:0";

#[test]
fn streams() {
    // One shard: then the limit of one shard is that of the server.
    let tables = [broken(), foreign(), in_pieces(), slow()];
    hold(
        Scene::open(1),
        &tables.into_iter().flatten().collect::<Vec<_>>(),
    );
}

/// Somebody on a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Peer {
    pub(crate) fn connect(scene: &Scene) -> Self {
        Self::connect_from(SOMEBODY, scene.tcp, None)
    }

    fn connect_from(own: &str, server: SocketAddr, receive_bytes: Option<usize>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let own: SocketAddr = own.parse().unwrap();
        socket.bind(&own.into()).unwrap();
        socket.connect(&server.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            heard: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, draft: &Draft) {
        let own = self.stream.local_addr().unwrap().to_string();
        self.send_bytes(&draft.bytes(Transport::Tcp, &own));
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads until a final response is whole; `None` at the end of the stream.
    fn hear(&mut self) -> Option<Heard> {
        let mut buffer = [0; 4_096];
        loop {
            if let Some(end) = self.heard.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.heard.drain(..end + 4).collect();
                let heard = Heard(String::from_utf8(head).unwrap());
                if heard.status().is_some_and(|status| status >= 200) {
                    return Some(heard);
                }
                continue;
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => self.heard.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing is heard: {error}"),
            }
        }
    }

    /// One answer.
    pub(crate) fn answer(&mut self) -> Answer {
        match self.hear() {
            Some(heard) => Answer::Status(heard.status().expect("it is a response")),
            None => Answer::Close,
        }
    }

    /// An answer or none, and then the end.
    pub(crate) fn answer_and_end(&mut self) -> Answer {
        match (self.answer(), self.hear()) {
            (Answer::Status(status), None) => Answer::StatusAndClose(status),
            (Answer::Close, None) => Answer::Close,
            (first, then) => panic!("{first:?} and then {then:?}"),
        }
    }
}

fn options() -> Draft {
    Draft::new("OPTIONS", "7000")
}

fn ended(scene: &Scene, draft: &Draft) -> Answer {
    let mut peer = Peer::connect(scene);
    peer.send(draft);
    peer.answer_and_end()
}

fn thrown(scene: &Scene, bytes: &[u8]) -> Answer {
    let mut peer = Peer::connect(scene);
    peer.send_bytes(bytes);
    peer.answer_and_end()
}

const MALFORMED: &[(&str, u64)] = &[
    ("messages_refused{malformed}", 1),
    ("shard_closed_malformed", 1),
];

fn broken() -> Vec<Row> {
    let refused = |name, act, answer| Row {
        name,
        act,
        answer,
        counts: MALFORMED,
    };
    vec![
        refused(
            "a wrong Content-Length, from an address that is no trunk's",
            |scene| {
                let mut peer = Peer::connect_from(STRANGER, scene.tcp, None);
                peer.send(&options().with("Content-Length", "x"));
                peer.answer_and_end()
            },
            Answer::Close,
        ),
        refused(
            "no Content-Length",
            |scene| {
                let mut peer = Peer::connect(scene);
                let bytes = options().bytes(Transport::Tcp, "127.0.0.66:5060");
                let text = String::from_utf8(bytes).unwrap();
                peer.send_bytes(text.replace("Content-Length: 0\r\n", "").as_bytes());
                peer.answer_and_end()
            },
            Answer::StatusAndClose(400),
        ),
        refused(
            "a negative Content-Length",
            |scene| ended(scene, &options().with("Content-Length", "-1")),
            Answer::StatusAndClose(400),
        ),
        refused(
            "two Content-Lengths",
            |scene| {
                let two = options().with("Content-Length", "0");
                ended(scene, &two.with("Content-Length", "5"))
            },
            Answer::StatusAndClose(400),
        ),
        refused(
            "a body longer than Content-Length",
            |scene| {
                let two = options().body(b"what is this?\r\n\r\n");
                ended(scene, &two.with("Content-Length", "0"))
            },
            Answer::StatusAndClose(200),
        ),
    ]
}

fn foreign() -> Vec<Row> {
    let refused = |name, act, answer| Row {
        name,
        act,
        answer,
        counts: MALFORMED,
    };
    vec![
        refused(
            "HTTP",
            |scene| thrown(scene, b"GET / HTTP/1.1\r\nHost: offhook\r\n\r\n"),
            Answer::Close,
        ),
        refused(
            "TLS",
            |scene| thrown(scene, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
            Answer::Close,
        ),
        refused("NULs", |scene| thrown(scene, &[0; 1_000]), Answer::Close),
        Row {
            name: "a head without end",
            act: |scene| {
                let lines = format!("X: {}\r\n", "y".repeat(4_000)).repeat(20);
                let bytes = options().bytes(Transport::Tcp, "127.0.0.66:5060");
                let text = String::from_utf8(bytes).unwrap();
                let endless = text.replace("Content-Length: 0\r\n\r\n", &lines);
                thrown(scene, endless.as_bytes())
            },
            answer: Answer::StatusAndClose(513),
            counts: &[
                ("messages_refused{too_large}", 1),
                ("shard_closed_malformed", 1),
            ],
        },
        Row {
            name: "a NUL inside a message that is whole: the connection stays",
            act: |scene| {
                let mut peer = Peer::connect(scene);
                peer.send(&options().with("Subject", "a\0b"));
                let answer = peer.answer();
                peer.send(&options());
                assert_eq!(peer.answer(), Answer::Status(200));
                answer
            },
            answer: Answer::Status(400),
            counts: &[("messages_refused{malformed}", 1)],
        },
    ]
}

fn in_pieces() -> Vec<Row> {
    vec![
        Row {
            name: "a body shorter than Content-Length, and the end",
            act: |scene| {
                let mut peer = Peer::connect(scene);
                peer.send(&options().with("Content-Length", "9999"));
                peer.stream.shutdown(Shutdown::Write).unwrap();
                peer.answer_and_end()
            },
            answer: Answer::Close,
            counts: &[("shard_closed_truncated", 1)],
        },
        Row {
            name: "lone line ends are answered as keep-alives",
            act: |scene| {
                let mut peer = Peer::connect(scene);
                peer.send_bytes(b"\r\n\r\n");
                let mut answer = [0; 2];
                peer.stream.read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"\r\n");
                peer.send(&options());
                peer.answer()
            },
            answer: Answer::Status(200),
            counts: &[],
        },
    ]
}

fn slow() -> Vec<Row> {
    vec![
        Row {
            name: "a body shorter than Content-Length, and nothing more",
            act: |scene| {
                let mut peer = Peer::connect(scene);
                peer.send(&options().with("Content-Length", "9999"));
                peer.answer_and_end()
            },
            answer: Answer::Close,
            counts: &[("shard_closed_message_deadline", 1)],
        },
        Row {
            name: "a peer that sends byte by byte",
            act: trickle,
            answer: Answer::Close,
            counts: &[("shard_closed_message_deadline", 1)],
        },
        Row {
            name: "a flood of connections that say nothing",
            act: flood,
            answer: Answer::Close,
            counts: &[("shard_refused_source_full", 40)],
        },
        Row {
            name: "a peer that asks and never reads",
            act: deaf,
            answer: Answer::Close,
            counts: &[("shard_closed_output_limit", 1)],
        },
    ]
}

/// However steadily the bytes come: the whole message has one deadline. Others do not wait.
fn trickle(scene: &Scene) -> Answer {
    let bytes = options().bytes(Transport::Tcp, "127.0.0.66:5060");
    let mut slow = Peer::connect(scene);
    let mut quick = Peer::connect_from("127.0.0.1:0", scene.tcp, None);
    slow.stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let start = Instant::now();
    for byte in bytes.iter().cycle() {
        assert!(start.elapsed() < PATIENCE, "the slow peer is never closed");
        if slow.stream.write_all(&[*byte]).is_err() {
            break;
        }
        let asked = Instant::now();
        quick.send(&options());
        assert_eq!(quick.answer(), Answer::Status(200));
        assert!(
            asked.elapsed() < DEADLINE,
            "the quick peer waits for the slow one"
        );
        match slow.stream.read(&mut [0; 16]) {
            Ok(0) => break,
            Ok(_) => panic!("half a message is answered"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(_) => {}
        }
    }
    assert!(start.elapsed() >= DEADLINE, "the slow peer had its time");
    Answer::Close
}

/// One source has its share of connections and no more; everybody else gets in.
fn flood(scene: &Scene) -> Answer {
    let count = limits::CONNECTIONS_PER_SOURCE_MAX + 40;
    let mut peers: Vec<_> = (0..count).map(|_| Peer::connect(scene)).collect();
    let closed = |peer: &mut Peer| {
        peer.stream.set_nonblocking(true).unwrap();
        matches!(peer.stream.read(&mut [0; 1]), Ok(0) | Err(_))
            && !matches!(peer.stream.read(&mut [0; 1]), Err(error)
                if error.kind() == ErrorKind::WouldBlock)
    };
    let came = super::comes_true(PATIENCE, || {
        peers
            .iter_mut()
            .map(closed)
            .filter(|closed| *closed)
            .count()
            == 40
    });
    assert!(came, "the connections beyond the limit are closed");
    let mut other = Peer::connect_from("127.0.0.1:0", scene.tcp, None);
    other.send(&options());
    assert_eq!(other.answer(), Answer::Status(200));
    scene.still_works();
    Answer::Close
}

/// What waits for it is bounded, and its flood keeps nobody else waiting.
fn deaf(scene: &Scene) -> Answer {
    const WAIT_MAX: Duration = Duration::from_secs(1);
    let mut peer = Peer::connect_from(SOMEBODY, scene.tcp, Some(4_096));
    let own = peer.stream.local_addr().unwrap().to_string();
    let flood = std::thread::spawn(move || {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < PATIENCE, "the deaf peer is never closed");
            let some = (0..100).flat_map(|_| options().bytes(Transport::Tcp, &own));
            if peer.stream.write_all(&some.collect::<Vec<u8>>()).is_err() {
                break;
            }
        }
    });
    while !flood.is_finished() {
        let other = Caller::new(scene.udp);
        other.send(&options());
        let answer = other.hear_final_within(WAIT_MAX, "OPTIONS");
        assert!(answer.is_some(), "others wait for the deaf peer");
    }
    flood.join().unwrap();
    Answer::Close
}
