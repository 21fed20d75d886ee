//! The table of connections in virtual time, without a socket.

use super::*;
use crate::clock::Clock;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    table: Table,
    metrics: Arc<Metrics>,
    now: Instant,
}

fn bench() -> Bench {
    let metrics = Arc::new(Metrics::new(1));
    let now = Clock.now();
    let table = Table::new(
        ShardId(0),
        Arc::clone(&metrics),
        now,
        limits::MESSAGE_DEADLINE,
        Room::default(),
        None,
    );
    Bench {
        table,
        metrics,
        now,
    }
}

fn address(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], port))
}

impl Bench {
    fn accept(&mut self, remote: SocketAddr) -> ConnectionId {
        self.table
            .accepted(self.now, Transport::Tcp, remote, address(1, 1))
            .unwrap()
    }

    fn send(&mut self, id: Option<ConnectionId>, remote: SocketAddr, bytes: &[u8]) {
        if !self.table.send(id, Transport::Tcp, remote, bytes) {
            let opening = Opening {
                security: Security::None,
                remote,
                local: None,
                is_shared: true,
            };
            self.table.open(self.now, opening, bytes);
        }
    }

    /// Lets time pass in small steps, as deadlines come.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.table.expire(self.now);
    }

    /// Cuts nothing off the connection's input: the message there is not complete.
    fn cut(&mut self, consumed: usize, rest: Rest) {
        let (source, _, _) = self.table.next_to_cut(self.now).unwrap();
        let id = source.connection.unwrap();
        self.table.cut(self.now, id, Cut { consumed, rest });
    }

    fn commands(&mut self) -> Vec<StreamCommand> {
        std::iter::from_fn(|| self.table.next_command()).collect()
    }

    fn count(&self, counter: Counter) -> u64 {
        self.metrics.total(counter)
    }
}

#[test]
fn a_message_that_trickles_is_cut_off_at_its_deadline() {
    let mut bench = bench();
    let id = bench.accept(address(2, 5));
    let mut seconds = 0;
    while bench.table.is_live(id) {
        assert!(Duration::from_secs(seconds) <= limits::MESSAGE_DEADLINE);
        bench.table.received(bench.now, id, b"x");
        bench.cut(0, Rest::Incomplete);
        bench.pass(SECOND);
        seconds += 1;
    }
    assert_eq!(Duration::from_secs(seconds), limits::MESSAGE_DEADLINE);
    assert_eq!(bench.count(Counter::ClosedMessageDeadline), 1);
    let change = bench.table.next_change().unwrap();
    assert_eq!(change.connection, Some(id));
    assert_eq!(change.outcome, ConnectionOutcome::Closed);
}

#[test]
fn each_message_has_a_deadline_of_its_own() {
    let mut bench = bench();
    let id = bench.accept(address(2, 5));
    for _ in 0..10 {
        bench.table.received(bench.now, id, b"begin");
        bench.cut(0, Rest::Incomplete);
        bench.pass(limits::MESSAGE_DEADLINE - SECOND);
        // It ends just in time, and the next one begins.
        bench.table.received(bench.now, id, b"end begin");
        bench.cut(9, Rest::Incomplete);
        bench.pass(limits::MESSAGE_DEADLINE - SECOND);
        bench.table.received(bench.now, id, b"end");
        bench.cut(8, Rest::Incomplete);
        bench.pass(2 * limits::MESSAGE_DEADLINE);
    }
    assert!(bench.table.is_live(id));
}

#[test]
fn a_peer_is_not_blamed_for_a_message_that_we_hold() {
    let mut bench = bench();
    let id = bench.accept(address(2, 5));
    bench.table.received(bench.now, id, b"begin");
    bench.cut(0, Rest::Incomplete);
    bench.table.received(bench.now, id, b" end");
    bench.cut(0, Rest::Blocked);
    assert_eq!(bench.table.allowance(id), Some(0));
    bench.pass(3 * limits::MESSAGE_DEADLINE);
    assert!(bench.table.is_live(id));
    bench.cut(9, Rest::Incomplete);
    assert_eq!(
        bench.commands(),
        [StreamCommand::Attend { id }],
        "reading goes on"
    );
    assert_eq!(
        bench.table.allowance(id),
        Some(limits::STREAM_INPUT_BYTES_MAX)
    );
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let mut bench = bench();
    let idle = bench.accept(address(2, 5));
    let busy = bench.accept(address(2, 6));
    for _ in 0..4 {
        bench.pass(limits::IDLE_DEADLINE / 3);
        bench.table.received(bench.now, busy, b"message");
        bench.cut(7, Rest::Incomplete);
    }
    assert!(!bench.table.is_live(idle));
    assert!(bench.table.is_live(busy));
    assert_eq!(bench.count(Counter::ClosedIdle), 1);
    assert_eq!(bench.commands(), [StreamCommand::Close { id: idle }]);
}

#[test]
fn a_connection_that_does_not_open_in_time_has_failed() {
    let mut bench = bench();
    let remote = address(3, 5);
    bench.send(None, remote, b"hello");
    let Some(StreamCommand::Open { id, .. }) = bench.table.next_command() else {
        panic!("a message to nobody known opens a connection");
    };
    bench.pass(limits::CONNECT_DEADLINE - SECOND);
    assert_eq!(bench.table.next_change(), None);
    bench.pass(SECOND);
    let outcome = ConnectionOutcome::ConnectFailed;
    let change = ConnectionChange {
        connection: Some(id),
        remote,
        outcome,
    };
    assert_eq!(bench.table.next_change(), Some(change));
    assert_eq!(bench.count(Counter::ConnectFailed), 1);
    assert_eq!(bench.count(Counter::ConnectionsOpen), 0);
}

#[test]
fn want_of_descriptors_and_of_ports_is_counted_apart() {
    for (error, exhausted) in [
        (libc::EMFILE, 1),
        (libc::EADDRNOTAVAIL, 1),
        (libc::ECONNREFUSED, 0),
    ] {
        let mut bench = bench();
        bench.send(None, address(3, 5), b"hello");
        let Some(StreamCommand::Open { id, .. }) = bench.table.next_command() else {
            panic!("a message to nobody known opens a connection");
        };
        let error = std::io::Error::from_raw_os_error(error);
        bench.table.cannot_open(id, &error);
        assert_eq!(bench.count(Counter::ConnectFailed), 1);
        assert_eq!(bench.count(Counter::ConnectExhausted), exhausted);
    }
}

#[test]
fn messages_wait_for_the_connection_to_open_and_keep_their_order() {
    let mut bench = bench();
    let remote = address(3, 5);
    bench.send(None, remote, b"one ");
    bench.send(None, remote, b"two");
    let commands = bench.commands();
    let [
        StreamCommand::Open {
            id, local: None, ..
        },
    ] = commands[..]
    else {
        panic!("one connection for both: {commands:?}");
    };
    assert_eq!(
        bench.table.allowance(id),
        Some(0),
        "nothing is read before it is open"
    );
    assert_eq!(bench.table.output(id), b"one two");
    bench.table.opened(bench.now, id, address(1, 9));
    bench.table.wrote(bench.now, id, 3);
    assert_eq!(bench.table.output(id), b" two");
    bench.table.wrote(bench.now, id, 4);
    assert!(bench.table.output(id).is_empty());
    bench.pass(2 * limits::CONNECT_DEADLINE);
    assert!(bench.table.is_live(id));
}

#[test]
fn an_answer_goes_to_its_connection_or_to_another_one_to_the_peer() {
    let mut bench = bench();
    let remote = address(2, 5);
    let named = bench.accept(remote);
    bench.send(Some(named), remote, b"a");
    assert_eq!(bench.table.output(named), b"a");
    bench.table.close(named, Counter::ClosedByPeer);
    let other = bench.accept(remote);
    assert_eq!((other.index, other == named), (named.index, false));
    bench.send(Some(named), remote, b"b");
    assert_eq!(bench.table.output(other), b"b");
    assert_eq!(bench.table.output(named), b"");
}

#[test]
fn a_connection_that_is_ending_gets_nothing_more() {
    let mut bench = bench();
    let remote = address(2, 5);
    let id = bench.accept(remote);
    bench.table.ended(id, Counter::ClosedError);
    bench.send(Some(id), remote, b"late");
    assert!(bench.table.output(id).is_empty());
    let commands = bench.commands();
    assert!(matches!(commands[..], [StreamCommand::Open { id: new, .. }] if new != id));
    // The end of the old one does not make the new one unknown.
    bench.cut(0, Rest::Incomplete);
    bench.send(None, remote, b"later");
    assert_eq!(bench.commands(), [StreamCommand::Close { id }]);
}

#[test]
fn a_reader_that_is_too_slow_is_cut_off_at_the_limit() {
    let mut bench = bench();
    let remote = address(2, 5);
    let id = bench.accept(remote);
    bench.send(Some(id), remote, &vec![0; limits::STREAM_OUTPUT_BYTES_MAX]);
    assert!(bench.table.is_live(id));
    bench.table.wrote(bench.now, id, 1);
    bench.send(Some(id), remote, b"x");
    assert!(bench.table.is_live(id));
    bench.send(Some(id), remote, b"x");
    assert!(!bench.table.is_live(id));
    assert_eq!(bench.count(Counter::ClosedOutputLimit), 1);
}

#[test]
fn a_message_that_fills_the_input_closes_the_connection() {
    let mut bench = bench();
    let id = bench.accept(address(2, 5));
    bench
        .table
        .received(bench.now, id, &vec![0; limits::STREAM_INPUT_BYTES_MAX]);
    assert_eq!(bench.table.allowance(id), Some(0));
    bench.cut(0, Rest::Incomplete);
    assert_eq!(bench.table.allowance(id), None);
    assert_eq!(bench.count(Counter::ClosedInputLimit), 1);
}

#[test]
fn a_full_input_that_held_messages_is_read_again() {
    let mut bench = bench();
    let id = bench.accept(address(2, 5));
    bench
        .table
        .received(bench.now, id, &vec![0; limits::STREAM_INPUT_BYTES_MAX]);
    assert_eq!(bench.table.allowance(id), Some(0));
    bench.cut(1_000, Rest::Unseen);
    assert_eq!(bench.commands(), [StreamCommand::Attend { id }]);
    assert_eq!(bench.table.allowance(id), Some(1_000));
    bench.cut(limits::STREAM_INPUT_BYTES_MAX - 1_000, Rest::Incomplete);
    assert!(bench.table.is_live(id));
}

#[test]
fn what_came_before_the_end_is_cut_before_the_connection_is_closed() {
    let mut bench = bench();
    let id = bench.accept(address(2, 5));
    bench.table.received(bench.now, id, b"first second half");
    bench.table.ended(id, Counter::ClosedByPeer);
    assert_eq!(bench.table.allowance(id), Some(0));
    bench.cut(6, Rest::Unseen);
    assert!(bench.table.is_live(id));
    bench.cut(7, Rest::Incomplete);
    assert!(!bench.table.is_live(id));
    assert_eq!(bench.count(Counter::ClosedTruncated), 1);
    assert_eq!(bench.count(Counter::ConnectFailed), 0);
}

#[test]
fn a_source_may_have_only_so_many_connections() {
    let mut bench = bench();
    let ports = 1..=u16::try_from(limits::CONNECTIONS_PER_SOURCE_MAX).unwrap();
    let ids: Vec<_> = ports.map(|port| bench.accept(address(2, port))).collect();
    assert_eq!(
        bench
            .table
            .accepted(bench.now, Transport::Tcp, address(2, 9_999), address(1, 1)),
        None
    );
    assert_eq!(bench.count(Counter::RefusedSourceFull), 1);
    // The limit holds for connections to it as well, and the engine is told.
    bench.send(None, address(2, 9_999), b"hello");
    assert_eq!(bench.table.next_change().unwrap().connection, None);
    bench.accept(address(3, 1));
    bench.table.close(ids[0], Counter::ClosedByPeer);
    bench.accept(address(2, 9_999));
}

#[test]
fn a_shard_may_have_only_so_many_connections() {
    let mut bench = bench();
    for number in 0..u32::try_from(limits::CONNECTIONS_PER_SHARD_MAX).unwrap() {
        let [.., high, low] = number.to_be_bytes();
        bench.accept(SocketAddr::from(([10, 0, high, low], 5)));
    }
    assert_eq!(
        bench
            .table
            .accepted(bench.now, Transport::Tcp, address(2, 5), address(1, 1)),
        None
    );
    assert_eq!(bench.count(Counter::RefusedShardFull), 1);
    bench.table.close_all();
    assert_eq!(bench.count(Counter::ConnectionsOpen), 0);
    assert!(bench.table.by_remote.is_empty() && bench.table.per_source.is_empty());
    assert!(
        bench.table.wheel.is_empty(),
        "no deadline outlives its connection"
    );
    bench.accept(address(2, 5));
}

#[test]
fn a_listener_that_could_not_accept_is_tried_again() {
    let mut bench = bench();
    bench.table.pause_accepting(bench.now, 3);
    assert_eq!(bench.commands(), []);
    bench.pass(limits::ACCEPT_PAUSE);
    assert_eq!(bench.commands(), [StreamCommand::Accept { listener: 3 }]);
}

#[test]
fn a_broken_stream_is_read_on_until_the_peer_has_heard_why() {
    let mut bench = bench();
    let id = bench.accept(address(2, 5_060));
    bench.table.received(bench.now, id, b"broken");
    bench.cut(0, Rest::MalformedAnswered);
    bench.send(Some(id), address(2, 5_060), b"because");
    assert_eq!(bench.table.output(id), b"because");
    bench.table.wrote(bench.now, id, 7);
    // What comes now is thrown away.
    bench
        .table
        .received(bench.now, id, &vec![0; limits::STREAM_INPUT_BYTES_MAX]);
    assert_eq!(bench.table.to_cut(), 0);
    assert_eq!(
        bench.table.allowance(id),
        Some(limits::STREAM_INPUT_BYTES_MAX)
    );
    bench.pass(limits::PARTING_DEADLINE);
    assert!(!bench.table.is_live(id));
    assert_eq!(bench.count(Counter::ClosedMalformed), 1);
    // Without anything to say it goes at once, and a peer that goes first is no other cause.
    let id = bench.accept(address(2, 5_061));
    bench.table.received(bench.now, id, b"broken");
    bench.cut(0, Rest::Malformed);
    assert!(!bench.table.is_live(id));
    let id = bench.accept(address(2, 5_062));
    bench.table.received(bench.now, id, b"broken");
    bench.cut(0, Rest::MalformedAnswered);
    bench.table.ended(id, Counter::ClosedByPeer);
    assert!(!bench.table.is_live(id));
    assert_eq!(bench.count(Counter::ClosedMalformed), 3);
}

#[test]
fn a_peer_that_goes_in_the_middle_of_a_message_is_counted_for_it() {
    let mut bench = bench();
    let id = bench.accept(address(2, 5_060));
    bench.table.received(bench.now, id, b"half");
    bench.table.ended(id, Counter::ClosedByPeer);
    bench.cut(0, Rest::Incomplete);
    assert_eq!(bench.count(Counter::ClosedTruncated), 1);
    assert_eq!(bench.count(Counter::ClosedByPeer), 0);
}
