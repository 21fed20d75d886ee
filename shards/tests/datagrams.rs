//! Datagrams over loopback, on both drivers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

mod echo;

use echo::{
    ECHO, Event, Host, LAST, OWNED, PATIENCE, QUIET, QUIET_OWNED, Request, SLOW_LAST, SLOW_SOON,
    SOON, eventually, launch, options,
};
use offhook_shards::clock::Clock;
use offhook_shards::{Counter, Driver, ShardId, Transmit, Transport};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

on_both_drivers! {
    one_shard_echoes_thousands
    two_shards_echo_thousands_of_one_peer
    a_datagram_hops_to_its_owner_and_is_answered_from_there
    datagrams_for_an_owner_that_is_stuck_are_dropped_and_counted
    an_owner_that_does_not_exist_is_answered_on_the_spot
    datagrams_of_every_size_pass
    an_engine_sends_from_the_listener_it_names
    a_shard_with_a_pace_answers_everything_in_few_batches
    what_has_gathered_is_handled_by_its_urgency
    few_messages_are_handled_as_they_came_and_each_is_answered_at_once
    what_finds_no_room_to_wait_is_told_at_once
    what_the_kernel_drops_is_counted
    what_a_small_buffer_drops_is_counted_although_its_batches_are_small
    what_is_dropped_just_before_the_end_is_counted
    a_full_line_starves_neither_the_others_nor_what_comes_from_other_shards
}

/// How long the kernel may take to give a socket what was sent to it.
const DELIVERED: Duration = Duration::from_millis(100);

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends numbered datagrams, a bounded number unanswered at a time, and returns how many each
/// shard answered. Loopback loses none as long as the receive buffers do not overflow.
fn exchange(host: &Host, count: u32, shards: usize, prefix: &[u8]) -> Vec<u32> {
    const WINDOW: u32 = 64;
    let peer = peer();
    peer.connect(host.udp()).unwrap();
    let mut answered = vec![0; shards];
    let mut waiting = BTreeSet::new();
    let mut next = 0;
    while next < count || !waiting.is_empty() {
        while next < count && waiting.len() < WINDOW as usize {
            let mut bytes = prefix.to_vec();
            bytes.extend_from_slice(&next.to_be_bytes());
            peer.send(&bytes).unwrap();
            waiting.insert(next);
            next += 1;
        }
        let mut buffer = [0; 64];
        let length = peer.recv(&mut buffer).unwrap();
        answered[usize::from(buffer[0])] += 1;
        assert_eq!(&buffer[1..=prefix.len()], prefix);
        let number = u32::from_be_bytes(buffer[length - 4..length].try_into().unwrap());
        assert!(
            waiting.remove(&number),
            "{number} was answered twice or never asked"
        );
    }
    answered
}

fn one_shard_echoes_thousands(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    assert_eq!(exchange(&host, 5_000, 1, &[ECHO]), [5_000]);
    let metrics = host.running.metrics();
    assert_eq!(metrics.total(Counter::DatagramsIn), 5_000);
    assert_eq!(metrics.total(Counter::BytesIn), 25_000);
    host.running.stop().unwrap();
    assert_eq!(metrics.total(Counter::DatagramsOut), 5_000);
    assert_eq!(metrics.total(Counter::Hops), 0);
}

fn two_shards_echo_thousands_of_one_peer(driver: Driver) {
    let Some(host) = launch(&options(driver, 2)) else {
        return;
    };
    let answered = exchange(&host, 5_000, 2, &[ECHO]);
    assert_eq!(answered.iter().sum::<u32>(), 5_000);
    // A fair coin thrown 5,000 times: a third is many standard deviations away.
    assert!(
        answered.iter().all(|&count| count > 5_000 / 3),
        "{answered:?}"
    );
    host.running.stop().unwrap();
}

fn a_datagram_hops_to_its_owner_and_is_answered_from_there(driver: Driver) {
    let Some(host) = launch(&options(driver, 2)) else {
        return;
    };
    assert_eq!(exchange(&host, 2_000, 2, &[OWNED, 1]), [0, 2_000]);
    assert_eq!(exchange(&host, 2_000, 2, &[OWNED, 0]), [2_000, 0]);
    let metrics = host.running.metrics();
    host.running.stop().unwrap();
    let hops = metrics.total(Counter::Hops);
    assert!(
        (1_000..3_000).contains(&hops),
        "about half arrive at the wrong shard: {hops}"
    );
    assert_eq!(metrics.total(Counter::DropMeshFull), 0);
}

fn datagrams_for_an_owner_that_is_stuck_are_dropped_and_counted(driver: Driver) {
    let Some(host) = launch(&options(driver, 2)) else {
        return;
    };
    let metrics = host.running.metrics();
    let stall = echo::Request::Stall(Duration::from_millis(300));
    host.running.request(ShardId(1), stall).unwrap();
    // Half of them arrive at shard 0, which has nowhere to put them once the queue is full.
    let peer = peer();
    let begin = Clock.now();
    while metrics.total(Counter::DropMeshFull) == 0 {
        assert!(Clock.now() - begin < PATIENCE);
        peer.send_to(&[QUIET_OWNED, 1], host.udp()).unwrap();
    }
    // It comes back, clears the backlog and has nothing to do: then all goes on as before.
    let owner = metrics.shard(ShardId(1));
    let naps = owner.value(Counter::Sleeps);
    eventually("it does not sleep again", || {
        owner.value(Counter::Sleeps) != naps
    });
    assert_eq!(exchange(&host, 1_000, 2, &[OWNED, 1]), [0, 1_000]);
    host.running.stop().unwrap();
}

fn an_owner_that_does_not_exist_is_answered_on_the_spot(driver: Driver) {
    let Some(host) = launch(&options(driver, 2)) else {
        return;
    };
    let answered = exchange(&host, 100, 2, &[OWNED, 200]);
    assert_eq!(answered.iter().sum::<u32>(), 100);
    host.running.stop().unwrap();
}

fn datagrams_of_every_size_pass(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    let peer = peer();
    let mut buffer = vec![0; 70_000];
    for size in [1, 2, 1_300, 1_500, 9_000, 65_506] {
        let bytes = vec![ECHO; size];
        peer.send_to(&bytes, host.udp()).unwrap();
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((length, from), (size + 1, host.udp()));
        assert_eq!(&buffer[1..length], bytes);
    }
    host.running.stop().unwrap();
}

fn an_engine_sends_from_the_listener_it_names(driver: Driver) {
    let mut options = options(driver, 1);
    options.udp.push(options.udp[0]);
    let Some(host) = launch(&options) else { return };
    let peer = peer();
    let remote = peer.local_addr().unwrap();
    let listeners = host.running.udp_addresses().to_vec();
    assert_ne!(listeners[0], listeners[1]);
    for local in [Some(listeners[1]), Some(listeners[0]), None] {
        let transmit = Transmit {
            transport: Transport::Udp,
            local,
            remote,
            connection: None,
        };
        host.running
            .request(ShardId(0), echo::Request::Send(transmit, b"hello".to_vec()))
            .unwrap();
        let mut buffer = [0; 16];
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"hello");
        assert_eq!(from, local.unwrap_or(listeners[0]));
    }
    // Nobody listens with IPv6, so nobody can send with it.
    let transmit = Transmit {
        transport: Transport::Udp,
        local: None,
        remote: "[::1]:9".parse().unwrap(),
        connection: None,
    };
    host.running
        .request(ShardId(0), echo::Request::Send(transmit, b"hello".to_vec()))
        .unwrap();
    let metrics = host.running.metrics();
    host.running.stop().unwrap();
    assert_eq!(metrics.total(Counter::DropNoSocket), 1);
}

fn a_shard_with_a_pace_answers_everything_in_few_batches(driver: Driver) {
    let mut options = options(driver, 1);
    options.pace = Duration::from_millis(1);
    options.joins_datagrams = true;
    let Some(host) = launch(&options) else { return };
    assert_eq!(exchange(&host, 5_000, 1, &[ECHO]), [5_000]);
    let metrics = host.running.metrics();
    // A request is heard between two naps, and the stop below as well.
    let timers = echo::Request::Timers(vec![(Duration::from_millis(2), 7)]);
    host.running.request(ShardId(0), timers).unwrap();
    let mut host = host;
    host.wait_for(|_, event| *event == echo::Event::Timer(7));
    host.running.stop().unwrap();
    assert_eq!(metrics.total(Counter::DatagramsIn), 5_000);
    assert_eq!(metrics.total(Counter::DatagramsOut), 5_000);
    let batches = metrics.total(Counter::BatchesIn);
    assert!(batches < 2_500, "{batches}");
}

/// Sends messages that all wait when the shard looks next, and returns their answers.
fn gather(host: &Host, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let peer = peer();
    peer.connect(host.udp()).unwrap();
    // What is sent while it does nothing else is there when it looks again.
    let stands = host.stand(ShardId(0));
    for message in messages {
        peer.send(message).unwrap();
    }
    std::thread::sleep(DELIVERED);
    drop(stands);
    let answer = |_| {
        let mut buffer = [0; 16];
        let length = peer.recv(&mut buffer).unwrap();
        buffer[1..length].to_vec()
    };
    messages.iter().map(answer).collect()
}

fn few_messages_are_handled_as_they_came_and_each_is_answered_at_once(driver: Driver) {
    for (prompt, pace, kinds, batches) in [
        (true, 0, vec![LAST; 16], 16),
        (true, 0, vec![LAST; 17], 1),
        (true, 0, vec![LAST, ECHO, SOON, ECHO], 4),
        (false, 0, vec![LAST; 3], 1),
        (true, 1, vec![LAST; 3], 1),
    ] {
        let mut options = options(driver, 1);
        (options.prompt, options.pace) = (prompt, Duration::from_millis(pace));
        let Some(host) = launch(&options) else { return };
        let messages: Vec<_> = (0..)
            .zip(&kinds)
            .map(|(number, kind)| vec![*kind, number])
            .collect();
        assert_eq!(gather(&host, &messages), messages);
        let metrics = host.running.metrics();
        host.running.stop().unwrap();
        assert_eq!(
            metrics.total(Counter::BatchesOut),
            batches,
            "{prompt} {pace} {kinds:?}"
        );
    }
}

fn what_has_gathered_is_handled_by_its_urgency(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    let message = |number: u8| vec![[LAST, SOON, ECHO][usize::from(number % 3)], number / 3];
    let messages: Vec<_> = (0..30).map(message).collect();
    let answers = gather(&host, &messages);
    let expected = [ECHO, SOON, LAST].map(|kind| (0..10).map(move |round| vec![kind, round]));
    assert_eq!(answers, expected.into_iter().flatten().collect::<Vec<_>>());
    host.running.stop().unwrap();
}

fn what_finds_no_room_to_wait_is_told_at_once(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    // The slow ones fill their line, whatever the kernel keeps of each burst.
    let flood = Flood::begin(&host, SLOW_LAST);
    let peer = peer();
    while host.events.drain(1_000, &mut host.seen) == 0 {
        peer.send_to(&[LAST], host.udp()).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    host.wait_for(|_, event| *event == Event::Excess);
    flood.end();
    host.running.stop().unwrap();
}

/// Whether the kernel says what it drops; where it does not, that is said.
fn tells_drops() -> bool {
    let tells = offhook_shards::Host::read().tells_drops;
    if !tells {
        // Past the harness, which keeps what a test that passes has printed.
        let skipped = "SKIPPED: the kernel does not say what it drops at a socket (SO_MEMINFO)";
        writeln!(std::io::stderr(), "{skipped}").expect("stderr can be written");
    }
    tells
}

fn what_the_kernel_drops_is_counted(driver: Driver) {
    /// More than the buffer holds, and fewer than wait between two sockets of a machine
    /// (`net.core.netdev_max_backlog`, 1,000): what is dropped there is no socket's.
    const BURST: u64 = 800;
    const BURSTS: u64 = 4;
    let mut options = options(driver, 1);
    options.socket_buffer_bytes = 65_536;
    if !tells_drops() {
        return;
    }
    let Some(host) = launch(&options) else {
        return;
    };
    let peer = peer();
    let counted = |counter| host.running.metrics().total(counter);
    let dropped = || counted(Counter::DropReceiveFull);
    for burst in 1..=BURSTS {
        for _ in 0..BURST {
            peer.send_to(&[SLOW_LAST], host.udp()).unwrap();
        }
        let is_all = || counted(Counter::DatagramsIn) + dropped() == burst * BURST;
        eventually("some are neither received nor counted", is_all);
    }
    assert!(dropped() > 0, "the buffer holds less");
    host.running.stop().unwrap();
}

/// How many datagrams come to a shard while it does nothing else, and with a buffer for few.
const CROWD: u64 = 200;

/// A shard that is about to find the few that its buffer has kept of them.
fn crowded(driver: Driver) -> Option<Host> {
    let mut options = options(driver, 1);
    // The least that the kernel grants; it doubles it and takes its records from that.
    options.socket_buffer_bytes = 1;
    if !tells_drops() {
        return None;
    }
    let host = launch(&options)?;
    let stands = host.stand(ShardId(0));
    let peer = peer();
    for _ in 0..CROWD {
        peer.send_to(&[QUIET], host.udp()).unwrap();
    }
    std::thread::sleep(DELIVERED);
    drop(stands);
    Some(host)
}

fn what_a_small_buffer_drops_is_counted_although_its_batches_are_small(driver: Driver) {
    let Some(host) = crowded(driver) else {
        return;
    };
    let counted = |counter| host.running.metrics().total(counter);
    // Nothing else comes by which it could be told.
    let is_all = || counted(Counter::DatagramsIn) + counted(Counter::DropReceiveFull) == CROWD;
    eventually("some are neither received nor counted", is_all);
    let received = counted(Counter::DatagramsIn);
    assert!(received < 8, "{received} are no small batch");
    host.running.stop().unwrap();
}

fn what_is_dropped_just_before_the_end_is_counted(driver: Driver) {
    let Some(host) = crowded(driver) else {
        return;
    };
    let metrics = host.running.metrics();
    host.running.stop().unwrap();
    // The few that were kept may come too late to be received.
    let dropped = metrics.total(Counter::DropReceiveFull);
    assert!(dropped > CROWD - 8, "{dropped}");
}

/// More messages than a shard can do, until the end.
struct Flood {
    is_over: Arc<AtomicBool>,
    sending: JoinHandle<()>,
}

impl Flood {
    fn begin(host: &Host, kind: u8) -> Self {
        let from = peer();
        let is_over = Arc::new(AtomicBool::new(false));
        let (to, ends) = (host.udp(), Arc::clone(&is_over));
        let sending = std::thread::spawn(move || {
            // First as much as fills the lines, and then no more than sockets can hold.
            for round in 0.. {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                for _ in 0..if round < 150 { 64 } else { 8 } {
                    from.send_to(&[kind], to).unwrap();
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        std::thread::sleep(Duration::from_millis(800));
        Self { is_over, sending }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.sending.join().unwrap();
    }
}

/// Sends a message until this shard answers it: of what comes during a flood the kernel drops most.
fn send_until_answered(host: &Host, peer: &UdpSocket, message: &[u8], by: Option<u8>) {
    let begin = Clock.now();
    let mut buffer = [0; 8];
    loop {
        assert!(Clock.now() - begin < PATIENCE);
        peer.send_to(message, host.udp()).unwrap();
        if let Ok(length) = peer.recv(&mut buffer)
            && buffer[1..length] == *message
        {
            assert!(by.is_none_or(|by| by == buffer[0]));
            return;
        }
    }
}

fn a_full_line_starves_neither_the_others_nor_what_comes_from_other_shards(driver: Driver) {
    for (full, others) in [(SLOW_LAST, [SOON, ECHO]), (SLOW_SOON, [LAST, ECHO])] {
        let Some(mut host) = launch(&options(driver, 2)) else {
            return;
        };
        let flood = Flood::begin(&host, full);
        // From engine to engine.
        let messages = Request::Messages {
            to: ShardId(1),
            count: 2_000,
        };
        host.running.request(ShardId(0), messages).unwrap();
        host.wait_for(|_, event| matches!(event, Event::Message { number: 1_999, .. }));
        // What came to any shard's socket, in this line's way or in another.
        let peer = peer();
        let patience = Some(Duration::from_millis(20));
        peer.set_read_timeout(patience).unwrap();
        for number in 0..10 {
            send_until_answered(&host, &peer, &[OWNED, 1, number], Some(1));
        }
        for kind in others {
            send_until_answered(&host, &peer, &[kind, 0xff], None);
        }
        assert!(host.running.metrics().total(Counter::Hops) > 0);
        flood.end();
        host.running.stop().unwrap();
    }
}
