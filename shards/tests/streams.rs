//! Stream connections over loopback, on both drivers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

mod echo;

use echo::{
    ECHO, Event, Host, KEEP_ALIVE, KEEP_ALIVE_REPLY, NONSENSE, OWNED, PATIENCE, QUIET, Request,
    SLOW_LAST, SLOW_SOON, SOON, WHEN, WHEN_LAST, eventually, framed, launch, options,
};
use offhook_shards::clock::Clock;
use offhook_shards::limits;
use offhook_shards::{
    ConnectionChange, ConnectionOutcome, Counter, Driver, Options, Room, ShardId, Transmit,
    Transport,
};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

on_both_drivers! {
    a_message_may_arrive_byte_by_byte
    messages_may_arrive_merged_and_cut_anywhere
    a_message_is_answered_by_its_owner_on_the_connection_it_came_on
    keep_alives_between_messages_are_answered
    nonsense_closes_the_connection
    a_flood_of_messages_is_held_to_the_limit_and_none_is_lost
    a_peer_that_does_not_read_is_cut_off
    a_flood_waits_for_the_owner_and_loses_nothing
    the_last_message_before_the_end_is_handled
    all_engines_hear_of_a_closed_connection
    an_engine_connects_once_and_reuses_the_connection
    a_peer_that_answers_on_our_connection_is_heard
    a_refused_connection_is_told
    an_engine_may_have_connections_for_itself
    room_that_is_used_up_is_told_to_the_engine
    one_source_may_not_take_all_connections
    a_crowd_beyond_the_limit_is_turned_away_at_once
    a_message_has_not_waited_while_its_shard_slept
    what_cannot_wait_overtakes_what_can_on_its_own_connection
    what_waits_in_a_stream_has_waited
    a_stream_loses_nothing_where_datagrams_find_no_room
    streams_come_and_go_between_datagrams
}

fn connect(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(host.tcp()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads one message, and returns the shard that answered and what it answered.
fn answer(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut payload = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut payload).unwrap();
    (payload[0], payload[1..].to_vec())
}

fn is_ended(stream: &mut TcpStream) -> bool {
    // A reset instead of an end means that we had sent what nobody read.
    match stream.read(&mut [0; 64]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn tcp_to(remote: SocketAddr) -> Transmit {
    Transmit {
        transport: Transport::Tcp,
        local: None,
        remote,
        connection: None,
    }
}

fn a_message_may_arrive_byte_by_byte(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    for byte in framed(b"Eslowly") {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(answer(&mut stream), (0, b"Eslowly".to_vec()));
    host.running.stop().unwrap();
}

fn messages_may_arrive_merged_and_cut_anywhere(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    let message = |number: u32| {
        let mut payload = vec![ECHO; 1 + (number as usize * 37) % 900];
        payload.extend_from_slice(&number.to_be_bytes());
        payload
    };
    let all: Vec<u8> = (0..500)
        .flat_map(|number| framed(&message(number)))
        .collect();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        for piece in all.chunks(1_013) {
            writer.write_all(piece).unwrap();
        }
    });
    for number in 0..500 {
        assert_eq!(answer(&mut stream), (0, message(number)));
    }
    writing.join().unwrap();
    let metrics = host.running.metrics();
    host.running.stop().unwrap();
    assert_eq!(metrics.total(Counter::FramesIn), 500);
    assert_eq!(metrics.total(Counter::FramesOut), 500);
}

fn a_message_is_answered_by_its_owner_on_the_connection_it_came_on(driver: Driver) {
    let Some(host) = launch(&options(driver, 2)) else {
        return;
    };
    let mut streams: Vec<TcpStream> = (0..8).map(|_| connect(&host)).collect();
    for round in 0..50 {
        for stream in &mut streams {
            for owner in [0, 1] {
                let payload = [OWNED, owner, round];
                stream.write_all(&framed(&payload)).unwrap();
                assert_eq!(answer(stream), (owner, payload.to_vec()));
            }
        }
    }
    let metrics = host.running.metrics();
    host.running.stop().unwrap();
    assert_eq!(metrics.total(Counter::Hops), 8 * 50);
    assert_eq!(metrics.total(Counter::ConnectionsAccepted), 8);
    assert_eq!(metrics.total(Counter::ConnectionsOpened), 0);
}

fn keep_alives_between_messages_are_answered(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    stream.write_all(&[KEEP_ALIVE, KEEP_ALIVE]).unwrap();
    let mut reply = [0; 2];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply, [KEEP_ALIVE_REPLY[0]; 2]);
    stream.write_all(&framed(b"Estill here")).unwrap();
    assert_eq!(answer(&mut stream), (0, b"Estill here".to_vec()));
    host.running.stop().unwrap();
}

fn nonsense_closes_the_connection(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    stream.write_all(&framed(b"Qfine")).unwrap();
    host.wait_for(|_, event| *event == Event::Received { length: 5 });
    stream.write_all(&[NONSENSE]).unwrap();
    assert!(is_ended(&mut stream));
    host.wait_for(|_, event| matches!(event, Event::Changed(_)));
    assert_eq!(host.running.metrics().total(Counter::ClosedMalformed), 1);
    host.running.stop().unwrap();
}

fn a_flood_of_messages_is_held_to_the_limit_and_none_is_lost(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    let message = framed(&vec![QUIET; 16_000]);
    let count = 3 * limits::STREAM_INPUT_BYTES_MAX / message.len();
    for _ in 0..count {
        stream.write_all(&message).unwrap();
    }
    let received = Event::Received { length: 16_000 };
    host.wait_until(|seen| seen.iter().filter(|(_, event)| *event == received).count() == count);
    host.running.stop().unwrap();
}

fn a_peer_that_does_not_read_is_cut_off(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    let message = framed(&vec![ECHO; 60_000]);
    // Writing ends with an error once we are cut off: the echoes fill both sockets' buffers and
    // then the shard's queue. Buffers are bounded, so a bounded number of messages does it.
    let cut_off = (0..2_000).any(|_| stream.write_all(&message).is_err());
    assert!(cut_off);
    host.wait_for(|_, event| matches!(event, Event::Changed(_)));
    assert_eq!(host.running.metrics().total(Counter::ClosedOutputLimit), 1);
    host.running.stop().unwrap();
}

/// A connection that lives on shard 0.
fn connect_to_shard_0(host: &Host) -> TcpStream {
    // The kernel spreads connections over the shards by their ports.
    (0..100)
        .map(|_| connect(host))
        .find_map(|mut stream| {
            stream.write_all(&framed(&[ECHO])).unwrap();
            (answer(&mut stream).0 == 0).then_some(stream)
        })
        .unwrap()
}

fn a_flood_waits_for_the_owner_and_loses_nothing(driver: Driver) {
    let Some(host) = launch(&options(driver, 2)) else {
        return;
    };
    let metrics = host.running.metrics();
    let mut stream = connect_to_shard_0(&host);
    let count = u32::try_from(6 * limits::MESH_QUEUE_MAX).unwrap();
    let message = |number: u32| [&[OWNED, 1], &number.to_be_bytes()[..]].concat();
    let all: Vec<u8> = (0..count)
        .flat_map(|number| framed(&message(number)))
        .collect();
    // While its owner is busy with itself, the flood fills the queue between the shards.
    let stall = Request::Stall(Duration::from_millis(300));
    host.running.request(ShardId(1), stall).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&all).unwrap());
    for number in 0..count {
        assert_eq!(answer(&mut stream), (1, message(number)));
    }
    writing.join().unwrap();
    host.running.stop().unwrap();
    assert!(metrics.total(Counter::FrameQueueFull) > 0);
    assert_eq!(metrics.total(Counter::Hops), count.into());
    assert_eq!(metrics.total(Counter::DropTransmitFull), 0);
}

fn the_last_message_before_the_end_is_handled(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    let mut bytes = framed(b"Qlast words");
    bytes.extend_from_slice(&[0]);
    stream.write_all(&bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    host.wait_for(|_, event| matches!(event, Event::Changed(_)));
    let events: Vec<&Event> = host.seen.iter().map(|(_, event)| event).collect();
    assert_eq!(events[0], &Event::Received { length: 11 });
    assert_eq!(host.running.metrics().total(Counter::ClosedTruncated), 1);
    assert!(is_ended(&mut stream));
    host.running.stop().unwrap();
}

fn all_engines_hear_of_a_closed_connection(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 2)) else {
        return;
    };
    let mut stream = connect(&host);
    stream.write_all(&framed(b"E")).unwrap();
    let (shard, _) = answer(&mut stream);
    let remote = stream.local_addr().unwrap();
    drop(stream);
    host.wait_until(|seen| seen.len() == 2);
    let mut told: Vec<ShardId> = host.seen.iter().map(|(shard, _)| *shard).collect();
    told.sort();
    assert_eq!(told, [ShardId(0), ShardId(1)]);
    for (_, event) in &host.seen {
        let Event::Changed(change) = event else {
            panic!("{event:?}")
        };
        assert_eq!(change.remote, remote);
        assert_eq!(change.outcome, ConnectionOutcome::Closed);
        assert_eq!(change.connection.unwrap().shard, ShardId(u16::from(shard)));
    }
    assert_eq!(host.running.metrics().total(Counter::ConnectionsOpen), 0);
    host.running.stop().unwrap();
}

fn an_engine_connects_once_and_reuses_the_connection(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let transmit = tcp_to(listener.local_addr().unwrap());
    for number in 0..3 {
        host.running
            .request(ShardId(0), Request::Send(transmit, vec![number; 3]))
            .unwrap();
    }
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 9];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    let metrics = host.running.metrics();
    host.running.stop().unwrap();
    assert!(is_ended(&mut stream));
    assert_eq!(metrics.total(Counter::ConnectionsOpened), 1);
    assert_eq!(metrics.total(Counter::BytesOut), 9);
    assert_eq!(metrics.total(Counter::ClosedStop), 1);
}

fn a_peer_that_answers_on_our_connection_is_heard(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut transmit = tcp_to(listener.local_addr().unwrap());
    transmit.local = Some(host.udp());
    host.running
        .request(ShardId(0), Request::Send(transmit, b"?".to_vec()))
        .unwrap();
    let (mut stream, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), host.udp().ip());
    stream.write_all(&framed(b"Qanswer")).unwrap();
    host.wait_for(|_, event| *event == Event::Received { length: 7 });
    host.running.stop().unwrap();
}

fn an_engine_may_have_connections_for_itself(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 2)) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let transmit = tcp_to(listener.local_addr().unwrap());
    let ask = |request| host.running.request(ShardId(0), request).unwrap();
    ask(Request::Send(transmit, vec![0; 3]));
    ask(Request::SendApart(transmit, vec![1; 3]));
    ask(Request::SendApart(transmit, vec![2; 3]));
    let mut streams: Vec<TcpStream> = (0..3).map(|_| listener.accept().unwrap().0).collect();
    for stream in &mut streams {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let first = |stream: &mut TcpStream| {
        let mut bytes = [0; 3];
        stream.read_exact(&mut bytes).unwrap();
        bytes[0]
    };
    streams.sort_by_cached_key(|stream| first(&mut stream.try_clone().unwrap()));
    let opened = |seen: &[(ShardId, Event)]| -> Vec<_> {
        let id = |(_, event): &(ShardId, Event)| {
            let Event::Opened(id) = event else {
                return None;
            };
            *id
        };
        seen.iter().filter_map(id).collect()
    };
    host.wait_until(|seen| opened(seen).len() == 2);
    let own = opened(&host.seen);
    // The other shard asks: the connection is closed where it lives, after what was said on it.
    let named = Transmit {
        connection: Some(own[0]),
        ..transmit
    };
    let ask = |shard, request| host.running.request(ShardId(shard), request).unwrap();
    ask(1, Request::Send(named, vec![7; 3]));
    ask(1, Request::Close(own[0]));
    assert_eq!(first(&mut streams[1]), 7);
    assert!(is_ended(&mut streams[1]));
    host.wait_for(
        |_, event| matches!(event, Event::Changed(change) if change.connection == Some(own[0])),
    );
    let ask = |request| host.running.request(ShardId(0), request).unwrap();
    ask(Request::Send(transmit, vec![8; 3]));
    assert_eq!(first(&mut streams[0]), 8, "only the first one is shared");
    let metrics = host.running.metrics();
    assert_eq!(metrics.total(Counter::ClosedByEngine), 1);
    assert_eq!(metrics.total(Counter::ConnectionsOpened), 3);
    host.running.stop().unwrap();
}

fn room_that_is_used_up_is_told_to_the_engine(driver: Driver) {
    let options = Options {
        room: Room {
            connections: 2,
            per_source: 1,
        },
        ..options(driver, 1)
    };
    let Some(mut host) = launch(&options) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let transmit = tcp_to(listener.local_addr().unwrap());
    let ask = |request| host.running.request(ShardId(0), request).unwrap();
    ask(Request::SendApart(transmit, vec![0; 3]));
    ask(Request::SendApart(transmit, vec![1; 3]));
    host.wait_for(|_, event| matches!(event, Event::Opened(Some(_))));
    host.wait_for(|_, event| *event == Event::Opened(None));
    assert_eq!(host.running.metrics().total(Counter::RefusedSourceFull), 1);
    host.running.stop().unwrap();
}

fn a_refused_connection_is_told(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    drop(listener);
    host.running
        .request(ShardId(0), Request::Send(tcp_to(remote), b"?".to_vec()))
        .unwrap();
    let (_, event) = host.wait_for(|_, event| matches!(event, Event::Changed(_)));
    let Event::Changed(ConnectionChange {
        connection,
        remote: told,
        outcome,
    }) = event
    else {
        panic!("{event:?}");
    };
    assert!(connection.is_some());
    assert_eq!((told, outcome), (remote, ConnectionOutcome::ConnectFailed));
    assert_eq!(host.running.metrics().total(Counter::ConnectFailed), 1);
    host.running.stop().unwrap();
}

fn one_source_may_not_take_all_connections(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut streams: Vec<TcpStream> = (0..limits::CONNECTIONS_PER_SOURCE_MAX)
        .map(|_| connect(&host))
        .collect();
    for stream in &mut streams {
        stream.write_all(&framed(b"E")).unwrap();
        assert_eq!(answer(stream), (0, b"E".to_vec()));
    }
    let mut refused = connect(&host);
    assert!(is_ended(&mut refused));
    assert_eq!(host.running.metrics().total(Counter::RefusedSourceFull), 1);
    // One that leaves makes room for another.
    drop(streams.pop());
    let metrics = host.running.metrics();
    eventually("it stays open", || {
        metrics.total(Counter::ConnectionsOpen) != limits::CONNECTIONS_PER_SOURCE_MAX as u64
    });
    let mut admitted = connect(&host);
    admitted.write_all(&framed(b"E")).unwrap();
    assert_eq!(answer(&mut admitted), (0, b"E".to_vec()));
    host.running.stop().unwrap();
}

fn a_crowd_beyond_the_limit_is_turned_away_at_once(driver: Driver) {
    const CROWD: u64 = 3 * limits::ACCEPTS_PER_TURN_MAX as u64 + 1;
    let mut options = options(driver, 1);
    options.room.connections = 1;
    let Some(host) = launch(&options) else {
        return;
    };
    // All of them stand there when the shard looks: nothing else tells it of the last ones.
    let stall = Request::Stall(Duration::from_millis(300));
    host.running.request(ShardId(0), stall).unwrap();
    let crowd: Vec<TcpStream> = (0..CROWD).map(|_| connect(&host)).collect();
    let metrics = host.running.metrics();
    eventually("some stand outside", || {
        metrics.total(Counter::RefusedShardFull) >= CROWD - 1
    });
    drop(crowd);
    host.running.stop().unwrap();
}

fn a_message_has_not_waited_while_its_shard_slept(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    for count in 1..=5 {
        // The shard has had work, has told of it, and has nothing to do any more.
        std::thread::sleep(Duration::from_millis(10));
        let before = Clock.now();
        stream.write_all(&framed(&[WHEN])).unwrap();
        let mut last = None;
        host.wait_until(|events| {
            let mut seen = 0;
            for (_, event) in events {
                if let Event::Came(came) = event {
                    (seen, last) = (seen + 1, *came);
                }
            }
            seen == count
        });
        let came = last.expect("it came at some time");
        assert!(
            came >= before,
            "it came {:?} before it was sent",
            before - came
        );
    }
    host.running.stop().unwrap();
}

fn what_cannot_wait_overtakes_what_can_on_its_own_connection(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    let mut bytes = framed(&[SLOW_LAST]).repeat(1_500);
    bytes.extend_from_slice(&framed(&[ECHO]));
    let before = Clock.now();
    stream.write_all(&bytes).unwrap();
    answer(&mut stream);
    // In their order it would be the last of them, each of which takes a millisecond.
    assert!(Clock.now() - before < Duration::from_millis(1_000));
    host.running.stop().unwrap();
}

fn what_waits_in_a_stream_has_waited(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let mut stream = connect(&host);
    let mut bytes = framed(&[SLOW_LAST]).repeat(800);
    bytes.extend_from_slice(&framed(&[WHEN_LAST]));
    let before = Clock.now();
    stream.write_all(&bytes).unwrap();
    let came = host.wait_for(|_, event| matches!(event, Event::Came(_)));
    let (_, Event::Came(Some(came))) = came else {
        panic!("{came:?}");
    };
    let (waited, handled) = (came - before, Clock.now() - before);
    assert!(handled > Duration::from_millis(800), "{handled:?}");
    assert!(waited < handled / 2, "{waited:?} of {handled:?}");
    host.running.stop().unwrap();
}

fn a_stream_loses_nothing_where_datagrams_find_no_room(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let flood = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = host.udp();
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&is_over);
    let sending = std::thread::spawn(move || {
        while !ends.load(Ordering::Relaxed) {
            for _ in 0..64 {
                flood.send_to(&[SLOW_SOON], to).unwrap();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    std::thread::sleep(Duration::from_millis(300));
    let mut stream = connect(&host);
    for number in 0..50 {
        stream.write_all(&framed(&[SOON, number])).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    for number in 0..50 {
        assert_eq!(answer(&mut stream), (0, vec![SOON, number]));
    }
    is_over.store(true, Ordering::Relaxed);
    sending.join().unwrap();
    host.events.drain(1_000, &mut host.seen);
    assert!(!host.seen.iter().any(|(_, event)| *event == Event::Excess));
    host.running.stop().unwrap();
}

/// How a driver sleeps depends on whether there are streams: whoever comes is heard in either case.
fn streams_come_and_go_between_datagrams(driver: Driver) {
    let Some(host) = launch(&options(driver, 2)) else {
        return;
    };
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = || {
        datagrams.send_to(&[ECHO, 7], host.udp()).unwrap();
        datagrams.recv(&mut [0; 64]).unwrap();
    };
    for round in 0..20 {
        // Sometimes long enough to fall asleep.
        let pause = Duration::from_millis(round % 3);
        ask();
        std::thread::sleep(pause);
        let mut streams = [(); 3].map(|()| connect(&host));
        ask();
        for (number, stream) in (0..).zip(&mut streams) {
            stream.write_all(&framed(&[ECHO, number])).unwrap();
        }
        std::thread::sleep(pause);
        ask();
        for (number, mut stream) in (0..).zip(streams) {
            assert_eq!(answer(&mut stream).1, vec![ECHO, number]);
        }
        ask();
        std::thread::sleep(pause);
        let request = Request::Ping(u32::try_from(round).unwrap());
        host.running.request(ShardId(0), request).unwrap();
    }
    assert_eq!(host.running.metrics().total(Counter::DropSendFull), 0);
    host.running.stop().unwrap();
}
